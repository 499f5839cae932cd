#include "nzb/name.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static void expect_name(const char *subject, const char *name)
{
    char out[1024];
    size_t n = nzb_name_from_subject(subject, out, sizeof(out));

    ck_assert_str_eq(out, name);
    ck_assert_uint_eq(n, strlen(name));
}

static void expect_safe(const char *in, size_t len, const char *name)
{
    char out[NZB_NAME_MAX + 1];
    size_t n = nzb_name_safe(in, len, out);

    ck_assert_str_eq(out, name);
    ck_assert_uint_eq(n, strlen(name));
}

START_TEST(the_quoted_name_is_the_name)
{
    expect_name("[01/99] - \"name.ext\" yEnc (1/50)", "name.ext");
    expect_name("\"my film.2020.mkv\" yEnc (1/50)", "my film.2020.mkv");
    expect_name("[12345]-[FULL]-[#a.b.x]-[ title ]-[3/9] - \"file.r03\" yEnc (1/20)", "file.r03");
    expect_name("Re: \"a title\" [2/7] \"set.part01.rar\" - 50 MB - yEnc (1/9)", "set.part01.rar");
    expect_name("\"set.part01.rar\" of \"a title\" (1/9)", "set.part01.rar");
    expect_name("\"no extension\" yEnc (1/5)", "no extension");
    expect_name("&quot;twice &amp; escaped.mkv&quot; yEnc (1/5)", "twice & escaped.mkv");
    expect_name("Datei 1 von 3 - \"\xc3\x9c"
                "bergr\xc3\xb6\xc3\x9f"
                "e.avi\" yEnc (01/12)",
                "\xc3\x9c"
                "bergr\xc3\xb6\xc3\x9f"
                "e.avi");
}
END_TEST

START_TEST(without_quotes_it_is_the_last_word_that_looks_like_a_file)
{
    expect_name("name.ext (1/50)", "name.ext");
    expect_name("posting set.r03 yEnc (1/50)", "set.r03");
    expect_name("[alt.binaries.x] [PRiVATE]-[WtFnZb]-[real.name.mkv]-[1/8] - \"\" yEnc (1/200)",
                "real.name.mkv");
    expect_name("[Group] Show - 01 [ABCD].mkv (1/50)", "[ABCD].mkv");
    expect_name("see http://a.example/x.html archive.7z.001 me@mail.com (1/3)", "archive.7z.001");
    expect_name("version 1.5 of it (1/3)", "version 1.5 of it");
}
END_TEST

START_TEST(without_any_such_word_it_is_all_of_it)
{
    expect_name("just some words yEnc (1/3)", "just some words");
    expect_name("(2009/2010) words", "(2009/2010) words");
    expect_name("", "");
    expect_name("\"", "\"");
    expect_name("yEnc (1/3)", "");
}
END_TEST

START_TEST(the_buffer_is_never_overrun)
{
    char out[8];

    memset(out, '#', sizeof(out));
    ck_assert_uint_eq(nzb_name_from_subject("\"0123456789.mkv\"", out, 5), 4);
    ck_assert_str_eq(out, "0123");
    ck_assert_int_eq(out[5], '#');
}
END_TEST

/* Work that grew with the square of the length would take an hour here. */
START_TEST(a_subject_of_brackets_alone_is_read_once)
{
    const size_t len = (size_t)32 << 20;
    char *subject = malloc(len + 1), *out = malloc(len + 1);

    ck_assert(subject && out);
    subject[len] = '\0';
    for (const char *c = "[],"; *c; c++) {
        memset(subject, *c, len);
        ck_assert_uint_eq(nzb_name_from_subject(subject, out, len + 1), len);
    }
    memset(subject, '[', len / 2);
    memset(subject + len / 2, ']', len / 2);
    ck_assert_uint_eq(nzb_name_from_subject(subject, out, len + 1), len);
    memcpy(subject + len / 2 - 3, "ab.mkv", 6);
    ck_assert_uint_eq(nzb_name_from_subject(subject, out, len + 1), 6);
    ck_assert_str_eq(out, "ab.mkv");
    free(subject);
    free(out);
}
END_TEST

START_TEST(the_last_counter_tells_the_parts)
{
    ck_assert_uint_eq(nzb_name_parts("[01/99] - \"a.b\" yEnc (1/50)"), 50);
    ck_assert_uint_eq(nzb_name_parts("(3/9) \"a.b\" yEnc (01/0050) 12345"), 50);
    ck_assert_uint_eq(nzb_name_parts("\"a (1/2) b\" yEnc (1/7"), 2);
    ck_assert_uint_eq(nzb_name_parts("(5/3)"), 0);
    ck_assert_uint_eq(nzb_name_parts("(1/99999999999)"), 0);
    ck_assert_uint_eq(nzb_name_parts("(1/999999999)"), 0);
    ck_assert_uint_eq(nzb_name_parts("(/) (1/) ((1/4)"), 4);
    ck_assert_uint_eq(nzb_name_parts(""), 0);
}
END_TEST

START_TEST(a_name_never_leaves_its_directory)
{
    expect_safe("..", 2, "__");
    expect_safe(".", 1, "_");
    expect_safe("", 0, "unnamed");
    expect_safe(" \t\r\n", 4, "unnamed");
    expect_safe("../../etc/passwd", 16, ".._.._etc_passwd");
    expect_safe("/", 1, "_");
    expect_safe("a\0b\nc\x7f"
                "d\x1b[0m",
                11, "a_b_c_d_[0m");
    expect_safe("  two ends.mkv ", 15, "two ends.mkv");
    expect_safe(".hidden", 7, ".hidden");
}
END_TEST

START_TEST(a_name_is_valid_utf8_without_tricks)
{
    expect_safe("caf\xe9.mkv", 8, "caf\xc3\xa9.mkv");               /* Latin-1 */
    expect_safe("\x80\x93", 2, "\xe2\x82\xac\xe2\x80\x9c");         /* Windows-1252 */
    expect_safe("\xc3\xa9t\xc3\xa9", 5, "\xc3\xa9t\xc3\xa9");       /* UTF-8 */
    expect_safe("\xc0\xaf", 2, "\xc3\x80\xc2\xaf");                 /* an overlong '/' */
    expect_safe("\xed\xa0\x80", 3, "\xc3\xad\xc2\xa0\xe2\x82\xac"); /* a surrogate */
    expect_safe("a\xe2\x80\xae"
                "gpj.exe",
                11, "a_gpj.exe");      /* right to left */
    expect_safe("\xc2\x85x", 3, "_x"); /* a C1 control */
    expect_safe("\xf0\x9f\x8e\xac.mkv", 8, "\xf0\x9f\x8e\xac.mkv");
    expect_safe("\xf0\x9f\x8e", 3, "\xc3\xb0\xc5\xb8\xc5\xbd"); /* cut off */
}
END_TEST

START_TEST(long_names_keep_their_extension_and_whole_characters)
{
    static char in[70000];
    char out[NZB_NAME_MAX + 1];

    memset(in, 'x', 65536);
    strcpy(in + 65536, ".part07.rar");
    ck_assert_uint_eq(nzb_name_safe(in, strlen(in), out), 255);
    ck_assert_str_eq(out + 255 - 11, ".part07.rar");
    for (size_t i = 0; i < 300; i++)
        memcpy(in + 3 * i, "\xe2\x82\xac", 3);
    strcpy(in + 900, ".mkv");
    ck_assert_uint_eq(nzb_name_safe(in, strlen(in), out), 3 * 83 + 4);
    ck_assert_str_eq(out + 3 * 83, ".mkv");
    memset(in, 'x', 300);
    strcpy(in + 300, ".vol/1\n+2.par2"); /* the safe part of it is all that is kept */
    nzb_name_safe(in, strlen(in), out);
    ck_assert_str_eq(out + 250, ".par2");
    ck_assert_ptr_null(strpbrk(out, "/\n"));
}
END_TEST

START_TEST(a_second_file_of_one_name_is_numbered_before_the_extension)
{
    char out[NZB_NAME_MAX + 1], name[NZB_NAME_MAX + 1];

    nzb_name_nth("film.mkv", 2, out);
    ck_assert_str_eq(out, "film (2).mkv");
    nzb_name_nth("README", 13, out);
    ck_assert_str_eq(out, "README (13)");
    nzb_name_nth("a.tar.gz", 3, out);
    ck_assert_str_eq(out, "a (3).tar.gz");
    nzb_name_nth("x.7z.001", 4294967295u, out);
    ck_assert_str_eq(out, "x (4294967295).7z.001");
    memset(name, 'x', 255);
    memcpy(name + 251, ".mkv", 5);
    ck_assert_uint_eq(nzb_name_nth(name, 2, out), 255);
    ck_assert_str_eq(out + 247, " (2).mkv");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("nzb/name");
    TCase *t = tcase_create("names");

    tcase_add_test(t, the_quoted_name_is_the_name);
    tcase_add_test(t, without_quotes_it_is_the_last_word_that_looks_like_a_file);
    tcase_add_test(t, without_any_such_word_it_is_all_of_it);
    tcase_add_test(t, the_buffer_is_never_overrun);
    tcase_add_test(t, a_subject_of_brackets_alone_is_read_once);
    tcase_add_test(t, the_last_counter_tells_the_parts);
    tcase_add_test(t, a_name_never_leaves_its_directory);
    tcase_add_test(t, a_name_is_valid_utf8_without_tricks);
    tcase_add_test(t, long_names_keep_their_extension_and_whole_characters);
    tcase_add_test(t, a_second_file_of_one_name_is_numbered_before_the_extension);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
