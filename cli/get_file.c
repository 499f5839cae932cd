#include "cli/get_file.h"

#include "base/hash.h"
#include "cli/cli.h"

#include <zlib.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

int get_file_init(struct get_file *f, struct fs_node *node, char *path)
{
    *f = (struct get_file){
        .node = node, .path = path, .dir_fd = -1, .fd = -1, .journal = {.fd = -1}};
    return path ? 0 : -ENOMEM;
}

static int complain(const struct get_file *f, const char *what, int rc)
{
    cli_error("%s: %s: %s", f->path, what, strerror(-rc));
    return rc;
}

static const char *name_of(const struct get_file *f)
{
    const char *slash = strrchr(f->path, '/');

    return slash ? slash + 1 : f->path;
}

/* NAME.part and NAME.part.journal, for a NAME that leaves no room for that cut short and told apart
 * by a hash. */
static void beside(const struct get_file *f, const char *suffix, char out[NAME_MAX + 1])
{
    const char *name = name_of(f);
    size_t len = strlen(name);

    if (len <= NAME_MAX - sizeof(".part.journal"))
        snprintf(out, NAME_MAX + 1, "%s%s", name, suffix);
    else
        snprintf(out, NAME_MAX + 1, "%.200s~%016llx%s", name,
                 (unsigned long long)hash_bytes_keyed(name, len, 1, 2), suffix);
}

/* --- opening ----------------------------------------------------------------------------------- */

/* Open the directory that `path` names below target_fd, made where it lacks. Its parts are safe
 * names, so none is ".."; a symbolic link in their place is not followed. */
static int directory_open(struct get_file *f, int target_fd)
{
    char part[NAME_MAX + 1];
    int at = openat(target_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    for (const char *p = f->path, *slash; at >= 0 && (slash = strchr(p, '/')); p = slash + 1) {
        size_t len = (size_t)(slash - p);
        if (len > NAME_MAX)
            len = NAME_MAX;
        memcpy(part, p, len);
        part[len] = '\0';
        if (mkdirat(at, part, 0777) < 0 && errno != EEXIST) {
            int rc = -errno;
            close(at);
            return rc;
        }
        int next = openat(at, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        int rc = -errno;
        close(at);
        if (next < 0)
            return rc;
        at = next;
    }
    if (at < 0)
        return -errno;
    f->dir_fd = at;
    return 0;
}

/* NAME itself: 0: not there; 1: there, and of the right size; -errno. */
static int finished_look(struct get_file *f)
{
    struct stat st;

    if (fstatat(f->dir_fd, name_of(f), &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : complain(f, "cannot be looked at", -errno);
    if (S_ISREG(st.st_mode) && (uint64_t)st.st_size == f->size)
        return 1;
    cli_error("%s: is there already and is something else; move it away, or choose another -d",
              f->path);
    return -EEXIST;
}

/* Room for all of it, now, where the file system can tell: a full disk is better known before. */
static int room_make(const struct get_file *f)
{
    if (f->size && fallocate(f->fd, 0, 0, (off_t)f->size) < 0 && errno != EOPNOTSUPP &&
        errno != ENOSYS)
        return -errno;
    return ftruncate(f->fd, (off_t)f->size) < 0 ? -errno : 0;
}

static int journal_start(struct get_file *f, bool fresh, const volatile bool *stop)
{
    char path[64 + NAME_MAX + 1], name[NAME_MAX + 1];

    beside(f, ".part.journal", name);
    snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", f->dir_fd, name);
    int rc = journal_open(&f->journal, path, f->size, fs_node_identity(f->node), fresh);
    if (rc == -ESTALE || rc == -ENODATA || rc == -EEXIST) {
        cli_error("%s.part, or its .journal, is %s; move them away, or choose another -d", f->path,
                  rc == -ESTALE ? "of another post of that name" : "something else");
        return rc;
    }
    if (rc < 0)
        return complain(f, "cannot keep its journal", rc);
    /* Only now: what was there has been found to be ours. */
    rc = room_make(f);
    if (rc < 0)
        return complain(f, "no room for it", rc);
    if (!fresh)
        rc = journal_verify(&f->journal, f->fd, stop);
    if (rc < 0 && rc != -EINTR)
        complain(f, "cannot check what an earlier run left", rc);
    for (uint32_t i = 0; rc == 0 && i < f->journal.npieces; i++)
        if (journal_has(&f->journal, i))
            f->resumed += journal_piece_len(&f->journal, i);
    return rc;
}

int get_file_open(struct get_file *f, int target_fd, uint64_t size, const volatile bool *stop)
{
    char part[NAME_MAX + 1];
    struct stat st;

    f->size = size;
    f->sized = true;
    int rc = directory_open(f, target_fd);
    if (rc < 0)
        return complain(f, "cannot make its directory", rc);
    rc = finished_look(f);
    if (rc != 0) {
        f->there = rc > 0;
        return rc < 0 ? rc : 0;
    }
    beside(f, ".part", part);
    f->fd = openat(f->dir_fd, part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (f->fd < 0 || fstat(f->fd, &st) < 0)
        return complain(f, "cannot write", -errno);
    if (flock(f->fd, LOCK_EX | LOCK_NB) < 0) {
        cli_error("%s: another nzbfs get is fetching it", f->path);
        return -EBUSY;
    }
    return journal_start(f, st.st_size == 0, stop);
}

/* --- pieces ------------------------------------------------------------------------------------ */

static int iov_write(int fd, const struct iovec *iov, uint64_t off)
{
    const char *p = iov->iov_base;
    size_t left = iov->iov_len;

    while (left) {
        ssize_t n = pwrite(fd, p, left, (off_t)off);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        p += n;
        left -= (size_t)n;
        off += (uint64_t)n;
    }
    return 0;
}

int get_file_put(struct get_file *f, uint32_t i, const struct iovec *iov, unsigned niov)
{
    uint64_t off = (uint64_t)i * JOURNAL_PIECE;
    uLong crc = 0;
    int rc = 0;

    for (unsigned k = 0; rc == 0 && k < niov; k++) {
        crc = crc32(crc, iov[k].iov_base, (uInt)iov[k].iov_len);
        rc = iov_write(f->fd, &iov[k], off);
        off += iov[k].iov_len;
    }
    if (rc == 0)
        rc = journal_add(&f->journal, i, (uint32_t)crc);
    return rc < 0 ? complain(f, "cannot write", rc) : 0;
}

/* The post's date, or the file's own in an archive, as the mount shows it. A file without it is no worse: no error. */
static void date_set(const struct get_file *f)
{
    const struct timespec when[2] = {{.tv_nsec = UTIME_OMIT},
                                     {.tv_sec = (time_t)fs_node_dated(f->node)}};

    if (when[1].tv_sec && futimens(f->fd, when) < 0)
        return;
}

int get_file_finish(struct get_file *f)
{
    char part[NAME_MAX + 1], journal[NAME_MAX + 1];

    struct fs_health health;
    uint32_t told;

    beside(f, ".part", part);
    beside(f, ".part.journal", journal);
    fs_node_health(f->node, &health);
    if (!health.zeroed && fs_node_crc32(f->node, &told) && told != journal_crc(&f->journal)) {
        cli_error(
            "%s: its bytes are not those that the archive speaks of (CRC-32 %08x, not %08x): "
            "a wrong password, or it was posted damaged; they are dropped, and the same command "
            "begins anew",
            f->path, journal_crc(&f->journal), told);
        if (unlinkat(f->dir_fd, journal, 0) < 0 || unlinkat(f->dir_fd, part, 0) < 0)
            return complain(f, "cannot be removed", -errno);
        return -EBADMSG;
    }
    date_set(f);
    if (fsync(f->fd) < 0)
        return complain(f, "cannot be made durable", -errno);
    int rc = renameat2(f->dir_fd, part, f->dir_fd, name_of(f), RENAME_NOREPLACE);
    if (rc < 0 && (errno == EINVAL || errno == ENOSYS))
        rc = renameat(f->dir_fd, part, f->dir_fd, name_of(f));
    if (rc < 0)
        return complain(f, "cannot be given its name", -errno);
    if (fsync(f->dir_fd) < 0)
        return complain(f, "cannot be made durable", -errno);
    if (unlinkat(f->dir_fd, journal, 0) < 0)
        return complain(f, "cannot remove its journal", -errno);
    return 0;
}

void get_file_fini(struct get_file *f)
{
    journal_close(&f->journal);
    if (f->fd >= 0)
        close(f->fd);
    if (f->dir_fd >= 0)
        close(f->dir_fd);
    f->fd = f->dir_fd = -1;
}
