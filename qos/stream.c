#include "qos/stream.h"

#include <stddef.h>

#define MIB           (UINT64_C(1) << 20)

/* What lies so close to where a run goes on is read straight on. */
#define NEAR          (MIB / 2)

/* Requests of a kernel's readahead overtake each other by their own length, which is a mebibyte at most. */
#define OVERTAKEN     (2 * MIB)
#define OVERTAKING    MIB

/* A skip forward of so much leaves the window what it is. */
#define SKIP          (8 * MIB)

/* A run is one when it has two reads and so many bytes; where its reader has jumped about, or is likely to,
 * more. */
#define PROVEN        (MIB / 4)
#define PROVEN_WARILY (4 * MIB)
#define JUMPS_FREE    4u
#define JUMPS_MOST    8u
#define SETTLED       (2 * MIB)

/* Of a run that nobody has read while so much was read elsewhere nothing more is expected. */
#define LEFT          (16 * MIB)

/* A window opens with this, and is at most so many times what was read of its run: so it grows fivefold in the
 * time of an article, and what a jump wastes is in proportion to what was read. */
#define WINDOW_FIRST  MIB
#define WINDOW_GROWTH 4u

/* On top of what is read in twice an article's time there is as much again, within this: for articles that
 * are late. And a quarter of a second's worth, likewise: where articles come at once, calls are what costs. */
#define MARGIN_MOST   (8 * MIB)
#define MARGIN_PART   4u

/* The rate is that of so many bytes or so much time, and of what was before it less and less; not of single reads,
 * since a kernel sends several at once and then none for a while. Of what lies between two reads no more
 * counts than PAUSE_US: longer is a pause. */
#define RATE_KNOWN    MIB
#define SPELL         (16 * MIB)
#define SPELL_US      UINT64_C(8000000)
#define PAUSE_US      UINT64_C(2000000)

#define RATE_MOST     (UINT64_C(1) << 40)
#define LATENCY_MOST  UINT64_C(10000000)
#define LATENCY_GUESS UINT64_C(100000)
#define ARTICLE_GUESS (3 * MIB / 4)

void qos_stream_init(struct qos_stream *s, uint64_t most)
{
    *s = (struct qos_stream){.most = most, .size = UINT64_MAX, .article = ARTICLE_GUESS};
}

static uint64_t plus(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static uint64_t minus(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t apart(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

/* --- what is held ------------------------------------------------------------------------------ */

bool qos_stream_held(const struct qos_stream *s, unsigned run, uint64_t *from, uint64_t *to)
{
    const struct qos_run *r = &s->runs[run];
    *from = r->next;
    *to = r->ahead;
    return r->bytes && r->ahead > r->next;
}

uint64_t qos_stream_ahead(const struct qos_stream *s)
{
    uint64_t sum = 0, from, to;
    for (unsigned k = 0; k < QOS_STREAM_RUNS; k++)
        if (qos_stream_held(s, k, &from, &to))
            sum = plus(sum, to - from);
    return sum;
}

void qos_stream_asked(struct qos_stream *s, unsigned run, uint64_t to)
{
    struct qos_run *r = &s->runs[run];
    if (r->bytes && to > r->ahead)
        r->ahead = to;
}

void qos_stream_refused(struct qos_stream *s, unsigned run, uint64_t from)
{
    struct qos_run *r = &s->runs[run];
    if (from < r->ahead)
        r->ahead = from > r->next ? from : r->next;
}

/* Does its reader look about rather than read? */
static bool is_suspect(const struct qos_stream *s)
{
    return s->wary || s->jumps >= JUMPS_MOST;
}

/* So much was asked for ahead, and will not be read. */
static void give_up(struct qos_stream *s, uint64_t bytes)
{
    if (is_suspect(s))
        s->vain = plus(s->vain, bytes);
}

/* Withdraw what `r` holds. */
static bool run_leave(struct qos_stream *s, struct qos_run *r)
{
    bool held = r->bytes && r->ahead > r->next;
    if (held)
        give_up(s, r->ahead - r->next);
    r->ahead = r->next;
    r->window = 0;
    return held;
}

/* --- whose read it is -------------------------------------------------------------------------- */

static bool is_near(const struct qos_run *r, uint64_t off, uint64_t end)
{
    uint64_t front = r->bytes < NEAR ? NEAR : least(r->bytes, OVERTAKING);
    return off <= plus(r->next, front) && plus(end, OVERTAKEN) >= r->next;
}

/* In front of a run that has a window, within it or not far beyond. */
static bool is_skip(const struct qos_run *r, uint64_t off)
{
    return r->window && off > r->next && off <= plus(r->next, SKIP) && off - r->next <= r->bytes;
}

/* The run of [off, end), or NULL. Where two would do, the one that goes on closer to it. */
static struct qos_run *run_find(struct qos_stream *s, uint64_t off, uint64_t end)
{
    struct qos_run *best = NULL;
    bool best_near = false;
    for (unsigned k = 0; k < QOS_STREAM_RUNS; k++) {
        struct qos_run *r = &s->runs[k];
        bool near = r->bytes && is_near(r, off, end);
        if (!near && !(r->bytes && !best_near && is_skip(r, off)))
            continue;
        if (!best || near > best_near || apart(r->next, off) < apart(best->next, off))
            best = r;
        best_near |= near;
    }
    return best;
}

/* A run that begins at `off`, in the place of the one longest unread. *left: some held bytes until now. */
static struct qos_run *run_begin(struct qos_stream *s, uint64_t off, bool *left)
{
    struct qos_run *oldest = &s->runs[0];
    for (unsigned k = 0; k < QOS_STREAM_RUNS; k++) {
        *left |= run_leave(s, &s->runs[k]);
        if (oldest->bytes && (!s->runs[k].bytes || s->runs[k].turn < oldest->turn))
            oldest = &s->runs[k];
    }
    *oldest = (struct qos_run){.begin = off, .next = off, .ahead = off};
    if (s->reads && s->jumps < JUMPS_MOST)
        s->jumps++;
    return oldest;
}

/* What a read of [off, end) does to its run. True: it holds less, for it has skipped some of it. */
static bool run_read(struct qos_stream *s, struct qos_run *r, uint64_t off, uint64_t end)
{
    bool skipped = false;
    r->reads++;
    if (r->bytes && off > plus(r->next, OVERTAKING)) {
        skipped = r->ahead > r->next;
        give_up(s, least(r->ahead, off) - r->next);
        r->begin = off;
        r->bytes /= 2; /* who only skips on and on is not read ahead of for long */
    }
    if (off < r->begin)
        r->begin = off;
    r->bytes = plus(r->bytes, end - off);
    if (end > r->next)
        r->next = end;
    if (r->ahead < r->next)
        r->ahead = r->next;
    return skipped;
}

/* --- the window -------------------------------------------------------------------------------- */

/* A read of `len` bytes has come at `now_us`: how fast does its reader read? */
static void rate_take(struct qos_stream *s, uint64_t now_us, uint64_t len)
{
    if (s->reads)
        s->spell_us += least(minus(now_us, s->seen_us), PAUSE_US);
    if (s->spell_bytes >= RATE_KNOWN) {
        uint64_t us = s->spell_us ? s->spell_us : 1;
        s->rate_bps = least(s->spell_bytes * 1000000 / us, RATE_MOST);
    }
    s->spell_bytes = plus(s->spell_bytes, len);
    while (s->spell_bytes >= SPELL || s->spell_us >= SPELL_US) {
        s->spell_bytes /= 2;
        s->spell_us /= 2;
    }
    s->seen_us = now_us;
}

static bool run_is_proven(const struct qos_stream *s, const struct qos_run *r)
{
    uint64_t enough = is_suspect(s) ? PROVEN_WARILY : PROVEN;
    if (!s->wary && s->jumps > JUMPS_FREE && s->jumps < JUMPS_MOST)
        enough <<= s->jumps - JUMPS_FREE;
    return r->reads >= 2 && r->bytes >= enough && r->bytes >= (r->next - r->begin) / 2;
}

/* What the reader of `s` needs to have in front of it. */
static uint64_t need(const struct qos_stream *s)
{
    if (!s->rate_bps)
        return UINT64_MAX;
    uint64_t latency = s->latency_us ? least(s->latency_us, LATENCY_MOST) : LATENCY_GUESS;
    uint64_t soon = least(s->rate_bps, RATE_MOST) * latency / 1000000 * 2;
    uint64_t calls = least(s->rate_bps / MARGIN_PART, MARGIN_MOST);
    uint64_t margin = least(soon, MARGIN_MOST);
    if (margin < calls)
        margin = calls;
    return soon + margin + 2 * least(s->article, MARGIN_MOST);
}

static void window_set(struct qos_stream *s, struct qos_run *r)
{
    uint64_t grown = r->bytes > UINT64_MAX / WINDOW_GROWTH ? UINT64_MAX : r->bytes * WINDOW_GROWTH;
    r->window = 0;
    if (s->scan || !run_is_proven(s, r))
        return;
    if (grown < WINDOW_FIRST)
        grown = WINDOW_FIRST;
    r->window = least(need(s), grown);
    if (r->window < WINDOW_FIRST)
        r->window = WINDOW_FIRST;
}

/* What is to be asked for now, for run `r`. */
static void window_ask(const struct qos_stream *s, const struct qos_run *r, struct qos_ahead *out)
{
    uint64_t others = qos_stream_ahead(s) - (r->ahead - r->next);
    uint64_t room = least(r->window, minus(s->most, others));
    if (is_suspect(s))
        room = least(room, minus(plus(QOS_STREAM_VAIN, s->total), plus(s->vain, others)));
    uint64_t until = plus(r->next, room);
    out->from = out->to = r->ahead;
    if (until > s->size)
        until = s->size;
    if (until > r->ahead)
        out->to = until;
}

/* --- a read ------------------------------------------------------------------------------------ */

static bool runs_forget(struct qos_stream *s, const struct qos_run *but)
{
    bool left = false;
    for (unsigned k = 0; k < QOS_STREAM_RUNS; k++) {
        struct qos_run *r = &s->runs[k];
        if (r != but && r->bytes && s->total - r->total > LEFT)
            left |= run_leave(s, r);
    }
    return left;
}

void qos_stream_read(struct qos_stream *s, uint64_t now_us, uint64_t off, uint64_t len,
                     struct qos_ahead *out)
{
    uint64_t end = plus(off, len);
    *out = (struct qos_ahead){.from = end, .to = end};
    if (!len)
        return;
    rate_take(s, now_us, len);
    struct qos_run *r = run_find(s, off, end);
    if (!r)
        r = run_begin(s, off, &out->withdraw);
    out->withdraw |= run_read(s, r, off, end);
    r->turn = ++s->reads;
    s->total = plus(s->total, len);
    r->total = s->total;
    if (r->bytes >= SETTLED)
        s->jumps = 0;
    out->withdraw |= runs_forget(s, r);
    out->run = (unsigned)(r - s->runs);
    window_set(s, r);
    if (!r->window)
        out->withdraw |= run_leave(s, r);
    window_ask(s, r, out);
}

uint64_t qos_stream_run(const struct qos_stream *s, uint64_t off)
{
    uint64_t most = 0;
    for (unsigned k = 0; k < QOS_STREAM_RUNS; k++) {
        const struct qos_run *r = &s->runs[k];
        if (r->bytes && apart(r->next, off) <= NEAR && r->bytes > most)
            most = r->bytes;
    }
    return most;
}
