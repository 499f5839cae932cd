#include "tests/qos/script.h"

#include <errno.h>

#define ARTICLE 700000u

/* Two providers of one tier, four connections each; all is streaming's, a tenth of it may be asked for twice. */
static struct qos_config pool(unsigned hedge)
{
    struct qos_config c = {.nproviders = 2};
    for (unsigned i = 0; i < TRAFFIC_CLASSES; i++)
        c.classes[i].burst = 8;
    c.classes[TRAFFIC_STREAMING].guaranteed = 4;
    c.classes[TRAFFIC_STREAMING].hedge = hedge;
    for (unsigned i = 0; i < 2; i++)
        c.providers[i] = (struct qos_provider_config){.connections = 4, .pipelining = 4};
    return c;
}

static struct qos_want demand(void)
{
    return (struct qos_want){
        .class = TRAFFIC_STREAMING, .stream = 1, .bytes = ARTICLE, .deadline = UINT64_MAX / 2};
}

/* Whoever sleeps until then wakes whenever there is something to do. */
static void pass(struct script *s, qos_time us)
{
    qos_time until = s->now + us;
    while (qos_wake(s->q) < until)
        script_at(s, qos_wake(s->q));
    script_at(s, until);
}

/* `n` articles by eights, each takes 100 ms: both providers' connections are up, and their times known. */
static void learn(struct script *s, unsigned n)
{
    for (unsigned i = 0; i < n; i += 8) {
        unsigned first = script_submit(s, demand(), 8);
        script_connect(s, -1);
        pass(s, 100 * MS);
        for (unsigned k = first; k < first + 8; k++) {
            s->ops[k].brings = ARTICLE;
            script_answer(s, k, QOS_OK);
        }
    }
    ck_assert_uint_eq(script_count(s, -1, SC_IDLE), 8);
    ck_assert_uint_eq(s->lates, 0);
}

static struct script *learnt(const struct qos_config *c)
{
    struct script *s = script_new(c);
    s->hedges = true;
    learn(s, 80);
    return s;
}

static unsigned provider_of(const struct script *s, unsigned op)
{
    ck_assert_int_ge(s->ops[op].conn, 0);
    return s->conns[s->ops[op].conn].provider;
}

START_TEST(what_a_reader_waits_for_and_is_late_is_asked_of_another_provider_too)
{
    struct qos_config c = pool(100);
    struct script *s = learnt(&c);
    unsigned op = script_submit(s, demand(), 1), n = s->nops;
    qos_time sent = s->now;

    script_at(s, sent + 150 * MS - 1);
    ck_assert_uint_eq(s->lates, 0);
    ck_assert_uint_eq(qos_wake(s->q), sent + 150 * MS);
    script_at(s, sent + 150 * MS);
    ck_assert_uint_eq(s->lates, 1);
    ck_assert_uint_eq(s->nops, n + 1);
    expect_at(s, n, (int)(1 - provider_of(s, op)));
    ck_assert_uint_eq(script_stats(s).classes[TRAFFIC_STREAMING].hedged, 1);
    script_at(s, sent + 5 * S);
    ck_assert_uint_eq(s->lates, 1);

    qos_cancel(s->q, s->now, s->ops[op].handle);
    script_answer(s, n, QOS_OK);
    expect_end(s, n, QOS_DONE);
    script_answer(s, op, QOS_OK);
    expect_end(s, op, QOS_DONE);
    script_free(s);
}
END_TEST

START_TEST(what_nobody_waits_for_is_never_late)
{
    struct qos_config c = pool(100);
    struct script *s = learnt(&c);
    struct qos_want w = demand();

    w.urgency = URGENCY_READAHEAD;
    unsigned op = script_submit(s, w, 1);
    w = demand();
    w.verb = SEGMENT_STAT;
    script_submit(s, w, 1);
    w = demand();
    w.class = TRAFFIC_QUEUE;
    script_submit(s, w, 1);
    pass(s, S);
    ck_assert_uint_eq(s->lates, 0);

    /* Until a reader gets there. */
    qos_promote(s->q, s->now, s->ops[op].handle, URGENCY_DEMAND, 0);
    script_run(s);
    ck_assert_uint_eq(s->lates, 1);
    script_free(s);
}
END_TEST

START_TEST(a_twin_takes_the_same_provider_where_the_other_lacks_the_article)
{
    struct qos_config c = pool(100);
    struct script *s = learnt(&c);
    unsigned op = script_submit(s, demand(), 1);
    unsigned lacks = provider_of(s, op);

    script_answer(s, op, QOS_NOT_HERE);
    expect_at(s, op, (int)(1 - lacks));
    pass(s, 150 * MS);
    ck_assert_uint_eq(s->lates, 1);
    unsigned twin = s->nops - 1;
    expect_at(s, twin, (int)(1 - lacks));
    ck_assert_int_ne(s->ops[twin].conn, s->ops[op].conn);
    script_free(s);
}
END_TEST

START_TEST(with_no_connection_to_spare_nothing_is_asked_for_twice_until_one_is_free)
{
    struct qos_config c = pool(100);
    struct script *s = learnt(&c);
    unsigned first = script_submit(s, demand(), 8);

    pass(s, S);
    ck_assert_uint_eq(s->lates, 0);
    ck_assert_uint_gt(qos_wake(s->q), s->now);
    script_answer(s, first + 7, QOS_OK);
    ck_assert_uint_eq(s->lates, 1);
    expect_at(s, s->nops - 1, (int)s->conns[s->ops[s->nops - 1].conn].provider);
    script_free(s);
}
END_TEST

START_TEST(a_twin_is_one_attempt_whatever_comes_of_it)
{
    static const struct {
        enum qos_outcome how;
        enum qos_verdict verdict;
    } rows[] = {{QOS_OK, QOS_DONE},
                {QOS_NOT_HERE, QOS_MISSING},
                {QOS_SPOILT, QOS_CORRUPT},
                {QOS_DECLINED, QOS_FAILED},
                {QOS_NO_ROOM, QOS_REJECTED}};
    struct qos_config c = pool(100);
    struct script *s = learnt(&c);

    unsigned op = script_submit(s, demand(), 1);
    pass(s, 150 * MS);
    unsigned twin = s->nops - 1;
    script_answer(s, twin, rows[_i].how);
    expect_end(s, twin, rows[_i].verdict);
    ck_assert(!s->ops[op].ended);
    script_answer(s, op, QOS_OK);
    expect_end(s, op, QOS_DONE);
    script_free(s);
}
END_TEST

START_TEST(a_twin_whose_connection_is_lost_has_failed)
{
    struct qos_config c = pool(100);
    struct script *s = learnt(&c);
    unsigned op = script_submit(s, demand(), 1);

    pass(s, 150 * MS);
    unsigned twin = s->nops - 1;
    script_gone(s, (unsigned)s->ops[twin].conn, QOS_GONE_BROKEN, true);
    expect_end(s, twin, QOS_FAILED);
    ck_assert(!s->ops[op].ended);
    script_free(s);
}
END_TEST

/* Stragglers all the time: what is asked for twice is a share of what came, from the first minute on. */
START_TEST(never_more_than_the_share_is_asked_for_twice)
{
    struct qos_config c = pool(30);
    struct script *s = script_new(&c);
    uint64_t came = 0;

    s->hedges = true;
    learn(s, 24);
    came = 24;
    for (unsigned i = 0; i < 400; i++) {
        unsigned op = script_submit(s, demand(), 1), n = s->nops;
        pass(s, (i % 16 ? 100 : 1000) * MS);
        for (unsigned k = n; k < s->nops; k++) {
            s->ops[k].brings = ARTICLE;
            script_answer(s, k, QOS_OK);
        }
        s->ops[op].brings = ARTICLE;
        script_answer(s, op, QOS_OK);
        came++;
        uint64_t hedged = script_stats(s).classes[TRAFFIC_STREAMING].hedged;
        ck_assert(hedged <= 4 || hedged * 1000 <= came * 30);
    }
    ck_assert_uint_ge(script_stats(s).classes[TRAFFIC_STREAMING].hedged, 7);
    script_free(s);
}
END_TEST

/* What is earned in the first seconds is less than one of them. */
START_TEST(the_first_stragglers_are_asked_for_twice_and_no_more_than_four)
{
    struct qos_config c = pool(1);
    struct script *s = script_new(&c);
    s->hedges = true;
    learn(s, 128);
    for (unsigned i = 0; i < 8; i++) {
        unsigned op = script_submit(s, demand(), 1), n = s->nops;
        pass(s, S);
        for (unsigned k = n; k < s->nops; k++)
            script_answer(s, k, QOS_OK);
        script_answer(s, op, QOS_OK);
        ck_assert_uint_eq(s->lates, i < 4 ? i + 1 : 4);
    }
    script_free(s);
}
END_TEST

/* Articles may be larger than whoever asks for them says. */
START_TEST(what_a_twin_brings_beyond_what_was_said_is_paid_for_however_it_ends)
{
    static const enum qos_outcome how[] = {QOS_OK, QOS_NO_ROOM, QOS_SPOILT};
    struct qos_config c = pool(1);
    struct script *s = script_new(&c);
    struct qos_want w = demand();

    s->hedges = true;
    learn(s, 32);
    w.bytes = 1;
    script_submit(s, w, 1);
    pass(s, S);
    ck_assert_uint_eq(s->lates, 1);
    s->ops[s->nops - 1].brings = 5 << 20;
    script_answer(s, s->nops - 1, how[_i]);
    script_submit(s, w, 1);
    pass(s, S);
    ck_assert_uint_eq(s->lates, 1);
    script_free(s);
}
END_TEST

/* The process was stopped, or the machine had other things to do. */
START_TEST(what_may_have_come_while_nobody_looked_is_not_late)
{
    struct qos_config c = pool(100);
    struct script *s = learnt(&c);
    unsigned op = script_submit(s, demand(), 2);

    script_at(s, s->now + 10 * S);
    ck_assert_uint_eq(s->lates, 0);
    ck_assert_uint_eq(qos_wake(s->q), s->now + 50 * MS);
    script_answer(s, op, QOS_OK); /* it was in the socket all the time; the other one was not */
    pass(s, 50 * MS);
    ck_assert_uint_eq(s->lates, 1);
    script_free(s);
}
END_TEST

START_TEST(an_overloaded_machine_asks_for_nothing_twice)
{
    struct qos_config c = pool(1000);
    struct script *s = learnt(&c);

    for (unsigned i = 0; i < 50; i++) {
        unsigned op = script_submit(s, demand(), 2);
        for (unsigned k = 0; k < 10; k++)
            script_at(s, s->now + 210 * MS);
        script_answer(s, op, QOS_OK);
        script_answer(s, op + 1, QOS_OK);
    }
    ck_assert_uint_eq(s->lates, 0);
    script_free(s);
}
END_TEST

/* Two seconds' worth of the limit fly when it is lowered, and all of it takes longer than anything did before. */
START_TEST(what_a_rate_limit_keeps_waiting_is_not_asked_for_twice)
{
    struct qos_config c = pool(1000);
    struct script *s = learnt(&c);

    if (_i == 0)
        c.rate_bps = 2 * ARTICLE;
    else
        c.providers[0].rate_bps = c.providers[1].rate_bps = ARTICLE;
    ck_assert_int_eq(qos_resize(s->q, s->now, &c), 0);
    unsigned op = script_submit(s, demand(), 4);
    pass(s, 5 * S);
    ck_assert_uint_eq(s->lates, 0);
    for (unsigned i = 0; i < 4; i++)
        script_answer(s, op + i, QOS_OK);

    /* Nor what a single one costs, while the limit would be at it for as long. */
    script_submit(s, demand(), 1);
    pass(s, 5 * S);
    ck_assert_uint_eq(s->lates, 0);
    script_free(s);
}
END_TEST

START_TEST(under_a_rate_limit_that_has_room_stragglers_are_asked_for_twice)
{
    struct qos_config c = pool(1000);
    c.rate_bps = 100 * ARTICLE;
    struct script *s = learnt(&c);

    script_submit(s, demand(), 1);
    pass(s, 150 * MS);
    ck_assert_uint_eq(s->lates, 1);
    expect_at(s, s->nops - 1, (int)s->conns[s->ops[s->nops - 1].conn].provider);
    script_free(s);
}
END_TEST

/* One provider, far away: what follows another comes 300 ms after it, what is sent alone after 500 ms. */
START_TEST(who_is_alone_on_a_connection_is_not_late_for_the_round_trip_that_others_saved)
{
    struct qos_config c = pool(1000);
    c.nproviders = 1;
    c.classes[TRAFFIC_STREAMING].burst = 4;
    c.classes[TRAFFIC_QUEUE].burst = c.classes[TRAFFIC_HEALTH].burst = 4;
    struct script *s = script_new(&c);
    struct qos_want ahead = demand();
    s->hedges = true;

    ahead.urgency = URGENCY_READAHEAD;
    ahead.deadline = 0;
    unsigned first = script_submit(s, demand(), 4);
    script_connect(s, -1);
    s->now += 200 * MS;
    for (unsigned k = first; k < first + 4; k++)
        qos_op_begun(s->q, s->now, s->ops[k].handle);
    script_submit(s, ahead, 120);
    while (script_count(s, -1, SC_BUSY)) {
        pass(s, 250 * MS);
        for (unsigned k = 0; k < s->nops; k++)
            s->ops[k].brings = ARTICLE;
        script_tick(s);
    }
    ck_assert_uint_eq(s->lates, 0);
    script_submit(s, demand(), 1);
    pass(s, 500 * MS);
    ck_assert_uint_eq(s->lates, 0);
    pass(s, 300 * MS);
    ck_assert_uint_eq(s->lates, 1);
    script_free(s);
}
END_TEST

START_TEST(a_long_good_time_buys_no_storm_of_twins)
{
    struct qos_config c = pool(500);
    struct script *s = learnt(&c);

    for (unsigned i = 0; i < 100; i++) {
        script_submit(s, demand(), 1);
        pass(s, 150 * MS);
        script_tick(s);
        s->ops[s->nops - 1].brings = ARTICLE;
    }
    uint64_t before = script_stats(s).classes[TRAFFIC_STREAMING].hedged;
    for (unsigned i = 0; i < 50;
         i++) { /* nothing is answered from here on but twins, with nothing */
        script_submit(s, demand(), 1);
        pass(s, S);
        if (s->ops[s->nops - 1].twin_of >= 0 && !s->ops[s->nops - 1].ended)
            script_answer(s, s->nops - 1, QOS_NOT_HERE);
    }
    ck_assert_uint_le(script_stats(s).classes[TRAFFIC_STREAMING].hedged - before, 12);
    script_free(s);
}
END_TEST

START_TEST(nothing_is_late_where_no_share_is_set_or_little_is_known)
{
    struct qos_config c = pool(0);
    struct script *s = learnt(&c);

    script_submit(s, demand(), 1);
    pass(s, 10 * S);
    ck_assert_uint_eq(s->lates, 0);
    script_free(s);

    c = pool(1000);
    s = script_new(&c);
    s->hedges = true;
    learn(s, 24); /* twelve each */
    script_submit(s, demand(), 1);
    pass(s, 10 * S);
    ck_assert_uint_eq(s->lates, 0);
    script_free(s);
}
END_TEST

START_TEST(only_what_was_called_late_gets_a_twin_and_one_of_them)
{
    struct qos_config c = pool(100);
    struct script *s = learnt(&c);
    qos_op twin;

    s->hedges = false;
    unsigned op = script_submit(s, demand(), 1);
    ck_assert_int_eq(qos_hedge(s->q, s->now, s->ops[op].handle, NULL, &twin), -EAGAIN);
    ck_assert_int_eq(qos_hedge(s->q, s->now, 0, NULL, &twin), -EAGAIN);
    ck_assert_uint_eq(twin, 0);
    s->hedges = true;
    pass(s, 200 * MS);
    ck_assert_uint_eq(s->lates, 1);
    ck_assert_int_eq(qos_hedge(s->q, s->now, s->ops[op].handle, NULL, &twin), -EAGAIN);
    script_answer(s, op, QOS_OK);
    ck_assert_int_eq(qos_hedge(s->q, s->now, s->ops[op].handle, NULL, &twin), -EAGAIN);
    script_free(s);
}
END_TEST

START_TEST(a_cap_on_the_stream_holds_for_twins)
{
    struct qos_config c = pool(100);
    struct script *s = learnt(&c);

    c.classes[TRAFFIC_STREAMING].per_stream = 1;
    ck_assert_int_eq(qos_resize(s->q, s->now, &c), 0);
    script_submit(s, demand(), 1);
    pass(s, 10 * S);
    ck_assert_uint_eq(s->lates, 0);
    script_free(s);
}
END_TEST

START_TEST(a_twin_at_hand_when_all_is_shut_ends)
{
    struct qos_config c = pool(100);
    struct script *s = learnt(&c);
    struct qos_order o;

    s->hedges = false;
    unsigned op = script_submit(s, demand(), 1);
    s->now += 200 * MS;
    ck_assert(qos_next(s->q, s->now, &o) && o.kind == QOS_LATE && o.op == s->ops[op].handle);
    s->ops[s->nops++] = (struct script_op){.conn = -1, .twin_of = (int)op};
    qos_op twin;
    void *cookie = (void *)(uintptr_t)(s->nops - 1);
    ck_assert_int_eq(qos_hedge(s->q, s->now, o.op, cookie, &twin), 0);
    qos_shut(s->q, s->now);
    script_run(s);
    expect_end(s, s->nops - 1, QOS_CANCELLED);
    script_free(s);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("hedge");
    tcase_add_test(t, what_a_reader_waits_for_and_is_late_is_asked_of_another_provider_too);
    tcase_add_test(t, what_nobody_waits_for_is_never_late);
    tcase_add_test(t, a_twin_takes_the_same_provider_where_the_other_lacks_the_article);
    tcase_add_test(t, with_no_connection_to_spare_nothing_is_asked_for_twice_until_one_is_free);
    tcase_add_loop_test(t, a_twin_is_one_attempt_whatever_comes_of_it, 0, 5);
    tcase_add_test(t, a_twin_whose_connection_is_lost_has_failed);
    tcase_add_test(t, never_more_than_the_share_is_asked_for_twice);
    tcase_add_test(t, the_first_stragglers_are_asked_for_twice_and_no_more_than_four);
    tcase_add_loop_test(t, what_a_twin_brings_beyond_what_was_said_is_paid_for_however_it_ends, 0,
                        3);
    tcase_add_test(t, what_may_have_come_while_nobody_looked_is_not_late);
    tcase_add_test(t, an_overloaded_machine_asks_for_nothing_twice);
    tcase_add_loop_test(t, what_a_rate_limit_keeps_waiting_is_not_asked_for_twice, 0, 2);
    tcase_add_test(t, under_a_rate_limit_that_has_room_stragglers_are_asked_for_twice);
    tcase_add_test(t,
                   who_is_alone_on_a_connection_is_not_late_for_the_round_trip_that_others_saved);
    tcase_add_test(t, a_long_good_time_buys_no_storm_of_twins);
    tcase_add_test(t, nothing_is_late_where_no_share_is_set_or_little_is_known);
    tcase_add_test(t, only_what_was_called_late_gets_a_twin_and_one_of_them);
    tcase_add_test(t, a_cap_on_the_stream_holds_for_twins);
    tcase_add_test(t, a_twin_at_hand_when_all_is_shut_ends);
    Suite *suite = suite_create("qos/hedge");
    suite_add_tcase(suite, t);
    SRunner *r = srunner_create(suite);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
