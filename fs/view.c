/* view — from a survey to nodes, and who waits for that. */
#define LOG_TAG "fs.view"
#include "fs/view.h"

#include "base/clock.h"
#include "base/log.h"
#include "fs/read.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* An NZB whose layout keeps turning out wrong is surveyed so often and no more. */
#define SURPRISES_MOST 8

struct fs_view *fs_view_new(struct fs *fs, const struct fs_origin *o, struct fs_node *dir,
                            struct fs_node *posted, bool shown)
{
    struct fs_view *v = calloc(1, sizeof(*v));
    if (!v)
        return NULL;
    *v = (struct fs_view){.fs = fs, .origin = o, .dir = dir, .posted = posted, .shown = shown};
    v->nposts = posted->nchildren;
    v->posts = calloc((size_t)v->nposts + 1, sizeof(struct fs_node *));
    if (!v->posts) {
        free(v);
        return NULL;
    }
    for (uint32_t i = 0; i < v->nposts; i++) {
        v->posts[i] = posted->children[i];
        v->posts[i]->file->view = v;
    }
    list_init(&v->waiting);
    pthread_mutex_init(&v->lock, NULL);
    return v;
}

void fs_view_free(struct fs_view *v)
{
    if (!v)
        return;
    fs_layout_put(v->layout);
    pthread_mutex_destroy(&v->lock);
    free(v->bytes);
    free(v->archive_posts);
    free(v->posts);
    free(v);
}

struct fs_layout *fs_view_layout(struct fs_view *v)
{
    pthread_mutex_lock(&v->lock);
    struct fs_layout *l = v->layout ? fs_layout_get(v->layout) : NULL;
    pthread_mutex_unlock(&v->lock);
    return l;
}

/* --- waiting ----------------------------------------------------------------------------------- */

/* Who wants to know what is in a directory. */
struct look {
    struct fs_read pub;
    struct fs *fs;
    struct fs_watched watched;
    bool newest;      /* a survey that is under way is waited for in any case */
    struct list link; /* of view.waiting, under view.lock; by itself: it waits no more */
    atomic_uint
        refs; /* the owner's, the view's while it is on its list, and the watch's while it ends it */

    pthread_mutex_t lock;
    bool over;
};

static struct look *look_of(struct fs_read *pub)
{
    return container_of(pub, struct look, pub);
}

static void look_put(struct look *l)
{
    if (atomic_fetch_sub(&l->refs, 1) != 1)
        return;
    struct fs *fs = l->fs;
    pthread_mutex_destroy(&l->lock);
    free(l);
    fs_read_gone(fs);
}

/* The end is ours, unless somebody was first. */
static bool look_claim(struct look *l)
{
    pthread_mutex_lock(&l->lock);
    bool ours = !l->over;
    l->over = true;
    pthread_mutex_unlock(&l->lock);
    return ours;
}

static void look_hold(struct fs_watched *e)
{
    atomic_fetch_add(&container_of(e, struct look, watched)->refs, 1);
}

/* The watch ends it. */
static void look_expire(struct fs_watched *e, int err)
{
    struct look *l = container_of(e, struct look, watched);
    struct fs_view *v = l->pub.file->view;
    bool ours = look_claim(l);
    pthread_mutex_lock(&v->lock);
    bool listed = ours && !list_is_empty(&l->link);
    if (listed)
        list_del(&l->link);
    pthread_mutex_unlock(&v->lock);
    if (listed)
        look_put(l); /* the view's */
    if (ours) {
        l->pub.err = err;
        l->pub.done(&l->pub);
    }
    look_put(l);
}

static const struct fs_watched_ops look_watched = {.hold = look_hold, .end = look_expire};

/* Of `all`, which was view.waiting: under its lock still, for they may be cancelled. */
static struct look *waiting_pop(struct fs_view *v, struct list *all)
{
    pthread_mutex_lock(&v->lock);
    struct list *it = list_pop(all);
    pthread_mutex_unlock(&v->lock);
    return it ? container_of(it, struct look, link) : NULL;
}

/* They are told; but not who comes to wait meanwhile: what could not be found out a moment ago may be there now. */
static void tell(struct fs_view *v, struct list *all, int err)
{
    for (struct look *l; (l = waiting_pop(v, all));) {
        if (look_claim(l)) {
            fs_watch_remove(&v->fs->watch, &l->watched);
            l->pub.err = err;
            l->pub.done(&l->pub);
        }
        look_put(l);
    }
}

/* Under the view's lock: a survey is to begin. */
static bool begin(struct fs_view *v, bool again)
{
    if (v->state == FS_VIEW_BUSY)
        return false;
    v->misled = false;
    v->state = FS_VIEW_BUSY;
    v->again = again;
    return true;
}

static void survey(struct fs_view *v)
{
    int err = fs_survey_start(v);
    if (err)
        fs_view_surveyed(v, NULL, err);
}

static bool look_start(struct fs_read *pub)
{
    struct look *l = look_of(pub);
    struct fs_view *v = pub->file->view;
    bool fresh = false;
    if (pub->len) {
        pub->err = EISDIR;
        return true;
    }
    if (!v)
        return true;
    l->watched.deadline_us = pub->deadline_us;
    pthread_mutex_lock(&v->lock);
    bool known = l->newest ? v->state == FS_VIEW_KNOWN : v->layout != NULL;
    if (!known) {
        atomic_fetch_add(&l->refs, 1);
        list_add_tail(&v->waiting, &l->link);
        fresh = begin(v, false);
        if (fresh || pub->urgency != URGENCY_SCAN)
            v->scanned = pub->urgency == URGENCY_SCAN;
        fs_watch_add(&l->fs->watch, &l->watched); /* the watch's lock is a leaf inside ours */
    }
    pthread_mutex_unlock(&v->lock);
    if (fresh)
        survey(v);
    return known;
}

static void look_cancel(struct fs_read *pub)
{
    struct look *l = look_of(pub);
    fs_watch_cancel(&l->fs->watch, &l->watched);
}

static void look_end(struct fs_read *pub)
{
    look_put(look_of(pub));
}

static const struct fs_read_ops look_ops = {
    .start = look_start, .cancel = look_cancel, .end = look_end};

struct fs_read *fs_view_read_new(struct fs *fs, struct fs_node *dir)
{
    struct look *l = calloc(1, sizeof(*l));
    if (!l)
        return NULL;
    l->fs = fs;
    l->refs = 1;
    l->pub = fs_read_defaults(fs, dir, fs->now_us());
    l->pub.ops = &look_ops;
    l->watched.ops = &look_watched;
    list_init(&l->link);
    list_init(&l->watched.link);
    pthread_mutex_init(&l->lock, NULL);
    fs_read_born(fs);
    return &l->pub;
}

struct fs_read *fs_view_newest_new(struct fs *fs, struct fs_node *dir)
{
    struct fs_read *r = fs_view_read_new(fs, dir);
    if (r)
        look_of(r)->newest = true;
    return r;
}

/* --- what was found ---------------------------------------------------------------------------- */

/* From now on entry `entry` of `l` is what `c` shows (NULL: nothing). What the kernel was told of it is taken back where
 * there was something else before: a size that was wrong, and bytes that lay behind a surprise. */
static void content_swap(struct fs_content *c, struct fs_layout *l, uint32_t entry)
{
    struct fs_view *v = c->view;
    uint64_t size = l ? l->found->entries[entry].size : 0;
    pthread_mutex_lock(&v->lock);
    struct fs_layout *before = c->layout;
    c->layout = l ? fs_layout_get(l) : NULL;
    c->entry = entry;
    pthread_mutex_unlock(&v->lock);
    fs_layout_put(before);
    if (atomic_exchange(&c->size, size) != size && before)
        atomic_store(&c->node->resized, true);
    if (before)
        fs_disown_ino(&v->fs->disown, &c->forget, c->node->ino, 0, UINT64_MAX);
}

/* A surprise has been looked into: what is there no more ends. */
static void contents_end(struct fs_view *v, struct fs_layout *before, struct fs_layout *l)
{
    for (uint32_t i = 0; i < before->found->nentries; i++) {
        struct fs_node *n = before->nodes[i];
        if (!n || !n->content)
            continue;
        pthread_mutex_lock(&v->lock);
        bool still = n->content->layout == l;
        pthread_mutex_unlock(&v->lock);
        if (still)
            continue;
        content_swap(n->content, NULL, 0);
        log_warn("%s: %s is not in it after all", v->origin->path, n->name);
    }
}

static int by_path(const void *a, const void *b, void *arg)
{
    const struct archive_entry *entries = arg;
    return strcmp(entries[*(const uint32_t *)a].path, entries[*(const uint32_t *)b].path);
}

/* The entries of a layout that had a node, by path. NULL: no memory. */
static uint32_t *paths_sort(const struct fs_layout *l)
{
    uint32_t *order = calloc((size_t)l->found->nentries + 1, sizeof(*order));
    for (uint32_t i = 0; order && i < l->found->nentries; i++)
        order[i] = i;
    if (order)
        qsort_r(order, l->found->nentries, sizeof(*order), by_path,
                (void *)(uintptr_t)l->found->entries);
    return order;
}

/* The node that showed `e` in the layout before, which it is to keep; NULL: none. */
static struct fs_node *node_before(const struct fs_layout *l, const uint32_t *order,
                                   const struct archive_entry *e)
{
    uint32_t lo = 0, hi = l->found->nentries;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (strcmp(l->found->entries[order[mid]].path, e->path) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (; lo < l->found->nentries; lo++) {
        const struct archive_entry *was = &l->found->entries[order[lo]];
        if (strcmp(was->path, e->path))
            break;
        if (was->post == e->post && was->dir == e->dir && was->hidden == e->hidden)
            return l->nodes[order[lo]];
    }
    return NULL;
}

/* The nodes of a layout: those of the one before it, and new ones where there are none of that path. 0 or -ENOMEM. */
static int nodes_make(struct fs_view *v, struct fs_layout *l, const struct fs_layout *before)
{
    const struct archive_layout *found = l->found;
    uint32_t *order = before ? paths_sort(before) : NULL;
    bool main = false, good = order || !before;
    for (uint32_t i = 0; i < found->nentries; i++)
        main |= !found->entries[i].aside && !found->entries[i].hidden && !found->entries[i].dir;
    for (uint32_t i = 0; good && i < found->nentries; i++) {
        const struct archive_entry *e = &found->entries[i];
        l->nodes[i] = order ? node_before(before, order, e) : NULL;
        if (!l->nodes[i])
            l->nodes[i] = fs_tree_place(v, e, main);
        good = l->nodes[i];
    }
    free(order);
    return good ? 0 : -ENOMEM;
}

/* One line each would be thousands, of an archive of archives. */
#define FOUND_TOLD 16

static void found_log(const struct fs_view *v, const struct archive_layout *found)
{
    for (uint32_t i = 0; i < found->nsets && i < FOUND_TOLD; i++) {
        const struct archive_found *s = &found->sets[i];
        if (s->why != ARCHIVE_OK)
            log_warn("%s: %s (%s): %s: what of it cannot be read is shown as posted",
                     v->origin->path, s->name, s->format, archive_why_text(s->why));
        else
            log_info("%s: %s: %s, %" PRIu32 " volumes, %" PRIu32 " of them reckoned",
                     v->origin->path, s->name, s->format, s->nvolumes, s->nreckoned);
    }
    if (found->nsets > FOUND_TOLD)
        log_info("%s: %" PRIu32 " archives more; nzbfs ls -v tells of all of them", v->origin->path,
                 found->nsets - FOUND_TOLD);
}

/* What it has found rests on bytes that were not so: once more, from the beginning. False: it stands. */
static bool misled(struct fs_view *v)
{
    pthread_mutex_lock(&v->lock);
    bool was = v->misled && v->surprises < SURPRISES_MOST;
    v->misled = false;
    v->again |= was;
    v->surprises += was;
    pthread_mutex_unlock(&v->lock);
    return was;
}

/* It is shown from now on. */
static void show(struct fs_view *v, struct fs_layout *l, struct fs_layout *before)
{
    found_log(v, l->found);
    for (uint32_t i = 0; i < l->found->nentries; i++)
        if (l->nodes[i]->content)
            content_swap(l->nodes[i]->content, l, i);
    if (before)
        contents_end(v, before, l);
}

void fs_view_surveyed(struct fs_view *v, struct fs_layout *l, int err)
{
    if (l && misled(v)) {
        fs_layout_put(l);
        survey(v);
        return;
    }
    struct fs_layout *before = fs_view_layout(v);
    if (l && nodes_make(v, l, before)) {
        err = ENOMEM;
        fs_layout_put(l);
        l = NULL;
    }
    if (l)
        show(v, l, before);
    pthread_mutex_lock(&v->lock);
    struct fs_layout *shown = v->layout;
    if (l)
        v->layout = l; /* with its reference */
    v->surprises += l && v->again;
    v->state = v->layout ? FS_VIEW_KNOWN : FS_VIEW_UNKNOWN;
    bool late = l && v->misled;
    v->misled = false;
    struct list waiting;
    list_init(&waiting);
    list_splice(&waiting, &v->waiting);
    if (late)
        fs_layout_get(l);
    pthread_mutex_unlock(&v->lock);
    if (l)
        fs_layout_put(shown);
    fs_layout_put(before);
    if (late) {
        fs_view_surprised(v, l);
        fs_layout_put(l);
    }
    tell(v, &waiting, l ? 0 : err);
}

void fs_view_surprised(struct fs_view *v, const struct fs_layout *l)
{
    pthread_mutex_lock(&v->lock);
    bool fresh = v->layout == l && v->surprises < SURPRISES_MOST && begin(v, true);
    pthread_mutex_unlock(&v->lock);
    if (fresh)
        survey(v);
}

/* --- what cannot be stood by ------------------------------------------------------------------- */

/* What entry `i` shows of [begin, end) of `post`. Where it lies in an encrypted archive that could be anywhere, and its
 * blocks depend on one another: then, and in doubt, all of it goes. */
static void entry_disown(struct fs_view *v, const struct fs_layout *l, uint32_t i, uint32_t post,
                         uint64_t begin, uint64_t end)
{
    const struct archive_entry *e = &l->found->entries[i];
    struct fs_node *n = l->nodes[i];
    for (uint32_t k = 0; n && n->content && k < e->nextents; k++) {
        const struct archive_extent *x = &e->extents[k];
        if (!x->entry && (x->from != post || x->off >= end || x->off + x->len <= begin))
            continue;
        fs_disown_ino(&v->fs->disown, &n->content->forget, n->ino, 0, UINT64_MAX);
        return;
    }
}

void fs_view_disown(struct fs_view *v, const struct fs_file *f, uint64_t begin, uint64_t end,
                    bool lied)
{
    uint32_t post = 0;
    while (post < v->nposts && v->posts[post]->file != f)
        post++;
    pthread_mutex_lock(&v->lock);
    bool misleads = lied && fs_survey_has_read(v, post, begin, end);
    struct fs_layout *l = v->layout ? fs_layout_get(v->layout) : NULL;
    if (v->state == FS_VIEW_BUSY)
        v->misled |= misleads;
    pthread_mutex_unlock(&v->lock);
    for (uint32_t i = 0; l && i < l->found->nentries; i++) {
        struct fs_node *n = l->nodes[i];
        if (n->file == f && n->alias && n->ino != f->ino)
            fs_disown_ino(&v->fs->disown, n->alias, n->ino, begin, end);
        entry_disown(v, l, i, post, begin, end);
    }
    if (l && misleads)
        fs_view_surprised(v, l);
    fs_layout_put(l);
}
