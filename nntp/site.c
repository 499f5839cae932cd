#define LOG_TAG "nntp.site"
#include "nntp/site.h"
#include "base/clock.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GRIPE_PERIOD_US 10000000u

static bool same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static int copy(char **out, const char *s)
{
    *out = s ? strdup(s) : NULL;
    return s && !*out ? -ENOMEM : 0;
}

static void wipe(char *s)
{
    if (s)
        OPENSSL_cleanse(s, strlen(s));
    free(s);
}

static void site_free(struct nntp_site *s)
{
    nntp_tls_ctx_free(s->tls);
    free(s->name);
    free(s->host);
    free(s->ca_file);
    wipe(s->username);
    wipe(s->password);
    free(s);
}

/* Both go into a command line; a line end in one would be a second command. */
static bool secret_is_safe(const char *s)
{
    return !s || (s[0] && strlen(s) <= 480 && !strpbrk(s, "\r\n"));
}

int nntp_site_new(const struct config_provider *p, const struct config_timeouts *t,
                  struct nntp_site **out, char *err, size_t errlen)
{
    struct nntp_site *s;
    int r;

    if (!secret_is_safe(p->username) || !secret_is_safe(p->password)) {
        snprintf(err, errlen,
                 "[provider %s] username and password: 1 to 480 characters on one line", p->name);
        return -EINVAL;
    }
    s = calloc(1, sizeof(*s));
    if (!s || copy(&s->name, p->name) || copy(&s->host, p->host) || copy(&s->ca_file, p->ca_file) ||
        copy(&s->username, p->username) || copy(&s->password, p->password)) {
        snprintf(err, errlen, "[provider %s] no memory", p->name);
        r = -ENOMEM;
        goto err0;
    }
    s->port = p->port;
    s->verify = p->verify;
    s->connect_us = t->connect_s * (uint64_t)1000000;
    s->stall_us = t->stall_s * (uint64_t)1000000;
    atomic_init(&s->refs, 1);
    if (p->tls && (r = nntp_tls_ctx_new(p, &s->tls, err, errlen)))
        goto err0;
    *out = s;
    return 0;
err0:
    if (s)
        site_free(s);
    return r;
}

struct nntp_site *nntp_site_get(struct nntp_site *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void nntp_site_put(struct nntp_site *s)
{
    if (s && atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1)
        site_free(s);
}

bool nntp_site_is_for(const struct nntp_site *s, const struct config_provider *p,
                      const struct config_timeouts *t)
{
    return same(s->name, p->name) && same(s->host, p->host) && same(s->ca_file, p->ca_file) &&
           same(s->username, p->username) && same(s->password, p->password) && s->port == p->port &&
           s->verify == p->verify && (s->tls != NULL) == p->tls &&
           s->connect_us == t->connect_s * (uint64_t)1000000 &&
           s->stall_us == t->stall_s * (uint64_t)1000000;
}

void nntp_site_gripe(struct nntp_site *s, enum nntp_gripe kind, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    uint64_t n = log_gate_pass(&s->gripes[kind], clock_now_us(), GRIPE_PERIOD_US);

    if (!n)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (n > 1)
        log_warn("%s: %s (%llu times)", s->name, text, (unsigned long long)n);
    else
        log_warn("%s: %s", s->name, text);
}
