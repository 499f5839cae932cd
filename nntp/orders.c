#define LOG_TAG "nntp.pool"
#include "base/clock.h"
#include "nntp/internal.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* Any fact goes the same way, whoever brings it:
 *
 *     nntp_orders_lock ── qos_…(fact) ── nntp_orders_unlock:
 *                                          qos_next()* ──▶ lanes' lists     (under the lock)
 *                                          unlock
 *                                          post each lane that got something (after it)
 *
 * The lists stand under the scheduler's own lock, so orders reach a lane in the order in which they were
 * given although several threads draw them. A lane carries out what is on its lists in a turn of its
 * own; nothing is carried out, and nobody called back, inside the call that brought the fact. */

/* --- slots ------------------------------------------------------------------------------------------ */

struct nntp_op *nntp_orders_slot(struct nntp_pool *p)
{
    struct list *e = list_pop(&p->free_ops);
    struct nntp_op *op;

    if (e) {
        op = container_of(e, struct nntp_op, mail);
    } else {
        if (p->fresh_ops == NNTP_OPS)
            return NULL;
        op = &p->ops[p->fresh_ops++];
        list_init(&op->mail);
        list_init(&op->x.link);
    }
    p->live_ops++;
    return op;
}

/* Lock held. */
static void slot_free(struct nntp_pool *p, struct nntp_op *op)
{
    if (op->hedge)
        nntp_hedge_put(p, op);
    op->gen = (op->gen + 1) & 0x7fffffff;
    list_add(&p->free_ops, &op->mail);
    p->live_ops--;
}

void nntp_orders_slot_put(struct nntp_pool *p, struct nntp_op *op)
{
    slot_free(p, op);
}

static void quiet_check(struct nntp_pool *p)
{
    if (p->stopping && !p->live_ops && !p->live_conns && !p->away)
        pthread_cond_broadcast(&p->quiet);
}

/* --- connections by handle -------------------------------------------------------------------------- */

static struct nntp_conn **bucket(struct nntp_pool *p, qos_conn id)
{
    return &p->buckets[(id * 0x9e3779b97f4a7c15u >> 32) % NNTP_BUCKETS];
}

static struct nntp_conn *conn_find(struct nntp_pool *p, qos_conn id)
{
    struct nntp_conn *c = *bucket(p, id);

    while (c && c->id != id)
        c = c->chain;
    return c;
}

static void conn_forget(struct nntp_pool *p, struct nntp_conn *c)
{
    struct nntp_conn **at = bucket(p, c->id);

    while (*at != c)
        at = &(*at)->chain;
    *at = c->chain;
    p->live_conns--;
}

static struct nntp_lane *lane_of(struct nntp_conn *c)
{
    return container_of(c->loop, struct nntp_lane, loop);
}

/* --- orders out, lock held ------------------------------------------------------------------------- */

static void touch(struct nntp_pool *p, struct nntp_lane *lane)
{
    p->touched |= 1u << lane->loop.index;
}

static void op_mail(struct nntp_pool *p, struct nntp_lane *lane, struct nntp_op *op,
                    enum nntp_mail kind)
{
    op->kind = kind;
    list_add_tail(&lane->ops, &op->mail);
    touch(p, lane);
}

static void conn_mail(struct nntp_pool *p, struct nntp_conn *c, unsigned kind)
{
    struct nntp_lane *lane = lane_of(c);

    c->mail_kinds |= kind;
    list_del(&c->mail);
    list_add_tail(&lane->conns, &c->mail);
    touch(p, lane);
}

static const struct nntp_conn_hooks hooks;

static uint32_t dice(void)
{
    uint32_t d;

    /* Without it the back-off merely loses its jitter. */
    return getrandom(&d, sizeof(d), GRND_NONBLOCK) == (ssize_t)sizeof(d) ? d : 0x80000000u;
}

static void order_open(struct nntp_pool *p, qos_time now, const struct qos_order *o)
{
    struct nntp_lane *lane = &p->lanes[0];
    struct nntp_provider *v = &p->providers[o->provider];

    for (unsigned i = 1; i < p->nlanes; i++)
        if (p->lanes[i].nconns < lane->nconns)
            lane = &p->lanes[i];
    struct nntp_conn *c = nntp_conn_new(&hooks, p, &lane->loop, p->resolver, v->site, &v->counters);
    if (!c) {
        log_error("%s: no memory for a connection", v->site->name);
        qos_conn_gone(p->qos, now, o->conn, QOS_GONE_REFUSED, true, dice());
        return;
    }
    c->id = o->conn;
    c->provider = o->provider;
    nntp_turn_init(&c->turn, o->provider);
    struct nntp_conn **at = bucket(p, c->id);
    c->chain = *at;
    *at = c;
    p->live_conns++;
    lane->nconns++;
    conn_mail(p, c, NNTP_MAIL_OPEN);
}

/* Ends are spread like connections, but one that a loop brought about stays there: it is awake. */
static struct nntp_lane *lane_for_end(struct nntp_pool *p, const struct nntp_op *op)
{
    struct nntp_loop *l = nntp_loop_current();

    for (unsigned i = 0; i < p->nlanes; i++)
        if (l == &p->lanes[i].loop)
            return &p->lanes[i];
    return &p->lanes[(size_t)(op - p->ops) % p->nlanes];
}

void nntp_orders_end(struct nntp_pool *p, struct nntp_op *op, enum segment_result r)
{
    op->id = 0;
    op->result = r;
    op_mail(p, lane_for_end(p, op), op, NNTP_MAIL_END);
}

void nntp_orders_win(struct nntp_pool *p, struct nntp_op *twin, struct nntp_op *first)
{
    twin->id = 0;
    op_mail(p, first->lane, twin, NNTP_MAIL_WIN);
}

static enum segment_result result_of(enum qos_verdict v)
{
    switch (v) {
    case QOS_DONE:
        return SEGMENT_DONE;
    case QOS_MISSING:
        return SEGMENT_MISSING;
    case QOS_CORRUPT:
        return SEGMENT_CORRUPT;
    case QOS_FAILED:
        return SEGMENT_FAILED;
    case QOS_TIMEOUT:
        return SEGMENT_TIMEOUT;
    case QOS_CANCELLED:
        return SEGMENT_CANCELLED;
    case QOS_REJECTED:
        return SEGMENT_NOSPACE;
    }
    return SEGMENT_FAILED;
}

static void order_take(struct nntp_pool *p, qos_time now, const struct qos_order *o)
{
    struct nntp_op *op = o->cookie;
    struct nntp_conn *c;

    switch (o->kind) {
    case QOS_OPEN:
        order_open(p, now, o);
        return;
    case QOS_START:
        c = op->conn = conn_find(p, o->conn);
        assert(c); /* gone connections get no orders */
        if (c) {
            op->lane = lane_of(c);
            op_mail(p, op->lane, op, NNTP_MAIL_START);
        }
        if (op->hedge)
            nntp_hedge_started(p, op);
        return;
    case QOS_LATE:
        nntp_hedge_late(p, now, op, o->op);
        return;
    case QOS_CLOSE:
        c = conn_find(p, o->conn);
        assert(c);
        if (c)
            conn_mail(p, c, NNTP_MAIL_CLOSE);
        return;
    case QOS_END:
        if (op->hedge)
            nntp_hedge_ended(p, now, op, result_of(o->verdict));
        else
            nntp_orders_end(p, op, result_of(o->verdict));
        return;
    }
}

static void alarm_set(struct nntp_pool *p, uint64_t at_us)
{
    struct itimerspec its = {.it_value = {.tv_sec = (time_t)(at_us / 1000000),
                                          .tv_nsec = (long)(at_us % 1000000) * 1000}};

    if (at_us >= p->armed_us)
        return;
    p->armed_us = at_us;
    if (timerfd_settime(p->alarm_fd, TFD_TIMER_ABSTIME, &its, NULL))
        log_error("timerfd: %s", strerror(errno));
}

qos_time nntp_orders_lock(struct nntp_pool *p)
{
    pthread_mutex_lock(&p->lock);
    return clock_now_us();
}

/* Whose turn under a rate limit has come. */
static void turns_take(struct nntp_pool *p, qos_time now)
{
    struct nntp_turn *t;

    while ((t = nntp_rates_next(&p->rates, p->qos, now)))
        conn_mail(p, container_of(t, struct nntp_conn, turn), NNTP_MAIL_RESUME);
    alarm_set(p, p->rates.again);
}

void nntp_orders_unlock(struct nntp_pool *p, qos_time now)
{
    struct qos_order o;

    while (qos_next(p->qos, now, &o))
        order_take(p, now, &o);
    alarm_set(p, qos_wake(p->qos));
    if (nntp_rates_is_waiting(&p->rates))
        turns_take(p, now);
    quiet_check(p);
    unsigned touched = p->touched;
    p->touched = 0;
    if (touched)
        atomic_fetch_add(&p->posting, 1);
    pthread_mutex_unlock(&p->lock);
    if (!touched)
        return;
    for (unsigned i = 0; i < p->nlanes; i++)
        if (touched & 1u << i)
            nntp_loop_post(&p->lanes[i].loop, &p->lanes[i].task);
    atomic_fetch_sub(&p->posting, 1);
}

/* --- facts in: what connections say ----------------------------------------------------------------- */

static void conn_up(struct nntp_conn *c)
{
    struct nntp_pool *p = c->owner;
    qos_time now = nntp_orders_lock(p);
    bool news = !p->providers[c->provider].was_up;

    p->providers[c->provider].was_up = true;
    p->providers[c->provider].why[0] = '\0';
    qos_conn_ready(p->qos, now, c->id);
    nntp_orders_unlock(p, now);
    if (news)
        log_info("%s: up (%s port %u%s)", c->site->name, c->site->host, c->site->port,
                 c->site->tls ? ", TLS" : "");
}

static void conn_begun(struct nntp_conn *c, struct nntp_exchange *x)
{
    struct nntp_pool *p = c->owner;
    struct nntp_op *op = container_of(x, struct nntp_op, x);
    qos_time now = nntp_orders_lock(p);

    qos_op_begun(p->qos, now, op->id);
    nntp_orders_unlock(p, now);
}

static void conn_done(struct nntp_conn *c, struct nntp_exchange *x)
{
    struct nntp_pool *p = c->owner;
    struct nntp_op *op = container_of(x, struct nntp_op, x);

    if (x->outcome != QOS_OK)
        segment_moved(x->f, SEGMENT_QUEUED, NULL);
    qos_time now = nntp_orders_lock(p);
    qos_op_done(p->qos, now, op->id, x->outcome, x->bytes);
    nntp_orders_unlock(p, now);
}

/* STARTs for a connection that is no more: the scheduler has taken those operations back. */
static void starts_drop(struct list *ops, const struct nntp_conn *c)
{
    list_for_each_safe(e, ops)
    {
        struct nntp_op *op = container_of(e, struct nntp_op, mail);
        if (op->kind == NNTP_MAIL_START && op->conn == c)
            list_del(e);
    }
}

static void gone_say(const struct nntp_conn *c, enum qos_gone why, const char *text)
{
    static const enum nntp_gripe gripes[] = {[QOS_GONE_BROKEN] = NNTP_GRIPE_BROKEN,
                                             [QOS_GONE_SILENT] = NNTP_GRIPE_SILENT,
                                             [QOS_GONE_REFUSED] = NNTP_GRIPE_REFUSED,
                                             [QOS_GONE_LIMIT] = NNTP_GRIPE_LIMIT,
                                             [QOS_GONE_LOGIN] = NNTP_GRIPE_LOGIN};

    if (why == QOS_GONE_CLOSED || why == QOS_GONE_STALE)
        log_debug("%s: connection ends: %s", c->site->name, text);
    else
        nntp_site_gripe(c->site, gripes[why], "%s", text);
}

/* Lock held. What a server said may be anything. */
static void why_note(struct nntp_provider *v, const char *text)
{
    size_t n = 0;

    for (; text[n] && n < sizeof(v->why) - 1; n++)
        v->why[n] = text[n] >= ' ' && text[n] <= '~' ? text[n] : '?';
    v->why[n] = '\0';
}

static void conn_gone(struct nntp_conn *c, enum qos_gone why, bool seen, const char *text)
{
    struct nntp_pool *p = c->owner;
    struct nntp_lane *lane = lane_of(c);
    bool down = false;

    gone_say(c, why, text);
    qos_time now = nntp_orders_lock(p);
    starts_drop(&lane->ops, c);
    starts_drop(&lane->running, c);
    list_del(&c->mail);
    lane->nconns--;
    conn_forget(p, c);
    nntp_rates_leave(&p->rates, p->qos, &c->turn);
    qos_conn_gone(p->qos, now, c->id, why, seen, dice());
    if (why != QOS_GONE_CLOSED && why != QOS_GONE_STALE)
        why_note(&p->providers[c->provider], text);
    if (why != QOS_GONE_CLOSED && why != QOS_GONE_STALE && p->providers[c->provider].was_up) {
        down = qos_is_down(p->qos, c->provider);
        if (down)
            p->providers[c->provider].was_up = false;
    }
    nntp_orders_unlock(p, now);
    if (down)
        log_warn("%s: down; it is tried again from time to time", c->site->name);
}

/* Rates are no facts: the scheduler has nothing to say after one, unless somebody waits for his turn. */
static void rates_unlock(struct nntp_pool *p, qos_time now)
{
    if (nntp_rates_is_waiting(&p->rates))
        nntp_orders_unlock(p, now);
    else
        pthread_mutex_unlock(&p->lock);
}

static uint64_t conn_allow(struct nntp_conn *c, uint64_t want, bool *rated)
{
    struct nntp_pool *p = c->owner;

    *rated = atomic_load_explicit(&p->rated, memory_order_relaxed);
    if (!*rated)
        return want;
    qos_time now = nntp_orders_lock(p);
    uint64_t n = c->up ? nntp_rates_take(&p->rates, p->qos, now, &c->turn, want)
                       : nntp_rates_borrow(&p->rates, &c->turn, want);
    rates_unlock(p, now);
    return n;
}

static void conn_give(struct nntp_conn *c, uint64_t bytes)
{
    struct nntp_pool *p = c->owner;
    qos_time now = nntp_orders_lock(p);

    nntp_rates_give(&p->rates, p->qos, &c->turn, bytes);
    rates_unlock(p, now);
}

static const struct nntp_conn_hooks hooks = {.up = conn_up,
                                             .begun = conn_begun,
                                             .done = conn_done,
                                             .gone = conn_gone,
                                             .allow = conn_allow,
                                             .give = conn_give};

/* --- orders carried out, on a lane ------------------------------------------------------------------ */

static void lane_conns(struct nntp_lane *lane, struct list *conns, bool stopping)
{
    struct list *e;

    for (;;) {
        /* An open that fails at once takes itself off any list, under the lock. */
        pthread_mutex_lock(&lane->pool->lock);
        e = list_pop(conns);
        struct nntp_conn *c = e ? container_of(e, struct nntp_conn, mail) : NULL;
        unsigned kinds = c ? c->mail_kinds : 0;
        if (c)
            c->mail_kinds = 0;
        pthread_mutex_unlock(&lane->pool->lock);
        if (!c)
            return;
        if (kinds & NNTP_MAIL_OPEN)
            nntp_conn_open(c);
        if (kinds & NNTP_MAIL_RESUME && !c->dead)
            nntp_conn_resume(c);
        if (kinds & NNTP_MAIL_CLOSE && !c->dead)
            nntp_conn_close(c, stopping);
    }
}

static struct nntp_op *next_running(struct nntp_lane *lane)
{
    pthread_mutex_lock(&lane->pool->lock);
    struct list *e = list_pop(&lane->running);
    pthread_mutex_unlock(&lane->pool->lock);
    return e ? container_of(e, struct nntp_op, mail) : NULL;
}

/* Another configuration has replaced the site: the operation goes to a connection to the new one. So does what
 * flies on this one, or under load there would always be something, and the old place would be asked for ever.
 * It is we who close it: that is no fault of the operations or the provider, even where nothing was ever
 * answered. */
static void op_start(const struct nntp_pool *p, struct nntp_op *op)
{
    struct nntp_conn *c = op->conn;

    if (atomic_load(&c->site->retired)) {
        nntp_conn_end(c, QOS_GONE_CLOSED, false, "its configuration has changed");
        return;
    }
    segment_moved(op->x.f, SEGMENT_SENT, p->providers[c->provider].name);
    nntp_conn_start(c, &op->x);
}

static void lane_ops(struct nntp_lane *lane)
{
    struct nntp_pool *p = lane->pool;
    struct list spent;
    struct nntp_op *op;
    struct list *e;

    list_init(&spent);
    while ((op = next_running(lane))) {
        if (op->kind == NNTP_MAIL_START) {
            op_start(p, op);
            continue;
        }
        struct segment_fetch *f = op->x.f;
        if (op->kind == NNTP_MAIL_WIN)
            nntp_hedge_win(p, op);
        else if (op->hedge && !nntp_hedge_done(p, op))
            continue;
        else if (!op->hedge)
            f->ops->done(f, op->result);
        list_add_tail(&spent, &op->mail);
    }
    if (list_is_empty(&spent))
        return;
    qos_time now = nntp_orders_lock(p);
    while ((e = list_pop(&spent)))
        slot_free(p, container_of(e, struct nntp_op, mail));
    nntp_orders_unlock(p, now);
}

/* Those that found no slot. */
static void lane_away(struct segment_fetch *f, bool stopping)
{
    while (f) {
        struct segment_fetch *next = (struct segment_fetch *)(uintptr_t)(f->handle & ~NNTP_AWAY);
        f->ops->done(f, stopping ? SEGMENT_CANCELLED : SEGMENT_FAILED);
        f = next;
    }
}

static void lane_run(struct nntp_task *t)
{
    struct nntp_lane *lane = container_of(t, struct nntp_lane, task);
    struct nntp_pool *p = lane->pool;
    struct segment_fetch *away = NULL;
    struct list conns;

    list_init(&conns);
    pthread_mutex_lock(&p->lock);
    bool stopping = p->stopping;
    list_splice(&conns, &lane->conns);
    list_splice(&lane->running, &lane->ops);
    if (lane == &p->lanes[0]) {
        away = p->away;
        p->away = p->away_last = NULL;
        quiet_check(p); /* these may have been the last that a stop waits for */
    }
    pthread_mutex_unlock(&p->lock);
    lane_conns(lane, &conns, stopping);
    lane_ops(lane);
    lane_away(away, stopping);
}

static void lane_tick(struct nntp_loop *l, uint64_t now_us)
{
    bool again = false;

    list_for_each_safe(e, &l->conns) again |=
        nntp_conn_tick(container_of(e, struct nntp_conn, on_loop), now_us);
    if (again)
        nntp_loop_tick(l);
}

static void on_alarm(evutil_socket_t fd, short what, void *arg)
{
    struct nntp_pool *p = arg;
    uint64_t n;
    (void)what;

    if (read(fd, &n, sizeof(n)) < 0)
        return; /* set anew since: it will ring again */
    qos_time now = nntp_orders_lock(p);
    p->armed_us = UINT64_MAX;
    nntp_orders_unlock(p, now);
    nntp_loop_settle(&p->lanes[0].loop);
}

static void alarm_watch(struct nntp_task *t)
{
    struct nntp_pool *p = container_of(t, struct nntp_pool, alarm_task);

    if (event_assign(&p->alarm, p->lanes[0].loop.base, p->alarm_fd, EV_READ | EV_PERSIST, on_alarm,
                     p) ||
        event_add(&p->alarm, NULL))
        log_error("timer: no memory; back-off and deadlines are not kept");
}

static int slots_map(struct nntp_pool *p)
{
    void *m = mmap(NULL, NNTP_OPS * sizeof(*p->ops), PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (m == MAP_FAILED)
        return -errno;
    p->ops = m;
    return 0;
}

static int lane_start(struct nntp_pool *p, unsigned i)
{
    struct nntp_lane *lane = &p->lanes[i];

    lane->pool = p;
    lane->task = (struct nntp_task){.run = lane_run};
    list_init(&lane->ops);
    list_init(&lane->conns);
    list_init(&lane->running);
    return nntp_loop_start(&lane->loop, i, lane_tick);
}

int nntp_orders_init(struct nntp_pool *p, unsigned nlanes)
{
    int r = slots_map(p);

    if (r)
        return r;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->quiet, NULL);
    list_init(&p->free_ops);
    p->armed_us = UINT64_MAX;
    p->alarm_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (p->alarm_fd < 0) {
        r = -errno;
        goto err0;
    }
    for (; p->nlanes < nlanes; p->nlanes++)
        if ((r = lane_start(p, p->nlanes)))
            goto err1;
    p->alarm_task = (struct nntp_task){.run = alarm_watch};
    nntp_loop_post(&p->lanes[0].loop, &p->alarm_task);
    return 0;
err1:
    while (p->nlanes)
        nntp_loop_stop(&p->lanes[--p->nlanes].loop);
    close(p->alarm_fd);
err0:
    pthread_cond_destroy(&p->quiet);
    pthread_mutex_destroy(&p->lock);
    munmap(p->ops, NNTP_OPS * sizeof(*p->ops));
    return r;
}

void nntp_orders_fini(struct nntp_pool *p)
{
    /* Nothing is out, so no more orders come. Somebody may still be about to post a lane whose orders
     * another post has carried out already: its inbox must be there for that. */
    while (atomic_load(&p->posting))
        sched_yield();
    for (unsigned i = 0; i < p->nlanes; i++)
        nntp_loop_stop(&p->lanes[i].loop);
    close(p->alarm_fd);
    pthread_cond_destroy(&p->quiet);
    pthread_mutex_destroy(&p->lock);
    munmap(p->ops, NNTP_OPS * sizeof(*p->ops));
}
