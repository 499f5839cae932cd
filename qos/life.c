#include "qos/internal.h"

#include <errno.h>
#include <stdlib.h>

/** True: who can be asked for an operation may have changed. */
static bool settings_apply(struct qos *q)
{
    bool others = false;
    for (unsigned i = 0; i < q->cfg.nproviders; i++) {
        struct provider *p = &q->providers[i];
        const struct qos_provider_config *new = &q->cfg.providers[i];
        if (!new->connections) { /* whatever comes there later is another account */
            p->ceiling = QOS_UNBOUNDED;
            p->guessed = 0;
        }
        if (p->open_at > q->now) /* whoever changes settings may have mended it */
            p->open_at = q->now;
        if (p->warm_at > q->now)
            p->warm_at = q->now;
        if (p->cfg.rate_bps != new->rate_bps)
            qos_bucket_set(&p->bucket, new->rate_bps, q->now);
        others |= !p->cfg.connections != !new->connections;
        others |= p->cfg.retention_us != new->retention_us;
        p->cfg = *new;
    }
    for (unsigned i = 0; i < TRAFFIC_CLASSES; i++)
        q->classes[i].cfg = q->cfg.classes[i];
    q->epoch++;
    q->settings++;
    qos_carried_set(q);
    return others;
}

static size_t power_of_two(size_t n)
{
    size_t p = 16;
    while (p < n)
        p *= 2;
    return p;
}

static bool tables_new(struct qos *q)
{
    const struct qos_limits *l = &q->limits;
    size_t live = (size_t)l->ops + l->conns;
    q->nlanes = (live < QOS_LANES ? live : QOS_LANES) + QOS_PROVIDERS * TRAFFIC_CLASSES;
    size_t nstream_slots = power_of_two(l->streams), nlane_slots = power_of_two(q->nlanes);
    q->nstreams_mask = nstream_slots - 1;
    q->nlanes_mask = nlane_slots - 1;
    q->ops = calloc(l->ops, sizeof(*q->ops));
    q->conns = calloc(l->conns, sizeof(*q->conns));
    q->streams = calloc(l->streams, sizeof(*q->streams));
    q->stream_table = calloc(nstream_slots, sizeof(struct stream *));
    q->flows = calloc(live, sizeof(*q->flows));
    q->lanes = calloc(q->nlanes, sizeof(*q->lanes));
    q->lane_table = calloc(nlane_slots, sizeof(struct lane *));
    return q->ops && q->conns && q->streams && q->stream_table && q->flows && q->lanes &&
           q->lane_table;
}

struct qos *qos_new(const struct qos_config *cfg, const struct qos_limits *limits)
{
    char err[128];
    if (qos_config_check(cfg, err, sizeof(err)) || !limits->ops || !limits->conns ||
        !limits->streams)
        return NULL;
    struct qos *q = calloc(1, sizeof(*q));
    if (!q)
        return NULL;
    q->limits = *limits;
    q->cut_at = QOS_NEVER;
    if (!tables_new(q)) {
        qos_free(q);
        return NULL;
    }
    list_init(&q->closing);
    list_init(&q->opening);
    list_init(&q->free_conns);
    for (unsigned i = 0; i < limits->conns; i++)
        list_add_tail(&q->free_conns, &q->conns[i].link);
    qos_ops_init(q);
    qos_hedge_init(q);
    qos_queue_init(q);
    for (unsigned i = 0; i < QOS_PROVIDERS; i++)
        qos_provider_init(&q->providers[i]);
    qos_config_resolve(cfg, &q->cfg);
    settings_apply(q);
    qos_bucket_set(&q->bucket, q->cfg.rate_bps, 0);
    qos_bars_set(q, true);
    return q;
}

void qos_free(struct qos *q)
{
    if (!q)
        return;
    free(q->ops);
    free(q->conns);
    free(q->streams);
    free(q->stream_table);
    free(q->flows);
    free(q->lanes);
    free(q->lane_table);
    free(q);
}

/* A hundred thousand of them take some milliseconds: not for another share or rate. */
static void ops_reconsider(struct qos *q)
{
    for (unsigned i = 0; i < q->limits.streams; i++) {
        if (q->streams[i].live)
            qos_stream_reconsider(q, &q->streams[i]);
    }
    for (unsigned i = 0; i < q->ops_used; i++) {
        if (q->ops[i].state == OP_FLYING)
            qos_op_reconsider(q, &q->ops[i]);
    }
}

int qos_settings_change(struct qos *q, const struct qos_config *cfg)
{
    char err[128];
    if (cfg->nproviders < q->cfg.nproviders || qos_config_check(cfg, err, sizeof(err)))
        return -EINVAL;
    uint64_t rate = q->cfg.rate_bps;
    qos_config_resolve(cfg, &q->cfg);
    bool others = settings_apply(q);
    if (rate != q->cfg.rate_bps)
        qos_bucket_set(&q->bucket, q->cfg.rate_bps, q->now);
    if (others)
        ops_reconsider(q);
    for (unsigned i = 0; i < q->limits.streams; i++) {
        if (q->streams[i].live)
            qos_stream_refresh(q, &q->streams[i]);
    }
    qos_streams_level(q);
    qos_bars_set(q, true);
    return 0;
}
