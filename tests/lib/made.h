/**
 * made — archives that tests made: volumes, byte for byte, and where in them every member's bytes are.
 *
 * Shape     Makers (rarmaker.h, zipmaker.h, par2maker.h) fill it in; tests, `nzbfs-setmaker` and the fake news
 *           server read it. Volumes are lists of spans, and what members hold is generated when it is read, so a
 *           set of many GB costs no memory (unless it is encrypted: its text is kept).
 * Apart     Written from the format notes, without a line of archive/: maker and reader share no mistake.
 * Errors    A maker asked for what cannot be, or without memory, says so and ends the process: it is test code.
 * Threads   Making: one. Reading: any.
 */
#ifndef TESTS_LIB_MADE_H
#define TESTS_LIB_MADE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** A file to be put into an archive. */
struct made_file {
    const char *name; /* '/' between components, UTF-8; copied */
    const void *data; /* lent until made_free(); NULL: made_generate() from `seed` */
    uint64_t len, seed;
    int64_t mtime_s;
    uint32_t mtime_ns; /* formats keep as much of it as they can */
    bool dir;
    bool
        compressed; /* its header says so; its bytes are the same, thus garbage to a decompressor */
    bool unknown_size; /* RAR: unpacked size not told */
    bool plain;        /* not encrypted, though the rest is */
    const char *link;  /* RAR 5: a symbolic link to there; no data */
};

/** A run of bytes of a volume: `bytes`, or, where that is NULL, of file `file` from `at` on. */
struct made_span {
    uint64_t off, len;
    uint8_t *bytes;
    uint64_t at;
    uint32_t file;
    bool lent; /* `bytes` are somebody else's */
};

struct made_volume {
    char *name;
    uint64_t size;
    struct made_span *spans;
    uint32_t nspans;
};

/** A part of a member's stream: its bytes as stored, which with a password is the CBC text. */
struct made_piece {
    uint32_t file, volume;
    uint64_t at, off, len; /* in the stream; in the volume */
};

struct made {
    struct made_file *files; /* as given */
    uint32_t nfiles;
    uint8_t **texts; /* of encrypted files; else NULL */
    struct made_volume *volumes;
    uint32_t nvolumes;
    struct made_piece *pieces; /* the truth: ascending by file, then by `at` */
    uint32_t npieces;
};

void made_free(struct made *m);

/** No archive: each file is a volume, called by the last component of its name. */
struct made *made_plain(const struct made_file *files, uint32_t n);

/** What a generated file holds. */
void made_generate(uint64_t seed, uint64_t off, void *out, size_t len);

/** What `f` holds at [off, off+len), which lies within it. */
void made_content(const struct made_file *f, uint64_t off, void *out, size_t len);

/** Up to `len` bytes at `off` of a volume; fewer only at its end. */
size_t made_read(const struct made *m, uint32_t volume, uint64_t off, void *out, size_t len);

/** The whole of a volume, malloc'd. */
uint8_t *made_volume_bytes(const struct made *m, uint32_t volume);

/** The index of the volume of that name; UINT32_MAX: none. */
uint32_t made_volume_named(const struct made *m, const char *name);

/** Names that say nothing, from a seed: 32 hexadecimal digits each, without extension. */
void made_obfuscate(struct made *m, uint64_t seed);

/** Volumes in another order, from a seed: their names stay theirs, and pieces are told by the new numbers. */
void made_shuffle(struct made *m, uint64_t seed);

/** The volumes one after the other, cut anew into volumes of `size` bytes called NAME.001, NAME.002 …: what splitting
 *  programs do, and 7z, whose volumes are cut anywhere. NAME: the first volume's. */
void made_cut(struct made *m, uint64_t size);

#endif
