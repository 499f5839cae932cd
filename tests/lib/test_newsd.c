/* The server as a client sees it: commands, posting, TLS. */
#include "tests/lib/test_newsd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

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

int main(void)
{
    const TTest *tests[] = {
        pipelined_commands_are_answered_in_order,
        an_article_is_headers_and_body,
        login_is_asked_for_and_checked,
        groups_and_reader_mode_are_insisted_on_when_asked,
        a_bare_server_swaps_codes_and_knows_little,
        capabilities_tell_what_is_there,
        nonsense_is_answered_and_an_endless_line_closed,
        more_commands_than_are_queued_are_all_answered,
        half_a_connection_still_gets_its_answers,
        a_posted_article_is_served,
        an_article_without_id_is_given_one,
        garbage_and_giants_are_not_taken,
        tls_is_verified_and_resumed,
        a_plain_client_does_not_upset_a_tls_server,
        a_certificate_file_that_is_not_there_is_an_error,
    };
    return run("lib/newsd", tests, sizeof(tests) / sizeof(*tests));
}
