/* handle — an open file: the window that is fetched ahead of its reader.
 *
 * qos_stream says which bytes; here they become segments, as far as there is room: no handle has more than
 * its share of half the cache asked for and unread, so that readahead never crowds out what is read now. */
#define LOG_TAG "fs.handle"
#include "fs/internal.h"

#include <stdlib.h>

/* A handle may always be this far ahead, however many there are: a segment or two. */
#define SHARE_LEAST ((uint64_t)2 << 20)

/* Reads of one run that the kernel sends in parallel are no further apart than this. */
#define NEARBY      ((uint64_t)512 << 10)

/* Segments asked for by one read, at most: a file of tiny ones must not keep its reader busy. */
#define BATCH       256

struct fs_handle *fs_handle_open(struct fs *fs, struct fs_node *file)
{
    struct fs_handle *h = calloc(1, sizeof(*h));
    if (!h)
        return NULL;
    h->fs = fs;
    h->node = file;
    h->stream = atomic_fetch_add(&fs->streams, 1) + 1;
    uint64_t most = fs->mount.readahead < fs->ahead_most ? fs->mount.readahead : fs->ahead_most;
    qos_stream_init(&h->window, most);
    pthread_mutex_init(&h->lock, NULL);
    atomic_fetch_add(&fs->handles, 1);
    return h;
}

void fs_handle_close(struct fs_handle *h)
{
    if (!h)
        return;
    if (h->node->file)
        cache_ahead_drop(h->fs->cache, &h->node->file->cache, h->stream);
    atomic_fetch_sub(&h->fs->ahead_bytes, h->charge);
    atomic_fetch_sub(&h->fs->handles, 1);
    pthread_mutex_destroy(&h->lock);
    free(h);
}

/* Under the lock. */
static void charge_set(struct fs_handle *h, uint64_t charge)
{
    atomic_fetch_add(&h->fs->ahead_bytes, charge - h->charge);
    h->charge = charge;
}

/* Under the lock: may more be asked for? The share is a matter of fairness, so numbers may be a moment old. */
static bool has_room(const struct fs_handle *h)
{
    uint64_t handles = atomic_load_explicit(&h->fs->handles, memory_order_relaxed);
    uint64_t share = h->fs->ahead_most / (handles ? handles : 1);
    if (share < SHARE_LEAST)
        share = SHARE_LEAST;
    return h->charge < share && h->fs->ahead_bytes < h->fs->ahead_most;
}

/* Segments to ask for: what one call of fs_handle_ahead() asks. */
struct batch {
    unsigned n;
    struct {
        uint32_t i;
        uint64_t begin;
    } at[BATCH];
};

/* Under the lock: the segment at h->ahead joins the batch, and h->ahead moves behind it. False: not now. */
static bool batch_add(struct fs_handle *h, struct batch *b)
{
    struct fs_file *f = h->node->file;
    pthread_mutex_lock(&f->lock);
    struct segmap_at at = segmap_find(f->map, h->ahead);
    pthread_mutex_unlock(&f->lock);
    switch (at.place) {
    case SEGMAP_ASK:
    case SEGMAP_DOUBT:
        return false; /* the reader's own fetches will tell */
    case SEGMAP_EOF:
        h->ahead = h->ahead_end;
        return true;
    case SEGMAP_HERE:
        b->at[b->n].i = at.i;
        b->at[b->n++].begin = h->ahead;
        break;
    case SEGMAP_HOLE:
        break;
    }
    if (at.end <= h->ahead)
        return false;
    h->ahead = at.end;
    return true;
}

/* Under the lock: the window after a read of [off, pos). *drop: another run has begun. */
static void batch_fill(struct fs_handle *h, uint64_t off, uint64_t pos, struct batch *b, bool *drop)
{
    uint64_t from, to;
    qos_stream_read(&h->window, off, pos - off, &from, &to);
    *drop = !h->window.window && (h->charge || h->ahead < h->ahead_end);
    if (*drop)
        h->ahead = h->ahead_end = 0;
    if (from < to) {
        if (from != h->ahead_end)
            h->ahead = from;
        h->ahead_end = to;
    }
    if (h->ahead < pos && h->ahead < h->ahead_end)
        h->ahead = pos < h->ahead_end ? pos : h->ahead_end; /* overtaken by the reader */
    charge_set(h, h->ahead > pos ? h->ahead - pos : 0);
    while (b->n < BATCH && h->ahead < h->ahead_end && has_room(h) && batch_add(h, b))
        charge_set(h, h->ahead > pos ? h->ahead - pos : 0);
}

uint64_t fs_handle_run(struct fs_handle *h, uint64_t off)
{
    pthread_mutex_lock(&h->lock);
    uint64_t run =
        off <= h->window.next + NEARBY && off + NEARBY >= h->window.next ? h->window.run : 0;
    pthread_mutex_unlock(&h->lock);
    return run;
}

void fs_handle_ahead(struct fs_handle *h, uint64_t off, uint32_t len)
{
    struct batch b = {.n = 0};
    struct cache_file *f = &h->node->file->cache;
    uint64_t pos = off > UINT64_MAX - len ? UINT64_MAX : off + len;
    bool drop;
    pthread_mutex_lock(&h->lock);
    batch_fill(h, off, pos, &b, &drop);
    pthread_mutex_unlock(&h->lock);

    if (drop)
        cache_ahead_drop(h->fs->cache, f, h->stream);
    for (unsigned k = 0; k < b.n; k++) {
        if (cache_ahead(h->fs->cache, f, b.at[k].i, TRAFFIC_STREAMING, URGENCY_READAHEAD,
                        h->stream) != CACHE_AHEAD_NO_ROOM)
            continue;
        /* Again from here, when something was read. */
        pthread_mutex_lock(&h->lock);
        if (b.at[k].begin < h->ahead && b.at[k].begin >= pos) {
            h->ahead = b.at[k].begin;
            charge_set(h, h->ahead - pos);
        }
        pthread_mutex_unlock(&h->lock);
        return;
    }
}
