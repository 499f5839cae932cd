#include "tests/qos/story.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const char *const class_words[] = {"queue", "health", "streaming", NULL};
static const char *const urgency_words[] = {"demand", "readahead", "scan", NULL};
static const char *const verb_words[] = {"body", "stat", "head", NULL};
static const char *const gone_words[] = {"closed",  "stale", "broken", "silent",
                                         "refused", "limit", "login",  NULL};
static const char *const outcome_words[] = {"ok",       "not-here", "spoilt",
                                            "declined", "no-room",  NULL};
static const char *const step_words[] = {"pass",  "submit", "promote", "cancel", "ready", "gone",
                                         "begun", "answer", "resize",  "warm",   "stray", NULL};

static void *grow(void *p, size_t n, size_t size)
{
    void *to = realloc(p, n * size);
    if (!to)
        abort();
    return to;
}

/* --- life -------------------------------------------------------------------------------------- */

static unsigned config_add(struct story *s, const struct qos_config *cfg)
{
    if (s->nconfigs == s->configs_room) {
        s->configs_room = s->configs_room ? 2 * s->configs_room : 4;
        s->configs = grow(s->configs, s->configs_room, sizeof(*s->configs));
    }
    s->configs[s->nconfigs] = *cfg;
    return s->nconfigs++;
}

void story_init(struct story *s, const struct qos_config *cfg)
{
    *s = (struct story){0};
    config_add(s, cfg);
}

void story_fini(struct story *s)
{
    free(s->configs);
    free(s->steps);
    *s = (struct story){0};
}

void story_add(struct story *s, const struct step *step, const struct qos_config *cfg)
{
    if (s->n == s->room) {
        s->room = s->room ? 2 * s->room : 64;
        s->steps = grow(s->steps, s->room, sizeof(*s->steps));
    }
    s->steps[s->n] = *step;
    if (cfg)
        s->steps[s->n].config = config_add(s, cfg);
    s->n++;
}

void story_copy(struct story *to, const struct story *from)
{
    *to = (struct story){0};
    for (unsigned i = 0; i < from->nconfigs; i++)
        config_add(to, &from->configs[i]);
    for (size_t i = 0; i < from->n; i++)
        story_add(to, &from->steps[i], NULL);
}

/* --- out --------------------------------------------------------------------------------------- */

/* Of a configuration, the times that are not left to their defaults. */
static const struct {
    const char *word;
    size_t off;
} config_times[] = {
    {"rate", offsetof(struct qos_config, rate_bps)},
    {"backoff", offsetof(struct qos_config, backoff_us)},
    {"backoff_max", offsetof(struct qos_config, backoff_max_us)},
    {"login", offsetof(struct qos_config, login_us)},
    {"probe", offsetof(struct qos_config, probe_us)},
    {"linger", offsetof(struct qos_config, linger_us)},
    {"idle", offsetof(struct qos_config, idle_us)},
    {"cover", offsetof(struct qos_config, cover_us)},
};
#define NTIMES (sizeof(config_times) / sizeof(config_times[0]))

static void config_write(const struct qos_config *c, FILE *f)
{
    fprintf(f, " total=%u reserve=%u attempts=%u", c->total, c->reserve, c->attempts);
    for (size_t i = 0; i < NTIMES; i++) {
        uint64_t v;
        memcpy(&v, (const char *)c + config_times[i].off, sizeof(v));
        if (v)
            fprintf(f, " %s=%llu", config_times[i].word, (unsigned long long)v);
    }
    for (unsigned i = 0; i < TRAFFIC_CLASSES; i++) {
        const struct qos_class_config *k = &c->classes[i];
        fprintf(f, " %s=%u/%u/%u/%u/%u", class_words[i], k->guaranteed, k->burst, k->weight,
                k->per_stream, k->hedge);
    }
    for (unsigned i = 0; i < c->nproviders; i++) {
        const struct qos_provider_config *p = &c->providers[i];
        fprintf(f, " p%u=%u/%u/%u/%u/%llu/%llu", i, p->connections, p->tier, p->weight,
                p->pipelining, (unsigned long long)p->retention_us,
                (unsigned long long)p->rate_bps);
    }
}

static void want_write(const struct qos_want *w, FILE *f)
{
    fprintf(f, " %s %s %s stream=%llu", class_words[w->class], urgency_words[w->urgency],
            verb_words[w->verb], (unsigned long long)w->stream);
    if (w->bytes)
        fprintf(f, " bytes=%llu", (unsigned long long)w->bytes);
    if (w->age)
        fprintf(f, " age=%llu", (unsigned long long)w->age);
    if (w->deadline)
        fprintf(f, " deadline=%llu", (unsigned long long)w->deadline);
}

static void step_write(const struct story *s, const struct step *st, FILE *f)
{
    fprintf(f, "%llu.%06llu %s", (unsigned long long)(st->at / 1000000),
            (unsigned long long)(st->at % 1000000), step_words[st->kind]);
    switch (st->kind) {
    case STEP_PASS:
        break;
    case STEP_SUBMIT:
        fprintf(f, " #%u", st->op);
        want_write(&st->want, f);
        break;
    case STEP_PROMOTE:
        fprintf(f, " #%u %s deadline=%llu", st->op, urgency_words[st->urgency],
                (unsigned long long)st->deadline);
        break;
    case STEP_CANCEL:
        fprintf(f, " #%u", st->op);
        break;
    case STEP_READY:
    case STEP_BEGUN:
        fprintf(f, " p%u.%u", st->provider, st->nth);
        break;
    case STEP_GONE:
        fprintf(f, " p%u.%u %s %s dice=%u", st->provider, st->nth, gone_words[st->why],
                st->seen ? "seen" : "unseen", st->dice);
        break;
    case STEP_ANSWER:
        fprintf(f, " p%u.%u %s bytes=%llu", st->provider, st->nth, outcome_words[st->how],
                (unsigned long long)st->bytes);
        break;
    case STEP_RESIZE:
        config_write(&s->configs[st->config], f);
        break;
    case STEP_WARM:
        fprintf(f, " %s n=%u deadline=%llu", class_words[st->want.class], st->n,
                (unsigned long long)st->deadline);
        break;
    case STEP_STRAY:
        fprintf(f, " dice=%u", st->dice);
        break;
    }
    fputc('\n', f);
}

void story_write(const struct story *s, FILE *f)
{
    fputs("start", f);
    config_write(&s->configs[0], f);
    fputc('\n', f);
    for (size_t i = 0; i < s->n; i++)
        step_write(s, &s->steps[i], f);
}

/* --- in ---------------------------------------------------------------------------------------- */

/** The words of one line. The first that makes no sense is remembered; what follows it does nothing. */
struct words {
    char *save;
    const char *wrong;
};

static const char *word(struct words *w)
{
    return strtok_r(NULL, " \t\n", &w->save);
}

static unsigned choice(struct words *w, const char *got, const char *const *of)
{
    for (unsigned i = 0; got && of[i]; i++) {
        if (!strcmp(got, of[i]))
            return i;
    }
    if (!w->wrong)
        w->wrong = got ? got : "the line ends too soon";
    return 0;
}

static bool scan(struct words *w, const char *got, const char *fmt, unsigned n, ...)
    __attribute__((format(scanf, 3, 5)));

/** `n` values by `fmt`, or the word is wrong. */
static bool scan(struct words *w, const char *got, const char *fmt, unsigned n, ...)
{
    va_list ap;
    va_start(ap, n);
    bool good = got && vsscanf(got, fmt, ap) == (int)n;
    va_end(ap);
    if (!good && !w->wrong)
        w->wrong = got ? got : "the line ends too soon";
    return good;
}

static bool config_time_read(struct qos_config *c, const char *got)
{
    for (size_t i = 0; i < NTIMES; i++) {
        size_t n = strlen(config_times[i].word);
        if (strncmp(got, config_times[i].word, n) != 0 || got[n] != '=')
            continue;
        uint64_t v = strtoull(got + n + 1, NULL, 10);
        memcpy((char *)c + config_times[i].off, &v, sizeof(v));
        return true;
    }
    return false;
}

static bool config_class_read(struct words *w, struct qos_config *c, const char *got)
{
    for (unsigned i = 0; i < TRAFFIC_CLASSES; i++) {
        size_t n = strlen(class_words[i]);
        struct qos_class_config *k = &c->classes[i];
        if (strncmp(got, class_words[i], n) != 0 || got[n] != '=')
            continue;
        return scan(w, got + n, "=%u/%u/%u/%u/%u", 5, &k->guaranteed, &k->burst, &k->weight,
                    &k->per_stream, &k->hedge);
    }
    return false;
}

static void config_read(struct words *w, struct qos_config *c)
{
    const char *got;
    *c = (struct qos_config){0};
    while (!w->wrong && (got = word(w))) {
        unsigned i;
        struct qos_provider_config p = {0};
        if (config_time_read(c, got) || config_class_read(w, c, got) ||
            sscanf(got, "total=%u", &c->total) == 1 ||
            sscanf(got, "reserve=%u", &c->reserve) == 1 ||
            sscanf(got, "attempts=%u", &c->attempts) == 1)
            continue;
        if (!scan(w, got, "p%u=%u/%u/%u/%u/%" SCNu64 "/%" SCNu64, 7, &i, &p.connections, &p.tier,
                  &p.weight, &p.pipelining, &p.retention_us, &p.rate_bps))
            return;
        if (i >= QOS_PROVIDERS) {
            w->wrong = got;
            return;
        }
        c->providers[i] = p;
        c->nproviders = i < c->nproviders ? c->nproviders : i + 1;
    }
}

static void want_read(struct words *w, struct qos_want *want)
{
    const char *got;
    want->class = (enum traffic_class)choice(w, word(w), class_words);
    want->urgency = (enum urgency)choice(w, word(w), urgency_words);
    want->verb = (enum segment_verb)choice(w, word(w), verb_words);
    while (!w->wrong && (got = word(w))) {
        if (sscanf(got, "bytes=%" SCNu64, &want->bytes) != 1 &&
            sscanf(got, "age=%" SCNu64, &want->age) != 1 &&
            sscanf(got, "deadline=%" SCNu64, &want->deadline) != 1)
            scan(w, got, "stream=%" SCNu64, 1, &want->stream);
    }
}

static void step_read(struct words *w, struct step *st, struct qos_config *cfg)
{
    st->kind = (enum step_kind)choice(w, word(w), step_words);
    switch (st->kind) {
    case STEP_PASS:
        break;
    case STEP_SUBMIT:
        scan(w, word(w), "#%u", 1, &st->op);
        want_read(w, &st->want);
        break;
    case STEP_PROMOTE:
        scan(w, word(w), "#%u", 1, &st->op);
        st->urgency = (enum urgency)choice(w, word(w), urgency_words);
        scan(w, word(w), "deadline=%" SCNu64, 1, &st->deadline);
        break;
    case STEP_CANCEL:
        scan(w, word(w), "#%u", 1, &st->op);
        break;
    case STEP_READY:
    case STEP_BEGUN:
        scan(w, word(w), "p%u.%u", 2, &st->provider, &st->nth);
        break;
    case STEP_GONE: {
        scan(w, word(w), "p%u.%u", 2, &st->provider, &st->nth);
        st->why = (enum qos_gone)choice(w, word(w), gone_words);
        static const char *const seen[] = {"unseen", "seen", NULL};
        st->seen = choice(w, word(w), seen) == 1;
        scan(w, word(w), "dice=%u", 1, &st->dice);
        break;
    }
    case STEP_ANSWER:
        scan(w, word(w), "p%u.%u", 2, &st->provider, &st->nth);
        st->how = (enum qos_outcome)choice(w, word(w), outcome_words);
        scan(w, word(w), "bytes=%" SCNu64, 1, &st->bytes);
        break;
    case STEP_RESIZE:
        config_read(w, cfg);
        break;
    case STEP_WARM:
        st->want.class = (enum traffic_class)choice(w, word(w), class_words);
        scan(w, word(w), "n=%u", 1, &st->n);
        scan(w, word(w), "deadline=%" SCNu64, 1, &st->deadline);
        break;
    case STEP_STRAY:
        scan(w, word(w), "dice=%u", 1, &st->dice);
        break;
    }
}

static const char *line_read(struct story *s, char *line)
{
    struct words w = {0};
    struct step st = {0};
    struct qos_config cfg;
    unsigned long sec, us;
    line[strcspn(line, "\n")] = '\0';
    const char *first = strtok_r(line, " \t", &w.save);
    if (!first || *first == '#')
        return NULL;
    if (!s->nconfigs) {
        if (strcmp(first, "start") != 0)
            return "a story begins with `start`";
        config_read(&w, &cfg);
        if (!w.wrong)
            config_add(s, &cfg);
        return w.wrong;
    }
    if (!scan(&w, first, "%lu.%6lu", 2, &sec, &us))
        return w.wrong;
    st.at = (qos_time)sec * 1000000 + us;
    step_read(&w, &st, &cfg);
    if (!w.wrong)
        story_add(s, &st, st.kind == STEP_RESIZE ? &cfg : NULL);
    return w.wrong;
}

int story_read(struct story *s, FILE *f, char *err, size_t errlen)
{
    char line[4096];
    unsigned n = 0;
    *s = (struct story){0};
    while (fgets(line, sizeof(line), f)) {
        n++;
        const char *wrong = line_read(s, line);
        if (wrong) {
            snprintf(err, errlen, "line %u: %s", n, wrong);
            story_fini(s);
            return -1;
        }
    }
    if (s->nconfigs)
        return 0;
    snprintf(err, errlen, "no story in it");
    return -1;
}
