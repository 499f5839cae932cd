/**
 * rig — a cache, files of made-up articles and readers, for the tests of cache/.
 *
 * Threads   As the cache's; rig_read_wait() waits for `ready`.
 */
#ifndef TESTS_CACHE_RIG_H
#define TESTS_CACHE_RIG_H

#include "cache/internal.h"
#include "tests/lib/scripted_article.h"

#include <stdatomic.h>

#define RIG_WANTS 8

struct rig_file {
    struct cache_file file;
    uint64_t seed;
    uint32_t n, part_size;
    uint32_t told;       /* the NZB's word on each segment's bytes */
    atomic_bool refuses; /* check() says that it cannot be */
    atomic_uint described, checked;
    atomic_uint unproven, lied; /* segments disowned: nobody can tell; known to be wrong */
    atomic_uint doubted;        /* attempts that came to no sound end, as far as they are told */
    atomic_uint proven;         /* segments that were answered early and are sound */
    atomic_uint_fast64_t taken_back,
        proven_size; /* of the last one: bytes; what it said of the file */
    char (*ids)[SCRIPTED_ID];
};

/** A file of `n` segments of `part_size` bytes each, told truly. Aborts without memory. */
void rig_file_init(struct rig_file *f, uint64_t id, uint32_t n, uint32_t part_size);
void rig_file_fini(struct rig_file *f);

struct rig_read {
    struct cache_read read;
    struct cache_want wants[RIG_WANTS];
    struct cache *cache;
    struct rig_file *file;
    bool ends_itself; /* `ready` gives the pins back */
    atomic_uint runs; /* of `ready` */
    pthread_mutex_t lock;
    pthread_cond_t ran;
};

/** Segments [first, first + n) of `f`, streaming demand. */
void rig_read_init(struct rig_read *r, struct cache *c, struct rig_file *f, uint32_t first,
                   unsigned n);
enum cache_start rig_read_start(struct rig_read *r);
void rig_read_wait(struct rig_read *r);

/** All DONE, pinned, and every byte right. */
bool rig_read_is_right(const struct rig_read *r);
bool rig_want_is_right(const struct rig_read *r, unsigned k);

/** The bytes of want `k` that may be looked at are right. */
bool rig_early_is_right(const struct rig_read *r, unsigned k);

#endif
