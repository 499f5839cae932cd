/* The server as a client sees it: blocking sockets, one line after the other. */
#include "tests/lib/newsd.h"
#include "tests/lib/newsd_script.h"
#include "tests/lib/spool.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SIZE = 50000, PART = 20000, PARTS = 3 };

static struct spool *spool;
static struct newsd *server;
static int file;

static void serve(const struct newsd_config *cfg)
{
    server = newsd_start(cfg, spool);
    ck_assert_ptr_nonnull(server);
}

static void setup(void)
{
    signal(SIGPIPE, SIG_IGN);
    spool = spool_new();
    file = spool_add(
        spool, &(struct spool_file){.name = "f.bin", .seed = 7, .size = SIZE, .part_size = PART});
    ck_assert_int_eq(file, 0);
    server = NULL;
}

static void teardown(void)
{
    newsd_stop(server);
    spool_free(spool);
}

static const char *id(uint32_t n)
{
    return spool_message_id(spool, file, n);
}

/* ---- a client ---- */

struct client {
    int fd;
    SSL_CTX *ctx;
    SSL *ssl;
    SSL_SESSION *session;
    char buf[65536];
    size_t at, have;
};

static int connect_to(uint16_t port)
{
    const struct timeval patience = {.tv_sec = 30};
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
        int err = -errno;
        close(fd);
        return err;
    }
    return fd;
}

static void client_open(struct client *c)
{
    memset(c, 0, sizeof(*c));
    c->fd = connect_to(newsd_port(server));
    ck_assert_int_ge(c->fd, 0);
}

static void client_close(struct client *c)
{
    SSL_free(c->ssl);
    SSL_CTX_free(c->ctx);
    close(c->fd);
}

/* More bytes: 0 at the end, -1 with errno. */
static ssize_t client_read(struct client *c, void *room, size_t n)
{
    return c->ssl ? SSL_read(c->ssl, room, (int)n) : recv(c->fd, room, n, 0);
}

static void say(struct client *c, const char *text)
{
    size_t n = strlen(text);
    ssize_t sent = c->ssl ? SSL_write(c->ssl, text, (int)n) : send(c->fd, text, n, MSG_NOSIGNAL);
    ck_assert_int_eq(sent, (ssize_t)n);
}

static void ask(struct client *c, const char *command, const char *message_id)
{
    char line[600];
    snprintf(line, sizeof(line), "%s <%s>\r\n", command, message_id);
    say(c, line);
}

static int byte_get(struct client *c)
{
    if (c->at == c->have) {
        ssize_t n = client_read(c, c->buf, sizeof(c->buf));
        if (n <= 0)
            return n == 0 ? EOF : EOF - errno;
        c->at = 0;
        c->have = (size_t)n;
    }
    return (uint8_t)c->buf[c->at++];
}

/* The next line without its end; "" at the end of the connection. Lent until the next call. */
static const char *line_get(struct client *c)
{
    static char line[2048];
    size_t n = 0;
    int b;
    while ((b = byte_get(c)) >= 0 && b != '\n' && n < sizeof(line) - 1)
        line[n++] = (char)b;
    line[n > 0 && line[n - 1] == '\r' ? n - 1 : n] = '\0';
    return line;
}

static void expect(struct client *c, const char *start)
{
    const char *line = line_get(c);
    ck_assert_msg(strncmp(line, start, strlen(start)) == 0, "\"%s\", not \"%s\"", line, start);
}

/* The article or its body after the answer's line, up to the dot, equals these bytes. */
static void expect_bytes(struct client *c, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        int b = byte_get(c);
        ck_assert_msg(b == bytes[i], "byte %zu of %zu is %d, not %u", i, len, b, bytes[i]);
    }
}

static void expect_body(struct client *c, uint32_t n)
{
    const struct spool_article *a = spool_find(spool, id(n));
    expect(c, "222 0 <");
    expect_bytes(c, a->bytes + a->head, a->len - a->head);
}

static void hello(struct client *c)
{
    client_open(c);
    expect(c, "200 ");
}

/* Everything up to the end of the connection; *reset tells how it ended. */
static size_t drain(struct client *c, bool *reset)
{
    size_t n = 0;
    int b;
    while ((b = byte_get(c)) >= 0)
        n++;
    *reset = b == EOF - ECONNRESET;
    return n;
}

/* A whole multi-line block as text, dots as they come; malloc'd. */
static char *block_get(struct client *c, size_t *len)
{
    char *text = NULL;
    size_t n = 0, room = 0;
    while (n < 3 || memcmp(text + n - 3, ".\r\n", 3) != 0 || (n > 3 && text[n - 4] != '\n')) {
        int b = byte_get(c);
        ck_assert_int_ge(b, 0);
        if (n == room) {
            room = room ? room * 2 : 4096;
            text = realloc(text, room + 1);
            ck_assert_ptr_nonnull(text);
        }
        text[n++] = (char)b;
        text[n] = '\0';
    }
    *len = n;
    return text;
}

static struct newsd_stats stats(void)
{
    struct newsd_stats s;
    newsd_stats(server, &s);
    return s;
}

/* ---- commands ---- */

START_TEST(pipelined_commands_are_answered_in_order)
{
    struct client c;
    char text[1024];
    serve(&(struct newsd_config){0});
    hello(&c);
    snprintf(text, sizeof(text),
             "STAT <%s>\r\nBODY <%s>\r\nSTAT <no@where>\r\nHEAD <%s>\r\nDATE\r\n", id(1), id(2),
             id(3));
    say(&c, text);
    expect(&c, "223 0 <part1of3.");
    expect_body(&c, 2);
    expect(&c, "430 ");
    expect(&c, "221 0 <part3of3.");
    const struct spool_article *a = spool_find(spool, id(3));
    expect_bytes(&c, a->bytes, a->head - 2);
    expect(&c, ".");
    expect(&c, "111 20");
    client_close(&c);
}
END_TEST

START_TEST(an_article_is_headers_and_body)
{
    struct client c;
    const struct spool_article *a = spool_find(spool, id(1));
    serve(&(struct newsd_config){0});
    hello(&c);
    ask(&c, "article", id(1));
    expect(&c, "220 0 <part1of3.");
    expect_bytes(&c, a->bytes, a->len);
    say(&c, "QUIT\r\n");
    expect(&c, "205 ");
    ck_assert_int_eq(byte_get(&c), EOF);
    client_close(&c);
}
END_TEST

START_TEST(login_is_asked_for_and_checked)
{
    struct client c;
    serve(&(struct newsd_config){.username = "me", .password = "secret word"});
    hello(&c);
    ask(&c, "BODY", id(1));
    expect(&c, "480 ");
    say(&c, "AUTHINFO PASS secret word\r\n");
    expect(&c, "481 ");
    say(&c, "AUTHINFO USER me\r\nAUTHINFO PASS wrong\r\n");
    expect(&c, "381 ");
    expect(&c, "481 ");
    say(&c, "AUTHINFO USER you\r\nAUTHINFO PASS secret word\r\n");
    expect(&c, "381 ");
    expect(&c, "481 ");
    say(&c, "AUTHINFO USER me\r\nAUTHINFO PASS secret word\r\n");
    expect(&c, "381 ");
    expect(&c, "281 ");
    ask(&c, "BODY", id(1));
    expect_body(&c, 1);
    ck_assert_uint_eq(stats().logins, 1);
    client_close(&c);
}
END_TEST

START_TEST(groups_and_reader_mode_are_insisted_on_when_asked)
{
    struct client c;
    serve(&(struct newsd_config){.need_group = true, .need_mode_reader = true, .greeting = 201});
    client_open(&c);
    expect(&c, "201 ");
    ask(&c, "BODY", id(1));
    expect(&c, "500 ");
    say(&c, "MODE READER\r\n");
    expect(&c, "201 ");
    ask(&c, "BODY", id(1));
    expect(&c, "412 ");
    say(&c, "GROUP no.such\r\nGROUP alt.binaries.test\r\nPOST\r\n");
    expect(&c, "411 ");
    expect(&c, "211 ");
    expect(&c, "440 ");
    ask(&c, "BODY", id(1));
    expect_body(&c, 1);
    client_close(&c);
}
END_TEST

START_TEST(a_bare_server_swaps_codes_and_knows_little)
{
    struct client c;
    serve(&(struct newsd_config){.swap_codes = true, .only_basics = true});
    hello(&c);
    say(&c, "CAPABILITIES\r\nMODE READER\r\nDATE\r\n");
    for (int i = 0; i < 3; i++)
        expect(&c, "500 ");
    ask(&c, "STAT", id(1));
    expect(&c, "500 ");
    ask(&c, "BODY", id(1));
    expect(&c, "220, 0 <");
    client_close(&c);
}
END_TEST

START_TEST(capabilities_tell_what_is_there)
{
    struct client c;
    size_t len;
    serve(&(struct newsd_config){.username = "u", .password = "p"});
    hello(&c);
    say(&c, "CAPABILITIES\r\n");
    char *text = block_get(&c, &len);
    ck_assert_str_eq(text, "101 capabilities\r\nVERSION 2\r\nIMPLEMENTATION newsd\r\nPOST\r\n"
                           "READER\r\nAUTHINFO USER\r\n.\r\n");
    free(text);
    client_close(&c);
}
END_TEST

START_TEST(nonsense_is_answered_and_an_endless_line_closed)
{
    static const char *bad[] = {"",         "\x01\x02",      "BODY",       "BODY 17",
                                "BODY <",   "BODY <>",       "BODY <a>b>", "BODY x@y",
                                "AUTHINFO", "AUTHINFO USER", "MODE",       "GROUP"};
    struct client c;
    char line[700];
    serve(&(struct newsd_config){0});
    hello(&c);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        snprintf(line, sizeof(line), "%s\r\n", bad[i]);
        say(&c, line);
        const char *answer = line_get(&c);
        ck_assert_msg(answer[0] == '4' || answer[0] == '5', "%s: %s", bad[i], answer);
    }
    ck_assert_int_eq(send(c.fd, "STAT \0<a@b>\r\n", 13, MSG_NOSIGNAL), 13);
    expect(&c, "500 ");
    memset(line, 'x', 600);
    line[600] = '\0';
    say(&c, line);
    expect(&c, "501 ");
    ck_assert_int_eq(byte_get(&c), EOF);
    client_close(&c);
}
END_TEST

START_TEST(more_commands_than_are_queued_are_all_answered)
{
    enum { MANY = 5000 };
    struct client c;
    char *text = malloc((size_t)MANY * 6 + 1), *p = text;
    serve(&(struct newsd_config){.latency_us = 1000});
    hello(&c);
    for (int i = 0; i < MANY; i++)
        p += sprintf(p, "DATE\r\n");
    say(&c, text);
    for (int i = 0; i < MANY; i++)
        expect(&c, "111 ");
    ck_assert_uint_eq(stats().commands, MANY);
    free(text);
    client_close(&c);
}
END_TEST

START_TEST(half_a_connection_still_gets_its_answers)
{
    struct client c;
    bool was_reset;
    serve(&(struct newsd_config){.latency_us = 2000});
    client_open(&c);
    ask(&c, "STAT", id(1));
    shutdown(c.fd, SHUT_WR);
    expect(&c, "200 ");
    expect(&c, "223 ");
    ck_assert_uint_eq(drain(&c, &was_reset), 0);
    ck_assert(!was_reset);
    client_close(&c);
}
END_TEST

/* ---- posting ---- */

START_TEST(a_posted_article_is_served)
{
    struct client c;
    serve(&(struct newsd_config){0});
    hello(&c);
    say(&c, "POST\r\n");
    expect(&c, "340 ");
    say(&c, "From: a\r\nMessage-ID: <new@here>\r\n\r\n..dot\r\n.\r\nSTAT <new@here>\r\n");
    expect(&c, "240 ");
    expect(&c, "223 ");
    ask(&c, "BODY", "new@here");
    expect(&c, "222 ");
    expect_bytes(&c, (const uint8_t *)"..dot\r\n.\r\n", 10);
    say(&c, "POST\r\n");
    expect(&c, "340 ");
    say(&c, "From: a\r\nMessage-ID: <new@here>\r\n\r\nagain\r\n.\r\n");
    expect(&c, "441 ");
    client_close(&c);
}
END_TEST

START_TEST(an_article_without_id_is_given_one)
{
    struct client c;
    char answer[200], *end;
    serve(&(struct newsd_config){0});
    hello(&c);
    say(&c, "POST\r\n");
    expect(&c, "340 ");
    say(&c, "From: a\r\n\r\nx\r\n.\r\n");
    snprintf(answer, sizeof(answer), "%s", line_get(&c));
    ck_assert(strncmp(answer, "240 ", 4) == 0 && strchr(answer, '<'));
    end = strchr(answer, '>');
    ck_assert_ptr_nonnull(end);
    *end = '\0';
    ask(&c, "STAT", strchr(answer, '<') + 1);
    expect(&c, "223 ");
    client_close(&c);
}
END_TEST

START_TEST(garbage_and_giants_are_not_taken)
{
    struct client c;
    size_t n = 10u << 20;
    char *giant = malloc(n + 1);
    bool was_reset;
    serve(&(struct newsd_config){0});
    hello(&c);
    say(&c, "POST\r\n");
    expect(&c, "340 ");
    say(&c, ".\r\nPOST\r\n");
    expect(&c, "441 ");
    expect(&c, "340 ");
    say(&c, "no header\r\n\r\nx\r\n.\r\nPOST\r\n");
    expect(&c, "441 ");
    expect(&c, "340 ");
    memset(giant, 'x', n);
    giant[n] = '\0';
    say(&c, giant); /* the server reads on so that the refusal can be read, and keeps none of it */
    expect(&c, "441 article too large");
    drain(&c, &was_reset);
    ck_assert(!was_reset);
    free(giant);
    client_close(&c);
}
END_TEST

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

/* ---- limits ---- */

START_TEST(one_connection_too_many_is_refused)
{
    struct client a, b, c;
    serve(&(struct newsd_config){.max_connections = 2});
    hello(&a);
    hello(&b);
    client_open(&c);
    expect(&c, "502 ");
    ck_assert_int_eq(byte_get(&c), EOF);
    client_close(&c);
    client_close(&b);
    hello(&b); /* the place of one that is closed is free at once */
    struct newsd_stats s = stats();
    ck_assert_uint_eq(s.refused, 1);
    ck_assert_uint_eq(s.accepted, 4);
    ck_assert_uint_eq(s.connections, 2);
    ck_assert_uint_eq(s.connections_peak, 2);
    newsd_set_limit(server, 3);
    hello(&c);
    client_close(&a);
    client_close(&b);
    client_close(&c);
}
END_TEST

START_TEST(replacing_a_connection_is_never_one_too_many)
{
    struct client c[4];
    serve(&(struct newsd_config){.max_connections = 4});
    for (int i = 0; i < 4; i++)
        hello(&c[i]);
    for (int i = 0; i < 200; i++) {
        say(&c[i % 4], "QUIT\r\n");
        client_close(&c[i % 4]);
        hello(&c[i % 4]);
    }
    ck_assert_uint_eq(stats().refused, 0);
    ck_assert_uint_eq(stats().connections_peak, 4);
    for (int i = 0; i < 4; i++)
        client_close(&c[i]);
}
END_TEST

START_TEST(the_limit_may_be_told_at_login)
{
    struct client a, b;
    serve(&(struct newsd_config){
        .max_connections = 1, .limit_code = 481, .username = "u", .password = "p"});
    hello(&a);
    say(&a, "AUTHINFO USER u\r\nAUTHINFO PASS p\r\n");
    expect(&a, "381 ");
    expect(&a, "281 ");
    hello(&b);
    say(&b, "AUTHINFO USER u\r\nAUTHINFO PASS p\r\n");
    expect(&b, "381 ");
    expect(&b, "481 too many");
    client_close(&a);
    client_close(&b);
}
END_TEST

START_TEST(everyone_can_be_refused)
{
    struct client c;
    serve(&(struct newsd_config){.greeting = 400});
    client_open(&c);
    expect(&c, "400 ");
    ck_assert_int_eq(byte_get(&c), EOF);
    client_close(&c);
}
END_TEST

/* ---- the whole server ---- */

START_TEST(a_server_that_is_down_keeps_its_port)
{
    struct client c;
    bool was_reset;
    serve(&(struct newsd_config){0});
    hello(&c);
    newsd_down(server, true);
    drain(&c, &was_reset);
    ck_assert(was_reset);
    client_close(&c);
    ck_assert_int_eq(connect_to(newsd_port(server)), -ECONNREFUSED);
    struct newsd *other = newsd_start(&(struct newsd_config){0}, spool);
    ck_assert_uint_ne(newsd_port(other), newsd_port(server));
    newsd_stop(other);
    newsd_down(server, true);
    newsd_down(server, false);
    newsd_down(server, false);
    hello(&c);
    client_close(&c);
}
END_TEST

START_TEST(a_silent_server_answers_when_it_is_over)
{
    struct client old, new;
    serve(&(struct newsd_config){0});
    hello(&old);
    uint64_t before = stats().bytes_sent;
    newsd_silent(server, true);
    ask(&old, "STAT", id(1));
    client_open(&new);
    while (stats().accepted < 2)
        ;
    ck_assert_uint_eq(stats().bytes_sent, before);
    newsd_silent(server, false);
    expect(&old, "223 ");
    expect(&new, "200 ");
    newsd_silent(server, true);
    client_close(&old);
    while (stats().connections > 1)
        ;
    client_close(&new);
}
END_TEST

START_TEST(dropped_connections_end_in_good_order)
{
    struct client a, b;
    serve(&(struct newsd_config){0});
    hello(&a);
    hello(&b);
    newsd_drop_all(server);
    ck_assert_uint_eq(stats().connections, 0);
    ck_assert_int_eq(byte_get(&a), EOF);
    ck_assert_int_eq(byte_get(&b), EOF);
    client_close(&a);
    client_close(&b);
}
END_TEST

START_TEST(idle_connections_are_closed)
{
    struct client c;
    serve(&(struct newsd_config){.idle_close_ms = 20});
    hello(&c);
    ck_assert_int_eq(byte_get(&c), EOF);
    client_close(&c);
}
END_TEST

/* ---- time: only that it takes at least as long as it must, and far less than one by one ---- */

START_TEST(latency_is_paid_once_for_pipelined_commands)
{
    enum { N = 200 };
    struct client c;
    serve(&(struct newsd_config){0});
    hello(&c);
    newsd_set_latency(server, 50000);
    uint64_t start = clock_now_us();
    for (int i = 0; i < N; i++)
        say(&c, "DATE\r\n");
    for (int i = 0; i < N; i++)
        expect(&c, "111 ");
    uint64_t took = clock_now_us() - start;
    ck_assert_uint_ge(took, 50000);
    ck_assert_uint_lt(took, N * 50000 / 2);
    client_close(&c);
}
END_TEST

START_TEST(a_rate_holds_for_each_connection)
{
    struct client c;
    serve(&(struct newsd_config){.rate_bps = 200000, .jitter_us = 100, .straggler_permille = 1});
    hello(&c);
    uint64_t start = clock_now_us();
    ask(&c, "BODY", id(1));
    expect_body(&c, 1);
    /* 20,000 bytes, of which what was saved up in 20 ms goes at once. */
    ck_assert_uint_ge(clock_now_us() - start, 60000);
    client_close(&c);
}
END_TEST

/* ---- TLS ---- */

static int session_keep(SSL *ssl, SSL_SESSION *session)
{
    struct client *c = SSL_get_app_data(ssl);
    SSL_SESSION_free(c->session);
    c->session = session;
    return 1;
}

static void tls_open(struct client *c, SSL_SESSION *session)
{
    client_open(c);
    c->ctx = SSL_CTX_new(TLS_client_method());
    ck_assert_int_eq(SSL_CTX_load_verify_locations(c->ctx, newsd_ca_file(server), NULL), 1);
    SSL_CTX_set_verify(c->ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_session_cache_mode(c->ctx, SSL_SESS_CACHE_CLIENT);
    SSL_CTX_sess_set_new_cb(c->ctx, session_keep);
    c->ssl = SSL_new(c->ctx);
    SSL_set_app_data(c->ssl, c);
    ck_assert_int_eq(X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(c->ssl), "127.0.0.1"), 1);
    if (session)
        SSL_set_session(c->ssl, session);
    SSL_set_fd(c->ssl, c->fd);
    ck_assert_int_eq(SSL_connect(c->ssl), 1);
}

START_TEST(tls_is_verified_and_resumed)
{
    struct client a, b;
    struct stat st;
    char ca[256];
    serve(&(struct newsd_config){.tls = true, .handshake_us = 1000});
    snprintf(ca, sizeof(ca), "%s", newsd_ca_file(server));
    tls_open(&a, NULL);
    expect(&a, "200 ");
    for (uint32_t n = 1; n <= PARTS; n++)
        ask(&a, "BODY", id(n));
    for (uint32_t n = 1; n <= PARTS; n++)
        expect_body(&a, n);
    say(&a, "QUIT\r\n");
    expect(&a, "205 ");
    ck_assert_int_eq(byte_get(&a), EOF); /* close_notify, not a torn connection */
    ck_assert_uint_eq(stats().resumed_tls, 0);
    ck_assert_ptr_nonnull(a.session);
    tls_open(&b, a.session);
    expect(&b, "200 ");
    ck_assert_uint_eq(stats().resumed_tls, 1);
    SSL_SESSION_free(a.session);
    SSL_SESSION_free(b.session);
    client_close(&a);
    client_close(&b);
    newsd_stop(server);
    server = NULL;
    ck_assert_int_eq(stat(ca, &st), -1);
}
END_TEST

START_TEST(a_plain_client_does_not_upset_a_tls_server)
{
    struct client plain, c;
    bool was_reset;
    serve(&(struct newsd_config){.tls = true});
    client_open(&plain);
    say(&plain, "MODE READER\r\nMODE READER\r\n");
    drain(&plain, &was_reset);
    client_close(&plain);
    tls_open(&c, NULL);
    expect(&c, "200 ");
    SSL_SESSION_free(c.session);
    client_close(&c);
}
END_TEST

START_TEST(a_certificate_file_that_is_not_there_is_an_error)
{
    const struct newsd_config cfg = {
        .tls = true, .cert_file = "/nonexistent", .key_file = "/nonexistent"};
    ck_assert_ptr_null(newsd_start(&cfg, spool));
}
END_TEST

/* ---- by lines of text ---- */

static const char *order(const char *line)
{
    static char answer[2048];
    int err = newsd_script_run(server, spool, line, answer, sizeof(answer));
    ck_assert_int_eq(err, strncmp(answer, "error: ", 7) == 0 ? -EINVAL : 0);
    return answer;
}

START_TEST(lines_of_text_change_what_it_does)
{
    struct client c;
    char line[300];
    serve(&(struct newsd_config){0});
    hello(&c);
    ck_assert_str_eq(order("fault file/f.bin/2 430 1"), "ok");
    ask(&c, "BODY", id(2));
    ask(&c, "BODY", id(2));
    expect(&c, "430 ");
    expect_body(&c, 2);
    ck_assert_str_eq(order("asked file/f.bin/2"), "2");
    ck_assert_str_eq(order("asked file/f.bin"), "2");
    ck_assert_str_eq(order(" fault  file/f.bin   403 "), "ok");
    snprintf(line, sizeof(line), "fault %s none", id(3));
    ck_assert_str_eq(order(line), "ok");
    ask(&c, "BODY", id(1));
    ask(&c, "BODY", id(3));
    expect(&c, "403 ");
    expect_body(&c, 3);
    ck_assert_str_eq(order("clear"), "ok");
    ask(&c, "BODY", id(1));
    expect_body(&c, 1);
    ck_assert_ptr_nonnull(strstr(order("stats"), "\"body\":5,\"article\":0,"));
    ck_assert_str_eq(order("down"), "ok");
    ck_assert_int_eq(connect_to(newsd_port(server)), -ECONNREFUSED);
    ck_assert_str_eq(order("up"), "ok");
    client_close(&c);
    hello(&c);
    ck_assert_str_eq(order("drop"), "ok");
    ck_assert_int_eq(byte_get(&c), EOF);
    client_close(&c);
}
END_TEST

START_TEST(lines_that_mean_nothing_are_errors)
{
    static const char *bad[] = {
        "",
        "hello",
        "fault",
        "fault all",
        "fault all what",
        "fault all 430 x",
        "fault all 430 1 2",
        "fault nowhere 430",
        "fault file/none/1 430",
        "fault file/f.bin/0 430",
        "fault file/f.bin/4 430",
        "fault file/f.bin/-1 430",
        "fault file/ 430",
        "limit",
        "limit -1",
        "limit 99999999999999999999",
        "limit 1x",
        "latency 5s",
        "down now",
        "asked",
        "a b c d e f",
    };
    serve(&(struct newsd_config){0});
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        ck_assert_msg(strncmp(order(bad[i]), "error: ", 7) == 0, "taken: %s", bad[i]);
}
END_TEST

START_TEST(numbers_have_bounds_and_units)
{
    uint64_t n;
    ck_assert_int_eq(newsd_script_number("12", 12, &n), 0);
    ck_assert_uint_eq(n, 12);
    ck_assert_int_eq(newsd_script_number("3M", UINT64_MAX, &n), 0);
    ck_assert_uint_eq(n, 3u << 20);
    ck_assert_int_eq(newsd_script_number("13", 12, &n), -EINVAL);
    ck_assert_int_eq(newsd_script_number("1K", 1023, &n), -EINVAL);
    ck_assert_int_eq(newsd_script_number("1K", 1024, &n), 0);
    ck_assert_int_eq(newsd_script_number("99999999999G", UINT64_MAX, &n), -EINVAL);
    ck_assert_int_eq(newsd_script_number("1KK", UINT64_MAX, &n), -EINVAL);
    ck_assert_int_eq(newsd_script_number(" 1", UINT64_MAX, &n), -EINVAL);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("lib/newsd");
    TCase *t = tcase_create("newsd");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, pipelined_commands_are_answered_in_order);
    tcase_add_test(t, an_article_is_headers_and_body);
    tcase_add_test(t, login_is_asked_for_and_checked);
    tcase_add_test(t, groups_and_reader_mode_are_insisted_on_when_asked);
    tcase_add_test(t, a_bare_server_swaps_codes_and_knows_little);
    tcase_add_test(t, capabilities_tell_what_is_there);
    tcase_add_test(t, nonsense_is_answered_and_an_endless_line_closed);
    tcase_add_test(t, more_commands_than_are_queued_are_all_answered);
    tcase_add_test(t, half_a_connection_still_gets_its_answers);
    tcase_add_test(t, a_posted_article_is_served);
    tcase_add_test(t, an_article_without_id_is_given_one);
    tcase_add_test(t, garbage_and_giants_are_not_taken);
    tcase_add_test(t, a_missing_article_is_missing_to_every_command);
    tcase_add_test(t, rules_take_their_turns_and_own_ones_go_first);
    tcase_add_test(t, an_article_breaks_off_in_its_middle);
    tcase_add_test(t, a_stalled_article_goes_on_when_told);
    tcase_add_test(t, no_answer_at_all_until_told);
    tcase_add_test(t, a_client_that_leaves_a_stall_is_forgotten);
    tcase_add_test(t, one_byte_of_the_payload_is_wrong);
    tcase_add_test(t, the_part_claims_to_be_the_next_one);
    tcase_add_test(t, a_line_or_the_end_is_left_out);
    tcase_add_test(t, something_else_comes_in_place_of_yenc);
    tcase_add_test(t, a_server_shutting_down_says_so_and_closes);
    tcase_add_test(t, a_posted_article_of_any_kind_survives_every_fault);
    tcase_add_test(t, one_connection_too_many_is_refused);
    tcase_add_test(t, replacing_a_connection_is_never_one_too_many);
    tcase_add_test(t, the_limit_may_be_told_at_login);
    tcase_add_test(t, everyone_can_be_refused);
    tcase_add_test(t, a_server_that_is_down_keeps_its_port);
    tcase_add_test(t, a_silent_server_answers_when_it_is_over);
    tcase_add_test(t, dropped_connections_end_in_good_order);
    tcase_add_test(t, idle_connections_are_closed);
    tcase_add_test(t, latency_is_paid_once_for_pipelined_commands);
    tcase_add_test(t, a_rate_holds_for_each_connection);
    tcase_add_test(t, tls_is_verified_and_resumed);
    tcase_add_test(t, a_plain_client_does_not_upset_a_tls_server);
    tcase_add_test(t, a_certificate_file_that_is_not_there_is_an_error);
    tcase_add_test(t, lines_of_text_change_what_it_does);
    tcase_add_test(t, lines_that_mean_nothing_are_errors);
    tcase_add_test(t, numbers_have_bounds_and_units);
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
