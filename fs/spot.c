/* spot — where a byte of a file is fetched from, whether it was posted as it is or is in what was posted. */
#define LOG_TAG "fs.spot"
#include "fs/spot.h"

#include "fs/view.h"

void fs_where_init(struct fs_where *w, struct fs_node *n)
{
    *w = (struct fs_where){.node = n};
    if (n->content)
        w->layout = fs_content_layout(n->content, &w->entry);
}

void fs_where_fini(struct fs_where *w)
{
    fs_layout_put(w->layout);
}

static struct fs_spot spot_of(struct fs_file *f, const struct segmap_at *at)
{
    return (struct fs_spot){
        .place = at->place, .file = f, .i = at->i, .begin = at->begin, .end = at->end};
}

/* Byte `off` of a posted file. */
static struct fs_spot posted_spot(struct fs_file *f, uint64_t off)
{
    struct segmap_at at = {.place = SEGMAP_ASK};
    pthread_mutex_lock(&f->lock);
    if (f->map)
        at = segmap_find(f->map, off);
    pthread_mutex_unlock(&f->lock);
    return spot_of(f, &at);
}

/* [begin, end) of a post, around `off`, which is byte `pos` here; of it the `len` bytes from `off` on are ours, and what
 * is before that may be. */
static void spot_move(struct fs_spot *s, uint64_t pos, uint64_t off, uint64_t len)
{
    uint64_t before = off > s->begin ? off - s->begin : 0;
    uint64_t left = s->end > off ? s->end - off : 0;
    s->begin = pos > before ? pos - before : 0;
    s->end = pos + (left < len ? left : len);
}

struct fs_spot fs_spot_find(const struct fs_where *w, uint64_t pos)
{
    if (w->node->file)
        return posted_spot(w->node->file, pos);
    struct fs_spot s = {.place = SEGMAP_EOF, .begin = pos, .end = pos};
    uint64_t off, len;
    bool computed;
    struct fs_node *n =
        w->layout ? fs_layout_place(w->layout, w->entry, pos, &s.post, &off, &len, &computed)
                  : NULL;
    if (!n)
        return s;
    uint64_t head;
    uint32_t post = s.post;
    s = posted_spot(n->file, off);
    s.post = post;
    s.prepare = s.place == SEGMAP_ASK ||
                (computed && fs_layout_proof(w->layout, post, &head) != FS_PROOF_NONE);
    if (s.place == SEGMAP_HERE || s.place == SEGMAP_HOLE) {
        spot_move(&s, pos, off, len);
    } else if (s.place == SEGMAP_EOF) { /* its volume is shorter than was reckoned */
        s.place = SEGMAP_HOLE;
        s.begin = pos;
        s.end = pos + len;
    }
    return s;
}

bool fs_spot_next(const struct fs_where *w, uint64_t pos, uint64_t *next)
{
    uint32_t post;
    uint64_t off, len;
    bool computed;
    if (!w->layout || !fs_layout_place(w->layout, w->entry, pos, &post, &off, &len, &computed))
        return false;
    *next = pos + len;
    return true;
}

void fs_spot_prepare(const struct fs_where *w, uint32_t post, uint64_t stream)
{
    if (w->layout)
        fs_layout_prepare(w->layout, post, stream);
}
