/* TLS for the server: a certificate given by files, or one made at start for localhost and signed by a CA
 * made with it. The CA's certificate is written to a temporary file for clients to trust. */
#include "tests/lib/newsd_internal.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DAYS_VALID 30

struct signer {
    X509 *cert;
    EVP_PKEY *key;
};

static bool extension_add(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    bool good = e && X509_add_ext(cert, e, -1);
    X509_EXTENSION_free(e);
    return good;
}

static bool name_set(X509 *cert, const char *cn)
{
    X509_NAME *name = X509_get_subject_name(cert);
    return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)cn, -1, -1,
                                      0);
}

/* A certificate for a new key; signed by `ca`, or by itself where NULL. */
static bool cert_make(struct signer *out, const struct signer *ca, const char *cn,
                      const char *names)
{
    out->key = EVP_EC_gen("P-256");
    out->cert = X509_new();
    if (!out->key || !out->cert)
        return false;
    X509 *c = out->cert, *issuer = ca ? ca->cert : c;
    bool good = X509_set_version(c, X509_VERSION_3) &&
                ASN1_INTEGER_set(X509_get_serialNumber(c), ca ? 2 : 1) &&
                X509_gmtime_adj(X509_getm_notBefore(c), -86400) &&
                X509_gmtime_adj(X509_getm_notAfter(c), 86400L * DAYS_VALID) &&
                X509_set_pubkey(c, out->key) && name_set(c, cn) &&
                X509_set_issuer_name(c, X509_get_subject_name(issuer)) &&
                extension_add(c, issuer, NID_subject_key_identifier, "hash") &&
                extension_add(c, issuer, NID_basic_constraints,
                              ca ? "critical,CA:FALSE" : "critical,CA:TRUE");
    if (ca)
        good = good && extension_add(c, issuer, NID_authority_key_identifier, "keyid:always") &&
               extension_add(c, issuer, NID_subject_alt_name, names) &&
               extension_add(c, issuer, NID_ext_key_usage, "serverAuth");
    else
        good = good && extension_add(c, issuer, NID_key_usage, "critical,keyCertSign,cRLSign");
    return good && X509_sign(c, ca ? ca->key : out->key, EVP_sha256()) > 0;
}

static void signer_fini(struct signer *s)
{
    X509_free(s->cert);
    EVP_PKEY_free(s->key);
}

static bool ca_write(struct newsd *d, X509 *cert)
{
    const char *dir = getenv("TMPDIR");
    if (asprintf(&d->ca_file, "%s/newsd-ca.XXXXXX", dir && *dir ? dir : "/tmp") < 0) {
        d->ca_file = NULL;
        return false;
    }
    int fd = mkstemp(d->ca_file);
    if (fd < 0)
        return false;
    d->ca_made = true;
    FILE *f = fdopen(fd, "w");
    if (!f) {
        close(fd);
        return false;
    }
    bool good = PEM_write_X509(f, cert);
    return fclose(f) == 0 && good;
}

static bool cert_use_made(struct newsd *d)
{
    struct signer ca = {0}, own = {0};
    bool good = cert_make(&ca, NULL, "newsd test CA", NULL) &&
                cert_make(&own, &ca, "localhost", "DNS:localhost,IP:127.0.0.1,IP:::1") &&
                SSL_CTX_use_certificate(d->tls, own.cert) &&
                SSL_CTX_use_PrivateKey(d->tls, own.key) && ca_write(d, ca.cert);
    signer_fini(&own);
    signer_fini(&ca);
    return good;
}

static bool cert_use_files(struct newsd *d)
{
    d->ca_file = strdup(d->cfg.cert_file);
    return d->ca_file && SSL_CTX_use_certificate_chain_file(d->tls, d->cfg.cert_file) == 1 &&
           SSL_CTX_use_PrivateKey_file(d->tls, d->cfg.key_file, SSL_FILETYPE_PEM) == 1;
}

static bool context_make(struct newsd *d)
{
    static const unsigned char id[] = "newsd";
    d->tls = SSL_CTX_new(TLS_server_method());
    if (!d->tls || !SSL_CTX_set_min_proto_version(d->tls, TLS1_2_VERSION) ||
        !SSL_CTX_set_session_id_context(d->tls, id, sizeof(id) - 1))
        return false;
    SSL_CTX_set_mode(d->tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (d->cfg.cert_file && d->cfg.key_file)
        return cert_use_files(d);
    return cert_use_made(d);
}

int newsd_tls_start(struct newsd *d)
{
    if (context_make(d))
        return 0;
    char why[256];
    ERR_error_string_n(ERR_peek_error(), why, sizeof(why));
    fprintf(stderr, "newsd: no TLS with %s: %s\n",
            d->cfg.cert_file ? d->cfg.cert_file : "a certificate of its own", why);
    return -1;
}

void newsd_tls_stop(struct newsd *d)
{
    if (d->ca_file && d->ca_made)
        unlink(d->ca_file);
    free(d->ca_file);
    d->ca_file = NULL;
    SSL_CTX_free(d->tls);
    d->tls = NULL;
}
