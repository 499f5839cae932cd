#include "tests/qos/model.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define ATTEMPTS 3

void model_fault(struct model *m, const char *fmt, ...)
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

qos_time model_or(qos_time set, qos_time otherwise)
{
    return set ? set : otherwise;
}

/* --- configuration ----------------------------------------------------------------------------- */

static void configure(struct model *m, const struct qos_config *cfg)
{
    unsigned sum = 0;
    m->cfg = *cfg;
    m->active = 0;
    for (unsigned i = 0; i < cfg->nproviders; i++) {
        sum += cfg->providers[i].connections;
        m->active |= cfg->providers[i].connections ? 1u << i : 0;
    }
    m->total = cfg->total && cfg->total < sum ? cfg->total : sum;
    for (unsigned c = 0; c < TRAFFIC_CLASSES; c++) {
        struct qos_class_config *k = &m->cfg.classes[c];
        if (!k->weight)
            k->weight = k->guaranteed ? k->guaranteed : 1;
    }
    m->dirty = m->all_stale = true;
}

void model_init(struct model *m, const struct qos_config *cfg)
{
    memset(m, 0, sizeof(*m));
    m->may_ops = m->lent_ops = 4 * 1000;
    m->may_bytes = m->lent_bytes = (UINT64_C(4) << 20) * 1000;
    configure(m, cfg);
    for (unsigned p = 0; p < QOS_PROVIDERS; p++)
        m->manners[p].ceiling = m->cfg.providers[p].connections;
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
    for (unsigned p = 0; p < cfg->nproviders; p++) {
        if (cfg->providers[p].connections != m->cfg.providers[p].connections)
            m->manners[p].ceiling = cfg->providers[p].connections;
        m->manners[p].no_open_until = 0; /* whoever changes settings may have mended it */
        m->manners[p].no_warm_until = 0;
    }
    configure(m, cfg);
    for (unsigned i = 0; i < m->nconns; i++)
        m->conns[i].before = true;
    for (unsigned i = 0; i < m->nops; i++) {
        uint32_t old = too_old(m, &m->ops[i].want);
        m->ops[i].unordered |=
            old != m->ops[i].old; /* it queues anew, in no order that is promised */
        m->ops[i].old = old;
    }
}

/* --- operations -------------------------------------------------------------------------------- */

void model_op_changed(struct model *m, struct model_op *op)
{
    op->stale = true;
    m->dirty = true;
}

void model_op_state(struct model *m, struct model_op *op, enum model_op_state to)
{
    m->waiting[op->want.class] -= op->state == MODEL_WAITS;
    m->waiting[op->want.class] += to == MODEL_WAITS;
    op->state = to;
    m->dirty = true;
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
    m->ops[i] = (struct model_op){.handle = handle, .want = *want, .seq = m->seq++};
    m->ops[i].old = too_old(m, want);
    model_op_state(m, &m->ops[i], MODEL_WAITS);
    model_op_changed(m, &m->ops[i]);
    m->live++;
    m->nops = i < m->nops ? m->nops : i + 1;
}

void model_hedged(struct model *m, unsigned i, qos_op handle, unsigned first)
{
    struct qos_want want = m->ops[first].want;
    want.deadline = 0;
    model_submitted(m, i, handle, &want);
    struct model_op *op = &m->ops[i];
    op->twin = true;
    op->first = first;
    op->first_handle = m->ops[first].handle;
    model_op_state(m, op, MODEL_AT_HAND);
}

void model_promoted(struct model *m, unsigned i, enum urgency u, qos_time deadline)
{
    struct qos_want *w = &m->ops[i].want;
    if (u < w->urgency)
        m->ops[i].seq = m->seq++;
    w->urgency = u < w->urgency ? u : w->urgency;
    w->deadline = deadline ? deadline : w->deadline;
}

void model_cancelled(struct model *m, unsigned i)
{
    m->ops[i].cancelled = true;
}

static void broke_off(struct model *m, struct model_op *op, unsigned p)
{
    unsigned most = m->cfg.attempts ? m->cfg.attempts : ATTEMPTS;
    op->shun |= 1u << p;
    if (++op->tries[p] >= most)
        op->failed |= 1u << p;
    model_op_changed(m, op);
}

static void take_off(struct model *m, struct model_conn *c, unsigned at)
{
    model_op_state(m, &m->ops[c->ops[at]], MODEL_WAITS);
    c->n--;
    memmove(&c->ops[at], &c->ops[at + 1], (c->n - at) * sizeof(c->ops[0]));
    if (!c->n && c->state == MODEL_READY) {
        m->leased[c->class]--;
        c->rested = m->now;
    }
}

/* --- how far away -------------------------------------------------------------------------------- */

void model_begun(struct model *m, unsigned i)
{
    struct model_op *op = &m->ops[i];
    const struct model_conn *c = &m->conns[op->conn];
    struct model_reach *r = &m->reach[c->provider];
    if (op->begun)
        return;
    op->begun = m->now;
    if (op->sent_at != c->head)
        return;
    qos_time us = m->now - op->sent_at;
    r->trip = r->known ? r->trip - r->trip / 4 + us / 4 : us;
    r->known = true;
}

qos_time model_begins(const struct model *m, const struct model_conn *c)
{
    const struct model_op *op = &m->ops[c->ops[0]];
    qos_time at = op->sent_at + m->reach[c->provider].trip;
    if (op->begun)
        return op->begun;
    return at > c->head ? at : c->head;
}

static void flowed(struct model *m, const struct model_conn *c, uint64_t bytes)
{
    struct model_reach *r = &m->reach[c->provider];
    qos_time from = model_begins(m, c);
    if (!r->known || !bytes)
        return;
    r->flow_us += (m->now > from ? m->now - from : 0) - r->flow_us / 8;
    r->flow_bytes += bytes - r->flow_bytes / 8;
}

static void earned(uint64_t *may, uint64_t *lent, uint64_t by)
{
    uint64_t back = by < *lent ? by : *lent;
    *lent -= back;
    *may += by - back;
}

static void hedge_earned(struct model *m, const struct model_op *op, const struct model_conn *c,
                         enum qos_outcome how, uint64_t bytes)
{
    struct model_manners *n = &m->manners[c->provider];
    if (how != QOS_OK || op->want.verb != SEGMENT_BODY)
        return;
    qos_time before = c->head > op->sent_at ? c->head - op->sent_at : 0;
    qos_time trip = m->reach[c->provider].trip;
    n->times[n->ntimes++ % MODEL_TIMES] = m->now - c->head + (before < trip ? before : trip);
    if (op->want.class != TRAFFIC_STREAMING || op->twin)
        return;
    earned(&m->may_bytes, &m->lent_bytes, bytes * m->cfg.classes[TRAFFIC_STREAMING].hedge);
    earned(&m->may_ops, &m->lent_ops, m->cfg.classes[TRAFFIC_STREAMING].hedge);
}

void model_done(struct model *m, unsigned i, enum qos_outcome how, uint64_t bytes)
{
    struct model_op *op = &m->ops[i];
    struct model_conn *c = &m->conns[op->conn];
    struct model_counts *n = &m->counts;
    unsigned p = c->provider, k = op->want.class;
    c->answered++;
    hedge_earned(m, op, c, how, bytes);
    if (how == QOS_OK && op->want.verb == SEGMENT_BODY)
        flowed(m, c, bytes);
    c->head = m->now;
    for (unsigned at = 0; at < c->n; at++) {
        if (c->ops[at] == i) {
            take_off(m, c, at);
            break;
        }
    }
    m->manners[p].failed = false;
    m->manners[p].lively_at = m->now;
    n->bytes[k][p] += bytes;
    n->ok[k][p] += how == QOS_OK || how == QOS_NO_ROOM;
    n->not_here[k][p] += how == QOS_NOT_HERE;
    n->spoilt[k][p] += how == QOS_SPOILT;
    n->bodies[p] += how == QOS_OK && op->want.verb == SEGMENT_BODY;
    for (unsigned r = 0; r < MODEL_STREAMS && bytes; r++) {
        uint64_t *got = &m->starved[k][op->want.stream % MODEL_STREAMS][r];
        if (*got)
            *got = *got + bytes > op->charge ? *got + bytes - op->charge : 0;
    }
    op->charge = 0;
    op->ok |= how == QOS_OK;
    op->refused |= how == QOS_NO_ROOM;
    op->not_here |= how == QOS_NOT_HERE ? 1u << p : 0;
    op->spoilt |= how == QOS_SPOILT ? 1u << p : 0;
    if (how == QOS_DECLINED)
        broke_off(m, op, p);
    model_op_changed(m, op);
}

/* --- connections ------------------------------------------------------------------------------- */

static unsigned count_at(const struct model *m, unsigned p, enum model_conn_state state)
{
    unsigned n = 0;
    for (unsigned i = 0; i < m->nconns; i++)
        n += m->conns[i].state == state && m->conns[i].provider == p;
    return n;
}

void model_ready(struct model *m, unsigned index)
{
    struct model_conn *c = &m->conns[index];
    c->state = MODEL_READY;
    c->rested = m->now;
    m->leased[c->class]--;
    m->counts.ready[c->provider]++;
    unsigned n = count_at(m, c->provider, MODEL_READY);
    if (n > m->manners[c->provider].ceiling)
        m->manners[c->provider].ceiling = n;
}

void model_warmed(struct model *m, enum traffic_class class, unsigned n, qos_time until)
{
    m->warm[class] = (struct model_warm){n, until};
}

unsigned model_warm_n(const struct model *m, unsigned class)
{
    unsigned n = m->warm[class].n, most = m->cfg.classes[class].guaranteed;
    return n < most ? n : most;
}

bool model_is_warm(const struct model *m, unsigned class)
{
    const struct model_warm *w = &m->warm[class];
    return w->n && (!w->until || m->now < w->until) && !m->shut;
}

/** The first loss waits for about backoff_us, and so does one after an answer; others for longer. */
static void cooled(struct model *m, const struct model_conn *c)
{
    struct model_manners *n = &m->manners[c->provider];
    qos_time wait = model_or(m->cfg.backoff_us, 250000), idle = model_or(m->cfg.idle_us, 60000000);
    bool batch = n->warm_lost && c->opened <= n->warm_lost_at;
    wait = wait < idle ? wait : idle;
    n->warm_lost = true;
    n->warm_lost_at = m->now;
    if (batch) /* unless an answer has come since, which starts anew */
        return;
    n->no_warm_until = m->now + wait - wait / 4;
}

/** It was being opened and is no more, or was told that there are too many. */
static void says_no(struct model *m, const struct model_conn *c, enum qos_gone why)
{
    unsigned p = c->provider;
    struct model_manners *n = &m->manners[p];
    unsigned up = count_at(m, p, MODEL_READY);
    if (why == QOS_GONE_LIMIT && !up && count_at(m, p, MODEL_OPENING))
        return; /* it says nothing of how many would do, nor that none would */
    if (why == QOS_GONE_LIMIT && up) {
        n->ceiling = up;
        n->no_probe_until = m->now + model_or(m->cfg.probe_us, 30000000);
        return;
    }
    if (c->before)
        return;
    bool batch = n->failed && c->opened <= n->failed_at; /* they are one failure */
    n->failed = true;
    n->failed_at = m->now;
    if (batch)
        return;
    qos_time wait = model_or(m->cfg.backoff_us, 250000);
    if (why == QOS_GONE_LOGIN && m->cfg.login_us && m->cfg.login_us < wait)
        wait = m->cfg.login_us;
    n->no_open_until = m->now + wait - wait / 4;
}

void model_gone(struct model *m, unsigned index, enum qos_gone why, bool seen)
{
    struct model_conn *c = &m->conns[index];
    unsigned p = c->provider;
    bool counts = why != QOS_GONE_LIMIT && why != QOS_GONE_CLOSED && c->state == MODEL_READY;
    bool opening = c->state == MODEL_OPENING, idle = c->state == MODEL_READY && !c->n;
    bool refused = opening && why != QOS_GONE_CLOSED;
    if (why != QOS_GONE_CLOSED && (idle || (opening && c->warm)))
        cooled(m, c);
    if (why == QOS_GONE_LIMIT && c->state == MODEL_READY && !idle)
        refused = true;
    else if (c->state == MODEL_READY && !idle) {
        m->manners[p].failed = true; /* operations that break off may make it back off, too */
        m->manners[p].failed_at = m->now;
    }
    if (why == QOS_GONE_STALE && c->answered)
        counts = false;
    if (counts && c->n)
        broke_off(m, &m->ops[c->ops[0]], p);
    while (c->n)
        take_off(m, c, 0);
    if (opening)
        m->leased[c->class]--;
    c->state = MODEL_ABSENT;
    if (refused)
        says_no(m, c, why);
    if (!seen) {
        qos_time linger = model_or(m->cfg.linger_us, 2000000);
        m->lingers[m->nlingers++] = (struct model_linger){p, m->now + linger};
    }
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

unsigned model_leases_at(const struct model *m, unsigned provider)
{
    unsigned n = 0;
    for (unsigned i = 0; i < m->nconns; i++) {
        const struct model_conn *c = &m->conns[i];
        n += c->provider == provider &&
             (c->state == MODEL_OPENING || (c->state == MODEL_READY && c->n));
    }
    return n;
}

static uint32_t first_asked(const struct model *m);

unsigned model_warm_up(const struct model *m, unsigned class, uint32_t *where)
{
    unsigned n = 0;
    *where = first_asked(m);
    for (unsigned i = 0; i < m->nconns; i++) {
        const struct model_conn *c = &m->conns[i];
        bool idle = c->state == MODEL_READY && !c->n;
        bool its = c->class == class && (c->state == MODEL_OPENING || c->state == MODEL_READY);
        n += *where >> c->provider & 1 && (idle || its);
    }
    return n;
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
    uint32_t down = 0;
    for (unsigned p = 0; p < m->cfg.nproviders; p++)
        down |= m->stats.providers[p].down ? 1u << p : 0;
    if (down != m->down)
        m->dirty = m->all_stale = true;
    m->down = down;
}

/* --- who may serve what ------------------------------------------------------------------------ */

static uint32_t lowest_tier(const struct model *m, uint32_t set)
{
    unsigned tier = UINT32_MAX;
    uint32_t found = 0;
    for (uint32_t left = set; left; left &= left - 1) {
        unsigned p = (unsigned)__builtin_ctz(left), t = m->cfg.providers[p].tier;
        found = t < tier ? 1u << p : found | (t == tier ? 1u << p : 0);
        tier = t < tier ? t : tier;
    }
    return found;
}

/* Tier by tier from the lowest; a tier all of which is down lets the next one in. */
static uint32_t find_serves(const struct model *m, const struct model_op *op)
{
    uint32_t could = m->active & ~(op->not_here | op->spoilt | op->failed | op->old), set = 0;
    while (could) {
        uint32_t tier = lowest_tier(m, could);
        set |= tier;
        if (tier & ~m->down)
            break;
        could &= ~tier;
    }
    return set;
}

/** Who is asked for what nobody lacks, of those that are up. */
static uint32_t first_asked(const struct model *m)
{
    return find_serves(m, &(struct model_op){0}) & ~m->down;
}

static void recount(struct model *m)
{
    memset(m->waits, 0, sizeof(m->waits));
    for (unsigned i = 0; i < m->nops; i++) {
        struct model_op *op = &m->ops[i];
        if (op->state == MODEL_NONE)
            continue;
        if (op->stale || m->all_stale) {
            op->serves = find_serves(m, op);
            m->uneven[op->want.class] |= (op->not_here | op->spoilt | op->failed | op->old) != 0;
        }
        op->stale = false;
        if (op->state != MODEL_WAITS)
            continue;
        for (uint32_t left = op->serves; left; left &= left - 1)
            m->waits[op->want.class][__builtin_ctz(left)]++;
    }
    m->dirty = m->all_stale = false;
}

uint32_t model_serves(struct model *m, struct model_op *op)
{
    if (m->dirty)
        recount(m);
    return op->serves;
}

unsigned model_held(const struct model *m, unsigned class, uint64_t stream)
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

unsigned model_covering(const struct model *m, unsigned class)
{
    qos_time cover = model_or(m->cfg.cover_us, 1000000);
    unsigned n = 0;
    for (unsigned i = 0; i < m->nconns; i++) {
        const struct model_conn *c = &m->conns[i];
        n += c->state == MODEL_OPENING && c->class == class && !c->probe &&
             c->opened + cover > m->now;
    }
    return n;
}

unsigned model_servable(struct model *m, unsigned class, unsigned p)
{
    unsigned n = 0, waiting[MODEL_STREAMS] = {0}, cap = m->cfg.classes[class].per_stream;
    if (m->dirty)
        recount(m);
    if (!cap || !m->waits[class][p])
        return m->waits[class][p];
    for (unsigned i = 0; i < m->nops; i++) {
        const struct model_op *op = &m->ops[i];
        if (op->state == MODEL_WAITS && op->want.class == class && op->serves >> p & 1)
            waiting[op->want.stream % MODEL_STREAMS]++;
    }
    for (unsigned s = 0; s < MODEL_STREAMS; s++) {
        unsigned has = waiting[s] ? model_held(m, class, s) : 0;
        unsigned room = cap > has ? cap - has : 0;
        n += waiting[s] < room ? waiting[s] : room;
    }
    return n;
}

/* --- rates ------------------------------------------------------------------------------------- */

static bool over(uint64_t bps, uint64_t bytes, unsigned n)
{
    return bps && n >= 3 && bytes / 5 >= bps;
}

uint32_t model_spent(const struct model *m)
{
    uint64_t bytes[QOS_PROVIDERS] = {0}, all_bytes = 0;
    unsigned n[QOS_PROVIDERS] = {0}, all = 0;
    uint32_t spent = 0;
    for (unsigned i = 0; i < m->nops; i++) {
        const struct model_op *op = &m->ops[i];
        if (op->state != MODEL_FLIES)
            continue;
        unsigned p = m->conns[op->conn].provider;
        bytes[p] += op->want.bytes                  ? op->want.bytes
                    : op->want.verb == SEGMENT_BODY ? 768000
                                                    : 16384;
        n[p]++;
    }
    for (unsigned p = 0; p < m->cfg.nproviders; p++) {
        if (!n[p] || m->now - m->manners[p].lively_at >= 10000000)
            continue;
        all_bytes += bytes[p];
        all += n[p];
        spent |= over(m->cfg.providers[p].rate_bps, bytes[p], n[p]) ? 1u << p : 0;
    }
    if (over(m->cfg.rate_bps, all_bytes, all))
        spent = UINT32_MAX;
    return spent & ~m->down;
}

bool model_has_in_flight(const struct model *m, unsigned provider)
{
    for (unsigned i = 0; i < m->nops; i++) {
        const struct model_op *op = &m->ops[i];
        if (op->state == MODEL_FLIES && m->conns[op->conn].provider == provider)
            return true;
    }
    return false;
}
