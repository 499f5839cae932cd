/* rar5 — one block of a RAR 5 volume ("RAR 5.0 archive format" technical note).
 *
 *     CRC-32 │ size │ type │ flags │ [extra size] │ [data size] │ fields … │ extra records │ data
 *      4 le    └───────────── integers of 7 bits a byte ──────┘
 *              └ the checksum covers what follows it, `size` what follows itself, data in neither
 *
 * With encrypted headers 16 bytes of IV stand before it, and it is padded to 16. */
#include "archive/rar.h"

#include "archive/convert.h"
#include "archive/keys.h"
#include "base/overflow.h"

#include <stdlib.h>
#include <zlib.h>

enum { MAIN = 1, FILE_HEADER = 2, SERVICE = 3, CRYPT = 4, END = 5 };
enum { WITH_EXTRA = 1, WITH_DATA = 2, BEFORE = 8, AFTER = 16 };
enum { MAIN_VOLUME = 1, MAIN_NUMBER = 2 };
enum { FILE_DIR = 1, FILE_TIME = 2, FILE_CRC = 4, FILE_SIZE_UNKNOWN = 8 };
enum { EXTRA_CRYPT = 1, EXTRA_HASH = 2, EXTRA_TIME = 3, EXTRA_LINK = 5 };
enum { CRYPT_CHECK = 1, CRYPT_TWEAKED = 2 };
enum { TIME_UNIX = 1, TIME_MODIFIED = 2, TIME_CREATED = 4, TIME_ACCESSED = 8, TIME_NS = 16 };

#define HEADER_MOST ((uint64_t)2 << 20) /* the format's own limit */
#define METHOD_MASK 0x380u

struct block {
    uint64_t type, flags;
    struct cursor body, extra;
    uint64_t data, data_len; /* where its data stands in the volume */
    size_t len;              /* of the header, deciphered */
};

/** An integer of 7 bits a byte, the low ones first, of 64 bits at most. */
static uint64_t number(struct cursor *c)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t b = cursor_u8(c);
        if (shift == 63 && b > 1)
            break;
        v |= (uint64_t)(b & 0x7fu) << shift;
        if (!(b & 0x80))
            return v;
    }
    c->bad = true;
    return 0;
}

uint64_t rar5_least(const struct rar_volume *v)
{
    /* An end block has 8 bytes, in a volume with encrypted headers 32; a file's header 14, or 48. */
    return v->headers ? 33 : 14;
}

/* ---- one header, whole and checked ---- */

/* The length of what begins at `head`, with its checksum and size. 0: it cannot be. */
static size_t header_len(const uint8_t *head, size_t len)
{
    struct cursor c = cursor_of(head, len);
    cursor_skip(&c, 4);
    uint64_t size = number(&c);
    if (c.bad || size == 0 || size > HEADER_MOST)
        return 0;
    return (size_t)(c.at - head) + (size_t)size;
}

static bool sum_right(const uint8_t *head, size_t len)
{
    struct cursor c = cursor_of(head, len);
    return cursor_u32(&c) == crc32(0, head + 4, (uInt)(len - 4));
}

/* The fields that all headers have. */
static bool split(struct block *b, const uint8_t *head, size_t len)
{
    struct cursor c = cursor_of(head, len);
    cursor_skip(&c, 4);
    number(&c);
    b->len = len;
    b->type = number(&c);
    b->flags = number(&c);
    uint64_t extra = b->flags & WITH_EXTRA ? number(&c) : 0;
    b->data_len = b->flags & WITH_DATA ? number(&c) : 0;
    if (c.bad || extra > cursor_left(&c))
        return false;
    b->body = cursor_sub(&c, cursor_left(&c) - (size_t)extra);
    b->extra = cursor_sub(&c, (size_t)extra);
    return true;
}

static int plain_header(struct rar_reader *r, struct rar_volume *v, struct block *b)
{
    const uint8_t *head;
    size_t room = v->size - v->at < 7 ? (size_t)(v->size - v->at) : 7;
    int e = rar_window_get(&r->win, v->bytes, v->at, room, &head);
    size_t len = e ? 0 : header_len(head, room);
    if (!e && !len)
        return -EBADMSG;
    if (!e)
        e = rar_window_get(&r->win, v->bytes, v->at, len, &head);
    if (e)
        return e;
    b->data = v->at + len;
    return sum_right(head, len) && split(b, head, len) ? 0 : -EBADMSG;
}

/* The header at v->at deciphered with `k`; *out is taken by the caller. -EBADMSG: wrong key, or damaged. */
static int open_header(struct rar_reader *r, struct rar_volume *v, const struct rar_key *k,
                       uint8_t **out, size_t *len)
{
    const uint8_t *raw;
    uint8_t first[16];
    int e = rar_window_get(&r->win, v->bytes, v->at, 32, &raw);
    if (e)
        return e;
    memcpy(first, raw + 16, sizeof(first));
    if ((e = rar_key_open(k, raw, first, sizeof(first))))
        return e;
    *len = header_len(first, sizeof(first));
    /* A wrong password makes sizes up: nothing is fetched for them. */
    if (!*len || (!r->header_opened && *len > RAR_WINDOW))
        return -EBADMSG;
    size_t padded = (*len + 15) & ~(size_t)15;
    if ((e = rar_window_get(&r->win, v->bytes, v->at, 16 + padded, &raw)))
        return e == -ENODATA ? -EBADMSG : e;
    uint8_t *text = malloc(padded);
    if (!text)
        return -ENOMEM;
    memcpy(text, raw + 16, padded);
    e = rar_key_open(k, raw, text, padded);
    if (!e && !sum_right(text, *len))
        e = -EBADMSG;
    if (e) {
        free(text);
        return e;
    }
    *out = text;
    return 0;
}

/* The first header tells whether a password is right where no check value does. */
static int open_first(struct rar_reader *r, struct rar_volume *v, uint8_t **text, size_t *len,
                      enum archive_why *why)
{
    unsigned n = archive_keys_count(r->keys);
    *why = n ? ARCHIVE_BAD_PASSWORD : ARCHIVE_NO_PASSWORD;
    for (unsigned turn = 0; turn < n; turn++) {
        const struct rar_key *k;
        int e = rar_key_get(r, v->headers, rar_key_turn(r, turn), &k, why);
        if (e || !k)
            return e ? e : -EBADMSG;
        e = open_header(r, v, k, text, len);
        if (!e)
            rar_key_worked(r, k);
        if (e != -EBADMSG)
            return e;
        *why = ARCHIVE_BAD_PASSWORD;
    }
    return -EBADMSG;
}

static int secret_header(struct rar_reader *r, struct rar_volume *v, struct block *b,
                         uint8_t **text, enum archive_why *why)
{
    const struct rar_key *k;
    size_t len;
    int e;
    *why = ARCHIVE_DAMAGED;
    if (v->headers->checked || r->header_opened || !r->keys) {
        enum archive_why none;
        e = rar_key_pick(r, v->headers, &k, &none);
        if (!e && !k) {
            *why = none;
            e = -EBADMSG;
        }
        if (!e)
            e = open_header(r, v, k, text, &len);
        if (!e)
            rar_key_worked(r, k);
    } else {
        e = open_first(r, v, text, &len, why);
    }
    if (e)
        return e;
    b->data = v->at + 16 + ((len + 15) & ~(size_t)15);
    return split(b, *text, len) ? 0 : -EBADMSG;
}

/* ---- extra records ---- */

static void crypt_fields(struct cursor *c, struct rar_crypt *k, bool with_iv)
{
    *k = (struct rar_crypt){.version = 5};
    k->unknown = number(c) != 0;
    uint64_t flags = number(c);
    k->log2 = cursor_u8(c);
    const uint8_t *salt = cursor_bytes(c, 16), *iv = with_iv ? cursor_bytes(c, 16) : NULL;
    if (salt)
        memcpy(k->salt, salt, 16);
    if (iv)
        memcpy(k->iv, iv, 16);
    k->checked = flags & CRYPT_CHECK;
    k->tweaked = flags & CRYPT_TWEAKED;
    /* 4 more bytes are a checksum of the check value, which the header's covers anyway. */
    const uint8_t *check = k->checked ? cursor_bytes(c, 12) : NULL;
    if (check)
        memcpy(k->check, check, sizeof(k->check));
}

static void hash_record(struct cursor *c, struct rar_part *p)
{
    const uint8_t *sum = number(c) == 0 ? cursor_bytes(c, 32) : NULL;
    if (sum && p->sum_kind == ARCHIVE_SUM_NONE) {
        memcpy(p->sum, sum, 32);
        p->sum_kind = ARCHIVE_SUM_BLAKE2SP;
    }
}

static void time_record(struct cursor *c, struct rar_part *p)
{
    uint64_t flags = number(c);
    size_t others = (flags & TIME_CREATED ? 4u : 0u) + (flags & TIME_ACCESSED ? 4u : 0u);
    if (!(flags & TIME_MODIFIED))
        return;
    if (!(flags & TIME_UNIX)) {
        uint64_t t = cursor_u64(c);
        if (!c->bad)
            archive_filetime(t, &p->mtime_s, &p->mtime_ns);
        return;
    }
    uint32_t s = cursor_u32(c), ns = 0;
    if (flags & TIME_NS) {
        cursor_skip(c, others);
        ns = cursor_u32(c) & 0x3fffffffu;
    }
    if (c->bad)
        return;
    p->mtime_s = s;
    p->mtime_ns = ns < 1000000000u ? ns : 0;
}

/* False: the records are broken, so that nobody knows whether the member is encrypted. */
static bool extra_records(struct cursor *c, struct rar_part *p, struct rar_crypt *k, bool *secret)
{
    while (cursor_left(c)) {
        uint64_t len = number(c);
        if (c->bad || len > cursor_left(c))
            return false;
        struct cursor one = cursor_sub(c, (size_t)len);
        switch (number(&one)) {
        case EXTRA_CRYPT:
            crypt_fields(&one, k, true);
            *secret = true;
            if (one.bad)
                return false;
            break;
        case EXTRA_HASH:
            hash_record(&one, p);
            break;
        case EXTRA_TIME:
            time_record(&one, p);
            break;
        case EXTRA_LINK:
            p->link = true;
            break;
        default: /* metadata of no use here */
            break;
        }
    }
    return true;
}

/* ---- blocks ---- */

static int main_block(struct rar_volume *v, struct block *b)
{
    uint64_t flags = number(&b->body);
    if (flags & MAIN_NUMBER) {
        const uint8_t *from = b->body.at;
        v->number = number(&b->body);
        v->number_len = (uint8_t)(b->body.at - from);
    }
    if (b->body.bad)
        return rar_volume_end(v, ARCHIVE_DAMAGED);
    v->volume = v->numbered = flags & MAIN_VOLUME;
    v->main_len = (uint32_t)b->len;
    return 0;
}

static int crypt_block(struct rar_reader *r, struct rar_volume *v, struct block *b)
{
    struct rar_crypt *k = arena_new(r->arena, struct rar_crypt);
    if (!k)
        return -ENOMEM;
    crypt_fields(&b->body, k, false);
    if (b->body.bad)
        return rar_volume_end(v, ARCHIVE_DAMAGED);
    if (k->unknown || k->log2 > ARCHIVE_KDF_LOG2_MAX)
        return rar_volume_end(v, ARCHIVE_CIPHER);
    v->headers = k;
    return 0;
}

/* One crypt for many parts where they say the same. */
static int crypt_keep(struct rar_reader *r, struct rar_volume *v, struct rar_part *p,
                      const struct rar_crypt *k)
{
    if (v->last && v->last->crypt && rar_crypt_same(v->last->crypt, k)) {
        p->crypt = v->last->crypt;
        return 0;
    }
    struct rar_crypt *keep = arena_new(r->arena, struct rar_crypt);
    if (!keep)
        return -ENOMEM;
    *keep = *k;
    p->crypt = keep;
    return 0;
}

static void file_fields(struct cursor *c, struct rar_part *p)
{
    uint64_t flags = number(c);
    p->size = number(c);
    number(c); /* attributes */
    p->mtime_s = flags & FILE_TIME ? (int64_t)cursor_u32(c) : INT64_MIN;
    if (flags & FILE_CRC) {
        const uint8_t *crc = cursor_bytes(c, 4);
        if (crc)
            memcpy(p->sum, crc, 4);
        p->sum_kind = ARCHIVE_SUM_CRC32;
    }
    p->compressed = number(c) & METHOD_MASK;
    number(c); /* system */
    p->dir = flags & FILE_DIR;
    if (flags & FILE_SIZE_UNKNOWN)
        p->size = UINT64_MAX;
}

static int file_block(struct rar_reader *r, struct rar_volume *v, struct block *b)
{
    struct rar_part p = {.data = b->data, .packed = b->data_len};
    struct rar_crypt k;
    bool secret = false;
    file_fields(&b->body, &p);
    uint64_t name_len = number(&b->body);
    if (b->body.bad || name_len > cursor_left(&b->body))
        return rar_volume_end(v, ARCHIVE_DAMAGED);
    p.name = rar_name_plain(r->arena, b->body.at, (size_t)name_len, false);
    if (!p.name)
        return -ENOMEM;
    p.before = b->flags & BEFORE;
    p.after = b->flags & AFTER;
    if (!extra_records(&b->extra, &p, &k, &secret))
        p.why = ARCHIVE_DAMAGED;
    if (secret && crypt_keep(r, v, &p, &k))
        return -ENOMEM;
    if (secret && k.tweaked)
        p.sum_kind = ARCHIVE_SUM_NONE;
    bool fits = rar_volume_skip(v, b->data, b->data_len);
    if (!fits)
        p.why = ARCHIVE_DAMAGED;
    int e = rar_part_add(r, v, &p);
    if (!e && !fits)
        rar_volume_end(v, ARCHIVE_DAMAGED);
    if (!e && p.after && v->state == RAR_MORE)
        v->state = RAR_SETTLED;
    return e;
}

/* Comments, rights, streams: skipped. Behind quick open and recovery records there are no files. */
static int service_block(struct rar_volume *v, struct block *b)
{
    struct rar_part skipped = {0};
    file_fields(&b->body, &skipped);
    uint64_t len = number(&b->body);
    const uint8_t *name = len == 2 ? cursor_bytes(&b->body, 2) : NULL;
    if (name && (!memcmp(name, "QO", 2) || !memcmp(name, "RR", 2)))
        return rar_volume_end(v, ARCHIVE_OK);
    return 0;
}

int rar5_block(struct rar_reader *r, struct rar_volume *v)
{
    struct block b = {0};
    uint8_t *text = NULL;
    enum archive_why why = ARCHIVE_DAMAGED;
    int e = v->headers ? secret_header(r, v, &b, &text, &why) : plain_header(r, v, &b);
    if (e == -EBADMSG)
        e = rar_volume_end(v, why);
    else if (e)
        e = rar_volume_fail(v, e);
    else if (!v->main_len && b.type != MAIN && b.type != CRYPT)
        e = rar_volume_end(v, ARCHIVE_DAMAGED);
    else if (b.type == FILE_HEADER)
        e = file_block(r, v, &b);
    else if (!rar_volume_skip(v, b.data, b.data_len))
        e = rar_volume_end(v, b.type == END ? ARCHIVE_OK : ARCHIVE_DAMAGED);
    else if (b.type == MAIN)
        e = main_block(v, &b);
    else if (b.type == SERVICE)
        e = service_block(v, &b);
    else if (b.type == CRYPT && !v->headers)
        e = crypt_block(r, v, &b);
    else if (b.type == END) {
        v->next = number(&b.body) & 1;
        e = rar_volume_end(v, ARCHIVE_OK);
    }
    free(text);
    return e;
}
