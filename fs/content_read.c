/* content_read — a read of a file that is in what was posted: as reads of what was posted.
 *
 *      look      which bytes of which posts hold the next stretch, by the layout; with them go the heads of volumes
 *                whose place was only reckoned
 *      read      all of them at once
 *      judge     the heads: where one is a surprise, wait for the new layout and look again
 *      gather    the bytes, and decipher them
 *
 * Pins        A read of one post is passed on as it is, from its blocks. Where several are read, each one's bytes are
 *             copied as it ends, and its blocks given back: so nobody holds memory while it waits for more of it.
 * Who ends it The last of its parts to end; they all end by the same deadline, and a cancelled read cancels them.
 *             So it is on no list itself. */
#define LOG_TAG "fs.content"
#include "fs/view.h"

#include "archive/cipher.h"
#include "fs/read.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Parts of one round: volumes of less than 100 KB are read in several. */
#define PARTS     16

/* How often a layout may turn out wrong under one read. */
#define TRIES     3

/* The longest head of a volume that is looked at. */
#define HEAD_MOST FS_READ_MOST

struct part {
    struct content_read *of;
    struct fs_read *read; /* NULL: it has ended, and was let go of */
    uint8_t *to;          /* where its bytes go; NULL: they stay */
    uint32_t post;        /* of a proof: whose */
    uint64_t at;          /* of bytes of the file: in its stream */
    uint32_t len, got;
    int err;
    bool unsure;
    enum fs_proof proof; /* NONE: these are bytes of the file */
    uint64_t size;       /* of what it reads from */
};

struct content_read {
    struct fs_read pub;
    struct fs *fs;
    uint64_t asked_us;
    bool told; /* the handle knows of it */

    /* of the thread that goes round */
    struct fs_layout *layout;
    const struct archive_entry *entry;
    uint32_t number;    /* of the entry */
    uint64_t base, end; /* of the stream: what is gathered, from a cipher's boundary on */
    uint64_t pos;       /* so far it is gathered */
    uint8_t *buf;       /* of end - base bytes; NULL: nothing is gathered */
    struct iovec iov;   /* of buf */
    uint8_t *heads[PARTS];
    unsigned nheads, tries;
    bool unsure; /* nobody could be asked for what fails it */
    struct part parts[PARTS];

    /* under lock */
    pthread_mutex_t lock; /* fs_watch.lock may be taken inside */
    unsigned nparts;
    bool cancelled;

    atomic_uint left; /* parts that have not ended, and who starts them */
    struct cache_waits waits;
};

static struct content_read *content_of(struct fs_read *pub)
{
    return container_of(pub, struct content_read, pub);
}

/* --- parts ------------------------------------------------------------------------------------- */

static void part_copy(struct part *p)
{
    uint8_t *to = p->to;
    for (unsigned k = 0; k < p->read->niov; k++) {
        memcpy(to, p->read->iov[k].iov_base, p->read->iov[k].iov_len);
        to += p->read->iov[k].iov_len;
    }
}

/* It is over: take its bytes. Its blocks go back now, unless they are the answer. */
static void part_over(struct part *p)
{
    struct content_read *c = p->of;
    struct fs_read *r = p->read;
    bool stays = !p->to && r->len; /* it is the answer */
    p->got = r->err ? 0 : (uint32_t)r->n;
    p->err = r->err ? r->err : p->got == p->len ? 0 : EIO;
    p->unsure = r->unsure;
    p->size = r->size;
    if (p->to)
        part_copy(p);
    pthread_mutex_lock(&c->lock);
    if (fs_read_waits(r)) /* of several the last one tells the story */
        c->waits = *fs_read_waits(r);
    if (!stays)
        p->read = NULL;
    pthread_mutex_unlock(&c->lock);
    if (!stays)
        fs_read_end(r);
}

static bool last_ends(struct content_read *c)
{
    return atomic_fetch_sub_explicit(&c->left, 1, memory_order_acq_rel) == 1;
}

static void go_on(struct content_read *c);

static void part_done(struct fs_read *r)
{
    struct part *p = r->arg;
    part_over(p);
    if (last_ends(p->of))
        go_on(p->of);
}

/* A part that is `r`, of [off, off+len), not started. False: no memory. */
static bool part_take(struct content_read *c, struct fs_read *r, uint64_t off, uint32_t len)
{
    struct part *p = &c->parts[c->nparts];
    if (!r)
        return false;
    r->off = off;
    r->len = len;
    r->class = c->pub.class;
    r->urgency = c->pub.urgency;
    r->deadline_us = c->pub.deadline_us;
    r->once = c->pub.once;
    r->early = c->pub.early;
    r->partial = c->pub.partial && len;
    r->stream = c->pub.stream;
    r->run = c->pub.run;
    r->done = part_done;
    r->arg = p;
    *p = (struct part){.of = c, .read = r, .len = len};
    pthread_mutex_lock(&c->lock);
    c->nparts++;
    pthread_mutex_unlock(&c->lock);
    return true;
}

static bool part_add(struct content_read *c, struct fs_node *node, uint64_t off, uint32_t len)
{
    return part_take(c, fs_read_new(c->fs, node), off, len);
}

/* Start all of them. Until the caller has said last_ends() for itself, nobody goes on. */
static void parts_start(struct content_read *c)
{
    unsigned n = c->nparts;
    atomic_store(&c->left, n + 1);
    for (unsigned k = 0; k < n; k++) {
        struct fs_read *r = c->parts[k].read;
        pthread_mutex_lock(&c->lock);
        bool cancelled = c->cancelled;
        pthread_mutex_unlock(&c->lock);
        if (cancelled)
            fs_read_cancel(r);
        if (fs_read_start(r)) {
            part_over(&c->parts[k]);
            (void)last_ends(c); /* never: there is the caller's */
        }
    }
}

/* Let go of all parts of a round. */
static void parts_drop(struct content_read *c)
{
    struct fs_read *kept[PARTS];
    unsigned n = 0;
    pthread_mutex_lock(&c->lock);
    for (unsigned k = 0; k < c->nparts; k++)
        if (c->parts[k].read)
            kept[n++] = c->parts[k].read;
    c->nparts = 0;
    pthread_mutex_unlock(&c->lock);
    for (unsigned k = 0; k < n; k++)
        fs_read_end(kept[k]);
    for (unsigned k = 0; k < c->nheads; k++)
        free(c->heads[k]);
    c->nheads = 0;
}

/* --- look -------------------------------------------------------------------------------------- */

/* What proves that `post` is as was reckoned, unless it is known to be: as a part. False: no memory. */
static bool proof_add(struct content_read *c, uint32_t post)
{
    uint64_t head;
    uint8_t *to = NULL;
    enum fs_proof proof = fs_layout_proof(c->layout, post, &head);
    if (proof == FS_PROOF_NONE)
        return true;
    uint32_t len = head < HEAD_MOST ? (uint32_t)head : HEAD_MOST;
    if (len && !(to = malloc(len)))
        return false;
    if (!part_add(c, c->layout->view->posts[post], 0, len)) {
        free(to);
        return false;
    }
    struct part *p = &c->parts[c->nparts - 1];
    p->read->early &= len != 0; /* a size has no checksum of its own */
    p->proof = proof;
    p->post = post;
    if (to)
        p->to = c->heads[c->nheads++] = to;
    return true;
}

/* Which stretch of the stream is wanted, once the layout is known. */
static void span_set(struct content_read *c)
{
    const struct archive_entry *e = c->entry;
    uint64_t off = c->pub.off < e->size ? c->pub.off : e->size;
    uint64_t len = c->pub.len < e->size - off ? c->pub.len : e->size - off;
    c->base = e->skip + off;
    c->end = c->base + len;
    if (len && e->cipher.kind != ARCHIVE_PLAIN) {
        uint64_t need;
        archive_cipher_span(c->base, len, &c->base, &need);
        c->end = c->base + need;
    }
    c->pos = c->base;
}

/* The node that `x` is cut from. */
static struct fs_node *extent_node(const struct fs_layout *l, const struct archive_extent *x)
{
    return x->entry ? l->nodes[x->from] : l->view->posts[x->from];
}

/* The parts of a round: what stands from c->pos on. 0 or an errno. */
static int parts_look(struct content_read *c)
{
    uint64_t pos = c->pos;
    bool whole = c->entry->cipher.kind == ARCHIVE_PLAIN && !c->buf;
    while (pos < c->end && c->nparts + 2 <= PARTS) {
        const struct archive_extent *x = fs_extent_find(c->entry, pos);
        struct fs_node *node = x ? extent_node(c->layout, x) : NULL;
        if (!node)
            return EIO;
        uint64_t stop = x->at + x->len < c->end ? x->at + x->len : c->end;
        if (stop - pos > FS_READ_MOST) /* the text of so many bytes is a little longer */
            stop = pos + FS_READ_MOST;
        if (x->computed && !x->entry && !proof_add(c, x->from))
            return ENOMEM;
        if (!part_add(c, node, x->off + (pos - x->at), (uint32_t)(stop - pos)))
            return ENOMEM;
        c->parts[c->nparts - 1].at = pos;
        pos = stop;
    }
    if (whole && pos == c->end && c->nparts == 1)
        return 0; /* passed on as it is */
    if (!c->buf)
        c->buf = malloc((size_t)(c->end - c->base));
    if (!c->buf)
        return ENOMEM;
    uint8_t *to = c->buf + (c->pos - c->base);
    for (unsigned k = 0; k < c->nparts; k++) {
        if (c->parts[k].proof)
            continue;
        c->parts[k].to = to;
        to += c->parts[k].len;
    }
    return 0;
}

/* --- judge ------------------------------------------------------------------------------------- */

/* Nobody has the head that part `p` was to be. The part behind it is of the same volume: does that do? */
static bool head_spared(struct content_read *c, const struct part *p)
{
    const struct part *data = p + 1;
    return p->proof == FS_PROOF_HEAD && p->err == EIO && !p->unsure && data->got &&
           fs_layout_like(c->layout, c->entry, data->at, p->post, data->size);
}

/* Is a volume of this round another than was reckoned? *err: that cannot be told. */
static bool surprised(struct content_read *c, const struct part *p, int *err)
{
    *err = p->err && !head_spared(c, p) ? p->err : 0;
    if (p->err)
        return false;
    return p->proof == FS_PROOF_HEAD ? !fs_layout_seen(c->layout, p->post, p->to, p->len)
                                     : !fs_layout_sized(c->layout, p->post, p->size);
}

/* How far the parts of a round have brought us; the errno of the first that failed, with what stands before it kept.
 * *again: the layout is wrong. */
static int parts_judge(struct content_read *c, bool *again)
{
    int err = 0;
    for (unsigned k = 0; k < c->nparts && !err; k++) {
        const struct part *p = &c->parts[k];
        if (p->proof && surprised(c, p, &err)) {
            *again = true;
            return 0;
        }
        if (!p->proof)
            err = p->err;
        c->unsure = err && p->unsure;
        if (p->proof)
            continue;
        if (!err || c->pub.partial)
            c->pos += p->got;
    }
    return err;
}

/* --- the answer -------------------------------------------------------------------------------- */

/* The bytes [base, pos) are in buf. Where they are text: what they mean. */
static int decipher(struct content_read *c)
{
    if (c->entry->cipher.kind == ARCHIVE_PLAIN || c->pos == c->base)
        return 0;
    size_t len = (size_t)(c->pos - c->base) & ~(size_t)15;
    struct archive_decipher *d = archive_decipher_new(&c->entry->cipher);
    bool good = d && archive_decipher(d, c->base, c->buf, len);
    archive_decipher_free(d);
    c->pos = c->base + len;
    return good ? 0 : EIO;
}

static void answer(struct content_read *c, int err)
{
    struct fs_read *pub = &c->pub;
    uint64_t from = c->entry ? c->entry->skip + pub->off : 0;
    if (!err || pub->partial) {
        int bad = c->buf ? decipher(c) : 0;
        err = bad ? bad : err;
    }
    uint64_t most = c->entry && pub->off < c->entry->size ? c->entry->size - pub->off : 0;
    uint64_t got = c->pos > from ? c->pos - from : 0;
    if (most > pub->len)
        most = pub->len;
    if (got > most)
        got = most;
    if (err && (!pub->partial || !got))
        got = 0;
    else
        err = 0;
    pub->err = err;
    pub->unsure = err == EIO && c->unsure;
    pub->n = (size_t)got;
    pub->size = c->entry ? c->entry->size : 0;
    pub->niov = 0;
    if (got && c->buf) {
        c->iov = (struct iovec){.iov_base = c->buf + (from - c->base), .iov_len = (size_t)got};
        pub->iov = &c->iov;
        pub->niov = 1;
    } else if (got) {
        pub->iov = c->parts[0].read->iov;
        pub->niov = c->parts[0].read->niov;
    }
    if (!got || c->buf)
        parts_drop(c);
}

/* --- going round ------------------------------------------------------------------------------- */

/* The newest layout. False: the file is in it no more. */
static bool layout_take(struct content_read *c)
{
    fs_layout_put(c->layout);
    c->layout = fs_content_layout(c->pub.file->content, &c->number);
    c->entry = c->layout ? &c->layout->found->entries[c->number] : NULL;
    free(c->buf);
    c->buf = NULL;
    return c->layout;
}

enum next { NEXT_OVER, NEXT_PARTS };

static enum next over(struct content_read *c, int err)
{
    answer(c, err);
    return NEXT_OVER;
}

/* The layout was wrong: the new one is waited for, as one waits for a directory. */
static enum next wait_for_layout(struct content_read *c)
{
    parts_drop(c);
    fs_layout_put(c->layout);
    free(c->buf); /* what was gathered so far may be from elsewhere */
    c->buf = NULL;
    c->layout = NULL;
    c->entry = NULL;
    c->base = c->pos = c->end = 0;
    if (++c->tries > TRIES)
        return over(c, EIO);
    struct fs_read *r = fs_view_newest_new(c->fs, c->pub.file->content->view->dir);
    return part_take(c, r, 0, 0) ? NEXT_PARTS : over(c, ENOMEM);
}

/* What comes next, once the parts that there were have ended. */
static enum next step(struct content_read *c)
{
    bool again = false;
    int err = 0;
    if (c->layout) {
        err = parts_judge(c, &again);
        if (again)
            return wait_for_layout(c);
        if (err || c->pos >= c->end)
            return over(c, err);
        parts_drop(c);
    } else {
        err = c->nparts ? c->parts[0].err : 0;
        parts_drop(c);
        if (err || !layout_take(c))
            return over(c, err ? err : EIO);
        span_set(c);
        if (c->pos >= c->end)
            return over(c, 0);
    }
    err = parts_look(c);
    return err ? over(c, err) : NEXT_PARTS;
}

/* Round and round until somebody else is to go on (false), or it is over (true). */
static bool rounds(struct content_read *c)
{
    while (step(c) == NEXT_PARTS) {
        parts_start(c);
        if (!last_ends(c))
            return false;
    }
    return true;
}

static void tell_handle(struct content_read *c)
{
    if (c->told)
        fs_handle_end(c->pub.handle, c->asked_us, &c->waits, &c->pub);
}

/* On the thread of the last part to end. */
static void go_on(struct content_read *c)
{
    if (!rounds(c))
        return;
    tell_handle(c);
    c->pub.done(&c->pub);
}

/* --- the owner's ------------------------------------------------------------------------------- */

static bool content_start(struct fs_read *pub)
{
    struct content_read *c = content_of(pub);
    assert(pub->len <= FS_READ_MOST);
    if (pub->len == 0) {
        pub->size = pub->file->content->size;
        return true;
    }
    if (pub->handle) {
        c->told = true;
        pub->run = pub->len + fs_handle_begin(pub->handle, c->asked_us, pub->off, pub->len);
        pub->stream = fs_handle_stream(pub->handle);
    }
    /* The first round by hand: what is ahead is asked for behind what is wanted now. */
    if (step(c) == NEXT_OVER) {
        if (c->told)
            fs_handle_ahead(pub->handle, pub->off, pub->len, pub);
        return true;
    }
    parts_start(c);
    if (c->told)
        fs_handle_ahead(pub->handle, pub->off, pub->len, NULL);
    if (!last_ends(c) || !rounds(c))
        return false;
    tell_handle(c);
    return true;
}

static void content_cancel(struct fs_read *pub)
{
    struct content_read *c = content_of(pub);
    pthread_mutex_lock(&c->lock);
    c->cancelled = true;
    for (unsigned k = 0; k < c->nparts; k++)
        if (c->parts[k].read)
            fs_read_cancel(c->parts[k].read);
    pthread_mutex_unlock(&c->lock);
}

static void content_end(struct fs_read *pub)
{
    struct content_read *c = content_of(pub);
    struct fs *fs = c->fs;
    parts_drop(c);
    fs_layout_put(c->layout);
    free(c->buf);
    pthread_mutex_destroy(&c->lock);
    free(c);
    fs_read_gone(fs);
}

static const struct fs_read_ops content_ops = {
    .start = content_start, .cancel = content_cancel, .end = content_end};

struct fs_read *fs_content_read_new(struct fs *fs, struct fs_node *file)
{
    struct content_read *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    c->fs = fs;
    c->asked_us = fs->now_us();
    c->pub = fs_read_defaults(fs, file, c->asked_us);
    c->pub.ops = &content_ops;
    pthread_mutex_init(&c->lock, NULL);
    fs_read_born(fs);
    return &c->pub;
}
