/**
 * fs/internal — what the files of this folder share.
 *
 * Locks     Leaves, but for three pairs: read.lock → fs_watch.lock, fs.open_lock → fs_handle.lock → fs_file.lock. None is
 *           held while the cache is called: it may run the `ready` of another read on the caller's thread.
 */
#ifndef FS_INTERNAL_H
#define FS_INTERNAL_H

#include "base/arena.h"
#include "base/list.h"
#include "fs/fs.h"
#include "fs/scan.h"
#include "nzb/segmap.h"
#include "qos/stream.h"

#include <pthread.h>
#include <stdatomic.h>

#define FS_ROOT_INO     1u
#define FS_SIZE_UNKNOWN UINT64_MAX

/* --- file.c ------------------------------------------------------------------------------------ */

/** Bytes shown as zeros: disjoint, sorted. */
struct fs_range {
    uint64_t begin, end;
};

struct fs_view;
struct fs_content;

/** What the kernel is to forget of a file: bytes [begin, end), and how large it is in any case. */
struct fs_disowned {
    struct list link; /* all under fs_disown.lock */
    bool queued;
    uint64_t ino, begin, end;
};

/** One posted file.
 *
 * What an article says before it has come to a sound end is *unproven*. The map never learns from it, so nothing
 * that follows from the map is unproven either. An early read may be answered with what its own article says: with
 * bytes of that article, and with a size as long as there is no proven one. Such a size is *told*, and is made
 * good: proven() confirms it or takes it back from the kernel, disowned() takes it back, and a read that has
 * looked at an article before that may not answer with it afterwards (`revoked`). */
struct fs_file {
    /* fixed */
    struct cache_file cache;
    const struct nzb_file *posted;
    struct fs_disown *disown;
    _Atomic uint64_t ino; /* of the node that shows it: another, once a survey has placed it */
    struct fs_view *view; /* of the NZB's contents; NULL: what is posted is shown as it is */

    struct fs_disowned forget; /* of fs_disown */

    /* any thread */
    _Atomic uint64_t size;     /* FS_SIZE_UNKNOWN until an article has told it */
    _Atomic(char *) yenc_name; /* as the first article has it; NULL: not known, or it has none */
    _Atomic uint32_t missing;
    _Atomic uint64_t zeroed;
    _Atomic uint64_t stalled_until; /* 0: no read of it has timed out; see fs_file_stalled() */
    atomic_bool
        resized; /* the size turned out to be another: whoever was told must be told again */

    /* under lock */
    pthread_mutex_t lock;
    struct segmap *map; /* NULL until the first read */
    uint32_t *numbers;  /* the segments', as segmap wants them */
    uint8_t *lost;      /* a bit for each segment that no provider has */
    uint8_t *lied;      /* a bit for each of which wrong bytes were answered; NULL: none */
    uint8_t *doubted;   /* a bit for each that has come to an unsound end before; NULL: none */
    bool wary;          /* wrong bytes of it were answered: nothing unproven is any more */
    uint32_t disowned;  /* segments of which bytes were answered that could not be stood by */
    uint64_t told;      /* the last unproven size that was answered; FS_SIZE_UNKNOWN: none */
    uint32_t revoked;   /* how often what an unproven article said was taken back */
    struct fs_range *zeros;
    size_t nzeros, zeros_cap;
    struct fs_range stalled;
    uint64_t stalled_deadline;
    unsigned
        learners; /* reads that are learning the map: while there are any, what is lost stays so */
};

int fs_file_init(struct fs_file *f, const struct nzb_file *posted, struct fs_disown *d);
void fs_file_fini(struct fs_file *f);

/** Make the map if there is none yet. 0 or -ENOMEM. */
int fs_file_load(struct fs_file *f);

/** Hold what a fetch of segment `i` brought against the map. False: it contradicts it. *grown: by so much
 *  the size that is known has changed; modulo 2^64, for it may shrink. */
bool fs_file_learn(struct fs_file *f, uint32_t i, const struct segment_info *info, uint64_t *grown);

/** A read is about to be answered with unproven bytes, and with `size` where an unproven article says that, else
 *  FS_SIZE_UNKNOWN; it noted fs_file.revoked before it looked at any. False: something has been revoked since, or
 *  another size is proven. */
bool fs_file_tell(struct fs_file *f, uint64_t size, uint32_t revoked);

/** Under the file's lock: were wrong bytes of segment `i` answered? Then no more of it are. */
bool fs_file_lied(const struct fs_file *f, uint32_t i);

/** Likewise: may unproven bytes of segment `i` be answered? Not where its article was damaged before, for who has
 *  read it once is not to read something else later; nor of a file that has had wrong bytes answered. */
bool fs_file_may_early(const struct fs_file *f, uint32_t i);

/** How many segments there are of which bytes were answered that could not be stood by. */
uint32_t fs_file_disowned(struct fs_file *f);

/** Segment `i` ended `how`, which is not DONE. */
void fs_file_failed(struct fs_file *f, uint32_t i, enum segment_result how);

/** A read of [begin, end) that might have waited until `deadline_us` has waited in vain: its time was over, or
 *  nobody could be asked. Others of these bytes get what is left of that time and a moment more: a kernel
 *  whose readahead has failed asks once more for the very page, and a reader is to get its error within one
 *  timeout, not three. */
void fs_file_stalled(struct fs_file *f, uint64_t now_us, uint64_t begin, uint64_t end,
                     uint64_t deadline_us);

/** The deadline of a read of [begin, end): `deadline_us`, or sooner after such a stall. */
uint64_t fs_file_deadline(struct fs_file *f, uint64_t now_us, uint64_t begin, uint64_t end,
                          uint64_t deadline_us);

/** [begin, end) was shown as zeros. 0 or -ENOMEM. */
int fs_file_zeroed(struct fs_file *f, uint64_t begin, uint64_t end, uint64_t *fresh);

/* --- disown.c ---------------------------------------------------------------------------------- */

/* A page that is being read holds up who takes it back until it has been answered, a read_timeout at most. */
#define FS_DISOWN_THREADS 3

/** What was answered before its article's end and cannot be stood by leaves the kernel's cache: on threads of their
 *  own, since the kernel waits for requests of those pages, which others answer. There are several so that one that
 *  waits holds up no other file. */
struct fs_disown {
    /* under lock */
    pthread_mutex_t lock; /* a leaf */
    pthread_cond_t wake;
    struct list entries;
    unsigned running; /* threads that have not come to their end */
    bool stop;
    /* fixed while it runs */
    pthread_t threads[FS_DISOWN_THREADS];
    unsigned nthreads;
    int over_fd; /* an eventfd: readable once the last thread is about to end */
    void (*drop)(void *arg, uint64_t ino, uint64_t begin, uint64_t end);
    void *arg;
};

void fs_disown_init(struct fs_disown *d);
void fs_disown_fini(struct fs_disown *d);

/** The kernel is to forget how large `f` is, and its bytes [begin, end). Never fails, never waits. */
void fs_disown_add(struct fs_disown *d, struct fs_file *f, uint64_t begin, uint64_t end);

/** The same of whatever has the number `ino`; `e` is its. */
void fs_disown_ino(struct fs_disown *d, struct fs_disowned *e, uint64_t ino, uint64_t begin,
                   uint64_t end);

/** While it runs `drop` is called for all that is added; of one file, for several things together or at a time.
 *  0 or -errno. */
int fs_disown_start(struct fs_disown *d,
                    void (*drop)(void *arg, uint64_t ino, uint64_t begin, uint64_t end), void *arg);

/** It shall end: after each `drop` that may be under way, which somebody has to let end. Then over_fd is readable
 *  and fs_disown_join() does not wait. */
void fs_disown_stop(struct fs_disown *d);
void fs_disown_join(struct fs_disown *d);

/* --- tree.c ------------------------------------------------------------------------------------ */

/** An NZB and where it came from. */
struct fs_origin {
    struct list link;
    struct nzb *nzb;
    char *path;     /* as it may be shown: a password in its name is not in it */
    char *password; /* that one; NULL: none. Secret */
    uint64_t when_s;
};

struct fs_node {
    /* fixed once it is in the tree */
    uint64_t ino;
    uint64_t hash;   /* of parent and name */
    int64_t mtime_s; /* Unix time */
    uint32_t mtime_ns;
    struct fs_node *parent;         /* the root's: itself */
    const struct fs_origin *origin; /* NULL: the root */
    const char *name;
    struct fs_file *file;       /* of a posted file */
    struct fs_content *content; /* of a file in what was posted; neither: a directory */
    struct fs_view *view;       /* of a directory: which may not be known yet; NULL: it is */
    struct fs_disowned *alias;  /* of a post: its `file` is another node's as well, which frees it;
                                   of a directory: something came late */
    atomic_bool resized;        /* of a content: the kernel was told another size */

    /* under fs.tree */
    struct fs_node *chain; /* the next of one hash bucket */
    struct fs_node **children;
    uint32_t nchildren, cap, ndirs;
    _Atomic int64_t newest_s; /* mtime of a directory: of its newest file */
};

struct fs_tree {
    pthread_rwlock_t lock;
    struct arena arena; /* nodes, files, names */
    struct fs_node *root;
    struct fs_node **nodes; /* by ino - 1 */
    struct fs_node **buckets;
    size_t nnodes, nodes_cap, nbuckets;
    struct list origins;
};

int fs_tree_init(struct fs_tree *t);
void fs_tree_fini(struct fs_tree *t);

/** By inode number, or NULL. */
struct fs_node *fs_tree_node(struct fs *fs, uint64_t ino);

/** How many nodes there are. */
uint64_t fs_tree_count(struct fs *fs);

/** Call `each` for every file; the tree must not change meanwhile. */
void fs_tree_files(struct fs *fs, void (*each)(struct fs *fs, struct fs_file *f));

/** Where entry `e` of a view is shown: found, or made, with all directories above. What is not to be shown gets a node
 *  in no directory. `main`: there are files that the NZB is about, so that others go aside. NULL: no memory. */
struct archive_entry;
struct fs_node *fs_tree_place(struct fs_view *v, const struct archive_entry *e, bool main);

/** The name of an NZB less ".nzb" and ".gz", made safe, in safe[NZB_NAME_MAX + 1]. */
void fs_tree_title(const char *name, char *safe);

/* --- watch.c ----------------------------------------------------------------------------------- */

/** What the watch knows of a blocked read: embedded in it. All under fs_watch.lock. */
struct fs_watched;

struct fs_watched_ops {
    /** Hold on to what was found on the watch's list, under its lock … */
    void (*hold)(struct fs_watched *e);
    /** … and, without the lock, end it with `err` unless it is over, and let go of it. */
    void (*end)(struct fs_watched *e, int err);
};

struct fs_watched {
    const struct fs_watched_ops *ops; /* fixed */
    struct list link;
    uint64_t deadline_us;
    bool cancelled;
};

/** One thread that ends reads: those whose deadline has come, and those that were cancelled. It sleeps
 *  until the earliest deadline it knew of when it went to sleep, and for ever when there is none. */
struct fs_watch {
    pthread_t thread;
    bool timed; /* fixed: false with a clock of the user's own */

    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct list blocked;   /* by deadline */
    struct list cancelled; /* to be ended as soon as may be */
    uint64_t sleeps_until; /* 0: awake */
    size_t nblocked;
    bool closing; /* nobody may wait any more */
    bool stop;
};

int fs_watch_start(struct fs_watch *w, struct fs *fs);
/** Nothing may be watched any more. */
void fs_watch_stop(struct fs_watch *w);

void fs_watch_add(struct fs_watch *w, struct fs_watched *e);
void fs_watch_remove(struct fs_watch *w, struct fs_watched *e);
/** End it with EINTR; when it is not watched yet: as soon as it is. */
void fs_watch_cancel(struct fs_watch *w, struct fs_watched *e);
/** All that wait, and all that would from now on. */
void fs_watch_cancel_all(struct fs_watch *w);

/* --- survey.c ---------------------------------------------------------------------------------- */

/** Threads that survey: started as they are needed. */
struct fs_surveyors {
    pthread_mutex_t lock; /* a leaf */
    pthread_cond_t wake;
    struct list queue;
    unsigned queued, running, idle;
    atomic_bool stop;
    pthread_t threads[4];
};

void fs_surveyors_init(struct fs_surveyors *s);
/** Ends them; the reads they wait for must end by themselves (the watch cancels them). There are no more surveys, but who
 *  still reads may ask for one. */
void fs_surveyors_stop(struct fs_surveyors *s);
void fs_surveyors_fini(struct fs_surveyors *s);

/* --- waits.c ----------------------------------------------------------------------------------- */

#define FS_RATE_SECONDS 8

/** Kept for an open file, under its handle's lock. */
struct fs_tally {
    struct fs_waits sum;
    uint64_t opened_us;
    uint64_t asked_us;    /* the last read */
    uint64_t answered_us; /* the last answer; 0: none */
    uint64_t charged_us;  /* waits until then have been charged */
    unsigned out;         /* reads that are not answered */
    uint64_t second;      /* the last one of `bytes`, which has FS_RATE_SECONDS up to it */
    uint64_t bytes[FS_RATE_SECONDS];
};

/** A read has been asked for. */
void fs_tally_begin(struct fs_tally *t, uint64_t now_us);
/** It has been answered, after `w`. */
void fs_tally_end(struct fs_tally *t, uint64_t asked_us, const struct cache_waits *w, int err,
                  size_t n);
uint64_t fs_tally_rate(struct fs_tally *t, uint64_t now_us);

/* --- handle.c ---------------------------------------------------------------------------------- */

#define FS_CALLERS 4

/* Posted files that one handle has read ahead in: more than a window of small volumes has. */
#define FS_TOUCHED 64

struct fs_handle {
    /* fixed */
    struct fs *fs;
    struct fs_node *node;
    uint64_t stream;

    struct list link; /* under fs.open_lock */

    /* under lock */
    pthread_mutex_t lock;
    struct fs_tally tally;
    uint64_t pos;  /* where the last read ends */
    pid_t pid;     /* the opener's; 0: not known */
    char comm[16]; /* likewise */
    struct qos_stream window;
    uint64_t charge;      /* what is asked for and not read, as counted in fs.ahead_bytes */
    uint64_t withdrawals; /* how often some of it was withdrawn */
    struct fs_touched {
        struct fs_file *file;
        uint64_t upto;     /* where the last of it ends, in what is read */
    } touched[FS_TOUCHED]; /* where something was asked for ahead, the latest last */
    unsigned ntouched;
    struct fs_caller {
        pid_t pid; /* 0: none */
        bool scans;
    } callers[FS_CALLERS]; /* who has read of late, the latest first */
};

/** A read of [off, off+len) was asked for at `now_us`. Returns how many bytes of the run that it goes on with have
 *  been read before it. */
uint64_t fs_handle_begin(struct fs_handle *h, uint64_t now_us, uint64_t off, uint32_t len);

/** Fetch ahead of it. `over`: it was answered at once, like this; NULL: it waits, and fs_handle_end() follows or
 *  was there. */
void fs_handle_ahead(struct fs_handle *h, uint64_t off, uint32_t len, const struct fs_read *over);

/** Whose account it reads on. */
uint64_t fs_handle_stream(const struct fs_handle *h);

/** It has waited and is about to be answered. */
void fs_handle_end(struct fs_handle *h, uint64_t asked_us, const struct cache_waits *w,
                   const struct fs_read *over);

/* --- fs.c -------------------------------------------------------------------------------------- */

struct fs_mount;

struct fs {
    /* fixed after fs_new() */
    struct config_mount mount; /* its strings are NULL, but for what stands here: */
    char *hide;                /* patterns of names that are not shown; NULL: none */
    char **passwords;          /* of archives; secret */
    unsigned npasswords;
    struct cache *cache;
    struct fs_scan *scan;
    char *source;
    uint64_t (*now_us)(void);
    uint64_t ahead_most; /* of all handles together */
    int stop_fd;         /* an eventfd: readable once the mount is to stop */
    uid_t uid;
    gid_t gid;

    struct fs_tree tree;
    struct fs_watch watch;
    struct fs_disown disown;
    struct fs_surveyors surveyors;

    /* the owner's */
    struct fs_mount *mounted;

    /* under open_lock, before which nothing is locked, and after it handles */
    pthread_mutex_t open_lock;
    struct list open; /* handles, in the order of their numbers */

    /* under idle */
    pthread_mutex_t idle;
    pthread_cond_t idle_cond;
    size_t live_reads;

    /* any thread */
    _Atomic uint64_t streams; /* the last handle's number */
    _Atomic uint64_t reads, read_bytes, waited, errors, timeouts, interrupts, zeroed, surprises;
    _Atomic uint64_t handles, ahead_bytes, known_bytes;
    atomic_bool stopped;
};

/** 0444 or 0555, less the umask. */
mode_t fs_node_mode(const struct fs *fs, const struct fs_node *n);

#endif
