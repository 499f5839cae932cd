/**
 * zip — what a ZIP's central directory says, before it is known where a file's bytes begin.
 *
 * Source    APPNOTE 6.3: §4.3.16 (end of central directory), §4.3.14, §4.3.15 (ZIP64), §4.3.12 (central
 *           directory), §4.3.7 (local header), §4.5.3, §4.6.9 and the extended timestamp (extra fields).
 * Shape     zip_end.c finds the directory, zip_directory.c parses it, zip.c finds the files' bytes and is the reader.
 */
#ifndef ARCHIVE_ZIP_H
#define ARCHIVE_ZIP_H

#include "archive/format.h"

#define ZIP_LOCAL_SIZE      30u /* of a local header's fixed part */
#define ZIP_LOCAL_MARK      0x04034b50u

#define ZIP_FLAG_CRYPT      (1u << 0)
#define ZIP_FLAG_DESCRIPTOR (1u << 3) /* sizes stand behind the data, as well */

/** Where the directory is, by the end of the archive. */
struct zip_end {
    uint64_t at; /* where this stood: the directory ends here, or at the ZIP64 record before it */
    uint64_t off, len; /* of the directory */
    uint64_t entries;
};

/** Find it. `j` is read from its end. 0 with *why, or what reading says; -ESTALE: the directory is not where it
 *  ought to be, which may be because a size was reckoned wrongly. */
int zip_end_find(struct archive_joined *j, struct zip_end *end, enum archive_why *why);

/** A file of the directory. */
struct zip_entry {
    struct archive_member *m; /* what is known of it so far: path, size, mtime, sum, dir; why */
    uint64_t local;           /* where its local header is */
    uint32_t name_len, extra_len;
    uint16_t flags, method;
    uint64_t data; /* zip.c: where its bytes begin; 0: not known */
};

/** Parse the directory. Members (left out ones are not among them) in `a`, entries for each of them in `tmp`.
 *  0 with *why, or -ENOMEM. */
int zip_directory_parse(const uint8_t *data, size_t len, uint64_t count, struct arena *a,
                        struct arena *tmp, struct archive_member **members,
                        struct zip_entry **entries, uint32_t *n, enum archive_why *why);

#endif
