#include "tests/lib/scripted_source.h"

#include "base/list.h"
#include "tests/lib/scripted_article.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct record {
    struct list link;
    struct segment_fetch *f;
    bool claimed, spoils;
    struct scripted_fetch seen;
    struct segment_info info;
};

struct scripted_source {
    /* fixed */
    struct source source;
    /* under lock: nothing is called while it is held */
    pthread_mutex_t lock;
    pthread_cond_t came;
    struct list out;
    unsigned nout;
    uint64_t total;
    bool closed;
};

static struct record *record_of(const struct segment_fetch *f)
{
    return (struct record *)(uintptr_t)f->handle;
}

static struct record *at(struct list *l)
{
    return container_of(l, struct record, link);
}

static struct scripted_source *self(struct source *src)
{
    return container_of(src, struct scripted_source, source);
}

/* --- as a source --------------------------------------------------------------------------------- */

static void source_body_fetch(struct source *src, struct segment_fetch *f)
{
    struct scripted_source *s = self(src);
    struct record *r = calloc(1, sizeof(*r));

    if (!r)
        abort();
    r->f = f;
    r->seen.urgency = f->want.urgency;
    r->seen.deadline_us = f->want.deadline_us;
    f->handle = (uint64_t)(uintptr_t)r;
    pthread_mutex_lock(&s->lock);
    list_add_tail(&s->out, &r->link);
    s->nout++;
    s->total++;
    pthread_cond_signal(&s->came);
    pthread_mutex_unlock(&s->lock);
}

static void source_body_promote(struct source *src, struct segment_fetch *f, enum urgency u,
                                uint64_t deadline_us)
{
    struct scripted_source *s = self(src);
    struct record *r = record_of(f);

    pthread_mutex_lock(&s->lock);
    r->seen.promotes++;
    r->seen.urgency = u;
    r->seen.deadline_us = deadline_us;
    pthread_mutex_unlock(&s->lock);
}

static void source_body_cancel(struct source *src, struct segment_fetch *f)
{
    struct scripted_source *s = self(src);
    struct record *r = record_of(f);

    pthread_mutex_lock(&s->lock);
    r->seen.cancels++;
    if (!r->seen.begun)
        r->seen.withdrawn = true;
    pthread_mutex_unlock(&s->lock);
}

static const struct source_ops body = {
    .fetch = source_body_fetch,
    .promote = source_body_promote,
    .cancel = source_body_cancel,
};

/* --- as the test's puppet ------------------------------------------------------------------------ */

struct scripted_source *scripted_source_new(void)
{
    struct scripted_source *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->source.ops = &body;
    list_init(&s->out);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->came, NULL);
    return s;
}

void scripted_source_free(struct scripted_source *s)
{
    if (!s)
        return;
    assert(list_is_empty(&s->out));
    pthread_cond_destroy(&s->came);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

struct source *scripted_source_source(struct scripted_source *s)
{
    return &s->source;
}

unsigned scripted_source_out(struct scripted_source *s)
{
    pthread_mutex_lock(&s->lock);
    unsigned n = s->nout;
    pthread_mutex_unlock(&s->lock);
    return n;
}

uint64_t scripted_source_total(struct scripted_source *s)
{
    pthread_mutex_lock(&s->lock);
    uint64_t n = s->total;
    pthread_mutex_unlock(&s->lock);
    return n;
}

struct segment_fetch *scripted_source_nth(struct scripted_source *s, unsigned n)
{
    struct segment_fetch *f = NULL;

    pthread_mutex_lock(&s->lock);
    for (struct list *it = s->out.next; it != &s->out && !f; it = it->next)
        if (n-- == 0)
            f = at(it)->f;
    pthread_mutex_unlock(&s->lock);
    return f;
}

struct segment_fetch *scripted_source_find(struct scripted_source *s, const char *message_id)
{
    struct segment_fetch *f = NULL;

    pthread_mutex_lock(&s->lock);
    for (struct list *it = s->out.next; it != &s->out && !f; it = it->next)
        if (strcmp(at(it)->f->want.message_id, message_id) == 0)
            f = at(it)->f;
    pthread_mutex_unlock(&s->lock);
    return f;
}

static struct segment_fetch *unclaimed(struct scripted_source *s)
{
    for (struct list *it = s->out.next; it != &s->out; it = it->next)
        if (!at(it)->claimed) {
            at(it)->claimed = true;
            return at(it)->f;
        }
    return NULL;
}

struct segment_fetch *scripted_source_claim(struct scripted_source *s)
{
    struct segment_fetch *f;

    pthread_mutex_lock(&s->lock);
    while (!(f = unclaimed(s)) && !s->closed)
        pthread_cond_wait(&s->came, &s->lock);
    pthread_mutex_unlock(&s->lock);
    return f;
}

void scripted_source_close(struct scripted_source *s)
{
    pthread_mutex_lock(&s->lock);
    s->closed = true;
    pthread_cond_broadcast(&s->came);
    pthread_mutex_unlock(&s->lock);
}

struct scripted_fetch scripted_source_look(struct scripted_source *s, const struct segment_fetch *f)
{
    pthread_mutex_lock(&s->lock);
    struct scripted_fetch seen = record_of(f)->seen;
    pthread_mutex_unlock(&s->lock);
    return seen;
}

/** It is on the wire from here on, unless it was withdrawn before. */
static bool record_send(struct scripted_source *s, struct record *r)
{
    pthread_mutex_lock(&s->lock);
    bool on = !r->seen.withdrawn;
    if (on)
        r->seen.begun = true;
    r->seen.brought = 0;
    pthread_mutex_unlock(&s->lock);
    return on;
}

static size_t room(const struct segment_fetch *f)
{
    size_t sum = 0;

    for (unsigned k = 0; k < f->ndst; k++)
        sum += f->dst[k].iov_len;
    return sum;
}

void scripted_source_move(struct segment_fetch *f, const char *provider)
{
    segment_moved(f, provider ? SEGMENT_SENT : SEGMENT_QUEUED, provider);
}

int scripted_source_begin(struct scripted_source *s, struct segment_fetch *f,
                          const struct segment_info *info)
{
    struct record *r = record_of(f);
    struct scripted_article a;
    int rc;

    if (info) {
        r->info = *info;
    } else {
        if (!scripted_article_parse(f->want.message_id, &a))
            return -EBADMSG;
        r->info = scripted_article_info(&a);
    }
    if (!record_send(s, r))
        return -ECANCELED;
    rc = f->ops->begin(f, &r->info);
    if (rc == 0 && room(f) < r->info.len)
        abort(); /* begin() broke its word */
    return rc;
}

/** Put the file's bytes [from, from+len) of the part in place. */
static void fill(const struct segment_fetch *f, uint64_t seed, uint64_t begin, size_t from,
                 size_t len)
{
    for (unsigned k = 0; k < f->ndst && len > 0; k++) {
        size_t take = f->dst[k].iov_len;

        if (from >= take) {
            from -= take;
            begin += take;
            continue;
        }
        take = take - from < len ? take - from : len;
        scripted_bytes(seed, begin + from, (char *)f->dst[k].iov_base + from, take);
        begin += from + take;
        len -= take;
        from = 0;
    }
}

void scripted_source_bring(struct scripted_source *s, struct segment_fetch *f, size_t len)
{
    struct record *r = record_of(f);
    struct scripted_article a = {.seed = 0};
    uint64_t from;

    (void)scripted_article_parse(f->want.message_id, &a);
    pthread_mutex_lock(&s->lock);
    from = r->seen.brought;
    if (len > r->info.len - from)
        len = (size_t)(r->info.len - from);
    r->seen.brought += len;
    pthread_mutex_unlock(&s->lock);
    fill(f, r->spoils ? ~a.seed : a.seed, r->info.begin, (size_t)from, len);
    if (f->ops->progress && from + len)
        f->ops->progress(f, (uint32_t)(from + len));
}

void scripted_source_spoil(struct scripted_source *s, struct segment_fetch *f, bool spoils)
{
    struct record *r = record_of(f);

    pthread_mutex_lock(&s->lock);
    r->spoils = spoils;
    pthread_mutex_unlock(&s->lock);
}

void scripted_source_end(struct scripted_source *s, struct segment_fetch *f, enum segment_result r)
{
    struct record *record = record_of(f);

    pthread_mutex_lock(&s->lock);
    list_del(&record->link);
    s->nout--;
    pthread_mutex_unlock(&s->lock);
    f->ops->done(f, r);
    free(record); /* promote and cancel may come until done() has returned, not later */
}

enum segment_result scripted_source_play(struct scripted_source *s, struct segment_fetch *f)
{
    enum segment_result r = SEGMENT_DONE;

    switch (scripted_source_begin(s, f, NULL)) {
    case 0:
        scripted_source_bring(s, f, SIZE_MAX);
        break;
    case -ECANCELED:
        r = SEGMENT_CANCELLED;
        break;
    case -ENOSPC:
        r = SEGMENT_NOSPACE;
        break;
    default:
        r = SEGMENT_CORRUPT;
        break;
    }
    scripted_source_end(s, f, r);
    return r;
}
