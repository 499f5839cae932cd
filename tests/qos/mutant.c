/*
 * Linked with a scheduler that has a deliberate fault (mutants/): does the model notice, and does it name the
 * promise that the fault breaks? A model that finds nothing wrong with a sound scheduler proves little
 * before it has been seen to find what is wrong with these.
 *
 *     mutant PROMISE SEEDS [SECONDS]     up to so many seeds; seconds for shrinking what is found
 */
#include "tests/qos/shrink.h"
#include "tests/qos/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FACTS 2500
#define MORE  20 /* seeds after the first that fails: the shortest run of them is told */

static bool names(const char *wrong, const char *promise)
{
    size_t n = strlen(promise);
    return !strncmp(wrong, promise, n) && wrong[n] == ':';
}

/** I9 cannot be seen in one run. */
static bool differs(uint64_t seed, const struct sim_result *r)
{
    struct sim_result again;
    sim_run(seed, FACTS, &again, NULL);
    return again.hash != r->hash;
}

static void tell(uint64_t seed, double seconds)
{
    struct sim_result r;
    struct story story;
    char wrong[512] = "";
    sim_run(seed, FACTS, &r, &story);
    size_t before = story.n, tries = shrink(&story, r.wrong, seconds, wrong, sizeof(wrong));
    printf("seed %llu: %s\n%zu steps, shrunk to %zu in %zu tries: %s\n", (unsigned long long)seed,
           r.wrong, before, story.n, tries, wrong);
    story_write(&story, stdout);
    story_fini(&story);
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    const char *promise = argv[1];
    uint64_t seeds = strtoull(argv[2], NULL, 10);
    double seconds = argc > 3 ? strtod(argv[3], NULL) : 1;
    char other[256] = "nothing";
    uint64_t best = 0, shortest = UINT64_MAX;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        struct sim_result r;
        sim_run(seed, FACTS, &r, NULL);
        if (names(r.wrong, promise) && r.facts < shortest) {
            seeds = best || seeds < seed + MORE ? seeds : seed + MORE;
            best = seed;
            shortest = r.facts;
        }
        if (!strcmp(promise, "I9") && differs(seed, &r)) {
            printf("seed %llu: I9: the same facts give other orders\n", (unsigned long long)seed);
            return 0;
        }
        if (r.wrong[0])
            memcpy(other, r.wrong, sizeof(other));
    }
    if (best) {
        tell(best, seconds);
        return 0;
    }
    printf("%llu seeds: not caught as %s; last seen: %s\n", (unsigned long long)seeds, promise,
           other);
    return 1;
}
