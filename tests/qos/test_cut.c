#include "tests/qos/script.h"

#include <stdlib.h>

/* Operations that nobody wants any more: what was sent is let run, or its connection is closed. */

#define QUEUE(...)     ((struct qos_want){.class = TRAFFIC_QUEUE, .stream = 1, __VA_ARGS__})
#define STREAMING(...) ((struct qos_want){.class = TRAFFIC_STREAMING, .stream = 1, __VA_ARGS__})

#define ARTICLE        750000u
#define OPENING        (250 * MS)
#define LINGER         (2 * S)
#define FAST           (375 * MS) /* an article at 2 MB/s */
#define SLOW           (15 * S)   /* at 50 KB/s */

/** Queue may have all, and one connection is streaming's. */
static struct qos_config account(unsigned connections)
{
    struct qos_config cfg = {
        .nproviders = 1, .providers = {{.connections = connections}}, .linger_us = LINGER};
    for (unsigned i = 0; i < TRAFFIC_CLASSES; i++)
        cfg.classes[i].burst = connections;
    cfg.classes[TRAFFIC_STREAMING].guaranteed = 1;
    return cfg;
}

/** `n` operations of queue fly, each just begun, on connections that took OPENING; the provider has brought
 *  an article on each in `article` before. The first one's index. */
static unsigned under_way(struct script *s, unsigned n, qos_time article)
{
    unsigned a = script_submit(s, QUEUE(.bytes = ARTICLE), n);
    s->now += OPENING;
    script_connect(s, -1);
    unsigned b = script_submit(s, QUEUE(.bytes = ARTICLE), n);
    s->now += article;
    for (unsigned i = 0; i < n; i++) {
        s->ops[a + i].brings = ARTICLE;
        script_answer(s, a + i, QOS_OK);
    }
    for (unsigned i = 0; i < n; i++)
        ck_assert_int_ge(s->ops[b + i].conn, 0);
    return b;
}

static void cancel(struct script *s, unsigned op)
{
    qos_cancel(s->q, s->now, s->ops[op].handle);
    script_run(s);
}

START_TEST(a_short_remainder_runs_to_its_end_though_it_is_claimed)
{
    struct qos_config cfg = account(3);
    struct script *s = script_new(&cfg);
    unsigned a = under_way(s, 3, FAST);
    unsigned b = script_submit(s, STREAMING(), 1);
    for (unsigned i = 0; i < 3; i++)
        cancel(s, a + i);
    ck_assert_uint_eq(s->closes, 0);
    script_at(s, s->now + FAST);
    ck_assert_uint_eq(s->closes, 0);
    script_answer(s, a, QOS_OK);
    expect_end(s, a, QOS_DONE);
    expect_at(s, b, 0);
    script_free(s);
}
END_TEST

START_TEST(a_long_remainder_is_cut_when_it_is_claimed)
{
    struct qos_config cfg = account(3);
    struct script *s = script_new(&cfg);
    unsigned a = under_way(s, 3, SLOW);
    script_submit(s, STREAMING(), 1);
    ck_assert_uint_eq(s->closes, 0);
    script_at(s, s->now + S);
    cancel(s, a + 1);
    ck_assert_uint_eq(s->closes, 1);
    ck_assert_int_eq(s->conns[s->ops[a + 1].conn].state, SC_CLOSING);
    ck_assert_uint_eq(script_stats(s).classes[TRAFFIC_QUEUE].cut, 1);
    script_free(s);
}
END_TEST

START_TEST(a_claim_that_comes_later_cuts_as_well)
{
    struct qos_config cfg = account(3);
    struct script *s = script_new(&cfg);
    unsigned a = under_way(s, 3, SLOW);
    cancel(s, a + 2);
    script_at(s, s->now + S);
    ck_assert_uint_eq(s->closes, 0);
    script_submit(s, STREAMING(), 1);
    ck_assert_uint_eq(s->closes, 1);
    script_free(s);
}
END_TEST

START_TEST(what_is_nearly_there_is_not_cut)
{
    struct qos_config cfg = account(2);
    struct script *s = script_new(&cfg);
    unsigned a = under_way(s, 2, SLOW);
    script_at(s, s->now + SLOW - OPENING - LINGER);
    cancel(s, a);
    script_submit(s, STREAMING(), 1);
    ck_assert_uint_eq(s->closes, 0);
    script_free(s);
}
END_TEST

START_TEST(nothing_is_cut_while_nobody_claims_it)
{
    struct qos_config cfg = account(3);
    struct script *s = script_new(&cfg);
    unsigned a = under_way(s, 2, SLOW);
    unsigned b = script_submit(s, STREAMING(), 1); /* it has its guarantee, and waits for more */
    script_connect(s, -1);
    expect_at(s, b, 0);
    script_submit(s, STREAMING(), 5);
    script_submit(s, QUEUE(), 5);
    cancel(s, a);
    cancel(s, a + 1);
    ck_assert_uint_eq(s->closes, 0);
    script_at(s, s->now + 14 * S);
    ck_assert_uint_eq(s->closes, 0);
    script_free(s);
}
END_TEST

START_TEST(what_another_operation_flies_behind_is_not_cut)
{
    struct qos_config cfg = account(2);
    cfg.providers[0].pipelining = 2;
    cfg.classes[TRAFFIC_QUEUE].guaranteed = 1;
    struct script *s = script_new(&cfg);
    script_submit(s, QUEUE(.bytes = ARTICLE), 10);
    s->now += OPENING;
    script_connect(s, -1);
    s->now += SLOW;
    unsigned head = s->conns[0].ops[0];
    s->ops[head].brings = ARTICLE;
    script_answer(s, head, QOS_OK);
    unsigned deep = s->conns[0].n == 2 ? 0 : 1;
    ck_assert_uint_eq(s->conns[deep].n, 2);
    unsigned first = s->conns[deep].ops[0], second = s->conns[deep].ops[1];
    script_submit(s, STREAMING(), 1);
    cancel(s, first);
    ck_assert_uint_eq(s->closes, 0);
    cancel(s, second);
    ck_assert_uint_eq(s->closes, 1);
    ck_assert_int_eq(s->conns[deep].state, SC_CLOSING);
    script_free(s);
}
END_TEST

START_TEST(after_a_cut_the_socket_lingers_and_then_the_claim_is_served)
{
    struct qos_config cfg = account(3);
    struct script *s = script_new(&cfg);
    unsigned a = under_way(s, 3, SLOW);
    unsigned b = script_submit(s, STREAMING(), 1);
    cancel(s, a);
    ck_assert_uint_eq(s->closes, 1);
    expect_leases(s, 2, 0, 0);
    ck_assert_uint_eq(script_stats(s).providers[0].sockets, 3);
    script_gone(s, (unsigned)s->ops[a].conn, QOS_GONE_CLOSED, false);
    expect_end(s, a, QOS_CANCELLED);
    ck_assert_uint_eq(s->opens, 3); /* the server may still count it */
    ck_assert_uint_eq(script_stats(s).providers[0].sockets, 3);
    ck_assert(!script_stats(s).providers[0].down);
    ck_assert_uint_eq(qos_wake(s->q), s->now + LINGER);
    script_at(s, s->now + LINGER);
    ck_assert_uint_eq(s->opens, 4);
    expect_leases(s, 2, 0, 1);
    s->now += OPENING;
    script_connect(s, -1);
    expect_at(s, b, 0);
    ck_assert_uint_eq(script_stats(s).providers[0].sockets, 3);
    script_free(s);
}
END_TEST

START_TEST(what_is_cut_counts_no_longer_against_its_stream_s_cap)
{
    struct qos_config cfg = account(3);
    cfg.classes[TRAFFIC_QUEUE].per_stream = 2;
    struct script *s = script_new(&cfg);
    unsigned a = under_way(s, 2, SLOW);
    script_submit(s, ((struct qos_want){.class = TRAFFIC_QUEUE, .stream = 2}), 1);
    script_connect(s, -1);
    script_submit(s, QUEUE(.bytes = ARTICLE), 1); /* at the cap */
    script_submit(s, STREAMING(), 1);
    cancel(s, a);
    ck_assert_uint_eq(s->closes, 1);
    script_gone(s, (unsigned)s->ops[a].conn, QOS_GONE_CLOSED, true);
    s->now += OPENING;
    script_connect(s, -1); /* streaming's */
    script_answer(s, a + 2, QOS_OK);
    expect_at(s, a + 3, 0);
    script_free(s);
}
END_TEST

START_TEST(an_answer_that_overtakes_the_cut_is_an_answer)
{
    struct qos_config cfg = account(2);
    struct script *s = script_new(&cfg);
    unsigned a = under_way(s, 2, SLOW);
    script_submit(s, STREAMING(), 1);
    cancel(s, a);
    ck_assert_uint_eq(s->closes, 1);
    unsigned conn = (unsigned)s->ops[a].conn;
    script_answer(s, a, QOS_OK);
    expect_end(s, a, QOS_DONE);
    script_gone(s, conn, QOS_GONE_CLOSED, true);
    script_free(s);
}
END_TEST

START_TEST(what_is_stuck_is_cut_when_it_is_late_by_a_reopening_and_not_before)
{
    struct qos_config cfg = account(3);
    struct script *s = script_new(&cfg);
    unsigned a = under_way(s, 3, FAST);
    qos_time sent = s->now;
    script_submit(s, STREAMING(), 1);
    cancel(s, a);
    qos_time at = sent + FAST + OPENING + LINGER + 1;
    ck_assert_uint_eq(qos_wake(s->q), at);
    script_at(s, at - 1);
    ck_assert_uint_eq(s->closes, 0);
    script_at(s, at);
    ck_assert_uint_eq(s->closes, 1);
    script_free(s);
}
END_TEST

START_TEST(no_more_are_cut_than_are_claimed)
{
    struct qos_config cfg = account(6);
    cfg.classes[TRAFFIC_STREAMING].guaranteed = 4;
    struct script *s = script_new(&cfg);
    unsigned a = under_way(s, 6, SLOW);
    script_submit(s, STREAMING(), 2);
    for (unsigned i = 0; i < 6; i++)
        cancel(s, a + i);
    ck_assert_uint_eq(s->closes, 2);
    for (unsigned i = 0; i < 6; i++) {
        if (s->conns[s->ops[a + i].conn].state == SC_CLOSING)
            script_gone(s, (unsigned)s->ops[a + i].conn, QOS_GONE_CLOSED, false);
    }
    script_at(s, s->now + S); /* two linger: they are on their way */
    ck_assert_uint_eq(s->closes, 2);
    script_submit(s, STREAMING(), 5); /* its guarantee is two more */
    ck_assert_uint_eq(s->closes, 4);
    script_free(s);
}
END_TEST

START_TEST(a_claim_that_only_another_provider_could_serve_cuts_nothing)
{
    struct qos_config cfg = account(2);
    cfg.nproviders = 2;
    cfg.providers[1].connections = 1;
    cfg.providers[0].retention_us = 100;
    cfg.classes[TRAFFIC_QUEUE].burst = 3;
    struct script *s = script_new(&cfg);
    unsigned a = under_way(s, 3, SLOW);
    script_submit(s, STREAMING(.age = 200), 1);
    for (unsigned i = 0; i < 3; i++) {
        if (s->conns[s->ops[a + i].conn].provider == 0)
            cancel(s, a + i);
    }
    script_at(s, s->now + 40 * S);
    ck_assert_uint_eq(s->closes, 0);
    for (unsigned i = 0; i < 3; i++) {
        if (s->conns[s->ops[a + i].conn].provider == 1)
            cancel(s, a + i);
    }
    ck_assert_uint_eq(s->closes, 1);
    script_free(s);
}
END_TEST

START_TEST(where_the_account_has_room_a_cut_costs_no_linger)
{
    struct qos_config cfg = account(4);
    cfg.total = 2;
    for (unsigned i = 0; i < TRAFFIC_CLASSES; i++)
        cfg.classes[i].burst = 2;
    struct script *s = script_new(&cfg);
    unsigned a = under_way(s, 2, FAST);
    unsigned b = script_submit(s, STREAMING(), 1);
    script_at(s, s->now + 124 * MS); /* 251 ms remain, and opening takes 250 */
    cancel(s, a);
    ck_assert_uint_eq(s->closes, 1);
    ck_assert_uint_eq(s->opens, 3); /* at once */
    script_connect(s, -1);
    expect_at(s, b, 0);
    script_free(s);
}
END_TEST

START_TEST(where_the_account_has_room_the_last_part_still_runs_to_its_end)
{
    struct qos_config cfg = account(4);
    cfg.total = 2;
    for (unsigned i = 0; i < TRAFFIC_CLASSES; i++)
        cfg.classes[i].burst = 2;
    struct script *s = script_new(&cfg);
    unsigned a = under_way(s, 2, FAST);
    script_submit(s, STREAMING(), 1);
    script_at(s, s->now + 126 * MS);
    cancel(s, a);
    ck_assert_uint_eq(s->closes, 0);
    script_free(s);
}
END_TEST

START_TEST(of_a_provider_that_has_brought_nothing_yet_nothing_is_cut)
{
    struct qos_config cfg = account(2);
    struct script *s = script_new(&cfg);
    unsigned a = script_submit(s, QUEUE(), 2);
    script_connect(s, -1);
    script_submit(s, STREAMING(), 1);
    cancel(s, a);
    script_at(s, s->now + 3600 * (qos_time)S);
    ck_assert_uint_eq(s->closes, 0);
    script_free(s);
}
END_TEST

START_TEST(shutting_down_leaves_no_cut_to_wake_for)
{
    struct qos_config cfg = account(3);
    struct script *s = script_new(&cfg);
    unsigned a = under_way(s, 3, FAST);
    script_submit(s, STREAMING(), 1);
    cancel(s, a);
    ck_assert_uint_lt(qos_wake(s->q), UINT64_MAX);
    qos_shut(s->q, s->now);
    script_run(s);
    for (unsigned i = 0; i < 3; i++)
        script_gone(s, (unsigned)s->ops[a + i].conn, QOS_GONE_CLOSED, true);
    ck_assert_uint_eq(qos_wake(s->q), UINT64_MAX);
    script_free(s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("qos/cut");
    TCase *t = tcase_create("cut");
    tcase_add_test(t, a_short_remainder_runs_to_its_end_though_it_is_claimed);
    tcase_add_test(t, a_long_remainder_is_cut_when_it_is_claimed);
    tcase_add_test(t, a_claim_that_comes_later_cuts_as_well);
    tcase_add_test(t, what_is_nearly_there_is_not_cut);
    tcase_add_test(t, nothing_is_cut_while_nobody_claims_it);
    tcase_add_test(t, what_another_operation_flies_behind_is_not_cut);
    tcase_add_test(t, after_a_cut_the_socket_lingers_and_then_the_claim_is_served);
    tcase_add_test(t, what_is_cut_counts_no_longer_against_its_stream_s_cap);
    tcase_add_test(t, an_answer_that_overtakes_the_cut_is_an_answer);
    tcase_add_test(t, what_is_stuck_is_cut_when_it_is_late_by_a_reopening_and_not_before);
    tcase_add_test(t, no_more_are_cut_than_are_claimed);
    tcase_add_test(t, a_claim_that_only_another_provider_could_serve_cuts_nothing);
    tcase_add_test(t, where_the_account_has_room_a_cut_costs_no_linger);
    tcase_add_test(t, where_the_account_has_room_the_last_part_still_runs_to_its_end);
    tcase_add_test(t, of_a_provider_that_has_brought_nothing_yet_nothing_is_cut);
    tcase_add_test(t, shutting_down_leaves_no_cut_to_wake_for);
    suite_add_tcase(suite, t);
    SRunner *r = srunner_create(suite);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
