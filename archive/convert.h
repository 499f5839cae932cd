/**
 * convert — times and names as archives have them, into what the rest of nzbfs takes.
 *
 * Pure.
 */
#ifndef ARCHIVE_CONVERT_H
#define ARCHIVE_CONVERT_H

#include "base/arena.h"

#include <stdbool.h>
#include <stdint.h>

/** Windows' time, 100 ns since 1601, as Unix time. */
void archive_filetime(uint64_t filetime, int64_t *s, uint32_t *ns);

/** DOS date (high half) and time (low half), taken for UTC; INT64_MIN where it is no date. */
int64_t archive_dostime(uint32_t dos);

/** `units` 16-bit units, little-endian, up to a NUL among them, as UTF-8 in the arena; a stray surrogate becomes U+FFFD.
 *  NULL: no memory. */
char *archive_utf16(struct arena *a, const uint8_t *s, size_t units);

/** The `len` bytes at `s`, which are well-formed UTF-8? */
bool archive_is_utf8(const uint8_t *s, size_t len);

/** A name in the code page that DOS had (437), as UTF-8 in the arena. NULL: no memory. */
char *archive_cp437(struct arena *a, const uint8_t *s, size_t len);

#endif
