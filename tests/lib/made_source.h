/**
 * made_source — a made volume as archive_bytes, which counts what is read of it and can be without some of it.
 *
 * Threads   As archive_bytes: one at a time for one source.
 */
#ifndef TESTS_LIB_MADE_SOURCE_H
#define TESTS_LIB_MADE_SOURCE_H

#include "archive/bytes.h"
#include "tests/lib/made.h"

struct made_source {
    struct archive_bytes b;
    const struct made *m; /* lent */
    uint32_t volume;
    uint32_t part_size;          /* of an article */
    uint64_t hole_off, hole_len; /* these bytes cannot be had: -EIO */
    int size_error;              /* size() says this, when not 0 */
    /* counted */
    uint64_t nreads, nwants, nbytes;
    uint32_t nparts;    /* different articles that were read */
    uint32_t nunwanted; /* of them, those that no want() had announced */
    uint8_t *seen;      /* one a part: 1 wanted, 2 read */
};

/** `part_size` 0: 700,000. made_source_fini() afterwards. */
void made_source_init(struct made_source *s, const struct made *m, uint32_t volume,
                      uint32_t part_size);
void made_source_fini(struct made_source *s);

/** One for each volume of `m`, in its order; malloc'd. */
struct made_source *made_sources_new(const struct made *m, uint32_t part_size);
void made_sources_free(struct made_source *s, uint32_t n);

#endif
