/**
 * test_newsd — what the tests of the news server share: a server with one file of three parts, and a client
 * that reads its answers a line or a byte at a time. A read that takes 30 s is the end of the connection.
 */
#ifndef TESTS_LIB_TEST_NEWSD_H
#define TESTS_LIB_TEST_NEWSD_H

#include "tests/lib/newsd.h"
#include "tests/lib/spool.h"

#include <check.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <sys/types.h>

enum { SIZE = 50000, PART = 20000, PARTS = 3 };

/* Made anew for each test; the server by serve(). */
extern struct spool *spool;
extern struct newsd *server;
extern int file;

struct client {
    int fd;
    SSL_CTX *ctx;
    SSL *ssl;
    SSL_SESSION *session;
    char buf[65536];
    size_t at, have;
};

void serve(const struct newsd_config *cfg);
/** The message-id of part `n`. */
const char *id(uint32_t n);
struct newsd_stats stats(void);

/** A socket, or -errno. */
int connect_to(uint16_t port);
void client_open(struct client *c);
void client_close(struct client *c);
/** Open, and read the greeting. */
void hello(struct client *c);

void say(struct client *c, const char *text);
/** "COMMAND <message-id>" */
void ask(struct client *c, const char *command, const char *message_id);

/** EOF at the end, EOF - errno where it broke. */
int byte_get(struct client *c);
/** The next line without its end; "" at the end of the connection. Lent until the next call. */
const char *line_get(struct client *c);
/** A multi-line block as it comes, up to its dot; malloc'd. */
char *block_get(struct client *c, size_t *len);
/** How many bytes come until the connection ends, and whether by a reset. */
size_t drain(struct client *c, bool *reset);

/** The next line begins so; the next bytes are these; the next answer is BODY's of part `n`. */
void expect(struct client *c, const char *start);
void expect_bytes(struct client *c, const uint8_t *bytes, size_t len);
void expect_body(struct client *c, uint32_t n);

/** A program's whole main(): runs the tests, each with a spool of its own. */
int run(const char *name, const TTest **tests, size_t n);

#endif
