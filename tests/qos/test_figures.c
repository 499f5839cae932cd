#include "tests/qos/script.h"

#include <stdlib.h>

/* What qos_stats() tells: of each class at each provider, their sums, and the times. */

#define QUEUE(...)     ((struct qos_want){.class = TRAFFIC_QUEUE, .stream = 1, __VA_ARGS__})
#define HEALTH(...)    ((struct qos_want){.class = TRAFFIC_HEALTH, .stream = 1, __VA_ARGS__})
#define STREAMING(...) ((struct qos_want){.class = TRAFFIC_STREAMING, .stream = 1, __VA_ARGS__})

static struct qos_config two(unsigned a, unsigned b)
{
    struct qos_config cfg = {
        .nproviders = 2, .providers = {{.connections = a}, {.connections = b}}, .attempts = 9};
    for (unsigned i = 0; i < TRAFFIC_CLASSES; i++)
        cfg.classes[i].burst = a + b;
    return cfg;
}

static uint64_t total(const uint64_t hist[QOS_HIST])
{
    uint64_t n = 0;
    for (unsigned i = 0; i < QOS_HIST; i++)
        n += hist[i];
    return n;
}

/** Times that are `us` are counted there. */
static unsigned bucket(uint64_t us)
{
    unsigned i = 0;
    while (i < QOS_HIST - 1 && us >= UINT64_C(16) << i)
        i++;
    return i;
}

/** Every figure that is told twice is told alike. */
static void expect_sums(const struct script *s)
{
    struct qos_stats st = script_stats(s);
    struct qos_class_stats sums[TRAFFIC_CLASSES] = {0};
    uint64_t refused = 0, said_refused = 0;
    for (unsigned p = 0; p < st.nproviders; p++) {
        const struct qos_provider_stats *v = &st.providers[p];
        struct qos_share_stats sum = {0};
        for (unsigned c = 0; c < TRAFFIC_CLASSES; c++) {
            const struct qos_share_stats *x = &v->classes[c];
            sum.leased += x->leased;
            sum.started += x->started;
            sum.done += x->done;
            sum.missing += x->missing;
            sum.corrupt += x->corrupt;
            sum.broken += x->broken;
            sum.bytes += x->bytes;
            sums[c].leased += x->leased;
            sums[c].broken += x->broken;
            sums[c].bytes += x->bytes;
        }
        ck_assert_uint_eq(sum.leased, v->leased);
        ck_assert_uint_eq(sum.started, v->started);
        ck_assert_uint_eq(sum.done, v->ok);
        ck_assert_uint_eq(sum.missing, v->not_here);
        ck_assert_uint_eq(sum.corrupt, v->spoilt);
        ck_assert_uint_eq(sum.broken, v->broken);
        ck_assert_uint_eq(sum.bytes, v->bytes);
        ck_assert_uint_eq(total(v->open), v->opened);
        refused += v->refused;
    }
    unsigned leased = 0;
    for (unsigned c = 0; c < TRAFFIC_CLASSES; c++) {
        const struct qos_class_stats *k = &st.classes[c];
        ck_assert_uint_eq(sums[c].leased, k->leased);
        ck_assert_uint_eq(sums[c].broken, k->broken);
        ck_assert_uint_eq(sums[c].bytes, k->bytes);
        ck_assert_uint_eq(total(k->reclaim), k->granted_guarantee);
        leased += k->leased;
        said_refused += k->refused;
    }
    ck_assert_uint_eq(leased, st.leased_total);
    ck_assert_uint_eq(refused, said_refused);
}

START_TEST(each_answer_is_counted_for_its_class_at_its_provider)
{
    struct qos_config cfg = two(1, 1);
    cfg.providers[1].tier = 1;
    struct script *s = script_new(&cfg);
    unsigned a = script_submit(s, QUEUE(), 1);
    s->ops[a].brings = 300;
    script_connect(s, -1);
    script_answer(s, a, QOS_NOT_HERE); /* 300 bytes of a 430 are bytes, too */
    script_connect(s, -1);
    s->ops[a].brings = 700000;
    script_answer(s, a, QOS_OK);
    unsigned b = script_submit(s, HEALTH(.verb = SEGMENT_STAT), 1);
    script_answer(s, b, QOS_DECLINED);
    script_answer(s, b, QOS_SPOILT);
    expect_sums(s);
    script_answer(s, b, QOS_OK);
    unsigned c = script_submit(s, STREAMING(), 1);
    script_answer(s, c, QOS_NO_ROOM);
    expect_sums(s);
    struct qos_stats st = script_stats(s);
    const struct qos_share_stats *q0 = &st.providers[0].classes[TRAFFIC_QUEUE];
    const struct qos_share_stats *q1 = &st.providers[1].classes[TRAFFIC_QUEUE];
    const struct qos_share_stats *h0 = &st.providers[0].classes[TRAFFIC_HEALTH];
    const struct qos_share_stats *h1 = &st.providers[1].classes[TRAFFIC_HEALTH];
    ck_assert(q0->started == 1 && q0->missing == 1 && q0->done == 0 && q0->bytes == 300);
    ck_assert(q1->started == 1 && q1->missing == 0 && q1->done == 1 && q1->bytes == 700000);
    ck_assert_uint_eq(h0->started + h1->started, 3);
    ck_assert_uint_eq(h0->broken + h1->broken, 1);
    ck_assert_uint_eq(h0->corrupt + h1->corrupt, 1);
    ck_assert_uint_eq(h0->done + h1->done, 1);
    ck_assert_uint_eq(st.providers[0].classes[TRAFFIC_STREAMING].done, 1);
    ck_assert_uint_eq(st.classes[TRAFFIC_STREAMING].failed, 1);
    ck_assert_uint_eq(st.classes[TRAFFIC_QUEUE].bytes, 700300);
    ck_assert_uint_eq(st.classes[TRAFFIC_HEALTH].broken, 1);
    script_free(s);
}
END_TEST

START_TEST(what_is_refused_and_what_breaks_is_the_class_s_whose_lease_it_was)
{
    struct qos_config cfg = two(3, 1);
    struct script *s = script_new(&cfg);
    script_submit(s, QUEUE(), 2);
    script_submit(s, STREAMING(), 2);
    unsigned at[2][TRAFFIC_CLASSES] = {0};
    struct qos_stats before = script_stats(s);
    for (unsigned p = 0; p < 2; p++) {
        for (unsigned c = 0; c < TRAFFIC_CLASSES; c++)
            at[p][c] = before.providers[p].classes[c].leased;
    }
    ck_assert_uint_eq(at[0][0] + at[0][1] + at[0][2] + at[1][0] + at[1][1] + at[1][2], 4);
    script_refuse(s, 0, QOS_GONE_LIMIT);
    expect_sums(s);
    struct qos_stats st = script_stats(s);
    ck_assert_uint_eq(st.providers[0].refused, 3);
    ck_assert_uint_eq(st.classes[TRAFFIC_QUEUE].refused, at[0][TRAFFIC_QUEUE]);
    ck_assert_uint_eq(st.classes[TRAFFIC_STREAMING].refused, at[0][TRAFFIC_STREAMING]);
    script_connect(s, 1);
    unsigned op = 0;
    while (s->ops[op].conn < 0)
        op++;
    enum traffic_class class = s->ops[op].want.class;
    script_gone(s, (unsigned)s->ops[op].conn, QOS_GONE_BROKEN, true);
    expect_sums(s);
    st = script_stats(s);
    ck_assert_uint_eq(st.providers[1].classes[class].broken, 1);
    ck_assert_uint_eq(st.classes[class].broken, 1);
    ck_assert_uint_eq(st.providers[1].opened, 1);
    ck_assert_uint_eq(st.providers[0].opened, 0);
    script_free(s);
}
END_TEST

START_TEST(a_connection_s_time_to_open_is_from_its_order_to_ready)
{
    struct qos_config cfg = two(2, 0);
    struct script *s = script_new(&cfg);
    script_submit(s, STREAMING(), 2);
    s->now += 250 * MS;
    script_connect(s, -1);
    struct qos_stats st = script_stats(s);
    ck_assert_uint_eq(st.providers[0].opened, 2);
    ck_assert_uint_eq(st.providers[0].open[bucket(250 * MS)], 2);
    script_free(s);
}
END_TEST

START_TEST(a_pipelined_answer_s_time_is_from_the_answer_before_it)
{
    struct qos_config cfg = two(1, 0);
    cfg.providers[0].pipelining = 4;
    cfg.classes[TRAFFIC_QUEUE].guaranteed = 1;
    struct script *s = script_new(&cfg);
    unsigned a = script_submit(s, QUEUE(), 2);
    unsigned b = script_submit(s, QUEUE(.verb = SEGMENT_STAT), 1);
    script_connect(s, -1);
    expect_at(s, b, 0);
    s->now += 400 * MS;
    script_answer(s, a, QOS_OK);
    s->now += 100 * MS;
    script_answer(s, a + 1, QOS_OK);
    script_answer(s, b, QOS_OK); /* no article */
    unsigned c = script_submit(s, QUEUE(), 1);
    s->now += 20 * MS;
    script_answer(s, c, QOS_NOT_HERE); /* nor here */
    struct qos_stats st = script_stats(s);
    ck_assert_uint_eq(st.providers[0].answer[bucket(400 * MS)], 1);
    ck_assert_uint_eq(st.providers[0].answer[bucket(100 * MS)], 1);
    ck_assert_uint_eq(total(st.providers[0].answer), 2);
    script_free(s);
}
END_TEST

/* --- reclaim --- */

START_TEST(a_lease_that_is_there_at_once_was_reclaimed_in_no_time)
{
    struct qos_config cfg = two(4, 0);
    cfg.classes[TRAFFIC_STREAMING].guaranteed = 2;
    struct script *s = script_new(&cfg);
    script_submit(s, STREAMING(), 3);
    struct qos_stats st = script_stats(s);
    ck_assert_uint_eq(st.classes[TRAFFIC_STREAMING].reclaim[0], 2);
    ck_assert_uint_eq(total(st.classes[TRAFFIC_STREAMING].reclaim), 2); /* the third is on burst */
    s->now += 250 * MS;
    script_connect(s, -1); /* what was opened for it was its slot all along */
    expect_sums(s);
    st = script_stats(s);
    ck_assert_uint_eq(total(st.classes[TRAFFIC_STREAMING].reclaim),
                      st.classes[TRAFFIC_STREAMING].reclaim[0]);
    script_free(s);
}
END_TEST

START_TEST(reclaim_is_from_the_claim_to_the_lease)
{
    struct qos_config cfg = two(4, 0);
    cfg.classes[TRAFFIC_STREAMING].guaranteed = 3;
    struct script *s = script_new(&cfg);
    unsigned q = script_submit(s, QUEUE(), 20);
    script_connect(s, -1);
    s->now += 10 * MS;
    script_submit(s, STREAMING(), 1);
    s->now += 300 * MS;
    script_submit(s, STREAMING(), 1);
    s->now += 100 * MS;
    script_answer(s, q, QOS_OK);
    script_answer(s, q + 1, QOS_OK);
    struct qos_stats st = script_stats(s);
    ck_assert_uint_eq(st.classes[TRAFFIC_STREAMING].reclaim[bucket(400 * MS)], 1);
    ck_assert_uint_eq(st.classes[TRAFFIC_STREAMING].reclaim[bucket(100 * MS)], 1);
    s->now += 2 * S; /* nothing of it waits: it has no claim */
    script_submit(s, STREAMING(), 1);
    s->now += 50 * MS;
    script_answer(s, q + 2, QOS_OK);
    st = script_stats(s);
    ck_assert_uint_eq(st.classes[TRAFFIC_STREAMING].reclaim[bucket(50 * MS)], 1);
    expect_sums(s);
    script_free(s);
}
END_TEST

START_TEST(what_waits_while_the_class_is_at_its_guarantee_claims_from_when_it_falls_below)
{
    struct qos_config cfg = two(2, 0);
    cfg.classes[TRAFFIC_STREAMING].guaranteed = 1;
    struct script *s = script_new(&cfg);
    unsigned b = script_submit(s, STREAMING(), 1);
    unsigned q = script_submit(s, QUEUE(), 5);
    script_connect(s, -1);
    script_submit(s, STREAMING(), 2);
    s->now += 4 * S;
    script_answer(s, b, QOS_OK); /* below, and at once at it again */
    struct qos_stats st = script_stats(s);
    ck_assert_uint_eq(total(st.classes[TRAFFIC_STREAMING].reclaim),
                      st.classes[TRAFFIC_STREAMING].reclaim[0]);
    struct qos_config more = cfg;
    more.classes[TRAFFIC_STREAMING].guaranteed = 2;
    ck_assert_int_eq(qos_resize(s->q, s->now, &more), 0);
    script_run(s);
    s->now += 60 * MS;
    script_answer(s, q, QOS_OK);
    st = script_stats(s);
    ck_assert_uint_eq(st.classes[TRAFFIC_STREAMING].reclaim[bucket(60 * MS)], 1);
    script_free(s);
}
END_TEST

START_TEST(nobody_claims_what_only_a_provider_that_is_down_could_serve)
{
    struct qos_config cfg = two(1, 1);
    cfg.classes[TRAFFIC_STREAMING].guaranteed = 1;
    cfg.providers[0].retention_us = 10;
    cfg.backoff_us = 4 * S;
    struct script *s = script_new(&cfg);
    script_submit(s, STREAMING(.age = 20), 1);
    script_refuse(s, 1, QOS_GONE_REFUSED);
    ck_assert(script_stats(s).providers[1].down);
    script_at(s, qos_wake(s->q));
    script_connect(s, -1);
    expect_at(s, 0, 1);
    struct qos_stats st = script_stats(s);
    ck_assert_uint_eq(total(st.classes[TRAFFIC_STREAMING].reclaim),
                      st.classes[TRAFFIC_STREAMING].reclaim[0]);
    script_free(s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("qos/figures");
    TCase *t = tcase_create("sums");
    tcase_add_test(t, each_answer_is_counted_for_its_class_at_its_provider);
    tcase_add_test(t, what_is_refused_and_what_breaks_is_the_class_s_whose_lease_it_was);
    suite_add_tcase(suite, t);
    t = tcase_create("times");
    tcase_add_test(t, a_connection_s_time_to_open_is_from_its_order_to_ready);
    tcase_add_test(t, a_pipelined_answer_s_time_is_from_the_answer_before_it);
    tcase_add_test(t, a_lease_that_is_there_at_once_was_reclaimed_in_no_time);
    tcase_add_test(t, reclaim_is_from_the_claim_to_the_lease);
    tcase_add_test(t,
                   what_waits_while_the_class_is_at_its_guarantee_claims_from_when_it_falls_below);
    tcase_add_test(t, nobody_claims_what_only_a_provider_that_is_down_could_serve);
    suite_add_tcase(suite, t);
    SRunner *r = srunner_create(suite);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
