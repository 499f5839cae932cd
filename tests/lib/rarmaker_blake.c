/* BLAKE2sp: eight BLAKE2s leaves that take 64 bytes in turn, and a root over their digests. RFC 7693 for BLAKE2s; the
 * tree's parameters are those of the BLAKE2 paper, section 2.10. */
#include "tests/lib/rarmaker_internal.h"

#include <string.h>

#define LEAVES 8u
#define BLOCK  64u

struct blake {
    uint32_t h[8];
    uint64_t len;
    uint8_t in[BLOCK];
    size_t have;
    bool last;
};

static const uint32_t start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                  0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

static const uint8_t order[10][16] = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
                                      {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
                                      {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
                                      {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
                                      {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
                                      {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
                                      {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
                                      {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
                                      {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
                                      {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0}};

static void init(struct blake *b, uint32_t offset, uint32_t depth, bool last)
{
    *b = (struct blake){.last = last};
    memcpy(b->h, start, sizeof(start));
    b->h[0] ^= 32u | LEAVES << 16 | 2u << 24; /* digest length, fanout, depth */
    b->h[2] ^= offset;
    b->h[3] ^= depth << 16 | 32u << 24; /* node depth, inner length */
}

static uint32_t rotate(uint32_t v, unsigned by)
{
    return v >> by | v << (32 - by);
}

static void mix(uint32_t *v, const unsigned at[4], uint32_t x, uint32_t y)
{
    uint32_t *a = &v[at[0]], *b = &v[at[1]], *c = &v[at[2]], *d = &v[at[3]];
    *a += *b + x;
    *d = rotate(*d ^ *a, 16);
    *c += *d;
    *b = rotate(*b ^ *c, 12);
    *a += *b + y;
    *d = rotate(*d ^ *a, 8);
    *c += *d;
    *b = rotate(*b ^ *c, 7);
}

static void compress(struct blake *b, bool final)
{
    static const unsigned at[8][4] = {{0, 4, 8, 12},  {1, 5, 9, 13},  {2, 6, 10, 14},
                                      {3, 7, 11, 15}, {0, 5, 10, 15}, {1, 6, 11, 12},
                                      {2, 7, 8, 13},  {3, 4, 9, 14}};
    uint32_t v[16], m[16];
    for (unsigned i = 0; i < 16; i++)
        m[i] = (uint32_t)b->in[4 * i] | (uint32_t)b->in[4 * i + 1] << 8 |
               (uint32_t)b->in[4 * i + 2] << 16 | (uint32_t)b->in[4 * i + 3] << 24;
    memcpy(v, b->h, sizeof(b->h));
    memcpy(v + 8, start, sizeof(start));
    v[12] ^= (uint32_t)b->len;
    v[13] ^= (uint32_t)(b->len >> 32);
    if (final)
        v[14] = ~v[14];
    if (final && b->last)
        v[15] = ~v[15];
    for (unsigned round = 0; round < 10; round++)
        for (unsigned i = 0; i < 8; i++)
            mix(v, at[i], m[order[round][2 * i]], m[order[round][2 * i + 1]]);
    for (unsigned i = 0; i < 8; i++)
        b->h[i] ^= v[i] ^ v[i + 8];
}

static void update(struct blake *b, const uint8_t *in, size_t len)
{
    while (len > 0) {
        /* A full block waits: it may be the last one. */
        if (b->have == BLOCK) {
            b->len += BLOCK;
            compress(b, false);
            b->have = 0;
        }
        size_t n = BLOCK - b->have < len ? BLOCK - b->have : len;
        memcpy(b->in + b->have, in, n);
        b->have += n;
        in += n;
        len -= n;
    }
}

static void finish(struct blake *b, uint8_t digest[32])
{
    b->len += b->have;
    memset(b->in + b->have, 0, BLOCK - b->have);
    compress(b, true);
    for (unsigned i = 0; i < 32; i++)
        digest[i] = (uint8_t)(b->h[i / 4] >> (8 * (i % 4)));
}

void rarmaker_blake2sp(const struct made *m, uint32_t file, bool stream, uint64_t at, uint64_t len,
                       uint8_t sum[32])
{
    struct blake leaves[LEAVES], root;
    uint8_t some[BLOCK], digest[32];
    for (uint32_t i = 0; i < LEAVES; i++)
        init(&leaves[i], i, 0, i == LEAVES - 1);
    for (uint64_t done = 0; done < len;) {
        size_t n = len - done < BLOCK ? (size_t)(len - done) : BLOCK;
        if (stream && m->texts[file])
            memcpy(some, m->texts[file] + at + done, n);
        else
            made_content(&m->files[file], at + done, some, n);
        update(&leaves[done / BLOCK % LEAVES], some, n);
        done += n;
    }
    init(&root, 0, 1, true);
    for (unsigned i = 0; i < LEAVES; i++) {
        finish(&leaves[i], digest);
        update(&root, digest, sizeof(digest));
    }
    finish(&root, sum);
}
