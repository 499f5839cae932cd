/**
 * crowd — fetches of one class that start again as soon as they end: a demand that does not run dry.
 *
 * Shape     Set up, start, look at the counts, stop, wait. What is DONE was compared with the true bytes.
 * Threads   Any. Its lock is taken by done(), and held while the source is told to fetch, promote or cancel.
 */
#ifndef TESTS_NNTP_CROWD_H
#define TESTS_NNTP_CROWD_H

#include "tests/nntp/rig.h"

#define CROWD_RESULTS (SEGMENT_CANCELLED + 1)

struct crowd_one {
    struct segment_fetch f;
    struct iovec iov;
    struct crowd *crowd;
    uint8_t *room;
    uint32_t part; /* from 0 */
    bool out;      /* between fetch and done */
};

struct crowd_counts {
    uint64_t fetched, ended;
    uint64_t results[CROWD_RESULTS];
    uint64_t wrong; /* DONE with other bytes, or more than one done() for a fetch */
};

struct crowd {
    /* fixed by crowd_init(), or the test's to change before crowd_start() */
    struct rig *rig;
    int file;
    struct segment_want want; /* but for the message-id */
    uint64_t most;            /* fetches in all; 0: no end */
    unsigned streams;         /* its fetches take turns in want.stream … + streams - 1 */
    unsigned n;
    uint8_t *right; /* the file's bytes */
    /* under lock */
    pthread_mutex_t lock;
    pthread_cond_t quiet;
    struct crowd_one *ones;
    bool over;
    unsigned out;
    uint32_t turn;
    struct crowd_counts counts;
};

/** `n` fetches at a time of the rig's file with this tag (rig_file()), by BODY. */
void crowd_init(struct crowd *c, struct rig *r, char tag, enum traffic_class class, unsigned n);
void crowd_start(struct crowd *c);
/** Nothing is fetched any more; what has not been sent is withdrawn. */
void crowd_stop(struct crowd *c);
/** Until nothing is out: after crowd_stop(), or when `most` have been fetched. */
void crowd_wait(struct crowd *c);
void crowd_fini(struct crowd *c);

/** One moment. */
struct crowd_counts crowd_counts(struct crowd *c);
/** How many are out. */
unsigned crowd_out(struct crowd *c);

/** Promote or cancel the fetch of that number, whatever it does at the moment. */
void crowd_promote(struct crowd *c, unsigned i, enum urgency u);
void crowd_cancel(struct crowd *c, unsigned i);

#endif
