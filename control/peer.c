/* One client of the control socket: a line comes in, a line goes out, the end.
 *
 *     listening ──line──▶ answering ──all sent──▶ gone
 *         │ patience over, hung up, no memory          ▲
 *         └───────────────────────────────────────────┘
 *
 * A line that is too long is answered as well, and the rest of it never read: the kernel drops it, and may
 * tell who still sends by a reset in place of the answer. */
#define LOG_TAG "control"
#include "base/clock.h"
#include "base/log.h"
#include "control/internal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BYTES ((size_t)4096)

static void peer_turn(evutil_socket_t fd, short what, void *arg);

/* Wait for what comes next, until the deadline. False: it has passed, or there is no memory. */
static bool peer_wait(struct control_peer *p, short what)
{
    uint64_t now = clock_now_us();

    if (now >= p->deadline_us)
        return false;
    uint64_t left = p->deadline_us - now;
    struct timeval tv = {.tv_sec = (time_t)(left / 1000000),
                         .tv_usec = (suseconds_t)(left % 1000000)};
    event_del(&p->ev);
    return event_assign(&p->ev, p->control->base, p->fd, what, peer_turn, p) == 0 &&
           event_add(&p->ev, &tv) == 0;
}

static void deadline_set(struct control_peer *p)
{
    p->deadline_us = clock_now_us() + (uint64_t)p->control->patience_ms * 1000;
}

/* --- out --------------------------------------------------------------------------------------- */

/* False: it is over. */
static bool answer_send(struct control_peer *p)
{
    while (p->sent < p->outlen) {
        ssize_t n = send(p->fd, p->out + p->sent, p->outlen - p->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN && peer_wait(p, EV_WRITE);
        p->sent += (size_t)n;
    }
    return false;
}

/* `line` is taken; NULL: there is no memory to say anything. */
static bool answer_begin(struct control_peer *p, char *line, size_t len)
{
    free(p->in);
    p->in = NULL;
    p->out = line;
    p->outlen = len;
    if (!line)
        return false;
    deadline_set(p);
    return answer_send(p);
}

static bool refuse(struct control_peer *p, const char *why)
{
    size_t len = 0;
    char *line = control_refusal(why, &len);

    return answer_begin(p, line, len);
}

/* --- in ---------------------------------------------------------------------------------------- */

static bool room_make(struct control_peer *p)
{
    if (p->room - p->len >= READ_BYTES)
        return true;
    size_t room = p->room ? p->room * 2 : READ_BYTES * 2;
    char *in = realloc(p->in, room);
    if (!in)
        return false;
    p->in = in;
    p->room = room;
    return true;
}

/* What has come holds a line, or is too long for one, or goes on. */
static bool line_look(struct control_peer *p)
{
    const char *end = memchr(p->in + p->scanned, '\n', p->len - p->scanned);
    size_t len = end ? (size_t)(end - p->in) : p->len;

    p->scanned = p->len;
    if (len >= CONTROL_LINE_MOST)
        return refuse(p, "the line is too long");
    if (!end)
        return peer_wait(p, EV_READ);
    size_t outlen = 0;
    char *line = control_answer(p->control, p->in, len, &outlen);
    return answer_begin(p, line, outlen);
}

/* One piece a turn, so that nobody is served alone. */
static bool line_read(struct control_peer *p)
{
    if (!room_make(p))
        return refuse(p, "out of memory");
    ssize_t n = recv(p->fd, p->in + p->len, p->room - p->len, MSG_DONTWAIT);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return peer_wait(p, EV_READ);
    if (n <= 0)
        return false;
    p->len += (size_t)n;
    return line_look(p);
}

static void peer_turn(evutil_socket_t fd, short what, void *arg)
{
    struct control_peer *p = arg;
    (void)fd;

    if (what & EV_TIMEOUT || !(p->out ? answer_send(p) : line_read(p))) {
        struct control *c = p->control;
        control_peer_free(p);
        control_peer_gone(c);
    }
}

/* --- life -------------------------------------------------------------------------------------- */

static bool is_welcome(int fd)
{
    struct ucred who;
    socklen_t len = sizeof(who);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0)
        return false;
    if (who.uid == geteuid() || who.uid == 0)
        return true;
    log_warn("uid %u (pid %d) tried to give orders; refused", (unsigned)who.uid, (int)who.pid);
    return false;
}

int control_peer_new(struct control *c, int fd)
{
    struct control_peer *p = calloc(1, sizeof(*p));

    if (!p) {
        close(fd);
        return -ENOMEM;
    }
    p->control = c;
    p->fd = fd;
    list_add_tail(&c->peers, &p->link);
    c->npeers++;
    deadline_set(p);
    /* Assigned before anything may look at it. */
    event_assign(&p->ev, c->base, fd, EV_READ, peer_turn, p);
    if (is_welcome(fd) ? peer_wait(p, EV_READ)
                       : refuse(p, "the mount belongs to another user; ask as that user"))
        return 0;
    control_peer_free(p);
    return 0;
}

void control_peer_free(struct control_peer *p)
{
    assert(p->control->npeers > 0);
    event_del(&p->ev);
    list_del(&p->link);
    p->control->npeers--;
    close(p->fd);
    free(p->in);
    free(p->out);
    free(p);
}
