/**
 * script — a story told to the scheduler: facts in its order, then what is expected of it.
 *
 * Shape     A struct script holds a scheduler, the virtual time, and what every order has said so far. After
 *           each fact script_run() takes all orders. qos_check(), which walks all tables, runs after every
 *           sixteenth of them and at the end.
 * Errors    Expectations print the virtual time and the line of the story.
 */
#ifndef TESTS_QOS_SCRIPT_H
#define TESTS_QOS_SCRIPT_H

#include "qos/qos.h"

#include <check.h>

#define SCRIPT_CONNS 1024
#define SCRIPT_OPS   8192
#define MS           1000u
#define S            1000000u

enum script_conn_state { SC_NONE, SC_OPENING, SC_IDLE, SC_BUSY, SC_CLOSING };

struct script_conn {
    enum script_conn_state state;
    qos_conn handle;
    unsigned provider;
    unsigned n; /* in flight */
    unsigned ops[32];
};

struct script_op {
    qos_op handle;
    struct qos_want want;
    int conn;        /* -1: not in flight */
    int twin_of;     /* an index; -1: none's */
    unsigned sent;   /* times */
    unsigned order;  /* of its last START among all */
    uint64_t brings; /* bytes its answer has; 0: not told */
    bool ended;
    enum qos_verdict verdict;
};

struct script {
    struct qos *q;
    qos_time now;
    struct script_conn conns[SCRIPT_CONNS];
    struct script_op ops[SCRIPT_OPS];
    unsigned nconns, nops, nstarts;
    unsigned opens, closes; /* orders */
    unsigned norders;
    unsigned lates; /* orders */
    bool hedges;    /* what is late gets a twin */
};

/** A scheduler with room for plenty. */
struct script *script_new(const struct qos_config *cfg);
void script_free(struct script *s);

/** Take every order. */
void script_run(struct script *s);
void script_at(struct script *s, qos_time now);

/** Submit `n` alike; returns the first one's index. */
unsigned script_submit(struct script *s, struct qos_want want, unsigned n);
/** Every connection being opened (at a provider, or everywhere: -1) comes up. */
void script_connect(struct script *s, int provider);
/** The connections being opened at the provider are gone. */
void script_refuse(struct script *s, int provider, enum qos_gone why);
/** The operation in flight gets its answer. */
void script_answer(struct script *s, unsigned op, enum qos_outcome how);
/** One article time: the first operation on every connection that was busy is answered. */
void script_tick(struct script *s);
void script_gone(struct script *s, unsigned conn, enum qos_gone why, bool seen);

unsigned script_count(const struct script *s, int provider, enum script_conn_state state);
struct qos_stats script_stats(const struct script *s);
/** Leases of the three classes are these. */
void script_expect_leases(const struct script *s, unsigned queue, unsigned health,
                          unsigned streaming, int line);
void script_expect_end(const struct script *s, unsigned op, enum qos_verdict v, int line);
void script_expect_at(const struct script *s, unsigned op, int provider, int line);

#define expect_leases(s, q, h, b) script_expect_leases(s, q, h, b, __LINE__)
#define expect_end(s, op, v)      script_expect_end(s, op, v, __LINE__)
/** It is in flight at that provider; -1: it waits. */
#define expect_at(s, op, p)       script_expect_at(s, op, p, __LINE__)

#endif
