#include "qos/internal.h"

/*
 * When readahead is sent behind what flies on a connection.
 *
 * What has been sent cannot be called back, and a reader who jumps away or closes wants none of it. So an article
 * that nobody is blocked on goes behind another of its class only as early as keeps the connection from idling:
 * when what remains of the one before is what a round trip takes.
 *
 *     sent ──── trip ────▶ begins ────────── bytes at the flow ──────────▶ due
 *                                                           │◀── lead ──▶│
 *                                                     the next is sent here
 *
 * *Trip* is a moving mean of what it took from sending an operation on a connection with nothing else in flight to
 * the beginning of its answer; *flow* is what bodies took from when they could begin to their end, over what they
 * brought, recent ones weighing more. *Lead* is five quarters of a trip, since means are sometimes wrong, and a
 * millisecond, in which orders are carried out.
 *
 *     article, server                     due        lead     in flight on a connection
 *     750 KB, 2 MB/s, 50 ms away          425 ms     64 ms    1.15 articles
 *     750 KB, 5 MB/s, 30 ms away          180 ms     39 ms    1.21
 *     750 KB, 50 MB/s, 100 ms away        115 ms     126 ms   2: sent at once
 *
 * Until both are known of a provider it is sent at once. What somebody is blocked on does not wait here.
 */

#define LEAD_LEAST_US UINT64_C(1000)
#define TRIP_MOST_US  (UINT64_C(1) << 30)
#define FLOW_BYTES    (UINT64_C(1) << 28)

static const struct op *head_of(const struct conn *c)
{
    return container_of(c->flying.next, struct op, link);
}

void qos_follow_begun(struct qos *q, struct op *op)
{
    struct conn *c = op->conn;
    struct provider *p = &q->providers[c->provider];
    if (op->begun || head_of(c) != op)
        return;
    op->begun = q->now > op->sent_at ? q->now : op->sent_at;
    if (op->sent_at != c->head)
        return; /* sent behind another: nobody knows which of the two it waited for */
    qos_time us = q->now - op->sent_at;
    us = us < TRIP_MOST_US ? us : TRIP_MOST_US;
    p->trip_us = p->trip_known ? p->trip_us - p->trip_us / 4 + us / 4 : us;
    p->trip_known = true;
}

/** When the answer at the head of `c` came in, or will, at the earliest. */
static qos_time begins(const struct provider *p, const struct conn *c)
{
    const struct op *op = head_of(c);
    if (op->begun)
        return op->begun;
    return op->sent_at + p->trip_us > c->head ? op->sent_at + p->trip_us : c->head;
}

void qos_follow_answered(struct qos *q, const struct conn *c, uint64_t bytes)
{
    struct provider *p = &q->providers[c->provider];
    if (!p->trip_known || !bytes)
        return;
    qos_time from = begins(p, c), us = q->now > from ? q->now - from : 0;
    us = us < TRIP_MOST_US ? us : TRIP_MOST_US;
    bytes = bytes < FLOW_BYTES ? bytes : FLOW_BYTES;
    p->flow_us += us - p->flow_us / 8;
    p->flow_bytes += bytes - p->flow_bytes / 8;
}

/** When the first that could be followed there is. */
static qos_time follow_at(const struct qos *q, const struct provider *p, unsigned class)
{
    const struct list *single = &p->carriers[class][1];
    if (!p->flow_bytes || list_is_empty(single))
        return q->now;
    const struct conn *c = container_of(single->next, struct conn, link);
    uint64_t bytes = qos_op_cost(head_of(c));
    bytes = bytes < FLOW_BYTES ? bytes : FLOW_BYTES;
    qos_time due = begins(p, c) + bytes * p->flow_us / p->flow_bytes;
    qos_time lead = p->trip_us + p->trip_us / 4 + LEAD_LEAST_US;
    return due > lead ? due - lead : 0;
}

bool qos_follow_may(const struct qos *q, const struct provider *p, unsigned class)
{
    return follow_at(q, p, class) <= q->now;
}

qos_time qos_follow_wake(const struct qos *q)
{
    const struct class *k = &q->classes[TRAFFIC_STREAMING];
    qos_time at = QOS_NEVER;
    if (q->shut || !k->waiting || !k->leased)
        return at;
    for (unsigned i = 0; i < q->cfg.nproviders; i++) {
        const struct provider *p = &q->providers[i];
        if (!(p->carrying[TRAFFIC_STREAMING] >> 1 & 1) || p->cfg.pipelining < 2)
            continue;
        qos_time t = follow_at(q, p, TRAFFIC_STREAMING);
        if (t > q->now && t < at)
            at = t;
    }
    return at;
}
