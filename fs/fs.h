/**
 * fs — a tree of posted files, and the FUSE mount that shows it.
 *
 * Shape     The core (tree, sizes, reads) knows no FUSE: `nzbfs ls|cat|get` and the tests use it as it
 *           is. The mount is a thin skin over it. Segments come out of a `struct cache`; fs knows
 *           nothing of news servers.
 * Threads   Any, unless a function says otherwise. Adding NZBs and freeing are the owner's.
 * Waiting   Nothing here waits for the network but the functions called *_wait. A read that cannot be
 *           answered at once is answered by the thread that brings its last segment, by the watch when
 *           its deadline passes, or by fs_read_cancel(): by exactly one of them.
 * Life      Nodes live as long as the fs. Order of the end:
 *             fs_stop → fs_loop returns → fs_unmount → fs_quiet → stop the source → fs_free → cache_free.
 *           fs_free() waits for what the cache has under way, so stop the source first; and before that whoever
 *           might still ask it for something.
 * Errors    Of a read: EIO where a segment that it needs is missing or damaged or cannot be had,
 *           ETIMEDOUT when the deadline passed first, EINTR when it was cancelled, ENOMEM.
 * Early     A read that allows it, within the first mebibyte of a run, is answered with its last byte and not
 *           with the end of the article. Of a segment of which wrong bytes were given out so no more are: EIO,
 *           and they leave the kernel's cache. It may also learn the size before that is proven; only such a
 *           read does, and what it was told is taken back from the kernel when it does not turn out true.
 * Sizes     Exact, and lazy: no call but fs_read_* costs an article.
 */
#ifndef FS_FS_H
#define FS_FS_H

#include "base/config.h"
#include "cache/cache.h"
#include "nzb/nzb.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/uio.h>

struct fs;
struct fs_node;   /* a directory or a file of the tree; ours for the life of the fs */
struct fs_handle; /* an open file: what is read ahead for it */

struct fs_options {
    struct config_mount
        mount;          /* copied; all but default_permissions matters; the strings are copied */
    const char *source; /* what is mounted, as it shall stand in /proc/mounts; copied */
    uint64_t (*now_us)(void); /* NULL: clock_now_us. With another one no deadline passes by itself:
                                  fs_expire() is the caller's to call */
};

/** `c` is lent until fs_free(). 0, -ENOMEM, or what pthread_create says. */
int fs_new(const struct fs_options *o, struct cache *c, struct fs **out);

/** Ends every read under way with EINTR, and surveys: afterwards nothing is asked of the source any more. Once or twice;
 *  not while mounted. */
void fs_quiet(struct fs *fs);

/** fs_quiet(), waits until nothing is under way, and frees all. Not while mounted. */
void fs_free(struct fs *fs);

/* --- the tree ---------------------------------------------------------------------------------- */

/** Show the files of `z` (taken, also on failure). `dir` NULL: at the root; else in a directory of their
 *  own, named after `dir`: less ".nzb" or ".nzb.gz", made safe, and numbered where the name is taken.
 *  `path` of the NZB file (copied) is told by an xattr; `when_s` is the mtime where the NZB has no date.
 *  0 or -ENOMEM: what was added until then stays. */
int fs_add_nzb(struct fs *fs, const char *dir, struct nzb *z, const char *path, uint64_t when_s);

struct fs_node *fs_root(struct fs *fs);

/** Is it known what is in `dir`? Of an NZB whose contents are shown it is not before somebody has asked for them
 *  (by a read of the directory with len 0, or fs_dir_wait()): fs_lookup() and fs_next() then find nothing, and
 *  fs_find() nothing below it. */
bool fs_dir_is_known(const struct fs_node *dir);

/** fs_find() that waits for what has to be known on the way. NULL with *err 0: there is none; else *err is an errno. */
struct fs_node *fs_find_wait(struct fs *fs, const char *path, int *err);

/** The node at `path`, relative to the root; "" and "/" are the root. NULL: there is none. */
struct fs_node *fs_find(struct fs *fs, const char *path);

/** The child called `name`, or NULL. */
struct fs_node *fs_lookup(struct fs *fs, const struct fs_node *dir, const char *name);

/** The children of `dir` in order: give *pos = 0 first and get NULL behind the last one. *pos stays
 *  good whatever is added. */
struct fs_node *fs_next(struct fs *fs, const struct fs_node *dir, uint64_t *pos);

const char *fs_node_name(const struct fs_node *n); /* of the root: "" */
bool fs_node_is_dir(const struct fs_node *n);
const struct nzb_file *fs_node_posted(const struct fs_node *n); /* NULL: a directory */

/** What tells a file from all others of its name and size: a hash of the articles that it is in. */
uint64_t fs_node_identity(const struct fs_node *n);

/** When the file was posted or, of a file in an archive, changed: Unix time; 0: not told. */
uint64_t fs_node_dated(const struct fs_node *n);

/** About how many bytes a file has, where its size is not known: by what the NZB says, less the usual cost of yEnc. */
uint64_t fs_node_guess(const struct fs_node *n);

/** The checksum that the archive has of a file in it: false where it has no CRC-32. */
bool fs_node_crc32(const struct fs_node *n, uint32_t *crc);

/** What is known now, without an article. Returns whether st_size is (a directory's always is); it is 0
 *  where not. */
bool fs_node_stat(struct fs *fs, const struct fs_node *n, struct stat *st);

/** What is known to be wrong with a file: segments that were asked for and that no provider has, or has
 *  undamaged, gaps in the NZB's numbers included; and bytes that were shown as zeros in their place. */
struct fs_health {
    uint32_t segments, parts, missing;
    uint64_t zeroed;
};
void fs_node_health(const struct fs_node *n, struct fs_health *out);

/** xattrs "user.nzbfs.*". The value goes to out[cap], not terminated; its length is returned, also where
 *  cap is 0. -ENODATA, -ERANGE. */
int fs_xattr_get(struct fs *fs, const struct fs_node *n, const char *name, char *out, size_t cap);

/** The names, each with its NUL, likewise. */
int fs_xattr_list(struct fs *fs, const struct fs_node *n, char *out, size_t cap);

/* --- open files -------------------------------------------------------------------------------- */

/** Reads that name the handle are followed by readahead. NULL: no memory. */
struct fs_handle *fs_handle_open(struct fs *fs, struct fs_node *file);

/** Withdraws its readahead. No read that names it may be under way: over, and fs_read_start() returned. */
void fs_handle_close(struct fs_handle *h);

/** The thread or process `pid` reads, or is about to. True: it is one that only looks around (mount.scanners):
 *  nothing is read ahead for this handle until another one reads, and its reads should be URGENCY_SCAN. */
bool fs_handle_caller(struct fs_handle *h, pid_t pid);

/** It was opened as a player would not: nothing is read ahead before it has read a long stretch. */
void fs_handle_wary(struct fs_handle *h);

/* --- reading ----------------------------------------------------------------------------------- */

#define FS_READ_MOST ((uint32_t)1 << 20)

/** One read, or with len 0 the wish to know the size; of a directory: what is in it. From fs_read_new() until
 *  fs_read_end(). */
struct fs_read {
    const struct fs_read_ops *ops; /* ours */

    /* in: set before fs_read_start(); fs_read_new() has set what is not named here to what a reader of an
       open file wants */
    struct fs_node *file;
    struct fs_handle *handle; /* or NULL: no readahead; lent as fs_handle_close() says */
    uint64_t off;
    uint32_t len;             /* at most FS_READ_MOST */
    enum traffic_class class; /* TRAFFIC_STREAMING */
    enum urgency urgency;     /* URGENCY_DEMAND */
    uint64_t deadline_us;     /* now + mount.read_timeout_s */
    bool partial; /* what stands before the first bad byte is an answer; else only all of it */
    bool once;    /* the asker keeps it: a segment read in sequence to its end may be forgotten */
    bool early;   /* near the beginning of a run, bytes will do whose article has not ended: they
                     may turn out wrong (see Early above) */
    uint64_t stream; /* on whose account, where that is not `handle`; 0: the file's own … */
    uint64_t
        run; /* … and how many bytes have been read in sequence up to the end of this; 0: len */
    /** Ends the read when fs_read_start() did not. Runs once, on a thread of the source, of the watch, or
     *  of who cancels; with no lock held; not inside fs_read_start(). May call fs_read_end(). */
    void (*done)(struct fs_read *r);
    void *arg;

    /* out: when it is over */
    int err;       /* 0 or a positive errno; see the card */
    bool unsure;   /* EIO: nobody could be asked for some of it, so it may be there */
    uint64_t size; /* of the file; where err is 0 */
    bool unproven; /* an article that is still coming says so: it may turn out to be another */
    size_t n;      /* bytes read: less than len only at the end of the file (or see partial) */
    const struct iovec *iov; /* where they are: pinned until fs_read_end() */
    unsigned niov;
};

/** NULL: no memory. */
struct fs_read *fs_read_new(struct fs *fs, struct fs_node *file);

/** True: it is over already, done() will not run. False: done() will run, or has. */
bool fs_read_start(struct fs_read *r);

/** End it with EINTR if it is not over, from another thread than fs_read_start() even while that runs.
 *  done() then runs on the watch's thread. The caller knows that fs_read_end() has not been called. */
void fs_read_cancel(struct fs_read *r);

/** Gives back pins and memory. It is over, or was never started. */
void fs_read_end(struct fs_read *r);

/** Up to `len` bytes at `off` into buf; the number read, less than len only at the end of the file or
 *  before an error that the next call will meet. -errno. `h` NULL: no readahead. */
ssize_t fs_read_wait(struct fs *fs, struct fs_node *file, struct fs_handle *h, void *buf,
                     size_t len, uint64_t off);

/** The exact size. 0 or -errno. */
int fs_size_wait(struct fs *fs, struct fs_node *file, uint64_t *size);

/** Until it is known what is in `dir`. 0 or -errno. */
int fs_dir_wait(struct fs *fs, struct fs_node *dir);

/** End the reads whose deadline is at or before `now_us` with ETIMEDOUT; for tests with a clock of their
 *  own. Their done() runs inside this call. */
void fs_expire(struct fs *fs, uint64_t now_us);

/* --- the mount --------------------------------------------------------------------------------- */

struct fs_mount_options {
    bool debug;       /* libfuse's own log of requests, at the level debug */
    bool nonempty;    /* mount over a directory that is not empty */
    unsigned threads; /* FUSE workers; 0: 4 */
    /** The kernel's first question has been answered: the mount can be used. Runs once, on a worker. */
    void (*on_ready)(void *arg);
    void *arg;
};

/** Attach to `mountpoint`. 0, or -errno with one line in err[errlen] that says what to do. The mount
 *  answers nothing until fs_loop(). mount.direct_io, allow_other, uid, gid and umask are taken from
 *  fs_options. The kernel always checks modes, as with default_permissions: they mean what they say, and
 *  sizes are learnt before a file is opened. In a file with segments known to be missing, and with
 *  direct_io in all, a read error is exact to the byte; else to the page. */
int fs_mount(struct fs *fs, const char *mountpoint, const struct fs_mount_options *o, char *err,
             size_t errlen);

/** Serve until unmounted or stopped. The workers are started here (so: after any fork) with all signals
 *  blocked; the caller sleeps. 0: it was stopped, or unmounted from outside; -errno: it broke. Then every
 *  blocked request has been answered. */
int fs_loop(struct fs *fs);

/** Make fs_loop() return. Safe in a signal handler, and before fs_loop(). */
void fs_stop(struct fs *fs);

/** Detach and close. After fs_loop(); harmless when not mounted. */
void fs_unmount(struct fs *fs);

/* --- figures ----------------------------------------------------------------------------------- */

struct fs_stats {
    uint64_t reads, read_bytes; /* answered */
    uint64_t waited;            /* of these, not answered at once */
    uint64_t errors, timeouts, interrupts;
    uint64_t zeroed_bytes; /* missing bytes that were shown as zeros */
    uint64_t surprises;    /* volumes of archives that were not as was reckoned */
    uint64_t nodes, open_handles;
    uint64_t blocked;     /* reads that wait now */
    uint64_t ahead_bytes; /* asked for ahead of readers and not read yet */
};

void fs_stats(struct fs *fs, struct fs_stats *out);

/* --- why reads wait ---------------------------------------------------------------------------- */

struct fs_wait {
    uint64_t count, us, longest_us; /* longest: of one read */
};

#define FS_WAIT_PROVIDERS 8

/** What the reads of open files waited for. Time in which several reads of one file waited counts once. */
struct fs_waits {
    uint64_t reads, bytes, errors;       /* answered; errors: without EINTR */
    struct fs_wait all;                  /* reads that were not answered at once */
    struct fs_wait stages[CACHE_STAGES]; /* their time, by what was lacking */
    struct fs_wait reader; /* no read was out: from the last answer to the next read */
    unsigned nproviders;
    struct fs_provider_wait {
        const char
            *name; /* lent until the source ends; NULL: all that have no place of their own */
        uint64_t answer_us, bytes_us; /* of the times in `stages`, this provider's */
    } providers[FS_WAIT_PROVIDERS];
};

/** An open file. */
struct fs_stream {
    uint64_t number; /* of its handle, from 1 */
    const struct fs_node *file;
    pid_t pid;     /* who opened it; 0: not known */
    char comm[16]; /* its name then; any bytes */
    uint64_t age_us;
    uint64_t pos;           /* where its last read ended */
    uint64_t rate_bps;      /* bytes a second that were delivered of late */
    uint64_t ready, coming; /* fetched ahead of it and not read; asked for */
    bool scan;              /* taken for one that only looks around: nothing is read ahead */
    unsigned out;           /* reads that are not answered */
    bool waiting;           /* one of them waits in the cache … */
    enum cache_stage stage; /* … for this */
    const char *provider;   /* or NULL; as above */
    uint64_t now_us;        /* for so long; where `out` is 0: since the last answer */
    struct fs_waits waits;
};

/** All that are open, in the order in which they were opened; *out is to be freed. 0 or -ENOMEM. */
int fs_streams(struct fs *fs, struct fs_stream **out, size_t *n);

/** The sum over a file's open handles. False: there are none. */
bool fs_node_waits(struct fs *fs, const struct fs_node *n, struct fs_waits *out);

/** Add `w` to what is there. */
void fs_waits_add(struct fs_waits *to, const struct fs_waits *w);

/** Its path below the root, cut where `cap` ends. */
void fs_node_path(const struct fs_node *n, char *out, size_t cap);

/** Who has opened the handle, and is about to read; what it is called now is noted. True: as of fs_handle_caller(). */
bool fs_handle_opener(struct fs_handle *h, pid_t pid);

#endif
