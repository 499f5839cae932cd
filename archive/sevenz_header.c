/* sevenz_header — a 7z header in memory, parsed.
 *
 * Every count is held against the bytes that are left before anything is made for it, and every list is read
 * with the sticky cursor: past the end all reads give 0, which is the mark of a list's end. */
#include "archive/sevenz.h"

#include "base/cursor.h"
#include "base/overflow.h"

#define FOLDER_CODERS  32u /* the most that a folder may have */
#define FOLDER_STREAMS 32u

enum mark {
    M_END = 0,
    M_HEADER = 1,
    M_PROPERTIES = 2,
    M_ADDITIONAL = 3,
    M_MAIN = 4,
    M_FILES = 5,
    M_PACK = 6,
    M_UNPACK = 7,
    M_SUBS = 8,
    M_SIZE = 9,
    M_CRC = 10,
    M_FOLDER = 11,
    M_UNPACK_SIZE = 12,
    M_NUM_SUBS = 13,
    M_EMPTY_STREAM = 14,
    M_EMPTY_FILE = 15,
    M_ANTI = 16,
    M_NAMES = 17,
    M_MTIME = 20,
    M_ATTRIBUTES = 21,
    M_PACKED_HEADER = 23,
};

struct parser {
    struct cursor c;
    struct arena *a;
    enum archive_why why;
    bool no_memory;
};

static void fail(struct parser *p, enum archive_why why)
{
    if (!p->c.bad && p->why == ARCHIVE_OK)
        p->why = why;
    p->c.bad = true;
}

/** As many ones as the first byte begins with, so many bytes follow; its other bits are the highest. */
static uint64_t number(struct cursor *c)
{
    unsigned first = cursor_u8(c), mask = 0x80;
    uint64_t v = 0;

    for (unsigned k = 0; k < 8; k++, mask >>= 1) {
        if (!(first & mask))
            return v | (uint64_t)(first & (mask - 1)) << (8 * k);
        v |= (uint64_t)cursor_u8(c) << (8 * k);
    }
    return v;
}

/** A number of things, of which each is to take a byte of what is left. */
static uint32_t count(struct parser *p)
{
    uint64_t n = number(&p->c);

    if (n > cursor_left(&p->c)) {
        fail(p, ARCHIVE_DAMAGED);
        return 0;
    }
    return (uint32_t)n; /* a header is below 4 GiB */
}

static void *make(struct parser *p, size_t n, size_t size)
{
    void *m = p->c.bad ? NULL : arena_calloc(p->a, n, size, 16);
    if (!m && !p->c.bad) {
        p->no_memory = true;
        p->c.bad = true;
    }
    return m;
}

/** Something that we do not know, with its length before it. */
static void pass_over(struct parser *p)
{
    uint64_t len = number(&p->c);
    if (len > cursor_left(&p->c))
        fail(p, ARCHIVE_DAMAGED);
    else
        cursor_skip(&p->c, (size_t)len);
}

static void must_be(struct parser *p, enum mark m)
{
    if (number(&p->c) != m)
        fail(p, ARCHIVE_DAMAGED);
}

struct bits {
    const uint8_t *set; /* NULL: all are, or none */
    bool all;
};

static bool is_set(const struct bits *b, uint32_t k)
{
    return b->set ? b->set[k / 8] >> (7 - k % 8) & 1 : b->all;
}

static struct bits bits_read(struct cursor *c, uint32_t n)
{
    return (struct bits){.set = cursor_bytes(c, ((size_t)n + 7) / 8)};
}

/** The same behind a byte that says that all are set, if they are. */
static struct bits bits_or_all(struct cursor *c, uint32_t n)
{
    if (cursor_u8(c))
        return (struct bits){.all = true};
    return bits_read(c, n);
}

/* --- packed streams --- */

static void pack_sizes(struct parser *p, struct sevenz_streams *st, uint64_t at)
{
    st->pack_off = make(p, st->npacks, sizeof(*st->pack_off));
    st->pack_len = make(p, st->npacks, sizeof(*st->pack_len));
    for (uint32_t k = 0; !p->c.bad && k < st->npacks; k++) {
        st->pack_off[k] = at;
        st->pack_len[k] = number(&p->c);
        if (!add_u64(at, st->pack_len[k], &at))
            fail(p, ARCHIVE_DAMAGED);
    }
}

static void crcs_skip(struct parser *p, uint32_t n)
{
    struct bits has = bits_or_all(&p->c, n);
    for (uint32_t k = 0; !p->c.bad && k < n; k++) {
        if (is_set(&has, k))
            cursor_skip(&p->c, 4);
    }
}

static void pack_parse(struct parser *p, struct sevenz_streams *st)
{
    uint64_t at = number(&p->c), m;

    if (!add_u64(at, SEVENZ_START, &at))
        fail(p, ARCHIVE_DAMAGED);
    st->npacks = count(p);
    while ((m = number(&p->c)) != M_END) {
        if (m == M_SIZE && !st->pack_len)
            pack_sizes(p, st, at);
        else if (m == M_CRC)
            crcs_skip(p, st->npacks);
        else
            pass_over(p);
    }
    if (st->npacks && !st->pack_len)
        fail(p, ARCHIVE_DAMAGED);
}

/* --- folders --- */

/** A folder as the header has it. */
struct raw {
    struct sevenz_coder coders[FOLDER_CODERS];
    uint32_t ncoders, nin, nout, nbinds;
    uint32_t bind_in[FOLDER_STREAMS], bind_out[FOLDER_STREAMS];
    uint32_t packed; /* the first stream that comes from the archive and not out of a coder */
    uint32_t npacked;
    bool simple; /* each coder has one stream in and one out */
};

static enum sevenz_method method_of(uint64_t id)
{
    switch (id) {
    case 0:
        return SEVENZ_COPY;
    case 0x21:
        return SEVENZ_LZMA2;
    case 0x030101:
        return SEVENZ_LZMA;
    case 0x06f10701:
        return SEVENZ_AES;
    default:
        return SEVENZ_OTHER;
    }
}

static uint32_t small(struct parser *p, uint32_t most)
{
    uint64_t n = number(&p->c);
    if (n > most) {
        fail(p, ARCHIVE_DAMAGED);
        return 0;
    }
    return (uint32_t)n;
}

static void coder_parse(struct parser *p, struct raw *r, struct sevenz_coder *c)
{
    unsigned flags = cursor_u8(&p->c), idlen = flags & 15;
    uint64_t id = 0;
    uint32_t in = 1, out = 1;

    if (flags & 0xc0 || idlen > 8)
        fail(p, ARCHIVE_UNKNOWN);
    for (unsigned k = 0; k < idlen; k++)
        id = id << 8 | cursor_u8(&p->c);
    c->method = method_of(id);
    if (flags & 0x10) {
        in = small(p, FOLDER_STREAMS);
        out = small(p, FOLDER_STREAMS);
    }
    r->simple &= in == 1 && out == 1;
    r->nin += in;
    r->nout += out;
    if (flags & 0x20) {
        c->nprops = count(p);
        c->props = cursor_bytes(&p->c, c->nprops);
    }
}

static bool is_among(const uint32_t *list, uint32_t n, uint32_t what)
{
    for (uint32_t k = 0; k < n; k++) {
        if (list[k] == what)
            return true;
    }
    return false;
}

static void binds_parse(struct parser *p, struct raw *r)
{
    if (!r->nout || r->nout > FOLDER_STREAMS || r->nin > FOLDER_STREAMS || r->nin < r->nout) {
        fail(p, ARCHIVE_DAMAGED);
        return;
    }
    r->nbinds = r->nout - 1;
    for (uint32_t k = 0; k < r->nbinds; k++) {
        uint32_t in = small(p, r->nin - 1), out = small(p, r->nout - 1);
        if (is_among(r->bind_in, k, in) || is_among(r->bind_out, k, out))
            fail(p, ARCHIVE_DAMAGED);
        r->bind_in[k] = in;
        r->bind_out[k] = out;
    }
    r->npacked = r->nin - r->nbinds;
    for (uint32_t k = 0; r->npacked > 1 && k < r->npacked; k++)
        (void)small(p, r->nin - 1);
    while (is_among(r->bind_in, r->nbinds, r->packed))
        r->packed++;
}

static void raw_parse(struct parser *p, struct raw *r)
{
    *r = (struct raw){.simple = true};
    r->ncoders = small(p, FOLDER_CODERS);
    for (uint32_t k = 0; !p->c.bad && k < r->ncoders; k++)
        coder_parse(p, r, &r->coders[k]);
    if (!p->c.bad)
        binds_parse(p, r);
}

/** From the packed stream through the coders, each fed by the one before. */
static void chain_follow(struct parser *p, const struct raw *r, struct sevenz_folder *f)
{
    uint32_t at = r->packed, n = 0;

    f->coders = make(p, r->ncoders, sizeof(*f->coders));
    while (!p->c.bad && n < r->ncoders) {
        f->order[n] = (uint8_t)at;
        f->coders[n++] = r->coders[at];
        uint32_t k = 0;
        while (k < r->nbinds && r->bind_out[k] != at)
            k++;
        if (k == r->nbinds)
            break; /* this one's output is the folder's */
        at = r->bind_in[k];
    }
    if (n != r->ncoders || at != f->main)
        fail(p, ARCHIVE_DAMAGED);
    f->ncoders = n;
}

static void folder_parse(struct parser *p, struct sevenz_folder *f)
{
    struct raw r;

    raw_parse(p, &r);
    if (p->c.bad)
        return;
    f->nout = r.nout;
    f->npacks = r.npacked;
    while (is_among(r.bind_out, r.nbinds, f->main))
        f->main++;
    if (r.simple && r.ncoders <= SEVENZ_CODERS)
        chain_follow(p, &r, f);
}

static void folder_sizes(struct parser *p, struct sevenz_folder *f)
{
    for (uint32_t k = 0; k < f->nout; k++) {
        uint64_t size = number(&p->c);
        if (k == f->main)
            f->size = size;
        for (uint32_t c = 0; c < f->ncoders; c++) {
            if (f->order[c] == k)
                f->coders[c].size = size;
        }
    }
}

static void folders_crcs(struct parser *p, struct sevenz_streams *st)
{
    struct bits has = bits_or_all(&p->c, st->nfolders);
    for (uint32_t k = 0; !p->c.bad && k < st->nfolders; k++) {
        st->folders[k].has_crc = is_set(&has, k);
        if (st->folders[k].has_crc)
            st->folders[k].crc = cursor_u32(&p->c);
    }
}

static void unpack_parse(struct parser *p, struct sevenz_streams *st)
{
    uint32_t pack = 0;
    uint64_t m;

    must_be(p, M_FOLDER);
    st->nfolders = count(p);
    if (cursor_u8(&p->c))
        fail(p, ARCHIVE_UNKNOWN); /* told elsewhere: no program writes that */
    st->folders = make(p, st->nfolders, sizeof(*st->folders));
    if (!st->folders)
        st->nfolders = 0;
    for (uint32_t k = 0; !p->c.bad && k < st->nfolders; k++) {
        struct sevenz_folder *f = &st->folders[k];
        folder_parse(p, f);
        f->pack = pack;
        if (f->npacks > st->npacks - pack)
            fail(p, ARCHIVE_DAMAGED);
        else
            pack += f->npacks;
    }
    must_be(p, M_UNPACK_SIZE);
    for (uint32_t k = 0; !p->c.bad && k < st->nfolders; k++)
        folder_sizes(p, &st->folders[k]);
    while ((m = number(&p->c)) != M_END) {
        if (m == M_CRC)
            folders_crcs(p, st);
        else
            pass_over(p);
    }
}

/* --- files within folders --- */

/** One file in each folder, unless it is told otherwise. */
static void subs_default(struct sevenz_streams *st)
{
    for (uint32_t k = 0; k < st->nfolders; k++)
        st->folders[k].nsubs = 1;
}

static void subs_counts(struct parser *p, struct sevenz_streams *st)
{
    for (uint32_t k = 0; !p->c.bad && k < st->nfolders; k++) {
        uint64_t n = number(&p->c);
        if (n > ARCHIVE_MEMBERS)
            fail(p, ARCHIVE_TOO_MUCH);
        else
            st->folders[k].nsubs = (uint32_t)n;
    }
}

static void subs_make(struct parser *p, struct sevenz_streams *st)
{
    uint64_t sum = 0;

    for (uint32_t k = 0; !p->c.bad && k < st->nfolders; k++) {
        st->folders[k].first_sub = (uint32_t)sum;
        sum += st->folders[k].nsubs;
        if (sum > ARCHIVE_MEMBERS)
            fail(p, ARCHIVE_TOO_MUCH);
    }
    st->nsubs = p->c.bad ? 0 : (uint32_t)sum;
    st->subs = make(p, st->nsubs, sizeof(*st->subs));
}

/** All sizes but the last are told; that is what is left. */
static void subs_sizes(struct parser *p, struct sevenz_streams *st, bool told)
{
    for (uint32_t k = 0; !p->c.bad && k < st->nfolders; k++) {
        const struct sevenz_folder *f = &st->folders[k];
        uint64_t left = f->size;
        if (!f->nsubs)
            continue;
        if (f->nsubs > 1 && (!told || f->nsubs - 1 > cursor_left(&p->c)))
            fail(p, ARCHIVE_DAMAGED);
        for (uint32_t s = 0; !p->c.bad && s + 1 < f->nsubs; s++) {
            uint64_t size = number(&p->c);
            if (size > left)
                fail(p, ARCHIVE_DAMAGED);
            st->subs[f->first_sub + s].size = size;
            left -= size;
        }
        if (!p->c.bad)
            st->subs[f->first_sub + f->nsubs - 1].size = left;
    }
}

static bool is_known(const struct sevenz_folder *f)
{
    return f->nsubs == 1 && f->has_crc;
}

/** A folder with one file has told its checksum; the others follow. */
static void subs_folder_crcs(struct sevenz_streams *st)
{
    for (uint32_t k = 0; k < st->nfolders; k++) {
        const struct sevenz_folder *f = &st->folders[k];
        if (is_known(f)) {
            st->subs[f->first_sub].crc = f->crc;
            st->subs[f->first_sub].has_crc = true;
        }
    }
}

static void subs_crcs(struct parser *p, struct sevenz_streams *st)
{
    uint32_t n = 0, at = 0;

    for (uint32_t k = 0; k < st->nfolders; k++)
        n += is_known(&st->folders[k]) ? 0 : st->folders[k].nsubs;
    struct bits has = bits_or_all(&p->c, n);
    for (uint32_t k = 0; !p->c.bad && k < st->nfolders; k++) {
        const struct sevenz_folder *f = &st->folders[k];
        for (uint32_t s = 0; !p->c.bad && !is_known(f) && s < f->nsubs; s++, at++) {
            struct sevenz_sub *sub = &st->subs[f->first_sub + s];
            sub->has_crc = is_set(&has, at);
            if (sub->has_crc)
                sub->crc = cursor_u32(&p->c);
        }
    }
}

static void subs_parse(struct parser *p, struct sevenz_streams *st)
{
    uint64_t m = number(&p->c);

    while (m != M_CRC && m != M_SIZE && m != M_END) {
        if (m == M_NUM_SUBS)
            subs_counts(p, st);
        else
            pass_over(p);
        m = number(&p->c);
    }
    subs_make(p, st);
    subs_sizes(p, st, m == M_SIZE);
    if (p->c.bad)
        return;
    subs_folder_crcs(st);
    if (m == M_SIZE)
        m = number(&p->c);
    for (; m != M_END; m = number(&p->c)) {
        if (m == M_CRC)
            subs_crcs(p, st);
        else
            pass_over(p);
    }
}

static void streams_parse(struct parser *p, struct sevenz_streams *st)
{
    uint64_t m, last = 0;

    while ((m = number(&p->c)) != M_END && !p->c.bad) {
        if (m <= last) /* each once, in this order */
            fail(p, ARCHIVE_DAMAGED);
        last = m;
        if (m == M_PACK) {
            pack_parse(p, st);
        } else if (m == M_UNPACK) {
            unpack_parse(p, st);
            subs_default(st);
        } else if (m == M_SUBS) {
            subs_parse(p, st);
        } else {
            fail(p, ARCHIVE_DAMAGED);
        }
    }
    if (last != M_SUBS && !p->c.bad) {
        subs_make(p, st);
        subs_sizes(p, st, false);
        if (!p->c.bad)
            subs_folder_crcs(st);
    }
}

/* --- files --- */

static void names_parse(struct parser *p, struct cursor c, struct sevenz_header *h)
{
    if (cursor_u8(&c))
        fail(p, ARCHIVE_UNKNOWN);
    for (uint32_t k = 0; !p->c.bad && k < h->nfiles; k++) {
        struct sevenz_file *f = &h->files[k];
        f->name = c.at;
        f->units = 0;
        while (cursor_u16(&c))
            f->units++;
        if (c.bad)
            fail(p, ARCHIVE_DAMAGED);
    }
}

static void times_parse(struct parser *p, struct cursor c, struct sevenz_header *h)
{
    struct bits has = bits_or_all(&c, h->nfiles);
    if (cursor_u8(&c))
        fail(p, ARCHIVE_UNKNOWN);
    for (uint32_t k = 0; !c.bad && k < h->nfiles; k++) {
        h->files[k].has_mtime = is_set(&has, k);
        if (h->files[k].has_mtime)
            h->files[k].mtime = cursor_u64(&c);
    }
    if (c.bad)
        fail(p, ARCHIVE_DAMAGED);
}

static void attributes_parse(struct parser *p, struct cursor c, struct sevenz_header *h)
{
    struct bits has = bits_or_all(&c, h->nfiles);
    if (cursor_u8(&c))
        fail(p, ARCHIVE_UNKNOWN);
    for (uint32_t k = 0; !c.bad && k < h->nfiles; k++) {
        if (is_set(&has, k))
            h->files[k].attributes = cursor_u32(&c);
    }
    if (c.bad)
        fail(p, ARCHIVE_DAMAGED);
}

static void empty_parse(struct parser *p, struct cursor c, struct sevenz_header *h)
{
    struct bits empty = bits_read(&c, h->nfiles);
    if (c.bad)
        fail(p, ARCHIVE_DAMAGED);
    for (uint32_t k = 0; !c.bad && k < h->nfiles; k++)
        h->files[k].has_stream = !is_set(&empty, k);
}

/** One bit for each file that has no stream. */
static void empty_kind(struct parser *p, struct cursor c, struct sevenz_header *h, bool anti)
{
    uint32_t n = 0, at = 0;

    for (uint32_t k = 0; k < h->nfiles; k++)
        n += !h->files[k].has_stream;
    struct bits set = bits_read(&c, n);
    if (c.bad)
        fail(p, ARCHIVE_DAMAGED);
    for (uint32_t k = 0; !c.bad && k < h->nfiles; k++) {
        if (h->files[k].has_stream)
            continue;
        if (anti)
            h->files[k].is_anti = is_set(&set, at++);
        else
            h->files[k].is_empty_file = is_set(&set, at++);
    }
}

static void file_property(struct parser *p, uint64_t m, struct cursor c, struct sevenz_header *h)
{
    switch (m) {
    case M_EMPTY_STREAM:
        empty_parse(p, c, h);
        break;
    case M_EMPTY_FILE:
    case M_ANTI:
        empty_kind(p, c, h, m == M_ANTI);
        break;
    case M_NAMES:
        names_parse(p, c, h);
        break;
    case M_MTIME:
        times_parse(p, c, h);
        break;
    case M_ATTRIBUTES:
        attributes_parse(p, c, h);
        break;
    default: /* other times, padding, comments */
        break;
    }
}

static void files_parse(struct parser *p, struct sevenz_header *h)
{
    uint64_t n = number(&p->c), m, seen = 0;

    if (n > ARCHIVE_MEMBERS)
        fail(p, ARCHIVE_TOO_MUCH);
    else if (n / 8 > cursor_left(&p->c)) /* at least a bit of each, that is or is not empty */
        fail(p, ARCHIVE_DAMAGED);
    h->nfiles = p->c.bad ? 0 : (uint32_t)n;
    h->files = make(p, h->nfiles, sizeof(*h->files));
    for (uint32_t k = 0; h->files && k < h->nfiles; k++)
        h->files[k].has_stream = true;
    while ((m = number(&p->c)) != M_END && !p->c.bad) {
        uint64_t len = number(&p->c);
        /* Each property once, so that no list of a million is gone through for each byte of the header. */
        if (len > cursor_left(&p->c) || (m < 64 && seen >> m & 1))
            fail(p, ARCHIVE_DAMAGED);
        if (p->c.bad)
            break;
        seen |= m < 64 && m != 25 ? UINT64_C(1) << m : 0;
        file_property(p, m, cursor_sub(&p->c, (size_t)len), h);
    }
}

/* --- the whole --- */

static void properties_skip(struct parser *p)
{
    while (number(&p->c) != M_END && !p->c.bad)
        pass_over(p);
}

static void header_parse(struct parser *p, struct sevenz_header *h)
{
    uint64_t m = number(&p->c);

    if (m == M_PROPERTIES) {
        properties_skip(p);
        m = number(&p->c);
    }
    if (m == M_ADDITIONAL)
        fail(p, ARCHIVE_UNKNOWN);
    if (m == M_MAIN) {
        streams_parse(p, &h->streams);
        m = number(&p->c);
    }
    if (m == M_FILES) {
        files_parse(p, h);
        m = number(&p->c);
    }
    if (m != M_END)
        fail(p, ARCHIVE_DAMAGED);
}

int sevenz_header_parse(const uint8_t *data, size_t len, struct arena *a, struct sevenz_header *h,
                        enum archive_why *why)
{
    struct parser p = {.c = cursor_of(data, len), .a = a};

    *h = (struct sevenz_header){0};
    uint64_t m = number(&p.c);
    if (m == M_PACKED_HEADER) {
        h->packed = true;
        streams_parse(&p, &h->streams);
    } else if (m == M_HEADER) {
        header_parse(&p, h);
    } else {
        fail(&p, ARCHIVE_DAMAGED);
    }
    if (p.no_memory)
        return -ENOMEM;
    *why = p.c.bad && p.why == ARCHIVE_OK ? ARCHIVE_DAMAGED : p.why;
    return 0;
}
