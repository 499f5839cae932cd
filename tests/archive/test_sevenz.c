#include "tests/archive/opened.h"
#include "tests/archive/program.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

#define FILM_SIZE 1500001u
#define NOTE_SIZE 777u
#define MTIME     1600000000

/* --- an archive made by hand --- */

struct buf {
    uint8_t b[1 << 16];
    size_t n;
};

static void put(struct buf *b, const void *p, size_t n)
{
    ck_assert_uint_le(b->n + n, sizeof(b->b));
    memcpy(b->b + b->n, p, n);
    b->n += n;
}

#define PUT(b, ...) put((b), (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void put_le(struct buf *b, uint64_t v, unsigned n)
{
    for (unsigned k = 0; k < n; k++)
        PUT(b, (uint8_t)(v >> (8 * k)));
}

static void put_number(struct buf *b, uint64_t v)
{
    PUT(b, 0xff);
    put_le(b, v, 8);
}

static void put_name(struct buf *b, const char *ascii)
{
    for (; *ascii; ascii++)
        put_le(b, (uint8_t)*ascii, 2);
    put_le(b, 0, 2);
}

/** Start header, `data`, `header`; the start header says that the next one is `off` on. */
static void wrap(struct buf *a, const void *data, size_t len, const struct buf *header,
                 uint64_t off, uint64_t next_len)
{
    struct buf s = {.n = 0};
    put_le(&s, off, 8);
    put_le(&s, next_len, 8);
    put_le(&s, crc32_z(0, header->b, header->n), 4);
    a->n = 0;
    PUT(a, '7', 'z', 0xbc, 0xaf, 0x27, 0x1c, 0, 4);
    put_le(a, crc32_z(0, s.b, s.n), 4);
    put(a, s.b, s.n);
    put(a, data, len);
    put(a, header->b, header->n);
}

/** One packed stream of `size` at `at`, one folder with the copy method. */
static void put_streams(struct buf *h, uint64_t at, uint64_t size)
{
    PUT(h, 4, 6);
    put_number(h, at);
    PUT(h, 1, 9);
    put_number(h, size);
    PUT(h, 0);
    PUT(h, 7, 11, 1, 0, 1, 1, 0, 12); /* one folder; one coder, its id one byte: 0 */
    put_number(h, size);
    PUT(h, 0);
}

static void put_names(struct buf *h, unsigned n, const char *const *names)
{
    struct buf p = {.n = 0};
    PUT(&p, 0);
    for (unsigned k = 0; k < n; k++)
        put_name(&p, names[k]);
    PUT(h, 17);
    put_number(h, p.n);
    put(h, p.b, p.n);
}

/** Two files in one folder, 5 and 3 bytes. */
static void make_two(struct buf *a)
{
    struct buf h = {.n = 0};
    PUT(&h, 1);
    put_streams(&h, 0, 8);
    PUT(&h, 8, 13, 2, 9, 5, 0, 0, 5, 2);
    put_names(&h, 2, (const char *const[]){"a/one", "two"});
    PUT(&h, 0, 0);
    wrap(a, "onetwabc", 8, &h, 8, h.n);
}

static enum archive_why why_of(const struct buf *a, size_t cut)
{
    struct opened o;
    opened_cut(&o, &archive_7z, a->b, a->n, cut);
    ck_assert_int_eq(opened_read(&o), 0);
    enum archive_why why = o.set.why;
    opened_fini(&o);
    return why;
}

static struct buf box;

START_TEST(it_is_told_by_its_first_six_bytes)
{
    make_two(&box);
    ck_assert(archive_7z.is(box.b, 16));
    ck_assert(archive_7z.is(box.b, 6));
    ck_assert(!archive_7z.is(box.b, 5));
    box.b[5]++;
    ck_assert(!archive_7z.is(box.b, 16));
}
END_TEST

START_TEST(files_of_one_folder_lie_one_behind_the_other)
{
    struct opened o;
    make_two(&box);
    for (size_t cut = 32; cut <= box.n; cut++) { /* the start header is never cut */
        opened_cut(&o, &archive_7z, box.b, box.n, cut);
        ck_assert_int_eq(opened_read(&o), 0);
        ck_assert_int_eq(o.set.why, ARCHIVE_OK);
        ck_assert_uint_eq(o.set.nmembers, 2);
        opened_expect(&o, "a/one", "onetw", 5);
        opened_expect(&o, "two", "abc", 3);
        opened_fini(&o);
    }
}
END_TEST

START_TEST(every_archive_that_is_cut_short_is_said_to_be)
{
    struct opened o;
    make_two(&box);
    for (size_t n = 0; n < box.n; n++) {
        opened_cut(&o, &archive_7z, box.b, n, 0);
        ck_assert_int_eq(opened_read(&o), 0);
        ck_assert_int_eq(o.set.why, n < 6 ? o.set.why : ARCHIVE_DAMAGED);
        ck_assert_int_ne(o.set.why, ARCHIVE_OK);
        ck_assert_uint_eq(o.set.nmembers, 0);
        opened_fini(&o);
    }
}
END_TEST

START_TEST(a_byte_that_is_wrong_is_found_by_a_checksum)
{
    make_two(&box);
    for (size_t k = 8; k < box.n; k++) {
        if (k >= 32 && k < 40) /* what is stored */
            continue;
        box.b[k] ^= 0x10;
        ck_assert_int_ne(why_of(&box, 0), ARCHIVE_OK);
        box.b[k] ^= 0x10;
    }
}
END_TEST

START_TEST(sizes_that_cannot_be_are_damage)
{
    static const uint64_t sizes[] = {9, UINT64_C(1) << 62, UINT64_C(1) << 63, UINT64_MAX};
    for (size_t k = 0; k < 4; k++) {
        struct buf h = {.n = 0};
        struct opened o;
        PUT(&h, 1);
        put_streams(&h, 0, sizes[k]);
        PUT(&h, 0, 5, 1);
        put_names(&h, 1, (const char *const[]){"film"});
        PUT(&h, 0, 0);
        wrap(&box, "onetwabc", 8, &h, 8, h.n);
        opened_cut(&o, &archive_7z, box.b, box.n, 0);
        ck_assert_int_eq(opened_read(&o), 0);
        if (o.set.why == ARCHIVE_OK)
            opened_expect_why(&o, "film", ARCHIVE_DAMAGED);
        opened_fini(&o);
    }
}
END_TEST

START_TEST(a_header_that_is_nowhere_or_too_long_is_refused)
{
    struct buf h = {.n = 0};
    PUT(&h, 1, 0);
    static const struct {
        uint64_t off, len;
        enum archive_why why;
    } cases[] = {{0, 2, ARCHIVE_OK},
                 {1, 2, ARCHIVE_DAMAGED},
                 {UINT64_MAX, 2, ARCHIVE_DAMAGED},
                 {UINT64_MAX - 32, 2, ARCHIVE_DAMAGED},
                 {UINT64_C(1) << 63, 2, ARCHIVE_DAMAGED},
                 {0, UINT64_C(1) << 40, ARCHIVE_TOO_MUCH},
                 {0, UINT64_MAX, ARCHIVE_DAMAGED}};
    for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
        wrap(&box, "", 0, &h, cases[k].off, cases[k].len);
        enum archive_why why = why_of(&box, 0);
        ck_assert_msg(why == cases[k].why, "case %zu: %d", k, why);
    }
}
END_TEST

START_TEST(counts_are_held_against_what_is_left)
{
    static const struct {
        uint8_t b[24];
        size_t n;
        enum archive_why why;
    } cases[] = {
        /* a million and one files; of 2^56, without a byte */
        {{1, 5, 0xe0, 0x41, 0x42, 0x0f, 0, 0}, 8, ARCHIVE_TOO_MUCH},
        {{1, 5, 0xc0, 0xff, 0xff, 0, 0}, 7, ARCHIVE_DAMAGED},
        {{1, 4, 6, 0, 0xff, 1, 1, 1, 1, 1, 1, 1, 1, 9, 0}, 15, ARCHIVE_DAMAGED},
        /* a folder of no coders, of 33, one that feeds itself */
        {{1, 4, 6, 0, 1, 9, 1, 0, 7, 11, 1, 0, 0, 12, 1, 0, 0, 0}, 18, ARCHIVE_DAMAGED},
        {{1, 4, 6, 0, 1, 9, 1, 0, 7, 11, 1, 0, 33, 12, 1, 0, 0, 0}, 18, ARCHIVE_DAMAGED},
        {{1, 4, 6, 0, 1, 9, 1, 0, 7, 11, 1, 0, 2, 1, 0, 1, 0, 0, 0, 12, 1, 1, 0, 0},
         24,
         ARCHIVE_DAMAGED},
        /* files that are told elsewhere */
        {{1, 3, 0, 0, 0}, 5, ARCHIVE_UNKNOWN},
        {{9, 0}, 2, ARCHIVE_DAMAGED},
    };
    for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
        struct buf h = {.n = 0};
        put(&h, cases[k].b, cases[k].n);
        wrap(&box, "", 0, &h, 0, h.n);
        enum archive_why why = why_of(&box, 0);
        ck_assert_msg(why == cases[k].why, "case %zu: %d", k, why);
    }
}
END_TEST

START_TEST(headers_in_headers_come_to_an_end)
{
    /* A packed header, by the copy method, that lies in itself. */
    struct buf h = {.n = 0};
    PUT(&h, 23, 6, 0, 1, 9, 18, 0, 7, 11, 1, 0, 1, 1, 0, 12, 18, 0, 0);
    ck_assert_uint_eq(h.n, 18);
    wrap(&box, "", 0, &h, 0, h.n);
    /* Without a checksum of its own, what is there cannot be wrong, and is a packed header once more. */
    ck_assert_int_eq(why_of(&box, 0), ARCHIVE_TOO_MUCH);
}
END_TEST

START_TEST(an_empty_archive_is_empty)
{
    struct buf h = {.n = 0};
    wrap(&box, "", 0, &h, 0, 0);
    ck_assert_int_eq(why_of(&box, 0), ARCHIVE_OK);
}
END_TEST

START_TEST(what_has_no_stream_is_a_directory_or_empty_or_a_deletion)
{
    struct buf h = {.n = 0};
    struct opened o;
    PUT(&h, 1);
    put_streams(&h, 0, 8);
    PUT(&h, 0, 5, 4);
    PUT(&h, 14, 1, 0x70); /* the last three have no stream */
    PUT(&h, 15, 1, 0xc0); /* of these the first two are files */
    PUT(&h, 16, 1, 0x40); /* the second says: delete it */
    put_names(&h, 4, (const char *const[]){"film", "empty", "gone", "dir"});
    PUT(&h, 0, 0);
    wrap(&box, "onetwabc", 8, &h, 8, h.n);
    opened_cut(&o, &archive_7z, box.b, box.n, 0);
    ck_assert_int_eq(opened_read(&o), 0);
    ck_assert_uint_eq(o.set.nmembers, 3);
    opened_expect(&o, "film", "onetwabc", 8);
    opened_expect(&o, "empty", "", 0);
    ck_assert(!opened_member(&o, "empty")->dir);
    ck_assert(opened_member(&o, "dir")->dir);
    ck_assert(opened_member(&o, "film")->mtime_s == INT64_MIN);
    opened_fini(&o);
}
END_TEST

START_TEST(articles_that_cannot_be_had_are_told_from_damage)
{
    struct opened o;
    make_two(&box);
    static const struct {
        int error;
        uint64_t from, to;
        int said;
    } cases[] = {{-EIO, 0, 1, 0},
                 {-EIO, 50, 51, 0},
                 {-EIO, 0, 0, 0},
                 {-EINTR, 0, 1, -EINTR},
                 {-ETIMEDOUT, 50, 51, -ETIMEDOUT},
                 {-EINTR, 50, 51, -EINTR},
                 {-ETIMEDOUT, 0, 0, -ETIMEDOUT}};
    for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
        opened_cut(&o, &archive_7z, box.b, box.n, 0);
        o.bodies[0].error = cases[k].error;
        o.bodies[0].error_from = cases[k].from;
        o.bodies[0].error_to = cases[k].to;
        ck_assert_int_eq(opened_read(&o), cases[k].said);
        if (!cases[k].said)
            ck_assert_int_eq(o.set.why, ARCHIVE_UNREADABLE);
        ck_assert_uint_eq(o.set.nmembers, 0);
        opened_fini(&o);
    }
}
END_TEST

START_TEST(little_memory_is_said_and_nothing_leaks)
{
    struct opened o;
    make_two(&box);
    opened_cut(&o, &archive_7z, box.b, box.n, 0);
    o.arena.limit = 64;
    ck_assert_int_eq(opened_read(&o), -ENOMEM);
    opened_fini(&o);
}
END_TEST

/* --- archives that a program made --- */

static uint8_t *film, *note;

static void files_make(void)
{
    program_dir_make();
    film = program_bytes(FILM_SIZE, 1);
    note = program_bytes(NOTE_SIZE, 2);
    program_file("d/film.mkv", film, FILM_SIZE, MTIME);
    program_file("d/sub/n\xc3\xb6te \xe2\x82\xac \xf0\x9f\x8e\xac.txt", note, NOTE_SIZE, MTIME + 1);
    program_file("d/empty", "", 0, MTIME + 2);
}

static void files_free(void)
{
    free(film);
    free(note);
    program_dir_remove();
}

static const char *const programs[] = {"7z", "7zz", "7za"};

/** The archive x.7z or its volumes, made by every program that is there. */
static void made_expect(const char *options, const char *const *passwords, unsigned n)
{
    for (size_t p = 0; p < 3; p++) {
        struct opened o;
        size_t len;
        if (!program_is_there(programs[p]))
            continue;
        program_run("rm -f x.7z && %s a %s x.7z d", programs[p], options);
        uint8_t *data = program_slurp("x.7z", &len);
        for (unsigned cut = 0; cut < 2; cut++) {
            opened_cut(&o, &archive_7z, data, len, cut ? 100000 : 0);
            opened_passwords(&o, passwords, n);
            ck_assert_int_eq(opened_read(&o), 0);
            ck_assert_msg(o.set.why == ARCHIVE_OK, "%s %s: %s", programs[p], options,
                          archive_why_text(o.set.why));
            opened_expect(&o, "d/film.mkv", film, FILM_SIZE);
            opened_expect(&o, "d/sub/n\xc3\xb6te \xe2\x82\xac \xf0\x9f\x8e\xac.txt", note,
                          NOTE_SIZE);
            opened_expect(&o, "d/empty", "", 0);
            ck_assert(opened_member(&o, "d/sub")->dir);
            ck_assert(opened_member(&o, "d/film.mkv")->mtime_s == MTIME);
            opened_fini(&o);
        }
        free(data);
    }
}

static const char *const right[] = {"geh\xc3\xa4im"};

START_TEST(what_programs_store_is_shown)
{
    made_expect("-mx0", NULL, 0);
    made_expect("-m0=copy", NULL, 0);
    made_expect("-mx0 -ms=off", NULL, 0);
    made_expect("-mx0 -mhc=off", NULL, 0);
    made_expect("-m0=copy -ms=on", NULL, 0);
}
END_TEST

START_TEST(what_programs_encrypt_is_deciphered)
{
    made_expect("-mx0 -p'geh\xc3\xa4im'", right, 1);
    made_expect("-mx0 -p'geh\xc3\xa4im' -ms=off", right, 1);
    made_expect("-mx0 -p'geh\xc3\xa4im' -mhc=off", right, 1);
}
END_TEST

START_TEST(encrypted_headers_are_read)
{
    made_expect("-mx0 -p'geh\xc3\xa4im' -mhe=on", right, 1);
    made_expect("-mx0 -p'geh\xc3\xa4im' -mhe=on -mhc=off", right, 1);
}
END_TEST

START_TEST(the_right_one_of_several_passwords_is_found)
{
    static const char *const three[] = {"falsch", "geh\xc3\xa4im", ""};
    made_expect("-mx0 -p'geh\xc3\xa4im' -mhe=on", three, 3);
    made_expect("-mx0 -p'geh\xc3\xa4im'", three, 3);
}
END_TEST

static enum archive_why password_try(const uint8_t *data, size_t len, const char *password,
                                     bool member)
{
    struct opened o;
    opened_cut(&o, &archive_7z, data, len, 0);
    opened_passwords(&o, &password, password ? 1 : 0);
    ck_assert_int_eq(opened_read(&o), 0);
    enum archive_why why = o.set.why;
    if (member)
        why = opened_member(&o, "d/film.mkv")->why;
    opened_fini(&o);
    return why;
}

START_TEST(a_wrong_password_is_told_from_none_and_from_damage)
{
    size_t len;
    if (!program_is_there("7z"))
        return;
    program_run("7z a -mx0 -pright -mhe=on x.7z d");
    uint8_t *data = program_slurp("x.7z", &len);
    ck_assert_int_eq(password_try(data, len, NULL, false), ARCHIVE_NO_PASSWORD);
    ck_assert_int_eq(password_try(data, len, "wrong", false), ARCHIVE_BAD_PASSWORD);
    ck_assert_int_eq(password_try(data, len, "right", false), ARCHIVE_OK);
    data[len - 3] ^= 1;
    ck_assert_int_eq(password_try(data, len, "right", false), ARCHIVE_DAMAGED);
    free(data);
    program_run("7z a -mx0 -pright y.7z d");
    data = program_slurp("y.7z", &len);
    ck_assert_int_eq(password_try(data, len, NULL, true), ARCHIVE_NO_PASSWORD);
    ck_assert_int_eq(password_try(data, len, "wrong", true), ARCHIVE_BAD_PASSWORD);
    ck_assert_int_eq(password_try(data, len, "right", true), ARCHIVE_OK);
    free(data);
}
END_TEST

START_TEST(where_all_work_was_spent_on_others_it_is_told)
{
    const char *const password = "right";
    size_t len;
    if (!program_is_there("7z"))
        return;
    for (unsigned headers = 0; headers < 2; headers++) {
        struct opened o;
        program_run("rm -f x.7z && 7z a -mx0 -pright -mhe=%s x.7z d", headers ? "on" : "off");
        uint8_t *data = program_slurp("x.7z", &len);
        opened_cut(&o, &archive_7z, data, len, 0);
        opened_passwords(&o, &password, 1);
        archive_keys_limit(o.set.keys, 1000);
        ck_assert_int_eq(opened_read(&o), 0);
        if (headers)
            ck_assert_int_eq(o.set.why, ARCHIVE_TOO_MUCH);
        else
            opened_expect_why(&o, "d/film.mkv", ARCHIVE_TOO_MUCH);
        opened_fini(&o);
        free(data);
    }
}
END_TEST

START_TEST(stored_and_compressed_files_stand_in_one_archive)
{
    struct opened o;
    size_t len;
    if (!program_is_there("7z"))
        return;
    program_run("cd d && 7z a -mx0 ../x.7z film.mkv && 7z a -mx5 -ms=off ../x.7z sub");
    uint8_t *data = program_slurp("x.7z", &len);
    opened_cut(&o, &archive_7z, data, len, 0);
    ck_assert_int_eq(opened_read(&o), 0);
    opened_expect(&o, "film.mkv", film, FILM_SIZE);
    opened_expect_why(&o, "sub/n\xc3\xb6te \xe2\x82\xac \xf0\x9f\x8e\xac.txt", ARCHIVE_COMPRESSED);
    opened_fini(&o);
    free(data);
}
END_TEST

START_TEST(links_are_left_out)
{
    struct opened o;
    size_t len;
    if (!program_is_there("7zz"))
        return;
    ck_assert_int_eq(symlink("/etc/passwd", "d/link"), 0);
    program_run("7zz a -mx0 -snl x.7z d");
    uint8_t *data = program_slurp("x.7z", &len);
    opened_cut(&o, &archive_7z, data, len, 0);
    ck_assert_int_eq(opened_read(&o), 0);
    ck_assert_ptr_null(opened_member(&o, "d/link"));
    opened_expect(&o, "d/film.mkv", film, FILM_SIZE);
    opened_fini(&o);
    free(data);
}
END_TEST

/* --- volumes --- */

#define VOLUME 100000u

static uint8_t *volumes_make(size_t *len)
{
    program_run("7z a -mx0 -v100000b x.7z d && cat x.7z.* > whole");
    return program_slurp("whole", len);
}

START_TEST(few_articles_open_many_volumes)
{
    struct opened o;
    size_t len;
    if (!program_is_there("7z"))
        return;
    uint8_t *data = volumes_make(&len);
    opened_cut(&o, &archive_7z, data, len, VOLUME);
    ck_assert_uint_eq(o.set.nvolumes, 16);
    ck_assert_int_eq(opened_read(&o), 0);
    opened_expect(&o, "d/film.mkv", film, FILM_SIZE);
    ck_assert_uint_eq(opened_articles(&o), 2);
    const struct archive_member *m = opened_member(&o, "d/film.mkv");
    unsigned computed = 0;
    for (uint32_t k = 0; k < m->npieces; k++) {
        ck_assert(m->pieces[k].computed == !o.volumes[m->pieces[k].volume].read);
        computed += m->pieces[k].computed;
    }
    ck_assert_uint_ge(computed, 13);
    opened_fini(&o);
    /* Thorough: all are asked. */
    opened_cut(&o, &archive_7z, data, len, VOLUME);
    o.set.thorough = true;
    ck_assert_int_eq(opened_read(&o), 0);
    ck_assert_uint_eq(opened_articles(&o), 16);
    ck_assert(!opened_member(&o, "d/film.mkv")->pieces[5].computed);
    opened_fini(&o);
    free(data);
}
END_TEST

START_TEST(odd_volumes_are_noticed_by_the_sum)
{
    struct opened o;
    size_t len;
    if (!program_is_there("7z"))
        return;
    uint8_t *data = volumes_make(&len);
    opened_cut(&o, &archive_7z, data, VOLUME, 0);
    opened_add(&o, data + VOLUME, VOLUME - 16);
    opened_add(&o, data + 2 * VOLUME - 16, 2 * VOLUME);
    opened_add(&o, data + 4 * VOLUME - 16, len - 4 * VOLUME + 16);
    o.volumes[1].guess = o.volumes[2].guess = 0; /* the NZB does not tell */
    ck_assert_int_eq(opened_read(&o), 0);
    ck_assert_int_eq(o.set.why, ARCHIVE_OK);
    opened_expect(&o, "d/film.mkv", film, FILM_SIZE);
    opened_fini(&o);
    free(data);
}
END_TEST

START_TEST(a_volume_that_lacks_is_said_to)
{
    size_t len;
    if (!program_is_there("7z"))
        return;
    uint8_t *data = volumes_make(&len);
    for (uint32_t v = 1; v < 16; v++) {
        struct opened o;
        opened_cut(&o, &archive_7z, data, len, VOLUME);
        opened_drop(&o, v);
        ck_assert_int_eq(opened_read(&o), 0);
        ck_assert_int_eq(o.set.why, ARCHIVE_VOLUME_LACKS);
        ck_assert_uint_eq(o.set.nmembers, 0);
        opened_fini(&o);
    }
    free(data);
}
END_TEST

START_TEST(volumes_whose_order_is_not_told_are_put_right_or_refused)
{
    struct opened o;
    size_t len;
    if (!program_is_there("7z"))
        return;
    uint8_t *data = volumes_make(&len);
    size_t third = len / 3 + 100;
    opened_cut(&o, &archive_7z, data + 2 * third, len - 2 * third, 0);
    opened_add(&o, data + third, third);
    opened_add(&o, data, third);
    o.set.ordered = false;
    ck_assert_int_eq(opened_read(&o), 0);
    ck_assert_int_eq(o.set.why, ARCHIVE_OK);
    opened_expect(&o, "d/film.mkv", film, FILM_SIZE);
    ck_assert_uint_eq(o.volumes[0].post, 2);
    opened_fini(&o);
    opened_cut(&o, &archive_7z, data, len, VOLUME);
    o.set.ordered = false;
    ck_assert_int_eq(opened_read(&o), 0);
    ck_assert_int_eq(o.set.why, ARCHIVE_UNKNOWN);
    opened_fini(&o);
    free(data);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("archive/sevenz");
    TCase *t = tcase_create("by hand"), *p = tcase_create("by programs");

    tcase_add_test(t, it_is_told_by_its_first_six_bytes);
    tcase_add_test(t, files_of_one_folder_lie_one_behind_the_other);
    tcase_add_test(t, every_archive_that_is_cut_short_is_said_to_be);
    tcase_add_test(t, a_byte_that_is_wrong_is_found_by_a_checksum);
    tcase_add_test(t, sizes_that_cannot_be_are_damage);
    tcase_add_test(t, a_header_that_is_nowhere_or_too_long_is_refused);
    tcase_add_test(t, counts_are_held_against_what_is_left);
    tcase_add_test(t, headers_in_headers_come_to_an_end);
    tcase_add_test(t, an_empty_archive_is_empty);
    tcase_add_test(t, what_has_no_stream_is_a_directory_or_empty_or_a_deletion);
    tcase_add_test(t, articles_that_cannot_be_had_are_told_from_damage);
    tcase_add_test(t, little_memory_is_said_and_nothing_leaks);
    tcase_add_checked_fixture(p, files_make, files_free);
    tcase_add_test(p, what_programs_store_is_shown);
    tcase_add_test(p, what_programs_encrypt_is_deciphered);
    tcase_add_test(p, encrypted_headers_are_read);
    tcase_add_test(p, the_right_one_of_several_passwords_is_found);
    tcase_add_test(p, a_wrong_password_is_told_from_none_and_from_damage);
    tcase_add_test(p, where_all_work_was_spent_on_others_it_is_told);
    tcase_add_test(p, stored_and_compressed_files_stand_in_one_archive);
    tcase_add_test(p, links_are_left_out);
    tcase_add_test(p, few_articles_open_many_volumes);
    tcase_add_test(p, odd_volumes_are_noticed_by_the_sum);
    tcase_add_test(p, a_volume_that_lacks_is_said_to);
    tcase_add_test(p, volumes_whose_order_is_not_told_are_put_right_or_refused);
    suite_add_tcase(s, t);
    suite_add_tcase(s, p);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
