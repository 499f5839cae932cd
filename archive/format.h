/**
 * format — what a format's reader finds in an archive, the same for all of them.
 *
 * Words     A *volume* is one posted file (or one file within another archive) that carries a part of the
 *           archive; a *set* is all volumes of one archive, in order. A *member* is one file in it. A member's
 *           *stream* is its stored bytes, one *piece* after the other: what it shows, or, encrypted, the
 *           CBC text of that, padded.
 * Shape     A reader parses headers only, from `struct archive_bytes`, and never looks at what members hold.
 * Memory    Everything in the caller's arena, whose limit bounds hostile input: -ENOMEM then means
 *           "too much", and the set is shown as posted.
 * Errors    What is wrong with the archive is no error but a reason (enum archive_why), of the set or of a
 *           member. Errors are -EINTR (stop), -ETIMEDOUT and -ENOMEM: nothing was found out.
 * Hostile   Counts and lengths are bounded before they are used; every loop consumes bytes of the input
 *           or ends; offsets are added with overflow checks, and a piece always lies within its volume.
 */
#ifndef ARCHIVE_FORMAT_H
#define ARCHIVE_FORMAT_H

#include "archive/bytes.h"
#include "base/arena.h"

#include <stdbool.h>

/** Why something is shown as it was posted. 0: it is not. */
enum archive_why {
    ARCHIVE_OK,
    ARCHIVE_COMPRESSED,   /* not stored */
    ARCHIVE_VOLUME_LACKS, /* a volume that it needs is not in the NZB */
    ARCHIVE_NO_PASSWORD,  /* it is encrypted, and no password is known */
    ARCHIVE_BAD_PASSWORD, /* none of those known is right */
    ARCHIVE_CIPHER,       /* encrypted in a way that we do not read */
    ARCHIVE_UNREADABLE,   /* articles with its headers cannot be had */
    ARCHIVE_DAMAGED,      /* headers that contradict themselves, or fail their checksum */
    ARCHIVE_UNKNOWN,      /* a feature or version that we do not read */
    ARCHIVE_TOO_MUCH,     /* more entries, or deeper, than we take */
};

/** A short English sentence about it, without a full stop: "it is compressed". */
const char *archive_why_text(enum archive_why w);

#define ARCHIVE_VOLUMES 100000u /* of one set, at most */
#define ARCHIVE_MEMBERS                                                                            \
    1000000u /* of one set, at most; the arena's limit comes sooner for long names */
#define ARCHIVE_HEADER ((size_t)8 << 20) /* bytes of one header, or one 7z header unpacked */

struct archive_piece {
    uint64_t off, len; /* in the volume */
    uint32_t volume;   /* index in archive_set.volumes */
    bool computed;     /* not read from that volume's header but reckoned from its neighbours' */
};

enum archive_cipher_kind { ARCHIVE_PLAIN, ARCHIVE_AES128_CBC, ARCHIVE_AES256_CBC };

/** The stream is CBC text from its first byte to its last, with one key; pieces may cut it anywhere. */
struct archive_cipher {
    enum archive_cipher_kind kind;
    uint8_t key[32]; /* 16 of them for AES-128. Secret: wiped with the layout */
    uint8_t iv[16];
};

enum archive_sum { ARCHIVE_SUM_NONE, ARCHIVE_SUM_CRC32, ARCHIVE_SUM_BLAKE2SP };

struct archive_member {
    const char
        *path; /* as the archive has it, '/' between components, UTF-8 if it could be made so; NOT
                         safe: archive/survey makes it so */
    uint64_t size; /* of what it shows */
    uint64_t skip; /* where that begins in the stream, deciphered */
    int64_t
        mtime_s; /* Unix time; INT64_MIN: not told. RAR 4's and ZIP's local times are taken for UTC */
    uint32_t mtime_ns;
    const struct archive_piece
        *pieces; /* cover [0, skip + size) of the stream, padded to 16 where encrypted */
    uint32_t npieces;
    struct archive_cipher cipher;
    uint8_t sum[32]; /* CRC-32: 4 bytes, little-endian. Of what it shows, not tweaked by a key */
    enum archive_sum sum_kind;
    enum archive_why why; /* not OK: pieces are not to be used */
    bool dir;
};

/** A volume, as the reader got and left it. */
struct archive_volume {
    struct archive_bytes *bytes; /* in; lent */
    uint32_t post;               /* in: the caller's number for it */
    uint64_t guess;              /* in: about how many bytes it has, by the NZB; 0: not known */
    bool read;                   /* out: its header was read; else it was reckoned */
    /** out, of formats that are cut anywhere (they have no header in a volume, `head` is 0): its length. Where `read`
     *  is false that was reckoned: if the file turns out to have another, read the set again with `thorough`. */
    uint64_t size;
    uint64_t head; /* out: so many of its first bytes settle whether a reckoned place is right */
    bool left;     /* out: it could not be placed; set.why says why. Such ones stand last */
};

struct archive_set {
    /* in */
    struct archive_volume *volumes; /* the caller's order, by names; the reader puts them right */
    uint32_t nvolumes;
    bool
        ordered; /* the names told the order; else every volume's header is to be read (at once: want()) */
    bool thorough;             /* read every volume's header, whatever could be reckoned */
    struct archive_keys *keys; /* what is known of passwords; never NULL */
    struct arena *arena;

    /* out */
    const struct archive_member *members;
    uint32_t nmembers;
    enum archive_why
        why; /* of the set as a whole; with members, of those volumes that could not be placed */
    const char *format; /* static: "RAR 5" … */
    void *priv;         /* the reader's, in the arena, for its check() */
};

/** A format. */
struct archive_format {
    const char *name;
    /** Do these first bytes (16 or more, or the whole file) begin a volume of it? */
    bool (*is)(const uint8_t *head, size_t len);
    /** Fill in the `out` part of `s`. 0, -EINTR, -ETIMEDOUT, -ENOMEM. */
    int (*read)(struct archive_set *s);
    /** Do `head`, the first bytes of volume `v` (at least volumes[v].head of them), say what was reckoned?
     *  Pure. False: read the set again, with `thorough`. NULL: nothing is ever reckoned. */
    bool (*check)(const struct archive_set *s, uint32_t v, const uint8_t *head, size_t len);
};

extern const struct archive_format archive_rar; /* RAR 1.5 to 4 and RAR 5: archive/rar.c */
extern const struct archive_format archive_7z;  /* archive/sevenz.c; volumes are cut anywhere */
extern const struct archive_format archive_zip; /* archive/zip.c; a split one is cut anywhere */

/** Volumes one after the other, as one run of bytes: for formats that are cut anywhere. `put` gives them
 *  up. 0, or what asking a volume for its size says. */
struct archive_joined {
    struct archive_bytes b;
    const struct archive_set *set;
    uint64_t *ends; /* of each volume, in the arena */
    uint64_t size;
};
int archive_joined_init(struct archive_joined *j, const struct archive_set *s);

/** The pieces that hold [off, off+len) of the joined bytes, in the arena. 0, -EINVAL (past the end), -ENOMEM. */
int archive_joined_pieces(const struct archive_joined *j, struct arena *a, uint64_t off,
                          uint64_t len, const struct archive_piece **pieces, uint32_t *n);

#endif
