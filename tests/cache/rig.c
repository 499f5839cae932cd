#include "tests/cache/rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct rig_file *rig_file(const struct cache_file *f)
{
    const char *p = (const char *)f - offsetof(struct rig_file, file);

    return (const struct rig_file *)(const void *)p;
}

static void describe(const struct cache_file *cf, uint32_t i, struct segment_want *out)
{
    const struct rig_file *f = rig_file(cf);

    out->message_id = f->ids[i];
    out->group = "alt.binaries.test";
    out->posted_s = 1700000000;
    out->bytes = f->told;
}

static int check(struct cache_file *cf, uint32_t i, const struct segment_info *info)
{
    struct rig_file *f = container_of(cf, struct rig_file, file);

    atomic_fetch_add(&f->checked, 1);
    if (atomic_load(&f->refuses) || info->begin != (uint64_t)i * f->part_size)
        return -EBADMSG;
    return 0;
}

static void disowned(struct cache_file *cf, uint32_t i, uint64_t begin, uint64_t end, bool lied)
{
    struct rig_file *f = container_of(cf, struct rig_file, file);
    uint64_t from = (uint64_t)i * f->part_size;

    if (begin < end && (begin != from || end >= from + f->part_size))
        abort();
    atomic_store(&f->taken_back, end - begin);
    atomic_fetch_add(lied ? &f->lied : &f->unproven, 1);
}

static void proven(struct cache_file *cf, uint32_t i, const struct segment_info *info)
{
    struct rig_file *f = container_of(cf, struct rig_file, file);

    if (info->begin != (uint64_t)i * f->part_size)
        abort();
    atomic_store(&f->proven_size, info->file_size);
    atomic_fetch_add(&f->proven, 1);
}

static void doubted(struct cache_file *cf, uint32_t i)
{
    struct rig_file *f = container_of(cf, struct rig_file, file);

    if (i >= f->n)
        abort();
    atomic_fetch_add(&f->doubted, 1);
}

static const struct cache_file_ops file_ops = {
    .describe = describe,
    .check = check,
    .disowned = disowned,
    .proven = proven,
    .doubted = doubted,
};

void rig_file_init(struct rig_file *f, uint64_t id, uint32_t n, uint32_t part_size)
{
    memset(f, 0, sizeof(*f));
    f->file = (struct cache_file){.id = id, .ops = &file_ops};
    f->seed = id * 77 + 1;
    f->n = n;
    f->part_size = part_size;
    f->told = part_size;
    f->ids = calloc(n, sizeof(*f->ids));
    if (!f->ids)
        abort();
    for (uint32_t i = 0; i < n; i++) {
        struct scripted_article a = {.seed = f->seed,
                                     .file_size = (uint64_t)n * part_size,
                                     .begin = (uint64_t)i * part_size,
                                     .len = part_size,
                                     .part = i + 1};

        scripted_article_id(&a, f->ids[i]);
    }
}

void rig_file_fini(struct rig_file *f)
{
    free(f->ids);
    f->ids = NULL;
}

static void ready(struct cache_read *cr)
{
    struct rig_read *r = container_of(cr, struct rig_read, read);

    if (r->ends_itself)
        cache_read_end(r->cache, cr);
    pthread_mutex_lock(&r->lock);
    atomic_fetch_add(&r->runs, 1);
    pthread_cond_signal(&r->ran);
    pthread_mutex_unlock(&r->lock);
}

void rig_read_init(struct rig_read *r, struct cache *c, struct rig_file *f, uint32_t first,
                   unsigned n)
{
    memset(r, 0, sizeof(*r));
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->ran, NULL);
    r->cache = c;
    r->file = f;
    r->read = (struct cache_read){.file = &f->file,
                                  .class = TRAFFIC_STREAMING,
                                  .urgency = URGENCY_DEMAND,
                                  .stream = 1,
                                  .ready = ready,
                                  .wants = r->wants,
                                  .nwants = n};
    for (unsigned k = 0; k < n; k++)
        r->wants[k].i = first + k;
}

enum cache_start rig_read_start(struct rig_read *r)
{
    return cache_read_start(r->cache, &r->read);
}

void rig_read_wait(struct rig_read *r)
{
    pthread_mutex_lock(&r->lock);
    while (atomic_load(&r->runs) == 0)
        pthread_cond_wait(&r->ran, &r->lock);
    pthread_mutex_unlock(&r->lock);
}

bool rig_early_is_right(const struct rig_read *r, unsigned k)
{
    const struct cache_want *w = &r->wants[k];
    uint64_t off = (uint64_t)w->i * r->file->part_size;
    struct iovec iov[64];
    size_t seen = 0;
    unsigned n;

    if (w->result != SEGMENT_DONE || !w->block || w->info.len != r->file->part_size ||
        w->info.begin != off || w->there > w->info.len ||
        (!w->header && w->there < w->early && w->there < w->info.len))
        return false;
    n = cache_block_iov(w->block, 0, w->there, iov, 64);
    for (unsigned j = 0; j < n; j++) {
        if (!scripted_bytes_match(r->file->seed, off + seen, iov[j].iov_base, iov[j].iov_len))
            return false;
        seen += iov[j].iov_len;
    }
    return seen == w->there;
}

bool rig_want_is_right(const struct rig_read *r, unsigned k)
{
    return rig_early_is_right(r, k) && r->wants[k].there == r->wants[k].info.len;
}

bool rig_read_is_right(const struct rig_read *r)
{
    for (unsigned k = 0; k < r->read.nwants; k++)
        if (!rig_want_is_right(r, k))
            return false;
    return true;
}
