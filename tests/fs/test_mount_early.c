/* The mount, from the outside: reads that are answered before the article they need has ended. */
#include "fs/mount.h"
#include "tests/fs/mounted.h"
#include "tests/lib/scripted_article.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
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

/* --- the end of a mount ------------------------------------------------------------------------ */

#define HURRIERS 6

static atomic_uint hurried;

/* Reads page after page until there is no mount any more. Most of these requests nobody takes when the workers end. */
static void *hurry_main(void *arg)
{
    int fd = *(const int *)arg;
    char byte;
    for (off_t off = 0;; off = (off + 1237 * 4096) % 2400000) {
        posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        if (pread(fd, &byte, 1, off) < 0 && errno != EIO && errno != EINTR)
            return NULL;
        atomic_fetch_add(&hurried, 1);
    }
}

/* The kernel takes pages back one after the other, and waits for each that is being read. */
static void stop_while_disowning(bool from_outside)
{
    pthread_t threads[HURRIERS];
    up();
    int fd = open_file("one.bin");
    struct fs *fs = rig_fs(rig);
    struct fs_file *f = rig_node(rig, "one.bin")->file;
    for (unsigned k = 0; k < HURRIERS; k++)
        ck_assert_int_eq(pthread_create(&threads[k], NULL, hurry_main, &fd), 0);
    for (unsigned k = 0, from = atomic_load(&hurried); k < 20000; k++) {
        fs_disown_add(&fs->disown, f, 0, 2400000);
        if (atomic_load(&hurried) > from + 300)
            break;
        sched_yield();
    }
    if (from_outside)
        ck_assert(detach(true));
    fs_disown_add(&fs->disown, f, 0, 2400000);
    fs_stop(fs);
    gone();
    for (unsigned k = 0; k < HURRIERS; k++)
        pthread_join(threads[k], NULL);
    close(fd);
}

START_TEST(a_mount_ends_while_the_kernel_takes_pages_back_that_are_being_read)
{
    for (unsigned k = 0; k < 8; k++)
        stop_while_disowning(k % 2);
}
END_TEST

/* As if the kernel gave its requests out no more, though it has some. */
static atomic_bool denied;
int __real_fuse_session_receive_buf(struct fuse_session *se, struct fuse_buf *buf);
int __wrap_fuse_session_receive_buf(struct fuse_session *se, struct fuse_buf *buf);

int __wrap_fuse_session_receive_buf(struct fuse_session *se, struct fuse_buf *buf)
{
    return atomic_load(&denied) ? -EIO : __real_fuse_session_receive_buf(se, buf);
}

START_TEST(a_mount_whose_requests_cannot_be_taken_ends_all_the_same)
{
    pthread_t threads[HURRIERS];
    up();
    int fd = open_file("one.bin");
    struct fs *fs = rig_fs(rig);
    struct fs_file *f = rig_node(rig, "one.bin")->file;
    for (unsigned k = 0; k < HURRIERS; k++)
        ck_assert_int_eq(pthread_create(&threads[k], NULL, hurry_main, &fd), 0);
    for (unsigned from = atomic_load(&hurried); atomic_load(&hurried) < from + 300;)
        sched_yield();
    atomic_store(&denied, true);
    fs_disown_add(&fs->disown, f, 0, 2400000);
    gone_with(-EIO);
    atomic_store(&denied, false);
    for (unsigned k = 0; k < HURRIERS; k++)
        pthread_join(threads[k], NULL);
    close(fd);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("fs/mount_early");
    TCase *t = tcase_create("early");
    tcase_add_test(t, a_file_is_opened_and_read_while_its_first_article_is_still_coming);
    tcase_add_test(t, wrong_bytes_leave_the_kernels_cache_and_are_errors_from_then_on);
    tcase_add_test(t, a_mount_ends_while_the_kernel_takes_pages_back_that_are_being_read);
    tcase_add_test(t, a_mount_whose_requests_cannot_be_taken_ends_all_the_same);
    tcase_set_timeout(t, 60);
    suite_add_tcase(s, t);
    return mounted_main(s);
}
