#include "tests/qos/script.h"

#include <stdlib.h>

/* What providers do to us: tiers, missing articles, ceilings, breakers, sockets that linger. */

#define DEMAND(...) ((struct qos_want){.class = TRAFFIC_STREAMING, __VA_ARGS__})
#define AHEAD(...)                                                                                 \
    ((struct qos_want){.class = TRAFFIC_STREAMING, .urgency = URGENCY_READAHEAD, __VA_ARGS__})

/** Two or three providers of so many connections. */
static struct qos_config providers(unsigned a, unsigned b, unsigned c)
{
    struct qos_config cfg = {
        .nproviders = c   ? 3
                      : b ? 2
                          : 1,
        .providers = {{.connections = a}, {.connections = b}, {.connections = c}},
        .backoff_us = S,
        .backoff_max_us = 8 * S,
        .probe_us = 10 * S,
        .linger_us = 2 * S,
        .idle_us = 60 * S,
    };
    for (unsigned i = 0; i < TRAFFIC_CLASSES; i++)
        cfg.classes[i].burst = a + b + c;
    return cfg;
}

/* --- missing, spoilt, tiers --- */

START_TEST(what_one_provider_lacks_the_other_is_asked_for)
{
    struct qos_config cfg = providers(1, 1, 0);
    struct script *s = script_new(&cfg);
    unsigned a = script_submit(s, DEMAND(), 1);
    script_connect(s, -1);
    expect_at(s, a, 0);
    script_answer(s, a, QOS_NOT_HERE);
    expect_at(s, a, -1);
    script_connect(s, 1);
    expect_at(s, a, 1);
    script_answer(s, a, QOS_OK);
    expect_end(s, a, QOS_DONE);
    script_free(s);
}
END_TEST

START_TEST(missing_is_what_every_provider_said)
{
    struct qos_config cfg = providers(1, 1, 1);
    struct script *s = script_new(&cfg);
    unsigned a = script_submit(s, DEMAND(), 1);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert(!s->ops[a].ended);
        script_connect(s, -1);
        script_answer(s, a, QOS_NOT_HERE);
    }
    expect_end(s, a, QOS_MISSING);
    ck_assert_uint_eq(s->ops[a].sent, 3);
    script_free(s);
}
END_TEST

START_TEST(spoilt_everywhere_is_corrupt)
{
    struct qos_config cfg = providers(1, 1, 0);
    struct script *s = script_new(&cfg);
    unsigned a = script_submit(s, DEMAND(), 1);
    script_connect(s, -1);
    script_answer(s, a, QOS_NOT_HERE);
    script_connect(s, -1);
    script_answer(s, a, QOS_SPOILT);
    expect_end(s, a, QOS_CORRUPT);
    script_free(s);
}
END_TEST

START_TEST(an_operation_broken_off_too_often_has_failed_and_is_not_missing)
{
    struct qos_config cfg = providers(1, 1, 0);
    cfg.attempts = 2;
    struct script *s = script_new(&cfg);
    unsigned a = script_submit(s, DEMAND(), 1);
    script_connect(s, -1);
    script_answer(s, a, QOS_NOT_HERE);
    script_connect(s, -1);
    expect_at(s, a, 1);
    script_answer(s, a, QOS_DECLINED);
    expect_at(s, a, 1);
    script_answer(s, a, QOS_DECLINED);
    expect_end(s, a, QOS_FAILED);
    script_free(s);
}
END_TEST

START_TEST(what_broke_off_is_tried_elsewhere_first)
{
    struct qos_config cfg = providers(2, 2, 0);
    struct script *s = script_new(&cfg);
    unsigned a = script_submit(s, DEMAND(), 2);
    script_connect(s, -1);
    expect_at(s, a, 0);
    expect_at(s, a + 1, 1);
    script_answer(s, a + 1, QOS_OK);
    script_answer(s, a, QOS_DECLINED);
    expect_at(s, a, 1);
    script_free(s);
}
END_TEST

START_TEST(a_higher_tier_is_asked_only_for_what_the_lower_one_lacks)
{
    struct qos_config cfg = providers(1, 5, 0);
    cfg.providers[1].tier = 1;
    struct script *s = script_new(&cfg);
    unsigned a = script_submit(s, DEMAND(), 3);
    script_connect(s, -1);
    ck_assert_uint_eq(s->opens, 1); /* the others wait, though there is room above */
    expect_at(s, a, 0);
    script_answer(s, a, QOS_NOT_HERE);
    expect_at(s, a + 1, 0);
    script_connect(s, -1);
    expect_at(s, a, 1);
    script_free(s);
}
END_TEST

START_TEST(a_provider_that_does_not_keep_posts_so_old_is_not_asked)
{
    struct qos_config cfg = providers(1, 1, 0);
    cfg.providers[0].retention_us = 1000;
    struct script *s = script_new(&cfg);
    unsigned old = script_submit(s, DEMAND(.age = 2000), 1);
    script_connect(s, -1);
    expect_at(s, old, 1);
    script_answer(s, old, QOS_NOT_HERE);
    expect_end(s, old, QOS_MISSING);
    unsigned young = script_submit(s, DEMAND(.age = 500), 1);
    script_answer(s, young, QOS_NOT_HERE); /* at the warm one, the second */
    script_connect(s, -1);
    expect_at(s, young, 0);
    script_free(s);
}
END_TEST

START_TEST(operations_that_one_provider_lacks_do_not_hide_those_behind_them)
{
    struct qos_config cfg = providers(1, 1, 0);
    struct script *s = script_new(&cfg);
    unsigned a = script_submit(s, DEMAND(), 40);
    script_connect(s, -1);
    for (unsigned i = 0; i < 20; i++) { /* the first provider lacks twenty */
        for (unsigned k = a; k < a + 40; k++) {
            if (s->ops[k].conn >= 0 && s->conns[s->ops[k].conn].provider == 0) {
                script_answer(s, k, QOS_NOT_HERE);
                break;
            }
        }
        ck_assert_uint_eq(script_count(s, 0, SC_BUSY), 1); /* and is never idle for it */
    }
    script_free(s);
}
END_TEST

/* --- breaker --- */

START_TEST(a_provider_that_refuses_is_backed_off_from_and_probed_by_one)
{
    struct qos_config cfg = providers(5, 0, 0);
    struct script *s = script_new(&cfg);
    unsigned a = script_submit(s, DEMAND(), 5);
    ck_assert_uint_eq(s->opens, 5);
    script_refuse(s, 0, QOS_GONE_REFUSED);
    ck_assert_uint_eq(s->opens, 5);
    ck_assert(script_stats(s).providers[0].down);
    qos_time waits[6];
    for (unsigned i = 0; i < 6; i++) {
        waits[i] = qos_wake(s->q) - s->now;
        script_at(s, qos_wake(s->q) - 1);
        ck_assert_uint_eq(s->opens, 5 + i);
        script_at(s, s->now + 1);
        ck_assert_uint_eq(s->opens, 6 + i); /* one, not five */
        script_refuse(s, 0, QOS_GONE_REFUSED);
    }
    ck_assert_uint_eq(waits[0], S);  /* five that were refused together are one failure */
    for (unsigned i = 1; i < 6; i++) /* dice in the middle: no jitter; it doubles up to the most */
        ck_assert_uint_eq(waits[i], waits[i - 1] < 8 * S ? 2 * waits[i - 1] : 8 * S);
    script_at(s, qos_wake(s->q));
    script_connect(s, -1);
    expect_at(s, a, 0);
    ck_assert(!script_stats(s).providers[0].down);
    ck_assert_uint_eq(script_count(s, 0, SC_OPENING), 4);
    script_free(s);
}
END_TEST

START_TEST(a_back_off_is_jittered_by_a_quarter_at_most)
{
    struct qos_config cfg = providers(1, 0, 0);
    for (unsigned i = 0; i < 2; i++) {
        struct script *s = script_new(&cfg);
        script_submit(s, DEMAND(), 1);
        qos_conn_gone(s->q, s->now, s->conns[0].handle, QOS_GONE_REFUSED, true, i ? UINT32_MAX : 0);
        s->conns[0].state = SC_NONE;
        script_run(s);
        qos_time wait = qos_wake(s->q) - s->now;
        if (i)
            ck_assert(wait > 1240 * MS && wait <= 1250 * MS);
        else
            ck_assert_uint_eq(wait, 750 * MS);
        script_free(s);
    }
}
END_TEST

START_TEST(while_a_provider_is_down_the_next_tier_takes_over_but_nothing_is_called_missing)
{
    struct qos_config cfg = providers(1, 1, 0);
    cfg.providers[1].tier = 1;
    struct script *s = script_new(&cfg);
    unsigned a = script_submit(s, DEMAND(), 1);
    script_refuse(s, 0, QOS_GONE_REFUSED);
    script_connect(s, 1);
    expect_at(s, a, 1);
    script_answer(s, a, QOS_NOT_HERE);
    ck_assert(!s->ops[a].ended); /* the first one may have it */
    script_at(s, qos_wake(s->q));
    script_connect(s, 0);
    expect_at(s, a, 0);
    script_answer(s, a, QOS_OK);
    expect_end(s, a, QOS_DONE);
    script_free(s);
}
END_TEST

START_TEST(one_broken_connection_among_working_ones_is_not_an_outage)
{
    struct qos_config cfg = providers(4, 0, 0);
    struct script *s = script_new(&cfg);
    unsigned a = script_submit(s, DEMAND(), 8);
    script_connect(s, -1);
    for (unsigned i = 0; i < 4; i++) {
        unsigned conn = (unsigned)s->ops[a + i].conn;
        script_gone(s, conn, QOS_GONE_BROKEN, true);
        ck_assert(!script_stats(s).providers[0].down);
        script_connect(s, -1);
        for (unsigned k = a; k < a + 8; k++) {
            if (s->ops[k].conn >= 0) {
                script_answer(s, k, QOS_NOT_HERE);
                break;
            }
        }
    }
    script_free(s);
}
END_TEST

START_TEST(three_broken_operations_in_a_row_open_the_breaker)
{
    struct qos_config cfg = providers(5, 0, 0);
    struct script *s = script_new(&cfg);
    unsigned a = script_submit(s, DEMAND(), 5);
    script_connect(s, -1);
    for (unsigned i = 0; i < 3; i++)
        qos_cancel(s->q, s->now, s->ops[a + i].handle); /* so that none of them is sent again */
    script_answer(s, a + 4, QOS_OK);                    /* one idles */
    for (unsigned i = 0; i < 3; i++)
        script_gone(s, (unsigned)s->ops[a + i].conn, QOS_GONE_SILENT, true);
    ck_assert(script_stats(s).providers[0].down);
    ck_assert_uint_eq(script_count(s, 0, SC_CLOSING), 1); /* the idle one is not trusted */
    script_free(s);
}
END_TEST

START_TEST(a_server_that_greets_everyone_and_serves_no_one_stays_on_trial)
{
    struct qos_config cfg = providers(3, 3, 0);
    cfg.attempts = 15;
    struct script *s = script_new(&cfg);
    script_submit(s, AHEAD(), 100);
    script_connect(s, -1);
    for (unsigned i = 0; i < s->nconns; i++) {
        if (s->conns[i].provider == 0 && s->conns[i].state == SC_BUSY)
            script_gone(s, i, QOS_GONE_BROKEN, true);
    }
    script_refuse(s, 0, QOS_GONE_REFUSED); /* what was being opened when the third one broke */
    ck_assert(script_stats(s).providers[0].down);
    script_at(s, script_stats(s).providers[0].retry_at);
    script_tick(s); /* a lease ends, and the probe has it */
    ck_assert_uint_eq(script_count(s, 0, SC_OPENING), 1);
    script_connect(s, 0);
    ck_assert(script_stats(s).providers[0].down);
    ck_assert_uint_eq(script_count(s, 0, SC_BUSY), 1);
    ck_assert_uint_eq(script_count(s, 0, SC_OPENING), 0);
    script_tick(s); /* it answers */
    ck_assert(!script_stats(s).providers[0].down);
    script_free(s);
}
END_TEST

START_TEST(a_refused_login_is_not_tried_again_soon)
{
    struct qos_config cfg = providers(3, 0, 0);
    struct script *s = script_new(&cfg);
    unsigned a = script_submit(s, DEMAND(.deadline = 5 * S), 1);
    script_refuse(s, 0, QOS_GONE_LOGIN);
    ck_assert_uint_eq(script_stats(s).providers[0].retry_at, s->now + 8 * S);
    script_at(s, 5 * S);
    expect_end(s, a, QOS_TIMEOUT);
    script_free(s);
}
END_TEST

/* --- ceiling --- */

START_TEST(a_refused_login_waits_longer_than_an_outage_where_that_is_set)
{
    struct qos_config cfg = providers(1, 0, 0);
    cfg.login_us = 60 * S;
    struct script *s = script_new(&cfg);
    script_submit(s, DEMAND(), 1);
    script_refuse(s, 0, QOS_GONE_REFUSED);
    ck_assert_uint_eq(script_stats(s).providers[0].retry_at, s->now + S);
    script_at(s, s->now + S);
    script_refuse(s, 0, QOS_GONE_LOGIN);
    ck_assert_uint_eq(script_stats(s).providers[0].retry_at, s->now + 60 * S);
    script_at(s, s->now + 59 * S);
    ck_assert_uint_eq(script_count(s, 0, SC_OPENING), 0);
    script_at(s, s->now + S);
    ck_assert_uint_eq(script_count(s, 0, SC_OPENING), 1);
    script_free(s);
}
END_TEST

START_TEST(a_provider_that_takes_fewer_connections_is_learnt_and_probed_one_at_a_time)
{
    struct qos_config cfg = providers(50, 0, 0);
    struct script *s = script_new(&cfg);
    script_submit(s, DEMAND(), 4000);
    ck_assert_uint_eq(s->opens, 50);
    for (unsigned i = 0; i < 50; i++) { /* it takes twenty */
        if (i % 5 < 2) {
            s->conns[i].state = SC_IDLE;
            qos_conn_ready(s->q, s->now, s->conns[i].handle);
        } else {
            script_gone(s, i, QOS_GONE_LIMIT, true);
        }
        script_run(s);
    }
    ck_assert_uint_eq(script_stats(s).providers[0].ceiling, 20);
    ck_assert_uint_eq(script_stats(s).providers[0].sockets, 20);
    ck_assert_uint_eq(s->opens, 50);
    for (unsigned i = 0; i < 3; i++) { /* one refused attempt a probe interval */
        qos_time next = s->now + 10 * S;
        while (s->now + 3 * S < next) {
            script_tick(s);
            s->now += 2 * S;
        }
        ck_assert_uint_eq(s->opens, 50 + i);
        script_at(s, next);
        ck_assert_uint_eq(s->opens, 51 + i);
        script_refuse(s, 0, QOS_GONE_LIMIT);
        ck_assert_uint_eq(script_stats(s).providers[0].ceiling, 20);
    }
    script_at(s,
              s->now + 10 * S); /* the limit is raised: each success is followed by the next try */
    for (unsigned i = 21; i <= 50; i++) {
        ck_assert_uint_eq(script_count(s, 0, SC_OPENING), 1);
        script_connect(s, 0);
        ck_assert_uint_eq(script_stats(s).providers[0].ceiling, i);
    }
    ck_assert_uint_eq(script_count(s, 0, SC_OPENING), 0);
    script_free(s);
}
END_TEST

START_TEST(a_full_account_says_nothing_of_the_ceiling)
{
    struct qos_config cfg = providers(10, 0, 0);
    struct script *s = script_new(&cfg);
    script_submit(s, DEMAND(), 10);
    script_refuse(s, 0, QOS_GONE_LIMIT); /* all ten: another program has the connections */
    ck_assert_uint_eq(script_stats(s).providers[0].ceiling, 10);
    script_at(s, qos_wake(s->q));
    ck_assert_uint_eq(script_count(s, 0, SC_OPENING), 1);
    script_connect(s, 0);
    ck_assert_uint_eq(script_count(s, 0, SC_OPENING), 9);
    script_free(s);
}
END_TEST

/* --- sockets --- */

START_TEST(a_socket_whose_end_was_not_seen_counts_until_it_has_lingered)
{
    struct qos_config cfg = providers(2, 0, 0);
    struct script *s = script_new(&cfg);
    unsigned a = script_submit(s, DEMAND(), 4);
    script_connect(s, -1);
    script_gone(s, (unsigned)s->ops[a].conn, QOS_GONE_BROKEN, false);
    ck_assert_uint_eq(s->opens, 2); /* the account is full, as the server sees it */
    ck_assert_uint_eq(script_stats(s).providers[0].sockets, 2);
    ck_assert_uint_eq(qos_wake(s->q), s->now + 2 * S);
    script_at(s, qos_wake(s->q));
    ck_assert_uint_eq(s->opens, 3);
    script_gone(s, 0, QOS_GONE_BROKEN, true);
    ck_assert_uint_eq(s->opens, 4); /* at once */
    script_free(s);
}
END_TEST

START_TEST(an_idle_connection_is_closed_after_its_time_and_not_before)
{
    struct qos_config cfg = providers(2, 0, 0);
    struct script *s = script_new(&cfg);
    unsigned a = script_submit(s, DEMAND(), 1);
    script_connect(s, -1);
    script_answer(s, a, QOS_OK);
    ck_assert_uint_eq(qos_wake(s->q), s->now + 60 * S);
    script_at(s, s->now + 60 * S - 1);
    ck_assert_uint_eq(s->closes, 0);
    script_at(s, s->now + 1);
    ck_assert_uint_eq(s->closes, 1);
    ck_assert_uint_eq(script_stats(s).providers[0].sockets, 1); /* until the peer has seen it */
    script_gone(s, 0, QOS_GONE_CLOSED, true);
    ck_assert_uint_eq(script_stats(s).providers[0].sockets, 0);
    ck_assert_uint_eq(qos_wake(s->q), UINT64_MAX);
    script_free(s);
}
END_TEST

START_TEST(a_connection_found_stale_costs_its_operation_nothing)
{
    struct qos_config cfg = providers(1, 0, 0);
    cfg.attempts = 1;
    struct script *s = script_new(&cfg);
    unsigned a = script_submit(s, DEMAND(), 1);
    script_connect(s, -1);
    script_answer(s, a, QOS_OK);
    unsigned b = script_submit(s, DEMAND(), 1);
    script_gone(s, (unsigned)s->ops[b].conn, QOS_GONE_STALE, true);
    ck_assert(!s->ops[b].ended);
    ck_assert(!script_stats(s).providers[0].down);
    script_connect(s, -1);
    expect_at(s, b, 0);
    script_free(s);
}
END_TEST

START_TEST(after_one_silent_connection_no_other_that_idled_is_trusted)
{
    struct qos_config cfg = providers(4, 0, 0);
    struct script *s = script_new(&cfg);
    unsigned first = script_submit(s, DEMAND(), 3);
    script_connect(s, 0);
    for (unsigned i = 0; i < 3; i++)
        script_answer(s, first + i, QOS_OK);
    ck_assert_uint_eq(script_count(s, 0, SC_IDLE), 3);
    script_at(s, 30 * S);
    unsigned a = script_submit(s, DEMAND(), 1);
    expect_at(s, a, 0);
    script_at(s, 45 * S);
    script_gone(s, (unsigned)s->ops[a].conn, QOS_GONE_SILENT, false);
    ck_assert_uint_eq(script_count(s, 0, SC_IDLE), 0);
    ck_assert_uint_eq(s->closes, 2);
    /* The next attempt is on a connection that was opened after the silence. */
    expect_at(s, a, -1);
    ck_assert_uint_eq(script_count(s, 0, SC_OPENING), 1);
    script_connect(s, 0);
    expect_at(s, a, 0);
    script_answer(s, a, QOS_OK);
    expect_end(s, a, QOS_DONE);
    script_free(s);
}
END_TEST

START_TEST(a_server_that_closes_on_every_command_does_not_keep_an_operation_for_ever)
{
    struct qos_config cfg = providers(1, 0, 0);
    struct script *s = script_new(&cfg);
    unsigned a = script_submit(s, DEMAND(), 1);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert(!s->ops[a].ended);
        if (!script_count(s, 0, SC_OPENING))
            script_at(s, qos_wake(s->q));
        script_connect(s, -1);
        script_gone(s, (unsigned)s->ops[a].conn, QOS_GONE_STALE, true);
    }
    expect_end(s, a, QOS_FAILED);
    script_free(s);
}
END_TEST

START_TEST(a_lost_connection_gives_its_operations_back_in_their_order)
{
    struct qos_config cfg = providers(1, 0, 0);
    cfg.providers[0].pipelining = 3;
    cfg.attempts = 1;
    struct script *s = script_new(&cfg);
    unsigned a = script_submit(s, DEMAND(), 5);
    script_connect(s, -1);
    expect_at(s, a + 2, 0);
    script_gone(s, (unsigned)s->ops[a].conn, QOS_GONE_BROKEN, true);
    expect_end(s, a, QOS_FAILED); /* it was the one under way */
    script_connect(s, -1);
    ck_assert_uint_lt(s->ops[a + 1].order, s->ops[a + 2].order);
    ck_assert_uint_lt(s->ops[a + 2].order, s->ops[a + 3].order);
    expect_at(s, a + 3, 0);
    script_free(s);
}
END_TEST

START_TEST(a_late_fact_is_harmless)
{
    struct qos_config cfg = providers(1, 0, 0);
    struct script *s = script_new(&cfg);
    unsigned a = script_submit(s, DEMAND(), 1);
    script_connect(s, -1);
    qos_conn old = s->conns[0].handle;
    qos_op op = s->ops[a].handle;
    script_gone(s, 0, QOS_GONE_BROKEN, true);
    qos_op_done(s->q, s->now, op, QOS_OK, 1); /* it waits again: not an answer to anything */
    qos_conn_ready(s->q, s->now, old);
    qos_conn_gone(s->q, s->now, old, QOS_GONE_BROKEN, true, 0);
    script_run(s);
    ck_assert(!s->ops[a].ended);
    script_connect(s, -1);
    script_answer(s, a, QOS_OK);
    expect_end(s, a, QOS_DONE);
    qos_op_done(s->q, s->now, op, QOS_OK, 1);
    qos_cancel(s->q, s->now, op);
    qos_conn_gone(s->q, s->now, 0, QOS_GONE_BROKEN, true, 0);
    qos_conn_gone(s->q, s->now, UINT64_MAX, QOS_GONE_BROKEN, true, 0);
    script_run(s);
    script_free(s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("qos/providers");
    TCase *t = tcase_create("answers");
    tcase_add_test(t, what_one_provider_lacks_the_other_is_asked_for);
    tcase_add_test(t, missing_is_what_every_provider_said);
    tcase_add_test(t, spoilt_everywhere_is_corrupt);
    tcase_add_test(t, an_operation_broken_off_too_often_has_failed_and_is_not_missing);
    tcase_add_test(t, what_broke_off_is_tried_elsewhere_first);
    tcase_add_test(t, a_higher_tier_is_asked_only_for_what_the_lower_one_lacks);
    tcase_add_test(t, a_provider_that_does_not_keep_posts_so_old_is_not_asked);
    tcase_add_test(t, operations_that_one_provider_lacks_do_not_hide_those_behind_them);
    suite_add_tcase(suite, t);
    t = tcase_create("breaker");
    tcase_add_test(t, a_provider_that_refuses_is_backed_off_from_and_probed_by_one);
    tcase_add_test(t, a_back_off_is_jittered_by_a_quarter_at_most);
    tcase_add_test(t,
                   while_a_provider_is_down_the_next_tier_takes_over_but_nothing_is_called_missing);
    tcase_add_test(t, one_broken_connection_among_working_ones_is_not_an_outage);
    tcase_add_test(t, three_broken_operations_in_a_row_open_the_breaker);
    tcase_add_test(t, a_server_that_greets_everyone_and_serves_no_one_stays_on_trial);
    tcase_add_test(t, a_refused_login_is_not_tried_again_soon);
    tcase_add_test(t, a_refused_login_waits_longer_than_an_outage_where_that_is_set);
    suite_add_tcase(suite, t);
    t = tcase_create("ceiling");
    tcase_add_test(t, a_provider_that_takes_fewer_connections_is_learnt_and_probed_one_at_a_time);
    tcase_add_test(t, a_full_account_says_nothing_of_the_ceiling);
    suite_add_tcase(suite, t);
    t = tcase_create("sockets");
    tcase_add_test(t, a_socket_whose_end_was_not_seen_counts_until_it_has_lingered);
    tcase_add_test(t, an_idle_connection_is_closed_after_its_time_and_not_before);
    tcase_add_test(t, a_connection_found_stale_costs_its_operation_nothing);
    tcase_add_test(t, after_one_silent_connection_no_other_that_idled_is_trusted);
    tcase_add_test(t, a_server_that_closes_on_every_command_does_not_keep_an_operation_for_ever);
    tcase_add_test(t, a_lost_connection_gives_its_operations_back_in_their_order);
    tcase_add_test(t, a_late_fact_is_harmless);
    suite_add_tcase(suite, t);
    SRunner *r = srunner_create(suite);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
