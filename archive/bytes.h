/**
 * bytes — what a parser reads: a run of bytes of known length, somewhere.
 *
 * Bodies    A posted file, whose bytes have to be fetched; a file within an archive; plain memory (tests,
 *           fuzzers, the head of a volume that has just come).
 * Waiting   read() may wait for the network. want() never does: it says what will be read soon, so that
 *           articles of many volumes come at once and not one after the other.
 * Threads   One at a time for one `struct archive_bytes`.
 */
#ifndef ARCHIVE_BYTES_H
#define ARCHIVE_BYTES_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

struct archive_bytes;

struct archive_bytes_ops {
    /** The exact length. 0, or -errno (-EIO: its articles cannot be had). */
    int (*size)(struct archive_bytes *b, uint64_t *size);
    /** Up to `len` bytes at `off` into buf: fewer only at the end. -errno: -EIO, an article that holds some of
     *  them cannot be had; -EINTR, we are to stop; -ETIMEDOUT; -ENODATA, not here (memory that is only
     *  the beginning of something). */
    ssize_t (*read)(struct archive_bytes *b, uint64_t off, void *buf, size_t len);
    /** Hint: [off, off+len) will be read. NULL: nobody cares. */
    void (*want)(struct archive_bytes *b, uint64_t off, size_t len);
};

/** Embedded in its body. */
struct archive_bytes {
    const struct archive_bytes_ops *ops;
};

static inline int archive_bytes_size(struct archive_bytes *b, uint64_t *size)
{
    return b->ops->size(b, size);
}

static inline ssize_t archive_bytes_read(struct archive_bytes *b, uint64_t off, void *buf,
                                         size_t len)
{
    return b->ops->read(b, off, buf, len);
}

static inline void archive_bytes_want(struct archive_bytes *b, uint64_t off, size_t len)
{
    if (b->ops->want)
        b->ops->want(b, off, len);
}

/** Exactly `len` bytes: 0, or -errno; -ENODATA where the end comes first. */
int archive_bytes_exact(struct archive_bytes *b, uint64_t off, void *buf, size_t len);

/** The first `have` bytes of something `size` long. Set the fields and `b.ops`. Past `have`: -ENODATA. */
struct archive_memory {
    struct archive_bytes b;
    const void *data; /* lent */
    size_t have;
    uint64_t size;
};
extern const struct archive_bytes_ops archive_memory_ops;

#endif
