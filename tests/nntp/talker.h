/**
 * talker — the conversation of a connection (talk.c) without a socket.
 *
 * Bytes of a server go in by talker_hears(), what the connection says comes out by talker_says(). The end
 * of the connection is a note. Takes the place of conn.c, so it must be linked before the library.
 */
#ifndef TESTS_NNTP_TALKER_H
#define TESTS_NNTP_TALKER_H

#include "nntp/conn.h"

#define TALKER_OPS 8

struct talker {
    struct nntp_conn c;
    struct nntp_counters counters;
    unsigned ups;
    /* operations, in the order of their starts */
    struct talker_op {
        struct nntp_exchange x;
        struct segment_fetch f;
        struct iovec iov;
        uint8_t room[256];
        int veto;
        unsigned begins;
        bool reported;
        unsigned order;
    } ops[TALKER_OPS];
    unsigned nops, nreported;
    /* how it ended */
    enum qos_gone why;
    bool seen;
    char text[512];
};

/** `username` NULL: no login. */
void talker_init(struct talker *t, const char *username, const char *password);
void talker_fini(struct talker *t);

void talker_hears(struct talker *t, const char *bytes);
void talker_hears_n(struct talker *t, const void *bytes, size_t len);

/** What it has said since the last time; the text lives until the next call. */
const char *talker_says(struct talker *t);

/** An operation is started, as conn.c would. Returns its number. */
unsigned talker_start(struct talker *t, enum segment_verb verb, const char *id, const char *group);

#endif
