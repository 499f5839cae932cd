#include "nzb/claims.h"

#include <stdlib.h>
#include <string.h>

bool claims_reserve(struct claims *s, uint32_t n)
{
    if (n <= s->cap)
        return true;
    uint32_t cap = s->cap ? s->cap : 8;
    while (cap < n)
        cap = cap > UINT32_MAX / 2 ? UINT32_MAX : 2 * cap;
    struct claim *v = reallocarray(s->v, cap, sizeof(*v));
    if (!v)
        return false;
    s->v = v;
    s->cap = cap;
    return true;
}

uint32_t claims_rank(const struct claims *s, uint32_t i)
{
    uint32_t lo = 0, hi = s->n;

    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (s->v[mid].i < i)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

uint32_t claims_rank_off(const struct claims *s, uint64_t off)
{
    uint32_t lo = 0, hi = s->n;

    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (s->v[mid].begin <= off)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

const struct claim *claims_get(const struct claims *s, uint32_t i)
{
    uint32_t at = claims_rank(s, i);

    return at < s->n && s->v[at].i == i ? &s->v[at] : NULL;
}

bool claims_put(struct claims *s, struct claim c)
{
    if (!claims_reserve(s, s->n + 1))
        return false;
    uint32_t at = claims_rank(s, c.i);
    memmove(s->v + at + 1, s->v + at, (s->n - at) * sizeof(*s->v));
    s->v[at] = c;
    s->n++;
    return true;
}

void claims_drop(struct claims *s, uint32_t i)
{
    uint32_t at = claims_rank(s, i);

    if (at == s->n || s->v[at].i != i)
        return;
    s->n--;
    memmove(s->v + at, s->v + at + 1, (s->n - at) * sizeof(*s->v));
}

void claims_fini(struct claims *s)
{
    free(s->v);
    *s = (struct claims){0};
}

/* ---- bits ---- */

static uint64_t free_word(const uint64_t *a, const uint64_t *b, size_t w)
{
    return b ? ~(a[w] | b[w]) : a[w];
}

static uint32_t next_in(const uint64_t *a, const uint64_t *b, uint32_t from, uint32_t n)
{
    if (from >= n)
        return BITS_NONE;
    size_t w = from / 64, words = bits_words(n);
    uint64_t word = free_word(a, b, w) & ~UINT64_C(0) << (from % 64);

    while (!word && ++w < words)
        word = free_word(a, b, w);
    if (!word)
        return BITS_NONE;
    uint32_t i = (uint32_t)w * 64 + (uint32_t)__builtin_ctzll(word);
    return i < n ? i : BITS_NONE;
}

static uint32_t before_in(const uint64_t *a, const uint64_t *b, uint32_t from)
{
    if (from == 0)
        return BITS_NONE;
    size_t w = (from - 1) / 64;
    uint64_t word = free_word(a, b, w) & ~UINT64_C(0) >> (63 - (from - 1) % 64);

    while (!word && w > 0)
        word = free_word(a, b, --w);
    return word ? (uint32_t)w * 64 + 63 - (uint32_t)__builtin_clzll(word) : BITS_NONE;
}

uint32_t bits_next(const uint64_t *a, uint32_t from, uint32_t n)
{
    return next_in(a, NULL, from, n);
}

uint32_t bits_before(const uint64_t *a, uint32_t from)
{
    return before_in(a, NULL, from);
}

uint32_t bits_next_free(const uint64_t *a, const uint64_t *b, uint32_t from, uint32_t n)
{
    return next_in(a, b, from, n);
}

uint32_t bits_before_free(const uint64_t *a, const uint64_t *b, uint32_t from)
{
    return before_in(a, b, from);
}
