/* Reads: the calls that wait, and what is fetched ahead of a reader. */
#include "tests/fs/reading.h"

#include "tests/lib/scripted_article.h"

#include <errno.h>
#include <stdlib.h>

/* --- waiting, and readahead -------------------------------------------------------------------- */

START_TEST(the_waiting_calls_give_all_that_is_asked_for)
{
    uint64_t size = 0;
    static const struct rig_file large = {
        .name = "large", .seed = SEED, .size = 3000000, .part_size = 70000};
    teardown();
    rig = rig_new(&(struct rig_config){.files = &large, .nfiles = 1, .served = true});
    film = rig_node(rig, "large");
    ck_assert_int_eq(fs_size_wait(rig_fs(rig), film, &size), 0);
    ck_assert_uint_eq(size, large.size);
    char *buf = malloc(3000000);
    ck_assert_int_eq(fs_read_wait(rig_fs(rig), film, NULL, buf, 3000000, 10), 2999990);
    ck_assert(scripted_bytes_match(SEED, 10, buf, 2999990));
    ck_assert_int_eq(fs_read_wait(rig_fs(rig), fs_root(rig_fs(rig)), NULL, buf, 1, 0), -EISDIR);
    free(buf);
}
END_TEST

START_TEST(a_sequential_reader_is_read_ahead_of_within_its_share)
{
    static const struct rig_file large = {
        .name = "large", .seed = SEED, .size = 60000000, .part_size = 100000};
    struct fs_stats st;
    teardown();
    rig_of(&large, (struct config_mount){.readahead = 8000000}, (size_t)8 << 20);
    struct fs_handle *h = fs_handle_open(rig_fs(rig), film);
    unsigned waited = 0;
    for (uint32_t k = 0; k < 40; k++) {
        struct fs_read *r = reading(k * 130000, 130000);
        r->handle = h;
        read_over(r);
        waited += ends;
        expect_bytes(r, k * 130000, 130000);
        fs_stats(rig_fs(rig), &st);
        ck_assert_uint_le(st.ahead_bytes, ((uint64_t)4 << 20) + 100000);
        rig_serve_all(rig);
    }
    ck_assert_uint_gt(st.ahead_bytes, 1000000);
    ck_assert_uint_le(waited, 5); /* the rest was there already */

    struct fs_read *r = read_over(reading(50000000, 1000)); /* no handle: no readahead */
    expect_bytes(r, 50000000, 1000);
    r = reading(40000000, 1000);
    r->handle = h;
    expect_bytes(read_over(r), 40000000, 1000);
    fs_stats(rig_fs(rig), &st);
    ck_assert_uint_eq(st.ahead_bytes, 0); /* a seek drops it */
    fs_handle_close(h);
}
END_TEST

START_TEST(closing_withdraws_what_was_read_ahead)
{
    static const struct rig_file large = {
        .name = "large", .seed = SEED, .size = 60000000, .part_size = 100000};
    struct fs_stats st;
    teardown();
    rig_of(&large, (struct config_mount){.readahead = 4000000}, (size_t)16 << 20);
    struct fs_handle *h = fs_handle_open(rig_fs(rig), film);
    for (uint32_t k = 0; k < 4; k++) {
        struct fs_read *r = reading(k * 100000, 100000);
        r->handle = h;
        expect_bytes(read_over(r), k * 100000, 100000);
    }
    fs_stats(rig_fs(rig), &st);
    ck_assert_uint_gt(st.ahead_bytes, 0);
    ck_assert_uint_gt(scripted_source_out(rig_source(rig)), 0);
    fs_handle_close(h);
    fs_stats(rig_fs(rig), &st);
    ck_assert_uint_eq(st.ahead_bytes, 0);
    ck_assert_uint_eq(st.open_handles, 0);
    for (unsigned n = 0; scripted_source_nth(rig_source(rig), n); n++)
        ck_assert_uint_gt(
            scripted_source_look(rig_source(rig), scripted_source_nth(rig_source(rig), n)).cancels,
            0);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("ahead");
    tcase_add_test(t, the_waiting_calls_give_all_that_is_asked_for);
    tcase_add_test(t, a_sequential_reader_is_read_ahead_of_within_its_share);
    tcase_add_test(t, closing_withdraws_what_was_read_ahead);
    return reading_main(suite_create("fs/read_ahead"), t);
}
