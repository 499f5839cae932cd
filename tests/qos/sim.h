/**
 * sim — the real scheduler against simulated providers, in virtual time.
 *
 * Shape     One seed makes everything: the configuration, the servers and their weather (world.h), and who
 *           wants what. What happens is told to a stage (stage.h), where a model watches each step; it
 *           can be written down as a story (story.h) and played again without the dice.
 * Errors    The model's `wrong`, with seed, fact and virtual time in `report`.
 */
#ifndef TESTS_QOS_SIM_H
#define TESTS_QOS_SIM_H

#include "tests/qos/story.h"

struct sim_result {
    uint64_t facts, wakes, orders, hash, virtual_us;
    uint64_t ends[QOS_REJECTED + 1];
    uint64_t cuts; /* connections closed under operations nobody wanted */
    unsigned nproviders;
    char wrong[256];  /* the model's; "": nothing */
    char report[512]; /* with seed, fact and time */
};

/** Runs `facts` facts, then heals the providers and lets everything come to its end. `story`, not
 *  initialised and freed by the caller, or NULL, gets all of it. */
void sim_run(uint64_t seed, uint64_t facts, struct sim_result *out, struct story *story);

#endif
