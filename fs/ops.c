/* ops — the FUSE requests: a thin skin over the core.
 *
 * What is known is answered here and now. The rest is *parked*: the worker that took the request goes on
 * to the next one, and whichever thread ends the read sends the reply.
 *
 *      worker                                  another thread
 *      fs_read_start() → pending
 *      fuse_req_interrupt_func(on_interrupt)       done()
 *      turn++ ────────── the second of the two to get here replies ────────── turn++
 *
 * so a request never goes away while the worker still arms its interrupt. The interrupt's callback runs
 * under a lock of libfuse that the reply needs, so it replies to nothing: it hands the read to the watch,
 * whose thread ends it. fuse_req_interrupt_func(NULL) before the reply waits for a callback that runs.
 *
 * Sizes. LOOKUP and READDIRPLUS cost no article: an unknown size goes out as attributes that are stale on
 * arrival, or (READDIRPLUS) not at all. The kernel asks again, by GETATTR, before it shows them to
 * anyone; and since the mount has default_permissions also before every open(2), because it checks the
 * mode then. So no reader, mapping or splice ever works with the size of nothing. OPEN learns the size as
 * well, for whoever skips all that. */
#define LOG_TAG "fs.ops"
#include "fs/mount.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

enum op_kind { OP_GETATTR, OP_OPEN, OP_READ, OP_LOOKUP, OP_OPENDIR };

/* A request that may have to wait. */
struct op {
    fuse_req_t req;
    struct fs_mount *m;
    struct fs_read *read;
    enum op_kind kind;
    atomic_uint turn;
    struct fs_mount_handle *handle; /* OPEN, READ */
    struct fuse_file_info fi;       /* OPEN, OPENDIR */
    char *name;                     /* LOOKUP */
};

static struct fs_mount_handle *handle_of(const struct fuse_file_info *fi)
{
    return (struct fs_mount_handle *)(uintptr_t)fi->fh;
}

/* --- requests that may wait -------------------------------------------------------------------- */

static void reply_attr(struct op *op)
{
    struct stat st;
    const struct fs_read *r = op->read;
    bool known = fs_node_stat(op->m->fs, r->file, &st);
    if (!known &&
        r->unproven) { /* stale on arrival: the kernel asks again before it shows it once more */
        st.st_size = (off_t)r->size;
        st.st_blocks = (blkcnt_t)(r->size / 512 + (r->size % 512 != 0));
    }
    if (op->read->err)
        fuse_reply_err(op->req, op->read->err);
    else
        fuse_reply_attr(op->req, &st, known ? FS_MOUNT_FOREVER_S : 0);
}

static void reply_open(struct op *op)
{
    int err = op->read->err;
    if (err)
        fuse_reply_err(op->req, err);
    else
        err = fuse_reply_open(op->req, &op->fi);
    if (err) /* the kernel will not release what it does not hold */
        fs_mount_handle_close(op->m, op->handle);
}

/* The first article of a file may have lied about its size. The kernel then holds a wrong one: take its
 * attributes back (no pages: content never changes, and pages may be locked by reads that wait). */
static void tell_resized(struct fs_mount *m, struct fs_node *n)
{
    atomic_bool *resized = n->file ? &n->file->resized : &n->resized;
    if (!atomic_load(resized) || !atomic_exchange(resized, false))
        return;
    int err = fuse_lowlevel_notify_inval_inode(m->se, n->ino, -1, 0);
    if (err && err != -ENOENT) /* ENOENT: it does not know the file (any more) */
        log_debug("%s: telling the kernel of its new size: %s", n->name, strerror(-err));
}

static void reply_name(struct op *op)
{
    if (op->read->err)
        fuse_reply_err(op->req, op->read->err);
    else
        fs_mount_entry(op->req, op->read->file, op->name);
}

static void reply_opendir(struct op *op)
{
    if (op->read->err)
        fuse_reply_err(op->req, op->read->err);
    else
        fuse_reply_open(op->req, &op->fi);
}

static void reply(struct op *op)
{
    struct fs_mount *m = op->m;
    struct fs_node *n = op->read->file;
    switch (op->kind) {
    case OP_GETATTR:
        reply_attr(op);
        break;
    case OP_OPEN:
        reply_open(op);
        break;
    case OP_READ:
        if (op->read->err)
            fuse_reply_err(op->req, op->read->err);
        else
            fuse_reply_iov(op->req, op->read->iov, (int)op->read->niov);
        break;
    case OP_LOOKUP:
        reply_name(op);
        break;
    case OP_OPENDIR:
        reply_opendir(op);
        break;
    }
    fs_read_end(op->read);
    free(op->name);
    free(op);
    tell_resized(m, n);

    pthread_mutex_lock(&m->lock);
    if (!--m->parked)
        pthread_cond_signal(&m->none_parked);
    pthread_mutex_unlock(&m->lock);
}

/* The worker and the ender meet here; true for the second. */
static bool op_turn(struct op *op)
{
    return atomic_fetch_add(&op->turn, 1) == 1;
}

static void op_unpark(struct op *op)
{
    fuse_req_interrupt_func(op->req, NULL, NULL);
    reply(op);
}

static void on_done(struct fs_read *r)
{
    struct op *op = r->arg;
    if (op_turn(op))
        op_unpark(op);
}

static void on_interrupt(fuse_req_t req, void *data)
{
    (void)req;
    struct op *op = data;
    fs_read_cancel(op->read);
}

static struct op *op_new(fuse_req_t req, struct fs_node *n, enum op_kind kind)
{
    struct fs_mount *m = fs_mount_of(req);
    struct op *op = calloc(1, sizeof(*op));
    if (!op)
        return NULL;
    *op = (struct op){.req = req, .m = m, .kind = kind, .read = fs_read_new(m->fs, n)};
    if (!op->read) {
        free(op);
        return NULL;
    }
    op->read->early = m->fs->mount.early;
    op->read->done = on_done;
    op->read->arg = op;
    pthread_mutex_lock(&m->lock);
    m->parked++;
    pthread_mutex_unlock(&m->lock);
    return op;
}

static void op_run(struct op *op)
{
    if (fs_read_start(op->read)) {
        reply(op);
        return;
    }
    fuse_req_interrupt_func(op->req, on_interrupt, op);
    if (op_turn(op))
        op_unpark(op);
}

void fs_mount_lookup_later(fuse_req_t req, struct fs_node *dir, const char *name)
{
    char *own = strdup(name);
    struct op *op = own ? op_new(req, dir, OP_LOOKUP) : NULL;
    if (!op) {
        free(own);
        fuse_reply_err(req, ENOMEM);
        return;
    }
    op->name = own;
    if (fs_scan_is(op->m->fs->scan, fuse_req_ctx(req)->pid))
        op->read->urgency = URGENCY_SCAN;
    op_run(op);
}

void fs_mount_opendir_later(fuse_req_t req, struct fs_node *dir, const struct fuse_file_info *fi)
{
    struct op *op = op_new(req, dir, OP_OPENDIR);
    if (!op) {
        fuse_reply_err(req, ENOMEM);
        return;
    }
    op->fi = *fi;
    if (fs_scan_is(op->m->fs->scan, fuse_req_ctx(req)->pid))
        op->read->urgency = URGENCY_SCAN;
    op_run(op);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)fi;
    struct stat st;
    struct fs_node *n = fs_mount_node(req, ino);
    if (!n) {
        fuse_reply_err(req, ENOENT);
        return;
    }
    if (fs_node_stat(fs_mount_of(req)->fs, n, &st)) {
        fuse_reply_attr(req, &st, FS_MOUNT_FOREVER_S);
        return;
    }
    struct op *op = op_new(req, n, OP_GETATTR);
    if (!op) {
        fuse_reply_err(req, ENOMEM);
        return;
    }
    if (fs_scan_is(op->m->fs->scan, fuse_req_ctx(req)->pid))
        op->read->urgency = URGENCY_SCAN;
    op_run(op);
}

/* --- open files -------------------------------------------------------------------------------- */

static struct fs_mount_handle *handle_open(struct fs_mount *m, struct fs_node *n, pid_t pid,
                                           int flags)
{
    struct fs_health health;
    struct fs_mount_handle *h = calloc(1, sizeof(*h));
    if (!h)
        return NULL;
    h->handle = fs_handle_open(m->fs, n);
    if (!h->handle) {
        free(h);
        return NULL;
    }
    fs_node_health(n, &health);
    h->scans = fs_handle_opener(h->handle, pid);
    if (flags & O_NOATIME) /* indexers and backups care; players do not */
        fs_handle_wary(h->handle);
    /* What a scanner has read here and there, it does not read again, and the kernel would make up to a mebibyte
     * of each small read: past the cache it costs what it asks for. */
    h->direct =
        m->fs->mount.direct_io || h->scans || (health.missing && !m->fs->mount.missing_zeros);
    pthread_mutex_lock(&m->lock);
    list_add_tail(&m->handles, &h->link);
    pthread_mutex_unlock(&m->lock);
    return h;
}

void fs_mount_handle_close(struct fs_mount *m, struct fs_mount_handle *h)
{
    pthread_mutex_lock(&m->lock);
    list_del(&h->link);
    pthread_mutex_unlock(&m->lock);
    fs_handle_close(h->handle);
    free(h);
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct fs_mount *m = fs_mount_of(req);
    struct fs_node *n = fs_mount_node(req, ino);
    if (!n || fs_node_is_dir(n)) {
        fuse_reply_err(req, n ? EISDIR : ENOENT);
        return;
    }
    if ((fi->flags & O_ACCMODE) != O_RDONLY) {
        fuse_reply_err(req, EROFS);
        return;
    }
    struct fs_mount_handle *h = handle_open(m, n, fuse_req_ctx(req)->pid, fi->flags);
    struct op *op = h ? op_new(req, n, OP_OPEN) : NULL;
    if (!op) {
        if (h)
            fs_mount_handle_close(m, h);
        fuse_reply_err(req, ENOMEM);
        return;
    }
    if (h->scans)
        op->read->urgency = URGENCY_SCAN;
    op->handle = h;
    op->read->handle = h->handle; /* what is fetched for the size is its first article */
    op->fi = *fi;
    op->fi.fh = (uint64_t)(uintptr_t)h;
    op->fi.direct_io = h->direct;
    op->fi.keep_cache = 1;
    op->fi.noflush = 1;
    op_run(op);
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
                    struct fuse_file_info *fi)
{
    struct fs_node *n = fs_mount_node(req, ino);
    struct op *op = n ? op_new(req, n, OP_READ) : NULL;
    if (!op) {
        fuse_reply_err(req, n ? ENOMEM : ENOENT);
        return;
    }
    op->handle = handle_of(fi);
    op->read->handle = op->handle->handle;
    if (fs_handle_caller(op->read->handle, fuse_req_ctx(req)->pid))
        op->read->urgency = URGENCY_SCAN;
    op->read->off = (uint64_t)off;
    op->read->len = size < FS_READ_MOST ? (uint32_t)size : FS_READ_MOST;
    op->read->partial = op->handle->direct;
    op->read->once = !op->handle->direct; /* the kernel keeps it */
    op_run(op);
}

static void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)ino;
    fs_mount_handle_close(fs_mount_of(req), handle_of(fi));
    fuse_reply_err(req, 0);
}

/* --- the rest ---------------------------------------------------------------------------------- */

static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
    (void)ino;
    struct fs *fs = fs_mount_of(req)->fs;
    uint64_t known = fs->known_bytes;
    struct statvfs st = {.f_bsize = 4096,
                         .f_frsize = 4096,
                         .f_blocks = known / 4096 + (known % 4096 != 0),
                         .f_files = fs_tree_count(fs),
                         .f_flag = ST_RDONLY,
                         .f_namemax = 255};
    fuse_reply_statfs(req, &st);
}

/* Both xattr calls: `len` is what the core says for a buffer of `size`. */
static void reply_xattr(fuse_req_t req, const char *value, int len, size_t size)
{
    if (len < 0)
        fuse_reply_err(req, -len);
    else if (!size)
        fuse_reply_xattr(req, (size_t)len);
    else
        fuse_reply_buf(req, value, (size_t)len);
}

static void xattr_any(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
    struct fs_node *n = fs_mount_node(req, ino);
    struct fs *fs = fs_mount_of(req)->fs;
    char *value = size ? malloc(size) : NULL;
    if (!n || (size && !value))
        fuse_reply_err(req, n ? ENOMEM : ENOENT);
    else
        reply_xattr(req, value,
                    name ? fs_xattr_get(fs, n, name, value, size)
                         : fs_xattr_list(fs, n, value, size),
                    size);
    free(value);
}

static void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
    xattr_any(req, ino, name, size);
}

static void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
    xattr_any(req, ino, NULL, size);
}

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
    struct fs_mount *m = userdata;
    unsigned wanted = FUSE_CAP_ASYNC_READ | FUSE_CAP_ASYNC_DIO | FUSE_CAP_PARALLEL_DIROPS |
                      FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO |
                      FUSE_CAP_EXPLICIT_INVAL_DATA;
    /* A reply is one writev from the blocks. To splice it, their pages would first go into a pipe, one for
     * each thread, and be copied from there all the same: the blocks keep them. */
    unsigned unwanted = FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE |
                        FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_IOCTL_DIR;
    conn->want |= conn->capable & wanted;
    conn->want &= ~unwanted;
    conn->max_read = FS_READ_MOST;
    conn->max_readahead = FS_READ_MOST;
    /* Readahead of files whose server is silent stays in the kernel's background queue until it is
     * answered: there must be room beside it for the files that can be read. */
    conn->max_background = 256;
    conn->congestion_threshold = 192;
    atomic_store(&m->greeted, true);
}

/* The mount is read-only, so the kernel refuses all of these itself, unless someone remounts it. */

static void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
                       struct fuse_file_info *fi)
{
    (void)ino, (void)attr, (void)to_set, (void)fi;
    fuse_reply_err(req, EROFS);
}

static void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
    (void)parent, (void)name, (void)mode, (void)rdev;
    fuse_reply_err(req, EROFS);
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
    (void)parent, (void)name, (void)mode;
    fuse_reply_err(req, EROFS);
}

static void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    (void)parent, (void)name;
    fuse_reply_err(req, EROFS);
}

static void op_symlink(fuse_req_t req, const char *link, fuse_ino_t parent, const char *name)
{
    (void)link, (void)parent, (void)name;
    fuse_reply_err(req, EROFS);
}

static void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent,
                      const char *newname, unsigned int flags)
{
    (void)parent, (void)name, (void)newparent, (void)newname, (void)flags;
    fuse_reply_err(req, EROFS);
}

static void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t newparent, const char *newname)
{
    (void)ino, (void)newparent, (void)newname;
    fuse_reply_err(req, EROFS);
}

static void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
                      struct fuse_file_info *fi)
{
    (void)parent, (void)name, (void)mode, (void)fi;
    fuse_reply_err(req, EROFS);
}

static void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value,
                        size_t size, int flags)
{
    (void)ino, (void)name, (void)value, (void)size, (void)flags;
    fuse_reply_err(req, EROFS);
}

static void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
    (void)ino, (void)name;
    fuse_reply_err(req, EROFS);
}

const struct fuse_lowlevel_ops fs_mount_ops = {
    .init = op_init,
    .lookup = fs_mount_lookup,
    .forget = fs_mount_forget,
    .forget_multi = fs_mount_forget_multi,
    .getattr = op_getattr,
    .open = op_open,
    .read = op_read,
    .release = op_release,
    .opendir = fs_mount_opendir,
    .readdir = fs_mount_readdir,
    .readdirplus = fs_mount_readdirplus,
    .statfs = op_statfs,
    .getxattr = op_getxattr,
    .listxattr = op_listxattr,
    .setattr = op_setattr,
    .mknod = op_mknod,
    .mkdir = op_mkdir,
    .unlink = op_unlink,
    .rmdir = op_unlink,
    .symlink = op_symlink,
    .rename = op_rename,
    .link = op_link,
    .create = op_create,
    .setxattr = op_setxattr,
    .removexattr = op_removexattr,
};
