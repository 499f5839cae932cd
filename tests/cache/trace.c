#include "tests/cache/trace.h"

#include "cache/policy.h"

#include <stdbool.h>
#include <stdlib.h>

void trace_init(struct trace *t, uint64_t seed)
{
    *t = (struct trace){.dice = seed * 0x9E3779B97F4A7C15u + 1};
}

void trace_fini(struct trace *t)
{
    free(t->keys);
    t->keys = NULL;
}

void trace_add(struct trace *t, uint32_t key, unsigned times)
{
    while (times-- > 0) {
        if (t->n == t->cap) {
            t->cap = t->cap ? 2 * t->cap : 1024;
            t->keys = realloc(t->keys, t->cap * sizeof(*t->keys));
            if (!t->keys)
                abort();
        }
        t->keys[t->n++] = key;
    }
}

uint32_t trace_roll(struct trace *t, uint32_t n)
{
    t->dice ^= t->dice << 13;
    t->dice ^= t->dice >> 7;
    t->dice ^= t->dice << 17;
    return (uint32_t)((t->dice >> 20) % n);
}

unsigned trace_permille(struct trace_score s)
{
    return s.hits + s.misses > 0 ? (unsigned)(s.hits * 1000 / (s.hits + s.misses)) : 0;
}

/* One entry for every key there may be: an array does for a table. */
struct slot {
    struct cache_policy_entry entry;
    struct list lru;
    bool held;
};

static struct slot *slots_new(const struct trace *t)
{
    uint32_t most = 0;
    struct slot *slots;

    for (size_t k = 0; k < t->n; k++)
        if (t->keys[k] > most)
            most = t->keys[k];
    slots = calloc((size_t)most + 1, sizeof(*slots));
    if (!slots)
        abort();
    return slots;
}

static void count(struct trace_score *s, const struct trace *t, size_t k, bool hit)
{
    if (k > 0 && t->keys[k] == t->keys[k - 1])
        return;
    if (hit)
        s->hits++;
    else
        s->misses++;
}

static bool any(const struct cache_policy_entry *e)
{
    (void)e;
    return true;
}

struct trace_score trace_run(const struct trace *t, uint32_t blocks)
{
    struct cache_policy *p = cache_policy_new((size_t)blocks * TRACE_BLOCK);
    struct slot *slots = slots_new(t);
    struct trace_score s = {.hits = 0};
    uint32_t held = 0;

    if (!p)
        abort();
    for (size_t k = 0; k < t->n; k++) {
        struct slot *b = &slots[t->keys[k]];

        count(&s, t, k, b->held);
        if (b->held) {
            cache_policy_hit(p, &b->entry);
            continue;
        }
        if (held == blocks) {
            struct cache_policy_entry *e = cache_policy_evict(p, any);

            if (!e)
                abort();
            container_of(e, struct slot, entry)->held = false;
            held--;
        }
        cache_policy_insert(p, &b->entry, t->keys[k], TRACE_BLOCK);
        b->held = true;
        held++;
    }
    free(slots);
    cache_policy_free(p);
    return s;
}

struct trace_score trace_run_lru(const struct trace *t, uint32_t blocks)
{
    struct slot *slots = slots_new(t);
    struct trace_score s = {.hits = 0};
    struct list order;
    uint32_t held = 0;

    list_init(&order);
    for (size_t k = 0; k < t->n; k++) {
        struct slot *b = &slots[t->keys[k]];

        count(&s, t, k, b->held);
        if (b->held) {
            list_del(&b->lru);
        } else if (held == blocks) {
            struct list *oldest = list_pop(&order);

            if (!oldest)
                abort();
            container_of(oldest, struct slot, lru)->held = false;
        } else {
            held++;
        }
        b->held = true;
        list_add_tail(&order, &b->lru);
    }
    free(slots);
    return s;
}
