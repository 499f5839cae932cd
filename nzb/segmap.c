#include "nzb/segmap.h"
#include "nzb/claims.h"

#include <assert.h>
#include <stdlib.h>

/* How it works
 *
 *   Every article that arrives makes a *claim*: segment i holds [begin, end) of a file of so many
 *   bytes. A claim is *wrong* (refused at once), *trusted* (bytes are served out of it) or *loose*
 *   (possible, but nothing supports it yet).
 *
 *   wrong     it overlaps a trusted part or stands in the wrong order to one; it tells another size; it
 *             contradicts itself (part 1 that does not begin at 0); or the segments before and behind,
 *             with the numbers next to its own, are trusted and neither touches it.
 *   trusted   it is on the grid; or it abuts the trusted segment before or behind it, or the file's
 *             start or end; or it and a loose neighbour abut. Trust is never taken back.
 *   loose     all else. segmap_find() settles it: its neighbours are asked for. When one abuts, both
 *             are trusted. When all that can be had deny it, it is forgotten and *doubted*: from then
 *             on that segment is believed only what is trusted at once. When no neighbour can be had,
 *             it stays loose for good: a bound for searching, but no byte is served out of it.
 *
 *   The grid  is set by the first claim that agrees with itself: segment number k begins at k-1 times
 *             its own length, or is the end of the file and begins at a multiple of k-1. It predicts
 *             where all others are, by number, so that gaps in the numbers do not shift what follows.
 *             It is a guess about the others, no more: they say where they are when they arrive. Once a
 *             part off the grid is trusted, the file is *uneven* and the grid is given up; what was
 *             learnt on it goes into a sorted table.
 *
 *   find      Let lo and hi be the trusted parts around the byte (or the file's start and end).
 *               inside lo                              HERE, learnt
 *               even:   the grid's segment, unknown    HERE, predicted
 *               uneven: loose claims between lo and hi settle them (ASK a neighbour, or DOUBT)
 *                       else                           ASK a segment between lo and hi
 *               nothing between that could be asked    HOLE, from lo's end to hi's begin
 *             In an uneven file the one to ask is guessed from the parts around: the next one when
 *             reading on, the same length again where two parts in a row had it, else the mean length.
 *             Sizes may be such that all these miss; after ten misses the guess is the middle, which
 *             bounds the search by another 2·log2(n) asks, for most need a neighbour to confirm them.
 *
 *   Progress  ASK and HERE-predicted name segments that are neither known nor lost; learning or losing
 *             them makes them so. DOUBT makes a known one unknown, once for each segment: afterwards it
 *             is either trusted or refused, never loose. So there are at most 4n steps.
 *
 *   Costs     even: O(log n) and a scan of n/64 words at worst. uneven: O(log n), plus the loose claims
 *             between lo and hi; an insertion moves what is behind it in the table. */

#define MISSES_MOST 10

struct segmap {
    const uint32_t *numbers;
    uint32_t n, parts;
    uint64_t size;
    uint64_t grid; /* bytes of a part; 0: not known yet */
    bool sized, uneven;
    uint32_t pending;     /* doubted, and not learnt or lost since; BITS_NONE: none */
    unsigned misses;      /* learnt since a byte was found */
    struct claims placed; /* uneven: the trusted claims */
    struct claims loose;
    uint64_t *trusted, *known, *lost, *doubted; /* sets of segments; known: trusted or loose */
    uint64_t bits[];
};

/* A trusted part, or the start (i = -1) or the end (i = n) of the file. */
struct anchor {
    int64_t i;
    uint64_t begin, end;
};

struct segmap *segmap_new(const uint32_t *numbers, uint32_t n, uint32_t parts)
{
    size_t words = bits_words(n);
    struct segmap *m = calloc(1, sizeof(*m) + 4 * words * sizeof(m->bits[0]));

    if (!m)
        return NULL;
    m->numbers = numbers;
    m->n = n;
    m->parts = n && parts < numbers[n - 1] ? numbers[n - 1] : parts;
    m->pending = BITS_NONE;
    m->trusted = m->bits;
    m->known = m->bits + words;
    m->lost = m->bits + 2 * words;
    m->doubted = m->bits + 3 * words;
    return m;
}

void segmap_free(struct segmap *m)
{
    if (!m)
        return;
    claims_fini(&m->placed);
    claims_fini(&m->loose);
    free(m);
}

bool segmap_size(const struct segmap *m, uint64_t *size)
{
    if (m->sized)
        *size = m->size;
    return m->sized;
}

void segmap_lost(struct segmap *m, uint32_t i)
{
    if (i < m->n)
        bits_set(m->lost, i);
    if (i == m->pending)
        m->pending = BITS_NONE;
}

void segmap_forget_lost(struct segmap *m)
{
    for (size_t w = 0; w < bits_words(m->n); w++)
        m->lost[w] = 0;
}

/* ---- what is trusted ---- */

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Where the grid has segment i. */
static struct claim on_grid(const struct segmap *m, uint32_t i)
{
    uint64_t begin = least((m->numbers[i] - UINT64_C(1)) * m->grid, m->size);

    return (struct claim){begin, (uint32_t)least(m->grid, m->size - begin), i};
}

static struct claim placed_claim(const struct segmap *m, uint32_t i)
{
    if (!m->uneven)
        return on_grid(m, i);
    const struct claim *c = claims_get(&m->placed, i);
    assert(c);
    return *c;
}

static struct anchor anchor_at(const struct segmap *m, uint32_t i)
{
    struct claim c = placed_claim(m, i);

    return (struct anchor){i, c.begin, claim_end(&c)};
}

static const struct anchor file_start = {-1, 0, 0};

static struct anchor file_end(const struct segmap *m)
{
    return (struct anchor){m->n, m->size, m->size};
}

/* The nearest trusted segment before i (from 0 to n), and behind it. */
static struct anchor trusted_before(const struct segmap *m, uint32_t i)
{
    uint32_t at = bits_before(m->trusted, i);

    return at == BITS_NONE ? file_start : anchor_at(m, at);
}

static struct anchor trusted_behind(const struct segmap *m, uint32_t i)
{
    uint32_t at = bits_next(m->trusted, i + 1, m->n);

    return at == BITS_NONE ? file_end(m) : anchor_at(m, at);
}

/* Are the segments i and i + 1 (either may be an end of the file) next to one another by number? The
 * last segment of the NZB need not be the file's last. */
static bool is_next(const struct segmap *m, int64_t i)
{
    if (i + 1 >= m->n)
        return false;
    return m->numbers[i + 1] == (i < 0 ? 0 : m->numbers[i]) + UINT64_C(1);
}

/* The grid that a claim would set in a file of `size` bytes; 0: it agrees with none. */
static uint64_t grid_of(const struct segmap *m, const struct claim *c, uint64_t size)
{
    uint64_t before = m->numbers[c->i] - UINT64_C(1);

    if (claim_end(c) < size || !before)
        return c->begin == before * c->len ? c->len : 0;
    uint64_t grid = c->begin / before;
    return grid * before == c->begin && grid >= c->len && grid <= UINT32_MAX ? grid : 0;
}

static bool is_on_grid(const struct segmap *m, const struct claim *c)
{
    if (m->uneven)
        return false;
    if (!m->grid)
        return grid_of(m, c, m->size) != 0;
    struct claim g = on_grid(m, c->i);
    return g.len && g.begin == c->begin && g.len == c->len;
}

/* Nothing that is trusted forbids it. */
static bool fits(const struct segmap *m, const struct claim *c)
{
    struct anchor before = trusted_before(m, c->i), behind = trusted_behind(m, c->i);

    if (c->begin < before.end || claim_end(c) > behind.begin)
        return false;
    bool denied = before.i + 1 == c->i && is_next(m, before.i) && c->begin != before.end;
    return !denied || behind.i != (int64_t)c->i + 1 || !is_next(m, c->i) ||
           claim_end(c) == behind.begin;
}

static bool abuts_loose(const struct segmap *m, const struct claim *c)
{
    const struct claim *a = c->i ? claims_get(&m->loose, c->i - 1) : NULL;
    const struct claim *b = claims_get(&m->loose, c->i + 1);

    return (a && claim_end(a) == c->begin && fits(m, a)) ||
           (b && b->begin == claim_end(c) && fits(m, b));
}

/* Something supports it. */
static bool is_supported(const struct segmap *m, const struct claim *c)
{
    struct anchor before = trusted_before(m, c->i), behind = trusted_behind(m, c->i);

    return is_on_grid(m, c) || (before.i + 1 == c->i && before.end == c->begin) ||
           (behind.i == (int64_t)c->i + 1 && behind.begin == claim_end(c)) || abuts_loose(m, c);
}

/* ---- learning ---- */

static bool is_possible(const struct segment_info *info)
{
    if (info->begin > info->file_size || info->len > info->file_size - info->begin)
        return false;
    if (!info->len)
        return !info->file_size;
    return info->part == 1 ? info->begin == 0 : info->part == 0 || info->begin > 0;
}

/* A size that only a loose claim told yields to a claim that agrees with itself. */
static bool overturns(const struct segmap *m, const struct claim *c, uint64_t size)
{
    return m->sized && !m->grid && !m->uneven && c->len && grid_of(m, c, size) != 0;
}

enum segmap_verdict segmap_check(const struct segmap *m, uint32_t i,
                                 const struct segment_info *info)
{
    struct claim c = {info->begin, info->len, i};

    if (i >= m->n || !is_possible(info))
        return SEGMAP_WRONG;
    if (!m->sized)
        return SEGMAP_PLAUSIBLE;
    if (info->file_size != m->size)
        return overturns(m, &c, info->file_size) ? SEGMAP_PLAUSIBLE : SEGMAP_WRONG;
    if (!m->size)
        return SEGMAP_PLAUSIBLE;
    if (bits_has(m->known, i)) {
        const struct claim *loose = claims_get(&m->loose, i);
        struct claim old = loose ? *loose : placed_claim(m, i);
        return old.begin == c.begin && old.len == c.len ? SEGMAP_PLAUSIBLE : SEGMAP_WRONG;
    }
    if (!fits(m, &c) || (bits_has(m->doubted, i) && !is_supported(m, &c)))
        return SEGMAP_WRONG;
    return SEGMAP_PLAUSIBLE;
}

/* Forget a loose claim; its segment is believed less from now on. */
static void doubt(struct segmap *m, uint32_t i)
{
    claims_drop(&m->loose, i);
    bits_clear(m->known, i);
    bits_set(m->doubted, i);
}

/* A part off the grid is trusted: from now on places stand in a table. */
static bool become_uneven(struct segmap *m)
{
    uint32_t count = 0;

    for (size_t w = 0; w < bits_words(m->n); w++)
        count += (uint32_t)__builtin_popcountll(m->trusted[w]);
    if (!claims_reserve(&m->placed, count + 1))
        return false;
    for (uint32_t i = bits_next(m->trusted, 0, m->n); i != BITS_NONE;
         i = bits_next(m->trusted, i + 1, m->n))
        m->placed.v[m->placed.n++] = on_grid(m, i);
    m->uneven = true;
    return true;
}

static bool place(struct segmap *m, struct claim c)
{
    bool even = is_on_grid(m, &c);

    if (even && !m->grid)
        m->grid = grid_of(m, &c, m->size);
    if (!even && !m->uneven && !become_uneven(m))
        return false;
    if (m->uneven && !claims_put(&m->placed, c))
        return false;
    bits_set(m->trusted, c.i);
    bits_set(m->known, c.i);
    return true;
}

/* The loose claim of segment i, if what is trusted now supports it. */
static bool promote(struct segmap *m, int64_t i)
{
    const struct claim *loose = i >= 0 && i < m->n ? claims_get(&m->loose, (uint32_t)i) : NULL;

    if (!loose || !fits(m, loose) || !is_supported(m, loose))
        return false;
    struct claim c = *loose;
    if (!place(m, c))
        return false; /* no memory: it stays loose */
    claims_drop(&m->loose, c.i);
    return true;
}

static bool place_and_promote(struct segmap *m, struct claim c)
{
    uint64_t grid = m->grid;

    if (!place(m, c))
        return false;
    for (int64_t i = (int64_t)c.i - 1; promote(m, i); i--)
        continue;
    for (int64_t i = (int64_t)c.i + 1; promote(m, i); i++)
        continue;
    if (!grid && m->grid) /* a new grid may hold others that came before it */
        for (uint32_t at = m->loose.n; at--;)
            if (at < m->loose.n)
                promote(m, m->loose.v[at].i);
    return true;
}

enum segmap_verdict segmap_learn(struct segmap *m, uint32_t i, const struct segment_info *info)
{
    struct claim c = {info->begin, info->len, i};

    if (segmap_check(m, i, info) == SEGMAP_WRONG)
        return SEGMAP_WRONG;
    if (m->sized && m->size != info->file_size)
        while (m->loose.n)
            doubt(m, m->loose.v[m->loose.n - 1].i);
    m->sized = true;
    m->size = info->file_size;
    if (!m->size || bits_has(m->known, i))
        return SEGMAP_PLAUSIBLE;
    if (is_supported(m, &c)) {
        if (!place_and_promote(m, c))
            return SEGMAP_WRONG; /* no memory to remember it: nothing is served out of it */
    } else {
        if (!claims_put(&m->loose, c))
            return SEGMAP_WRONG;
        bits_set(m->known, i);
    }
    bits_clear(m->lost, i);
    if (i == m->pending)
        m->pending = BITS_NONE;
    m->misses++;
    return SEGMAP_PLAUSIBLE;
}

/* ---- finding ---- */

static struct segmap_at ask(uint32_t i)
{
    return (struct segmap_at){.place = SEGMAP_ASK, .i = i};
}

static struct segmap_at hole(uint64_t begin, uint64_t end)
{
    return (struct segmap_at){.place = SEGMAP_HOLE, .begin = begin, .end = end};
}

/* What has been asked has led to an end. */
static struct segmap_at found(struct segmap *m, struct segmap_at at)
{
    m->misses = 0;
    return at;
}

static bool is_askable(const struct segmap *m, int64_t i)
{
    return i >= 0 && i < m->n && !bits_has(m->known, (uint32_t)i) &&
           !bits_has(m->lost, (uint32_t)i);
}

/* The askable segment nearest to `target` among those behind `a` and before `b`. */
static uint32_t askable_near(const struct segmap *m, int64_t a, int64_t b, uint32_t target)
{
    uint32_t up = bits_next_free(m->known, m->lost, target, (uint32_t)b);
    uint32_t down = bits_before_free(m->known, m->lost, target);

    if (down != BITS_NONE && (int64_t)down <= a)
        down = BITS_NONE;
    if (up == BITS_NONE || down == BITS_NONE)
        return up == BITS_NONE ? down : up;
    return up - target <= target - down ? up : down;
}

/* The first segment whose number is at least `number`. */
static uint32_t index_of(const struct segmap *m, uint64_t number)
{
    uint32_t lo = 0, hi = m->n;

    if (number && number <= m->n && m->numbers[number - 1] == number)
        return (uint32_t)number - 1; /* no gap up to here */
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (m->numbers[mid] < number)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static struct segmap_at find_first(const struct segmap *m)
{
    if (!m->n)
        return hole(0, UINT64_MAX);
    uint32_t i = bits_has(m->lost, 0) ? m->n - 1 : 0;

    if (bits_has(m->lost, i))
        i = bits_next_free(m->known, m->lost, 0, m->n);
    return i == BITS_NONE ? hole(0, UINT64_MAX) : ask(i);
}

/* How much the neighbour i + step of the loose claim c speaks against it. */
static unsigned denial(const struct segmap *m, const struct claim *c, int step)
{
    int64_t i = (int64_t)c->i + step;

    if (!is_next(m, step < 0 ? i : (int64_t)c->i))
        return 0;
    if (i < 0 || bits_has(m->trusted, (uint32_t)i))
        return 2; /* it would be trusted itself if they touched */
    return bits_has(m->known, (uint32_t)i) ? 1 : 0;
}

static unsigned denials(const struct segmap *m, const struct claim *c)
{
    return denial(m, c, -1) + denial(m, c, 1);
}

/* Bring the loose claim of segment i nearer to its end: true with what to do in *at; false when nothing
 * can be done about it. */
static bool settle(struct segmap *m, uint32_t i, uint64_t off, struct segmap_at *at)
{
    struct claim c = *claims_get(&m->loose, i);
    int first = off < c.begin ? -1 : 1;
    uint32_t culprit = i;

    *at = (struct segmap_at){.place = SEGMAP_DOUBT, .i = i};
    if (fits(m, &c)) {
        for (int step = first, k = 0; k < 4; k++, step = k == 2 ? 2 * first : -step) {
            /* its neighbours; then, where they are loose too, those behind them */
            int64_t from = (int64_t)c.i + step, near = (int64_t)c.i + step / 2;
            if (!is_askable(m, from) || !is_next(m, step < 0 ? from : from - 1))
                continue;
            if (k >= 2 && !(denial(m, &c, step / 2) == 1 && near >= 0))
                continue;
            *at = ask((uint32_t)from);
            return true;
        }
        unsigned against = denials(m, &c);
        if (!against)
            return false;
        for (int step = -1; step <= 1; step += 2) {
            const struct claim *other = denial(m, &c, step) == 1
                                            ? claims_get(&m->loose, (uint32_t)((int64_t)i + step))
                                            : NULL;
            if (other && denials(m, other) > against)
                culprit = other->i;
        }
    }
    doubt(m, culprit);
    m->pending = at->i = culprit;
    return true;
}

/* Settle what is loose between *a and *b. Where nothing more can be done, the claims narrow the search:
 * *a and *b move, and one that would hold the byte itself is a hole. */
static bool settle_between(struct segmap *m, int64_t *a, int64_t *b, uint64_t off,
                           struct segmap_at *at)
{
    const int64_t hi = *b;
    struct segmap_at inside = {.place = SEGMAP_ASK};
    uint32_t from = claims_rank(&m->loose, (uint32_t)(*a + 1));

    for (uint32_t k = from; k < m->loose.n && m->loose.v[k].i < hi; k++) {
        struct claim c = m->loose.v[k];
        if (settle(m, c.i, off, at))
            return true;
        if (c.begin <= off && off < claim_end(&c)) {
            inside = hole(c.begin, claim_end(&c));
        } else if (c.begin <= off) {
            *a = c.i;
            *b = hi;
        } else if (*b == hi) {
            *b = c.i;
        }
    }
    if (inside.place != SEGMAP_HOLE)
        return false;
    *at = found(m, inside);
    return true;
}

/* The length of part `i`, where its neighbour i + step has the same; else 0. */
static uint64_t steady_len(const struct segmap *m, const struct anchor *x, int step)
{
    int64_t i = x->i + step;

    if (x->i < 0 || x->i >= m->n || i < 0 || i >= m->n || !bits_has(m->trusted, (uint32_t)i))
        return 0;
    struct anchor y = anchor_at(m, (uint32_t)i);
    return y.end - y.begin == x->end - x->begin ? x->end - x->begin : 0;
}

/* Uneven: which segment may hold the byte? Between a and b, exclusively. */
static uint32_t guess(const struct segmap *m, const struct anchor *lo, const struct anchor *hi,
                      int64_t a, int64_t b, uint64_t off)
{
    uint64_t from = lo->i < 0 ? 0 : m->numbers[lo->i];
    uint64_t to = hi->i < m->n ? m->numbers[hi->i] : m->parts + UINT64_C(1);
    uint64_t slots = to > from + 1 ? to - from - 1 : 1;
    uint64_t mean = (hi->begin - lo->end) / slots;
    uint64_t len = steady_len(m, lo, -1), number;

    if (off == lo->end)
        number = from + 1;
    else if (m->misses > MISSES_MOST)
        return (uint32_t)((a + b) / 2);
    else if (len && (off - lo->end) / len < slots)
        number = from + 1 + (off - lo->end) / len;
    else if ((len = steady_len(m, hi, 1)) && (hi->begin - 1 - off) / len < slots)
        number = to - 1 - (hi->begin - 1 - off) / len;
    else
        number = from + 1 + (off - lo->end) / (mean ? mean : 1);
    int64_t i = index_of(m, number);
    return (uint32_t)(i <= a ? a + 1 : i >= b ? b - 1 : i);
}

static struct segmap_at find_uneven(struct segmap *m, struct anchor lo, struct anchor hi,
                                    uint64_t off)
{
    struct segmap_at at;
    int64_t a = lo.i, b = hi.i;

    if (settle_between(m, &a, &b, off, &at))
        return at;
    uint32_t i = BITS_NONE;
    if (b - a >= 2)
        i = askable_near(m, a, b, guess(m, &lo, &hi, a, b, off));
    return i == BITS_NONE ? found(m, hole(lo.end, hi.begin)) : ask(i);
}

/* `i`: where the grid has the byte, or the first segment behind it where its number is missing. */
static struct segmap_at find_even(struct segmap *m, struct anchor lo, struct anchor hi, uint32_t i,
                                  bool is_there, uint64_t off)
{
    struct segmap_at at;
    int64_t a = lo.i, b = hi.i;

    if (is_there && is_askable(m, i)) {
        struct claim c = on_grid(m, i);
        return (struct segmap_at){SEGMAP_HERE, i, c.begin, claim_end(&c), false};
    }
    if (is_there && claims_get(&m->loose, i) && settle(m, i, off, &at))
        return at;
    /* Lost, or not in the NZB: when the grid is right, those around it will say so. */
    uint32_t next = b - a < 2 ? BITS_NONE : askable_near(m, a, b, i);
    if (next != BITS_NONE)
        return ask(next);
    if (settle_between(m, &a, &b, off, &at))
        return at;
    return hole(lo.end, hi.begin);
}

struct segmap_at segmap_find(struct segmap *m, uint64_t off)
{
    struct anchor lo = file_start, hi;
    uint32_t i = 0;
    bool is_there = false;

    if (!m->sized)
        return find_first(m);
    if (off >= m->size)
        return (struct segmap_at){.place = SEGMAP_EOF, .begin = m->size, .end = m->size};
    hi = file_end(m);
    if (m->uneven) {
        uint32_t k = claims_rank_off(&m->placed, off);
        if (k)
            lo = anchor_at(m, m->placed.v[k - 1].i);
        if (k < m->placed.n)
            hi = anchor_at(m, m->placed.v[k].i);
    } else if (m->grid) {
        i = index_of(m, off / m->grid + 1);
        is_there = i < m->n && m->numbers[i] == off / m->grid + 1;
        lo = trusted_before(m, is_there ? i + 1 : i);
        if (i < m->n)
            hi = is_there || !bits_has(m->trusted, i) ? trusted_behind(m, i) : anchor_at(m, i);
    }
    if (lo.i >= 0 && off < lo.end)
        return found(m, (struct segmap_at){SEGMAP_HERE, (uint32_t)lo.i, lo.begin, lo.end, true});
    if (m->pending != BITS_NONE) /* whoever asks again is told again */
        return (struct segmap_at){.place = SEGMAP_DOUBT, .i = m->pending};
    return m->grid && !m->uneven ? find_even(m, lo, hi, i, is_there, off)
                                 : find_uneven(m, lo, hi, off);
}
