#include "cli/progress.h"

#include <check.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

START_TEST(sizes_and_times_are_for_people)
{
    char b[16];

    ck_assert_str_eq(progress_size(0, b), "0 B");
    ck_assert_str_eq(progress_size(999, b), "999 B");
    ck_assert_str_eq(progress_size(1000, b), "1.0 KiB");
    ck_assert_str_eq(progress_size(1023 << 10, b), "1.0 MiB");
    ck_assert_str_eq(progress_size((uint64_t)15 << 30, b), "15.0 GiB");
    ck_assert_str_eq(progress_size((uint64_t)500 << 30, b), "500 GiB");
    ck_assert_str_eq(progress_size(UINT64_MAX, b), "16.0 EiB");
    ck_assert_str_eq(progress_time(0, b), "0:00");
    ck_assert_str_eq(progress_time(67, b), "1:07");
    ck_assert_str_eq(progress_time(3723, b), "1:02:03");
    ck_assert_str_eq(progress_time(UINT64_MAX, b), "> 99 h");
}
END_TEST

static char text[4096];

/* What is said on standard error between heard_start() and heard(). */
static FILE *f;
static int old;

static void heard_start(void)
{
    f = tmpfile();
    old = dup(STDERR_FILENO);
    ck_assert(f && old >= 0);
    dup2(fileno(f), STDERR_FILENO);
}

static const char *heard(void)
{
    fflush(stderr);
    dup2(old, STDERR_FILENO);
    close(old);
    rewind(f);
    text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
    fclose(f);
    return text;
}

START_TEST(without_a_terminal_a_quick_copy_says_nothing)
{
    struct progress p;

    heard_start();
    progress_start(&p, false, 1000);
    progress_tick(&p, 900000, 5, 5, 10);
    progress_clear(&p);
    ck_assert_str_eq(heard(), "");
}
END_TEST

START_TEST(without_a_terminal_a_slow_one_says_a_line_now_and_then)
{
    struct progress p;

    heard_start();
    progress_start(&p, false, 0);
    for (uint64_t s = 0; s <= 12; s++)
        progress_tick(&p, s * 1000000, s << 20, s << 20, 100 << 20);
    ck_assert_str_eq(heard(), "  1%  1.0 MiB of 100 MiB, 1.0 MiB/s, 1:39 left\n"
                              " 11%  11.0 MiB of 100 MiB, 1.0 MiB/s, 1:29 left\n");
}
END_TEST

START_TEST(a_bar_stays_on_its_line_and_goes_away)
{
    struct progress p;

    heard_start();
    progress_start(&p, true, 0);
    progress_tick(&p, 500000, 50, 150, 100); /* a total that was guessed too low */
    progress_clear(&p);
    progress_clear(&p);
    const char *said = heard();
    ck_assert_ptr_nonnull(strstr(said, "\r100% [###"));
    ck_assert_ptr_null(strchr(said, '\n'));
    ck_assert_str_eq(said + strlen(said) - 7, "\033[K\r\033[K");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cli/progress");
    TCase *t = tcase_create("progress");
    SRunner *r = srunner_create(s);

    suite_add_tcase(s, t);
    tcase_add_test(t, sizes_and_times_are_for_people);
    tcase_add_test(t, without_a_terminal_a_quick_copy_says_nothing);
    tcase_add_test(t, without_a_terminal_a_slow_one_says_a_line_now_and_then);
    tcase_add_test(t, a_bar_stays_on_its_line_and_goes_away);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
