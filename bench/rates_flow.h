/**
 * rates_flow — a real pool before news servers in this process, with more demand than may flow.
 *
 * Shape     Each server is one provider. As many articles as the connections can carry are always asked for:
 *           whatever ends is asked for again, until flow_stop().
 * Threads   One a server, the pool's, and the caller's.
 * Errors    Said on stderr; the bench exits with status 2.
 */
#ifndef BENCH_RATES_FLOW_H
#define BENCH_RATES_FLOW_H

#include "base/config.h"
#include "base/source.h"
#include "nntp/nntp.h"
#include "tests/lib/newsd.h"
#include "tests/lib/spool.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Providers; fairness between connections is seen where each has one. */
#define FLOW_PROVIDERS 16u

struct flow_options {
    unsigned providers;
    unsigned connections; /* of each */
    unsigned pipelining;
    bool tls;
    uint64_t rate_bps;                     /* global; 0: none */
    uint64_t provider_bps[FLOW_PROVIDERS]; /* likewise */
    uint32_t part;                         /* bytes of an article */
};

struct flow_item;

struct flow {
    struct flow_options o;
    struct config cfg;
    struct spool *spool;
    struct newsd *servers[FLOW_PROVIDERS];
    struct nntp_pool *pool;
    struct flow_item *items;
    unsigned nitems;
    /* under lock */
    pthread_mutex_t lock;
    bool stopping;
    uint64_t failed; /* fetches that ended otherwise than well, while it was not stopping */
};

/** What has flowed by now. */
struct flow_sample {
    double at_s;
    uint64_t received[FLOW_PROVIDERS]; /* by the pool, from each provider */
    uint64_t sent[FLOW_PROVIDERS];     /* by each server */
    uint64_t all_received, all_sent;
    uint64_t broken; /* fetches and connections that did not end well */
    uint64_t wakes;  /* times the pool's loops went to sleep */
    double cpu_s;    /* of the pool's loops */
};

/** The servers, for what is asked of the pool in `o`. */
void flow_open(struct flow *f, const struct flow_options *o);
void flow_close(struct flow *f);

/** Another pool before the same servers, with these limits in place of the first. */
void flow_start(struct flow *f, uint64_t rate_bps);
void flow_stop(struct flow *f);

/** Wait until `s` on now_s()'s scale. */
void flow_await(double s);

void flow_sample(struct flow *f, struct flow_sample *out);

#endif
