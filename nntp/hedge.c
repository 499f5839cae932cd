#include "nntp/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is late is asked for a second time. The asker knows nothing of it: to him there is one fetch.
 *
 *     first   START ───────── late ──────── (slow) ──────────┬── skipped, cancelled
 *     twin                     └─ START ── begin … DONE ─ WIN ┘   its payload → dst, done(f)
 *
 * The twin is a slot and an operation of its own, with a fetch of ours in place of the asker's, and decodes into
 * memory of ours; at most NNTP_HEDGES of them are out, each of at most TWIN_MOST bytes. When it has come, with its
 * CRC right, the loop that owns the first one's connection is told (NNTP_MAIL_WIN), since nobody else may stop
 * that one's writing or call back for its fetch:
 *
 *   The first has not begun       begin(f), all is copied, done(f)
 *   It has brought n bytes        they are held against the twin's. Equal: what lacks is copied, done(f). So an
 *                                 answer that was given from them early stands. Not equal: one of them is damaged,
 *                                 and it is not the twin; the first goes on, and its CRC will tell
 *   It waits to be asked again    it is cancelled, and its END delivers what the twin has
 *   It has ended                  the twin has lost
 *
 * What the asker takes for another article than he wants (-EBADMSG) is no win. If the first, which was cancelled for
 * it, has not come either by its END, it begins anew, without a twin: there may be providers that were not asked.
 *
 * Only the payload of a twin that wins is written to memory twice, and in part. When the first ends without the
 * article, its END is held back until the twin has ended, too; when that fails as well, the first one's verdict,
 * which has all providers in it, is told. Who has lost is cancelled; what flies may come to its end unread. */

#define TWIN_MOST ((uint32_t)2 << 20)

static const struct segment_fetch_ops twin_ops, ghost_ops;

/* --- the twin's fetch ------------------------------------------------------------------------------- */

static int twin_begin(struct segment_fetch *f, const struct segment_info *info)
{
    struct nntp_hedge *h = container_of(f, struct nntp_hedge, fetch);

    if (atomic_load(&h->over) || info->len > TWIN_MOST)
        return -ENOSPC;
    free(h->payload);
    h->payload = malloc(info->len + 1);
    if (!h->payload)
        return -ENOSPC;
    h->info = *info;
    snprintf(h->name, sizeof(h->name), "%s", info->name ? info->name : "");
    h->info.name = h->name;
    h->iov = (struct iovec){h->payload, info->len};
    f->dst = &h->iov;
    f->ndst = 1;
    return 0;
}

/* What remains of the first one on its connection, when the asker has his article. */
static int ghost_begin(struct segment_fetch *f, const struct segment_info *info)
{
    (void)f;
    (void)info;
    return -ENOSPC;
}

static void nobody_asks(struct segment_fetch *f, enum segment_result r)
{
    (void)f;
    (void)r;
}

static const struct segment_fetch_ops twin_ops = {.begin = twin_begin, .done = nobody_asks};
static const struct segment_fetch_ops ghost_ops = {.begin = ghost_begin, .done = nobody_asks};

/* --- payload ---------------------------------------------------------------------------------------- */

/* The pieces of `f`, from byte `at` on, are filled. */
static void payload_copy(const struct nntp_hedge *h, const struct segment_fetch *f, size_t at)
{
    size_t off = 0;

    for (unsigned i = 0; i < f->ndst && off < h->info.len; i++) {
        size_t len = f->dst[i].iov_len, left = h->info.len - off;
        size_t skip = at > off ? at - off : 0;
        len = len < left ? len : left;
        if (skip < len)
            memcpy((uint8_t *)f->dst[i].iov_base + skip, h->payload + off + skip, len - skip);
        off += len;
    }
}

/* Are the first `n` bytes the twin's? */
static bool payload_is(const struct nntp_hedge *h, const struct segment_fetch *f, size_t n)
{
    size_t off = 0;

    for (unsigned i = 0; i < f->ndst && off < n; i++) {
        size_t len = f->dst[i].iov_len < n - off ? f->dst[i].iov_len : n - off;
        if (memcmp(f->dst[i].iov_base, h->payload + off, len) != 0)
            return false;
        off += len;
    }
    return off == n;
}

static bool info_is(const struct nntp_hedge *h, const struct segment_info *i)
{
    return i->begin == h->info.begin && i->len == h->info.len && i->file_size == h->info.file_size;
}

/* --- under the pool's lock -------------------------------------------------------------------------- */

static struct nntp_hedge *hedge_free(struct nntp_pool *p)
{
    for (unsigned i = 0; i < NNTP_HEDGES; i++)
        if (!p->hedges[i].first && !p->hedges[i].twin)
            return &p->hedges[i];
    return NULL;
}

/* The asker's strings are his until done(); ours last as long as either of the two. */
static bool want_copy(struct nntp_hedge *h, const struct segment_want *w)
{
    const char *group = w->group ? w->group : "";

    if (strlen(w->message_id) >= sizeof(h->id) || strlen(group) >= sizeof(h->group))
        return false;
    strcpy(h->id, w->message_id);
    strcpy(h->group, group);
    h->fetch = (struct segment_fetch){.want = *w, .ops = &twin_ops};
    h->fetch.want.message_id = h->id;
    h->fetch.want.group = w->group ? h->group : NULL;
    h->ghost = h->fetch;
    h->ghost.ops = &ghost_ops;
    return true;
}

void nntp_hedge_late(struct nntp_pool *p, qos_time now, struct nntp_op *first, qos_op late)
{
    struct nntp_hedge *h = hedge_free(p);

    if (!h || first->hedge || first->x.f->want.bytes > TWIN_MOST + TWIN_MOST / 16 ||
        !want_copy(h, &first->x.f->want))
        return;
    struct nntp_op *twin = nntp_orders_slot(p);
    if (!twin)
        return;
    twin->x.f = &h->fetch;
    twin->x.bytes = 0;
    if (qos_hedge(p->qos, now, late, twin, &twin->id)) {
        nntp_orders_slot_put(p, twin);
        return;
    }
    h->first = first;
    h->twin = twin;
    h->came = h->taken = h->holds = h->delivers = h->started = h->unwanted = false;
    atomic_store(&h->over, false);
    first->hedge = twin->hedge = h;
}

void nntp_hedge_started(struct nntp_pool *p, const struct nntp_op *op)
{
    if (op != op->hedge->twin)
        return;
    op->hedge->started = true;
    p->hedged.started++;
}

void nntp_hedge_cancel(struct nntp_pool *p, qos_time now, const struct nntp_op *op)
{
    struct nntp_hedge *h = op->hedge;

    if (!h || op != h->first)
        return;
    h->unwanted = true;
    if (h->twin && h->twin->id)
        qos_cancel(p->qos, now, h->twin->id);
}

static bool is_failure(enum segment_result r)
{
    return r == SEGMENT_MISSING || r == SEGMENT_CORRUPT || r == SEGMENT_FAILED;
}

static void first_ended(struct nntp_pool *p, qos_time now, struct nntp_hedge *h,
                        enum segment_result r)
{
    struct nntp_op *first = h->first;
    bool twin_flies = h->twin && h->twin->id;

    if (twin_flies && !h->came && is_failure(r)) {
        first->id = 0;
        h->holds = true;
        h->held = r;
        return;
    }
    if (twin_flies)
        qos_cancel(p->qos, now, h->twin->id);
    atomic_store(&h->over, true);
    h->delivers = h->came && !h->taken && r != SEGMENT_DONE;
    nntp_orders_end(p, first, r);
}

static void twin_ended(struct nntp_pool *p, qos_time now, struct nntp_hedge *h,
                       enum segment_result r)
{
    struct nntp_op *first = h->first, *twin = h->twin;

    h->came = r == SEGMENT_DONE && !atomic_load(&h->over);
    if (h->holds) {
        h->holds = false;
        h->delivers = h->came;
        nntp_orders_end(p, first, h->held);
    } else if (h->came && first && first->id) {
        nntp_orders_win(p, twin, first);
        /* What waits ends at once; what flies, not before it is told. */
        qos_cancel(p->qos, now, first->id);
        return;
    }
    nntp_orders_end(p, twin, r);
}

void nntp_hedge_ended(struct nntp_pool *p, qos_time now, struct nntp_op *op, enum segment_result r)
{
    if (op == op->hedge->first)
        first_ended(p, now, op->hedge, r);
    else
        twin_ended(p, now, op->hedge, r);
}

void nntp_hedge_put(struct nntp_pool *p, struct nntp_op *op)
{
    struct nntp_hedge *h = op->hedge;

    op->hedge = NULL;
    if (op == h->first) {
        h->first = NULL;
        h->first_bytes = op->x.bytes;
    } else {
        h->twin = NULL;
        h->twin_bytes = op->x.bytes;
    }
    if (h->first || h->twin)
        return;
    free(h->payload);
    h->payload = NULL;
    if (!h->started)
        return;
    p->hedged.won += h->taken;
    p->hedged.lost += !h->taken;
    p->hedged.bytes_lost += h->taken ? h->first_bytes : h->twin_bytes;
}

/* --- on a lane -------------------------------------------------------------------------------------- */

/* The first was cancelled for a twin that is none. False: it is over for good, with first->result. */
static bool begin_anew(struct nntp_pool *p, struct nntp_op *first)
{
    struct nntp_hedge *h = first->hedge;
    qos_time now = nntp_orders_lock(p);
    bool wanted = !h->unwanted && !p->stopping, anew = false;

    h->came = h->delivers = false;
    if (wanted)
        anew = nntp_pool_submit(p, now, first) == 0;
    if (wanted && !anew)
        first->result = SEGMENT_FAILED;
    nntp_orders_unlock(p, now);
    return anew;
}

/* Nothing writes for the first any more: the asker gets what the twin has. */
static bool deliver(struct nntp_pool *p, struct nntp_op *first)
{
    struct nntp_hedge *h = first->hedge;
    struct segment_fetch *f = first->x.f;
    int r = f->ops->begin(f, &h->info);

    if (!r) {
        payload_copy(h, f, 0);
        h->taken = true;
        f->ops->done(f, SEGMENT_DONE);
    } else if (r == -ENOSPC) {
        f->ops->done(f, SEGMENT_NOSPACE);
    } else if (first->result == SEGMENT_MISSING) { /* but there was something */
        f->ops->done(f, SEGMENT_CORRUPT);
    } else {
        if (first->result == SEGMENT_CANCELLED && begin_anew(p, first))
            return false;
        f->ops->done(f, first->result);
    }
    return true;
}

bool nntp_hedge_done(struct nntp_pool *p, struct nntp_op *op)
{
    struct nntp_hedge *h = op->hedge;
    struct segment_fetch *f = op->x.f;

    if (op == h->first && h->delivers)
        return deliver(p, op);
    f->ops->done(f, op->result); /* nobody's, where it is a twin's or a ghost's */
    return true;
}

/* Its payload so far, if any, is the twin's, and it has room for the rest. */
static bool overtakes(struct nntp_hedge *h, const struct nntp_op *first)
{
    struct segment_fetch *f = first->x.f;
    const struct segment_info *info;
    size_t n = 0;

    if (!nntp_talk_has(first->conn, &first->x, &info, &n))
        return false;
    if (info ? !info_is(h, info) || !payload_is(h, f, n) : f->ops->begin(f, &h->info) != 0)
        return false;
    payload_copy(h, f, n);
    return true;
}

void nntp_hedge_win(struct nntp_pool *p, struct nntp_op *twin)
{
    struct nntp_hedge *h = twin->hedge;
    struct nntp_op *first;

    pthread_mutex_lock(&p->lock);
    first = h->first && h->first->id ? h->first : NULL;
    pthread_mutex_unlock(&p->lock);
    /* It flies on a connection of this loop's, so that it ends nowhere else meanwhile. */
    if (!first || !overtakes(h, first))
        return;
    struct segment_fetch *f = first->x.f;
    nntp_talk_disown(first->conn, &first->x, &h->ghost);
    pthread_mutex_lock(&p->lock);
    h->taken = true;
    pthread_mutex_unlock(&p->lock);
    f->ops->done(f, SEGMENT_DONE);
}
