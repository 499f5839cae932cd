/**
 * world — one small cache before a scripted source, and the words in which its tests are told.
 *
 * Ten chunks of memory; files of a hundred segments of three chunks each. Each test begins with a new world,
 * and ends with a look whether all memory came back. Every word checks the cache's invariants as well.
 */
#ifndef TESTS_CACHE_WORLD_H
#define TESTS_CACHE_WORLD_H

#include "tests/cache/rig.h"
#include "tests/lib/scripted_source.h"

#include <check.h>

#define CHUNKS 10
#define PART   ((uint32_t)(2 * CACHE_CHUNK + 1000))

extern struct scripted_source *source;
extern struct cache *cache;
extern struct rig_file file, other;
extern uint64_t now_us;

/** The cache's invariants hold. */
void expect_sound(void);

/** Its statistics, which never show more than the budget in use. */
struct cache_stats stats(void);

struct segment_fetch *fetch_of(struct rig_file *f, uint32_t i);
void expect_fetches(unsigned n);
void expect_runs(struct rig_read *r, unsigned n);

/** A read of segments [first, first + n) starts; finish() gives its pins back. */
void start(struct rig_read *r, struct rig_file *f, uint32_t first, unsigned n,
           enum cache_start expected);
void finish(struct rig_read *r);

/** The fetch of segment `i` runs its honest course; or ends. */
void play(struct rig_file *f, uint32_t i, enum segment_result expected);
void end_with(struct rig_file *f, uint32_t i, enum segment_result r);

/** Segment `i` is read and its pin given back. */
void load(struct rig_file *f, uint32_t i);

enum cache_ahead ahead(struct rig_file *f, uint32_t i, uint64_t stream);

/** Nine of ten chunks become pinned. */
void fill_memory(struct rig_read *r);

/** Run the tests, each in a world of its own; the exit status. */
int world_run(const char *name, const TTest *const *tests, size_t n);

#endif
