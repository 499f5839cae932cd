/* The worked example, on real sockets: who has how many connections, counted by the servers. */
#include "tests/nntp/scene.h"

#include <check.h>
#include <stdlib.h>

/* T = 145 over two providers. */
static const unsigned limits[] = {100, 45};

enum { ALL = 145, QUEUE = 30, HEALTH = 60, STREAMING = 55 };

static const struct variant {
    unsigned pipelining;
    enum segment_verb health; /* what health asks by */
} variants[] = {{1, SEGMENT_BODY}, {4, SEGMENT_BODY}, {1, SEGMENT_STAT}, {4, SEGMENT_STAT}};

#define VARIANTS ((int)(sizeof(variants) / sizeof(*variants)))

static void example_start(struct scene *s, const struct variant *v)
{
    scene_init(s, limits, 2, v->pipelining);
    s->r.cfg.classes[TRAFFIC_QUEUE] =
        (struct config_class){.guaranteed = QUEUE, .burst = ALL, .weight = QUEUE};
    s->r.cfg.classes[TRAFFIC_HEALTH] =
        (struct config_class){.guaranteed = HEALTH, .burst = HEALTH, .weight = HEALTH};
    s->r.cfg.classes[TRAFFIC_STREAMING] =
        (struct config_class){.guaranteed = STREAMING, .burst = ALL, .weight = STREAMING};
    scene_start(s);
}

/* More than the class could ever have in flight. */
static void hungry(struct scene *s, struct crowd *c, enum traffic_class class,
                   const struct variant *v)
{
    scene_crowd(s, c, class, ALL * v->pipelining + 50);
    c->streams = 5;
    if (class == TRAFFIC_HEALTH)
        c->want.verb = v->health;
    crowd_start(c);
}

/* Let articles of `from` go, one at a time, until `to` has `target` connections: within one article time,
 * that is, before any connection has ended two. Returns how many it took. */
static unsigned reclaim(struct scene *s, enum traffic_class from, enum traffic_class to,
                        unsigned target)
{
    struct scene_now now;
    struct scene_round round;
    unsigned n = 0;
    scene_settle(s, &now);
    scene_round(s, &round, scene_tag[from]);
    while (now.sum.of[newsd_tag_index(scene_tag[to])].carrying < target) {
        ck_assert(scene_release(s, &round));
        n++;
        scene_settle(s, &now);
    }
    return n;
}

/* Every connection ends an article, and the shares are as before. */
static void churn(struct scene *s, unsigned queue, unsigned health, unsigned streaming)
{
    for (unsigned i = 0; i < s->r.nservers; i++)
        newsd_release(s->r.servers[i], 0, UINT32_MAX);
    scene_expect(s, queue, health, streaming);
}

/* Of the operations under way on the connections of a class above its guarantee, those with another
 * behind them: as many leases as leave enough single ones for the guarantees of all others. */
static unsigned pipelined(const struct variant *v, unsigned others)
{
    return v->pipelining > 1 ? ALL - others : 0;
}

START_TEST(the_worked_example_comes_out_at_the_servers_to_the_last_connection)
{
    static struct crowd queue, health, streaming, streaming_again;
    const struct variant *v = &variants[_i];
    struct scene s;
    example_start(&s, v);

    hungry(&s, &queue, TRAFFIC_QUEUE, v);
    scene_expect(&s, 145, 0, 0);
    churn(&s, 145, 0, 0);

    hungry(&s, &health, TRAFFIC_HEALTH, v);
    unsigned n = reclaim(&s, TRAFFIC_QUEUE, TRAFFIC_HEALTH, HEALTH);
    ck_assert_uint_ge(n, HEALTH);
    ck_assert_uint_le(n, HEALTH + pipelined(v, HEALTH + STREAMING));
    scene_expect(&s, 85, 60, 0);
    churn(&s, 85, 60, 0);

    hungry(&s, &streaming, TRAFFIC_STREAMING, v);
    n = reclaim(&s, TRAFFIC_QUEUE, TRAFFIC_STREAMING, STREAMING);
    ck_assert_uint_ge(n, STREAMING);
    ck_assert_uint_le(n, STREAMING + pipelined(v, HEALTH + STREAMING));
    scene_expect(&s, 30, 60, 55);
    churn(&s, 30, 60, 55);

    crowd_stop(&health);
    scene_drain(&s, 'h');
    scene_expect(&s, 51, 0, 94);
    churn(&s, 51, 0, 94);

    crowd_stop(&streaming);
    scene_drain(&s, 's');
    scene_expect(&s, 145, 0, 0);
    hungry(&s, &streaming_again, TRAFFIC_STREAMING, v);
    n = reclaim(&s, TRAFFIC_QUEUE, TRAFFIC_STREAMING, STREAMING);
    ck_assert_uint_ge(n, STREAMING);
    ck_assert_uint_le(n, STREAMING + pipelined(v, HEALTH + STREAMING));
    scene_expect(&s, 90, 0, 55);
    scene_fini(&s);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("nntp/shares");
    TCase *t = tcase_create("shares");
    tcase_add_loop_test(t, the_worked_example_comes_out_at_the_servers_to_the_last_connection, 0,
                        VARIANTS);
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
