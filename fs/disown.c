/* disown — takes back from the kernel's cache what was answered too early. */
#define LOG_TAG "fs.disown"
#include "fs/internal.h"

#include "base/thread.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

void fs_disown_init(struct fs_disown *d)
{
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->wake, NULL);
    list_init(&d->entries);
}

void fs_disown_fini(struct fs_disown *d)
{
    pthread_cond_destroy(&d->wake);
    pthread_mutex_destroy(&d->lock);
}

void fs_disown_ino(struct fs_disown *d, struct fs_disowned *e, uint64_t ino, uint64_t begin,
                   uint64_t end)
{
    pthread_mutex_lock(&d->lock);
    if (!e->queued) {
        *e = (struct fs_disowned){.queued = true, .ino = ino, .begin = begin, .end = end};
        list_add_tail(&d->entries, &e->link);
    } else if (e->begin >= e->end) {
        e->begin = begin;
        e->end = end;
    } else if (begin < end) {
        e->begin = begin < e->begin ? begin : e->begin;
        e->end = end > e->end ? end : e->end;
    }
    pthread_cond_signal(&d->wake);
    pthread_mutex_unlock(&d->lock);
}

void fs_disown_add(struct fs_disown *d, struct fs_file *f, uint64_t begin, uint64_t end)
{
    fs_disown_ino(d, &f->forget, f->ino, begin, end);
}

static void *disown_main(void *arg)
{
    struct fs_disown *d = arg;
    pthread_mutex_lock(&d->lock);
    while (!d->stop) {
        struct list *l = list_pop(&d->entries);
        if (!l) {
            pthread_cond_wait(&d->wake, &d->lock);
            continue;
        }
        struct fs_disowned *of = container_of(l, struct fs_disowned, link);
        struct fs_disowned e = *of;
        of->queued = false;
        pthread_mutex_unlock(&d->lock);
        d->drop(d->arg, e.ino, e.begin, e.end);
        pthread_mutex_lock(&d->lock);
    }
    bool last = !--d->running;
    pthread_mutex_unlock(&d->lock);
    if (last)
        eventfd_write(d->over_fd, 1); /* from nought to one: it cannot block, nor fail */
    return NULL;
}

/* 0 or -errno, where not even one could be started. */
static int threads_start(struct fs_disown *d)
{
    int err = 0;
    pthread_mutex_lock(&d->lock);
    while (d->nthreads < FS_DISOWN_THREADS && !err) {
        err = thread_start(&d->threads[d->nthreads], disown_main, d);
        d->nthreads += !err;
    }
    d->running = d->nthreads;
    pthread_mutex_unlock(&d->lock);
    return d->nthreads ? 0 : err;
}

int fs_disown_start(struct fs_disown *d,
                    void (*drop)(void *arg, uint64_t ino, uint64_t begin, uint64_t end), void *arg)
{
    d->drop = drop;
    d->arg = arg;
    d->stop = false;
    d->nthreads = 0;
    d->over_fd = eventfd(0, EFD_CLOEXEC);
    if (d->over_fd < 0)
        return -errno;
    int err = threads_start(d);
    if (err)
        close(d->over_fd);
    return err;
}

void fs_disown_stop(struct fs_disown *d)
{
    pthread_mutex_lock(&d->lock);
    d->stop = true;
    pthread_cond_broadcast(&d->wake);
    pthread_mutex_unlock(&d->lock);
}

void fs_disown_join(struct fs_disown *d)
{
    while (d->nthreads)
        pthread_join(d->threads[--d->nthreads], NULL);
    close(d->over_fd);
}
