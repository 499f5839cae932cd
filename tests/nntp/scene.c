#include "tests/nntp/scene.h"

#include <check.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

const char scene_tag[TRAFFIC_CLASSES] = {
    [TRAFFIC_QUEUE] = 'q', [TRAFFIC_HEALTH] = 'h', [TRAFFIC_STREAMING] = 's'};

/* Parts of each file; a crowd asks for them again and again. */
#define PARTS 8

/* --- the sums, all the while ----------------------------------------------------------------------- */

static const char *provider_wrong(const struct qos_stats *q, unsigned i)
{
    const struct qos_provider_stats *p = &q->providers[i];
    unsigned classes = 0;
    for (unsigned c = 0; c < TRAFFIC_CLASSES; c++)
        classes += p->classes[c].leased;
    if (classes != p->leased)
        return "a provider's leases are not the sum of its classes'";
    if (p->sockets != p->leased + p->idle + p->closing + p->lingering)
        return "a provider's sockets are not the leased, idle, closing and lingering ones";
    return p->sockets > p->limit ? "more sockets than the provider's limit" : NULL;
}

static const char *sums_wrong(const struct qos_stats *q)
{
    unsigned classes = 0, providers = 0;
    for (unsigned c = 0; c < TRAFFIC_CLASSES; c++) {
        unsigned at = 0;
        for (unsigned i = 0; i < q->nproviders; i++)
            at += q->providers[i].classes[c].leased;
        if (at != q->classes[c].leased)
            return "a class' leases are not the sum of those at providers";
        if (q->classes[c].leased > q->classes[c].burst)
            return "a class is above its burst";
        classes += at;
    }
    for (unsigned i = 0; i < q->nproviders; i++) {
        const char *wrong = provider_wrong(q, i);
        if (wrong)
            return wrong;
        providers += q->providers[i].leased;
    }
    if (classes != q->leased_total || providers != q->leased_total)
        return "the total is not the sum of the classes' and of the providers' leases";
    return q->leased_total > q->total ? "more leases than the pool has" : NULL;
}

static void *sampler_main(void *arg)
{
    struct scene *s = arg;
    struct nntp_pool_stats stats;
    while (!atomic_load(&s->over) && !s->wrong[0]) {
        nntp_pool_stats(s->r.pool, &stats);
        const char *wrong = sums_wrong(&stats.qos);
        if (wrong)
            snprintf(s->wrong, sizeof(s->wrong), "%s (leased %u of %u)", wrong,
                     stats.qos.leased_total, stats.qos.total);
        atomic_fetch_add(&s->samples, 1);
        sched_yield();
    }
    return NULL;
}

/* --- life ------------------------------------------------------------------------------------------- */

void scene_init(struct scene *s, const unsigned *limits, unsigned n, unsigned pipelining)
{
    char tags[TRAFFIC_CLASSES + 1] = "";
    for (unsigned c = 0; c < TRAFFIC_CLASSES; c++)
        tags[c] = scene_tag[c];
    scene_init_tags(s, limits, n, pipelining, tags);
}

void scene_init_tags(struct scene *s, const unsigned *limits, unsigned n, unsigned pipelining,
                     const char *tags)
{
    memset(s, 0, sizeof(*s));
    rig_init(&s->r, 1);
    for (; *tags; tags++)
        rig_file(&s->r, *tags, PARTS);
    for (unsigned i = 0; i < n; i++) {
        rig_server(&s->r, &(struct newsd_config){.max_connections = limits[i]});
        s->r.cfg.providers[i].connections = limits[i];
        s->r.cfg.providers[i].pipelining = pipelining;
    }
    /* Held answers are silence, and a busy machine is slow: nobody is to draw conclusions from either. */
    s->r.cfg.timeouts =
        (struct config_timeouts){.connect_s = 600, .stall_s = 600, .idle_s = 600, .probe_s = 600};
}

void scene_start(struct scene *s)
{
    for (unsigned i = 0; i < s->r.nservers; i++)
        newsd_hold(s->r.servers[i], true);
    rig_start(&s->r);
    ck_assert_int_eq(pthread_create(&s->sampler, NULL, sampler_main, s), 0);
}

void scene_crowd_tag(struct scene *s, struct crowd *c, char tag, enum traffic_class class,
                     unsigned n)
{
    ck_assert_uint_lt(s->ncrowds, SCENE_CROWDS);
    crowd_init(c, &s->r, tag, class, n);
    s->crowds[s->ncrowds++] = c;
}

void scene_crowd(struct scene *s, struct crowd *c, enum traffic_class class, unsigned n)
{
    scene_crowd_tag(s, c, scene_tag[class], class, n);
}

static void crowd_check(struct crowd *c)
{
    struct crowd_counts n = crowd_counts(c);
    ck_assert_uint_eq(n.wrong, 0);
    ck_assert_uint_eq(n.ended, n.fetched);
    ck_assert_uint_eq(n.results[SEGMENT_DONE] + n.results[SEGMENT_CANCELLED], n.ended);
}

void scene_fini(struct scene *s)
{
    for (unsigned i = 0; i < s->ncrowds; i++)
        crowd_stop(s->crowds[i]);
    for (unsigned i = 0; i < s->r.nservers; i++)
        newsd_hold(s->r.servers[i], false);
    for (unsigned i = 0; i < s->ncrowds; i++)
        crowd_wait(s->crowds[i]);
    while (!atomic_load(&s->samples))
        sched_yield();
    atomic_store(&s->over, true);
    pthread_join(s->sampler, NULL);
    ck_assert_msg(!s->wrong[0], "%s", s->wrong);
    for (unsigned i = 0; i < s->r.nservers; i++) {
        struct newsd_tags t;
        newsd_tags(s->r.servers[i], &t);
        ck_assert_uint_eq(t.refused, 0);
        ck_assert_uint_le(t.peak, s->r.cfg.providers[i].connections);
    }
    nntp_pool_stop(s->r.pool);
    s->r.pool = NULL;
    for (unsigned i = 0; i < s->ncrowds; i++) {
        crowd_check(s->crowds[i]);
        crowd_fini(s->crowds[i]);
    }
    rig_fini(&s->r);
}

/* --- a standstill ----------------------------------------------------------------------------------- */

static void tag_add(struct newsd_tag *sum, const struct newsd_tag *t)
{
    sum->connections += t->connections;
    sum->carrying += t->carrying;
    sum->pipelined += t->pipelined;
    sum->deep += t->deep;
    sum->on += t->on;
    sum->in_flight += t->in_flight;
    sum->held += t->held;
    sum->commands += t->commands;
    sum->answered += t->answered;
    sum->bytes += t->bytes;
}

static void servers_look(struct scene *s, struct scene_now *now)
{
    memset(&now->sum, 0, sizeof(now->sum));
    for (unsigned i = 0; i < s->r.nservers; i++) {
        newsd_tags(s->r.servers[i], &now->servers[i]);
        for (unsigned k = 0; k < NEWSD_TAGS; k++)
            tag_add(&now->sum.of[k], &now->servers[i].of[k]);
        tag_add(&now->sum.all, &now->servers[i].all);
        now->sum.connections += now->servers[i].connections;
    }
}

/* The order matters. First the servers: all that they have been asked for and that can be answered is
 * answered. Then the crowds: they have had all those answers, and have fetched anew. Last the pool: it has
 * started nothing that the servers had not seen before. So nothing was on its way, and nothing will be. */
static bool is_settled(struct scene *s, struct scene_now *now)
{
    uint64_t heard = 0;
    servers_look(s, now);
    for (unsigned i = 0; i < s->ncrowds; i++) {
        struct crowd_counts n = crowd_counts(s->crowds[i]);
        heard += n.ended - n.results[SEGMENT_CANCELLED];
    }
    nntp_pool_stats(s->r.pool, &now->pool);
    bool still = heard == now->sum.all.answered;
    for (unsigned i = 0; i < s->r.nservers; i++) {
        const struct newsd_tags *t = &now->servers[i];
        const struct qos_provider_stats *p = &now->pool.qos.providers[i];
        still = still && p->opening == 0 && p->sockets == t->connections &&
                p->started == t->all.commands && p->leased == t->all.carrying &&
                t->all.held == t->all.carrying;
    }
    return still;
}

void scene_settle(struct scene *s, struct scene_now *now)
{
    struct rig_wait w = {0};
    while (!is_settled(s, now))
        rig_wait(&s->r, &w, "not settled");
}

static void expect_class(const struct scene_now *now, enum traffic_class c, unsigned n)
{
    const struct newsd_tag *t = &now->sum.of[newsd_tag_index(scene_tag[c])];
    ck_assert_msg(t->carrying == n && now->pool.qos.classes[c].leased == n,
                  "%c has %u connections at the servers and %u leases in the pool, not %u",
                  scene_tag[c], t->carrying, now->pool.qos.classes[c].leased, n);
}

void scene_expect(struct scene *s, unsigned queue, unsigned health, unsigned streaming)
{
    struct scene_now now, again;
    scene_settle(s, &now);
    expect_class(&now, TRAFFIC_QUEUE, queue);
    expect_class(&now, TRAFFIC_HEALTH, health);
    expect_class(&now, TRAFFIC_STREAMING, streaming);
    ck_assert_uint_eq(now.pool.qos.leased_total, queue + health + streaming);
    for (unsigned i = 0; i < s->r.nservers; i++)
        for (unsigned c = 0; c < TRAFFIC_CLASSES; c++)
            ck_assert_uint_eq(now.servers[i].of[newsd_tag_index(scene_tag[c])].carrying,
                              now.pool.qos.providers[i].classes[c].leased);
    for (unsigned i = 0; i < 50; i++) {
        ck_assert(is_settled(s, &again));
        ck_assert_int_eq(memcmp(&again.sum, &now.sum, sizeof(now.sum)), 0);
        for (unsigned c = 0; c < TRAFFIC_CLASSES; c++)
            ck_assert_uint_eq(again.pool.qos.classes[c].leased, now.pool.qos.classes[c].leased);
    }
}

/* --- one at a time ---------------------------------------------------------------------------------- */

void scene_round(struct scene *s, struct scene_round *r, char tag)
{
    struct scene_now now;
    servers_look(s, &now);
    *r = (struct scene_round){.tag = tag};
    for (unsigned i = 0; i < s->r.nservers; i++)
        r->left[i] = tag ? now.servers[i].of[newsd_tag_index(tag)].held : now.servers[i].all.held;
}

bool scene_release(struct scene *s, struct scene_round *r)
{
    unsigned best = 0;
    for (unsigned i = 1; i < s->r.nservers; i++)
        if (r->left[i] > r->left[best])
            best = i;
    if (!r->left[best])
        return false;
    r->left[best]--;
    ck_assert_uint_eq(newsd_release(s->r.servers[best], r->tag, 1), 1);
    return true;
}

void scene_drain(struct scene *s, char tag)
{
    struct scene_now now;
    for (;;) {
        scene_settle(s, &now);
        if (!now.sum.of[newsd_tag_index(tag)].in_flight)
            return;
        for (unsigned i = 0; i < s->r.nservers; i++)
            newsd_release(s->r.servers[i], tag, UINT32_MAX);
    }
}

unsigned scene_carrying(struct scene *s, char tag)
{
    struct scene_now now;
    servers_look(s, &now);
    return now.sum.of[newsd_tag_index(tag)].carrying;
}
