#include "tests/lib/zipmaker.h"
#include "tests/lib/made_internal.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>

enum { BIT_DESCRIPTOR = 0x0008, BIT_UTF8 = 0x0800 };
enum {
    EXTRA_ZIP64 = 0x0001,
    EXTRA_NTFS = 0x000a,
    EXTRA_UNIX_TIME = 0x5455,
    EXTRA_UNICODE = 0x7075
};

#define NTFS_EPOCH_S 11644473600

/* The letters beyond ASCII that tests use, in UTF-8 and in code page 437. */
static const struct {
    const char *utf8;
    uint8_t byte;
} cp437[] = {{"ü", 0x81}, {"é", 0x82}, {"ä", 0x84}, {"ö", 0x94},
             {"Ä", 0x8e}, {"Ö", 0x99}, {"Ü", 0x9a}, {"ß", 0xe1}};

struct zip {
    struct made *m;
    const struct zipmaker_options *o;
    struct made_buf directory;
};

/* A member's header fields, which stand in two places. */
struct entry {
    const struct made_file *file;
    struct made_buf name;
    uint64_t size, offset;
    uint32_t crc;
    unsigned flags, method;
};

static void name_cp437(const char *name, struct made_buf *b)
{
    while (*name) {
        size_t k = 0, n = sizeof(cp437) / sizeof(cp437[0]);
        while (k < n && strncmp(name, cp437[k].utf8, strlen(cp437[k].utf8)) != 0)
            k++;
        if (k < n) {
            made_buf_le(b, cp437[k].byte, 1);
            name += strlen(cp437[k].utf8);
        } else if ((uint8_t)*name >= 0x80) {
            made_buf_text(b, "_");
            for (name++; ((uint8_t)*name & 0xc0) == 0x80; name++)
                ;
        } else
            made_buf_put(b, name++, 1);
    }
}

static void name_make(const struct zip *z, const struct made_file *f, struct entry *e)
{
    if (z->o->cp437 || z->o->unicode_path)
        name_cp437(f->name, &e->name);
    else {
        made_buf_text(&e->name, f->name);
        e->flags |= BIT_UTF8;
    }
    if (f->dir)
        made_buf_text(&e->name, "/");
}

static uint32_t dos_time(int64_t s)
{
    time_t when = (time_t)s;
    struct tm t;
    if (!gmtime_r(&when, &t) || t.tm_year < 80)
        return 0x00210000;
    return (uint32_t)((t.tm_year - 80) << 25 | (t.tm_mon + 1) << 21 | t.tm_mday << 16 |
                      t.tm_hour << 11 | t.tm_min << 5 | t.tm_sec / 2);
}

static void extra_times(const struct zip *z, const struct made_file *f, bool central,
                        struct made_buf *b)
{
    if (z->o->dos_times)
        return;
    if (z->o->precise_times && central) {
        uint64_t ticks = (uint64_t)(f->mtime_s + NTFS_EPOCH_S) * 10000000 + f->mtime_ns / 100;
        made_buf_le(b, EXTRA_NTFS, 2);
        made_buf_le(b, 32, 2);
        made_buf_le(b, 0, 4);
        made_buf_le(b, 1, 2);
        made_buf_le(b, 24, 2);
        for (unsigned k = 0; k < 3; k++)
            made_buf_le(b, ticks, 8);
    } else if (!z->o->precise_times) {
        made_buf_le(b, EXTRA_UNIX_TIME, 2);
        made_buf_le(b, 5, 2);
        made_buf_le(b, 1, 1);
        made_buf_le(b, (uint64_t)f->mtime_s, 4);
    }
}

static bool is_zip64(const struct zip *z, const struct entry *e)
{
    return z->o->zip64 || e->size >= UINT32_MAX || e->offset >= UINT32_MAX;
}

static void extras_make(const struct zip *z, const struct entry *e, bool central,
                        struct made_buf *b)
{
    if (is_zip64(z, e)) {
        bool later = !central && (e->flags & BIT_DESCRIPTOR);
        made_buf_le(b, EXTRA_ZIP64, 2);
        made_buf_le(b, central ? 24 : 16, 2);
        made_buf_le(b, later ? 0 : e->size, 8);
        made_buf_le(b, later ? 0 : e->size, 8);
        if (central)
            made_buf_le(b, e->offset, 8);
    }
    extra_times(z, e->file, central, b);
    if (z->o->unicode_path) {
        size_t len = strlen(e->file->name) + e->file->dir;
        made_buf_le(b, EXTRA_UNICODE, 2);
        made_buf_le(b, 5 + len, 2);
        made_buf_le(b, 1, 1);
        made_buf_le(b, crc32(0, e->name.p, (uInt)e->name.len), 4);
        made_buf_text(b, e->file->name);
        if (e->file->dir)
            made_buf_text(b, "/");
    }
}

/* From the version needed to the length of the extra field: the same in both places. */
static void common_put(const struct zip *z, const struct entry *e, bool central, size_t extra_len,
                       struct made_buf *b)
{
    bool later = !central && (e->flags & BIT_DESCRIPTOR), wide = is_zip64(z, e);
    uint64_t size = later ? 0 : wide ? UINT32_MAX : e->size;
    made_buf_le(b, wide ? 45 : 20, 2);
    made_buf_le(b, e->flags, 2);
    made_buf_le(b, e->method, 2);
    made_buf_le(b, dos_time(e->file->mtime_s), 4);
    made_buf_le(b, later ? 0 : e->crc, 4);
    /* A 64-bit descriptor is announced by the marks of ZIP64 here. */
    made_buf_le(b, later && wide ? UINT32_MAX : size, 4);
    made_buf_le(b, later && wide ? UINT32_MAX : size, 4);
    made_buf_le(b, e->name.len, 2);
    made_buf_le(b, extra_len, 2);
}

static void local_put(struct zip *z, const struct entry *e)
{
    struct made_buf b = {0}, extra = {0}, name = {0};
    extras_make(z, e, false, &extra);
    made_buf_text(&b, "PK\3\4");
    common_put(z, e, false, extra.len, &b);
    made_buf_put(&name, e->name.p, e->name.len);
    if (z->o->local_name_differs)
        memset(name.p, 'x', name.len);
    made_buf_put(&b, name.p, name.len);
    made_buf_put(&b, extra.p, extra.len);
    made_put(z->m, b.p, b.len);
    made_buf_fini(&b);
    made_buf_fini(&extra);
    made_buf_fini(&name);
}

static void central_put(struct zip *z, const struct entry *e)
{
    struct made_buf *b = &z->directory, extra = {0};
    const char *comment = z->o->comments ? "about this member" : "";
    extras_make(z, e, true, &extra);
    made_buf_text(b, "PK\1\2");
    made_buf_le(b, 3 << 8 | 45, 2);
    common_put(z, e, true, extra.len, b);
    made_buf_le(b, strlen(comment), 2);
    made_buf_le(b, 0, 2);
    made_buf_le(b, 0, 2);
    made_buf_le(b, (e->file->dir ? 040755u : 0100644u) << 16, 4);
    made_buf_le(b, is_zip64(z, e) ? UINT32_MAX : e->offset, 4);
    made_buf_put(b, e->name.p, e->name.len);
    made_buf_put(b, extra.p, extra.len);
    made_buf_text(b, comment);
    made_buf_fini(&extra);
}

static void descriptor_put(struct zip *z, const struct entry *e)
{
    struct made_buf b = {0};
    unsigned n = is_zip64(z, e) ? 8 : 4;
    made_buf_text(&b, "PK\7\10");
    made_buf_le(&b, e->crc, 4);
    made_buf_le(&b, e->size, n);
    made_buf_le(&b, e->size, n);
    made_put(z->m, b.p, b.len);
    made_buf_fini(&b);
}

static void gap_put(struct zip *z, size_t len)
{
    struct made_buf b = {0};
    made_buf_fill(&b, z->o->seed + 5, len);
    made_put(z->m, b.p, b.len);
    made_buf_fini(&b);
}

static void member_add(struct zip *z, uint32_t file)
{
    const struct made_file *f = &z->m->files[file];
    struct entry e = {.file = f,
                      .size = f->dir ? 0 : f->len,
                      .offset = z->m->volumes[0].size - z->o->prefix,
                      .method = f->compressed ? 8 : 0};
    e.crc = f->dir ? 0 : z->o->no_sum ? 0x12345678 : made_file_crc(z->m, file);
    if (z->o->descriptors && !f->dir)
        e.flags |= BIT_DESCRIPTOR;
    name_make(z, f, &e);
    local_put(z, &e);
    made_put_file(z->m, file, 0, e.size);
    if (e.flags & BIT_DESCRIPTOR)
        descriptor_put(z, &e);
    central_put(z, &e);
    gap_put(z, z->o->gap);
    made_buf_fini(&e.name);
}

static void end_put(struct zip *z)
{
    struct made_buf b = {0};
    uint64_t offset = z->m->volumes[0].size - z->o->prefix, len = z->directory.len;
    uint64_t n = z->m->nfiles;
    const char *comment = z->o->comment ? z->o->comment : "";
    bool wide = z->o->zip64 || offset >= UINT32_MAX || n >= UINT16_MAX;
    made_put(z->m, z->directory.p, z->directory.len);
    if (wide) {
        made_buf_text(&b, "PK\6\6");
        made_buf_le(&b, 44, 8);
        made_buf_le(&b, 45, 2);
        made_buf_le(&b, 45, 2);
        made_buf_le(&b, 0, 8);
        made_buf_le(&b, n, 8);
        made_buf_le(&b, n, 8);
        made_buf_le(&b, len, 8);
        made_buf_le(&b, offset, 8);
        made_buf_text(&b, "PK\6\7");
        made_buf_le(&b, 0, 4);
        made_buf_le(&b, offset + len, 8);
        made_buf_le(&b, 1, 4);
    }
    made_buf_text(&b, "PK\5\6");
    made_buf_le(&b, 0, 4);
    made_buf_le(&b, wide ? UINT16_MAX : n, 2);
    made_buf_le(&b, wide ? UINT16_MAX : n, 2);
    made_buf_le(&b, wide ? UINT32_MAX : len, 4);
    made_buf_le(&b, wide ? UINT32_MAX : offset, 4);
    made_buf_le(&b, strlen(comment), 2);
    made_buf_text(&b, comment);
    made_put(z->m, b.p, b.len);
    made_buf_fini(&b);
}

struct made *zipmaker_make(const struct zipmaker_options *o, const struct made_file *files,
                           uint32_t nfiles)
{
    struct zip z = {.m = made_new(files, nfiles), .o = o};
    made_volume_add(z.m);
    gap_put(&z, o->prefix);
    for (uint32_t i = 0; i < nfiles; i++)
        member_add(&z, i);
    end_put(&z);
    made_buf_fini(&z.directory);
    made_volume_name(z.m, 0, "%s.zip", o->base ? o->base : "set");
    return z.m;
}
