/* A connection: lines in, answers out in the same order, each when it is due.
 *
 *   reading ──▶ c->in ──line──▶ newsd_cmd.c ──▶ answers (due = arrival + latency) ──▶ newsd_io.c
 *
 * Every event ends in newsd_conn_run(), which does what can be done and arms what is missing. */
#include "tests/lib/newsd_internal.h"

#include "base/clock.h"

#include <errno.h>
#include <linux/sockios.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* One call of sendmsg, and what one connection may send before others have their turn. */
#define SEND_MOST    (1u << 20)
#define TURN_MOST    (4u << 20)
/* How long the peer may take to close its side, or to take what is sent before a reset. */
#define LINGER_US    2000000u
/* A limited rate goes out in pieces of this many microseconds. */
#define RATE_STEP_US 5000u
#define NEVER        UINT64_MAX

/* ---- answers ---- */

struct newsd_answer *newsd_answer_new(const char *fmt, ...)
{
    va_list ap;
    char text[NEWSD_LINE_MAX * 2];
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof(text) - 2, fmt, ap);
    va_end(ap);
    if (n < 0)
        return NULL;
    size_t len = (size_t)n < sizeof(text) - 3 ? (size_t)n : sizeof(text) - 3;
    memcpy(text + len, "\r\n", 2);
    len += 2;
    struct newsd_answer *a = calloc(1, sizeof(*a) + len);
    if (!a)
        return NULL;
    list_init(&a->link);
    memcpy(a->line, text, len);
    newsd_answer_add(a, a->line, len);
    return a;
}

void newsd_answer_add(struct newsd_answer *a, const void *bytes, size_t len)
{
    a->iov[a->niov++] = (struct iovec){(void *)(uintptr_t)bytes, len};
    a->len += len;
    a->stop = a->len;
}

void newsd_answer_free(struct newsd_answer *a)
{
    if (!a)
        return;
    free(a->owned);
    free(a);
}

void newsd_conn_answer(struct newsd_conn *c, struct newsd_answer *a)
{
    const struct newsd_config *cfg = &c->d->cfg;
    if (!a) {
        fprintf(stderr, "newsd: no memory for an answer, closing\n");
        c->ending = true;
        c->then = THEN_RESET;
        return;
    }
    a->due_us = clock_now_us() + cfg->latency_us;
    if (cfg->jitter_us)
        a->due_us += newsd_dice(c->d) % ((uint64_t)cfg->jitter_us + 1);
    list_add_tail(&c->answers, &a->link);
    c->nanswers++;
}

/* ---- its end ---- */

void newsd_conn_uncount(struct newsd_conn *c)
{
    if (!c->counted)
        return;
    newsd_tag_uncount(c);
    c->d->stats.connections--;
    c->counted = false;
}

static void answers_drop(struct newsd_conn *c)
{
    struct list *e;
    while ((e = list_pop(&c->answers))) {
        struct newsd_answer *a = container_of(e, struct newsd_answer, link);
        newsd_tag_left(c, a);
        newsd_answer_free(a);
    }
    c->nanswers = 0;
}

void newsd_conn_free(struct newsd_conn *c)
{
    struct event *events[] = {c->readable, c->writable, c->closed, c->timer};
    newsd_conn_uncount(c);
    list_del(&c->link);
    answers_drop(c);
    for (size_t i = 0; i < sizeof(events) / sizeof(*events); i++)
        if (events[i])
            event_free(events[i]);
    SSL_free(c->ssl);
    close(c->fd);
    free(c->post);
    free(c->stage);
    free(c);
}

static void reset(struct newsd_conn *c)
{
    const struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    newsd_conn_free(c);
}

/* Our side is closed. Closing the socket with commands unread would be a reset and could destroy what the
 * peer has not read yet; so its end is awaited. */
static void linger(struct newsd_conn *c, bool notify)
{
    newsd_conn_uncount(c);
    answers_drop(c);
    if (c->ssl && notify && !c->handshake && c->stage_sent == c->stage_len)
        SSL_shutdown(c->ssl);
    shutdown(c->fd, SHUT_WR);
    c->lingers = c->ending = true;
    c->want_write = c->stalled = c->held = false;
    c->deadline_us = clock_now_us() + LINGER_US;
}

/* ---- events ---- */

/* The handshake is put off; what the peer has sent for it stays where it is. */
static bool shakes_later(const struct newsd_conn *c)
{
    return c->handshake && c->shake_us > clock_now_us();
}

static uint64_t next_moment(const struct newsd_conn *c)
{
    uint64_t at = NEVER;
    if (c->lingers || c->then == THEN_RESET)
        return c->lingers ? c->deadline_us : clock_now_us() + 1000;
    if (c->d->silent)
        return NEVER;
    if (shakes_later(c))
        return c->shake_us;
    if (!list_is_empty(&c->answers)) {
        if (c->stalled || c->held || c->want_write || c->handshake)
            return NEVER;
        at = container_of(c->answers.next, struct newsd_answer, link)->due_us;
        return c->free_us > at ? c->free_us : at;
    }
    if (c->d->cfg.idle_close_ms)
        at = c->active_us + (uint64_t)c->d->cfg.idle_close_ms * 1000;
    return at;
}

static void switch_event(struct event *ev, bool *is_on, bool on)
{
    if (on != *is_on)
        (void)(on ? event_add(ev, NULL) : event_del(ev));
    *is_on = on;
}

static void arm(struct newsd_conn *c)
{
    bool room = !c->ending && c->nanswers < NEWSD_QUEUE_MAX && c->in_len < sizeof(c->in);
    /* One that is refused over TLS still has to read the client's side of the handshake. */
    switch_event(c->readable, &c->reading,
                 !c->eof && !c->d->silent && (c->lingers || room || c->handshake) &&
                     !shakes_later(c));
    switch_event(c->writable, &c->writing, c->want_write && !c->d->silent);
    uint64_t at = next_moment(c), now = clock_now_us();
    if (at == NEVER) {
        event_del(c->timer);
        return;
    }
    uint64_t wait = at > now ? at - now : 0;
    const struct timeval tv = {(time_t)(wait / 1000000), (suseconds_t)(wait % 1000000)};
    event_add(c->timer, &tv);
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct newsd_conn *c = arg;
    uint64_t idle = (uint64_t)c->d->cfg.idle_close_ms * 1000;
    (void)fd;
    if ((what & EV_TIMEOUT) && c->lingers) {
        newsd_conn_free(c);
        return;
    }
    if ((what & EV_TIMEOUT) && idle && list_is_empty(&c->answers) && !c->then &&
        clock_now_us() - c->active_us >= idle)
        linger(c, true);
    newsd_conn_run(c);
}

/* The peer has closed. Where we read, reading comes to the end by itself. */
static void on_closed(evutil_socket_t fd, short what, void *arg)
{
    struct newsd_conn *c = arg;
    (void)fd;
    (void)what;
    c->hup = true;
    newsd_conn_uncount(c);
    event_del(c->closed);
    newsd_conn_run(c);
}

struct newsd_conn *newsd_conn_new(struct newsd *d, int fd)
{
    struct newsd_conn *c = calloc(1, sizeof(*c));
    if (!c) {
        fprintf(stderr, "newsd: no memory for a connection\n");
        close(fd);
        return NULL;
    }
    c->d = d;
    c->fd = fd;
    c->logged_in = !d->cfg.username;
    c->active_us = clock_now_us();
    c->shake_us = c->active_us + d->cfg.handshake_us;
    list_init(&c->answers);
    list_add_tail(&d->conns, &c->link);
    c->readable = event_new(d->base, fd, EV_READ | EV_PERSIST, on_event, c);
    c->writable = event_new(d->base, fd, EV_WRITE | EV_PERSIST, on_event, c);
    c->closed = event_new(d->base, fd, EV_CLOSED | EV_PERSIST, on_closed, c);
    c->timer = evtimer_new(d->base, on_event, c);
    c->handshake = d->tls != NULL;
    c->ssl = d->tls ? SSL_new(d->tls) : NULL;
    if (!c->readable || !c->writable || !c->closed || !c->timer || (d->tls && !c->ssl) ||
        (c->ssl && !SSL_set_fd(c->ssl, fd)) || event_add(c->closed, NULL)) {
        fprintf(stderr, "newsd: no memory for a connection\n");
        newsd_conn_free(c);
        return NULL;
    }
    return c;
}

/* ---- in ---- */

/* An answer after which the connection is closed: the rest of what was sent is not worth reading. */
static void refuse(struct newsd_conn *c, const char *line)
{
    struct newsd_answer *a = newsd_answer_new("%s", line);
    if (a)
        a->then = THEN_CLOSE;
    c->ending = true;
    newsd_conn_answer(c, a);
}

static bool post_grow(struct newsd_conn *c, size_t len)
{
    if (len <= c->post_room)
        return true;
    uint8_t *post = realloc(c->post, len * 2);
    if (!post)
        return false;
    c->post = post;
    c->post_room = len * 2;
    return true;
}

/* Appends to the article being posted; returns how many of the bytes belong to it. */
static size_t post_take(struct newsd_conn *c, const uint8_t *p, size_t len)
{
    size_t old = c->post_len;
    if (old + len > NEWSD_POST_MAX || !post_grow(c, old + len)) {
        refuse(c, "441 article too large");
        return len;
    }
    memcpy(c->post + old, p, len);
    c->post_len += len;
    if (c->post_len >= 3 && memcmp(c->post, ".\r\n", 3) == 0) {
        c->post_len = 3;
    } else {
        const uint8_t *from = c->post + (old > 4 ? old - 4 : 0);
        const uint8_t *dot = memmem(from, (size_t)(c->post + c->post_len - from), "\r\n.\r\n", 5);
        if (!dot)
            return len;
        c->post_len = (size_t)(dot - c->post) + 5;
    }
    c->posting = false;
    newsd_cmd_post(c, c->post, c->post_len);
    return c->post_len - old;
}

/* Takes one line off `p`; returns its length, or 0: it is not complete. */
static size_t line_take(struct newsd_conn *c, uint8_t *p, size_t len)
{
    uint8_t *nl = memchr(p, '\n', len < NEWSD_LINE_MAX ? len : NEWSD_LINE_MAX);
    if (!nl) {
        if (len >= NEWSD_LINE_MAX)
            refuse(c, "501 line too long");
        return 0;
    }
    size_t n = (size_t)(nl - p);
    char *line = (char *)p;
    line[n > 0 && line[n - 1] == '\r' ? n - 1 : n] = '\0';
    c->d->stats.commands++;
    if (strlen(line) + 1 < n) /* there was a NUL inside */
        line[0] = '\0';
    newsd_cmd_run(c, line);
    return n + 1;
}

static void parse(struct newsd_conn *c)
{
    size_t at = 0;
    while (at < c->in_len && !c->ending && c->nanswers < NEWSD_QUEUE_MAX) {
        size_t left = c->in_len - at;
        size_t n = c->posting ? post_take(c, c->in + at, left) : line_take(c, c->in + at, left);
        if (n == 0)
            break;
        at += n;
    }
    c->in_len -= at;
    memmove(c->in, c->in + at, c->in_len);
}

/* Reads once. True: there may be more. */
static bool fill(struct newsd_conn *c)
{
    size_t room = sizeof(c->in) - c->in_len;
    if (c->eof || c->ending || c->nanswers >= NEWSD_QUEUE_MAX || room == 0)
        return false;
    int n = newsd_io_read(c, c->in + c->in_len, room);
    if (n < 0)
        c->eof = true;
    if (n <= 0)
        return false;
    c->in_len += (size_t)n;
    c->active_us = clock_now_us();
    return true;
}

static void linger_read(struct newsd_conn *c)
{
    ssize_t n;
    do
        n = recv(c->fd, c->in, sizeof(c->in), MSG_DONTWAIT);
    while (n > 0);
    if (c->hup || n == 0 || (errno != EAGAIN && errno != EINTR))
        newsd_conn_free(c);
    else
        arm(c);
}

/* ---- out ---- */

static uint64_t rate_of(const struct newsd_conn *c)
{
    const struct newsd_answer *a = container_of(c->answers.next, struct newsd_answer, link);
    uint64_t rate = a->straggles ? c->d->cfg.rate_bps / 10 : c->d->cfg.rate_bps;
    return c->d->cfg.rate_bps && rate == 0 ? 1 : rate;
}

/* `n` bytes went out at `rate`: when may the next one? What was not used long ago is lost. */
static void rate_charge(struct newsd_conn *c, uint64_t rate, uint64_t n, uint64_t now)
{
    if (c->free_us + 4 * RATE_STEP_US < now)
        c->free_us = now - 4 * RATE_STEP_US;
    c->free_us += n * 1000000 / rate;
}

/* 0: sent what could be sent. 1: `then` is to be done. -1: the connection is broken. */
static int pump(struct newsd_conn *c)
{
    size_t sent = 0;
    c->want_write = false;
    for (;;) {
        int r = newsd_io_flush(c);
        c->want_write = r == -EAGAIN || sent >= TURN_MOST;
        if (c->want_write)
            return 0;
        if (r)
            return -1;
        if (c->then != THEN_GO_ON)
            return 1;
        uint64_t now = clock_now_us();
        if (c->stalled || c->held || list_is_empty(&c->answers) || c->free_us > now ||
            container_of(c->answers.next, struct newsd_answer, link)->due_us > now)
            return 0;
        uint64_t rate = rate_of(c), step = rate * RATE_STEP_US / 1000000 + 256;
        int64_t n = newsd_io_send(c, rate && step < SEND_MOST ? step : SEND_MOST, now);
        c->want_write = n == -EAGAIN;
        if (n < 0)
            return c->want_write ? 0 : -1;
        if (rate)
            rate_charge(c, rate, (uint64_t)n, now);
        sent += (size_t)n;
        c->active_us = now;
    }
}

/* Bytes that the peer's kernel has not acknowledged; a reset would take them back. */
static bool is_flushed(const struct newsd_conn *c)
{
    int left = 0;
    return ioctl(c->fd, SIOCOUTQ, &left) < 0 || left == 0;
}

/* True: the connection is still there. */
static bool then_apply(struct newsd_conn *c)
{
    switch (c->then) {
    case THEN_GO_ON:
        break;
    case THEN_CLOSE:
    case THEN_CUT:
        linger(c, c->then == THEN_CLOSE);
        c->then = THEN_GO_ON;
        break;
    case THEN_STALL:
        c->stalled = true;
        c->then = THEN_GO_ON;
        break;
    case THEN_RESET:
        c->ending = true;
        if (c->deadline_us == 0)
            c->deadline_us = clock_now_us() + LINGER_US;
        if (!c->hup && !is_flushed(c) && clock_now_us() < c->deadline_us)
            break;
        reset(c);
        return false;
    }
    return true;
}

void newsd_conn_end(struct newsd_conn *c, enum newsd_then then)
{
    if (then == THEN_RESET) {
        reset(c);
        return;
    }
    if (!c->lingers)
        linger(c, then == THEN_CLOSE);
    linger_read(c);
}

/* True: the handshake is behind us, or there was none. */
static bool is_up(struct newsd_conn *c, bool *broken)
{
    if (!c->handshake)
        return true;
    if (shakes_later(c))
        return false;
    int r = newsd_io_handshake(c);
    *broken = r < 0;
    c->handshake = r != 1;
    return r == 1;
}

/* True: nobody is left to serve. */
static bool is_over(const struct newsd_conn *c)
{
    bool stuck = c->stalled || c->held, quiet = c->d->silent || stuck || c->handshake;
    bool done = list_is_empty(&c->answers) && c->stage_sent == c->stage_len && !c->then;
    return (c->hup && quiet) || (c->eof && (done || stuck));
}

void newsd_conn_run(struct newsd_conn *c)
{
    bool broken = false, more = true;
    if (c->lingers) {
        linger_read(c);
        return;
    }
    for (unsigned i = 0; i < 16 && more && !c->d->silent && is_up(c, &broken); i++) {
        more = fill(c);
        parse(c);
        unsigned before = c->nanswers;
        int r = pump(c);
        broken = r < 0;
        if (r == 1 && !then_apply(c))
            return;
        if (broken || c->lingers)
            break;
        /* Answers that went out make room for commands that are already here. */
        more = more || (before >= NEWSD_QUEUE_MAX && c->nanswers < NEWSD_QUEUE_MAX);
    }
    if (broken || is_over(c)) {
        newsd_conn_free(c);
        return;
    }
    arm(c);
    /* What TLS has decrypted already announces itself by no event of the socket. */
    if (more && c->reading && !c->handshake)
        event_active(c->readable, EV_READ, 0);
}
