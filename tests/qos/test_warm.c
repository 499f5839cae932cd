/* A class that is expected to ask: what is opened, kept and replaced for it before it does. */
#include "tests/qos/script.h"

#include <stdlib.h>

static const struct qos_want read_want = {.class = TRAFFIC_STREAMING, .stream = 1};
static const struct qos_want queue_want = {.class = TRAFFIC_QUEUE, .stream = 1};

/** One provider of ten: the queue has 6 of them for certain, streaming 4. */
static struct qos_config ten(void)
{
    return (struct qos_config){
        .nproviders = 1,
        .providers = {{.connections = 10}},
        .classes = {{.guaranteed = 6, .burst = 10}, {.burst = 10}, {.guaranteed = 4, .burst = 10}}};
}

static void warm(struct script *s, unsigned n, qos_time until)
{
    qos_warm(s->q, s->now, TRAFFIC_STREAMING, n, until);
    script_run(s);
}

static unsigned at(const struct script *s, enum script_conn_state state)
{
    return script_count(s, -1, state);
}

/** The server closes all that idle. */
static void server_closes(struct script *s)
{
    for (unsigned i = 0; i < s->nconns; i++) {
        if (s->conns[i].state == SC_IDLE)
            script_gone(s, i, QOS_GONE_STALE, true);
    }
}

START_TEST(a_class_that_is_expected_has_its_connections_before_it_asks)
{
    struct qos_config c = ten();
    struct script *s = script_new(&c);
    warm(s, 3, 0);
    ck_assert_uint_eq(at(s, SC_OPENING), 3);
    expect_leases(s, 0, 0, 3);
    script_connect(s, -1);
    ck_assert_uint_eq(at(s, SC_IDLE), 3);
    expect_leases(s, 0, 0, 0);
    unsigned op = script_submit(s, read_want, 1);
    expect_at(s, op, 0);
    ck_assert_uint_eq(s->opens, 3);
    script_free(s);
}
END_TEST

START_TEST(nothing_is_opened_for_it_beyond_its_guarantee)
{
    struct qos_config c = ten();
    struct script *s = script_new(&c);
    warm(s, 9, 0);
    ck_assert_uint_eq(at(s, SC_OPENING), 4);
    script_connect(s, -1);
    ck_assert_uint_eq(at(s, SC_IDLE), 4);
    ck_assert_uint_eq(s->opens, 4);
    script_free(s);
}
END_TEST

START_TEST(what_is_idle_already_is_not_opened_again)
{
    struct qos_config c = ten();
    struct script *s = script_new(&c);
    unsigned op = script_submit(s, queue_want, 2);
    script_connect(s, -1);
    script_answer(s, op, QOS_OK);
    script_answer(s, op + 1, QOS_OK);
    warm(s, 3, 0);
    ck_assert_uint_eq(at(s, SC_IDLE), 2);
    ck_assert_uint_eq(at(s, SC_OPENING), 1);
    script_free(s);
}
END_TEST

START_TEST(who_asks_while_one_is_being_opened_waits_for_that_one)
{
    struct qos_config c = ten();
    struct script *s = script_new(&c);
    warm(s, 2, 0);
    unsigned op = script_submit(s, read_want, 2);
    ck_assert_uint_eq(s->opens, 2);
    script_submit(s, read_want, 1);
    ck_assert_uint_eq(s->opens, 3);
    script_connect(s, -1);
    expect_at(s, op, 0);
    expect_at(s, op + 1, 0);
    expect_at(s, op + 2, 0);
    script_free(s);
}
END_TEST

START_TEST(who_asks_under_a_cap_waits_for_the_one_being_opened)
{
    struct qos_config c = ten();
    c.classes[TRAFFIC_STREAMING].per_stream = 1;
    struct script *s = script_new(&c);
    warm(s, 2, 0);
    unsigned op = script_submit(s, read_want, 2);
    ck_assert_uint_eq(s->opens, 2);
    script_connect(s, -1);
    expect_at(s, op, 0);
    expect_at(s, op + 1, -1);
    script_free(s);
}
END_TEST

START_TEST(other_classes_use_what_is_idle)
{
    struct qos_config c = ten();
    struct script *s = script_new(&c);
    warm(s, 2, 0);
    script_connect(s, -1);
    unsigned op = script_submit(s, queue_want, 2);
    expect_at(s, op, 0);
    expect_at(s, op + 1, 0);
    expect_leases(s, 2, 0, 2); /* and two more are opened in place of these */
    script_free(s);
}
END_TEST

START_TEST(a_slot_that_somebody_waits_for_is_not_taken)
{
    struct qos_config c = ten();
    c.providers[0].connections = 4;
    c.classes[TRAFFIC_QUEUE] = (struct qos_class_config){.guaranteed = 2, .burst = 4};
    c.classes[TRAFFIC_HEALTH].burst = 4;
    c.classes[TRAFFIC_STREAMING] = (struct qos_class_config){.guaranteed = 2, .burst = 4};
    struct script *s = script_new(&c);
    script_submit(s, queue_want, 9);
    expect_leases(s, 4, 0, 0);
    warm(s, 2, 0);
    script_connect(s, -1);
    script_tick(s);
    expect_leases(s, 4, 0, 0);
    ck_assert_uint_eq(s->opens, 4);
    script_free(s);
}
END_TEST

START_TEST(idle_ones_are_kept_until_the_moment_named_and_no_more_than_are_wanted)
{
    struct qos_config c = ten();
    struct script *s = script_new(&c);
    unsigned op = script_submit(s, queue_want, 5);
    script_connect(s, -1);
    for (unsigned i = 0; i < 5; i++)
        script_answer(s, op + i, QOS_OK);
    warm(s, 2, 300 * S);
    script_at(s, 61 * S);
    ck_assert_uint_eq(at(s, SC_IDLE), 2);
    ck_assert_uint_eq(s->closes, 3);
    /* Nothing happens until then, and nobody is woken for nothing. */
    ck_assert_uint_eq(qos_wake(s->q), 300 * S);
    script_at(s, 299 * S);
    ck_assert_uint_eq(at(s, SC_IDLE), 2);
    script_at(s, 300 * S);
    ck_assert_uint_eq(at(s, SC_IDLE), 0);
    script_free(s);
}
END_TEST

START_TEST(kept_for_ever_they_wake_nobody)
{
    struct qos_config c = ten();
    struct script *s = script_new(&c);
    warm(s, 2, 0);
    script_connect(s, -1);
    script_at(s, 61 * S);
    ck_assert_uint_eq(at(s, SC_IDLE), 2);
    ck_assert_uint_eq(qos_wake(s->q), UINT64_MAX);
    warm(s, 0, 0);
    ck_assert_uint_eq(at(s, SC_IDLE), 0);
    script_free(s);
}
END_TEST

START_TEST(what_a_server_closes_is_replaced_after_a_while)
{
    struct qos_config c = ten();
    struct script *s = script_new(&c);
    warm(s, 2, 0);
    script_connect(s, -1);
    script_at(s, 30 * S);
    server_closes(s);
    ck_assert_uint_eq(s->opens, 2);
    script_at(s, 31 * S);
    ck_assert_uint_eq(at(s, SC_OPENING), 2);
    script_free(s);
}
END_TEST

START_TEST(a_server_that_closes_them_at_once_is_left_alone_for_longer_each_time)
{
    struct qos_config c = ten();
    struct script *s = script_new(&c);
    warm(s, 2, 0);
    for (qos_time end = s->now + 3600 * S; s->now < end;) {
        script_connect(s, -1);
        server_closes(s);
        qos_time next = qos_wake(s->q);
        ck_assert_uint_gt(next, s->now);
        script_at(s, next < end ? next : end);
    }
    /* Two at a time; the waits double from 250 ms to a minute, more or less a quarter. */
    ck_assert_uint_ge(s->opens, 2 * (8 + 3600 / 75));
    ck_assert_uint_le(s->opens, 2 * (8 + 3600 / 45));
    script_free(s);
}
END_TEST

START_TEST(an_answer_shows_that_connections_are_of_use_there)
{
    struct qos_config c = ten();
    struct script *s = script_new(&c);
    warm(s, 1, 0);
    for (unsigned i = 0; i < 12; i++) {
        script_connect(s, -1);
        server_closes(s);
        script_at(s, qos_wake(s->q));
    }
    script_connect(s, -1);
    unsigned op = script_submit(s, read_want, 1);
    script_answer(s, op, QOS_OK);
    qos_time now = s->now;
    server_closes(s);
    ck_assert_uint_le(qos_wake(s->q), now + S);
    script_free(s);
}
END_TEST

START_TEST(a_provider_that_is_down_is_not_tried_for_nobody)
{
    struct qos_config c = ten();
    struct script *s = script_new(&c);
    warm(s, 2, 0);
    script_refuse(s, 0, QOS_GONE_REFUSED);
    script_at(s, 3600 * S);
    ck_assert_uint_eq(s->opens, 2);
    ck_assert_uint_eq(qos_wake(s->q), UINT64_MAX);
    unsigned op = script_submit(s, read_want, 1);
    script_connect(s, -1);
    expect_at(s, op, 0);
    script_free(s);
}
END_TEST

START_TEST(while_the_first_tier_is_down_the_next_is_kept_warm)
{
    struct qos_config c = ten();
    c.nproviders = 2;
    c.providers[1] = (struct qos_provider_config){.connections = 5, .tier = 1};
    struct script *s = script_new(&c);
    warm(s, 2, 0);
    ck_assert_uint_eq(script_count(s, 0, SC_OPENING), 2);
    ck_assert_uint_eq(script_count(s, 1, SC_OPENING), 0);
    script_refuse(s, 0, QOS_GONE_REFUSED);
    ck_assert_uint_eq(script_count(s, 1, SC_OPENING), 2);
    script_free(s);
}
END_TEST

START_TEST(no_ceiling_is_tried_for_nobody)
{
    struct qos_config c = ten();
    struct script *s = script_new(&c);
    script_submit(s, read_want, 3);
    script_connect(s, -1);
    script_submit(s, read_want, 1);
    script_refuse(s, 0, QOS_GONE_LIMIT);
    ck_assert_uint_eq(script_stats(s).providers[0].ceiling, 3);
    script_tick(s);
    script_tick(s);
    unsigned opens = s->opens;
    warm(s, 4, 0);
    script_at(s, s->now + 50 * S);
    ck_assert_uint_eq(s->opens, opens);
    script_free(s);
}
END_TEST

START_TEST(two_providers_of_one_tier_share_them)
{
    struct qos_config c = ten();
    c.nproviders = 2;
    c.providers[1] = (struct qos_provider_config){.connections = 10};
    struct script *s = script_new(&c);
    warm(s, 2, 0);
    script_connect(s, -1);
    warm(s, 4, 0);
    ck_assert_uint_eq(script_count(s, 0, SC_OPENING) + script_count(s, 0, SC_IDLE), 2);
    ck_assert_uint_eq(script_count(s, 1, SC_OPENING) + script_count(s, 1, SC_IDLE), 2);
    script_free(s);
}
END_TEST

START_TEST(a_scheduler_that_is_shut_opens_nothing)
{
    struct qos_config c = ten();
    struct script *s = script_new(&c);
    qos_shut(s->q, s->now);
    warm(s, 2, 0);
    ck_assert_uint_eq(s->opens, 0);
    script_free(s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("qos/warm");
    TCase *t = tcase_create("all");
    tcase_add_test(t, a_class_that_is_expected_has_its_connections_before_it_asks);
    tcase_add_test(t, nothing_is_opened_for_it_beyond_its_guarantee);
    tcase_add_test(t, what_is_idle_already_is_not_opened_again);
    tcase_add_test(t, who_asks_while_one_is_being_opened_waits_for_that_one);
    tcase_add_test(t, who_asks_under_a_cap_waits_for_the_one_being_opened);
    tcase_add_test(t, other_classes_use_what_is_idle);
    tcase_add_test(t, a_slot_that_somebody_waits_for_is_not_taken);
    tcase_add_test(t, idle_ones_are_kept_until_the_moment_named_and_no_more_than_are_wanted);
    tcase_add_test(t, kept_for_ever_they_wake_nobody);
    tcase_add_test(t, what_a_server_closes_is_replaced_after_a_while);
    tcase_add_test(t, a_server_that_closes_them_at_once_is_left_alone_for_longer_each_time);
    tcase_add_test(t, an_answer_shows_that_connections_are_of_use_there);
    tcase_add_test(t, a_provider_that_is_down_is_not_tried_for_nobody);
    tcase_add_test(t, while_the_first_tier_is_down_the_next_is_kept_warm);
    tcase_add_test(t, no_ceiling_is_tried_for_nobody);
    tcase_add_test(t, two_providers_of_one_tier_share_them);
    tcase_add_test(t, a_scheduler_that_is_shut_opens_nothing);
    suite_add_tcase(suite, t);
    SRunner *r = srunner_create(suite);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
