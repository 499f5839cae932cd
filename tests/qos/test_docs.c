/* docs/shares.md is held to its word: every configuration on the page is parsed, and every row of its tables
 * is played to the real scheduler.
 *
 * The page's configurations are indented blocks that begin with [provider. A table whose first column is
 * "class" has the shares that the configuration above it comes to. One whose first column is "busy" has who
 * holds how many connections when, in columns named after the classes and "at PROVIDER". Its first cells:
 *
 *     Queue + HealthCheck             these two want all they may have
 *     BufferedStreaming (8)           it wants 8, and no more
 *     BufferedStreaming, 2 files      two open files each want all they may have
 *     Queue, then BufferedStreaming   one article time after the second joined the first
 *     Queue; b bears 20               provider b refuses a 21st connection
 *     Queue; main has nothing         provider main lacks every article
 */
#include "base/config.h"
#include "base/log.h"
#include "tests/qos/script.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CELLS 10
#define TICKS 10
#define ALL   0 /* wants as many as it may have */

static const char *const words[TRAFFIC_CLASSES] = {[TRAFFIC_QUEUE] = "Queue",
                                                   [TRAFFIC_HEALTH] = "HealthCheck",
                                                   [TRAFFIC_STREAMING] = "BufferedStreaming"};

/* Where on the page we are, for messages. */
static unsigned line_now;

static void wrong(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

static void wrong(const char *fmt, ...)
{
    char text[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    ck_abort_msg("docs/shares.md:%u: %s", line_now, text);
    abort();
}

/* --- the scheduler's side ---------------------------------------------------------------------- */

static struct qos_config scheduler_config(const struct config *c)
{
    struct qos_config q = {
        .total = c->pool.connections, .reserve = c->pool.reserve, .nproviders = c->nproviders};

    for (unsigned k = 0; k < TRAFFIC_CLASSES; k++)
        q.classes[k] = (struct qos_class_config){.guaranteed = c->classes[k].guaranteed,
                                                 .burst = c->classes[k].burst,
                                                 .weight = c->classes[k].weight,
                                                 .per_stream = c->classes[k].per_stream};
    for (unsigned i = 0; i < c->nproviders; i++)
        q.providers[i] = (struct qos_provider_config){.connections = c->providers[i].connections,
                                                      .tier = c->providers[i].tier,
                                                      .weight = c->providers[i].weight,
                                                      .pipelining = c->providers[i].pipelining};
    return q;
}

/* What one class wants. */
struct demand {
    bool busy, later;
    unsigned files; /* open files or jobs */
    unsigned wants; /* operations at a time, each; ALL */
};

struct scene {
    struct demand demands[TRAFFIC_CLASSES];
    int weak; /* a provider that bears only so many; -1: none */
    unsigned bears;
    int empty; /* a provider that lacks everything; -1: none */
};

struct play {
    struct script *s;
    const struct scene *scene;
};

static struct qos_want want_of(enum traffic_class class, uint64_t stream)
{
    return (struct qos_want){.class = class,
                             .stream = stream,
                             .urgency =
                                 class == TRAFFIC_STREAMING ? URGENCY_READAHEAD : URGENCY_DEMAND};
}

static void begin(struct play *p, bool later, unsigned plenty)
{
    for (unsigned k = 0; k < TRAFFIC_CLASSES; k++) {
        const struct demand *d = &p->scene->demands[k];
        for (unsigned f = 0; d->busy && d->later == later && f < d->files; f++)
            script_submit(p->s, want_of((enum traffic_class)k, f + 1),
                          d->wants == ALL ? plenty / d->files : d->wants);
    }
}

/* Connections come up, but not more than a weak provider bears. */
static void connect_all(struct play *p)
{
    struct script *s = p->s;

    for (unsigned i = 0; i < s->nconns && p->scene->weak >= 0; i++) {
        unsigned up =
            script_count(s, p->scene->weak, SC_IDLE) + script_count(s, p->scene->weak, SC_BUSY);
        if (s->conns[i].state != SC_OPENING || s->conns[i].provider != (unsigned)p->scene->weak)
            continue;
        if (up >= p->scene->bears) {
            script_gone(s, i, p->scene->bears ? QOS_GONE_LIMIT : QOS_GONE_REFUSED, true);
            continue;
        }
        s->conns[i].state = SC_IDLE;
        qos_conn_ready(s->q, s->now, s->conns[i].handle);
        script_run(s);
    }
    script_connect(s, -1);
}

/* One article time. Whoever has an answer wants the next thing at once. */
static void tick(struct play *p)
{
    struct script *s = p->s;
    unsigned first[SCRIPT_CONNS], n = 0;

    connect_all(p);
    for (unsigned i = 0; i < s->nconns; i++)
        if (s->conns[i].state == SC_BUSY)
            first[n++] = s->conns[i].ops[0];
    s->now += 50 * MS;
    for (unsigned i = 0; i < n; i++) {
        const struct script_op *op = &s->ops[first[i]];
        bool lacks = s->conns[op->conn].provider == (unsigned)p->scene->empty;
        if (!lacks)
            script_submit(s, want_of(op->want.class, op->want.stream), 1);
        script_answer(s, first[i], lacks ? QOS_NOT_HERE : QOS_OK);
    }
    connect_all(p);
}

static struct qos_stats played(const struct config *c, const struct scene *scene)
{
    struct qos_config q = scheduler_config(c);
    struct play p = {.s = script_new(&q), .scene = scene};
    bool later = false;

    for (unsigned k = 0; k < TRAFFIC_CLASSES; k++)
        later |= scene->demands[k].later;
    begin(&p, false, 5 * c->pool.connections);
    for (unsigned i = 0; i < TICKS; i++)
        tick(&p);
    if (later) {
        begin(&p, true, 5 * c->pool.connections);
        tick(&p);
    }
    struct qos_stats st = script_stats(p.s);
    script_free(p.s);
    return st;
}

/* --- the page's side --------------------------------------------------------------------------- */

static int provider_named(const struct config *c, const char *name, size_t len)
{
    for (unsigned i = 0; i < c->nproviders; i++)
        if (strlen(c->providers[i].name) == len && memcmp(c->providers[i].name, name, len) == 0)
            return (int)i;
    wrong("there is no provider %.*s above", (int)len, name);
}

static int class_named(const char *name, size_t len)
{
    for (int k = 0; k < TRAFFIC_CLASSES; k++)
        if (strlen(words[k]) == len && memcmp(words[k], name, len) == 0)
            return k;
    return -1;
}

/* "BufferedStreaming (8)", "BufferedStreaming, 2 files"; behind them or at "then", "+" or the end. */
static const char *demand_read(const char *at, bool later, struct scene *out)
{
    size_t len = strcspn(at, " ,;");
    int k = class_named(at, len), used = 0;
    unsigned n = 0;

    if (k < 0)
        wrong("\"%s\" does not begin with a class", at);
    struct demand *d = &out->demands[k];
    *d = (struct demand){.busy = true, .later = later, .files = 1, .wants = ALL};
    at += len;
    if (sscanf(at, " (%u)%n", &n, &used) == 1 && used) {
        d->wants = n;
        at += used;
    } else if (sscanf(at, ", %u files%n", &n, &used) == 1 && used) {
        d->files = n;
        at += used;
    }
    return at;
}

static struct scene scene_read(const struct config *c, const char *cell)
{
    struct scene out = {.weak = -1, .empty = -1};
    const char *at = demand_read(cell, false, &out);

    for (;;) {
        if (strncmp(at, " + ", 3) == 0)
            at = demand_read(at + 3, false, &out);
        else if (strncmp(at, ", then ", 7) == 0)
            at = demand_read(at + 7, true, &out);
        else
            break;
    }
    if (strncmp(at, "; ", 2) == 0) {
        size_t len = strcspn(at + 2, " ");
        int p = provider_named(c, at + 2, len), used = 0;
        at += 2 + len;
        if (sscanf(at, " bears %u%n", &out.bears, &used) == 1 && used) {
            out.weak = p;
            at += used;
        } else if (strcmp(at, " has nothing") == 0) {
            out.empty = p;
            at = "";
        }
    }
    if (*at)
        wrong("\"%s\": what is \"%s\"?", cell, at);
    return out;
}

struct row {
    char cells[CELLS][80];
    unsigned n;
};

static struct row row_read(const char *line)
{
    struct row r = {0};

    for (const char *at = line + 1; *at && *at != '\n' && r.n < CELLS; r.n++) {
        size_t len = strcspn(at, "|\n");
        const char *end = at + len;
        const char *from = at;
        while (from < end && *from == ' ')
            from++;
        while (end > from && end[-1] == ' ')
            end--;
        if ((size_t)(end - from) >= sizeof(r.cells[0]))
            wrong("a cell is too long");
        memcpy(r.cells[r.n], from, (size_t)(end - from));
        at += len + (at[len] == '|');
    }
    return r;
}

static void expect_number(const struct row *r, unsigned i, unsigned is)
{
    char text[16];

    snprintf(text, sizeof(text), "%u", is);
    if (strcmp(r->cells[i], text) != 0)
        wrong("%s: column %u is %u, not %s", r->cells[0], i + 1, is, r->cells[i]);
}

static void leases_check(const struct config *c, const struct row *head, const struct row *r)
{
    struct scene scene = scene_read(c, r->cells[0]);
    struct qos_stats st = played(c, &scene);

    if (r->n != head->n)
        wrong("%u cells, not %u", r->n, head->n);
    for (unsigned i = 1; i < head->n; i++) {
        const char *name = head->cells[i];
        int k = class_named(name, strlen(name));
        if (k < 0 && strncmp(name, "at ", 3) != 0)
            wrong("what is column \"%s\"?", name);
        expect_number(r, i,
                      k >= 0 ? st.classes[k].leased
                             : st.providers[provider_named(c, name + 3, strlen(name + 3))].leased);
    }
}

static void shares_check(const struct config *c, const struct row *head, const struct row *r)
{
    int k = class_named(r->cells[0], strlen(r->cells[0]));

    if (k < 0 || head->n != 4)
        wrong("a row of shares is: class, guaranteed, burst, weight");
    expect_number(r, 1, c->classes[k].guaranteed);
    expect_number(r, 2, c->classes[k].burst);
    expect_number(r, 3, c->classes[k].weight);
}

/* --- the page ---------------------------------------------------------------------------------- */

static struct config *config_read(const char *text)
{
    char err[512];
    struct config *c = NULL;

    if (config_parse(text, strlen(text), "the configuration above", &c, err, sizeof(err)) < 0)
        wrong("%s", err);
    return c;
}

START_TEST(every_row_of_every_table_is_what_the_scheduler_does)
{
    FILE *f = fopen(DOCS_FOLDER "/shares.md", "r");
    char line[512], text[4096] = "";
    struct row head = {0};
    struct config *c = NULL;
    bool in_config = false;
    unsigned configs = 0, shares = 0, rows = 0;

    ck_assert_ptr_nonnull(f);
    for (line_now = 1; fgets(line, sizeof(line), f); line_now++) {
        if (strncmp(line, "    [provider ", 14) == 0 && !in_config) {
            in_config = true;
            text[0] = '\0';
        }
        if (in_config && (strncmp(line, "    ", 4) == 0 || line[0] == '\n')) {
            ck_assert_uint_lt(strlen(text) + strlen(line), sizeof(text));
            strcat(text, line);
            continue;
        }
        if (in_config) {
            config_free(c);
            c = config_read(text);
            in_config = false;
            configs++;
        }
        if (line[0] != '|') {
            head.n = 0;
        } else if (!head.n) {
            head = row_read(line);
        } else if (c && strncmp(line, "|-", 2) != 0) {
            bool busy = strcmp(head.cells[0], "busy") == 0;
            bool class = strcmp(head.cells[0], "class") == 0;
            struct row r = busy || class ? row_read(line) : (struct row){0};
            if (busy)
                leases_check(c, &head, &r);
            else if (class)
                shares_check(c, &head, &r);
            rows += busy;
            shares += class;
        }
    }
    fclose(f);
    config_free(c);
    ck_assert_uint_ge(configs, 3);
    ck_assert_uint_ge(shares, 9);
    ck_assert_uint_ge(rows, 24);
}
END_TEST

/* --- what config check says -------------------------------------------------------------------- */

static uint64_t dice_state = 0x9e3779b97f4a7c15u;

static unsigned dice(unsigned n)
{
    dice_state ^= dice_state << 13;
    dice_state ^= dice_state >> 7;
    dice_state ^= dice_state << 17;
    return (unsigned)(dice_state >> 33) % n;
}

/* Any shares of any pool, two tiers, a reserve. */
static struct config *any_config(void)
{
    static const char *const names[TRAFFIC_CLASSES] = {"queue", "health", "streaming"};
    unsigned a = 1 + dice(30), b = dice(2) ? dice(20) : 0, t = a + b, left = t;
    char text[1000];
    size_t n =
        (size_t)snprintf(text, sizeof(text), "[provider a]\nhost = a\nconnections = %u\n", a);

    if (b)
        n += (size_t)snprintf(text + n, sizeof(text) - n,
                              "[provider b]\nhost = b\nconnections = %u\ntier = %u\n", b, dice(2));
    n += (size_t)snprintf(text + n, sizeof(text) - n, "[pool]\nreserve = %u\n",
                          dice(4) ? 0 : dice(t));
    for (unsigned k = 0; k < TRAFFIC_CLASSES; k++) {
        unsigned g = dice(left + 1), burst = g + dice(t - g + 1);
        left -= g;
        n += (size_t)snprintf(text + n, sizeof(text) - n,
                              "[class %s]\nguaranteed = %u\nburst = %u\nweight = %u\n", names[k], g,
                              burst ? burst : 1, 1 + dice(9));
    }
    return config_read(text);
}

START_TEST(what_config_check_says_is_what_the_scheduler_does)
{
    for (unsigned round = 0; round < 300; round++) {
        struct config *c = any_config();
        bool busy[TRAFFIC_CLASSES];
        unsigned said[TRAFFIC_CLASSES], who = 1 + dice(7);
        struct scene scene = {.weak = -1, .empty = -1};
        for (unsigned k = 0; k < TRAFFIC_CLASSES; k++) {
            busy[k] = who >> k & 1;
            scene.demands[k] = (struct demand){.busy = busy[k], .files = 1, .wants = ALL};
        }
        config_shares_when(c, busy, said);
        struct qos_stats st = played(c, &scene);
        for (unsigned k = 0; k < TRAFFIC_CLASSES; k++)
            ck_assert_msg(st.classes[k].leased == said[k],
                          "round %u, busy %u: %s has %u, and is said to have %u", round, who,
                          words[k], st.classes[k].leased, said[k]);
        config_free(c);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("qos/docs");
    TCase *t = tcase_create("the page");

    log_set_level(LOG_AT_ERROR);
    tcase_add_test(t, every_row_of_every_table_is_what_the_scheduler_does);
    tcase_add_test(t, what_config_check_says_is_what_the_scheduler_does);
    suite_add_tcase(suite, t);
    SRunner *r = srunner_create(suite);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
