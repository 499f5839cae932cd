/* layout — what a survey found: counted, and asked where a byte is. */
#define LOG_TAG "fs.layout"
#include "fs/view.h"

#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* An entry within an encrypted one, within another. */
#define DEPTH_MOST 4

struct fs_layout *fs_layout_new(struct fs_view *v, struct archive_layout *found)
{
    struct fs_layout *l = calloc(1, sizeof(*l));
    if (l) {
        *l = (struct fs_layout){.view = v, .found = found};
        l->refs = 1;
        l->nodes = calloc((size_t)found->nentries + 1, sizeof(struct fs_node *));
        l->heads = calloc((size_t)found->nposts + 1, sizeof(*l->heads));
        if (l->nodes && l->heads)
            return l;
        free(l->nodes);
        free(l->heads);
        free(l);
    }
    archive_layout_free(found);
    return NULL;
}

struct fs_layout *fs_layout_get(struct fs_layout *l)
{
    atomic_fetch_add_explicit(&l->refs, 1, memory_order_relaxed);
    return l;
}

void fs_layout_put(struct fs_layout *l)
{
    if (!l || atomic_fetch_sub_explicit(&l->refs, 1, memory_order_acq_rel) != 1)
        return;
    archive_layout_free(l->found);
    free(l->nodes);
    free(l->heads);
    free(l);
}

struct fs_layout *fs_content_layout(struct fs_content *c, uint32_t *entry)
{
    pthread_mutex_lock(&c->view->lock);
    struct fs_layout *l = c->layout ? fs_layout_get(c->layout) : NULL;
    *entry = c->entry;
    pthread_mutex_unlock(&c->view->lock);
    return l;
}

const struct archive_extent *fs_extent_find(const struct archive_entry *e, uint64_t pos)
{
    uint32_t lo = 0, hi = e->nextents;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        const struct archive_extent *x = &e->extents[mid];
        if (x->at + x->len <= pos)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < e->nextents && e->extents[lo].at <= pos ? &e->extents[lo] : NULL;
}

enum fs_proof fs_layout_proof(const struct fs_layout *l, uint32_t post, uint64_t *head)
{
    uint64_t size;
    *head = 0;
    if (atomic_load_explicit(&l->heads[post].is, memory_order_acquire) == FS_HEAD_GOOD)
        return FS_PROOF_NONE;
    *head = archive_volume_head(l->found, post);
    if (*head)
        return FS_PROOF_HEAD;
    return archive_volume_size(l->found, post, &size) ? FS_PROOF_SIZE : FS_PROOF_NONE;
}

static void surprise_log(const struct fs_layout *l, uint32_t post)
{
    log_info("%s: %s is not like the volumes around it: all headers are read again",
             l->view->origin->path, l->view->posts[post]->name);
}

/* What is known of `post` now. */
static bool judge(struct fs_layout *l, uint32_t post, bool good)
{
    uint8_t before =
        atomic_exchange(&l->heads[post].is, (uint8_t)(good ? FS_HEAD_GOOD : FS_HEAD_OTHER));
    if (!good) {
        if (before != FS_HEAD_OTHER) {
            atomic_fetch_add(&l->view->fs->surprises, 1);
            surprise_log(l, post);
        }
        fs_view_surprised(l->view, l);
    }
    return good;
}

bool fs_layout_seen(struct fs_layout *l, uint32_t post, const void *head, size_t len)
{
    return judge(l, post, archive_volume_is(l->found, post, head, len));
}

bool fs_layout_sized(struct fs_layout *l, uint32_t post, uint64_t size)
{
    uint64_t want;
    return judge(l, post, !archive_volume_size(l->found, post, &want) || size == want);
}

bool fs_layout_like(struct fs_layout *l, const struct archive_entry *e, uint64_t at, uint32_t post,
                    uint64_t size)
{
    const struct archive_extent *x = fs_extent_find(e, at);
    if (!x || x->entry || x->from != post || l->heads[post].is == FS_HEAD_OTHER)
        return false;
    while (x > e->extents && (x->computed || x->entry))
        x--;
    if (x->computed || x->entry || l->view->posts[x->from]->file->size != size)
        return false;
    if (l->view->posts[post]->file->size == size) /* which is proven */
        judge(l, post, true);
    return true;
}

struct fs_node *fs_layout_place(const struct fs_layout *l, uint32_t entry, uint64_t pos,
                                uint32_t *post, uint64_t *off, uint64_t *len, bool *computed)
{
    uint64_t left = UINT64_MAX;
    for (unsigned depth = 0; depth < DEPTH_MOST; depth++) {
        const struct archive_entry *e = &l->found->entries[entry];
        if (pos >= e->size)
            return NULL;
        if (left > e->size - pos)
            left = e->size - pos;
        uint64_t at = pos + e->skip;
        const struct archive_extent *x = fs_extent_find(e, at);
        if (!x)
            return NULL;
        if (left > x->at + x->len - at)
            left = x->at + x->len - at;
        pos = x->off + (at - x->at);
        if (!x->entry) {
            *post = x->from;
            *off = pos;
            *len = left;
            *computed = x->computed;
            return l->view->posts[x->from];
        }
        entry = x->from;
    }
    return NULL;
}

/* --- heads ahead of their readers -------------------------------------------------------------- */

struct ahead {
    struct fs_layout *layout;
    uint32_t post;
    uint32_t want; /* bytes of the head; 0: only what its first article says of it is wanted */
};

static void ahead_judge(struct ahead *a, const struct fs_read *r)
{
    uint8_t *head = malloc((size_t)a->want + 1), *to = head;
    for (unsigned k = 0; head && k < r->niov; k++) {
        memcpy(to, r->iov[k].iov_base, r->iov[k].iov_len);
        to += r->iov[k].iov_len;
    }
    if (head)
        fs_layout_seen(a->layout, a->post, head, a->want);
    else
        atomic_store(&a->layout->heads[a->post].is, FS_HEAD_UNSEEN);
    free(head);
}

static void ahead_end(struct fs_read *r)
{
    struct ahead *a = r->arg;
    if (r->err == EIO && !r->unsure)
        atomic_store(&a->layout->heads[a->post].is, FS_HEAD_LOST);
    else if (r->err || r->n != a->want)
        atomic_store(&a->layout->heads[a->post].is, FS_HEAD_UNSEEN);
    else if (a->want)
        ahead_judge(a, r);
    else
        fs_layout_sized(a->layout, a->post, r->size);
    fs_layout_put(a->layout);
    free(a);
    fs_read_end(r); /* last: as long as there is a read the fs stays */
}

void fs_layout_prepare(struct fs_layout *l, uint32_t post, uint64_t stream)
{
    uint8_t unseen = FS_HEAD_UNSEEN;
    uint64_t head;
    bool known = fs_layout_proof(l, post, &head) == FS_PROOF_NONE &&
                 l->view->posts[post]->file->size != FS_SIZE_UNKNOWN;
    if (known ||
        !atomic_compare_exchange_strong(&l->heads[post].is, &unseen, (uint8_t)FS_HEAD_COMING))
        return;
    struct ahead *a = calloc(1, sizeof(*a));
    struct fs_read *r = a ? fs_read_new(l->view->fs, l->view->posts[post]) : NULL;
    if (!r) {
        atomic_store(&l->heads[post].is, FS_HEAD_UNSEEN);
        free(a);
        return;
    }
    *a = (struct ahead){.layout = fs_layout_get(l),
                        .post = post,
                        .want = head < FS_READ_MOST ? (uint32_t)head : FS_READ_MOST};
    r->len = a->want;
    r->urgency = URGENCY_READAHEAD;
    r->stream = stream;
    r->done = ahead_end;
    r->arg = a;
    if (fs_read_start(r))
        ahead_end(r);
}
