/* The pool against servers that misbehave: whatever they do, a fetch ends once, with the truth. */
#include "tests/nntp/rig.h"

#include <check.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* What damages the article, and what breaks off the answer. */
static const enum newsd_fault spoilt[] = {NEWSD_BAD_CRC, NEWSD_SHORT,    NEWSD_NO_YEND,
                                          NEWSD_GARBAGE, NEWSD_BAD_PART, NEWSD_UUENCODE};
static const enum newsd_fault broken[] = {NEWSD_CLOSE_MID, NEWSD_RESET_MID, NEWSD_GARBAGE_CODE,
                                          NEWSD_403, NEWSD_400};

#define N(a) ((int)(sizeof(a) / sizeof(*(a))))

static const char *id_of(struct rig *r, uint32_t part)
{
    return spool_message_id(r->spool, r->file, part);
}

/* Part 1 is ill, part 2 is well, and the connection or its successor serves it. */
static void alone(enum newsd_fault fault, enum segment_result expected)
{
    struct rig r;
    rig_init(&r, 2);
    rig_server(&r, &(struct newsd_config){0});
    newsd_fault(r.servers[0], id_of(&r, 1), fault, 0);
    rig_start(&r);
    ck_assert_int_eq(fetch_part(&r, 1), expected);
    ck_assert_int_eq(fetch_part(&r, 2), SEGMENT_DONE);
    rig_fini(&r);
}

START_TEST(a_damaged_article_is_corrupt_when_nobody_has_a_better_one)
{
    alone(spoilt[_i], SEGMENT_CORRUPT);
}
END_TEST

START_TEST(an_answer_that_always_breaks_off_is_failed_and_not_missing)
{
    alone(broken[_i], SEGMENT_FAILED);
}
END_TEST

static void healed(enum newsd_fault fault)
{
    struct rig r;
    rig_init(&r, 1);
    rig_server(&r, &(struct newsd_config){0});
    rig_server(&r, &(struct newsd_config){0});
    r.cfg.providers[1].tier = 1;
    newsd_fault(r.servers[0], id_of(&r, 1), fault, 0);
    rig_start(&r);
    ck_assert_int_eq(fetch_part(&r, 1), SEGMENT_DONE);
    ck_assert_uint_ge(newsd_asked(r.servers[0], id_of(&r, 1)), 1);
    ck_assert_uint_eq(newsd_asked(r.servers[1], id_of(&r, 1)), 1);
    rig_fini(&r);
}

START_TEST(a_damaged_article_is_healed_from_another_provider)
{
    healed(spoilt[_i]);
}
END_TEST

START_TEST(an_answer_that_breaks_off_is_had_from_another_provider)
{
    healed(broken[_i]);
}
END_TEST

START_TEST(an_answer_that_breaks_off_once_is_asked_for_again)
{
    struct rig r;
    rig_init(&r, 1);
    rig_server(&r, &(struct newsd_config){0});
    newsd_fault(r.servers[0], id_of(&r, 1), broken[_i], 1);
    rig_start(&r);
    ck_assert_int_eq(fetch_part(&r, 1), SEGMENT_DONE);
    ck_assert_uint_eq(newsd_asked(r.servers[0], id_of(&r, 1)), 2);
    rig_fini(&r);
}
END_TEST

START_TEST(damaged_here_and_missing_there_is_corrupt)
{
    struct rig r;
    rig_init(&r, 1);
    rig_server(&r, &(struct newsd_config){0});
    rig_server(&r, &(struct newsd_config){0});
    newsd_fault(r.servers[0], id_of(&r, 1), NEWSD_BAD_CRC, 0);
    newsd_fault(r.servers[1], id_of(&r, 1), NEWSD_430, 0);
    rig_start(&r);
    ck_assert_int_eq(fetch_part(&r, 1), SEGMENT_CORRUPT);
    rig_fini(&r);
}
END_TEST

START_TEST(missing_here_and_broken_there_is_failed)
{
    struct rig r;
    rig_init(&r, 1);
    rig_server(&r, &(struct newsd_config){0});
    rig_server(&r, &(struct newsd_config){0});
    newsd_fault(r.servers[0], id_of(&r, 1), NEWSD_430, 0);
    newsd_fault(r.servers[1], id_of(&r, 1), NEWSD_403, 0);
    rig_start(&r);
    ck_assert_int_eq(fetch_part(&r, 1), SEGMENT_FAILED);
    rig_fini(&r);
}
END_TEST

static void stalled(enum newsd_fault fault)
{
    struct rig r;
    rig_init(&r, 1);
    rig_server(&r, &(struct newsd_config){0});
    rig_server(&r, &(struct newsd_config){0});
    r.cfg.providers[1].tier = 1;
    r.cfg.timeouts.stall_s = 1;
    newsd_fault(r.servers[0], id_of(&r, 1), fault, 0);
    rig_start(&r);
    ck_assert_int_eq(fetch_part(&r, 1), SEGMENT_DONE);
    ck_assert_uint_eq(newsd_asked(r.servers[1], id_of(&r, 1)), 1);
    rig_fini(&r);
}

START_TEST(silence_before_an_answer_leads_to_another_provider)
{
    stalled(NEWSD_STALL_FIRST);
}
END_TEST

START_TEST(silence_in_the_middle_leads_to_another_provider)
{
    stalled(NEWSD_STALL_MID);
}
END_TEST

START_TEST(one_broken_answer_does_not_harm_what_is_pipelined_behind)
{
    struct fetch t[8];
    struct rig r;
    rig_init(&r, 8);
    rig_server(&r, &(struct newsd_config){0});
    r.cfg.providers[0].connections = 1;
    r.cfg.providers[0].pipelining = 8;
    newsd_fault(r.servers[0], id_of(&r, 3), NEWSD_CLOSE_MID, 1);
    newsd_fault(r.servers[0], id_of(&r, 5), NEWSD_RESET_MID, 1);
    newsd_fault(r.servers[0], id_of(&r, 6), NEWSD_403, 1);
    rig_start(&r);
    for (uint32_t i = 0; i < 8; i++) {
        fetch_init(&t[i], &r, i + 1);
        fetch_start(&t[i], &r);
    }
    for (uint32_t i = 0; i < 8; i++) {
        ck_assert_int_eq(fetch_wait(&t[i]), SEGMENT_DONE);
        fetch_check(&t[i], i + 1);
        fetch_fini(&t[i]);
    }
    rig_fini(&r);
}
END_TEST

/* --- limits ----------------------------------------------------------------------------------------- */

static void crowded(const struct newsd_config *cfg, bool login)
{
    struct fetch t[32];
    struct newsd_stats s;
    struct rig r;
    rig_init(&r, 32);
    rig_server(&r, cfg);
    char name[] = "me", password[] = "secret";
    if (login) {
        r.cfg.providers[0].username = name;
        r.cfg.providers[0].password = password;
    }
    r.cfg.providers[0].connections = 8; /* the account has 2 */
    rig_start(&r);
    for (uint32_t i = 0; i < 32; i++) {
        fetch_init(&t[i], &r, i + 1);
        fetch_start(&t[i], &r);
    }
    for (uint32_t i = 0; i < 32; i++) {
        ck_assert_int_eq(fetch_wait(&t[i]), SEGMENT_DONE);
        fetch_check(&t[i], i + 1);
        fetch_fini(&t[i]);
    }
    newsd_stats(r.servers[0], &s);
    ck_assert_uint_gt(s.refused, 0);
    rig_fini(&r);
}

START_TEST(too_many_connections_at_the_greeting_means_fewer_sockets_and_no_failure)
{
    crowded(&(struct newsd_config){.max_connections = 2, .latency_us = 2000}, false);
}
END_TEST

START_TEST(a_400_greeting_that_names_a_limit_means_the_same)
{
    crowded(&(struct newsd_config){.max_connections = 2, .limit_code = 400, .latency_us = 2000},
            false);
}
END_TEST

START_TEST(too_many_connections_at_login_means_the_same)
{
    crowded(&(struct newsd_config){.max_connections = 2,
                                   .limit_code = 481,
                                   .latency_us = 2000,
                                   .username = "me",
                                   .password = "secret"},
            true);
}
END_TEST

/* --- comings and goings ----------------------------------------------------------------------------- */

START_TEST(a_connection_that_was_dropped_while_idle_is_replaced_unseen)
{
    struct rig r;
    rig_init(&r, 10);
    rig_server(&r, &(struct newsd_config){0});
    r.cfg.providers[0].connections = 2;
    rig_start(&r);
    for (uint32_t n = 1; n <= 10; n++) {
        ck_assert_int_eq(fetch_part(&r, n), SEGMENT_DONE);
        newsd_drop_all(r.servers[0]);
    }
    struct nntp_pool_stats s;
    nntp_pool_stats(r.pool, &s);
    ck_assert_uint_eq(s.qos.providers[0].broken, 0);
    ck_assert_uint_eq(s.qos.providers[0].refused, 0);
    rig_fini(&r);
}
END_TEST

START_TEST(a_server_that_was_down_is_used_again_without_a_restart)
{
    struct fetch t;
    struct rig r;
    rig_init(&r, 3);
    rig_server(&r, &(struct newsd_config){0});
    rig_start(&r);
    ck_assert_int_eq(fetch_part(&r, 1), SEGMENT_DONE);
    newsd_down(r.servers[0], true);
    fetch_init(&t, &r, 2);
    fetch_start(&t, &r);
    struct nntp_pool_stats s;
    do {
        nntp_pool_stats(r.pool, &s);
        sched_yield();
    } while (!s.qos.providers[0].refused);
    newsd_down(r.servers[0], false);
    ck_assert_int_eq(fetch_wait(&t), SEGMENT_DONE);
    fetch_check(&t, 2);
    fetch_fini(&t);
    ck_assert_int_eq(fetch_part(&r, 3), SEGMENT_DONE);
    rig_fini(&r);
}
END_TEST

START_TEST(a_server_that_went_silent_is_used_again_when_it_speaks)
{
    struct fetch t;
    struct rig r;
    rig_init(&r, 2);
    rig_server(&r, &(struct newsd_config){0});
    r.cfg.timeouts.stall_s = 1;
    r.cfg.timeouts.connect_s = 1;
    rig_start(&r);
    ck_assert_int_eq(fetch_part(&r, 1), SEGMENT_DONE);
    newsd_silent(r.servers[0], true);
    fetch_init(&t, &r, 2);
    fetch_start(&t, &r);
    struct nntp_pool_stats s;
    do {
        nntp_pool_stats(r.pool, &s);
        sched_yield();
    } while (!s.qos.providers[0].refused && !s.qos.providers[0].broken);
    newsd_silent(r.servers[0], false);
    ck_assert_int_eq(fetch_wait(&t), SEGMENT_DONE);
    fetch_fini(&t);
    rig_fini(&r);
}
END_TEST

/* A fetch that nobody can serve waits for its deadline, and the reason is not taken for "missing". */
static enum segment_result hopeless(struct rig *r)
{
    struct fetch t;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    fetch_init(&t, r, 1);
    t.f.want.deadline_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000 + 300000;
    fetch_start(&t, r);
    enum segment_result result = fetch_wait(&t);
    fetch_fini(&t);
    return result;
}

/* A port that nobody listens on. */
static unsigned dead_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    close(fd);
    return ntohs(a.sin_port);
}

START_TEST(a_refused_connection_is_not_a_missing_article)
{
    struct rig r;
    rig_init(&r, 1);
    rig_provider(&r, "127.0.0.1", dead_port());
    rig_start(&r);
    ck_assert_int_eq(hopeless(&r), SEGMENT_TIMEOUT);
    rig_fini(&r);
}
END_TEST

START_TEST(a_name_that_does_not_resolve_is_not_a_missing_article)
{
    struct rig r;
    rig_init(&r, 1);
    rig_provider(&r, "no-such-host.invalid", 119);
    rig_start(&r);
    ck_assert_int_eq(hopeless(&r), SEGMENT_TIMEOUT);
    rig_fini(&r);
}
END_TEST

START_TEST(while_one_provider_is_out_of_reach_the_other_serves)
{
    struct rig r;
    rig_init(&r, 4);
    rig_provider(&r, "no-such-host.invalid", 119);
    rig_provider(&r, "127.0.0.1", dead_port());
    rig_server(&r, &(struct newsd_config){0});
    r.cfg.providers[2].tier = 1;
    rig_start(&r);
    for (uint32_t n = 1; n <= 4; n++)
        ck_assert_int_eq(fetch_part(&r, n), SEGMENT_DONE);
    rig_fini(&r);
}
END_TEST

START_TEST(a_server_on_ipv6_is_reached)
{
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    bool can = fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0;
    if (fd >= 0)
        close(fd);
    if (!can) {
        fprintf(stderr, "no IPv6 here: not tested\n");
        return;
    }
    struct rig r;
    rig_init(&r, 1);
    rig_server(&r, &(struct newsd_config){.ipv6 = true});
    rig_start(&r);
    ck_assert_int_eq(fetch_part(&r, 1), SEGMENT_DONE);
    rig_fini(&r);
}
END_TEST

START_TEST(a_name_is_resolved_and_its_addresses_tried_in_turn)
{
    struct rig r;
    char name[] = "localhost"; /* often ::1 first, where nobody listens */
    rig_init(&r, 2);
    rig_server(&r, &(struct newsd_config){0});
    r.cfg.providers[0].host = name;
    rig_start(&r);
    ck_assert_int_eq(fetch_part(&r, 1), SEGMENT_DONE);
    ck_assert_int_eq(fetch_part(&r, 2), SEGMENT_DONE);
    rig_fini(&r);
}
END_TEST

START_TEST(what_is_no_news_server_is_out_of_reach)
{
    struct rig r;
    rig_init(&r, 1);
    rig_server(&r, &(struct newsd_config){.greeting = 400});
    rig_start(&r);
    ck_assert_int_eq(hopeless(&r), SEGMENT_TIMEOUT);
    rig_fini(&r);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("nntp/faults");
    TCase *t = tcase_create("faults");
    tcase_add_loop_test(t, a_damaged_article_is_corrupt_when_nobody_has_a_better_one, 0, N(spoilt));
    tcase_add_loop_test(t, an_answer_that_always_breaks_off_is_failed_and_not_missing, 0,
                        N(broken));
    tcase_add_loop_test(t, a_damaged_article_is_healed_from_another_provider, 0, N(spoilt));
    tcase_add_loop_test(t, an_answer_that_breaks_off_is_had_from_another_provider, 0, N(broken));
    tcase_add_loop_test(t, an_answer_that_breaks_off_once_is_asked_for_again, 0, N(broken));
    tcase_add_test(t, damaged_here_and_missing_there_is_corrupt);
    tcase_add_test(t, missing_here_and_broken_there_is_failed);
    tcase_add_test(t, silence_before_an_answer_leads_to_another_provider);
    tcase_add_test(t, silence_in_the_middle_leads_to_another_provider);
    tcase_add_test(t, one_broken_answer_does_not_harm_what_is_pipelined_behind);
    suite_add_tcase(s, t);
    t = tcase_create("limits");
    tcase_add_test(t, too_many_connections_at_the_greeting_means_fewer_sockets_and_no_failure);
    tcase_add_test(t, a_400_greeting_that_names_a_limit_means_the_same);
    tcase_add_test(t, too_many_connections_at_login_means_the_same);
    suite_add_tcase(s, t);
    t = tcase_create("comings and goings");
    tcase_add_test(t, a_connection_that_was_dropped_while_idle_is_replaced_unseen);
    tcase_add_test(t, a_server_that_was_down_is_used_again_without_a_restart);
    tcase_add_test(t, a_server_that_went_silent_is_used_again_when_it_speaks);
    tcase_add_test(t, a_refused_connection_is_not_a_missing_article);
    tcase_add_test(t, a_name_that_does_not_resolve_is_not_a_missing_article);
    tcase_add_test(t, while_one_provider_is_out_of_reach_the_other_serves);
    tcase_add_test(t, a_server_on_ipv6_is_reached);
    tcase_add_test(t, a_name_is_resolved_and_its_addresses_tried_in_turn);
    tcase_add_test(t, what_is_no_news_server_is_out_of_reach);
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
