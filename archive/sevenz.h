/**
 * sevenz — what a 7z header says, before it is known what of it can be shown.
 *
 * Source    7zFormat.txt of the LZMA SDK: "Header", "Streams Info", "Files Info"; the properties of the AES coder as its
 *           programs write them.
 * Shape     sevenz_header.c parses memory, sevenz_unpack.c unpacks a packed header, sevenz.c is the reader.
 * Memory    An arena of the reader's, which lasts as long as its call.
 */
#ifndef ARCHIVE_SEVENZ_H
#define ARCHIVE_SEVENZ_H

#include "archive/format.h"

#define SEVENZ_START  32u /* bytes of the start header, at the beginning of the archive */
#define SEVENZ_CODERS 4u  /* of a folder that we look into */

enum sevenz_method {
    SEVENZ_OTHER, /* compression, filters */
    SEVENZ_COPY,
    SEVENZ_LZMA,
    SEVENZ_LZMA2,
    SEVENZ_AES,
};

struct sevenz_coder {
    const uint8_t *props; /* lent by the header */
    size_t nprops;
    uint64_t size; /* of what comes out of it */
    enum sevenz_method method;
};

/** What is packed together: packed streams, through coders, one run of bytes of `size`. */
struct sevenz_folder {
    struct sevenz_coder
        *coders; /* in the order in which to undo them; none: not one after the other */
    uint32_t ncoders;
    uint32_t nout, main;   /* sizes that are told, and which of them is the folder's */
    uint32_t pack, npacks; /* its packed streams */
    uint32_t first_sub, nsubs;
    uint64_t size;
    uint32_t crc;
    bool has_crc;
    uint8_t order[SEVENZ_CODERS]; /* number of each coder in the header */
};

/** A file's part of a folder. */
struct sevenz_sub {
    uint64_t size;
    uint32_t crc;
    bool has_crc;
};

struct sevenz_streams {
    uint64_t *pack_off, *pack_len; /* in the archive */
    uint32_t npacks;
    struct sevenz_folder *folders;
    uint32_t nfolders;
    struct sevenz_sub *subs;
    uint32_t nsubs;
};

struct sevenz_file {
    const uint8_t *name; /* UTF-16, lent by the header */
    size_t units;
    uint64_t mtime; /* Windows' */
    uint32_t attributes;
    bool has_mtime, has_stream, is_empty_file, is_anti;
};

struct sevenz_header {
    bool packed; /* it only says where the header is: one folder, no files */
    struct sevenz_streams streams;
    struct sevenz_file *files;
    uint32_t nfiles;
};

/** Parse `len` bytes into `h`; pointers into `data`. 0 with *why, or -ENOMEM. */
int sevenz_header_parse(const uint8_t *data, size_t len, struct arena *a, struct sevenz_header *h,
                        enum archive_why *why);

struct sevenz_aes {
    unsigned log2_rounds;
    const uint8_t *salt; /* lent by the header */
    size_t salt_len;
    uint8_t iv[16];
};

/** The properties of an AES coder. False: we do not know them. */
bool sevenz_aes_parse(const struct sevenz_coder *c, struct sevenz_aes *aes);

/** Why no key was derived for it: it asks for more than we do for anybody, or others had all that we do in all. */
enum archive_why sevenz_aes_refused(const struct sevenz_aes *aes);

/** The header that is packed in the first folder of `st`, in `a`; *proven: a password opened it. 0 with *why, or what
 *  reading says. */
int sevenz_unpack(struct archive_joined *j, const struct sevenz_streams *st, struct arena *a,
                  uint8_t **data, size_t *len, bool *proven, enum archive_why *why);

#endif
