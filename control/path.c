/* Where a mount's socket is. The directory is what keeps others out, so it is looked at before it is used:
 * /tmp is everybody's, and who came first may have made it for us. */
#include "base/hash.h"
#include "control/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#define SUFFIX     ".sock"
#define NAME_LEAST ((size_t)32) /* what DIR must leave of a socket's address for a name */
#define HASH_CHARS ((size_t)16)

_Static_assert(sizeof(((struct sockaddr_un *)0)->sun_path) == CONTROL_PATH_MOST, "of Linux");

/* --- the directory ----------------------------------------------------------------------------- */

/* Of a user: where the session says, /tmp, and where sessions usually say. */
static int dir_of_user(unsigned nth, const char *xdg, char *dir)
{
    bool session = xdg && *xdg == '/';

    if (nth == 0 && session)
        return snprintf(dir, CONTROL_PATH_MOST, "%s/nzbfs", xdg);
    if (nth == session)
        return snprintf(dir, CONTROL_PATH_MOST, "/tmp/nzbfs-%u", (unsigned)geteuid());
    return snprintf(dir, CONTROL_PATH_MOST, "/run/user/%u/nzbfs", (unsigned)geteuid());
}

static int dir_name(unsigned nth, char *dir, char *err, size_t errlen)
{
    const char *own = secure_getenv("NZBFS_RUNTIME_DIR"), *xdg = secure_getenv("XDG_RUNTIME_DIR");
    bool one = (own && *own) || geteuid() == 0;
    int n;

    if (nth >= (one ? 1 : CONTROL_DIRS))
        return -ERANGE;

    if (own && *own && *own != '/') {
        snprintf(err, errlen, "NZBFS_RUNTIME_DIR: %s is not an absolute path", own);
        return -EINVAL;
    }
    if (own && *own)
        n = snprintf(dir, CONTROL_PATH_MOST, "%s", own);
    else if (geteuid() == 0)
        n = snprintf(dir, CONTROL_PATH_MOST, "/run/nzbfs");
    else
        n = dir_of_user(nth, xdg, dir);
    if (n >= 0 && (size_t)n < CONTROL_PATH_MOST - NAME_LEAST)
        return 0;
    snprintf(err, errlen,
             "%s: too long for the directory of control sockets; set %s to a shorter one",
             own && *own ? own : xdg, own && *own ? "NZBFS_RUNTIME_DIR" : "XDG_RUNTIME_DIR");
    return -ENAMETOOLONG;
}

static int dir_verify(int fd, bool make, const char *dir, char *err, size_t errlen)
{
    struct stat st;

    if (fstat(fd, &st) < 0) {
        int rc = -errno;
        snprintf(err, errlen, "%s: %s", dir, strerror(errno));
        return rc;
    }
    /* Root may look at another's; that is the user's own directory, named to root. It makes no socket there,
     * where the user could lead it elsewhere meanwhile. */
    if (st.st_uid != geteuid() && (make || geteuid() != 0)) {
        snprintf(err, errlen,
                 "%s: belongs to another user; set NZBFS_RUNTIME_DIR to a directory of yours", dir);
        return -EACCES;
    }
    if (st.st_mode & 077) {
        snprintf(err, errlen, "%s: others may enter it (mode %03o); chmod 700 it", dir,
                 (unsigned)st.st_mode & 0777);
        return -EACCES;
    }
    return 0;
}

/* Whoever else made it, or made it so, need not give it back. */
static const char *way_out(int rc)
{
    return rc == -EACCES || rc == -EPERM || rc == -ENOTDIR || rc == -ELOOP
               ? "; set NZBFS_RUNTIME_DIR to a directory of yours"
               : "";
}

int control_dir_open(unsigned nth, bool make, char *dir, char *err, size_t errlen)
{
    int rc = dir_name(nth, dir, err, errlen);

    if (rc < 0)
        return rc;
    if (make && mkdir(dir, 0700) < 0 && errno != EEXIST) {
        rc = -errno;
        snprintf(err, errlen, "%s: cannot be made: %s%s", dir, strerror(-rc), way_out(rc));
        return rc;
    }
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        rc = -errno;
        snprintf(err, errlen, "%s: %s%s", dir,
                 rc == -ENOTDIR || rc == -ELOOP ? "not a directory (and links are not followed)"
                                                : strerror(-rc),
                 way_out(rc));
        return rc;
    }
    rc = dir_verify(fd, make, dir, err, errlen);
    if (rc < 0) {
        close(fd);
        return rc;
    }
    return fd;
}

/* --- names ------------------------------------------------------------------------------------- */

static bool is_plain(char c, bool first)
{
    if (c == '.')
        return !first;
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
           c == '-' || c == ',' || c == '=' || c == '@';
}

char *control_name_encode(const char *mountpoint)
{
    static const char hex[] = "0123456789abcdef";
    const char *from = mountpoint + (*mountpoint == '/');
    char *name = malloc(strlen(from) * 3 + 2), *to = name;

    if (!name)
        return NULL;
    for (const char *p = from; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (c == '/') {
            *to++ = '+';
        } else if (is_plain(*p, p == from)) {
            *to++ = *p;
        } else {
            *to++ = '%';
            *to++ = hex[c >> 4];
            *to++ = hex[c & 15];
        }
    }
    if (to == name)
        *to++ = '+';
    *to = '\0';
    return name;
}

static int hex_value(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

char *control_name_decode(const char *name)
{
    char *path = malloc(strlen(name) + 2), *to = path;

    if (!path)
        return NULL;
    *to++ = '/';
    if (strcmp(name, "+") == 0)
        name++;
    for (const char *p = name; *p; p++) {
        if (*p == '+') {
            *to++ = '/';
        } else if (is_plain(*p, p == name)) {
            *to++ = *p;
        } else {
            int high = *p == '%' ? hex_value(p[1]) : -1, low = high >= 0 ? hex_value(p[2]) : -1;
            if (low < 0 || high + low == 0) {
                free(path);
                return NULL;
            }
            *to++ = (char)(high << 4 | low);
            p += 2;
        }
    }
    *to = '\0';
    return path;
}

int control_address(const char *dir, const char *mountpoint, struct sockaddr_un *out, char *err,
                    size_t errlen)
{
    size_t room = CONTROL_PATH_MOST - 1 - strlen(dir) - 1 - strlen(SUFFIX);
    char *name = control_name_encode(mountpoint);
    int n;

    if (!name) {
        snprintf(err, errlen, "out of memory");
        return -ENOMEM;
    }
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    size_t len = strlen(name);
    if (len <= room) {
        n = snprintf(out->sun_path, sizeof(out->sun_path), "%s/%s" SUFFIX, dir, name);
    } else {
        /* '~' is in no plain name. Keys that are the same in every process: who chose the mountpoint is
         * who would suffer from a collision. */
        unsigned long long h = hash_bytes_keyed(mountpoint, strlen(mountpoint), 0x6e7a6266, 0x73);
        n = snprintf(out->sun_path, sizeof(out->sun_path), "%s/%016llx~%s" SUFFIX, dir, h,
                     name + len - (room - HASH_CHARS - 1));
    }
    free(name);
    if (n > 0 && (size_t)n < sizeof(out->sun_path))
        return 0;
    snprintf(err, errlen, "%s: too long for the directory of control sockets", dir);
    return -ENAMETOOLONG;
}

/* --- the door ---------------------------------------------------------------------------------- */

int control_connect(const struct sockaddr_un *at, unsigned patience_ms)
{
    /* Of a Unix socket, connecting waits only for room among those who wait to be accepted. */
    struct timeval tv = {.tv_sec = patience_ms / 1000, .tv_usec = patience_ms % 1000 * 1000};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | (patience_ms ? 0 : SOCK_NONBLOCK), 0);

    if (fd < 0)
        return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) < 0 ||
        connect(fd, (const struct sockaddr *)at, sizeof(*at)) < 0) {
        int rc = errno == EAGAIN ? -ETIMEDOUT : -errno;
        close(fd);
        return rc;
    }
    return fd;
}
