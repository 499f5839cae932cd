/**
 * conn — one connection to a news server: from the first SYN to the last word.
 *
 * Shape     A state machine on a loop. It knows nothing of the scheduler: what becomes of it goes out
 *           through hooks, what it is to do comes in through nntp_conn_*().
 *               conn.c  the socket: dialling, TLS, reading, writing, time, the end
 *               talk.c  the conversation: greeting, login, commands out, answers in
 * States
 *     DIAL ──▶ TLS ──▶ GREETING ──▶ LOGIN ──▶ READY ──▶ QUIT ──▶ (gone)
 *     resolve, connect              AUTHINFO,  takes     said
 *                                   MODE       ops       QUIT
 * Threads   The loop's, all of it. Hooks run there too.
 * Memory    nntp_conn_new() allocates all; the receive buffers are the loop's.
 * Order     Operations are reported in the order in which they were started, whatever the server makes
 *           of them. Nothing is ever pipelined behind AUTHINFO, MODE READER or GROUP.
 */
#ifndef NNTP_CONN_H
#define NNTP_CONN_H

#include "nntp/article.h"
#include "nntp/dial.h"
#include "nntp/loop.h"
#include "nntp/rates.h"
#include "nntp/response.h"
#include "nntp/site.h"
#include "nntp/wire.h"
#include "qos/qos.h"

struct nntp_conn;

/** What a connection holds of an operation; embedded in the pool's. */
struct nntp_exchange {
    struct list link;        /* among the connection's, in the order of their starts */
    struct segment_fetch *f; /* lent until it is reported */
    uint64_t bytes;          /* of its answer, so far */
    enum { EXCHANGE_WAITING, EXCHANGE_SENT, EXCHANGE_ANSWERED } state;
    enum qos_outcome outcome; /* once answered */
    enum segment_verb verb;   /* as asked on this connection: HEAD stands in for an unknown STAT */
    unsigned tried;           /* EXCHANGE_TRIED_*: cures are tried once */
    bool alone;               /* nothing was under way when it was sent */
};
#define EXCHANGE_TRIED_LOGIN 1u
#define EXCHANGE_TRIED_GROUP 2u /* 412 although its group was selected */
#define EXCHANGE_NO_GROUP    4u /* GROUP was refused: do without */
#define EXCHANGE_WHOLE       8u /* BODY is not known: ARTICLE brings it too */

/** Each runs on the loop, never inside nntp_conn_new(). */
struct nntp_conn_hooks {
    /** It can take operations. */
    void (*up)(struct nntp_conn *c);
    /** The text that answers `x` begins, which was sent with nothing else under way. NULL: nobody asks. */
    void (*begun)(struct nntp_conn *c, struct nntp_exchange *x);
    /** `x` is over; x->outcome and x->bytes say how. */
    void (*done)(struct nntp_conn *c, struct nntp_exchange *x);
    /** It is no more. What was started on it and not reported is the owner's again (the links are loose).
     *  `text` says why, for a person. `c` is freed soon after. */
    void (*gone)(struct nntp_conn *c, enum qos_gone why, bool seen, const char *text);
    /** How many bytes may be received now, at most `want`; *rated: what is not used is wanted back. 0: none
     *  before nntp_conn_resume(). */
    uint64_t (*allow)(struct nntp_conn *c, uint64_t want, bool *rated);
    /** So many of them were not used. */
    void (*give)(struct nntp_conn *c, uint64_t bytes);
};

struct nntp_counters {
    atomic_uint_fast64_t wire, payload;
};

enum nntp_conn_state { CONN_DIAL, CONN_TLS, CONN_GREETING, CONN_LOGIN, CONN_READY, CONN_QUIT };

/** A command that nothing may be pipelined behind. */
enum nntp_gate { GATE_NONE, GATE_USER, GATE_PASS, GATE_MODE, GATE_GROUP };

struct nntp_conn {
    /* fixed after nntp_conn_new() */
    const struct nntp_conn_hooks *hooks;
    void *owner;
    struct nntp_loop *loop;
    struct nntp_resolver *resolver;
    struct nntp_site *site;
    struct nntp_counters *counters;
    /* the owner's */
    qos_conn id;
    unsigned provider;
    struct list mail;
    unsigned mail_kinds;
    struct nntp_turn turn;
    struct nntp_conn *chain;

    /* the socket (conn.c) */
    enum nntp_conn_state state;
    struct list on_loop;
    struct nntp_wire wire;
    struct nntp_tls *tls;
    struct event readable, writable;
    struct nntp_ask ask;
    struct nntp_dial dial;
    struct nntp_task bury;
    uint64_t limit_us;    /* until it must be ready, or have closed */
    uint64_t progress_us; /* when the server last did something worth the name */
    uint64_t crumbs;      /* bytes since then */
    bool dead;
    bool paused; /* the rate limit is spent: it waits for nntp_conn_resume() */
    bool opened; /* events are in place */

    /* the conversation (talk.c) */
    bool up; /* the owner knows that it is ready */
    bool logged_in;
    bool mode_done;  /* MODE READER has done what it can */
    bool mode_tried; /* it has been answered at least once */
    bool from_idle;  /* the first exchange was sent after the connection had been idle */
    bool
        holding; /* something is to be repeated: send nothing until all that was sent is answered */
    enum nntp_gate gate;        /* sent and not answered */
    enum nntp_gate wanted;      /* to be sent when nothing is under way */
    struct list exchanges;      /* reported from the front */
    struct nntp_exchange *text; /* whose multi-line answer is coming in; NULL: lines are */
    unsigned nsent;
    uint64_t answered;
    enum qos_outcome veto; /* what begin() made of the article */
    char group[512];
    char line[NNTP_LINE_MOST];
    size_t nline;
    char out[2048];
    size_t nout;
    bool secret; /* out[] holds one */
    struct article article;
};

/** `site` is counted, the rest lent for life. Any thread. NULL: no memory. */
struct nntp_conn *nntp_conn_new(const struct nntp_conn_hooks *hooks, void *owner,
                                struct nntp_loop *l, struct nntp_resolver *r,
                                struct nntp_site *site, struct nntp_counters *counters);
/** One that was never opened. */
void nntp_conn_free(struct nntp_conn *c);

void nntp_conn_open(struct nntp_conn *c);

/** x->f is set, the rest is the connection's from now on until it is reported. The connection is up. */
void nntp_conn_start(struct nntp_conn *c, struct nntp_exchange *x);

/** End it in good manners: QUIT, wait for the server to close. With operations on it, or `now`: at once. */
void nntp_conn_close(struct nntp_conn *c, bool now);

/** It may receive again; hooks->allow() says how much. */
void nntp_conn_resume(struct nntp_conn *c);

/** Look at the time. True: it has a limit to keep, so look again. */
bool nntp_conn_tick(struct nntp_conn *c, uint64_t now_us);

/* --- between conn.c and talk.c --------------------------------------------------------------------- */

/** End it; hooks->gone runs. Afterwards only c->dead may be looked at. */
void nntp_conn_end(struct nntp_conn *c, enum qos_gone why, bool seen, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/** The other side has closed or reset it. */
void nntp_talk_hung_up(struct nntp_conn *c, const char *how);

/** Bytes from the server; all are used. */
void nntp_talk_feed(struct nntp_conn *c, const uint8_t *p, size_t len);

/** What is in place of `x`, which is started here and not reported. False: nothing, and nothing will be. *info NULL:
 *  its payload has not begun; else that is what it says of itself, and *n bytes of it are there. */
bool nntp_talk_has(const struct nntp_conn *c, const struct nntp_exchange *x,
                   const struct segment_info **info, size_t *n);

/** The asker of `x` wants no more of it, and nothing is written to his memory from now on: what comes is passed over,
 *  and is reported for `f` as QOS_NO_ROOM. */
void nntp_talk_disown(struct nntp_conn *c, struct nntp_exchange *x, struct segment_fetch *f);

/** Put into out[] what may be said now. */
void nntp_talk_send(struct nntp_conn *c);

/** The pleasantries are over. */
void nntp_talk_quit(struct nntp_conn *c);

#endif
