/* The client: connect, one line, one line. It waits for a bounded time, whatever is at the other end. */
#include "base/clock.h"
#include "control/internal.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* The server's own patience with us comes on top of what it is busy with. */
#define PATIENCE_MS ((CONTROL_PATIENCE_S + 2) * 1000u)

/* --- one line each way ------------------------------------------------------------------------- */

/* 0: something happened. -ETIMEDOUT. */
static int fd_wait(int fd, short events, uint64_t until_us)
{
    struct pollfd p = {.fd = fd, .events = events};

    for (;;) {
        uint64_t now = clock_now_us();
        if (now >= until_us)
            return -ETIMEDOUT;
        int n = poll(&p, 1, (int)((until_us - now) / 1000) + 1);
        if (n > 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return -errno;
    }
}

/* A server that hangs up while we talk may have answered: that is the reader's to find. */
static int line_send(int fd, const char *line, size_t len, uint64_t until_us)
{
    while (len) {
        ssize_t n = send(fd, line, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n >= 0) {
            line += n;
            len -= (size_t)n;
        } else if (errno == EPIPE || errno == ECONNRESET) {
            return 0;
        } else if (errno == EAGAIN) {
            int rc = fd_wait(fd, POLLOUT, until_us);
            if (rc < 0)
                return rc;
        } else if (errno != EINTR) {
            return -errno;
        }
    }
    return 0;
}

/* *line is the caller's. -EPROTO: too long, or no line. */
static int line_receive(int fd, uint64_t until_us, char **line, size_t *len)
{
    size_t room = 0;

    *line = NULL;
    *len = 0;
    for (;;) {
        if (room - *len < 4096) {
            room = room ? room * 2 : 16384;
            char *more = *len >= CONTROL_LINE_MOST ? NULL : realloc(*line, room);
            if (!more)
                return *len >= CONTROL_LINE_MOST ? -EPROTO : -ENOMEM;
            *line = more;
        }
        ssize_t n = recv(fd, *line + *len, room - *len, MSG_DONTWAIT);
        if (n > 0) {
            const char *end = memchr(*line + *len, '\n', (size_t)n);
            *len = end ? (size_t)(end - *line) : *len + (size_t)n;
            if (end)
                return 0;
        } else if (n == 0 || errno == ECONNRESET) {
            return -EPROTO;
        } else if (errno == EAGAIN) {
            int rc = fd_wait(fd, POLLIN, until_us);
            if (rc < 0)
                return rc;
        } else if (errno != EINTR) {
            return -errno;
        }
    }
}

static int exchange(int fd, const json_t *ask, uint64_t until_us, json_t **answer)
{
    char *out = json_dumps(ask, JSON_COMPACT), *in = NULL;
    size_t len = 0;
    int rc;

    if (!out)
        return -ENOMEM;
    size_t outlen = strlen(out);
    if (outlen >= CONTROL_LINE_MOST) {
        free(out);
        return -EMSGSIZE;
    }
    out[outlen] = '\n'; /* where the NUL is */
    rc = line_send(fd, out, outlen + 1, until_us);
    free(out);
    if (rc == 0)
        rc = line_receive(fd, until_us, &in, &len);
    if (rc == 0) {
        *answer = json_loadb(in, len, JSON_REJECT_DUPLICATES, NULL);
        rc = *answer ? 0 : -EPROTO;
    }
    free(in);
    return rc;
}

/* --- what it said ------------------------------------------------------------------------------ */

static int answer_judge(const char *name, json_t **answer, char *err, size_t errlen)
{
    const char *why = json_string_value(json_object_get(*answer, "error"));

    if (json_is_true(json_object_get(*answer, "ok")))
        return 0;
    snprintf(err, errlen, "%s: %s", name, why ? why : "the mount said no, and not why");
    json_decref(*answer);
    *answer = NULL;
    return -EREMOTEIO;
}

/* `name` is what the mount is called in an error. */
static int ask_at(const struct sockaddr_un *at, const char *name, const json_t *ask,
                  unsigned patience_ms, json_t **answer, char *err, size_t errlen)
{
    uint64_t until_us = clock_now_us() + (uint64_t)patience_ms * 1000;
    int fd = control_connect(at, patience_ms), rc = fd;

    *answer = NULL;
    if (fd >= 0) {
        rc = exchange(fd, ask, until_us, answer);
        close(fd);
    }
    if (rc == 0)
        return answer_judge(name, answer, err, errlen);
    if (rc == -ECONNREFUSED || rc == -ENOENT) {
        snprintf(err, errlen, "%s: nothing is mounted there by this user", name);
        return fd < 0 && rc == -ECONNREFUSED ? -ECONNREFUSED : -ENOENT;
    }
    if (rc == -ETIMEDOUT)
        snprintf(err, errlen, "%s: the mount does not answer (waited %u s)", name,
                 patience_ms / 1000);
    else if (rc == -EPROTO)
        snprintf(err, errlen, "%s: the mount ended, or what listens there is no nzbfs", name);
    else if (rc == -EMSGSIZE)
        snprintf(err, errlen, "%s: that is more than a mount takes at once", name);
    else
        snprintf(err, errlen, "%s: %s", name, strerror(-rc));
    return rc;
}

int control_ask_patient(const char *mountpoint, const json_t *ask, unsigned patience_ms,
                        json_t **answer, char *err, size_t errlen)
{
    char dir[CONTROL_PATH_MOST];
    struct sockaddr_un at;
    int rc, first = -ENOENT;

    *answer = NULL;
    for (unsigned nth = 0; nth < CONTROL_DIRS; nth++) {
        char why[CONTROL_WHY_MOST];
        int fd = control_dir_open(nth, false, dir, why, sizeof(why));
        if (fd >= 0) {
            close(fd);
            rc = control_address(dir, mountpoint, &at, why, sizeof(why));
            if (rc == 0)
                rc = ask_at(&at, mountpoint, ask, patience_ms, answer, why, sizeof(why));
            if (rc == 0)
                return 0;
        } else {
            rc = fd;
        }
        if (rc == -ENOENT || rc == -ECONNREFUSED || rc == -ERANGE || (fd < 0 && nth > 0))
            continue; /* what is wrong where no mount of today looks first is nobody's concern */
        snprintf(err, errlen, "%s", why);
        first = rc;
        if (fd >= 0)
            break;
    }
    if (first == -ENOENT)
        snprintf(err, errlen, "%s: nothing is mounted there by this user", mountpoint);
    return first;
}

int control_ask(const char *mountpoint, const json_t *ask, json_t **answer, char *err,
                size_t errlen)
{
    return control_ask_patient(mountpoint, ask, PATIENCE_MS, answer, err, errlen);
}

/* --- all of them ------------------------------------------------------------------------------- */

static int is_socket_name(const struct dirent *e)
{
    size_t len = strlen(e->d_name);

    return len > 5 && e->d_name[0] != '.' && strcmp(e->d_name + len - 5, ".sock") == 0;
}

/* Nobody listened. Looked at again under the lock: a server that starts holds it until it listens. */
static void stale_remove(int dir_fd, const char *name, const struct sockaddr_un *at)
{
    struct stat st;

    if (flock(dir_fd, LOCK_EX | LOCK_NB) < 0)
        return; /* one starts just now; the next who looks removes it */
    int fd = control_connect(at, 0);
    if (fd >= 0)
        close(fd);
    else if (fd == -ECONNREFUSED && fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
             S_ISSOCK(st.st_mode))
        unlinkat(dir_fd, name, 0); /* if it stays, the next one meets it */
    flock(dir_fd, LOCK_UN);
}

/* What a socket's name tells of its mountpoint; NULL: that it is too long for it. The caller's to free. */
static char *label_of(const char *name)
{
    char *plain = strndup(name, strlen(name) - strlen(".sock"));
    char *mountpoint = plain ? control_name_decode(plain) : NULL;

    free(plain);
    return mountpoint;
}

/* One socket's mountpoint to `each`; *more is what that said. */
static int one_tell(int dir_fd, const char *dir, const char *name, const json_t *hello,
                    bool (*each)(void *arg, const char *mountpoint), void *arg, bool *more,
                    char *err, size_t errlen)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    json_t *answer;

    int n = snprintf(at.sun_path, sizeof(at.sun_path), "%s/%s", dir, name);
    if (n < 0 || (size_t)n >= sizeof(at.sun_path))
        return 0; /* none of ours has such a name */
    char *label = label_of(name);
    int rc = ask_at(&at, label ? label : at.sun_path, hello, PATIENCE_MS, &answer, err, errlen);
    free(label);
    if (rc == -ECONNREFUSED) {
        stale_remove(dir_fd, name, &at);
        return 0;
    }
    if (rc < 0)
        return rc == -ENOENT ? 0 : rc; /* it has ended meanwhile */
    const char *encoded = json_string_value(json_object_get(answer, "name"));
    char *mountpoint = encoded ? control_name_decode(encoded) : NULL;
    json_decref(answer);
    if (!mountpoint) {
        snprintf(err, errlen, "%s: does not say what it serves", at.sun_path);
        return -EPROTO;
    }
    *more = each(arg, mountpoint);
    free(mountpoint);
    return 0;
}

struct each_job {
    bool (*each)(void *arg, const char *mountpoint);
    void *arg;
    json_t *hello;
    char *err;
    size_t errlen;
    bool more;
    int rc;
};

static void dir_tell(struct each_job *j, int dir_fd, const char *dir)
{
    char why[CONTROL_WHY_MOST];
    struct dirent **names;
    int n = scandirat(dir_fd, ".", &names, is_socket_name, alphasort);

    if (n < 0) {
        j->rc = -errno;
        snprintf(j->err, j->errlen, "%s: %s", dir, strerror(errno));
        return;
    }
    for (int i = 0; i < n; i++) {
        int r = j->more ? one_tell(dir_fd, dir, names[i]->d_name, j->hello, j->each, j->arg,
                                   &j->more, why, sizeof(why))
                        : 0;
        if (r < 0) {
            j->rc = r;
            snprintf(j->err, j->errlen, "%s", why);
        }
        free(names[i]);
    }
    free(names);
}

/* Two ways to say the same directory are one. */
static bool is_new(struct stat seen[CONTROL_DIRS], unsigned nth, int dir_fd)
{
    if (fstat(dir_fd, &seen[nth]) < 0)
        return false;
    for (unsigned i = 0; i < nth; i++)
        if (seen[i].st_ino == seen[nth].st_ino && seen[i].st_dev == seen[nth].st_dev)
            return false;
    return true;
}

int control_each(bool (*each)(void *arg, const char *mountpoint), void *arg, char *err,
                 size_t errlen)
{
    struct each_job j = {.each = each,
                         .arg = arg,
                         .hello = json_pack("{s:s}", "verb", "hello"),
                         .err = err,
                         .errlen = errlen,
                         .more = true};
    struct stat seen[CONTROL_DIRS] = {0};
    char dir[CONTROL_PATH_MOST], why[CONTROL_WHY_MOST];

    if (!j.hello) {
        snprintf(err, errlen, "out of memory");
        return -ENOMEM;
    }
    for (unsigned nth = 0; nth < CONTROL_DIRS; nth++) {
        int dir_fd = control_dir_open(nth, false, dir, why, sizeof(why));
        if (dir_fd >= 0) {
            if (is_new(seen, nth, dir_fd))
                dir_tell(&j, dir_fd, dir);
            close(dir_fd);
        } else if (nth == 0 && dir_fd != -ENOENT) {
            j.rc = dir_fd;
            snprintf(err, errlen, "%s", why);
        }
    }
    json_decref(j.hello);
    return j.rc;
}
