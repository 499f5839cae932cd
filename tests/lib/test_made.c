/* What tests made is what they say it is. Whether it is RAR, ZIP and PAR2, independent readers judge. */
#include "tests/lib/made_source.h"
#include "tests/lib/par2maker.h"
#include "tests/lib/rarmaker.h"
#include "tests/lib/zipmaker.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const struct made_file files[] = {
    {.name = "film.bin", .seed = 1, .len = 100001, .mtime_s = 1700000000},
    {.name = "dir", .dir = true, .mtime_s = 1700000000},
    {.name = "dir/empty", .mtime_s = 1700000000},
    {.name = "dir/small.bin", .data = "0123456789", .len = 10, .mtime_s = 1700000000}};
#define NFILES 4u

/* Every byte of every stream is where the truth says, once. */
static void expect_truth(const struct made *m)
{
    uint8_t have[4096], want[4096];
    uint32_t p = 0;
    for (uint32_t f = 0; f < NFILES; f++) {
        uint64_t at = 0;
        for (; p < m->npieces && m->pieces[p].file == f; p++) {
            const struct made_piece *piece = &m->pieces[p];
            ck_assert_uint_eq(piece->at, at);
            for (uint64_t done = 0; done < piece->len; done += sizeof(have)) {
                size_t n =
                    piece->len - done < sizeof(have) ? (size_t)(piece->len - done) : sizeof(have);
                ck_assert_uint_eq(made_read(m, piece->volume, piece->off + done, have, n), n);
                made_content(&files[f], piece->at + done, want, n);
                ck_assert_mem_eq(have, want, n);
            }
            at += piece->len;
        }
        ck_assert_uint_eq(at, files[f].len);
    }
    ck_assert_uint_eq(p, m->npieces);
}

START_TEST(every_byte_is_where_the_truth_says)
{
    for (unsigned version = 4; version <= 5; version++) {
        struct rarmaker_options o = {.version = version, .volume_size = 7000};
        struct made *m = rarmaker_make(&o, files, NFILES);
        ck_assert_uint_ge(m->nvolumes, 15);
        for (uint32_t v = 0; v + 1 < m->nvolumes; v++)
            ck_assert_uint_eq(m->volumes[v].size, 7000);
        expect_truth(m);
        made_shuffle(m, 3);
        expect_truth(m);
        made_free(m);
    }
}
END_TEST

START_TEST(volumes_cut_anew_hold_the_same)
{
    struct zipmaker_options o = {.gap = 100};
    struct made *m = zipmaker_make(&o, files, NFILES);
    uint64_t size = m->volumes[0].size;
    uint8_t *whole = made_volume_bytes(m, 0), *part = NULL;
    made_cut(m, 3333);
    ck_assert_uint_eq(m->nvolumes, (size + 3332) / 3333);
    ck_assert_str_eq(m->volumes[1].name, "set.zip.002");
    for (uint32_t v = 0; v < m->nvolumes; v++) {
        part = made_volume_bytes(m, v);
        ck_assert_mem_eq(part, whole + (size_t)v * 3333, (size_t)m->volumes[v].size);
        free(part);
    }
    expect_truth(m);
    free(whole);
    made_free(m);
}
END_TEST

START_TEST(volumes_may_have_odd_sizes)
{
    static const uint64_t sizes[] = {5000, 9000, 777};
    struct rarmaker_options o = {.volume_size = 6000, .volume_sizes = sizes, .nvolume_sizes = 3};
    struct made *m = rarmaker_make(&o, files, NFILES);
    for (uint32_t v = 0; v + 1 < m->nvolumes; v++)
        ck_assert_uint_eq(m->volumes[v].size, v < 3 ? sizes[v] : 6000);
    expect_truth(m);
    made_free(m);
}
END_TEST

START_TEST(ten_gigabytes_cost_no_memory)
{
    const struct made_file big = {.name = "big.bin", .seed = 5, .len = (uint64_t)10 << 30};
    for (unsigned version = 4; version <= 5; version++) {
        struct rarmaker_options o = {
            .version = version, .volume_size = 100000000, .sum = RARMAKER_NO_SUM};
        struct made *m = rarmaker_make(&o, &big, 1);
        uint8_t have[100], want[100];
        const struct made_piece *last = &m->pieces[m->npieces - 1];
        ck_assert_uint_eq(m->nvolumes, 108);
        ck_assert_uint_eq(last->at + last->len, big.len);
        made_read(m, last->volume, last->off + last->len - 100, have, 100);
        made_content(&big, big.len - 100, want, 100);
        ck_assert_mem_eq(have, want, 100);
        made_free(m);
    }
}
END_TEST

START_TEST(the_same_seed_makes_the_same_bytes)
{
    struct rarmaker_options o = {.volume_size = 20000,
                                 .password = "secret",
                                 .encrypt_headers = true,
                                 .kdf_log2 = 4,
                                 .seed = 9};
    struct made *a = rarmaker_make(&o, files, NFILES), *b = rarmaker_make(&o, files, NFILES);
    o.seed = 10;
    struct made *c = rarmaker_make(&o, files, NFILES);
    uint8_t *x = made_volume_bytes(a, 1), *y = made_volume_bytes(b, 1),
            *z = made_volume_bytes(c, 1);
    ck_assert_mem_eq(x, y, 20000);
    ck_assert_mem_ne(x, z, 20000);
    free(x);
    free(y);
    free(z);
    made_free(a);
    made_free(b);
    made_free(c);
}
END_TEST

START_TEST(a_source_counts_the_articles_that_are_read)
{
    struct rarmaker_options o = {0};
    struct made *m = rarmaker_make(&o, files, NFILES);
    struct made_source *s = made_sources_new(m, 1000);
    uint8_t some[1500];
    s->hole_off = 50000;
    s->hole_len = 10;
    archive_bytes_want(&s->b, 0, 1);
    ck_assert_int_eq(archive_bytes_read(&s->b, 500, some, 1500), 1500);
    ck_assert_uint_eq(s->nparts, 2);
    ck_assert_uint_eq(s->nunwanted, 1);
    ck_assert_int_eq(archive_bytes_read(&s->b, 49000, some, 1500), -EIO);
    ck_assert_int_eq(archive_bytes_read(&s->b, m->volumes[0].size, some, 1), 0);
    ck_assert_uint_eq(s->nparts, 2);
    made_sources_free(s, 1);
    made_free(m);
}
END_TEST

START_TEST(descriptions_have_the_names_before_they_were_hidden)
{
    struct rarmaker_options o = {.volume_size = 30000, .seed = 2};
    struct made *m = rarmaker_make(&o, files, NFILES);
    struct par2maker_options p = {.recovery = 2, .slice = 1000, .broken = true};
    struct made *par2 = par2maker_make(&p, m);
    made_obfuscate(m, 1);
    ck_assert_uint_eq(par2->nvolumes, 3);
    ck_assert_str_eq(par2->volumes[2].name, "set.vol1+2.par2");
    ck_assert_uint_eq(strlen(m->volumes[0].name), 32);
    uint8_t *all = made_volume_bytes(par2, 2);
    size_t len = (size_t)par2->volumes[2].size;
    ck_assert_mem_eq(all, "PAR2\0PKT", 8);
    ck_assert_ptr_nonnull(memmem(all, len, "set.part1.rar", 13));
    ck_assert_ptr_nonnull(memmem(all, len, "PAR 2.0\0RecvSlic", 16));
    free(all);
    made_free(par2);
    made_free(m);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("lib/made");
    TCase *tc = tcase_create("made");
    tcase_add_test(tc, every_byte_is_where_the_truth_says);
    tcase_add_test(tc, volumes_cut_anew_hold_the_same);
    tcase_add_test(tc, volumes_may_have_odd_sizes);
    tcase_add_test(tc, ten_gigabytes_cost_no_memory);
    tcase_add_test(tc, the_same_seed_makes_the_same_bytes);
    tcase_add_test(tc, a_source_counts_the_articles_that_are_read);
    tcase_add_test(tc, descriptions_have_the_names_before_they_were_hidden);
    suite_add_tcase(s, tc);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
