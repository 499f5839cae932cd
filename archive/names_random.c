/* names_random — names that say nothing.
 *
 * A word in any language keeps to pairs of letters that people can say, is not broken by digits and changes
 * case where a word begins. Random letters do none of that. Each token (letters and digits without anything
 * between them) is counted by what it does against these habits; a name is obfuscated where nearly all of it
 * is such tokens. What a release puts into its name (S01E02, 1080p, a year) proves that it is none. */
#include "archive/names.h"

#include <string.h>
#include <strings.h>

#define TOKEN_LEAST  6u  /* shorter ones are no evidence */
#define RANDOM_LEAST 16u /* so much of it must be random */

/* For each letter those that hardly ever follow it in 26 languages of Latin script (less than 3 in 10,000 pairs). */
static const char *const rare_pairs[26] = {
    "",                         /* a */
    "cdfghkmpqwxz",             /* b */
    "bdfgmpqvwx",               /* c */
    "qx",                       /* d */
    "",                         /* e */
    "bcghkmnpqvwxz",            /* f */
    "cfpqxz",                   /* g */
    "bcfghpqxz",                /* h */
    "",                         /* i */
    "bfghjpqvwxy",              /* j */
    "fgqxz",                    /* k */
    "qwx",                      /* l */
    "ghqvwxz",                  /* m */
    "qx",                       /* n */
    "x",                        /* o */
    "bmqvwxz",                  /* p */
    "bcdefghijklmnopqrstvwxyz", /* q */
    "x",                        /* r */
    "x",                        /* s */
    "q",                        /* t */
    "q",                        /* u */
    "dfghmpqvwx",               /* v */
    "bdfghjklmpqtvwx",          /* w */
    "bdfghjklmnqrsvwxyz",       /* x */
    "qx",                       /* y */
    "fjqx",                     /* z */
};

struct token {
    const char *s;
    size_t len;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_letter(char c)
{
    return is_upper(c) || (c >= 'a' && c <= 'z');
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool pair_is_rare(char a, char b)
{
    return strchr(rare_pairs[(a | 32) - 'a'], b | 32) != NULL;
}

/* ---- what releases are called ---- */

static size_t digits_at(struct token t, size_t i)
{
    size_t n = 0;
    while (i + n < t.len && is_digit(t.s[i + n]))
        n++;
    return n;
}

/* S01E02, 1080p, x264, a year: at `i`, with no digit before it. */
static bool tag_at(struct token t, size_t i)
{
    size_t n = digits_at(t, i);
    char c = (char)(t.s[i] | 32);

    if (c == 's') {
        size_t season = digits_at(t, i + 1), at = i + 1 + season;
        return season >= 1 && season <= 2 && at < t.len && (t.s[at] | 32) == 'e' &&
               digits_at(t, at + 1) >= 2;
    }
    if (c == 'x' || c == 'h')
        return digits_at(t, i + 1) == 3 &&
               (!strncmp(t.s + i + 1, "264", 3) || !strncmp(t.s + i + 1, "265", 3));
    if (n == 4 && (!strncmp(t.s + i, "19", 2) || !strncmp(t.s + i, "20", 2)))
        return true;
    return (n == 3 || n == 4) && i + n < t.len && strchr("pPiI", t.s[i + n]) &&
           (!strncmp(t.s + i, "480", n) || !strncmp(t.s + i, "576", n) ||
            !strncmp(t.s + i, "720", n) || !strncmp(t.s + i, "1080", n) ||
            !strncmp(t.s + i, "2160", n));
}

static bool has_tag(struct token t)
{
    for (size_t i = 0; i < t.len; i++)
        if ((!i || !is_digit(t.s[i - 1]) || !is_digit(t.s[i])) && tag_at(t, i))
            return true;
    return false;
}

/* ---- one token ---- */

struct habits {
    size_t digits, hex;
    size_t rare;     /* pairs within a word */
    size_t switches; /* between letters and digits */
    size_t scraps;   /* words of one or two letters */
};

static struct habits habits_of(struct token t)
{
    struct habits h = {0};
    size_t word = 0; /* letters of the present one */

    for (size_t i = 0; i < t.len; i++) {
        char c = t.s[i], before = i ? t.s[i - 1] : '\0';
        bool begins = !is_letter(before) || (is_upper(c) && !is_upper(before));
        h.digits += is_digit(c);
        h.hex += is_hex(c);
        h.switches += i && is_digit(c) != is_digit(before);
        if (is_digit(c) || begins) {
            h.scraps += word == 1 || word == 2;
            word = 0;
        }
        if (is_letter(c)) {
            h.rare += word && pair_is_rare(before, c);
            word++;
        }
    }
    h.scraps += word == 1 || word == 2;
    return h;
}

static bool is_random(struct token t)
{
    if (t.len < TOKEN_LEAST)
        return false;
    struct habits h = habits_of(t);
    bool mixed = h.digits && h.digits < t.len;
    if (h.hex == t.len && mixed && h.digits >= 4 && (t.len == 32 || t.len == 40 || t.len >= 24))
        return true;
    if (h.digits == t.len)
        return t.len >= 20;
    if (has_tag(t))
        return false;
    if (h.rare >= 3 && 8 * h.rare >= t.len)
        return true;
    return mixed && h.switches >= 4 && 100 * (2 * h.rare + h.scraps + h.switches) >= 45 * t.len;
}

/* ---- the name ---- */

/* Hexadecimal digits in groups of 8, 4, 4, 4 and 12. */
static bool is_uuid(const char *s, size_t len)
{
    if (len == 38 && s[0] == '{' && s[37] == '}')
        s++, len -= 2;
    for (size_t i = 0; i < len; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? s[i] != '-' : !is_hex(s[i]))
            return false;
    }
    return len == 36;
}

/* What stands before the extension. */
static size_t stem_of(const char *name)
{
    struct names_part p = names_part(name);
    size_t len = strlen(name);

    if (p.scheme != NAMES_NONE)
        len = p.base;
    for (size_t ext = 0; ext < 6 && ext + 1 < len; ext++) {
        char c = name[len - 1 - ext];
        if (c == '.' && ext)
            return len - 1 - ext;
        if (!is_letter(c) && !is_digit(c))
            break;
    }
    return len;
}

bool names_obfuscated(const char *name)
{
    static const char poster[] = "abc.xyz."; /* one program's sign */
    size_t len = stem_of(name), random = 0, total = 0;

    if (len > sizeof(poster) - 1 + 4 && !strncasecmp(name, poster, sizeof(poster) - 1))
        return true;
    if (is_uuid(name, len))
        return true;
    for (size_t i = 0; i < len;) {
        if ((unsigned char)name[i] >= 0x80 || name[i] == ' ')
            return false; /* somebody's language */
        struct token t = {name + i, 0};
        while (i < len && (is_letter(name[i]) || is_digit(name[i])))
            i++, t.len++;
        total += t.len;
        random += is_random(t) ? t.len : 0;
        i += !t.len;
    }
    return random >= RANDOM_LEAST && 10 * random >= 8 * total;
}
