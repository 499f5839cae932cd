#define LOG_TAG "nntp.loop"
#include "nntp/loop.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static _Thread_local struct nntp_loop *mine;

bool nntp_loop_is_mine(const struct nntp_loop *l)
{
    return mine == l;
}

struct nntp_loop *nntp_loop_current(void)
{
    return mine;
}

void nntp_loop_post(struct nntp_loop *l, struct nntp_task *t)
{
    bool wake = false;

    pthread_mutex_lock(&l->lock);
    if (!t->posted) {
        wake = list_is_empty(&l->inbox) && mine != l;
        t->posted = true;
        list_add_tail(&l->inbox, &t->link);
    }
    pthread_mutex_unlock(&l->lock);
    if (wake) {
        uint64_t one = 1;
        ssize_t n = write(l->wake_fd, &one, sizeof(one));
        /* EAGAIN would mean 2^64 wake-ups nobody took: the loop is awake then anyway. */
        assert(n == sizeof(one) || errno == EAGAIN);
        (void)n;
    }
}

void nntp_loop_unpost(struct nntp_loop *l, struct nntp_task *t)
{
    assert(nntp_loop_is_mine(l));
    pthread_mutex_lock(&l->lock);
    if (t->posted) {
        t->posted = false;
        list_del(&t->link);
    }
    pthread_mutex_unlock(&l->lock);
}

/* One at a time from the front, so that a task may take back another; no more than were there at the
 * start, so that tasks that post tasks do not keep the sockets waiting. */
void nntp_loop_settle(struct nntp_loop *l)
{
    assert(nntp_loop_is_mine(l));
    struct nntp_task *last = NULL, *t = NULL;

    pthread_mutex_lock(&l->lock);
    if (!list_is_empty(&l->inbox))
        last = container_of(l->inbox.prev, struct nntp_task, link);
    pthread_mutex_unlock(&l->lock);
    while (last && t != last) {
        pthread_mutex_lock(&l->lock);
        struct list *e = list_pop(&l->inbox);
        t = e ? container_of(e, struct nntp_task, link) : NULL;
        if (t)
            t->posted = false;
        pthread_mutex_unlock(&l->lock);
        if (!t)
            return;
        t->run(t);
    }
}

static bool inbox_is_empty(struct nntp_loop *l)
{
    pthread_mutex_lock(&l->lock);
    bool empty = list_is_empty(&l->inbox);
    pthread_mutex_unlock(&l->lock);
    return empty;
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    uint64_t n;
    (void)what;
    (void)arg;

    /* Only the counter's reset matters; the inbox is looked at before the next wait. */
    if (read(fd, &n, sizeof(n)) < 0 && errno != EAGAIN)
        log_error("eventfd: %s", strerror(errno));
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct nntp_loop *l = arg;
    (void)fd;
    (void)what;

    l->ticking = false;
    l->on_tick(l, clock_now_us());
    nntp_loop_settle(l);
}

void nntp_loop_tick(struct nntp_loop *l)
{
    assert(nntp_loop_is_mine(l));
    if (l->ticking)
        return;
    struct timeval tv = {.tv_usec = NNTP_TICK_US};
    if (event_add(&l->tick_ev, &tv))
        log_error("timer: no memory; time limits are not kept");
    else
        l->ticking = true;
}

static void *loop_main(void *arg)
{
    struct nntp_loop *l = arg;
    char name[16];

    snprintf(name, sizeof(name), "nzbfs-net%u", l->index);
    pthread_setname_np(pthread_self(), name);
    mine = l;
    while (!l->quit) {
        bool empty = inbox_is_empty(l);
        if (event_base_loop(l->base, empty ? EVLOOP_ONCE : EVLOOP_ONCE | EVLOOP_NONBLOCK) < 0)
            log_error("event loop: %s", strerror(errno));
        nntp_loop_settle(l);
    }
    nntp_loop_settle(l);
    mine = NULL;
    return NULL;
}

static int events_init(struct nntp_loop *l)
{
    struct event_config *ec = event_config_new();

    if (!ec)
        return -ENOMEM;
    event_config_set_flag(ec, EVENT_BASE_FLAG_NOLOCK);
    l->base = event_base_new_with_config(ec);
    event_config_free(ec);
    if (!l->base)
        return -ENOMEM;
    if (event_assign(&l->wake_ev, l->base, l->wake_fd, EV_READ | EV_PERSIST, on_wake, l) ||
        event_assign(&l->tick_ev, l->base, -1, 0, on_tick, l) || event_add(&l->wake_ev, NULL)) {
        event_base_free(l->base);
        return -ENOMEM;
    }
    return 0;
}

int nntp_loop_start(struct nntp_loop *l, unsigned index,
                    void (*tick)(struct nntp_loop *l, uint64_t now_us))
{
    int r = -ENOMEM;

    *l = (struct nntp_loop){.index = index, .on_tick = tick};
    list_init(&l->conns);
    list_init(&l->inbox);
    l->wire = malloc(NNTP_RX_BYTES);
    l->plain = malloc(NNTP_RX_BYTES);
    if (!l->wire || !l->plain)
        goto err0;
    l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (l->wake_fd < 0) {
        r = -errno;
        goto err0;
    }
    if ((r = events_init(l)))
        goto err1;
    pthread_mutex_init(&l->lock, NULL);
    if ((r = thread_start(&l->thread, loop_main, l)))
        goto err2;
    return 0;
err2:
    pthread_mutex_destroy(&l->lock);
    event_base_free(l->base);
err1:
    close(l->wake_fd);
err0:
    free(l->wire);
    free(l->plain);
    return r;
}

struct quit_task {
    struct nntp_task task;
    struct nntp_loop *loop;
};

static void run_quit(struct nntp_task *t)
{
    container_of(t, struct quit_task, task)->loop->quit = true;
}

void nntp_loop_stop(struct nntp_loop *l)
{
    assert(!nntp_loop_is_mine(l));
    struct quit_task q = {.task = {.run = run_quit}, .loop = l};

    nntp_loop_post(l, &q.task);
    pthread_join(l->thread, NULL);
    assert(list_is_empty(&l->conns) && list_is_empty(&l->inbox));
    event_del(&l->wake_ev);
    event_del(&l->tick_ev);
    event_base_free(l->base);
    close(l->wake_fd);
    pthread_mutex_destroy(&l->lock);
    free(l->wire);
    free(l->plain);
}
