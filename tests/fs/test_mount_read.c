/* The mount, from the outside: what programs that read get from the kernel. */
#include "tests/fs/mounted.h"
#include "tests/lib/scripted_article.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

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

int main(void)
{
    Suite *s = suite_create("fs/mount_read");
    TCase *t = tcase_create("read");
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
    tcase_add_test(t, sixteen_readers_at_once_all_get_their_bytes);
    suite_add_tcase(s, t);
    return mounted_main(s);
}
