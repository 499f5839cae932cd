/* Reads: who ends them, and that it is one alone. */
#include "tests/fs/reading.h"

#include "fs/internal.h"
#include "tests/lib/scripted_article.h"

#include <errno.h>
#include <pthread.h>

/* --- who ends it ------------------------------------------------------------------------------- */

START_TEST(a_read_ends_at_its_deadline)
{
    struct fs_read *r = reading(0, 100);
    ck_assert(!fs_read_start(r));
    fs_expire(rig_fs(rig), fake_now_us + 59999999);
    ck_assert_uint_eq(ends, 0);
    fs_expire(rig_fs(rig), fake_now_us + 60000000);
    ck_assert_uint_eq(ends, 1);
    expect_error(r, ETIMEDOUT);
    rig_serve_all(rig);
    ck_assert_uint_eq(ends, 1);
}
END_TEST

START_TEST(whoever_asks_again_for_what_has_just_timed_out_waits_less)
{
    fs_read_end(read_over(reading(0, 0)));
    struct fs_read *a = reading(20000, 30000), *b;
    ck_assert(!fs_read_start(a));
    fs_expire(rig_fs(rig), fake_now_us += 60000000);
    expect_error(a, ETIMEDOUT);

    /* Not a byte of it, so not meant. */
    a = reading(60000, 100);
    ck_assert(!fs_read_start(a));
    /* The page that the kernel asks for once more. */
    b = reading(24000, 4096);
    ck_assert(!fs_read_start(b));
    fs_expire(rig_fs(rig), fake_now_us += 200000);
    ck_assert_uint_eq(ends, 1);
    expect_error(b, ETIMEDOUT);

    /* Whoever comes a moment later has the full time again. */
    fake_now_us += 1000000;
    b = reading(24000, 4096);
    ck_assert(!fs_read_start(b));
    fs_expire(rig_fs(rig), fake_now_us += 200000);
    ck_assert_uint_eq(ends, 0);
    rig_serve_all(rig);
    expect_bytes(a, 60000, 100);
    expect_bytes(b, 24000, 4096);
}
END_TEST

/* A silent server costs three stalls before its article has FAILED; the kernel then asked for the page again, and
 * that waited a whole timeout more: a `cat` with read_timeout = 5 ended after 8.4 s. */
START_TEST(whoever_asks_again_for_what_has_just_failed_waits_for_the_rest_of_the_time)
{
    fs_read_end(read_over(reading(0, 0)));
    rig_rule(rig, SEED, 3, RIG_FAILED);
    struct fs_read *a = reading(20000, 10000), *b;
    ck_assert(!fs_read_start(a));
    fake_now_us += 45000000;
    rig_serve_all(rig);
    ck_assert_uint_eq(ends, 1);
    expect_error(a, EIO);

    rig_rule(rig, SEED, 3, RIG_HONEST);
    b = reading(24000, 4096);
    ck_assert(!fs_read_start(b));
    fs_expire(rig_fs(rig), fake_now_us += 14999999);
    ck_assert_uint_eq(ends, 0);
    fs_expire(rig_fs(rig), fake_now_us += 1);
    ck_assert_uint_eq(ends, 1);
    expect_error(b, ETIMEDOUT);

    /* And a third time, at once: a moment. */
    b = reading(24000, 4096);
    ck_assert(!fs_read_start(b));
    fs_expire(rig_fs(rig), fake_now_us += 100000);
    ck_assert_uint_eq(ends, 1);
    expect_error(b, ETIMEDOUT);

    /* What lies elsewhere is not meant. */
    b = reading(60000, 100);
    ck_assert(!fs_read_start(b));
    fs_expire(rig_fs(rig), fake_now_us += 100000);
    ck_assert_uint_eq(ends, 0);
    rig_serve_all(rig);
    expect_bytes(b, 60000, 100);
}
END_TEST

START_TEST(an_expired_read_lets_go_of_what_it_waited_for)
{
    struct fs_read *r = reading(0, 100);
    ck_assert(!fs_read_start(r));
    fs_expire(rig_fs(rig), UINT64_MAX);
    expect_error(r, ETIMEDOUT);
    struct segment_fetch *f = scripted_source_nth(rig_source(rig), 0);
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(scripted_source_look(rig_source(rig), f).cancels, 1);
}
END_TEST

START_TEST(an_answer_before_the_deadline_is_the_only_one)
{
    struct fs_read *r = read_over(reading(0, 100));
    fs_expire(rig_fs(rig), UINT64_MAX);
    ck_assert_uint_eq(ends, 1);
    expect_bytes(r, 0, 100);
}
END_TEST

START_TEST(one_waiting_read_ends_and_the_other_goes_on)
{
    struct fs_read *a = reading(0, 100), *b = reading(0, 100);
    b->deadline_us += 5;
    ck_assert(!fs_read_start(b));
    ck_assert(!fs_read_start(a));
    fs_expire(rig_fs(rig), a->deadline_us);
    ck_assert_uint_eq(ends, 1);
    expect_error(a, ETIMEDOUT);
    rig_serve_all(rig);
    ck_assert_uint_eq(ends, 2);
    expect_bytes(b, 0, 100);
    ck_assert_uint_eq(rig_asked(rig), 1);
}
END_TEST

struct gate {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    unsigned ends;
};

static void on_done_gate(struct fs_read *r)
{
    struct gate *g = r->arg;
    pthread_mutex_lock(&g->lock);
    g->ends++;
    pthread_cond_signal(&g->cond);
    pthread_mutex_unlock(&g->lock);
}

static void gate_wait(struct gate *g)
{
    pthread_mutex_lock(&g->lock);
    while (!g->ends)
        pthread_cond_wait(&g->cond, &g->lock);
    pthread_mutex_unlock(&g->lock);
}

START_TEST(a_cancelled_read_ends_with_eintr)
{
    struct gate g = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};
    struct fs_read *r = reading(0, 100);
    r->done = on_done_gate;
    r->arg = &g;
    ck_assert(!fs_read_start(r));
    fs_read_cancel(r);
    gate_wait(&g);
    fs_read_cancel(r); /* harmless */
    expect_error(r, EINTR);
    rig_serve_all(rig);
    ck_assert_uint_eq(g.ends, 1);
}
END_TEST

START_TEST(a_read_cancelled_before_it_starts_ends_as_soon_as_it_waits)
{
    struct gate g = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};
    struct fs_read *r = reading(0, 100);
    r->done = on_done_gate;
    r->arg = &g;
    fs_read_cancel(r);
    ck_assert(!fs_read_start(r));
    gate_wait(&g);
    expect_error(r, EINTR);
}
END_TEST

/* Many threads read while others cancel and expire: every read ends once, with right bytes or an errno. */

struct storm {
    unsigned seed;
    unsigned good, bad;
};

static unsigned dice(unsigned *seed)
{
    *seed = *seed * 1103515245u + 12345u;
    return *seed >> 8;
}

static void storm_read(struct storm *s)
{
    struct gate g = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};
    struct fs_handle *h = fs_handle_open(rig_fs(rig), film);
    struct fs_read *r = fs_read_new(rig_fs(rig), film);
    uint64_t off = dice(&s->seed) % 95000;
    r->handle = h;
    r->off = off;
    r->len = dice(&s->seed) % 40000 + 1;
    r->done = on_done_gate;
    r->arg = &g;
    bool at_once = fs_read_start(r);
    if (dice(&s->seed) % 2)
        fs_read_cancel(r);
    if (dice(&s->seed) % 8 == 0)
        fs_expire(rig_fs(rig), UINT64_MAX);
    if (!at_once)
        gate_wait(&g);
    fs_handle_close(h); /* as the kernel does as soon as it has its answer */
    for (unsigned k = 0; k < r->niov && !r->err; off += r->iov[k].iov_len, k++)
        s->bad += !scripted_bytes_match(SEED, off, r->iov[k].iov_base, r->iov[k].iov_len);
    s->bad += r->err && r->err != EINTR && r->err != ETIMEDOUT;
    s->bad += g.ends != !at_once;
    s->good += !r->err;
    fs_read_end(r);
}

static void *storm_main(void *arg)
{
    for (unsigned k = 0; k < 400; k++)
        storm_read(arg);
    return NULL;
}

START_TEST(a_storm_of_readers_is_answered_once_each)
{
    struct storm s[4] = {{.seed = 1}, {.seed = 2}, {.seed = 3}, {.seed = 4}};
    pthread_t t[4];
    teardown();
    fake_now_us = 1000000;
    rig = rig_new(&(struct rig_config){.files = &uniform,
                                       .nfiles = 1,
                                       .budget = 5 * CACHE_CHUNK,
                                       .served = true,
                                       .now_us = fake_now});
    film = rig_node(rig, "film.mkv");
    for (unsigned k = 0; k < 4; k++)
        ck_assert_int_eq(pthread_create(&t[k], NULL, storm_main, &s[k]), 0);
    for (unsigned k = 0; k < 4; k++) {
        pthread_join(t[k], NULL);
        ck_assert_uint_eq(s[k].bad, 0);
    }
    ck_assert_uint_gt(s[0].good + s[1].good + s[2].good + s[3].good, 0);
}
END_TEST

START_TEST(at_the_end_nobody_begins_to_wait)
{
    struct gate g = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};
    struct fs_read *a = reading(0, 100), *b = reading(0, 100);
    a->done = b->done = on_done_gate;
    a->arg = b->arg = &g;
    ck_assert(!fs_read_start(a));
    fs_watch_cancel_all(&rig_fs(rig)->watch);
    gate_wait(&g);
    expect_error(a, EINTR);
    g.ends = 0;
    ck_assert(!fs_read_start(b)); /* it was on its way when all others were ended */
    gate_wait(&g);
    expect_error(b, EINTR);
}
END_TEST

START_TEST(freeing_ends_what_is_blocked)
{
    struct gate g = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};
    struct fs_read *r = reading(0, 100);
    r->done = on_done_gate;
    r->arg = &g;
    ck_assert(!fs_read_start(r));
    fs_stop(rig_fs(rig)); /* without a mount: nothing to stop, no harm */
    fs_read_cancel(r);
    gate_wait(&g);
    struct fs_stats st;
    fs_stats(rig_fs(rig), &st);
    ck_assert_uint_eq(st.blocked, 0);
    ck_assert_uint_eq(st.interrupts, 1);
    expect_error(r, EINTR);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("ends");
    tcase_add_test(t, a_read_ends_at_its_deadline);
    tcase_add_test(t, whoever_asks_again_for_what_has_just_timed_out_waits_less);
    tcase_add_test(t, whoever_asks_again_for_what_has_just_failed_waits_for_the_rest_of_the_time);
    tcase_add_test(t, an_expired_read_lets_go_of_what_it_waited_for);
    tcase_add_test(t, an_answer_before_the_deadline_is_the_only_one);
    tcase_add_test(t, one_waiting_read_ends_and_the_other_goes_on);
    tcase_add_test(t, a_cancelled_read_ends_with_eintr);
    tcase_add_test(t, a_read_cancelled_before_it_starts_ends_as_soon_as_it_waits);
    tcase_add_test(t, a_storm_of_readers_is_answered_once_each);
    tcase_add_test(t, at_the_end_nobody_begins_to_wait);
    tcase_add_test(t, freeing_ends_what_is_blocked);
    return reading_main(suite_create("fs/read_ends"), t);
}
