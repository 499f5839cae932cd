#include "cache/internal.h"

/* Every count the cache keeps, counted anew. */

struct tally {
    uint64_t chunks;
    uint32_t used, fetching, idle, fresh, fresh_chunks, spent, spent_chunks, pinned, waiters;
};

static uint32_t length(const struct list *head)
{
    uint32_t n = 0;

    for (const struct list *it = head->next; it != head; it = it->next)
        n++;
    return n;
}

static const char *check_block(const struct cache *c, const struct cache_block *b, struct tally *t)
{
    bool in_table = cache_block_find(c, b->file_id, b->i) == b;
    size_t bytes = 0;

    for (unsigned k = 0; k < b->niov; k++)
        bytes += b->iov[k].iov_len;
    if (bytes != (size_t)b->chunks * CACHE_CHUNK || b->chunks == 0)
        return "a block's runs are not its chunks";
    if (in_table != (b->state == BLOCK_FETCHING || b->state == BLOCK_READY))
        return "a block is in the table and should not be, or the reverse";
    if (b->state == BLOCK_DOOMED && b->pins == 0)
        return "a dropped block that nobody pins was not freed";
    if (b->state != BLOCK_FETCHING && !list_is_empty(&b->waiters))
        return "somebody waits for a block that is not being fetched";
    if (b->state == BLOCK_FETCHING && b->answered_now > b->answered)
        return "a block does not know what was answered out of it";
    if (b->state == BLOCK_FETCHING && b->answered_now && b->info.len <= b->answered_now)
        return "the last byte of a segment was answered early";
    if (b->state != BLOCK_FETCHING && (uint64_t)b->info.len > bytes)
        return "a block is larger than its memory";

    t->used++;
    t->chunks += b->chunks;
    t->pinned += b->pins > 0;
    t->waiters += length(&b->waiters);
    t->fetching += b->state == BLOCK_FETCHING;
    if (b->state == BLOCK_READY && b->pins == 0)
        t->idle += b->chunks;
    if (b->fresh) {
        t->fresh++;
        t->fresh_chunks += b->chunks;
        if (b->state != BLOCK_READY || b->pins > 0)
            return "a block is fresh and in use";
    }
    if (b->spent) {
        t->spent++;
        t->spent_chunks += b->chunks;
        if (b->state != BLOCK_READY || b->pins > 0 || b->fresh)
            return "a block is spent and in use";
    }
    return NULL;
}

static const char *check_reads(const struct cache *c, struct tally *t)
{
    uint32_t waiting = 0;

    for (struct list *it = c->pending.next; it != &c->pending; it = it->next) {
        const struct cache_read *r = container_of(it, struct cache_read, link);
        unsigned left = 0;

        for (unsigned k = 0; k < r->nwants; k++)
            left += r->wants[k].phase == WANT_WAITING;
        if (r->state != READ_PENDING || left != r->left || left == 0)
            return "a read does not know what it waits for";
        waiting += left;
    }
    if (waiting != t->waiters)
        return "waiters and wants do not match";
    for (unsigned l = 0; l < 2; l++)
        for (struct list *it = c->line[l].next; it != &c->line[l]; it = it->next) {
            const struct cache_read *r = container_of(it, struct cache_read, link);

            for (unsigned k = 0; k < r->nwants; k++)
                if (r->wants[k].phase == WANT_WAITING || r->wants[k].block)
                    return "a read in line holds something";
            if (r->state != READ_WAITING)
                return "a read in line is not waiting";
        }
    return NULL;
}

static const char *check_all(const struct cache *c)
{
    struct tally t = {.chunks = 0};
    const char *wrong;

    for (uint32_t k = 0; k < c->blocks_touched; k++)
        if (c->blocks[k].state != BLOCK_FREE && (wrong = check_block(c, &c->blocks[k], &t)))
            return wrong;
    if (t.chunks + c->slab.free != c->slab.count)
        return "chunks were lost or given out twice";
    if (t.used != c->blocks_used || t.used + length(&c->pool) != c->blocks_touched)
        return "descriptors were lost";
    if (t.idle != c->idle || t.fresh_chunks != c->fresh_chunks || t.fresh != length(&c->fresh))
        return "idle or fresh memory is miscounted";
    if (t.spent_chunks != c->spent_chunks || t.spent != length(&c->spent))
        return "spent memory is miscounted";
    if (t.fetching != c->nfetching || t.fetching != length(&c->fetching))
        return "fetches are miscounted";
    if (t.pinned != c->blocks_pinned)
        return "pinned blocks are miscounted";
    if (c->nwaiting != length(&c->line[0]) + length(&c->line[1]))
        return "waiting reads are miscounted";
    if (cache_line_is_stuck(c))
        return "the head of the line could go on and was not told";
    return check_reads(c, &t);
}

const char *cache_check(struct cache *c)
{
    const char *wrong;

    pthread_mutex_lock(&c->lock);
    wrong = check_all(c);
    pthread_mutex_unlock(&c->lock);
    return wrong;
}
