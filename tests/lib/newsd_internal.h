/**
 * newsd, inside: one loop on one thread owns everything.
 *
 * Shape     newsd.c         start, stop, and the inbox through which other threads reach the loop
 *           newsd_listen.c  the listening socket, greeting, limits
 *           newsd_conn.c    a connection: reading lines, sending answers when they are due
 *           newsd_io.c      bytes in and out, plain or TLS
 *           newsd_cmd.c     what each command is answered
 *           newsd_rule.c    which article misbehaves how often, and how often it was asked for
 *           newsd_fault.c   the ways an article misbehaves
 *           newsd_tag.c     who asks for what at the same time; answers held in the middle
 *           newsd_tls.c     contexts and certificates
 * Threads   All of it runs on the loop's thread, but for newsd.c's public functions. No lock besides the
 *           inbox's.
 */
#ifndef TESTS_LIB_NEWSD_INTERNAL_H
#define TESTS_LIB_NEWSD_INTERNAL_H

#include "tests/lib/newsd.h"
#include "tests/lib/spool.h"

#include "base/list.h"

#include <event2/event.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/uio.h>

/* RFC 3977 §3.1: a command line has at most 512 octets with its CRLF. */
#define NEWSD_LINE_MAX  512
/* Answers that may wait on one connection before its commands are left unread. */
#define NEWSD_QUEUE_MAX 256
/* The largest article that is taken by POST. */
#define NEWSD_POST_MAX  (8u << 20)
/* Refusals whose times are kept. */
#define NEWSD_REFUSALS  4096
/* A TLS record. */
#define NEWSD_RECORD    16384

enum newsd_then {
    THEN_GO_ON,
    THEN_CLOSE, /* orderly: close_notify and FIN */
    THEN_CUT,   /* FIN alone */
    THEN_RESET, /* RST, once the peer's kernel has what was sent */
    THEN_STALL, /* nothing more, until newsd_unstall() */
};

/* What is sent for one command. Freed when it is out. */
struct newsd_answer {
    struct list link;
    uint64_t due_us;
    struct iovec iov[3]; /* the line, the article, the terminator; lent or in `owned` */
    unsigned niov;
    size_t len, sent;
    size_t stop; /* `then` happens after so many bytes */
    enum newsd_then then;
    bool straggles;
    uint8_t tag;      /* 1 + newsd_tag_index(); 0: none */
    bool passes;      /* newsd_release(): it is not held */
    uint64_t held_no; /* held; the order in which they were */
    uint8_t *owned;   /* freed with it */
    char line[];
};

struct newsd_conn {
    struct list link;
    struct newsd *d;
    int fd;
    SSL *ssl; /* NULL: plain */
    struct event *readable, *writable, *closed, *timer;

    bool counted;   /* holds one of max_connections */
    bool handshake; /* TLS is not up yet */
    bool eof;       /* the peer will send no more */
    bool ending;    /* no command is read any more */
    bool stalled;
    bool held;                   /* its first answer is, in the middle */
    uint8_t tag;                 /* of its last command, as in newsd_answer */
    uint16_t tagged[NEWSD_TAGS]; /* commands in flight */
    bool lingers;                /* closed by us; waits for the peer's FIN */
    bool hup;                    /* the peer has closed; what it sent before may still be unread */
    bool want_write;
    bool reading, writing; /* which events are armed */
    bool user_said, logged_in, in_group, reader;
    bool posting;

    uint8_t in[NEWSD_RECORD];
    size_t in_len;
    uint8_t *post;
    size_t post_len, post_room;

    struct list answers;
    unsigned nanswers;
    enum newsd_then then; /* to be done when the stage is empty */
    uint64_t free_us;     /* the rate allows the next byte at this moment */
    uint64_t active_us;   /* for idle_close_ms */
    uint64_t shake_us;    /* when the handshake may begin */
    uint64_t deadline_us; /* of lingering and of resetting */
    uint8_t *stage;       /* TLS: the record being sent */
    size_t stage_len, stage_sent;
};

struct newsd_item;

struct newsd {
    /* fixed after newsd_start() */
    struct spool *spool;
    pthread_t thread;
    uint16_t port;
    char *ca_file;
    bool ca_made; /* removed at stop */
    int holder;   /* keeps the port while nobody listens */
    int wake;     /* eventfd: the inbox has a call */

    /* under lock: the inbox, of one call at a time */
    pthread_mutex_t lock;
    pthread_cond_t turn;
    void (*call)(struct newsd *d, void *arg);
    void *call_arg;
    bool call_busy;

    /* the loop's own */
    struct event_base *base;
    struct event *inbox, *accepting, *accept_again;
    int listener;
    SSL_CTX *tls;
    struct newsd_config cfg; /* strings are copies */
    struct list conns;
    struct newsd_stats stats;
    bool silent;
    uint64_t dice;
    struct newsd_item **items; /* newsd_rule.c */
    size_t nslots, nitems;
    struct newsd_item *all;
    uint64_t posts;
    bool holding;                      /* newsd_tag.c, from here on */
    uint64_t held_no;                  /* of the last that was held */
    struct newsd_tag tags[NEWSD_TAGS]; /* counters, on and on_peak */
    uint64_t refusals[NEWSD_REFUSALS]; /* a ring */
    uint64_t nrefusals;
    bool no_logins;
};

/* ---- newsd.c ---- */

/** Runs fn(d, arg) on the loop and returns when it has. Any thread but the loop's. */
void newsd_call(struct newsd *d, void (*fn)(struct newsd *d, void *arg), void *arg);
/** The next number of the seeded generator. */
uint64_t newsd_dice(struct newsd *d);

/* ---- newsd_listen.c ---- */

int newsd_port_take(struct newsd *d);
int newsd_listen(struct newsd *d);
void newsd_unlisten(struct newsd *d);

/* ---- newsd_conn.c ---- */

/** Takes `fd`. NULL: no memory, and it is closed. */
struct newsd_conn *newsd_conn_new(struct newsd *d, int fd);
void newsd_conn_free(struct newsd_conn *c);
/** Does whatever can be done now: handshake, reading, sending. `c` may be gone afterwards. */
void newsd_conn_run(struct newsd_conn *c);
/** The peer has closed, or we have: it is not one of max_connections any more. */
void newsd_conn_uncount(struct newsd_conn *c);
/** Put an answer in the queue, due after the server's latency. Taken; NULL (no memory) ends `c`. */
void newsd_conn_answer(struct newsd_conn *c, struct newsd_answer *a);
/** The end of this connection, in the way of `then`, at once; `c` may be gone afterwards. */
void newsd_conn_end(struct newsd_conn *c, enum newsd_then then);

/** An answer of one formatted line, CRLF added. */
struct newsd_answer *newsd_answer_new(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/** More of it; `bytes` lent until it is sent. */
void newsd_answer_add(struct newsd_answer *a, const void *bytes, size_t len);
void newsd_answer_free(struct newsd_answer *a);

/* ---- newsd_io.c ---- */

/** Bytes read; 0: none now; -1: the end. */
int newsd_io_read(struct newsd_conn *c, void *buf, size_t room);
/** Sends of the answers in the queue what is due, at most `most`. Bytes taken; -EAGAIN; -EIO. */
int64_t newsd_io_send(struct newsd_conn *c, size_t most, uint64_t now);
/** 0: all that was taken is with the kernel; -EAGAIN; -EIO. */
int newsd_io_flush(struct newsd_conn *c);
/** 1: up; 0: later; -1: failed. */
int newsd_io_handshake(struct newsd_conn *c);

/* ---- newsd_cmd.c ---- */

/** One command line, without its end. */
void newsd_cmd_run(struct newsd_conn *c, char *line);
/** The article of a POST, dot-stuffed and with its terminator. */
void newsd_cmd_post(struct newsd_conn *c, const uint8_t *wire, size_t len);

/* ---- newsd_rule.c ---- */

int newsd_rule_add(struct newsd *d, const char *message_id, enum newsd_fault fault, unsigned times);
void newsd_rule_clear(struct newsd *d);
/** The fault that is due for this article; `payload` false: only those that concern any command. */
enum newsd_fault newsd_rule_take(struct newsd *d, const char *message_id, bool payload);
void newsd_rule_asked(struct newsd *d, const char *message_id);
uint64_t newsd_rule_asked_get(struct newsd *d, const char *message_id);
void newsd_rule_fini(struct newsd *d);

/* ---- newsd_fault.c ---- */

/** The answer that an article gets under `fault`: `line` is what BODY or ARTICLE would say, `bytes` what
 *  would follow. Also for NEWSD_NONE. NULL: no memory. */
struct newsd_answer *newsd_fault_answer(struct newsd *d, enum newsd_fault fault, const char *line,
                                        const uint8_t *bytes, size_t len);

/* ---- newsd_tag.c ---- */

/** A command for this message-id has come; `a`, its answer, will know. */
void newsd_tag_asked(struct newsd_conn *c, const char *message_id, struct newsd_answer *a);
/** Up to where `a` may be sent now; the answers behind it wait when that is not its end. */
size_t newsd_tag_stop(const struct newsd *d, const struct newsd_answer *a);
/** `n` more bytes of `a`, the first of `c`, are out. True: here it is held. */
bool newsd_tag_sent(struct newsd_conn *c, struct newsd_answer *a, size_t n);
/** `a` leaves the queue of `c`, answered or not. */
void newsd_tag_left(struct newsd_conn *c, const struct newsd_answer *a);
/** `c` is counted no more from now on. */
void newsd_tag_uncount(struct newsd_conn *c);
/** Peaks are what there is. */
void newsd_tag_reset_peaks(struct newsd *d);
/** A connection attempt was told that it is one too many. */
void newsd_tag_refused(struct newsd *d);

/* ---- newsd_tls.c ---- */

/** 0; -1 with the reason on stderr. */
int newsd_tls_start(struct newsd *d);
void newsd_tls_stop(struct newsd *d);

#endif
