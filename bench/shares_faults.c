/* Providers that bear less than they are configured for, and providers that die and return. */
#include "bench/shares.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>

/* --- ceiling ---------------------------------------------------------------------------------------- */

/* Articles a second of one connection that always has more to bring. */
static double one_connection(const struct pace *pace, uint64_t us)
{
    struct stage s;
    struct load l;

    stage_init(&s, pace);
    stage_server(&s, 1);
    stage_class(&s, TRAFFIC_STREAMING, 1, 1);
    stage_class(&s, TRAFFIC_QUEUE, 0, 1);
    stage_class(&s, TRAFFIC_HEALTH, 0, 1);
    s.cfg.providers[0].pipelining = 1;
    stage_start(&s);
    load_init(&l, &s, TRAFFIC_STREAMING, 's', 8, pace->payload);
    load_start(&l, 0);
    pause_us(2 * (uint64_t)s.article_us);
    uint64_t start = clock_now_us(), before = load_done(&l);
    pause_us(us);
    double rate = (double)(load_done(&l) - before) * 1e6 / (double)(clock_now_us() - start);
    load_fini(&l);
    stage_fini(&s);
    return rate;
}

/* The most refusals in any stretch as long as the probe interval, from `from` on. */
static unsigned refusals_dense(const uint64_t *at, size_t n, uint64_t from, uint64_t probe_us)
{
    unsigned most = 0;

    for (size_t i = 0; i < n; i++) {
        unsigned here = 0;
        if (at[i] < from)
            continue;
        for (size_t k = i; k < n && at[k] - at[i] < probe_us; k++)
            here++;
        most = here > most ? here : most;
    }
    return most;
}

static bool has_connections(struct stage *s, const void *n)
{
    return stage_connections(s, 0) == *(const unsigned *)n;
}

static void settle(struct scenes *x, struct stage *s, struct load loads[2], double one,
                   uint64_t start, uint64_t us)
{
    static uint64_t refusals[4096];
    struct samples counts = {0};
    uint64_t from = clock_now_us(), before = load_done(&loads[0]) + load_done(&loads[1]);

    while (clock_now_us() - from < us) {
        samples_add(&counts, stage_connections(s, 0));
        pause_us(10000);
    }
    double rate = (double)(load_done(&loads[0]) + load_done(&loads[1]) - before) * 1e6 /
                  (double)(clock_now_us() - from);
    size_t n = newsd_refusals(s->servers[0], refusals, sizeof(refusals) / sizeof(*refusals));
    unsigned first = 0;
    for (size_t i = 0; i < n; i++)
        first += refusals[i] < start + 1000000;
    report_line(x->report, first, "refusals", BOUND_NONE, 0, "in the first second");
    report_line(x->report, (double)(n - first), "refusals", BOUND_NONE, 0, "in the %.1f s after it",
                (double)(clock_now_us() - start) / 1e6 - 1);
    report_line(
        x->report,
        refusals_dense(refusals, n, start + 1000000, s->cfg.timeouts.probe_s * UINT64_C(1000000)),
        "refusals", BOUND_MOST, 1, "most in any %u s after the first second",
        s->cfg.timeouts.probe_s);
    report_line(x->report, samples_percentile(&counts, 0), "sockets", BOUND_LEAST, 20,
                "connections by the server's count, fewest of %u samples", counts.n);
    report_line(x->report, samples_percentile(&counts, 100), "sockets", BOUND_MOST, 20,
                "the same, most");
    report_line(x->report, rate / (20 * one), "of 20", BOUND_LEAST, 0.95,
                "throughput over 20 times one connection's (%.2f articles/s)", one);
    samples_fini(&counts);
}

void scene_ceiling(struct scenes *x)
{
    const struct pace pace = {.latency_us = 40000, .rate_bps = 50000, .payload = 5000};
    const unsigned raised = 50;
    double one = one_connection(&pace, x->quick ? 600000 : 5000000);
    struct load loads[2];
    struct stage s;

    stage_init(&s, &pace);
    stage_server(&s, 50);
    newsd_set_limit(s.servers[0], 20);
    stage_class(&s, TRAFFIC_STREAMING, 20, 50);
    stage_class(&s, TRAFFIC_QUEUE, 15, 50);
    stage_class(&s, TRAFFIC_HEALTH, 5, 12);
    s.cfg.timeouts.probe_s = x->quick ? 1 : 2;
    s.cfg.providers[0].pipelining = 1;
    stage_start_cold(&s);
    report_scene(x->report, "ceiling",
                 "server bears 20, configured 50; probe %u s; two classes hungry; 40 ms until the "
                 "first byte, %.1f articles/s a connection; no pipelining (it is "
                 "rationed where guarantees are shared)",
                 s.cfg.timeouts.probe_s, one);
    load_init(&loads[0], &s, TRAFFIC_STREAMING, 's', 200, pace.payload);
    load_init(&loads[1], &s, TRAFFIC_QUEUE, 'q', 200, pace.payload);
    uint64_t start = clock_now_us();
    load_start(&loads[0], 0);
    load_start(&loads[1], 0);
    pause_us(1000000);
    settle(x, &s, loads, one, start, x->quick ? 1200000 : 10000000);
    start = clock_now_us();
    newsd_set_limit(s.servers[0], raised);
    bool found = stage_await(&s, has_connections, &raised, 30000000);
    report_line(x->report, (double)(clock_now_us() - start) / 1e6, "s", BOUND_MOST,
                s.cfg.timeouts.probe_s + 30 * 0.1, "limit raised: until the server counts 50%s",
                found ? "" : " (never, in 30 s)");
    load_fini(&loads[0]);
    load_fini(&loads[1]);
    stage_fini(&s);
}

/* --- dying ------------------------------------------------------------------------------------------ */

static const char tags[TRAFFIC_CLASSES] = {'q', 'h', 's'};

static void provider_of(struct stage *s, unsigned i, struct qos_provider_stats *out, uint64_t *now)
{
    struct nntp_pool_stats st;

    stage_stats(s, &st);
    *out = st.qos.providers[i];
    *now = st.now_us;
}

static bool has_more_than(struct stage *s, const void *ok)
{
    struct qos_provider_stats p;
    uint64_t now;

    provider_of(s, 0, &p, &now);
    return p.ok > *(const uint64_t *)ok;
}

static bool is_full(struct stage *s, const void *n)
{
    struct qos_provider_stats p;
    uint64_t now;

    provider_of(s, 0, &p, &now);
    return p.sockets - p.lingering - p.closing - p.opening >= *(const unsigned *)n;
}

struct deaths {
    struct samples first, over,
        full; /* us: until an answer; of it beyond what was to be waited; all */
    unsigned limit;
};

/* Down for `us`, and back. */
static void die(struct stage *s, uint64_t us, struct deaths *d)
{
    struct qos_provider_stats p;
    uint64_t now;

    newsd_down(s->servers[0], true);
    pause_us(us);
    newsd_down(s->servers[0], false);
    provider_of(s, 0, &p, &now);
    uint64_t wait = p.down && p.retry_at > now ? p.retry_at - now : 0;
    if (!stage_await(s, has_more_than, &p.ok, 60000000))
        shares_die("a provider that is back is not asked again within a minute");
    uint64_t took = clock_now_us() - now;
    samples_add(&d->first, (double)took);
    samples_add(&d->over, took > wait ? (double)(took - wait) : 0);
    if (!stage_await(s, is_full, &d->limit, 60000000))
        shares_die("a provider that is back does not get its connections again within a minute");
    samples_add(&d->full, (double)(clock_now_us() - now));
}

static bool at_most(struct stage *s, const void *n)
{
    return stage_connections(s, 0) <= *(const unsigned *)n;
}

static void resize(struct stage *s, unsigned connections)
{
    s->cfg.pool.connections -= s->cfg.providers[0].connections;
    s->cfg.pool.connections += connections;
    s->cfg.providers[0].connections = connections;
    s->cfg.classes[TRAFFIC_QUEUE].burst = s->cfg.pool.connections;
    s->cfg.classes[TRAFFIC_STREAMING].burst = s->cfg.pool.connections;
    stage_resize(s);
}

/* Down to 15 and up again, under load; the server counts. */
static void resizes(struct scenes *x, struct stage *s, uint64_t us, bool dies)
{
    static const unsigned small = 15, large = 40;
    struct deaths d = {.limit = small};
    uint64_t start = clock_now_us();

    resize(s, small);
    if (!stage_await(s, at_most, &small, 30000000))
        shares_die("leases above a lowered limit do not drain");
    double drained = (double)(clock_now_us() - start);
    newsd_reset_peak(s->servers[0]);
    if (dies)
        die(s, us, &d);
    else
        pause_us(us);
    unsigned peak = newsd_reset_peak(s->servers[0]);
    resize(s, large);
    start = clock_now_us();
    bool grown = stage_await(s, is_full, &large, 30000000);
    report_line(x->report, drained / s->article_us, "articles", BOUND_NONE, 0,
                "40 to 15 connections: until the server counts 15");
    report_line(x->report, peak, "sockets", BOUND_MOST, small,
                "15 connections%s: most by the server's count",
                dies ? ", provider dies and returns" : "");
    report_line(x->report, (double)(clock_now_us() - start) / s->article_us, "articles", BOUND_NONE,
                0, "15 to 40 connections: until they are there%s",
                grown ? "" : " (never, in 30 s)");
    samples_fini(&d.first);
    samples_fini(&d.over);
    samples_fini(&d.full);
}

static void count_ends(struct scenes *x, struct load loads[TRAFFIC_CLASSES])
{
    uint64_t submitted = 0, ended = 0, doubled = 0, ends[SEGMENT_CANCELLED + 1] = {0}, lost = 0;

    for (unsigned c = 0; c < TRAFFIC_CLASSES; c++) {
        load_cancel(&loads[c]);
        load_wait(&loads[c], 60000000);
        submitted += loads[c].submitted;
        ended += load_ended(&loads[c]);
        doubled += loads[c].doubled;
        lost += loads[c].out;
        for (unsigned r = 0; r <= SEGMENT_CANCELLED; r++)
            ends[r] += loads[c].ends[r];
    }
    report_line(x->report, (double)submitted, "articles", BOUND_NONE, 0,
                "asked for (%llu came, %llu withdrawn at the end)",
                (unsigned long long)ends[SEGMENT_DONE],
                (unsigned long long)ends[SEGMENT_CANCELLED]);
    report_line(x->report, (double)(lost + submitted - ended), "articles", BOUND_MOST, 0, "lost");
    report_line(x->report, (double)doubled, "articles", BOUND_MOST, 0, "answered twice");
    report_line(x->report, (double)ends[SEGMENT_MISSING], "articles", BOUND_MOST, 0,
                "reported missing");
    report_line(x->report,
                (double)(ends[SEGMENT_FAILED] + ends[SEGMENT_CORRUPT] + ends[SEGMENT_TIMEOUT] +
                         ends[SEGMENT_NOSPACE]),
                "articles", BOUND_MOST, 0, "failed otherwise");
}

static void deaths_report(struct scenes *x, const struct stage *s, struct deaths *d)
{
    report_line(x->report, samples_percentile(&d->first, 50) / 1e3, "ms", BOUND_NONE, 0,
                "back: until its first answer, median of %u", d->first.n);
    report_line(x->report, samples_percentile(&d->first, 100) / 1e3, "ms", BOUND_MOST,
                s->cfg.timeouts.probe_s * 1e3, "the same, worst (bound: the probe interval)");
    report_line(x->report, samples_percentile(&d->over, 50) / 1e3, "ms", BOUND_MOST,
                (2 * s->pace.latency_us + 2 * s->article_us) / 1e3,
                "of which beyond the back-off under way, median (bound: opening and two articles)");
    report_line(x->report, samples_percentile(&d->full, 100) / 1e3, "ms", BOUND_NONE, 0,
                "back: until all %u connections, worst", d->limit);
}

void scene_dying(struct scenes *x)
{
    const struct pace pace = {.latency_us = 40000, .rate_bps = 50000, .payload = 5000};
    struct deaths d = {.limit = 40};
    struct load loads[TRAFFIC_CLASSES];
    unsigned rounds = x->quick ? 1 : 10;
    struct stage s;

    stage_init(&s, &pace);
    stage_server(&s, 40);
    stage_server(&s, 10);
    /* Guarantees that are possible, too, when the larger goes down to 15. */
    stage_class(&s, TRAFFIC_QUEUE, 7, 50);
    stage_class(&s, TRAFFIC_HEALTH, 8, 12);
    stage_class(&s, TRAFFIC_STREAMING, 10, 50);
    stage_start(&s);
    report_scene(
        x->report, "dying",
        "servers of 40 and 10, all three classes hungry; the larger resets everything, "
        "refuses for 0.1 to 1.2 s and returns; an article takes %.0f ms; probe %u s; pipelining 4",
        s.article_us / 1e3, s.cfg.timeouts.probe_s);
    newsd_reset_peak(s.servers[0]);
    for (unsigned c = 0; c < TRAFFIC_CLASSES; c++) {
        load_init(&loads[c], &s, (enum traffic_class)c, tags[c], 200, pace.payload);
        load_start(&loads[c], 0);
    }
    for (unsigned i = 0; i < rounds; i++) {
        pause_us(300000 + stage_dice(&s, 500000));
        die(&s, 100000 + stage_dice(&s, 1100000), &d);
    }
    unsigned peak = newsd_reset_peak(s.servers[0]);
    report_line(x->report, peak, "sockets", BOUND_MOST, 40, "most by the server's count, limit 40");
    resizes(x, &s, x->quick ? 200000 : 2000000, false);
    if (!x->quick)
        resizes(x, &s, 400000, true);
    report_line(x->report, newsd_reset_peak(s.servers[0]), "sockets", BOUND_MOST, 40,
                "most after that, limit 40 again");
    deaths_report(x, &s, &d);
    count_ends(x, loads);
    for (unsigned c = 0; c < TRAFFIC_CLASSES; c++)
        load_fini(&loads[c]);
    stage_fini(&s);
    samples_fini(&d.first);
    samples_fini(&d.over);
    samples_fini(&d.full);
}
