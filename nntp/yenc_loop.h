/* yenc_loop — the vector kernels' common loop. Included once by each of them, after it has defined, for
 * blocks of 64 bytes and masks with bit n for byte n,
 *
 *     struct block                            what it keeps of a block in registers
 *     block_load(&b, s)                       s[0..64); s[-1] may be read too
 *     block_equals(&b, c)                     mask of the bytes that are c
 *     block_put(d, &b, escaped, drop)         decode, leave `drop` out, write to d; may write d[0..64)
 *
 * and DECODE, the kernel's name.
 *
 * A block goes through on masks alone, without a branch that data could make unpredictable:
 *
 *     bytes     . . = } . . . CR LF . . .         an escape, the end of a line
 *     equals        1
 *     escaped         1                           equals << 1: what follows "="
 *     starts                        1             (LF & CR << 1) << 1: what follows CR LF
 *     drop          1         1  1                equals | CR | LF
 *
 * Three things are looked at one by one. All are rare in honest data:
 *  - "=" or "." at the start of a line (one line in fifty): a dot is dropped and the block goes on,
 *    unless it starts a keyword line or the end of the block;
 *  - "==", where the second is escaped and not an escape: no encoder makes it;
 *  - what is left at the end of the input or of the room.
 * The last two, and keyword lines and the end, are left to the reference, which then hands back. */

#include "nntp/yenc_kernels.h"

/* The line-start check looks at "." and the two bytes behind it. */
#define BLOCK 64
#define AHEAD 2

/* What the bytes before a block mean for its first; each 0 or 1. */
struct carry {
    uint64_t escaped, cr, start;
};

/* False in the middle of something that only the reference knows how to finish. `before` is the byte
 * before the next one: kernels look there for "=" on their own, and must see what the state says. */
static inline bool carry_init(struct carry *c, enum yenc_state s, uint8_t before)
{
    *c = (struct carry){
        .escaped = s == YENC_ESCAPE, .cr = s == YENC_CR, .start = s == YENC_LINE_START};
    if (s != YENC_ESCAPE && s != YENC_CR && s != YENC_LINE_START && s != YENC_IN_LINE)
        return false;
    return (before == '=') == (s == YENC_ESCAPE);
}

/* The state at the end of a block: what its last two bytes are, and whether a line started there. */
static inline enum yenc_state carry_state(const struct carry *c, uint64_t starts, uint64_t dots)
{
    bool dot_before = dots >> (BLOCK - 2) & 1;
    if (c->start)
        return YENC_LINE_START;
    if (c->cr)
        return dot_before ? YENC_START_DOT_CR : YENC_CR;
    if (c->escaped && starts >> (BLOCK - 1))
        return YENC_START_ESCAPE;
    if (c->escaped)
        return dot_before ? YENC_START_DOT_ESCAPE : YENC_ESCAPE;
    return dots >> (BLOCK - 1) ? YENC_START_DOT : YENC_IN_LINE;
}

/* `odd` marks "=" and "." at starts of lines. Collects the dots that are stuffing; false when one of the
 * lines is not data. */
static inline bool lines_are_data(const uint8_t *s, uint64_t odd, uint64_t *dots)
{
    for (; odd; odd &= odd - 1) {
        const uint8_t *at = s + __builtin_ctzll(odd);
        if (at[0] == '=') {
            if (at[1] == 'y')
                return false;
            continue;
        }
        if (at[1] == '\n' || (at[1] == '\r' && at[2] == '\n') || (at[1] == '=' && at[2] == 'y'))
            return false;
        *dots |= odd & (~odd + 1);
    }
    return true;
}

/* As many blocks as go through. Needs r->used > 0. */
static inline void blocks(enum yenc_state *state, const uint8_t *src, size_t len, uint8_t *dst,
                          size_t cap, struct yenc_result *r)
{
    struct carry c;
    if (!carry_init(&c, *state, src[r->used - 1]))
        return;
    const uint8_t *s = src + r->used, *start = s;
    uint8_t *d = dst + r->written;
    size_t n = (len - r->used - AHEAD) / BLOCK;
    const uint8_t *room = dst + cap - BLOCK;
    uint64_t starts = 0, dots = 0;

    for (; n && d <= room; n--) {
        struct block b;
        block_load(&b, s);
        uint64_t eq = block_equals(&b, '='), cr = block_equals(&b, '\r'),
                 lf = block_equals(&b, '\n');
        uint64_t escaped = eq << 1 | c.escaped;
        uint64_t ends = lf & (cr << 1 | c.cr);
        uint64_t begin = ends << 1 | c.start;
        uint64_t odd = begin & (eq | block_equals(&b, '.'));
        uint64_t stuffed = 0;
        if (__builtin_expect((eq & escaped) != 0, 0))
            break;
        if (__builtin_expect(odd != 0, 0) && !lines_are_data(s, odd, &stuffed))
            break;
        d += block_put(d, &b, escaped, eq | cr | lf | stuffed);
        c = (struct carry){
            .escaped = eq >> (BLOCK - 1), .cr = cr >> (BLOCK - 1), .start = ends >> (BLOCK - 1)};
        starts = begin;
        dots = stuffed;
        s += BLOCK;
    }
    if (s == start)
        return;
    *state = carry_state(&c, starts, dots);
    r->used = (size_t)(s - src);
    r->written = (size_t)(d - dst);
}

struct yenc_result DECODE(enum yenc_state *state, const uint8_t *src, size_t len, uint8_t *dst,
                          size_t cap) {
    struct yenc_result r = {.stop = YENC_INPUT};
    while (r.used < len && r.stop == YENC_INPUT) {
        size_t n = len - r.used;
        if (n >= BLOCK + AHEAD && cap - r.written >= BLOCK) {
            size_t before = r.used;
            if (before > 0)
                blocks(state, src, len, dst, cap, &r);
            if (r.used > before)
                continue;
            n = before > 0 ? BLOCK : 1;
        }
        struct yenc_result one =
            yenc_decode_reference(state, src + r.used, n, dst + r.written, cap - r.written);
        r.stop = one.stop;
        r.used += one.used;
        r.written += one.written;
    }
    return r;
}
