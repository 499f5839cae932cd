/** utf8 — one code point at a time, and what a stray byte most likely meant. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

#define UTF8_MOST        4
#define UTF8_REPLACEMENT 0xfffdu

/** The length of the well-formed sequence at s[n], its code point in *cp; 0: there is none (overlong,
 *  surrogate, beyond U+10FFFF, cut off). RFC 3629 §4. */
size_t utf8_decode(const unsigned char *s, size_t n, uint32_t *cp);

/** The length of the sequence at s[0] that a terminal or a log can be trusted with: 0 where it is ill-formed, or a
 *  control character or direction mark. `s` ends in NUL and does not begin with it. */
size_t utf8_plain(const char *s);

/** Writes 1 to UTF8_MOST bytes and says how many. `cp` is a code point that is no surrogate. */
size_t utf8_encode(uint32_t cp, char *out);

/** How many of the first `most` bytes of s[len] stay when no code point may be cut. */
size_t utf8_cut(const char *s, size_t len, size_t most);

/** What the byte `b` (0x80 and up) means in Windows-1252, which is Latin-1 for all but 0x80…0x9f. */
uint32_t utf8_of_cp1252(unsigned char b);

#endif
