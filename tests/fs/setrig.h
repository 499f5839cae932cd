/**
 * setrig — posted archives over a scripted source: what the tests of views stand on.
 *
 * Shape     Give a set that a maker made (tests/lib/made.h), get an fs that shows what is in it. Each volume is a
 *           posted file, in articles of `part_size` bytes. Fetches are served by threads of the rig's own as soon
 *           as they come, as the rules for them say.
 * Threads   Rules may be changed by any.
 */
#ifndef TESTS_FS_SETRIG_H
#define TESTS_FS_SETRIG_H

#include "fs/fs.h"
#include "tests/lib/made.h"

struct setrig;

struct setrig_config {
    const struct made *made;   /* lent */
    uint32_t part_size;        /* 0: 20,000 */
    const char *password;      /* in the NZB's head; NULL: none */
    const char *dir;           /* for fs_add_nzb */
    size_t budget;             /* of the cache; 0: 16 MiB */
    unsigned threads;          /* that serve; 0: 2 */
    struct config_mount mount; /* read_timeout_s 0: 60; its view: CONTENTS, unless it is BOTH */
    uint64_t (*now_us)(void);
};

struct setrig *setrig_new(const struct setrig_config *cfg);
/** The fs first, then the source. What is held is served once the fs has let go of its reads. */
void setrig_free(struct setrig *r);

struct fs *setrig_fs(struct setrig *r);
struct cache *setrig_cache(struct setrig *r);

/** Articles that were asked for so far; `volume` UINT32_MAX: of all. */
uint64_t setrig_asked(struct setrig *r, uint32_t volume);

/** Was article `part` of `volume`? */
bool setrig_was_asked(struct setrig *r, uint32_t volume, uint32_t part);

enum setrig_rule {
    SETRIG_HONEST,
    SETRIG_MISSING,
    SETRIG_FAILED,
    SETRIG_HOLD, /* not before setrig_release() */
    SETRIG_LIE, /* brings other bytes, and then turns out corrupt; only once, and then it is honest */
};

/** What happens to article `part` (from 1; 0: all) of `volume` (UINT32_MAX: all). Later rules win. */
void setrig_rule(struct setrig *r, uint32_t volume, uint32_t part, enum setrig_rule rule);

/** Forget all rules but what is held. */
void setrig_honest(struct setrig *r);

/** Serve what is held, and hold no more. */
void setrig_release(struct setrig *r);

/** Wait until nothing is being fetched. */
void setrig_settle(struct setrig *r);

/** Wait until `n` fetches are held. */
void setrig_wait_held(struct setrig *r, unsigned n);

/** The file at `path` in what was posted, waiting for it. NULL: there is none, or *err. */
struct fs_node *setrig_node(struct setrig *r, const char *path, int *err);

/** Are bytes [off, off+len) of `file` in `p`? */
bool setrig_match(const struct made *m, uint32_t file, uint64_t off, const void *p, size_t len);

#endif
