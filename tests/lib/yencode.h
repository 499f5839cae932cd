/**
 * yencode — bytes to the lines of a yEnc payload, as they travel in NNTP.
 *
 * Shape     Pure. Written apart from the client's decoder, so that neither hides the other's mistakes.
 * Form      Every line ends in CRLF; a line that begins with a dot has it doubled, so that readers have
 *           dots to take away. NUL, LF, CR and = are escaped everywhere; TAB and space at both ends of
 *           a line, where old servers strip them.
 * Source    yEnc 1.3; RFC 3977 §3.1.1 (dot-stuffing).
 */
#ifndef TESTS_LIB_YENCODE_H
#define TESTS_LIB_YENCODE_H

#include <stddef.h>
#include <stdint.h>

/** The longest line that is taken; articles must keep below 1,000 bytes a line. */
#define YENCODE_LINE_MAX 990

/** Room that suffices for `len` bytes in lines of `line` characters. */
size_t yencode_bound(size_t len, unsigned line);

/** Writes the lines of `in` to `out`, which has room for yencode_bound(), and returns their length.
 *  1 <= `line` <= YENCODE_LINE_MAX. No bytes, no lines. */
size_t yencode_lines(const void *in, size_t len, unsigned line, uint8_t *out);

#endif
