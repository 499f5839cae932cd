#include "tests/qos/model.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static void fault(struct model *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void fault(struct model *m, const char *fmt, ...)
{
    if (m->wrong[0])
        return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(m->wrong, sizeof(m->wrong), fmt, ap);
    va_end(ap);
}

unsigned model_conn_index(qos_conn handle)
{
    return (unsigned)(handle % MODEL_CONNS);
}

static void configure(struct model *m, const struct qos_config *cfg)
{
    unsigned sum = 0;
    m->cfg = *cfg;
    for (unsigned i = 0; i < cfg->nproviders; i++)
        sum += cfg->providers[i].connections;
    m->total = cfg->total && cfg->total < sum ? cfg->total : sum;
    for (unsigned c = 0; c < TRAFFIC_CLASSES; c++) {
        struct qos_class_config *k = &m->cfg.classes[c];
        if (!k->weight)
            k->weight = k->guaranteed ? k->guaranteed : 1;
    }
}

void model_init(struct model *m, const struct qos_config *cfg)
{
    memset(m, 0, sizeof(*m));
    configure(m, cfg);
}

static uint32_t too_old(const struct model *m, const struct qos_want *w)
{
    uint32_t set = 0;
    for (unsigned p = 0; p < m->cfg.nproviders; p++) {
        if (m->cfg.providers[p].retention_us && w->age > m->cfg.providers[p].retention_us)
            set |= 1u << p;
    }
    return set;
}

void model_resized(struct model *m, const struct qos_config *cfg)
{
    configure(m, cfg);
    for (unsigned i = 0; i < m->nops; i++)
        m->ops[i].old = too_old(m, &m->ops[i].want);
}

unsigned model_place(const struct model *m)
{
    unsigned i = 0;
    while (i < MODEL_OPS && m->ops[i].state != MODEL_NONE)
        i++;
    return i;
}

void model_submitted(struct model *m, unsigned i, qos_op handle, const struct qos_want *want)
{
    m->ops[i] = (struct model_op){.state = MODEL_WAITS, .handle = handle, .want = *want};
    m->ops[i].old = too_old(m, want);
    m->live++;
    m->nops = i < m->nops ? m->nops : i + 1;
}

void model_promoted(struct model *m, unsigned i, enum urgency u, qos_time deadline)
{
    struct qos_want *w = &m->ops[i].want;
    w->urgency = u < w->urgency ? u : w->urgency;
    w->deadline = deadline ? deadline : w->deadline;
}

void model_cancelled(struct model *m, unsigned i)
{
    m->ops[i].cancelled = true;
}

void model_ready(struct model *m, unsigned c)
{
    m->conns[c].state = MODEL_READY;
    m->leased[m->conns[c].class]--;
}

static void take_off(struct model *m, struct model_conn *c, unsigned at)
{
    m->ops[c->ops[at]].state = MODEL_WAITS;
    c->n--;
    memmove(&c->ops[at], &c->ops[at + 1], (c->n - at) * sizeof(c->ops[0]));
    if (!c->n && c->state == MODEL_READY)
        m->leased[c->class]--;
}

void model_gone(struct model *m, unsigned index, enum qos_gone why, bool seen)
{
    struct model_conn *c = &m->conns[index];
    bool counts = why != QOS_GONE_LIMIT && why != QOS_GONE_CLOSED && c->state == MODEL_READY;
    if (why == QOS_GONE_STALE && c->answered)
        counts = false;
    if (counts && c->n) {
        struct model_op *op = &m->ops[c->ops[0]];
        unsigned most = m->cfg.attempts ? m->cfg.attempts : 3;
        if (++op->tries[c->provider] >= most)
            op->failed |= 1u << c->provider;
    }
    while (c->n)
        take_off(m, c, 0);
    if (c->state == MODEL_OPENING)
        m->leased[c->class]--;
    c->state = MODEL_ABSENT;
    if (!seen) {
        qos_time linger = m->cfg.linger_us ? m->cfg.linger_us : 2000000;
        m->lingers[m->nlingers++] = (struct model_linger){c->provider, m->now + linger};
    }
}

void model_done(struct model *m, unsigned i, enum qos_outcome how)
{
    struct model_op *op = &m->ops[i];
    struct model_conn *c = &m->conns[op->conn];
    uint32_t bit = 1u << c->provider;
    c->answered++;
    for (unsigned at = 0; at < c->n; at++) {
        if (c->ops[at] == i) {
            take_off(m, c, at);
            break;
        }
    }
    unsigned most = m->cfg.attempts ? m->cfg.attempts : 3;
    op->ok |= how == QOS_OK;
    op->refused |= how == QOS_NO_ROOM;
    op->not_here |= how == QOS_NOT_HERE ? bit : 0;
    op->spoilt |= how == QOS_SPOILT ? bit : 0;
    if (how == QOS_DECLINED && ++op->tries[c->provider] >= most)
        op->failed |= bit;
}

void model_look(struct model *m, const struct qos *q, qos_time now)
{
    m->now = now;
    unsigned kept = 0;
    for (unsigned i = 0; i < m->nlingers; i++) {
        if (m->lingers[i].until > now)
            m->lingers[kept++] = m->lingers[i];
    }
    m->nlingers = kept;
    qos_stats(q, &m->stats);
}

unsigned model_sockets(const struct model *m, unsigned provider)
{
    unsigned n = 0;
    for (unsigned i = 0; i < m->nconns; i++)
        n += m->conns[i].state != MODEL_ABSENT && m->conns[i].provider == provider;
    for (unsigned i = 0; i < m->nlingers; i++)
        n += m->lingers[i].provider == provider;
    return n;
}

/* --- who may serve what ------------------------------------------------------------------------ */

static uint32_t active(const struct model *m)
{
    uint32_t set = 0;
    for (unsigned p = 0; p < m->cfg.nproviders; p++)
        set |= m->cfg.providers[p].connections ? 1u << p : 0;
    return set;
}

/* Tier by tier from the lowest; a tier all of which is down lets the next one in. */
static bool may_serve(const struct model *m, const struct model_op *op, unsigned p)
{
    uint32_t could = active(m) & ~(op->not_here | op->spoilt | op->failed | op->old);
    unsigned tier = m->cfg.providers[p].tier;
    if (!(could >> p & 1))
        return false;
    for (unsigned i = 0; i < m->cfg.nproviders; i++) {
        if (could >> i & 1 && m->cfg.providers[i].tier < tier && !m->stats.providers[i].down)
            return false;
    }
    return true;
}

/** Connections that carry something of the stream. */
static unsigned held(const struct model *m, unsigned class, uint64_t stream)
{
    unsigned n = 0;
    for (unsigned i = 0; i < m->nconns; i++) {
        const struct model_conn *c = &m->conns[i];
        if (c->state != MODEL_READY || !c->n || c->class != class)
            continue;
        for (unsigned k = 0; k < c->n; k++) {
            if (m->ops[c->ops[k]].want.stream == stream) {
                n++;
                break;
            }
        }
    }
    return n;
}

/** Connections being opened for a class that whoever waits relies on. */
static unsigned covering(const struct model *m, unsigned class)
{
    qos_time cover = m->cfg.cover_us ? m->cfg.cover_us : 1000000;
    unsigned n = 0;
    for (unsigned i = 0; i < m->nconns; i++) {
        const struct model_conn *c = &m->conns[i];
        n += c->state == MODEL_OPENING && c->class == class && !c->probe &&
             c->opened + cover > m->now;
    }
    return n;
}

/** Waiting operations of a class that provider p could be sent at once, streams' caps respected. */
static unsigned servable(const struct model *m, unsigned class, unsigned p)
{
    unsigned n = 0, waiting[MODEL_STREAMS] = {0}, cap = m->cfg.classes[class].per_stream;
    for (unsigned i = 0; i < m->nops; i++) {
        const struct model_op *op = &m->ops[i];
        if (op->state == MODEL_WAITS && op->want.class == class && may_serve(m, op, p)) {
            waiting[op->want.stream % MODEL_STREAMS]++;
            n++;
        }
    }
    if (!cap)
        return n;
    n = 0;
    for (unsigned s = 0; s < MODEL_STREAMS; s++) {
        unsigned has = waiting[s] ? held(m, class, s) : 0;
        unsigned room = cap > has ? cap - has : 0;
        n += waiting[s] < room ? waiting[s] : room;
    }
    return n;
}

/* --- orders ------------------------------------------------------------------------------------ */

static unsigned leased_sum(const struct model *m)
{
    return m->leased[0] + m->leased[1] + m->leased[2];
}

/** I2, I3: class c takes a slot of provider p. */
static void check_lease(struct model *m, unsigned c, unsigned p, bool warm)
{
    const struct qos_class_config *k = &m->cfg.classes[c];
    unsigned sum = leased_sum(m), n = m->leased[c];
    if (n >= k->burst)
        fault(m, "I2: class %u leases number %u, its burst is %u", c, n + 1, k->burst);
    if (sum >= m->total)
        fault(m, "I2: lease number %u of a pool of %u", sum + 1, m->total);
    if (n < k->guaranteed)
        return;
    if (m->total - sum <= m->cfg.reserve)
        fault(m, "the reserve of %u is not kept", m->cfg.reserve);
    for (unsigned j = 0; j < TRAFFIC_CLASSES; j++) {
        if (j == c || m->leased[j] >= m->cfg.classes[j].guaranteed)
            continue;
        unsigned waits = servable(m, j, p), covered = covering(m, j);
        /* Under a cap a connection being opened counts as the stream's, which no order tells. */
        bool capped = m->cfg.classes[j].per_stream > 0;
        if (waits > (warm && !capped ? 0 : covered))
            fault(
                m,
                "I3: class %u takes a slot of provider %u; %u of class %u wait below its guarantee",
                c, p, waits, j);
    }
}

static void on_open(struct model *m, const struct qos *q, const struct qos_order *o)
{
    struct model_conn *c = &m->conns[model_conn_index(o->conn)];
    const struct qos_provider_stats *was = &m->stats.providers[o->provider];
    unsigned p = o->provider, sockets = model_sockets(m, p);
    struct qos_stats now;
    qos_stats(q, &now);
    unsigned class = 0;
    while (class < TRAFFIC_CLASSES && now.classes[class].leased == m->stats.classes[class].leased)
        class ++;
    if (c->state != MODEL_ABSENT)
        fault(m, "a connection's handle is given out twice");
    if (class == TRAFFIC_CLASSES) {
        fault(m, "an opening connection is no lease");
        return;
    }
    if (p >= m->cfg.nproviders || sockets >= m->cfg.providers[p].connections)
        fault(m, "I1: socket %u is opened at provider %u", sockets + 1, p);
    if (was->down && (was->opening || m->now < was->retry_at))
        fault(m, "provider %u is down and is tried out of turn", p);
    if (!was->down && sockets > was->ceiling)
        fault(m, "I1: two sockets are tried above the learned ceiling of provider %u", p);
    if (!servable(m, class, p))
        fault(m, "a connection is opened at provider %u that nobody waits for", p);
    check_lease(m, class, p, false);
    unsigned index = model_conn_index(o->conn);
    m->nconns = index < m->nconns ? m->nconns : index + 1;
    *c = (struct model_conn){.state = MODEL_OPENING,
                             .handle = o->conn,
                             .provider = p,
                             .class = (enum traffic_class) class,
                             .probe = was->down,
                             .opened = m->now};
    m->leased[class]++;
}

/** I3, I5: an operation joins a lease. */
static void check_pipeline(struct model *m, const struct model_conn *c, const struct model_op *op)
{
    unsigned k = op->want.class, n = m->leased[k], guaranteed = m->cfg.classes[k].guaranteed;
    unsigned deep = 0, others = 0, most = m->cfg.providers[c->provider].pipelining;
    if (c->class != op->want.class)
        fault(m, "a lease of class %u carries an operation of class %u", c->class, k);
    if (c->n >= (most ? most : 1))
        fault(m, "%u operations in flight where %u are allowed", c->n + 1, most);
    for (unsigned i = 0; i < m->nconns; i++)
        deep += m->conns[i].state == MODEL_READY && m->conns[i].class == k && m->conns[i].n > 2;
    for (unsigned j = 0; j < TRAFFIC_CLASSES; j++) {
        if (j == k)
            continue;
        others += m->cfg.classes[j].guaranteed;
        if (n > guaranteed && m->leased[j] < m->cfg.classes[j].guaranteed &&
            servable(m, j, c->provider) > covering(m, j))
            fault(m, "I3: class %u goes on above its guarantee; class %u waits below its own", k,
                  j);
    }
    if (c->n == 2 && others && deep >= guaranteed)
        fault(m, "I5: two further operations on a lease held on burst by class %u", k);
}

/** I8: nobody more urgent of the class could have had the place. */
static void check_urgency(struct model *m, const struct model_op *op, unsigned p, bool joins)
{
    unsigned cap = m->cfg.classes[op->want.class].per_stream,
             openings = covering(m, op->want.class);
    if (joins && openings)
        return; /* what waits for a connection that is being opened does not queue behind others */
    for (unsigned i = 0; i < m->nops; i++) {
        const struct model_op *w = &m->ops[i];
        if (w->state != MODEL_WAITS || w->want.class != op->want.class ||
            w->want.urgency >= op->want.urgency || !may_serve(m, w, p))
            continue;
        if (cap && held(m, w->want.class, w->want.stream) + openings >= cap)
            continue;
        fault(m, "I8: urgency %u goes before %u", op->want.urgency, w->want.urgency);
    }
}

static void on_start(struct model *m, const struct qos_order *o)
{
    unsigned i = (unsigned)(uintptr_t)o->cookie, ci = model_conn_index(o->conn);
    struct model_op *op = &m->ops[i];
    struct model_conn *c = &m->conns[ci];
    if (op->state != MODEL_WAITS || op->handle != o->op) {
        fault(m, "I7: an operation is sent that does not wait");
        return;
    }
    if (c->state != MODEL_READY || c->handle != o->conn || c->provider != o->provider) {
        fault(m, "I6: an operation is sent on a connection that is not ready");
        return;
    }
    if (op->cancelled)
        fault(m, "I7: a cancelled operation is sent");
    if (!may_serve(m, op, c->provider))
        fault(m, "provider %u is asked for what it lacks, or out of tier", c->provider);
    if (op->want.deadline && op->want.deadline <= m->now)
        fault(m, "an operation is sent after its deadline");
    bool trial = m->stats.providers[c->provider].down;
    /* A provider on trial is given readahead although a demand waits: that is no place for it. */
    if (!trial)
        check_urgency(m, op, c->provider, c->n > 0);
    if (c->n) {
        check_pipeline(m, c, op);
    } else {
        check_lease(m, op->want.class, c->provider, true);
        c->class = op->want.class;
        m->leased[c->class]++;
    }
    c->ops[c->n++] = i;
    op->conn = ci;
    op->state = MODEL_FLIES;
    unsigned cap = m->cfg.classes[op->want.class].per_stream;
    unsigned has = cap ? held(m, op->want.class, op->want.stream) : 0;
    if (has > cap)
        fault(m, "I8: a stream holds %u connections, its cap is %u", has, cap);
}

static bool verdict_fits(const struct model *m, const struct model_op *op, enum qos_verdict v)
{
    uint32_t all = active(m), out = op->not_here | op->spoilt | op->failed | op->old;
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
    struct model_op *op = &m->ops[(uintptr_t)o->cookie];
    if (op->state == MODEL_NONE || op->handle != o->op)
        fault(m, "I7: an operation ends twice");
    else if (op->state == MODEL_FLIES)
        fault(m, "I7: an operation ends while it is in flight");
    else if (!verdict_fits(m, op, o->verdict))
        fault(m, "I7: verdict %d is not what happened", (int)o->verdict);
    op->state = MODEL_NONE;
    m->live--;
    m->ends[o->verdict]++;
}

static void on_close(struct model *m, const struct qos_order *o)
{
    struct model_conn *c = &m->conns[model_conn_index(o->conn)];
    if (c->handle != o->conn ||
        (c->state != MODEL_READY && !(m->shut && c->state == MODEL_OPENING)))
        fault(m, "a connection is closed that is not ready");
    if (c->n && !m->shut)
        fault(m, "a connection is closed that carries something");
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
    }
    qos_stats(q, &m->stats);
}

/* --- at rest ----------------------------------------------------------------------------------- */

/** I4 for one class and provider. */
static void check_idle(struct model *m, unsigned c, unsigned p)
{
    const struct qos_provider_stats *s = &m->stats.providers[p];
    unsigned openings = covering(m, c), late = 0, waits = servable(m, c, p);
    bool capped = m->cfg.classes[c].per_stream > 0;
    if (!waits)
        return;
    if (s->idle && waits > (capped ? openings : 0))
        fault(m, "I4: provider %u idles while %u of class %u wait", p, waits, c);
    qos_time cover = m->cfg.cover_us ? m->cfg.cover_us : 1000000;
    for (unsigned i = 0; i < m->nconns; i++) {
        const struct model_conn *n = &m->conns[i];
        late += n->state == MODEL_OPENING && n->provider == p && n->opened + cover <= m->now;
    }
    unsigned sockets = model_sockets(m, p);
    if (s->down || late || m->now < s->retry_at || sockets >= s->ceiling ||
        sockets >= m->cfg.providers[p].connections)
        return;
    if (waits > openings)
        fault(m, "I4: provider %u has room while %u of class %u wait and %u are opening", p, waits,
              c, openings);
}

void model_quiet(struct model *m, const struct qos *q)
{
    unsigned sum = leased_sum(m);
    for (unsigned c = 0; c < TRAFFIC_CLASSES; c++) {
        if (m->leased[c] != m->stats.classes[c].leased)
            fault(m, "I2: class %u is said to lease %u and leases %u", c,
                  m->stats.classes[c].leased, m->leased[c]);
    }
    if (sum != m->stats.leased_total)
        fault(m, "I2: leases do not add up");
    for (unsigned p = 0; p < m->cfg.nproviders; p++) {
        if (model_sockets(m, p) != m->stats.providers[p].sockets)
            fault(m, "I1: provider %u is said to have %u sockets and has %u", p,
                  m->stats.providers[p].sockets, model_sockets(m, p));
    }
    if (qos_wake(q) <= m->now)
        fault(m, "qos_wake() is not in the future: the caller would spin");
    for (unsigned i = 0; i < m->nops; i++) {
        const struct model_op *op = &m->ops[i];
        if (op->state == MODEL_WAITS && op->want.deadline && op->want.deadline <= m->now)
            fault(m, "an operation waits after its deadline");
        if (op->state == MODEL_WAITS && op->cancelled)
            fault(m, "I7: a cancelled operation waits");
    }
    for (unsigned c = 0; c < TRAFFIC_CLASSES && !m->shut; c++) {
        const struct qos_class_config *k = &m->cfg.classes[c];
        if (m->leased[c] >= k->burst || sum >= m->total)
            continue;
        if (m->leased[c] >= k->guaranteed && m->total - sum <= m->cfg.reserve)
            continue;
        for (unsigned p = 0; p < m->cfg.nproviders; p++)
            check_idle(m, c, p);
    }
}
