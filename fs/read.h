/** read — a read under way: what read.c (its life) and plan.c (its bytes) share. */
#ifndef FS_READ_H
#define FS_READ_H

#include "fs/internal.h"

#define READ_PIECES 12 /* 1 MiB of segments of 100 KiB; smaller ones are gathered */
#define READ_IOVS   (FS_READ_MOST / CACHE_CHUNK + 2 * READ_PIECES + 8)

/** Bytes of the file that stand in one block, or in none. */
struct read_piece {
    uint64_t begin, end; /* cut to what is read */
    uint64_t from, to;   /* the whole of the segment, or of the hole */
    bool lied;           /* wrong bytes of it were answered once: no more are */
    int want;            /* index into wants; -1: a hole */
};

/** What answers a read: of a posted file (read.c), of a file in what was posted (content_read.c), or of a directory
 *  (view.c). As fs_read_start(), _cancel() and _end() say. */
struct fs_read_ops {
    bool (*start)(struct fs_read *r);
    void (*cancel)(struct fs_read *r);
    void (*end)(struct fs_read *r);
};

/** A read as fs_read_new() sets it, but for `ops`. */
struct fs_read fs_read_defaults(const struct fs *fs, struct fs_node *file, uint64_t now_us);

/** There is one more, or one less: as long as there is one the fs is not freed. */
void fs_read_born(struct fs *fs);
void fs_read_gone(struct fs *fs);

/** Start it and wait for its end. `done` and `arg` are set here. */
void fs_read_run(struct fs_read *r);

/** How it waited, once it is over; NULL: not known. */
const struct cache_waits *fs_read_waits(const struct fs_read *r);

struct fs_read *fs_posted_read_new(struct fs *fs, struct fs_node *file);

struct read {
    struct fs_read pub;
    struct fs *fs;
    struct fs_file *file;
    atomic_uint refs;
    struct fs_watched watched;
    struct fs_range waits_for; /* bytes; fixed when it is first watched */
    bool cut;                  /* its deadline was drawn in: likewise */

    /* under lock */
    pthread_mutex_t lock; /* a leaf but for fs_watch.lock */
    bool over;            /* somebody ends it, or has */
    bool in_cache; /* cache_read_start() has returned, `ready` has not run: it can be cancelled */
    unsigned readies; /* how often `ready` has run */

    /* after the end: the owner's */
    bool kept; /* pins that the answer needs */

    /* of the thread that goes round */
    bool waited, learner, pinned;
    uint64_t stream; /* the handle's, which may be closed once somebody else has ended the read */
    uint64_t run;    /* bytes read in sequence up to the end of this read */
    uint64_t asked_us;
    bool told;    /* the handle knows of it, and is to be told of its end */
    bool patient; /* it only looks around, and has let all others go first until now */
    bool failed;  /* nobody could be asked for some of its bytes: they may be there */
    bool gather;  /* bytes are copied to buf, width blocks at a time */
    bool sound;   /* the pieces are where the plan has them */
    bool strict;  /* nothing unproven will do any more */
    bool
        claimed; /* the size is not known, and the read goes by what one unproven article says, … */
    uint32_t claim_i;
    struct segment_info claim; /* … which is this */
    uint32_t revoked;          /* fs_file.revoked, from before any article was looked at */
    int asked;                 /* the want whose place is to be learnt; -1: none */
    unsigned width;            /* pieces at once, at most */
    unsigned rounds, lost;
    unsigned nwants, npieces, niov;
    uint64_t pos, end; /* how far it is; where it ends, once the size is known */
    char *buf;
    struct cache_read cache;

    /* not zeroed when the read is made, for they are large: as much of each is set as is used */
    struct cache_waits waits; /* the cache's while it has the read; then, of who ends it */
    struct read_piece pieces[READ_PIECES];
    struct cache_want wants[READ_PIECES + 1];
    struct iovec iov[READ_IOVS];
};

enum plan {
    PLAN_FETCH, /* the wants */
    PLAN_TAKE,  /* there is nothing to fetch: only holes, or nothing at all */
    PLAN_FAIL,  /* the place of a byte cannot be told */
};

/** Which blocks hold [pos, end), or must be learnt to tell. */
enum plan read_plan(struct read *r);

/** Of what it takes some may be unproven; may it still be answered with that? */
bool read_may_tell(struct read *r);

/** All results are in: learn from them. 0, or the errno that ends the read. *again: the plan has to be made
 *  afresh. */
int read_learn(struct read *r, bool *again);

/** The bytes of the pieces up to the first bad one, as iovecs; r->pos moves on. Returns the errno that the
 *  bad one means, or 0. */
int read_take(struct read *r);

void read_learner_leave(struct read *r);

#endif
