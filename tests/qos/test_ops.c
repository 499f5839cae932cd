#include "tests/qos/script.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What operations live through: turns, caps, deadlines, promotion, cancellation, resize, shutdown. */

#define DEMAND(...) ((struct qos_want){.class = TRAFFIC_STREAMING, __VA_ARGS__})
#define AHEAD(...)                                                                                 \
    ((struct qos_want){.class = TRAFFIC_STREAMING, .urgency = URGENCY_READAHEAD, __VA_ARGS__})

static struct qos_config one(unsigned connections)
{
    struct qos_config cfg = {.nproviders = 1, .providers = {{.connections = connections}}};
    for (unsigned i = 0; i < TRAFFIC_CLASSES; i++)
        cfg.classes[i].burst = connections;
    return cfg;
}

/* --- order --- */

START_TEST(demand_overtakes_readahead_and_readahead_overtakes_scan)
{
    struct qos_config cfg = one(1);
    struct script *s = script_new(&cfg);
    unsigned busy = script_submit(s, AHEAD(), 1);
    script_connect(s, -1);
    unsigned scan = script_submit(
        s, ((struct qos_want){.class = TRAFFIC_STREAMING, .urgency = URGENCY_SCAN}), 1);
    unsigned ahead = script_submit(s, AHEAD(.stream = 2), 1);
    unsigned demand = script_submit(s, DEMAND(.stream = 3), 1);
    script_answer(s, busy, QOS_OK);
    expect_at(s, demand, 0);
    script_answer(s, demand, QOS_OK);
    expect_at(s, ahead, 0);
    script_answer(s, ahead, QOS_OK);
    expect_at(s, scan, 0);
    script_free(s);
}
END_TEST

START_TEST(a_promoted_operation_overtakes)
{
    struct qos_config cfg = one(1);
    struct script *s = script_new(&cfg);
    unsigned a = script_submit(s, AHEAD(), 5);
    script_connect(s, -1);
    qos_promote(s->q, s->now, s->ops[a + 4].handle, URGENCY_DEMAND, 0);
    qos_promote(s->q, s->now, s->ops[a + 4].handle, URGENCY_SCAN, 0); /* never less urgent */
    script_answer(s, a, QOS_OK);
    expect_at(s, a + 4, 0);
    script_free(s);
}
END_TEST

START_TEST(jobs_take_turns_and_keep_their_order_inside)
{
    struct qos_config cfg = one(1);
    struct script *s = script_new(&cfg);
    struct qos_want job = {.class = TRAFFIC_QUEUE, .stream = 1};
    unsigned a = script_submit(s, job, 4);
    job.stream = 2;
    unsigned b = script_submit(s, job, 4);
    script_connect(s, -1);
    for (unsigned i = 0; i < 8; i++)
        script_tick(s);
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_uint_eq(s->ops[a + i].order, 2 * i + 1);
        ck_assert_uint_eq(s->ops[b + i].order, 2 * i + 2);
    }
    script_free(s);
}
END_TEST

/** Operations of another job that were sent between the submission of a job of three and its last START. */
static unsigned delay_of_three(struct qos_want other, unsigned connections, enum qos_outcome how,
                               uint64_t brings)
{
    struct qos_config cfg = one(connections);
    cfg.providers[0].pipelining = 4;
    cfg.attempts = 15;
    cfg.classes[other.class].guaranteed = 1;
    struct script *s = script_new(&cfg);
    other.stream = 1;
    unsigned a = script_submit(s, other, 7000);
    for (unsigned i = 0; i < 7000; i++)
        s->ops[a + i].brings = brings;
    script_connect(s, -1);
    for (unsigned i = 0; i < 1000; i++)
        script_answer(s, s->conns[i % connections].ops[0], how);
    other.stream = 2;
    unsigned before = s->nstarts, b = script_submit(s, other, 3);
    for (unsigned i = 0; !s->ops[b + 2].sent; i++)
        script_answer(s, s->conns[i % connections].ops[0], how);
    unsigned delay = s->nstarts - before - 3;
    script_free(s);
    return delay;
}

START_TEST(a_job_of_thousands_of_stats_delays_a_job_of_three_by_a_stat_each)
{
    struct qos_want stat = {.class = TRAFFIC_HEALTH, .verb = SEGMENT_STAT};
    ck_assert_uint_le(delay_of_three(stat, 1, QOS_OK, 0), 3);
    ck_assert_uint_le(delay_of_three(stat, 1, QOS_OK, 60), 3);
    ck_assert_uint_le(delay_of_three(stat, 20, QOS_OK, 60), 3);
}
END_TEST

START_TEST(a_job_whose_articles_are_all_missing_delays_a_job_of_three_by_as_many_bytes)
{
    struct qos_want body = {.class = TRAFFIC_QUEUE};
    /* Till it is known better its three are taken for articles, each worth 47 round trips. */
    ck_assert_uint_le(delay_of_three(body, 1, QOS_NOT_HERE, 40), 3 * 47);
    ck_assert_uint_le(delay_of_three(body, 20, QOS_NOT_HERE, 40), 3 * 47);
}
END_TEST

START_TEST(a_job_of_thousands_of_articles_delays_a_job_of_three_by_an_article_each)
{
    struct qos_want body = {.class = TRAFFIC_QUEUE};
    ck_assert_uint_le(delay_of_three(body, 1, QOS_OK, 750000), 3);
    ck_assert_uint_le(delay_of_three(body, 20, QOS_OK, 750000), 3);
}
END_TEST

/** Jain's index of n figures. */
static double jain(const double *x, unsigned n)
{
    double sum = 0, squares = 0;
    for (unsigned i = 0; i < n; i++) {
        sum += x[i];
        squares += x[i] * x[i];
    }
    return sum * sum / (n * squares);
}

START_TEST(twelve_streams_share_evenly_in_bytes_whatever_the_size_of_their_articles)
{
    struct qos_config cfg = one(7);
    struct script *s = script_new(&cfg);
    uint64_t size[12];
    for (unsigned i = 0; i < 12; i++) {
        size[i] = 100000 + 70000 * i;
        script_submit(s, AHEAD(.stream = 100 + i, .bytes = size[i]), 600);
    }
    script_connect(s, -1);
    for (unsigned i = 0; i < 300; i++)
        script_tick(s);
    double bytes[12] = {0};
    for (unsigned k = 0; k < s->nops; k++) {
        if (s->ops[k].ended)
            bytes[s->ops[k].want.stream - 100] += (double)s->ops[k].want.bytes;
    }
    ck_assert_msg(jain(bytes, 12) >= 0.99, "Jain's index is %f", jain(bytes, 12));
    script_free(s);
}
END_TEST

START_TEST(streams_of_very_small_articles_take_turns_as_well)
{
    struct qos_config cfg = one(20);
    struct script *s = script_new(&cfg);
    for (unsigned i = 0; i < 12; i++) {
        unsigned first = script_submit(s, AHEAD(.stream = 100 + i, .bytes = 1300), 300);
        for (unsigned k = 0; k < 300; k++)
            s->ops[first + k].brings = 1300;
    }
    script_connect(s, -1);
    for (unsigned i = 0; i < 50; i++)
        script_tick(s);
    double sent[12] = {0};
    for (unsigned k = 0; k < s->nops; k++)
        sent[s->ops[k].want.stream - 100] += s->ops[k].ended;
    ck_assert_msg(jain(sent, 12) >= 0.99, "Jain's index is %f", jain(sent, 12));
    script_free(s);
}
END_TEST

START_TEST(a_stream_whose_retry_waits_in_a_lane_of_its_own_is_not_behind_a_new_one)
{
    struct qos_config cfg = one(2);
    cfg.nproviders = 2;
    cfg.providers[1] = (struct qos_provider_config){.connections = 1};
    cfg.classes[TRAFFIC_STREAMING].burst = 3;
    struct script *s = script_new(&cfg);
    unsigned a = script_submit(s, AHEAD(.stream = 1), 300);
    script_connect(s, -1);
    for (unsigned i = 0; i < 99; i++)
        script_tick(s); /* alone, for 200 MB */
    unsigned last = a;
    while (s->ops[last].conn < 0 || s->conns[s->ops[last].conn].provider)
        last++;
    for (unsigned i = a; i < a + 300; i++) {
        if (!s->ops[i].sent)
            qos_cancel(s->q, s->now, s->ops[i].handle);
    }
    script_run(s);
    script_submit(s, AHEAD(.stream = 2), 300);
    script_answer(s, last, QOS_NOT_HERE); /* now it is the other provider's, in a lane of its own */
    unsigned ticks = 0;
    while (!s->ops[last].ended && ticks++ < 300)
        script_tick(s);
    ck_assert_uint_le(ticks, 30);
    script_free(s);
}
END_TEST

START_TEST(what_counts_is_what_was_brought_and_not_what_was_expected)
{
    struct qos_config cfg = one(1);
    struct script *s = script_new(&cfg);
    unsigned large = script_submit(s, AHEAD(.stream = 1), 100);
    unsigned small = script_submit(s, AHEAD(.stream = 2), 100);
    for (unsigned i = 0; i < 100; i++) {
        s->ops[large + i].brings = 1500000;
        s->ops[small + i].brings = 500000;
    }
    script_connect(s, -1);
    for (unsigned i = 0; i < 80; i++)
        script_tick(s);
    unsigned served = 0;
    for (unsigned i = 0; i < 100; i++)
        served += s->ops[small + i].ended;
    ck_assert_uint_ge(served, 58); /* three to one */
    ck_assert_uint_le(served, 62);
    script_free(s);
}
END_TEST

START_TEST(a_stream_that_was_away_has_saved_up_no_turns)
{
    struct qos_config cfg = one(1);
    struct script *s = script_new(&cfg);
    script_submit(s, AHEAD(.stream = 1), 200);
    script_connect(s, -1);
    for (unsigned i = 0; i < 100; i++)
        script_tick(s);
    unsigned late = script_submit(s, AHEAD(.stream = 2), 50);
    for (unsigned i = 0; i < 20; i++)
        script_tick(s);
    unsigned served = 0;
    for (unsigned i = 0; i < 50; i++)
        served += s->ops[late + i].ended;
    ck_assert_uint_ge(served, 9);
    ck_assert_uint_le(served, 11);
    script_free(s);
}
END_TEST

START_TEST(a_stream_that_was_busy_with_one_operation_has_saved_up_no_turns)
{
    struct qos_config cfg = one(2);
    struct script *s = script_new(&cfg);
    unsigned slow = script_submit(s, AHEAD(.stream = 2), 1);
    script_submit(s, AHEAD(.stream = 1), 300);
    script_connect(s, -1);
    ck_assert_int_ge(s->ops[slow].conn, 0);
    unsigned other = s->ops[slow].conn == 0 ? 1 : 0;
    for (unsigned i = 0; i < 100; i++)
        script_answer(s, s->conns[other].ops[0], QOS_OK);
    unsigned more = script_submit(s, AHEAD(.stream = 2), 50);
    for (unsigned i = 0; i < 20; i++)
        script_answer(s, s->conns[other].ops[0], QOS_OK);
    unsigned served = 0;
    for (unsigned i = 0; i < 50; i++)
        served += s->ops[more + i].ended;
    ck_assert_uint_ge(served, 9);
    ck_assert_uint_le(served, 11);
    script_free(s);
}
END_TEST

START_TEST(a_stream_held_back_by_its_cap_is_owed_no_more_than_a_little)
{
    struct qos_config cfg = one(2);
    cfg.classes[TRAFFIC_STREAMING].per_stream = 1;
    struct script *s = script_new(&cfg);
    script_submit(s, AHEAD(.stream = 1), 300);
    unsigned a = script_submit(s, AHEAD(.stream = 2), 200);
    script_connect(s, -1);
    unsigned slow = 0;
    while (s->conns[slow].ops[0] < a)
        slow++;
    for (unsigned i = 0; i < 150; i++) /* one answer of the second stream does not come */
        script_answer(s, s->conns[!slow].ops[0], QOS_OK);
    cfg.classes[TRAFFIC_STREAMING].per_stream = 0;
    ck_assert_int_eq(qos_resize(s->q, s->now, &cfg), 0);
    script_run(s);
    unsigned before = (unsigned)script_stats(s).classes[TRAFFIC_STREAMING].done, second = 0;
    for (unsigned i = 0; i < 60; i++)
        script_answer(s, s->conns[!slow].ops[0], QOS_OK);
    for (unsigned i = a; i < a + 200; i++)
        second += s->ops[i].ended;
    ck_assert_uint_eq(script_stats(s).classes[TRAFFIC_STREAMING].done, before + 60);
    ck_assert_uint_ge(second, 30);
    ck_assert_uint_le(second, 45); /* 16 MiB in advance, then in turn */
    script_free(s);
}
END_TEST

/* Who is blocked goes first, and is charged for it. Who waited behind that does not get all of it back. */
START_TEST(what_a_stream_had_by_demand_is_not_held_against_its_readahead_in_full)
{
    struct qos_config cfg = one(1);
    struct script *s = script_new(&cfg);
    script_submit(s, AHEAD(.stream = 1), 200);
    unsigned behind = script_submit(s, AHEAD(.stream = 2), 1);
    script_submit(s, ((struct qos_want){.class = TRAFFIC_STREAMING, .stream = 2}), 150);
    script_connect(s, -1);
    for (unsigned i = 0; i < 150; i++)
        script_tick(s);
    unsigned ticks = 0;
    while (!s->ops[behind].ended && ticks < 200) {
        script_tick(s);
        ticks++;
    }
    ck_assert_uint_le(ticks, 30); /* 16 MiB are 22 articles */
    script_free(s);
}
END_TEST

START_TEST(a_stream_far_ahead_is_not_shut_out_when_others_come)
{
    struct qos_config cfg = one(1);
    struct script *s = script_new(&cfg);
    script_submit(s, AHEAD(.stream = 1), 200);
    script_connect(s, -1);
    for (unsigned i = 0; i < 199; i++)
        script_tick(s); /* it had the pool to itself, and its last one is in flight */
    script_submit(s, AHEAD(.stream = 2), 100);
    unsigned more = script_submit(s, AHEAD(.stream = 1), 100);
    for (unsigned i = 0; i < 70; i++)
        script_tick(s);
    unsigned served = 0;
    for (unsigned i = 0; i < 100; i++)
        served += s->ops[more + i].ended;
    ck_assert_uint_ge(served, 33); /* in turn from now on */
    ck_assert_uint_le(served, 36);
    script_free(s);
}
END_TEST

START_TEST(a_stream_with_a_cap_of_five_never_holds_six)
{
    struct qos_config cfg = one(20);
    cfg.classes[TRAFFIC_STREAMING].per_stream = 5;
    cfg.providers[0].pipelining = 2;
    struct script *s = script_new(&cfg);
    script_submit(s, AHEAD(), 100);
    ck_assert_uint_eq(s->opens, 5);
    script_connect(s, -1);
    for (unsigned i = 0; i < 5; i++) {
        ck_assert_uint_eq(script_count(s, 0, SC_BUSY), 5);
        script_tick(s);
    }
    script_submit(s, AHEAD(.stream = 2), 100);
    script_connect(s, -1);
    ck_assert_uint_eq(script_count(s, 0, SC_BUSY), 10);
    ck_assert_uint_eq(s->opens, 10);
    script_free(s);
}
END_TEST

/* --- deadlines --- */

START_TEST(an_operation_that_waits_too_long_times_out)
{
    struct qos_config cfg = one(1);
    struct script *s = script_new(&cfg);
    unsigned a = script_submit(s, DEMAND(), 1);
    script_connect(s, -1);
    unsigned b = script_submit(s, DEMAND(.deadline = 3 * S), 1);
    unsigned c = script_submit(s, DEMAND(.deadline = 4 * S), 1);
    ck_assert_uint_eq(qos_wake(s->q), 3 * S);
    script_at(s, 3 * S - 1);
    ck_assert(!s->ops[b].ended);
    script_at(s, 3 * S);
    expect_end(s, b, QOS_TIMEOUT);
    script_answer(s, a, QOS_OK);
    expect_at(s, c, 0);
    script_free(s);
}
END_TEST

START_TEST(in_flight_a_deadline_ends_nothing_but_further_attempts)
{
    struct qos_config cfg = one(2);
    struct script *s = script_new(&cfg);
    unsigned a = script_submit(s, DEMAND(.deadline = 2 * S), 2);
    script_connect(s, -1);
    script_at(s, 3 * S);
    ck_assert(!s->ops[a].ended); /* its memory is still being written to */
    script_answer(s, a, QOS_OK);
    expect_end(s, a, QOS_DONE);
    script_gone(s, (unsigned)s->ops[a + 1].conn, QOS_GONE_SILENT, true);
    expect_end(s, a + 1, QOS_TIMEOUT);
    script_free(s);
}
END_TEST

START_TEST(a_promotion_may_set_another_deadline)
{
    struct qos_config cfg = one(1);
    struct script *s = script_new(&cfg);
    unsigned a = script_submit(s, AHEAD(.deadline = 9 * S), 1);
    qos_promote(s->q, s->now, s->ops[a].handle, URGENCY_DEMAND, 5 * S);
    script_at(s, 5 * S);
    expect_end(s, a, QOS_TIMEOUT);
    script_free(s);
}
END_TEST

/* --- cancellation --- */

START_TEST(what_was_not_sent_is_withdrawn_at_once)
{
    struct qos_config cfg = one(1);
    struct script *s = script_new(&cfg);
    unsigned a = script_submit(s, DEMAND(), 2);
    script_connect(s, -1);
    qos_cancel(s->q, s->now, s->ops[a + 1].handle);
    script_run(s);
    expect_end(s, a + 1, QOS_CANCELLED);
    script_answer(s, a, QOS_OK);
    ck_assert_uint_eq(s->nstarts, 1);
    script_free(s);
}
END_TEST

START_TEST(what_was_sent_runs_to_its_end_and_is_not_sent_again)
{
    struct qos_config cfg = one(2);
    struct script *s = script_new(&cfg);
    unsigned a = script_submit(s, DEMAND(), 2);
    script_connect(s, -1);
    qos_cancel(s->q, s->now, s->ops[a].handle);
    qos_cancel(s->q, s->now, s->ops[a + 1].handle);
    script_run(s);
    ck_assert(!s->ops[a].ended);
    script_answer(s, a, QOS_OK);
    expect_end(s, a, QOS_DONE);
    script_gone(s, (unsigned)s->ops[a + 1].conn, QOS_GONE_BROKEN, true);
    expect_end(s, a + 1, QOS_CANCELLED);
    script_free(s);
}
END_TEST

START_TEST(what_the_asker_has_no_room_for_is_not_tried_elsewhere)
{
    struct qos_config cfg = one(1);
    cfg.nproviders = 2;
    cfg.providers[1].connections = 1;
    struct script *s = script_new(&cfg);
    unsigned a = script_submit(s, DEMAND(), 1);
    script_connect(s, -1);
    script_answer(s, a, QOS_NO_ROOM);
    expect_end(s, a, QOS_REJECTED);
    script_free(s);
}
END_TEST

START_TEST(a_full_table_is_said_and_harms_nothing)
{
    struct qos_config cfg = one(1);
    struct qos *q = qos_new(&cfg, &(struct qos_limits){.ops = 2, .conns = 1, .streams = 1});
    struct qos_want w = DEMAND(.stream = 1);
    qos_op op, other;
    ck_assert_int_eq(qos_submit(q, 1, &w, &op), 0);
    w.stream = 2;
    ck_assert_int_eq(qos_submit(q, 1, &w, &other), -ENOSPC); /* streams */
    w.stream = 1;
    ck_assert_int_eq(qos_submit(q, 1, &w, &other), 0);
    ck_assert_int_eq(qos_submit(q, 1, &w, &other), -ENOSPC); /* operations */
    ck_assert_ptr_null(qos_check(q));
    qos_free(q);
}
END_TEST

/* --- resize and shutdown --- */

START_TEST(leases_above_a_lowered_cap_drain_and_waiters_stay)
{
    struct qos_config cfg = one(10);
    struct script *s = script_new(&cfg);
    script_submit(s, DEMAND(), 50);
    script_connect(s, -1);
    expect_leases(s, 0, 0, 10);
    struct qos_config less = one(10);
    less.classes[TRAFFIC_STREAMING].burst = 4;
    ck_assert_int_eq(qos_resize(s->q, s->now, &less), 0);
    script_run(s);
    expect_leases(s, 0, 0, 10); /* nobody is failed */
    script_tick(s);
    expect_leases(s, 0, 0, 4);
    ck_assert_int_eq(qos_resize(s->q, s->now, &cfg), 0);
    script_run(s);
    expect_leases(s, 0, 0, 10);
    for (unsigned i = 0; i < s->nops; i++)
        ck_assert(!s->ops[i].ended || s->ops[i].verdict == QOS_DONE);
    script_free(s);
}
END_TEST

START_TEST(a_provider_with_fewer_connections_is_closed_down_to_them)
{
    struct qos_config cfg = one(10), less = one(3);
    struct script *s = script_new(&cfg);
    unsigned a = script_submit(s, DEMAND(), 10);
    script_connect(s, -1);
    for (unsigned i = 0; i < 4; i++)
        script_answer(s, a + i, QOS_OK);
    ck_assert_int_eq(qos_resize(s->q, s->now, &less), 0);
    script_run(s);
    ck_assert_uint_eq(s->closes, 4); /* the idle ones */
    script_submit(s, DEMAND(), 20);
    script_tick(s);
    ck_assert_uint_eq(s->closes, 7);
    ck_assert_uint_eq(s->opens, 10);
    ck_assert_uint_eq(script_count(s, 0, SC_BUSY), 3);
    script_free(s);
}
END_TEST

START_TEST(an_operation_whose_last_provider_is_removed_ends)
{
    struct qos_config cfg = one(1);
    cfg.nproviders = 2;
    cfg.providers[1].connections = 1;
    struct script *s = script_new(&cfg);
    unsigned a = script_submit(s, DEMAND(), 1);
    script_connect(s, -1);
    script_answer(s, a, QOS_NOT_HERE);
    struct qos_config less = cfg;
    less.providers[1].connections = 0;
    ck_assert_int_eq(qos_resize(s->q, s->now, &less), 0);
    script_run(s);
    expect_end(s, a, QOS_MISSING);
    script_free(s);
}
END_TEST

START_TEST(a_bad_resize_changes_nothing)
{
    struct qos_config cfg = one(4), bad = one(4);
    bad.classes[TRAFFIC_QUEUE].guaranteed = 5;
    struct script *s = script_new(&cfg);
    script_submit(s, DEMAND(), 10);
    ck_assert_int_eq(qos_resize(s->q, s->now, &bad), -EINVAL);
    bad = cfg;
    bad.nproviders = 0;
    ck_assert_int_eq(qos_resize(s->q, s->now, &bad), -EINVAL);
    script_run(s);
    expect_leases(s, 0, 0, 4);
    script_free(s);
}
END_TEST

START_TEST(shutting_down_ends_every_operation_and_closes_every_connection)
{
    struct qos_config cfg = one(4);
    struct script *s = script_new(&cfg);
    unsigned a = script_submit(s, DEMAND(), 3);
    script_connect(s, -1);
    unsigned b = script_submit(s, DEMAND(), 3); /* the fourth connection is being opened */
    qos_shut(s->q, s->now);
    script_run(s);
    for (unsigned i = 0; i < 3; i++)
        expect_end(s, b + i, QOS_CANCELLED);
    ck_assert_uint_eq(s->closes, 4);
    for (unsigned i = 0; i < 4; i++)
        script_gone(s, i, QOS_GONE_CLOSED, true);
    for (unsigned i = 0; i < 3; i++)
        expect_end(s, a + i, QOS_CANCELLED);
    unsigned c = script_submit(s, DEMAND(), 1);
    expect_end(s, c, QOS_CANCELLED);
    ck_assert_uint_eq(script_stats(s).providers[0].sockets, 0);
    script_free(s);
}
END_TEST

START_TEST(figures_add_up)
{
    struct qos_config cfg = one(3);
    cfg.classes[TRAFFIC_STREAMING].guaranteed = 2;
    struct script *s = script_new(&cfg);
    script_submit(s, DEMAND(), 5);
    script_connect(s, -1);
    struct qos_stats st = script_stats(s);
    ck_assert_uint_eq(st.classes[TRAFFIC_STREAMING].waiting, 2);
    ck_assert_uint_eq(st.leased_total, 3);
    ck_assert_uint_eq(st.providers[0].leased, 3);
    for (unsigned i = 0; i < 3; i++)
        script_tick(s);
    st = script_stats(s);
    uint64_t waits = 0;
    for (unsigned i = 0; i < QOS_HIST; i++)
        waits += st.classes[TRAFFIC_STREAMING].wait[i];
    ck_assert_uint_eq(waits, 5);
    ck_assert_uint_eq(st.classes[TRAFFIC_STREAMING].done, 5);
    ck_assert_uint_eq(st.providers[0].started, 5);
    ck_assert_uint_eq(st.providers[0].ok, 5);
    ck_assert_uint_eq(st.leased_total, 0);
    ck_assert_uint_gt(st.classes[TRAFFIC_STREAMING].granted_guarantee, 0);
    ck_assert_uint_gt(st.classes[TRAFFIC_STREAMING].granted_burst, 0);
    script_free(s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("qos/ops");
    TCase *t = tcase_create("order");
    tcase_add_test(t, demand_overtakes_readahead_and_readahead_overtakes_scan);
    tcase_add_test(t, a_promoted_operation_overtakes);
    tcase_add_test(t, jobs_take_turns_and_keep_their_order_inside);
    tcase_add_test(t, a_job_of_thousands_of_stats_delays_a_job_of_three_by_a_stat_each);
    tcase_add_test(t, a_job_whose_articles_are_all_missing_delays_a_job_of_three_by_as_many_bytes);
    tcase_add_test(t, a_job_of_thousands_of_articles_delays_a_job_of_three_by_an_article_each);
    tcase_add_test(t, twelve_streams_share_evenly_in_bytes_whatever_the_size_of_their_articles);
    tcase_add_test(t, streams_of_very_small_articles_take_turns_as_well);
    tcase_add_test(t, a_stream_whose_retry_waits_in_a_lane_of_its_own_is_not_behind_a_new_one);
    tcase_add_test(t, what_counts_is_what_was_brought_and_not_what_was_expected);
    tcase_add_test(t, a_stream_that_was_away_has_saved_up_no_turns);
    tcase_add_test(t, a_stream_that_was_busy_with_one_operation_has_saved_up_no_turns);
    tcase_add_test(t, a_stream_held_back_by_its_cap_is_owed_no_more_than_a_little);
    tcase_add_test(t, what_a_stream_had_by_demand_is_not_held_against_its_readahead_in_full);
    tcase_add_test(t, a_stream_far_ahead_is_not_shut_out_when_others_come);
    tcase_add_test(t, a_stream_with_a_cap_of_five_never_holds_six);
    suite_add_tcase(suite, t);
    t = tcase_create("ends");
    tcase_add_test(t, an_operation_that_waits_too_long_times_out);
    tcase_add_test(t, in_flight_a_deadline_ends_nothing_but_further_attempts);
    tcase_add_test(t, a_promotion_may_set_another_deadline);
    tcase_add_test(t, what_was_not_sent_is_withdrawn_at_once);
    tcase_add_test(t, what_was_sent_runs_to_its_end_and_is_not_sent_again);
    tcase_add_test(t, what_the_asker_has_no_room_for_is_not_tried_elsewhere);
    tcase_add_test(t, a_full_table_is_said_and_harms_nothing);
    suite_add_tcase(suite, t);
    t = tcase_create("changes");
    tcase_add_test(t, leases_above_a_lowered_cap_drain_and_waiters_stay);
    tcase_add_test(t, a_provider_with_fewer_connections_is_closed_down_to_them);
    tcase_add_test(t, an_operation_whose_last_provider_is_removed_ends);
    tcase_add_test(t, a_bad_resize_changes_nothing);
    tcase_add_test(t, shutting_down_ends_every_operation_and_closes_every_connection);
    tcase_add_test(t, figures_add_up);
    suite_add_tcase(suite, t);
    SRunner *r = srunner_create(suite);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
