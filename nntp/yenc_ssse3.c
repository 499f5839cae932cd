/* yenc_ssse3 — 64 bytes a step in four registers; bytes are left out by shuffles of eight. */

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

static inline __m128i indices(uint64_t drop, int at)
{
    return _mm_loadl_epi64((const __m128i_u *)yenc_compact[drop >> at & 0xff]);
}

static inline size_t block_put(uint8_t *d, const struct block *b, uint64_t escaped, uint64_t drop)
{
    const __m128i half = _mm_set_epi64x(0x0808080808080808, 0);
    uint8_t *const start = d;
    (void)escaped; /* it is in the block */
    for (int i = 0; i < 4; i++) {
        int at = 16 * i;
        __m128i bytes = _mm_add_epi8(_mm_add_epi8(b->v[i], _mm_set1_epi8(-42)), b->escaped[i]);
        __m128i order = _mm_unpacklo_epi64(indices(drop, at), indices(drop, at + 8));
        bytes = _mm_shuffle_epi8(bytes, _mm_add_epi8(order, half));
        _mm_storel_epi64((__m128i_u *)d, bytes);
        d += 8 - __builtin_popcountll(drop >> at & 0xff);
        _mm_storeh_pd((double *)d, _mm_castsi128_pd(bytes));
        d += 8 - __builtin_popcountll(drop >> (at + 8) & 0xff);
    }
    return (size_t)(d - start);
}

#include "nntp/yenc_loop.h"
