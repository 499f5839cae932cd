/* streams — the open files as one who asks why they wait sees them. */
#include "fs/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void handle_tell(struct fs_handle *h, uint64_t now_us, struct fs_stream *s)
{
    pthread_mutex_lock(&h->lock);
    *s = (struct fs_stream){.number = h->stream,
                            .file = h->node,
                            .pid = h->pid,
                            .pos = h->pos,
                            .age_us = now_us > h->tally.opened_us ? now_us - h->tally.opened_us : 0,
                            .rate_bps = fs_tally_rate(&h->tally, now_us),
                            .scan = h->window.scan,
                            .out = h->tally.out,
                            .waits = h->tally.sum};
    memcpy(s->comm, h->comm, sizeof(s->comm));
    if (!s->out && h->tally.answered_us && now_us > h->tally.answered_us)
        s->now_us = now_us - h->tally.answered_us;
    pthread_mutex_unlock(&h->lock);
}

/* Handles are listed in the order of their numbers. */
static size_t handles_tell(struct fs *fs, uint64_t now_us, struct fs_stream *all, size_t most)
{
    size_t n = 0;
    pthread_mutex_lock(&fs->open_lock);
    list_for_each(it, &fs->open)
    {
        if (n == most)
            break;
        handle_tell(container_of(it, struct fs_handle, link), now_us, &all[n++]);
    }
    pthread_mutex_unlock(&fs->open_lock);
    return n;
}

static void look_take(struct fs_stream *s, const struct cache_look *l, uint64_t now_us)
{
    s->ready = l->ready;
    s->coming = l->coming;
    if (!l->waiting)
        return;
    s->waiting = true;
    s->stage = l->stage;
    s->provider = l->provider;
    s->now_us = now_us > l->since_us ? now_us - l->since_us : 0;
}

int fs_streams(struct fs *fs, struct fs_stream **out, size_t *n)
{
    uint64_t now_us = fs->now_us();
    size_t most = (size_t)atomic_load(&fs->handles) + 16; /* some may be opened meanwhile */
    struct fs_stream *all = calloc(most, sizeof(*all));
    struct cache_look *looks = calloc(most, sizeof(*looks));
    if (!all || !looks) {
        free(all);
        free(looks);
        return -ENOMEM;
    }
    *n = handles_tell(fs, now_us, all, most);
    for (size_t k = 0; k < *n; k++)
        looks[k].stream = all[k].number;
    cache_looks(fs->cache, looks, *n);
    for (size_t k = 0; k < *n; k++)
        look_take(&all[k], &looks[k], now_us);
    free(looks);
    *out = all;
    return 0;
}

bool fs_node_waits(struct fs *fs, const struct fs_node *n, struct fs_waits *out)
{
    bool some = false;
    *out = (struct fs_waits){.reads = 0};
    pthread_mutex_lock(&fs->open_lock);
    list_for_each(it, &fs->open)
    {
        struct fs_handle *h = container_of(it, struct fs_handle, link);
        if (h->node != n)
            continue;
        some = true;
        pthread_mutex_lock(&h->lock);
        fs_waits_add(out, &h->tally.sum);
        pthread_mutex_unlock(&h->lock);
    }
    pthread_mutex_unlock(&fs->open_lock);
    return some;
}

void fs_node_path(const struct fs_node *n, char *out, size_t cap)
{
    const struct fs_node *up[8];
    size_t depth = 0, len = 0;
    for (; n->parent != n && depth < sizeof(up) / sizeof(up[0]); n = n->parent)
        up[depth++] = n;
    *out = '\0';
    while (depth-- && len < cap) {
        int k = snprintf(out + len, cap - len, "%s%s", len ? "/" : "", up[depth]->name);
        len += k > 0 ? (size_t)k : 0;
    }
}
