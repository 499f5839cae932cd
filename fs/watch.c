/* watch — ends blocked reads: at their deadline, and when somebody cancels them.
 *
 * Deadlines are nearly always one span away from now, so the list is kept sorted by walking from its
 * end. A read that is answered leaves the list without waking the thread: the thread wakes at a deadline
 * that has been met, finds nothing to do, and sleeps until the next one, or for good. */
#define LOG_TAG "fs.watch"
#include "fs/internal.h"

#include "base/thread.h"

#include <errno.h>
#include <time.h>

/* Under the lock: what is to be ended now, and with what; NULL: nothing. Comes with a hold. */
static struct fs_watched *due_take(struct fs_watch *w, uint64_t now_us, int *err)
{
    struct list *l = NULL;
    if (!list_is_empty(&w->cancelled)) {
        l = w->cancelled.next;
        *err = EINTR;
    } else if (!list_is_empty(&w->blocked)) {
        l = w->blocked.next;
        *err = ETIMEDOUT;
        if (container_of(l, struct fs_watched, link)->deadline_us > now_us)
            l = NULL;
    }
    if (!l)
        return NULL;
    list_del(l);
    w->nblocked--;
    struct fs_watched *e = container_of(l, struct fs_watched, link);
    e->ops->hold(e);
    return e;
}

/* Under the lock. */
static void nap(struct fs_watch *w)
{
    uint64_t until = UINT64_MAX;
    if (w->timed && !list_is_empty(&w->blocked))
        until = container_of(w->blocked.next, struct fs_watched, link)->deadline_us;
    w->sleeps_until = until;
    if (until == UINT64_MAX) {
        pthread_cond_wait(&w->wake, &w->lock);
    } else {
        struct timespec ts = {.tv_sec = (time_t)(until / 1000000),
                              .tv_nsec = (long)(until % 1000000) * 1000};
        pthread_cond_timedwait(&w->wake, &w->lock, &ts);
    }
    w->sleeps_until = 0;
}

static void *watch_main(void *arg)
{
    struct fs *fs = arg;
    struct fs_watch *w = &fs->watch;
    pthread_mutex_lock(&w->lock);
    while (!w->stop) {
        int err;
        struct fs_watched *e = due_take(w, w->timed ? fs->now_us() : 0, &err);
        if (!e) {
            nap(w);
            continue;
        }
        pthread_mutex_unlock(&w->lock);
        e->ops->end(e, err);
        pthread_mutex_lock(&w->lock);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

int fs_watch_start(struct fs_watch *w, struct fs *fs)
{
    pthread_condattr_t attr;
    list_init(&w->blocked);
    list_init(&w->cancelled);
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->wake, &attr);
    pthread_condattr_destroy(&attr);

    int err = thread_start(&w->thread, watch_main, fs);
    if (!err)
        return 0;
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->lock);
    return err;
}

void fs_watch_stop(struct fs_watch *w)
{
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->lock);
}

void fs_watch_add(struct fs_watch *w, struct fs_watched *e)
{
    pthread_mutex_lock(&w->lock);
    w->nblocked++;
    if (e->cancelled || w->closing) {
        list_add_tail(&w->cancelled, &e->link);
        pthread_cond_signal(&w->wake);
        goto out;
    }
    struct list *at = w->blocked.prev;
    while (at != &w->blocked &&
           container_of(at, struct fs_watched, link)->deadline_us > e->deadline_us)
        at = at->prev;
    list_add(at, &e->link);
    if (e->deadline_us < w->sleeps_until && w->timed)
        pthread_cond_signal(&w->wake);
out:
    pthread_mutex_unlock(&w->lock);
}

void fs_watch_remove(struct fs_watch *w, struct fs_watched *e)
{
    pthread_mutex_lock(&w->lock);
    if (!list_is_empty(&e->link)) {
        list_del(&e->link);
        w->nblocked--;
    }
    pthread_mutex_unlock(&w->lock);
}

void fs_watch_cancel(struct fs_watch *w, struct fs_watched *e)
{
    pthread_mutex_lock(&w->lock);
    e->cancelled = true;
    if (!list_is_empty(&e->link)) {
        list_del(&e->link);
        list_add_tail(&w->cancelled, &e->link);
        pthread_cond_signal(&w->wake);
    }
    pthread_mutex_unlock(&w->lock);
}

void fs_watch_cancel_all(struct fs_watch *w)
{
    pthread_mutex_lock(&w->lock);
    w->closing = true;
    for (struct list *l = w->blocked.next; l != &w->blocked; l = l->next)
        container_of(l, struct fs_watched, link)->cancelled = true;
    list_splice(&w->cancelled, &w->blocked);
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

void fs_expire(struct fs *fs, uint64_t now_us)
{
    struct fs_watch *w = &fs->watch;
    int err;
    pthread_mutex_lock(&w->lock);
    for (struct fs_watched *e; (e = due_take(w, now_us, &err));) {
        pthread_mutex_unlock(&w->lock);
        e->ops->end(e, err);
        pthread_mutex_lock(&w->lock);
    }
    pthread_mutex_unlock(&w->lock);
}
