#include "tests/archive/opened.h"
#include "tests/archive/program.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

/* --- an archive made by hand --- */

static uint8_t box[1 << 21];
static size_t box_len;

static void put(const void *p, size_t n)
{
    ck_assert_uint_le(box_len + n, sizeof(box));
    if (n)
        memcpy(box + box_len, p, n);
    box_len += n;
}

static void le(uint64_t v, unsigned n)
{
    for (unsigned k = 0; k < n; k++) {
        uint8_t b = (uint8_t)(v >> (8 * k));
        put(&b, 1);
    }
}

/** A file to make. */
struct item {
    const char *name;
    const char *data;
    unsigned flags, method, host;
    uint32_t attributes;
    size_t local_extra; /* bytes */
    const uint8_t *extra;
    size_t nextra;
    uint64_t local; /* where it came to be */
};

static void put_local(struct item *it)
{
    size_t len = strlen(it->data);
    uint32_t crc = (uint32_t)crc32_z(0, (const uint8_t *)it->data, len);
    bool later = it->flags & 8;
    static const uint8_t zeros[512];

    it->local = box_len;
    le(0x04034b50, 4);
    le(20, 2);
    le(it->flags, 2);
    le(it->method, 2);
    le(0x5a215a21, 4);
    le(later ? 0 : crc, 4);
    le(later ? 0 : len, 4);
    le(later ? 0 : len, 4);
    le(strlen(it->name), 2);
    le(it->local_extra, 2);
    put(it->name, strlen(it->name));
    put(zeros, it->local_extra);
    put(it->data, len);
    if (later) {
        le(0x08074b50, 4);
        le(crc, 4);
        le(len, 4);
        le(len, 4);
    }
}

static void put_entry(const struct item *it)
{
    size_t len = strlen(it->data);

    le(0x02014b50, 4);
    le(it->host << 8 | 20, 2);
    le(20, 2);
    le(it->flags, 2);
    le(it->method, 2);
    le(0x5a215a21, 4);
    le(crc32_z(0, (const uint8_t *)it->data, len), 4);
    le(len, 4);
    le(len, 4);
    le(strlen(it->name), 2);
    le(it->nextra, 2);
    le(0, 2);
    le(0, 4);
    le(it->attributes, 4);
    le(it->local, 4);
    put(it->name, strlen(it->name));
    put(it->extra, it->nextra);
}

static void put_end(uint64_t n, uint64_t len, uint64_t off, const void *comment, size_t ncomment)
{
    le(0x06054b50, 4);
    le(0, 4);
    le(n, 2);
    le(n, 2);
    le(len, 4);
    le(off, 4);
    le(ncomment, 2);
    put(comment, ncomment);
}

static uint64_t directory_at;

static void make(struct item *items, unsigned n, const void *comment, size_t ncomment)
{
    box_len = 0;
    for (unsigned k = 0; k < n; k++)
        put_local(&items[k]);
    directory_at = box_len;
    for (unsigned k = 0; k < n; k++)
        put_entry(&items[k]);
    put_end(n, box_len - directory_at, directory_at, comment, ncomment);
}

static struct opened o;

static void read_box(size_t cut)
{
    opened_cut(&o, &archive_zip, box, box_len, cut);
    ck_assert_int_eq(opened_read(&o), 0);
}

static struct item two[] = {{.name = "a/one", .data = "first"},
                            {.name = "two", .data = "second", .local_extra = 9}};

START_TEST(it_is_told_by_its_first_bytes)
{
    ck_assert(archive_zip.is((const uint8_t *)"PK\3\4............", 16));
    ck_assert(archive_zip.is((const uint8_t *)"PK\5\6............", 16));
    ck_assert(!archive_zip.is((const uint8_t *)"PK\3\5............", 16));
    ck_assert(!archive_zip.is((const uint8_t *)"PK\3", 3));
}
END_TEST

START_TEST(a_file_begins_where_its_local_header_says)
{
    make(two, 2, "hello", 5);
    for (size_t cut = 2; cut < box_len; cut++) {
        read_box(cut);
        ck_assert_int_eq(o.set.why, ARCHIVE_OK);
        ck_assert_uint_eq(o.set.nmembers, 2);
        opened_expect(&o, "a/one", "first", 5);
        opened_expect(&o, "two", "second", 6);
        /* 2025-01-01 11:17:02 */
        ck_assert(o.set.members[0].mtime_s == 1735730222);
        opened_fini(&o);
    }
}
END_TEST

START_TEST(every_archive_that_is_cut_short_is_said_to_be)
{
    make(two, 2, "", 0);
    size_t whole = box_len;
    for (box_len = 0; box_len < whole; box_len++) {
        read_box(0);
        ck_assert_int_eq(o.set.why, ARCHIVE_DAMAGED);
        opened_fini(&o);
    }
}
END_TEST

START_TEST(a_comment_that_looks_like_the_end_is_not_it)
{
    uint8_t fake[22] = {'P', 'K', 5, 6, 0, 0, 0, 0, 1, 0, 1, 0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    make(two, 2, fake, sizeof(fake));
    read_box(0);
    ck_assert_int_eq(o.set.why, ARCHIVE_OK);
    opened_expect(&o, "two", "second", 6);
    opened_fini(&o);
    /* One after another of them, in 64 KiB. */
    static uint8_t many[65535];
    for (size_t at = 0; at + 22 <= sizeof(many); at += 22) {
        memcpy(many + at, fake, 22);
        many[at + 20] = (uint8_t)(sizeof(many) - at - 22);
        many[at + 21] = (uint8_t)((sizeof(many) - at - 22) >> 8);
    }
    make(two, 2, many, sizeof(many));
    read_box(0); /* some answer, soon */
    ck_assert(o.set.why == ARCHIVE_OK || o.set.why == ARCHIVE_DAMAGED);
    opened_fini(&o);
}
END_TEST

START_TEST(what_is_not_stored_plainly_is_said)
{
    struct item items[] = {{.name = "stored", .data = "x"},
                           {.name = "deflated", .data = "x", .method = 8},
                           {.name = "crypt", .data = "x", .flags = 1},
                           {.name = "aes", .data = "x", .method = 99},
                           {.name = "masked", .data = "x", .flags = 1 << 13},
                           {.name = "patch", .data = "x", .flags = 1 << 5}};
    make(items, 6, "", 0);
    read_box(0);
    opened_expect(&o, "stored", "x", 1);
    opened_expect_why(&o, "deflated", ARCHIVE_COMPRESSED);
    opened_expect_why(&o, "crypt", ARCHIVE_CIPHER);
    opened_expect_why(&o, "aes", ARCHIVE_CIPHER);
    opened_expect_why(&o, "masked", ARCHIVE_CIPHER);
    opened_expect_why(&o, "patch", ARCHIVE_UNKNOWN);
    opened_fini(&o);
}
END_TEST

START_TEST(names_are_utf8_or_of_the_dos_code_page)
{
    struct item items[] = {{.name = "\x81"
                                    "ber",
                            .data = "1"},
                           {.name = "\xc3\xbc"
                                    "ber2",
                            .data = "2",
                            .flags = 1 << 11},
                           {.name = "\xc3\xbc"
                                    "ber3",
                            .data = "3",
                            .host = 3},
                           {.name = "d\\e\\f", .data = "4"}};
    make(items, 4, "", 0);
    read_box(0);
    opened_expect(&o,
                  "\xc3\xbc"
                  "ber",
                  "1", 1);
    opened_expect(&o,
                  "\xc3\xbc"
                  "ber2",
                  "2", 1);
    opened_expect(&o,
                  "\xc3\xbc"
                  "ber3",
                  "3", 1);
    opened_expect(&o, "d/e/f", "4", 1);
    opened_fini(&o);
}
END_TEST

START_TEST(times_come_from_the_finest_field)
{
    static const uint8_t unix_time[] = {0x55, 0x54, 5, 0, 1, 0, 0x10, 0x5e, 0x5f};
    static const uint8_t ntfs[] = {0x55, 0x54, 5,    0,    1, 0, 0x10, 0x5e, 0x5f, 10,   0,    32,
                                   0,    0,    0,    0,    0, 1, 0,    24,   0,    0x87, 0xe1, 0x0a,
                                   0x46, 0x8a, 0x8a, 0xd6, 1, 0, 0,    0,    0,    0,    0,    0,
                                   0,    0,    0,    0,    0, 0, 0,    0,    0};
    struct item items[] = {{.name = "u", .data = "1", .extra = unix_time, .nextra = 9},
                           {.name = "n", .data = "2", .extra = ntfs, .nextra = sizeof(ntfs)}};
    make(items, 2, "", 0);
    read_box(0);
    ck_assert(opened_member(&o, "u")->mtime_s == 0x5f5e1000);
    uint64_t filetime = 0x01d68a8a460ae187;
    ck_assert(opened_member(&o, "n")->mtime_s ==
              (int64_t)(filetime / 10000000) - INT64_C(11644473600));
    ck_assert_uint_eq(opened_member(&o, "n")->mtime_ns, filetime % 10000000 * 100);
    opened_fini(&o);
}
END_TEST

START_TEST(directories_are_shown_and_links_are_not)
{
    struct item items[] = {
        {.name = "dir/", .data = ""},
        {.name = "link", .data = "/etc/passwd", .host = 3, .attributes = 0120777u << 16},
        {.name = "empty", .data = ""}};
    make(items, 3, "", 0);
    read_box(0);
    ck_assert_uint_eq(o.set.nmembers, 2);
    ck_assert(opened_member(&o, "dir")->dir);
    opened_expect(&o, "empty", "", 0);
    opened_fini(&o);
}
END_TEST

START_TEST(files_that_overlap_or_reach_out_are_damaged)
{
    make(two, 2, "", 0);
    uint8_t *size = box + directory_at + 20; /* of the first: packed and not */
    size[0] = size[4] = 200;
    read_box(0);
    opened_expect_why(&o, "a/one", ARCHIVE_DAMAGED);
    opened_expect(&o, "two", "second", 6);
    opened_fini(&o);
    make(two, 2, "", 0);
    memset(box + directory_at + 42, 0xfe, 4); /* its local header */
    read_box(0);
    opened_expect_why(&o, "a/one", ARCHIVE_DAMAGED);
    opened_fini(&o);
}
END_TEST

START_TEST(a_split_archive_is_not_read_as_a_whole_one)
{
    make(two, 2, "", 0);
    box[box_len - 18] = 1; /* this is disk 1 */
    read_box(0);
    ck_assert_int_eq(o.set.why, ARCHIVE_UNKNOWN);
    opened_fini(&o);
}
END_TEST

/** The directory of `two` with a ZIP64 end. */
static void make64(uint64_t off, uint64_t len, uint64_t n, uint64_t record)
{
    make(two, 2, "", 0);
    box_len -= 22;
    uint64_t at = box_len;
    le(0x06064b50, 4);
    le(44, 8);
    le(45, 4);
    le(0, 8);
    le(n, 8);
    le(n, 8);
    le(len, 8);
    le(off, 8);
    le(0x07064b50, 4);
    le(0, 4);
    le(record ? record : at, 8);
    le(1, 4);
    put_end(0xffff, UINT32_MAX, UINT32_MAX, "", 0);
}

START_TEST(the_zip64_end_is_found_and_distrusted)
{
    make(two, 2, "", 0);
    uint64_t off = directory_at, len = box_len - 22 - off;
    make64(off, len, 2, 0);
    read_box(0);
    ck_assert_int_eq(o.set.why, ARCHIVE_OK);
    opened_expect(&o, "two", "second", 6);
    opened_fini(&o);
    static const struct {
        uint64_t off, len, n, record;
    } bad[] = {{UINT64_C(1) << 63, 0, 2, 0},
               {0, 0, UINT64_MAX, 0},
               {UINT64_MAX, 1, 2, 0},
               {0, UINT64_MAX, 2, 0},
               {0, 0, 2, UINT64_MAX},
               {0, 0, 2, UINT64_C(1) << 63},
               {0, 0, 2, 3}};
    for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++) {
        make64(bad[k].off ? bad[k].off : off, bad[k].len ? bad[k].len : len, bad[k].n,
               bad[k].record);
        read_box(0);
        ck_assert_msg(o.set.why == (k == 1 ? ARCHIVE_TOO_MUCH : ARCHIVE_DAMAGED), "case %zu: %d", k,
                      o.set.why);
        opened_fini(&o);
    }
}
END_TEST

#define MANY 2000u

/** Many files of 800 bytes, so that they lie in several articles. */
static struct item *many_make(unsigned flags, size_t odd)
{
    static char names[MANY][16], data[MANY][801];
    struct item *items = calloc(MANY, sizeof(*items));

    ck_assert_ptr_nonnull(items);
    for (unsigned k = 0; k < MANY; k++) {
        snprintf(names[k], sizeof(names[k]), "f%05u", k);
        memset(data[k], 'a' + (int)(k % 26), 800);
        snprintf(data[k], 8, "%u", k);
        data[k][strlen(data[k])] = '.';
        items[k] =
            (struct item){.name = names[k], .data = data[k], .flags = flags, .local_extra = 28};
        if (odd && k % odd == 3)
            items[k].local_extra = 5 + k % 200;
    }
    make(items, MANY, "", 0);
    return items;
}

START_TEST(many_files_are_found_from_a_few_of_their_headers)
{
    for (unsigned turn = 0; turn < 3; turn++) {
        struct item *items = many_make(turn == 1 ? 8 : 0, turn == 2 ? 100 : 0);
        read_box(0);
        ck_assert_int_eq(o.set.why, ARCHIVE_OK);
        ck_assert_uint_eq(o.set.nmembers, MANY);
        for (unsigned k = 0; k < MANY; k++)
            opened_expect(&o, items[k].name, items[k].data, strlen(items[k].data));
        ck_assert(turn == 2 || opened_articles(&o) <= 2);
        opened_fini(&o);
        free(items);
    }
}
END_TEST

START_TEST(volumes_between_are_reckoned_and_odd_ones_noticed)
{
    struct item *items = many_make(0, 0);
    size_t third = box_len / 10;
    opened_cut(&o, &archive_zip, box, box_len, third);
    ck_assert_int_eq(opened_read(&o), 0);
    ck_assert_int_eq(o.set.why, ARCHIVE_OK);
    ck_assert_uint_le(opened_articles(&o),
                      4); /* the first, the last, and where the directory begins */
    opened_expect(&o, "f01000", items[1000].data, 800);
    opened_fini(&o);
    opened_cut(&o, &archive_zip, box, third, 0);
    opened_add(&o, box + third, third + 77);
    opened_add(&o, box + 2 * third + 77, third);
    opened_add(&o, box + 3 * third + 77, box_len - 3 * third - 77);
    ck_assert_int_eq(opened_read(&o), 0);
    ck_assert_int_eq(o.set.why, ARCHIVE_OK);
    for (unsigned k = 0; k < MANY; k++)
        opened_expect(&o, items[k].name, items[k].data, strlen(items[k].data));
    opened_fini(&o);
    /* The last one lacks; one in between does. */
    opened_cut(&o, &archive_zip, box, box_len, third);
    opened_drop(&o, o.set.nvolumes - 1);
    ck_assert_int_eq(opened_read(&o), 0);
    ck_assert_int_eq(o.set.why, ARCHIVE_VOLUME_LACKS);
    opened_fini(&o);
    opened_cut(&o, &archive_zip, box, box_len, third);
    opened_drop(&o, 2);
    ck_assert_int_eq(opened_read(&o), 0);
    ck_assert_int_eq(o.set.why, ARCHIVE_VOLUME_LACKS);
    opened_fini(&o);
    free(items);
}
END_TEST

START_TEST(articles_that_cannot_be_had_are_told_from_damage)
{
    make(two, 2, "", 0);
    for (unsigned k = 0; k < 3; k++) {
        static const int errors[] = {-EIO, -EINTR, -ETIMEDOUT};
        opened_cut(&o, &archive_zip, box, box_len, 0);
        o.bodies[0].error = errors[k];
        ck_assert_int_eq(opened_read(&o), k ? errors[k] : 0);
        ck_assert(k || o.set.why == ARCHIVE_UNREADABLE);
        opened_fini(&o);
    }
    opened_cut(&o, &archive_zip, box, box_len, 0);
    o.arena.limit = 64;
    ck_assert_int_eq(opened_read(&o), -ENOMEM);
    opened_fini(&o);
}
END_TEST

/* --- archives that programs made --- */

#define FILM_SIZE 1500001u

static uint8_t *film;

static void files_make(void)
{
    program_dir_make();
    film = program_bytes(FILM_SIZE, 7);
    program_file("d/film.mkv", film, FILM_SIZE, 1600000000);
    program_file("d/sub/n\xc3\xb6te.txt", film + 5, 777, 1600000002);
    program_file("d/empty", "", 0, 1600000004);
}

static void files_free(void)
{
    free(film);
    program_dir_remove();
}

static void made_expect(const char *program, const char *line)
{
    size_t len;
    if (!program_is_there(program))
        return;
    program_run("rm -f x.zip; %s", line);
    uint8_t *data = program_slurp("x.zip", &len);
    for (unsigned cut = 0; cut < 2; cut++) {
        opened_cut(&o, &archive_zip, data, len, cut ? 100000 : 0);
        ck_assert_int_eq(opened_read(&o), 0);
        ck_assert_msg(o.set.why == ARCHIVE_OK, "%s: %s", line, archive_why_text(o.set.why));
        opened_expect(&o, "d/film.mkv", film, FILM_SIZE);
        opened_expect(&o, "d/sub/n\xc3\xb6te.txt", film + 5, 777);
        opened_expect(&o, "d/empty", "", 0);
        ck_assert(opened_member(&o, "d/sub")->dir);
        ck_assert(opened_member(&o, "d/film.mkv")->mtime_s == 1600000000);
        opened_fini(&o);
    }
    free(data);
}

START_TEST(what_programs_store_is_shown)
{
    made_expect("zip", "zip -0 -r x.zip d");
    made_expect("zip", "zip -0 -r -fz x.zip d");
    made_expect("zip", "zip -0 -r - d | cat > x.zip");
    made_expect("7z", "TZ=UTC 7z a -tzip -mx0 x.zip d");
}
END_TEST

START_TEST(what_programs_encrypt_or_compress_is_said)
{
    size_t len;
    if (!program_is_there("7z"))
        return;
    program_run("7z a -tzip -mx0 -pgeheim x.zip d/film.mkv && 7z a -tzip -mx0 -pgeheim -mem=AES256 "
                "x.zip d/sub && yes | head -c 100000 > yes && 7z a -tzip x.zip yes");
    uint8_t *data = program_slurp("x.zip", &len);
    opened_cut(&o, &archive_zip, data, len, 0);
    ck_assert_int_eq(opened_read(&o), 0);
    ck_assert_uint_ge(o.set.nmembers, 3);
    opened_expect_why(&o, "yes", ARCHIVE_COMPRESSED);
    for (uint32_t k = 0; k < o.set.nmembers; k++) {
        const struct archive_member *m = &o.set.members[k];
        ck_assert(m->dir || m->why == ARCHIVE_CIPHER || m->why == ARCHIVE_COMPRESSED);
    }
    opened_fini(&o);
    free(data);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("archive/zip");
    TCase *t = tcase_create("by hand"), *p = tcase_create("by programs");

    tcase_add_test(t, it_is_told_by_its_first_bytes);
    tcase_add_test(t, a_file_begins_where_its_local_header_says);
    tcase_add_test(t, every_archive_that_is_cut_short_is_said_to_be);
    tcase_add_test(t, a_comment_that_looks_like_the_end_is_not_it);
    tcase_add_test(t, what_is_not_stored_plainly_is_said);
    tcase_add_test(t, names_are_utf8_or_of_the_dos_code_page);
    tcase_add_test(t, times_come_from_the_finest_field);
    tcase_add_test(t, directories_are_shown_and_links_are_not);
    tcase_add_test(t, files_that_overlap_or_reach_out_are_damaged);
    tcase_add_test(t, a_split_archive_is_not_read_as_a_whole_one);
    tcase_add_test(t, the_zip64_end_is_found_and_distrusted);
    tcase_add_test(t, many_files_are_found_from_a_few_of_their_headers);
    tcase_add_test(t, volumes_between_are_reckoned_and_odd_ones_noticed);
    tcase_add_test(t, articles_that_cannot_be_had_are_told_from_damage);
    tcase_add_checked_fixture(p, files_make, files_free);
    tcase_add_test(p, what_programs_store_is_shown);
    tcase_add_test(p, what_programs_encrypt_or_compress_is_said);
    suite_add_tcase(s, t);
    suite_add_tcase(s, p);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
