#include "qos/internal.h"

#include <string.h>

/*
 * What is counted is counted once, in the share that a class has of a provider (struct share); what a class
 * or a provider is said to have is added up when somebody asks. So the sums agree in every snapshot.
 */

void qos_hist_add(uint64_t hist[QOS_HIST], qos_time us)
{
    unsigned i = us >= 16 ? 64 - (unsigned)__builtin_clzll(us >> 4) : 0;
    hist[i < QOS_HIST ? i : QOS_HIST - 1]++;
}

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
        .cut = k->cut,
        .hedged = k->hedged,
        .done = k->ends[QOS_DONE],
        .missing = k->ends[QOS_MISSING],
        .corrupt = k->ends[QOS_CORRUPT],
        .failed = k->ends[QOS_FAILED] + k->ends[QOS_REJECTED],
        .timeout = k->ends[QOS_TIMEOUT],
        .cancelled = k->ends[QOS_CANCELLED],
    };
    memcpy(out->wait, k->wait, sizeof(out->wait));
    memcpy(out->reclaim, k->reclaim, sizeof(out->reclaim));
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
        .opened = p->opened,
    };
    memcpy(out->open, p->open, sizeof(out->open));
    memcpy(out->answer, p->answer, sizeof(out->answer));
}

static void share_stats(const struct share *s, struct qos_share_stats *out,
                        struct qos_provider_stats *provider, struct qos_class_stats *class)
{
    *out = (struct qos_share_stats){
        .leased = s->leased,
        .started = s->started,
        .done = s->ok,
        .missing = s->not_here,
        .corrupt = s->spoilt,
        .broken = s->broken,
        .bytes = s->bytes,
    };
    provider->started += s->started;
    provider->ok += s->ok;
    provider->not_here += s->not_here;
    provider->spoilt += s->spoilt;
    provider->broken += s->broken;
    provider->refused += s->refused;
    provider->bytes += s->bytes;
    class->broken += s->broken;
    class->refused += s->refused;
    class->bytes += s->bytes;
}

void qos_stats(const struct qos *q, struct qos_stats *out)
{
    memset(out, 0, sizeof(*out));
    for (unsigned c = 0; c < TRAFFIC_CLASSES; c++)
        class_stats(&q->classes[c], &out->classes[c]);
    for (unsigned i = 0; i < q->cfg.nproviders; i++) {
        const struct provider *p = &q->providers[i];
        struct qos_provider_stats *v = &out->providers[i];
        provider_stats(p, v);
        for (unsigned c = 0; c < TRAFFIC_CLASSES; c++)
            share_stats(&p->shares[c], &v->classes[c], v, &out->classes[c]);
    }
    out->nproviders = q->cfg.nproviders;
    out->total = q->cfg.total;
    out->reserve = q->cfg.reserve;
    out->leased_total = q->leased;
}

bool qos_is_down(const struct qos *q, unsigned provider)
{
    return provider < q->cfg.nproviders && q->providers[provider].down;
}
