/**
 * spot — where a byte of a file is fetched from.
 *
 * Of a posted file its map says so; of a file in what was posted the layout says which post it is in, and that one's
 * map the rest. Nothing here asks for an article but fs_spot_prepare().
 *
 * Locks     fs_file.lock and view.lock are taken, each by itself. fs_spot_prepare() takes the cache's: hold none.
 */
#ifndef FS_SPOT_H
#define FS_SPOT_H

#include "fs/internal.h"

/** A file, and the layout that is asked: held from init to fini. */
struct fs_where {
    struct fs_node *node;
    struct fs_layout *layout; /* NULL: a posted file, or one that is no more */
    uint32_t entry;
};

void fs_where_init(struct fs_where *w, struct fs_node *n);
void fs_where_fini(struct fs_where *w);

struct fs_spot {
    enum segmap_place
        place; /* HERE, HOLE and EOF; ASK and DOUBT: the reader's own fetches will tell */
    struct fs_file *file; /* whose segment … */
    uint32_t i;           /* … it is; HERE */
    uint64_t begin, end;  /* of the file's bytes */
    uint32_t post;        /* where `prepare`: of this one … */
    bool prepare;         /* … nothing is known, or not that it is as was reckoned */
};

struct fs_spot fs_spot_find(const struct fs_where *w, uint64_t pos);

/** Where what follows the volume that holds `pos` begins. False: it is in none. */
bool fs_spot_next(const struct fs_where *w, uint64_t pos, uint64_t *next);

/** Have it known before it is needed. */
void fs_spot_prepare(const struct fs_where *w, uint32_t post, uint64_t stream);

#endif
