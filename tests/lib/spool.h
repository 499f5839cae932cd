/**
 * spool — files as posted articles, and the NZB that names them.
 *
 * Shape     Add files (from memory, from a path, or generated from a seed), get message-ids and an NZB.
 *           Payload is encoded to yEnc when first asked for and kept, dot-stuffed and terminated, ready
 *           to be sent.
 * Threads   Adding: one thread, before servers start, except spool_post(). Looking up: any.
 */
#ifndef TESTS_LIB_SPOOL_H
#define TESTS_LIB_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct spool;

struct spool *spool_new(void);
void spool_free(struct spool *s);

struct spool_file {
    const char *name;           /* in the subject and in =ybegin; copied */
    const char *subject;        /* NULL: made from name and numbers in the usual form */
    const void *data;           /* lent until spool_free(), or NULL with path, or NULL with seed */
    const char *path;           /* mapped */
    uint64_t seed;              /* generated: spool_bytes() tells what is where */
    uint64_t size;              /* with data or seed */
    uint32_t part_size;         /* decoded bytes of each part but the last; 0: 750,000 */
    const uint32_t *part_sizes; /* uneven parts, one each, in place of part_size */
    uint32_t nparts;            /* with part_sizes */
    unsigned line;              /* yEnc line length; 0: 128 */
    bool single;                /* one article without =ypart */
    bool no_total, no_crc,
        nserv_quirks; /* =ybegin without total=; =yend without pcrc; part=0 there */
    uint64_t posted_s;
    char
        tag; /* a letter: what its message-ids begin with (newsd_tags()); 0: as posters make them */
};

/** Returns the file's number, from 0; -errno. -EINVAL: part sizes that do not add up to the size, a tag that
 *  is no letter. */
int spool_add(struct spool *s, const struct spool_file *f);

/** How many files there are; the first of that name, or -ENOENT. */
int spool_files(const struct spool *s);
int spool_file_named(const struct spool *s, const char *name);

uint32_t spool_parts(const struct spool *s, int file);
/** The message-id of part `n`, from 1, without < >; lives as long as the spool. */
const char *spool_message_id(const struct spool *s, int file, uint32_t n);

/** The byte at `off` of a generated file, and many. */
void spool_bytes(uint64_t seed, uint64_t off, void *out, size_t len);

/** A ready article: what follows the 220 or 222 line up to and with ".\r\n". `head` the part that BODY
 *  leaves out. Lives as long as the spool. NULL: no such article. */
struct spool_article {
    const uint8_t *bytes;
    size_t len, head;
    const char *message_id;
};
const struct spool_article *spool_find(struct spool *s, const char *message_id);

/** Whether there is such an article; encodes nothing. */
bool spool_has(struct spool *s, const char *message_id);

/** Encode every part now, so that a measurement does not pay for it. -ENOMEM. */
int spool_encode_all(struct spool *s);

/** Take an article as posted (headers, empty line, body; dot-stuffed as on the wire, with ".\r\n");
 *  copied. -EINVAL: not an article, or no usable Message-ID. -EEXIST: there is one of that id. */
int spool_post(struct spool *s, const void *wire, size_t len);

/** The NZB of all files, or of one (file >= 0). malloc'd. */
char *spool_nzb(struct spool *s, int file, size_t *len);

#endif
