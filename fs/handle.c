/* handle — an open file: what is fetched ahead of its reader.
 *
 * qos_stream says which bytes; here they become segments, as far as there is room: no handle has more than
 * its share of half the cache asked for and unread, so that readahead never crowds out what is read now. */
#define LOG_TAG "fs.handle"
#include "fs/internal.h"
#include "fs/spot.h"
#include "fs/view.h"

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
    for (unsigned k = 0; k < h->ntouched; k++)
        cache_ahead_drop(h->fs->cache, &h->touched[k].file->cache, h->stream);
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

/* Ranges that are to stay; a window over more small volumes than this keeps all. */
#define KEEPS    32

/* Volumes ahead of a window that are made known. */
#define PREPARES 2

/* Files that one call ceases to follow, at most. */
#define LEFT     16

/* What one call of fs_handle_ahead() asks, and what is to stay of what was asked before. */
struct batch {
    struct fs_where where;
    struct qos_ahead step;
    unsigned n, nkeep, nprepare, nfiles;
    uint64_t withdrawals;
    bool keep_all;
    struct {
        struct fs_file *file;
        uint32_t i;
        uint64_t begin;
    } at[BATCH];
    struct batch_keep {
        struct fs_file *file;
        struct cache_range range;
    } keep[KEEPS];
    uint32_t prepare[PREPARES];
    struct fs_file *files[FS_TOUCHED]; /* in which something may be withdrawn */
    struct fs_file *left[LEFT];        /* those that are not followed any longer */
    unsigned nleft;
    uint64_t pos; /* what is read begins here */
};

/* Under the lock: one that has nothing of the window any more is not followed any longer. False: there is none. */
static bool touched_leave(struct fs_handle *h, struct batch *b)
{
    unsigned k = 0;
    while (k < h->ntouched && h->touched[k].upto > b->pos && h->touched[k].upto <= b->step.to)
        k++;
    if (k == h->ntouched || b->nleft == LEFT)
        return false;
    b->left[b->nleft++] = h->touched[k].file;
    h->ntouched--;
    memmove(&h->touched[k], &h->touched[k + 1], (h->ntouched - k) * sizeof(h->touched[0]));
    return true;
}

/* Under the lock: what is asked for ahead in `f` goes up to `upto`. False: that would be one too many. */
static bool touch(struct fs_handle *h, struct batch *b, struct fs_file *f, uint64_t upto)
{
    unsigned k = h->ntouched;
    while (k > 0 && h->touched[k - 1].file != f)
        k--;
    if (k > 0) {
        h->touched[k - 1].upto = upto;
        return true;
    }
    if (h->ntouched == FS_TOUCHED && !touched_leave(h, b))
        return false;
    h->touched[h->ntouched++] = (struct fs_touched){f, upto};
    return true;
}

/* Under the lock: the segment at `pos` joins the batch; *pos moves behind it. False: not now. */
static bool batch_add(struct fs_handle *h, struct batch *b, uint64_t *pos)
{
    struct fs_spot s = fs_spot_find(&b->where, *pos);
    switch (s.place) {
    case SEGMAP_ASK:
    case SEGMAP_DOUBT:
        return false; /* the reader's own fetches will tell */
    case SEGMAP_EOF:
        return false;
    case SEGMAP_HERE:
        if (!touch(h, b, s.file, s.end))
            return false;
        b->at[b->n].file = s.file;
        b->at[b->n].i = s.i;
        b->at[b->n++].begin = *pos;
        h->window.article = s.end - s.begin;
        break;
    case SEGMAP_HOLE:
        break;
    }
    if (s.end <= *pos)
        return false;
    *pos = s.end;
    return true;
}

/* Under the lock: the volumes from `pos` on, of which the window has come to the first, are to be known by the time they
 * are needed. */
static void batch_prepare(struct batch *b, uint64_t pos)
{
    for (unsigned k = 0; k < PREPARES; k++) {
        struct fs_spot s = fs_spot_find(&b->where, pos);
        if (s.prepare)
            b->prepare[b->nprepare++] = s.post;
        if (!fs_spot_next(&b->where, pos, &pos))
            return;
    }
}

/* Under the lock: [from, to) stays, which lies in one posted file. Where a place in it is not known, all of it does. */
static void keep_add(struct batch *b, uint64_t from, uint64_t to)
{
    struct fs_spot first = fs_spot_find(&b->where, from), last = fs_spot_find(&b->where, to - 1);
    struct cache_range r = {0, UINT32_MAX};
    if (first.place == SEGMAP_HERE)
        r.first = first.i;
    if (last.place == SEGMAP_HERE)
        r.end = last.i + 1;
    if (!first.file)
        return;
    if (b->nkeep < KEEPS)
        b->keep[b->nkeep++] = (struct batch_keep){.file = first.file, .range = r};
    else
        b->keep_all = true;
}

/* Under the lock: what is held of each run stays; and where else something was asked for it is withdrawn. */
static void batch_keep(struct fs_handle *h, struct batch *b)
{
    uint64_t from, to;
    b->nkeep = 0;
    b->keep_all = false;
    for (unsigned k = 0; k < QOS_STREAM_RUNS; k++) {
        if (!qos_stream_held(&h->window, k, &from, &to))
            continue;
        while (from < to && !b->keep_all) {
            uint64_t next = to;
            if (fs_spot_next(&b->where, from, &next) && next > to)
                next = to;
            if (next <= from)
                next = to;
            keep_add(b, from, next);
            from = next;
        }
    }
    b->nfiles = h->ntouched;
    for (unsigned k = 0; k < h->ntouched; k++)
        b->files[k] = h->touched[k].file;
}

/* Without the lock. */
static void batch_withdraw(struct fs_handle *h, const struct batch *b)
{
    for (unsigned k = 0; k < b->nfiles && !b->keep_all; k++) {
        struct cache_range ranges[KEEPS];
        unsigned n = 0;
        for (unsigned j = 0; j < b->nkeep; j++)
            if (b->keep[j].file == b->files[k])
                ranges[n++] = b->keep[j].range;
        cache_ahead_keep(h->fs->cache, &b->files[k]->cache, h->stream, ranges, n);
    }
}

/* Under the lock: the window after a read of `len` bytes at `off`. */
static void batch_fill(struct fs_handle *h, uint64_t off, uint32_t len, struct batch *b)
{
    const struct fs_node *n = h->node;
    h->window.most = most(h);
    h->window.size = n->file ? n->file->size : n->content->size;
    h->window.latency_us = cache_latency_us(h->fs->cache);
    qos_stream_read(&h->window, h->tally.asked_us, off, len, &b->step);
    uint64_t pos = b->step.from;
    while (b->n < BATCH && pos < b->step.to && batch_add(h, b, &pos))
        qos_stream_asked(&h->window, b->step.run, pos);
    if (b->where.layout && b->step.from < b->step.to)
        batch_prepare(b, pos);
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

uint64_t fs_handle_stream(const struct fs_handle *h)
{
    return h->stream;
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
    struct batch b;
    struct cache *c = h->fs->cache;
    unsigned k = 0;
    b.n = b.nkeep = b.nprepare = b.nfiles = b.nleft = 0;
    b.keep_all = false;
    b.pos = off;
    b.step = (struct qos_ahead){.withdraw = false};
    fs_where_init(&b.where, h->node);
    pthread_mutex_lock(&h->lock);
    if (over)
        fs_tally_end(&h->tally, h->tally.asked_us, &none, over->err, over->n);
    batch_fill(h, off, len, &b);
    pthread_mutex_unlock(&h->lock);

    if (b.step.withdraw)
        batch_withdraw(h, &b);
    for (unsigned j = 0; j < b.nleft; j++)
        cache_ahead_drop(c, &b.left[j]->cache, h->stream);
    while (k < b.n && cache_ahead(c, &b.at[k].file->cache, b.at[k].i, TRAFFIC_STREAMING,
                                  URGENCY_READAHEAD, h->stream) != CACHE_AHEAD_NO_ROOM)
        k++;
    for (unsigned j = 0; j < b.nprepare; j++)
        fs_spot_prepare(&b.where, b.prepare[j], h->stream);
    if (b.n && batch_end(h, &b, k))
        batch_withdraw(h, &b);
    fs_where_fini(&b.where);
}
