/* The listening socket, and who is let in. */
#include "tests/lib/newsd_internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static socklen_t address_fill(const struct newsd *d, uint16_t port, struct sockaddr_storage *ss)
{
    memset(ss, 0, sizeof(*ss));
    if (d->cfg.ipv6) {
        struct sockaddr_in6 *a = (struct sockaddr_in6 *)ss;
        a->sin6_family = AF_INET6;
        a->sin6_port = htons(port);
        a->sin6_addr = in6addr_loopback;
        return sizeof(*a);
    }
    struct sockaddr_in *a = (struct sockaddr_in *)ss;
    a->sin_family = AF_INET;
    a->sin_port = htons(port);
    a->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return sizeof(*a);
}

static int socket_bound(const struct newsd *d, uint16_t port)
{
    struct sockaddr_storage ss;
    socklen_t len = address_fill(d, port, &ss);
    int one = 1;
    int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, (struct sockaddr *)&ss, len) < 0) {
        int err = -errno;
        close(fd);
        return err;
    }
    return fd;
}

/* A second socket is bound to the port and never listens. While the first is closed, connecting is
 * refused, and still nobody else is given the port. */
int newsd_port_take(struct newsd *d)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof(ss);
    d->holder = socket_bound(d, d->cfg.port);
    if (d->holder < 0)
        return d->holder;
    if (getsockname(d->holder, (struct sockaddr *)&ss, &len) < 0)
        return -errno;
    d->port = ntohs(d->cfg.ipv6 ? ((struct sockaddr_in6 *)&ss)->sin6_port
                                : ((struct sockaddr_in *)&ss)->sin_port);
    return 0;
}

/* A client may close one connection and open the next before we have seen the first one's end. That is
 * within its limit; so look at all of them before anyone is counted. */
static void gone_uncount(struct newsd *d)
{
    list_for_each(it, &d->conns)
    {
        struct newsd_conn *c = container_of(it, struct newsd_conn, link);
        struct pollfd p = {.fd = c->fd, .events = POLLRDHUP};
        if (c->counted && poll(&p, 1, 0) > 0)
            newsd_conn_uncount(c);
    }
}

static bool is_full(struct newsd *d)
{
    unsigned max = d->cfg.max_connections;
    return max && d->stats.connections >= max && d->cfg.limit_code != 481 &&
           d->cfg.limit_code != 482;
}

static void refuse(struct newsd_conn *c, unsigned code, const char *why)
{
    struct newsd_answer *a = newsd_answer_new("%u %s", code, why);
    if (a)
        a->then = THEN_CLOSE;
    newsd_tag_refused(c->d);
    c->ending = true;
    newsd_conn_answer(c, a);
}

static void greet(struct newsd *d, struct newsd_conn *c)
{
    gone_uncount(d);
    if (d->cfg.greeting != 200 && d->cfg.greeting != 201) {
        refuse(c, d->cfg.greeting, "no service");
    } else if (is_full(d)) {
        refuse(c, d->cfg.limit_code, "too many connections");
    } else {
        c->counted = true;
        if (++d->stats.connections > d->stats.connections_peak)
            d->stats.connections_peak = d->stats.connections;
        newsd_conn_answer(c, newsd_answer_new(d->cfg.greeting == 200
                                                  ? "200 newsd ready, posting allowed"
                                                  : "201 newsd ready, no posting"));
    }
    newsd_conn_run(c);
}

static void accept_later(evutil_socket_t fd, short what, void *arg)
{
    struct newsd *d = arg;
    (void)fd;
    (void)what;
    event_add(d->accepting, NULL);
}

static void accept_all(evutil_socket_t fd, short what, void *arg)
{
    struct newsd *d = arg;
    const struct timeval pause = {.tv_usec = 20000};
    (void)what;
    for (;;) {
        int one = 1;
        int peer = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (peer < 0) {
            /* Out of descriptors: whoever waits stays in the backlog until some are free. */
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
                event_del(d->accepting);
                event_add(d->accept_again, &pause);
            }
            return;
        }
        d->stats.accepted++;
        setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        struct newsd_conn *c = newsd_conn_new(d, peer);
        if (c)
            greet(d, c);
    }
}

int newsd_listen(struct newsd *d)
{
    int fd = socket_bound(d, d->port);
    if (fd < 0)
        return fd;
    d->listener = fd;
    d->accepting = event_new(d->base, fd, EV_READ | EV_PERSIST, accept_all, d);
    d->accept_again = evtimer_new(d->base, accept_later, d);
    if (!d->accepting || !d->accept_again)
        return -ENOMEM;
    if (listen(fd, 1024) < 0)
        return -errno;
    return event_add(d->accepting, NULL) == 0 ? 0 : -ENOMEM;
}

void newsd_unlisten(struct newsd *d)
{
    if (d->accepting)
        event_free(d->accepting);
    if (d->accept_again)
        event_free(d->accept_again);
    d->accepting = d->accept_again = NULL;
    if (d->listener >= 0)
        close(d->listener);
    d->listener = -1;
}
