#include "qos/internal.h"

/*
 * How much may be under way under a rate limit.
 *
 * All connections under a limit get the same of it. With a hundred of them and 1 MB/s a hundred articles of 700 KB
 * advance side by side, and the first of them ends after 70 seconds: every reader's time is over by then. So
 * once as much is under way as the limit carries in CARRIED_US, nothing more is started: the rate is spent, and
 * slots stay idle (I4). Seven articles are under way then, each ends within some five seconds, and who is blocked
 * is asked for among the next.
 *
 * Three operations are let through in any case. What stands with a provider that has not answered for LIVELY_US
 * does not count: it takes nothing of the limit, and others must not wait for it.
 */

#define SECOND_US  1000000u
#define CARRIED_US 5000000u
#define OPS_LEAST  3u
#define LIVELY_US  10000000u

static bool is_spent(uint64_t bps, uint64_t bytes, unsigned n)
{
    return bps && n >= OPS_LEAST && bytes / (CARRIED_US / SECOND_US) >= bps;
}

static bool is_lively(const struct qos *q, const struct provider *p)
{
    return p->nflying && q->now - p->lively_at < LIVELY_US;
}

uint32_t qos_carried_spent(const struct qos *q)
{
    uint64_t bytes = 0;
    uint32_t spent = 0;
    unsigned n = 0;
    for (unsigned i = 0; q->rated && i < q->cfg.nproviders; i++) {
        const struct provider *p = &q->providers[i];
        if (!is_lively(q, p))
            continue;
        bytes += p->flying;
        n += p->nflying;
        if (is_spent(p->cfg.rate_bps, p->flying, p->nflying))
            spent |= 1u << i;
    }
    if (q->rated && is_spent(q->cfg.rate_bps, bytes, n))
        spent = UINT32_MAX;
    return spent & ~q->down; /* whether one is back is found out by a single operation */
}

void qos_carried_set(struct qos *q)
{
    q->rated = q->cfg.rate_bps != 0;
    for (unsigned i = 0; i < q->cfg.nproviders; i++)
        q->rated |= q->cfg.providers[i].rate_bps != 0;
}

void qos_carried_add(struct qos *q, struct provider *p, const struct op *op)
{
    if (!p->nflying++)
        p->lively_at = q->now;
    p->flying += qos_op_cost(op);
}

void qos_carried_sub(struct provider *p, const struct op *op)
{
    p->nflying--;
    p->flying -= qos_op_cost(op);
}

qos_time qos_carried_wake(const struct qos *q, const struct provider *p)
{
    return q->rated && is_lively(q, p) ? p->lively_at + LIVELY_US : QOS_NEVER;
}
