/**
 * scenario_load — a mount whose process also imports and checks, as much as it may.
 *
 * Shape     Composed as `nzbfs mount` is, in a child of ours, with a generator beside the cache on the same
 *           pool: so many BODY fetches of class queue and STATs of class health are always wanted, and
 *           each that ends is asked for again.
 * Threads   The generator runs on the pool's.
 */
#ifndef BENCH_SCENARIO_LOAD_H
#define BENCH_SCENARIO_LOAD_H

#include "bench/scenario_stage.h"

struct scenario_load {
    const struct stage *stage;
    unsigned queue_file, health_file; /* of the NZB: whose articles are wanted */
    unsigned queue, health;           /* how many are wanted at any moment; 0: none */
};

/** child_fork()'s: serve until unmounted. `arg` is a struct scenario_load. */
int scenario_load_serve(void *arg);

#endif
