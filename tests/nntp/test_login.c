/* Servers with habits: logins, groups, reader mode, swapped codes, few commands. */
#include "tests/nntp/rig.h"

#include <check.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static char me[] = "me", secret[] = "secret", wrong[] = "wrong";

static void served(const struct newsd_config *cfg, char *user, char *password,
                   struct newsd_stats *s)
{
    struct rig r;
    rig_init(&r, 6);
    rig_server(&r, cfg);
    r.cfg.providers[0].username = user;
    r.cfg.providers[0].password = password;
    rig_start(&r);
    for (uint32_t n = 1; n <= 6; n++)
        ck_assert_int_eq(fetch_part(&r, n), SEGMENT_DONE);
    newsd_stats(r.servers[0], s);
    rig_fini(&r);
}

START_TEST(a_right_login_is_made_on_each_connection)
{
    struct newsd_stats s;
    served(&(struct newsd_config){.username = "me", .password = "secret"}, me, secret, &s);
    ck_assert_uint_eq(s.logins, s.accepted);
    ck_assert_uint_gt(s.logins, 0);
}
END_TEST

static enum segment_result refused(const struct newsd_config *cfg, char *user, char *password)
{
    struct fetch t;
    struct timespec now;
    struct newsd_stats s;
    struct rig r;
    rig_init(&r, 1);
    rig_server(&r, cfg);
    r.cfg.providers[0].username = user;
    r.cfg.providers[0].password = password;
    rig_start(&r);
    clock_gettime(CLOCK_MONOTONIC, &now);
    fetch_init(&t, &r, 1);
    t.f.want.deadline_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000 + 500000;
    fetch_start(&t, &r);
    enum segment_result result = fetch_wait(&t);
    fetch_fini(&t);
    newsd_stats(r.servers[0], &s);
    ck_assert_uint_eq(s.logins, 0);
    ck_assert_uint_le(s.accepted, 8); /* a wrong password is not hammered in */
    rig_fini(&r);
    return result;
}

START_TEST(a_wrong_password_is_not_a_missing_article_and_is_not_tried_over_and_over)
{
    const struct newsd_config cfg = {.username = "me", .password = "secret"};
    ck_assert_int_eq(refused(&cfg, me, wrong), SEGMENT_TIMEOUT);
}
END_TEST

/* A refused login is tried again after a minute; whoever has mended the password does not wait for that. */
START_TEST(a_mended_password_is_tried_at_once)
{
    struct nntp_pool_stats s;
    struct timespec from, to;
    struct fetch t;
    struct rig r;
    rig_init(&r, 1);
    rig_server(&r, &(struct newsd_config){.username = "me", .password = "secret"});
    r.cfg.providers[0].username = me;
    r.cfg.providers[0].password = wrong;
    rig_start(&r);
    clock_gettime(CLOCK_MONOTONIC, &from);
    fetch_init(&t, &r, 1);
    fetch_start(&t, &r);
    do {
        nntp_pool_stats(r.pool, &s);
        sched_yield();
    } while (!s.qos.providers[0].refused);
    ck_assert(s.qos.providers[0].down);
    r.cfg.providers[0].password = secret;
    ck_assert_int_eq(nntp_pool_resize(r.pool, &r.cfg, r.err, sizeof(r.err)), 0);
    ck_assert_int_eq(fetch_wait(&t), SEGMENT_DONE);
    clock_gettime(CLOCK_MONOTONIC, &to);
    ck_assert_int_lt(to.tv_sec - from.tv_sec, 40); /* the back-off is 45 s at least */
    fetch_fini(&t);
    rig_fini(&r);
}
END_TEST

START_TEST(a_login_that_is_demanded_but_not_configured_is_not_a_missing_article)
{
    const struct newsd_config cfg = {.username = "me", .password = "secret"};
    ck_assert_int_eq(refused(&cfg, NULL, NULL), SEGMENT_TIMEOUT);
}
END_TEST

START_TEST(a_login_where_none_is_needed_does_no_harm)
{
    struct newsd_stats s;
    served(&(struct newsd_config){0}, me, secret, &s);
}
END_TEST

START_TEST(a_group_is_selected_for_a_server_that_insists)
{
    struct newsd_stats s;
    served(&(struct newsd_config){.need_group = true}, NULL, NULL, &s);
    ck_assert_uint_ge(s.group, 1);
    ck_assert_uint_le(s.group, s.accepted);
}
END_TEST

START_TEST(no_group_is_selected_for_a_server_that_does_not_ask)
{
    struct newsd_stats s;
    served(&(struct newsd_config){.greeting = 201}, NULL, NULL, &s);
    ck_assert_uint_eq(s.group, 0);
    ck_assert_uint_eq(s.commands, 6);
}
END_TEST

START_TEST(reader_mode_is_entered_where_it_is_needed)
{
    struct newsd_stats s;
    served(&(struct newsd_config){.need_mode_reader = true}, NULL, NULL, &s);
}
END_TEST

START_TEST(everything_at_once_is_coped_with)
{
    struct newsd_stats s;
    served(&(struct newsd_config){.need_mode_reader = true,
                                  .need_group = true,
                                  .username = "me",
                                  .password = "secret",
                                  .greeting = 201,
                                  .tls = true},
           me, secret, &s);
    ck_assert_uint_gt(s.logins, 0);
    ck_assert_uint_gt(s.group, 0);
}
END_TEST

START_TEST(a_server_with_swapped_codes_and_few_commands_is_read)
{
    struct newsd_stats s;
    served(&(struct newsd_config){.swap_codes = true, .only_basics = true}, NULL, NULL, &s);
}
END_TEST

START_TEST(a_stat_to_a_server_without_it_fails_and_says_nothing_of_the_article)
{
    struct fetch t;
    struct rig r;
    rig_init(&r, 1);
    rig_server(&r, &(struct newsd_config){.only_basics = true});
    rig_start(&r);
    fetch_init(&t, &r, 1);
    t.f.want.verb = SEGMENT_STAT;
    fetch_start(&t, &r);
    ck_assert_int_eq(fetch_wait(&t), SEGMENT_FAILED);
    fetch_fini(&t);
    ck_assert_int_eq(fetch_part(&r, 1), SEGMENT_DONE);
    rig_fini(&r);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("nntp/login");
    TCase *t = tcase_create("habits");
    tcase_add_test(t, a_right_login_is_made_on_each_connection);
    tcase_add_test(t, a_wrong_password_is_not_a_missing_article_and_is_not_tried_over_and_over);
    tcase_add_test(t, a_mended_password_is_tried_at_once);
    tcase_add_test(t, a_login_that_is_demanded_but_not_configured_is_not_a_missing_article);
    tcase_add_test(t, a_login_where_none_is_needed_does_no_harm);
    tcase_add_test(t, a_group_is_selected_for_a_server_that_insists);
    tcase_add_test(t, no_group_is_selected_for_a_server_that_does_not_ask);
    tcase_add_test(t, reader_mode_is_entered_where_it_is_needed);
    tcase_add_test(t, everything_at_once_is_coped_with);
    tcase_add_test(t, a_server_with_swapped_codes_and_few_commands_is_read);
    tcase_add_test(t, a_stat_to_a_server_without_it_fails_and_says_nothing_of_the_article);
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
