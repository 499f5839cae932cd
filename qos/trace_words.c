#include "qos/trace_words.h"

#include <limits.h>
#include <string.h>

const char *const qos_trace_class[] = {[TRAFFIC_QUEUE] = "queue",
                                       [TRAFFIC_HEALTH] = "health",
                                       [TRAFFIC_STREAMING] = "streaming",
                                       NULL};

const char *const qos_trace_urgency[] = {
    [URGENCY_DEMAND] = "demand", [URGENCY_READAHEAD] = "readahead", [URGENCY_SCAN] = "scan", NULL};

const char *const qos_trace_verb[] = {
    [SEGMENT_BODY] = "body", [SEGMENT_STAT] = "stat", [SEGMENT_HEAD] = "head", NULL};

const char *const qos_trace_gone[] = {[QOS_GONE_CLOSED] = "closed",   [QOS_GONE_STALE] = "stale",
                                      [QOS_GONE_BROKEN] = "broken",   [QOS_GONE_SILENT] = "silent",
                                      [QOS_GONE_REFUSED] = "refused", [QOS_GONE_LIMIT] = "limit",
                                      [QOS_GONE_LOGIN] = "login",     NULL};

const char *const qos_trace_outcome[] = {[QOS_OK] = "ok",           [QOS_NOT_HERE] = "not-here",
                                         [QOS_SPOILT] = "spoilt",   [QOS_DECLINED] = "declined",
                                         [QOS_NO_ROOM] = "no-room", NULL};

const char *const qos_trace_order[] = {
    [QOS_OPEN] = "open", [QOS_START] = "start", [QOS_CLOSE] = "close",
    [QOS_END] = "end",   [QOS_LATE] = "late",   NULL};

const char *const qos_trace_verdict[] = {[QOS_DONE] = "done",         [QOS_MISSING] = "missing",
                                         [QOS_CORRUPT] = "corrupt",   [QOS_FAILED] = "failed",
                                         [QOS_TIMEOUT] = "timeout",   [QOS_CANCELLED] = "cancelled",
                                         [QOS_REJECTED] = "rejected", NULL};

#define SETTING(name, field, is_wide)                                                              \
    {                                                                                              \
        name, offsetof(struct qos_config, field), is_wide                                          \
    }

const struct qos_trace_setting qos_trace_settings[QOS_TRACE_SETTINGS] = {
    SETTING("total", total, false),
    SETTING("reserve", reserve, false),
    SETTING("rate", rate_bps, true),
    SETTING("backoff", backoff_us, true),
    SETTING("backoff_max", backoff_max_us, true),
    SETTING("login", login_us, true),
    SETTING("probe", probe_us, true),
    SETTING("linger", linger_us, true),
    SETTING("idle", idle_us, true),
    SETTING("attempts", attempts, false),
    SETTING("cover", cover_us, true),
};

uint64_t qos_trace_setting_get(const struct qos_config *c, unsigned i)
{
    const char *at = (const char *)c + qos_trace_settings[i].offset;
    uint64_t wide;
    unsigned narrow;

    if (qos_trace_settings[i].wide) {
        memcpy(&wide, at, sizeof(wide));
        return wide;
    }
    memcpy(&narrow, at, sizeof(narrow));
    return narrow;
}

bool qos_trace_setting_set(struct qos_config *c, unsigned i, uint64_t value)
{
    char *at = (char *)c + qos_trace_settings[i].offset;
    unsigned narrow = (unsigned)value;

    if (qos_trace_settings[i].wide) {
        memcpy(at, &value, sizeof(value));
        return true;
    }
    memcpy(at, &narrow, sizeof(narrow));
    return value <= UINT_MAX;
}
