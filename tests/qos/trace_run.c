#include "tests/qos/trace_run.h"

#include <stdlib.h>
#include <string.h>

#define OPS     40
#define CONNS   24
#define DEPTH   32
#define HANDLES 64 /* remembered, living or dead */

struct conn {
    qos_conn handle; /* 0: none */
    bool ready, closing;
    unsigned n;
    qos_op flying[DEPTH];
};

struct run {
    struct qos *q;
    struct qos_config cfg;
    qos_time clock, now;
    uint64_t dice;
    struct conn conns[CONNS];
    qos_op ops[HANDLES];
    unsigned nops;
    struct trace_run *out;
    size_t room;
};

static uint64_t dice(struct run *r)
{
    uint64_t z = r->dice += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static unsigned up_to(struct run *r, unsigned n)
{
    return (unsigned)(dice(r) % n);
}

static bool chance(struct run *r, unsigned percent)
{
    return up_to(r, 100) < percent;
}

/* --- the record -------------------------------------------------------------------------------- */

static char *room_for_line(struct run *r)
{
    struct trace_run *o = r->out;

    if (r->room - o->len < QOS_TRACE_LINE) {
        r->room = 2 * r->room + QOS_TRACE_LINE;
        o->text = realloc(o->text, r->room);
        if (!o->text)
            abort();
    }
    return o->text + o->len;
}

static void watch(void *arg, const struct qos_record *rec)
{
    struct run *r = arg;
    char *at = room_for_line(r);
    size_t n = qos_trace_record(at, QOS_TRACE_LINE, r->clock, rec);

    if (!n)
        abort();
    r->out->len += n;
    r->out->records++;
    r->out->kinds[rec->kind]++;
    if (rec->kind == QOS_RECORD_ORDER)
        r->out->orders[rec->order->kind]++;
}

/* --- what there is ----------------------------------------------------------------------------- */

static void config_make(struct run *r, struct qos_config *c)
{
    unsigned sum = 0;

    for (unsigned i = 0; i < c->nproviders; i++) {
        c->providers[i] = (struct qos_provider_config){.connections = 1 + up_to(r, 6),
                                                       .tier = up_to(r, 2),
                                                       .weight = up_to(r, 3),
                                                       .pipelining = up_to(r, 5),
                                                       .rate_bps = chance(r, 20) ? 1000000 : 0};
        if (chance(r, 20))
            c->providers[i].retention_us = 5000;
        sum += c->providers[i].connections;
    }
    c->total = chance(r, 50) ? 3 + up_to(r, 9) : 0;
    unsigned total = c->total && c->total < sum ? c->total : sum;
    c->reserve = chance(r, 20) && total > 1 ? 1 : 0;
    for (unsigned i = 0; i < TRAFFIC_CLASSES; i++) {
        struct qos_class_config *k = &c->classes[i];
        k->guaranteed = up_to(r, total / 3 + 1);
        k->burst = total - up_to(r, total - k->guaranteed);
        k->burst = k->burst ? k->burst : 1;
        k->weight = up_to(r, 3);
        k->per_stream = chance(r, 30) ? 1 + up_to(r, 3) : 0;
        k->hedge = chance(r, 50) ? up_to(r, 1001) : 0;
    }
}

static struct conn *conn_of(struct run *r, qos_conn handle)
{
    for (unsigned i = 0; i < CONNS; i++)
        if (r->conns[i].handle == handle)
            return &r->conns[i];
    abort();
}

static void order_take(struct run *r, const struct qos_order *o)
{
    struct conn *c;
    qos_op twin;

    switch (o->kind) {
    case QOS_OPEN:
        *conn_of(r, 0) = (struct conn){.handle = o->conn};
        return;
    case QOS_START:
        c = conn_of(r, o->conn);
        if (c->n == DEPTH)
            abort();
        c->flying[c->n++] = o->op;
        return;
    case QOS_CLOSE:
        conn_of(r, o->conn)->closing = true;
        return;
    case QOS_LATE:
        if (chance(r, 90) && !qos_hedge(r->q, r->now, o->op, r, &twin))
            r->ops[r->nops++ % HANDLES] = twin;
        return;
    case QOS_END:
        return;
    }
}

static void drain(struct run *r)
{
    struct qos_order o;

    /* Facts come between orders, too, and quiet is not always asked for at once. */
    for (unsigned most = chance(r, 20) ? up_to(r, 4) : 10000; most; most--) {
        if (!qos_next(r->q, r->now, &o))
            return;
        order_take(r, &o);
    }
}

/* --- facts ------------------------------------------------------------------------------------- */

static void submit(struct run *r)
{
    struct qos_want w = {.class = (enum traffic_class)up_to(r, TRAFFIC_CLASSES),
                         .urgency = (enum urgency)up_to(r, 3),
                         .verb = (enum segment_verb)up_to(r, 3),
                         .stream = chance(r, 90) ? up_to(r, 7) : dice(r),
                         .bytes = chance(r, 50) ? up_to(r, 800000) : 0,
                         .age = chance(r, 30) ? 1 + up_to(r, 10000) : 0,
                         .cookie = r};
    qos_op op;

    if (chance(r, 30))
        w.deadline = r->now + up_to(r, 3000000) - (chance(r, 10) ? 1000 : 0);
    if (qos_submit(r->q, r->now, &w, &op) == 0)
        r->ops[r->nops++ % HANDLES] = op;
}

static void conn_end(struct run *r, struct conn *c)
{
    static const enum qos_gone ways[] = {QOS_GONE_STALE,   QOS_GONE_BROKEN, QOS_GONE_SILENT,
                                         QOS_GONE_REFUSED, QOS_GONE_LIMIT,  QOS_GONE_LOGIN};
    qos_conn handle = c->handle;
    enum qos_gone why = c->closing ? QOS_GONE_CLOSED : ways[up_to(r, 6)];

    *c = (struct conn){0};
    qos_conn_gone(r->q, r->now, handle, why, chance(r, 60), (uint32_t)dice(r));
}

/* Something becomes of a connection: most often what it is for. */
static void conn_act(struct run *r, struct conn *c)
{
    static const enum qos_outcome outcomes[] = {QOS_OK,     QOS_OK,       QOS_OK,
                                                QOS_OK,     QOS_NOT_HERE, QOS_NOT_HERE,
                                                QOS_SPOILT, QOS_DECLINED, QOS_NO_ROOM};

    if (!c->handle)
        return;
    if (c->closing || chance(r, 5)) {
        conn_end(r, c);
    } else if (!c->ready) {
        c->ready = true;
        qos_conn_ready(r->q, r->now, c->handle);
    } else if (c->n) {
        qos_op op = c->flying[0];
        if (chance(r, 40)) {
            qos_op_begun(r->q, r->now, op);
            return;
        }
        memmove(c->flying, c->flying + 1, --c->n * sizeof(c->flying[0]));
        qos_op_done(r->q, r->now, op, outcomes[up_to(r, 9)], up_to(r, 900000));
    }
}

static void resize(struct run *r)
{
    struct qos_config c = r->cfg;

    config_make(r, &c);
    if (chance(r, 30))
        c.classes[0].burst = 0; /* impossible: refused */
    if (qos_resize(r->q, r->now, &c) == 0)
        r->cfg = c;
}

static void step(struct run *r)
{
    qos_op any = r->nops ? r->ops[up_to(r, HANDLES)] : 0;
    unsigned what = up_to(r, 100);
    qos_op twin;

    if (chance(r, 70))
        r->now += up_to(r, 20000);
    else if (chance(r, 10) && qos_wake(r->q) < UINT64_MAX && qos_wake(r->q) > r->now)
        r->now = qos_wake(r->q);
    if (what < 35)
        submit(r);
    else if (what < 85)
        conn_act(r, &r->conns[up_to(r, CONNS)]);
    else if (what < 90)
        qos_promote(r->q, r->now, any, (enum urgency)up_to(r, 3),
                    chance(r, 50) ? r->now + up_to(r, 2000000) : 0);
    else if (what < 95)
        qos_cancel(r->q, r->now, any);
    else if (what < 96 && r->nops)
        qos_hedge(r->q, r->now, any, r, &twin); /* of what nobody called late */
    else if (what < 97)
        qos_op_done(r->q, r->now, dice(r), QOS_OK, 1); /* late: of one that has ended long since */
    else if (chance(r, 30))
        resize(r);
    else if (chance(r, 30))
        qos_warm(r->q, r->now, (enum traffic_class)up_to(r, TRAFFIC_CLASSES), up_to(r, 5),
                 chance(r, 60) ? r->now + up_to(r, 3000000) : 0);
    drain(r);
}

static void end(struct run *r)
{
    qos_shut(r->q, r->now);
    for (unsigned round = 0; round < 3; round++) {
        drain(r);
        for (unsigned i = 0; i < CONNS; i++)
            if (r->conns[i].handle)
                conn_end(r, &r->conns[i]);
    }
    struct qos_order o;
    while (qos_next(r->q, r->now, &o))
        order_take(r, &o);
    qos_stats(r->q, &r->out->stats);
}

void trace_run(uint64_t seed, unsigned steps, struct trace_run *out)
{
    struct run r = {.dice = seed * 0x2545f4914f6cdd1du + 1, .out = out};
    struct qos_limits limits = {.ops = OPS, .conns = CONNS, .streams = 12};

    *out = (struct trace_run){0};
    r.cfg.nproviders = 1 + up_to(&r, 4);
    r.cfg.attempts = up_to(&r, 4);
    r.cfg.linger_us = 50000;
    r.cfg.idle_us = 400000;
    r.cfg.backoff_us = 20000;
    config_make(&r, &r.cfg);
    r.q = qos_new(&r.cfg, &limits);
    if (!r.q)
        abort();
    r.clock = r.now = dice(&r) >> 24;
    out->len = qos_trace_head(room_for_line(&r), &limits, &r.cfg, r.clock);
    qos_watch(r.q, watch, &r);
    for (unsigned i = 0; i < steps; i++)
        step(&r);
    end(&r);
    qos_free(r.q);
}
