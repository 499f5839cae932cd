/* The server: the socket, and the thread behind it. */
#define LOG_TAG "control"
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "control/internal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define BACKLOG 16
#define LOCK_MS 2000 /* others hold it for a moment; one that is stopped then must not stop us */
#define REST_S  1    /* after an accept that failed for want of descriptors or memory */

/* --- the socket -------------------------------------------------------------------------------- */

/* Lock held. Make way: 0, or -EADDRINUSE where a server is there, with *who connected to it or negative; or
 * another error. */
static int way_clear(const struct sockaddr_un *at, int *who, char *err, size_t errlen)
{
    struct stat st;

    if (lstat(at->sun_path, &st) < 0 && errno == ENOENT)
        return 0;
    int fd = control_connect(at, 0);
    *who = fd;
    if (fd >= 0 || fd == -ETIMEDOUT)
        return -EADDRINUSE;
    if (fd == -ENOENT)
        return 0;
    /* Of what is no socket, connect says the same as of one that nobody listens on. */
    if (fd != -ECONNREFUSED || !S_ISSOCK(st.st_mode)) {
        snprintf(err, errlen, "%s: is in the way; remove it", at->sun_path);
        return -EEXIST;
    }
    if (unlink(at->sun_path) < 0 && errno != ENOENT) {
        snprintf(err, errlen, "%s: cannot be replaced: %s", at->sun_path, strerror(errno));
        return -errno;
    }
    return 0;
}

/* Lock held. The mode is set before the socket has a name, so that it is never another. */
static int socket_open(const struct sockaddr_un *at, char *err, size_t errlen)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), rc = 0;

    if (fd >= 0 && fchmod(fd, 0600) == 0 &&
        bind(fd, (const struct sockaddr *)at, sizeof(*at)) == 0) {
        if (listen(fd, BACKLOG) == 0)
            return fd;
        rc = -errno;
        unlink(at->sun_path);
    }
    rc = rc ? rc : -errno;
    snprintf(err, errlen, "%s: cannot be made: %s", at->sun_path, strerror(-rc));
    if (fd >= 0)
        close(fd);
    return rc;
}

/* Until the server that `fd` is connected to hangs up. False: it did not. */
static bool end_await(int fd, uint64_t until_us)
{
    struct pollfd p = {.fd = fd, .events = POLLIN | POLLRDHUP};

    for (;;) {
        uint64_t now = clock_now_us();
        int n = poll(&p, 1, now < until_us ? (int)((until_us - now) / 1000) : 0);
        if (n >= 0 || errno != EINTR)
            return n > 0;
    }
}

/* There is no waiting for a lock with an end to it, so it is tried for a while. */
static int lock_take(const char *path, int dir_fd, char *err, size_t errlen)
{
    uint64_t until_us = clock_now_us() + LOCK_MS * 1000;

    while (flock(dir_fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EINTR && (errno != EWOULDBLOCK || clock_now_us() >= until_us)) {
            int rc = -errno;
            snprintf(err, errlen, "%s: its directory cannot be locked: %s", path,
                     rc == -EWOULDBLOCK ? "another nzbfs starts, and does not come to an end"
                                        : strerror(-rc));
            return rc;
        }
        poll(NULL, 0, 5);
    }
    return 0;
}

/* The listening socket, or -errno. Nobody else changes what sockets there are meanwhile. */
static int socket_claim(const struct sockaddr_un *at, int dir_fd, unsigned handover_ms, char *err,
                        size_t errlen)
{
    uint64_t until_us = clock_now_us() + (uint64_t)handover_ms * 1000;

    for (;;) {
        int who = -1;
        int rc = lock_take(at->sun_path, dir_fd, err, errlen);
        if (rc < 0)
            return rc;
        rc = way_clear(at, &who, err, errlen);
        if (rc == 0)
            rc = socket_open(at, err, errlen);
        flock(dir_fd, LOCK_UN);
        if (rc != -EADDRINUSE)
            return rc;
        bool ended = who >= 0 && end_await(who, until_us);
        if (who >= 0)
            close(who);
        if (!ended || clock_now_us() >= until_us) {
            snprintf(err, errlen, "%s: another mount listens there", at->sun_path);
            return -EADDRINUSE;
        }
    }
}

/* Nobody of ours takes the name of a socket that is listened on; but a person may have removed it, and
 * another mount made the next one. */
static void socket_close(struct control *c)
{
    struct stat st;

    if (lstat(c->at.sun_path, &st) == 0 && st.st_dev == c->dev && st.st_ino == c->ino)
        unlink(c->at.sun_path);
    close(c->fd);
}

/* --- the thread -------------------------------------------------------------------------------- */

static void accept_rest(struct control *c)
{
    struct timeval tv = {.tv_sec = REST_S};

    event_del(&c->accept_ev);
    if (event_add(&c->rest_ev, &tv) < 0)
        log_error("no memory; the control socket is deaf from now on");
}

static void on_rested(evutil_socket_t fd, short what, void *arg)
{
    struct control *c = arg;
    (void)fd, (void)what;

    if (c->npeers < CONTROL_PEERS_MOST && event_add(&c->accept_ev, NULL) < 0)
        accept_rest(c);
}

void control_peer_gone(struct control *c)
{
    /* It may rest for another reason; then the timer adds it. */
    if (!event_pending(&c->rest_ev, EV_TIMEOUT, NULL))
        on_rested(-1, 0, c);
}

static void on_client(evutil_socket_t at, short what, void *arg)
{
    struct control *c = arg;
    (void)what;

    int fd = accept4(at, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
            return;
        log_warn("cannot take a control connection: %s, again in %d s", strerror(errno), REST_S);
        accept_rest(c);
        return;
    }
    if (control_peer_new(c, fd) < 0)
        log_warn("no memory for a control connection; hung up");
    if (c->npeers >= CONTROL_PEERS_MOST)
        event_del(&c->accept_ev);
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    struct control *c = arg;
    (void)fd, (void)what;

    event_base_loopbreak(c->base);
}

static void *control_main(void *arg)
{
    struct control *c = arg;

    pthread_setname_np(pthread_self(), "nzbfs-control");
    if (event_base_dispatch(c->base) < 0)
        log_error("event loop: %s; the control socket is deaf from now on", strerror(errno));
    return NULL;
}

static int events_init(struct control *c)
{
    struct event_config *ec = event_config_new();

    if (!ec)
        return -ENOMEM;
    event_config_set_flag(ec, EVENT_BASE_FLAG_NOLOCK);
    c->base = event_base_new_with_config(ec);
    event_config_free(ec);
    if (!c->base)
        return -ENOMEM;
    if (event_assign(&c->accept_ev, c->base, c->fd, EV_READ | EV_PERSIST, on_client, c) == 0 &&
        event_assign(&c->wake_ev, c->base, c->wake_fd, EV_READ | EV_PERSIST, on_wake, c) == 0 &&
        event_assign(&c->rest_ev, c->base, -1, 0, on_rested, c) == 0 &&
        event_add(&c->accept_ev, NULL) == 0 && event_add(&c->wake_ev, NULL) == 0)
        return 0;
    event_base_free(c->base);
    return -ENOMEM;
}

/* --- life -------------------------------------------------------------------------------------- */

/* The address and the socket. */
static int door_open(struct control *c, unsigned handover_ms, char *err, size_t errlen)
{
    char dir[CONTROL_PATH_MOST];
    int dir_fd = control_dir_open(0, true, dir, err, errlen);

    if (dir_fd < 0)
        return dir_fd;
    int rc = control_address(dir, c->mountpoint, &c->at, err, errlen);
    if (rc == 0)
        rc = socket_claim(&c->at, dir_fd, handover_ms, err, errlen);
    close(dir_fd);
    if (rc < 0)
        return rc;
    c->fd = rc;
    struct stat st = {0};
    if (lstat(c->at.sun_path, &st) < 0)
        log_warn("%s: %s; it stays when the mount ends", c->at.sun_path, strerror(errno));
    c->dev = st.st_dev;
    c->ino = st.st_ino;
    return 0;
}

int control_start_patient(const char *mountpoint, const struct control_verb *verbs, void *arg,
                          unsigned patience_ms, unsigned handover_ms, struct control **out,
                          char *err, size_t errlen)
{
    struct control *c = calloc(1, sizeof(*c));
    int rc = -ENOMEM;

    snprintf(err, errlen, "control socket: no memory");
    if (!c || !(c->mountpoint = strdup(mountpoint)))
        goto err0;
    c->verbs = verbs;
    c->arg = arg;
    c->patience_ms = patience_ms;
    list_init(&c->peers);
    c->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (c->wake_fd < 0) {
        rc = -errno;
        snprintf(err, errlen, "control socket: %s", strerror(errno));
        goto err0;
    }
    if ((rc = door_open(c, handover_ms, err, errlen)) < 0)
        goto err1;
    if ((rc = events_init(c)) < 0)
        goto err2;
    if ((rc = thread_start(&c->thread, control_main, c)) < 0) {
        snprintf(err, errlen, "control socket: cannot start a thread: %s", strerror(-rc));
        goto err3;
    }
    err[0] = '\0';
    *out = c;
    return 0;
err3:
    event_base_free(c->base);
err2:
    socket_close(c);
err1:
    close(c->wake_fd);
err0:
    if (c)
        free(c->mountpoint);
    free(c);
    return rc;
}

int control_start(const char *mountpoint, const struct control_verb *verbs, void *arg,
                  struct control **out, char *err, size_t errlen)
{
    return control_start_patient(mountpoint, verbs, arg, CONTROL_PATIENCE_S * 1000,
                                 CONTROL_HANDOVER_S * 1000, out, err, errlen);
}

void control_stop(struct control *c)
{
    if (!c)
        return;
    uint64_t one = 1;
    ssize_t n = write(c->wake_fd, &one, sizeof(one));
    assert(n == sizeof(one));
    (void)n;
    pthread_join(c->thread, NULL);
    /* Forgotten before it is closed: its number may be somebody else's at once. */
    event_del(&c->accept_ev);
    /* The name goes before the clients: who sees us hang up may take it. */
    socket_close(c);
    list_for_each_safe(e, &c->peers) control_peer_free(container_of(e, struct control_peer, link));
    event_del(&c->accept_ev);
    event_del(&c->wake_ev);
    event_del(&c->rest_ev);
    event_base_free(c->base);
    close(c->wake_fd);
    free(c->mountpoint);
    free(c);
}
