/**
 * claims — what articles said of their place, in order of segment; and sets of segments.
 *
 * Memory    claims: 16 bytes each, grown by doubling. bits: one a segment, the owner's words.
 */
#ifndef NZB_CLAIMS_H
#define NZB_CLAIMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Segment `i` says that it holds the `len` bytes of the file from `begin` on. */
struct claim {
    uint64_t begin;
    uint32_t len, i;
};

static inline uint64_t claim_end(const struct claim *c)
{
    return c->begin + c->len;
}

struct claims {
    struct claim *v;
    uint32_t n, cap;
};

/** Room for `n` in all: afterwards claims_put() succeeds until then. */
bool claims_reserve(struct claims *s, uint32_t n);

/** How many claims are of segments before `i`: where that of `i` is or would be. */
uint32_t claims_rank(const struct claims *s, uint32_t i);

/** How many claims begin at or before `off`, where they are in order of place too. */
uint32_t claims_rank_off(const struct claims *s, uint64_t off);

/** The claim of segment `i`, or NULL. Good until the next put or drop. */
const struct claim *claims_get(const struct claims *s, uint32_t i);

/** Add the claim of a segment that has none. false: no memory. */
bool claims_put(struct claims *s, struct claim c);
void claims_drop(struct claims *s, uint32_t i);
void claims_fini(struct claims *s);

#define BITS_NONE UINT32_MAX

static inline size_t bits_words(uint32_t n)
{
    return ((size_t)n + 63) / 64;
}

static inline bool bits_has(const uint64_t *w, uint32_t i)
{
    return w[i / 64] >> (i % 64) & 1;
}

static inline void bits_set(uint64_t *w, uint32_t i)
{
    w[i / 64] |= UINT64_C(1) << (i % 64);
}

static inline void bits_clear(uint64_t *w, uint32_t i)
{
    w[i / 64] &= ~(UINT64_C(1) << (i % 64));
}

/** The first member of `a` (of what is in neither `a` nor `b`) at or behind `from` and before `n`; the
 *  last one before `from`. BITS_NONE: there is none. */
uint32_t bits_next(const uint64_t *a, uint32_t from, uint32_t n);
uint32_t bits_before(const uint64_t *a, uint32_t from);
uint32_t bits_next_free(const uint64_t *a, const uint64_t *b, uint32_t from, uint32_t n);
uint32_t bits_before_free(const uint64_t *a, const uint64_t *b, uint32_t from);

#endif
