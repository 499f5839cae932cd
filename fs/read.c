/* read — the asynchronous read engine.
 *
 * A read goes round this loop until it is over:
 *
 *      plan      which blocks hold the bytes, by the file's map; or which must be learnt to tell
 *      fetch     them from the cache: at once, or later (`ready`, on another thread)
 *      learn     what the articles said; where that changed the map: plan again
 *      take      the bytes, as an iovec into the pinned blocks
 *
 * A read of very many small segments, or of more than the cache can pin together, is *gathered*: bytes
 * are copied into a buffer of the read's own, a few blocks at a time.
 *
 * Who ends it         Exactly one: the thread that goes round, or the watch (deadline, cancel). `over` is
 *                     set under the lock by the one that does. A thread that goes round and finds it set
 *                     lets go of what it holds and touches nothing that the owner sees.
 * How long it lives   Until the last lets go: the owner (fs_read_end), the cache (while `ready` will run
 *                     or runs), the watch (while it ends it), and whoever is inside a call. */
#define LOG_TAG "fs.read"
#include "fs/read.h"

#include "base/clock.h"
#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Rounds without a byte gained. Finding a place in an uneven file is a search, so a few dozen are ample;
 * articles that contradict one another must come to an end. */
#define ROUNDS_MOST   64

/* Who only looks around lets others go first for so long; then it has its turn among what is read ahead, or a
 * copy that takes all there is would keep it waiting for ever. */
#define PATIENCE_US   (UINT64_C(5) * 1000000)

/* A failure that each read of a file meets again is one line in so long. */
#define LOG_PERIOD_US (UINT64_C(10) * 1000000)

enum step {
    STEP_AGAIN,
    STEP_PENDING, /* `ready` goes on */
    STEP_OVER,    /* ended by us: the owner is to be told */
    STEP_GONE,    /* ended by another */
};

static struct read *read_of(struct fs_read *pub)
{
    return container_of(pub, struct read, pub);
}

static void read_get(struct read *r)
{
    atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
}

static void read_put(struct read *r)
{
    if (atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) != 1)
        return;
    struct fs *fs = r->fs;
    read_learner_leave(r);
    pthread_mutex_destroy(&r->lock);
    free(r->buf);
    free(r);
    fs_read_gone(fs);
}

/* Give the blocks back. Of a segment that has been read from its first byte to its last, and that the asker
 * keeps, the cache need not. */
static void pins_give(struct read *r)
{
    for (unsigned k = 0; r->pub.once && k < r->npieces; k++) {
        const struct read_piece *p = &r->pieces[k];
        if (p->want >= 0 && p->end == p->to && r->run >= p->to - p->from)
            r->wants[p->want].spent = true;
    }
    cache_read_end(r->fs->cache, &r->cache);
}

static void unpin(struct read *r)
{
    if (r->pinned)
        pins_give(r);
    r->pinned = false;
}

/* --- the end ----------------------------------------------------------------------------------- */

/* The end is ours, unless somebody was first. */
static bool claim(struct read *r)
{
    pthread_mutex_lock(&r->lock);
    bool ours = !r->over;
    r->over = true;
    pthread_mutex_unlock(&r->lock);
    return ours;
}

static void count(struct fs *fs, const struct read *r)
{
    const struct fs_read *pub = &r->pub;
    if ((pub->err == ETIMEDOUT || (pub->err == EIO && r->failed)) && !r->cut)
        fs_file_stalled(r->file, fs->now_us(), r->waits_for.begin, r->waits_for.end,
                        r->watched.deadline_us);
    if (pub->err)
        atomic_fetch_add(pub->err == ETIMEDOUT ? &fs->timeouts
                         : pub->err == EINTR   ? &fs->interrupts
                                               : &fs->errors,
                         1);
    if (pub->err || !pub->len)
        return;
    atomic_fetch_add_explicit(&fs->reads, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&fs->read_bytes, pub->n, memory_order_relaxed);
}

/* What the owner sees; r->over is ours. */
static void answer(struct read *r, int err, size_t good)
{
    if (r->gather && good) {
        r->iov[0] = (struct iovec){.iov_base = r->buf, .iov_len = good};
        r->niov = 1;
    }
    r->kept = r->pinned && good;
    if (!r->kept)
        unpin(r);
    r->pub.err = err;
    r->pub.unsure = err == EIO && r->failed;
    r->pub.n = good;
    r->pub.unproven = r->claimed && !err;
    r->pub.size = r->claimed ? r->claim.file_size : r->file->size;
    r->pub.iov = r->iov;
    r->pub.niov = good ? r->niov : 0;
    count(r->fs, r);
}

/* Over, with an answer or with `err`. */
static enum step finish(struct read *r, int err)
{
    size_t good = (size_t)(r->pos - r->pub.off);
    if (err && (!r->pub.partial || !good))
        good = 0;
    else
        err = 0;
    read_learner_leave(r);
    if (!claim(r)) {
        unpin(r);
        return STEP_GONE;
    }
    if (r->waited)
        fs_watch_remove(&r->fs->watch, &r->watched);
    answer(r, err, good);
    return STEP_OVER;
}

static void timeout_log(const struct read *r)
{
    static struct log_gate gate;
    uint64_t count = log_gate_pass(&gate, clock_now_us(), LOG_PERIOD_US);
    if (count)
        log_warn("%s: no answer for bytes from %" PRIu64 " on within %u s: timed out (%" PRIu64
                 " reads so far)",
                 r->file->posted->name, r->pub.off, r->fs->mount.read_timeout_s, count);
}

static void watched_hold(struct fs_watched *e)
{
    read_get(container_of(e, struct read, watched));
}

static void watched_end(struct fs_watched *e, int err)
{
    struct read *r = container_of(e, struct read, watched);
    pthread_mutex_lock(&r->lock);
    bool ours = !r->over;
    bool in_cache = r->in_cache;
    r->over = true;
    pthread_mutex_unlock(&r->lock);

    bool cancelled = ours && in_cache && cache_read_cancel(r->fs->cache, &r->cache);
    if (cancelled)
        read_put(r); /* the cache's */
    if (ours) {
        static const struct cache_waits unknown; /* they are another thread's at this moment */
        r->pub.err = err;
        count(r->fs, r);
        if (r->told)
            fs_handle_end(r->pub.handle, r->asked_us, cancelled ? &r->waits : &unknown, &r->pub);
        if (err == ETIMEDOUT)
            timeout_log(r);
        r->pub.done(&r->pub);
    }
    read_put(r);
}

static const struct fs_watched_ops watched_ops = {.hold = watched_hold, .end = watched_end};

/* --- going round ------------------------------------------------------------------------------- */

/* Copy what was taken to where it stands in the read's own buffer, and let go of the blocks. */
static void gather(struct read *r, uint64_t from)
{
    char *to = r->buf + (from - r->pub.off);
    for (unsigned k = 0; k < r->niov; k++) {
        memcpy(to, r->iov[k].iov_base, r->iov[k].iov_len);
        to += r->iov[k].iov_len;
    }
    r->niov = 0;
    unpin(r);
}

static bool gather_begin(struct read *r)
{
    if (!r->gather)
        r->buf = malloc(r->pub.len);
    return r->gather = r->buf != NULL;
}

/* Take the pieces that are there; all of the read, or what one round could bring of it. */
static enum step take(struct read *r)
{
    uint64_t from = r->pos;
    if (!read_may_tell(r)) {
        r->claimed = false;
        r->strict = true;
        unpin(r);
        return STEP_AGAIN;
    }
    int err = read_take(r);
    if (!err && r->pos < r->end && !gather_begin(r))
        return finish(r, ENOMEM);
    if (r->gather)
        gather(r, from);
    if (err || r->pos >= r->end)
        return finish(r, err);
    r->rounds = 0;
    return STEP_AGAIN;
}

/* More than the cache can hold at once: fewer at a time. */
static enum step narrow(struct read *r)
{
    r->width = 1;
    return gather_begin(r) ? STEP_AGAIN : finish(r, ENOMEM);
}

static bool some_ended(const struct read *r, enum segment_result how)
{
    bool some = false;
    for (unsigned k = 0; k < r->nwants; k++)
        some |= r->wants[k].result == how;
    return some;
}

static void too_large_log(const struct read *r)
{
    static struct log_gate gate;
    if (log_gate_pass(&gate, clock_now_us(), LOG_PERIOD_US))
        log_warn("%s: a segment does not fit in the cache: raise cache.memory",
                 r->file->posted->name);
}

/* All results are there. */
static enum step digest(struct read *r)
{
    bool again;
    if (r->patient && some_ended(r, SEGMENT_TIMEOUT)) {
        r->patient = false;
        r->pub.urgency = URGENCY_READAHEAD;
        unpin(r);
        return STEP_AGAIN;
    }
    r->failed |= some_ended(r, SEGMENT_FAILED);
    if (some_ended(r, SEGMENT_NOSPACE)) {
        if (r->nwants > 1) {
            unpin(r);
            return narrow(r);
        }
        too_large_log(r);
    }
    int err = read_learn(r, &again);
    if (err) {
        /* What stands before the byte that cannot be placed may still be an answer. */
        if (r->pub.partial && r->sound && r->pos == r->pub.off && !r->gather)
            read_take(r);
        return finish(r, err);
    }
    if (!again)
        return take(r);
    unpin(r);
    return STEP_AGAIN;
}

static void on_ready(struct cache_read *c);

/* The cache has said PENDING; `ready` may have run meanwhile, and more than that. Where it has not: from
 * now on who ends the read can cancel it; if somebody has ended it already, that is left to us. */
static void park(struct read *r, unsigned readies)
{
    bool cancel = false;
    pthread_mutex_lock(&r->lock);
    if (r->readies == readies) {
        cancel = r->over;
        r->in_cache = !r->over;
        if (!r->over && !r->waited) {
            r->waited = true;
            atomic_fetch_add_explicit(&r->fs->waited, 1, memory_order_relaxed);
            fs_watch_add(&r->fs->watch, &r->watched);
        }
    }
    pthread_mutex_unlock(&r->lock);
    if (cancel && cache_read_cancel(r->fs->cache, &r->cache))
        read_put(r);
}

/* Before its first wait: how long it may be. */
static void deadline_set(struct read *r)
{
    uint64_t asked = r->pub.deadline_us;
    if (r->end > r->pos)
        r->waits_for = (struct fs_range){r->pos, r->end};
    else
        r->waits_for = (struct fs_range){0, UINT64_MAX}; /* for the size */
    r->watched.deadline_us = asked;
    if (r->file->stalled_until)
        r->watched.deadline_us =
            fs_file_deadline(r->file, r->fs->now_us(), r->waits_for.begin, r->waits_for.end, asked);
    r->cut = r->watched.deadline_us != asked;
}

/* Ask the cache for the wants. After PENDING the read is `ready`'s. *gone: it is over. */
static enum cache_start fetch(struct read *r, bool *gone)
{
    pthread_mutex_lock(&r->lock);
    *gone = r->over;
    unsigned readies = r->readies;
    pthread_mutex_unlock(&r->lock);
    if (*gone)
        return CACHE_TOO_BIG;
    if (!r->waited)
        deadline_set(r);
    uint64_t deadline_us = r->watched.deadline_us, patient_us = r->asked_us + PATIENCE_US;
    if (r->patient && patient_us < deadline_us)
        deadline_us = patient_us;
    r->cache = (struct cache_read){.file = &r->file->cache,
                                   .class = r->pub.class,
                                   .urgency = r->pub.urgency,
                                   .stream = r->stream,
                                   .deadline_us = deadline_us,
                                   .ready = on_ready,
                                   .waits = &r->waits,
                                   .wants = r->wants,
                                   .nwants = r->nwants};
    read_get(r); /* for the cache */
    read_get(r); /* for ourselves: `ready` may come, and the owner go, before start returns */
    enum cache_start s = cache_read_start(r->fs->cache, &r->cache);
    if (s == CACHE_PENDING)
        park(r, readies);
    else
        read_put(r);
    read_put(r);
    return s;
}

static enum step round_once(struct read *r)
{
    static struct log_gate gate;
    bool gone;
    if (++r->rounds > ROUNDS_MOST) {
        if (log_gate_pass(&gate, clock_now_us(), LOG_PERIOD_US))
            log_warn("%s: its articles contradict one another at byte %" PRIu64 ": given up",
                     r->file->posted->name, r->pos);
        return finish(r, EIO);
    }
    switch (read_plan(r)) {
    case PLAN_FETCH:
        break;
    case PLAN_TAKE:
        return take(r);
    case PLAN_FAIL:
        return finish(r, EIO);
    }
    switch (fetch(r, &gone)) {
    case CACHE_READY:
        r->pinned = true;
        return digest(r);
    case CACHE_PENDING:
        return STEP_PENDING;
    case CACHE_TOO_BIG:
        break;
    }
    if (gone)
        return STEP_GONE;
    if (r->nwants > 1)
        return narrow(r);
    too_large_log(r);
    return finish(r, EIO);
}

static void on_ready(struct cache_read *c)
{
    struct read *r = container_of(c, struct read, cache);
    pthread_mutex_lock(&r->lock);
    r->in_cache = false;
    r->readies++;
    bool over = r->over;
    pthread_mutex_unlock(&r->lock);

    r->pinned = true;
    enum step s = STEP_GONE;
    if (over)
        unpin(r);
    else
        s = digest(r);
    while (s == STEP_AGAIN)
        s = round_once(r);
    if (s == STEP_OVER) {
        if (r->told)
            fs_handle_end(r->pub.handle, r->asked_us, &r->waits, &r->pub);
        r->pub.done(&r->pub);
    }
    read_put(r);
}

/* --- the owner's ------------------------------------------------------------------------------- */

static bool posted_start(struct fs_read *pub)
{
    struct read *r = read_of(pub);
    struct fs_handle *h = pub->handle;
    assert(pub->len <= FS_READ_MOST);
    r->pos = r->end = pub->off;
    if (fs_file_load(r->file)) {
        pub->err = ENOMEM;
        return true;
    }
    uint64_t off = pub->off;
    uint32_t len = pub->len;
    r->told = h && len;
    r->patient = pub->urgency == URGENCY_SCAN && r->asked_us + PATIENCE_US < pub->deadline_us;
    r->run = pub->run ? pub->run : len;
    if (r->told)
        r->run = len + fs_handle_begin(h, r->asked_us, off, len);
    r->stream = h ? h->stream : pub->stream;
    if (!r->stream)
        r->stream = r->file->cache.id | UINT64_C(1) << 63;
    read_get(r);
    enum step s = STEP_AGAIN;
    while (s == STEP_AGAIN)
        s = round_once(r);
    if (h && len)
        fs_handle_ahead(h, off, len, s == STEP_OVER ? pub : NULL);
    read_put(r);
    return s == STEP_OVER;
}

static void posted_cancel(struct fs_read *pub)
{
    struct read *r = read_of(pub);
    fs_watch_cancel(&r->fs->watch, &r->watched);
}

static void posted_end(struct fs_read *pub)
{
    struct read *r = read_of(pub);
    if (r->kept) {
        r->kept = false;
        r->pinned = false;
        pins_give(r);
    }
    read_put(r);
}

static const struct fs_read_ops posted_ops = {
    .start = posted_start, .cancel = posted_cancel, .end = posted_end};

const struct cache_waits *fs_read_waits(const struct fs_read *pub)
{
    /* Of one that the watch has ended another thread may be at them. */
    bool known = pub->ops == &posted_ops && pub->err != ETIMEDOUT && pub->err != EINTR;
    const void *r = (const char *)pub - offsetof(struct read, pub);
    return known ? &((const struct read *)r)->waits : NULL;
}

struct fs_read *fs_posted_read_new(struct fs *fs, struct fs_node *file)
{
    struct read *r = malloc(sizeof(*r));
    if (!r)
        return NULL;
    memset(r, 0, offsetof(struct read, waits));
    r->waits.since_us = 0;
    r->waits.n = 0;
    r->fs = fs;
    r->file = file->file;
    r->refs = 1;
    r->width = READ_PIECES;
    r->asked_us = fs->now_us();
    r->pub = fs_read_defaults(fs, file, r->asked_us);
    r->pub.ops = &posted_ops;
    r->watched.ops = &watched_ops;
    list_init(&r->watched.link);
    pthread_mutex_init(&r->lock, NULL);
    fs_read_born(fs);
    return &r->pub;
}
