#include "tests/archive/rar_opened.h"

#include <check.h>
#include <stdlib.h>

#define MIB ((uint64_t)1 << 20)

static const struct made_file film = {.name = "film.mkv", .len = 99 * MIB + 12345, .seed = 7};

static void open_film(struct opened *x, const struct rarmaker_options *o)
{
    struct rarmaker_options quick = *o;
    quick.sum = RARMAKER_NO_SUM;
    opened_init(x, rarmaker_make(&quick, &film, 1), o->password);
}

static uint32_t count_reckoned(const struct opened *x)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < x->set.nvolumes; i++)
        n += !x->set.volumes[i].read;
    return n;
}

START_TEST(a_hundred_equal_volumes_take_three_articles)
{
    for (unsigned k = 0; k < 12; k++) {
        struct rarmaker_options o = {.version = 4 + k % 2,
                                     .volume_size = MIB,
                                     .password = k > 1 && k < 6 ? "p" : NULL,
                                     .encrypt_headers = k == 4 || k == 5,
                                     .kdf_log2 = k % 2 ? 4 : 0,
                                     .sum = RARMAKER_NO_SUM,
                                     .recovery = k / 6 ? 3000 : 0,
                                     .quick_open = k / 6 && k % 2};
        struct opened x;
        open_film(&x, &o);
        ck_assert_uint_ge(x.m->nvolumes, 100);
        opened_read(&x, true, false);
        opened_expect_whole(&x);
        uint32_t volumes, n = opened_articles(&x, &volumes), unwanted = 0;
        for (uint32_t i = 0; i < x.m->nvolumes; i++)
            unwanted += x.sources[i].nunwanted;
        ck_assert_uint_le(volumes, 3);
        ck_assert_uint_le(n, 4);
        ck_assert_uint_le(unwanted, n - 3);
        ck_assert_uint_eq(count_reckoned(&x), x.m->nvolumes - 3);
        opened_fini(&x);
    }
}
END_TEST

/* The last one's too, whose data end in another article: behind them is no room for a file. */
START_TEST(shuffled_volumes_take_their_first_articles_once_and_all_were_announced)
{
    const struct made_file longer = {.name = "film.mkv", .len = 99 * MIB + 900000, .seed = 7};
    struct rarmaker_options o = {.volume_size = MIB, .naming = RARMAKER_RANDOM};
    struct made *m = rarmaker_make(&o, &longer, 1);
    struct opened x;
    made_shuffle(m, 3);
    opened_init(&x, m, NULL);
    opened_read(&x, false, false);
    opened_expect_whole(&x);
    for (uint32_t i = 0; i < x.m->nvolumes; i++) {
        ck_assert_uint_eq(x.sources[i].nparts, 1);
        ck_assert_uint_eq(x.sources[i].nunwanted, 0);
        ck_assert_uint_eq(x.sources[i].seen[0], 3);
        ck_assert_uint_eq(x.sources[i].seen[1], 0);
    }
    opened_fini(&x);
}
END_TEST

START_TEST(names_that_lie_are_overruled_by_headers)
{
    for (unsigned version = 4; version <= 5; version++)
        for (uint64_t seed = 1; seed < 12; seed++) {
            struct rarmaker_options o = {
                .version = version, .volume_size = 8 * MIB, .sum = RARMAKER_NO_SUM};
            struct made *m = rarmaker_make(&o, &film, 1);
            struct opened x;
            made_shuffle(m, seed);
            opened_init(&x, m, NULL);
            opened_read(&x, true, true);
            if (version == 5)
                opened_expect_whole(&x);
            opened_fini(&x);
        }
}
END_TEST

START_TEST(many_members_that_go_on_over_volumes_cost_few_articles_each)
{
    struct made_file files[6];
    for (unsigned i = 0; i < 6; i++)
        files[i] = (struct made_file){.name = (const char *[]){"a", "b", "c", "d", "e", "f"}[i],
                                      .len = 20 * MIB + i * 77777,
                                      .seed = i};
    for (unsigned version = 4; version <= 5; version++) {
        struct rarmaker_options o = {.version = version, .volume_size = MIB};
        struct opened x;
        opened_init(&x, rarmaker_make(&o, files, 6), NULL);
        opened_read(&x, true, false);
        opened_expect_whole(&x);
        uint32_t volumes, n = opened_articles(&x, &volumes);
        ck_assert_uint_gt(x.m->nvolumes, 115);
        ck_assert_uint_le(n, 19);
        opened_fini(&x);
    }
}
END_TEST

START_TEST(an_odd_volume_makes_all_headers_be_read)
{
    for (unsigned version = 4; version <= 5; version++)
        for (uint32_t odd = 0; odd < 12; odd++) {
            uint64_t sizes[12];
            for (unsigned i = 0; i < 12; i++)
                sizes[i] = i == odd ? 5 * MIB + 1 : 8 * MIB;
            struct rarmaker_options o = {.version = version,
                                         .volume_size = 8 * MIB,
                                         .volume_sizes = sizes,
                                         .nvolume_sizes = 12};
            struct opened x;
            open_film(&x, &o);
            opened_read(&x, true, false);
            opened_expect_whole(&x);
            opened_fini(&x);
        }
}
END_TEST

START_TEST(two_odd_volumes_that_make_up_for_each_other_are_noticed_when_streamed)
{
    for (unsigned version = 4; version <= 5; version++) {
        uint64_t sizes[12];
        for (unsigned i = 0; i < 12; i++)
            sizes[i] = 8 * MIB + (i == 4 ? 1000 : 0) - (i == 6 ? 1000 : 0);
        struct rarmaker_options o = {
            .version = version, .volume_size = 8 * MIB, .volume_sizes = sizes, .nvolume_sizes = 12};
        struct opened x;
        open_film(&x, &o);
        opened_read(&x, true, false);
        ck_assert_uint_gt(count_reckoned(&x), 0);
        for (uint32_t i = 0; i < x.set.nvolumes; i++) {
            uint8_t head[4096];
            size_t n = made_read(x.m, i, 0, head, sizeof(head));
            ck_assert(archive_rar.check(&x.set, i, head, n) == (i != 4 && i != 6));
        }
        opened_read(&x, true, true);
        opened_expect_whole(&x);
        opened_fini(&x);
    }
}
END_TEST

START_TEST(a_head_that_is_not_what_was_reckoned_is_told)
{
    for (unsigned k = 0; k < 4; k++) {
        struct rarmaker_options o = {.version = 4 + k % 2,
                                     .volume_size = 8 * MIB,
                                     .password = k / 2 ? "p" : NULL,
                                     .encrypt_headers = k / 2,
                                     .kdf_log2 = k % 2 ? 1 : 0};
        struct opened x;
        open_film(&x, &o);
        opened_read(&x, true, false);
        size_t len = (size_t)x.set.volumes[5].head;
        uint8_t *head = malloc(len);
        ck_assert(head && len > 20 && !x.set.volumes[5].read);
        ck_assert_uint_eq(made_read(x.m, 5, 0, head, len), len);
        ck_assert(archive_rar.check(&x.set, 5, head, len));
        ck_assert(!archive_rar.check(&x.set, 5, head, len - 1));
        for (size_t i = 0; i < len; i++) {
            head[i] ^= 0x10;
            /* Reserved bytes and padding are nobody's. */
            if (archive_rar.check(&x.set, 5, head, len))
                ck_assert_msg(k >= 2, "byte %zu of %zu", i, len);
            head[i] ^= 0x10;
        }
        free(head);
        opened_fini(&x);
    }
}
END_TEST

START_TEST(without_a_volume_the_others_members_are_whole)
{
    struct made_file files[8];
    for (unsigned i = 0; i < 8; i++)
        files[i] =
            (struct made_file){.name = (const char *[]){"a", "b", "c", "d", "e", "f", "g", "h"}[i],
                               .len = 5000 + i * 333,
                               .seed = i};
    for (unsigned k = 0; k < 8; k++)
        for (uint32_t drop = 0; drop < 12; drop++) {
            struct rarmaker_options o = {
                .version = 4 + k % 2, .volume_size = 4000, .naming = RARMAKER_PART};
            struct opened x;
            opened_init(&x, rarmaker_make(&o, files, 8), NULL);
            ck_assert_uint_gt(x.m->nvolumes, drop);
            opened_drop(&x, drop);
            opened_read(&x, k & 2, k & 4);
            for (uint32_t f = 0; f < 8; f++) {
                bool touched = false;
                for (uint32_t p = 0; p < x.m->npieces; p++)
                    touched |= x.m->pieces[p].file == f && x.m->pieces[p].volume == drop;
                const struct archive_member *m = opened_member(&x, files[f].name);
                if (!touched)
                    opened_expect_file(&x, f);
                else if (m)
                    ck_assert_int_eq(m->why, ARCHIVE_VOLUME_LACKS);
            }
            opened_fini(&x);
        }
}
END_TEST

START_TEST(volumes_whose_headers_cannot_be_had_spoil_only_what_they_hold)
{
    struct made_file files[8];
    for (unsigned i = 0; i < 8; i++)
        files[i] =
            (struct made_file){.name = (const char *[]){"a", "b", "c", "d", "e", "f", "g", "h"}[i],
                               .len = 5000 + i * 333,
                               .seed = i};
    for (unsigned k = 0; k < 4; k++) {
        struct rarmaker_options o = {.version = 4 + k % 2, .volume_size = 4000};
        struct opened x;
        opened_init(&x, rarmaker_make(&o, files, 8), NULL);
        x.sources[3].hole_len = 4000;
        opened_read(&x, true, k & 2);
        ck_assert_int_eq(x.set.why, ARCHIVE_UNREADABLE);
        for (uint32_t f = 0; f < 8; f++) {
            bool touched = false;
            for (uint32_t p = 0; p < x.m->npieces; p++)
                touched |= x.m->pieces[p].file == f && x.m->pieces[p].volume == 3;
            const struct archive_member *m = opened_member(&x, files[f].name);
            if (!touched)
                opened_expect_file(&x, f);
            else if (m)
                ck_assert_int_ne(m->why, ARCHIVE_OK);
        }
        opened_fini(&x);
    }
}
END_TEST

START_TEST(to_stop_is_to_stop)
{
    static const int stops[] = {-EINTR, -ETIMEDOUT, -ENOMEM};
    for (unsigned k = 0; k < 3; k++) {
        struct rarmaker_options o = {.volume_size = 8 * MIB};
        struct opened x;
        open_film(&x, &o);
        x.sources[1].size_error = stops[k];
        x.arena = (struct arena){0};
        x.set = (struct archive_set){.volumes = x.volumes,
                                     .nvolumes = x.m->nvolumes,
                                     .ordered = true,
                                     .keys = x.keys,
                                     .arena = &x.arena};
        ck_assert_int_eq(archive_rar.read(&x.set), stops[k]);
        ck_assert_uint_eq(x.set.nmembers, 0);
        opened_fini(&x);
    }
}
END_TEST

START_TEST(two_sets_in_one_heap_come_apart)
{
    struct made_file a = {.name = "a", .len = 30000, .seed = 1};
    struct made_file b = {.name = "b", .len = 50000, .seed = 2};
    for (unsigned version = 4; version <= 5; version++) {
        struct rarmaker_options o = {.version = version, .volume_size = 4000};
        struct opened x, y;
        opened_init(&x, rarmaker_make(&o, &a, 1), NULL);
        opened_init(&y, rarmaker_make(&o, &b, 1), NULL);
        uint32_t n = x.m->nvolumes + y.m->nvolumes;
        struct archive_volume *both = calloc(n, sizeof(*both));
        ck_assert_ptr_nonnull(both);
        for (uint32_t i = 0, ia = 0, ib = 0; i < n; i++) {
            bool from_b = ia == x.m->nvolumes || (i % 2 && ib < y.m->nvolumes);
            both[i] = (struct archive_volume){.bytes = from_b ? &y.sources[ib].b : &x.sources[ia].b,
                                              .post = i};
            from_b ? ib++ : ia++;
        }
        for (unsigned round = 0; round < 2; round++) {
            struct arena arena = {0};
            struct archive_set s = {
                .volumes = both, .nvolumes = n, .keys = x.keys, .arena = &arena};
            ck_assert_int_eq(archive_rar.read(&s), 0);
            ck_assert_uint_eq(s.nmembers, 1);
            ck_assert_int_eq(s.members[0].why, ARCHIVE_OK);
            ck_assert_int_eq(s.why, round ? ARCHIVE_OK : ARCHIVE_VOLUME_LACKS);
            uint32_t placed = 0;
            while (placed < n && !both[placed].left)
                placed++;
            for (uint32_t i = placed; i < n; i++)
                ck_assert(both[i].left);
            memmove(both, both + placed, (n - placed) * sizeof(*both));
            n -= placed;
            arena_fini(&arena);
        }
        ck_assert_uint_eq(n, 0);
        free(both);
        opened_fini(&x);
        opened_fini(&y);
    }
}
END_TEST

START_TEST(wrong_and_missing_passwords_are_told_apart)
{
    struct made_file f = {.name = "f", .len = 30000, .seed = 1};
    for (unsigned k = 0; k < 8; k++) {
        bool headers = k & 1, none = k & 2;
        unsigned version = k & 4 ? 4 : 5;
        if (version == 4 && !headers && !none)
            continue; /* nothing in it tells whether a password is right */
        struct rarmaker_options o = {.version = version,
                                     .volume_size = 4000,
                                     .password = "right",
                                     .encrypt_headers = headers,
                                     .kdf_log2 = version == 5 ? 3 : 0};
        struct opened x;
        opened_init(&x, rarmaker_make(&o, &f, 1), none ? NULL : "wrong");
        opened_read(&x, true, false);
        enum archive_why want = none ? ARCHIVE_NO_PASSWORD : ARCHIVE_BAD_PASSWORD;
        ck_assert_int_eq(headers ? x.set.why : x.set.members[0].why, want);
        ck_assert_uint_eq(x.set.nmembers, headers ? 0 : 1);
        opened_fini(&x);
    }
}
END_TEST

START_TEST(the_right_one_of_several_passwords_is_found)
{
    const char *passwords[] = {"wrong", "wrong too", "right", "last"};
    struct made_file f = {.name = "f", .len = 30000, .seed = 1};
    for (unsigned k = 0; k < 5; k++) {
        struct rarmaker_options o = {.version = k < 4 ? 5 : 4,
                                     .volume_size = 4000,
                                     .password = "right",
                                     .encrypt_headers = k & 1 || k == 4,
                                     .no_check = k == 3,
                                     .kdf_log2 = k < 4 ? 3 : 0};
        struct opened x;
        opened_init(&x, rarmaker_make(&o, &f, 1), NULL);
        archive_keys_free(x.keys);
        x.keys = archive_keys_new(passwords, 4);
        opened_read(&x, true, false);
        opened_expect_whole(&x);
        ck_assert_uint_eq(archive_keys_first(x.keys), 2);
        opened_fini(&x);
    }
}
END_TEST

START_TEST(where_all_work_was_spent_on_others_it_is_told)
{
    const char *const password = "p";
    struct made_file f = {.name = "f", .len = 30000, .seed = 1};
    for (unsigned k = 0; k < 4; k++) {
        struct rarmaker_options o = {.version = 4 + k / 2,
                                     .volume_size = 8000,
                                     .password = password,
                                     .encrypt_headers = k & 1};
        struct opened x;
        opened_init(&x, rarmaker_make(&o, &f, 1), password);
        archive_keys_limit(x.keys, 1000);
        opened_read(&x, true, false);
        ck_assert_int_eq(k & 1 ? x.set.why : x.set.members[0].why, ARCHIVE_TOO_MUCH);
        opened_fini(&x);
    }
}
END_TEST

START_TEST(parts_with_salts_of_their_own_are_not_read)
{
    struct rarmaker_options o = {
        .version = 4, .volume_size = 8000, .password = "p", .salt_parts = true};
    struct made_file f = {.name = "f", .len = 30000, .seed = 1};
    struct opened x;
    opened_init(&x, rarmaker_make(&o, &f, 1), "p");
    opened_read(&x, true, false);
    ck_assert_uint_eq(x.set.nmembers, 1);
    ck_assert_int_eq(x.set.members[0].why, ARCHIVE_CIPHER);
    opened_fini(&x);
}
END_TEST

START_TEST(a_set_of_a_hundred_gigabytes_is_reckoned)
{
    struct made_file f = {.name = "f", .len = (uint64_t)100 << 30, .seed = 1};
    for (unsigned version = 4; version <= 5; version++) {
        struct rarmaker_options o = {
            .version = version, .volume_size = (uint64_t)1 << 30, .sum = RARMAKER_NO_SUM};
        struct opened x;
        opened_init(&x, rarmaker_make(&o, &f, 1), NULL);
        opened_read(&x, true, false);
        opened_expect_whole(&x);
        opened_fini(&x);
    }
}
END_TEST

START_TEST(compressed_members_over_a_hundred_volumes_cost_three_articles)
{
    struct made_file f = {.name = "f", .len = 99 * MIB, .seed = 1, .compressed = true};
    struct rarmaker_options o = {.volume_size = MIB};
    struct opened x;
    opened_init(&x, rarmaker_make(&o, &f, 1), NULL);
    opened_read(&x, true, false);
    opened_expect_whole(&x);
    uint32_t volumes;
    ck_assert_uint_le(opened_articles(&x, &volumes), 3);
    opened_fini(&x);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("archive/rar_few");
    TCase *t = tcase_create("sets");
    tcase_add_test(t, a_hundred_equal_volumes_take_three_articles);
    tcase_add_test(t, shuffled_volumes_take_their_first_articles_once_and_all_were_announced);
    tcase_add_test(t, names_that_lie_are_overruled_by_headers);
    tcase_add_test(t, many_members_that_go_on_over_volumes_cost_few_articles_each);
    tcase_add_test(t, an_odd_volume_makes_all_headers_be_read);
    tcase_add_test(t, two_odd_volumes_that_make_up_for_each_other_are_noticed_when_streamed);
    tcase_add_test(t, a_head_that_is_not_what_was_reckoned_is_told);
    tcase_add_test(t, without_a_volume_the_others_members_are_whole);
    tcase_add_test(t, volumes_whose_headers_cannot_be_had_spoil_only_what_they_hold);
    tcase_add_test(t, to_stop_is_to_stop);
    tcase_add_test(t, two_sets_in_one_heap_come_apart);
    tcase_add_test(t, wrong_and_missing_passwords_are_told_apart);
    tcase_add_test(t, the_right_one_of_several_passwords_is_found);
    tcase_add_test(t, where_all_work_was_spent_on_others_it_is_told);
    tcase_add_test(t, parts_with_salts_of_their_own_are_not_read);
    tcase_add_test(t, a_set_of_a_hundred_gigabytes_is_reckoned);
    tcase_add_test(t, compressed_members_over_a_hundred_volumes_cost_three_articles);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
