/** mount — a FUSE session: what mount.c (its life), loop.c (its workers) and ops.c (its answers) share. */
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
    atomic_int broken;   /* what ended a worker that was not to end; -errno */

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
    bool direct; /* errors are exact to the byte; else to the page */
};

extern const struct fuse_lowlevel_ops fs_mount_ops;

/** Take the handle off the mount's list and close it. */
void fs_mount_handle_close(struct fs_mount *m, struct fs_mount_handle *h);

/** Run the workers until the end. 0 or -errno. */
int fs_mount_serve(struct fs_mount *m);

#endif
