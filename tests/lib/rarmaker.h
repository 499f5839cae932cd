/**
 * rarmaker — RAR 4 and RAR 5 sets of stored files, since no free program writes any.
 *
 * Shape     One call; the result is a `struct made`, with the truth about every byte.
 * Source    "RAR 5.0 archive format" technical note; technote.txt of unrar for RAR 4. Both are judged by independent
 *           readers (tests/archive/judges.sh).
 * Errors    As in made.h.
 */
#ifndef TESTS_LIB_RARMAKER_H
#define TESTS_LIB_RARMAKER_H

#include "tests/lib/made.h"

enum rarmaker_naming {
    RARMAKER_PART,   /* base.part01.rar …; a single volume base.rar */
    RARMAKER_OLD,    /* base.rar, base.r00 …, base.s00 …; RAR 4 notes it in its headers */
    RARMAKER_RANDOM, /* made_obfuscate() */
};

enum rarmaker_sum {
    RARMAKER_CRC32,
    RARMAKER_BLAKE2SP, /* RAR 5 only */
    RARMAKER_NO_SUM, /* RAR 5 without any, RAR 4 with a wrong one: sets of many GB without reading them */
};

/** All zero: RAR 5, one volume, nothing special. */
struct rarmaker_options {
    unsigned version;             /* 4 or 5; 0: 5 */
    const char *base;             /* NULL: "set" */
    uint64_t volume_size;         /* 0: a single volume, without the volume flag */
    const uint64_t *volume_sizes; /* of the first volumes, in place of volume_size */
    uint32_t nvolume_sizes;
    enum rarmaker_naming naming;
    unsigned width; /* digits of partNN; 0: as many as the last one has */
    uint64_t seed;  /* of salts, IVs, random names, and what dummy blocks hold */
    enum rarmaker_sum sum;

    const char *password; /* UTF-8; NULL: not encrypted */
    bool encrypt_headers; /* as -hp does */
    unsigned kdf_log2;    /* RAR 5: 0: 15 */
    bool no_check;        /* RAR 5: nothing to check a password by */
    bool tweaked;         /* RAR 5: checksums depend on the key */
    bool salt_each;       /* every member has its own salt; else all have the same */
    bool salt_parts;      /* RAR 4: every part of a member too, which nothing can read */

    const char *comment;
    size_t recovery; /* bytes of a recovery record that would recover nothing, in each volume */
    bool locator;    /* RAR 5: in the main header, where the quick open block is */
    bool quick_open; /* RAR 5: a quick open block, in each volume */
    bool service;    /* a service block between members that no reader knows */
    bool records;    /* RAR 5: file headers with an owner and a record that no reader knows */
    bool solid;
    bool windows;       /* its host, attributes, and in RAR 5 FILETIMEs */
    bool precise_times; /* with fractions: RAR 5's time record, RAR 4's extended time */
    bool large;         /* RAR 4: 64-bit sizes, though nothing needs them */
    bool utf8_names; /* RAR 4: the flag for Unicode, and the name in UTF-8 without a second part */
    bool no_end;     /* no end block */
    bool
        no_numbers; /* RAR 4: end blocks without volume number, as before 3.0; RAR 5: none in the main header */
    bool
        old_blocks; /* RAR 4: comment within the main header, recovery in a block 0x78, as 2.x does */
    size_t sfx;     /* so many bytes of something else before the first volume's marker */
};

struct made *rarmaker_make(const struct rarmaker_options *o, const struct made_file *files,
                           uint32_t nfiles);

#endif
