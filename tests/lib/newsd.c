#include "tests/lib/newsd_internal.h"

#include "base/clock.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

uint64_t newsd_dice(struct newsd *d)
{
    uint64_t z = (d->dice += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* ---- the inbox ---- */

/* Runs fn(d, arg) on the loop and returns when it has: what a caller changes is in force from then on,
 * and what it reads is of one moment. */
void newsd_call(struct newsd *d, void (*fn)(struct newsd *d, void *arg), void *arg)
{
    const uint64_t one = 1;
    pthread_mutex_lock(&d->lock);
    while (d->call_busy)
        pthread_cond_wait(&d->turn, &d->lock);
    d->call_busy = true;
    d->call = fn;
    d->call_arg = arg;
    if (write(d->wake, &one, sizeof(one)) != (ssize_t)sizeof(one))
        abort(); /* an eventfd that is read after each write is never full */
    while (d->call)
        pthread_cond_wait(&d->turn, &d->lock);
    d->call_busy = false;
    pthread_cond_broadcast(&d->turn);
    pthread_mutex_unlock(&d->lock);
}

static void inbox_run(evutil_socket_t fd, short what, void *arg)
{
    struct newsd *d = arg;
    uint64_t n;
    (void)what;
    if (read(fd, &n, sizeof(n)) != (ssize_t)sizeof(n))
        return;
    pthread_mutex_lock(&d->lock);
    void (*fn)(struct newsd *, void *) = d->call;
    void *fn_arg = d->call_arg;
    pthread_mutex_unlock(&d->lock);
    fn(d, fn_arg);
    pthread_mutex_lock(&d->lock);
    d->call = NULL;
    pthread_cond_broadcast(&d->turn);
    pthread_mutex_unlock(&d->lock);
}

/* ---- what the loop does when asked ---- */

static void conns_end(struct newsd *d, enum newsd_then then)
{
    list_for_each_safe(it, &d->conns)
        newsd_conn_end(container_of(it, struct newsd_conn, link), then);
}

static void conns_run(struct newsd *d)
{
    list_for_each_safe(it, &d->conns) newsd_conn_run(container_of(it, struct newsd_conn, link));
}

static void do_stop(struct newsd *d, void *arg)
{
    (void)arg;
    newsd_unlisten(d);
    while (!list_is_empty(&d->conns))
        newsd_conn_free(container_of(d->conns.next, struct newsd_conn, link));
    event_base_loopbreak(d->base);
}

struct rule_arg {
    const char *message_id;
    enum newsd_fault fault;
    unsigned times;
};

static void do_fault(struct newsd *d, void *arg)
{
    const struct rule_arg *r = arg;
    if (newsd_rule_add(d, r->message_id, r->fault, r->times))
        fprintf(stderr, "newsd: no memory for a fault\n");
}

static void do_clear_faults(struct newsd *d, void *arg)
{
    (void)arg;
    newsd_rule_clear(d);
}

static void do_unstall(struct newsd *d, void *arg)
{
    (void)arg;
    list_for_each_safe(it, &d->conns)
    {
        struct newsd_conn *c = container_of(it, struct newsd_conn, link);
        if (!c->stalled)
            continue;
        struct newsd_answer *a = container_of(c->answers.next, struct newsd_answer, link);
        c->stalled = false;
        a->stop = a->len;
        a->then = THEN_GO_ON;
        newsd_conn_run(c);
    }
}

static void do_set_limit(struct newsd *d, void *arg)
{
    d->cfg.max_connections = *(unsigned *)arg;
}

static void do_set_latency(struct newsd *d, void *arg)
{
    d->cfg.latency_us = *(unsigned *)arg;
}

static void do_set_greeting(struct newsd *d, void *arg)
{
    d->cfg.greeting = *(unsigned *)arg;
}

static void do_refuse_logins(struct newsd *d, void *arg)
{
    d->no_logins = *(bool *)arg;
}

static void do_down(struct newsd *d, void *arg)
{
    if (*(bool *)arg) {
        newsd_unlisten(d);
        conns_end(d, THEN_RESET);
    } else if (d->listener < 0 && newsd_listen(d)) {
        fprintf(stderr, "newsd: cannot listen on port %u again: %s\n", d->port, strerror(errno));
    }
}

static void do_silent(struct newsd *d, void *arg)
{
    d->silent = *(bool *)arg;
    conns_run(d);
}

static void do_drop_all(struct newsd *d, void *arg)
{
    (void)arg;
    conns_end(d, THEN_CLOSE);
}

static void do_stats(struct newsd *d, void *arg)
{
    *(struct newsd_stats *)arg = d->stats;
}

static void do_reset_peak(struct newsd *d, void *arg)
{
    *(unsigned *)arg = d->stats.connections_peak;
    d->stats.connections_peak = d->stats.connections;
    newsd_tag_reset_peaks(d);
}

struct asked_arg {
    const char *message_id;
    uint64_t n;
};

static void do_asked(struct newsd *d, void *arg)
{
    struct asked_arg *a = arg;
    a->n = newsd_rule_asked_get(d, a->message_id);
}

void newsd_fault(struct newsd *d, const char *message_id, enum newsd_fault fault, unsigned times)
{
    newsd_call(d, do_fault, &(struct rule_arg){message_id, fault, times});
}

void newsd_clear_faults(struct newsd *d)
{
    newsd_call(d, do_clear_faults, NULL);
}

void newsd_unstall(struct newsd *d)
{
    newsd_call(d, do_unstall, NULL);
}

void newsd_set_limit(struct newsd *d, unsigned max_connections)
{
    newsd_call(d, do_set_limit, &max_connections);
}

void newsd_set_latency(struct newsd *d, unsigned latency_us)
{
    newsd_call(d, do_set_latency, &latency_us);
}

void newsd_set_greeting(struct newsd *d, unsigned greeting)
{
    newsd_call(d, do_set_greeting, &greeting);
}

void newsd_refuse_logins(struct newsd *d, bool refuse)
{
    newsd_call(d, do_refuse_logins, &refuse);
}

void newsd_down(struct newsd *d, bool down)
{
    newsd_call(d, do_down, &down);
}

void newsd_silent(struct newsd *d, bool silent)
{
    newsd_call(d, do_silent, &silent);
}

void newsd_drop_all(struct newsd *d)
{
    newsd_call(d, do_drop_all, NULL);
}

void newsd_stats(struct newsd *d, struct newsd_stats *out)
{
    newsd_call(d, do_stats, out);
}

unsigned newsd_reset_peak(struct newsd *d)
{
    unsigned peak;
    newsd_call(d, do_reset_peak, &peak);
    return peak;
}

uint64_t newsd_asked(struct newsd *d, const char *message_id)
{
    struct asked_arg a = {message_id, 0};
    newsd_call(d, do_asked, &a);
    return a.n;
}

uint16_t newsd_port(const struct newsd *d)
{
    return d->port;
}

const char *newsd_ca_file(const struct newsd *d)
{
    return d->ca_file;
}

/* ---- start and stop ---- */

static void *loop_main(void *arg)
{
    struct newsd *d = arg;
    event_base_loop(d->base, EVLOOP_NO_EXIT_ON_EMPTY);
    return NULL;
}

/* Signals are for the program's own threads. SIGPIPE, which OpenSSL's writes may raise, ends nobody. */
static int thread_start(struct newsd *d)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int err = pthread_create(&d->thread, NULL, loop_main, d);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -err;
}

static int config_copy(struct newsd *d, const struct newsd_config *cfg)
{
    d->cfg = *cfg;
    d->cfg.username = cfg->username ? strdup(cfg->username) : NULL;
    d->cfg.password = strdup(cfg->password ? cfg->password : "");
    d->cfg.cert_file = cfg->cert_file ? strdup(cfg->cert_file) : NULL;
    d->cfg.key_file = cfg->key_file ? strdup(cfg->key_file) : NULL;
    if (d->cfg.limit_code == 0)
        d->cfg.limit_code = 502;
    if (d->cfg.greeting == 0)
        d->cfg.greeting = 200;
    d->dice = cfg->seed;
    bool good = d->cfg.password && (d->cfg.username || !cfg->username) &&
                (d->cfg.cert_file || !cfg->cert_file) && (d->cfg.key_file || !cfg->key_file);
    return good ? 0 : -ENOMEM;
}

/* Timers are to the microsecond: latency is part of what is measured. */
static struct event_base *base_new(void)
{
    struct event_config *ec = event_config_new();
    if (!ec)
        return NULL;
    event_config_set_flag(ec, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_PRECISE_TIMER);
    event_config_require_features(ec, EV_FEATURE_EARLY_CLOSE);
    struct event_base *base = event_base_new_with_config(ec);
    event_config_free(ec);
    return base;
}

static int loop_init(struct newsd *d)
{
    d->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    d->base = base_new();
    if (d->wake < 0 || !d->base)
        return -ENOMEM;
    d->inbox = event_new(d->base, d->wake, EV_READ | EV_PERSIST, inbox_run, d);
    return d->inbox && event_add(d->inbox, NULL) == 0 ? 0 : -ENOMEM;
}

static void server_free(struct newsd *d)
{
    newsd_unlisten(d);
    newsd_tls_stop(d);
    newsd_rule_fini(d);
    if (d->inbox)
        event_free(d->inbox);
    if (d->base)
        event_base_free(d->base);
    if (d->wake >= 0)
        close(d->wake);
    if (d->holder >= 0)
        close(d->holder);
    free((void *)(uintptr_t)d->cfg.username);
    free((void *)(uintptr_t)d->cfg.password);
    free((void *)(uintptr_t)d->cfg.cert_file);
    free((void *)(uintptr_t)d->cfg.key_file);
    pthread_cond_destroy(&d->turn);
    pthread_mutex_destroy(&d->lock);
    free(d);
}

struct newsd *newsd_start(const struct newsd_config *cfg, struct spool *spool)
{
    struct newsd *d = calloc(1, sizeof(*d));
    if (!d) {
        fprintf(stderr, "newsd: no memory\n");
        return NULL;
    }
    d->spool = spool;
    d->wake = d->holder = d->listener = -1;
    list_init(&d->conns);
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->turn, NULL);
    int err = config_copy(d, cfg);
    if (!err)
        err = loop_init(d);
    if (!err && d->cfg.tls && newsd_tls_start(d)) {
        server_free(d); /* the reason has been said */
        return NULL;
    }
    if (!err)
        err = newsd_port_take(d);
    if (!err)
        err = newsd_listen(d);
    if (!err)
        err = thread_start(d);
    if (!err)
        return d;
    fprintf(stderr, "newsd: cannot serve on port %u: %s\n", cfg->port, strerror(-err));
    server_free(d);
    return NULL;
}

void newsd_stop(struct newsd *d)
{
    if (!d)
        return;
    newsd_call(d, do_stop, NULL);
    pthread_join(d->thread, NULL);
    server_free(d);
}
