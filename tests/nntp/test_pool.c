/* The pool against well-behaved servers: what is asked for arrives, once, and everything ends. */
#include "base/clock.h"
#include "tests/nntp/rig.h"

#include <check.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MANY 64

START_TEST(a_segment_arrives_whole)
{
    struct rig r;
    rig_init(&r, 3);
    rig_server(&r, &(struct newsd_config){0});
    rig_start(&r);
    for (uint32_t n = 1; n <= 3; n++)
        ck_assert_int_eq(fetch_part(&r, n), SEGMENT_DONE);
    rig_fini(&r);
}
END_TEST

/* Started all at once, waited for afterwards. */
static void fetch_many(struct rig *r, struct fetch *t, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        fetch_init(&t[i], r, i + 1);
    for (uint32_t i = 0; i < n; i++)
        fetch_start(&t[i], r);
    for (uint32_t i = 0; i < n; i++) {
        ck_assert_int_eq(fetch_wait(&t[i]), SEGMENT_DONE);
        fetch_check(&t[i], i + 1);
        fetch_fini(&t[i]);
    }
}

START_TEST(sixty_four_fetches_at_once_all_arrive)
{
    static struct fetch t[MANY];
    struct newsd_stats s;
    struct rig r;
    rig_init(&r, MANY);
    rig_server(&r, &(struct newsd_config){0});
    rig_server(&r, &(struct newsd_config){0});
    rig_start(&r);
    fetch_many(&r, t, MANY);
    for (unsigned i = 0; i < 2; i++) {
        newsd_stats(r.servers[i], &s);
        ck_assert_uint_le(s.connections_peak, 4);
    }
    rig_fini(&r);
}
END_TEST

START_TEST(sixty_four_fetches_go_down_one_connection)
{
    static struct fetch t[MANY];
    struct newsd_stats s;
    struct rig r;
    rig_init(&r, MANY);
    rig_server(&r, &(struct newsd_config){0});
    r.cfg.providers[0].connections = 1;
    r.cfg.providers[0].pipelining = 8;
    rig_start(&r);
    fetch_many(&r, t, MANY);
    newsd_stats(r.servers[0], &s);
    ck_assert_uint_eq(s.accepted, 1);
    ck_assert_uint_eq(s.body, MANY);
    rig_fini(&r);
}
END_TEST

static enum segment_result ask(struct rig *r, enum segment_verb verb, const char *id)
{
    struct fetch t;
    fetch_init_id(&t, id);
    t.f.want.verb = verb;
    fetch_start(&t, r);
    enum segment_result result = fetch_wait(&t);
    ck_assert_uint_eq(t.begins, 0);
    fetch_fini(&t);
    return result;
}

START_TEST(stat_and_head_tell_what_is_there_without_payload)
{
    struct newsd_stats s;
    struct rig r;
    rig_init(&r, 2);
    rig_server(&r, &(struct newsd_config){0});
    rig_start(&r);
    const char *id = spool_message_id(r.spool, r.file, 1);
    ck_assert_int_eq(ask(&r, SEGMENT_STAT, id), SEGMENT_DONE);
    ck_assert_int_eq(ask(&r, SEGMENT_HEAD, id), SEGMENT_DONE);
    ck_assert_int_eq(ask(&r, SEGMENT_STAT, "nowhere@example"), SEGMENT_MISSING);
    ck_assert_int_eq(ask(&r, SEGMENT_HEAD, "nowhere@example"), SEGMENT_MISSING);
    newsd_stats(r.servers[0], &s);
    ck_assert_uint_eq(s.stat, 2);
    ck_assert_uint_eq(s.head, 2);
    rig_fini(&r);
}
END_TEST

START_TEST(what_the_first_provider_lacks_comes_from_the_second)
{
    struct rig r;
    rig_init(&r, 2);
    rig_server(&r, &(struct newsd_config){0});
    rig_server(&r, &(struct newsd_config){0});
    r.cfg.providers[1].tier = 1;
    newsd_fault(r.servers[0], spool_message_id(r.spool, r.file, 1), NEWSD_430, 0);
    rig_start(&r);
    ck_assert_int_eq(fetch_part(&r, 1), SEGMENT_DONE);
    ck_assert_int_eq(fetch_part(&r, 2), SEGMENT_DONE);
    ck_assert_uint_eq(newsd_asked(r.servers[1], spool_message_id(r.spool, r.file, 1)), 1);
    ck_assert_uint_eq(newsd_asked(r.servers[1], spool_message_id(r.spool, r.file, 2)), 0);
    rig_fini(&r);
}
END_TEST

START_TEST(missing_means_that_every_provider_said_so)
{
    struct rig r;
    rig_init(&r, 1);
    const char *id = spool_message_id(r.spool, r.file, 1);
    for (unsigned i = 0; i < 3; i++) {
        rig_server(&r, &(struct newsd_config){0});
        newsd_fault(r.servers[i], id, NEWSD_430, 0);
    }
    rig_start(&r);
    ck_assert_int_eq(fetch_part(&r, 1), SEGMENT_MISSING);
    for (unsigned i = 0; i < 3; i++)
        ck_assert_uint_eq(newsd_asked(r.servers[i], id), 1);
    rig_fini(&r);
}
END_TEST

START_TEST(odd_message_ids_are_asked_for_as_they_are)
{
    static const char odd[] = "path/with space?1=2:3&x=%20";
    struct rig r;
    rig_init(&r, 1);
    rig_server(&r, &(struct newsd_config){0});
    rig_start(&r);
    ck_assert_int_eq(ask(&r, SEGMENT_BODY, odd), SEGMENT_MISSING);
    ck_assert_uint_eq(newsd_asked(r.servers[0], odd), 1);
    rig_fini(&r);
}
END_TEST

START_TEST(a_message_id_that_would_be_a_second_command_never_reaches_the_wire)
{
    static const char *const ids[] = {"a>\r\nQUIT\r\n<b", "a\nb", "a\rb", "tab\there", "\x7f", ""};
    struct newsd_stats s;
    char id[600];
    struct rig r;
    rig_init(&r, 1);
    rig_server(&r, &(struct newsd_config){0});
    rig_start(&r);
    for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++)
        ck_assert_int_eq(ask(&r, SEGMENT_BODY, ids[i]), SEGMENT_FAILED);
    memset(id, 'x', sizeof(id));
    id[498] = '\0';
    ck_assert_int_eq(ask(&r, SEGMENT_BODY, id), SEGMENT_FAILED);
    newsd_stats(r.servers[0], &s);
    ck_assert_uint_eq(s.commands, 0);
    rig_fini(&r);
}
END_TEST

START_TEST(no_room_ends_a_fetch_without_another_attempt)
{
    struct fetch t;
    struct rig r;
    rig_init(&r, 1);
    rig_server(&r, &(struct newsd_config){0});
    rig_server(&r, &(struct newsd_config){0});
    rig_start(&r);
    fetch_init(&t, &r, 1);
    t.veto = -ENOSPC;
    fetch_start(&t, &r);
    ck_assert_int_eq(fetch_wait(&t), SEGMENT_NOSPACE);
    ck_assert_uint_eq(t.begins, 1);
    fetch_fini(&t);
    ck_assert_int_eq(fetch_part(&r, 1), SEGMENT_DONE); /* the connection is as good as before */
    rig_fini(&r);
}
END_TEST

START_TEST(a_part_that_the_asker_refuses_everywhere_is_corrupt)
{
    struct fetch t;
    struct rig r;
    rig_init(&r, 1);
    rig_server(&r, &(struct newsd_config){0});
    rig_server(&r, &(struct newsd_config){0});
    rig_start(&r);
    fetch_init(&t, &r, 1);
    t.veto = -EBADMSG;
    fetch_start(&t, &r);
    ck_assert_int_eq(fetch_wait(&t), SEGMENT_CORRUPT);
    ck_assert_uint_eq(t.begins, 2);
    fetch_fini(&t);
    rig_fini(&r);
}
END_TEST

/* One connection, one operation at a time, and the first one hangs: everything else waits. */
static void jam(struct rig *r, struct fetch *first)
{
    rig_init(r, 8);
    rig_server(r, &(struct newsd_config){0});
    r->cfg.providers[0].connections = 1;
    r->cfg.providers[0].pipelining = 1;
    r->cfg.timeouts.stall_s = 60;
    newsd_fault(r->servers[0], spool_message_id(r->spool, r->file, 1), NEWSD_STALL_FIRST, 1);
    rig_start(r);
    fetch_init(first, r, 1);
    fetch_start(first, r);
    while (!newsd_asked(r->servers[0], spool_message_id(r->spool, r->file, 1)))
        sched_yield();
}

START_TEST(a_fetch_that_waits_can_be_cancelled)
{
    struct fetch first, second;
    struct rig r;
    jam(&r, &first);
    fetch_init(&second, &r, 2);
    fetch_start(&second, &r);
    source_cancel(r.source, &second.f);
    ck_assert_int_eq(fetch_wait(&second), SEGMENT_CANCELLED);
    ck_assert(!fetch_is_over(&first));
    newsd_unstall(r.servers[0]);
    ck_assert_int_eq(fetch_wait(&first), SEGMENT_DONE);
    ck_assert_uint_eq(newsd_asked(r.servers[0], second.f.want.message_id), 0);
    fetch_fini(&first);
    fetch_fini(&second);
    rig_fini(&r);
}
END_TEST

START_TEST(a_fetch_under_way_runs_to_its_end_when_cancelled)
{
    struct fetch first;
    struct rig r;
    jam(&r, &first);
    source_cancel(r.source, &first.f);
    newsd_unstall(r.servers[0]);
    ck_assert_int_eq(fetch_wait(&first), SEGMENT_DONE);
    fetch_check(&first, 1);
    fetch_fini(&first);
    rig_fini(&r);
}
END_TEST

START_TEST(what_is_promoted_goes_first)
{
    struct fetch t[4];
    struct rig r;
    jam(&r, &t[0]);
    for (unsigned i = 1; i < 4; i++) {
        fetch_init(&t[i], &r, i + 1);
        t[i].f.want.urgency = URGENCY_SCAN;
        fetch_start(&t[i], &r);
    }
    source_promote(r.source, &t[3].f, URGENCY_DEMAND, 0);
    newsd_unstall(r.servers[0]);
    for (unsigned i = 0; i < 4; i++)
        ck_assert_int_eq(fetch_wait(&t[i]), SEGMENT_DONE);
    ck_assert_uint_lt(t[3].order, t[1].order);
    ck_assert_uint_lt(t[3].order, t[2].order);
    ck_assert_uint_lt(t[1].order, t[2].order);
    for (unsigned i = 0; i < 4; i++)
        fetch_fini(&t[i]);
    rig_fini(&r);
}
END_TEST

START_TEST(stopping_ends_every_fetch_that_is_out)
{
    struct fetch t[6];
    struct rig r;
    jam(&r, &t[0]);
    for (unsigned i = 1; i < 6; i++) {
        fetch_init(&t[i], &r, i + 1);
        fetch_start(&t[i], &r);
    }
    nntp_pool_stop(r.pool);
    r.pool = NULL;
    for (unsigned i = 0; i < 6; i++) {
        ck_assert(fetch_is_over(&t[i]));
        ck_assert_int_eq(t[i].result, SEGMENT_CANCELLED);
        fetch_fini(&t[i]);
    }
    rig_fini(&r);
}
END_TEST

START_TEST(done_may_fetch_the_next)
{
    struct fetch t[5];
    struct rig r;
    rig_init(&r, 5);
    rig_server(&r, &(struct newsd_config){0});
    rig_start(&r);
    for (unsigned i = 0; i < 5; i++)
        fetch_init(&t[i], &r, i + 1);
    for (unsigned i = 0; i < 4; i++) {
        t[i].chain = r.source;
        t[i].next = &t[i + 1];
    }
    fetch_start(&t[0], &r);
    for (unsigned i = 0; i < 5; i++) {
        ck_assert_int_eq(fetch_wait(&t[i]), SEGMENT_DONE);
        fetch_check(&t[i], i + 1);
        fetch_fini(&t[i]);
    }
    rig_fini(&r);
}
END_TEST

START_TEST(a_deadline_ends_a_fetch_that_nobody_can_serve)
{
    struct fetch first, second;
    struct rig r;
    jam(&r, &first);
    fetch_init(&second, &r, 2);
    second.f.want.deadline_us = 1; /* long past */
    fetch_start(&second, &r);
    ck_assert_int_eq(fetch_wait(&second), SEGMENT_TIMEOUT);
    newsd_unstall(r.servers[0]);
    ck_assert_int_eq(fetch_wait(&first), SEGMENT_DONE);
    fetch_fini(&first);
    fetch_fini(&second);
    rig_fini(&r);
}
END_TEST

START_TEST(figures_count_what_happened)
{
    struct nntp_pool_stats s;
    struct rig r;
    rig_init(&r, 2);
    rig_server(&r, &(struct newsd_config){0});
    rig_start(&r);
    ck_assert_int_eq(fetch_part(&r, 1), SEGMENT_DONE);
    ck_assert_int_eq(ask(&r, SEGMENT_BODY, "nowhere@example"), SEGMENT_MISSING);
    nntp_pool_stats(r.pool, &s);
    ck_assert_uint_eq(s.qos.nproviders, 1);
    ck_assert_str_eq(s.providers[0].name, "p0");
    ck_assert_uint_eq(s.qos.providers[0].limit, 4);
    ck_assert_uint_eq(s.qos.providers[0].ok, 1);
    ck_assert_uint_eq(s.qos.providers[0].not_here, 1);
    ck_assert_uint_eq(s.providers[0].bytes_payload, RIG_PART);
    ck_assert_uint_gt(s.providers[0].bytes_wire, RIG_PART);
    ck_assert_uint_eq(s.qos.classes[TRAFFIC_STREAMING].done, 1);
    ck_assert_uint_eq(s.qos.classes[TRAFFIC_STREAMING].missing, 1);
    ck_assert_uint_eq(s.qos.leased_total, 0);
    rig_fini(&r);
}
END_TEST

START_TEST(a_rate_limit_slows_and_breaks_nothing)
{
    static struct fetch t[16];
    struct rig r;
    rig_init(&r, 16);
    rig_server(&r, &(struct newsd_config){0});
    r.cfg.pool.rate_bps = 400000;
    rig_start(&r);
    uint64_t begun_us = clock_now_us();
    fetch_many(&r, t, 16);
    /* 320,000 bytes, of which 65,536 may come at once. */
    ck_assert_uint_ge(clock_now_us() - begun_us, 630000);
    rig_fini(&r);
}
END_TEST

static unsigned sockets(struct rig *r, unsigned provider)
{
    struct nntp_pool_stats s;
    nntp_pool_stats(r->pool, &s);
    return s.qos.providers[provider].sockets;
}

START_TEST(a_provider_can_be_taken_out_and_another_put_in)
{
    struct newsd_stats s;
    struct rig r;
    rig_init(&r, 4);
    rig_server(&r, &(struct newsd_config){0});
    rig_server(&r, &(struct newsd_config){0});
    struct config both = r.cfg;
    r.cfg.nproviders = 1;
    rig_start(&r);
    ck_assert_int_eq(fetch_part(&r, 1), SEGMENT_DONE);
    struct config only_second = r.cfg;
    only_second.providers[0] = both.providers[1];
    ck_assert_int_eq(nntp_pool_resize(r.pool, &only_second, r.err, sizeof(r.err)), 0);
    while (sockets(&r, 0))
        sched_yield();
    ck_assert_int_eq(fetch_part(&r, 2), SEGMENT_DONE);
    newsd_stats(r.servers[0], &s);
    ck_assert_uint_eq(s.body, 1);
    newsd_stats(r.servers[1], &s);
    ck_assert_uint_eq(s.body, 1);
    rig_fini(&r);
}
END_TEST

START_TEST(a_provider_that_moved_is_asked_at_its_new_place)
{
    struct newsd_stats s;
    struct rig r;
    rig_init(&r, 4);
    rig_server(&r, &(struct newsd_config){0});
    rig_server(&r, &(struct newsd_config){0});
    r.cfg.nproviders = 1;
    rig_start(&r);
    ck_assert_int_eq(fetch_part(&r, 1), SEGMENT_DONE);
    struct config moved = r.cfg;
    moved.providers[0].port = newsd_port(r.servers[1]);
    ck_assert_int_eq(nntp_pool_resize(r.pool, &moved, r.err, sizeof(r.err)), 0);
    ck_assert_int_eq(fetch_part(&r, 2), SEGMENT_DONE);
    newsd_stats(r.servers[1], &s);
    ck_assert_uint_eq(s.body, 1);
    rig_fini(&r);
}
END_TEST

/* Connections that were opened for fetches that were then withdrawn: they have never answered anything. */
START_TEST(connections_to_the_old_place_that_were_never_used_fail_nobody)
{
    struct nntp_pool_stats ps;
    struct fetch t[4];
    struct rig r;
    rig_init(&r, 5);
    rig_server(&r, &(struct newsd_config){0});
    rig_server(&r, &(struct newsd_config){0});
    r.cfg.nproviders = 1;
    rig_start(&r);
    newsd_silent(r.servers[0], true); /* no greeting, so nothing can be sent */
    for (uint32_t i = 0; i < 4; i++) {
        fetch_init(&t[i], &r, i + 1);
        fetch_start(&t[i], &r);
    }
    for (unsigned i = 0; i < 4; i++)
        r.source->ops->cancel(r.source, &t[i].f);
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_int_eq(fetch_wait(&t[i]), SEGMENT_CANCELLED);
        fetch_fini(&t[i]);
    }
    newsd_silent(r.servers[0], false);
    do {
        nntp_pool_stats(r.pool, &ps);
        sched_yield();
    } while (ps.qos.providers[0].opening);
    struct config moved = r.cfg;
    moved.providers[0].port = newsd_port(r.servers[1]);
    ck_assert_int_eq(nntp_pool_resize(r.pool, &moved, r.err, sizeof(r.err)), 0);
    ck_assert_int_eq(fetch_part(&r, 5), SEGMENT_DONE);
    nntp_pool_stats(r.pool, &ps);
    ck_assert_uint_eq(ps.qos.classes[TRAFFIC_STREAMING].broken, 0);
    rig_fini(&r);
}
END_TEST

/* With more to ask for than there are connections, each always has something in flight. */
START_TEST(a_provider_that_moved_under_load_is_asked_no_more_at_its_old_place)
{
    static struct fetch t[100];
    struct nntp_pool_stats ps;
    struct newsd_tags tags;
    struct newsd_stats s;
    struct rig r;
    rig_init(&r, 100);
    rig_server(&r, &(struct newsd_config){0});
    rig_server(&r, &(struct newsd_config){0});
    r.cfg.nproviders = 1;
    r.cfg.providers[0].pipelining = 4;
    rig_start(&r);
    newsd_hold(r.servers[0], true);
    for (uint32_t i = 0; i < 100; i++) {
        fetch_init(&t[i], &r, i + 1);
        t[i].f.want.class = TRAFFIC_QUEUE;
        fetch_start(&t[i], &r);
    }
    do {
        newsd_tags(r.servers[0], &tags);
        sched_yield();
    } while (tags.all.held < 4);
    struct config moved = r.cfg;
    moved.providers[0].port = newsd_port(r.servers[1]);
    nntp_pool_stats(r.pool, &ps);
    ck_assert_uint_gt(ps.qos.providers[0].started, 4);
    ck_assert_int_eq(nntp_pool_resize(r.pool, &moved, r.err, sizeof(r.err)), 0);
    newsd_hold(r.servers[0], false);
    for (uint32_t i = 0; i < 100; i++) {
        ck_assert_int_eq(fetch_wait(&t[i]), SEGMENT_DONE);
        fetch_check(&t[i], i + 1);
        fetch_fini(&t[i]);
    }
    newsd_stats(r.servers[0], &s);
    ck_assert_uint_le(s.body, ps.qos.providers[0].started);
    nntp_pool_stats(r.pool, &ps);
    ck_assert_uint_eq(ps.qos.classes[TRAFFIC_QUEUE].broken, 0);
    rig_fini(&r);
}
END_TEST

START_TEST(more_connections_than_there_is_room_for_are_refused_aloud)
{
    struct rig r;
    rig_init(&r, 1);
    rig_server(&r, &(struct newsd_config){0});
    rig_start(&r);
    struct config large = r.cfg;
    large.providers[0].connections = 2049;
    ck_assert_int_eq(nntp_pool_resize(r.pool, &large, r.err, sizeof(r.err)), -EINVAL);
    ck_assert_ptr_nonnull(strstr(r.err, "2049 connections"));
    large.providers[0].connections = 2048;
    ck_assert_int_eq(nntp_pool_resize(r.pool, &large, r.err, sizeof(r.err)), 0);
    rig_fini(&r);
}
END_TEST

START_TEST(an_impossible_configuration_is_refused_and_changes_nothing)
{
    struct rig r;
    rig_init(&r, 2);
    rig_server(&r, &(struct newsd_config){0});
    rig_start(&r);
    struct config bad = r.cfg;
    bad.classes[TRAFFIC_QUEUE].guaranteed = 1000;
    ck_assert_int_ne(nntp_pool_resize(r.pool, &bad, r.err, sizeof(r.err)), 0);
    ck_assert_str_ne(r.err, "");
    bad = r.cfg;
    char two_lines[] = "two\r\nlines", no_file[] = "/nonexistent/ca.pem";
    bad.providers[0].username = two_lines;
    ck_assert_int_eq(nntp_pool_resize(r.pool, &bad, r.err, sizeof(r.err)), -EINVAL);
    bad = r.cfg;
    bad.providers[0].tls = true;
    bad.providers[0].ca_file = no_file;
    ck_assert_int_lt(nntp_pool_resize(r.pool, &bad, r.err, sizeof(r.err)), 0);
    ck_assert_ptr_nonnull(strstr(r.err, no_file));
    ck_assert_int_eq(fetch_part(&r, 1), SEGMENT_DONE);
    rig_fini(&r);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("nntp/pool");
    TCase *t = tcase_create("pool");
    tcase_add_test(t, a_segment_arrives_whole);
    tcase_add_test(t, sixty_four_fetches_at_once_all_arrive);
    tcase_add_test(t, sixty_four_fetches_go_down_one_connection);
    tcase_add_test(t, stat_and_head_tell_what_is_there_without_payload);
    tcase_add_test(t, what_the_first_provider_lacks_comes_from_the_second);
    tcase_add_test(t, missing_means_that_every_provider_said_so);
    tcase_add_test(t, odd_message_ids_are_asked_for_as_they_are);
    tcase_add_test(t, a_message_id_that_would_be_a_second_command_never_reaches_the_wire);
    tcase_add_test(t, no_room_ends_a_fetch_without_another_attempt);
    tcase_add_test(t, a_part_that_the_asker_refuses_everywhere_is_corrupt);
    tcase_add_test(t, a_fetch_that_waits_can_be_cancelled);
    tcase_add_test(t, a_fetch_under_way_runs_to_its_end_when_cancelled);
    tcase_add_test(t, what_is_promoted_goes_first);
    tcase_add_test(t, stopping_ends_every_fetch_that_is_out);
    tcase_add_test(t, done_may_fetch_the_next);
    tcase_add_test(t, a_deadline_ends_a_fetch_that_nobody_can_serve);
    tcase_add_test(t, figures_count_what_happened);
    tcase_add_test(t, a_rate_limit_slows_and_breaks_nothing);
    tcase_add_test(t, a_provider_can_be_taken_out_and_another_put_in);
    tcase_add_test(t, a_provider_that_moved_is_asked_at_its_new_place);
    tcase_add_test(t, connections_to_the_old_place_that_were_never_used_fail_nobody);
    tcase_add_test(t, a_provider_that_moved_under_load_is_asked_no_more_at_its_old_place);
    tcase_add_test(t, more_connections_than_there_is_room_for_are_refused_aloud);
    tcase_add_test(t, an_impossible_configuration_is_refused_and_changes_nothing);
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
