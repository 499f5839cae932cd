/* rar_volume — from block to block of one volume, through a small window. */
#include "archive/rar.h"

#include "base/overflow.h"

#include <stdlib.h>

/* How far a self-extracting archive's marker is looked for: modules have 100 to 400 KiB. */
#define SFX_MOST    ((size_t)1 << 20)

/* Blocks of one set: two for each member it may have. A volume that is full of empty blocks ends here. */
#define BLOCKS_MOST (2 * ARCHIVE_MEMBERS)

/* ---- the window ---- */

static bool window_grow(struct rar_window *w, size_t room)
{
    if (room <= w->room)
        return true;
    free(w->buf); /* what was in it is read anew */
    w->have = 0;
    w->room = 0;
    w->buf = malloc(room);
    if (!w->buf)
        return false;
    w->room = room;
    return true;
}

static bool window_holds(const struct rar_window *w, const struct archive_bytes *b, uint64_t off,
                         size_t len)
{
    return w->bytes == b && off >= w->off && off - w->off <= w->have &&
           len <= w->have - (size_t)(off - w->off);
}

int rar_window_get(struct rar_window *w, struct archive_bytes *b, uint64_t off, size_t len,
                   const uint8_t **at)
{
    if (!window_holds(w, b, off, len)) {
        size_t most = len > RAR_WINDOW ? len : RAR_WINDOW;
        if (!window_grow(w, most))
            return -ENOMEM;
        w->bytes = b;
        w->off = off;
        w->have = 0;
        while (w->have < len) {
            ssize_t n = archive_bytes_read(b, off + w->have, w->buf + w->have, most - w->have);
            if (n < 0)
                return (int)n;
            if (n == 0)
                return -ENODATA;
            w->have += (size_t)n;
        }
    }
    *at = w->buf + (size_t)(off - w->off);
    return 0;
}

void rar_window_free(struct rar_window *w)
{
    free(w->buf);
    *w = (struct rar_window){0};
}

/* ---- ends and failures ---- */

int rar_volume_end(struct rar_volume *v, enum archive_why why)
{
    v->state = RAR_ENDED;
    if (v->why == ARCHIVE_OK)
        v->why = why;
    return 0;
}

int rar_volume_fail(struct rar_volume *v, int r)
{
    if (r == -EINTR || r == -ETIMEDOUT || r == -ENOMEM)
        return r;
    return rar_volume_end(v, r == -ENODATA ? ARCHIVE_DAMAGED : ARCHIVE_UNREADABLE);
}

bool rar_volume_skip(struct rar_volume *v, uint64_t data, uint64_t len)
{
    uint64_t end;
    if (!add_u64(data, len, &end) || end > v->size)
        return false;
    v->at = end;
    return true;
}

int rar_part_add(struct rar_reader *r, struct rar_volume *v, const struct rar_part *p)
{
    if (r->nparts == ARCHIVE_MEMBERS)
        return rar_volume_end(v, ARCHIVE_TOO_MUCH);
    struct rar_part *n = arena_new(r->arena, struct rar_part);
    if (!n)
        return -ENOMEM;
    *n = *p;
    n->next = NULL;
    if (v->last)
        v->last->next = n;
    else
        v->parts = n;
    v->last = n;
    r->nparts++;
    return 0;
}

/* ---- going on ---- */

/* The marker; further in behind a program. */
static int begin(struct rar_reader *r, struct rar_volume *v)
{
    const uint8_t *head;
    size_t len = 8, marker = SIZE_MAX;
    int e = rar_window_get(&r->win, v->bytes, 0, len, &head);
    if (!e)
        e = archive_bytes_size(v->bytes, &v->size);
    if (e)
        return rar_volume_fail(v, e);
    marker = rar_marker(head, len, &v->version);
    if (marker == SIZE_MAX && (head[0] == 'M' || head[0] == 0x7f)) {
        len = v->size < SFX_MOST ? (size_t)v->size : SFX_MOST;
        if ((e = rar_window_get(&r->win, v->bytes, 0, len, &head)))
            return rar_volume_fail(v, e);
        marker = rar_marker(head, len, &v->version);
    }
    if (marker == SIZE_MAX)
        return rar_volume_end(v, ARCHIVE_UNKNOWN);
    v->at = marker + (v->version == 5 ? 8 : 7);
    v->state = RAR_MORE;
    return 0;
}

#define END_LEAST 7u /* RAR 4's shortest end block */

/* What is left is too short for a file's header: block() will not read it. */
static bool is_over(const struct rar_volume *v)
{
    uint64_t left = v->at < v->size ? v->size - v->at : 0;
    return v->state == RAR_MORE && left < (v->version == 5 ? rar5_least(v) : rar4_least(v));
}

void rar_volume_want(const struct rar_volume *v)
{
    if (v->state != RAR_ENDED && !is_over(v))
        archive_bytes_want(v->bytes, v->at, RAR_WINDOW);
}

static int block(struct rar_reader *r, struct rar_volume *v)
{
    uint64_t left = v->at < v->size ? v->size - v->at : 0;
    uint64_t least = v->version == 5 ? rar5_least(v) : rar4_least(v);
    if (v->state == RAR_MORE && left < least && left >= END_LEAST && v->version == 4) {
        v->state = RAR_SETTLED; /* no file fits there, the volume's number does */
        return 0;
    }
    if (left < (v->state == RAR_SETTLED ? END_LEAST : least))
        return rar_volume_end(v, ARCHIVE_OK);
    if (r->nblocks++ >= BLOCKS_MOST)
        return rar_volume_end(v, ARCHIVE_TOO_MUCH);
    return v->version == 5 ? rar5_block(r, v) : rar4_block(r, v);
}

static bool goes_on(const struct rar_volume *v, bool tail)
{
    return v->state == RAR_MORE || (tail && v->state == RAR_SETTLED);
}

int rar_volume_go(struct rar_reader *r, struct rar_volume *v, bool tail)
{
    int e = 0;
    if (v->state == RAR_UNREAD)
        e = begin(r, v);
    else if (goes_on(v, tail))
        e = block(r, v);
    while (!e && goes_on(v, tail) && window_holds(&r->win, v->bytes, v->at, 1))
        e = block(r, v);
    return e;
}

int rar_volume_read(struct rar_reader *r, struct rar_volume *v)
{
    int e = 0;
    while (!e && v->state < RAR_SETTLED)
        e = rar_volume_go(r, v, false);
    return e;
}
