#include "nntp/dial.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <unistd.h>

/* Commands are small and answers follow at once, so Nagle is off. Keep-alive probes and the user timeout
 * find a peer that went away without a word while the connection idled. */
static void socket_tune(int fd)
{
    static const struct {
        int level, name, value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},   {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, 20}, {IPPROTO_TCP, TCP_KEEPINTVL, 10},
        {IPPROTO_TCP, TCP_KEEPCNT, 3},   {IPPROTO_TCP, TCP_USER_TIMEOUT, 30000},
    };

    /* Each is a refinement: a system without one still serves. */
    for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++)
        (void)setsockopt(fd, options[i].level, options[i].name, &options[i].value,
                         sizeof(options[i].value));
}

static int socket_connect(const struct nntp_addr *a)
{
    int fd = socket(a->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -errno;
    socket_tune(fd);
    if (connect(fd, (const struct sockaddr *)&a->sa, a->len) && errno != EINPROGRESS) {
        int e = -errno;
        close(fd);
        return e;
    }
    return fd;
}

static int try_from(struct nntp_dial *d, unsigned at, uint64_t now_us)
{
    for (d->at = at; d->at < d->addrs->n && now_us < d->end_us; d->at++) {
        int fd = socket_connect(&d->addrs->a[d->at]);
        if (fd < 0) {
            d->error = fd;
            continue;
        }
        d->fd = fd;
        d->try_end_us = now_us + (d->end_us - now_us) / (d->addrs->n - d->at);
        return 0;
    }
    return d->error;
}

int nntp_dial_start(struct nntp_dial *d, const struct nntp_addrs *addrs, uint64_t now_us,
                    uint64_t end_us)
{
    *d = (struct nntp_dial){.addrs = addrs, .fd = -1, .error = -ETIMEDOUT, .end_us = end_us};
    return try_from(d, 0, now_us);
}

/* 0, -EINPROGRESS or why it failed. */
static int socket_state(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    int e = 0;
    socklen_t len = sizeof(e);

    if (poll(&p, 1, 0) <= 0)
        return -EINPROGRESS;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &len))
        return -errno;
    return -e;
}

int nntp_dial_check(struct nntp_dial *d, uint64_t now_us)
{
    int r = socket_state(d->fd);

    if (r == 0)
        return 0;
    if (r == -EINPROGRESS) {
        if (now_us < d->try_end_us)
            return -EINPROGRESS;
        r = -ETIMEDOUT;
    }
    nntp_dial_stop(d);
    d->error = r;
    r = try_from(d, d->at + 1, now_us);
    return r ? r : -EINPROGRESS;
}

void nntp_dial_stop(struct nntp_dial *d)
{
    if (d->fd >= 0)
        close(d->fd);
    d->fd = -1;
}
