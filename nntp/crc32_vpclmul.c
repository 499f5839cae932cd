/* crc32_vpclmul — CRC-32 by carry-less multiplication, 256 bytes a step.
 *
 * The message is a polynomial; its CRC is the remainder modulo P. Any 16 bytes may be replaced by a
 * multiple of P's worth of the same remainder that lies D bits further on: their two halves times
 * x^(D+32) and x^(D-32) modulo P. So four registers of four lanes run over the message, each folded onto
 * what stands D = 2048 bits behind it, then onto one another (D = 512), then the four lanes of the last
 * one (384, 256, 128). What is left is 16 bytes with the remainder of all of it; libdeflate does these
 * and the rest of the message.
 *
 * Source: V. Gopal and others, Fast CRC Computation for Generic Polynomials Using PCLMULQDQ
 * Instruction, Intel, 2009. The constants are computed from its definitions, bit-reflected and shifted
 * by one. */

#include "nntp/crc32.h"

#include <immintrin.h>

#define STEP    256

/* For D bits: the factors of the low and the high half of a lane. */
#define BY_2048 0x11542778a, 0x1322d1430
#define BY_512  0x154442bd4, 0x1c6e41596
#define BY_384  0x03db1ecdc, 0x174359406
#define BY_256  0x0f1da05aa, 0x15a546366
#define BY_128  0x1751997d0, 0x0ccaa009e

static inline __m512i fold(__m512i x, __m512i by, __m512i onto)
{
    __m512i low = _mm512_clmulepi64_epi128(x, by, 0x00);
    __m512i high = _mm512_clmulepi64_epi128(x, by, 0x11);
    return _mm512_ternarylogic_epi64(low, high, onto, 0x96); /* xor of three */
}

static inline __m512i every_lane(int64_t low, int64_t high)
{
    return _mm512_set_epi64(high, low, high, low, high, low, high, low);
}

static inline __m512i lanes(int64_t low0, int64_t high0, int64_t low1, int64_t high1, int64_t low2,
                            int64_t high2)
{
    return _mm512_set_epi64(0, 0, high2, low2, high1, low1, high0, low0);
}

/* The first three lanes onto the fourth. */
static inline __m128i fold_lanes(__m512i x)
{
    __m512i far = lanes(BY_384, BY_256, BY_128);
    __m512i last = _mm512_maskz_mov_epi64(0xc0, x);
    x = fold(x, far, last);
    __m256i half = _mm256_xor_si256(_mm512_castsi512_si256(x), _mm512_extracti64x4_epi64(x, 1));
    return _mm_xor_si128(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}

uint32_t crc32_update_vpclmul(uint32_t crc, const void *p, size_t len)
{
    const uint8_t *s = p;
    if (len < STEP)
        return crc32_update(crc, p, len);

    __m512i x0 = _mm512_loadu_si512(s), x1 = _mm512_loadu_si512(s + 64);
    __m512i x2 = _mm512_loadu_si512(s + 128), x3 = _mm512_loadu_si512(s + 192);
    x0 = _mm512_xor_si512(x0, _mm512_zextsi128_si512(_mm_cvtsi32_si128((int)~crc)));
    __m512i by = every_lane(BY_2048);
    for (s += STEP, len -= STEP; len >= STEP; s += STEP, len -= STEP) {
        x0 = fold(x0, by, _mm512_loadu_si512(s));
        x1 = fold(x1, by, _mm512_loadu_si512(s + 64));
        x2 = fold(x2, by, _mm512_loadu_si512(s + 128));
        x3 = fold(x3, by, _mm512_loadu_si512(s + 192));
    }
    by = every_lane(BY_512);
    x3 = fold(fold(fold(x0, by, x1), by, x2), by, x3);
    for (; len >= 64; s += 64, len -= 64)
        x3 = fold(x3, by, _mm512_loadu_si512(s));

    /* A register of zero, before libdeflate's inversion, goes on from these 16 bytes. */
    uint8_t left[16];
    _mm_storeu_si128((__m128i_u *)left, fold_lanes(x3));
    return crc32_update(crc32_update(0xffffffffu, left, sizeof(left)), s, len);
}
