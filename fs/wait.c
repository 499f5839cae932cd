/* wait — the same reads for callers that have a thread to spend on waiting. */
#include "fs/read.h"

#include <errno.h>
#include <string.h>

struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool over;
};

static void on_done(struct fs_read *r)
{
    struct waiter *w = r->arg;
    pthread_mutex_lock(&w->lock);
    w->over = true;
    pthread_cond_signal(&w->cond);
    pthread_mutex_unlock(&w->lock);
}

void fs_read_run(struct fs_read *r)
{
    struct waiter w = {.over = false};
    pthread_mutex_init(&w.lock, NULL);
    pthread_cond_init(&w.cond, NULL);
    r->done = on_done;
    r->arg = &w;
    if (!fs_read_start(r)) {
        pthread_mutex_lock(&w.lock);
        while (!w.over)
            pthread_cond_wait(&w.cond, &w.lock);
        pthread_mutex_unlock(&w.lock);
    }
    pthread_cond_destroy(&w.cond);
    pthread_mutex_destroy(&w.lock);
}

/* One read of at most FS_READ_MOST bytes. */
static ssize_t read_some(struct fs *fs, struct fs_node *file, struct fs_handle *h, char *buf,
                         uint32_t len, uint64_t off)
{
    struct fs_read *r = fs_read_new(fs, file);
    if (!r)
        return -ENOMEM;
    r->handle = h;
    r->off = off;
    r->len = len;
    r->partial = true;
    fs_read_run(r);
    ssize_t n = r->err ? -r->err : (ssize_t)r->n;
    for (unsigned k = 0; k < r->niov; k++) {
        memcpy(buf, r->iov[k].iov_base, r->iov[k].iov_len);
        buf += r->iov[k].iov_len;
    }
    fs_read_end(r);
    return n;
}

ssize_t fs_read_wait(struct fs *fs, struct fs_node *file, struct fs_handle *h, void *buf,
                     size_t len, uint64_t off)
{
    size_t done = 0;
    while (done < len) {
        uint32_t want = len - done < FS_READ_MOST ? (uint32_t)(len - done) : FS_READ_MOST;
        ssize_t n = read_some(fs, file, h, (char *)buf + done, want, off + done);
        if (n < 0 && !done)
            return n;
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

int fs_size_wait(struct fs *fs, struct fs_node *file, uint64_t *size)
{
    struct fs_read *r = fs_read_new(fs, file);
    if (!r)
        return -ENOMEM;
    fs_read_run(r);
    int err = -r->err;
    *size = r->size;
    fs_read_end(r);
    return err;
}

int fs_dir_wait(struct fs *fs, struct fs_node *dir)
{
    struct fs_read *r = fs_read_new(fs, dir);
    if (!r)
        return -ENOMEM;
    fs_read_run(r);
    int err = -r->err;
    fs_read_end(r);
    return err;
}
