/* qos-replay — feeds a trace's facts to a scheduler of this build, and holds what it says against what the
 * trace says. The first that differs is where to look: whatever comes after may follow from it. */

#include "qos/trace.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EQUAL = 0, DIFFERS = 1, UNUSABLE = 2 };

#define BEFORE 20 /* records shown before the one that differs */

static const char help[] =
    "usage: qos-replay [--check] [--stats] [--until LINE] TRACE\n"
    "\n"
    "Feed the facts of TRACE (nzbfs mount -o trace=FILE) to a scheduler, and compare every order.\n"
    "At the first that differs: its line, what was expected, what came instead, the records before it,\n"
    "and how classes and providers stand.\n"
    "\n"
    "      --check       test the scheduler's invariants after every record, too\n"
    "      --stats       at the end, how classes and providers stand, and how long things took\n"
    "      --until LINE  go no further than this line\n"
    "  -h, --help        this\n"
    "\n"
    "Exit status: 0 all are equal, 1 one differs or an invariant is broken, 2 TRACE cannot be used.\n";

struct replay {
    const char *path;
    FILE *file;
    bool check, stats;
    uint64_t until;
    struct qos *q;
    struct qos_trace_reader reader;
    struct qos_record got;
    struct qos_order order; /* got's */
    uint64_t records, orders;
    bool ended; /* by a last line, or by --until */
    char line[QOS_TRACE_LINE + 1];
    char before[BEFORE][QOS_TRACE_LINE]; /* by line number */
};

static int unusable(const struct replay *r, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static int unusable(const struct replay *r, const char *fmt, ...)
{
    va_list ap;

    fflush(stdout);
    fprintf(stderr, "qos-replay: %s: ", r->path);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    return UNUSABLE;
}

/* --- figures ----------------------------------------------------------------------------------------- */

static const char *const class_names[TRAFFIC_CLASSES] = {
    [TRAFFIC_QUEUE] = "queue", [TRAFFIC_HEALTH] = "health", [TRAFFIC_STREAMING] = "streaming"};

static void classes_print(const struct qos_stats *s)
{
    printf("  %-10s %10s %6s %6s %6s %8s %12s %9s %9s %8s %8s %8s %9s\n", "class", "guaranteed",
           "burst", "weight", "leased", "waiting", "by-guarantee", "by-burst", "done", "missing",
           "corrupt", "failed", "cancelled");
    for (unsigned i = 0; i < TRAFFIC_CLASSES; i++) {
        const struct qos_class_stats *c = &s->classes[i];
        printf("  %-10s %10u %6u %6u %6u %8u %12" PRIu64 " %9" PRIu64 " %9" PRIu64 " %8" PRIu64
               " %8" PRIu64 " %8" PRIu64 " %9" PRIu64 "\n",
               class_names[i], c->guaranteed, c->burst, c->weight, c->leased, c->waiting,
               c->granted_guarantee, c->granted_burst, c->done, c->missing, c->corrupt,
               c->failed + c->timeout, c->cancelled);
    }
    printf("  leased %u of %u, %u in reserve\n", s->leased_total, s->total, s->reserve);
}

static void providers_print(const struct qos_stats *s, qos_time clock, qos_time now)
{
    printf("  %-10s %5s %7s %7s %6s %5s %7s %7s %9s %8s %8s %8s %8s %7s %7s\n", "provider", "limit",
           "ceiling", "sockets", "leased", "idle", "opening", "closing", "lingering", "started",
           "ok", "not-here", "spoilt", "broken", "refused");
    for (unsigned i = 0; i < s->nproviders; i++) {
        const struct qos_provider_stats *p = &s->providers[i];
        printf("  p%-9u %5u %7u %7u %6u %5u %7u %7u %9u %8" PRIu64 " %8" PRIu64 " %8" PRIu64
               " %8" PRIu64 " %7" PRIu64 " %7" PRIu64 "%s",
               i, p->limit, p->ceiling, p->sockets, p->leased, p->idle, p->opening, p->closing,
               p->lingering, p->started, p->ok, p->not_here, p->spoilt, p->broken, p->refused,
               p->down ? "  down" : "");
        if (p->retry_at > now)
            printf("  tried again at %" PRIu64, p->retry_at - clock);
        putchar('\n');
    }
}

/* The least bound that `permille` of the times are below, of a histogram of qos.h, in words. */
static const char *below(const uint64_t *hist, unsigned permille, char *out, size_t room)
{
    uint64_t all = 0, sum = 0;
    unsigned i;

    for (i = 0; i < QOS_HIST; i++)
        all += hist[i];
    for (i = 0; i < QOS_HIST - 1; i++) {
        sum += hist[i];
        if (sum * 1000 >= all * permille)
            break;
    }
    double ms = (double)(UINT64_C(16) << (i < QOS_HIST - 1 ? i : i - 1)) / 1000;
    snprintf(out, room, "%s %.6g ms", i < QOS_HIST - 1 ? "below" : "above", ms);
    return out;
}

static void times_print(const char *who, const char *what, const uint64_t *hist)
{
    char half[48], most[48];
    uint64_t n = 0;

    for (unsigned i = 0; i < QOS_HIST; i++)
        n += hist[i];
    if (n)
        printf("  %-10s %s: %" PRIu64 ", half %s, 99 %% %s\n", who, what, n,
               below(hist, 500, half, sizeof(half)), below(hist, 990, most, sizeof(most)));
}

static void waits_print(const struct replay *r)
{
    struct qos_stats s;
    char name[16];

    qos_stats(r->q, &s);
    for (unsigned i = 0; i < TRAFFIC_CLASSES; i++) {
        times_print(class_names[i], "waits to be sent", s.classes[i].wait);
        times_print(class_names[i], "waits for what it is guaranteed", s.classes[i].reclaim);
    }
    for (unsigned i = 0; i < s.nproviders; i++) {
        snprintf(name, sizeof(name), "p%u", i);
        times_print(name, "connections opened", s.providers[i].open);
        times_print(name, "articles brought", s.providers[i].answer);
    }
}

static void state_print(const struct replay *r)
{
    struct qos_stats s;

    qos_stats(r->q, &s);
    classes_print(&s);
    providers_print(&s, r->reader.clock, r->reader.at);
}

/* --- what differs ------------------------------------------------------------------------------------ */

static void place_print(const struct replay *r, const char *what)
{
    qos_time at = r->reader.at - r->reader.clock;

    printf("line %" PRIu64 ", at %" PRIu64 ".%06" PRIu64 " s: %s\n", r->reader.line, at / 1000000,
           at % 1000000, what);
}

static void before_print(const struct replay *r)
{
    uint64_t last = r->reader.line, first = last > BEFORE ? last - BEFORE : 1;

    printf("before it:\n");
    for (uint64_t n = first; n < last; n++)
        printf("  %8" PRIu64 "  %s\n", n, r->before[n % BEFORE]);
}

static int differs(const struct replay *r, const struct qos_record *expected)
{
    char text[QOS_TRACE_LINE];
    size_t len;

    place_print(r, expected->kind == QOS_RECORD_ORDER || expected->kind == QOS_RECORD_QUIET
                       ? "the order differs"
                       : "the answer to a fact differs");
    printf("  expected  %s\n", r->line);
    len = qos_trace_record(text, sizeof(text), r->reader.clock, &r->got);
    printf("  got       %.*s", (int)len, text);
    before_print(r);
    printf("then:\n");
    state_print(r);
    return DIFFERS;
}

static int breaks(const struct replay *r, const char *what)
{
    place_print(r, what);
    printf("  after     %s\n", r->line);
    before_print(r);
    printf("then:\n");
    state_print(r);
    return DIFFERS;
}

/* --- the run ----------------------------------------------------------------------------------------- */

static int scheduler_make(struct replay *r)
{
    char why[160];

    if (qos_config_check(&r->reader.cfg, why, sizeof(why)))
        return unusable(r, "line %" PRIu64 ": its configuration is impossible: %s", r->reader.line,
                        why);
    r->q = qos_new(&r->reader.cfg, &r->reader.limits);
    return r->q ? EQUAL : unusable(r, "no memory for a scheduler of that size");
}

static int record_take(struct replay *r, const struct qos_record *record)
{
    const char *wrong = NULL;

    r->records++;
    r->orders += record->kind == QOS_RECORD_ORDER;
    if (!qos_trace_feed(r->q, record, &r->got, &r->order))
        return differs(r, record);
    if (r->check)
        wrong = qos_check(r->q);
    return wrong ? breaks(r, wrong) : EQUAL;
}

/* One whole line of it is in r->line. */
static int line_take(struct replay *r, size_t len)
{
    struct qos_record record;
    int status = EQUAL;

    switch (qos_trace_read(&r->reader, r->line, len, &record)) {
    case QOS_TRACE_NOTHING:
        break;
    case QOS_TRACE_HEAD:
        status = scheduler_make(r);
        break;
    case QOS_TRACE_RECORD:
        status = record_take(r, &record);
        break;
    case QOS_TRACE_WHOLE:
        r->ended = true;
        break;
    case QOS_TRACE_LOST:
        r->ended = true;
        fprintf(stderr, "qos-replay: %s: the trace ends early: %s\n", r->path, r->reader.err);
        break;
    case QOS_TRACE_ERROR:
        return unusable(r, "line %" PRIu64 ": %s", r->reader.line, r->reader.err);
    }
    memcpy(r->before[r->reader.line % BEFORE], r->line, len + 1);
    return status;
}

/* Of the next line, as much as may be one, without its newline. False: there is none; *cut: it has no
 * newline, so it may have been longer. */
static bool line_read(struct replay *r, size_t *len, bool *cut)
{
    int c;

    *len = 0;
    while ((c = getc_unlocked(r->file)) != EOF && c != '\n' && *len < QOS_TRACE_LINE)
        r->line[(*len)++] = (char)c;
    *cut = c == EOF;
    r->line[*len < QOS_TRACE_LINE ? *len : QOS_TRACE_LINE] = '\0';
    return c != EOF || *len;
}

static int lines_take(struct replay *r)
{
    size_t len;
    bool cut;
    int status = EQUAL;

    while (status == EQUAL && line_read(r, &len, &cut)) {
        if (cut && !ferror(r->file)) {
            fprintf(stderr, "qos-replay: %s: line %" PRIu64 " is cut off, and left out\n", r->path,
                    r->reader.line + 1);
            break;
        }
        if (r->reader.line == r->until) {
            r->ended = true;
            break;
        }
        status = line_take(r, len);
    }
    if (status == EQUAL && ferror(r->file))
        return unusable(r, "%s", strerror(errno));
    return status;
}

static int replay(struct replay *r)
{
    int status = lines_take(r);

    if (status != EQUAL)
        return status;
    if (!r->q)
        return unusable(r, "it ends before its first record");
    if (!r->ended)
        fprintf(stderr, "qos-replay: %s: the trace has no last line: its writer was stopped\n",
                r->path);
    qos_time last = r->reader.at - r->reader.clock;
    printf("%" PRIu64 " records, %" PRIu64 " orders, %" PRIu64 ".%06" PRIu64 " s: all equal%s\n",
           r->records, r->orders, last / 1000000, last % 1000000,
           r->check ? ", no invariant broken" : "");
    if (r->stats) {
        state_print(r);
        waits_print(r);
    }
    return EQUAL;
}

static int usage(const char *what)
{
    fprintf(stderr, "qos-replay: %s; qos-replay --help tells more\n", what);
    return UNUSABLE;
}

/* EQUAL, and r->path is NULL after --help. */
static int arguments_read(struct replay *r, int argc, char **argv)
{
    static const struct option longs[] = {{"check", no_argument, NULL, 'k'},
                                          {"stats", no_argument, NULL, 's'},
                                          {"until", required_argument, NULL, 'u'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    char *end;
    int opt;

    while ((opt = getopt_long(argc, argv, ":h", longs, NULL)) != -1) {
        switch (opt) {
        case 'k':
            r->check = true;
            break;
        case 's':
            r->stats = true;
            break;
        case 'u':
            errno = 0;
            r->until = strtoull(optarg, &end, 10);
            if (errno || *end || *optarg < '1' || *optarg > '9')
                return usage("--until takes the number of a line");
            break;
        case 'h':
            fputs(help, stdout);
            return EQUAL;
        default:
            return usage(opt == ':' ? "--until takes the number of a line" : "unknown option");
        }
    }
    if (argc - optind != 1)
        return usage("one TRACE is expected");
    r->path = argv[optind];
    return EQUAL;
}

int main(int argc, char **argv)
{
    static struct replay r = {.until = UINT64_MAX};
    int status = arguments_read(&r, argc, argv);

    if (!r.path || status != EQUAL)
        return status;
    r.file = strcmp(r.path, "-") == 0 ? stdin : fopen(r.path, "re");
    if (!r.file)
        return unusable(&r, "%s", strerror(errno));
    status = replay(&r);
    qos_free(r.q);
    fclose(r.file);
    if (fflush(stdout) || ferror(stdout))
        return unusable(&r, "standard output: %s", strerror(errno));
    return status;
}
