#include "nntp/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct nntp_tls_ctx {
    /* fixed after nntp_tls_ctx_new() */
    SSL_CTX *ssl;
    BIO_METHOD *bio;
    char *host;
    bool verify;
    bool literal; /* the host is an address: no SNI, and the certificate must name the address */
    /* under lock */
    pthread_mutex_t lock; /* leaf */
    SSL_SESSION *session; /* the newest; NULL: none yet */
};

struct nntp_tls {
    struct nntp_tls_ctx *ctx;
    struct nntp_wire *wire;
    SSL *ssl;
    int cert_error;       /* X509_V_ERR_* of the first certificate that did not pass */
    char cert_names[128]; /* whom it is for */
    char error[512];
};

/* --- the BIO: OpenSSL's view of the wire ---------------------------------------------------------- */

static int bio_read(BIO *b, char *out, int len)
{
    struct nntp_wire *w = BIO_get_data(b);

    BIO_clear_retry_flags(b);
    if (len <= 0)
        return 0;
    if (!nntp_wire_fill(w)) {
        if (w->eof || w->error)
            return w->eof ? 0 : -1;
        BIO_set_retry_read(b);
        return -1;
    }
    size_t n = w->end - w->at;
    if (n > (size_t)len)
        n = (size_t)len;
    memcpy(out, w->buf + w->at, n);
    w->at += n;
    return (int)n;
}

static int bio_write(BIO *b, const char *p, int len)
{
    struct nntp_wire *w = BIO_get_data(b);

    BIO_clear_retry_flags(b);
    if (len <= 0)
        return 0;
    ssize_t n = nntp_wire_send(w, p, (size_t)len);
    if (n == 0)
        BIO_set_retry_write(b);
    else if (n < 0 && !w->error)
        w->error = (int)-n;
    return n > 0 ? (int)n : -1;
}

static long bio_ctrl(BIO *b, int cmd, long num, void *ptr)
{
    struct nntp_wire *w = BIO_get_data(b);
    (void)num;
    (void)ptr;

    switch (cmd) {
    case BIO_CTRL_FLUSH:
        return 1;
    case BIO_CTRL_EOF:
        return w && w->eof;
    default:
        return 0;
    }
}

/* One type number for the process: there are 127, and each configuration that is loaded makes contexts. */
static int bio_type;

static void bio_type_draw(void)
{
    bio_type = BIO_get_new_index() | BIO_TYPE_SOURCE_SINK;
}

static BIO_METHOD *bio_method_new(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, bio_type_draw);
    BIO_METHOD *m = BIO_meth_new(bio_type, "nntp wire");

    if (m && (!BIO_meth_set_read(m, bio_read) || !BIO_meth_set_write(m, bio_write) ||
              !BIO_meth_set_ctrl(m, bio_ctrl))) {
        BIO_meth_free(m);
        return NULL;
    }
    return m;
}

/* --- certificates --------------------------------------------------------------------------------- */

static void names_add(char *out, size_t cap, const char *name, size_t len)
{
    size_t at = strlen(out);

    if (at + len + 3 > cap || memchr(name, 0, len))
        return;
    snprintf(out + at, cap - at, "%s%.*s", at ? ", " : "", (int)len, name);
}

/* Whom the certificate is for: the DNS names, or without them the common name. */
static void cert_names(X509 *cert, char *out, size_t cap)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    int n = names ? sk_GENERAL_NAME_num(names) : 0;

    out[0] = '\0';
    for (int i = 0; i < n; i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);
        if (g->type == GEN_DNS)
            names_add(out, cap, (const char *)ASN1_STRING_get0_data(g->d.dNSName),
                      (size_t)ASN1_STRING_length(g->d.dNSName));
    }
    GENERAL_NAMES_free(names);
    if (!out[0])
        X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, out, (int)cap);
}

static int on_verify(int ok, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct nntp_tls *t = SSL_get_app_data(ssl);
    X509 *cert = X509_STORE_CTX_get_current_cert(store);

    if (!ok && !t->cert_error) {
        t->cert_error = X509_STORE_CTX_get_error(store);
        if (cert)
            cert_names(cert, t->cert_names, sizeof(t->cert_names));
    }
    return ok;
}

static void cert_explain(struct nntp_tls *t)
{
    const char *host = t->ctx->host;

    switch (t->cert_error) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        snprintf(t->error, sizeof(t->error),
                 "%s: the certificate is for %s (verify = no would accept it)", host,
                 t->cert_names[0] ? t->cert_names : "nobody");
        return;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        snprintf(
            t->error, sizeof(t->error),
            "%s: the certificate is not signed by anyone trusted (%s); ca_file = PATH would add "
            "a private CA, verify = no would accept it",
            host, X509_verify_cert_error_string(t->cert_error));
        return;
    default:
        snprintf(t->error, sizeof(t->error), "%s: the certificate is not good: %s", host,
                 X509_verify_cert_error_string(t->cert_error));
    }
}

/* --- sessions ------------------------------------------------------------------------------------- */

/* The context keeps a copy: a connection goes on using its session, on its own loop, when the next
 * ticket comes. */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct nntp_tls *t = SSL_get_app_data(ssl);
    struct nntp_tls_ctx *ctx = t->ctx;
    SSL_SESSION *copy = SSL_SESSION_dup(session);

    if (!copy)
        return 0; /* no memory: the next handshake is a whole one */
    pthread_mutex_lock(&ctx->lock);
    SSL_SESSION *old = ctx->session;
    ctx->session = copy;
    pthread_mutex_unlock(&ctx->lock);
    SSL_SESSION_free(old);
    return 0; /* `session` stays the connection's alone */
}

/* A session carries its own copy for each connection: OpenSSL marks the one in use. */
static void session_offer(struct nntp_tls *t)
{
    pthread_mutex_lock(&t->ctx->lock);
    SSL_SESSION *s = t->ctx->session ? SSL_SESSION_dup(t->ctx->session) : NULL;
    pthread_mutex_unlock(&t->ctx->lock);
    if (s)
        SSL_set_session(t->ssl, s);
    SSL_SESSION_free(s);
}

/* --- the context ---------------------------------------------------------------------------------- */

static bool is_literal(const char *host)
{
    struct in6_addr a;

    return inet_pton(AF_INET, host, &a) == 1 || inet_pton(AF_INET6, host, &a) == 1;
}

static int trust_load(struct nntp_tls_ctx *ctx, const struct config_provider *p, char *err,
                      size_t errlen)
{
    if (!p->verify) {
        SSL_CTX_set_verify(ctx->ssl, SSL_VERIFY_NONE, NULL);
        return 0;
    }
    SSL_CTX_set_verify(ctx->ssl, SSL_VERIFY_PEER, on_verify);
    if (!p->ca_file) {
        SSL_CTX_set_default_verify_paths(ctx->ssl);
        return 0;
    }
    errno = 0;
    if (SSL_CTX_load_verify_locations(ctx->ssl, p->ca_file, NULL) == 1)
        return 0;
    int e = errno ? errno : EINVAL;
    snprintf(err, errlen, "[provider %s] ca_file = %s: %s", p->name, p->ca_file,
             errno ? strerror(e) : "holds no certificate");
    return -e;
}

int nntp_tls_ctx_new(const struct config_provider *p, struct nntp_tls_ctx **out, char *err,
                     size_t errlen)
{
    struct nntp_tls_ctx *ctx = calloc(1, sizeof(*ctx));
    int r = -ENOMEM;

    snprintf(err, errlen, "[provider %s] TLS: no memory", p->name);
    if (!ctx)
        return r;
    pthread_mutex_init(&ctx->lock, NULL);
    ctx->verify = p->verify;
    ctx->literal = is_literal(p->host);
    ctx->host = strdup(p->host);
    ctx->bio = bio_method_new();
    ctx->ssl = SSL_CTX_new(TLS_client_method());
    if (!ctx->host || !ctx->bio || !ctx->ssl ||
        !SSL_CTX_set_min_proto_version(ctx->ssl, TLS1_2_VERSION))
        goto err0;
    SSL_CTX_set_mode(ctx->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    /* Providers close without close_notify; the dot that ends an article says whether it is whole. */
    SSL_CTX_set_options(ctx->ssl, SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_RENEGOTIATION |
                                      SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_session_cache_mode(ctx->ssl,
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
    SSL_CTX_sess_set_new_cb(ctx->ssl, on_session);
    if ((r = trust_load(ctx, p, err, errlen)))
        goto err0;
    err[0] = '\0';
    *out = ctx;
    ERR_clear_error();
    return 0;
err0:
    ERR_clear_error();
    nntp_tls_ctx_free(ctx);
    return r;
}

void nntp_tls_ctx_free(struct nntp_tls_ctx *ctx)
{
    if (!ctx)
        return;
    SSL_SESSION_free(ctx->session);
    SSL_CTX_free(ctx->ssl);
    BIO_meth_free(ctx->bio);
    pthread_mutex_destroy(&ctx->lock);
    free(ctx->host);
    free(ctx);
}

/* --- one connection ------------------------------------------------------------------------------- */

static bool name_expect(struct nntp_tls *t)
{
    const struct nntp_tls_ctx *ctx = t->ctx;

    if (!ctx->literal && !SSL_set_tlsext_host_name(t->ssl, ctx->host))
        return false;
    if (!ctx->verify)
        return true;
    if (ctx->literal)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(t->ssl), ctx->host) == 1;
    SSL_set_hostflags(t->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(t->ssl, ctx->host) == 1;
}

struct nntp_tls *nntp_tls_new(struct nntp_tls_ctx *ctx, struct nntp_wire *w)
{
    struct nntp_tls *t = calloc(1, sizeof(*t));
    BIO *bio = BIO_new(ctx->bio);

    if (!t || !bio)
        goto err0;
    t->ctx = ctx;
    t->wire = w;
    t->ssl = SSL_new(ctx->ssl);
    if (!t->ssl)
        goto err0;
    BIO_set_data(bio, w);
    BIO_set_init(bio, 1);
    SSL_set_bio(t->ssl, bio, bio); /* taken */
    SSL_set_app_data(t->ssl, t);
    SSL_set_connect_state(t->ssl);
    if (!name_expect(t)) {
        nntp_tls_free(t);
        return NULL;
    }
    session_offer(t);
    return t;
err0:
    BIO_free(bio);
    free(t);
    ERR_clear_error();
    return NULL;
}

void nntp_tls_free(struct nntp_tls *t)
{
    if (!t)
        return;
    ERR_clear_error();
    if (SSL_is_init_finished(t->ssl))
        SSL_shutdown(t->ssl);
    SSL_free(t->ssl);
    ERR_clear_error();
    free(t);
}

static enum nntp_tls_state failed(struct nntp_tls *t)
{
    unsigned long e = ERR_peek_error();
    const char *why = e ? ERR_reason_error_string(e) : NULL;

    if (t->cert_error)
        cert_explain(t);
    else if (t->wire->error)
        snprintf(t->error, sizeof(t->error), "%s: %s", t->ctx->host, strerror(t->wire->error));
    else if (t->wire->eof)
        snprintf(t->error, sizeof(t->error), "%s: the server closed the connection", t->ctx->host);
    else
        snprintf(
            t->error, sizeof(t->error), "%s: TLS: %s%s", t->ctx->host, why ? why : "protocol error",
            e && ERR_GET_REASON(e) == SSL_R_WRONG_VERSION_NUMBER ? " (does this port speak TLS?)"
                                                                 : "");
    ERR_clear_error();
    return NNTP_TLS_ERROR;
}

static enum nntp_tls_state state_of(struct nntp_tls *t, int ret)
{
    switch (SSL_get_error(t->ssl, ret)) {
    case SSL_ERROR_NONE:
        return NNTP_TLS_OK;
    case SSL_ERROR_WANT_READ:
        return NNTP_TLS_MORE;
    case SSL_ERROR_WANT_WRITE:
        return NNTP_TLS_ROOM;
    case SSL_ERROR_ZERO_RETURN:
        ERR_clear_error();
        return NNTP_TLS_END;
    default:
        return failed(t);
    }
}

enum nntp_tls_state nntp_tls_handshake(struct nntp_tls *t)
{
    ERR_clear_error();
    enum nntp_tls_state s = state_of(t, SSL_do_handshake(t->ssl));
    return s == NNTP_TLS_END ? failed(t) : s;
}

enum nntp_tls_state nntp_tls_read(struct nntp_tls *t, void *p, size_t cap, size_t *n)
{
    *n = 0;
    ERR_clear_error();
    int r = SSL_read_ex(t->ssl, p, cap, n);
    return r == 1 ? NNTP_TLS_OK : state_of(t, r);
}

enum nntp_tls_state nntp_tls_write(struct nntp_tls *t, const void *p, size_t len, size_t *n)
{
    *n = 0;
    ERR_clear_error();
    int r = SSL_write_ex(t->ssl, p, len, n);
    return r == 1 ? NNTP_TLS_OK : state_of(t, r);
}

const char *nntp_tls_error(struct nntp_tls *t)
{
    return t->error;
}

bool nntp_tls_is_resumed(const struct nntp_tls *t)
{
    return SSL_session_reused(t->ssl) == 1;
}
