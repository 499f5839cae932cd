#include "tests/cache/world.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>

START_TEST(what_was_reserved_too_much_is_returned_when_the_article_begins)
{
    struct rig_read r;

    file.told = (uint32_t)(2.5 * CACHE_CHUNK * 2);
    ck_assert_uint_eq(cache_fetch_guess(cache, 0), CHUNKS / 4);
    file.part_size = 10;
    start(&r, &file, 0, 1, CACHE_PENDING);
    ck_assert_uint_eq(stats().used, 2 * CACHE_CHUNK);
    struct segment_info info = {.file_size = 1000, .begin = 0, .len = 10};
    ck_assert_int_eq(scripted_source_begin(source, fetch_of(&file, 0), &info), 0);
    ck_assert_uint_eq(stats().used, CACHE_CHUNK);
    scripted_source_bring(source, fetch_of(&file, 0), 10);
    end_with(&file, 0, SEGMENT_DONE);
    ck_assert(rig_read_is_right(&r));
    finish(&r);
}
END_TEST

START_TEST(absurd_sizes_in_the_nzb_refuse_nobody)
{
    static const uint32_t told[] = {0, 1, UINT32_MAX};

    for (size_t k = 0; k < 3; k++) {
        struct rig_read r;

        file.told = told[k];
        start(&r, &file, (uint32_t)(3 * k), 3, CACHE_PENDING);
        for (uint32_t i = 0; i < 3; i++)
            play(&file, (uint32_t)(3 * k) + i, SEGMENT_DONE);
        expect_runs(&r, 1);
        ck_assert(rig_read_is_right(&r));
        finish(&r);
    }
}
END_TEST

START_TEST(a_read_that_turns_out_larger_than_the_room_waits_again_holding_nothing)
{
    struct rig_read big, pinned;

    load(&other, 0);
    load(&other, 1);
    start(&pinned, &other, 0, 2, CACHE_READY);
    file.told = 1;
    start(&big, &file, 0, 2, CACHE_PENDING);
    expect_fetches(2);
    play(&file, 0, SEGMENT_DONE);
    play(&file, 1, SEGMENT_NOSPACE);
    expect_runs(&big, 0);
    ck_assert_uint_eq(stats().waiting_reads, 1);
    ck_assert_uint_eq(stats().pinned, 2);
    expect_fetches(0);
    finish(&pinned);
    expect_fetches(1);
    play(&file, 1, SEGMENT_DONE);
    expect_runs(&big, 1);
    ck_assert(rig_read_is_right(&big));
    finish(&big);
}
END_TEST

START_TEST(an_article_larger_than_all_memory_is_no_space_and_is_remembered)
{
    struct segment_info huge = {.file_size = 1u << 30, .begin = 0, .len = 1u << 30};
    struct rig_read r;

    start(&r, &file, 0, 1, CACHE_PENDING);
    ck_assert_int_eq(scripted_source_begin(source, fetch_of(&file, 0), &huge), -ENOSPC);
    end_with(&file, 0, SEGMENT_NOSPACE);
    expect_runs(&r, 1);
    ck_assert_int_eq(r.wants[0].result, SEGMENT_NOSPACE);
    finish(&r);
    start(&r, &file, 0, 1, CACHE_READY);
    ck_assert_int_eq(r.wants[0].result, SEGMENT_NOSPACE);
    finish(&r);
}
END_TEST

START_TEST(a_set_known_to_be_larger_than_all_memory_is_too_big)
{
    struct rig_read r, one;

    load(&file, 0);
    load(&file, 1);
    load(&file, 2);
    start(&r, &file, 0, 5, CACHE_TOO_BIG);
    expect_fetches(0);
    start(&one, &file, 0, 3, CACHE_READY);
    finish(&one);
}
END_TEST

START_TEST(a_set_found_to_be_larger_than_all_memory_ends_with_no_space)
{
    struct rig_read r;

    start(&r, &file, 0, 4, CACHE_PENDING);
    while (scripted_source_out(source) > 0) {
        (void)scripted_source_play(source, scripted_source_nth(source, 0));
        expect_sound();
    }
    expect_runs(&r, 1);
    ck_assert_int_eq(r.wants[3].result, SEGMENT_NOSPACE);
    finish(&r);
    ck_assert_uint_eq(stats().pinned, 0);
}
END_TEST

START_TEST(an_article_that_claims_more_each_time_ends)
{
    struct rig_read r;
    unsigned rounds = 0;

    other.told = 1;
    start(&r, &file, 0, 1, CACHE_PENDING);
    while (atomic_load(&r.runs) == 0) {
        unsigned spare = CHUNKS - (unsigned)(stats().used / CACHE_CHUNK);
        struct segment_info info = {.file_size = 1u << 30, .begin = 0};
        struct rig_read rest;

        /* Others take what is left, so that there is never room for one chunk more. */
        start(&rest, &other, 10 * rounds, spare, CACHE_PENDING);
        info.len = (uint32_t)((CHUNKS - spare + 1) * CACHE_CHUNK);
        ck_assert_int_eq(scripted_source_begin(source, fetch_of(&file, 0), &info), -ENOSPC);
        end_with(&file, 0, SEGMENT_NOSPACE);
        ck_assert(cache_read_cancel(cache, &rest.read));
        for (unsigned k = 0; k < spare; k++)
            play(&other, 10 * rounds + k, SEGMENT_CANCELLED);
        ck_assert_uint_lt(++rounds, 7);
    }
    ck_assert_int_eq(r.wants[0].result, SEGMENT_NOSPACE);
    finish(&r);
}
END_TEST

START_TEST(articles_of_many_chunks_keep_their_bytes_in_scattered_memory)
{
    enum { LARGE = 40 };
    struct cache_config cfg = {.budget = 2 * LARGE * CACHE_CHUNK};
    struct scripted_source *src = scripted_source_new();
    struct cache *c = cache_new(&cfg, scripted_source_source(src));
    struct rig_file small, large;
    struct rig_read r;

    ck_assert_ptr_nonnull(c);
    rig_file_init(&small, 3, 2 * LARGE, (uint32_t)CACHE_CHUNK);
    rig_file_init(&large, 4, 2, (uint32_t)(LARGE * CACHE_CHUNK));
    /* One chunk in two becomes free, so that no two lie side by side. */
    for (uint32_t i = 0; i < 2 * LARGE; i++) {
        rig_read_init(&r, c, &small, i, 1);
        ck_assert_int_eq(rig_read_start(&r), CACHE_PENDING);
        scripted_source_play(src, scripted_source_nth(src, 0));
        cache_read_end(c, &r.read);
    }
    for (uint32_t i = 0; i < 2 * LARGE; i += 2)
        cache_drop(c, &small.file, i);
    for (uint32_t i = 0; i < 2;
         i++) { /* the second pushes out all that is left of the small ones */
        rig_read_init(&r, c, &large, i, 1);
        ck_assert_int_eq(rig_read_start(&r), CACHE_PENDING);
        ck_assert_int_eq(scripted_source_play(src, scripted_source_nth(src, 0)), SEGMENT_DONE);
        ck_assert_uint_gt(r.wants[0].block->niov, BLOCK_RUNS);
        ck_assert(rig_read_is_right(&r));
        cache_read_end(c, &r.read);
        ck_assert_ptr_null(cache_check(c));
    }
    cache_free(c);
    scripted_source_free(src);
    rig_file_fini(&small);
    rig_file_fini(&large);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        what_was_reserved_too_much_is_returned_when_the_article_begins,
        absurd_sizes_in_the_nzb_refuse_nobody,
        a_read_that_turns_out_larger_than_the_room_waits_again_holding_nothing,
        an_article_larger_than_all_memory_is_no_space_and_is_remembered,
        a_set_known_to_be_larger_than_all_memory_is_too_big,
        a_set_found_to_be_larger_than_all_memory_ends_with_no_space,
        an_article_that_claims_more_each_time_ends,
        articles_of_many_chunks_keep_their_bytes_in_scattered_memory,
    };

    return world_run("cache/size", tests, sizeof(tests) / sizeof(tests[0]));
}
