/* RAR 1.5 to 4: technote.txt of unrar. */
#include "tests/lib/rarmaker_internal.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>

enum { MAIN = 0x73, FILE_HEADER = 0x74, COMMENT = 0x75, PROTECT = 0x78, NEWSUB = 0x7a, END = 0x7b };

#define LONG_BLOCK   0x8000u
#define SKIP_UNKNOWN 0x4000u

enum {
    M_VOLUME = 0x0001,
    M_COMMENT = 0x0002,
    M_SOLID = 0x0008,
    M_NEW_NUMBERING = 0x0010,
    M_PROTECT = 0x0040,
    M_PASSWORD = 0x0080,
    M_FIRST = 0x0100,
};

enum {
    F_BEFORE = 0x0001,
    F_AFTER = 0x0002,
    F_PASSWORD = 0x0004,
    F_SOLID = 0x0010,
    F_DIR = 0x00e0,
    F_LARGE = 0x0100,
    F_UNICODE = 0x0200,
    F_SALT = 0x0400,
    F_EXT_TIME = 0x1000,
};

#define KDF_ROUNDS  0x40000u
#define NAME_CHARS  1024
#define HEADER_SALT 8

/* ---- keys ---- */

/* UTF-16, little-endian. Returns the number of units. */
static size_t utf16_of(const char *s, uint16_t *out, size_t room)
{
    size_t n = 0;
    while (*s) {
        const uint8_t *u = (const uint8_t *)s;
        unsigned more = *u < 0x80 ? 0 : *u < 0xe0 ? 1 : *u < 0xf0 ? 2 : 3;
        uint32_t c = more == 0 ? *u : *u & (0x3fu >> more);
        for (unsigned k = 1; k <= more; k++) {
            if ((u[k] & 0xc0) != 0x80)
                made_die("a name or password is not UTF-8");
            c = c << 6 | (u[k] & 0x3f);
        }
        if (n + 2 > room)
            made_die("a name or password is too long");
        if (c >= 0x10000) {
            out[n++] = (uint16_t)(0xd800 + ((c - 0x10000) >> 10));
            out[n++] = (uint16_t)(0xdc00 + ((c - 0x10000) & 0x3ff));
        } else
            out[n++] = (uint16_t)c;
        s += more + 1;
    }
    return n;
}

static void digest_at(const EVP_MD_CTX *c, EVP_MD_CTX *copy, uint8_t digest[20])
{
    unsigned n;
    if (!EVP_MD_CTX_copy_ex(copy, c) || !EVP_DigestFinal_ex(copy, digest, &n))
        made_die("OpenSSL makes no SHA-1");
}

static void key_make(const struct rarmaker_options *o, struct rarmaker_key *k)
{
    uint16_t wide[NAME_CHARS];
    uint8_t in[NAME_CHARS * 2 + 8 + 3], digest[20];
    size_t n = utf16_of(o->password, wide, NAME_CHARS), len = 0;
    for (size_t i = 0; i < n; i++) {
        in[len++] = (uint8_t)wide[i];
        in[len++] = (uint8_t)(wide[i] >> 8);
    }
    memcpy(in + len, k->salt, 8);
    len += 8;
    EVP_MD_CTX *c = EVP_MD_CTX_new(), *copy = EVP_MD_CTX_new();
    if (!c || !copy || !EVP_DigestInit_ex(c, EVP_sha1(), NULL))
        made_die("OpenSSL makes no SHA-1");
    for (uint32_t i = 0; i < KDF_ROUNDS; i++) {
        in[len] = (uint8_t)i;
        in[len + 1] = (uint8_t)(i >> 8);
        in[len + 2] = (uint8_t)(i >> 16);
        EVP_DigestUpdate(c, in, len + 3);
        if (i % (KDF_ROUNDS / 16) == 0) {
            digest_at(c, copy, digest);
            k->iv[i / (KDF_ROUNDS / 16)] = digest[19];
        }
    }
    digest_at(c, copy, digest);
    /* Its first four words, in the other byte order. */
    for (unsigned i = 0; i < 16; i++)
        k->key[i] = digest[i / 4 * 4 + 3 - i % 4];
    EVP_MD_CTX_free(c);
    EVP_MD_CTX_free(copy);
}

/* ---- names ---- */

/* Runs of characters that the plain name has at the same place are copied from there; others are one byte, one byte
 * with the high byte that most have, or two. */
static void name_encode(struct made_buf *b, const char *plain, const uint16_t *wide, size_t n)
{
    uint8_t high = 0, flags = 0, codes[4 * 3];
    unsigned ncodes = 0;
    size_t len = 0;
    for (size_t i = 0; i < n && !high; i++)
        high = (uint8_t)(wide[i] >> 8);
    made_buf_le(b, high, 1);
    for (size_t i = 0; i < n;) {
        size_t run = 0;
        while (i + run < n && run < 129 && wide[i + run] == (uint8_t)plain[i + run])
            run++;
        unsigned how = run >= 2 ? 3 : wide[i] < 256 ? 0 : wide[i] >> 8 == high ? 1 : 2;
        codes[len++] = how == 3 ? (uint8_t)(run - 2) : (uint8_t)wide[i];
        if (how == 2)
            codes[len++] = (uint8_t)(wide[i] >> 8);
        i += how == 3 ? run : 1;
        flags = (uint8_t)(flags | how << (6 - 2 * ncodes));
        if (++ncodes == 4 || i == n) {
            made_buf_le(b, flags, 1);
            made_buf_put(b, codes, len);
            flags = 0;
            ncodes = 0;
            len = 0;
        }
    }
}

/* Paths have '\\', also where they come from Unix. Returns whether the flag for Unicode is set. */
static bool name_make(const struct rarmaker *r, const char *name, struct made_buf *b)
{
    uint16_t wide[NAME_CHARS];
    char plain[NAME_CHARS + 1];
    size_t n = utf16_of(name, wide, NAME_CHARS);
    bool other = false;
    for (size_t i = 0; i < n; i++) {
        if (wide[i] == '/')
            wide[i] = '\\';
        other = other || wide[i] >= 128;
        plain[i] = wide[i] < 128 ? (char)wide[i] : '_';
    }
    plain[n] = '\0';
    if (other && r->o->utf8_names) {
        for (const char *c = name; *c; c++)
            made_buf_put(b, *c == '/' ? "\\" : c, 1);
        return true;
    }
    made_buf_put(b, plain, n);
    if (other) {
        made_buf_le(b, 0, 1);
        name_encode(b, plain, wide, n);
    }
    return other;
}

/* ---- times ---- */

static uint32_t dos_time(int64_t s)
{
    time_t when = (time_t)s;
    struct tm t;
    if (!gmtime_r(&when, &t) || t.tm_year < 80)
        return 0x00210000;
    return (uint32_t)((t.tm_year - 80) << 25 | (t.tm_mon + 1) << 21 | t.tm_mday << 16 |
                      t.tm_hour << 11 | t.tm_min << 5 | t.tm_sec / 2);
}

/* The modification time alone, with all its three bytes of 100 ns. */
static void ext_time(const struct made_file *f, struct made_buf *b)
{
    unsigned odd = f->mtime_s & 1 ? 4 : 0;
    made_buf_le(b, (8u | odd | 3u) << 12, 2);
    made_buf_le(b, f->mtime_ns / 100, 3);
}

/* ---- headers ---- */

/* `b` has all of a header but its checksum, and is given up. `checked`: so many of its bytes count for that. */
static void header_put(struct rarmaker *r, struct made_buf *b, size_t checked, struct made_buf *out)
{
    uint32_t crc = (uint32_t)crc32(0, b->p + 2, (uInt)(checked - 2));
    b->p[0] = (uint8_t)crc;
    b->p[1] = (uint8_t)(crc >> 8);
    if (r->o->password && r->o->encrypt_headers && b->p[2] != MAIN) {
        static const uint8_t zeros[16];
        const struct rarmaker_key *k = rarmaker_key_of(r, r->m->nfiles);
        made_buf_put(b, zeros, (16 - b->len % 16) % 16);
        made_cbc(128, k->key, k->iv, b->p, b->len);
        made_buf_put(out, k->salt, HEADER_SALT);
    }
    made_buf_put(out, b->p, b->len);
    made_buf_fini(b);
}

static void fixed_put(struct made_buf *b, unsigned type, unsigned flags, size_t size)
{
    made_buf_le(b, 0, 2);
    made_buf_le(b, type, 1);
    made_buf_le(b, flags, 2);
    made_buf_le(b, size, 2);
}

struct file_fields {
    unsigned type, flags, method, version;
    uint64_t packed, size;
    uint32_t crc, attributes;
    const struct made_file *file; /* NULL: a service block */
    const uint8_t *salt;
};

static void file_put(struct rarmaker *r, struct file_fields f, const struct made_buf *name,
                     struct made_buf *out)
{
    struct made_buf b = {0};
    bool large = f.flags & F_LARGE, ext = f.flags & F_EXT_TIME;
    size_t size = 32 + (large ? 8u : 0u) + name->len + (f.salt ? 8u : 0u) + (ext ? 5u : 0u);
    fixed_put(&b, f.type, f.flags | LONG_BLOCK, size);
    made_buf_le(&b, f.packed, 4);
    made_buf_le(&b, f.size, 4);
    made_buf_le(&b, r->o->windows ? 2 : 3, 1);
    made_buf_le(&b, f.crc, 4);
    made_buf_le(&b, f.file ? dos_time(f.file->mtime_s) : 0x00210000, 4);
    made_buf_le(&b, f.version, 1);
    made_buf_le(&b, f.method, 1);
    made_buf_le(&b, name->len, 2);
    made_buf_le(&b, f.attributes, 4);
    if (large) {
        made_buf_le(&b, f.packed >> 32, 4);
        made_buf_le(&b, f.size >> 32, 4);
    }
    made_buf_put(&b, name->p, name->len);
    if (f.salt)
        made_buf_put(&b, f.salt, 8);
    if (ext)
        ext_time(f.file, &b);
    header_put(r, &b, b.len, out);
}

static uint32_t attributes(const struct rarmaker *r, const struct made_file *f)
{
    if (r->o->windows)
        return f->dir ? 0x10 : 0x20;
    return f->dir ? 040755 : 0100644;
}

static unsigned file_flags(const struct rarmaker *r, const struct rarmaker_part *p, bool encrypted)
{
    const struct made_file *f = &r->m->files[p->file];
    bool large = r->o->large || f->unknown_size || f->len > UINT32_MAX - 16;
    return (p->before ? F_BEFORE : 0u) | (p->after ? F_AFTER : 0u) | (f->dir ? F_DIR : 0u) |
           (encrypted ? F_PASSWORD | F_SALT : 0u) | (large ? F_LARGE : 0u) |
           (r->o->solid && p->file && !f->dir ? F_SOLID : 0u) |
           (r->o->precise_times ? F_EXT_TIME : 0u);
}

static uint32_t part_crc(const struct rarmaker *r, const struct rarmaker_part *p)
{
    if (p->dry || r->m->files[p->file].dir)
        return 0;
    if (r->o->sum == RARMAKER_NO_SUM)
        return 0x12345678;
    return p->after ? made_stream_crc(r->m, p->file, p->at, p->len) : made_file_crc(r->m, p->file);
}

static void file_header(struct rarmaker *r, const struct rarmaker_part *p, struct made_buf *out)
{
    const struct made_file *f = &r->m->files[p->file];
    bool encrypted = rarmaker_is_encrypted(r, p->file);
    struct made_buf name = {0};
    uint8_t salt[8];
    struct file_fields h = {.type = FILE_HEADER,
                            .flags = file_flags(r, p, encrypted),
                            .method = f->compressed ? 0x33 : 0x30,
                            .version = encrypted || f->compressed ? 29 : 20,
                            .packed = p->len,
                            .size = f->unknown_size ? UINT64_MAX
                                    : f->dir        ? 0
                                                    : f->len,
                            .crc = part_crc(r, p),
                            .attributes = attributes(r, f),
                            .file = f};
    if (f->link)
        made_die("links are for RAR 5");
    if (name_make(r, f->name, &name))
        h.flags |= F_UNICODE;
    if (encrypted)
        h.salt = rarmaker_key_of(r, p->file)->salt;
    if (encrypted && r->o->salt_parts && p->before) {
        rarmaker_random(r, salt, sizeof(salt));
        h.salt = salt;
    }
    file_put(r, h, &name, out);
    made_buf_fini(&name);
}

/* ---- service blocks ---- */

static void newsub_put(struct rarmaker *r, const char *kind, const void *data, size_t len,
                       struct made_buf *out)
{
    struct made_buf name = {0};
    made_buf_text(&name, kind);
    struct file_fields h = {.type = NEWSUB,
                            .flags = SKIP_UNKNOWN,
                            .method = 0x30,
                            .version = 29,
                            .packed = len,
                            .size = len,
                            .crc = (uint32_t)crc32(0, data, (uInt)len)};
    file_put(r, h, &name, out);
    made_buf_put(out, data, len);
    made_buf_fini(&name);
}

static void dummy_put(struct rarmaker *r, const char *kind, size_t len, struct made_buf *out)
{
    struct made_buf b = {0};
    if (strcmp(kind, "RR") == 0)
        made_buf_text(&b, "Protect+");
    made_buf_fill(&b, r->o->seed + len, len);
    newsub_put(r, kind, b.p, b.len, out);
    made_buf_fini(&b);
}

static void service(struct rarmaker *r, struct made_buf *out)
{
    dummy_put(r, "XYZ", 333, out);
}

/* What 2.x had in place of a NEWSUB block. */
static void protect_put(struct rarmaker *r, size_t len, struct made_buf *out)
{
    struct made_buf b = {0};
    fixed_put(&b, PROTECT, LONG_BLOCK | SKIP_UNKNOWN, 26);
    made_buf_le(&b, len, 4);
    made_buf_le(&b, 20, 1);
    made_buf_le(&b, 1, 2);
    made_buf_le(&b, 1, 4);
    made_buf_text(&b, "Protect!");
    header_put(r, &b, b.len, out);
    made_buf_fill(out, r->o->seed + len, len);
}

/* ---- the volume ---- */

static void main_header(struct rarmaker *r, struct made_buf *out)
{
    struct made_buf b = {0}, comment = {0};
    bool volumes = r->o->volume_size > 0 || r->o->nvolume_sizes > 0, first = r->m->nvolumes == 1;
    bool inside = first && r->o->comment && r->o->old_blocks;
    unsigned flags =
        (volumes ? M_VOLUME : 0u) | (volumes && first && !r->o->no_numbers ? M_FIRST : 0u) |
        (volumes && r->o->naming != RARMAKER_OLD ? M_NEW_NUMBERING : 0u) |
        (r->o->solid ? M_SOLID : 0u) | (r->o->recovery ? M_PROTECT : 0u) |
        (r->o->password && r->o->encrypt_headers ? M_PASSWORD : 0u) | (inside ? M_COMMENT : 0u);
    if (inside) {
        size_t len = strlen(r->o->comment);
        fixed_put(&comment, COMMENT, 0, 13 + len);
        made_buf_le(&comment, len, 2);
        made_buf_le(&comment, 20, 1);
        made_buf_le(&comment, 0x30, 1);
        made_buf_le(&comment, crc32(0, (const uint8_t *)r->o->comment, (uInt)len) & 0xffff, 2);
        uint32_t crc = (uint32_t)crc32(0, comment.p + 2, 11);
        comment.p[0] = (uint8_t)crc;
        comment.p[1] = (uint8_t)(crc >> 8);
        made_buf_text(&comment, r->o->comment);
    }
    fixed_put(&b, MAIN, flags, 13 + comment.len);
    made_buf_le(&b, 0, 6);
    made_buf_put(&b, comment.p, comment.len);
    /* A comment within has a checksum of its own. */
    header_put(r, &b, 13, out);
    made_buf_fini(&comment);
}

static void begin(struct rarmaker *r)
{
    struct made_buf b = {0};
    made_buf_put(&b, "Rar!\x1a\x07\x00", 7);
    main_header(r, &b);
    if (r->m->nvolumes == 1 && r->o->comment && !r->o->old_blocks)
        newsub_put(r, "CMT", r->o->comment, strlen(r->o->comment), &b);
    made_put(r->m, b.p, b.len);
    made_buf_fini(&b);
}

static void end_put(struct rarmaker *r, bool more, bool dry, struct made_buf *out)
{
    struct made_buf b = {0};
    bool numbers = !r->o->no_numbers && (r->o->volume_size > 0 || r->o->nvolume_sizes > 0);
    bool crc = numbers && r->o->sum != RARMAKER_NO_SUM;
    unsigned flags = SKIP_UNKNOWN | (more ? 1u : 0u) | (crc ? 2u : 0u) | (numbers ? 4u | 8u : 0u);
    fixed_put(&b, END, flags, 7u + (crc ? 4u : 0u) + (numbers ? 2u + 7u : 0u));
    if (crc && dry)
        made_buf_le(&b, 0, 4);
    else if (crc)
        made_buf_le(&b, crc32(made_volume_crc(r->m), out->p, (uInt)out->len), 4);
    if (numbers) {
        made_buf_le(&b, r->m->nvolumes - 1, 2);
        made_buf_le(&b, 0, 7);
    }
    header_put(r, &b, b.len, out);
}

static void tail(struct rarmaker *r, bool more, bool dry, struct made_buf *out)
{
    if (r->o->recovery && r->o->old_blocks)
        protect_put(r, r->o->recovery, out);
    else if (r->o->recovery)
        dummy_put(r, "RR", r->o->recovery, out);
    if (!r->o->no_end)
        end_put(r, more, dry, out);
}

const struct rarmaker_format rarmaker_4 = {.begin = begin,
                                           .header = file_header,
                                           .service = service,
                                           .tail = tail,
                                           .key = key_make,
                                           .salt_len = 8,
                                           .bits = 128};
