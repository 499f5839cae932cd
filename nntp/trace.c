#define LOG_TAG "nntp.trace"
#include "nntp/trace.h"

#include "base/log.h"
#include "base/thread.h"
#include "qos/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* The writer waits a second for more, but not beyond this part of a buffer. */
#define EAGER(t)   ((t)->buffer / 16)

/* Cut off a file that meets a full disk, so that the line that says so fits where they were. */
#define TAIL_BYTES ((size_t)256)

struct nntp_trace {
    /* fixed after nntp_trace_attach() */
    char *path;
    int fd;
    size_t buffer; /* bytes of each of two, which change places: one is filled, one is written */
    qos_time clock;
    pthread_t thread;
    /* under lock */
    pthread_mutex_t lock; /* leaf, inside the pool's */
    pthread_cond_t more;
    char *filling;
    size_t len;
    bool full; /* a record did not fit: none is taken any more */
    bool closing;
    /* any thread */
    atomic_bool failed; /* the disk: nor then */
    /* the thread's */
    char *writing;
    off_t size; /* of the file */
};

/* --- filling, the pool's lock held ------------------------------------------------------------------ */

static void watch(void *arg, const struct qos_record *r)
{
    struct nntp_trace *t = arg;

    pthread_mutex_lock(&t->lock);
    size_t before = t->len, n = 0;
    if (!t->full && !atomic_load(&t->failed)) {
        n = qos_trace_record(t->filling + t->len, t->buffer - t->len, t->clock, r);
        t->full = n == 0;
        t->len += n;
    }
    /* Woken for the first, to look again in a second, and for enough. */
    if (n && (!before || (before < EAGER(t) && t->len >= EAGER(t))))
        pthread_cond_signal(&t->more);
    pthread_mutex_unlock(&t->lock);
}

/* --- writing ---------------------------------------------------------------------------------------- */

/* How much of it is in the file; less than `len`: errno says why. */
static size_t bytes_write(struct nntp_trace *t, const char *buf, size_t len)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = write(t->fd, buf + done, len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    t->size += (off_t)done;
    return done;
}

/* `last` was written, and only in part. The file goes back to the end of a line, and a little more, so that
 * there is room for one. */
static bool room_make(struct nntp_trace *t, const char *last, size_t written)
{
    size_t keep = written > TAIL_BYTES ? written - TAIL_BYTES : 0;

    while (keep && last[keep - 1] != '\n')
        keep--;
    t->size -= (off_t)(written - keep);
    return !ftruncate(t->fd, t->size) && lseek(t->fd, t->size, SEEK_SET) == t->size;
}

static bool tail_write(struct nntp_trace *t, const char *lost)
{
    char line[QOS_TRACE_LINE];
    size_t len = qos_trace_tail(line, lost);

    return bytes_write(t, line, len) == len;
}

/* `cut`: what was written last is in `buf`, `written` bytes of it. */
static void give_up(struct nntp_trace *t, const char *why, bool cut, const char *buf,
                    size_t written)
{
    log_warn("%s: %s; the trace ends there, all else goes on", t->path, why);
    /* Where this fails too, whoever reads the file sees that it has no last line. */
    if ((cut && !room_make(t, buf, written)) || !tail_write(t, why))
        log_debug("%s: nor can the file say so", t->path);
}

/* Lock held: until there is enough, or something and a second has passed, or it is the end. */
static void wait_for_more(struct nntp_trace *t)
{
    struct timespec until;

    while (!t->len && !t->closing)
        pthread_cond_wait(&t->more, &t->lock);
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec++;
    while (t->len < EAGER(t) && !t->closing)
        if (pthread_cond_timedwait(&t->more, &t->lock, &until))
            return;
}

/* What waits, in one go. False: it was the last. */
static bool turn(struct nntp_trace *t)
{
    pthread_mutex_lock(&t->lock);
    wait_for_more(t);
    char *buf = t->filling;
    size_t len = t->len;
    bool full = t->full, closing = t->closing;
    t->filling = t->writing;
    t->len = 0;
    pthread_mutex_unlock(&t->lock);
    t->writing = buf;

    size_t n = bytes_write(t, buf, len);
    if (n < len) {
        atomic_store(&t->failed, true);
        give_up(t, strerror(errno), true, buf, n);
        return false;
    }
    if (full)
        give_up(t, "the disk did not keep up", false, buf, n);
    else if (closing && !tail_write(t, NULL))
        log_warn("%s: %s; its last line is lacking", t->path, strerror(errno));
    return !full && !closing;
}

static void *writer(void *arg)
{
    while (turn(arg))
        ;
    return NULL;
}

/* --- life ------------------------------------------------------------------------------------------- */

/* Somebody may have named the NZB, or a film: only a trace, or nothing, makes room for a trace. */
static bool is_trace(const char *path)
{
    static const char first[] = "nzbfs-trace ";
    char had[sizeof(first)] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    if (fd < 0)
        return false;
    ssize_t n = read(fd, had, sizeof(first) - 1);
    close(fd);
    return n == 0 || (n == (ssize_t)sizeof(first) - 1 && memcmp(had, first, (size_t)n) == 0);
}

static int file_make(const char *path)
{
    struct stat st;

    /* O_EXCL: whoever puts a link there meanwhile does not choose what is overwritten. */
    if (lstat(path, &st) == 0) {
        if (!S_ISREG(st.st_mode) || !is_trace(path))
            return -EEXIST;
        if (unlink(path))
            return -errno;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    return fd < 0 ? -errno : fd;
}

static int writer_start(struct nntp_trace *t)
{
    pthread_condattr_t attr;

    pthread_mutex_init(&t->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&t->more, &attr);
    pthread_condattr_destroy(&attr);
    /* No signal comes, SIGXFSZ neither: a limit on a file's size is an error like a full disk. */
    int r = thread_start(&t->thread, writer, t);
    if (r) {
        pthread_cond_destroy(&t->more);
        pthread_mutex_destroy(&t->lock);
    }
    return r;
}

static void trace_free(struct nntp_trace *t)
{
    free(t->filling);
    free(t->writing);
    free(t->path);
    free(t);
}

int nntp_trace_open(const char *path, size_t buffer, struct nntp_trace **out, char *err,
                    size_t errlen)
{
    struct nntp_trace *t = calloc(1, sizeof(*t));
    int r = -ENOMEM;

    if (!t)
        goto err0;
    t->buffer = buffer;
    t->path = strdup(path);
    t->filling = malloc(buffer);
    t->writing = malloc(buffer);
    if (!t->path || !t->filling || !t->writing)
        goto err1;
    r = t->fd = file_make(path);
    if (r < 0)
        goto err1;
    if ((r = writer_start(t)))
        goto err2;
    *out = t;
    return 0;
err2:
    close(t->fd);
err1:
    trace_free(t);
err0:
    snprintf(err, errlen, "trace %s: %s", path,
             r == -EEXIST ? "something else is there, which is not replaced; name another file"
                          : strerror(-r));
    return r;
}

void nntp_trace_attach(struct nntp_trace *t, struct qos *q, const struct qos_limits *limits,
                       const struct qos_config *cfg, qos_time now)
{
    t->clock = now;
    pthread_mutex_lock(&t->lock);
    t->len = qos_trace_head(t->filling, limits, cfg, now);
    pthread_cond_signal(&t->more);
    pthread_mutex_unlock(&t->lock);
    qos_watch(q, watch, t);
}

void nntp_trace_close(struct nntp_trace *t)
{
    if (!t)
        return;
    pthread_mutex_lock(&t->lock);
    t->closing = true;
    pthread_cond_signal(&t->more);
    pthread_mutex_unlock(&t->lock);
    pthread_join(t->thread, NULL);
    if (close(t->fd) && !atomic_load(&t->failed))
        log_warn("%s: %s; its end may be lacking", t->path, strerror(errno));
    pthread_cond_destroy(&t->more);
    pthread_mutex_destroy(&t->lock);
    trace_free(t);
}
