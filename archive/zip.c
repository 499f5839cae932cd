/* zip — the reader of ZIP archives.
 *
 *     | local header, name, extra | bytes | (sizes) | local header ... | directory | end |
 *
 * The directory says where a file's local header is, not where its bytes begin: the extra field there may
 * differ from the directory's. To read the local header costs an article. So for a few files all of them are
 * read; of many, some, which shows how this archive's program lays files out (how much longer the extra
 * field is, what stands behind the bytes), and where a file fits between its header and the next one in just that
 * way, the place of its bytes follows. The others are read as well. */
#include "archive/zip.h"

#include "archive/joined.h"
#include "base/cursor.h"
#include "base/overflow.h"

#include <stdlib.h>

#define PARSED_MEMORY ((size_t)64 << 20)
#define TAIL          ((size_t)16 << 10)
#define FEW           64u /* files: read every local header */
#define SAMPLE        16u /* so many of many */
#define LOCALS_MOST                                                                                \
    1024u /* headers of one archive that are read, each of which may cost an article */
#define PATTERNS    16u
#define BEHIND_MOST 24u /* bytes: sizes in 64 bits, with their mark and checksum */

/** How a program lays out a file. */
struct pattern {
    int64_t longer;  /* the local extra field than the directory's */
    uint64_t behind; /* bytes between the file's and the next header */
    bool descriptor;
};

struct reader {
    struct archive_set *s;
    struct archive_joined j;
    struct arena tmp;
    struct zip_end end;
    struct archive_member *members;
    struct zip_entry *entries;
    uint32_t n;
    struct zip_entry **order; /* by place */
    uint64_t *stops;          /* where the next one begins, or the directory; in that order */
    struct pattern patterns[PATTERNS];
    unsigned npatterns;
    uint32_t nlocals; /* headers that were read */
};

static bool is_zip(const uint8_t *head, size_t len)
{
    static const uint8_t marks[][4] = {
        {'P', 'K', 3, 4}, {'P', 'K', 5, 6}, {'P', 'K', '0', '0'}, {'P', 'K', 7, 8}};

    for (size_t k = 0; len >= 4 && k < sizeof(marks) / sizeof(marks[0]); k++) {
        if (memcmp(head, marks[k], 4) == 0)
            return k < 2 || (len >= 8 && memcmp(head + 4, marks[0], 4) == 0);
    }
    return false;
}

static int by_place(const void *a, const void *b)
{
    const struct zip_entry *x = *(struct zip_entry *const *)a, *y = *(struct zip_entry *const *)b;

    if (x->local != y->local)
        return x->local < y->local ? -1 : 1;
    return x < y ? -1 : x > y; /* the same each time */
}

static int entries_sort(struct reader *r)
{
    uint64_t stop = r->end.off;

    r->order = arena_array(&r->tmp, struct zip_entry *, r->n);
    r->stops = arena_array(&r->tmp, uint64_t, r->n);
    if (!r->order || !r->stops)
        return -ENOMEM;
    for (uint32_t k = 0; k < r->n; k++)
        r->order[k] = &r->entries[k];
    qsort(r->order, r->n, sizeof(struct zip_entry *), by_place);
    for (uint32_t k = r->n; k-- > 0;) {
        /* Two entries with one header show the same bytes, which is odd but harms nobody. */
        if (k + 1 < r->n && r->order[k]->local != r->order[k + 1]->local)
            stop = r->order[k + 1]->local < r->end.off ? r->order[k + 1]->local : r->end.off;
        r->stops[k] = stop;
    }
    return 0;
}

static void pattern_learn(struct reader *r, const struct zip_entry *e, uint64_t longer,
                          uint64_t behind)
{
    struct pattern p = {.longer = (int64_t)longer - (int64_t)e->extra_len,
                        .behind = behind,
                        .descriptor = e->flags & ZIP_FLAG_DESCRIPTOR};

    for (unsigned k = 0; k < r->npatterns; k++) {
        const struct pattern *q = &r->patterns[k];
        if (q->longer == p.longer && q->behind == p.behind && q->descriptor == p.descriptor)
            return;
    }
    if (r->npatterns < PATTERNS && behind <= BEHIND_MOST)
        r->patterns[r->npatterns++] = p;
}

/** The one place where a file's bytes can begin if it is laid out as others were; 0: it is not so, or not clear. */
static uint64_t place_reckon(const struct reader *r, const struct zip_entry *e, uint64_t stop)
{
    uint64_t head = (uint64_t)ZIP_LOCAL_SIZE + e->name_len, begin, found = 0;

    if (!add_u64(e->local, head, &begin) || begin > stop || e->m->size > stop - begin)
        return 0;
    int64_t spare = (int64_t)(stop - begin - e->m->size);
    for (unsigned k = 0; k < r->npatterns; k++) {
        const struct pattern *p = &r->patterns[k];
        int64_t extra = (int64_t)e->extra_len + p->longer;
        if (p->descriptor != (bool)(e->flags & ZIP_FLAG_DESCRIPTOR) || extra < 0 ||
            extra + (int64_t)p->behind != spare)
            continue;
        if (found && found != begin + (uint64_t)extra)
            return 0;
        found = begin + (uint64_t)extra;
    }
    return found;
}

/** 0 with the entry's place, or the reason why it has none; or what ends everything. */
static int local_read(struct reader *r, struct zip_entry *e, uint64_t stop)
{
    uint8_t head[ZIP_LOCAL_SIZE];

    r->nlocals++;
    e->m->why = ARCHIVE_DAMAGED;
    if (e->local > stop || stop - e->local < ZIP_LOCAL_SIZE)
        return 0;
    int err = archive_bytes_exact(&r->j.b, e->local, head, sizeof(head));
    if (err == -EIO)
        e->m->why = ARCHIVE_UNREADABLE;
    if (err)
        return err == -EIO ? 0 : err;
    struct cursor c = cursor_of(head, sizeof(head));
    uint32_t mark = cursor_u32(&c);
    cursor_skip(&c, 2);
    unsigned flags = cursor_u16(&c), method = cursor_u16(&c);
    cursor_skip(&c, 16);
    uint64_t name = cursor_u16(&c), extra = cursor_u16(&c);
    uint64_t data =
        e->local + ZIP_LOCAL_SIZE + name + extra; /* below the file's length and 128 KiB */
    if (mark != ZIP_LOCAL_MARK || flags & ZIP_FLAG_CRYPT || method || data > stop ||
        e->m->size > stop - data)
        return 0;
    e->m->why = ARCHIVE_OK;
    e->data = data;
    if (name == e->name_len)
        pattern_learn(r, e, extra, stop - data - e->m->size);
    return 0;
}

static bool is_sought(const struct zip_entry *e)
{
    return !e->m->why && !e->m->dir && e->m->size && !e->data;
}

/** The local headers of up to `most` files that have no place yet, asked for all at once before. Each gets one, or a
 *  reason why it has none. */
static int locals_read(struct reader *r, uint32_t most)
{
    uint32_t n = 0;
    int err = 0;

    for (uint32_t k = 0; k < r->n && n < most; k++) {
        if (is_sought(r->order[k])) {
            archive_bytes_want(&r->j.b, r->order[k]->local, ZIP_LOCAL_SIZE);
            n++;
        }
    }
    for (uint32_t k = 0; !err && k < r->n && n; k++) {
        if (is_sought(r->order[k])) {
            err = local_read(r, r->order[k], r->stops[k]);
            n--;
        }
    }
    return err;
}

/** How many are left whose place does not follow from what was learnt. */
static uint32_t places_reckon(struct reader *r)
{
    uint32_t left = 0;

    for (uint32_t k = 0; k < r->n; k++) {
        struct zip_entry *e = r->order[k];
        if (!is_sought(e))
            continue;
        e->data = place_reckon(r, e, r->stops[k]);
        left += !e->data;
    }
    return left;
}

static int places_find(struct reader *r)
{
    uint32_t n = 0;

    for (uint32_t k = 0; k < r->n; k++)
        n += is_sought(&r->entries[k]);
    int err = locals_read(r, n <= FEW ? n : SAMPLE);
    while (!err && places_reckon(r)) {
        if (r->nlocals >= LOCALS_MOST)
            break;
        err = locals_read(r, FEW);
    }
    for (uint32_t k = 0; !err && k < r->n; k++) {
        if (is_sought(&r->entries[k]))
            r->entries[k].m->why = ARCHIVE_TOO_MUCH;
    }
    return err;
}

static int pieces_make(struct reader *r)
{
    for (uint32_t k = 0; k < r->n; k++) {
        struct zip_entry *e = &r->entries[k];
        if (e->m->why || !e->data)
            continue;
        int err = archive_joined_pieces(&r->j, r->s->arena, e->data, e->m->size, &e->m->pieces,
                                        &e->m->npieces);
        if (err == -EINVAL)
            e->m->why = ARCHIVE_DAMAGED;
        else if (err)
            return err;
    }
    return 0;
}

static int directory_read(struct reader *r)
{
    struct archive_set *s = r->s;

    if (r->end.len > ARCHIVE_HEADER || r->end.entries > ARCHIVE_MEMBERS) {
        s->why = ARCHIVE_TOO_MUCH;
        return 0;
    }
    size_t len = (size_t)r->end.len;
    uint8_t *data = arena_alloc(&r->tmp, len, 1);
    if (!data)
        return -ENOMEM;
    archive_bytes_want(&r->j.b, r->end.off, len);
    int err = archive_bytes_exact(&r->j.b, r->end.off, data, len);
    if (err)
        return err;
    return zip_directory_parse(data, len, r->end.entries, s->arena, &r->tmp, &r->members,
                               &r->entries, &r->n, &s->why);
}

static int attempt(struct reader *r)
{
    struct archive_set *s = r->s;

    arena_fini(&r->tmp);
    r->npatterns = 0;
    r->nlocals = 0;
    int err = zip_end_find(&r->j, &r->end, &s->why);
    if (!err && !s->why)
        err = directory_read(r);
    if (err || s->why)
        return err;
    err = entries_sort(r);
    if (!err)
        err = places_find(r);
    if (!err)
        err = pieces_make(r);
    if (!err) {
        s->members = r->members;
        s->nmembers = r->n;
    }
    return err;
}

/** Sizes that were reckoned may be why it does not go: then once more with what they are. */
static int volumes_read(struct reader *r)
{
    int err = archive_joined_init(&r->j, r->s);

    if (!err)
        err = attempt(r);
    if (err == -ESTALE || (!err && r->s->why == ARCHIVE_DAMAGED)) {
        int again = archive_joined_measure(&r->j);
        if (again)
            err = again < 0 ? again : attempt(r);
    }
    return err;
}

static int set_read(struct archive_set *s)
{
    struct reader r = {.s = s, .tmp.limit = PARSED_MEMORY};
    bool told = false;

    s->members = NULL;
    s->nmembers = 0;
    s->why = ARCHIVE_OK;
    s->format = "ZIP";
    if (!s->nvolumes) {
        s->why = ARCHIVE_VOLUME_LACKS;
        return 0;
    }
    int err = archive_joined_order(s, is_zip, &told);
    if (!err && !told)
        s->why = ARCHIVE_UNKNOWN;
    if (err || s->why)
        return err;
    const struct archive_volume *last = &s->volumes[s->nvolumes - 1];
    if (last->guess > TAIL)
        archive_bytes_want(last->bytes, last->guess - TAIL, TAIL);
    err = volumes_read(&r);
    arena_fini(&r.tmp);
    return err ? archive_joined_failed(s, err) : 0;
}

const struct archive_format archive_zip = {.name = "ZIP", .is = is_zip, .read = set_read};
