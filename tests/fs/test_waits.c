/* What an open file knows of its reads' waits. */
#include "fs/internal.h"
#include "tests/fs/reading.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char first[] = "first", second[] = "second"; /* providers */

static struct fs_handle *h;

static void open_film(void)
{
    setup();
    fs_read_end(read_over(reading(0, 0))); /* where everything is, is known */
    cache_drop(rig_cache(rig), &film->file->cache, 0);
    h = fs_handle_open(rig_fs(rig), film);
}

static void close_film(void)
{
    fs_handle_close(h);
    teardown();
}

static struct fs_read *begin_read(uint64_t off, uint32_t len, bool at_once)
{
    struct fs_read *r = reading(off, len);
    r->handle = h;
    ck_assert(fs_read_start(r) == at_once);
    return r;
}

static struct segment_fetch *newest(void)
{
    unsigned n = scripted_source_out(rig_source(rig));
    ck_assert_uint_gt(n, 0);
    return scripted_source_nth(rig_source(rig), n - 1);
}

/* The fetch takes so long for a connection, an answer and its bytes. */
static void serve(struct segment_fetch *f, const char *provider, uint64_t connection_us,
                  uint64_t answer_us, uint64_t bytes_us)
{
    fake_now_us += connection_us;
    scripted_source_move(f, provider);
    fake_now_us += answer_us;
    ck_assert_int_eq(scripted_source_begin(rig_source(rig), f, NULL), 0);
    fake_now_us += bytes_us;
    scripted_source_bring(rig_source(rig), f, SIZE_MAX);
    scripted_source_end(rig_source(rig), f, SEGMENT_DONE);
}

static struct fs_stream look(void)
{
    struct fs_stream *all, s;
    size_t n;
    ck_assert_int_eq(fs_streams(rig_fs(rig), &all, &n), 0);
    ck_assert_uint_eq(n, 1);
    s = all[0];
    free(all);
    ck_assert_ptr_eq(s.file, film);
    return s;
}

static void expect_wait(struct fs_wait w, uint64_t count, uint64_t us, uint64_t longest_us)
{
    ck_assert_uint_eq(w.count, count);
    ck_assert_uint_eq(w.us, us);
    ck_assert_uint_eq(w.longest_us, longest_us);
}

START_TEST(waits_are_summed_up_by_what_was_lacking)
{
    struct fs_read *r = begin_read(0, 1000, false);
    serve(newest(), first, 10, 20, 40);
    expect_bytes(r, 0, 1000);
    r = begin_read(PART, 1000, false);
    serve(newest(), second, 1, 2, 100);
    expect_bytes(r, PART, 1000);
    struct fs_waits w = look().waits;
    expect_wait(w.all, 2, 173, 103);
    expect_wait(w.stages[CACHE_WAITS_CONNECTION], 2, 11, 10);
    expect_wait(w.stages[CACHE_WAITS_ANSWER], 2, 22, 20);
    expect_wait(w.stages[CACHE_WAITS_BYTES], 2, 140, 100);
    expect_wait(w.stages[CACHE_WAITS_MEMORY], 0, 0, 0);
    ck_assert_uint_eq(w.nproviders, 2);
    ck_assert_str_eq(w.providers[0].name, first);
    ck_assert_uint_eq(w.providers[0].answer_us, 20);
    ck_assert_uint_eq(w.providers[0].bytes_us, 40);
    ck_assert_uint_eq(w.providers[1].bytes_us, 100);
    ck_assert_uint_eq(w.reads, 2);
    ck_assert_uint_eq(w.bytes, 2000);
    ck_assert_uint_eq(w.errors, 0);
}
END_TEST

START_TEST(reads_that_wait_at_the_same_time_are_charged_once)
{
    struct fs_read *a = begin_read(0, 1000, false);
    struct segment_fetch *fa = newest();
    fake_now_us += 30;
    struct fs_read *b = begin_read(PART, 1000, false);
    struct segment_fetch *fb = newest();
    fake_now_us += 10;
    serve(fa, first, 0, 0, 60); /* a waits for 100 */
    serve(fb, first, 20, 0, 5); /* b for 95, of which 25 are its own */
    expect_bytes(a, 0, 1000);
    expect_bytes(b, PART, 1000);
    struct fs_waits w = look().waits;
    expect_wait(w.all, 2, 125, 100);
    expect_wait(w.stages[CACHE_WAITS_CONNECTION], 2, 60, 90);
    expect_wait(w.stages[CACHE_WAITS_BYTES], 2, 65, 60);
    expect_wait(w.reader, 0, 0, 0);
}
END_TEST

START_TEST(time_without_a_read_is_the_readers)
{
    fake_now_us += 500; /* before its first read nobody has had an answer */
    struct fs_read *r = begin_read(0, 1000, false);
    serve(newest(), first, 1, 1, 1);
    expect_bytes(r, 0, 1000);
    fake_now_us += 70;
    ck_assert_uint_eq(look().now_us, 70);
    expect_bytes(begin_read(1000, 1000, true), 1000, 1000); /* at once: no time at all */
    fake_now_us += 30;
    expect_bytes(begin_read(2000, 1000, true), 2000, 1000);
    struct fs_stream s = look();
    expect_wait(s.waits.reader, 2, 100, 70);
    expect_wait(s.waits.all, 1, 3, 3);
    ck_assert_uint_eq(s.waits.reads, 3);
    ck_assert_uint_eq(s.pos, 3000);
    ck_assert_uint_eq(s.out, 0);
}
END_TEST

START_TEST(what_it_waits_for_now_is_told)
{
    struct fs_read *r = begin_read(0, 1000, false);
    fake_now_us += 5;
    struct fs_stream s = look();
    ck_assert(s.waiting && s.stage == CACHE_WAITS_CONNECTION && !s.provider);
    ck_assert_uint_eq(s.now_us, 5);
    ck_assert_uint_eq(s.out, 1);
    struct segment_fetch *f = newest();
    scripted_source_move(f, first);
    fake_now_us += 7;
    s = look();
    ck_assert(s.waiting && s.stage == CACHE_WAITS_ANSWER);
    ck_assert_str_eq(s.provider, first);
    ck_assert_uint_eq(s.now_us, 7);
    serve(f, first, 0, 0, 0);
    expect_bytes(r, 0, 1000);
    s = look();
    ck_assert(!s.waiting && !s.out);
}
END_TEST

START_TEST(a_read_whose_time_is_over_has_waited_all_of_it)
{
    struct fs_read *r = begin_read(0, 1000, false);
    struct segment_fetch *f = newest();
    scripted_source_move(f, first);
    fake_now_us += 60 * 1000000;
    fs_expire(rig_fs(rig), fake_now_us);
    expect_error(r, ETIMEDOUT);
    struct fs_stream s = look();
    expect_wait(s.waits.all, 1, 60000000, 60000000);
    expect_wait(s.waits.stages[CACHE_WAITS_ANSWER], 1, 60000000, 60000000);
    ck_assert_uint_eq(s.waits.errors, 1);
    ck_assert_uint_eq(s.waits.bytes, 0);
    ck_assert_uint_eq(s.out, 0);
    scripted_source_end(rig_source(rig), f, SEGMENT_CANCELLED);
}
END_TEST

START_TEST(a_read_of_several_rounds_is_one_wait)
{
    close_film();
    rig_of(&uneven, (struct config_mount){.readahead = 0}, 0);
    h = fs_handle_open(rig_fs(rig), film);
    struct fs_read *r = begin_read(40000, 1000, false); /* where that is, is not known */
    uint64_t began = fake_now_us;
    while (!ends)
        serve(newest(), first, 1, 2, 3);
    expect_bytes(r, 40000, 1000);
    struct fs_waits w = look().waits;
    ck_assert_uint_gt(fake_now_us - began, 6);
    expect_wait(w.all, 1, fake_now_us - began, fake_now_us - began);
    ck_assert_uint_eq(w.stages[CACHE_WAITS_CONNECTION].us + w.stages[CACHE_WAITS_ANSWER].us +
                          w.stages[CACHE_WAITS_BYTES].us,
                      w.all.us);
}
END_TEST

START_TEST(the_rate_is_of_the_last_seconds)
{
    struct fs_read *r = begin_read(0, 10000, false);
    serve(newest(), first, 0, 0, 0);
    expect_bytes(r, 0, 10000);
    ck_assert_uint_eq(look().rate_bps, 10000); /* less than a second counts as one */
    for (unsigned k = 0; k < 40; k++) {
        fake_now_us += 250000;
        expect_bytes(begin_read(k * 200, 1000, true), k * 200, 1000);
    }
    ck_assert_uint_ge(look().rate_bps, 3900);
    ck_assert_uint_le(look().rate_bps, 4700);
    fake_now_us += 20000000;
    ck_assert_uint_eq(look().rate_bps, 0);
    ck_assert_uint_eq(look().waits.bytes, 50000);
}
END_TEST

START_TEST(more_providers_than_places_share_the_last)
{
    static const char names[12][4] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"};
    struct fs_waits a = {.reads = 1}, b = {.reads = 2, .reader = {1, 5, 5}};
    a.nproviders = b.nproviders = 6;
    for (unsigned k = 0; k < 6; k++) {
        a.providers[k] = (struct fs_provider_wait){names[k], 1, 10};
        b.providers[k] = (struct fs_provider_wait){names[k + 6], 1, 10};
    }
    fs_waits_add(&a, &b);
    ck_assert_uint_eq(a.reads, 3);
    expect_wait(a.reader, 1, 5, 5);
    ck_assert_uint_eq(a.nproviders, FS_WAIT_PROVIDERS);
    ck_assert_str_eq(a.providers[FS_WAIT_PROVIDERS - 2].name, "g");
    ck_assert_ptr_null(a.providers[FS_WAIT_PROVIDERS - 1].name);
    ck_assert_uint_eq(a.providers[FS_WAIT_PROVIDERS - 1].answer_us, 5);
    ck_assert_uint_eq(a.providers[FS_WAIT_PROVIDERS - 1].bytes_us, 50);
}
END_TEST

START_TEST(the_attribute_is_the_sum_over_open_handles_and_not_listed)
{
    static const char name[] = "user.nzbfs.waits";
    char text[1024] = "";
    struct fs_handle *own = h, *more = fs_handle_open(rig_fs(rig), film);
    struct fs_read *r = begin_read(0, 1000, false);
    serve(newest(), first, 10, 20, 40);
    expect_bytes(r, 0, 1000);
    h = more;
    r = begin_read(PART, 1000, false);
    serve(newest(), first, 5, 0, 0);
    expect_bytes(r, PART, 1000);
    int n = fs_xattr_get(rig_fs(rig), film, name, text, sizeof(text) - 1);
    ck_assert_int_eq(n, (int)strlen(text));
    ck_assert_ptr_nonnull(strstr(text, "reads=2\nbytes=2000\nerrors=0\nwaited_count=2\n"));
    ck_assert_ptr_nonnull(strstr(text, "\nconnection_us=15\nconnection_longest_us=10\n"));
    ck_assert_ptr_nonnull(strstr(text, "\nanswer_us.first=20\npayload_us.first=40\n"));
    ck_assert_int_eq(fs_xattr_get(rig_fs(rig), film, name, NULL, 0), n);
    ck_assert_int_eq(fs_xattr_get(rig_fs(rig), film, name, text, (size_t)n - 1), -ERANGE);
    n = fs_xattr_list(rig_fs(rig), film, text, sizeof(text));
    ck_assert_int_gt(n, 0);
    for (const char *p = text; p < text + n; p += strlen(p) + 1)
        ck_assert_str_ne(p, name);
    fs_handle_close(more);
    fs_handle_close(own);
    ck_assert_int_eq(fs_xattr_get(rig_fs(rig), film, name, text, sizeof(text)), -ENODATA);
    ck_assert_int_eq(fs_xattr_get(rig_fs(rig), fs_root(rig_fs(rig)), name, text, sizeof(text)),
                     -ENODATA);
    h = NULL;
}
END_TEST

int main(void)
{
    Suite *s = suite_create("fs/waits");
    TCase *t = tcase_create("waits");
    tcase_add_checked_fixture(t, open_film, close_film);
    tcase_add_test(t, waits_are_summed_up_by_what_was_lacking);
    tcase_add_test(t, reads_that_wait_at_the_same_time_are_charged_once);
    tcase_add_test(t, time_without_a_read_is_the_readers);
    tcase_add_test(t, what_it_waits_for_now_is_told);
    tcase_add_test(t, a_read_whose_time_is_over_has_waited_all_of_it);
    tcase_add_test(t, a_read_of_several_rounds_is_one_wait);
    tcase_add_test(t, the_rate_is_of_the_last_seconds);
    tcase_add_test(t, more_providers_than_places_share_the_last);
    tcase_add_test(t, the_attribute_is_the_sum_over_open_handles_and_not_listed);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
