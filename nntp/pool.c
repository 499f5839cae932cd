#define LOG_TAG "nntp.pool"
#include "base/clock.h"
#include "nntp/internal.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Room in the scheduler's tables, fixed for the pool's life: resizing may add connections. */
#define CONNS_LEAST 4096u
#define STREAMS     8192u

_Static_assert(QOS_PROVIDERS == CONFIG_PROVIDERS, "a provider keeps its number in both");

#define SECOND_US      ((uint64_t)1000000)
#define DAY_US         (86400 * SECOND_US)

/* A provider that is out of reach is tried by one connection, and only while somebody waits: often, as
 * that somebody is a player. A wrong password is not tried often: accounts are locked for less. */
#define BACKOFF_MAX_US (10 * SECOND_US)
#define LOGIN_US       (60 * SECOND_US)

/* So long after the last file was closed connections are kept as if one were open. */
#define WARM_US        (60 * SECOND_US)

/* --- the source's face ------------------------------------------------------------------------------ */

static struct nntp_pool *pool_of(struct source *s)
{
    return container_of(s, struct nntp_pool, source);
}

static uint64_t handle_of(const struct nntp_pool *p, const struct nntp_op *op)
{
    return (uint64_t)op->gen << 32 | ((uint64_t)(op - p->ops) + 1);
}

/* Lock held. NULL: it found no slot. */
static struct nntp_op *slot_of(struct nntp_pool *p, const struct segment_fetch *f)
{
    uint64_t i = f->handle & 0xffffffff;

    if (f->handle & NNTP_AWAY || i == 0 || i > p->fresh_ops)
        return NULL;
    struct nntp_op *op = &p->ops[i - 1];
    return op->gen == f->handle >> 32 ? op : NULL;
}

/* NULL: or it has ended. */
static struct nntp_op *op_of(struct nntp_pool *p, const struct segment_fetch *f)
{
    struct nntp_op *op = slot_of(p, f);

    return op && op->id ? op : NULL;
}

static qos_time age_of(const struct segment_want *w)
{
    time_t now = time(NULL);

    if (!w->posted_s || now < 0 || (uint64_t)now <= w->posted_s)
        return 0;
    return ((uint64_t)now - w->posted_s) * SECOND_US;
}

/* Lock held. More fetches are out than there are slots: the end of this one is told by lane 0, its link
 * stands where the slot would be named. */
static void turn_away(struct nntp_pool *p, struct segment_fetch *f)
{
    f->handle = NNTP_AWAY;
    if (p->away)
        p->away_last->handle = NNTP_AWAY | (uint64_t)(uintptr_t)f;
    else
        p->away = f;
    p->away_last = f;
    p->touched |= 1u;
}

int nntp_pool_submit(struct nntp_pool *p, qos_time now, struct nntp_op *op)
{
    const struct segment_want *w = &op->x.f->want;
    struct qos_want want = {.class = w->class,
                            .urgency = w->urgency,
                            .verb = w->verb,
                            .stream = w->stream,
                            .deadline = w->deadline_us,
                            .bytes = w->bytes,
                            .age = age_of(w),
                            .cookie = op};
    return qos_submit(p->qos, now, &want, &op->id);
}

static void full_say(struct nntp_pool *p, uint64_t now_us)
{
    uint64_t n = log_gate_pass(&p->full, now_us, 10 * SECOND_US);

    if (n)
        log_warn("too many fetches at once (%u): %llu turned away", NNTP_OPS,
                 (unsigned long long)n);
}

/* An NZB may hold a million of them, and be read again and again. */
static void unsafe_say(struct nntp_pool *p, const char *message_id)
{
    uint64_t n = log_gate_pass(&p->unsafe, clock_now_us(), 10 * SECOND_US);

    if (n)
        log_warn("message-id <%.100s>: not one that can be asked for (%llu such)", message_id,
                 (unsigned long long)n);
}

static void pool_fetch(struct source *s, struct segment_fetch *f)
{
    struct nntp_pool *p = pool_of(s);
    bool safe = nntp_message_id_is_safe(f->want.message_id);
    int r = 0;

    if (!safe)
        unsafe_say(p, f->want.message_id);
    qos_time now = nntp_orders_lock(p);
    struct nntp_op *op = nntp_orders_slot(p);

    if (!op) {
        turn_away(p, f);
    } else {
        op->x.f = f;
        f->handle = handle_of(p, op);
        if (p->stopping)
            nntp_orders_end(p, op, SEGMENT_CANCELLED);
        else if (!safe || (r = nntp_pool_submit(p, now, op)))
            nntp_orders_end(p, op, SEGMENT_FAILED);
    }
    nntp_orders_unlock(p, now);
    /* From here on `f` may have ended and be gone. */
    if (!op || r)
        full_say(p, now);
}

static void pool_promote(struct source *s, struct segment_fetch *f, enum urgency u,
                         uint64_t deadline_us)
{
    struct nntp_pool *p = pool_of(s);
    qos_time now = nntp_orders_lock(p);
    struct nntp_op *op = op_of(p, f);

    if (op)
        qos_promote(p->qos, now, op->id, u, deadline_us);
    nntp_orders_unlock(p, now);
}

static void pool_cancel(struct source *s, struct segment_fetch *f)
{
    struct nntp_pool *p = pool_of(s);
    qos_time now = nntp_orders_lock(p);
    struct nntp_op *op = slot_of(p, f);

    if (op && op->id)
        qos_cancel(p->qos, now, op->id);
    if (op)
        nntp_hedge_cancel(p, now, op);
    nntp_orders_unlock(p, now);
}

/* Lock held. A film is followed by the next one, and a library is opened file by file. */
static void warm_tell(struct nntp_pool *p, qos_time now)
{
    bool on = p->expected || now < p->warm_until;

    qos_warm(p->qos, now, TRAFFIC_STREAMING, on ? p->warm : 0, p->expected ? 0 : p->warm_until);
}

static void pool_expect(struct source *s, int by)
{
    struct nntp_pool *p = pool_of(s);
    qos_time now = nntp_orders_lock(p);
    bool before = p->expected;

    assert(by >= 0 || p->expected >= (unsigned)-by);
    p->expected += (unsigned)by;
    if (before != (p->expected != 0)) {
        if (before)
            p->warm_until = now + WARM_US;
        warm_tell(p, now);
    }
    nntp_orders_unlock(p, now);
}

static const struct source_ops source_ops = {
    .fetch = pool_fetch, .promote = pool_promote, .cancel = pool_cancel, .expect = pool_expect};

/* --- configuration ---------------------------------------------------------------------------------- */

/* The providers in the pool's own order: each keeps its number for life. A name that is new goes to the
 * end, one that is gone keeps its place without connections. */
struct plan {
    const struct config_provider *of[QOS_PROVIDERS]; /* NULL: gone */
    struct nntp_site *site[QOS_PROVIDERS];           /* another site; NULL: as before */
    unsigned n;
    unsigned warm;
    struct qos_config qos;
};

static int plan_providers(const struct nntp_pool *p, const struct config *cfg, struct plan *plan,
                          char *err, size_t errlen)
{
    plan->n = p->nproviders;
    for (unsigned i = 0; i < cfg->nproviders; i++) {
        unsigned k = 0;
        while (k < p->nproviders && strcmp(p->providers[k].site->name, cfg->providers[i].name) != 0)
            k++;
        if (k == p->nproviders) {
            if (plan->n == QOS_PROVIDERS) {
                snprintf(err, errlen, "[provider %s] more than %d providers since the start",
                         cfg->providers[i].name, QOS_PROVIDERS);
                return -EINVAL;
            }
            k = plan->n++;
        }
        plan->of[k] = &cfg->providers[i];
    }
    return 0;
}

static int plan_sites(const struct nntp_pool *p, const struct config *cfg, struct plan *plan,
                      char *err, size_t errlen)
{
    for (unsigned k = 0; k < plan->n; k++) {
        const struct config_provider *c = plan->of[k];
        if (!c || (k < p->nproviders && nntp_site_is_for(p->providers[k].site, c, &cfg->timeouts)))
            continue;
        int r = nntp_site_new(c, &cfg->timeouts, &plan->site[k], err, errlen);
        if (r)
            return r;
    }
    return 0;
}

static void plan_qos(const struct config *cfg, struct plan *plan)
{
    struct qos_config *q = &plan->qos;

    q->total = cfg->pool.connections;
    q->reserve = cfg->pool.reserve;
    q->rate_bps = cfg->pool.rate_bps;
    q->idle_us = cfg->timeouts.idle_s * SECOND_US;
    q->probe_us = cfg->timeouts.probe_s * SECOND_US;
    q->backoff_max_us = BACKOFF_MAX_US;
    q->login_us = LOGIN_US;
    for (unsigned i = 0; i < TRAFFIC_CLASSES; i++)
        q->classes[i] = (struct qos_class_config){.guaranteed = cfg->classes[i].guaranteed,
                                                  .burst = cfg->classes[i].burst,
                                                  .weight = cfg->classes[i].weight,
                                                  .per_stream = cfg->classes[i].per_stream,
                                                  .hedge = cfg->classes[i].hedge};
    q->nproviders = plan->n;
    for (unsigned k = 0; k < plan->n; k++) {
        const struct config_provider *c = plan->of[k];
        if (c)
            q->providers[k] =
                (struct qos_provider_config){.connections = c->connections,
                                             .tier = c->tier,
                                             .weight = c->weight,
                                             .pipelining = c->pipelining,
                                             .retention_us = c->retention_days * DAY_US,
                                             .rate_bps = c->rate_bps};
    }
}

static void plan_fini(struct plan *plan)
{
    for (unsigned k = 0; k < QOS_PROVIDERS; k++)
        nntp_site_put(plan->site[k]);
}

static int plan_make(const struct nntp_pool *p, const struct config *cfg, struct plan *plan,
                     char *err, size_t errlen)
{
    int r = plan_providers(p, cfg, plan, err, errlen);

    if (!r)
        r = plan_sites(p, cfg, plan, err, errlen);
    if (r)
        return r;
    plan_qos(cfg, plan);
    plan->warm = cfg->pool.warm;
    return qos_config_check(&plan->qos, err, errlen);
}

static bool plan_is_rated(const struct plan *plan)
{
    bool rated = plan->qos.rate_bps != 0;

    for (unsigned k = 0; k < plan->n; k++)
        rated |= plan->qos.providers[k].rate_bps != 0;
    return rated;
}

/* Lock held (or nobody else there yet). What was replaced is left in the plan, to be let go of. */
static void plan_adopt(struct nntp_pool *p, struct plan *plan)
{
    for (unsigned k = 0; k < plan->n; k++) {
        struct nntp_site *old = p->providers[k].site;
        if (!plan->site[k])
            continue;
        p->providers[k].site = plan->site[k];
        p->providers[k].was_up = false;
        plan->site[k] = old;
        if (!old)
            snprintf(p->providers[k].name, sizeof(p->providers[k].name), "%s",
                     p->providers[k].site->name);
        else
            atomic_store(&old->retired, true);
    }
    p->nproviders = plan->n;
    p->warm = plan->warm;
    nntp_rates_set(&p->rates, &plan->qos);
    atomic_store(&p->rated, plan_is_rated(plan));
}

/* --- life ------------------------------------------------------------------------------------------- */

/* Two loops cost 4 % more CPU a byte than one, and where one core is the limit they bring half as much
 * again; more than two have nothing left to bring on a home's line. */
static unsigned lanes_wanted(const struct config *cfg)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned n = cfg->threads ? cfg->threads : cores > 1 ? 2 : 1;

    return n < NNTP_LOOPS_MOST ? n : NNTP_LOOPS_MOST;
}

static unsigned plan_connections(const struct plan *plan)
{
    unsigned sum = 0;

    for (unsigned k = 0; k < plan->n; k++)
        sum += plan->qos.providers[k].connections;
    return sum;
}

static struct qos_limits limits_of(const struct plan *plan)
{
    struct qos_limits limits = {.ops = NNTP_OPS, .conns = CONNS_LEAST, .streams = STREAMS};
    unsigned sum = plan_connections(plan);

    if (sum > limits.conns / 2)
        limits.conns = sum * 2;
    return limits;
}

/* Those on their way out take room, too. A full table would leave slots empty and say nothing. */
static int plan_fits(const struct nntp_pool *p, const struct plan *plan, char *err, size_t errlen)
{
    unsigned sum = plan_connections(plan);

    if (sum <= p->conns_most / 2)
        return 0;
    snprintf(err, errlen, "%u connections are more than there is room for since the start (%u): %s",
             sum, p->conns_most / 2, "start anew for so many");
    return -EINVAL;
}

/* With a trace it is recorded from the start. */
static int scheduler_start(struct nntp_pool *p, const struct plan *plan, const char *trace,
                           char *err, size_t errlen)
{
    struct qos_limits limits = limits_of(plan);

    p->conns_most = limits.conns;
    p->qos = qos_new(&plan->qos, &limits);
    if (!p->qos) {
        snprintf(err, errlen, "no memory for the scheduler");
        return -ENOMEM;
    }
    int r = trace ? nntp_trace_open(trace, NNTP_TRACE_BUFFER, &p->trace, err, errlen) : 0;
    if (r)
        qos_free(p->qos);
    else if (trace)
        nntp_trace_attach(p->trace, p->qos, &limits, &plan->qos, clock_now_us());
    return r;
}

static void sites_put(struct nntp_pool *p)
{
    for (unsigned k = 0; k < p->nproviders; k++)
        nntp_site_put(p->providers[k].site);
}

static int threads_start(struct nntp_pool *p, const struct config *cfg)
{
    int r = nntp_resolver_start(&p->resolver);

    if (r)
        return r;
    if ((r = nntp_orders_init(p, lanes_wanted(cfg))))
        nntp_resolver_stop(p->resolver);
    return r;
}

int nntp_pool_start(const struct config *cfg, const char *trace, struct nntp_pool **out, char *err,
                    size_t errlen)
{
    struct nntp_pool *p = calloc(1, sizeof(*p));
    struct plan plan = {0};
    int r = -ENOMEM;

    snprintf(err, errlen, "no memory for the pool");
    if (!p)
        return r;
    if ((r = plan_make(p, cfg, &plan, err, errlen)))
        goto err0;
    nntp_rates_init(&p->rates);
    plan_adopt(p, &plan);
    p->source.ops = &source_ops;
    if ((r = scheduler_start(p, &plan, trace, err, errlen)))
        goto err1;
    if ((r = threads_start(p, cfg))) {
        snprintf(err, errlen, "network threads: %s", strerror(-r));
        goto err2;
    }
    err[0] = '\0';
    *out = p;
    return 0;
err2:
    nntp_trace_close(p->trace);
    qos_free(p->qos);
err1:
    sites_put(p);
err0:
    plan_fini(&plan);
    free(p);
    return r;
}

struct source *nntp_pool_source(struct nntp_pool *p)
{
    return &p->source;
}

int nntp_pool_resize(struct nntp_pool *p, const struct config *cfg, char *err, size_t errlen)
{
    struct plan plan = {0};

    /* Only this function changes providers, one caller at a time: so they may be read without the lock. */
    int r = plan_make(p, cfg, &plan, err, errlen);
    if (!r)
        r = plan_fits(p, &plan, err, errlen);
    if (!r) {
        qos_time now = nntp_orders_lock(p);
        r = qos_resize(p->qos, now, &plan.qos);
        unsigned warm = p->warm;
        if (r)
            snprintf(err, errlen, "the scheduler does not take this configuration");
        else
            plan_adopt(p, &plan);
        if (p->warm != warm)
            warm_tell(p, now);
        nntp_orders_unlock(p, now);
        nntp_resolver_expire(p->resolver); /* somebody may have mended the name servers */
    }
    plan_fini(&plan);
    return r;
}

void nntp_pool_stop(struct nntp_pool *p)
{
    if (!p)
        return;
    qos_time now = nntp_orders_lock(p);
    p->stopping = true;
    qos_shut(p->qos, now);
    nntp_orders_unlock(p, now);
    pthread_mutex_lock(&p->lock);
    while (p->live_ops || p->live_conns || p->away)
        pthread_cond_wait(&p->quiet, &p->lock);
    pthread_mutex_unlock(&p->lock);
    nntp_orders_fini(p);
    nntp_resolver_stop(p->resolver);
    nntp_trace_close(p->trace);
    qos_free(p->qos);
    sites_put(p);
    free(p);
}

/* --- figures ---------------------------------------------------------------------------------------- */

void nntp_pool_stats(struct nntp_pool *p, struct nntp_pool_stats *out)
{
    memset(out, 0, sizeof(*out));
    pthread_mutex_lock(&p->lock);
    out->now_us = clock_now_us();
    out->hedged = p->hedged;
    qos_stats(p->qos, &out->qos);
    for (unsigned k = 0; k < p->nproviders; k++) {
        struct nntp_provider *v = &p->providers[k];
        struct nntp_provider_stats *s = &out->providers[k];
        snprintf(s->name, sizeof(s->name), "%s", v->site->name);
        memcpy(s->why, v->why, sizeof(s->why));
        s->gone = !out->qos.providers[k].limit;
        s->bytes_wire = atomic_load_explicit(&v->counters.wire, memory_order_relaxed);
        s->bytes_payload = atomic_load_explicit(&v->counters.payload, memory_order_relaxed);
    }
    pthread_mutex_unlock(&p->lock);
}
