/** yenc_kernels — the bodies behind yenc.h, for each other, for the choice and for nobody else. */
#ifndef NNTP_YENC_KERNELS_H
#define NNTP_YENC_KERNELS_H

#include "nntp/yenc.h"

yenc_decode_fn yenc_decode_reference, yenc_decode_ssse3, yenc_decode_avx2, yenc_decode_vbmi2,
    yenc_decode_neon;

/** For each set of bytes to drop from eight (bit n: byte n), the indices of those that stay, in order.
 *  Filled in before any kernel that uses it can be had. */
extern uint8_t yenc_compact[256][8];

#endif
