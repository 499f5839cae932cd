#include "base/hash.h"
#include "cache/internal.h"

/*
 * Answers before the end of an article.
 *
 *     attempt 1   begin ─── progress ─── progress ─── ✗ (CRC, or the connection broke)
 *                              │ answered: [0, 64 K)
 *     attempt 2   begin ─── progress ─── … ─── done: are [0, 64 K) what was answered?
 *               the old bytes are hashed here,         yes: nothing has happened
 *               before they are overwritten            no:  disowned(lied), CORRUPT
 *
 * The source's thread writes bytes and then `filled`; a reader notes in `call_at` what it waits for and then
 * looks at `filled`. Both are sequentially consistent, so one of the two sees the other, and progress() costs
 * two atomic operations while nobody waits.
 *
 * An answer pins the block while it is still being written to, behind what was answered. Were an attempt to
 * begin while such a pin is held it would overwrite what is being read: it finds no room
 * instead (fetch_begin), who still waits asks again, and the old block goes with its pins.
 */

/* Can it be answered before the end, for all that is known? */
static bool may_come(const struct cache_block *b, const struct cache_want *w)
{
    return w->early && (!b->begun || w->early < b->info.len);
}

static bool is_there(const struct cache_block *b, const struct cache_want *w, uint32_t filled)
{
    return b->begun && may_come(b, w) && w->early <= filled;
}

/* Under the lock: the want is answered out of what is there. Not linked anywhere. */
static void answer(struct cache *c, struct cache_block *b, struct cache_want *w)
{
    cache_block_pin_early(c, b);
    c->stats.early++;
    w->block = b;
    w->info = b->info;
    w->there = 0;
    if (w->header) {
        b->quoted = true;
        return;
    }
    if (!b->answered || b->info.begin < b->given_from)
        b->given_from = b->info.begin;
    if (b->info.begin + w->early > b->given_to)
        b->given_to = b->info.begin + w->early;
    if (w->early > b->answered)
        b->answered = w->early;
    if (w->early > b->answered_now)
        b->answered_now = w->early;
    w->there = w->early;
}

/* Under the lock. */
static void call_at_set(struct cache_block *b)
{
    uint32_t least = UINT32_MAX;

    list_for_each(it, &b->waiters)
    {
        const struct cache_want *w = container_of(it, struct cache_want, link);

        if (may_come(b, w) && w->early < least)
            least = w->early;
    }
    b->call_at = least;
}

bool cache_early_join(struct cache *c, struct cache_block *b, struct cache_want *w)
{
    if (!w->early || !b->file->ops->disowned || b->ending)
        return false;
    if (may_come(b, w) && w->early < b->call_at)
        b->call_at = w->early;
    uint32_t filled = b->filled;
    if (b->stale || !is_there(b, w, filled))
        return false;
    answer(c, b, w);
    return true;
}

void cache_early_progress(struct segment_fetch *f, uint32_t bytes)
{
    struct cache_block *b = container_of(f, struct cache_block, fetch);
    struct cache *c = b->cache;
    struct cache_work w;

    b->filled = bytes;
    if (bytes < b->call_at)
        return;
    cache_work_init(&w);
    pthread_mutex_lock(&c->lock);
    list_for_each_safe(it, &b->waiters)
    {
        struct cache_want *want = container_of(it, struct cache_want, link);

        if (b->stale || !is_there(b, want, bytes))
            continue;
        list_del(it);
        answer(c, b, want);
        cache_want_settle(c, want, SEGMENT_DONE, &w);
    }
    call_at_set(b);
    pthread_mutex_unlock(&c->lock);
    cache_work_run(c, &w);
}

/* --- what was answered, and what comes later ----------------------------------------------------- */

/* Chunk by chunk, so that it does not depend on how the chunks lie. */
static uint64_t prefix_hash(const struct cache_block *b, uint32_t len)
{
    uint64_t h = 0;
    size_t left = len;

    for (unsigned k = 0; k < b->niov && left > 0; k++)
        for (size_t at = 0; at < b->iov[k].iov_len && left > 0; at += CACHE_CHUNK) {
            size_t take = left < CACHE_CHUNK ? left : CACHE_CHUNK;

            h = h * 0x9E3779B97F4A7C15u + hash_bytes((const char *)b->iov[k].iov_base + at, take);
            left -= take;
        }
    return h;
}

/* Does the attempt whose bytes are in place hold what an earlier one must have held? */
static bool keeps_word(const struct cache_block *b)
{
    return b->info.begin == b->owed_begin && b->owed <= b->info.len &&
           prefix_hash(b, b->owed) == b->owed_hash;
}

void cache_early_rebegin(struct cache_block *b)
{
    if (!b->answered_now)
        return;
    if (b->owed && b->filled >= b->owed)
        b->lied |= !keeps_word(b);
    else if (b->owed)
        b->unsure = true; /* two attempts have been answered from, and the second was the shorter */
    if (!b->owed || b->filled >= b->owed) {
        b->owed = b->answered_now > b->owed ? b->answered_now : b->owed;
        b->owed_begin = b->info.begin;
        b->owed_hash = prefix_hash(b, b->owed);
    }
    b->answered_now = 0;
}

/* Under the lock: there is nothing to be proven any more. */
static void forget(struct cache_block *b)
{
    b->given_from = b->given_to = 0;
    b->answered = b->answered_now = b->owed = 0;
    b->quoted = b->lied = b->unsure = false;
}

void cache_early_disown(struct cache *c, struct cache_block *b, bool lied)
{
    uint64_t from = b->given_from, to = b->given_to;

    c->stats.disowned += b->answered > 0;
    forget(b);
    pthread_mutex_unlock(&c->lock);
    b->file->ops->disowned(b->file, b->i, from, to, lied);
    pthread_mutex_lock(&c->lock);
}

enum segment_result cache_early_prove(struct cache *c, struct cache_block *b)
{
    if (!cache_early_is_owed(b))
        return SEGMENT_DONE;
    /* Nobody else writes to the block, or frees it, while done() runs; and who might make another promise of
     * it is too late. */
    pthread_mutex_unlock(&c->lock);
    bool lied = b->lied || (b->owed && !keeps_word(b));
    if (b->file->ops->proven)
        b->file->ops->proven(b->file, b->i, &b->info);
    pthread_mutex_lock(&c->lock);
    if (lied || b->unsure)
        cache_early_disown(c, b, lied);
    return lied ? SEGMENT_CORRUPT : SEGMENT_DONE;
}
