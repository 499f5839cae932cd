/* handle — an open file: what is fetched ahead of its reader.
 *
 * qos_stream says which bytes; here they become segments, as far as there is room: no handle has more than
 * its share of half the cache asked for and unread, so that readahead never crowds out what is read now. */
#define LOG_TAG "fs.handle"
#include "fs/internal.h"

#include <stdlib.h>
#include <string.h>

/* A handle may always be this far ahead, however many there are: a segment or two. */
#define SHARE_LEAST ((uint64_t)2 << 20)

/* Segments asked for by one read, at most: a file of tiny ones must not keep its reader busy. */
#define BATCH       256

struct fs_handle *fs_handle_open(struct fs *fs, struct fs_node *file)
{
    struct fs_handle *h = calloc(1, sizeof(*h));
    if (!h)
        return NULL;
    h->fs = fs;
    h->node = file;
    h->tally.opened_us = fs->now_us();
    qos_stream_init(&h->window, 0);
    pthread_mutex_init(&h->lock, NULL);
    atomic_fetch_add(&fs->handles, 1);
    pthread_mutex_lock(&fs->open_lock);
    h->stream = atomic_fetch_add(&fs->streams, 1) + 1;
    list_add_tail(&fs->open, &h->link);
    pthread_mutex_unlock(&fs->open_lock);
    cache_expect(fs->cache, +1);
    return h;
}

void fs_handle_close(struct fs_handle *h)
{
    if (!h)
        return;
    pthread_mutex_lock(&h->fs->open_lock);
    list_del(&h->link);
    pthread_mutex_unlock(&h->fs->open_lock);
    if (h->node->file)
        cache_ahead_drop(h->fs->cache, &h->node->file->cache, h->stream);
    cache_expect(h->fs->cache, -1);
    atomic_fetch_sub(&h->fs->ahead_bytes, h->charge);
    atomic_fetch_sub(&h->fs->handles, 1);
    pthread_mutex_destroy(&h->lock);
    free(h);
}

/* Under the lock: `caller` is the latest. */
static void caller_note(struct fs_handle *h, struct fs_caller caller)
{
    unsigned k = 0;
    while (k + 1 < FS_CALLERS && h->callers[k].pid != caller.pid)
        k++;
    for (; k > 0; k--)
        h->callers[k] = h->callers[k - 1];
    h->callers[0] = caller;
    h->window.scan = caller.scans;
}

bool fs_handle_caller(struct fs_handle *h, pid_t pid)
{
    struct fs_caller caller = {.pid = pid};
    bool known = false;
    pthread_mutex_lock(&h->lock);
    for (unsigned k = 0; k < FS_CALLERS && !known; k++)
        if (h->callers[k].pid == pid && pid) {
            caller = h->callers[k];
            known = true;
            if (k)
                caller_note(h, caller);
        }
    pthread_mutex_unlock(&h->lock);
    if (known)
        return caller.scans;

    caller.scans = fs_scan_is(h->fs->scan, pid);
    pthread_mutex_lock(&h->lock);
    caller_note(h, caller);
    pthread_mutex_unlock(&h->lock);
    return caller.scans;
}

bool fs_handle_opener(struct fs_handle *h, pid_t pid)
{
    struct fs_caller caller = {.pid = pid};
    char comm[FS_SCAN_COMM];
    if (pid <= 0) /* of another pid namespace */
        return false;
    caller.scans = fs_scan_look(h->fs->scan, pid, comm);
    pthread_mutex_lock(&h->lock);
    h->pid = pid;
    memcpy(h->comm, comm, sizeof(h->comm));
    caller_note(h, caller);
    pthread_mutex_unlock(&h->lock);
    return caller.scans;
}

void fs_handle_wary(struct fs_handle *h)
{
    pthread_mutex_lock(&h->lock);
    h->window.wary = true;
    pthread_mutex_unlock(&h->lock);
}

/* Under the lock. */
static void charge_set(struct fs_handle *h)
{
    uint64_t charge = qos_stream_ahead(&h->window);
    atomic_fetch_add(&h->fs->ahead_bytes, charge - h->charge);
    h->charge = charge;
}

/* Under the lock: how much may be asked for and unread. The share is a matter of fairness, so numbers may be a
 * moment old. */
static uint64_t most(const struct fs_handle *h)
{
    struct fs *fs = h->fs;
    uint64_t handles = atomic_load_explicit(&fs->handles, memory_order_relaxed);
    uint64_t all = atomic_load_explicit(&fs->ahead_bytes, memory_order_relaxed);
    uint64_t share = fs->ahead_most / (handles ? handles : 1);
    uint64_t others = all > h->charge ? all - h->charge : 0;
    uint64_t left = fs->ahead_most > others ? fs->ahead_most - others : 0;
    if (share < SHARE_LEAST)
        share = SHARE_LEAST;
    if (share > left)
        share = left;
    return share < fs->mount.readahead ? share : fs->mount.readahead;
}

/* What one call of fs_handle_ahead() asks, and what is to stay of what was asked before. */
struct batch {
    struct qos_ahead step;
    unsigned n, nkeep;
    uint64_t withdrawals;
    struct {
        uint32_t i;
        uint64_t begin;
    } at[BATCH];
    struct cache_range keep[QOS_STREAM_RUNS];
};

/* Under the lock: the segment at `pos` joins the batch; *pos moves behind it. False: not now. */
static bool batch_add(struct fs_handle *h, struct batch *b, uint64_t *pos)
{
    struct fs_file *f = h->node->file;
    pthread_mutex_lock(&f->lock);
    struct segmap_at at = segmap_find(f->map, *pos);
    pthread_mutex_unlock(&f->lock);
    switch (at.place) {
    case SEGMAP_ASK:
    case SEGMAP_DOUBT:
        return false; /* the reader's own fetches will tell */
    case SEGMAP_EOF:
        return false;
    case SEGMAP_HERE:
        b->at[b->n].i = at.i;
        b->at[b->n++].begin = *pos;
        h->window.article = at.end - at.begin;
        break;
    case SEGMAP_HOLE:
        break;
    }
    if (at.end <= *pos)
        return false;
    *pos = at.end;
    return true;
}

/* Under the lock: the segments of [from, to). Where a place is not known, all may be. */
static struct cache_range segments(struct fs_file *f, uint64_t from, uint64_t to)
{
    struct cache_range r = {0, UINT32_MAX};
    pthread_mutex_lock(&f->lock);
    struct segmap_at first = segmap_find(f->map, from), last = segmap_find(f->map, to - 1);
    pthread_mutex_unlock(&f->lock);
    if (first.place == SEGMAP_HERE)
        r.first = first.i;
    if (last.place == SEGMAP_HERE)
        r.end = last.i + 1;
    return r;
}

/* Under the lock. */
static void batch_keep(struct fs_handle *h, struct batch *b)
{
    uint64_t from, to;
    b->nkeep = 0;
    for (unsigned k = 0; k < QOS_STREAM_RUNS; k++)
        if (qos_stream_held(&h->window, k, &from, &to))
            b->keep[b->nkeep++] = segments(h->node->file, from, to);
}

/* Under the lock: the window after a read of `len` bytes at `off`. */
static void batch_fill(struct fs_handle *h, uint64_t off, uint32_t len, struct batch *b)
{
    h->window.most = most(h);
    h->window.size = h->node->file->size;
    h->window.latency_us = cache_latency_us(h->fs->cache);
    qos_stream_read(&h->window, h->tally.asked_us, off, len, &b->step);
    uint64_t pos = b->step.from;
    while (b->n < BATCH && pos < b->step.to && batch_add(h, b, &pos))
        qos_stream_asked(&h->window, b->step.run, pos);
    if (b->step.withdraw) {
        h->withdrawals++;
        batch_keep(h, b);
    }
    b->withdrawals = h->withdrawals;
    charge_set(h);
}

uint64_t fs_handle_begin(struct fs_handle *h, uint64_t now_us, uint64_t off, uint32_t len)
{
    pthread_mutex_lock(&h->lock);
    fs_tally_begin(&h->tally, now_us);
    h->pos = off > UINT64_MAX - len ? UINT64_MAX : off + len;
    uint64_t run = qos_stream_run(&h->window, off);
    pthread_mutex_unlock(&h->lock);
    return run;
}

/* The batch has been asked for, but for what lies from number `k` on. True: meanwhile another read has
 * withdrawn what it went to, so some of it may have been asked for too late to be among that. */
static bool batch_end(struct fs_handle *h, struct batch *b, unsigned k)
{
    pthread_mutex_lock(&h->lock);
    bool late = h->withdrawals != b->withdrawals;
    if (late)
        batch_keep(h, b);
    else if (k < b->n)
        qos_stream_refused(&h->window, b->step.run, b->at[k].begin);
    charge_set(h);
    pthread_mutex_unlock(&h->lock);
    return late;
}

void fs_handle_end(struct fs_handle *h, uint64_t asked_us, const struct cache_waits *w,
                   const struct fs_read *over)
{
    pthread_mutex_lock(&h->lock);
    fs_tally_end(&h->tally, asked_us, w, over->err, over->n);
    pthread_mutex_unlock(&h->lock);
}

void fs_handle_ahead(struct fs_handle *h, uint64_t off, uint32_t len, const struct fs_read *over)
{
    static const struct cache_waits none;
    struct batch b = {.n = 0};
    struct cache *c = h->fs->cache;
    struct cache_file *f = &h->node->file->cache;
    unsigned k = 0;
    pthread_mutex_lock(&h->lock);
    if (over)
        fs_tally_end(&h->tally, h->tally.asked_us, &none, over->err, over->n);
    batch_fill(h, off, len, &b);
    pthread_mutex_unlock(&h->lock);

    if (b.step.withdraw)
        cache_ahead_keep(c, f, h->stream, b.keep, b.nkeep);
    while (k < b.n && cache_ahead(c, f, b.at[k].i, TRAFFIC_STREAMING, URGENCY_READAHEAD,
                                  h->stream) != CACHE_AHEAD_NO_ROOM)
        k++;
    if (b.n && batch_end(h, &b, k))
        cache_ahead_keep(c, f, h->stream, b.keep, b.nkeep);
}
