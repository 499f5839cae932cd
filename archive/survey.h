/**
 * survey — from the posted files of an NZB to the files that a person wants to see.
 *
 * Shape     One call that waits (archive_survey); all it found, in one arena; and a pure question that streaming
 *           asks of each volume as its first bytes come (archive_volume_is).
 * Articles  It reads few: of each set the first volume's beginning, the second's and the last's; where names
 *           do not tell what is what, the first article of every file, all at once; a PAR2 file's packets where
 *           that gives names. Every read was announced by want().
 * Names     In this order: the PAR2 description that matches a file's first 16 KiB and size; the yEnc name; the
 *           subject's quoted name; the NZB's own. A name that looks obfuscated (archive/names.h) yields to the
 *           next. What has none that says anything, in an archive or not, is called by the title where it is
 *           what the NZB is about. Magic bytes mend extensions. Every component of a path is safe (nzb_name_safe), the whole
 *           is bounded, unique in its directory, and never leaves it.
 * Nested    A member that is an archive itself is opened as well, two levels deep.
 * Threads   The survey: the caller's. archive_volume_is: any.
 */
#ifndef ARCHIVE_SURVEY_H
#define ARCHIVE_SURVEY_H

#include "archive/format.h"

#include <stdatomic.h>

/** A posted file, as the caller knows it. */
struct archive_post {
    struct archive_bytes *bytes; /* lent until archive_layout_free() has returned */
    const char *name;            /* of the NZB: safe, unique; lent likewise */
    const char *subject;
    uint64_t guess; /* about how many bytes it has, by the NZB */
    /** The name in its yEnc header, once something of it was read; "" when not known. Any thread. */
    const char *(*yenc_name)(const struct archive_post *p);
};

struct archive_options {
    const char *const *passwords; /* in the order in which to try them; copied */
    unsigned npasswords;
    const char *title; /* the NZB's name, for what has none of its own */
    bool thorough;     /* reckon nothing: read the header of every volume */
    const atomic_bool
        *stop;     /* lent; NULL: never. Once it is true keys are derived no more: -EINTR */
    size_t memory; /* the arena's limit; 0: 64 MiB and 4 KiB a posted file */
};

/** Where bytes come from: a posted file, or, within an archive, an entry that is listed before. */
struct archive_extent {
    uint64_t at; /* in the stream: ascending without gaps from 0 */
    uint64_t off, len;
    uint32_t from; /* number of the post, or of the entry */
    bool entry;    /* `from` is an entry (of a cipher, else it would have been resolved to posts) */
    bool computed; /* reckoned: ask archive_volume_is() before a byte of it is shown */
};

/** A file to show. */
struct archive_entry {
    const char *path; /* safe components with '/' between them */
    uint64_t size, skip;
    int64_t mtime_s; /* INT64_MIN: not told */
    uint32_t mtime_ns;
    const struct archive_extent *extents;
    uint32_t nextents;
    uint32_t set; /* of layout.sets; UINT32_MAX: a posted file by itself */
    uint32_t
        post; /* of a posted file by itself, shown as it is: its number, and then neither size nor extents nor
                      mtime are set (a size costs an article, which nobody may want); else UINT32_MAX */
    struct archive_cipher cipher;
    enum archive_sum sum_kind;
    uint8_t sum[32];
    bool hidden; /* it is there to be read from (an archive that was opened), not to be shown */
    bool aside;  /* a sample, an nfo, a PAR2 file: not what the NZB is about */
    bool dir;
};

/** An archive. */
struct archive_found {
    const char *format;
    const char *name;     /* what its volumes have in common */
    enum archive_why why; /* not OK: (some of) its posts are shown as they are */
    uint32_t nvolumes, nreckoned;
};

/** What became of a posted file. */
struct archive_fate {
    const char *name;     /* the best that was found; safe and unique */
    uint32_t set;         /* UINT32_MAX: none */
    bool shown;           /* as an entry of its own */
    enum archive_why why; /* it is part of an archive that could not be opened, and why */
};

struct archive_layout {
    const struct archive_entry *entries;
    const struct archive_found *sets;
    const struct archive_fate *posts; /* one for each post, in the caller's order */
    uint32_t nentries, nsets, nposts;
    struct archive_survey *priv;
};

/** Find out. 0 with *out, also where nothing could be opened (then the posts are entries of their own);
 *  -EINTR, -ETIMEDOUT (nothing was found out: try again), -ENOMEM. */
int archive_survey(const struct archive_post *posts, uint32_t n, const struct archive_options *o,
                   struct archive_layout **out);

void archive_layout_free(struct archive_layout *l);

/** So many first bytes of posted file `post` must be seen before a computed extent of it is shown; 0: none. */
uint64_t archive_volume_head(const struct archive_layout *l, uint32_t post);

/** Do they say what was reckoned? False: survey again, with `thorough`. */
bool archive_volume_is(const struct archive_layout *l, uint32_t post, const uint8_t *head,
                       size_t len);

/** The length that posted file `post` was reckoned to have, where it has no head that would tell. Its first article
 *  says what it really is: if that is another, survey again, with `thorough`. False: nothing was reckoned of it. */
bool archive_volume_size(const struct archive_layout *l, uint32_t post, uint64_t *size);

#endif
