/* RAR 5: "RAR 5.0 archive format", the technical note. */
#include "tests/lib/rarmaker_internal.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <string.h>
#include <zlib.h>

enum { MAIN = 1, FILE_HEADER, SERVICE, CRYPT, END };

/* Flags of every header. */
enum { H_EXTRA = 1, H_DATA = 2, H_SKIP = 4, H_BEFORE = 8, H_AFTER = 16 };

enum { FILE_DIR = 1, FILE_MTIME = 2, FILE_CRC = 4, FILE_UNKNOWN_SIZE = 8 };

/* Between 1601 and 1970, as FILETIME has it. */
#define FILETIME_EPOCH_S 11644473600

struct header {
    uint64_t type, flags;
    unsigned size_width;
    uint64_t data_len;
    struct made_buf body, extra;
};

static void key_make(const struct rarmaker_options *o, struct rarmaker_key *k)
{
    unsigned log2 = o->kdf_log2 ? o->kdf_log2 : RARMAKER_KDF_LOG2;
    int rounds = 1 << log2, len = (int)strlen(o->password);
    uint8_t v[32], sum[32];
    /* The three values are the sums of so many and 16 and 32 more rounds. */
    if (!PKCS5_PBKDF2_HMAC(o->password, len, k->salt, 16, rounds, EVP_sha256(), 32, k->key) ||
        !PKCS5_PBKDF2_HMAC(o->password, len, k->salt, 16, rounds + 16, EVP_sha256(), 32,
                           k->hash_key) ||
        !PKCS5_PBKDF2_HMAC(o->password, len, k->salt, 16, rounds + 32, EVP_sha256(), 32, v))
        made_die("OpenSSL derives no key");
    memset(k->check, 0, 8);
    for (unsigned i = 0; i < 32; i++)
        k->check[i % 8] ^= v[i];
    SHA256(k->check, 8, sum);
    memcpy(k->check + 8, sum, 4);
}

static void record_put(struct made_buf *extra, uint64_t type, struct made_buf *data)
{
    made_buf_vint(extra, made_vint_width(type) + data->len, 1);
    made_buf_vint(extra, type, 1);
    made_buf_put(extra, data->p, data->len);
    made_buf_fini(data);
}

/* The header as it stands in the volume: with its checksum, and encrypted where headers are. */
static void header_put(struct rarmaker *r, struct header *h, struct made_buf *out)
{
    struct made_buf in = {0}, all = {0};
    if (h->extra.len)
        h->flags |= H_EXTRA;
    made_buf_vint(&in, h->type, 1);
    made_buf_vint(&in, h->flags, 1);
    if (h->flags & H_EXTRA)
        made_buf_vint(&in, h->extra.len, 1);
    if (h->flags & H_DATA)
        made_buf_vint(&in, h->data_len, h->size_width);
    made_buf_put(&in, h->body.p, h->body.len);
    made_buf_put(&in, h->extra.p, h->extra.len);
    made_buf_le(&all, 0, 4);
    made_buf_vint(&all, in.len, 1);
    made_buf_put(&all, in.p, in.len);
    uint32_t crc = (uint32_t)crc32(0, all.p + 4, (uInt)(all.len - 4));
    for (unsigned k = 0; k < 4; k++)
        all.p[k] = (uint8_t)(crc >> (8 * k));
    if (r->o->password && r->o->encrypt_headers && h->type != CRYPT) {
        static const uint8_t zeros[16];
        uint8_t iv[16];
        rarmaker_random(r, iv, sizeof(iv));
        made_buf_put(&all, zeros, (16 - all.len % 16) % 16);
        made_cbc(256, rarmaker_key_of(r, r->m->nfiles)->key, iv, all.p, all.len);
        made_buf_put(out, iv, sizeof(iv));
    }
    made_buf_put(out, all.p, all.len);
    made_buf_fini(&all);
    made_buf_fini(&in);
    made_buf_fini(&h->body);
    made_buf_fini(&h->extra);
}

/* ---- members ---- */

static void sum_tweak(const uint8_t hash_key[32], uint8_t *sum, bool crc)
{
    uint8_t mac[32];
    unsigned len = sizeof(mac);
    if (!HMAC(EVP_sha256(), hash_key, 32, sum, crc ? 4 : 32, mac, &len))
        made_die("OpenSSL makes no HMAC");
    if (!crc) {
        memcpy(sum, mac, 32);
        return;
    }
    memset(sum, 0, 4);
    for (unsigned i = 0; i < 32; i++)
        sum[i % 4] ^= mac[i];
}

/* Of what the part has of the volume where it goes on; else of the whole file. */
static void sum_make(struct rarmaker *r, const struct rarmaker_part *p, bool crc, uint8_t sum[32])
{
    memset(sum, 0, 32);
    if (p->dry)
        return;
    if (crc) {
        uint32_t c =
            p->after ? made_stream_crc(r->m, p->file, p->at, p->len) : made_file_crc(r->m, p->file);
        for (unsigned k = 0; k < 4; k++)
            sum[k] = (uint8_t)(c >> (8 * k));
    } else if (p->after)
        rarmaker_blake2sp(r->m, p->file, true, p->at, p->len, sum);
    else
        rarmaker_blake2sp(r->m, p->file, false, 0, r->m->files[p->file].len, sum);
    if (!p->after && r->o->tweaked && rarmaker_is_encrypted(r, p->file))
        sum_tweak(rarmaker_key_of(r, p->file)->hash_key, sum, crc);
}

static void crypt_record(struct rarmaker *r, uint32_t file, struct made_buf *extra)
{
    struct made_buf b = {0};
    const struct rarmaker_key *k = rarmaker_key_of(r, file);
    made_buf_vint(&b, 0, 1);
    made_buf_vint(&b, (r->o->no_check ? 0u : 1u) | (r->o->tweaked ? 2u : 0u), 1);
    made_buf_le(&b, r->o->kdf_log2 ? r->o->kdf_log2 : RARMAKER_KDF_LOG2, 1);
    made_buf_put(&b, k->salt, 16);
    made_buf_put(&b, k->iv, 16);
    if (!r->o->no_check)
        made_buf_put(&b, k->check, 12);
    record_put(extra, 1, &b);
}

static void time_record(const struct rarmaker *r, const struct made_file *f, struct made_buf *extra)
{
    struct made_buf b = {0};
    if (r->o->windows) {
        uint64_t ticks = (uint64_t)(f->mtime_s + FILETIME_EPOCH_S) * 10000000 + f->mtime_ns / 100;
        made_buf_vint(&b, 0x02, 1);
        made_buf_le(&b, ticks, 8);
    } else {
        made_buf_vint(&b, 0x01 | 0x02 | 0x10, 1);
        made_buf_le(&b, (uint64_t)f->mtime_s, 4);
        made_buf_le(&b, f->mtime_ns, 4);
    }
    record_put(extra, 3, &b);
}

static void other_records(struct made_buf *extra)
{
    struct made_buf b = {0};
    made_buf_vint(&b, 0x03, 1);
    made_buf_vint(&b, 4, 1);
    made_buf_text(&b, "user");
    made_buf_vint(&b, 5, 1);
    made_buf_text(&b, "group");
    record_put(extra, 6, &b);
    made_buf_fill(&b, 9, 40);
    record_put(extra, 0x4711, &b);
}

static void link_record(const struct made_file *f, struct made_buf *extra)
{
    struct made_buf b = {0};
    made_buf_vint(&b, 1, 1); /* a Unix symbolic link */
    made_buf_vint(&b, 0, 1);
    made_buf_vint(&b, strlen(f->link), 1);
    made_buf_text(&b, f->link);
    record_put(extra, 5, &b);
}

static void file_records(struct rarmaker *r, const struct rarmaker_part *p, struct header *h)
{
    const struct made_file *f = &r->m->files[p->file];
    if (rarmaker_is_encrypted(r, p->file))
        crypt_record(r, p->file, &h->extra);
    if (!f->dir && !f->link && r->o->sum == RARMAKER_BLAKE2SP) {
        struct made_buf b = {0};
        uint8_t sum[32];
        sum_make(r, p, false, sum);
        made_buf_vint(&b, 0, 1);
        made_buf_put(&b, sum, 32);
        record_put(&h->extra, 2, &b);
    }
    if (r->o->precise_times)
        time_record(r, f, &h->extra);
    if (r->o->records)
        other_records(&h->extra);
    if (f->link)
        link_record(f, &h->extra);
}

static void name_put(struct made_buf *b, const char *name)
{
    made_buf_vint(b, strlen(name), 1);
    made_buf_text(b, name);
}

static uint64_t attributes(const struct rarmaker *r, const struct made_file *f)
{
    if (r->o->windows)
        return f->dir ? 0x10 : 0x20;
    return f->link ? 0120777 : f->dir ? 040755 : 0100644;
}

static void file_body(struct rarmaker *r, const struct rarmaker_part *p, struct made_buf *b)
{
    const struct made_file *f = &r->m->files[p->file];
    bool data = !f->dir && !f->link, crc = data && r->o->sum == RARMAKER_CRC32;
    bool mtime = !r->o->precise_times;
    uint8_t sum[32];
    made_buf_vint(b,
                  (f->dir ? FILE_DIR : 0u) | (mtime ? FILE_MTIME : 0u) | (crc ? FILE_CRC : 0u) |
                      (f->unknown_size ? FILE_UNKNOWN_SIZE : 0u),
                  1);
    made_buf_vint(b, f->unknown_size || !data ? 0 : f->len, 1);
    made_buf_vint(b, attributes(r, f), 1);
    if (mtime)
        made_buf_le(b, (uint64_t)f->mtime_s, 4);
    if (crc) {
        sum_make(r, p, true, sum);
        made_buf_put(b, sum, 4);
    }
    made_buf_vint(b, (r->o->solid && p->file ? 0x40u : 0u) | (f->compressed ? 3u << 7 : 0u), 1);
    made_buf_vint(b, r->o->windows ? 0 : 1, 1);
    name_put(b, f->name);
}

static void file_header(struct rarmaker *r, const struct rarmaker_part *p, struct made_buf *out)
{
    struct header h = {.type = FILE_HEADER,
                       .flags = H_DATA | (p->before ? H_BEFORE : 0u) | (p->after ? H_AFTER : 0u),
                       .data_len = p->len};
    h.size_width = made_vint_width(p->room);
    file_body(r, p, &h.body);
    file_records(r, p, &h);
    header_put(r, &h, out);
}

/* ---- service blocks ---- */

static void service_put(struct rarmaker *r, const char *name, const uint8_t *data, size_t len,
                        struct made_buf *out)
{
    struct header h = {.type = SERVICE, .flags = H_DATA | H_SKIP, .data_len = len};
    made_buf_vint(&h.body, FILE_CRC, 1);
    made_buf_vint(&h.body, len, 1);
    made_buf_vint(&h.body, 0, 1);
    made_buf_le(&h.body, crc32(0, data, (uInt)len), 4);
    made_buf_vint(&h.body, 0, 1);
    made_buf_vint(&h.body, r->o->windows ? 0 : 1, 1);
    name_put(&h.body, name);
    if (strcmp(name, "RR") == 0) {
        struct made_buf b = {0};
        made_buf_vint(&b, 3, 1); /* per cent */
        record_put(&h.extra, 7, &b);
    }
    header_put(r, &h, out);
    made_buf_put(out, data, len);
}

static void dummy_put(struct rarmaker *r, const char *name, size_t len, struct made_buf *out)
{
    struct made_buf b = {0};
    made_buf_fill(&b, r->o->seed + len, len);
    service_put(r, name, b.p, b.len, out);
    made_buf_fini(&b);
}

static void service(struct rarmaker *r, struct made_buf *out)
{
    dummy_put(r, "XYZ", 333, out);
}

/* ---- the volume ---- */

static void crypt_header(struct rarmaker *r, struct made_buf *out)
{
    struct header h = {.type = CRYPT};
    const struct rarmaker_key *k = rarmaker_key_of(r, r->m->nfiles);
    made_buf_vint(&h.body, 0, 1);
    made_buf_vint(&h.body, r->o->no_check ? 0 : 1, 1);
    made_buf_le(&h.body, r->o->kdf_log2 ? r->o->kdf_log2 : RARMAKER_KDF_LOG2, 1);
    made_buf_put(&h.body, k->salt, 16);
    if (!r->o->no_check)
        made_buf_put(&h.body, k->check, 12);
    header_put(r, &h, out);
}

static void main_header(struct rarmaker *r, struct made_buf *out)
{
    struct header h = {.type = MAIN};
    uint32_t number = r->m->nvolumes - 1;
    bool volumes = r->o->volume_size > 0 || r->o->nvolume_sizes > 0;
    bool told = volumes && number > 0 && !r->o->no_numbers;
    made_buf_vint(&h.body,
                  (volumes ? 1u : 0u) | (told ? 2u : 0u) | (r->o->solid ? 4u : 0u) |
                      (r->o->recovery ? 8u : 0u),
                  1);
    if (told)
        made_buf_vint(&h.body, number, 1);
    if (r->o->locator) {
        struct made_buf b = {0};
        made_buf_vint(&b, 0x01, 1);
        made_buf_vint(&b, 0, 5); /* "there was no room to say where" */
        record_put(&h.extra, 1, &b);
    }
    header_put(r, &h, out);
}

static void begin(struct rarmaker *r)
{
    struct made_buf b = {0};
    made_buf_put(&b, "Rar!\x1a\x07\x01\x00", 8);
    if (r->o->password && r->o->encrypt_headers)
        crypt_header(r, &b);
    main_header(r, &b);
    if (r->m->nvolumes == 1 && r->o->comment)
        service_put(r, "CMT", (const uint8_t *)r->o->comment, strlen(r->o->comment), &b);
    made_put(r->m, b.p, b.len);
    made_buf_fini(&b);
}

static void tail(struct rarmaker *r, bool more, bool dry, struct made_buf *out)
{
    (void)dry; /* nothing here costs anything */
    if (r->o->quick_open)
        dummy_put(r, "QO", 220, out);
    if (r->o->recovery)
        dummy_put(r, "RR", r->o->recovery, out);
    if (r->o->no_end)
        return;
    struct header h = {.type = END, .flags = H_SKIP};
    made_buf_vint(&h.body, more ? 1 : 0, 1);
    header_put(r, &h, out);
}

const struct rarmaker_format rarmaker_5 = {.begin = begin,
                                           .header = file_header,
                                           .service = service,
                                           .tail = tail,
                                           .key = key_make,
                                           .salt_len = 16,
                                           .bits = 256};
