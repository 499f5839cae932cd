/**
 * stream — how far ahead of a reader to fetch: the windows of one open file.
 *
 * Shape     Pure; one per open file. Reads go in, the bytes worth fetching ahead come out. Nothing is asked for
 *           but inside a read: a reader that pauses stops it.
 * Run       A stretch read in sequence. There are several, since a player reads the head, the tail and an index
 *           before it settles, or sound and picture from two places; of too many the one longest unread goes.
 *           Kernels send the requests of their own readahead side by side, so they come slightly out of order.
 * Window    What is wanted ahead of a run: nothing until it has shown itself to be one, then at most some times
 *           what was read of it, and no more than its reader uses up while an article comes, with a margin. So
 *           a player has a small one; for a reader that always waits, what it reads in that time grows with
 *           its window, until the connections are full.
 * Held      What was asked for ahead and has not been read yet. Never more than `most` over all runs, and
 *           never the same byte twice for one run unless it was withdrawn meanwhile.
 * Budget    Of a stream that looks like a scan (wary, or many jumps in a row) what was asked for ahead and is not
 *           read is counted. Over all its life that is never more than QOS_STREAM_VAIN and what it has read.
 * Jumps     A read that belongs to no run begins one, and what the others hold is withdrawn; one that is read on
 *           asks again. A skip forward of a few megabytes keeps its run, the window and what lies in front.
 * Units     Bytes of the file; microseconds.
 * Threads   The owner serialises (the handle's lock).
 */
#ifndef QOS_STREAM_H
#define QOS_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#define QOS_STREAM_RUNS 4u
#define QOS_STREAM_VAIN (UINT64_C(8) << 20)

struct qos_run {
    uint64_t begin;  /* where it began, or has skipped to */
    uint64_t next;   /* where it goes on: behind the furthest byte that was read */
    uint64_t bytes;  /* read in it; less after a skip. 0: no run */
    uint64_t window; /* bytes wanted ahead of `next` */
    uint64_t ahead;  /* end of what was asked for ahead; at least `next` */
    uint64_t turn;   /* s->reads at its last read … */
    uint64_t total;  /* … and s->total */
    uint64_t reads;
};

struct qos_stream {
    /* the caller's, at any time */
    uint64_t most;       /* held at most */
    uint64_t size;       /* of the file; nothing behind it is asked for. UINT64_MAX: unknown */
    uint64_t article;    /* bytes of one, about */
    uint64_t latency_us; /* from asking for one to its end; 0: unknown */
    bool scan;           /* somebody who only looks around: nothing is asked for ahead */
    bool wary;           /* likely so: not before a run is a long one */

    /* its own */
    struct qos_run runs[QOS_STREAM_RUNS];
    uint64_t reads, total; /* so far: reads, and their bytes */
    uint64_t rate_bps;     /* bytes a second, pauses left out; 0: not known yet */
    uint64_t seen_us, spell_us, spell_bytes;
    uint64_t vain;  /* bytes asked for ahead and given up unread while it looked like a scan */
    unsigned jumps; /* in a row, without having read on from where they went */
};

/** What a read makes worth asking for. */
struct qos_ahead {
    unsigned run;
    uint64_t from, to; /* empty: from == to */
    bool withdraw; /* some runs hold less than before: whatever is outside of qos_stream_held() */
};

void qos_stream_init(struct qos_stream *s, uint64_t most);

/** A read of [off, off+len). What is asked for of `out` is to be told by qos_stream_asked(). */
void qos_stream_read(struct qos_stream *s, uint64_t now_us, uint64_t off, uint64_t len,
                     struct qos_ahead *out);

/** For run `out->run` all up to `to` has been asked for, or is there. */
void qos_stream_asked(struct qos_stream *s, unsigned run, uint64_t to);

/** There was no room for what lies from `from` on: it counts as not asked for. */
void qos_stream_refused(struct qos_stream *s, unsigned run, uint64_t from);

/** What run `run` holds; false: nothing. */
bool qos_stream_held(const struct qos_stream *s, unsigned run, uint64_t *from, uint64_t *to);

/** What all runs hold together. */
uint64_t qos_stream_ahead(const struct qos_stream *s);

/** Bytes that were read of the run which a read at `off` goes straight on with; 0: it begins, or jumps. */
uint64_t qos_stream_run(const struct qos_stream *s, uint64_t off);

#endif
