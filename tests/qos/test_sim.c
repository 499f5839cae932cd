#include "tests/qos/sim.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

/* A run by hand: test_qos_sim FIRST-SEED SEEDS FACTS-EACH. In CI a part of it, smaller where every step is
 * instrumented. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#    define SEEDS 15
#else
#    define SEEDS 60
#endif

static void run(uint64_t seed, uint64_t facts, struct sim_result *r)
{
    sim_run(seed, facts, r);
    ck_assert_msg(!r->report[0], "%s", r->report);
}

START_TEST(no_promise_is_broken_whatever_happens)
{
    struct sim_result r;
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        run((uint64_t)_i * 1000 + seed, 2500, &r);
}
END_TEST

START_TEST(the_same_facts_give_the_same_orders)
{
    struct sim_result a, b;
    run(4711, 5000, &a);
    run(4711, 5000, &b);
    ck_assert_uint_eq(a.hash, b.hash);
    ck_assert_uint_eq(a.orders, b.orders);
    run(4712, 5000, &b);
    ck_assert_uint_ne(a.hash, b.hash);
}
END_TEST

START_TEST(the_simulation_reaches_every_kind_of_end)
{
    struct sim_result r;
    uint64_t ends[QOS_REJECTED + 1] = {0};
    for (uint64_t seed = 1; seed <= 20; seed++) {
        run(seed, 2500, &r);
        for (unsigned v = 0; v <= QOS_REJECTED; v++)
            ends[v] += r.ends[v];
    }
    for (unsigned v = 0; v <= QOS_REJECTED; v++)
        ck_assert_msg(ends[v] > 0, "verdict %u came %llu times", v, (unsigned long long)ends[v]);
}
END_TEST

static int by_hand(char **argv)
{
    uint64_t first = strtoull(argv[1], NULL, 10), n = strtoull(argv[2], NULL, 10);
    uint64_t each = strtoull(argv[3], NULL, 10), facts = 0, orders = 0;
    for (uint64_t seed = first; seed < first + n; seed++) {
        struct sim_result r;
        sim_run(seed, each, &r);
        facts += r.facts;
        orders += r.orders;
        if (r.report[0]) {
            puts(r.report);
            return 1;
        }
    }
    printf("%llu facts, %llu orders, nothing wrong\n", (unsigned long long)facts,
           (unsigned long long)orders);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 4)
        return by_hand(argv);
    Suite *s = suite_create("qos/sim");
    TCase *t = tcase_create("random");
    tcase_add_loop_test(t, no_promise_is_broken_whatever_happens, 0, 2);
    tcase_add_test(t, the_same_facts_give_the_same_orders);
    tcase_add_test(t, the_simulation_reaches_every_kind_of_end);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
