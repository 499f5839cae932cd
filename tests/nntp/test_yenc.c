/* The decoder: first what the reference does with each byte, then that every kernel does the same with
 * anything, however it is cut. */

#include "nntp/yenc.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST 8192

static uint64_t dice_state;

static uint64_t dice(void)
{
    dice_state ^= dice_state << 13;
    dice_state ^= dice_state >> 7;
    dice_state ^= dice_state << 17;
    return dice_state;
}

static void setup(void)
{
    dice_state = 0x243f6a8885a308d3u;
}

/* What a run left behind: bytes out, bytes in, why it stopped and where it stood. */
struct outcome {
    uint8_t bytes[MOST];
    size_t written, used;
    enum yenc_stop stop;
    enum yenc_state state;
};

static const struct yenc_kernel *reference(void)
{
    size_t n;
    return &yenc_kernels(&n)[0];
}

/* ck_assert writes to a file each time, which is too slow for what is asked millions of times. */
static void must(bool holds, const struct yenc_kernel *k, const char *else_it)
{
    if (!holds)
        ck_abort_msg("%s %s", k->name, else_it);
}

/* One call's buffers, in allocations of their own size so that a sanitizer sees a byte too far; without
 * one, the bytes behind the room are watched. */
static struct yenc_result call(const struct yenc_kernel *k, enum yenc_state *state,
                               const uint8_t *in, size_t len, uint8_t *out, size_t cap)
{
    cap = cap < len + 80 ? cap : len + 80; /* no more comes out than goes in */
    uint8_t *src = malloc(len + 1), *dst = malloc(cap + 64);
    if (!src || !dst)
        ck_abort_msg("no memory");
    memcpy(src + 1, in, len);
    memset(dst, 0xa5, cap + 64);
    struct yenc_result r = k->decode(state, src + 1, len, dst, cap);
    for (size_t i = 0; i < 64; i++)
        must(dst[cap + i] == 0xa5, k, "wrote beyond its room");
    must(r.used <= len && r.written <= cap, k, "claims more than there was");
    memcpy(out, dst, r.written);
    free(src);
    free(dst);
    return r;
}

/* Decode in pieces of `piece` bytes into rooms of `room`; 0: all of it. */
static void run(struct outcome *o, const struct yenc_kernel *k, enum yenc_state start,
                const uint8_t *in, size_t len, size_t piece, size_t room, size_t cap)
{
    o->used = o->written = 0;
    o->stop = YENC_INPUT;
    o->state = start;
    while (o->used < len) {
        size_t n = len - o->used, space = cap - o->written;
        if (piece && piece < n)
            n = piece;
        if (room && room < space)
            space = room;
        struct yenc_result r = call(k, &o->state, in + o->used, n, o->bytes + o->written, space);
        o->used += r.used;
        o->written += r.written;
        o->stop = r.stop;
        if (r.stop == YENC_KEYWORD || r.stop == YENC_END ||
            (r.stop == YENC_ROOM && o->written == cap))
            return;
        must(r.used > 0, k, "does not get on");
    }
}

static void dump(const uint8_t *in, size_t len)
{
    for (size_t i = 0; i < len && i < 400; i++)
        fprintf(stderr, "\\x%02x", in[i]);
    fputc('\n', stderr);
}

static void same(const struct outcome *a, const struct outcome *b, const char *name,
                 const uint8_t *in, size_t len)
{
    if (a->written == b->written && a->used == b->used && a->stop == b->stop &&
        a->state == b->state && memcmp(a->bytes, b->bytes, a->written) == 0)
        return;
    dump(in, len);
    ck_abort_msg("%s: wrote %zu used %zu stop %d state %d, the reference %zu %zu %d %d", name,
                 b->written, b->used, (int)b->stop, (int)b->state, a->written, a->used,
                 (int)a->stop, (int)a->state);
}

/* Every usable kernel against the reference: whole, then cut into pieces and small rooms. */
static void check_kernels(enum yenc_state start, const uint8_t *in, size_t len, size_t piece,
                          size_t room, size_t cap)
{
    static struct outcome whole, cut;
    size_t n;
    const struct yenc_kernel *k = yenc_kernels(&n);
    run(&whole, &k[0], start, in, len, 0, 0, cap);
    for (size_t i = 0; i < n; i++) {
        if (!k[i].usable)
            continue;
        run(&cut, &k[i], start, in, len, 0, 0, cap);
        same(&whole, &cut, k[i].name, in, len);
        run(&cut, &k[i], start, in, len, piece, room, cap);
        same(&whole, &cut, k[i].name, in, len);
    }
}

/* The reference's answer to a string. `out` is what comes out once 42 is added again. */
static void expect(const char *in, size_t len, const char *out, size_t outlen, enum yenc_stop stop,
                   size_t used, enum yenc_state state)
{
    static struct outcome o;
    run(&o, reference(), YENC_LINE_START, (const uint8_t *)in, len, 0, 0, MOST);
    ck_assert_int_eq(o.stop, stop);
    ck_assert_uint_eq(o.used, used);
    ck_assert_int_eq(o.state, state);
    ck_assert_uint_eq(o.written, outlen);
    for (size_t i = 0; i < outlen; i++)
        ck_assert_uint_eq((uint8_t)(o.bytes[i] + 42), (uint8_t)out[i]);
}
#define EXPECT(in, out, stop, used, state)                                                         \
    expect(in, sizeof(in) - 1, out, sizeof(out) - 1, stop, used, state)

START_TEST(line_ends_are_taken_away_and_42_from_every_byte)
{
    EXPECT("ab\r\ncd\r\n", "abcd", YENC_INPUT, 8, YENC_LINE_START);
    EXPECT("\x00\xff\x29\x2a", "\x00\xff\x29\x2a", YENC_INPUT, 4, YENC_IN_LINE);
}
END_TEST

START_TEST(an_escape_takes_64_more)
{
    EXPECT("a=Mb",
           "a\x0d"
           "b",
           YENC_INPUT, 4, YENC_IN_LINE);
    EXPECT("a==b",
           "a\xfd"
           "b",
           YENC_INPUT, 4, YENC_IN_LINE);
    EXPECT("a===b",
           "a\xfd"
           "\x22",
           YENC_INPUT, 5, YENC_IN_LINE);
    EXPECT("==", "\xfd", YENC_INPUT, 2, YENC_IN_LINE);
    EXPECT("x=", "x", YENC_INPUT, 2, YENC_ESCAPE);
}
END_TEST

START_TEST(an_escape_of_y_inside_a_line_is_data)
{
    EXPECT("a=yb",
           "a\x39"
           "b",
           YENC_INPUT, 4, YENC_IN_LINE);
    EXPECT("\n=y", "\x39", YENC_INPUT, 3, YENC_IN_LINE);
    EXPECT("\r=y", "\x39", YENC_INPUT, 3, YENC_IN_LINE);
}
END_TEST

START_TEST(a_dot_at_the_start_of_a_line_is_stuffing)
{
    EXPECT("..a\r\n.b\r\nc.d", ".abc.d", YENC_INPUT, 12, YENC_IN_LINE);
    EXPECT(".=Ma",
           "\x0d"
           "a",
           YENC_INPUT, 4, YENC_IN_LINE);
    EXPECT(".\ra", "a", YENC_INPUT, 3, YENC_IN_LINE);
}
END_TEST

START_TEST(a_dot_alone_ends_the_block)
{
    EXPECT("a\r\n.\r\nrest", "a", YENC_END, 6, YENC_LINE_START);
    EXPECT("a\r\n.\nrest", "a", YENC_END, 5, YENC_LINE_START);
    EXPECT(".\r\n", "", YENC_END, 3, YENC_LINE_START);
}
END_TEST

START_TEST(nothing_but_cr_lf_starts_a_line)
{
    EXPECT("a\n.\r\nb", "a.b", YENC_INPUT, 6, YENC_IN_LINE);
    EXPECT("a\r.\r\nb", "a.b", YENC_INPUT, 6, YENC_IN_LINE);
    EXPECT("a\r\r\n.\r\n", "a", YENC_END, 7, YENC_LINE_START);
    EXPECT("\r\n\n.\r\nb", ".b", YENC_INPUT, 7, YENC_IN_LINE);
    EXPECT(".\r\r\n.\r\n", "", YENC_END, 7, YENC_LINE_START);
}
END_TEST

START_TEST(an_escape_does_not_swallow_the_end_of_a_line)
{
    EXPECT("a=\r\n.\r\n", "a", YENC_END, 7, YENC_LINE_START);
    EXPECT("a=\r\nM", "aM", YENC_INPUT, 5, YENC_IN_LINE);
    EXPECT("a=\nM", "aM", YENC_INPUT, 4, YENC_IN_LINE);
    EXPECT("=\r\n=yend", "", YENC_KEYWORD, 5, YENC_LINE_START);
}
END_TEST

START_TEST(a_keyword_line_stops_the_decoder_behind_its_y)
{
    EXPECT("a\r\n=yend", "a", YENC_KEYWORD, 5, YENC_LINE_START);
    EXPECT("=yend", "", YENC_KEYWORD, 2, YENC_LINE_START);
    EXPECT(".=yend", "", YENC_KEYWORD, 3, YENC_LINE_START);
    EXPECT("a\r\n=zend",
           "a\x3a"
           "end",
           YENC_INPUT, 8, YENC_IN_LINE);
}
END_TEST

START_TEST(what_needs_no_room_is_taken_when_there_is_none)
{
    enum yenc_state s = YENC_IN_LINE;
    uint8_t out[2];
    struct yenc_result r =
        call(reference(), &s, (const uint8_t *)"ab\r\n.\rc", 7, out, sizeof(out));
    ck_assert_int_eq(r.stop, YENC_ROOM);
    ck_assert_uint_eq(r.used, 6);
    ck_assert_uint_eq(r.written, 2);
    r = call(reference(), &s, (const uint8_t *)"\n", 1, out, 0);
    ck_assert_int_eq(r.stop, YENC_END);
    ck_assert_uint_eq(r.used, 1);
}
END_TEST

/* Input of some shape. */

static uint8_t pick(const char *from, size_t n)
{
    return (uint8_t)from[dice() % n];
}

#define PICK(from) pick(from, sizeof(from) - 1)

static uint8_t plain_byte(void)
{
    uint8_t c;
    do
        c = (uint8_t)dice();
    while (c == '\r' || c == '\n' || c == '=');
    return c;
}

/* `odd` of 1000 bytes are of the kind that means something. */
static void fill(uint8_t *p, size_t len, unsigned odd)
{
    for (size_t i = 0; i < len; i++)
        p[i] = dice() % 1000 < odd ? PICK("=\r\n.y\0") : plain_byte();
}

/* Lines of up to `longest` bytes with honest ends, starting in ways that matter. */
static size_t fill_lines(uint8_t *p, size_t len, unsigned longest, bool ends)
{
    static const char *const starts[] = {"",   ".",    "..",   "=M", ".=M", "=z",  "==", "=",
                                         ".=", "..\r", ".\ry", "\r", "\n",  "...", "=}", "y"};
    size_t at = 0;
    while (at + longest + 8 < len) {
        const char *s = starts[dice() % (sizeof(starts) / sizeof(starts[0]))];
        memcpy(p + at, s, strlen(s));
        at += strlen(s);
        for (size_t n = dice() % (longest + 1); n; n--)
            p[at++] = dice() % 60 == 0 ? '=' : plain_byte();
        memcpy(p + at, "\r\n", 2);
        at += 2;
        if (ends && dice() % 64 == 0) {
            memcpy(p + at, "=y", 2);
            at += 2;
        }
    }
    return at;
}

START_TEST(kernels_agree_on_every_short_text_of_special_bytes)
{
    /* All texts of five bytes out of six, where a vector kernel sees them: inside a longer one. */
    static const char alphabet[] = "=\r\n.ya";
    uint8_t text[200];
    static struct outcome want, got;
    size_t n;
    const struct yenc_kernel *k = yenc_kernels(&n);
    for (unsigned code = 0; code < 6 * 6 * 6 * 6 * 6; code++) {
        size_t at = 60 + dice() % 10;
        memset(text, 'x', sizeof(text));
        for (unsigned i = 0, c = code; i < 5; i++, c /= 6)
            text[at + i] = (uint8_t)alphabet[c % 6];
        if (dice() % 2)
            memcpy(text + at - 2, "\r\n", 2);
        run(&want, &k[0], YENC_LINE_START, text, sizeof(text), 0, 0, MOST);
        for (size_t i = 1; i < n; i++) {
            if (!k[i].usable)
                continue;
            run(&got, &k[i], YENC_LINE_START, text, sizeof(text), 0, 0, MOST);
            same(&want, &got, k[i].name, text, sizeof(text));
        }
    }
}
END_TEST

START_TEST(kernels_agree_with_a_pattern_at_every_offset)
{
    static const char *const patterns[] = {
        "\r\n.\r\n", "\r\n=y",   "\r\n.=y",   "\r\n..",  "\r\n.\n", "=\r\n",
        "==\r\n",    "===\r\n",  "\r\n=\r\n", "\r\n.=M", "\r\r\n",  "\n.\r\n",
        "=y",        "\r\n.\rx", "\r\n==y",   "\r\n=}",  "\r\n.==", "\r\n\r\n"};
    uint8_t text[300];
    for (size_t p = 0; p < sizeof(patterns) / sizeof(patterns[0]); p++)
        for (size_t at = 0; at < 200; at++) {
            memset(text, 'x', sizeof(text));
            memcpy(text + at, patterns[p], strlen(patterns[p]));
            check_kernels(YENC_LINE_START, text, sizeof(text), at + 1 + dice() % 8, 0, MOST);
        }
}
END_TEST

START_TEST(every_split_of_the_input_gives_the_same)
{
    uint8_t text[400];
    static struct outcome want, got;
    size_t n;
    const struct yenc_kernel *k = yenc_kernels(&n);
    for (int round = 0; round < 12; round++) {
        size_t len = fill_lines(text, sizeof(text), 1 + (unsigned)(dice() % 140), round % 3 == 0);
        run(&want, &k[0], YENC_LINE_START, text, len, 0, 0, MOST);
        for (size_t i = 0; i < n; i++)
            for (size_t cut = 1; k[i].usable && cut < len; cut++) {
                enum yenc_state s = YENC_LINE_START;
                struct yenc_result a = call(&k[i], &s, text, cut, got.bytes, MOST), b = {0};
                got.used = a.used, got.written = a.written, got.stop = a.stop;
                if (a.stop == YENC_INPUT) {
                    b = call(&k[i], &s, text + cut, len - cut, got.bytes + a.written,
                             MOST - a.written);
                    got.used += b.used, got.written += b.written, got.stop = b.stop;
                }
                got.state = s;
                same(&want, &got, k[i].name, text, len);
            }
    }
}
END_TEST

START_TEST(every_size_of_room_gives_the_same)
{
    uint8_t text[400];
    for (int round = 0; round < 6; round++) {
        size_t len = fill_lines(text, sizeof(text), 130, false);
        for (size_t cap = 0; cap <= len; cap++)
            check_kernels(YENC_LINE_START, text, len, 0, 1 + dice() % 90, cap);
    }
}
END_TEST

START_TEST(kernels_agree_from_every_state)
{
    uint8_t text[300];
    for (int round = 0; round < 400; round++)
        for (enum yenc_state s = YENC_LINE_START; s <= YENC_START_DOT_ESCAPE; s++) {
            fill(text, sizeof(text), round % 2 ? 30 : 300);
            check_kernels(s, text, 1 + dice() % sizeof(text), 1 + dice() % 100, 0, MOST);
        }
}
END_TEST

START_TEST(kernels_agree_on_random_bytes_however_dense_and_cut)
{
    static const unsigned densities[] = {0, 5, 16, 50, 200, 500, 1000};
    static uint8_t text[MOST];
    for (int round = 0; round < 250; round++) {
        size_t len = 1 + dice() % (sizeof(text) - 1);
        fill(text, len, densities[dice() % 7]);
        check_kernels(YENC_LINE_START, text, len, 1 + dice() % 700, 1 + dice() % 700,
                      dice() % 4 ? MOST : dice() % len);
    }
}
END_TEST

START_TEST(kernels_agree_on_lines_of_every_length)
{
    static uint8_t text[MOST];
    for (unsigned longest = 0; longest <= 300; longest++) {
        size_t len = fill_lines(text, longest < 10 ? 1000 : 4000, longest, longest % 4 == 0);
        check_kernels(YENC_LINE_START, text, len, 1 + dice() % 1000, 1 + dice() % 1000, MOST);
    }
}
END_TEST

START_TEST(kernels_agree_on_nothing_but_one_byte)
{
    static uint8_t text[1000];
    for (unsigned c = 0; c < 256; c++) {
        memset(text, (int)c, sizeof(text));
        check_kernels(YENC_LINE_START, text, sizeof(text), 1 + dice() % 200, 1 + dice() % 200,
                      MOST);
    }
}
END_TEST

START_TEST(the_last_usable_kernel_is_the_choice)
{
    size_t n;
    const struct yenc_kernel *k = yenc_kernels(&n), *best = NULL;
    for (size_t i = 0; i < n; i++)
        if (k[i].usable)
            best = &k[i];
    ck_assert_ptr_nonnull(best);
    const char *named = getenv("NZBFS_YENC");
    ck_assert(named || yenc_kernel() == best);
    ck_assert(k[0].usable);
    ck_assert_str_eq(k[0].name, "reference");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("nntp/yenc");
    TCase *meaning = tcase_create("meaning"), *kernels = tcase_create("kernels");
    tcase_add_test(meaning, line_ends_are_taken_away_and_42_from_every_byte);
    tcase_add_test(meaning, an_escape_takes_64_more);
    tcase_add_test(meaning, an_escape_of_y_inside_a_line_is_data);
    tcase_add_test(meaning, a_dot_at_the_start_of_a_line_is_stuffing);
    tcase_add_test(meaning, a_dot_alone_ends_the_block);
    tcase_add_test(meaning, nothing_but_cr_lf_starts_a_line);
    tcase_add_test(meaning, an_escape_does_not_swallow_the_end_of_a_line);
    tcase_add_test(meaning, a_keyword_line_stops_the_decoder_behind_its_y);
    tcase_add_test(meaning, what_needs_no_room_is_taken_when_there_is_none);
    suite_add_tcase(suite, meaning);

    tcase_add_checked_fixture(kernels, setup, NULL);
    tcase_add_test(kernels, kernels_agree_on_every_short_text_of_special_bytes);
    tcase_add_test(kernels, kernels_agree_with_a_pattern_at_every_offset);
    tcase_add_test(kernels, every_split_of_the_input_gives_the_same);
    tcase_add_test(kernels, every_size_of_room_gives_the_same);
    tcase_add_test(kernels, kernels_agree_from_every_state);
    tcase_add_test(kernels, kernels_agree_on_random_bytes_however_dense_and_cut);
    tcase_add_test(kernels, kernels_agree_on_lines_of_every_length);
    tcase_add_test(kernels, kernels_agree_on_nothing_but_one_byte);
    tcase_add_test(kernels, the_last_usable_kernel_is_the_choice);
    suite_add_tcase(suite, kernels);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
