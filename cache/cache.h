/**
 * cache — the memory tier: decoded segments as blocks, in front of any source.
 *
 * Shape     A *block* is one segment of one file. It is absent, being fetched, or ready; a ready block
 *           that nobody pins may be evicted. Readers name a set of blocks and get them pinned together.
 * Memory    One slab of `budget` bytes, cut in chunks of CACHE_CHUNK; a block is a list of chunks. No
 *           byte of payload is ever held outside it, so the budget is hard. Chunks are reserved before
 *           a fetch starts. A read that finds no room waits its turn, first come first served, holding
 *           nothing meanwhile: so readers cannot deadlock on memory. Readahead never waits: it is
 *           refused when room would have to come from blocks in use.
 * Order     One fetch per segment however many want it; a more urgent one promotes it. Streaming reads
 *           of urgency demand wait in front of all others, but not for ever.
 * Policy    cache/policy.h: scan-resistant, pure. Blocks that are *spent* stand before it: once there is
 *           CACHE_BEHIND of them their memory is used again, also while there is memory that was never
 *           touched. So a long sequential read lives in a few megabytes that stay in the processor's
 *           caches, and the rest of the budget is left for what is read again.
 * Threads   Any. One mutex: never held across begin() and done() of a source's caller, `ready`,
 *           describe() or check(). fetch, promote and cancel of the source are called with it held, so
 *           the order is cache, then source; a source calls nobody back with its own lock held, and so
 *           there is no circle. `ready` must not wait for anything of the cache.
 * Early     A want may say how many bytes from the segment's beginning will do: it is answered when they are in
 *           place, though the article has not ended and its CRC is not known. The block is then fetched to
 *           its end whoever has gone meanwhile. When an attempt fails after such an answer, what a later one
 *           brings is held against what was answered; disowned() tells when they differ, or when no later
 *           one comes. The last byte of a segment is never given early. Of a header nothing is compared: who
 *           was told one hears what holds in proven(), or that nothing does in disowned().
 * Failures  A segment that ended MISSING or CORRUPT is remembered for `negative_us`, so that a reader
 *           that tries page after page costs one round of questions. FAILED and TIMEOUT are not.
 *           Where check() refused an article, CORRUPT is remembered for a sixtieth of that: what the
 *           file knows of itself may be wrong, and its next article may set it right.
 *           NOSPACE: an article is larger than the budget (remembered as well), or the articles of one
 *           read are larger together, which was only learnt on the way: ask for fewer at a time.
 */
#ifndef CACHE_CACHE_H
#define CACHE_CACHE_H

#include "base/list.h"
#include "base/source.h"

#include <stdbool.h>
#include <sys/uio.h>

#define CACHE_CHUNK  ((size_t)32 << 10)
#define CACHE_BEHIND ((size_t)8 << 20) /* or a quarter of the budget, if that is less */

struct cache;
struct cache_block;
struct cache_file;

struct cache_file_ops {
    /** Fill in message_id, group, posted_s and bytes for segment `i`; strings live as long as the file. */
    void (*describe)(const struct cache_file *f, uint32_t i, struct segment_want *out);
    /** An article says `info` for segment `i`. 0, or -EBADMSG: it cannot be (base/source.h, begin). */
    int (*check)(struct cache_file *f, uint32_t i, const struct segment_info *info);
    /** Of segment `i` something was answered early, and it has turned out that bytes of that were wrong (`lied`:
     *  the segment ends CORRUPT) or that nobody can tell. All bytes so answered lie in [begin, end) of the
     *  file; where that is empty only headers were. NULL: nothing is answered early. No lock is held; on a
     *  thread of the source. */
    void (*disowned)(struct cache_file *f, uint32_t i, uint64_t begin, uint64_t end, bool lied);
    /** Of segment `i` something was answered early, its article has come to a sound end, and it says `info`;
     *  which need not be what a header said that was answered. disowned() may follow. Likewise; NULL: nobody asks. */
    void (*proven)(struct cache_file *f, uint32_t i, const struct segment_info *info);
    /** An attempt at segment `i` has brought bytes and come to no sound end, whether they were looked at or not: who
     *  asks for it again may be given the same. Likewise; NULL: nobody asks. */
    void (*doubted)(struct cache_file *f, uint32_t i);
};

/** What the cache must know of a file: embedded in the caller's, lent until cache_forget(). */
struct cache_file {
    uint64_t id; /* unique in the process, never reused */
    const struct cache_file_ops *ops;
};

struct cache_config {
    size_t budget;            /* bytes */
    uint64_t negative_us;     /* how long MISSING and CORRUPT are remembered; 0: 60 s */
    uint64_t (*now_us)(void); /* NULL: clock_now_us */
};

/** `src` is lent until cache_free(). NULL: no memory. */
struct cache *cache_new(const struct cache_config *cfg, struct source *src);

/** No read or fetch may be under way: cancel the reads, then stop the source, first. */
void cache_free(struct cache *c);

/* --- reading ----------------------------------------------------------------------------------- */

/** What a read that is not answered at once waits for. */
enum cache_stage {
    CACHE_WAITS_MEMORY,     /* its turn: what it wants does not fit beside what is in use */
    CACHE_WAITS_CONNECTION, /* a connection that may be used for it */
    CACHE_WAITS_ANSWER,     /* a provider has been asked: the beginning of its article */
    CACHE_WAITS_BYTES,      /* as many bytes of the article as it needs, or its end */
};
#define CACHE_STAGES 4
#define CACHE_SPANS  8

/** How a wait went, from its beginning to its end without a gap. Where a read waited for several segments: what
 *  the last of them to arrive was about. */
struct cache_waits {
    uint64_t since_us; /* 0: it has not waited */
    unsigned n;
    struct cache_span {
        uint64_t until_us;
        const char
            *provider; /* ANSWER and BYTES: whose; as moved() of the source said it, or NULL */
        enum cache_stage stage;
    } spans[CACHE_SPANS];
};

/** One block of a read. */
struct cache_want {
    uint32_t i;     /* in: which segment */
    uint32_t early; /* in: so many bytes of its beginning will do; 0: all of it, proven */
    bool
        header; /* in, with `early` 1: only what its article says of itself, and none of its bytes */
    uint32_t
        there; /* out, where DONE: bytes of it that may be looked at; less than info.len: not proven */
    enum segment_result result; /* out */
    struct segment_info info;   /* out, where DONE (name is NULL) */
    struct cache_block *block;  /* out, where DONE: pinned until cache_read_end() */
    bool
        spent; /* in, before cache_read_end(): it has been read to its end and somebody above keeps what
                   was read (the kernel does), so its memory is the first to be used again */
    struct list link; /* the cache's own, from here on */
    struct cache_read *read;
    uint32_t room; /* chunks to reserve */
    bool sure;     /* `room` was learnt from the article, not guessed from the NZB */
    uint8_t phase;
};

/** Blocks of one file wanted together: the caller's memory, lent from start until `ready` has run or
 *  cancel has returned true; the pins until cache_read_end(). Zero it, then fill in. */
struct cache_read {
    struct cache_file *file;
    enum traffic_class class;
    enum urgency urgency;
    uint64_t stream;
    uint64_t deadline_us; /* 0: none. For the source; the caller keeps its own watch as well */
    /** Every want has its result (some may have failed: the others are still pinned). Runs once, on a
     *  thread of the source or of another caller of the cache, with no lock held; not inside start. */
    void (*ready)(struct cache_read *r);
    struct cache_want *wants; /* distinct segments */
    unsigned nwants;
    /** How it waits is added here; several reads, one after the other, may tell one story. Lent like the read,
     *  and the asker's to look at once `ready` runs or cancel has returned true. NULL: nobody asks. */
    struct cache_waits *waits;

    struct list link; /* the cache's own, from here on */
    unsigned left;
    unsigned state;
    unsigned rounds; /* how often an article turned out larger than what was reserved for it */
};

enum cache_start {
    CACHE_READY,   /* all results are there, now; `ready` will not run */
    CACHE_PENDING, /* `ready` will run, unless cancelled */
    CACHE_TOO_BIG, /* the set is known never to fit in the budget; nothing was started */
};

enum cache_start cache_read_start(struct cache *c, struct cache_read *r);

/** True: `ready` will not run, nothing is pinned. False: too late, `ready` has run or is about to.
 *  What readahead has asked for as well goes on. */
bool cache_read_cancel(struct cache *c, struct cache_read *r);

/** Give the pins back. */
void cache_read_end(struct cache *c, struct cache_read *r);

/** The bytes [off, off+len) of a pinned block, as at most `max` pieces; returns their number. Of a block that
 *  was answered early only those below `there` may be asked for. */
unsigned cache_block_iov(const struct cache_block *b, uint32_t off, uint32_t len, struct iovec *iov,
                         unsigned max);

/** One more (+1), or one less (-1), may begin to read any moment; the source is told. */
void cache_expect(struct cache *c, int by);

/* --- readahead --------------------------------------------------------------------------------- */

enum cache_ahead {
    CACHE_AHEAD_STARTED,
    CACHE_AHEAD_THERE,   /* ready, on its way, or known not to be had */
    CACHE_AHEAD_NO_ROOM, /* try again when something was read */
};

/** Fetch segment `i` without anybody waiting for it. */
enum cache_ahead cache_ahead(struct cache *c, struct cache_file *f, uint32_t i,
                             enum traffic_class class, enum urgency urgency, uint64_t stream);

/** Withdraw what was asked ahead for `stream` and nobody waits for; what is on the wire goes on. */
void cache_ahead_drop(struct cache *c, struct cache_file *f, uint64_t stream);

/** Segments [first, end) of a file. */
struct cache_range {
    uint32_t first, end;
};

/** The same, but for what lies in one of these ranges. */
void cache_ahead_keep(struct cache *c, struct cache_file *f, uint64_t stream,
                      const struct cache_range *keep, unsigned nkeep);

/** From asking a provider for an article to its end: the least of late; 0: not known yet. */
uint64_t cache_latency_us(struct cache *c);

/* --- upkeep ------------------------------------------------------------------------------------ */

/** Forget what is held of segment `i` (a wrong article, a failure remembered). A pinned block stays
 *  readable for those who pin it and is freed with the last pin. */
void cache_drop(struct cache *c, struct cache_file *f, uint32_t i);

/** Forget everything of a file and wait until nothing of it is under way: fetches that nobody waits for
 *  are cancelled, reads still out are waited for. Never on a thread of the source, nor inside `ready`. */
void cache_forget(struct cache *c, struct cache_file *f);

struct cache_stats {
    size_t budget, used, used_peak; /* bytes of chunks; used <= budget always */
    size_t blocks, pinned, fetching, waiting_reads;
    uint64_t early, disowned; /* wants answered early; segments that were disowned */
    uint64_t hits, misses, joins, evictions, ahead_started, ahead_refused, failed;
};

void cache_stats(struct cache *c, struct cache_stats *out);

/** What one stream waits for now, and what is there ahead of it. */
struct cache_look {
    uint64_t stream;  /* in */
    unsigned waiting; /* out: reads that wait and whose `waits` somebody wants; */
    enum cache_stage stage;
    const char *provider;
    uint64_t since_us;      /* the first of them waits for that, since then */
    uint64_t ready, coming; /* bytes that were fetched ahead and are not read; asked for */
};

/** `looks` are in the order of their streams, and zero but for them. */
void cache_looks(struct cache *c, struct cache_look *looks, size_t n);

#endif
