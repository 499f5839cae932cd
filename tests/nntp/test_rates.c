/* Who may receive how much, and when: first in virtual time with the scheduler's own buckets, then on sockets. */
#include "nntp/rates.h"
#include "tests/nntp/rig.h"

#include <check.h>
#include <stdlib.h>

#define SECOND  1000000u
#define TURNS   128u
#define PLENTY  ((uint64_t)1 << 20)
#define QUANTUM 8192u /* the least */

/* Connections that always have something to read, or so much of it at a time. */
struct world {
    struct qos_config cfg;
    struct qos *q;
    struct nntp_rates rates;
    struct nntp_turn turns[TURNS];
    uint64_t got[TURNS], all;
    unsigned n;
    qos_time now;
    unsigned alarms;
};

static struct world *world_new(uint64_t global, uint64_t provider0, unsigned providers, unsigned n)
{
    struct world *w = calloc(1, sizeof(*w));

    ck_assert_ptr_nonnull(w);
    w->now = SECOND;
    w->n = n;
    w->cfg = (struct qos_config){.rate_bps = global, .nproviders = providers};
    for (unsigned i = 0; i < providers; i++)
        w->cfg.providers[i].connections = TURNS;
    w->cfg.providers[0].rate_bps = provider0;
    for (unsigned i = 0; i < TRAFFIC_CLASSES; i++)
        w->cfg.classes[i].burst = 1;
    w->q = qos_new(&w->cfg, &(struct qos_limits){.ops = 1, .conns = 1, .streams = 1});
    ck_assert_ptr_nonnull(w->q);
    nntp_rates_init(&w->rates);
    nntp_rates_set(&w->rates, &w->cfg);
    for (unsigned i = 0; i < n; i++)
        nntp_turn_init(&w->turns[i], i % providers);
    return w;
}

static void world_free(struct world *w)
{
    qos_free(w->q);
    free(w);
}

/* Reads until it has to wait. `most`: what is there to be read at a time, 0: always enough. */
static void reads(struct world *w, unsigned i, uint64_t most)
{
    uint64_t n;

    while ((n = nntp_rates_take(&w->rates, w->q, w->now, &w->turns[i], PLENTY))) {
        uint64_t used = most && most < n ? most : n;
        w->got[i] += used;
        w->all += used;
        if (n > used)
            nntp_rates_give(&w->rates, w->q, &w->turns[i], n - used);
    }
}

static void world_start(struct world *w, uint64_t most)
{
    for (unsigned i = 0; i < w->n; i++)
        reads(w, i, most);
}

static void world_run(struct world *w, qos_time until, uint64_t most)
{
    struct nntp_turn *t;

    for (;;) {
        while ((t = nntp_rates_next(&w->rates, w->q, w->now)))
            reads(w, (unsigned)(t - w->turns), most);
        if (w->rates.again > until)
            break;
        ck_assert_uint_gt(w->rates.again, w->now);
        w->now = w->rates.again;
        w->alarms++;
    }
    w->now = until;
}

static const struct {
    uint64_t bps;
    unsigned connections;
} limits[] = {{100000, 1},    {100000, 100},   {1000000, 1},    {1000000, 15},    {1000000, 100},
              {20000000, 15}, {20000000, 100}, {200000000, 15}, {200000000, 100}, {7777777, 13}};

#define LIMITS (sizeof(limits) / sizeof(*limits))

START_TEST(a_limit_is_held_over_ten_seconds)
{
    uint64_t bps = limits[_i].bps;
    struct world *w = world_new(bps, 0, 1, limits[_i].connections);

    world_start(w, 0);
    world_run(w, 2 * SECOND, 0); /* what was saved up has gone */
    uint64_t before = w->all;
    world_run(w, 12 * SECOND, 0);
    uint64_t flowed = w->all - before, right = 10 * bps;
    /* A quantum that is being filled for the first in line is not counted yet. */
    uint64_t slack = right / 1000 + w->rates.quantum[0];
    ck_assert_uint_ge(flowed + slack, right);
    ck_assert_uint_le(flowed, right + slack);
    world_free(w);
}
END_TEST

START_TEST(connections_under_one_limit_get_the_same)
{
    struct world *w = world_new(limits[_i].bps, 0, 1, limits[_i].connections);
    uint64_t least = UINT64_MAX, most = 0;

    world_start(w, 0);
    world_run(w, 2 * SECOND, 0);
    for (unsigned i = 0; i < w->n; i++)
        w->got[i] = 0;
    world_run(w, 12 * SECOND, 0);
    for (unsigned i = 0; i < w->n; i++) {
        least = w->got[i] < least ? w->got[i] : least;
        most = w->got[i] > most ? w->got[i] : most;
    }
    ck_assert_uint_le(most - least, w->rates.quantum[0]);
    world_free(w);
}
END_TEST

START_TEST(nobody_is_woken_more_often_than_there_is_a_quantum)
{
    struct world *w = world_new(limits[_i].bps, 0, 1, limits[_i].connections);

    world_start(w, 0);
    world_run(w, 2 * SECOND, 0);
    w->alarms = 0;
    world_run(w, 12 * SECOND, 0);
    ck_assert_uint_le(w->alarms, 10 * (limits[_i].bps / w->rates.quantum[0] + 1));
    ck_assert_uint_le(w->alarms, 10 * 200 + 1);
    world_free(w);
}
END_TEST

START_TEST(what_is_given_back_is_there_for_the_next)
{
    /* Answers of 100 bytes use up little of a quantum, and the limit is reached all the same. */
    struct world *w = world_new(1000000, 0, 1, 15);

    world_start(w, 100);
    world_run(w, 2 * SECOND, 100);
    uint64_t before = w->all;
    world_run(w, 12 * SECOND, 100);
    ck_assert_uint_ge(w->all - before, 9950000);
    ck_assert_uint_le(w->all - before, 10050000);
    world_free(w);
}
END_TEST

START_TEST(one_that_leaves_gives_back_what_was_filled_for_it)
{
    struct world *w = world_new(500000, 0, 1, 2);
    struct nntp_turn *first;

    world_start(w, 0);
    w->now += 40000; /* 20,000 bytes, and neither has taken its turn */
    ck_assert_ptr_eq(first = nntp_rates_next(&w->rates, w->q, w->now), &w->turns[0]);
    ck_assert_uint_eq(first->got, QUANTUM);
    ck_assert_ptr_eq(nntp_rates_next(&w->rates, w->q, w->now), &w->turns[1]);
    ck_assert(!nntp_rates_is_waiting(&w->rates));
    nntp_rates_leave(&w->rates, w->q, &w->turns[0]);
    nntp_rates_leave(&w->rates, w->q, &w->turns[1]);
    qos_time again;
    ck_assert_uint_eq(qos_rate_take(w->q, w->now, 0, PLENTY, &again), 20000);
    /* In the line, it leaves that as well. */
    reads(w, 0, 0);
    reads(w, 1, 0);
    nntp_rates_leave(&w->rates, w->q, &w->turns[0]);
    ck_assert(nntp_rates_is_waiting(&w->rates));
    nntp_rates_leave(&w->rates, w->q, &w->turns[1]);
    ck_assert(!nntp_rates_is_waiting(&w->rates));
    world_free(w);
}
END_TEST

START_TEST(a_provider_whose_limit_is_spent_holds_nobody_else_up)
{
    /* 0 has a quarter of the whole; 1 and 2 have no limit of their own. */
    struct world *w = world_new(1000000, 250000, 3, 6);
    uint64_t by[3] = {0};

    world_start(w, 0);
    world_run(w, 2 * SECOND, 0);
    for (unsigned i = 0; i < w->n; i++)
        w->got[i] = 0;
    world_run(w, 12 * SECOND, 0);
    for (unsigned i = 0; i < w->n; i++)
        by[i % 3] += w->got[i];
    ck_assert_uint_ge(by[0] + by[1] + by[2], 9980000);
    ck_assert_uint_le(by[0] + by[1] + by[2], 10020000);
    ck_assert_uint_ge(by[0], 2480000);
    ck_assert_uint_le(by[0], 2520000);
    ck_assert_uint_le(by[1], by[2] + QUANTUM * 2);
    ck_assert_uint_le(by[2], by[1] + QUANTUM * 2);
    world_free(w);
}
END_TEST

START_TEST(a_provider_without_a_limit_does_not_wait)
{
    struct world *w = world_new(0, 100000, 2, 2);

    reads(w, 0, 0);
    ck_assert(nntp_rates_is_waiting(&w->rates));
    ck_assert_uint_eq(nntp_rates_take(&w->rates, w->q, w->now, &w->turns[1], PLENTY), PLENTY);
    world_free(w);
}
END_TEST

START_TEST(a_limit_far_above_what_flows_does_not_make_reads_smaller)
{
    struct world *w = world_new(UINT64_C(100000000000), 0, 1, 1);

    for (unsigned i = 0; i < 1000; i++) {
        ck_assert_uint_eq(nntp_rates_take(&w->rates, w->q, w->now, &w->turns[0], PLENTY), PLENTY);
        nntp_rates_give(&w->rates, w->q, &w->turns[0], PLENTY / 2);
        w->now += 100;
    }
    world_free(w);
}
END_TEST

START_TEST(opening_a_connection_never_waits_and_is_paid_for_by_later_turns)
{
    struct world *w = world_new(0, 500000, 1, 2);

    reads(w, 0, 0);
    w->now += 1000; /* nothing to speak of is there */
    uint64_t n = nntp_rates_borrow(&w->rates, &w->turns[1], PLENTY);
    ck_assert_uint_eq(n, 16384);
    nntp_rates_give(&w->rates, w->q, &w->turns[1], n - 6000);
    /* The one in line has to wait for those 6,000 as well: 14,192 bytes at half a byte a microsecond. */
    w->now += 2 * 14192 - 1000 - 1;
    ck_assert_ptr_null(nntp_rates_next(&w->rates, w->q, w->now));
    w->now += 1;
    ck_assert_ptr_eq(nntp_rates_next(&w->rates, w->q, w->now), &w->turns[0]);
    world_free(w);
}
END_TEST

START_TEST(a_limit_that_is_lifted_lets_everybody_go)
{
    struct world *w = world_new(1000, 0, 2, 100);
    unsigned gone = 0;

    world_start(w, 0);
    ck_assert_ptr_null(nntp_rates_next(&w->rates, w->q, w->now));
    w->cfg.rate_bps = 0;
    ck_assert_int_eq(qos_resize(w->q, w->now, &w->cfg), 0);
    nntp_rates_set(&w->rates, &w->cfg);
    while (nntp_rates_next(&w->rates, w->q, w->now))
        gone++;
    ck_assert_uint_eq(gone, 100);
    world_free(w);
}
END_TEST

/* --- on sockets -------------------------------------------------------------------------------------- */

#define MANY 8

static void many_start(struct rig *r, struct fetch t[MANY])
{
    for (uint32_t i = 0; i < MANY; i++) {
        fetch_init(&t[i], r, i + 1);
        fetch_start(&t[i], r);
    }
}

static void many_end(struct fetch t[MANY], enum segment_result expected)
{
    for (uint32_t i = 0; i < MANY; i++) {
        ck_assert_int_eq(fetch_wait(&t[i]), expected);
        fetch_fini(&t[i]);
    }
}

START_TEST(a_connection_held_back_by_the_limit_is_not_taken_for_silent)
{
    static struct fetch t[MANY];
    struct nntp_pool_stats s;
    struct rig r;
    rig_init(&r, MANY);
    rig_server(&r, &(struct newsd_config){.tls = _i});
    r.cfg.timeouts.stall_s = 1;
    r.cfg.providers[0].connections = MANY;
    /* Behind the first 65,536 bytes each gets 8,192 every two seconds or more. */
    r.cfg.pool.rate_bps = 30000;
    rig_start(&r);
    many_start(&r, t);
    many_end(t, SEGMENT_DONE);
    nntp_pool_stats(r.pool, &s);
    ck_assert_uint_eq(s.qos.providers[0].broken, 0);
    ck_assert_uint_eq(s.qos.providers[0].refused, 0);
    rig_fini(&r);
}
END_TEST

/* Nothing comes for minutes, whatever is left of the first bytes. */
static void rig_start_slow(struct rig *r)
{
    rig_init(r, MANY);
    rig_server(r, &(struct newsd_config){0});
    r->cfg.pool.rate_bps = 100;
    rig_start(r);
}

START_TEST(a_limit_lifted_by_another_configuration_holds_nobody_back_any_more)
{
    static struct fetch t[MANY];
    struct rig r;
    rig_start_slow(&r);
    many_start(&r, t);
    r.cfg.pool.rate_bps = 0;
    ck_assert_int_eq(nntp_pool_resize(r.pool, &r.cfg, r.err, sizeof(r.err)), 0);
    many_end(t, SEGMENT_DONE);
    rig_fini(&r);
}
END_TEST

START_TEST(a_pool_stops_while_connections_are_held_back)
{
    static struct fetch t[MANY];
    struct nntp_pool_stats s;
    struct rig r;
    rig_start_slow(&r);
    many_start(&r, t);
    do
        nntp_pool_stats(r.pool, &s);
    while (s.providers[0].bytes_wire <
           50000); /* the limit is spent, and there is more to be read */
    rig_fini(&r);
    for (uint32_t i = 0; i < MANY; i++) {
        ck_assert(fetch_is_over(&t[i]));
        fetch_fini(&t[i]);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("nntp/rates");
    TCase *t = tcase_create("turns");

    tcase_add_loop_test(t, a_limit_is_held_over_ten_seconds, 0, LIMITS);
    tcase_add_loop_test(t, connections_under_one_limit_get_the_same, 0, LIMITS);
    tcase_add_loop_test(t, nobody_is_woken_more_often_than_there_is_a_quantum, 0, LIMITS);
    tcase_add_test(t, what_is_given_back_is_there_for_the_next);
    tcase_add_test(t, one_that_leaves_gives_back_what_was_filled_for_it);
    tcase_add_test(t, a_provider_whose_limit_is_spent_holds_nobody_else_up);
    tcase_add_test(t, a_provider_without_a_limit_does_not_wait);
    tcase_add_test(t, a_limit_far_above_what_flows_does_not_make_reads_smaller);
    tcase_add_test(t, opening_a_connection_never_waits_and_is_paid_for_by_later_turns);
    tcase_add_test(t, a_limit_that_is_lifted_lets_everybody_go);
    suite_add_tcase(s, t);
    t = tcase_create("sockets");
    tcase_add_loop_test(t, a_connection_held_back_by_the_limit_is_not_taken_for_silent, 0, 2);
    tcase_add_test(t, a_limit_lifted_by_another_configuration_holds_nobody_back_any_more);
    tcase_add_test(t, a_pool_stops_while_connections_are_held_back);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
