/* What an NZB's directory shows: surveys, who waits for them, and what becomes of names. */
#include "tests/fs/setrig.h"
#include "tests/lib/rarmaker.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static struct made *made;
static struct setrig *rig;
static struct fs *fs;
static uint64_t fake_us = 1000000;

static uint64_t fake_now(void)
{
    return fake_us;
}

static void rig_of(struct made *m, struct setrig_config cfg)
{
    made = m;
    cfg.made = m;
    rig = setrig_new(&cfg);
    fs = setrig_fs(rig);
}

static void teardown(void)
{
    setrig_free(rig);
    made_free(made);
}

static struct made *film_set(uint32_t volumes)
{
    const struct made_file film = {
        .name = "film.mkv", .len = volumes * 29700u, .seed = 3, .mtime_s = 1500000000};
    return rarmaker_make(&(struct rarmaker_options){.volume_size = 30000}, &film, 1);
}

static struct fs_node *node(const char *path)
{
    int err;
    struct fs_node *n = setrig_node(rig, path, &err);
    ck_assert_msg(n != NULL, "%s: %s", path, strerror(err));
    return n;
}

static bool is_there(const char *path)
{
    int err;
    return setrig_node(rig, path, &err) != NULL;
}

/* All of file 0 of the set is what `n` shows. */
static void expect_all(struct fs_node *n)
{
    size_t len = made->files[0].len;
    uint8_t *buf = malloc(len + 1);
    ck_assert_int_eq(fs_read_wait(fs, n, NULL, buf, len + 1, 0), (ssize_t)len);
    ck_assert(setrig_match(made, 0, 0, buf, len));
    free(buf);
}

static unsigned ends;
static pthread_mutex_t ends_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ends_cond = PTHREAD_COND_INITIALIZER;

static void on_end(struct fs_read *r)
{
    (void)r;
    pthread_mutex_lock(&ends_lock);
    ends++;
    pthread_cond_broadcast(&ends_cond);
    pthread_mutex_unlock(&ends_lock);
}

static void ends_wait(unsigned n)
{
    pthread_mutex_lock(&ends_lock);
    while (ends < n)
        pthread_cond_wait(&ends_cond, &ends_lock);
    pthread_mutex_unlock(&ends_lock);
}

static struct fs_read *reading(struct fs_node *n, uint64_t off, uint32_t len)
{
    struct fs_read *r = fs_read_new(fs, n);
    r->off = off;
    r->len = len;
    r->done = on_end;
    return r;
}

/* --- looking ----------------------------------------------------------------------------------- */

START_TEST(a_hundred_volumes_are_known_by_five_articles)
{
    struct stat st;
    rig_of(film_set(100), (struct setrig_config){0});
    ck_assert(!fs_dir_is_known(fs_root(fs)));
    ck_assert_ptr_null(fs_lookup(fs, fs_root(fs), "film.mkv"));
    struct fs_node *n = node("film.mkv");
    ck_assert(fs_dir_is_known(fs_root(fs)));
    ck_assert(fs_node_stat(fs, n, &st));
    ck_assert_int_eq(st.st_size, (off_t)made->files[0].len);
    ck_assert_int_eq(st.st_mtim.tv_sec, 1500000000);
    ck_assert_uint_le(setrig_asked(rig, UINT32_MAX), 5);
    expect_all(n);
    teardown();
}
END_TEST

START_TEST(who_looks_can_be_cancelled_and_time_out_while_others_wait_on)
{
    ends = 0;
    rig_of(film_set(5), (struct setrig_config){.now_us = fake_now});
    setrig_rule(rig, UINT32_MAX, 0, SETRIG_HOLD);
    struct fs_read *a = reading(fs_root(fs), 0, 0), *b = reading(fs_root(fs), 0, 0);
    struct fs_read *c = reading(fs_root(fs), 0, 0);
    b->deadline_us = fake_us + 5;
    ck_assert(!fs_read_start(a) && !fs_read_start(b) && !fs_read_start(c));
    setrig_wait_held(rig, 1);
    fs_read_cancel(a);
    ends_wait(1);
    ck_assert_int_eq(a->err, EINTR);
    fs_read_end(a);
    fs_expire(fs, fake_us + 10);
    ends_wait(2);
    ck_assert_int_eq(b->err, ETIMEDOUT);
    fs_read_end(b);
    setrig_release(rig);
    ends_wait(3);
    ck_assert_int_eq(c->err, 0);
    fs_read_end(c);
    teardown();
}
END_TEST

START_TEST(the_fs_can_go_while_it_is_being_surveyed)
{
    ends = 0;
    rig_of(film_set(5), (struct setrig_config){0});
    setrig_rule(rig, UINT32_MAX, 0, SETRIG_HOLD);
    struct fs_read *a = reading(fs_root(fs), 0, 0);
    ck_assert(!fs_read_start(a));
    setrig_wait_held(rig, 1);
    fs_read_cancel(a);
    ends_wait(1);
    fs_read_end(a);
    teardown();
}
END_TEST

START_TEST(a_survey_that_could_ask_nobody_is_made_again)
{
    int err = 0;
    rig_of(film_set(5), (struct setrig_config){0});
    setrig_rule(rig, UINT32_MAX, 0, SETRIG_FAILED);
    ck_assert_ptr_null(setrig_node(rig, "film.mkv", &err));
    ck_assert_int_eq(err, ETIMEDOUT);
    setrig_honest(rig);
    expect_all(node("film.mkv"));
    teardown();
}
END_TEST

/* --- surprises --------------------------------------------------------------------------------- */

/* The fourth volume is longer, the fifth by as much shorter. */
static struct made *odd_set(void)
{
    static const uint64_t sizes[] = {30000, 30000, 30000, 31000, 29000};
    const struct made_file film = {.name = "film.mkv", .len = 400000, .seed = 3};
    return rarmaker_make(
        &(struct rarmaker_options){.volume_size = 30000, .volume_sizes = sizes, .nvolume_sizes = 5},
        &film, 1);
}

START_TEST(an_odd_volume_is_noticed_before_a_byte_of_it_is_shown)
{
    rig_of(odd_set(), (struct setrig_config){0});
    struct fs_node *n = node("film.mkv");
    ck_assert_uint_eq(setrig_asked(rig, 7), 0);
    uint8_t byte;
    ck_assert_int_eq(fs_read_wait(fs, n, NULL, &byte, 1, 100000), 1);
    ck_assert(setrig_match(made, 0, 100000, &byte, 1));
    ck_assert_uint_gt(setrig_asked(rig, 7), 0); /* all headers */
    expect_all(n);
    ck_assert_ptr_eq(node("film.mkv"), n);
    teardown();
}
END_TEST

START_TEST(while_a_surprise_is_looked_into_the_directory_is_still_known)
{
    ends = 0;
    rig_of(odd_set(), (struct setrig_config){0});
    struct fs_node *n = node("film.mkv");
    setrig_rule(rig, 8, 0, SETRIG_HOLD);
    struct fs_read *r = reading(n, 100000, 1000);
    ck_assert(!fs_read_start(r));
    setrig_wait_held(rig, 1);
    ck_assert(fs_dir_is_known(fs_root(fs)));
    ck_assert_int_eq(fs_dir_wait(fs, fs_root(fs)), 0);
    ck_assert_ptr_eq(node("film.mkv"), n);
    setrig_release(rig);
    ends_wait(1);
    ck_assert_int_eq(r->err, 0);
    ck_assert_uint_eq(r->n, 1000);
    fs_read_end(r);
    expect_all(n);
    teardown();
}
END_TEST

START_TEST(a_surprise_that_nobody_could_be_asked_about_is_looked_into_later)
{
    rig_of(odd_set(), (struct setrig_config){0});
    struct fs_node *n = node("film.mkv");
    uint8_t byte;
    setrig_rule(rig, 8, 0, SETRIG_FAILED);
    for (unsigned k = 0; k < 12; k++)
        ck_assert_int_lt(fs_read_wait(fs, n, NULL, &byte, 1, 100000), 0);
    ck_assert_ptr_eq(node("film.mkv"), n);
    setrig_honest(rig);
    expect_all(n);
    teardown();
}
END_TEST

START_TEST(a_read_that_waits_for_a_new_layout_can_be_cancelled)
{
    ends = 0;
    rig_of(odd_set(), (struct setrig_config){0});
    struct fs_node *n = node("film.mkv");
    setrig_rule(rig, 8, 0, SETRIG_HOLD);
    struct fs_read *r = reading(n, 100000, 1000);
    ck_assert(!fs_read_start(r));
    setrig_wait_held(rig, 1);
    fs_read_cancel(r);
    ends_wait(1);
    ck_assert_int_eq(r->err, EINTR);
    fs_read_end(r);
    teardown();
}
END_TEST

START_TEST(a_survey_that_was_misled_is_made_again)
{
    rig_of(film_set(5), (struct setrig_config){.mount = {.early = true}});
    setrig_rule(rig, 2, 0, SETRIG_HONEST);
    setrig_rule(rig, 1, 1, SETRIG_LIE);
    int err;
    struct fs_node *n = setrig_node(rig, "film.mkv", &err);
    /* Nothing but what is so may be shown, whatever became of it. */
    uint8_t buf[1000];
    for (uint64_t off = 0; n && off + 1000 < made->files[0].len; off += 1000) {
        ssize_t got = fs_read_wait(fs, n, NULL, buf, sizeof(buf), off);
        ck_assert(got <= 0 || setrig_match(made, 0, off, buf, (size_t)got));
    }
    ck_assert(is_there("film.mkv") || is_there("set.part2.rar"));
    teardown();
}
END_TEST

/* --- names ------------------------------------------------------------------------------------- */

/* Volumes of a set and a text, as posted files. */
static struct made *with_nfo(const struct made_file *files, uint32_t n)
{
    struct made *m = rarmaker_make(&(struct rarmaker_options){.volume_size = 30000}, files, n);
    uint32_t k = m->nvolumes++;
    struct made_volume *more = reallocarray(m->volumes, m->nvolumes, sizeof(*more));
    ck_assert_ptr_nonnull(more);
    m->volumes = more;
    more[k] = (struct made_volume){.name = strdup("about.nfo"),
                                   .size = 100,
                                   .spans = calloc(1, sizeof(struct made_span)),
                                   .nspans = 1};
    more[k].spans[0] = (struct made_span){.len = 100, .bytes = calloc(1, 100)};
    return m;
}

START_TEST(names_that_are_ours_may_be_a_members_name_too)
{
    const struct made_file files[] = {{.name = "film.mkv", .len = 100000, .seed = 3},
                                      {.name = ".extra", .len = 1000, .seed = 4},
                                      {.name = ".posted", .len = 1000, .seed = 5},
                                      {.name = "a", .len = 1000, .seed = 6},
                                      {.name = "a/b", .len = 1000, .seed = 7}};
    rig_of(with_nfo(files, 5), (struct setrig_config){.mount = {.view = CONFIG_VIEW_BOTH}});
    expect_all(node("film.mkv"));
    ck_assert(fs_node_is_dir(node(".posted")));
    ck_assert(is_there(".posted/about.nfo"));
    ck_assert(!fs_node_is_dir(node(".posted (2)")));
    ck_assert(is_there(".extra/about.nfo") || is_there(".extra (2)/about.nfo"));
    uint64_t pos = 0;
    unsigned n = 0;
    while (fs_next(fs, fs_root(fs), &pos))
        n++;
    ck_assert_uint_eq(n, 7); /* .posted, .extra and its directory, .posted (2), film.mkv, a twice */
    teardown();
}
END_TEST

START_TEST(names_stay_when_there_is_a_second_look)
{
    static const uint64_t sizes[] = {30000, 30000, 30000, 31000, 29000};
    const struct made_file files[] = {{.name = "film.mkv", .len = 400000, .seed = 3},
                                      {.name = ".posted", .len = 1000, .seed = 5}};
    rig_of(rarmaker_make(&(struct rarmaker_options){.volume_size = 30000,
                                                    .volume_sizes = sizes,
                                                    .nvolume_sizes = 5},
                         files, 2),
           (struct setrig_config){.mount = {.view = CONFIG_VIEW_BOTH}});
    struct fs_stats before, after;
    struct fs_node *n = node("film.mkv"), *other = node(".posted (2)");
    fs_stats(fs, &before);
    expect_all(n);
    fs_stats(fs, &after);
    ck_assert_uint_eq(after.nodes, before.nodes);
    ck_assert_ptr_eq(node(".posted (2)"), other);
    uint8_t buf[1000];
    ck_assert_int_eq(fs_read_wait(fs, other, NULL, buf, 1000, 0), 1000);
    ck_assert(setrig_match(made, 1, 0, buf, 1000));
    teardown();
}
END_TEST

START_TEST(what_the_patterns_hide_is_not_shown)
{
    const struct made_file files[] = {{.name = "film.mkv", .len = 100000, .seed = 3},
                                      {.name = "Sample/s.mkv", .len = 1000, .seed = 4},
                                      {.name = "x/y.txt", .len = 1000, .seed = 4}};
    char hide[] = "sample *.txt *.nfo";
    rig_of(with_nfo(files, 3), (struct setrig_config){.mount = {.hide = hide}});
    expect_all(node("film.mkv"));
    ck_assert(!is_there("Sample/s.mkv"));
    ck_assert(!is_there("Sample"));
    ck_assert(!is_there("x/y.txt"));
    ck_assert(!is_there(".extra/about.nfo"));
    ck_assert(!is_there("about.nfo"));
    teardown();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("fs/view");
    TCase *t = tcase_create("view");
    tcase_add_test(t, a_hundred_volumes_are_known_by_five_articles);
    tcase_add_test(t, who_looks_can_be_cancelled_and_time_out_while_others_wait_on);
    tcase_add_test(t, the_fs_can_go_while_it_is_being_surveyed);
    tcase_add_test(t, a_survey_that_could_ask_nobody_is_made_again);
    tcase_add_test(t, an_odd_volume_is_noticed_before_a_byte_of_it_is_shown);
    tcase_add_test(t, while_a_surprise_is_looked_into_the_directory_is_still_known);
    tcase_add_test(t, a_surprise_that_nobody_could_be_asked_about_is_looked_into_later);
    tcase_add_test(t, a_read_that_waits_for_a_new_layout_can_be_cancelled);
    tcase_add_test(t, a_survey_that_was_misled_is_made_again);
    tcase_add_test(t, names_that_are_ours_may_be_a_members_name_too);
    tcase_add_test(t, names_stay_when_there_is_a_second_look);
    tcase_add_test(t, what_the_patterns_hide_is_not_shown);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
