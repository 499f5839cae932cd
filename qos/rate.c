#include "qos/internal.h"

/*
 * A token bucket holds at most BURST_US worth of bytes, and never less than BURST_LEAST, so that one read
 * of a socket fits. It is refilled when somebody looks at it; what is left of a byte is kept, so that
 * looking often loses nothing. What runs over is lost for good: so it holds as much as flows while the
 * process has to wait for a busy processor.
 */

#define SECOND_US   1000000u
#define BURST_US    100000u
#define BURST_LEAST 65536u

static uint64_t bucket_most(const struct bucket *b)
{
    uint64_t most = b->bps / (SECOND_US / BURST_US);
    return most > BURST_LEAST ? most : BURST_LEAST;
}

void qos_bucket_set(struct bucket *b, uint64_t bps, qos_time now)
{
    /* 16 TB/s: above any network, and a product with a second in µs still fits 64 bits. */
    const uint64_t most_bps = UINT64_C(1) << 44;
    bool was_off = !b->bps;
    b->bps = bps < most_bps ? bps : most_bps;
    uint64_t most = bucket_most(b);
    if (was_off || b->room > most)
        b->room = most;
    b->part = 0;
    b->at = now;
}

static void bucket_fill(struct bucket *b, qos_time now)
{
    uint64_t most = bucket_most(b);
    qos_time since = now > b->at ? now - b->at : 0;
    b->at = now > b->at ? now : b->at;
    uint64_t room = most;
    /* Whole seconds apart, or the product might not fit. A slow bucket is not full after one. */
    uint64_t seconds = since / SECOND_US;
    if (seconds <= most / b->bps) {
        uint64_t millionths = since % SECOND_US * b->bps + b->part;
        room = b->room + seconds * b->bps + millionths / SECOND_US;
        b->part = millionths % SECOND_US;
    }
    if (room >= most) {
        room = most;
        b->part = 0;
    }
    b->room = room;
}

/** When a useful amount is there again: waking for every byte would cost more than it moves. */
static qos_time bucket_again(const struct bucket *b)
{
    uint64_t useful = bucket_most(b) / 8;
    if (b->room >= useful)
        return b->at + 1;
    uint64_t millionths = (useful - b->room) * SECOND_US - b->part;
    return b->at + (millionths + b->bps - 1) / b->bps;
}

uint64_t qos_rate_take(struct qos *q, qos_time now, unsigned provider, uint64_t want,
                       qos_time *again)
{
    struct bucket *b[2] = {&q->bucket,
                           provider < QOS_PROVIDERS ? &q->providers[provider].bucket : NULL};
    *again = 0;
    for (unsigned i = 0; i < 2; i++) {
        if (!b[i] || !b[i]->bps)
            continue;
        bucket_fill(b[i], now);
        if (!b[i]->room) {
            qos_time at = bucket_again(b[i]);
            *again = at > *again ? at : *again;
        }
        want = b[i]->room < want ? b[i]->room : want;
    }
    if (!want)
        return 0;
    for (unsigned i = 0; i < 2; i++) {
        if (b[i] && b[i]->bps)
            b[i]->room -= want;
    }
    return want;
}

void qos_rate_give(struct qos *q, unsigned provider, uint64_t bytes)
{
    struct bucket *b[2] = {&q->bucket,
                           provider < QOS_PROVIDERS ? &q->providers[provider].bucket : NULL};
    for (unsigned i = 0; i < 2; i++) {
        if (!b[i] || !b[i]->bps)
            continue;
        uint64_t most = bucket_most(b[i]);
        b[i]->room = bytes < most - b[i]->room ? b[i]->room + bytes : most;
    }
}
