/**
 * What the files of qos/ share. The picture:
 *
 *     qos_submit ──▶ stream ──▶ flow ──▶ lane ──▶ grant.c ──▶ START on a conn of a provider
 *                    (turns)    (FIFO)   (who may serve it)
 *
 * An *op* that waits stands in the FIFO of a *flow*: one stream, one urgency, one lane. A *lane* holds all
 * waiting operations of one class that exclude the same set of providers (those that lack the article,
 * spoilt it, broke it off too often, or do not keep posts so old). Who may serve an operation depends on that
 * set and on the providers' state alone, so it is computed once for a lane and not for each of a hundred
 * thousand operations. Nearly all stand in one lane, with nothing excluded.
 *
 * life.c      the scheduler as a whole: made, set otherwise, freed
 * op.c        operations: what becomes of each
 * queue.c     streams, flows and lanes: what waits, and who is next
 * conn.c      connections: their states, leases, what is in flight
 * provider.c  what each provider may do now: sockets, ceiling, breaker
 * grant.c     the grant rule
 * carried.c   how much may be under way under a rate limit
 * warm.c      connections that are kept, or opened, for who is expected
 * hedge.c     what is late, and is asked for a second time
 * cut.c       when a connection is closed under operations that nobody wants
 * follow.c    when readahead is sent behind what flies on a connection
 * sched.c     the facts and the orders
 */
#ifndef QOS_INTERNAL_H
#define QOS_INTERNAL_H

#include "base/heap.h"
#include "base/list.h"
#include "qos/qos.h"

#include <stddef.h>

#define QOS_NEVER     UINT64_MAX
#define QOS_UNBOUNDED UINT32_MAX
#define QOS_DEPTH     31   /* operations in flight on one connection, at the very most */
#define QOS_LANES     1024 /* live sets of excluded providers; beyond it lanes are coarser */
#define QOS_URGENCIES 3
#define QOS_ATTEMPTS  15 /* the counters have four bits */
#define QOS_SAMPLES   64 /* bodies whose times are remembered, of each provider */

enum op_state { OP_FREE, OP_WAITING, OP_FLYING, OP_ENDED };

struct op {
    struct list link;     /* free, flow->ops, conn->flying, or q->ended */
    struct heap_node due; /* in q->deadlines while it waits and has one */
    struct qos_want want;
    struct stream *stream;
    struct flow *flow; /* while waiting */
    struct conn *conn; /* while in flight */
    qos_time since;    /* submitted */
    qos_time sent_at;  /* while in flight … */
    qos_time begun;    /* … when its answer began; 0: it has not, or nobody said so */
    uint64_t charge;   /* bytes its stream was charged for it when it was sent */
    uint64_t tries[2]; /* times each provider broke it off: four bits each */
    uint32_t not_here, spoilt, failed, too_old; /* providers */
    uint32_t shun; /* providers that broke it off: asked again when no other has a slot */
    uint32_t gen;
    enum op_state state;
    enum qos_verdict verdict; /* once ended; of a twin, what it will be if nothing better comes */
    bool cancelled;
    bool sent; /* at least once */

    struct list blocked; /* q->blocked, while it flies and a reader is blocked on it */
    uint64_t paid;       /* a twin: bytes its class was charged for the liberty */
    unsigned first;      /* a twin: the provider that was asked before */
    bool twin;           /* somebody is late, and this is the second of him */
    bool told_late;      /* since it was sent, … */
    bool hedged;         /* … and there is a twin of it since */
};

/** Whose turn it is: an open file or a job, within one class. Kept for a while when it has no operations. */
struct stream {
    struct list link; /* q->free_streams, or q->quiet_streams while it has no operation */
    struct list flows;
    struct stream *chain; /* of its hash bucket */
    uint64_t id;
    enum traffic_class class;
    uint64_t served; /* bytes, on the scale that the streams it competes with share */
    uint64_t turn;   /* order within one round */
    uint64_t usual;  /* what a body brought of late; 0: none yet */
    unsigned nops;   /* waiting or in flight */
    unsigned waiting;
    unsigned held; /* connections that carry an operation of it, or are opened for it under a cap */
    bool live;
};

/** Operations of one stream, one urgency and one lane, in order. */
struct flow {
    struct list link; /* stream->flows, or q->free_flows */
    struct list ops;
    struct heap_node node; /* in lane->turns[urgency] while it may be served */
    struct stream *stream;
    struct lane *lane;
    enum urgency urgency;
    unsigned nops;
    unsigned opening; /* connections being opened for it under a cap */
    unsigned usable;  /* operations that could be sent at once and for which none is being opened */
    bool in_turns;
};

struct lane {
    struct list link; /* class->lanes, or q->free_lanes */
    struct lane *chain;
    struct heap turns[QOS_URGENCIES];
    enum traffic_class class;
    uint32_t excluded;
    uint32_t eligible; /* providers; good while epoch == q->epoch */
    uint64_t epoch;
    unsigned nflows;
    unsigned usable;  /* of its flows */
    unsigned opening; /* connections being opened for it */
};

enum conn_state { CONN_FREE, CONN_OPENING, CONN_IDLE, CONN_BUSY, CONN_CLOSING, CONN_LINGERING };

struct conn {
    struct list vain; /* provider's, while all that flies on it is cancelled */
    struct list link; /* free; provider's idle, busy[][], linger; q->opening; q->closing or none */
    struct list flying;
    unsigned nflying, unwanted; /* operations in flight; cancelled ones of them */
    unsigned provider;
    enum conn_state state;
    enum traffic_class class; /* whose lease it is, if leased */
    bool leased;
    bool probing;        /* opened above the learned ceiling */
    bool late;           /* has been opening for too long to be relied on */
    bool warm;           /* was opened for a class that is merely expected … */
    bool unclaimed;      /* … is being so, and nobody relies on it */
    struct lane *lane;   /* opened for it, or NULL */
    struct flow *opener; /* opened for it under a cap, or NULL */
    qos_time opened;
    qos_time since; /* idle since; lingers until */
    qos_time head;  /* the operation at the head of it began: sent, or the answer before it ended */
    uint64_t answered;
    uint32_t settings; /* q->settings, when it was opened */
    uint32_t gen;
};

struct bucket {
    uint64_t bps;  /* 0: no limit */
    uint64_t room; /* bytes that may go now */
    uint64_t part; /* of the next byte, in millionths */
    qos_time at;   /* when `room` was true */
};

/** What a class has and had of a provider. Nothing else is counted: every figure of a class or of a provider
 *  that qos_stats() tells is a sum of these. */
struct share {
    unsigned leased;
    uint64_t started, ok, not_here, spoilt, broken, refused, bytes;
};

struct provider {
    struct qos_provider_config cfg;
    unsigned ceiling; /* sockets it is known to bear; QOS_UNBOUNDED until it says otherwise */
    unsigned guessed; /* the ceiling before refusals that came before anything worked; 0: none */
    unsigned opening, idle, busy, closing, lingering;
    unsigned late; /* of those opening: not relied on any more */
    unsigned
        sockets_bar;     /* what they may add up to: the limit, or after qos_resize() what drains */
    struct list idlers;  /* the last used first */
    struct list lingers; /* the first to end first */
    struct list carriers[TRAFFIC_CLASSES]
                        [QOS_DEPTH + 1]; /* busy ones, by class and number in flight */
    uint32_t carrying[TRAFFIC_CLASSES];  /* bit n: carriers[c][n] is not empty */

    bool down;          /* the breaker is open: one connection at a time, and others take over */
    qos_conn trial;     /* while down: the connection that finds out whether it is back */
    unsigned faults;    /* operations broken off since the last answer */
    unsigned level;     /* of the back-off */
    qos_time failed_at; /* when level last rose */
    qos_time open_at;   /* no connection is opened before */
    qos_time probe_at;  /* none above the ceiling before */
    bool probing;       /* one is being opened above the ceiling */

    unsigned warming[TRAFFIC_CLASSES]; /* of those opening: unclaimed ones, by class */
    unsigned warm_level;               /* of what follows */
    qos_time warm_lost_at;             /* when the level last rose */
    qos_time warm_at; /* none is opened before for a class that is merely expected */

    struct bucket bucket;
    unsigned nflying;   /* operations, … */
    uint64_t flying;    /* … and about how many bytes they will bring */
    qos_time lively_at; /* the last answer, or when the first of them was sent */

    struct list vain;             /* connections all of whose operations are cancelled */
    uint64_t pace_us, pace_bytes; /* what bodies took and brought, recent ones weighing more */
    qos_time open_us;             /* likewise what a connection took to open */
    qos_time trip_us;             /* likewise what it took until an answer began */
    bool trip_known;
    uint64_t flow_us, flow_bytes; /* what bodies took once they could begin, and brought */

    uint32_t times[QOS_SAMPLES]; /* what the last bodies took */
    uint64_t ntimes;             /* in all */
    qos_time late_us;            /* what takes longer is late; 0: it is not known yet */

    struct share shares[TRAFFIC_CLASSES];
    uint64_t opened;
    uint64_t open[QOS_HIST], answer[QOS_HIST];
};

struct class
{
    struct qos_class_config cfg; /* weight resolved */
    struct list lanes;           /* with flows, or with connections being opened */
    unsigned leased, waiting;
    unsigned pipelined, deep; /* leases with more than one, more than two operations in flight */
    unsigned leased_bar,
        deep_bar; /* what they may be: the limit, or after qos_resize() what drains */
    uint64_t turn;
    uint64_t level;  /* what the stream that was sent something last had been served */
    uint32_t claims; /* it is below its guarantee, and what waits got no slot at these providers */
    unsigned uncovered; /* how much waits, no connection being opened for it */
    qos_time claimed;   /* since when there are claims */
    uint64_t cut;
    uint64_t granted;               /* the number, among all, of its last lease */
    unsigned warm;                  /* connections that are to be up for it … */
    qos_time warm_until;            /* … until then; 0: until told otherwise */
    bool asked;                     /* something was submitted in it … */
    qos_time asked_at;              /* … at last then */
    int64_t hedge_bytes, hedge_ops; /* that may be asked for twice, in thousandths … */
    int64_t lent_bytes, lent_ops;   /* … of these, not earned yet */
    uint64_t hedged;
    uint64_t granted_guarantee, granted_burst;
    uint64_t ends[QOS_REJECTED + 1];
    uint64_t wait[QOS_HIST], reclaim[QOS_HIST];
};

struct qos {
    struct qos_config cfg; /* defaults resolved */
    struct qos_limits limits;
    qos_time now;
    unsigned leased; /* the sum of the classes' */
    unsigned leased_bar;
    bool shut;
    bool rated;                  /* some rate is limited */
    uint32_t spent;              /* as qos_carried_spent() last said */
    bool unsettled;              /* a fact has come since qos_next() last said false */
    uint64_t grants;             /* leases */
    uint32_t settings;           /* how often they have changed */
    uint64_t epoch;              /* rises when providers' tiers or health change */
    uint32_t down;               /* providers whose breaker is open */
    uint32_t cut_set, cut_roomy; /* where a cut serves a claim; and no socket has to go for it */
    qos_time cut_at;             /* when the first is worth it, of what hangs there */
    struct class classes[TRAFFIC_CLASSES];
    struct provider providers[QOS_PROVIDERS];
    struct bucket bucket;

    void (*watch)(void *arg, const struct qos_record *r); /* or NULL */
    void *watch_arg;

    struct heap deadlines;
    struct list ended;   /* operations whose END has not been fetched */
    struct list closing; /* connections whose CLOSE has not been fetched */
    struct list opening; /* that may be relied on, the first opened first */
    struct list blocked; /* operations in flight that may become late */
    struct list twins;   /* that have not been sent yet */
    qos_time late_at;    /* qos_hedge_wake(), as qos_next() last said false */
    qos_time awake_at;   /* when it came to be known that nobody had looked at the time */

    struct op *ops;
    struct conn *conns;
    struct stream *streams, **stream_table;
    struct flow *flows;
    struct lane *lanes, **lane_table;
    size_t nstreams_mask, nlanes_mask, nlanes;
    unsigned lanes_free; /* not counting those set aside for coarse lanes */
    struct list free_ops, free_conns, free_streams, quiet_streams, free_flows, free_lanes;
    /* from here on they were never needed, and their memory is untouched */
    unsigned ops_used, flows_used;
};

/* --- config.c ---------------------------------------------------------------------------------- */

/** Defaults filled in, total clamped. */
void qos_config_resolve(const struct qos_config *cfg, struct qos_config *out);

/* --- queue.c ----------------------------------------------------------------------------------- */

void qos_queue_init(struct qos *q);

/** The stream, or NULL when the table is full of streams with operations. */
struct stream *qos_stream_find(struct qos *q, enum traffic_class class, uint64_t id);
void qos_stream_get(struct stream *s);
void qos_stream_put(struct qos *q, struct stream *s);

/** Something was sent that is charged so much: it has had its turn. */
void qos_stream_sent(struct qos *q, struct stream *s, uint64_t bytes);
/** `bytes` more (or less) than it was charged were brought for it. */
void qos_stream_charge(struct qos *q, struct stream *s, int64_t bytes);

/** One connection more (+1) or less (-1) carries it or is opened for it. */
void qos_stream_hold(struct qos *q, struct stream *s, int by);

/** Who can be asked for what waits of it may have changed. */
void qos_stream_reconsider(struct qos *q, struct stream *s);

/** What streams that wait got beyond each other under other settings is forgotten, but for a bounded part:
 *  each may have had slots that the others could not use, and now there are fewer for all. */
void qos_streams_level(struct qos *q);

/** The cap has changed. */
void qos_stream_refresh(struct qos *q, struct stream *s);

/** Put an operation that has somewhere to go in its queue: at the end, or at the head. */
void qos_queue_put(struct qos *q, struct op *op, bool head);
void qos_queue_take(struct qos *q, struct op *op);

uint32_t qos_lane_eligible(struct qos *q, struct lane *l);
/** Operations in `l` for which no connection is being opened. */
static inline bool qos_lane_uncovered(const struct lane *l)
{
    return l->usable > l->opening;
}
/** The urgency and flow that are next in it, or NULL. */
struct flow *qos_lane_next(const struct lane *l);
/** Does `a` go before `b`? Of one class. */
bool qos_flow_before(const struct flow *a, const struct flow *b);
void qos_lane_opening(struct qos *q, struct lane *l, int by);
void qos_flow_opening(struct qos *q, struct flow *f, int by);

/* --- provider.c -------------------------------------------------------------------------------- */

static inline unsigned qos_provider_sockets(const struct provider *p)
{
    return p->opening + p->idle + p->busy + p->closing + p->lingering;
}
static inline unsigned qos_provider_leased(const struct provider *p)
{
    return p->opening + p->busy;
}
/** Sockets it may have. */
static inline unsigned qos_provider_room(const struct provider *p)
{
    return p->ceiling < p->cfg.connections ? p->ceiling : p->cfg.connections;
}
void qos_provider_init(struct provider *p);
/** Operations in a row broke off there, and nothing was answered since. */
static inline bool qos_provider_is_suspect(const struct provider *p)
{
    return p->faults > 1;
}
/** May a connection be opened now? */
bool qos_provider_can_open(const struct qos *q, const struct provider *p);
void qos_provider_answered(struct qos *q, struct provider *p);
/** `c`, opened there, is up. */
void qos_provider_ready(struct qos *q, const struct conn *c);
/** `c` is gone and counts nowhere any more. `opening`: it never was ready. */
void qos_provider_failed(struct qos *q, const struct conn *c, bool opening, enum qos_gone why,
                         uint32_t dice);
/** The server closed one that idled, or took none that was opened for a class merely expected. */
void qos_provider_cooled(const struct qos *q, struct provider *p, const struct conn *c,
                         uint32_t dice);
/** When something that only time brings about happens there, after q->now. */
qos_time qos_provider_wake(const struct qos *q, const struct provider *p);
/** Providers with connections, of any tier. */
uint32_t qos_providers_active(const struct qos *q);
/** Providers that may be asked for what excludes `excluded`, as things stand. */
uint32_t qos_providers_eligible(const struct qos *q, uint32_t excluded);

/* --- conn.c ------------------------------------------------------------------------------------ */

struct conn *qos_conn_find(const struct qos *q, qos_conn handle);
qos_conn qos_conn_handle(const struct qos *q, const struct conn *c);
struct conn *qos_conn_new(struct qos *q, unsigned provider);
/** Its class has a slot for `op`, though another of its operations may come to be sent on it. */
void qos_conn_lease(struct qos *q, struct conn *c, const struct op *op);
/** A connection that is being opened is leased to a class for which nothing waits that needs it. */
void qos_conn_lease_warm(struct qos *q, struct conn *c, enum traffic_class class);
/** Somebody relies on it now. */
void qos_conn_claim(struct qos *q, struct conn *c);
/** A connection that was being opened is not any more. */
void qos_conn_opened(struct qos *q, struct conn *c);
/** Nothing is in flight on it: its lease ends, and it idles or is closed. */
void qos_conn_rest(struct qos *q, struct conn *c);
void qos_conn_close(struct qos *q, struct conn *c);
void qos_conn_send(struct qos *q, struct conn *c, struct op *op);
void qos_conn_unsend(struct qos *q, struct conn *c, struct op *op);
/** About how many bytes it will bring. */
uint64_t qos_op_cost(const struct op *op);
/** So much was brought by what was charged for in advance; 0: it is not known. */
void qos_conn_brought(struct qos *q, struct op *op, uint64_t bytes);
/** It is no more: free, or lingering. Nothing is in flight on it. */
void qos_conn_drop(struct qos *q, struct conn *c, bool seen);
/** Close idle ones that are above the provider's limit or have idled long enough, end lingering, and stop
 *  relying on those that are slow to open. */
void qos_conns_age(struct qos *q);

/** Nobody wants `op`, which flies on `c`, any more. */
void qos_conn_unwant(struct qos *q, struct conn *c, struct op *op);

/* --- cut.c ------------------------------------------------------------------------------------- */

/** What connections and bodies took at `p`. */
void qos_cut_opened(struct provider *p, qos_time us);
void qos_cut_answered(struct provider *p, qos_time us, uint64_t bytes);
/** What flies on it has changed. */
void qos_cut_consider(struct qos *q, struct conn *c);
/** Nothing more can be granted: close a connection that carries nothing of use, if that serves a claim. */
bool qos_cut(struct qos *q);

/* --- follow.c ---------------------------------------------------------------------------------- */

/** The answer to `op`, which is in flight, begins. */
void qos_follow_begun(struct qos *q, struct op *op);
/** The body at the head of `c` has ended well, with so many bytes; it is still there. */
void qos_follow_answered(struct qos *q, const struct conn *c, uint64_t bytes);
/** May what nobody is blocked on join the lease of `class` at `p` that has carried one operation for longest? */
bool qos_follow_may(const struct qos *q, const struct provider *p, unsigned class);
/** When time lets another follow, after q->now. */
qos_time qos_follow_wake(const struct qos *q);

/* --- warm.c ------------------------------------------------------------------------------------ */

void qos_warm_set(struct qos *q, enum traffic_class class, unsigned n, qos_time until);
/** Nothing can be granted: open a connection for a class that is expected, if it has too few. */
bool qos_warm_open(struct qos *q, struct qos_order *out);
/** Providers where one is being opened for the class that nobody has claimed. */
uint32_t qos_warm_coming(const struct qos *q, unsigned class);
/** One of them, of those in `set`, claimed; NULL: there is none. */
struct conn *qos_warm_take(struct qos *q, unsigned class, uint32_t set);
/** Does an idle connection stay there beyond its time? */
bool qos_warm_keeps(const struct qos *q, unsigned provider);
/** When time changes what is opened or kept here, after q->now. */
qos_time qos_warm_wake(const struct qos *q);

/* --- grant.c ----------------------------------------------------------------------------------- */

bool qos_grant(struct qos *q, struct qos_order *out);
/** Leases of class `c` that may have more than one operation in flight. */
unsigned qos_grant_pipelines(const struct qos *q, enum traffic_class c);

/** The limits, raised by `drain` to what there is; else lowered to it as it drains. */
void qos_bars_set(struct qos *q, bool drain);

/** Nothing more can be granted now: who is below its guarantee, waits and has no slot claims from now on, and
 *  who has what it wanted claims no more. */
void qos_claims_note(struct qos *q);

/** Might the class have one more lease, now? */
bool qos_grant_may_lease(const struct qos *q, enum traffic_class c);
/** Of the providers in `set` (not empty). */
unsigned qos_grant_least_loaded(const struct qos *q, uint32_t set);
/** `op` is in no queue, `c` is idle and leased to its class. */
void qos_grant_start(struct qos *q, struct op *op, struct conn *c, struct qos_order *out);

/* --- hedge.c ----------------------------------------------------------------------------------- */

void qos_hedge_init(struct qos *q);
/** Before q->now becomes `now`. */
void qos_hedge_pass(struct qos *q, qos_time now);
/** The body `op`, at the head of its connection, has ended well; it is still there. */
void qos_hedge_answered(const struct qos *q, struct provider *p, const struct op *op);
/** A body of its class was brought; or a twin has been answered, whatever with. */
void qos_hedge_brought(struct qos *q, const struct op *op, uint64_t bytes);
/** It was sent, or became more urgent. */
void qos_hedge_watch(struct qos *q, struct op *op);
/** Nothing can be granted: what is late, if a twin of it could be sent now. */
bool qos_hedge_late(struct qos *q, struct qos_order *out);
/** -EAGAIN: it has not been told to be late, or is over. -ENOSPC: a table is full. */
int qos_hedge_new(struct qos *q, struct op *op, void *cookie, qos_op *out);
/** Nothing can be granted: the first twin is sent, or, with no place for it any more, ends. */
bool qos_hedge_start(struct qos *q, struct qos_order *out);
qos_time qos_hedge_wake(const struct qos *q);

/* --- stats.c ----------------------------------------------------------------------------------- */

void qos_hist_add(uint64_t hist[QOS_HIST], qos_time us);

/* --- carried.c --------------------------------------------------------------------------------- */

/** Providers where as much is under way as their rate limits carry. */
uint32_t qos_carried_spent(const struct qos *q);
/** The limits may have changed. */
void qos_carried_set(struct qos *q);
void qos_carried_add(struct qos *q, struct provider *p, const struct op *op);
void qos_carried_sub(struct provider *p, const struct op *op);
/** When what is under way there stops to count, if nothing is answered. */
qos_time qos_carried_wake(const struct qos *q, const struct provider *p);

/* --- rate.c ------------------------------------------------------------------------------------ */

void qos_bucket_set(struct bucket *b, uint64_t bps, qos_time now);

/* --- life.c ------------------------------------------------------------------------------------ */

/** Another configuration, in place. -EINVAL: it is impossible, and nothing has changed. */
int qos_settings_change(struct qos *q, const struct qos_config *cfg);

/* --- op.c -------------------------------------------------------------------------------------- */

void qos_ops_init(struct qos *q);
qos_op qos_op_handle(const struct qos *q, const struct op *op);
/** The one that waits or is in flight, or NULL. */
struct op *qos_op_find(struct qos *q, qos_op handle);
/** -ENOSPC: a table is full. */
int qos_op_new(struct qos *q, const struct qos_want *want, qos_op *out);
/** In no queue yet. -ENOSPC: a table is full. */
int qos_op_make(struct qos *q, const struct qos_want *want, struct op **out);
/** One that waits leaves its queue. */
void qos_op_withdraw(struct qos *q, struct op *op);
/** The END of one that is over. False: there is none. */
bool qos_op_end_next(struct qos *q, struct qos_order *out);
/** It is over. It is neither queued nor in flight. */
void qos_op_end(struct qos *q, struct op *op, enum qos_verdict verdict);
/** It is to be sent (again), if there is still reason to: at the end of its queue, or at the head. */
void qos_op_wait(struct qos *q, struct op *op, bool head);
void qos_op_broke_off(struct qos *q, struct op *op, unsigned provider);
/** Providers that are not asked for it. */
uint32_t qos_op_excluded(const struct op *op);
/** Retention and providers have changed: who can be asked for it may have, too. */
void qos_op_reconsider(struct qos *q, struct op *op);
void qos_deadlines_pass(struct qos *q);

#endif
