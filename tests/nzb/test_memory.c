/* Every allocation of nzb/ and base/ fails once: the linker sends them through here (--wrap). */

#include "nzb/nzb.h"
#include "nzb/segmap.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static long until_failure = -1; /* allocations that still succeed; -1: all do */

static int is_due(void)
{
    if (until_failure < 0)
        return 0;
    return until_failure-- == 0;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_reallocarray(void *p, size_t n, size_t size);
void *__real_aligned_alloc(size_t align, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);

void *__wrap_malloc(size_t size)
{
    return is_due() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return is_due() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
    return is_due() ? NULL : __real_realloc(p, size);
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
    return is_due() ? NULL : __real_reallocarray(p, n, size);
}

void *__wrap_aligned_alloc(size_t align, size_t size)
{
    return is_due() ? NULL : __real_aligned_alloc(align, size);
}

static size_t make_nzb(char *out, size_t cap)
{
    size_t n = (size_t)snprintf(out, cap, "<nzb><head><meta type='t'>x</meta></head>");

    for (unsigned f = 0; f < 40; f++) {
        n += (size_t)snprintf(out + n, cap - n,
                              "<file subject='&amp;film.mkv' poster='p%u&amp;'><group>g%u</group>"
                              "<segments>",
                              f, f);
        for (unsigned s = 1; s < 20; s++)
            n += (size_t)snprintf(out + n, cap - n, "<segment number='%u'>%u.%u@x</segment>", s, f,
                                  s);
        n += (size_t)snprintf(out + n, cap - n, "</segments></file>");
    }
    return n + (size_t)snprintf(out + n, cap - n, "</nzb>");
}

START_TEST(a_parse_without_memory_says_so_and_leaks_nothing)
{
    static char text[1 << 16];
    size_t len = make_nzb(text, sizeof(text));
    char err[256];
    long n = 0;

    for (;; n++) {
        struct nzb *z = NULL;
        until_failure = n;
        int r = nzb_parse(text, len, "t.nzb", &z, err, sizeof(err));
        int failed = until_failure < 0;
        until_failure = -1;
        if (!failed) {
            ck_assert_int_eq(r, 0);
            ck_assert_uint_eq(z->nfiles, 40);
            nzb_free(z);
            break;
        }
        ck_assert_int_eq(r, -ENOMEM);
        ck_assert_ptr_null(z);
        ck_assert_ptr_nonnull(strstr(err, "t.nzb"));
    }
    ck_assert_int_gt(n, 20);
}
END_TEST

START_TEST(a_map_without_memory_serves_nothing_that_it_cannot_remember)
{
    enum { N = 40 };
    uint32_t numbers[N];
    long n = 0;

    for (uint32_t i = 0; i < N; i++)
        numbers[i] = i + 1;
    for (int failed = 1; failed; n++) {
        until_failure = n;
        struct segmap *m = segmap_new(numbers, N, N);
        uint32_t refused = 0;
        /* an uneven file whose every second part is learnt first */
        for (uint32_t k = 0; m && k < 2 * N; k++) {
            uint32_t i = 2 * k % N + (k >= N / 2 ? 1 : 0);
            struct segment_info info = {
                .file_size = N * (N + 1) / 2, .begin = i * (i + 1) / 2, .len = i + 1};
            if (i < N && segmap_learn(m, i, &info) == SEGMAP_WRONG)
                refused++;
        }
        failed = until_failure < 0;
        until_failure = -1;
        for (uint64_t off = 0; m && off < N * (N + 1) / 2; off++) {
            struct segmap_at at = segmap_find(m, off);
            if (at.place == SEGMAP_HERE && at.learnt)
                ck_assert(at.begin == at.i * (at.i + 1) / 2 && at.end == at.begin + at.i + 1);
            else
                ck_assert(failed);
        }
        ck_assert(failed || !refused);
        segmap_free(m);
    }
    ck_assert_int_gt(n, 3);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("nzb/memory");
    TCase *t = tcase_create("memory");

    tcase_add_test(t, a_parse_without_memory_says_so_and_leaks_nothing);
    tcase_add_test(t, a_map_without_memory_serves_nothing_that_it_cannot_remember);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
