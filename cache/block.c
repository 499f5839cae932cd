#include "cache/internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

/* A file of no more segments than this has no ends to speak of. */
#define ENDS_PART 4

/* --- descriptors and table ----------------------------------------------------------------------- */

static size_t blocks_bytes(const struct cache *c)
{
    return c->slab.count * sizeof(*c->blocks);
}

int cache_blocks_init(struct cache *c)
{
    uint64_t n = 64;
    void *p;

    while (n < c->slab.count)
        n *= 2;
    c->buckets = calloc(n, sizeof(struct cache_block *));
    if (!c->buckets)
        return -ENOMEM;
    c->mask = n - 1;
    list_init(&c->pool);
    /* One descriptor for each chunk is the most there can be; few are ever touched. */
    p = mmap(NULL, blocks_bytes(c), PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) {
        free(c->buckets);
        c->buckets = NULL;
        return -ENOMEM;
    }
    c->blocks = p;
    return 0;
}

void cache_blocks_fini(struct cache *c)
{
    if (!c->blocks)
        return;
    for (uint32_t k = 0; k < c->blocks_touched; k++)
        if (c->blocks[k].iov != c->blocks[k].few)
            free(c->blocks[k].iov);
    munmap(c->blocks, blocks_bytes(c));
    free(c->buckets);
    c->blocks = NULL;
    c->buckets = NULL;
}

struct cache_block *cache_block_find(const struct cache *c, uint64_t file, uint32_t i)
{
    struct cache_block *b = c->buckets[cache_key(file, i) & c->mask];

    while (b && (b->file_id != file || b->i != i))
        b = b->chain;
    return b;
}

static void table_add(struct cache *c, struct cache_block *b)
{
    struct cache_block **at = &c->buckets[b->key & c->mask];

    b->chain = *at;
    *at = b;
}

static void table_remove(struct cache *c, struct cache_block *b)
{
    struct cache_block **at = &c->buckets[b->key & c->mask];

    while (*at != b)
        at = &(*at)->chain;
    *at = b->chain;
}

/* --- memory of a block --------------------------------------------------------------------------- */

static bool runs_reserve(struct cache_block *b, uint32_t n)
{
    struct iovec *iov;

    if (n <= b->iov_cap)
        return true;
    iov = calloc(n, sizeof(*iov));
    if (!iov)
        return false;
    for (unsigned k = 0; k < b->niov; k++)
        iov[k] = b->iov[k];
    if (b->iov != b->few)
        free(b->iov);
    b->iov = iov;
    b->iov_cap = n;
    return true;
}

static void note_peak(struct cache *c)
{
    size_t used = (size_t)(c->slab.count - c->slab.free) * CACHE_CHUNK;

    if (used > c->stats.used_peak)
        c->stats.used_peak = used;
}

bool cache_block_resize(struct cache *c, struct cache_block *b, uint32_t chunks)
{
    if (chunks < b->chunks) {
        b->niov = cache_slab_give(&c->slab, b->chunks - chunks, b->iov, b->niov);
    } else if (chunks > b->chunks) {
        assert(c->slab.free >= chunks - b->chunks);
        if (!runs_reserve(b, chunks))
            return false;
        b->niov = cache_slab_take(&c->slab, chunks - b->chunks, b->iov, b->niov);
        note_peak(c);
    }
    b->chunks = chunks;
    return true;
}

static struct cache_block *descriptor_get(struct cache *c)
{
    struct list *l = list_pop(&c->pool);
    struct cache_block *b;

    if (l)
        return container_of(l, struct cache_block, link);
    assert(c->blocks_touched < c->slab.count);
    b = &c->blocks[c->blocks_touched++];
    b->cache = c;
    b->iov = b->few;
    b->iov_cap = BLOCK_RUNS;
    list_init(&b->link);
    list_init(&b->send);
    list_init(&b->waiters);
    return b;
}

static void descriptor_put(struct cache *c, struct cache_block *b)
{
    if (b->iov != b->few)
        free(b->iov);
    b->iov = b->few;
    b->iov_cap = BLOCK_RUNS;
    b->state = BLOCK_FREE;
    list_add(&c->pool, &b->link);
}

struct cache_block *cache_block_new(struct cache *c, struct cache_file *f, uint32_t i,
                                    uint32_t chunks)
{
    struct cache_block *b = descriptor_get(c);

    cache_spent_recycle(c, chunks);
    b->chunks = 0;
    b->niov = 0;
    if (!cache_block_resize(c, b, chunks)) {
        descriptor_put(c, b);
        return NULL;
    }
    b->file = f;
    b->file_id = f->id;
    b->i = i;
    b->key = cache_key(f->id, i);
    b->state = BLOCK_FETCHING;
    b->pins = 0;
    b->lacked = 0;
    b->sent = b->begun = b->cancelled = b->stale = b->refused = b->too_big = b->ahead = b->fresh = b->spent =
        b->quoted = b->lied = b->unsure = b->ending = false;
    b->given_from = b->given_to = 0;
    b->filled = b->answered = b->answered_now = b->owed = 0;
    b->npast = 0;
    cache_waits_stage(c, b, CACHE_WAITS_CONNECTION, NULL);
    b->call_at = UINT32_MAX;
    b->entry = (struct cache_policy_entry){.key = b->key};
    list_init(&b->entry.link);
    table_add(c, b);
    list_add_tail(&c->fetching, &b->link);
    c->nfetching++;
    c->blocks_used++;
    return b;
}

/** All its memory goes back; it is in no table or list any more. */
static void block_return(struct cache *c, struct cache_block *b)
{
    (void)cache_block_resize(c, b, 0);
    c->blocks_used--;
    descriptor_put(c, b);
}

static void fetching_end(struct cache *c, struct cache_block *b)
{
    list_del(&b->link);
    c->nfetching--;
}

void cache_block_free(struct cache *c, struct cache_block *b)
{
    assert(b->state == BLOCK_FETCHING && list_is_empty(&b->waiters));
    fetching_end(c, b);
    table_remove(c, b);
    b->file = NULL;
    b->state = BLOCK_DOOMED;
    if (b->pins == 0)
        block_return(c, b);
}

/* --- pins ---------------------------------------------------------------------------------------- */

/* The first or last of a file's segments: index, cues, tags. Of a file of few segments they are nothing apart. */
static bool is_end(const struct cache_block *b)
{
    const struct segment_info *i = &b->info;

    return i->len < i->file_size / ENDS_PART &&
           (i->begin == 0 || i->file_size - i->len <= i->begin);
}

static void policy_take(struct cache *c, struct cache_block *b)
{
    cache_policy_insert(c->policy, &b->entry, b->key, (uint32_t)(b->chunks * CACHE_CHUNK));
    if (is_end(b))
        cache_policy_favour(&b->entry);
}

static void idle_begin(struct cache *c, struct cache_block *b)
{
    c->idle += b->chunks;
    if (b->fresh)
        c->fresh_chunks += b->chunks;
}

static void idle_end(struct cache *c, struct cache_block *b)
{
    c->idle -= b->chunks;
    if (b->fresh)
        c->fresh_chunks -= b->chunks;
}

void cache_block_ready(struct cache *c, struct cache_block *b, uint32_t pins)
{
    assert(b->state == BLOCK_FETCHING && list_is_empty(&b->waiters));
    fetching_end(c, b);
    b->state = BLOCK_READY;
    b->file = NULL; /* not ours once nothing is under way */
    bool was_pinned = b->pins > 0;
    b->pins += pins;
    b->fresh = b->ahead && b->pins == 0 && !b->answered;
    c->born += b->chunks;
    b->born = c->born;
    if (b->fresh)
        list_add_tail(&c->fresh, &b->link);
    else
        policy_take(c, b);
    if (b->pins == 0)
        idle_begin(c, b);
    else if (!was_pinned)
        c->blocks_pinned++;
}

void cache_block_pin_early(struct cache *c, struct cache_block *b)
{
    assert(b->state == BLOCK_FETCHING);
    if (b->pins++ == 0)
        c->blocks_pinned++;
}

void cache_block_unfresh(struct cache *c, struct cache_block *b)
{
    assert(b->fresh && b->pins == 0);
    c->fresh_chunks -= b->chunks;
    b->fresh = false;
    list_del(&b->link);
    policy_take(c, b);
}

static void spent_end(struct cache *c, struct cache_block *b)
{
    list_del(&b->link);
    c->spent_chunks -= b->chunks;
    b->spent = false;
}

void cache_block_spend(struct cache *c, struct cache_block *b)
{
    /* A dropped one went with its last pin. */
    if (b->state != BLOCK_READY || b->pins > 0 || b->spent || b->entry.hits > 0)
        return;
    if (b->fresh)
        cache_block_unfresh(c, b);
    cache_policy_remove(c->policy, &b->entry);
    b->spent = true;
    list_add_tail(&c->spent, &b->link);
    c->spent_chunks += b->chunks;
}

void cache_spent_recycle(struct cache *c, uint32_t chunks)
{
    /* Free chunks that were used before: the others cost a page fault each, and push something out of
     * the processor's caches. */
    while (c->slab.touched - (c->slab.count - c->slab.free) < chunks &&
           c->spent_chunks > c->spent_most)
        cache_block_drop(c, container_of(c->spent.next, struct cache_block, link));
}

void cache_block_pin(struct cache *c, struct cache_block *b)
{
    assert(b->state == BLOCK_READY);
    if (b->spent) { /* somebody came back */
        spent_end(c, b);
        policy_take(c, b);
    } else if (b->fresh) {
        cache_block_unfresh(c, b);
    } else {
        cache_policy_hit(c->policy, &b->entry);
    }
    if (b->pins++ == 0) {
        idle_end(c, b);
        c->blocks_pinned++;
    }
}

void cache_block_unpin(struct cache *c, struct cache_block *b)
{
    assert(b->pins > 0);
    if (--b->pins > 0)
        return;
    c->blocks_pinned--;
    if (b->state == BLOCK_DOOMED)
        block_return(c, b);
    else if (b->state == BLOCK_READY)
        idle_begin(c, b);
}

void cache_block_drop(struct cache *c, struct cache_block *b)
{
    assert(b->state == BLOCK_READY);
    table_remove(c, b);
    if (b->pins == 0)
        idle_end(c, b);
    if (b->spent)
        spent_end(c, b);
    else if (b->fresh)
        list_del(&b->link);
    else
        cache_policy_remove(c->policy, &b->entry);
    b->fresh = false;
    b->state = BLOCK_DOOMED;
    if (b->pins == 0)
        block_return(c, b);
}

/* --- eviction ------------------------------------------------------------------------------------ */

static bool may_evict(const struct cache_policy_entry *e)
{
    /* Not container_of(): that would take the const away. */
    const char *p = (const char *)e - offsetof(struct cache_block, entry);

    return ((const struct cache_block *)(const void *)p)->pins == 0;
}

bool cache_room_make(struct cache *c, uint32_t chunks, bool fresh_too)
{
    while (c->slab.free < chunks) {
        bool spent = !list_is_empty(&c->spent);
        struct cache_policy_entry *e = spent ? NULL : cache_policy_evict(c->policy, may_evict);
        struct cache_block *b;

        if (spent)
            b = container_of(c->spent.next, struct cache_block, link);
        else if (e)
            b = container_of(e, struct cache_block, entry);
        else if (fresh_too && !list_is_empty(&c->fresh))
            b = container_of(c->fresh.next, struct cache_block, link);
        else
            return false;
        cache_block_drop(c, b);
        c->stats.evictions++;
    }
    return true;
}

/* --- what a reader sees -------------------------------------------------------------------------- */

unsigned cache_block_iov(const struct cache_block *b, uint32_t off, uint32_t len, struct iovec *iov,
                         unsigned max)
{
    size_t skip = off, left = len;
    unsigned n = 0;

    if (off >= b->info.len)
        return 0;
    if (left > b->info.len - off)
        left = b->info.len - off;
    for (unsigned k = 0; k < b->niov && left > 0 && n < max; k++) {
        size_t take = b->iov[k].iov_len;

        if (skip >= take) {
            skip -= take;
            continue;
        }
        take -= skip;
        if (take > left)
            take = left;
        iov[n++] = (struct iovec){.iov_base = (char *)b->iov[k].iov_base + skip, .iov_len = take};
        left -= take;
        skip = 0;
    }
    return n;
}
