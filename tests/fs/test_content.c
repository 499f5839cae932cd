/* Reads of files that are in what was posted. */
#include "tests/fs/setrig.h"
#include "tests/lib/rarmaker.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define MIB ((uint32_t)1 << 20)

static struct made *made;
static struct setrig *rig;
static struct fs *fs;
static uint8_t buf[MIB + 64];

static void rig_of(const struct rarmaker_options *o, const struct made_file *files, uint32_t n,
                   struct setrig_config cfg)
{
    made = rarmaker_make(o, files, n);
    cfg.made = made;
    cfg.password = o->password;
    rig = setrig_new(&cfg);
    fs = setrig_fs(rig);
}

static void teardown(void)
{
    setrig_free(rig);
    made_free(made);
}

static struct fs_node *node(const char *path)
{
    int err;
    struct fs_node *n = setrig_node(rig, path, &err);
    ck_assert_msg(n != NULL, "%s: %s", path, strerror(err));
    return n;
}

/* Of file 0 of the set: what it has there. */
static void expect(struct fs_node *n, uint64_t off, uint32_t len)
{
    uint64_t size = made->files[0].len;
    uint64_t want = off >= size ? 0 : len < size - off ? len : size - off;
    ssize_t got = fs_read_wait(fs, n, NULL, buf, len, off);
    ck_assert_msg(got == (ssize_t)want, "%zd at %llu, not %llu", got, (unsigned long long)off,
                  (unsigned long long)want);
    ck_assert(!want || setrig_match(made, 0, off, buf, (size_t)want));
}

START_TEST(a_read_over_many_tiny_volumes_gives_all_bytes)
{
    const struct made_file film = {.name = "film.mkv", .len = 2500000, .seed = 3};
    rig_of(&(struct rarmaker_options){.volume_size = 30000}, &film, 1, (struct setrig_config){0});
    struct fs_node *n = node("film.mkv");
    expect(n, 0, MIB);
    expect(n, 777777, MIB);
    expect(n, 2500000 - 1000, MIB);
    expect(n, 2499999, 1);
    teardown();
}
END_TEST

START_TEST(behind_the_end_there_is_nothing)
{
    const struct made_file film = {.name = "film.mkv", .len = 100001, .seed = 3};
    rig_of(&(struct rarmaker_options){.volume_size = 30000}, &film, 1, (struct setrig_config){0});
    struct fs_node *n = node("film.mkv");
    expect(n, 100000, 10);
    expect(n, 100001, 10);
    expect(n, UINT64_MAX - 3, 3);
    expect(n, UINT64_MAX - 3, MIB);
    teardown();
}
END_TEST

START_TEST(the_longest_read_of_an_encrypted_file_is_answered)
{
    const struct made_file film = {.name = "film.mkv", .len = 5000000, .seed = 3};
    for (unsigned version = 4; version <= 5; version++) {
        rig_of(&(struct rarmaker_options){.version = version,
                                          .volume_size = 4000000,
                                          .password = "secret"},
               &film, 1, (struct setrig_config){.part_size = 300000});
        struct fs_node *n = node("film.mkv");
        expect(n, 65536, MIB);
        expect(n, 65537, MIB);
        expect(n, 3500001, MIB);
        expect(n, 4000000, MIB);
        teardown();
    }
}
END_TEST

START_TEST(where_a_volumes_first_article_lacks_the_rest_of_it_is_read)
{
    const struct made_file film = {.name = "film.mkv", .len = 900000, .seed = 3};
    for (unsigned early = 0; early < 2; early++) {
        rig_of(&(struct rarmaker_options){.volume_size = 100000}, &film, 1,
               (struct setrig_config){.mount = {.early = early}});
        struct fs_node *n = node("film.mkv");
        setrig_rule(rig, 4, 1, SETRIG_MISSING);
        const struct made_piece *p = &made->pieces[4];
        ck_assert_uint_eq(p->volume, 4);
        uint64_t lacks = 20000 - p->off; /* of its data */
        expect(n, p->at + lacks + 30000, 1000);
        expect(n, p->at + lacks, 40000);
        ck_assert_int_eq(fs_read_wait(fs, n, NULL, buf, 10, p->at + lacks - 10), -EIO);
        ck_assert_int_eq(fs_read_wait(fs, n, NULL, buf, MIB, 0), (ssize_t)p->at);
        expect(n, p->at + p->len, MIB);
        uint64_t asked = setrig_asked(rig, 4);
        for (unsigned k = 0; k < 20; k++)
            expect(n, p->at + lacks + 1000 * k, 1000);
        ck_assert_uint_eq(setrig_asked(rig, 4), asked); /* it is known now */
        teardown();
    }
}
END_TEST

/* --- a player ----------------------------------------------------------------------------------- */

static unsigned waits;

struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool over;
};

static void on_end(struct fs_read *r)
{
    struct waiter *w = r->arg;
    pthread_mutex_lock(&w->lock);
    w->over = true;
    pthread_cond_signal(&w->cond);
    pthread_mutex_unlock(&w->lock);
}

/* A read for `h`; all that it and its readahead ask for is there before the next. */
static void play(struct fs_handle *h, struct fs_node *n, uint64_t off, uint32_t len)
{
    struct waiter w = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
    struct fs_read *r = fs_read_new(fs, n);
    r->handle = h;
    r->off = off;
    r->len = len;
    r->arg = &w;
    r->done = on_end;
    if (!fs_read_start(r)) {
        waits++;
        pthread_mutex_lock(&w.lock);
        while (!w.over)
            pthread_cond_wait(&w.cond, &w.lock);
        pthread_mutex_unlock(&w.lock);
    }
    ck_assert_int_eq(r->err, 0);
    ck_assert_uint_eq(r->n, len);
    fs_read_end(r);
    setrig_settle(rig);
}

START_TEST(a_player_does_not_wait_where_a_volume_begins)
{
    const struct made_file film = {.name = "film.mkv", .len = 20000000, .seed = 3};
    rig_of(&(struct rarmaker_options){.volume_size = 1000000}, &film, 1,
           (struct setrig_config){
               .part_size = 100000, .budget = (size_t)32 << 20, .mount = {.readahead = 4 << 20}});
    struct fs_node *n = node("film.mkv");
    struct fs_handle *h = fs_handle_open(fs, n);
    waits = 0;
    for (uint64_t off = 0; off < film.len; off += 100000)
        play(h, n, off, 100000);
    ck_assert_uint_le(waits, 4);
    fs_handle_close(h);
    teardown();
}
END_TEST

START_TEST(what_is_read_ahead_in_many_tiny_volumes_is_dropped_when_it_is_closed)
{
    const struct made_file film = {.name = "film.mkv", .len = 9000000, .seed = 3};
    rig_of(&(struct rarmaker_options){.volume_size = 30000}, &film, 1,
           (struct setrig_config){.budget = (size_t)8 << 20, .mount = {.readahead = 4 << 20}});
    struct fs_node *n = node("film.mkv");
    for (uint64_t off = 0; off < film.len;
         off += MIB) /* where volumes begin is known from here on */
        expect(n, off, MIB);
    struct fs_handle *h = fs_handle_open(fs, n);
    struct fs_stream *streams;
    size_t nstreams;
    ck_assert_int_eq(fs_streams(fs, &streams, &nstreams), 0);
    ck_assert_uint_eq(nstreams, 1);
    struct cache_look look = {.stream = streams[0].number};
    free(streams);
    waits = 0;
    for (uint64_t off = 0; off < 6000000; off += 50000)
        play(h, n, off, 50000);
    ck_assert_uint_le(waits, 10);
    cache_looks(setrig_cache(rig), &look, 1);
    ck_assert_uint_gt(look.ready, 30000u * 20);
    play(h, n, 100000, 50000); /* a seek back */
    play(h, n, 150000, 50000);
    play(h, n, 200000, 50000);
    fs_handle_close(h);
    look = (struct cache_look){.stream = look.stream};
    cache_looks(setrig_cache(rig), &look, 1);
    ck_assert_uint_eq(look.ready + look.coming, 0);
    teardown();
}
END_TEST

/* --- any set, any read, any failure ------------------------------------------------------------- */

static uint64_t dice_state;

static uint64_t dice(uint64_t below)
{
    dice_state = dice_state * 6364136223846793005u + 1442695040888963407u;
    return (dice_state >> 24) % below;
}

static struct rarmaker_options some_options(bool *encrypted)
{
    struct rarmaker_options o = {.version = 4 + (unsigned)dice(2),
                                 .volume_size = dice(5) ? 9000 + dice(60000) : 0,
                                 .naming = (enum rarmaker_naming)dice(3),
                                 .seed = dice(1000000),
                                 .kdf_log2 = 5,
                                 .recovery = dice(3) ? 0 : 900};
    *encrypted = !dice(3);
    if (*encrypted) {
        o.password = "secret";
        o.encrypt_headers = dice(2);
        o.salt_each = dice(2);
    }
    return o;
}

/* Where the byte `at` of the stream of `file` was posted. */
static const struct made_piece *piece_at(uint32_t file, uint64_t at)
{
    for (uint32_t k = 0; k < made->npieces; k++) {
        const struct made_piece *p = &made->pieces[k];
        if (p->file == file && at >= p->at && at < p->at + p->len)
            return p;
    }
    return NULL;
}

/* A read of [off, off+len): right up to where an article lacks. */
static void check_read(struct fs_node *n, uint32_t file, uint64_t off, uint32_t len,
                       uint32_t part_size, uint32_t lack_volume, uint32_t lack_part, bool encrypted)
{
    uint64_t size = made->files[file].len;
    uint64_t want = off >= size ? 0 : len < size - off ? len : size - off;
    uint64_t from = off, to = off + want;
    if (encrypted) {
        from = from / 16 * 16;
        from -= from ? 16 : 0;
        to = (to + 15) / 16 * 16;
    }
    uint64_t lack = UINT64_MAX; /* the first byte of the stream that is not there */
    for (uint64_t at = from; want && at < to && lack == UINT64_MAX;) {
        const struct made_piece *p = piece_at(file, at);
        ck_assert_ptr_nonnull(p);
        uint64_t in = p->off + (at - p->at), part = in / part_size + 1;
        if (p->volume == lack_volume && part == lack_part)
            lack = at;
        uint64_t next = p->at + (part * part_size - p->off);
        at = part * part_size - p->off < p->len ? next : p->at + p->len;
    }
    ssize_t got = fs_read_wait(fs, n, NULL, buf, len, off);
    if (lack == UINT64_MAX) {
        ck_assert_msg(got == (ssize_t)want, "%zd, not %llu", got, (unsigned long long)want);
    } else {
        if (encrypted) /* a block that is not whole says nothing */
            lack = lack / 16 * 16;
        uint64_t good = lack > off ? lack - off : 0;
        ck_assert_msg(good ? got == (ssize_t)good : got == -EIO, "%zd, not %llu", got,
                      (unsigned long long)good);
    }
    ck_assert(got <= 0 || setrig_match(made, file, off, buf, (size_t)got));
}

START_TEST(any_read_gives_the_bytes_or_an_error_where_an_article_lacks)
{
    for (unsigned round = 0; round < 40; round++) {
        bool encrypted;
        dice_state = (uint64_t)_i * 1000 + round + 1;
        struct rarmaker_options o = some_options(&encrypted);
        struct made_file files[3] = {{.name = "film.mkv", .len = dice(600000), .seed = 3},
                                     {.name = "sub/empty.txt", .len = 0},
                                     {.name = "sub/other.bin", .len = dice(200000), .seed = 5}};
        uint32_t part_size = 3000 + (uint32_t)dice(30000);
        rig_of(&o, files, 3,
               (struct setrig_config){.part_size = part_size,
                                      .budget = dice(2) ? 0 : (size_t)3 << 20,
                                      .mount = {.early = dice(2)}});
        struct fs_node *n[3] = {node("film.mkv"), node("sub/empty.txt"), node("sub/other.bin")};
        uint32_t v = (uint32_t)dice(made->nvolumes), part = 0;
        uint64_t parts = (made->volumes[v].size + part_size - 1) / part_size;
        if (dice(4))
            part = 1 + (uint32_t)dice(parts);
        if (part && setrig_was_asked(rig, v, part)) /* then it is there */
            part = 0;
        if (part)
            setrig_rule(rig, v, part, SETRIG_MISSING);
        for (unsigned k = 0; k < 60; k++) {
            uint32_t file = dice(10) ? (dice(2) ? 0 : 2) : 1;
            uint64_t off = dice(files[file].len + 20);
            uint32_t len = 1 + (uint32_t)dice(dice(4) ? 50000 : MIB);
            check_read(n[file], file, off, len, part_size, v, part, encrypted);
        }
        teardown();
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("fs/content");
    TCase *t = tcase_create("content");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, a_read_over_many_tiny_volumes_gives_all_bytes);
    tcase_add_test(t, behind_the_end_there_is_nothing);
    tcase_add_test(t, the_longest_read_of_an_encrypted_file_is_answered);
    tcase_add_test(t, where_a_volumes_first_article_lacks_the_rest_of_it_is_read);
    tcase_add_test(t, a_player_does_not_wait_where_a_volume_begins);
    tcase_add_test(t, what_is_read_ahead_in_many_tiny_volumes_is_dropped_when_it_is_closed);
    tcase_add_loop_test(t, any_read_gives_the_bytes_or_an_error_where_an_article_lacks, 0, 3);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
