#include "tests/qos/shrink.h"
#include "tests/qos/sim.h"
#include "tests/qos/stage.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In CI a part of what is run by hand (usage below), smaller where every step is instrumented. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#    define SEEDS 15
#else
#    define SEEDS 60
#endif
#define FACTS 2500

/** Writes the failing run down as a story, shrinks it and prints it. */
static void tell_short(uint64_t seed, uint64_t facts, double seconds)
{
    struct sim_result r;
    struct story story;
    char wrong[512];
    sim_run(seed, facts, &r, &story);
    size_t before = story.n, tries = shrink(&story, r.wrong, seconds, wrong, sizeof(wrong));
    printf("# %s\n", r.report);
    if (!tries)
        printf("# it does not come again when its story is played: not shrunk\n");
    else
        printf("# %zu steps, shrunk to %zu in %zu tries: %s\n", before, story.n, tries, wrong);
    story_write(&story, stdout);
    fflush(stdout);
    story_fini(&story);
}

static void run(uint64_t seed, uint64_t facts, struct sim_result *r)
{
    sim_run(seed, facts, r, NULL);
    if (r->report[0])
        tell_short(seed, facts, 20);
    ck_assert_msg(!r->report[0], "%s", r->report);
}

START_TEST(no_promise_is_broken_whatever_happens)
{
    struct sim_result r;
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        run((uint64_t)_i * 1000 + seed, FACTS, &r);
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

START_TEST(a_run_written_down_and_read_again_gives_the_same_orders)
{
    struct sim_result r;
    struct story told, read;
    char wrong[256];
    uint64_t first, second;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        sim_run(seed, FACTS, &r, &told);
        FILE *f = tmpfile();
        ck_assert_ptr_nonnull(f);
        story_write(&told, f);
        rewind(f);
        ck_assert_msg(!story_read(&read, f, wrong, sizeof(wrong)), "%s", wrong);
        fclose(f);
        ck_assert_uint_eq(read.n, told.n);
        ck_assert_msg(!stage_play(&told, wrong, sizeof(wrong), NULL, &first), "%s", wrong);
        ck_assert_msg(!stage_play(&read, wrong, sizeof(wrong), NULL, &second), "%s", wrong);
        ck_assert_uint_eq(first, r.hash);
        ck_assert_uint_eq(second, r.hash);
        story_fini(&told);
        story_fini(&read);
    }
}
END_TEST

START_TEST(the_simulation_reaches_every_kind_of_end)
{
    struct sim_result r;
    uint64_t ends[QOS_REJECTED + 1] = {0};
    for (uint64_t seed = 1; seed <= 80; seed++) {
        run(seed, FACTS, &r);
        for (unsigned v = 0; v <= QOS_REJECTED; v++)
            ends[v] += r.ends[v];
    }
    for (unsigned v = 0; v <= QOS_REJECTED; v++)
        ck_assert_msg(ends[v] > 0, "verdict %u came %llu times", v, (unsigned long long)ends[v]);
}
END_TEST

/* --- by hand ----------------------------------------------------------------------------------- */

static const char usage[] =
    "test_qos_sim                     the suite\n"
    "test_qos_sim SEED SEEDS FACTS    so many seeds from SEED, so many facts each; the first that\n"
    "                                 breaks a promise is shrunk to a short story and printed\n"
    "test_qos_sim --story FILE        plays a story (as printed) and says what is wrong with it\n"
    "test_qos_sim --write SEED FACTS  prints the story of a seed\n";

static int play_file(const char *name)
{
    struct story story;
    char wrong[512];
    size_t steps;
    FILE *f = strcmp(name, "-") ? fopen(name, "r") : stdin;
    if (!f) {
        perror(name);
        return 2;
    }
    int r = story_read(&story, f, wrong, sizeof(wrong));
    fclose(f);
    if (r) {
        fprintf(stderr, "%s: %s\n", name, wrong);
        return 2;
    }
    bool failed = stage_play(&story, wrong, sizeof(wrong), &steps, NULL);
    if (failed)
        printf("step %zu of %zu, %s\n", steps, story.n, wrong);
    else
        printf("%zu steps, nothing wrong\n", story.n);
    story_fini(&story);
    return failed;
}

static int write_story(uint64_t seed, uint64_t facts)
{
    struct sim_result r;
    struct story story;
    sim_run(seed, facts, &r, &story);
    if (r.report[0])
        printf("# %s\n", r.report);
    story_write(&story, stdout);
    story_fini(&story);
    return 0;
}

/** I9: another scheduler in the same process, told the same, says the same. */
static bool says_the_same(uint64_t seed, uint64_t facts, const struct sim_result *r)
{
    struct sim_result again;
    sim_run(seed, facts, &again, NULL);
    return again.hash == r->hash;
}

static int many(uint64_t first, uint64_t n, uint64_t each)
{
    uint64_t facts = 0, wakes = 0, orders = 0, cuts = 0, by_providers[9] = {0};
    for (uint64_t seed = first; seed < first + n; seed++) {
        struct sim_result r;
        sim_run(seed, each, &r, NULL);
        facts += r.facts;
        wakes += r.wakes;
        orders += r.orders;
        cuts += r.cuts;
        by_providers[r.nproviders < 8 ? r.nproviders : 8] += r.facts;
        if (r.report[0]) {
            tell_short(seed, each, 20);
            return 1;
        }
        if (seed % 16 == 0 && !says_the_same(seed, each, &r)) {
            printf("# seed %llu: I9: the same facts give other orders\n", (unsigned long long)seed);
            return 1;
        }
    }
    printf("%llu facts, %llu wakes, %llu orders, %llu cuts, nothing wrong\nfacts by providers:",
           (unsigned long long)facts, (unsigned long long)wakes, (unsigned long long)orders,
           (unsigned long long)cuts);
    for (unsigned i = 1; i <= 8; i++)
        printf(" %llu", (unsigned long long)by_providers[i]);
    putchar('\n');
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "--story"))
        return play_file(argv[2]);
    if (argc == 4 && !strcmp(argv[1], "--write"))
        return write_story(strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10));
    if (argc == 4)
        return many(strtoull(argv[1], NULL, 10), strtoull(argv[2], NULL, 10),
                    strtoull(argv[3], NULL, 10));
    if (argc != 1) {
        fputs(usage, stderr);
        return 2;
    }
    Suite *s = suite_create("qos/sim");
    TCase *t = tcase_create("random");
    tcase_add_loop_test(t, no_promise_is_broken_whatever_happens, 0, 2);
    tcase_add_test(t, the_same_facts_give_the_same_orders);
    tcase_add_test(t, a_run_written_down_and_read_again_gives_the_same_orders);
    tcase_add_test(t, the_simulation_reaches_every_kind_of_end);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
