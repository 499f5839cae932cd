#include "tests/qos/script.h"

#include <stdlib.h>

/* A provider that bears fewer connections than the account is said to have, and settings that change. */

#define QUEUE(...)     ((struct qos_want){.class = TRAFFIC_QUEUE, .stream = 1, __VA_ARGS__})
#define HEALTH(...)    ((struct qos_want){.class = TRAFFIC_HEALTH, .stream = 1, __VA_ARGS__})
#define STREAMING(...) ((struct qos_want){.class = TRAFFIC_STREAMING, .stream = 1, __VA_ARGS__})

#define PROBE          (10 * S)
#define LINGER         (2 * S)

static void bursts(struct qos_config *cfg, unsigned n)
{
    for (unsigned i = 0; i < TRAFFIC_CLASSES; i++)
        cfg->classes[i].burst = n;
}

static struct qos_config account(unsigned connections)
{
    struct qos_config cfg = {.nproviders = 1,
                             .providers = {{.connections = connections}},
                             .backoff_us = S,
                             .backoff_max_us = 8 * S,
                             .probe_us = PROBE,
                             .linger_us = LINGER};
    bursts(&cfg, connections);
    return cfg;
}

static void resize(struct script *s, const struct qos_config *cfg)
{
    ck_assert_int_eq(qos_resize(s->q, s->now, cfg), 0);
    script_run(s);
}

/** The server of provider 0 has room for so many: of those being opened some come up, the others are refused.
 *  As each answer may bring about another attempt, all of them. The number that were refused. */
static unsigned admit(struct script *s, unsigned room)
{
    unsigned refused = 0;
    for (unsigned i = 0; i < s->nconns; i++) {
        struct script_conn *c = &s->conns[i];
        if (c->state != SC_OPENING || c->provider != 0)
            continue;
        if (script_count(s, 0, SC_IDLE) + script_count(s, 0, SC_BUSY) < room) {
            c->state = SC_IDLE;
            qos_conn_ready(s->q, s->now, c->handle);
            script_run(s);
        } else {
            script_gone(s, i, QOS_GONE_LIMIT, true);
            refused++;
        }
    }
    return refused;
}

START_TEST(refusals_that_come_before_anything_works_are_one_burst_and_no_outage)
{
    struct qos_config cfg = account(50);
    struct script *s = script_new(&cfg);
    script_submit(s, QUEUE(), 500);
    ck_assert_uint_eq(s->opens, 50);
    for (unsigned i = 0; i < 30; i++) { /* a greeting is sooner said than a login is done */
        script_gone(s, i, QOS_GONE_LIMIT, true);
        ck_assert_uint_eq(s->opens, 50);
        ck_assert(!script_stats(s).providers[0].down);
    }
    script_connect(s, -1);
    ck_assert_uint_eq(s->opens, 50);
    ck_assert_uint_eq(script_stats(s).providers[0].ceiling, 20);
    script_at(s, s->now + PROBE - 1);
    ck_assert_uint_eq(s->opens, 50);
    script_at(s, s->now + 1);
    ck_assert_uint_eq(s->opens, 51);
    script_free(s);
}
END_TEST

START_TEST(a_refusal_never_raises_a_ceiling)
{
    struct qos_config cfg = account(11);
    struct script *s = script_new(&cfg);
    script_submit(s, QUEUE(), 7);
    s->conns[0].state = SC_IDLE;
    qos_conn_ready(s->q, s->now, s->conns[0].handle);
    script_run(s);
    script_gone(s, 1, QOS_GONE_LIMIT, true);
    ck_assert_uint_eq(script_stats(s).providers[0].ceiling, 1);
    script_gone(s, 0, QOS_GONE_LIMIT, true); /* nothing works now, and five are being opened */
    ck_assert_uint_eq(script_stats(s).providers[0].ceiling, 1);
    script_free(s);
}
END_TEST

START_TEST(when_the_last_is_refused_too_somebody_else_has_them)
{
    struct qos_config cfg = account(10);
    struct script *s = script_new(&cfg);
    script_submit(s, QUEUE(), 100);
    script_refuse(s, 0, QOS_GONE_LIMIT);
    ck_assert(script_stats(s).providers[0].down);
    ck_assert_uint_eq(script_stats(s).providers[0].ceiling, 10);
    ck_assert_uint_eq(s->opens, 10);
    script_at(s, qos_wake(s->q));
    ck_assert_uint_eq(s->opens, 11);
    script_connect(s, 0);
    ck_assert_uint_eq(s->opens, 20);
    script_free(s);
}
END_TEST

/** Hours at a server that bears 20 of 50, three classes hungry, connections dying with and without a trace,
 *  settings changed: it refuses one attempt a probe interval. */
START_TEST(a_limit_below_the_account_s_is_run_into_once_a_probe_interval)
{
    struct qos_config cfg = account(50);
    cfg.classes[TRAFFIC_QUEUE].guaranteed = 10;
    cfg.classes[TRAFFIC_HEALTH].guaranteed = 5;
    cfg.classes[TRAFFIC_STREAMING].guaranteed = 20;
    struct script *s = script_new(&cfg);
    qos_time begin = s->now;
    unsigned refused[32] = {0};
    uint64_t rng = 7;
    for (unsigned step = 0; s->now < begin + 30 * (qos_time)PROBE; step++) {
        rng = rng * 6364136223846793005u + 1442695040888963407u;
        for (unsigned c = 0; c < TRAFFIC_CLASSES; c++) {
            unsigned waiting = script_stats(s).classes[c].waiting;
            struct qos_want w = {.class = (enum traffic_class)c, .stream = 1};
            script_submit(s, w, waiting < 30 ? 30 - waiting : 0);
        }
        script_at(s, s->now + 100 * MS);
        unsigned n = admit(s, 20);
        refused[(s->now - begin) / PROBE] += n;
        if (step % 50 == 10) /* it dies, and the server knows or finds out within the linger time */
            script_gone(s, (unsigned)(rng >> 40) % s->nconns, QOS_GONE_BROKEN, step % 100 < 50);
        for (unsigned i = 0; i < s->nconns; i++) {
            if (s->conns[i].state == SC_BUSY && i % 10 == step % 10)
                script_answer(s, s->conns[i].ops[0], QOS_OK);
        }
        if (step % 400 == 399) {
            cfg.providers[0].connections = step % 800 < 400 ? 60 : 50;
            cfg.classes[TRAFFIC_QUEUE].weight = 1 + step % 7;
            resize(s, &cfg);
        }
        if (s->now > begin + S) {
            unsigned works = script_count(s, 0, SC_BUSY) + script_count(s, 0, SC_IDLE);
            ck_assert_uint_ge(works, 18);
        }
    }
    ck_assert_uint_eq(refused[0], 30);
    for (unsigned i = 1; i < 29; i++)
        ck_assert_msg(refused[i] == 1, "%u attempts are refused in interval %u", refused[i], i);
    script_free(s);
}
END_TEST

START_TEST(a_limit_that_is_raised_is_found_one_connection_after_the_other)
{
    struct qos_config cfg = account(50);
    struct script *s = script_new(&cfg);
    script_submit(s, QUEUE(), 500);
    ck_assert_uint_eq(admit(s, 20), 30);
    qos_time raised = s->now;
    while (script_count(s, 0, SC_BUSY) < 50) {
        script_at(s, qos_wake(s->q) < s->now + 100 * MS ? qos_wake(s->q) : s->now + 100 * MS);
        ck_assert_uint_le(script_count(s, 0, SC_OPENING), 1);
        ck_assert_uint_eq(admit(s, 50), 0);
    }
    ck_assert_uint_le(s->now - raised, PROBE + 30 * 100 * MS);
    /* And it is no ceiling any more. */
    cfg.providers[0].connections = 60;
    cfg.classes[TRAFFIC_QUEUE].burst = 60;
    resize(s, &cfg);
    ck_assert_uint_eq(script_count(s, 0, SC_OPENING), 10);
    script_free(s);
}
END_TEST

START_TEST(what_was_learnt_outlasts_a_change_of_the_account_s_size)
{
    struct qos_config cfg = account(50);
    struct script *s = script_new(&cfg);
    script_submit(s, QUEUE(), 500);
    ck_assert_uint_eq(admit(s, 20), 30);
    static const unsigned sizes[] = {40, 10, 60};
    for (unsigned i = 0; i < 3; i++) {
        cfg.providers[0].connections = sizes[i];
        bursts(&cfg, sizes[i]);
        resize(s, &cfg);
        ck_assert_uint_eq(script_stats(s).providers[0].ceiling, sizes[i] < 20 ? sizes[i] : 20);
        ck_assert_uint_eq(s->opens, 50);
    }
    script_free(s);
}
END_TEST

START_TEST(nothing_is_tried_above_the_ceiling_while_an_old_socket_may_still_count)
{
    struct qos_config cfg = account(50);
    struct script *s = script_new(&cfg);
    script_submit(s, QUEUE(), 500);
    ck_assert_uint_eq(admit(s, 20), 30);
    script_at(s, s->now + PROBE - S);
    for (unsigned i = 0, n = 0; n < 2; i++) {
        if (s->conns[i].state == SC_BUSY) {
            script_gone(s, i, QOS_GONE_BROKEN, false);
            n++;
        }
    }
    script_at(s, s->now + S); /* time for a probe */
    ck_assert_uint_eq(s->opens, 50);
    script_at(s, qos_wake(s->q));
    ck_assert_uint_eq(s->opens, 53);    /* what there was before comes back at once */
    ck_assert_uint_eq(admit(s, 20), 1); /* and then the probe */
    ck_assert_uint_eq(script_stats(s).providers[0].ceiling, 20);
    script_free(s);
}
END_TEST

START_TEST(load_is_relative_to_what_a_provider_bears_and_not_to_what_it_is_said_to)
{
    struct qos_config cfg = account(100);
    cfg.nproviders = 2;
    cfg.providers[1].connections = 40;
    cfg.classes[TRAFFIC_QUEUE].burst = 140;
    cfg.total = 140;
    struct script *s = script_new(&cfg);
    unsigned a = script_submit(s, QUEUE(), 140);
    ck_assert_uint_eq(admit(s, 20), 80);
    script_connect(s, 1);
    for (unsigned i = 0; i < 140; i++) {
        if (s->ops[a + i].conn >= 0)
            script_answer(s, a + i, QOS_OK);
    }
    while (script_count(s, -1, SC_BUSY))
        script_tick(s);
    ck_assert_uint_eq(script_count(s, 0, SC_IDLE), 20);
    ck_assert_uint_eq(script_count(s, 1, SC_IDLE), 40);
    script_submit(s, QUEUE(), 30);
    ck_assert_uint_eq(script_count(s, 0, SC_BUSY), 10);
    ck_assert_uint_eq(script_count(s, 1, SC_BUSY), 20);
    script_free(s);
}
END_TEST

/* --- outages and settings --- */

START_TEST(an_outage_uses_up_no_operation_s_attempts_while_others_wait)
{
    struct qos_config cfg = account(1);
    struct script *s = script_new(&cfg);
    unsigned a = script_submit(s, QUEUE(), 12);
    for (unsigned i = 0; i < 10; i++) { /* it greets, and breaks off */
        if (!script_count(s, 0, SC_OPENING))
            script_at(s, qos_wake(s->q));
        script_connect(s, 0);
        unsigned op = a;
        while (s->ops[op].conn < 0)
            op++;
        script_gone(s, (unsigned)s->ops[op].conn, QOS_GONE_BROKEN, true);
    }
    for (unsigned i = 0; i < 12; i++)
        ck_assert(!s->ops[a + i].ended);
    script_free(s);
}
END_TEST

START_TEST(one_operation_alone_is_not_tried_for_ever)
{
    struct qos_config cfg = account(1);
    struct script *s = script_new(&cfg);
    unsigned a = script_submit(s, QUEUE(), 1);
    for (unsigned i = 0; i < 3; i++) {
        if (!script_count(s, 0, SC_OPENING))
            script_at(s, qos_wake(s->q));
        script_connect(s, 0);
        script_gone(s, (unsigned)s->ops[a].conn, QOS_GONE_BROKEN, true);
    }
    expect_end(s, a, QOS_FAILED);
    script_free(s);
}
END_TEST

START_TEST(new_settings_are_a_reason_to_try_a_provider_that_is_down)
{
    struct qos_config cfg = account(5);
    cfg.login_us = 3600 * (qos_time)S;
    struct script *s = script_new(&cfg);
    unsigned a = script_submit(s, STREAMING(), 5);
    script_refuse(s, 0, QOS_GONE_LOGIN);
    script_at(s, s->now + 60 * S);
    ck_assert_uint_eq(s->opens, 5);
    resize(s, &cfg); /* the password is another now */
    ck_assert_uint_eq(s->opens, 6);
    script_connect(s, 0);
    expect_at(s, a, 0);
    script_free(s);
}
END_TEST

START_TEST(a_login_begun_under_the_old_settings_says_nothing_of_the_new_ones)
{
    struct qos_config cfg = account(5);
    cfg.login_us = 3600 * (qos_time)S;
    struct script *s = script_new(&cfg);
    unsigned a = script_submit(s, STREAMING(), 5);
    ck_assert_uint_eq(script_count(s, 0, SC_OPENING), 5);
    resize(s, &cfg); /* the password is another, and those five are still saying the old one */
    script_refuse(s, 0, QOS_GONE_LOGIN);
    ck_assert_uint_eq(s->opens, 6); /* one tries the new one, at once */
    script_refuse(s, 0, QOS_GONE_LOGIN);
    script_at(s, s->now + 60 * S); /* it is no better */
    ck_assert_uint_eq(s->opens, 6);
    resize(s, &cfg);
    script_connect(s, 0);
    expect_at(s, a, 0);
    script_free(s);
}
END_TEST

START_TEST(new_settings_are_a_reason_to_try_a_provider_where_only_some_logins_were_refused)
{
    struct qos_config cfg = account(5);
    cfg.login_us = 3600 * (qos_time)S;
    struct script *s = script_new(&cfg);
    script_submit(s, STREAMING(), 1);
    script_connect(s, 0);
    script_submit(s, STREAMING(), 4);
    script_refuse(s, 0, QOS_GONE_LOGIN);
    ck_assert(!script_stats(s).providers[0].down);
    script_at(s, s->now + 60 * S);
    ck_assert_uint_eq(script_count(s, 0, SC_OPENING), 0);
    resize(s, &cfg);
    ck_assert_uint_eq(script_count(s, 0, SC_OPENING), 4);
    script_free(s);
}
END_TEST

/* Its second connection was refused for an hour; its first worked on, and breaks off. */
START_TEST(the_next_tier_takes_over_when_the_last_connection_goes_during_a_back_off)
{
    static const enum qos_gone whys[] = {QOS_GONE_BROKEN, QOS_GONE_SILENT, QOS_GONE_STALE,
                                         QOS_GONE_LIMIT};
    struct qos_config cfg = account(2);
    cfg.login_us = 3600 * (qos_time)S;
    cfg.nproviders = 2;
    cfg.providers[1] = (struct qos_provider_config){.connections = 1, .tier = 1};
    struct script *s = script_new(&cfg);
    unsigned a = script_submit(s, STREAMING(), 1);
    script_connect(s, 0);
    script_submit(s, STREAMING(), 1);
    script_refuse(s, 0, QOS_GONE_LOGIN);
    ck_assert_uint_eq(script_count(s, 1, SC_OPENING), 0); /* it has one that works */
    script_gone(s, (unsigned)s->ops[a].conn, whys[_i], true);
    ck_assert(script_stats(s).providers[0].down);
    script_connect(s, 1);
    expect_at(s, a, 1);
    script_free(s);
}
END_TEST

START_TEST(an_idle_connection_that_ends_during_a_back_off_leaves_a_provider_down)
{
    struct qos_config cfg = account(2);
    cfg.login_us = 3600 * (qos_time)S;
    cfg.idle_us = 10 * S;
    cfg.nproviders = 2;
    cfg.providers[1] = (struct qos_provider_config){.connections = 1, .tier = 1};
    struct script *s = script_new(&cfg);
    unsigned a = script_submit(s, STREAMING(), 2);
    s->conns[0].state = SC_IDLE;
    qos_conn_ready(s->q, s->now, s->conns[0].handle);
    script_run(s);
    script_refuse(s, 0, QOS_GONE_LOGIN);
    script_answer(s, a, QOS_OK);
    script_answer(s, a + 1, QOS_OK);
    script_at(s, s->now + 10 * S);
    ck_assert_uint_eq(script_count(s, 0, SC_CLOSING), 1);
    script_gone(s, 0, QOS_GONE_CLOSED, true);
    unsigned b = script_submit(s, STREAMING(), 1);
    script_connect(s, 1);
    expect_at(s, b, 1);
    script_free(s);
}
END_TEST

/* Two jobs, each with a provider of its own: one is fast, one stands still. Then there is one connection for
 * both. */
START_TEST(who_got_ahead_under_other_settings_does_not_wait_for_all_of_it)
{
    struct qos_config cfg = account(1);
    cfg.nproviders = 2;
    cfg.providers[0].retention_us = S;
    cfg.providers[1] = (struct qos_provider_config){.connections = 1, .tier = 1};
    bursts(&cfg, 2);
    struct script *s = script_new(&cfg);
    unsigned slow =
        script_submit(s, (struct qos_want){.class = TRAFFIC_QUEUE, .stream = 2, .age = 2 * S}, 300);
    unsigned fast = script_submit(s, (struct qos_want){.class = TRAFFIC_QUEUE, .stream = 1}, 300);
    script_connect(s, -1);
    for (unsigned i = 0; i < 100; i++) /* 77 MB */
        script_answer(s, fast + i, QOS_OK);
    expect_at(s, slow, 1);
    expect_at(s, fast + 100, 0);
    cfg.total = 1;
    bursts(&cfg, 1);
    resize(s, &cfg);
    script_answer(s, fast + 100, QOS_OK);
    unsigned turns = 0;
    for (; !s->ops[fast + 101].sent; turns++)
        script_answer(s, slow + turns, QOS_OK);
    ck_assert_uint_gt(turns, 16); /* it is ahead, after all */
    ck_assert_uint_lt(turns, 26); /* 16 MiB of it */
    script_free(s);
}
END_TEST

START_TEST(a_provider_is_removed_under_what_flies_there_and_nobody_fails)
{
    struct qos_config cfg = account(4);
    cfg.nproviders = 2;
    cfg.providers[1].connections = 4;
    bursts(&cfg, 8);
    struct script *s = script_new(&cfg);
    script_submit(s, QUEUE(), 20);
    script_submit(s, STREAMING(), 20);
    script_connect(s, -1);
    struct qos_config less = cfg;
    less.providers[0].connections = 0;
    bursts(&less, 4);
    resize(s, &less);
    unsigned started = 0;
    for (unsigned i = 0; i < s->nops; i++)
        started += s->ops[i].conn >= 0 && s->conns[s->ops[i].conn].provider == 0;
    ck_assert_uint_gt(started, 0); /* it is left to end */
    unsigned opens = s->opens;
    for (unsigned i = 0; i < 40; i++) {
        script_tick(s);
        script_connect(s, 1);
        for (unsigned c = 0; c < s->nconns; c++) {
            if (s->conns[c].state == SC_CLOSING)
                script_gone(s, c, QOS_GONE_CLOSED, true);
        }
    }
    ck_assert_uint_eq(script_stats(s).providers[0].sockets, 0);
    ck_assert_uint_le(s->opens, opens + 4);
    for (unsigned i = 0; i < 40; i++)
        expect_end(s, i, QOS_DONE);
    resize(s, &cfg); /* and it comes back */
    script_submit(s, QUEUE(), 8);
    script_connect(s, -1);
    ck_assert_uint_eq(script_count(s, 0, SC_BUSY), 4);
    script_free(s);
}
END_TEST

START_TEST(the_last_provider_cannot_be_removed_nor_a_class_be_left_without_burst)
{
    struct qos_config cfg = account(4), none = account(4), still = account(4);
    none.providers[0].connections = 0;
    still.classes[TRAFFIC_HEALTH].burst = 0;
    struct script *s = script_new(&cfg);
    script_submit(s, HEALTH(), 10);
    script_connect(s, -1);
    ck_assert_int_lt(qos_resize(s->q, s->now, &none), 0);
    ck_assert_int_lt(qos_resize(s->q, s->now, &still), 0);
    script_run(s);
    expect_leases(s, 0, 4, 0);
    ck_assert_uint_eq(s->closes, 0);
    script_free(s);
}
END_TEST

START_TEST(a_stream_s_lowered_cap_drains)
{
    struct qos_config cfg = account(6);
    cfg.classes[TRAFFIC_STREAMING].per_stream = 5;
    struct script *s = script_new(&cfg);
    script_submit(s, STREAMING(), 30);
    script_connect(s, -1);
    expect_leases(s, 0, 0, 5);
    struct qos_config less = cfg;
    less.classes[TRAFFIC_STREAMING].per_stream = 2;
    resize(s, &less);
    expect_leases(s, 0, 0, 5);
    for (unsigned i = 4; i > 1; i--) {
        unsigned c = 0;
        while (s->conns[c].state != SC_BUSY)
            c++;
        script_answer(s, s->conns[c].ops[0], QOS_OK);
        expect_leases(s, 0, 0, i);
    }
    script_tick(s);
    expect_leases(s, 0, 0, 2);
    cfg.classes[TRAFFIC_STREAMING].per_stream = 0;
    resize(s, &cfg);
    script_connect(s, -1);
    expect_leases(s, 0, 0, 6);
    script_free(s);
}
END_TEST

START_TEST(jobs_keep_their_order_when_retention_changes_who_is_asked)
{
    struct qos_config cfg = account(1);
    cfg.nproviders = 2;
    cfg.providers[1] = (struct qos_provider_config){.connections = 1, .tier = 1};
    bursts(&cfg, 2);
    struct script *s = script_new(&cfg);
    unsigned busy = script_submit(s, QUEUE(), 1);
    script_connect(s, -1);
    unsigned a = script_submit(s, QUEUE(.age = 5000), 6);
    qos_cancel(s->q, s->now, s->ops[a + 1].handle); /* so that the next has an older slot */
    script_run(s);
    unsigned b = script_submit(s, QUEUE(.age = 5000), 2);
    cfg.providers[0].retention_us = 1000;
    resize(s, &cfg);
    script_connect(s, 1);
    for (unsigned i = 0; i < 6; i++)
        script_answer(s, s->conns[1].ops[0], QOS_OK);
    ck_assert(!s->ops[busy].ended);
    ck_assert_uint_eq(s->ops[a].order, 2);
    for (unsigned i = a + 2; i < b + 1; i++)
        ck_assert_uint_eq(s->ops[i].order, i - a + 1);
    script_free(s);
}
END_TEST

START_TEST(a_full_lower_tier_is_waited_for_and_one_that_is_down_is_not)
{
    struct qos_config cfg = account(1);
    cfg.nproviders = 2;
    cfg.providers[1] = (struct qos_provider_config){.connections = 5, .tier = 1};
    bursts(&cfg, 6);
    struct script *s = script_new(&cfg);
    unsigned a = script_submit(s, STREAMING(), 3);
    script_connect(s, -1);
    expect_at(s, a, 0);
    script_at(s, s->now + 30 * S);
    ck_assert_uint_eq(script_count(s, 1, SC_OPENING), 0);
    script_gone(s, (unsigned)s->ops[a].conn, QOS_GONE_BROKEN, true);
    script_refuse(s, 0, QOS_GONE_REFUSED);
    ck_assert(script_stats(s).providers[0].down);
    ck_assert_uint_eq(script_count(s, 1, SC_OPENING), 3);
    script_connect(s, 1);
    script_at(s, script_stats(s).providers[0].retry_at);
    unsigned b =
        script_submit(s, STREAMING(), 1); /* the probe is opened for it, nobody relies on it */
    ck_assert_uint_eq(script_count(s, 0, SC_OPENING), 1);
    script_connect(s, -1);
    ck_assert(!script_stats(s).providers[0].down); /* back: the upper tier is left alone again */
    uint64_t above = script_stats(s).providers[1].started;
    script_submit(s, STREAMING(), 5);
    script_tick(s);
    ck_assert_uint_eq(script_stats(s).providers[1].started, above);
    ck_assert(s->ops[b].sent);
    script_free(s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("qos/ceiling");
    TCase *t = tcase_create("ceiling");
    tcase_add_test(t, refusals_that_come_before_anything_works_are_one_burst_and_no_outage);
    tcase_add_test(t, a_refusal_never_raises_a_ceiling);
    tcase_add_test(t, when_the_last_is_refused_too_somebody_else_has_them);
    tcase_add_test(t, a_limit_below_the_account_s_is_run_into_once_a_probe_interval);
    tcase_add_test(t, a_limit_that_is_raised_is_found_one_connection_after_the_other);
    tcase_add_test(t, what_was_learnt_outlasts_a_change_of_the_account_s_size);
    tcase_add_test(t, nothing_is_tried_above_the_ceiling_while_an_old_socket_may_still_count);
    tcase_add_test(t, load_is_relative_to_what_a_provider_bears_and_not_to_what_it_is_said_to);
    suite_add_tcase(suite, t);
    t = tcase_create("outages");
    tcase_add_test(t, an_outage_uses_up_no_operation_s_attempts_while_others_wait);
    tcase_add_test(t, one_operation_alone_is_not_tried_for_ever);
    tcase_add_test(t, a_full_lower_tier_is_waited_for_and_one_that_is_down_is_not);
    suite_add_tcase(suite, t);
    t = tcase_create("settings");
    tcase_add_test(t, new_settings_are_a_reason_to_try_a_provider_that_is_down);
    tcase_add_test(t, a_login_begun_under_the_old_settings_says_nothing_of_the_new_ones);
    tcase_add_test(t,
                   new_settings_are_a_reason_to_try_a_provider_where_only_some_logins_were_refused);
    tcase_add_loop_test(t, the_next_tier_takes_over_when_the_last_connection_goes_during_a_back_off,
                        0, 4);
    tcase_add_test(t, an_idle_connection_that_ends_during_a_back_off_leaves_a_provider_down);
    tcase_add_test(t, who_got_ahead_under_other_settings_does_not_wait_for_all_of_it);
    tcase_add_test(t, a_provider_is_removed_under_what_flies_there_and_nobody_fails);
    tcase_add_test(t, the_last_provider_cannot_be_removed_nor_a_class_be_left_without_burst);
    tcase_add_test(t, a_stream_s_lowered_cap_drains);
    tcase_add_test(t, jobs_keep_their_order_when_retention_changes_who_is_asked);
    suite_add_tcase(suite, t);
    SRunner *r = srunner_create(suite);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
