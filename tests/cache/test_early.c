#include "tests/cache/world.h"

#include <errno.h>

/* Segments of `file` are 66,536 bytes; reads want the first 30,000 of one. */
#define EARLY 30000

static void start_early(struct rig_read *r, uint32_t i, uint32_t early, enum cache_start expected)
{
    rig_read_init(r, cache, &file, i, 1);
    r->wants[0].early = early;
    ck_assert_int_eq(rig_read_start(r), expected);
}

static struct segment_fetch *under_way(uint32_t i)
{
    struct segment_fetch *f = scripted_source_find(source, file.ids[i]);
    ck_assert_ptr_nonnull(f);
    return f;
}

static struct segment_fetch *begin(uint32_t i)
{
    struct segment_fetch *f = under_way(i);
    ck_assert_int_eq(scripted_source_begin(source, f, NULL), 0);
    return f;
}

static void expect_disowned(unsigned unproven, unsigned lied)
{
    ck_assert_uint_eq(atomic_load(&file.unproven), unproven);
    ck_assert_uint_eq(atomic_load(&file.lied), lied);
}

START_TEST(a_read_is_answered_when_its_last_byte_has_come)
{
    struct rig_read r;

    start_early(&r, 2, EARLY, CACHE_PENDING);
    struct segment_fetch *f = begin(2);
    scripted_source_bring(source, f, EARLY - 1);
    expect_runs(&r, 0);
    scripted_source_bring(source, f, 1);
    expect_runs(&r, 1);
    ck_assert(rig_early_is_right(&r, 0));
    ck_assert_uint_eq(r.wants[0].there, EARLY);
    ck_assert_uint_eq(stats().early, 1);
    scripted_source_bring(source, f, SIZE_MAX);
    ck_assert(rig_early_is_right(&r, 0)); /* what comes behind does not touch it */
    scripted_source_end(source, f, SEGMENT_DONE);
    finish(&r);
    start(&r, &file, 2, 1, CACHE_READY);
    ck_assert(rig_read_is_right(&r));
    finish(&r);
    expect_disowned(0, 0);
}
END_TEST

START_TEST(who_comes_when_the_bytes_are_there_is_answered_at_once)
{
    struct rig_read a, b, c;

    start_early(&a, 2, EARLY, CACHE_PENDING);
    struct segment_fetch *f = begin(2);
    scripted_source_bring(source, f, EARLY);
    start_early(&b, 2, EARLY, CACHE_READY);
    ck_assert(rig_early_is_right(&b, 0));
    start_early(&c, 2, EARLY + 1, CACHE_PENDING);
    scripted_source_bring(source, f, 1);
    expect_runs(&c, 1);
    expect_fetches(1);
    finish(&a);
    finish(&b);
    finish(&c);
    scripted_source_bring(source, f, SIZE_MAX);
    scripted_source_end(source, f, SEGMENT_DONE);
}
END_TEST

START_TEST(the_last_byte_waits_for_the_end)
{
    struct rig_read whole, all, most;

    start_early(&whole, 2, 0, CACHE_PENDING);
    start_early(&all, 2, file.part_size, CACHE_PENDING);
    start_early(&most, 2, file.part_size - 1, CACHE_PENDING);
    struct segment_fetch *f = begin(2);
    scripted_source_bring(source, f, SIZE_MAX);
    expect_runs(&whole, 0);
    expect_runs(&all, 0);
    expect_runs(&most, 1);
    ck_assert_uint_lt(most.wants[0].there, file.part_size);
    scripted_source_end(source, f, SEGMENT_DONE);
    expect_runs(&whole, 1);
    expect_runs(&all, 1);
    ck_assert(rig_read_is_right(&whole) && rig_read_is_right(&all));
    finish(&whole);
    finish(&all);
    finish(&most);
}
END_TEST

START_TEST(an_article_that_was_answered_from_is_fetched_to_its_end_though_all_have_gone)
{
    struct rig_read r;

    start_early(&r, 2, EARLY, CACHE_PENDING);
    struct segment_fetch *f = begin(2);
    scripted_source_bring(source, f, EARLY);
    finish(&r);
    cache_ahead_drop(cache, &file.file, 1);
    ck_assert_uint_eq(scripted_source_look(source, f).cancels, 0);
    scripted_source_bring(source, f, SIZE_MAX);
    scripted_source_end(source, f, SEGMENT_DONE);
    start(&r, &file, 2, 1, CACHE_READY);
    finish(&r);
}
END_TEST

START_TEST(another_attempt_that_says_the_same_changes_nothing)
{
    struct rig_read a, b;

    start_early(&a, 2, EARLY, CACHE_PENDING);
    struct segment_fetch *f = begin(2);
    scripted_source_bring(source, f, EARLY + 500);
    finish(&a);
    start_early(&b, 2, 0, CACHE_PENDING);
    begin(2); /* the first has broken off */
    scripted_source_bring(source, f, SIZE_MAX);
    scripted_source_end(source, f, SEGMENT_DONE);
    expect_runs(&b, 1);
    ck_assert(rig_read_is_right(&b));
    finish(&b);
    expect_disowned(0, 0);
}
END_TEST

START_TEST(another_attempt_that_says_something_else_is_told_and_the_segment_is_bad)
{
    struct rig_read a, b;

    start_early(&a, 2, EARLY, CACHE_PENDING);
    struct segment_fetch *f = begin(2);
    scripted_source_spoil(source, f, true);
    scripted_source_bring(source, f, EARLY);
    finish(&a);
    start_early(&b, 2, 0, CACHE_PENDING);
    scripted_source_spoil(source, f, false);
    begin(2);
    scripted_source_bring(source, f, SIZE_MAX);
    scripted_source_end(source, f, SEGMENT_DONE);
    expect_runs(&b, 1);
    ck_assert_int_eq(b.wants[0].result, SEGMENT_CORRUPT);
    finish(&b);
    expect_disowned(0, 1);
}
END_TEST

START_TEST(an_attempt_without_a_sound_end_is_told_whoever_looked_at_it)
{
    struct rig_read a, b;

    start_early(&a, 2, 0, CACHE_PENDING); /* it waits for the end, and sees none of the damage */
    begin(2);
    ck_assert_uint_eq(atomic_load(&file.doubted), 0);
    struct segment_fetch *f = begin(2);
    ck_assert_uint_eq(atomic_load(&file.doubted), 1);
    scripted_source_bring(source, f, SIZE_MAX);
    scripted_source_end(source, f, SEGMENT_DONE);
    ck_assert(rig_read_is_right(&a));
    finish(&a);
    start_early(&b, 3, EARLY, CACHE_PENDING);
    scripted_source_bring(source, begin(3), EARLY);
    finish(&b);
    scripted_source_end(source, under_way(3), SEGMENT_CORRUPT); /* the only attempt there is */
    ck_assert_uint_eq(atomic_load(&file.doubted), 2);
    expect_disowned(1, 0);
}
END_TEST

START_TEST(bytes_beyond_what_was_answered_may_differ)
{
    struct rig_read a;

    start_early(&a, 2, EARLY, CACHE_PENDING);
    struct segment_fetch *f = begin(2);
    scripted_source_bring(source, f, EARLY);
    scripted_source_spoil(source, f, true);
    scripted_source_bring(source, f, SIZE_MAX); /* damaged there: hence another attempt */
    finish(&a);
    scripted_source_spoil(source, f, false);
    begin(2);
    scripted_source_bring(source, f, SIZE_MAX);
    scripted_source_end(source, f, SEGMENT_DONE);
    expect_disowned(0, 0);
}
END_TEST

START_TEST(the_second_of_three_attempts_is_held_against_the_first)
{
    struct rig_read a, b;

    start_early(&a, 2, EARLY, CACHE_PENDING);
    struct segment_fetch *f = begin(2);
    scripted_source_bring(source, f, EARLY);
    finish(&a);
    begin(2);
    scripted_source_spoil(source, f, true);
    start_early(&b, 2, EARLY + 10, CACHE_PENDING);
    scripted_source_bring(source, f, EARLY + 10);
    expect_runs(&b, 1);
    finish(&b);
    scripted_source_spoil(source, f, false);
    begin(2);
    scripted_source_bring(source, f, SIZE_MAX);
    scripted_source_end(source, f, SEGMENT_DONE);
    expect_disowned(0, 1);
}
END_TEST

START_TEST(what_nobody_can_prove_is_told)
{
    static const enum segment_result ends[] = {SEGMENT_FAILED, SEGMENT_MISSING, SEGMENT_CORRUPT,
                                               SEGMENT_TIMEOUT, SEGMENT_CANCELLED};
    struct rig_read r;

    for (unsigned k = 0; k < sizeof(ends) / sizeof(ends[0]); k++) {
        start_early(&r, k, EARLY, CACHE_PENDING);
        struct segment_fetch *f = begin(k);
        scripted_source_bring(source, f, EARLY);
        expect_runs(&r, 1);
        finish(&r);
        scripted_source_end(source, f, ends[k]);
        expect_disowned(k + 1, 0);
    }
    ck_assert_uint_eq(stats().disowned, sizeof(ends) / sizeof(ends[0]));
}
END_TEST

START_TEST(what_was_answered_is_proven_after_the_deadline_of_who_was)
{
    struct rig_read r;

    rig_read_init(&r, cache, &file, 2, 1);
    r.wants[0].early = EARLY;
    r.read.deadline_us = 500;
    ck_assert_int_eq(rig_read_start(&r), CACHE_PENDING);
    struct segment_fetch *f = begin(2);
    scripted_source_bring(source, f, EARLY);
    finish(&r);
    scripted_source_end(source, f, SEGMENT_TIMEOUT);
    ck_assert_uint_eq(fetch_of(&file, 2)->want.deadline_us, 0);
    play(&file, 2, SEGMENT_DONE);
    expect_disowned(0, 0);
    ck_assert_uint_eq(atomic_load(&file.proven), 1);
}
END_TEST

/* Nobody was given a byte, so none of them can have been wrong. */
START_TEST(a_header_that_was_quoted_is_proven_or_taken_back_and_spoils_nothing)
{
    struct segment_info lie = {.file_size = 12345678, .begin = 2 * PART, .len = PART, .part = 3};
    struct rig_read r;

    for (unsigned k = 0; k < 2; k++) {
        rig_read_init(&r, cache, &file, 2, 1);
        r.wants[0].early = 1;
        r.wants[0].header = true;
        ck_assert_int_eq(rig_read_start(&r), CACHE_PENDING);
        struct segment_fetch *f = under_way(2);
        ck_assert_int_eq(scripted_source_begin(source, f, &lie), 0);
        scripted_source_spoil(source, f, true);
        scripted_source_bring(source, f, 1);
        expect_runs(&r, 1);
        ck_assert_uint_eq(r.wants[0].there, 0);
        ck_assert_uint_eq(r.wants[0].info.file_size, lie.file_size);
        finish(&r);
        scripted_source_spoil(source, f, false);
        if (k == 0) {
            scripted_source_end(source, f, SEGMENT_FAILED);
            expect_disowned(1, 0);
            ck_assert_uint_eq(atomic_load(&file.taken_back), 0);
        }
    }
    play(&file, 2, SEGMENT_DONE);
    expect_disowned(1, 0);
    ck_assert_uint_eq(atomic_load(&file.proven_size), (uint64_t)file.n * PART);
    start(&r, &file, 2, 1, CACHE_READY);
    ck_assert(rig_read_is_right(&r));
    finish(&r);
}
END_TEST

START_TEST(only_what_was_answered_is_disowned)
{
    struct rig_read a, b;

    start_early(&a, 2, EARLY, CACHE_PENDING);
    start_early(&b, 2, EARLY + 5, CACHE_PENDING);
    struct segment_fetch *f = begin(2);
    scripted_source_bring(source, f, EARLY + 4);
    finish(&a);
    begin(2);
    scripted_source_bring(source, f, EARLY + 5);
    finish(&b);
    scripted_source_end(source, f, SEGMENT_FAILED);
    expect_disowned(1, 0);
    ck_assert_uint_eq(atomic_load(&file.taken_back), EARLY + 5);
}
END_TEST

/* The reply may still be on its way to the kernel when the connection breaks. */
START_TEST(an_attempt_never_writes_over_what_is_being_read)
{
    struct rig_read a, b;

    start_early(&a, 2, EARLY, CACHE_PENDING);
    struct segment_fetch *f = begin(2);
    scripted_source_bring(source, f, EARLY);
    expect_runs(&a, 1);
    start_early(&b, 2, 0, CACHE_PENDING);
    scripted_source_spoil(source, f, true);
    ck_assert_int_eq(scripted_source_begin(source, f, NULL), -ENOSPC);
    scripted_source_end(source, f, SEGMENT_NOSPACE);
    ck_assert(rig_early_is_right(&a, 0));
    expect_disowned(1, 0);
    play(&file, 2, SEGMENT_DONE); /* who waited has asked again */
    expect_runs(&b, 1);
    ck_assert(rig_read_is_right(&b) && rig_early_is_right(&a, 0));
    finish(&a);
    finish(&b);
}
END_TEST

START_TEST(a_read_that_was_answered_early_in_part_can_be_cancelled)
{
    struct rig_read r;

    rig_read_init(&r, cache, &file, 2, 2);
    r.wants[0].early = EARLY;
    ck_assert_int_eq(rig_read_start(&r), CACHE_PENDING);
    struct segment_fetch *f = begin(2);
    scripted_source_bring(source, f, EARLY);
    expect_runs(&r, 0);
    ck_assert(cache_read_cancel(cache, &r.read));
    ck_assert_uint_eq(stats().pinned, 0);
    scripted_source_bring(source, f, SIZE_MAX);
    scripted_source_end(source, f, SEGMENT_DONE);
    end_with(&file, 3, SEGMENT_CANCELLED);
    expect_disowned(0, 0);
}
END_TEST

START_TEST(a_dropped_segment_is_not_answered_from)
{
    struct rig_read r;

    start_early(&r, 2, EARLY, CACHE_PENDING);
    struct segment_fetch *f = begin(2);
    cache_drop(cache, &file.file, 2);
    scripted_source_bring(source, f, SIZE_MAX);
    expect_runs(&r, 0);
    scripted_source_end(source, f, SEGMENT_DONE);
    play(&file, 2, SEGMENT_DONE);
    expect_runs(&r, 1);
    finish(&r);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_read_is_answered_when_its_last_byte_has_come,
        who_comes_when_the_bytes_are_there_is_answered_at_once,
        the_last_byte_waits_for_the_end,
        an_article_that_was_answered_from_is_fetched_to_its_end_though_all_have_gone,
        another_attempt_that_says_the_same_changes_nothing,
        another_attempt_that_says_something_else_is_told_and_the_segment_is_bad,
        an_attempt_without_a_sound_end_is_told_whoever_looked_at_it,
        bytes_beyond_what_was_answered_may_differ,
        the_second_of_three_attempts_is_held_against_the_first,
        what_nobody_can_prove_is_told,
        what_was_answered_is_proven_after_the_deadline_of_who_was,
        a_header_that_was_quoted_is_proven_or_taken_back_and_spoils_nothing,
        only_what_was_answered_is_disowned,
        an_attempt_never_writes_over_what_is_being_read,
        a_read_that_was_answered_early_in_part_can_be_cancelled,
        a_dropped_segment_is_not_answered_from,
    };
    return world_run("cache/early", tests, sizeof(tests) / sizeof(tests[0]));
}
