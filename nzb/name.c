#include "nzb/name.h"
#include "base/utf8.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Beyond these nothing is an extension: "alt.binaries.multimedia" has none. */
#define EXT_MOST   8
#define PARTS_MOST ((uint32_t)1 << 24)

struct span {
    const char *s;
    size_t len;
};

/* Not <ctype.h>: names must not depend on the locale. */
static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static struct span trim(struct span w)
{
    while (w.len && is_blank(w.s[0]))
        w.s++, w.len--;
    while (w.len && is_blank(w.s[w.len - 1]))
        w.len--;
    return w;
}

/* The piece behind the last '.' of s[len], with the '.'; 0 where it cannot be an extension. */
static size_t last_piece(const char *s, size_t len)
{
    size_t at = len;

    while (at && len - at < EXT_MOST && (is_letter(s[at - 1]) || is_digit(s[at - 1])))
        at--;
    return at >= 2 && at < len && s[at - 1] == '.' ? len - at + 1 : 0;
}

static bool is_digits(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!is_digit(s[i]))
            return false;
    return len > 0;
}

/* Does s[len], ".part07" or ".vol003+04", belong to the extension behind it? Cutting it off would
 * take a volume out of its set. */
static bool is_volume(const char *s, size_t len)
{
    if (len > 5 && !strncmp(s, ".part", 5))
        return is_digits(s + 5, len - 5);
    return len > 4 && !strncmp(s, ".vol", 4);
}

/* Bytes at the end of s[len] that are its extension: ".mkv", ".part07.rar", ".7z.001", ".tar.gz". */
static size_t extension(const char *s, size_t len)
{
    size_t ext = last_piece(s, len), rest = len - ext, at = rest;

    if (!ext)
        return 0;
    while (at && rest - at < 16 &&
           (is_letter(s[at - 1]) || is_digit(s[at - 1]) || s[at - 1] == '+'))
        at--;
    if (at < 2 || s[at - 1] != '.')
        return ext;
    at--;
    size_t more = rest - at;
    bool split = ext == 4 && is_digits(s + rest + 1, 3) && last_piece(s, rest);
    if (split || is_volume(s + at, more) || (more == 4 && !strncmp(s + at, ".tar", 4)))
        return ext + more;
    return ext;
}

/* ---- subjects ---- */

static bool looks_like_name(struct span w)
{
    size_t ext = last_piece(w.s, w.len);
    bool letter = false;

    if (ext < 3 || w.s[0] == '#' || memchr(w.s, '@', w.len) || memmem(w.s, w.len, "://", 3))
        return false;
    for (size_t i = 1; i < ext; i++)
        letter |= is_letter(w.s[w.len - ext + i]);
    return letter || (ext == 4 && w.len > 4);
}

/* A quotation mark at s: its length. Some indexers escape twice and leave "&quot;" behind. */
static size_t quote_at(const char *s)
{
    if (*s == '"')
        return 1;
    return strncmp(s, "&quot;", 6) ? 0 : 6;
}

/* The last quoted text that looks like a file name, else the last that is not empty. */
static struct span quoted(const char *subject)
{
    struct span best = {0}, any = {0};

    for (const char *s = subject; *s;) {
        size_t q = quote_at(s);
        if (!q) {
            s++;
            continue;
        }
        const char *from = s + q, *to = from;
        while (*to && !quote_at(to))
            to++;
        if (!*to)
            break;
        struct span w = trim((struct span){from, (size_t)(to - from)});
        if (w.len)
            any = w;
        if (looks_like_name(w))
            best = w;
        s = to + quote_at(to);
    }
    return best.len ? best : any;
}

/* Is there a "(n/m)" at s[len]? Its length, and m where `parts` is not NULL. */
static size_t counter_at(const char *s, size_t len, uint32_t *parts)
{
    uint64_t value[2] = {0, 0};
    size_t i = 1;

    if (len < 5 || s[0] != '(')
        return 0;
    for (unsigned k = 0; k < 2; k++) {
        size_t from = i;
        for (; i < len && is_digit(s[i]) && i - from < 10; i++)
            value[k] = value[k] * 10 + (uint64_t)(s[i] - '0');
        if (i == from || i == len || s[i] != (k ? ')' : '/'))
            return 0;
        i++;
    }
    if (parts)
        *parts = value[0] <= value[1] && value[1] <= PARTS_MOST ? (uint32_t)value[1] : 0;
    return i;
}

/* The subject without the "yEnc (1/50)" at its end. */
static struct span without_tail(const char *subject)
{
    struct span w = trim((struct span){subject, strlen(subject)});

    if (w.len && w.s[w.len - 1] == ')') {
        size_t at = w.len;
        while (at && w.s[at - 1] != '(')
            at--;
        if (at && counter_at(w.s + at - 1, w.len - at + 1, NULL) == w.len - at + 1)
            w = trim((struct span){w.s, at - 1});
    }
    if (w.len >= 4 && !strncasecmp(w.s + w.len - 4, "yenc", 4) &&
        (w.len == 4 || is_blank(w.s[w.len - 5])))
        w = trim((struct span){w.s, w.len - 4});
    return w;
}

static size_t count(struct span w, char c)
{
    size_t n = 0;

    for (size_t i = 0; i < w.len; i++)
        n += w.s[i] == c;
    return n;
}

/* "[name.ext]" and "name.ext]," are name.ext; "[2020].mkv" stays. The brackets that are left are counted
 * along: a subject may be a megabyte of them. */
static struct span unwrap(struct span w)
{
    size_t opens = count(w, '['), closes = count(w, ']');

    while (w.len) {
        bool open = w.s[0] == '[', close = w.s[w.len - 1] == ']';
        if (strchr(",;:", w.s[w.len - 1]) || (close && (open || !opens))) {
            w.len--;
            closes -= close;
            if (open && close)
                w.s++, w.len--, opens--;
        } else if (open && !closes) {
            w.s++, w.len--, opens--;
        } else {
            break;
        }
    }
    return w;
}

/* The last word that looks like a file name; "[group]-[title]-[name.ext]" is three words. */
static struct span last_word(struct span text)
{
    struct span best = {0};

    for (size_t i = 0; i < text.len;) {
        size_t from = i;
        while (i < text.len && !is_blank(text.s[i]) &&
               !(i > from && text.len - i > 2 && !memcmp(text.s + i, "]-[", 3)))
            i++;
        struct span w = unwrap((struct span){text.s + from, i - from});
        if (w.len && looks_like_name(w))
            best = w;
        i += i < text.len && text.s[i] == ']' ? 2 : 1;
    }
    return best;
}

/* Copy, with what was escaped twice read as what it stands for. */
static size_t copy_unescaped(struct span w, char *out, size_t cap)
{
    static const struct {
        const char *text;
        char c;
    } escapes[] = {{"&quot;", '"'}, {"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&apos;", '\''}};
    size_t n = 0;

    for (size_t i = 0; i < w.len && n + 1 < cap;) {
        size_t step = 1;
        char c = w.s[i];
        for (size_t k = 0; c == '&' && k < sizeof(escapes) / sizeof(escapes[0]); k++) {
            size_t len = strlen(escapes[k].text);
            if (w.len - i >= len && !memcmp(w.s + i, escapes[k].text, len)) {
                c = escapes[k].c;
                step = len;
                break;
            }
        }
        out[n++] = c;
        i += step;
    }
    if (cap)
        out[n] = '\0';
    return n;
}

size_t nzb_name_from_subject(const char *subject, char *out, size_t cap)
{
    struct span w = quoted(subject);

    if (!w.len)
        w = last_word(without_tail(subject));
    if (!w.len)
        w = without_tail(subject);
    return copy_unescaped(w, out, cap);
}

uint32_t nzb_name_parts(const char *subject)
{
    uint32_t parts = 0;

    for (const char *s = strchr(subject, '('); s; s = strchr(s + 1, '(')) {
        uint32_t m;
        if (counter_at(s, strnlen(s, 24), &m) && m)
            parts = m;
    }
    return parts;
}

/* ---- safety ---- */

static bool is_harmful(uint32_t cp)
{
    return cp < 0x20 || cp == '/' || (cp >= 0x7f && cp < 0xa0) /* controls */
           || cp == 0x2028 || cp == 0x2029                     /* line and paragraph separators */
           || (cp >= 0x202a && cp <= 0x202e)                   /* writing direction: "gpj.exe" */
           || (cp >= 0x2066 && cp <= 0x2069) || cp == 0x200e || cp == 0x200f || cp == 0xfeff ||
           (cp & 0xfffe) == 0xfffe;
}

/* Copy in[len] as clean UTF-8, as many whole code points as fit into `cap` bytes. */
static size_t clean(const char *in, size_t len, char *out, size_t cap, bool *all)
{
    const unsigned char *s = (const unsigned char *)in;
    size_t n = 0;

    *all = true;
    for (size_t i = 0; i < len;) {
        char bytes[UTF8_MOST];
        uint32_t cp;
        size_t step = utf8_decode(s + i, len - i, &cp);
        if (!step) {
            cp = utf8_of_cp1252(s[i]);
            step = 1;
        }
        size_t k = utf8_encode(is_harmful(cp) ? '_' : cp, bytes);
        if (k > cap - n) {
            *all = false;
            break;
        }
        memcpy(out + n, bytes, k);
        n += k;
        i += step;
    }
    return n;
}

size_t nzb_name_safe(const char *in, size_t len, char *out)
{
    struct span w = trim((struct span){in, len});
    bool all;
    size_t n = clean(w.s, w.len, out, NZB_NAME_MAX, &all);

    if (!all) {
        size_t ext = extension(w.s, w.len);
        n = clean(w.s, w.len - ext, out, NZB_NAME_MAX - ext, &all);
        memcpy(out + n, w.s + w.len - ext, ext); /* letters, digits, '.', '+' and the like */
        n += ext;
    }
    out[n] = '\0';
    if (!n)
        n = (size_t)snprintf(out, NZB_NAME_MAX + 1, "unnamed");
    else if (!strcmp(out, ".") || !strcmp(out, ".."))
        memset(out, '_', n);
    return n;
}

size_t nzb_name_nth(const char *name, unsigned n, char *out)
{
    char number[16];
    size_t len = strnlen(name, NZB_NAME_MAX), ext = extension(name, len);
    size_t more = (size_t)snprintf(number, sizeof(number), " (%u)", n);
    size_t stem = utf8_cut(name, len - ext, NZB_NAME_MAX - ext - more);

    memcpy(out, name, stem);
    memcpy(out + stem, number, more);
    memcpy(out + stem + more, name + len - ext, ext);
    out[stem + more + ext] = '\0';
    return stem + more + ext;
}
