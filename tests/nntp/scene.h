/**
 * scene — a pool, its servers and three crowds, brought to a standstill in which everything can be counted.
 *
 * Shape     The servers hold every answer in the middle (newsd_hold()), so who has which connection changes
 *           only when the test lets one go. scene_settle() waits until all that follows from that has
 *           happened at both ends; what the servers counted and what the pool says are then of one
 *           moment, and must be equal to the last connection.
 * Tags      'q' queue, 'h' health, 's' streaming.
 * Threads   The test's, and one that holds the pool's own sums against each other all the while.
 */
#ifndef TESTS_NNTP_SCENE_H
#define TESTS_NNTP_SCENE_H

#include "tests/nntp/crowd.h"

#include <stdatomic.h>

#define SCENE_CROWDS 16

struct scene {
    struct rig r;
    struct crowd *crowds[SCENE_CROWDS]; /* all whose answers are to be accounted for */
    unsigned ncrowds;
    pthread_t sampler;
    atomic_bool over;
    atomic_ullong samples;
    char wrong[256]; /* the sampler's; read when it has ended */
};

struct scene_now {
    struct newsd_tags servers[RIG_SERVERS];
    struct newsd_tags sum;
    struct nntp_pool_stats pool;
};

extern const char scene_tag[TRAFFIC_CLASSES];

/** One server and provider for each of `n` limits, which the servers enforce; pipelining so deep. Time
 *  limits are far away. The shares are the test's to set. */
void scene_init(struct scene *s, const unsigned *limits, unsigned n, unsigned pipelining);
/** The same with files of these tags in place of the classes'. */
void scene_init_tags(struct scene *s, const unsigned *limits, unsigned n, unsigned pipelining,
                     const char *tags);
/** The pool, with every answer held. */
void scene_start(struct scene *s);
/** Everything goes on, crowds end. Fails where anything was wrong on the way: a wrong byte, a fetch that
 *  was not DONE, a server that had to refuse someone, sums that did not agree. */
void scene_fini(struct scene *s);

/** A crowd of the class' own tag, part of the scene from now on. */
void scene_crowd(struct scene *s, struct crowd *c, enum traffic_class class, unsigned n);
void scene_crowd_tag(struct scene *s, struct crowd *c, char tag, enum traffic_class class,
                     unsigned n);

/** Wait until every connection is at rest, its first answer held, and both ends know the same. */
void scene_settle(struct scene *s, struct scene_now *now);

/** Settle; the connections of each class are these at the servers and in the pool, exactly, and stay so. */
void scene_expect(struct scene *s, unsigned queue, unsigned health, unsigned streaming);

/** Of each tag, what a server holds at a moment and has not let go since: one *article time*. */
struct scene_round {
    char tag;
    unsigned left[RIG_SERVERS];
};

/** The scene is settled: every connection that carries the tag now may end one answer in this round. */
void scene_round(struct scene *s, struct scene_round *r, char tag);
/** Let one of them go, the longest held of a server. False: the round is over. No connection ends two in a
 *  round: what comes behind one that went on is the youngest. */
bool scene_release(struct scene *s, struct scene_round *r);
/** Until nothing of this tag is in flight anywhere. */
void scene_drain(struct scene *s, char tag);

/** Connections that carry it, at all servers. */
unsigned scene_carrying(struct scene *s, char tag);

#endif
