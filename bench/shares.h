/**
 * shares — what the pool's shares are worth on real sockets, in real time.
 *
 * Shape     A *stage* is one or two news servers in this process, and a real pool before them. A *load* is
 *           one class's demand. Each scene sets up a stage, lets loads run and holds what it measures against
 *           a bound; the report says which held.
 * Time      Everything is measured against one *article time*: what an article takes on the same stage,
 *           when its connection is warm and nothing else is under way.
 * Errors    What keeps a scene from being measured is said on stderr and ends the program with status 2;
 *           a bound that does not hold ends it with 1, after all scenes.
 */
#ifndef BENCH_SHARES_H
#define BENCH_SHARES_H

#include "base/config.h"
#include "base/source.h"
#include "nntp/nntp.h"
#include "tests/lib/newsd.h"
#include "tests/lib/spool.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/** Say why on stderr; exit status 2. */
_Noreturn void shares_die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* --- samples and the report (shares_report.c) ------------------------------------------------------- */

struct samples {
    double *v;
    unsigned n, room;
};

void samples_add(struct samples *s, double v);
/** The value below which `p` percent lie; 0 when there is none. Sorts. */
double samples_percentile(struct samples *s, double p);
void samples_fini(struct samples *s);

enum bound { BOUND_NONE, BOUND_MOST, BOUND_LEAST };

struct report;

struct report *report_new(bool json);
/** A new scene, and its settings in words. */
void report_scene(struct report *r, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/** One measured value: `unit` is lent for ever, the text is what was measured. */
void report_line(struct report *r, double value, const char *unit, enum bound kind, double bound,
                 const char *fmt, ...) __attribute__((format(printf, 6, 7)));
/** Prints what is left to print. True: every bound held. */
bool report_free(struct report *r);

/* --- the stage (shares_stage.c) --------------------------------------------------------------------- */

#define STAGE_SERVERS 2

/** How fast a server is; the same for every connection. */
struct pace {
    unsigned latency_us, jitter_us;
    uint64_t rate_bps;
    uint32_t payload; /* of an article, decoded */
};

struct stage {
    struct pace pace;
    struct spool *spool;
    struct newsd *servers[STAGE_SERVERS];
    unsigned nservers;
    struct config cfg;
    struct nntp_pool *pool;
    struct source *source;
    double article_us; /* alone, from fetch to done: the median */
    unsigned spread; /* percent by which the articles of loads made from now on differ in size: else
                          connections come to end theirs all at the same moment */
    uint64_t dice;
};

/** Nothing configured but short time limits and bursts to everything. */
void stage_init(struct stage *s, const struct pace *pace);
/** Another server at the stage's pace, and a provider of so many connections. */
unsigned stage_server(struct stage *s, unsigned connections);
unsigned stage_server_at(struct stage *s, unsigned connections, const struct pace *pace);
void stage_class(struct stage *s, enum traffic_class class, unsigned guaranteed, unsigned burst);
/** Start the pool, open every connection and take the article time. */
void stage_start(struct stage *s);
/** Start the pool and leave it cold. */
void stage_start_cold(struct stage *s);
/** The configuration in `s->cfg` as it is now. */
void stage_resize(struct stage *s);
void stage_fini(struct stage *s);

/** The message-id of article `i` of `tag`, posted now unless it was before. Lives as long as the stage. */
void stage_article(struct stage *s, char tag, unsigned i, uint32_t payload, char id[48]);

void stage_stats(struct stage *s, struct nntp_pool_stats *out);
unsigned stage_leased(struct stage *s, enum traffic_class class);
/** Connections that server `i` counts. */
unsigned stage_connections(struct stage *s, unsigned i);

/** Even in 0…most-1, the same in every run. */
uint64_t stage_dice(struct stage *s, uint64_t most);

/** The main thread's. */
void pause_us(uint64_t us);
/** By how much pauses since the last call were too long, 99th percentile and worst: how busy the machine was. */
double pause_late_us(double *worst);

/** Look every millisecond until `is` holds. False: it did not within `limit_us`. */
bool stage_await(struct stage *s, bool (*is)(struct stage *s, const void *arg), const void *arg,
                 uint64_t limit_us);

/** So many leases are of that class. */
struct leases {
    enum traffic_class class;
    unsigned n;
};
bool stage_has_leases(struct stage *s, const void *leases);

/* --- loads (shares_load.c) -------------------------------------------------------------------------- */

struct load_item;

struct load {
    /* fixed after load_init() */
    struct stage *stage;
    enum traffic_class class;
    uint64_t stream;
    struct load_item *items;
    unsigned n;
    /* set before anything is fetched */
    enum urgency urgency;
    bool timing; /* keep `got` and `took` */
    /* under lock */
    pthread_mutex_t lock; /* before the pool's */
    pthread_cond_t ended;
    bool refill; /* what has ended is asked for again */
    unsigned out;
    uint64_t submitted, ends[SEGMENT_CANCELLED + 1], doubled, bytes;
    struct samples
        got; /* us from fetch() until the server had the command: until the first bytes of the
                            answer, less the server's latency */
    struct samples took; /* us from fetch() to done() */
};

/** `n` articles of `payload` bytes (or less: stage.spread) whose message-ids begin with `tag`; one stream. */
void load_init(struct load *l, struct stage *s, enum traffic_class class, char tag, unsigned n,
               uint32_t payload);
/** Keep all `n` asked for; the first round spread over `ramp_us`. */
void load_start(struct load *l, uint64_t ramp_us);
/** Ask for articles `from` to `to`-1 once. */
void load_once(struct load *l, unsigned from, unsigned to);
/** Wait until nothing is out. False: something still was after `limit_us`. */
bool load_wait(struct load *l, uint64_t limit_us);
/** Nothing more is asked for, and what waits is withdrawn. */
void load_cancel(struct load *l);
/** The same, and wait for what was under way. */
void load_stop(struct load *l);
/** Articles that came, and all that has ended. */
uint64_t load_done(struct load *l);
uint64_t load_ended(struct load *l);
uint64_t load_bytes(struct load *l);
void load_fini(struct load *l);

/* --- the scenes ------------------------------------------------------------------------------------- */

struct scenes {
    struct report *report;
    bool quick;
};

void scene_worked(struct scenes *x);
void scene_reclaim(struct scenes *x);
void scene_reader(struct scenes *x);
void scene_ceiling(struct scenes *x);
void scene_dying(struct scenes *x);
void scene_fair(struct scenes *x);
void scene_cancel(struct scenes *x);

#endif
