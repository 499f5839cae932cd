#include "tests/lib/newsd_script.h"
#include "tests/lib/spool.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 4

struct script {
    struct newsd *d;
    struct spool *s;
    const char *words[WORDS_MAX]; /* the command and what follows; "" where there is none */
    char *out;
    size_t room;
};

int newsd_script_number(const char *text, uint64_t most, uint64_t *out)
{
    char *end;
    if (*text < '0' || *text > '9')
        return -EINVAL;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    unsigned shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
    if (errno || end[shift != 0] != '\0' || n > most >> shift)
        return -EINVAL;
    *out = (uint64_t)n << shift;
    return 0;
}

__attribute__((format(printf, 2, 3))) static int error(struct script *c, const char *fmt, ...)
{
    va_list ap;
    size_t n = (size_t)snprintf(c->out, c->room, "error: ");
    va_start(ap, fmt);
    if (n < c->room)
        vsnprintf(c->out + n, c->room - n, fmt, ap);
    va_end(ap);
    return -EINVAL;
}

/* ---- which articles ---- */

/* What "file/NAME/PART", "file/NAME" or a message-id stands for: file -1 is a message-id. */
struct aim {
    int file;
    uint32_t first, last;
    const char *message_id;
};

static bool aim_file(struct script *c, const char *path, struct aim *a)
{
    char name[4096];
    uint64_t part;
    const char *slash = strrchr(path, '/');
    a->file = spool_file_named(c->s, path);
    if (a->file >= 0) {
        a->first = 1;
        a->last = spool_parts(c->s, a->file);
        return true;
    }
    if (!slash || (size_t)(slash - path) >= sizeof(name) ||
        newsd_script_number(slash + 1, UINT32_MAX, &part))
        return false;
    memcpy(name, path, (size_t)(slash - path));
    name[slash - path] = '\0';
    a->file = spool_file_named(c->s, name);
    a->first = a->last = (uint32_t)part;
    return a->file >= 0 && part >= 1 && part <= spool_parts(c->s, a->file);
}

static int aim(struct script *c, const char *what, struct aim *a)
{
    if (strncmp(what, "file/", 5) == 0)
        return aim_file(c, what + 5, a) ? 0 : error(c, "no such file or part: %s", what);
    if (!strchr(what, '@'))
        return error(c, "neither a message-id nor file/NAME/PART: %s", what);
    *a = (struct aim){.file = -1, .message_id = what};
    return 0;
}

/* ---- commands ---- */

static int do_fault(struct script *c)
{
    struct aim a = {.file = -1};
    uint64_t times = 0;
    int kind = newsd_fault_named(c->words[2]);
    if (kind < 0)
        return error(c, "no such fault: %s", c->words[2]);
    if (c->words[3][0] && newsd_script_number(c->words[3], UINT32_MAX, &times))
        return error(c, "not a number of times: %s", c->words[3]);
    enum newsd_fault fault = (enum newsd_fault)kind;
    if (strcmp(c->words[1], "all") == 0) {
        newsd_fault(c->d, NULL, fault, (unsigned)times);
        return 0;
    }
    int err = aim(c, c->words[1], &a);
    if (err)
        return err;
    if (a.file < 0)
        newsd_fault(c->d, a.message_id, fault, (unsigned)times);
    for (uint32_t n = a.first; a.file >= 0 && n <= a.last; n++)
        newsd_fault(c->d, spool_message_id(c->s, a.file, n), fault, (unsigned)times);
    return 0;
}

static int do_clear(struct script *c)
{
    newsd_clear_faults(c->d);
    return 0;
}

static int do_down(struct script *c)
{
    newsd_down(c->d, true);
    return 0;
}

static int do_up(struct script *c)
{
    newsd_down(c->d, false);
    return 0;
}

static int do_silent(struct script *c)
{
    newsd_silent(c->d, true);
    return 0;
}

static int do_loud(struct script *c)
{
    newsd_silent(c->d, false);
    return 0;
}

static int do_stall(struct script *c)
{
    newsd_fault(c->d, NULL, NEWSD_STALL_MID, 0);
    return 0;
}

static int do_unstall(struct script *c)
{
    newsd_fault(c->d, NULL, NEWSD_NONE, 0);
    newsd_unstall(c->d);
    return 0;
}

static int do_drop(struct script *c)
{
    newsd_drop_all(c->d);
    return 0;
}

static int do_limit(struct script *c)
{
    uint64_t n;
    if (newsd_script_number(c->words[1], UINT32_MAX, &n))
        return error(c, "not a number of connections: %s", c->words[1]);
    newsd_set_limit(c->d, (unsigned)n);
    return 0;
}

static int do_latency(struct script *c)
{
    uint64_t ms;
    if (newsd_script_number(c->words[1], UINT32_MAX / 1000, &ms))
        return error(c, "not a number of milliseconds: %s", c->words[1]);
    newsd_set_latency(c->d, (unsigned)ms * 1000);
    return 0;
}

static int do_hold(struct script *c)
{
    newsd_hold(c->d, true);
    return 0;
}

static int do_release(struct script *c)
{
    uint64_t n;
    const char *tag = c->words[2];
    if (!c->words[1][0]) {
        newsd_hold(c->d, false);
        return 0;
    }
    if (newsd_script_number(c->words[1], UINT32_MAX, &n))
        return error(c, "not a number of articles: %s", c->words[1]);
    if (tag[0] && tag[1])
        return error(c, "a tag is one letter: %s", tag);
    snprintf(c->out, c->room, "%u", newsd_release(c->d, tag[0], (unsigned)n));
    return 0;
}

static int do_greeting(struct script *c)
{
    uint64_t n;
    if (newsd_script_number(c->words[1], 599, &n) || (n != 200 && n != 201 && n != 400 && n != 502))
        return error(c, "not 200, 201, 400 or 502: %s", c->words[1]);
    newsd_set_greeting(c->d, (unsigned)n);
    return 0;
}

static int do_logins(struct script *c)
{
    bool refuse = strcmp(c->words[1], "refuse") == 0;
    if (!refuse && strcmp(c->words[1], "accept") != 0)
        return error(c, "neither refuse nor accept: %s", c->words[1]);
    newsd_refuse_logins(c->d, refuse);
    return 0;
}

static int do_peak(struct script *c)
{
    snprintf(c->out, c->room, "%u", newsd_reset_peak(c->d));
    return 0;
}

static int do_tags(struct script *c)
{
    newsd_script_tags(c->d, c->out, c->room);
    return 0;
}

/* The latest that fit in a line. */
static int do_refusals(struct script *c)
{
    uint64_t times[100];
    size_t n = newsd_refusals(c->d, times, sizeof(times) / sizeof(*times)), at = 1;
    snprintf(c->out, c->room, "[");
    for (size_t i = 0; i < n && at < c->room; i++)
        at += (size_t)snprintf(c->out + at, c->room - at, "%s%" PRIu64, i ? "," : "", times[i]);
    if (at < c->room)
        snprintf(c->out + at, c->room - at, "]");
    return 0;
}

static int do_stats(struct script *c)
{
    newsd_script_stats(c->d, c->out, c->room);
    return 0;
}

static int do_asked(struct script *c)
{
    struct aim a = {.file = -1};
    uint64_t n = 0;
    int err = aim(c, c->words[1], &a);
    if (err)
        return err;
    if (a.file < 0)
        n = newsd_asked(c->d, a.message_id);
    for (uint32_t i = a.first; a.file >= 0 && i <= a.last; i++)
        n += newsd_asked(c->d, spool_message_id(c->s, a.file, i));
    snprintf(c->out, c->room, "%" PRIu64, n);
    return 0;
}

static const struct verb {
    const char *name;
    int (*run)(struct script *c);
    unsigned least, most; /* words after it */
} verbs[] = {
    {"fault", do_fault, 2, 3},       {"clear", do_clear, 0, 0},
    {"down", do_down, 0, 0},         {"up", do_up, 0, 0},
    {"silent", do_silent, 0, 0},     {"loud", do_loud, 0, 0},
    {"stall", do_stall, 0, 0},       {"unstall", do_unstall, 0, 0},
    {"drop", do_drop, 0, 0},         {"limit", do_limit, 1, 1},
    {"latency", do_latency, 1, 1},   {"stats", do_stats, 0, 0},
    {"asked", do_asked, 1, 1},       {"hold", do_hold, 0, 0},
    {"release", do_release, 0, 2},   {"tags", do_tags, 0, 0},
    {"peak", do_peak, 0, 0},         {"refusals", do_refusals, 0, 0},
    {"greeting", do_greeting, 1, 1}, {"logins", do_logins, 1, 1},
};

/* Cuts `text` into words; how many there are, WORDS_MAX + 1 for too many. */
static unsigned words_cut(struct script *c, char *text)
{
    char *rest = NULL;
    unsigned n = 0;
    for (char *w = strtok_r(text, " \t\r\n", &rest); w; w = strtok_r(NULL, " \t\r\n", &rest)) {
        if (n == WORDS_MAX)
            return WORDS_MAX + 1;
        c->words[n++] = w;
    }
    return n;
}

static int run(struct script *c, char *text)
{
    unsigned n = words_cut(c, text);
    for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++) {
        const struct verb *v = &verbs[i];
        if (strcmp(v->name, c->words[0]) != 0)
            continue;
        if (n < v->least + 1 || n > v->most + 1)
            return error(c, "%s takes %u to %u words", v->name, v->least, v->most);
        return v->run(c);
    }
    return error(c, "no such command: %s", c->words[0]);
}

int newsd_script_run(struct newsd *d, struct spool *s, const char *line, char *out, size_t room)
{
    struct script c = {.d = d, .s = s, .words = {"", "", "", ""}, .out = out, .room = room};
    char *text = strdup(line);
    if (!text)
        return error(&c, "no memory");
    snprintf(out, room, "ok");
    int err = run(&c, text);
    free(text);
    return err;
}

void newsd_script_stats(struct newsd *d, char *out, size_t room)
{
    struct newsd_stats s;
    newsd_stats(d, &s);
    snprintf(out, room,
             "{\"connections\":%u,\"connections_peak\":%u,\"accepted\":%" PRIu64
             ",\"refused\":%" PRIu64 ",\"logins\":%" PRIu64 ",\"resumed_tls\":%" PRIu64
             ",\"body\":%" PRIu64 ",\"article\":%" PRIu64 ",\"stat\":%" PRIu64 ",\"head\":%" PRIu64
             ",\"group\":%" PRIu64 ",\"missing\":%" PRIu64 ",\"commands\":%" PRIu64
             ",\"bytes_sent\":%" PRIu64 "}",
             s.connections, s.connections_peak, s.accepted, s.refused, s.logins, s.resumed_tls,
             s.body, s.article, s.stat, s.head, s.group, s.missing, s.commands, s.bytes_sent);
}

static size_t tag_put(char *out, size_t room, const char *name, const struct newsd_tag *t)
{
    int n = snprintf(
        out, room,
        "\"%s\":{\"connections\":%u,\"carrying\":%u,\"on\":%u,\"on_peak\":%u,\"in_flight\":%u,\"held\":%u,"
        "\"commands\":%" PRIu64 ",\"answered\":%" PRIu64 ",\"bytes\":%" PRIu64 "},",
        name, t->connections, t->carrying, t->on, t->on_peak, t->in_flight, t->held, t->commands,
        t->answered, t->bytes);
    return n > 0 && (size_t)n < room ? (size_t)n : 0;
}

void newsd_script_tags(struct newsd *d, char *out, size_t room)
{
    struct newsd_tags t;
    newsd_tags(d, &t);
    size_t at = (size_t)snprintf(out, room, "{");
    for (unsigned i = 0; i < NEWSD_TAGS; i++) {
        char name[2] = {i < NEWSD_TAGS - 1 ? (char)('a' + (int)i) : '-', '\0'};
        if (t.of[i].commands)
            at += tag_put(out + at, room - at, name, &t.of[i]);
    }
    at += tag_put(out + at, room - at, "all", &t.all);
    snprintf(out + at, room - at,
             "\"connections\":%u,\"peak\":%u,\"accepted\":%" PRIu64 ",\"refused\":%" PRIu64 "}",
             t.connections, t.peak, t.accepted, t.refused);
}
