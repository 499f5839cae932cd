/* What cutting brings: how long a reader waits when every connection hangs on a nearly stuck provider, with
 * articles that nobody wants any more.
 *
 * Server a gives each connection a few hundred bytes a second, server b is well. Queue's articles are only on
 * a, so its burst holds all slots there; then its job is withdrawn, and a reader asks. */
#include "bench/shares.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>

#define SLOTS 8u
/* What is too short to keep a connection long. */
#define SHORT 64u

struct stuck {
    bool withdrawn; /* the job's articles are cancelled before the reader asks */
    bool
        full; /* b's account is as small as what is used: nothing may be opened there but when a slot
                       of the pool comes back */
};

static void only_on_a(struct stage *s, struct load *l, char tag, uint32_t payload)
{
    for (unsigned i = 0; i < l->n; i++) {
        char id[48];
        stage_article(s, tag, i, payload, id);
        newsd_fault(s->servers[1], id, NEWSD_430, 0);
    }
}

/* Short ones first: what the pool knows of a's pace, it knows from them. */
static void learn(struct stage *s)
{
    struct load l;

    load_init(&l, s, TRAFFIC_QUEUE, 'q', 3 * SLOTS, SHORT);
    only_on_a(s, &l, 'q', SHORT);
    load_once(&l, 0, l.n);
    if (!load_wait(&l, 60000000))
        shares_die("the slow server does not answer within a minute");
    load_fini(&l);
}

/* Returns how long the reader's article took. */
static double wait_of(const struct pace *slow, bool withdrawn, unsigned round, uint64_t *cut,
                      double *alone)
{
    const struct pace well = {
        .latency_us = slow->latency_us, .rate_bps = 12000, .payload = slow->payload};
    const struct leases all = {TRAFFIC_QUEUE, SLOTS};
    struct load job, reader;
    struct nntp_pool_stats st;
    struct stage s;

    stage_init(&s, &well);
    stage_server_at(&s, SLOTS, slow);
    stage_server_at(&s, SLOTS, &well);
    s.cfg.pool.connections = SLOTS;
    stage_class(&s, TRAFFIC_QUEUE, 2, SLOTS);
    stage_class(&s, TRAFFIC_STREAMING, 4, SLOTS);
    stage_class(&s, TRAFFIC_HEALTH, 1, 2);
    stage_start_cold(&s);
    learn(&s);
    load_init(&job, &s, TRAFFIC_QUEUE, 'q', SLOTS, slow->payload);
    load_init(&reader, &s, TRAFFIC_STREAMING, 's', 2, well.payload);
    only_on_a(&s, &job, 'q', slow->payload);
    for (unsigned i = 0; i < reader.n; i++) {
        char id[48];
        stage_article(&s, 's', i, well.payload, id);
        newsd_fault(s.servers[0], id, NEWSD_430, 0);
    }
    reader.timing = true;
    load_once(&job, 0, SLOTS);
    if (!stage_await(&s, stage_has_leases, &all, 20000000))
        shares_die("queue does not get every slot");
    pause_us(300000 + round * 100000);
    if (withdrawn)
        load_cancel(&job);
    load_once(&reader, 0, 1);
    if (!load_wait(&reader, 60000000))
        shares_die("the reader's article does not come within a minute");
    double took = samples_percentile(&reader.took, 50);
    stage_stats(&s, &st);
    *cut = st.qos.classes[TRAFFIC_QUEUE].cut;
    if (!load_wait(&job, 60000000))
        shares_die("a slow article does not end within a minute");
    load_once(&reader, 1, 2);
    load_wait(&reader, 60000000);
    *alone = reader.took.v[0] < took ? reader.took.v[0] : reader.took.v[1];
    load_fini(&job);
    load_fini(&reader);
    stage_fini(&s);
    return took;
}

static void compare(struct scenes *x, const struct pace *slow, unsigned rounds, const char *what,
                    bool must)
{
    struct samples with = {0}, without = {0}, alone = {0}, cuts = {0};

    for (unsigned i = 0; i < rounds; i++) {
        uint64_t cut;
        double one;
        samples_add(&with, wait_of(slow, true, i, &cut, &one) / 1e3);
        samples_add(&cuts, (double)cut);
        samples_add(&alone, one / 1e3);
        samples_add(&without, wait_of(slow, false, i, &cut, &one) / 1e3);
    }
    report_line(x->report, samples_percentile(&without, 50), "ms", BOUND_NONE, 0,
                "%s: reader's article while the job goes on, median of %u", what, rounds);
    report_line(x->report, samples_percentile(&with, 50), "ms", must ? BOUND_MOST : BOUND_NONE,
                samples_percentile(&without, 50) / 2, "%s: when the job is withdrawn", what);
    report_line(x->report, samples_percentile(&alone, 50), "ms", BOUND_NONE, 0, "%s: alone", what);
    report_line(x->report, samples_percentile(&cuts, 50), "cuts", must ? BOUND_LEAST : BOUND_NONE,
                1, "%s: connections cut, median", what);
    samples_fini(&with);
    samples_fini(&without);
    samples_fini(&alone);
    samples_fini(&cuts);
}

void scene_cancel(struct scenes *x)
{
    const struct pace stuck = {.latency_us = 40000, .rate_bps = 300, .payload = 1300};
    const struct pace slow = {.latency_us = 40000, .rate_bps = 6000, .payload = 1300};
    unsigned rounds = x->quick ? 1 : 5;

    report_scene(x->report, "cancel",
                 "%u slots, all burst-leased to queue for articles that only server a has; the "
                 "reader's article is only on b (12 KB/s), which has connections to spare",
                 SLOTS);
    compare(x, &stuck, rounds, "a at 300 B/s", true);
    if (!x->quick)
        compare(x, &slow, rounds, "a at 6 KB/s", false);
}
