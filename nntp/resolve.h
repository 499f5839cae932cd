/**
 * resolve — host names to addresses, on threads of their own so that no loop ever waits for DNS.
 *
 * Shape     One lookup at a time for a name; whoever asks for it meanwhile shares it. Good answers are kept
 *           for NNTP_RESOLVE_KEEP_US, and beyond while no name server can be reached; literal addresses are
 *           answered at once. Failures are not kept: the scheduler's back-off is what spaces them.
 * Threads   nntp_resolver_ask() and _forget(): the loop that the ask belongs to. A lookup is a thread, so
 *           that a name whose servers are silent keeps no other waiting.
 * Locks     One mutex. A finished lookup is posted to loops with it held: resolver, then inbox.
 * Source    getaddrinfo(3), RFC 6724 (the order of addresses).
 */
#ifndef NNTP_RESOLVE_H
#define NNTP_RESOLVE_H

#include "nntp/loop.h"

#include <sys/socket.h>

#define NNTP_ADDRS_MOST      8
#define NNTP_RESOLVE_KEEP_US 60000000u

/** A host's addresses, best first. */
struct nntp_addrs {
    struct nntp_addr {
        struct sockaddr_storage sa;
        socklen_t len;
    } a[NNTP_ADDRS_MOST];
    unsigned n;
};

struct nntp_resolver;
struct nntp_resolver_host;

/** One question, embedded in whoever asks. Set loop, host, port and done; the rest is the resolver's. */
struct nntp_ask {
    struct nntp_loop *loop;
    const char *host; /* copied */
    unsigned port;
    /** On the loop, once; `error` NULL: look at addrs. */
    void (*done)(struct nntp_ask *ask);
    struct nntp_addrs addrs;
    const char *error; /* static text */

    struct nntp_task task;
    struct list link; /* among the host's askers, under the resolver's lock */
};

int nntp_resolver_start(struct nntp_resolver **out);
/** Nobody may be asking. A lookup that the system has not answered yet is left to end by itself. */
void nntp_resolver_stop(struct nntp_resolver *r);

/** 0: ask->addrs is filled, done() will not run. -EINPROGRESS: done() will run, unless forgotten.
 *  Another -errno: neither. */
int nntp_resolver_ask(struct nntp_resolver *r, struct nntp_ask *ask);

/** done() will not run any more. */
void nntp_resolver_forget(struct nntp_resolver *r, struct nntp_ask *ask);

/** This address worked: begin with it next time. */
void nntp_resolver_prefer(struct nntp_resolver *r, const char *host, const struct nntp_addr *good);

/** What is known is looked up anew before it is used. */
void nntp_resolver_expire(struct nntp_resolver *r);

#endif
