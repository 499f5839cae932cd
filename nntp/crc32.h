/**
 * crc32 — CRC-32 as yEnc, PAR2 and ZIP use it (polynomial 0x04c11db7, reflected, inverted at both ends).
 *
 * Shape     Pure. A CRC starts as 0 and is carried on: crc32_update(crc32_update(0, a), b) is that of
 *           a and b in a row.
 * Threads   Any.
 */
#ifndef NNTP_CRC32_H
#define NNTP_CRC32_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint32_t crc32_fn(uint32_t crc, const void *p, size_t len);

/** libdeflate's, which every CPU can run. */
crc32_fn crc32_update;

/** AVX-512 VPCLMULQDQ; only where crc32_has_vpclmul(). Elsewhere than x86-64 it is crc32_update. */
crc32_fn crc32_update_vpclmul;
bool crc32_has_vpclmul(void);

/** The fastest that this CPU can run. */
crc32_fn *crc32_best(void);

/** The CRC of a and b in a row, from the CRC of each and the length of b. O(log len_b). */
uint32_t crc32_join(uint32_t crc_a, uint32_t crc_b, uint64_t len_b);

/** The same by its usual name; inline, because zlib exports that name. */
static inline uint32_t crc32_combine(uint32_t crc_a, uint32_t crc_b, uint64_t len_b)
{
    return crc32_join(crc_a, crc_b, len_b);
}

#endif
