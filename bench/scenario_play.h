/**
 * scenario_play — readers of files, as players and copiers are.
 *
 * Shape     A *play* is a thread that reads one file in blocks, as fast as they come or paced: it takes
 *           `rate_bps` bytes a second, once `buffer` bytes are there, and reads on while less than
 *           `buffer` are ahead of what has been shown. A block that comes after its time is a *stall*:
 *           the picture stands still until it is there, and everything after it is due that much later.
 * Threads   play_start(), play_join() and the rest: the scenario's.
 * Errors    A read that fails, or brings other bytes than the server's, ends the bench by scenario_fail().
 */
#ifndef BENCH_SCENARIO_PLAY_H
#define BENCH_SCENARIO_PLAY_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct play {
    /* in: zero what is not needed */
    char path[256];
    uint64_t off, len; /* len 0: to the end */
    size_t block;      /* 0: 128 KiB */
    uint64_t rate_bps; /* 0: as fast as it comes */
    uint64_t buffer;   /* 0: two blocks */
    bool forget;       /* the kernel is told to drop what was read: memory.h tells why */
    uint64_t seed;     /* of the generated file, to hold each block's bytes against; 0: do not */

    /* out, after play_join() */
    double first_s;   /* from before open() until the first block was there */
    double elapsed_s; /* until the last one */
    uint64_t bytes;   /* read */
    double *waits_s;  /* what each read() took: `blocks` of them; ours until play_free() */
    double *stalls_s; /* by how much each came late, mostly 0 */
    size_t blocks, late;
    double stall_total_s, stall_worst_s;

    /* its own */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stop, paused, ended;
    double paused_at_s, paused_s; /* since when; and in all before that */
    uint64_t at;
};

void play_start(struct play *p);
/** Ends after the block under way; join it all the same. */
void play_stop(struct play *p);
/** The picture stands still; blocks are read until the buffer is full. */
void play_pause(struct play *p);
void play_resume(struct play *p);
/** Bytes read so far; and wait until it is `bytes` or more, or the play has ended. */
uint64_t play_position(struct play *p);
void play_await(struct play *p, uint64_t bytes);
void play_join(struct play *p);
void play_free(struct play *p);

/** open(), pread() and close(): how long until `len` bytes at `off` were there, in seconds. `seed` as above. */
double play_once(const char *path, uint64_t off, size_t len, uint64_t seed);

/** pread() of an open file, likewise. */
double play_at(int fd, uint64_t off, size_t len, uint64_t seed);

/** Wait so long. */
void play_sleep(double s);

#endif
