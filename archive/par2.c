/* par2 — FileDesc packets found, checked, and kept once. */
#include "archive/par2.h"

#include "base/cursor.h"
#include "base/hash.h"
#include "base/utf8.h"

#include <openssl/evp.h>
#include <stdlib.h>

/* PAR2 2.0: magic 8, length 8, MD5 16, set 16, type 16; a FileDesc goes on with id 16, MD5 16, MD5 of the first
 * 16 KiB 16, length 8, and the name, padded with NULs to a multiple of 4. */
#define HEADER    64u
#define FILEDESC  (HEADER + 56u)
#define NAME_MOST 4096u

/* What is read at once: many small packets of an index, not a recovery slice. */
#define WINDOW    32768u

static const uint8_t packet_magic[8] = {'P', 'A', 'R', '2', 0, 'P', 'K', 'T'};
static const uint8_t filedesc_type[16] = {'P', 'A', 'R', ' ', '2', '.', '0', 0,
                                          'F', 'i', 'l', 'e', 'D', 'e', 's', 'c'};

bool par2_is(const uint8_t *head, size_t len)
{
    return len >= sizeof(packet_magic) && !memcmp(head, packet_magic, sizeof(packet_magic));
}

struct reading {
    struct archive_bytes *b;
    uint64_t size, most; /* of the file; that may still be read */
    uint64_t at;         /* buf holds [at, at + len) */
    size_t len;
    uint8_t *buf; /* WINDOW */
    struct arena *arena;
    struct par2 *out;
    uint32_t *slots; /* of out->files, by hash; UINT32_MAX: empty */
    size_t mask;
};

/* ---- bytes ---- */

/* At least `need` bytes (at most WINDOW) at `off`. 0; -ENODATA: not to be had; -EINTR, -ETIMEDOUT. */
static int window(struct reading *r, uint64_t off, size_t need)
{
    if (off >= r->at && off - r->at <= r->len && need <= r->len - (off - r->at))
        return 0;
    if (off >= r->size || need > r->size - off || need > r->most)
        return -ENODATA;
    size_t len = WINDOW;
    if (len > r->size - off)
        len = (size_t)(r->size - off);
    if (len > r->most)
        len = (size_t)r->most;
    r->most -= len;
    r->at = off;
    r->len = 0;
    while (r->len < need) {
        ssize_t n = archive_bytes_read(r->b, off + r->len, r->buf + r->len, len - r->len);
        if (n == -EINTR || n == -ETIMEDOUT || n == -ENOMEM)
            return (int)n;
        if (n <= 0)
            return -ENODATA;
        r->len += (size_t)n;
    }
    return 0;
}

static const uint8_t *here(const struct reading *r, uint64_t off)
{
    return r->buf + (off - r->at);
}

/* ---- files ---- */

static uint64_t file_hash(const struct par2_file *f)
{
    return hash_bytes(f->md5_16k, 16) ^ hash_bytes(f->name, strlen(f->name)) ^ f->size;
}

static bool file_same(const struct par2_file *a, const struct par2_file *b)
{
    return a->size == b->size && !memcmp(a->md5_16k, b->md5_16k, 16) &&
           !memcmp(a->md5, b->md5, 16) && !strcmp(a->name, b->name);
}

/* Its slot, or the empty one where it belongs. */
static size_t file_slot(const struct reading *r, const struct par2_file *f)
{
    size_t i = (size_t)file_hash(f) & r->mask;

    while (r->slots[i] != UINT32_MAX && !file_same(&r->out->files[r->slots[i]], f))
        i = (i + 1) & r->mask;
    return i;
}

/* The names of 8-bit times are taken for Windows-1252. */
static char *name_of(struct arena *a, const uint8_t *s, size_t len)
{
    char *out = arena_alloc(a, 3 * len + 1, 1);
    size_t n = 0;

    for (size_t i = 0; out && i < len;) {
        uint32_t cp;
        size_t step = utf8_decode(s + i, len - i, &cp);
        if (!step) {
            cp = utf8_of_cp1252(s[i]);
            step = 1;
        }
        i += step;
        n += utf8_encode(cp, out + n);
    }
    return out;
}

static int file_add(struct reading *r, struct par2_file f)
{
    struct par2 *p = r->out;
    size_t slot = file_slot(r, &f);

    if (r->slots[slot] != UINT32_MAX || p->nfiles >= PAR2_FILES)
        return 0;
    if (!p->nfiles || (p->nfiles >= 16 && !(p->nfiles & (p->nfiles - 1)))) {
        struct par2_file *more =
            arena_array(r->arena, struct par2_file, p->nfiles ? 2 * (size_t)p->nfiles : 16);
        if (!more)
            return -ENOMEM;
        if (p->nfiles)
            memcpy(more, p->files, p->nfiles * sizeof(*more));
        p->files = more;
    }
    r->slots[slot] = p->nfiles;
    p->files[p->nfiles++] = f;
    return 0;
}

/* A FileDesc of `len` bytes at p, header and all. */
static int filedesc(struct reading *r, const uint8_t *p, size_t len)
{
    struct cursor c = cursor_of(p + FILEDESC - 8, 8);
    struct par2_file f = {.size = cursor_u64(&c)};
    const char *name = (const char *)p + FILEDESC;
    size_t n = strnlen(name, len - FILEDESC);
    uint8_t md5[16];

    if (!EVP_Digest(p + 32, len - 32, md5, NULL, EVP_md5(), NULL))
        return -ENOMEM;
    if (memcmp(md5, p + 16, 16) || !n)
        return 0;
    memcpy(f.md5, p + HEADER + 16, 16);
    memcpy(f.md5_16k, p + HEADER + 32, 16);
    f.name = name_of(r->arena, p + FILEDESC, n);
    return f.name ? file_add(r, f) : -ENOMEM;
}

/* ---- packets ---- */

/* The next packet at or behind `off`: where, or the file's size. Packets begin at multiples of 4. */
static int find(struct reading *r, uint64_t off, uint64_t *at)
{
    for (;; off += 4) {
        int e = window(r, off, HEADER);
        if (e)
            return e;
        if (par2_is(here(r, off), HEADER)) {
            *at = off;
            return 0;
        }
    }
}

static int packets(struct reading *r)
{
    uint64_t off = 0;
    int e;

    while (!(e = find(r, off, &off))) {
        struct cursor c = cursor_of(here(r, off) + 8, 8);
        uint64_t len = cursor_u64(&c);
        bool is_desc = !memcmp(here(r, off) + 48, filedesc_type, sizeof(filedesc_type));
        if (len < HEADER || len % 4 || len > r->size - off) {
            off += 4; /* damaged: the next one may not be */
            continue;
        }
        if (is_desc && len > FILEDESC && len <= FILEDESC + NAME_MOST) {
            e = window(r, off, (size_t)len);
            if (e)
                break;
            e = filedesc(r, here(r, off), (size_t)len);
            if (e)
                break;
        }
        off += len;
    }
    return e == -ENODATA ? 0 : e;
}

static bool slots_init(struct reading *r)
{
    r->mask = 2 * (size_t)PAR2_FILES - 1;
    r->slots = malloc((r->mask + 1) * sizeof(*r->slots));
    if (!r->slots)
        return false;
    memset(r->slots, 0xff, (r->mask + 1) * sizeof(*r->slots));
    for (uint32_t i = 0; i < r->out->nfiles; i++)
        r->slots[file_slot(r, &r->out->files[i])] = i;
    return true;
}

int par2_read(struct archive_bytes *b, uint64_t most, struct arena *a, struct par2 *out)
{
    struct reading r = {.b = b, .most = most, .arena = a, .out = out};
    int e = archive_bytes_size(b, &r.size);

    if (e)
        return e == -EINTR || e == -ETIMEDOUT || e == -ENOMEM ? e : 0;
    r.buf = malloc(WINDOW);
    e = r.buf && slots_init(&r) ? packets(&r) : -ENOMEM;
    free(r.buf);
    free(r.slots);
    return e;
}

const struct par2_file *par2_match(const struct par2 *p, const uint8_t md5_16k[16], uint64_t size)
{
    const struct par2_file *found = NULL;

    for (uint32_t i = 0; i < p->nfiles; i++) {
        const struct par2_file *f = &p->files[i];
        if (f->size != size || memcmp(f->md5_16k, md5_16k, 16))
            continue;
        if (found && strcmp(found->name, f->name))
            return NULL;
        found = f;
    }
    return found;
}
