/**
 * site — one provider as it is configured now, and what has been learnt of its servers' habits.
 *
 * Shape     Fixed once made, and counted: a connection keeps the site it was opened for. Another
 *           configuration is another site; the old one is retired and its connections with it.
 * Threads   Any.
 */
#ifndef NNTP_SITE_H
#define NNTP_SITE_H

#include "base/config.h"
#include "base/log.h"
#include "nntp/tls.h"

#include <stdatomic.h>

/** Kinds of trouble, each said once a period with a count. */
enum nntp_gripe {
    NNTP_GRIPE_REFUSED,
    NNTP_GRIPE_LIMIT,
    NNTP_GRIPE_LOGIN,
    NNTP_GRIPE_BROKEN,
    NNTP_GRIPE_SILENT,
    NNTP_GRIPE_DECLINED,
    NNTP_GRIPE_SPOILT,
    NNTP_GRIPES,
};

struct nntp_site {
    /* fixed after nntp_site_new() */
    char *name, *host, *ca_file; /* ca_file NULL: the system's */
    bool verify;
    char *username, *password; /* NULL: none */
    unsigned port;
    uint64_t connect_us, stall_us;
    struct nntp_tls_ctx *tls; /* NULL: plain */
    /* any thread */
    atomic_uint refs;
    atomic_bool retired;          /* the configuration has moved on */
    atomic_bool proven;           /* has answered an article command by its meaning */
    atomic_bool need_group;       /* says 412 without GROUP */
    atomic_bool need_mode_reader; /* MODE READER made it know the commands */
    atomic_bool no_mode_reader;   /* does not know it, or it changes nothing */
    atomic_bool no_stat;          /* 500 to STAT; HEAD says as much */
    atomic_bool no_body;          /* 500 to BODY, and ARTICLE was answered */
    atomic_bool echoes;           /* names in its answer the article that was asked for */
    struct log_gate gripes[NNTP_GRIPES];
};

/** `p` and `t` are copied. 0, or -errno with one line in err[errlen]. */
int nntp_site_new(const struct config_provider *p, const struct config_timeouts *t,
                  struct nntp_site **out, char *err, size_t errlen);

struct nntp_site *nntp_site_get(struct nntp_site *s);
/** The last one frees it; secrets are wiped. */
void nntp_site_put(struct nntp_site *s);

/** Would the same site come of this configuration? */
bool nntp_site_is_for(const struct nntp_site *s, const struct config_provider *p,
                      const struct config_timeouts *t);

/** A warning about this provider, one a period for each kind. `what` follows the provider's name. */
void nntp_site_gripe(struct nntp_site *s, enum nntp_gripe kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
