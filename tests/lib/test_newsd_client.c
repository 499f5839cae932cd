/* A news client as plain as can be: blocking sockets, one line after the other. */
#include "tests/lib/test_newsd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct spool *spool;
struct newsd *server;
int file;

void serve(const struct newsd_config *cfg)
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

const char *id(uint32_t n)
{
    return spool_message_id(spool, file, n);
}

/* ---- a client ---- */

int connect_to(uint16_t port)
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

void client_open(struct client *c)
{
    memset(c, 0, sizeof(*c));
    c->fd = connect_to(newsd_port(server));
    ck_assert_int_ge(c->fd, 0);
}

void client_close(struct client *c)
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

void say(struct client *c, const char *text)
{
    size_t n = strlen(text);
    ssize_t sent = c->ssl ? SSL_write(c->ssl, text, (int)n) : send(c->fd, text, n, MSG_NOSIGNAL);
    ck_assert_int_eq(sent, (ssize_t)n);
}

void ask(struct client *c, const char *command, const char *message_id)
{
    char line[600];
    snprintf(line, sizeof(line), "%s <%s>\r\n", command, message_id);
    say(c, line);
}

int byte_get(struct client *c)
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
const char *line_get(struct client *c)
{
    static char line[2048];
    size_t n = 0;
    int b;
    while ((b = byte_get(c)) >= 0 && b != '\n' && n < sizeof(line) - 1)
        line[n++] = (char)b;
    line[n > 0 && line[n - 1] == '\r' ? n - 1 : n] = '\0';
    return line;
}

void expect(struct client *c, const char *start)
{
    const char *line = line_get(c);
    ck_assert_msg(strncmp(line, start, strlen(start)) == 0, "\"%s\", not \"%s\"", line, start);
}

/* The article or its body after the answer's line, up to the dot, equals these bytes. */
void expect_bytes(struct client *c, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        int b = byte_get(c);
        ck_assert_msg(b == bytes[i], "byte %zu of %zu is %d, not %u", i, len, b, bytes[i]);
    }
}

void expect_body(struct client *c, uint32_t n)
{
    const struct spool_article *a = spool_find(spool, id(n));
    expect(c, "222 0 <");
    expect_bytes(c, a->bytes + a->head, a->len - a->head);
}

void hello(struct client *c)
{
    client_open(c);
    expect(c, "200 ");
}

/* Everything up to the end of the connection; *reset tells how it ended. */
size_t drain(struct client *c, bool *reset)
{
    size_t n = 0;
    int b;
    while ((b = byte_get(c)) >= 0)
        n++;
    *reset = b == EOF - ECONNRESET;
    return n;
}

/* A whole multi-line block as text, dots as they come; malloc'd. */
char *block_get(struct client *c, size_t *len)
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

struct newsd_stats stats(void)
{
    struct newsd_stats s;
    newsd_stats(server, &s);
    return s;
}

int run(const char *name, const TTest **tests, size_t n)
{
    Suite *s = suite_create(name);
    TCase *t = tcase_create(name);
    tcase_add_checked_fixture(t, setup, teardown);
    for (size_t i = 0; i < n; i++)
        tcase_add_test(t, tests[i]);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
