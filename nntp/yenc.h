/**
 * yenc — the decoder's inner loop: yEnc data lines, still dot-stuffed, to bytes.
 *
 * One pass takes "=X" escapes, CR LF and the stuffed dot at the start of a line away and stops where
 * a line begins that is not data: "=y" (a keyword line) or "." alone (the end of the block). The
 * reference in yenc.c says what that means; yenc_ssse3.c, yenc_avx2.c, yenc_vbmi2.c and yenc_neon.c
 * give the same bytes faster and are chosen once, at run time.
 *
 * Lines     A line starts where the data starts and after CR LF, nowhere else: so no byte that a poster
 *           can place ends the block early. CR and LF are never data, not even behind "="; neither
 *           occurs alone in a valid article, and where one does it is dropped.
 * Shape     Pure. Any split of the input gives the same output: what is pending is in the state.
 * Threads   Any; yenc_kernels() and the choice are made once.
 * Source    yEnc 1.3; RFC 3977 §3.1.1.
 */
#ifndef NNTP_YENC_H
#define NNTP_YENC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** What has been seen just before the next byte. */
enum yenc_state {
    YENC_LINE_START, /* the start of the data counts as one */
    YENC_IN_LINE,
    YENC_CR,        /* "\r" */
    YENC_ESCAPE,    /* "=", not at the start of a line */
    YENC_START_DOT, /* "." at the start of a line */
    YENC_START_DOT_CR,
    YENC_START_ESCAPE,     /* "=" at the start of a line */
    YENC_START_DOT_ESCAPE, /* ".=" at the start of a line: stuffed, so a data escape or a keyword */
};

enum yenc_stop {
    YENC_INPUT,   /* all input was used */
    YENC_ROOM,    /* dst is full and another data byte came; it was not used */
    YENC_KEYWORD, /* "=y" (or ".=y") at the start of a line was used up; the keyword follows */
    YENC_END,     /* ".\r\n" (or ".\n") at the start of a line was used up: the block is over */
};

struct yenc_result {
    enum yenc_stop stop;
    size_t used;    /* bytes of src taken */
    size_t written; /* bytes of dst set */
};

/** Decode src[0..len) into dst[0..cap). `src` and `dst` do not overlap. A kernel may read nothing outside
 *  src and write nothing outside dst[0..cap); what it leaves in dst[written..cap) is of no meaning.
 *  After KEYWORD and END, `*state` is YENC_LINE_START. */
typedef struct yenc_result yenc_decode_fn(enum yenc_state *state, const uint8_t *src, size_t len,
                                          uint8_t *dst, size_t cap);

struct yenc_kernel {
    const char *name; /* "reference", "ssse3", "avx2", "vbmi2", "neon" */
    yenc_decode_fn *decode;
    uint32_t (*crc)(uint32_t crc, const void *p,
                    size_t len); /* the CRC-32 that goes best with it */
    bool usable;                 /* this CPU has what it needs */
};

/** All kernels of this build, the best usable one last; `*n` is their number. */
const struct yenc_kernel *yenc_kernels(size_t *n);

/** The best usable one; $NZBFS_YENC names another (for tests and measurements). */
const struct yenc_kernel *yenc_kernel(void);

#endif
