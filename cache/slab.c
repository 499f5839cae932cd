#include "cache/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

/* Free chunks are a stack: what was given back last is taken first, while it is still in the processor's
 * caches, and memory that was never needed is never touched. Chunks are pushed in descending order, so
 * that a block that follows another of the same size gets the same runs again. */

#define NO_CHUNK UINT32_MAX

#if defined(__SANITIZE_ADDRESS__)
#    define WATCHED 1
#elif defined(__has_feature)
#    if __has_feature(address_sanitizer)
#        define WATCHED 1
#    endif
#endif

/* Under AddressSanitizer a free chunk may not be touched by anyone. */
#ifdef WATCHED
#    include <sanitizer/asan_interface.h>
#    define hide(p)   ASAN_POISON_MEMORY_REGION((p), CACHE_CHUNK)
#    define unhide(p) ASAN_UNPOISON_MEMORY_REGION((p), CACHE_CHUNK)
#else
#    define hide(p)   ((void)(p))
#    define unhide(p) ((void)(p))
#endif

int cache_slab_init(struct cache_slab *s, size_t budget)
{
    size_t count = budget / CACHE_CHUNK;

    if (count == 0 || count >= NO_CHUNK)
        return -EINVAL;
    *s = (struct cache_slab){.top = NO_CHUNK, .count = (uint32_t)count, .free = (uint32_t)count};
    s->next = calloc(count, sizeof(*s->next));
    if (!s->next)
        return -ENOMEM;
    s->base = mmap(NULL, count * CACHE_CHUNK, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (s->base == MAP_FAILED) {
        free(s->next);
        *s = (struct cache_slab){.top = NO_CHUNK};
        return -ENOMEM;
    }
    /* The kernel looks up every page of a reply: with large ones that is most of the copying's cost gone.
     * Where it has none to give, small ones do. */
    (void)madvise(s->base, count * CACHE_CHUNK, MADV_HUGEPAGE);
    return 0;
}

void cache_slab_fini(struct cache_slab *s)
{
    if (!s->base)
        return;
    for (size_t i = 0; i < s->touched; i++)
        unhide(s->base + i * CACHE_CHUNK);
    munmap(s->base, s->count * CACHE_CHUNK);
    free(s->next);
    *s = (struct cache_slab){.top = NO_CHUNK};
}

static uint8_t *pop(struct cache_slab *s)
{
    uint32_t i = s->top;
    uint8_t *p;

    if (i != NO_CHUNK)
        s->top = s->next[i];
    else
        i = s->touched++;
    s->free--;
    p = s->base + (size_t)i * CACHE_CHUNK;
    unhide(p);
    return p;
}

static void push(struct cache_slab *s, uint8_t *p)
{
    uint32_t i = (uint32_t)((size_t)(p - s->base) / CACHE_CHUNK);

    hide(p);
    s->next[i] = s->top;
    s->top = i;
    s->free++;
}

unsigned cache_slab_take(struct cache_slab *s, uint32_t n, struct iovec *iov, unsigned niov)
{
    while (n-- > 0) {
        uint8_t *p = pop(s);

        if (niov > 0 && (uint8_t *)iov[niov - 1].iov_base + iov[niov - 1].iov_len == p)
            iov[niov - 1].iov_len += CACHE_CHUNK;
        else
            iov[niov++] = (struct iovec){.iov_base = p, .iov_len = CACHE_CHUNK};
    }
    return niov;
}

unsigned cache_slab_give(struct cache_slab *s, uint32_t n, struct iovec *iov, unsigned niov)
{
    while (n-- > 0) {
        struct iovec *last = &iov[niov - 1];

        last->iov_len -= CACHE_CHUNK;
        push(s, (uint8_t *)last->iov_base + last->iov_len);
        if (last->iov_len == 0)
            niov--;
    }
    return niov;
}
