/* Reads that are answered before the article they need has ended. */
#include "tests/fs/reading.h"

#include "fs/internal.h"
#include "tests/lib/scripted_article.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

static struct fs_read *early_reading(uint64_t off, uint32_t len)
{
    struct fs_read *r = reading(off, len);
    r->early = true;
    return r;
}

static struct segment_fetch *oldest(void)
{
    struct segment_fetch *f = scripted_source_nth(rig_source(rig), 0);
    ck_assert_msg(f != NULL, "nothing is asked for");
    return f;
}

/* The oldest fetch begins, or begins again, and brings `len` bytes. */
static struct segment_fetch *bring(size_t len)
{
    struct segment_fetch *f = oldest();
    ck_assert_int_eq(scripted_source_begin(rig_source(rig), f, NULL), 0);
    scripted_source_bring(rig_source(rig), f, len);
    return f;
}

static void end_well(struct segment_fetch *f)
{
    scripted_source_bring(rig_source(rig), f, SIZE_MAX);
    scripted_source_end(rig_source(rig), f, SEGMENT_DONE);
}

static void expect_xattr(const char *name, const char *value)
{
    char got[32] = "";
    int n = fs_xattr_get(rig_fs(rig), film, name, got, sizeof(got) - 1);
    if (!value) {
        ck_assert_int_eq(n, -ENODATA);
        return;
    }
    ck_assert_int_eq(n, (int)strlen(value));
    ck_assert_str_eq(got, value);
}

/* What the kernel would be told to forget, as drop() of disown.c is called: the sum of calls and of bytes. */
static struct {
    pthread_mutex_t lock;
    unsigned drops;
    uint64_t begin, end;
} dropped = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void drop(void *arg, uint64_t ino, uint64_t begin, uint64_t end)
{
    (void)arg;
    (void)ino;
    pthread_mutex_lock(&dropped.lock);
    dropped.drops++;
    dropped.begin = begin;
    dropped.end = end;
    pthread_mutex_unlock(&dropped.lock);
}

/* Let what is queued be taken back; returns how often drop() ran for it: files, that is. */
static unsigned taken_back(void)
{
    struct fs_disown *d = &rig_fs(rig)->disown;
    dropped.drops = 0;
    ck_assert_int_eq(fs_disown_start(d, drop, NULL), 0);
    for (bool empty = false; !empty; sched_yield()) {
        pthread_mutex_lock(&d->lock);
        empty = list_is_empty(&d->entries);
        pthread_mutex_unlock(&d->lock);
    }
    fs_disown_stop(d);
    fs_disown_join(d);
    return dropped.drops;
}

/* The size, as an early read learns it from a first article whose header says `size`. */
static void told(uint64_t size)
{
    struct segment_info lie = {.file_size = size, .begin = 0, .len = PART, .part = 1, .total = 10};
    struct fs_read *r = early_reading(0, 0);
    ck_assert(!fs_read_start(r));
    ck_assert_int_eq(scripted_source_begin(rig_source(rig), oldest(), &lie), 0);
    scripted_source_bring(rig_source(rig), oldest(), 1);
    ck_assert_uint_eq(ends, 1);
    ck_assert_int_eq(r->err, 0);
    ck_assert_uint_eq(r->size, size);
    ck_assert(r->unproven);
    fs_read_end(r);
    ck_assert_uint_eq(size_now(), UINT64_MAX);
}

START_TEST(the_size_is_told_when_the_first_article_has_begun_and_known_when_it_has_ended)
{
    told(uniform.size);
    end_well(oldest());
    ck_assert_uint_eq(size_now(), uniform.size);
    ck_assert_uint_eq(taken_back(), 0);
}
END_TEST

START_TEST(a_size_that_the_next_provider_denies_is_taken_back)
{
    told(uniform.size + 500);
    end_well(bring(0)); /* its CRC was wrong */
    ck_assert_uint_eq(size_now(), uniform.size);
    ck_assert_uint_eq(taken_back(), 1);
    ck_assert_uint_eq(dropped.begin, dropped.end);
    expect_xattr("user.nzbfs.disowned", NULL);
    expect_xattr("user.nzbfs.missing", "0");
    expect_bytes(read_over(reading(0, 2 * PART)), 0, 2 * PART);
}
END_TEST

START_TEST(a_size_that_nobody_can_prove_is_taken_back)
{
    told(2 * PART);
    scripted_source_end(rig_source(rig), oldest(), SEGMENT_CORRUPT);
    ck_assert_uint_eq(size_now(), UINT64_MAX);
    ck_assert_uint_eq(taken_back(), 1);
    fake_now_us += UINT64_C(3600) * 1000000;
    fs_read_end(read_over(reading(0, 0)));
    ck_assert_uint_eq(size_now(), uniform.size);
}
END_TEST

START_TEST(a_reader_without_early_never_sees_an_unproven_size)
{
    struct fs_read *early = early_reading(0, 0), *r = reading(0, 0);
    ck_assert(!fs_read_start(early) && !fs_read_start(r));
    struct segment_fetch *f = bring(PART - 1);
    ck_assert_uint_eq(ends, 1);
    fs_read_end(early);
    end_well(f);
    ck_assert_uint_eq(ends, 2);
    ck_assert(!r->unproven);
    ck_assert_uint_eq(r->size, uniform.size);
    fs_read_end(r);
}
END_TEST

START_TEST(a_jump_before_the_size_is_proven_believes_the_article_that_is_there)
{
    told(uniform.size);
    struct fs_read *r = early_reading(5 * PART + 10, 500);
    ck_assert(!fs_read_start(r));
    struct segment_fetch *first = oldest(), *f = scripted_source_nth(rig_source(rig), 1);
    ck_assert_int_eq(scripted_source_begin(rig_source(rig), f, NULL), 0);
    scripted_source_bring(rig_source(rig), f, 510);
    ck_assert_uint_eq(ends, 1);
    expect_bytes(r, 5 * PART + 10, 500);
    end_well(f);
    ck_assert_uint_eq(size_now(), uniform.size);
    end_well(first);
    ck_assert_uint_eq(taken_back(), 0);
}
END_TEST

START_TEST(a_jump_by_a_lie_waits_for_the_truth)
{
    told(uniform.size / 2);
    struct fs_read *r = early_reading(3 * PART, 500), *beyond = early_reading(6 * PART, 500);
    ck_assert(!fs_read_start(r) && !fs_read_start(beyond));
    struct segment_fetch *f = scripted_source_nth(rig_source(rig), 1);
    ck_assert_int_eq(scripted_source_begin(rig_source(rig), f, NULL), 0);
    scripted_source_bring(rig_source(rig), f, PART - 1);
    ck_assert_uint_eq(ends, 0);
    end_well(bring(0)); /* the first, at another provider */
    while (ends < 2)
        ck_assert(rig_serve_one(rig));
    expect_bytes(r, 3 * PART, 500);
    expect_bytes(beyond, 6 * PART, 500);
    ck_assert_uint_eq(taken_back(), 1);
}
END_TEST

START_TEST(a_read_of_a_cold_file_ends_with_its_last_byte)
{
    struct fs_read *r = early_reading(200, 1000);
    ck_assert(!fs_read_start(r));
    struct segment_fetch *f = bring(1199);
    ck_assert_uint_eq(ends, 0);
    scripted_source_bring(rig_source(rig), f, 1);
    ck_assert_uint_eq(ends, 1);
    expect_bytes(r, 200, 1000);
    end_well(f);
    ck_assert_uint_eq(rig_asked(rig), 1);
    expect_xattr("user.nzbfs.disowned", NULL);
}
END_TEST

START_TEST(who_does_not_allow_it_or_has_read_on_for_long_gets_proven_bytes)
{
    struct fs_handle *h = fs_handle_open(rig_fs(rig), film);
    struct fs_read *r = reading(200, 1000);
    ck_assert(!fs_read_start(r));
    struct segment_fetch *f = bring(SIZE_MAX);
    ck_assert_uint_eq(ends, 0);
    end_well(f);
    ck_assert_uint_eq(ends, 1);
    expect_bytes(r, 200, 1000);

    static const struct rig_file large = {
        .name = "large", .seed = SEED, .size = 3000000, .part_size = 500000};
    fs_handle_close(h);
    teardown();
    rig_of(&large, (struct config_mount){.readahead = 0}, 0);
    h = fs_handle_open(rig_fs(rig), film);
    for (uint64_t off = 0; off < 1250000; off += 250000) {
        r = early_reading(off, 250000);
        r->handle = h;
        fs_read_end(read_over(r));
    }
    r = early_reading(1500000, 1000);
    r->handle = h;
    ck_assert(!fs_read_start(r));
    f = bring(SIZE_MAX);
    ck_assert_uint_eq(ends, 0);
    end_well(f);
    expect_bytes(r, 1500000, 1000);
    fs_handle_close(h);
}
END_TEST

START_TEST(a_read_over_a_boundary_has_the_end_of_one_proven_and_the_other_early)
{
    fs_read_end(read_over(reading(0, 0)));
    struct fs_read *r = early_reading(2 * PART - 100, 300);
    ck_assert(!fs_read_start(r));
    struct segment_fetch *first = bring(SIZE_MAX);
    struct segment_fetch *second = scripted_source_nth(rig_source(rig), 1);
    ck_assert_int_eq(scripted_source_begin(rig_source(rig), second, NULL), 0);
    scripted_source_bring(rig_source(rig), second, 200);
    ck_assert_uint_eq(ends, 0);
    scripted_source_end(rig_source(rig), first, SEGMENT_DONE);
    ck_assert_uint_eq(ends, 1);
    expect_bytes(r, 2 * PART - 100, 300);
    end_well(second);
}
END_TEST

START_TEST(a_segment_of_which_wrong_bytes_were_read_is_never_read_again)
{
    fs_read_end(read_over(reading(0, 0)));
    struct fs_read *r = early_reading(3 * PART, 500);
    ck_assert(!fs_read_start(r));
    struct segment_fetch *f = oldest();
    scripted_source_spoil(rig_source(rig), f, true);
    bring(500);
    ck_assert_uint_eq(ends, 1);
    ck_assert_int_eq(r->err, 0);
    fs_read_end(r);
    scripted_source_spoil(rig_source(rig), f, false);
    end_well(bring(0)); /* its CRC was wrong: another provider, where it is right */
    expect_xattr("user.nzbfs.disowned", "1");
    expect_xattr("user.nzbfs.missing", "1");
    ck_assert_uint_eq(taken_back(), 1);
    ck_assert_uint_eq(dropped.begin, 3 * PART);
    ck_assert_uint_eq(dropped.end, 3 * PART + 500);
    for (unsigned k = 0; k < 3; k++) {
        expect_error(read_over(early_reading(3 * PART + k * 700, 500)), EIO);
        fake_now_us += UINT64_C(3600) * 1000000;
    }
    expect_bytes(read_over(reading(4 * PART, 500)), 4 * PART, 500);
}
END_TEST

/* A read of 500 bytes of segment `i` that would be early, were it let: it waits for the end. */
static void expect_patience(uint32_t i)
{
    struct fs_read *r = early_reading(i * PART, 500);
    ck_assert(!fs_read_start(r));
    struct segment_fetch *f = bring(PART - 1);
    ck_assert_uint_eq(ends, 0);
    end_well(f);
    ck_assert_uint_eq(ends, 1);
    expect_bytes(r, i * PART, 500);
}

START_TEST(a_file_that_has_given_wrong_bytes_gives_only_proven_ones)
{
    fs_read_end(read_over(reading(0, 0)));
    struct fs_read *r = early_reading(3 * PART, 500), *other = early_reading(5 * PART, 500);
    ck_assert(!fs_read_start(r) && !fs_read_start(other));
    struct segment_fetch *f = oldest();
    scripted_source_spoil(rig_source(rig), f, true);
    bring(500);
    fs_read_end(r);
    scripted_source_spoil(rig_source(rig), f, false);
    end_well(bring(0));
    /* One that waits for an early answer already: it is asked again, and for the end. */
    struct segment_fetch *g = bring(500);
    ck_assert_uint_eq(ends, 1);
    end_well(g);
    ck_assert_uint_eq(ends, 2);
    expect_bytes(other, 5 * PART, 500);
    expect_patience(6);
}
END_TEST

START_TEST(who_has_read_a_segment_well_never_reads_the_damage_that_was_healed)
{
    fs_read_end(read_over(reading(0, 0)));
    struct fs_read *r = early_reading(3 * PART, PART); /* all of it: it sees no unproven byte */
    ck_assert(!fs_read_start(r));
    bring(PART / 2);
    end_well(bring(0)); /* the first attempt was damaged */
    expect_bytes(r, 3 * PART, PART);
    expect_xattr("user.nzbfs.disowned", NULL);
    cache_drop(rig_cache(rig), &film->file->cache, 3); /* it is fetched again, damage and all */
    expect_patience(3);
}
END_TEST

/* --- the threads that take back ---------------------------------------------------------------- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool second;
} turns = {.lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};

/* The first file's pages are being read until the second's have been taken back. */
static void drop_in_turn(void *arg, uint64_t ino, uint64_t begin, uint64_t end)
{
    (void)arg, (void)begin, (void)end;
    pthread_mutex_lock(&turns.lock);
    if (ino == 2) {
        turns.second = true;
        pthread_cond_broadcast(&turns.cond);
    }
    while (!turns.second)
        pthread_cond_wait(&turns.cond, &turns.lock);
    pthread_mutex_unlock(&turns.lock);
}

START_TEST(a_file_whose_pages_are_being_read_holds_up_no_other)
{
    static struct fs_file first = {.ino = 1}, second = {.ino = 2};
    struct fs_disown d = {.stop = false};
    fs_disown_init(&d);
    fs_disown_add(&d, &first, 0, 1);
    fs_disown_add(&d, &second, 0, 1);
    ck_assert_int_eq(fs_disown_start(&d, drop_in_turn, NULL), 0);
    pthread_mutex_lock(&turns.lock);
    while (!turns.second)
        pthread_cond_wait(&turns.cond, &turns.lock);
    pthread_mutex_unlock(&turns.lock);
    fs_disown_stop(&d);
    fs_disown_join(&d);
    fs_disown_fini(&d);
}
END_TEST

START_TEST(a_segment_that_never_came_to_its_end_is_fetched_again)
{
    fs_read_end(read_over(reading(0, 0)));
    struct fs_read *r = early_reading(3 * PART, 500);
    ck_assert(!fs_read_start(r));
    struct segment_fetch *f = bring(500);
    expect_bytes(r, 3 * PART, 500);
    scripted_source_end(rig_source(rig), f, SEGMENT_FAILED);
    expect_xattr("user.nzbfs.disowned", "1");
    expect_bytes(read_over(early_reading(3 * PART, 500)), 3 * PART, 500);
    ck_assert_uint_eq(rig_asked(rig), 3);
}
END_TEST

/* Where a segment ends decides which of its bytes wait for the proof, so a lie about it must not move that. */
START_TEST(a_part_that_claims_to_be_longer_has_no_later_last_byte)
{
    struct segment_info lie = {
        .file_size = uniform.size, .begin = 3 * PART, .len = PART + 5000, .part = 4, .total = 10};
    fs_read_end(read_over(reading(0, 0)));
    struct fs_read *r = early_reading(4 * PART - 500, 500);
    ck_assert(!fs_read_start(r));
    ck_assert_int_eq(scripted_source_begin(rig_source(rig), oldest(), &lie), 0);
    scripted_source_bring(rig_source(rig), oldest(), PART + 1000);
    ck_assert_uint_eq(ends, 0);
    end_well(bring(0));
    while (!ends)
        ck_assert(rig_serve_one(rig));
    expect_bytes(r, 4 * PART - 500, 500);
}
END_TEST

START_TEST(a_first_article_that_claims_more_than_was_posted_waits_for_its_end)
{
    struct segment_info lie = {
        .file_size = uniform.size, .begin = 0, .len = 3 * PART, .part = 1, .total = 10};
    ck_assert_uint_lt(film->file->posted->segments[0].bytes, 2 * PART);
    struct fs_read *r = early_reading(PART - 500, 500);
    ck_assert(!fs_read_start(r));
    ck_assert_int_eq(scripted_source_begin(rig_source(rig), oldest(), &lie), 0);
    scripted_source_bring(rig_source(rig), oldest(), 2 * PART);
    ck_assert_uint_eq(ends, 0);
    end_well(bring(0));
    while (!ends)
        ck_assert(rig_serve_one(rig));
    expect_bytes(r, PART - 500, 500);
}
END_TEST

/* The place of a part is guessed before its article has said it, and the guess may be wrong. */
START_TEST(a_wrong_guess_of_the_place_never_shows_bytes_that_have_not_come)
{
    static const uint32_t steps[] = {50, 333, 2000, 9999};
    uint64_t dice = 1;
    for (unsigned s = 0; s < sizeof(steps) / sizeof(steps[0]); s++) {
        teardown();
        rig_of(&uneven, (struct config_mount){.readahead = 0}, 0);
        for (unsigned k = 0; k < 40; k++) {
            dice = dice * 6364136223846793005u + 1442695040888963407u;
            uint64_t off = (dice >> 33) % uneven.size;
            uint32_t len = (uint32_t)(dice >> 20) % 3000 + 1;
            size_t left = uneven.size - off;
            struct fs_read *r = early_reading(off, len);
            bool over = fs_read_start(r);
            while (!over && !ends) {
                struct segment_fetch *f = bring(0);
                for (uint64_t n = 0, before = 1; !ends && n != before;) {
                    before = n;
                    scripted_source_bring(rig_source(rig), f, steps[s]);
                    n = scripted_source_look(rig_source(rig), f).brought;
                }
                end_well(f);
            }
            expect_bytes(r, off, len < left ? len : left);
            rig_serve_all(rig);
        }
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("fs/read_early");
    TCase *t = tcase_create("early");
    tcase_add_test(t,
                   the_size_is_told_when_the_first_article_has_begun_and_known_when_it_has_ended);
    tcase_add_test(t, a_size_that_the_next_provider_denies_is_taken_back);
    tcase_add_test(t, a_size_that_nobody_can_prove_is_taken_back);
    tcase_add_test(t, a_reader_without_early_never_sees_an_unproven_size);
    tcase_add_test(t, a_jump_before_the_size_is_proven_believes_the_article_that_is_there);
    tcase_add_test(t, a_jump_by_a_lie_waits_for_the_truth);
    tcase_add_test(t, a_read_of_a_cold_file_ends_with_its_last_byte);
    tcase_add_test(t, who_does_not_allow_it_or_has_read_on_for_long_gets_proven_bytes);
    tcase_add_test(t, a_read_over_a_boundary_has_the_end_of_one_proven_and_the_other_early);
    tcase_add_test(t, a_segment_of_which_wrong_bytes_were_read_is_never_read_again);
    tcase_add_test(t, a_file_that_has_given_wrong_bytes_gives_only_proven_ones);
    tcase_add_test(t, who_has_read_a_segment_well_never_reads_the_damage_that_was_healed);
    tcase_add_test(t, a_first_article_that_claims_more_than_was_posted_waits_for_its_end);
    tcase_add_test(t, a_part_that_claims_to_be_longer_has_no_later_last_byte);
    tcase_add_test(t, a_file_whose_pages_are_being_read_holds_up_no_other);
    tcase_add_test(t, a_segment_that_never_came_to_its_end_is_fetched_again);
    tcase_add_test(t, a_wrong_guess_of_the_place_never_shows_bytes_that_have_not_come);
    return reading_main(s, t);
}
