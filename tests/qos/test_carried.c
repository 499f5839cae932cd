#include "tests/qos/script.h"

/* How much is under way under a rate limit. */

#define ARTICLE    700000u
#define QUEUE(...) ((struct qos_want){.class = TRAFFIC_QUEUE, .bytes = ARTICLE, __VA_ARGS__})
#define STREAMING(...)                                                                             \
    ((struct qos_want){.class = TRAFFIC_STREAMING, .bytes = ARTICLE, __VA_ARGS__})

static struct qos_config limited(uint64_t pool_bps, uint64_t first_bps)
{
    return (struct qos_config){
        .nproviders = 2,
        .rate_bps = pool_bps,
        .providers = {{.connections = 60, .rate_bps = first_bps}, {.connections = 40}},
        .classes = {[TRAFFIC_QUEUE] = {.guaranteed = 30, .burst = 100},
                    [TRAFFIC_HEALTH] = {.guaranteed = 10, .burst = 25},
                    [TRAFFIC_STREAMING] = {.guaranteed = 40, .burst = 100}},
    };
}

static unsigned flying(const struct script *s)
{
    unsigned n = 0;
    for (unsigned i = 0; i < s->nops; i++)
        n += !s->ops[i].ended && s->ops[i].conn >= 0;
    return n;
}

static unsigned first_flying(const struct script *s)
{
    for (unsigned i = 0; i < s->nops; i++) {
        if (!s->ops[i].ended && s->ops[i].conn >= 0)
            return i;
    }
    ck_abort_msg("nothing is in flight");
    return 0;
}

/* Eight of 700 KB are the first to hold five megabytes. */
START_TEST(what_a_slow_limit_carries_in_five_seconds_is_under_way_and_no_more)
{
    struct qos_config cfg = limited(1000000, 0);
    struct script *s = script_new(&cfg);
    script_submit(s, QUEUE(), 300);
    script_connect(s, -1);
    ck_assert_uint_eq(flying(s), 8);
    for (unsigned i = 0; i < 50; i++) {
        script_at(s, s->now + 700 * MS);
        script_answer(s, first_flying(s), QOS_OK);
        script_connect(s, -1);
        ck_assert_uint_eq(flying(s), 8);
    }
    ck_assert_ptr_null(qos_check(s->q));
    script_free(s);
}
END_TEST

START_TEST(who_is_blocked_is_sent_when_the_next_article_has_ended)
{
    struct qos_config cfg = limited(1000000, 0);
    struct script *s = script_new(&cfg);
    script_submit(s, QUEUE(), 300);
    script_connect(s, -1);
    unsigned op = script_submit(s, STREAMING(), 1);
    expect_at(s, op, -1);
    script_answer(s, first_flying(s), QOS_OK);
    ck_assert(s->ops[op].conn >= 0);
    script_free(s);
}
END_TEST

START_TEST(a_providers_limit_leaves_the_others_alone)
{
    struct qos_config cfg = limited(0, 500000);
    struct script *s = script_new(&cfg);
    script_submit(s, QUEUE(), 300);
    script_connect(s, -1);
    unsigned at[2] = {0};
    for (unsigned i = 0; i < s->nops; i++) {
        if (s->ops[i].conn >= 0)
            at[s->conns[s->ops[i].conn].provider]++;
    }
    ck_assert_uint_eq(at[0], 4);
    ck_assert_uint_eq(at[1], 40);
    script_free(s);
}
END_TEST

START_TEST(however_slow_the_limit_three_are_under_way)
{
    struct qos_config cfg = limited(1000, 0);
    struct script *s = script_new(&cfg);
    script_submit(s, QUEUE(), 300);
    script_connect(s, -1);
    ck_assert_uint_eq(flying(s), 3);
    script_free(s);
}
END_TEST

START_TEST(without_a_limit_or_with_a_high_one_all_slots_are_used)
{
    static const uint64_t limits[] = {0, 100000000};
    for (unsigned i = 0; i < 2; i++) {
        struct qos_config cfg = limited(limits[i], 0);
        struct script *s = script_new(&cfg);
        script_submit(s, QUEUE(), 300);
        script_connect(s, -1);
        ck_assert_uint_eq(flying(s), 100);
        script_free(s);
    }
}
END_TEST

/* A provider that has gone silent takes nothing of the limit: those who wait are not to wait for it. */
START_TEST(what_stands_with_a_silent_provider_stops_to_count)
{
    struct qos_config cfg = limited(1000000, 0);
    cfg.providers[1].tier = 1;
    struct script *s = script_new(&cfg);
    script_submit(s, QUEUE(), 300);
    script_connect(s, -1);
    ck_assert_uint_eq(flying(s), 8);
    ck_assert_uint_le(qos_wake(s->q), s->now + 10 * S);
    script_at(s, s->now + 10 * S);
    script_connect(s, -1);
    ck_assert_uint_gt(flying(s), 8);
    script_free(s);
}
END_TEST

START_TEST(a_limit_that_is_lifted_lets_everybody_go)
{
    struct qos_config cfg = limited(1000000, 0);
    struct script *s = script_new(&cfg);
    script_submit(s, QUEUE(), 300);
    script_connect(s, -1);
    cfg.rate_bps = 0;
    ck_assert_int_eq(qos_resize(s->q, s->now, &cfg), 0);
    script_run(s);
    script_connect(s, -1);
    ck_assert_uint_eq(flying(s), 100);
    script_free(s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("qos/carried");
    TCase *t = tcase_create("carried");
    tcase_add_test(t, what_a_slow_limit_carries_in_five_seconds_is_under_way_and_no_more);
    tcase_add_test(t, who_is_blocked_is_sent_when_the_next_article_has_ended);
    tcase_add_test(t, a_providers_limit_leaves_the_others_alone);
    tcase_add_test(t, however_slow_the_limit_three_are_under_way);
    tcase_add_test(t, without_a_limit_or_with_a_high_one_all_slots_are_used);
    tcase_add_test(t, what_stands_with_a_silent_provider_stops_to_count);
    tcase_add_test(t, a_limit_that_is_lifted_lets_everybody_go);
    suite_add_tcase(suite, t);
    SRunner *r = srunner_create(suite);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
