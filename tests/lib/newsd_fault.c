/* The ways an article misbehaves: one small function for each. */
#include "tests/lib/newsd_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An article as it would have been sent. */
struct whole {
    struct newsd *d;
    const char *line;
    const uint8_t *bytes;
    size_t len;
};

/* ---- sound, and said no ---- */

static struct newsd_answer *answer_sound(const struct whole *w)
{
    struct newsd_answer *a = newsd_answer_new("%s", w->line);
    if (a && w->len > 0)
        newsd_answer_add(a, w->bytes, w->len);
    return a;
}

static struct newsd_answer *answer_430(const struct whole *w)
{
    w->d->stats.missing++;
    return newsd_answer_new("430 no such article");
}

static struct newsd_answer *answer_403(const struct whole *w)
{
    (void)w;
    return newsd_answer_new("403 internal fault");
}

static struct newsd_answer *answer_400(const struct whole *w)
{
    struct newsd_answer *a = newsd_answer_new("400 shutting down");
    (void)w;
    if (a)
        a->then = THEN_CLOSE;
    return a;
}

static struct newsd_answer *answer_garbage_code(const struct whole *w)
{
    (void)w;
    return newsd_answer_new("\x7f\x45\x4c\x46 this is no answer");
}

/* ---- broken off ---- */

static struct newsd_answer *stop_at(const struct whole *w, size_t eighths, enum newsd_then then)
{
    struct newsd_answer *a = answer_sound(w);
    if (a) {
        a->stop = a->len * eighths / 8;
        a->then = then;
    }
    return a;
}

static struct newsd_answer *answer_close_mid(const struct whole *w)
{
    return stop_at(w, 4, THEN_CUT);
}

static struct newsd_answer *answer_reset_mid(const struct whole *w)
{
    return stop_at(w, 4, THEN_RESET);
}

static struct newsd_answer *answer_stall_mid(const struct whole *w)
{
    return stop_at(w, 4, THEN_STALL);
}

static struct newsd_answer *answer_stall_first(const struct whole *w)
{
    return stop_at(w, 0, THEN_STALL);
}

/* ---- damaged ---- */

/* Where payload begins and ends, and the lines around it. Absent lines are empty. */
struct anatomy {
    const uint8_t *part, *payload, *yend, *after; /* =ypart; first payload line; =yend; behind it */
};

static const uint8_t *line_find(const struct whole *w, const uint8_t *from, const char *start)
{
    const uint8_t *end = w->bytes + w->len;
    size_t n = strlen(start);
    for (const uint8_t *p = from; p && (size_t)(end - p) >= n;) {
        if (memcmp(p, start, n) == 0)
            return p;
        p = memchr(p, '\n', (size_t)(end - p));
        p = p ? p + 1 : NULL;
    }
    return NULL;
}

static const uint8_t *line_after(const struct whole *w, const uint8_t *p)
{
    const uint8_t *nl = memchr(p, '\n', (size_t)(w->bytes + w->len - p));
    return nl ? nl + 1 : w->bytes + w->len;
}

/* False: not a yEnc article (one that was posted may be anything); it is then sent as it is. */
static bool anatomy_of(const struct whole *w, struct anatomy *y)
{
    const uint8_t *begin = line_find(w, w->bytes, "=ybegin ");
    if (!begin)
        return false;
    y->payload = line_after(w, begin);
    y->part = line_find(w, y->payload, "=ypart ");
    if (y->part == y->payload)
        y->payload = line_after(w, y->part);
    else
        y->part = NULL;
    y->yend = line_find(w, y->payload, "=yend ");
    if (!y->yend)
        return false;
    y->after = line_after(w, y->yend);
    return true;
}

/* The article with [from, to) replaced. */
static struct newsd_answer *spliced(const struct whole *w, const uint8_t *from, const uint8_t *to,
                                    const void *with, size_t n)
{
    size_t before = (size_t)(from - w->bytes), behind = (size_t)(w->bytes + w->len - to);
    struct newsd_answer *a = newsd_answer_new("%s", w->line);
    uint8_t *own = a ? malloc(before + n + behind + 1) : NULL;
    if (!own) {
        newsd_answer_free(a);
        return NULL;
    }
    memcpy(own, w->bytes, before);
    memcpy(own + before, with, n);
    memcpy(own + before + n, to, behind);
    a->owned = own;
    newsd_answer_add(a, own, before + n + behind);
    return a;
}

/* One character near the middle becomes another. Neither has a meaning of its own, so nothing but the CRC
 * can tell. */
static struct newsd_answer *answer_bad_crc(const struct whole *w)
{
    struct anatomy y;
    if (!anatomy_of(w, &y) || y.payload == y.yend)
        return answer_sound(w);
    size_t n = (size_t)(y.yend - y.payload);
    for (size_t i = 0; i < n; i++) {
        const uint8_t *p = y.payload + (n / 2 + i) % n;
        bool escaped = p > w->bytes && p[-1] == '=';
        if (*p == '=' || *p == '\r' || *p == '\n' || *p == '.' || escaped)
            continue;
        uint8_t other = *p == 'a' ? 'b' : 'a';
        return spliced(w, p, p + 1, &other, 1);
    }
    return answer_sound(w);
}

/* Damage from the first line on, for who gives bytes out before he has seen the CRC. */
static struct newsd_answer *answer_wrong_bytes(const struct whole *w)
{
    struct anatomy y;
    if (!anatomy_of(w, &y) || y.payload == y.yend)
        return answer_sound(w);
    size_t n = (size_t)(y.yend - y.payload);
    struct newsd_answer *a = spliced(w, y.payload, y.payload, "", 0);
    uint8_t *own = a ? a->owned + (y.payload - w->bytes) : NULL;
    bool due = true;
    for (size_t i = 0; a && i < n; i++) {
        bool escaped = i > 0 && own[i - 1] == '=';
        if (own[i] == '\n') {
            due = true;
        } else if (due && own[i] != '=' && own[i] != '\r' && own[i] != '.' && !escaped) {
            own[i] = own[i] == 'a' ? 'b' : 'a';
            due = false;
        }
    }
    return a;
}

static struct newsd_answer *answer_bad_part(const struct whole *w)
{
    struct anatomy y;
    uint64_t begin, end;
    char text[96] = "", moved[96];
    if (!anatomy_of(w, &y) || !y.part)
        return answer_sound(w);
    size_t n = (size_t)(y.payload - y.part);
    memcpy(text, y.part, n < sizeof(text) - 1 ? n : sizeof(text) - 1);
    if (sscanf(text, "=ypart begin=%" SCNu64 " end=%" SCNu64, &begin, &end) != 2)
        return answer_sound(w);
    uint64_t len = end - begin + 1;
    int m = snprintf(moved, sizeof(moved), "=ypart begin=%" PRIu64 " end=%" PRIu64 "\r\n",
                     begin + len, end + len);
    return spliced(w, y.part, y.payload, moved, (size_t)m);
}

static struct newsd_answer *answer_short(const struct whole *w)
{
    struct anatomy y;
    if (!anatomy_of(w, &y) || y.payload == y.yend)
        return answer_sound(w);
    return spliced(w, y.payload, line_after(w, y.payload), "", 0);
}

static struct newsd_answer *answer_no_yend(const struct whole *w)
{
    struct anatomy y;
    if (!anatomy_of(w, &y))
        return answer_sound(w);
    return spliced(w, y.yend, y.after, "", 0);
}

/* ---- something else altogether ---- */

/* An answer of the server's own bytes; `own` is taken. */
static struct newsd_answer *made(const struct whole *w, uint8_t *own, size_t len)
{
    struct newsd_answer *a = own ? newsd_answer_new("%s", w->line) : NULL;
    if (!a) {
        free(own);
        return NULL;
    }
    a->owned = own;
    newsd_answer_add(a, own, len);
    return a;
}

static struct newsd_answer *answer_garbage(const struct whole *w)
{
    size_t n = w->len > 64 ? w->len : 64;
    uint8_t *own = malloc(n);
    for (size_t i = 0; own && i < n - 5; i++) {
        own[i] = (uint8_t)newsd_dice(w->d);
        if (own[i] == '.') /* the end is where we say */
            own[i] = '!';
    }
    if (own)
        memcpy(own + n - 5, "\r\n.\r\n", 5);
    return made(w, own, n);
}

static uint8_t *uu_line(uint8_t *o, const uint8_t *p, size_t n)
{
    if (n == '.' - ' ')
        *o++ = '.';
    *o++ = (uint8_t)(' ' + n);
    for (size_t i = 0; i < n; i += 3) {
        unsigned b0 = p[i], b1 = i + 1 < n ? p[i + 1] : 0, b2 = i + 2 < n ? p[i + 2] : 0;
        unsigned bits = b0 << 16 | b1 << 8 | b2;
        for (int shift = 18; shift >= 0; shift -= 6) {
            unsigned six = bits >> shift & 63;
            *o++ = (uint8_t)(six ? ' ' + six : '`');
        }
    }
    memcpy(o, "\r\n", 2);
    return o + 2;
}

static struct newsd_answer *answer_uuencode(const struct whole *w)
{
    static const char begin[] = "begin 644 file.bin\r\n", end[] = "`\r\nend\r\n.\r\n";
    uint8_t *own = malloc(w->len * 2 + 256), *o = own;
    if (!own)
        return NULL;
    memcpy(o, begin, sizeof(begin) - 1);
    o += sizeof(begin) - 1;
    for (size_t at = 0; at < w->len; at += 45)
        o = uu_line(o, w->bytes + at, w->len - at < 45 ? w->len - at : 45);
    memcpy(o, end, sizeof(end) - 1);
    o += sizeof(end) - 1;
    return made(w, own, (size_t)(o - own));
}

struct newsd_answer *newsd_fault_answer(struct newsd *d, enum newsd_fault fault, const char *line,
                                        const uint8_t *bytes, size_t len)
{
    static struct newsd_answer *(*const answers[])(const struct whole *) = {
        [NEWSD_NONE] = answer_sound,
        [NEWSD_430] = answer_430,
        [NEWSD_CLOSE_MID] = answer_close_mid,
        [NEWSD_RESET_MID] = answer_reset_mid,
        [NEWSD_STALL_MID] = answer_stall_mid,
        [NEWSD_STALL_FIRST] = answer_stall_first,
        [NEWSD_BAD_CRC] = answer_bad_crc,
        [NEWSD_WRONG_BYTES] = answer_wrong_bytes,
        [NEWSD_BAD_PART] = answer_bad_part,
        [NEWSD_SHORT] = answer_short,
        [NEWSD_NO_YEND] = answer_no_yend,
        [NEWSD_GARBAGE] = answer_garbage,
        [NEWSD_GARBAGE_CODE] = answer_garbage_code,
        [NEWSD_403] = answer_403,
        [NEWSD_400] = answer_400,
        [NEWSD_UUENCODE] = answer_uuencode,
    };
    const struct whole w = {d, line, bytes, len};
    return answers[fault](&w);
}

int newsd_fault_named(const char *name)
{
    static const char *const names[] = {
        [NEWSD_NONE] = "none",
        [NEWSD_430] = "430",
        [NEWSD_CLOSE_MID] = "close-mid",
        [NEWSD_RESET_MID] = "reset-mid",
        [NEWSD_STALL_MID] = "stall-mid",
        [NEWSD_STALL_FIRST] = "stall-first",
        [NEWSD_BAD_CRC] = "bad-crc",
        [NEWSD_WRONG_BYTES] = "wrong-bytes",
        [NEWSD_BAD_PART] = "bad-part",
        [NEWSD_SHORT] = "short",
        [NEWSD_NO_YEND] = "no-yend",
        [NEWSD_GARBAGE] = "garbage",
        [NEWSD_GARBAGE_CODE] = "garbage-code",
        [NEWSD_403] = "403",
        [NEWSD_400] = "400",
        [NEWSD_UUENCODE] = "uuencode",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (strcmp(names[i], name) == 0)
            return (int)i;
    return -1;
}
