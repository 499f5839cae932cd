/* The mount, from the outside: reads that are answered before the article they need has ended. */
#include "tests/fs/mounted.h"
#include "tests/lib/scripted_article.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#define SEED 1 /* of one.bin */
#define LEN  4096

static void up_unserved(void)
{
    up_with(&(struct rig_config){.files = files,
                                 .nfiles = MOUNTED_FILES,
                                 .mount = {.uid = -1, .gid = -1, .umask = 022, .early = true},
                                 .now_us = no_time});
}

struct reader {
    pthread_t thread;
    int fd;
    ssize_t n;
    char bytes[LEN];
};

static void *reader_main(void *arg)
{
    struct reader *r = arg;
    r->fd = open(path("one.bin"), O_RDONLY | O_CLOEXEC);
    r->n = r->fd < 0 ? -1 : pread(r->fd, r->bytes, LEN, 0);
    return NULL;
}

/* It opens the file, which asks for the first article, and reads its first bytes. */
static struct segment_fetch *reader_start(struct reader *r)
{
    ck_assert_int_eq(pthread_create(&r->thread, NULL, reader_main, r), 0);
    return scripted_source_claim(rig_source(rig));
}

START_TEST(a_file_is_opened_and_read_while_its_first_article_is_still_coming)
{
    struct reader r;
    up_unserved();
    struct segment_fetch *f = reader_start(&r);
    ck_assert_int_eq(scripted_source_begin(rig_source(rig), f, NULL), 0);
    scripted_source_bring(rig_source(rig), f, 90000);
    pthread_join(r.thread, NULL);
    ck_assert_int_eq(r.n, LEN);
    ck_assert(scripted_bytes_match(SEED, 0, r.bytes, LEN));
    scripted_source_bring(rig_source(rig), f, SIZE_MAX);
    scripted_source_end(rig_source(rig), f, SEGMENT_DONE);
    close(r.fd);
    down();
}
END_TEST

START_TEST(wrong_bytes_leave_the_kernels_cache_and_are_errors_from_then_on)
{
    struct reader r;
    char byte;
    up_unserved();
    struct segment_fetch *f = reader_start(&r);
    ck_assert_int_eq(scripted_source_begin(rig_source(rig), f, NULL), 0);
    scripted_source_spoil(rig_source(rig), f, true);
    scripted_source_bring(rig_source(rig), f, 90000);
    pthread_join(r.thread, NULL);
    ck_assert_int_eq(r.n, LEN);
    ck_assert(!scripted_bytes_match(SEED, 0, r.bytes, LEN));
    scripted_source_spoil(rig_source(rig), f, false);
    /* The reply has gone out; its pins may be given back a moment later. */
    while (scripted_source_begin(rig_source(rig), f, NULL) != 0)
        sched_yield();
    scripted_source_bring(rig_source(rig), f, SIZE_MAX);
    scripted_source_end(rig_source(rig), f, SEGMENT_DONE);
    while (pread(r.fd, &byte, 1, 100) == 1)
        sched_yield();
    ck_assert_int_eq(errno, EIO);
    close(r.fd);
    down();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("fs/mount_early");
    TCase *t = tcase_create("early");
    tcase_add_test(t, a_file_is_opened_and_read_while_its_first_article_is_still_coming);
    tcase_add_test(t, wrong_bytes_leave_the_kernels_cache_and_are_errors_from_then_on);
    suite_add_tcase(s, t);
    return mounted_main(s);
}
