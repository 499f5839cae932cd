/**
 * article — one multi-line answer on its way in: dot-unstuffing, headers, yEnc and CRC, in one pass.
 *
 * Shape     A pure state machine over bytes. The caller feeds what the socket gave, in pieces of any
 *           size, and learns when the header is known, when there is no more room and when the block
 *           has ended. It neither reads nor allocates.
 * Threads   The caller's.
 * Errors    A verdict at the end; damage never stops the reading, so the connection stays usable: the
 *           terminating "." line is always looked for.
 * Source    RFC 3977 §3.1.1 (multi-line blocks, dot-stuffing), §6.2.1 and §6.2.3 (ARTICLE, BODY);
 *           yEnc 1.3.
 */
#ifndef NNTP_ARTICLE_H
#define NNTP_ARTICLE_H

#include "base/source.h"
#include "nntp/yenc.h"

#include <stdbool.h>

enum article_event {
    ARTICLE_MORE,  /* all input was used; feed the next piece */
    ARTICLE_BEGIN, /* the yEnc header is known (article_info()); call article_dst() or article_skip() */
    ARTICLE_END,   /* the terminating line has passed; what is left of the input is the next answer's */
};

enum article_verdict {
    ARTICLE_OK,       /* payload complete; length and CRC as told */
    ARTICLE_NO_YENC,  /* no =ybegin in it */
    ARTICLE_UUENCODE, /* no =ybegin, but "begin 644 name": an encoding we do not read */
    ARTICLE_DAMAGED,  /* header without a size, part too short or too long, no =yend, sizes that disagree */
    ARTICLE_BAD_CRC,
    ARTICLE_SKIPPED, /* article_skip() was called */
};

const char *article_verdict_name(enum article_verdict v);

/** All state of one answer: about a kilobyte, embedded in the connection. The fields are the
 *  implementation's; use the functions. */
struct article;

/** `ARTICLE` answers begin with headers and an empty line, `BODY` answers do not, and some servers swap
 *  them: both are told apart by what they look like. */
void article_start(struct article *a);

/** Feed `len` bytes; *used says how many were taken (all of them unless BEGIN or END). */
enum article_event article_feed(struct article *a, const uint8_t *in, size_t len, size_t *used);

/** After BEGIN. `name` inside it lives until the next article_start(). */
const struct segment_info *article_info(const struct article *a);

/** After BEGIN: where payload goes, in order; lent until END. Room beyond info->len is not touched. */
void article_dst(struct article *a, const struct iovec *dst, unsigned ndst);

/** After BEGIN: the payload is not wanted; read on to the end. */
void article_skip(struct article *a);

/** After END. */
enum article_verdict article_verdict(const struct article *a);

/** Payload bytes written so far, and after END the CRC-32 of the part as computed. */
size_t article_payload(const struct article *a);
uint32_t article_crc(const struct article *a);

#endif
