/**
 * model — the scheduler's promises, kept by somebody who does not know how it works.
 *
 * Shape     It is told every fact and every order, keeps its own books from them and finds fault. Of the
 *           scheduler it sees qos_stats() alone: for what no order tells (to which class an opening
 *           connection is leased, and what the provider's breaker and learned ceiling are), and to hold
 *           every figure in it against its own books and against the others.
 * Files     model.c: the books. judge.c: the orders. figures.c: the figures.
 * Errors    `wrong` names the first broken promise, and begins with it: I1 to I9 and "rule 1" to "rule 5" as
 *           in qos.h and the grant rule, "ceiling" and "breaker" for what a provider that says no is owed,
 *           "figures", "follow" for when readahead joins a lease, "warm" for what a class that is expected to ask is owed, "wake", "tables".
 */
#ifndef TESTS_QOS_MODEL_H
#define TESTS_QOS_MODEL_H

#include "qos/qos.h"

/* The explorer copies models by the million and sets its own. */
#ifndef MODEL_OPS
#    define MODEL_OPS   512
#    define MODEL_CONNS 512
#    define MODEL_TIMES 64
#endif
#define MODEL_STREAMS 16
#define MODEL_DEPTH   32

/* What one stream may get of slots that another waits for, without that one getting anything. Far above what
 * turns by bytes allow between streams that compete for one thing; a stream that got ahead elsewhere,
 * where its rivals could not go, may have to sit out as much. */
#define MODEL_STARVED (UINT64_C(64) << 20)

/* A twin is at hand until it is sent, or is not: never later than the scheduler has no more to say. */
enum model_op_state { MODEL_NONE, MODEL_WAITS, MODEL_FLIES, MODEL_AT_HAND };

struct model_op {
    enum model_op_state state;
    qos_op handle;
    struct qos_want want;
    unsigned conn; /* while it flies */
    uint32_t not_here, spoilt, failed, old;
    uint32_t shun;           /* providers that broke it off */
    uint32_t serves;         /* providers that may be asked; good unless `stale` */
    uint64_t seq;            /* its place among its stream's */
    qos_time sent_at, begun; /* while it flies; 0: its answer has not begun, as far as was told */
    uint64_t charge;         /* bytes it is taken to bring, while it flies */
    unsigned char tries[QOS_PROVIDERS];
    bool cancelled, ok, refused, sent, unordered, stale;
    bool twin;
    bool late;      /* it was said to be, since it was sent */
    unsigned first; /* a twin: whose, … */
    qos_op first_handle;
};

enum model_conn_state { MODEL_ABSENT, MODEL_OPENING, MODEL_READY, MODEL_CLOSING };

struct model_conn {
    enum model_conn_state state;
    qos_conn handle;
    unsigned provider;
    enum traffic_class class; /* of the lease, while opening or carrying */
    bool warm;                /* opened for a class that is merely expected */
    bool probe;               /* opened where the provider was down: covers nobody */
    bool before;              /* opened under other settings: its failure says nothing of these */
    qos_time opened, rested;
    qos_time head; /* what is first in flight on it has been first since then */
    uint64_t answered;
    unsigned n;
    unsigned ops[MODEL_DEPTH];
};

struct model_linger {
    unsigned provider;
    qos_time until;
};

/** What a provider that says no is owed. */
struct model_manners {
    unsigned ceiling;        /* sockets it is known to bear, at most */
    qos_time no_probe_until; /* no attempt above it before */
    qos_time no_open_until;  /* no attempt at all */
    qos_time failed_at;
    bool failed;
    qos_time lively_at;     /* its last answer, or when something was sent to it that had nothing */
    qos_time no_warm_until; /* no attempt for a class that is merely expected before */
    qos_time warm_lost_at; /* when one of those was lost last; its wait may be as long as idle_us */
    bool warm_lost;
    qos_time times[MODEL_TIMES]; /* what its last bodies took */
    uint64_t ntimes;
};

/** How far away a provider is, and how fast bodies come once they can. */
struct model_reach {
    bool known;
    qos_time trip;
    uint64_t flow_us, flow_bytes;
};

/** A class that is expected to ask. */
struct model_warm {
    unsigned n;
    qos_time until; /* 0: until told otherwise */
};

/** Events, counted by the model, that a figure must show. */
struct model_counts {
    uint64_t started[TRAFFIC_CLASSES][QOS_PROVIDERS];
    uint64_t ok[TRAFFIC_CLASSES][QOS_PROVIDERS];
    uint64_t not_here[TRAFFIC_CLASSES][QOS_PROVIDERS];
    uint64_t spoilt[TRAFFIC_CLASSES][QOS_PROVIDERS];
    uint64_t bytes[TRAFFIC_CLASSES][QOS_PROVIDERS];
    uint64_t ready[QOS_PROVIDERS], bodies[QOS_PROVIDERS];
    uint64_t first_starts[TRAFFIC_CLASSES], leases[TRAFFIC_CLASSES], guaranteed[TRAFFIC_CLASSES];
    uint64_t cuts[TRAFFIC_CLASSES];
    uint64_t hedged[TRAFFIC_CLASSES];
    uint64_t ends[TRAFFIC_CLASSES][QOS_REJECTED + 1];
};

struct model {
    struct qos_config cfg;
    unsigned total;
    qos_time now;
    bool shut;
    struct qos_stats stats; /* as of the last fact or order */
    uint32_t active, down;  /* providers */
    struct model_op ops[MODEL_OPS];
    struct model_conn conns[MODEL_CONNS];
    struct model_linger lingers[MODEL_CONNS];
    unsigned nlingers;
    unsigned nops, nconns;            /* places ever used: the rest need not be looked at */
    unsigned leased[TRAFFIC_CLASSES]; /* opening or carrying */
    unsigned waiting[TRAFFIC_CLASSES];
    unsigned live; /* operations not ended */
    /* waiting operations by who may be asked; good unless `dirty` */
    unsigned waits[TRAFFIC_CLASSES][QOS_PROVIDERS];
    bool dirty, all_stale;
    struct model_manners manners[QOS_PROVIDERS];
    struct model_reach reach[QOS_PROVIDERS];
    struct model_warm warm[TRAFFIC_CLASSES];
    struct model_counts counts;
    /* bytes the first got while the second waited for the same slots and got nothing */
    uint64_t starved[TRAFFIC_CLASSES][MODEL_STREAMS][MODEL_STREAMS];
    bool uneven
        [TRAFFIC_CLASSES]; /* some of it was not for all providers: turns are no longer judged */
    uint64_t may_bytes, may_ops;   /* that streaming may still ask for twice, in thousandths … */
    uint64_t lent_bytes, lent_ops; /* … of these, not earned yet */
    uint64_t seq;
    uint64_t orders;
    uint64_t hash; /* of all orders */
    char wrong[256];
};

void model_init(struct model *m, const struct qos_config *cfg);
void model_resized(struct model *m, const struct qos_config *cfg);

/** Remembered unless something was wrong before. */
void model_fault(struct model *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** A place for an operation that is about to be submitted; its index is to be the cookie. */
unsigned model_place(const struct model *m);
void model_submitted(struct model *m, unsigned i, qos_op handle, const struct qos_want *want);
/** `handle`, in place `i`, is the twin of the one in place `first`. */
void model_hedged(struct model *m, unsigned i, qos_op handle, unsigned first);
void model_promoted(struct model *m, unsigned i, enum urgency u, qos_time deadline);
void model_cancelled(struct model *m, unsigned i);
void model_warmed(struct model *m, enum traffic_class class, unsigned n, qos_time until);
void model_ready(struct model *m, unsigned c);
void model_gone(struct model *m, unsigned c, enum qos_gone why, bool seen);
void model_begun(struct model *m, unsigned i);
void model_done(struct model *m, unsigned i, enum qos_outcome how, uint64_t bytes);

/** After each fact: the clock and the figures. */
void model_look(struct model *m, const struct qos *q, qos_time now);
/** Each order, as it comes. */
void model_order(struct model *m, const struct qos *q, const struct qos_order *o);
/** After qos_next() said false. */
void model_quiet(struct model *m, const struct qos *q);
/** The figures of m->stats, against the books and each other. */
void model_figures(struct model *m);

unsigned model_sockets(const struct model *m, unsigned provider);
/** Providers where what is in flight is what their limits carry in five seconds: nothing more is sent. */
uint32_t model_spent(const struct model *m);

bool model_has_in_flight(const struct model *m, unsigned provider);

/** Where the model keeps a connection. */
unsigned model_conn_index(qos_conn handle);

/* --- for judge.c and figures.c ----------------------------------------------------------------- */

/** Is the class expected to ask, now? */
bool model_is_warm(const struct model *m, unsigned class);
/** How many are to be up for it, then. */
unsigned model_warm_n(const struct model *m, unsigned class);
/** Connections that are up for it at the providers asked first; *where they are. */
unsigned model_warm_up(const struct model *m, unsigned class, uint32_t *where);
/** Has the state of `op` changed: who may be asked is to be found out again. */
void model_op_changed(struct model *m, struct model_op *op);
void model_op_state(struct model *m, struct model_op *op, enum model_op_state to);
/** Providers that may be asked for it now. */
uint32_t model_serves(struct model *m, struct model_op *op);
/** Waiting operations of a class that provider p could be sent at once, streams' caps respected. */
unsigned model_servable(struct model *m, unsigned class, unsigned p);
/** When what is first in flight on `c` begins to come in, or has begun to. */
qos_time model_begins(const struct model *m, const struct model_conn *c);
/** Connections that carry something of the stream. */
unsigned model_held(const struct model *m, unsigned class, uint64_t stream);
/** Connections being opened for a class that whoever waits relies on. */
unsigned model_covering(const struct model *m, unsigned class);
qos_time model_or(qos_time set, qos_time otherwise);
unsigned model_leases_at(const struct model *m, unsigned provider);

#endif
