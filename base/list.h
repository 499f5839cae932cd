/**
 * list — an intrusive, circular, doubly linked list.
 *
 * Shape     A `struct list` is either a head or the link inside an element. An empty head and an
 *           element that is on no list both point at themselves, so list_del() may be repeated.
 * Memory    None: the links live in the elements.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next, *prev;
};

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define list_for_each(it, head)         for (struct list *it = (head)->next; it != (head); it = it->next)

/** The current element may be taken off the list inside the body. */
#define list_for_each_safe(it, head)                                                               \
    for (struct list *it = (head)->next, *it##_next = it->next; it != (head);                      \
         it = it##_next, it##_next = it->next)

static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}

static inline bool list_is_empty(const struct list *l)
{
    return l->next == l;
}

/** Put `e`, which is on no list, behind `at`. With a head for `at`: at the front. */
static inline void list_add(struct list *at, struct list *e)
{
    e->prev = at;
    e->next = at->next;
    at->next->prev = e;
    at->next = e;
}

/** Put `e`, which is on no list, before `at`. With a head for `at`: at the back. */
static inline void list_add_tail(struct list *at, struct list *e)
{
    list_add(at->prev, e);
}

static inline void list_del(struct list *e)
{
    e->prev->next = e->next;
    e->next->prev = e->prev;
    list_init(e);
}

/** Take the first element off, or NULL. */
static inline struct list *list_pop(struct list *head)
{
    if (list_is_empty(head))
        return NULL;
    struct list *e = head->next;
    list_del(e);
    return e;
}

/** Move everything on `from` to the back of `to`; `from` is empty afterwards. */
static inline void list_splice(struct list *to, struct list *from)
{
    if (list_is_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

#endif
