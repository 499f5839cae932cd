/* The mount, from the outside: what programs get from the kernel. */
#include "tests/fs/rig.h"
#include "tests/lib/scripted_article.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define PART 100000u

/* No deadline passes by itself: the tests say when. */
static uint64_t no_time(void)
{
    return 1000000;
}

static const struct rig_file files[] = {
    {.name = "one.bin", .seed = 1, .size = 2345678, .part_size = PART},
    {.name = "two.bin", .seed = 2, .size = 1000000, .part_size = PART},
    {.name = "three.bin", .seed = 3, .size = 5001, .part_size = PART},
};

static char point[] = "/tmp/nzbfs-test-XXXXXX";

static struct rig *rig;
static pthread_t looper;
static int loop_result;

static struct ready {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool is;
} ready = {.lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};

static void on_ready(void *arg)
{
    ck_assert_ptr_eq(arg, &ready);
    pthread_mutex_lock(&ready.lock);
    ready.is = true;
    pthread_cond_signal(&ready.cond);
    pthread_mutex_unlock(&ready.lock);
}

static void *loop_main(void *arg)
{
    loop_result = fs_loop(arg);
    return NULL;
}

static void up_with(const struct rig_config *cfg)
{
    char err[300] = "";
    rig = rig_new(cfg);
    ready.is = false;
    struct fs_mount_options o = {.on_ready = on_ready, .arg = &ready};
    ck_assert_msg(fs_mount(rig_fs(rig), point, &o, err, sizeof(err)) == 0, "%s", err);
    ck_assert_int_eq(pthread_create(&looper, NULL, loop_main, rig_fs(rig)), 0);
    pthread_mutex_lock(&ready.lock);
    while (!ready.is)
        pthread_cond_wait(&ready.cond, &ready.lock);
    pthread_mutex_unlock(&ready.lock);
}

static void up_mount(struct config_mount mount)
{
    mount.uid = mount.gid = -1;
    mount.umask = 022;
    mount.readahead = 1 << 20;
    up_with(&(struct rig_config){
        .files = files, .nfiles = 3, .served = true, .mount = mount, .now_us = no_time});
}

static void up(void)
{
    up_mount((struct config_mount){.umask = 022});
}

static void down(void)
{
    fs_stop(rig_fs(rig));
    pthread_join(looper, NULL);
    ck_assert_int_eq(loop_result, 0);
    fs_unmount(rig_fs(rig));
    rig_free(rig);
}

static const char *path(const char *name)
{
    static _Thread_local char p[300];
    snprintf(p, sizeof(p), "%s/%s", point, name);
    return p;
}

static int open_file(const char *name)
{
    int fd = open(path(name), O_RDONLY | O_CLOEXEC);
    ck_assert_msg(fd >= 0, "%s: %s", name, strerror(errno));
    return fd;
}

static void expect_read(int fd, uint64_t seed, uint64_t off, size_t len)
{
    char *buf = malloc(len);
    ssize_t n = pread(fd, buf, len, (off_t)off);
    ck_assert_msg(n == (ssize_t)len, "%zd of %zu: %s", n, len, strerror(errno));
    ck_assert(scripted_bytes_match(seed, off, buf, len));
    free(buf);
}

static void expect_read_error(int fd, uint64_t off, int err)
{
    char byte;
    errno = 0;
    ck_assert_int_eq(pread(fd, &byte, 1, (off_t)off), -1);
    ck_assert_int_eq(errno, err);
}

/* --- sizes ------------------------------------------------------------------------------------- */

START_TEST(listing_ten_thousand_files_costs_no_article)
{
    struct rig_file *many = calloc(10000, sizeof(*many));
    char(*names)[24] = calloc(10000, sizeof(*names));
    for (unsigned k = 0; k < 10000; k++) {
        snprintf(names[k], sizeof(names[k]), "f%u.bin", k);
        many[k] =
            (struct rig_file){.name = names[k], .seed = k + 1, .size = 100 + k, .part_size = 50000};
    }
    up_with(&(struct rig_config){
        .files = many, .nfiles = 10000, .served = true, .mount = {.uid = -1, .gid = -1}});
    unsigned n = 0;
    struct stat st;
    DIR *d = opendir(point);
    for (struct dirent *e; (e = readdir(d));) {
        ck_assert(e->d_type == DT_REG || e->d_name[0] == '.');
        n++;
    }
    ck_assert_uint_eq(n, 10002);
    ck_assert_uint_eq(rig_asked(rig), 0);
    for (unsigned k = 0; k < 10000; k += 1000) {
        ck_assert_int_eq(stat(path(names[k]), &st), 0);
        ck_assert_int_eq(st.st_size, 100 + (int)k);
    }
    ck_assert_uint_eq(rig_asked(rig), 10);
    rewinddir(d);
    for (n = 0; readdir(d);)
        n++;
    ck_assert_uint_eq(n, 10002);
    closedir(d);
    down();
    free(names);
    free(many);
}
END_TEST

START_TEST(a_directory_can_be_read_on_from_any_place)
{
    up();
    DIR *d = opendir(point);
    long at[16];
    char names[16][256];
    unsigned n = 0;
    at[0] = telldir(d);
    for (struct dirent *e; (e = readdir(d)); at[++n] = telldir(d))
        snprintf(names[n], sizeof(names[n]), "%s", e->d_name);
    ck_assert_uint_eq(n, 5);
    for (unsigned k = n; k-- > 0;) {
        seekdir(d, at[k]);
        ck_assert_str_eq(readdir(d)->d_name, names[k]);
    }
    closedir(d);
    down();
}
END_TEST

START_TEST(a_file_opened_unseen_is_read_whole)
{
    char buf[6000];
    up();
    int fd = open_file("three.bin");
    ck_assert_int_eq(read(fd, buf, sizeof(buf)), 5001);
    ck_assert(scripted_bytes_match(3, 0, buf, 5001));
    close(fd);
    down();
}
END_TEST

START_TEST(a_file_opened_unseen_is_sent_whole)
{
    up();
    int fd = open_file("two.bin"), out = memfd_create("out", MFD_CLOEXEC);
    size_t n = 0;
    for (ssize_t k; (k = sendfile(out, fd, NULL, 1 << 20)) > 0;)
        n += (size_t)k;
    ck_assert_uint_eq(n, 1000000);
    expect_read(out, 2, 0, 1000000);
    close(out);
    close(fd);
    down();
}
END_TEST

START_TEST(a_file_opened_unseen_is_spliced_whole)
{
    int pipes[2];
    up();
    int fd = open_file("three.bin");
    ck_assert_int_eq(pipe(pipes), 0);
    ck_assert_int_eq(splice(fd, NULL, pipes[1], NULL, 60000, 0), 5001);
    close(pipes[0]);
    close(pipes[1]);
    close(fd);
    down();
}
END_TEST

START_TEST(a_file_opened_unseen_can_be_mapped)
{
    up();
    int fd = open_file("one.bin");
    char *map = mmap(NULL, 2345678, PROT_READ, MAP_SHARED, fd, 0);
    ck_assert_ptr_ne(map, MAP_FAILED);
    ck_assert(scripted_bytes_match(1, 0, map, 2345678));
    munmap(map, 2345678);
    ck_assert_int_eq(lseek(fd, 0, SEEK_END), 2345678);
    close(fd);
    down();
}
END_TEST

START_TEST(bytes_anywhere_are_what_was_posted)
{
    up();
    int fd = open_file("one.bin");
    for (uint64_t off = 0; off < 2000000; off += 77777)
        for (size_t len = 1; len < 340000; len = len * 7 + 13)
            expect_read(fd, 1, off, len);
    close(fd);
    down();
}
END_TEST

START_TEST(bytes_anywhere_are_what_was_posted_without_the_page_cache)
{
    up_mount((struct config_mount){.direct_io = true});
    int fd = open_file("one.bin");
    for (uint64_t off = 0; off < 2000000; off += 177777)
        for (size_t len = 1; len < 340000; len = len * 7 + 13)
            expect_read(fd, 1, off, len);
    close(fd);
    down();
}
END_TEST

START_TEST(a_size_that_was_a_lie_is_taken_back)
{
    struct stat st;
    up();
    rig_rule(rig, 1, 1, RIG_LIE_SIZE);
    ck_assert_int_eq(stat(path("one.bin"), &st), 0);
    ck_assert_int_eq(st.st_size, 2345678 + 12345); /* nobody could know */
    rig_rule(rig, 1, 1, RIG_HONEST);
    int fd = open_file("one.bin");
    expect_read(fd, 1, 500000, 100000);
    do /* the kernel hears of it behind the answer to the read */
        ck_assert_int_eq(stat(path("one.bin"), &st), 0);
    while (st.st_size != 2345678);
    expect_read(fd, 1, 0, 2345678);
    close(fd);
    down();
}
END_TEST

START_TEST(what_was_read_once_is_the_kernels)
{
    up();
    int fd = open_file("three.bin");
    expect_read(fd, 3, 0, 5001);
    close(fd);
    struct fs_stats before, after;
    fs_stats(rig_fs(rig), &before);
    fd = open_file("three.bin");
    expect_read(fd, 3, 0, 5001);
    close(fd);
    fs_stats(rig_fs(rig), &after);
    ck_assert_uint_eq(before.reads, after.reads);
    down();
}
END_TEST

/* --- what cannot be had ------------------------------------------------------------------------ */

START_TEST(a_missing_segment_is_eio_for_its_pages_and_nothing_else)
{
    up();
    rig_rule(rig, 1, 11, RIG_MISSING); /* bytes 1,000,000 to 1,099,999 */
    int fd = open_file("one.bin");
    expect_read_error(fd, 1000000, EIO);
    expect_read_error(fd, 1050000, EIO);
    expect_read_error(fd, 1099999, EIO);
    expect_read(fd, 1, 0, 999424);        /* up to the page that holds the first bad byte */
    expect_read(fd, 1, 1101824, 1243854); /* from the page behind the last one */
    close(fd);
    down();
}
END_TEST

START_TEST(a_file_known_to_lack_bytes_fails_to_the_byte)
{
    char buf[1000];
    up();
    rig_rule(rig, 1, 11, RIG_MISSING);
    int fd = open_file("one.bin");
    expect_read_error(fd, 1050000, EIO);
    close(fd);
    fd = open_file("one.bin");
    ck_assert_int_eq(pread(fd, buf, 1000, 999990), 10);
    ck_assert(scripted_bytes_match(1, 999990, buf, 10));
    expect_read_error(fd, 1000000, EIO);
    expect_read_error(fd, 1099999, EIO);
    expect_read(fd, 1, 1100000, 1245678);
    close(fd);
    down();
}
END_TEST

START_TEST(zeros_stand_in_where_the_user_says_so)
{
    char buf[1000], value[32];
    static const char nought[1000];
    up_mount((struct config_mount){.missing_zeros = true});
    rig_rule(rig, 1, 11, RIG_MISSING);
    int fd = open_file("one.bin");
    ck_assert_int_eq(pread(fd, buf, 1000, 1000000), 1000);
    ck_assert_mem_eq(buf, nought, 1000);
    expect_read(fd, 1, 0, 1000000);
    close(fd);
    ssize_t n = getxattr(path("one.bin"), "user.nzbfs.zeroed", value, sizeof(value) - 1);
    ck_assert_int_gt(n, 0);
    value[n] = '\0';
    ck_assert_int_ge(atoi(value), 1000);
    ck_assert_int_le(atoi(value), 100000);
    down();
}
END_TEST

START_TEST(a_dead_file_can_be_listed_but_not_opened)
{
    struct stat st;
    up();
    rig_rule(rig, 2, 0, RIG_MISSING);
    ck_assert_int_eq(stat(path("two.bin"), &st), -1);
    ck_assert_int_eq(errno, EIO);
    ck_assert_int_eq(open(path("two.bin"), O_RDONLY), -1);
    ck_assert_int_eq(errno, EIO);
    ck_assert_int_gt(listxattr(path("two.bin"), NULL, 0), 0);
    ck_assert_int_eq(stat(path("one.bin"), &st), 0);
    down();
}
END_TEST

/* --- blocked requests -------------------------------------------------------------------------- */

struct attempt {
    pthread_t thread;
    const char *name;
    int fd;
    int result, error;
};

static void *stat_main(void *arg)
{
    struct attempt *a = arg;
    struct stat st;
    a->result = stat(path(a->name), &st);
    a->error = errno;
    return NULL;
}

static void *read_main(void *arg)
{
    struct attempt *a = arg;
    char byte;
    a->result = (int)pread(a->fd, &byte, 1, 2000000);
    a->error = errno;
    return NULL;
}

static void begin(struct attempt *a, void *(*what)(void *))
{
    ck_assert_int_eq(pthread_create(&a->thread, NULL, what, a), 0);
}

static void on_signal(int sig)
{
    (void)sig;
}

static void signal_catch(void)
{
    struct sigaction sa = {.sa_handler = on_signal};
    sigaction(SIGUSR1, &sa, NULL);
}

START_TEST(a_stat_that_blocks_can_be_interrupted)
{
    struct attempt a = {.name = "two.bin"};
    up();
    signal_catch();
    rig_rule(rig, 2, 0, RIG_HOLD);
    begin(&a, stat_main);
    rig_wait_held(rig, 1);
    pthread_kill(a.thread, SIGUSR1);
    pthread_join(a.thread, NULL);
    ck_assert_int_eq(a.result, -1);
    ck_assert_int_eq(a.error, EINTR);
    rig_release(rig);
    rig_rule(rig, 2, 0, RIG_HONEST);
    struct stat st;
    ck_assert_int_eq(stat(path("two.bin"), &st), 0);
    ck_assert_int_eq(st.st_size, 1000000);
    down();
}
END_TEST

START_TEST(a_direct_read_that_blocks_can_be_interrupted)
{
    struct stat st;
    up_mount((struct config_mount){.direct_io = true});
    signal_catch();
    ck_assert_int_eq(stat(path("one.bin"), &st), 0);
    struct attempt a = {.fd = open_file("one.bin")};
    rig_rule(rig, 1, 0, RIG_HOLD);
    begin(&a, read_main);
    rig_wait_held(rig, 1);
    pthread_kill(a.thread, SIGUSR1);
    pthread_join(a.thread, NULL);
    ck_assert_int_eq(a.result, -1);
    ck_assert_int_eq(a.error, EINTR);
    close(a.fd);
    down();
}
END_TEST

START_TEST(a_program_that_reads_and_waits_can_be_killed)
{
    up();
    int fd = open_file("two.bin");
    rig_rule(rig, 2, 5, RIG_HOLD);
    pid_t child = fork();
    if (!child) {
        char byte;
        signal(SIGINT, SIG_DFL); /* whoever runs the tests may have it ignored */
        _exit(pread(fd, &byte, 1, 450000) != 1);
    }
    rig_wait_held(rig, 1);
    int status;
    kill(child, SIGINT);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status));
    close(fd);
    down();
}
END_TEST

START_TEST(a_request_that_nobody_answers_ends_at_its_deadline)
{
    struct attempt a = {.name = "two.bin"};
    up();
    rig_rule(rig, 2, 0, RIG_HOLD);
    begin(&a, stat_main);
    rig_wait_held(rig, 1);
    struct fs_stats st;
    do
        fs_stats(rig_fs(rig), &st);
    while (!st.blocked);
    fs_expire(rig_fs(rig), UINT64_MAX);
    pthread_join(a.thread, NULL);
    ck_assert_int_eq(a.result, -1);
    ck_assert_int_eq(a.error, ETIMEDOUT);
    down();
}
END_TEST

START_TEST(stalled_files_do_not_hold_up_others)
{
    struct attempt a[48];
    up();
    int fd = open_file("one.bin");
    expect_read(fd, 1, 0, 100000);
    rig_rule(rig, 2, 0, RIG_HOLD);
    for (unsigned k = 0; k < 48; k++) {
        a[k] = (struct attempt){.name = "two.bin"};
        begin(&a[k], stat_main);
    }
    rig_wait_held(rig, 1);
    expect_read(fd, 1, 0, 2345678);
    rig_release(rig);
    for (unsigned k = 0; k < 48; k++) {
        pthread_join(a[k].thread, NULL);
        ck_assert_int_eq(a[k].result, 0);
    }
    close(fd);
    down();
}
END_TEST

START_TEST(stopping_answers_who_is_blocked)
{
    struct attempt a = {.name = "two.bin"}, b = {.name = "three.bin"};
    up();
    rig_rule(rig, 2, 0, RIG_HOLD);
    rig_rule(rig, 3, 0, RIG_HOLD);
    begin(&a, stat_main);
    begin(&b, stat_main);
    rig_wait_held(rig, 2);
    int fd = open_file("one.bin"); /* stays open over the end */
    down();
    pthread_join(a.thread, NULL);
    pthread_join(b.thread, NULL);
    ck_assert_int_eq(a.result, -1);
    ck_assert_int_eq(b.result, -1);
    expect_read_error(fd, 0, ENOTCONN);
    close(fd);
}
END_TEST

START_TEST(an_unmount_from_outside_ends_the_loop)
{
    up();
    int fd = open_file("one.bin");
    expect_read(fd, 1, 0, 500000);
    close(fd);
    ck_assert_int_eq(umount2(point, 0), 0);
    pthread_join(looper, NULL);
    ck_assert_int_eq(loop_result, 0);
    fs_unmount(rig_fs(rig));
    rig_free(rig);
}
END_TEST

START_TEST(a_lazy_unmount_ends_with_the_last_reader)
{
    up();
    int fd = open_file("one.bin");
    ck_assert_int_eq(umount2(point, MNT_DETACH), 0);
    expect_read(fd, 1, 0, 2345678);
    close(fd);
    pthread_join(looper, NULL);
    ck_assert_int_eq(loop_result, 0);
    fs_unmount(rig_fs(rig));
    rig_free(rig);
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
    ck_assert_int_eq(umount2(point, MNT_DETACH), 0);
    rig_free(r);
}
END_TEST

/* --- many at once ------------------------------------------------------------------------------ */

struct reader {
    pthread_t thread;
    unsigned seed;
    unsigned bad;
};

static void *reader_main(void *arg)
{
    struct reader *r = arg;
    unsigned dice = r->seed;
    char *buf = malloc(300000);
    int fd = open(path("one.bin"), O_RDONLY | O_CLOEXEC);
    for (unsigned k = 0; k < 60; k++) {
        dice = dice * 1103515245u + 12345u;
        uint64_t off = (dice >> 4) % 2000000;
        size_t len = dice % 300000;
        ssize_t n = pread(fd, buf, len, (off_t)off);
        r->bad += n != (ssize_t)len || !scripted_bytes_match(1, off, buf, len);
        if (k % 8 == 0)
            posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    }
    close(fd);
    free(buf);
    return NULL;
}

START_TEST(sixteen_readers_at_once_all_get_their_bytes)
{
    struct reader readers[16];
    up();
    for (unsigned k = 0; k < 16; k++) {
        readers[k] = (struct reader){.seed = k + 1};
        ck_assert_int_eq(pthread_create(&readers[k].thread, NULL, reader_main, &readers[k]), 0);
    }
    for (unsigned k = 0; k < 16; k++) {
        pthread_join(readers[k].thread, NULL);
        ck_assert_uint_eq(readers[k].bad, 0);
    }
    down();
}
END_TEST

/* Signals fall on readers whose requests are just being taken, parked, answered. */

static _Atomic bool storm_over;
static _Atomic unsigned storm_done;

static void *storm_main(void *arg)
{
    struct reader *r = arg;
    char *buf = malloc(150000);
    int fd;
    do
        fd = open(path("one.bin"), O_RDONLY | O_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    for (unsigned k = 0; k < 150; k++) {
        r->seed = r->seed * 1103515245u + 12345u;
        uint64_t off = (r->seed >> 4) % 2000000;
        ssize_t n = pread(fd, buf, 150000, (off_t)off);
        if (n < 0)
            r->bad += errno != EINTR;
        else
            r->bad += n == 0 || !scripted_bytes_match(1, off, buf, (size_t)n);
    }
    close(fd);
    free(buf);
    storm_done++;
    while (!storm_over) /* signals still come */
        sched_yield();
    return NULL;
}

START_TEST(a_storm_of_signals_leaves_every_read_right_or_interrupted)
{
    struct reader readers[4];
    signal_catch();
    storm_over = false;
    storm_done = 0;
    up_with(&(struct rig_config){.files = files,
                                 .nfiles = 3,
                                 .served = true,
                                 .budget = 12 * CACHE_CHUNK,
                                 .mount = {.uid = -1, .gid = -1, .direct_io = true},
                                 .now_us = no_time});
    for (unsigned k = 0; k < 4; k++) {
        readers[k] = (struct reader){.seed = k + 1};
        ck_assert_int_eq(pthread_create(&readers[k].thread, NULL, storm_main, &readers[k]), 0);
    }
    while (storm_done < 4)
        for (unsigned k = 0; k < 4; k++)
            pthread_kill(readers[k].thread, SIGUSR1);
    storm_over = true;
    for (unsigned k = 0; k < 4; k++)
        pthread_join(readers[k].thread, NULL);
    for (unsigned k = 0; k < 4; k++)
        ck_assert_uint_eq(readers[k].bad, 0);
    down();
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("fs/mount");
    TCase *t = tcase_create("mount");
    tcase_add_test(t, listing_ten_thousand_files_costs_no_article);
    tcase_add_test(t, a_directory_can_be_read_on_from_any_place);
    tcase_add_test(t, a_file_opened_unseen_is_read_whole);
    tcase_add_test(t, a_file_opened_unseen_is_sent_whole);
    tcase_add_test(t, a_file_opened_unseen_is_spliced_whole);
    tcase_add_test(t, a_file_opened_unseen_can_be_mapped);
    tcase_add_test(t, bytes_anywhere_are_what_was_posted);
    tcase_add_test(t, bytes_anywhere_are_what_was_posted_without_the_page_cache);
    tcase_add_test(t, a_size_that_was_a_lie_is_taken_back);
    tcase_add_test(t, what_was_read_once_is_the_kernels);
    tcase_add_test(t, a_missing_segment_is_eio_for_its_pages_and_nothing_else);
    tcase_add_test(t, a_file_known_to_lack_bytes_fails_to_the_byte);
    tcase_add_test(t, zeros_stand_in_where_the_user_says_so);
    tcase_add_test(t, a_dead_file_can_be_listed_but_not_opened);
    tcase_add_test(t, a_stat_that_blocks_can_be_interrupted);
    tcase_add_test(t, a_direct_read_that_blocks_can_be_interrupted);
    tcase_add_test(t, a_program_that_reads_and_waits_can_be_killed);
    tcase_add_test(t, a_request_that_nobody_answers_ends_at_its_deadline);
    tcase_add_test(t, stalled_files_do_not_hold_up_others);
    tcase_add_test(t, stopping_answers_who_is_blocked);
    tcase_add_test(t, an_unmount_from_outside_ends_the_loop);
    tcase_add_test(t, a_lazy_unmount_ends_with_the_last_reader);
    tcase_add_test(t, nothing_can_be_written);
    tcase_add_test(t, attributes_and_xattrs_arrive);
    tcase_add_test(t, a_mountpoint_that_will_not_do_is_told_so);
    tcase_add_test(t, a_dead_mount_in_the_way_is_told_so);
    tcase_add_test(t, sixteen_readers_at_once_all_get_their_bytes);
    tcase_add_test(t, a_storm_of_signals_leaves_every_read_right_or_interrupted);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (fd < 0 || !mkdtemp(point)) {
        fprintf(stderr, "skipped: %s\n", fd < 0 ? "no /dev/fuse" : "no directory to mount on");
        return 77;
    }
    close(fd);
    SRunner *sr = srunner_create(suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    while (!umount2(point, MNT_DETACH)) /* what a crashed test has left */
        ;
    rmdir(point);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
