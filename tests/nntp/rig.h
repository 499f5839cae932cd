/**
 * rig — news servers, a pool in front of them and fetches that can be waited for.
 *
 * Shape     A test sets up servers and a configuration, starts the pool, fetches, and looks at the result.
 *           Nothing sleeps: done() signals a condition.
 * Threads   The test's, but for begin() and done().
 */
#ifndef TESTS_NNTP_RIG_H
#define TESTS_NNTP_RIG_H

#include "base/config.h"
#include "base/source.h"
#include "nntp/nntp.h"
#include "tests/lib/newsd.h"
#include "tests/lib/spool.h"

#include <pthread.h>
#include <stdbool.h>

#define RIG_SERVERS  4
#define RIG_PART     20000u
#define RIG_SEED     7u
/* Of the files with a tag: small, so that hundreds are under way at little cost. */
#define RIG_TAG_PART 4000u

struct rig {
    struct spool *spool;
    struct newsd *servers[RIG_SERVERS];
    unsigned nservers;
    struct config cfg;
    const char *trace; /* the pool's, or NULL */
    struct nntp_pool *pool;
    struct source *source;
    int file; /* one generated file of `parts` parts */
    uint32_t parts;
    uint32_t tag_parts; /* of each file with a tag */
    char err[256];
};

/** A spool with one file of so many parts, an empty configuration with short time limits. */
void rig_init(struct rig *r, uint32_t parts);

/** One more file, before any server is added: its message-ids begin with this letter (newsd_tags()); all
 *  such files have as many parts, of RIG_TAG_PART bytes. */
void rig_file(struct rig *r, char tag, uint32_t parts);
int rig_file_of(const struct rig *r, char tag);
uint64_t rig_seed_of(char tag);

/** Add a server and a provider for it ("p0", "p1", …) of 4 connections, which the test may change until
 *  rig_start(). Returns its number. */
unsigned rig_server(struct rig *r, const struct newsd_config *cfg);

/** A provider without a server of ours. */
struct config_provider *rig_provider(struct rig *r, const char *host, unsigned port);

/** Shares: each class may burst to everything. */
void rig_start(struct rig *r);

/** One turn of a loop that waits for something to become so (*w zeroed first). When it has been waited for
 *  long, what servers and pool look like is printed, once; the wait goes on. */
struct rig_wait {
    uint64_t since_us;
    bool told;
};
void rig_wait(struct rig *r, struct rig_wait *w, const char *what);

/** Everything ends; the spool too. */
void rig_fini(struct rig *r);

/** A fetch of the rig, its room and its end. */
struct fetch {
    struct segment_fetch f;
    struct iovec iov;
    uint8_t *room;
    size_t cap;
    int veto; /* what begin() answers */
    unsigned begins;
    bool strict; /* begin() refuses what is not where the part belongs */
    uint64_t at; /* where that is */
    struct segment_info info;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool over;
    unsigned order; /* how many ended before it */
    enum segment_result result;
    struct source *chain; /* done() fetches `next` from it */
    struct fetch *next;
};

/** Part n (from 1) of the rig's file, by BODY, class streaming, demand. */
void fetch_init(struct fetch *t, struct rig *r, uint32_t part);
void fetch_init_id(struct fetch *t, const char *message_id);
void fetch_start(struct fetch *t, struct rig *r);
enum segment_result fetch_wait(struct fetch *t);
bool fetch_is_over(struct fetch *t);
void fetch_fini(struct fetch *t);

/** Fetch part n and say how it ended; a DONE one has exactly the right bytes or the test fails. */
enum segment_result fetch_part(struct rig *r, uint32_t part);

/** The bytes are those of part n. */
void fetch_check(struct fetch *t, uint32_t part);

#endif
