#include "tests/lib/made_source.h"
#include "tests/lib/made_internal.h"

#include <stdlib.h>

#define PART_SIZE 700000

static struct made_source *source_of(struct archive_bytes *b)
{
    return (struct made_source *)b;
}

static uint64_t size_of(const struct made_source *s)
{
    return s->m->volumes[s->volume].size;
}

static int size(struct archive_bytes *b, uint64_t *out)
{
    struct made_source *s = source_of(b);
    if (s->size_error)
        return s->size_error;
    *out = size_of(s);
    return 0;
}

static void see(struct made_source *s, uint64_t off, size_t len, uint8_t how)
{
    for (uint64_t p = off / s->part_size; len && p <= (off + len - 1) / s->part_size; p++) {
        if (how == 2 && !(s->seen[p] & 2)) {
            s->nparts++;
            s->nunwanted += !(s->seen[p] & 1);
        }
        s->seen[p] |= how;
    }
}

static ssize_t read_at(struct archive_bytes *b, uint64_t off, void *buf, size_t len)
{
    struct made_source *s = source_of(b);
    uint64_t all = size_of(s);
    s->nreads++;
    if (off >= all)
        return 0;
    if (len > all - off)
        len = (size_t)(all - off);
    if (s->hole_len && off < s->hole_off + s->hole_len && s->hole_off < off + len)
        return -EIO;
    see(s, off, len, 2);
    s->nbytes += len;
    return (ssize_t)made_read(s->m, s->volume, off, buf, len);
}

static void want(struct archive_bytes *b, uint64_t off, size_t len)
{
    struct made_source *s = source_of(b);
    uint64_t all = size_of(s);
    s->nwants++;
    if (off < all)
        see(s, off, len > all - off ? (size_t)(all - off) : len, 1);
}

static const struct archive_bytes_ops ops = {.size = size, .read = read_at, .want = want};

void made_source_init(struct made_source *s, const struct made *m, uint32_t volume,
                      uint32_t part_size)
{
    *s = (struct made_source){
        .b.ops = &ops, .m = m, .volume = volume, .part_size = part_size ? part_size : PART_SIZE};
    s->seen = calloc((size_t)(size_of(s) / s->part_size) + 1, 1);
    if (!s->seen)
        made_die("no memory");
}

void made_source_fini(struct made_source *s)
{
    free(s->seen);
    s->seen = NULL;
}

struct made_source *made_sources_new(const struct made *m, uint32_t part_size)
{
    struct made_source *s = calloc((size_t)m->nvolumes + 1, sizeof(*s));
    if (!s)
        made_die("no memory");
    for (uint32_t v = 0; v < m->nvolumes; v++)
        made_source_init(&s[v], m, v, part_size);
    return s;
}

void made_sources_free(struct made_source *s, uint32_t n)
{
    for (uint32_t v = 0; s && v < n; v++)
        made_source_fini(&s[v]);
    free(s);
}
