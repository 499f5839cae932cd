/**
 * loop — one network thread: an event base, an inbox, and the buffers its connections share.
 *
 * Threads   Everything on a loop is touched by its thread alone (assert(nntp_loop_is_mine(l)) at the
 *           door), so the event base has no locks. The only way in from outside is the inbox.
 * Locks     The inbox's mutex is a leaf. The resolver posts with its own mutex held: resolver, then
 *           inbox.
 * Memory    One pair of receive buffers per loop, not per connection: whatever a read brings is used up
 *           before the next connection's turn.
 */
#ifndef NNTP_LOOP_H
#define NNTP_LOOP_H

#include "base/list.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/** Received at once, at most. Large enough that system calls do not count, small enough for L2. */
#define NNTP_RX_BYTES ((size_t)256 << 10)

struct nntp_loop;

/** Something to be run on a loop; embedded in what it is about. Zero it, then set `run`. */
struct nntp_task {
    struct list link;
    void (*run)(struct nntp_task *t);
    bool posted; /* under the inbox's lock */
};

struct nntp_loop {
    /* fixed after nntp_loop_start() */
    pthread_t thread;
    struct event_base *base;
    int wake_fd;
    unsigned index;
    uint8_t *wire;  /* what recv() brought: NNTP_RX_BYTES */
    uint8_t *plain; /* what TLS made of it */
    void (*on_tick)(struct nntp_loop *l, uint64_t now_us);
    /* the loop's thread */
    struct event wake_ev, tick_ev;
    struct list conns; /* every connection that lives here */
    bool ticking;
    bool quit;
    /* under lock */
    pthread_mutex_t lock; /* leaf */
    struct list inbox;
};

/** 0, or -errno. `on_tick` runs while nntp_loop_tick() asks for it. */
int nntp_loop_start(struct nntp_loop *l, unsigned index,
                    void (*on_tick)(struct nntp_loop *l, uint64_t now_us));

/** Ends the thread once its inbox is empty, and frees what it had. Not from the loop itself. */
void nntp_loop_stop(struct nntp_loop *l);

bool nntp_loop_is_mine(const struct nntp_loop *l);
/** The loop whose thread this is, or NULL. */
struct nntp_loop *nntp_loop_current(void);

/** Run `t` on the loop, soon, never inside this call. Posting what is posted changes nothing. Any thread;
 *  `t` is lent until it runs. */
void nntp_loop_post(struct nntp_loop *l, struct nntp_task *t);

/** Take it back. On the loop only, so that it is either taken back or has run. */
void nntp_loop_unpost(struct nntp_loop *l, struct nntp_task *t);

/** Run what is in the inbox. Every event callback ends with it: orders that an event set off do not wait
 *  for other sockets' turns. */
void nntp_loop_settle(struct nntp_loop *l);

/** Something here has a time limit: call on_tick() once more within NNTP_TICK_US. */
void nntp_loop_tick(struct nntp_loop *l);
#define NNTP_TICK_US 200000u

#endif
