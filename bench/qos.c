/* qos — what one decision of the scheduler costs, in every setting that could make it dear.
 *
 * A decision is a fact with all it leads to: the fact itself, every order drawn after it, the qos_next() that
 * says there are no more, and qos_wake(); that is what a thread does while it holds the pool's lock. Each
 * phase is measured in batches of BATCH decisions. The clock is the thread's CPU time: there is nothing to
 * wait for, and a neighbour's turn on the core is not the scheduler's.
 *
 * Exit status 1: with the most connections some phase took longer than LIMIT_US a decision on average.
 */

#include "bench/qos_load.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BATCH     64u
#define LIMIT_US  5.0
#define LIMIT_AT  10000u /* connections */
#define TOUCHES   2048u  /* cancellations, promotions and submissions that are timed */
#define RESIZES   10u
#define ROWS_MOST 16384u

enum phase { OPEN, READY, ANSWER, SUBMIT, PROMOTE, CANCEL, PHASES };

static const char *const phase_names[PHASES] = {"open",   "ready",   "answer",
                                                "submit", "promote", "cancel"};

/* Of one phase, in µs a decision: the batches' figures, sorted. */
struct timing {
    double batch[ROWS_MOST], total;
    unsigned n;
};

struct result {
    struct load_options o;
    double mean[PHASES], p50[PHASES], p99[PHASES], worst[PHASES];
    double orders_per_s; /* in the steady state */
    double resize_us, wake_ns;
    double bytes_per_op;
};

struct options {
    unsigned connections, answers, waiting; /* connections 0: all of them */
    bool json;
};

static double cpu_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static void timing_add(struct timing *t, double us, unsigned decisions)
{
    t->total += us;
    if (decisions && t->n < ROWS_MOST)
        t->batch[t->n++] = us / decisions;
}

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static void timing_sum(struct timing *t, unsigned decisions, struct result *r, enum phase p)
{
    if (!t->n || !decisions)
        return;
    qsort(t->batch, t->n, sizeof(*t->batch), by_value);
    r->mean[p] = t->total / decisions;
    r->p50[p] = t->batch[t->n / 2];
    r->p99[p] = t->batch[t->n - 1 - t->n / 100];
    r->worst[p] = t->batch[t->n - 1];
}

/* --- phases ------------------------------------------------------------------------------------ */

static void submit_one(struct load *l)
{
    load_submit(l);
}

static void promote_one(struct load *l)
{
    qos_promote(l->q, l->now += LOAD_STEP_US, load_waiter(l), URGENCY_DEMAND, 0);
}

static void cancel_one(struct load *l)
{
    qos_cancel(l->q, l->now += LOAD_STEP_US, load_waiter(l));
}

/* `count` facts; behind each batch what it used up is made good again, and not timed. */
static void facts_time(struct load *l, void (*fact)(struct load *l), unsigned count,
                       struct result *r, enum phase p)
{
    static struct timing t;
    unsigned done = 0;

    t.n = 0;
    t.total = 0;
    while (done < count) {
        unsigned n = count - done < BATCH ? count - done : BATCH;
        double start = cpu_us();
        for (unsigned i = 0; i < n; i++) {
            fact(l);
            load_settle(l);
        }
        timing_add(&t, cpu_us() - start, n);
        done += n;
        while (p != SUBMIT && l->nwaiting < l->o.waiting) {
            load_submit(l);
            load_settle(l);
        }
    }
    timing_sum(&t, done, r, p);
}

/* All connections are ordered after one fact: a decision is one OPEN. */
static void opens_time(struct load *l, struct result *r)
{
    static struct timing t;
    bool more = true;

    t.n = 0;
    t.total = 0;
    while (more) {
        unsigned n = 0;
        double start = cpu_us();
        while (n < BATCH && (more = load_draw(l)))
            n++;
        timing_add(&t, cpu_us() - start, n);
    }
    timing_sum(&t, l->nopening, r, OPEN);
}

static uint64_t resident(void)
{
    unsigned long long all = 0, res = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    if (!f)
        return 0;
    if (fscanf(f, "%llu %llu", &all, &res) != 2)
        res = 0;
    fclose(f);
    return res * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* A third of the guarantees goes to and fro, with everything waiting and in flight. */
static double resize_us(struct load *l)
{
    struct qos_config other = l->cfg;

    for (unsigned c = 0; c < TRAFFIC_CLASSES; c++)
        other.classes[c].guaranteed /= 3;
    double start = cpu_us();
    for (unsigned i = 0; i < RESIZES; i++) {
        if (qos_resize(l->q, l->now += LOAD_STEP_US, i % 2 ? &l->cfg : &other)) {
            fprintf(stderr, "bench: the scheduler refuses another configuration\n");
            exit(1);
        }
        load_settle(l);
    }
    return (cpu_us() - start) / RESIZES;
}

static double wake_ns(const struct load *l)
{
    enum { CALLS = 10000 };
    volatile uint64_t sum = 0;
    double start = cpu_us();

    for (unsigned i = 0; i < CALLS; i++)
        sum += qos_wake(l->q);
    return sum ? (cpu_us() - start) * 1e3 / CALLS : 0;
}

static void measure(const struct load_options *o, unsigned answers, struct result *r)
{
    struct load l;

    *r = (struct result){.o = *o};
    load_open(&l, o);
    uint64_t before = resident();
    for (unsigned i = 0; i < o->waiting; i++)
        load_submit(&l);
    r->bytes_per_op = (double)(resident() - before) / o->waiting;
    opens_time(&l, r);
    facts_time(&l, load_ready, l.nopening, r, READY);
    uint64_t orders = l.orders;
    facts_time(&l, load_answer, answers, r, ANSWER);
    /* What the submissions between batches led to is not in the time; they lead to nothing while all
     * connections are full. */
    r->orders_per_s = (double)(l.orders - orders) / (r->mean[ANSWER] * answers) * 1e6;
    facts_time(&l, promote_one, TOUCHES, r, PROMOTE);
    facts_time(&l, cancel_one, TOUCHES, r, CANCEL);
    facts_time(&l, submit_one, 1000, r, SUBMIT);
    r->resize_us = resize_us(&l);
    r->wake_ns = wake_ns(&l);
    const char *wrong = qos_check(l.q);
    if (wrong) {
        fprintf(stderr, "bench: afterwards %s\n", wrong);
        exit(1);
    }
    load_close(&l);
}

/* --- the table --------------------------------------------------------------------------------- */

static void header_print(const struct options *o)
{
    printf("\nqos: µs of CPU a decision, %u waiting; of batches of %u: median / p99 / worst\n",
           o->waiting, BATCH);
    printf("%6s %4s %5s %7s %4s | %-18s %-18s %-18s | %-11s %-11s %-11s | %9s %7s %8s\n", "conns",
           "prov", "class", "streams", "pipe", "open", "ready", "answer", "submit", "promote",
           "cancel", "Morders/s", "wake ns", "resize ms");
}

static void row_print(const struct options *o, const struct result *r)
{
    const struct load_options *l = &r->o;

    if (!o->json) {
        printf("%6u %4u %5u %7u %4u |", l->connections, l->providers, l->classes, l->streams,
               l->pipelining);
        for (unsigned p = OPEN; p <= ANSWER; p++)
            printf(" %4.2f /%5.2f /%5.2f", r->p50[p], r->p99[p], r->worst[p]);
        printf(" |");
        for (unsigned p = SUBMIT; p < PHASES; p++)
            printf(" %4.2f /%5.2f", r->p50[p], r->p99[p]);
        printf(" | %9.2f %7.0f %8.1f\n", r->orders_per_s / 1e6, r->wake_ns, r->resize_us / 1e3);
        return;
    }
    printf("{\"bench\":\"qos\",\"connections\":%u,\"providers\":%u,\"classes\":%u,\"streams\":%u,"
           "\"pipelining\":%u,\"waiting\":%u,",
           l->connections, l->providers, l->classes, l->streams, l->pipelining, l->waiting);
    for (unsigned p = 0; p < PHASES; p++)
        printf("\"%s_us\":{\"mean\":%.3f,\"p50\":%.3f,\"p99\":%.3f,\"worst\":%.3f},",
               phase_names[p], r->mean[p], r->p50[p], r->p99[p], r->worst[p]);
    printf("\"orders_per_s\":%.0f,\"wake_ns\":%.0f,\"resize_us\":%.0f,\"bytes_per_op\":%.0f}\n",
           r->orders_per_s, r->wake_ns, r->resize_us, r->bytes_per_op);
}

/* The dearest of the rows that count. */
struct verdict {
    double us, bytes;
    const char *phase;
    struct load_options o;
};

static void verdict_take(struct verdict *v, const struct result *r)
{
    v->bytes = r->bytes_per_op > v->bytes ? r->bytes_per_op : v->bytes;
    if (r->o.connections != LIMIT_AT)
        return;
    for (unsigned p = 0; p < PHASES; p++) {
        if (r->mean[p] <= v->us)
            continue;
        v->us = r->mean[p];
        v->phase = phase_names[p];
        v->o = r->o;
    }
}

static int verdict_print(const struct verdict *v, bool json)
{
    bool good = v->us < LIMIT_US;

    if (!json)
        printf("  an operation takes %.0f bytes at most\n", v->bytes);
    if (!v->phase)
        return 0;
    if (!json)
        printf("  %s: with %u connections the dearest phase takes %.2f µs a decision on average, "
               "bound %.0f (%s; %u provider(s), %u class(es), %u stream(s), pipelining %u)\n",
               good ? "pass" : "FAIL", LIMIT_AT, v->us, LIMIT_US, v->phase, v->o.providers,
               v->o.classes, v->o.streams, v->o.pipelining);
    return good ? 0 : 1;
}

/* --- the settings ------------------------------------------------------------------------------ */

static void usage(FILE *to)
{
    fputs("usage: bench_qos [--connections N] [--answers N] [--waiting N] [--json]\n"
          "Times the scheduler alone. --connections measures one size in place of 100, 1000 and\n"
          "10000; exit status 1 when a decision takes 5 us or more with 10000.\n",
          to);
}

static unsigned number(const char *arg)
{
    char *end;
    unsigned long v = strtoul(arg, &end, 10);

    if (!*arg || *end || !v || v > 1000000) {
        fprintf(stderr, "bench: '%s' is not a number from 1 to 1000000\n", arg);
        exit(2);
    }
    return (unsigned)v;
}

static void options_read(int argc, char **argv, struct options *o)
{
    static const struct option known[] = {
        {"connections", 1, NULL, 'c'}, {"answers", 1, NULL, 'a'}, {"waiting", 1, NULL, 'w'},
        {"json", 0, NULL, 'j'},        {"help", 0, NULL, 'h'},    {NULL, 0, NULL, 0},
    };
    int c;

    while ((c = getopt_long(argc, argv, "h", known, NULL)) != -1) {
        switch (c) {
        case 'c':
            o->connections = number(optarg);
            break;
        case 'a':
            o->answers = number(optarg);
            break;
        case 'w':
            o->waiting = number(optarg);
            break;
        case 'j':
            o->json = true;
            break;
        case 'h':
            usage(stdout);
            exit(0);
        default:
            usage(stderr);
            exit(2);
        }
    }
    if (optind != argc) {
        usage(stderr);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    static const unsigned sizes[] = {100, 1000, LIMIT_AT}, providers[] = {1, 4, 8},
                          classes[] = {1, 3}, streams[] = {1, 1000}, depths[] = {1, 4};
    struct options o = {.answers = 100000, .waiting = 100000};
    struct verdict v = {0};
    unsigned nsizes = 3;

    options_read(argc, argv, &o);
    const unsigned *size = o.connections ? &o.connections : sizes;
    nsizes = o.connections ? 1 : nsizes;
    if (!o.json)
        header_print(&o);
    for (unsigned i = 0; i < nsizes * 24; i++) {
        struct result r;
        struct load_options l = {.connections = size[i / 24],
                                 .providers = providers[i / 8 % 3],
                                 .classes = classes[i / 4 % 2],
                                 .streams = streams[i / 2 % 2],
                                 .pipelining = depths[i % 2],
                                 .waiting = o.waiting};
        measure(&l, o.answers, &r);
        row_print(&o, &r);
        fflush(stdout);
        verdict_take(&v, &r);
    }
    return verdict_print(&v, o.json);
}
