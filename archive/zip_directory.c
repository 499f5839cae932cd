/* zip_directory — a ZIP's central directory in memory, parsed. */
#include "archive/convert.h"
#include "archive/zip.h"
#include "base/cursor.h"

#include <sys/stat.h>
#include <zlib.h>

#define ENTRY_MARK   0x02014b50u
#define ENTRY_SIZE   46u
#define HOST_DOS     0u
#define HOST_UNIX    3u
#define HOST_MAC     19u

#define FLAG_PATCHED (1u << 5)
#define FLAG_STRONG  (1u << 6)
#define FLAG_UTF8    (1u << 11)
#define FLAG_MASKED  (1u << 13)

#define METHOD_AES   99u

#define EXTRA_ZIP64  0x0001u
#define EXTRA_NTFS   0x000au
#define EXTRA_TIME   0x5455u
#define EXTRA_NAME   0x7075u

/** An entry as it stands there. */
struct raw {
    uint16_t flags, method, host;
    uint32_t dostime, crc, attributes;
    uint64_t packed, size, local;
    struct cursor name, extra;
    bool bad_zip64;
};

static struct raw raw_parse(struct cursor *c)
{
    struct raw r = {0};

    if (cursor_u32(c) != ENTRY_MARK)
        c->bad = true;
    r.host = cursor_u16(c) >> 8;
    cursor_skip(c, 2); /* version needed */
    r.flags = cursor_u16(c);
    r.method = cursor_u16(c);
    r.dostime = cursor_u32(c);
    r.crc = cursor_u32(c);
    r.packed = cursor_u32(c);
    r.size = cursor_u32(c);
    unsigned name = cursor_u16(c), extra = cursor_u16(c), comment = cursor_u16(c);
    cursor_skip(c, 4); /* disk, internal attributes */
    r.attributes = cursor_u32(c);
    r.local = cursor_u32(c);
    r.name = cursor_sub(c, name);
    r.extra = cursor_sub(c, extra);
    cursor_skip(c, comment);
    return r;
}

/** The extra field of a kind; false: there is none. */
static bool extra_find(struct cursor c, unsigned kind, struct cursor *field)
{
    while (cursor_left(&c) >= 4) {
        unsigned id = cursor_u16(&c), len = cursor_u16(&c);
        *field = cursor_sub(&c, len);
        if (c.bad)
            return false;
        if (id == kind)
            return true;
    }
    return false;
}

/** What had no room in 32 bits, in this order. */
static void zip64_apply(struct raw *r)
{
    struct cursor f;
    uint64_t *wide[] = {&r->size, &r->packed, &r->local};
    bool found = extra_find(r->extra, EXTRA_ZIP64, &f);

    for (unsigned k = 0; k < 3; k++) {
        if (*wide[k] == UINT32_MAX && found)
            *wide[k] = cursor_u64(&f);
    }
    r->bad_zip64 = found && f.bad;
}

static void time_set(const struct raw *r, struct archive_member *m)
{
    struct cursor f, times;

    m->mtime_s = archive_dostime(r->dostime);
    if (extra_find(r->extra, EXTRA_TIME, &f) && cursor_u8(&f) & 1) {
        int32_t t = (int32_t)cursor_u32(&f);
        if (!f.bad)
            m->mtime_s = t;
    }
    if (!extra_find(r->extra, EXTRA_NTFS, &f))
        return;
    cursor_skip(&f, 4);
    if (extra_find(f, 1, &times)) {
        uint64_t t = cursor_u64(&times);
        if (!times.bad && t)
            archive_filetime(t, &m->mtime_s, &m->mtime_ns);
    }
}

/** A name in UTF-8 that was put beside the other, and belongs to it. */
static bool name_beside(const struct raw *r, struct cursor *name)
{
    struct cursor f;

    if (!extra_find(r->extra, EXTRA_NAME, &f) || cursor_u8(&f) != 1 ||
        cursor_u32(&f) != crc32_z(0, r->name.at, cursor_left(&r->name)) || f.bad)
        return false;
    *name = f;
    return archive_is_utf8(f.at, cursor_left(&f));
}

/** Many programs write UTF-8 and do not say so; a name of code page 437 is hardly ever well-formed by accident. */
static char *name_make(struct arena *a, const struct raw *r)
{
    struct cursor name = r->name;

    if (!name_beside(r, &name))
        name = r->name;
    size_t len = cursor_left(&name);
    bool utf8 = archive_is_utf8(name.at, len);
    char *s = utf8 ? arena_alloc(a, len + 1, 1) : archive_cp437(a, name.at, len);
    if (!s)
        return NULL;
    if (utf8 && len)
        memcpy(s, name.at, len);
    if (r->host == HOST_DOS && !strchr(s, '/')) {
        for (char *p = s; *p; p++)
            *p = *p == '\\' ? '/' : *p;
    }
    return s;
}

/** Links and devices. */
static bool is_left_out(const struct raw *r)
{
    uint32_t type = r->host == HOST_UNIX || r->host == HOST_MAC ? r->attributes >> 16 & S_IFMT : 0;

    return type && type != S_IFREG && type != S_IFDIR;
}

static enum archive_why why_not(const struct raw *r, const struct archive_member *m)
{
    if (r->method == METHOD_AES || r->flags & (ZIP_FLAG_CRYPT | FLAG_STRONG | FLAG_MASKED))
        return ARCHIVE_CIPHER;
    if (r->flags & FLAG_PATCHED)
        return ARCHIVE_UNKNOWN;
    if (r->method)
        return ARCHIVE_COMPRESSED;
    return r->bad_zip64 || r->packed != r->size || (m->dir && r->size) ? ARCHIVE_DAMAGED
                                                                       : ARCHIVE_OK;
}

static bool member_make(const struct raw *r, struct arena *a, struct archive_member *m)
{
    char *path = name_make(a, r);
    size_t len = path ? strlen(path) : 0;

    if (!path)
        return false;
    m->dir =
        (len && path[len - 1] == '/') || (r->host == HOST_DOS && r->attributes & 0x10 && !r->size);
    while (len && path[len - 1] == '/')
        path[--len] = '\0';
    m->path = path;
    m->size = m->dir ? 0 : r->size;
    time_set(r, m);
    m->why = m->dir && !r->size ? ARCHIVE_OK : why_not(r, m);
    if (m->dir)
        return true;
    m->sum_kind = ARCHIVE_SUM_CRC32;
    for (unsigned k = 0; k < 4; k++)
        m->sum[k] = (uint8_t)(r->crc >> (8 * k));
    return true;
}

int zip_directory_parse(const uint8_t *data, size_t len, uint64_t count, struct arena *a,
                        struct arena *tmp, struct archive_member **members,
                        struct zip_entry **entries, uint32_t *n, enum archive_why *why)
{
    struct cursor c = cursor_of(data, len);

    *n = 0;
    *why = ARCHIVE_OK;
    if (count > len / ENTRY_SIZE) {
        *why = ARCHIVE_DAMAGED;
        return 0;
    }
    *members = arena_array(a, struct archive_member, (size_t)count);
    *entries = arena_array(tmp, struct zip_entry, (size_t)count);
    if (!*members || !*entries)
        return -ENOMEM;
    for (uint64_t k = 0; k < count; k++) {
        struct raw r = raw_parse(&c);
        if (c.bad) {
            *why = ARCHIVE_DAMAGED;
            return 0;
        }
        zip64_apply(&r);
        if (is_left_out(&r))
            continue;
        struct archive_member *m = &(*members)[*n];
        if (!member_make(&r, a, m))
            return -ENOMEM;
        (*entries)[(*n)++] = (struct zip_entry){.m = m,
                                                .local = r.local,
                                                .name_len = (uint32_t)cursor_left(&r.name),
                                                .extra_len = (uint32_t)cursor_left(&r.extra),
                                                .flags = r.flags,
                                                .method = r.method};
    }
    return 0;
}
