/**
 * model — the scheduler's promises, kept by somebody who does not know how it works.
 *
 * Shape     It is told every fact and every order, keeps its own books from them and finds fault. Of the
 *           scheduler it sees qos_stats() alone, and that only for what no order tells: to which class an
 *           opening connection is leased, and what the provider's breaker and learned ceiling are.
 * Errors    `wrong` names the first broken promise; the caller prints it with seed and virtual time.
 */
#ifndef TESTS_QOS_MODEL_H
#define TESTS_QOS_MODEL_H

#include "qos/qos.h"

#define MODEL_OPS     512
#define MODEL_CONNS   512
#define MODEL_STREAMS 32
#define MODEL_DEPTH   32

enum model_op_state { MODEL_NONE, MODEL_WAITS, MODEL_FLIES };

struct model_op {
    enum model_op_state state;
    qos_op handle;
    struct qos_want want;
    unsigned conn; /* while it flies */
    uint32_t not_here, spoilt, failed, old;
    unsigned char tries[QOS_PROVIDERS];
    bool cancelled, ok, refused;
};

enum model_conn_state { MODEL_ABSENT, MODEL_OPENING, MODEL_READY, MODEL_CLOSING };

struct model_conn {
    enum model_conn_state state;
    qos_conn handle;
    unsigned provider;
    enum traffic_class class; /* of the lease, while opening or carrying */
    bool probe;               /* opened where the provider was down: covers nobody */
    qos_time opened;
    uint64_t answered;
    unsigned n;
    unsigned ops[MODEL_DEPTH];
};

struct model_linger {
    unsigned provider;
    qos_time until;
};

struct model {
    struct qos_config cfg;
    unsigned total;
    qos_time now;
    bool shut;
    struct qos_stats stats; /* as of the last fact or order */
    struct model_op ops[MODEL_OPS];
    struct model_conn conns[MODEL_CONNS];
    struct model_linger lingers[MODEL_CONNS];
    unsigned nlingers;
    unsigned nops, nconns;            /* places ever used: the rest need not be looked at */
    unsigned leased[TRAFFIC_CLASSES]; /* opening or carrying */
    unsigned live;                    /* operations not ended */
    uint64_t ends[QOS_REJECTED + 1];
    uint64_t orders;
    uint64_t hash; /* of all orders */
    char wrong[256];
};

void model_init(struct model *m, const struct qos_config *cfg);
void model_resized(struct model *m, const struct qos_config *cfg);

/** A place for an operation that is about to be submitted; its index is to be the cookie. */
unsigned model_place(const struct model *m);
void model_submitted(struct model *m, unsigned i, qos_op handle, const struct qos_want *want);
void model_promoted(struct model *m, unsigned i, enum urgency u, qos_time deadline);
void model_cancelled(struct model *m, unsigned i);
void model_ready(struct model *m, unsigned c);
void model_gone(struct model *m, unsigned c, enum qos_gone why, bool seen);
void model_done(struct model *m, unsigned i, enum qos_outcome how);

/** After each fact: the clock and the figures. */
void model_look(struct model *m, const struct qos *q, qos_time now);
/** Each order, as it comes. */
void model_order(struct model *m, const struct qos *q, const struct qos_order *o);
/** After qos_next() said false. */
void model_quiet(struct model *m, const struct qos *q);

unsigned model_sockets(const struct model *m, unsigned provider);
/** Where the model keeps a connection. */
unsigned model_conn_index(qos_conn handle);

#endif
