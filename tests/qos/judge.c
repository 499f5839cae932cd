#include "tests/qos/model.h"

#include <stdint.h>

#define ORDINARY_ARTICLE 768000u
#define SHORT_ANSWER     16384u

static unsigned leased_sum(const struct model *m)
{
    return m->leased[0] + m->leased[1] + m->leased[2];
}

/* --- a lease ----------------------------------------------------------------------------------- */

/** Would the grant rule, 2 and 3, have given a slot to `j` sooner than to `c`? */
static bool comes_first(const struct model *m, unsigned j, unsigned c)
{
    const struct qos_class_config *kj = &m->cfg.classes[j], *kc = &m->cfg.classes[c];
    uint64_t nj = m->leased[j], nc = m->leased[c];
    bool below_j = nj < kj->guaranteed, below_c = nc < kc->guaranteed;
    if (below_j != below_c)
        return below_j;
    if (below_j)
        return (kj->guaranteed - nj) * kc->guaranteed > (kc->guaranteed - nc) * kj->guaranteed;
    return nj < kj->burst && nj * kc->weight < nc * kj->weight;
}

/** I2, I3, rules 2 and 3: class c takes a slot of provider p. */
static void check_lease(struct model *m, unsigned c, unsigned p, bool warm)
{
    const struct qos_class_config *k = &m->cfg.classes[c];
    unsigned sum = leased_sum(m), n = m->leased[c];
    if (n >= k->burst)
        model_fault(m, "I2: class %u leases number %u, its burst is %u", c, n + 1, k->burst);
    if (sum >= m->total)
        model_fault(m, "I2: lease number %u of a pool of %u", sum + 1, m->total);
    if (n >= k->guaranteed && m->total - sum <= m->cfg.reserve)
        model_fault(m, "rule 3: the reserve of %u is not kept", m->cfg.reserve);
    for (unsigned j = 0; j < TRAFFIC_CLASSES; j++) {
        if (j == c || !comes_first(m, j, c))
            continue;
        unsigned waits = model_servable(m, j, p), covered = model_covering(m, j);
        /* Under a cap a connection being opened counts as the stream's, which no order tells. */
        bool capped = m->cfg.classes[j].per_stream > 0;
        if (waits <= (warm && !capped ? 0 : covered))
            continue;
        bool below = m->leased[j] < m->cfg.classes[j].guaranteed;
        const char *broken = n < k->guaranteed ? "rule 2" : below ? "I3" : "rule 3";
        model_fault(m, "%s: class %u with %u leases takes a slot of provider %u; class %u has %u",
                    broken, c, n, p, j, m->leased[j]);
    }
}

/* --- rule 5: of several providers -------------------------------------------------------------- */

static unsigned idle_at(const struct model *m, unsigned p)
{
    unsigned n = 0;
    for (unsigned i = 0; i < m->nconns; i++)
        n += m->conns[i].provider == p && m->conns[i].state == MODEL_READY && !m->conns[i].n;
    return n;
}

/** Is `a` loaded less than `b`, for what it bears? */
static bool lighter(const struct model *m, unsigned a, unsigned b)
{
    uint64_t ca = m->stats.providers[a].ceiling, cb = m->stats.providers[b].ceiling;
    unsigned wa = m->cfg.providers[a].weight, wb = m->cfg.providers[b].weight;
    ca = (ca ? ca : 1) * (wa ? wa : 1);
    cb = (cb ? cb : 1) * (wb ? wb : 1);
    return model_leases_at(m, a) * cb < model_leases_at(m, b) * ca;
}

/** An operation begins a lease of an idle connection. */
static void check_place(struct model *m, struct model_op *op, unsigned p)
{
    uint32_t others = model_serves(m, op) & ~(1u << p) & ~m->down & ~model_spent(m);
    if (op->shun || m->down >> p & 1)
        return; /* those have preferences of their own */
    for (; others; others &= others - 1) {
        unsigned o = (unsigned)__builtin_ctz(others);
        if (lighter(m, o, p) && idle_at(m, o))
            model_fault(m, "rule 5: provider %u takes what %u, less loaded, could have", p, o);
    }
}

/** May a connection be opened at p, for all that can be seen? */
static bool can_open(const struct model *m, unsigned p)
{
    const struct qos_provider_stats *s = &m->stats.providers[p];
    qos_time cover = model_or(m->cfg.cover_us, 1000000);
    unsigned sockets = model_sockets(m, p);
    if (s->down || m->now < s->retry_at || sockets >= s->ceiling || sockets >= s->limit)
        return false;
    for (unsigned i = 0; i < m->nconns; i++) {
        const struct model_conn *c = &m->conns[i];
        if (c->state == MODEL_OPENING && c->provider == p && c->opened + cover <= m->now)
            return false;
    }
    return true;
}

/** A connection is opened: only where nothing warm would do, and where the load is least. Judged where it
 *  is plain for whom: everything that waits in the class has the same choice. */
static void check_opening(struct model *m, unsigned class, unsigned p)
{
    uint32_t all = UINT32_MAX;
    if (m->down >> p & 1 || m->cfg.classes[class].per_stream)
        return;
    for (unsigned i = 0; i < m->nops; i++) {
        struct model_op *op = &m->ops[i];
        if (op->state != MODEL_WAITS || op->want.class != class)
            continue;
        all &= op->shun ? 0 : model_serves(m, op);
    }
    if (!(all >> p & 1))
        return;
    for (uint32_t left = all & ~m->down & ~model_spent(m); left; left &= left - 1) {
        unsigned o = (unsigned)__builtin_ctz(left);
        if (idle_at(m, o))
            model_fault(m, "rule 5: a connection is opened at %u; a warm one idles at %u", p, o);
        if (o != p && lighter(m, o, p) && can_open(m, o))
            model_fault(m, "rule 5: a connection is opened at %u; %u is less loaded", p, o);
    }
}

/* --- orders ------------------------------------------------------------------------------------ */

static void check_manners(struct model *m, unsigned p, unsigned sockets)
{
    const struct qos_provider_stats *was = &m->stats.providers[p];
    const struct model_manners *n = &m->manners[p];
    if (sockets >= m->cfg.providers[p].connections)
        model_fault(m, "I1: socket %u is opened at provider %u", sockets + 1, p);
    if (was->down && (was->opening || m->now < was->retry_at))
        model_fault(m, "breaker: provider %u is down and is tried out of turn", p);
    if (m->now < n->no_open_until)
        model_fault(m, "breaker: provider %u is tried again sooner than its back-off", p);
    if (!was->down && sockets > was->ceiling)
        model_fault(m, "ceiling: two sockets are tried above the ceiling of provider %u", p);
    if (!was->down && sockets >= n->ceiling && m->now < n->no_probe_until)
        model_fault(
            m, "ceiling: provider %u, at its ceiling, is probed before the interval is over", p);
}

/** Why a connection may not be opened at p for a class that is merely expected; NULL: it may. */
static const char *warm_refusal(struct model *m, unsigned class, unsigned p)
{
    uint32_t where;
    unsigned n = model_warm_up(m, class, &where);
    if (!model_is_warm(m, class))
        return "it is not expected";
    if (n >= model_warm_n(m, class))
        return "as many are up as are wanted";
    if (m->leased[class] >= m->cfg.classes[class].guaranteed)
        return "it has its guarantee";
    if (!(where >> p & 1))
        return "the provider is down, or out of tier";
    if (model_sockets(m, p) >= m->stats.providers[p].ceiling)
        return "the provider is at its ceiling";
    if (m->now < m->manners[p].no_warm_until)
        return "the last has just been lost there";
    for (unsigned j = 0; j < TRAFFIC_CLASSES; j++) {
        bool may = m->leased[j] < m->cfg.classes[j].burst &&
                   (m->leased[j] < m->cfg.classes[j].guaranteed ||
                    m->total - leased_sum(m) > m->cfg.reserve);
        if (may && !m->cfg.classes[j].per_stream && model_servable(m, j, p) > model_covering(m, j))
            return "somebody waits who could have it";
    }
    return NULL;
}

static void check_rate(struct model *m, unsigned p)
{
    if (model_spent(m) >> p & 1)
        model_fault(m, "rate: more is sent to provider %u than its limit carries", p);
}

static void note_lease(struct model *m, unsigned class)
{
    m->counts.leases[class]++;
    m->counts.guaranteed[class] += m->leased[class] < m->cfg.classes[class].guaranteed;
    m->leased[class]++;
}

static void on_open(struct model *m, const struct qos *q, const struct qos_order *o)
{
    unsigned p = o->provider, index = model_conn_index(o->conn), class = 0;
    struct model_conn *c = &m->conns[index];
    struct qos_stats now;
    qos_stats(q, &now);
    while (class < TRAFFIC_CLASSES && now.classes[class].leased == m->stats.classes[class].leased)
        class ++;
    if (c->state != MODEL_ABSENT)
        model_fault(m, "I1: a connection's handle is given out twice");
    if (class == TRAFFIC_CLASSES || p >= m->cfg.nproviders) {
        model_fault(m, "I2: an opening connection is no lease");
        return;
    }
    check_manners(m, p, model_sockets(m, p));
    check_rate(m, p);
    const char *refusal = warm_refusal(m, class, p);
    bool waits = model_servable(m, class, p) > 0;
    if (!waits && model_is_warm(m, class) && refusal)
        model_fault(m, "warm: class %u gets a connection at provider %u: %s", class, p, refusal);
    else if (!waits && refusal)
        model_fault(m, "rule 1: a connection is opened at provider %u that nobody waits for", p);
    check_lease(m, class, p, false);
    if (refusal)
        check_opening(m, class, p);
    m->nconns = index < m->nconns ? m->nconns : index + 1;
    *c = (struct model_conn){.state = MODEL_OPENING,
                             .handle = o->conn,
                             .provider = p,
                             .class = (enum traffic_class) class,
                             .probe = m->down >> p & 1,
                             .warm = !waits,
                             .opened = m->now};
    note_lease(m, class);
}

/** I3, I5: an operation joins a lease. */
static void check_pipeline(struct model *m, const struct model_conn *c, const struct model_op *op)
{
    unsigned k = op->want.class, n = m->leased[k], guaranteed = m->cfg.classes[k].guaranteed;
    unsigned deep = 0, others = 0, most = m->cfg.providers[c->provider].pipelining;
    if (c->class != op->want.class)
        model_fault(m, "I2: a lease of class %u carries an operation of class %u", c->class, k);
    if (c->n >= (most ? most : 1))
        model_fault(m, "I5: %u operations in flight where %u are allowed", c->n + 1, most);
    for (unsigned i = 0; i < m->nconns; i++)
        deep += m->conns[i].state == MODEL_READY && m->conns[i].class == k && m->conns[i].n > 2;
    for (unsigned j = 0; j < TRAFFIC_CLASSES; j++) {
        if (j == k)
            continue;
        others += m->cfg.classes[j].guaranteed;
        if (n > guaranteed && m->leased[j] < m->cfg.classes[j].guaranteed &&
            model_servable(m, j, c->provider) > model_covering(m, j))
            model_fault(m, "I3: class %u goes on above its guarantee; class %u waits below its own",
                        k, j);
    }
    if (c->n == 2 && others && deep >= guaranteed)
        model_fault(m, "I5: two further operations on a lease held on burst by class %u", k);
}

/** Readahead goes no earlier behind another than a round trip, with a margin, before that one is over. */
static void check_follow(struct model *m, const struct model_conn *c, const struct model_op *op)
{
    const struct model_reach *r = &m->reach[c->provider];
    const struct qos_want *first = &m->ops[c->ops[0]].want;
    uint64_t bytes = first->bytes;
    if (op->want.class != TRAFFIC_STREAMING || op->want.urgency == URGENCY_DEMAND || !r->flow_bytes)
        return;
    if (!bytes)
        bytes = first->verb == SEGMENT_BODY ? ORDINARY_ARTICLE : SHORT_ANSWER;
    qos_time over = model_begins(m, c) + bytes * r->flow_us / r->flow_bytes;
    qos_time lead = r->trip + r->trip / 4 + 1000;
    if (c->n > 1)
        model_fault(m, "follow: readahead is number %u on a connection", c->n + 1);
    if (m->now + lead < over)
        model_fault(m, "follow: readahead is sent behind what takes another %llu us, %llu away",
                    (unsigned long long)(over - m->now), (unsigned long long)r->trip);
}

/** I8, rule 4: nobody of the class that goes first could have had the place. */
static void check_order(struct model *m, struct model_op *op, unsigned p, bool joins)
{
    unsigned class = op->want.class, cap = m->cfg.classes[class].per_stream;
    unsigned openings = model_covering(m, class);
    if (joins && openings)
        return; /* what waits for a connection that is being opened does not queue behind others */
    for (unsigned i = 0; i < m->nops; i++) {
        struct model_op *w = &m->ops[i];
        if (w->state != MODEL_WAITS || w->want.class != class || w == op ||
            w->want.urgency > op->want.urgency || !(model_serves(m, w) >> p & 1))
            continue;
        if (cap && model_held(m, class, w->want.stream) + openings >= cap)
            continue;
        if (w->want.urgency < op->want.urgency)
            model_fault(m, "I8: urgency %u goes before %u", op->want.urgency, w->want.urgency);
        else if (w->want.stream == op->want.stream && w->seq < op->seq && w->old == op->old &&
                 !w->sent && !op->sent && !w->unordered && !op->unordered)
            model_fault(m, "rule 4: an operation goes before one that its stream wanted earlier");
    }
}

/** I8: a stream that waits for what another gets has its turn some time. */
static void check_turns(struct model *m, struct model_op *op, unsigned p)
{
    unsigned class = op->want.class, s = (unsigned)op->want.stream % MODEL_STREAMS;
    uint64_t bytes =
        op->want.bytes ? op->want.bytes : (op->want.verb == SEGMENT_BODY ? ORDINARY_ARTICLE : 0);
    bool rival[MODEL_STREAMS] = {false}, waits[MODEL_STREAMS] = {false};
    unsigned cap = m->cfg.classes[class].per_stream;
    for (unsigned i = 0; i < m->nops; i++) {
        struct model_op *w = &m->ops[i];
        if (w->state != MODEL_WAITS || w->want.class != class)
            continue;
        waits[w->want.stream % MODEL_STREAMS] = true;
        if (w->want.urgency <= op->want.urgency && model_serves(m, w) >> p & 1)
            rival[w->want.stream % MODEL_STREAMS] = true;
    }
    for (unsigned r = 0; r < MODEL_STREAMS; r++) {
        m->starved[class][r][s] = 0; /* this one got something */
        if (!waits[r])
            m->starved[class][s][r] = 0;
        if (!rival[r] || r == s || cap || m->uneven[class] || m->down >> p & 1)
            continue;
        m->starved[class][s][r] += bytes;
        if (m->starved[class][s][r] > MODEL_STARVED)
            model_fault(m, "I8: stream %u of class %u got %llu bytes while %u waited", s, class,
                        (unsigned long long)m->starved[class][s][r], r);
    }
}

static void check_sending(struct model *m, struct model_op *op, const struct model_conn *c)
{
    if (op->cancelled)
        model_fault(m, "I7: a cancelled operation is sent");
    if (!(model_serves(m, op) >> c->provider & 1))
        model_fault(m, "rule 1: provider %u is asked for what it lacks, or out of tier",
                    c->provider);
    if (op->want.deadline && op->want.deadline <= m->now)
        model_fault(m, "I7: an operation is sent after its deadline");
    /* A provider on trial is given readahead although a demand waits: that is no place for it. */
    if (!(m->down >> c->provider & 1))
        check_order(m, op, c->provider, c->n > 0);
    check_turns(m, op, c->provider);
}

/* --- twins ------------------------------------------------------------------------------------- */

/** Is it late, by what nine in ten of its provider's last bodies took? */
static bool is_late(const struct model *m, const struct model_op *op)
{
    const struct model_conn *c = &m->conns[op->conn];
    const struct model_manners *n = &m->manners[c->provider];
    unsigned count = n->ntimes < MODEL_TIMES ? (unsigned)n->ntimes : MODEL_TIMES;
    qos_time took = m->now - c->head;
    unsigned longer = 0; /* bodies that took more than two thirds of what it has taken by now */
    for (unsigned i = 0; i < count; i++)
        longer += n->times[i] > took / 3 * 2 + 2;
    return count >= 16 && took >= 50000 && longer <= count / 10;
}

static void on_late(struct model *m, const struct qos_order *o)
{
    unsigned i = (unsigned)(uintptr_t)o->cookie;
    struct model_op *op = &m->ops[i < MODEL_OPS ? i : 0];
    if (i >= MODEL_OPS || op->state != MODEL_FLIES || op->handle != o->op) {
        model_fault(m, "I7: an operation is said to be late that is not in flight");
        return;
    }
    if (op->late || op->twin || op->cancelled)
        model_fault(m, "hedge: an operation is said to be late twice, or is a twin, or unwanted");
    if (op->want.class != TRAFFIC_STREAMING || op->want.urgency != URGENCY_DEMAND ||
        op->want.verb != SEGMENT_BODY)
        model_fault(m, "hedge: an operation is said to be late that no reader is blocked on");
    if (!is_late(m, op))
        model_fault(m, "hedge: an operation is said to be late that is not");
    op->late = true;
}

/** A twin is sent: within the share, where nothing else could be, and elsewhere where that is possible. */
static void check_twin(struct model *m, struct model_op *op, const struct model_conn *c)
{
    struct model_op *first = &m->ops[op->first];
    unsigned p = c->provider;
    uint64_t cost = op->want.bytes ? op->want.bytes : ORDINARY_ARTICLE;
    cost *= 1000;
    if (c->n)
        model_fault(m, "hedge: a twin is sent behind something");
    if (cost > m->may_bytes || m->may_ops < 1000)
        model_fault(m, "hedge: more is asked for twice than its share");
    m->may_bytes -= cost < m->may_bytes ? cost : m->may_bytes;
    m->may_ops -= m->may_ops < 1000 ? m->may_ops : 1000;
    m->counts.hedged[op->want.class]++;
    for (unsigned j = 0; j < TRAFFIC_CLASSES; j++) {
        bool may = m->leased[j] < m->cfg.classes[j].burst &&
                   (m->leased[j] < m->cfg.classes[j].guaranteed ||
                    m->total - leased_sum(m) > m->cfg.reserve);
        if (may && !m->cfg.classes[j].per_stream && model_servable(m, j, p) > model_covering(m, j))
            model_fault(m, "hedge: a twin is sent to provider %u where class %u waits", p, j);
    }
    if (first->state != MODEL_FLIES || first->handle != op->first_handle)
        return; /* it has come, or broken off, since it was late */
    uint32_t may = model_serves(m, first) & ~m->down & ~model_spent(m) & ~first->shun;
    if (!(may >> p & 1))
        model_fault(m, "hedge: a twin is sent to provider %u, that lacks it, is down or spent", p);
    if (first->conn == model_conn_index(c->handle))
        model_fault(m, "hedge: a twin is sent to where the first one is");
    for (unsigned j = 0; j < m->cfg.nproviders; j++)
        may &= m->cfg.providers[j].rate_bps ? ~(1u << j) : ~0u; /* its limit may be at work */
    for (may &= ~(1u << p); m->conns[first->conn].provider == p && may; may &= may - 1) {
        if (idle_at(m, (unsigned)__builtin_ctz(may)))
            model_fault(m, "hedge: a twin stays at provider %u, and another idles", p);
    }
}

static void on_start(struct model *m, const struct qos_order *o)
{
    unsigned i = (unsigned)(uintptr_t)o->cookie, ci = model_conn_index(o->conn);
    struct model_op *op = &m->ops[i < MODEL_OPS ? i : 0];
    struct model_conn *c = &m->conns[ci];
    unsigned class = op->want.class, cap = m->cfg.classes[class].per_stream;
    if (i >= MODEL_OPS || op->state != (op->twin ? MODEL_AT_HAND : MODEL_WAITS) ||
        op->handle != o->op) {
        model_fault(m, "I7: an operation is sent that does not wait");
        return;
    }
    if (c->state != MODEL_READY || c->handle != o->conn || c->provider != o->provider ||
        c->n >= MODEL_DEPTH) {
        model_fault(m, "I6: an operation is sent on a connection that is not ready");
        return;
    }
    if (op->twin)
        check_twin(m, op, c);
    else
        check_sending(m, op, c);
    check_rate(m, c->provider);
    if (!model_has_in_flight(m, c->provider))
        m->manners[c->provider].lively_at = m->now;
    if (c->n) {
        check_pipeline(m, c, op);
        check_follow(m, c, op);
    } else {
        check_lease(m, class, c->provider, true);
        if (!op->twin)
            check_place(m, op, c->provider);
        c->class = op->want.class;
        note_lease(m, class);
    }
    c->head = c->n ? c->head : m->now;
    op->late = false;
    c->ops[c->n++] = i;
    op->conn = ci;
    op->sent_at = m->now;
    op->begun = 0;
    model_op_state(m, op, MODEL_FLIES);
    m->counts.first_starts[class] += !op->sent;
    m->counts.started[class][c->provider]++;
    op->sent = true;
    unsigned has = cap ? model_held(m, class, op->want.stream) : 0;
    if (has > cap)
        model_fault(m, "I8: a stream holds %u connections, its cap is %u", has, cap);
}

/** Of its only attempt. */
static bool twin_verdict_fits(const struct model *m, const struct model_op *op, enum qos_verdict v)
{
    switch (v) {
    case QOS_DONE:
        return op->ok;
    case QOS_MISSING:
        return op->not_here;
    case QOS_CORRUPT:
        return op->spoilt;
    case QOS_FAILED:
        return op->sent && !op->ok && !op->refused && !op->not_here && !op->spoilt;
    case QOS_CANCELLED:
        return op->cancelled || m->shut || !op->sent;
    case QOS_REJECTED:
        return op->refused;
    case QOS_TIMEOUT:
        break;
    }
    return false;
}

static bool verdict_fits(const struct model *m, const struct model_op *op, enum qos_verdict v)
{
    uint32_t all = m->active, out = op->not_here | op->spoilt | op->failed | op->old;
    switch (v) {
    case QOS_DONE:
        return op->ok;
    case QOS_MISSING:
        return !(all & ~(op->not_here | op->old));
    case QOS_CORRUPT:
        return !(all & ~out) && all & op->spoilt && !(all & op->failed);
    case QOS_FAILED:
        return !(all & ~out) && all & op->failed;
    case QOS_TIMEOUT:
        return op->want.deadline && op->want.deadline <= m->now;
    case QOS_CANCELLED:
        return op->cancelled || m->shut;
    case QOS_REJECTED:
        return op->refused;
    }
    return false;
}

static void on_end(struct model *m, const struct qos_order *o)
{
    unsigned i = (unsigned)(uintptr_t)o->cookie;
    struct model_op *op = &m->ops[i < MODEL_OPS ? i : 0];
    if (i >= MODEL_OPS || op->state == MODEL_NONE || op->handle != o->op) {
        model_fault(m, "I7: an operation ends twice");
        return;
    }
    if (op->state == MODEL_FLIES)
        model_fault(m, "I7: an operation ends while it is in flight");
    else if (!(op->twin ? twin_verdict_fits(m, op, o->verdict) : verdict_fits(m, op, o->verdict)))
        model_fault(m, "I7: verdict %d is not what happened", (int)o->verdict);
    m->counts.ends[op->want.class][o->verdict]++;
    model_op_state(m, op, MODEL_NONE);
    m->live--;
}

/** Something is in flight on a connection that is closed: qos_cancel() says when that may be. */
static void check_cut(struct model *m, const struct model_conn *c)
{
    for (unsigned k = 0; k < c->n; k++) {
        if (!m->ops[c->ops[k]].cancelled)
            model_fault(m, "I7: a connection is cut that carries something wanted");
    }
    for (unsigned j = 0; j < TRAFFIC_CLASSES; j++) {
        if (m->leased[j] < m->cfg.classes[j].guaranteed && model_servable(m, j, c->provider))
            return;
    }
    model_fault(m, "I7: a connection is cut and nobody below a guarantee waits for the slot");
}

static void on_close(struct model *m, const struct qos_order *o)
{
    struct model_conn *c = &m->conns[model_conn_index(o->conn)];
    if (c->handle != o->conn ||
        (c->state != MODEL_READY && !(m->shut && c->state == MODEL_OPENING))) {
        model_fault(m, "I1: a connection is closed that is not ready");
        return;
    }
    if (c->n && !m->shut) {
        check_cut(m, c);
        m->counts.cuts[c->class]++;
    }
    if (c->n || c->state == MODEL_OPENING)
        m->leased[c->class]--;
    c->state = MODEL_CLOSING;
}

void model_order(struct model *m, const struct qos *q, const struct qos_order *o)
{
    m->orders++;
    m->hash =
        (m->hash ^ (uint64_t)o->kind ^ o->conn << 3 ^ o->op << 17 ^ (uint64_t)o->verdict << 50) *
        0x100000001b3u;
    switch (o->kind) {
    case QOS_OPEN:
        on_open(m, q, o);
        break;
    case QOS_START:
        on_start(m, o);
        break;
    case QOS_CLOSE:
        on_close(m, o);
        break;
    case QOS_END:
        on_end(m, o);
        break;
    case QOS_LATE:
        on_late(m, o);
        break;
    }
    model_look(m, q, m->now);
}

/* --- at rest ----------------------------------------------------------------------------------- */

/** I4 for one class and provider. */
static void check_idle(struct model *m, unsigned c, unsigned p)
{
    unsigned openings = model_covering(m, c), waits = model_servable(m, c, p);
    bool capped = m->cfg.classes[c].per_stream > 0;
    if (!waits || model_spent(m) >> p & 1)
        return;
    if (m->stats.providers[p].idle && waits > (capped ? openings : 0))
        model_fault(m, "I4: provider %u idles while %u of class %u wait", p, waits, c);
    if (waits > openings && can_open(m, p))
        model_fault(m, "I4: provider %u has room while %u of class %u wait and %u are opening", p,
                    waits, c, openings);
}

static void check_waiting(struct model *m)
{
    for (unsigned i = 0; i < m->nops; i++) {
        const struct model_op *op = &m->ops[i];
        if (op->state == MODEL_AT_HAND)
            model_fault(m, "hedge: a twin waits");
        if (op->state != MODEL_WAITS)
            continue;
        if (op->want.deadline && op->want.deadline <= m->now)
            model_fault(m, "I7: an operation waits after its deadline");
        if (op->cancelled)
            model_fault(m, "I7: a cancelled operation waits");
        if (!model_serves(m, &m->ops[i]))
            model_fault(m, "I7: an operation waits for nobody");
    }
}

/** Beyond its time: for a class that is expected, and has no more than it is to have. */
static bool is_kept(const struct model *m, const struct model_conn *c)
{
    uint32_t where;
    for (unsigned k = 0; k < TRAFFIC_CLASSES; k++) {
        if (model_is_warm(m, k) && model_warm_up(m, k, &where) <= model_warm_n(m, k) &&
            where >> c->provider & 1)
            return true;
    }
    return false;
}

static void check_idlers(struct model *m)
{
    qos_time most = model_or(m->cfg.idle_us, 60000000);
    for (unsigned i = 0; i < m->nconns; i++) {
        const struct model_conn *c = &m->conns[i];
        if (c->state == MODEL_READY && !c->n && c->rested + most <= m->now && !is_kept(m, c))
            model_fault(m, "wake: an idle connection outlives its time");
    }
}

/** A class that is expected to ask has what it is to have, where nothing forbids it. */
static void check_warm(struct model *m, unsigned class)
{
    uint32_t where;
    qos_time longest = model_or(m->cfg.idle_us, 60000000);
    unsigned n = model_warm_up(m, class, &where);
    longest = longest + longest / 4;
    if (!model_is_warm(m, class) || n >= model_warm_n(m, class) || leased_sum(m) >= m->total ||
        m->leased[class] >= m->cfg.classes[class].guaranteed)
        return;
    for (where &= ~model_spent(m); where; where &= where - 1) {
        unsigned p = (unsigned)__builtin_ctz(where);
        if (m->manners[p].warm_lost && m->now <= m->manners[p].warm_lost_at + longest)
            continue;
        if (can_open(m, p))
            model_fault(m, "warm: class %u has %u of %u connections up, and provider %u has room",
                        class, n, model_warm_n(m, class), p);
    }
}

/** What providers that said no are known to bear. */
static void check_ceilings(struct model *m)
{
    for (unsigned p = 0; p < m->cfg.nproviders; p++) {
        if (m->stats.providers[p].ceiling > m->manners[p].ceiling)
            model_fault(m, "ceiling: provider %u is said to bear %u; it refused at %u", p,
                        m->stats.providers[p].ceiling, m->manners[p].ceiling);
    }
}

void model_quiet(struct model *m, const struct qos *q)
{
    unsigned sum = leased_sum(m);
    model_figures(m);
    check_waiting(m);
    check_idlers(m);
    check_ceilings(m);
    if (qos_wake(q) <= m->now)
        model_fault(m, "wake: qos_wake() is not in the future: the caller would spin");
    for (unsigned c = 0; c < TRAFFIC_CLASSES && !m->shut; c++) {
        const struct qos_class_config *k = &m->cfg.classes[c];
        check_warm(m, c);
        if (m->leased[c] >= k->burst || sum >= m->total)
            continue;
        if (m->leased[c] >= k->guaranteed && m->total - sum <= m->cfg.reserve)
            continue;
        for (unsigned p = 0; p < m->cfg.nproviders; p++)
            check_idle(m, c, p);
    }
}
