#include "tests/cache/world.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>

/* --- turns ------------------------------------------------------------------------------------- */

START_TEST(a_read_without_room_waits_and_is_admitted_when_pins_return)
{
    struct rig_read full, a, b;

    fill_memory(&full);
    start(&a, &file, 0, 1, CACHE_PENDING);
    start(&b, &file, 1, 1, CACHE_PENDING);
    expect_fetches(0); /* one chunk is free, two are the guess */
    ck_assert_uint_eq(stats().waiting_reads, 2);
    finish(&full);
    expect_fetches(2);
    play(&file, 0, SEGMENT_DONE);
    play(&file, 1, SEGMENT_DONE);
    ck_assert(rig_read_is_right(&a) && rig_read_is_right(&b));
    finish(&a);
    finish(&b);
}
END_TEST

START_TEST(a_waiting_read_can_be_cancelled_and_the_next_moves_up)
{
    struct rig_read full, big, small;

    load(&file, 9);
    fill_memory(&full);
    start(&big, &file, 0, 3, CACHE_PENDING);
    rig_read_init(&small, cache, &file, 5, 1);
    file.told = 10;
    ck_assert_int_eq(rig_read_start(&small), CACHE_PENDING);
    expect_fetches(0);
    ck_assert(cache_read_cancel(cache, &big.read));
    expect_fetches(1);
    ck_assert(!cache_read_cancel(cache, &big.read));
    ck_assert(cache_read_cancel(cache, &small.read));
    finish(&full);
    expect_runs(&big, 0);
}
END_TEST

START_TEST(readahead_gets_nothing_while_a_read_waits)
{
    struct rig_read full, r;

    fill_memory(&full);
    start(&r, &file, 0, 3, CACHE_PENDING);
    file.told = 1;
    ck_assert_int_eq(ahead(&file, 50, 1), CACHE_AHEAD_NO_ROOM);
    finish(&full);
    ck_assert(cache_read_cancel(cache, &r.read));
}
END_TEST

START_TEST(a_read_that_waits_takes_memory_from_readahead_under_way)
{
    struct rig_read full, r;

    load(&other, 0);
    load(&other, 1);
    start(&full, &other, 0, 2, CACHE_READY);
    ck_assert_int_eq(ahead(&file, 50, 1), CACHE_AHEAD_STARTED);
    start(&r, &file, 0, 2, CACHE_PENDING);
    expect_fetches(1);
    ck_assert_uint_eq(scripted_source_look(source, fetch_of(&file, 50)).cancels, 1);
    end_with(&file, 50, SEGMENT_CANCELLED);
    expect_fetches(2);
    finish(&full);
    play(&file, 0, SEGMENT_DONE);
    play(&file, 1, SEGMENT_DONE);
    ck_assert(rig_read_is_right(&r));
    finish(&r);
}
END_TEST

START_TEST(streaming_goes_before_others_but_not_for_ever)
{
    struct rig_read full, background, *urgent = calloc(40, sizeof(*urgent));
    unsigned before = 0;

    ck_assert_ptr_nonnull(urgent);
    fill_memory(&full);
    rig_read_init(&background, cache, &file, 0, 3);
    background.read.class = TRAFFIC_HEALTH;
    ck_assert_int_eq(rig_read_start(&background), CACHE_PENDING);
    for (unsigned k = 0; k < 40; k++)
        start(&urgent[k], &file, 10 + k, 3, CACHE_PENDING);
    finish(&full);
    while (atomic_load(&background.runs) == 0) {
        ck_assert_uint_gt(scripted_source_out(source), 0);
        while (scripted_source_out(source) > 0)
            (void)scripted_source_play(source, scripted_source_nth(source, 0));
        expect_sound();
        for (unsigned k = 0; k < 40; k++)
            if (atomic_load(&urgent[k].runs) == 1 && urgent[k].wants[0].block) {
                ck_assert(rig_read_is_right(&urgent[k]));
                finish(&urgent[k]);
                break;
            }
    }
    for (unsigned k = 0; k < 40; k++)
        before += atomic_load(&urgent[k].runs);
    ck_assert_uint_ge(before, 10);
    ck_assert_uint_le(before, 20);
    finish(&background);
    for (unsigned k = 0; k < 40; k++)
        if (!cache_read_cancel(cache, &urgent[k].read))
            finish(&urgent[k]);
    free(urgent);
}
END_TEST

START_TEST(hits_pass_a_waiting_read_but_not_for_ever)
{
    struct rig_read full, waiting, hit[200];
    unsigned passed = 0, ended = 0;

    fill_memory(&full);
    start(&waiting, &file, 0, 3, CACHE_PENDING);
    /* Each pins the same blocks before the one before it lets go. */
    while (passed < 200) {
        rig_read_init(&hit[passed], cache, &other, 0, 3);
        if (rig_read_start(&hit[passed]) != CACHE_READY)
            break;
        if (passed > 0)
            finish(&hit[ended++]);
        else
            finish(&full);
        passed++;
    }
    ck_assert_uint_ge(passed, 16);
    ck_assert_uint_lt(passed, 200);
    while (ended < passed)
        finish(&hit[ended++]);
    expect_fetches(3); /* now the waiting one is served */
    for (uint32_t i = 0; i < 3; i++)
        play(&file, i, SEGMENT_DONE);
    ck_assert(rig_read_is_right(&waiting));
    finish(&waiting);
    ck_assert(cache_read_cancel(cache, &hit[passed].read));
}
END_TEST

static struct rig_read *after;
static unsigned runs_inside;

/** Lets go, which admits the next, and looks whether that one is told at once. */
static void let_go_and_look(struct cache_read *r)
{
    cache_read_end(cache, r);
    runs_inside += atomic_load(&after->runs);
}

START_TEST(ready_never_runs_inside_another_ready)
{
    struct rig_read full, first, head, hits[100];
    unsigned n = 0;

    load(&other, 0);
    load(&other, 1);
    start(&full, &other, 0, 2, CACHE_READY);
    start(&first, &file, 9, 1, CACHE_PENDING);
    first.read.ready = let_go_and_look;
    ck_assert_int_eq(scripted_source_begin(source, fetch_of(&file, 9), NULL), 0);
    start(&head, &file, 0, 1, CACHE_PENDING);
    do { /* until the head has been passed often enough */
        rig_read_init(&hits[n], cache, &other, 0, 1);
    } while (rig_read_start(&hits[n++]) == CACHE_READY && n < 100);
    after = &hits[n - 1];
    ck_assert_uint_eq(stats().waiting_reads, 2);
    for (unsigned k = 0; k < n - 1; k++)
        finish(&hits[k]);
    runs_inside = 0;
    play(&file, 9, SEGMENT_DONE);
    ck_assert_uint_eq(runs_inside, 0);
    expect_runs(after, 1);
    finish(after);
    finish(&full);
    ck_assert(cache_read_cancel(cache, &head.read));
}
END_TEST

START_TEST(a_long_line_is_served_without_a_deep_stack)
{
    enum { READERS = 100000 };
    struct rig_read full, *line = calloc(READERS, sizeof(*line));

    ck_assert_ptr_nonnull(line);
    fill_memory(&full);
    for (unsigned k = 0; k < READERS; k++) {
        rig_read_init(&line[k], cache, &file, 0, 3);
        line[k].ends_itself = true;
        ck_assert_int_eq(rig_read_start(&line[k]), CACHE_PENDING);
    }
    finish(&full);
    for (uint32_t i = 0; i < 3; i++)
        play(&file, i, SEGMENT_DONE);
    for (unsigned k = 0; k < READERS; k++)
        ck_assert_uint_eq(atomic_load(&line[k].runs), 1);
    free(line);
}
END_TEST

/* --- cancelling -------------------------------------------------------------------------------- */

START_TEST(the_last_reader_to_leave_cancels_the_fetch)
{
    struct rig_read a, b;

    start(&a, &file, 1, 1, CACHE_PENDING);
    start(&b, &file, 1, 1, CACHE_PENDING);
    ck_assert(cache_read_cancel(cache, &a.read));
    ck_assert_uint_eq(scripted_source_look(source, fetch_of(&file, 1)).cancels, 0);
    ck_assert(cache_read_cancel(cache, &b.read));
    ck_assert_uint_eq(scripted_source_look(source, fetch_of(&file, 1)).cancels, 1);
    play(&file, 1, SEGMENT_CANCELLED);
    expect_runs(&a, 0);
    expect_runs(&b, 0);
    ck_assert_uint_eq(stats().used, 0);
}
END_TEST

START_TEST(a_cancelled_fetch_that_completes_all_the_same_is_kept)
{
    struct rig_read a, b;

    start(&a, &file, 1, 1, CACHE_PENDING);
    ck_assert_int_eq(scripted_source_begin(source, fetch_of(&file, 1), NULL), 0);
    ck_assert(cache_read_cancel(cache, &a.read));
    play(&file, 1, SEGMENT_DONE);
    start(&b, &file, 1, 1, CACHE_READY);
    ck_assert(rig_read_is_right(&b));
    finish(&b);
}
END_TEST

START_TEST(who_joins_a_cancelled_fetch_gets_a_new_one)
{
    struct rig_read a, b;

    start(&a, &file, 1, 1, CACHE_PENDING);
    ck_assert(cache_read_cancel(cache, &a.read));
    start(&b, &file, 1, 1, CACHE_PENDING);
    expect_fetches(1);
    play(&file, 1, SEGMENT_CANCELLED);
    expect_runs(&b, 0);
    expect_fetches(1);
    play(&file, 1, SEGMENT_DONE);
    ck_assert(rig_read_is_right(&b));
    finish(&b);
}
END_TEST

START_TEST(a_source_that_cancels_by_itself_is_not_asked_again)
{
    struct rig_read a;

    start(&a, &file, 1, 1, CACHE_PENDING);
    end_with(&file, 1, SEGMENT_CANCELLED);
    expect_runs(&a, 1);
    ck_assert_int_eq(a.wants[0].result, SEGMENT_CANCELLED);
    expect_fetches(0);
    finish(&a);
}
END_TEST

START_TEST(a_read_that_is_over_cannot_be_cancelled)
{
    struct rig_read a;

    start(&a, &file, 1, 1, CACHE_PENDING);
    play(&file, 1, SEGMENT_DONE);
    ck_assert(!cache_read_cancel(cache, &a.read));
    ck_assert(rig_read_is_right(&a));
    finish(&a);
}
END_TEST

START_TEST(a_cancelled_read_gives_back_what_it_had_got)
{
    struct rig_read a;

    start(&a, &file, 1, 2, CACHE_PENDING);
    play(&file, 1, SEGMENT_DONE);
    ck_assert_uint_eq(stats().pinned, 1);
    ck_assert(cache_read_cancel(cache, &a.read));
    ck_assert_uint_eq(stats().pinned, 0);
    expect_sound();
}
END_TEST

START_TEST(a_timeout_is_for_those_whose_time_is_up)
{
    struct rig_read soon, late, never;

    rig_read_init(&soon, cache, &file, 1, 1);
    rig_read_init(&late, cache, &file, 1, 1);
    rig_read_init(&never, cache, &file, 1, 1);
    soon.read.deadline_us = 100;
    late.read.deadline_us = 200;
    ck_assert_int_eq(rig_read_start(&late), CACHE_PENDING);
    ck_assert_int_eq(rig_read_start(&soon), CACHE_PENDING);
    ck_assert_int_eq(rig_read_start(&never), CACHE_PENDING);
    ck_assert_uint_eq(scripted_source_look(source, fetch_of(&file, 1)).deadline_us, 100);
    end_with(&file, 1, SEGMENT_TIMEOUT);
    expect_runs(&soon, 1);
    ck_assert_int_eq(soon.wants[0].result, SEGMENT_TIMEOUT);
    expect_runs(&late, 0);
    ck_assert_uint_eq(fetch_of(&file, 1)->want.deadline_us, 200);
    end_with(&file, 1, SEGMENT_TIMEOUT);
    expect_runs(&late, 1);
    ck_assert_uint_eq(fetch_of(&file, 1)->want.deadline_us, 0);
    play(&file, 1, SEGMENT_DONE);
    ck_assert(rig_read_is_right(&never));
    finish(&soon);
    finish(&late);
    finish(&never);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_read_without_room_waits_and_is_admitted_when_pins_return,
        a_waiting_read_can_be_cancelled_and_the_next_moves_up,
        readahead_gets_nothing_while_a_read_waits,
        a_read_that_waits_takes_memory_from_readahead_under_way,
        streaming_goes_before_others_but_not_for_ever,
        hits_pass_a_waiting_read_but_not_for_ever,
        ready_never_runs_inside_another_ready,
        a_long_line_is_served_without_a_deep_stack,
        the_last_reader_to_leave_cancels_the_fetch,
        a_cancelled_fetch_that_completes_all_the_same_is_kept,
        who_joins_a_cancelled_fetch_gets_a_new_one,
        a_source_that_cancels_by_itself_is_not_asked_again,
        a_read_that_is_over_cannot_be_cancelled,
        a_cancelled_read_gives_back_what_it_had_got,
        a_timeout_is_for_those_whose_time_is_up,
    };

    return world_run("cache/turns", tests, sizeof(tests) / sizeof(tests[0]));
}
