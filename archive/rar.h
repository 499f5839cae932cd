/**
 * rar — what the files of the RAR reader share.
 *
 * Parts     rar5.c and rar4.c take one block of one volume at a time and put what it says into the structures
 *           below, the same for both versions; rar_volume.c goes from block to block; rar_set.c orders volumes and
 *           makes members of parts; rar_keys.c finds passwords; rar.c is the face of it.
 * Articles  Headers are read through one window of 4 KiB. A header behind a member's data costs an article, so
 *           whoever goes on decides when to (rar_volume_go).
 * Errors    int: 0, -EINTR, -ETIMEDOUT, -ENOMEM. What is wrong with a volume is its `why`.
 * Private   to archive/rar*.c and their tests.
 */
#ifndef ARCHIVE_RAR_H
#define ARCHIVE_RAR_H

#include "archive/format.h"
#include "base/cursor.h"

#define RAR_WINDOW ((size_t)4096)

/** How a member's data or a volume's headers are encrypted. */
struct rar_crypt {
    uint8_t salt[16]; /* RAR 4: 8 of them, then zeros */
    uint8_t iv[16];   /* RAR 5 */
    uint8_t check[8]; /* RAR 5: of the password */
    uint8_t version;  /* 4 or 5 */
    uint8_t log2;     /* RAR 5: rounds */
    bool salted;      /* RAR 4: it has a salt */
    bool checked;     /* it has `check` */
    bool tweaked;     /* RAR 5: checksums depend on the key */
    bool unknown;     /* an algorithm that we do not read */
};

/** A file header: one member's share of one volume. */
struct rar_part {
    struct rar_part *next; /* in its volume */
    const char *name;
    const struct rar_crypt *crypt; /* NULL: plain */
    uint64_t data, packed;         /* in the volume */
    uint64_t size;                 /* of the whole member; UINT64_MAX: not told */
    int64_t mtime_s;
    uint32_t mtime_ns;
    uint8_t sum[32];
    enum archive_sum sum_kind;
    enum archive_why
        why;            /* of this part: it lies beyond its volume, its extra records are broken */
    bool before, after; /* it continues one of the volume before; it is continued in the next */
    bool compressed, dir;
    bool link; /* symbolic or hard: nothing to stream */
};

/** A key, kept for its salt. */
struct rar_key {
    struct rar_key *next;
    uint8_t salt[16];
    uint8_t version, log2;
    bool salted;
    bool header;       /* it opens headers: rar_set_check() needs it */
    unsigned password; /* number of it */
    uint8_t key[32], iv[16], check[8];
};

/** What is read of whichever volume is being read. */
struct rar_window {
    const struct archive_bytes *bytes; /* of whom; only compared */
    uint8_t *buf;
    size_t room, have;
    uint64_t off;
};

/** What all volumes of a set share. */
struct rar_reader {
    struct rar_window win;
    struct arena *arena;
    struct archive_keys *keys; /* NULL: nothing may be derived, only `known` looked through */
    struct rar_key *known;
    uint64_t work;            /* rounds spent on deriving keys */
    uint32_t nparts, nblocks; /* bounded */
    unsigned header_password; /* number of the one that opened a header */
    bool header_opened;
};

enum rar_state {
    RAR_UNREAD,  /* not a byte of it was read */
    RAR_MORE,    /* the block at `at` may matter */
    RAR_SETTLED, /* only what ends a volume follows at `at`: RAR 4 tells its number there */
    RAR_ENDED,
};

struct rar_volume {
    struct archive_bytes *bytes; /* lent */
    struct rar_part *parts, *last;
    const struct rar_crypt *headers; /* how its headers are encrypted; NULL: they are not */
    uint64_t size;                   /* asked for once something was read */
    uint64_t at;                     /* of the next block */
    uint64_t number;                 /* from 0, where `numbered` */
    uint32_t caller;                 /* its place in the caller's order */
    uint32_t main_len;               /* bytes of the main header, deciphered */
    uint8_t number_len;              /* bytes of the volume number in it; 0: none */
    uint8_t version;                 /* 4 or 5; 0: no RAR */
    enum rar_state state;
    enum archive_why why;
    bool numbered;
    bool volume; /* one of several */
    bool first;  /* RAR 3 and later: it says that it is the first */
    bool next;   /* its end block says that another follows */
    bool placed;
};

/* ---- rar_volume.c ---- */

/** [off, off+len) of `b`, lent until the next call. 0, -ENODATA (the end comes first), or what reading says. */
int rar_window_get(struct rar_window *w, struct archive_bytes *b, uint64_t off, size_t len,
                   const uint8_t **at);
void rar_window_free(struct rar_window *w);

/** Announce what rar_volume_go() will read. */
void rar_volume_want(const struct rar_volume *v);

/** Take blocks until the next one is not in the window, or all is known that heads can tell. With `tail` a settled
 *  volume is gone on with as well. One call reads from one place, and what is near. */
int rar_volume_go(struct rar_reader *r, struct rar_volume *v, bool tail);

/** Until it is settled. */
int rar_volume_read(struct rar_reader *r, struct rar_volume *v);

/** `r` says what reading said: an error to pass on, or a reason that ends the volume. */
int rar_volume_fail(struct rar_volume *v, int r);
int rar_volume_end(struct rar_volume *v, enum archive_why why);

/** Its data, `len` bytes at `data`, lies within the volume; the next block stands behind it. */
bool rar_volume_skip(struct rar_volume *v, uint64_t data, uint64_t len);

/** One more part, copied. */
int rar_part_add(struct rar_reader *r, struct rar_volume *v, const struct rar_part *p);

/* ---- rar5.c, rar4.c: take the block at v->at and move behind it ---- */

int rar5_block(struct rar_reader *r, struct rar_volume *v);
int rar4_block(struct rar_reader *r, struct rar_volume *v);

/** What is too short for a header of anything that matters. */
uint64_t rar5_least(const struct rar_volume *v);
uint64_t rar4_least(const struct rar_volume *v);

/* ---- rar_name.c ---- */

/** As UTF-8 without NULs, in the arena, without '/' at its end. NULL: no memory. */
const char *rar_name_plain(struct arena *a, const uint8_t *name, size_t len, bool backslash);

/** RAR 4's name field with its second half, UTF-16 in a packing of its own. */
const char *rar_name_packed(struct arena *a, const uint8_t *name, size_t len);

/* ---- rar_keys.c ---- */

/** The key for `c` and password number `i`. 0 and *k, which is NULL with a reason in *why when it is not to be
 *  had; or -ENOMEM. */
int rar_key_get(struct rar_reader *r, const struct rar_crypt *c, unsigned i,
                const struct rar_key **k, enum archive_why *why);

/** The same for the password that fits. Without a check value in `c`: the one that opened the headers, or
 *  archive_keys_first(). */
int rar_key_pick(struct rar_reader *r, const struct rar_crypt *c, const struct rar_key **k,
                 enum archive_why *why);

/** Number of the password to try as number `turn`. */
unsigned rar_key_turn(const struct rar_reader *r, unsigned turn);

/** This one opened a header. */
void rar_key_worked(struct rar_reader *r, const struct rar_key *k);

/** Wipe them, headers' keys only if told. */
void rar_keys_wipe(struct rar_reader *r, bool headers);

/** A header: `len` bytes (a multiple of 16) at `text` in place. 0, -ENOMEM. */
int rar_key_open(const struct rar_key *k, const uint8_t iv[16], uint8_t *text, size_t len);

bool rar_crypt_same(const struct rar_crypt *a, const struct rar_crypt *b);

/* ---- rar_order.c ---- */

/** Does `next` begin with what `v` ends with (or neither, with anything)? */
bool rar_volume_continues(const struct rar_volume *v, const struct rar_volume *next);

/** Put the n volumes of `order` right, those that could be placed first (`placed` set), by the numbers in their headers
 *  or, where there are none, by what continues what. *nplaced of them. False: more than one order would fit. */
bool rar_order_volumes(struct rar_volume **order, uint32_t n, uint32_t *nplaced);

/* ---- rar_chain.c: members out of parts ---- */

struct rar_member;

struct rar_chain {
    struct rar_reader *r;
    struct rar_member *members, *newest;
    struct rar_member *open; /* waits for its continuation */
    uint32_t nmembers;
    bool broken; /* some member lacks something */
};

/** The parts of volume number `v`. */
int rar_chain_volume(struct rar_chain *c, uint32_t index, const struct rar_volume *v);
/** A part of the open member that no header was read of. */
int rar_chain_reckoned(struct rar_chain *c, uint32_t index, uint64_t off, uint64_t len);
/** Here a volume lacks, and why. */
void rar_chain_gap(struct rar_chain *c, enum archive_why why);
/** All volumes were there: into `s`. */
int rar_chain_finish(struct rar_chain *c, struct archive_set *s);

/** The open member's first part; how many bytes its stream has, if that is known, and of these so far. */
const struct rar_part *rar_chain_open(const struct rar_chain *c, uint64_t *stream, uint64_t *have);
bool rar_part_same(const struct rar_part *a, const struct rar_part *b);

/* ---- rar_set.c ---- */

int rar_set_read(struct archive_set *s);
bool rar_set_check(const struct archive_set *s, uint32_t v, const uint8_t *head, size_t len);

/** Where the marker of a volume stands in its first bytes, and of which version; SIZE_MAX: nowhere. Behind an
 *  executable (a self-extracting archive) it may stand anywhere. */
size_t rar_marker(const uint8_t *head, size_t len, uint8_t *version);

#endif
