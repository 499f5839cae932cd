#include "tests/archive/opened.h"

#include "archive/cipher.h"
#include "base/list.h"

#include <check.h>
#include <stdlib.h>
#include <zlib.h>

static int body_size(struct archive_bytes *b, uint64_t *size)
{
    struct opened_volume *v = container_of(b, struct opened_volume, b);

    if (v->error && !v->error_to)
        return v->error;
    v->sized = true;
    *size = v->size;
    return 0;
}

static ssize_t body_read(struct archive_bytes *b, uint64_t off, void *buf, size_t len)
{
    struct opened_volume *v = container_of(b, struct opened_volume, b);

    if (off >= v->size || !len)
        return 0;
    if (len > v->size - off)
        len = (size_t)(v->size - off);
    /* In pieces, as articles come: who wants all of them must ask again. */
    if (len > OPENED_ARTICLE - off % OPENED_ARTICLE)
        len = OPENED_ARTICLE - off % OPENED_ARTICLE;
    if (v->error && (!v->error_to || (off < v->error_to && off + len > v->error_from)))
        return v->error;
    v->seen[off / OPENED_ARTICLE] = true;
    memcpy(buf, v->data + off, len);
    return (ssize_t)len;
}

static const struct archive_bytes_ops body_ops = {.size = body_size, .read = body_read};

void opened_add(struct opened *o, const void *data, size_t len)
{
    uint32_t v = o->set.nvolumes++;

    ck_assert_uint_lt(v, OPENED_VOLUMES);
    o->bodies[v] = (struct opened_volume){
        .b.ops = &body_ops, .data = data, .size = len, .seen = calloc(len / OPENED_ARTICLE + 1, 1)};
    ck_assert_ptr_nonnull(o->bodies[v].seen);
    o->volumes[v] =
        (struct archive_volume){.bytes = &o->bodies[v].b, .post = v, .guess = len + len / 32};
}

void opened_cut(struct opened *o, const struct archive_format *f, const void *data, size_t len,
                size_t cut)
{
    memset(o, 0, sizeof(*o));
    o->format = f;
    o->arena.limit = (size_t)64 << 20;
    o->set = (struct archive_set){.volumes = o->volumes, .ordered = true, .arena = &o->arena};
    o->set.keys = archive_keys_new(NULL, 0);
    ck_assert_ptr_nonnull(o->set.keys);
    for (size_t at = 0; at < len || (!len && !at); at += cut ? cut : len + 1) {
        size_t left = len - at;
        opened_add(o, (const uint8_t *)data + at, cut && cut < left ? cut : left);
    }
}

void opened_drop(struct opened *o, uint32_t v)
{
    free(o->bodies[o->volumes[v].post].seen);
    o->bodies[o->volumes[v].post].seen = NULL;
    o->set.nvolumes--;
    for (; v < o->set.nvolumes; v++)
        o->volumes[v] = o->volumes[v + 1];
}

void opened_passwords(struct opened *o, const char *const *passwords, unsigned n)
{
    archive_keys_free(o->set.keys);
    o->set.keys = archive_keys_new(passwords, n);
    ck_assert_ptr_nonnull(o->set.keys);
}

static void expect_pieces(const struct opened *o, const struct archive_member *m)
{
    uint64_t sum = 0, need = m->skip + m->size;

    if (m->why)
        return;
    for (uint32_t k = 0; k < m->npieces; k++) {
        const struct archive_piece *p = &m->pieces[k];
        ck_assert_uint_lt(p->volume, o->set.nvolumes);
        ck_assert(p->len > 0);
        if (!p->computed) {
            uint64_t size = o->bodies[o->volumes[p->volume].post].size;
            ck_assert(p->off <= size && p->len <= size - p->off);
        }
        sum += p->len;
    }
    if (m->cipher.kind != ARCHIVE_PLAIN)
        need = (need + 15) / 16 * 16;
    ck_assert(m->size == 0 || sum >= need);
    ck_assert(m->cipher.kind != ARCHIVE_PLAIN || sum == m->size);
}

int opened_read(struct opened *o)
{
    int err = o->format->read(&o->set);

    for (uint32_t k = 0; !err && k < o->set.nmembers; k++) {
        ck_assert_ptr_nonnull(o->set.members[k].path);
        expect_pieces(o, &o->set.members[k]);
    }
    return err;
}

unsigned opened_articles(const struct opened *o)
{
    unsigned n = 0;

    for (uint32_t v = 0; v < o->set.nvolumes; v++) {
        const struct opened_volume *b = &o->bodies[o->volumes[v].post];
        unsigned seen = 0;
        for (uint64_t k = 0; k <= b->size / OPENED_ARTICLE; k++)
            seen += b->seen[k];
        n += seen ? seen : b->sized;
    }
    return n;
}

const struct archive_member *opened_member(const struct opened *o, const char *path)
{
    for (uint32_t k = 0; k < o->set.nmembers; k++) {
        if (strcmp(o->set.members[k].path, path) == 0)
            return &o->set.members[k];
    }
    return NULL;
}

uint8_t *opened_bytes(const struct opened *o, const struct archive_member *m)
{
    size_t sum = 0, at = 0;

    for (uint32_t k = 0; k < m->npieces; k++)
        sum += (size_t)m->pieces[k].len;
    uint8_t *stream = malloc(sum + 1);
    ck_assert_ptr_nonnull(stream);
    for (uint32_t k = 0; k < m->npieces; k++) {
        const struct archive_piece *p = &m->pieces[k];
        const struct opened_volume *b = &o->bodies[o->volumes[p->volume].post];
        ck_assert(p->off <= b->size && p->len <= b->size - p->off);
        memcpy(stream + at, b->data + p->off, (size_t)p->len);
        at += (size_t)p->len;
    }
    if (m->cipher.kind != ARCHIVE_PLAIN && m->size) {
        struct archive_decipher *d = archive_decipher_new(&m->cipher);
        ck_assert_ptr_nonnull(d);
        ck_assert(archive_decipher(d, 0, stream, sum / 16 * 16));
        archive_decipher_free(d);
    }
    memmove(stream, stream + (m->size ? m->skip : 0), (size_t)m->size);
    return stream;
}

void opened_expect(const struct opened *o, const char *path, const void *data, size_t len)
{
    const struct archive_member *m = opened_member(o, path);

    ck_assert_msg(m != NULL, "no %s", path);
    ck_assert_msg(m->why == ARCHIVE_OK, "%s: %s", path, archive_why_text(m->why));
    ck_assert_uint_eq(m->size, len);
    uint8_t *shown = opened_bytes(o, m);
    ck_assert_msg(memcmp(shown, data, len) == 0, "%s shows other bytes", path);
    free(shown);
    if (m->sum_kind == ARCHIVE_SUM_CRC32) {
        uint32_t crc = (uint32_t)crc32_z(0, data, len);
        for (unsigned k = 0; k < 4; k++)
            ck_assert_uint_eq(m->sum[k], crc >> (8 * k) & 0xff);
    }
}

void opened_expect_why(const struct opened *o, const char *path, enum archive_why why)
{
    const struct archive_member *m = opened_member(o, path);

    ck_assert_msg(m != NULL, "no %s", path);
    ck_assert_msg(m->why == why, "%s: %s", path, archive_why_text(m->why));
}

void opened_fini(struct opened *o)
{
    for (uint32_t v = 0; v < OPENED_VOLUMES; v++)
        free(o->bodies[v].seen);
    archive_keys_free(o->set.keys);
    arena_fini(&o->arena);
}
