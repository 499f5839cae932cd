#include "cache/policy.h"

#include <stdlib.h>

/*
 *     new ──▶ [ probation: first in, first out ] ──evict──▶ ghost: the key only
 *                  │ used again, later                       │ comes back
 *                  ▼                                         ▼
 *             [ main: first in, first out, one more round for each use ] ──evict──▶ out
 *
 * A sequential pass goes through probation and leaves main alone. While main is small, probation may
 * have all the memory, so a reader that jumps back finds what it has just read.
 *
 * A use is counted when a block is asked for after `apart` bytes of others came in: the small reads in
 * which a player takes one block are one use.
 */

/* Probation gives way to main above a quarter of the budget; in a small memory above 16 MiB, or half. */
#define PROBATION_SHARE 4
#define PROBATION_LEAST ((size_t)16 << 20)

#define APART_SHARE     32 /* of the budget */
#define MOST_HITS       3

#define GHOST_BYTES     (16u << 10) /* there is one ghost for so much of the budget, … */
#define GHOSTS_LEAST    64u
#define GHOSTS_MOST     (1u << 20)

enum queue { QUEUE_NONE, QUEUE_PROBATION, QUEUE_MAIN };

#define NONE UINT32_MAX

struct ghost {
    uint64_t key;
    uint32_t chain;
    uint32_t size; /* 0: no ghost here */
};

struct cache_policy {
    size_t probation_most, apart, ghosts_most;
    struct list probation, main;
    size_t probation_size, main_size;
    uint64_t inserted; /* bytes, ever */

    struct ghost *ghosts; /* a ring in order of age; a power of two of them */
    uint32_t *buckets;
    uint32_t mask, oldest, newest; /* newest - oldest: how many, dead ones included */
    size_t ghosts_size;
};

static struct cache_policy_entry *entry(struct list *l)
{
    return container_of(l, struct cache_policy_entry, link);
}

/* --- ghosts -------------------------------------------------------------------------------------- */

static uint32_t *bucket(struct cache_policy *p, uint64_t key)
{
    return &p->buckets[(key ^ (key >> 32)) & p->mask];
}

static void ghost_remove(struct cache_policy *p, struct ghost *g)
{
    uint32_t self = (uint32_t)(g - p->ghosts);
    uint32_t *at = bucket(p, g->key);

    while (*at != self)
        at = &p->ghosts[*at].chain;
    *at = g->chain;
    p->ghosts_size -= g->size;
    g->size = 0;
}

static void ghost_expire(struct cache_policy *p)
{
    struct ghost *g = &p->ghosts[p->oldest++ & p->mask];

    if (g->size > 0)
        ghost_remove(p, g);
}

static void ghost_add(struct cache_policy *p, uint64_t key, uint32_t size)
{
    uint32_t slot = p->newest & p->mask, *head = bucket(p, key);

    while (p->newest - p->oldest > p->mask ||
           (p->newest != p->oldest && p->ghosts_size + size > p->ghosts_most))
        ghost_expire(p);
    p->ghosts[slot] = (struct ghost){.key = key, .chain = *head, .size = size};
    *head = slot;
    p->newest++;
    p->ghosts_size += size;
}

/** Was it evicted not long ago? Then it is a ghost no more. */
static bool ghost_returns(struct cache_policy *p, uint64_t key)
{
    for (uint32_t k = *bucket(p, key); k != NONE; k = p->ghosts[k].chain)
        if (p->ghosts[k].key == key) {
            ghost_remove(p, &p->ghosts[k]);
            return true;
        }
    return false;
}

/* --- queues -------------------------------------------------------------------------------------- */

/** Players jump back ten seconds or so: in a small memory that takes more than the usual share. */
static size_t probation_most(size_t budget)
{
    size_t share = budget / PROBATION_SHARE, half = budget / 2;

    if (share >= PROBATION_LEAST)
        return share;
    return half < PROBATION_LEAST ? half : PROBATION_LEAST;
}

struct cache_policy *cache_policy_new(size_t budget)
{
    struct cache_policy *p = calloc(1, sizeof(*p));
    uint32_t n = GHOSTS_LEAST;

    if (!p)
        return NULL;
    while (n < GHOSTS_MOST && n < budget / GHOST_BYTES)
        n *= 2;
    p->probation_most = probation_most(budget);
    p->apart = budget / APART_SHARE;
    p->ghosts_most = budget;
    p->mask = n - 1;
    list_init(&p->probation);
    list_init(&p->main);
    p->ghosts = calloc(n, sizeof(*p->ghosts));
    p->buckets = malloc(n * sizeof(*p->buckets));
    if (!p->ghosts || !p->buckets) {
        cache_policy_free(p);
        return NULL;
    }
    for (uint32_t i = 0; i < n; i++)
        p->buckets[i] = NONE;
    return p;
}

void cache_policy_free(struct cache_policy *p)
{
    if (!p)
        return;
    free(p->ghosts);
    free(p->buckets);
    free(p);
}

static void enqueue(struct cache_policy *p, struct cache_policy_entry *e, enum queue q)
{
    e->queue = (uint8_t)q;
    if (q == QUEUE_MAIN) {
        list_add_tail(&p->main, &e->link);
        p->main_size += e->size;
    } else {
        list_add_tail(&p->probation, &e->link);
        p->probation_size += e->size;
    }
}

void cache_policy_remove(struct cache_policy *p, struct cache_policy_entry *e)
{
    if (e->queue == QUEUE_NONE)
        return;
    if (e->queue == QUEUE_MAIN)
        p->main_size -= e->size;
    else
        p->probation_size -= e->size;
    list_del(&e->link);
    e->queue = QUEUE_NONE;
}

void cache_policy_insert(struct cache_policy *p, struct cache_policy_entry *e, uint64_t key,
                         uint32_t size)
{
    e->key = key;
    e->size = size;
    e->hits = 0;
    p->inserted += size;
    e->seen = p->inserted;
    enqueue(p, e, ghost_returns(p, key) ? QUEUE_MAIN : QUEUE_PROBATION);
}

void cache_policy_favour(struct cache_policy_entry *e)
{
    if (e->hits == 0)
        e->hits = 1;
}

void cache_policy_hit(struct cache_policy *p, struct cache_policy_entry *e)
{
    if (p->inserted - e->seen >= p->apart && e->hits < MOST_HITS)
        e->hits++;
    e->seen = p->inserted;
}

static struct cache_policy_entry *evict_probation(struct cache_policy *p,
                                                  bool (*may)(const struct cache_policy_entry *e))
{
    list_for_each_safe(it, &p->probation)
    {
        struct cache_policy_entry *e = entry(it);

        if (e->hits > 0) {
            cache_policy_remove(p, e);
            e->hits = 0;
            enqueue(p, e, QUEUE_MAIN);
        } else if (may(e)) {
            cache_policy_remove(p, e);
            ghost_add(p, e->key, e->size);
            return e;
        }
    }
    return NULL;
}

static struct cache_policy_entry *evict_main(struct cache_policy *p,
                                             bool (*may)(const struct cache_policy_entry *e))
{
    /* Each round takes a hit from every entry that may go, so the last finds one if there is any. */
    for (unsigned round = 0; round <= MOST_HITS; round++)
        list_for_each_safe(it, &p->main)
        {
            struct cache_policy_entry *e = entry(it);

            if (!may(e))
                continue;
            if (e->hits == 0) {
                cache_policy_remove(p, e);
                return e;
            }
            e->hits--;
            list_del(it);
            list_add_tail(&p->main, it);
        }
    return NULL;
}

struct cache_policy_entry *cache_policy_evict(struct cache_policy *p,
                                              bool (*may)(const struct cache_policy_entry *e))
{
    struct cache_policy_entry *e = NULL;

    if (p->probation_size > p->probation_most)
        e = evict_probation(p, may);
    if (!e)
        e = evict_main(p, may);
    if (!e)
        e = evict_probation(p, may);
    if (!e)
        e = evict_main(p, may); /* what has just moved there */
    return e;
}
