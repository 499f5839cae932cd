#include "base/clock.h"
#include "cache/internal.h"

#include <assert.h>
#include <stdlib.h>

/*
 *     cache.c     birth and death, drop and forget, statistics
 *     read.c      readers: admission, the lines, cancellation
 *     ahead.c     readahead
 *     fetch.c     a block and its source: sending, begin, done, trying again
 *     block.c     descriptors, the table, pins, eviction
 *     policy.c    which block is evicted
 *     negative.c  failures remembered
 *     slab.c      the memory
 *     check.c     all of it, walked and compared
 */

#define NEGATIVE_US 60000000u

static void cache_destroy(struct cache *c)
{
    cache_blocks_fini(c);
    cache_negative_fini(&c->negative);
    cache_policy_free(c->policy);
    cache_slab_fini(&c->slab);
    free(c);
}

struct cache *cache_new(const struct cache_config *cfg, struct source *src)
{
    struct cache *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->src = src;
    c->now_us = cfg->now_us ? cfg->now_us : clock_now_us;
    c->negative_us = cfg->negative_us ? cfg->negative_us : NEGATIVE_US;
    list_init(&c->fetching);
    list_init(&c->fresh);
    list_init(&c->spent);
    c->spent_most =
        (uint32_t)((cfg->budget / 4 < CACHE_BEHIND ? cfg->budget / 4 : CACHE_BEHIND) / CACHE_CHUNK);
    list_init(&c->pending);
    list_init(&c->line[0]);
    list_init(&c->line[1]);
    c->policy = cache_policy_new(cfg->budget);
    if (!c->policy || cache_slab_init(&c->slab, cfg->budget) != 0 || cache_blocks_init(c) != 0 ||
        cache_negative_init(&c->negative) != 0) {
        cache_destroy(c);
        return NULL;
    }
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->settled, NULL);
    return c;
}

void cache_free(struct cache *c)
{
    if (!c)
        return;
    assert(list_is_empty(&c->fetching) && list_is_empty(&c->pending) && cache_line_is_empty(c));
    pthread_cond_destroy(&c->settled);
    pthread_mutex_destroy(&c->lock);
    cache_destroy(c);
}

void cache_drop(struct cache *c, struct cache_file *f, uint32_t i)
{
    struct cache_block *b;
    struct cache_work w;

    cache_work_init(&w);
    pthread_mutex_lock(&c->lock);
    cache_negative_remove(&c->negative, f->id, i);
    b = cache_block_find(c, f->id, i);
    if (b && b->state == BLOCK_READY)
        cache_block_drop(c, b);
    else if (b)
        b->stale = true;
    /* What it frees was idle, as good as free to who waits; but who waits for this very segment may now
     * need less than it held. */
    cache_line_pump(c, &w);
    pthread_mutex_unlock(&c->lock);
    cache_work_run(c, &w);
}

/** Drop what is ready and cancel what nobody waits for. True: nothing of the file is under way. */
static bool forget_blocks(struct cache *c, uint64_t file)
{
    bool quiet = true;

    for (uint32_t k = 0; k < c->blocks_touched; k++) {
        struct cache_block *b = &c->blocks[k];

        if (b->file_id != file)
            continue;
        if (b->state == BLOCK_READY) {
            cache_block_drop(c, b);
        } else if (b->state == BLOCK_FETCHING) {
            b->ahead = false;
            cache_fetch_release(c, b);
            quiet = false;
        }
    }
    for (unsigned l = 0; l < 2; l++)
        list_for_each(it, &c->line[l])
        {
            if (container_of(it, struct cache_read, link)->file->id == file)
                quiet = false;
        }
    return quiet;
}

void cache_forget(struct cache *c, struct cache_file *f)
{
    pthread_mutex_lock(&c->lock);
    c->forgetters++;
    while (!forget_blocks(c, f->id))
        pthread_cond_wait(&c->settled, &c->lock);
    c->forgetters--;
    cache_negative_forget(&c->negative, f->id);
    pthread_mutex_unlock(&c->lock);
}

void cache_expect(struct cache *c, int by)
{
    source_expect(c->src, by);
}

void cache_stats(struct cache *c, struct cache_stats *out)
{
    pthread_mutex_lock(&c->lock);
    *out = c->stats;
    out->budget = (size_t)c->slab.count * CACHE_CHUNK;
    out->used = (size_t)(c->slab.count - c->slab.free) * CACHE_CHUNK;
    out->blocks = c->blocks_used;
    out->pinned = c->blocks_pinned;
    out->fetching = c->nfetching;
    out->waiting_reads = c->nwaiting;
    pthread_mutex_unlock(&c->lock);
}
