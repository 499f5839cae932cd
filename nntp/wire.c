#include "nntp/wire.h"
#include "nntp/loop.h"

#include <errno.h>
#include <sys/socket.h>

bool nntp_wire_fill(struct nntp_wire *w)
{
    if (w->at < w->end)
        return true;
    if (w->dry || w->eof || w->error || !w->allow)
        return false;
    size_t want = w->allow < NNTP_RX_BYTES ? w->allow : NNTP_RX_BYTES;
    ssize_t n;
    do
        n = recv(w->fd, w->buf, want, 0);
    while (n < 0 && errno == EINTR);
    w->at = 0;
    w->end = n > 0 ? (size_t)n : 0;
    w->allow -= w->end;
    if (n == 0)
        w->eof = true;
    else if (n < 0 && (errno == EAGAIN))
        w->dry = true;
    else if (n < 0)
        w->error = errno;
    return n > 0;
}

ssize_t nntp_wire_send(struct nntp_wire *w, const void *p, size_t len)
{
    ssize_t n;

    do
        n = send(w->fd, p, len, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n >= 0)
        return n;
    return errno == EAGAIN ? 0 : -errno;
}
