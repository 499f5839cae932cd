/* Fair turns and caps of streams, by the server's count: each stream asks for articles of a tag of its own. */
#include "tests/nntp/scene.h"

#include <check.h>
#include <stdlib.h>

enum { STREAMS = 12, CONNECTIONS = 30, CAP = 5 };

/* Without it a server on loopback has answered before it sees the next command. */
#define LATENCY_US 2000

/* One server; streams have the tags a…l, and one class all of the pool. */
static void streams_start(struct scene *s, struct crowd crowds[STREAMS], enum traffic_class class,
                          unsigned n, unsigned each, unsigned pipelining, unsigned cap)
{
    static const unsigned limit[] = {CONNECTIONS};
    scene_init_tags(s, limit, 1, pipelining, "abcdefghijkl");
    for (unsigned c = 0; c < TRAFFIC_CLASSES; c++)
        s->r.cfg.classes[c] = (struct config_class){.guaranteed = c == class ? CONNECTIONS : 0,
                                                    .burst = CONNECTIONS,
                                                    .weight = 1,
                                                    .per_stream = c == class ? cap : 0};
    /* rig_start() gives streaming a slot unless it has one. */
    if (class != TRAFFIC_STREAMING) {
        s->r.cfg.classes[class].guaranteed--;
        s->r.cfg.classes[TRAFFIC_STREAMING].guaranteed = 1;
    }
    scene_start(s);
    for (unsigned i = 0; i < n; i++) {
        scene_crowd_tag(s, &crowds[i], (char)('a' + (int)i), class, each);
        crowds[i].want.stream = 100 + i;
        crowds[i].want.urgency = URGENCY_READAHEAD;
    }
    /* What one has sent before the next comes is not taken back; so all are there before anything is sent. */
    newsd_silent(s->r.servers[0], true);
    for (unsigned i = 0; i < n; i++)
        crowd_start(&crowds[i]);
    newsd_silent(s->r.servers[0], false);
}

/* (sum x)² / (n · sum x²), of the bytes of articles that have ended. */
static double jain(const struct scene_now *now, const struct newsd_tags *since, unsigned n)
{
    double sum = 0, squares = 0;
    for (unsigned i = 0; i < n; i++) {
        double x = (double)(now->sum.of[i].answered - since->of[i].answered) * RIG_TAG_PART;
        sum += x;
        squares += x * x;
    }
    return sum * sum / (n * squares);
}

static const struct equal {
    enum traffic_class class;
    unsigned pipelining;
} equal_list[] = {{TRAFFIC_STREAMING, 1},
                  {TRAFFIC_STREAMING, 4},
                  {TRAFFIC_QUEUE, 1},
                  {TRAFFIC_QUEUE, 4},
                  {TRAFFIC_HEALTH, 1}};

#define EQUALS ((int)(sizeof(equal_list) / sizeof(*equal_list)))

/* Whoever waits with most, all have as much: after each dozen of articles per stream. */
START_TEST(twelve_equal_streams_get_equal_bytes)
{
    static struct crowd crowds[STREAMS];
    const struct equal *e = &equal_list[_i];
    struct scene_now now;
    struct scene s;
    streams_start(&s, crowds, e->class, STREAMS, 60, e->pipelining, 0);
    scene_settle(&s, &now);
    struct newsd_tags since = now.sum;
    for (unsigned round = 1; round <= 4; round++) {
        for (unsigned n = 0; n < 12 * STREAMS; n++) {
            ck_assert_uint_eq(newsd_release(s.r.servers[0], 0, 1), 1);
            scene_settle(&s, &now);
        }
        ck_assert_msg(jain(&now, &since, STREAMS) >= 0.99, "after %u articles Jain's index is %.4f",
                      round * 12 * STREAMS, jain(&now, &since, STREAMS));
    }
    scene_fini(&s);
}
END_TEST

/* The same where nobody counts: the server lets everything go as it comes, and at some moment all have had
 * so many. */
START_TEST(twelve_equal_streams_get_equal_bytes_at_full_speed)
{
    static struct crowd crowds[STREAMS];
    const struct equal *e = &equal_list[_i];
    struct newsd_tags since, t;
    struct rig_wait w = {0};
    struct scene_now now;
    struct scene s;
    streams_start(&s, crowds, e->class, STREAMS, 60, e->pipelining, 0);
    scene_settle(&s, &now);
    newsd_tags(s.r.servers[0], &since);
    newsd_hold(s.r.servers[0], false);
    do {
        rig_wait(&s.r, &w, "not served enough");
        newsd_tags(s.r.servers[0], &t);
    } while (t.all.answered < since.all.answered + 200 * STREAMS);
    now.sum = t;
    ck_assert_msg(jain(&now, &since, STREAMS) >= 0.99, "Jain's index is %.4f",
                  jain(&now, &since, STREAMS));
    scene_fini(&s);
}
END_TEST

/* One asks for three times as much at once as another: it waits with more, and gets no more. */
START_TEST(who_asks_for_more_at_once_gets_no_more)
{
    static struct crowd crowds[STREAMS];
    struct scene_now now;
    struct scene s;
    streams_start(&s, crowds, TRAFFIC_STREAMING, 3, 40, 1, 0);
    struct crowd *greedy = &crowds[3];
    scene_crowd_tag(&s, greedy, 'd', TRAFFIC_STREAMING, 200);
    greedy->want.stream = 103;
    greedy->want.urgency = URGENCY_READAHEAD;
    crowd_start(greedy);
    /* What was granted before it came is not part of the comparison: two article times later all is even. */
    for (unsigned n = 0; n < 2; n++) {
        scene_settle(&s, &now);
        newsd_release(s.r.servers[0], 0, UINT32_MAX);
    }
    scene_settle(&s, &now);
    struct newsd_tags since = now.sum;
    for (unsigned n = 0; n < 400; n++) {
        ck_assert_uint_eq(newsd_release(s.r.servers[0], 0, 1), 1);
        scene_settle(&s, &now);
    }
    uint64_t got = now.sum.of[3].answered - since.of[3].answered;
    ck_assert_uint_le(got, 400 / 4 + 10);
    scene_fini(&s);
}
END_TEST

/* --- caps -------------------------------------------------------------------------------------------- */

static const unsigned cap_depths[] = {1, 4};

START_TEST(a_stream_with_a_cap_of_five_never_holds_six)
{
    static struct crowd crowds[STREAMS];
    struct newsd_tags t;
    struct rig_wait w = {0};
    struct scene_now now;
    struct scene s;
    streams_start(&s, crowds, TRAFFIC_STREAMING, 3, 60, cap_depths[_i], CAP);
    /* Held: each has all that it may, and the rest of the pool is not even opened. */
    scene_settle(&s, &now);
    for (unsigned i = 0; i < 3; i++)
        ck_assert_uint_eq(now.sum.of[i].on, CAP);
    ck_assert_uint_eq(now.sum.connections, 3 * CAP);
    for (unsigned n = 0; n < 60; n++) {
        ck_assert_uint_eq(newsd_release(s.r.servers[0], 0, 1), 1);
        scene_settle(&s, &now);
        for (unsigned i = 0; i < 3; i++)
            ck_assert_uint_eq(now.sum.of[i].on, CAP);
    }
    /* At full speed, and with the cap lowered and raised on the way; the peak counts every command. */
    static const unsigned caps[] = {2, 7, 1, 5};
    newsd_set_latency(s.r.servers[0], LATENCY_US);
    newsd_hold(s.r.servers[0], false);
    for (unsigned k = 0; k < 4; k++) {
        struct config cfg = s.r.cfg;
        cfg.classes[TRAFFIC_STREAMING].per_stream = caps[k];
        ck_assert_int_eq(nntp_pool_resize(s.r.pool, &cfg, s.r.err, sizeof(s.r.err)), 0);
        for (unsigned i = 0; i < 3; i++)
            do {
                rig_wait(&s.r, &w, "above the cap");
                newsd_tags(s.r.servers[0], &t);
            } while (t.of[i].on > caps[k]);
        newsd_reset_peak(s.r.servers[0]);
        uint64_t answered = t.all.answered;
        do {
            rig_wait(&s.r, &w, "not served under a cap");
            newsd_tags(s.r.servers[0], &t);
        } while (t.all.answered < answered + 500 || t.of[0].on_peak < caps[k] ||
                 t.of[1].on_peak < caps[k] || t.of[2].on_peak < caps[k]);
        for (unsigned i = 0; i < 3; i++)
            ck_assert_uint_eq(t.of[i].on_peak, caps[k]);
    }
    scene_fini(&s);
}
END_TEST

/* A class at its burst, and no moment in which it is above: the peak counts every command. */
START_TEST(a_class_never_holds_more_than_its_burst)
{
    static const unsigned limit[] = {CONNECTIONS};
    static struct crowd queue, health, streaming;
    struct rig_wait w = {0};
    struct newsd_tags t;
    struct scene s;
    scene_init(&s, limit, 1, 4);
    s.r.cfg.classes[TRAFFIC_QUEUE] = (struct config_class){.guaranteed = 4, .burst = 9};
    s.r.cfg.classes[TRAFFIC_HEALTH] = (struct config_class){.guaranteed = 2, .burst = 3};
    s.r.cfg.classes[TRAFFIC_STREAMING] = (struct config_class){.guaranteed = 10, .burst = 17};
    scene_start(&s);
    newsd_set_latency(s.r.servers[0], LATENCY_US);
    newsd_hold(s.r.servers[0], false);
    scene_crowd(&s, &queue, TRAFFIC_QUEUE, 80);
    scene_crowd(&s, &health, TRAFFIC_HEALTH, 80);
    health.want.verb = SEGMENT_STAT;
    scene_crowd(&s, &streaming, TRAFFIC_STREAMING, 80);
    crowd_start(&queue);
    crowd_start(&health);
    crowd_start(&streaming);
    do {
        rig_wait(&s.r, &w, "not served enough");
        newsd_tags(s.r.servers[0], &t);
    } while (t.all.answered < 5000 || t.of[newsd_tag_index('q')].on_peak < 9 ||
             t.of[newsd_tag_index('h')].on_peak < 3 || t.of[newsd_tag_index('s')].on_peak < 17);
    ck_assert_uint_eq(t.of[newsd_tag_index('q')].on_peak, 9);
    ck_assert_uint_eq(t.of[newsd_tag_index('h')].on_peak, 3);
    ck_assert_uint_eq(t.of[newsd_tag_index('s')].on_peak, 17);
    ck_assert_uint_le(t.peak, 29);
    scene_fini(&s);
}
END_TEST

/* Fewer connections than hungry classes: those without a guarantee take turns at what is left. */
START_TEST(no_class_waits_for_ever_at_two_connections)
{
    static const unsigned limit[] = {2};
    static struct crowd queue, health, streaming;
    struct scene_now now;
    struct scene s;
    scene_init(&s, limit, 1, 1);
    for (unsigned c = 0; c < TRAFFIC_CLASSES; c++)
        s.r.cfg.classes[c] = (struct config_class){.burst = 2, .weight = 1};
    s.r.cfg.classes[TRAFFIC_STREAMING].guaranteed = 1;
    scene_start(&s);
    scene_crowd(&s, &streaming, TRAFFIC_STREAMING, 5);
    scene_crowd(&s, &health, TRAFFIC_HEALTH, 5);
    scene_crowd(&s, &queue, TRAFFIC_QUEUE, 5);
    crowd_start(&streaming);
    crowd_start(&health);
    crowd_start(&queue);
    for (unsigned n = 0; n < 60; n++) {
        scene_settle(&s, &now);
        if (n > 0) /* in the first it may have been alone */
            ck_assert_uint_eq(now.sum.of[newsd_tag_index('s')].carrying, 1);
        newsd_release(s.r.servers[0], 0, UINT32_MAX);
    }
    scene_settle(&s, &now);
    ck_assert_uint_ge(now.sum.of[newsd_tag_index('q')].answered, 28);
    ck_assert_uint_ge(now.sum.of[newsd_tag_index('h')].answered, 28);
    scene_fini(&s);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("nntp/fair");
    TCase *t = tcase_create("fair");
    tcase_add_loop_test(t, twelve_equal_streams_get_equal_bytes, 0, EQUALS);
    tcase_add_loop_test(t, twelve_equal_streams_get_equal_bytes_at_full_speed, 0, EQUALS);
    tcase_add_test(t, who_asks_for_more_at_once_gets_no_more);
    tcase_add_loop_test(t, a_stream_with_a_cap_of_five_never_holds_six, 0, 2);
    tcase_add_test(t, a_class_never_holds_more_than_its_burst);
    tcase_add_test(t, no_class_waits_for_ever_at_two_connections);
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
