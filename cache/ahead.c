#include "cache/internal.h"

/* Readahead takes what readers leave: it never stands in line and always leaves an eighth of the memory
 * for a read to take. What readahead has brought and nobody has read yet, it pushes out only to share
 * fairly: a player that was paused would otherwise keep all the memory it had filled. */

#define READERS_SHARE 8

/** Fresh blocks grow old: after a whole memory's worth of others, nobody is coming for them. */
static void fresh_expire(struct cache *c)
{
    while (!list_is_empty(&c->fresh)) {
        struct cache_block *b = container_of(c->fresh.next, struct cache_block, link);

        if (c->born - b->born <= c->slab.count)
            return;
        cache_block_unfresh(c, b);
    }
}

static uint32_t fresh_of(const struct cache *c, uint64_t stream)
{
    uint32_t chunks = 0;

    for (struct list *it = c->fresh.next; it != &c->fresh; it = it->next) {
        const struct cache_block *b = container_of(it, struct cache_block, link);

        if (b->ahead_stream == stream)
            chunks += b->chunks;
    }
    return chunks;
}

/** Evict what another stream will need last, if it has more than `stream` would. Of the others, the one
 *  whose fresh blocks have waited longest: it reads slowly, or not at all. */
static bool fresh_share(struct cache *c, uint64_t stream, uint32_t chunks)
{
    struct cache_block *oldest = NULL, *b;
    struct list *it;

    for (it = c->fresh.next; it != &c->fresh && !oldest; it = it->next) {
        b = container_of(it, struct cache_block, link);
        if (b->ahead_stream != stream)
            oldest = b;
    }
    if (!oldest || fresh_of(c, oldest->ahead_stream) < fresh_of(c, stream) + 2 * chunks)
        return false;
    for (it = c->fresh.prev; it != &oldest->link; it = it->prev) {
        b = container_of(it, struct cache_block, link);
        if (b->ahead_stream == oldest->ahead_stream)
            break;
    }
    cache_block_drop(c, container_of(it, struct cache_block, link));
    c->stats.evictions++;
    return true;
}

static bool has_room(struct cache *c, uint64_t stream, uint32_t chunks)
{
    uint32_t available = c->slab.free + c->idle;

    if (!cache_line_is_empty(c) || available < chunks + c->slab.count / READERS_SHARE)
        return false;
    fresh_expire(c);
    while (c->slab.free + c->idle - c->fresh_chunks < chunks)
        if (!fresh_share(c, stream, chunks))
            return false;
    return cache_room_make(c, chunks, false);
}

/** True: there is nothing to fetch. */
static bool is_there(struct cache *c, const struct cache_file *f, uint32_t i, enum urgency urgency,
                     uint64_t stream)
{
    struct cache_block *b = cache_block_find(c, f->id, i);
    enum segment_result known;

    if (!b)
        return c->negative.live > 0 &&
               cache_negative_find(&c->negative, f->id, i, c->now_us(), &known);
    if (b->state == BLOCK_FETCHING && !b->ahead) {
        b->ahead = true;
        b->ahead_stream = stream;
    }
    if (b->state == BLOCK_FETCHING)
        cache_fetch_promote(c, b, urgency, 0);
    return true;
}

static enum cache_ahead ahead_try(struct cache *c, struct cache_file *f, uint32_t i,
                                  uint64_t stream, uint32_t chunks, struct cache_block **b,
                                  struct cache_work *w)
{
    if (!has_room(c, stream, chunks) || !(*b = cache_fetch_new(c, f, i, chunks, w))) {
        c->stats.ahead_refused++;
        return CACHE_AHEAD_NO_ROOM;
    }
    c->stats.ahead_started++;
    return CACHE_AHEAD_STARTED;
}

enum cache_ahead cache_ahead(struct cache *c, struct cache_file *f, uint32_t i,
                             enum traffic_class class, enum urgency urgency, uint64_t stream)
{
    enum cache_ahead answer = CACHE_AHEAD_THERE;
    struct segment_want seg = {.bytes = 0};
    struct cache_block *b = NULL;
    struct cache_work w;

    cache_work_init(&w);
    f->ops->describe(f, i, &seg);
    pthread_mutex_lock(&c->lock);
    if (!is_there(c, f, i, urgency, stream))
        answer = ahead_try(c, f, i, stream, cache_fetch_guess(c, seg.bytes), &b, &w);
    if (b) {
        b->class = class;
        b->urgency = urgency;
        b->stream = b->ahead_stream = stream;
        b->deadline_us = 0;
        b->ahead = true;
    }
    pthread_mutex_unlock(&c->lock);
    cache_work_run(c, &w);
    return answer;
}

static bool is_kept(const struct cache_block *b, const struct cache_range *keep, unsigned nkeep)
{
    for (unsigned k = 0; k < nkeep; k++)
        if (b->i >= keep[k].first && b->i < keep[k].end)
            return true;
    return false;
}

void cache_ahead_keep(struct cache *c, struct cache_file *f, uint64_t stream,
                      const struct cache_range *keep, unsigned nkeep)
{
    pthread_mutex_lock(&c->lock);
    list_for_each(it, &c->fetching)
    {
        struct cache_block *b = container_of(it, struct cache_block, link);

        if (b->file_id == f->id && b->ahead && b->ahead_stream == stream &&
            !is_kept(b, keep, nkeep)) {
            b->ahead = false;
            cache_fetch_release(c, b);
        }
    }
    list_for_each_safe(it, &c->fresh)
    {
        struct cache_block *b = container_of(it, struct cache_block, link);

        if (b->file_id == f->id && b->ahead_stream == stream && !is_kept(b, keep, nkeep))
            cache_block_unfresh(c, b);
    }
    pthread_mutex_unlock(&c->lock);
}

void cache_ahead_drop(struct cache *c, struct cache_file *f, uint64_t stream)
{
    cache_ahead_keep(c, f, stream, NULL, 0);
}
