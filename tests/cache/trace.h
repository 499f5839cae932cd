/**
 * trace — access patterns of a mount, made from seeds, and what a policy makes of them.
 *
 * Shape     Pure. A trace is a list of block numbers, all of one size; trace_run() plays it to
 *           cache/policy.h, trace_run_lru() to plain LRU with the same memory.
 */
#ifndef TESTS_CACHE_TRACE_H
#define TESTS_CACHE_TRACE_H

#include <stddef.h>
#include <stdint.h>

#define TRACE_BLOCK ((uint32_t)768 << 10) /* bytes: an article, about */

struct trace {
    uint32_t *keys;
    size_t n, cap;
    uint64_t dice;
};

void trace_init(struct trace *t, uint64_t seed);
void trace_fini(struct trace *t);

/** Block `key` is asked for `times` times in a row: a player takes one in several small reads. */
void trace_add(struct trace *t, uint32_t key, unsigned times);
uint32_t trace_roll(struct trace *t, uint32_t n);

struct trace_score {
    size_t hits, misses; /* of first asks: the reads after one of the same block are not counted */
};

/** With memory for `blocks` blocks. */
struct trace_score trace_run(const struct trace *t, uint32_t blocks);
struct trace_score trace_run_lru(const struct trace *t, uint32_t blocks);

/** Hits in a thousand. */
unsigned trace_permille(struct trace_score s);

#endif
