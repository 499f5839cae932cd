/* floor_fuse — a file of memory behind FUSE: same library, same flags, same kernel settings as fs/. */

#define FUSE_USE_VERSION 312

#include "bench/floors.h"

#include <fuse_lowlevel.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define FILE_INO     2
#define FILE_NAME    "file"
#define READ_MOST    (1u << 20)
#define LONG_TIMEOUT 86400.0

struct memory {
    uint8_t *bytes;
    uint64_t size;
    bool direct_io;
};

static void attr_fill(const struct memory *m, fuse_ino_t ino, struct stat *st)
{
    *st = (struct stat){.st_ino = ino, .st_nlink = 1, .st_mode = S_IFDIR | 0555};
    if (ino == FILE_INO) {
        st->st_mode = S_IFREG | 0444;
        st->st_size = (off_t)m->size;
    }
}

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
    (void)userdata;
    conn->max_read = READ_MOST;
    conn->max_readahead = READ_MOST;
    conn->want &= ~(unsigned)(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE);
    conn->max_background = 256;
    conn->congestion_threshold = 192;
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    const struct memory *m = fuse_req_userdata(req);
    struct fuse_entry_param e = {
        .ino = FILE_INO, .attr_timeout = LONG_TIMEOUT, .entry_timeout = LONG_TIMEOUT};

    if (parent != FUSE_ROOT_ID || strcmp(name, FILE_NAME) != 0) {
        fuse_reply_err(req, ENOENT);
        return;
    }
    attr_fill(m, FILE_INO, &e.attr);
    fuse_reply_entry(req, &e);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct stat st;

    (void)fi;
    attr_fill(fuse_req_userdata(req), ino, &st);
    fuse_reply_attr(req, &st, LONG_TIMEOUT);
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    const struct memory *m = fuse_req_userdata(req);

    (void)ino;
    fi->keep_cache = 1;
    fi->direct_io = m->direct_io;
    fuse_reply_open(req, fi);
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t len, off_t off,
                    struct fuse_file_info *fi)
{
    const struct memory *m = fuse_req_userdata(req);
    uint64_t at = (uint64_t)off;

    (void)ino, (void)fi;
    if (at >= m->size) {
        fuse_reply_iov(req, NULL, 0);
        return;
    }
    struct iovec iov = {m->bytes + at, len < m->size - at ? len : m->size - at};
    fuse_reply_iov(req, &iov, 1);
}

static const struct fuse_lowlevel_ops ops = {
    .init = op_init, .lookup = op_lookup, .getattr = op_getattr, .open = op_open, .read = op_read};

static int serve(struct memory *m, const char *mountpoint)
{
    char *argv[] = {(char[]){"floor"}, (char[]){"-oro,subtype=floor,max_read=1048576"}, NULL};
    struct fuse_args args = FUSE_ARGS_INIT(2, argv);
    struct fuse_session *se = fuse_session_new(&args, &ops, sizeof(ops), m);
    struct fuse_loop_config *cfg = fuse_loop_cfg_create();
    int err = 1;

    if (se && cfg && fuse_set_signal_handlers(se) == 0 && fuse_session_mount(se, mountpoint) == 0) {
        fuse_loop_cfg_set_max_threads(cfg, 4);
        err = fuse_session_loop_mt(se, cfg) < 0;
        fuse_session_unmount(se);
    }
    if (cfg)
        fuse_loop_cfg_destroy(cfg);
    if (se) {
        fuse_remove_signal_handlers(se);
        fuse_session_destroy(se);
    }
    fuse_opt_free_args(&args);
    return err;
}

void floor_fuse_raise(const char *mountpoint)
{
    struct stat at;
    char path[96];

    if (stat(mountpoint, &at))
        return;
    snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/read_ahead_kb", major(at.st_dev),
             minor(at.st_dev));
    FILE *f = fopen(path, "w");
    if (!f)
        return; /* not root: then nzbfs could not either */
    fprintf(f, "%u", READ_MOST >> 10);
    fclose(f);
}

int floor_fuse_run(const char *mountpoint, uint64_t size, bool direct_io)
{
    struct memory m = {.size = size, .direct_io = direct_io};

    m.bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (m.bytes == MAP_FAILED) {
        perror("bench: memory file");
        return 1;
    }
    /* As the cache's: without it the floor is three to four times higher, and nothing to be proud of. */
    (void)madvise(m.bytes, size, MADV_HUGEPAGE);
    memset(m.bytes, 0x5a, size); /* no shared zero page: real memory, as the cache's */
    int err = serve(&m, mountpoint);
    munmap(m.bytes, size);
    return err;
}
