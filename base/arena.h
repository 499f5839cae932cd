/**
 * arena — memory that grows in steps and is freed at once.
 *
 * For structures that are built once and then only read (an NZB, a mounted tree). Nothing is ever
 * moved: a pointer into the arena is good until arena_fini().
 *
 * Threads   The owner's.
 * Errors    NULL when the system has no memory left or the arena's limit is reached.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

struct arena_chunk;

struct arena {
    struct arena_chunk *chunks;
    size_t used;  /* bytes handed out */
    size_t total; /* bytes taken from the system */
    size_t limit; /* `total` never exceeds it; 0: none */
};

/** A zeroed `struct arena` is ready to use; `limit` may be set before the first allocation. */
void arena_fini(struct arena *a);

/** All that was handed out is overwritten with zeros, and stays: before arena_fini() where it held secrets. */
void arena_wipe(struct arena *a);

/** `size` zeroed bytes, aligned to `align` (a power of two, at most 64). */
void *arena_alloc(struct arena *a, size_t size, size_t align);

/** The `len` bytes at `s`, copied, and a NUL. */
char *arena_strndup(struct arena *a, const char *s, size_t len);

#define arena_new(a, type)      ((type *)arena_alloc((a), sizeof(type), _Alignof(type)))
#define arena_array(a, type, n) ((type *)arena_calloc((a), (n), sizeof(type), _Alignof(type)))

void *arena_calloc(struct arena *a, size_t n, size_t size, size_t align);

#endif
