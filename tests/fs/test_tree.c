#include "tests/fs/rig.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct rig_file two[] = {
    {.name = "film.mkv", .seed = 1, .size = 5000, .part_size = 1000},
    {.name = "film.mkv", .seed = 2, .size = 7000, .part_size = 1000, .gap = 3},
};

static struct rig *rig_of(const char *dir)
{
    return rig_new(&(struct rig_config){
        .files = two, .nfiles = 2, .dir = dir, .mount = {.uid = 12, .gid = 34, .umask = 027}});
}

/* An NZB of the same two files once more. */
static int add(struct rig *r, const char *dir)
{
    size_t len;
    char err[100], *text = rig_nzb(two, 2, &len);
    struct nzb *z;
    ck_assert_int_eq(nzb_parse(text, len, "more.nzb", &z, err, sizeof(err)), 0);
    free(text);
    return fs_add_nzb(rig_fs(r), dir, z, "/nzbs/more.nzb", 1800000000);
}

static const char *name_at(struct rig *r, const char *dir, uint64_t pos)
{
    struct fs_node *n = fs_next(rig_fs(r), rig_node(r, dir), &pos);
    return n ? fs_node_name(n) : NULL;
}

START_TEST(one_nzb_shows_its_files_at_the_root)
{
    struct rig *r = rig_of(NULL);
    ck_assert_str_eq(name_at(r, "/", 0), "film.mkv");
    ck_assert_str_eq(name_at(r, "/", 1), "film (2).mkv");
    ck_assert_ptr_null(name_at(r, "/", 2));
    ck_assert(!fs_node_is_dir(rig_node(r, "film.mkv")));
    ck_assert_ptr_null(fs_find(rig_fs(r), "film.mkv/x"));
    ck_assert_ptr_null(fs_find(rig_fs(r), "film"));
    ck_assert_ptr_null(fs_find(rig_fs(r), "film.mkv2"));
    ck_assert_ptr_eq(fs_find(rig_fs(r), "//./film.mkv"), rig_node(r, "film.mkv"));
    ck_assert_ptr_eq(fs_find(rig_fs(r), ""), fs_root(rig_fs(r)));
    rig_free(r);
}
END_TEST

START_TEST(nzbs_of_a_directory_have_directories_of_their_own)
{
    struct rig *r = rig_of("A film.nzb");
    ck_assert_int_eq(add(r, "A film.NZB.gz"), 0);
    ck_assert_int_eq(add(r, "../evil/.nzb"), 0);
    ck_assert_int_eq(add(r, ".nzb"), 0);
    ck_assert_str_eq(name_at(r, "/", 0), "A film");
    ck_assert_str_eq(name_at(r, "/", 1), "A film (2)");
    ck_assert_ptr_null(strchr(name_at(r, "/", 2), '/'));
    ck_assert_ptr_null(name_at(r, "/", 4));
    ck_assert(fs_node_is_dir(rig_node(r, "A film")));
    ck_assert_str_eq(fs_node_name(rig_node(r, "/A film (2)/film (2).mkv")), "film (2).mkv");
    ck_assert_ptr_ne(rig_node(r, "A film/film.mkv"), rig_node(r, "A film (2)/film.mkv"));
    rig_free(r);
}
END_TEST

START_TEST(two_nzbs_at_the_root_both_stay_reachable)
{
    struct rig *r = rig_of(NULL);
    ck_assert_int_eq(add(r, NULL), 0);
    ck_assert_ptr_null(name_at(r, "/", 4));
    for (uint64_t k = 0; k < 4; k++)
        for (uint64_t j = 0; j < k; j++)
            ck_assert_str_ne(name_at(r, "/", k), name_at(r, "/", j));
    rig_free(r);
}
END_TEST

START_TEST(a_place_in_a_directory_stays_good_while_files_are_added)
{
    struct rig *r = rig_of(NULL);
    uint64_t pos = 0;
    fs_next(rig_fs(r), fs_root(rig_fs(r)), &pos);
    ck_assert_int_eq(add(r, NULL), 0);
    ck_assert_str_eq(fs_node_name(fs_next(rig_fs(r), fs_root(rig_fs(r)), &pos)), "film (2).mkv");
    ck_assert_uint_eq(pos, 2);
    rig_free(r);
}
END_TEST

START_TEST(attributes_come_from_the_post_and_the_options)
{
    struct rig *r = rig_of("x.nzb");
    struct stat st;
    ck_assert(!fs_node_stat(rig_fs(r), rig_node(r, "x/film.mkv"), &st));
    ck_assert_uint_eq(st.st_mode, S_IFREG | 0440);
    ck_assert_uint_eq(st.st_uid, 12);
    ck_assert_uint_eq(st.st_gid, 34);
    ck_assert_int_eq(st.st_mtim.tv_sec, 1600000000);
    ck_assert_uint_eq(st.st_nlink, 1);

    ck_assert_int_eq(add(r, "y.nzb"), 0);
    ck_assert(fs_node_stat(rig_fs(r), fs_root(rig_fs(r)), &st));
    ck_assert_uint_eq(st.st_mode, S_IFDIR | 0550);
    ck_assert_uint_eq(st.st_nlink, 4);
    ck_assert_int_eq(st.st_mtim.tv_sec, 1600000000); /* of the newest file, not of the NZB */
    rig_free(r);
}
END_TEST

static void expect_xattr(struct rig *r, const char *path, const char *name, const char *value)
{
    char buf[200];
    struct fs_node *n = rig_node(r, path);
    int len = fs_xattr_get(rig_fs(r), n, name, NULL, 0);
    ck_assert_int_eq(len, (int)strlen(value));
    ck_assert_int_eq(fs_xattr_get(rig_fs(r), n, name, buf, (size_t)len), len);
    ck_assert_mem_eq(buf, value, (size_t)len);
    if (len > 1)
        ck_assert_int_eq(fs_xattr_get(rig_fs(r), n, name, buf, (size_t)len - 1), -ERANGE);
}

START_TEST(xattrs_tell_what_the_nzb_says)
{
    struct rig *r = rig_of("x.nzb");
    expect_xattr(r, "x/film.mkv", "user.nzbfs.message_count", "5");
    expect_xattr(r, "x/film (2).mkv", "user.nzbfs.message_count", "6");
    expect_xattr(r, "x/film (2).mkv", "user.nzbfs.parts", "7");
    expect_xattr(r, "x/film (2).mkv", "user.nzbfs.missing", "1");
    expect_xattr(r, "x/film.mkv", "user.nzbfs.groups", "alt.test,alt.other");
    expect_xattr(r, "x/film.mkv", "user.nzbfs.poster", "me <me@example.net>");
    expect_xattr(r, "x/film.mkv", "user.nzbfs.date", "2020-09-13T12:26:40Z");
    expect_xattr(r, "x/film.mkv", "user.nzbfs.source", "/nzbs/test.nzb");
    expect_xattr(r, "x/film.mkv", "user.nzbfs.subject", "a test \"film.mkv\" yEnc (1/5)");
    expect_xattr(r, "x", "user.nzbfs.source", "/nzbs/test.nzb");
    expect_xattr(r, "/", "user.nzbfs.source", "/nzbs/test.nzb");
    rig_free(r);
}
END_TEST

START_TEST(xattrs_that_are_not_there_are_enodata)
{
    static const char *const names[] = {"user.nzbfs.zeroed", "user.nzbfs.password", "user.nzbfs.",
                                        "security.capability", ""};
    struct rig *r = rig_of("x.nzb");
    for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++)
        ck_assert_int_eq(fs_xattr_get(rig_fs(r), rig_node(r, "x/film.mkv"), names[k], NULL, 0),
                         -ENODATA);
    ck_assert_int_eq(fs_xattr_get(rig_fs(r), rig_node(r, "x"), "user.nzbfs.groups", NULL, 0),
                     -ENODATA);
    rig_free(r);
}
END_TEST

START_TEST(every_listed_xattr_can_be_read)
{
    struct rig *r = rig_of("x.nzb");
    static const char *const paths[] = {"/", "x", "x/film.mkv"};
    for (size_t k = 0; k < 3; k++) {
        struct fs_node *n = rig_node(r, paths[k]);
        char buf[500];
        int len = fs_xattr_list(rig_fs(r), n, NULL, 0);
        ck_assert_int_gt(len, 0);
        ck_assert_int_eq(fs_xattr_list(rig_fs(r), n, buf, sizeof(buf)), len);
        ck_assert_int_eq(fs_xattr_list(rig_fs(r), n, buf, (size_t)len - 1), -ERANGE);
        for (char *p = buf; p < buf + len; p += strlen(p) + 1)
            ck_assert_int_ge(fs_xattr_get(rig_fs(r), n, p, NULL, 0), 0);
    }
    rig_free(r);
}
END_TEST

START_TEST(ten_thousand_files_in_one_directory_are_all_found)
{
    struct rig_file *files = calloc(10000, sizeof(*files));
    char(*names)[24] = calloc(10000, sizeof(*names));
    for (unsigned k = 0; k < 10000; k++) {
        snprintf(names[k], sizeof(names[k]), "file %u.bin", k);
        files[k] =
            (struct rig_file){.name = names[k], .seed = k + 1, .size = 100 + k, .part_size = 50000};
    }
    struct rig *r = rig_new(&(struct rig_config){.files = files, .nfiles = 10000});
    uint64_t pos = 0;
    for (unsigned k = 0; k < 10000; k++) {
        struct fs_node *n = fs_next(rig_fs(r), fs_root(rig_fs(r)), &pos);
        ck_assert_str_eq(fs_node_name(n), names[k]);
        ck_assert_ptr_eq(fs_lookup(rig_fs(r), fs_root(rig_fs(r)), names[k]), n);
    }
    ck_assert_uint_eq(rig_asked(r), 0);
    rig_free(r);
    free(names);
    free(files);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("fs/tree");
    TCase *t = tcase_create("tree");
    tcase_add_test(t, one_nzb_shows_its_files_at_the_root);
    tcase_add_test(t, nzbs_of_a_directory_have_directories_of_their_own);
    tcase_add_test(t, two_nzbs_at_the_root_both_stay_reachable);
    tcase_add_test(t, a_place_in_a_directory_stays_good_while_files_are_added);
    tcase_add_test(t, attributes_come_from_the_post_and_the_options);
    tcase_add_test(t, xattrs_tell_what_the_nzb_says);
    tcase_add_test(t, xattrs_that_are_not_there_are_enodata);
    tcase_add_test(t, every_listed_xattr_can_be_read);
    tcase_add_test(t, ten_thousand_files_in_one_directory_are_all_found);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
