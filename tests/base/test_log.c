#define LOG_TAG "test"
#include "base/log.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Standard error goes to a file while `say` runs; its text is returned. */
static const char *heard(void (*say)(void))
{
    static char text[1 << 16];
    FILE *f = tmpfile();
    int old = dup(STDERR_FILENO);

    ck_assert(f && old >= 0);
    dup2(fileno(f), STDERR_FILENO);
    say();
    dup2(old, STDERR_FILENO);
    close(old);
    rewind(f);
    size_t n = fread(text, 1, sizeof(text) - 1, f);
    text[n] = '\0';
    fclose(f);
    return text;
}

static void say_levels(void)
{
    log_set_level(LOG_AT_WARN);
    log_error("one %d", 1);
    log_warn("two");
    log_info("three");
    log_debug("four");
    log_set_level(LOG_AT_DEBUG);
    log_debug("five");
}

START_TEST(lines_have_level_and_tag_and_those_above_the_level_are_dropped)
{
    ck_assert_str_eq(heard(say_levels), "nzbfs: error: test: one 1\n"
                                        "nzbfs: warn: test: two\n"
                                        "nzbfs: debug: test: five\n");
}
END_TEST

static void say_controls(void)
{
    log_error("%s", "a\nb\x1b[31m\x7f\tc");
}

static void say_hidden_controls(void)
{
    log_error("%s", "gr\xc3\xbc\xc3\x9f \xc2\x9b"
                    "31m \x9b \xe2\x80\xae"
                    "x \xc0\x8a");
}

START_TEST(what_moves_a_terminal_is_shown_as_bytes_however_it_is_spelt)
{
    ck_assert_str_eq(heard(say_hidden_controls), "nzbfs: error: test: gr\xc3\xbc\xc3\x9f \\xc2\\x9b"
                                                 "31m "
                                                 "\\x9b \\xe2\\x80\\xaex \\xc0\\x8a\n");
}
END_TEST

START_TEST(control_characters_from_outside_stay_on_the_line)
{
    ck_assert_str_eq(heard(say_controls), "nzbfs: error: test: a\\x0ab\\x1b[31m\\x7f\\x09c\n");
}
END_TEST

static void say_long(void)
{
    char text[5000];

    memset(text, '\n', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    log_error("%s", text);
}

START_TEST(an_endless_message_is_one_line)
{
    const char *line = heard(say_long);

    ck_assert_ptr_eq(strchr(line, '\n'), line + strlen(line) - 1);
    ck_assert_uint_lt(strlen(line), 1200);
}
END_TEST

static void *say_many(void *arg)
{
    for (int i = 0; i < 200; i++)
        log_error("%s", (const char *)arg);
    return NULL;
}

static void say_at_once(void)
{
    static char a[101], b[101];
    pthread_t t;

    memset(a, 'a', 100);
    memset(b, 'b', 100);
    pthread_create(&t, NULL, say_many, a);
    say_many(b);
    pthread_join(t, NULL);
}

START_TEST(lines_of_two_threads_do_not_mix)
{
    const char *p = heard(say_at_once);
    size_t lines = 0;

    for (const char *nl; (nl = strchr(p, '\n')) != NULL; p = nl + 1, lines++) {
        ck_assert_uint_eq((size_t)(nl - p), strlen("nzbfs: error: test: ") + 100);
        ck_assert_int_eq(nl[-1], nl[-100]);
    }
    ck_assert_uint_eq(lines, 400);
}
END_TEST

START_TEST(a_repeated_failure_is_due_once_a_period_with_its_count)
{
    struct log_gate g = {0};

    ck_assert_uint_eq(log_gate_pass(&g, 1000, 100), 1);
    ck_assert_uint_eq(log_gate_pass(&g, 1010, 100), 0);
    ck_assert_uint_eq(log_gate_pass(&g, 1099, 100), 0);
    ck_assert_uint_eq(log_gate_pass(&g, 1100, 100), 3);
    ck_assert_uint_eq(log_gate_pass(&g, 5000, 100), 1);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("base/log");
    TCase *t = tcase_create("log");
    SRunner *r = srunner_create(s);

    suite_add_tcase(s, t);
    tcase_add_test(t, lines_have_level_and_tag_and_those_above_the_level_are_dropped);
    tcase_add_test(t, control_characters_from_outside_stay_on_the_line);
    tcase_add_test(t, what_moves_a_terminal_is_shown_as_bytes_however_it_is_spelt);
    tcase_add_test(t, an_endless_message_is_one_line);
    tcase_add_test(t, lines_of_two_threads_do_not_mix);
    tcase_add_test(t, a_repeated_failure_is_due_once_a_period_with_its_count);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
