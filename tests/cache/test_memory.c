#include "cache/internal.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* The slab and the memory of failures, by themselves. */

#define CHUNKS 64

static struct cache_slab slab;
static struct cache_negative negative;

static void set_up(void)
{
    ck_assert_int_eq(cache_slab_init(&slab, CHUNKS * CACHE_CHUNK + 17), 0);
    ck_assert_int_eq(cache_negative_init(&negative), 0);
}

static void tear_down(void)
{
    cache_slab_fini(&slab);
    cache_negative_fini(&negative);
}

static size_t bytes(const struct iovec *iov, unsigned n)
{
    size_t sum = 0;

    for (unsigned k = 0; k < n; k++)
        sum += iov[k].iov_len;
    return sum;
}

START_TEST(untouched_memory_is_given_out_in_one_run)
{
    struct iovec iov[CHUNKS];

    ck_assert_uint_eq(slab.count, CHUNKS);
    ck_assert_uint_eq(cache_slab_take(&slab, CHUNKS, iov, 0), 1);
    ck_assert_uint_eq(bytes(iov, 1), CHUNKS * CACHE_CHUNK);
    memset(iov[0].iov_base, 0xA5, iov[0].iov_len);
    ck_assert_uint_eq(slab.free, 0);
    ck_assert_uint_eq(cache_slab_give(&slab, CHUNKS, iov, 1), 0);
    ck_assert_uint_eq(slab.free, CHUNKS);
}
END_TEST

START_TEST(the_memory_used_last_is_used_next_and_keeps_its_runs)
{
    struct iovec a[CHUNKS], b[CHUNKS], again[CHUNKS];

    ck_assert_uint_eq(cache_slab_take(&slab, 5, a, 0), 1);
    ck_assert_uint_eq(cache_slab_take(&slab, 5, b, 0), 1);
    ck_assert_uint_eq(cache_slab_give(&slab, 5, a, 1), 0);
    ck_assert_uint_eq(cache_slab_take(&slab, 5, again, 0), 1);
    ck_assert_ptr_eq(again[0].iov_base, slab.base);
    ck_assert_uint_eq(slab.touched, 10);
    cache_slab_give(&slab, 5, again, 1);
    cache_slab_give(&slab, 5, b, 1);
}
END_TEST

START_TEST(an_excess_is_given_back_from_the_end)
{
    struct iovec a[CHUNKS], b[CHUNKS];
    unsigned n;

    n = cache_slab_take(&slab, 25, a, 0);
    n = cache_slab_give(&slab, 2, a, n);
    ck_assert_uint_eq(n, 1);
    ck_assert_uint_eq(bytes(a, n), 23 * CACHE_CHUNK);
    ck_assert_uint_eq(cache_slab_take(&slab, 25, b, 0), 1); /* the two and those behind them */
    cache_slab_give(&slab, 23, a, n);
    cache_slab_give(&slab, 25, b, 1);
}
END_TEST

START_TEST(no_byte_is_given_out_twice)
{
    struct iovec iov[8][CHUNKS];
    unsigned n[8] = {0}, held[8] = {0};
    uint64_t dice = 7;

    for (unsigned step = 0; step < 20000; step++) {
        dice = dice * 6364136223846793005u + 1442695040888963407u;
        unsigned k = (unsigned)(dice >> 40) % 8, want = (unsigned)(dice >> 50) % 12;

        if (want > held[k] && want - held[k] > slab.free)
            continue;
        if (want > held[k])
            n[k] = cache_slab_take(&slab, want - held[k], iov[k], n[k]);
        else
            n[k] = cache_slab_give(&slab, held[k] - want, iov[k], n[k]);
        held[k] = want;
        ck_assert_uint_eq(bytes(iov[k], n[k]), held[k] * CACHE_CHUNK);
        for (unsigned j = 0; j < n[k]; j++)
            *(unsigned char *)iov[k][j].iov_base = (unsigned char)k;
        for (unsigned i = 0; i < 8; i++)
            for (unsigned j = 0; j < n[i]; j++)
                ck_assert_uint_eq(*(unsigned char *)iov[i][j].iov_base, i);
    }
    for (unsigned k = 0; k < 8; k++)
        cache_slab_give(&slab, held[k], iov[k], n[k]);
    ck_assert_uint_eq(slab.free, CHUNKS);
}
END_TEST

START_TEST(the_oldest_failure_is_forgotten_first_when_there_are_too_many)
{
    enum segment_result r = SEGMENT_DONE;

    for (uint32_t i = 0; i < 200000; i++)
        cache_negative_add(&negative, 1, i, SEGMENT_MISSING, 1000);
    ck_assert(!cache_negative_find(&negative, 1, 0, 0, &r));
    ck_assert(cache_negative_find(&negative, 1, 199999, 0, &r));
    ck_assert_int_eq(r, SEGMENT_MISSING);
    ck_assert_uint_eq(negative.live, 65536);
    cache_negative_forget(&negative, 1);
    ck_assert_uint_eq(negative.live, 0);
    ck_assert(!cache_negative_find(&negative, 1, 199999, 0, &r));
}
END_TEST

START_TEST(a_later_failure_replaces_an_earlier_one)
{
    enum segment_result r = SEGMENT_DONE;

    cache_negative_add(&negative, 1, 5, SEGMENT_MISSING, 100);
    cache_negative_add(&negative, 1, 5, SEGMENT_CORRUPT, 200);
    ck_assert_uint_eq(negative.live, 1);
    ck_assert(cache_negative_find(&negative, 1, 5, 199, &r));
    ck_assert_int_eq(r, SEGMENT_CORRUPT);
    ck_assert(!cache_negative_find(&negative, 1, 5, 200, &r));
    ck_assert(!cache_negative_find(&negative, 2, 5, 0, &r));
}
END_TEST

START_TEST(failures_removed_and_added_again_leave_the_chains_whole)
{
    enum segment_result r = SEGMENT_DONE;
    uint64_t dice = 3;
    static bool there[4][1000];

    for (unsigned step = 0; step < 60000 /* not once round the ring */; step++) {
        dice = dice * 6364136223846793005u + 1442695040888963407u;
        uint32_t i = (uint32_t)(dice >> 33) % 1000, f = (uint32_t)(dice >> 45) % 4;

        switch ((dice >> 50) % 4) {
        case 0:
            cache_negative_remove(&negative, f, i);
            there[f][i] = false;
            break;
        case 1:
            if ((dice >> 53) % 512 == 0) {
                cache_negative_forget(&negative, f);
                memset(there[f], 0, sizeof(there[f]));
            }
            break;
        default:
            cache_negative_add(&negative, f, i, SEGMENT_MISSING, 1);
            there[f][i] = true;
            break;
        }
        ck_assert_int_eq(cache_negative_find(&negative, f, i, 0, &r), there[f][i]);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        untouched_memory_is_given_out_in_one_run,
        the_memory_used_last_is_used_next_and_keeps_its_runs,
        an_excess_is_given_back_from_the_end,
        no_byte_is_given_out_twice,
        the_oldest_failure_is_forgotten_first_when_there_are_too_many,
        a_later_failure_replaces_an_earlier_one,
        failures_removed_and_added_again_leave_the_chains_whole,
    };
    Suite *suite = suite_create("cache/memory");
    TCase *tcase = tcase_create("memory");
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
