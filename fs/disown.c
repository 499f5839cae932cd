/* disown — takes back from the kernel's cache what was answered too early. */
#define LOG_TAG "fs.disown"
#include "fs/internal.h"

#include <signal.h>
#include <stdlib.h>

struct entry {
    struct list link;
    uint64_t ino, begin, len;
};

void fs_disown_init(struct fs_disown *d)
{
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->wake, NULL);
    list_init(&d->entries);
}

void fs_disown_fini(struct fs_disown *d)
{
    struct list *l;
    while ((l = list_pop(&d->entries)))
        free(container_of(l, struct entry, link));
    pthread_cond_destroy(&d->wake);
    pthread_mutex_destroy(&d->lock);
}

/* One range a file: what has not been dropped yet grows. Without memory for it, all of the last file's. */
void fs_disown_add(struct fs_disown *d, uint64_t ino, uint64_t begin, uint64_t len)
{
    struct entry *fresh = malloc(sizeof(*fresh)), *e = NULL;
    pthread_mutex_lock(&d->lock);
    list_for_each(l, &d->entries)
    {
        e = container_of(l, struct entry, link);
        if (e->ino == ino)
            break;
        e = NULL;
    }
    if (e) {
        uint64_t end = e->begin + e->len > begin + len ? e->begin + e->len : begin + len;
        e->begin = begin < e->begin ? begin : e->begin;
        e->len = end - e->begin;
    } else if (fresh) {
        *fresh = (struct entry){.ino = ino, .begin = begin, .len = len};
        list_add_tail(&d->entries, &fresh->link);
        fresh = NULL;
    }
    pthread_cond_signal(&d->wake);
    pthread_mutex_unlock(&d->lock);
    free(fresh);
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
        pthread_mutex_unlock(&d->lock);
        struct entry *e = container_of(l, struct entry, link);
        d->drop(d->arg, e->ino, e->begin, e->len);
        free(e);
        pthread_mutex_lock(&d->lock);
    }
    pthread_mutex_unlock(&d->lock);
    return NULL;
}

int fs_disown_start(struct fs_disown *d,
                    void (*drop)(void *arg, uint64_t ino, uint64_t begin, uint64_t len), void *arg)
{
    sigset_t all, before;
    d->drop = drop;
    d->arg = arg;
    d->stop = false;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int err = pthread_create(&d->thread, NULL, disown_main, d);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -err;
}

void fs_disown_stop(struct fs_disown *d)
{
    pthread_mutex_lock(&d->lock);
    d->stop = true;
    pthread_cond_signal(&d->wake);
    pthread_mutex_unlock(&d->lock);
    pthread_join(d->thread, NULL);
}
