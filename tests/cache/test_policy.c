#include "cache/policy.h"

#include "tests/cache/trace.h"

#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* The policy against plain LRU, on patterns of a mount. Memory is 341 blocks of 768 KiB, 256 MiB, unless
 * said otherwise. Hit rates are in a thousand; the bounds are what was measured, with a little air. */

#define MEMORY 341
#define READS  6 /* of 128 KiB each, in which a player takes a block */

static struct trace trace;

static void set_up(void)
{
    trace_init(&trace, 42);
}

static void tear_down(void)
{
    trace_fini(&trace);
}

static void pass(uint32_t first, uint32_t n)
{
    for (uint32_t k = 0; k < n; k++)
        trace_add(&trace, first + k, READS);
}

/** `gain` in a thousand above LRU at least (below, where negative). */
static void expect_gain(uint32_t blocks, int gain)
{
    int ours = (int)trace_permille(trace_run(&trace, blocks));
    int lru = (int)trace_permille(trace_run_lru(&trace, blocks));

    if (getenv("NZBFS_SHOW"))
        printf("%d %d\n", ours, lru);
    ck_assert_msg(ours >= lru + gain, "policy %d, LRU %d, expected a gain of %d", ours, lru, gain);
}

/* --- patterns ------------------------------------------------------------------------------------ */

START_TEST(a_hot_set_survives_a_scan)
{
    /* A hundred blocks of heads and indexes, one asked for between every ten of a long pass. */
    for (uint32_t k = 0; k < 20000; k++) {
        trace_add(&trace, 1000 + k, READS);
        if (k % 10 == 0)
            trace_add(&trace, trace_roll(&trace, 100), 1);
    }
    expect_gain(MEMORY, 50); /* of 91 that can be had */
}
END_TEST

START_TEST(a_hot_set_of_half_the_memory_survives_a_scan)
{
    for (uint32_t k = 0; k < 20000; k++) {
        trace_add(&trace, 1000 + k, READS);
        if (k % 4 == 0)
            trace_add(&trace, trace_roll(&trace, MEMORY / 2), 1);
    }
    expect_gain(MEMORY, 110); /* of 200 */
}
END_TEST

START_TEST(a_loop_larger_than_memory_is_kept_in_part)
{
    for (unsigned round = 0; round < 30; round++)
        pass(0, MEMORY * 11 / 10);
    expect_gain(MEMORY, 500);
}
END_TEST

START_TEST(a_loop_half_as_large_again_as_memory_is_kept_in_part)
{
    for (unsigned round = 0; round < 30; round++)
        pass(0, MEMORY * 3 / 2);
    expect_gain(MEMORY, 100);
}
END_TEST

START_TEST(a_loop_that_fits_is_kept)
{
    for (unsigned round = 0; round < 30; round++)
        pass(0, MEMORY - 1);
    expect_gain(MEMORY, 0);
}
END_TEST

/** Rank r is drawn with a weight of about 1/r. */
static uint32_t zipf(uint32_t n)
{
    double u = (double)trace_roll(&trace, 1000000) / 1000000.0, x = 1;

    /* n^u, by repeated squaring over the bits of u: no need of libm. */
    double root = n;
    for (unsigned bit = 0; bit < 20; bit++) {
        double lo = 0, hi = root;

        for (unsigned k = 0; k < 50; k++) {
            double mid = (lo + hi) / 2;

            if (mid * mid < root)
                lo = mid;
            else
                hi = mid;
        }
        root = hi;
        u *= 2;
        if (u >= 1) {
            u -= 1;
            x *= root;
        }
    }
    return (uint32_t)x;
}

START_TEST(a_few_favourites_are_kept)
{
    for (unsigned k = 0; k < 60000; k++)
        trace_add(&trace, zipf(5000), 1);
    expect_gain(MEMORY, 50);
}
END_TEST

START_TEST(heads_tails_and_indexes_survive_four_players)
{
    /* Forty files of 2,000 blocks. Four play, taking turns; a scanner looks at heads and tails of all. */
    uint32_t at[4] = {0, 0, 0, 0};

    for (unsigned k = 0; k < 8000; k++) {
        unsigned p = k % 4;

        trace_add(&trace, (p * 10 + at[p] / 2000 % 10) * 2000 + at[p] % 2000, READS);
        at[p]++;
        if (k % 20 == 0) {
            uint32_t f = trace_roll(&trace, 40) * 2000;

            trace_add(&trace, f, 2);
            trace_add(&trace, f + 1999, 1);
            trace_add(&trace, f + 1998, 1);
        }
    }
    expect_gain(MEMORY, 50);
}
END_TEST

static void play_with_jumps_back(unsigned blocks_back)
{
    uint32_t at = 1000;

    for (unsigned k = 0; k < 20000; k++) {
        trace_add(&trace, at++, READS);
        if (trace_roll(&trace, 40) == 0)
            at -= blocks_back;
    }
}

START_TEST(a_player_that_jumps_back_finds_what_it_has_just_read)
{
    play_with_jumps_back(14); /* about 10 MB */
    expect_gain(MEMORY, -5);
}
END_TEST

START_TEST(a_player_that_jumps_back_finds_it_in_a_memory_full_of_others)
{
    for (unsigned round = 0; round < 10; round++)
        pass(0, MEMORY * 9 / 10);
    for (unsigned round = 0; round < 3; round++)
        pass(0, MEMORY * 5 / 4);
    play_with_jumps_back(14);
    expect_gain(MEMORY, -5);
}
END_TEST

START_TEST(a_player_that_jumps_back_finds_it_in_a_small_memory)
{
    play_with_jumps_back(14);
    expect_gain(21, -60); /* 16 MiB */
}
END_TEST

START_TEST(a_new_set_takes_the_place_of_an_old_one)
{
    for (unsigned round = 0; round < 20; round++)
        pass(0, 300);
    for (unsigned round = 0; round < 20; round++)
        pass(1000, 300);
    expect_gain(MEMORY, -30);
}
END_TEST

/* --- the rules ----------------------------------------------------------------------------------- */

static bool odd(const struct cache_policy_entry *e)
{
    return e->key % 2 == 1;
}

static bool any_entry(const struct cache_policy_entry *e)
{
    (void)e;
    return true;
}

static bool none(const struct cache_policy_entry *e)
{
    (void)e;
    return false;
}

START_TEST(if_any_may_go_one_goes)
{
    struct cache_policy *p = cache_policy_new(100);
    struct cache_policy_entry e[20] = {{.key = 0}};

    ck_assert_ptr_nonnull(p);
    for (unsigned k = 0; k < 20; k++)
        cache_policy_insert(p, &e[k], k, 5);
    for (unsigned round = 0; round < 3; round++)
        for (unsigned k = 0; k < 20; k++)
            cache_policy_hit(p, &e[k]); /* all used again, later: all go to the main queue */
    ck_assert_ptr_null(cache_policy_evict(p, none));
    for (unsigned k = 0; k < 10; k++) {
        struct cache_policy_entry *gone = cache_policy_evict(p, odd);

        ck_assert_ptr_nonnull(gone);
        ck_assert_uint_eq(gone->key % 2, 1);
    }
    ck_assert_ptr_null(cache_policy_evict(p, odd));
    for (unsigned k = 0; k < 20; k += 2)
        cache_policy_remove(p, &e[k]);
    cache_policy_free(p);
}
END_TEST

START_TEST(what_is_favoured_outlasts_a_long_pass)
{
    struct cache_policy *p = cache_policy_new(100);
    struct cache_policy_entry e[400] = {{.key = 0}};

    ck_assert_ptr_nonnull(p);
    for (unsigned k = 0; k < 400; k++) {
        if (k >= 100) /* memory is full */
            ck_assert_uint_ge(cache_policy_evict(p, any_entry)->key, 4);
        cache_policy_insert(p, &e[k], k, 1);
        if (k < 4)
            cache_policy_favour(&e[k]);
    }
    cache_policy_free(p);
}
END_TEST

START_TEST(what_comes_back_soon_after_it_was_evicted_outlives_newcomers)
{
    struct cache_policy *p = cache_policy_new(100);
    struct cache_policy_entry e[20] = {{.key = 0}}, *gone;

    ck_assert_ptr_nonnull(p);
    for (unsigned k = 0; k < 10; k++)
        cache_policy_insert(p, &e[k], k, 10);
    gone = cache_policy_evict(p, odd);
    ck_assert_ptr_eq(gone, &e[1]);
    cache_policy_insert(p, &e[1], 1, 10);
    for (unsigned k = 10; k < 20; k++) {
        gone = cache_policy_evict(p, odd);
        if (!gone || gone == &e[1])
            break;
        cache_policy_insert(p, &e[k], 2 * k + 1, 10);
        ck_assert_ptr_ne(gone, &e[1]);
    }
    ck_assert_ptr_ne(gone, &e[1]);
    cache_policy_free(p);
}
END_TEST

START_TEST(the_small_reads_of_one_pass_are_one_use)
{
    struct cache_policy *p = cache_policy_new(3200);
    struct cache_policy_entry e[40] = {{.key = 0}};

    ck_assert_ptr_nonnull(p);
    for (unsigned k = 0; k < 40; k++) {
        cache_policy_insert(p, &e[k], k, 80);
        for (unsigned read = 0; read < 6; read++)
            cache_policy_hit(p, &e[k]);
    }
    for (unsigned k = 0; k < 40; k++) /* first in, first out: none was kept for its small reads */
        ck_assert_ptr_eq(cache_policy_evict(p, odd), k < 20 ? &e[2 * k + 1] : NULL);
    for (unsigned k = 0; k < 40; k += 2)
        cache_policy_remove(p, &e[k]);
    cache_policy_free(p);
}
END_TEST

START_TEST(ghosts_of_any_size_and_number_are_bounded)
{
    struct cache_policy *p = cache_policy_new(1000);
    struct cache_policy_entry e = {.key = 0};

    ck_assert_ptr_nonnull(p);
    for (uint64_t k = 0; k < 100000; k++) {
        cache_policy_insert(p, &e, trace_roll(&trace, 3000), 1 + trace_roll(&trace, 2000));
        if (trace_roll(&trace, 5) == 0)
            cache_policy_remove(p, &e);
        else
            ck_assert_ptr_eq(cache_policy_evict(p, any_entry), &e);
    }
    cache_policy_free(p);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_hot_set_survives_a_scan,
        a_hot_set_of_half_the_memory_survives_a_scan,
        a_loop_larger_than_memory_is_kept_in_part,
        a_loop_half_as_large_again_as_memory_is_kept_in_part,
        a_loop_that_fits_is_kept,
        a_few_favourites_are_kept,
        heads_tails_and_indexes_survive_four_players,
        a_player_that_jumps_back_finds_what_it_has_just_read,
        a_player_that_jumps_back_finds_it_in_a_memory_full_of_others,
        a_player_that_jumps_back_finds_it_in_a_small_memory,
        a_new_set_takes_the_place_of_an_old_one,
        if_any_may_go_one_goes,
        what_is_favoured_outlasts_a_long_pass,
        what_comes_back_soon_after_it_was_evicted_outlives_newcomers,
        the_small_reads_of_one_pass_are_one_use,
        ghosts_of_any_size_and_number_are_bounded,
    };
    Suite *suite = suite_create("cache/policy");
    TCase *tcase = tcase_create("policy");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    for (size_t k = 0; k < sizeof(tests) / sizeof(tests[0]); k++)
        tcase_add_test(tcase, tests[k]);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
