#include "base/utf8.h"

#include <stdbool.h>
#include <string.h>

static bool is_tail(unsigned char c)
{
    return (c & 0xc0) == 0x80;
}

size_t utf8_decode(const unsigned char *s, size_t n, uint32_t *cp)
{
    if (n >= 1 && s[0] < 0x80) {
        *cp = s[0];
        return 1;
    }
    if (n >= 2 && s[0] >= 0xc2 && s[0] <= 0xdf && is_tail(s[1])) {
        *cp = (uint32_t)(s[0] & 0x1f) << 6 | (s[1] & 0x3f);
        return 2;
    }
    if (n >= 3 && (s[0] & 0xf0) == 0xe0 && is_tail(s[1]) && is_tail(s[2])) {
        *cp = (uint32_t)(s[0] & 0x0f) << 12 | (uint32_t)(s[1] & 0x3f) << 6 | (s[2] & 0x3f);
        return *cp < 0x800 || (*cp >= 0xd800 && *cp < 0xe000) ? 0 : 3;
    }
    if (n >= 4 && s[0] >= 0xf0 && s[0] <= 0xf4 && is_tail(s[1]) && is_tail(s[2]) && is_tail(s[3])) {
        *cp = (uint32_t)(s[0] & 0x07) << 18 | (uint32_t)(s[1] & 0x3f) << 12 |
              (uint32_t)(s[2] & 0x3f) << 6 | (s[3] & 0x3f);
        return *cp < 0x10000 || *cp > 0x10ffff ? 0 : 4;
    }
    return 0;
}

/* C0, DEL and C1 (U+009B begins an escape sequence), and what turns the direction of a line around. */
static bool is_control(uint32_t cp)
{
    return cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || (cp >= 0x202a && cp <= 0x202e) ||
           (cp >= 0x2066 && cp <= 0x2069);
}

size_t utf8_plain(const char *s)
{
    uint32_t cp = 0;
    size_t n = utf8_decode((const unsigned char *)s, strnlen(s, UTF8_MOST), &cp);

    return n && is_control(cp) ? 0 : n;
}

size_t utf8_encode(uint32_t cp, char *out)
{
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    size_t n = cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t k = n - 1; k; k--, cp >>= 6)
        out[k] = (char)(0x80 | (cp & 0x3f));
    out[0] = (char)(lead[n] | cp);
    return n;
}

size_t utf8_cut(const char *s, size_t len, size_t most)
{
    if (len <= most)
        return len;
    while (most && is_tail((unsigned char)s[most]))
        most--;
    return most;
}

uint32_t utf8_of_cp1252(unsigned char b)
{
    /* 0: not assigned; such a byte stays the C1 control that Latin-1 has there. */
    static const uint16_t high[32] = {
        0x20ac, 0,      0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160,
        0x2039, 0x0152, 0,      0x017d, 0,      0,      0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
        0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0,      0x017e, 0x0178};

    if (b < 0x80 || b > 0x9f || !high[b - 0x80])
        return b;
    return high[b - 0x80];
}
