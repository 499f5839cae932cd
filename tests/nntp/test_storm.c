/* The pool under attack: threads that cancel, promote and resize at random while servers reset, fall silent,
 * refuse and come back. Nothing is lost or answered twice, what is DONE is right, and the sums agree. */
#include "tests/nntp/crowd.h"

#include <check.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { SERVERS = 3, CROWDS = 4, EACH = 40 };

static const char tags[CROWDS] = {'q', 'h', 'x', 's'};
static const unsigned limits[SERVERS] = {12, 8, 6};

struct storm {
    struct rig r;
    struct crowd crowds[CROWDS];
    atomic_bool over;
    atomic_uint turns[3]; /* that each kind of weather has made */
    const char *_Atomic wrong;
};

static uint64_t dice(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state >> 11;
}

static const enum traffic_class classes[CROWDS] = {TRAFFIC_QUEUE, TRAFFIC_HEALTH, TRAFFIC_HEALTH,
                                                   TRAFFIC_STREAMING};

static void storm_start(struct storm *s, const struct newsd_config cfg[SERVERS])
{
    memset(s, 0, sizeof(*s));
    rig_init(&s->r, 1);
    for (unsigned i = 0; i < CROWDS; i++)
        rig_file(&s->r, tags[i], 8);
    for (unsigned i = 0; i < SERVERS; i++) {
        rig_server(&s->r, &cfg[i]);
        s->r.cfg.providers[i].connections = limits[i];
        s->r.cfg.providers[i].pipelining = 1 + 3 * i;
    }
    s->r.cfg.providers[2].tier = 1;
    s->r.cfg.timeouts =
        (struct config_timeouts){.connect_s = 20, .stall_s = 20, .idle_s = 1, .probe_s = 1};
    for (unsigned c = 0; c < TRAFFIC_CLASSES; c++)
        s->r.cfg.classes[c] = (struct config_class){.guaranteed = 4, .burst = 20, .weight = 1 + c};
    rig_start(&s->r);
    for (unsigned i = 0; i < CROWDS; i++) {
        crowd_init(&s->crowds[i], &s->r, tags[i], classes[i], EACH);
        s->crowds[i].streams = 5;
        s->crowds[i].want.stream = 10 * i;
        s->crowds[i].want.urgency = URGENCY_SCAN;
        if (tags[i] == 'x')
            s->crowds[i].want.verb = i % 2 ? SEGMENT_HEAD : SEGMENT_STAT;
        crowd_start(&s->crowds[i]);
    }
}

/* --- the weather, each on a thread ------------------------------------------------------------------- */

static void *fickle_main(void *arg)
{
    struct storm *s = arg;
    uint64_t seed = 4711;
    while (!atomic_load(&s->over)) {
        struct crowd *c = &s->crowds[dice(&seed) % CROWDS];
        unsigned i = (unsigned)(dice(&seed) % EACH);
        if (dice(&seed) % 3)
            crowd_cancel(c, i);
        else
            crowd_promote(c, i, (enum urgency)(dice(&seed) % 3));
        atomic_fetch_add(&s->turns[0], 1);
        if (dice(&seed) % 16 == 0)
            sched_yield();
    }
    return NULL;
}

/* Any shares and limits that are possible, down to nothing of a provider. */
static void shares_roll(const struct rig *r, struct config *cfg, uint64_t *seed)
{
    unsigned sum = 0;
    *cfg = r->cfg;
    for (unsigned i = 0; i < SERVERS; i++) {
        struct config_provider *p = &cfg->providers[i];
        p->connections = (unsigned)(dice(seed) % (limits[i] + 1));
        if (i == 0 && !p->connections)
            p->connections = 1;
        p->pipelining = 1 + (unsigned)(dice(seed) % 8);
        p->tier = (unsigned)(dice(seed) % 2);
        p->rate_bps = dice(seed) % 4 ? 0 : 2000000;
        sum += p->connections;
    }
    cfg->pool.connections = 1 + (unsigned)(dice(seed) % sum);
    cfg->pool.reserve = cfg->pool.connections > 1 ? (unsigned)(dice(seed) % 2) : 0;
    unsigned left = cfg->pool.connections;
    for (unsigned c = 0; c < TRAFFIC_CLASSES; c++) {
        struct config_class *k = &cfg->classes[c];
        k->guaranteed = (unsigned)(dice(seed) % (left + 1));
        left -= k->guaranteed;
        k->burst =
            k->guaranteed + (unsigned)(dice(seed) % (cfg->pool.connections - k->guaranteed + 1));
        k->burst += k->burst == 0;
        k->weight = 1 + (unsigned)(dice(seed) % 9);
        k->per_stream = (unsigned)(dice(seed) % 3);
    }
    if (dice(seed) % 8 == 0)
        cfg->timeouts.idle_s = 1 + (unsigned)(dice(seed) % 3); /* no other site */
    if (dice(seed) % 16 == 0)
        cfg->timeouts.stall_s = 20 + (unsigned)(dice(seed) % 3); /* another site */
}

static void *resizer_main(void *arg)
{
    struct storm *s = arg;
    uint64_t seed = 815;
    while (!atomic_load(&s->over)) {
        struct config cfg;
        shares_roll(&s->r, &cfg, &seed);
        if (nntp_pool_resize(s->r.pool, &cfg, s->r.err, sizeof(s->r.err))) {
            atomic_store(&s->wrong, s->r.err); /* each of them is possible */
            break;
        }
        atomic_fetch_add(&s->turns[1], 1);
        sched_yield();
    }
    return NULL;
}

static void *sums_main(void *arg)
{
    struct storm *s = arg;
    while (!atomic_load(&s->over)) {
        struct nntp_pool_stats st;
        unsigned by_class = 0, by_provider = 0;
        nntp_pool_stats(s->r.pool, &st);
        for (unsigned c = 0; c < TRAFFIC_CLASSES; c++)
            by_class += st.qos.classes[c].leased;
        for (unsigned i = 0; i < st.qos.nproviders; i++) {
            const struct qos_provider_stats *p = &st.qos.providers[i];
            by_provider += p->leased;
            if (p->sockets != p->leased + p->idle + p->closing + p->lingering)
                atomic_store(&s->wrong, "sockets are not the sum of their states");
            if (p->sockets > limits[i])
                atomic_store(&s->wrong, "more sockets than the account ever had");
        }
        if (by_class != st.qos.leased_total || by_provider != st.qos.leased_total)
            atomic_store(&s->wrong, "leases of classes, providers and in all do not agree");
        atomic_fetch_add(&s->turns[2], 1);
        sched_yield();
    }
    return NULL;
}

/* --- servers ------------------------------------------------------------------------------------------ */

static void server_turn(struct newsd *d, uint64_t *seed)
{
    static const enum newsd_fault faults[] = {NEWSD_CLOSE_MID, NEWSD_RESET_MID, NEWSD_400,
                                              NEWSD_403,       NEWSD_BAD_CRC,   NEWSD_GARBAGE_CODE,
                                              NEWSD_SHORT,     NEWSD_430};
    switch (dice(seed) % 8) {
    case 0:
        newsd_down(d, true);
        newsd_down(d, false);
        break;
    case 1:
        newsd_drop_all(d);
        break;
    case 2:
        newsd_silent(d, true);
        newsd_silent(d, false);
        break;
    case 3:
        newsd_set_greeting(d, 502);
        newsd_drop_all(d);
        newsd_set_greeting(d, 200);
        break;
    case 4:
        newsd_hold(d, true);
        newsd_release(d, 0, 3);
        newsd_hold(d, false);
        break;
    case 5:
        newsd_set_limit(d, 1 + (unsigned)(dice(seed) % 6));
        break;
    case 6:
        newsd_set_limit(d, 0);
        break;
    default:
        newsd_fault(d, NULL, faults[dice(seed) % (sizeof(faults) / sizeof(*faults))], 3);
        break;
    }
}

static uint64_t ended(struct storm *s, unsigned i)
{
    return crowd_counts(&s->crowds[i]).ended;
}

/* Whatever happened: in fair weather all classes are served. */
static void calm(struct storm *s)
{
    for (unsigned i = 0; i < SERVERS; i++) {
        newsd_clear_faults(s->r.servers[i]);
        newsd_set_limit(s->r.servers[i], 0);
    }
    ck_assert_int_eq(nntp_pool_resize(s->r.pool, &s->r.cfg, s->r.err, sizeof(s->r.err)), 0);
    for (unsigned i = 0; i < CROWDS; i++) {
        uint64_t done = crowd_counts(&s->crowds[i]).results[SEGMENT_DONE];
        struct rig_wait w = {0};
        while (crowd_counts(&s->crowds[i]).results[SEGMENT_DONE] < done + 50)
            rig_wait(&s->r, &w, "not served after the storm");
    }
}

static void storm_end(struct storm *s)
{
    for (unsigned i = 0; i < CROWDS; i++)
        crowd_stop(&s->crowds[i]);
    for (unsigned i = 0; i < CROWDS; i++) {
        crowd_wait(&s->crowds[i]);
        struct crowd_counts n = crowd_counts(&s->crowds[i]);
        ck_assert_uint_eq(n.wrong, 0);
        ck_assert_uint_eq(n.ended, n.fetched);
        ck_assert_uint_gt(n.results[SEGMENT_DONE], 50);
        ck_assert_uint_eq(n.results[SEGMENT_TIMEOUT] + n.results[SEGMENT_NOSPACE], 0);
    }
    struct nntp_pool_stats st;
    nntp_pool_stats(s->r.pool, &st);
    for (unsigned c = 0; c < TRAFFIC_CLASSES; c++)
        ck_assert_uint_eq(st.qos.classes[c].waiting, 0);
    nntp_pool_stop(s->r.pool);
    s->r.pool = NULL;
    for (unsigned i = 0; i < CROWDS; i++)
        crowd_fini(&s->crowds[i]);
    rig_fini(&s->r);
}

static const struct newsd_config settings[][SERVERS] = {
    {{.latency_us = 300}, {.latency_us = 100, .jitter_us = 500}, {.need_group = true}},
    {{.latency_us = 300, .tls = true}, {.need_mode_reader = true}, {.limit_code = 400}},
};

START_TEST(no_storm_loses_an_operation_or_answers_it_twice)
{
    static struct storm s;
    static void *(*const mains[3])(void *) = {fickle_main, resizer_main, sums_main};
    pthread_t threads[3];
    uint64_t seed = 271828 + (uint64_t)_i;
    storm_start(&s, settings[_i]);
    for (unsigned i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, mains[i], &s), 0);
    struct rig_wait w = {0};
    for (unsigned turn = 0; turn < 120; turn++) {
        server_turn(s.r.servers[dice(&seed) % SERVERS], &seed);
        uint64_t until = 20;
        for (unsigned i = 0; i < CROWDS; i++)
            until += ended(&s, i);
        uint64_t now;
        do {
            rig_wait(&s.r, &w, "in the storm");
            now = 0;
            for (unsigned i = 0; i < CROWDS; i++)
                now += ended(&s, i);
        } while (now < until && !atomic_load(&s.wrong));
    }
    while (atomic_load(&s.turns[0]) < 100 || atomic_load(&s.turns[1]) < 100 ||
           atomic_load(&s.turns[2]) < 100)
        sched_yield();
    atomic_store(&s.over, true);
    for (unsigned i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    ck_assert_msg(!atomic_load(&s.wrong), "%s", atomic_load(&s.wrong));
    calm(&s);
    storm_end(&s);
}
END_TEST

/* Everything that waits is cancelled at one moment, again and again: what was not sent is withdrawn at once. */
START_TEST(what_was_not_sent_is_withdrawn_at_once_by_thousands)
{
    static struct crowd c;
    struct rig r;
    rig_init(&r, 1);
    rig_file(&r, 's', 8);
    rig_server(&r, &(struct newsd_config){0});
    r.cfg.providers[0].connections = 4;
    r.cfg.providers[0].pipelining = 1;
    r.cfg.timeouts.stall_s = 600;
    newsd_hold(r.servers[0], true);
    rig_start(&r);
    crowd_init(&c, &r, 's', TRAFFIC_STREAMING, 3000);
    crowd_start(&c);
    struct newsd_tags t;
    struct rig_wait w = {0};
    do {
        rig_wait(&r, &w, "not held");
        newsd_tags(r.servers[0], &t);
    } while (t.all.held < 4);
    for (unsigned round = 1; round <= 5; round++) {
        /* Each is fetched anew as it ends, and takes the place of one that waited. */
        for (unsigned i = 0; i < 3000; i++)
            crowd_cancel(&c, i);
        while (crowd_counts(&c).results[SEGMENT_CANCELLED] < round * 2996u)
            rig_wait(&r, &w, "not withdrawn");
    }
    newsd_tags(r.servers[0], &t);
    ck_assert_uint_eq(t.all.commands, 4); /* none of them was ever sent */
    crowd_stop(&c);
    newsd_hold(r.servers[0], false);
    crowd_wait(&c);
    struct crowd_counts n = crowd_counts(&c);
    ck_assert_uint_eq(n.wrong, 0);
    ck_assert_uint_eq(n.results[SEGMENT_DONE], 4);
    ck_assert_uint_eq(n.results[SEGMENT_CANCELLED], n.ended - 4);
    crowd_fini(&c);
    rig_fini(&r);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("nntp/storm");
    TCase *t = tcase_create("storm");
    tcase_add_loop_test(t, no_storm_loses_an_operation_or_answers_it_twice, 0, 2);
    tcase_add_test(t, what_was_not_sent_is_withdrawn_at_once_by_thousands);
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
