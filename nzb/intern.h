/**
 * intern — one copy of each string, however often it comes: posters and groups.
 *
 * Memory    The table is the heap's until intern_fini(); the strings are the arena's and stay.
 */
#ifndef NZB_INTERN_H
#define NZB_INTERN_H

#include "base/arena.h"

#include <stddef.h>

struct intern {
    struct arena *arena;
    const char **slots; /* open addressing; NULL is empty */
    size_t nslots, count;
};

/** The arena's copy of s[len]. NULL: no memory. */
const char *intern_get(struct intern *t, const char *s, size_t len);
void intern_fini(struct intern *t);

#endif
