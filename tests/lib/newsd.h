/**
 * newsd — a small news server on loopback, for tests, benchmarks and the demo.
 *
 * Shape     In-process: newsd_start() runs it on a thread of its own. tests/newsd.c is the same as a
 *           program. It serves articles that a *spool* holds (tests/lib/spool.h), over TCP or TLS, on
 *           port 0 (newsd_port() says which), and misbehaves exactly as its script says.
 * Speed     Articles are encoded once and sent by writev from memory, so that the server's share of a
 *           benchmark is small and repeatable.
 * Threads   newsd_* may be called from any thread. Counters are exact.
 * Source    RFC 3977, RFC 4643. Commands: CAPABILITIES MODE-READER AUTHINFO GROUP STAT HEAD BODY
 *           ARTICLE DATE POST QUIT; pipelined commands are answered in order. Groups below alt. exist;
 *           articles have no numbers. With greeting 200 posts are taken into the spool (441: not an
 *           article, too large, or one of that id is there); with 201 POST is answered 440.
 */
#ifndef TESTS_LIB_NEWSD_H
#define TESTS_LIB_NEWSD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct spool;
struct newsd;

/** How an article misbehaves. A rule applies to `message_id` (NULL: all), `times` times (0: for ever).
 *  Rules of one article that hold a number of times take their turns in the order they were made; one
 *  that holds for ever replaces all before it. An article's own rules go before those for all, and
 *  NEWSD_NONE keeps it well. BODY and ARTICLE use rules up; STAT and HEAD obey 430, 403, 400,
 *  STALL_FIRST and GARBAGE_CODE, and leave the others alone. */
enum newsd_fault {
    NEWSD_NONE,
    NEWSD_430,         /* no such article */
    NEWSD_CLOSE_MID,   /* half of the article, then the connection is closed */
    NEWSD_RESET_MID,   /* the same with a reset */
    NEWSD_STALL_MID,   /* half of it, then silence until newsd_unstall() or the client goes */
    NEWSD_STALL_FIRST, /* no answer at all, likewise */
    NEWSD_BAD_CRC,     /* one payload byte changed; the CRC in =yend is the true one's */
    NEWSD_WRONG_BYTES, /* the same with one in every line */
    NEWSD_BAD_PART, /* =ypart begin and end moved by one part; a single part has none and is sound */
    NEWSD_SHORT,    /* a line of payload is left out */
    NEWSD_NO_YEND,  /* the =yend line is left out */
    NEWSD_GARBAGE,  /* 222 and then random bytes, dot-terminated */
    NEWSD_GARBAGE_CODE, /* an answer line that is no answer */
    NEWSD_403,          /* internal fault */
    NEWSD_400,          /* "400 shutting down", then closed */
    NEWSD_UUENCODE,     /* the article is uuencoded */
};

struct newsd_config {
    bool tls;
    const char *cert_file,
        *key_file; /* tls; NULL: a self-signed one for localhost, 127.0.0.1 and ::1,
                                         made at start; newsd_ca_file() names it */
    bool ipv6;     /* listen on ::1 in place of 127.0.0.1 */
    uint16_t port; /* 0: any */
    const char *username, *password; /* NULL: no login needed */
    unsigned
        max_connections; /* further ones are greeted with `limit_code` and closed; 0: no limit */
    unsigned limit_code; /* 502 (or 400, or 481 at login); 0: 502 */
    unsigned greeting;   /* 200 or 201; 400 and 502 refuse everyone; 0: 200 */
    unsigned latency_us; /* before each answer's first byte (a round trip); pipelined commands
                                    overlap */
    uint64_t rate_bps;   /* per connection; 0: none */
    unsigned jitter_us;  /* 0…this more, from a seeded generator */
    unsigned straggler_permille; /* of articles sent at a tenth of the rate; none without a rate */
    bool need_group;             /* 412 until GROUP */
    bool need_mode_reader;       /* 480-less transit mode: 500 to BODY until MODE READER */
    bool swap_codes;             /* nserv's quirk: BODY answers "220, …", ARTICLE "222, …" */
    bool only_basics;            /* knows AUTHINFO, BODY, ARTICLE, QUIT; 500 to the rest */
    unsigned idle_close_ms;      /* closes connections that idle so long; 0: never */
    uint64_t seed;
    unsigned handshake_us; /* tls: how much later than connecting the handshake is answered */
};

/** `spool` is lent until newsd_stop(); several servers may share one. NULL: said on stderr. */
struct newsd *newsd_start(const struct newsd_config *cfg, struct spool *spool);
void newsd_stop(struct newsd *d);

uint16_t newsd_port(const struct newsd *d);
const char *newsd_ca_file(const struct newsd *d);

/** Change what it does, now. */
void newsd_fault(struct newsd *d, const char *message_id, enum newsd_fault fault, unsigned times);
/** The fault of that name ("430", "close-mid", "bad-crc", …: the enum's, small, with hyphens), or -1. */
int newsd_fault_named(const char *name);
void newsd_clear_faults(struct newsd *d);
void newsd_unstall(struct newsd *d);
void newsd_set_limit(struct newsd *d, unsigned max_connections);
void newsd_set_latency(struct newsd *d, unsigned latency_us);
/** How everyone is greeted from now on: 200, 201, or 400 and 502, which refuse. */
void newsd_set_greeting(struct newsd *d, unsigned greeting);
/** refuse: whatever password comes is a wrong one; false: as before. */
void newsd_refuse_logins(struct newsd *d, bool refuse);
/** down: every connection is reset and new ones are refused (the port stays ours); up: as before. */
void newsd_down(struct newsd *d, bool down);
/** silent: connections are accepted and nothing is ever answered; false: as before. */
void newsd_silent(struct newsd *d, bool silent);
/** Close every connection now, as an idle timeout would (FIN). */
void newsd_drop_all(struct newsd *d);

struct newsd_stats {
    unsigned connections, connections_peak; /* now; most at once */
    uint64_t accepted, refused, logins, resumed_tls;
    uint64_t body, article, stat, head, group, missing, commands;
    uint64_t bytes_sent;
};

void newsd_stats(struct newsd *d, struct newsd_stats *out);
/** connections_peak, and each tag's on_peak, are from now on the most at once since this moment. Returns what it was. */
unsigned newsd_reset_peak(struct newsd *d);

/** When it refused the last connections (at the greeting or at login, told as too many), on the scale of
 *  clock_now_us(), in order: up to `room` of the latest 4096. Returns how many it wrote. */
size_t newsd_refusals(struct newsd *d, uint64_t *times_us, size_t room);

/* ---- by tag: who does what at the same time ----
 *
 * An article's *tag* is the first letter of its message-id, small or capital (spool_file.tag). Tests give
 * each class, or each stream, articles of a tag of its own; then the server can tell them apart. */

/** Commands are BODY, ARTICLE, STAT and HEAD of a well-formed message-id. */
struct newsd_tag {
    unsigned connections; /* open now, whose last command had this tag */
    unsigned carrying;    /* of which the command that is to be answered next has it */
    unsigned pipelined;   /* of those, with one command or more behind it */
    unsigned deep;        /* with two or more */
    unsigned on, on_peak; /* connections with any such command in flight; most at once */
    unsigned in_flight;   /* commands received and not wholly answered */
    unsigned held;        /* answers stopped in the middle by newsd_hold() */
    uint64_t commands;    /* in all */
    uint64_t answered;    /* wholly, whatever the answer was */
    uint64_t bytes;       /* sent in answers to them */
};

#define NEWSD_TAGS 27 /* a…z, and what begins with no letter */

struct newsd_tags {
    struct newsd_tag of[NEWSD_TAGS];
    struct newsd_tag all; /* their sums, but on_peak */
    unsigned connections; /* open now, also those that have asked for nothing */
    unsigned peak;        /* newsd_stats.connections_peak */
    uint64_t accepted, refused;
};

/** Where a tag's figures are. */
unsigned newsd_tag_index(char letter);

/** One moment. */
void newsd_tags(struct newsd *d, struct newsd_tags *out);

/** true: from now on answers to the commands above stop in the middle and wait; what stands behind them on
 *  the same connection waits too. false: all go on, and none stops any more. */
void newsd_hold(struct newsd *d, bool hold);
/** Of those that are held now and have this tag (0: any), let the `n` that have waited longest go on.
 *  Returns how many there were to let go. */
unsigned newsd_release(struct newsd *d, char tag, unsigned n);
/** How often this article was asked for by BODY or ARTICLE. */
uint64_t newsd_asked(struct newsd *d, const char *message_id);

#endif
