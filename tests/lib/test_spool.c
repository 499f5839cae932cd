#include "tests/lib/spool.h"
#include "tests/lib/yencode.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

/* ---- a decoder as plain as can be ---- */

struct decoded {
    char begin[256], part[256], end[256];
    uint8_t *data;
    size_t len, longest;
};

static void line_keep(char *room, const char *line, size_t n)
{
    ck_assert_uint_lt(n, 256);
    memcpy(room, line, n);
    room[n] = '\0';
}

static void payload_add(struct decoded *d, const char *line, size_t n)
{
    if (n > d->longest)
        d->longest = n;
    for (size_t i = 0; i < n; i++) {
        unsigned c = (uint8_t)line[i];
        if (c == 0 || c == '\r' || c == '\n' || (c == '=' && i + 1 == n))
            ck_abort_msg("character %u at %zu of a line", c, i);
        if (c == '=')
            c = (uint8_t)line[++i] - 64u;
        d->data[d->len++] = (uint8_t)(c - 42);
    }
}

/* Reads `body` line by line as a client would see it, up to the dot, which must be the end. */
static struct decoded decode(const uint8_t *body, size_t len)
{
    struct decoded d = {.data = malloc(len + 1)};
    const char *p = (const char *)body, *end = p + len;
    for (;;) {
        const char *nl = memmem(p, (size_t)(end - p), "\r\n", 2);
        ck_assert_ptr_nonnull(nl);
        size_t n = (size_t)(nl - p);
        const char *line = p;
        p = nl + 2;
        if (n == 1 && line[0] == '.')
            break;
        if (line[0] == '.') {
            ck_assert_int_eq(line[1], '.');
            line++;
            n--;
        }
        if (n > 7 && memcmp(line, "=ybegin", 7) == 0)
            line_keep(d.begin, line, n);
        else if (n > 6 && memcmp(line, "=ypart", 6) == 0)
            line_keep(d.part, line, n);
        else if (n > 5 && memcmp(line, "=yend", 5) == 0)
            line_keep(d.end, line, n);
        else
            payload_add(&d, line, n);
    }
    ck_assert_ptr_eq(p, end);
    return d;
}

static struct decoded decode_part(struct spool *s, int file, uint32_t n)
{
    const struct spool_article *a = spool_find(s, spool_message_id(s, file, n));
    ck_assert_ptr_nonnull(a);
    ck_assert_str_eq(a->message_id, spool_message_id(s, file, n));
    return decode(a->bytes + a->head, a->len - a->head);
}

static int add(struct spool *s, struct spool_file f)
{
    int file = spool_add(s, &f);
    ck_assert_int_ge(file, 0);
    return file;
}

/* ---- yEnc ---- */

START_TEST(every_byte_survives_at_every_place_of_a_line)
{
    uint8_t in[600], out[4096];
    for (unsigned line = 1; line < 9; line++)
        for (unsigned shift = 0; shift < 256; shift++) {
            for (unsigned i = 0; i < sizeof(in); i++)
                in[i] = (uint8_t)(i + shift);
            size_t n = yencode_lines(in, sizeof(in), line, out);
            ck_assert_uint_le(n, yencode_bound(sizeof(in), line));
            ck_assert_uint_le(n + 3, sizeof(out));
            memcpy(out + n, ".\r\n", 3);
            struct decoded d = decode(out, n + 3);
            ck_assert_uint_eq(d.len, sizeof(in));
            ck_assert_mem_eq(d.data, in, sizeof(in));
            ck_assert_uint_le(d.longest, line + 1);
            free(d.data);
        }
}
END_TEST

START_TEST(the_worst_input_stays_within_the_bound)
{
    uint8_t in[1000], out[8192];
    memset(in, (uint8_t)('=' - 42), sizeof(in));
    for (unsigned line = 1; line <= YENCODE_LINE_MAX; line += 43)
        ck_assert_uint_le(yencode_lines(in, sizeof(in), line, out),
                          yencode_bound(sizeof(in), line));
    memset(in, (uint8_t)('.' - 42), sizeof(in));
    for (unsigned line = 1; line <= YENCODE_LINE_MAX; line += 43)
        ck_assert_uint_le(yencode_lines(in, sizeof(in), line, out),
                          yencode_bound(sizeof(in), line));
}
END_TEST

START_TEST(a_line_never_ends_or_begins_with_a_blank)
{
    uint8_t in[999], out[4096];
    memset(in, (uint8_t)(' ' - 42), sizeof(in));
    size_t n = yencode_lines(in, sizeof(in), 64, out);
    for (size_t i = 0; i < n; i++)
        if (out[i] == ' ') {
            ck_assert(i > 0 && out[i - 1] != '\n');
            ck_assert(out[i + 1] != '\r');
        }
    ck_assert_ptr_nonnull(memchr(out, ' ', n));
}
END_TEST

/* ---- files ---- */

START_TEST(parts_put_together_are_the_file)
{
    struct spool *s = spool_new();
    enum { SIZE = 100003, PART = 7000 };
    int file =
        add(s, (struct spool_file){.name = "a.bin", .seed = 5, .size = SIZE, .part_size = PART});
    uint8_t *want = malloc(SIZE);
    spool_bytes(5, 0, want, SIZE);
    ck_assert_uint_eq(spool_parts(s, file), 15);
    for (uint32_t n = 1; n <= 15; n++) {
        struct decoded d = decode_part(s, file, n);
        char line[256];
        size_t at = (size_t)(n - 1) * PART, len = n < 15 ? PART : SIZE - 14 * PART;
        ck_assert_uint_eq(d.len, len);
        ck_assert_mem_eq(d.data, want + at, len);
        snprintf(line, sizeof(line), "=ybegin part=%u total=15 line=128 size=%d name=a.bin", n,
                 SIZE);
        ck_assert_str_eq(d.begin, line);
        snprintf(line, sizeof(line), "=ypart begin=%zu end=%zu", at + 1, at + len);
        ck_assert_str_eq(d.part, line);
        snprintf(line, sizeof(line), "=yend size=%zu part=%u pcrc32=%08lx", len, n,
                 crc32(0, want + at, (unsigned)len));
        ck_assert_str_eq(d.end, line);
        free(d.data);
    }
    free(want);
    spool_free(s);
}
END_TEST

START_TEST(generated_bytes_do_not_depend_on_how_they_are_asked_for)
{
    uint8_t whole[256], piece[256];
    spool_bytes(9, 1000, whole, sizeof(whole));
    for (size_t i = 0; i < sizeof(whole); i++) {
        spool_bytes(9, 1000 + i, piece, sizeof(whole) - i);
        ck_assert_mem_eq(piece, whole + i, sizeof(whole) - i);
    }
    spool_bytes(10, 1000, piece, sizeof(piece));
    ck_assert_mem_ne(piece, whole, sizeof(whole));
}
END_TEST

START_TEST(uneven_parts_lie_where_their_sizes_put_them)
{
    const uint32_t sizes[] = {10, 1, 300, 2};
    struct spool *s = spool_new();
    struct spool_file f = {.name = "u", .seed = 1, .size = 313, .part_sizes = sizes, .nparts = 4};
    int file = add(s, f);
    struct decoded d = decode_part(s, file, 3);
    ck_assert_str_eq(d.part, "=ypart begin=12 end=311");
    ck_assert_uint_eq(d.len, 300);
    free(d.data);
    f.size = 314;
    ck_assert_int_eq(spool_add(s, &f), -EINVAL);
    spool_free(s);
}
END_TEST

START_TEST(a_single_article_has_no_part_line)
{
    struct spool *s = spool_new();
    int file =
        add(s, (struct spool_file){.name = "one", .data = "hello", .size = 5, .single = true});
    struct decoded d = decode_part(s, file, 1);
    ck_assert_str_eq(d.begin, "=ybegin line=128 size=5 name=one");
    ck_assert_str_eq(d.part, "");
    ck_assert_str_eq(d.end, "=yend size=5 crc32=3610a686");
    free(d.data);
    spool_free(s);
}
END_TEST

START_TEST(an_empty_file_is_one_empty_article)
{
    struct spool *s = spool_new();
    int file = add(s, (struct spool_file){.name = "none", .size = 0});
    ck_assert_uint_eq(spool_parts(s, file), 1);
    struct decoded d = decode_part(s, file, 1);
    ck_assert_uint_eq(d.len, 0);
    ck_assert_str_eq(d.end, "=yend size=0 crc32=00000000");
    free(d.data);
    spool_free(s);
}
END_TEST

START_TEST(what_posters_leave_out_can_be_left_out)
{
    struct spool *s = spool_new();
    int plain = add(s, (struct spool_file){.name = "p",
                                           .seed = 1,
                                           .size = 20,
                                           .part_size = 10,
                                           .no_total = true,
                                           .no_crc = true,
                                           .line = 64});
    int nserv = add(
        s,
        (struct spool_file){
            .name = "n", .data = "1234567890", .size = 10, .part_size = 5, .nserv_quirks = true});
    struct decoded d = decode_part(s, plain, 2);
    ck_assert_str_eq(d.begin, "=ybegin part=2 line=64 size=20 name=p");
    ck_assert_str_eq(d.end, "=yend size=10 part=2");
    free(d.data);
    d = decode_part(s, nserv, 2);
    ck_assert_str_eq(d.begin, "=ybegin part=2 line=128 size=10 name=n");
    ck_assert_int_eq(strncmp(d.end, "=yend size=5 part=0 pcrc32=", 27), 0);
    free(d.data);
    spool_free(s);
}
END_TEST

START_TEST(a_file_on_disk_is_served_like_one_in_memory)
{
    char path[] = "/tmp/test_spool.XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, "on the disk", 11), 11);
    close(fd);
    struct spool *s = spool_new();
    int file = add(s, (struct spool_file){.name = "d", .path = path, .part_size = 6});
    unlink(path);
    ck_assert_uint_eq(spool_parts(s, file), 2);
    struct decoded d = decode_part(s, file, 2);
    ck_assert_uint_eq(d.len, 5);
    ck_assert_mem_eq(d.data, " disk", 5);
    free(d.data);
    ck_assert_int_eq(spool_add(s, &(struct spool_file){.name = "x", .path = path}), -ENOENT);
    ck_assert_int_eq(spool_add(s, &(struct spool_file){.name = "x", .path = "/tmp"}), -EINVAL);
    spool_free(s);
}
END_TEST

START_TEST(two_spools_filled_alike_have_the_same_articles)
{
    struct spool *a = spool_new(), *b = spool_new();
    const struct spool_file f = {.name = "same", .seed = 4, .size = 100, .part_size = 10};
    add(a, f);
    add(b, f);
    for (uint32_t n = 1; n <= 10; n++) {
        ck_assert_str_eq(spool_message_id(a, 0, n), spool_message_id(b, 0, n));
        ck_assert_ptr_null(strpbrk(spool_message_id(a, 0, n), " <>\t"));
    }
    int again = add(a, f);
    ck_assert_str_ne(spool_message_id(a, 0, 1), spool_message_id(a, again, 1));
    ck_assert_int_eq(spool_file_named(a, "same"), 0);
    ck_assert_int_eq(spool_file_named(a, "other"), -ENOENT);
    spool_free(a);
    spool_free(b);
}
END_TEST

START_TEST(a_name_cannot_break_a_header)
{
    struct spool *s = spool_new();
    int file = add(s, (struct spool_file){.name = "a\r\n.\r\nb", .data = "x", .size = 1});
    const struct spool_article *a = spool_find(s, spool_message_id(s, file, 1));
    struct decoded d = decode(a->bytes + a->head, a->len - a->head);
    ck_assert_uint_eq(d.len, 1);
    ck_assert_ptr_eq(memmem(a->bytes, a->len, "\r\n\r\n", 4), a->bytes + a->head - 4);
    free(d.data);
    spool_free(s);
}
END_TEST

/* ---- NZB ---- */

static size_t count(const char *text, const char *what)
{
    size_t n = 0;
    for (const char *p = text; (p = strstr(p, what)); p += strlen(what))
        n++;
    return n;
}

START_TEST(the_nzb_names_every_part_of_every_file)
{
    struct spool *s = spool_new();
    add(s, (struct spool_file){.name = "one", .seed = 1, .size = 100, .part_size = 10});
    add(s, (struct spool_file){.name = "two", .seed = 2, .size = 25, .part_size = 10});
    size_t len;
    char *all = spool_nzb(s, -1, &len), *two = spool_nzb(s, 1, NULL);
    ck_assert_uint_eq(strlen(all), len);
    ck_assert_uint_eq(count(all, "<segment "), 13);
    ck_assert_uint_eq(count(all, "<file "), 2);
    ck_assert_uint_eq(count(two, "<segment "), 3);
    ck_assert_ptr_nonnull(strstr(two, spool_message_id(s, 1, 3)));
    ck_assert_ptr_nonnull(strstr(two, "subject=\"&quot;two&quot; yEnc (1/3) 25\""));
    free(all);
    free(two);
    spool_free(s);
}
END_TEST

START_TEST(segment_bytes_are_the_size_of_the_body)
{
    struct spool *s = spool_new();
    add(s, (struct spool_file){.name = "n", .seed = 1, .size = 5000});
    const struct spool_article *a = spool_find(s, spool_message_id(s, 0, 1));
    char *nzb = spool_nzb(s, 0, NULL), want[64];
    snprintf(want, sizeof(want), "bytes=\"%zu\"", a->len - a->head - 3);
    ck_assert_ptr_nonnull(strstr(nzb, want));
    free(nzb);
    spool_free(s);
}
END_TEST

START_TEST(odd_subjects_are_escaped)
{
    struct spool *s = spool_new();
    const char *subject = "<a> & \"b\" \xc3\xa9 \xe9 \x01 \xf0\x9f\x8e\xac \xed\xa0\x80";
    add(s, (struct spool_file){.name = "n", .data = "x", .size = 1, .subject = subject});
    char *nzb = spool_nzb(s, 0, NULL);
    ck_assert_ptr_nonnull(strstr(nzb, "subject=\"&lt;a&gt; &amp; &quot;b&quot; \xc3\xa9 &#233; ? "
                                      "\xf0\x9f\x8e\xac &#237;&#160;&#128;\""));
    free(nzb);
    spool_free(s);
}
END_TEST

START_TEST(the_nzb_of_a_huge_file_encodes_nothing)
{
    struct spool *s = spool_new();
    const uint64_t size = UINT64_C(50) << 30;
    add(s, (struct spool_file){.name = "h", .seed = 1, .size = size, .part_size = 50000000});
    char *nzb = spool_nzb(s, 0, NULL);
    ck_assert_uint_eq(count(nzb, "<segment "), spool_parts(s, 0));
    free(nzb);
    spool_free(s);
}
END_TEST

/* ---- posting ---- */

static int post(struct spool *s, const char *wire)
{
    return spool_post(s, wire, strlen(wire));
}

START_TEST(a_posted_article_is_found_again)
{
    struct spool *s = spool_new();
    const char *wire = "Subject: x\r\nmessage-id: <a@b>\r\nX: y\r\n folded\r\n\r\n..body\r\n.\r\n";
    ck_assert_int_eq(post(s, wire), 0);
    const struct spool_article *a = spool_find(s, "a@b");
    ck_assert_ptr_nonnull(a);
    ck_assert_uint_eq(a->len, strlen(wire));
    ck_assert_mem_eq(a->bytes, wire, a->len);
    ck_assert_mem_eq(a->bytes + a->head, "..body", 6);
    ck_assert_int_eq(post(s, wire), -EEXIST);
    ck_assert(spool_has(s, "a@b"));
    ck_assert(!spool_has(s, "a@c"));
    spool_free(s);
}
END_TEST

START_TEST(what_is_no_article_is_refused)
{
    const char *bad[] = {
        "",
        ".\r\n",
        "\r\n.\r\n",
        "Message-ID: <a@b>\r\n.\r\n",
        "\r\nbody\r\n.\r\n",
        "Subject: x\r\n\r\nbody\r\n.\r\n",
        "Message-ID: <a@b>\r\n\r\nbody without an end\r\n",
        "Message-ID: a@b\r\n\r\nb\r\n.\r\n",
        "Message-ID: <a b>\r\n\r\nb\r\n.\r\n",
        "Message-ID: <>\r\n\r\nb\r\n.\r\n",
        "no colon\r\nMessage-ID: <a@b>\r\n\r\nb\r\n.\r\n",
        "Message-ID: <a@b>\r\nMessage-ID: <c@d>\r\n\r\nb\r\n.\r\n",
        "Message-ID: >a<\r\n\r\nb\r\n.\r\n",
    };
    struct spool *s = spool_new();
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        ck_assert_msg(post(s, bad[i]) == -EINVAL, "taken: %s", bad[i]);
    ck_assert_int_eq(post(s, "Message-ID: <a@b>\r\n\r\n.\r\n"), 0);
    spool_free(s);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("lib/spool");
    TCase *t = tcase_create("spool");
    tcase_add_test(t, every_byte_survives_at_every_place_of_a_line);
    tcase_add_test(t, the_worst_input_stays_within_the_bound);
    tcase_add_test(t, a_line_never_ends_or_begins_with_a_blank);
    tcase_add_test(t, parts_put_together_are_the_file);
    tcase_add_test(t, generated_bytes_do_not_depend_on_how_they_are_asked_for);
    tcase_add_test(t, uneven_parts_lie_where_their_sizes_put_them);
    tcase_add_test(t, a_single_article_has_no_part_line);
    tcase_add_test(t, an_empty_file_is_one_empty_article);
    tcase_add_test(t, what_posters_leave_out_can_be_left_out);
    tcase_add_test(t, a_file_on_disk_is_served_like_one_in_memory);
    tcase_add_test(t, two_spools_filled_alike_have_the_same_articles);
    tcase_add_test(t, a_name_cannot_break_a_header);
    tcase_add_test(t, the_nzb_names_every_part_of_every_file);
    tcase_add_test(t, segment_bytes_are_the_size_of_the_body);
    tcase_add_test(t, odd_subjects_are_escaped);
    tcase_add_test(t, the_nzb_of_a_huge_file_encodes_nothing);
    tcase_add_test(t, a_posted_article_is_found_again);
    tcase_add_test(t, what_is_no_article_is_refused);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    SRunner *r = srunner_create(suite());
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
