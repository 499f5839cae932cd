#include "tests/qos/sim.h"

#include "base/heap.h"
#include "tests/qos/stage.h"
#include "tests/qos/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVENTS    4096
#define ACTORS    8
#define SECOND    1000000u
/* A server notices a lost socket within this; the linger time is longer. */
#define GHOST_MAX 1500000u

enum event_kind {
    EV_ACT,
    EV_MEDDLE, /* promote, cancel, an outage, a ceiling, other shares */
    EV_CONNECTED,
    EV_BEGUN,
    EV_ANSWER,
    EV_PEER_CLOSES,
    EV_CLOSED,
    EV_GHOST_GONE,
};

struct event {
    struct heap_node node;
    uint64_t at, seq;
    enum event_kind kind;
    unsigned who; /* provider or actor */
    qos_conn conn;
    struct event *next_free;
};

enum habit {
    HABIT_TRICKLE, /* one thing or another, now and then in dozens */
    HABIT_READER,  /* a window ahead of a demand; pauses, and seeks that cancel all of it */
    HABIT_JOB,     /* a window of articles, kept full */
    HABIT_SWEEP,   /* STATs in floods */
};
#define HABITS 4

struct actor {
    enum habit habit;
    enum traffic_class class;
    uint64_t stream;
    unsigned window;
    unsigned period_us;
    bool pausing;
};

struct sim {
    struct stage stage;
    struct qos_config cfg;
    struct dice dice;
    struct story *story;
    struct server servers[QOS_PROVIDERS];
    struct actor actors[ACTORS];
    unsigned nactors, names;
    bool tells; /* when an answer begins, it is said so */
    bool even;  /* any server does for any article: turns can be judged */
    struct heap events;
    struct event pool[EVENTS], *free;
    uint64_t seq;
};

static bool event_before(const struct heap_node *a, const struct heap_node *b)
{
    const struct event *x = (const struct event *)a, *y = (const struct event *)b;
    return x->at != y->at ? x->at < y->at : x->seq < y->seq;
}

static void plan(struct sim *s, uint64_t in, enum event_kind kind, unsigned who, qos_conn conn)
{
    struct event *e = s->free;
    if (!e) {
        model_fault(&s->stage.m, "the simulation's event table is full");
        return;
    }
    s->free = e->next_free;
    *e = (struct event){
        .at = s->stage.now + in, .seq = s->seq++, .kind = kind, .who = who, .conn = conn};
    heap_push(&s->events, &e->node);
}

static void tell(struct sim *s, struct step st, const struct qos_config *cfg)
{
    st.at = s->stage.now;
    if (s->story)
        story_add(s->story, &st, cfg);
    if (!s->stage.m.wrong[0])
        stage_do(&s->stage, &st, cfg);
}

static void on_order(void *arg, const struct qos_order *o, bool joins)
{
    struct sim *s = arg;
    struct server *v = &s->servers[o->provider < QOS_PROVIDERS ? o->provider : 0];
    if (o->kind == QOS_OPEN)
        plan(s, world_open_time(&s->dice, v), EV_CONNECTED, o->provider, o->conn);
    else if (o->kind == QOS_CLOSE)
        plan(s, dice_below(&s->dice, 20000), EV_CLOSED, o->provider, o->conn);
    else if (o->kind == QOS_START && !joins) {
        v->sending++;
        uint64_t bytes = 500000 + dice_below(&s->dice, 300000);
        if (s->stage.m.ops[(uintptr_t)o->cookie % MODEL_OPS].want.verb != SEGMENT_BODY)
            bytes = 100;
        qos_time in =
            v->weather == WEATHER_SILENT ? 5 * SECOND : world_answer_time(&s->dice, v, bytes, true);
        if (s->tells)
            plan(s, in / 3, EV_BEGUN, o->provider, o->conn);
        plan(s, in, EV_ANSWER, o->provider, o->conn);
    }
}

/* --- who wants what ---------------------------------------------------------------------------- */

static void make_actor(struct sim *s, struct actor *a, unsigned i, bool rivals)
{
    struct dice *d = &s->dice;
    *a = (struct actor){.habit = (enum habit)dice_below(d, HABITS),
                        .class = (enum traffic_class)dice_below(d, TRAFFIC_CLASSES),
                        .stream = i,
                        .window = 1 + dice_below(d, 40),
                        .period_us = 1000 + dice_below(d, 50000)};
    if (rivals) { /* alike, and never satisfied */
        a->habit = HABIT_JOB;
        a->class = s->actors[0].class;
        a->window = 25;
    }
    if (a->habit == HABIT_READER)
        a->class = TRAFFIC_STREAMING;
    if (a->habit == HABIT_SWEEP) {
        a->class = TRAFFIC_HEALTH;
        a->window *= 3;
    }
}

static void submit(struct sim *s, struct qos_want w)
{
    struct dice *d = &s->dice;
    w.bytes = dice_chance(d, 500) ? 100000 + dice_below(d, 900000) : 0;
    w.age = !s->even && dice_chance(d, 300) ? 2000 : 0;
    if (dice_chance(d, 100))
        w.deadline = s->stage.now + dice_below(d, 4 * SECOND);
    tell(s, (struct step){.kind = STEP_SUBMIT, .op = ++s->names, .want = w}, NULL);
}

static void trickle(struct sim *s)
{
    struct dice *d = &s->dice;
    enum traffic_class class = (enum traffic_class)dice_below(d, TRAFFIC_CLASSES);
    for (unsigned n = dice_chance(d, 50) ? dice_below(d, 60) : 1; n; n--) {
        bool streaming = class == TRAFFIC_STREAMING;
        struct qos_want w = {.class = class,
                             .urgency = (enum urgency)(streaming ? dice_below(d, 3) : 0),
                             .verb =
                                 (enum segment_verb)(dice_chance(d, 300) ? dice_below(d, 3) : 0),
                             .stream = dice_below(d, STAGE_STREAMS)};
        submit(s, w);
    }
}

/** What there is of its stream; the first of them that is no demand. */
static unsigned count_own(const struct sim *s, const struct actor *a, unsigned *first,
                          unsigned *demands)
{
    const struct model *m = &s->stage.m;
    unsigned n = 0;
    *first = MODEL_OPS;
    *demands = 0;
    for (unsigned i = 0; i < m->nops; i++) {
        const struct model_op *op = &m->ops[i];
        if (op->state == MODEL_NONE || op->want.class != a->class || op->want.stream != a->stream)
            continue;
        n++;
        if (op->want.urgency == URGENCY_DEMAND)
            ++*demands;
        else if (*first == MODEL_OPS)
            *first = i;
    }
    return n;
}

static void seek(struct sim *s, const struct actor *a)
{
    const struct model *m = &s->stage.m;
    for (unsigned i = 0; i < m->nops && !m->wrong[0]; i++) {
        const struct model_op *op = &m->ops[i];
        if (op->state != MODEL_NONE && op->want.class == a->class && op->want.stream == a->stream)
            tell(s, (struct step){.kind = STEP_CANCEL, .op = s->stage.names[i]}, NULL);
    }
}

static void refill(struct sim *s, struct actor *a)
{
    unsigned first, demands, n = count_own(s, a, &first, &demands);
    bool reads = a->habit == HABIT_READER;
    if (reads && !demands && first != MODEL_OPS) /* the reader caught up */
        tell(s, (struct step){.kind = STEP_PROMOTE, .op = s->stage.names[first]}, NULL);
    for (; n < a->window && s->stage.m.live < STAGE_OPS && !s->stage.m.wrong[0]; n++) {
        struct qos_want w = {.class = a->class,
                             .urgency = reads && n ? URGENCY_READAHEAD : URGENCY_DEMAND,
                             .verb = a->habit == HABIT_SWEEP ? SEGMENT_STAT : SEGMENT_BODY,
                             .stream = a->stream};
        submit(s, w);
    }
}

static void act(struct sim *s, unsigned who)
{
    struct actor *a = &s->actors[who];
    struct dice *d = &s->dice;
    plan(s, dice_chance(d, 20) ? dice_below(d, 3 * SECOND) : 1 + dice_below(d, a->period_us),
         EV_ACT, who, 0);
    if (a->habit == HABIT_TRICKLE) {
        trickle(s);
        return;
    }
    if (dice_chance(d, 30))
        a->pausing = !a->pausing;
    if (a->habit == HABIT_READER && dice_chance(d, 30))
        seek(s, a);
    if (!a->pausing || a->habit == HABIT_JOB)
        refill(s, a);
}

/* --- what happens ------------------------------------------------------------------------------ */

static void resize(struct sim *s)
{
    struct qos_config c = s->cfg;
    world_config(&s->dice, &c, true);
    bool bad = dice_chance(&s->dice, 100);
    if (bad)
        world_config_spoil(&s->dice, &c);
    else
        s->cfg = c;
    tell(s, (struct step){.kind = STEP_RESIZE}, &c);
}

static void gone(struct sim *s, unsigned index, enum qos_gone why, bool seen)
{
    const struct model_conn *c = &s->stage.m.conns[index];
    struct server *v = &s->servers[c->provider];
    if (c->n)
        v->sending -= v->sending > 0;
    if (seen)
        v->sockets -= v->sockets > 0;
    else
        plan(s, dice_below(&s->dice, GHOST_MAX), EV_GHOST_GONE, c->provider, 0);
    tell(s,
         (struct step){.kind = STEP_GONE,
                       .provider = c->provider,
                       .nth = s->stage.nth[index],
                       .why = why,
                       .seen = seen,
                       .dice = (uint32_t)dice_next(&s->dice)},
         NULL);
}

static void make_server(struct sim *s, unsigned p)
{
    struct server *v = &s->servers[p];
    world_server(&s->dice, v, s->cfg.providers[p].connections);
    if (s->even)
        v->missing = v->spoilt = v->declined = v->breaking = 0;
}

/** The server, or a router before it, restarts. */
static void reset_all(struct sim *s, unsigned p)
{
    for (unsigned i = 0; i < s->stage.m.nconns && !s->stage.m.wrong[0]; i++) {
        const struct model_conn *c = &s->stage.m.conns[i];
        if (c->state == MODEL_READY && c->provider == p)
            gone(s, i, c->n ? QOS_GONE_BROKEN : QOS_GONE_STALE, dice_chance(&s->dice, 500));
    }
}

static void meddle_op(struct sim *s)
{
    struct dice *d = &s->dice;
    unsigned i = dice_below(d, s->stage.m.nops + 1);
    if (i == s->stage.m.nops || s->stage.m.ops[i].state == MODEL_NONE)
        return;
    struct step st = {.kind = STEP_CANCEL, .op = s->stage.names[i]};
    if (dice_chance(d, 600)) {
        st.kind = STEP_PROMOTE;
        st.urgency = (enum urgency)dice_below(d, 3);
        if (dice_chance(d, 300))
            st.deadline = s->stage.now + 1 + dice_below(d, 2 * SECOND);
    }
    tell(s, st, NULL);
}

/** Somebody is expected, or is not any more. */
static void warm(struct sim *s)
{
    struct dice *d = &s->dice;
    struct step st = {.kind = STEP_WARM,
                      .want = {.class = (enum traffic_class)dice_below(d, TRAFFIC_CLASSES)},
                      .n = dice_chance(d, 250) ? 0 : 1 + dice_below(d, 8)};
    if (dice_chance(d, 500))
        st.deadline = s->stage.now + 1 + dice_below(d, 60 * SECOND);
    tell(s, st, NULL);
}

static void meddle(struct sim *s)
{
    struct dice *d = &s->dice;
    unsigned p = dice_below(d, s->cfg.nproviders), a = dice_below(d, s->nactors);
    struct server *v = &s->servers[p];
    plan(s, dice_below(d, 400000), EV_MEDDLE, 0, 0);
    if (dice_chance(d, 40))
        warm(s);
    switch (dice_below(d, 14)) {
    case 0:
        v->weather = dice_chance(d, 400) ? WEATHER_REFUSES : WEATHER_FINE;
        break;
    case 1:
        v->weather = dice_chance(d, 300) ? WEATHER_SILENT : WEATHER_FINE;
        break;
    case 2:
        make_server(s, p);
        break;
    case 3:
        v->weather = dice_chance(d, 100) ? WEATHER_LOCKED : WEATHER_FINE;
        break;
    case 4:
        if (dice_chance(d, 150))
            resize(s);
        break;
    case 5:
        tell(s, (struct step){.kind = STEP_STRAY, .dice = (uint32_t)dice_next(d)}, NULL);
        break;
    case 6:
        if (dice_chance(d, 200))
            reset_all(s, p);
        break;
    case 7:
        if (dice_chance(d, 200)) /* the ceiling nobody was told of moves */
            v->bears = 1 + dice_below(d, s->cfg.providers[p].connections + 2);
        break;
    case 8:
        if (dice_chance(d, 200))
            make_actor(s, &s->actors[a], a, false);
        break;
    default:
        meddle_op(s);
    }
}

static void connected(struct sim *s, unsigned index)
{
    struct model_conn *c = &s->stage.m.conns[index];
    struct server *v = &s->servers[c->provider];
    v->sockets++;
    if (v->weather == WEATHER_REFUSES)
        gone(s, index, QOS_GONE_REFUSED, dice_chance(&s->dice, 500));
    else if (v->weather == WEATHER_SILENT)
        gone(s, index, QOS_GONE_SILENT, dice_chance(&s->dice, 500));
    else if (v->weather == WEATHER_LOCKED)
        gone(s, index, QOS_GONE_LOGIN, true);
    else if (v->sockets > v->bears)
        gone(s, index, QOS_GONE_LIMIT, true);
    else {
        if (dice_chance(&s->dice, 100))
            plan(s, dice_below(&s->dice, 20 * SECOND), EV_PEER_CLOSES, c->provider, c->handle);
        tell(s,
             (struct step){.kind = STEP_READY, .provider = c->provider, .nth = s->stage.nth[index]},
             NULL);
    }
}

static void answered(struct sim *s, unsigned index)
{
    struct model_conn *c = &s->stage.m.conns[index];
    struct server *v = &s->servers[c->provider];
    struct dice *d = &s->dice;
    qos_conn handle = c->handle;
    if (v->weather == WEATHER_SILENT || dice_chance(d, v->breaking)) {
        static const enum qos_gone ways[] = {QOS_GONE_BROKEN, QOS_GONE_SILENT, QOS_GONE_STALE,
                                             QOS_GONE_LIMIT};
        enum qos_gone why = v->weather == WEATHER_SILENT ? QOS_GONE_SILENT : ways[dice_below(d, 4)];
        gone(s, index, why, dice_chance(d, 500));
        return;
    }
    const struct model_op *op = &s->stage.m.ops[c->ops[0]];
    bool body = op->want.verb == SEGMENT_BODY;
    enum qos_outcome how = world_outcome(d, v, op->handle, c->provider);
    if (!body && (how == QOS_SPOILT || how == QOS_NO_ROOM))
        how = QOS_OK;
    uint64_t bytes = how == QOS_OK && body ? 500000 + dice_below(d, 300000) : 100;
    v->sending -= v->sending > 0;
    bool more = c->n > 1; /* already on the wire; what the answer makes room for plans its own */
    tell(s,
         (struct step){.kind = STEP_ANSWER,
                       .provider = c->provider,
                       .nth = s->stage.nth[index],
                       .how = how,
                       .bytes = bytes},
         NULL);
    if (!more || c->state != MODEL_READY || c->handle != handle || !c->n)
        return;
    bool next_body = s->stage.m.ops[c->ops[0]].want.verb == SEGMENT_BODY;
    v->sending++;
    if (s->tells && dice_chance(d, 500))
        plan(s, dice_below(d, 20000), EV_BEGUN, c->provider, handle);
    plan(s, world_answer_time(d, v, next_body ? 500000 + dice_below(d, 300000) : 100, false),
         EV_ANSWER, c->provider, handle);
}

static void happen(struct sim *s, const struct event *e)
{
    unsigned index = model_conn_index(e->conn);
    struct model_conn *c = &s->stage.m.conns[index];
    bool here = e->conn && c->state != MODEL_ABSENT && c->handle == e->conn;
    switch (e->kind) {
    case EV_ACT:
        act(s, e->who);
        break;
    case EV_MEDDLE:
        meddle(s);
        break;
    case EV_CONNECTED:
        if (here && c->state == MODEL_OPENING)
            connected(s, index);
        break;
    case EV_BEGUN:
        if (here && c->state == MODEL_READY && c->n)
            tell(s,
                 (struct step){
                     .kind = STEP_BEGUN, .provider = c->provider, .nth = s->stage.nth[index]},
                 NULL);
        break;
    case EV_ANSWER:
        if (here && c->state == MODEL_READY && c->n)
            answered(s, index);
        break;
    case EV_PEER_CLOSES:
        if (here && c->state == MODEL_READY && !c->n)
            gone(s, index, QOS_GONE_STALE, true);
        break;
    case EV_CLOSED:
        if (here && c->state == MODEL_CLOSING)
            gone(s, index, QOS_GONE_CLOSED, dice_chance(&s->dice, 700));
        break;
    case EV_GHOST_GONE:
        s->servers[e->who].sockets -= s->servers[e->who].sockets > 0;
        break;
    }
}

/* The server's own count, with what it has not yet noticed to be gone, is within the account. */
static void check_servers(struct sim *s)
{
    for (unsigned p = 0; p < s->cfg.nproviders; p++) {
        if (s->servers[p].sockets > model_sockets(&s->stage.m, p))
            model_fault(&s->stage.m, "I1: server %u counts %u sockets, more than are accounted for",
                        p, s->servers[p].sockets);
    }
}

static bool go_on(struct sim *s)
{
    uint64_t wake = qos_wake(s->stage.q);
    struct event *e = (struct event *)s->events.top;
    if (!e && wake == UINT64_MAX)
        return false;
    if (!e || wake < e->at) {
        stage_wake(&s->stage, wake);
    } else {
        heap_del(&s->events, &e->node);
        s->stage.now = e->at;
        model_look(&s->stage.m, s->stage.q, e->at);
        happen(s, e);
        e->next_free = s->free;
        s->free = e;
    }
    check_servers(s);
    return !s->stage.m.wrong[0];
}

static struct sim *sim_new(uint64_t seed, struct story *story)
{
    struct sim *s = calloc(1, sizeof(*s));
    if (!s)
        abort();
    dice_init(&s->dice, seed);
    heap_init(&s->events, event_before);
    for (unsigned i = 0; i < EVENTS; i++) {
        s->pool[i].next_free = s->free;
        s->free = &s->pool[i];
    }
    world_config(&s->dice, &s->cfg, false);
    bool rivals = s->even = dice_chance(&s->dice, 200);
    s->tells = dice_chance(&s->dice, 700);
    for (unsigned i = 0; i < QOS_PROVIDERS; i++)
        make_server(s, i);
    s->nactors = 1 + dice_below(&s->dice, ACTORS);
    for (unsigned i = 0; i < s->nactors; i++)
        make_actor(s, &s->actors[i], i, rivals);
    s->story = story;
    if (story)
        story_init(story, &s->cfg);
    stage_init(&s->stage, &s->cfg);
    s->stage.order = on_order;
    s->stage.arg = s;
    for (unsigned i = 0; i < s->nactors; i++)
        plan(s, dice_below(&s->dice, 100000), EV_ACT, i, 0);
    plan(s, 0, EV_MEDDLE, 0, 0);
    return s;
}

void sim_run(uint64_t seed, uint64_t facts, struct sim_result *out, struct story *story)
{
    struct sim *s = sim_new(seed, story);
    const struct model *m = &s->stage.m;
    while (s->stage.facts < facts && go_on(s))
        ;
    s->stage.order = NULL;
    tell(s, (struct step){.kind = STEP_PASS}, NULL); /* the story goes on until here */
    if (!m->wrong[0])
        stage_settle(&s->stage);
    *out = (struct sim_result){.facts = s->stage.facts,
                               .wakes = s->stage.wakes,
                               .orders = m->orders,
                               .hash = m->hash,
                               .virtual_us = s->stage.now,
                               .nproviders = s->cfg.nproviders};
    for (unsigned c = 0; c < TRAFFIC_CLASSES; c++) {
        out->cuts += m->counts.cuts[c];
        for (unsigned v = 0; v <= QOS_REJECTED; v++)
            out->ends[v] += m->counts.ends[c][v];
    }
    if (m->wrong[0]) {
        snprintf(out->wrong, sizeof(out->wrong), "%s", m->wrong);
        snprintf(out->report, sizeof(out->report), "seed %llu, fact %llu, %.6f s: %s",
                 (unsigned long long)seed, (unsigned long long)s->stage.facts,
                 (double)s->stage.now / 1e6, m->wrong);
    }
    stage_fini(&s->stage);
    free(s);
}
