/* yenc — every kernel against the reference, on anything, in pieces and rooms of any size. */

#include "nntp/yenc.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input's first bytes say how it is cut. */
#define SETTINGS 5

struct outcome {
    struct yenc_result r;
    enum yenc_state state;
    uint8_t *bytes;
};

/* Each call gets copies of exactly its input and room, so that a sanitizer sees a byte too far. */
static struct yenc_result call(const struct yenc_kernel *k, enum yenc_state *state,
                               const uint8_t *in, size_t len, uint8_t *out, size_t cap)
{
    uint8_t *src = malloc(len ? len : 1), *dst = malloc(cap ? cap : 1);
    if (!src || !dst)
        abort();
    memcpy(src, in, len);
    struct yenc_result r = k->decode(state, src, len, dst, cap);
    if (r.used > len || r.written > cap)
        abort();
    memcpy(out, dst, r.written);
    free(src);
    free(dst);
    return r;
}

static struct outcome run(const struct yenc_kernel *k, enum yenc_state start, const uint8_t *in,
                          size_t len, size_t cap, size_t piece, size_t room)
{
    struct outcome o = {.r = {.stop = YENC_INPUT}, .state = start, .bytes = malloc(cap ? cap : 1)};
    if (!o.bytes)
        abort();
    while (o.r.used < len) {
        size_t n = len - o.r.used, space = cap - o.r.written;
        n = piece && piece < n ? piece : n;
        space = room && room < space ? room : space;
        struct yenc_result r = call(k, &o.state, in + o.r.used, n, o.bytes + o.r.written, space);
        o.r.used += r.used;
        o.r.written += r.written;
        o.r.stop = r.stop;
        if (r.stop == YENC_KEYWORD || r.stop == YENC_END)
            break;
        if (r.stop == YENC_ROOM && o.r.written == cap)
            break;
        if (r.used == 0)
            abort();
    }
    return o;
}

static void must_be_same(const struct yenc_kernel *k, const struct outcome *a,
                         const struct outcome *b)
{
    if (a->r.used == b->r.used && a->r.written == b->r.written && a->r.stop == b->r.stop &&
        a->state == b->state && memcmp(a->bytes, b->bytes, a->r.written) == 0)
        return;
    fprintf(stderr, "%s differs from the reference\n", k->name);
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < SETTINGS)
        return 0;
    enum yenc_state start = (enum yenc_state)(data[0] % (YENC_START_DOT_ESCAPE + 1));
    size_t piece = data[1], room = data[2], len = size - SETTINGS;
    size_t cap = (size_t)data[3] << 8 | data[4];
    data += SETTINGS;
    cap = cap < len + 100 ? cap : len + 100;

    size_t n;
    const struct yenc_kernel *k = yenc_kernels(&n);
    struct outcome want = run(&k[0], start, data, len, cap, 0, 0);
    for (size_t i = 0; i < n; i++) {
        if (!k[i].usable)
            continue;
        struct outcome whole = run(&k[i], start, data, len, cap, 0, 0);
        struct outcome cut = run(&k[i], start, data, len, cap, piece, room);
        must_be_same(&k[i], &want, &whole);
        must_be_same(&k[i], &want, &cut);
        free(whole.bytes);
        free(cut.bytes);
    }
    free(want.bytes);
    return 0;
}
