#include "qos/internal.h"

/*
 * One decision: which class gets a lease, which of its operations, which provider, which connection.
 *
 *   1. The classes that may have one more lease, in the order of the grant rule. The first for which some
 *      provider with a slot can serve a waiting operation has it.
 *   2. Of its lanes, the operation that goes first. On a warm connection, or else by opening one, unless as
 *      many are being opened for that lane as operations wait in it. One that is being opened for the class
 *      and that nobody has claimed (warm.c) serves for another.
 *   3. When no class gets a lease, an operation may join a lease of its own class (pipelining), where the
 *      rule would give that very slot to this class again if the lease ended now.
 */

struct view {
    uint32_t warm;  /* providers with an idle connection */
    uint32_t cold;  /* where one may be opened */
    uint32_t probe; /* where one must be opened to find out whether it is back */
    uint32_t trial; /* of `warm`: down, and it takes an operation to find out whether it is back */
};

static void look(const struct qos *q, struct view *v)
{
    *v = (struct view){0};
    bool room = !list_is_empty(&q->free_conns);
    for (unsigned i = 0; i < q->cfg.nproviders; i++) {
        const struct provider *p = &q->providers[i];
        if (p->idle)
            v->warm |= 1u << i;
        if (p->idle && p->down)
            v->trial |= 1u << i;
        if (!room || !qos_provider_can_open(q, p))
            continue;
        if (p->down)
            v->probe |= 1u << i;
        else
            v->cold |= 1u << i;
    }
    v->warm &= ~q->spent;
    v->cold &= ~q->spent;
}

/** Does `a` with `na` leases come before `b` with `nb`? */
static bool class_before(const struct qos *q, unsigned a, unsigned na, unsigned b, unsigned nb)
{
    const struct qos_class_config *ca = &q->classes[a].cfg, *cb = &q->classes[b].cfg;
    bool below_a = na < ca->guaranteed, below_b = nb < cb->guaranteed;
    if (below_a != below_b)
        return below_a;
    if (below_a) {
        uint64_t da = (uint64_t)(ca->guaranteed - na) * cb->guaranteed;
        uint64_t db = (uint64_t)(cb->guaranteed - nb) * ca->guaranteed;
        if (da != db)
            return da > db;
    } else {
        uint64_t ra = (uint64_t)na * cb->weight, rb = (uint64_t)nb * ca->weight;
        if (ra != rb)
            return ra < rb;
    }
    /* Streaming, where somebody is blocked; but of those that have nothing at all whoever has had nothing for
     * longest, or with fewer slots than hungry classes one would never have any. */
    const struct class *ka = &q->classes[a], *kb = &q->classes[b];
    if (!na && !nb && ka->granted != kb->granted)
        return ka->granted < kb->granted;
    return a > b;
}

/** Were there `leased` leases, `n` of them of class `c`: might it have one more? */
static bool may_lease(const struct qos *q, unsigned c, unsigned n, unsigned leased)
{
    if (n >= q->classes[c].cfg.burst || leased >= q->cfg.total)
        return false;
    return n < q->classes[c].cfg.guaranteed || q->cfg.total - leased > q->cfg.reserve;
}

bool qos_grant_may_lease(const struct qos *q, enum traffic_class c)
{
    return may_lease(q, c, q->classes[c].leased, q->leased);
}

static unsigned classes_in_order(const struct qos *q, unsigned order[TRAFFIC_CLASSES])
{
    unsigned n = 0;
    for (unsigned c = 0; c < TRAFFIC_CLASSES; c++) {
        const struct class *k = &q->classes[c];
        if (!k->waiting || !may_lease(q, c, k->leased, q->leased))
            continue;
        unsigned at = n++;
        while (at > 0 &&
               class_before(q, c, k->leased, order[at - 1], q->classes[order[at - 1]].leased)) {
            order[at] = order[at - 1];
            at--;
        }
        order[at] = c;
    }
    return n;
}

static uint64_t capacity(const struct provider *p)
{
    unsigned room = qos_provider_room(p);
    return (uint64_t)(room ? room : 1) * p->cfg.weight;
}

unsigned qos_grant_least_loaded(const struct qos *q, uint32_t set)
{
    unsigned best = (unsigned)__builtin_ctz(set);
    for (uint32_t left = set & (set - 1); left; left &= left - 1) {
        unsigned i = (unsigned)__builtin_ctz(left);
        const struct provider *a = &q->providers[i], *b = &q->providers[best];
        if (qos_provider_leased(a) * capacity(b) < qos_provider_leased(b) * capacity(a))
            best = i;
    }
    return best;
}

void qos_grant_start(struct qos *q, struct op *op, struct conn *c, struct qos_order *out)
{
    if (!op->sent)
        qos_hist_add(q->classes[op->want.class].wait, q->now - op->since);
    op->sent = true;
    qos_conn_send(q, c, op);
    *out = (struct qos_order){.kind = QOS_START,
                              .provider = c->provider,
                              .conn = qos_conn_handle(q, c),
                              .op = qos_op_handle(q, op),
                              .cookie = op->want.cookie};
}

static bool start(struct qos *q, struct flow *f, struct conn *c, struct qos_order *out)
{
    struct op *op = container_of(f->ops.next, struct op, link);
    qos_queue_take(q, op);
    qos_grant_start(q, op, c, out);
    return true;
}

/** What waits in `f` relies on `c`, which is being opened. */
static void cover(struct qos *q, struct conn *c, struct flow *f)
{
    if (q->classes[f->stream->class].cfg.per_stream) {
        c->opener = f;
        qos_flow_opening(q, f, +1);
        qos_stream_hold(q, f->stream, +1);
    } else {
        c->lane = f->lane;
        qos_lane_opening(q, f->lane, +1);
    }
}

static bool open_for(struct qos *q, struct flow *f, unsigned provider, struct qos_order *out)
{
    struct provider *p = &q->providers[provider];
    bool above = !p->down && qos_provider_sockets(p) >= p->ceiling;
    struct conn *c = qos_conn_new(q, provider);
    qos_conn_lease(q, c, container_of(f->ops.next, struct op, link));
    c->probing = p->probing = above;
    if (p->down)
        p->trial = qos_conn_handle(q, c); /* nobody relies on it, so it covers no one */
    else
        cover(q, c, f);
    *out =
        (struct qos_order){.kind = QOS_OPEN, .provider = provider, .conn = qos_conn_handle(q, c)};
    return true;
}

/** The class has the slot, if one of `v` can serve something that waits in it. */
static bool lease_grant(struct qos *q, const struct view *v, unsigned class, struct qos_order *out)
{
    struct flow *best = NULL;
    uint32_t slots = 0, coming = qos_warm_coming(q, class);
    list_for_each(link, &q->classes[class].lanes)
    {
        struct lane *l = container_of(link, struct lane, link);
        struct flow *f = qos_lane_next(l);
        if (!f)
            continue;
        uint32_t set = v->warm | v->probe | (qos_lane_uncovered(l) ? v->cold | coming : 0);
        set &= qos_lane_eligible(q, l);
        if (set && (!best || qos_flow_before(f, best))) {
            best = f;
            slots = set;
        }
    }
    if (!best)
        return false;
    if (slots & v->probe)
        return open_for(q, best, qos_grant_least_loaded(q, slots & v->probe), out);
    const struct op *op = container_of(best->ops.next, struct op, link);
    if (slots & ~op->shun)
        slots &= ~op->shun;
    /* Nobody who is blocked is made to try out a provider while another has room. */
    if (best->urgency != URGENCY_DEMAND && slots & v->trial)
        slots &= v->trial;
    else if (best->urgency == URGENCY_DEMAND && slots & ~v->trial)
        slots &= ~v->trial;
    struct conn *opening = slots & v->warm ? NULL : qos_warm_take(q, class, slots);
    if (opening) {
        cover(q, opening, best);
        return lease_grant(q, v, class, out);
    }
    if (!(slots & v->warm))
        return open_for(q, best, qos_grant_least_loaded(q, slots), out);
    struct provider *p = &q->providers[qos_grant_least_loaded(q, slots & v->warm)];
    struct conn *c = container_of(p->idlers.next, struct conn, link);
    qos_conn_lease(q, c, op);
    return start(q, best, c, out);
}

/* --- pipelining -------------------------------------------------------------------------------- */

/* A slot must come back to a guaranteed claim at the end of the operation under way, so at any moment enough
 * leases carry one operation only for all guarantees of the others to be met from them. What the providers
 * do not bear now is shared in proportion. */
unsigned qos_grant_pipelines(const struct qos *q, enum traffic_class c)
{
    uint64_t bearing = 0, others = 0;
    for (unsigned i = 0; i < q->cfg.nproviders; i++)
        bearing += q->providers[i].down ? 0 : qos_provider_room(&q->providers[i]);
    for (unsigned j = 0; j < TRAFFIC_CLASSES; j++)
        others += j == c ? 0 : q->classes[j].cfg.guaranteed;
    if (bearing < q->cfg.total)
        others = others * bearing / q->cfg.total;
    else
        bearing = q->cfg.total;
    return (unsigned)(bearing - others);
}

/* Who is playing now and then, below its guarantee, waits for the first slot that comes back. Of so many leases
 * that carry one article only the first is back after a twentieth of an article; of three, after a third. (Health's
 * rows are STATs, and short.) So while another class has asked for something lately and may ask again, that many stay
 * so; what that costs is a round trip an article. */
#define SHALLOW_LEAST 20u
#define LATELY_US     10000000u

static unsigned article_pipelines(const struct qos *q, unsigned c, unsigned pipelines)
{
    bool claimant = false;
    unsigned taken = SHALLOW_LEAST;
    for (unsigned j = 0; j < TRAFFIC_CLASSES; j++) {
        const struct class *k = &q->classes[j];
        if (j == c)
            continue;
        taken += k->pipelined;
        claimant |= k->asked && k->leased < k->cfg.guaranteed && q->now - k->asked_at < LATELY_US;
    }
    if (!claimant)
        return pipelines;
    unsigned most = q->cfg.total > taken ? q->cfg.total - taken : 0;
    return most < pipelines ? most : pipelines;
}

static bool others_guaranteed(const struct qos *q, unsigned c)
{
    for (unsigned j = 0; j < TRAFFIC_CLASSES; j++) {
        if (j != c && q->classes[j].cfg.guaranteed)
            return true;
    }
    return false;
}

/** The number in flight on the connection of `p` that could take one more of class `c`; 0: none. */
static unsigned shallowest(const struct qos *q, const struct provider *p, unsigned c, unsigned most,
                           unsigned pipelines)
{
    const struct class *k = &q->classes[c];
    for (uint32_t left = p->carrying[c] & ~1u; left; left &= left - 1) {
        unsigned n = (unsigned)__builtin_ctz(left);
        if (n >= most || n >= p->cfg.pipelining)
            return 0;
        if (n == 1 && k->pipelined >= pipelines)
            continue;
        if (n == 2 && k->deep >= k->cfg.guaranteed && others_guaranteed(q, c))
            continue;
        return n;
    }
    return 0;
}

/** Providers that could serve something that waits in a class and that no connection is opened for; and how
 *  much there is of it. */
static uint32_t wanted_of(struct qos *q, unsigned class, unsigned *uncovered)
{
    uint32_t set = 0;
    *uncovered = 0;
    list_for_each(link, &q->classes[class].lanes)
    {
        struct lane *l = container_of(link, struct lane, link);
        if (!qos_lane_uncovered(l) || !qos_lane_next(l))
            continue;
        set |= qos_lane_eligible(q, l);
        *uncovered += l->usable - l->opening;
    }
    return set;
}

/** If a lease of class `c` at provider `i` ended now, would the slot be its again? */
static bool keeps(const struct qos *q, unsigned c, unsigned i, const uint32_t want[TRAFFIC_CLASSES])
{
    unsigned n = q->classes[c].leased - 1, leased = q->leased - 1;
    const struct provider *p = &q->providers[i];
    if (!may_lease(q, c, n, leased) || p->opening + p->idle + p->busy > p->cfg.connections)
        return false;
    for (unsigned j = 0; j < TRAFFIC_CLASSES; j++) {
        unsigned nj = q->classes[j].leased;
        if (j != c && want[j] >> i & 1 && may_lease(q, j, nj, leased) &&
            class_before(q, j, nj, c, n))
            return false;
    }
    return true;
}

/** Providers where leases held on burst by others will come to a class below its guarantee: it waits for
 *  them, within one operation, rather than queue behind itself. */
static uint32_t reclaims(const struct qos *q, unsigned class)
{
    uint32_t set = 0;
    if (q->classes[class].leased >= q->classes[class].cfg.guaranteed)
        return 0;
    for (unsigned j = 0; j < TRAFFIC_CLASSES; j++) {
        if (j == class || q->classes[j].leased <= q->classes[j].cfg.guaranteed)
            continue;
        for (unsigned i = 0; i < q->cfg.nproviders; i++)
            set |= q->providers[i].carrying[j] & ~1u ? 1u << i : 0;
    }
    return set;
}

/** In streaming, nobody is blocked on it. */
static bool is_ahead(unsigned class, enum urgency u)
{
    return class == TRAFFIC_STREAMING && u != URGENCY_DEMAND;
}

/* Readahead goes at most two deep in streaming, and the second no earlier than it must (follow.c): what a reader
 * turns out to be blocked on must not find a row of articles before it on every connection. */
static unsigned depth_most(unsigned class, enum urgency u)
{
    return is_ahead(class, u) ? 2 : QOS_DEPTH;
}

static bool pipeline_class(struct qos *q, unsigned class, const uint32_t want[TRAFFIC_CLASSES],
                           struct qos_order *out)
{
    uint32_t kept = 0;
    for (unsigned i = 0; i < q->cfg.nproviders; i++) {
        if (want[class] >> i & 1 && q->providers[i].carrying[class] & ~1u &&
            keeps(q, class, i, want))
            kept |= 1u << i;
    }
    kept &= ~q->spent;
    struct flow *best = NULL;
    struct provider *at = NULL;
    unsigned depth = 0;
    if (!kept)
        return false;
    unsigned pipelines = qos_grant_pipelines(q, (enum traffic_class) class);
    if (class != TRAFFIC_HEALTH)
        pipelines = article_pipelines(q, class, pipelines);
    uint32_t coming = reclaims(q, class);
    list_for_each(link, &q->classes[class].lanes)
    {
        struct lane *l = container_of(link, struct lane, link);
        struct flow *f = qos_lane_next(l);
        if (!f || !qos_lane_uncovered(l))
            continue;
        unsigned n = 0;
        uint32_t eligible = qos_lane_eligible(q, l);
        if (eligible & coming)
            return false;
        if (best && !qos_flow_before(f, best))
            continue;
        for (uint32_t left = eligible & kept; left; left &= left - 1) {
            struct provider *p = &q->providers[__builtin_ctz(left)];
            unsigned m = shallowest(q, p, class, depth_most(class, f->urgency), pipelines);
            if (m && is_ahead(class, f->urgency) && !qos_follow_may(q, p, class))
                continue;
            if (m && (!n || m < n)) {
                n = m;
                best = f;
                at = p;
            }
        }
        depth = n ? n : depth;
    }
    if (!best)
        return false;
    return start(q, best, container_of(at->carriers[class][depth].next, struct conn, link), out);
}

bool qos_grant(struct qos *q, struct qos_order *out)
{
    unsigned order[TRAFFIC_CLASSES], n = classes_in_order(q, order);
    q->spent = qos_carried_spent(q);
    if (n) {
        struct view v;
        look(q, &v);
        for (unsigned i = 0; i < n; i++) {
            if (lease_grant(q, &v, order[i], out))
                return true;
        }
    }
    bool pipelining = false;
    for (unsigned c = 0; c < TRAFFIC_CLASSES; c++)
        pipelining |= q->classes[c].waiting && q->classes[c].leased;
    if (!pipelining)
        return false;
    uint32_t want[TRAFFIC_CLASSES];
    unsigned uncovered;
    for (unsigned c = 0; c < TRAFFIC_CLASSES; c++)
        want[c] = q->classes[c].waiting ? wanted_of(q, c, &uncovered) : 0;
    for (unsigned c = TRAFFIC_CLASSES; c-- > 0;) {
        if (q->classes[c].waiting && q->classes[c].leased && pipeline_class(q, c, want, out))
            return true;
    }
    return false;
}

/* --- claims ------------------------------------------------------------------------------------ */

void qos_claims_note(struct qos *q)
{
    for (unsigned c = 0; c < TRAFFIC_CLASSES; c++) {
        struct class *k = &q->classes[c];
        uint32_t claims = 0;
        k->uncovered = 0;
        if (k->waiting && k->leased < k->cfg.guaranteed)
            claims = wanted_of(q, c, &k->uncovered) & ~q->down & ~q->spent;
        if (claims && !k->claims)
            k->claimed = q->now;
        k->claims = claims;
    }
}
