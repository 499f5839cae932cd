#include "base/arena.h"
#include "base/overflow.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The first chunk is small, so that an arena for a small NZB stays small; later ones double up to
 * the largest, so that a large one costs few calls and wastes at most one chunk. */
#define CHUNK_FIRST   ((size_t)4 << 10)
#define CHUNK_LARGEST ((size_t)1 << 20)

struct arena_chunk {
    struct arena_chunk *next;
    size_t size, used; /* of data[] */
    _Alignas(64) unsigned char data[];
};

static struct arena_chunk *chunk_add(struct arena *a, size_t least)
{
    size_t size = a->chunks ? a->chunks->size * 2 : CHUNK_FIRST;
    size_t bytes;

    if (size > CHUNK_LARGEST)
        size = CHUNK_LARGEST;
    if (size < least)
        size = least;
    if (!add_size(size, sizeof(struct arena_chunk) + 63, &bytes))
        return NULL;
    bytes &= ~(size_t)63; /* aligned_alloc wants a multiple */
    if (a->limit && (bytes > a->limit || a->total > a->limit - bytes))
        return NULL;
    struct arena_chunk *c = aligned_alloc(64, bytes);
    if (!c)
        return NULL;
    c->next = a->chunks;
    c->size = size;
    c->used = 0;
    a->chunks = c;
    a->total += bytes;
    return c;
}

void arena_fini(struct arena *a)
{
    for (struct arena_chunk *c = a->chunks, *next; c; c = next) {
        next = c->next;
        free(c);
    }
    *a = (struct arena){.limit = a->limit};
}

void arena_wipe(struct arena *a)
{
    for (struct arena_chunk *c = a->chunks; c; c = c->next)
        explicit_bzero(c->data, c->used);
}

void *arena_alloc(struct arena *a, size_t size, size_t align)
{
    assert(align && !(align & (align - 1)) && align <= 64);
    struct arena_chunk *c = a->chunks;
    size_t at = c ? (c->used + align - 1) & ~(align - 1) : 0;

    if (!c || at > c->size || size > c->size - at) {
        c = chunk_add(a, size);
        if (!c)
            return NULL;
        at = 0;
    }
    c->used = at + size;
    a->used += size;
    return memset(c->data + at, 0, size);
}

void *arena_calloc(struct arena *a, size_t n, size_t size, size_t align)
{
    size_t bytes;

    return mul_size(n, size, &bytes) ? arena_alloc(a, bytes, align) : NULL;
}

char *arena_strndup(struct arena *a, const char *s, size_t len)
{
    size_t bytes;

    if (!add_size(len, 1, &bytes))
        return NULL;
    char *copy = arena_alloc(a, bytes, 1);
    if (copy && len)
        memcpy(copy, s, len);
    return copy;
}
