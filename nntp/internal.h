/* What pool.c (life, the source's face, figures), orders.c (facts in, orders out) and hedge.c (what is asked for
 * twice) share. */
#ifndef NNTP_INTERNAL_H
#define NNTP_INTERNAL_H

#include "nntp/conn.h"
#include "nntp/nntp.h"
#include "nntp/rates.h"
#include "nntp/resolve.h"
#include "nntp/trace.h"

#define NNTP_LOOPS_MOST 4

/** Fetches that may be out at once. Untouched slots cost address space only. */
#define NNTP_OPS        65536u

/** A handle with this bit is the address of the next fetch that found no slot, in place of one. */
#define NNTP_AWAY       ((uint64_t)1 << 63)

/** What an operation's mail says: START on op->conn, END with op->result; of a twin, that it has come: WIN. */
enum nntp_mail { NNTP_MAIL_START, NNTP_MAIL_END, NNTP_MAIL_WIN };

/** Operations that may have a twin at a time. */
#define NNTP_HEDGES      8u

/* A connection's mail is a set: it is opened once and closed once, in that order. */
#define NNTP_MAIL_OPEN   1u
#define NNTP_MAIL_CLOSE  2u
/* In between its turn may come, any number of times. */
#define NNTP_MAIL_RESUME 4u

/** One fetch. f->handle names the slot and its generation. */
struct nntp_op {
    struct nntp_exchange x; /* the connection's while it is started there */
    /* under the pool's lock */
    struct list mail; /* in a loop's orders, or among the free slots */
    enum nntp_mail kind;
    enum segment_result result;
    struct nntp_conn *conn;
    struct nntp_lane *lane; /* conn's, also when that is no more */
    qos_op id;              /* 0: the scheduler knows it no more */
    uint32_t gen;
    struct nntp_hedge *hedge; /* it has a twin, or is one */
};

/** A fetch that is late, and its twin: hedge.c. */
struct nntp_hedge {
    /* the twin's loop's, and once it has come whoever's `first` is */
    struct segment_fetch fetch; /* in the twin's slot */
    struct segment_info info;
    char name[ARTICLE_NAME];
    uint8_t *payload;
    struct iovec iov;
    /* the first one's loop's */
    struct segment_fetch ghost; /* in its slot, when it has lost */
    /* fixed while there is any of the two */
    char id[512], group[512]; /* the wants' */
    /* any thread */
    atomic_bool over; /* the asker has his article, or no use for it */
    /* under the pool's lock */
    struct nntp_op *first, *twin; /* until their slots are free */
    bool started;                 /* the twin was sent */
    bool came;                    /* it has the article … */
    bool taken;                   /* … and the asker has it from there */
    bool holds;                   /* the first has ended with `held`, and waits for the twin */
    bool delivers;                /* its END is to deliver what the twin has */
    bool unwanted;                /* the asker has cancelled it */
    enum segment_result held;
    uint64_t first_bytes, twin_bytes;
};

/** A loop as the pool sees it. */
struct nntp_lane {
    struct nntp_loop loop;
    struct nntp_pool *pool;
    struct nntp_task task; /* posted when orders wait */
    /* under the pool's lock */
    struct list ops, conns; /* orders not yet taken */
    unsigned nconns;
    /* the loop's thread; links in it are changed under the pool's lock */
    struct list running; /* operations' orders being carried out */
};

struct nntp_provider {
    char name[64];          /* fixed once it is known: who was told it may keep it */
    struct nntp_site *site; /* under lock; a connection has its own count */
    struct nntp_counters counters;
    bool was_up;   /* under lock */
    char why[128]; /* likewise; as in nntp_provider_stats */
};

#define NNTP_BUCKETS 1024u

struct nntp_pool {
    struct source source;
    /* fixed after nntp_pool_start() */
    struct nntp_resolver *resolver;
    struct nntp_lane lanes[NNTP_LOOPS_MOST];
    unsigned nlanes;
    unsigned conns_most; /* that the scheduler has room for */
    struct nntp_op *ops; /* NNTP_OPS slots, mapped */
    int alarm_fd;
    struct nntp_trace *trace; /* of the scheduler, or NULL */
    /* lane 0's thread */
    struct event alarm;
    struct nntp_task alarm_task;
    /* any thread */
    atomic_bool rated;   /* some rate is limited */
    atomic_uint posting; /* calls that have let go of the lock and not yet posted what they drew */
    struct log_gate full, unsafe;
    /* under lock */
    pthread_mutex_t
        lock; /* nothing is called while it is held but qos, and locked but the trace's */
    pthread_cond_t quiet; /* stopping: nothing is left */
    struct qos *qos;
    struct nntp_provider providers[QOS_PROVIDERS];
    unsigned nproviders;
    struct nntp_conn *buckets[NNTP_BUCKETS]; /* by qos_conn */
    struct list free_ops;
    unsigned fresh_ops; /* slots from here on were never used */
    unsigned live_ops, live_conns;
    struct nntp_hedge hedges[NNTP_HEDGES];
    struct nntp_hedge_stats hedged;
    struct segment_fetch *away, *away_last; /* found no slot; f->handle links them */
    struct nntp_rates rates;
    unsigned touched;    /* lanes that got orders since the lock was taken */
    uint64_t armed_us;   /* what the alarm is set to */
    unsigned expected;   /* who may begin to fetch for streaming any moment */
    unsigned warm;       /* connections that are up for them */
    qos_time warm_until; /* there are none any more: until then */
    bool stopping;
};

/** Take the lock; the moment that the facts to come happen at. */
qos_time nntp_orders_lock(struct nntp_pool *p);

/** Draw the orders that the facts led to, let go of the lock, wake whom they are for. */
void nntp_orders_unlock(struct nntp_pool *p, qos_time now);

/** Lock held: `op` has ended without the scheduler's word. */
void nntp_orders_end(struct nntp_pool *p, struct nntp_op *op, enum segment_result r);

/** Lock held: its fetch is the scheduler's from now on. -ENOSPC: a table is full. */
int nntp_pool_submit(struct nntp_pool *p, qos_time now, struct nntp_op *op);

/** Lock held: a free slot, or NULL. */
struct nntp_op *nntp_orders_slot(struct nntp_pool *p);

/** Lock held: back with it, unused. */
void nntp_orders_slot_put(struct nntp_pool *p, struct nntp_op *op);

/** Lock held: `twin` has come, and the loop that `first` flies on is to be told. */
void nntp_orders_win(struct nntp_pool *p, struct nntp_op *twin, struct nntp_op *first);

/* --- hedge.c: lock held ------------------------------------------------------------------------------ */

/** `first` is late: it has a twin from now on, if there is room for one. */
void nntp_hedge_late(struct nntp_pool *p, qos_time now, struct nntp_op *first, qos_op late);
/* Of one with a hedge: it is to be sent; it has ended by the scheduler's word; its slot becomes free. */
void nntp_hedge_started(struct nntp_pool *p, const struct nntp_op *op);
void nntp_hedge_ended(struct nntp_pool *p, qos_time now, struct nntp_op *op, enum segment_result r);
void nntp_hedge_put(struct nntp_pool *p, struct nntp_op *op);
/** Nobody wants `op`, so nobody wants its twin, if it has one. */
void nntp_hedge_cancel(struct nntp_pool *p, qos_time now, const struct nntp_op *op);

/* --- hedge.c: on a lane, without the lock ------------------------------------------------------------ */

/** The END of one with a hedge. False: it begins anew, and its slot stays. */
bool nntp_hedge_done(struct nntp_pool *p, struct nntp_op *op);
/** `twin` has come. On the loop of the first one's connection. */
void nntp_hedge_win(struct nntp_pool *p, struct nntp_op *twin);

/** Slots, alarm and loops. 0, or -errno. The scheduler is set before any order is drawn. */
int nntp_orders_init(struct nntp_pool *p, unsigned nlanes);
/** Nothing is out any more. */
void nntp_orders_fini(struct nntp_pool *p);

#endif
