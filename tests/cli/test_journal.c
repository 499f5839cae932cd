#include "cli/journal.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#define SIZE (3 * (uint64_t)JOURNAL_PIECE + 1000)

static char dir[64], path[96];
static unsigned char *content;
static int part;
static const volatile bool going;

static void setup(void)
{
    strcpy(dir, "/tmp/nzbfs-journal-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/f.part.journal", dir);
    part = open(dir, O_TMPFILE | O_RDWR, 0600);
    if (part < 0) {
        char name[96];
        snprintf(name, sizeof(name), "%s/f.part", dir);
        part = open(name, O_CREAT | O_RDWR, 0600);
        unlink(name);
    }
    ck_assert_int_ge(part, 0);
    content = malloc(SIZE);
    ck_assert_ptr_nonnull(content);
    for (size_t i = 0; i < SIZE; i++)
        content[i] = (unsigned char)(i * 2654435761u >> 24);
    ck_assert_int_eq(ftruncate(part, (off_t)SIZE), 0);
}

static void teardown(void)
{
    close(part);
    free(content);
    unlink(path);
    rmdir(dir);
}

static void opened(struct journal *j, bool fresh)
{
    ck_assert_int_eq(journal_open(j, path, SIZE, 42, fresh), 0);
    ck_assert_uint_eq(j->npieces, 4);
    ck_assert_uint_eq(j->ngood, 0);
}

static void put(struct journal *j, uint32_t i)
{
    const unsigned char *p = content + (size_t)i * JOURNAL_PIECE;
    uint32_t len = journal_piece_len(j, i);

    ck_assert_int_eq(pwrite(part, p, len, (off_t)i * JOURNAL_PIECE), (ssize_t)len);
    ck_assert_int_eq(journal_add(j, i, (uint32_t)crc32(0, p, len)), 0);
}

/* What a new run believes, one bit a piece. */
static unsigned believed(void)
{
    struct journal j;
    unsigned bits = 0;

    opened(&j, false);
    ck_assert_int_eq(journal_verify(&j, part, &going), 0);
    for (uint32_t i = 0; i < j.npieces; i++)
        bits |= (unsigned)journal_has(&j, i) << i;
    ck_assert_uint_eq(j.ngood, (unsigned)__builtin_popcount(bits));
    journal_close(&j);
    return bits;
}

static void append(const char *text)
{
    int fd = open(path, O_WRONLY | O_APPEND);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

START_TEST(what_was_written_is_believed_by_the_next_run)
{
    struct journal j;

    opened(&j, true);
    put(&j, 3);
    put(&j, 1);
    ck_assert(journal_has(&j, 1) && !journal_has(&j, 0));
    journal_close(&j);
    ck_assert_uint_eq(believed(), 1u << 3 | 1u << 1);
    ck_assert_uint_eq(believed(), 1u << 3 | 1u << 1);
}
END_TEST

START_TEST(a_piece_whose_bytes_changed_is_not_believed)
{
    struct journal j;

    opened(&j, true);
    put(&j, 0);
    put(&j, 1);
    journal_close(&j);
    ck_assert_int_eq(pwrite(part, "x", 1, 12345), 1);
    ck_assert_uint_eq(believed(), 1u << 1);
    ck_assert_int_eq(ftruncate(part, JOURNAL_PIECE + 5), 0);
    ck_assert_uint_eq(believed(), 0);
}
END_TEST

START_TEST(a_line_cut_short_by_a_crash_costs_that_line_only)
{
    struct journal j;

    opened(&j, true);
    put(&j, 0);
    append("1 00");
    journal_close(&j);
    ck_assert_uint_eq(believed(), 1);
    opened(&j, false);
    ck_assert_int_eq(journal_verify(&j, part, &going), 0);
    put(&j, 2);
    journal_close(&j);
    ck_assert_uint_eq(believed(), 1u << 2 | 1);
}
END_TEST

START_TEST(nonsense_in_the_journal_is_passed_over)
{
    struct journal j;

    opened(&j, true);
    put(&j, 0);
    append("\n999999999999999999999 0\n4 00000000\n-1 0\nhello\n1 \n1 123456789abcdef\n");
    append("9999999999999999999999999999999999999999999999999999999999999999999999999999999999\n");
    put(&j, 2);
    journal_close(&j);
    ck_assert_uint_eq(believed(), 1u << 2 | 1);
}
END_TEST

START_TEST(a_journal_of_another_post_is_refused)
{
    struct journal j;

    opened(&j, true);
    journal_close(&j);
    ck_assert_int_eq(journal_open(&j, path, SIZE, 43, false), -ESTALE);
    ck_assert_int_eq(journal_open(&j, path, SIZE + 1, 42, false), -ESTALE);
    ck_assert_int_eq(journal_open(&j, path, SIZE + 1, 43, true), 0);
    journal_close(&j);
}
END_TEST

START_TEST(what_is_no_journal_is_not_overwritten)
{
    struct journal j;
    char text[16] = "";

    ck_assert_int_eq(journal_open(&j, path, SIZE, 42, false), -ENODATA);
    ck_assert_int_eq(access(path, F_OK), -1);
    int made = open(path, O_CREAT | O_WRONLY, 0600);
    ck_assert_int_ge(made, 0);
    close(made);
    ck_assert_int_eq(journal_open(&j, path, SIZE, 42, false), -ENODATA);
    append("mine\n");
    ck_assert_int_eq(journal_open(&j, path, SIZE, 42, false), -EEXIST);
    ck_assert_int_eq(journal_open(&j, path, SIZE, 42, true), -EEXIST);
    int fd = open(path, O_RDONLY);
    ck_assert_int_eq(read(fd, text, sizeof(text)), 5);
    ck_assert_str_eq(text, "mine\n");
    close(fd);
}
END_TEST

START_TEST(a_stop_ends_the_check_early)
{
    struct journal j;
    const volatile bool stop = true;

    opened(&j, true);
    put(&j, 0);
    journal_close(&j);
    opened(&j, false);
    ck_assert_int_eq(journal_verify(&j, part, &stop), -EINTR);
    journal_close(&j);
}
END_TEST

START_TEST(an_empty_file_has_no_pieces)
{
    struct journal j;

    ck_assert_int_eq(journal_open(&j, path, 0, 42, true), 0);
    ck_assert_uint_eq(j.npieces, 0);
    ck_assert_int_eq(journal_verify(&j, part, &going), 0);
    journal_close(&j);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cli/journal");
    TCase *t = tcase_create("journal");
    SRunner *r = srunner_create(s);

    suite_add_tcase(s, t);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, what_was_written_is_believed_by_the_next_run);
    tcase_add_test(t, a_piece_whose_bytes_changed_is_not_believed);
    tcase_add_test(t, a_line_cut_short_by_a_crash_costs_that_line_only);
    tcase_add_test(t, nonsense_in_the_journal_is_passed_over);
    tcase_add_test(t, a_journal_of_another_post_is_refused);
    tcase_add_test(t, what_is_no_journal_is_not_overwritten);
    tcase_add_test(t, a_stop_ends_the_check_early);
    tcase_add_test(t, an_empty_file_has_no_pieces);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
