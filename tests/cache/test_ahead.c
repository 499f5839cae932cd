#include "tests/cache/world.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>

START_TEST(a_reader_promotes_what_was_asked_ahead)
{
    struct rig_read r;

    ck_assert_int_eq(ahead(&file, 1, 1), CACHE_AHEAD_STARTED);
    ck_assert_int_eq(ahead(&file, 1, 1), CACHE_AHEAD_THERE);
    ck_assert_int_eq(fetch_of(&file, 1)->want.urgency, URGENCY_READAHEAD);
    rig_read_init(&r, cache, &file, 1, 1);
    r.read.deadline_us = 777;
    ck_assert_int_eq(rig_read_start(&r), CACHE_PENDING);
    struct scripted_fetch seen = scripted_source_look(source, fetch_of(&file, 1));
    ck_assert_uint_eq(seen.promotes, 1);
    ck_assert_int_eq(seen.urgency, URGENCY_DEMAND);
    ck_assert_uint_eq(seen.deadline_us, 777);
    play(&file, 1, SEGMENT_DONE);
    ck_assert(rig_read_is_right(&r));
    finish(&r);
    ck_assert_int_eq(ahead(&file, 1, 1), CACHE_AHEAD_THERE);
}
END_TEST

/* It only looks around and has five seconds; what it joined is expected to be read by another. */
START_TEST(readahead_outlives_the_deadline_of_who_joined_it)
{
    struct rig_read scanner, player;

    ck_assert_int_eq(ahead(&file, 1, 1), CACHE_AHEAD_STARTED);
    rig_read_init(&scanner, cache, &file, 1, 1);
    scanner.read.deadline_us = 500;
    ck_assert_int_eq(rig_read_start(&scanner), CACHE_PENDING);
    ck_assert_uint_eq(scripted_source_look(source, fetch_of(&file, 1)).deadline_us, 500);
    end_with(&file, 1, SEGMENT_TIMEOUT);
    expect_runs(&scanner, 1);
    ck_assert_int_eq(scanner.wants[0].result, SEGMENT_TIMEOUT);
    finish(&scanner);
    ck_assert_uint_eq(fetch_of(&file, 1)->want.deadline_us, 0);
    ck_assert_int_eq(fetch_of(&file, 1)->want.urgency, URGENCY_READAHEAD);
    start(&player, &file, 1, 1, CACHE_PENDING);
    play(&file, 1, SEGMENT_DONE);
    ck_assert(rig_read_is_right(&player));
    finish(&player);
}
END_TEST

START_TEST(readahead_outlives_a_reader_that_has_gone_and_who_comes_next_has_his_own_time)
{
    struct rig_read scanner, player;

    ck_assert_int_eq(ahead(&file, 1, 1), CACHE_AHEAD_STARTED);
    rig_read_init(&scanner, cache, &file, 1, 1);
    scanner.read.deadline_us = 500;
    ck_assert_int_eq(rig_read_start(&scanner), CACHE_PENDING);
    ck_assert(cache_read_cancel(cache, &scanner.read));
    rig_read_init(&player, cache, &file, 1, 1);
    player.read.deadline_us = 900;
    ck_assert_int_eq(rig_read_start(&player), CACHE_PENDING);
    end_with(&file, 1, SEGMENT_TIMEOUT);
    expect_runs(&player, 0);
    ck_assert_uint_eq(fetch_of(&file, 1)->want.deadline_us, 900);
    end_with(&file, 1, SEGMENT_TIMEOUT);
    ck_assert_int_eq(player.wants[0].result, SEGMENT_TIMEOUT);
    finish(&player);
    ck_assert_uint_eq(fetch_of(&file, 1)->want.deadline_us, 0);
    end_with(&file, 1, SEGMENT_TIMEOUT); /* of its own: nobody can be asked */
    expect_fetches(0);
}
END_TEST

START_TEST(readahead_does_not_push_out_what_readahead_brought)
{
    uint32_t i = 0;
    struct rig_read r;

    while (ahead(&file, i, 1) == CACHE_AHEAD_STARTED) {
        play(&file, i, SEGMENT_DONE);
        ck_assert_uint_lt(++i, CHUNKS);
    }
    ck_assert_uint_ge(i, 2);
    ck_assert_uint_eq(stats().evictions, 0);
    start(&r, &file, 0, 1, CACHE_READY); /* read: now it may go */
    finish(&r);
    ck_assert_int_eq(ahead(&file, i, 1), CACHE_AHEAD_STARTED);
    ck_assert_uint_eq(stats().evictions, 1);
    play(&file, i, SEGMENT_DONE);
}
END_TEST

START_TEST(readahead_under_way_leaves_room_for_a_read)
{
    struct rig_read r;
    uint32_t i = 0;

    file.told = other.told = 1; /* one chunk each, as far as is known */
    while (ahead(&file, i, 1) == CACHE_AHEAD_STARTED)
        ck_assert_uint_lt(++i, CHUNKS);
    start(&r, &other, 0, 1, CACHE_PENDING);
    ck_assert_ptr_nonnull(fetch_of(&other, 0));
    ck_assert(cache_read_cancel(cache, &r.read));
}
END_TEST

START_TEST(a_read_may_push_out_what_readahead_brought)
{
    struct rig_read r;
    uint32_t i = 0;

    while (ahead(&file, i, 1) == CACHE_AHEAD_STARTED)
        play(&file, i++, SEGMENT_DONE);
    start(&r, &file, 50, 3, CACHE_PENDING);
    expect_fetches(3);
    for (i = 50; i < 53; i++)
        play(&file, i, SEGMENT_DONE);
    ck_assert(rig_read_is_right(&r));
    finish(&r);
}
END_TEST

START_TEST(a_paused_stream_shares_what_it_has_filled)
{
    uint32_t n = 0, i = 0;
    struct rig_read r;

    file.told = other.told = PART;
    while (ahead(&file, n, 1) == CACHE_AHEAD_STARTED)
        play(&file, n++, SEGMENT_DONE);
    ck_assert_uint_ge(n, 3);
    /* The other has none: one of the paused one's is given up, the last it would need. */
    ck_assert_int_eq(ahead(&other, 0, 2), CACHE_AHEAD_STARTED);
    play(&other, 0, SEGMENT_DONE);
    ck_assert_int_eq(ahead(&other, 1, 2), CACHE_AHEAD_NO_ROOM);
    for (i = 0; i < n - 1; i++) {
        start(&r, &file, i, 1, CACHE_READY);
        finish(&r);
    }
    start(&r, &file, n - 1, 1, CACHE_PENDING);
    play(&file, n - 1, SEGMENT_DONE);
    finish(&r);
}
END_TEST

START_TEST(a_reader_that_gives_up_leaves_readahead_as_it_was)
{
    struct rig_read r;

    ck_assert_int_eq(ahead(&file, 1, 1), CACHE_AHEAD_STARTED);
    start(&r, &file, 1, 1, CACHE_PENDING);
    ck_assert(cache_read_cancel(cache, &r.read));
    ck_assert_uint_eq(scripted_source_look(source, fetch_of(&file, 1)).cancels, 0);
    cache_ahead_drop(cache, &file.file, 1);
    ck_assert_uint_eq(scripted_source_look(source, fetch_of(&file, 1)).cancels, 1);
    play(&file, 1, SEGMENT_CANCELLED);
}
END_TEST

START_TEST(dropped_readahead_is_cancelled_unless_somebody_waits)
{
    struct rig_read r;

    ck_assert_int_eq(ahead(&file, 1, 7), CACHE_AHEAD_STARTED);
    ck_assert_int_eq(ahead(&file, 2, 7), CACHE_AHEAD_STARTED);
    ck_assert_int_eq(ahead(&file, 3, 8), CACHE_AHEAD_STARTED);
    start(&r, &file, 2, 1, CACHE_PENDING);
    cache_ahead_drop(cache, &file.file, 7);
    ck_assert_uint_eq(scripted_source_look(source, fetch_of(&file, 1)).cancels, 1);
    ck_assert_uint_eq(scripted_source_look(source, fetch_of(&file, 2)).cancels, 0);
    ck_assert_uint_eq(scripted_source_look(source, fetch_of(&file, 3)).cancels, 0);
    play(&file, 1, SEGMENT_CANCELLED);
    play(&file, 2, SEGMENT_DONE);
    finish(&r);
}
END_TEST

START_TEST(what_a_dropped_readahead_brought_may_be_pushed_out)
{
    uint32_t i = 0;

    while (ahead(&file, i, 7) == CACHE_AHEAD_STARTED)
        play(&file, i++, SEGMENT_DONE);
    cache_ahead_drop(cache, &file.file, 7);
    ck_assert_int_eq(ahead(&file, i, 8), CACHE_AHEAD_STARTED);
}
END_TEST

START_TEST(readahead_asked_again_after_it_was_dropped_is_fetched)
{
    ck_assert_int_eq(ahead(&file, 1, 7), CACHE_AHEAD_STARTED);
    cache_ahead_drop(cache, &file.file, 7);
    ck_assert_int_eq(ahead(&file, 1, 8), CACHE_AHEAD_THERE);
    play(&file, 1, SEGMENT_CANCELLED);
    expect_fetches(1);
    play(&file, 1, SEGMENT_DONE);
    ck_assert_uint_eq(stats().blocks, 1);
}
END_TEST

START_TEST(what_another_run_keeps_is_not_withdrawn)
{
    static const struct cache_range keep[] = {{2, 3}, {90, UINT32_MAX}};

    ck_assert_int_eq(ahead(&file, 1, 5), CACHE_AHEAD_STARTED);
    ck_assert_int_eq(ahead(&file, 2, 5), CACHE_AHEAD_STARTED);
    cache_ahead_keep(cache, &file.file, 6, NULL, 0); /* nobody's */
    ck_assert_uint_eq(scripted_source_look(source, fetch_of(&file, 1)).cancels, 0);
    cache_ahead_keep(cache, &file.file, 5, keep, 2);
    ck_assert_uint_eq(scripted_source_look(source, fetch_of(&file, 1)).cancels, 1);
    ck_assert_uint_eq(scripted_source_look(source, fetch_of(&file, 2)).cancels, 0);
    end_with(&file, 1, SEGMENT_CANCELLED);
    play(&file, 2, SEGMENT_DONE);
    ck_assert_uint_eq(cache->fresh_chunks, 3);
    cache_ahead_keep(cache, &file.file, 5, keep, 1);
    ck_assert_uint_eq(cache->fresh_chunks, 3);
    cache_ahead_keep(cache, &file.file, 5, keep + 1, 1);
    ck_assert_uint_eq(cache->fresh_chunks, 0);
}
END_TEST

/* Segment `i` takes so long from being asked of a provider, and longer than that in all. */
static void takes(uint32_t i, uint64_t us)
{
    struct rig_read r;

    start(&r, &file, i, 1, CACHE_PENDING);
    now_us += 1000000;
    scripted_source_move(fetch_of(&file, i), "main");
    now_us += us;
    play(&file, i, SEGMENT_DONE);
    finish(&r);
}

START_TEST(an_articles_time_is_the_least_of_late_without_what_it_queued)
{
    ck_assert_uint_eq(cache_latency_us(cache), 0);
    takes(0, 500);
    ck_assert_uint_eq(cache_latency_us(cache), 500);
    takes(1, 300);
    takes(2, 9000); /* a straggler */
    ck_assert_uint_eq(cache_latency_us(cache), 300);
    for (unsigned k = 0; k < 200; k++) /* the line is a slower one now */
        takes(3 + k % 90, 700 + k);
    ck_assert_uint_ge(cache_latency_us(cache), 700);
    ck_assert_uint_le(cache_latency_us(cache), 900);
    load(&other, 1); /* of a source that does not tell */
    ck_assert_uint_ge(cache_latency_us(cache), 700);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_reader_promotes_what_was_asked_ahead,
        readahead_outlives_the_deadline_of_who_joined_it,
        readahead_outlives_a_reader_that_has_gone_and_who_comes_next_has_his_own_time,
        readahead_does_not_push_out_what_readahead_brought,
        readahead_under_way_leaves_room_for_a_read,
        a_read_may_push_out_what_readahead_brought,
        a_paused_stream_shares_what_it_has_filled,
        a_reader_that_gives_up_leaves_readahead_as_it_was,
        dropped_readahead_is_cancelled_unless_somebody_waits,
        what_a_dropped_readahead_brought_may_be_pushed_out,
        readahead_asked_again_after_it_was_dropped_is_fetched,
        what_another_run_keeps_is_not_withdrawn,
        an_articles_time_is_the_least_of_late_without_what_it_queued,
    };

    return world_run("cache/ahead", tests, sizeof(tests) / sizeof(tests[0]));
}
