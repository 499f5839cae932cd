/* survey — the threads that find out what is in an NZB, and the posted files as they read them. */
#define LOG_TAG "fs.survey"
#include "fs/view.h"

#include "base/log.h"
#include "base/thread.h"
#include "fs/read.h"
#include "nzb/name.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SURVEYORS    (sizeof(((struct fs_surveyors *)0)->threads) / sizeof(pthread_t))

/* Headers stand at a file's beginning and at its end, and a few in between. */
#define EARLY_RANGES 4

/* What of a post's beginning is kept while a survey runs: it is looked at several times (its magic, its checksum in
 * a PAR2 file, its headers), and the cache may have had to use its memory again meanwhile. */
#define HEAD_KEPT    ((size_t)16 << 10)

/* --- posted files as bytes --------------------------------------------------------------------- */

struct fs_bytes {
    struct archive_bytes b;
    struct fs_view *view;
    struct fs_node *node;
    struct fs_range
        early[EARLY_RANGES]; /* under view.lock: what was read that was not proven yet, perhaps */
    unsigned nearly;
    struct head {
        size_t len;
        uint8_t bytes[];
    } * _Atomic head; /* of its beginning; NULL: not read yet. Until the survey's end */
};

/* Keep it, unless it is there. What was announced may come when the survey is long over: that is kept by nobody. */
static void head_keep(struct fs_bytes *p, const struct fs_read *r)
{
    size_t len = r->off || r->err ? 0 : r->n < HEAD_KEPT ? r->n : HEAD_KEPT, at = 0;
    struct head *h = len ? malloc(sizeof(*h) + len) : NULL;
    if (!h)
        return;
    h->len = len;
    for (unsigned k = 0; k < r->niov && at < len; k++) {
        size_t n = r->iov[k].iov_len < len - at ? r->iov[k].iov_len : len - at;
        memcpy(h->bytes + at, r->iov[k].iov_base, n);
        at += n;
    }
    pthread_mutex_lock(&p->view->lock);
    if (p->view->keeps_heads && !p->head) {
        p->head = h;
        h = NULL;
    }
    pthread_mutex_unlock(&p->view->lock);
    free(h);
}

/* Is all of [off, off+len) kept? Of the survey's own thread, which also drops them. */
static bool head_take(const struct fs_bytes *p, uint64_t off, void *buf, size_t len)
{
    pthread_mutex_lock(&p->view->lock);
    const struct head *h = p->head;
    pthread_mutex_unlock(&p->view->lock);
    if (!h || off > h->len || len > h->len - off)
        return false;
    memcpy(buf, h->bytes + off, len);
    return true;
}

static void heads_keep(struct fs_view *v, bool keep)
{
    pthread_mutex_lock(&v->lock);
    v->keeps_heads = keep;
    for (uint32_t i = 0; v->bytes && !keep && i < v->nposts; i++) {
        free(v->bytes[i].head);
        v->bytes[i].head = NULL;
    }
    pthread_mutex_unlock(&v->lock);
}

/* Who waits for a survey is served like any blocked reader; what is only announced comes behind, like what is read
 * ahead; and for one who only looks around, all of it does. */
static struct fs_read *posted_read(const struct fs_bytes *p, uint64_t off, size_t len,
                                   enum urgency u)
{
    struct fs *fs = p->view->fs;
    struct fs_read *r = fs_read_new(fs, p->node);
    if (!r)
        return NULL;
    r->off = off;
    r->len = len < FS_READ_MOST ? (uint32_t)len : FS_READ_MOST;
    r->partial = true;
    r->urgency = atomic_load(&p->view->scanned) ? URGENCY_SCAN : u;
    r->stream = p->view->posts[0]->file->cache.id | UINT64_C(1) << 63; /* a survey is one stream */
    /* Headers have checksums of their own, and a surprise is looked into; sizes have neither. */
    r->early = fs->mount.early && len;
    return r;
}

bool fs_survey_has_read(const struct fs_view *v, uint32_t post, uint64_t begin, uint64_t end)
{
    const struct fs_bytes *p = v->bytes && post < v->nposts ? &v->bytes[post] : NULL;
    bool has = false;
    for (unsigned k = 0; p && begin < end && k < p->nearly; k++)
        has |= begin < p->early[k].end && end > p->early[k].begin;
    return has;
}

/* [begin, end) is read. What touches one of the ranges widens that; what is too much, the last. */
static void early_note(struct fs_bytes *p, uint64_t begin, uint64_t end)
{
    pthread_mutex_lock(&p->view->lock);
    unsigned k = 0;
    while (k < p->nearly && (begin > p->early[k].end || end < p->early[k].begin))
        k++;
    if (k == EARLY_RANGES)
        k--;
    struct fs_range *r = &p->early[k];
    if (k == p->nearly) {
        *r = (struct fs_range){begin, end};
        p->nearly++;
    }
    r->begin = begin < r->begin ? begin : r->begin;
    r->end = end > r->end ? end : r->end;
    pthread_mutex_unlock(&p->view->lock);
}

/* What a survey is to make of an errno: an article that nobody could be asked for says nothing. */
static int verdict(const struct fs_read *r)
{
    return r->err == EIO && r->unsure ? -ETIMEDOUT : -r->err;
}

static int posted_size(struct archive_bytes *b, uint64_t *size)
{
    const struct fs_bytes *p = container_of(b, struct fs_bytes, b);
    struct fs_read *r = posted_read(p, 0, 0, URGENCY_DEMAND);
    if (!r)
        return -ENOMEM;
    fs_read_run(r);
    int err = verdict(r);
    *size = r->size;
    fs_read_end(r);
    return err;
}

static ssize_t posted_take(struct archive_bytes *b, uint64_t off, void *buf, size_t len)
{
    struct fs_bytes *p = container_of(b, struct fs_bytes, b);
    if (head_take(p, off, buf, len))
        return (ssize_t)len;
    struct fs_read *r = posted_read(p, off, len, URGENCY_DEMAND);
    uint8_t *to = buf;
    if (!r)
        return -ENOMEM;
    if (r->early)
        early_note(p, off, off + r->len);
    if (!len) {
        fs_read_end(r);
        return 0;
    }
    fs_read_run(r);
    ssize_t n = r->err ? verdict(r) : (ssize_t)r->n;
    for (unsigned k = 0; k < r->niov; k++) {
        memcpy(to, r->iov[k].iov_base, r->iov[k].iov_len);
        to += r->iov[k].iov_len;
    }
    head_keep(p, r);
    fs_read_end(r);
    return n;
}

static void want_done(struct fs_read *r)
{
    struct fs_bytes *p = r->arg;
    head_keep(p, r);
    fs_read_end(r);
}

static void posted_want(struct archive_bytes *b, uint64_t off, size_t len)
{
    struct fs_bytes *p = container_of(b, struct fs_bytes, b);
    struct fs_read *r = posted_read(p, off, len, URGENCY_READAHEAD);
    if (!r)
        return;
    if (r->early)
        early_note(p, off, off + r->len);
    r->done = want_done;
    r->arg = p;
    if (fs_read_start(r))
        want_done(r);
}

static const struct archive_bytes_ops posted_ops = {
    .size = posted_size, .read = posted_take, .want = posted_want};

/* A post is always looked up as the `bytes` of one of these. */
static const char *posted_name(const struct archive_post *p)
{
    const struct fs_bytes *b = container_of(p->bytes, struct fs_bytes, b);
    const char *name = atomic_load_explicit(&b->node->file->yenc_name, memory_order_acquire);
    return name ? name : "";
}

/* --- a survey ---------------------------------------------------------------------------------- */

/* Passwords of the NZB, then those in its name, then the user's. */
static const char **passwords_gather(const struct fs_view *v, unsigned *n)
{
    const struct nzb *z = v->origin->nzb;
    const struct fs *fs = v->fs;
    const char **all = calloc(z->nmetas + fs->npasswords + 1, sizeof(*all));
    *n = 0;
    if (!all)
        return NULL;
    for (size_t i = 0; i < z->nmetas; i++)
        if (!strcmp(z->metas[i].type, "password") && *z->metas[i].value)
            all[(*n)++] = z->metas[i].value;
    if (v->origin->password)
        all[(*n)++] = v->origin->password;
    for (unsigned i = 0; i < fs->npasswords; i++)
        all[(*n)++] = fs->passwords[i];
    return all;
}

/* They stay as long as the view: layouts refer to them. */
static bool posts_make(struct fs_view *v)
{
    if (v->archive_posts)
        return true;
    struct archive_post *posts = calloc((size_t)v->nposts + 1, sizeof(*posts));
    struct fs_bytes *bytes = calloc((size_t)v->nposts + 1, sizeof(*bytes));
    if (!posts || !bytes) {
        free(posts);
        free(bytes);
        return false;
    }
    for (uint32_t i = 0; i < v->nposts; i++) {
        const struct nzb_file *posted = v->posts[i]->file->posted;
        bytes[i] = (struct fs_bytes){.b = {&posted_ops}, .view = v, .node = v->posts[i]};
        posts[i] = (struct archive_post){.bytes = &bytes[i].b,
                                         .name = posted->name,
                                         .subject = posted->subject,
                                         .guess = posted->bytes,
                                         .yenc_name = posted_name};
    }
    v->archive_posts = posts;
    pthread_mutex_lock(&v->lock);
    v->bytes = bytes;
    pthread_mutex_unlock(&v->lock);
    return true;
}

static char *title_of(const struct fs_view *v)
{
    const char *meta = nzb_meta(v->origin->nzb, "title");
    const char *slash = strrchr(v->origin->path, '/');
    char safe[NZB_NAME_MAX + 1];
    if (meta && *meta) {
        nzb_name_safe(meta, strlen(meta), safe);
        return strdup(safe);
    }
    fs_tree_title(slash ? slash + 1 : v->origin->path, safe);
    return strdup(safe);
}

/* 0 with *out, or a positive errno. */
static int survey(struct fs_view *v, struct fs_layout **out)
{
    struct archive_layout *found = NULL;
    struct archive_options o = {.thorough = v->again};
    char *title = title_of(v);
    const char **passwords = passwords_gather(v, &o.npasswords);
    heads_keep(v, true);
    int err = ENOMEM;
    if (title && passwords && posts_make(v)) {
        o.passwords = passwords;
        o.title = title;
        o.stop = &v->fs->surveyors.stop;
        err = -archive_survey(v->archive_posts, v->nposts, &o, &found);
    }
    if (!err) {
        *out = fs_layout_new(v, found);
        err = *out ? 0 : ENOMEM;
    }
    heads_keep(v, false);
    free(passwords);
    free(title);
    return err;
}

/* --- threads ----------------------------------------------------------------------------------- */

static void *survey_main(void *arg)
{
    struct fs_surveyors *s = arg;
    pthread_mutex_lock(&s->lock);
    for (;;) {
        struct list *it = list_pop(&s->queue);
        s->queued -= it != NULL;
        if (!it && s->stop)
            break;
        if (!it) {
            s->idle++;
            pthread_cond_wait(&s->wake, &s->lock);
            s->idle--;
            continue;
        }
        bool stop = s->stop;
        pthread_mutex_unlock(&s->lock);
        struct fs_view *v = container_of(it, struct fs_view, link);
        struct fs_layout *l = NULL;
        int err = stop ? EINTR : survey(v, &l);
        if (err && err != EINTR)
            log_warn("%s: what is in it cannot be found out now: %s", v->origin->path,
                     strerror(err));
        fs_view_surveyed(v, l, err);
        pthread_mutex_lock(&s->lock);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

void fs_surveyors_init(struct fs_surveyors *s)
{
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->wake, NULL);
    list_init(&s->queue);
}

void fs_surveyors_stop(struct fs_surveyors *s)
{
    pthread_mutex_lock(&s->lock);
    s->stop = true;
    pthread_cond_broadcast(&s->wake);
    unsigned n = s->running;
    s->running = 0; /* none is started any more, and whoever comes second has nobody to wait for */
    pthread_mutex_unlock(&s->lock);
    for (unsigned k = 0; k < n; k++)
        pthread_join(s->threads[k], NULL);
}

void fs_surveyors_fini(struct fs_surveyors *s)
{
    pthread_cond_destroy(&s->wake);
    pthread_mutex_destroy(&s->lock);
}

int fs_survey_start(struct fs_view *v)
{
    struct fs_surveyors *s = &v->fs->surveyors;
    int err = 0;
    pthread_mutex_lock(&s->lock);
    if (s->stop) {
        err = EINTR;
        goto out;
    }
    list_add_tail(&s->queue, &v->link);
    s->queued++;
    /* One that is idle may be woken for another already. */
    if (s->queued > s->idle && s->running < SURVEYORS) {
        err = -thread_start(&s->threads[s->running], survey_main, s);
        if (!err)
            s->running++;
        else if (s->running)
            err = 0; /* one of those that run will come to it */
        if (err) {
            list_del(&v->link);
            s->queued--;
        }
    }
    pthread_cond_signal(&s->wake);
out:
    pthread_mutex_unlock(&s->lock);
    return err;
}
