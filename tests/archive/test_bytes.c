#include "archive/bytes.h"

#include <check.h>
#include <stdlib.h>

static struct archive_memory memory(size_t have, uint64_t size)
{
    return (struct archive_memory){
        .b.ops = &archive_memory_ops, .data = "0123456789", .have = have, .size = size};
}

START_TEST(memory_is_read_at_any_offset)
{
    struct archive_memory m = memory(10, 10);
    char buf[20];
    uint64_t size = 0;
    ck_assert_int_eq(archive_bytes_size(&m.b, &size), 0);
    ck_assert_uint_eq(size, 10);
    ck_assert_int_eq(archive_bytes_read(&m.b, 3, buf, 4), 4);
    ck_assert_mem_eq(buf, "3456", 4);
    ck_assert_int_eq(archive_bytes_read(&m.b, 8, buf, 20), 2);
    ck_assert_int_eq(archive_bytes_read(&m.b, 10, buf, 1), 0);
    ck_assert_int_eq(archive_bytes_read(&m.b, UINT64_MAX, buf, 1), 0);
    archive_bytes_want(&m.b, 0, 10); /* nobody cares */
}
END_TEST

START_TEST(what_is_not_here_yet_is_told_from_the_end)
{
    struct archive_memory m = memory(10, 100);
    char buf[20];
    ck_assert_int_eq(archive_bytes_read(&m.b, 8, buf, 20), 2);
    ck_assert_int_eq(archive_bytes_read(&m.b, 10, buf, 1), -ENODATA);
    ck_assert_int_eq(archive_bytes_read(&m.b, 100, buf, 1), 0);
    ck_assert_int_eq(archive_bytes_exact(&m.b, 6, buf, 5), -ENODATA);
    ck_assert_int_eq(archive_bytes_exact(&m.b, 6, buf, 4), 0);
    ck_assert_int_eq(archive_bytes_exact(&m.b, 99, buf, 0), 0);
}
END_TEST

static ssize_t by_one(struct archive_bytes *b, uint64_t off, void *buf, size_t len)
{
    return off == 7 ? -EIO : archive_memory_ops.read(b, off, buf, len ? 1 : 0);
}

START_TEST(exact_goes_on_until_it_has_all_or_an_error)
{
    const struct archive_bytes_ops ops = {.size = archive_memory_ops.size, .read = by_one};
    struct archive_memory m = memory(10, 10);
    char buf[20];
    m.b.ops = &ops;
    ck_assert_int_eq(archive_bytes_exact(&m.b, 2, buf, 5), 0);
    ck_assert_mem_eq(buf, "23456", 5);
    ck_assert_int_eq(archive_bytes_exact(&m.b, 2, buf, 6), -EIO);
    ck_assert_int_eq(archive_bytes_exact(&m.b, 8, buf, 3), -ENODATA);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("archive/bytes");
    TCase *t = tcase_create("bytes");

    tcase_add_test(t, memory_is_read_at_any_offset);
    tcase_add_test(t, what_is_not_here_yet_is_told_from_the_end);
    tcase_add_test(t, exact_goes_on_until_it_has_all_or_an_error);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
