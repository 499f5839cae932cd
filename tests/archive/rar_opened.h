/** rar_opened — a made set, opened by the RAR reader and held against the truth. */
#ifndef TESTS_ARCHIVE_RAR_OPENED_H
#define TESTS_ARCHIVE_RAR_OPENED_H

#include "archive/format.h"
#include "archive/keys.h"
#include "tests/lib/made_source.h"
#include "tests/lib/rarmaker.h"

struct opened {
    struct made *m; /* taken */
    struct made_source *sources;
    struct archive_volume *volumes;
    struct archive_keys *keys;
    struct arena arena;
    struct archive_set set;
    int result;
};

/** Sources for `m` (taken), which may be tampered with before opened_read(). `password` NULL: none. */
void opened_init(struct opened *o, struct made *m, const char *password);
void opened_fini(struct opened *o);

/** Without those volumes; `out` of them. */
void opened_drop(struct opened *o, uint32_t volume);

/** Read it, and 0 is what that says. May be called again. */
void opened_read(struct opened *o, bool ordered, bool thorough);

const struct archive_member *opened_member(const struct opened *o, const char *path);

/** Every made file is a member, all of it is found where it is, deciphers to what it holds, and every reckoned volume's
 *  head is recognised. */
void opened_expect_whole(const struct opened *o);

/** This one is. */
void opened_expect_file(const struct opened *o, uint32_t file);

/** How many different articles were read in all, and of how many volumes. */
uint32_t opened_articles(const struct opened *o, uint32_t *volumes);

#endif
