/* yenc_ssse3 — 64 bytes a step in four registers; bytes are left out by shuffles of sixteen. */

#include "nntp/yenc_kernels.h"

#include <tmmintrin.h>

#define DECODE yenc_decode_ssse3

/* `escaped` is -64 behind each "=". It is found by a second load one byte back rather than by carrying
 * bits from mask to vector. */
struct block {
    __m128i v[4], escaped[4];
};

static inline void block_load(struct block *b, const uint8_t *s)
{
    for (int i = 0; i < 4; i++) {
        __m128i before = _mm_loadu_si128((const __m128i_u *)(s + 16 * i - 1));
        b->v[i] = _mm_loadu_si128((const __m128i_u *)(s + 16 * i));
        b->escaped[i] =
            _mm_and_si128(_mm_cmpeq_epi8(before, _mm_set1_epi8('=')), _mm_set1_epi8(-64));
    }
}

static inline uint64_t block_equals(const struct block *b, char c)
{
    uint64_t mask = 0;
    for (int i = 0; i < 4; i++) {
        int part = _mm_movemask_epi8(_mm_cmpeq_epi8(b->v[i], _mm_set1_epi8(c)));
        mask |= (uint64_t)(unsigned)part << 16 * i;
    }
    return mask;
}

/* Sixteen bytes, decoded, without those that the low bits of `drop` name, at `d`. */
static inline void put(uint8_t *d, const struct block *b, int i, uint64_t drop)
{
    const uint8_t *order = yenc_compact[drop % YENC_COMPACT];
    __m128i bytes = _mm_add_epi8(_mm_add_epi8(b->v[i], _mm_set1_epi8(-42)), b->escaped[i]);
    bytes = _mm_shuffle_epi8(bytes, _mm_load_si128((const __m128i *)(const void *)order));
    _mm_storeu_si128((__m128i_u *)d, bytes);
}

/* Where each sixteen go is counted from the block's start, so that none waits for the one before. */
static inline size_t block_put(uint8_t *d, const struct block *b, uint64_t escaped, uint64_t drop)
{
    const uint64_t keep = ~drop;
    (void)escaped; /* it is in the block */
    put(d, b, 0, drop);
    put(d + __builtin_popcountll(keep & 0xffff), b, 1, drop >> 16);
    put(d + __builtin_popcountll(keep & 0xffffffff), b, 2, drop >> 32);
    put(d + __builtin_popcountll(keep & 0xffffffffffff), b, 3, drop >> 48);
    return (size_t)__builtin_popcountll(keep);
}

#include "nntp/yenc_loop.h"
