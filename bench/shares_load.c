/* One class's demand: articles that are asked for, and again when they have come. */
#include "bench/shares.h"

#include "base/clock.h"
#include "base/list.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

struct load_item {
    struct segment_fetch f;
    struct iovec iov;
    uint8_t *room;
    struct load *load;
    uint64_t fetched_us;
    bool out; /* under the load's lock */
    char id[48];
};

/* Lock held. */
static void item_fetch(struct load_item *it)
{
    struct load *l = it->load;

    it->out = true;
    it->f.want.urgency = l->urgency;
    it->fetched_us = clock_now_us();
    l->out++;
    l->submitted++;
    source_fetch(l->stage->source, &it->f);
}

static int on_begin(struct segment_fetch *f, const struct segment_info *info)
{
    struct load_item *it = container_of(f, struct load_item, f);
    struct load *l = it->load;
    double us = (double)(clock_now_us() - it->fetched_us) - l->stage->pace.latency_us;

    if (info->len > it->iov.iov_len)
        return -ENOSPC;
    f->dst = &it->iov;
    f->ndst = 1;
    if (l->timing) {
        pthread_mutex_lock(&l->lock);
        samples_add(&l->got, us > 0 ? us : 0);
        pthread_mutex_unlock(&l->lock);
    }
    return 0;
}

static void on_done(struct segment_fetch *f, enum segment_result result)
{
    struct load_item *it = container_of(f, struct load_item, f);
    struct load *l = it->load;
    uint64_t now = clock_now_us();

    pthread_mutex_lock(&l->lock);
    if (!it->out) {
        l->doubled++;
    } else {
        it->out = false;
        l->out--;
        l->ends[result]++;
        if (result == SEGMENT_DONE)
            l->bytes += it->f.want.bytes;
        if (l->timing)
            samples_add(&l->took, (double)(now - it->fetched_us));
        if (l->refill)
            item_fetch(it);
    }
    if (!l->out)
        pthread_cond_broadcast(&l->ended);
    pthread_mutex_unlock(&l->lock);
}

static const struct segment_fetch_ops ops = {.begin = on_begin, .done = on_done};

void load_init(struct load *l, struct stage *s, enum traffic_class class, char tag, unsigned n,
               uint32_t payload)
{
    static uint64_t streams;
    pthread_condattr_t attr;

    *l = (struct load){.stage = s, .class = class, .n = n, .stream = ++streams};
    l->items = calloc(n, sizeof(*l->items));
    if (!l->items)
        shares_die("no memory");
    for (unsigned i = 0; i < n; i++) {
        struct load_item *it = &l->items[i];
        uint32_t len = payload - payload * (i % 11 * s->spread) / 1000;
        it->load = l;
        it->room = malloc(len);
        if (!it->room)
            shares_die("no memory");
        it->iov = (struct iovec){.iov_base = it->room, .iov_len = len};
        stage_article(s, tag, i, len, it->id);
        it->f.ops = &ops;
        it->f.want = (struct segment_want){
            .message_id = it->id, .stream = l->stream, .bytes = len, .class = class};
    }
    pthread_mutex_init(&l->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&l->ended, &attr);
    pthread_condattr_destroy(&attr);
}

void load_once(struct load *l, unsigned from, unsigned to)
{
    pthread_mutex_lock(&l->lock);
    for (unsigned i = from; i < to; i++)
        item_fetch(&l->items[i]);
    pthread_mutex_unlock(&l->lock);
}

void load_start(struct load *l, uint64_t ramp_us)
{
    pthread_mutex_lock(&l->lock);
    l->refill = true;
    pthread_mutex_unlock(&l->lock);
    for (unsigned i = 0; i < l->n; i++) {
        load_once(l, i, i + 1);
        if (ramp_us >= l->n)
            pause_us(ramp_us / l->n);
    }
}

bool load_wait(struct load *l, uint64_t limit_us)
{
    uint64_t at = clock_now_us() + limit_us;
    const struct timespec until = {.tv_sec = (time_t)(at / 1000000),
                                   .tv_nsec = (long)(at % 1000000) * 1000};
    int r = 0;

    pthread_mutex_lock(&l->lock);
    while (l->out && r == 0)
        r = pthread_cond_timedwait(&l->ended, &l->lock, &until);
    bool over = l->out == 0;
    pthread_mutex_unlock(&l->lock);
    return over;
}

void load_cancel(struct load *l)
{
    pthread_mutex_lock(&l->lock);
    l->refill = false;
    for (unsigned i = 0; i < l->n; i++) {
        if (l->items[i].out)
            source_cancel(l->stage->source, &l->items[i].f);
    }
    pthread_mutex_unlock(&l->lock);
}

void load_stop(struct load *l)
{
    load_cancel(l);
    if (!load_wait(l, 60000000))
        shares_die("operations do not end: %u are out after a minute", l->out);
}

static uint64_t locked(struct load *l, const uint64_t *v)
{
    pthread_mutex_lock(&l->lock);
    uint64_t n = *v;
    pthread_mutex_unlock(&l->lock);
    return n;
}

uint64_t load_done(struct load *l)
{
    return locked(l, &l->ends[SEGMENT_DONE]);
}

uint64_t load_bytes(struct load *l)
{
    return locked(l, &l->bytes);
}

uint64_t load_ended(struct load *l)
{
    uint64_t n = 0;

    pthread_mutex_lock(&l->lock);
    for (unsigned r = 0; r <= SEGMENT_CANCELLED; r++)
        n += l->ends[r];
    pthread_mutex_unlock(&l->lock);
    return n;
}

void load_fini(struct load *l)
{
    load_stop(l);
    for (unsigned i = 0; i < l->n; i++)
        free(l->items[i].room);
    free(l->items);
    samples_fini(&l->got);
    samples_fini(&l->took);
    pthread_cond_destroy(&l->ended);
    pthread_mutex_destroy(&l->lock);
}
