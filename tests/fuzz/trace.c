/* A trace from a stranger: the reader takes what the writer writes and nothing else, so what it took is
 * written the same again; and no facts, in whatever order, break the scheduler that they are told to, nor
 * what it promises. */

#include "qos/trace.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Larger tables only cost time. */
#define OPS_MOST     256u
#define CONNS_MOST   256u
#define STREAMS_MOST 256u

static void must(int holds)
{
    if (!holds)
        abort();
}

static struct qos *scheduler(const struct qos_trace_reader *t)
{
    struct qos_limits l = t->limits;

    l.ops = l.ops < OPS_MOST ? l.ops : OPS_MOST;
    l.conns = l.conns < CONNS_MOST ? l.conns : CONNS_MOST;
    l.streams = l.streams < STREAMS_MOST ? l.streams : STREAMS_MOST;
    return qos_new(&t->cfg, &l);
}

static void record(const struct qos_trace_reader *t, struct qos *q, const struct qos_record *r,
                   const char *line, size_t len)
{
    char again[QOS_TRACE_LINE];
    struct qos_record got;
    struct qos_order order;

    size_t n = qos_trace_record(again, sizeof(again), t->clock, r);
    must(n == len + 1 && memcmp(again, line, len) == 0);
    if (!q)
        return;
    qos_trace_feed(q, r, &got, &order);
    must(qos_trace_record(again, sizeof(again), t->clock, &got) > 0);
}

/* A line that is refused is left out, so that one wrong byte does not hide all that follows. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qos_trace_reader t = {0}, before;
    struct qos_record r;
    struct qos *q = NULL;

    for (size_t at = 0; at < size;) {
        const char *line = (const char *)data + at;
        const char *nl = memchr(line, '\n', size - at);
        size_t len = nl ? (size_t)(nl - line) : size - at;
        at += len + 1;
        before = t;
        enum qos_trace_item item = qos_trace_read(&t, line, len, &r);
        must(strlen(t.err) < sizeof(t.err));
        if (item == QOS_TRACE_ERROR)
            t = before;
        if (item == QOS_TRACE_HEAD)
            q = scheduler(&t);
        if (item == QOS_TRACE_RECORD)
            record(&t, q, &r, line, len);
    }
    must(!q || !qos_check(q));
    qos_free(q);
    return 0;
}
