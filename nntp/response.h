/**
 * response — what a news server's answer line says, and what it means to the command it answers.
 *
 * Shape     Pure. A line comes in without its CR LF, a code and a meaning come out.
 * Order     Servers differ in codes; the meaning is what the connection acts on. A code that fits no
 *           meaning is NNTP_SENSELESS: the two sides no longer agree on which answer is whose.
 * Source    RFC 3977 §3.2 (response codes), §6.2 (BODY, STAT, HEAD), RFC 4643 §2.3 (AUTHINFO).
 */
#ifndef NNTP_RESPONSE_H
#define NNTP_RESPONSE_H

#include "base/source.h"

#include <stdbool.h>
#include <stddef.h>

/** An answer line longer than this (RFC 3977 §3.1 says 512 octets) is no answer line. */
#define NNTP_LINE_MOST 1024

struct nntp_response {
    int code;         /* 100…599 */
    const char *text; /* what follows the code; points into the line */
    size_t len;
};

/** False: not three digits, the first of them 1 to 5, with something other than a letter or digit (or
 *  nothing) behind them. nserv writes "220, 0 <id>". */
bool nntp_response_parse(const char *line, size_t len, struct nntp_response *r);

/** Does the text speak of too many connections rather than of a wrong password? */
bool nntp_response_names_limit(const struct nntp_response *r);

/** What the greeting says. */
enum nntp_greeting {
    NNTP_WELCOME, /* 200, 201 */
    NNTP_FULL,    /* too many connections */
    NNTP_CLOSED,  /* 400 for another reason, or anything else */
};
enum nntp_greeting nntp_response_greeting(const struct nntp_response *r);

/** What the answer to AUTHINFO USER or PASS says. */
enum nntp_login {
    NNTP_LOGIN_OK,      /* 281 */
    NNTP_LOGIN_MORE,    /* 381: the password, please */
    NNTP_LOGIN_FULL,    /* right perhaps, but too many connections */
    NNTP_LOGIN_REFUSED, /* 481, 482, 452, 502: a person must act */
    NNTP_LOGIN_UNKNOWN, /* 401, 500, 501, 503: the command itself is not known (here, or not yet) */
    NNTP_LOGIN_CLOSED,  /* 400 */
    NNTP_LOGIN_SENSELESS,
};
enum nntp_login nntp_response_login(const struct nntp_response *r);

/** What the answer to an article command says. */
enum nntp_meaning {
    NNTP_TEXT,       /* a multi-line block follows: the article, its body or its head */
    NNTP_PRESENT,    /* 223: it is there */
    NNTP_ABSENT,     /* 430, 423, 420, 411, 451: this server does not have it */
    NNTP_NEED_GROUP, /* 412 */
    NNTP_NEED_LOGIN, /* 480, 450 */
    NNTP_UNKNOWN,    /* 401, 500: command not known (here, or not yet) */
    NNTP_REFUSAL,    /* 403, 501, 502, 503, …: no, and the connection lives on */
    NNTP_CROWDED,    /* 400 or 502 that names a limit: this connection is one too many */
    NNTP_CLOSING,    /* 400, 205: the server ends the connection */
    NNTP_SENSELESS,  /* no answer to this command */
};
enum nntp_meaning nntp_response_meaning(enum segment_verb verb, const struct nntp_response *r);

/** May it be put between < and > in a command? Not empty, at most 497 octets (RFC 3977 §3.1: a command
 *  line has 512), and no control character: nothing that would end the line and begin another.
 *  Spaces, "?" and "=" occur in the wild and are let through. */
bool nntp_message_id_is_safe(const char *id);

/** Likewise for the name of a group, where blanks separate arguments. */
bool nntp_group_is_safe(const char *group);

#endif
