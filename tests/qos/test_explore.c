/*
 * All there is: every sequence of stimuli up to a depth, over pools so small that this can be done. What random
 * runs meet by luck, a handful of operations and connections meet by need: a refusal between two answers, a
 * cancellation just before a resize, everything at one instant or each after its timer.
 *
 * Breadth first. A state is played again from the start for each stimulus that it allows. States are taken for
 * one when the model's books agree in all that the scheduler's contract speaks of, times relative to now.
 * What a scheduler remembers beyond that (how often a provider has failed, whose turn it was) may differ:
 * so merging can hide a sequence, but never invent one. Hence each pool is explored twice: less deep
 * without merging, where nothing is left out but which of several connections alike it happens to, and
 * deeper with it. From every sixteenth state everything must come to its end.
 *
 *     test_qos_explore                         the suite
 *     test_qos_explore POOL DEPTH merge|all    by hand; says how many states and sequences
 */
#include "tests/qos/stage.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#    define LESS 1 /* deep, where every step is instrumented */
#else
#    define LESS 0
#endif
#define STATES_MOST (1u << 25)

struct pool {
    const char *name;
    unsigned nops;
    enum qos_gone refusal; /* of an opening connection */
    bool readahead;        /* streaming also wants what it can wait for, and promotes it */
    unsigned warm;         /* streaming may be expected, with so many connections */
    unsigned merged, all;  /* depths in the suite */
    struct qos_config cfg, other;
};

#define CLASSES(qg, qb, hg, hb, sg, sb)                                                            \
    {                                                                                              \
        {.guaranteed = (qg), .burst = (qb)}, {.guaranteed = (hg), .burst = (hb)},                  \
        {                                                                                          \
            .guaranteed = (sg), .burst = (sb)                                                      \
        }                                                                                          \
    }

static const struct pool pools[] = {
    {.name = "two providers of two",
     .nops = 4,
     .refusal = QOS_GONE_LIMIT,
     .merged = 6,
     .all = 5,
     .cfg = {.nproviders = 2,
             .providers = {{.connections = 2, .pipelining = 2},
                           {.connections = 2, .pipelining = 1}},
             .classes = CLASSES(1, 4, 1, 2, 1, 4)},
     .other = {.nproviders = 2,
               .total = 2,
               .providers = {{.connections = 1, .pipelining = 2}, {.connections = 1}},
               .classes = CLASSES(0, 2, 0, 1, 2, 2)}},
    {.name = "one connection",
     .nops = 3,
     .refusal = QOS_GONE_REFUSED,
     .readahead = true,
     .merged = 8,
     .all = 5,
     .cfg = {.nproviders = 1,
             .providers = {{.connections = 1, .pipelining = 3}},
             .classes = CLASSES(0, 1, 0, 1, 1, 1)},
     .other = {.nproviders = 2,
               .providers = {{.connections = 0}, {.connections = 1, .pipelining = 2}},
               .classes = CLASSES(1, 1, 0, 1, 0, 1)}},
    {.name = "a class that is expected",
     .nops = 2,
     .refusal = QOS_GONE_REFUSED,
     .warm = 2,
     .merged = 7,
     .all = 5,
     .cfg = {.nproviders = 2,
             .providers = {{.connections = 2, .pipelining = 2}, {.connections = 1, .tier = 1}},
             .classes = CLASSES(1, 3, 0, 1, 2, 2)},
     .other = {.nproviders = 2,
               .total = 1,
               .providers = {{.connections = 1}, {.connections = 1}},
               .classes = CLASSES(0, 1, 0, 1, 1, 1)}},
    {.name = "two tiers, reserve and a cap",
     .nops = 4,
     .refusal = QOS_GONE_LOGIN,
     .merged = 6,
     .all = 5,
     .cfg = {.nproviders = 2,
             .reserve = 1,
             .providers = {{.connections = 2, .pipelining = 2}, {.connections = 1, .tier = 1}},
             .classes = {{.guaranteed = 1, .burst = 3, .per_stream = 1},
                         {.guaranteed = 0, .burst = 3},
                         {.guaranteed = 1, .burst = 3}}},
     .other = {.nproviders = 2,
               .providers = {{.connections = 2}, {.connections = 2, .pipelining = 2}},
               .classes = CLASSES(2, 4, 0, 4, 1, 1)}},
};
#define NPOOLS ((int)(sizeof(pools) / sizeof(pools[0])))

/* --- moves ------------------------------------------------------------------------------------- */

/** A stimulus in few bytes: there are millions of states. */
struct move {
    uint32_t parent;
    uint8_t kind; /* enum step_kind */
    uint8_t what; /* operation, provider, or which configuration */
    uint8_t nth;
    uint8_t how; /* class and urgency, reason or outcome */
};

#define MOVES_MOST 64

struct moves {
    struct move m[MOVES_MOST];
    unsigned n;
};

static void add(struct moves *l, enum step_kind kind, unsigned what, unsigned nth, unsigned how)
{
    if (l->n == MOVES_MOST)
        abort();
    l->m[l->n++] = (struct move){
        .kind = (uint8_t)kind, .what = (uint8_t)what, .nth = (uint8_t)nth, .how = (uint8_t)how};
}

static struct step step_of(const struct pool *pool, const struct stage *s, struct move m)
{
    struct step st = {
        .kind = (enum step_kind)m.kind, .at = s->now, .provider = m.what, .nth = m.nth};
    switch (st.kind) {
    case STEP_PASS:
        st.at = qos_wake(s->q);
        break;
    case STEP_SUBMIT:
        st.want.class = (enum traffic_class)(m.how % TRAFFIC_CLASSES);
        st.want.urgency = (enum urgency)(m.how / TRAFFIC_CLASSES);
        st.op = m.what;
        break;
    case STEP_PROMOTE:
    case STEP_CANCEL:
        st.op = m.what;
        break;
    case STEP_ANSWER:
        st.how = (enum qos_outcome)m.how;
        st.bytes = 700000;
        break;
    case STEP_GONE:
        st.why = m.how ? (enum qos_gone)m.how : pool->refusal;
        st.seen = st.why != QOS_GONE_BROKEN;
        break;
    case STEP_WARM:
        st.want.class = TRAFFIC_STREAMING;
        st.n = pool->warm;
        break;
    case STEP_READY:
    case STEP_BEGUN:
    case STEP_RESIZE:
    case STEP_STRAY:
        break;
    }
    return st;
}

/** Is there a connection before `i` to which the same would happen? */
static bool has_twin(const struct model *m, unsigned i)
{
    const struct model_conn *c = &m->conns[i];
    for (unsigned k = 0; k < i; k++) {
        const struct model_conn *o = &m->conns[k];
        if (o->state == c->state && o->provider == c->provider && !o->n && !c->n &&
            (c->state != MODEL_OPENING || o->class == c->class) && o->opened == c->opened)
            return true;
    }
    return false;
}

static void conn_moves(const struct stage *s, unsigned i, struct moves *l)
{
    const struct model_conn *c = &s->m.conns[i];
    if (c->state == MODEL_ABSENT || has_twin(&s->m, i))
        return;
    unsigned p = c->provider, nth = s->nth[i];
    if (c->state == MODEL_OPENING) {
        add(l, STEP_READY, p, nth, 0);
        add(l, STEP_GONE, p, nth, 0);
    } else if (c->state == MODEL_CLOSING) {
        add(l, STEP_GONE, p, nth, QOS_GONE_BROKEN);
        add(l, STEP_GONE, p, nth, QOS_GONE_STALE);
    } else if (c->n) {
        add(l, STEP_ANSWER, p, nth, QOS_OK);
        add(l, STEP_ANSWER, p, nth, QOS_NOT_HERE);
        add(l, STEP_GONE, p, nth, QOS_GONE_BROKEN);
    } else {
        add(l, STEP_GONE, p, nth, QOS_GONE_STALE);
    }
}

/** All that may happen next. `submitted` and `resized` so far. */
static void find_moves(const struct pool *pool, const struct stage *s, unsigned submitted,
                       bool resized, struct moves *l)
{
    l->n = 0;
    if (qos_wake(s->q) != UINT64_MAX)
        add(l, STEP_PASS, 0, 0, 0);
    for (unsigned c = 0; c < TRAFFIC_CLASSES && submitted < pool->nops; c++)
        add(l, STEP_SUBMIT, submitted, 0, c);
    if (pool->readahead && submitted < pool->nops)
        add(l, STEP_SUBMIT, submitted, 0, TRAFFIC_STREAMING + TRAFFIC_CLASSES * URGENCY_READAHEAD);
    for (unsigned i = 0; i < s->m.nconns; i++)
        conn_moves(s, i, l);
    for (unsigned i = 0; i < s->m.nops; i++) {
        const struct model_op *op = &s->m.ops[i];
        if (op->state == MODEL_NONE || op->cancelled)
            continue;
        add(l, STEP_CANCEL, s->names[i], 0, 0);
        if (op->want.urgency != URGENCY_DEMAND)
            add(l, STEP_PROMOTE, s->names[i], 0, 0);
    }
    if (pool->warm && !s->m.warm[TRAFFIC_STREAMING].n)
        add(l, STEP_WARM, 0, 0, 0);
    add(l, STEP_RESIZE, !resized, 0, 0);
}

/* --- states ------------------------------------------------------------------------------------ */

static void mix(uint64_t *h, uint64_t v)
{
    *h = (*h ^ v) * 0x9e3779b97f4a7c15u;
    *h ^= *h >> 29;
}

static uint64_t ahead(const struct stage *s, qos_time t)
{
    return t > s->now ? t - s->now : 0;
}

/** Of the books, in an order that does not tell which of several alike is which. */
static uint64_t hash_of(const struct stage *s, unsigned submitted, bool resized)
{
    const struct model *m = &s->m;
    uint64_t h = submitted * 2 + resized, sum = 0;
    for (unsigned i = 0; i < m->nops; i++) {
        const struct model_op *op = &m->ops[i];
        if (op->state == MODEL_NONE)
            continue;
        mix(&h, (uint64_t)op->want.class * 3 + op->want.urgency);
        mix(&h, op->state * 4u + (op->cancelled ? 2u : 0u) + (op->sent ? 1u : 0u));
        mix(&h, op->not_here | op->failed << 4 | op->shun << 8 | (uint32_t)op->tries[0] << 12 |
                    (uint32_t)op->tries[1] << 16);
    }
    for (unsigned i = 0; i < m->nconns; i++) {
        const struct model_conn *c = &m->conns[i];
        uint64_t k = c->state * 8u + c->provider;
        if (c->state == MODEL_ABSENT)
            continue;
        if (c->state == MODEL_OPENING || c->n)
            mix(&k, c->class);
        mix(&k, (c->probe ? 2u : 0u) + (c->answered ? 1u : 0u));
        mix(&k, s->now - (c->state == MODEL_OPENING ? c->opened : c->n ? s->now : c->rested));
        for (unsigned n = 0; n < c->n; n++)
            mix(&k, s->names[c->ops[n]]);
        sum += k * (k | 1);
    }
    for (unsigned i = 0; i < m->nlingers; i++) {
        uint64_t k = m->lingers[i].provider + 100;
        mix(&k, ahead(s, m->lingers[i].until));
        sum += k * (k | 1);
    }
    mix(&h, sum);
    for (unsigned p = 0; p < m->cfg.nproviders; p++) {
        mix(&h, m->stats.providers[p].down * 64u + m->stats.providers[p].ceiling);
        mix(&h, ahead(s, m->stats.providers[p].retry_at));
        mix(&h, ahead(s, m->manners[p].no_probe_until));
        mix(&h, ahead(s, m->manners[p].no_warm_until));
    }
    mix(&h, m->warm[TRAFFIC_STREAMING].n);
    qos_time wake = qos_wake(s->q);
    mix(&h, wake == UINT64_MAX ? wake : ahead(s, wake));
    return h ? h : 1;
}

struct explorer {
    const struct pool *pool;
    bool merge;
    struct move *states;
    uint32_t nstates, room;
    uint64_t *seen;
    size_t seen_mask, nseen;
    uint64_t sequences; /* stimuli tried in states */
    char wrong[512];
};

static void seen_put(uint64_t *seen, size_t mask, uint64_t h)
{
    size_t at = (size_t)h & mask;
    while (seen[at])
        at = (at + 1) & mask;
    seen[at] = h;
}

static bool is_new(struct explorer *x, uint64_t h)
{
    for (size_t at = (size_t)h & x->seen_mask; x->seen[at]; at = (at + 1) & x->seen_mask) {
        if (x->seen[at] == h)
            return false;
    }
    if (++x->nseen * 2 > x->seen_mask) {
        size_t mask = x->seen_mask * 2 + 1;
        uint64_t *more = calloc(mask + 1, sizeof(*more));
        if (!more)
            abort();
        for (size_t i = 0; i <= x->seen_mask; i++) {
            if (x->seen[i])
                seen_put(more, mask, x->seen[i]);
        }
        free(x->seen);
        x->seen = more;
        x->seen_mask = mask;
    }
    seen_put(x->seen, x->seen_mask, h);
    return true;
}

static uint32_t keep(struct explorer *x, struct move m)
{
    if (x->nstates == x->room) {
        x->room = x->room ? 2 * x->room : 1024;
        x->states = realloc(x->states, x->room * sizeof(*x->states));
        if (!x->states)
            abort();
    }
    x->states[x->nstates] = m;
    return x->nstates++;
}

/* --- playing ----------------------------------------------------------------------------------- */

struct path {
    struct move m[64];
    unsigned n, submitted;
    bool resized;
};

static void path_to(const struct explorer *x, uint32_t state, struct path *p)
{
    *p = (struct path){0};
    for (uint32_t at = state; at; at = x->states[at].parent)
        p->n++;
    unsigned i = p->n;
    for (uint32_t at = state; at; at = x->states[at].parent)
        p->m[--i] = x->states[at];
    for (i = 0; i < p->n; i++) {
        p->submitted += p->m[i].kind == STEP_SUBMIT;
        if (p->m[i].kind == STEP_RESIZE)
            p->resized = p->m[i].what;
    }
}

static void do_move(const struct explorer *x, struct stage *s, struct move m, struct story *story)
{
    struct step st = step_of(x->pool, s, m);
    const struct qos_config *cfg = m.what ? &x->pool->other : &x->pool->cfg;
    struct qos_config wide = *cfg;
    if (wide.nproviders < s->m.cfg.nproviders) /* one that is gone has no connections */
        wide.nproviders = s->m.cfg.nproviders;
    if (story)
        story_add(story, &st, st.kind == STEP_RESIZE ? &wide : NULL);
    stage_do(s, &st, &wide);
}

static void play(const struct explorer *x, const struct path *p, struct stage *s,
                 struct story *story)
{
    stage_init(s, &x->pool->cfg);
    s->check_every = 4;
    for (unsigned i = 0; i < p->n && !s->m.wrong[0]; i++)
        do_move(x, s, p->m[i], story);
}

/** The story of a path and one more move, which goes wrong. */
static void tell(struct explorer *x, const struct path *p, const struct move *m, const char *wrong)
{
    struct stage s;
    struct story story;
    snprintf(x->wrong, sizeof(x->wrong), "%s: %s", x->pool->name, wrong);
    printf("# %s\n", x->wrong);
    story_init(&story, &x->pool->cfg);
    play(x, p, &s, &story);
    if (m && !s.m.wrong[0])
        do_move(x, &s, *m, &story);
    story_write(&story, stdout);
    fflush(stdout);
    story_fini(&story);
    stage_fini(&s);
}

static void try_move(struct explorer *x, const struct path *p, uint32_t state, struct move m)
{
    struct stage s;
    play(x, p, &s, NULL);
    do_move(x, &s, m, NULL);
    x->sequences++;
    bool resized = m.kind == STEP_RESIZE ? m.what : p->resized;
    uint64_t h = x->merge ? hash_of(&s, p->submitted + (m.kind == STEP_SUBMIT), resized) : 0;
    if (!s.m.wrong[0] && (!x->merge || is_new(x, h))) {
        m.parent = state;
        uint32_t made = keep(x, m);
        if (made % 16 == 0)
            stage_settle(&s);
    }
    if (s.m.wrong[0])
        tell(x, p, &m, s.m.wrong);
    stage_fini(&s);
}

/** All stimuli that the state allows. */
static void expand(struct explorer *x, uint32_t state)
{
    struct stage s;
    struct path p;
    struct moves moves;
    path_to(x, state, &p);
    play(x, &p, &s, NULL);
    find_moves(x->pool, &s, p.submitted, p.resized, &moves);
    stage_fini(&s);
    for (unsigned i = 0; i < moves.n && !x->wrong[0]; i++)
        try_move(x, &p, state, moves.m[i]);
}

static void explore(struct explorer *x, const struct pool *pool, unsigned depth, bool merge)
{
    *x = (struct explorer){.pool = pool, .merge = merge, .seen_mask = 1023};
    x->seen = calloc(x->seen_mask + 1, sizeof(*x->seen));
    if (!x->seen)
        abort();
    keep(x, (struct move){0}); /* the start */
    uint32_t from = 0;
    for (unsigned d = 0; d < depth && !x->wrong[0] && x->nstates < STATES_MOST; d++) {
        uint32_t until = x->nstates;
        for (; from < until && !x->wrong[0]; from++)
            expand(x, from);
    }
    free(x->seen);
    free(x->states);
}

START_TEST(no_sequence_of_few_steps_breaks_a_promise)
{
    struct explorer x;
    explore(&x, &pools[_i], pools[_i].all - LESS, false);
    ck_assert_msg(!x.wrong[0], "%s", x.wrong);
    ck_assert_uint_gt(x.sequences, 1000);
}
END_TEST

START_TEST(no_state_within_more_steps_breaks_a_promise)
{
    struct explorer x;
    explore(&x, &pools[_i], pools[_i].merged - 2 * LESS, true);
    ck_assert_msg(!x.wrong[0], "%s", x.wrong);
    ck_assert_uint_gt(x.sequences, 1000);
}
END_TEST

int main(int argc, char **argv)
{
    if (argc == 4 && atoi(argv[1]) < NPOOLS) {
        struct explorer x;
        explore(&x, &pools[atoi(argv[1])], (unsigned)atoi(argv[2]), !strcmp(argv[3], "merge"));
        printf("%s, depth %s: %u states, %llu sequences, %s\n", x.pool->name, argv[2], x.nstates,
               (unsigned long long)x.sequences, x.wrong[0] ? x.wrong : "nothing wrong");
        return x.wrong[0] != '\0';
    }
    Suite *s = suite_create("qos/explore");
    TCase *t = tcase_create("all");
    tcase_add_loop_test(t, no_sequence_of_few_steps_breaks_a_promise, 0, NPOOLS);
    tcase_add_loop_test(t, no_state_within_more_steps_breaks_a_promise, 0, NPOOLS);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
