#include "tests/cache/rig.h"
#include "tests/lib/scripted_source.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Random histories in one thread: reads start, end and are cancelled, readahead comes and goes, segments
 * are dropped, articles arrive whole, broken, late, too large or not at all. After each step the cache is
 * walked; at the end of each history everything comes back. A failure prints seed and step. */

#define FILES     3
#define SEGMENTS  12
#define READERS   12
#define STEPS     600
#define HISTORIES 100

enum life { IDLE, OUT, HELD };

struct history {
    uint64_t seed, dice;
    unsigned step;
    struct scripted_source *source;
    struct cache *cache;
    struct rig_file files[FILES];
    struct rig_read readers[READERS];
    enum life life[READERS];
    unsigned over; /* reads that ended */
};

static uint64_t now_us = 1;

static uint64_t fake_now(void)
{
    return now_us;
}

static unsigned roll(struct history *h, unsigned n)
{
    h->dice ^= h->dice << 13;
    h->dice ^= h->dice >> 7;
    h->dice ^= h->dice << 17;
    return (unsigned)((h->dice >> 24) % n);
}

static void expect_that(const struct history *h, bool good, const char *what)
{
    ck_assert_msg(good, "seed %llu step %u: %s", (unsigned long long)h->seed, h->step, what);
}

static void expect_sound(struct history *h)
{
    const char *wrong = cache_check(h->cache);
    struct cache_stats s;

    expect_that(h, !wrong, wrong ? wrong : "");
    cache_stats(h->cache, &s);
    expect_that(h, s.used <= s.used_peak && s.used_peak <= s.budget, "memory above the budget");
}

static void expect_right(const struct history *h, const struct rig_read *r)
{
    for (unsigned j = 0; j < r->read.nwants; j++)
        expect_that(h, r->wants[j].result != SEGMENT_DONE || rig_early_is_right(r, j),
                    "a pinned block has wrong bytes");
}

static void look_at_readers(struct history *h)
{
    for (unsigned k = 0; k < READERS; k++) {
        unsigned runs = atomic_load(&h->readers[k].runs);

        expect_that(h, runs <= 1, "ready ran twice");
        if (h->life[k] == OUT && runs == 1)
            h->life[k] = HELD;
    }
}

/** What it holds is right to the last moment. */
static void let_go(struct history *h, unsigned k)
{
    expect_right(h, &h->readers[k]);
    for (unsigned n = 0; n < h->readers[k].read.nwants; n++)
        h->readers[k].wants[n].spent = roll(h, 3) == 0;
    cache_read_end(h->cache, &h->readers[k].read);
    h->over++;
    h->life[k] = IDLE;
}

/* --- steps --------------------------------------------------------------------------------------- */

static void step_start(struct history *h, unsigned k)
{
    struct rig_read *r = &h->readers[k];
    unsigned n = 1 + roll(h, 4), first = roll(h, SEGMENTS - n + 1);

    rig_read_init(r, h->cache, &h->files[roll(h, FILES)], first, n);
    r->read.class = (enum traffic_class)roll(h, TRAFFIC_CLASSES);
    r->read.urgency = (enum urgency)roll(h, 3);
    r->read.stream = roll(h, 3);
    r->read.deadline_us = roll(h, 2) ? now_us + roll(h, 1000) + 1 : 0;
    for (unsigned j = 0; j < n; j++)
        r->wants[j].early = roll(h, 2) ? roll(h, r->file->part_size + 2) : 0;
    r->wants[0].header = roll(h, 4) == 0;
    if (r->wants[0].header)
        r->wants[0].early = 1;
    switch (rig_read_start(r)) {
    case CACHE_READY:
        h->life[k] = HELD;
        expect_that(h, atomic_load(&r->runs) == 0, "ready ran for a read that was ready");
        break;
    case CACHE_PENDING:
        h->life[k] = OUT;
        break;
    case CACHE_TOO_BIG:
        h->life[k] = IDLE;
        break;
    }
}

static void step_reader(struct history *h)
{
    unsigned k = roll(h, READERS);
    struct rig_read *r = &h->readers[k];

    switch (h->life[k]) {
    case IDLE:
        step_start(h, k);
        break;
    case OUT:
        if (roll(h, 4) == 0) {
            expect_that(h, cache_read_cancel(h->cache, &r->read), "a read out was not cancelled");
            h->life[k] = IDLE;
        }
        break;
    case HELD:
        expect_that(h, !cache_read_cancel(h->cache, &r->read), "a read that is over was cancelled");
        let_go(h, k);
        break;
    }
}

static void step_article(struct history *h)
{
    static const enum segment_result ends[] = {SEGMENT_MISSING, SEGMENT_CORRUPT, SEGMENT_FAILED,
                                               SEGMENT_TIMEOUT, SEGMENT_CANCELLED};
    unsigned out = scripted_source_out(h->source);
    struct segment_fetch *f;
    struct scripted_article a;
    struct segment_info info;

    if (out == 0)
        return;
    f = scripted_source_nth(h->source, roll(h, out));
    expect_that(h, scripted_article_parse(f->want.message_id, &a), "a fetch for no article");
    info = scripted_article_info(&a);
    switch (roll(h, 8)) {
    case 0: /* it claims another size */
        info.len = roll(h, 12) == 0 ? UINT32_MAX : info.len / 2 + roll(h, info.len * 2);
        if (scripted_source_begin(h->source, f, &info) == -ENOSPC)
            scripted_source_end(h->source, f, SEGMENT_NOSPACE);
        break;
    case 1: /* it begins, and goes on later or at another provider */
        if (scripted_source_begin(h->source, f, NULL) == 0)
            scripted_source_bring(h->source, f, info.len / 2);
        else
            (void)scripted_source_play(h->source, f);
        break;
    case 2:
        scripted_source_end(h->source, f, ends[roll(h, 5)]);
        break;
    default:
        (void)scripted_source_play(h->source, f);
        break;
    }
}

static void step_other(struct history *h)
{
    struct rig_file *f = &h->files[roll(h, FILES)];

    switch (roll(h, 8)) {
    case 0:
        cache_drop(h->cache, &f->file, roll(h, SEGMENTS));
        break;
    case 1:
        cache_ahead_drop(h->cache, &f->file, roll(h, 3));
        break;
    case 2:
        now_us += roll(h, 3000);
        break;
    case 3: /* the NZB's word is worth little */
        f->told = roll(h, 3) == 0 ? (uint32_t)h->dice : roll(h, 2 * f->part_size);
        break;
    default:
        (void)cache_ahead(h->cache, &f->file, roll(h, SEGMENTS), TRAFFIC_STREAMING,
                          URGENCY_READAHEAD, roll(h, 3));
        break;
    }
}

/* --- histories ----------------------------------------------------------------------------------- */

static void history_begin(struct history *h, uint64_t seed)
{
    memset(h, 0, sizeof(*h));
    h->seed = seed;
    h->dice = seed * 0x9E3779B97F4A7C15u + 1;

    struct cache_config cfg = {
        .budget = (4 + roll(h, 40)) * CACHE_CHUNK, .negative_us = 2000, .now_us = fake_now};

    h->source = scripted_source_new();
    h->cache = cache_new(&cfg, scripted_source_source(h->source));
    ck_assert_ptr_nonnull(h->source);
    ck_assert_ptr_nonnull(h->cache);
    for (unsigned k = 0; k < FILES; k++)
        rig_file_init(&h->files[k], k + 1, SEGMENTS,
                      (uint32_t)(1 + roll(h, (unsigned)(3 * CACHE_CHUNK))));
}

/** With honest articles and readers who let go, every read ends. */
static void history_settle(struct history *h)
{
    unsigned patience = 10000;
    bool out = true;

    while (out && patience-- > 0) {
        look_at_readers(h);
        out = scripted_source_out(h->source) > 0;
        for (unsigned k = 0; k < READERS; k++) {
            out = out || h->life[k] != IDLE;
            if (h->life[k] == HELD)
                let_go(h, k);
        }
        if (scripted_source_out(h->source) > 0)
            (void)scripted_source_play(h->source, scripted_source_nth(h->source, 0));
        expect_sound(h);
    }
    expect_that(h, !out, "a read does not end");
}

static void history_end(struct history *h)
{
    struct cache_stats s;

    for (unsigned k = 0; k < FILES; k++) {
        cache_forget(h->cache, &h->files[k].file);
        expect_that(h, atomic_load(&h->files[k].lied) == 0, "true bytes are called wrong");
    }
    expect_sound(h);
    cache_stats(h->cache, &s);
    expect_that(h, s.used == 0 && s.blocks == 0 && s.pinned == 0, "memory was lost");
    cache_free(h->cache);
    scripted_source_free(h->source);
    for (unsigned k = 0; k < FILES; k++)
        rig_file_fini(&h->files[k]);
}

static struct history h;

START_TEST(in_any_history_nothing_leaks_and_every_read_ends_once)
{
    unsigned over = 0;

    for (uint64_t seed = 1; seed <= HISTORIES; seed++) {
        history_begin(&h, seed);
        for (h.step = 0; h.step < STEPS; h.step++) {
            unsigned what = roll(&h, 10);

            if (what < 4)
                step_reader(&h);
            else if (what < 7)
                step_article(&h);
            else
                step_other(&h);
            look_at_readers(&h);
            expect_sound(&h);
        }
        history_settle(&h);
        over += h.over;
        history_end(&h);
    }
    ck_assert_uint_gt(over, HISTORIES * 20); /* it is not all cancelled */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cache/property");
    TCase *tcase = tcase_create("history");
    SRunner *runner;
    int failed;

    tcase_add_test(tcase, in_any_history_nothing_leaks_and_every_read_ends_once);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
