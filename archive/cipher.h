/**
 * cipher — CBC text read at any offset.
 *
 * A block of 16 bytes is deciphered with the 16 bytes of text before it (or the IV), so any aligned stretch can
 * be read by itself.
 *
 * Threads   One at a time for one object; contexts are cheap to make, costly enough to keep.
 */
#ifndef ARCHIVE_CIPHER_H
#define ARCHIVE_CIPHER_H

#include "archive/format.h"

/** What must be read of the stream to show [off, off+len) of it deciphered: [*from, *from + *need), from a
 *  multiple of 16, 16 bytes earlier than the first block where there is one before it. */
void archive_cipher_span(uint64_t off, uint64_t len, uint64_t *from, uint64_t *need);

struct archive_decipher;

/** For one cipher; NULL: no memory, or PLAIN. */
struct archive_decipher *archive_decipher_new(const struct archive_cipher *c);
void archive_decipher_free(struct archive_decipher *d);

/** In place: `len` bytes (a multiple of 16) of the stream from `from` on, deciphered. Where from is not 0 the
 *  first block only serves the second and comes out as garbage. False: OpenSSL refused. */
bool archive_decipher(struct archive_decipher *d, uint64_t from, uint8_t *text, size_t len);

#endif
