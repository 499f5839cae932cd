/* Many threads, all weathers: every fetch ends exactly once, and what is DONE is right. */
#include "tests/nntp/rig.h"

#include <check.h>
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define PARTS   24
#define THREADS 3
#define ROUNDS  120

static uint64_t dice(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

struct reader {
    pthread_t thread;
    struct rig *rig;
    uint64_t seed;
    unsigned done, cancelled, other;
};

/* Four at a time; some are promoted, some cancelled, whatever their state. done() takes t->lock, so under it
 * `over` says whether they may still be touched. */
static void touch(struct reader *me, struct fetch *t, bool cancel)
{
    pthread_mutex_lock(&t->lock);
    if (!t->over && cancel)
        source_cancel(me->rig->source, &t->f);
    else if (!t->over)
        source_promote(me->rig->source, &t->f, URGENCY_DEMAND, 0);
    pthread_mutex_unlock(&t->lock);
}

static void *reader_main(void *arg)
{
    struct reader *me = arg;
    struct fetch t[4];
    uint32_t parts[4];

    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < 4; i++) {
            parts[i] = 1 + (uint32_t)(dice(&me->seed) % PARTS);
            fetch_init(&t[i], me->rig, parts[i]);
            t[i].f.want.urgency = (enum urgency)(dice(&me->seed) % 3);
            t[i].f.want.class = (enum traffic_class)(dice(&me->seed) % TRAFFIC_CLASSES);
            t[i].f.want.stream = 1 + dice(&me->seed) % 5;
            fetch_start(&t[i], me->rig);
        }
        touch(me, &t[dice(&me->seed) % 4], false);
        if (dice(&me->seed) % 4 == 0)
            touch(me, &t[dice(&me->seed) % 4], true);
        for (unsigned i = 0; i < 4; i++) {
            enum segment_result r = fetch_wait(&t[i]);
            me->done += r == SEGMENT_DONE;
            me->cancelled += r == SEGMENT_CANCELLED;
            me->other += r != SEGMENT_DONE && r != SEGMENT_CANCELLED;
            if (r == SEGMENT_DONE)
                fetch_check(&t[i], parts[i]);
            fetch_fini(&t[i]);
        }
    }
    return NULL;
}

START_TEST(in_any_weather_every_fetch_ends_once_and_what_is_done_is_right)
{
    static const enum newsd_fault weather[] = {
        NEWSD_CLOSE_MID, NEWSD_RESET_MID, NEWSD_BAD_CRC, NEWSD_430,          NEWSD_SHORT,
        NEWSD_403,       NEWSD_400,       NEWSD_GARBAGE, NEWSD_GARBAGE_CODE, NEWSD_BAD_PART};
    static struct reader readers[THREADS];
    struct rig r;
    uint64_t seed = 88172645463325252u;

    rig_init(&r, PARTS);
    rig_server(&r, &(struct newsd_config){.latency_us = 200});
    rig_server(&r, &(struct newsd_config){.tls = _i, .max_connections = 3});
    rig_server(&r, &(struct newsd_config){.need_group = true});
    r.cfg.providers[2].tier = 1;
    rig_start(&r);
    for (unsigned i = 0; i < THREADS; i++) {
        readers[i] = (struct reader){.rig = &r, .seed = 1000 + i};
        pthread_create(&readers[i].thread, NULL, reader_main, &readers[i]);
    }
    struct config other = r.cfg;
    for (unsigned i = 0; i < 40; i++) {
        uint32_t part = 1 + (uint32_t)(dice(&seed) % PARTS);
        enum newsd_fault f = weather[dice(&seed) % (sizeof(weather) / sizeof(*weather))];
        newsd_fault(r.servers[dice(&seed) % 2], spool_message_id(r.spool, r.file, part), f, 1);
        if (i % 8 == 3)
            newsd_drop_all(r.servers[dice(&seed) % 3]);
        if (i % 10 == 5) {
            unsigned n = 1 + (unsigned)(dice(&seed) % 4);
            other.providers[0].connections = n;
            other.pool.connections = n + 8;
            for (unsigned k = 0; k < TRAFFIC_CLASSES; k++)
                other.classes[k].burst = n + 8;
            other.timeouts.stall_s = 4 + (unsigned)(dice(&seed) % 2); /* another site */
            ck_assert_int_eq(nntp_pool_resize(r.pool, &other, r.err, sizeof(r.err)), 0);
        }
        struct nntp_pool_stats s;
        nntp_pool_stats(r.pool, &s);
        ck_assert_uint_le(s.qos.leased_total, r.cfg.pool.connections);
    }
    unsigned done = 0, all = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(readers[i].thread, NULL);
        done += readers[i].done;
        all += readers[i].done + readers[i].cancelled + readers[i].other;
    }
    ck_assert_uint_eq(all, THREADS * ROUNDS * 4);
    ck_assert_uint_gt(done, all / 2);
    rig_fini(&r);
}
END_TEST

/* --- more fetches than there is room for ------------------------------------------------------------ */

#define CROWD 70000

static atomic_uint failed, cancelled, others;

static void crowd_done(struct segment_fetch *f, enum segment_result r)
{
    (void)f;
    atomic_fetch_add(r == SEGMENT_FAILED      ? &failed
                     : r == SEGMENT_CANCELLED ? &cancelled
                                              : &others,
                     1);
}

static int crowd_begin(struct segment_fetch *f, const struct segment_info *info)
{
    (void)f;
    (void)info;
    return -ENOSPC;
}

START_TEST(what_finds_no_slot_fails_and_the_rest_goes_on)
{
    static const struct segment_fetch_ops ops = {.begin = crowd_begin, .done = crowd_done};
    static struct segment_fetch f[CROWD];
    struct rig r;

    rig_init(&r, 1);
    rig_server(&r, &(struct newsd_config){0});
    newsd_silent(r.servers[0], true);
    rig_start(&r);
    for (unsigned i = 0; i < CROWD; i++) {
        f[i] = (struct segment_fetch){.ops = &ops};
        f[i].want = (struct segment_want){
            .message_id = "nowhere@example", .stream = 1, .class = TRAFFIC_STREAMING};
        source_fetch(r.source, &f[i]);
    }
    while (atomic_load(&failed) < CROWD - 65536)
        sched_yield();
    ck_assert_uint_eq(atomic_load(&failed), CROWD - 65536);
    /* Nothing can be said to one that was turned away, and nothing happens. */
    source_promote(r.source, &f[CROWD - 1], URGENCY_DEMAND, 0);
    source_cancel(r.source, &f[CROWD - 1]);
    rig_fini(&r);
    ck_assert_uint_eq(atomic_load(&failed) + atomic_load(&cancelled), CROWD);
    ck_assert_uint_eq(atomic_load(&others), 0);
}
END_TEST

/* A lane that drew orders for another posts it after it has let go of the lock. By then the other may have
 * carried them out, and the stop that waited for just that may have begun to take the loops down. */
START_TEST(a_pool_can_be_stopped_at_any_moment)
{
    enum { ROUNDS_OF_STOP = 60, FETCHES = 24 };
    struct rig r;

    rig_init(&r, FETCHES);
    rig_server(&r, &(struct newsd_config){0});
    r.cfg.providers[0].connections = 8;
    rig_start(&r);
    for (unsigned round = 0; round < ROUNDS_OF_STOP; round++) {
        struct fetch t[FETCHES];
        if (!r.pool) {
            ck_assert_int_eq(nntp_pool_start(&r.cfg, NULL, &r.pool, r.err, sizeof(r.err)), 0);
            r.source = nntp_pool_source(r.pool);
        }
        for (unsigned i = 0; i < FETCHES; i++) {
            fetch_init(&t[i], &r, i + 1);
            fetch_start(&t[i], &r);
        }
        fetch_wait(&t[round % FETCHES]);
        nntp_pool_stop(r.pool);
        r.pool = NULL;
        for (unsigned i = 0; i < FETCHES; i++) {
            ck_assert(fetch_is_over(&t[i]));
            if (t[i].result == SEGMENT_DONE)
                fetch_check(&t[i], i + 1);
            else
                ck_assert_int_eq(t[i].result, SEGMENT_CANCELLED);
            fetch_fini(&t[i]);
        }
    }
    rig_fini(&r);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("nntp/stress");
    TCase *t = tcase_create("stress");
    tcase_add_loop_test(t, in_any_weather_every_fetch_ends_once_and_what_is_done_is_right, 0, 2);
    tcase_add_test(t, what_finds_no_slot_fails_and_the_rest_goes_on);
    tcase_add_test(t, a_pool_can_be_stopped_at_any_moment);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    SRunner *sr = srunner_create(suite());
    srunner_run_all(sr, CK_ENV);
    int failures = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
