#include "tests/cache/world.h"

/* Memory that a sequential reader has done with is used again before any that was never touched. */

/* Segment `i` is read to its end by somebody who keeps what was read. */
static void read_once(struct rig_file *f, uint32_t i)
{
    struct rig_read r;

    start(&r, f, i, 1, CACHE_PENDING);
    play(f, i, SEGMENT_DONE);
    expect_runs(&r, 1);
    ck_assert(rig_read_is_right(&r));
    r.wants[0].spent = true;
    finish(&r);
}

/* A player at the start of a film used to fill all of cache.memory before it came back to memory it had
 * used: page faults, cold caches, and 256 MiB resident for a window of 32. */
START_TEST(a_long_read_lives_in_the_memory_of_a_few_blocks)
{
    for (uint32_t i = 1; i < 51; i++)
        read_once(&file, i);
    ck_assert_uint_eq(cache->slab.touched, 3);
    ck_assert_uint_eq(stats().used_peak, 3 * CACHE_CHUNK);
}
END_TEST

START_TEST(what_is_not_spent_stays)
{
    load(&file, 90);
    for (uint32_t i = 1; i < 21; i++)
        read_once(&file, i);
    ck_assert_uint_eq(cache->slab.touched, 6);
    struct rig_read r;
    start(&r, &file, 90, 1, CACHE_READY);
    ck_assert(rig_read_is_right(&r));
    finish(&r);
}
END_TEST

/* What a library's scan and each player's start come back to. */
START_TEST(the_ends_of_a_file_are_not_spent)
{
    struct rig_read r;

    read_once(&file, 0);
    read_once(&file, file.n - 1);
    ck_assert_uint_eq(cache->spent_chunks, 0);
    for (uint32_t i = 0; i < file.n; i += file.n - 1) {
        start(&r, &file, i, 1, CACHE_READY);
        ck_assert_uint_ge(r.wants[0].block->entry.hits, 1); /* in the policy's eyes: used before */
        finish(&r);
    }
    read_once(&file, 1);
    ck_assert_uint_eq(cache->spent_chunks, 3);
}
END_TEST

START_TEST(a_spent_block_that_is_read_again_is_like_any_other)
{
    struct rig_read r;

    read_once(&file, 1);
    ck_assert_uint_eq(cache->spent_chunks, 3);
    start(&r, &file, 1, 1, CACHE_READY);
    ck_assert_uint_eq(cache->spent_chunks, 0);
    ck_assert(rig_read_is_right(&r));
    finish(&r);
    read_once(&file, 2);
    read_once(&file, 3);
    start(&r, &file, 1, 1, CACHE_READY);
    finish(&r);
}
END_TEST

START_TEST(a_block_is_spent_by_the_last_of_its_readers_only)
{
    struct rig_read a, b;

    load(&file, 1);
    start(&a, &file, 1, 1, CACHE_READY);
    start(&b, &file, 1, 1, CACHE_READY);
    a.wants[0].spent = true;
    finish(&a);
    ck_assert_uint_eq(cache->spent_chunks, 0);
    ck_assert(rig_read_is_right(&b));
    finish(&b);
    ck_assert_uint_eq(cache->spent_chunks, 0);
}
END_TEST

START_TEST(a_dropped_block_is_not_spent)
{
    struct rig_read r;

    load(&file, 1);
    start(&r, &file, 1, 1, CACHE_READY);
    cache_drop(cache, &file.file, 1);
    r.wants[0].spent = true;
    finish(&r);
    ck_assert_uint_eq(cache->spent_chunks, 0);
    ck_assert_uint_eq(stats().blocks, 0);
    read_once(&file, 2);
    cache_drop(cache, &file.file, 2);
    ck_assert_uint_eq(cache->spent_chunks, 0);
    ck_assert_uint_eq(stats().blocks, 0);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_long_read_lives_in_the_memory_of_a_few_blocks,
        what_is_not_spent_stays,
        the_ends_of_a_file_are_not_spent,
        a_spent_block_that_is_read_again_is_like_any_other,
        a_block_is_spent_by_the_last_of_its_readers_only,
        a_dropped_block_is_not_spent,
    };

    return world_run("cache/spent", tests, sizeof(tests) / sizeof(tests[0]));
}
