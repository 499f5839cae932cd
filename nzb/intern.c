#include "nzb/intern.h"
#include "base/hash.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static size_t slot_find(const struct intern *t, const char *s, size_t len)
{
    size_t i = (size_t)hash_bytes(s, len) & (t->nslots - 1);

    while (t->slots[i] && (strlen(t->slots[i]) != len || memcmp(t->slots[i], s, len)))
        i = (i + 1) & (t->nslots - 1);
    return i;
}

static bool grow(struct intern *t)
{
    struct intern bigger = {.nslots = t->nslots ? 2 * t->nslots : 64};

    bigger.slots = calloc(bigger.nslots, sizeof(*bigger.slots));
    if (!bigger.slots)
        return false;
    for (size_t i = 0; i < t->nslots; i++)
        if (t->slots[i])
            bigger.slots[slot_find(&bigger, t->slots[i], strlen(t->slots[i]))] = t->slots[i];
    free(t->slots);
    t->slots = bigger.slots;
    t->nslots = bigger.nslots;
    return true;
}

const char *intern_get(struct intern *t, const char *s, size_t len)
{
    len = strnlen(s, len);
    if (2 * (t->count + 1) > t->nslots && !grow(t))
        return NULL;
    size_t i = slot_find(t, s, len);
    if (!t->slots[i]) {
        t->slots[i] = arena_strndup(t->arena, s, len);
        t->count += t->slots[i] != NULL;
    }
    return t->slots[i];
}

void intern_fini(struct intern *t)
{
    free(t->slots);
    *t = (struct intern){0};
}
