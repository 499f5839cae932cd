#include "tests/fs/reading.h"

#include "tests/lib/scripted_article.h"

#include <stdlib.h>

uint64_t fake_now_us;

uint64_t fake_now(void)
{
    return fake_now_us;
}

const struct rig_file uniform = {
    .name = "film.mkv", .seed = SEED, .size = 95500, .part_size = PART};

struct rig *rig;
struct fs_node *film;

void rig_of(const struct rig_file *f, struct config_mount mount, size_t budget)
{
    fake_now_us = 1000000;
    mount.read_timeout_s = 60;
    rig = rig_new(&(struct rig_config){
        .files = f, .nfiles = 1, .mount = mount, .budget = budget, .now_us = fake_now});
    film = rig_node(rig, f->name);
}

void setup(void)
{
    rig_of(&uniform, (struct config_mount){.readahead = 0}, 0);
}

void teardown(void)
{
    rig_free(rig);
}

static const uint32_t uneven_sizes[] = {3000, 9000, 100, 7000, 7000, 12000, 1, 4999, 20000, 6900};
const struct rig_file uneven = {
    .name = "uneven", .seed = SEED, .size = 70000, .part_sizes = uneven_sizes, .nparts = 10};

/* --- a read and what became of it ------------------------------------------------------------- */

unsigned ends;

static void on_done(struct fs_read *r)
{
    (void)r;
    ends++;
}

struct fs_read *reading(uint64_t off, uint32_t len)
{
    struct fs_read *r = fs_read_new(rig_fs(rig), film);
    r->off = off;
    r->len = len;
    r->done = on_done;
    ends = 0;
    return r;
}

/* Start it, serve what it asks for, and see it over. */
struct fs_read *read_over(struct fs_read *r)
{
    bool at_once = fs_read_start(r);
    while (!at_once && !ends)
        ck_assert_msg(rig_serve_one(rig), "it waits, and nothing is asked for");
    ck_assert_uint_eq(ends, at_once ? 0 : 1);
    return r;
}

void expect_bytes(struct fs_read *r, uint64_t off, size_t len)
{
    ck_assert_int_eq(r->err, 0);
    ck_assert_uint_eq(r->n, len);
    for (unsigned k = 0; k < r->niov; k++) {
        ck_assert(scripted_bytes_match(SEED, off, r->iov[k].iov_base, r->iov[k].iov_len));
        off += r->iov[k].iov_len;
        len -= r->iov[k].iov_len;
    }
    ck_assert_uint_eq(len, 0);
    fs_read_end(r);
}

void expect_error(struct fs_read *r, int err)
{
    ck_assert_int_eq(r->err, err);
    ck_assert_uint_eq(r->n, 0);
    fs_read_end(r);
}

uint64_t size_now(void)
{
    struct stat st;
    return fs_node_stat(rig_fs(rig), film, &st) ? (uint64_t)st.st_size : UINT64_MAX;
}

int reading_main(Suite *s, TCase *t)
{
    tcase_add_checked_fixture(t, setup, teardown);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
