/**
 * trace — the scheduler's record, written to a file while the pool works.
 *
 * Shape     Records go into memory under the pool's lock, and to disk by a thread of its own: the pool
 *           never waits for a disk. The buffer is bounded; when it is full, or the disk is, the trace
 *           ends there, the file says so where that is possible, and the pool goes on.
 * Threads   One, which sleeps while there is nothing to write. What waits is written within a second.
 * Locks     The trace's own, taken inside the pool's, is a leaf; nobody holds it while writing.
 */
#ifndef NNTP_TRACE_H
#define NNTP_TRACE_H

#include "qos/qos.h"

struct nntp_trace;

/* Bytes on their way to the disk, twice. An article is some 200 bytes of trace, so this is minutes of a
 * disk's absence at what a home's line carries; what is not used is not touched. */
#define NNTP_TRACE_BUFFER ((size_t)4 << 20)

/** Make the file anew, readable by its owner alone, and start the thread. Only a plain file is replaced.
 *  `buffer`: NNTP_TRACE_BUFFER, or for tests as little as QOS_TRACE_LINE.
 *  0, or -errno with one line in err[errlen]. */
int nntp_trace_open(const char *path, size_t buffer, struct nntp_trace **out, char *err,
                    size_t errlen);

/** From now on what `q` is told and says is recorded; it is as new as qos_new() made it. `limits` and
 *  `cfg` are what it was made with. */
void nntp_trace_attach(struct nntp_trace *t, struct qos *q, const struct qos_limits *limits,
                       const struct qos_config *cfg, qos_time now);

/** Write the rest and close the file. The scheduler it was attached to is not called any more. NULL: does
 *  nothing. */
void nntp_trace_close(struct nntp_trace *t);

#endif
