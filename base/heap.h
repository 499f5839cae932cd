/**
 * heap — an intrusive pairing heap: the smallest element on top, any element may be taken out.
 *
 * Shape     The link is a member of the element; the order is the heap's `before`. Equal elements come
 *           out in no particular order: whoever needs one gives `before` a tie-break.
 * Cost      push O(1), pop and del O(log n) amortised, no recursion.
 * Memory    None: the links live in the elements.
 * Source    Fredman, Sedgewick, Sleator, Tarjan: "The pairing heap", 1986.
 */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>

struct heap_node {
    struct heap_node *child; /* the first of the children */
    struct heap_node *next;  /* the sibling to the right */
    struct heap_node *prev;  /* the sibling to the left, or for the first child its parent */
};

struct heap {
    struct heap_node *top; /* NULL: empty */
    bool (*before)(const struct heap_node *a, const struct heap_node *b);
};

static inline void heap_init(struct heap *h,
                             bool (*before)(const struct heap_node *, const struct heap_node *))
{
    h->top = NULL;
    h->before = before;
}

/** Two trees, neither with siblings, become one. Either may be NULL. */
static inline struct heap_node *heap_meld(const struct heap *h, struct heap_node *a,
                                          struct heap_node *b)
{
    if (!a || !b)
        return a ? a : b;
    if (h->before(b, a)) {
        struct heap_node *t = a;
        a = b;
        b = t;
    }
    b->prev = a;
    b->next = a->child;
    if (a->child)
        a->child->prev = b;
    a->child = b;
    return a;
}

/** A list of siblings becomes one tree: in pairs from the left, then together from the right. */
static inline struct heap_node *heap_gather(const struct heap *h, struct heap_node *first)
{
    struct heap_node *pairs = NULL;
    while (first) {
        struct heap_node *a = first, *b = a->next;
        first = b ? b->next : NULL;
        a->next = a->prev = NULL;
        if (b)
            b->next = b->prev = NULL;
        a = heap_meld(h, a, b);
        a->next = pairs;
        pairs = a;
    }
    struct heap_node *top = NULL;
    while (pairs) {
        struct heap_node *rest = pairs->next;
        pairs->next = NULL;
        top = heap_meld(h, top, pairs);
        pairs = rest;
    }
    return top;
}

/** `n` is in no heap. */
static inline void heap_push(struct heap *h, struct heap_node *n)
{
    n->child = n->next = n->prev = NULL;
    h->top = heap_meld(h, h->top, n);
}

/** `n` is in `h`. */
static inline void heap_del(struct heap *h, struct heap_node *n)
{
    struct heap_node *rest = heap_gather(h, n->child);
    if (h->top == n) {
        h->top = rest;
    } else {
        if (n->prev->child == n)
            n->prev->child = n->next;
        else
            n->prev->next = n->next;
        if (n->next)
            n->next->prev = n->prev;
        h->top = heap_meld(h, h->top, rest);
    }
    n->child = n->next = n->prev = NULL;
}

#endif
