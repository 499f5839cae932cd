#include "qos/internal.h"

#include <assert.h>
#include <errno.h>

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

static void time_pass(struct qos *q, qos_time now)
{
    if (now <= q->now)
        return;
    qos_hedge_pass(q, now);
    q->now = now;
}

static void fact(struct qos *q, qos_time now)
{
    time_pass(q, now);
    q->unsettled = true;
}

int qos_submit(struct qos *q, qos_time now, const struct qos_want *want, qos_op *out)
{
    assert((unsigned)want->class < TRAFFIC_CLASSES && (unsigned)want->urgency < QOS_URGENCIES);
    fact(q, now);
    *out = 0;
    int r = qos_op_new(q, want, out);
    record(q, now, (struct qos_record){.kind = QOS_RECORD_SUBMIT, .submit = {want, r, *out}});
    return r;
}

void qos_promote(struct qos *q, qos_time now, qos_op handle, enum urgency u, qos_time deadline)
{
    fact(q, now);
    record(q, now,
           (struct qos_record){.kind = QOS_RECORD_PROMOTE, .promote = {handle, u, deadline}});
    struct op *op = qos_op_find(q, handle);
    if (!op || (op->twin && op->state == OP_WAITING))
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
    else
        qos_hedge_watch(q, op);
}

void qos_cancel(struct qos *q, qos_time now, qos_op handle)
{
    fact(q, now);
    record(q, now, (struct qos_record){.kind = QOS_RECORD_CANCEL, .cancel = handle});
    struct op *op = qos_op_find(q, handle);
    if (!op)
        return;
    if (op->state == OP_FLYING) {
        qos_conn_unwant(q, op->conn, op);
        return;
    }
    qos_op_withdraw(q, op);
    qos_op_end(q, op, QOS_CANCELLED);
}

int qos_hedge(struct qos *q, qos_time now, qos_op late, void *cookie, qos_op *twin)
{
    fact(q, now);
    *twin = 0;
    struct op *op = qos_op_find(q, late);
    int r = op ? qos_hedge_new(q, op, cookie, twin) : -EAGAIN;
    record(q, now, (struct qos_record){.kind = QOS_RECORD_HEDGE, .hedge = {late, r, *twin}});
    return r;
}

void qos_warm(struct qos *q, qos_time now, enum traffic_class class, unsigned n, qos_time until)
{
    assert((unsigned)class < TRAFFIC_CLASSES);
    fact(q, now);
    record(q, now, (struct qos_record){.kind = QOS_RECORD_WARM, .warm = {class, n, until}});
    qos_warm_set(q, class, n, until);
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
    qos_provider_ready(q, c);
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

/** What was in flight on a connection of `provider` that is gone. The first was under way; `blame` it. */
static void give_back(struct qos *q, struct list *left, unsigned provider, bool blame)
{
    struct op *first =
        blame && !list_is_empty(left) ? container_of(left->next, struct op, link) : NULL;
    if (first)
        qos_op_broke_off(q, first, provider);
    while (
        !list_is_empty(left)) { /* the last first, each to the head: the first ends up in front */
        struct op *op = container_of(left->prev, struct op, link);
        list_del(&op->link);
        /* Were it always the same that tries out a provider, it would use up its attempts in an outage. */
        qos_op_wait(q, op, op != first || !qos_provider_is_suspect(&q->providers[provider]));
    }
}

void qos_conn_gone(struct qos *q, qos_time now, qos_conn handle, enum qos_gone why, bool seen,
                   uint32_t dice)
{
    fact(q, now);
    record(q, now, (struct qos_record){.kind = QOS_RECORD_GONE, .gone = {handle, why, seen, dice}});
    struct conn *c = qos_conn_find(q, handle);
    if (!c)
        return;
    bool opening = c->state == CONN_OPENING;
    why = reason(c, why);
    bool cooled = opening ? c->warm && why != QOS_GONE_CLOSED
                          : c->state == CONN_IDLE && why == QOS_GONE_STALE;
    bool counts = why != QOS_GONE_CLOSED && why != QOS_GONE_STALE && why != QOS_GONE_LIMIT;
    struct list left;
    list_init(&left);
    while (c->nflying) {
        struct op *op = container_of(c->flying.next, struct op, link);
        qos_conn_unsend(q, c, op);
        list_add_tail(&left, &op->link);
    }
    qos_conn_drop(q, c, seen);
    qos_provider_failed(q, c, opening, why, dice);
    if (cooled)
        qos_provider_cooled(q, &q->providers[c->provider], c, dice);
    give_back(q, &left, c->provider, counts);
}

static void op_answered(struct qos *q, struct op *op, unsigned provider, enum qos_outcome how)
{
    struct share *share = &q->providers[provider].shares[op->want.class];
    switch (how) {
    case QOS_OK:
        share->ok++;
        qos_op_end(q, op, QOS_DONE);
        return;
    case QOS_NO_ROOM:
        share->ok++;
        qos_op_end(q, op, op->cancelled ? QOS_CANCELLED : QOS_REJECTED);
        return;
    case QOS_NOT_HERE:
        share->not_here++;
        op->not_here |= 1u << provider;
        op->verdict = QOS_MISSING;
        break;
    case QOS_SPOILT:
        share->spoilt++;
        op->spoilt |= 1u << provider;
        op->verdict = QOS_CORRUPT;
        break;
    case QOS_DECLINED:
        share->broken++;
        qos_op_broke_off(q, op, provider);
        break;
    }
    qos_op_wait(q, op, true);
}

void qos_op_begun(struct qos *q, qos_time now, qos_op handle)
{
    fact(q, now);
    record(q, now, (struct qos_record){.kind = QOS_RECORD_BEGUN, .begun = handle});
    struct op *op = qos_op_find(q, handle);
    if (op && op->state == OP_FLYING)
        qos_follow_begun(q, op);
}

void qos_op_done(struct qos *q, qos_time now, qos_op handle, enum qos_outcome how, uint64_t bytes)
{
    fact(q, now);
    record(q, now, (struct qos_record){.kind = QOS_RECORD_DONE, .done = {handle, how, bytes}});
    struct op *op = qos_op_find(q, handle);
    if (!op || op->state != OP_FLYING)
        return;
    struct conn *c = op->conn;
    struct provider *p = &q->providers[c->provider];
    c->answered++;
    p->shares[c->class].bytes += bytes;
    if (how == QOS_OK && op->want.verb == SEGMENT_BODY) {
        qos_hist_add(p->answer, q->now - c->head);
        qos_cut_answered(p, q->now - c->head, bytes);
        qos_follow_answered(q, c, bytes);
        qos_hedge_answered(q, p, op);
    }
    if (op->twin || (how == QOS_OK && op->want.verb == SEGMENT_BODY))
        qos_hedge_brought(q, op, bytes);
    c->head = q->now;
    qos_conn_brought(q, op, bytes);
    qos_conn_unsend(q, c, op);
    if (!c->nflying && c->state == CONN_BUSY)
        qos_conn_rest(q, c);
    qos_provider_answered(q, p);
    op_answered(q, op, c->provider, how);
}

int qos_resize(struct qos *q, qos_time now, const struct qos_config *cfg)
{
    fact(q, now);
    int r = qos_settings_change(q, cfg);
    record(q, now, (struct qos_record){.kind = QOS_RECORD_RESIZE, .resize = {cfg, r}});
    return r;
}

void qos_shut(struct qos *q, qos_time now)
{
    fact(q, now);
    record(q, now, (struct qos_record){.kind = QOS_RECORD_SHUT});
    q->shut = true;
    q->cut_at = QOS_NEVER;
    q->cut_set = 0;
    for (unsigned i = 0; i < q->ops_used; i++) {
        struct op *op = &q->ops[i];
        if (op->state == OP_FLYING)
            qos_conn_unwant(q, op->conn, op);
        if (op->state != OP_WAITING)
            continue;
        qos_op_withdraw(q, op);
        qos_op_end(q, op, QOS_CANCELLED);
    }
    for (unsigned i = 0; i < q->limits.conns; i++) {
        struct conn *c = &q->conns[i];
        if (c->state == CONN_OPENING || c->state == CONN_IDLE || c->state == CONN_BUSY)
            qos_conn_close(q, c);
    }
}

/* --- orders --- */

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

static bool grant_cut_or_warm(struct qos *q, struct qos_order *out)
{
    if (qos_grant(q, out) || qos_hedge_start(q, out) || qos_hedge_late(q, out))
        return true;
    qos_claims_note(q);
    return (qos_cut(q) && close_next(q, out)) || qos_warm_open(q, out);
}

bool qos_next(struct qos *q, qos_time now, struct qos_order *out)
{
    time_pass(q, now);
    qos_deadlines_pass(q);
    qos_conns_age(q);
    if (qos_op_end_next(q, out) || close_next(q, out) || (!q->shut && grant_cut_or_warm(q, out))) {
        record(q, now, (struct qos_record){.kind = QOS_RECORD_ORDER, .order = out});
        return true;
    }
    qos_bars_set(q, false);
    q->late_at = qos_hedge_wake(q);
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
    if (q->cut_at < at)
        at = q->cut_at;
    qos_time warm = qos_warm_wake(q), follow = qos_follow_wake(q);
    at = q->late_at < at ? q->late_at : at;
    at = warm < at ? warm : at;
    at = follow < at ? follow : at;
    for (unsigned i = 0; i < q->cfg.nproviders; i++) {
        qos_time t = qos_provider_wake(q, &q->providers[i]);
        at = t < at ? t : at;
    }
    return at;
}
