/**
 * dial — a host's addresses tried in turn until one accepts.
 *
 * Shape     A small state machine around non-blocking connect(). The caller watches the socket for
 *           writability and asks; time comes in as an argument.
 * Time      Each address may take its share of what is left, so that a silent one does not eat up the
 *           time of those behind it.
 * Threads   The caller's.
 */
#ifndef NNTP_DIAL_H
#define NNTP_DIAL_H

#include "nntp/resolve.h"

struct nntp_dial {
    const struct nntp_addrs *addrs; /* lent until the dial is over */
    unsigned at;                    /* address being tried */
    int fd;                         /* -1: none */
    int error;                      /* -errno of the last that failed */
    uint64_t end_us;                /* all of it */
    uint64_t try_end_us;            /* this address */
};

/** Try from the first address on. 0: d->fd is connecting. -errno: none is left. */
int nntp_dial_start(struct nntp_dial *d, const struct nntp_addrs *addrs, uint64_t now_us,
                    uint64_t end_us);

/** The socket has become writable, or time has passed. 0: connected; d->fd is the caller's from now on.
 *  -EINPROGRESS: not yet, but d->fd may be another now. Another -errno: none is left. */
int nntp_dial_check(struct nntp_dial *d, uint64_t now_us);

/** Give up: closes what is open. */
void nntp_dial_stop(struct nntp_dial *d);

#endif
