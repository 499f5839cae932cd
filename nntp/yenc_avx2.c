/* yenc_avx2 — 64 bytes a step in two registers; bytes are left out by shuffles of eight. */

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

/* The eight indices for the byte at bit `at` of `drop`. */
static inline __m128i indices(uint64_t drop, int at)
{
    return _mm_loadl_epi64((const __m128i_u *)yenc_compact[drop >> at & 0xff]);
}

static inline __m128i indices_pair(uint64_t drop, int at)
{
    return _mm_unpacklo_epi64(indices(drop, at), indices(drop, at + 8));
}

static inline size_t kept(uint64_t drop, int before)
{
    return (size_t)(before - __builtin_popcountll(drop & ((UINT64_C(1) << before) - 1)));
}

static inline size_t block_put(uint8_t *d, const struct block *b, uint64_t escaped, uint64_t drop)
{
    const __m256i plain = _mm256_set1_epi8(-42);
    const __m256i half = _mm256_set_epi64x(0x0808080808080808, 0, 0x0808080808080808, 0);
    (void)escaped; /* it is in the block */
    for (int i = 0; i < 2; i++) {
        int at = 32 * i;
        __m256i bytes = _mm256_add_epi8(_mm256_add_epi8(b->v[i], plain), b->escaped[i]);
        __m256i order = _mm256_set_m128i(indices_pair(drop, at + 16), indices_pair(drop, at));
        bytes = _mm256_shuffle_epi8(bytes, _mm256_add_epi8(order, half));
        __m128i low = _mm256_castsi256_si128(bytes), high = _mm256_extracti128_si256(bytes, 1);
        _mm_storel_epi64((__m128i_u *)(d + kept(drop, at)), low);
        _mm_storeh_pd((double *)(d + kept(drop, at + 8)), _mm_castsi128_pd(low));
        _mm_storel_epi64((__m128i_u *)(d + kept(drop, at + 16)), high);
        _mm_storeh_pd((double *)(d + kept(drop, at + 24)), _mm_castsi128_pd(high));
    }
    return (size_t)__builtin_popcountll(~drop);
}

#include "nntp/yenc_loop.h"
