/* bytes — memory as a thing to read, and reads that want all. */
#include "archive/bytes.h"

#include "base/list.h"

int archive_bytes_exact(struct archive_bytes *b, uint64_t off, void *buf, size_t len)
{
    uint8_t *p = buf;
    for (size_t got = 0; got < len;) {
        ssize_t n = archive_bytes_read(b, off + got, p + got, len - got);
        if (n < 0)
            return (int)n;
        if (n == 0)
            return -ENODATA;
        got += (size_t)n;
    }
    return 0;
}

static int memory_size(struct archive_bytes *b, uint64_t *size)
{
    *size = container_of(b, struct archive_memory, b)->size;
    return 0;
}

static ssize_t memory_read(struct archive_bytes *b, uint64_t off, void *buf, size_t len)
{
    const struct archive_memory *m = container_of(b, struct archive_memory, b);
    if (off >= m->size || len == 0)
        return 0;
    if (off >= m->have)
        return -ENODATA;
    if (len > m->have - off)
        len = m->have - (size_t)off;
    memcpy(buf, (const uint8_t *)m->data + off, len);
    return (ssize_t)len;
}

const struct archive_bytes_ops archive_memory_ops = {.size = memory_size, .read = memory_read};
