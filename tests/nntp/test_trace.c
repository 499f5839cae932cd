/* The pool's trace on its way to the disk: all of it arrives, and when it cannot, nothing else suffers. */
#include "base/clock.h"
#include "nntp/trace.h"
#include "qos/trace.h"
#include "tests/nntp/rig.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define PARTS 40

static char folder[64], path[96];
static char err[256];

static void folder_make(void)
{
    snprintf(folder, sizeof(folder), "/tmp/nzbfs-trace.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/x.trace", folder);
}

static void folder_remove(void)
{
    ck_assert(unlink(path) == 0 || errno == ENOENT);
    ck_assert_int_eq(rmdir(folder), 0);
}

/* --- what is in the file ------------------------------------------------------------------------------ */

struct found {
    enum qos_trace_item last; /* of the last line */
    char lost[256];
    uint64_t records, ends;
    struct qos_stats stats; /* of the scheduler that was fed with it */
};

/* Every line is whole and every order comes again. */
static struct found replayed(void)
{
    static struct qos_trace_reader t;
    struct found f = {0};
    struct qos *q = NULL;
    char *line = NULL;
    size_t room = 0;
    ssize_t n;

    t = (struct qos_trace_reader){0};
    FILE *file = fopen(path, "re");
    ck_assert_ptr_nonnull(file);
    while ((n = getline(&line, &room, file)) > 0) {
        struct qos_record r, got;
        struct qos_order o;
        ck_assert_int_eq(line[n - 1], '\n');
        f.last = qos_trace_read(&t, line, (size_t)n - 1, &r);
        ck_assert_msg(f.last != QOS_TRACE_ERROR, "line %d: %s", (int)t.line, t.err);
        if (f.last == QOS_TRACE_HEAD)
            ck_assert_ptr_nonnull(q = qos_new(&t.cfg, &t.limits));
        if (f.last != QOS_TRACE_RECORD)
            continue;
        ck_assert_msg(qos_trace_feed(q, &r, &got, &o), "line %d differs", (int)t.line);
        f.records++;
        f.ends += r.kind == QOS_RECORD_ORDER && r.order->kind == QOS_END;
    }
    if (f.last == QOS_TRACE_LOST)
        memcpy(f.lost, t.err, sizeof(f.lost));
    if (q)
        qos_stats(q, &f.stats);
    qos_free(q);
    free(line);
    fclose(file);
    return f;
}

/* --- of a pool ---------------------------------------------------------------------------------------- */

START_TEST(what_a_pool_did_comes_again)
{
    static struct fetch t[PARTS];
    struct nntp_pool_stats s;
    static const enum newsd_fault faults[] = {NEWSD_430, NEWSD_BAD_CRC, NEWSD_CLOSE_MID, NEWSD_403};
    struct rig r;

    folder_make();
    rig_init(&r, PARTS);
    rig_server(&r, &(struct newsd_config){0});
    rig_server(&r, &(struct newsd_config){0});
    for (uint32_t i = 0; i < PARTS; i += 3)
        newsd_fault(r.servers[0], spool_message_id(r.spool, r.file, i + 1), faults[i / 3 % 4], 1);
    r.trace = path;
    rig_start(&r);
    for (uint32_t i = 0; i < PARTS; i++) {
        fetch_init(&t[i], &r, i + 1);
        fetch_start(&t[i], &r);
        if (i == PARTS / 2) { /* other shares, in the middle of it */
            r.cfg.classes[TRAFFIC_STREAMING].burst = 3;
            ck_assert_int_eq(nntp_pool_resize(r.pool, &r.cfg, r.err, sizeof(r.err)), 0);
        }
        if (i % 7 == 3)
            r.source->ops->promote(r.source, &t[i].f, URGENCY_DEMAND, 0);
    }
    for (uint32_t i = 0; i < PARTS; i++) {
        ck_assert_int_eq(fetch_wait(&t[i]), SEGMENT_DONE);
        fetch_fini(&t[i]);
    }
    nntp_pool_stats(r.pool, &s);
    rig_fini(&r);

    struct found f = replayed();
    ck_assert_int_eq(f.last, QOS_TRACE_WHOLE);
    ck_assert_uint_eq(f.ends, PARTS);
    ck_assert_uint_eq(f.stats.classes[TRAFFIC_STREAMING].done, PARTS);
    for (unsigned p = 0; p < 2; p++) {
        ck_assert_uint_eq(f.stats.providers[p].bytes, s.qos.providers[p].bytes);
        ck_assert_uint_eq(f.stats.providers[p].not_here, s.qos.providers[p].not_here);
    }
    folder_remove();
}
END_TEST

START_TEST(a_pool_that_did_nothing_has_a_whole_trace)
{
    struct rig r;

    folder_make();
    rig_init(&r, 1);
    rig_server(&r, &(struct newsd_config){0});
    r.trace = path;
    rig_start(&r);
    rig_fini(&r);
    struct found f = replayed();
    ck_assert_int_eq(f.last, QOS_TRACE_WHOLE);
    ck_assert_uint_ge(f.records, 1); /* that it was shut */
    folder_remove();
}
END_TEST

START_TEST(without_a_place_for_its_trace_no_pool_starts)
{
    struct nntp_pool *pool = NULL;
    struct rig r;
    char words[256];

    folder_make();
    rig_init(&r, 1);
    rig_server(&r, &(struct newsd_config){0});
    rig_start(&r); /* its configuration is filled in */
    ck_assert_int_eq(nntp_pool_start(&r.cfg, folder, &pool, err, sizeof(err)), -EEXIST);
    snprintf(words, sizeof(words),
             "trace %s: something else is there, which is not replaced; name another file", folder);
    ck_assert_str_eq(err, words);
    char film[300], had[8] = "";
    snprintf(film, sizeof(film), "%s/film.nzb", folder);
    FILE *f = fopen(film, "w");
    ck_assert(f && fputs("<?xml", f) >= 0 && fclose(f) == 0);
    ck_assert_int_eq(nntp_pool_start(&r.cfg, film, &pool, err, sizeof(err)), -EEXIST);
    f = fopen(film, "r");
    ck_assert(f && fgets(had, sizeof(had), f));
    ck_assert_str_eq(had, "<?xml");
    fclose(f);
    ck_assert_int_eq(unlink(film), 0);
    ck_assert_int_eq(nntp_pool_start(&r.cfg, "/nowhere/at/all", &pool, err, sizeof(err)), -ENOENT);
    ck_assert_str_eq(err, "trace /nowhere/at/all: No such file or directory");
    rig_fini(&r);
    folder_remove();
}
END_TEST

/* --- of a scheduler alone ----------------------------------------------------------------------------- */

static struct nntp_trace *trace;
static struct qos *sched;

static void attach(size_t buffer)
{
    struct qos_config cfg = {.nproviders = 1, .providers = {{.connections = 2}}};
    struct qos_limits limits = {.ops = 8, .conns = 8, .streams = 8};

    for (unsigned i = 0; i < TRAFFIC_CLASSES; i++)
        cfg.classes[i].burst = 2;
    ck_assert_msg(nntp_trace_open(path, buffer, &trace, err, sizeof(err)) == 0, "%s", err);
    ck_assert_ptr_nonnull(sched = qos_new(&cfg, &limits));
    nntp_trace_attach(trace, sched, &limits, &cfg, 1000);
}

static void detach(void)
{
    nntp_trace_close(trace);
    qos_free(sched);
}

/* Facts that lead to nothing, as fast as they come: nothing is asserted between them, since libcheck writes
 * a file of its own each time. */
static void babble(unsigned n)
{
    struct qos_order o;
    unsigned orders = 0;

    for (unsigned i = 0; i < n; i++) {
        qos_cancel(sched, 1000 + i, i);
        orders += qos_next(sched, 1000 + i, &o);
    }
    ck_assert_uint_eq(orders, 0);
}

START_TEST(all_of_it_arrives_however_small_the_pieces)
{
    folder_make();
    attach(NNTP_TRACE_BUFFER);
    babble(20000);
    detach();
    struct found f = replayed();
    ck_assert_int_eq(f.last, QOS_TRACE_WHOLE);
    ck_assert_uint_eq(f.records, 40000);
    folder_remove();
}
END_TEST

START_TEST(a_disk_that_does_not_keep_up_ends_the_trace)
{
    folder_make();
    attach(QOS_TRACE_LINE);
    babble(1000000); /* of 4 KiB each the writer would have to take some 8,000 in time */
    detach();
    struct found f = replayed();
    ck_assert_int_eq(f.last, QOS_TRACE_LOST);
    ck_assert_str_eq(f.lost, "the disk did not keep up");
    ck_assert_uint_lt(f.records, 2000000);
    folder_remove();
}
END_TEST

/* Loop: where the limit cuts a line. */
START_TEST(a_full_disk_ends_the_trace_in_a_whole_line)
{
    struct rlimit before, limit;
    struct stat st;

    folder_make();
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = (struct rlimit){20000 + (rlim_t)_i, before.rlim_max};
    attach(NNTP_TRACE_BUFFER);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    babble(5000);
    detach();
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_le(st.st_size, 20000 + _i);
    ck_assert_int_ge(st.st_size, 19000); /* no more than need be was taken back */
    struct found f = replayed();
    ck_assert_int_eq(f.last, QOS_TRACE_LOST);
    ck_assert_str_eq(f.lost, "File too large");
    ck_assert_uint_gt(f.records, 500);
    folder_remove();
}
END_TEST

START_TEST(a_file_that_was_there_is_made_anew_for_its_owner_alone)
{
    struct stat st, old;

    folder_make();
    FILE *f = fopen(path, "we");
    ck_assert_ptr_nonnull(f);
    fputs("what others may read\n", f);
    ck_assert_int_eq(fchmod(fileno(f), 0666), 0);
    ck_assert_int_eq(fstat(fileno(f), &old), 0);
    attach(NNTP_TRACE_BUFFER);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_mode & 07777, 0600);
    ck_assert_uint_ne(st.st_ino, old.st_ino);
    detach();
    fclose(f);
    ck_assert_int_eq(replayed().last, QOS_TRACE_WHOLE);
    folder_remove();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("nntp/trace");
    TCase *t = tcase_create("trace");

    tcase_add_test(t, what_a_pool_did_comes_again);
    tcase_add_test(t, a_pool_that_did_nothing_has_a_whole_trace);
    tcase_add_test(t, without_a_place_for_its_trace_no_pool_starts);
    tcase_add_test(t, all_of_it_arrives_however_small_the_pieces);
    tcase_add_test(t, a_disk_that_does_not_keep_up_ends_the_trace);
    tcase_add_loop_test(t, a_full_disk_ends_the_trace_in_a_whole_line, 0, 20);
    tcase_add_test(t, a_file_that_was_there_is_made_anew_for_its_owner_alone);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
