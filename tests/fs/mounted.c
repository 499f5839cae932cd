#include "tests/fs/mounted.h"

#include "tests/lib/scripted_article.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#define PART 100000u

uint64_t no_time(void)
{
    return 1000000;
}

const struct rig_file files[MOUNTED_FILES] = {
    {.name = "one.bin", .seed = 1, .size = 2345678, .part_size = PART},
    {.name = "two.bin", .seed = 2, .size = 1000000, .part_size = PART},
    {.name = "three.bin", .seed = 3, .size = 5001, .part_size = PART},
};

char point[] = "/tmp/nzbfs-test-XXXXXX";

struct rig *rig;
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

void up_with(const struct rig_config *cfg)
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

void up_mount(struct config_mount mount)
{
    mount.uid = mount.gid = -1;
    mount.umask = 022;
    mount.readahead = 1 << 20;
    up_with(&(struct rig_config){.files = files,
                                 .nfiles = MOUNTED_FILES,
                                 .served = true,
                                 .mount = mount,
                                 .now_us = no_time});
}

void up(void)
{
    up_mount((struct config_mount){.umask = 022});
}

void gone(void)
{
    gone_with(0);
}

void gone_with(int err)
{
    pthread_join(looper, NULL);
    ck_assert_int_eq(loop_result, err);
    fs_unmount(rig_fs(rig));
    rig_free(rig);
}

void down(void)
{
    fs_stop(rig_fs(rig));
    gone();
}

const char *path(const char *name)
{
    static _Thread_local char p[300];
    snprintf(p, sizeof(p), "%s/%s", point, name);
    return p;
}

int open_file(const char *name)
{
    int fd = open(path(name), O_RDONLY | O_CLOEXEC);
    ck_assert_msg(fd >= 0, "%s: %s", name, strerror(errno));
    return fd;
}

void expect_read(int fd, uint64_t seed, uint64_t off, size_t len)
{
    char *buf = malloc(len);
    ssize_t n = pread(fd, buf, len, (off_t)off);
    ck_assert_msg(n == (ssize_t)len, "%zd of %zu: %s", n, len, strerror(errno));
    ck_assert(scripted_bytes_match(seed, off, buf, len));
    free(buf);
}

void expect_read_error(int fd, uint64_t off, int err)
{
    char byte;
    errno = 0;
    ck_assert_int_eq(pread(fd, &byte, 1, (off_t)off), -1);
    ck_assert_int_eq(errno, err);
}

bool detach(bool lazily)
{
    if (!umount2(point, lazily ? MNT_DETACH : 0))
        return true;
    if (errno != EPERM)
        return false;
    pid_t child = fork(); /* an ordinary user's way */
    if (!child) {
        int null = open("/dev/null", O_WRONLY);
        dup2(null, STDERR_FILENO);
        execlp("fusermount3", "fusermount3", lazily ? "-uz" : "-u", "--", point, (char *)NULL);
        _exit(127);
    }
    int status;
    return child > 0 && waitpid(child, &status, 0) == child && !status;
}

int mounted_main(Suite *s)
{
    int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (fd < 0 || !mkdtemp(point)) {
        fprintf(stderr, "skipped: %s\n", fd < 0 ? "no /dev/fuse" : "no directory to mount on");
        return 77;
    }
    close(fd);
    if (!geteuid() && umount2(point, MNT_DETACH) && errno == EPERM) {
        fprintf(stderr, "skipped: root may not mount here\n");
        rmdir(point);
        return 77;
    }
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    while (detach(true)) /* what a crashed test has left */
        ;
    rmdir(point);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
