#include "cache/internal.h"

#include <errno.h>

/* A block's conversation with the source. Fetches are started by whoever made them necessary, after the
 * lock is released: describe() belongs to the file and may take its locks. Between the making and the
 * sending the block is FETCHING but not `sent`; promotions and cancellations are then only noted. */

#define REFUSED_PART  60
#define GUESS_UNKNOWN ((uint32_t)1 << 20) /* reserved where the NZB does not tell the size */

/* --- work after the lock ------------------------------------------------------------------------- */

/* A `ready` may end its read, which frees memory, which admits the next read, whose `ready` is due … A
 * thread that is at it already only adds to its list, or a long line would be a deep stack. */
static _Thread_local struct {
    struct cache *cache;
    struct cache_work *work;
} running;

void cache_work_init(struct cache_work *w)
{
    list_init(&w->send);
    list_init(&w->ready);
}

/** The most urgent of what its waiters want. Where there are none it is readahead, or to be proven, which no
 *  deadline ends: whoever brought one has gone. */
static void fetch_aim(struct cache_block *b)
{
    b->deadline_us = 0;
    if (list_is_empty(&b->waiters)) {
        if (b->urgency == URGENCY_DEMAND)
            b->urgency = URGENCY_READAHEAD;
        return;
    }
    b->urgency = URGENCY_SCAN;
    list_for_each(it, &b->waiters)
    {
        const struct cache_read *r = container_of(it, struct cache_want, link)->read;

        if (r->urgency < b->urgency)
            b->urgency = r->urgency;
        if (r->deadline_us > 0 && (b->deadline_us == 0 || r->deadline_us < b->deadline_us))
            b->deadline_us = r->deadline_us;
    }
}

static void fetch_send(struct cache *c, struct cache_block *b)
{
    struct segment_want want = {.verb = SEGMENT_BODY};

    b->file->ops->describe(b->file, b->i, &want);
    pthread_mutex_lock(&c->lock);
    want.verb = SEGMENT_BODY;
    want.class = b->class;
    want.urgency = b->urgency;
    want.stream = b->stream;
    want.deadline_us = b->deadline_us;
    b->fetch.want = want;
    b->sent = true;
    source_fetch(c->src, &b->fetch);
    cache_fetch_release(c, b); /* its readers may have gone while it was not sent yet */
    pthread_mutex_unlock(&c->lock);
}

void cache_work_run(struct cache *c, struct cache_work *w)
{
    struct list *l;

    if (running.cache == c) {
        list_splice(&running.work->send, &w->send);
        list_splice(&running.work->ready, &w->ready);
        return;
    }
    if (list_is_empty(&w->send) && list_is_empty(&w->ready))
        return;
    struct cache *outer_cache = running.cache;
    struct cache_work *outer_work = running.work;

    running.cache = c;
    running.work = w;
    while (!list_is_empty(&w->send) || !list_is_empty(&w->ready)) {
        while ((l = list_pop(&w->send)))
            fetch_send(c, container_of(l, struct cache_block, send));
        if ((l = list_pop(&w->ready))) {
            struct cache_read *r = container_of(l, struct cache_read, link);

            r->ready(r);
        }
    }
    running.cache = outer_cache;
    running.work = outer_work;
}

/* --- callbacks of the source --------------------------------------------------------------------- */

/** Make the block as large as the article says. Readahead gets no room that readers wait for. */
static bool fit(struct cache *c, struct cache_block *b, uint32_t chunks)
{
    bool ahead = list_is_empty(&b->waiters);

    if (chunks > b->chunks) {
        uint32_t more = chunks - b->chunks;

        if (ahead && !cache_line_is_empty(c))
            return false;
        if (c->slab.free + c->idle - (ahead ? c->fresh_chunks : 0) < more)
            return false;
        if (!cache_room_make(c, more, !ahead))
            return false;
    }
    return cache_block_resize(c, b, chunks);
}

/* An attempt that had begun is over, and it was not the last or not sound. Without the lock. */
static void doubt(struct cache_block *b)
{
    if (b->file->ops->doubted)
        b->file->ops->doubted(b->file, b->i);
}

static int fetch_begin(struct segment_fetch *f, const struct segment_info *info)
{
    struct cache_block *b = container_of(f, struct cache_block, fetch);
    struct cache *c = b->cache;
    uint32_t chunks = cache_chunks(info->len);
    struct cache_work w;
    int rc = 0;

    pthread_mutex_lock(&c->lock);
    b->stale = false; /* what is dropped from here on was dropped after this attempt began */
    bool again = b->begun;
    b->begun = false;
    pthread_mutex_unlock(&c->lock);
    if (again)
        doubt(b);
    if (b->file->ops->check(b->file, b->i, info) != 0) {
        pthread_mutex_lock(&c->lock);
        b->refused = true;
        pthread_mutex_unlock(&c->lock);
        return -EBADMSG;
    }

    cache_work_init(&w);
    pthread_mutex_lock(&c->lock);
    cache_early_rebegin(b);
    b->lacked = 0;
    b->too_big = info->len > CACHE_SEGMENT_MAX || chunks > c->slab.count;
    if (b->too_big) {
        rc = -ENOSPC;
    } else if (b->pins > 0 || !fit(c, b, chunks)) { /* pinned: somebody reads what came before */
        b->lacked = chunks;
        rc = -ENOSPC;
    } else {
        b->info = *info;
        b->info.name = NULL;
        b->filled = 0;
        b->begun = true;
        cache_waits_stage(c, b, CACHE_WAITS_BYTES, b->past[b->npast - 1].provider);
        f->dst = b->iov;
        f->ndst = b->niov;
        cache_line_pump(c, &w);
    }
    pthread_mutex_unlock(&c->lock);
    cache_work_run(c, &w);
    return rc;
}

static struct cache_want *waiter_pop(struct cache_block *b)
{
    struct list *l = list_pop(&b->waiters);

    return l ? container_of(l, struct cache_want, link) : NULL;
}

/** Once more, for those who wait or for readahead. Its memory stays reserved. */
static void fetch_restart(struct cache_block *b, struct cache_work *w)
{
    b->begun = b->cancelled = b->stale = b->refused = b->too_big = b->ending = false;
    b->lacked = 0;
    cache_waits_stage(b->cache, b, CACHE_WAITS_CONNECTION, NULL);
    fetch_aim(b);
    list_add_tail(&w->send, &b->send);
}

static void end_ready(struct cache *c, struct cache_block *b, struct cache_work *w)
{
    struct list waiters;
    struct list *l;
    uint32_t pins = 0;

    cache_waits_done(c, b);
    list_init(&waiters);
    list_splice(&waiters, &b->waiters);
    list_for_each(it, &waiters) pins++;
    cache_block_ready(c, b, pins);
    while ((l = list_pop(&waiters))) {
        struct cache_want *want = container_of(l, struct cache_want, link);

        want->block = b;
        want->info = b->info;
        want->there = b->info.len;
        cache_want_settle(c, want, SEGMENT_DONE, w);
    }
}

/* While providers fail, a file may come to believe a misplaced article and refuse sound ones, until it has others to
 * hold against it. Were that remembered for long, the segment would be lost after all were back. */
static uint64_t remember_us(const struct cache *c, const struct cache_block *b,
                            enum segment_result r)
{
    return r == SEGMENT_CORRUPT && b->refused ? c->negative_us / REFUSED_PART : c->negative_us;
}

static void end_failed(struct cache *c, struct cache_block *b, enum segment_result r,
                       struct cache_work *w)
{
    struct cache_want *want;

    if (r != SEGMENT_CANCELLED)
        c->stats.failed++;
    if (r == SEGMENT_MISSING || r == SEGMENT_CORRUPT || (r == SEGMENT_NOSPACE && b->too_big))
        cache_negative_add(&c->negative, b->file_id, b->i, r, c->now_us() + remember_us(c, b, r));
    while ((want = waiter_pop(b)))
        cache_want_settle(c, want, r, w);
    cache_block_free(c, b);
}

/** There was no room for it: who waited for it waits for room. */
static void end_no_room(struct cache *c, struct cache_block *b, struct cache_work *w)
{
    uint32_t chunks = b->lacked;
    struct list waiters;

    list_init(&waiters);
    list_splice(&waiters, &b->waiters);
    list_for_each(it, &waiters)
        cache_waits_for(c, container_of(it, struct cache_want, link)->read, b);
    cache_block_free(c, b);
    /* From the last to the first: each goes to the head of the line. */
    while (!list_is_empty(&waiters)) {
        struct list *l = waiters.prev;

        list_del(l);
        cache_want_bounce(c, container_of(l, struct cache_want, link), chunks, w);
    }
}

/** The deadline that the source was told has passed. Who has more time asks once more, readahead too: a reader's
 *  deadline is not its own. */
static bool outlives_timeout(struct cache *c, struct cache_block *b, struct cache_work *w)
{
    uint64_t passed = b->deadline_us;

    if (passed == 0)
        return false;
    list_for_each_safe(it, &b->waiters)
    {
        struct cache_want *want = container_of(it, struct cache_want, link);

        if (want->read->deadline_us == 0 || want->read->deadline_us > passed)
            continue;
        list_del(it);
        cache_want_settle(c, want, SEGMENT_TIMEOUT, w);
    }
    return cache_fetch_is_wanted(b);
}

enum ending { END_READY, END_RESTART, END_NO_ROOM, END_FAILED };

static enum ending ending_of(struct cache *c, struct cache_block *b, enum segment_result r,
                             struct cache_work *w)
{
    if (r == SEGMENT_DONE && !b->stale)
        return END_READY;
    if ((r == SEGMENT_DONE || (r == SEGMENT_CANCELLED && b->cancelled)) && cache_fetch_is_wanted(b))
        return END_RESTART;
    if (r == SEGMENT_TIMEOUT && outlives_timeout(c, b, w))
        return END_RESTART;
    return r == SEGMENT_NOSPACE && b->lacked > 0 ? END_NO_ROOM : END_FAILED;
}

static void fetch_end(struct cache *c, struct cache_block *b, enum segment_result r,
                      enum ending how, struct cache_work *w)
{
    switch (how) {
    case END_READY:
        end_ready(c, b, w);
        return;
    case END_RESTART:
        fetch_restart(b, w);
        return;
    case END_NO_ROOM:
        end_no_room(c, b, w);
        return;
    case END_FAILED:
        end_failed(c, b, r == SEGMENT_DONE ? SEGMENT_CANCELLED : r, w);
        return;
    }
}

static void fetch_done(struct segment_fetch *f, enum segment_result r)
{
    struct cache_block *b = container_of(f, struct cache_block, fetch);
    struct cache *c = b->cache;
    struct cache_work w;

    if (r == SEGMENT_CORRUPT)
        doubt(b);
    cache_work_init(&w);
    pthread_mutex_lock(&c->lock);
    b->sent = false;
    b->ending = true;
    if (r == SEGMENT_DONE && !b->begun)
        r = SEGMENT_FAILED; /* a source that brought nothing */
    if (r == SEGMENT_DONE && !b->stale)
        r = cache_early_prove(c, b);
    enum ending how = ending_of(c, b, r, &w);
    if (cache_early_is_owed(b) && (how == END_NO_ROOM || how == END_FAILED)) {
        cache_early_disown(c, b, false);
        how = ending_of(c, b, r, &w); /* somebody may have come meanwhile */
    }
    fetch_end(c, b, r, how, &w);
    cache_line_pump(c, &w);
    if (c->forgetters > 0)
        pthread_cond_broadcast(&c->settled);
    pthread_mutex_unlock(&c->lock);
    cache_work_run(c, &w);
}

static const struct segment_fetch_ops fetch_ops = {
    .begin = fetch_begin,
    .progress = cache_early_progress,
    .moved = cache_waits_moved,
    .done = fetch_done,
};

/* --- for the readers ----------------------------------------------------------------------------- */

struct cache_block *cache_fetch_new(struct cache *c, struct cache_file *f, uint32_t i,
                                    uint32_t chunks, struct cache_work *w)
{
    struct cache_block *b = cache_block_new(c, f, i, chunks);

    if (!b)
        return NULL;
    b->fetch = (struct segment_fetch){.ops = &fetch_ops};
    list_add_tail(&w->send, &b->send);
    return b;
}

void cache_fetch_promote(struct cache *c, struct cache_block *b, enum urgency u,
                         uint64_t deadline_us)
{
    bool sooner = deadline_us > 0 && (b->deadline_us == 0 || deadline_us < b->deadline_us);

    if (u >= b->urgency && !sooner)
        return;
    if (u < b->urgency)
        b->urgency = u;
    if (sooner)
        b->deadline_us = deadline_us;
    if (b->sent)
        source_promote(c->src, &b->fetch, b->urgency, b->deadline_us);
}

void cache_fetch_release(struct cache *c, struct cache_block *b)
{
    if (cache_fetch_is_wanted(b) || !b->sent || b->cancelled)
        return;
    b->cancelled = true;
    source_cancel(c->src, &b->fetch);
}

uint32_t cache_fetch_guess(const struct cache *c, uint32_t bytes)
{
    uint32_t most = cache_chunks(CACHE_SEGMENT_MAX),
             n = cache_chunks(bytes ? bytes : GUESS_UNKNOWN);

    if (most > c->slab.count / 4)
        most = c->slab.count / 4;
    if (n > most)
        n = most;
    return n > 0 ? n : 1;
}
