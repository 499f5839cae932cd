/* names — volumes, by the ends of their names. */
#include "archive/names.h"

#include <string.h>
#include <strings.h>

/* Longer numbers are no volumes: a set has at most 100,000. */
#define DIGITS_MOST 6u

/* A component of a path. Of longer ones, which are an archive's, " (2)" is not looked at. */
#define NAME_MOST   255u

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Does name[len] end with `end`, in any case, and with something before it? */
static bool ends(const char *name, size_t len, const char *end)
{
    size_t n = strlen(end);
    return len > n && !strncasecmp(name + len - n, end, n);
}

static size_t digits_before(const char *name, size_t len)
{
    size_t n = 0;
    while (n < len && is_digit(name[len - 1 - n]))
        n++;
    return n;
}

static uint32_t number_at(const char *s, size_t n)
{
    uint32_t v = 0;
    for (size_t i = 0; i < n; i++)
        v = v * 10 + (uint32_t)(s[i] - '0');
    return v;
}

static uint32_t from_one(uint32_t v)
{
    return v ? v - 1 : 0;
}

/* name[len] ends with "part" and a number: x.part01, "x part 1" is not one. */
static bool part_number(const char *name, size_t len, struct names_part *p)
{
    size_t n = digits_before(name, len), at = len - n;

    if (!n || n > DIGITS_MOST || !ends(name, at, "part") || at < 6 || !strchr("._- ", name[at - 5]))
        return false;
    uint32_t v = number_at(name + at, n);
    *p = (struct names_part){
        .scheme = NAMES_RAR_PART, .base = at - 5, .volume = from_one(v), .zero = !v};
    return true;
}

/* .rar, with .partN or without. */
static bool rar(const char *name, size_t len, struct names_part *p)
{
    bool sfx = ends(name, len, ".exe");

    if (!sfx && !ends(name, len, ".rar"))
        return false;
    if (part_number(name, len - 4, p))
        return true;
    *p = (struct names_part){.scheme = NAMES_RAR_OLD, .base = len - 4};
    return !sfx;
}

/* .r00 to .r99, .s00 and so on; .z01 and on is a split ZIP, whose last volume is .zip. */
static bool rar_old(const char *name, size_t len, struct names_part *p)
{
    size_t n = digits_before(name, len);

    if ((n != 2 && n != 3) || len < n + 3 || name[len - n - 2] != '.')
        return false;
    char c = (char)(name[len - n - 1] | 32);
    uint32_t v = number_at(name + len - n, n);
    if (c == 'z') {
        *p = (struct names_part){.scheme = NAMES_ZIP, .base = len - n - 2, .volume = v};
        return v > 0;
    }
    if (c < 'r' || c > 'y' || (n == 3 && c != 'r'))
        return false;
    *p = (struct names_part){
        .scheme = NAMES_RAR_OLD, .base = len - n - 2, .volume = (uint32_t)(c - 'r') * 100 + v + 1};
    return true;
}

/* .7z, .zip, and with a number behind. */
static bool cut(const char *name, size_t len, const char *ext, enum names_scheme scheme,
                struct names_part *p)
{
    size_t n = digits_before(name, len), more = 0;

    if (n >= 2 && n <= DIGITS_MOST && len > n && name[len - n - 1] == '.')
        more = n + 1;
    if (!ends(name, len - more, ext))
        return false;
    uint32_t v = more ? number_at(name + len - n, n) : 1;
    *p = (struct names_part){
        .scheme = scheme, .base = len - more - strlen(ext), .volume = from_one(v), .zero = !v};
    return true;
}

/* .001: exactly three digits, since four are a year. */
static bool split(const char *name, size_t len, struct names_part *p)
{
    if (digits_before(name, len) != 3 || len < 5 || name[len - 4] != '.')
        return false;
    uint32_t v = number_at(name + len - 3, 3);
    *p = (struct names_part){
        .scheme = NAMES_SPLIT, .base = len - 4, .volume = from_one(v), .zero = !v};
    return true;
}

static bool par2(const char *name, size_t len, struct names_part *p)
{
    if (!ends(name, len, ".par2"))
        return false;
    *p = (struct names_part){.scheme = NAMES_PAR2, .base = len - 5};
    size_t to = len - 5, n = digits_before(name, to), at = to - n;
    if (!n || n > DIGITS_MOST || !at || !strchr("+-", name[at - 1]))
        return true;
    size_t from = digits_before(name, at - 1);
    if (!from || !ends(name, at - 1 - from, ".vol"))
        return true;
    p->base = at - 1 - from - 4;
    p->volume = number_at(name + to - n, n);
    return true;
}

static bool part_of(const char *name, size_t len, struct names_part *p)
{
    return par2(name, len, p) || rar(name, len, p) || cut(name, len, ".7z", NAMES_7Z, p) ||
           cut(name, len, ".zip", NAMES_ZIP, p) || rar_old(name, len, p) || split(name, len, p);
}

/* The base ends with " (2)": that is taken off. Larger numbers are years. */
static void copy_of(const char *name, struct names_part *p)
{
    size_t n = p->base && name[p->base - 1] == ')' ? digits_before(name, p->base - 1) : 0;

    if (n < 1 || n > 2 || p->base < n + 4)
        return;
    size_t open = p->base - n - 2;
    uint32_t number = number_at(name + open + 1, n);
    if (name[open] != '(' || name[open - 1] != ' ' || number < 2)
        return;
    p->copy = number;
    p->base = open - 1;
}

struct names_part names_part(const char *name)
{
    size_t len = strlen(name);
    struct names_part p;

    if (!part_of(name, len, &p))
        return (struct names_part){.base = len};
    copy_of(name, &p);
    return p;
}

/* ---- aside ---- */

static bool listed(const char *word, size_t len, const char *const *list)
{
    for (; *list; list++)
        if (strlen(*list) == len && !strncasecmp(word, *list, len))
            return true;
    return false;
}

bool names_aside(const char *name)
{
    static const char *const kinds[] = {
        "nfo", "sfv", "par2", "par",  "nzb",    "jpg", "jpeg", "png",  "gif", "bmp", "webp", "txt",
        "srr", "srs", "md5",  "sha1", "sha256", "url", "diz",  "html", "htm", "lnk", "db",   NULL};
    static const char *const words[] = {"sample", "samples", "proof", NULL};
    const char *dot = strrchr(name, '.');

    if (dot && dot != name && listed(dot + 1, strlen(dot + 1), kinds))
        return true;
    for (const char *s = name; *s;) {
        size_t n = 0;
        while (is_alnum(s[n]))
            n++;
        if (n && listed(s, n, words))
            return true;
        s += n ? n : 1;
    }
    return false;
}

/* ---- passwords ---- */

/* The end of `name` without ".nzb" and what a compressor adds. */
static size_t without_nzb(const char *name)
{
    size_t len = strlen(name);

    if (ends(name, len, ".gz"))
        len -= 3;
    return ends(name, len, ".nzb") ? len - 4 : strlen(name);
}

bool names_password(const char *name, const char **password, size_t *len)
{
    static const char word[] = " password=";
    const char *open = strstr(name, "{{"), *close = NULL;

    for (const char *s = open ? open + 2 : ""; *s; s++)
        if (s[0] == '}' && s[1] == '}')
            close = s; /* the last one: passwords may end in a brace */
    if (open && close && close > open + 2) {
        *password = open + 2;
        *len = (size_t)(close - open) - 2;
        return true;
    }
    const char *at = strcasestr(name, word);
    size_t end = without_nzb(name);
    if (!at || at + sizeof(word) - 1 >= name + end)
        return false;
    *password = at + sizeof(word) - 1;
    *len = (size_t)(name + end - *password);
    return true;
}

size_t names_public(char *name)
{
    const char *password;
    size_t len, total = strlen(name);

    if (!names_password(name, &password, &len))
        return total;
    size_t begin = (size_t)(password - name), end = begin + len;
    bool braces = begin >= 2 && name[begin - 1] == '{';
    begin -= braces ? 2 : strlen(" password=");
    end += braces ? 2 : 0;
    memmove(name + begin, name + end, total - end + 1);
    total -= end - begin;
    while (total && name[total - 1] == ' ')
        name[--total] = '\0';
    return total;
}
