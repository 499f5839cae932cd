#include "tests/lib/scripted_article.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void scripted_article_id(const struct scripted_article *a, char *out)
{
    snprintf(out, SCRIPTED_ID,
             "%" PRIx64 ".%" PRIx32 ".%" PRIx64 ".%" PRIx32 ".%" PRIx64 "@scripted", a->seed,
             a->part, a->begin, a->len, a->file_size);
}

bool scripted_article_parse(const char *message_id, struct scripted_article *a)
{
    char end = '\0';

    return sscanf(message_id, "%" SCNx64 ".%" SCNx32 ".%" SCNx64 ".%" SCNx32 ".%" SCNx64 "%c",
                  &a->seed, &a->part, &a->begin, &a->len, &a->file_size, &end) == 6 &&
           end == '@';
}

struct segment_info scripted_article_info(const struct scripted_article *a)
{
    return (struct segment_info){.file_size = a->file_size,
                                 .begin = a->begin,
                                 .len = a->len,
                                 .part = a->part,
                                 .name = "scripted"};
}

/** Eight bytes of the file: those from 8 * `n` on. */
static uint64_t word(uint64_t seed, uint64_t n)
{
    uint64_t x = (seed ^ 0x5851F42D4C957F2Du) + n * 0x9E3779B97F4A7C15u;

    x = (x ^ (x >> 32)) * 0xD6E8FEB86659FD93u;
    return x ^ (x >> 29);
}

void scripted_bytes(uint64_t seed, uint64_t off, void *p, size_t len)
{
    uint8_t *out = p;

    while (len > 0) {
        uint64_t w = word(seed, off / 8);
        size_t skip = off % 8, take = 8 - skip < len ? 8 - skip : len;

        memcpy(out, (const uint8_t *)&w + skip, take);
        out += take;
        off += take;
        len -= take;
    }
}

bool scripted_bytes_match(uint64_t seed, uint64_t off, const void *p, size_t len)
{
    const uint8_t *in = p;
    uint8_t want[256];

    while (len > 0) {
        size_t take = len < sizeof(want) ? len : sizeof(want);

        scripted_bytes(seed, off, want, take);
        if (memcmp(in, want, take) != 0)
            return false;
        in += take;
        off += take;
        len -= take;
    }
    return true;
}
