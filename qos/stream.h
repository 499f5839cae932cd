/**
 * stream — how far ahead of a reader to fetch: the window of one open file.
 *
 * Shape     Pure; one per open file. Reads go in, the byte range worth fetching ahead comes out.
 * Units     Bytes of the file.
 * Threads   The owner serialises (the handle's lock).
 */
#ifndef QOS_STREAM_H
#define QOS_STREAM_H

#include <stdint.h>

struct qos_stream {
    /* the run: a stretch read in sequence */
    uint64_t next;   /* where the run goes on */
    uint64_t run;    /* bytes read in this run */
    uint64_t window; /* bytes wanted ahead of `next` now */
    uint64_t ahead;  /* end of what has been asked for ahead */
    uint64_t most;   /* the window's upper bound */
};

void qos_stream_init(struct qos_stream *s, uint64_t most);

/** A read of [off, off+len). Returns the range [*from, *to) to fetch ahead of it now (empty: from == to),
 *  beyond what earlier calls returned. A read that does not go on where the run is starts a new run, with
 *  no window until it has proven itself; kernels send the reads of one run slightly out of order. */
void qos_stream_read(struct qos_stream *s, uint64_t off, uint64_t len, uint64_t *from,
                     uint64_t *to);

#endif
