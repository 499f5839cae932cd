/**
 * rig — a tree of made-up posted files over a scripted source: what the tests of fs stand on.
 *
 * Shape     Describe files, get an fs. Bytes of a file follow from its seed (tests/lib/scripted_article.h).
 *           Fetches wait for the test (rig_serve_one, rig_serve_all), or are served by a thread of the
 *           rig's own as soon as they come (`served`), in both cases as the articles' rules say.
 * Threads   Rules may be changed by any.
 */
#ifndef TESTS_FS_RIG_H
#define TESTS_FS_RIG_H

#include "fs/fs.h"
#include "tests/lib/scripted_source.h"

struct rig;

struct rig_file {
    const char *name;
    uint64_t seed;
    uint64_t size;
    uint32_t part_size;         /* of each part but the last */
    const uint32_t *part_sizes; /* uneven parts: nparts of them, in place of part_size */
    uint32_t nparts;
    uint32_t gap; /* a part that the NZB does not list, from 1; 0: none */
};

struct rig_config {
    const struct rig_file *files;
    unsigned nfiles;
    const char *dir; /* for fs_add_nzb */
    size_t budget;   /* of the cache; 0: 16 MiB */
    bool served;
    struct config_mount mount; /* read_timeout_s 0: 60 */
    uint64_t (*now_us)(void);
};

struct rig *rig_new(const struct rig_config *cfg);
/** Holds are released; nothing may be mounted. */
void rig_free(struct rig *r);

struct fs *rig_fs(struct rig *r);
struct fs_node *rig_node(struct rig *r, const char *path);
struct cache *rig_cache(struct rig *r);
struct scripted_source *rig_source(struct rig *r);

/** How many articles were asked for so far. */
uint64_t rig_asked(struct rig *r);

enum rig_rule {
    RIG_HONEST,
    RIG_MISSING,
    RIG_CORRUPT,
    RIG_FAILED,
    RIG_TIMEOUT,
    RIG_HOLD,     /* not served until rig_release() */
    RIG_LIE_ONCE, /* one attempt says it is the next part, an honest one follows if that is refused */
    RIG_LIE,      /* says it is the next part; corrupt where that is refused */
    RIG_LIE_SIZE, /* the same, and that the file is 12,345 bytes longer */
};

/** What happens to part `part` (from 1; 0: all) of the file with that seed. Later rules win. */
void rig_rule(struct rig *r, uint64_t seed, uint32_t part, enum rig_rule rule);

/** Serve what is held, and hold no more. */
void rig_release(struct rig *r);

/** Wait until `n` fetches are held. */
void rig_wait_held(struct rig *r, unsigned n);

/** Without `served`: the oldest fetch that is out, if any; then all, until there is none. */
bool rig_serve_one(struct rig *r);
unsigned rig_serve_all(struct rig *r);

/** The NZB of these files; malloc'd. */
char *rig_nzb(const struct rig_file *files, unsigned nfiles, size_t *len);

#endif
