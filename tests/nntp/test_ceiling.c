/* A provider that accepts 20 connections while 50 are configured, and what the server sees of that. It waits
 * for real probe intervals, of a second; of times only lower bounds are asserted. */
#include "tests/nntp/crowd.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { ALLOWED = 20, CONFIGURED = 50, PROBE_US = 1000000 };

static const struct refusal {
    unsigned code;
    unsigned classes; /* how many of them are hungry */
    bool outage;      /* connections die and are reopened meanwhile */
    bool resize;      /* shares change meanwhile */
} refusal_list[] = {{502, 1, false, false},
                    {502, 3, true, false},
                    {502, 3, false, true},
                    {400, 1, false, false},
                    {481, 3, true, false}};

#define REFUSALS ((int)(sizeof(refusal_list) / sizeof(*refusal_list)))

struct account {
    struct rig r;
    struct crowd crowds[TRAFFIC_CLASSES];
    unsigned ncrowds;
};

static void account_start(struct account *a, const struct refusal *x)
{
    static const char tags[TRAFFIC_CLASSES] = {'s', 'q', 'h'};
    static const enum traffic_class classes[TRAFFIC_CLASSES] = {TRAFFIC_STREAMING, TRAFFIC_QUEUE,
                                                                TRAFFIC_HEALTH};
    static char user[] = "me", password[] = "secret";
    memset(a, 0, sizeof(*a));
    a->ncrowds = x->classes;
    rig_init(&a->r, 1);
    for (unsigned i = 0; i < a->ncrowds; i++)
        rig_file(&a->r, tags[i], 8);
    bool login = x->code == 481;
    rig_server(&a->r, &(struct newsd_config){.max_connections = ALLOWED,
                                             .limit_code = x->code,
                                             .username = login ? user : NULL,
                                             .password = login ? password : NULL});
    a->r.cfg.providers[0].connections = CONFIGURED;
    a->r.cfg.providers[0].pipelining = 1;
    a->r.cfg.providers[0].username = login ? user : NULL;
    a->r.cfg.providers[0].password = login ? password : NULL;
    a->r.cfg.timeouts = (struct config_timeouts){
        .connect_s = 600, .stall_s = 600, .idle_s = 600, .probe_s = PROBE_US / 1000000};
    newsd_hold(a->r.servers[0], true);
    rig_start(&a->r);
    for (unsigned i = 0; i < a->ncrowds; i++) {
        crowd_init(&a->crowds[i], &a->r, tags[i], classes[i], 3 * CONFIGURED);
        crowd_start(&a->crowds[i]);
    }
}

static void account_stop(struct account *a)
{
    for (unsigned i = 0; i < a->ncrowds; i++)
        crowd_stop(&a->crowds[i]);
    newsd_hold(a->r.servers[0], false);
    for (unsigned i = 0; i < a->ncrowds; i++) {
        crowd_wait(&a->crowds[i]);
        struct crowd_counts n = crowd_counts(&a->crowds[i]);
        ck_assert_uint_eq(n.wrong, 0);
        ck_assert_uint_eq(n.results[SEGMENT_DONE] + n.results[SEGMENT_CANCELLED], n.ended);
    }
    nntp_pool_stop(a->r.pool);
    a->r.pool = NULL;
    for (unsigned i = 0; i < a->ncrowds; i++)
        crowd_fini(&a->crowds[i]);
    rig_fini(&a->r);
}

static struct newsd_tags server(struct account *a)
{
    struct newsd_tags t;
    newsd_tags(a->r.servers[0], &t);
    return t;
}

/* All that it allows is there and at work, nothing is being opened, and what was refused is known. Returns how
 * many had been refused by then. */
static uint64_t settle(struct account *a)
{
    struct nntp_pool_stats s;
    struct newsd_tags t;
    struct rig_wait w = {0};
    for (;;) {
        t = server(a);
        nntp_pool_stats(a->r.pool, &s);
        const struct qos_provider_stats *p = &s.qos.providers[0];
        if (t.all.held == ALLOWED && t.connections == ALLOWED && p->ceiling == ALLOWED &&
            p->opening == 0 && p->leased == ALLOWED && p->refused == t.refused)
            return t.refused;
        rig_wait(&a->r, &w, "not at what the account allows");
    }
}

static void refused_wait(struct account *a, uint64_t n)
{
    struct rig_wait w = {0};
    while (server(a).refused < n)
        rig_wait(&a->r, &w, "not trying for more");
}

/* Many answers broken off at once are an outage, and only an answer ends it. */
static void reopen(struct account *a)
{
    struct rig_wait w = {0};
    uint64_t answered = server(a).all.answered;
    newsd_drop_all(a->r.servers[0]);
    newsd_hold(a->r.servers[0], false);
    while (server(a).all.answered < answered + 3 * CONFIGURED)
        rig_wait(&a->r, &w, "not serving again");
    newsd_hold(a->r.servers[0], true);
}

static void reshare(struct account *a)
{
    struct config cfg = a->r.cfg;
    cfg.classes[TRAFFIC_STREAMING].guaranteed = 10;
    cfg.classes[TRAFFIC_QUEUE].guaranteed = 7;
    cfg.providers[0].connections = cfg.pool.connections = CONFIGURED - 1;
    for (unsigned c = 0; c < TRAFFIC_CLASSES; c++)
        cfg.classes[c].burst = CONFIGURED - 1;
    ck_assert_int_eq(nntp_pool_resize(a->r.pool, &cfg, a->r.err, sizeof(a->r.err)), 0);
    ck_assert_int_eq(nntp_pool_resize(a->r.pool, &a->r.cfg, a->r.err, sizeof(a->r.err)), 0);
}

START_TEST(what_a_provider_does_not_accept_is_tried_for_once_a_probe_interval)
{
    static struct account a;
    static uint64_t times[4096];
    const struct refusal *x = &refusal_list[_i];
    account_start(&a, x);
    uint64_t first = settle(&a);
    ck_assert_uint_ge(first, 1);
    refused_wait(&a, first + 1);
    if (x->outage) {
        reopen(&a);
        settle(&a);
    }
    if (x->resize)
        reshare(&a);
    refused_wait(&a, first + 3);
    settle(&a);
    size_t n = newsd_refusals(a.r.servers[0], times, 4096);
    ck_assert_uint_ge(n, first + 3);
    for (size_t i = (size_t)first; i < n; i++)
        ck_assert_msg(times[i] - times[i - 1] >= PROBE_US,
                      "refusals %zu and %zu are %llu us apart, of %zu, %llu of them at first",
                      i - 1, i, (unsigned long long)(times[i] - times[i - 1]), n,
                      (unsigned long long)first);
    if (x->code != 481) /* told at login, those that are refused are connections for a while */
        ck_assert_uint_eq(server(&a).peak, ALLOWED);

    newsd_set_limit(a.r.servers[0], CONFIGURED);
    struct rig_wait w = {0};
    while (server(&a).all.held < CONFIGURED)
        rig_wait(&a.r, &w, "not finding what was raised");
    ck_assert_uint_eq(server(&a).connections, CONFIGURED);
    account_stop(&a);
}
END_TEST

/* The account shrinks under a pool that holds all of it: those that are open stay, and what is opened in
 * place of one that died is refused once an interval. */
START_TEST(an_account_that_shrinks_is_noticed_at_the_next_connection)
{
    static struct account a;
    static const struct refusal x = {502, 2, false, false};
    static uint64_t times[4096];
    account_start(&a, &x);
    newsd_set_limit(a.r.servers[0], CONFIGURED);
    struct rig_wait w = {0};
    while (server(&a).all.held < CONFIGURED)
        rig_wait(&a.r, &w, "not finding what was raised");
    newsd_set_limit(a.r.servers[0], ALLOWED);
    reopen(&a);
    uint64_t first = settle(&a);
    refused_wait(&a, first + 2);
    size_t n = newsd_refusals(a.r.servers[0], times, 4096);
    for (size_t i = (size_t)first; i < n; i++)
        ck_assert_uint_ge(times[i] - times[i - 1], PROBE_US);
    account_stop(&a);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("nntp/ceiling");
    TCase *t = tcase_create("ceiling");
    tcase_add_loop_test(t, what_a_provider_does_not_accept_is_tried_for_once_a_probe_interval, 0,
                        REFUSALS);
    tcase_add_test(t, an_account_that_shrinks_is_noticed_at_the_next_connection);
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
