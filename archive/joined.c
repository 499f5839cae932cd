/* joined — volumes one after the other, as one run of bytes. */
#include "archive/joined.h"

#include "base/list.h"
#include "base/overflow.h"

/* An NZB's sizes are those of the encoded articles: equal volumes differ by what had to be escaped. */
#define ODD_SHARE 32

bool archive_is_stop(int err)
{
    return err == -EINTR || err == -ETIMEDOUT || err == -ENOMEM;
}

int archive_joined_failed(struct archive_set *s, int err)
{
    if (archive_is_stop(err))
        return err;
    s->why = err == -EOVERFLOW || err == -ENODATA ? ARCHIVE_DAMAGED : ARCHIVE_UNREADABLE;
    return 0;
}

/** The volume that holds `off`, which is below j->size. */
static uint32_t volume_of(const struct archive_joined *j, uint64_t off)
{
    uint32_t low = 0, high = j->set->nvolumes - 1;

    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (j->ends[mid] > off)
            high = mid;
        else
            low = mid + 1;
    }
    return low;
}

static uint64_t volume_begin(const struct archive_joined *j, uint32_t v)
{
    return v ? j->ends[v - 1] : 0;
}

static int joined_size(struct archive_bytes *b, uint64_t *size)
{
    *size = container_of(b, struct archive_joined, b)->size;
    return 0;
}

/* Its article comes for the read in any case: then its size costs nothing. */
static int volume_confirm(struct archive_volume *vol)
{
    uint64_t size = 0;
    if (vol->read)
        return 0;
    int err = archive_bytes_size(vol->bytes, &size);
    if (err)
        return err;
    if (size != vol->size)
        return -ESTALE;
    vol->read = true;
    return 0;
}

static ssize_t joined_read(struct archive_bytes *b, uint64_t off, void *buf, size_t len)
{
    const struct archive_joined *j = container_of(b, struct archive_joined, b);
    if (off >= j->size || !len)
        return 0;
    uint32_t v = volume_of(j, off);
    struct archive_volume *vol = &j->set->volumes[v];
    int err = volume_confirm(vol);
    if (err)
        return err;
    if (len > j->ends[v] - off)
        len = (size_t)(j->ends[v] - off);
    return archive_bytes_read(vol->bytes, off - volume_begin(j, v), buf, len);
}

static void joined_want(struct archive_bytes *b, uint64_t off, size_t len)
{
    const struct archive_joined *j = container_of(b, struct archive_joined, b);
    if (off >= j->size)
        return;
    for (uint32_t v = volume_of(j, off); len && v < j->set->nvolumes; v++) {
        size_t part = len < j->ends[v] - off ? len : (size_t)(j->ends[v] - off);
        if (part)
            archive_bytes_want(j->set->volumes[v].bytes, off - volume_begin(j, v), part);
        off += part;
        len -= part;
    }
}

static const struct archive_bytes_ops joined_ops = {
    .size = joined_size, .read = joined_read, .want = joined_want};

static bool is_odd(const struct archive_volume *first, const struct archive_volume *v)
{
    uint64_t a = first->guess, b = v->guess;

    return a && b && (a > b ? a - b : b - a) > a / ODD_SHARE;
}

static bool is_asked(const struct archive_set *s, uint32_t v)
{
    return !s->ordered || s->thorough || v == 0 || v == s->nvolumes - 1 ||
           is_odd(&s->volumes[0], &s->volumes[v]);
}

static int add_up(struct archive_joined *j)
{
    uint64_t sum = 0;

    for (uint32_t v = 0; v < j->set->nvolumes; v++) {
        if (!add_u64(sum, j->set->volumes[v].size, &sum))
            return -EOVERFLOW;
        j->ends[v] = sum;
    }
    j->size = sum;
    return 0;
}

int archive_joined_init(struct archive_joined *j, const struct archive_set *s)
{
    struct archive_volume *vols = s->volumes;

    *j = (struct archive_joined){.b.ops = &joined_ops, .set = s};
    if (!s->nvolumes)
        return 0;
    j->ends = arena_array(s->arena, uint64_t, s->nvolumes);
    if (!j->ends)
        return -ENOMEM;
    for (uint32_t v = 0; v < s->nvolumes; v++) {
        if (is_asked(s, v))
            archive_bytes_want(vols[v].bytes, 0, 1);
    }
    for (uint32_t v = 0; v < s->nvolumes; v++) {
        vols[v].head = 0;
        vols[v].read = is_asked(s, v);
        vols[v].size = vols[0].size;
        int err = vols[v].read ? archive_bytes_size(vols[v].bytes, &vols[v].size) : 0;
        if (err)
            return err;
    }
    return add_up(j);
}

int archive_joined_measure(struct archive_joined *j)
{
    const struct archive_set *s = j->set;
    int asked = 0;

    for (uint32_t v = 0; v < s->nvolumes; v++) {
        if (!s->volumes[v].read)
            archive_bytes_want(s->volumes[v].bytes, 0, 1);
    }
    for (uint32_t v = 0; v < s->nvolumes; v++) {
        uint64_t size = 0;
        if (s->volumes[v].read)
            continue;
        int err = archive_bytes_size(s->volumes[v].bytes, &size);
        if (err)
            return err;
        asked = 1;
        s->volumes[v].size = size;
        s->volumes[v].read = true;
    }
    int err = add_up(j);
    return err ? err : asked;
}

int archive_joined_pieces(const struct archive_joined *j, struct arena *a, uint64_t off,
                          uint64_t len, const struct archive_piece **pieces, uint32_t *n)
{
    *pieces = NULL;
    *n = 0;
    if (off > j->size || len > j->size - off)
        return -EINVAL;
    if (!len)
        return 0;
    uint32_t first = volume_of(j, off), last = volume_of(j, off + len - 1);
    struct archive_piece *p = arena_array(a, struct archive_piece, last - first + 1);
    if (!p)
        return -ENOMEM;
    *pieces = p;
    for (uint32_t v = first; v <= last; v++) {
        uint64_t part = len < j->ends[v] - off ? len : j->ends[v] - off;
        if (!part)
            continue;
        *p++ = (struct archive_piece){.off = off - volume_begin(j, v),
                                      .len = part,
                                      .volume = v,
                                      .computed = !j->set->volumes[v].read};
        off += part;
        len -= part;
    }
    *n = (uint32_t)(p - *pieces);
    return 0;
}

static void swap(struct archive_volume *a, struct archive_volume *b)
{
    struct archive_volume t = *a;
    *a = *b;
    *b = t;
}

/** Bring the one that begins with the archive to the front. */
static int first_find(struct archive_set *s, bool (*is)(const uint8_t *head, size_t len))
{
    for (uint32_t v = 0; v < s->nvolumes; v++)
        archive_bytes_want(s->volumes[v].bytes, 0, 32);
    for (uint32_t v = 0; v < s->nvolumes; v++) {
        uint8_t head[32];
        ssize_t got = archive_bytes_read(s->volumes[v].bytes, 0, head, sizeof(head));
        if (archive_is_stop((int)got))
            return (int)got;
        if (got > 0 && is(head, (size_t)got)) {
            swap(&s->volumes[0], &s->volumes[v]);
            return 0;
        }
    }
    return 0;
}

int archive_joined_order(struct archive_set *s, bool (*is)(const uint8_t *head, size_t len),
                         bool *told)
{
    *told = s->nvolumes <= 3;
    if (s->ordered || s->nvolumes < 2) {
        *told = true;
        return 0;
    }
    if (!*told)
        return 0;
    int err = first_find(s, is);
    if (err || s->nvolumes == 2)
        return err;
    uint64_t a = 0, b = 0;
    err = archive_bytes_size(s->volumes[1].bytes, &a);
    if (!err)
        err = archive_bytes_size(s->volumes[2].bytes, &b);
    if (err) {
        *told = false;
        return archive_is_stop(err) ? err : 0;
    }
    if (a < b)
        swap(&s->volumes[1], &s->volumes[2]);
    *told = a != b;
    return 0;
}
