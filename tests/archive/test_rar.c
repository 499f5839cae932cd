#include "tests/archive/rar_opened.h"

#include <check.h>
#include <stdlib.h>

/* Opened in every way: by names, thoroughly, with the names telling nothing. */
static void expect_every_way(const struct rarmaker_options *o, const struct made_file *files,
                             uint32_t n)
{
    for (unsigned way = 0; way < 4; way++) {
        struct made *m = rarmaker_make(o, files, n);
        struct opened x;
        if (way == 3)
            made_shuffle(m, o->seed + 5);
        opened_init(&x, m, o->password);
        opened_read(&x, way < 2, way == 1);
        opened_expect_whole(&x);
        opened_fini(&x);
    }
}

#define SOME(a) (uint32_t)(sizeof(a) / sizeof((a)[0]))

static const struct made_file several[] = {
    {.name = "dir", .dir = true, .mtime_s = 1600000000},
    {.name = "dir/a film.mkv", .len = 50000, .seed = 1, .mtime_s = 1600000000},
    {.name = "dir/empty.txt", .mtime_s = 1500000000},
    {.name = "dir/übergröße 日本 😀.srt", .len = 333, .seed = 2, .mtime_s = 1400000002},
    {.name = "last.bin", .len = 20001, .seed = 3, .mtime_s = 1300000000},
};

START_TEST(a_single_volume_shows_its_files)
{
    for (unsigned version = 4; version <= 5; version++)
        expect_every_way(&(struct rarmaker_options){.version = version}, several, SOME(several));
}
END_TEST

START_TEST(files_go_on_over_volumes)
{
    for (unsigned version = 4; version <= 5; version++)
        for (uint64_t size = 700; size < 30000; size = size * 3 / 2 + 13)
            expect_every_way(&(struct rarmaker_options){.version = version, .volume_size = size},
                             several, SOME(several));
}
END_TEST

START_TEST(blocks_of_no_use_are_passed_over)
{
    for (unsigned version = 4; version <= 5; version++)
        for (unsigned bits = 0; bits < 256; bits++) {
            struct rarmaker_options o = {.version = version,
                                         .volume_size = 8000,
                                         .comment = bits & 1 ? "a comment" : NULL,
                                         .recovery = bits & 2 ? 900 : 0,
                                         .locator = bits & 4 && version == 5,
                                         .quick_open = bits & 8 && version == 5,
                                         .service = bits & 16,
                                         .records = bits & 32 && version == 5,
                                         .solid = bits & 64,
                                         .windows = bits & 128,
                                         .old_blocks = bits & 8 && version == 4,
                                         .large = bits & 4 && version == 4,
                                         .seed = bits};
            expect_every_way(&o, several, SOME(several));
        }
}
END_TEST

START_TEST(encrypted_data_and_headers_open_with_the_password)
{
    for (unsigned version = 4; version <= 5; version++)
        for (unsigned bits = 0; bits < 16; bits++) {
            struct rarmaker_options o = {.version = version,
                                         .volume_size = 9000,
                                         .password = "geheim é",
                                         .encrypt_headers = bits & 1,
                                         .no_check = bits & 2 && version == 5,
                                         .tweaked = bits & 4 && version == 5,
                                         .salt_each = bits & 8,
                                         .kdf_log2 = version == 5 ? 5 : 0,
                                         .seed = bits};
            if (version == 4 && bits & 6)
                continue;
            expect_every_way(&o, several, SOME(several));
        }
}
END_TEST

START_TEST(times_have_their_fractions)
{
    const struct made_file f = {
        .name = "x", .len = 10, .mtime_s = 1234567891, .mtime_ns = 987654300};
    for (unsigned k = 0; k < 4; k++) {
        struct rarmaker_options o = {.version = 4 + k % 2, .precise_times = true, .windows = k / 2};
        struct opened x;
        opened_init(&x, rarmaker_make(&o, &f, 1), NULL);
        opened_read(&x, true, false);
        opened_expect_whole(&x);
        ck_assert_uint_eq(x.set.members[0].mtime_ns, 987654300);
        opened_fini(&x);
    }
}
END_TEST

START_TEST(sums_are_those_of_the_whole_member)
{
    const struct made_file f = {.name = "x", .data = "123456789", .len = 9};
    for (unsigned version = 4; version <= 5; version++) {
        struct rarmaker_options o = {.version = version};
        struct opened x;
        opened_init(&x, rarmaker_make(&o, &f, 1), NULL);
        opened_read(&x, true, false);
        ck_assert_int_eq(x.set.members[0].sum_kind, ARCHIVE_SUM_CRC32);
        ck_assert_mem_eq(x.set.members[0].sum, "\x26\x39\xf4\xcb", 4);
        opened_fini(&x);
    }
    /* A sum that depends on the key says nothing about what is shown. */
    struct rarmaker_options o = {.password = "p", .tweaked = true, .kdf_log2 = 1};
    struct opened x;
    opened_init(&x, rarmaker_make(&o, &f, 1), "p");
    opened_read(&x, true, false);
    ck_assert_int_eq(x.set.members[0].why, ARCHIVE_OK);
    ck_assert_int_eq(x.set.members[0].sum_kind, ARCHIVE_SUM_NONE);
    opened_fini(&x);
}
END_TEST

START_TEST(blake2_is_told_where_there_is_no_crc)
{
    struct rarmaker_options o = {.sum = RARMAKER_BLAKE2SP, .volume_size = 8000};
    struct opened x;
    opened_init(&x, rarmaker_make(&o, several, SOME(several)), NULL);
    opened_read(&x, true, false);
    opened_expect_whole(&x);
    ck_assert_int_eq(opened_member(&x, "last.bin")->sum_kind, ARCHIVE_SUM_BLAKE2SP);
    opened_fini(&x);
}
END_TEST

START_TEST(stored_members_are_fine_beside_compressed_ones)
{
    const struct made_file files[] = {
        {.name = "stored.mkv", .len = 30000, .seed = 1},
        {.name = "small.txt", .len = 20000, .seed = 2, .compressed = true},
        {.name = "stored too.mkv", .len = 30000, .seed = 3},
    };
    for (unsigned version = 4; version <= 5; version++)
        expect_every_way(&(struct rarmaker_options){.version = version, .volume_size = 7000}, files,
                         SOME(files));
}
END_TEST

START_TEST(sizes_that_are_not_told_are_summed)
{
    const struct made_file files[] = {
        {.name = "a", .len = 30000, .seed = 1, .unknown_size = true},
        {.name = "b", .len = 20000, .seed = 2},
    };
    for (unsigned version = 4; version <= 5; version++)
        expect_every_way(&(struct rarmaker_options){.version = version, .volume_size = 7000}, files,
                         SOME(files));
}
END_TEST

START_TEST(links_are_left_out)
{
    const struct made_file files[] = {
        {.name = "a", .len = 3000, .seed = 1},
        {.name = "l", .link = "a"},
        {.name = "b", .len = 2000, .seed = 2},
    };
    expect_every_way(&(struct rarmaker_options){.volume_size = 1000}, files, SOME(files));
}
END_TEST

START_TEST(a_marker_behind_a_program_is_found)
{
    for (unsigned version = 4; version <= 5; version++) {
        struct rarmaker_options o = {.version = version, .sfx = 200000};
        expect_every_way(&o, several, SOME(several));
        o.volume_size = 210000;
        const struct made_file f = {.name = "f", .len = 900000, .seed = 4};
        expect_every_way(&o, &f, 1);
    }
}
END_TEST

START_TEST(sets_without_end_blocks_or_numbers_are_read_by_their_names)
{
    for (unsigned k = 0; k < 8; k++) {
        struct rarmaker_options o = {.version = 4 + k % 2,
                                     .volume_size = 9000,
                                     .no_end = k & 2,
                                     .no_numbers = k & 4,
                                     .utf8_names = k % 2 == 0,
                                     .naming = RARMAKER_OLD};
        for (unsigned thorough = 0; thorough < 2; thorough++) {
            struct opened x;
            opened_init(&x, rarmaker_make(&o, several, SOME(several)), NULL);
            opened_read(&x, true, thorough);
            opened_expect_whole(&x);
            opened_fini(&x);
        }
    }
}
END_TEST

START_TEST(more_than_127_volumes_have_longer_numbers)
{
    const struct made_file f = {.name = "f", .len = 900000, .seed = 4};
    for (unsigned k = 0; k < 4; k++) {
        struct rarmaker_options o = {.version = 4 + k % 2, .volume_size = 1000, .kdf_log2 = 1};
        if (k / 2)
            o.password = "p";
        o.encrypt_headers = k / 2;
        struct opened x;
        opened_init(&x, rarmaker_make(&o, &f, 1), o.password);
        ck_assert_uint_gt(x.m->nvolumes, 900);
        opened_read(&x, true, false);
        opened_expect_whole(&x);
        uint32_t volumes, n = opened_articles(&x, &volumes);
        ck_assert_uint_eq(volumes, 3);
        ck_assert_uint_eq(n, 3);
        opened_fini(&x);
        if (o.encrypt_headers)
            continue;
        expect_every_way(&o, &f, 1);
    }
}
END_TEST

START_TEST(it_is_told_by_its_marker)
{
    ck_assert(archive_rar.is((const uint8_t *)"Rar!\x1a\7\0\x90\x90\x90\x90\x90\x90\x90\x90", 16));
    ck_assert(archive_rar.is((const uint8_t *)"Rar!\x1a\7\1\0\x90\x90\x90\x90\x90\x90\x90", 16));
    ck_assert(!archive_rar.is((const uint8_t *)"Rar!\x1a\7\2\0\x90\x90\x90\x90\x90\x90\x90", 16));
    ck_assert(!archive_rar.is((const uint8_t *)"x Rar!\x1a\7\0\x90\x90\x90\x90\x90\x90\x90", 16));
    ck_assert(archive_rar.is((const uint8_t *)"MZ Rar!\x1a\7\0\x90\x90\x90\x90\x90\x90", 16));
    ck_assert(!archive_rar.is((const uint8_t *)"Rar!\x1a", 5));
    ck_assert(!archive_rar.is((const uint8_t *)"", 0));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("archive/rar");
    TCase *t = tcase_create("reading");
    tcase_add_test(t, it_is_told_by_its_marker);
    tcase_add_test(t, a_single_volume_shows_its_files);
    tcase_add_test(t, files_go_on_over_volumes);
    tcase_add_test(t, blocks_of_no_use_are_passed_over);
    tcase_add_test(t, encrypted_data_and_headers_open_with_the_password);
    tcase_add_test(t, times_have_their_fractions);
    tcase_add_test(t, sums_are_those_of_the_whole_member);
    tcase_add_test(t, blake2_is_told_where_there_is_no_crc);
    tcase_add_test(t, stored_members_are_fine_beside_compressed_ones);
    tcase_add_test(t, sizes_that_are_not_told_are_summed);
    tcase_add_test(t, links_are_left_out);
    tcase_add_test(t, a_marker_behind_a_program_is_found);
    tcase_add_test(t, sets_without_end_blocks_or_numbers_are_read_by_their_names);
    tcase_add_test(t, more_than_127_volumes_have_longer_numbers);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
