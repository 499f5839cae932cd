/* article — anything as an answer, fed whole and fed in pieces: the same events, payload and verdict. */

#include "nntp/article.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input's first bytes say how it is cut, what room there is and when it is no longer wanted. */
#define SETTINGS 4
#define ROOM     8192

struct outcome {
    unsigned begins;
    bool ended;
    uint64_t wire;
    size_t payload;
    enum article_verdict verdict;
    uint32_t crc, file_crc;
    struct segment_info info;
    char name[ARTICLE_NAME];
    uint8_t *bytes;
};

static void give_room(struct article *a, uint8_t *bytes, struct iovec dst[3], size_t first)
{
    /* Three pieces in a row: small, none, the rest. */
    dst[0] = (struct iovec){bytes, first};
    dst[1] = (struct iovec){bytes + first, 0};
    dst[2] = (struct iovec){bytes + first, ROOM - first};
    article_dst(a, dst, 3);
}

static struct outcome run(const uint8_t *in, size_t len, const uint8_t *settings, bool cut)
{
    struct article *a = malloc(sizeof(*a));
    struct outcome o = {.bytes = malloc(ROOM)};
    struct iovec dst[3];
    if (!a || !o.bytes)
        abort();
    article_start(a);
    for (size_t at = 0; at < len && !o.ended;) {
        size_t used = 0, n = len - at;
        if (cut) {
            size_t piece = 1 + (settings[1] * (at + 1) >> 3) % (1 + (size_t)settings[0] * 4);
            n = piece < n ? piece : n;
        }
        uint8_t *src = malloc(n);
        if (!src)
            abort();
        memcpy(src, in + at, n);
        enum article_event ev = article_feed(a, src, n, &used);
        free(src);
        if (used > n || (ev == ARTICLE_MORE && used < n))
            abort();
        at += used;
        if (ev == ARTICLE_BEGIN) {
            o.begins++;
            o.info = *article_info(a);
            if (settings[3] & 1)
                article_skip(a);
            else
                give_room(a, o.bytes, dst, settings[2]);
        }
        o.ended = ev == ARTICLE_END;
    }
    o.wire = article_wire(a);
    o.payload = article_payload(a);
    o.crc = article_crc(a);
    o.verdict = article_verdict(a);
    if (!article_file_crc(a, &o.file_crc))
        o.file_crc = 0;
    if (strlen(article_info(a)->name) >= sizeof(o.name))
        abort();
    strcpy(o.name, article_info(a)->name);
    free(a);
    return o;
}

static void check(const struct outcome *o)
{
    if (o->begins > 1 || o->payload > ROOM || o->payload > o->info.len)
        abort();
    if (o->begins && (o->info.len > ARTICLE_PART_MOST || o->info.begin > o->info.file_size ||
                      o->info.len > o->info.file_size - o->info.begin))
        abort();
    if (o->ended && o->verdict == ARTICLE_OK && (!o->begins || o->payload != o->info.len))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < SETTINGS)
        return 0;
    const uint8_t *in = data + SETTINGS;
    struct outcome whole = run(in, size - SETTINGS, data, false);
    struct outcome cut = run(in, size - SETTINGS, data, true);
    check(&whole);
    if (whole.begins != cut.begins || whole.ended != cut.ended || whole.wire != cut.wire ||
        whole.payload != cut.payload || whole.crc != cut.crc || whole.file_crc != cut.file_crc ||
        whole.verdict != cut.verdict || strcmp(whole.name, cut.name) != 0 ||
        memcmp(whole.bytes, cut.bytes, whole.payload) != 0) {
        fprintf(stderr, "the pieces differ from the whole\n");
        abort();
    }
    free(whole.bytes);
    free(cut.bytes);
    return 0;
}
