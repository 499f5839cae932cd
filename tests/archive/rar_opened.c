/* rar_opened — what the reader found, held against what the maker knows. */
#include "tests/archive/rar_opened.h"

#include "archive/cipher.h"

#include <check.h>
#include <stdlib.h>

void opened_init(struct opened *o, struct made *m, const char *password)
{
    *o = (struct opened){.m = m, .sources = made_sources_new(m, 0)};
    o->volumes = calloc(m->nvolumes, sizeof(*o->volumes));
    ck_assert_ptr_nonnull(o->volumes);
    for (uint32_t i = 0; i < m->nvolumes; i++)
        o->volumes[i] = (struct archive_volume){.bytes = &o->sources[i].b, .post = i};
    o->keys = archive_keys_new(&password, password ? 1 : 0);
    ck_assert_ptr_nonnull(o->keys);
    o->set.nvolumes = m->nvolumes;
}

void opened_fini(struct opened *o)
{
    arena_fini(&o->arena);
    archive_keys_free(o->keys);
    free(o->volumes);
    made_sources_free(o->sources, o->m->nvolumes);
    made_free(o->m);
}

void opened_drop(struct opened *o, uint32_t volume)
{
    memmove(o->volumes + volume, o->volumes + volume + 1,
            (o->set.nvolumes - volume - 1) * sizeof(*o->volumes));
    o->set.nvolumes--;
}

void opened_read(struct opened *o, bool ordered, bool thorough)
{
    arena_fini(&o->arena);
    o->arena = (struct arena){.limit = (size_t)64 << 20};
    o->set = (struct archive_set){.volumes = o->volumes,
                                  .nvolumes = o->set.nvolumes,
                                  .ordered = ordered,
                                  .thorough = thorough,
                                  .keys = o->keys,
                                  .arena = &o->arena};
    o->result = archive_rar.read(&o->set);
    ck_assert_int_eq(o->result, 0);
}

const struct archive_member *opened_member(const struct opened *o, const char *path)
{
    for (uint32_t i = 0; i < o->set.nmembers; i++)
        if (!strcmp(o->set.members[i].path, path))
            return &o->set.members[i];
    return NULL;
}

static uint64_t stream_len(const struct archive_member *m)
{
    return m->cipher.kind == ARCHIVE_PLAIN ? m->size : (m->size + 15) & ~(uint64_t)15;
}

/* Every byte of the stream lies where the truth says. */
static void expect_places(const struct opened *o, uint32_t file, const struct archive_member *m)
{
    const struct made *t = o->m;
    uint64_t at = 0;
    uint32_t k = 0;
    for (uint32_t i = 0; i < m->npieces; i++) {
        const struct archive_piece *p = &m->pieces[i];
        uint32_t volume = o->set.volumes[p->volume].post;
        ck_assert(p->computed == !o->set.volumes[p->volume].read);
        for (uint64_t done = 0, n; done < p->len; done += n, at += n) {
            while (k < t->npieces &&
                   (t->pieces[k].file != file || at >= t->pieces[k].at + t->pieces[k].len))
                k++;
            ck_assert_uint_lt(k, t->npieces);
            const struct made_piece *q = &t->pieces[k];
            uint64_t in = at - q->at;
            ck_assert_uint_eq(q->volume, volume);
            ck_assert_uint_eq(q->off + in, p->off + done);
            n = q->len - in < p->len - done ? q->len - in : p->len - done;
        }
    }
    ck_assert_uint_eq(at, stream_len(m));
}

/* Small enough to be read whole: the bytes themselves. */
static void expect_content(const struct opened *o, uint32_t file, const struct archive_member *m)
{
    size_t len = (size_t)stream_len(m), at = 0;
    uint8_t *got = malloc(len + 1), *want = malloc(len + 1);
    ck_assert(got && want);
    for (uint32_t i = 0; i < m->npieces; i++) {
        const struct archive_piece *p = &m->pieces[i];
        at += made_read(o->m, o->set.volumes[p->volume].post, p->off, got + at, (size_t)p->len);
    }
    ck_assert_uint_eq(at, len);
    if (m->cipher.kind != ARCHIVE_PLAIN) {
        struct archive_decipher *d = archive_decipher_new(&m->cipher);
        ck_assert(archive_decipher(d, 0, got, len));
        archive_decipher_free(d);
    }
    made_content(&o->m->files[file], 0, want, (size_t)m->size);
    ck_assert_mem_eq(got, want, (size_t)m->size);
    free(got);
    free(want);
}

void opened_expect_file(const struct opened *o, uint32_t file)
{
    const struct made_file *f = &o->m->files[file];
    const struct archive_member *m = opened_member(o, f->name);
    if (f->link) {
        ck_assert_ptr_null(m);
        return;
    }
    ck_assert_msg(m != NULL, "%s is not there", f->name);
    ck_assert_int_eq(m->dir, f->dir);
    if (f->mtime_s)
        ck_assert_int_eq(m->mtime_s, f->mtime_s);
    if (f->compressed && !f->dir) {
        ck_assert_int_eq(m->why, ARCHIVE_COMPRESSED);
        return;
    }
    ck_assert_msg(m->why == ARCHIVE_OK, "%s: %s", f->name, archive_why_text(m->why));
    if (f->dir)
        return;
    ck_assert_uint_eq(m->size, f->len);
    expect_places(o, file, m);
    if (f->len < 1000000)
        expect_content(o, file, m);
}

static void expect_recognised(const struct opened *o)
{
    for (uint32_t i = 0; i < o->set.nvolumes; i++) {
        const struct archive_volume *v = &o->set.volumes[i];
        uint8_t *head = malloc((size_t)v->head + 1);
        ck_assert_ptr_nonnull(head);
        ck_assert(!(v->read && v->head));
        ck_assert(!v->left);
        size_t n = made_read(o->m, v->post, 0, head, (size_t)v->head);
        ck_assert(archive_rar.check(&o->set, i, head, n));
        free(head);
    }
}

void opened_expect_whole(const struct opened *o)
{
    uint32_t links = 0;
    ck_assert_msg(o->set.why == ARCHIVE_OK, "%s", archive_why_text(o->set.why));
    for (uint32_t i = 0; i < o->m->nfiles; i++) {
        links += o->m->files[i].link != NULL;
        opened_expect_file(o, i);
    }
    ck_assert_uint_eq(o->set.nmembers, o->m->nfiles - links);
    expect_recognised(o);
}

uint32_t opened_articles(const struct opened *o, uint32_t *volumes)
{
    uint32_t n = 0;
    *volumes = 0;
    for (uint32_t i = 0; i < o->m->nvolumes; i++) {
        n += o->sources[i].nparts;
        *volumes += o->sources[i].nparts > 0;
    }
    return n;
}
