#include "qos/internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#define DEFAULT_BACKOFF_US     250000u
#define DEFAULT_BACKOFF_MAX_US 30000000u
#define DEFAULT_PROBE_US       30000000u
#define DEFAULT_LINGER_US      2000000u
#define DEFAULT_IDLE_US        60000000u
#define DEFAULT_COVER_US       1000000u
#define DEFAULT_ATTEMPTS       3

/* An hour is longer than any of these times is sensibly set, and sums of times stay far from overflow. */
#define MOST_US                3600000000u

/* Leases times connections times this still fits 64 bits. */
#define MOST_WEIGHT            1000000u

static const char *const class_names[TRAFFIC_CLASSES] = {"queue", "health", "streaming"};

static int refuse(char *err, size_t errlen, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static int refuse(char *err, size_t errlen, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err, errlen, fmt, ap);
    va_end(ap);
    return -EINVAL;
}

static uint64_t providers_sum(const struct qos_config *cfg)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < cfg->nproviders; i++)
        sum += cfg->providers[i].connections;
    return sum;
}

static uint64_t total_of(const struct qos_config *cfg)
{
    uint64_t sum = providers_sum(cfg);
    return cfg->total && cfg->total < sum ? cfg->total : sum;
}

int qos_config_check(const struct qos_config *cfg, char *err, size_t errlen)
{
    if (cfg->nproviders > QOS_PROVIDERS)
        return refuse(err, errlen, "%u providers are more than %d", cfg->nproviders, QOS_PROVIDERS);
    uint64_t total = total_of(cfg), guaranteed = 0;
    if (!total)
        return refuse(err, errlen, "no provider has connections");
    if (providers_sum(cfg) > 1000000)
        return refuse(err, errlen, "the providers' connections are more than a million");
    for (unsigned i = 0; i < TRAFFIC_CLASSES; i++) {
        const struct qos_class_config *c = &cfg->classes[i];
        if (!c->burst)
            return refuse(err, errlen, "class %s: burst is 0, so it could never run",
                          class_names[i]);
        if (c->guaranteed > c->burst)
            return refuse(err, errlen, "class %s: guaranteed %u is more than burst %u",
                          class_names[i], c->guaranteed, c->burst);
        if (c->burst > total)
            return refuse(err, errlen,
                          "class %s: burst %u is more than the pool's %llu connections",
                          class_names[i], c->burst, (unsigned long long)total);
        if (c->hedge > 1000)
            return refuse(err, errlen, "class %s: hedge is more than all of its traffic",
                          class_names[i]);
        guaranteed += c->guaranteed;
    }
    if (guaranteed > total)
        return refuse(
            err, errlen,
            "the classes' guaranteed connections add up to %llu, more than the pool's %llu",
            (unsigned long long)guaranteed, (unsigned long long)total);
    if (cfg->reserve >= total)
        return refuse(err, errlen, "reserve %u leaves none of the pool's %llu connections",
                      cfg->reserve, (unsigned long long)total);
    return 0;
}

static qos_time or_default(qos_time set, qos_time otherwise)
{
    if (!set)
        return otherwise;
    return set < MOST_US ? set : MOST_US;
}

void qos_config_resolve(const struct qos_config *cfg, struct qos_config *out)
{
    *out = *cfg;
    out->total = (unsigned)total_of(cfg);
    out->backoff_us = or_default(cfg->backoff_us, DEFAULT_BACKOFF_US);
    out->backoff_max_us = or_default(cfg->backoff_max_us, DEFAULT_BACKOFF_MAX_US);
    if (out->backoff_max_us < out->backoff_us)
        out->backoff_max_us = out->backoff_us;
    out->login_us = or_default(cfg->login_us, out->backoff_max_us);
    out->probe_us = or_default(cfg->probe_us, DEFAULT_PROBE_US);
    out->linger_us = or_default(cfg->linger_us, DEFAULT_LINGER_US);
    out->idle_us = or_default(cfg->idle_us, DEFAULT_IDLE_US);
    out->cover_us = or_default(cfg->cover_us, DEFAULT_COVER_US);
    out->attempts = cfg->attempts ? cfg->attempts : DEFAULT_ATTEMPTS;
    if (out->attempts > QOS_ATTEMPTS)
        out->attempts = QOS_ATTEMPTS;
    for (unsigned i = 0; i < out->nproviders; i++) {
        struct qos_provider_config *p = &out->providers[i];
        p->weight = p->weight ? p->weight : 1;
        p->weight = p->weight < MOST_WEIGHT ? p->weight : MOST_WEIGHT;
        p->pipelining = p->pipelining ? p->pipelining : 1;
        if (p->pipelining > QOS_DEPTH)
            p->pipelining = QOS_DEPTH;
    }
    for (unsigned i = 0; i < TRAFFIC_CLASSES; i++) {
        struct qos_class_config *c = &out->classes[i];
        if (!c->weight)
            c->weight = c->guaranteed ? c->guaranteed : 1;
    }
}
