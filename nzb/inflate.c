#include "nzb/inflate.h"

#include <zlib.h>

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define OUT_SIZE     ((size_t)64 << 10)

/* Deflate reaches 1:1030. Real NZBs reach 1:10, those with made-up ids 1:100. */
#define INFLATE_FREE ((uint64_t)64 << 20)
#define RATIO_MOST   200

enum kind { UNKNOWN, PLAIN, GZIP };

struct inflate {
    int (*emit)(void *arg, const void *bytes, size_t len);
    void *arg;
    const char *error;
    enum kind kind;
    unsigned nhead;
    int member_done; /* between two gzip members, or behind the last */
    uint64_t in, out;
    unsigned char head[2];
    z_stream stream;
    unsigned char buf[OUT_SIZE];
};

struct inflate *inflate_new(int (*emit)(void *arg, const void *bytes, size_t len), void *arg)
{
    struct inflate *z = calloc(1, sizeof(*z));

    if (!z)
        return NULL;
    z->emit = emit;
    z->arg = arg;
    return z;
}

void inflate_free(struct inflate *z)
{
    if (!z)
        return;
    if (z->kind == GZIP)
        inflateEnd(&z->stream);
    free(z);
}

const char *inflate_error(const struct inflate *z)
{
    return z->error;
}

static int fail(struct inflate *z, const char *reason)
{
    z->error = reason;
    return -EINVAL;
}

/* One step of zlib: from next_in into buf, and on to emit. */
static int step(struct inflate *z)
{
    z->stream.next_out = z->buf;
    z->stream.avail_out = OUT_SIZE;
    unsigned before = z->stream.avail_in;
    int r = inflate(&z->stream, Z_NO_FLUSH);
    size_t n = OUT_SIZE - z->stream.avail_out;

    z->in += before - z->stream.avail_in;
    z->out += n;
    if (r == Z_MEM_ERROR)
        return -ENOMEM;
    if (r != Z_OK && r != Z_STREAM_END && r != Z_BUF_ERROR)
        return fail(z, "the gzip data is damaged");
    if (z->out > INFLATE_FREE && z->out / RATIO_MOST > z->in)
        return fail(z, "the gzip data grows more than two hundredfold: refused");
    z->member_done = r == Z_STREAM_END;
    return n ? z->emit(z->arg, z->buf, n) : 0;
}

static int unpack(struct inflate *z, const unsigned char *s, size_t len)
{
    while (len) {
        unsigned take = len < UINT_MAX ? (unsigned)len : UINT_MAX;
        z->stream.next_in = (unsigned char *)(uintptr_t)s; /* zlib only reads it */
        z->stream.avail_in = take;
        do {
            if (z->member_done) {
                if (*z->stream.next_in != 0x1f) /* padding behind the last member */
                    return 0;
                if (inflateReset(&z->stream) != Z_OK)
                    return fail(z, "the gzip data is damaged");
            }
            int r = step(z);
            if (r)
                return r;
        } while (z->stream.avail_in || (!z->stream.avail_out && !z->member_done));
        s += take;
        len -= take;
    }
    return 0;
}

static int pass(struct inflate *z, const unsigned char *s, size_t len)
{
    if (!len)
        return 0;
    return z->kind == GZIP ? unpack(z, s, len) : z->emit(z->arg, s, len);
}

/* The kind is known, or the input is shorter than it takes to know. */
static int decide(struct inflate *z)
{
    z->kind = PLAIN;
    if (z->nhead == 2 && z->head[0] == 0x1f && z->head[1] == 0x8b) {
        if (inflateInit2(&z->stream, 15 + 16) != Z_OK) /* with a gzip header */
            return -ENOMEM;
        z->kind = GZIP;
    }
    return pass(z, z->head, z->nhead);
}

int inflate_feed(struct inflate *z, const void *bytes, size_t len)
{
    const unsigned char *s = bytes;

    while (z->kind == UNKNOWN && len) {
        z->head[z->nhead++] = *s++;
        len--;
        int r = z->nhead == 2 ? decide(z) : 0;
        if (r)
            return r;
    }
    return pass(z, s, len);
}

int inflate_finish(struct inflate *z)
{
    int r = z->kind == UNKNOWN ? decide(z) : 0;

    if (!r && z->kind == GZIP && !z->member_done)
        return fail(z, "the gzip data is cut off");
    return r;
}
