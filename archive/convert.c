/* convert — times and names as archives have them. */
#include "archive/convert.h"

#include "base/utf8.h"

#include <stddef.h>

#define FILETIME_SECOND 10000000u
#define FILETIME_1970   INT64_C(11644473600)

/* What the bytes from 0x80 on mean in code page 437. */
static const uint16_t cp437[128] = {
    0x00c7, 0x00fc, 0x00e9, 0x00e2, 0x00e4, 0x00e0, 0x00e5, 0x00e7, 0x00ea, 0x00eb, 0x00e8, 0x00ef,
    0x00ee, 0x00ec, 0x00c4, 0x00c5, 0x00c9, 0x00e6, 0x00c6, 0x00f4, 0x00f6, 0x00f2, 0x00fb, 0x00f9,
    0x00ff, 0x00d6, 0x00dc, 0x00a2, 0x00a3, 0x00a5, 0x20a7, 0x0192, 0x00e1, 0x00ed, 0x00f3, 0x00fa,
    0x00f1, 0x00d1, 0x00aa, 0x00ba, 0x00bf, 0x2310, 0x00ac, 0x00bd, 0x00bc, 0x00a1, 0x00ab, 0x00bb,
    0x2591, 0x2592, 0x2593, 0x2502, 0x2524, 0x2561, 0x2562, 0x2556, 0x2555, 0x2563, 0x2551, 0x2557,
    0x255d, 0x255c, 0x255b, 0x2510, 0x2514, 0x2534, 0x252c, 0x251c, 0x2500, 0x253c, 0x255e, 0x255f,
    0x255a, 0x2554, 0x2569, 0x2566, 0x2560, 0x2550, 0x256c, 0x2567, 0x2568, 0x2564, 0x2565, 0x2559,
    0x2558, 0x2552, 0x2553, 0x256b, 0x256a, 0x2518, 0x250c, 0x2588, 0x2584, 0x258c, 0x2590, 0x2580,
    0x03b1, 0x00df, 0x0393, 0x03c0, 0x03a3, 0x03c3, 0x00b5, 0x03c4, 0x03a6, 0x0398, 0x03a9, 0x03b4,
    0x221e, 0x03c6, 0x03b5, 0x2229, 0x2261, 0x00b1, 0x2265, 0x2264, 0x2320, 0x2321, 0x00f7, 0x2248,
    0x00b0, 0x2219, 0x00b7, 0x221a, 0x207f, 0x00b2, 0x25a0, 0x00a0,
};

void archive_filetime(uint64_t filetime, int64_t *s, uint32_t *ns)
{
    *s = (int64_t)(filetime / FILETIME_SECOND) - FILETIME_1970;
    *ns = (uint32_t)(filetime % FILETIME_SECOND) * 100;
}

/** Days from 1970-01-01 to a day of the Gregorian calendar, from 1970 on. */
static int64_t days_of(int year, int month, int day)
{
    /* Years that begin in March: the leap day is their last. */
    int y = month > 2 ? year : year - 1, m = month > 2 ? month - 3 : month + 9;

    return (int64_t)y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1 - 719468;
}

int64_t archive_dostime(uint32_t dos)
{
    int day = (int)(dos >> 16 & 31), month = (int)(dos >> 21 & 15);
    int year = 1980 + (int)(dos >> 25);
    int64_t second = dos & 31, minute = dos >> 5 & 63, hour = dos >> 11 & 31;

    if (!day || !month || month > 12 || hour > 23 || minute > 59 || second > 29)
        return INT64_MIN;
    return days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second * 2;
}

static uint32_t unit(const uint8_t *s, size_t k)
{
    return (uint32_t)s[2 * k] | (uint32_t)s[2 * k + 1] << 8;
}

char *archive_utf16(struct arena *a, const uint8_t *s, size_t units)
{
    size_t n = 0, len = 0;

    while (n < units && unit(s, n))
        n++;
    /* A unit is three bytes at most; of a pair, two of them make four. */
    char *out = arena_alloc(a, n * 3 + 1, 1);
    for (size_t k = 0; out && k < n; k++) {
        uint32_t cp = unit(s, k);
        uint32_t low = k + 1 < n ? unit(s, k + 1) : 0;
        if (cp >= 0xd800 && cp < 0xdc00 && low >= 0xdc00 && low < 0xe000) {
            cp = 0x10000 + ((cp - 0xd800) << 10) + (low - 0xdc00);
            k++;
        } else if (cp >= 0xd800 && cp < 0xe000) {
            cp = UTF8_REPLACEMENT;
        }
        len += utf8_encode(cp, out + len);
    }
    return out;
}

bool archive_is_utf8(const uint8_t *s, size_t len)
{
    for (size_t at = 0; at < len;) {
        uint32_t cp;
        size_t n = utf8_decode(s + at, len - at, &cp);
        if (!n || !cp)
            return false;
        at += n;
    }
    return true;
}

char *archive_cp437(struct arena *a, const uint8_t *s, size_t len)
{
    size_t at = 0;
    char *out = arena_alloc(a, len * 3 + 1, 1);

    for (size_t k = 0; out && k < len; k++) {
        uint32_t cp = s[k] >= 0x80 ? cp437[s[k] - 0x80] : s[k] ? s[k] : UTF8_REPLACEMENT;
        at += utf8_encode(cp, out + at);
    }
    return out;
}
