#include "nntp/rates.h"

/* A quantum is this part of a second's bytes, and within these bounds. The least of them costs one connection
 * at 100 KB/s a dozen wake-ups a second. */
#define QUANTA_A_SECOND 200u
#define QUANTUM_LEAST   ((uint64_t)8 << 10)
#define QUANTUM_MOST    ((uint64_t)1 << 20)

/* What one connection may read ahead of the limit at once while it is opened: a greeting, certificates. */
#define BORROW_MOST     ((uint64_t)16 << 10)

void nntp_rates_init(struct nntp_rates *r)
{
    *r = (struct nntp_rates){.again = UINT64_MAX};
    for (unsigned i = 0; i < QOS_PROVIDERS; i++) {
        list_init(&r->lines[i]);
        r->quantum[i] = UINT64_MAX;
    }
}

void nntp_rates_set(struct nntp_rates *r, const struct qos_config *cfg)
{
    for (unsigned i = 0; i < QOS_PROVIDERS; i++) {
        uint64_t bps = i < cfg->nproviders ? cfg->providers[i].rate_bps : 0;
        if (cfg->rate_bps && (!bps || cfg->rate_bps < bps))
            bps = cfg->rate_bps;
        uint64_t quantum = bps / QUANTA_A_SECOND;
        if (quantum < QUANTUM_LEAST)
            quantum = QUANTUM_LEAST;
        if (quantum > QUANTUM_MOST)
            quantum = QUANTUM_MOST;
        r->quantum[i] = bps ? quantum : UINT64_MAX;
        if (!bps)
            r->owed[i] = 0;
    }
}

void nntp_turn_init(struct nntp_turn *t, unsigned provider)
{
    *t = (struct nntp_turn){.provider = provider};
    list_init(&t->link);
}

/** Take more for it, and first what was read ahead. True: it has its quantum. */
static bool turn_fill(struct nntp_rates *r, struct qos *q, qos_time now, struct nntp_turn *t,
                      uint64_t quantum, qos_time *again)
{
    uint64_t *owed = &r->owed[t->provider], n;

    while (*owed) {
        n = qos_rate_take(q, now, t->provider, *owed, again);
        if (!n)
            return false;
        *owed -= n;
    }
    while (t->got < quantum) {
        n = qos_rate_take(q, now, t->provider, quantum - t->got, again);
        if (!n)
            return false;
        t->got += n;
    }
    return true;
}

static uint64_t turn_begin(struct nntp_turn *t)
{
    uint64_t n = t->got;

    t->got = 0;
    return n;
}

uint64_t nntp_rates_take(struct nntp_rates *r, struct qos *q, qos_time now, struct nntp_turn *t,
                         uint64_t want)
{
    uint64_t quantum = r->quantum[t->provider];
    qos_time again;

    t->owes = 0;
    if (!list_is_empty(&t->link))
        return 0;
    if (t->got) /* its turn has come */
        return turn_begin(t);
    if (quantum == UINT64_MAX)
        return want;
    if (!r->waiting && turn_fill(r, q, now, t, want < quantum ? want : quantum, &again))
        return turn_begin(t);
    t->ticket = ++r->ticket;
    list_add_tail(&r->lines[t->provider], &t->link);
    r->waiting |= 1u << t->provider;
    return 0;
}

uint64_t nntp_rates_borrow(struct nntp_rates *r, struct nntp_turn *t, uint64_t want)
{
    t->owes = 0;
    if (r->quantum[t->provider] == UINT64_MAX)
        return want;
    t->owes = want < BORROW_MOST ? want : BORROW_MOST;
    r->owed[t->provider] += t->owes;
    return t->owes;
}

void nntp_rates_give(struct nntp_rates *r, struct qos *q, struct nntp_turn *t, uint64_t bytes)
{
    uint64_t *owed = &r->owed[t->provider];
    uint64_t back = bytes < t->owes ? bytes : t->owes;

    t->owes = 0;
    back = back < *owed ? back : *owed;
    *owed -= back;
    if (bytes > back)
        qos_rate_give(q, t->provider, bytes - back);
}

static void line_leave(struct nntp_rates *r, struct nntp_turn *t)
{
    list_del(&t->link);
    if (list_is_empty(&r->lines[t->provider]))
        r->waiting &= ~(1u << t->provider);
}

/** The first of those lines of `set` that has stood longest; NULL: `set` is empty. */
static struct nntp_turn *first_of(struct nntp_rates *r, uint32_t set)
{
    struct nntp_turn *first = NULL;

    for (; set; set &= set - 1) {
        struct list *line = &r->lines[__builtin_ctz(set)];
        struct nntp_turn *t = container_of(line->next, struct nntp_turn, link);
        if (!first || t->ticket < first->ticket)
            first = t;
    }
    return first;
}

struct nntp_turn *nntp_rates_next(struct nntp_rates *r, struct qos *q, qos_time now)
{
    uint32_t left = r->waiting;
    struct nntp_turn *t;

    r->again = UINT64_MAX;
    while ((t = first_of(r, left))) {
        qos_time again = UINT64_MAX;
        uint64_t quantum = r->quantum[t->provider];
        if (quantum == UINT64_MAX) /* not limited any more */
            quantum = QUANTUM_LEAST;
        if (turn_fill(r, q, now, t, quantum, &again)) {
            line_leave(r, t);
            return t;
        }
        r->again = again < r->again ? again : r->again;
        left &= ~(1u << t->provider);
    }
    return NULL;
}

void nntp_rates_leave(struct nntp_rates *r, struct qos *q, struct nntp_turn *t)
{
    if (!list_is_empty(&t->link))
        line_leave(r, t);
    if (t->got)
        qos_rate_give(q, t->provider, t->got);
    t->got = 0;
}
