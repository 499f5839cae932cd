/* The mount, from the outside: requests that nobody answers, and that are not waited for. */
#include "tests/fs/mounted.h"
#include "tests/lib/scripted_article.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

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

/* --- a storm of signals ------------------------------------------------------------------------ */

/* Signals fall on readers whose requests are just being taken, parked, answered. */

struct reader {
    pthread_t thread;
    unsigned seed;
    unsigned bad;
};

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

int main(void)
{
    Suite *s = suite_create("fs/mount_blocked");
    TCase *t = tcase_create("blocked");
    tcase_add_test(t, a_stat_that_blocks_can_be_interrupted);
    tcase_add_test(t, a_direct_read_that_blocks_can_be_interrupted);
    tcase_add_test(t, a_program_that_reads_and_waits_can_be_killed);
    tcase_add_test(t, a_request_that_nobody_answers_ends_at_its_deadline);
    tcase_add_test(t, stalled_files_do_not_hold_up_others);
    tcase_add_test(t, stopping_answers_who_is_blocked);
    tcase_add_test(t, a_storm_of_signals_leaves_every_read_right_or_interrupted);
    suite_add_tcase(s, t);
    return mounted_main(s);
}
