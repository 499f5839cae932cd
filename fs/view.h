/**
 * view — an NZB's directory as a person wants to see it: not what was posted, but what is in that.
 *
 * Cast      A *view* belongs to one NZB. Its *posts* are the posted files, nodes in a directory of their own
 *           (`.posted`, which the kernel is shown with view = both only). A *layout* is what a survey found; the
 *           *contents* are the nodes that show it. A content is read by reading posts (fs/content_read.c).
 * Life      Nothing is surveyed before somebody looks: the first LOOKUP or OPENDIR in the directory waits for the
 *           survey, which runs on one of a few threads (fs/survey.c) and may wait for the network there. A survey that
 *           could ask nobody has found nothing: who waits gets its error, and the next one starts another.
 * Surprise  A layout reckons where the data of middle volumes begin. Before a byte of such a volume is shown its
 *           head is read and held against that. When it is otherwise the NZB is surveyed once more, every header this
 *           time, and the contents get the new layout; whoever read through the old one reads again.
 * Locks     view.lock is a leaf, taken inside none but fs.tree's.
 */
#ifndef FS_VIEW_H
#define FS_VIEW_H

#include "archive/survey.h"
#include "fs/internal.h"

struct fs_view;

/** What a survey found. Counted; the last to let go frees it. */
struct fs_layout {
    atomic_uint refs;
    struct fs_view *view;
    struct archive_layout *found;
    struct fs_node **nodes; /* of each entry; NULL: it has none */
    struct fs_head_seen {
        _Atomic uint8_t is; /* enum fs_head */
    } * heads;              /* of each post */
};

/** What is known of the head of a post. */
enum fs_head {
    FS_HEAD_UNSEEN,
    FS_HEAD_COMING, /* somebody reads it, ahead of all who need it */
    FS_HEAD_GOOD,
    FS_HEAD_LOST,  /* nobody has it; a reader that needs it asks once more */
    FS_HEAD_OTHER, /* not what was reckoned: the layout is wrong */
};

/** A file that is in what was posted. Fixed but for what stands under view.lock. */
struct fs_content {
    struct fs_view *view;
    struct fs_node *node;
    struct fs_disowned forget; /* of fs_disown */
    _Atomic uint64_t size;
    struct fs_layout *layout; /* under view.lock; NULL: it is in the newest layout no more */
    uint32_t entry;           /* likewise */
};

enum fs_view_state { FS_VIEW_UNKNOWN, FS_VIEW_BUSY, FS_VIEW_KNOWN };

struct fs_view {
    /* fixed */
    struct fs *fs;
    const struct fs_origin *origin;
    struct fs_node *dir;    /* where the contents are shown */
    struct fs_node *posted; /* where the posts are */
    struct fs_node **posts;
    uint32_t nposts;
    bool shown; /* `posted` is in `dir` */

    /* the surveyors' */
    struct fs_bytes *bytes; /* of each post; set under lock */
    struct archive_post *archive_posts;

    atomic_bool scanned; /* only who looks around has asked for the survey that runs */
    struct list link;    /* under fs_surveyors.lock */

    /* under lock */
    pthread_mutex_t lock;
    enum fs_view_state state;
    bool keeps_heads;    /* a survey runs, and will look at them again */
    bool again;          /* BUSY: with every header */
    bool misled;         /* BUSY: what the survey has read turned out not to be so */
    struct list waiting; /* who wants to know what is in it */
    struct fs_layout *layout;
    unsigned surprises; /* that were looked into */
};

/* --- view.c ------------------------------------------------------------------------------------ */

/** The view of `o`, whose posts are the children of `posted`. NULL: no memory. Freed by fs_view_free(). */
struct fs_view *fs_view_new(struct fs *fs, const struct fs_origin *o, struct fs_node *dir,
                            struct fs_node *posted, bool shown);
void fs_view_free(struct fs_view *v);

/** What is known of it, with a reference; NULL: nothing yet. */
struct fs_layout *fs_view_layout(struct fs_view *v);

/** A survey is over: `l` (taken) or, where it is NULL, `err`, a positive errno. */
void fs_view_surveyed(struct fs_view *v, struct fs_layout *l, int err);

/** `l` is not what is there. Survey again, unless that was done since. */
void fs_view_surprised(struct fs_view *v, const struct fs_layout *l);

/** A wish to know what is in a directory, in the shape of a read of nothing. NULL: no memory. */
struct fs_read *fs_view_read_new(struct fs *fs, struct fs_node *dir);

/** The same, but where a survey is under way its end is waited for, though something is known already. */
struct fs_read *fs_view_newest_new(struct fs *fs, struct fs_node *dir);

/** Bytes [begin, end) of a post cannot be stood by: whatever shows them leaves the kernel's cache; and if a survey has read
 *  any of that post, it may have been misled, and there is another one. */
void fs_view_disown(struct fs_view *v, const struct fs_file *f, uint64_t begin, uint64_t end,
                    bool lied);

/* --- layout.c ---------------------------------------------------------------------------------- */

/** `found` is taken, also on failure. NULL: no memory. One reference. */
struct fs_layout *fs_layout_new(struct fs_view *v, struct archive_layout *found);
struct fs_layout *fs_layout_get(struct fs_layout *l);
void fs_layout_put(struct fs_layout *l);

/** The layout of a content now (with a reference) and its entry in it; NULL: it has none any more. */
struct fs_layout *fs_content_layout(struct fs_content *c, uint32_t *entry);

/** The extent that holds byte `pos` of the stream of `e`; NULL: behind its end. */
const struct archive_extent *fs_extent_find(const struct archive_entry *e, uint64_t pos);

/** What is to be known of `post` before a computed extent of it may be shown. */
enum fs_proof {
    FS_PROOF_NONE, /* nothing, or it is known already */
    FS_PROOF_HEAD, /* its first *head bytes, for fs_layout_seen() */
    FS_PROOF_SIZE, /* how long it is, for fs_layout_sized() */
};
enum fs_proof fs_layout_proof(const struct fs_layout *l, uint32_t post, uint64_t *head);

/** False: it is not as was reckoned, and the view has been told. */
bool fs_layout_seen(struct fs_layout *l, uint32_t post, const void *head, size_t len);
bool fs_layout_sized(struct fs_layout *l, uint32_t post, uint64_t size);

/** The head of `post`, which holds byte `at` of the stream of `e`, cannot be had, but other articles of it say that it is
 *  `size` bytes long: is that what the last volume before it has whose header was read? Since all data together are as
 *  long as the file, it is as was reckoned then. */
bool fs_layout_like(struct fs_layout *l, const struct archive_entry *e, uint64_t at, uint32_t post,
                    uint64_t size);

/** Byte `pos` of a content, as a place of a posted file: *off in it, and how many bytes go on from there. NULL: there
 *  is none. `pos` counts what is shown; where it is encrypted, of the text that becomes it. */
struct fs_node *fs_layout_place(const struct fs_layout *l, uint32_t entry, uint64_t pos,
                                uint32_t *post, uint64_t *off, uint64_t *len, bool *computed);

/** Read the head of `post`, or its first article, ahead of who will need it; unless it is there, or being read.
 *  `stream`: on whose account. */
void fs_layout_prepare(struct fs_layout *l, uint32_t post, uint64_t stream);

/* --- content_read.c ---------------------------------------------------------------------------- */

struct fs_read *fs_content_read_new(struct fs *fs, struct fs_node *file);

/* --- survey.c ---------------------------------------------------------------------------------- */

/** `v` is BUSY: survey it. 0, or a positive errno: it will not be. */
int fs_survey_start(struct fs_view *v);

/** Under view.lock: has a survey read any of [begin, end) of it before its article had come to an end? */
bool fs_survey_has_read(const struct fs_view *v, uint32_t post, uint64_t begin, uint64_t end);

#endif
