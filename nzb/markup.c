#include "nzb/markup.h"
#include "base/utf8.h"

#include <assert.h>
#include <errno.h>
#include <iconv.h>
#include <string.h>
#include <strings.h>

/* Hostile tags: the parser compares each attribute with every other, and wants a tag whole. A subject
 * of 64 KiB, every character of it escaped, must pass. */
#define TAG_MOST        ((size_t)1 << 20)
#define ATTRIBUTES_MOST 64

enum encoding { SNIFFING, BYTES, UTF16_LE, UTF16_BE };

/*       TEXT ──'<'──▶ OPEN ──name──▶ TAG ◀──▶ QUOTED
 *        ▲             ├──'?'──▶ INSTRUCTION            until "?>"
 *        │             ├──"!--"──▶ COMMENT              until "-->"
 *        │             ├──"![CDATA["──▶ CDATA           until "]]>"
 *        └─────────────└──'!' and else──▶ DECLARATION   until '>' outside of quotes and of [ ]
 *                                            └──▶ DECLARATION_COMMENT
 * Only TEXT, TAG, QUOTED and CDATA are passed on. */
enum state {
    TEXT,
    OPEN,
    TAG,
    QUOTED,
    INSTRUCTION,
    COMMENT,
    CDATA,
    DECLARATION,
    DECLARATION_COMMENT,
};

/* ---- output ---- */

static int flush(struct markup *m)
{
    size_t n = m->nout;

    m->nout = 0;
    return n ? m->emit(m->arg, m->out, n) : 0;
}

/* One character of input becomes at most this much; where it begins there is so much room, for a
 * character cut in two would not be understood. */
#define CHARACTER_MOST 64

static int make_room(struct markup *m)
{
    return m->nout > MARKUP_OUT - CHARACTER_MOST ? flush(m) : 0;
}

static int put(struct markup *m, const char *s, size_t len)
{
    assert(len <= MARKUP_OUT - m->nout);
    memcpy(m->out + m->nout, s, len);
    m->nout += len;
    return 0;
}

static int fail(struct markup *m, const char *reason, unsigned long line)
{
    m->reason = reason;
    m->line = line;
    return -EINVAL;
}

/* ---- references ---- */

static bool is_xml_char(uint32_t cp)
{
    return cp == '\t' || cp == '\n' || cp == '\r' || (cp >= 0x20 && cp < 0xd800) ||
           (cp >= 0xe000 && cp < 0xfffe) || (cp >= 0x10000 && cp <= 0x10ffff);
}

/* The code point of the numeric reference ref[len], "&#38;" or "&#x26;"; 0 where it has none that
 * XML allows. */
static uint32_t reference_value(const char *ref, size_t len)
{
    unsigned base = ref[2] == 'x' || ref[2] == 'X' ? 16 : 10;
    size_t i = base == 16 ? 3 : 2;
    uint32_t cp = 0;

    for (; i + 1 < len; i++) {
        unsigned char c = (unsigned char)ref[i];
        uint32_t digit = c <= '9' ? (uint32_t)c - '0' : ((uint32_t)c | 0x20) - 'a' + 10;
        cp = cp * base + digit; /* at most eight digits: fits */
    }
    return is_xml_char(cp) ? cp : 0;
}

/* Could ref[len], which starts with '&', go on with `c`? */
static bool reference_takes(const char *ref, size_t len, char c)
{
    bool digit = c >= '0' && c <= '9', letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';

    if (len == 1)
        return letter || c == '#';
    if (ref[1] != '#')
        return letter && len < 5;
    if (len == 2)
        return digit || (c | 0x20) == 'x';
    bool hex = (ref[2] | 0x20) == 'x';
    return len < (hex ? 11 : 10) && (digit || (hex && (c | 0x20) >= 'a' && (c | 0x20) <= 'f'));
}

static bool reference_is_known(const char *ref, size_t len)
{
    static const char *const known[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&apos;"};

    if (ref[1] == '#')
        return len > ((ref[2] | 0x20) == 'x' ? 4u : 3u);
    for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++)
        if (strlen(known[k]) == len && !memcmp(known[k], ref, len))
            return true;
    return false;
}

/* It is no reference: what was held back is text. */
static int reference_spill(struct markup *m)
{
    size_t n = m->nref;

    m->nref = 0;
    m->mended++;
    int r = put(m, "&amp;", 5);
    return r ? r : put(m, m->ref + 1, n - 1);
}

static int reference_end(struct markup *m)
{
    m->ref[m->nref++] = ';';
    if (!reference_is_known(m->ref, m->nref))
        return reference_spill(m);
    size_t n = m->nref;
    m->nref = 0;
    if (m->ref[1] == '#' && !reference_value(m->ref, n)) {
        m->mended++;
        return put(m, "\xef\xbf\xbd", 3);
    }
    if (m->ref[1] == '#' && m->ref[2] == 'X') /* which XML does not know */
        m->ref[2] = 'x';
    return put(m, m->ref, n);
}

/* ---- markup ---- */

static int text_char(struct markup *m, char c, bool in_quotes)
{
    int r;

    if (m->nref) {
        if (c == ';')
            return reference_end(m);
        if (reference_takes(m->ref, m->nref, c)) {
            m->ref[m->nref++] = c;
            return 0;
        }
        r = reference_spill(m);
        if (r)
            return r;
    }
    if (c == '&') {
        m->ref[m->nref++] = c;
        return 0;
    }
    if (c != '<')
        return put(m, &c, 1);
    if (in_quotes) {
        m->mended++;
        return put(m, "&lt;", 4);
    }
    m->state = OPEN;
    m->nmatch = 0;
    m->opened = m->line;
    return 0;
}

static bool starts_name(char c)
{
    return ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_' || c == ':' || c == '/' ||
           (unsigned char)c >= 0x80;
}

/* Behind '<'. */
static int open_char(struct markup *m, char c)
{
    static const char cdata[] = "![CDATA[", comment[] = "!--";
    int r;

    if (m->nmatch == 0 && c == '?') {
        m->state = INSTRUCTION;
        return 0;
    }
    if (m->nmatch == 0 && starts_name(c)) {
        m->state = TAG;
        m->attributes = 0;
        m->tag = 1;
        r = put(m, "<", 1);
        return r ? r : put(m, &c, 1);
    }
    if (m->nmatch == 0 && c != '!') {
        m->state = TEXT;
        m->mended++;
        r = put(m, "&lt;", 4);
        return r ? r : text_char(m, c, false);
    }
    m->match[m->nmatch++ & 7] = c;
    if (m->nmatch == 8 && !memcmp(m->match, cdata, 8)) {
        m->state = CDATA;
        m->nmatch = 0;
        return put(m, "<![CDATA[", 9);
    }
    if (m->nmatch == 3 && !memcmp(m->match, comment, 3)) {
        m->state = COMMENT;
        m->nmatch = 0;
    } else if (m->nmatch >= 8 || (memcmp(m->match, cdata, m->nmatch) &&
                                  (m->nmatch > 3 || memcmp(m->match, comment, m->nmatch)))) {
        m->state = c == '>' ? TEXT : DECLARATION;
        m->depth = m->quote = m->nmatch = 0;
    }
    return 0;
}

static int tag_char(struct markup *m, char c)
{
    if (++m->tag > TAG_MOST)
        return fail(m, "a tag of more than 1 MiB", m->opened);
    if (m->state == QUOTED) {
        if (c == (char)m->quote) {
            int r = m->nref ? reference_spill(m) : 0;
            if (r)
                return r;
            m->state = TAG;
            return put(m, &c, 1);
        }
        return text_char(m, c, true);
    }
    if (c == '"' || c == '\'') {
        if (++m->attributes > ATTRIBUTES_MOST)
            return fail(m, "a tag with more than 64 attributes", m->opened);
        m->state = QUOTED;
        m->quote = (unsigned char)c;
    } else if (c == '>') {
        m->state = TEXT;
    }
    return put(m, &c, 1);
}

/* Did the last characters, `c` among them, spell `end`? */
static bool ends_with(struct markup *m, char c, const char *end)
{
    unsigned len = (unsigned)strlen(end);

    if (c == end[m->nmatch])
        m->nmatch++;
    else if (m->nmatch == len - 1 && c == end[0] && end[0] == end[1])
        return false; /* "--->": the last two dashes still count */
    else
        m->nmatch = c == end[0];
    if (m->nmatch < len)
        return false;
    m->nmatch = 0;
    return true;
}

static void declaration_char(struct markup *m, char c)
{
    static const char comment[] = "<!--";

    if (m->quote) {
        if (c == (char)m->quote)
            m->quote = 0;
        return;
    }
    m->nmatch = c == comment[m->nmatch] ? m->nmatch + 1 : c == '<';
    if (m->nmatch == 4) {
        m->nmatch = 0;
        m->state = DECLARATION_COMMENT;
    } else if (c == '"' || c == '\'') {
        m->quote = (unsigned char)c;
    } else if (c == '[') {
        m->depth++;
    } else if (c == ']' && m->depth) {
        m->depth--;
    } else if (c == '>' && !m->depth) {
        m->state = TEXT;
    }
}

static int hidden_char(struct markup *m, char c)
{
    switch ((enum state)m->state) {
    case INSTRUCTION:
        if (ends_with(m, c, "?>"))
            m->state = TEXT;
        break;
    case COMMENT:
        if (ends_with(m, c, "-->"))
            m->state = TEXT;
        break;
    case DECLARATION_COMMENT:
        if (ends_with(m, c, "-->"))
            m->state = DECLARATION;
        break;
    case DECLARATION:
        declaration_char(m, c);
        break;
    case TEXT:
    case OPEN:
    case TAG:
    case QUOTED:
    case CDATA:
        break;
    }
    return c == '\n' ? put(m, &c, 1) : 0;
}

static int markup_char(struct markup *m, char c)
{
    int r;

    switch ((enum state)m->state) {
    case TEXT:
        r = text_char(m, c, false);
        break;
    case OPEN:
        r = open_char(m, c);
        break;
    case TAG:
    case QUOTED:
        r = tag_char(m, c);
        break;
    case CDATA:
        if (ends_with(m, c, "]]>"))
            m->state = TEXT;
        r = put(m, &c, 1);
        break;
    default:
        r = hidden_char(m, c);
    }
    if (c == '\n' && !r)
        m->line++;
    return r;
}

/* ---- encoding ---- */

static int code_point(struct markup *m, uint32_t cp)
{
    char bytes[UTF8_MOST];
    int r = 0;

    if (!is_xml_char(cp)) {
        m->mended++;
        cp = UTF8_REPLACEMENT;
    }
    size_t n = utf8_encode(cp, bytes);
    for (size_t i = 0; i < n && !r; i++)
        r = markup_char(m, bytes[i]);
    return r;
}

/* One character of UTF-8 or of the 8-bit table; how many bytes it took, or -errno. With `more` to come,
 * 0 means that the end of s[len] cuts it. */
static int byte_char(struct markup *m, const unsigned char *s, size_t len, bool more)
{
    uint32_t cp;
    int r = make_room(m);

    if (r)
        return r;
    if (s[0] < 0x80 && s[0] >= 0x20) {
        r = markup_char(m, (char)s[0]);
        return r ? r : 1;
    }
    size_t n = utf8_decode(s, len, &cp);
    if (!n && more && len < UTF8_MOST && s[0] >= 0xc2)
        return 0;
    if (!n)
        cp = m->table[s[0] - 0x80];
    r = code_point(m, cp);
    return r ? r : (int)(n ? n : 1);
}

static int utf16_char(struct markup *m, const unsigned char *s, size_t len)
{
    if (len < 2)
        return 0;
    uint32_t unit =
        m->encoding == UTF16_LE ? (uint32_t)s[1] << 8 | s[0] : (uint32_t)s[0] << 8 | s[1];
    uint32_t high = m->high;
    int r = make_room(m);

    if (r)
        return r;
    m->high = 0;
    if (high && unit >= 0xdc00 && unit < 0xe000) {
        r = code_point(m, 0x10000 + ((high - 0xd800) << 10) + (unit - 0xdc00));
        return r ? r : 2;
    }
    if (high)
        r = code_point(m, UTF8_REPLACEMENT);
    if (unit >= 0xd800 && unit < 0xdc00)
        m->high = unit;
    else if (!r)
        r = code_point(m, unit);
    return r ? r : 2;
}

static int decode(struct markup *m, const unsigned char *s, size_t len, bool more)
{
    size_t i = 0;

    while (i < len) {
        int n = m->encoding == BYTES ? byte_char(m, s + i, len - i, more)
                                     : utf16_char(m, s + i, len - i);
        if (n < 0)
            return n;
        if (n == 0)
            break;
        i += (size_t)n;
    }
    m->ncarry = (unsigned)(len - i);
    memcpy(m->carry, s + i, len - i);
    return 0;
}

/* The name in encoding="…" of an XML declaration at s[len]. */
static bool declared_encoding(const unsigned char *s, size_t len, char *name, size_t cap)
{
    const unsigned char *from = memmem(s, len, "<?xml", 5);
    const unsigned char *to = from ? memmem(from, len - (size_t)(from - s), "?>", 2) : NULL;

    if (!to)
        return false;
    from = memmem(from, (size_t)(to - from), "encoding", 8);
    if (!from)
        return false;
    from += 8;
    while (from < to && *from != '"' && *from != '\'')
        from++;
    size_t n = 0;
    for (from++; from < to && *from != '"' && *from != '\'' && n + 1 < cap; from++)
        name[n++] = (char)*from;
    name[n] = '\0';
    return n > 0;
}

/* The name comes from a stranger: only families of one byte a character reach iconv. */
static bool is_8bit(const char *name)
{
    static const char *const families[] = {"iso-8859-", "windows-125", "cp125", "koi8-"};

    for (const char *s = name; *s; s++)
        if (!((*s | 0x20) >= 'a' && (*s | 0x20) <= 'z') && !(*s >= '0' && *s <= '9') && *s != '-')
            return false;
    for (size_t k = 0; k < sizeof(families) / sizeof(families[0]); k++)
        if (!strncasecmp(name, families[k], strlen(families[k])))
            return strcasecmp(name, "iso-8859-1") != 0;
    return false;
}

/* What bytes that are no UTF-8 mean. */
static void table_fill(struct markup *m, const char *declared)
{
    iconv_t cd = declared && is_8bit(declared) ? iconv_open("UTF-8", declared) : (iconv_t)-1;

    for (unsigned b = 0x80; b <= 0xff; b++) {
        char in = (char)b, out[8], *ip = &in, *op = out;
        size_t nin = 1, nout = sizeof(out);
        uint32_t cp = 0;
        if (cd != (iconv_t)-1 && iconv(cd, &ip, &nin, &op, &nout) == 0 &&
            utf8_decode((unsigned char *)out, sizeof(out) - nout, &cp) && cp <= 0xffff)
            m->table[b - 0x80] = (uint16_t)cp;
        else
            m->table[b - 0x80] = (uint16_t)utf8_of_cp1252((unsigned char)b);
        if (cd != (iconv_t)-1)
            iconv(cd, NULL, NULL, NULL, NULL);
    }
    if (cd != (iconv_t)-1)
        iconv_close(cd);
}

/* Decide from the head what the input is, and let the head pass. */
static int sniff(struct markup *m)
{
    const unsigned char *s = m->head;
    size_t n = m->nhead, skip = 0;
    char declared[64];

    m->encoding = BYTES;
    m->line = 1;
    if (n >= 2 && ((s[0] == 0xff && s[1] == 0xfe) || (s[0] == '<' && !s[1])))
        m->encoding = UTF16_LE;
    else if (n >= 2 && ((s[0] == 0xfe && s[1] == 0xff) || (!s[0] && s[1] == '<')))
        m->encoding = UTF16_BE;
    else if (n >= 3 && !memcmp(s, "\xef\xbb\xbf", 3))
        skip = 3;
    if (m->encoding != BYTES && s[0] && s[1])
        skip = 2;
    table_fill(m, declared_encoding(s, n, declared, sizeof(declared)) ? declared : NULL);
    return decode(m, s + skip, n - skip, true);
}

int markup_feed(struct markup *m, const void *bytes, size_t len)
{
    const unsigned char *s = bytes;
    int r;

    if (m->encoding == SNIFFING) {
        size_t n = len < MARKUP_HEAD - m->nhead ? len : MARKUP_HEAD - m->nhead;
        memcpy(m->head + m->nhead, s, n);
        m->nhead += (unsigned)n;
        if (m->nhead < MARKUP_HEAD)
            return 0;
        r = sniff(m);
        if (r)
            return r;
        s += n;
        len -= n;
    }
    while (m->ncarry && len) {
        unsigned char joined[2 * UTF8_MOST];
        size_t had = m->ncarry, n = len < UTF8_MOST ? len : UTF8_MOST;
        memcpy(joined, m->carry, had);
        memcpy(joined + had, s, n);
        int took = m->encoding == BYTES ? byte_char(m, joined, had + n, n == len)
                                        : utf16_char(m, joined, had + n);
        if (took < 0)
            return took;
        if (took == 0) { /* all of it is still one cut character */
            memcpy(m->carry, joined, had + n);
            m->ncarry = (unsigned)(had + n);
            return 0;
        }
        if ((size_t)took < had) {
            m->ncarry = (unsigned)(had - (size_t)took);
            memmove(m->carry, m->carry + took, m->ncarry);
        } else {
            m->ncarry = 0;
            s += (size_t)took - had;
            len -= (size_t)took - had;
        }
    }
    return len ? decode(m, s, len, true) : 0;
}

int markup_finish(struct markup *m)
{
    unsigned char rest[sizeof(m->carry)];
    size_t n;
    int r = m->encoding == SNIFFING ? sniff(m) : 0;

    n = m->ncarry;
    memcpy(rest, m->carry, n);
    if (!r && n && m->encoding == BYTES)
        r = decode(m, rest, n, false);
    if (!r && m->nref)
        r = reference_spill(m);
    if (!r)
        r = flush(m);
    if (r)
        return r;
    switch ((enum state)m->state) {
    case TEXT:
        return 0;
    case OPEN:
    case TAG:
    case QUOTED:
        return fail(m, "ends inside a tag: it is cut off", m->opened);
    case INSTRUCTION:
    case COMMENT:
    case CDATA:
    case DECLARATION:
    case DECLARATION_COMMENT:
        return fail(m, "ends inside a comment or declaration", m->opened);
    }
    return 0;
}
