#include "tests/cache/world.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>

/* --- reading ----------------------------------------------------------------------------------- */

START_TEST(a_read_gets_its_blocks_together_and_every_byte_is_right)
{
    struct rig_read r;

    start(&r, &file, 4, 3, CACHE_PENDING);
    expect_fetches(3);
    play(&file, 5, SEGMENT_DONE);
    play(&file, 4, SEGMENT_DONE);
    expect_runs(&r, 0);
    play(&file, 6, SEGMENT_DONE);
    expect_runs(&r, 1);
    ck_assert(rig_read_is_right(&r));
    ck_assert_uint_eq(stats().pinned, 3);
    finish(&r);
    ck_assert_uint_eq(stats().pinned, 0);
    ck_assert_uint_eq(stats().blocks, 3);
}
END_TEST

START_TEST(what_was_read_is_there_at_once_the_next_time)
{
    struct rig_read r;

    load(&file, 7);
    start(&r, &file, 7, 1, CACHE_READY);
    ck_assert(rig_read_is_right(&r));
    expect_fetches(0);
    finish(&r);
    expect_runs(&r, 0);
    ck_assert_uint_eq(stats().hits, 1);
}
END_TEST

START_TEST(two_readers_of_one_segment_cause_one_fetch)
{
    struct rig_read a, b;

    start(&a, &file, 1, 1, CACHE_PENDING);
    start(&b, &file, 1, 1, CACHE_PENDING);
    expect_fetches(1);
    play(&file, 1, SEGMENT_DONE);
    expect_runs(&a, 1);
    expect_runs(&b, 1);
    ck_assert(rig_read_is_right(&a) && rig_read_is_right(&b));
    finish(&a);
    ck_assert(rig_read_is_right(&b));
    ck_assert_uint_eq(stats().pinned, 1);
    finish(&b);
    ck_assert_uint_eq(stats().joins, 1);
}
END_TEST

START_TEST(a_read_whose_one_segment_failed_still_gets_the_others)
{
    struct rig_read r;

    start(&r, &file, 0, 3, CACHE_PENDING);
    play(&file, 0, SEGMENT_DONE);
    end_with(&file, 1, SEGMENT_FAILED);
    play(&file, 2, SEGMENT_DONE);
    expect_runs(&r, 1);
    ck_assert(rig_want_is_right(&r, 0) && rig_want_is_right(&r, 2));
    ck_assert_int_eq(r.wants[1].result, SEGMENT_FAILED);
    ck_assert_ptr_null(r.wants[1].block);
    finish(&r);
}
END_TEST

START_TEST(a_read_of_nothing_is_ready)
{
    struct rig_read r;

    start(&r, &file, 0, 0, CACHE_READY);
    finish(&r);
}
END_TEST

START_TEST(the_pieces_of_a_range_are_exactly_its_bytes)
{
    static const struct {
        uint32_t off, len, got;
    } ranges[] = {{0, 1, 1},
                  {0, PART, PART},
                  {CACHE_CHUNK - 1, 2, 2},
                  {CACHE_CHUNK, CACHE_CHUNK, CACHE_CHUNK},
                  {PART - 1, 1, 1},
                  {PART - 1, 100, 1},
                  {PART, 1, 0},
                  {UINT32_MAX, UINT32_MAX, 0},
                  {5, 0, 0}};
    struct rig_read r;

    load(&file, 0);
    start(&r, &file, 0, 1, CACHE_READY);
    for (size_t k = 0; k < sizeof(ranges) / sizeof(ranges[0]); k++) {
        struct iovec iov[8];
        unsigned n = cache_block_iov(r.wants[0].block, ranges[k].off, ranges[k].len, iov, 8);
        size_t got = 0;

        for (unsigned j = 0; j < n; j++) {
            ck_assert(scripted_bytes_match(file.seed, ranges[k].off + got, iov[j].iov_base,
                                           iov[j].iov_len));
            got += iov[j].iov_len;
        }
        ck_assert_uint_eq(got, ranges[k].got);
    }
    finish(&r);
}
END_TEST

START_TEST(a_corrupt_attempt_leaves_no_trace_in_the_good_one)
{
    struct segment_info wrong = {.file_size = 100 * PART, .begin = 3 * PART, .len = 100};
    struct rig_read r;

    start(&r, &file, 3, 1, CACHE_PENDING);
    ck_assert_int_eq(scripted_source_begin(source, fetch_of(&file, 3), &wrong), 0);
    scripted_source_bring(source, fetch_of(&file, 3), 50);
    expect_sound();
    play(&file, 3, SEGMENT_DONE);
    expect_runs(&r, 1);
    ck_assert(rig_read_is_right(&r));
    finish(&r);
}
END_TEST

START_TEST(a_source_that_brings_nothing_has_failed)
{
    struct rig_read r;

    start(&r, &file, 3, 1, CACHE_PENDING);
    end_with(&file, 3, SEGMENT_DONE);
    expect_runs(&r, 1);
    ck_assert_int_eq(r.wants[0].result, SEGMENT_FAILED);
    finish(&r);
}
END_TEST

START_TEST(an_article_that_the_file_refuses_ends_corrupt)
{
    struct rig_read r;

    atomic_store(&file.refuses, true);
    start(&r, &file, 3, 1, CACHE_PENDING);
    play(&file, 3, SEGMENT_CORRUPT);
    expect_runs(&r, 1);
    ck_assert_int_eq(r.wants[0].result, SEGMENT_CORRUPT);
    finish(&r);
}
END_TEST

/* --- failures remembered ----------------------------------------------------------------------- */

START_TEST(a_missing_segment_is_remembered_for_a_while)
{
    static const enum segment_result lasting[] = {SEGMENT_MISSING, SEGMENT_CORRUPT};

    for (size_t k = 0; k < 2; k++) {
        uint32_t i = (uint32_t)k;
        struct rig_read r;

        start(&r, &file, i, 1, CACHE_PENDING);
        end_with(&file, i, lasting[k]);
        ck_assert_int_eq(r.wants[0].result, lasting[k]);
        finish(&r);
        now_us += 999;
        start(&r, &file, i, 1, CACHE_READY);
        ck_assert_int_eq(r.wants[0].result, lasting[k]);
        ck_assert_int_eq(ahead(&file, i, 1), CACHE_AHEAD_THERE);
        finish(&r);
        now_us += 1;
        start(&r, &file, i, 1, CACHE_PENDING);
        play(&file, i, SEGMENT_DONE);
        ck_assert(rig_read_is_right(&r));
        finish(&r);
    }
}
END_TEST

START_TEST(what_the_file_refused_it_is_soon_asked_about_again)
{
    struct rig_read r;

    atomic_store(&file.refuses, true);
    start(&r, &file, 3, 1, CACHE_PENDING);
    play(&file, 3, SEGMENT_CORRUPT);
    expect_runs(&r, 1);
    finish(&r);
    atomic_store(&file.refuses, false);
    now_us += 15;
    start(&r, &file, 3, 1, CACHE_READY); /* a reader that tries page after page */
    ck_assert_int_eq(r.wants[0].result, SEGMENT_CORRUPT);
    finish(&r);
    now_us += 1;
    start(&r, &file, 3, 1, CACHE_PENDING);
    play(&file, 3, SEGMENT_DONE);
    expect_runs(&r, 1);
    ck_assert(rig_read_is_right(&r));
    finish(&r);
    start(&r, &file, 4, 1, CACHE_PENDING); /* another has the full time */
    end_with(&file, 4, SEGMENT_CORRUPT);
    finish(&r);
    now_us += 999;
    start(&r, &file, 4, 1, CACHE_READY);
    finish(&r);
}
END_TEST

START_TEST(a_failure_that_may_pass_is_asked_again_at_once)
{
    static const enum segment_result passing[] = {SEGMENT_FAILED, SEGMENT_TIMEOUT,
                                                  SEGMENT_CANCELLED, SEGMENT_NOSPACE};

    for (size_t k = 0; k < 4; k++) {
        struct rig_read r;

        start(&r, &file, 9, 1, CACHE_PENDING);
        end_with(&file, 9, passing[k]);
        expect_runs(&r, 1);
        ck_assert_int_eq(r.wants[0].result, passing[k]);
        finish(&r);
    }
    load(&file, 9);
}
END_TEST

START_TEST(what_is_dropped_is_asked_again)
{
    struct rig_read r;

    start(&r, &file, 2, 1, CACHE_PENDING);
    end_with(&file, 2, SEGMENT_MISSING);
    finish(&r);
    cache_drop(cache, &file.file, 2);
    load(&file, 2);
    cache_drop(cache, &file.file, 2);
    expect_sound();
    ck_assert_uint_eq(stats().used, 0);
    load(&file, 2);
}
END_TEST

START_TEST(a_dropped_block_stays_readable_for_those_who_pin_it)
{
    struct rig_read old, new;

    load(&file, 2);
    start(&old, &file, 2, 1, CACHE_READY);
    cache_drop(cache, &file.file, 2);
    expect_sound();
    start(&new, &file, 2, 1, CACHE_PENDING);
    play(&file, 2, SEGMENT_DONE);
    ck_assert(rig_read_is_right(&old) && rig_read_is_right(&new));
    ck_assert_ptr_ne(old.wants[0].block, new.wants[0].block);
    finish(&old);
    finish(&new);
    ck_assert_uint_eq(stats().blocks, 1);
}
END_TEST

START_TEST(an_attempt_that_begins_after_the_drop_is_believed)
{
    struct rig_read r;

    start(&r, &file, 2, 1, CACHE_PENDING);
    ck_assert_int_eq(scripted_source_begin(source, fetch_of(&file, 2), NULL), 0);
    cache_drop(cache, &file.file, 2);
    play(&file, 2, SEGMENT_DONE); /* begins again, at another provider */
    expect_runs(&r, 1);
    ck_assert(rig_read_is_right(&r));
    expect_fetches(0);
    finish(&r);
}
END_TEST

START_TEST(an_article_on_its_way_when_its_segment_is_dropped_is_fetched_afresh)
{
    struct rig_read r;

    start(&r, &file, 2, 1, CACHE_PENDING);
    ck_assert_int_eq(scripted_source_begin(source, fetch_of(&file, 2), NULL), 0);
    cache_drop(cache, &file.file, 2);
    scripted_source_bring(source, fetch_of(&file, 2), PART);
    end_with(&file, 2, SEGMENT_DONE);
    expect_runs(&r, 0);
    expect_fetches(1);
    play(&file, 2, SEGMENT_DONE);
    ck_assert(rig_read_is_right(&r));
    finish(&r);
}
END_TEST

/* --- forgetting -------------------------------------------------------------------------------- */

static void *forget(void *f)
{
    cache_forget(cache, f);
    return NULL;
}

START_TEST(forgetting_a_file_waits_for_its_fetches)
{
    pthread_t thread;
    struct rig_read r;

    start(&r, &file, 1, 1, CACHE_PENDING);
    ck_assert_int_eq(ahead(&file, 2, 1), CACHE_AHEAD_STARTED);
    load(&other, 1);
    ck_assert_int_eq(pthread_create(&thread, NULL, forget, &file.file), 0);
    /* It cancels what nobody waits for … */
    while (scripted_source_look(source, fetch_of(&file, 2)).cancels == 0)
        sched_yield();
    play(&file, 2, SEGMENT_CANCELLED);
    /* … and waits for the rest. */
    play(&file, 1, SEGMENT_DONE);
    expect_runs(&r, 1);
    pthread_join(thread, NULL);
    ck_assert(rig_read_is_right(&r)); /* pinned: still there */
    ck_assert_uint_eq(stats().blocks, 2);
    finish(&r);
    ck_assert_uint_eq(stats().blocks, 1);
}
END_TEST

START_TEST(forgetting_a_file_forgets_its_failures)
{
    struct rig_read r;

    start(&r, &file, 1, 2, CACHE_PENDING);
    end_with(&file, 1, SEGMENT_MISSING);
    end_with(&file, 2, SEGMENT_MISSING);
    finish(&r);
    start(&r, &other, 1, 1, CACHE_PENDING);
    end_with(&other, 1, SEGMENT_MISSING);
    finish(&r);
    cache_forget(cache, &file.file);
    load(&file, 1);
    start(&r, &other, 1, 1, CACHE_READY);
    ck_assert_int_eq(r.wants[0].result, SEGMENT_MISSING);
    finish(&r);
}
END_TEST

START_TEST(a_budget_below_one_chunk_is_refused)
{
    struct cache_config cfg = {.budget = CACHE_CHUNK - 1};

    ck_assert_ptr_null(cache_new(&cfg, scripted_source_source(source)));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_read_gets_its_blocks_together_and_every_byte_is_right,
        what_was_read_is_there_at_once_the_next_time,
        two_readers_of_one_segment_cause_one_fetch,
        a_read_whose_one_segment_failed_still_gets_the_others,
        a_read_of_nothing_is_ready,
        the_pieces_of_a_range_are_exactly_its_bytes,
        a_corrupt_attempt_leaves_no_trace_in_the_good_one,
        a_source_that_brings_nothing_has_failed,
        an_article_that_the_file_refuses_ends_corrupt,
        a_missing_segment_is_remembered_for_a_while,
        what_the_file_refused_it_is_soon_asked_about_again,
        a_failure_that_may_pass_is_asked_again_at_once,
        what_is_dropped_is_asked_again,
        a_dropped_block_stays_readable_for_those_who_pin_it,
        an_attempt_that_begins_after_the_drop_is_believed,
        an_article_on_its_way_when_its_segment_is_dropped_is_fetched_afresh,
        forgetting_a_file_waits_for_its_fetches,
        forgetting_a_file_forgets_its_failures,
        a_budget_below_one_chunk_is_refused,
    };

    return world_run("cache/read", tests, sizeof(tests) / sizeof(tests[0]));
}
