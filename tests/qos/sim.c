#include "tests/qos/sim.h"

#include "base/heap.h"
#include "base/list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPS     240
#define STREAMS 12
#define EVENTS  4096
#define SECOND  1000000u
#define GHOST_MAX                                                                                  \
    1500000u /* a server notices a lost socket within this; the linger time is longer */
#define SETTLE (1200u * SECOND)

enum event_kind {
    EV_SUBMIT,
    EV_MEDDLE, /* promote, cancel, an outage, a ceiling, other shares */
    EV_CONNECTED,
    EV_ANSWER,
    EV_PEER_CLOSES,
    EV_CLOSED,
    EV_GHOST_GONE,
};

struct event {
    struct heap_node node;
    uint64_t at, seq;
    enum event_kind kind;
    unsigned provider;
    qos_conn conn;
    struct event *next_free;
};

struct server {
    unsigned bears;   /* sockets it accepts: may be fewer than the account's */
    unsigned sockets; /* as the server counts them */
    uint64_t latency_us, us_per_article;
    unsigned missing, spoilt, declined, breaking, slow_open; /* permille */
    bool refuses, silent, locked;
};

struct sim {
    struct qos *q;
    struct model m;
    struct qos_config cfg;
    struct qos_limits limits;
    struct server servers[QOS_PROVIDERS];
    struct heap events;
    struct event pool[EVENTS], *free;
    uint64_t seq, rng, now, facts, facts_most, seed;
    unsigned most_waiting;
    bool ending;
};

static uint64_t dice(struct sim *s)
{
    uint64_t z = s->rng += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static unsigned up_to(struct sim *s, unsigned n)
{
    return n ? (unsigned)(dice(s) % n) : 0;
}

static bool chance(struct sim *s, unsigned permille)
{
    return up_to(s, 1000) < permille;
}

static bool event_before(const struct heap_node *a, const struct heap_node *b)
{
    const struct event *x = (const struct event *)a, *y = (const struct event *)b;
    return x->at != y->at ? x->at < y->at : x->seq < y->seq;
}

static void plan(struct sim *s, uint64_t in, enum event_kind kind, unsigned provider, qos_conn conn)
{
    struct event *e = s->free;
    if (!e) {
        snprintf(s->m.wrong, sizeof(s->m.wrong), "the simulation's event table is full");
        return;
    }
    s->free = e->next_free;
    *e = (struct event){
        .at = s->now + in, .seq = s->seq++, .kind = kind, .provider = provider, .conn = conn};
    heap_push(&s->events, &e->node);
}

/* --- configuration ----------------------------------------------------------------------------- */

static void make_classes(struct sim *s, struct qos_config *c, unsigned total)
{
    unsigned left = total;
    for (unsigned i = 0; i < TRAFFIC_CLASSES; i++) {
        struct qos_class_config *k = &c->classes[i];
        k->guaranteed = up_to(s, left / 2 + 2);
        if (k->guaranteed > left)
            k->guaranteed = left;
        left -= k->guaranteed;
        k->burst = k->guaranteed + up_to(s, total - k->guaranteed + 1);
        k->burst = k->burst ? k->burst : 1;
        k->weight = chance(s, 300) ? 1 + up_to(s, 50) : 0;
        k->per_stream = chance(s, 250) ? 1 + up_to(s, 6) : 0;
    }
}

static void make_config(struct sim *s, struct qos_config *c, bool resize)
{
    unsigned sum = 0;
    if (!resize) {
        *c = (struct qos_config){.nproviders = 1 + up_to(s, 8)};
        c->attempts = up_to(s, 5);
        c->backoff_us = 100000 + up_to(s, 400000);
        c->backoff_max_us = 2 * SECOND + up_to(s, 10 * SECOND);
        c->probe_us = SECOND + up_to(s, 20 * SECOND);
        c->idle_us = SECOND + up_to(s, 60 * SECOND);
        c->linger_us = 2 * SECOND;
    }
    for (unsigned i = 0; i < c->nproviders; i++) {
        struct qos_provider_config *p = &c->providers[i];
        if (resize && chance(s, 500)) {
            sum += p->connections;
            continue;
        }
        *p = (struct qos_provider_config){.connections = 1 + up_to(s, 20),
                                          .tier = up_to(s, 3),
                                          .weight = up_to(s, 4),
                                          .pipelining = up_to(s, 7)};
        if (chance(s, 250))
            p->retention_us = 1000;
        if (chance(s, 80) && i)
            p->connections = 0;
        sum += p->connections;
    }
    if (!sum) {
        c->providers[0].connections = 1;
        sum = 1;
    }
    c->total = chance(s, 400) ? 1 + up_to(s, sum) : 0;
    unsigned total = c->total && c->total < sum ? c->total : sum;
    c->reserve = chance(s, 200) ? up_to(s, total / 2 + 1) : 0;
    c->reserve = c->reserve < total ? c->reserve : 0;
    make_classes(s, c, total);
}

static void make_server(struct sim *s, unsigned i)
{
    struct server *v = &s->servers[i];
    unsigned sockets = v->sockets, most = s->cfg.providers[i].connections;
    *v = (struct server){.sockets = sockets,
                         .bears = chance(s, 300) ? 1 + up_to(s, most + 1) : 100,
                         .latency_us = 500 + up_to(s, 80000),
                         .us_per_article = 1000 + up_to(s, 60000)};
    v->missing = chance(s, 500) ? up_to(s, 700) : 0;
    v->spoilt = chance(s, 300) ? up_to(s, 200) : 0;
    v->declined = chance(s, 200) ? up_to(s, 200) : 0;
    v->breaking = chance(s, 300) ? up_to(s, 150) : 0;
    v->slow_open = chance(s, 200) ? up_to(s, 300) : 0;
}

/* --- what happens ------------------------------------------------------------------------------ */

static uint64_t answer_time(struct sim *s, const struct server *v, bool first)
{
    uint64_t us = v->us_per_article / 2 + up_to(s, (unsigned)v->us_per_article + 1);
    return us + (first ? v->latency_us : 0) + (chance(s, 10) ? 20 * us : 0);
}

static void drain(struct sim *s)
{
    struct qos_order o;
    unsigned guard = 0;
    model_look(&s->m, s->q, s->now);
    while (!s->m.wrong[0] && qos_next(s->q, s->now, &o)) {
        if (++guard > 100000) {
            snprintf(s->m.wrong, sizeof(s->m.wrong), "orders without end");
            return;
        }
        bool joins = o.kind == QOS_START && s->m.conns[model_conn_index(o.conn)].n > 0;
        model_order(&s->m, s->q, &o);
        struct server *v = &s->servers[o.provider];
        if (o.kind == QOS_OPEN)
            plan(s, chance(s, v->slow_open) ? 3 * SECOND : v->latency_us * 3, EV_CONNECTED,
                 o.provider, o.conn);
        else if (o.kind == QOS_START && !joins)
            plan(s, v->silent ? 5 * SECOND : answer_time(s, v, true), EV_ANSWER, o.provider,
                 o.conn);
        else if (o.kind == QOS_CLOSE)
            plan(s, up_to(s, 20000), EV_CLOSED, o.provider, o.conn);
    }
    model_look(&s->m, s->q, s->now);
    if (!s->m.wrong[0])
        model_quiet(&s->m, s->q);
    if (!s->m.wrong[0] && s->facts % 64 == 0) {
        const char *wrong = qos_check(s->q);
        if (wrong)
            snprintf(s->m.wrong, sizeof(s->m.wrong), "qos_check: %s", wrong);
    }
}

static void submit(struct sim *s)
{
    unsigned i = model_place(&s->m);
    if (s->ending)
        return;
    plan(s, up_to(s, chance(s, 100) ? 3 * SECOND : 8000), EV_SUBMIT, 0, 0);
    unsigned n = chance(s, 50) ? up_to(s, 60) : 1;
    enum traffic_class class = (enum traffic_class)up_to(s, TRAFFIC_CLASSES);
    for (; n && i < MODEL_OPS && s->m.live < OPS; n--, i = model_place(&s->m)) {
        struct qos_want w = {.class = class,
                             .urgency =
                                 (enum urgency)(class == TRAFFIC_STREAMING ? up_to(s, 3) : 0),
                             .verb = class == TRAFFIC_HEALTH ? SEGMENT_STAT : SEGMENT_BODY,
                             .stream = up_to(s, STREAMS),
                             .bytes = chance(s, 500) ? 100000 + up_to(s, 900000) : 0,
                             .age = chance(s, 300) ? 2000 : 0,
                             .cookie = (void *)(uintptr_t)i};
        if (chance(s, 200))
            w.deadline = s->now + up_to(s, 4 * SECOND);
        qos_op op;
        s->facts++;
        if (qos_submit(s->q, s->now, &w, &op)) {
            snprintf(s->m.wrong, sizeof(s->m.wrong), "a table is full that is not");
            return;
        }
        model_submitted(&s->m, i, op, &w);
    }
}

static void resize(struct sim *s)
{
    struct qos_config c = s->cfg;
    make_config(s, &c, true);
    if (qos_resize(s->q, s->now, &c)) {
        snprintf(s->m.wrong, sizeof(s->m.wrong), "a good configuration is refused");
        return;
    }
    s->cfg = c;
    model_resized(&s->m, &c);
}

static void meddle(struct sim *s)
{
    if (s->ending)
        return;
    plan(s, up_to(s, 400000), EV_MEDDLE, 0, 0);
    unsigned i = up_to(s, MODEL_OPS), p = up_to(s, s->cfg.nproviders);
    struct model_op *op = &s->m.ops[i];
    switch (up_to(s, 12)) {
    case 0:
        s->servers[p].refuses = chance(s, 400);
        break;
    case 1:
        s->servers[p].silent = chance(s, 300);
        break;
    case 2:
        make_server(s, p);
        break;
    case 3:
        s->servers[p].locked = chance(s, 100);
        break;
    case 4:
        if (chance(s, 100))
            resize(s);
        break;
    case 5: { /* late facts about what has long ended must be harmless */
        qos_op_done(s->q, s->now, dice(s), QOS_OK, 1);
        qos_conn_ready(s->q, s->now, dice(s) & 0xff);
        qos_cancel(s->q, s->now, dice(s) & 0xffff);
        break;
    }
    default:
        if (op->state == MODEL_NONE)
            break;
        if (chance(s, 600)) {
            uint64_t deadline = chance(s, 300) ? s->now + 1 + up_to(s, 2 * SECOND) : 0;
            enum urgency u = (enum urgency)up_to(s, 3);
            qos_promote(s->q, s->now, op->handle, u, deadline);
            model_promoted(&s->m, i, u, deadline);
        } else {
            qos_cancel(s->q, s->now, op->handle);
            model_cancelled(&s->m, i);
        }
    }
}

static void gone(struct sim *s, unsigned index, enum qos_gone why, bool seen)
{
    struct model_conn *c = &s->m.conns[index];
    unsigned p = c->provider;
    qos_conn handle = c->handle;
    model_gone(&s->m, index, why, seen);
    if (seen)
        s->servers[p].sockets -= s->servers[p].sockets > 0;
    else
        plan(s, up_to(s, GHOST_MAX), EV_GHOST_GONE, p, 0);
    qos_conn_gone(s->q, s->now, handle, why, seen, (uint32_t)dice(s));
}

static void connected(struct sim *s, unsigned index)
{
    struct model_conn *c = &s->m.conns[index];
    struct server *v = &s->servers[c->provider];
    v->sockets++;
    if (v->refuses || v->silent)
        gone(s, index, v->refuses ? QOS_GONE_REFUSED : QOS_GONE_SILENT, chance(s, 500));
    else if (v->locked)
        gone(s, index, QOS_GONE_LOGIN, true);
    else if (v->sockets > v->bears)
        gone(s, index, QOS_GONE_LIMIT, true);
    else {
        model_ready(&s->m, index);
        qos_conn_ready(s->q, s->now, c->handle);
        if (chance(s, 100))
            plan(s, up_to(s, 20 * SECOND), EV_PEER_CLOSES, c->provider, c->handle);
    }
}

/* An article is or is not there, the same at each asking. */
static enum qos_outcome outcome(struct sim *s, const struct server *v, qos_op op, unsigned p)
{
    unsigned fate = (unsigned)((op * 0x9e3779b97f4a7c15u >> 20) + p * 377u) % 1000;
    if (fate < v->missing)
        return QOS_NOT_HERE;
    if (fate < v->missing + v->spoilt)
        return QOS_SPOILT;
    if (chance(s, v->declined))
        return QOS_DECLINED;
    return chance(s, 5) ? QOS_NO_ROOM : QOS_OK;
}

static void answered(struct sim *s, unsigned index)
{
    struct model_conn *c = &s->m.conns[index];
    struct server *v = &s->servers[c->provider];
    if (v->silent || chance(s, v->breaking)) {
        static const enum qos_gone ways[] = {QOS_GONE_BROKEN, QOS_GONE_SILENT, QOS_GONE_STALE,
                                             QOS_GONE_LIMIT};
        gone(s, index, v->silent ? QOS_GONE_SILENT : ways[up_to(s, 4)], chance(s, 500));
        return;
    }
    unsigned i = c->ops[0];
    enum qos_outcome how = outcome(s, v, s->m.ops[i].handle, c->provider);
    qos_op handle = s->m.ops[i].handle;
    model_done(&s->m, i, how);
    qos_op_done(s->q, s->now, handle, how, how == QOS_OK ? 500000 + up_to(s, 300000) : 100);
    if (c->n)
        plan(s, answer_time(s, v, false), EV_ANSWER, c->provider, c->handle);
}

static void happen(struct sim *s, const struct event *e)
{
    unsigned index = model_conn_index(e->conn);
    struct model_conn *c = &s->m.conns[index];
    bool here = e->conn && c->state != MODEL_ABSENT && c->handle == e->conn;
    switch (e->kind) {
    case EV_SUBMIT:
        submit(s);
        break;
    case EV_MEDDLE:
        meddle(s);
        break;
    case EV_CONNECTED:
        if (here && c->state == MODEL_OPENING)
            connected(s, index);
        break;
    case EV_ANSWER:
        if (here && c->n)
            answered(s, index);
        break;
    case EV_PEER_CLOSES:
        if (here && c->state == MODEL_READY && !c->n)
            gone(s, index, QOS_GONE_STALE, true);
        break;
    case EV_CLOSED:
        if (here && c->state == MODEL_CLOSING)
            gone(s, index, QOS_GONE_CLOSED, chance(s, 700));
        break;
    case EV_GHOST_GONE:
        s->servers[e->provider].sockets -= s->servers[e->provider].sockets > 0;
        break;
    }
}

/* The server's own count, with what it has not yet noticed to be gone, is within the account. */
static void check_servers(struct sim *s)
{
    for (unsigned p = 0; p < s->cfg.nproviders; p++) {
        if (s->servers[p].sockets > model_sockets(&s->m, p) && !s->m.wrong[0])
            snprintf(s->m.wrong, sizeof(s->m.wrong),
                     "I1: server %u counts %u sockets, more than are accounted for", p,
                     s->servers[p].sockets);
    }
}

static bool step(struct sim *s)
{
    uint64_t wake = qos_wake(s->q);
    struct event *e = (struct event *)s->events.top;
    if (!e && wake == UINT64_MAX)
        return false;
    s->facts++;
    if (!e || wake < e->at) {
        s->now = wake > s->now ? wake : s->now;
    } else {
        heap_del(&s->events, &e->node);
        s->now = e->at;
        model_look(&s->m, s->q, s->now);
        happen(s, e);
        e->next_free = s->free;
        s->free = e;
    }
    drain(s);
    check_servers(s);
    return !s->m.wrong[0];
}

/* Every provider works again: whatever has no deadline must come to its end. */
static void settle(struct sim *s)
{
    s->ending = true;
    for (unsigned p = 0; p < s->cfg.nproviders; p++)
        s->servers[p] = (struct server){.sockets = s->servers[p].sockets,
                                        .bears = 1000,
                                        .latency_us = 20000,
                                        .us_per_article = 10000};
    uint64_t until = s->now + SETTLE;
    while (s->m.live && s->now < until && step(s))
        ;
    if (s->m.live && !s->m.wrong[0])
        snprintf(s->m.wrong, sizeof(s->m.wrong), "I7: %u operations never end", s->m.live);
    if (s->m.wrong[0])
        return;
    qos_shut(s->q, s->now);
    s->m.shut = true;
    drain(s);
    while (step(s))
        ;
    struct qos_stats st;
    qos_stats(s->q, &st);
    for (unsigned p = 0; p < st.nproviders && !s->m.wrong[0]; p++) {
        if (st.providers[p].sockets)
            snprintf(s->m.wrong, sizeof(s->m.wrong), "a socket outlives qos_shut()");
    }
}

void sim_run(uint64_t seed, uint64_t facts, struct sim_result *out)
{
    memset(out, 0, sizeof(*out));
    struct sim *s = calloc(1, sizeof(*s));
    if (!s)
        abort();
    s->seed = seed;
    s->rng = seed * 0x2545f4914f6cdd1du + 1;
    s->limits = (struct qos_limits){.ops = OPS, .conns = MODEL_CONNS - 2, .streams = STREAMS * 3};
    heap_init(&s->events, event_before);
    for (unsigned i = 0; i < EVENTS; i++) {
        s->pool[i].next_free = s->free;
        s->free = &s->pool[i];
    }
    make_config(s, &s->cfg, false);
    for (unsigned i = 0; i < s->cfg.nproviders; i++)
        make_server(s, i);
    s->q = qos_new(&s->cfg, &s->limits);
    if (!s->q)
        abort();
    model_init(&s->m, &s->cfg);
    model_look(&s->m, s->q, 0);
    plan(s, 0, EV_SUBMIT, 0, 0);
    plan(s, 0, EV_MEDDLE, 0, 0);
    while (s->facts < facts && step(s))
        ;
    if (!s->m.wrong[0])
        settle(s);
    *out = (struct sim_result){
        .facts = s->facts, .orders = s->m.orders, .hash = s->m.hash, .virtual_us = s->now};
    memcpy(out->ends, s->m.ends, sizeof(out->ends));
    if (s->m.wrong[0])
        snprintf(out->report, sizeof(out->report), "seed %llu, fact %llu, %.6f s: %s",
                 (unsigned long long)seed, (unsigned long long)s->facts, (double)s->now / 1e6,
                 s->m.wrong);
    qos_free(s->q);
    free(s);
}
