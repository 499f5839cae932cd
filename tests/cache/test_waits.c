#include "tests/cache/world.h"

#include <errno.h>
#include <stdio.h>

/* Time is the test's: a step of the story is a passing of so many microseconds. */

static const char first[] = "first", second[] = "second"; /* providers */

static struct cache_waits waits;

static void start_asking(struct rig_read *r, uint32_t i, unsigned n, enum cache_start expected)
{
    waits = (struct cache_waits){.since_us = 0};
    rig_read_init(r, cache, &file, i, n);
    r->read.waits = &waits;
    ck_assert_int_eq(rig_read_start(r), expected);
}

/* "connection 10, answer first 20": how the wait went. */
static void expect_waits(const char *expected)
{
    static const char *const names[] = {"memory", "connection", "answer", "bytes"};
    char got[512] = "";
    size_t len = 0;
    uint64_t at = waits.since_us;

    for (unsigned k = 0; k < waits.n; k++) {
        const struct cache_span *s = &waits.spans[k];
        len += (size_t)snprintf(got + len, sizeof(got) - len, "%s%s%s%s %d", k ? ", " : "",
                                names[s->stage], s->provider ? " " : "",
                                s->provider ? s->provider : "", (int)(s->until_us - at));
        at = s->until_us;
    }
    ck_assert_str_eq(got, expected);
}

static void begin(struct segment_fetch *f)
{
    ck_assert_int_eq(scripted_source_begin(source, f, NULL), 0);
}

static void end(struct segment_fetch *f)
{
    scripted_source_bring(source, f, SIZE_MAX);
    scripted_source_end(source, f, SEGMENT_DONE);
}

START_TEST(a_read_is_told_what_each_part_of_its_wait_was_for)
{
    struct rig_read r;

    start_asking(&r, 0, 1, CACHE_PENDING);
    struct segment_fetch *f = fetch_of(&file, 0);
    now_us += 10;
    scripted_source_move(f, first);
    now_us += 20;
    begin(f);
    now_us += 40;
    end(f);
    expect_runs(&r, 1);
    expect_waits("connection 10, answer first 20, bytes first 40");
    finish(&r);
}
END_TEST

START_TEST(a_read_that_need_not_wait_has_not_waited)
{
    struct rig_read r;

    load(&file, 0);
    now_us += 10;
    start_asking(&r, 0, 1, CACHE_READY);
    ck_assert_uint_eq(waits.since_us, 0);
    expect_waits("");
    finish(&r);
}
END_TEST

START_TEST(who_joins_late_waits_for_what_is_left)
{
    struct rig_read early, r;

    start(&early, &file, 0, 1, CACHE_PENDING);
    struct segment_fetch *f = fetch_of(&file, 0);
    now_us += 10;
    scripted_source_move(f, first);
    now_us += 20;
    start_asking(&r, 0, 1, CACHE_PENDING);
    now_us += 5;
    begin(f);
    now_us += 7;
    end(f);
    expect_waits("answer first 5, bytes first 7");
    finish(&early);
    finish(&r);
}
END_TEST

START_TEST(an_attempt_that_failed_keeps_the_time_it_took)
{
    struct rig_read r;

    start_asking(&r, 0, 1, CACHE_PENDING);
    struct segment_fetch *f = fetch_of(&file, 0);
    scripted_source_move(f, first);
    now_us += 30;
    scripted_source_move(f, NULL); /* it is not there */
    now_us += 1;
    scripted_source_move(f, second);
    now_us += 2;
    begin(f);
    now_us += 3;
    end(f);
    expect_waits("answer first 30, connection 1, answer second 2, bytes second 3");
    finish(&r);
}
END_TEST

START_TEST(the_last_segment_to_arrive_is_what_was_waited_for)
{
    struct rig_read r;

    start_asking(&r, 0, 2, CACHE_PENDING);
    struct segment_fetch *a = fetch_of(&file, 0), *b = fetch_of(&file, 1);
    now_us += 10;
    scripted_source_move(b, second);
    now_us += 10;
    begin(b);
    scripted_source_move(a, first);
    now_us += 10;
    begin(a);
    end(a);
    now_us += 10;
    end(b);
    expect_waits("connection 10, answer second 10, bytes second 20");
    finish(&r);
}
END_TEST

START_TEST(a_read_in_the_line_waits_for_memory)
{
    struct rig_read full, r;

    fill_memory(&full);
    start_asking(&r, 0, 1, CACHE_PENDING);
    now_us += 15;
    finish(&full);
    now_us += 5;
    end_with(&file, 0, SEGMENT_MISSING);
    expect_runs(&r, 1);
    expect_waits("memory 15, connection 5");
    finish(&r);
}
END_TEST

START_TEST(a_read_that_lets_go_of_what_it_holds_has_waited_for_that_and_then_for_memory)
{
    struct rig_read full, r;

    file.told = 10; /* it is larger than what is reserved for it */
    fill_memory(&full);
    start_asking(&r, 0, 1, CACHE_PENDING);
    struct segment_fetch *f = fetch_of(&file, 0);
    scripted_source_move(f, first);
    now_us += 4;
    ck_assert_int_eq(scripted_source_begin(source, f, NULL), -ENOSPC);
    scripted_source_end(source, f, SEGMENT_NOSPACE);
    expect_runs(&r, 0);
    now_us += 6;
    finish(&full);
    f = fetch_of(&file, 0);
    scripted_source_move(f, first);
    begin(f);
    now_us += 8;
    end(f);
    expect_runs(&r, 1);
    expect_waits("answer first 4, memory 6, bytes first 8");
    finish(&r);
}
END_TEST

START_TEST(a_read_that_is_cancelled_is_told_what_it_waited_for_in_vain)
{
    struct rig_read r;

    start_asking(&r, 0, 2, CACHE_PENDING);
    scripted_source_move(fetch_of(&file, 1), first);
    now_us += 9;
    begin(fetch_of(&file, 1));
    scripted_source_move(fetch_of(&file, 0), second);
    now_us += 9;
    ck_assert(cache_read_cancel(cache, &r.read));
    expect_waits("connection 9, answer second 9"); /* the one that was furthest from its end */
}
END_TEST

START_TEST(a_cancelled_read_in_the_line_has_waited_for_memory)
{
    struct rig_read full, r;

    fill_memory(&full);
    start_asking(&r, 0, 1, CACHE_PENDING);
    now_us += 11;
    ck_assert(cache_read_cancel(cache, &r.read));
    expect_waits("memory 11");
    finish(&full);
}
END_TEST

START_TEST(an_early_answer_ends_the_wait)
{
    struct rig_read r;

    waits = (struct cache_waits){.since_us = 0};
    rig_read_init(&r, cache, &file, 0, 1);
    r.wants[0].early = 1000;
    r.read.waits = &waits;
    ck_assert_int_eq(rig_read_start(&r), CACHE_PENDING);
    struct segment_fetch *f = fetch_of(&file, 0);
    scripted_source_move(f, first);
    now_us += 3;
    begin(f);
    now_us += 4;
    scripted_source_bring(source, f, 1000);
    expect_runs(&r, 1);
    now_us += 100;
    end(f);
    expect_waits("answer first 3, bytes first 4");
    finish(&r);
}
END_TEST

START_TEST(attempts_beyond_number_are_still_counted_to_the_end)
{
    struct rig_read r;

    start_asking(&r, 0, 1, CACHE_PENDING);
    struct segment_fetch *f = fetch_of(&file, 0);
    uint64_t began = now_us;
    for (unsigned k = 0; k < 50; k++) {
        scripted_source_move(f, k % 2 ? first : second);
        now_us += 3;
        scripted_source_move(f, NULL);
        now_us += 1;
    }
    begin(f);
    end(f);
    ck_assert_uint_le(waits.n, CACHE_SPANS);
    ck_assert_uint_eq(waits.since_us, began);
    ck_assert_uint_eq(waits.spans[waits.n - 1].until_us, now_us);
    finish(&r);
}
END_TEST

START_TEST(a_look_tells_what_streams_wait_for_and_what_is_ahead_of_them)
{
    struct cache_look looks[] = {{.stream = 1}, {.stream = 5}, {.stream = 9}};
    struct rig_read r;

    ck_assert_int_eq(ahead(&file, 50, 5), CACHE_AHEAD_STARTED);
    play(&file, 50, SEGMENT_DONE);
    ck_assert_int_eq(ahead(&file, 51, 5), CACHE_AHEAD_STARTED);
    begin(fetch_of(&file, 51));
    start_asking(&r, 0, 1, CACHE_PENDING);
    struct segment_fetch *f = fetch_of(&file, 0);
    now_us += 10;
    scripted_source_move(f, first);
    cache_looks(cache, looks, 3);
    ck_assert_uint_eq(looks[0].waiting, 1);
    ck_assert_int_eq(looks[0].stage, CACHE_WAITS_ANSWER);
    ck_assert_ptr_eq(looks[0].provider, first);
    ck_assert_uint_eq(looks[0].since_us, now_us);
    ck_assert_uint_eq(looks[0].ready + looks[0].coming, 0);
    ck_assert_uint_eq(looks[1].waiting, 0);
    ck_assert_uint_eq(looks[1].ready, PART);
    ck_assert_uint_eq(looks[1].coming, PART);
    ck_assert_uint_eq(looks[2].waiting + looks[2].ready + looks[2].coming, 0);
    begin(f);
    end(f);
    finish(&r);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_read_is_told_what_each_part_of_its_wait_was_for,
        a_read_that_need_not_wait_has_not_waited,
        who_joins_late_waits_for_what_is_left,
        an_attempt_that_failed_keeps_the_time_it_took,
        the_last_segment_to_arrive_is_what_was_waited_for,
        a_read_in_the_line_waits_for_memory,
        a_read_that_lets_go_of_what_it_holds_has_waited_for_that_and_then_for_memory,
        a_read_that_is_cancelled_is_told_what_it_waited_for_in_vain,
        a_cancelled_read_in_the_line_has_waited_for_memory,
        an_early_answer_ends_the_wait,
        attempts_beyond_number_are_still_counted_to_the_end,
        a_look_tells_what_streams_wait_for_and_what_is_ahead_of_them,
    };

    return world_run("cache/waits", tests, sizeof(tests) / sizeof(tests[0]));
}
