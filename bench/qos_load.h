/**
 * qos_load — a scheduler with something to do: connections that answer when told, operations that wait.
 *
 * Shape     What nntp/ is to qos in the product, without sockets: it carries out orders in tables of its own.
 *           Which connection answers next is drawn from a seeded generator.
 * Time      Virtual: a fact is LOAD_STEP_US after the one before.
 * Errors    A scheduler that refuses what it must take ends the bench, with a line on stderr.
 */
#ifndef BENCH_QOS_LOAD_H
#define BENCH_QOS_LOAD_H

#include "qos/qos.h"

#include <stddef.h>

#define LOAD_STEP_US 5u

struct load_options {
    unsigned connections, providers; /* all together */
    unsigned classes;                /* 1: streaming alone; 3: all, equally hungry */
    unsigned streams;                /* of each class */
    unsigned pipelining;
    unsigned waiting; /* operations, beside those in flight */
};

struct load_conn;
struct load_op;

struct load {
    struct load_options o;
    struct qos_config cfg;
    struct qos *q;
    qos_time now;
    uint64_t random;
    struct load_conn *conns; /* by the handle's index */
    struct load_op *ops;     /* likewise: what waits or flies */
    unsigned *busy, nbusy;   /* connections with something in flight */
    qos_conn *opening;
    unsigned nopening;
    unsigned nlive[TRAFFIC_CLASSES]; /* operations that have not ended */
    unsigned nwaiting;
    unsigned submitted;
    unsigned largest; /* index of an operation so far */
    uint64_t orders;
};

void load_open(struct load *l, const struct load_options *o);
void load_close(struct load *l);

/** One more operation, of the class that has the fewest. */
void load_submit(struct load *l);

/** Draw orders until there are none, and ask for the next moment. Returns how many there were. */
unsigned load_settle(struct load *l);

/** Draw one order. */
bool load_draw(struct load *l);

/** One of the connections being opened is ready. */
void load_ready(struct load *l);

/** A connection drawn at random answers what it was asked first. */
void load_answer(struct load *l);

/** An operation that waits, drawn at random. */
qos_op load_waiter(struct load *l);

#endif
