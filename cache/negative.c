#include "cache/internal.h"

#include <errno.h>
#include <stdlib.h>

/* A ring of failures in order of age, and chains through it by segment. The oldest gives way when the
 * ring is full, so a file of which nothing exists cannot grow it. */

#define ENTRIES 65536u
#define NONE    UINT32_MAX

struct negative_entry {
    uint64_t file;
    uint64_t until_us;
    uint32_t i;
    uint32_t chain;
    uint8_t result;
    bool live;
};

int cache_negative_init(struct cache_negative *n)
{
    *n = (struct cache_negative){.next = 0};
    n->ring = calloc(ENTRIES, sizeof(*n->ring));
    n->buckets = malloc(ENTRIES * sizeof(*n->buckets));
    if (!n->ring || !n->buckets) {
        cache_negative_fini(n);
        return -ENOMEM;
    }
    for (uint32_t b = 0; b < ENTRIES; b++)
        n->buckets[b] = NONE;
    return 0;
}

void cache_negative_fini(struct cache_negative *n)
{
    free(n->ring);
    free(n->buckets);
    *n = (struct cache_negative){.next = 0};
}

static uint32_t *bucket(const struct cache_negative *n, uint64_t file, uint32_t i)
{
    return &n->buckets[cache_key(file, i) % ENTRIES];
}

static uint32_t *file_count(struct cache_negative *n, uint64_t file)
{
    return &n->files[cache_key(file, 0) % NEGATIVE_FILES];
}

static struct negative_entry *find(const struct cache_negative *n, uint64_t file, uint32_t i)
{
    for (uint32_t k = *bucket(n, file, i); k != NONE; k = n->ring[k].chain)
        if (n->ring[k].file == file && n->ring[k].i == i)
            return &n->ring[k];
    return NULL;
}

static void unlink_entry(struct cache_negative *n, struct negative_entry *e)
{
    uint32_t self = (uint32_t)(e - n->ring);
    uint32_t *at = bucket(n, e->file, e->i);

    while (*at != self)
        at = &n->ring[*at].chain;
    *at = e->chain;
    e->live = false;
    n->live--;
    --*file_count(n, e->file);
}

void cache_negative_add(struct cache_negative *n, uint64_t file, uint32_t i, enum segment_result r,
                        uint64_t until_us)
{
    struct negative_entry *e = find(n, file, i);
    uint32_t *head = bucket(n, file, i);

    if (!e) {
        e = &n->ring[n->next];
        if (e->live)
            unlink_entry(n, e);
        e->file = file;
        e->i = i;
        e->live = true;
        e->chain = *head;
        *head = n->next;
        n->next = (n->next + 1) % ENTRIES;
        n->live++;
        ++*file_count(n, file);
    }
    e->result = (uint8_t)r;
    e->until_us = until_us;
}

bool cache_negative_find(const struct cache_negative *n, uint64_t file, uint32_t i, uint64_t now_us,
                         enum segment_result *r)
{
    const struct negative_entry *e = n->live > 0 ? find(n, file, i) : NULL;

    if (!e || e->until_us <= now_us)
        return false;
    *r = (enum segment_result)e->result;
    return true;
}

void cache_negative_remove(struct cache_negative *n, uint64_t file, uint32_t i)
{
    struct negative_entry *e = n->live > 0 ? find(n, file, i) : NULL;

    if (e)
        unlink_entry(n, e);
}

void cache_negative_forget(struct cache_negative *n, uint64_t file)
{
    const uint32_t *left = file_count(n, file);

    /* Another file may share the count: then the walk goes round once for nothing. */
    for (uint32_t k = 0; k<ENTRIES && * left> 0; k++)
        if (n->ring[k].live && n->ring[k].file == file)
            unlink_entry(n, &n->ring[k]);
}
