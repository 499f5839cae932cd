/* Bytes in and out of a connection. Plain: up to a megabyte of several answers in one call, straight from
 * the spool's memory. TLS: copied into full records. */
#include "tests/lib/newsd_internal.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define IOV_MAX_USED 64

/* What is due and may go out now, in order. Nothing behind an answer that ends in something else. */
static unsigned gather(struct newsd_conn *c, struct iovec *iov, size_t most, uint64_t now)
{
    unsigned n = 0;
    list_for_each(it, &c->answers)
    {
        struct newsd_answer *a = container_of(it, struct newsd_answer, link);
        size_t stop = newsd_tag_stop(c->d, a);
        size_t skip = a->sent, left = stop > a->sent ? stop - a->sent : 0;
        if (a->due_us > now || most == 0)
            break;
        for (unsigned i = 0; i < a->niov && left > 0 && most > 0; i++) {
            if (skip >= a->iov[i].iov_len) {
                skip -= a->iov[i].iov_len;
                continue;
            }
            size_t take = a->iov[i].iov_len - skip;
            take = take < left ? take : left;
            take = take < most ? take : most;
            iov[n++] = (struct iovec){(char *)a->iov[i].iov_base + skip, take};
            skip = 0;
            left -= take;
            most -= take;
            if (n == IOV_MAX_USED)
                return n;
        }
        if (a->then != THEN_GO_ON || stop < a->len)
            break;
    }
    return n;
}

/* `n` bytes are out: forget the answers that are complete. */
static void consume(struct newsd_conn *c, size_t n)
{
    c->d->stats.bytes_sent += n;
    while (!list_is_empty(&c->answers)) {
        struct newsd_answer *a = container_of(c->answers.next, struct newsd_answer, link);
        size_t take = newsd_tag_stop(c->d, a) - a->sent;
        take = take < n ? take : n;
        a->sent += take;
        n -= take;
        if (newsd_tag_sent(c, a, take) || a->sent < a->stop)
            return;
        c->then = a->then;
        if (a->then == THEN_STALL)
            return;
        list_del(&a->link);
        newsd_tag_left(c, a);
        newsd_answer_free(a);
        c->nanswers--;
        if (c->then != THEN_GO_ON || n == 0)
            return;
    }
}

static int64_t send_plain(struct newsd_conn *c, size_t most, uint64_t now)
{
    struct iovec iov[IOV_MAX_USED];
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = gather(c, iov, most, now)};
    ssize_t n = 0;
    if (msg.msg_iovlen > 0)
        n = sendmsg(c->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? -EAGAIN : -EIO;
    consume(c, (size_t)n);
    return n;
}

static int64_t send_tls(struct newsd_conn *c, size_t most, uint64_t now)
{
    struct iovec iov[IOV_MAX_USED];
    unsigned niov = gather(c, iov, most < NEWSD_RECORD ? most : NEWSD_RECORD, now);
    if (!c->stage)
        c->stage = malloc(NEWSD_RECORD);
    if (!c->stage)
        return -EIO;
    c->stage_len = c->stage_sent = 0;
    for (unsigned i = 0; i < niov; i++) {
        memcpy(c->stage + c->stage_len, iov[i].iov_base, iov[i].iov_len);
        c->stage_len += iov[i].iov_len;
    }
    consume(c, c->stage_len);
    return (int64_t)c->stage_len;
}

int64_t newsd_io_send(struct newsd_conn *c, size_t most, uint64_t now)
{
    return c->ssl ? send_tls(c, most, now) : send_plain(c, most, now);
}

int newsd_io_flush(struct newsd_conn *c)
{
    while (c->stage_sent < c->stage_len) {
        size_t n = 0;
        ERR_clear_error();
        if (!SSL_write_ex(c->ssl, c->stage + c->stage_sent, c->stage_len - c->stage_sent, &n)) {
            int why = SSL_get_error(c->ssl, 0);
            return why == SSL_ERROR_WANT_WRITE || why == SSL_ERROR_WANT_READ ? -EAGAIN : -EIO;
        }
        c->stage_sent += n;
    }
    return 0;
}

int newsd_io_read(struct newsd_conn *c, void *buf, size_t room)
{
    if (!c->ssl) {
        ssize_t n = recv(c->fd, buf, room, MSG_DONTWAIT);
        if (n > 0)
            return (int)n;
        return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
    }
    size_t n = 0;
    ERR_clear_error();
    if (SSL_read_ex(c->ssl, buf, room, &n))
        return (int)n;
    int why = SSL_get_error(c->ssl, 0);
    return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

int newsd_io_handshake(struct newsd_conn *c)
{
    ERR_clear_error();
    int r = SSL_accept(c->ssl);
    if (r == 1) {
        if (SSL_session_reused(c->ssl))
            c->d->stats.resumed_tls++;
        return 1;
    }
    int why = SSL_get_error(c->ssl, r);
    c->want_write = why == SSL_ERROR_WANT_WRITE;
    return why == SSL_ERROR_WANT_WRITE || why == SSL_ERROR_WANT_READ ? 0 : -1;
}
