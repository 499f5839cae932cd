#include "qos/internal.h"

#define ORDINARY_ARTICLE 768000u /* bytes on the wire; what most posters choose */
/* What an answer that brings little is worth of a turn: a round trip is not free. Sixteen go in one round, so
 * that a job of ten thousand STATs, or of articles that are all missing, keeps nobody waiting for longer. */
#define SHORT_ANSWER     16384u
#define MOST_BYTES       (UINT64_C(1) << 40) /* a figure that wraps would turn the turns around */

qos_conn qos_conn_handle(const struct qos *q, const struct conn *c)
{
    return (uint64_t)c->gen << 32 | ((uint64_t)(c - q->conns) + 1);
}

struct conn *qos_conn_find(const struct qos *q, qos_conn handle)
{
    uint64_t index = handle & UINT32_MAX;
    if (!index || index > q->limits.conns)
        return NULL;
    struct conn *c = &q->conns[index - 1];
    if (c->gen != handle >> 32 || c->state == CONN_FREE || c->state == CONN_LINGERING)
        return NULL;
    return c;
}

static void conn_free(struct qos *q, struct conn *c)
{
    c->state = CONN_FREE;
    list_del(&c->link);
    list_add(&q->free_conns, &c->link);
}

struct conn *qos_conn_new(struct qos *q, unsigned provider)
{
    struct list *l = list_pop(&q->free_conns);
    if (!l)
        return NULL;
    struct conn *c = container_of(l, struct conn, link);
    c->gen++;
    c->state = CONN_OPENING;
    c->provider = provider;
    c->nflying = c->unwanted = 0;
    c->leased = c->probing = c->late = c->warm = c->unclaimed = false;
    c->lane = NULL;
    c->opener = NULL;
    c->answered = 0;
    c->opened = q->now;
    c->settings = q->settings;
    list_init(&c->flying);
    list_init(&c->vain);
    list_add_tail(&q->opening, &c->link);
    q->providers[provider].opening++;
    return c;
}

/* What it had to wait for the slot: from when it was there and its class had a claim. A connection that has
 * come up for the class was its slot all the time. */
static qos_time reclaim_time(const struct qos *q, const struct conn *c, const struct op *op)
{
    const struct class *k = &q->classes[op->want.class];
    bool opened_for_it = c->state == CONN_IDLE && !c->answered && c->class == op->want.class;
    if (!k->claims || opened_for_it)
        return 0;
    return q->now - (op->since > k->claimed ? op->since : k->claimed);
}

static void lease(struct qos *q, struct conn *c, enum traffic_class class)
{
    c->leased = true;
    c->class = class;
    q->classes[class].leased++;
    q->leased++;
    q->providers[c->provider].shares[class].leased++;
}

void qos_conn_lease(struct qos *q, struct conn *c, const struct op *op)
{
    struct class *k = &q->classes[op->want.class];
    if (k->leased < k->cfg.guaranteed) {
        k->granted_guarantee++;
        qos_hist_add(k->reclaim, reclaim_time(q, c, op));
    } else {
        k->granted_burst++;
    }
    k->granted = ++q->grants;
    lease(q, c, op->want.class);
}

void qos_conn_lease_warm(struct qos *q, struct conn *c, enum traffic_class class)
{
    struct class *k = &q->classes[class];
    k->granted_guarantee++;
    qos_hist_add(k->reclaim, 0);
    lease(q, c, class);
    c->warm = c->unclaimed = true;
    q->providers[c->provider].warming[class]++;
}

void qos_conn_claim(struct qos *q, struct conn *c)
{
    if (c->unclaimed)
        q->providers[c->provider].warming[c->class]--;
    c->unclaimed = false;
}

static void lease_end(struct qos *q, struct conn *c)
{
    if (!c->leased)
        return;
    c->leased = false;
    q->classes[c->class].leased--;
    q->leased--;
    q->providers[c->provider].shares[c->class].leased--;
}

/** Nobody waits for it any more. */
static void uncover(struct qos *q, struct conn *c)
{
    if (c->lane)
        qos_lane_opening(q, c->lane, -1);
    if (c->opener) {
        qos_stream_hold(q, c->opener->stream, -1);
        qos_flow_opening(q, c->opener, -1);
    }
    c->lane = NULL;
    c->opener = NULL;
    qos_conn_claim(q, c);
}

void qos_conn_opened(struct qos *q, struct conn *c)
{
    struct provider *p = &q->providers[c->provider];
    p->opening--;
    if (c->probing)
        p->probing = false;
    c->probing = false;
    p->late -= c->late;
    c->late = false;
    list_del(&c->link);
    lease_end(q, c);
    uncover(q, c);
}

/* --- carriers: busy connections by class and number in flight --- */

static void carrier_out(struct qos *q, struct conn *c)
{
    struct provider *p = &q->providers[c->provider];
    list_del(&c->link);
    if (list_is_empty(&p->carriers[c->class][c->nflying]))
        p->carrying[c->class] &= ~(1u << c->nflying);
    q->classes[c->class].pipelined -= c->nflying > 1;
    q->classes[c->class].deep -= c->nflying > 2;
}

static void carrier_in(struct qos *q, struct conn *c)
{
    struct provider *p = &q->providers[c->provider];
    list_add_tail(&p->carriers[c->class][c->nflying], &c->link);
    p->carrying[c->class] |= 1u << c->nflying;
    q->classes[c->class].pipelined += c->nflying > 1;
    q->classes[c->class].deep += c->nflying > 2;
}

/** Takes a ready connection out of its provider's lists and figures, whatever state it is in. */
static void leave_state(struct qos *q, struct conn *c)
{
    struct provider *p = &q->providers[c->provider];
    switch (c->state) {
    case CONN_OPENING:
        qos_conn_opened(q, c);
        break;
    case CONN_IDLE:
        p->idle--;
        list_del(&c->link);
        break;
    case CONN_BUSY:
        list_del(&c->vain);
        carrier_out(q, c);
        p->busy--;
        lease_end(q, c);
        break;
    case CONN_CLOSING:
        p->closing--;
        list_del(&c->link);
        break;
    case CONN_FREE:
    case CONN_LINGERING:
        break;
    }
}

/** Does an operation of the stream fly on `c`? One before `until`, or any (NULL). */
static bool carries(const struct conn *c, const struct stream *s, const struct op *until)
{
    list_for_each(l, &c->flying)
    {
        const struct op *op = container_of(l, struct op, link);
        if (op == until)
            return false;
        if (op->stream == s)
            return true;
    }
    return false;
}

/** The lease ends with operations in flight: their streams hold it no longer. */
static void let_go(struct qos *q, struct conn *c)
{
    list_for_each(l, &c->flying)
    {
        struct op *op = container_of(l, struct op, link);
        if (!carries(c, op->stream, op))
            qos_stream_hold(q, op->stream, -1);
    }
}

void qos_conn_close(struct qos *q, struct conn *c)
{
    if (c->state == CONN_CLOSING)
        return;
    if (c->state == CONN_BUSY)
        let_go(q, c);
    leave_state(q, c);
    c->state = CONN_CLOSING;
    q->providers[c->provider].closing++;
    list_add_tail(&q->closing, &c->link);
}

void qos_conn_rest(struct qos *q, struct conn *c)
{
    struct provider *p = &q->providers[c->provider];
    leave_state(q, c);
    c->state = CONN_IDLE;
    c->since = q->now;
    p->idle++;
    list_add(&p->idlers, &c->link);
    if (q->shut || p->opening + p->idle + p->busy > p->cfg.connections)
        qos_conn_close(q, c);
}

uint64_t qos_op_cost(const struct op *op)
{
    if (op->want.bytes)
        return op->want.bytes < MOST_BYTES ? op->want.bytes : MOST_BYTES;
    return op->want.verb == SEGMENT_BODY ? ORDINARY_ARTICLE : SHORT_ANSWER;
}

/* What it is charged for in advance. Were each article of a job that lacks most of them charged in full, whoever
 * came while many of its operations fly would stand behind all that is given back for them. */
static uint64_t charge(const struct op *op)
{
    uint64_t full = qos_op_cost(op), usual = op->stream->usual;
    if (op->want.verb == SEGMENT_BODY && usual && usual < full)
        full = usual;
    return full > SHORT_ANSWER ? full : SHORT_ANSWER;
}

void qos_conn_brought(struct qos *q, struct op *op, uint64_t bytes)
{
    uint64_t worth = bytes < MOST_BYTES ? bytes : MOST_BYTES;
    struct stream *s = op->stream;
    worth = worth > SHORT_ANSWER ? worth : SHORT_ANSWER;
    if (!bytes)
        return;
    qos_stream_charge(q, s, (int64_t)worth - (int64_t)op->charge);
    if (op->want.verb == SEGMENT_BODY)
        s->usual = s->usual ? s->usual - s->usual / 8 + worth / 8 : worth;
}

void qos_conn_send(struct qos *q, struct conn *c, struct op *op)
{
    struct provider *p = &q->providers[c->provider];
    if (c->state == CONN_IDLE) {
        leave_state(q, c);
        c->state = CONN_BUSY;
        p->busy++;
    } else {
        carrier_out(q, c);
    }
    struct stream *s = op->stream;
    bool more = !carries(c, s, NULL);
    op->state = OP_FLYING;
    op->conn = c;
    op->sent_at = q->now;
    op->begun = 0;
    op->told_late = op->hedged = false;
    op->charge = charge(op);
    list_add_tail(&c->flying, &op->link);
    if (!c->nflying++)
        c->head = q->now;
    carrier_in(q, c);
    qos_cut_consider(q, c);
    p->shares[c->class].started++;
    qos_carried_add(q, p, op);
    qos_stream_sent(q, s, op->charge);
    qos_hedge_watch(q, op);
    if (more)
        qos_stream_hold(q, s, +1);
}

void qos_conn_unsend(struct qos *q, struct conn *c, struct op *op)
{
    bool listed = c->state == CONN_BUSY;
    if (listed)
        carrier_out(q, c);
    list_del(&op->link);
    list_del(&op->blocked);
    op->conn = NULL;
    c->nflying--;
    qos_carried_sub(&q->providers[c->provider], op);
    c->unwanted -= op->cancelled;
    if (listed)
        carrier_in(q, c);
    qos_cut_consider(q, c);
    if (listed && !carries(c, op->stream, NULL))
        qos_stream_hold(q, op->stream, -1);
}

void qos_conn_unwant(struct qos *q, struct conn *c, struct op *op)
{
    if (op->cancelled)
        return;
    op->cancelled = true;
    list_del(&op->blocked);
    c->unwanted++;
    qos_cut_consider(q, c);
}

/** In order of their end; a changed linger time may put a later one first. */
static void linger(struct provider *p, struct conn *c)
{
    struct list *at = &p->lingers;
    while (at->prev != &p->lingers && container_of(at->prev, struct conn, link)->since > c->since)
        at = at->prev;
    list_add_tail(at, &c->link);
    p->lingering++;
}

void qos_conn_drop(struct qos *q, struct conn *c, bool seen)
{
    leave_state(q, c);
    c->gen++;
    if (seen) {
        conn_free(q, c);
        return;
    }
    c->state = CONN_LINGERING;
    c->since = q->now + q->cfg.linger_us;
    linger(&q->providers[c->provider], c);
}

void qos_conns_age(struct qos *q)
{
    while (!list_is_empty(&q->opening)) {
        struct conn *c = container_of(q->opening.next, struct conn, link);
        if (c->opened + q->cfg.cover_us > q->now)
            break;
        list_del(&c->link);
        c->late = true;
        q->providers[c->provider].late++;
        uncover(q, c);
    }
    for (unsigned i = 0; i < q->cfg.nproviders; i++) {
        struct provider *p = &q->providers[i];
        while (!list_is_empty(&p->lingers)) {
            struct conn *c = container_of(p->lingers.next, struct conn, link);
            if (c->since > q->now)
                break;
            p->lingering--;
            conn_free(q, c);
        }
        while (!list_is_empty(&p->idlers)) {
            struct conn *c = container_of(p->idlers.prev, struct conn, link);
            bool over = p->opening + p->idle + p->busy > p->cfg.connections;
            if (!over && c->since + q->cfg.idle_us > q->now)
                break;
            if (!over && qos_warm_keeps(q, i))
                break;
            qos_conn_close(q, c);
        }
    }
}
