#include "base/arena.h"

#include <check.h>
#include <stdint.h>
#include <string.h>

START_TEST(memory_is_zeroed_aligned_and_stays_where_it_is)
{
    struct arena a = {0};
    unsigned char *kept[2000];

    for (size_t i = 0; i < 2000; i++) {
        size_t align = (size_t)1 << (i % 7);
        kept[i] = arena_alloc(&a, i % 97 + 1, align);
        ck_assert_ptr_nonnull(kept[i]);
        ck_assert_uint_eq((uintptr_t)kept[i] % align, 0);
        for (size_t k = 0; k < i % 97 + 1; k++)
            ck_assert_uint_eq(kept[i][k], 0);
        memset(kept[i], (int)(i % 251), i % 97 + 1);
    }
    for (size_t i = 0; i < 2000; i++)
        for (size_t k = 0; k < i % 97 + 1; k++)
            ck_assert_uint_eq(kept[i][k], i % 251);
    arena_fini(&a);
    ck_assert_ptr_null(a.chunks);
    ck_assert_uint_eq(a.total, 0);
}
END_TEST

START_TEST(the_limit_is_never_exceeded)
{
    struct arena a = {.limit = 100000};
    size_t n = 0;

    while (arena_alloc(&a, 1000, 8)) {
        ck_assert_uint_le(a.total, a.limit);
        ck_assert_uint_lt(++n, 200);
    }
    ck_assert_uint_gt(n, 10);
    ck_assert_ptr_null(arena_alloc(&a, 200000, 8));
    arena_fini(&a);
    ck_assert_uint_eq(a.limit, 100000);
}
END_TEST

START_TEST(sizes_that_do_not_fit_in_a_size_are_refused)
{
    struct arena a = {0};

    ck_assert_ptr_null(arena_calloc(&a, SIZE_MAX / 2, 3, 8));
    ck_assert_ptr_null(arena_alloc(&a, SIZE_MAX, 8));
    ck_assert_ptr_null(arena_alloc(&a, SIZE_MAX - 64, 64));
    ck_assert_ptr_null(arena_strndup(&a, "x", SIZE_MAX));
    ck_assert_uint_eq(a.total, 0);
    arena_fini(&a);
}
END_TEST

START_TEST(a_large_piece_gets_a_chunk_of_its_own)
{
    struct arena a = {0};
    char *before = arena_strndup(&a, "before", 6);
    unsigned char *big = arena_alloc(&a, (size_t)5 << 20, 64);
    char *after = arena_strndup(&a, "after, cut here", 5);

    ck_assert_ptr_nonnull(big);
    big[((size_t)5 << 20) - 1] = 1;
    ck_assert_str_eq(before, "before");
    ck_assert_str_eq(after, "after");
    arena_fini(&a);
}
END_TEST

START_TEST(secrets_are_overwritten_in_every_chunk)
{
    struct arena a = {0};
    unsigned char *p[40];

    for (size_t i = 0; i < 40; i++) {
        p[i] = arena_alloc(&a, 100 * i + 1, 1);
        memset(p[i], 0xa5, 100 * i + 1);
    }
    arena_wipe(&a);
    for (size_t i = 0; i < 40; i++)
        for (size_t k = 0; k < 100 * i + 1; k++)
            ck_assert_uint_eq(p[i][k], 0);
    arena_fini(&a);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("base/arena");
    TCase *t = tcase_create("arena");
    SRunner *r = srunner_create(s);

    suite_add_tcase(s, t);
    tcase_add_test(t, memory_is_zeroed_aligned_and_stays_where_it_is);
    tcase_add_test(t, the_limit_is_never_exceeded);
    tcase_add_test(t, sizes_that_do_not_fit_in_a_size_are_refused);
    tcase_add_test(t, a_large_piece_gets_a_chunk_of_its_own);
    tcase_add_test(t, secrets_are_overwritten_in_every_chunk);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
