/* sevenz — the reader of 7z archives.
 *
 *     | start header, 32 | packed streams ................ | next header |
 *          |  offset, size and CRC of ---------------------^
 *
 * The next header is mostly packed itself (and then says where the real one is, before it), sometimes enciphered.
 * A folder is a run of bytes that went through coders together; files lie in it one after the other.
 * What is stored went through the copy coder, the AES coder or both; of everything else we only say so. */
#include "archive/sevenz.h"
#include "archive/cipher.h"
#include "archive/convert.h"
#include "archive/joined.h"
#include "archive/keys.h"
#include "base/cursor.h"
#include "base/overflow.h"

#include <openssl/crypto.h>
#include <sys/stat.h>
#include <zlib.h>

#define PACKED_LEVELS 4 /* headers in headers; programs write one */
#define PARSED_MEMORY ((size_t)64 << 20)
#define TAIL          ((size_t)16 << 10) /* where the header is mostly found */
/* Rounds of key derivation that one archive may ask for, with as many salts as it likes. Programs use one salt. */
#define ROUNDS_MOST   (UINT64_C(1) << 25)

struct reader {
    struct archive_set *s;
    struct archive_joined j;
    struct arena tmp; /* what is parsed */
    uint64_t next_off, next_len;
    uint32_t next_crc;
    struct sevenz_header h;
    bool proven;                   /* a password has opened the header */
    enum archive_why password_why; /* none of them is right */
    /* The key derived last. */
    struct sevenz_aes aes;
    unsigned password;
    bool has_key;
    uint8_t key[32];
    uint64_t rounds;
};

/** A folder as a place to find files in. */
struct place {
    enum archive_why why;
    struct archive_cipher cipher;
    uint64_t off, len;                  /* of the packed stream */
    const struct archive_piece *pieces; /* of all of it, where enciphered */
    uint32_t npieces;
    uint32_t used; /* so many of them */
    uint64_t sum;  /* hold so many bytes */
};

static const uint8_t magic[6] = {'7', 'z', 0xbc, 0xaf, 0x27, 0x1c};

static bool is_7z(const uint8_t *head, size_t len)
{
    return len >= sizeof(magic) && memcmp(head, magic, sizeof(magic)) == 0;
}

/* --- keys --- */

static bool is_same_salt(const struct sevenz_aes *a, const struct sevenz_aes *b)
{
    return a->log2_rounds == b->log2_rounds && a->salt_len == b->salt_len &&
           (!a->salt_len || memcmp(a->salt, b->salt, a->salt_len) == 0);
}

static enum archive_why key_make(struct reader *r, const struct sevenz_aes *aes, unsigned i)
{
    bool same = r->has_key && is_same_salt(&r->aes, aes);

    if (same && r->password == i)
        return ARCHIVE_OK;
    if (!same && aes->log2_rounds <= ARCHIVE_KDF_LOG2_MAX) {
        r->rounds += UINT64_C(1) << aes->log2_rounds;
        if (r->rounds > ROUNDS_MOST)
            return ARCHIVE_TOO_MUCH;
    }
    r->has_key = false;
    if (!archive_keys_7z(r->s->keys, i, aes->salt, aes->salt_len, aes->log2_rounds, r->key))
        return sevenz_aes_refused(aes);
    r->aes = *aes;
    r->password = i;
    r->has_key = true;
    return ARCHIVE_OK;
}

/** How the coders of a folder make it streamable, if they do: 0 or one AES coder, and copying. */
static enum archive_why folder_kind(const struct sevenz_folder *f, const struct sevenz_coder **aes)
{
    *aes = NULL;
    if (!f->ncoders)
        return ARCHIVE_COMPRESSED;
    for (uint32_t k = 0; k < f->ncoders; k++) {
        if (f->coders[k].method != SEVENZ_COPY && f->coders[k].method != SEVENZ_AES)
            return ARCHIVE_COMPRESSED;
    }
    for (uint32_t k = 0; k < f->ncoders; k++) {
        if (f->coders[k].method != SEVENZ_AES)
            continue;
        if (*aes)
            return ARCHIVE_CIPHER;
        *aes = &f->coders[k];
    }
    return ARCHIVE_OK;
}

/** Do the sizes between the coders agree? Only enciphering adds anything, to fill its last block. */
static bool is_sound(const struct reader *r, const struct sevenz_folder *f, bool aes)
{
    const struct sevenz_streams *st = &r->h.streams;
    uint64_t off = st->pack_off[f->pack], len = st->pack_len[f->pack], in = len;

    if (off > r->next_off || len > r->next_off - off || (aes && len % 16))
        return false;
    for (uint32_t k = 0; k < f->ncoders; k++) {
        uint64_t out = f->coders[k].size;
        if (out > in || (!aes && out != in))
            return false;
        in = out;
    }
    return len - in < 16;
}

/** The end of a folder's stream, deciphered with password `i`: is it filled up with zeros? */
static enum archive_why pad_try(struct reader *r, const struct sevenz_aes *aes, unsigned i,
                                uint64_t len, const uint8_t tail[32], unsigned pad)
{
    struct archive_cipher c = {.kind = ARCHIVE_AES256_CBC};
    uint8_t text[32];
    size_t n = len > 16 ? 32 : 16;
    enum archive_why why = key_make(r, aes, i);

    if (why)
        return why;
    memcpy(c.key, r->key, sizeof(c.key));
    memcpy(c.iv, aes->iv, sizeof(c.iv));
    memcpy(text, tail, n);
    struct archive_decipher *d = archive_decipher_new(&c);
    OPENSSL_cleanse(&c, sizeof(c));
    bool ok = d && archive_decipher(d, len - n, text, n);
    archive_decipher_free(d);
    if (!ok)
        return ARCHIVE_CIPHER;
    for (unsigned k = 0; k < pad; k++) {
        if (text[n - 1 - k])
            return ARCHIVE_BAD_PASSWORD;
    }
    return ARCHIVE_OK;
}

/** The enciphered folder with the most filling, and how much that is. */
static unsigned pad_find(const struct reader *r, const struct sevenz_folder **at)
{
    const struct sevenz_streams *st = &r->h.streams;
    unsigned most = 0;

    for (uint32_t k = 0; k < st->nfolders; k++) {
        const struct sevenz_folder *f = &st->folders[k];
        const struct sevenz_coder *aes;
        if (folder_kind(f, &aes) || !aes || !is_sound(r, f, true))
            continue;
        unsigned pad = (unsigned)(st->pack_len[f->pack] - aes->size);
        if (pad > most) {
            most = pad;
            *at = f;
        }
    }
    return most;
}

/** Files that are enciphered under a plain header: nothing tells which password is right but the zeros that fill up the
 *  last block. They cost an article. Where they cannot be had, the password that worked last is taken. */
static int password_find(struct reader *r)
{
    const struct sevenz_folder *f = NULL;
    const struct sevenz_coder *c;
    struct sevenz_aes aes;
    unsigned n = archive_keys_count(r->s->keys), pad = r->proven || !n ? 0 : pad_find(r, &f);
    uint8_t tail[32];

    if (!pad || folder_kind(f, &c) || !sevenz_aes_parse(c, &aes))
        return 0;
    uint64_t len = r->h.streams.pack_len[f->pack], end = r->h.streams.pack_off[f->pack] + len;
    size_t have = len > 16 ? 32 : 16;
    int err = archive_bytes_exact(&r->j.b, end - have, tail, have);
    if (err)
        return archive_is_stop(err) || err == -ESTALE ? err : 0;
    for (unsigned t = 0; t < n; t++) {
        unsigned i = (archive_keys_first(r->s->keys) + t) % n;
        r->password_why = pad_try(r, &aes, i, len, tail, pad);
        if (r->password_why == ARCHIVE_OK &&
            pad > 3) /* fewer are zero by accident once in a while */
            archive_keys_worked(r->s->keys, i);
        if (r->password_why != ARCHIVE_BAD_PASSWORD)
            break;
    }
    return 0;
}

/* --- members --- */

static enum archive_why place_cipher(struct reader *r, const struct sevenz_coder *c,
                                     struct place *p)
{
    struct sevenz_aes aes;

    if (!sevenz_aes_parse(c, &aes))
        return ARCHIVE_CIPHER;
    if (!archive_keys_count(r->s->keys))
        return ARCHIVE_NO_PASSWORD;
    if (r->password_why)
        return r->password_why;
    enum archive_why why =
        key_make(r, &aes, r->has_key && !r->proven ? r->password : archive_keys_first(r->s->keys));
    if (why)
        return why;
    p->cipher.kind = ARCHIVE_AES256_CBC;
    memcpy(p->cipher.key, r->key, sizeof(p->cipher.key));
    memcpy(p->cipher.iv, aes.iv, sizeof(p->cipher.iv));
    return ARCHIVE_OK;
}

static int place_open(struct reader *r, const struct sevenz_folder *f, struct place *p)
{
    const struct sevenz_coder *aes;

    *p = (struct place){.why = folder_kind(f, &aes)};
    if (p->why)
        return 0;
    if (!is_sound(r, f, aes != NULL)) {
        p->why = ARCHIVE_DAMAGED;
        return 0;
    }
    p->off = r->h.streams.pack_off[f->pack];
    p->len = r->h.streams.pack_len[f->pack];
    if (!aes)
        return 0;
    p->why = place_cipher(r, aes, p);
    return p->why
               ? 0
               : archive_joined_pieces(&r->j, r->s->arena, p->off, p->len, &p->pieces, &p->npieces);
}

/** A file at `skip` in the folder. Plain ones get pieces of their own; an enciphered stream is read from its beginning
 *  as far as CBC is concerned, and its files share the folder's. */
static int member_place(struct reader *r, struct place *p, uint64_t skip, struct archive_member *m)
{
    m->why = p->why;
    if (p->why || !m->size)
        return 0;
    if (p->cipher.kind == ARCHIVE_PLAIN)
        return archive_joined_pieces(&r->j, r->s->arena, p->off + skip, m->size, &m->pieces,
                                     &m->npieces);
    m->skip = skip;
    m->cipher = p->cipher;
    while (p->used < p->npieces && p->sum < skip + m->size)
        p->sum += p->pieces[p->used++].len;
    m->pieces = p->pieces;
    m->npieces = p->used;
    return 0;
}

/** Links, devices, and what only says that a file is to be deleted. */
static bool is_left_out(const struct sevenz_file *f)
{
    uint32_t mode = f->attributes & 0x8000 ? f->attributes >> 16 & S_IFMT : 0;

    return f->is_anti || f->attributes & 0x400 || (mode && mode != S_IFREG && mode != S_IFDIR);
}

static bool member_describe(struct reader *r, const struct sevenz_file *f, struct archive_member *m)
{
    m->path = archive_utf16(r->s->arena, f->name, f->units);
    m->mtime_s = INT64_MIN;
    if (f->has_mtime)
        archive_filetime(f->mtime, &m->mtime_s, &m->mtime_ns);
    m->dir = !f->has_stream && !f->is_empty_file;
    return m->path != NULL;
}

static void member_sum(struct archive_member *m, const struct sevenz_sub *sub)
{
    if (!sub->has_crc)
        return;
    m->sum_kind = ARCHIVE_SUM_CRC32;
    for (unsigned k = 0; k < 4; k++)
        m->sum[k] = (uint8_t)(sub->crc >> (8 * k));
}

/** Where in the folders the files have got to. */
struct walk {
    uint32_t folder, sub; /* the folder, and the file in it */
    uint64_t skip;
    struct place place;
};

/** The next file with bytes. */
static int walk_next(struct reader *r, struct walk *w, const struct sevenz_file *f,
                     struct archive_member *m)
{
    const struct sevenz_streams *st = &r->h.streams;

    while (w->folder < st->nfolders && w->sub == st->folders[w->folder].nsubs) {
        w->folder++;
        w->sub = 0;
    }
    if (w->folder == st->nfolders) {
        m->why = ARCHIVE_DAMAGED;
        return 0;
    }
    const struct sevenz_folder *at = &st->folders[w->folder];
    const struct sevenz_sub *sub = &st->subs[at->first_sub + w->sub];
    int err = 0;
    if (!w->sub++) {
        w->skip = 0;
        err = place_open(r, at, &w->place);
    }
    m->size = sub->size;
    member_sum(m, sub);
    if (!err && !is_left_out(f))
        err = member_place(r, &w->place, w->skip, m);
    w->skip += sub->size;
    return err;
}

static int members_make(struct reader *r)
{
    struct archive_set *s = r->s;
    struct archive_member *members = arena_array(s->arena, struct archive_member, r->h.nfiles);
    struct walk w = {0};
    uint32_t n = 0;
    int err = members ? password_find(r) : -ENOMEM;

    for (uint32_t k = 0; !err && k < r->h.nfiles; k++) {
        const struct sevenz_file *f = &r->h.files[k];
        struct archive_member m = {0};
        if (f->has_stream)
            err = walk_next(r, &w, f, &m);
        if (!err && !is_left_out(f)) {
            err = member_describe(r, f, &m) ? 0 : -ENOMEM;
            members[n++] = m;
        }
    }
    OPENSSL_cleanse(&w.place.cipher, sizeof(w.place.cipher));
    if (err)
        return err;
    s->members = members;
    s->nmembers = n;
    return 0;
}

/* --- headers --- */

static enum archive_why start_parse(struct reader *r, const uint8_t head[SEVENZ_START])
{
    struct cursor c = cursor_of(head, SEVENZ_START);

    if (!is_7z(head, SEVENZ_START))
        return ARCHIVE_UNKNOWN;
    cursor_skip(&c, sizeof(magic));
    unsigned major = cursor_u8(&c);
    cursor_skip(&c, 1);
    if (crc32_z(0, head + 12, 20) != cursor_u32(&c))
        return ARCHIVE_DAMAGED;
    if (major)
        return ARCHIVE_UNKNOWN;
    r->next_off = cursor_u64(&c);
    r->next_len = cursor_u64(&c);
    r->next_crc = cursor_u32(&c);
    uint64_t end;
    if (!add_u64(r->next_off, SEVENZ_START, &r->next_off) ||
        !add_u64(r->next_off, r->next_len, &end))
        return ARCHIVE_DAMAGED;
    return r->next_len > ARCHIVE_HEADER ? ARCHIVE_TOO_MUCH : ARCHIVE_OK;
}

/** The next header, as it stands there. 0 with `why` of the set. */
static int next_read(struct reader *r, uint8_t **data)
{
    struct archive_set *s = r->s;
    uint64_t end = r->next_off + r->next_len;

    if (r->j.size < end) {
        s->why = s->nvolumes > 1 ? ARCHIVE_VOLUME_LACKS : ARCHIVE_DAMAGED;
        return 0;
    }
    for (uint32_t v = 0; r->j.size != end && v < s->nvolumes; v++) {
        if (!s->volumes[v].read) /* what was reckoned does not add up */
            return -ESTALE;
    }
    *data = arena_alloc(&r->tmp, (size_t)r->next_len, 1);
    if (!*data)
        return -ENOMEM;
    archive_bytes_want(&r->j.b, r->next_off, (size_t)r->next_len);
    int err = archive_bytes_exact(&r->j.b, r->next_off, *data, (size_t)r->next_len);
    if (!err && crc32_z(0, *data, (size_t)r->next_len) != r->next_crc)
        s->why = ARCHIVE_DAMAGED;
    return err;
}

/** Unpack until it is a header that is not packed. */
static int header_read(struct reader *r)
{
    struct archive_set *s = r->s;
    uint8_t *data = NULL;
    size_t len = (size_t)r->next_len;
    int err = next_read(r, &data);

    for (unsigned level = 0; !err && !s->why; level++) {
        err = sevenz_header_parse(data, len, &r->tmp, &r->h, &s->why);
        if (err || s->why || !r->h.packed)
            break;
        if (level == PACKED_LEVELS) {
            s->why = ARCHIVE_TOO_MUCH;
            break;
        }
        err = sevenz_unpack(&r->j, &r->h.streams, &r->tmp, &data, &len, &r->proven, &s->why);
    }
    return err;
}

static int attempt(struct reader *r)
{
    arena_fini(&r->tmp);
    r->s->why = ARCHIVE_OK;
    r->has_key = r->proven = false;
    r->password_why = ARCHIVE_OK;
    r->rounds = 0;
    if (!r->next_len) /* nothing is in it */
        return 0;
    int err = header_read(r);
    return err || r->s->why ? err : members_make(r);
}

/** Sizes that were reckoned may be why it does not go: then once more with what they are. */
static int volumes_read(struct reader *r)
{
    struct archive_set *s = r->s;
    int err = archive_joined_init(&r->j, s);

    if (!err)
        err = attempt(r);
    if (err == -ESTALE || (!err && (s->why == ARCHIVE_DAMAGED || s->why == ARCHIVE_VOLUME_LACKS))) {
        int again = archive_joined_measure(&r->j);
        if (again)
            err = again < 0 ? again : attempt(r);
    }
    return err;
}

static void want_ends(const struct archive_set *s)
{
    const struct archive_volume *last = &s->volumes[s->nvolumes - 1];

    archive_bytes_want(s->volumes[0].bytes, 0, SEVENZ_START);
    if (last->guess > TAIL)
        archive_bytes_want(last->bytes, last->guess - TAIL, TAIL);
}

static int set_read(struct archive_set *s)
{
    struct reader r = {.s = s, .tmp.limit = PARSED_MEMORY};
    uint8_t head[SEVENZ_START];
    bool told = false;

    s->members = NULL;
    s->nmembers = 0;
    s->why = ARCHIVE_OK;
    s->format = "7z";
    if (!s->nvolumes) {
        s->why = ARCHIVE_VOLUME_LACKS;
        return 0;
    }
    int err = archive_joined_order(s, is_7z, &told);
    if (!err && !told)
        s->why = ARCHIVE_UNKNOWN;
    if (err || s->why)
        return err;
    want_ends(s);
    err = archive_bytes_exact(s->volumes[0].bytes, 0, head, sizeof(head));
    if (!err)
        s->why = start_parse(&r, head);
    if (!err && !s->why)
        err = volumes_read(&r);
    arena_fini(&r.tmp);
    OPENSSL_cleanse(&r, sizeof(r));
    return err ? archive_joined_failed(s, err) : 0;
}

const struct archive_format archive_7z = {.name = "7z", .is = is_7z, .read = set_read};
