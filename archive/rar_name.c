/* rar_name — names as RAR writes them. */
#include "archive/rar.h"

#include "base/utf8.h"

#include <stdlib.h>

#define PACKED_MOST 2048u /* UTF-16 units of one name: twice what RAR writes */

/* Text in the making. Room is reckoned before: four bytes for each that comes in are always enough. */
struct text {
    char *at;
    size_t len;
};

static void add(struct text *t, uint32_t cp, bool backslash)
{
    if (cp == '\\' && backslash)
        cp = '/';
    t->len += utf8_encode(cp, t->at + t->len);
}

static const char *keep(struct arena *a, struct text *t)
{
    while (t->len > 1 && t->at[t->len - 1] == '/')
        t->len--;
    const char *s = arena_strndup(a, t->at, t->len);
    free(t->at);
    return s;
}

const char *rar_name_plain(struct arena *a, const uint8_t *name, size_t len, bool backslash)
{
    struct text t = {.at = malloc(UTF8_MOST * len + 1)};
    if (!t.at)
        return NULL;
    for (size_t i = 0; i < len && name[i];) {
        uint32_t cp;
        size_t n = utf8_decode(name + i, len - i, &cp);
        add(&t, n ? cp : utf8_of_cp1252(name[i]), backslash);
        i += n ? n : 1;
    }
    return keep(a, &t);
}

/* ---- RAR 4's second half ----
 *
 *     name in some code page │ 0 │ high byte │ four codes of 2 bits │ what they are about │ …
 *
 *     0  a byte                         1  a byte under the high byte
 *     2  two bytes                      3  a run out of the first half, plainly or shifted
 */

struct unpacker {
    const uint8_t *plain;
    size_t plain_len;
    struct cursor c;
    uint16_t *out;
    size_t n;
    uint8_t high;
};

static void put(struct unpacker *u, unsigned unit)
{
    if (u->n < PACKED_MOST)
        u->out[u->n++] = (uint16_t)unit;
}

static void run(struct unpacker *u)
{
    unsigned len = cursor_u8(&u->c), high = 0, shift = 0;
    if (len & 0x80) {
        shift = cursor_u8(&u->c);
        high = (unsigned)u->high << 8;
    }
    if (u->c.bad)
        return;
    for (len = (len & 0x7f) + 2; len && u->n < u->plain_len && u->n < PACKED_MOST; len--)
        put(u, ((u->plain[u->n] + shift) & 0xff) | high);
}

static void unpack(struct unpacker *u)
{
    u->high = cursor_u8(&u->c);
    while (cursor_left(&u->c) && u->n < PACKED_MOST) {
        unsigned codes = cursor_u8(&u->c);
        for (unsigned k = 0; k < 4 && cursor_left(&u->c); k++, codes <<= 2)
            switch (codes >> 6 & 3) {
            case 0:
                put(u, cursor_u8(&u->c));
                break;
            case 1:
                put(u, cursor_u8(&u->c) | (unsigned)u->high << 8);
                break;
            case 2:
                put(u, cursor_u16(&u->c));
                break;
            default:
                run(u);
            }
    }
}

static void add_units(struct text *t, const uint16_t *unit, size_t n)
{
    for (size_t i = 0; i < n && unit[i]; i++) {
        uint32_t cp = unit[i];
        if (cp >= 0xd800 && cp < 0xdc00 && i + 1 < n && unit[i + 1] >= 0xdc00 &&
            unit[i + 1] < 0xe000)
            cp = 0x10000 + ((cp - 0xd800) << 10) + (unit[++i] - 0xdc00u);
        else if (cp >= 0xd800 && cp < 0xe000)
            cp = UTF8_REPLACEMENT;
        add(t, cp, true);
    }
}

const char *rar_name_packed(struct arena *a, const uint8_t *name, size_t len)
{
    const uint8_t *nul = memchr(name, 0, len);
    if (!nul) /* then it is UTF-8 */
        return rar_name_plain(a, name, len, true);
    size_t plain = (size_t)(nul - name);
    uint16_t *units = calloc(PACKED_MOST, sizeof(*units));
    struct unpacker u = {
        .plain = name, .plain_len = plain, .c = cursor_of(nul + 1, len - plain - 1), .out = units};
    const char *s = NULL;
    if (!units)
        return NULL;
    unpack(&u);
    struct text t = {.at = malloc(UTF8_MOST * u.n + 1)};
    if (t.at && !u.c.bad && u.n) {
        add_units(&t, units, u.n);
        s = keep(a, &t);
    } else if (t.at) {
        free(t.at);
        s = rar_name_plain(a, name, plain, true);
    }
    free(units);
    return s;
}
