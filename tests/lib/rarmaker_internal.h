/** rarmaker, inside: what both versions share. */
#ifndef TESTS_LIB_RARMAKER_INTERNAL_H
#define TESTS_LIB_RARMAKER_INTERNAL_H

#include "tests/lib/made_internal.h"
#include "tests/lib/rarmaker.h"

#define RARMAKER_KDF_LOG2 15u

/** What a password gives with a salt. */
struct rarmaker_key {
    uint8_t salt[16];
    uint8_t key[32];
    uint8_t iv[16];       /* RAR 4: derived too; RAR 5: of the member */
    uint8_t hash_key[32]; /* RAR 5 */
    uint8_t check[12];    /* RAR 5, with its own checksum */
    bool known;
};

struct rarmaker {
    struct made *m;
    const struct rarmaker_options *o;
    const struct rarmaker_format *format;
    struct rarmaker_key *keys; /* of each file, then that of headers */
    uint64_t dice;             /* how many random words were drawn */
};

/** A member's part in a volume. */
struct rarmaker_part {
    uint32_t file;
    uint64_t at, len;
    bool before, after; /* it goes on from the volume before, into the next */
    uint64_t
        room; /* its size must take as many bytes in the header as this would; 0: as few as can be */
    bool dry; /* only the header's length matters: no checksums */
};

struct rarmaker_format {
    /** All before the first member in the last volume, straight into it. */
    void (*begin)(struct rarmaker *r);
    /** A member's header as it stands in the volume. */
    void (*header)(struct rarmaker *r, const struct rarmaker_part *p, struct made_buf *out);
    /** A block that no reader knows, with some data. */
    void (*service)(struct rarmaker *r, struct made_buf *out);
    /** All behind the last member. `dry`: as above. */
    void (*tail)(struct rarmaker *r, bool more, bool dry, struct made_buf *out);
    void (*key)(const struct rarmaker_options *o, struct rarmaker_key *k);
    unsigned salt_len, bits;
};

extern const struct rarmaker_format rarmaker_4, rarmaker_5;

/** Random bytes of the set's seed, other ones each time. */
void rarmaker_random(struct rarmaker *r, void *out, size_t len);

/** The member is encrypted. */
bool rarmaker_is_encrypted(const struct rarmaker *r, uint32_t file);

/** The key of file `file`, or that of headers (file = nfiles), derived when first asked for. */
struct rarmaker_key *rarmaker_key_of(struct rarmaker *r, uint32_t file);

void rarmaker_blake2sp(const struct made *m, uint32_t file, bool stream, uint64_t at, uint64_t len,
                       uint8_t sum[32]);

#endif
