/**
 * opened — an archive in memory, cut into volumes, read, and its members gathered from their pieces.
 *
 * Counted: which stretches of 700,000 bytes (articles) were read of each volume, and whose sizes were asked for.
 */
#ifndef TESTS_ARCHIVE_OPENED_H
#define TESTS_ARCHIVE_OPENED_H

#include "archive/format.h"
#include "archive/keys.h"

#define OPENED_VOLUMES 256
#define OPENED_ARTICLE 700000u

struct opened_volume {
    struct archive_bytes b;
    const uint8_t *data;
    uint64_t size;
    bool *seen; /* of each article */
    bool sized;
    int error;                     /* instead of any answer */
    uint64_t error_from, error_to; /* only of these, where not 0 */
};

struct opened {
    struct archive_set set;
    struct arena arena;
    struct archive_volume volumes[OPENED_VOLUMES];
    struct opened_volume bodies[OPENED_VOLUMES];
    const struct archive_format *format;
};

/** `data` (lent) as volumes of `cut` bytes (0: one), names having told their order. */
void opened_cut(struct opened *o, const struct archive_format *f, const void *data, size_t len,
                size_t cut);

/** One more volume. */
void opened_add(struct opened *o, const void *data, size_t len);

/** Leave out volume `v`. */
void opened_drop(struct opened *o, uint32_t v);

void opened_passwords(struct opened *o, const char *const *passwords, unsigned n);

/** Read it, hold what came to what format.h promises, and say what read() said. */
int opened_read(struct opened *o);

/** Articles that have come, by reads or for a size. */
unsigned opened_articles(const struct opened *o);

const struct archive_member *opened_member(const struct opened *o, const char *path);

/** What member `m` shows, malloced; through its pieces and its cipher. */
uint8_t *opened_bytes(const struct opened *o, const struct archive_member *m);

/** Does `path` show these bytes, and has their CRC-32, if one is told? */
void opened_expect(const struct opened *o, const char *path, const void *data, size_t len);
void opened_expect_why(const struct opened *o, const char *path, enum archive_why why);

void opened_fini(struct opened *o);

#endif
