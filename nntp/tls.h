/**
 * tls — TLS 1.2 or later to a news server, verified unless the user says otherwise.
 *
 * Shape     A *context* per provider (trust, name, the newest session) and a *tls* per connection, fed by
 *           the loop's shared receive buffer (wire.h).
 * Threads   A context: any (the session has its own lock, a leaf). A tls: its loop's.
 * Errors    One line that names the host and, for a certificate, what is wrong with it and what to do.
 * Source    RFC 8446, RFC 5246; RFC 6066 §3 (SNI: names only); RFC 6125 (names in certificates).
 */
#ifndef NNTP_TLS_H
#define NNTP_TLS_H

#include "base/config.h"
#include "nntp/wire.h"

struct nntp_tls_ctx;
struct nntp_tls;

/** `p` is copied. 0, or -errno with one line in err[errlen]. */
int nntp_tls_ctx_new(const struct config_provider *p, struct nntp_tls_ctx **out, char *err,
                     size_t errlen);
/** No tls of it may be left. */
void nntp_tls_ctx_free(struct nntp_tls_ctx *ctx);

/** A connection over `w`, lent until nntp_tls_free(). NULL: no memory. */
struct nntp_tls *nntp_tls_new(struct nntp_tls_ctx *ctx, struct nntp_wire *w);
/** Says goodbye (close_notify) where that is instant. */
void nntp_tls_free(struct nntp_tls *t);

enum nntp_tls_state {
    NNTP_TLS_OK,
    NNTP_TLS_MORE,  /* the peer's turn: go on when there is more to read */
    NNTP_TLS_ROOM,  /* the socket is full: go on when it is writable */
    NNTP_TLS_END,   /* the peer has ended the session */
    NNTP_TLS_ERROR, /* nntp_tls_error() says why */
};

enum nntp_tls_state nntp_tls_handshake(struct nntp_tls *t);

/** Up to `cap` decrypted bytes; *n of them with OK. With MORE everything the wire had is used up. */
enum nntp_tls_state nntp_tls_read(struct nntp_tls *t, void *p, size_t cap, size_t *n);

/** *n bytes sent with OK. After ROOM repeat with the same bytes in front. */
enum nntp_tls_state nntp_tls_write(struct nntp_tls *t, const void *p, size_t len, size_t *n);

/** After ERROR; lives as long as `t`. */
const char *nntp_tls_error(struct nntp_tls *t);

/** Was this connection's handshake shortened by an earlier one's session? After OK. */
bool nntp_tls_is_resumed(const struct nntp_tls *t);

#endif
