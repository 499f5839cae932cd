/**
 * policy — which block to give up: scan-resistant, pure.
 *
 * A media mount sees two kinds of traffic: long sequential passes whose blocks are read once, and heads,
 * tails and indexes that are read again and again. LRU lets the first wash the second out. This policy
 * keeps newcomers in a small queue and moves to the main one only what is asked for again.
 *
 * Favoured  Where a file begins and ends is what everybody who opens it looks at: such blocks move to the main
 *           queue without having been asked for twice.
 * Passes    A player takes a block in several small reads: those are one use. Only a hit that comes after
 *           some memory's worth of other blocks counts as another.
 * Shape     A value with intrusive entries; no clock, no randomness, no allocation after init.
 * Threads   The owner serialises.
 */
#ifndef CACHE_POLICY_H
#define CACHE_POLICY_H

#include "base/list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cache_policy;

/** Embedded in a block. */
struct cache_policy_entry {
    struct list link;
    uint64_t key;  /* of the segment: recognised when it comes back after eviction */
    uint64_t seen; /* when it was last asked for, in bytes inserted so far */
    uint32_t size;
    uint8_t queue, hits;
};

/** `budget` as in cache_config: the queues' shares are fractions of it. NULL: no memory. */
struct cache_policy *cache_policy_new(size_t budget);
void cache_policy_free(struct cache_policy *p);

void cache_policy_insert(struct cache_policy *p, struct cache_policy_entry *e, uint64_t key,
                         uint32_t size);
/** It is more likely than others to be asked for again: as if it had been used already. */
void cache_policy_favour(struct cache_policy_entry *e);
void cache_policy_hit(struct cache_policy *p, struct cache_policy_entry *e);
void cache_policy_remove(struct cache_policy *p, struct cache_policy_entry *e);

/** The entry to evict next among those `may` allows (not pinned), taken off; NULL: none. */
struct cache_policy_entry *cache_policy_evict(struct cache_policy *p,
                                              bool (*may)(const struct cache_policy_entry *e));

#endif
