/* Articles that misbehave. */
#include "tests/lib/test_newsd.h"

#include <stdlib.h>
#include <string.h>

/* ---- faults ---- */

START_TEST(a_missing_article_is_missing_to_every_command)
{
    struct client c;
    serve(&(struct newsd_config){0});
    newsd_fault(server, id(1), NEWSD_430, 0);
    hello(&c);
    ask(&c, "STAT", id(1));
    ask(&c, "HEAD", id(1));
    ask(&c, "BODY", id(1));
    ask(&c, "ARTICLE", id(1));
    for (int i = 0; i < 4; i++)
        expect(&c, "430 ");
    ask(&c, "BODY", id(2));
    expect_body(&c, 2);
    ck_assert_uint_eq(stats().missing, 4);
    ck_assert_uint_eq(newsd_asked(server, id(1)), 2);
    ck_assert_uint_eq(newsd_asked(server, id(3)), 0);
    newsd_clear_faults(server);
    ask(&c, "BODY", id(1));
    expect_body(&c, 1);
    client_close(&c);
}
END_TEST

START_TEST(rules_take_their_turns_and_own_ones_go_first)
{
    struct client c;
    serve(&(struct newsd_config){0});
    newsd_fault(server, NULL, NEWSD_403, 0);
    newsd_fault(server, id(1), NEWSD_430, 0);
    newsd_fault(server, id(1), NEWSD_GARBAGE_CODE, 1);
    newsd_fault(server, id(1), NEWSD_NONE, 1);
    newsd_fault(server, id(2), NEWSD_NONE, 0);
    hello(&c);
    for (int i = 0; i < 4; i++)
        ask(&c, "STAT", id(1));
    expect(&c, "\x7f");
    expect(&c, "223 ");
    expect(&c, "430 ");
    expect(&c, "430 ");
    ask(&c, "BODY", id(2));
    expect_body(&c, 2);
    ask(&c, "BODY", id(3));
    expect(&c, "403 ");
    client_close(&c);
}
END_TEST

/* How much of the first part comes before the connection ends. */
static size_t broken_body(enum newsd_fault fault, bool *was_reset)
{
    struct client c;
    newsd_fault(server, id(1), fault, 1);
    hello(&c);
    ask(&c, "BODY", id(1));
    ask(&c, "BODY", id(2)); /* is never answered */
    size_t n = drain(&c, was_reset);
    client_close(&c);
    return n;
}

START_TEST(an_article_breaks_off_in_its_middle)
{
    const struct spool_article *a = spool_find(spool, id(1));
    size_t whole = strlen("222 0 <>\r\n") + strlen(id(1)) + a->len - a->head;
    bool was_reset;
    serve(&(struct newsd_config){0});
    ck_assert_uint_eq(broken_body(NEWSD_CLOSE_MID, &was_reset), whole / 2);
    ck_assert(!was_reset);
    ck_assert_uint_eq(broken_body(NEWSD_RESET_MID, &was_reset), whole / 2);
    ck_assert(was_reset);
    ck_assert_uint_eq(stats().connections, 0);
}
END_TEST

START_TEST(a_stalled_article_goes_on_when_told)
{
    struct client c;
    const struct spool_article *a = spool_find(spool, id(1));
    size_t body = a->len - a->head, line = strlen("222 0 <>\r\n") + strlen(id(1));
    serve(&(struct newsd_config){0});
    newsd_fault(server, id(1), NEWSD_STALL_MID, 1);
    hello(&c);
    uint64_t before = stats().bytes_sent;
    ask(&c, "BODY", id(1));
    expect(&c, "222 ");
    size_t half = (line + body) / 2 - line;
    expect_bytes(&c, a->bytes + a->head, half);
    ask(&c, "STAT", id(2));
    ck_assert_uint_eq(stats().bytes_sent - before, line + half);
    newsd_unstall(server);
    expect_bytes(&c, a->bytes + a->head + half, body - half);
    expect(&c, "223 ");
    client_close(&c);
}
END_TEST

START_TEST(no_answer_at_all_until_told)
{
    struct client c;
    serve(&(struct newsd_config){0});
    newsd_fault(server, NULL, NEWSD_STALL_FIRST, 1);
    hello(&c);
    uint64_t before = stats().bytes_sent;
    ask(&c, "BODY", id(1));
    while (newsd_asked(server, id(1)) == 0)
        ;
    ck_assert_uint_eq(stats().bytes_sent, before);
    newsd_unstall(server);
    expect_body(&c, 1);
    client_close(&c);
}
END_TEST

START_TEST(a_client_that_leaves_a_stall_is_forgotten)
{
    struct client c;
    serve(&(struct newsd_config){0});
    newsd_fault(server, NULL, NEWSD_STALL_FIRST, 0);
    hello(&c);
    ask(&c, "BODY", id(1));
    while (newsd_asked(server, id(1)) == 0)
        ;
    client_close(&c);
    while (stats().connections > 0)
        ;
}
END_TEST

/* The body of part 1 as it comes under a fault; malloc'd. */
static char *ill_body(enum newsd_fault fault, size_t *len)
{
    struct client c;
    newsd_fault(server, id(1), fault, 1);
    hello(&c);
    ask(&c, "BODY", id(1));
    expect(&c, "222 ");
    char *text = block_get(&c, len);
    client_close(&c);
    return text;
}

START_TEST(one_byte_of_the_payload_is_wrong)
{
    const struct spool_article *a = spool_find(spool, id(1));
    const uint8_t *body = a->bytes + a->head;
    size_t len, differ = 0;
    serve(&(struct newsd_config){0});
    char *ill = ill_body(NEWSD_BAD_CRC, &len);
    ck_assert_uint_eq(len, a->len - a->head);
    for (size_t i = 0; i < len; i++)
        differ += (uint8_t)ill[i] != body[i];
    ck_assert_uint_eq(differ, 1);
    free(ill);
}
END_TEST

START_TEST(a_byte_of_each_line_is_wrong_and_no_line_longer_or_shorter)
{
    const struct spool_article *a = spool_find(spool, id(1));
    const uint8_t *body = a->bytes + a->head;
    size_t len, differ = 0, lines = 0;
    serve(&(struct newsd_config){0});
    char *ill = ill_body(NEWSD_WRONG_BYTES, &len);
    ck_assert_uint_eq(len, a->len - a->head);
    for (size_t i = 0; i < len; i++) {
        differ += (uint8_t)ill[i] != body[i];
        lines += body[i] == '\n';
        ck_assert((ill[i] == '\n') == (body[i] == '\n') && (ill[i] == '=') == (body[i] == '='));
    }
    ck_assert_uint_eq(differ, lines - 4); /* =ybegin, =ypart, =yend and the dot */
    free(ill);
}
END_TEST

START_TEST(the_part_claims_to_be_the_next_one)
{
    size_t len;
    serve(&(struct newsd_config){0});
    char *ill = ill_body(NEWSD_BAD_PART, &len);
    ck_assert_ptr_nonnull(strstr(ill, "\r\n=ypart begin=20001 end=40000\r\n"));
    free(ill);
}
END_TEST

START_TEST(a_line_or_the_end_is_left_out)
{
    const struct spool_article *a = spool_find(spool, id(1));
    size_t len;
    serve(&(struct newsd_config){0});
    char *ill = ill_body(NEWSD_SHORT, &len);
    ck_assert_uint_ge(a->len - a->head - len, 128);
    ck_assert_uint_le(a->len - a->head - len, 132);
    free(ill);
    ill = ill_body(NEWSD_NO_YEND, &len);
    ck_assert_ptr_null(memmem(ill, len, "\r\n=yend", 7));
    ck_assert_ptr_nonnull(strstr(ill, "=ybegin "));
    free(ill);
}
END_TEST

START_TEST(something_else_comes_in_place_of_yenc)
{
    size_t len;
    serve(&(struct newsd_config){0});
    char *ill = ill_body(NEWSD_UUENCODE, &len);
    ck_assert_int_eq(strncmp(ill, "begin 644 ", 10), 0);
    ck_assert_ptr_nonnull(strstr(ill, "\r\n`\r\nend\r\n.\r\n"));
    free(ill);
    ill = ill_body(NEWSD_GARBAGE, &len);
    ck_assert_ptr_null(memmem(ill, len, "=ybegin", 7));
    free(ill);
}
END_TEST

START_TEST(a_server_shutting_down_says_so_and_closes)
{
    struct client c;
    bool was_reset;
    serve(&(struct newsd_config){0});
    newsd_fault(server, NULL, NEWSD_400, 1);
    hello(&c);
    ask(&c, "BODY", id(1));
    ask(&c, "BODY", id(2));
    expect(&c, "400 ");
    ck_assert_uint_eq(drain(&c, &was_reset), 0);
    ck_assert(!was_reset);
    client_close(&c);
}
END_TEST

START_TEST(a_posted_article_of_any_kind_survives_every_fault)
{
    const char *odd[] = {
        "Message-ID: <odd0@x>\r\n\r\n.\r\n",
        "Message-ID: <odd1@x>\r\n\r\n=ybegin \r\n.\r\n",
        "Message-ID: <odd2@x>\r\n\r\n=ybegin \r\n=ypart begin=9 end=\r\n=yend \r\n.\r\n",
        "Message-ID: <odd3@x>\r\n\r\n=ypart \r\n=yend \r\n=ybegin \r\n.\r\n",
        "Message-ID: <odd4@x>\r\n\r\n=ybegin \r\n..\r\n=yend \r\n.\r\n",
    };
    struct client c;
    size_t len;
    serve(&(struct newsd_config){0});
    hello(&c);
    for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
        char mid[16];
        snprintf(mid, sizeof(mid), "odd%zu@x", i);
        ck_assert_int_eq(spool_post(spool, odd[i], strlen(odd[i])), 0);
        for (int f = NEWSD_BAD_CRC; f <= NEWSD_GARBAGE; f++) {
            newsd_fault(server, mid, (enum newsd_fault)f, 1);
            ask(&c, "BODY", mid);
            expect(&c, "222 ");
            free(block_get(&c, &len));
        }
    }
    client_close(&c);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        a_missing_article_is_missing_to_every_command,
        rules_take_their_turns_and_own_ones_go_first,
        an_article_breaks_off_in_its_middle,
        a_stalled_article_goes_on_when_told,
        no_answer_at_all_until_told,
        a_client_that_leaves_a_stall_is_forgotten,
        one_byte_of_the_payload_is_wrong,
        a_byte_of_each_line_is_wrong_and_no_line_longer_or_shorter,
        the_part_claims_to_be_the_next_one,
        a_line_or_the_end_is_left_out,
        something_else_comes_in_place_of_yenc,
        a_server_shutting_down_says_so_and_closes,
        a_posted_article_of_any_kind_survives_every_fault,
    };
    return run("lib/newsd_fault", tests, sizeof(tests) / sizeof(*tests));
}
