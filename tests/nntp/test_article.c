/* Articles as servers send them, as posters make them and as somebody would who wants us to fail. */

#include "nntp/article.h"
#include "nntp/crc32.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST   ((size_t)1 << 20)
#define ROOM   ((size_t)8 << 10) /* for most articles here */
#define WHOLE  ((size_t)300000)  /* for a whole one */
#define BEYOND ((size_t)1 << 10) /* watched behind what may be written */

/* The article being written, what went into it and what came out. */
static uint8_t wire[MOST], payload[MOST], out[MOST];
static size_t wire_len;
static struct article a;
static unsigned begins;
static size_t taken;
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
    dice_state = 0xa4093822299f31d0u;
    wire_len = 0;
    for (size_t i = 0; i < WHOLE; i++)
        payload[i] = (uint8_t)(dice() >> 16);
}

__attribute__((format(printf, 1, 2))) static void line(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf((char *)wire + wire_len, MOST - wire_len, format, ap);
    va_end(ap);
    ck_assert_int_ge(n, 0);
    wire_len += (size_t)n;
    memcpy(wire + wire_len, "\r\n", 2);
    wire_len += 2;
}

/* payload[from..from + len) in lines of 128. */
static void data(size_t from, size_t len)
{
    unsigned column = 0;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = (uint8_t)(payload[from + i] + 42);
        if (c == 0 || c == '\n' || c == '\r' || c == '=') {
            wire[wire_len++] = '=';
            c = (uint8_t)(c + 64);
            column++;
        } else if (c == '.' && column == 0) {
            wire[wire_len++] = '.';
        }
        wire[wire_len++] = c;
        if (++column >= 128 || i + 1 == len) {
            wire[wire_len++] = '\r';
            wire[wire_len++] = '\n';
            column = 0;
        }
    }
}

static uint32_t crc_of(size_t from, size_t len)
{
    return crc32_update(0, payload + from, len);
}

/* Feed what was written in pieces of up to `piece` bytes; payload goes to `out` as `room` bytes in all, in pieces
 * of uneven size. What lies behind the room is watched. */
static enum article_verdict receive_cut(size_t piece, size_t room)
{
    struct iovec dst[3];
    size_t third = room / 3;
    enum article_event ev = ARTICLE_MORE;
    memset(out, 0xa5, room + BEYOND);
    begins = 0;
    taken = 0;
    article_start(&a);
    while (taken < wire_len && ev != ARTICLE_END) {
        size_t n = wire_len - taken, used;
        if (piece && piece < n)
            n = 1 + dice() % piece;
        ev = article_feed(&a, wire + taken, n, &used);
        taken += used;
        if (ev == ARTICLE_BEGIN) {
            begins++;
            dst[0] = (struct iovec){out, third};
            dst[1] = (struct iovec){out + third, 0};
            dst[2] = (struct iovec){out + third, room - third};
            article_dst(&a, dst, 3);
        } else if (ev == ARTICLE_MORE && used != n) {
            ck_abort_msg("it left %zu bytes behind and asks for more", n - used);
        }
    }
    ck_assert_int_eq(ev, ARTICLE_END);
    ck_assert_uint_eq(article_wire(&a), taken);
    size_t most = room < article_info(&a)->len ? room : article_info(&a)->len;
    ck_assert_uint_le(article_payload(&a), most);
    for (size_t i = most; i < most + BEYOND; i++)
        if (out[i] != 0xa5)
            ck_abort_msg("wrote beyond its room");
    return article_verdict(&a);
}

static enum article_verdict receive(void)
{
    return receive_cut(0, ROOM);
}

static void expect_payload(size_t from, size_t len)
{
    ck_assert_uint_eq(article_payload(&a), len);
    ck_assert_int_eq(memcmp(out, payload + from, len), 0);
    ck_assert_uint_eq(article_crc(&a), crc_of(from, len));
    ck_assert_uint_eq(taken, wire_len);
    ck_assert_uint_eq(begins, 1);
}

/* The usual article: part 2 of 3. */
#define FROM ((size_t)1000)
#define LEN  ((size_t)1000)

static void usual_start(void)
{
    line("=ybegin part=2 total=3 line=128 size=3000 name=film.mkv");
    line("=ypart begin=1001 end=2000");
    data(FROM, LEN);
}

static void usual(void)
{
    usual_start();
    line("=yend size=1000 part=2 pcrc32=%08x", crc_of(FROM, LEN));
    line(".");
}

/* The verdict on the usual article with this =yend. */
__attribute__((format(printf, 1, 2))) static enum article_verdict with_yend(const char *format, ...)
{
    char yend[2000];
    va_list ap;
    va_start(ap, format);
    vsnprintf(yend, sizeof(yend), format, ap);
    va_end(ap);
    wire_len = 0;
    usual_start();
    line("%s", yend);
    line(".");
    return receive();
}

/* The verdict on these header lines before the usual data. */
static enum article_verdict with_header(const char *ybegin, const char *ypart)
{
    wire_len = 0;
    line("%s", ybegin);
    if (ypart)
        line("%s", ypart);
    data(FROM, LEN);
    line("=yend size=1000");
    line(".");
    return receive();
}

START_TEST(a_part_says_where_it_belongs)
{
    usual();
    ck_assert_int_eq(receive(), ARTICLE_OK);
    expect_payload(FROM, LEN);
    const struct segment_info *i = article_info(&a);
    ck_assert_uint_eq(i->file_size, 3000);
    ck_assert_uint_eq(i->begin, 1000);
    ck_assert_uint_eq(i->len, 1000);
    ck_assert_uint_eq(i->part, 2);
    ck_assert_uint_eq(i->total, 3);
    ck_assert_str_eq(i->name, "film.mkv");
}
END_TEST

START_TEST(a_file_of_one_article_needs_no_ypart)
{
    line("=ybegin line=128 size=5000 name=a.bin");
    data(0, 5000);
    line("=yend size=5000 crc32=%08X", crc_of(0, 5000));
    line(".");
    ck_assert_int_eq(receive(), ARTICLE_OK);
    expect_payload(0, 5000);
    uint32_t crc = 0;
    ck_assert(article_file_crc(&a, &crc));
    ck_assert_uint_eq(crc, crc_of(0, 5000));
    ck_assert_uint_eq(article_info(&a)->part, 0);
}
END_TEST

START_TEST(an_empty_file_is_a_file)
{
    line("=ybegin line=128 size=0 name=nothing");
    line("=yend size=0 crc32=00000000");
    line(".");
    ck_assert_int_eq(receive(), ARTICLE_OK);
    expect_payload(0, 0);
}
END_TEST

START_TEST(headers_and_text_may_come_before)
{
    line("Path: news.example!not-for-mail");
    line("Subject: [1/2] \"film.mkv\" yEnc (2/3)");
    line("X-Folded: one");
    line(" =ybegin is not this");
    line("%s", "");
    line("..a stuffed line, and one of 2000 characters:");
    line("%2000s", "x");
    usual();
    ck_assert_int_eq(receive(), ARTICLE_OK);
    expect_payload(FROM, LEN);
}
END_TEST

START_TEST(keywords_come_in_any_order_with_the_name_last)
{
    line("=ybegin  size=3000 total=3 future=1 line=128 part=2  name= my \"size=1\" part=9.bin ");
    line("=ypart end=2000 begin=1001");
    data(FROM, LEN);
    line("=yend pcrc32=%x part=2 size=1000", crc_of(FROM, LEN));
    line(".");
    ck_assert_int_eq(receive(), ARTICLE_OK);
    expect_payload(FROM, LEN);
    ck_assert_str_eq(article_info(&a)->name, "my \"size=1\" part=9.bin");
}
END_TEST

START_TEST(a_name_may_be_absent_or_too_long)
{
    ck_assert_int_eq(with_header("=ybegin part=2 size=3000 line=128", "=ypart begin=1001 end=2000"),
                     ARTICLE_OK);
    ck_assert_str_eq(article_info(&a)->name, "");
    for (int n = ARTICLE_NAME - 2; n < 2000; n += n < ARTICLE_LINE - 60 ? 97 : 1) {
        char header[2100];
        snprintf(header, sizeof(header), "=ybegin part=2 size=3000 line=128 name=%0*d", n, 7);
        ck_assert_int_eq(with_header(header, "=ypart begin=1001 end=2000"), ARTICLE_OK);
        size_t want = n < ARTICLE_NAME ? (size_t)n : ARTICLE_NAME - 1;
        ck_assert_uint_eq(strlen(article_info(&a)->name), want);
    }
}
END_TEST

START_TEST(a_header_line_too_long_before_its_name_is_damage)
{
    char header[2100];
    snprintf(header, sizeof(header), "=ybegin size=3000 x=%01100d part=2 line=128 name=x", 7);
    ck_assert_int_eq(with_header(header, "=ypart begin=1001 end=2000"), ARTICLE_DAMAGED);
    ck_assert_uint_eq(begins, 0);
}
END_TEST

START_TEST(headers_that_make_no_sense_are_damage)
{
    static const char *const ybegins[] = {
        "=ybegin part=1 line=128 name=no size",
        "=ybegin part=1 line=128 size= name=x",
        "=ybegin part=1 line=128 size=-5 name=x",
        "=ybegin part=1 line=128 size=12x name=x",
        "=ybegin part=1 line=128 size=0x1000 name=x",
        "=ybegin part=1 line=128 size=18446744073709552616 name=x",
        "=ybegin part=1 line=128 size=9223372036854775808 name=x",
        "=ybegin part=99999999999 line=128 size=1000 name=x",
        "=ybegin part= line=128 size=1000 name=x",
        "=ybegin line=128 size=67108865 name=one article of that size",
        "=ybegin",
    };
    static const char *const yparts[] = {
        "=ypart begin=0 end=1000",
        "=ypart begin=1000 end=999",
        "=ypart begin=1 end=1001",
        "=ypart begin=1",
        "=ypart end=1000",
        "=ypart begin=-1 end=1000",
        "=ypart begin=1 end=99999999999999999999",
        "=ypart",
        "=ypart begin=18446744073709551615 end=18446744073709551615",
    };
    for (size_t i = 0; i < sizeof(ybegins) / sizeof(ybegins[0]); i++) {
        ck_assert_int_eq(with_header(ybegins[i], "=ypart begin=1 end=1000"), ARTICLE_DAMAGED);
        ck_assert_uint_eq(begins, 0);
        ck_assert_uint_eq(taken, wire_len);
    }
    for (size_t i = 0; i < sizeof(yparts) / sizeof(yparts[0]); i++) {
        ck_assert_int_eq(with_header("=ybegin part=1 line=128 size=1000 name=x", yparts[i]),
                         ARTICLE_DAMAGED);
        ck_assert_uint_eq(begins, 0);
    }
    ck_assert_int_eq(with_header("=ybegin part=1 line=128 size=1000 name=x", NULL),
                     ARTICLE_DAMAGED);
    ck_assert_int_eq(with_header("=ybegin part=1 line=128 size=999999999999 name=x",
                                 "=ypart begin=1 end=67108865"),
                     ARTICLE_DAMAGED);
}
END_TEST

START_TEST(a_part_lies_anywhere_in_a_huge_file)
{
    line("=ybegin part=2 line=128 size=9223372036854775807 name=x");
    line("=ypart begin=9223372036854774808 end=9223372036854775807");
    data(FROM, LEN);
    line("=yend size=1000");
    line(".");
    ck_assert_int_eq(receive(), ARTICLE_OK);
    ck_assert_uint_eq(article_info(&a)->begin, 9223372036854774807u);
}
END_TEST

START_TEST(an_article_that_ends_inside_its_header_is_damage)
{
    line("=ybegin part=1 line=128 size=1000 name=x");
    line(".");
    ck_assert_int_eq(receive(), ARTICLE_DAMAGED);
    ck_assert_uint_eq(begins, 0);
}
END_TEST

START_TEST(crcs_come_in_many_shapes)
{
    uint32_t crc = crc_of(FROM, LEN);
    ck_assert_int_eq(with_yend("=yend size=1000 part=2 pcrc32=%08X", crc), ARTICLE_OK);
    ck_assert_int_eq(with_yend("=yend size=1000 part=2 pcrc32=%x", crc), ARTICLE_OK);
    ck_assert_int_eq(with_yend("=yend size=1000 part=2 pcrc32=ffffffff%08x", crc), ARTICLE_OK);
    ck_assert_int_eq(with_yend("=yend size=1000 part=2 pcrc32=00000000%08x ", crc), ARTICLE_OK);
    ck_assert_int_eq(with_yend("=yend size=1000 part=2 pcrc32="), ARTICLE_OK);
    ck_assert_int_eq(with_yend("=yend size=1000 part=2"), ARTICLE_OK);
    ck_assert_int_eq(with_yend("=yend size=1000 part=0 pcrc32=%08x", crc), ARTICLE_OK);
    ck_assert_int_eq(with_yend("=yend"), ARTICLE_OK);
    ck_assert_int_eq(with_yend("=yend size=1000 part=2 pcrc32=%08x", crc ^ 1), ARTICLE_BAD_CRC);
    ck_assert_int_eq(with_yend("=yend size=1000 part=2 pcrc32=%08xffffffff", crc), ARTICLE_BAD_CRC);
    ck_assert_int_eq(with_yend("=yend size=1000 part=2 pcrc32=zz"), ARTICLE_DAMAGED);
}
END_TEST

START_TEST(a_crc_without_its_leading_zeros_is_the_same)
{
    size_t len = 1;
    while (crc_of(0, len) >> 28)
        len++;
    line("=ybegin line=128 size=%zu name=x", len);
    data(0, len);
    line("=yend size=%zu crc32=%x", len, crc_of(0, len));
    line(".");
    ck_assert_int_eq(receive(), ARTICLE_OK);
    uint32_t told;
    ck_assert(article_file_crc(&a, &told));
    ck_assert_uint_eq(told, crc_of(0, len));
}
END_TEST

START_TEST(the_files_crc_is_told_but_not_taken_for_the_parts)
{
    uint32_t told = 0;
    ck_assert_int_eq(with_yend("=yend size=1000 part=2 crc32=12345678"), ARTICLE_OK);
    ck_assert(article_file_crc(&a, &told));
    ck_assert_uint_eq(told, 0x12345678);
    ck_assert_int_eq(with_yend("=yend size=1000 part=2"), ARTICLE_OK);
    ck_assert(!article_file_crc(&a, &told));
}
END_TEST

START_TEST(the_files_crc_decides_where_the_part_is_the_file)
{
    for (unsigned wrong = 0; wrong < 2; wrong++) {
        wire_len = 0;
        line("=ybegin line=128 size=1000 name=x");
        data(0, 1000);
        line("=yend size=1000 crc32=%08x", crc_of(0, 1000) ^ wrong);
        line(".");
        ck_assert_int_eq(receive(), wrong ? ARTICLE_BAD_CRC : ARTICLE_OK);
    }
}
END_TEST

START_TEST(a_size_that_differs_from_what_came_is_damage)
{
    ck_assert_int_eq(with_yend("=yend size=999 part=2"), ARTICLE_DAMAGED);
    ck_assert_int_eq(with_yend("=yend size=1001 part=2"), ARTICLE_DAMAGED);
    ck_assert_int_eq(with_yend("=yend size=x part=2"), ARTICLE_DAMAGED);
    ck_assert_int_eq(with_yend("=yend size=99999999999999999999"), ARTICLE_DAMAGED);
    ck_assert_int_eq(with_yend("=yend %01500d size=1000", 1), ARTICLE_DAMAGED);
}
END_TEST

START_TEST(a_lost_line_is_damage)
{
    line("=ybegin part=2 total=3 line=128 size=3000 name=film.mkv");
    line("=ypart begin=1001 end=2000");
    data(FROM, LEN - 128);
    line("=yend size=1000 part=2");
    line(".");
    ck_assert_int_eq(receive(), ARTICLE_DAMAGED);
}
END_TEST

START_TEST(more_data_than_announced_is_damage_and_goes_nowhere)
{
    line("=ybegin part=2 total=3 line=128 size=3000 name=film.mkv");
    line("=ypart begin=1001 end=2000");
    data(FROM, LEN + 1);
    line("=yend size=1000 part=2");
    line(".");
    ck_assert_int_eq(receive(), ARTICLE_DAMAGED);
    ck_assert_uint_eq(article_payload(&a), LEN);
    ck_assert_uint_eq(taken, wire_len);
}
END_TEST

START_TEST(less_room_than_payload_is_damage_and_nothing_is_written_beyond)
{
    usual();
    for (size_t room = 0; room < LEN; room += 7)
        ck_assert_int_eq(receive_cut(room % 2 ? 100 : 0, room), ARTICLE_DAMAGED);
    ck_assert_int_eq(receive_cut(0, LEN), ARTICLE_OK);
}
END_TEST

START_TEST(a_block_without_its_yend_is_damage)
{
    usual_start();
    line(".");
    ck_assert_int_eq(receive(), ARTICLE_DAMAGED);
    ck_assert_uint_eq(taken, wire_len);
}
END_TEST

START_TEST(what_follows_yend_is_passed_over)
{
    usual_start();
    line("=yend size=1000 part=2 pcrc32=%08x", crc_of(FROM, LEN));
    line("a signature");
    line("..");
    line("=ybegin line=128 size=5 name=second");
    line("hello");
    line("=yend size=7");
    line(".");
    ck_assert_int_eq(receive(), ARTICLE_OK);
    expect_payload(FROM, LEN);
    ck_assert_str_eq(article_info(&a)->name, "film.mkv");
}
END_TEST

START_TEST(a_second_ybegin_before_yend_is_damage)
{
    usual_start();
    usual();
    ck_assert_int_eq(receive(), ARTICLE_DAMAGED);
    ck_assert_uint_eq(begins, 1);
}
END_TEST

START_TEST(keyword_lines_from_the_future_are_passed_over)
{
    line("=ybegin line=128 size=600 name=x");
    line("=ypart begin=1 end=600");
    data(0, 256);
    line("=ynew thing=1");
    data(256, 344);
    line("=yend size=600 crc32=%08x", crc_of(0, 600));
    line(".");
    ck_assert_int_eq(receive(), ARTICLE_OK);
    expect_payload(0, 600);
}
END_TEST

START_TEST(a_ypart_that_contradicts_is_damage)
{
    line("=ybegin line=128 size=600 name=x");
    line("=ypart begin=2 end=600");
    data(0, 600);
    line("=yend size=600");
    line(".");
    ck_assert_int_eq(receive(), ARTICLE_DAMAGED);
}
END_TEST

START_TEST(text_without_yenc_is_told_apart_from_uuencode)
{
    line("just text");
    line("begin reading here");
    line("begin 64 too few digits");
    line("begin 644");
    line(".");
    ck_assert_int_eq(receive(), ARTICLE_NO_YENC);
    wire_len = 0;
    line("begin 644 film.mkv");
    line("M1234567890");
    line("`");
    line("end");
    line(".");
    ck_assert_int_eq(receive(), ARTICLE_UUENCODE);
    wire_len = 0;
    line("begin 0755 film.mkv");
    usual();
    ck_assert_int_eq(receive(), ARTICLE_OK);
    wire_len = 0;
    line(".");
    ck_assert_int_eq(receive(), ARTICLE_NO_YENC);
}
END_TEST

START_TEST(the_next_answer_is_left_alone)
{
    usual();
    size_t len = wire_len;
    line("222 0 <next@example>");
    ck_assert_int_eq(receive(), ARTICLE_OK);
    ck_assert_uint_eq(taken, len);
    size_t used = 99;
    ck_assert_int_eq(article_feed(&a, wire + len, wire_len - len, &used), ARTICLE_END);
    ck_assert_uint_eq(used, 0);
}
END_TEST

START_TEST(a_bare_line_feed_never_ends_the_block)
{
    static const char early[] = "\n.\r\n430 forged\r\n";
    for (int where = 0; where < 4; where++) {
        wire_len = 0;
        for (int at = 0; at < 4; at++) {
            if (at == 0)
                line("text");
            if (at == 1)
                usual_start();
            if (at == 2)
                line("=yend size=1000");
            if (at == 3)
                line("after");
            if (at == where) {
                wire_len -= 2; /* in place of this line's end */
                memcpy(wire + wire_len, early, sizeof(early) - 1);
                wire_len += sizeof(early) - 1;
            }
        }
        line(".");
        receive();
        ck_assert_uint_eq(taken, wire_len);
    }
}
END_TEST

START_TEST(a_skipped_article_is_read_to_its_end)
{
    usual();
    for (size_t cut = 0; cut < wire_len; cut++) {
        size_t used = 0, at = 0;
        enum article_event ev = ARTICLE_MORE;
        article_start(&a);
        /* Skip after `cut` bytes, wherever that is. */
        while (at < cut) {
            struct iovec dst = {out, MOST};
            ev = article_feed(&a, wire + at, cut - at, &used);
            at += used;
            if (ev == ARTICLE_BEGIN)
                article_dst(&a, &dst, 1);
        }
        size_t before = article_payload(&a);
        article_skip(&a);
        ev = article_feed(&a, wire + at, wire_len - at, &used);
        if (ev != ARTICLE_END || at + used != wire_len || article_payload(&a) != before ||
            article_verdict(&a) != ARTICLE_SKIPPED)
            ck_abort_msg("skipped after %zu bytes, it does not end where it should", cut);
    }
}
END_TEST

START_TEST(pieces_of_any_size_give_the_same)
{
    line("Header: x");
    line("%s", "");
    line("=ybegin part=1 total=2 line=128 size=900000 name=a \"b\" c");
    line("=ypart begin=1 end=%zu", WHOLE);
    data(0, WHOLE);
    line("=yend size=%zu part=1 pcrc32=%08x crc32=1", WHOLE, crc_of(0, WHOLE));
    line("after");
    line(".");
    static const size_t pieces[] = {1, 2, 3, 7, 64, 130, 1000, 16384, 65536, 262144};
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        ck_assert_int_eq(receive_cut(pieces[i], WHOLE), ARTICLE_OK);
        expect_payload(0, WHOLE);
    }
}
END_TEST

START_TEST(every_split_in_two_gives_the_same)
{
    line("text");
    usual();
    for (size_t cut = 1; cut < wire_len; cut++) {
        struct iovec dst = {out, LEN};
        size_t at = 0, used;
        enum article_event ev = ARTICLE_MORE;
        article_start(&a);
        while (ev != ARTICLE_END && at < wire_len) {
            size_t end = at < cut ? cut : wire_len;
            ev = article_feed(&a, wire + at, end - at, &used);
            at += used;
            if (ev == ARTICLE_BEGIN)
                article_dst(&a, &dst, 1);
        }
        if (ev != ARTICLE_END || article_verdict(&a) != ARTICLE_OK)
            ck_abort_msg("cut after %zu bytes: %s", cut, article_verdict_name(article_verdict(&a)));
    }
}
END_TEST

START_TEST(nothing_is_over_before_its_last_byte)
{
    usual();
    for (size_t len = 0; len < wire_len; len++) {
        struct iovec dst = {out, LEN};
        size_t at = 0, used;
        article_start(&a);
        while (at < len) {
            enum article_event ev = article_feed(&a, wire + at, len - at, &used);
            at += used;
            if (ev == ARTICLE_BEGIN)
                article_dst(&a, &dst, 1);
            if (ev == ARTICLE_END)
                ck_abort_msg("over after %zu of %zu bytes", at, wire_len);
        }
    }
}
END_TEST

START_TEST(an_article_starts_afresh_after_another)
{
    line("begin 644 x");
    line("=ybegin part=1 size=5 line=128 name=old");
    line("=yend pcrc32=1 crc32=2");
    line(".");
    ck_assert_int_eq(receive(), ARTICLE_DAMAGED);
    wire_len = 0;
    line(".");
    ck_assert_int_eq(receive(), ARTICLE_NO_YENC);
    ck_assert_str_eq(article_info(&a)->name, "");
    ck_assert_uint_eq(article_info(&a)->file_size, 0);
    wire_len = 0;
    usual_start();
    line("=yend size=1000");
    line(".");
    uint32_t crc;
    ck_assert_int_eq(receive(), ARTICLE_OK);
    ck_assert(!article_file_crc(&a, &crc));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("nntp/article");
    TCase *tc = tcase_create("article");
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, a_part_says_where_it_belongs);
    tcase_add_test(tc, a_file_of_one_article_needs_no_ypart);
    tcase_add_test(tc, an_empty_file_is_a_file);
    tcase_add_test(tc, headers_and_text_may_come_before);
    tcase_add_test(tc, keywords_come_in_any_order_with_the_name_last);
    tcase_add_test(tc, a_name_may_be_absent_or_too_long);
    tcase_add_test(tc, a_header_line_too_long_before_its_name_is_damage);
    tcase_add_test(tc, headers_that_make_no_sense_are_damage);
    tcase_add_test(tc, a_part_lies_anywhere_in_a_huge_file);
    tcase_add_test(tc, an_article_that_ends_inside_its_header_is_damage);
    tcase_add_test(tc, crcs_come_in_many_shapes);
    tcase_add_test(tc, a_crc_without_its_leading_zeros_is_the_same);
    tcase_add_test(tc, the_files_crc_is_told_but_not_taken_for_the_parts);
    tcase_add_test(tc, the_files_crc_decides_where_the_part_is_the_file);
    tcase_add_test(tc, a_size_that_differs_from_what_came_is_damage);
    tcase_add_test(tc, a_lost_line_is_damage);
    tcase_add_test(tc, more_data_than_announced_is_damage_and_goes_nowhere);
    tcase_add_test(tc, less_room_than_payload_is_damage_and_nothing_is_written_beyond);
    tcase_add_test(tc, a_block_without_its_yend_is_damage);
    tcase_add_test(tc, what_follows_yend_is_passed_over);
    tcase_add_test(tc, a_second_ybegin_before_yend_is_damage);
    tcase_add_test(tc, keyword_lines_from_the_future_are_passed_over);
    tcase_add_test(tc, a_ypart_that_contradicts_is_damage);
    tcase_add_test(tc, text_without_yenc_is_told_apart_from_uuencode);
    tcase_add_test(tc, the_next_answer_is_left_alone);
    tcase_add_test(tc, a_bare_line_feed_never_ends_the_block);
    tcase_add_test(tc, a_skipped_article_is_read_to_its_end);
    tcase_add_test(tc, pieces_of_any_size_give_the_same);
    tcase_add_test(tc, every_split_in_two_gives_the_same);
    tcase_add_test(tc, nothing_is_over_before_its_last_byte);
    tcase_add_test(tc, an_article_starts_afresh_after_another);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
