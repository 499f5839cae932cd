/**
 * fault_source — a source on threads of its own that fails as often as it is told to.
 *
 * Shape     Serves made-up articles (tests/lib/scripted_article.h) and draws a fault for each from a seeded
 *           generator. The order in which threads get their turn is the system's, so only what must hold
 *           in any order can be expected of it.
 */
#ifndef TESTS_LIB_FAULT_SOURCE_H
#define TESTS_LIB_FAULT_SOURCE_H

#include "base/source.h"

struct fault_source;

struct fault_config {
    unsigned threads;
    uint64_t seed;
    /* in a thousand */
    unsigned missing, corrupt, failed;
    unsigned timeout; /* only what has a deadline */
    unsigned spoilt;  /* a first attempt that is broken off, then another */
    unsigned lying;   /* a first attempt that claims another size */
};

/** NULL: no memory or no threads. */
struct fault_source *fault_source_start(const struct fault_config *cfg);

/** All that is out is served to its end; threads joined, memory freed. */
void fault_source_stop(struct fault_source *s);

struct source *fault_source_source(struct fault_source *s);

#endif
