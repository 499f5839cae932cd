#include "nntp/article_line.h"

#include <string.h>

void line_clear(struct article_line *l)
{
    l->len = 0;
    l->cr = false;
}

static void line_add(struct article_line *l, const uint8_t *in, size_t len)
{
    if (len == 0)
        return;
    if (l->len < ARTICLE_LINE) {
        size_t room = ARTICLE_LINE - l->len;
        memcpy(l->text + l->len, in, len < room ? len : room);
    }
    if (__builtin_add_overflow(l->len, len, &l->len))
        l->len = SIZE_MAX;
    l->cr = in[len - 1] == '\r';
}

void line_set(struct article_line *l, const char *start)
{
    line_clear(l);
    line_add(l, (const uint8_t *)start, strlen(start));
}

enum yenc_state line_state(const struct article_line *l)
{
    if (l->len == 0)
        return YENC_LINE_START;
    if (l->text[0] == '.' && l->len == 1)
        return YENC_START_DOT;
    if (l->text[0] == '.' && l->len == 2 && l->cr)
        return YENC_START_DOT_CR;
    return l->cr ? YENC_CR : YENC_IN_LINE;
}

/* A line ends in CR LF; LF alone is a byte of it, unless all there is else is the dot: as in the decoder,
 * what ends the block may not differ between text and data. */
enum line_event line_feed(struct article_line *l, const uint8_t *in, size_t len, size_t *used)
{
    for (size_t at = 0; at < len;) {
        const uint8_t *lf = memchr(in + at, '\n', len - at);
        size_t end = lf ? (size_t)(lf - in) : len;
        line_add(l, in + at, end - at);
        if (!lf)
            break;
        at = end + 1;
        enum yenc_state s = line_state(l);
        if (s != YENC_IN_LINE && s != YENC_LINE_START) {
            *used = at;
            return s == YENC_CR ? LINE_WHOLE : LINE_END;
        }
        line_add(l, lf, 1);
    }
    *used = len;
    return LINE_MORE;
}

/* A whole line's last byte is its CR. */
bool line_is_cut(const struct article_line *l)
{
    return l->len - 1 > ARTICLE_LINE;
}

char *line_text(struct article_line *l)
{
    l->text[line_is_cut(l) ? ARTICLE_LINE : l->len - 1] = '\0';
    return l->text[0] == '.' ? l->text + 1 : l->text;
}

bool keyword_number(const char *value, uint64_t most, uint64_t *out)
{
    uint64_t n = 0;
    if (*value == '\0')
        return false;
    for (; *value; value++) {
        if (*value < '0' || *value > '9')
            return false;
        if (__builtin_mul_overflow(n, 10u, &n) ||
            __builtin_add_overflow(n, (uint64_t)(*value - '0'), &n))
            return false;
    }
    *out = n;
    return n <= most;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool keyword_crc(const char *value, uint32_t *out)
{
    uint32_t crc = 0;
    if (*value == '\0')
        return false;
    for (; *value; value++) {
        int digit = hex_digit(*value);
        if (digit < 0)
            return false;
        crc = crc << 4 | (uint32_t)digit;
    }
    *out = crc;
    return true;
}

/* "name=" takes the rest of the line, without the spaces around it. */
static char *name_value(char *text)
{
    size_t n;
    text += strspn(text, " \t");
    for (n = strlen(text); n > 0 && (text[n - 1] == ' ' || text[n - 1] == '\t'); n--)
        ;
    text[n] = '\0';
    return text;
}

static const char **keyword_slot(struct keywords *k, const char *key)
{
    const struct {
        const char *key;
        const char **slot;
    } known[] = {
        {"size", &k->size}, {"part", &k->part},     {"total", &k->total}, {"begin", &k->begin},
        {"end", &k->end},   {"pcrc32", &k->pcrc32}, {"crc32", &k->crc32},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(key, known[i].key) == 0)
            return known[i].slot;
    return NULL;
}

void keywords_parse(struct keywords *k, char *text)
{
    *k = (struct keywords){0};
    for (;;) {
        text += strspn(text, " \t");
        if (*text == '\0')
            return;
        if (strncmp(text, "name=", 5) == 0) {
            k->name = name_value(text + 5);
            return;
        }
        char *word = text, *end = text + strcspn(text, " \t");
        text = *end ? end + 1 : end;
        *end = '\0';
        char *value = strchr(word, '=');
        if (!value)
            continue;
        *value++ = '\0';
        const char **slot = keyword_slot(k, word);
        if (slot && !*slot)
            *slot = value;
    }
}

bool line_is_uuencode(const char *text)
{
    static const char start[] = "begin ";
    if (strncmp(text, start, sizeof(start) - 1) != 0)
        return false;
    text += sizeof(start) - 1;
    size_t digits = strspn(text, "01234567");
    return (digits == 3 || digits == 4) && text[digits] == ' ' && text[digits + 1] != '\0';
}
