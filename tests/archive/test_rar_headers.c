/* Headers written by hand: what no maker would write. */
#include "archive/format.h"
#include "archive/keys.h"

#include <check.h>
#include <stdlib.h>
#include <zlib.h>

#define ROOM ((size_t)1 << 20)

static uint8_t *bytes;
static size_t nbytes;
static struct arena arena;
static struct archive_keys *keys;
static struct archive_set set;
static struct archive_volume volumes[1];
static struct archive_memory memory[1];

static void setup(void)
{
    bytes = calloc(1, ROOM);
    nbytes = 0;
    keys = archive_keys_new(NULL, 0);
    ck_assert(bytes && keys);
}

static void teardown(void)
{
    arena_fini(&arena);
    arena = (struct arena){0};
    archive_keys_free(keys);
    free(bytes);
}

static void put(const void *p, size_t n)
{
    ck_assert_uint_le(nbytes + n, ROOM);
    if (n)
        memmove(bytes + nbytes, p, n);
    nbytes += n;
}

static void put_le(uint64_t v, unsigned n)
{
    for (unsigned i = 0; i < n; i++, v >>= 8)
        put(&(uint8_t){(uint8_t)v}, 1);
}

static void put_number(uint64_t v)
{
    for (; v > 127; v >>= 7)
        put(&(uint8_t){(uint8_t)(v | 0x80)}, 1);
    put(&(uint8_t){(uint8_t)v}, 1);
}

/* A RAR 5 header around what f() puts. */
static void block5(void (*f)(void *), void *arg)
{
    size_t at = nbytes;
    f(arg);
    size_t len = nbytes - at;
    uint8_t *body = malloc(len + 1);
    ck_assert_ptr_nonnull(body);
    memcpy(body, bytes + at, len);
    nbytes = at;
    put_le(0, 4);
    put_number(len);
    put(body, len);
    uint32_t crc = (uint32_t)crc32(0, bytes + at + 4, (uInt)(nbytes - at - 4));
    for (unsigned i = 0; i < 4; i++)
        bytes[at + i] = (uint8_t)(crc >> (8 * i));
    free(body);
}

static void main5(void *flags)
{
    put_number(1);
    put_number(0);
    put_number(*(const unsigned *)flags);
}

struct file5 {
    const char *name;
    uint64_t name_len, size, packed, flags;
    const void *extra;
    size_t extra_len;
};

static void file5(void *arg)
{
    const struct file5 *f = arg;
    put_number(2);
    put_number(2 | (f->extra_len ? 1 : 0) | f->flags);
    if (f->extra_len)
        put_number(f->extra_len);
    put_number(f->packed);
    put_number(0);
    put_number(f->size);
    put_number(0);
    put_number(0);
    put_number(1);
    put_number(f->name_len ? f->name_len : strlen(f->name));
    put(f->name, strlen(f->name));
    put(f->extra, f->extra_len);
}

static void begin5(unsigned flags)
{
    put("Rar!\x1a\7\1\0", 8);
    block5(main5, &flags);
}

/* A RAR 4 header: `body` behind the seven bytes that all have. */
static void block4(uint8_t type, uint16_t flags, const void *body, size_t len, size_t claim)
{
    size_t at = nbytes;
    put_le(0, 2);
    put_le(type, 1);
    put_le(flags, 2);
    put_le(claim ? claim : len + 7, 2);
    put(body, len);
    uint32_t crc = (uint32_t)crc32(0, bytes + at + 2, (uInt)(nbytes - at - 2));
    bytes[at] = (uint8_t)crc;
    bytes[at + 1] = (uint8_t)(crc >> 8);
}

static void begin4(uint16_t flags)
{
    put("Rar!\x1a\7\0", 7);
    block4(0x73, flags, "\0\0\0\0\0\0", 6, 0);
}

static void file4(const void *name, uint16_t name_len, uint16_t flags, uint32_t packed,
                  uint32_t size)
{
    uint8_t body[300] = {0};
    for (unsigned k = 0; k < 4; k++) {
        body[k] = (uint8_t)(packed >> (8 * k));
        body[4 + k] = (uint8_t)(size >> (8 * k));
    }
    body[8] = 2;
    body[17] = 29;
    body[18] = 0x30;
    body[19] = (uint8_t)name_len;
    memcpy(body + 25, name, name_len);
    block4(0x74, flags | 0x8000, body, 25u + name_len, 0);
}

static void read_it(void)
{
    memory[0] = (struct archive_memory){
        .b = {&archive_memory_ops}, .data = bytes, .have = nbytes, .size = nbytes};
    volumes[0] = (struct archive_volume){.bytes = &memory[0].b};
    arena_fini(&arena);
    arena = (struct arena){.limit = (size_t)64 << 20};
    set = (struct archive_set){
        .volumes = volumes, .nvolumes = 1, .ordered = true, .keys = keys, .arena = &arena};
    ck_assert_int_eq(archive_rar.read(&set), 0);
}

START_TEST(sizes_near_two_to_the_64_are_damage)
{
    static const uint64_t sizes[] = {UINT64_MAX, UINT64_MAX - 15, (uint64_t)1 << 63,
                                     INT64_MAX,  UINT64_MAX - 60, 1000};
    for (unsigned i = 0; i < 6; i++) {
        nbytes = 0;
        begin5(0);
        block5(file5, &(struct file5){.name = "x", .size = sizes[i], .packed = sizes[i]});
        put("abc", 3);
        read_it();
        ck_assert_uint_eq(set.nmembers, 1);
        ck_assert_int_eq(set.members[0].why, ARCHIVE_DAMAGED);
        ck_assert_uint_eq(set.members[0].npieces, 0);
        ck_assert_int_eq(set.why, ARCHIVE_DAMAGED);
    }
}
END_TEST

START_TEST(a_file_of_other_length_than_its_data_is_damage)
{
    begin5(0);
    block5(file5, &(struct file5){.name = "x", .size = 4, .packed = 3});
    put("abc", 3);
    block5(file5, &(struct file5){.name = "y", .size = 3, .packed = 3});
    put("abc", 3);
    read_it();
    ck_assert_uint_eq(set.nmembers, 2);
    ck_assert_int_eq(set.members[0].why, ARCHIVE_DAMAGED);
    ck_assert_int_eq(set.members[1].why, ARCHIVE_OK);
    ck_assert_uint_eq(set.members[1].pieces[0].off, nbytes - 3);
}
END_TEST

START_TEST(names_are_passed_on_but_not_beyond_their_header)
{
    begin5(0);
    block5(file5, &(struct file5){.name = "../../etc/passwd"});
    block5(file5, &(struct file5){.name = "Stra\xdf"
                                          "e"});
    block5(file5, &(struct file5){.name = "x", .name_len = 100});
    read_it();
    ck_assert_uint_eq(set.nmembers, 2);
    ck_assert_str_eq(set.members[0].path, "../../etc/passwd");
    ck_assert_str_eq(set.members[1].path, "Straße");
    ck_assert_int_eq(set.why, ARCHIVE_DAMAGED);
}
END_TEST

START_TEST(broken_extra_records_spoil_their_member)
{
    static const struct {
        const char *bytes;
        size_t len;
    } extra[] = {
        {"\x7f\1", 2},                                      /* longer than there is */
        {"\x04\1\0\0\x0f", 5},                              /* encryption without its salt */
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f\1", 11}, /* more than 64 bits */
        {"\x80", 1},
    };
    for (unsigned i = 0; i < 4; i++) {
        nbytes = 0;
        begin5(0);
        block5(file5, &(struct file5){.name = "x",
                                      .size = 3,
                                      .packed = 3,
                                      .extra = extra[i].bytes,
                                      .extra_len = extra[i].len});
        put("abc", 3);
        read_it();
        ck_assert_uint_eq(set.nmembers, 1);
        ck_assert_int_eq(set.members[0].why, ARCHIVE_DAMAGED);
    }
}
END_TEST

START_TEST(empty_and_unknown_extra_records_are_passed_over)
{
    begin5(0);
    block5(file5,
           &(struct file5){
               .name = "x", .size = 3, .packed = 3, .extra = "\0\3\x63zz\1\x7f", .extra_len = 7});
    put("abc", 3);
    read_it();
    ck_assert_uint_eq(set.nmembers, 1);
    ck_assert_int_eq(set.members[0].why, ARCHIVE_OK);
}
END_TEST

START_TEST(encryption_that_is_not_known_or_costs_too_much_is_told)
{
    uint8_t extra[37] = {36, 1, 0, 0, 15};
    for (unsigned i = 0; i < 2; i++) {
        nbytes = 0;
        extra[2] = i ? 0 : 7;
        extra[4] = i ? 25 : 15;
        const char *p = "p";
        archive_keys_free(keys);
        keys = archive_keys_new(&p, 1);
        begin5(0);
        block5(
            file5,
            &(struct file5){
                .name = "x", .size = 16, .packed = 16, .extra = extra, .extra_len = sizeof(extra)});
        put("0123456789abcdef", 16);
        read_it();
        ck_assert_uint_eq(set.nmembers, 1);
        ck_assert_int_eq(set.members[0].why, ARCHIVE_CIPHER);
    }
}
END_TEST

START_TEST(salts_without_end_cost_a_bounded_time)
{
    uint8_t extra[37] = {36, 1, 0, 0, 1};
    const char *p = "p";
    archive_keys_free(keys);
    keys = archive_keys_new(&p, 1);
    begin5(0);
    for (unsigned i = 0; i < 1200; i++) {
        extra[5] = (uint8_t)i;
        extra[6] = (uint8_t)(i >> 8);
        block5(
            file5,
            &(struct file5){
                .name = "x", .size = 16, .packed = 16, .extra = extra, .extra_len = sizeof(extra)});
        put("0123456789abcdef", 16);
    }
    read_it();
    ck_assert_uint_eq(set.nmembers, 1200);
    ck_assert_int_eq(set.members[500].why, ARCHIVE_OK);
    ck_assert_int_eq(set.members[1199].why, ARCHIVE_TOO_MUCH);
}
END_TEST

START_TEST(a_header_that_fails_its_sum_ends_the_volume)
{
    for (unsigned version = 4; version <= 5; version++) {
        nbytes = 0;
        size_t second;
        if (version == 5) {
            begin5(0);
            block5(file5, &(struct file5){.name = "x"});
            second = nbytes;
            block5(file5, &(struct file5){.name = "y"});
        } else {
            begin4(0);
            file4("x", 1, 0, 0, 0);
            second = nbytes;
            file4("y", 1, 0, 0, 0);
        }
        read_it();
        ck_assert_uint_eq(set.nmembers, 2);
        bytes[second + 8] ^= 1;
        read_it();
        ck_assert_uint_eq(set.nmembers, 1);
        ck_assert_int_eq(set.why, ARCHIVE_DAMAGED);
    }
}
END_TEST

START_TEST(headers_of_no_length_do_not_loop)
{
    begin4(0);
    block4(0x7a, 0, "", 0, 1);
    put("0123456789012345678901234567890123456789", 40);
    read_it();
    ck_assert_uint_eq(set.nmembers, 0);
    ck_assert_int_eq(set.why, ARCHIVE_DAMAGED);
    nbytes = 0;
    begin5(0);
    put("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
    read_it();
    ck_assert_int_eq(set.why, ARCHIVE_DAMAGED);
}
END_TEST

START_TEST(volumes_full_of_empty_blocks_end)
{
    begin4(0);
    while (nbytes + 7 < ROOM)
        block4(0x75, 0, "", 0, 0);
    read_it();
    ck_assert_uint_eq(set.nmembers, 0);
    ck_assert_int_ne(set.why, ARCHIVE_OK);
}
END_TEST

START_TEST(names_in_utf16_are_unpacked)
{
    /* what it is in some code page │ 0 │ high byte │ four codes of 2 bits │ what they are about │ … */
    static const struct {
        const char *field;
        uint16_t len;
        const char *name;
    } names[] = {
        {"a.txt\0\0\0abcd", 12, "abcd"},                    /* bytes */
        {"x\0\4\x54\x41\x42\x43", 7, "\u0441\u0442\u0443"}, /* bytes under the high byte */
        {"ab\\c\0\0\xc0\2", 8, "ab/c"},                     /* a run of the first half */
        {"ab\0\1\xc0\x80\1", 7, "\u0162\u0163"},            /* a run, shifted */
        {"t\0\0\xa0\x3d\xd8\0\xde", 8, "\U0001f600"},       /* two units, a pair */
        {"t\0\0\xa0\x3d\xd8\x41\0", 8, "\ufffdA"},          /* half a pair */
        {"cut off\0\0\x80\x3d", 11, "cut off"},
        {"only utf-8 \xc3\xbc", 13, "only utf-8 \u00fc"},
    };
    begin4(0);
    for (unsigned i = 0; i < 8; i++)
        file4(names[i].field, names[i].len, 0x200, 0, 0);
    read_it();
    ck_assert_uint_eq(set.nmembers, 8);
    for (unsigned i = 0; i < 8; i++)
        ck_assert_str_eq(set.members[i].path, names[i].name);
}
END_TEST

START_TEST(old_directories_large_sizes_and_links_are_told)
{
    begin4(0);
    file4("dir", 3, 0xe0, 0, 0);
    file4("unknown", 7, 0, 3, 0xffffffffu);
    put("abc", 3);
    read_it();
    ck_assert_uint_eq(set.nmembers, 2);
    ck_assert(set.members[0].dir);
    ck_assert_uint_eq(set.members[1].size, 3);
    ck_assert_int_eq(set.members[1].why, ARCHIVE_OK);
    ck_assert_int_eq(set.members[1].mtime_s, INT64_MIN);
}
END_TEST

START_TEST(whatever_is_cut_off_keeps_what_is_whole)
{
    begin5(0);
    for (unsigned i = 0; i < 5; i++) {
        block5(file5, &(struct file5){.name = "x", .size = 100, .packed = 100});
        put(bytes, 100);
    }
    size_t all = nbytes;
    for (nbytes = 0; nbytes <= all; nbytes++) {
        uint32_t whole = 0;
        read_it();
        for (uint32_t i = 0; i < set.nmembers; i++)
            whole += set.members[i].why == ARCHIVE_OK;
        ck_assert_uint_eq(whole, nbytes < 16 ? 0 : (nbytes - 16) / ((all - 16) / 5));
    }
}
END_TEST

START_TEST(memory_that_runs_out_is_too_much)
{
    begin5(0);
    for (unsigned i = 0; i < 20000; i++)
        block5(file5, &(struct file5){.name = "a name that takes up memory"});
    memory[0] = (struct archive_memory){
        .b = {&archive_memory_ops}, .data = bytes, .have = nbytes, .size = nbytes};
    volumes[0] = (struct archive_volume){.bytes = &memory[0].b};
    arena = (struct arena){.limit = (size_t)1 << 20};
    set = (struct archive_set){
        .volumes = volumes, .nvolumes = 1, .ordered = true, .keys = keys, .arena = &arena};
    ck_assert_int_eq(archive_rar.read(&set), -ENOMEM);
    ck_assert_uint_eq(set.nmembers, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("archive/rar_headers");
    TCase *t = tcase_create("headers");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, sizes_near_two_to_the_64_are_damage);
    tcase_add_test(t, a_file_of_other_length_than_its_data_is_damage);
    tcase_add_test(t, names_are_passed_on_but_not_beyond_their_header);
    tcase_add_test(t, broken_extra_records_spoil_their_member);
    tcase_add_test(t, empty_and_unknown_extra_records_are_passed_over);
    tcase_add_test(t, encryption_that_is_not_known_or_costs_too_much_is_told);
    tcase_add_test(t, salts_without_end_cost_a_bounded_time);
    tcase_add_test(t, a_header_that_fails_its_sum_ends_the_volume);
    tcase_add_test(t, headers_of_no_length_do_not_loop);
    tcase_add_test(t, volumes_full_of_empty_blocks_end);
    tcase_add_test(t, names_in_utf16_are_unpacked);
    tcase_add_test(t, old_directories_large_sizes_and_links_are_told);
    tcase_add_test(t, whatever_is_cut_off_keeps_what_is_whole);
    tcase_add_test(t, memory_that_runs_out_is_too_much);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
