/**
 * spool, inside: what the files of the spool share.
 *
 * Locks     spool.lock, a leaf, guards the table alone. Articles are encoded with no lock held: two
 *           servers that want one at once both encode it, and the slower throws its copy away.
 */
#ifndef TESTS_LIB_SPOOL_INTERNAL_H
#define TESTS_LIB_SPOOL_INTERNAL_H

#include "tests/lib/spool.h"

#include <pthread.h>
#include <stdatomic.h>

#define SPOOL_GROUP     "alt.binaries.test"
#define SPOOL_POSTER    "Poster <poster@example.invalid>"
#define SPOOL_PART_SIZE 750000
/* Fixed, so that two runs give the same articles: 2023-11-14. */
#define SPOOL_POSTED_S  1700000000

struct spool_item {
    const char *message_id;
    const struct spool_made *made; /* NULL: posted by a client */
    uint32_t part;                 /* from 1 */
    _Atomic(struct spool_article *) ready;
};

/** A file, cut into parts. Fixed once it is added. */
struct spool_made {
    char *name, *subject; /* subject: NULL unless given */
    const uint8_t *data;  /* NULL: generated from the seed */
    void *map;            /* what to unmap */
    uint64_t seed, size, posted_s;
    uint64_t *begins; /* of uneven parts: nparts + 1 offsets; else NULL */
    uint32_t part_size, nparts;
    unsigned line;
    bool single, no_total, no_crc, nserv_quirks;
    struct spool_item *items;
    char *ids;
};

struct spool {
    /* fixed while servers run */
    struct spool_made **files;
    int nfiles;
    /* under lock */
    pthread_mutex_t lock;
    struct spool_item **table; /* open addressing; nslots is a power of two */
    size_t nslots, nitems;
    struct spool_item **posted;
    size_t nposted;
};

/** Where part `n` begins, and how long it is. */
uint64_t spool_part_begin(const struct spool_made *f, uint32_t n);
uint32_t spool_part_len(const struct spool_made *f, uint32_t n);

/** The subject of part `n`. malloc'd. */
char *spool_subject(const struct spool_made *f, uint32_t n);

/** The article of part `n`. malloc'd, for spool_article_free(); NULL: no memory. */
struct spool_article *spool_article_make(const struct spool_made *f, uint32_t n,
                                         const char *message_id);
void spool_article_free(struct spool_article *a);

/** Put an item in the table; lock held. -EEXIST, -ENOMEM. */
int spool_table_add(struct spool *s, struct spool_item *it);

#endif
