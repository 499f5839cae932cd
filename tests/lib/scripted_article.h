/**
 * scripted_article — made-up articles: a message-id that says all there is to know of one.
 *
 * Shape     Pure. The payload of a file follows from its seed, byte for byte.
 */
#ifndef TESTS_LIB_SCRIPTED_ARTICLE_H
#define TESTS_LIB_SCRIPTED_ARTICLE_H

#include "base/source.h"

#include <stdbool.h>

#define SCRIPTED_ID 96

struct scripted_article {
    uint64_t seed; /* of the file */
    uint64_t file_size, begin;
    uint32_t len, part;
};

/** Its message-id, in out[SCRIPTED_ID]. */
void scripted_article_id(const struct scripted_article *a, char *out);

/** False: not such an id. */
bool scripted_article_parse(const char *message_id, struct scripted_article *a);

struct segment_info scripted_article_info(const struct scripted_article *a);

/** The bytes [off, off+len) of the file made from `seed`; or whether `p` has them. */
void scripted_bytes(uint64_t seed, uint64_t off, void *p, size_t len);
bool scripted_bytes_match(uint64_t seed, uint64_t off, const void *p, size_t len);

#endif
