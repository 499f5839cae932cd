/* The mount, from the outside: its life, and what it says of itself. */
#include "tests/fs/mounted.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

/* --- its end -------------------------------------------------------------------------------------- */

START_TEST(an_unmount_from_outside_ends_the_loop)
{
    up();
    int fd = open_file("one.bin");
    expect_read(fd, 1, 0, 500000);
    close(fd);
    ck_assert(detach(false));
    gone();
}
END_TEST

START_TEST(a_lazy_unmount_ends_with_the_last_reader)
{
    up();
    int fd = open_file("one.bin");
    ck_assert(detach(true));
    expect_read(fd, 1, 0, 2345678);
    close(fd);
    gone();
}
END_TEST

/* --- the rest ---------------------------------------------------------------------------------- */

START_TEST(nothing_can_be_written)
{
    up();
    ck_assert_int_eq(open(path("one.bin"), O_WRONLY), -1);
    ck_assert_int_eq(errno, EROFS);
    ck_assert_int_eq(open(path("new"), O_RDWR | O_CREAT, 0600), -1);
    ck_assert_int_eq(errno, EROFS);
    ck_assert_int_eq(mkdir(path("new"), 0700), -1);
    ck_assert_int_eq(errno, EROFS);
    ck_assert_int_eq(unlink(path("one.bin")), -1);
    ck_assert_int_eq(errno, EROFS);
    char to[300];
    snprintf(to, sizeof(to), "%s", path("other"));
    ck_assert_int_eq(rename(path("one.bin"), to), -1);
    ck_assert_int_eq(errno, EROFS);
    ck_assert_int_eq(chmod(path("one.bin"), 0777), -1);
    ck_assert_int_eq(errno, EROFS);
    ck_assert_int_eq(truncate(path("one.bin"), 0), -1);
    ck_assert_int_eq(errno, EROFS);
    ck_assert_int_eq(setxattr(path("one.bin"), "user.x", "y", 1, 0), -1);
    ck_assert_int_eq(errno, EROFS);
    down();
}
END_TEST

START_TEST(attributes_and_xattrs_arrive)
{
    char value[200];
    struct stat st;
    struct statvfs sv;
    up();
    ck_assert_int_eq(stat(path("one.bin"), &st), 0);
    ck_assert_uint_eq(st.st_mode, S_IFREG | 0444);
    ck_assert_int_eq(st.st_mtim.tv_sec, 1600000000);
    ck_assert_int_eq(st.st_size, 2345678);
    ck_assert_uint_eq(st.st_uid, getuid());
    ck_assert_int_eq(stat(path("none"), &st), -1);
    ck_assert_int_eq(errno, ENOENT);

    ck_assert_int_eq(getxattr(path("one.bin"), "user.nzbfs.message_count", NULL, 0), 2);
    ck_assert_int_eq(getxattr(path("one.bin"), "user.nzbfs.message_count", value, 200), 2);
    ck_assert_mem_eq(value, "24", 2);
    ck_assert_int_eq(getxattr(path("one.bin"), "user.nzbfs.message_count", value, 1), -1);
    ck_assert_int_eq(errno, ERANGE);
    ck_assert_int_eq(getxattr(path("one.bin"), "user.nzbfs.nothing", value, 200), -1);
    ck_assert_int_eq(errno, ENODATA);
    ssize_t len = listxattr(path("one.bin"), NULL, 0);
    ck_assert_int_gt(len, 0);
    ck_assert_int_eq(listxattr(path("one.bin"), value, 1), -1);
    ck_assert_int_eq(errno, ERANGE);

    ck_assert_int_eq(statvfs(point, &sv), 0);
    ck_assert_uint_eq(sv.f_namemax, 255);
    ck_assert(sv.f_flag & ST_RDONLY);
    ck_assert_uint_ge(sv.f_blocks * sv.f_frsize, 2345678);
    ck_assert_uint_eq(sv.f_bfree, 0);
    down();
}
END_TEST

static void expect_refused(struct fs *fs, const char *where, int code, const char *word)
{
    char err[500] = "";
    ck_assert_int_eq(
        fs_mount(fs, where, &(struct fs_mount_options){.threads = 0}, err, sizeof(err)), code);
    ck_assert_msg(strstr(err, word) && strstr(err, where), "%s", err);
}

START_TEST(a_mountpoint_that_will_not_do_is_told_so)
{
    struct rig *r = rig_new(&(struct rig_config){.files = files, .nfiles = 3});
    char name[300];
    snprintf(name, sizeof(name), "%s", path("sub"));
    expect_refused(rig_fs(r), name, -ENOENT, "create it");
    ck_assert_int_eq(mkdir(name, 0700), 0);
    expect_refused(rig_fs(r), point, -ENOTEMPTY, "not empty");
    ck_assert_int_eq(rmdir(name), 0);
    int fd = open(name, O_WRONLY | O_CREAT, 0600);
    close(fd);
    expect_refused(rig_fs(r), name, -ENOTDIR, "Not a directory");
    unlink(name);
    rig_free(r);
}
END_TEST

START_TEST(a_dead_mount_in_the_way_is_told_so)
{
    pid_t child = fork();
    if (!child) { /* mounts, and dies without a word */
        char err[300];
        struct rig *r = rig_new(&(struct rig_config){.files = files, .nfiles = 3});
        _exit(fs_mount(rig_fs(r), point, &(struct fs_mount_options){.threads = 0}, err,
                       sizeof(err)) != 0);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    struct rig *r = rig_new(&(struct rig_config){.files = files, .nfiles = 3});
    expect_refused(rig_fs(r), point, -ENOTCONN, "fusermount3 -u");
    ck_assert(detach(true));
    rig_free(r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("fs/mount");
    TCase *t = tcase_create("mount");
    tcase_add_test(t, an_unmount_from_outside_ends_the_loop);
    tcase_add_test(t, a_lazy_unmount_ends_with_the_last_reader);
    tcase_add_test(t, nothing_can_be_written);
    tcase_add_test(t, attributes_and_xattrs_arrive);
    tcase_add_test(t, a_mountpoint_that_will_not_do_is_told_so);
    tcase_add_test(t, a_dead_mount_in_the_way_is_told_so);
    suite_add_tcase(s, t);
    return mounted_main(s);
}
