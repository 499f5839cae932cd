/* yenc_neon — 64 bytes a step in four registers (aarch64); bytes are left out by table lookups. */

#include "nntp/yenc_kernels.h"

#include <arm_neon.h>

#define DECODE yenc_decode_neon

/* `escaped` is 64 behind each "=". It is found by a second load one byte back rather than by carrying
 * bits from mask to vector. */
struct block {
    uint8x16_t v[4], escaped[4];
};

static inline void block_load(struct block *b, const uint8_t *s)
{
    for (int i = 0; i < 4; i++) {
        uint8x16_t before = vld1q_u8(s + 16 * i - 1);
        b->v[i] = vld1q_u8(s + 16 * i);
        b->escaped[i] = vandq_u8(vceqq_u8(before, vdupq_n_u8('=')), vdupq_n_u8(64));
    }
}

/* There is no movemask: each byte keeps its own bit of eight, and pairwise sums bring them together. */
static inline uint64_t block_equals(const struct block *b, char c)
{
    const uint8x16_t bits = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    const uint8x16_t wanted = vdupq_n_u8((uint8_t)c);
    uint8x16_t part[4];
    for (int i = 0; i < 4; i++)
        part[i] = vandq_u8(vceqq_u8(b->v[i], wanted), bits);
    uint8x16_t sum = vpaddq_u8(vpaddq_u8(part[0], part[1]), vpaddq_u8(part[2], part[3]));
    return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(sum, sum)), 0);
}

static inline size_t block_put(uint8_t *d, const struct block *b, uint64_t escaped, uint64_t drop)
{
    uint8_t *const start = d;
    (void)escaped; /* it is in the block */
    for (int i = 0; i < 4; i++) {
        uint64_t part = drop >> 16 * i & 0xffff;
        uint8x16_t bytes = vsubq_u8(vsubq_u8(b->v[i], vdupq_n_u8(42)), b->escaped[i]);
        vst1q_u8(d, vqtbl1q_u8(bytes, vld1q_u8(yenc_compact[part % YENC_COMPACT])));
        d += 16 - __builtin_popcountll(part);
    }
    return (size_t)(d - start);
}

#include "nntp/yenc_loop.h"
