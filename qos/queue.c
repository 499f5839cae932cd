#include "qos/internal.h"

#include <assert.h>

/*
 * Turns. Streams of one class share by deficit round robin in bytes: each round gives every stream that has
 * something to send one quantum, and a stream that has overdrawn its quantum sits out rounds until it is
 * paid for. Kept as a ring, that needs a walk past everyone who sits out or cannot use the provider at
 * hand. It is kept as a heap instead: `served / QUANTUM` is the round a stream has used up, the lowest
 * round goes first, and within a round whoever was sent something longest ago, so that small operations of
 * several streams alternate, too. As the figure belongs to the stream
 * and not to its place in one ring, rounds hold across lanes and urgencies.
 */

#define QUANTUM   262144u /* below an article: two articles of one stream do not go in one round */

/* A stream that got ahead of the others where it had no competitor is not made to wait for all of it. */
#define DEBT_MOST (16u << 20)

static uint64_t stream_round(const struct stream *s)
{
    return s->served / QUANTUM;
}

static int marks(const struct lane *l)
{
    return __builtin_popcount(l->excluded);
}

bool qos_flow_before(const struct flow *a, const struct flow *b)
{
    if (a->urgency != b->urgency)
        return a->urgency < b->urgency;
    if (stream_round(a->stream) != stream_round(b->stream))
        return stream_round(a->stream) < stream_round(b->stream);
    if (a->stream != b->stream)
        return a->stream->turn < b->stream->turn;
    /* What was tried elsewhere has waited longest. */
    if (marks(a->lane) != marks(b->lane))
        return marks(a->lane) > marks(b->lane);
    return a->lane->excluded < b->lane->excluded;
}

static bool node_before(const struct heap_node *a, const struct heap_node *b)
{
    return qos_flow_before(container_of((struct heap_node *)(uintptr_t)a, struct flow, node),
                           container_of((struct heap_node *)(uintptr_t)b, struct flow, node));
}

/** Of a free list that is sized so that it cannot be empty. */
static struct list *first_free(struct list *head)
{
    struct list *e = head->next;
    assert(e != head);
    list_del(e);
    return e;
}

static size_t mix(uint64_t a, uint64_t b)
{
    uint64_t x = a * 0x9e3779b97f4a7c15u ^ (b + 0x7f4a7c15u) * 0xbf58476d1ce4e5b9u;
    x ^= x >> 29;
    x *= 0x94d049bb133111ebu;
    return (size_t)(x ^ x >> 32);
}

void qos_queue_init(struct qos *q)
{
    list_init(&q->free_streams);
    list_init(&q->quiet_streams);
    list_init(&q->free_flows);
    list_init(&q->free_lanes);
    for (unsigned i = 0; i < q->limits.streams; i++) {
        list_init(&q->streams[i].flows);
        list_add_tail(&q->free_streams, &q->streams[i].link);
    }
    for (size_t i = 0; i < q->nlanes; i++)
        list_add_tail(&q->free_lanes, &q->lanes[i].link);
    q->lanes_free = (unsigned)q->nlanes;
    for (unsigned i = 0; i < TRAFFIC_CLASSES; i++)
        list_init(&q->classes[i].lanes);
}

/* --- streams --- */

static struct stream **stream_slot(struct qos *q, enum traffic_class class, uint64_t id)
{
    struct stream **at = &q->stream_table[mix(id, class) & q->nstreams_mask];
    while (*at && ((*at)->id != id || (*at)->class != class))
        at = &(*at)->chain;
    return at;
}

struct stream *qos_stream_find(struct qos *q, enum traffic_class class, uint64_t id)
{
    struct stream *s = *stream_slot(q, class, id);
    if (s)
        return s;
    struct list *l = list_pop(&q->free_streams);
    if (!l) {
        l = list_pop(&q->quiet_streams); /* the one that has been quiet longest */
        if (!l)
            return NULL;
        s = container_of(l, struct stream, link);
        *stream_slot(q, s->class, s->id) = s->chain;
    }
    s = container_of(l, struct stream, link);
    s->id = id;
    s->class = class;
    s->served = s->usual = 0;
    s->turn = ++q->classes[class].turn;
    s->chain = NULL;
    s->live = true;
    *stream_slot(q, class, id) = s;
    list_add_tail(&q->quiet_streams, &s->link);
    return s;
}

void qos_stream_get(struct stream *s)
{
    s->nops++;
    list_del(&s->link);
}

void qos_stream_put(struct qos *q, struct stream *s)
{
    if (--s->nops == 0 && list_is_empty(&s->flows))
        list_add_tail(&q->quiet_streams, &s->link);
}

/** Take a stream's flows out of all heaps before its key changes, and put them back after. */
static void stream_set(struct qos *q, struct stream *s, uint64_t served, bool new_turn)
{
    bool moves = served / QUANTUM != stream_round(s) || new_turn;
    if (!moves) {
        s->served = served;
        return;
    }
    list_for_each(l, &s->flows)
    {
        struct flow *f = container_of(l, struct flow, link);
        if (f->in_turns)
            heap_del(&f->lane->turns[f->urgency], &f->node);
    }
    s->served = served;
    s->turn = ++q->classes[s->class].turn;
    list_for_each(l, &s->flows)
    {
        struct flow *f = container_of(l, struct flow, link);
        if (f->in_turns)
            heap_push(&f->lane->turns[f->urgency], &f->node);
    }
}

/* What a stream could not have, at its cap, elsewhere, or while others were blocked and went first, is not owed to it
 * in full. */
static void credit_bound(struct qos *q, struct stream *s)
{
    uint64_t level = q->classes[s->class].level;
    if (level > DEBT_MOST && s->served < level - DEBT_MOST)
        stream_set(q, s, level - DEBT_MOST, false);
}

void qos_stream_sent(struct qos *q, struct stream *s, uint64_t bytes)
{
    credit_bound(q, s);
    q->classes[s->class].level = s->served;
    stream_set(q, s, s->served + bytes, true);
}

void qos_stream_charge(struct qos *q, struct stream *s, int64_t bytes)
{
    uint64_t served = s->served;
    if (bytes < 0)
        served = (uint64_t)-bytes < served ? served - (uint64_t)-bytes : 0;
    else
        served += (uint64_t)bytes;
    stream_set(q, s, served, false);
}

/* --- flows --- */

void qos_streams_level(struct qos *q)
{
    uint64_t least[TRAFFIC_CLASSES] = {UINT64_MAX, UINT64_MAX, UINT64_MAX};
    for (unsigned i = 0; i < q->limits.streams; i++) {
        const struct stream *s = &q->streams[i];
        if (s->live && s->waiting && s->served < least[s->class])
            least[s->class] = s->served;
    }
    for (unsigned i = 0; i < q->limits.streams; i++) {
        struct stream *s = &q->streams[i];
        if (s->live && s->waiting && s->served - least[s->class] > DEBT_MOST)
            stream_set(q, s, least[s->class] + DEBT_MOST, false);
    }
    for (unsigned c = 0; c < TRAFFIC_CLASSES; c++) { /* where those who come will stand */
        struct class *k = &q->classes[c];
        if (k->waiting && k->level > least[c] && k->level - least[c] > DEBT_MOST)
            k->level = least[c] + DEBT_MOST;
    }
}

static void flow_fit(struct qos *q, struct flow *f)
{
    unsigned cap = q->classes[f->stream->class].cfg.per_stream, held = f->stream->held;
    unsigned usable = f->nops > f->opening ? f->nops - f->opening : 0;
    bool may = f->nops > 0;
    if (cap) {
        unsigned room = cap > held ? cap - held : 0;
        usable = usable < room ? usable : room;
        may = may && room;
    }
    f->lane->usable = f->lane->usable - f->usable + usable;
    f->usable = usable;
    if (may && !f->in_turns) {
        credit_bound(q, f->stream);
        heap_push(&f->lane->turns[f->urgency], &f->node);
    }
    if (!may && f->in_turns)
        heap_del(&f->lane->turns[f->urgency], &f->node);
    f->in_turns = may;
}

void qos_stream_refresh(struct qos *q, struct stream *s)
{
    list_for_each(l, &s->flows)
    {
        flow_fit(q, container_of(l, struct flow, link));
    }
}

void qos_stream_hold(struct qos *q, struct stream *s, int by)
{
    s->held += (unsigned)by;
    if (q->classes[s->class].cfg.per_stream)
        qos_stream_refresh(q, s);
}

/* --- lanes --- */

static struct lane **lane_slot(struct qos *q, enum traffic_class class, uint32_t excluded)
{
    struct lane **at = &q->lane_table[mix(excluded, class) & q->nlanes_mask];
    while (*at && ((*at)->excluded != excluded || (*at)->class != class))
        at = &(*at)->chain;
    return at;
}

static struct lane *lane_new(struct qos *q, struct lane **at, enum traffic_class class,
                             uint32_t excluded)
{
    struct list *link = first_free(&q->free_lanes);
    struct lane *l = container_of(link, struct lane, link);
    q->lanes_free--;
    *l = (struct lane){.class = class, .excluded = excluded};
    for (unsigned u = 0; u < QOS_URGENCIES; u++)
        heap_init(&l->turns[u], node_before);
    list_add_tail(&q->classes[class].lanes, &l->link);
    *at = l;
    return l;
}

/* The operations of a lane are those with the same exclusions, so there could be as many lanes as sets of
 * providers. When they run out, an operation with a set of its own waits for the first of its providers
 * alone: 32 such lanes a class are set aside, so this cannot fail. */
static struct lane *lane_get(struct qos *q, enum traffic_class class, uint32_t excluded)
{
    struct lane **at = lane_slot(q, class, excluded);
    if (*at)
        return *at;
    if (q->lanes_free <= QOS_PROVIDERS * TRAFFIC_CLASSES) {
        uint32_t e = qos_providers_eligible(q, excluded);
        excluded = ~(e & (~e + 1u));
        at = lane_slot(q, class, excluded);
        if (*at)
            return *at;
    }
    return lane_new(q, at, class, excluded);
}

static void lane_put(struct qos *q, struct lane *l)
{
    if (l->nflows || l->opening)
        return;
    *lane_slot(q, l->class, l->excluded) = l->chain;
    list_del(&l->link);
    list_add(&q->free_lanes, &l->link);
    q->lanes_free++;
}

uint32_t qos_lane_eligible(struct qos *q, struct lane *l)
{
    if (l->epoch != q->epoch) {
        l->eligible = qos_providers_eligible(q, l->excluded);
        l->epoch = q->epoch;
    }
    return l->eligible;
}

struct flow *qos_lane_next(const struct lane *l)
{
    for (unsigned u = 0; u < QOS_URGENCIES; u++) {
        if (l->turns[u].top)
            return container_of(l->turns[u].top, struct flow, node);
    }
    return NULL;
}

void qos_lane_opening(struct qos *q, struct lane *l, int by)
{
    l->opening += (unsigned)by;
    lane_put(q, l);
}

/* --- operations in and out --- */

static struct flow *flow_get(struct qos *q, struct stream *s, struct lane *l, enum urgency u)
{
    list_for_each(link, &s->flows)
    {
        struct flow *f = container_of(link, struct flow, link);
        if (f->lane == l && f->urgency == u)
            return f;
    }
    /* There is one for each operation and connection: enough. */
    struct list *used = list_pop(&q->free_flows);
    struct flow *f = used ? container_of(used, struct flow, link) : &q->flows[q->flows_used++];
    *f = (struct flow){.stream = s, .lane = l, .urgency = u};
    list_init(&f->ops);
    list_add_tail(&s->flows, &f->link);
    l->nflows++;
    return f;
}

static void flow_put(struct qos *q, struct flow *f)
{
    if (f->nops || f->opening)
        return;
    struct stream *s = f->stream;
    struct lane *l = f->lane;
    list_del(&f->link);
    list_add(&q->free_flows, &f->link);
    l->nflows--;
    lane_put(q, l);
    if (!s->nops && list_is_empty(&s->flows))
        list_add_tail(&q->quiet_streams, &s->link);
}

void qos_flow_opening(struct qos *q, struct flow *f, int by)
{
    f->opening += (unsigned)by;
    flow_fit(q, f);
    flow_put(q, f);
}

/** A stream that begins to wait in a lane takes its place among those that wait there already, or else by what
 *  was sent last: one that was away has not saved up turns, and one that is far ahead is not shut out. */
static void stream_join(struct qos *q, struct stream *s, const struct lane *l, enum urgency u)
{
    bool fresh = !s->waiting;
    uint64_t served = s->served, level = q->classes[s->class].level;
    if (l->turns[u].top) {
        const struct stream *first = container_of(l->turns[u].top, struct flow, node)->stream;
        if (first == s)
            return;
        level = first->served;
    }
    if (fresh && served < level)
        served = level;
    if (served > level + DEBT_MOST)
        served = level + DEBT_MOST;
    if (fresh || served != s->served)
        stream_set(q, s, served, true);
}

void qos_queue_put(struct qos *q, struct op *op, bool head)
{
    struct stream *s = op->stream;
    struct lane *l = lane_get(q, op->want.class, qos_op_excluded(op));
    struct flow *f = flow_get(q, s, l, op->want.urgency);
    if (!f->nops)
        stream_join(q, s, l, op->want.urgency);
    if (head)
        list_add(&f->ops, &op->link);
    else
        list_add_tail(&f->ops, &op->link);
    f->nops++;
    s->waiting++;
    op->flow = f;
    op->state = OP_WAITING;
    q->classes[op->want.class].waiting++;
    if (op->want.deadline)
        heap_push(&q->deadlines, &op->due);
    flow_fit(q, f);
}

void qos_queue_take(struct qos *q, struct op *op)
{
    struct flow *f = op->flow;
    list_del(&op->link);
    f->nops--;
    f->stream->waiting--;
    op->flow = NULL;
    q->classes[op->want.class].waiting--;
    if (op->want.deadline)
        heap_del(&q->deadlines, &op->due);
    flow_fit(q, f);
    flow_put(q, f);
}

/* What moves goes to the end of another flow of the stream, each flow's operations in their order. Flows that
 * come into being go to the end of the list; the one in hand may go, once it is empty. */
void qos_stream_reconsider(struct qos *q, struct stream *s)
{
    list_for_each_safe(link, &s->flows)
    {
        struct flow *f = container_of(link, struct flow, link);
        unsigned n = f->nops; /* what others put behind is theirs already */
        struct list *next = f->ops.next;
        while (n--) {
            struct op *op = container_of(next, struct op, link);
            next = next->next;
            qos_op_reconsider(q, op);
        }
    }
}
