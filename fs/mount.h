/** mount — a FUSE session: what mount.c (its life), loop.c (its workers), ops.c and names.c (its answers)
 *  share. */
#ifndef FS_MOUNT_H
#define FS_MOUNT_H

#define FUSE_USE_VERSION 314

#include "fs/internal.h"

#include <fuse_lowlevel.h>

struct fs_mount {
    /* fixed after fs_mount() */
    struct fs *fs;
    struct fuse_session *se;
    char *point;
    unsigned threads;
    void (*on_ready)(void *arg);
    void *arg;

    /* any thread */
    atomic_bool greeted; /* INIT has been seen … */
    atomic_bool told;    /* … and on_ready has been told */
    unsigned
        connection;    /* the kernel's number of it, from before on_ready was told; 0: not known */
    atomic_int broken; /* what ended a worker that was not to end; -errno */

    /* under lock */
    pthread_mutex_t lock;
    pthread_cond_t none_parked;
    size_t parked;       /* requests that are answered by another thread than took them */
    struct list handles; /* open files */
};

/** An open file of the kernel's. */
struct fs_mount_handle {
    struct list link; /* under fs_mount.lock */
    struct fs_handle *handle;
    bool scans;  /* who opened it only looks around */
    bool direct; /* errors are exact to the byte; else to the page */
};

extern const struct fuse_lowlevel_ops fs_mount_ops;

/* Content never changes. */
#define FS_MOUNT_FOREVER_S (86400.0 * 30)

static inline struct fs_mount *fs_mount_of(fuse_req_t req)
{
    return fuse_req_userdata(req);
}

/** By the kernel's number for it, or NULL. */
static inline struct fs_node *fs_mount_node(fuse_req_t req, fuse_ino_t ino)
{
    return fs_tree_node(fs_mount_of(req)->fs, ino);
}

/* --- names.c: requests about names ------------------------------------------------------------- */

void fs_mount_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void fs_mount_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup);
void fs_mount_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets);
void fs_mount_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void fs_mount_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
                      struct fuse_file_info *fi);
void fs_mount_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
                          struct fuse_file_info *fi);

/** Answer a LOOKUP in a directory that is known. */
void fs_mount_entry(fuse_req_t req, struct fs_node *dir, const char *name);

/** Answer once it is known what is in `dir`. */
void fs_mount_lookup_later(fuse_req_t req, struct fs_node *dir, const char *name);
void fs_mount_opendir_later(fuse_req_t req, struct fs_node *dir, const struct fuse_file_info *fi);

/** Take the handle off the mount's list and close it. */
void fs_mount_handle_close(struct fs_mount *m, struct fs_mount_handle *h);

/** Run the workers until the end. 0 or -errno. */
int fs_mount_serve(struct fs_mount *m);

/** After that, and when no read waits any more: take requests until `over_fd` is readable. The thread that makes it
 *  so may be in the kernel, which waits for pages that only an answer unlocks. */
void fs_mount_linger(struct fs_mount *m, int over_fd);

#endif
