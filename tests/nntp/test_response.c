/* Answer lines as servers in the wild write them, and what is made of them. */
#include "nntp/response.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static bool parse(const char *line, struct nntp_response *r)
{
    return nntp_response_parse(line, strlen(line), r);
}

static struct nntp_response answer(const char *line)
{
    struct nntp_response r;
    ck_assert_msg(parse(line, &r), "%s", line);
    return r;
}

START_TEST(a_code_and_its_text_are_told_apart)
{
    static const struct {
        const char *line;
        int code;
        const char *text;
    } t[] = {{"222 0 <a@b> body", 222, "0 <a@b> body"}, {"430", 430, ""},
             {"220, 0 <a@b>", 220, "0 <a@b>"},          {"200\twelcome", 200, "welcome"},
             {"100  two blanks", 100, "two blanks"},    {"599-dash", 599, "-dash"}};

    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        struct nntp_response r = answer(t[i].line);
        ck_assert_int_eq(r.code, t[i].code);
        ck_assert_uint_eq(r.len, strlen(t[i].text));
        ck_assert(memcmp(r.text, t[i].text, r.len) == 0);
    }
}
END_TEST

START_TEST(what_is_no_answer_is_not_taken_for_one)
{
    static const char *const lines[] = {"",
                                        "2",
                                        "22",
                                        "2222",
                                        "600 x",
                                        "022 x",
                                        "abc",
                                        "2a2 x",
                                        "HTTP/1.1 200",
                                        " 222 x",
                                        "22 2",
                                        "222x",
                                        "\x7f\x45\x4c\x46",
                                        "=ybegin line=128",
                                        "-22 x",
                                        "+22 x"};
    struct nntp_response r;

    for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
        ck_assert_msg(!parse(lines[i], &r), "%s", lines[i]);
}
END_TEST

START_TEST(a_nul_in_the_line_ends_nothing)
{
    struct nntp_response r;
    ck_assert(nntp_response_parse("430\0gone", 8, &r));
    ck_assert_uint_eq(r.len, 5);
    ck_assert(!nntp_response_parse("4\0000", 3, &r));
}
END_TEST

START_TEST(limits_are_recognised_in_many_words)
{
    static const char *const limits[] = {
        "502 Too many connections",          "481 max connections exceeded for this user",
        "482 Connection limit reached",      "400 TOO MANY CONNECTIONS FROM YOUR HOST",
        "502 exceeded maximum simultaneous", "481 concurrent session limit"};
    static const char *const others[] = {"481 authentication failed", "502 permission denied",
                                         "482 wrong password", "400 shutting down", "502"};

    for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
        struct nntp_response r = answer(limits[i]);
        ck_assert_msg(nntp_response_names_limit(&r), "%s", limits[i]);
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
        struct nntp_response r = answer(others[i]);
        ck_assert_msg(!nntp_response_names_limit(&r), "%s", others[i]);
    }
}
END_TEST

START_TEST(greetings_say_welcome_full_or_closed)
{
    static const struct {
        const char *line;
        enum nntp_greeting is;
    } t[] = {{"200 hello", NNTP_WELCOME},      {"201 no posting", NNTP_WELCOME},
             {"502 go away", NNTP_FULL},       {"400 too many connections", NNTP_FULL},
             {"400 maintenance", NNTP_CLOSED}, {"220 smtp.example.net ESMTP", NNTP_CLOSED}};

    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        struct nntp_response r = answer(t[i].line);
        ck_assert_msg(nntp_response_greeting(&r) == t[i].is, "%s", t[i].line);
    }
}
END_TEST

START_TEST(a_wrong_password_and_a_full_house_are_told_apart)
{
    static const struct {
        const char *line;
        enum nntp_login is;
    } t[] = {{"281 ok", NNTP_LOGIN_OK},
             {"381 password", NNTP_LOGIN_MORE},
             {"481 bad", NNTP_LOGIN_REFUSED},
             {"482 out of sequence", NNTP_LOGIN_REFUSED},
             {"502 denied", NNTP_LOGIN_REFUSED},
             {"481 too many connections", NNTP_LOGIN_FULL},
             {"482 connection limit", NNTP_LOGIN_FULL},
             {"502 too many connections", NNTP_LOGIN_FULL},
             {"400 closing", NNTP_LOGIN_CLOSED},
             {"500 what?", NNTP_LOGIN_UNKNOWN},
             {"401 MODE-READER", NNTP_LOGIN_UNKNOWN},
             {"222 0 <a@b>", NNTP_LOGIN_SENSELESS}};

    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        struct nntp_response r = answer(t[i].line);
        ck_assert_msg(nntp_response_login(&r) == t[i].is, "%s", t[i].line);
    }
}
END_TEST

START_TEST(only_a_clear_no_makes_an_article_absent)
{
    static const struct {
        const char *line;
        enum nntp_meaning body, stat;
    } t[] = {{"220 0 <a>", NNTP_TEXT, NNTP_TEXT},
             {"222 0 <a>", NNTP_TEXT, NNTP_TEXT},
             {"221 0 <a>", NNTP_TEXT, NNTP_TEXT},
             {"223 0 <a>", NNTP_SENSELESS, NNTP_PRESENT},
             {"430 no", NNTP_ABSENT, NNTP_ABSENT},
             {"423 no", NNTP_ABSENT, NNTP_ABSENT},
             {"420 no", NNTP_ABSENT, NNTP_ABSENT},
             {"451 taken down", NNTP_ABSENT, NNTP_ABSENT},
             {"412 group?", NNTP_NEED_GROUP, NNTP_NEED_GROUP},
             {"480 login", NNTP_NEED_LOGIN, NNTP_NEED_LOGIN},
             {"500 what?", NNTP_UNKNOWN, NNTP_UNKNOWN},
             {"401 MODE-READER", NNTP_UNKNOWN, NNTP_UNKNOWN},
             {"403 fault", NNTP_REFUSAL, NNTP_REFUSAL},
             {"502 no permission", NNTP_REFUSAL, NNTP_REFUSAL},
             {"503 fault", NNTP_REFUSAL, NNTP_REFUSAL},
             {"502 too many connections", NNTP_CROWDED, NNTP_CROWDED},
             {"400 too many connections", NNTP_CROWDED, NNTP_CROWDED},
             {"400 bye", NNTP_CLOSING, NNTP_CLOSING},
             {"205 bye", NNTP_CLOSING, NNTP_CLOSING},
             {"281 ok", NNTP_SENSELESS, NNTP_SENSELESS},
             {"111 20260101000000", NNTP_SENSELESS, NNTP_SENSELESS}};

    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        struct nntp_response r = answer(t[i].line);
        ck_assert_msg(nntp_response_meaning(SEGMENT_BODY, &r) == t[i].body, "%s", t[i].line);
        ck_assert_msg(nntp_response_meaning(SEGMENT_STAT, &r) == t[i].stat, "%s", t[i].line);
    }
}
END_TEST

START_TEST(what_would_end_a_command_line_is_not_let_into_one)
{
    char id[600];
    ck_assert(nntp_message_id_is_safe("part1.x@example.net"));
    ck_assert(nntp_message_id_is_safe("with space?a=1&b=\xc3\xa4"));
    ck_assert(!nntp_message_id_is_safe(""));
    ck_assert(!nntp_message_id_is_safe("a\r\nQUIT"));
    ck_assert(!nntp_message_id_is_safe("a\nb"));
    ck_assert(!nntp_message_id_is_safe("a\tb"));
    ck_assert(!nntp_message_id_is_safe("a\x7f"));
    memset(id, 'x', sizeof(id));
    id[497] = '\0';
    ck_assert(nntp_message_id_is_safe(id));
    id[497] = 'x';
    id[498] = '\0';
    ck_assert(!nntp_message_id_is_safe(id));
    ck_assert(nntp_group_is_safe("alt.binaries.x"));
    ck_assert(!nntp_group_is_safe("alt.x\r\nQUIT"));
    ck_assert(!nntp_group_is_safe("alt x"));
    ck_assert(!nntp_group_is_safe(""));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("nntp/response");
    TCase *t = tcase_create("lines");
    tcase_add_test(t, a_code_and_its_text_are_told_apart);
    tcase_add_test(t, what_is_no_answer_is_not_taken_for_one);
    tcase_add_test(t, a_nul_in_the_line_ends_nothing);
    tcase_add_test(t, limits_are_recognised_in_many_words);
    tcase_add_test(t, greetings_say_welcome_full_or_closed);
    tcase_add_test(t, a_wrong_password_and_a_full_house_are_told_apart);
    tcase_add_test(t, only_a_clear_no_makes_an_article_absent);
    tcase_add_test(t, what_would_end_a_command_line_is_not_let_into_one);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    SRunner *sr = srunner_create(suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
