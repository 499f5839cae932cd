#include "tests/qos/world.h"

#define SECOND 1000000u

/* --- configurations ---------------------------------------------------------------------------- */

static void make_classes(struct dice *d, struct qos_config *c, unsigned total)
{
    unsigned left = total;
    for (unsigned i = 0; i < TRAFFIC_CLASSES; i++) {
        struct qos_class_config *k = &c->classes[i];
        k->guaranteed = dice_below(d, left / 2 + 2);
        if (k->guaranteed > left)
            k->guaranteed = left;
        left -= k->guaranteed;
        k->burst = k->guaranteed + dice_below(d, total - k->guaranteed + 1);
        k->burst = k->burst ? k->burst : 1;
        k->weight = dice_chance(d, 300) ? 1 + dice_below(d, 50) : 0;
        k->per_stream = dice_chance(d, 250) ? 1 + dice_below(d, 6) : 0;
        k->hedge = i == TRAFFIC_STREAMING && total % 3 ? 10 + total * 37 % 300 : 0;
    }
}

static void make_times(struct dice *d, struct qos_config *c)
{
    c->attempts = dice_below(d, 5);
    c->backoff_us = 100000 + dice_below(d, 400000);
    c->backoff_max_us = 2 * SECOND + dice_below(d, 10 * SECOND);
    c->probe_us = SECOND + dice_below(d, 20 * SECOND);
    c->idle_us = SECOND + dice_below(d, 60 * SECOND);
    c->linger_us = 2 * SECOND;
}

static void make_provider(struct dice *d, struct qos_provider_config *p, bool may_go)
{
    *p = (struct qos_provider_config){.connections = 1 + dice_below(d, 20),
                                      .tier = dice_below(d, 3),
                                      .weight = dice_below(d, 4),
                                      .pipelining = dice_below(d, 7)};
    if (dice_chance(d, 60))
        p->pipelining = 1 + dice_below(d, 40);
    if (dice_chance(d, 250))
        p->retention_us = 1000;
    if (dice_chance(d, 200))
        p->rate_bps = 1 + dice_below(d, 10000000);
    if (may_go && dice_chance(d, 80))
        p->connections = 0;
}

/* What nobody would write and everybody may: one connection, no guarantees or all of it guaranteed to one, all
 * but one in reserve, one connection a stream. */
static void make_odd(struct dice *d, struct qos_config *c, unsigned sum)
{
    unsigned kind = dice_below(d, 6);
    if (kind == 0)
        c->total = 1;
    unsigned total = c->total && c->total < sum ? c->total : sum;
    unsigned one = dice_below(d, TRAFFIC_CLASSES);
    c->reserve = kind == 1 ? total - 1 : 0;
    for (unsigned i = 0; i < TRAFFIC_CLASSES; i++) {
        struct qos_class_config *k = &c->classes[i];
        k->guaranteed = kind == 2 && i == one ? total : 0;
        k->burst = kind == 3 ? 1 : total;
        k->weight = kind == 4 ? (i == one ? UINT32_MAX : 0) : k->weight;
        k->per_stream = kind == 5 ? 1 : 0;
    }
}

void world_config(struct dice *d, struct qos_config *c, bool again)
{
    unsigned sum = 0;
    bool shares_only = again && dice_chance(d, 300);
    if (!again) {
        *c = (struct qos_config){.nproviders =
                                     dice_chance(d, 20) ? QOS_PROVIDERS : 1 + dice_below(d, 8)};
        make_times(d, c);
    } else if (!shares_only && c->nproviders < 8 && dice_chance(d, 200)) {
        c->nproviders++;
    }
    for (unsigned i = 0; i < c->nproviders; i++) {
        if (!again || (!shares_only && dice_chance(d, 500)))
            make_provider(d, &c->providers[i], i > 0 || again);
        sum += c->providers[i].connections;
    }
    if (!sum) {
        c->providers[0].connections = 1;
        sum = 1;
    }
    c->rate_bps = dice_chance(d, 200) ? 1 + dice_below(d, 50000000) : 0;
    c->total = dice_chance(d, 400) ? 1 + dice_below(d, sum) : 0;
    unsigned total = c->total && c->total < sum ? c->total : sum;
    c->reserve = dice_chance(d, 200) ? dice_below(d, total / 2 + 1) : 0;
    c->reserve = c->reserve < total ? c->reserve : 0;
    make_classes(d, c, total);
    if (dice_chance(d, 100))
        make_odd(d, c, sum);
}

void world_config_spoil(struct dice *d, struct qos_config *c)
{
    struct qos_class_config *k = &c->classes[dice_below(d, TRAFFIC_CLASSES)];
    switch (dice_below(d, 5)) {
    case 0:
        k->burst = 0;
        break;
    case 1:
        k->guaranteed = k->burst + 1;
        break;
    case 2:
        k->burst = 1000000;
        break;
    case 3:
        c->reserve = 1000000;
        break;
    default:
        for (unsigned i = 0; i < c->nproviders; i++)
            c->providers[i].connections = 0;
    }
}

/* --- servers ----------------------------------------------------------------------------------- */

void world_server(struct dice *d, struct server *v, unsigned connections)
{
    unsigned sockets = v->sockets, sending = v->sending;
    *v = (struct server){.sockets = sockets,
                         .sending = sending,
                         .bears = dice_chance(d, 300) ? 1 + dice_below(d, connections + 1) : 100,
                         .latency_us = 500 + dice_below(d, 80000),
                         .conn_bps = 200000 + dice_below(d, 20000000)};
    v->jitter_us = dice_chance(d, 500) ? dice_below(d, (unsigned)v->latency_us) : 0;
    v->line_bps = v->conn_bps * (1 + dice_below(d, 20));
    v->tail = dice_chance(d, 300) ? dice_below(d, 100) : 0;
    v->stragglers = dice_chance(d, 300) ? dice_below(d, 40) : 10;
    v->missing = dice_chance(d, 500) ? dice_below(d, 700) : 0;
    v->spoilt = dice_chance(d, 300) ? dice_below(d, 200) : 0;
    v->declined = dice_chance(d, 200) ? dice_below(d, 200) : 0;
    v->breaking = dice_chance(d, 300) ? dice_below(d, 150) : 0;
    v->slow_open = dice_chance(d, 200) ? dice_below(d, 300) : 0;
}

static qos_time latency(struct dice *d, const struct server *v)
{
    qos_time us = v->latency_us + dice_below(d, (unsigned)v->jitter_us);
    return dice_chance(d, v->tail) ? 10 * us : us;
}

qos_time world_open_time(struct dice *d, const struct server *v)
{
    return dice_chance(d, v->slow_open) ? 3 * SECOND : 3 * latency(d, v);
}

qos_time world_answer_time(struct dice *d, const struct server *v, uint64_t bytes, bool waited)
{
    uint64_t bps = v->line_bps / (v->sending ? v->sending : 1);
    bps = bps < v->conn_bps ? bps : v->conn_bps;
    qos_time us = bytes * SECOND / (bps ? bps : 1) + (waited ? latency(d, v) : 50);
    return dice_chance(d, v->stragglers) ? 10 * us : us;
}

enum qos_outcome world_outcome(struct dice *d, const struct server *v, uint64_t article,
                               unsigned provider)
{
    unsigned fate = (unsigned)((article * 0x9e3779b97f4a7c15u >> 20) + provider * 377u) % 1000;
    if (fate < v->missing)
        return QOS_NOT_HERE;
    if (fate < v->missing + v->spoilt)
        return QOS_SPOILT;
    if (dice_chance(d, v->declined))
        return QOS_DECLINED;
    return dice_chance(d, 5) ? QOS_NO_ROOM : QOS_OK;
}
