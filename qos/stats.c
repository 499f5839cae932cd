#include "qos/internal.h"

#include <string.h>

static void class_stats(const struct class *k, struct qos_class_stats *out)
{
    *out = (struct qos_class_stats){
        .guaranteed = k->cfg.guaranteed,
        .burst = k->cfg.burst,
        .weight = k->cfg.weight,
        .leased = k->leased,
        .waiting = k->waiting,
        .granted_guarantee = k->granted_guarantee,
        .granted_burst = k->granted_burst,
        .done = k->ends[QOS_DONE],
        .missing = k->ends[QOS_MISSING],
        .corrupt = k->ends[QOS_CORRUPT],
        .failed = k->ends[QOS_FAILED] + k->ends[QOS_REJECTED],
        .timeout = k->ends[QOS_TIMEOUT],
        .cancelled = k->ends[QOS_CANCELLED],
    };
    memcpy(out->wait, k->wait, sizeof(out->wait));
}

static void provider_stats(const struct provider *p, struct qos_provider_stats *out)
{
    *out = (struct qos_provider_stats){
        .limit = p->cfg.connections,
        .ceiling = qos_provider_room(p),
        .sockets = qos_provider_sockets(p),
        .leased = qos_provider_leased(p),
        .idle = p->idle,
        .opening = p->opening,
        .closing = p->closing,
        .lingering = p->lingering,
        .down = p->down,
        .retry_at = p->open_at,
        .started = p->started,
        .ok = p->ok,
        .not_here = p->not_here,
        .spoilt = p->spoilt,
        .broken = p->broken,
        .refused = p->refused,
        .bytes = p->bytes,
    };
}

void qos_stats(const struct qos *q, struct qos_stats *out)
{
    memset(out, 0, sizeof(*out));
    for (unsigned i = 0; i < TRAFFIC_CLASSES; i++)
        class_stats(&q->classes[i], &out->classes[i]);
    for (unsigned i = 0; i < q->cfg.nproviders; i++)
        provider_stats(&q->providers[i], &out->providers[i]);
    out->nproviders = q->cfg.nproviders;
    out->total = q->cfg.total;
    out->reserve = q->cfg.reserve;
    out->leased_total = q->leased;
}

bool qos_is_down(const struct qos *q, unsigned provider)
{
    return provider < q->cfg.nproviders && q->providers[provider].down;
}
