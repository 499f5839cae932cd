/**
 * par2 — the names and checksums in a PAR2 file.
 *
 * Source    Parity Volume Set Specification 2.0: packet header, FileDesc packet. Only packets whose MD5 is
 *           right count.
 */
#ifndef ARCHIVE_PAR2_H
#define ARCHIVE_PAR2_H

#include "archive/bytes.h"
#include "base/arena.h"

#include <stdbool.h>

#define PAR2_FILES 32768u /* the specification's most */

struct par2_file {
    const char *name; /* as told, not safe; UTF-8 */
    uint64_t size;
    uint8_t md5[16];
    uint8_t md5_16k[16]; /* of its first 16 KiB, or of all where it is shorter */
};

struct par2 {
    struct par2_file *files; /* distinct ones */
    uint32_t nfiles;
};

/** Does it begin with a PAR2 packet? */
bool par2_is(const uint8_t *head, size_t len);

/** The FileDesc packets of `b`, added to `out` unless they are there. Reads packets' headers and skips the
 *  bodies of recovery slices; reads at most `most` bytes of it. 0, -EINTR, -ETIMEDOUT, -ENOMEM;
 *  what cannot be read or is damaged is passed over. */
int par2_read(struct archive_bytes *b, uint64_t most, struct arena *a, struct par2 *out);

/** The file whose first 16 KiB (all of it, where `size` is less) have this MD5 and whose size is `size`, or NULL.
 *  Two that are alike in both but not in name: NULL. */
const struct par2_file *par2_match(const struct par2 *p, const uint8_t md5_16k[16], uint64_t size);

#endif
