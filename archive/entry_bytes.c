/* entry_bytes — an entry as a thing to read, while the survey looks for archives in it. */
#include "archive/survey_internal.h"

#include "archive/cipher.h"
#include "base/list.h"

#include <stdlib.h>

/* Deciphered with one call. */
#define CIPHER_MOST ((size_t)65536)

/* A head that is longer says nothing. */
#define HEAD_MOST   ((uint64_t)1 << 20)

static const struct archive_extent *extent_at(const struct archive_entry *e, uint64_t at)
{
    uint32_t lo = 0, hi = e->nextents;

    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (e->extents[mid].at + e->extents[mid].len <= at)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < e->nextents ? &e->extents[lo] : NULL;
}

uint32_t survey_entry_extents(const struct archive_entry *e, uint64_t off, uint64_t len,
                              uint64_t at, struct archive_extent *out, uint32_t most)
{
    const struct archive_extent *x = extent_at(e, e->skip + off), *end = e->extents + e->nextents;
    uint32_t n = 0;

    for (uint64_t pos = e->skip + off; len && x && x < end; x++, n++) {
        uint64_t skip = pos - x->at, part = x->len - skip;
        if (part > len)
            part = len;
        if (n < most) {
            out[n] = *x;
            out[n].at = at;
            out[n].off = x->off + skip;
            out[n].len = part;
        }
        at += part;
        pos += part;
        len -= part;
    }
    return n;
}

/* ---- what was reckoned is looked at before it is believed ---- */

static int volume_look(struct archive_survey *sv, uint32_t post)
{
    const struct survey_place *p = &sv->places[post];
    const struct survey_set *set = sv->sets[p->set];
    const struct archive_volume *vol = &set->s.volumes[p->volume];
    uint64_t size = 0;

    if (!vol->head || !set->format || !set->format->check) {
        int e = archive_bytes_size(vol->bytes, &size);
        return e ? e : size == vol->size ? 0 : -ESTALE;
    }
    if (vol->head > HEAD_MOST)
        return -ESTALE;
    uint8_t *head = malloc(vol->head);
    int e = head ? archive_bytes_exact(vol->bytes, 0, head, vol->head) : -ENOMEM;
    if (!e && !set->format->check(&set->s, p->volume, head, vol->head))
        e = -ESTALE;
    free(head);
    return e == -ENODATA ? -ESTALE : e;
}

static int volume_believe(struct archive_survey *sv, uint32_t post)
{
    struct survey_place *p = &sv->places[post];

    if (p->seen || p->set == SURVEY_NONE)
        return 0;
    int e = volume_look(sv, post);
    if (e == -ESTALE) {
        sv->surprised = true;
        return -EIO;
    }
    p->seen = !e;
    return e;
}

/* ---- the stream ---- */

static ssize_t entry_read(struct archive_survey *sv, uint32_t entry, uint64_t off, void *buf,
                          size_t len);

static ssize_t stream_read(struct archive_survey *sv, const struct archive_entry *e, uint64_t at,
                           void *buf, size_t len)
{
    const struct archive_extent *x = extent_at(e, at);

    if (!x || x->at > at)
        return 0;
    if (len > x->len - (at - x->at))
        len = (size_t)(x->len - (at - x->at));
    if (x->entry)
        return entry_read(sv, x->from, x->off + (at - x->at), buf, len);
    int err = x->computed ? volume_believe(sv, x->from) : 0;
    if (err)
        return err;
    return archive_bytes_read(sv->posts[x->from].bytes, x->off + (at - x->at), buf, len);
}

static int stream_exact(struct archive_survey *sv, const struct archive_entry *e, uint64_t at,
                        uint8_t *buf, size_t len)
{
    for (size_t got = 0; got < len;) {
        ssize_t n = stream_read(sv, e, at + got, buf + got, len - got);
        if (n <= 0)
            return n ? (int)n : -EIO;
        got += (size_t)n;
    }
    return 0;
}

static ssize_t cipher_read(struct archive_survey *sv, const struct archive_entry *e, uint64_t off,
                           void *buf, size_t len)
{
    uint64_t from, need;

    if (len > CIPHER_MOST)
        len = CIPHER_MOST;
    archive_cipher_span(e->skip + off, len, &from, &need);
    uint8_t *text = malloc(need);
    struct archive_decipher *d = archive_decipher_new(&e->cipher);
    int err = text && d ? stream_exact(sv, e, from, text, need) : -ENOMEM;
    if (!err && !archive_decipher(d, from, text, need))
        err = -EIO;
    if (!err)
        memcpy(buf, text + (e->skip + off - from), len);
    archive_decipher_free(d);
    free(text);
    return err ? err : (ssize_t)len;
}

/* Within SURVEY_DEPTH, since an extent's entry is listed before. */
static ssize_t entry_read(struct archive_survey *sv, uint32_t entry, uint64_t off, void *buf,
                          size_t len)
{
    const struct archive_entry *e = &sv->entries[entry];

    if (off >= e->size || !len)
        return 0;
    if (len > e->size - off)
        len = (size_t)(e->size - off);
    return e->cipher.kind == ARCHIVE_PLAIN ? stream_read(sv, e, e->skip + off, buf, len)
                                           : cipher_read(sv, e, off, buf, len);
}

static void entry_want(struct archive_survey *sv, uint32_t entry, uint64_t off, uint64_t len)
{
    const struct archive_entry *e = &sv->entries[entry];
    uint64_t at = e->skip + off, need = len;

    if (off >= e->size || !len)
        return;
    if (len > e->size - off)
        need = e->size - off;
    if (e->cipher.kind != ARCHIVE_PLAIN)
        archive_cipher_span(e->skip + off, need, &at, &need);
    const struct archive_extent *x = extent_at(e, at), *end = e->extents + e->nextents;
    for (; need && x && x < end; x++) {
        uint64_t skip = at - x->at, part = x->len - skip < need ? x->len - skip : need;
        if (x->entry)
            entry_want(sv, x->from, x->off + skip, part);
        else
            archive_bytes_want(sv->posts[x->from].bytes, x->off + skip, (size_t)part);
        at += part;
        need -= part;
    }
}

/* ---- as bytes ---- */

static int bytes_size(struct archive_bytes *b, uint64_t *size)
{
    const struct survey_entry_bytes *eb = container_of(b, struct survey_entry_bytes, b);
    *size = eb->sv->entries[eb->entry].size;
    return 0;
}

static ssize_t bytes_read(struct archive_bytes *b, uint64_t off, void *buf, size_t len)
{
    const struct survey_entry_bytes *eb = container_of(b, struct survey_entry_bytes, b);
    return entry_read(eb->sv, eb->entry, off, buf, len);
}

static void bytes_want(struct archive_bytes *b, uint64_t off, size_t len)
{
    const struct survey_entry_bytes *eb = container_of(b, struct survey_entry_bytes, b);
    entry_want(eb->sv, eb->entry, off, len);
}

const struct archive_bytes_ops survey_entry_ops = {
    .size = bytes_size, .read = bytes_read, .want = bytes_want};
