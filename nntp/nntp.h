/**
 * nntp — a pool of connections to news servers, as a source of segments.
 *
 * Shape     The pool is a *source* (base/source.h): fetches go in, decoded payload comes out. Between
 *           them stands qos: no command reaches a connection except by its order.
 * Threads   1 to 4 network loops, each owning its connections, buffers and TLS state; one thread for each
 *           name while it is looked up; one for the trace, if there is one.
 *           Every function here may be called from any thread but the loops' own callbacks.
 * Locks     One mutex around the scheduler, a leaf but for the trace's. Orders leave the scheduler under it and reach a
 *           loop's inbox after it. No callback runs with it held.
 * Commands  BODY (ARTICLE where that is not known), STAT, HEAD; GROUP after a 412, MODE READER after a 401 or
 *           500, AUTHINFO when there is a user name or after a 480, QUIT. Not CAPABILITIES: what a server can
 *           do shows in its answers, which costs no round trip where all is well. Not DATE: idle
 *           connections are held by TCP's keep-alive, and a lost one costs its next operation a retry.
 * Source    RFC 3977 (NNTP), RFC 4643 (AUTHINFO), yEnc 1.3.
 */
#ifndef NNTP_NNTP_H
#define NNTP_NNTP_H

#include "base/config.h"
#include "base/source.h"
#include "qos/qos.h" /* the figures */

struct nntp_pool;

/** `cfg` is copied. Starts the loops; no socket is opened before something is fetched or
 *  expected. `trace`: NULL, or a file
 *  to be made anew, which gets the scheduler's record (qos/trace.h) until the pool stops.
 *  0, or -errno with one line in err[errlen] (a CA file that cannot be read, no memory). */
int nntp_pool_start(const struct config *cfg, const char *trace, struct nntp_pool **out, char *err,
                    size_t errlen);

/** The pool as a source; lives as long as the pool. While something is expected of it (source_expect), and for a
 *  minute after that, [pool] warm connections are kept open, and opened where they are missing. */
struct source *nntp_pool_source(struct nntp_pool *p);

/** New shares, totals, rates and providers (matched by name) in place; waiters stay. `cfg` is copied.
 *  One caller at a time. 0, or -errno with one line in err[errlen] and nothing has changed. */
int nntp_pool_resize(struct nntp_pool *p, const struct config *cfg, char *err, size_t errlen);

/** Every fetch still out ends (SEGMENT_CANCELLED, done() on this thread or a loop), connections are
 *  closed with QUIT where that is instant, threads joined, memory freed. */
void nntp_pool_stop(struct nntp_pool *p);

struct nntp_provider_stats {
    char name[64];
    bool gone; /* not in the configuration any more; its past counts still */
    char why
        [128]; /* how its last connection was lost, in plain ASCII; "": one has come up since, or none was */
    uint64_t bytes_wire, bytes_payload; /* received; of answers under way, too */
};

/** What was late and asked for a second time. */
struct nntp_hedge_stats {
    uint64_t started;    /* sent; of these, when both have ended … */
    uint64_t won;        /* … they brought what the asker got … */
    uint64_t lost;       /* … or did not */
    uint64_t bytes_lost; /* received by whoever lost */
};

struct nntp_pool_stats {
    struct qos_stats qos;
    struct nntp_provider_stats
        providers[CONFIG_PROVIDERS]; /* qos.nproviders of them, in its order */
    struct nntp_hedge_stats hedged;
    uint64_t now_us; /* clock_now_us(), of that moment */
};

/** One consistent moment. */
void nntp_pool_stats(struct nntp_pool *p, struct nntp_pool_stats *out);

#endif
