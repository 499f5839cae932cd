/**
 * survey, inside — what its files share.
 *
 * Parts     survey.c        the order of things, and what is asked of a layout afterwards
 *           survey_posts.c  the best name of each posted file
 *           survey_sets.c   which files are volumes of one archive
 *           survey_open.c   an archive opened, and its members made entries
 *           entry_bytes.c   an entry as a thing to read: archives within archives
 *           survey_tree.c   safe and unique paths
 * Memory    Each set has an arena of its own, so that one that is too much leaves room for the others; what stays of
 *           names is in the survey's. Lists grow on the heap.
 * Errors    int: 0, -EINTR, -ETIMEDOUT, -ENOMEM. What is wrong with an archive is its reason.
 */
#ifndef ARCHIVE_SURVEY_INTERNAL_H
#define ARCHIVE_SURVEY_INTERNAL_H

#include "archive/keys.h"
#include "archive/names.h"
#include "archive/survey.h"

#define SURVEY_NONE  UINT32_MAX
#define SURVEY_HEAD  ((size_t)16384) /* what PAR2 hashes of a file's beginning; one article */
#define SURVEY_DEPTH 2u              /* archives within archives */

/** What may be a volume: a posted file, or, within an archive, an entry. */
struct survey_file {
    struct archive_bytes *bytes;
    const char *name; /* the best so far; of an entry its path */
    uint64_t guess;
    uint32_t from; /* number of the post or of the entry */
    uint32_t set;  /* SURVEY_NONE */
    enum archive_why why;
    const char *magic; /* as names_magic(); NULL: not read, or cannot be told */
    bool read;         /* its beginning was read */
    bool unclear;      /* its own name says neither what it is nor what it belongs to */
    bool rar5;         /* of magic ".rar": which of its two formats */
    bool single;       /* of magic ".rar": its main header says that it is no volume of several */
    bool pooled;       /* goes to the heap of RAR volumes without an order */
    bool used;         /* an archive that was opened has what it holds */
};

/** An archive, or what was taken for one. */
struct survey_set {
    struct archive_set s;
    struct arena arena;
    const struct archive_format *format; /* NULL: pieces of one file, joined */
    const char *name;                    /* copied into the survey's arena */
    enum archive_why why;
    uint32_t nplaced; /* of its volumes: the first so many */
    bool nested;      /* its volumes are entries */
    bool opened;
};

/** Of a posted file: which volume of which set it is, where that was reckoned. */
struct survey_place {
    uint32_t set, volume;
    bool seen; /* the survey itself has looked */
};

struct survey_entry_bytes {
    struct archive_bytes b;
    struct archive_survey *sv;
    uint32_t entry;
};

struct archive_survey {
    struct archive_layout layout;
    struct arena arena;
    struct archive_keys *keys;
    const struct archive_options *o; /* only while it runs */
    const struct archive_post *posts;
    uint32_t nposts;
    struct survey_file *files; /* one for each post */
    struct survey_place *places;
    struct survey_set **sets;
    struct archive_entry *entries;
    uint32_t nsets, sets_cap, nentries, entries_cap;
    size_t memory; /* that is left for sets */
    bool nested;   /* what is being opened lies within archives */
    bool thorough;
    bool surprised; /* something reckoned was found wrong: once more, thoroughly */
};

/** Is this an error that ends a survey? */
static inline bool survey_stops(long e)
{
    return e == -EINTR || e == -ETIMEDOUT || e == -ENOMEM;
}

/* ---- survey_posts.c ---- */

/** Names, heads and magic of all posts. Reads nothing where the NZB's names are good. */
int survey_posts_name(struct archive_survey *sv);

/** Read the beginning of `f`, at most SURVEY_HEAD, into `head` (SURVEY_HEAD bytes); f->magic is set. */
int survey_file_head(struct survey_file *f, uint8_t *head, size_t *len);

/** Does it end in what may be an extension, of letters and digits? */
bool survey_has_extension(const char *name);

/** A name in the arena that is safe, with an extension that fits what the file begins with. NULL: no memory. */
const char *survey_name_mend(struct arena *a, const char *name, const uint8_t *head, size_t len);

/* ---- survey_sets.c ---- */

/** A run of files whose names make them volumes of one archive, in their order. */
struct survey_group {
    uint32_t *index; /* of files */
    uint32_t n;
    enum names_scheme scheme;
    size_t base;
    bool whole; /* numbered from the first on without gap or repetition */
    bool many;  /* others have the same base */
    bool spare; /* more files for volumes that the group before has */
};

/** All groups among files[n], sorted; the caller frees *groups and *order. -ENOMEM. */
int survey_groups(const struct survey_file *files, uint32_t n, struct survey_group **groups,
                  uint32_t *ngroups, uint32_t **order);

/** Find the archives among files[n] and open them. sv->nested says whether those are posts or entries. */
int survey_sets_open(struct archive_survey *sv, struct survey_file *files, uint32_t n);

/* ---- survey_open.c ---- */

/** Read the archive whose volumes are files[index[0..n)], add its members as entries. `format` NULL: join them. Volumes
 *  that were left over are put first in `index`, and *left says how many. */
int survey_open(struct archive_survey *sv, struct survey_file *files, uint32_t *index, uint32_t n,
                const struct archive_format *format, bool ordered, const char *name,
                size_t name_len, uint32_t *left);

/** A set of which is only known what is wrong with it. */
int survey_refuse(struct archive_survey *sv, struct survey_file *files, const uint32_t *index,
                  uint32_t n, const char *name, size_t name_len, enum archive_why why);

/* ---- entry_bytes.c ---- */

extern const struct archive_bytes_ops survey_entry_ops;

/** The extents of `e` that hold [off, off+len) of what it shows, which lies within it, as extents from `at` on. Writes
 *  at most `most` of them to `out` and returns how many there are. `e` is not of a cipher. */
uint32_t survey_entry_extents(const struct archive_entry *e, uint64_t off, uint64_t len,
                              uint64_t at, struct archive_extent *out, uint32_t most);

/* ---- survey_tree.c ---- */

/** Make the paths of all entries safe and unique; add the posts that are in no opened set; fill in fates. */
int survey_tree(struct archive_survey *sv);

/** One more entry, zeroed but for what says "none". NULL: no memory. */
struct archive_entry *survey_entry_add(struct archive_survey *sv);

#endif
