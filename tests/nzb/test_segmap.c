#include "nzb/segmap.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* ---- a post, and a reader that asks the map as fs does ---- */

enum article { HONEST, LIE_ONCE, LIE_ALWAYS, GONE };

struct part {
    uint64_t begin;
    uint32_t len, number;
    enum article article;
    uint64_t lie_begin;
    uint32_t lie_len;
    uint64_t lie_size;
};

struct post {
    struct part *parts; /* those that the NZB has */
    uint32_t *numbers;
    uint32_t n, all;
    uint64_t size;
    struct segmap *map;
    unsigned fetches;
    unsigned *tries;
};

static uint64_t dice_state;

static uint64_t dice(uint64_t below)
{
    dice_state ^= dice_state << 13;
    dice_state ^= dice_state >> 7;
    dice_state ^= dice_state << 17;
    return dice_state % below;
}

static void *must(void *p)
{
    if (!p)
        abort();
    return p;
}

static void post_init(struct post *p, const uint32_t *lens, uint32_t n)
{
    *p = (struct post){.n = n, .all = n};
    p->parts = must(calloc(n + 1, sizeof(*p->parts)));
    p->numbers = must(calloc(n + 1, sizeof(*p->numbers)));
    p->tries = must(calloc(n + 1, sizeof(*p->tries)));
    for (uint32_t i = 0; i < n; i++) {
        p->parts[i] = (struct part){.begin = p->size, .len = lens[i], .number = i + 1};
        p->size += lens[i];
    }
}

static void post_uniform(struct post *p, uint32_t n, uint32_t len, uint32_t last)
{
    uint32_t *lens = must(calloc(n + 1, sizeof(*lens)));
    for (uint32_t i = 0; i < n; i++)
        lens[i] = i + 1 < n ? len : last;
    post_init(p, lens, n);
    free(lens);
}

/* The NZB lacks the segment with this number. */
static void post_leave_out(struct post *p, uint32_t number)
{
    for (uint32_t i = 0; i < p->n; i++)
        if (p->parts[i].number == number) {
            memmove(p->parts + i, p->parts + i + 1, (p->n - i - 1) * sizeof(*p->parts));
            p->n--;
            return;
        }
}

static void post_ready(struct post *p)
{
    for (uint32_t i = 0; i < p->n; i++)
        p->numbers[i] = p->parts[i].number;
    p->map = must(segmap_new(p->numbers, p->n, p->all));
}

static void post_fini(struct post *p)
{
    segmap_free(p->map);
    free(p->parts);
    free(p->numbers);
    free(p->tries);
}

static struct segment_info truth(const struct post *p, uint32_t i)
{
    return (struct segment_info){.file_size = p->size,
                                 .begin = p->parts[i].begin,
                                 .len = p->parts[i].len,
                                 .part = p->parts[i].number,
                                 .total = p->all,
                                 .name = ""};
}

/* Fetch segment i from two providers, the second asked when the map refuses what the first had. */
static void fetch(struct post *p, uint32_t i)
{
    const struct part *part = &p->parts[i];

    p->fetches++;
    ck_assert_uint_lt(i, p->n);
    if (part->article == GONE) {
        segmap_lost(p->map, i);
        return;
    }
    struct segment_info lie = {.file_size = part->lie_size ? part->lie_size : p->size,
                               .begin = part->lie_begin,
                               .len = part->lie_len};
    struct segment_info honest = truth(p, i);
    bool lies = part->article == LIE_ONCE || part->article == LIE_ALWAYS;
    if (lies && segmap_learn(p->map, i, &lie) == SEGMAP_PLAUSIBLE)
        return;
    if (part->article == LIE_ALWAYS || segmap_learn(p->map, i, &honest) == SEGMAP_WRONG)
        segmap_lost(p->map, i);
}

/* Where the byte is when all has been asked that had to be. */
static struct segmap_at look(struct post *p, uint64_t off)
{
    for (unsigned steps = 0;; steps++) {
        struct segmap_at at = segmap_find(p->map, off);
        ck_assert_msg(steps < 5 * p->n + 5, "the search for byte %llu does not end",
                      (unsigned long long)off);
        switch (at.place) {
        case SEGMAP_HERE:
            ck_assert(at.begin <= off && off < at.end);
            if (at.learnt)
                return at;
            fetch(p, at.i);
            break;
        case SEGMAP_ASK:
        case SEGMAP_DOUBT:
            fetch(p, at.i);
            break;
        case SEGMAP_HOLE:
            ck_assert(at.begin <= off && off < at.end);
            return at;
        case SEGMAP_EOF:
            return at;
        }
    }
}

/* Which segment truly holds the byte; n: none that the NZB has. */
static uint32_t holder(const struct post *p, uint64_t off)
{
    uint32_t lo = 0, hi = p->n;

    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (p->parts[mid].begin + p->parts[mid].len <= off)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < p->n && p->parts[lo].begin <= off ? lo : p->n;
}

static void expect_byte(struct post *p, uint64_t off)
{
    struct segmap_at at = look(p, off);
    uint32_t i = holder(p, off);

    ck_assert_int_eq(at.place, i < p->n ? SEGMAP_HERE : SEGMAP_HOLE);
    if (i < p->n) {
        ck_assert_uint_eq(at.i, i);
        ck_assert_uint_eq(at.begin, p->parts[i].begin);
        ck_assert_uint_eq(at.end, p->parts[i].begin + p->parts[i].len);
    }
}

static void expect_whole_file(struct post *p)
{
    for (uint64_t off = 0; off < p->size;) {
        struct segmap_at at = look(p, off);
        expect_byte(p, off);
        ck_assert_uint_gt(at.end, off);
        off = at.end;
    }
    ck_assert_int_eq(look(p, p->size).place, SEGMAP_EOF);
}

static enum segmap_verdict learn(struct post *p, uint32_t i, uint64_t size, uint64_t begin,
                                 uint32_t len)
{
    struct segment_info info = {.file_size = size, .begin = begin, .len = len};

    return segmap_learn(p->map, i, &info);
}

/* ---- even files ---- */

START_TEST(a_uniform_file_costs_one_article_for_each_segment)
{
    struct post p;

    post_uniform(&p, 100, 1000, 317);
    post_ready(&p);
    expect_whole_file(&p);
    ck_assert_uint_eq(p.fetches, 100);
    post_fini(&p);
}
END_TEST

START_TEST(a_read_elsewhere_first_asks_for_the_first_segment_and_then_its_own)
{
    struct post p;

    post_uniform(&p, 1 << 20, 716800, 5);
    post_ready(&p);
    expect_byte(&p, UINT64_C(716800) * 777777 + 3);
    ck_assert_uint_eq(p.fetches, 2);
    expect_byte(&p, p.size - 1);
    ck_assert_uint_eq(p.fetches, 3);
    post_fini(&p);
}
END_TEST

START_TEST(the_size_is_known_after_one_article_and_not_before)
{
    struct post p;
    uint64_t size;

    post_uniform(&p, 10, 1000, 1);
    post_ready(&p);
    ck_assert(!segmap_size(p.map, &size));
    ck_assert_int_eq(segmap_find(p.map, 0).place, SEGMAP_ASK);
    look(&p, 0);
    ck_assert(segmap_size(p.map, &size));
    ck_assert_uint_eq(size, 9001);
    ck_assert_uint_eq(p.fetches, 1);
    post_fini(&p);
}
END_TEST

START_TEST(a_prediction_says_that_it_is_one)
{
    struct post p;

    post_uniform(&p, 10, 1000, 1000);
    post_ready(&p);
    look(&p, 0);
    struct segmap_at at = segmap_find(p.map, 4500);
    ck_assert_int_eq(at.place, SEGMAP_HERE);
    ck_assert_uint_eq(at.i, 4);
    ck_assert(!at.learnt);
    ck_assert_uint_eq(at.begin, 4000);
    ck_assert_uint_eq(at.end, 5000);
    post_fini(&p);
}
END_TEST

START_TEST(gaps_in_the_numbers_keep_the_grid_and_are_holes)
{
    struct post p;

    post_uniform(&p, 50, 1000, 400);
    static const uint32_t gone[] = {3, 10, 11, 12, 49};
    for (size_t k = 0; k < 5; k++)
        post_leave_out(&p, gone[k]);
    post_ready(&p);
    expect_whole_file(&p);
    ck_assert_uint_eq(p.fetches, 45);
    struct segmap_at at = look(&p, 10500);
    ck_assert_uint_eq(at.begin, 9000);
    ck_assert_uint_eq(at.end, 12000);
    post_fini(&p);
}
END_TEST

START_TEST(a_lost_first_segment_leaves_the_rest_readable)
{
    struct post p;

    post_uniform(&p, 20, 1000, 400);
    p.parts[0].article = GONE;
    post_ready(&p);
    for (uint32_t i = 1; i < 20; i++)
        expect_byte(&p, i * 1000 + 7);
    ck_assert_int_eq(look(&p, 500).place, SEGMAP_HOLE);
    ck_assert_uint_eq(look(&p, 500).end, 1000);
    ck_assert_uint_eq(p.fetches, 20);
    post_fini(&p);
}
END_TEST

START_TEST(a_missing_first_and_last_segment_leave_the_rest_readable)
{
    struct post p;

    post_uniform(&p, 20, 1000, 400);
    post_leave_out(&p, 1);
    post_leave_out(&p, 20);
    post_ready(&p);
    expect_whole_file(&p);
    ck_assert_uint_eq(p.fetches, 18);
    post_fini(&p);
}
END_TEST

START_TEST(all_lost_is_a_hole_until_that_is_forgotten)
{
    struct post p;

    post_uniform(&p, 200, 1000, 400);
    for (uint32_t i = 0; i < 200; i++)
        p.parts[i].article = GONE;
    post_ready(&p);
    ck_assert_int_eq(look(&p, 0).place, SEGMAP_HOLE);
    ck_assert_uint_eq(p.fetches, 200);
    segmap_forget_lost(p.map);
    for (uint32_t i = 0; i < 200; i++)
        p.parts[i].article = HONEST;
    expect_whole_file(&p);
    post_fini(&p);
}
END_TEST

START_TEST(a_lost_segment_in_the_middle_is_exactly_that_hole)
{
    struct post p;

    post_uniform(&p, 100, 1000, 400);
    p.parts[40].article = GONE;
    post_ready(&p);
    struct segmap_at at = look(&p, 40500);
    ck_assert_int_eq(at.place, SEGMAP_HOLE);
    ck_assert_uint_eq(at.begin, 40000);
    ck_assert_uint_eq(at.end, 41000);
    ck_assert_uint_le(p.fetches, 4); /* the first, itself, and those around it */
    post_fini(&p);
}
END_TEST

START_TEST(a_file_of_one_part_or_of_none_is_a_file)
{
    struct post p;

    post_uniform(&p, 1, 0, 555);
    post_ready(&p);
    expect_whole_file(&p);
    ck_assert_uint_eq(p.fetches, 1);
    post_fini(&p);

    post_uniform(&p, 1, 0, 0);
    post_ready(&p);
    ck_assert_int_eq(look(&p, 0).place, SEGMAP_EOF);
    ck_assert_uint_eq(p.fetches, 1);
    post_fini(&p);

    struct segmap *none = segmap_new(NULL, 0, 0);
    ck_assert_int_eq(segmap_find(none, 0).place, SEGMAP_HOLE);
    segmap_free(none);
}
END_TEST

/* ---- uneven files ---- */

START_TEST(a_first_part_of_odd_size_is_found_out)
{
    uint32_t lens[60] = {77};
    struct post p;

    for (uint32_t i = 1; i < 60; i++)
        lens[i] = 1000;
    post_init(&p, lens, 60);
    post_ready(&p);
    expect_byte(&p, 30000);
    ck_assert_uint_le(p.fetches, 6);
    expect_whole_file(&p);
    ck_assert_uint_eq(p.fetches, 60);
    post_fini(&p);
}
END_TEST

START_TEST(a_part_of_odd_size_in_the_middle_shifts_what_follows)
{
    uint32_t lens[60];
    struct post p;

    for (uint32_t i = 0; i < 60; i++)
        lens[i] = i == 25 ? 400 : 1000;
    post_init(&p, lens, 60);
    post_ready(&p);
    expect_byte(&p, 40100);
    expect_byte(&p, 24999);
    expect_byte(&p, 25399);
    expect_byte(&p, 25400);
    expect_whole_file(&p);
    ck_assert_uint_le(p.fetches, 60);
    post_fini(&p);
}
END_TEST

START_TEST(parts_of_random_size_are_found_in_logarithmic_time)
{
    enum { N = 1 << 14 };
    uint32_t *lens = must(calloc(N, sizeof(*lens)));
    struct post p;
    unsigned most = 0, sum = 0;

    dice_state = 42;
    for (uint32_t i = 0; i < N; i++)
        lens[i] = 1 + (uint32_t)dice(i % 7 ? 1000 : 100000);
    for (unsigned k = 0; k < 40; k++) {
        post_init(&p, lens, N);
        post_ready(&p);
        expect_byte(&p, dice(p.size));
        most = p.fetches > most ? p.fetches : most;
        sum += p.fetches;
        post_fini(&p);
    }
    free(lens);
    ck_assert_msg(most <= 10 + 2 * 14 && sum <= 40 * 14, "at most %u, %u and %u/40 in the mean",
                  most, sum / 40, sum % 40);
}
END_TEST

START_TEST(sizes_that_double_again_and_again_do_not_make_the_search_linear)
{
    enum { N = 4096 };
    uint32_t *lens = must(calloc(N, sizeof(*lens)));
    struct post p;

    dice_state = 43;
    for (uint32_t i = 0; i < N; i++)
        lens[i] = (UINT32_C(1) << (_i ? N - 1 - i : i) / 128) + i % 3;
    for (unsigned k = 0; k < 50; k++) {
        post_init(&p, lens, N);
        post_ready(&p);
        expect_byte(&p, p.parts[dice(N)].begin);
        ck_assert_uint_le(p.fetches, 1 + 10 + 2 * 12 + 2);
        post_fini(&p);
    }
    free(lens);
}
END_TEST

START_TEST(reading_an_uneven_file_in_order_costs_one_article_for_each_segment)
{
    enum { N = 300 };
    uint32_t lens[N];
    struct post p;

    dice_state = 44;
    for (uint32_t i = 0; i < N; i++)
        lens[i] = 1 + (uint32_t)dice(5000);
    post_init(&p, lens, N);
    post_ready(&p);
    expect_whole_file(&p);
    ck_assert_uint_eq(p.fetches, N);
    post_fini(&p);
}
END_TEST

/* ---- wrong articles ---- */

START_TEST(an_article_that_stands_elsewhere_is_doubted_and_had_from_another_provider)
{
    struct post p;

    post_uniform(&p, 100, 1000, 400);
    p.parts[30] = (struct part){.begin = 30000,
                                .len = 1000,
                                .number = 31,
                                .article = LIE_ONCE,
                                .lie_begin = 70000,
                                .lie_len = 1000};
    post_ready(&p);
    expect_whole_file(&p);
    ck_assert_uint_le(p.fetches, 101);
    post_fini(&p);
}
END_TEST

START_TEST(a_doubted_claim_is_refused_from_then_on)
{
    struct post p;
    struct segment_info lie = {.file_size = 10000, .begin = 7000, .len = 500};

    post_uniform(&p, 10, 1000, 1000);
    post_ready(&p);
    learn(&p, 0, 10000, 0, 1000);
    ck_assert_int_eq(segmap_learn(p.map, 2, &lie), SEGMAP_PLAUSIBLE);
    ck_assert_int_eq(segmap_find(p.map, 2500).place, SEGMAP_ASK);
    learn(&p, 3, 10000, 3000, 1000);
    struct segmap_at at = segmap_find(p.map, 2500);
    ck_assert_int_eq(at.place, SEGMAP_DOUBT);
    ck_assert_uint_eq(at.i, 2);
    ck_assert_int_eq(segmap_check(p.map, 2, &lie), SEGMAP_WRONG);
    ck_assert_int_eq(segmap_find(p.map, 2500).place, SEGMAP_DOUBT); /* whoever asks */
    ck_assert_int_eq(segmap_find(p.map, 500).place, SEGMAP_HERE);
    ck_assert_int_eq(learn(&p, 2, 10000, 2000, 1000), SEGMAP_PLAUSIBLE);
    ck_assert(segmap_find(p.map, 2500).learnt);
    post_fini(&p);
}
END_TEST

START_TEST(what_contradicts_trusted_parts_or_itself_is_wrong_at_once)
{
    struct post p;
    struct segment_info bad_first = {.file_size = 10000, .begin = 1000, .len = 1000, .part = 1};
    struct segment_info bad_third = {.file_size = 10000, .begin = 0, .len = 1000, .part = 3};

    post_uniform(&p, 10, 1000, 1000);
    post_ready(&p);
    ck_assert_int_eq(segmap_learn(p.map, 0, &bad_first), SEGMAP_WRONG);
    ck_assert_int_eq(segmap_learn(p.map, 2, &bad_third), SEGMAP_WRONG);
    ck_assert_int_eq(learn(&p, 10, 10000, 0, 1000), SEGMAP_WRONG); /* no such segment */
    ck_assert_int_eq(learn(&p, 0, 10000, 0, 1000), SEGMAP_PLAUSIBLE);
    ck_assert_int_eq(learn(&p, 4, 10000, 4000, 1000), SEGMAP_PLAUSIBLE);
    ck_assert_int_eq(learn(&p, 5, 10001, 5000, 1000), SEGMAP_WRONG); /* another size */
    ck_assert_int_eq(learn(&p, 5, 10000, 4500, 1000), SEGMAP_WRONG); /* overlaps */
    ck_assert_int_eq(learn(&p, 5, 10000, 3000, 1000), SEGMAP_WRONG); /* before the 4th */
    ck_assert_int_eq(learn(&p, 5, 10000, 9500, 1000), SEGMAP_WRONG); /* beyond the end */
    ck_assert_int_eq(learn(&p, 5, 10000, UINT64_MAX - 5, 1000), SEGMAP_WRONG);
    ck_assert_int_eq(learn(&p, 5, 10000, 5000, 0), SEGMAP_WRONG);   /* empty */
    ck_assert_int_eq(learn(&p, 4, 10000, 4000, 999), SEGMAP_WRONG); /* said otherwise before */
    ck_assert_int_eq(learn(&p, 4, 10000, 4000, 1000), SEGMAP_PLAUSIBLE);
    ck_assert_int_eq(learn(&p, 2, 10000, 1000, 2999), SEGMAP_PLAUSIBLE); /* might be so */
    post_fini(&p);
}
END_TEST

START_TEST(a_gap_between_trusted_neighbours_cannot_be_filled_by_what_touches_neither)
{
    struct post p;

    post_uniform(&p, 10, 1000, 1000);
    post_ready(&p);
    learn(&p, 3, 10000, 3000, 1000);
    learn(&p, 5, 10000, 5000, 1000);
    ck_assert_int_eq(learn(&p, 4, 10000, 4001, 998), SEGMAP_WRONG);
    ck_assert_int_eq(learn(&p, 4, 10000, 4000, 1000), SEGMAP_PLAUSIBLE);
    post_fini(&p);
}
END_TEST

START_TEST(a_size_that_only_an_unsupported_claim_told_is_overturned)
{
    struct post p;
    uint64_t size;

    post_uniform(&p, 10, 1000, 1000);
    post_ready(&p);
    ck_assert_int_eq(learn(&p, 3, 777777, 70001, 1000), SEGMAP_PLAUSIBLE);
    ck_assert_int_eq(learn(&p, 4, 10000, 4000, 1000), SEGMAP_PLAUSIBLE);
    ck_assert(segmap_size(p.map, &size));
    ck_assert_uint_eq(size, 10000);
    expect_whole_file(&p);
    post_fini(&p);
}
END_TEST

START_TEST(numbers_that_hide_a_missing_part_leave_a_hole)
{
    uint32_t lens[30];
    struct post p;

    for (uint32_t i = 0; i < 30; i++)
        lens[i] = 1000;
    post_init(&p, lens, 30);
    post_leave_out(&p, 12);
    for (uint32_t i = 0; i < p.n; i++)
        p.parts[i].number = i + 1; /* as if nothing were missing */
    post_ready(&p);
    expect_whole_file(&p);
    post_fini(&p);
}
END_TEST

/* ---- properties ---- */

static void random_shape(uint32_t *lens, uint32_t n)
{
    uint32_t len = 10 + (uint32_t)dice(1000);
    uint64_t kind = dice(5), odd = dice(n);

    for (uint32_t i = 0; i < n; i++)
        lens[i] = len;
    if (kind == 1)
        lens[0] = 1 + (uint32_t)dice(2000);
    if (kind == 2)
        lens[odd] = 1 + (uint32_t)dice(2000);
    if (kind == 3)
        for (uint32_t i = 0; i < n; i++)
            lens[i] = 1 + (uint32_t)dice(2000);
    if (kind == 4)
        for (uint32_t i = 0; i < n; i++)
            lens[i] = i < odd ? len : len + 1;
    if (kind != 3)
        lens[n - 1] = 1 + (uint32_t)dice(lens[n - 1]);
}

/* A lie that neighbours can tell from the truth: it agrees with no grid, and touches nothing that is
 * really there. */
static void make_lie(struct post *p, uint32_t i)
{
    struct part *part = &p->parts[i];

    for (unsigned tries = 0; tries < 50; tries++) {
        uint64_t begin = dice(p->size), len = 1 + dice(2000), number = part->number - 1;
        bool good = len <= p->size - begin && begin > 0 && begin + len < p->size &&
                    begin != number * len && begin != number * p->parts[0].len;
        for (uint32_t k = 0; k < p->n && good; k++)
            good = begin != p->parts[k].begin + p->parts[k].len && begin + len != p->parts[k].begin;
        if (!good)
            continue;
        part->article = dice(2) ? LIE_ONCE : LIE_ALWAYS;
        part->lie_begin = begin;
        part->lie_len = (uint32_t)len;
        return;
    }
}

START_TEST(honest_files_of_any_shape_are_read_exactly)
{
    uint32_t lens[80];
    struct post p;

    dice_state = 1000 + (uint64_t)_i;
    for (unsigned round = 0; round < 100; round++) {
        uint32_t n = 1 + (uint32_t)dice(80);
        random_shape(lens, n);
        post_init(&p, lens, n);
        post_ready(&p);
        for (uint64_t k = dice(20); k; k--)
            expect_byte(&p, dice(p.size));
        expect_whole_file(&p);
        ck_assert_uint_le(p.fetches, n);
        post_fini(&p);
    }
}
END_TEST

START_TEST(no_byte_is_ever_misplaced)
{
    uint32_t lens[80];
    struct post p;

    dice_state = 2000 + (uint64_t)_i;
    for (unsigned round = 0; round < 100; round++) {
        uint32_t n = 2 + (uint32_t)dice(79);
        random_shape(lens, n);
        post_init(&p, lens, n);
        for (uint64_t k = dice(4); k && p.n > 1; k--)
            post_leave_out(&p, 1 + (uint32_t)dice(n));
        for (uint64_t k = dice(4); k; k--)
            p.parts[dice(p.n)].article = GONE;
        for (uint64_t k = dice(4); k; k--)
            make_lie(&p, (uint32_t)dice(p.n));
        post_ready(&p);
        for (unsigned k = 0; k < 60; k++) {
            uint64_t off = dice(p.size);
            struct segmap_at at = look(&p, off);
            if (at.place != SEGMAP_HERE)
                continue;
            uint32_t i = holder(&p, off);
            ck_assert_uint_eq(at.i, i);
            ck_assert_uint_eq(at.begin, p.parts[i].begin);
            ck_assert_uint_eq(at.end, p.parts[i].begin + p.parts[i].len);
        }
        if (dice(2))
            segmap_forget_lost(p.map);
        for (uint64_t off = 0; off < p.size; off += 1 + dice(300))
            if (look(&p, off).place == SEGMAP_HERE)
                ck_assert_uint_eq(look(&p, off).i, holder(&p, off));
        post_fini(&p);
    }
}
END_TEST

START_TEST(one_lie_in_an_even_file_costs_only_its_own_part)
{
    struct post p;

    dice_state = 3000 + (uint64_t)_i;
    for (unsigned round = 0; round < 100; round++) {
        uint32_t n = 4 + (uint32_t)dice(60), bad = 1 + (uint32_t)dice(n - 1);
        post_uniform(&p, n, 1000, 1 + (uint32_t)dice(999));
        make_lie(&p, bad);
        post_ready(&p);
        for (unsigned k = 0; k < 2 * n; k++) {
            uint64_t off = dice(p.size);
            uint32_t i = holder(&p, off);
            struct segmap_at at = look(&p, off);
            if (i == bad && p.parts[bad].article == LIE_ALWAYS)
                ck_assert_int_eq(at.place, SEGMAP_HOLE);
            else
                ck_assert(at.place == SEGMAP_HERE && at.i == i);
        }
        ck_assert_uint_le(p.fetches, n + 2);
        post_fini(&p);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("nzb/segmap");
    TCase *t = tcase_create("even");

    tcase_add_test(t, a_uniform_file_costs_one_article_for_each_segment);
    tcase_add_test(t, a_read_elsewhere_first_asks_for_the_first_segment_and_then_its_own);
    tcase_add_test(t, the_size_is_known_after_one_article_and_not_before);
    tcase_add_test(t, a_prediction_says_that_it_is_one);
    tcase_add_test(t, gaps_in_the_numbers_keep_the_grid_and_are_holes);
    tcase_add_test(t, a_lost_first_segment_leaves_the_rest_readable);
    tcase_add_test(t, a_missing_first_and_last_segment_leave_the_rest_readable);
    tcase_add_test(t, all_lost_is_a_hole_until_that_is_forgotten);
    tcase_add_test(t, a_lost_segment_in_the_middle_is_exactly_that_hole);
    tcase_add_test(t, a_file_of_one_part_or_of_none_is_a_file);
    suite_add_tcase(s, t);

    t = tcase_create("uneven");
    tcase_add_test(t, a_first_part_of_odd_size_is_found_out);
    tcase_add_test(t, a_part_of_odd_size_in_the_middle_shifts_what_follows);
    tcase_add_test(t, parts_of_random_size_are_found_in_logarithmic_time);
    tcase_add_loop_test(t, sizes_that_double_again_and_again_do_not_make_the_search_linear, 0, 2);
    tcase_add_test(t, reading_an_uneven_file_in_order_costs_one_article_for_each_segment);
    suite_add_tcase(s, t);

    t = tcase_create("wrong");
    tcase_add_test(t, an_article_that_stands_elsewhere_is_doubted_and_had_from_another_provider);
    tcase_add_test(t, a_doubted_claim_is_refused_from_then_on);
    tcase_add_test(t, what_contradicts_trusted_parts_or_itself_is_wrong_at_once);
    tcase_add_test(t, a_gap_between_trusted_neighbours_cannot_be_filled_by_what_touches_neither);
    tcase_add_test(t, a_size_that_only_an_unsupported_claim_told_is_overturned);
    tcase_add_test(t, numbers_that_hide_a_missing_part_leave_a_hole);
    suite_add_tcase(s, t);

    t = tcase_create("properties");
    tcase_add_loop_test(t, honest_files_of_any_shape_are_read_exactly, 0, 8);
    tcase_add_loop_test(t, no_byte_is_ever_misplaced, 0, 12);
    tcase_add_loop_test(t, one_lie_in_an_even_file_costs_only_its_own_part, 0, 5);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    SRunner *r = srunner_create(suite());

    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
