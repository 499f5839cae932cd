/* The worked example: 145 connections over servers of 100 and 45, held against what the servers count.
 *
 * Every 10 ms: the servers' figures, ours, the servers' again. What moves between the two is no difference,
 * so ours is held against the span of theirs; and it counts as one only when it lasts. */
#include "bench/shares.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>

#define STEP_US 10000u
#define LOOKS   100u

static const char tags[TRAFFIC_CLASSES] = {
    [TRAFFIC_QUEUE] = 'q', [TRAFFIC_HEALTH] = 'h', [TRAFFIC_STREAMING] = 's'};

struct row {
    const char *name;
    bool hungry[TRAFFIC_CLASSES];
    unsigned leases[TRAFFIC_CLASSES];
};

static const struct row rows[] = {
    {"queue alone", {true, false, false}, {145, 0, 0}},
    {"queue and health", {true, true, false}, {85, 60, 0}},
    {"all three", {true, true, true}, {30, 60, 55}},
    {"health ends", {true, false, true}, {51, 0, 94}},
};

/* What the servers said of one class or provider while we looked. */
struct span {
    unsigned low, high;
};

/* The servers' figures during one sample. */
struct seen {
    struct span carrying[TRAFFIC_CLASSES], flying[TRAFFIC_CLASSES], sockets[STAGE_SERVERS];
};

/* How far the samples of a row were off, at worst. */
struct worst {
    unsigned samples, sums;  /* snapshots in which some sum was not the other */
    unsigned lease, sockets; /* ours and the servers' */
    unsigned command;        /* commands in flight, likewise */
    unsigned again, late; /* samples that were off until what was on its way had come; most looks */
    unsigned table;       /* ours and the table's */
};

static unsigned outside(unsigned v, struct span s)
{
    return v < s.low ? s.low - v : v > s.high ? v - s.high : 0;
}

static void worse(unsigned *worst, unsigned v)
{
    if (v > *worst)
        *worst = v;
}

static void widen(struct span *s, unsigned v, bool first)
{
    s->low = first || v < s->low ? v : s->low;
    s->high = first || v > s->high ? v : s->high;
}

static void look(struct stage *s, struct seen *seen, bool first)
{
    struct newsd_tags t[STAGE_SERVERS];

    for (unsigned i = 0; i < s->nservers; i++) {
        newsd_tags(s->servers[i], &t[i]);
        widen(&seen->sockets[i], t[i].connections, first);
    }
    for (unsigned c = 0; c < TRAFFIC_CLASSES; c++) {
        unsigned tag = newsd_tag_index(tags[c]), carrying = 0, flying = 0;
        for (unsigned i = 0; i < s->nservers; i++) {
            carrying += t[i].of[tag].carrying;
            flying += t[i].of[tag].in_flight;
        }
        widen(&seen->carrying[c], carrying, first);
        widen(&seen->flying[c], flying, first);
    }
}

/* Do all sums of one snapshot agree, and is no provider above its limit? */
static bool agrees(const struct qos_stats *q)
{
    unsigned classes = 0, leased = 0;
    bool ok = q->leased_total <= q->total;

    for (unsigned c = 0; c < TRAFFIC_CLASSES; c++) {
        unsigned here = 0;
        for (unsigned i = 0; i < q->nproviders; i++)
            here += q->providers[i].classes[c].leased;
        classes += q->classes[c].leased;
        ok = ok && here == q->classes[c].leased && here <= q->classes[c].burst;
    }
    for (unsigned i = 0; i < q->nproviders; i++) {
        const struct qos_provider_stats *p = &q->providers[i];
        leased += p->leased;
        ok = ok && p->sockets <= p->limit &&
             p->sockets == p->leased + p->idle + p->closing + p->lingering;
    }
    return ok && classes == q->leased_total && leased == q->leased_total;
}

static unsigned in_flight(const struct qos_stats *q, unsigned class)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < q->nproviders; i++) {
        const struct qos_share_stats *s = &q->providers[i].classes[class];
        n += s->started - s->done - s->missing - s->corrupt - s->broken;
    }
    return (unsigned)n;
}

static void compare(const struct stage *s, const struct seen *seen, const struct qos_stats *q,
                    struct worst *w)
{
    *w = (struct worst){0};
    for (unsigned c = 0; c < TRAFFIC_CLASSES; c++) {
        worse(&w->lease, outside(q->classes[c].leased, seen->carrying[c]));
        worse(&w->command, outside(in_flight(q, c), seen->flying[c]));
    }
    for (unsigned i = 0; i < s->nservers; i++)
        worse(&w->sockets, outside(q->providers[i].sockets, seen->sockets[i]));
}

/* What is ordered is not at the server yet: on a busy machine it takes its time. Then they are asked again
 * until 100 ms have passed. */
static void sample(struct stage *s, const struct row *row, struct worst *w)
{
    struct nntp_pool_stats st;
    struct seen seen;
    struct worst now;
    unsigned looks = 0;

    look(s, &seen, true);
    stage_stats(s, &st);
    look(s, &seen, false);
    compare(s, &seen, &st.qos, &now);
    while ((now.lease > 1 || now.sockets > 1) && looks++ < LOOKS) {
        pause_us(1000);
        look(s, &seen, false);
        compare(s, &seen, &st.qos, &now);
    }
    w->samples++;
    w->again += looks > 0;
    worse(&w->late, looks);
    worse(&w->lease, now.lease);
    worse(&w->sockets, now.sockets);
    worse(&w->command, now.command);
    w->sums += !agrees(&st.qos);
    for (unsigned c = 0; c < TRAFFIC_CLASSES; c++)
        worse(&w->table,
              outside(st.qos.classes[c].leased, (struct span){row->leases[c], row->leases[c]}));
}

static bool is_row(struct stage *s, const void *arg)
{
    const struct row *row = arg;
    struct nntp_pool_stats st;
    bool is = true;

    stage_stats(s, &st);
    for (unsigned c = 0; c < TRAFFIC_CLASSES; c++)
        is = is && st.qos.classes[c].leased == row->leases[c];
    return is;
}

/* `start`: when the demand became what it is. */
static void row_run(struct scenes *x, struct stage *s, const struct row *row, uint64_t start,
                    uint64_t us)
{
    struct worst w = {0};

    bool reached = stage_await(s, is_row, row, 10000000);
    report_line(x->report, (double)(clock_now_us() - start) / s->article_us, "articles", BOUND_NONE,
                0, "%s: until %u/%u/%u%s", row->name, row->leases[0], row->leases[1],
                row->leases[2], reached ? "" : " (never, in 10 s)");
    pause_us((uint64_t)s->article_us); /* what the row before still had under way ends */
    for (start = clock_now_us(); clock_now_us() - start < us; pause_us(STEP_US))
        sample(s, row, &w);
    report_line(x->report, w.table, "leases", BOUND_MOST, 1,
                "%s: from the table, worst of %u samples", row->name, w.samples);
    report_line(x->report, w.lease, "leases", BOUND_MOST, 1,
                "%s: a class's leases, ours and the servers', worst", row->name);
    report_line(x->report, w.sockets, "sockets", BOUND_MOST, 1,
                "%s: a provider's connections, ours and the server's, worst", row->name);
    report_line(x->report, w.command, "commands", BOUND_NONE, 0,
                "%s: a class's commands in flight, likewise", row->name);
    report_line(x->report, w.again, "samples", BOUND_NONE, 0,
                "%s: which were off by more, for up to %u ms", row->name, w.late);
    report_line(x->report, w.sums, "snapshots", BOUND_MOST, 0, "%s: ours whose sums differ",
                row->name);
}

/* Streaming wants 55 while queue holds all 145: how long until it has them, by the servers' count? */
static unsigned carried(struct stage *s, enum traffic_class class)
{
    struct newsd_tags t;
    unsigned n = 0;

    for (unsigned i = 0; i < s->nservers; i++) {
        newsd_tags(s->servers[i], &t);
        n += t.of[newsd_tag_index(tags[class])].carrying;
    }
    return n;
}

static bool server_has_leases(struct stage *s, const void *arg)
{
    const struct leases *want = arg;

    return carried(s, want->class) >= want->n;
}

static void returns(struct scenes *x, struct stage *s, unsigned rounds)
{
    const struct leases all = {TRAFFIC_QUEUE, 145}, share = {TRAFFIC_STREAMING, 55};
    struct samples took = {0}, left = {0};
    unsigned never = 0;
    struct load l;

    load_init(&l, s, TRAFFIC_STREAMING, 's', 55, s->pace.payload);
    for (unsigned i = 0; i < rounds; i++) {
        if (!stage_await(s, stage_has_leases, &all, 10000000))
            shares_die("queue does not get all 145 again");
        pause_us((uint64_t)s->article_us + stage_dice(s, (uint64_t)s->article_us));
        uint64_t start = clock_now_us();
        load_start(&l, 0);
        never += !stage_await(s, server_has_leases, &share, 10000000);
        samples_add(&took, (double)(clock_now_us() - start) / s->article_us);
        samples_add(&left, stage_leased(s, TRAFFIC_QUEUE));
        load_stop(&l);
    }
    load_fini(&l);
    report_line(x->report, samples_percentile(&took, 50), "articles", BOUND_MOST, 1,
                "streaming returns: until the servers see its 55, median of %u%s", rounds,
                never ? " (not always in 10 s)" : "");
    report_line(x->report, samples_percentile(&took, 100), "articles", BOUND_MOST, 1,
                "streaming returns: the same, worst");
    report_line(x->report, samples_percentile(&left, 100), "leases", BOUND_MOST, 91,
                "streaming returns: queue's leases then, most");
    report_line(x->report, samples_percentile(&left, 0), "leases", BOUND_LEAST, 89,
                "streaming returns: queue's leases then, least");
    samples_fini(&took);
    samples_fini(&left);
}

void scene_worked(struct scenes *x)
{
    const struct pace pace = {
        .latency_us = 50000, .rate_bps = 40000, .payload = x->quick ? 3000 : 12700};
    struct load loads[TRAFFIC_CLASSES];
    struct stage s;

    stage_init(&s, &pace);
    stage_server(&s, 100);
    stage_server(&s, 45);
    stage_class(&s, TRAFFIC_QUEUE, 30, 145);
    stage_class(&s, TRAFFIC_HEALTH, 60, 60);
    stage_class(&s, TRAFFIC_STREAMING, 55, 145);
    stage_start(&s);
    report_scene(x->report, "worked",
                 "servers of 100 and 45; queue 30 to 145, health 60 to 60, streaming 55 to 145; an "
                 "article takes %.0f ms (%u ms until its first byte, %.0f KB/s; in the loads "
                 "it is up to a fifth smaller); pipelining 4; sampled every 10 ms",
                 s.article_us / 1e3, pace.latency_us / 1000, (double)pace.rate_bps / 1e3);
    s.spread = 20;
    for (unsigned c = 0; c < TRAFFIC_CLASSES; c++)
        load_init(&loads[c], &s, (enum traffic_class)c, tags[c], 600, pace.payload);
    bool on[TRAFFIC_CLASSES] = {false};
    for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        uint64_t start = clock_now_us();
        for (unsigned c = 0; c < TRAFFIC_CLASSES; c++) {
            if (rows[i].hungry[c] && !on[c])
                load_start(&loads[c], (uint64_t)s.article_us);
            else if (!rows[i].hungry[c] && on[c])
                load_cancel(&loads[c]);
            on[c] = rows[i].hungry[c];
        }
        row_run(x, &s, &rows[i], start, x->quick ? 300000 : 3000000);
    }
    load_cancel(&loads[TRAFFIC_STREAMING]);
    returns(x, &s, x->quick ? 1 : 12);
    for (unsigned c = 0; c < TRAFFIC_CLASSES; c++)
        load_fini(&loads[c]);
    stage_fini(&s);
}
