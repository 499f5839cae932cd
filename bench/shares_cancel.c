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

/* Server b's. */
static const struct pace well = {.latency_us = 40000, .rate_bps = 50000, .payload = 2000};

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

    load_init(&l, s, TRAFFIC_QUEUE, 'q', SLOTS, SHORT);
    only_on_a(s, &l, 'q', SHORT);
    load_once(&l, 0, l.n);
    if (!load_wait(&l, 60000000))
        shares_die("the slow server does not answer within a minute");
    load_fini(&l);
}

struct slow {
    uint64_t rate_bps;
    unsigned
        spare; /* connections that a's account has beyond the slots: none, and a connection that is
                       cut is missed until the server has surely forgotten it */
    unsigned rounds;
    bool must; /* cutting pays */
};

/* How long the reader's article takes where nothing else is under way. */
static double alone_of(void)
{
    struct stage s;

    stage_init(&s, &well);
    stage_server(&s, SLOTS);
    stage_class(&s, TRAFFIC_QUEUE, 2, SLOTS);
    stage_class(&s, TRAFFIC_STREAMING, 4, SLOTS);
    stage_class(&s, TRAFFIC_HEALTH, 1, 2);
    stage_start(&s);
    double us = s.article_us;
    stage_fini(&s);
    return us;
}

/* Returns how long it took. */
static double wait_of(const struct slow *slow, bool withdrawn, unsigned round, uint64_t *cut)
{
    const struct pace a = {
        .latency_us = well.latency_us, .rate_bps = slow->rate_bps, .payload = well.payload};
    const struct leases all = {TRAFFIC_QUEUE, SLOTS};
    struct load job, reader;
    struct nntp_pool_stats st;
    struct stage s;

    stage_init(&s, &well);
    stage_server_at(&s, SLOTS + slow->spare, &a);
    stage_server_at(&s, SLOTS, &well);
    s.cfg.pool.connections = SLOTS;
    stage_class(&s, TRAFFIC_QUEUE, 2, SLOTS);
    stage_class(&s, TRAFFIC_STREAMING, 4, SLOTS);
    stage_class(&s, TRAFFIC_HEALTH, 1, 2);
    stage_start_cold(&s);
    learn(&s);
    load_init(&job, &s, TRAFFIC_QUEUE, 'q', SLOTS, well.payload);
    load_init(&reader, &s, TRAFFIC_STREAMING, 's', 1, well.payload);
    only_on_a(&s, &job, 'q', well.payload);
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
    load_fini(&job);
    load_fini(&reader);
    stage_fini(&s);
    return took;
}

static void compare(struct scenes *x, const struct slow *slow)
{
    struct samples with = {0}, without = {0}, cuts = {0};
    char what[64];

    for (unsigned i = 0; i < slow->rounds; i++) {
        uint64_t cut;
        samples_add(&with, wait_of(slow, true, i, &cut) / 1e3);
        samples_add(&cuts, (double)cut);
        samples_add(&without, wait_of(slow, false, i, &cut) / 1e3);
    }
    snprintf(what, sizeof(what), "a at %.1f KB/s%s", (double)slow->rate_bps / 1e3,
             slow->spare ? "" : ", its account full");
    report_line(x->report, samples_percentile(&without, 50), "ms", BOUND_NONE, 0,
                "%s: reader's article while the job goes on, median of %u", what, slow->rounds);
    report_line(x->report, samples_percentile(&with, 50), "ms",
                slow->must ? BOUND_MOST : BOUND_NONE, samples_percentile(&without, 50) / 2,
                "%s: when the job is withdrawn", what);
    report_line(x->report, samples_percentile(&cuts, 50), "cuts",
                slow->must ? BOUND_LEAST : BOUND_NONE, 1, "%s: connections cut, median", what);
    samples_fini(&with);
    samples_fini(&without);
    samples_fini(&cuts);
}

void scene_cancel(struct scenes *x)
{
    static const struct slow full[] = {
        {400, 0, 2, true}, {1500, 4, 3, true}, {1500, 0, 2, false}, {20000, 4, 3, false}};
    static const struct slow quick = {2500, 4, 1, true};

    report_scene(
        x->report, "cancel",
        "%u slots, all burst-leased to queue for articles of 2 KB that only server a has; the "
        "reader's article is only on b (50 KB/s), which has connections to spare; 40 ms until "
        "the first byte",
        SLOTS);
    report_line(x->report, alone_of() / 1e3, "ms", BOUND_NONE, 0, "reader's article alone on b");
    if (x->quick)
        compare(x, &quick);
    for (size_t i = 0; !x->quick && i < sizeof(full) / sizeof(*full); i++)
        compare(x, &full[i]);
}
