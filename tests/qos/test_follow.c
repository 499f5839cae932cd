#include "tests/qos/script.h"

#include <stdlib.h>

/* When readahead is sent behind what flies: not before it must be, and never so late that a connection idles. */

#define DEMAND(...)    ((struct qos_want){.class = TRAFFIC_STREAMING, .bytes = ARTICLE, __VA_ARGS__})
#define READAHEAD(...) DEMAND(.urgency = URGENCY_READAHEAD, __VA_ARGS__)

#define ARTICLE        750000u
#define TRIP           (50 * MS)
#define BODY           (375 * MS) /* an article at 2 MB/s */
#define LEAD           (TRIP + TRIP / 4 + MS)

static struct qos_config account(unsigned connections)
{
    struct qos_config cfg = {.nproviders = 1,
                             .providers = {{.connections = connections, .pipelining = 4}}};
    for (unsigned i = 0; i < TRAFFIC_CLASSES; i++)
        cfg.classes[i].burst = connections;
    return cfg;
}

static void begun(struct script *s, unsigned op)
{
    qos_op_begun(s->q, s->now, s->ops[op].handle);
    script_run(s);
}

static void ended(struct script *s, unsigned op)
{
    s->ops[op].brings = ARTICLE;
    script_answer(s, op, QOS_OK);
}

/** One connection, that has brought one article in its time: its trip and flow are known. */
static struct script *known(qos_time trip, qos_time body)
{
    struct qos_config cfg = account(1);
    struct script *s = script_new(&cfg);
    unsigned a = script_submit(s, READAHEAD(), 1);
    script_connect(s, -1);
    s->now += trip;
    begun(s, a);
    s->now += body;
    ended(s, a);
    return s;
}

START_TEST(until_it_is_known_how_far_a_server_is_readahead_follows_at_once)
{
    struct qos_config cfg = account(1);
    struct script *s = script_new(&cfg);
    unsigned a = script_submit(s, READAHEAD(), 3);
    script_connect(s, -1);
    expect_at(s, a, 0);
    expect_at(s, a + 1, 0);
    expect_at(s, a + 2, -1);
    script_free(s);
}
END_TEST

START_TEST(readahead_follows_when_a_round_trip_of_the_one_before_is_left)
{
    struct script *s = known(TRIP, BODY);
    unsigned a = script_submit(s, READAHEAD(), 3);
    qos_time at = s->now + TRIP + BODY - LEAD;
    expect_at(s, a, 0);
    expect_at(s, a + 1, -1);
    ck_assert_uint_eq(qos_wake(s->q), at);
    script_at(s, at - 1);
    expect_at(s, a + 1, -1);
    script_at(s, at);
    expect_at(s, a + 1, 0);
    expect_at(s, a + 2, -1);
    ck_assert_uint_gt(qos_wake(s->q),
                      at + BODY); /* the place is taken: there is nothing to wake for */
    script_free(s);
}
END_TEST

START_TEST(an_answer_that_begins_late_ends_late)
{
    struct script *s = known(TRIP, BODY);
    unsigned a = script_submit(s, READAHEAD(), 2);
    s->now += 4 * TRIP;
    begun(s, a); /* as far as is known now, servers are further away: lead has grown, too */
    qos_time trip = TRIP - TRIP / 4 + TRIP;
    expect_at(s, a + 1, -1);
    ck_assert_uint_eq(qos_wake(s->q), s->now + BODY - (trip + trip / 4 + MS));
    script_free(s);
}
END_TEST

START_TEST(what_was_sent_behind_another_tells_nothing_of_how_far_a_server_is)
{
    struct script *s = known(TRIP, BODY);
    unsigned a = script_submit(s, READAHEAD(), 3);
    script_at(s, s->now + TRIP);
    begun(s, a);
    script_at(s, qos_wake(s->q));
    expect_at(s, a + 1, 0);
    s->now += LEAD;
    ended(s, a);
    s->now += MS;
    begun(s, a + 1); /* sent a lead and a millisecond ago */
    ck_assert_uint_eq(qos_wake(s->q), s->now + BODY - LEAD);
    script_free(s);
}
END_TEST

START_TEST(what_a_reader_is_blocked_on_follows_at_once)
{
    struct script *s = known(TRIP, BODY);
    unsigned a = script_submit(s, READAHEAD(), 2), b = script_submit(s, DEMAND(), 1);
    expect_at(s, a, 0);
    expect_at(s, a + 1, -1);
    expect_at(s, b, 0);
    script_free(s);
}
END_TEST

START_TEST(readahead_that_is_promoted_follows_at_once)
{
    struct script *s = known(TRIP, BODY);
    unsigned a = script_submit(s, READAHEAD(), 2);
    expect_at(s, a + 1, -1);
    qos_promote(s->q, s->now, s->ops[a + 1].handle, URGENCY_DEMAND, 0);
    script_run(s);
    expect_at(s, a + 1, 0);
    script_free(s);
}
END_TEST

START_TEST(what_takes_less_than_a_round_trip_is_followed_at_once)
{
    struct script *s = known(TRIP, 10 * MS);
    unsigned a = script_submit(s, READAHEAD(), 2);
    expect_at(s, a + 1, 0);
    script_free(s);
}
END_TEST

START_TEST(an_article_that_is_late_is_followed_as_it_would_have_been)
{
    struct script *s = known(TRIP, BODY);
    unsigned a = script_submit(s, READAHEAD(), 2);
    script_at(s, s->now + 10 * S);
    expect_at(s, a + 1, 0);
    script_free(s);
}
END_TEST

START_TEST(jobs_are_pipelined_as_ever)
{
    struct script *s = known(TRIP, BODY);
    unsigned a = script_submit(s, (struct qos_want){.class = TRAFFIC_QUEUE, .bytes = ARTICLE}, 4);
    for (unsigned i = 0; i < 4; i++)
        expect_at(s, a + i, 0);
    script_free(s);
}
END_TEST

/* --- a server in virtual time -------------------------------------------------------------------- */

#define CONNECTIONS 20u

struct line {
    qos_time free; /* the answer before has ended then */
    struct {
        qos_time begins, ends;
        bool told;
    } at[SCRIPT_OPS];
};

static struct line lines[SCRIPT_CONNS];

/** When the first answer in flight on `c` begins and ends: a trip after it was sent, behind the one before. */
static void line_head(const struct script *s, unsigned c, qos_time trip, qos_time body)
{
    struct line *l = &lines[c];
    for (unsigned k = 0; k < s->conns[c].n; k++) {
        unsigned op = s->conns[c].ops[k];
        if (l->at[op].ends)
            continue;
        l->at[op].begins = s->now + trip > l->free ? s->now + trip : l->free;
        l->free = l->at[op].ends = l->at[op].begins + body;
    }
}

static unsigned in_flight(const struct script *s)
{
    unsigned n = 0;
    for (unsigned c = 0; c < s->nconns; c++)
        n += s->conns[c].n;
    return n;
}

/** What the servers do next: the first answer on a connection that begins or ends before *at; its connection. */
static unsigned line_next(const struct script *s, qos_time trip, qos_time body, qos_time *at)
{
    unsigned first = SCRIPT_CONNS;
    for (unsigned c = 0; c < s->nconns; c++) {
        line_head(s, c, trip, body);
        if (!s->conns[c].n)
            continue;
        unsigned op = s->conns[c].ops[0];
        qos_time t = lines[c].at[op].told ? lines[c].at[op].ends : lines[c].at[op].begins;
        if (t < *at) {
            *at = t;
            first = c;
        }
    }
    return first;
}

/** Read ahead without end for `span`: how many articles came; *mean: how many were in flight all the time. */
static unsigned served(qos_time trip, qos_time body, qos_time span, double *mean)
{
    struct qos_config cfg = account(CONNECTIONS);
    struct script *s = script_new(&cfg);
    double area = 0;
    unsigned n = 0;
    for (unsigned i = 0; i < SCRIPT_CONNS; i++)
        lines[i] = (struct line){.free = 0};
    script_submit(s, READAHEAD(), CONNECTIONS);
    script_connect(s, -1);
    qos_time start = s->now;
    while (s->now < start + span) {
        if (s->nops - n < 4 * CONNECTIONS)
            script_submit(s, READAHEAD(), CONNECTIONS);
        qos_time next = qos_wake(s->q);
        unsigned c = line_next(s, trip, body, &next);
        area += (double)in_flight(s) * (double)(next - s->now);
        if (c == SCRIPT_CONNS) {
            script_at(s, next);
            continue;
        }
        s->now = next;
        unsigned op = s->conns[c].ops[0];
        if (lines[c].at[op].told) {
            ended(s, op);
            n++;
        } else {
            lines[c].at[op].told = true;
            begun(s, op);
        }
    }
    *mean = area / (double)(s->now - start);
    script_free(s);
    return n;
}

static const struct {
    qos_time trip, body;
    double most; /* in flight, on the average */
} reach[] = {
    {50 * MS, 375 * MS, 24}, {30 * MS, 150 * MS, 26}, {30 * MS, 375 * MS, 23},
    {MS, 100 * MS, 22},      {100 * MS, 20 * MS, 40}, {100 * MS, 90 * MS, 40},
};

START_TEST(no_connection_idles_and_few_carry_a_second_article)
{
    qos_time trip = reach[_i].trip, body = reach[_i].body, span = 60 * body + 10 * trip;
    double mean;
    unsigned n = served(trip, body, span, &mean);
    uint64_t round = 2 * body > trip + body ? body : (trip + body) / 2; /* two deep, at the most */
    uint64_t ideal = (uint64_t)CONNECTIONS * (span / round);
    ck_assert_msg(n * UINT64_C(100) >= ideal * 94, "%u articles of %u", n, (unsigned)ideal);
    ck_assert_msg(mean <= reach[_i].most, "%.1f in flight", mean);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("qos/follow");
    TCase *t = tcase_create("follow");
    tcase_add_test(t, until_it_is_known_how_far_a_server_is_readahead_follows_at_once);
    tcase_add_test(t, readahead_follows_when_a_round_trip_of_the_one_before_is_left);
    tcase_add_test(t, an_answer_that_begins_late_ends_late);
    tcase_add_test(t, what_was_sent_behind_another_tells_nothing_of_how_far_a_server_is);
    tcase_add_test(t, what_a_reader_is_blocked_on_follows_at_once);
    tcase_add_test(t, readahead_that_is_promoted_follows_at_once);
    tcase_add_test(t, what_takes_less_than_a_round_trip_is_followed_at_once);
    tcase_add_test(t, an_article_that_is_late_is_followed_as_it_would_have_been);
    tcase_add_test(t, jobs_are_pipelined_as_ever);
    tcase_add_loop_test(t, no_connection_idles_and_few_carry_a_second_article, 0,
                        (int)(sizeof(reach) / sizeof(reach[0])));
    suite_add_tcase(suite, t);
    SRunner *r = srunner_create(suite);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
