#include "cache/internal.h"

#include <assert.h>

/* A read is admitted whole: every block it wants is then pinned, under way or has its memory reserved.
 * Until then it stands in a line and holds nothing. There are two lines: streaming reads that block
 * somebody, and all others; the first goes before the second, but not more than OVERTAKES times in a
 * row. A read that needs no memory may pass those who wait, but not more than PASSES times for one
 * head of the line: pins that overlap for ever would keep its memory from coming free. */

#define OVERTAKES    16
#define PASSES       64

/** How often articles may turn out larger than reserved, beyond once for each want. */
#define SPARE_ROUNDS 4

/* --- can it be admitted? ------------------------------------------------------------------------- */

enum verdict { ADMIT, WAIT, NEVER };

struct plan {
    enum verdict verdict;
    uint64_t now_us;    /* one moment for all that is remembered of failures */
    uint32_t absent;    /* wants that need a fetch */
    uint32_t share;     /* chunks reserved at most where the size is a guess */
    uint64_t need;      /* chunks to reserve */
    uint64_t own_idle;  /* chunks that are idle, but wanted by this very read */
    uint64_t available; /* free or evictable */
};

static uint64_t minus(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/** Sizes of absent segments are the NZB's word (a guess) or the article's (sure). A guess is never a
 *  reason to refuse: it is cut down to what can be had, and begin() asks for the rest. */
static struct plan plan_make(const struct cache *c, const struct cache_read *r)
{
    struct plan p = {.verdict = WAIT, .now_us = c->negative.live > 0 ? c->now_us() : 0};
    uint64_t held = 0, least = 0; /* chunks: as reserved now; as known to be needed */
    uint32_t guesses = 0;
    enum segment_result known;

    for (unsigned k = 0; k < r->nwants; k++) {
        const struct cache_want *w = &r->wants[k];
        const struct cache_block *b;

        if (w->phase != WANT_OPEN)
            continue;
        b = cache_block_find(c, r->file->id, w->i);
        if (b) {
            held += b->chunks;
            least += b->state == BLOCK_READY || b->begun ? b->chunks : 1;
            if (b->state == BLOCK_READY && b->pins == 0)
                p.own_idle += b->chunks;
        } else if (!cache_negative_find(&c->negative, r->file->id, w->i, p.now_us, &known)) {
            p.absent++;
            if (w->sure)
                p.need += w->room;
            else
                guesses++;
        }
    }
    if (least + p.need + guesses > c->slab.count) {
        p.verdict = NEVER;
        return p;
    }
    p.available = minus((uint64_t)c->slab.free + c->idle, p.own_idle);
    if (held + p.need + guesses > c->slab.count)
        return p; /* what is under way has more than it needs, and will give it back */
    if (guesses > 0)
        p.share = (uint32_t)((c->slab.count - held - p.need) / guesses);
    for (unsigned k = 0; k < r->nwants && guesses > 0; k++) {
        const struct cache_want *w = &r->wants[k];

        if (w->phase == WANT_OPEN && !w->sure && !cache_block_find(c, r->file->id, w->i) &&
            !cache_negative_find(&c->negative, r->file->id, w->i, p.now_us, &known))
            p.need += w->room < p.share ? w->room : p.share;
    }
    if (p.need <= p.available)
        p.verdict = ADMIT;
    return p;
}

/* --- admission ----------------------------------------------------------------------------------- */

static void want_result(struct cache_want *w, enum segment_result r)
{
    w->phase = WANT_HAS;
    w->result = r;
}

static void want_join(struct cache *c, struct cache_want *w, struct cache_block *b)
{
    if (cache_early_join(c, b, w)) {
        want_result(w, SEGMENT_DONE);
        return;
    }
    list_add_tail(&b->waiters, &w->link);
    w->phase = WANT_WAITING;
    w->read->left++;
    cache_fetch_promote(c, b, w->read->urgency, w->read->deadline_us);
}

/** What needs no memory: hits, fetches under way, failures remembered. */
static void want_take(struct cache *c, struct cache_want *w, const struct plan *p)
{
    struct cache_block *b = cache_block_find(c, w->read->file->id, w->i);
    enum segment_result known;

    if (b && b->state == BLOCK_READY) {
        cache_block_pin(c, b);
        w->block = b;
        w->info = b->info;
        w->there = b->info.len;
        want_result(w, SEGMENT_DONE);
        c->stats.hits++;
    } else if (b) {
        want_join(c, w, b);
        c->stats.joins++;
    } else if (cache_negative_find(&c->negative, w->read->file->id, w->i, p->now_us, &known)) {
        want_result(w, known);
        c->stats.hits++;
    }
}

static void want_fetch(struct cache *c, struct cache_want *w, const struct plan *p,
                       struct cache_work *work)
{
    const struct cache_read *r = w->read;
    struct cache_block *b = cache_block_find(c, r->file->id, w->i);

    if (!b) {
        uint32_t room = w->sure || w->room < p->share ? w->room : p->share;

        c->stats.misses++;
        b = cache_fetch_new(c, r->file, w->i, room, work);
        if (!b) {
            want_result(w, SEGMENT_NOSPACE);
            return;
        }
        b->class = r->class;
        b->urgency = r->urgency;
        b->stream = r->stream;
        b->deadline_us = r->deadline_us;
    }
    want_join(c, w, b);
}

static void read_admit(struct cache *c, struct cache_read *r, const struct plan *p,
                       struct cache_work *work)
{
    bool room;

    r->left = 0;
    for (unsigned k = 0; k < r->nwants; k++)
        if (r->wants[k].phase == WANT_OPEN)
            want_take(c, &r->wants[k], p);
    room = cache_room_make(c, (uint32_t)p->need, true);
    assert(room); /* the plan counted it */
    (void)room;
    for (unsigned k = 0; k < r->nwants; k++)
        if (r->wants[k].phase == WANT_OPEN)
            want_fetch(c, &r->wants[k], p, work);
    if (r->left == 0) {
        r->state = READ_OVER;
        return;
    }
    r->state = READ_PENDING;
    cache_waits_join(c, r);
    list_add_tail(&c->pending, &r->link);
}

/** It cannot be had at once in this budget. What is there already is let go with the rest. */
static void read_refuse(struct cache_read *r)
{
    for (unsigned k = 0; k < r->nwants; k++)
        if (r->wants[k].phase == WANT_OPEN)
            want_result(&r->wants[k], SEGMENT_NOSPACE);
    r->state = READ_OVER;
}

/* --- the lines ----------------------------------------------------------------------------------- */

static unsigned line_of(const struct cache_read *r)
{
    return r->class == TRAFFIC_STREAMING && r->urgency == URGENCY_DEMAND ? 0 : 1;
}

static void line_join(struct cache *c, struct cache_read *r, bool in_front)
{
    struct list *line = &c->line[line_of(r)];

    r->state = READ_WAITING;
    cache_waits_join(c, r);
    if (in_front)
        list_add(line, &r->link);
    else
        list_add_tail(line, &r->link);
    c->nwaiting++;
}

static void line_leave(struct cache *c, struct cache_read *r)
{
    list_del(&r->link);
    c->nwaiting--;
    c->passes = 0;
    if (c->forgetters > 0)
        pthread_cond_broadcast(&c->settled);
}

static struct cache_read *line_head(const struct cache *c)
{
    bool first = !list_is_empty(&c->line[0]), second = !list_is_empty(&c->line[1]);

    if (!first && !second)
        return NULL;
    if (second && (!first || c->overtakes >= OVERTAKES))
        return container_of(c->line[1].next, struct cache_read, link);
    return container_of(c->line[0].next, struct cache_read, link);
}

static bool read_wants(const struct cache_read *r, const struct cache_block *b)
{
    for (unsigned k = 0; k < r->nwants; k++)
        if (r->wants[k].i == b->i && r->file->id == b->file_id)
            return true;
    return false;
}

/** A reader waits for memory that readahead holds: withdraw of it, the latest first, what may help. */
static void ahead_withdraw(struct cache *c, const struct cache_read *r, const struct plan *p)
{
    uint64_t lacking = minus(p->need, p->available);

    for (struct list *it = c->fetching.prev; it != &c->fetching && lacking > 0; it = it->prev) {
        struct cache_block *b = container_of(it, struct cache_block, link);

        if (!list_is_empty(&b->waiters) || read_wants(r, b))
            continue;
        b->ahead = false;
        cache_fetch_release(c, b);
        lacking = minus(lacking, b->chunks);
    }
}

void cache_line_pump(struct cache *c, struct cache_work *w)
{
    struct cache_read *r;

    while ((r = line_head(c))) {
        struct plan p = plan_make(c, r);
        unsigned line = line_of(r);

        if (p.verdict == WAIT) {
            ahead_withdraw(c, r, &p);
            return;
        }
        line_leave(c, r);
        cache_waits_admit(c, r);
        if (line == 1 || list_is_empty(&c->line[1]))
            c->overtakes = 0;
        else if (r->rounds == 0) /* else it is a turn that was counted already */
            c->overtakes++;
        if (p.verdict == NEVER)
            read_refuse(r);
        else
            read_admit(c, r, &p, w);
        if (r->state == READ_OVER)
            list_add_tail(&w->ready, &r->link);
    }
}

bool cache_line_is_stuck(const struct cache *c)
{
    const struct cache_read *r = line_head(c);

    return r && plan_make(c, r).verdict != WAIT;
}

/* --- results ------------------------------------------------------------------------------------- */

void cache_want_settle(struct cache *c, struct cache_want *want, enum segment_result result,
                       struct cache_work *w)
{
    struct cache_read *r = want->read;

    want_result(want, result);
    assert(r->state == READ_PENDING && r->left > 0);
    if (--r->left > 0)
        return;
    cache_waits_for(c, r, cache_block_find(c, r->file->id, want->i));
    r->state = READ_OVER;
    list_del(&r->link);
    list_add_tail(&w->ready, &r->link);
}

/** Let go of pins and places. `keep_fetches`: what it waited for goes on without it. */
static void read_release(struct cache *c, struct cache_read *r, bool keep_fetches)
{
    for (unsigned k = 0; k < r->nwants; k++) {
        struct cache_want *w = &r->wants[k];

        if (w->phase == WANT_WAITING) {
            struct cache_block *b = cache_block_find(c, r->file->id, w->i);

            list_del(&w->link);
            w->phase = WANT_OPEN;
            if (!keep_fetches && b)
                cache_fetch_release(c, b);
        } else if (w->phase == WANT_HAS && w->result == SEGMENT_DONE && w->block) {
            w->room = w->block->chunks;
            w->sure = true;
            w->phase = WANT_OPEN;
            cache_block_unpin(c, w->block);
            w->block = NULL;
        }
    }
}

void cache_want_bounce(struct cache *c, struct cache_want *want, uint32_t chunks,
                       struct cache_work *w)
{
    struct cache_read *r = want->read;

    if (++r->rounds > r->nwants + SPARE_ROUNDS) {
        cache_want_settle(c, want, SEGMENT_NOSPACE, w); /* it says another size each time */
        return;
    }
    want->phase = WANT_OPEN;
    if (!want->sure || want->room < chunks)
        want->room = chunks;
    want->sure = true;
    list_del(&r->link);
    read_release(c, r, true);
    line_join(c, r, true);
}

/* --- the caller's side --------------------------------------------------------------------------- */

static void read_prepare(struct cache_read *r)
{
    r->left = 0;
    r->rounds = 0;
    r->state = READ_NONE;
    list_init(&r->link);
    for (unsigned k = 0; k < r->nwants; k++) {
        struct cache_want *w = &r->wants[k];

        w->result = SEGMENT_CANCELLED;
        w->info = (struct segment_info){.len = 0};
        w->block = NULL;
        w->read = r;
        w->room = 1;
        w->sure = false;
        w->phase = WANT_OPEN;
        list_init(&w->link);
    }
}

/** The NZB's word on the sizes. Without the lock. */
static void read_describe(const struct cache *c, struct cache_read *r)
{
    for (unsigned k = 0; k < r->nwants; k++) {
        struct segment_want seg = {.bytes = 0};

        r->file->ops->describe(r->file, r->wants[k].i, &seg);
        r->wants[k].room = cache_fetch_guess(c, seg.bytes);
    }
}

/** Whether it need not stand in line. */
static bool may_pass(struct cache *c, const struct plan *p)
{
    if (cache_line_is_empty(c))
        return true;
    return p->absent == 0 && c->passes++ < PASSES;
}

/** It goes to stand in line: what is there now may be gone when its turn comes. */
static void read_note_sizes(const struct cache *c, struct cache_read *r)
{
    for (unsigned k = 0; k < r->nwants; k++) {
        struct cache_want *w = &r->wants[k];
        const struct cache_block *b = cache_block_find(c, r->file->id, w->i);

        if (b) {
            w->room = b->chunks;
            w->sure = b->state == BLOCK_READY || b->begun;
        }
    }
}

static void read_begin(struct cache *c, struct cache_read *r, const struct plan *p,
                       struct cache_work *w)
{
    if (p->verdict == ADMIT && may_pass(c, p)) {
        read_admit(c, r, p, w);
        return;
    }
    read_note_sizes(c, r);
    line_join(c, r, false);
    cache_line_pump(c, w);
    if (r->state == READ_OVER)
        list_del(&r->link); /* `ready` does not run inside start */
}

enum cache_start cache_read_start(struct cache *c, struct cache_read *r)
{
    enum cache_start answer;
    struct cache_work w;
    struct plan p;

    read_prepare(r);
    cache_work_init(&w);
    pthread_mutex_lock(&c->lock);
    p = plan_make(c, r);
    if (p.absent > 0) {
        pthread_mutex_unlock(&c->lock);
        read_describe(c, r);
        pthread_mutex_lock(&c->lock);
        p = plan_make(c, r);
    }
    if (p.verdict == NEVER) {
        answer = CACHE_TOO_BIG;
    } else {
        read_begin(c, r, &p, &w);
        answer = r->state == READ_OVER ? CACHE_READY : CACHE_PENDING;
    }
    pthread_mutex_unlock(&c->lock);
    cache_work_run(c, &w);
    return answer;
}

bool cache_read_cancel(struct cache *c, struct cache_read *r)
{
    struct cache_work w;
    bool in_time;

    cache_work_init(&w);
    pthread_mutex_lock(&c->lock);
    in_time = r->state == READ_WAITING || r->state == READ_PENDING;
    if (in_time) {
        cache_waits_cancel(c, r);
        if (r->state == READ_WAITING)
            line_leave(c, r);
        else
            list_del(&r->link);
        r->state = READ_NONE;
        read_release(c, r, false);
        cache_line_pump(c, &w);
    }
    pthread_mutex_unlock(&c->lock);
    cache_work_run(c, &w);
    return in_time;
}

void cache_read_end(struct cache *c, struct cache_read *r)
{
    struct cache_work w;

    cache_work_init(&w);
    pthread_mutex_lock(&c->lock);
    for (unsigned k = 0; k < r->nwants; k++)
        if (r->wants[k].block) {
            struct cache_block *b = r->wants[k].block;

            cache_block_unpin(c, b);
            if (r->wants[k].spent)
                cache_block_spend(c, b);
            r->wants[k].block = NULL;
        }
    cache_line_pump(c, &w);
    pthread_mutex_unlock(&c->lock);
    cache_work_run(c, &w);
}
