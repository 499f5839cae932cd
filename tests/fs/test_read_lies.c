/* Property: whatever articles say and bring before they are found out, in whatever order.
 *
 * A story has a few readers of one file and a source all of whose attempts may lie (in their header, in their bytes,
 * or both) but for those that end well, for these have been proven. The kernel is played by one bit for each byte of
 * the file: wrong bytes that it was given and not told to forget; and by the size that it was given. */
#include "tests/fs/reading.h"

#include "fs/internal.h"
#include "tests/lib/scripted_article.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define READERS 6
#define STORIES 600
#define STEPS   120

struct reader {
    struct fs_read *read; /* NULL: none */
    bool over;
};

static struct story {
    uint64_t seed, dice;
    bool places; /* headers lie about places as well */
    struct reader readers[READERS];
    bool wrong[100000];             /* bytes that the kernel holds */
    bool wrong_size;                /* it holds a wrong size */
    struct segment_fetch *lies[16]; /* fetches whose attempt under way must not end well */
} now;

static struct {
    unsigned long early, wrong_bytes, wrong_sizes, errors, dropped, done;
} seen;

static uint32_t roll(uint32_t n)
{
    now.dice = now.dice * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(now.dice >> 33) % n;
}

/* --- the kernel -------------------------------------------------------------------------------- */

static void drop(void *arg, uint64_t ino, uint64_t begin, uint64_t end)
{
    (void)arg;
    (void)ino;
    now.wrong_size = false;
    for (uint64_t k = begin; k < end && k < sizeof(now.wrong); k++)
        now.wrong[k] = false;
    seen.dropped++;
}

static void forget(void)
{
    struct fs_disown *d = &rig_fs(rig)->disown;
    if (list_is_empty(&d->entries)) /* nobody adds while nothing happens */
        return;
    ck_assert_int_eq(fs_disown_start(d, drop, NULL), 0);
    for (bool empty = false; !empty; sched_yield()) {
        pthread_mutex_lock(&d->lock);
        empty = list_is_empty(&d->entries);
        pthread_mutex_unlock(&d->lock);
    }
    fs_disown_stop(d);
    fs_disown_join(d);
}

/* --- readers ----------------------------------------------------------------------------------- */

static bool byte_is_right(uint64_t off, const void *p)
{
    return scripted_bytes_match(SEED, off, p, 1);
}

/* A proven read is right; of an early one, each segment that was read to its last byte, unless its header lies about
 * where that is. */
static void bytes_look(const struct fs_read *r)
{
    uint64_t off = r->off, end = r->off + r->n;
    for (unsigned k = 0; k < r->niov; k++) {
        const char *p = r->iov[k].iov_base;
        if (scripted_bytes_match(SEED, off, p, r->iov[k].iov_len)) {
            off += r->iov[k].iov_len;
            continue;
        }
        for (size_t j = 0; j < r->iov[k].iov_len; j++, off++) {
            if (byte_is_right(off, p + j))
                continue;
            uint64_t last = (off / PART + 1) * PART;
            last = last < uniform.size ? last : uniform.size;
            if (!r->early || (!now.places && end >= last))
                ck_abort_msg("story %lu: a wrong byte at %lu of [%lu, %lu)", now.seed, off, r->off,
                             end);
            now.wrong[off] = true;
            seen.wrong_bytes++;
        }
    }
}

static void reader_look(struct reader *x)
{
    struct fs_read *r = x->read;
    seen.done++;
    seen.errors += r->err != 0;
    if (!r->err) {
        ck_assert(r->unproven ? r->early : r->size == uniform.size);
        if (r->unproven && r->size != uniform.size) {
            now.wrong_size = true;
            seen.wrong_sizes++;
        }
        seen.early += r->unproven;
        uint64_t left = r->off < uniform.size ? uniform.size - r->off : 0;
        ck_assert_uint_eq(r->n, r->len < left ? r->len : left);
        bytes_look(r);
    }
    x->over = true;
}

static void on_end(struct fs_read *r)
{
    reader_look(r->arg);
}

static void reader_start(struct reader *x)
{
    static const uint32_t lens[] = {0, 1, 500, 4096, PART, 2 * PART + 7};
    x->over = false;
    x->read = fs_read_new(rig_fs(rig), film);
    x->read->len = lens[roll(6)];
    x->read->off = roll(4) ? roll(10) * PART + roll(3) * 1000 : 0;
    x->read->early = roll(4) > 0;
    x->read->done = on_end;
    x->read->arg = x;
    if (fs_read_start(x->read))
        reader_look(x);
}

static void reader_end(struct reader *x)
{
    fs_read_end(x->read);
    x->read = NULL;
}

/* --- articles ---------------------------------------------------------------------------------- */

static struct segment_fetch **lie_of(const struct segment_fetch *f)
{
    for (unsigned k = 0; k < 16; k++)
        if (now.lies[k] == f)
            return &now.lies[k];
    return NULL;
}

static void lie_note(const struct segment_fetch *f, struct segment_fetch *as)
{
    struct segment_fetch **lie = lie_of(f);
    ck_assert_ptr_nonnull(lie);
    if (lie)
        *lie = as;
}

static void end_as(struct segment_fetch *f, enum segment_result r)
{
    struct segment_fetch **lie = lie_of(f);
    if (lie)
        *lie = NULL;
    scripted_source_end(rig_source(rig), f, r);
    forget();
}

static struct segment_info lie_about(const struct segment_fetch *f)
{
    struct scripted_article a;
    ck_assert(scripted_article_parse(f->want.message_id, &a));
    struct segment_info info = scripted_article_info(&a);
    switch (now.places ? roll(5) : roll(2) * 4) {
    case 0: /* a file of another size */
        info.file_size = info.begin + info.len + roll(200000);
        break;
    case 1: /* and of other parts */
        info.len = 1 + roll(2 * PART);
        info.begin = (uint64_t)(info.part - 1) * info.len;
        info.file_size = info.begin + info.len + roll(100000);
        break;
    case 2: /* another part of it */
        info.begin = (info.begin + PART) % (9 * (uint64_t)PART);
        info.len = PART;
        break;
    case 3:
        info.len = info.len / 2 + 1;
        break;
    default: /* true but for its bytes */
        break;
    }
    return info;
}

static void attempt_begin(struct segment_fetch *f, bool lies)
{
    struct segment_info lie;
    if (lies) {
        lie = lie_about(f);
        if (!lie_of(f))
            lie_note(NULL, f);
    } else if (lie_of(f)) {
        lie_note(f, NULL);
    }
    scripted_source_spoil(rig_source(rig), f, lies && roll(2));
    int rc = scripted_source_begin(rig_source(rig), f, lies ? &lie : NULL);
    if (rc == -ECANCELED)
        end_as(f, SEGMENT_CANCELLED);
    else if (rc == -ENOSPC)
        end_as(f, SEGMENT_NOSPACE);
    else if (rc == -EBADMSG && roll(3) == 0)
        end_as(f, SEGMENT_CORRUPT);
    else if (rc == -EBADMSG)
        attempt_begin(f, false);
}

static void article_step(struct segment_fetch *f, bool honest)
{
    struct scripted_fetch look = scripted_source_look(rig_source(rig), f);
    if (look.withdrawn) {
        end_as(f, SEGMENT_CANCELLED);
    } else if (!look.begun || (honest && lie_of(f)) || (!honest && roll(8) == 0)) {
        attempt_begin(f, !honest && roll(2));
    } else if (!honest && roll(3)) {
        scripted_source_bring(rig_source(rig), f, 1 + roll(PART));
    } else if (lie_of(f)) {
        static const enum segment_result bad[] = {SEGMENT_CORRUPT, SEGMENT_FAILED, SEGMENT_MISSING,
                                                  SEGMENT_TIMEOUT};
        end_as(f, bad[roll(4)]);
    } else {
        scripted_source_bring(rig_source(rig), f, SIZE_MAX);
        end_as(f, SEGMENT_DONE);
    }
}

/* --- stories ----------------------------------------------------------------------------------- */

static void step(void)
{
    struct reader *x = &now.readers[roll(READERS)];
    unsigned out = scripted_source_out(rig_source(rig));
    if (roll(3) == 0 && !x->read)
        reader_start(x);
    else if (roll(3) == 0 && x->read && x->over)
        reader_end(x);
    else if (out)
        article_step(scripted_source_nth(rig_source(rig), roll(out)), false);
    if (roll(10) == 0)
        fake_now_us += UINT64_C(3600) * 1000000; /* failures are forgotten */
    uint64_t size = size_now();
    ck_assert_msg(size == UINT64_MAX || size == uniform.size,
                  "story %lu: a size of %lu is believed", now.seed, size);
}

/* From here on all articles are true: every read ends, and nothing wrong is left anywhere. */
static void settle(void)
{
    struct segment_fetch *f;
    for (unsigned k = 0; (f = scripted_source_nth(rig_source(rig), 0)); k++) {
        ck_assert_msg(k < 1000, "story %lu does not come to an end", now.seed);
        article_step(f, true);
        for (unsigned j = 0; j < READERS; j++)
            if (now.readers[j].read && now.readers[j].over)
                reader_end(&now.readers[j]);
    }
    for (unsigned j = 0; j < READERS; j++)
        if (now.readers[j].read) {
            ck_assert_msg(now.readers[j].over, "story %lu: a read hangs", now.seed);
            reader_end(&now.readers[j]);
        }
    ck_assert_msg(!now.wrong_size, "story %lu: a wrong size is left", now.seed);
    const bool *wrong = memchr(now.wrong, true, sizeof(now.wrong));
    if (wrong) /* one assertion, not one for each byte */
        ck_abort_msg("story %lu: a wrong byte is left at %td", now.seed, wrong - now.wrong);
}

START_TEST(no_lie_survives_its_article)
{
    const char *one = getenv("NZBFS_STORY");
    uint64_t first = one ? strtoull(one, NULL, 10) : 1, last = one ? first : STORIES;
    for (uint64_t seed = first; seed <= last; seed++) {
        memset(&now, 0, sizeof(now));
        now.seed = seed;
        now.places = seed % 2;
        now.dice = seed * 0x9E3779B97F4A7C15u;
        teardown();
        setup();
        for (unsigned k = 0; k < STEPS; k++)
            step();
        settle();
        fake_now_us += UINT64_C(3600) * 1000000;
        fs_read_end(read_over(reading(0, 0)));
        ck_assert_uint_eq(size_now(), uniform.size);
    }
    ck_assert_msg(one || (seen.wrong_sizes > 10 && seen.wrong_bytes > 1000 && seen.dropped > 10),
                  "%lu reads: %lu with an unproven size, of which %lu wrong; %lu errors; %lu wrong "
                  "bytes; taken back %lu times",
                  seen.done, seen.early, seen.wrong_sizes, seen.errors, seen.wrong_bytes,
                  seen.dropped);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("fs/read_lies");
    TCase *t = tcase_create("lies");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, no_lie_survives_its_article);
    return reading_main(s, t);
}
