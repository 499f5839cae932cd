/* Any bytes as a RAR set: cut into volumes at a marker of the fuzzer's own, opened by names and without, with what
 * format.h promises about every piece. */

#include "archive/format.h"
#include "archive/keys.h"

#include <stdlib.h>
#include <zlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define VOLUMES_MOST 16
static const uint8_t cut[4] = {0xfe, 'c', 'u', 't'};

static void must(int holds)
{
    if (!holds)
        abort();
}

struct volumes {
    struct archive_memory memory[VOLUMES_MOST];
    struct archive_volume v[VOLUMES_MOST];
    uint32_t n;
};

/* Checksums would stop nearly every mutation at its first header: they are put right, block after block. */
static void mend5(uint8_t *p, size_t len)
{
    while (len > 7) {
        size_t at = 4, size = 0;
        for (unsigned shift = 0; at < 7; shift += 7) {
            size |= (size_t)(p[at] & 0x7f) << shift;
            if (!(p[at++] & 0x80))
                break;
        }
        if (!size || size > len - at)
            return;
        uint32_t crc = (uint32_t)crc32(0, p + 4, (uInt)(at - 4 + size));
        memcpy(p, &crc, 4);
        /* Where data follows, the next header is found by what it would be: the maker's all begin anew there. */
        size_t step = at + size, data = 0, f = at + 1;
        if (f + 2 < len && p[f] & 2) {
            size_t k = f + 1 + (p[f] & 1);
            for (unsigned shift = 0; k < len && shift < 21; shift += 7) {
                data |= (size_t)(p[k] & 0x7f) << shift;
                if (!(p[k++] & 0x80))
                    break;
            }
        }
        if (data >= len - step)
            return;
        p += step + data;
        len -= step + data;
    }
}

static void mend4(uint8_t *p, size_t len)
{
    while (len > 11) {
        size_t size = p[5] | (size_t)p[6] << 8, data = 0;
        if (size < 7 || size > len)
            return;
        uint32_t crc = (uint32_t)crc32(0, p + 2, (uInt)(size - 2));
        p[0] = (uint8_t)crc;
        p[1] = (uint8_t)(crc >> 8);
        if (p[4] & 0x80)
            data = p[7] | (size_t)p[8] << 8 | (size_t)p[9] << 16;
        if (data >= len - size)
            return;
        p += size + data;
        len -= size + data;
    }
}

static void mend(uint8_t *p, size_t len)
{
    static const uint8_t marker[6] = {'R', 'a', 'r', '!', 0x1a, 7};
    uint8_t *end = p + len;
    while ((p = memmem(p, (size_t)(end - p), marker, sizeof(marker))) && end - p > 8) {
        if (p[6] == 1)
            mend5(p + 8, (size_t)(end - p) - 8);
        else
            mend4(p + 7, (size_t)(end - p) - 7);
        p += 6;
    }
}

/* `huge`: memory is but the beginning, so that huge sizes fit in. */
static void split(struct volumes *v, const uint8_t *data, size_t size, bool huge)
{
    v->n = 0;
    while (v->n < VOLUMES_MOST) {
        const uint8_t *end = size ? memmem(data, size, cut, sizeof(cut)) : NULL;
        size_t len = end && v->n + 1 < VOLUMES_MOST ? (size_t)(end - data) : size;
        v->memory[v->n] = (struct archive_memory){.b = {&archive_memory_ops},
                                                  .data = data,
                                                  .have = len,
                                                  .size = huge ? UINT64_MAX - v->n : len};
        v->v[v->n] = (struct archive_volume){.bytes = &v->memory[v->n].b, .post = v->n};
        v->n++;
        if (len == size)
            break;
        data += len + sizeof(cut);
        size -= len + sizeof(cut);
    }
}

static void check_member(const struct archive_set *s, const struct volumes *v,
                         const struct archive_member *m)
{
    uint64_t sum = 0;
    must(m->path != NULL);
    must(m->mtime_ns < 1000000000u);
    must(m->why == ARCHIVE_OK || m->npieces == 0);
    for (uint32_t i = 0; i < m->npieces; i++) {
        const struct archive_piece *p = &m->pieces[i];
        must(p->volume < s->nvolumes && p->len > 0);
        const struct archive_volume *at = &s->volumes[p->volume];
        must(p->computed == !at->read);
        must(p->off <= UINT64_MAX - p->len);
        if (!p->computed)
            must(p->off + p->len <= v->memory[at->post].size);
        must(sum <= UINT64_MAX - p->len);
        sum += p->len;
    }
    if (m->why == ARCHIVE_OK && !m->dir)
        must(m->cipher.kind == ARCHIVE_PLAIN
                 ? sum == m->size
                 : sum % 16 == 0 && sum >= m->size && sum - m->size < 16);
}

static void open_set(const uint8_t *data, size_t size, struct archive_keys *keys, unsigned how)
{
    struct volumes v;
    struct arena arena = {.limit = (size_t)8 << 20};
    split(&v, data, size, how & 4);
    struct archive_set s = {.volumes = v.v,
                            .nvolumes = v.n,
                            .ordered = how & 1,
                            .thorough = how & 2,
                            .keys = keys,
                            .arena = &arena};
    int r = archive_rar.read(&s);
    must(r == 0 || r == -ENOMEM);
    for (uint32_t i = 0; i < s.nmembers && r == 0; i++)
        check_member(&s, &v, &s.members[i]);
    bool seen[VOLUMES_MOST] = {0};
    for (uint32_t i = 0; i < v.n && r == 0; i++) {
        must(s.volumes[i].post < v.n && !seen[s.volumes[i].post]);
        seen[s.volumes[i].post] = true;
        const struct archive_memory *m = &v.memory[s.volumes[i].post];
        archive_rar.check(&s, i, m->data, m->have);
    }
    arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const passwords[] = {"p", "q"};
    if (size < 1)
        return 0;
    struct archive_keys *keys = archive_keys_new(passwords, data[0] & 8 ? 2 : 0);
    must(keys != NULL);
    archive_rar.is(data + 1, size - 1);
    open_set(data + 1, size - 1, keys, data[0] & 7u);
    uint8_t *mended = malloc(size);
    must(mended != NULL);
    memcpy(mended, data, size);
    mend(mended + 1, size - 1);
    open_set(mended + 1, size - 1, keys, data[0] & 7u);
    free(mended);
    archive_keys_free(keys);
    return 0;
}
