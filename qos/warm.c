#include "qos/internal.h"

/*
 * Connections that nobody has asked for yet. While a class is expected to ask, so many are to be up that it could
 * have: idle ones and its own leases, at the providers that would be asked first.
 *
 *   - Opened only when nothing can be granted, within the class's guarantee, below the ceiling, and nowhere that
 *     is down or in its back-off. While it is being opened it is a lease like any other.
 *   - Whoever comes to wait meanwhile has it, before another is opened for it.
 *   - Kept beyond the idle time while no more are up than are wanted.
 *   - Replaced when the server closes it. A server that goes on closing them, with no operation answered
 *     in between, is left alone for longer each time, up to the idle time.
 */

static bool is_on(const struct qos *q, unsigned class)
{
    const struct class *k = &q->classes[class];
    return k->warm && (!k->warm_until || q->now < k->warm_until) && !q->shut;
}

static uint32_t places(const struct qos *q)
{
    return qos_providers_eligible(q, 0) & ~q->down;
}

static unsigned up(const struct qos *q, unsigned class, uint32_t set)
{
    unsigned n = 0;
    for (; set; set &= set - 1) {
        const struct provider *p = &q->providers[__builtin_ctz(set)];
        n += p->idle + p->shares[class].leased;
    }
    return n;
}

/** So many are to be up for it. */
static unsigned wanted(const struct class *k)
{
    return k->warm < k->cfg.guaranteed ? k->warm : k->cfg.guaranteed;
}

static bool is_short(const struct qos *q, unsigned class, uint32_t set)
{
    const struct class *k = &q->classes[class];
    return k->leased < k->cfg.guaranteed && q->leased < q->cfg.total &&
           up(q, class, set) < wanted(k);
}

/** Has it fewer connections than `b`, for what it bears? */
static bool is_cooler(const struct provider *a, const struct provider *b)
{
    uint64_t na = a->opening + a->idle + a->busy, nb = b->opening + b->idle + b->busy;
    return na * qos_provider_room(b) * b->cfg.weight < nb * qos_provider_room(a) * a->cfg.weight;
}

static struct provider *place(struct qos *q, uint32_t set)
{
    struct provider *best = NULL;
    for (; set; set &= set - 1) {
        struct provider *p = &q->providers[__builtin_ctz(set)];
        if (!qos_provider_can_open(q, p) || qos_provider_sockets(p) >= p->ceiling ||
            q->now < p->warm_at)
            continue;
        if (!best || is_cooler(p, best))
            best = p;
    }
    return best;
}

void qos_warm_set(struct qos *q, enum traffic_class class, unsigned n, qos_time until)
{
    q->classes[class].warm = n;
    q->classes[class].warm_until = until;
}

bool qos_warm_open(struct qos *q, struct qos_order *out)
{
    for (unsigned class = TRAFFIC_CLASSES; class -- > 0;) {
        if (!is_on(q, class) || list_is_empty(&q->free_conns))
            continue;
        uint32_t set = places(q);
        struct provider *p = is_short(q, class, set) ? place(q, set & ~q->spent) : NULL;
        if (!p)
            continue;
        unsigned provider = (unsigned)(p - q->providers);
        struct conn *c = qos_conn_new(q, provider);
        qos_conn_lease_warm(q, c, (enum traffic_class) class);
        *out = (struct qos_order){
            .kind = QOS_OPEN, .provider = provider, .conn = qos_conn_handle(q, c)};
        return true;
    }
    return false;
}

uint32_t qos_warm_coming(const struct qos *q, unsigned class)
{
    uint32_t set = 0;
    for (unsigned i = 0; i < q->cfg.nproviders; i++)
        set |= q->providers[i].warming[class] ? 1u << i : 0;
    return set & ~q->down;
}

struct conn *qos_warm_take(struct qos *q, unsigned class, uint32_t set)
{
    if (!(set & qos_warm_coming(q, class)))
        return NULL;
    list_for_each(l, &q->opening)
    {
        struct conn *c = container_of(l, struct conn, link);
        if (!c->unclaimed || c->class != class || !(set >> c->provider & 1))
            continue;
        qos_conn_claim(q, c);
        return c;
    }
    return NULL;
}

bool qos_warm_keeps(const struct qos *q, unsigned provider)
{
    for (unsigned class = 0; class < TRAFFIC_CLASSES; class ++) {
        if (!is_on(q, class))
            continue;
        uint32_t set = places(q);
        if (set >> provider & 1 && up(q, class, set) <= wanted(&q->classes[class]))
            return true;
    }
    return false;
}

/** When one may be opened that is wanted and could be, but for the time. */
static qos_time retry(const struct qos *q, uint32_t set)
{
    qos_time at = QOS_NEVER;
    for (; set; set &= set - 1) {
        const struct provider *p = &q->providers[__builtin_ctz(set)];
        qos_time t = p->warm_at > p->open_at ? p->warm_at : p->open_at;
        if (t > q->now && t < at && qos_provider_sockets(p) < qos_provider_room(p))
            at = t;
    }
    return at;
}

qos_time qos_warm_wake(const struct qos *q)
{
    qos_time at = QOS_NEVER;
    for (unsigned class = 0; class < TRAFFIC_CLASSES; class ++) {
        if (!is_on(q, class))
            continue;
        const struct class *k = &q->classes[class];
        uint32_t set = places(q);
        qos_time t = is_short(q, class, set) ? retry(q, set) : QOS_NEVER;
        at = t < at ? t : at;
        /* What is kept beyond its time goes then. */
        if (k->warm_until && k->warm_until < at)
            at = k->warm_until;
    }
    return at;
}
