#include "qos/internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* --- operations --- */

qos_op qos_op_handle(const struct qos *q, const struct op *op)
{
    return (uint64_t)op->gen << 32 | ((uint64_t)(op - q->ops) + 1);
}

static struct op *op_find(struct qos *q, qos_op handle)
{
    uint64_t index = handle & UINT32_MAX;
    if (!index || index > q->limits.ops)
        return NULL;
    struct op *op = &q->ops[index - 1];
    bool live = op->state == OP_WAITING || op->state == OP_FLYING;
    return live && op->gen == handle >> 32 ? op : NULL;
}

static bool due_before(const struct heap_node *a, const struct heap_node *b)
{
    const struct op *x = container_of((struct heap_node *)(uintptr_t)a, struct op, due);
    const struct op *y = container_of((struct heap_node *)(uintptr_t)b, struct op, due);
    if (x->want.deadline != y->want.deadline)
        return x->want.deadline < y->want.deadline;
    return x < y;
}

/** It is neither queued nor in flight. */
static void op_end(struct qos *q, struct op *op, enum qos_verdict verdict)
{
    q->classes[op->want.class].ends[verdict]++;
    op->state = OP_ENDED;
    op->verdict = verdict;
    qos_stream_put(q, op->stream);
    op->stream = NULL;
    list_add_tail(&q->ended, &op->link);
}

/* What went wrong somewhere and may be there after all is never called missing or corrupt. */
static enum qos_verdict verdict_of(const struct qos *q, const struct op *op)
{
    uint32_t active = qos_providers_active(q);
    if (op->failed & active)
        return QOS_FAILED;
    return op->spoilt & active ? QOS_CORRUPT : QOS_MISSING;
}

static bool has_nowhere_to_go(const struct qos *q, const struct op *op)
{
    uint32_t excluded = op->not_here | op->spoilt | op->failed | op->too_old;
    return !(qos_providers_active(q) & ~excluded);
}

/** It is to be sent (again), if there is still reason to. */
static void op_wait(struct qos *q, struct op *op, bool head)
{
    if (op->cancelled || q->shut)
        op_end(q, op, QOS_CANCELLED);
    else if (has_nowhere_to_go(q, op))
        op_end(q, op, verdict_of(q, op));
    else if (op->want.deadline && op->want.deadline <= q->now)
        op_end(q, op, QOS_TIMEOUT);
    else
        qos_queue_put(q, op, head);
}

static void op_broke_off(struct qos *q, struct op *op, unsigned provider)
{
    uint64_t *tries = &op->tries[provider / 16];
    unsigned shift = provider % 16 * 4;
    *tries += UINT64_C(1) << shift;
    op->shun |= 1u << provider;
    if ((*tries >> shift & 15) >= q->cfg.attempts)
        op->failed |= 1u << provider;
}

static uint32_t too_old(const struct qos *q, const struct qos_want *w)
{
    uint32_t set = 0;
    for (unsigned i = 0; i < q->cfg.nproviders; i++) {
        uint64_t kept = q->providers[i].cfg.retention_us;
        if (kept && w->age > kept)
            set |= 1u << i;
    }
    return set;
}

/* --- life --- */

static void settings_apply(struct qos *q)
{
    for (unsigned i = 0; i < q->cfg.nproviders; i++) {
        struct provider *p = &q->providers[i];
        const struct qos_provider_config *new = &q->cfg.providers[i];
        if (p->cfg.connections != new->connections)
            p->ceiling = new->connections;
        if (p->cfg.rate_bps != new->rate_bps)
            qos_bucket_set(&p->bucket, new->rate_bps, q->now);
        p->cfg = *new;
    }
    for (unsigned i = 0; i < TRAFFIC_CLASSES; i++)
        q->classes[i].cfg = q->cfg.classes[i];
    q->epoch++;
}

static size_t power_of_two(size_t n)
{
    size_t p = 16;
    while (p < n)
        p *= 2;
    return p;
}

static bool tables_new(struct qos *q)
{
    const struct qos_limits *l = &q->limits;
    size_t live = (size_t)l->ops + l->conns;
    q->nlanes = (live < QOS_LANES ? live : QOS_LANES) + QOS_PROVIDERS * TRAFFIC_CLASSES;
    size_t nstream_slots = power_of_two(l->streams), nlane_slots = power_of_two(q->nlanes);
    q->nstreams_mask = nstream_slots - 1;
    q->nlanes_mask = nlane_slots - 1;
    q->ops = calloc(l->ops, sizeof(*q->ops));
    q->conns = calloc(l->conns, sizeof(*q->conns));
    q->streams = calloc(l->streams, sizeof(*q->streams));
    q->stream_table = calloc(nstream_slots, sizeof(struct stream *));
    q->flows = calloc(live, sizeof(*q->flows));
    q->lanes = calloc(q->nlanes, sizeof(*q->lanes));
    q->lane_table = calloc(nlane_slots, sizeof(struct lane *));
    return q->ops && q->conns && q->streams && q->stream_table && q->flows && q->lanes &&
           q->lane_table;
}

struct qos *qos_new(const struct qos_config *cfg, const struct qos_limits *limits)
{
    char err[128];
    if (qos_config_check(cfg, err, sizeof(err)) || !limits->ops || !limits->conns ||
        !limits->streams)
        return NULL;
    struct qos *q = calloc(1, sizeof(*q));
    if (!q)
        return NULL;
    q->limits = *limits;
    if (!tables_new(q)) {
        qos_free(q);
        return NULL;
    }
    heap_init(&q->deadlines, due_before);
    list_init(&q->ended);
    list_init(&q->closing);
    list_init(&q->opening);
    list_init(&q->free_ops);
    list_init(&q->free_conns);
    for (unsigned i = 0; i < limits->conns; i++)
        list_add_tail(&q->free_conns, &q->conns[i].link);
    qos_queue_init(q);
    for (unsigned i = 0; i < QOS_PROVIDERS; i++)
        qos_provider_init(&q->providers[i]);
    qos_config_resolve(cfg, &q->cfg);
    settings_apply(q);
    qos_bucket_set(&q->bucket, q->cfg.rate_bps, 0);
    qos_bars_set(q, true);
    return q;
}

void qos_free(struct qos *q)
{
    if (!q)
        return;
    free(q->ops);
    free(q->conns);
    free(q->streams);
    free(q->stream_table);
    free(q->flows);
    free(q->lanes);
    free(q->lane_table);
    free(q);
}

/* --- the record --- */

void qos_watch(struct qos *q, void (*watch)(void *arg, const struct qos_record *r), void *arg)
{
    q->watch = watch;
    q->watch_arg = arg;
}

static void record(struct qos *q, qos_time now, struct qos_record r)
{
    if (!q->watch)
        return;
    r.now = now;
    q->watch(q->watch_arg, &r);
}

/* --- facts --- */

static void fact(struct qos *q, qos_time now)
{
    if (now > q->now)
        q->now = now;
    q->unsettled = true;
}

static int submit(struct qos *q, const struct qos_want *want, qos_op *out)
{
    if (list_is_empty(&q->free_ops) && q->ops_used == q->limits.ops)
        return -ENOSPC;
    struct stream *s = qos_stream_find(q, want->class, want->stream);
    if (!s)
        return -ENOSPC;
    struct list *used = list_pop(&q->free_ops);
    struct op *op = used ? container_of(used, struct op, link) : &q->ops[q->ops_used++];
    uint32_t gen = op->gen + 1;
    *op = (struct op){.want = *want, .stream = s, .since = q->now, .gen = gen};
    list_init(&op->link);
    op->too_old = too_old(q, want);
    qos_stream_get(s);
    *out = qos_op_handle(q, op);
    op_wait(q, op, false);
    return 0;
}

int qos_submit(struct qos *q, qos_time now, const struct qos_want *want, qos_op *out)
{
    assert((unsigned)want->class < TRAFFIC_CLASSES && (unsigned)want->urgency < QOS_URGENCIES);
    fact(q, now);
    *out = 0;
    int r = submit(q, want, out);
    record(q, now, (struct qos_record){.kind = QOS_RECORD_SUBMIT, .submit = {want, r, *out}});
    return r;
}

void qos_promote(struct qos *q, qos_time now, qos_op handle, enum urgency u, qos_time deadline)
{
    fact(q, now);
    record(q, now,
           (struct qos_record){.kind = QOS_RECORD_PROMOTE, .promote = {handle, u, deadline}});
    struct op *op = op_find(q, handle);
    if (!op)
        return;
    bool waits = op->state == OP_WAITING, moves = u < op->want.urgency;
    if (deadline && deadline != op->want.deadline) {
        if (waits && op->want.deadline)
            heap_del(&q->deadlines, &op->due);
        op->want.deadline = deadline;
        if (waits)
            heap_push(&q->deadlines, &op->due);
    }
    if (!moves)
        return;
    if (waits)
        qos_queue_take(q, op);
    op->want.urgency = u;
    if (waits)
        qos_queue_put(q, op, false);
}

void qos_cancel(struct qos *q, qos_time now, qos_op handle)
{
    fact(q, now);
    record(q, now, (struct qos_record){.kind = QOS_RECORD_CANCEL, .cancel = handle});
    struct op *op = op_find(q, handle);
    if (!op)
        return;
    op->cancelled = true;
    if (op->state == OP_WAITING) {
        qos_queue_take(q, op);
        op_end(q, op, QOS_CANCELLED);
    }
}

void qos_conn_ready(struct qos *q, qos_time now, qos_conn handle)
{
    fact(q, now);
    record(q, now, (struct qos_record){.kind = QOS_RECORD_READY, .ready = handle});
    struct conn *c = qos_conn_find(q, handle);
    if (!c || c->state != CONN_OPENING)
        return;
    /* Opening it was the operation under way of its lease. That has ended, and the rule decides anew. */
    qos_conn_rest(q, c);
    qos_provider_ready(q, &q->providers[c->provider]);
}

/** What the reason given amounts to, for a connection in that state. */
static enum qos_gone reason(const struct conn *c, enum qos_gone why)
{
    if (c->state == CONN_CLOSING)
        return QOS_GONE_CLOSED;
    if (c->state == CONN_IDLE)
        return why == QOS_GONE_CLOSED ? why : QOS_GONE_STALE;
    /* Closed as if it had idled, with a command sent and never an answer: not a connection that went
     * stale. Were it none's fault, such a server would keep an operation going round for ever. */
    if (c->state == CONN_BUSY && why == QOS_GONE_STALE && !c->answered)
        return QOS_GONE_BROKEN;
    if (c->state == CONN_OPENING && why == QOS_GONE_STALE)
        return QOS_GONE_REFUSED;
    return why;
}

void qos_conn_gone(struct qos *q, qos_time now, qos_conn handle, enum qos_gone why, bool seen,
                   uint32_t dice)
{
    fact(q, now);
    record(q, now, (struct qos_record){.kind = QOS_RECORD_GONE, .gone = {handle, why, seen, dice}});
    struct conn *c = qos_conn_find(q, handle);
    if (!c)
        return;
    struct provider *p = &q->providers[c->provider];
    unsigned provider = c->provider;
    bool opening = c->state == CONN_OPENING;
    why = reason(c, why);
    bool counts = why != QOS_GONE_CLOSED && why != QOS_GONE_STALE && why != QOS_GONE_LIMIT;
    struct list left;
    list_init(&left);
    while (c->nflying) {
        struct op *op = container_of(c->flying.next, struct op, link);
        qos_conn_unsend(q, c, op);
        list_add_tail(&left, &op->link);
    }
    qos_conn_drop(q, c, seen);
    qos_provider_failed(q, p, opening, c->opened, why, dice);
    if (counts && !list_is_empty(&left))
        op_broke_off(q, container_of(left.next, struct op, link), provider);
    while (
        !list_is_empty(&left)) { /* the last first, each to the head: the first ends up in front */
        struct op *op = container_of(left.prev, struct op, link);
        list_del(&op->link);
        op_wait(q, op, true);
    }
}

static void op_answered(struct qos *q, struct op *op, struct provider *p, enum qos_outcome how)
{
    unsigned i = (unsigned)(p - q->providers);
    switch (how) {
    case QOS_OK:
        p->ok++;
        op_end(q, op, QOS_DONE);
        return;
    case QOS_NO_ROOM:
        p->ok++;
        op_end(q, op, op->cancelled ? QOS_CANCELLED : QOS_REJECTED);
        return;
    case QOS_NOT_HERE:
        p->not_here++;
        op->not_here |= 1u << i;
        break;
    case QOS_SPOILT:
        p->spoilt++;
        op->spoilt |= 1u << i;
        break;
    case QOS_DECLINED:
        p->broken++;
        op_broke_off(q, op, i);
        break;
    }
    op_wait(q, op, true);
}

void qos_op_done(struct qos *q, qos_time now, qos_op handle, enum qos_outcome how, uint64_t bytes)
{
    fact(q, now);
    record(q, now, (struct qos_record){.kind = QOS_RECORD_DONE, .done = {handle, how, bytes}});
    struct op *op = op_find(q, handle);
    if (!op || op->state != OP_FLYING)
        return;
    struct conn *c = op->conn;
    struct provider *p = &q->providers[c->provider];
    c->answered++;
    p->bytes += bytes;
    const uint64_t most = UINT64_C(1) << 40; /* a figure that wraps would turn the turns around */
    uint64_t brought = bytes < most ? bytes : most;
    uint64_t charged = op->charge < most ? op->charge : most;
    if (bytes)
        qos_stream_charge(q, op->stream, (int64_t)brought - (int64_t)charged);
    qos_conn_unsend(q, c, op);
    if (!c->nflying && c->state == CONN_BUSY)
        qos_conn_rest(q, c);
    qos_provider_answered(q, p);
    op_answered(q, op, p, how);
}

/** Retention and providers have changed: who can be asked for an operation may have, too. */
static void op_reconsider(struct qos *q, struct op *op)
{
    uint32_t old = too_old(q, &op->want);
    if (op->state != OP_WAITING) {
        op->too_old = old;
        return;
    }
    if (old == op->too_old && !has_nowhere_to_go(q, op))
        return;
    qos_queue_take(q, op);
    op->too_old = old;
    op_wait(q, op, false);
}

static int resize(struct qos *q, qos_time now, const struct qos_config *cfg)
{
    char err[128];
    if (cfg->nproviders < q->cfg.nproviders || qos_config_check(cfg, err, sizeof(err)))
        return -EINVAL;
    fact(q, now);
    uint64_t rate = q->cfg.rate_bps;
    qos_config_resolve(cfg, &q->cfg);
    settings_apply(q);
    if (rate != q->cfg.rate_bps)
        qos_bucket_set(&q->bucket, q->cfg.rate_bps, q->now);
    for (unsigned i = 0; i < q->ops_used; i++) {
        if (q->ops[i].state == OP_WAITING || q->ops[i].state == OP_FLYING)
            op_reconsider(q, &q->ops[i]);
    }
    for (unsigned i = 0; i < q->limits.streams; i++) {
        if (q->streams[i].live)
            qos_stream_refresh(q, &q->streams[i]);
    }
    qos_bars_set(q, true);
    return 0;
}

int qos_resize(struct qos *q, qos_time now, const struct qos_config *cfg)
{
    int r = resize(q, now, cfg);
    record(q, now, (struct qos_record){.kind = QOS_RECORD_RESIZE, .resize = {cfg, r}});
    return r;
}

void qos_shut(struct qos *q, qos_time now)
{
    fact(q, now);
    record(q, now, (struct qos_record){.kind = QOS_RECORD_SHUT});
    q->shut = true;
    for (unsigned i = 0; i < q->ops_used; i++) {
        struct op *op = &q->ops[i];
        if (op->state == OP_FLYING)
            op->cancelled = true;
        if (op->state != OP_WAITING)
            continue;
        qos_queue_take(q, op);
        op_end(q, op, QOS_CANCELLED);
    }
    for (unsigned i = 0; i < q->limits.conns; i++) {
        struct conn *c = &q->conns[i];
        if (c->state == CONN_OPENING || c->state == CONN_IDLE || c->state == CONN_BUSY)
            qos_conn_close(q, c);
    }
}

/* --- orders --- */

static void deadlines_pass(struct qos *q)
{
    while (q->deadlines.top) {
        struct op *op = container_of(q->deadlines.top, struct op, due);
        if (op->want.deadline > q->now)
            return;
        qos_queue_take(q, op);
        op_end(q, op, QOS_TIMEOUT);
    }
}

static bool end_next(struct qos *q, struct qos_order *out)
{
    struct list *l = list_pop(&q->ended);
    if (!l)
        return false;
    struct op *op = container_of(l, struct op, link);
    *out = (struct qos_order){.kind = QOS_END,
                              .op = qos_op_handle(q, op),
                              .cookie = op->want.cookie,
                              .verdict = op->verdict};
    op->state = OP_FREE;
    list_add(&q->free_ops, &op->link);
    return true;
}

static bool close_next(struct qos *q, struct qos_order *out)
{
    struct list *l = list_pop(&q->closing);
    if (!l)
        return false;
    struct conn *c = container_of(l, struct conn, link);
    *out = (struct qos_order){
        .kind = QOS_CLOSE, .provider = c->provider, .conn = qos_conn_handle(q, c)};
    return true;
}

bool qos_next(struct qos *q, qos_time now, struct qos_order *out)
{
    if (now > q->now)
        q->now = now;
    deadlines_pass(q);
    qos_conns_age(q);
    if (end_next(q, out) || close_next(q, out) || (!q->shut && qos_grant(q, out))) {
        record(q, now, (struct qos_record){.kind = QOS_RECORD_ORDER, .order = out});
        return true;
    }
    qos_bars_set(q, false);
    q->unsettled = false;
    record(q, now, (struct qos_record){.kind = QOS_RECORD_QUIET});
    return false;
}

qos_time qos_wake(const struct qos *q)
{
    if (q->unsettled)
        return q->now;
    qos_time at = QOS_NEVER;
    if (!list_is_empty(&q->opening))
        at = container_of(q->opening.next, struct conn, link)->opened + q->cfg.cover_us;
    if (q->deadlines.top && container_of(q->deadlines.top, struct op, due)->want.deadline < at)
        at = container_of(q->deadlines.top, struct op, due)->want.deadline;
    for (unsigned i = 0; i < q->cfg.nproviders; i++) {
        qos_time t = qos_provider_wake(q, &q->providers[i]);
        at = t < at ? t : at;
    }
    return at;
}
