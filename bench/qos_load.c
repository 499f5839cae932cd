#include "bench/qos_load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MOST 32u
#define ARTICLE    768000u

/* Operations in flight on one connection, in order. */
struct load_conn {
    qos_op flying[DEPTH_MOST];
    unsigned first, n;
    unsigned at; /* in busy[] */
};

struct load_op {
    qos_op op; /* 0: none */
    unsigned conn;
    enum traffic_class class;
    bool flies;
};

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "bench: the scheduler %s\n", what);
    exit(1);
}

static void *table(size_t n, size_t size)
{
    void *t = calloc(n, size);

    if (!t)
        fail("has no memory");
    return t;
}

static unsigned index_of(uint64_t handle)
{
    return (unsigned)(handle & UINT32_MAX) - 1;
}

static uint32_t draw(struct load *l, uint32_t below)
{
    l->random ^= l->random << 13;
    l->random ^= l->random >> 7;
    l->random ^= l->random << 17;
    return (uint32_t)((l->random >> 32) * below >> 32);
}

/* Guarantees as in a household: streaming most, health least; everyone may burst to everything. */
static void config_make(struct load *l)
{
    static const unsigned percent[TRAFFIC_CLASSES] = {30, 10, 40};
    const struct load_options *o = &l->o;

    l->cfg = (struct qos_config){.nproviders = o->providers};
    for (unsigned i = 0; i < o->providers; i++)
        l->cfg.providers[i] = (struct qos_provider_config){
            .connections = o->connections / o->providers + (i < o->connections % o->providers),
            .pipelining = o->pipelining};
    for (unsigned c = 0; c < TRAFFIC_CLASSES; c++) {
        l->cfg.classes[c].guaranteed = o->connections * percent[c] / 100;
        l->cfg.classes[c].burst = o->connections;
    }
}

void load_open(struct load *l, const struct load_options *o)
{
    unsigned live = o->waiting + o->connections * o->pipelining + 1024;
    struct qos_limits limits = {
        .ops = live, .conns = o->connections * 2, .streams = o->streams * TRAFFIC_CLASSES + 16};

    *l = (struct load){.o = *o, .now = 1000000, .random = UINT64_C(0x9e3779b97f4a7c15)};
    config_make(l);
    l->conns = table(limits.conns, sizeof(*l->conns));
    l->ops = table(limits.ops, sizeof(*l->ops));
    l->busy = table(limits.conns, sizeof(*l->busy));
    l->opening = table(limits.conns, sizeof(*l->opening));
    for (unsigned i = 0; i < limits.ops;
         i++) /* ours is in memory before the scheduler's is weighed */
        l->ops[i].conn = UINT32_MAX;
    l->q = qos_new(&l->cfg, &limits);
    if (!l->q)
        fail("does not start");
}

void load_close(struct load *l)
{
    qos_free(l->q);
    free(l->conns);
    free(l->ops);
    free(l->busy);
    free(l->opening);
}

void load_submit(struct load *l)
{
    enum traffic_class class = TRAFFIC_STREAMING;
    qos_op op;

    for (unsigned c = 0; l->o.classes > 1 && c < TRAFFIC_CLASSES; c++)
        if (l->nlive[c] < l->nlive[class])
            class = (enum traffic_class)c;
    struct qos_want want = {.class = class,
                            .urgency = draw(l, 8) ? URGENCY_READAHEAD : URGENCY_DEMAND,
                            .stream = 1 + l->submitted++ % l->o.streams,
                            .bytes = ARTICLE - draw(l, 4096)};
    l->now += LOAD_STEP_US;
    if (qos_submit(l->q, l->now, &want, &op))
        fail("takes no more operations");
    unsigned i = index_of(op);
    l->ops[i] = (struct load_op){.op = op, .class = class};
    l->largest = i >= l->largest ? i + 1 : l->largest;
    l->nlive[class]++;
    l->nwaiting++;
}

static void started(struct load *l, const struct qos_order *o)
{
    unsigned k = index_of(o->conn);
    struct load_conn *c = &l->conns[k];
    struct load_op *op = &l->ops[index_of(o->op)];

    if (!c->n) {
        c->at = l->nbusy;
        l->busy[l->nbusy++] = k;
    }
    c->flying[(c->first + c->n++) % DEPTH_MOST] = o->op;
    op->flies = true;
    l->nwaiting--;
    op->conn = k;
}

bool load_draw(struct load *l)
{
    struct qos_order o;

    if (!qos_next(l->q, l->now, &o))
        return false;
    l->orders++;
    switch (o.kind) {
    case QOS_OPEN:
        l->opening[l->nopening++] = o.conn;
        break;
    case QOS_START:
        started(l, &o);
        break;
    case QOS_CLOSE:
        qos_conn_gone(l->q, l->now, o.conn, QOS_GONE_CLOSED, true, 1);
        break;
    case QOS_LATE: /* nothing is hedged here */
        break;
    case QOS_END: {
        struct load_op *op = &l->ops[index_of(o.op)];
        l->nwaiting -= !op->flies;
        op->op = 0;
        l->nlive[op->class]--;
        break;
    }
    }
    return true;
}

unsigned load_settle(struct load *l)
{
    unsigned n = 0;

    while (load_draw(l))
        n++;
    if (qos_wake(l->q) <= l->now)
        fail("wants to be asked again and again");
    return n;
}

void load_ready(struct load *l)
{
    if (!l->nopening)
        fail("opens nothing");
    l->now += LOAD_STEP_US;
    qos_conn_ready(l->q, l->now, l->opening[--l->nopening]);
}

void load_answer(struct load *l)
{
    if (!l->nbusy)
        fail("starts nothing");
    struct load_conn *c = &l->conns[l->busy[draw(l, l->nbusy)]];
    qos_op op = c->flying[c->first];

    c->first = (c->first + 1) % DEPTH_MOST;
    if (!--c->n) { /* the last one of busy[] takes its place */
        unsigned k = l->busy[--l->nbusy];
        l->busy[c->at] = k;
        l->conns[k].at = c->at;
    }
    l->now += LOAD_STEP_US;
    qos_op_done(l->q, l->now, op, QOS_OK, ARTICLE);
}

qos_op load_waiter(struct load *l)
{
    for (;;) {
        const struct load_op *op = &l->ops[draw(l, l->largest)];
        if (op->op && !op->flies)
            return op->op;
    }
}
