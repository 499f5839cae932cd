#include "tests/cache/world.h"

#include <check.h>
#include <stdlib.h>

struct scripted_source *source;
struct cache *cache;
struct rig_file file, other;
uint64_t now_us;

static uint64_t fake_now(void)
{
    return now_us;
}

static void set_up(void)
{
    struct cache_config cfg = {
        .budget = CHUNKS * CACHE_CHUNK, .negative_us = 1000, .now_us = fake_now};

    now_us = 5000;
    source = scripted_source_new();
    cache = cache_new(&cfg, scripted_source_source(source));
    ck_assert_ptr_nonnull(source);
    ck_assert_ptr_nonnull(cache);
    rig_file_init(&file, 1, 100, PART);
    rig_file_init(&other, 2, 100, PART);
}

void expect_sound(void)
{
    const char *wrong = cache_check(cache);

    ck_assert_msg(!wrong, "%s", wrong);
}

struct cache_stats stats(void)
{
    struct cache_stats s;

    cache_stats(cache, &s);
    ck_assert_uint_le(s.used, s.used_peak);
    ck_assert_uint_le(s.used_peak, s.budget);
    return s;
}

static void tear_down(void)
{
    while (scripted_source_out(source) > 0)
        (void)scripted_source_play(source, scripted_source_nth(source, 0));
    cache_forget(cache, &file.file);
    cache_forget(cache, &other.file);
    expect_sound();
    ck_assert_uint_eq(stats().used, 0);
    cache_free(cache);
    scripted_source_free(source);
    rig_file_fini(&file);
    rig_file_fini(&other);
}

/* --- facts and expectations */
struct segment_fetch *fetch_of(struct rig_file *f, uint32_t i)
{
    return scripted_source_find(source, f->ids[i]);
}

void expect_fetches(unsigned n)
{
    ck_assert_uint_eq(scripted_source_out(source), n);
    expect_sound();
}

void expect_runs(struct rig_read *r, unsigned n)
{
    ck_assert_uint_eq(atomic_load(&r->runs), n);
    expect_sound();
}

void start(struct rig_read *r, struct rig_file *f, uint32_t first, unsigned n,
           enum cache_start expected)
{
    rig_read_init(r, cache, f, first, n);
    ck_assert_int_eq(rig_read_start(r), expected);
    expect_runs(r, 0);
}

void play(struct rig_file *f, uint32_t i, enum segment_result expected)
{
    struct segment_fetch *s = fetch_of(f, i);

    ck_assert_ptr_nonnull(s);
    ck_assert_int_eq(scripted_source_play(source, s), expected);
    expect_sound();
}

void end_with(struct rig_file *f, uint32_t i, enum segment_result r)
{
    struct segment_fetch *s = fetch_of(f, i);

    ck_assert_ptr_nonnull(s);
    scripted_source_end(source, s, r);
    expect_sound();
}

void finish(struct rig_read *r)
{
    cache_read_end(cache, &r->read);
    expect_sound();
}

void load(struct rig_file *f, uint32_t i)
{
    struct rig_read r;

    start(&r, f, i, 1, CACHE_PENDING);
    play(f, i, SEGMENT_DONE);
    expect_runs(&r, 1);
    ck_assert(rig_read_is_right(&r));
    finish(&r);
}

enum cache_ahead ahead(struct rig_file *f, uint32_t i, uint64_t stream)
{
    enum cache_ahead a =
        cache_ahead(cache, &f->file, i, TRAFFIC_STREAMING, URGENCY_READAHEAD, stream);

    expect_sound();
    return a;
}

void fill_memory(struct rig_read *r)
{
    for (uint32_t i = 0; i < 3; i++)
        load(&other, i);
    start(r, &other, 0, 3, CACHE_READY);
}

int world_run(const char *name, const TTest *const *tests, size_t n)
{
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create(name);
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    for (size_t k = 0; k < n; k++)
        tcase_add_test(tcase, tests[k]);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
