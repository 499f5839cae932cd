/* floor_client — receive, decode, check, discard: one thread, no scheduling, no cache. */

#include "bench/floors.h"
#include "nntp/article.h"
#include "nzb/nzb.h"

#include <openssl/ssl.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECEIVE_BYTES ((size_t)256 << 10)
#define SCRATCH_BYTES ((size_t)8 << 20)
#define EVENTS        64

enum line_state { GREETING, ANSWER, BODY };

struct wire {
    int fd;
    SSL *ssl;
    enum line_state state;
    unsigned in_flight;
    char line[512];
    size_t line_len;
    struct article article;
};

struct run {
    const struct floor_client *cfg;
    SSL_CTX *ctx;
    int epoll;
    size_t file, segment; /* the next to ask for */
    uint64_t left;        /* segments not answered yet */
    uint64_t payload;
    uint8_t *receive, *scratch;
};

static const struct nzb_segment *segment_next(struct run *r)
{
    while (r->file < r->cfg->nzb->nfiles) {
        const struct nzb_file *f = &r->cfg->nzb->files[r->file];
        if (r->segment < f->nsegments)
            return &f->segments[r->segment++];
        r->file++;
        r->segment = 0;
    }
    return NULL;
}

static bool wire_send(struct wire *w, const char *p, size_t len)
{
    if (w->ssl)
        return SSL_write(w->ssl, p, (int)len) == (int)len;
    return send(w->fd, p, len, MSG_NOSIGNAL) == (ssize_t)len;
}

static bool wire_ask(struct run *r, struct wire *w)
{
    char line[1024];

    while (w->in_flight < r->cfg->depth) {
        const struct nzb_segment *s = segment_next(r);
        if (!s)
            return true;
        int n = snprintf(line, sizeof(line), "BODY <%s>\r\n", s->message_id);
        if (n < 0 || (size_t)n >= sizeof(line) || !wire_send(w, line, (size_t)n))
            return false;
        w->in_flight++;
    }
    return true;
}

/* One answer line is complete. */
static bool wire_line(struct run *r, struct wire *w)
{
    bool body = strncmp(w->line, "222", 3) == 0 || strncmp(w->line, "220", 3) == 0;

    if (w->state == GREETING) {
        w->state = ANSWER;
        return w->line[0] == '2' && wire_ask(r, w);
    }
    if (!body) {
        fprintf(stderr, "bench: unexpected answer: %s\n", w->line);
        return false;
    }
    article_start(&w->article);
    w->state = BODY;
    return true;
}

static bool wire_body(struct run *r, struct wire *w, const uint8_t *p, size_t len, size_t *used)
{
    struct iovec dst = {r->scratch, SCRATCH_BYTES};

    switch (article_feed(&w->article, p, len, used)) {
    case ARTICLE_MORE:
        return true;
    case ARTICLE_BEGIN:
        article_dst(&w->article, &dst, 1);
        return true;
    case ARTICLE_END:
        break;
    }
    if (article_verdict(&w->article) != ARTICLE_OK) {
        fprintf(stderr, "bench: an article is %s\n",
                article_verdict_name(article_verdict(&w->article)));
        return false;
    }
    r->payload += article_payload(&w->article);
    r->left--;
    w->in_flight--;
    w->state = ANSWER;
    w->line_len = 0;
    return wire_ask(r, w);
}

static bool wire_bytes(struct run *r, struct wire *w, const uint8_t *p, size_t len)
{
    while (len) {
        size_t used = 0;
        if (w->state == BODY) {
            if (!wire_body(r, w, p, len, &used))
                return false;
        } else {
            const uint8_t *nl = memchr(p, '\n', len);
            used = nl ? (size_t)(nl - p) + 1 : len;
            if (used > sizeof(w->line) - 1 - w->line_len)
                return false;
            memcpy(w->line + w->line_len, p, used);
            w->line_len += used;
            w->line[w->line_len] = '\0';
            if (nl) {
                w->line_len = 0;
                if (!wire_line(r, w))
                    return false;
            }
        }
        p += used;
        len -= used;
    }
    return true;
}

static bool wire_read(struct run *r, struct wire *w)
{
    for (;;) {
        ssize_t n;
        if (w->ssl) {
            n = SSL_read(w->ssl, r->receive, (int)RECEIVE_BYTES);
            if (n <= 0)
                return SSL_get_error(w->ssl, (int)n) == SSL_ERROR_WANT_READ;
        } else {
            n = recv(w->fd, r->receive, RECEIVE_BYTES, MSG_DONTWAIT);
            if (n <= 0)
                return n < 0 && errno == EAGAIN;
        }
        if (!wire_bytes(r, w, r->receive, (size_t)n))
            return false;
        if (!w->ssl && (size_t)n < RECEIVE_BYTES / 4)
            return true; /* nearly empty: the next event brings the rest at once */
    }
}

static bool nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

static bool wire_open(struct run *r, struct wire *w)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(r->cfg->port)};
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = w};
    int one = 1;

    inet_pton(AF_INET, r->cfg->host, &at.sin_addr);
    w->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (w->fd < 0 || connect(w->fd, (struct sockaddr *)&at, sizeof(at)))
        return false;
    setsockopt(w->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (r->ctx) {
        w->ssl = SSL_new(r->ctx);
        if (!w->ssl || !SSL_set_fd(w->ssl, w->fd) || SSL_connect(w->ssl) != 1)
            return false;
        /* The handshake was easier blocking; from here on reads must not be. */
        if (!nonblocking(w->fd))
            return false;
    }
    return epoll_ctl(r->epoll, EPOLL_CTL_ADD, w->fd, &ev) == 0;
}

static SSL_CTX *tls_new(const char *ca_file)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

    if (!ctx || SSL_CTX_load_verify_locations(ctx, ca_file, NULL) != 1)
        return NULL;
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_default_read_buffer_len(ctx, RECEIVE_BYTES);
    return ctx;
}

static bool run_all(struct run *r, struct wire *wires)
{
    struct epoll_event ev[EVENTS];

    for (unsigned i = 0; i < r->cfg->connections; i++)
        if (!wire_open(r, &wires[i])) {
            perror("bench: connect");
            return false;
        }
    while (r->left) {
        int n = epoll_wait(r->epoll, ev, EVENTS, -1);
        for (int i = 0; i < n; i++)
            if (!wire_read(r, ev[i].data.ptr)) {
                fprintf(stderr, "bench: the server broke off\n");
                return false;
            }
    }
    return true;
}

uint64_t floor_client_run(const struct floor_client *f)
{
    struct run r = {.cfg = f, .left = f->nzb->nsegments, .epoll = epoll_create1(EPOLL_CLOEXEC)};
    struct wire *wires = calloc(f->connections, sizeof(*wires));
    bool ok = false;

    r.receive = malloc(RECEIVE_BYTES);
    r.scratch = malloc(SCRATCH_BYTES);
    if (f->ca_file && !(r.ctx = tls_new(f->ca_file)))
        fprintf(stderr, "bench: cannot use %s\n", f->ca_file);
    else if (wires && r.receive && r.scratch && r.epoll >= 0)
        ok = run_all(&r, wires);
    for (unsigned i = 0; wires && i < f->connections; i++) {
        SSL_free(wires[i].ssl);
        if (wires[i].fd > 0)
            close(wires[i].fd);
    }
    SSL_CTX_free(r.ctx);
    close(r.epoll);
    free(r.receive);
    free(r.scratch);
    free(wires);
    return ok ? r.payload : 0;
}
