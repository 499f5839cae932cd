#include "base/cursor.h"

#include <check.h>
#include <stdlib.h>

static const uint8_t data[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

START_TEST(integers_are_little_endian)
{
    struct cursor c = cursor_of(data, sizeof(data));
    ck_assert_uint_eq(cursor_u8(&c), 1);
    ck_assert_uint_eq(cursor_u16(&c), 0x0302);
    ck_assert_uint_eq(cursor_u32(&c), 0x07060504);
    ck_assert_uint_eq(cursor_u64(&c), 0x0f0e0d0c0b0a0908);
    ck_assert_uint_eq(cursor_left(&c), 0);
    ck_assert(!c.bad);
    c = cursor_of(data, 3);
    ck_assert_uint_eq(cursor_le(&c, 3), 0x030201);
}
END_TEST

START_TEST(a_read_past_the_end_gives_nothing_and_so_do_all_that_follow)
{
    struct cursor c = cursor_of(data, 3);
    ck_assert_uint_eq(cursor_u32(&c), 0);
    ck_assert(c.bad);
    ck_assert_uint_eq(cursor_u8(&c), 0);
    ck_assert_uint_eq(cursor_left(&c), 0);
    ck_assert_ptr_null(cursor_bytes(&c, 0 + 1));
    ck_assert(c.bad);
}
END_TEST

START_TEST(no_length_is_long_enough_to_come_around)
{
    struct cursor c = cursor_of(data, sizeof(data));
    cursor_skip(&c, 5);
    cursor_skip(&c, SIZE_MAX);
    ck_assert(c.bad);
    c = cursor_of(data, sizeof(data));
    struct cursor sub = cursor_sub(&c, SIZE_MAX - 2);
    ck_assert(sub.bad && c.bad);
    ck_assert_uint_eq(cursor_u8(&sub), 0);
}
END_TEST

START_TEST(a_part_ends_where_it_was_told_to)
{
    struct cursor c = cursor_of(data, sizeof(data)), sub = cursor_sub(&c, 2);
    ck_assert_uint_eq(cursor_u16(&sub), 0x0201);
    ck_assert_uint_eq(cursor_u8(&sub), 0);
    ck_assert(sub.bad);
    ck_assert(!c.bad);
    ck_assert_uint_eq(cursor_u8(&c), 3);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("base/cursor");
    TCase *t = tcase_create("cursor");

    tcase_add_test(t, integers_are_little_endian);
    tcase_add_test(t, a_read_past_the_end_gives_nothing_and_so_do_all_that_follow);
    tcase_add_test(t, no_length_is_long_enough_to_come_around);
    tcase_add_test(t, a_part_ends_where_it_was_told_to);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
