#include "tests/qos/stage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SETTLE_US (1200u * 1000000u)
#define ROUND_US  20000u /* while settling: between one round of answers and the next */

static const struct qos_limits limits = {
    .ops = STAGE_OPS, .conns = MODEL_CONNS - 2, .streams = STAGE_STREAMS * TRAFFIC_CLASSES};

void stage_init(struct stage *s, const struct qos_config *cfg)
{
    memset(s, 0, sizeof(*s));
    s->check_every = 64;
    s->q = qos_new(cfg, &limits);
    if (!s->q)
        abort();
    model_init(&s->m, cfg);
    model_look(&s->m, s->q, 0);
}

void stage_fini(struct stage *s)
{
    qos_free(s->q);
    s->q = NULL;
}

unsigned stage_op(const struct stage *s, unsigned name)
{
    for (unsigned i = 0; i < s->m.nops; i++) {
        if (s->m.ops[i].state != MODEL_NONE && s->names[i] == name)
            return i;
    }
    return MODEL_OPS;
}

unsigned stage_conn(const struct stage *s, unsigned provider, unsigned nth)
{
    for (unsigned i = 0; i < s->m.nconns; i++) {
        const struct model_conn *c = &s->m.conns[i];
        if (c->state != MODEL_ABSENT && c->provider == provider && s->nth[i] == nth)
            return i;
    }
    return MODEL_CONNS;
}

/* --- facts ------------------------------------------------------------------------------------- */

static void submit(struct stage *s, const struct step *st)
{
    unsigned i = model_place(&s->m);
    struct qos_want w = st->want;
    qos_op op;
    if (i == MODEL_OPS || s->m.live >= STAGE_OPS || stage_op(s, st->op) != MODEL_OPS)
        return;
    if ((unsigned)w.class >= TRAFFIC_CLASSES || w.stream >= STAGE_STREAMS)
        return;
    w.cookie =
        (void *)(uintptr_t)i; /* NOLINT(performance-no-int-to-ptr): a number, never followed */
    s->names[i] = st->op;
    int r = qos_submit(s->q, s->now, &w, &op);
    if (r)
        model_fault(&s->m, "tables: an operation is refused (%d) where there is room", r);
    else
        model_submitted(&s->m, i, op, &w);
}

static void resize(struct stage *s, const struct qos_config *cfg)
{
    char err[128];
    bool good = cfg->nproviders >= s->m.cfg.nproviders && !qos_config_check(cfg, err, sizeof(err));
    bool taken = !qos_resize(s->q, s->now, cfg);
    if (good != taken)
        model_fault(&s->m, "resize: a %s configuration is %s", good ? "good" : "bad",
                    taken ? "taken" : "refused");
    if (taken)
        model_resized(&s->m, cfg);
}

/** Facts that come after what they speak of has ended, or speak of nothing. */
static void stray(struct stage *s, const struct step *st)
{
    uint64_t handle = (uint64_t)st->dice << 20 | st->dice >> 12;
    qos_op_begun(s->q, s->now, handle | UINT64_C(1) << 60);
    qos_op_done(s->q, s->now, handle | UINT64_C(1) << 60, QOS_OK, 1);
    qos_conn_ready(s->q, s->now, st->dice & 0xff);
    qos_conn_gone(s->q, s->now, handle | UINT64_C(1) << 60, QOS_GONE_BROKEN, false, st->dice);
    qos_cancel(s->q, s->now, st->dice & 0xffff);
    qos_promote(s->q, s->now, handle | UINT64_C(1) << 60, URGENCY_DEMAND, 1);
}

static void tell_op(struct stage *s, const struct step *st)
{
    unsigned i = stage_op(s, st->op);
    if (i == MODEL_OPS)
        return;
    qos_op handle = s->m.ops[i].handle;
    if (st->kind == STEP_CANCEL) {
        model_cancelled(&s->m, i);
        qos_cancel(s->q, s->now, handle);
    } else {
        model_promoted(&s->m, i, st->urgency, st->deadline);
        qos_promote(s->q, s->now, handle, st->urgency, st->deadline);
    }
}

static void tell_conn(struct stage *s, const struct step *st)
{
    unsigned index = stage_conn(s, st->provider, st->nth);
    if (index == MODEL_CONNS)
        return;
    struct model_conn *c = &s->m.conns[index];
    qos_conn handle = c->handle;
    if (st->kind == STEP_READY && c->state == MODEL_OPENING) {
        model_ready(&s->m, index);
        qos_conn_ready(s->q, s->now, handle);
    } else if (st->kind == STEP_BEGUN && c->n) {
        qos_op op = s->m.ops[c->ops[0]].handle;
        model_begun(&s->m, c->ops[0]);
        qos_op_begun(s->q, s->now, op);
    } else if (st->kind == STEP_ANSWER && c->n) {
        unsigned i = c->ops[0];
        qos_op op = s->m.ops[i].handle;
        model_done(&s->m, i, st->how, st->bytes);
        qos_op_done(s->q, s->now, op, st->how, st->bytes);
    } else if (st->kind == STEP_GONE) {
        model_gone(&s->m, index, st->why, st->seen);
        qos_conn_gone(s->q, s->now, handle, st->why, st->seen, st->dice);
    }
}

static void tell(struct stage *s, const struct step *st, const struct qos_config *cfg)
{
    switch (st->kind) {
    case STEP_PASS:
        break;
    case STEP_SUBMIT:
        submit(s, st);
        break;
    case STEP_PROMOTE:
    case STEP_CANCEL:
        tell_op(s, st);
        break;
    case STEP_READY:
    case STEP_BEGUN:
    case STEP_ANSWER:
    case STEP_GONE:
        tell_conn(s, st);
        break;
    case STEP_RESIZE:
        resize(s, cfg);
        break;
    case STEP_WARM:
        model_warmed(&s->m, st->want.class, st->n, st->deadline);
        qos_warm(s->q, s->now, st->want.class, st->n, st->deadline);
        break;
    case STEP_STRAY:
        stray(s, st);
        break;
    }
}

/* --- orders ------------------------------------------------------------------------------------ */

/** Somebody has no use for one in eight. */
static void hedge(struct stage *s, const struct qos_order *o)
{
    unsigned i = model_place(&s->m);
    void *cookie = (void *)(uintptr_t)i; /* NOLINT(performance-no-int-to-ptr): never followed */
    qos_op twin;
    if (i == MODEL_OPS || s->m.orders % 8 == 0)
        return;
    s->names[i] = 0;
    int r = qos_hedge(s->q, s->now, o->op, cookie, &twin);
    if (!r)
        model_hedged(&s->m, i, twin, (unsigned)(uintptr_t)o->cookie);
    else if (r != -ENOSPC)
        model_fault(&s->m, "hedge: what is late may not be hedged (%d)", r);
}

static void drain(struct stage *s)
{
    struct qos_order o;
    unsigned guard = 0;
    model_look(&s->m, s->q, s->now);
    while (!s->m.wrong[0] && qos_next(s->q, s->now, &o)) {
        if (++guard > 100000) {
            model_fault(&s->m, "I7: orders without end");
            return;
        }
        unsigned index = model_conn_index(o.conn);
        bool joins = o.kind == QOS_START && s->m.conns[index].n > 0;
        if (o.kind == QOS_OPEN && o.provider < QOS_PROVIDERS)
            s->nth[index] = s->opened[o.provider]++;
        model_order(&s->m, s->q, &o);
        if (o.kind == QOS_LATE && !s->m.wrong[0])
            hedge(s, &o);
        if (s->order)
            s->order(s->arg, &o, joins);
    }
    model_look(&s->m, s->q, s->now);
    if (!s->m.wrong[0])
        model_quiet(&s->m, s->q);
    if (!s->m.wrong[0] && s->check_every && (s->facts + s->wakes) % s->check_every == 0) {
        const char *wrong = qos_check(s->q);
        bool named = wrong && wrong[0] == 'I' && wrong[2] == ':';
        if (wrong)
            model_fault(&s->m, "%s%s (qos_check)", named ? "" : "tables: ", wrong);
    }
}

bool stage_wake(struct stage *s, qos_time now)
{
    s->now = now > s->now ? now : s->now;
    s->wakes++;
    drain(s);
    return !s->m.wrong[0];
}

bool stage_do(struct stage *s, const struct step *st, const struct qos_config *cfg)
{
    while (!s->m.wrong[0] && qos_wake(s->q) <= st->at && st->kind == STEP_PASS)
        stage_wake(s, qos_wake(s->q));
    while (!s->m.wrong[0] && qos_wake(s->q) < st->at)
        stage_wake(s, qos_wake(s->q));
    if (s->m.wrong[0])
        return false;
    s->now = st->at > s->now ? st->at : s->now;
    s->facts++;
    model_look(&s->m, s->q, s->now);
    tell(s, st, cfg);
    drain(s);
    return !s->m.wrong[0];
}

/* --- the end ----------------------------------------------------------------------------------- */

/** Each connection gets one step further. False: there was none. */
static bool round_of_answers(struct stage *s)
{
    bool any = false;
    for (unsigned i = 0; i < s->m.nconns && !s->m.wrong[0]; i++) {
        const struct model_conn *c = &s->m.conns[i];
        struct step st = {.at = s->now, .provider = c->provider, .nth = s->nth[i]};
        if (c->state == MODEL_OPENING)
            st.kind = STEP_READY;
        else if (c->state == MODEL_CLOSING)
            st = (struct step){.kind = STEP_GONE,
                               .at = s->now,
                               .provider = c->provider,
                               .nth = s->nth[i],
                               .why = QOS_GONE_CLOSED,
                               .seen = true};
        else if (c->state == MODEL_READY && c->n)
            st = (struct step){.kind = STEP_ANSWER,
                               .at = s->now,
                               .provider = c->provider,
                               .nth = s->nth[i],
                               .bytes = 700000};
        else
            continue;
        any = true;
        stage_do(s, &st, NULL);
    }
    return any;
}

/** Rounds until no operation lives, or with `sockets` until no connection does. */
static void rounds(struct stage *s, bool sockets)
{
    qos_time until = s->now + SETTLE_US;
    while (!s->m.wrong[0] && s->now < until) {
        if (!sockets && !s->m.live)
            return;
        if (round_of_answers(s)) {
            struct step pass = {.kind = STEP_PASS, .at = s->now + ROUND_US};
            stage_do(s, &pass, NULL);
            continue;
        }
        if (s->m.wrong[0] || qos_wake(s->q) == UINT64_MAX)
            return;
        stage_wake(s, qos_wake(s->q));
    }
}

bool stage_settle(struct stage *s)
{
    rounds(s, false);
    if (s->m.live)
        model_fault(&s->m, "I7: %u operations never end", s->m.live);
    if (s->m.wrong[0])
        return false;
    qos_shut(s->q, s->now);
    s->m.shut = true;
    drain(s);
    rounds(s, true);
    for (unsigned p = 0; p < s->m.stats.nproviders; p++) {
        if (s->m.stats.providers[p].sockets)
            model_fault(&s->m, "I1: %u sockets of provider %u outlive qos_shut()",
                        s->m.stats.providers[p].sockets, p);
    }
    const char *wrong = s->m.wrong[0] ? NULL : qos_check(s->q);
    if (wrong)
        model_fault(&s->m, "tables: %s at the end", wrong);
    return !s->m.wrong[0];
}

bool stage_play(const struct story *story, char *wrong, size_t len, size_t *steps, uint64_t *hash)
{
    struct stage *s = malloc(sizeof(*s));
    char err[128];
    size_t n = 0;
    if (!s)
        abort();
    wrong[0] = '\0';
    if (qos_config_check(&story->configs[0], err, sizeof(err))) { /* nothing to play it on */
        free(s);
        return false;
    }
    stage_init(s, &story->configs[0]);
    bool good = true;
    while (good && n < story->n) {
        good = stage_do(s, &story->steps[n], &story->configs[story->steps[n].config]);
        n++;
    }
    if (good)
        good = stage_settle(s);
    if (!good)
        snprintf(wrong, len, "%.6f s: %s", (double)s->now / 1e6, s->m.wrong);
    if (steps)
        *steps = n;
    if (hash)
        *hash = s->m.hash;
    stage_fini(s);
    free(s);
    return !good;
}
