/**
 * inflate — a stream that may be gzip: told by its first two bytes, else passed on as it is.
 *
 * Shape     A filter: inflate_feed() as bytes come, `emit` gets what they hold.
 * Bounds    More than 64 MiB come out only where the ratio stays within what an NZB can reach:
 *           message-ids are random and do not shrink to nothing.
 * Errors    -EINVAL with inflate_error() set, or what `emit` returned.
 */
#ifndef NZB_INFLATE_H
#define NZB_INFLATE_H

#include <stddef.h>

struct inflate;

struct inflate *inflate_new(int (*emit)(void *arg, const void *bytes, size_t len), void *arg);
int inflate_feed(struct inflate *z, const void *bytes, size_t len);

/** The input ended. -EINVAL: too early. */
int inflate_finish(struct inflate *z);

/** Why it failed; NULL: it did not. */
const char *inflate_error(const struct inflate *z);
void inflate_free(struct inflate *z);

#endif
