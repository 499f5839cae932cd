/* surveyed — posts in memory, and entries read through their extents. */
#include "tests/archive/surveyed.h"

#include "archive/cipher.h"
#include "base/list.h"

#include <check.h>
#include <stdlib.h>

static struct surveyed_post *post_of(struct archive_bytes *b)
{
    return container_of(b, struct surveyed_post, b);
}

static void article(struct surveyed_post *p, uint64_t off, uint64_t len, bool wanted)
{
    if (off >= p->size)
        return;
    if (len > p->size - off)
        len = p->size - off;
    for (uint64_t a = off / SURVEYED_ARTICLE; len && a <= (off + len - 1) / SURVEYED_ARTICLE; a++) {
        if (p->seen[a / 64] >> (a % 64) & 1)
            continue;
        p->seen[a / 64] |= UINT64_C(1) << (a % 64);
        p->in->articles++;
        p->in->late += !wanted;
        p->in->before += wanted && !p->in->reading;
    }
}

static int post_size(struct archive_bytes *b, uint64_t *size)
{
    struct surveyed_post *p = post_of(b);

    p->in->reading = true;
    if (p->err)
        return p->err;
    article(p, 0, 1, false);
    *size = p->size;
    return 0;
}

static ssize_t post_read(struct archive_bytes *b, uint64_t off, void *buf, size_t len)
{
    struct surveyed_post *p = post_of(b);

    p->in->reading = true;
    if (p->err)
        return p->err;
    article(p, off, len, false);
    p->told = true;
    return (ssize_t)made_read(p->made, p->volume, off, buf, len);
}

static void post_want(struct archive_bytes *b, uint64_t off, size_t len)
{
    article(post_of(b), off, len, true);
}

static const struct archive_bytes_ops ops = {
    .size = post_size, .read = post_read, .want = post_want};

static const char *yenc_name(const struct archive_post *post)
{
    const struct surveyed_post *p = post_of(post->bytes);
    return p->told && p->yenc ? p->yenc : "";
}

void surveyed_add(struct surveyed *s, const struct made *m)
{
    for (uint32_t v = 0; v < m->nvolumes; v++) {
        struct surveyed_post *p = &s->posts[s->n++];
        ck_assert_uint_le(s->n, SURVEYED_POSTS);
        *p = (struct surveyed_post){.b = {&ops}, .in = s, .made = m, .volume = v};
        p->size = m->volumes[v].size;
        p->seen = calloc(p->size / SURVEYED_ARTICLE / 64 + 1, sizeof(*p->seen));
        p->post = (struct archive_post){.bytes = &p->b,
                                        .name = m->volumes[v].name,
                                        .subject = m->volumes[v].name,
                                        .guess = p->size + p->size / 40,
                                        .yenc_name = yenc_name};
    }
}

struct surveyed_post *surveyed_post(struct surveyed *s, const char *name)
{
    for (uint32_t i = 0; i < s->n; i++)
        if (!strcmp(s->posts[i].post.name, name))
            return &s->posts[i];
    ck_abort_msg("no post %s", name);
    return NULL;
}

int surveyed_try(struct surveyed *s)
{
    for (uint32_t i = 0; i < s->n; i++)
        s->list[i] = s->posts[i].post;
    return archive_survey(s->list, s->n, &s->o, &s->l);
}

void surveyed_run(struct surveyed *s)
{
    ck_assert_int_eq(surveyed_try(s), 0);
    ck_assert_ptr_nonnull(s->l);
    ck_assert_uint_eq(s->l->nposts, s->n);
}

void surveyed_free(struct surveyed *s)
{
    archive_layout_free(s->l);
    for (uint32_t i = 0; i < s->n; i++)
        free(s->posts[i].seen);
    memset(s, 0, sizeof(*s));
}

const struct archive_entry *surveyed_entry(const struct surveyed *s, const char *path)
{
    for (uint32_t i = 0; i < s->l->nentries; i++)
        if (!s->l->entries[i].hidden && !strcmp(s->l->entries[i].path, path))
            return &s->l->entries[i];
    return NULL;
}

unsigned surveyed_shown(const struct surveyed *s)
{
    unsigned n = 0;
    for (uint32_t i = 0; i < s->l->nentries; i++)
        n += !s->l->entries[i].hidden;
    return n;
}

/* ---- what an entry holds ---- */

static void shown(struct surveyed *s, const struct archive_entry *e, uint64_t off, uint8_t *out,
                  uint64_t len);

static void stream(struct surveyed *s, const struct archive_entry *e, uint64_t at, uint8_t *out,
                   uint64_t len)
{
    for (uint32_t k = 0; len; k++) {
        ck_assert_uint_lt(k, e->nextents);
        const struct archive_extent *x = &e->extents[k];
        if (at >= x->at + x->len)
            continue;
        uint64_t off = x->off + (at - x->at), n = x->len - (at - x->at);
        if (n > len)
            n = len;
        if (x->entry) {
            ck_assert_uint_lt(x->from, (uint32_t)(e - s->l->entries));
            shown(s, &s->l->entries[x->from], off, out, n);
        } else {
            ck_assert_uint_lt(x->from, s->n);
            const struct surveyed_post *p = &s->posts[x->from];
            ck_assert_uint_eq(made_read(p->made, p->volume, off, out, n), n);
        }
        at += n;
        out += n;
        len -= n;
    }
}

static void shown(struct surveyed *s, const struct archive_entry *e, uint64_t off, uint8_t *out,
                  uint64_t len)
{
    uint64_t from = e->skip + off, need = len;

    if (e->cipher.kind == ARCHIVE_PLAIN) {
        stream(s, e, from, out, len);
        return;
    }
    archive_cipher_span(e->skip + off, len, &from, &need);
    uint8_t *text = malloc(need);
    struct archive_decipher *d = archive_decipher_new(&e->cipher);
    stream(s, e, from, text, need);
    ck_assert(d && archive_decipher(d, from, text, need));
    memcpy(out, text + (e->skip + off - from), len);
    archive_decipher_free(d);
    free(text);
}

void surveyed_expect(struct surveyed *s, const char *path, const struct made_file *f)
{
    const struct archive_entry *e = surveyed_entry(s, path);
    uint8_t got[1000], want[1000];

    ck_assert_msg(e != NULL, "no entry %s", path);
    if (e->post != UINT32_MAX) {
        ck_assert_uint_eq(s->posts[e->post].size, f->len);
        return;
    }
    ck_assert_uint_eq(e->size, f->len);
    uint64_t step = 9973 + f->len / 1000;
    for (uint64_t at = 0; at < f->len; at += step) {
        uint64_t n = f->len - at < sizeof(got) ? f->len - at : sizeof(got);
        shown(s, e, at, got, n);
        made_content(f, at, want, n);
        ck_assert_msg(!memcmp(got, want, n), "%s differs at %lu", path, (unsigned long)at);
    }
}

bool surveyed_reckoned_well(struct surveyed *s)
{
    bool well = true;

    for (uint32_t i = 0; i < s->n; i++) {
        const struct surveyed_post *p = &s->posts[i];
        uint64_t head = archive_volume_head(s->l, i), size;
        uint8_t *bytes = malloc(head + 1);
        size_t n = made_read(p->made, p->volume, 0, bytes, head);
        if (head)
            well &= archive_volume_is(s->l, i, bytes, n);
        if (archive_volume_size(s->l, i, &size))
            well &= size == p->size;
        free(bytes);
    }
    return well;
}
