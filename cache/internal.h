/**
 * cache/internal — what the files of cache/ share. Every function here is called with the cache's lock
 * held, unless it says otherwise.
 *
 * Life of a block
 *
 *     state      in table  in list           memory            leaves by
 *     FREE       no        pool              none              block_new
 *     FETCHING   yes       fetching          reserved          done(): READY or FREE (DOOMED if pinned: only
 *                                                              by early answers), or another try
 *     READY      yes       policy, fresh or  exact; idle when  eviction, drop: FREE (DOOMED if pinned)
 *                          spent             nobody pins it
 *     DOOMED     no        none              exact             the last unpin: FREE
 *
 * A *fresh* block was brought by readahead and nobody has read it yet. Other readahead may not push it
 * out but for a fair share, or windows larger than the memory would fetch everything twice; a read may.
 *
 * Life of a read:  WAITING (in a line, holds nothing) → PENDING (all memory reserved) → OVER.
 * An admitted read never waits for memory, so it ends; a waiting one holds none. That is why readers
 * cannot deadlock. Where an article is larger than what was reserved for it and no room is found, its
 * readers give back all they hold and wait again, now with the true length.
 */
#ifndef CACHE_INTERNAL_H
#define CACHE_INTERNAL_H

#include "cache/cache.h"
#include "cache/policy.h"

#include <pthread.h>

/* --- slab.c: memory in chunks -------------------------------------------------------------------- */

struct cache_slab {
    uint8_t *base;
    uint32_t *next;   /* of a free chunk: the one below it on the stack */
    uint32_t top;     /* of the stack of free chunks that were used before */
    uint32_t touched; /* chunks from here on were never used */
    uint32_t count, free;
};

/** 0, -ENOMEM, or -EINVAL: less than one chunk. Nothing is touched yet. */
int cache_slab_init(struct cache_slab *s, size_t budget);
void cache_slab_fini(struct cache_slab *s);

/** Append `n` free chunks (there must be as many) to the runs iov[0..niov), which have room for `n` more
 *  in the worst case. Chunks that lie side by side become one run. Returns the number of runs. */
unsigned cache_slab_take(struct cache_slab *s, uint32_t n, struct iovec *iov, unsigned niov);

/** Give the last `n` chunks of the runs back; returns the number of runs left. */
unsigned cache_slab_give(struct cache_slab *s, uint32_t n, struct iovec *iov, unsigned niov);

/* --- negative.c: failures remembered ------------------------------------------------------------- */

#define NEGATIVE_FILES 256

struct negative_entry;

struct cache_negative {
    struct negative_entry *ring; /* in order of age */
    uint32_t *buckets;
    uint32_t next, live;
    uint32_t files[NEGATIVE_FILES]; /* live entries by a hash of the file: mostly nought */
};

int cache_negative_init(struct cache_negative *n);
void cache_negative_fini(struct cache_negative *n);
void cache_negative_add(struct cache_negative *n, uint64_t file, uint32_t i, enum segment_result r,
                        uint64_t until_us);
bool cache_negative_find(const struct cache_negative *n, uint64_t file, uint32_t i, uint64_t now_us,
                         enum segment_result *r);
void cache_negative_remove(struct cache_negative *n, uint64_t file, uint32_t i);
void cache_negative_forget(struct cache_negative *n, uint64_t file);

/** One hash for (file, segment), used by all tables. Both are numbers of our own. */
static inline uint64_t cache_key(uint64_t file, uint32_t i)
{
    uint64_t x = file * 0x9E3779B97F4A7C15u + i;

    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

/* --- the cache ----------------------------------------------------------------------------------- */

#define CACHE_SEGMENT_MAX ((size_t)64 << 20) /* no article is that large: what says so lies */

enum block_state { BLOCK_FREE, BLOCK_FETCHING, BLOCK_READY, BLOCK_DOOMED };
enum read_state { READ_NONE, READ_WAITING, READ_PENDING, READ_OVER };
enum want_phase { WANT_OPEN, WANT_WAITING, WANT_HAS };

#define BLOCK_PAST 5  /* stages remembered: two attempts, or nearly */
#define BLOCK_RUNS 32 /* runs kept in the descriptor: 1 MiB in the worst case */

/** What its waiters have waited for from `at_us` on. */
struct cache_past {
    uint64_t at_us;
    const char *provider;
    enum cache_stage stage;
};

struct cache_block {
    struct segment_fetch fetch; /* the source's while `sent` */
    struct cache *cache;
    struct cache_file *file; /* valid while FETCHING */
    uint64_t file_id, key;
    uint32_t i;
    enum block_state state;

    struct cache_block *chain; /* in its bucket */
    struct list link;          /* pool, fetching, fresh or spent */
    struct list send;          /* a thread's list of what it is about to send */
    struct list waiters;       /* wants */
    struct cache_policy_entry entry;
    uint64_t born; /* fresh: chunks made ready so far */

    struct segment_info info; /* READY; FETCHING once `begun` */
    uint32_t chunks, pins;
    uint32_t lacked; /* chunks that begin() asked for in vain */

    /* the fetch as it is aimed now */
    enum traffic_class class;
    enum urgency urgency;
    uint64_t stream, deadline_us;
    uint64_t ahead_stream; /* whose readahead wants it */

    /* answers before the end: early.c */
    _Atomic uint32_t
        filled; /* bytes of this attempt that are in place; written by the source's thread */
    _Atomic uint32_t
        call_at; /* somebody waits for so many; UINT32_MAX: nobody. Written under the lock */
    uint64_t given_from, given_to; /* of the file: all bytes that were answered early lie between */
    uint32_t answered;             /* the most bytes that were answered early, in any attempt */
    uint32_t answered_now;         /* in the one under way */
    uint32_t owed; /* bytes answered in earlier ones, which a sound one must bring again, … */
    uint64_t owed_hash;  /* … what they were, … */
    uint64_t owed_begin; /* … and where in the file */

    /* what there is to wait for: waits.c */
    unsigned npast;
    struct cache_past past[BLOCK_PAST];

    bool sent;      /* handed to the source, done() has not run */
    bool begun;     /* `info` is that of the attempt under way */
    bool cancelled; /* the source was told that nobody wants it */
    bool stale;     /* dropped meanwhile: what comes is not to be believed */
    bool refused;   /* check() took what came, once at least, for another article */
    bool too_big;   /* larger than the budget: never to be had */
    bool ahead;     /* wanted by readahead */
    bool quoted;    /* what an attempt said of itself was answered early */
    bool lied;      /* two attempts that were answered from do not agree */
    bool unsure;    /* an answer was overwritten before it could be compared */
    bool ending;    /* done() is running: no more early answers */
    bool fresh;
    bool spent; /* READY, not in the policy: first to go */

    unsigned niov, iov_cap;
    struct iovec *iov; /* runs of whole chunks; `few`, or allocated */
    struct iovec few[BLOCK_RUNS];
};

struct cache {
    /* fixed after cache_new() */
    struct source *src;
    uint64_t (*now_us)(void);
    uint64_t negative_us;

    /* under lock */
    pthread_mutex_t lock;
    pthread_cond_t settled; /* a fetch or a wait is over; only signalled while `forgetters` */
    unsigned forgetters;

    struct cache_slab slab;
    struct cache_policy *policy;
    struct cache_negative negative;

    struct cache_block *blocks; /* one for every chunk: each block holds at least one */
    uint32_t blocks_touched, blocks_used, blocks_pinned;
    struct list pool;
    struct cache_block **buckets;
    uint64_t mask;

    struct list fetching; /* oldest first */
    struct list fresh;    /* likewise */
    struct list spent;    /* likewise: nobody pins them */
    uint32_t spent_chunks, spent_most;
    uint32_t nfetching;
    uint32_t idle;         /* chunks of READY blocks that nobody pins */
    uint32_t fresh_chunks; /* of these, the fresh ones' */
    uint64_t born;         /* chunks made ready so far: the clock by which fresh blocks age */

    struct list pending; /* reads admitted and not over */
    struct list line[2]; /* reads waiting for memory: streaming demand; all others */
    uint32_t nwaiting;
    unsigned overtakes; /* turns line 0 has had while line 1 waited */
    unsigned passes;    /* hits let through while the head of the line waited */

    uint64_t spell_us;      /* an article's time: the least of this spell … */
    uint64_t last_spell_us; /* … and of the last one; 0: none */
    unsigned spell_n;

    /* any thread */
    _Atomic uint64_t latency_us; /* the least of both */

    /* under lock */

    struct cache_stats stats; /* the counters; the rest is filled in by cache_stats() */
};

/** What is to be done once the lock is released. The lists belong to one thread. */
struct cache_work {
    struct list send;  /* blocks whose fetch is to start */
    struct list ready; /* reads that are over */
};

/* --- block.c: descriptors, table, pins, eviction ------------------------------------------------- */

int cache_blocks_init(struct cache *c);
void cache_blocks_fini(struct cache *c);

struct cache_block *cache_block_find(const struct cache *c, uint64_t file, uint32_t i);

/** A FETCHING block with `chunks` reserved; there must be as many free. NULL: no memory for its runs. */
struct cache_block *cache_block_new(struct cache *c, struct cache_file *f, uint32_t i,
                                    uint32_t chunks);
void cache_block_free(struct cache *c, struct cache_block *b);

/** Hold exactly `chunks`. What is lacking must be free. False: no memory for the runs. */
bool cache_block_resize(struct cache *c, struct cache_block *b, uint32_t chunks);

/** FETCHING → READY with `pins` pins. */
void cache_block_ready(struct cache *c, struct cache_block *b, uint32_t pins);
void cache_block_pin(struct cache *c, struct cache_block *b);
void cache_block_unpin(struct cache *c, struct cache_block *b);
/** For an early answer out of a FETCHING one. */
void cache_block_pin_early(struct cache *c, struct cache_block *b);

/** Take a READY block out of sight: freed now or with its last pin. */
void cache_block_drop(struct cache *c, struct cache_block *b);

/** It is no longer expected to be read: as evictable as any other. */
void cache_block_unfresh(struct cache *c, struct cache_block *b);

/** The last reader has had all of it: its memory is the first to be used again. Only what one reader used
 *  once; what was hit before stays in the policy's hands. */
void cache_block_spend(struct cache *c, struct cache_block *b);

/** Before `chunks` are taken: let go of spent blocks rather than touch memory that was never used. */
void cache_spent_recycle(struct cache *c, uint32_t chunks);

/** Evict until `chunks` are free. Without `fresh_too`, fresh blocks stay. False: not enough to evict. */
bool cache_room_make(struct cache *c, uint32_t chunks, bool fresh_too);

static inline uint32_t cache_chunks(uint64_t bytes)
{
    return bytes == 0 ? 1 : (uint32_t)((bytes + CACHE_CHUNK - 1) / CACHE_CHUNK);
}

/* --- fetch.c: a block and its source ------------------------------------------------------------- */

void cache_work_init(struct cache_work *w);

/** Start the fetches and run the `ready`s. Without the lock. */
void cache_work_run(struct cache *c, struct cache_work *w);

/** A new fetch of segment `i`, to be sent with `w`. NULL: no memory. */
struct cache_block *cache_fetch_new(struct cache *c, struct cache_file *f, uint32_t i,
                                    uint32_t chunks, struct cache_work *w);

/** Somebody wants it so urgently. */
void cache_fetch_promote(struct cache *c, struct cache_block *b, enum urgency u,
                         uint64_t deadline_us);

/** If nobody wants the block any more, tell the source. */
void cache_fetch_release(struct cache *c, struct cache_block *b);

/** Chunks to reserve for an article the NZB says has so many bytes. */
uint32_t cache_fetch_guess(const struct cache *c, uint32_t bytes);

/** Something of it was answered early, and is to be proven. */
static inline bool cache_early_is_owed(const struct cache_block *b)
{
    return b->answered || b->quoted;
}

static inline bool cache_fetch_is_wanted(const struct cache_block *b)
{
    return b->ahead || cache_early_is_owed(b) || !list_is_empty(&b->waiters);
}

/* --- early.c: answers before the end -------------------------------------------------------------- */

/** Answer `w` out of what is there already, pinned. False: it is to wait; when enough has come for it,
 *  progress answers. */
bool cache_early_join(struct cache *c, struct cache_block *b, struct cache_want *w);

/** The source's progress(). Without the lock. */
void cache_early_progress(struct segment_fetch *f, uint32_t bytes);

/** Another attempt is about to overwrite what was answered from: take note of it. */
void cache_early_rebegin(struct cache_block *b);

/** While done() runs: the article is sound; is it what was answered? DONE, or CORRUPT where not. Lets go of the
 *  lock meanwhile. */
enum segment_result cache_early_prove(struct cache *c, struct cache_block *b);

/** While done() runs: nothing is going to prove what was answered, or it was wrong. Likewise. */
void cache_early_disown(struct cache *c, struct cache_block *b, bool lied);

/* --- waits.c: what readers wait for --------------------------------------------------------------- */

/** From now on this is what there is to wait for. */
void cache_waits_stage(struct cache *c, struct cache_block *b, enum cache_stage stage,
                       const char *provider);

/** The source's moved(). Without the lock. */
void cache_waits_moved(struct segment_fetch *f, enum segment_stage stage, const char *provider);

/** Its article has come: how long did that take since a provider was asked? */
void cache_waits_done(struct cache *c, const struct cache_block *b);

/** It has to wait: in a line, or for its blocks. */
void cache_waits_join(struct cache *c, struct cache_read *r);
/** It leaves its line. */
void cache_waits_admit(struct cache *c, struct cache_read *r);
/** It waits no longer, and `b` (or NULL) was the last that it waited for. */
void cache_waits_for(struct cache *c, struct cache_read *r, const struct cache_block *b);
/** It is about to be cancelled. */
void cache_waits_cancel(struct cache *c, struct cache_read *r);

/* --- read.c: readers and their turn -------------------------------------------------------------- */

static inline bool cache_line_is_empty(const struct cache *c)
{
    return c->nwaiting == 0;
}

/** Memory was freed or unpinned: admit who is next, for as long as there is room. */
void cache_line_pump(struct cache *c, struct cache_work *w);

/** A want has its result. */
void cache_want_settle(struct cache *c, struct cache_want *want, enum segment_result r,
                       struct cache_work *w);

/** `want` needs `chunks` and there was no room for them: its read lets go of all it holds and waits
 *  again, before the others. */
void cache_want_bounce(struct cache *c, struct cache_want *want, uint32_t chunks,
                       struct cache_work *w);

/** Whether the read next in line could be admitted now. */
bool cache_line_is_stuck(const struct cache *c);

/* --- check.c -------------------------------------------------------------------------------------- */

/** Walk everything and compare. NULL, or what is wrong. Takes the lock itself. */
const char *cache_check(struct cache *c);

#endif
