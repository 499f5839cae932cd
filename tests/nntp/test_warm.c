/* Connections that are there before anything is fetched, counted by the server. */
#include "tests/nntp/rig.h"

#include <check.h>
#include <stdlib.h>

static char me[] = "me", secret[] = "secret";

/** A server that asks for a login, and a pool that keeps `warm` connections for open files. */
static void begin(struct rig *r, unsigned warm, bool tls)
{
    rig_init(r, 6);
    rig_server(r, &(struct newsd_config){.username = "me", .password = "secret", .tls = tls});
    r->cfg.providers[0].username = me;
    r->cfg.providers[0].password = secret;
    r->cfg.pool.warm = warm;
    r->cfg.classes[TRAFFIC_STREAMING].guaranteed = 3;
    rig_start(r);
}

static struct newsd_stats counts(const struct rig *r)
{
    struct newsd_stats s;
    newsd_stats(r->servers[0], &s);
    return s;
}

/** So many are up, as the scheduler sees it, and so many logins were made. */
static void wait_idle(struct rig *r, unsigned idle, uint64_t logins)
{
    struct rig_wait w = {0};
    struct nntp_pool_stats s;
    for (;;) {
        nntp_pool_stats(r->pool, &s);
        if (s.qos.providers[0].idle >= idle && counts(r).logins >= logins)
            break;
        rig_wait(r, &w, "no connections for an open file");
    }
    ck_assert_uint_eq(s.qos.providers[0].idle, idle);
    ck_assert_uint_eq(counts(r).logins, logins);
}

START_TEST(without_them_the_first_fetch_connects_and_logs_in_and_says_nothing_else)
{
    struct rig r;
    begin(&r, 0, false);
    source_expect(r.source, +1);
    ck_assert_int_eq(fetch_part(&r, 1), SEGMENT_DONE);
    struct newsd_stats s = counts(&r);
    ck_assert_uint_eq(s.accepted, 1);
    ck_assert_uint_eq(s.commands, 3); /* AUTHINFO USER, AUTHINFO PASS, BODY */
    source_expect(r.source, -1);
    rig_fini(&r);
}
END_TEST

START_TEST(with_them_the_first_fetch_is_one_command_on_a_connection_that_is_there)
{
    struct rig r;
    begin(&r, 2, false);
    source_expect(r.source, +1);
    wait_idle(&r, 2, 2);
    ck_assert_uint_eq(counts(&r).commands, 4);
    ck_assert_int_eq(fetch_part(&r, 1), SEGMENT_DONE);
    ck_assert_uint_eq(counts(&r).commands, 5);
    ck_assert_uint_eq(counts(&r).accepted, 2);
    source_expect(r.source, -1);
    rig_fini(&r);
}
END_TEST

START_TEST(they_are_within_what_streaming_is_guaranteed)
{
    struct rig r;
    begin(&r, 100, false);
    source_expect(r.source, +1);
    wait_idle(&r, 3, 3);
    ck_assert_int_eq(fetch_part(&r, 1), SEGMENT_DONE);
    ck_assert_uint_eq(counts(&r).accepted, 3);
    source_expect(r.source, -1);
    rig_fini(&r);
}
END_TEST

START_TEST(many_open_files_have_no_more_than_one)
{
    struct rig r;
    begin(&r, 2, false);
    for (unsigned i = 0; i < 50; i++)
        source_expect(r.source, +1);
    wait_idle(&r, 2, 2);
    for (unsigned i = 0; i < 50; i++)
        source_expect(r.source, -1);
    source_expect(r.source, +1); /* soon after: they are there */
    ck_assert_int_eq(fetch_part(&r, 1), SEGMENT_DONE);
    ck_assert_uint_eq(counts(&r).accepted, 2);
    source_expect(r.source, -1);
    rig_fini(&r);
}
END_TEST

START_TEST(what_the_server_closes_is_there_again_with_nobody_asking)
{
    struct rig r;
    begin(&r, 2, false);
    source_expect(r.source, +1);
    wait_idle(&r, 2, 2);
    newsd_drop_all(r.servers[0]);
    wait_idle(&r, 2, 4);
    ck_assert_uint_eq(counts(&r).body, 0);
    source_expect(r.source, -1);
    rig_fini(&r);
}
END_TEST

START_TEST(over_tls_they_resume_the_session_of_those_before)
{
    struct rig r;
    begin(&r, 2, true);
    source_expect(r.source, +1);
    wait_idle(&r, 2, 2);
    uint64_t before = counts(&r).resumed_tls;
    newsd_drop_all(r.servers[0]);
    wait_idle(&r, 2, 4);
    ck_assert_uint_eq(counts(&r).resumed_tls, before + 2);
    source_expect(r.source, -1);
    rig_fini(&r);
}
END_TEST

START_TEST(other_settings_count_at_once)
{
    struct rig r;
    begin(&r, 0, false);
    source_expect(r.source, +1);
    r.cfg.pool.warm = 3;
    ck_assert_int_eq(nntp_pool_resize(r.pool, &r.cfg, r.err, sizeof(r.err)), 0);
    wait_idle(&r, 3, 3);
    source_expect(r.source, -1);
    rig_fini(&r);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("nntp/warm");
    TCase *t = tcase_create("all");
    tcase_add_test(t, without_them_the_first_fetch_connects_and_logs_in_and_says_nothing_else);
    tcase_add_test(t, with_them_the_first_fetch_is_one_command_on_a_connection_that_is_there);
    tcase_add_test(t, they_are_within_what_streaming_is_guaranteed);
    tcase_add_test(t, many_open_files_have_no_more_than_one);
    tcase_add_test(t, what_the_server_closes_is_there_again_with_nobody_asking);
    tcase_add_test(t, over_tls_they_resume_the_session_of_those_before);
    tcase_add_test(t, other_settings_count_at_once);
    suite_add_tcase(suite, t);
    SRunner *r = srunner_create(suite);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
