/* Which article misbehaves, how often still, and how often each was asked for.
 *
 * Rules of an article form a queue: those that hold a number of times in the order they were made, then
 * at most one that holds for ever. An article's own rules go before those for all; NEWSD_NONE is a rule
 * like the others, so an article can be kept well among ill ones. */
#include "tests/lib/newsd_internal.h"

#include "base/hash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A client that asks for ever new articles must not fill the memory: beyond this they are not counted. */
#define ITEMS_MAX (4u << 20)

struct rule {
    struct list link;
    enum newsd_fault fault;
    unsigned times; /* left; 0: for ever */
};

struct newsd_item {
    struct list rules;
    uint64_t asked;
    char message_id[];
};

static struct newsd_item *item_new(const char *message_id)
{
    size_t len = strlen(message_id) + 1;
    struct newsd_item *it = calloc(1, sizeof(*it) + len);
    if (it) {
        list_init(&it->rules);
        memcpy(it->message_id, message_id, len);
    }
    return it;
}

static void rules_drop(struct newsd_item *it)
{
    struct list *e;
    while ((e = list_pop(&it->rules)))
        free(container_of(e, struct rule, link));
}

static struct newsd_item **slot_of(struct newsd *d, const char *id)
{
    size_t i = (size_t)hash_bytes(id, strlen(id)) & (d->nslots - 1);
    while (d->items[i] && strcmp(d->items[i]->message_id, id) != 0)
        i = (i + 1) & (d->nslots - 1);
    return &d->items[i];
}

static bool table_grow(struct newsd *d)
{
    struct newsd_item **old = d->items;
    size_t nold = d->nslots, nslots = nold ? nold * 2 : 1024;
    struct newsd_item **items = calloc(nslots, sizeof(struct newsd_item *));
    if (!items)
        return false;
    d->items = items;
    d->nslots = nslots;
    for (size_t i = 0; i < nold; i++)
        if (old[i])
            *slot_of(d, old[i]->message_id) = old[i];
    free(old);
    return true;
}

static struct newsd_item *item_find(struct newsd *d, const char *id)
{
    return d->nslots ? *slot_of(d, id) : NULL;
}

static struct newsd_item *item_get(struct newsd *d, const char *id)
{
    struct newsd_item *it = item_find(d, id);
    if (it || d->nitems >= ITEMS_MAX)
        return it;
    if (d->nitems * 2 >= d->nslots && !table_grow(d))
        return NULL;
    it = item_new(id);
    if (it) {
        *slot_of(d, id) = it;
        d->nitems++;
    }
    return it;
}

static struct rule *forever_of(struct newsd_item *it)
{
    struct rule *last =
        list_is_empty(&it->rules) ? NULL : container_of(it->rules.prev, struct rule, link);
    return last && last->times == 0 ? last : NULL;
}

int newsd_rule_add(struct newsd *d, const char *message_id, enum newsd_fault fault, unsigned times)
{
    if (!message_id && !d->all)
        d->all = item_new("");
    struct newsd_item *it = message_id ? item_get(d, message_id) : d->all;
    struct rule *r = calloc(1, sizeof(*r));
    if (!it || !r) {
        free(r);
        return -ENOMEM;
    }
    r->fault = fault;
    r->times = times;
    if (times == 0)
        rules_drop(it); /* what holds for ever from now on leaves no room for others */
    struct rule *forever = forever_of(it);
    list_add_tail(forever ? &forever->link : &it->rules, &r->link);
    return 0;
}

void newsd_rule_clear(struct newsd *d)
{
    if (d->all)
        rules_drop(d->all);
    for (size_t i = 0; i < d->nslots; i++)
        if (d->items[i])
            rules_drop(d->items[i]);
}

/* STAT and HEAD bring no payload that could be damaged. */
static bool concerns_all(enum newsd_fault f)
{
    return f == NEWSD_NONE || f == NEWSD_430 || f == NEWSD_400 || f == NEWSD_403 ||
           f == NEWSD_GARBAGE_CODE || f == NEWSD_STALL_FIRST;
}

static struct rule *rule_first(struct newsd_item *it)
{
    return it && !list_is_empty(&it->rules) ? container_of(it->rules.next, struct rule, link)
                                            : NULL;
}

enum newsd_fault newsd_rule_take(struct newsd *d, const char *message_id, bool payload)
{
    struct rule *r = rule_first(item_find(d, message_id));
    if (!r)
        r = rule_first(d->all);
    if (!r || (!payload && !concerns_all(r->fault)))
        return NEWSD_NONE;
    enum newsd_fault fault = r->fault;
    if (r->times > 0 && --r->times == 0) {
        list_del(&r->link);
        free(r);
    }
    return fault;
}

void newsd_rule_asked(struct newsd *d, const char *message_id)
{
    struct newsd_item *it = item_get(d, message_id);
    if (it)
        it->asked++;
}

uint64_t newsd_rule_asked_get(struct newsd *d, const char *message_id)
{
    const struct newsd_item *it = item_find(d, message_id);
    return it ? it->asked : 0;
}

void newsd_rule_fini(struct newsd *d)
{
    newsd_rule_clear(d);
    for (size_t i = 0; i < d->nslots; i++)
        free(d->items[i]);
    free(d->items);
    free(d->all);
    d->items = NULL;
    d->all = NULL;
    d->nslots = d->nitems = 0;
}
