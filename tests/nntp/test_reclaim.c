/* Burst comes back: how many articles have to end until a class below its guarantee is served. In counts, the
 * servers': no clock is looked at. */
#include "tests/nntp/scene.h"

#include <check.h>
#include <stdlib.h>

static const unsigned limits[] = {12, 8};

enum { ALL = 20 };

/* Shares of queue, health and streaming: guaranteed and burst. */
struct shares {
    unsigned guaranteed[TRAFFIC_CLASSES], burst[TRAFFIC_CLASSES];
};

static void shares_start(struct scene *s, const struct shares *h, unsigned pipelining)
{
    scene_init(s, limits, 2, pipelining);
    for (unsigned c = 0; c < TRAFFIC_CLASSES; c++)
        s->r.cfg.classes[c] = (struct config_class){
            .guaranteed = h->guaranteed[c], .burst = h->burst[c], .weight = h->guaranteed[c]};
    scene_start(s);
}

static void hungry(struct scene *s, struct crowd *c, enum traffic_class class, unsigned pipelining)
{
    scene_crowd(s, c, class, ALL * pipelining + 10);
    crowd_start(c);
}

static struct newsd_tag tag_now(struct scene *s, enum traffic_class class)
{
    struct scene_now now;
    scene_settle(s, &now);
    return now.sum.of[newsd_tag_index(scene_tag[class])];
}

/* --- k operations of a class below its guarantee ----------------------------------------------------- */

static const struct claim {
    enum traffic_class holder, claimer;
    unsigned pipelining, k;
} claim_list[] = {
    {TRAFFIC_QUEUE, TRAFFIC_STREAMING, 1, 1},  {TRAFFIC_QUEUE, TRAFFIC_STREAMING, 1, 3},
    {TRAFFIC_QUEUE, TRAFFIC_STREAMING, 1, 8},  {TRAFFIC_STREAMING, TRAFFIC_QUEUE, 1, 6},
    {TRAFFIC_STREAMING, TRAFFIC_HEALTH, 1, 6}, {TRAFFIC_QUEUE, TRAFFIC_STREAMING, 4, 1},
    {TRAFFIC_QUEUE, TRAFFIC_STREAMING, 4, 8},  {TRAFFIC_STREAMING, TRAFFIC_QUEUE, 4, 6},
    {TRAFFIC_STREAMING, TRAFFIC_HEALTH, 4, 6}, {TRAFFIC_QUEUE, TRAFFIC_HEALTH, 31, 6},
};

#define CLAIMS ((int)(sizeof(claim_list) / sizeof(*claim_list)))

/* All slots are burst-leased to one class, and another asks for k. Every article that ends on a connection
 * with nothing behind it gives the slot to the claimer; those with something behind are the few that the
 * guarantees leave over. */
START_TEST(each_of_k_claims_is_sent_when_one_of_the_next_k_articles_has_ended)
{
    static const struct shares shares = {{6, 6, 8}, {ALL, ALL, ALL}};
    static struct crowd holder, claimer;
    const struct claim *x = &claim_list[_i];
    struct scene_round round;
    struct scene s;
    shares_start(&s, &shares, x->pipelining);
    hungry(&s, &holder, x->holder, x->pipelining);
    struct newsd_tag t = tag_now(&s, x->holder);
    ck_assert_uint_eq(t.carrying, ALL);
    unsigned others = 0, g = shares.guaranteed[x->holder];
    for (unsigned c = 0; c < TRAFFIC_CLASSES; c++)
        others += c == x->holder ? 0 : shares.guaranteed[c];
    ck_assert_uint_le(t.pipelined, x->pipelining > 1 ? ALL - others : 0);
    ck_assert_uint_le(t.deep, x->pipelining > 2 ? g : 0);

    scene_crowd(&s, &claimer, x->claimer, x->k);
    claimer.most = x->k;
    crowd_start(&claimer);
    ck_assert_uint_eq(tag_now(&s, x->claimer).commands, 0);
    scene_round(&s, &round, scene_tag[x->holder]);
    unsigned served = 0, behind = 0;
    for (unsigned ends = 1; served < x->k; ends++) {
        struct newsd_tag before = tag_now(&s, x->holder);
        ck_assert(scene_release(&s, &round));
        served = tag_now(&s, x->claimer).carrying;
        t = tag_now(&s, x->holder);
        behind += t.carrying == before.carrying; /* it had another behind it */
        ck_assert_uint_eq(served + behind, ends);
        ck_assert_uint_eq(t.carrying + served, ALL);
    }
    ck_assert_uint_le(behind, x->pipelining > 1 ? ALL - others : 0);
    ck_assert_uint_eq(tag_now(&s, x->claimer).commands, x->k);
    scene_fini(&s);
}
END_TEST

/* --- a blocked reader -------------------------------------------------------------------------------- */

static const unsigned depths[] = {1, 4};

#define DEPTHS ((int)(sizeof(depths) / sizeof(*depths)))

/* Queue and health hold all that they may, one of them at its guarantee. Whoever's article ends first, the
 * reader's is asked for on that connection. */
START_TEST(a_blocked_reader_has_the_first_connection_that_ends_its_article)
{
    static const struct shares shares = {{6, 6, 8}, {ALL, 6, ALL}};
    static struct crowd queue, health, reader[12];
    unsigned pipelining = depths[_i];
    struct scene s;
    shares_start(&s, &shares, pipelining);
    hungry(&s, &health, TRAFFIC_HEALTH, pipelining);
    hungry(&s, &queue, TRAFFIC_QUEUE, pipelining);
    scene_expect(&s, 14, 6, 0);
    for (unsigned i = 0; i < 12; i++) {
        static const char turns[] = {0, 'q', 'h'};
        struct scene_round round;
        scene_crowd(&s, &reader[i], TRAFFIC_STREAMING, 1);
        reader[i].most = 1;
        crowd_start(&reader[i]);
        unsigned ends = 0;
        scene_round(&s, &round, turns[i % 3]);
        unsigned row = tag_now(&s, TRAFFIC_QUEUE).pipelined + tag_now(&s, TRAFFIC_HEALTH).pipelined;
        while (!tag_now(&s, TRAFFIC_STREAMING).carrying) {
            if (!scene_release(&s, &round)) { /* all of that class had another behind */
                scene_round(&s, &round, 'q');
                continue;
            }
            ends++;
        }
        ck_assert_uint_le(ends, 1 + row);
        if (pipelining == 1)
            ck_assert_uint_eq(ends, 1);
        /* It was the only one, and no socket was opened or closed for it. */
        ck_assert_uint_eq(
            tag_now(&s, TRAFFIC_QUEUE).carrying + tag_now(&s, TRAFFIC_HEALTH).carrying, ALL - 1);
        scene_drain(&s, 's');
        crowd_wait(&reader[i]);
        /* Where the reader took one of health's guaranteed, the next of queue's that ends is health's. */
        scene_round(&s, &round, 'q');
        while (tag_now(&s, TRAFFIC_HEALTH).carrying < 6)
            ck_assert(scene_release(&s, &round));
        scene_expect(&s, 14, 6, 0);
    }
    struct scene_now now;
    scene_settle(&s, &now);
    for (unsigned i = 0; i < 2; i++)
        ck_assert_uint_eq(now.servers[i].accepted, limits[i]);
    scene_fini(&s);
}
END_TEST

/* Many readers at once, each blocked on one article, and more than are guaranteed. */
START_TEST(claims_of_two_classes_come_in_turn_by_what_each_lacks)
{
    static const struct shares shares = {{4, 6, 8}, {ALL, ALL, ALL}};
    static struct crowd queue, health, streaming;
    struct scene_round round;
    struct scene s;
    shares_start(&s, &shares, 1);
    hungry(&s, &queue, TRAFFIC_QUEUE, 1);
    ck_assert_uint_eq(tag_now(&s, TRAFFIC_QUEUE).carrying, ALL);
    hungry(&s, &health, TRAFFIC_HEALTH, 1);
    hungry(&s, &streaming, TRAFFIC_STREAMING, 1);
    scene_round(&s, &round, 'q');
    for (unsigned ends = 1; ends <= 14; ends++) {
        ck_assert(scene_release(&s, &round));
        struct newsd_tag h = tag_now(&s, TRAFFIC_HEALTH), st = tag_now(&s, TRAFFIC_STREAMING);
        ck_assert_uint_eq(h.carrying + st.carrying, ends);
        /* The relative deficits stay within one connection of each other. */
        int gap = (int)(6 - h.carrying) * 8 - (int)(8 - st.carrying) * 6;
        ck_assert_int_le(gap, 8);
        ck_assert_int_ge(gap, -8);
    }
    scene_expect(&s, 6, 6, 8);
    scene_fini(&s);
}
END_TEST

/* Half of the pool idles when the claim comes: nothing has to end. */
START_TEST(what_idles_is_had_at_once)
{
    static const struct shares shares = {{6, 6, 8}, {10, 6, ALL}};
    static struct crowd queue, streaming;
    struct scene s;
    shares_start(&s, &shares, 1);
    hungry(&s, &queue, TRAFFIC_QUEUE, 1);
    scene_expect(&s, 10, 0, 0);
    hungry(&s, &streaming, TRAFFIC_STREAMING, 1);
    scene_expect(&s, 10, 0, 10);
    scene_fini(&s);
}
END_TEST

/* Both connections of the account bring what nobody wants any more, and stand still. A blocked reader gets one
 * of them: when what is late has been late for longer than another connection costs. The other is left to
 * come to its end. */
START_TEST(what_nobody_wants_is_cut_when_a_claim_waits_and_it_stands_still)
{
    static const unsigned limit[] = {2};
    static struct crowd warm, unwanted, reader;
    struct nntp_pool_stats st;
    struct newsd_tags t;
    struct rig_wait w = {0};
    struct scene_now now;
    struct scene s;
    scene_init(&s, limit, 1, 1);
    s.r.cfg.classes[TRAFFIC_QUEUE] = (struct config_class){.guaranteed = 1, .burst = 2};
    s.r.cfg.classes[TRAFFIC_STREAMING] = (struct config_class){.guaranteed = 1, .burst = 2};
    scene_start(&s);
    newsd_hold(s.r.servers[0], false);
    scene_crowd(&s, &warm, TRAFFIC_QUEUE, 2);
    warm.most = 20; /* how fast the provider is, is known from these */
    crowd_start(&warm);
    crowd_wait(&warm);
    newsd_hold(s.r.servers[0], true);
    scene_crowd(&s, &unwanted, TRAFFIC_QUEUE, 2);
    unwanted.most = 2;
    crowd_start(&unwanted);
    scene_settle(&s, &now);
    ck_assert_uint_eq(now.sum.of[newsd_tag_index('q')].held, 2);
    crowd_stop(&unwanted);
    scene_crowd(&s, &reader, TRAFFIC_STREAMING, 1);
    reader.most = 1;
    crowd_start(&reader);
    do {
        rig_wait(&s.r, &w, "not cut for a claim");
        newsd_tags(s.r.servers[0], &t);
    } while (t.of[newsd_tag_index('s')].held < 1);
    ck_assert_uint_eq(t.of[newsd_tag_index('q')].answered, 20);
    ck_assert_uint_eq(t.of[newsd_tag_index('q')].held, 1);
    ck_assert_uint_eq(t.accepted, 3);
    nntp_pool_stats(s.r.pool, &st);
    ck_assert_uint_eq(st.qos.classes[TRAFFIC_QUEUE].cut, 1);
    ck_assert_uint_eq(crowd_counts(&unwanted).results[SEGMENT_CANCELLED], 1);
    newsd_hold(s.r.servers[0], false);
    crowd_wait(&unwanted);
    crowd_wait(&reader);
    ck_assert_uint_eq(crowd_counts(&unwanted).results[SEGMENT_DONE], 1);
    ck_assert_uint_eq(crowd_counts(&reader).results[SEGMENT_DONE], 1);
    scene_fini(&s);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("nntp/reclaim");
    TCase *t = tcase_create("reclaim");
    tcase_add_loop_test(t, each_of_k_claims_is_sent_when_one_of_the_next_k_articles_has_ended, 0,
                        CLAIMS);
    tcase_add_loop_test(t, a_blocked_reader_has_the_first_connection_that_ends_its_article, 0,
                        DEPTHS);
    tcase_add_test(t, claims_of_two_classes_come_in_turn_by_what_each_lacks);
    tcase_add_test(t, what_idles_is_had_at_once);
    tcase_add_test(t, what_nobody_wants_is_cut_when_a_claim_waits_and_it_stands_still);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    SRunner *sr = srunner_create(suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
