#include "qos/trace.h"

#include "qos/trace_words.h"

#include <errno.h>
#include <string.h>

/* Records are written with the pool's lock held, several for each article: hence no printf. What does not
 * fit sets `at` beyond `end`, and is found out once, at the end of the line. */
struct pen {
    char *at, *end;
    bool full;
};

static void put_bytes(struct pen *p, const char *s, size_t n)
{
    if (p->full || (size_t)(p->end - p->at) < n) {
        p->full = true;
        return;
    }
    memcpy(p->at, s, n);
    p->at += n;
}

static void put(struct pen *p, const char *s)
{
    put_bytes(p, s, strlen(s));
}

static void put_number(struct pen *p, uint64_t v)
{
    char digits[20];
    char *s = digits + sizeof(digits);

    do {
        *--s = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    put_bytes(p, s, (size_t)(digits + sizeof(digits) - s));
}

static void put_field(struct pen *p, const char *name, uint64_t v)
{
    put(p, name);
    put_number(p, v);
}

/** Only where it says something. */
static void put_field_set(struct pen *p, const char *name, uint64_t v)
{
    if (v)
        put_field(p, name, v);
}

static void put_handle(struct pen *p, const char *kind, uint64_t handle)
{
    put_field(p, kind, handle & UINT32_MAX);
    put_field(p, ".", handle >> 32);
}

/** A deadline may have passed already. 0, which is none, is left out. */
static void put_deadline(struct pen *p, qos_time deadline, qos_time now)
{
    if (!deadline)
        return;
    if (deadline >= now)
        put_field(p, " in=", deadline - now);
    else
        put_field(p, " in=-", now - deadline);
}

static void put_config(struct pen *p, const struct qos_config *c)
{
    for (unsigned i = 0; i < QOS_TRACE_SETTINGS; i++) {
        put(p, " ");
        put(p, qos_trace_settings[i].name);
        put_field(p, "=", qos_trace_setting_get(c, i));
    }
    for (unsigned i = 0; i < TRAFFIC_CLASSES; i++) {
        const struct qos_class_config *k = &c->classes[i];
        put(p, " ");
        put(p, qos_trace_class[i]);
        put_field(p, "=", k->guaranteed);
        put_field(p, "/", k->burst);
        put_field(p, "/", k->weight);
        put_field(p, "/", k->per_stream);
        put_field_set(p, "/", k->hedge);
    }
    for (unsigned i = 0; i < c->nproviders; i++) {
        const struct qos_provider_config *v = &c->providers[i];
        put_field(p, " p", i);
        put_field(p, "=", v->connections);
        put_field(p, "/", v->tier);
        put_field(p, "/", v->weight);
        put_field(p, "/", v->pipelining);
        put_field(p, "/", v->retention_us);
        put_field(p, "/", v->rate_bps);
    }
}

static void put_want(struct pen *p, const struct qos_want *w, qos_time now)
{
    put(p, " ");
    put(p, qos_trace_class[w->class]);
    put(p, " ");
    put(p, qos_trace_urgency[w->urgency]);
    put(p, " ");
    put(p, qos_trace_verb[w->verb]);
    put_field(p, " stream=", w->stream);
    put_field_set(p, " bytes=", w->bytes);
    put_deadline(p, w->deadline, now);
    put_field_set(p, " age=", w->age);
}

static void put_order(struct pen *p, const struct qos_order *o)
{
    put(p, " > ");
    put(p, qos_trace_order[o->kind]);
    if (o->kind == QOS_START || o->kind == QOS_END || o->kind == QOS_LATE)
        put_handle(p, " o", o->op);
    if (o->kind == QOS_END) {
        put(p, " ");
        put(p, qos_trace_verdict[o->verdict]);
        return;
    }
    if (o->kind == QOS_LATE)
        return;
    put_handle(p, " c", o->conn);
    put_field(p, " p", o->provider);
}

static void put_record(struct pen *p, const struct qos_record *r)
{
    switch (r->kind) {
    case QOS_RECORD_SUBMIT:
        put(p, " submit");
        if (r->submit.result)
            put(p, " full");
        else
            put_handle(p, " o", r->submit.op);
        put_want(p, r->submit.want, r->now);
        return;
    case QOS_RECORD_PROMOTE:
        put_handle(p, " promote o", r->promote.op);
        put(p, " ");
        put(p, qos_trace_urgency[r->promote.urgency]);
        put_deadline(p, r->promote.deadline, r->now);
        return;
    case QOS_RECORD_CANCEL:
        put_handle(p, " cancel o", r->cancel);
        return;
    case QOS_RECORD_READY:
        put_handle(p, " ready c", r->ready);
        return;
    case QOS_RECORD_GONE:
        put_handle(p, " gone c", r->gone.conn);
        put(p, " ");
        put(p, qos_trace_gone[r->gone.why]);
        put(p, r->gone.seen ? " seen" : " unseen");
        put_field(p, " dice=", r->gone.dice);
        return;
    case QOS_RECORD_BEGUN:
        put_handle(p, " begun o", r->begun);
        return;
    case QOS_RECORD_DONE:
        put_handle(p, " done o", r->done.op);
        put(p, " ");
        put(p, qos_trace_outcome[r->done.how]);
        put_field(p, " bytes=", r->done.bytes);
        return;
    case QOS_RECORD_HEDGE:
        put_handle(p, " hedge o", r->hedge.late);
        if (r->hedge.result)
            put(p, r->hedge.result == -ENOSPC ? " full" : " over");
        else
            put_handle(p, " o", r->hedge.twin);
        return;
    case QOS_RECORD_RESIZE:
        put(p, r->resize.result ? " resize refused" : " resize ok");
        put_config(p, r->resize.cfg);
        return;
    case QOS_RECORD_WARM:
        put(p, " warm ");
        put(p, qos_trace_class[r->warm.class]);
        put_field(p, " n=", r->warm.n);
        put_deadline(p, r->warm.until, r->now);
        return;
    case QOS_RECORD_SHUT:
        put(p, " shut");
        return;
    case QOS_RECORD_ORDER:
        put_order(p, r->order);
        return;
    case QOS_RECORD_QUIET:
        put(p, " .");
        return;
    }
}

size_t qos_trace_record(char *buf, size_t room, qos_time clock, const struct qos_record *r)
{
    struct pen p = {buf, buf + room, false};

    put_number(&p, r->now - clock);
    put_record(&p, r);
    put(&p, "\n");
    return p.full ? 0 : (size_t)(p.at - buf);
}

size_t qos_trace_head(char *buf, const struct qos_limits *limits, const struct qos_config *cfg,
                      qos_time clock)
{
    struct pen p = {buf, buf + QOS_TRACE_LINE, false};

    put(&p, QOS_TRACE_VERSION
        "\n"
        "# us since the clock, then a fact, or an order: > ...; the last one of a moment: .\n"
        "# oSLOT.GENERATION is an operation, cSLOT.GENERATION a connection, pN a provider.\n"
        "# A class is guaranteed/burst/weight/per_stream, and /hedge where there is one, a provider\n"
        "# connections/tier/weight/pipelining/retention_us/rate_bps; 0 where it was not set.\n");
    put_field(&p, "limits ops=", limits->ops);
    put_field(&p, " conns=", limits->conns);
    put_field(&p, " streams=", limits->streams);
    put(&p, "\nconfig");
    put_config(&p, cfg);
    put_field(&p, "\nclock ", clock);
    put(&p, "\n");
    return (size_t)(p.at - buf);
}

size_t qos_trace_tail(char *buf, const char *lost)
{
    struct pen p = {buf, buf + QOS_TRACE_LINE, false};

    put(&p, lost ? "lost " : "whole");
    for (const char *s = lost; s && *s && s - lost < 200; s++)
        put_bytes(&p, *s >= ' ' && *s <= '~' ? s : "?", 1);
    put(&p, "\n");
    return (size_t)(p.at - buf);
}
