/* Providers die and return under load. Every fetch ends once, DONE and right; the server never counts more
 * connections than the account has. The servers here set no limit: what they count is what was opened. */
#include "tests/nntp/crowd.h"

#include <check.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST = 8, SECOND = 6, CROWDS = 4 };

static const char letters[CROWDS] = {'q', 'h', 'x', 's'};

struct load {
    struct rig r;
    struct crowd crowds[CROWDS];
    unsigned limits[2];
};

static void load_init(struct load *l)
{
    static const struct newsd_config cfg[2] = {
        {.latency_us = 1000}, {.latency_us = 500, .username = "me", .password = "secret"}};
    static char user[] = "me", password[] = "secret";
    memset(l, 0, sizeof(*l));
    rig_init(&l->r, 1);
    for (unsigned i = 0; i < CROWDS; i++)
        rig_file(&l->r, letters[i], 8);
    l->limits[0] = FIRST;
    l->limits[1] = SECOND;
    for (unsigned i = 0; i < 2; i++) {
        rig_server(&l->r, &cfg[i]);
        l->r.cfg.providers[i].connections = l->limits[i];
    }
    l->r.cfg.providers[1].username = user;
    l->r.cfg.providers[1].password = password;
    l->r.cfg.timeouts =
        (struct config_timeouts){.connect_s = 30, .stall_s = 30, .idle_s = 60, .probe_s = 1};
    for (unsigned c = 0; c < TRAFFIC_CLASSES; c++)
        l->r.cfg.classes[c] = (struct config_class){
            .guaranteed = 3, .burst = FIRST + SECOND, .weight = 3, .per_stream = 0};
}

/* Queue by BODY, health by BODY and by STAT, streaming by BODY. */
static void load_start(struct load *l)
{
    static const enum traffic_class classes[CROWDS] = {TRAFFIC_QUEUE, TRAFFIC_HEALTH,
                                                       TRAFFIC_HEALTH, TRAFFIC_STREAMING};
    rig_start(&l->r);
    for (unsigned i = 0; i < CROWDS; i++) {
        crowd_init(&l->crowds[i], &l->r, letters[i], classes[i], 24);
        l->crowds[i].streams = 3;
        l->crowds[i].want.stream = 1 + 10 * i;
        if (letters[i] == 'x')
            l->crowds[i].want.verb = SEGMENT_STAT;
        crowd_start(&l->crowds[i]);
    }
}

static void load_stop(struct load *l)
{
    for (unsigned i = 0; i < CROWDS; i++)
        crowd_stop(&l->crowds[i]);
    for (unsigned i = 0; i < CROWDS; i++) {
        crowd_wait(&l->crowds[i]);
        struct crowd_counts n = crowd_counts(&l->crowds[i]);
        ck_assert_uint_eq(n.wrong, 0);
        ck_assert_uint_eq(n.ended, n.fetched);
        ck_assert_uint_eq(n.results[SEGMENT_MISSING], 0);
        ck_assert_uint_eq(n.results[SEGMENT_CORRUPT], 0);
        ck_assert_uint_eq(n.results[SEGMENT_FAILED], 0);
        ck_assert_uint_eq(n.results[SEGMENT_DONE] + n.results[SEGMENT_CANCELLED], n.ended);
        ck_assert_uint_le(n.results[SEGMENT_CANCELLED], 24); /* by crowd_stop() alone */
    }
    nntp_pool_stop(l->r.pool);
    l->r.pool = NULL;
    for (unsigned i = 0; i < CROWDS; i++)
        crowd_fini(&l->crowds[i]);
    rig_fini(&l->r);
}

/* The peak since the last look is within the account. */
static void peak_check(struct load *l)
{
    for (unsigned i = 0; i < 2; i++)
        ck_assert_uint_le(newsd_reset_peak(l->r.servers[i]), l->limits[i]);
}

/* Server `i` answers `n` more commands. */
static void answers(struct load *l, unsigned i, unsigned n)
{
    struct newsd_tags then, now;
    struct rig_wait w = {0};
    newsd_tags(l->r.servers[i], &then);
    do {
        rig_wait(&l->r, &w, "not served by a server");
        newsd_tags(l->r.servers[i], &now);
    } while (now.all.answered < then.all.answered + n);
}

/* The same, and so many fetches of each crowd end, wherever. */
static void serves(struct load *l, unsigned i, unsigned n)
{
    struct rig_wait w = {0};
    answers(l, i, n);
    for (unsigned k = 0; k < CROWDS; k++) {
        uint64_t ended = crowd_counts(&l->crowds[k]).ended;
        while (crowd_counts(&l->crowds[k]).ended < ended + n)
            rig_wait(&l->r, &w, "not served in every class");
    }
}

static void resize(struct load *l, unsigned first, unsigned second)
{
    struct config cfg = l->r.cfg;
    cfg.providers[0].connections = first;
    cfg.providers[1].connections = second;
    cfg.pool.connections = first + second;
    for (unsigned c = 0; c < TRAFFIC_CLASSES; c++) {
        cfg.classes[c].burst = first + second;
        cfg.classes[c].guaranteed = (first + second) / 4;
    }
    ck_assert_int_eq(nntp_pool_resize(l->r.pool, &cfg, l->r.err, sizeof(l->r.err)), 0);
}

static bool has_every_class(struct newsd *d)
{
    struct newsd_tags t;
    newsd_tags(d, &t);
    unsigned q = t.of[newsd_tag_index('q')].in_flight, s = t.of[newsd_tag_index('s')].in_flight;
    unsigned h = t.of[newsd_tag_index('h')].in_flight + t.of[newsd_tag_index('x')].in_flight;
    return q && h && s;
}

/* Everyone is at server `i`, with something of every class in the middle; then the other serves as well. */
static void freeze(struct load *l, unsigned i)
{
    struct newsd *d = l->r.servers[i];
    struct rig_wait w = {0};
    resize(l, i == 0 ? FIRST : 0, i == 1 ? SECOND : 0);
    newsd_hold(d, true);
    while (!has_every_class(d)) {
        newsd_release(d, 0, UINT32_MAX);
        rig_wait(&l->r, &w, "not all classes at one server");
    }
    resize(l, FIRST, SECOND);
    answers(l, 1 - i, 20); /* a class may have all of its share in what is held */
}

/* --- the ways to die --------------------------------------------------------------------------------- */

static void die_reset(struct newsd *d, bool dead)
{
    newsd_down(d, dead);
}

static void die_silent(struct newsd *d, bool dead)
{
    newsd_silent(d, dead);
}

static void die_dropped(struct newsd *d, bool dead)
{
    if (dead)
        newsd_drop_all(d);
}

static void die_502(struct newsd *d, bool dead)
{
    newsd_set_greeting(d, dead ? 502 : 200);
    if (dead)
        newsd_drop_all(d);
}

static void die_400_greeting(struct newsd *d, bool dead)
{
    newsd_set_greeting(d, dead ? 400 : 200);
    if (dead)
        newsd_drop_all(d);
}

static void die_400(struct newsd *d, bool dead)
{
    if (dead)
        newsd_fault(d, NULL, NEWSD_400, 0);
    else
        newsd_clear_faults(d);
}

static void die_close_mid(struct newsd *d, bool dead)
{
    if (dead)
        newsd_fault(d, NULL, NEWSD_CLOSE_MID, 0);
    else
        newsd_clear_faults(d);
}

static void (*const deaths[])(struct newsd *d, bool dead) = {
    die_reset, die_silent, die_dropped, die_502, die_400_greeting, die_400, die_close_mid};

#define DEATHS ((int)(sizeof(deaths) / sizeof(*deaths)))

static uint64_t troubles(struct load *l, unsigned i)
{
    struct nntp_pool_stats s;
    nntp_pool_stats(l->r.pool, &s);
    return s.qos.providers[i].broken + s.qos.providers[i].refused;
}

/* First one provider, then the other, then the first again. Meanwhile the other serves everyone. */
START_TEST(a_provider_dies_and_returns_and_no_operation_is_lost)
{
    static struct load l;
    load_init(&l);
    /* Only this one is noticed by waiting; to the others holding is no silence. */
    if (deaths[_i] == die_silent)
        l.r.cfg.timeouts.connect_s = l.r.cfg.timeouts.stall_s = 2;
    load_start(&l);
    serves(&l, 0, 5);
    serves(&l, 1, 5);
    for (unsigned round = 0; round < 3; round++) {
        unsigned i = round % 2;
        struct newsd *d = l.r.servers[i];
        freeze(&l, i);
        uint64_t before = troubles(&l, i);
        deaths[_i](d, true);
        newsd_hold(d, false);
        struct rig_wait w = {0};
        while (troubles(&l, i) == before)
            rig_wait(&l.r, &w, "not noticed");
        serves(&l, 1 - i, 30);
        peak_check(&l);
        deaths[_i](d, false);
        serves(&l, i, 30);
        peak_check(&l);
    }
    load_stop(&l);
}
END_TEST

/* --- a wrong password: its back-off is a minute, so its return is not waited for --------------------- */

START_TEST(a_login_that_is_refused_for_a_while_loses_nothing)
{
    static struct load l;
    load_init(&l);
    load_start(&l);
    serves(&l, 1, 5);
    freeze(&l, 1);
    newsd_refuse_logins(l.r.servers[1], true);
    newsd_drop_all(l.r.servers[1]);
    newsd_hold(l.r.servers[1], false);
    struct nntp_pool_stats s;
    do {
        nntp_pool_stats(l.r.pool, &s);
        sched_yield();
    } while (!s.qos.providers[1].refused || s.qos.providers[1].sockets);
    serves(&l, 0, 30);
    newsd_refuse_logins(l.r.servers[1], false);
    peak_check(&l);
    load_stop(&l);
}
END_TEST

/* --- both at once ------------------------------------------------------------------------------------ */

START_TEST(when_all_providers_die_everyone_waits_for_the_first_that_returns)
{
    static struct load l;
    load_init(&l);
    load_start(&l);
    serves(&l, 0, 5);
    serves(&l, 1, 5);
    for (unsigned round = 0; round < 2; round++) {
        newsd_down(l.r.servers[0], true);
        newsd_down(l.r.servers[1], true);
        struct nntp_pool_stats s;
        do {
            nntp_pool_stats(l.r.pool, &s);
            sched_yield();
        } while (!s.qos.providers[0].down || !s.qos.providers[1].down);
        uint64_t ended = 0, still = 0;
        for (unsigned i = 0; i < CROWDS; i++)
            ended += crowd_counts(&l.crowds[i]).ended;
        for (unsigned n = 0; n < 100; n++)
            nntp_pool_stats(l.r.pool, &s);
        for (unsigned i = 0; i < CROWDS; i++)
            still += crowd_counts(&l.crowds[i]).ended;
        ck_assert_uint_le(still - ended, 2); /* answers that were on their way */
        newsd_down(l.r.servers[round % 2], false);
        serves(&l, round % 2, 30);
        newsd_down(l.r.servers[1 - round % 2], false);
        serves(&l, 1 - round % 2, 30);
        peak_check(&l);
    }
    load_stop(&l);
}
END_TEST

/* --- the limit changes under load -------------------------------------------------------------------- */

static unsigned connections(struct load *l, unsigned i)
{
    struct newsd_tags t;
    newsd_tags(l->r.servers[i], &t);
    return t.connections;
}

/* Lowered: from the moment the server first counts no more than the new limit, it never does again. Then a
 * provider dies within the lower limit, returns, and the limit is raised. */
START_TEST(a_limit_that_is_lowered_or_raised_holds_at_the_server)
{
    static const unsigned steps[][2] = {{3, 6}, {8, 2}, {2, 2}, {8, 6}, {4, 0}, {8, 6}};
    static struct load l;
    load_init(&l);
    load_start(&l);
    serves(&l, 0, 5);
    serves(&l, 1, 5);
    for (unsigned k = 0; k < sizeof(steps) / sizeof(*steps); k++) {
        resize(&l, steps[k][0], steps[k][1]);
        for (unsigned i = 0; i < 2; i++) {
            struct rig_wait w = {0};
            while (connections(&l, i) > steps[k][i])
                rig_wait(&l.r, &w, "above the limit");
            newsd_reset_peak(l.r.servers[i]);
            l.limits[i] = steps[k][i];
        }
        serves(&l, 0, 30);
        peak_check(&l);
        if (k % 2 == 0) {
            newsd_down(l.r.servers[0], true);
            newsd_down(l.r.servers[0], false);
        } else {
            newsd_drop_all(l.r.servers[0]);
        }
        serves(&l, 0, 30);
        if (steps[k][1])
            serves(&l, 1, 10);
        peak_check(&l);
    }
    /* All of what was raised is found again. */
    struct rig_wait w = {0};
    while (connections(&l, 0) < FIRST || connections(&l, 1) < SECOND)
        rig_wait(&l.r, &w, "below the limit");
    peak_check(&l);
    load_stop(&l);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("nntp/outage");
    TCase *t = tcase_create("outage");
    tcase_add_loop_test(t, a_provider_dies_and_returns_and_no_operation_is_lost, 0, DEATHS);
    tcase_add_test(t, a_login_that_is_refused_for_a_while_loses_nothing);
    tcase_add_test(t, when_all_providers_die_everyone_waits_for_the_first_that_returns);
    tcase_add_test(t, a_limit_that_is_lowered_or_raised_holds_at_the_server);
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
