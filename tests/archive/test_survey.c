#include "nzb/name.h"
#include "tests/archive/surveyed.h"
#include "tests/lib/par2maker.h"
#include "tests/lib/rarmaker.h"
#include "tests/lib/zipmaker.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct surveyed s;

#define FILM(n)                                                                                    \
    {                                                                                              \
        .name = n, .len = 1500000, .seed = 3, .mtime_s = 1600000000                                \
    }

static const struct made_file film = FILM("a film.mkv");

static struct made *film_in_volumes(uint64_t volume_size)
{
    return rarmaker_make(&(struct rarmaker_options){.volume_size = volume_size, .base = "a.film"},
                         &film, 1);
}

/* ---- few articles ---- */

START_TEST(posts_with_good_names_cost_nothing)
{
    static const struct made_file files[] = {FILM("a film.mkv"), FILM("a film.nfo"),
                                             FILM("a film.vol0+1.par2"), FILM("sample.mkv")};
    struct made *m = made_plain(files, 4);

    surveyed_add(&s, m);
    surveyed_run(&s);
    ck_assert_uint_eq(s.articles, 0);
    ck_assert_uint_eq(s.l->nentries, 4);
    ck_assert_uint_eq(s.l->nsets, 0);
    for (uint32_t i = 0; i < 4; i++) {
        const struct archive_entry *e = &s.l->entries[i];
        ck_assert_str_eq(e->path, files[i].name);
        ck_assert(e->post == i && e->set == UINT32_MAX && !e->hidden && e->aside == (i > 0));
        ck_assert(s.l->posts[i].shown && !s.l->posts[i].why);
        ck_assert_str_eq(s.l->posts[i].name, files[i].name);
    }
    surveyed_free(&s);
    made_free(m);
}
END_TEST

START_TEST(a_hundred_equal_volumes_cost_five_articles)
{
    const struct made_file big = {.name = "dir/big.mkv", .len = 200000000, .seed = 5};
    struct made *m = rarmaker_make(
        &(struct rarmaker_options){.volume_size = 2000000, .sum = RARMAKER_NO_SUM}, &big, 1);

    ck_assert_uint_ge(m->nvolumes, 100);
    surveyed_add(&s, m);
    surveyed_run(&s);
    ck_assert_uint_le(s.articles, 5);
    ck_assert_uint_eq(surveyed_shown(&s), 1);
    ck_assert_uint_eq(s.l->nsets, 1);
    ck_assert(!s.l->sets[0].why && s.l->sets[0].nreckoned > 90);
    ck_assert(surveyed_reckoned_well(&s));
    surveyed_expect(&s, "dir/big.mkv", &big);
    surveyed_free(&s);
    made_free(m);
}
END_TEST

START_TEST(obfuscated_and_shuffled_they_cost_their_first_articles_at_once)
{
    const struct made_file big = {.name = "big.mkv", .len = 200000000, .seed = 5};
    struct made *m = rarmaker_make(
        &(struct rarmaker_options){.volume_size = 2000000, .sum = RARMAKER_NO_SUM}, &big, 1);

    made_obfuscate(m, 1);
    made_shuffle(m, 2);
    surveyed_add(&s, m);
    surveyed_run(&s);
    ck_assert_uint_le(s.articles, m->nvolumes + 5);
    ck_assert_uint_ge(s.before, m->nvolumes);
    ck_assert_uint_eq(surveyed_shown(&s), 1);
    surveyed_expect(&s, "big.mkv", &big);
    surveyed_free(&s);
    made_free(m);
}
END_TEST

START_TEST(an_odd_volume_is_noticed_and_read_when_asked_thoroughly)
{
    uint64_t sizes[20];
    for (unsigned i = 0; i < 20; i++)
        sizes[i] = i == 7 ? 90000 : 100000;
    struct made *m = rarmaker_make(&(struct rarmaker_options){.volume_size = 100000,
                                                              .volume_sizes = sizes,
                                                              .nvolume_sizes = 20},
                                   &film, 1);

    surveyed_add(&s, m);
    surveyed_run(&s);
    bool well = surveyed_reckoned_well(&s);
    bool reckoned = s.l->nsets && s.l->sets[0].nreckoned;
    ck_assert(!reckoned || !well); /* it may have been noticed at once by the sum of all parts */
    archive_layout_free(s.l);
    s.o.thorough = true;
    surveyed_run(&s);
    ck_assert(surveyed_reckoned_well(&s) && !s.l->sets[0].nreckoned);
    surveyed_expect(&s, "a film.mkv", &film);
    surveyed_free(&s);
    made_free(m);
}
END_TEST

/* ---- names ---- */

START_TEST(par2_descriptions_name_obfuscated_posts)
{
    static const struct made_file files[] = {FILM("first film.mkv"),
                                             {.name = "second film.mkv", .len = 70001, .seed = 9}};
    struct made *m = made_plain(files, 2);
    struct made *par2 = par2maker_make(&(struct par2maker_options){.recovery = 2}, m);

    made_obfuscate(m, 1);
    made_obfuscate(par2, 2);
    surveyed_add(&s, par2);
    surveyed_add(&s, m);
    surveyed_run(&s);
    surveyed_expect(&s, "first film.mkv", &files[0]);
    surveyed_expect(&s, "second film.mkv", &files[1]);
    for (uint32_t i = 0; i < par2->nvolumes; i++)
        ck_assert(s.l->entries[i].aside);
    surveyed_free(&s);
    made_free(par2);
    made_free(m);
}
END_TEST

START_TEST(par2_descriptions_put_volumes_in_order)
{
    struct made *m = film_in_volumes(100000);
    struct made *par2 = par2maker_make(&(struct par2maker_options){.base = "x"}, m);

    made_obfuscate(m, 1);
    made_shuffle(m, 2);
    surveyed_add(&s, m);
    surveyed_add(&s, par2);
    surveyed_run(&s);
    surveyed_expect(&s, "a film.mkv", &film);
    ck_assert_uint_eq(surveyed_shown(&s), 1 + par2->nvolumes);
    ck_assert_uint_eq(s.late, 0);
    surveyed_free(&s);
    made_free(par2);
    made_free(m);
}
END_TEST

START_TEST(yenc_names_stand_in_for_obfuscated_ones)
{
    struct made *m = film_in_volumes(300000);
    char names[8][32];

    made_obfuscate(m, 1);
    surveyed_add(&s, m);
    ck_assert_uint_le(s.n, 8);
    for (uint32_t i = 0; i < s.n; i++) {
        snprintf(names[i], sizeof(names[i]), "the.film.part%u.rar", i + 1);
        s.posts[i].yenc = names[i];
    }
    surveyed_run(&s);
    surveyed_expect(&s, "a film.mkv", &film);
    ck_assert_str_eq(s.l->sets[0].name, "the.film");
    ck_assert_str_eq(s.l->posts[0].name, "the.film.part1.rar");
    surveyed_free(&s);
    made_free(m);
}
END_TEST

START_TEST(the_title_names_what_has_no_name)
{
    static uint8_t mkv[5000] = {0x1a, 0x45, 0xdf, 0xa3};
    static const struct made_file files[] = {{.name = "x", .data = mkv, .len = sizeof(mkv)},
                                             {.name = "y", .data = mkv, .len = sizeof(mkv)}};
    struct made *m = made_plain(files, 2);

    made_obfuscate(m, 1);
    s.o.title = "The Title";
    surveyed_add(&s, m);
    surveyed_run(&s);
    surveyed_expect(&s, "The Title.mkv", &files[0]);
    surveyed_expect(&s, "The Title (2).mkv", &files[1]);
    surveyed_free(&s);
    made_free(m);
}
END_TEST

#define RANDOM "3fa9c0b17de24c5f8a6b0d91e2f4a7c8"

START_TEST(the_title_names_the_film_that_has_no_name_in_its_archive)
{
    static const struct made_file files[] = {{.name = "a/" RANDOM ".mkv", .len = 9000, .seed = 1},
                                             {.name = "a/" RANDOM ".en.srt", .len = 90, .seed = 2},
                                             {.name = "a/" RANDOM ".nfo", .len = 30, .seed = 3},
                                             {.name = "another.mkv", .len = 8000, .seed = 4}};

    for (uint32_t n = 1; n <= 4; n++) {
        struct made *m = rarmaker_make(&(struct rarmaker_options){0}, files, n);
        s.o.title = "The/Title";
        surveyed_add(&s, m);
        surveyed_run(&s);
        surveyed_expect(&s, n == 4 ? files[0].name : "a/The_Title.mkv", &files[0]);
        if (n == 3) {
            surveyed_expect(&s, "a/The_Title.en.srt", &files[1]);
            surveyed_expect(&s, files[2].name, &files[2]);
        }
        surveyed_free(&s);
        made_free(m);
    }
}
END_TEST

START_TEST(a_film_that_has_a_name_keeps_it)
{
    struct made *m = rarmaker_make(&(struct rarmaker_options){0}, &film, 1);

    s.o.title = "The Title";
    surveyed_add(&s, m);
    surveyed_run(&s);
    surveyed_expect(&s, "a film.mkv", &film);
    surveyed_free(&s);
    made_free(m);
}
END_TEST

/* ---- sets ---- */

static void expect_two(unsigned version)
{
    const struct made_file other = {.name = "other.mkv", .len = 1234567, .seed = 77};
    struct made *a = film_in_volumes(100000);
    struct made *b = rarmaker_make(
        &(struct rarmaker_options){.volume_size = 90000, .version = version}, &other, 1);

    made_obfuscate(a, 1);
    made_obfuscate(b, 2);
    made_shuffle(a, 3);
    made_shuffle(b, 4);
    surveyed_add(&s, b);
    surveyed_add(&s, a);
    surveyed_run(&s);
    ck_assert_uint_eq(surveyed_shown(&s), 2);
    surveyed_expect(&s, "a film.mkv", &film);
    surveyed_expect(&s, "other.mkv", &other);
    surveyed_free(&s);
    made_free(a);
    made_free(b);
}

START_TEST(two_sets_in_one_heap_are_told_apart)
{
    expect_two(4);
    expect_two(5);
}
END_TEST

START_TEST(pieces_of_one_file_are_joined)
{
    struct made *m = made_plain(&film, 1);

    made_cut(m, 100000);
    surveyed_add(&s, m);
    surveyed_run(&s);
    ck_assert_uint_eq(surveyed_shown(&s), 1);
    surveyed_expect(&s, "a film.mkv", &film);
    ck_assert(surveyed_reckoned_well(&s));
    surveyed_free(&s);
    made_free(m);
}
END_TEST

START_TEST(a_rar_archive_may_be_cut_into_001)
{
    struct made *m = film_in_volumes(100000);
    char names[32][32];

    surveyed_add(&s, m);
    for (uint32_t i = 0; i < s.n; i++) {
        snprintf(names[i], sizeof(names[i]), "film.%03u", i + 1);
        s.posts[i].post.name = names[i];
    }
    surveyed_run(&s);
    ck_assert_uint_eq(surveyed_shown(&s), 1);
    surveyed_expect(&s, "a film.mkv", &film);
    surveyed_free(&s);
    made_free(m);
}
END_TEST

START_TEST(a_zip_archive_is_opened_whole_and_cut)
{
    for (unsigned cut = 0; cut < 2; cut++) {
        struct made *m = zipmaker_make(&(struct zipmaker_options){0}, &film, 1);
        if (cut)
            made_cut(m, 200000);
        surveyed_add(&s, m);
        surveyed_run(&s);
        ck_assert_uint_eq(surveyed_shown(&s), 1);
        surveyed_expect(&s, "a film.mkv", &film);
        surveyed_free(&s);
        made_free(m);
    }
}
END_TEST

START_TEST(what_is_compressed_is_shown_as_it_was_posted)
{
    const struct made_file file = {.name = "x.mkv", .len = 500000, .seed = 1, .compressed = true};
    struct made *m =
        rarmaker_make(&(struct rarmaker_options){.volume_size = 100000, .base = "x"}, &file, 1);

    surveyed_add(&s, m);
    surveyed_run(&s);
    ck_assert_uint_eq(surveyed_shown(&s), s.n);
    for (uint32_t i = 0; i < s.n; i++) {
        ck_assert_int_eq(s.l->posts[i].why, ARCHIVE_COMPRESSED);
        ck_assert(s.l->posts[i].shown && s.l->posts[i].set == 0);
        ck_assert_ptr_nonnull(surveyed_entry(&s, m->volumes[i].name));
    }
    surveyed_free(&s);
    made_free(m);
}
END_TEST

START_TEST(with_a_volume_missing_what_is_complete_is_shown)
{
    static const struct made_file files[] = {{.name = "one", .len = 30000, .seed = 1},
                                             {.name = "two", .len = 400000, .seed = 2},
                                             {.name = "three", .len = 30000, .seed = 3}};
    struct made *m =
        rarmaker_make(&(struct rarmaker_options){.volume_size = 100000, .base = "x"}, files, 3);

    surveyed_add(&s, m);
    s.n--; /* the last one, with "three" */
    surveyed_run(&s);
    surveyed_expect(&s, "one", &files[0]);
    ck_assert_ptr_null(surveyed_entry(&s, "three"));
    ck_assert_int_ne(s.l->sets[0].why, ARCHIVE_OK);
    s.n++;
    surveyed_free(&s);
    made_free(m);
}
END_TEST

START_TEST(passwords_are_tried)
{
    static const char *const passwords[] = {"wrong", "right"};

    for (unsigned version = 4; version <= 5; version++)
        for (unsigned headers = 0; headers < 2; headers++) {
            struct made *m = rarmaker_make(&(struct rarmaker_options){.version = version,
                                                                      .volume_size = 100000,
                                                                      .password = "right",
                                                                      .encrypt_headers = headers,
                                                                      .kdf_log2 = 4},
                                           &film, 1);
            bool any = version == 5 || headers; /* RAR 4 data tells nothing about its password */
            s.o.passwords = any ? passwords : passwords + 1;
            s.o.npasswords = any ? 2 : 1;
            surveyed_add(&s, m);
            surveyed_run(&s);
            surveyed_expect(&s, "a film.mkv", &film);
            archive_layout_free(s.l);
            s.o.npasswords = 0;
            surveyed_run(&s);
            ck_assert_int_eq(s.l->sets[0].why, ARCHIVE_NO_PASSWORD);
            ck_assert_uint_eq(surveyed_shown(&s), s.n);
            surveyed_free(&s);
            made_free(m);
        }
}
END_TEST

/* ---- what was posted twice ---- */

/* Posts from `first` on have the names that an NZB gives the `n`th of one name. */
static void name_copies(uint32_t first, unsigned n, char (*names)[NZB_NAME_MAX + 1])
{
    for (uint32_t i = first; i < s.n; i++) {
        nzb_name_nth(s.posts[i].post.name, n, names[i - first]);
        s.posts[i].post.name = names[i - first];
    }
}

START_TEST(of_a_volume_that_was_posted_twice_the_better_one_is_taken)
{
    static char names[16][NZB_NAME_MAX + 1];

    for (unsigned k = 0; k < 8; k++) {
        bool first_is_short = k & 1, old = k & 2, cut = k & 4;
        struct rarmaker_options o = {.volume_size = 200000,
                                     .version = old ? 4 : 5,
                                     .naming = old ? RARMAKER_OLD : RARMAKER_PART};
        struct made *m = cut ? zipmaker_make(&(struct zipmaker_options){0}, &film, 1)
                             : rarmaker_make(&o, &film, 1);
        if (cut)
            made_cut(m, 200000);
        surveyed_add(&s, m);
        uint32_t all = s.n, lacks = first_is_short ? 1 : all;
        surveyed_add(&s, m);
        struct surveyed_post *again = &s.posts[all]; /* the second volume, once more */
        again->volume = 1;
        again->size = m->volumes[1].size;
        again->post.guess = s.posts[1].post.guess;
        again->post.name = m->volumes[1].name;
        s.n = all + 1;
        name_copies(all, 2, names);
        s.posts[lacks].post.guess /= 2;
        s.posts[lacks].err = -EIO;
        surveyed_run(&s);
        ck_assert_msg(surveyed_shown(&s) == 1, "%u: %u", k, surveyed_shown(&s));
        surveyed_expect(&s, "a film.mkv", &film);
        ck_assert(!s.l->posts[1].shown && !s.l->posts[all].shown && !s.l->sets[0].why);
        s.n = 2 * all;
        surveyed_free(&s);
        made_free(m);
    }
}
END_TEST

START_TEST(two_sets_of_one_name_are_both_opened)
{
    static char names[64][NZB_NAME_MAX + 1];
    const struct made_file other = {.name = "other.mkv", .len = 1500001, .seed = 77};

    for (unsigned k = 0; k < 4; k++) {
        struct rarmaker_options o = {.volume_size = k < 2 ? 100000 : 0, .naming = k % 2};
        struct made *a = rarmaker_make(&o, &film, 1), *b = rarmaker_make(&o, &other, 1);
        if (k == 3) {
            made_cut(a, 400000);
            made_cut(b, 400000);
        }
        surveyed_add(&s, a);
        surveyed_add(&s, b);
        ck_assert_uint_eq(a->nvolumes, b->nvolumes);
        name_copies(a->nvolumes, 2, names);
        surveyed_run(&s);
        ck_assert_msg(surveyed_shown(&s) == 2, "%u: %u", k, surveyed_shown(&s));
        surveyed_expect(&s, "a film.mkv", &film);
        surveyed_expect(&s, "other.mkv", &other);
        surveyed_free(&s);
        made_free(a);
        made_free(b);
    }
}
END_TEST

START_TEST(archives_of_one_volume_each_are_all_opened)
{
    static char names[SURVEYED_POSTS][40];
    static struct made *made[SURVEYED_POSTS];

    for (unsigned k = 0; k < 3; k++) { /* RAR 4 and RAR 5 of random names, ZIPs of one name */
        for (uint32_t i = 0; i < SURVEYED_POSTS; i++) {
            struct made_file f = {.name = "f", .len = 10 + i, .seed = i};
            made[i] = k == 2 ? zipmaker_make(&(struct zipmaker_options){0}, &f, 1)
                             : rarmaker_make(&(struct rarmaker_options){.version = 4 + k}, &f, 1);
            made_obfuscate(made[i], i + 1);
            surveyed_add(&s, made[i]);
            if (k == 2)
                s.posts[i].post.name = strcpy(names[i], i % 2 ? "x.zip" : "X.zip");
        }
        surveyed_run(&s);
        ck_assert_uint_eq(s.l->nsets, SURVEYED_POSTS);
        ck_assert_uint_eq(surveyed_shown(&s), SURVEYED_POSTS);
        for (uint32_t i = 0; i < SURVEYED_POSTS; i++)
            ck_assert(!s.l->posts[i].shown);
        surveyed_free(&s);
        for (uint32_t i = 0; i < SURVEYED_POSTS; i++)
            made_free(made[i]);
    }
}
END_TEST

START_TEST(volumes_that_all_have_one_name_are_told_by_their_headers)
{
    static char names[64][NZB_NAME_MAX + 1];
    struct made *m = film_in_volumes(100000);

    made_shuffle(m, 4);
    surveyed_add(&s, m);
    for (uint32_t i = 0; i < s.n; i++) {
        if (i)
            nzb_name_nth("film.rar", i + 1, names[i]);
        else
            strcpy(names[i], "film.rar");
        s.posts[i].post.name = names[i];
    }
    surveyed_run(&s);
    ck_assert_uint_eq(surveyed_shown(&s), 1);
    surveyed_expect(&s, "a film.mkv", &film);
    surveyed_free(&s);
    made_free(m);
}
END_TEST

START_TEST(names_that_differ_only_in_case_are_of_two_archives)
{
    const struct made_file other = {.name = "other.mkv", .len = 12345, .seed = 77};
    struct made *a = zipmaker_make(&(struct zipmaker_options){0}, &film, 1);
    struct made *b = zipmaker_make(&(struct zipmaker_options){0}, &other, 1);

    surveyed_add(&s, a);
    surveyed_add(&s, b);
    s.posts[0].post.name = "x.zip";
    s.posts[1].post.name = "X.ZIP";
    surveyed_run(&s);
    ck_assert_uint_eq(surveyed_shown(&s), 2);
    surveyed_expect(&s, "a film.mkv", &film);
    surveyed_expect(&s, "other.mkv", &other);
    surveyed_free(&s);
    made_free(a);
    made_free(b);
}
END_TEST

START_TEST(a_rar_archive_that_was_cut_anywhere_is_opened)
{
    static const char *const bases[] = {"x.rar", "x"};
    static char names[16][40];

    for (unsigned k = 0; k < 4; k++) {
        struct made *m = rarmaker_make(&(struct rarmaker_options){.version = 4 + k / 2}, &film, 1);
        made_cut(m, 200000);
        surveyed_add(&s, m);
        for (uint32_t i = 0; i < s.n; i++) {
            snprintf(names[i], sizeof(names[i]), "%s.%03u", bases[k % 2], i + 1);
            s.posts[i].post.name = names[i];
        }
        surveyed_run(&s);
        ck_assert_uint_eq(surveyed_shown(&s), 1);
        surveyed_expect(&s, "a film.mkv", &film);
        surveyed_free(&s);
        made_free(m);
    }
}
END_TEST

START_TEST(pieces_may_be_counted_from_0)
{
    struct made *m = made_plain(&film, 1);
    static char names[16][40];

    made_cut(m, 100000);
    surveyed_add(&s, m);
    for (uint32_t i = 0; i < s.n; i++) {
        snprintf(names[i], sizeof(names[i]), "a film.mkv.%03u", i);
        s.posts[i].post.name = names[i];
    }
    surveyed_run(&s);
    ck_assert_uint_eq(surveyed_shown(&s), 1);
    surveyed_expect(&s, "a film.mkv", &film);
    surveyed_free(&s);
    made_free(m);
}
END_TEST

/* ---- archives in archives ---- */

/* The volumes of `m` as files of another archive. */
static struct made *wrap(const struct made *m, const struct rarmaker_options *o, uint8_t **data)
{
    struct made_file files[64];

    ck_assert_uint_le(m->nvolumes, 64);
    for (uint32_t v = 0; v < m->nvolumes; v++) {
        data[v] = made_volume_bytes(m, v);
        files[v] = (struct made_file){
            .name = m->volumes[v].name, .data = data[v], .len = m->volumes[v].size};
    }
    return rarmaker_make(o, files, m->nvolumes);
}

static void expect_nested(const char *password, bool inner_too)
{
    uint8_t *data[64] = {0};
    struct made *inner =
        rarmaker_make(&(struct rarmaker_options){.volume_size = 200000,
                                                 .base = "inner",
                                                 .password = inner_too ? password : NULL,
                                                 .kdf_log2 = 4},
                      &film, 1);
    struct made *outer =
        wrap(inner,
             &(struct rarmaker_options){
                 .volume_size = 300000, .base = "outer", .password = password, .kdf_log2 = 4},
             data);

    s.o.passwords = &password;
    s.o.npasswords = password != NULL;
    surveyed_add(&s, outer);
    surveyed_run(&s);
    ck_assert_uint_eq(surveyed_shown(&s), 1);
    surveyed_expect(&s, "a film.mkv", &film);
    const struct archive_entry *e = surveyed_entry(&s, "a film.mkv");
    for (uint32_t k = 0; k < e->nextents; k++)
        ck_assert(e->extents[k].entry == (password != NULL));
    surveyed_free(&s);
    made_free(outer);
    made_free(inner);
    for (unsigned i = 0; i < 64; i++)
        free(data[i]);
}

START_TEST(an_archive_in_an_archive_is_opened)
{
    expect_nested(NULL, false);
}
END_TEST

START_TEST(an_archive_in_an_encrypted_one_is_opened)
{
    expect_nested("secret", false);
    expect_nested("secret", true);
}
END_TEST

/* ---- paths ---- */

static void expect_path_safe(const char *path)
{
    size_t len = strlen(path);
    ck_assert(len > 0 && len <= 4096 && path[0] != '/' && path[len - 1] != '/');
    ck_assert(!strstr(path, "//") && strncmp(path, "../", 3) && !strstr(path, "/../"));
    ck_assert(strcmp(path, "..") && (len < 3 || strcmp(path + len - 3, "/..")));
}

START_TEST(paths_never_leave_the_mount_and_are_unique)
{
    static char deep[300], wide[70 * 64];
    struct made_file files[] = {
        {.name = "../../etc/passwd", .len = 10},
        {.name = "/etc/passwd", .len = 11},
        {.name = "etc/passwd", .len = 12},
        {.name = "C:/windows/x", .len = 13},
        {.name = "a", .len = 14},
        {.name = "a/b", .len = 15},
        {.name = "a/c", .len = 16},
        {.name = "./a/./b", .len = 17},
        {.name = "dir", .dir = true},
        {.name = "dir", .dir = true},
        {.name = "dir", .len = 18},
        {.name = "..", .len = 19},
        {.name = deep, .len = 20},
        {.name = wide, .len = 21},
        {.name = "bad\x01name\n/\x1b[2J", .len = 22},
        {.name = "dir/x", .len = 23},
    };
    uint32_t n = sizeof(files) / sizeof(files[0]);

    for (unsigned i = 0; i < 100; i++)
        memcpy(deep + 2 * i, "d/", 2);
    strcpy(deep + 200, "deep");
    for (unsigned i = 0; i < 60; i++) {
        memset(wide + 70 * i, 'w', 69);
        wide[70 * i + 69] = '/';
    }
    strcpy(wide + 70 * 60, "wide");
    struct made *m = zipmaker_make(&(struct zipmaker_options){0}, files, n);
    surveyed_add(&s, m);
    surveyed_run(&s);
    for (uint32_t i = 0; i < s.l->nentries; i++) {
        expect_path_safe(s.l->entries[i].path);
        for (uint32_t k = 0; k < i; k++)
            ck_assert(s.l->entries[i].hidden || s.l->entries[k].hidden ||
                      strcmp(s.l->entries[i].path, s.l->entries[k].path) != 0);
    }
    ck_assert_uint_eq(surveyed_entry(&s, "etc/passwd")->size, 10);
    ck_assert_uint_eq(surveyed_entry(&s, "etc/passwd (2)")->size, 11);
    ck_assert_uint_eq(surveyed_entry(&s, "etc/passwd (3)")->size, 12);
    ck_assert_uint_eq(surveyed_entry(&s, "windows/x")->size, 13);
    ck_assert_uint_eq(surveyed_entry(&s, "a")->size, 14);
    ck_assert_uint_eq(surveyed_entry(&s, "a (2)/b")->size, 15);
    ck_assert_uint_eq(surveyed_entry(&s, "a (2)/c")->size, 16);
    ck_assert_uint_eq(surveyed_entry(&s, "a (2)/b (2)")->size, 17);
    ck_assert(surveyed_entry(&s, "dir")->dir);
    ck_assert_uint_eq(surveyed_entry(&s, "dir (2)")->size, 18);
    ck_assert_uint_eq(surveyed_entry(&s, "dir/x")->size, 23);
    ck_assert_uint_eq(surveyed_entry(&s, "deep")->size, 20);
    ck_assert_uint_eq(surveyed_entry(&s, "wide")->size, 21);
    surveyed_free(&s);
    made_free(m);
}
END_TEST

/* So many that looking at each file for each directory would run into the suite's time limit. */
START_TEST(directories_where_many_files_are_in_the_way_are_found_at_once)
{
    enum { MANY = 60000 };
    static struct made_file files[2 * MANY];
    static char names[MANY][16];

    for (unsigned i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof(names[i]), "a/%u", i);
        files[i] = (struct made_file){.name = "a"};
        files[MANY + i] = (struct made_file){.name = names[i]};
    }
    struct made *m = rarmaker_make(&(struct rarmaker_options){.base = "x"}, files, 2 * MANY);
    surveyed_add(&s, m);
    surveyed_run(&s);
    ck_assert_uint_eq(surveyed_shown(&s), 2 * MANY);
    ck_assert(surveyed_entry(&s, "a (60000)"));
    ck_assert(surveyed_entry(&s, "a (60001)/0"));
    ck_assert(surveyed_entry(&s, "a (60001)/59999"));
    surveyed_free(&s);
    made_free(m);
}
END_TEST

START_TEST(what_needs_one_directory_too_many_stands_at_the_top)
{
    enum { MANY = 2000, DEEP = 62, ENOUGH = 1500 };
    static struct made_file files[MANY];
    static char names[MANY][2 * DEEP + 16];
    unsigned below = 0;

    for (unsigned i = 0; i < MANY; i++) {
        int n = snprintf(names[i], sizeof(names[i]), "%u/", i);
        for (int k = 0; k < DEEP; k++)
            memcpy(names[i] + n + (size_t)2 * (unsigned)k, "d/", 2);
        memcpy(names[i] + n + (size_t)2 * DEEP, "f", 2);
        files[i] = (struct made_file){.name = names[i], .len = 1};
    }
    struct made *m = rarmaker_make(&(struct rarmaker_options){.base = "x"}, files, MANY);
    surveyed_add(&s, m);
    surveyed_run(&s);
    ck_assert_uint_eq(surveyed_shown(&s), MANY);
    ck_assert(surveyed_entry(&s, names[0]));
    ck_assert(!surveyed_entry(&s, names[MANY - 1]));
    ck_assert(surveyed_entry(&s, "f"));
    for (uint32_t i = 0; i < s.l->nentries; i++)
        below += strchr(s.l->entries[i].path, '/') != NULL;
    ck_assert(below > ENOUGH && below < MANY);
    surveyed_free(&s);
    made_free(m);
}
END_TEST

/* ---- errors ---- */

START_TEST(a_post_that_cannot_be_read_is_shown_and_hides_no_other)
{
    struct made *m = film_in_volumes(100000);
    struct made *plain = made_plain(&(struct made_file)FILM("x"), 1);

    made_obfuscate(plain, 1);
    surveyed_add(&s, m);
    surveyed_add(&s, plain);
    s.posts[s.n - 1].err = -EIO;
    surveyed_run(&s);
    surveyed_expect(&s, "a film.mkv", &film);
    ck_assert_ptr_nonnull(surveyed_entry(&s, plain->volumes[0].name));
    archive_layout_free(s.l);
    s.posts[0].err = -EIO; /* the first volume */
    surveyed_run(&s);
    ck_assert(s.l->posts[0].shown && s.l->posts[0].why);
    surveyed_free(&s);
    made_free(plain);
    made_free(m);
}
END_TEST

START_TEST(being_told_to_stop_ends_it)
{
    struct made *m = film_in_volumes(100000);
    static const int errs[] = {-EINTR, -ETIMEDOUT};

    surveyed_add(&s, m);
    for (unsigned k = 0; k < 2; k++) {
        s.posts[0].err = errs[k];
        ck_assert_int_eq(surveyed_try(&s), errs[k]);
        ck_assert_ptr_null(s.l);
    }
    surveyed_free(&s);
    made_free(m);
}
END_TEST

START_TEST(a_set_that_is_too_much_is_shown_as_posted)
{
    static struct made_file files[2000];
    static char names[2000][64];

    for (unsigned i = 0; i < 2000; i++) {
        snprintf(names[i], sizeof(names[i]), "a rather long name of a member, number %u", i);
        files[i] = (struct made_file){.name = names[i], .len = 1};
    }
    struct made *m = rarmaker_make(&(struct rarmaker_options){.base = "x"}, files, 2000);
    surveyed_add(&s, m);
    s.o.memory = 100000;
    surveyed_run(&s);
    ck_assert_int_eq(s.l->posts[0].why, ARCHIVE_TOO_MUCH);
    ck_assert_uint_eq(surveyed_shown(&s), 1);
    archive_layout_free(s.l);
    s.o.memory = 0;
    surveyed_run(&s);
    ck_assert_uint_eq(surveyed_shown(&s), 2000);
    surveyed_free(&s);
    made_free(m);
}
END_TEST

START_TEST(nothing_posted_is_nothing_found)
{
    surveyed_run(&s);
    ck_assert_uint_eq(s.l->nentries, 0);
    surveyed_free(&s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("archive/survey");
    TCase *t = tcase_create("survey");

    tcase_add_test(t, posts_with_good_names_cost_nothing);
    tcase_add_test(t, a_hundred_equal_volumes_cost_five_articles);
    tcase_add_test(t, obfuscated_and_shuffled_they_cost_their_first_articles_at_once);
    tcase_add_test(t, an_odd_volume_is_noticed_and_read_when_asked_thoroughly);
    tcase_add_test(t, par2_descriptions_name_obfuscated_posts);
    tcase_add_test(t, par2_descriptions_put_volumes_in_order);
    tcase_add_test(t, yenc_names_stand_in_for_obfuscated_ones);
    tcase_add_test(t, the_title_names_what_has_no_name);
    tcase_add_test(t, the_title_names_the_film_that_has_no_name_in_its_archive);
    tcase_add_test(t, a_film_that_has_a_name_keeps_it);
    tcase_add_test(t, two_sets_in_one_heap_are_told_apart);
    tcase_add_test(t, pieces_of_one_file_are_joined);
    tcase_add_test(t, a_rar_archive_may_be_cut_into_001);
    tcase_add_test(t, a_zip_archive_is_opened_whole_and_cut);
    tcase_add_test(t, what_is_compressed_is_shown_as_it_was_posted);
    tcase_add_test(t, with_a_volume_missing_what_is_complete_is_shown);
    tcase_add_test(t, passwords_are_tried);
    tcase_add_test(t, of_a_volume_that_was_posted_twice_the_better_one_is_taken);
    tcase_add_test(t, two_sets_of_one_name_are_both_opened);
    tcase_add_test(t, archives_of_one_volume_each_are_all_opened);
    tcase_add_test(t, volumes_that_all_have_one_name_are_told_by_their_headers);
    tcase_add_test(t, names_that_differ_only_in_case_are_of_two_archives);
    tcase_add_test(t, a_rar_archive_that_was_cut_anywhere_is_opened);
    tcase_add_test(t, pieces_may_be_counted_from_0);
    tcase_add_test(t, an_archive_in_an_archive_is_opened);
    tcase_add_test(t, an_archive_in_an_encrypted_one_is_opened);
    tcase_add_test(t, paths_never_leave_the_mount_and_are_unique);
    tcase_add_test(t, directories_where_many_files_are_in_the_way_are_found_at_once);
    tcase_add_test(t, what_needs_one_directory_too_many_stands_at_the_top);
    tcase_add_test(t, a_post_that_cannot_be_read_is_shown_and_hides_no_other);
    tcase_add_test(t, being_told_to_stop_ends_it);
    tcase_add_test(t, a_set_that_is_too_much_is_shown_as_posted);
    tcase_add_test(t, nothing_posted_is_nothing_found);
    suite_add_tcase(suite, t);
    SRunner *r = srunner_create(suite);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
