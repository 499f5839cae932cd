/**
 * source — a place segments come from. The one interface with several bodies.
 *
 * nntp's pool is one; a scripted source and a fault-injecting source are for tests. `cache` stands in
 * front of any of them.
 *
 * Words     A *segment* is one numbered piece of a file in an NZB, posted as one *article*. Its
 *           article carries one *yEnc part*, which says itself which bytes of the file it holds.
 * Order     fetch → (moved → begin → progress*)* → done. begin() runs once for each attempt whose article shows a usable
 *           yEnc header (a corrupt attempt is followed by another, at another provider); done() runs
 *           exactly once, after the last begin().
 * Threads   fetch, promote and cancel: any. moved, begin, progress and done run on a thread of the source, never
 *           inside fetch, promote or cancel, with no lock of the source held.
 */
#ifndef BASE_SOURCE_H
#define BASE_SOURCE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/** The classes that share the pool (Queue, HealthCheck, BufferedStreaming). */
enum traffic_class { TRAFFIC_QUEUE, TRAFFIC_HEALTH, TRAFFIC_STREAMING };
#define TRAFFIC_CLASSES 3

/** Inside a class, the smaller goes first. */
enum urgency {
    URGENCY_DEMAND,    /* a reader is blocked on it */
    URGENCY_READAHEAD, /* a reader is expected to get there */
    URGENCY_SCAN,      /* a handle that only looks around */
};

/** What is asked of the article. STAT and HEAD bring no payload: begin() does not run for them. */
enum segment_verb { SEGMENT_BODY, SEGMENT_STAT, SEGMENT_HEAD };

enum segment_result {
    SEGMENT_DONE,      /* all payload is in place, its length and CRC are right */
    SEGMENT_MISSING,   /* every provider that could hold it said that it does not */
    SEGMENT_CORRUPT,   /* it was found, but no provider had it undamaged */
    SEGMENT_FAILED,    /* no provider could be asked, or each broke off; it may be there */
    SEGMENT_TIMEOUT,   /* the deadline passed first */
    SEGMENT_NOSPACE,   /* begin() said -ENOSPC */
    SEGMENT_CANCELLED, /* cancel() came first */
};

/** A short English word for log lines and messages: "missing", "corrupt", … */
const char *segment_result_name(enum segment_result r);

/** What an article says of itself, decoded from =ybegin and =ypart. */
struct segment_info {
    uint64_t file_size; /* bytes of the whole file */
    uint64_t begin;     /* offset in the file of the part's first byte, from 0 */
    uint32_t len;       /* bytes of the part */
    uint32_t part;      /* its number, from 1; 0: not told */
    uint32_t total;     /* number of parts; 0: not told */
    const char *name;   /* lent until begin() returns; may be "" */
};

struct segment_want {
    const char *message_id; /* without < >; lent until done() */
    const char *group;      /* one group it was posted to, or NULL; lent until done() */
    uint64_t posted_s;      /* Unix time of the post; 0: unknown */
    uint64_t stream;        /* whose turn it takes: the open file, or the job */
    uint64_t deadline_us;   /* clock_now_us() scale; 0: none */
    uint32_t bytes;         /* about how many bytes it will bring; 0: unknown */
    enum traffic_class class;
    enum urgency urgency;
    enum segment_verb verb;
};

struct segment_fetch;

/** Where a fetch is between fetch() and begin(), for those who tell a reader why he waits. */
enum segment_stage {
    SEGMENT_QUEUED, /* on no connection: as it begins, and again after an attempt that was not the last */
    SEGMENT_SENT, /* a provider has been asked; its answer has not begun */
};

struct segment_fetch_ops {
    /** The fetch has come to another stage. `provider`: of SENT, its name, lent until the source ends; else
     *  NULL. NULL: nobody asks. */
    void (*moved)(struct segment_fetch *f, enum segment_stage stage, const char *provider);
    /** The header is known: set f->dst and f->ndst to at least info->len bytes of room.
     *  0: go on. -ENOSPC: no room; the fetch ends SEGMENT_NOSPACE. -EBADMSG: this cannot be the
     *  segment that was asked for; the attempt counts as corrupt and another provider is asked. */
    int (*begin)(struct segment_fetch *f, const struct segment_info *info);
    /** Payload has come: so many bytes of this attempt, from its first on, are in place. Nothing has been
     *  proven yet: the attempt may turn out damaged, or break off. Runs between begin() and the next
     *  begin() or done(), on the same thread. NULL: nobody asks. */
    void (*progress)(struct segment_fetch *f, uint32_t bytes);
    /** The end; `f` is the caller's again. */
    void (*done)(struct segment_fetch *f, enum segment_result r);
};

/** One segment on its way. Lent to the source from fetch() until done(). */
struct segment_fetch {
    struct segment_want want; /* set before fetch() */
    const struct segment_fetch_ops *ops;
    struct iovec *dst; /* where payload goes, in order; lent from begin() until done() */
    unsigned ndst;
    uint64_t handle; /* the source's own */
};

static inline void segment_moved(struct segment_fetch *f, enum segment_stage stage,
                                 const char *provider)
{
    if (f->ops->moved)
        f->ops->moved(f, stage, provider);
}

struct source;

struct source_ops {
    void (*fetch)(struct source *s, struct segment_fetch *f);
    /** `f` became more urgent (never less). Harmless when it is under way already. */
    void (*promote)(struct source *s, struct segment_fetch *f, enum urgency u,
                    uint64_t deadline_us);
    /** Nobody wants `f` any more. What has not been sent is withdrawn and ends SEGMENT_CANCELLED;
     *  what has been sent may run to its end and then says how that was. */
    void (*cancel)(struct source *s, struct segment_fetch *f);
    /** One more (+1), or one less (-1), may begin to fetch for streaming any moment: an open file. What can be
     *  made ready for that is. Any thread. NULL: nothing can. */
    void (*expect)(struct source *s, int by);
};

/** Embedded in its body; found again by container_of(). */
struct source {
    const struct source_ops *ops;
};

/* The caller keeps `f` alive until done(); promote and cancel may be called only while it is sure that
 * done() has not returned: that is, under the lock that its own done() takes. */
static inline void source_fetch(struct source *s, struct segment_fetch *f)
{
    s->ops->fetch(s, f);
}

static inline void source_promote(struct source *s, struct segment_fetch *f, enum urgency u,
                                  uint64_t deadline_us)
{
    s->ops->promote(s, f, u, deadline_us);
}

static inline void source_expect(struct source *s, int by)
{
    if (s->ops->expect)
        s->ops->expect(s, by);
}

static inline void source_cancel(struct source *s, struct segment_fetch *f)
{
    s->ops->cancel(s, f);
}

#endif
