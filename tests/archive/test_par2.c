#include "archive/par2.h"

#include <check.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

static struct {
    uint8_t bytes[1 << 20];
    size_t len;
} file;

static struct arena arena;
static struct par2 found;

static void put(const void *p, size_t n)
{
    memcpy(file.bytes + file.len, p, n);
    file.len += n;
}

static void put_le(uint64_t v, unsigned n)
{
    for (unsigned i = 0; i < n; i++, v >>= 8)
        put(&(uint8_t){(uint8_t)v}, 1);
}

/* A packet of `type` (16 bytes) around body[n]. Its length may be told wrong by `more`. */
static void put_packet(const char *type, const void *body, size_t n, uint64_t more)
{
    static const uint8_t set[16] = "the set's own id";
    size_t at = file.len;

    put("PAR2\0PKT", 8);
    put_le(64 + n + more, 8);
    put(set, 16); /* in place of the MD5 */
    put(set, 16);
    put(type, 16);
    put(body, n);
    EVP_Digest(file.bytes + at + 32, file.len - at - 32, file.bytes + at + 16, NULL, EVP_md5(),
               NULL);
}

static void put_file(const char *name, uint64_t size, char md5_16k)
{
    uint8_t body[4096] = {0};
    size_t n = (strlen(name) + 3) & ~(size_t)3;

    memset(body + 16, md5_16k + 1, 16);
    memset(body + 32, md5_16k, 16);
    for (unsigned i = 0; i < 8; i++)
        body[48 + i] = (uint8_t)(size >> (8 * i));
    memcpy(body + 56, name, strlen(name));
    put_packet("PAR 2.0\0FileDesc", body, 56 + n, 0);
}

static void begin(void)
{
    file.len = 0;
    memset(&found, 0, sizeof(found));
    arena_fini(&arena);
}

static int read_most(uint64_t most)
{
    struct archive_memory m = {
        .b = {&archive_memory_ops}, .data = file.bytes, .have = file.len, .size = file.len};
    return par2_read(&m.b, most, &arena, &found);
}

static const struct par2_file *match(char md5_16k, uint64_t size)
{
    uint8_t md5[16];
    memset(md5, md5_16k, 16);
    return par2_match(&found, md5, size);
}

START_TEST(file_descriptions_are_read_and_matched)
{
    begin();
    put_packet("PAR 2.0\0Creator\0", "nobody at all...", 16, 0);
    put_file("film.mkv", UINT64_C(5000000000), 'a');
    put_file("f\xc3\xbcr.nfo", 123, 'b');
    put_packet("PAR 2.0\0IFSC\0\0\0\0", file.bytes, 64, 0);
    put_file("film.mkv", UINT64_C(5000000000), 'a'); /* they are repeated in each volume */
    ck_assert_int_eq(read_most(1 << 20), 0);
    ck_assert_uint_eq(found.nfiles, 2);
    ck_assert_str_eq(match('a', UINT64_C(5000000000))->name, "film.mkv");
    ck_assert_str_eq(match('b', 123)->name, "f\xc3\xbcr.nfo");
    ck_assert_ptr_null(match('b', 124));
    ck_assert_ptr_null(match('c', 123));
    ck_assert(par2_is(file.bytes, file.len) && !par2_is(file.bytes, 7));
}
END_TEST

START_TEST(a_second_file_adds_what_is_new)
{
    begin();
    for (char i = 0; i < 100; i++)
        put_file("one", 1 + (uint64_t)i, i);
    ck_assert_int_eq(read_most(1 << 20), 0);
    ck_assert_int_eq(read_most(1 << 20), 0);
    ck_assert_uint_eq(found.nfiles, 100);
    put_file("two", 7, 'x');
    ck_assert_int_eq(read_most(1 << 20), 0);
    ck_assert_uint_eq(found.nfiles, 101);
    for (char i = 0; i < 100; i++)
        ck_assert_ptr_nonnull(match(i, 1 + (uint64_t)i));
}
END_TEST

START_TEST(two_names_for_one_content_are_none)
{
    begin();
    put_file("one", 10, 'a');
    put_file("two", 10, 'a');
    put_file("big", 11, 'a');
    ck_assert_int_eq(read_most(1 << 20), 0);
    ck_assert_ptr_null(match('a', 10));
    ck_assert_str_eq(match('a', 11)->name, "big");
}
END_TEST

START_TEST(names_of_8_bit_times_become_utf8)
{
    begin();
    put_file("f\xfcr.mkv", 1, 'a');
    ck_assert_int_eq(read_most(1 << 20), 0);
    ck_assert_str_eq(match('a', 1)->name, "f\xc3\xbcr.mkv");
}
END_TEST

START_TEST(a_damaged_packet_does_not_count_and_hides_no_other)
{
    begin();
    put_file("one", 1, 'a');
    size_t damaged = file.len;
    put_file("two", 2, 'b');
    put("\1\2\3\4garbage.....", 16);
    put_file("three", 3, 'c');
    file.bytes[damaged + 70] ^= 1;
    ck_assert_int_eq(read_most(1 << 20), 0);
    ck_assert(match('a', 1) && !match('b', 2) && match('c', 3));
}
END_TEST

START_TEST(lengths_that_lie_are_passed_over)
{
    static const uint64_t lies[] = {-UINT64_C(64),     -UINT64_C(63), UINT64_MAX - 200, 1,
                                    UINT64_C(1) << 62, 4096};

    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        begin();
        put_packet("PAR 2.0\0FileDesc", "0123456789abcdef", 16, lies[i]);
        put_file("one", 1, 'a');
        ck_assert_int_eq(read_most(1 << 20), 0);
        ck_assert_msg(match('a', 1) != NULL, "lie %zu", i);
    }
}
END_TEST

START_TEST(recovery_slices_are_not_read)
{
    static uint8_t slice[300000];

    begin();
    put_file("one", 1, 'a');
    put_packet("PAR 2.0\0RecvSlic", slice, sizeof(slice), 0);
    put_packet("PAR 2.0\0RecvSlic", slice, sizeof(slice), 0);
    put_file("two", 2, 'b');
    ck_assert_int_eq(read_most(3 * 32768), 0);
    ck_assert(match('a', 1) && match('b', 2));
}
END_TEST

START_TEST(no_more_is_read_than_allowed)
{
    begin();
    put_file("one", 1, 'a');
    for (unsigned i = 0; i < 5000; i++)
        put_file("one", 1, 'a');
    put_file("two", 2, 'b');
    ck_assert_int_eq(read_most(40000), 0);
    ck_assert(match('a', 1) && !match('b', 2));
    begin();
    put_file("one", 1, 'a');
    ck_assert_int_eq(read_most(10), 0);
    ck_assert_uint_eq(found.nfiles, 0);
}
END_TEST

START_TEST(cut_off_anywhere_it_gives_what_was_before)
{
    begin();
    put_file("one", 1, 'a');
    size_t one = file.len;
    put_file("two", 2, 'b');
    for (size_t len = file.len; len-- > 0;) {
        memset(&found, 0, sizeof(found));
        file.len = len;
        ck_assert_int_eq(read_most(1 << 20), 0);
        ck_assert_uint_eq(found.nfiles, len >= one ? 1 : 0);
    }
}
END_TEST

static int broken_size(struct archive_bytes *b, uint64_t *size)
{
    (void)b;
    *size = 1 << 20;
    return 0;
}

static int broken_with;

static ssize_t broken_read(struct archive_bytes *b, uint64_t off, void *buf, size_t len)
{
    (void)b, (void)off, (void)buf, (void)len;
    return broken_with;
}

START_TEST(what_cannot_be_read_is_no_error_but_being_told_to_stop_is)
{
    static const struct archive_bytes_ops ops = {.size = broken_size, .read = broken_read};
    struct archive_bytes b = {&ops};

    begin();
    broken_with = -EIO;
    ck_assert_int_eq(par2_read(&b, 1 << 20, &arena, &found), 0);
    broken_with = -EINTR;
    ck_assert_int_eq(par2_read(&b, 1 << 20, &arena, &found), -EINTR);
    broken_with = -ETIMEDOUT;
    ck_assert_int_eq(par2_read(&b, 1 << 20, &arena, &found), -ETIMEDOUT);
    ck_assert_uint_eq(found.nfiles, 0);
}
END_TEST

START_TEST(a_full_arena_is_an_error)
{
    begin();
    arena.limit = 16384;
    for (unsigned i = 0; i < 1000; i++)
        put_file("a name of some length, so that it fills memory", i, (char)i);
    ck_assert_int_eq(read_most(1 << 20), -ENOMEM);
    arena_fini(&arena);
    arena.limit = 0;
}
END_TEST

int main(void)
{
    Suite *s = suite_create("archive/par2");
    TCase *t = tcase_create("par2");

    tcase_add_test(t, file_descriptions_are_read_and_matched);
    tcase_add_test(t, a_second_file_adds_what_is_new);
    tcase_add_test(t, two_names_for_one_content_are_none);
    tcase_add_test(t, names_of_8_bit_times_become_utf8);
    tcase_add_test(t, a_damaged_packet_does_not_count_and_hides_no_other);
    tcase_add_test(t, lengths_that_lie_are_passed_over);
    tcase_add_test(t, recovery_slices_are_not_read);
    tcase_add_test(t, no_more_is_read_than_allowed);
    tcase_add_test(t, cut_off_anywhere_it_gives_what_was_before);
    tcase_add_test(t, what_cannot_be_read_is_no_error_but_being_told_to_stop_is);
    tcase_add_test(t, a_full_arena_is_an_error);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
