/* Reads: which bytes come, and which cannot be had. */
#include "tests/fs/reading.h"

#include "tests/lib/scripted_article.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- uniform files ----------------------------------------------------------------------------- */

START_TEST(the_size_costs_one_article_and_only_once)
{
    ck_assert_uint_eq(size_now(), UINT64_MAX);
    struct fs_read *r = read_over(reading(0, 0));
    ck_assert_int_eq(r->err, 0);
    ck_assert_uint_eq(r->size, uniform.size);
    fs_read_end(r);
    ck_assert_uint_eq(size_now(), uniform.size);
    ck_assert_uint_eq(rig_asked(rig), 1);
    fs_read_end(read_over(reading(0, 0)));
    ck_assert_uint_eq(rig_asked(rig), 1);
}
END_TEST

START_TEST(every_range_of_a_file_is_what_was_posted)
{
    for (uint32_t off = 0; off < uniform.size; off += 3777)
        for (uint32_t len = 1; len < 40000; len = len * 3 + 1) {
            size_t left = uniform.size - off;
            expect_bytes(read_over(reading(off, len)), off, len < left ? len : left);
        }
    ck_assert_uint_eq(rig_asked(rig), 10);
}
END_TEST

START_TEST(a_read_at_or_behind_the_end_is_empty)
{
    expect_bytes(read_over(reading(uniform.size, 10)), 0, 0);
    expect_bytes(read_over(reading(uniform.size + 1, 10)), 0, 0);
    expect_bytes(read_over(reading(UINT64_MAX - 5, 10)), 0, 0);
    expect_bytes(read_over(reading(UINT64_MAX, FS_READ_MOST)), 0, 0);
    expect_bytes(read_over(reading(uniform.size - 1, 10)), uniform.size - 1, 1);
}
END_TEST

START_TEST(what_is_in_the_cache_is_answered_at_once)
{
    expect_bytes(read_over(reading(15000, 20000)), 15000, 20000);
    struct fs_read *r = reading(16000, 10000);
    ck_assert(fs_read_start(r));
    ck_assert_uint_eq(ends, 0);
    expect_bytes(r, 16000, 10000);
}
END_TEST

START_TEST(a_read_of_many_small_segments_is_gathered)
{
    /* More pieces than a read pins at once. */
    static const struct rig_file tiny = {
        .name = "tiny", .seed = SEED, .size = 300000, .part_size = 1000};
    teardown();
    rig_of(&tiny, (struct config_mount){.readahead = 0}, 0);
    expect_bytes(read_over(reading(0, 300000)), 0, 300000);
    expect_bytes(read_over(reading(500, 299000)), 500, 299000);
    expect_bytes(read_over(reading(299999, 10)), 299999, 1);
}
END_TEST

START_TEST(a_read_larger_than_the_cache_is_gathered_too)
{
    static const struct rig_file large = {
        .name = "large", .seed = SEED, .size = 1000000, .part_size = 100000};
    teardown();
    rig_of(&large, (struct config_mount){.readahead = 0}, (size_t)256 << 10);
    expect_bytes(read_over(reading(50000, 900000)), 50000, 900000);
    expect_bytes(read_over(reading(0, 1000000)), 0, 1000000);
}
END_TEST

START_TEST(a_read_that_turns_out_larger_than_the_cache_is_gathered_too)
{
    /* Four segments may fit in four chunks; that each takes two is learnt from the articles. */
    static const struct rig_file large = {
        .name = "large", .seed = SEED, .size = 600000, .part_size = 60000};
    teardown();
    rig_of(&large, (struct config_mount){.readahead = 0}, 4 * CACHE_CHUNK);
    fs_read_end(read_over(reading(0, 0)));
    expect_bytes(read_over(reading(60000, 240000)), 60000, 240000);
    expect_bytes(read_over(reading(30000, 180000)), 30000, 180000);
    struct cache_stats cs;
    cache_stats(rig_cache(rig), &cs);
    ck_assert_uint_eq(cs.pinned, 0);
}
END_TEST

START_TEST(one_segment_too_large_for_the_cache_costs_only_its_own_bytes)
{
    static const uint32_t sizes[] = {50000, 50000, 200000, 50000, 50000};
    static const struct rig_file odd = {
        .name = "odd", .seed = SEED, .size = 400000, .part_sizes = sizes, .nparts = 5};
    teardown();
    rig_of(&odd, (struct config_mount){.readahead = 0}, 4 * CACHE_CHUNK);
    struct fs_read *r = reading(40000, 100000);
    r->partial = true;
    expect_bytes(read_over(r), 40000, 60000);
    expect_error(read_over(reading(40000, 100000)), EIO);
    expect_error(read_over(reading(299999, 2)), EIO);
    expect_bytes(read_over(reading(300000, 100000)), 300000, 100000);
}
END_TEST

START_TEST(a_segment_that_fits_in_no_cache_is_an_error)
{
    static const struct rig_file huge = {
        .name = "huge", .seed = SEED, .size = 1000000, .part_size = 500000};
    teardown();
    rig_of(&huge, (struct config_mount){.readahead = 0}, (size_t)128 << 10);
    expect_error(read_over(reading(0, 10)), EIO);
}
END_TEST

/* --- uneven files and liars -------------------------------------------------------------------- */

START_TEST(parts_of_uneven_size_are_found_from_anywhere)
{
    static const uint64_t at[] = {60000, 0, 69999, 2999, 3000, 12050, 35000, 38100, 38099, 45000};
    for (size_t k = 0; k < sizeof(at) / sizeof(at[0]); k++) {
        teardown();
        rig_of(&uneven, (struct config_mount){.readahead = 0}, 0);
        size_t left = uneven.size - at[k];
        expect_bytes(read_over(reading(at[k], 30000)), at[k], left < 30000 ? left : 30000);
        ck_assert_uint_eq(size_now(), uneven.size);
    }
}
END_TEST

START_TEST(all_of_an_uneven_file_is_what_was_posted)
{
    teardown();
    rig_of(&uneven, (struct config_mount){.readahead = 0}, 0);
    for (uint32_t off = 0; off < 70000; off += 777)
        expect_bytes(read_over(reading(off, 5000)), off, 70000 - off < 5000 ? 70000 - off : 5000);
    ck_assert_uint_eq(rig_asked(rig), 10);
}
END_TEST

START_TEST(an_article_that_claims_another_place_is_healed)
{
    fs_read_end(read_over(reading(0, 0)));
    rig_rule(rig, SEED, 4, RIG_LIE_ONCE);
    expect_bytes(read_over(reading(25000, 30000)), 25000, 30000);
}
END_TEST

START_TEST(an_article_that_always_lies_is_an_error_for_its_range_only)
{
    rig_rule(rig, SEED, 4, RIG_LIE);
    expect_bytes(read_over(reading(0, 30000)), 0, 30000);
    expect_error(read_over(reading(29999, 2)), EIO);
    expect_error(read_over(reading(39999, 1)), EIO);
    expect_bytes(read_over(reading(40000, 30000)), 40000, 30000);
}
END_TEST

/* Two reads under way of what part 4 should hold, and the articles served one after the other. */
static void two_meet_a_liar(enum rig_rule rule, struct fs_read **a, struct fs_read **b)
{
    fs_read_end(read_over(reading(0, 0)));
    rig_rule(rig, SEED, 4, rule);
    *a = reading(30000, 5000);
    *b = reading(34000, 5000);
    ck_assert(!fs_read_start(*a));
    ck_assert(!fs_read_start(*b));
    while (ends < 2)
        ck_assert_msg(rig_serve_one(rig), "they wait, and nothing is asked for");
    ck_assert_uint_eq(ends, 2);
}

START_TEST(two_readers_who_doubt_one_segment_at_once_both_get_their_bytes)
{
    struct fs_read *a, *b;
    two_meet_a_liar(RIG_LIE_ONCE, &a, &b);
    expect_bytes(a, 30000, 5000);
    expect_bytes(b, 34000, 5000);
    /* Parts 1 and 4, the neighbours that deny it, and 4 again: not once for each reader. */
    ck_assert_uint_le(rig_asked(rig), 6);
}
END_TEST

START_TEST(a_doubt_that_nobody_can_settle_stands_in_no_ones_way)
{
    struct fs_read *a, *b;
    two_meet_a_liar(RIG_LIE, &a, &b);
    expect_error(a, EIO);
    expect_error(b, EIO);
    uint64_t asked = rig_asked(rig);
    expect_bytes(read_over(reading(50000, 45500)), 50000, 45500);
    expect_bytes(read_over(reading(0, 30000)), 0, 30000);
    ck_assert_uint_le(rig_asked(rig), asked + 6);
}
END_TEST

START_TEST(a_lying_first_article_never_puts_bytes_in_the_wrong_place)
{
    rig_rule(rig, SEED, 1, RIG_LIE);
    for (uint32_t off = 0; off < uniform.size; off += 5000) {
        struct fs_read *r = read_over(reading(off, 5000));
        if (r->err)
            expect_error(r, EIO);
        else
            expect_bytes(r, off, uniform.size - off < 5000 ? uniform.size - off : 5000);
    }
}
END_TEST

/* --- what cannot be had ------------------------------------------------------------------------ */

START_TEST(a_missing_segment_is_an_error_for_its_range_only)
{
    rig_rule(rig, SEED, 3, RIG_MISSING);
    expect_bytes(read_over(reading(0, 20000)), 0, 20000);
    expect_error(read_over(reading(0, 20001)), EIO);
    expect_error(read_over(reading(29999, 1)), EIO);
    expect_bytes(read_over(reading(30000, 65500)), 30000, 65500);

    struct fs_health h;
    fs_node_health(film, &h);
    ck_assert_uint_eq(h.missing, 1);
    ck_assert_uint_eq(h.segments, 10);
}
END_TEST

START_TEST(a_partial_read_ends_before_the_first_bad_byte)
{
    rig_rule(rig, SEED, 3, RIG_CORRUPT);
    struct fs_read *r = reading(15000, 30000);
    r->partial = true;
    expect_bytes(read_over(r), 15000, 5000);
    r = reading(20000, 30000);
    r->partial = true;
    expect_error(read_over(r), EIO);
}
END_TEST

START_TEST(a_gathered_partial_read_ends_there_too)
{
    static const struct rig_file tiny = {
        .name = "tiny", .seed = SEED, .size = 300000, .part_size = 1000};
    teardown();
    rig_of(&tiny, (struct config_mount){.readahead = 0}, 0);
    rig_rule(rig, SEED, 101, RIG_MISSING);
    struct fs_read *r = reading(500, 250000);
    r->partial = true;
    expect_bytes(read_over(r), 500, 99500);
    expect_error(read_over(reading(500, 250000)), EIO);
}
END_TEST

START_TEST(missing_bytes_are_zeros_where_the_user_says_so)
{
    static const char nought[10000];
    teardown();
    rig_of(&uniform, (struct config_mount){.missing_zeros = true}, 0);
    rig_rule(rig, SEED, 3, RIG_MISSING);
    rig_rule(rig, SEED, 5, RIG_CORRUPT);
    rig_rule(rig, SEED, 6, RIG_FAILED);
    char *buf = malloc(30000);
    for (unsigned twice = 0; twice < 2; twice++) {
        struct fs_read *r = read_over(reading(5000, 30000));
        ck_assert_int_eq(r->err, 0);
        ck_assert_uint_eq(r->n, 30000);
        size_t at = 0;
        for (unsigned k = 0; k < r->niov; at += r->iov[k].iov_len, k++)
            memcpy(buf + at, r->iov[k].iov_base, r->iov[k].iov_len);
        ck_assert(scripted_bytes_match(SEED, 5000, buf, 15000));
        ck_assert_mem_eq(buf + 15000, nought, 10000);
        ck_assert(scripted_bytes_match(SEED, 30000, buf + 25000, 5000));
        fs_read_end(r);

        struct fs_health h;
        fs_node_health(film, &h);
        ck_assert_uint_eq(h.zeroed, 10000);
    }
    free(buf);
    expect_error(read_over(reading(40000, 1)), EIO); /* damaged is not missing */
    expect_error(read_over(reading(50000, 1)), EIO); /* nor is out of reach */
}
END_TEST

START_TEST(what_the_nzb_does_not_list_is_a_hole)
{
    struct rig_file gap = uniform;
    gap.gap = 4;
    teardown();
    rig_of(&gap, (struct config_mount){.readahead = 0}, 0);
    expect_bytes(read_over(reading(0, 30000)), 0, 30000);
    expect_error(read_over(reading(29999, 2)), EIO);
    expect_bytes(read_over(reading(40000, 55500)), 40000, 55500);
    struct fs_health h;
    fs_node_health(film, &h);
    ck_assert_uint_eq(h.missing, 1);
}
END_TEST

START_TEST(a_lost_first_segment_does_not_hide_the_size)
{
    rig_rule(rig, SEED, 1, RIG_MISSING);
    struct fs_read *r = read_over(reading(0, 0));
    ck_assert_int_eq(r->err, 0);
    ck_assert_uint_eq(r->size, uniform.size);
    fs_read_end(r);
    expect_bytes(read_over(reading(10000, 80000)), 10000, 80000);
    expect_error(read_over(reading(0, 1)), EIO);
}
END_TEST

START_TEST(a_dead_file_is_given_up_after_a_handful_of_articles)
{
    rig_rule(rig, SEED, 0, RIG_MISSING);
    expect_error(read_over(reading(0, 0)), EIO);
    uint64_t asked = rig_asked(rig);
    ck_assert_uint_le(asked, 5);
    expect_error(read_over(reading(0, 0)), EIO);
    ck_assert_uint_eq(rig_asked(rig), asked); /* remembered */
}
END_TEST

START_TEST(a_file_whose_server_was_down_is_there_when_it_is_back)
{
    rig_rule(rig, SEED, 0, RIG_FAILED);
    expect_error(read_over(reading(0, 0)), EIO);
    rig_rule(rig, SEED, 0, RIG_HONEST);
    expect_bytes(read_over(reading(0, 50000)), 0, 50000);
}
END_TEST

START_TEST(what_was_out_of_reach_while_the_size_was_learnt_is_there_later)
{
    rig_rule(rig, SEED, 1, RIG_FAILED);
    struct fs_read *r = read_over(reading(0, 0)); /* by the last segment */
    ck_assert_int_eq(r->err, 0);
    fs_read_end(r);
    rig_rule(rig, SEED, 1, RIG_HONEST);
    expect_bytes(read_over(reading(0, 100)), 0, 100);
}
END_TEST

START_TEST(what_was_out_of_reach_while_places_were_learnt_is_there_later)
{
    teardown();
    rig_of(&uneven, (struct config_mount){.readahead = 0}, 0);
    rig_rule(rig, SEED, 5, RIG_FAILED); /* bytes 19100 to 26100 */
    expect_bytes(read_over(reading(0, 19100)), 0, 19100);
    expect_bytes(read_over(reading(69999, 1)), 69999, 1);
    for (uint32_t off = 69500; off >= 26500; off -= 500)
        expect_bytes(read_over(reading(off, 500)), off, 500);
    expect_bytes(read_over(reading(26100, 400)), 26100, 400);
    expect_error(read_over(reading(26000, 100)), EIO);
    expect_error(read_over(reading(26000, 100)), EIO);
    /* All others are known, so nothing but this hole is left to ask for. */
    rig_rule(rig, SEED, 5, RIG_HONEST);
    expect_bytes(read_over(reading(15000, 20000)), 15000, 20000);
}
END_TEST

START_TEST(a_timeout_of_the_source_is_a_timeout)
{
    rig_rule(rig, SEED, 1, RIG_TIMEOUT);
    expect_error(read_over(reading(0, 0)), ETIMEDOUT);
    rig_rule(rig, SEED, 1, RIG_HONEST);
    rig_rule(rig, SEED, 2, RIG_TIMEOUT);
    expect_error(read_over(reading(0, 20000)), ETIMEDOUT);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("read");
    tcase_add_test(t, the_size_costs_one_article_and_only_once);
    tcase_add_test(t, every_range_of_a_file_is_what_was_posted);
    tcase_add_test(t, a_read_at_or_behind_the_end_is_empty);
    tcase_add_test(t, what_is_in_the_cache_is_answered_at_once);
    tcase_add_test(t, a_read_of_many_small_segments_is_gathered);
    tcase_add_test(t, a_read_larger_than_the_cache_is_gathered_too);
    tcase_add_test(t, a_read_that_turns_out_larger_than_the_cache_is_gathered_too);
    tcase_add_test(t, one_segment_too_large_for_the_cache_costs_only_its_own_bytes);
    tcase_add_test(t, a_segment_that_fits_in_no_cache_is_an_error);
    tcase_add_test(t, parts_of_uneven_size_are_found_from_anywhere);
    tcase_add_test(t, all_of_an_uneven_file_is_what_was_posted);
    tcase_add_test(t, an_article_that_claims_another_place_is_healed);
    tcase_add_test(t, an_article_that_always_lies_is_an_error_for_its_range_only);
    tcase_add_test(t, two_readers_who_doubt_one_segment_at_once_both_get_their_bytes);
    tcase_add_test(t, a_doubt_that_nobody_can_settle_stands_in_no_ones_way);
    tcase_add_test(t, a_lying_first_article_never_puts_bytes_in_the_wrong_place);
    tcase_add_test(t, a_missing_segment_is_an_error_for_its_range_only);
    tcase_add_test(t, a_partial_read_ends_before_the_first_bad_byte);
    tcase_add_test(t, a_gathered_partial_read_ends_there_too);
    tcase_add_test(t, missing_bytes_are_zeros_where_the_user_says_so);
    tcase_add_test(t, what_the_nzb_does_not_list_is_a_hole);
    tcase_add_test(t, a_lost_first_segment_does_not_hide_the_size);
    tcase_add_test(t, a_dead_file_is_given_up_after_a_handful_of_articles);
    tcase_add_test(t, a_file_whose_server_was_down_is_there_when_it_is_back);
    tcase_add_test(t, what_was_out_of_reach_while_the_size_was_learnt_is_there_later);
    tcase_add_test(t, what_was_out_of_reach_while_places_were_learnt_is_there_later);
    tcase_add_test(t, a_timeout_of_the_source_is_a_timeout);
    return reading_main(suite_create("fs/read"), t);
}
