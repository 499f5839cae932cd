/**
 * cursor — reads of integers and strings out of memory that came from outside.
 *
 * Shape     A sticky error: after the first read past the end every read gives 0 (or NULL) and `bad` stays
 *           set. So a parser is a straight list of reads and one check at its end.
 * Order     All integers are little-endian, as in RAR, 7z, ZIP and PAR2.
 */
#ifndef BASE_CURSOR_H
#define BASE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cursor {
    const uint8_t *at, *end; /* lent */
    bool bad;
};

static inline struct cursor cursor_of(const void *data, size_t len)
{
    const uint8_t *p = (const uint8_t *)data;
    return (struct cursor){.at = p, .end = p + len};
}

static inline size_t cursor_left(const struct cursor *c)
{
    return c->bad ? 0 : (size_t)(c->end - c->at);
}

/** `len` bytes where they are, or NULL. */
static inline const uint8_t *cursor_bytes(struct cursor *c, size_t len)
{
    if (len > cursor_left(c)) {
        c->bad = true;
        return NULL;
    }
    const uint8_t *p = c->at;
    c->at += len;
    return p;
}

static inline void cursor_skip(struct cursor *c, size_t len)
{
    (void)cursor_bytes(c, len);
}

/** The next `len` bytes as a cursor of their own. */
static inline struct cursor cursor_sub(struct cursor *c, size_t len)
{
    const uint8_t *p = cursor_bytes(c, len);
    return p ? cursor_of(p, len) : (struct cursor){.bad = true};
}

/** An integer of `n` bytes, 1 to 8. */
static inline uint64_t cursor_le(struct cursor *c, unsigned n)
{
    const uint8_t *p = cursor_bytes(c, n);
    uint64_t v = 0;
    for (unsigned k = 0; p && k < n; k++)
        v |= (uint64_t)p[k] << (8 * k);
    return v;
}

static inline uint8_t cursor_u8(struct cursor *c)
{
    return (uint8_t)cursor_le(c, 1);
}

static inline uint16_t cursor_u16(struct cursor *c)
{
    return (uint16_t)cursor_le(c, 2);
}

static inline uint32_t cursor_u32(struct cursor *c)
{
    return (uint32_t)cursor_le(c, 4);
}

static inline uint64_t cursor_u64(struct cursor *c)
{
    return cursor_le(c, 8);
}

#endif
