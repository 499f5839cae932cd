#include "qos/internal.h"

/* Broken operations in a row, without an answer between them, that open the breaker. */
#define FAULTS_MOST 3

void qos_provider_init(struct provider *p)
{
    list_init(&p->idlers);
    list_init(&p->lingers);
    list_init(&p->vain);
    p->ceiling = QOS_UNBOUNDED;
    for (unsigned c = 0; c < TRAFFIC_CLASSES; c++) {
        for (unsigned n = 0; n <= QOS_DEPTH; n++)
            list_init(&p->carriers[c][n]);
    }
}

uint32_t qos_providers_active(const struct qos *q)
{
    uint32_t active = 0;
    for (unsigned i = 0; i < q->cfg.nproviders; i++) {
        if (q->providers[i].cfg.connections)
            active |= 1u << i;
    }
    return active;
}

/** Of `set`, those of its lowest tier. */
static uint32_t lowest_tier(const struct qos *q, uint32_t set)
{
    unsigned tier = UINT32_MAX;
    uint32_t found = 0;
    for (uint32_t left = set; left; left &= left - 1) {
        unsigned i = (unsigned)__builtin_ctz(left);
        unsigned t = q->providers[i].cfg.tier;
        if (t < tier || !found) {
            tier = t;
            found = 0;
        }
        if (t == tier)
            found |= 1u << i;
    }
    return found;
}

/* The lowest tier that lacks nothing is asked. While every provider of it is down, the next tier is asked as
 * well; those that are down stay in the set, so that the probe that finds one back is made for somebody. */
uint32_t qos_providers_eligible(const struct qos *q, uint32_t excluded)
{
    uint32_t left = qos_providers_active(q) & ~excluded, eligible = 0;
    while (left) {
        uint32_t tier = lowest_tier(q, left);
        eligible |= tier;
        for (uint32_t t = tier; t; t &= t - 1) {
            if (!q->providers[__builtin_ctz(t)].down)
                return eligible;
        }
        left &= ~tier;
    }
    return eligible;
}

bool qos_provider_can_open(const struct qos *q, const struct provider *p)
{
    unsigned sockets = qos_provider_sockets(p);
    if (sockets >= p->cfg.connections || q->now < p->open_at || p->late)
        return false;
    if (p->down) /* what still hangs there from before does not count */
        return !p->opening && !p->idle && !qos_conn_find(q, p->trial);
    if (sockets < p->ceiling)
        return true;
    /* While an old socket may still count there, a refusal would say nothing. */
    bool certain = !p->closing && !p->lingering;
    return sockets == p->ceiling && !p->probing && certain && q->now >= p->probe_at;
}

static void idlers_close(struct qos *q, struct provider *p)
{
    while (!list_is_empty(&p->idlers))
        qos_conn_close(q, container_of(p->idlers.next, struct conn, link));
}

static void set_down(struct qos *q, struct provider *p, bool down)
{
    if (p->down == down)
        return;
    p->down = down;
    q->down ^= 1u << (p - q->providers);
    p->trial = 0;
    q->epoch++;
    if (down)
        idlers_close(q, p); /* what has idled there is no better than what broke */
}

/** Up to a quarter more or less, so that many who lost one provider do not come back as one. */
static qos_time jittered(qos_time us, uint32_t dice)
{
    return us - us / 4 + (us / 2 * (dice >> 16) >> 16);
}

/** Connections that fail together are one failure: the back-off grows only for one that was opened since. One
 *  that was opened under other settings says nothing of these: the password may have been the old one. */
static void back_off(struct qos *q, struct provider *p, const struct conn *c, bool login,
                     uint32_t dice)
{
    if (c->settings != q->settings || (p->level && c->opened <= p->failed_at))
        return;
    qos_time wait = login ? q->cfg.login_us : q->cfg.backoff_max_us;
    if (!login && p->level < 32 && q->cfg.backoff_us << p->level < wait)
        wait = q->cfg.backoff_us << p->level;
    p->level += p->level < 32;
    p->failed_at = q->now;
    p->open_at = q->now + jittered(wait, dice);
}

static void refused(struct qos *q, struct provider *p, const struct conn *c, bool login,
                    uint32_t dice)
{
    back_off(q, p, c, login, dice);
    if (p->idle || p->busy)
        return;
    set_down(q, p, true);
    if (p->guessed && !p->opening) { /* nothing came up at all: that was no limit, or not ours */
        p->ceiling = p->guessed;
        p->guessed = 0;
    }
}

/* The ceiling is what works. When the first to be refused are so before anything has come up (a greeting is
 * sooner said than a login is done), it is what is still being opened, and falls with each that is
 * refused. When they all are, somebody else fills the account, and that says nothing of how many it
 * would bear. */
static void at_limit(struct qos *q, struct provider *p, const struct conn *c, uint32_t dice)
{
    unsigned working = p->idle + p->busy;
    if (!working && (!p->opening || p->down)) {
        refused(q, p, c, false, dice);
        return;
    }
    if (working)
        p->guessed = 0;
    else if (!p->guessed)
        p->guessed = p->ceiling;
    unsigned guess = working ? working : p->opening;
    p->ceiling = guess < p->ceiling ? guess : p->ceiling;
    p->probe_at = q->now + q->cfg.probe_us;
}

static void failed(struct qos *q, struct provider *p, const struct conn *c, bool opening,
                   enum qos_gone why, uint32_t dice)
{
    struct share *share = &p->shares[c->class]; /* only what was leased fails */
    switch (why) {
    case QOS_GONE_CLOSED:
    case QOS_GONE_STALE:
        return;
    case QOS_GONE_LIMIT:
        share->refused++;
        at_limit(q, p, c, dice);
        return;
    case QOS_GONE_LOGIN:
    case QOS_GONE_REFUSED:
        share->refused++;
        refused(q, p, c, why == QOS_GONE_LOGIN, dice);
        return;
    case QOS_GONE_BROKEN:
    case QOS_GONE_SILENT:
        if (opening) {
            share->refused++;
            refused(q, p, c, false, dice);
            return;
        }
        share->broken++;
        /* After a suspend, or behind a router that forgot them, connections that idled are all as dead
         * as the first that was tried. An operation must not find that out one by one. */
        if (why == QOS_GONE_SILENT)
            idlers_close(q, p);
        if (++p->faults < FAULTS_MOST)
            return;
        back_off(q, p, c, false, dice);
        set_down(q, p, true);
        return;
    }
}

void qos_provider_failed(struct qos *q, const struct conn *c, bool opening, enum qos_gone why,
                         uint32_t dice)
{
    struct provider *p = &q->providers[c->provider];
    failed(q, p, c, opening, why, dice);
    /* One was refused while others worked, and now the last of those has gone: nobody is to wait here for the
     * back-off to pass that another tier could serve. */
    if (q->now < p->open_at && !p->opening && !p->idle && !p->busy)
        set_down(q, p, true);
}

/* A login alone does not close a breaker that broken operations have opened: a server may greet
 * everyone and serve no one. Then the one connection serves an operation first. */
void qos_provider_ready(struct qos *q, const struct conn *c)
{
    struct provider *p = &q->providers[c->provider];
    qos_cut_opened(p, q->now - c->opened);
    qos_hist_add(p->open, q->now - c->opened);
    p->opened++;
    unsigned working = p->idle + p->busy;
    p->guessed = 0;
    if (working > p->ceiling)
        p->ceiling = working;
    if (p->ceiling >= p->cfg.connections)
        p->ceiling = QOS_UNBOUNDED;
    if (p->faults < FAULTS_MOST)
        set_down(q, p, false);
}

void qos_provider_answered(struct qos *q, struct provider *p)
{
    p->faults = 0;
    p->level = 0;
    p->warm_level = 0;
    p->lively_at = q->now;
    set_down(q, p, false);
}

/* Those that go together are one loss. An answered operation is what says that a connection is of use there. */
void qos_provider_cooled(const struct qos *q, struct provider *p, const struct conn *c,
                         uint32_t dice)
{
    if (p->warm_level && c->opened <= p->warm_lost_at)
        return;
    qos_time wait = q->cfg.idle_us;
    if (p->warm_level < 32 && q->cfg.backoff_us << p->warm_level < wait)
        wait = q->cfg.backoff_us << p->warm_level;
    p->warm_level += p->warm_level < 32;
    p->warm_lost_at = q->now;
    p->warm_at = q->now + jittered(wait, dice);
}

static void sooner(qos_time *at, qos_time t)
{
    if (t < *at)
        *at = t;
}

qos_time qos_provider_wake(const struct qos *q, const struct provider *p)
{
    qos_time at = QOS_NEVER;
    if (!list_is_empty(&p->lingers))
        sooner(&at, container_of(p->lingers.next, struct conn, link)->since);
    if (!list_is_empty(&p->idlers)) {
        qos_time end = container_of(p->idlers.prev, struct conn, link)->since + q->cfg.idle_us;
        if (end > q->now) /* else it is kept */
            sooner(&at, end);
    }
    bool wanted = false;
    for (unsigned c = 0; c < TRAFFIC_CLASSES; c++)
        wanted |= q->classes[c].waiting > 0;
    if (wanted)
        sooner(&at, qos_carried_wake(q, p));
    if (wanted && p->cfg.connections) {
        if (p->open_at > q->now)
            sooner(&at, p->open_at);
        if (p->ceiling < p->cfg.connections && p->probe_at > q->now)
            sooner(&at, p->probe_at);
    }
    return at;
}
