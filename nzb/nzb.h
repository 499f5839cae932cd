/**
 * nzb — an NZB file, parsed into one arena.
 *
 * Shape     Loaded once, then read-only. Files in the order of the NZB; segments in order of number.
 * Memory    One arena, proportional to the input: about 16 bytes and the message-id for a segment.
 * Threads   Any number of readers.
 * Safety    No network, no external entities, entity expansion bounded. Names that reach a caller are
 *           one path component: no '/', no NUL or control character, not "." or "..", valid UTF-8, at
 *           most 255 bytes, unique among the files of the NZB.
 * Errors    -EINVAL with "FILE:LINE: reason"; -ENOMEM; what open(2) and read(2) say.
 * Source    The NZB format as newsreaders write it (DTD nzb-1.1), and what they write in its place.
 */
#ifndef NZB_NZB_H
#define NZB_NZB_H

#include "base/arena.h"

#include <stddef.h>
#include <stdint.h>

/** What fits into a command line of 512 bytes (RFC 3977 §3.1) whatever the command; a segment with a
 *  longer one is left out, and so is one whose id holds a control character, '<' or '>'. */
#define NZB_MESSAGE_ID_MAX 497
#define NZB_GROUP_MAX      497

struct nzb_segment {
    const char *message_id; /* without < >; 1 to NZB_MESSAGE_ID_MAX bytes; may hold blanks */
    uint32_t number;        /* from 1; ascending, with gaps where the NZB has them */
    uint32_t bytes;         /* as the NZB says: of the encoded article, often wrong; 0: not told */
};

/* A file without a usable segment is left out, and counted as a warning. */
struct nzb_file {
    const char *name;    /* a safe, unique path component */
    const char *subject; /* as posted, UTF-8 */
    const char *poster;  /* "" where the NZB has none */
    const char *const *groups;
    const struct nzb_segment *segments;
    uint64_t posted_s; /* Unix time; 0: not told */
    uint64_t bytes;    /* sum of the segments' */
    uint32_t nsegments;
    uint32_t ngroups;
    uint32_t
        parts; /* how many segments there should be, by the subject's (1/50) or the highest number */
};

struct nzb_meta {
    const char *type,
        *value; /* type in lower case: "title", "password", "tag", "category", "name", … */
};

struct nzb {
    const struct nzb_file *files;
    const struct nzb_meta *metas; /* in order; a type may come more than once */
    size_t nfiles, nmetas;
    uint64_t nsegments;
    unsigned warnings; /* oddities that were mended: duplicates, gaps, bad numbers */
    struct arena arena;
};

/** Parse the file at `path`, plain or gzip (told by its first bytes). */
int nzb_load(const char *path, struct nzb **out, char *err, size_t errlen);

/** Parse memory; `name` stands for the file in messages. */
int nzb_parse(const void *data, size_t len, const char *name, struct nzb **out, char *err,
              size_t errlen);

void nzb_free(struct nzb *z);

/** The first value of a meta type, or NULL. */
const char *nzb_meta(const struct nzb *z, const char *type);

#endif
