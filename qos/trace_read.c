#include "qos/trace.h"

#include "qos/trace_words.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* A line is taken from its start to its end; after the first thing that is not what the writer would have
 * written, nothing is taken any more, and one look at the end tells. */
struct scan {
    const char *from, *at, *end;
    struct qos_trace_reader *t;
    bool bad;
};

enum stage { VERSION, LIMITS, CONFIG, CLOCK, RECORDS, OVER, BROKEN };

/* What a scheduler of ours may have had; a stranger's trace does not say how much memory we take. */
#define OPS_MOST     (1u << 20)
#define CONNS_MOST   (1u << 21)
#define STREAMS_MOST (1u << 20)

/* Sums of times stay far from overflow. */
#define TIME_MOST    (UINT64_C(1) << 61)

static void refuse(struct scan *s, const char *expected)
{
    size_t left = (size_t)(s->end - s->at);
    int shown = left < 40 ? (int)left : 40;

    if (s->bad)
        return;
    s->bad = true;
    if (left)
        snprintf(s->t->err, sizeof(s->t->err), "column %zu: '%.*s' where %s is expected",
                 (size_t)(s->at - s->from) + 1, shown, s->at, expected);
    else
        snprintf(s->t->err, sizeof(s->t->err), "it ends where %s is expected", expected);
}

/** Take `word`, if it is there. */
static bool take(struct scan *s, const char *word)
{
    size_t n = strlen(word);

    if (s->bad || (size_t)(s->end - s->at) < n || memcmp(s->at, word, n) != 0)
        return false;
    s->at += n;
    return true;
}

static void want(struct scan *s, const char *word)
{
    char quoted[48];

    if (take(s, word))
        return;
    snprintf(quoted, sizeof(quoted), "'%s'", word);
    refuse(s, quoted);
}

static uint64_t number(struct scan *s, uint64_t least, uint64_t most)
{
    const char *from = s->at;
    uint64_t v = 0;
    bool fits = true;

    if (s->bad)
        return 0;
    while (s->at < s->end && *s->at >= '0' && *s->at <= '9')
        fits &= !__builtin_mul_overflow(v, (uint64_t)10, &v) &&
                !__builtin_add_overflow(v, (uint64_t)(*s->at++ - '0'), &v);
    bool canonical = s->at == from + 1 || (s->at > from && *from != '0');
    if (canonical && fits && v >= least && v <= most)
        return v;
    s->at = from;
    refuse(s, canonical ? "a number within its limits" : "a number");
    return 0;
}

static uint64_t field(struct scan *s, const char *name, uint64_t most)
{
    want(s, name);
    return number(s, 0, most);
}

static unsigned narrow(struct scan *s, const char *name)
{
    return (unsigned)field(s, name, UINT_MAX);
}

/** 0 where it is left out, as it is where it is 0. */
static uint64_t field_set(struct scan *s, const char *name)
{
    return take(s, name) ? number(s, 1, UINT64_MAX) : 0;
}

static uint64_t handle(struct scan *s, const char *kind)
{
    uint64_t slot = field(s, kind, UINT32_MAX), gen = field(s, ".", UINT32_MAX);

    return gen << 32 | slot;
}

/** One of the words, after a space; its index. */
static unsigned choice(struct scan *s, const char *const *words, const char *what)
{
    const char *from = s->at;

    want(s, " ");
    for (unsigned i = 0; words[i]; i++) {
        if (take(s, words[i]) && (s->at == s->end || *s->at == ' '))
            return i;
        s->at = s->bad ? s->at : from + 1;
    }
    refuse(s, what);
    return 0;
}

static qos_time deadline(struct scan *s, qos_time now)
{
    if (take(s, " in=-"))
        return now - number(s, 1, now ? now - 1 : 0);
    if (take(s, " in="))
        return now + number(s, now ? 0 : 1, UINT64_MAX - now);
    return 0;
}

/* --- the parts of a line ----------------------------------------------------------------------------- */

static void config(struct scan *s, struct qos_config *c)
{
    char name[32];

    *c = (struct qos_config){0};
    for (unsigned i = 0; i < QOS_TRACE_SETTINGS; i++) {
        snprintf(name, sizeof(name), " %s=", qos_trace_settings[i].name);
        uint64_t most = qos_trace_settings[i].wide ? UINT64_MAX : UINT_MAX;
        qos_trace_setting_set(c, i, field(s, name, most));
    }
    for (unsigned i = 0; i < TRAFFIC_CLASSES; i++) {
        snprintf(name, sizeof(name), " %s=", qos_trace_class[i]);
        c->classes[i].guaranteed = narrow(s, name);
        c->classes[i].burst = narrow(s, "/");
        c->classes[i].weight = narrow(s, "/");
        c->classes[i].per_stream = narrow(s, "/");
        c->classes[i].hedge = take(s, "/") ? (unsigned)number(s, 1, UINT_MAX) : 0;
    }
    for (unsigned i = 0; i < QOS_PROVIDERS && !s->bad && s->at < s->end; i++) {
        struct qos_provider_config *p = &c->providers[c->nproviders++];
        snprintf(name, sizeof(name), " p%u=", i);
        p->connections = narrow(s, name);
        p->tier = narrow(s, "/");
        p->weight = narrow(s, "/");
        p->pipelining = narrow(s, "/");
        p->retention_us = field(s, "/", UINT64_MAX);
        p->rate_bps = field(s, "/", UINT64_MAX);
    }
}

static void submit(struct scan *s, struct qos_record *r)
{
    struct qos_want *w = &s->t->want;

    *w = (struct qos_want){0};
    if (take(s, " full"))
        r->submit.result = -ENOSPC;
    else
        r->submit.op = handle(s, " o");
    w->class = (enum traffic_class)choice(s, qos_trace_class, "a class");
    w->urgency = (enum urgency)choice(s, qos_trace_urgency, "an urgency");
    w->verb = (enum segment_verb)choice(s, qos_trace_verb, "a verb");
    w->stream = field(s, " stream=", UINT64_MAX);
    w->bytes = field_set(s, " bytes=");
    w->deadline = deadline(s, r->now);
    w->age = field_set(s, " age=");
    r->submit.want = w;
}

static void order(struct scan *s, struct qos_order *o)
{
    *o = (struct qos_order){0};
    o->kind = (enum qos_order_kind)choice(s, qos_trace_order, "an order");
    if (o->kind == QOS_START || o->kind == QOS_END || o->kind == QOS_LATE)
        o->op = handle(s, " o");
    if (o->kind == QOS_END) {
        o->verdict = (enum qos_verdict)choice(s, qos_trace_verdict, "a verdict");
        return;
    }
    if (o->kind == QOS_LATE)
        return;
    o->conn = handle(s, " c");
    o->provider = (unsigned)field(s, " p", QOS_PROVIDERS - 1);
}

/* The kind of a record is its first word; each is told from the others by it. */
static void record(struct scan *s, struct qos_record *r)
{
    if (take(s, " submit")) {
        r->kind = QOS_RECORD_SUBMIT;
        submit(s, r);
    } else if (take(s, " promote")) {
        r->kind = QOS_RECORD_PROMOTE;
        r->promote.op = handle(s, " o");
        r->promote.urgency = (enum urgency)choice(s, qos_trace_urgency, "an urgency");
        r->promote.deadline = deadline(s, r->now);
    } else if (take(s, " cancel")) {
        r->kind = QOS_RECORD_CANCEL;
        r->cancel = handle(s, " o");
    } else if (take(s, " ready")) {
        r->kind = QOS_RECORD_READY;
        r->ready = handle(s, " c");
    } else if (take(s, " gone")) {
        r->kind = QOS_RECORD_GONE;
        r->gone.conn = handle(s, " c");
        r->gone.why = (enum qos_gone)choice(s, qos_trace_gone, "why it is gone");
        r->gone.seen = take(s, " seen");
        if (!r->gone.seen)
            want(s, " unseen");
        r->gone.dice = (uint32_t)field(s, " dice=", UINT32_MAX);
    } else if (take(s, " begun")) {
        r->kind = QOS_RECORD_BEGUN;
        r->begun = handle(s, " o");
    } else if (take(s, " done")) {
        r->kind = QOS_RECORD_DONE;
        r->done.op = handle(s, " o");
        r->done.how = (enum qos_outcome)choice(s, qos_trace_outcome, "an outcome");
        r->done.bytes = field(s, " bytes=", UINT64_MAX);
    } else if (take(s, " hedge")) {
        r->kind = QOS_RECORD_HEDGE;
        r->hedge.late = handle(s, " o");
        if (take(s, " full"))
            r->hedge.result = -ENOSPC;
        else if (take(s, " over"))
            r->hedge.result = -EAGAIN;
        else
            r->hedge.twin = handle(s, " o");
    } else if (take(s, " resize")) {
        r->kind = QOS_RECORD_RESIZE;
        r->resize.result = take(s, " refused") ? -EINVAL : 0;
        if (!r->resize.result)
            want(s, " ok");
        config(s, &s->t->resized);
        r->resize.cfg = &s->t->resized;
    } else if (take(s, " warm")) {
        r->kind = QOS_RECORD_WARM;
        r->warm.class = (enum traffic_class)choice(s, qos_trace_class, "a class");
        r->warm.n = narrow(s, " n=");
        r->warm.until = deadline(s, r->now);
    } else if (take(s, " shut")) {
        r->kind = QOS_RECORD_SHUT;
    } else if (take(s, " >")) {
        r->kind = QOS_RECORD_ORDER;
        order(s, &s->t->order);
        r->order = &s->t->order;
    } else if (take(s, " .")) {
        r->kind = QOS_RECORD_QUIET;
    } else {
        refuse(s, "a fact or an order");
    }
}

/* --- the lines --------------------------------------------------------------------------------------- */

static enum qos_trace_item head(struct scan *s)
{
    struct qos_trace_reader *t = s->t;

    switch ((enum stage)t->stage++) {
    case VERSION:
        want(s, QOS_TRACE_VERSION);
        return QOS_TRACE_NOTHING;
    case LIMITS:
        want(s, "limits ops=");
        t->limits.ops = (unsigned)number(s, 1, OPS_MOST);
        want(s, " conns=");
        t->limits.conns = (unsigned)number(s, 1, CONNS_MOST);
        want(s, " streams=");
        t->limits.streams = (unsigned)number(s, 1, STREAMS_MOST);
        return QOS_TRACE_NOTHING;
    case CONFIG:
        want(s, "config");
        config(s, &t->cfg);
        return QOS_TRACE_NOTHING;
    case CLOCK:
        t->clock = field(s, "clock ", TIME_MOST);
        t->at = t->clock;
        return QOS_TRACE_HEAD;
    case RECORDS:
    case OVER:
    case BROKEN:
        break;
    }
    return QOS_TRACE_ERROR;
}

static enum qos_trace_item body(struct scan *s, struct qos_record *out)
{
    struct qos_trace_reader *t = s->t;

    if (take(s, "whole") || take(s, "lost ")) {
        bool lost = s->at[-1] == ' ';
        t->stage = OVER;
        if (!lost)
            return QOS_TRACE_WHOLE;
        size_t left = (size_t)(s->end - s->at);
        snprintf(t->err, sizeof(t->err), "%.*s", left < 200 ? (int)left : 200, s->at);
        s->at = s->end;
        return QOS_TRACE_LOST;
    }
    const char *from = s->at;
    out->now = t->clock + number(s, 0, TIME_MOST);
    if (!s->bad && out->now < t->at) {
        s->at = from;
        refuse(s, "a time not before the last");
    }
    t->at = out->now;
    record(s, out);
    return QOS_TRACE_RECORD;
}

static bool is_text(struct scan *s)
{
    for (const char *c = s->from; c < s->end; c++) {
        if (*c >= ' ' && *c <= '~')
            continue;
        snprintf(s->t->err, sizeof(s->t->err), "column %zu: byte \\x%02x in a text",
                 (size_t)(c - s->from) + 1, (unsigned)(unsigned char)*c);
        return false;
    }
    return true;
}

enum qos_trace_item qos_trace_read(struct qos_trace_reader *t, const char *line, size_t len,
                                   struct qos_record *out)
{
    struct scan s = {.from = line, .at = line, .end = line + len, .t = t};
    enum qos_trace_item item;

    *out = (struct qos_record){0};
    if (t->stage == BROKEN)
        return QOS_TRACE_ERROR;
    t->line++;
    if (!is_text(&s)) {
        s.bad = true;
    } else if (len >= QOS_TRACE_LINE) {
        snprintf(t->err, sizeof(t->err), "longer than any line of a trace");
        s.bad = true;
    } else if (t->stage > VERSION && len && *line == '#') {
        return QOS_TRACE_NOTHING;
    } else if (t->stage == OVER) {
        refuse(&s, "the end");
    }
    item = t->stage < RECORDS ? head(&s) : body(&s, out);
    if (!s.bad && s.at != s.end)
        refuse(&s, "the end of the line");
    if (!s.bad)
        return item;
    t->stage = BROKEN;
    return QOS_TRACE_ERROR;
}

/* --- replay ------------------------------------------------------------------------------------------ */

/* Of an order, what its kind has in it. The cookies are not ours. */
static bool order_is(const struct qos_order *a, const struct qos_order *b)
{
    if (a->kind != b->kind)
        return false;
    switch (a->kind) {
    case QOS_OPEN:
    case QOS_CLOSE:
        return a->conn == b->conn && a->provider == b->provider;
    case QOS_START:
        return a->conn == b->conn && a->provider == b->provider && a->op == b->op;
    case QOS_LATE:
        return a->op == b->op;
    case QOS_END:
        return a->op == b->op && a->verdict == b->verdict;
    }
    return false;
}

bool qos_trace_feed(struct qos *q, const struct qos_record *r, struct qos_record *got,
                    struct qos_order *next)
{
    *got = *r;
    switch (r->kind) {
    case QOS_RECORD_SUBMIT:
        got->submit.result = qos_submit(q, r->now, r->submit.want, &got->submit.op);
        return got->submit.result == r->submit.result && got->submit.op == r->submit.op;
    case QOS_RECORD_PROMOTE:
        qos_promote(q, r->now, r->promote.op, r->promote.urgency, r->promote.deadline);
        return true;
    case QOS_RECORD_CANCEL:
        qos_cancel(q, r->now, r->cancel);
        return true;
    case QOS_RECORD_READY:
        qos_conn_ready(q, r->now, r->ready);
        return true;
    case QOS_RECORD_GONE:
        qos_conn_gone(q, r->now, r->gone.conn, r->gone.why, r->gone.seen, r->gone.dice);
        return true;
    case QOS_RECORD_BEGUN:
        qos_op_begun(q, r->now, r->begun);
        return true;
    case QOS_RECORD_DONE:
        qos_op_done(q, r->now, r->done.op, r->done.how, r->done.bytes);
        return true;
    case QOS_RECORD_HEDGE:
        got->hedge.result = qos_hedge(q, r->now, r->hedge.late, NULL, &got->hedge.twin);
        return got->hedge.result == r->hedge.result && got->hedge.twin == r->hedge.twin;
    case QOS_RECORD_RESIZE:
        got->resize.result = qos_resize(q, r->now, r->resize.cfg);
        return got->resize.result == r->resize.result;
    case QOS_RECORD_WARM:
        qos_warm(q, r->now, r->warm.class, r->warm.n, r->warm.until);
        return true;
    case QOS_RECORD_SHUT:
        qos_shut(q, r->now);
        return true;
    case QOS_RECORD_ORDER:
    case QOS_RECORD_QUIET:
        got->kind = qos_next(q, r->now, next) ? QOS_RECORD_ORDER : QOS_RECORD_QUIET;
        got->order = next;
        return got->kind == r->kind && (r->kind == QOS_RECORD_QUIET || order_is(next, r->order));
    }
    return false;
}
