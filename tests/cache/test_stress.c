#include "tests/cache/rig.h"
#include "tests/lib/fault_source.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* Many threads at a cache that is far too small, before a source that fails often. What must hold in any
 * order: bytes are right, memory stays in the budget, every read ends, everything comes back. */

#define FILES    16
#define SEGMENTS 40
#define PART     ((uint32_t)(CACHE_CHUNK + CACHE_CHUNK / 2))
#define THREADS  8
#define SERVERS  3
#define READS    400

struct stress {
    struct cache *cache;
    struct fault_source *source;
    struct rig_file files[FILES];
};

struct worker {
    pthread_t id;
    struct stress *stress;
    uint64_t dice;
    unsigned done, wrong, cancelled, over_budget;
};

static unsigned roll(struct worker *w, unsigned n)
{
    w->dice ^= w->dice << 13;
    w->dice ^= w->dice >> 7;
    w->dice ^= w->dice << 17;
    return (unsigned)((w->dice >> 24) % n);
}

static void watch_budget(struct worker *w)
{
    struct cache_stats s;

    cache_stats(w->stress->cache, &s);
    if (s.used > s.used_peak || s.used_peak > s.budget)
        w->over_budget++;
}

static void look_at(struct worker *w, const struct rig_read *r)
{
    for (unsigned k = 0; k < r->read.nwants; k++) {
        if (r->wants[k].result != SEGMENT_DONE)
            continue;
        w->done++;
        if (!rig_early_is_right(r, k))
            w->wrong++;
    }
}

static void read_some(struct worker *w, struct rig_file *f)
{
    struct cache *c = w->stress->cache;
    unsigned n = 1 + roll(w, 3);
    struct rig_read r;

    rig_read_init(&r, c, f, roll(w, SEGMENTS - n + 1), n);
    r.read.class = roll(w, 3) ? TRAFFIC_STREAMING : TRAFFIC_QUEUE;
    r.read.stream = roll(w, 4);
    r.read.deadline_us = roll(w, 2) ? 1 + roll(w, 1000) : 0;
    for (unsigned k = 0; k < n; k++)
        r.wants[k].early = roll(w, 2) ? roll(w, f->part_size + 2) : 0;
    r.wants[0].header = roll(w, 4) == 0;
    if (r.wants[0].header)
        r.wants[0].early = 1;
    switch (rig_read_start(&r)) {
    case CACHE_TOO_BIG:
        return;
    case CACHE_PENDING:
        if (roll(w, 8) == 0 && cache_read_cancel(c, &r.read)) {
            w->cancelled++;
            return;
        }
        rig_read_wait(&r);
        break;
    case CACHE_READY:
        break;
    }
    look_at(w, &r);
    for (unsigned k = 0; k < r.read.nwants; k++)
        r.wants[k].spent = roll(w, 3) == 0;
    cache_read_end(c, &r.read);
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct cache *c = w->stress->cache;

    for (unsigned k = 0; k < READS; k++) {
        struct rig_file *f = &w->stress->files[roll(w, FILES)];
        unsigned what = roll(w, 20);

        if (what < 12)
            read_some(w, f);
        else if (what < 17)
            (void)cache_ahead(c, &f->file, roll(w, SEGMENTS), TRAFFIC_STREAMING, URGENCY_READAHEAD,
                              roll(w, 4));
        else if (what == 17)
            cache_ahead_drop(c, &f->file, roll(w, 4));
        else if (what == 18)
            cache_drop(c, &f->file, roll(w, SEGMENTS));
        else
            cache_forget(c, &f->file);
        watch_budget(w);
    }
    return NULL;
}

static void stress(size_t budget, uint64_t seed)
{
    struct fault_config faults = {.threads = SERVERS,
                                  .seed = seed,
                                  .missing = 20,
                                  .corrupt = 20,
                                  .failed = 30,
                                  .timeout = 50,
                                  .spoilt = 50,
                                  .lying = 50};
    struct cache_config cfg = {.budget = budget, .negative_us = 200};
    struct worker workers[THREADS];
    struct stress s = {.source = fault_source_start(&faults)};
    struct cache_stats stats;
    unsigned done = 0;

    ck_assert_ptr_nonnull(s.source);
    s.cache = cache_new(&cfg, fault_source_source(s.source));
    ck_assert_ptr_nonnull(s.cache);
    for (unsigned k = 0; k < FILES; k++)
        rig_file_init(&s.files[k], k + 1, SEGMENTS, PART);
    memset(workers, 0, sizeof(workers));
    for (unsigned k = 0; k < THREADS; k++) {
        workers[k].stress = &s;
        workers[k].dice = (seed * THREADS + k + 1) * 2654435761u;
        ck_assert_int_eq(pthread_create(&workers[k].id, NULL, work, &workers[k]), 0);
    }
    for (unsigned k = 0; k < THREADS; k++) {
        pthread_join(workers[k].id, NULL);
        ck_assert_uint_eq(workers[k].wrong, 0);
        ck_assert_uint_eq(workers[k].over_budget, 0);
        done += workers[k].done;
    }
    ck_assert_uint_gt(done, THREADS * READS / 4);
    for (unsigned k = 0; k < FILES; k++)
        cache_forget(s.cache, &s.files[k].file);
    ck_assert_msg(!cache_check(s.cache), "%s", cache_check(s.cache));
    cache_stats(s.cache, &stats);
    ck_assert_uint_eq(stats.used, 0);
    fault_source_stop(s.source);
    cache_free(s.cache);
    for (unsigned k = 0; k < FILES; k++)
        rig_file_fini(&s.files[k]);
}

START_TEST(four_chunks_serve_sixteen_files)
{
    stress(4 * CACHE_CHUNK, 1);
}
END_TEST

START_TEST(a_megabyte_serves_sixteen_files)
{
    stress((size_t)1 << 20, 2);
}
END_TEST

START_TEST(eight_megabytes_serve_sixteen_files)
{
    stress((size_t)8 << 20, 3);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cache/stress");
    TCase *tcase = tcase_create("stress");
    SRunner *runner;
    int failed;

    tcase_add_test(tcase, four_chunks_serve_sixteen_files);
    tcase_add_test(tcase, a_megabyte_serves_sixteen_files);
    tcase_add_test(tcase, eight_megabytes_serve_sixteen_files);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
