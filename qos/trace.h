/**
 * trace — a scheduler's record (qos_watch) as text, to be read, grepped, compared, and replayed.
 *
 * Shape     Pure: into and out of the caller's memory. No I/O, no allocation.
 * Form      One item a line. First the version, then lines with `#`, which are for people, then limits, the
 *           first configuration and the clock, then every fact and every order:
 *
 *               1520 submit o1.1 streaming demand body stream=7 bytes=716800 in=60000000
 *               1520 > open c1.1 p0            an order
 *               1520 .                         no more of them at that moment
 *               9310 ready c1.1
 *               9310 > start o1.1 c1.1 p0
 *               9310 .
 *               52418 done o1.1 ok bytes=739021
 *               52418 > end o1.1 done
 *
 *           Times are microseconds since the clock in the head, deadlines since the line's own time. An
 *           operation is oSLOT.GENERATION, a connection cSLOT.GENERATION, a provider pNUMBER. The last line
 *           says whether the trace is whole; where there is none, whoever wrote it was killed.
 * Secrets   None can be in it: names, hosts and message-ids are nothing that the scheduler knows. Cookies,
 *           which are addresses, are left out.
 * Errors    A trace may come from a stranger: the reader takes what the writer writes, and nothing else.
 */
#ifndef QOS_TRACE_H
#define QOS_TRACE_H

#include "qos/qos.h"

#include <stddef.h>

/** No line is longer, its newline included. */
#define QOS_TRACE_LINE 4096u

/* --- writing ------------------------------------------------------------------------------------ */

/** All that stands before the first record, into buf[QOS_TRACE_LINE]. `clock`: no record is earlier.
 *  Returns its length; it does not end in NUL. */
size_t qos_trace_head(char *buf, const struct qos_limits *limits, const struct qos_config *cfg,
                      qos_time clock);

/** One record, in buf[room]. Returns its length, or 0 where it does not fit: QOS_TRACE_LINE always do. */
size_t qos_trace_record(char *buf, size_t room, qos_time clock, const struct qos_record *r);

/** The last line, into buf[QOS_TRACE_LINE]. `lost` NULL: the trace is whole; else why it is not. */
size_t qos_trace_tail(char *buf, const char *lost);

/* --- reading ------------------------------------------------------------------------------------ */

enum qos_trace_item {
    QOS_TRACE_NOTHING, /* a part of the head, or for people only */
    QOS_TRACE_HEAD,    /* the head is complete: limits, cfg and clock are set */
    QOS_TRACE_RECORD,
    QOS_TRACE_WHOLE, /* the last line: all is there */
    QOS_TRACE_LOST,  /* the last line: what came after is not; `err` says why */
    QOS_TRACE_ERROR, /* `err` says what is wrong with line number `line` */
};

/** Zeroed is ready. */
struct qos_trace_reader {
    struct qos_limits limits;
    struct qos_config cfg; /* the first */
    qos_time clock;
    uint64_t line; /* number of the line read last, from 1 */
    char err[256]; /* printable, whatever the line was */
    /* the reader's own */
    qos_time at;
    unsigned stage;
    struct qos_want want;
    struct qos_config resized;
    struct qos_order order;
};

/** The next line, without its newline. A record's pointers are lent until the next call. After an error,
 *  everything is one. */
enum qos_trace_item qos_trace_read(struct qos_trace_reader *t, const char *line, size_t len,
                                   struct qos_record *out);

/* --- replay ------------------------------------------------------------------------------------- */

/** Tell `q` the fact, or ask it for its next order; *got is the record that this one makes, its pointers
 *  into *order or into `r`. Is it the same? */
bool qos_trace_feed(struct qos *q, const struct qos_record *r, struct qos_record *got,
                    struct qos_order *order);

#endif
