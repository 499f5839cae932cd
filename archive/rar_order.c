/* rar_order — volumes in their order, by what their headers say. */
#include "archive/rar.h"

#include <stdlib.h>

bool rar_part_same(const struct rar_part *a, const struct rar_part *b)
{
    return a->size == b->size && a->compressed == b->compressed && !a->crypt == !b->crypt &&
           !strcmp(a->name, b->name);
}

bool rar_volume_continues(const struct rar_volume *v, const struct rar_volume *next)
{
    bool after = v->last && v->last->after, before = next->parts && next->parts->before;
    return after == before && (!after || rar_part_same(v->last, next->parts));
}

static void swap(struct rar_volume **a, struct rar_volume **b)
{
    struct rar_volume *t = *a;
    *a = *b;
    *b = t;
}

/* ---- by their numbers ----
 *
 * Two sets in one heap have each number twice: of those that have the next number the one is taken that continues
 * what was placed last. The rest stays for whoever asks again. */

static int by_number(const void *a, const void *b)
{
    const struct rar_volume *x = *(struct rar_volume *const *)a,
                            *y = *(struct rar_volume *const *)b;
    if (x->numbered != y->numbered)
        return x->numbered ? -1 : 1;
    if (x->numbered && x->number != y->number)
        return x->number < y->number ? -1 : 1;
    return x->caller < y->caller ? -1 : x->caller > y->caller;
}

/* May `v` stand behind `last`? Across a gap only what continues the same member surely does. */
static bool fits(const struct rar_volume *last, const struct rar_volume *v)
{
    if (!last)
        return true;
    if (v->number == last->number)
        return false;
    if (v->number == last->number + 1)
        return rar_volume_continues(last, v);
    return last->last && last->last->after && rar_volume_continues(last, v);
}

/* Is no number there twice? Then there is one set, whatever its volumes hold. */
static bool numbers_unique(struct rar_volume **order, uint32_t n)
{
    for (uint32_t i = 1; i < n && order[i]->numbered; i++)
        if (order[i]->number == order[i - 1]->number)
            return false;
    return true;
}

static bool order_by_number(struct rar_volume **order, uint32_t n, uint32_t *nplaced)
{
    struct rar_volume *last = NULL;
    uint32_t placed = 0;
    qsort(order, n, sizeof(*order), by_number);
    bool one = numbers_unique(order, n);
    for (uint32_t i = 0; i < n && order[i]->numbered; i++)
        if (one || fits(last, order[i])) {
            last = order[i];
            last->placed = true;
        }
    /* Those placed first, each kind in its order. */
    for (uint32_t i = 0; i < n; i++)
        if (order[i]->placed) {
            struct rar_volume *v = order[i];
            memmove(order + placed + 1, order + placed, (i - placed) * sizeof(*order));
            order[placed++] = v;
        }
    *nplaced = placed;
    return true;
}

/* ---- by what continues what ---- */

static bool begins(const struct rar_volume *v)
{
    return !v->why && v->version && (v->first || !v->parts || !v->parts->before);
}

/* Which of order[from..n) continues `v`? UINT32_MAX: none; *more: several could. */
static uint32_t find_next(struct rar_volume **order, uint32_t from, uint32_t n,
                          const struct rar_volume *v, bool *more)
{
    uint32_t found = UINT32_MAX;
    *more = false;
    if (!v->last || !v->last->after)
        return UINT32_MAX;
    for (uint32_t i = from; i < n; i++)
        if (order[i]->version == v->version && order[i]->parts &&
            rar_volume_continues(v, order[i])) {
            *more = found != UINT32_MAX;
            if (*more)
                break;
            found = i;
        }
    return found;
}

static bool order_by_parts(struct rar_volume **order, uint32_t n, uint32_t *nplaced)
{
    uint32_t placed = 0, at = 0;
    bool more = false;
    while (at < n && !begins(order[at]))
        at++;
    while (at < n && !more) {
        order[at]->placed = true;
        swap(&order[placed], &order[at]);
        placed++;
        at = find_next(order, placed, n, order[placed - 1], &more);
    }
    *nplaced = placed;
    return !more;
}

bool rar_order_volumes(struct rar_volume **order, uint32_t n, uint32_t *nplaced)
{
    for (uint32_t i = 0; i < n; i++)
        if (order[i]->numbered)
            return order_by_number(order, n, nplaced);
    return order_by_parts(order, n, nplaced);
}
