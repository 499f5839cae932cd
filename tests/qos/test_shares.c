#include "tests/qos/script.h"

#include <stdlib.h>
#include <string.h>

/* Who gets the slots: the grant rule, guarantees, bursts, weights, reclaim, pipelining. */

#define QUEUE(...)     ((struct qos_want){.class = TRAFFIC_QUEUE, .stream = 1, __VA_ARGS__})
#define HEALTH(...)    ((struct qos_want){.class = TRAFFIC_HEALTH, .stream = 1, __VA_ARGS__})
#define STREAMING(...) ((struct qos_want){.class = TRAFFIC_STREAMING, .stream = 1, __VA_ARGS__})

/** The configuration of the worked example, with so many operations in flight on a connection. */
static struct qos_config worked(unsigned pipelining)
{
    return (struct qos_config){
        .nproviders = 2,
        .providers = {{.connections = 100, .pipelining = pipelining},
                      {.connections = 45, .pipelining = pipelining}},
        .classes = {[TRAFFIC_QUEUE] = {.guaranteed = 30, .burst = 145},
                    [TRAFFIC_HEALTH] = {.guaranteed = 60, .burst = 60},
                    [TRAFFIC_STREAMING] = {.guaranteed = 55, .burst = 145}},
    };
}

static struct qos_config small(unsigned connections, unsigned queue, unsigned health,
                               unsigned streaming)
{
    return (struct qos_config){
        .nproviders = 1,
        .providers = {{.connections = connections}},
        .classes = {[TRAFFIC_QUEUE] = {.guaranteed = queue, .burst = connections},
                    [TRAFFIC_HEALTH] = {.guaranteed = health, .burst = connections},
                    [TRAFFIC_STREAMING] = {.guaranteed = streaming, .burst = connections}},
    };
}

static void ticks(struct script *s, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        script_connect(s, -1);
        script_tick(s);
    }
}

static const unsigned depths[] = {1, 2, 4};

START_TEST(queue_alone_has_every_connection)
{
    struct qos_config cfg = worked(depths[_i]);
    struct script *s = script_new(&cfg);
    script_submit(s, QUEUE(), 2000);
    expect_leases(s, 145, 0, 0);
    ticks(s, 4);
    expect_leases(s, 145, 0, 0);
    script_free(s);
}
END_TEST

START_TEST(queue_and_health_share_85_to_60)
{
    struct qos_config cfg = worked(depths[_i]);
    struct script *s = script_new(&cfg);
    script_submit(s, QUEUE(), 3000);
    script_submit(s, HEALTH(), 2000);
    ticks(s, 5);
    expect_leases(s, 85, 60, 0);
    script_free(s);
}
END_TEST

START_TEST(all_three_have_exactly_their_guarantees)
{
    struct qos_config cfg = worked(depths[_i]);
    struct script *s = script_new(&cfg);
    script_submit(s, QUEUE(), 3000);
    script_submit(s, HEALTH(), 2000);
    script_submit(s, STREAMING(), 2000);
    ticks(s, 6);
    expect_leases(s, 30, 60, 55);
    script_free(s);
}
END_TEST

START_TEST(what_health_leaves_is_shared_by_weight_51_to_94)
{
    struct qos_config cfg = worked(depths[_i]);
    struct script *s = script_new(&cfg);
    script_submit(s, QUEUE(), 3500);
    unsigned first = script_submit(s, HEALTH(), 1000);
    script_submit(s, STREAMING(), 3500);
    ticks(s, 3);
    expect_leases(s, 30, 60, 55);
    for (unsigned i = 0; i < 1000; i++)
        qos_cancel(s->q, s->now, s->ops[first + i].handle);
    ticks(s, 8);
    expect_leases(s, 51, 0, 94);
    ticks(s, 3);
    expect_leases(s, 51, 0, 94);
    script_free(s);
}
END_TEST

START_TEST(streaming_takes_55_back_from_queue_within_one_article_time)
{
    struct qos_config cfg = worked(depths[_i]);
    struct script *s = script_new(&cfg);
    script_submit(s, QUEUE(), 3000);
    ticks(s, 3);
    expect_leases(s, 145, 0, 0);
    unsigned first = script_submit(s, STREAMING(), 55);
    script_tick(s);
    expect_leases(s, 90, 0, 55);
    for (unsigned i = 0; i < 55; i++)
        ck_assert_int_ge(s->ops[first + i].conn, 0);
    script_free(s);
}
END_TEST

START_TEST(both_other_classes_are_given_their_guarantees_within_one_article_time)
{
    struct qos_config cfg = worked(depths[_i]);
    struct script *s = script_new(&cfg);
    script_submit(s, QUEUE(), 3000);
    ticks(s, 3);
    script_submit(s, HEALTH(), 1000);
    script_submit(s, STREAMING(), 1000);
    script_tick(s);
    expect_leases(s, 30, 60, 55);
    script_free(s);
}
END_TEST

START_TEST(the_class_furthest_below_its_guarantee_goes_first)
{
    struct qos_config cfg = small(8, 2, 4, 2);
    struct script *s = script_new(&cfg);
    /* One connection at a time comes free of streaming's eight. */
    unsigned b = script_submit(s, STREAMING(), 8);
    script_connect(s, -1);
    script_submit(s, QUEUE(), 8);
    script_submit(s, HEALTH(), 8);
    static const unsigned steps[][3] = {
        /* all of it lacking: the tie goes to queue or health by order */
        {0, 1, 7},
        {1, 1, 6},
        {1, 2, 5}};
    for (unsigned i = 0; i < 3; i++) {
        script_answer(s, b + i, QOS_OK);
        expect_leases(s, steps[i][0], steps[i][1], steps[i][2]);
    }
    script_free(s);
}
END_TEST

START_TEST(with_fewer_slots_than_hungry_classes_each_has_its_turn)
{
    static const struct {
        unsigned guaranteed, least;
    } of[] = {{0, 18}, {1, 14}}; /* streaming's guarantee, and what each gets of sixty */
    struct qos_config cfg = small(2, 0, 0, of[_i].guaranteed);
    struct script *s = script_new(&cfg);
    script_submit(s, QUEUE(), 70);
    script_submit(s, HEALTH(), 70);
    script_submit(s, STREAMING(), 70);
    script_connect(s, -1);
    for (unsigned i = 0; i < 60; i++)
        script_answer(s, s->conns[i % 2].ops[0], QOS_OK);
    struct qos_stats st = script_stats(s);
    for (unsigned c = 0; c < TRAFFIC_CLASSES; c++)
        ck_assert_uint_ge(st.classes[c].done, of[_i].least);
    script_free(s);
}
END_TEST

START_TEST(a_class_at_its_burst_leaves_the_rest_idle)
{
    struct qos_config cfg = small(10, 0, 2, 2);
    cfg.classes[TRAFFIC_HEALTH].burst = 3;
    struct script *s = script_new(&cfg);
    script_submit(s, HEALTH(), 20);
    expect_leases(s, 0, 3, 0);
    script_connect(s, -1);
    script_tick(s);
    expect_leases(s, 0, 3, 0);
    ck_assert_uint_eq(s->opens, 3);
    script_free(s);
}
END_TEST

START_TEST(the_reserve_is_kept_for_guaranteed_claims)
{
    struct qos_config cfg = small(10, 2, 0, 4);
    cfg.reserve = 3;
    struct script *s = script_new(&cfg);
    script_submit(s, QUEUE(), 20);
    expect_leases(s, 7, 0, 0);
    script_submit(s, STREAMING(), 3);
    expect_leases(s, 7, 0, 3); /* at once, without waiting for queue */
    script_submit(s, STREAMING(), 5);
    expect_leases(s, 7, 0, 3);
    script_connect(s, -1);
    script_tick(s);
    ck_assert_uint_le(script_stats(s).classes[TRAFFIC_QUEUE].leased, 6);
    script_free(s);
}
END_TEST

START_TEST(a_guarantee_counts_over_all_providers_together)
{
    struct qos_config cfg = worked(1);
    struct script *s = script_new(&cfg);
    script_submit(s, HEALTH(), 200);
    script_connect(s, -1);
    expect_leases(s, 0, 60, 0); /* and not 60 at each */
    unsigned a = script_count(s, 0, SC_BUSY), b = script_count(s, 1, SC_BUSY);
    ck_assert_uint_eq(a + b, 60);
    ck_assert_uint_ge(a, 41); /* by load relative to 100 and 45 */
    ck_assert_uint_le(a, 42);
    script_free(s);
}
END_TEST

START_TEST(a_warm_connection_is_preferred_to_a_new_one)
{
    struct qos_config cfg = small(10, 1, 1, 1);
    struct script *s = script_new(&cfg);
    unsigned a = script_submit(s, QUEUE(), 1);
    script_connect(s, -1);
    script_answer(s, a, QOS_OK);
    unsigned b = script_submit(s, STREAMING(), 1);
    expect_at(s, b, 0);
    ck_assert_uint_eq(s->opens, 1);
    script_free(s);
}
END_TEST

START_TEST(no_more_connections_are_opened_than_operations_wait)
{
    struct qos_config cfg = small(10, 1, 1, 1);
    struct script *s = script_new(&cfg);
    script_submit(s, QUEUE(), 3);
    ck_assert_uint_eq(s->opens, 3);
    script_run(s);
    ck_assert_uint_eq(s->opens, 3);
    script_submit(s, QUEUE(), 1);
    ck_assert_uint_eq(s->opens, 4);
    script_free(s);
}
END_TEST

START_TEST(a_connection_that_frees_up_serves_what_others_are_being_opened_for)
{
    struct qos_config cfg = small(2, 0, 0, 0);
    struct script *s = script_new(&cfg);
    unsigned a = script_submit(s, QUEUE(), 1);
    script_connect(s, -1);
    unsigned b = script_submit(s, QUEUE(), 1);
    expect_at(s, b, -1);
    ck_assert_uint_eq(s->opens, 2);
    script_answer(s, a, QOS_OK);
    expect_at(s, b, 0);
    script_connect(s, -1); /* the second one finds nothing to do, and idles */
    expect_leases(s, 1, 0, 0);
    ck_assert_uint_eq(script_stats(s).providers[0].idle, 1);
    script_free(s);
}
END_TEST

START_TEST(a_connection_opened_for_one_class_goes_to_a_claim_that_has_come_up_meanwhile)
{
    struct qos_config cfg = small(1, 0, 0, 1);
    struct script *s = script_new(&cfg);
    unsigned a = script_submit(s, QUEUE(), 1);
    unsigned b = script_submit(s, STREAMING(), 1);
    script_connect(s, -1);
    expect_at(s, b, 0);
    expect_at(s, a, -1);
    script_free(s);
}
END_TEST

START_TEST(an_opening_that_takes_long_is_not_relied_on)
{
    struct qos_config cfg = small(4, 0, 0, 1);
    cfg.nproviders = 2;
    cfg.providers[1] = cfg.providers[0];
    struct script *s = script_new(&cfg);
    unsigned a = script_submit(s, STREAMING(), 1);
    ck_assert_uint_eq(script_count(s, 0, SC_OPENING), 1);
    ck_assert_uint_eq(qos_wake(s->q), s->now + S);
    script_at(s, qos_wake(s->q));
    ck_assert_uint_eq(script_count(s, 0, SC_OPENING), 1);
    ck_assert_uint_eq(script_count(s, 1, SC_OPENING), 1);
    script_connect(s, 1);
    expect_at(s, a, 1);
    script_free(s);
}
END_TEST

START_TEST(a_provider_that_is_slow_to_open_is_not_sent_more_of_the_same)
{
    struct qos_config cfg = small(4, 0, 0, 1);
    struct script *s = script_new(&cfg);
    unsigned a = script_submit(s, STREAMING(), 1);
    script_at(s, s->now + S);
    script_submit(s, STREAMING(), 2);
    script_at(s, s->now + 5 * S);
    ck_assert_uint_eq(s->opens, 1);
    script_connect(s, -1); /* it comes up after all */
    expect_at(s, a, 0);
    ck_assert_uint_eq(s->opens, 3);
    script_free(s);
}
END_TEST

/* --- pipelining --- */

START_TEST(operations_are_pipelined_when_no_slot_is_free)
{
    struct qos_config cfg = small(2, 2, 0, 0);
    cfg.providers[0].pipelining = 3;
    struct script *s = script_new(&cfg);
    script_submit(s, QUEUE(), 2);
    script_connect(s, -1);
    ck_assert_uint_eq(s->nstarts, 2);
    script_submit(s, QUEUE(), 10);
    ck_assert_uint_eq(s->nstarts, 6); /* three on each */
    expect_leases(s, 2, 0, 0);
    script_free(s);
}
END_TEST

START_TEST(while_a_slot_can_be_opened_nothing_is_pipelined)
{
    struct qos_config cfg = small(3, 3, 0, 0);
    cfg.providers[0].pipelining = 8;
    struct script *s = script_new(&cfg);
    script_submit(s, QUEUE(), 1);
    script_connect(s, -1);
    script_submit(s, QUEUE(), 2);
    ck_assert_uint_eq(s->nstarts, 1);
    ck_assert_uint_eq(s->opens, 3);
    script_free(s);
}
END_TEST

START_TEST(on_burst_enough_leases_stay_shallow_for_every_guaranteed_claim)
{
    struct qos_config cfg = small(10, 2, 3, 2);
    cfg.providers[0].pipelining = 4;
    struct script *s = script_new(&cfg);
    script_submit(s, QUEUE(), 100);
    script_connect(s, -1);
    unsigned shallow = 0, deep = 0;
    for (unsigned i = 0; i < s->nconns; i++) {
        shallow += s->conns[i].n == 1;
        deep += s->conns[i].n > 2;
    }
    ck_assert_uint_ge(shallow, 5); /* health's three and streaming's two */
    ck_assert_uint_le(deep, 2);    /* queue's guarantee */
    script_submit(s, HEALTH(), 10);
    script_submit(s, STREAMING(), 10);
    script_tick(s);
    struct qos_stats st = script_stats(s);
    ck_assert_uint_ge(st.classes[TRAFFIC_HEALTH].leased, 3);
    ck_assert_uint_ge(st.classes[TRAFFIC_STREAMING].leased, 2);
    script_free(s);
}
END_TEST

/* Of ten slots only the three that must may come back at the end of an article; while a player is about, all do. */
START_TEST(while_a_claimant_is_about_a_small_pool_pipelines_no_articles)
{
    struct qos_config cfg = small(10, 2, 3, 2);
    cfg.providers[0].pipelining = 4;
    struct script *s = script_new(&cfg);
    unsigned a = script_submit(s, STREAMING(), 1);
    script_connect(s, -1);
    script_answer(s, a, QOS_OK);
    script_submit(s, QUEUE(), 100);
    script_connect(s, -1);
    for (unsigned i = 0; i < s->nconns; i++)
        ck_assert_uint_le(s->conns[i].n, 1);
    ck_assert_uint_eq(script_stats(s).classes[TRAFFIC_QUEUE].leased, 10);
    script_at(s, s->now + 11 * S);
    script_tick(s);
    unsigned deep = 0;
    for (unsigned i = 0; i < s->nconns; i++)
        deep += s->conns[i].n > 1;
    ck_assert_uint_eq(deep, 5); /* nobody has asked for ten seconds: all but others' guarantees */
    script_free(s);
}
END_TEST

START_TEST(a_pipelined_lease_yields_to_a_guaranteed_claim)
{
    struct qos_config cfg = small(1, 0, 0, 1);
    cfg.providers[0].pipelining = 4;
    struct script *s = script_new(&cfg);
    unsigned a = script_submit(s, QUEUE(), 50);
    script_connect(s, -1);
    ck_assert_uint_eq(s->nstarts, 1); /* the only slot is streaming's to claim */
    unsigned b = script_submit(s, STREAMING(), 1);
    script_answer(s, a, QOS_OK);
    expect_at(s, b, 0);
    script_free(s);
}
END_TEST

static const unsigned rows[] = {1, 4, 8, 31};

START_TEST(stats_ride_one_lease_and_yield_it)
{
    unsigned row = rows[_i];
    struct qos_config cfg = small(4, 1, 1, 2);
    cfg.classes[TRAFFIC_HEALTH].burst = 1;
    cfg.providers[0].pipelining = row;
    struct script *s = script_new(&cfg);
    unsigned a = script_submit(s, HEALTH(.verb = SEGMENT_STAT), 100);
    script_connect(s, -1);
    expect_leases(s, 0, 1, 0);
    ck_assert_uint_eq(s->nstarts, row);
    /* All sockets are taken, and streaming, below its guarantee, can use this one only. */
    script_submit(s, QUEUE(), 3);
    script_connect(s, -1);
    script_submit(s, STREAMING(), 5);
    expect_leases(s, 3, 1, 0);
    unsigned started = s->nstarts;
    for (unsigned i = 0; i < row; i++) {
        ck_assert_uint_eq(s->nstarts, started); /* nothing is put behind what flies */
        expect_leases(s, 3, 1, 0);
        script_answer(s, a + i, QOS_OK);
    }
    expect_leases(s, 3, 0, 1);
    script_free(s);
}
END_TEST

START_TEST(on_burst_a_row_of_stats_is_two_and_ends_when_the_slot_is_claimed)
{
    unsigned row = rows[_i] < 2 ? 1 : 2;
    struct qos_config cfg = small(4, 2, 0, 1);
    cfg.providers[0].pipelining = rows[_i];
    struct script *s = script_new(&cfg);
    script_submit(s, HEALTH(.verb = SEGMENT_STAT), 200);
    script_connect(s, -1);
    expect_leases(s, 0, 4, 0);
    unsigned deep = 0, conn = 0;
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_uint_le(s->conns[i].n, row);
        deep += s->conns[i].n == 2;
        conn = s->conns[i].n == row ? i : conn;
    }
    ck_assert_uint_eq(deep,
                      row == 2 ? 1 : 0); /* three stay shallow: they are guaranteed to others */
    script_submit(s, STREAMING(), 1);
    unsigned started = s->nstarts;
    for (unsigned i = 0; i < row; i++) {
        ck_assert_uint_eq(s->nstarts, started);
        expect_leases(s, 0, 4, 0);
        script_answer(s, s->conns[conn].ops[0], QOS_OK);
    }
    expect_leases(s, 0, 3, 1);
    script_free(s);
}
END_TEST

START_TEST(a_claim_at_another_provider_ends_no_row_of_stats)
{
    unsigned row = rows[_i];
    struct qos_config cfg = small(1, 0, 1, 1);
    cfg.nproviders = 2;
    cfg.providers[0].pipelining = row;
    cfg.providers[0].retention_us = 1000;
    cfg.providers[1] = (struct qos_provider_config){.connections = 1};
    cfg.classes[TRAFFIC_QUEUE].burst = 2;
    struct script *s = script_new(&cfg);
    script_submit(s, QUEUE(.age = 2000), 5); /* the second provider is busy with these */
    script_submit(s, HEALTH(.verb = SEGMENT_STAT), 100);
    script_connect(s, -1);
    script_submit(s, STREAMING(.age = 2000), 1); /* and this waits for it */
    expect_leases(s, 1, 1, 0);
    unsigned stats = s->conns[0].provider == 0 ? 0 : 1;
    for (unsigned i = 0; i < 50; i++) {
        ck_assert_uint_eq(s->conns[stats].n, row);
        script_answer(s, s->conns[stats].ops[0], QOS_OK);
    }
    expect_leases(s, 1, 1, 0);
    script_free(s);
}
END_TEST

START_TEST(demand_joins_the_connection_with_the_least_in_flight)
{
    struct qos_config cfg = small(2, 0, 0, 2);
    cfg.providers[0].pipelining = 4;
    struct script *s = script_new(&cfg);
    unsigned a = script_submit(s, STREAMING(.urgency = URGENCY_READAHEAD), 4);
    script_connect(s, -1);
    for (unsigned i = 0; i < 4; i++)
        expect_at(s, a + i, 0); /* two on each, and readahead goes no deeper */
    script_submit(s, STREAMING(.urgency = URGENCY_READAHEAD), 1);
    script_answer(s, a, QOS_OK);
    script_answer(s, a + 1, QOS_OK);
    unsigned b = script_submit(s, STREAMING(), 1);
    const struct script_conn *c = &s->conns[s->ops[b].conn];
    ck_assert_uint_eq(c->ops[1], b); /* right behind one, not two */
    script_free(s);
}
END_TEST

/* --- configuration --- */

START_TEST(impossible_shares_are_refused_with_the_reason)
{
    static const struct {
        unsigned total, guaranteed[3], burst[3], reserve, connections;
        const char *says;
    } bad[] = {
        {0, {0, 0, 0}, {1, 1, 1}, 0, 0, "no provider"},
        {0, {5, 0, 0}, {4, 9, 9}, 0, 10, "class queue: guaranteed 5"},
        {0, {0, 0, 0}, {4, 11, 9}, 0, 10, "class health: burst 11"},
        {8, {0, 0, 0}, {4, 5, 9}, 0, 10, "class streaming: burst 9"},
        {0, {4, 4, 4}, {4, 4, 4}, 0, 10, "add up to 12"},
        {0, {0, 0, 0}, {4, 0, 4}, 0, 10, "class health: burst is 0"},
        {0, {0, 0, 0}, {4, 4, 4}, 10, 10, "reserve 10"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct qos_config cfg = {.nproviders = 1,
                                 .total = bad[i].total,
                                 .reserve = bad[i].reserve,
                                 .providers = {{.connections = bad[i].connections}}};
        for (unsigned c = 0; c < 3; c++) {
            cfg.classes[c].guaranteed = bad[i].guaranteed[c];
            cfg.classes[c].burst = bad[i].burst[c];
        }
        char err[200] = "";
        ck_assert_int_lt(qos_config_check(&cfg, err, sizeof(err)), 0);
        ck_assert_msg(strstr(err, bad[i].says), "\"%s\" does not say \"%s\"", err, bad[i].says);
        ck_assert_ptr_null(qos_new(&cfg, &(struct qos_limits){8, 8, 8}));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("qos/shares");
    TCase *t = tcase_create("worked example");
    tcase_add_loop_test(t, queue_alone_has_every_connection, 0, 3);
    tcase_add_loop_test(t, queue_and_health_share_85_to_60, 0, 3);
    tcase_add_loop_test(t, all_three_have_exactly_their_guarantees, 0, 3);
    tcase_add_loop_test(t, what_health_leaves_is_shared_by_weight_51_to_94, 0, 3);
    tcase_add_loop_test(t, streaming_takes_55_back_from_queue_within_one_article_time, 0, 3);
    tcase_add_loop_test(t, both_other_classes_are_given_their_guarantees_within_one_article_time, 0,
                        3);
    suite_add_tcase(suite, t);
    t = tcase_create("slots");
    tcase_add_test(t, the_class_furthest_below_its_guarantee_goes_first);
    tcase_add_loop_test(t, with_fewer_slots_than_hungry_classes_each_has_its_turn, 0, 2);
    tcase_add_test(t, a_class_at_its_burst_leaves_the_rest_idle);
    tcase_add_test(t, the_reserve_is_kept_for_guaranteed_claims);
    tcase_add_test(t, a_guarantee_counts_over_all_providers_together);
    tcase_add_test(t, a_warm_connection_is_preferred_to_a_new_one);
    tcase_add_test(t, no_more_connections_are_opened_than_operations_wait);
    tcase_add_test(t, a_connection_that_frees_up_serves_what_others_are_being_opened_for);
    tcase_add_test(t, a_connection_opened_for_one_class_goes_to_a_claim_that_has_come_up_meanwhile);
    tcase_add_test(t, an_opening_that_takes_long_is_not_relied_on);
    tcase_add_test(t, a_provider_that_is_slow_to_open_is_not_sent_more_of_the_same);
    suite_add_tcase(suite, t);
    t = tcase_create("pipelining");
    tcase_add_test(t, operations_are_pipelined_when_no_slot_is_free);
    tcase_add_test(t, while_a_slot_can_be_opened_nothing_is_pipelined);
    tcase_add_test(t, on_burst_enough_leases_stay_shallow_for_every_guaranteed_claim);
    tcase_add_test(t, while_a_claimant_is_about_a_small_pool_pipelines_no_articles);
    tcase_add_test(t, a_pipelined_lease_yields_to_a_guaranteed_claim);
    tcase_add_loop_test(t, stats_ride_one_lease_and_yield_it, 0, 4);
    tcase_add_loop_test(t, on_burst_a_row_of_stats_is_two_and_ends_when_the_slot_is_claimed, 0, 4);
    tcase_add_loop_test(t, a_claim_at_another_provider_ends_no_row_of_stats, 0, 4);
    tcase_add_test(t, demand_joins_the_connection_with_the_least_in_flight);
    suite_add_tcase(suite, t);
    t = tcase_create("configuration");
    tcase_add_test(t, impossible_shares_are_refused_with_the_reason);
    suite_add_tcase(suite, t);
    SRunner *r = srunner_create(suite);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
