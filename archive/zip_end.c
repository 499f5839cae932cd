/* zip_end — a ZIP is read from its end: the record there says where the directory is.
 *
 * Behind the record stands a comment of any bytes, which may hold what looks like the record, too. So
 * what is found must agree with where it is found: its comment reaches to the very end, and the directory ends
 * where it, or the ZIP64 record before it, begins. */
#include "archive/zip.h"

#include "base/cursor.h"
#include "base/overflow.h"

#include <stdlib.h>

#define END_MARK     0x06054b50u
#define END_SIZE     22u
#define LOCATOR_MARK 0x07064b50u
#define LOCATOR_SIZE 20u
#define END64_MARK   0x06064b50u
#define END64_SIZE   56u
#define TAIL         (END_SIZE + 65535u + LOCATOR_SIZE)

/** What the last bytes say; more than once, if need be. */
struct tail {
    struct archive_joined *j;
    uint8_t *data;
    size_t len;
    uint64_t off; /* in the archive */
};

static uint32_t le32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/** The ZIP64 record that the locator before `at` tells of. 1: found; 0: there is none; -errno. */
static int end64_read(const struct tail *t, size_t at, struct zip_end *e, enum archive_why *why)
{
    uint8_t rec[END64_SIZE];

    if (at < LOCATOR_SIZE || le32(t->data + at - LOCATOR_SIZE) != LOCATOR_MARK)
        return 0;
    struct cursor c = cursor_of(t->data + at - LOCATOR_SIZE + 4, LOCATOR_SIZE - 4);
    uint32_t disk = cursor_u32(&c);
    uint64_t off = cursor_u64(&c), locator = t->off + at - LOCATOR_SIZE;
    uint32_t disks = cursor_u32(&c);
    if (disk || disks > 1) {
        *why = ARCHIVE_UNKNOWN;
        return 1;
    }
    if (off > locator || locator - off < END64_SIZE)
        return 0;
    int err = archive_bytes_exact(&t->j->b, off, rec, sizeof(rec));
    if (err)
        return err;
    if (le32(rec) != END64_MARK)
        return 0;
    c = cursor_of(rec + 16, END64_SIZE - 16);
    if (cursor_u32(&c) || cursor_u32(&c))
        *why = ARCHIVE_UNKNOWN;
    cursor_skip(&c, 8); /* entries on this disk */
    e->at = off;
    e->entries = cursor_u64(&c);
    e->len = cursor_u64(&c);
    e->off = cursor_u64(&c);
    return 1;
}

/** Does the record at t->data[at] agree with where it is? 1: it does; 0: no; -errno. */
static int end_try(const struct tail *t, size_t at, struct zip_end *e, enum archive_why *why)
{
    struct cursor c = cursor_of(t->data + at + 4, END_SIZE - 4);
    unsigned disk = cursor_u16(&c), from = cursor_u16(&c), here = cursor_u16(&c);
    uint64_t stop;

    *why = ARCHIVE_OK;
    *e = (struct zip_end){.at = t->off + at};
    e->entries = cursor_u16(&c);
    e->len = cursor_u32(&c);
    e->off = cursor_u32(&c);
    if (at + END_SIZE + cursor_u16(&c) != t->len)
        return 0;
    if ((disk && disk != 0xffff) || (from && from != 0xffff)) {
        *why = ARCHIVE_UNKNOWN; /* a split one: what is here is not all of it */
        return 1;
    }
    if (e->entries == 0xffff || here == 0xffff || e->len == UINT32_MAX || e->off == UINT32_MAX) {
        int found = end64_read(t, at, e, why);
        if (found < 0 || *why)
            return found;
    }
    return add_u64(e->off, e->len, &stop) && stop <= e->at && (stop == e->at || e->entries);
}

/** The directory's first entry is where it is said to be. */
static int begins(const struct tail *t, const struct zip_end *e)
{
    uint8_t mark[4];

    if (!e->entries)
        return 1;
    if (e->len < sizeof(mark))
        return 0;
    int err = archive_bytes_exact(&t->j->b, e->off, mark, sizeof(mark));
    return err ? err : le32(mark) == 0x02014b50;
}

static bool is_reckoned(const struct archive_set *s)
{
    for (uint32_t v = 0; v < s->nvolumes; v++) {
        if (!s->volumes[v].read)
            return true;
    }
    return false;
}

static int search(const struct tail *t, struct zip_end *end, enum archive_why *why)
{
    const struct archive_set *s = t->j->set;
    unsigned tries = 0;

    for (size_t at = t->len; at-- > 0;) {
        if (t->len - at < END_SIZE || le32(t->data + at) != END_MARK)
            continue;
        int found = end_try(t, at, end, why);
        /* A gap before it may be a signature, or a size that was reckoned wrongly. */
        if (found > 0 && !*why && end->off + end->len != end->at && is_reckoned(s))
            return -ESTALE;
        if (found > 0 && !*why)
            found = begins(t, end);
        if (found)
            return found < 0 ? found : 0;
        if (++tries == 16) /* each may cost an article */
            break;
    }
    *why = s->nvolumes > 1 ? ARCHIVE_VOLUME_LACKS : ARCHIVE_DAMAGED;
    return is_reckoned(s) ? -ESTALE : 0;
}

int zip_end_find(struct archive_joined *j, struct zip_end *end, enum archive_why *why)
{
    struct tail t = {.j = j, .len = j->size < TAIL ? (size_t)j->size : TAIL};

    *why = ARCHIVE_OK;
    t.off = j->size - t.len;
    t.data = malloc(t.len ? t.len : 1);
    if (!t.data)
        return -ENOMEM;
    archive_bytes_want(&j->b, t.off, t.len);
    int err = archive_bytes_exact(&j->b, t.off, t.data, t.len);
    if (!err)
        err = search(&t, end, why);
    free(t.data);
    return err;
}
