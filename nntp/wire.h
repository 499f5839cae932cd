/**
 * wire — bytes from a socket, through the loop's shared buffer, and to it.
 *
 * Shape     A `struct nntp_wire` is what one connection may still receive in this turn of the loop. Plain
 *           connections read from it directly, TLS ones through a BIO (tls.c): OpenSSL takes records out
 *           of the shared buffer, so that the system is asked for 256 KiB at a time and no connection
 *           keeps a large buffer of its own.
 * Rule      What has been received must be used up before the turn ends, since the next connection
 *           overwrites it. So `allow` bounds what is received, never what is consumed.
 * Threads   The loop's.
 */
#ifndef NNTP_WIRE_H
#define NNTP_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct nntp_wire {
    int fd;
    uint8_t *buf; /* the loop's; NNTP_RX_BYTES */
    size_t at, end;
    size_t allow; /* bytes that may still be received in this turn */
    bool dry;     /* the socket had no more to give */
    bool eof;
    int error; /* errno of a failed receive */
};

/** Make bytes available at buf[at…end): true when there are some. False: see dry, eof, error; none of
 *  them: `allow` is spent. */
bool nntp_wire_fill(struct nntp_wire *w);

/** Bytes sent, 0: not now, -errno. Never raises SIGPIPE. */
ssize_t nntp_wire_send(struct nntp_wire *w, const void *p, size_t len);

#endif
