#include "cli/cli.h"
#include "cli/status_print.h"
#include "cli/table.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *page;
static size_t page_len;
static FILE *before;

static void capture(void)
{
    fflush(stdout);
    before = stdout;
    stdout = open_memstream(&page, &page_len);
    ck_assert_ptr_nonnull(stdout);
}

/* What was printed since capture(); the caller's to free. */
static char *captured(void)
{
    fclose(stdout);
    stdout = before;
    return page;
}

static const char *bar(unsigned leased, unsigned guaranteed, unsigned burst, unsigned total)
{
    static char out[32];

    return status_bar(leased, guaranteed, burst, total, out, sizeof(out));
}

/* --- bars and units ---------------------------------------------------------------------------- */

START_TEST(a_bar_shows_what_is_leased_guaranteed_and_burst)
{
    ck_assert_str_eq(bar(0, 10, 20, 20), "[==========:----------]");
    ck_assert_str_eq(bar(5, 10, 15, 20), "[#####=====:-----     ]");
    ck_assert_str_eq(bar(15, 10, 15, 20), "[##########:#####     ]");
    ck_assert_str_eq(bar(20, 20, 20, 20), "[####################:]");
    ck_assert_str_eq(bar(0, 0, 20, 20), "[:--------------------]");
    ck_assert_str_eq(bar(0, 0, 0, 20), "[:                    ]");
}
END_TEST

START_TEST(one_connection_of_many_is_seen)
{
    ck_assert_str_eq(bar(1, 0, 2000, 2000), "[:#-------------------]");
    ck_assert_str_eq(bar(1, 1, 1, 2000), "[#:                   ]");
}
END_TEST

START_TEST(figures_beyond_the_total_stay_inside_the_bar)
{
    ck_assert_str_eq(bar(30, 25, 40, 20), "[####################:]");
    ck_assert_str_eq(bar(1000000, 1000000, 1000000, 1), "[####################:]");
    ck_assert_str_eq(bar(1, 1, 1, 0), "-");
}
END_TEST

START_TEST(times_are_in_units_for_people)
{
    char out[24];

    ck_assert_str_eq(status_span(16, out), "0.0 ms");
    ck_assert_str_eq(status_span(512, out), "0.5 ms");
    ck_assert_str_eq(status_span(16384, out), "16 ms");
    ck_assert_str_eq(status_span(999600, out), "1.0 s");
    ck_assert_str_eq(status_span(134217728, out), "134 s");
    ck_assert_uint_lt(strlen(status_span(~0ull, out)), 16);
    ck_assert_str_eq(status_age(0, out), "0 s");
    ck_assert_str_eq(status_age(119, out), "119 s");
    ck_assert_str_eq(status_age(600, out), "10 min");
    ck_assert_str_eq(status_age(3 * 3600 + 12 * 60, out), "3 h 12 min");
    ck_assert_str_eq(status_age(4 * 86400 + 3 * 3600, out), "4 d 3 h");
    ck_assert_uint_lt(strlen(status_age(~0ull, out)), 24);
}
END_TEST

/* --- tables ------------------------------------------------------------------------------------ */

START_TEST(columns_are_aligned_by_characters_not_bytes)
{
    static const char *const heads[] = {"who", "n"};
    struct table t;

    table_init(&t, heads, 2, 1);
    table_row(&t);
    table_cell(&t, TABLE_PLAIN, "\xc3\xa9\xc3\xa9");
    table_cell(&t, TABLE_PLAIN, "%d", 10);
    table_row(&t);
    table_cell(&t, TABLE_PLAIN, "long");
    table_cell(&t, TABLE_PLAIN, "%d", 7);
    capture();
    table_print(&t, 1, 0, false);
    char *text = captured();
    ck_assert_str_eq(text, " who    n\n \xc3\xa9\xc3\xa9    10\n long   7\n");
    free(text);
}
END_TEST

START_TEST(control_characters_do_not_reach_the_terminal)
{
    static const char *const heads[] = {"who"};
    struct table t;

    table_init(&t, heads, 1, 1);
    table_row(&t);
    table_cell(&t, TABLE_PLAIN, "%s", "\033[2J\n");
    table_row(&t);
    table_cell(&t, TABLE_PLAIN, "%s",
               "\xc2\x9b"
               "2J\x9b"
               "2J");
    capture();
    table_print(&t, 0, 0, false);
    char *text = captured();
    ck_assert_str_eq(text, "who\n?[2J?\n??2J?2J\n");
    free(text);
}
END_TEST

START_TEST(text_from_outside_is_shown_without_what_moves_a_terminal)
{
    capture();
    cli_text_print(stdout, "/mnt/\xc3\xa9 \xe2\x82\xac|\033[2J|\xc2\x9b"
                           "m|\xff|\xe2\x80\xae|\x7f|\xc3");
    char *text = captured();
    ck_assert_str_eq(text, "/mnt/\xc3\xa9 \xe2\x82\xac|\\x1b[2J|\\xc2\\x9bm|\\xff|"
                           "\\xe2\\x80\\xae|\\x7f|\\xc3");
    free(text);
}
END_TEST

START_TEST(columns_beyond_the_terminals_edge_stand_below_with_the_first_one_again)
{
    static const char *const heads[] = {"who", "left", "middle", "right"};
    static const char *const blocks =
        " who  left  middle\n a       1       2\n\n who  right\n a        3\n";
    struct table t;

    table_init(&t, heads, 4, 1);
    table_row(&t);
    table_cell(&t, TABLE_PLAIN, "a");
    for (int i = 1; i <= 3; i++)
        table_cell(&t, TABLE_PLAIN, "%d", i);
    for (unsigned room = 18; room < 25; room++) {
        capture();
        table_print(&t, 1, room, false);
        char *text = captured();
        ck_assert_str_eq(text, blocks);
        free(text);
    }
    capture();
    table_print(&t, 1, 25, false);
    char *text = captured();
    ck_assert_str_eq(text, " who  left  middle  right\n a       1       2      3\n");
    free(text);
    capture();
    table_print(&t, 1, 1, false); /* no room at all: a block for each */
    text = captured();
    ck_assert_ptr_nonnull(strstr(text, " who  left\n a       1\n\n who  middle\n"));
    free(text);
}
END_TEST

START_TEST(more_rows_than_there_is_room_for_are_told)
{
    static const char *const heads[] = {"n"};
    struct table t;

    table_init(&t, heads, 1, 0);
    for (unsigned i = 0; i < TABLE_ROWS + 4; i++) {
        table_row(&t);
        table_cell(&t, TABLE_PLAIN, "%u", i);
        table_cell(&t, TABLE_PLAIN, "one column too many");
    }
    capture();
    table_print(&t, 0, 0, false);
    char *text = captured();
    ck_assert_ptr_nonnull(strstr(text, "(and 5 more)\n"));
    ck_assert_ptr_null(strstr(text, "many"));
    free(text);
}
END_TEST

/* --- the page ---------------------------------------------------------------------------------- */

static char *printed(const char *json, bool colours)
{
    struct status_look look = {.colours = colours};
    json_error_t err;
    json_t *status = json_loads(json, 0, &err);

    ck_assert_msg(status != NULL, "%s", err.text);
    capture();
    status_print(status, &look);
    json_decref(status);
    return captured();
}

static void expect(const char *json, const char *words)
{
    char *text = printed(json, false);

    ck_assert_msg(strstr(text, words) != NULL, "'%s' is not in: %s", words, text);
    free(text);
}

START_TEST(a_providers_state_is_in_words)
{
    expect("{\"providers\":{\"a\":{\"limit\":9,\"ceiling\":9,\"sockets\":1}}}", "  up\n");
    expect("{\"providers\":{\"a\":{\"limit\":9,\"ceiling\":9}}}", "  at rest\n");
    expect("{\"providers\":{\"a\":{\"limit\":9,\"ceiling\":9,\"rate\":5242880}}}",
           "  at rest, rate 5.0 MiB/s\n");
    expect("{\"providers\":{\"a\":{\"limit\":50,\"ceiling\":20}}}", "  bears 20 of 50\n");
    expect("{\"providers\":{\"a\":{\"limit\":5,\"ceiling\":1,\"down\":true,\"retry_in_s\":4}}}",
           "  down, tried again in 4 s\n");
    expect("{\"providers\":{\"a\":{\"limit\":5,\"down\":true,\"retry_in_s\":null}}}",
           "  down, tried again when needed\n");
    expect(
        "{\"providers\":{\"a\":{\"limit\":5,\"down\":true,\"reason\":\"502 \\u001b too many\"}}}",
        "\n  a is down: 502 \\x1b too many\n");
    expect("{\"providers\":{\"a\":{\"sockets\":2,\"gone\":true}}}", "  taken out\n");
}
END_TEST

START_TEST(one_that_was_taken_out_is_shown_while_it_has_sockets)
{
    char *text = printed("{\"providers\":{\"old\":{\"gone\":true,\"sockets\":0}}}", false);

    ck_assert_ptr_null(strstr(text, "old"));
    free(text);
}
END_TEST

START_TEST(what_was_asked_for_twice_is_told_where_there_was_something)
{
    char *text = printed("{\"hedges\":{\"started\":0,\"won\":0}}", false);

    ck_assert_ptr_null(strstr(text, "twice"));
    free(text);
    expect("{\"hedges\":{\"started\":12,\"won\":9,\"lost\":2,\"bytes_lost\":3145728}}",
           "\n  12 late, asked for twice: 9 came first from there, 3.0 MiB came in vain\n");
}
END_TEST

START_TEST(an_answer_that_is_not_what_it_should_be_harms_nothing)
{
    static const char *const odd[] = {
        "{}",
        "[]",
        "7",
        "{\"classes\":[],\"providers\":\"x\",\"settings\":{},\"version\":1,\"total\":\"many\"}",
        "{\"total\":-5,\"classes\":{\"queue\":{\"leased\":9223372036854775807,\"burst\":1e99}}}",
        "{\"total\":3,\"providers\":{\"\":{},\"\\u001b[31m\":{\"limit\":-1,\"answer\":[]}}}",
        "{\"settings\":[1,null,\"a\\u0007\"],\"mountpoint\":\"\\u001b]0;x\\u0007\"}",
    };

    struct status_look look = {0};

    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        json_t *status = json_loads(odd[i], JSON_DECODE_ANY, NULL);
        ck_assert_ptr_nonnull(status);
        capture();
        status_print(status, &look);
        char *text = captured();
        ck_assert_ptr_nonnull(strstr(text, "BufferedStreaming"));
        ck_assert_ptr_null(strchr(text, '\033'));
        ck_assert_ptr_null(strchr(text, '\a'));
        free(text);
        json_decref(status);
    }
}
END_TEST

START_TEST(colours_are_there_when_wanted)
{
    char *text = printed("{}", true);

    ck_assert_ptr_nonnull(strchr(text, '\033'));
    free(text);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cli/status");
    TCase *t = tcase_create("status");

    tcase_add_test(t, a_bar_shows_what_is_leased_guaranteed_and_burst);
    tcase_add_test(t, one_connection_of_many_is_seen);
    tcase_add_test(t, figures_beyond_the_total_stay_inside_the_bar);
    tcase_add_test(t, times_are_in_units_for_people);
    tcase_add_test(t, columns_are_aligned_by_characters_not_bytes);
    tcase_add_test(t, control_characters_do_not_reach_the_terminal);
    tcase_add_test(t, text_from_outside_is_shown_without_what_moves_a_terminal);
    tcase_add_test(t, columns_beyond_the_terminals_edge_stand_below_with_the_first_one_again);
    tcase_add_test(t, more_rows_than_there_is_room_for_are_told);
    tcase_add_test(t, a_providers_state_is_in_words);
    tcase_add_test(t, one_that_was_taken_out_is_shown_while_it_has_sockets);
    tcase_add_test(t, what_was_asked_for_twice_is_told_where_there_was_something);
    tcase_add_test(t, an_answer_that_is_not_what_it_should_be_harms_nothing);
    tcase_add_test(t, colours_are_there_when_wanted);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
