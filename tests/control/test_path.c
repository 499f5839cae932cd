#include "tests/control/rig.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int dir_try(bool make)
{
    char dir[CONTROL_PATH_MOST];
    int fd = control_dir_open(0, make, dir, rig_err, sizeof(rig_err));

    if (fd < 0)
        return fd;
    ck_assert_str_eq(dir, rig_dir);
    close(fd);
    return 0;
}

/* --- the directory ----------------------------------------------------------------------------- */

START_TEST(the_directory_is_made_for_its_owner_alone)
{
    struct stat st;
    mode_t before = umask(0);

    ck_assert_int_eq(dir_try(true), 0);
    umask(before);
    ck_assert_int_eq(stat(rig_dir, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0700);
    ck_assert_uint_eq(st.st_uid, geteuid());
}
END_TEST

START_TEST(who_only_asks_makes_none)
{
    ck_assert_int_eq(dir_try(false), -ENOENT);
    ck_assert_int_ne(access(rig_dir, F_OK), 0);
}
END_TEST

START_TEST(one_that_others_may_enter_is_refused)
{
    static const mode_t modes[] = {0755, 0710, 0701, 0777, 01777};

    ck_assert_int_eq(mkdir(rig_dir, 0700), 0);
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        ck_assert_int_eq(chmod(rig_dir, modes[i]), 0);
        ck_assert_int_eq(dir_try(true), -EACCES);
        ck_assert_ptr_nonnull(strstr(rig_err, "chmod 700"));
    }
}
END_TEST

START_TEST(a_link_or_a_file_in_its_place_is_refused)
{
    ck_assert_int_eq(symlink("/tmp", rig_dir), 0);
    ck_assert_int_lt(dir_try(true), 0);
    ck_assert_ptr_nonnull(strstr(rig_err, "not a directory"));
    unlink(rig_dir);
    int fd = open(rig_dir, O_CREAT | O_WRONLY, 0600);
    ck_assert_int_ge(fd, 0);
    close(fd);
    ck_assert_int_lt(dir_try(true), 0);
    ck_assert_ptr_nonnull(strstr(rig_err, "not a directory"));
}
END_TEST

START_TEST(another_users_directory_is_refused)
{
    if (geteuid() != 0)
        return; /* only root can become somebody else */
    ck_assert_int_eq(mkdir(rig_dir, 0700), 0);
    ck_assert_int_eq(chmod(rig_dir, 0755), 0);
    *strrchr(rig_dir, '/') = '\0';
    ck_assert_int_eq(chmod(rig_dir, 0755), 0);
    rig_dir[strlen(rig_dir)] = '/';
    pid_t child = fork();
    if (child == 0) {
        char dir[CONTROL_PATH_MOST];
        if (setgid(65534) < 0 || setuid(65534) < 0)
            _exit(3);
        int rc = control_dir_open(0, true, dir, rig_err, sizeof(rig_err));
        _exit(rc == -EACCES && strstr(rig_err, "belongs to another user") ? 0 : 1);
    }
    int status = -1;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(root_asks_in_another_users_directory_and_makes_nothing_there)
{
    if (geteuid() != 0)
        return;
    ck_assert_int_eq(mkdir(rig_dir, 0700), 0);
    ck_assert_int_eq(chown(rig_dir, 65534, 65534), 0);
    ck_assert_int_eq(dir_try(false), 0);
    ck_assert_int_eq(dir_try(true), -EACCES);
    ck_assert_ptr_nonnull(strstr(rig_err, "belongs to another user"));
}
END_TEST

START_TEST(a_path_that_is_relative_or_too_long_is_told)
{
    char dir[CONTROL_PATH_MOST], longer[200];

    setenv("NZBFS_RUNTIME_DIR", "run", 1);
    ck_assert_int_eq(control_dir_open(0, true, dir, rig_err, sizeof(rig_err)), -EINVAL);
    memset(longer, 'x', sizeof(longer));
    longer[0] = '/';
    longer[sizeof(longer) - 1] = '\0';
    setenv("NZBFS_RUNTIME_DIR", longer, 1);
    ck_assert_int_eq(control_dir_open(0, true, dir, rig_err, sizeof(rig_err)), -ENAMETOOLONG);
    ck_assert_ptr_nonnull(strstr(rig_err, "NZBFS_RUNTIME_DIR"));
}
END_TEST

/* --- names ------------------------------------------------------------------------------------- */

static void expect_name(const char *mountpoint, const char *name)
{
    char *encoded = control_name_encode(mountpoint), *decoded = control_name_decode(name);

    ck_assert_str_eq(encoded, name);
    ck_assert_ptr_nonnull(decoded);
    ck_assert_str_eq(decoded, mountpoint);
    free(encoded);
    free(decoded);
}

START_TEST(a_mountpoint_and_its_name_are_one_to_one)
{
    expect_name("/", "+");
    expect_name("/mnt/film", "mnt+film");
    expect_name("/mnt/my film", "mnt+my%20film");
    expect_name("/mnt/a+b", "mnt+a%2bb");
    expect_name("/.hidden/.x", "%2ehidden+.x");
    expect_name("/m~n/100%", "m%7en+100%25");
    expect_name("/\xc3\xa9/\xff\n", "%c3%a9+%ff%0a");
}
END_TEST

START_TEST(any_bytes_come_back)
{
    char path[40];

    srand(7);
    for (unsigned i = 0; i < 2000; i++) {
        size_t n = 1 + (size_t)rand() % 30;
        path[0] = '/';
        for (size_t k = 1; k < n; k++)
            path[k] = (char)(1 + rand() % 255);
        path[n] = '\0';
        char *name = control_name_encode(path), *back = control_name_decode(name);
        ck_assert_str_eq(back, path);
        ck_assert(name[0] != '.' && !strchr(name, '/'));
        free(name);
        free(back);
    }
}
END_TEST

START_TEST(what_is_no_name_is_refused)
{
    static const char *const bad[] = {"a%",  "a%2", "a%zz", "a%00", ".x",
                                      "a/b", "a b", "a%2G", "a~b"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_msg(control_name_decode(bad[i]) == NULL, "%s is taken", bad[i]);
}
END_TEST

START_TEST(long_mountpoints_have_short_names_that_differ)
{
    struct sockaddr_un a, b;
    char one[600], two[600];

    memset(one, 'p', sizeof(one));
    one[0] = '/';
    strcpy(one + sizeof(one) - 6, "/film");
    memcpy(two, one, sizeof(two));
    two[1] = 'q';
    ck_assert_int_eq(control_address(rig_dir, one, &a, rig_err, sizeof(rig_err)), 0);
    ck_assert_int_eq(control_address(rig_dir, two, &b, rig_err, sizeof(rig_err)), 0);
    ck_assert_uint_lt(strlen(a.sun_path), CONTROL_PATH_MOST);
    ck_assert_str_ne(a.sun_path, b.sun_path);
    ck_assert_ptr_nonnull(strstr(a.sun_path, "+film.sock"));
    /* The longest that fits is itself; no long one is called like it. */
    size_t room = CONTROL_PATH_MOST - 1 - strlen(rig_dir) - 1 - 5;
    one[room + 1] = '\0';
    ck_assert_int_eq(control_address(rig_dir, one, &a, rig_err, sizeof(rig_err)), 0);
    ck_assert_ptr_null(strchr(a.sun_path, '~'));
    ck_assert_uint_eq(strlen(a.sun_path), CONTROL_PATH_MOST - 1);
}
END_TEST

/* --- text -------------------------------------------------------------------------------------- */

static void expect_text(const char *bytes, const char *shown)
{
    json_t *s = control_string(bytes);

    ck_assert_ptr_nonnull(s);
    ck_assert_str_eq(json_string_value(s), shown);
    json_decref(s);
}

START_TEST(bytes_that_are_no_text_are_marked)
{
#define MARK "\xef\xbf\xbd"
    expect_text("plain", "plain");
    expect_text("\xc3\xa9\xe2\x82\xac\xf0\x9f\x8e\xac", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x8e\xac");
    expect_text("a\xff z", "a" MARK " z");
    expect_text("\xc3", MARK); /* cut off */
    expect_text("\xe2\x82", MARK MARK);
    expect_text("\xc0\xaf", MARK MARK); /* overlong */
    expect_text("\xe0\x80\xaf", MARK MARK MARK);
    expect_text("\xed\xa0\x80", MARK MARK MARK);          /* a surrogate */
    expect_text("\xf4\x90\x80\x80", MARK MARK MARK MARK); /* above U+10FFFF */
    expect_text("\xf0\x8f\xbf\xbf", MARK MARK MARK MARK);
    expect_text("\x80\xf8", MARK MARK);
}
END_TEST

START_TEST(jansson_takes_all_that_is_left)
{
    char bytes[9];

    srand(11);
    for (unsigned i = 0; i < 20000; i++) {
        for (size_t k = 0; k < 8; k++)
            bytes[k] = (char)(rand() % 3 ? 0x80 + rand() % 128 : 1 + rand() % 255);
        bytes[8] = '\0';
        json_t *s = control_string(bytes);
        ck_assert_ptr_nonnull(s);
        json_decref(s);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("control/path");
    TCase *t = tcase_create("path");

    tcase_add_checked_fixture(t, rig_setup, rig_teardown);
    tcase_add_test(t, the_directory_is_made_for_its_owner_alone);
    tcase_add_test(t, who_only_asks_makes_none);
    tcase_add_test(t, one_that_others_may_enter_is_refused);
    tcase_add_test(t, a_link_or_a_file_in_its_place_is_refused);
    tcase_add_test(t, another_users_directory_is_refused);
    tcase_add_test(t, root_asks_in_another_users_directory_and_makes_nothing_there);
    tcase_add_test(t, a_path_that_is_relative_or_too_long_is_told);
    tcase_add_test(t, a_mountpoint_and_its_name_are_one_to_one);
    tcase_add_test(t, any_bytes_come_back);
    tcase_add_test(t, what_is_no_name_is_refused);
    tcase_add_test(t, long_mountpoints_have_short_names_that_differ);
    tcase_add_test(t, bytes_that_are_no_text_are_marked);
    tcase_add_test(t, jansson_takes_all_that_is_left);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
