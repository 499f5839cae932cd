#include "tests/lib/yencode.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

/* What a byte becomes: one or two characters. Two are always stored and `n` of them kept, which spares
 * a branch for each byte. */
struct code {
    uint8_t chars[2];
    uint8_t n;
};

/* In the middle of a line, and at its ends. */
static struct code middle[256], edge[256];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static struct code code_of(unsigned byte, bool at_edge)
{
    unsigned c = (byte + 42) & 0xff;
    bool critical = c == 0 || c == '\n' || c == '\r' || c == '=';
    if (at_edge)
        critical = critical || c == '\t' || c == ' ';
    if (critical)
        return (struct code){{'=', (uint8_t)(c + 64)}, 2};
    return (struct code){{(uint8_t)c, 0}, 1};
}

static void tables_fill(void)
{
    for (unsigned b = 0; b < 256; b++) {
        middle[b] = code_of(b, false);
        edge[b] = code_of(b, true);
    }
}

size_t yencode_bound(size_t len, unsigned line)
{
    /* Each line may go one over its length, gain a dot, and ends in two bytes more. */
    return 2 * len + (2 * len / line + 1) * 4 + 8;
}

static uint8_t *put(uint8_t *out, const struct code *c)
{
    memcpy(out, c->chars, 2);
    return out + c->n;
}

size_t yencode_lines(const void *in, size_t len, unsigned line, uint8_t *out)
{
    pthread_once(&once, tables_fill);
    assert(line >= 1 && line <= YENCODE_LINE_MAX);
    const uint8_t *p = in, *end = p + len;
    uint8_t *o = out;

    while (p < end) {
        uint8_t *start = o;
        o = put(o, &edge[*p++]);
        if (*start == '.') {
            *o++ = '.';
            start++; /* the second dot is the transport's and does not count */
        }
        uint8_t *last = start + line - 1;
        while (o < last && p < end)
            o = put(o, &middle[*p++]);
        if (o == last && p < end)
            o = put(o, &edge[*p++]);
        /* A short last line ends in what was not known to be its end: escape a blank there too. */
        if (p == end && o - start > 1 && (o[-1] == ' ' || o[-1] == '\t')) {
            o[0] = (uint8_t)(o[-1] + 64);
            o[-1] = '=';
            o++;
        }
        *o++ = '\r';
        *o++ = '\n';
    }
    return (size_t)(o - out);
}
