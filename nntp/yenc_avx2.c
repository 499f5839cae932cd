/* yenc_avx2 — 64 bytes a step in two registers; bytes are left out by shuffles of sixteen. */

#include "nntp/yenc_kernels.h"

#include <immintrin.h>

#define DECODE yenc_decode_avx2

/* `escaped` is -64 behind each "=". It is found by a second load one byte back rather than by carrying
 * bits from mask to vector. */
struct block {
    __m256i v[2], escaped[2];
};

static inline void block_load(struct block *b, const uint8_t *s)
{
    for (int i = 0; i < 2; i++) {
        __m256i before = _mm256_loadu_si256((const __m256i_u *)(s + 32 * i - 1));
        b->v[i] = _mm256_loadu_si256((const __m256i_u *)(s + 32 * i));
        b->escaped[i] = _mm256_and_si256(_mm256_cmpeq_epi8(before, _mm256_set1_epi8('=')),
                                         _mm256_set1_epi8(-64));
    }
}

static inline uint64_t block_equals(const struct block *b, char c)
{
    __m256i wanted = _mm256_set1_epi8(c);
    uint32_t low = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(b->v[0], wanted));
    uint32_t high = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(b->v[1], wanted));
    return (uint64_t)high << 32 | low;
}

/* The sixteen bytes of `bytes` without those that the low bits of `drop` name, at `d`. */
static inline void put(uint8_t *d, __m128i bytes, uint64_t drop)
{
    const uint8_t *order = yenc_compact[drop % YENC_COMPACT];
    bytes = _mm_shuffle_epi8(bytes, _mm_load_si128((const __m128i *)(const void *)order));
    _mm_storeu_si128((__m128i_u *)d, bytes);
}

/* Where each sixteen go is counted from the block's start, so that none waits for the one before. */
static inline size_t block_put(uint8_t *d, const struct block *b, uint64_t escaped, uint64_t drop)
{
    const __m256i plain = _mm256_set1_epi8(-42);
    const uint64_t keep = ~drop;
    (void)escaped; /* it is in the block */
    __m256i low = _mm256_add_epi8(_mm256_add_epi8(b->v[0], plain), b->escaped[0]);
    __m256i high = _mm256_add_epi8(_mm256_add_epi8(b->v[1], plain), b->escaped[1]);
    put(d, _mm256_castsi256_si128(low), drop);
    put(d + __builtin_popcountll(keep & 0xffff), _mm256_extracti128_si256(low, 1), drop >> 16);
    put(d + __builtin_popcountll(keep & 0xffffffff), _mm256_castsi256_si128(high), drop >> 32);
    put(d + __builtin_popcountll(keep & 0xffffffffffff), _mm256_extracti128_si256(high, 1),
        drop >> 48);
    return (size_t)__builtin_popcountll(keep);
}

#include "nntp/yenc_loop.h"
