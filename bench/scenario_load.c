#include "bench/scenario_load.h"

#include "cli/compose.h"
#include "nzb/nzb.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define ROOM ((size_t)1 << 20) /* an article's payload; it is written over by the next */

struct load;

/* One wish, over and over. */
struct wish {
    struct segment_fetch fetch;
    struct iovec room;
    struct load *load;
};

struct load {
    struct source *source;
    const struct nzb *nzb;
    atomic_bool over;
    struct wish *wishes;
    unsigned n;
    uint8_t *rooms;
    atomic_uint next[TRAFFIC_CLASSES];
    unsigned file[TRAFFIC_CLASSES];
};

static int wish_begin(struct segment_fetch *f, const struct segment_info *info)
{
    struct wish *w = container_of(f, struct wish, fetch);

    if (info->len > ROOM)
        return -ENOSPC;
    f->dst = &w->room;
    f->ndst = 1;
    return 0;
}

static void wish_ask(struct wish *w)
{
    struct load *l = w->load;
    enum traffic_class class = w->fetch.want.class;
    const struct nzb_file *file = &l->nzb->files[l->file[class]];
    unsigned i = atomic_fetch_add(&l->next[class], 1) % file->nsegments;

    w->fetch.want.message_id = file->segments[i].message_id;
    w->fetch.want.bytes = file->segments[i].bytes;
    source_fetch(l->source, &w->fetch);
}

/* The pool takes the next one here: it holds no lock meanwhile. */
static void wish_done(struct segment_fetch *f, enum segment_result r)
{
    struct wish *w = container_of(f, struct wish, fetch);

    if (atomic_load(&w->load->over) || r == SEGMENT_CANCELLED)
        return;
    wish_ask(w);
}

static bool load_start(struct load *l, const struct scenario_load *o, struct source *source)
{
    static const struct segment_fetch_ops ops = {.begin = wish_begin, .done = wish_done};

    l->source = source;
    l->nzb = o->stage->nzb;
    l->file[TRAFFIC_QUEUE] = o->queue_file;
    l->file[TRAFFIC_HEALTH] = o->health_file;
    l->n = o->queue + o->health;
    l->wishes = calloc(l->n ? l->n : 1, sizeof(*l->wishes));
    l->rooms = malloc(l->n ? l->n * ROOM : 1);
    if (!l->wishes || !l->rooms)
        return false;
    for (unsigned i = 0; i < l->n; i++) {
        struct wish *w = &l->wishes[i];
        bool queue = i < o->queue;
        w->load = l;
        w->room = (struct iovec){l->rooms + i * ROOM, ROOM};
        w->fetch.ops = &ops;
        w->fetch.want.class = queue ? TRAFFIC_QUEUE : TRAFFIC_HEALTH;
        w->fetch.want.verb = queue ? SEGMENT_BODY : SEGMENT_STAT;
        w->fetch.want.stream = queue ? 1 : 2; /* two jobs; open files are counted apart */
        wish_ask(w);
    }
    return true;
}

int scenario_load_serve(void *arg)
{
    const struct scenario_load *o = arg;
    struct fs_mount_options mount = {0};
    struct load load = {0};
    struct compose world;
    struct config *cfg;
    char err[512];
    int status = 1;

    if (!freopen(o->stage->log, "a", stderr))
        return 1;
    if (config_load(o->stage->config, &cfg, err, sizeof(err)) < 0 ||
        compose_start(&world, cfg, o->stage->nzb_path, NULL, err, sizeof(err)) < 0) {
        fprintf(stderr, "bench: %s\n", err);
        return 1;
    }
    if (fs_mount(world.fs, o->stage->mountpoint, &mount, err, sizeof(err)) < 0)
        fprintf(stderr, "bench: %s\n", err);
    else if (!load_start(&load, o, nntp_pool_source(world.pool)))
        fprintf(stderr, "bench: no memory\n");
    else
        status = fs_loop(world.fs) < 0;
    atomic_store(&load.over, true);
    fs_unmount(world.fs);
    compose_stop(&world); /* the pool first: every wish ends before its memory goes */
    free(load.wishes);
    free(load.rooms);
    return status;
}
