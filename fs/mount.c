/* mount — the FUSE session: from a mountpoint to an answering filesystem, and back. */
#define LOG_TAG "fs.mount"
#include "fs/mount.h"

#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What libfuse says when something fails is kept, for the one line that the user gets. */
static pthread_mutex_t said_lock = PTHREAD_MUTEX_INITIALIZER;
static char said[256];

static void on_libfuse_log(enum fuse_log_level level, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));

static void on_libfuse_log(enum fuse_log_level level, const char *fmt, va_list ap)
{
    char line[512];
    vsnprintf(line, sizeof(line), fmt, ap);
    line[strcspn(line, "\n")] = '\0';
    if (level == FUSE_LOG_DEBUG) {
        log_write(LOG_AT_DEBUG, "libfuse", "%s", line);
        return;
    }
    pthread_mutex_lock(&said_lock);
    snprintf(said, sizeof(said), "%.*s", (int)sizeof(said) - 1,
             strncmp(line, "fuse: ", 6) ? line : line + 6);
    pthread_mutex_unlock(&said_lock);
    log_debug("libfuse: %s", line);
}

static int dir_is_empty(const char *path)
{
    DIR *d = opendir(path);
    if (!d)
        return -errno;
    int empty = 1;
    for (struct dirent *e; empty && (e = readdir(d));)
        empty = !strcmp(e->d_name, ".") || !strcmp(e->d_name, "..");
    closedir(d);
    return empty;
}

/* Can something be mounted there? 0, or -errno and why not. */
static int point_check(const char *point, bool nonempty, char *err, size_t errlen)
{
    struct stat st;
    int rc = stat(point, &st) ? -errno : S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
    int empty = rc || nonempty ? 1 : dir_is_empty(point);
    if (empty < 0)
        rc = empty;
    if (rc == -ENOTCONN)
        snprintf(err, errlen, "%s: a dead mount is in the way: run fusermount3 -u %s first", point,
                 point);
    else if (rc == -ENOENT)
        snprintf(err, errlen, "%s: no such directory: create it first", point);
    else if (rc)
        snprintf(err, errlen, "%s: %s: choose another mountpoint", point, strerror(-rc));
    else if (!empty)
        snprintf(err, errlen,
                 "%s: directory not empty: choose an empty one, or mount with -o nonempty", point);
    return rc ? rc : empty ? 0 : -ENOTEMPTY;
}

static int args_build(const struct fs *fs, bool debug, struct fuse_args *args)
{
    char *opts = NULL;
    char limit[48];
    snprintf(limit, sizeof(limit), "max_read=%u", FS_READ_MOST);
    /* default_permissions always: the modes that are shown are those that hold, and the kernel then asks
     * for attributes before it opens a file. */
    int bad = fuse_opt_add_arg(args, "nzbfs") || fuse_opt_add_opt(&opts, "ro,nosuid,nodev") ||
              fuse_opt_add_opt(&opts, "default_permissions,subtype=nzbfs") ||
              fuse_opt_add_opt(&opts, limit) ||
              (fs->mount.allow_other && fuse_opt_add_opt(&opts, "allow_other"));
    char *fsname = NULL;
    bad = bad || asprintf(&fsname, "fsname=%s", fs->source) < 0 ||
          fuse_opt_add_opt_escaped(&opts, fsname) || fuse_opt_add_arg(args, "-o") ||
          fuse_opt_add_arg(args, opts) || (debug && fuse_opt_add_arg(args, "-d"));
    free(fsname);
    free(opts);
    return bad ? -ENOMEM : 0;
}

static struct fuse_session *session_open(struct fs_mount *m, bool debug, char *err, size_t errlen)
{
    struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
    struct fuse_session *se = NULL;
    fuse_set_log_func(on_libfuse_log);
    said[0] = '\0';
    if (!args_build(m->fs, debug, &args))
        se = fuse_session_new(&args, &fs_mount_ops, sizeof(fs_mount_ops), m);
    fuse_opt_free_args(&args);
    if (se && fuse_session_mount(se, m->point)) {
        fuse_session_destroy(se);
        se = NULL;
    }
    if (!se)
        snprintf(err, errlen, "%s: cannot mount: %s", m->point,
                 *said ? said : "see what fusermount3 says above");
    return se;
}

int fs_mount(struct fs *fs, const char *mountpoint, const struct fs_mount_options *o, char *err,
             size_t errlen)
{
    int rc = point_check(mountpoint, o->nonempty, err, errlen);
    if (rc)
        return rc;
    snprintf(err, errlen, "%s: cannot mount: %s", mountpoint, strerror(ENOMEM));
    struct fs_mount *m = calloc(1, sizeof(*m));
    if (!m)
        return -ENOMEM;
    m->fs = fs;
    m->threads = o->threads ? o->threads : 4;
    m->on_ready = o->on_ready;
    m->arg = o->arg;
    list_init(&m->handles);
    pthread_mutex_init(&m->lock, NULL);
    pthread_cond_init(&m->none_parked, NULL);
    m->point = realpath(mountpoint, NULL);
    if (!m->point) {
        rc = -errno;
        snprintf(err, errlen, "%s: %s: choose another mountpoint", mountpoint, strerror(errno));
        goto err1;
    }
    rc = -EIO;
    m->se = session_open(m, o->debug, err, errlen);
    if (!m->se)
        goto err2;
    fs->mounted = m;
    return 0;

err2:
    free(m->point);
err1:
    pthread_cond_destroy(&m->none_parked);
    pthread_mutex_destroy(&m->lock);
    free(m);
    return rc;
}

/* Every request that was taken gets its answer: the session's descriptor is about to go. */
static void parked_answer(struct fs_mount *m)
{
    pthread_mutex_lock(&m->lock);
    while (m->parked)
        pthread_cond_wait(&m->none_parked, &m->lock);
    pthread_mutex_unlock(&m->lock);
}

/* Its attributes, and these pages of it. A kernel that has none of it, or no mount any more, is right as well. */
static void kernel_forget(void *arg, uint64_t ino, uint64_t begin, uint64_t end)
{
    struct fs_mount *m = arg;
    bool pages = begin < end && begin <= INT64_MAX;
    uint64_t len = end - begin;
    int rc = fuse_lowlevel_notify_inval_inode(m->se, ino, pages ? (off_t)begin : -1,
                                              pages && len <= INT64_MAX ? (off_t)len : 0);
    if (rc && rc != -ENOENT)
        log_debug("%s: the kernel forgets nothing: %s", m->point, strerror(-rc));
}

int fs_loop(struct fs *fs)
{
    if (!fs->mounted)
        return -ENOTCONN;
    int err = fs_disown_start(&fs->disown, kernel_forget, fs->mounted);
    if (err)
        return err;
    err = fs_mount_serve(fs->mounted);
    fs_watch_cancel_all(&fs->watch); /* from here on nothing waits */
    fs_disown_stop(&fs->disown);
    fs_mount_linger(fs->mounted, fs->disown.over_fd);
    fs_disown_join(&fs->disown);
    parked_answer(fs->mounted);
    return err;
}

void fs_stop(struct fs *fs)
{
    int before = errno;
    atomic_store(&fs->stopped, true);
    /* The counter is never read, so it stays readable for every worker; that it is full is no matter. */
    ssize_t n = write(fs->stop_fd, &(uint64_t){1}, sizeof(uint64_t));
    (void)n;
    errno = before;
}

void fs_unmount(struct fs *fs)
{
    struct fs_mount *m = fs->mounted;
    if (!m)
        return;
    fs->mounted = NULL;
    fuse_session_unmount(m->se);
    fuse_session_destroy(m->se);
    while (!list_is_empty(&m->handles))
        fs_mount_handle_close(m, container_of(m->handles.next, struct fs_mount_handle, link));
    free(m->point);
    pthread_cond_destroy(&m->none_parked);
    pthread_mutex_destroy(&m->lock);
    free(m);
}
