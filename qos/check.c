#include "qos/internal.h"

/* The limits that hold now: what is configured, or, after a limit was lowered, what has still to drain. A
 * bar that has come down never rises by itself. */
static void bar(unsigned *at, unsigned limit, unsigned have, bool drain)
{
    unsigned most = limit > have ? limit : have;
    if (drain || most < *at)
        *at = most;
}

void qos_bars_set(struct qos *q, bool drain)
{
    bar(&q->leased_bar, q->cfg.total, q->leased, drain);
    for (unsigned c = 0; c < TRAFFIC_CLASSES; c++) {
        struct class *k = &q->classes[c];
        bar(&k->leased_bar, k->cfg.burst, k->leased, drain);
        bar(&k->deep_bar, k->cfg.guaranteed, k->deep, drain);
    }
    for (unsigned i = 0; i < q->cfg.nproviders; i++) {
        struct provider *p = &q->providers[i];
        bar(&p->sockets_bar, p->cfg.connections, qos_provider_sockets(p), drain);
    }
}

struct tally {
    unsigned opening[QOS_PROVIDERS], idle[QOS_PROVIDERS], busy[QOS_PROVIDERS];
    unsigned closing[QOS_PROVIDERS], lingering[QOS_PROVIDERS];
    unsigned leased[TRAFFIC_CLASSES], share[QOS_PROVIDERS][TRAFFIC_CLASSES];
    unsigned flies[QOS_PROVIDERS][TRAFFIC_CLASSES]; /* operations */
    unsigned deep[TRAFFIC_CLASSES], pipelined[TRAFFIC_CLASSES];
    unsigned waiting[TRAFFIC_CLASSES];
    unsigned flying, carried;
};

static const char *count_conn(const struct conn *c, struct tally *t)
{
    unsigned n = 0, unwanted = 0;
    if (c->state != CONN_FREE && c->state != CONN_LINGERING) {
        list_for_each(l, &c->flying)
        {
            const struct op *op = container_of(l, struct op, link);
            if (op->conn != c || op->state != OP_FLYING)
                return "a connection carries an operation that does not know of it";
            if (c->state == CONN_BUSY && op->want.class != c->class)
                return "a lease carries an operation of another class";
            n++;
            unwanted += op->cancelled;
        }
        if (n != c->nflying)
            return "a connection's count of operations in flight is wrong";
    }
    t->carried += n;
    if (c->leased != (c->state == CONN_OPENING || c->state == CONN_BUSY))
        return "a connection is leased in a state that is none of a lease";
    if (c->leased) {
        t->leased[c->class]++;
        t->share[c->provider][c->class]++;
    }
    t->flies[c->provider][c->class] += n;
    t->opening[c->provider] += c->state == CONN_OPENING;
    t->idle[c->provider] += c->state == CONN_IDLE;
    t->busy[c->provider] += c->state == CONN_BUSY;
    t->closing[c->provider] += c->state == CONN_CLOSING;
    t->lingering[c->provider] += c->state == CONN_LINGERING;
    if (c->state == CONN_BUSY) {
        if (!n)
            return "a lease has nothing in flight";
        if (unwanted != c->unwanted || list_is_empty(&c->vain) == (unwanted == n))
            return "what nobody wants any more is miscounted";
        t->pipelined[c->class] += n > 1;
        t->deep[c->class] += n > 2;
    } else if (c->state != CONN_CLOSING && n) {
        return "a connection without a lease carries an operation";
    }
    return NULL;
}

static uint64_t sum(const uint64_t hist[QOS_HIST])
{
    uint64_t n = 0;
    for (unsigned i = 0; i < QOS_HIST; i++)
        n += hist[i];
    return n;
}

static const char *check_providers(const struct qos *q, const struct tally *t)
{
    for (unsigned i = 0; i < QOS_PROVIDERS; i++) {
        const struct provider *p = &q->providers[i];
        if (p->opening != t->opening[i] || p->idle != t->idle[i] || p->busy != t->busy[i] ||
            p->closing != t->closing[i] || p->lingering != t->lingering[i])
            return "a provider's figures are not its connections'";
        if (i < q->cfg.nproviders && qos_provider_sockets(p) > p->sockets_bar)
            return "I1: a provider has more sockets than it allows";
        unsigned flies = 0;
        for (unsigned c = 0; c < TRAFFIC_CLASSES; c++)
            flies += t->flies[i][c];
        if (flies != p->nflying || (!flies && p->flying))
            return "what is under way at a provider is miscounted";
        if (p->down != (q->down >> i & 1))
            return "a provider is down and not marked so";
        if (sum(p->open) != p->opened)
            return "a provider's times to open are not as many as its connections were";
        for (unsigned c = 0; c < TRAFFIC_CLASSES; c++) {
            const struct share *s = &p->shares[c];
            if (s->leased != t->share[i][c])
                return "I2: what a class leases of a provider is not its leased connections there";
            if (s->ok + s->not_here + s->spoilt + t->flies[i][c] > s->started)
                return "a provider has answered more than it was sent";
        }
    }
    return NULL;
}

static const char *check_classes(const struct qos *q, const struct tally *t)
{
    unsigned leased = 0;
    for (unsigned c = 0; c < TRAFFIC_CLASSES; c++) {
        const struct class *k = &q->classes[c];
        leased += k->leased;
        if (k->leased != t->leased[c])
            return "I2: a class's leases are not its leased connections";
        if (k->leased > k->leased_bar)
            return "I2: a class has more leases than its burst";
        if (k->pipelined != t->pipelined[c] || k->deep != t->deep[c])
            return "a class's pipelines are miscounted";
        unsigned others = 0;
        for (unsigned j = 0; j < TRAFFIC_CLASSES; j++)
            others += j == c ? 0 : q->classes[j].cfg.guaranteed;
        if (others && k->deep > k->deep_bar)
            return "I5: a lease on burst has more than one further operation behind the current one";
        if (k->waiting != t->waiting[c])
            return "a class's waiting operations are miscounted";
        if (sum(k->reclaim) != k->granted_guarantee)
            return "a class's reclaim times are not as many as its leases on guarantee were";
    }
    if (leased != q->leased)
        return "I2: the classes' leases do not add up";
    if (leased > q->leased_bar)
        return "I2: more leases than the pool's total";
    return NULL;
}

static const char *check_flow(const struct qos *q, const struct flow *f)
{
    unsigned n = 0;
    list_for_each(l, &f->ops)
    {
        const struct op *op = container_of(l, struct op, link);
        if (op->flow != f || op->state != OP_WAITING || op->stream != f->stream ||
            op->want.urgency != f->urgency)
            return "an operation waits in a flow that is not its own";
        n++;
    }
    if (n != f->nops)
        return "a flow's operations are miscounted";
    unsigned cap = q->classes[f->stream->class].cfg.per_stream;
    if (f->in_turns != (n > 0 && (!cap || f->stream->held < cap)))
        return "a flow is in turns that may not be served, or is not and may";
    return NULL;
}

static const char *check_streams(const struct qos *q)
{
    for (unsigned i = 0; i < q->limits.streams; i++) {
        const struct stream *s = &q->streams[i];
        if (!s->live)
            continue;
        list_for_each(l, &s->flows)
        {
            const char *wrong = check_flow(q, container_of(l, struct flow, link));
            if (wrong)
                return wrong;
        }
    }
    for (unsigned c = 0; c < TRAFFIC_CLASSES; c++) {
        list_for_each(l, &q->classes[c].lanes)
        {
            const struct lane *lane = container_of(l, struct lane, link);
            if (!lane->nflows && !lane->opening)
                return "a lane outlives its use";
        }
    }
    return NULL;
}

const char *qos_check(const struct qos *q)
{
    struct tally t = {0};
    for (unsigned i = 0; i < q->limits.conns; i++) {
        const char *wrong = count_conn(&q->conns[i], &t);
        if (wrong)
            return wrong;
    }
    unsigned live = 0, spare = 0, ended = 0;
    for (unsigned i = 0; i < q->ops_used; i++) {
        const struct op *op = &q->ops[i];
        t.flying += op->state == OP_FLYING;
        if (op->state == OP_WAITING && !op->twin)
            t.waiting[op->want.class]++;
        live += op->state != OP_FREE;
        ended += op->state == OP_ENDED;
    }
    list_for_each(l, &q->free_ops)
    {
        spare++;
    }
    list_for_each(l, &q->ended)
    {
        ended--;
    }
    if (live + spare != q->ops_used || ended || t.flying != t.carried)
        return "I7: an operation is lost";
    const char *wrong = check_providers(q, &t);
    if (!wrong)
        wrong = check_classes(q, &t);
    if (!wrong)
        wrong = check_streams(q);
    return wrong;
}
