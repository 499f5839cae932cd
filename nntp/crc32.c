#include "nntp/crc32.h"

#include <libdeflate.h>

#define POLY 0xedb88320u /* reflected: bit 31 is x^0 */

uint32_t crc32_update(uint32_t crc, const void *p, size_t len)
{
    return len ? libdeflate_crc32(crc, p, len) : crc;
}

bool crc32_has_vpclmul(void)
{
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("vpclmulqdq");
#else
    return false;
#endif
}

#if !defined(__x86_64__)
uint32_t crc32_update_vpclmul(uint32_t crc, const void *p, size_t len)
{
    return crc32_update(crc, p, len);
}
#endif

crc32_fn *crc32_best(void)
{
    return crc32_has_vpclmul() ? crc32_update_vpclmul : crc32_update;
}

/* a * b modulo the polynomial. */
static uint32_t poly_mul(uint32_t a, uint32_t b)
{
    uint32_t product = 0;
    for (uint32_t bit = 1u << 31; bit; bit >>= 1) {
        if (a & bit)
            product ^= b;
        b = b & 1 ? b >> 1 ^ POLY : b >> 1;
    }
    return product;
}

/* Behind a come len_b bytes, so a's CRC is multiplied by x^(8 * len_b): a square for each bit of it. The
 * inversions at both ends cancel out. */
uint32_t crc32_join(uint32_t crc_a, uint32_t crc_b, uint64_t len_b)
{
    uint32_t power = 1u << 23; /* x^8 */
    for (; len_b; len_b >>= 1) {
        if (len_b & 1)
            crc_a = poly_mul(crc_a, power);
        power = poly_mul(power, power);
    }
    return crc_a ^ crc_b;
}
