#include "tests/lib/par2maker.h"
#include "tests/lib/made_internal.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define HEAD_LEN  64
#define HEAD_16K  16384
#define SLICE_LEN 100000

struct described {
    uint8_t id[16], md5[16], md5_16k[16];
    const char *name;
    struct made_buf slices; /* MD5 and CRC-32 of each */
    uint64_t size;
};

struct par2 {
    const struct par2maker_options *o;
    const struct made *of;
    struct described *files;
    uint64_t slice;
    uint8_t set_id[16];
};

static void md5_of(const void *data, size_t len, uint8_t sum[16])
{
    if (!EVP_Digest(data, len, sum, NULL, EVP_md5(), NULL))
        made_die("OpenSSL makes no MD5");
}

static void describe(const struct par2 *p, uint32_t v)
{
    struct described *d = &p->files[v];
    uint8_t *all = made_volume_bytes(p->of, v), *slice = malloc((size_t)p->slice);
    struct made_buf b = {0};
    if (!slice)
        made_die("no memory");
    d->size = p->of->volumes[v].size;
    d->name = p->o->names ? p->o->names[v] : p->of->volumes[v].name;
    md5_of(all, (size_t)d->size, d->md5);
    md5_of(all, d->size < HEAD_16K ? (size_t)d->size : HEAD_16K, d->md5_16k);
    for (uint64_t off = 0; off < d->size; off += p->slice) {
        uint8_t sum[16];
        size_t n = d->size - off < p->slice ? (size_t)(d->size - off) : (size_t)p->slice;
        memcpy(slice, all + off, n);
        memset(slice + n, 0, (size_t)p->slice - n);
        md5_of(slice, (size_t)p->slice, sum);
        made_buf_put(&d->slices, sum, 16);
        made_buf_le(&d->slices, crc32(0, slice, (uInt)p->slice), 4);
    }
    made_buf_put(&b, d->md5_16k, 16);
    made_buf_le(&b, d->size, 8);
    made_buf_text(&b, d->name);
    md5_of(b.p, b.len, d->id);
    made_buf_fini(&b);
    free(slice);
    free(all);
}

/* File IDs are sorted as little-endian numbers. */
static int by_id(const void *a, const void *b)
{
    const struct described *x = a, *y = b;
    for (unsigned k = 16; k-- > 0;)
        if (x->id[k] != y->id[k])
            return x->id[k] < y->id[k] ? -1 : 1;
    return 0;
}

static void main_body(const struct par2 *p, struct made_buf *b)
{
    made_buf_le(b, p->slice, 8);
    made_buf_le(b, p->of->nvolumes, 4);
    for (uint32_t v = 0; v < p->of->nvolumes; v++)
        made_buf_put(b, p->files[v].id, 16);
}

/* The body is given up. */
static void packet_put(const struct par2 *p, const char *type, struct made_buf *body, bool broken,
                       struct made_buf *out)
{
    struct made_buf b = {0};
    uint8_t kind[16] = "PAR 2.0", sum[16];
    memcpy(kind + 8, type, strlen(type));
    while (body->len % 4)
        made_buf_le(body, 0, 1);
    made_buf_put(&b, p->set_id, 16);
    made_buf_put(&b, kind, 16);
    made_buf_put(&b, body->p, body->len);
    md5_of(b.p, b.len, sum);
    if (broken)
        sum[3] ^= 1;
    made_buf_put(out, "PAR2\0PKT", 8);
    made_buf_le(out, HEAD_LEN + body->len, 8);
    made_buf_put(out, sum, 16);
    made_buf_put(out, b.p, b.len);
    made_buf_fini(&b);
    made_buf_fini(body);
}

static void description_put(const struct par2 *p, const struct described *d, const char *name,
                            bool broken, struct made_buf *out)
{
    struct made_buf b = {0};
    made_buf_put(&b, d->id, 16);
    made_buf_put(&b, d->md5, 16);
    made_buf_put(&b, d->md5_16k, 16);
    made_buf_le(&b, d->size, 8);
    made_buf_text(&b, name);
    packet_put(p, "FileDesc", &b, broken, out);
}

/* What every PAR2 file of the set has. */
static void critical_put(const struct par2 *p, struct made_buf *out)
{
    struct made_buf b = {0};
    if (p->o->broken && p->of->nvolumes)
        description_put(p, &p->files[0], "a name that is wrong.bin", true, out);
    main_body(p, &b);
    packet_put(p, "Main", &b, false, out);
    for (uint32_t v = 0; v < p->of->nvolumes; v++) {
        description_put(p, &p->files[v], p->files[v].name, false, out);
        made_buf_put(&b, p->files[v].id, 16);
        made_buf_put(&b, p->files[v].slices.p, p->files[v].slices.len);
        packet_put(p, "IFSC", &b, false, out);
    }
}

static void creator_put(const struct par2 *p, struct made_buf *out)
{
    struct made_buf b = {0};
    made_buf_text(&b, "Created by the tests of nzbfs.");
    packet_put(p, "Creator", &b, false, out);
}

static void recovery_put(const struct par2 *p, uint32_t exponent, struct made_buf *out)
{
    struct made_buf b = {0};
    made_buf_le(&b, exponent, 4);
    made_buf_fill(&b, p->o->seed + exponent, (size_t)p->slice);
    packet_put(p, "RecvSlic", &b, false, out);
}

/* Index and recovery files: volume 0 has no slices, volume k has 2^(k-1). */
static void file_put(const struct par2 *p, struct made *m, uint32_t k)
{
    const char *base = p->o->base ? p->o->base : "set";
    struct made_buf b = {0};
    uint32_t first = k ? (1u << (k - 1)) - 1 : 0, n = k ? 1u << (k - 1) : 0;
    made_volume_add(m);
    /* Recovery slices come first, so that readers have to pass them to find descriptions. */
    for (uint32_t i = 0; i < n; i++)
        recovery_put(p, first + i, &b);
    critical_put(p, &b);
    creator_put(p, &b);
    made_put(m, b.p, b.len);
    made_buf_fini(&b);
    if (k == 0)
        made_volume_name(m, 0, "%s.par2", base);
    else
        made_volume_name(m, k, "%s.vol%" PRIu32 "+%" PRIu32 ".par2", base, first, n);
}

struct made *par2maker_make(const struct par2maker_options *o, const struct made *of)
{
    struct par2 p = {.o = o, .of = of, .slice = o->slice ? o->slice : SLICE_LEN};
    struct made *m = made_new(NULL, 0);
    struct made_buf body = {0};
    p.files = calloc((size_t)of->nvolumes + 1, sizeof(*p.files));
    if (!p.files)
        made_die("no memory");
    for (uint32_t v = 0; v < of->nvolumes; v++)
        describe(&p, v);
    qsort(p.files, of->nvolumes, sizeof(*p.files), by_id);
    main_body(&p, &body);
    md5_of(body.p, body.len, p.set_id);
    made_buf_fini(&body);
    for (uint32_t k = 0; k <= o->recovery; k++)
        file_put(&p, m, k);
    for (uint32_t v = 0; v < of->nvolumes; v++)
        made_buf_fini(&p.files[v].slices);
    free(p.files);
    return m;
}
