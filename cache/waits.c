#include "cache/internal.h"

#include <stdatomic.h>

/* What a read waited for.
 *
 *     the block    QUEUED ── SENT main ── (article) ── QUEUED ── SENT second ── (article) ── done
 *     the read           └ joins                                                         └ is over
 *     its spans            answer main     bytes main   connection  answer second   bytes second
 *
 * A block remembers its last few stages and when each began. When a read is over, the block that was the last to
 * arrive tells what there was to wait for since the read joined it; so nothing is counted while it waits, and a
 * read that need not wait costs nothing, not even a look at the clock. */

/* --- spans ---------------------------------------------------------------------------------------- */

/* Out of spans, the last one takes all that follows: there were a great many attempts. */
static void span_add(struct cache_waits *w, enum cache_stage stage, const char *provider,
                     uint64_t until_us)
{
    struct cache_span *last = w->n ? &w->spans[w->n - 1] : NULL;

    if (until_us <= (last ? last->until_us : w->since_us))
        return;
    if (last && ((last->stage == stage && last->provider == provider) || w->n == CACHE_SPANS))
        last->until_us = until_us;
    else
        w->spans[w->n++] =
            (struct cache_span){.until_us = until_us, .provider = provider, .stage = stage};
}

static void begin(struct cache_waits *w, uint64_t now_us)
{
    if (!w->since_us)
        w->since_us = now_us ? now_us : 1;
}

/* --- the life of a block --------------------------------------------------------------------------- */

void cache_waits_stage(struct cache *c, struct cache_block *b, enum cache_stage stage,
                       const char *provider)
{
    if (b->npast == BLOCK_PAST) {
        for (unsigned k = 1; k < BLOCK_PAST; k++)
            b->past[k - 1] = b->past[k];
        b->npast--;
    }
    b->past[b->npast++] =
        (struct cache_past){.at_us = c->now_us(), .provider = provider, .stage = stage};
}

void cache_waits_moved(struct segment_fetch *f, enum segment_stage stage, const char *provider)
{
    struct cache_block *b = container_of(f, struct cache_block, fetch);

    pthread_mutex_lock(&b->cache->lock);
    cache_waits_stage(
        b->cache, b, stage == SEGMENT_SENT ? CACHE_WAITS_ANSWER : CACHE_WAITS_CONNECTION, provider);
    pthread_mutex_unlock(&b->cache->lock);
}

static struct cache_past stage_of(const struct cache_block *b)
{
    if (!b->npast)
        return (struct cache_past){.stage = CACHE_WAITS_CONNECTION};
    return b->past[b->npast - 1];
}

/* The quickest of the last so many or twice as many counts: what queues up where more is asked for at once than a
 * link carries, or behind another article on one connection, is no reason to ask for yet more. */
#define LATENCY_SPELL 64

void cache_waits_done(struct cache *c, const struct cache_block *b)
{
    unsigned k = b->npast;

    while (k > 0 && b->past[k - 1].stage != CACHE_WAITS_ANSWER)
        k--;
    if (!k)
        return;
    uint64_t now_us = c->now_us(), at_us = b->past[k - 1].at_us;
    uint64_t took = now_us > at_us ? now_us - at_us : 1;

    if (c->spell_n == LATENCY_SPELL) {
        c->last_spell_us = c->spell_us;
        c->spell_n = 0;
    }
    if (c->spell_n++ == 0 || took < c->spell_us)
        c->spell_us = took;
    bool before = c->last_spell_us && c->last_spell_us < c->spell_us;
    atomic_store_explicit(&c->latency_us, before ? c->last_spell_us : c->spell_us,
                          memory_order_relaxed);
}

uint64_t cache_latency_us(struct cache *c)
{
    return atomic_load_explicit(&c->latency_us, memory_order_relaxed);
}

/* --- the life of a read ---------------------------------------------------------------------------- */

void cache_waits_join(struct cache *c, struct cache_read *r)
{
    if (r->waits)
        begin(r->waits, c->now_us());
}

void cache_waits_admit(struct cache *c, struct cache_read *r)
{
    if (r->waits)
        span_add(r->waits, CACHE_WAITS_MEMORY, NULL, c->now_us());
}

void cache_waits_for(struct cache *c, struct cache_read *r, const struct cache_block *b)
{
    if (!r->waits || !b)
        return;
    uint64_t now_us = c->now_us();
    for (unsigned k = 0; k < b->npast; k++)
        span_add(r->waits, b->past[k].stage, b->past[k].provider,
                 k + 1 < b->npast ? b->past[k + 1].at_us : now_us);
}

/* Of the blocks that an admitted read still waits for, the one that is furthest from its end. */
static const struct cache_block *critical(const struct cache *c, const struct cache_read *r)
{
    const struct cache_block *worst = NULL;

    for (unsigned k = 0; k < r->nwants; k++) {
        const struct cache_block *b = r->wants[k].phase == WANT_WAITING
                                          ? cache_block_find(c, r->file->id, r->wants[k].i)
                                          : NULL;
        if (b && (!worst || stage_of(b).stage < stage_of(worst).stage))
            worst = b;
    }
    return worst;
}

void cache_waits_cancel(struct cache *c, struct cache_read *r)
{
    if (r->state == READ_WAITING)
        cache_waits_admit(c, r);
    else
        cache_waits_for(c, r, critical(c, r));
}

/* --- a look from outside ----------------------------------------------------------------------------- */

static struct cache_look *look_find(struct cache_look *looks, size_t n, uint64_t stream)
{
    size_t from = 0, to = n;

    while (from < to) {
        size_t at = from + (to - from) / 2;
        if (looks[at].stream == stream)
            return &looks[at];
        if (looks[at].stream < stream)
            from = at + 1;
        else
            to = at;
    }
    return NULL;
}

/* The first one that is found is the one that has waited longest. */
static void look_read(const struct cache *c, struct cache_look *l, const struct cache_read *r)
{
    struct cache_past now = {.stage = CACHE_WAITS_MEMORY};

    if (!l || !r->waits || l->waiting++)
        return;
    if (r->state == READ_PENDING) {
        const struct cache_block *b = critical(c, r);
        now = b ? stage_of(b) : (struct cache_past){.stage = CACHE_WAITS_CONNECTION};
    }
    l->stage = now.stage;
    l->provider = now.provider;
    l->since_us = now.at_us > r->waits->since_us ? now.at_us : r->waits->since_us;
}

static void look_ahead(struct cache_look *l, const struct cache_block *b)
{
    if (!l)
        return;
    if (b->state == BLOCK_READY)
        l->ready += b->info.len;
    else if (b->ahead)
        l->coming += b->begun ? b->info.len : (uint64_t)b->chunks * CACHE_CHUNK;
}

void cache_looks(struct cache *c, struct cache_look *looks, size_t n)
{
    pthread_mutex_lock(&c->lock);
    list_for_each(it, &c->pending)
    {
        const struct cache_read *r = container_of(it, struct cache_read, link);
        look_read(c, look_find(looks, n, r->stream), r);
    }
    for (unsigned k = 0; k < 2; k++)
        list_for_each(it, &c->line[k])
        {
            const struct cache_read *r = container_of(it, struct cache_read, link);
            look_read(c, look_find(looks, n, r->stream), r);
        }
    list_for_each(it, &c->fresh)
    {
        const struct cache_block *b = container_of(it, struct cache_block, link);
        look_ahead(look_find(looks, n, b->ahead_stream), b);
    }
    list_for_each(it, &c->fetching)
    {
        const struct cache_block *b = container_of(it, struct cache_block, link);
        look_ahead(look_find(looks, n, b->ahead_stream), b);
    }
    pthread_mutex_unlock(&c->lock);
}
