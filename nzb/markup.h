/**
 * markup — the bytes of an NZB, whatever they are, as XML that a parser can take.
 *
 * Shape     A filter. Bytes go in as they are read, clean UTF-8 comes out through `emit`.
 * Encoding  UTF-16 by its byte order mark or its zeros. Everything else is told byte by byte: what is
 *           well-formed UTF-8 is UTF-8, any other byte is what the declared 8-bit encoding, or else
 *           Windows-1252, says. So a wrong declaration does no harm.
 * Mended    '&' that starts no reference, '<' that starts no tag, characters that XML forbids
 *           (U+FFFD in their place, also for a reference to one).
 * Left out  Byte order mark, XML declaration, processing instructions, comments and the DOCTYPE with
 *           all that it declares: no entity but the five of XML itself exists behind this filter. Their
 *           line ends stay, so that line numbers are right.
 * Memory    Constant.
 * Errors    -EINVAL with `reason` and `line` set, or what `emit` returned.
 */
#ifndef NZB_MARKUP_H
#define NZB_MARKUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MARKUP_HEAD 512
#define MARKUP_OUT  ((size_t)32 << 10)

struct markup {
    /* set by the owner, the rest zeroed */
    int (*emit)(void *arg, const char *utf8, size_t len);
    void *arg;

    const char *reason;
    unsigned long line;    /* that is being read, from 1 */
    unsigned long mended;  /* how often something had to be */
    unsigned long opened;  /* the line where the present tag or comment began */
    unsigned encoding;     /* enum in markup.c */
    unsigned state;        /* likewise */
    unsigned attributes;   /* of the present tag */
    size_t tag;            /* bytes of the present tag */
    unsigned depth, quote; /* of a DOCTYPE: '[' open; the quotation mark that is open */
    uint32_t high;         /* UTF-16: the first half of a pair */
    uint16_t table[128];   /* 8-bit: what 0x80 and up mean */
    unsigned nhead, nref, ncarry, nmatch;
    char ref[16];                    /* what may become a reference, from '&' on */
    char match[8];                   /* what may become "<!--", "<![CDATA[" … */
    unsigned char carry[4];          /* a character cut by the end of the input so far */
    unsigned char head[MARKUP_HEAD]; /* kept until the encoding is known */
    size_t nout;
    char out[MARKUP_OUT];
};

int markup_feed(struct markup *m, const void *bytes, size_t len);

/** The end: everything has been emitted, or the input was cut off. */
int markup_finish(struct markup *m);

#endif
