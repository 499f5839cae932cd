#include "nzb/unique.h"
#include "base/hash.h"
#include "nzb/name.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Two tables. `names` holds every name in use. `counters` remembers how far the numbers of a name have
 * been given out, so that the thousandth "film.mkv" does not try 2 … 999 again. Names that differ only
 * where the number goes (long ones are cut to make room) would try the same candidates; so the counter
 * belongs to the candidate with the widest number, which is the same for all of them. Then each number
 * of a counter is tried once, and a name that was there first is met at most once. */

struct counter {
    uint64_t key; /* hash; 0: empty. Two keys that collide share the numbers: harmless */
    unsigned next;
};

struct names {
    const char **slots;
    struct counter *counters;
    size_t mask;
};

static size_t names_find(const struct names *t, const char *name)
{
    size_t i = (size_t)hash_bytes(name, strlen(name)) & t->mask;

    while (t->slots[i] && strcmp(t->slots[i], name))
        i = (i + 1) & t->mask;
    return i;
}

static struct counter *counter_get(struct names *t, const char *name)
{
    char widest[NZB_NAME_MAX + 1];
    size_t len = nzb_name_nth(name, UINT_MAX, widest);
    uint64_t key = hash_bytes(widest, len) | 1;
    size_t i = (size_t)(key >> 20) & t->mask;

    while (t->counters[i].key && t->counters[i].key != key)
        i = (i + 1) & t->mask;
    if (!t->counters[i].key)
        t->counters[i] = (struct counter){.key = key, .next = 2};
    return &t->counters[i];
}

static int rename_one(struct names *t, struct nzb_file *f, struct arena *arena)
{
    struct counter *c = counter_get(t, f->name);
    char name[NZB_NAME_MAX + 1];
    size_t len, slot;

    do {
        len = nzb_name_nth(f->name, c->next++, name);
        slot = names_find(t, name);
    } while (t->slots[slot]);
    f->name = t->slots[slot] = arena_strndup(arena, name, len);
    return f->name ? 0 : -ENOMEM;
}

static int give_names(struct names *t, struct nzb_file *files, size_t n, bool *first,
                      struct arena *arena, unsigned *renamed)
{
    for (size_t i = 0; i < n; i++) {
        size_t slot = names_find(t, files[i].name);
        first[i] = !t->slots[slot];
        if (first[i])
            t->slots[slot] = files[i].name;
    }
    for (size_t i = 0; i < n; i++) {
        if (first[i])
            continue;
        int r = rename_one(t, &files[i], arena);
        if (r)
            return r;
        ++*renamed;
    }
    return 0;
}

int nzb_unique_names(struct nzb_file *files, size_t n, struct arena *arena, unsigned *renamed)
{
    struct names t = {.mask = 15};
    int r = -ENOMEM;

    while (t.mask + 1 < 2 * n)
        t.mask = 2 * t.mask + 1;
    bool *first = calloc(n + 1, sizeof(*first));
    t.slots = calloc(t.mask + 1, sizeof(*t.slots));
    t.counters = calloc(t.mask + 1, sizeof(*t.counters));
    if (first && t.slots && t.counters)
        r = give_names(&t, files, n, first, arena, renamed);
    free(first);
    free(t.slots);
    free(t.counters);
    return r;
}
