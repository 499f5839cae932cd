#include "qos/internal.h"

/*
 * When to close a connection under an operation that nobody wants any more.
 *
 * What has been sent cannot be called back: the article comes, or the connection goes. To let it come costs
 * the slot what remains of it. To cut it costs the slot the opening of another connection; and since the
 * account counts the old socket until the server has noticed (I1), where the account is full it costs the
 * linger time before that. So it is cut when all of these hold:
 *
 *   1. everything that flies on the connection is cancelled;
 *   2. a class below its guarantee waits for a slot, this provider could serve what waits, and nothing idle
 *      or free anywhere does so: this is asked when no more can be granted;
 *   3. fewer sockets are on their way out at this provider than are claimed;
 *   4. what remains > opening + (the account is full ? linger : 0).
 *
 * Nobody tells how long something takes, so the provider's own past does. *Pace* is what bodies took from the
 * moment they came to the head of their connection, over what they brought, recent ones weighing more; so
 * it has in it how far away the server is and how many connections share the line. *Opening* is a moving
 * mean of what it took from OPEN to ready. What is under way is *due* after its bytes at that pace, and
 * what is behind it comes after that. Once it is late it is taken to need as long again as it is late by
 * now: of those that are late by a second most are late by more than two, since what delays them (a lost
 * packet, a busy disk, a dead router) has no scale of its own.
 *
 *                 remains
 *                  │╲                  ╱   cut from here on, if it is claimed
 *            cost ─┤┄┄╲┄┄┄┄┄┄┄┄┄┄┄┄┄┄╱┄┄
 *                  │    ╲          ╱
 *                  │      ╲      ╱
 *                  └────────╲──╱────────── time
 *                  sent      due
 *
 * In numbers: an article of 750 KB.
 *
 *   server                          remains     opening    linger
 *   2 MB/s, 50 ms away, full        <= 375 ms   250 ms     2 s       never cut while it moves
 *   2 MB/s, 50 ms away, not full    <= 375 ms   250 ms     -         cut in its first 125 ms
 *   50 KB/s, 50 ms away, full       <= 15 s     250 ms     2 s       cut until 2.25 s before its end
 *   2 MB/s, stuck, full             -           250 ms     2 s       cut 2.25 s after it was due
 *
 * (Opening: TCP, two of TLS, greeting and login are five round trips.) Until a provider has answered one
 * body nothing is known of it, and nothing is cut.
 *
 * Connections all of whose operations are cancelled are kept in a list. It is walked when a claim appears,
 * and when the first of them comes to be worth cutting, not with every fact.
 */

#define SAMPLE_MOST_US (UINT64_C(1) << 30) /* a longer one would outweigh all others for long */
#define SAMPLE_BYTES   (UINT64_C(1) << 28)

void qos_cut_opened(struct provider *p, qos_time us)
{
    p->open_us = p->opened ? p->open_us - p->open_us / 4 + us / 4 : us;
}

void qos_cut_answered(struct provider *p, qos_time us, uint64_t bytes)
{
    us = us < SAMPLE_MOST_US ? us : SAMPLE_MOST_US;
    bytes = bytes < SAMPLE_BYTES ? bytes : SAMPLE_BYTES;
    p->pace_us += us - p->pace_us / 8;
    p->pace_bytes += bytes - p->pace_bytes / 8;
}

/** What it takes there, once it is at the head. */
static qos_time takes(const struct provider *p, const struct op *op)
{
    uint64_t bytes = qos_op_cost(op);
    bytes = bytes < SAMPLE_BYTES ? bytes : SAMPLE_BYTES;
    return p->pace_bytes ? bytes * p->pace_us / p->pace_bytes : 0;
}

/** Can another lease be served there without waiting for a socket to go? */
static bool has_room(const struct provider *p)
{
    return p->idle || qos_provider_sockets(p) < qos_provider_room(p);
}

/** The first moment, not before now, when what remains of it costs more than another connection. */
static qos_time worth_at(const struct qos *q, const struct conn *c)
{
    const struct provider *p = &q->providers[c->provider];
    if (!p->pace_bytes)
        return QOS_NEVER;
    qos_time cost = p->open_us + (has_room(p) ? 0 : q->cfg.linger_us);
    qos_time due = c->head, behind = 0;
    list_for_each(l, &c->flying)
    {
        qos_time t = takes(p, container_of(l, struct op, link));
        if (l == c->flying.next)
            due += t;
        else
            behind += t;
    }
    qos_time off = q->now < due ? due - q->now : q->now - due;
    return off + behind > cost ? q->now : due + (cost - behind) + 1;
}

void qos_cut_consider(struct qos *q, struct conn *c)
{
    list_del(&c->vain);
    if (c->state != CONN_BUSY || !c->nflying || c->unwanted < c->nflying)
        return;
    list_add_tail(&q->providers[c->provider].vain, &c->vain);
    if (q->cut_set >> c->provider & 1) {
        qos_time at = worth_at(q, c);
        q->cut_at = at < q->cut_at ? at : q->cut_at;
    }
}

/** More slots are claimed at `i` than sockets are on their way out there. */
static bool is_short(const struct qos *q, unsigned i)
{
    const struct provider *p = &q->providers[i];
    uint64_t claimed = 0;
    for (unsigned c = 0; c < TRAFFIC_CLASSES; c++) {
        const struct class *k = &q->classes[c];
        if (!(k->claims >> i & 1))
            continue;
        unsigned below = k->cfg.guaranteed - k->leased;
        claimed += below < k->uncovered ? below : k->uncovered;
    }
    return claimed > (has_room(p) ? 0 : p->closing + p->lingering);
}

/** Providers where one connection less lets a claim have one more. */
static uint32_t short_at(const struct qos *q, uint32_t claims)
{
    uint32_t set = 0;
    for (; claims; claims &= claims - 1) {
        unsigned i = (unsigned)__builtin_ctz(claims);
        const struct provider *p = &q->providers[i];
        bool opens =
            q->now >= p->open_at && !p->late && qos_provider_sockets(p) <= qos_provider_room(p);
        if (!list_is_empty(&p->vain) && (opens || p->idle) && is_short(q, i))
            set |= 1u << i;
    }
    return set;
}

/** One of them that is worth cutting now; or when there will be. */
static struct conn *choose(struct qos *q, uint32_t set)
{
    q->cut_at = QOS_NEVER;
    for (; set; set &= set - 1) {
        struct provider *p = &q->providers[__builtin_ctz(set)];
        list_for_each(l, &p->vain)
        {
            struct conn *c = container_of(l, struct conn, vain);
            qos_time at = worth_at(q, c);
            if (at <= q->now)
                return c;
            q->cut_at = at < q->cut_at ? at : q->cut_at;
        }
    }
    return NULL;
}

bool qos_cut(struct qos *q)
{
    uint32_t claims = 0, roomy = 0;
    for (unsigned c = 0; c < TRAFFIC_CLASSES; c++)
        claims |= q->classes[c].claims;
    uint32_t set = short_at(q, claims);
    for (uint32_t left = set; left; left &= left - 1) {
        unsigned i = (unsigned)__builtin_ctz(left);
        roomy |= has_room(&q->providers[i]) ? 1u << i : 0;
    }
    bool changed = set & ~q->cut_set || roomy & ~q->cut_roomy;
    q->cut_set = set;
    q->cut_roomy = roomy;
    if (!set)
        q->cut_at = QOS_NEVER;
    if (!set || (!changed && q->now < q->cut_at))
        return false;
    struct conn *c = choose(q, set);
    if (!c)
        return false;
    q->cut_set = 0; /* who else is worth it is to be seen with one socket less */
    q->classes[c->class].cut++;
    qos_conn_close(q, c);
    return true;
}
