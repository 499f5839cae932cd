/* Conversations, word for word: what is said to a server, and what is made of its answers. */
#include "base/log.h"
#include "tests/nntp/talker.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "hello" as yEnc: each byte plus 42. */
#define ARTICLE                                                                                    \
    "=ybegin line=128 size=5 name=a b\r\n"                                                         \
    "\x92\x8f\x96\x96\x99\r\n"                                                                     \
    "=yend size=5 crc32=3610a686\r\n.\r\n"

static struct talker t;

static void greeted(const char *user, const char *password)
{
    log_set_level(LOG_AT_ERROR);
    talker_init(&t, user, password);
    talker_hears(&t, "200 welcome\r\n");
}

static void ready(void)
{
    greeted(NULL, NULL);
    ck_assert_uint_eq(t.ups, 1);
    ck_assert_str_eq(talker_says(&t), "");
}

#define says(text) ck_assert_str_eq(talker_says(&t), (text))

static void reported(unsigned i, enum qos_outcome how)
{
    ck_assert(t.ops[i].reported);
    ck_assert_int_eq(t.ops[i].x.outcome, how);
}

static void ended(enum qos_gone why, const char *words)
{
    ck_assert(t.c.dead);
    ck_assert_int_eq(t.why, why);
    ck_assert_msg(strstr(t.text, words) != NULL, "%s", t.text);
}

static unsigned body(const char *id)
{
    return talker_start(&t, SEGMENT_BODY, id, "alt.x");
}

START_TEST(commands_go_out_at_once_and_answers_are_taken_in_order)
{
    ready();
    body("a");
    body("b");
    body("c");
    says("BODY <a>\r\nBODY <b>\r\nBODY <c>\r\n");
    talker_hears(&t, "222 0 <a>\r\n" ARTICLE "430 no\r\n222 0 <c>\r\n" ARTICLE);
    reported(0, QOS_OK);
    reported(1, QOS_NOT_HERE);
    reported(2, QOS_OK);
    ck_assert(memcmp(t.ops[2].room, "hello", 5) == 0);
    ck_assert(!t.c.dead);
    talker_fini(&t);
}
END_TEST

START_TEST(an_answer_for_another_article_is_not_taken)
{
    ready();
    body("a");
    body("b@x");
    body("c");
    talker_hears(&t, "222 0 <a>\r\n" ARTICLE);
    reported(0, QOS_OK);
    talker_hears(&t, "222 0 <c>\r\n" ARTICLE);
    ended(QOS_GONE_BROKEN, "another article");
    ck_assert(!t.ops[1].reported && t.ops[1].begins == 0);
    talker_fini(&t);
}
END_TEST

START_TEST(a_server_that_names_no_article_or_always_its_own_is_taken_at_its_word)
{
    static const char *const lines[] = {"222 body follows", "222",     "222 0 <",
                                        "222 0 <1.local>",  "222 0 a", "222 >a<",
                                        "222 0 <a",         "222 0 <>"};
    for (unsigned i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
        ready();
        body("a");
        talker_hears(&t, lines[i]);
        talker_hears(&t, "\r\n" ARTICLE);
        reported(0, QOS_OK);
        talker_fini(&t);
    }
}
END_TEST

START_TEST(any_split_of_the_bytes_is_the_same)
{
    static const char text[] = "222 0 <a>\r\n" ARTICLE "430 no\r\n220, 0 <c>\r\n" ARTICLE;
    for (size_t cut = 1; cut < sizeof(text); cut++) {
        ready();
        body("a");
        body("b");
        body("c");
        for (size_t at = 0; at < sizeof(text) - 1; at += cut)
            talker_hears_n(&t, text + at,
                           sizeof(text) - 1 - at < cut ? sizeof(text) - 1 - at : cut);
        reported(0, QOS_OK);
        reported(1, QOS_NOT_HERE);
        reported(2, QOS_OK);
        ck_assert_uint_eq(t.ops[0].x.bytes, strlen("222 0 <a>\r\n" ARTICLE));
        talker_fini(&t);
    }
}
END_TEST

START_TEST(lines_may_end_in_a_bare_newline)
{
    greeted(NULL, NULL);
    body("a");
    says("BODY <a>\r\n");
    talker_hears(&t, "430 no\n");
    reported(0, QOS_NOT_HERE);
    talker_fini(&t);
}
END_TEST

START_TEST(a_login_comes_first_and_nothing_is_sent_behind_it)
{
    greeted("me", "pass word");
    says("AUTHINFO USER me\r\n");
    talker_hears(&t, "381 more\r\n");
    says("AUTHINFO PASS pass word\r\n");
    ck_assert_uint_eq(t.ups, 0);
    talker_hears(&t, "281 ok\r\n");
    ck_assert_uint_eq(t.ups, 1);
    talker_fini(&t);
}
END_TEST

START_TEST(a_server_may_take_the_name_alone)
{
    greeted("me", "secret");
    talker_hears(&t, "281 ok\r\n");
    ck_assert_uint_eq(t.ups, 1);
    talker_fini(&t);
}
END_TEST

START_TEST(a_wrong_password_is_for_a_person_to_mend_and_is_never_shown)
{
    greeted("me", "hunter2");
    talker_hears(&t, "381 more\r\n481 no\r\n");
    ended(QOS_GONE_LOGIN, "481 no");
    ck_assert_ptr_null(strstr(t.text, "hunter2"));
    talker_fini(&t);
}
END_TEST

START_TEST(a_password_that_the_server_repeats_is_not_shown)
{
    static const char *const answers[] = {"500 unknown: AUTHINFO PASS hunter2 hunter2\r\n",
                                          "481 hunter2hunter2 is wrong\r\n",
                                          "What is AUTHINFO PASS hunter2?\r\n", "281 ok\r\n"};
    greeted("me", "hunter2");
    talker_hears(&t, "381 more\r\n");
    talker_hears(&t, answers[_i]);
    if (_i == 0) /* reader mode might have helped */
        talker_hears(&t, "500 hunter2\r\n");
    if (_i == 0)
        talker_hears(&t, "500 hunter2\r\n");
    if (_i == 3) {
        body("a");
        talker_hears(&t, "281 hunter2\r\n");
    }
    ck_assert(t.c.dead);
    ck_assert_msg(strstr(t.text, "hunter2") == NULL, "%s", t.text);
    ck_assert_msg(strstr(t.text, "*") != NULL, "%s", t.text);
    talker_fini(&t);
}
END_TEST

START_TEST(a_login_that_is_one_too_many_is_a_limit)
{
    static const char *const answers[] = {"481 too many connections\r\n",
                                          "482 connection limit\r\n",
                                          "502 max connections reached\r\n"};
    greeted("me", "secret");
    talker_hears(&t, "381 more\r\n");
    talker_hears(&t, answers[_i]);
    ended(QOS_GONE_LIMIT, "login");
    talker_fini(&t);
}
END_TEST

START_TEST(a_greeting_that_refuses_is_a_limit_or_a_refusal)
{
    static const struct {
        const char *line;
        enum qos_gone why;
    } g[] = {{"502 no\r\n", QOS_GONE_LIMIT},
             {"400 too many connections\r\n", QOS_GONE_LIMIT},
             {"400 maintenance\r\n", QOS_GONE_REFUSED},
             {"HTTP/1.1 400 Bad Request\r\n", QOS_GONE_REFUSED}};
    talker_init(&t, NULL, NULL);
    talker_hears(&t, g[_i].line);
    ended(g[_i].why, "");
    talker_fini(&t);
}
END_TEST

START_TEST(a_login_demanded_later_is_made_and_the_commands_repeated_in_order)
{
    greeted("me", "secret");
    talker_hears(&t, "281 ok\r\n");
    talker_says(&t);
    body("a");
    body("b");
    says("BODY <a>\r\nBODY <b>\r\n");
    talker_hears(&t, "480 login\r\n");
    says(""); /* b has not been answered yet */
    body("c");
    says("");
    talker_hears(&t, "480 login\r\n");
    says("AUTHINFO USER me\r\n");
    talker_hears(&t, "281 ok\r\n");
    says("BODY <a>\r\nBODY <b>\r\nBODY <c>\r\n");
    talker_hears(&t, "430 no\r\n430 no\r\n430 no\r\n");
    for (unsigned i = 0; i < 3; i++)
        reported(i, QOS_NOT_HERE);
    talker_fini(&t);
}
END_TEST

START_TEST(an_answer_that_overtakes_a_repeated_command_is_reported_after_it)
{
    greeted("me", "secret");
    talker_hears(&t, "281 ok\r\n");
    body("a");
    body("b");
    talker_says(&t);
    talker_hears(&t, "480 login\r\n222 0 <b>\r\n" ARTICLE);
    ck_assert(!t.ops[1].reported);
    says("AUTHINFO USER me\r\n");
    talker_hears(&t, "281 ok\r\n");
    says("BODY <a>\r\n");
    talker_hears(&t, "222 0 <a>\r\n" ARTICLE);
    reported(0, QOS_OK);
    reported(1, QOS_OK);
    talker_fini(&t);
}
END_TEST

START_TEST(a_login_that_changes_nothing_is_not_tried_for_ever)
{
    greeted("me", "secret");
    talker_hears(&t, "281 ok\r\n");
    body("a");
    talker_hears(&t, "480 login\r\n");
    talker_hears(&t, "281 ok\r\n");
    talker_hears(&t, "480 login\r\n");
    ended(QOS_GONE_LOGIN, "480");
    talker_fini(&t);
}
END_TEST

START_TEST(a_login_demanded_of_one_who_has_none_says_what_to_set)
{
    ready();
    body("a");
    talker_hears(&t, "480 login\r\n");
    ended(QOS_GONE_LOGIN, "set username and password");
    talker_fini(&t);
}
END_TEST

START_TEST(a_group_is_selected_when_it_is_asked_for_and_from_then_on_beforehand)
{
    ready();
    body("a");
    body("b");
    talker_says(&t);
    talker_hears(&t, "412 group?\r\n412 group?\r\n");
    says("GROUP alt.x\r\n");
    talker_hears(&t, "211 0 0 0 alt.x\r\n");
    says("BODY <a>\r\nBODY <b>\r\n");
    talker_hears(&t, "430 no\r\n430 no\r\n");
    talker_start(&t, SEGMENT_BODY, "c", "alt.y");
    says("GROUP alt.y\r\n");
    talker_hears(&t, "211 0 0 0 alt.y\r\n");
    says("BODY <c>\r\n");
    talker_fini(&t);
}
END_TEST

START_TEST(an_unknown_group_means_that_it_is_not_here)
{
    ready();
    body("a");
    talker_says(&t);
    talker_hears(&t, "412 group?\r\n");
    talker_hears(&t, "411 no such group\r\n");
    reported(0, QOS_NOT_HERE);
    ck_assert(!t.c.dead);
    talker_fini(&t);
}
END_TEST

START_TEST(a_group_that_does_not_help_is_not_selected_for_ever)
{
    ready();
    body("a");
    for (unsigned i = 0; i < 2; i++) {
        talker_hears(&t, "412 group?\r\n");
        talker_hears(&t, "211 ok\r\n");
    }
    talker_hears(&t, "412 group?\r\n");
    reported(0, QOS_DECLINED);
    ck_assert(!t.c.dead);
    talker_fini(&t);
}
END_TEST

START_TEST(a_group_that_is_wanted_but_not_known_is_declined)
{
    ready();
    talker_start(&t, SEGMENT_BODY, "a", NULL);
    talker_hears(&t, "412 group?\r\n");
    reported(0, QOS_DECLINED);
    talker_start(&t, SEGMENT_BODY, "b", "alt.x\r\nQUIT");
    talker_says(&t);
    talker_hears(&t, "412 group?\r\n");
    says("");
    reported(1, QOS_DECLINED);
    talker_fini(&t);
}
END_TEST

START_TEST(mode_reader_is_said_to_a_server_that_knows_no_body_and_only_once)
{
    ready();
    body("a");
    talker_says(&t);
    talker_hears(&t, "500 what?\r\n");
    says("MODE READER\r\n");
    talker_hears(&t, "201 ok\r\n");
    says("BODY <a>\r\n");
    talker_hears(&t, "500 what?\r\n");
    says("ARTICLE <a>\r\n");
    talker_hears(&t, "500 what?\r\n");
    reported(0, QOS_DECLINED);
    ck_assert(!t.c.dead);
    talker_fini(&t);
}
END_TEST

/* INN's innd is a transit server until it is told otherwise, and it names what it wants. Taken for a
 * refusal, the 401 made every article of such a server unreadable. */
START_TEST(a_transit_server_that_wants_reader_mode_gets_it)
{
    ready();
    body("a");
    talker_says(&t);
    talker_hears(&t, "401 MODE-READER\r\n");
    says("MODE READER\r\n");
    talker_hears(&t, "200 ready (posting ok)\r\n");
    says("BODY <a>\r\n");
    talker_hears(&t, "430 gone\r\n");
    reported(0, QOS_NOT_HERE);
    talker_fini(&t);
}
END_TEST

START_TEST(a_body_that_is_not_known_becomes_an_article)
{
    ready();
    body("a");
    says("BODY <a>\r\n");
    talker_hears(&t, "500 what?\r\n");
    says("MODE READER\r\n");
    talker_hears(&t, "500 what?\r\n");
    says("BODY <a>\r\n");
    talker_hears(&t, "500 what?\r\n");
    says("ARTICLE <a>\r\n");
    talker_hears(&t, "220 0 <a>\r\nSubject: x\r\n\r\nno yEnc\r\n.\r\n");
    reported(0, QOS_SPOILT);
    body("b");
    says("ARTICLE <b>\r\n");
    talker_fini(&t);
}
END_TEST

START_TEST(a_stat_that_is_not_known_becomes_a_head)
{
    ready();
    talker_start(&t, SEGMENT_STAT, "a", NULL);
    says("STAT <a>\r\n");
    talker_hears(&t, "500 what?\r\n");
    says("MODE READER\r\n");
    talker_hears(&t, "500 what?\r\n");
    says("STAT <a>\r\n");
    talker_hears(&t, "500 what?\r\n");
    says("HEAD <a>\r\n");
    talker_hears(&t, "221 0 <a>\r\nSubject: x\r\n=ybegin line=128 size=5 name=a\r\n.\r\n");
    reported(0, QOS_OK);
    ck_assert_uint_eq(t.ops[0].begins, 0);
    talker_start(&t, SEGMENT_STAT, "b", NULL);
    says("HEAD <b>\r\n");
    talker_fini(&t);
}
END_TEST

START_TEST(a_login_that_is_not_known_yet_is_made_in_reader_mode)
{
    greeted("me", "secret");
    says("AUTHINFO USER me\r\n");
    talker_hears(&t, "500 what?\r\n");
    says("MODE READER\r\n");
    talker_hears(&t, "200 ok\r\n");
    says("AUTHINFO USER me\r\n");
    talker_hears(&t, "281 ok\r\n");
    ck_assert_uint_eq(t.ups, 1);
    talker_fini(&t);
}
END_TEST

START_TEST(a_server_that_plays_login_against_reader_mode_is_left)
{
    greeted("me", "secret");
    for (unsigned i = 0; i < 20 && !t.c.dead; i++) {
        talker_hears(&t, "500 what?\r\n");
        talker_says(&t);
        if (!t.c.dead)
            talker_hears(&t, "480 login\r\n");
        talker_says(&t);
    }
    ended(QOS_GONE_LOGIN, "500");
    talker_fini(&t);
}
END_TEST

START_TEST(answers_before_the_questions_fill_no_buffer)
{
    static char user[481], said[40000];
    size_t n = 0;
    memset(user, 'u', sizeof(user) - 1);
    talker_init(&t, user, "secret");
    n += (size_t)sprintf(said, "200 hello\r\n");
    while (n < sizeof(said) - 40)
        n += (size_t)sprintf(said + n, "381 more\r\n500 what?\r\n480 login\r\n");
    talker_hears_n(&t, said, n);
    ck_assert(t.c.dead);
    ck_assert_uint_le(t.c.nout, sizeof(t.c.out));
    talker_fini(&t);
}
END_TEST

START_TEST(refusals_leave_the_connection_alive)
{
    static const char *const lines[] = {"403 fault\r\n", "501 syntax\r\n", "502 no permission\r\n",
                                        "503 fault\r\n", "499 what\r\n"};
    ready();
    body("a");
    talker_hears(&t, lines[_i]);
    reported(0, QOS_DECLINED);
    ck_assert(!t.c.dead);
    talker_fini(&t);
}
END_TEST

START_TEST(answers_without_sense_end_the_connection)
{
    static const char *const lines[] = {"\x7f\x45\x4c\x46\r\n", "281 ok\r\n", "223 0 <a>\r\n",
                                        "340 send\r\n",         "\r\n",       "22\r\n",
                                        "=ybegin line=128\r\n"};
    ready();
    body("a");
    talker_hears(&t, lines[_i]);
    ended(QOS_GONE_BROKEN, "without sense");
    talker_fini(&t);
}
END_TEST

START_TEST(a_line_without_end_is_not_gathered_for_ever)
{
    char many[NNTP_LINE_MOST + 1];
    ready();
    body("a");
    memset(many, '2', sizeof(many));
    talker_hears_n(&t, many, sizeof(many));
    ended(QOS_GONE_BROKEN, "does not end");
    talker_fini(&t);
}
END_TEST

START_TEST(a_hang_up_is_told_by_when_it_comes)
{
    ready();
    nntp_talk_hung_up(&t.c, "closed");
    ended(QOS_GONE_BROKEN, "closed"); /* it has never served: not "stale" */
    talker_fini(&t);

    ready();
    body("a");
    talker_hears(&t, "430 no\r\n");
    nntp_talk_hung_up(&t.c, "closed");
    ended(QOS_GONE_STALE, "idle");
    talker_fini(&t);

    ready();
    body("a");
    talker_hears(&t, "430 no\r\n");
    body("b");
    nntp_talk_hung_up(&t.c, "closed");
    ended(QOS_GONE_STALE, "idle");
    talker_fini(&t);

    ready();
    body("a");
    talker_hears(&t, "430 no\r\n");
    body("b");
    talker_hears(&t, "222");
    nntp_talk_hung_up(&t.c, "closed");
    ended(QOS_GONE_BROKEN, "middle");
    talker_fini(&t);
}
END_TEST

START_TEST(a_farewell_to_an_idle_connection_is_no_fault)
{
    ready();
    body("a");
    talker_hears(&t, "430 no\r\n");
    talker_hears(&t, "400 idle for too long\r\n");
    ended(QOS_GONE_STALE, "idle for too long");
    talker_fini(&t);
}
END_TEST

START_TEST(an_answer_to_nothing_ends_the_connection)
{
    ready();
    body("a");
    talker_hears(&t, "412 group?\r\n211 that was quick\r\n");
    ended(QOS_GONE_BROKEN, "quick");
    talker_fini(&t);
}
END_TEST

START_TEST(a_limit_told_in_mid_session_is_a_limit)
{
    ready();
    body("a");
    talker_hears(&t, "502 too many connections\r\n");
    ended(QOS_GONE_LIMIT, "too many");
    talker_fini(&t);
}
END_TEST

START_TEST(what_begin_says_decides_and_the_connection_stays_in_step)
{
    static const struct {
        int veto;
        enum qos_outcome how;
    } v[] = {{-ENOSPC, QOS_NO_ROOM}, {-EBADMSG, QOS_SPOILT}};
    for (size_t i = 0; i < 2; i++) {
        ready();
        body("a");
        body("b");
        t.ops[0].veto = v[i].veto;
        talker_hears(&t, "222 0 <a>\r\n" ARTICLE "222 0 <b>\r\n" ARTICLE);
        reported(0, v[i].how);
        reported(1, QOS_OK);
        talker_fini(&t);
    }
}
END_TEST

START_TEST(a_full_pipeline_is_sent_as_room_allows)
{
    static char ids[TALKER_OPS][400];
    size_t said = 0;
    ready();
    for (unsigned i = 0; i < TALKER_OPS; i++) {
        memset(ids[i], 'a' + (int)i, sizeof(ids[i]) - 1);
        body(ids[i]);
    }
    for (unsigned turn = 0; turn < TALKER_OPS; turn++) {
        said += strlen(talker_says(&t));
        nntp_talk_send(&t.c);
    }
    ck_assert_uint_eq(said, TALKER_OPS * strlen("BODY <>\r\n") + TALKER_OPS * 399);
    for (unsigned i = 0; i < TALKER_OPS; i++)
        talker_hears(&t, "430 no\r\n");
    for (unsigned i = 0; i < TALKER_OPS; i++)
        reported(i, QOS_NOT_HERE);
    talker_fini(&t);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("nntp/talk");
    TCase *c = tcase_create("talk");
    tcase_add_test(c, commands_go_out_at_once_and_answers_are_taken_in_order);
    tcase_add_test(c, an_answer_for_another_article_is_not_taken);
    tcase_add_test(c, a_server_that_names_no_article_or_always_its_own_is_taken_at_its_word);
    tcase_add_test(c, any_split_of_the_bytes_is_the_same);
    tcase_add_test(c, lines_may_end_in_a_bare_newline);
    tcase_add_test(c, a_login_comes_first_and_nothing_is_sent_behind_it);
    tcase_add_test(c, a_server_may_take_the_name_alone);
    tcase_add_test(c, a_wrong_password_is_for_a_person_to_mend_and_is_never_shown);
    tcase_add_loop_test(c, a_password_that_the_server_repeats_is_not_shown, 0, 4);
    tcase_add_loop_test(c, a_login_that_is_one_too_many_is_a_limit, 0, 3);
    tcase_add_loop_test(c, a_greeting_that_refuses_is_a_limit_or_a_refusal, 0, 4);
    tcase_add_test(c, a_login_demanded_later_is_made_and_the_commands_repeated_in_order);
    tcase_add_test(c, an_answer_that_overtakes_a_repeated_command_is_reported_after_it);
    tcase_add_test(c, a_login_that_changes_nothing_is_not_tried_for_ever);
    tcase_add_test(c, a_login_demanded_of_one_who_has_none_says_what_to_set);
    tcase_add_test(c, a_group_is_selected_when_it_is_asked_for_and_from_then_on_beforehand);
    tcase_add_test(c, an_unknown_group_means_that_it_is_not_here);
    tcase_add_test(c, a_group_that_does_not_help_is_not_selected_for_ever);
    tcase_add_test(c, a_group_that_is_wanted_but_not_known_is_declined);
    tcase_add_test(c, mode_reader_is_said_to_a_server_that_knows_no_body_and_only_once);
    tcase_add_test(c, a_transit_server_that_wants_reader_mode_gets_it);
    tcase_add_test(c, a_body_that_is_not_known_becomes_an_article);
    tcase_add_test(c, a_stat_that_is_not_known_becomes_a_head);
    tcase_add_test(c, a_login_that_is_not_known_yet_is_made_in_reader_mode);
    tcase_add_test(c, a_server_that_plays_login_against_reader_mode_is_left);
    tcase_add_test(c, answers_before_the_questions_fill_no_buffer);
    tcase_add_loop_test(c, refusals_leave_the_connection_alive, 0, 5);
    tcase_add_loop_test(c, answers_without_sense_end_the_connection, 0, 7);
    tcase_add_test(c, a_line_without_end_is_not_gathered_for_ever);
    tcase_add_test(c, a_hang_up_is_told_by_when_it_comes);
    tcase_add_test(c, a_farewell_to_an_idle_connection_is_no_fault);
    tcase_add_test(c, an_answer_to_nothing_ends_the_connection);
    tcase_add_test(c, a_limit_told_in_mid_session_is_a_limit);
    tcase_add_test(c, what_begin_says_decides_and_the_connection_stays_in_step);
    tcase_add_test(c, a_full_pipeline_is_sent_as_room_allows);
    suite_add_tcase(s, c);
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
