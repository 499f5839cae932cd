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
#include <stddef.h>
#include <stdint.h>

enum article_event {
    ARTICLE_MORE, /* all input was used; feed the next piece */
    ARTICLE_BEGIN, /* the yEnc header is known (article_info()); call article_dst() or article_skip() */
    ARTICLE_END, /* the terminating line has passed; what is left of the input is the next answer's */
};

enum article_verdict {
    ARTICLE_OK,       /* payload complete; length and CRC as told */
    ARTICLE_NO_YENC,  /* no =ybegin in it */
    ARTICLE_UUENCODE, /* no =ybegin, but "begin 644 name": an encoding we do not read */
    ARTICLE_DAMAGED, /* header without a size, part too short or too long, no =yend, sizes that disagree */
    ARTICLE_BAD_CRC,
    ARTICLE_SKIPPED, /* article_skip() was called */
};

const char *article_verdict_name(enum article_verdict v);

/** Keyword lines are kept up to this; a longer name is cut, what else is longer is damage. */
#define ARTICLE_LINE      1024
#define ARTICLE_NAME      512

/** Longer parts are damage: no server takes articles of this size. */
#define ARTICLE_PART_MOST (UINT32_C(64) << 20)

enum article_phase {
    ARTICLE_BEFORE,  /* headers, text: line by line until =ybegin */
    ARTICLE_PART,    /* =ybegin said part=, so =ypart is next */
    ARTICLE_DATA,    /* the decoder's */
    ARTICLE_KEYWORD, /* a keyword line among the data */
    ARTICLE_AFTER,   /* nothing more is wanted but the end */
    ARTICLE_ENDED,
};

/** One line, gathered from pieces. */
struct article_line {
    size_t len; /* bytes so far, CR and stuffed dot included; may exceed ARTICLE_LINE */
    bool cr;    /* the last was CR */
    char text[ARTICLE_LINE + 1]; /* the first of them */
};

/** A CRC that =yend told. */
struct article_told {
    bool is;
    uint32_t crc;
};

/** All state of one answer: some two kilobytes, embedded in the connection. The fields are the
 *  implementation's; use the functions. */
struct article {
    const struct yenc_kernel *kernel;
    enum article_phase phase;
    enum yenc_state state; /* in DATA: the decoder's; in AFTER: where in a line */
    bool announced;        /* a =ybegin has come */
    bool dst_set;          /* payload has somewhere to go */
    bool uuencode, damaged, skipped;
    bool finished; /* a sound =yend has come */
    uint64_t wire; /* bytes taken */
    struct segment_info info;
    const struct iovec *dst; /* the piece being filled, those behind it, and how full it is */
    unsigned ndst;
    size_t filled;
    size_t payload; /* over all pieces */
    uint32_t crc;
    struct article_told part_crc, file_crc;
    char name[ARTICLE_NAME];
    struct article_line line;
};

/** `ARTICLE` answers begin with headers and an empty line, `BODY` answers do not, and some servers swap
 *  them. It makes no difference here: no header line can be mistaken for a keyword line ("=ybegin " is no
 *  field name), so whatever stands before =ybegin is passed over line by line. */
void article_start(struct article *a);

/** Feed `len` bytes; *used says how many were taken (all of them unless BEGIN or END). */
enum article_event article_feed(struct article *a, const uint8_t *in, size_t len, size_t *used);

/** After BEGIN. `name` inside it lives until the next article_start(). */
const struct segment_info *article_info(const struct article *a);

/** After BEGIN: where payload goes, in order; lent until END. Room beyond info->len is not touched, and
 *  room below the payload written so far is not touched again. Less room than payload is damage. */
void article_dst(struct article *a, const struct iovec *dst, unsigned ndst);

/** The payload is not wanted, or no longer: `dst` is the caller's again, and only the end is looked for.
 *  May be called at any time; before BEGIN, that is not said any more. */
void article_skip(struct article *a);

/** Has BEGIN been said and answered by article_dst()? */
bool article_is_begun(const struct article *a);

/** Will no (more) payload come of it: skipped, or damaged before BEGIN? */
bool article_is_refused(const struct article *a);

/** After END. The CRC of the part decides; where only that of the file was told, and the part is the
 *  whole file, that one does. Without any, the length alone. */
enum article_verdict article_verdict(const struct article *a);

/** Payload bytes written so far, and after END the CRC-32 of the part as computed. */
size_t article_payload(const struct article *a);
uint32_t article_crc(const struct article *a);

/** After END: the CRC-32 of the whole file, where =yend told one. */
bool article_file_crc(const struct article *a, uint32_t *crc);

/** Bytes of the answer taken so far, END's line included; 0: none has come. */
uint64_t article_wire(const struct article *a);

#endif
