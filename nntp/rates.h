/**
 * rates — connections that a rate limit holds back, and whose turn it is next.
 *
 * Shape     Pure. Each provider with a limit on it has a line: a connection that asks for its turn stands at
 *           the end, and leaves the front with one *quantum* of bytes, taken from the scheduler's buckets
 *           bit by bit. Of several lines the one whose first has stood longest goes first, unless its own
 *           provider's limit is spent. So all connections under one limit get the same, and nobody is
 *           woken but with something to read.
 *                                                       ┌──────────────┐
 *               nntp_rates_take() ──▶ line of p ── ── ─▶│ first: fills │──▶ nntp_rates_next()
 *                                                       └──────────────┘
 * Size      A quantum is what the limit lets through in 5 ms, so a bucket (100 ms) has room for several; not so
 *           little that a slow limit means many small reads, and at most one turn's worth at full speed.
 * Threads   None of its own: called with the pool's lock held.
 * Time      One alarm for all: nntp_rates.again.
 */
#ifndef NNTP_RATES_H
#define NNTP_RATES_H

#include "base/list.h"
#include "qos/qos.h"

/** What a connection holds of it; embedded in it. */
struct nntp_turn {
    struct list link; /* in its provider's line, while it is held back */
    unsigned provider;
    uint64_t ticket;
    uint64_t got;  /* taken for it and not yet its own */
    uint64_t owes; /* of the bytes it may read now: not taken yet */
};

struct nntp_rates {
    struct list lines[QOS_PROVIDERS];
    uint64_t quantum[QOS_PROVIDERS]; /* UINT64_MAX: no limit is on it */
    uint64_t owed[QOS_PROVIDERS];    /* read ahead of the limit, to be taken before anyone's turn */
    uint32_t waiting;                /* bit p: somebody stands in lines[p] */
    uint64_t ticket;
    qos_time again; /* while anybody waits: when to ask nntp_rates_next() again */
};

void nntp_rates_init(struct nntp_rates *r);

/** Other limits. Whoever waits keeps his place. */
void nntp_rates_set(struct nntp_rates *r, const struct qos_config *cfg);

void nntp_turn_init(struct nntp_turn *t, unsigned provider);

/** How much of `want` it may receive now. 0: it stands in line, and nntp_rates_next() will name it. */
uint64_t nntp_rates_take(struct nntp_rates *r, struct qos *q, qos_time now, struct nntp_turn *t,
                         uint64_t want);

/** So much it may receive in any case: what opening a connection needs is small, and time limits are set on
 *  it. The limit gets it back from those that come after. */
uint64_t nntp_rates_borrow(struct nntp_rates *r, struct nntp_turn *t, uint64_t want);

/** So many of the bytes it was allowed were not received. */
void nntp_rates_give(struct nntp_rates *r, struct qos *q, struct nntp_turn *t, uint64_t bytes);

/** The next one whose turn has come: nntp_rates_take() gives it its quantum. NULL: nobody until r->again. */
struct nntp_turn *nntp_rates_next(struct nntp_rates *r, struct qos *q, qos_time now);

/** It asks no more: what it had is given back. */
void nntp_rates_leave(struct nntp_rates *r, struct qos *q, struct nntp_turn *t);

static inline bool nntp_rates_is_waiting(const struct nntp_rates *r)
{
    return r->waiting != 0;
}

#endif
