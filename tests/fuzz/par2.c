/* Any bytes as a PAR2 file: only packets whose MD5 is right count, so the target mends it where it finds one. */

#include "archive/par2.h"

#include <openssl/evp.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int holds)
{
    if (!holds)
        abort();
}

/* Give each packet whose length fits the MD5 it ought to have. */
static void mend(uint8_t *p, size_t size)
{
    for (size_t at = 0; at + 64 <= size; at += 4) {
        uint64_t len = 0;
        for (unsigned i = 0; i < 8; i++)
            len |= (uint64_t)p[at + 8 + i] << (8 * i);
        if (par2_is(p + at, size - at) && len >= 64 && len <= size - at)
            must(EVP_Digest(p + at + 32, len - 32, p + at + 16, NULL, EVP_md5(), NULL) == 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    struct arena arena = {.limit = (size_t)16 << 20};
    struct par2 found = {0};

    must(copy != NULL);
    if (size)
        memcpy(copy, data, size);
    mend(copy, size);
    struct archive_memory m = {
        .b = {&archive_memory_ops}, .data = copy, .have = size, .size = size};
    must(par2_read(&m.b, 2 * size, &arena, &found) == 0);
    for (uint32_t i = 0; i < found.nfiles; i++) {
        const struct par2_file *f = &found.files[i], *got = par2_match(&found, f->md5_16k, f->size);
        must(f->name && *f->name && (!got || !strcmp(got->name, f->name)));
    }
    arena_fini(&arena);
    free(copy);
    return 0;
}
