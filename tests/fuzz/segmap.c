/* A map that is told anything, in any order: trusted parts never overlap or move, the answers hold
 * together, and a reader who does as it is told always gets to an end. */

#include "nzb/segmap.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SEGMENTS 48

struct input {
    const uint8_t *p;
    size_t left;
};

static unsigned take(struct input *in)
{
    if (!in->left)
        return 0;
    in->left--;
    return *in->p++;
}

static void must(int holds)
{
    if (!holds)
        abort();
}

/* Small numbers, so that claims often touch; sometimes absurd ones. */
static struct segment_info make_info(struct input *in, uint32_t i)
{
    unsigned kind = take(in);
    struct segment_info info = {.file_size = 400, .begin = take(in), .len = take(in) % 20};

    if (kind & 1) { /* on a grid */
        info.begin = i * UINT64_C(10);
        info.len = info.begin < 400 ? 10 : 0;
    }
    if ((kind & 0xf0) == 0x10)
        info.file_size = take(in);
    if ((kind & 0xf0) == 0x20)
        info.begin = UINT64_MAX - take(in);
    if ((kind & 0xf0) == 0x30)
        info.part = take(in);
    return info;
}

static void act(struct segmap *m, struct input *in, uint32_t i)
{
    struct segment_info info = make_info(in, i);
    enum segmap_verdict said = segmap_check(m, i, &info);

    must(segmap_learn(m, i, &info) == said);
    if (said == SEGMAP_WRONG)
        segmap_lost(m, i);
}

/* Ask until there is an answer, and check it. */
static void look(struct segmap *m, struct input *in, uint32_t n, uint64_t off)
{
    for (unsigned steps = 0; steps <= 5 * n + 5; steps++) {
        struct segmap_at at = segmap_find(m, off);
        if (at.place == SEGMAP_EOF)
            return;
        if (at.place == SEGMAP_HOLE || at.place == SEGMAP_HERE)
            must(at.begin <= off && off < at.end);
        if (at.place == SEGMAP_HOLE)
            return;
        must(at.i < n);
        if (at.place == SEGMAP_HERE && at.learnt) {
            struct segmap_at first = segmap_find(m, at.begin), last = segmap_find(m, at.end - 1);
            must(first.learnt && first.i == at.i && last.learnt && last.i == at.i);
            return;
        }
        act(m, in, at.i);
    }
    must(0); /* it does not end */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    uint32_t numbers[SEGMENTS], n = take(&in) % SEGMENTS, number = 0;
    uint64_t where[SEGMENTS];

    for (uint32_t i = 0; i < n; i++)
        numbers[i] = number += take(&in) % 8 ? 1 : 2;
    memset(where, 0xff, sizeof(where));
    struct segmap *m = segmap_new(numbers, n, take(&in));
    must(m != NULL);
    while (in.left) {
        unsigned verb = take(&in);
        uint32_t i = take(&in) % SEGMENTS;
        if (verb % 8 == 0)
            segmap_lost(m, i);
        else if (verb % 32 == 1)
            segmap_forget_lost(m);
        else if (verb % 2)
            act(m, &in, i);
        else
            look(m, &in, n, verb + i);
    }
    for (uint64_t off = 0; off < 400; off++) { /* what is trusted is trusted once */
        look(m, &in, n, off);
        struct segmap_at at = segmap_find(m, off);
        if (at.place != SEGMAP_HERE || !at.learnt)
            continue;
        must(where[at.i] == UINT64_MAX || where[at.i] == at.begin);
        where[at.i] = at.begin;
    }
    segmap_free(m);
    return 0;
}
