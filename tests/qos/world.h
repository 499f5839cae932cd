/**
 * world — what the scheduler meets: configurations, news servers and their weather, made by dice.
 *
 * Shape     Pure: figures in, figures out. sim.c makes events of them.
 */
#ifndef TESTS_QOS_WORLD_H
#define TESTS_QOS_WORLD_H

#include "qos/qos.h"
#include "tests/qos/dice.h"

/** A configuration that is possible. With `again`: as qos_resize() may get it, some keys or all. */
void world_config(struct dice *d, struct qos_config *c, bool again);
/** One that is not. */
void world_config_spoil(struct dice *d, struct qos_config *c);

enum weather {
    WEATHER_FINE,
    WEATHER_REFUSES, /* connects, or logins, fail at once */
    WEATHER_SILENT,  /* nothing comes any more */
    WEATHER_LOCKED,  /* the password is wrong */
};

struct server {
    enum weather weather;
    unsigned bears;   /* sockets it accepts: may be fewer than the account's, and moves */
    unsigned sockets; /* as it counts them */
    unsigned sending; /* articles on the line now */
    uint64_t latency_us, jitter_us;
    uint64_t conn_bps, line_bps;                  /* of one connection; of all together */
    unsigned missing, spoilt, declined, breaking; /* permille of articles */
    unsigned tail, stragglers;                    /* permille: latency, or all of it, ten-fold */
    unsigned slow_open;                           /* permille */
};

/** Another server at that account; its sockets stay. */
void world_server(struct dice *d, struct server *v, unsigned connections);
qos_time world_open_time(struct dice *d, const struct server *v);
/** Until the answer to the first command in flight is complete; `waited`: the command has just been sent. */
qos_time world_answer_time(struct dice *d, const struct server *v, uint64_t bytes, bool waited);
/** An article is or is not there, the same at each asking. */
enum qos_outcome world_outcome(struct dice *d, const struct server *v, uint64_t article,
                               unsigned provider);

#endif
