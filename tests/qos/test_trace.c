#include "tests/qos/trace_run.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLOCK UINT64_C(83123456789)

/* --- one line ---------------------------------------------------------------------------------- */

static const char head[] =
    "nzbfs-trace 1\n"
    "limits ops=40 conns=24 streams=12\n"
    "config total=0 reserve=0 rate=0 backoff=0 backoff_max=0 login=0 probe=0 "
    "linger=0 idle=0 attempts=0 cover=0 queue=1/2/0/0 health=1/2/0/0 "
    "streaming=0/2/0/0 p0=2/0/0/0/0/0\n"
    "clock 83123456789\n";

/* Every line of `text`, the last one's item returned. */
static enum qos_trace_item lines_read(struct qos_trace_reader *t, const char *text, size_t len,
                                      struct qos_record *out)
{
    enum qos_trace_item item = QOS_TRACE_NOTHING;

    for (const char *at = text, *end = text + len, *nl; at < end; at = nl + 1) {
        nl = memchr(at, '\n', (size_t)(end - at));
        ck_assert_ptr_nonnull(nl);
        item = qos_trace_read(t, at, (size_t)(nl - at), out);
        if (item == QOS_TRACE_ERROR)
            break;
    }
    return item;
}

static struct qos_trace_reader reader(void)
{
    struct qos_trace_reader t = {0};
    struct qos_record r;

    ck_assert_msg(lines_read(&t, head, strlen(head), &r) == QOS_TRACE_HEAD, "line %d: %s",
                  (int)t.line, t.err);
    return t;
}

/* The line that `r` makes is that one; read and written again it is the same. */
static void expect_line(const struct qos_record *r, const char *line)
{
    struct qos_trace_reader t = reader();
    struct qos_record back;
    char buf[QOS_TRACE_LINE + 1];

    size_t n = qos_trace_record(buf, QOS_TRACE_LINE, CLOCK, r);
    ck_assert_uint_gt(n, 0);
    ck_assert_int_eq(buf[n - 1], '\n');
    buf[n - 1] = '\0';
    ck_assert_str_eq(buf, line);
    for (size_t room = 0; room < n; room++)
        ck_assert_uint_eq(qos_trace_record((char[QOS_TRACE_LINE]){0}, room, CLOCK, r), 0);

    enum qos_trace_item item = qos_trace_read(&t, line, strlen(line), &back);
    ck_assert_msg(item == QOS_TRACE_RECORD, "%s: %s", line, t.err);
    ck_assert_int_eq(back.kind, r->kind);
    ck_assert_uint_eq(back.now, r->now);
    n = qos_trace_record(buf, QOS_TRACE_LINE, CLOCK, &back);
    buf[n - 1] = '\0';
    ck_assert_str_eq(buf, line);
}

static qos_op name(unsigned slot, unsigned gen)
{
    return (uint64_t)gen << 32 | slot;
}

START_TEST(a_submission_says_all_that_was_wanted)
{
    struct qos_want w = {.class = TRAFFIC_STREAMING,
                         .urgency = URGENCY_READAHEAD,
                         .verb = SEGMENT_BODY,
                         .stream = 7,
                         .deadline = CLOCK + 1020,
                         .bytes = 716800,
                         .age = 86400000000,
                         .cookie = &w};
    struct qos_record r = {
        .kind = QOS_RECORD_SUBMIT, .now = CLOCK + 20, .submit = {&w, 0, name(3, 9)}};

    expect_line(&r, "20 submit o3.9 streaming readahead body stream=7 bytes=716800 in=1000 "
                    "age=86400000000");
    w = (struct qos_want){.class = TRAFFIC_QUEUE, .verb = SEGMENT_HEAD, .stream = UINT64_MAX};
    expect_line(&r, "20 submit o3.9 queue demand head stream=18446744073709551615");
    w = (struct qos_want){.class = TRAFFIC_HEALTH, .urgency = URGENCY_SCAN, .verb = SEGMENT_STAT};
    r.submit.result = -ENOSPC;
    r.submit.op = 0;
    expect_line(&r, "20 submit full health scan stat stream=0");
}
END_TEST

START_TEST(a_deadline_may_be_now_or_have_passed)
{
    struct qos_want w = {.deadline = CLOCK + 20};
    struct qos_record r = {.kind = QOS_RECORD_SUBMIT, .now = CLOCK + 20, .submit = {&w, 0, 1}};

    expect_line(&r, "20 submit o1.0 queue demand body stream=0 in=0");
    w.deadline = 1;
    expect_line(&r, "20 submit o1.0 queue demand body stream=0 in=-83123456808");
    w.deadline = UINT64_MAX;
    expect_line(&r, "20 submit o1.0 queue demand body stream=0 in=18446743990586094806");
    w.deadline = 0;
    expect_line(&r, "20 submit o1.0 queue demand body stream=0");
    r = (struct qos_record){.kind = QOS_RECORD_PROMOTE,
                            .now = CLOCK,
                            .promote = {name(4, 2), URGENCY_DEMAND, CLOCK + 5}};
    expect_line(&r, "0 promote o4.2 demand in=5");
    r.promote.deadline = 0;
    expect_line(&r, "0 promote o4.2 demand");
}
END_TEST

START_TEST(every_other_fact_has_its_line)
{
    static const char *const gone[] = {"closed",  "stale", "broken", "silent",
                                       "refused", "limit", "login"};
    static const char *const outcome[] = {"ok", "not-here", "spoilt", "declined", "no-room"};
    struct qos_record r = {.kind = QOS_RECORD_CANCEL, .now = CLOCK + 1, .cancel = name(4, 2)};
    char line[100];

    expect_line(&r, "1 cancel o4.2");
    r = (struct qos_record){.kind = QOS_RECORD_READY, .now = CLOCK + 1, .ready = name(5, 6)};
    expect_line(&r, "1 ready c5.6");
    r = (struct qos_record){.kind = QOS_RECORD_BEGUN, .now = CLOCK + 1, .begun = name(4, 2)};
    expect_line(&r, "1 begun o4.2");
    for (unsigned i = 0; i <= QOS_GONE_LOGIN; i++) {
        r = (struct qos_record){.kind = QOS_RECORD_GONE, .now = CLOCK + 1};
        r.gone.conn = name(UINT32_MAX, 1);
        r.gone.why = (enum qos_gone)i;
        r.gone.seen = i % 2;
        r.gone.dice = UINT32_MAX - i;
        snprintf(line, sizeof(line), "1 gone c4294967295.1 %s %s dice=%u", gone[i],
                 i % 2 ? "seen" : "unseen", UINT32_MAX - i);
        expect_line(&r, line);
    }
    for (unsigned i = 0; i <= QOS_NO_ROOM; i++) {
        r = (struct qos_record){.kind = QOS_RECORD_DONE, .now = CLOCK + 1};
        r.done.op = name(1, UINT32_MAX);
        r.done.how = (enum qos_outcome)i;
        r.done.bytes = i;
        snprintf(line, sizeof(line), "1 done o1.4294967295 %s bytes=%u", outcome[i], i);
        expect_line(&r, line);
    }
    r = (struct qos_record){.kind = QOS_RECORD_WARM, .now = CLOCK + 1};
    expect_line(&r, "1 warm queue n=0");
    r.warm.class = TRAFFIC_STREAMING;
    r.warm.n = UINT32_MAX;
    r.warm.until = CLOCK + 60000001;
    expect_line(&r, "1 warm streaming n=4294967295 in=60000000");
    r = (struct qos_record){
        .kind = QOS_RECORD_HEDGE, .now = CLOCK + 1, .hedge = {name(4, 2), 0, name(7, 1)}};
    expect_line(&r, "1 hedge o4.2 o7.1");
    r.hedge.result = -EAGAIN;
    expect_line(&r, "1 hedge o4.2 over");
    r.hedge.result = -ENOSPC;
    expect_line(&r, "1 hedge o4.2 full");
    r = (struct qos_record){.kind = QOS_RECORD_SHUT, .now = CLOCK + 1};
    expect_line(&r, "1 shut");
    r.kind = QOS_RECORD_QUIET;
    expect_line(&r, "1 .");
}
END_TEST

START_TEST(every_order_has_its_line)
{
    static const char *const verdict[] = {"done",    "missing",   "corrupt", "failed",
                                          "timeout", "cancelled", "rejected"};
    struct qos_order o = {.kind = QOS_OPEN, .provider = 31, .conn = name(2, 1)};
    struct qos_record r = {.kind = QOS_RECORD_ORDER, .now = CLOCK + 3000000, .order = &o};
    char line[100];

    expect_line(&r, "3000000 > open c2.1 p31");
    o.kind = QOS_CLOSE;
    expect_line(&r, "3000000 > close c2.1 p31");
    o = (struct qos_order){.kind = QOS_START, .conn = name(2, 1), .op = name(9, 8), .cookie = &o};
    expect_line(&r, "3000000 > start o9.8 c2.1 p0");
    o = (struct qos_order){.kind = QOS_LATE, .op = name(9, 8), .cookie = &o};
    expect_line(&r, "3000000 > late o9.8");
    for (unsigned i = 0; i <= QOS_REJECTED; i++) {
        o = (struct qos_order){.kind = QOS_END, .op = name(9, 8), .verdict = (enum qos_verdict)i};
        snprintf(line, sizeof(line), "3000000 > end o9.8 %s", verdict[i]);
        expect_line(&r, line);
    }
}
END_TEST

/* --- configurations ---------------------------------------------------------------------------- */

/* Every field another value, as large as they come. */
static struct qos_config config_full(void)
{
    struct qos_config c = {.total = UINT32_MAX,
                           .reserve = UINT32_MAX - 1,
                           .rate_bps = UINT64_MAX,
                           .nproviders = QOS_PROVIDERS,
                           .backoff_us = UINT64_MAX - 1,
                           .backoff_max_us = UINT64_MAX - 2,
                           .login_us = UINT64_MAX - 3,
                           .probe_us = UINT64_MAX - 4,
                           .linger_us = UINT64_MAX - 5,
                           .idle_us = UINT64_MAX - 6,
                           .attempts = UINT32_MAX - 2,
                           .cover_us = UINT64_MAX - 7};

    for (unsigned i = 0; i < TRAFFIC_CLASSES; i++)
        c.classes[i] = (struct qos_class_config){UINT32_MAX - 10 * i, UINT32_MAX - 10 * i - 1,
                                                 UINT32_MAX - 10 * i - 2, UINT32_MAX - 10 * i - 3,
                                                 UINT32_MAX - 10 * i - 4};
    for (unsigned i = 0; i < QOS_PROVIDERS; i++)
        c.providers[i] = (struct qos_provider_config){
            UINT32_MAX - 100 * i,     UINT32_MAX - 100 * i - 1, UINT32_MAX - 100 * i - 2,
            UINT32_MAX - 100 * i - 3, UINT64_MAX - 100 * i - 4, UINT64_MAX - 100 * i - 5};
    return c;
}

static void expect_config(const struct qos_config *a, const struct qos_config *b)
{
    for (unsigned i = 0; i < TRAFFIC_CLASSES; i++)
        ck_assert_mem_eq(&a->classes[i], &b->classes[i], sizeof(a->classes[i]));
    ck_assert_uint_eq(a->nproviders, b->nproviders);
    for (unsigned i = 0; i < a->nproviders; i++)
        ck_assert_mem_eq(&a->providers[i], &b->providers[i], sizeof(a->providers[i]));
    ck_assert_uint_eq(a->total, b->total);
    ck_assert_uint_eq(a->reserve, b->reserve);
    ck_assert_uint_eq(a->rate_bps, b->rate_bps);
    ck_assert_uint_eq(a->backoff_us, b->backoff_us);
    ck_assert_uint_eq(a->backoff_max_us, b->backoff_max_us);
    ck_assert_uint_eq(a->login_us, b->login_us);
    ck_assert_uint_eq(a->probe_us, b->probe_us);
    ck_assert_uint_eq(a->linger_us, b->linger_us);
    ck_assert_uint_eq(a->idle_us, b->idle_us);
    ck_assert_uint_eq(a->attempts, b->attempts);
    ck_assert_uint_eq(a->cover_us, b->cover_us);
}

START_TEST(every_setting_comes_back_from_the_head)
{
    struct qos_config c = config_full();
    struct qos_limits limits = {1, 2000000, 3};
    struct qos_trace_reader t = {0};
    struct qos_record r;
    char buf[QOS_TRACE_LINE];

    size_t n = qos_trace_head(buf, &limits, &c, CLOCK);
    ck_assert_uint_le(n, sizeof(buf));
    ck_assert_msg(lines_read(&t, buf, n, &r) == QOS_TRACE_HEAD, "%s", t.err);
    expect_config(&t.cfg, &c);
    ck_assert_mem_eq(&t.limits, &limits, sizeof(limits));
    ck_assert_uint_eq(t.clock, CLOCK);
}
END_TEST

START_TEST(every_setting_comes_back_from_a_resize_and_the_longest_line_fits)
{
    struct qos_config c = config_full();
    struct qos_trace_reader t = reader();
    struct qos_record r = {.kind = QOS_RECORD_RESIZE, .now = UINT64_MAX, .resize = {&c, -EINVAL}};
    struct qos_record back;
    char buf[QOS_TRACE_LINE];

    ck_assert_uint_gt(qos_trace_record(buf, sizeof(buf), 0, &r), 0);
    r.now = CLOCK + 5;
    for (unsigned i = 0; i < 2; i++) {
        size_t n = qos_trace_record(buf, sizeof(buf), CLOCK, &r);
        ck_assert_msg(lines_read(&t, buf, n, &back) == QOS_TRACE_RECORD, "%s", t.err);
        expect_config(back.resize.cfg, &c);
        ck_assert_int_eq(back.resize.result, r.resize.result);
        r.resize.result = 0;
    }
}
END_TEST

/* A field that the scheduler gets and the trace does not is an order that nobody can replay. */
START_TEST(no_field_has_been_added_that_a_trace_lacks)
{
    ck_assert_uint_eq(sizeof(struct qos_limits), 12);
    ck_assert_uint_eq(sizeof(struct qos_class_config), 20);
    ck_assert_uint_eq(sizeof(struct qos_provider_config), 32);
    ck_assert_uint_eq(sizeof(struct qos_config), 16 + 3 * 20 + 4 + QOS_PROVIDERS * 32 + 8 + 8 * 8);
    ck_assert_uint_eq(sizeof(struct qos_want), 16 + 4 * 8 + 8);
    ck_assert_uint_eq(sizeof(struct qos_order), 40);
    ck_assert_uint_eq(sizeof(struct qos_record), 40);
}
END_TEST

/* --- what is no trace -------------------------------------------------------------------------- */

struct mistake {
    const char *line, *err;
};

static const struct mistake mistakes[] = {
    {"", "it ends where a number is expected"},
    {"5", "it ends where a fact or an order is expected"},
    {"5 ", "column 2: ' ' where a fact or an order is expected"},
    {"05 .", "column 1: '05 .' where a number is expected"},
    {"+5 .", "column 1: '+5 .' where a number is expected"},
    {"99999999999999999999 .",
     "column 1: '99999999999999999999 .' where a number within its limits "
     "is expected"},
    {"5 . ", "column 4: ' ' where the end of the line is expected"},
    {"5 shutter", "column 7: 'ter' where the end of the line is expected"},
    {"5 \tshut", "column 3: byte \\x09 in a text"},
    {"5 cancel c1.1", "column 9: ' c1.1' where ' o' is expected"},
    {"5 cancel o1", "it ends where '.' is expected"},
    {"5 cancel o4294967296.1", "column 11: '4294967296.1' where a number within its limits is "
                               "expected"},
    {"5 submit o1.1 stream", "column 15: 'stream' where a class is expected"},
    {"5 submit o1.1 queue demanding body stream=1",
     "column 21: 'demanding body stream=1' where an urgency is expected"},
    {"5 submit o1.1 queue demand body stream=1 bytes=0",
     "column 48: '0' where a number within its limits is expected"},
    {"5 submit o1.1 queue demand body stream=1 in=-83123456794",
     "column 46: '83123456794' where a number within its limits is expected"},
    {"5 submit o1.1 queue demand body stream=1 age=1 bytes=1",
     "column 47: ' bytes=1' where the end of the line is expected"},
    {"5 gone c1.1 broken maybe dice=1", "column 19: ' maybe dice=1' where ' unseen' is expected"},
    {"5 gone c1.1 broken seen dice=4294967296",
     "column 30: '4294967296' where a number within its limits is expected"},
    {"5 done o1.1 fine bytes=1", "column 13: 'fine bytes=1' where an outcome is expected"},
    {"5 > open c1.1 p32", "column 16: '32' where a number within its limits is expected"},
    {"5 > end o1.1", "it ends where ' ' is expected"},
    {"5 resize perhaps", "column 9: ' perhaps' where ' ok' is expected"},
    {"5 resize ok total=4294967296",
     "column 19: '4294967296' where a number within its limits is expected"},
    {"wholesome", "column 6: 'some' where the end of the line is expected"},
};

START_TEST(what_the_writer_does_not_write_is_refused)
{
    struct qos_trace_reader t = reader();
    const struct mistake *m = &mistakes[_i];
    struct qos_record r;

    ck_assert_int_eq(qos_trace_read(&t, m->line, strlen(m->line), &r), QOS_TRACE_ERROR);
    ck_assert_str_eq(t.err, m->err);
    ck_assert_uint_eq(t.line, 5);
    ck_assert_int_eq(qos_trace_read(&t, "5 .", 3, &r), QOS_TRACE_ERROR);
    ck_assert_uint_eq(t.line, 5);
}
END_TEST

START_TEST(time_does_not_go_back)
{
    struct qos_trace_reader t = reader();
    struct qos_record r;

    ck_assert_int_eq(qos_trace_read(&t, "5 .", 3, &r), QOS_TRACE_RECORD);
    ck_assert_int_eq(qos_trace_read(&t, "5 .", 3, &r), QOS_TRACE_RECORD);
    ck_assert_int_eq(qos_trace_read(&t, "4 .", 3, &r), QOS_TRACE_ERROR);
    ck_assert_str_eq(t.err, "column 1: '4 .' where a time not before the last is expected");
}
END_TEST

START_TEST(another_version_or_no_trace_at_all_is_told_at_once)
{
    struct qos_trace_reader t = {0};
    struct qos_record r;
    char much[QOS_TRACE_LINE];

    ck_assert_int_eq(qos_trace_read(&t, "nzbfs-trace 2", 13, &r), QOS_TRACE_ERROR);
    ck_assert_str_eq(t.err, "column 1: 'nzbfs-trace 2' where 'nzbfs-trace 1' is expected");
    t = (struct qos_trace_reader){0};
    ck_assert_int_eq(qos_trace_read(&t, "# nzbfs-trace 1", 15, &r), QOS_TRACE_ERROR);
    t = (struct qos_trace_reader){0};
    ck_assert_int_eq(qos_trace_read(&t, "\177ELF", 4, &r), QOS_TRACE_ERROR);
    ck_assert_str_eq(t.err, "column 1: byte \\x7f in a text");
    memset(much, '#', sizeof(much));
    t = reader();
    ck_assert_int_eq(qos_trace_read(&t, much, sizeof(much), &r), QOS_TRACE_ERROR);
    ck_assert_str_eq(t.err, "longer than any line of a trace");
}
END_TEST

START_TEST(the_last_line_says_whether_all_is_there)
{
    struct qos_trace_reader t = reader();
    struct qos_record r;
    char buf[QOS_TRACE_LINE];

    size_t n = qos_trace_tail(buf, NULL);
    ck_assert_int_eq(lines_read(&t, buf, n, &r), QOS_TRACE_WHOLE);
    ck_assert_int_eq(qos_trace_read(&t, "5 .", 3, &r), QOS_TRACE_ERROR);
    t = reader();
    n = qos_trace_tail(buf, "no room\non device");
    ck_assert_int_eq(lines_read(&t, buf, n, &r), QOS_TRACE_LOST);
    ck_assert_str_eq(t.err, "no room?on device");
}
END_TEST

START_TEST(a_person_may_write_remarks_into_it)
{
    struct qos_trace_reader t = reader();
    struct qos_record r;

    ck_assert_int_eq(qos_trace_read(&t, "# here it goes wrong", 20, &r), QOS_TRACE_NOTHING);
    ck_assert_int_eq(qos_trace_read(&t, "5 .", 3, &r), QOS_TRACE_RECORD);
    ck_assert_uint_eq(t.line, 6);
}
END_TEST

/* --- replay ------------------------------------------------------------------------------------ */

/* The number of the first line whose order or answer differs, or 0. */
static uint64_t replay(const char *text, size_t len, struct qos_stats *stats)
{
    struct qos_trace_reader t = {0};
    struct qos *q = NULL;
    uint64_t differs = 0;

    for (const char *at = text, *nl; at < text + len && !differs; at = nl + 1) {
        struct qos_record r, got;
        struct qos_order o;
        nl = memchr(at, '\n', (size_t)(text + len - at));
        ck_assert_ptr_nonnull(nl);
        enum qos_trace_item item = qos_trace_read(&t, at, (size_t)(nl - at), &r);
        ck_assert_msg(item != QOS_TRACE_ERROR, "line %d: %s", (int)t.line, t.err);
        if (item == QOS_TRACE_HEAD)
            ck_assert_ptr_nonnull(q = qos_new(&t.cfg, &t.limits));
        if (item != QOS_TRACE_RECORD)
            continue;
        char again[QOS_TRACE_LINE];
        size_t n = qos_trace_record(again, sizeof(again), t.clock, &r);
        ck_assert_uint_eq(n, (size_t)(nl - at) + 1);
        ck_assert_mem_eq(again, at, n);
        if (!qos_trace_feed(q, &r, &got, &o))
            differs = t.line;
        const char *wrong = differs ? NULL : qos_check(q);
        ck_assert_msg(!wrong, "line %d: %s", (int)t.line, wrong);
    }
    ck_assert_ptr_nonnull(q);
    qos_stats(q, stats);
    qos_free(q);
    return differs;
}

START_TEST(a_random_life_replays_order_for_order)
{
    struct trace_run run;
    struct qos_stats stats;

    trace_run((uint64_t)_i, 3000, &run);
    ck_assert_uint_eq(replay(run.text, run.len, &stats), 0);
    for (unsigned c = 0; c < TRAFFIC_CLASSES; c++) {
        ck_assert_uint_eq(stats.classes[c].done, run.stats.classes[c].done);
        ck_assert_uint_eq(stats.classes[c].cancelled, run.stats.classes[c].cancelled);
        ck_assert_uint_eq(stats.classes[c].granted_burst, run.stats.classes[c].granted_burst);
        ck_assert_mem_eq(stats.classes[c].wait, run.stats.classes[c].wait,
                         sizeof(stats.classes[c].wait));
    }
    for (unsigned p = 0; p < run.stats.nproviders; p++)
        ck_assert_uint_eq(stats.providers[p].bytes, run.stats.providers[p].bytes);
    free(run.text);
}
END_TEST

START_TEST(random_lives_hold_every_kind_of_record_and_order)
{
    uint64_t kinds[QOS_RECORD_QUIET + 1] = {0}, orders[QOS_END + 1] = {0};

    for (uint64_t seed = 0; seed < 10; seed++) {
        struct trace_run run;
        trace_run(seed, 1000, &run);
        for (unsigned k = 0; k <= QOS_RECORD_QUIET; k++)
            kinds[k] += run.kinds[k];
        for (unsigned k = 0; k <= QOS_END; k++)
            orders[k] += run.orders[k];
        ck_assert_ptr_null(memmem(run.text, run.len, "0x", 2)); /* no address */
        free(run.text);
    }
    for (unsigned k = 0; k <= QOS_RECORD_QUIET; k++)
        ck_assert_msg(kinds[k] > 0, "no record of kind %u", k);
    for (unsigned k = 0; k <= QOS_END; k++)
        ck_assert_msg(orders[k] > 0, "no order of kind %u", k);
}
END_TEST

START_TEST(the_first_order_that_was_changed_is_found)
{
    static const char *const from[] = {"> open c", "> start o", "> end o"};
    struct trace_run run;
    struct qos_stats stats;

    trace_run(100 + (uint64_t)_i, 3000, &run);
    char *at = run.text;
    uint64_t line = 1;
    for (unsigned nth = 0; nth < 10; nth++) {
        at = memmem(at + 1, run.len - (size_t)(at + 1 - run.text), from[_i], strlen(from[_i]));
        ck_assert_ptr_nonnull(at);
    }
    for (const char *c = run.text; c < at; c++)
        line += *c == '\n';
    char *digit = at + strlen(from[_i]);
    *digit = *digit == '1' ? '2' : '1';
    ck_assert_uint_eq(replay(run.text, run.len, &stats), line);
    free(run.text);
}
END_TEST

START_TEST(an_order_left_out_or_too_many_is_found)
{
    static const char too_many[] = "0 .\n0 > end o1.1 done\n";
    static const char left_out[] = "0 submit o1.1 queue demand body stream=0\n0 .\n";
    static const char other_answer[] = "0 submit o1.7 queue demand body stream=0\n";
    static const char other_verdict[] = "0 resize refused total=0 reserve=0 rate=0 backoff=0 "
                                        "backoff_max=0 login=0 probe=0 linger=0 idle=0 attempts=0 "
                                        "cover=0 queue=1/2/0/0 health=1/2/0/0 streaming=0/2/0/0 "
                                        "p0=2/0/0/0/0/0\n";
    const char *const rest[] = {too_many, left_out, other_answer, other_verdict};
    static const uint64_t line[] = {6, 6, 5, 5};
    char text[2048];
    struct qos_stats stats;

    for (unsigned i = 0; i < 4; i++) {
        snprintf(text, sizeof(text), "%s%s", head, rest[i]);
        ck_assert_uint_eq(replay(text, strlen(text), &stats), line[i]);
    }
}
END_TEST

/* test_qos_trace SEED FACTS: such a life's trace, for whoever wants one. */
static int by_hand(char **argv)
{
    struct trace_run run;
    char tail[QOS_TRACE_LINE];

    trace_run(strtoull(argv[1], NULL, 10), (unsigned)strtoul(argv[2], NULL, 10), &run);
    fwrite(run.text, 1, run.len, stdout);
    fwrite(tail, 1, qos_trace_tail(tail, NULL), stdout);
    free(run.text);
    return ferror(stdout) ? 1 : 0;
}

static Suite *suite(void)
{
    Suite *s = suite_create("qos/trace");
    TCase *t = tcase_create("form");

    tcase_add_test(t, a_submission_says_all_that_was_wanted);
    tcase_add_test(t, a_deadline_may_be_now_or_have_passed);
    tcase_add_test(t, every_other_fact_has_its_line);
    tcase_add_test(t, every_order_has_its_line);
    tcase_add_test(t, every_setting_comes_back_from_the_head);
    tcase_add_test(t, every_setting_comes_back_from_a_resize_and_the_longest_line_fits);
    tcase_add_test(t, no_field_has_been_added_that_a_trace_lacks);
    tcase_add_loop_test(t, what_the_writer_does_not_write_is_refused, 0,
                        (int)(sizeof(mistakes) / sizeof(mistakes[0])));
    tcase_add_test(t, time_does_not_go_back);
    tcase_add_test(t, another_version_or_no_trace_at_all_is_told_at_once);
    tcase_add_test(t, the_last_line_says_whether_all_is_there);
    tcase_add_test(t, a_person_may_write_remarks_into_it);
    suite_add_tcase(s, t);
    t = tcase_create("replay");
    tcase_add_loop_test(t, a_random_life_replays_order_for_order, 0, 20);
    tcase_add_test(t, random_lives_hold_every_kind_of_record_and_order);
    tcase_add_loop_test(t, the_first_order_that_was_changed_is_found, 0, 3);
    tcase_add_test(t, an_order_left_out_or_too_many_is_found);
    suite_add_tcase(s, t);
    return s;
}

int main(int argc, char **argv)
{
    if (argc == 3)
        return by_hand(argv);
    SRunner *r = srunner_create(suite());
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
