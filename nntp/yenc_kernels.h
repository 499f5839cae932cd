/** yenc_kernels — the bodies behind yenc.h, for each other, for the choice and for nobody else. */
#ifndef NNTP_YENC_KERNELS_H
#define NNTP_YENC_KERNELS_H

#include "nntp/yenc.h"

yenc_decode_fn yenc_decode_reference, yenc_decode_ssse3, yenc_decode_avx2, yenc_decode_vbmi2,
    yenc_decode_neon;

/** For each set of bytes to drop from sixteen (bit n: byte n), the indices of those that stay, in order.
 *  Whether the last stays makes no difference to the others, so fifteen bits choose: half a megabyte, of
 *  which honest data keeps some ten kilobytes in the cache. Filled in before any kernel can be had. */
#define YENC_COMPACT 32768
extern uint8_t yenc_compact[YENC_COMPACT][16];

#endif
