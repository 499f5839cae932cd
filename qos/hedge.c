#include "qos/internal.h"

#include <errno.h>

/*
 * What a reader is blocked on, and does not come, is asked for a second time.
 *
 *     START ──────────── late ─────────────────────────────▶ DONE     the first: it may yet win
 *                          └─ QOS_LATE ─ qos_hedge() ─ START ──▶ DONE
 *
 * *Late* is what has been at the head of its connection (or stands behind what is) for half as long again as
 * nine in ten of its provider's last SAMPLES bodies took. Nine in ten: stragglers are rare, and those that there
 * are must not make the others look punctual; the last ones: an evening is slower than a morning, and a
 * hundred connections slower than one. Below LATE_LEAST_US there is nothing to win, and until LEAST_SAMPLES
 * have come nothing is known. A body that was sent behind another took what it took from that one's end on, and the
 * round trip that was saved: the first of a reader, sent alone, has it before it.
 *
 * Not late is what we ourselves keep waiting. Where a rate limit would be at what flies, and the twin, for half of
 * that time or longer, a second one would only slow the first down. And when nobody came here for ASLEEP_US after
 * something was due to be late, then the process did not run, answers lie in the sockets unread, and everything
 * looks late: there is as much time again for them to be read.
 *
 * The second one, the *twin*, takes a lease of its class like any other, but only where nothing that waits could
 * have it: an idle connection, at another provider if one is asked for such articles, and never behind anything. It
 * is one attempt: however it ends, it is over. A class may ask for two at most of a share (`hedge`) of what it has
 * brought itself, in bytes and in number, or for FIRST articles, of a mebibyte each at most, where that is more:
 * these are lent, since nothing has been earned when the first reader comes, and paid back by what is earned first. No
 * more is saved up than for SAVED, so neither the first minute nor a bad one is spent on twins.
 */

#define LEAST_SAMPLES 16u
#define LATE_LEAST_US 50000u
#define ASLEEP_US     50000u
#define SECOND_US     UINT64_C(1000000)
#define FIRST         4
#define SAVED         8
#define WHOLE         1000 /* shares are in permille */
#define MOST_BYTES    (INT64_C(1) << 30)
#define FIRST_BYTES   ((int64_t)FIRST << 20)
#define SAVED_BYTES   ((int64_t)SAVED << 20)

/* --- late --- */

/* Of which a tenth is above: at most LATE_MOST + 1 of them are looked for. */
#define LATE_MOST     (QOS_SAMPLES / 10)

/* From when it was sent, or from when the one before it was over, and a round trip before that. */
static qos_time took(const struct qos *q, const struct provider *p, const struct op *op)
{
    qos_time head = op->conn->head, ahead = head > op->sent_at ? head - op->sent_at : 0;
    qos_time trip = p->trip_known ? p->trip_us : 0;
    return q->now - head + (trip < ahead ? trip : ahead);
}

void qos_hedge_answered(const struct qos *q, struct provider *p, const struct op *op)
{
    qos_time us = took(q, p, op);
    uint32_t most[LATE_MOST + 1] = {0}; /* the greatest first */
    p->times[p->ntimes++ % QOS_SAMPLES] = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
    unsigned n = p->ntimes < QOS_SAMPLES ? (unsigned)p->ntimes : QOS_SAMPLES, rank = n / 10;
    if (n < LEAST_SAMPLES)
        return;
    for (unsigned i = 0; i < n; i++) {
        uint32_t t = p->times[i];
        for (unsigned k = 0; k <= rank; k++) {
            uint32_t held = most[k];
            if (t > held) {
                most[k] = t;
                t = held;
            }
        }
    }
    qos_time late = (qos_time)most[rank] + most[rank] / 2;
    p->late_us = late > LATE_LEAST_US ? late : LATE_LEAST_US;
}

static qos_time late_at(const struct qos *q, const struct op *op)
{
    const struct conn *c = op->conn;
    qos_time us = q->providers[c->provider].late_us;
    if (!us || c->state != CONN_BUSY)
        return QOS_NEVER;
    qos_time at = c->head + us, awake = q->awake_at + ASLEEP_US;
    return at > awake ? at : awake;
}

void qos_hedge_pass(struct qos *q, qos_time now)
{
    if (now < q->late_at || now - q->late_at <= ASLEEP_US)
        return;
    q->awake_at = now;
    q->late_at = QOS_NEVER;
}

void qos_hedge_watch(struct qos *q, struct op *op)
{
    bool blocked = op->want.class == TRAFFIC_STREAMING && op->want.urgency == URGENCY_DEMAND &&
                   op->want.verb == SEGMENT_BODY;
    if (blocked && op->state == OP_FLYING && !op->twin && !op->told_late && !op->cancelled &&
        list_is_empty(&op->blocked))
        list_add_tail(&q->blocked, &op->blocked);
}

/* --- how much may be asked for twice --- */

void qos_hedge_init(struct qos *q)
{
    q->late_at = QOS_NEVER;
    for (unsigned c = 0; c < TRAFFIC_CLASSES; c++) {
        q->classes[c].hedge_bytes = q->classes[c].lent_bytes = FIRST_BYTES * WHOLE;
        q->classes[c].hedge_ops = q->classes[c].lent_ops = FIRST * WHOLE;
    }
}

/* What was lent is paid back first. */
static void earn(int64_t *at, int64_t *lent, int64_t by, int64_t most)
{
    int64_t back = by < *lent ? by : *lent;
    *lent -= back;
    *at = *at + by - back < most ? *at + by - back : most;
}

void qos_hedge_brought(struct qos *q, const struct op *op, uint64_t bytes)
{
    struct class *k = &q->classes[op->want.class];
    int64_t n = bytes < (uint64_t)MOST_BYTES ? (int64_t)bytes : MOST_BYTES;
    if (op->twin) {
        int64_t paid = (int64_t)op->paid;
        k->hedge_bytes -= n > paid ? (n - paid) * WHOLE : 0;
        return;
    }
    earn(&k->hedge_bytes, &k->lent_bytes, n * k->cfg.hedge, SAVED_BYTES * WHOLE);
    earn(&k->hedge_ops, &k->lent_ops, k->cfg.hedge, SAVED * WHOLE);
}

static int64_t price(const struct op *op)
{
    uint64_t bytes = qos_op_cost(op);
    return bytes < (uint64_t)MOST_BYTES ? (int64_t)bytes : MOST_BYTES;
}

static bool can_pay(const struct qos *q, const struct op *op)
{
    const struct class *k = &q->classes[op->want.class];
    return k->cfg.hedge && k->hedge_ops >= WHOLE && k->hedge_bytes >= price(op) * WHOLE;
}

/* --- where --- */

/** Is a limit busy with so many bytes for half of that time? */
static bool is_busy(uint64_t bps, uint64_t bytes, qos_time us)
{
    uint64_t x;
    return bps && (__builtin_mul_overflow(bytes, 2 * SECOND_US, &x) || x / bps > us);
}

/** Providers where a limit would be, with a twin of `op`, which is late after `us`. */
static uint32_t limited(const struct qos *q, const struct op *op, qos_time us)
{
    uint64_t cost = qos_op_cost(op), bytes = cost;
    uint32_t set = 0;
    if (!q->rated)
        return 0;
    for (unsigned i = 0; i < q->cfg.nproviders; i++) {
        const struct provider *p = &q->providers[i];
        bytes += p->flying;
        set |= is_busy(p->cfg.rate_bps, p->flying + cost, us) ? 1u << i : 0;
    }
    return is_busy(q->cfg.rate_bps, bytes, us) ? UINT32_MAX : set;
}

/** An idle connection for the twin of `op`, or of what `op` is one of; NULL: none is free. */
static struct conn *place(struct qos *q, const struct op *op, unsigned first)
{
    const struct class *k = &q->classes[op->want.class];
    if (!qos_grant_may_lease(q, op->want.class) ||
        (k->cfg.per_stream && op->stream->held >= k->cfg.per_stream))
        return NULL;
    uint32_t set = qos_providers_eligible(q, qos_op_excluded(op)), idle = 0;
    uint32_t busy = limited(q, op, q->providers[first].late_us);
    if (busy >> first & 1)
        return NULL;
    set &= ~(q->down | op->shun | busy | qos_carried_spent(q));
    for (uint32_t left = set; left; left &= left - 1)
        idle |= q->providers[__builtin_ctz(left)].idle ? left & -left : 0;
    if (idle & ~(1u << first))
        idle &= ~(1u << first);
    if (!idle)
        return NULL;
    return container_of(q->providers[qos_grant_least_loaded(q, idle)].idlers.next, struct conn,
                        link);
}

bool qos_hedge_late(struct qos *q, struct qos_order *out)
{
    list_for_each_safe(l, &q->blocked)
    {
        struct op *op = container_of(l, struct op, blocked);
        if (late_at(q, op) > q->now || !can_pay(q, op) || !place(q, op, op->conn->provider))
            continue;
        list_del(&op->blocked);
        op->told_late = true;
        *out = (struct qos_order){
            .kind = QOS_LATE, .op = qos_op_handle(q, op), .cookie = op->want.cookie};
        return true;
    }
    return false;
}

int qos_hedge_new(struct qos *q, struct op *op, void *cookie, qos_op *out)
{
    if (op->state != OP_FLYING || op->twin || !op->told_late || op->hedged || op->cancelled ||
        q->shut)
        return -EAGAIN;
    struct qos_want want = op->want;
    want.cookie = cookie;
    want.deadline = 0;
    struct op *twin;
    int r = qos_op_make(q, &want, &twin);
    if (r)
        return r;
    op->hedged = true;
    twin->twin = true;
    twin->verdict = QOS_FAILED;
    twin->not_here = op->not_here;
    twin->spoilt = op->spoilt;
    twin->failed = op->failed;
    twin->shun = op->shun;
    twin->first = op->conn->provider;
    list_add_tail(&q->twins, &twin->link);
    *out = qos_op_handle(q, twin);
    return 0;
}

bool qos_hedge_start(struct qos *q, struct qos_order *out)
{
    struct list *l = list_pop(&q->twins);
    if (!l)
        return false;
    struct op *op = container_of(l, struct op, link);
    struct class *k = &q->classes[op->want.class];
    struct conn *c = can_pay(q, op) ? place(q, op, op->first) : NULL;
    if (!c) {
        qos_op_end(q, op, QOS_CANCELLED);
        return qos_op_end_next(q, out);
    }
    op->paid = (uint64_t)price(op);
    k->hedge_bytes -= price(op) * WHOLE;
    k->hedge_ops -= WHOLE;
    k->hedged++;
    qos_conn_lease(q, c, op);
    qos_grant_start(q, op, c, out);
    return true;
}

/** After q->now: the moment at which something may become late. What is late already waits for a connection. */
qos_time qos_hedge_wake(const struct qos *q)
{
    qos_time at = QOS_NEVER;
    list_for_each(l, &q->blocked)
    {
        const struct op *op = container_of(l, struct op, blocked);
        qos_time t = late_at(q, op);
        if (t > q->now && t < at && q->classes[op->want.class].cfg.hedge)
            at = t;
    }
    return at;
}
