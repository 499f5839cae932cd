/* yenc — the reference: what decoding means, one byte at a time. */

#include "nntp/yenc.h"
#include "nntp/yenc_kernels.h"

/* Every byte is encoded as itself + 42; those that would come out as NUL, CR, LF or "=" (and, as the
 * encoder likes, TAB, space or ".") as "=" and themselves + 42 + 64. */
#define SHIFT         42
#define SHIFT_ESCAPED (42 + 64)

enum special { NOTHING, TOOK, KEYWORD, END };

/* What `c` means because of where it stands: the dot and the keyword at the start of a line, the end of
 * the block and the end of a line. */
static inline enum special line_special(enum yenc_state *s, uint8_t c)
{
    switch (*s) {
    case YENC_LINE_START:
        if (c != '.')
            return NOTHING;
        *s = YENC_START_DOT;
        return TOOK;
    case YENC_START_DOT:
        if (c == '\n')
            return END;
        if (c != '\r')
            return NOTHING;
        *s = YENC_START_DOT_CR;
        return TOOK;
    case YENC_START_DOT_CR:
        return c == '\n' ? END : NOTHING;
    case YENC_START_ESCAPE:
    case YENC_START_DOT_ESCAPE:
        return c == 'y' ? KEYWORD : NOTHING;
    case YENC_CR:
        if (c != '\n')
            return NOTHING;
        *s = YENC_LINE_START;
        return TOOK;
    case YENC_IN_LINE:
    case YENC_ESCAPE:
        return NOTHING;
    }
    return NOTHING;
}

static inline bool is_escape(enum yenc_state s)
{
    return s == YENC_ESCAPE || s == YENC_START_ESCAPE || s == YENC_START_DOT_ESCAPE;
}

static inline enum yenc_state after_equals(enum yenc_state s)
{
    if (s == YENC_LINE_START)
        return YENC_START_ESCAPE;
    return s == YENC_START_DOT ? YENC_START_DOT_ESCAPE : YENC_ESCAPE;
}

struct yenc_result yenc_decode_reference(enum yenc_state *state, const uint8_t *src, size_t len,
                                         uint8_t *dst, size_t cap)
{
    enum yenc_state s = *state;
    struct yenc_result r = {.stop = YENC_INPUT};

    for (; r.used < len; r.used++) {
        uint8_t c = src[r.used];
        if (s != YENC_IN_LINE) {
            enum special sp = line_special(&s, c);
            if (sp == TOOK)
                continue;
            if (sp != NOTHING) {
                s = YENC_LINE_START;
                r.used++;
                r.stop = sp == END ? YENC_END : YENC_KEYWORD;
                break;
            }
        }
        bool escaped = is_escape(s);
        if (c == '\r') {
            s = YENC_CR;
        } else if (c == '\n') {
            s = YENC_IN_LINE;
        } else if (c == '=' && !escaped) {
            s = after_equals(s);
        } else if (r.written == cap) {
            r.stop = YENC_ROOM;
            break;
        } else {
            dst[r.written++] = (uint8_t)(c - (escaped ? SHIFT_ESCAPED : SHIFT));
            s = YENC_IN_LINE;
        }
    }
    *state = s;
    return r;
}
