/* yenc_vbmi2 — 64 bytes a step in one register; vpcompressb leaves bytes out in one instruction. */

#include "nntp/yenc_kernels.h"

#include <immintrin.h>

#define DECODE yenc_decode_vbmi2

struct block {
    __m512i v;
};

static inline void block_load(struct block *b, const uint8_t *s)
{
    b->v = _mm512_loadu_si512(s);
}

static inline uint64_t block_equals(const struct block *b, char c)
{
    return _cvtmask64_u64(_mm512_cmpeq_epi8_mask(b->v, _mm512_set1_epi8(c)));
}

static inline size_t block_put(uint8_t *d, const struct block *b, uint64_t escaped, uint64_t drop)
{
    __m512i plain = _mm512_sub_epi8(b->v, _mm512_set1_epi8(42));
    __m512i bytes =
        _mm512_mask_sub_epi8(plain, _cvtu64_mask64(escaped), plain, _mm512_set1_epi8(64));
    _mm512_storeu_si512(d, _mm512_maskz_compress_epi8(_cvtu64_mask64(~drop), bytes));
    return (size_t)__builtin_popcountll(~drop);
}

#include "nntp/yenc_loop.h"
