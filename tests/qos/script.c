#include "tests/qos/script.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** Ends the test; ck_abort_msg() itself never comes back. */
static void tell(const struct script *s, int line, const char *fmt, ...)
    __attribute__((noreturn, format(printf, 3, 4)));

static void tell(const struct script *s, int line, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    ck_abort_msg("line %d, %.6f s: %s", line, (double)s->now / 1e6, text);
    abort();
}

struct script *script_new(const struct qos_config *cfg)
{
    struct script *s = calloc(1, sizeof(*s));
    ck_assert_ptr_nonnull(s);
    struct qos_limits limits = {.ops = SCRIPT_OPS, .conns = SCRIPT_CONNS, .streams = 256};
    char err[200];
    ck_assert_msg(!qos_config_check(cfg, err, sizeof(err)), "%s", err);
    s->q = qos_new(cfg, &limits);
    ck_assert_ptr_nonnull(s->q);
    s->now = S;
    return s;
}

static unsigned conn_index(const struct script *s, qos_conn handle)
{
    for (unsigned i = 0; i < s->nconns; i++) {
        if (s->conns[i].handle == handle)
            return i;
    }
    tell(s, 0, "an order names an unknown connection");
}

static void on_start(struct script *s, const struct qos_order *o)
{
    unsigned op = (unsigned)(uintptr_t)o->cookie, ci = conn_index(s, o->conn);
    struct script_conn *c = &s->conns[ci];
    ck_assert(c->state == SC_IDLE || c->state == SC_BUSY);
    c->state = SC_BUSY;
    c->ops[c->n++] = op;
    s->ops[op].conn = (int)ci;
    s->ops[op].sent++;
    s->ops[op].order = ++s->nstarts;
}

static void hedge(struct script *s, unsigned late, qos_op handle)
{
    ck_assert_uint_lt(s->nops, SCRIPT_OPS);
    ck_assert(s->ops[late].handle == handle && s->ops[late].conn >= 0);
    unsigned i = s->nops++;
    s->ops[i] = (struct script_op){.want = s->ops[late].want, .conn = -1, .twin_of = (int)late};
    void *cookie = (void *)(uintptr_t)i; /* NOLINT(performance-no-int-to-ptr): never followed */
    ck_assert_int_eq(qos_hedge(s->q, s->now, handle, cookie, &s->ops[i].handle), 0);
}

static void on_order(struct script *s, const struct qos_order *o)
{
    switch (o->kind) {
    case QOS_OPEN:
        ck_assert_uint_lt(s->nconns, SCRIPT_CONNS);
        s->conns[s->nconns++] =
            (struct script_conn){.state = SC_OPENING, .handle = o->conn, .provider = o->provider};
        s->opens++;
        break;
    case QOS_START:
        on_start(s, o);
        break;
    case QOS_CLOSE:
        s->conns[conn_index(s, o->conn)].state = SC_CLOSING;
        s->closes++;
        break;
    case QOS_LATE:
        s->lates++;
        if (s->hedges)
            hedge(s, (unsigned)(uintptr_t)o->cookie, o->op);
        break;
    case QOS_END: {
        struct script_op *op = &s->ops[(uintptr_t)o->cookie];
        ck_assert_msg(!op->ended, "an operation ends twice");
        op->ended = true;
        op->verdict = o->verdict;
        break;
    }
    }
}

static void check(const struct script *s)
{
    const char *wrong = qos_check(s->q);
    if (wrong)
        tell(s, 0, "%s", wrong);
}

void script_free(struct script *s)
{
    check(s);
    qos_free(s->q);
    free(s);
}

void script_run(struct script *s)
{
    struct qos_order o;
    while (qos_next(s->q, s->now, &o)) {
        on_order(s, &o);
        if (s->norders++ % 16 == 0)
            check(s);
    }
    if (qos_wake(s->q) <= s->now)
        tell(s, 0, "qos_wake() is not in the future");
}

void script_at(struct script *s, qos_time now)
{
    s->now = now;
    script_run(s);
}

unsigned script_submit(struct script *s, struct qos_want want, unsigned n)
{
    unsigned first = s->nops;
    for (unsigned i = 0; i < n; i++) {
        ck_assert_uint_lt(s->nops, SCRIPT_OPS);
        struct script_op *op = &s->ops[s->nops];
        want.cookie = (void *)(uintptr_t)s->nops++;
        *op = (struct script_op){.want = want, .conn = -1, .twin_of = -1};
        ck_assert_int_eq(qos_submit(s->q, s->now, &want, &op->handle), 0);
    }
    script_run(s);
    return first;
}

void script_connect(struct script *s, int provider)
{
    for (unsigned i = 0; i < s->nconns; i++) {
        struct script_conn *c = &s->conns[i];
        if (c->state != SC_OPENING || (provider >= 0 && c->provider != (unsigned)provider))
            continue;
        c->state = SC_IDLE;
        qos_conn_ready(s->q, s->now, c->handle);
    }
    script_run(s);
}

void script_refuse(struct script *s, int provider, enum qos_gone why)
{
    for (unsigned i = 0; i < s->nconns; i++) {
        if (s->conns[i].state == SC_OPENING && s->conns[i].provider == (unsigned)provider)
            script_gone(s, i, why, true);
    }
    script_run(s);
}

static void answer(struct script *s, unsigned op, enum qos_outcome how)
{
    ck_assert_int_ge(s->ops[op].conn, 0);
    struct script_conn *c = &s->conns[s->ops[op].conn];
    ck_assert_uint_eq(c->ops[0], op); /* answers come in order */
    c->n--;
    memmove(c->ops, c->ops + 1, c->n * sizeof(c->ops[0]));
    if (!c->n && c->state == SC_BUSY)
        c->state = SC_IDLE;
    s->ops[op].conn = -1;
    qos_op_done(s->q, s->now, s->ops[op].handle, how, s->ops[op].brings);
}

void script_answer(struct script *s, unsigned op, enum qos_outcome how)
{
    answer(s, op, how);
    script_run(s);
}

void script_tick(struct script *s)
{
    static unsigned first[SCRIPT_CONNS];
    unsigned n = 0;
    for (unsigned i = 0; i < s->nconns; i++) {
        if (s->conns[i].state == SC_BUSY)
            first[n++] = s->conns[i].ops[0];
    }
    s->now += 50 * MS;
    for (unsigned i = 0; i < n; i++) {
        answer(s, first[i], QOS_OK);
        script_run(s);
    }
}

void script_gone(struct script *s, unsigned conn, enum qos_gone why, bool seen)
{
    struct script_conn *c = &s->conns[conn];
    for (unsigned i = 0; i < c->n; i++)
        s->ops[c->ops[i]].conn = -1;
    c->n = 0;
    c->state = SC_NONE;
    qos_conn_gone(s->q, s->now, c->handle, why, seen, 1u << 31);
    script_run(s);
}

unsigned script_count(const struct script *s, int provider, enum script_conn_state state)
{
    unsigned n = 0;
    for (unsigned i = 0; i < s->nconns; i++)
        n += s->conns[i].state == state &&
             (provider < 0 || s->conns[i].provider == (unsigned)provider);
    return n;
}

struct qos_stats script_stats(const struct script *s)
{
    struct qos_stats st;
    qos_stats(s->q, &st);
    return st;
}

void script_expect_leases(const struct script *s, unsigned queue, unsigned health,
                          unsigned streaming, int line)
{
    struct qos_stats st = script_stats(s);
    unsigned a = st.classes[TRAFFIC_QUEUE].leased, b = st.classes[TRAFFIC_HEALTH].leased;
    unsigned c = st.classes[TRAFFIC_STREAMING].leased;
    if (a != queue || b != health || c != streaming)
        tell(s, line, "leases are %u %u %u, not %u %u %u", a, b, c, queue, health, streaming);
    if (a + b + c != st.leased_total)
        tell(s, line, "leases do not add up");
}

void script_expect_end(const struct script *s, unsigned op, enum qos_verdict v, int line)
{
    const struct script_op *o = &s->ops[op];
    if (!o->ended)
        tell(s, line, "operation %u has not ended", op);
    if (o->verdict != v)
        tell(s, line, "operation %u ended with %d, not %d", op, (int)o->verdict, (int)v);
}

void script_expect_at(const struct script *s, unsigned op, int provider, int line)
{
    const struct script_op *o = &s->ops[op];
    int at = o->conn < 0 ? -1 : (int)s->conns[o->conn].provider;
    if (o->ended || at != provider)
        tell(s, line, "operation %u is at %d%s, not at %d", op, at, o->ended ? " (ended)" : "",
             provider);
}
