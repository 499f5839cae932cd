/* How soon a class below its guarantee has what it claims, and a blocked reader its article, while others
 * hold every connection. */
#include "bench/shares.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- reclaim ---------------------------------------------------------------------------------------- */

/* The bucket of the pool's histogram below which `p` percent lie. */
static unsigned hist_bucket(const uint64_t hist[QOS_HIST], double p)
{
    uint64_t all = 0, below = 0;
    unsigned i = 0;

    for (unsigned k = 0; k < QOS_HIST; k++)
        all += hist[k];
    while (i < QOS_HIST - 1 && (double)(below += hist[i]) < p / 100 * (double)all)
        i++;
    return i;
}

static unsigned bucket_of(double us)
{
    unsigned i = 0;

    while (i < QOS_HIST - 1 && us >= (double)(UINT64_C(16) << i))
        i++;
    return i;
}

struct claims {
    enum traffic_class class;
    char tag;
    unsigned k, rounds;
    bool staggered; /* spread over an article time, in place of all at once */
};

static void claims_make(struct stage *s, struct load *l, const struct claims *c)
{
    if (!c->staggered) {
        load_once(l, 0, c->k);
        return;
    }
    for (unsigned i = 0; i < c->k; i++) {
        load_once(l, i, i + 1);
        pause_us(stage_dice(s, (uint64_t)s->article_us * 2 / c->k));
    }
}

/* Does the pool's own histogram say the same? A bucket is a factor of two, and what lies near its edge may
 * fall into the next. */
static void compare(struct scenes *x, struct load *l, const uint64_t reclaim[QOS_HIST], double p)
{
    int ours = (int)hist_bucket(reclaim, p), seen = (int)bucket_of(samples_percentile(&l->got, p));

    report_line(x->report, abs(ours - seen), "buckets", BOUND_MOST, 1,
                "  pool's reclaim p%.0f below %.0f ms, measured %.1f ms: apart by", p,
                (double)(UINT64_C(16) << ours) / 1e3, samples_percentile(&l->got, p) / 1e3);
}

static void claims_run(struct scenes *x, struct stage *s, const struct claims *c)
{
    const struct leases all = {TRAFFIC_QUEUE, s->cfg.pool.connections};
    struct nntp_pool_stats st;
    uint64_t reclaim[QOS_HIST];
    struct load l;

    load_init(&l, s, c->class, c->tag, c->k, s->pace.payload);
    l.timing = true;
    stage_stats(s, &st);
    memcpy(reclaim, st.qos.classes[c->class].reclaim, sizeof(reclaim));
    for (unsigned i = 0; i < c->rounds; i++) {
        if (!stage_await(s, stage_has_leases, &all, 20000000))
            shares_die("queue does not get every connection again");
        pause_us(stage_dice(s, (uint64_t)s->article_us));
        claims_make(s, &l, c);
        if (!load_wait(&l, 60000000))
            shares_die("a claim is not served within a minute");
    }
    stage_stats(s, &st);
    uint64_t leases = 0;
    for (unsigned i = 0; i < QOS_HIST; i++)
        leases += reclaim[i] = st.qos.classes[c->class].reclaim[i] - reclaim[i];
    char what[96];
    snprintf(what, sizeof(what), "%s wants %u%s",
             c->class == TRAFFIC_HEALTH ? "health" : "streaming", c->k,
             c->k == 1      ? ""
             : c->staggered ? ", one by one"
                            : " at once");
    report_line(x->report, samples_percentile(&l.got, 50) / s->article_us, "articles", BOUND_NONE,
                0, "%s: until the server has the command, p50 of %u", what, l.got.n);
    report_line(x->report, samples_percentile(&l.got, 99) / s->article_us, "articles", BOUND_MOST,
                1, "%s: p99", what);
    report_line(x->report, samples_percentile(&l.got, 100) / s->article_us, "articles", BOUND_NONE,
                0, "%s: worst", what);
    report_line(x->report, (double)(UINT64_C(16) << hist_bucket(reclaim, 100)) / 1e3, "ms",
                BOUND_NONE, 0, "  pool's reclaim of %llu leases, longest below",
                (unsigned long long)leases);
    if (leases) {
        if (l.got.n >= 40)
            compare(x, &l, reclaim, 50);
        if (l.got.n >= 100)
            compare(x, &l, reclaim, 99);
    } else {
        report_line(x->report, 0, "leases", BOUND_LEAST, 1, "  in the pool's reclaim histogram");
    }
    load_fini(&l);
}

static const struct claims claims[] = {
    {TRAFFIC_STREAMING, 's', 1, 60, false}, {TRAFFIC_STREAMING, 's', 5, 16, false},
    {TRAFFIC_STREAMING, 's', 20, 8, false}, {TRAFFIC_STREAMING, 's', 55, 8, false},
    {TRAFFIC_STREAMING, 's', 55, 6, true},  {TRAFFIC_HEALTH, 'h', 60, 6, false},
};

void scene_reclaim(struct scenes *x)
{
    const struct pace pace = {
        .latency_us = 50000, .rate_bps = 40000, .payload = x->quick ? 3500 : 8000};
    struct stage s;
    struct load hog;

    stage_init(&s, &pace);
    stage_server(&s, 100);
    stage_server(&s, 45);
    stage_class(&s, TRAFFIC_QUEUE, 30, 145);
    stage_class(&s, TRAFFIC_HEALTH, 60, 60);
    stage_class(&s, TRAFFIC_STREAMING, 55, 145);
    stage_start(&s);
    report_scene(
        x->report, "reclaim",
        "servers of 100 and 45, all 145 burst-leased to queue; an article takes %.0f ms (%u "
        "ms until its first byte); pipelining 4; queue's articles up to a fifth smaller; claims at random "
        "moments",
        s.article_us / 1e3, pace.latency_us / 1000);
    s.spread = 20;
    load_init(&hog, &s, TRAFFIC_QUEUE, 'q', 600, pace.payload);
    s.spread = 0;
    load_start(&hog, (uint64_t)s.article_us);
    for (unsigned i = 0; i < sizeof(claims) / sizeof(*claims); i++) {
        struct claims c = claims[i];
        if (x->quick && i % 3 != 0)
            continue;
        if (x->quick)
            c.rounds = (c.rounds + 7) / 8;
        claims_run(x, &s, &c);
    }
    load_fini(&hog);
    stage_fini(&s);
}

/* --- reader ----------------------------------------------------------------------------------------- */

struct held {
    unsigned pool, reserve, reads;
};

static bool is_held(struct stage *s, const void *arg)
{
    const struct held *h = arg;
    struct nntp_pool_stats st;

    stage_stats(s, &st);
    return st.qos.leased_total + h->reserve >= h->pool && st.qos.classes[TRAFFIC_HEALTH].leased;
}

/* One article at a time, at random moments. */
static void read_on(struct stage *s, struct load *reader, unsigned reads)
{
    for (unsigned i = 0; i < reads; i++) {
        pause_us(stage_dice(s, (uint64_t)s->article_us / 2));
        load_once(reader, i % reader->n, i % reader->n + 1);
        if (!load_wait(reader, 60000000))
            shares_die("a reader's article does not come within a minute");
    }
}

/* Returns the 99th percentile over one article time. */
static double reader_run(struct scenes *x, const struct held *h)
{
    const struct pace pace = {
        .latency_us = 40000, .jitter_us = 10000, .rate_bps = 50000, .payload = 3500};
    unsigned total = h->pool;
    struct load queue, health, reader;
    struct stage s;

    stage_init(&s, &pace);
    stage_server(&s, total);
    stage_class(&s, TRAFFIC_QUEUE, total * 30 / 145, total);
    stage_class(&s, TRAFFIC_HEALTH, total * 60 / 145, total * 60 / 145);
    stage_class(&s, TRAFFIC_STREAMING, total * 55 / 145, total);
    stage_start(&s);
    s.cfg.pool.reserve = h->reserve;
    stage_resize(&s);
    s.spread = 20;
    load_init(&queue, &s, TRAFFIC_QUEUE, 'q', total * 4, pace.payload);
    load_init(&health, &s, TRAFFIC_HEALTH, 'h', total * 3, pace.payload);
    s.spread = 0;
    load_init(&reader, &s, TRAFFIC_STREAMING, 's', 16, pace.payload);
    reader.timing = true;
    load_start(&queue, (uint64_t)s.article_us);
    load_start(&health, (uint64_t)s.article_us);
    if (!stage_await(&s, is_held, h, 20000000))
        shares_die("queue and health do not get all of %u connections", total);
    pause_us((uint64_t)s.article_us);
    read_on(&s, &reader, h->reads);
    char what[64] = "";
    if (h->reserve)
        snprintf(what, sizeof(what), ", reserve %u", h->reserve);
    double p50 = samples_percentile(&reader.took, 50) / s.article_us;
    double p99 = samples_percentile(&reader.took, 99) / s.article_us;
    report_line(x->report, p50, "articles", BOUND_MOST, 1.3,
                "pool of %u%s (alone %.0f ms): p50 of %u reads", total, what, s.article_us / 1e3,
                reader.took.n);
    report_line(x->report, p99, "articles", BOUND_NONE, 0, "pool of %u%s: p99 (worst %.2f)", total,
                what, samples_percentile(&reader.took, 100) / s.article_us);
    report_line(x->report, samples_percentile(&reader.got, 50) / s.article_us, "articles",
                BOUND_NONE, 0, "pool of %u%s: of which until the server had the command, p50",
                total, what);
    struct nntp_pool_stats st;
    stage_stats(&s, &st);
    report_line(
        x->report,
        (double)(UINT64_C(16) << hist_bucket(st.qos.classes[TRAFFIC_STREAMING].reclaim, 100)) /
            s.article_us,
        "articles", BOUND_NONE, 0,
        "pool of %u%s: longest wait for a slot by the pool's own "
        "count, below",
        total, what);
    load_fini(&reader);
    load_fini(&health);
    load_fini(&queue);
    stage_fini(&s);
    return p99;
}

void scene_reader(struct scenes *x)
{
    static const struct held pools[] = {{145, 0, 60}, {50, 0, 60}, {20, 0, 60},
                                        {10, 0, 80},  {20, 1, 30}, {10, 1, 30}};
    unsigned least = 0;

    report_scene(
        x->report, "reader",
        "queue and health hold every connection they may (shares of the worked example in "
        "proportion), one reader asks for an article at a time, at random moments; 40 to 50 "
        "ms until the first byte, 50 KB/s, 3.5 KB articles (the others' up to a fifth "
        "smaller); pipelining 4");
    for (unsigned i = 0; i < sizeof(pools) / sizeof(*pools); i++) {
        struct held h = pools[i];
        if (x->quick && (h.pool != 50 || h.reserve))
            continue;
        if (x->quick)
            h.reads = h.reads / 5;
        double p99 = reader_run(x, &h);
        if (!h.reserve && p99 <= 1.3)
            least = h.pool;
    }
    report_line(
        x->report, least, "connection", BOUND_NONE, 0,
        "smallest pool measured here whose p99 is within 1.3 too, without reserve (0: none)");
}
