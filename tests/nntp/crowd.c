#include "tests/nntp/crowd.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct crowd_one *one_of(struct segment_fetch *f)
{
    return (struct crowd_one *)(void *)((char *)f - offsetof(struct crowd_one, f));
}

/* Lock held: that is what makes it sure, for promote and cancel, that it is out. */
static void fetch_next(struct crowd_one *o)
{
    struct crowd *c = o->crowd;
    uint32_t i = c->turn++;
    o->part = i % c->rig->tag_parts;
    o->f.want = c->want;
    o->f.want.stream += i % c->streams;
    o->f.want.message_id = spool_message_id(c->rig->spool, c->file, o->part + 1);
    o->f.dst = NULL;
    o->f.ndst = 0;
    o->out = true;
    c->out++;
    c->counts.fetched++;
    source_fetch(c->rig->source, &o->f);
}

static int on_begin(struct segment_fetch *f, const struct segment_info *info)
{
    struct crowd_one *o = one_of(f);
    if (info->begin != (uint64_t)o->part * RIG_TAG_PART || info->len > RIG_TAG_PART)
        return -EBADMSG;
    o->iov = (struct iovec){.iov_base = o->room, .iov_len = RIG_TAG_PART};
    f->dst = &o->iov;
    f->ndst = 1;
    return 0;
}

static void on_done(struct segment_fetch *f, enum segment_result result)
{
    struct crowd_one *o = one_of(f);
    struct crowd *c = o->crowd;
    bool payload = result == SEGMENT_DONE && f->want.verb == SEGMENT_BODY;
    bool right = !payload || (f->dst && memcmp(c->right + (size_t)o->part * RIG_TAG_PART, o->room,
                                               RIG_TAG_PART) == 0);
    if (payload)
        memset(o->room, 0xee, RIG_TAG_PART); /* the next one's bytes must come from the wire */
    pthread_mutex_lock(&c->lock);
    c->counts.results[result]++;
    c->counts.wrong += !right || !o->out;
    c->counts.ended++;
    c->out -= o->out;
    o->out = false;
    if (!c->over && (!c->most || c->counts.fetched < c->most))
        fetch_next(o);
    if (!c->out)
        pthread_cond_broadcast(&c->quiet);
    pthread_mutex_unlock(&c->lock);
}

static const struct segment_fetch_ops ops = {.begin = on_begin, .done = on_done};

void crowd_init(struct crowd *c, struct rig *r, char tag, enum traffic_class class, unsigned n)
{
    memset(c, 0, sizeof(*c));
    c->rig = r;
    c->file = rig_file_of(r, tag);
    c->n = n;
    c->streams = 1;
    c->want = (struct segment_want){
        .group = "alt.binaries.test", .stream = 1, .bytes = RIG_TAG_PART, .class = class};
    c->right = malloc((size_t)r->tag_parts * RIG_TAG_PART);
    c->ones = calloc(n, sizeof(*c->ones));
    ck_assert(c->right && c->ones);
    spool_bytes(rig_seed_of(tag), 0, c->right, (size_t)r->tag_parts * RIG_TAG_PART);
    for (unsigned i = 0; i < n; i++) {
        c->ones[i] = (struct crowd_one){.f.ops = &ops, .crowd = c};
        c->ones[i].room = malloc(RIG_TAG_PART);
        ck_assert_ptr_nonnull(c->ones[i].room);
    }
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->quiet, NULL);
}

void crowd_start(struct crowd *c)
{
    pthread_mutex_lock(&c->lock);
    for (unsigned i = 0; i < c->n && (!c->most || c->counts.fetched < c->most); i++)
        fetch_next(&c->ones[i]);
    pthread_mutex_unlock(&c->lock);
}

void crowd_stop(struct crowd *c)
{
    pthread_mutex_lock(&c->lock);
    c->over = true;
    for (unsigned i = 0; i < c->n; i++)
        if (c->ones[i].out)
            source_cancel(c->rig->source, &c->ones[i].f);
    pthread_mutex_unlock(&c->lock);
}

void crowd_wait(struct crowd *c)
{
    pthread_mutex_lock(&c->lock);
    while (c->out)
        pthread_cond_wait(&c->quiet, &c->lock);
    pthread_mutex_unlock(&c->lock);
}

void crowd_fini(struct crowd *c)
{
    for (unsigned i = 0; i < c->n; i++)
        free(c->ones[i].room);
    free(c->ones);
    free(c->right);
    pthread_cond_destroy(&c->quiet);
    pthread_mutex_destroy(&c->lock);
}

struct crowd_counts crowd_counts(struct crowd *c)
{
    pthread_mutex_lock(&c->lock);
    struct crowd_counts counts = c->counts;
    pthread_mutex_unlock(&c->lock);
    return counts;
}

unsigned crowd_out(struct crowd *c)
{
    pthread_mutex_lock(&c->lock);
    unsigned out = c->out;
    pthread_mutex_unlock(&c->lock);
    return out;
}

void crowd_promote(struct crowd *c, unsigned i, enum urgency u)
{
    pthread_mutex_lock(&c->lock);
    if (c->ones[i].out)
        source_promote(c->rig->source, &c->ones[i].f, u, 0);
    pthread_mutex_unlock(&c->lock);
}

void crowd_cancel(struct crowd *c, unsigned i)
{
    pthread_mutex_lock(&c->lock);
    if (c->ones[i].out)
        source_cancel(c->rig->source, &c->ones[i].f);
    pthread_mutex_unlock(&c->lock);
}
