/**
 * compose — configuration, pool, cache and tree, put together; the one place that does so.
 *
 *     SOURCE ──▶ nzb ──▶ fs ──▶ cache ──▶ (source interface) ──▶ nntp ──▶ news servers
 *
 * Threads   compose_start() starts the pool's and the tree's: call it after any fork.
 */
#ifndef CLI_COMPOSE_H
#define CLI_COMPOSE_H

#include "base/config.h"
#include "cache/cache.h"
#include "fs/fs.h"
#include "nntp/nntp.h"

struct compose {
    struct config *cfg;
    struct nntp_pool *pool;
    struct cache *cache;
    struct fs *fs;
};

/** Build everything over `source`: an .nzb or .nzb.gz file, or a directory of them. `cfg` is taken, also
 *  on failure. `trace`: nntp_pool_start()'s. 0, or -errno with one line in err[errlen]; nothing is left
 *  then. */
int compose_start(struct compose *w, struct config *cfg, const char *source, const char *trace,
                  char *err, size_t errlen);

/** New providers, shares and rates while everything runs. `cfg` is taken, also on failure, which changes
 *  nothing. What the cache and the mount were started with stays. */
int compose_reconfigure(struct compose *w, struct config *cfg, char *err, size_t errlen);

/** Take it apart, in the opposite order. A started or a zeroed one; the fs is not mounted any more. */
void compose_stop(struct compose *w);

/** Start without a mount, for ls, cat and get: the configuration is `config`, or NULL, the user's. `posted`: the tree is
 *  what was posted, whatever the configuration's view.
 *  0, or CLI_FAILED with the line printed. */
int compose_for_command(struct compose *w, const char *config, const char *source, bool posted);

/** Only the names: a tree from which nothing can be fetched, and which needs no configuration for that.
 *  0, or CLI_FAILED with the line printed. */
int compose_names(struct compose *w, const char *source);

/** The node at `path`, as soon as it is known what is in the directories above. NULL: there is none, and a line says
 *  so. */
struct fs_node *cli_find(struct fs *fs, const char *path);

/** compose_start()'s way to a tree: parse what `source` names into `fs`. A directory's broken NZBs are
 *  skipped with a warning each, unless all are. */
int sources_load(struct fs *fs, const char *source, char *err, size_t errlen);

#endif
