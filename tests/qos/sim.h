/**
 * sim — the real scheduler against simulated providers, in virtual time.
 *
 * Shape     One seed makes everything: the configuration, the providers' latencies, speeds, hidden ceilings,
 *           outages and missing articles, and what is asked of them. A model (model.h) watches each step.
 * Errors    The model's `wrong`, with seed, fact and virtual time in `report`.
 */
#ifndef TESTS_QOS_SIM_H
#define TESTS_QOS_SIM_H

#include "tests/qos/model.h"

struct sim_result {
    uint64_t facts, orders, hash, virtual_us;
    uint64_t ends[QOS_REJECTED + 1];
    char report[512]; /* "": nothing wrong */
};

/** Runs about `facts` facts, then heals the providers and lets everything come to its end. */
void sim_run(uint64_t seed, uint64_t facts, struct sim_result *out);

#endif
