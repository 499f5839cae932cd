/* What is late is asked for a second time: the asker gets one article, once, whoever brought it. Hardly anything
 * waits for a time limit here: what a server holds back it holds back for ever, and only a twin can bring it. */
#include "tests/nntp/rig.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

#define PARTS 48u

/* What the pool has counted before the story began: on a machine that is taken by others an answer may be late while it
 * learns. */
static struct nntp_hedge_stats before;

static struct nntp_hedge_stats counted(struct rig *r)
{
    struct nntp_pool_stats s;

    nntp_pool_stats(r->pool, &s);
    return s.hedged;
}

static struct nntp_hedge_stats figures(struct rig *r)
{
    struct nntp_hedge_stats h = counted(r);

    h.started -= before.started;
    h.won -= before.won;
    h.lost -= before.lost;
    h.bytes_lost -= before.bytes_lost;
    return h;
}

static void unstall(struct rig *r)
{
    for (unsigned i = 0; i < r->nservers; i++)
        newsd_unstall(r->servers[i]);
}

/* Once as many are out whoever stalls, or is about to, is let go, until as many have ended. */
static void hedged_await(struct rig *r, uint64_t started, uint64_t ended)
{
    struct rig_wait w = {0};

    for (struct nntp_hedge_stats h = figures(r); h.started < started || h.won + h.lost < ended;
         h = figures(r)) {
        if (h.started >= started)
            unstall(r);
        rig_wait(r, &w, "waiting for a twin");
    }
}

/* As many articles, eight at a time: the pool knows what is late from then on, and has connections to spare. */
static void learn(struct rig *r)
{
    for (uint32_t part = 1; part <= 40; part += 8) {
        struct fetch t[8];
        for (uint32_t k = 0; k < 8; k++) {
            fetch_init(&t[k], r, part + k);
            t[k].f.want.bytes = RIG_PART;
            fetch_start(&t[k], r);
        }
        for (uint32_t k = 0; k < 8; k++) {
            ck_assert_int_eq(fetch_wait(&t[k]), SEGMENT_DONE);
            fetch_fini(&t[k]);
        }
    }
}

static void rig_learnt(struct rig *r, unsigned nservers, unsigned stall_s)
{
    rig_init(r, PARTS);
    r->cfg.timeouts.stall_s = stall_s;
    r->cfg.classes[TRAFFIC_STREAMING].hedge = 1000;
    for (unsigned i = 0; i < nservers; i++)
        rig_server(r, &(struct newsd_config){.latency_us = 1000});
    rig_start(r);
    learn(r);
    struct rig_wait w = {0};
    for (before = counted(r); before.won + before.lost < before.started; before = counted(r))
        rig_wait(r, &w, "waiting for twins of the learning to end");
}

static void fault(struct rig *r, uint32_t part, enum newsd_fault f, unsigned times)
{
    for (unsigned i = 0; i < r->nservers; i++)
        newsd_fault(r->servers[i], spool_message_id(r->spool, r->file, part), f, times);
}

static void start(struct fetch *t, struct rig *r, uint32_t part)
{
    fetch_init(t, r, part);
    t->f.want.bytes = RIG_PART;
    fetch_start(t, r);
}

static uint64_t asked(struct rig *r, uint32_t part)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < r->nservers; i++)
        n += newsd_asked(r->servers[i], spool_message_id(r->spool, r->file, part));
    return n;
}

START_TEST(a_reader_gets_what_the_twin_brings_while_the_first_is_held)
{
    static const enum newsd_fault faults[] = {NEWSD_STALL_FIRST, NEWSD_STALL_MID};
    struct rig r;
    struct fetch t;

    rig_learnt(&r, 1, 600);
    fault(&r, 45, faults[_i], 1);
    start(&t, &r, 45);
    ck_assert_int_eq(fetch_wait(&t), SEGMENT_DONE);
    fetch_check(&t, 45);
    ck_assert_uint_eq(t.begins, 1);
    ck_assert_uint_eq(asked(&r, 45), 2);
    unstall(&r);
    hedged_await(&r, 1, 1);
    ck_assert_uint_eq(figures(&r).won, 1);
    fetch_fini(&t);
    /* The connection of the one that lost is in step. */
    for (uint32_t part = 41; part <= PARTS; part++)
        ck_assert_int_eq(fetch_part(&r, part), SEGMENT_DONE);
    rig_fini(&r);
}
END_TEST

START_TEST(the_twin_is_asked_of_another_provider)
{
    struct rig r;
    struct fetch t;

    rig_learnt(&r, 2, 600);
    fault(&r, 45, NEWSD_STALL_FIRST, 1); /* of each: the twin is held as well */
    start(&t, &r, 45);
    hedged_await(&r, 1, 0);
    struct rig_wait w = {0};
    while (asked(&r, 45) < 2)
        rig_wait(&r, &w, "waiting for it to be asked of both");
    for (unsigned i = 0; i < 2; i++)
        ck_assert_uint_eq(newsd_asked(r.servers[i], spool_message_id(r.spool, r.file, 45)), 1);
    ck_assert(!fetch_is_over(&t));
    hedged_await(&r, 1, 1);
    ck_assert_int_eq(fetch_wait(&t), SEGMENT_DONE);
    fetch_check(&t, 45);
    ck_assert_uint_eq(figures(&r).won + figures(&r).lost, 1);
    fetch_fini(&t);
    rig_fini(&r);
}
END_TEST

START_TEST(a_twin_that_fails_leaves_the_first_alone)
{
    static const enum newsd_fault faults[] = {NEWSD_430, NEWSD_BAD_CRC, NEWSD_CLOSE_MID, NEWSD_403,
                                              NEWSD_SHORT};
    struct rig r;
    struct fetch t;

    rig_learnt(&r, 1, 600);
    fault(&r, 45, NEWSD_STALL_MID, 1);
    fault(&r, 45, faults[_i], 1);
    start(&t, &r, 45);
    hedged_await(&r, 1, 0);
    struct rig_wait w = {0};
    while (asked(&r, 45) < 2)
        rig_wait(&r, &w, "waiting for the twin to be asked");
    ck_assert(!fetch_is_over(&t));
    hedged_await(&r, 1, 1);
    ck_assert_int_eq(fetch_wait(&t), SEGMENT_DONE);
    fetch_check(&t, 45);
    ck_assert_uint_eq(figures(&r).lost, 1);
    fetch_fini(&t);
    rig_fini(&r);
}
END_TEST

START_TEST(who_asks_gets_no_article_that_he_refuses)
{
    struct rig r;
    struct fetch t;

    rig_learnt(&r, 1, 600);
    fault(&r, 45, NEWSD_STALL_FIRST, 1);
    fetch_init(&t, &r, 45);
    t.f.want.bytes = RIG_PART;
    t.veto = -ENOSPC;
    fetch_start(&t, &r);
    hedged_await(&r, 1, 1);
    ck_assert_int_eq(fetch_wait(&t), SEGMENT_NOSPACE);
    ck_assert_uint_eq(figures(&r).won, 0);
    fetch_fini(&t);
    rig_fini(&r);
}
END_TEST

/* The first was cancelled for it and is silent: it is asked for again, rather than called corrupt. */
START_TEST(a_twin_that_is_another_article_ends_nothing)
{
    struct rig r;
    struct fetch t;

    rig_learnt(&r, 1, 1);
    fault(&r, 45, _i ? NEWSD_STALL_MID : NEWSD_STALL_FIRST, 1);
    fault(&r, 45, NEWSD_BAD_PART, 1);
    fetch_init(&t, &r, 45);
    t.f.want.bytes = RIG_PART;
    t.strict = true;
    t.at = (uint64_t)RIG_PART * 44;
    fetch_start(&t, &r);
    ck_assert_int_eq(fetch_wait(&t), SEGMENT_DONE);
    fetch_check(&t, 45);
    ck_assert_uint_eq(asked(&r, 45), 3);
    ck_assert_uint_eq(figures(&r).won, 0);
    fetch_fini(&t);
    rig_fini(&r);
}
END_TEST

START_TEST(what_is_larger_than_the_memory_for_it_is_not_asked_for_twice)
{
    struct rig r;
    struct fetch t;

    rig_learnt(&r, 1, 1);
    fault(&r, 45, NEWSD_STALL_FIRST, 1);
    fetch_init(&t, &r, 45);
    t.f.want.bytes = 3 << 20;
    fetch_start(&t, &r);
    ck_assert_int_eq(fetch_wait(&t), SEGMENT_DONE);
    ck_assert_uint_eq(figures(&r).started, 0);
    fetch_fini(&t);
    rig_fini(&r);
}
END_TEST

START_TEST(both_are_let_go_when_the_pool_stops)
{
    struct rig r;
    struct fetch t;

    rig_learnt(&r, 1, 600);
    fault(&r, 45, _i ? NEWSD_STALL_MID : NEWSD_STALL_FIRST, 2);
    start(&t, &r, 45);
    hedged_await(&r, 1, 0);
    if (_i)
        source_cancel(r.source, &t.f);
    rig_fini(&r);
    ck_assert_int_eq(fetch_wait(&t), SEGMENT_CANCELLED);
    fetch_fini(&t);
}
END_TEST

/* Some stall, some of the twins do, and all of it is let go at any moment. */
START_TEST(whoever_wins_the_bytes_are_right)
{
    struct rig r;
    unsigned dice = 1;

    rig_learnt(&r, 2, 600);
    for (unsigned round = 0; round < 20; round++) {
        struct fetch t[8];
        for (uint32_t k = 0; k < 8; k++) {
            dice = dice * 1103515245u + 12345u;
            unsigned d = dice >> 16;
            if (d % 4 == 0)
                fault(&r, 1 + k, d / 4 % 2 ? NEWSD_STALL_MID : NEWSD_STALL_FIRST, 1);
            start(&t[k], &r, 1 + k);
        }
        if (round % 2)
            hedged_await(&r, figures(&r).started, 0);
        unstall(&r);
        for (uint32_t k = 0; k < 8; k++) {
            struct rig_wait w = {0};
            while (!fetch_is_over(&t[k])) {
                unstall(&r);
                rig_wait(&r, &w, "waiting for an article");
            }
            ck_assert_int_eq(fetch_wait(&t[k]), SEGMENT_DONE);
            fetch_check(&t[k], 1 + k);
            fetch_fini(&t[k]);
        }
        newsd_clear_faults(r.servers[0]);
        newsd_clear_faults(r.servers[1]);
    }
    rig_fini(&r);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("nntp/hedge");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, a_reader_gets_what_the_twin_brings_while_the_first_is_held, 0, 2);
    tcase_add_test(t, the_twin_is_asked_of_another_provider);
    tcase_add_loop_test(t, a_twin_that_fails_leaves_the_first_alone, 0, 5);
    tcase_add_test(t, who_asks_gets_no_article_that_he_refuses);
    tcase_add_loop_test(t, a_twin_that_is_another_article_ends_nothing, 0, 2);
    tcase_add_test(t, what_is_larger_than_the_memory_for_it_is_not_asked_for_twice);
    tcase_add_loop_test(t, both_are_let_go_when_the_pool_stops, 0, 2);
    tcase_add_test(t, whoever_wins_the_bytes_are_right);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
