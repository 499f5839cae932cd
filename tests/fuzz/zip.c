/* zip — an archive of any bytes, whole and in volumes: whatever it says, every piece lies in its volume. */
#include "archive/format.h"
#include "archive/keys.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define VOLUMES 8u

static void must(int holds)
{
    if (!holds)
        abort();
}

static void expect_pieces(const struct archive_set *s, const struct archive_member *m)
{
    uint64_t sum = 0;

    for (uint32_t k = 0; k < m->npieces; k++) {
        const struct archive_piece *p = &m->pieces[k];
        must(p->volume < s->nvolumes && p->len);
        uint64_t size = s->volumes[p->volume].size;
        must(p->off <= size && p->len <= size - p->off);
        sum += p->len;
    }
    must(sum >= m->size && (m->cipher.kind != ARCHIVE_PLAIN || sum == m->size));
    must(m->skip <= sum && m->size <= sum - m->skip);
}

static void try_cut(const uint8_t *data, size_t size, size_t cut, struct archive_keys *keys)
{
    struct archive_memory parts[VOLUMES];
    struct archive_volume volumes[VOLUMES] = {0};
    struct arena arena = {.limit = (size_t)64 << 20};
    struct archive_set s = {.volumes = volumes, .ordered = true, .keys = keys, .arena = &arena};

    for (size_t at = 0; s.nvolumes < VOLUMES && at <= size; at += cut) {
        size_t len = size - at < cut ? size - at : cut;
        parts[s.nvolumes] = (struct archive_memory){
            .b.ops = &archive_memory_ops, .data = data + at, .have = len, .size = len};
        volumes[s.nvolumes].bytes = &parts[s.nvolumes].b;
        s.nvolumes++;
    }
    int err = archive_zip.read(&s);
    must(!err || err == -ENOMEM);
    for (uint32_t k = 0; !err && k < s.nmembers; k++) {
        must(s.members[k].path != NULL);
        if (!s.members[k].why)
            expect_pieces(&s, &s.members[k]);
    }
    arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct archive_keys *keys;
    static const char *const passwords[] = {"right"};

    if (!keys)
        keys = archive_keys_new(passwords, 1);
    must(keys != NULL);
    try_cut(data, size, size + 1, keys);
    try_cut(data, size, size / 4 + 1, keys);
    return 0;
}
