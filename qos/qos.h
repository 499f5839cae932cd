/**
 * qos — which operation is sent next, and on which connection.
 *
 * Shape     A state machine. Facts go in (qos_submit, qos_conn_*, qos_op_done, …), orders come out
 *           (qos_next). No I/O, no clock, no thread, no dice.
 * Time      Every fact carries `now`: microseconds on any scale that never goes back.
 * Threads   None of its own. The caller serialises; nntp/pool.c holds one mutex around it.
 * Memory    All of it in qos_new(). No later call allocates; a full table is -ENOSPC.
 * Handles   qos_op and qos_conn are numbers with a generation: a late fact about one that has ended is
 *           ignored, never harmful. 0 names none.
 * Replay    The same facts in the same order give the same orders on every machine.
 *
 * Words     *Provider*: an account with so many connections and a tier. *Operation*: one attempt at one
 *           exchange; a retry inside qos is a new attempt of the same qos_op. *Lease*: what a
 *           connection is from the order that gives it to a class until its last operation has ended;
 *           a connection that is being opened for a class is leased to it. *Guaranteed* and *burst* are
 *           counted over all providers together.
 *
 * Invariants, after every call:
 *   I1 sockets of provider p (opening, ready, leased, closing, lingering) <= its connections
 *   I2 leases <= total, leases of class c <= its burst; the classes' leases sum to the leased sockets
 *   I3 no slot goes to a class at or above its guarantee while an operation that the slot could serve
 *      waits in a class below its own
 *   I4 no slot that a waiting operation could use stays idle, but for burst, per-stream cap, rate,
 *      reserve and providers that are down
 *   I5 on burst at most one further operation is pipelined behind the current one
 *   I6 nothing is sent but by a QOS_START
 *   I7 each operation ends exactly once
 *   I8 demand before readahead before scan; among streams deficit round robin in bytes; caps hold
 *   I9 same facts, same orders
 */
#ifndef QOS_QOS_H
#define QOS_QOS_H

#include "base/source.h" /* traffic_class, urgency: the shared vocabulary */

#include <stdbool.h>
#include <stdint.h>

typedef uint64_t qos_time; /* µs */
typedef uint64_t qos_op;
typedef uint64_t qos_conn;

#define QOS_PROVIDERS 32

struct qos_provider_config {
    unsigned connections;  /* sockets the account allows; 0: provider not used */
    unsigned tier;         /* 0 is asked first; a higher one only for what the lower ones lack */
    unsigned weight;       /* among providers of one tier; 0 counts as 1 */
    unsigned pipelining;   /* operations in flight on one connection, at most; 0 counts as 1 */
    uint64_t retention_us; /* older operations are not asked here; 0: no limit */
    uint64_t rate_bps;     /* bytes a second; 0: no limit */
};

struct qos_class_config {
    unsigned guaranteed, burst, weight; /* weight 0: guaranteed */
    unsigned per_stream;                /* leases one stream may hold; 0: no cap */
    unsigned
        hedge; /* permille of what it has brought, in bytes and in number, that may be asked for
                  twice; or four operations where that is more. 0: none */
};

struct qos_config {
    unsigned total;   /* 0, or more than the providers' sum: that sum */
    unsigned reserve; /* slots left free when everyone is at their guarantee */
    uint64_t rate_bps;
    struct qos_class_config classes[TRAFFIC_CLASSES];
    struct qos_provider_config providers[QOS_PROVIDERS];
    unsigned nproviders;

    qos_time backoff_us;     /* first wait after a failure; doubles; 0: 250 ms */
    qos_time backoff_max_us; /* 0: 30 s */
    qos_time login_us;       /* wait after a refused login; 0: backoff_max_us */
    qos_time probe_us;       /* between attempts above a learned ceiling; 0: 30 s */
    qos_time linger_us;      /* how long a socket closed by us still counts as one at the peer, when
                                its end was not seen; 0: 2 s */
    qos_time idle_us;  /* an idle connection is closed after it, but for qos_warm(); 0: 60 s */
    unsigned attempts; /* times one provider may break off one operation; 0: 3 */
    qos_time cover_us; /* a connection that takes longer to open is not relied on: whoever waits
                                for it may have one opened elsewhere; 0: 1 s */
};

/** How much room to set aside; fixed for the life of the scheduler. */
struct qos_limits {
    unsigned ops, conns, streams;
};

struct qos_want {
    enum traffic_class class;
    enum urgency urgency;
    enum segment_verb
        verb;        /* STAT and HEAD bring little: a turn of them costs their stream little */
    uint64_t stream; /* streaming: the open file; queue and health: the job */
    qos_time
        deadline;   /* ends with QOS_TIMEOUT then; in flight, it may still be answered, but is not
                               sent again; 0: none */
    uint64_t bytes; /* about what it will bring, for fair turns; 0: an ordinary article */
    qos_time age;   /* how old the post was at submission; 0: unknown */
    void *cookie;   /* handed back in orders */
};

struct qos;

/** Would qos_new() take it? 0, or -EINVAL with the reason in words of the configuration. */
int qos_config_check(const struct qos_config *cfg, char *err, size_t errlen);

/** NULL: no memory, or the configuration is impossible. */
struct qos *qos_new(const struct qos_config *cfg, const struct qos_limits *limits);
void qos_free(struct qos *q);

/* --- facts ------------------------------------------------------------------------------------- */

/** A new operation waits. 0 and *op, or -ENOSPC. */
int qos_submit(struct qos *q, qos_time now, const struct qos_want *want, qos_op *op);

/** It became more urgent; a less urgent value changes nothing. `deadline` 0 leaves it as it is. */
void qos_promote(struct qos *q, qos_time now, qos_op op, enum urgency u, qos_time deadline);

/** Nobody wants it. Not sent yet: an END order with QOS_CANCELLED follows. Sent: it runs to its end on the
 *  wire, for whoever may want it yet, is never retried, and its END says how it went. It is cut instead, by
 *  a CLOSE of its connection, and ends with QOS_CANCELLED, when all that flies there is cancelled, a class
 *  below its guarantee waits for a slot at that provider, and what remains of it will take longer, by the
 *  provider's own pace, than to open another connection (and, where the account is full, to be sure
 *  that the old one is gone). */
void qos_cancel(struct qos *q, qos_time now, qos_op op);

/** `late`, which a QOS_LATE order has just named, is asked for a second time: *twin is an operation of its own, with
 *  the same want, no deadline, and a cookie of its own. It is sent at once to an idle connection, at another
 *  provider if one is asked for such things, never behind anything; or, where none is free any more, it ends with
 *  QOS_CANCELLED. It is never retried: its END says how its one attempt went (MISSING and CORRUPT: at that
 *  provider). The two know nothing of each other: whoever has one of them cancels the other. 0; -EAGAIN: it is
 *  over; -ENOSPC: a table is full. */
int qos_hedge(struct qos *q, qos_time now, qos_op late, void *cookie, qos_op *twin);

/** `class` is expected to ask for something: until `until` (0: until told otherwise) `n` connections, but no more
 *  than its guarantee, are to be up that it could have, its own leases counted, at the providers that would be
 *  asked first; 0: none. Missing ones are opened when nothing waits for what that takes, never above a
 *  ceiling, or where a provider is down or in its back-off; until it is up such a one is the class's lease, and
 *  then idle: anybody's. Idle ones stay beyond idle_us while no more are up. Where a server closes them, with
 *  nothing answered in between, a new one waits for longer each time, up to idle_us. Replaces what was said
 *  of the class before. */
void qos_warm(struct qos *q, qos_time now, enum traffic_class class, unsigned n, qos_time until);

/** The connection that an OPEN order named is up, logged in and can take commands. */
void qos_conn_ready(struct qos *q, qos_time now, qos_conn conn);

enum qos_gone {
    QOS_GONE_CLOSED,  /* by our CLOSE, and the peer has seen it */
    QOS_GONE_STALE,   /* the peer had closed it while it idled: no fault of provider or operation */
    QOS_GONE_BROKEN,  /* reset, end of file or garbage in the middle of things */
    QOS_GONE_SILENT,  /* a time limit passed: first byte or stall */
    QOS_GONE_REFUSED, /* connect, TLS or greeting failed */
    QOS_GONE_LIMIT,   /* "too many connections": 502, 400, or 481 or 482 that name a limit */
    QOS_GONE_LOGIN,   /* user name or password refused: long back-off, a person must act */
};

/** It is no more. What was in flight on it waits again: the first one (the answer that was under way)
 *  with one attempt counted against provider and operation unless STALE or LIMIT or CLOSED, the others
 *  unharmed. They go to the head of their queue; but where several in a row have broken off, the one
 *  that was under way goes to the end, so that an outage does not use up the attempts of one. `seen`
 *  false: the peer may still count the socket, so it lingers. `dice`: any random number. */
void qos_conn_gone(struct qos *q, qos_time now, qos_conn conn, enum qos_gone why, bool seen,
                   uint32_t dice);

enum qos_outcome {
    QOS_OK,       /* answered */
    QOS_NOT_HERE, /* 430, 423: this provider lacks it */
    QOS_SPOILT,   /* answered, but damaged: CRC, size, not yEnc */
    QOS_DECLINED, /* a 5xx or an answer without sense, and the connection lives on */
    QOS_NO_ROOM,  /* the asker refused it; not retried */
};

/** The answer to `op` begins to come in. It may be left out: it tells how far away a provider is, and how soon
 *  what is in flight on a connection will be over. Where that is known, readahead is sent behind another operation
 *  only when what remains of that one takes about a round trip. */
void qos_op_begun(struct qos *q, qos_time now, qos_op op);

/** The exchange of `op` on `conn` has ended; `bytes` is what it brought over the wire. Connections
 *  answer in the order of their STARTs. */
void qos_op_done(struct qos *q, qos_time now, qos_op op, enum qos_outcome how, uint64_t bytes);

/** Other shares, totals, rates and providers, in place. Provider i stays provider i; more may be added
 *  at the end, and one that is gone has connections = 0. Waiters stay; leases above a lowered cap drain. A
 *  provider may be tried at once, whatever its back-off, and what fails of connections that were opened
 *  before makes for no new one; a learned ceiling is kept.
 *  0, or -EINVAL and nothing has changed. */
int qos_resize(struct qos *q, qos_time now, const struct qos_config *cfg);

/** Everything that waits or is in flight is cancelled, every connection gets a CLOSE: also those with
 *  something in flight, whose operations end with qos_op_done() or qos_conn_gone() as ever. */
void qos_shut(struct qos *q, qos_time now);

/* --- orders ------------------------------------------------------------------------------------ */

enum qos_verdict {
    QOS_DONE,
    QOS_MISSING, /* every provider that could hold it said NOT_HERE */
    QOS_CORRUPT, /* some said SPOILT, the rest NOT_HERE */
    QOS_FAILED,  /* attempts used up somewhere: BROKEN or DECLINED, so it may be there */
    QOS_TIMEOUT,
    QOS_CANCELLED,
    QOS_REJECTED, /* NO_ROOM */
};

enum qos_order_kind {
    QOS_OPEN,  /* open a connection to `provider`; it is known as `conn` from now on */
    QOS_START, /* send `op` on `conn` */
    QOS_CLOSE, /* close `conn`, at once if anything is in flight: that is cancelled; answer with
                  qos_conn_gone() */
    QOS_END,   /* `op` is over; its handle is dead */
    QOS_LATE, /* `op`, which a reader is blocked on, takes longer than its provider's answers do, and a
                  connection is free: now qos_hedge() would send another. Once for each START. */
};

struct qos_order {
    enum qos_order_kind kind;
    unsigned provider;
    qos_conn conn;
    qos_op op;
    void *cookie;
    enum qos_verdict verdict; /* END */
};

/** The next order, or false when there is none until another fact or qos_wake(). */
bool qos_next(struct qos *q, qos_time now, struct qos_order *out);

/** When to call qos_next() again without another fact: deadline, back-off, probe, linger, idle, a
 *  connection that is slow to open, a cut, something late. UINT64_MAX: not before a fact. Rates have a time of their own:
 *  qos_rate_take(). */
qos_time qos_wake(const struct qos *q);

/* --- rates ------------------------------------------------------------------------------------- */

/** How many bytes `provider` may be read for now, at most `want`; they count as used. 0: nothing until
 *  *again. Costs nothing when no rate is set. */
uint64_t qos_rate_take(struct qos *q, qos_time now, unsigned provider, uint64_t want,
                       qos_time *again);

/** Bytes that were taken and then not read. */
void qos_rate_give(struct qos *q, unsigned provider, uint64_t bytes);

/* --- figures ----------------------------------------------------------------------------------- */

#define QOS_HIST 24 /* bucket i counts times below 2^i × 16 µs; the last one all longer ones */

struct qos_class_stats {
    unsigned guaranteed, burst, weight, leased, waiting;
    uint64_t granted_guarantee, granted_burst;                   /* leases */
    uint64_t done, missing, corrupt, failed, timeout, cancelled; /* operations that ended so */
    uint64_t refused; /* connections opened for it, or taken from it, by a provider that says no */
    uint64_t broken;  /* answers to it that broke off, and 5xx answers */
    uint64_t
        hedged;   /* operations of it that are twins of late ones; counted among the others, too */
    uint64_t cut; /* connections closed under operations of it that nobody wanted any more */
    uint64_t bytes;          /* that answers brought */
    uint64_t wait[QOS_HIST]; /* of each operation sent: from submission to the first START */
    uint64_t
        reclaim[QOS_HIST]; /* of each lease granted below the guarantee: since the class claimed it,
                                   that is: was below, with something waiting, and had no slot */
};

/** What a class has and had of a provider. */
struct qos_share_stats {
    unsigned leased;
    uint64_t started, done, missing, corrupt, broken, bytes; /* answers, not operations; `done` has
                                                                NO_ROOM in it: it answered well */
};

struct qos_provider_stats {
    unsigned limit, ceiling, sockets, leased, idle, opening, closing, lingering;
    bool down;                /* its breaker is open */
    qos_time retry_at;        /* when it is tried again */
    uint64_t opened, refused; /* connections that came up; that did not, or were taken back */
    uint64_t started, ok, not_here, spoilt, broken, bytes; /* the sums of its classes' */
    uint64_t open[QOS_HIST];                               /* of those opened: from OPEN to ready */
    uint64_t answer[QOS_HIST]; /* of each BODY that ended QOS_OK: from START, or the answer before
                                  it, to the end */
    struct qos_share_stats classes[TRAFFIC_CLASSES];
};

/** One moment: the classes' leases, the providers' and leased_total agree, and so do all other sums. */
struct qos_stats {
    struct qos_class_stats classes[TRAFFIC_CLASSES];
    struct qos_provider_stats providers[QOS_PROVIDERS];
    unsigned nproviders, total, reserve, leased_total;
};

void qos_stats(const struct qos *q, struct qos_stats *out);

/** Is the provider's breaker open? */
bool qos_is_down(const struct qos *q, unsigned provider);

/* --- the record -------------------------------------------------------------------------------- */

enum qos_record_kind {
    QOS_RECORD_SUBMIT,
    QOS_RECORD_PROMOTE,
    QOS_RECORD_CANCEL,
    QOS_RECORD_READY,
    QOS_RECORD_GONE,
    QOS_RECORD_BEGUN,
    QOS_RECORD_DONE,
    QOS_RECORD_HEDGE,
    QOS_RECORD_RESIZE,
    QOS_RECORD_WARM,
    QOS_RECORD_SHUT,
    QOS_RECORD_ORDER, /* qos_next() gave it */
    QOS_RECORD_QUIET, /* qos_next() said false */
};

/** A fact as it came in, with what was answered; or what qos_next() said. Fed again in this order to
 *  another scheduler of the same first configuration and limits, it gives the same answers. */
struct qos_record {
    enum qos_record_kind kind;
    qos_time now;
    union {
        struct {
            const struct qos_want *want;
            int result;
            qos_op op;
        } submit;
        struct {
            qos_op op;
            enum urgency urgency;
            qos_time deadline;
        } promote;
        qos_op cancel;
        qos_conn ready;
        qos_op begun;
        struct {
            qos_conn conn;
            enum qos_gone why;
            bool seen;
            uint32_t dice;
        } gone;
        struct {
            qos_op op;
            enum qos_outcome how;
            uint64_t bytes;
        } done;
        struct {
            qos_op late;
            int result;
            qos_op twin;
        } hedge;
        struct {
            const struct qos_config *cfg;
            int result;
        } resize;
        struct {
            enum traffic_class class;
            unsigned n;
            qos_time until;
        } warm;
        const struct qos_order *order;
    };
};

/** From now on `watch` sees every fact and every order, inside the call that brings it. Rates are no
 *  facts: they change no order. NULL: nobody does. */
void qos_watch(struct qos *q, void (*watch)(void *arg, const struct qos_record *r), void *arg);

/** Walks everything and checks I1, I2, I5, I7 and the tables' own consistency. NULL, or what is wrong. */
const char *qos_check(const struct qos *q);

#endif
