/* rar4 — one block of a RAR 1.5 to 4 volume (unrar's technote, the notes of RAR 2.x and 3.x).
 *
 *     sum │ type │ flags │ size │ [data size] │ fields … │ data
 *      2     1       2      2         4
 *      └ the low half of a CRC-32 over what follows it; `size` counts from the sum on, without the data
 *
 * With encrypted headers a salt of 8 bytes stands before each, and each is padded to 16. */
#include "archive/rar.h"

#include "archive/convert.h"
#include "archive/keys.h"
#include "base/overflow.h"

#include <stdlib.h>
#include <zlib.h>

enum { MAIN = 0x73, FILE_HEADER = 0x74, SERVICE = 0x7a, END = 0x7b };
enum { WITH_DATA = 0x8000 };
enum { MAIN_VOLUME = 1, MAIN_COMMENT = 2, MAIN_SECRET = 0x80, MAIN_FIRST = 0x100 };
enum {
    FILE_BEFORE = 1,
    FILE_AFTER = 2,
    FILE_SECRET = 4,
    FILE_COMMENT = 8,
    FILE_DIR = 0xe0, /* what else would be the size of the dictionary */
    FILE_LARGE = 0x100,
    FILE_UNICODE = 0x200,
    FILE_SALT = 0x400,
    FILE_TIMES = 0x1000,
};
enum { END_NEXT = 1, END_SUM = 2, END_NUMBER = 8 };
enum { SYSTEM_UNIX = 3, METHOD_STORED = 0x30 };

#define SIZE_UNKNOWN       0xffffffffu
#define SIZE_UNKNOWN_LARGE 0x7fffffffffffffffu

struct block {
    uint8_t type;
    uint16_t flags;
    const uint8_t *head;
    size_t len;
    struct cursor c; /* behind the seven bytes that all have */
    uint64_t data;
};

uint64_t rar4_least(const struct rar_volume *v)
{
    /* An end block has 7 to 20 bytes, encrypted 40; a file's header at least 33, or 56. */
    return v->headers ? 56 : 33;
}

static void common(struct block *b, const uint8_t *head, size_t len)
{
    b->head = head;
    b->c = cursor_of(head, len);
    cursor_skip(&b->c, 2);
    b->type = cursor_u8(&b->c);
    b->flags = cursor_u16(&b->c);
    b->len = cursor_u16(&b->c);
}

/* Is the sum right for the header's first `len` bytes? */
static bool sum_right(const struct block *b, size_t len)
{
    struct cursor c = cursor_of(b->head, b->len);
    return cursor_u16(&c) == (crc32(0, b->head + 2, (uInt)(len - 2)) & 0xffff);
}

static int plain_header(struct rar_reader *r, struct rar_volume *v, struct block *b)
{
    const uint8_t *head;
    int e = rar_window_get(&r->win, v->bytes, v->at, 7, &head);
    if (e)
        return e;
    common(b, head, 7);
    if (b->len < 7)
        return -EBADMSG;
    if ((e = rar_window_get(&r->win, v->bytes, v->at, b->len, &head)))
        return e;
    common(b, head, b->len);
    b->data = v->at + b->len;
    return 0;
}

/* ---- encrypted headers ---- */

static int open_header(struct rar_reader *r, struct rar_volume *v, const struct rar_key *k,
                       struct block *b, uint8_t **out)
{
    const uint8_t *raw;
    uint8_t first[16];
    int e = rar_window_get(&r->win, v->bytes, v->at, 24, &raw);
    if (e)
        return e;
    memcpy(first, raw + 8, sizeof(first));
    if ((e = rar_key_open(k, k->iv, first, sizeof(first))))
        return e;
    common(b, first, sizeof(first));
    /* A wrong password makes sizes up: nothing is fetched for them. */
    if (b->len < 7 || (!r->header_opened && b->len > RAR_WINDOW))
        return -EBADMSG;
    size_t padded = (b->len + 15) & ~(size_t)15;
    if ((e = rar_window_get(&r->win, v->bytes, v->at, 8 + padded, &raw)))
        return e == -ENODATA ? -EBADMSG : e;
    uint8_t *text = malloc(padded);
    if (!text)
        return -ENOMEM;
    memcpy(text, raw + 8, padded);
    e = rar_key_open(k, k->iv, text, padded);
    if (!e) {
        common(b, text, b->len);
        b->data = v->at + 8 + padded;
        if (!sum_right(b, b->len))
            e = -EBADMSG;
    }
    if (e)
        free(text);
    else
        *out = text;
    return e;
}

/* There is no check value: a header's checksum tells which password is right. Once one was, only that is tried. */
static int secret_header(struct rar_reader *r, struct rar_volume *v, struct block *b,
                         uint8_t **text, enum archive_why *why)
{
    const uint8_t *salt;
    struct rar_crypt c = {.version = 4, .salted = true};
    int e = rar_window_get(&r->win, v->bytes, v->at, 8, &salt);
    if (e)
        return e;
    memcpy(c.salt, salt, 8);
    const struct rar_key *k;
    unsigned n = !r->keys || r->header_opened ? 1 : archive_keys_count(r->keys);
    *why = n ? ARCHIVE_BAD_PASSWORD : ARCHIVE_NO_PASSWORD;
    for (unsigned turn = 0; turn < n; turn++) {
        e = r->keys ? rar_key_get(r, &c, rar_key_turn(r, turn), &k, why)
                    : rar_key_pick(r, &c, &k, why);
        if (e || !k)
            return e ? e : -EBADMSG;
        e = open_header(r, v, k, b, text);
        if (!e)
            rar_key_worked(r, k);
        if (e != -EBADMSG)
            return e;
        *why = r->header_opened ? ARCHIVE_DAMAGED : ARCHIVE_BAD_PASSWORD;
    }
    return -EBADMSG;
}

/* ---- fields ---- */

/* The first of four times, whose flags have four bits each; the others follow it. */
static void time_fields(struct cursor *c, struct rar_part *p)
{
    unsigned how = cursor_u16(c) >> 12;
    if (!(how & 8))
        return;
    uint32_t ticks = 0; /* 100 ns each; the high bytes of three */
    for (unsigned k = 0, n = how & 3; k < n; k++)
        ticks |= (uint32_t)cursor_u8(c) << (8 * (k + 3 - n));
    if (c->bad || p->mtime_s == INT64_MIN)
        return;
    uint64_t ns = (uint64_t)ticks * 100;
    p->mtime_s += (how & 4 ? 1 : 0) + (int64_t)(ns / 1000000000u);
    p->mtime_ns = (uint32_t)(ns % 1000000000u);
}

static uint64_t unpacked_size(uint32_t low, uint32_t high, bool large)
{
    uint64_t size = (uint64_t)high << 32 | low;
    return size == (large ? SIZE_UNKNOWN_LARGE : SIZE_UNKNOWN) ? UINT64_MAX : size;
}

struct file {
    struct rar_part part;
    struct rar_crypt crypt;
    const uint8_t *name;
    uint16_t name_len;
};

/* Everything of a file's or a service's header. False: cut off. */
static bool file_fields(struct block *b, struct file *f)
{
    struct cursor *c = &b->c;
    struct rar_part *p = &f->part;
    uint32_t packed = cursor_u32(c), size = cursor_u32(c), packed_high = 0, size_high = 0;
    uint8_t system = cursor_u8(c);
    const uint8_t *crc = cursor_bytes(c, 4);
    p->mtime_s = archive_dostime(cursor_u32(c));
    uint8_t version = cursor_u8(c), method = cursor_u8(c);
    f->name_len = cursor_u16(c);
    uint32_t attributes = cursor_u32(c);
    if (b->flags & FILE_LARGE) {
        packed_high = cursor_u32(c);
        size_high = cursor_u32(c);
    }
    f->name = cursor_bytes(c, f->name_len);
    const uint8_t *salt = b->flags & FILE_SALT ? cursor_bytes(c, 8) : NULL;
    if (c->bad)
        return false;
    f->crypt = (struct rar_crypt){.version = 4, .salted = salt, .unknown = version < 29};
    if (salt)
        memcpy(f->crypt.salt, salt, 8);
    if (b->flags & FILE_TIMES)
        time_fields(c, p);
    memcpy(p->sum, crc, 4);
    p->sum_kind = ARCHIVE_SUM_CRC32;
    p->packed = (uint64_t)packed_high << 32 | packed;
    p->size = unpacked_size(size, size_high, b->flags & FILE_LARGE);
    p->data = b->data;
    p->before = b->flags & FILE_BEFORE;
    p->after = b->flags & FILE_AFTER;
    p->compressed = method != METHOD_STORED;
    p->dir = (b->flags & FILE_DIR) == FILE_DIR;
    p->link = system == SYSTEM_UNIX && (attributes & 0170000) == 0120000;
    return true;
}

/* ---- blocks ---- */

static int main_block(struct rar_reader *r, struct rar_volume *v, struct block *b)
{
    v->volume = b->flags & MAIN_VOLUME;
    v->first = b->flags & MAIN_FIRST;
    v->main_len = (uint32_t)b->len;
    if (!(b->flags & MAIN_SECRET) || v->headers)
        return 0;
    struct rar_crypt *k = arena_new(r->arena, struct rar_crypt);
    if (!k)
        return -ENOMEM;
    *k = (struct rar_crypt){.version = 4, .salted = true}; /* each header tells its own salt */
    v->headers = k;
    return 0;
}

static int crypt_keep(struct rar_reader *r, struct rar_volume *v, struct file *f)
{
    if (v->last && v->last->crypt && rar_crypt_same(v->last->crypt, &f->crypt)) {
        f->part.crypt = v->last->crypt;
        return 0;
    }
    struct rar_crypt *keep = arena_new(r->arena, struct rar_crypt);
    if (!keep)
        return -ENOMEM;
    *keep = f->crypt;
    f->part.crypt = keep;
    return 0;
}

static int file_block(struct rar_reader *r, struct rar_volume *v, struct block *b, struct file *f)
{
    f->part.name = b->flags & FILE_UNICODE ? rar_name_packed(r->arena, f->name, f->name_len)
                                           : rar_name_plain(r->arena, f->name, f->name_len, true);
    if (!f->part.name)
        return -ENOMEM;
    if (b->flags & FILE_SECRET && crypt_keep(r, v, f))
        return -ENOMEM;
    bool fits = rar_volume_skip(v, b->data, f->part.packed);
    if (!fits)
        f->part.why = ARCHIVE_DAMAGED;
    int e = rar_part_add(r, v, &f->part);
    if (!e && !fits)
        rar_volume_end(v, ARCHIVE_DAMAGED);
    if (!e && f->part.after && v->state == RAR_MORE)
        v->state = RAR_SETTLED;
    return e;
}

/* Comments, rights, signatures: skipped. Behind a recovery record nothing stands but the end. */
static int service_block(struct rar_volume *v, struct block *b, const struct file *f)
{
    if (!rar_volume_skip(v, b->data, f->part.packed))
        return rar_volume_end(v, ARCHIVE_DAMAGED);
    if (f->name_len == 2 && !memcmp(f->name, "RR", 2) && v->state == RAR_MORE)
        v->state = RAR_SETTLED;
    return 0;
}

static int end_block(struct rar_volume *v, struct block *b)
{
    if (b->flags & END_SUM)
        cursor_skip(&b->c, 4);
    uint16_t number = b->flags & END_NUMBER ? cursor_u16(&b->c) : 0;
    v->next = b->flags & END_NEXT;
    if (!b->c.bad && b->flags & END_NUMBER && sum_right(b, b->len)) {
        v->number = number;
        v->numbered = true;
    }
    return rar_volume_end(v, ARCHIVE_OK);
}

/* Anything else, of 2.x and before: old comments, signatures, recovery records. Its sum may not be a CRC. */
static int other_block(struct rar_volume *v, struct block *b)
{
    uint64_t data = b->flags & WITH_DATA ? cursor_u32(&b->c) : 0;
    if (b->c.bad || !rar_volume_skip(v, b->data, data))
        return rar_volume_end(v, ARCHIVE_DAMAGED);
    return 0;
}

static int take(struct rar_reader *r, struct rar_volume *v, struct block *b)
{
    struct file f = {0};
    if (!v->main_len && b->type != MAIN)
        return rar_volume_end(v, ARCHIVE_DAMAGED);
    switch (b->type) {
    case MAIN:
        cursor_skip(&b->c, 6);
        if (b->c.bad || !sum_right(b, b->flags & MAIN_COMMENT ? 13 : b->len))
            return rar_volume_end(v, ARCHIVE_DAMAGED);
        v->at = b->data;
        return main_block(r, v, b);
    case FILE_HEADER:
    case SERVICE:
        /* An old comment within the header is not covered by the sum. */
        if (!file_fields(b, &f) ||
            !(sum_right(b, b->len) ||
              (b->flags & FILE_COMMENT && sum_right(b, (size_t)(b->c.at - b->head)))))
            return rar_volume_end(v, ARCHIVE_DAMAGED);
        return b->type == SERVICE ? service_block(v, b, &f) : file_block(r, v, b, &f);
    case END:
        return end_block(v, b);
    default:
        return other_block(v, b);
    }
}

int rar4_block(struct rar_reader *r, struct rar_volume *v)
{
    struct block b = {0};
    uint8_t *text = NULL;
    enum archive_why why = ARCHIVE_DAMAGED;
    int e = v->headers ? secret_header(r, v, &b, &text, &why) : plain_header(r, v, &b);
    if (e == -EBADMSG)
        e = rar_volume_end(v, why);
    else if (e)
        e = rar_volume_fail(v, e);
    else
        e = take(r, v, &b);
    free(text);
    return e;
}
