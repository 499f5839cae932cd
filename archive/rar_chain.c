/* rar_chain — members out of parts, from the first volume to the last. */
#include "archive/rar.h"

#include "base/overflow.h"

#include <openssl/crypto.h>

struct link {
    struct link *next;
    struct archive_piece piece;
};

struct rar_member {
    struct rar_member *next;
    const struct rar_part *part, *last; /* that of the lowest volume, and that of the highest */
    struct link *links, *end;
    uint64_t have; /* bytes of its stream so far */
    uint32_t nlinks;
    enum archive_why why;
};

/* ---- building ---- */

static void member_why(struct rar_chain *c, struct rar_member *m, enum archive_why why)
{
    if (m->why == ARCHIVE_OK)
        m->why = why;
    if (m->why == ARCHIVE_VOLUME_LACKS)
        c->broken = true;
}

static int add_link(struct rar_chain *c, struct rar_member *m, const struct archive_piece *p)
{
    struct link *l = arena_new(c->r->arena, struct link);
    if (!l)
        return -ENOMEM;
    if (!add_u64(m->have, p->len, &m->have))
        member_why(c, m, ARCHIVE_DAMAGED);
    if (!p->len) /* an empty piece is none */
        return 0;
    l->piece = *p;
    if (m->end)
        m->end->next = l;
    else
        m->links = l;
    m->end = l;
    m->nlinks++;
    return 0;
}

static int begin_member(struct rar_chain *c, const struct rar_part *p)
{
    struct rar_member *m = arena_new(c->r->arena, struct rar_member);
    if (!m)
        return -ENOMEM;
    m->part = p;
    if (p->compressed)
        m->why = ARCHIVE_COMPRESSED;
    if (c->newest)
        c->newest->next = m;
    else
        c->members = m;
    c->newest = c->open = m;
    c->nmembers++;
    return 0;
}

/* How many bytes its stream has. False: that is not told. */
static bool stream_len(const struct rar_part *p, uint64_t *len)
{
    *len = p->size;
    if (p->size == UINT64_MAX || p->compressed)
        return false;
    if (!p->crypt)
        return true;
    if (!add_u64(p->size, 15, len))
        return false;
    *len &= ~(uint64_t)15;
    return true;
}

/* All parts were there: are they as long as they should be? */
static void close_member(struct rar_chain *c)
{
    struct rar_member *m = c->open;
    uint64_t want;
    c->open = NULL;
    if (m->why)
        return;
    if (!stream_len(m->part, &want)) {
        if (m->part->crypt || m->part->size != UINT64_MAX)
            member_why(c, m, ARCHIVE_UNKNOWN); /* nobody knows how much of it is padding */
    } else if (m->have != want) {
        bool lacks = m->have < want && m->part->after;
        member_why(c, m, lacks ? ARCHIVE_VOLUME_LACKS : ARCHIVE_DAMAGED);
    }
}

static int take_part(struct rar_chain *c, uint32_t index, const struct rar_part *p)
{
    int e = 0;
    if (p->link)
        return 0;
    if (c->open && !(p->before && rar_part_same(c->open->part, p)))
        rar_chain_gap(c, ARCHIVE_VOLUME_LACKS);
    if (c->open && p->before && rar_part_same(c->open->part, p)) {
        const struct rar_crypt *a = c->open->part->crypt, *b = p->crypt;
        if (a && b && !rar_crypt_same(a, b))
            member_why(c, c->open, ARCHIVE_CIPHER);
    } else {
        e = begin_member(c, p);
        if (!e && p->before)
            member_why(c, c->open, ARCHIVE_VOLUME_LACKS);
    }
    if (e)
        return e;
    struct rar_member *m = c->open;
    member_why(c, m, p->why);
    m->last = p;
    e = add_link(c, m, &(struct archive_piece){.off = p->data, .len = p->packed, .volume = index});
    if (!p->after)
        close_member(c);
    return e;
}

int rar_chain_volume(struct rar_chain *c, uint32_t index, const struct rar_volume *v)
{
    int e = 0;
    if (c->open && v->why && !v->parts)
        rar_chain_gap(c, v->why);
    for (const struct rar_part *p = v->parts; p && !e; p = p->next)
        e = take_part(c, index, p);
    return e;
}

int rar_chain_reckoned(struct rar_chain *c, uint32_t index, uint64_t off, uint64_t len)
{
    return add_link(
        c, c->open,
        &(struct archive_piece){.off = off, .len = len, .volume = index, .computed = true});
}

void rar_chain_gap(struct rar_chain *c, enum archive_why why)
{
    c->broken = true;
    if (c->open)
        member_why(c, c->open, why);
}

const struct rar_part *rar_chain_open(const struct rar_chain *c, uint64_t *stream, uint64_t *have)
{
    if (!c->open)
        return NULL;
    *have = c->open->have;
    if (!stream_len(c->open->part, stream))
        *stream = UINT64_MAX;
    return c->open->part;
}

/* ---- what comes of it ---- */

static int cipher_of(struct rar_chain *c, struct rar_member *m, struct archive_cipher *out)
{
    const struct rar_key *k;
    enum archive_why why;
    const struct rar_crypt *crypt = m->part->crypt;
    int e = rar_key_pick(c->r, crypt, &k, &why);
    if (e)
        return e;
    if (!k) {
        member_why(c, m, why);
        return 0;
    }
    out->kind = crypt->version == 5 ? ARCHIVE_AES256_CBC : ARCHIVE_AES128_CBC;
    memcpy(out->key, k->key, sizeof(out->key));
    memcpy(out->iv, crypt->version == 5 ? crypt->iv : k->iv, sizeof(out->iv));
    return 0;
}

static int pieces_of(struct rar_chain *c, struct rar_member *m, struct archive_member *out)
{
    if (m->why || !m->nlinks)
        return 0;
    struct archive_piece *p = arena_array(c->r->arena, struct archive_piece, m->nlinks);
    if (!p)
        return -ENOMEM;
    out->pieces = p;
    out->npieces = m->nlinks;
    for (struct link *l = m->links; l; l = l->next)
        *p++ = l->piece;
    return 0;
}

static int finish_member(struct rar_chain *c, struct rar_member *m, struct archive_member *out)
{
    const struct rar_part *p = m->part, *last = m->last;
    int e = 0;
    *out = (struct archive_member){.path = p->name,
                                   .size = p->size == UINT64_MAX ? m->have : p->size,
                                   .mtime_s = p->mtime_s,
                                   .mtime_ns = p->mtime_ns,
                                   .dir = p->dir};
    if (p->dir) {
        out->size = 0;
        return 0;
    }
    if (p->crypt && !m->why && m->have)
        e = cipher_of(c, m, &out->cipher);
    if (!e)
        e = pieces_of(c, m, out);
    out->why = m->why;
    if (!last->after && !m->why) { /* a part that goes on has its own sum, not the member's */
        out->sum_kind = last->sum_kind;
        memcpy(out->sum, last->sum, sizeof(out->sum));
    }
    return e;
}

int rar_chain_finish(struct rar_chain *c, struct archive_set *s)
{
    if (c->open)
        rar_chain_gap(c, ARCHIVE_VOLUME_LACKS);
    c->open = NULL;
    struct archive_member *all = arena_array(c->r->arena, struct archive_member, c->nmembers + 1);
    if (!all)
        return -ENOMEM;
    uint32_t n = 0;
    int e = 0;
    for (struct rar_member *m = c->members; m && !e; m = m->next)
        e = finish_member(c, m, &all[n++]);
    s->members = all;
    s->nmembers = e ? 0 : n;
    return e;
}
