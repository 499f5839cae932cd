#include "tests/nntp/talker.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct talker *talker_of(struct nntp_conn *c)
{
    return container_of(c, struct talker, c);
}

void nntp_conn_end(struct nntp_conn *c, enum qos_gone why, bool seen, const char *fmt, ...)
{
    struct talker *t = talker_of(c);
    va_list ap;

    if (c->dead)
        abort(); /* it ends once */
    c->dead = true;
    t->why = why;
    t->seen = seen;
    va_start(ap, fmt);
    vsnprintf(t->text, sizeof(t->text), fmt, ap);
    va_end(ap);
    while (list_pop(&c->exchanges)) {
    }
}

static void on_up(struct nntp_conn *c)
{
    talker_of(c)->ups++;
}

static void on_done(struct nntp_conn *c, struct nntp_exchange *x)
{
    struct talker *t = talker_of(c);
    struct talker_op *op = container_of(x, struct talker_op, x);

    if (op->reported || c->dead)
        abort(); /* each is reported once, by a living connection */
    op->reported = true;
    op->order = t->nreported++;
    if (op != &t->ops[op->order])
        abort(); /* in the order of the starts */
}

static const struct nntp_conn_hooks hooks = {.up = on_up, .done = on_done};

static int on_begin(struct segment_fetch *f, const struct segment_info *info)
{
    struct talker_op *op = container_of(f, struct talker_op, f);

    op->begins++;
    if (op->veto)
        return op->veto;
    if (info->len > sizeof(op->room))
        return -ENOSPC;
    op->iov = (struct iovec){.iov_base = op->room, .iov_len = sizeof(op->room)};
    f->dst = &op->iov;
    f->ndst = 1;
    return 0;
}

static const struct segment_fetch_ops fetch_ops = {.begin = on_begin};

void talker_init(struct talker *t, const char *username, const char *password)
{
    char name[] = "p0", host[] = "127.0.0.1", err[128];
    char *user = username ? strdup(username) : NULL, *pass = password ? strdup(password) : NULL;
    struct config_provider p = {
        .name = name, .host = host, .port = 119, .username = user, .password = pass};
    struct config_timeouts limits = {.connect_s = 5, .stall_s = 5, .idle_s = 5};

    memset(t, 0, sizeof(*t));
    if (nntp_site_new(&p, &limits, &t->c.site, err, sizeof(err)))
        abort();
    free(user);
    free(pass);
    t->c.hooks = &hooks;
    t->c.counters = &t->counters;
    t->c.state = CONN_GREETING;
    list_init(&t->c.exchanges);
}

void talker_fini(struct talker *t)
{
    nntp_site_put(t->c.site);
}

/* Each call in its own exact allocation, so that a sanitizer sees a byte read too far. */
void talker_hears_n(struct talker *t, const void *bytes, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1);

    if (!copy)
        abort();
    memcpy(copy, bytes, len);
    if (!t->c.dead)
        nntp_talk_feed(&t->c, copy, len);
    free(copy);
    if (!t->c.dead)
        nntp_talk_send(&t->c);
}

void talker_hears(struct talker *t, const char *bytes)
{
    talker_hears_n(t, bytes, strlen(bytes));
}

const char *talker_says(struct talker *t)
{
    static char text[sizeof(t->c.out) + 1];

    memcpy(text, t->c.out, t->c.nout);
    text[t->c.nout] = '\0';
    t->c.nout = 0;
    t->c.secret = false;
    return text;
}

unsigned talker_start(struct talker *t, enum segment_verb verb, const char *id, const char *group)
{
    struct talker_op *op = &t->ops[t->nops];

    op->f = (struct segment_fetch){.ops = &fetch_ops,
                                   .want = {.message_id = id, .group = group, .verb = verb}};
    op->x.f = &op->f;
    op->x.verb = verb;
    if (verb == SEGMENT_STAT && atomic_load(&t->c.site->no_stat))
        op->x.verb = SEGMENT_HEAD;
    op->x.state = EXCHANGE_WAITING;
    if (list_is_empty(&t->c.exchanges))
        t->c.from_idle = t->c.answered > 0;
    list_add_tail(&t->c.exchanges, &op->x.link);
    nntp_talk_send(&t->c);
    return t->nops++;
}
