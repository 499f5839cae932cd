/**
 * trace_run — a scheduler's random life, and the trace of it.
 *
 * Shape     One seed makes everything: shares, providers, tables too small for what is asked, answers, lost
 *           connections, other shares. There is no model: whether the orders are right is not asked here.
 */
#ifndef TESTS_QOS_TRACE_RUN_H
#define TESTS_QOS_TRACE_RUN_H

#include "qos/trace.h"

struct trace_run {
    char *text; /* the caller frees it */
    size_t len;
    uint64_t records;
    uint64_t kinds[QOS_RECORD_QUIET + 1], orders[QOS_END + 1];
    struct qos_stats stats; /* at the end */
};

/** About `steps` facts, then an end in order, but for the trace's last line, which is the caller's to add. */
void trace_run(uint64_t seed, unsigned steps, struct trace_run *out);

#endif
