#include "tests/lib/made_internal.h"

#include <assert.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define CHUNK ((size_t)65536)

_Noreturn void made_die(const char *what)
{
    fprintf(stderr, "made: %s\n", what);
    exit(70);
}

static void *grow(void *old, size_t n, size_t size)
{
    /* To powers of two, each time their end is reached. */
    if (n && (n & (n - 1)))
        return old;
    void *p = reallocarray(old, n ? n * 2 : 1, size);
    if (!p)
        made_die("no memory");
    return p;
}

static char *copy_of(const char *s)
{
    char *p = s ? strdup(s) : NULL;
    if (s && !p)
        made_die("no memory");
    return p;
}

/* ---- bytes ---- */

void made_buf_put(struct made_buf *b, const void *data, size_t len)
{
    if (b->room - b->len < len) {
        b->room = (b->len + len) * 2;
        b->p = realloc(b->p, b->room);
        if (!b->p)
            made_die("no memory");
    }
    if (len)
        memcpy(b->p + b->len, data, len);
    b->len += len;
}

void made_buf_le(struct made_buf *b, uint64_t v, unsigned n)
{
    for (unsigned k = 0; k < n; k++) {
        uint8_t byte = (uint8_t)(v >> (8 * k));
        made_buf_put(b, &byte, 1);
    }
}

void made_buf_text(struct made_buf *b, const char *s)
{
    made_buf_put(b, s, strlen(s));
}

unsigned made_vint_width(uint64_t v)
{
    unsigned n = 1;
    while (v >>= 7)
        n++;
    return n;
}

void made_buf_vint(struct made_buf *b, uint64_t v, unsigned width)
{
    unsigned n = made_vint_width(v);
    n = n < width ? width : n;
    for (unsigned k = 1; k <= n; k++, v >>= 7)
        made_buf_le(b, (v & 0x7f) | (k < n ? 0x80 : 0), 1);
}

void made_buf_fill(struct made_buf *b, uint64_t seed, size_t len)
{
    uint8_t some[64];
    for (size_t off = 0; off < len; off += sizeof(some)) {
        size_t n = len - off < sizeof(some) ? len - off : sizeof(some);
        made_generate(seed, off, some, n);
        made_buf_put(b, some, n);
    }
}

void made_buf_fini(struct made_buf *b)
{
    free(b->p);
    *b = (struct made_buf){0};
}

/* ---- content ---- */

static uint64_t word_at(uint64_t seed, uint64_t index)
{
    uint64_t z = (seed ^ 0x6a09e667f3bcc909u) * 0xd1342543de82ef95u;
    z += (index + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void made_generate(uint64_t seed, uint64_t off, void *out, size_t len)
{
    uint8_t *o = out;
    while (len > 0) {
        uint64_t w = word_at(seed, off / 8);
        size_t skip = (size_t)(off % 8), n = 8 - skip < len ? 8 - skip : len;
        for (size_t k = 0; k < n; k++)
            o[k] = (uint8_t)(w >> (8 * (skip + k)));
        o += n;
        off += n;
        len -= n;
    }
}

void made_content(const struct made_file *f, uint64_t off, void *out, size_t len)
{
    assert(off <= f->len && len <= f->len - off);
    if (f->data && len)
        memcpy(out, (const uint8_t *)f->data + off, len);
    else
        made_generate(f->seed, off, out, len);
}

static void stream_read(const struct made *m, uint32_t file, uint64_t at, void *out, size_t len)
{
    if (m->texts[file])
        memcpy(out, m->texts[file] + at, len);
    else
        made_content(&m->files[file], at, out, len);
}

uint64_t made_stream_len(const struct made *m, uint32_t file)
{
    const struct made_file *f = &m->files[file];
    return m->texts[file] ? (f->len + 15) / 16 * 16 : f->len;
}

uint32_t made_stream_crc(const struct made *m, uint32_t file, uint64_t at, uint64_t len)
{
    uint8_t some[4096];
    uint32_t crc = 0;
    for (uint64_t end = at + len; at < end;) {
        size_t n = end - at < sizeof(some) ? (size_t)(end - at) : sizeof(some);
        stream_read(m, file, at, some, n);
        crc = (uint32_t)crc32(crc, some, (uInt)n);
        at += n;
    }
    return crc;
}

uint32_t made_file_crc(const struct made *m, uint32_t file)
{
    const struct made_file *f = &m->files[file];
    uint8_t some[4096];
    uint32_t crc = 0;
    for (uint64_t at = 0; at < f->len;) {
        size_t n = f->len - at < sizeof(some) ? (size_t)(f->len - at) : sizeof(some);
        made_content(f, at, some, n);
        crc = (uint32_t)crc32(crc, some, (uInt)n);
        at += n;
    }
    return crc;
}

uint32_t made_volume_crc(const struct made *m)
{
    uint32_t v = m->nvolumes - 1, crc = 0;
    uint8_t some[4096];
    for (uint64_t off = 0; off < m->volumes[v].size;) {
        size_t n = made_read(m, v, off, some, sizeof(some));
        crc = (uint32_t)crc32(crc, some, (uInt)n);
        off += n;
    }
    return crc;
}

/* ---- ciphers ---- */

void made_cbc(unsigned bits, const uint8_t *key, const uint8_t *iv, uint8_t *text, size_t len)
{
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    bool good = c && EVP_EncryptInit_ex(c, bits == 128 ? EVP_aes_128_cbc() : EVP_aes_256_cbc(),
                                        NULL, key, iv);
    if (good)
        EVP_CIPHER_CTX_set_padding(c, 0);
    for (size_t off = 0; good && off < len; off += CHUNK) {
        size_t part = len - off < CHUNK ? len - off : CHUNK;
        int n = 0;
        good = EVP_EncryptUpdate(c, text + off, &n, text + off, (int)part) && n == (int)part;
    }
    EVP_CIPHER_CTX_free(c);
    if (!good)
        made_die("OpenSSL does not encrypt");
}

void made_encrypt(struct made *m, uint32_t file, unsigned bits, const uint8_t *key,
                  const uint8_t *iv)
{
    const struct made_file *f = &m->files[file];
    size_t len = (size_t)(f->len + 15) / 16 * 16;
    uint8_t *text = calloc(len + 1, 1);
    if (!text)
        made_die("no memory");
    made_content(f, 0, text, (size_t)f->len);
    made_cbc(bits, key, iv, text, len);
    free(m->texts[file]);
    m->texts[file] = text;
}

/* ---- volumes ---- */

struct made *made_new(const struct made_file *files, uint32_t n)
{
    struct made *m = calloc(1, sizeof(*m));
    if (m) {
        m->files = calloc((size_t)n + 1, sizeof(*m->files));
        m->texts = calloc((size_t)n + 1, sizeof(*m->texts));
    }
    if (!m || !m->files || !m->texts)
        made_die("no memory");
    m->nfiles = n;
    for (uint32_t i = 0; i < n; i++) {
        m->files[i] = files[i];
        m->files[i].name = copy_of(files[i].name);
        m->files[i].link = copy_of(files[i].link);
    }
    return m;
}

static void volume_fini(struct made_volume *v)
{
    for (uint32_t s = 0; s < v->nspans; s++)
        if (!v->spans[s].lent)
            free(v->spans[s].bytes);
    free(v->spans);
    free(v->name);
}

void made_free(struct made *m)
{
    if (!m)
        return;
    for (uint32_t i = 0; i < m->nfiles; i++) {
        free((void *)(uintptr_t)m->files[i].name);
        free((void *)(uintptr_t)m->files[i].link);
        free(m->texts[i]);
    }
    for (uint32_t v = 0; v < m->nvolumes; v++)
        volume_fini(&m->volumes[v]);
    free(m->volumes);
    free(m->pieces);
    free(m->files);
    free(m->texts);
    free(m);
}

uint32_t made_volume_add(struct made *m)
{
    m->volumes = grow(m->volumes, m->nvolumes, sizeof(*m->volumes));
    m->volumes[m->nvolumes] = (struct made_volume){0};
    return m->nvolumes++;
}

static void span_add(struct made_volume *v, struct made_span s)
{
    v->spans = grow(v->spans, v->nspans, sizeof(*v->spans));
    s.off = v->size;
    v->spans[v->nspans++] = s;
    v->size += s.len;
}

void made_put(struct made *m, const void *bytes, size_t len)
{
    if (len == 0)
        return;
    uint8_t *own = malloc(len);
    if (!own)
        made_die("no memory");
    memcpy(own, bytes, len);
    span_add(&m->volumes[m->nvolumes - 1], (struct made_span){.len = len, .bytes = own});
}

static void piece_add(struct made *m, struct made_piece p)
{
    m->pieces = grow(m->pieces, m->npieces, sizeof(*m->pieces));
    m->pieces[m->npieces++] = p;
}

void made_put_file(struct made *m, uint32_t file, uint64_t at, uint64_t len)
{
    struct made_volume *v = &m->volumes[m->nvolumes - 1];
    if (len == 0)
        return;
    piece_add(m,
              (struct made_piece){
                  .file = file, .volume = m->nvolumes - 1, .at = at, .off = v->size, .len = len});
    uint8_t *text = m->texts[file];
    span_add(v, (struct made_span){.len = len,
                                   .bytes = text ? text + at : NULL,
                                   .lent = text != NULL,
                                   .at = at,
                                   .file = file});
}

void made_volume_name(struct made *m, uint32_t volume, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    free(m->volumes[volume].name);
    if (vasprintf(&m->volumes[volume].name, fmt, ap) < 0)
        made_die("no memory");
    va_end(ap);
}

struct made *made_plain(const struct made_file *files, uint32_t n)
{
    struct made *m = made_new(files, n);
    for (uint32_t i = 0; i < n; i++) {
        const char *slash = strrchr(files[i].name, '/');
        if (files[i].dir)
            continue;
        uint32_t v = made_volume_add(m);
        made_put_file(m, i, 0, files[i].len);
        made_volume_name(m, v, "%s", slash ? slash + 1 : files[i].name);
    }
    return m;
}

/* The last span that begins at or before `off`. */
static uint32_t span_at(const struct made_volume *v, uint64_t off)
{
    uint32_t low = 0, high = v->nspans;
    while (high - low > 1) {
        uint32_t mid = low + (high - low) / 2;
        if (v->spans[mid].off <= off)
            low = mid;
        else
            high = mid;
    }
    return low;
}

size_t made_read(const struct made *m, uint32_t volume, uint64_t off, void *out, size_t len)
{
    const struct made_volume *v = &m->volumes[volume];
    uint8_t *o = out;
    size_t done = 0;
    if (off >= v->size)
        return 0;
    if (len > v->size - off)
        len = (size_t)(v->size - off);
    for (uint32_t s = span_at(v, off); done < len; s++) {
        const struct made_span *sp = &v->spans[s];
        uint64_t from = off + done - sp->off;
        size_t n = sp->len - from < len - done ? (size_t)(sp->len - from) : len - done;
        if (sp->bytes)
            memcpy(o + done, sp->bytes + from, n);
        else
            made_content(&m->files[sp->file], sp->at + from, o + done, n);
        done += n;
    }
    return len;
}

uint8_t *made_volume_bytes(const struct made *m, uint32_t volume)
{
    size_t len = (size_t)m->volumes[volume].size;
    uint8_t *all = malloc(len + 1);
    if (!all)
        made_die("no memory");
    made_read(m, volume, 0, all, len);
    return all;
}

uint32_t made_volume_named(const struct made *m, const char *name)
{
    for (uint32_t v = 0; v < m->nvolumes; v++)
        if (strcmp(m->volumes[v].name, name) == 0)
            return v;
    return UINT32_MAX;
}

/* ---- what is done to them afterwards ---- */

void made_obfuscate(struct made *m, uint64_t seed)
{
    for (uint32_t v = 0; v < m->nvolumes; v++)
        made_volume_name(m, v, "%016" PRIx64 "%016" PRIx64, word_at(seed, 2 * (uint64_t)v),
                         word_at(seed, 2 * (uint64_t)v + 1));
}

void made_shuffle(struct made *m, uint64_t seed)
{
    uint32_t *to = calloc((size_t)m->nvolumes + 1, sizeof(*to));
    struct made_volume *old = calloc((size_t)m->nvolumes + 1, sizeof(*old));
    if (!to || !old)
        made_die("no memory");
    for (uint32_t v = 0; v < m->nvolumes; v++) {
        /* Fisher and Yates, from the inside out. */
        uint32_t k = (uint32_t)(word_at(seed, v) % (v + 1));
        to[v] = to[k];
        to[k] = v;
        old[v] = m->volumes[v];
    }
    for (uint32_t v = 0; v < m->nvolumes; v++)
        m->volumes[to[v]] = old[v];
    for (uint32_t p = 0; p < m->npieces; p++)
        m->pieces[p].volume = to[m->pieces[p].volume];
    free(to);
    free(old);
}

/* [off, off+len) of `v`, which is given up with its spans, to the last volume of `m`. */
static void span_move(struct made *m, const struct made_span *s, uint64_t from, uint64_t len)
{
    struct made_span part = *s;
    part.at += from;
    part.len = len;
    if (s->bytes && !s->lent)
        made_put(m, s->bytes + from, (size_t)len);
    else {
        part.bytes = s->bytes ? s->bytes + from : NULL;
        span_add(&m->volumes[m->nvolumes - 1], part);
    }
}

/* Where pieces are, found again from where they were in all volumes joined. */
static void pieces_cut(struct made *m, const uint64_t *begins, uint64_t size)
{
    struct made_piece *old = m->pieces;
    uint32_t n = m->npieces;
    m->pieces = NULL;
    m->npieces = 0;
    for (uint32_t p = 0; p < n; p++) {
        uint64_t off = begins[old[p].volume] + old[p].off;
        for (uint64_t done = 0; done < old[p].len;) {
            uint64_t in = (off + done) % size, left = old[p].len - done;
            uint64_t len = size - in < left ? size - in : left;
            piece_add(m, (struct made_piece){.file = old[p].file,
                                             .volume = (uint32_t)((off + done) / size),
                                             .at = old[p].at + done,
                                             .off = in,
                                             .len = len});
            done += len;
        }
    }
    free(old);
}

void made_cut(struct made *m, uint64_t size)
{
    struct made_volume *old = m->volumes;
    uint32_t n = m->nvolumes;
    uint64_t *begins = calloc((size_t)n + 1, sizeof(*begins)), left = 0;
    char *name = copy_of(old[0].name);
    if (!begins || !name)
        made_die("no memory");
    m->volumes = NULL;
    m->nvolumes = 0;
    for (uint32_t v = 0; v < n; v++) {
        begins[v + 1] = begins[v] + old[v].size;
        for (uint32_t s = 0; s < old[v].nspans; s++)
            for (uint64_t done = 0; done < old[v].spans[s].len;) {
                if (left == 0) {
                    made_volume_add(m);
                    left = size;
                }
                uint64_t len = old[v].spans[s].len - done;
                len = len < left ? len : left;
                span_move(m, &old[v].spans[s], done, len);
                done += len;
                left -= len;
            }
        volume_fini(&old[v]);
    }
    pieces_cut(m, begins, size);
    for (uint32_t v = 0; v < m->nvolumes; v++)
        made_volume_name(m, v, "%s.%03" PRIu32, name, v + 1);
    free(old);
    free(begins);
    free(name);
}
