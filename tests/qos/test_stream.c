/* How far ahead of a reader to fetch: stories, and a property over readers who do anything. */
#include "qos/stream.h"
#include "tests/qos/dice.h"

#include <check.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define KIB    ((uint64_t)1 << 10)
#define MIB    ((uint64_t)1 << 20)
#define SECOND ((uint64_t)1000000)

static struct qos_stream s;
static uint64_t now_us;
static struct qos_ahead step;

static void setup(void)
{
    qos_stream_init(&s, 64 * MIB);
    s.latency_us = 100000;
    now_us = 5 * SECOND;
}

/* A read, and all that it makes worth asking for is asked for. Returns how much that is. */
static uint64_t reads(uint64_t off, uint64_t len)
{
    qos_stream_read(&s, now_us, off, len, &step);
    qos_stream_asked(&s, step.run, step.to);
    return step.to - step.from;
}

/* `n` bytes from `off` on in reads of `len`, at so many bytes a second. */
static void plays(uint64_t off, uint64_t n, uint64_t len, uint64_t rate_bps)
{
    for (uint64_t at = off; at < off + n; at += len) {
        reads(at, len);
        now_us += len * SECOND / rate_bps;
    }
}

static uint64_t held(void)
{
    return qos_stream_ahead(&s);
}

/* --- what is a run ----------------------------------------------------------------------------- */

START_TEST(a_first_read_asks_for_nothing_ahead)
{
    ck_assert_uint_eq(reads(0, MIB), 0);
    ck_assert_uint_eq(reads(500 * MIB, MIB), 0);
    ck_assert(!step.withdraw);
}
END_TEST

START_TEST(small_reads_in_sequence_are_not_a_run_at_once)
{
    for (uint64_t at = 0; at < 128 * KIB; at += 4 * KIB)
        ck_assert_uint_eq(reads(at, 4 * KIB), 0);
    plays(128 * KIB, MIB, 4 * KIB, 100 * MIB);
    ck_assert_uint_ge(held(), MIB / 2);
}
END_TEST

START_TEST(small_reads_here_and_there_never_are)
{
    for (uint64_t k = 0; k < 200; k++)
        ck_assert_uint_eq(reads(k * 400 * KIB, 32 * KIB), 0);
}
END_TEST

START_TEST(requests_that_overtake_each_other_are_one_run)
{
    static const uint64_t order[] = {0, 2, 1, 3, 5, 4, 7, 6, 8};
    for (unsigned k = 0; k < sizeof(order) / sizeof(order[0]); k++) {
        reads(order[k] * MIB, MIB);
        ck_assert(!step.withdraw);
    }
    ck_assert_uint_gt(held(), 4 * MIB);
    ck_assert_uint_eq(qos_stream_run(&s, 9 * MIB), 9 * MIB);
}
END_TEST

START_TEST(a_look_at_the_tail_and_back_finds_its_run)
{
    plays(0, 4 * MIB, 256 * KIB, 4 * MIB);
    reads(900 * MIB, 64 * KIB);
    ck_assert(step.withdraw);
    ck_assert_uint_eq(held(), 0);
    ck_assert_uint_gt(reads(4 * MIB, 256 * KIB), 2 * MIB); /* at once, and all of it again */
    ck_assert_uint_eq(qos_stream_run(&s, 4 * MIB + 256 * KIB), 4 * MIB + 256 * KIB);
}
END_TEST

START_TEST(two_places_read_in_turn_both_keep_their_windows)
{
    for (uint64_t k = 0; k < 64; k++) {
        reads(k * 256 * KIB, 256 * KIB);
        ck_assert(!step.withdraw || k < 2);
        reads(500 * MIB + k * 256 * KIB, 256 * KIB);
        ck_assert(!step.withdraw || k < 2);
        now_us += SECOND / 16;
    }
    ck_assert_uint_gt(s.runs[0].ahead, s.runs[0].next + MIB);
    ck_assert_uint_gt(s.runs[1].ahead, s.runs[1].next + MIB);
}
END_TEST

START_TEST(of_too_many_runs_the_one_longest_unread_goes)
{
    for (uint64_t k = 0; k <= QOS_STREAM_RUNS; k++)
        reads(k * 100 * MIB, MIB);
    ck_assert_uint_eq(qos_stream_run(&s, MIB), 0);
    for (uint64_t k = 1; k <= QOS_STREAM_RUNS; k++)
        ck_assert_uint_eq(qos_stream_run(&s, k * 100 * MIB + MIB), MIB);
}
END_TEST

START_TEST(what_a_run_holds_that_is_read_no_more_is_given_up)
{
    plays(0, 4 * MIB, MIB, 4 * MIB);
    reads(300 * MIB, MIB);
    reads(4 * MIB, MIB); /* both are runs now */
    uint64_t kept = s.runs[0].ahead - s.runs[0].next;
    ck_assert_uint_gt(kept, 0);
    plays(301 * MIB, 40 * MIB, MIB, 4 * MIB);
    ck_assert_uint_eq(s.runs[0].ahead, s.runs[0].next);
}
END_TEST

/* --- how much ---------------------------------------------------------------------------------- */

START_TEST(a_player_has_what_it_needs_and_no_more)
{
    plays(0, 200 * MIB, 256 * KIB, 4 * MIB);
    ck_assert_uint_ge(held(), 4 * MIB / 10 * 2);
    ck_assert_uint_le(held(), 4 * MIB);
    s.latency_us = 800000; /* it takes more where articles take long */
    plays(200 * MIB, 50 * MIB, 256 * KIB, 4 * MIB);
    ck_assert_uint_ge(held(), 8 * MIB);
    ck_assert_uint_le(held(), 20 * MIB);
}
END_TEST

START_TEST(a_player_whose_reads_come_in_bursts_is_a_player)
{
    for (uint64_t at = 0; at < 200 * MIB; at += 2 * MIB) {
        reads(at, MIB);
        now_us += 50;
        reads(at + MIB, MIB);
        now_us += SECOND / 2;
    }
    ck_assert_uint_le(held(), 5 * MIB);
}
END_TEST

/* A reader that waits for each byte, on a line with such a rate and latency: what it reads in a latency is its
 * window, and no more than the line carries. */
static uint64_t copies(uint64_t line_bps, uint64_t latency_us)
{
    s.latency_us = latency_us;
    for (uint64_t at = 0; at < 800 * MIB; at += 256 * KIB) {
        reads(at, 256 * KIB);
        uint64_t window = held() + 256 * KIB;
        uint64_t bps = window * SECOND / latency_us;
        if (bps > line_bps)
            bps = line_bps;
        now_us += 256 * KIB * SECOND / bps;
    }
    return held();
}

START_TEST(who_always_waits_gets_what_fills_the_line_and_no_more)
{
    s.most = 512 * MIB;
    uint64_t window = copies(500 * MIB, 180000); /* a hundred connections of 5 MB/s */
    ck_assert_uint_ge(window, 90 * MIB);
    ck_assert_uint_le(window, 220 * MIB);
}
END_TEST

START_TEST(where_articles_come_at_once_a_copy_stays_within_a_few_megabytes)
{
    uint64_t window = copies(2000 * MIB, 1000);
    ck_assert_uint_ge(window, 8 * MIB);
    ck_assert_uint_le(window, 16 * MIB);
}
END_TEST

START_TEST(the_window_grows_in_proportion_to_what_was_read)
{
    s.latency_us = SECOND;
    reads(0, 256 * KIB);
    for (uint64_t at = 256 * KIB; at < 16 * MIB; at += 256 * KIB) {
        reads(at, 256 * KIB);
        now_us += 1000;
        ck_assert_uint_le(held(), 4 * (at + 256 * KIB) + MIB);
    }
    ck_assert_uint_ge(held(), 48 * MIB);
}
END_TEST

START_TEST(nothing_behind_the_end_is_asked_for)
{
    s.size = 10 * MIB + 5;
    plays(0, 9 * MIB, MIB, 100 * MIB);
    ck_assert_uint_eq(step.to, s.size);
    ck_assert_uint_eq(reads(9 * MIB, MIB), 0);
}
END_TEST

START_TEST(what_found_no_room_is_asked_for_again)
{
    plays(0, 8 * MIB, MIB, 100 * MIB);
    qos_stream_read(&s, now_us, 8 * MIB, MIB, &step);
    ck_assert_uint_lt(step.from, step.to);
    qos_stream_asked(&s, step.run, step.to);
    uint64_t from = step.from;
    qos_stream_refused(&s, step.run, from);
    qos_stream_read(&s, now_us, 9 * MIB, MIB, &step);
    ck_assert_uint_eq(step.from, from);
}
END_TEST

START_TEST(a_smaller_budget_holds_at_once)
{
    plays(0, 32 * MIB, MIB, 100 * MIB);
    uint64_t before = held();
    ck_assert_uint_gt(before, 8 * MIB);
    s.most = 4 * MIB;
    ck_assert_uint_eq(reads(32 * MIB, MIB), 0);
    ck_assert_uint_eq(held(), before - MIB);
}
END_TEST

/* --- pauses, jumps, skips ---------------------------------------------------------------------- */

START_TEST(a_pause_neither_shrinks_nor_widens_the_window)
{
    plays(0, 60 * MIB, 256 * KIB, 4 * MIB);
    uint64_t before = held();
    now_us += 600 * SECOND;
    ck_assert_uint_le(reads(60 * MIB, 256 * KIB), MIB);
    plays(60 * MIB + 256 * KIB, 4 * MIB, 256 * KIB, 4 * MIB);
    ck_assert_uint_ge(held() + MIB, before / 2);
    ck_assert_uint_le(held(), before + MIB);
}
END_TEST

START_TEST(a_jump_withdraws_what_was_asked_for)
{
    plays(0, 20 * MIB, MIB, 10 * MIB);
    ck_assert_uint_gt(held(), 0);
    ck_assert_uint_eq(reads(700 * MIB, MIB), 0);
    ck_assert(step.withdraw);
    ck_assert_uint_eq(held(), 0);
}
END_TEST

START_TEST(a_skip_forward_keeps_the_window)
{
    plays(0, 40 * MIB, MIB, 10 * MIB);
    uint64_t before = held(), ahead = s.runs[0].ahead;
    reads(43 * MIB, MIB);
    ck_assert_uint_eq(step.from, ahead > 44 * MIB ? ahead : 44 * MIB);
    ck_assert_uint_ge(held() + MIB, before);
    ck_assert(step.withdraw); /* what was skipped */
}
END_TEST

START_TEST(who_skips_on_and_on_is_soon_not_read_ahead_of)
{
    uint64_t off = 0, asked = 0;
    plays(0, 8 * MIB, MIB, 10 * MIB);
    for (unsigned k = 0; k < 60; k++) {
        off = 8 * MIB + k * 6 * MIB;
        asked = reads(off, 64 * KIB);
        now_us += SECOND / 10;
    }
    ck_assert_uint_eq(asked, 0);
    ck_assert_uint_eq(held(), 0);
}
END_TEST

START_TEST(after_many_jumps_a_run_must_be_longer_to_count)
{
    for (uint64_t k = 0; k < 20; k++)
        reads(k * 50 * MIB, 256 * KIB);
    uint64_t off = 19 * 50 * MIB;
    for (uint64_t at = 256 * KIB; at < MIB; at += 256 * KIB)
        ck_assert_uint_eq(reads(off + at, 256 * KIB), 0);
    plays(off + MIB, 4 * MIB, 256 * KIB, 4 * MIB);
    ck_assert_uint_gt(held(), 0);
}
END_TEST

START_TEST(a_scan_is_never_read_ahead_of_and_one_that_begins_gives_up_what_was)
{
    plays(0, 8 * MIB, MIB, 10 * MIB);
    ck_assert_uint_gt(held(), 0);
    s.scan = true;
    ck_assert_uint_eq(reads(8 * MIB, MIB), 0);
    ck_assert(step.withdraw);
    plays(9 * MIB, 50 * MIB, MIB, 10 * MIB);
    ck_assert_uint_eq(held(), 0);
    s.scan = false; /* somebody else reads on */
    ck_assert_uint_gt(reads(59 * MIB, MIB), MIB);
}
END_TEST

/* Somebody reads 5 MiB here and 5 MiB there, which is a run each time, and a little less in between. */
START_TEST(who_looks_about_on_and_on_has_less_fetched_in_vain_than_it_reads)
{
    uint64_t asked = 0, used = 0;
    s.wary = true;
    for (uint64_t k = 0; k < 100; k++) {
        uint64_t from = k * 1000 * MIB, n = k % 2 ? 5 * MIB : MIB;
        for (uint64_t at = from; at < from + n; at += MIB) {
            asked += reads(at, MIB);
            used += at > from && step.from > at ? MIB : 0;
        }
        ck_assert_uint_le(asked, QOS_STREAM_VAIN + 2 * s.total);
        ck_assert_uint_le(s.vain + held(), QOS_STREAM_VAIN + s.total);
    }
    ck_assert_uint_gt(asked, 100 * MIB); /* yet it is read ahead of */
    ck_assert_uint_gt(used, 0);
}
END_TEST

START_TEST(a_long_copy_by_somebody_wary_is_held_back_by_no_budget)
{
    s.wary = true;
    plays(0, 200 * MIB, MIB, 400 * MIB);
    ck_assert_uint_eq(s.vain, 0);
    ck_assert_uint_gt(held(), 2 * QOS_STREAM_VAIN);
}
END_TEST

START_TEST(a_wary_handle_needs_a_long_run)
{
    s.wary = true;
    for (uint64_t at = 0; at < 3 * MIB; at += MIB)
        ck_assert_uint_eq(reads(at, MIB), 0);
    plays(3 * MIB, 4 * MIB, MIB, 10 * MIB);
    ck_assert_uint_gt(held(), 0);
}
END_TEST

/* --- whatever is read -------------------------------------------------------------------------- */

#define PAGE  (256 * KIB)
#define PAGES 1024u /* a file of 256 MiB */

static uint8_t asked[QOS_STREAM_RUNS][PAGES]; /* by run: asked for, and not withdrawn */

/* What is no longer held, and lies in front, was withdrawn; what the reader has passed may not come again. */
static void withdrawn(void)
{
    for (unsigned k = 0; k < QOS_STREAM_RUNS; k++) {
        uint64_t from, to;
        bool any = qos_stream_held(&s, k, &from, &to);
        for (uint64_t p = 0; p < PAGES; p++)
            if (!any || p * PAGE < from || p * PAGE >= to)
                asked[k][p] = 0;
    }
}

static void reader_does(struct dice *d, uint64_t *at)
{
    uint64_t len = PAGE * (1 + dice_below(d, 16));
    switch (dice_below(d, 12)) {
    case 0:
        *at = PAGE * dice_below(d, PAGES);
        break;
    case 1:
        *at += PAGE * dice_below(d, 80);
        break;
    case 2:
        *at -= *at < PAGE * 24 ? *at : PAGE * dice_below(d, 24);
        break;
    case 3:
        now_us += dice_below(d, 40) * SECOND;
        break;
    case 4:
        s.most = MIB * dice_below(d, 40);
        break;
    case 5:
        s.latency_us = 1 + dice_below(d, 2000000);
        break;
    case 6:
        s.scan = dice_below(d, 6) == 0;
        break;
    default:
        break;
    }
    if (*at >= PAGES * PAGE)
        *at = 0;
    uint64_t before = held();
    qos_stream_read(&s, now_us, *at, len, &step);
    if (step.withdraw)
        withdrawn();
    if (s.runs[step.run].reads == 1) /* a new one, in the place of another */
        memset(asked[step.run], 0, sizeof(asked[step.run]));
    uint64_t want = step.to - step.from;
    ck_assert_uint_le(step.from, step.to);
    ck_assert_msg(!want || step.to <= s.size, "behind the end");
    ck_assert_msg(!want || held() + want <= s.most,
                  "%" PRIu64 " held and %" PRIu64 " asked for, of %" PRIu64, held(), want, s.most);
    ck_assert_msg(held() <= before, "more is held by a read alone");
    ck_assert(!want || !s.scan);
    uint64_t to = dice_below(d, 8) ? step.to : step.from + want / 2 / PAGE * PAGE;
    for (uint64_t p = (step.from + PAGE - 1) / PAGE; p * PAGE < to && p < PAGES; p++) {
        ck_assert_msg(!asked[step.run][p], "page %" PRIu64 " is asked for twice", p);
        asked[step.run][p] = 1;
    }
    qos_stream_asked(&s, step.run, to);
    *at += len;
    now_us += dice_below(d, 100000);
}

START_TEST(no_reader_makes_it_hold_more_than_its_budget_or_ask_twice)
{
    for (unsigned seed = 1; seed <= 60; seed++) {
        struct dice d;
        uint64_t at = 0;
        dice_init(&d, seed);
        setup();
        memset(asked, 0, sizeof(asked));
        s.size = PAGES * PAGE;
        for (unsigned k = 0; k < 600; k++)
            reader_does(&d, &at);
    }
}
END_TEST

START_TEST(offsets_and_times_at_the_edges_of_their_types_do_no_harm)
{
    reads(UINT64_MAX - 5, UINT64_MAX);
    reads(UINT64_MAX, 1);
    now_us = 0; /* even a clock that goes back */
    reads(0, UINT64_MAX);
    s.latency_us = s.most = s.article = UINT64_MAX;
    for (uint64_t at = 0; at < 8; at++)
        reads(at * (UINT64_MAX / 8), UINT64_MAX / 8);
    for (uint64_t at = 0; at < 8 * MIB; at += MIB)
        reads(at, MIB);
    ck_assert_uint_eq(reads(0, 0), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("qos/stream");
    TCase *t = tcase_create("stream");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, a_first_read_asks_for_nothing_ahead);
    tcase_add_test(t, small_reads_in_sequence_are_not_a_run_at_once);
    tcase_add_test(t, small_reads_here_and_there_never_are);
    tcase_add_test(t, requests_that_overtake_each_other_are_one_run);
    tcase_add_test(t, a_look_at_the_tail_and_back_finds_its_run);
    tcase_add_test(t, two_places_read_in_turn_both_keep_their_windows);
    tcase_add_test(t, of_too_many_runs_the_one_longest_unread_goes);
    tcase_add_test(t, what_a_run_holds_that_is_read_no_more_is_given_up);
    tcase_add_test(t, a_player_has_what_it_needs_and_no_more);
    tcase_add_test(t, a_player_whose_reads_come_in_bursts_is_a_player);
    tcase_add_test(t, who_always_waits_gets_what_fills_the_line_and_no_more);
    tcase_add_test(t, where_articles_come_at_once_a_copy_stays_within_a_few_megabytes);
    tcase_add_test(t, the_window_grows_in_proportion_to_what_was_read);
    tcase_add_test(t, nothing_behind_the_end_is_asked_for);
    tcase_add_test(t, what_found_no_room_is_asked_for_again);
    tcase_add_test(t, a_smaller_budget_holds_at_once);
    tcase_add_test(t, a_pause_neither_shrinks_nor_widens_the_window);
    tcase_add_test(t, a_jump_withdraws_what_was_asked_for);
    tcase_add_test(t, a_skip_forward_keeps_the_window);
    tcase_add_test(t, who_skips_on_and_on_is_soon_not_read_ahead_of);
    tcase_add_test(t, after_many_jumps_a_run_must_be_longer_to_count);
    tcase_add_test(t, a_scan_is_never_read_ahead_of_and_one_that_begins_gives_up_what_was);
    tcase_add_test(t, who_looks_about_on_and_on_has_less_fetched_in_vain_than_it_reads);
    tcase_add_test(t, a_long_copy_by_somebody_wary_is_held_back_by_no_budget);
    tcase_add_test(t, a_wary_handle_needs_a_long_run);
    tcase_add_test(t, no_reader_makes_it_hold_more_than_its_budget_or_ask_twice);
    tcase_add_test(t, offsets_and_times_at_the_edges_of_their_types_do_no_harm);
    suite_add_tcase(suite, t);
    SRunner *r = srunner_create(suite);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
