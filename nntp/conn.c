#define LOG_TAG "nntp.conn"
#include "nntp/conn.h"
#include "base/clock.h"

#include <assert.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Received from one socket before the others have their turn. */
#define TURN_BYTES ((size_t)1 << 20)

/* How long QUIT may take to be answered. */
#define QUIT_US    1000000u

struct nntp_conn *nntp_conn_new(const struct nntp_conn_hooks *hooks, void *owner,
                                struct nntp_loop *l, struct nntp_resolver *r,
                                struct nntp_site *site, struct nntp_counters *counters)
{
    struct nntp_conn *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->hooks = hooks;
    c->owner = owner;
    c->loop = l;
    c->resolver = r;
    c->site = nntp_site_get(site);
    c->counters = counters;
    c->dial.fd = -1;
    c->wire.fd = -1;
    c->wire.buf = l->wire;
    list_init(&c->mail);
    list_init(&c->on_loop);
    list_init(&c->exchanges);
    return c;
}

void nntp_conn_free(struct nntp_conn *c)
{
    if (!c)
        return;
    assert(c->wire.fd < 0 && list_is_empty(&c->exchanges));
    nntp_site_put(c->site);
    free(c);
}

static void run_bury(struct nntp_task *t)
{
    nntp_conn_free(container_of(t, struct nntp_conn, bury));
}

static void out_wipe(struct nntp_conn *c)
{
    if (c->secret)
        OPENSSL_cleanse(c->out, sizeof(c->out));
    c->secret = false;
}

static void events_del(struct nntp_conn *c)
{
    if (!c->opened)
        return;
    event_del(&c->readable);
    event_del(&c->writable);
    c->opened = false;
}

static void socket_close(struct nntp_conn *c)
{
    events_del(c);
    nntp_tls_free(c->tls);
    c->tls = NULL;
    if (c->dial.fd < 0 && c->wire.fd >= 0) /* while dialling they are the same */
        close(c->wire.fd);
    c->wire.fd = -1;
    nntp_dial_stop(&c->dial);
}

void nntp_conn_end(struct nntp_conn *c, enum qos_gone why, bool seen, const char *fmt, ...)
{
    assert(nntp_loop_is_mine(c->loop) && !c->dead);
    char text[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    c->dead = true;
    nntp_resolver_forget(c->resolver, &c->ask);
    socket_close(c);
    out_wipe(c);
    list_del(&c->on_loop);
    struct list *e;
    while ((e = list_pop(&c->exchanges)))
        segment_moved(container_of(e, struct nntp_exchange, link)->f, SEGMENT_QUEUED, NULL);
    c->hooks->gone(c, why, seen, text);
    c->bury = (struct nntp_task){.run = run_bury};
    nntp_loop_post(c->loop, &c->bury);
}

/* --- writing ---------------------------------------------------------------------------------------- */

/* Bytes sent; *full when the socket takes no more; false on failure. */
static bool out_some(struct nntp_conn *c, size_t *n, bool *full)
{
    if (c->tls) {
        enum nntp_tls_state s = nntp_tls_write(c->tls, c->out, c->nout, n);
        *full = s == NNTP_TLS_ROOM || s == NNTP_TLS_MORE;
        return s == NNTP_TLS_OK || *full;
    }
    ssize_t sent = nntp_wire_send(&c->wire, c->out, c->nout);
    *n = sent > 0 ? (size_t)sent : 0;
    *full = sent == 0;
    return sent >= 0;
}

/* A failure is not the end yet: what the server said before it hung up ("502 too many connections") may
 * still be there to be read, and the reader will find the end behind it. */
static void out_failed(struct nntp_conn *c)
{
    out_wipe(c);
    c->nout = 0;
    event_active(&c->readable, EV_READ, 0);
}

static void flush(struct nntp_conn *c)
{
    while (c->nout && !c->dead) {
        size_t n = 0;
        bool full = false;
        if (!out_some(c, &n, &full)) {
            out_failed(c);
            return;
        }
        memmove(c->out, c->out + n, c->nout - n);
        c->nout -= n;
        if (full) {
            event_add(&c->writable, NULL);
            return;
        }
        if (!c->nout) {
            out_wipe(c);
            nntp_talk_send(c); /* what had no room before */
        }
    }
}

static void send_now(struct nntp_conn *c)
{
    nntp_talk_send(c);
    flush(c);
}

/* --- reading ---------------------------------------------------------------------------------------- */

static void read_plain(struct nntp_conn *c)
{
    struct nntp_wire *w = &c->wire;

    while (!c->dead && nntp_wire_fill(w)) {
        size_t at = w->at;
        w->at = w->end;
        nntp_talk_feed(c, w->buf + at, w->end - at);
    }
    if (c->dead)
        return;
    if (w->error)
        nntp_talk_hung_up(c, strerror(w->error));
    else if (w->eof)
        nntp_talk_hung_up(c, "closed by the server");
}

/* OpenSSL gives one record at a time. What it could not use stays with it, never in the shared buffer. */
static void read_tls(struct nntp_conn *c)
{
    enum nntp_tls_state s = NNTP_TLS_OK;

    while (!c->dead && s == NNTP_TLS_OK) {
        size_t n;
        s = nntp_tls_read(c->tls, c->loop->plain, NNTP_RX_BYTES, &n);
        if (s == NNTP_TLS_OK)
            nntp_talk_feed(c, c->loop->plain, n);
    }
    if (c->dead)
        return;
    switch (s) {
    case NNTP_TLS_OK:
    case NNTP_TLS_MORE:
        return;
    case NNTP_TLS_ROOM: /* records that came behind would be lost with the shared buffer */
        nntp_conn_end(c, QOS_GONE_BROKEN, false, "TLS: a key update while the line was full");
        return;
    case NNTP_TLS_END:
        nntp_talk_hung_up(c, "closed by the server");
        return;
    case NNTP_TLS_ERROR:
        if (c->wire.error || c->wire.eof)
            nntp_talk_hung_up(c, c->wire.error ? strerror(c->wire.error) : "closed by the server");
        else
            nntp_conn_end(c, c->up ? QOS_GONE_BROKEN : QOS_GONE_REFUSED, false, "%s",
                          nntp_tls_error(c->tls));
    }
}

static void read_handshake(struct nntp_conn *c)
{
    switch (nntp_tls_handshake(c->tls)) {
    case NNTP_TLS_OK:
        c->state = CONN_GREETING;
        c->limit_us = clock_now_us() + c->site->connect_us;
        log_debug("%s: TLS is up%s", c->site->name,
                  nntp_tls_is_resumed(c->tls) ? ", by an earlier session" : "");
        return;
    case NNTP_TLS_MORE:
        return;
    case NNTP_TLS_ROOM:
        event_add(&c->writable, NULL);
        return;
    case NNTP_TLS_END:
    case NNTP_TLS_ERROR:
        nntp_conn_end(c, QOS_GONE_REFUSED, c->wire.eof || c->wire.error, "%s",
                      nntp_tls_error(c->tls));
    }
}

static void turn(struct nntp_conn *c)
{
    bool rated;
    struct nntp_wire *w = &c->wire;
    size_t allow = c->hooks->allow(c, TURN_BYTES, &rated);

    if (!allow) {
        c->paused = true;
        event_del(&c->readable);
        return;
    }
    w->at = w->end = 0;
    w->allow = allow;
    w->dry = false;
    if (c->state == CONN_TLS)
        read_handshake(c);
    if (!c->dead && c->state != CONN_TLS) {
        if (c->tls)
            read_tls(c);
        else
            read_plain(c);
    }
    atomic_fetch_add_explicit(&c->counters->wire, allow - w->allow, memory_order_relaxed);
    if (rated && w->allow)
        c->hooks->give(c, w->allow);
    if (!c->dead)
        send_now(c);
}

/* --- events ----------------------------------------------------------------------------------------- */

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct nntp_conn *c = arg;
    struct nntp_loop *l = c->loop;
    (void)fd;
    (void)what;

    if (!c->paused)
        turn(c);
    nntp_loop_settle(l);
}

static bool events_set(struct nntp_conn *c, event_callback_fn on_writable)
{
    struct event_base *b = c->loop->base;

    if (event_assign(&c->readable, b, c->wire.fd, EV_READ | EV_PERSIST, on_readable, c) ||
        event_assign(&c->writable, b, c->wire.fd, EV_WRITE, on_writable, c))
        return false;
    c->opened = true;
    return true;
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct nntp_conn *c = arg;
    struct nntp_loop *l = c->loop;
    (void)fd;
    (void)what;

    if (c->state == CONN_TLS)
        turn(c);
    else
        flush(c);
    nntp_loop_settle(l);
}

/* --- dialling --------------------------------------------------------------------------------------- */

static void dial_failed(struct nntp_conn *c, int error)
{
    nntp_conn_end(c, QOS_GONE_REFUSED, true, "%s port %u: %s", c->site->host, c->site->port,
                  strerror(-error));
}

static void connected(struct nntp_conn *c)
{
    nntp_resolver_prefer(c->resolver, c->site->host, &c->ask.addrs.a[c->dial.at]);
    c->dial.fd = -1; /* it is c->wire's now */
    c->limit_us = clock_now_us() + c->site->connect_us;
    c->state = CONN_GREETING;
    if (c->site->tls) {
        c->state = CONN_TLS;
        c->tls = nntp_tls_new(c->site->tls, &c->wire);
        if (!c->tls) {
            nntp_conn_end(c, QOS_GONE_REFUSED, false, "%s: TLS: no memory", c->site->host);
            return;
        }
    }
    events_del(c);
    if (!events_set(c, on_writable) || event_add(&c->readable, NULL))
        nntp_conn_end(c, QOS_GONE_REFUSED, false, "no memory");
    else if (c->tls)
        turn(c); /* the client speaks first */
}

static void on_dialled(evutil_socket_t fd, short what, void *arg);

static void dial_watch(struct nntp_conn *c)
{
    c->wire.fd = c->dial.fd;
    if (!events_set(c, on_dialled) || event_add(&c->writable, NULL))
        nntp_conn_end(c, QOS_GONE_REFUSED, true, "no memory");
}

static void dial_check(struct nntp_conn *c, uint64_t now_us)
{
    int fd = c->dial.fd;
    /* Whatever this socket's fate, it is watched anew: a closed one must have left epoll before. */
    events_del(c);
    c->wire.fd = -1;
    int r = nntp_dial_check(&c->dial, now_us);

    if (r == 0) {
        c->wire.fd = fd;
        connected(c);
    } else if (r == -EINPROGRESS) {
        dial_watch(c);
    } else {
        dial_failed(c, r);
    }
}

static void on_dialled(evutil_socket_t fd, short what, void *arg)
{
    struct nntp_conn *c = arg;
    struct nntp_loop *l = c->loop;
    (void)fd;
    (void)what;

    dial_check(c, clock_now_us());
    nntp_loop_settle(l);
}

static void on_resolved(struct nntp_ask *ask)
{
    struct nntp_conn *c = container_of(ask, struct nntp_conn, ask);

    if (ask->error) {
        nntp_conn_end(c, QOS_GONE_REFUSED, true, "%s: %s", c->site->host, ask->error);
        return;
    }
    int r = nntp_dial_start(&c->dial, &ask->addrs, clock_now_us(), c->limit_us);
    if (r)
        dial_failed(c, r);
    else
        dial_watch(c);
}

void nntp_conn_open(struct nntp_conn *c)
{
    assert(nntp_loop_is_mine(c->loop) && c->state == CONN_DIAL);
    c->limit_us = clock_now_us() + c->site->connect_us;
    list_add_tail(&c->loop->conns, &c->on_loop);
    nntp_loop_tick(c->loop);
    list_init(&c->ask.link);
    c->ask.loop = c->loop;
    c->ask.host = c->site->host;
    c->ask.port = c->site->port;
    c->ask.done = on_resolved;
    int r = nntp_resolver_ask(c->resolver, &c->ask);
    if (r == 0)
        on_resolved(&c->ask);
    else if (r != -EINPROGRESS)
        nntp_conn_end(c, QOS_GONE_REFUSED, true, "%s: %s", c->site->host, strerror(-r));
}

/* --- orders ----------------------------------------------------------------------------------------- */

void nntp_conn_start(struct nntp_conn *c, struct nntp_exchange *x)
{
    assert(nntp_loop_is_mine(c->loop) && c->up && !c->dead);
    x->verb = x->f->want.verb;
    if (x->verb == SEGMENT_STAT && atomic_load_explicit(&c->site->no_stat, memory_order_relaxed))
        x->verb = SEGMENT_HEAD;
    x->state = EXCHANGE_WAITING;
    x->bytes = 0;
    x->tried = 0;
    if (list_is_empty(&c->exchanges)) {
        c->from_idle = c->answered > 0;
        c->progress_us = clock_now_us();
        c->crumbs = 0;
        nntp_loop_tick(c->loop);
    }
    list_add_tail(&c->exchanges, &x->link);
    if (c->state != CONN_READY)
        nntp_conn_end(c, QOS_GONE_STALE, false, "it is being closed");
    else
        send_now(c);
}

void nntp_conn_close(struct nntp_conn *c, bool now)
{
    assert(nntp_loop_is_mine(c->loop) && !c->dead);
    bool polite = c->state == CONN_READY && list_is_empty(&c->exchanges) && !c->gate;

    if (polite) {
        nntp_talk_quit(c);
        c->state = CONN_QUIT;
        c->limit_us = clock_now_us() + QUIT_US;
        nntp_loop_tick(c->loop);
        flush(c);
    }
    if (!c->dead && (!polite || now))
        nntp_conn_end(c, QOS_GONE_CLOSED, c->state == CONN_DIAL, "closed");
}

void nntp_conn_resume(struct nntp_conn *c)
{
    assert(nntp_loop_is_mine(c->loop) && !c->dead);
    if (!c->paused)
        return;
    c->paused = false;
    c->progress_us = clock_now_us();
    turn(c);
    /* Under a limit that all is waiting for, what was left of it is next: no need to look at the socket. */
    if (!c->dead && !c->paused && !c->wire.allow)
        turn(c);
    if (!c->dead && !c->paused && event_add(&c->readable, NULL))
        nntp_conn_end(c, QOS_GONE_BROKEN, false, "no memory");
}

/* A connection that its rate limit holds back is not the server's fault. */
static bool has_stalled(const struct nntp_conn *c, uint64_t now_us)
{
    return !list_is_empty(&c->exchanges) && !c->paused &&
           now_us > c->progress_us + c->site->stall_us;
}

bool nntp_conn_tick(struct nntp_conn *c, uint64_t now_us)
{
    switch (c->state) {
    case CONN_DIAL:
        if (now_us > c->limit_us)
            dial_failed(c, -ETIMEDOUT);
        else if (c->dial.fd >= 0)
            dial_check(c, now_us);
        return true;
    case CONN_TLS:
    case CONN_GREETING:
    case CONN_LOGIN:
        if (now_us > c->limit_us)
            nntp_conn_end(c, QOS_GONE_REFUSED, false, "silent before it was ready");
        return true;
    case CONN_READY:
        if (has_stalled(c, now_us))
            nntp_conn_end(c, QOS_GONE_SILENT, false, "silent for %llu s",
                          (unsigned long long)(c->site->stall_us / 1000000));
        return !list_is_empty(&c->exchanges);
    case CONN_QUIT:
        if (now_us > c->limit_us)
            nntp_conn_end(c, QOS_GONE_CLOSED, false, "closed");
        return true;
    }
    return false;
}
