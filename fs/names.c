/* names — the FUSE requests about names: looking one up, and listing a directory.
 *
 * None of them costs an article. A size that is not known goes out as attributes that are stale on arrival
 * (LOOKUP), or the name goes out alone (READDIRPLUS): fs/ops.c says what the kernel makes of that. */
#define LOG_TAG "fs.names"
#include "fs/mount.h"

#include <errno.h>
#include <stdlib.h>

/* Names that are not there are asked for again and again by media servers, but may come. */
#define ABSENT_S 10.0

static void entry_fill(struct fs *fs, const struct fs_node *n, struct fuse_entry_param *e)
{
    *e = (struct fuse_entry_param){
        .ino = n->ino, .generation = 1, .entry_timeout = FS_MOUNT_FOREVER_S};
    e->attr_timeout = fs_node_stat(fs, n, &e->attr) ? FS_MOUNT_FOREVER_S : 0;
}

void fs_mount_entry(fuse_req_t req, struct fs_node *dir, const char *name)
{
    struct fs *fs = fs_mount_of(req)->fs;
    struct fs_node *n = fs_lookup(fs, dir, name);
    struct fuse_entry_param e = {.entry_timeout = ABSENT_S};
    if (n)
        entry_fill(fs, n, &e);
    fuse_reply_entry(req, &e);
}

void fs_mount_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct fs_node *dir = fs_mount_node(req, parent);
    if (!dir)
        fuse_reply_err(req, ENOENT);
    else if (fs_dir_is_known(dir))
        fs_mount_entry(req, dir, name);
    else
        fs_mount_lookup_later(req, dir, name);
}

/* Nodes live as long as the mount, so nothing is counted. */
void fs_mount_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup)
{
    (void)ino;
    (void)nlookup;
    fuse_reply_none(req);
}

void fs_mount_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
    (void)count;
    (void)forgets;
    fuse_reply_none(req);
}

void fs_mount_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct fs_node *n = fs_mount_node(req, ino);
    if (!n || !fs_node_is_dir(n)) {
        fuse_reply_err(req, n ? ENOTDIR : ENOENT);
        return;
    }
    fi->cache_readdir = 1;
    fi->keep_cache = 1;
    if (!fs_dir_is_known(n)) {
        fs_mount_opendir_later(req, n, fi);
        return;
    }
    fuse_reply_open(req, fi);
}

/* What is read of a directory, into one buffer. */
struct listing {
    fuse_req_t req;
    struct fs *fs;
    bool plus;
    char *buf;
    size_t cap, len;
};

/* `next` is where the listing goes on behind this entry. False: no room. */
static bool listing_add(struct listing *l, const char *name, const struct fs_node *n, uint64_t next)
{
    struct fuse_entry_param e;
    entry_fill(l->fs, n, &e);
    size_t need;
    if (l->plus) {
        /* "." and ".." are no look-ups; and of what is not known the kernel is told the name only. */
        if (n->name != name || e.attr_timeout <= 0)
            e.ino = 0;
        need =
            fuse_add_direntry_plus(l->req, l->buf + l->len, l->cap - l->len, name, &e, (off_t)next);
    } else {
        need =
            fuse_add_direntry(l->req, l->buf + l->len, l->cap - l->len, name, &e.attr, (off_t)next);
    }
    if (need > l->cap - l->len)
        return false;
    l->len += need;
    return true;
}

static void list_dir(struct listing *l, const struct fs_node *dir, uint64_t off)
{
    if (off == 0 && !listing_add(l, ".", dir, 1))
        return;
    if (off <= 1 && !listing_add(l, "..", dir->parent, 2))
        return;
    uint64_t pos = off < 2 ? 0 : off - 2;
    for (struct fs_node *n; (n = fs_next(l->fs, dir, &pos));)
        if (!listing_add(l, n->name, n, pos + 2))
            return;
}

static void readdir_any(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, bool plus)
{
    struct fs_node *dir = fs_mount_node(req, ino);
    struct listing l = {.req = req, .fs = fs_mount_of(req)->fs, .plus = plus, .cap = size};
    if (!dir || off < 0) {
        fuse_reply_err(req, dir ? EINVAL : ENOENT);
        return;
    }
    l.buf = malloc(size);
    if (!l.buf) {
        fuse_reply_err(req, ENOMEM);
        return;
    }
    list_dir(&l, dir, (uint64_t)off);
    fuse_reply_buf(req, l.buf, l.len);
    free(l.buf);
}

void fs_mount_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
                      struct fuse_file_info *fi)
{
    (void)fi;
    readdir_any(req, ino, size, off, false);
}

void fs_mount_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
                          struct fuse_file_info *fi)
{
    (void)fi;
    readdir_any(req, ino, size, off, true);
}
