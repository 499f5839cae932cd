/* The words of a trace, for its writer and its reader. */
#ifndef QOS_TRACE_WORDS_H
#define QOS_TRACE_WORDS_H

#include "qos/qos.h"

#include <stddef.h>

#define QOS_TRACE_VERSION "nzbfs-trace 1"

/* Each ends in NULL. */
extern const char *const qos_trace_class[],
    *const qos_trace_urgency[], *const qos_trace_verb[], *const qos_trace_gone[],
                                                             *const qos_trace_outcome[],
                                                                 *const qos_trace_order[],
                                                                     *const qos_trace_verdict[];

/** The numbers of a configuration that belong to no class and no provider. */
struct qos_trace_setting {
    const char *name;
    size_t offset;
    bool wide; /* 64 bits; else an unsigned */
};

#define QOS_TRACE_SETTINGS 11u
extern const struct qos_trace_setting qos_trace_settings[QOS_TRACE_SETTINGS];

uint64_t qos_trace_setting_get(const struct qos_config *c, unsigned i);
/** False: the value is too large for it. */
bool qos_trace_setting_set(struct qos_config *c, unsigned i, uint64_t value);

#endif
