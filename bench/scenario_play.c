#include "bench/scenario_play.h"

#include "bench/child.h"
#include "bench/scenario.h"
#include "tests/lib/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BLOCK  ((size_t)128 << 10)
#define FORGET ((uint64_t)16 << 20)
#define PROBE  ((size_t)64) /* bytes held against the server's at both ends of a block */

void play_sleep(double s)
{
    if (s <= 0)
        return;
    double whole = (double)(time_t)s;
    nanosleep(&(struct timespec){.tv_sec = (time_t)s, .tv_nsec = (long)((s - whole) * 1e9)}, NULL);
}

/* --- one read ---------------------------------------------------------------------------------- */

static void probe(const uint8_t *buf, uint64_t off, size_t len, uint64_t seed)
{
    uint8_t right[PROBE];
    size_t n = len < PROBE ? len : PROBE;

    spool_bytes(seed, off, right, n);
    if (memcmp(buf, right, n) != 0)
        scenario_fail("other bytes than the server's", "a read's beginning");
    spool_bytes(seed, off + len - n, right, n);
    if (memcmp(buf + len - n, right, n) != 0)
        scenario_fail("other bytes than the server's", "a read's end");
}

/* All of it, or up to the end of the file. */
static size_t read_whole(int fd, uint8_t *buf, uint64_t off, size_t len, uint64_t seed)
{
    size_t got = 0;

    while (got < len) {
        ssize_t n = pread(fd, buf + got, len - got, (off_t)(off + got));
        if (n < 0 && errno != EINTR)
            scenario_fail(strerror(errno), "a read");
        if (n == 0)
            break;
        if (n > 0)
            got += (size_t)n;
    }
    if (seed && got)
        probe(buf, off, got, seed);
    return got;
}

double play_at(int fd, uint64_t off, size_t len, uint64_t seed)
{
    uint8_t *buf = malloc(len);

    if (!buf)
        scenario_fail("no memory", "a read");
    double start = now_s();
    size_t got = read_whole(fd, buf, off, len, seed);
    double took = now_s() - start;
    free(buf);
    if (got != len)
        scenario_fail("the file ends here", "a read");
    return took;
}

static int open_or_fail(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        scenario_fail(strerror(errno), path);
    return fd;
}

double play_once(const char *path, uint64_t off, size_t len, uint64_t seed)
{
    double start = now_s();
    int fd = open_or_fail(path);

    play_at(fd, off, len, seed);
    close(fd);
    return now_s() - start;
}

/* --- a play ------------------------------------------------------------------------------------ */

/* What only its thread knows. Times are of CLOCK_MONOTONIC, in seconds. */
struct show {
    struct play *p;
    uint64_t buffer;
    double began_s; /* when the picture began; 0: not yet */
    double lost_s;  /* by how much stalls have put it back, and pauses before it began */
    size_t room;    /* of the two tables */
};

/* Seconds of picture shown. With the play's lock held. */
static double shown_s(const struct show *w, double now)
{
    const struct play *p = w->p;
    double paused = p->paused_s + (p->paused ? now - p->paused_at_s : 0);

    return now - w->began_s - w->lost_s - paused;
}

/* Wait until less than the buffer is ahead of the picture; false: the play is to stop. */
static bool turn_await(struct show *w, uint64_t done, size_t block)
{
    struct play *p = w->p;
    bool go;

    pthread_mutex_lock(&p->lock);
    while (!p->stop && w->began_s > 0 && done + block > w->buffer) {
        double now = now_s();
        double left = (double)(done + block - w->buffer) / (double)p->rate_bps - shown_s(w, now);
        if (left <= 0)
            break;
        if (p->paused) {
            pthread_cond_wait(&p->changed, &p->lock);
            continue;
        }
        double until = now + left;
        struct timespec ts = {.tv_sec = (time_t)until};
        ts.tv_nsec = (long)((until - (double)ts.tv_sec) * 1e9);
        pthread_cond_timedwait(&p->changed, &p->lock, &ts);
    }
    go = !p->stop;
    pthread_mutex_unlock(&p->lock);
    return go;
}

static void tables_grow(struct show *w)
{
    struct play *p = w->p;

    if (p->blocks < w->room)
        return;
    w->room = w->room ? 2 * w->room : 1024;
    p->waits_s = realloc(p->waits_s, w->room * sizeof(*p->waits_s));
    p->stalls_s = realloc(p->stalls_s, w->room * sizeof(*p->stalls_s));
    if (!p->waits_s || !p->stalls_s)
        scenario_fail("no memory", "a play");
}

/* A block at `done` has come `now`: how late it is. */
static double stall_take(struct show *w, uint64_t done, double now)
{
    struct play *p = w->p;
    double late = 0;

    pthread_mutex_lock(&p->lock);
    if (w->began_s > 0)
        late = shown_s(w, now) - (double)done / (double)p->rate_bps;
    pthread_mutex_unlock(&p->lock);
    if (late <= 0)
        return 0;
    w->lost_s += late;
    p->late++;
    p->stall_total_s += late;
    if (late > p->stall_worst_s)
        p->stall_worst_s = late;
    return late;
}

static void block_note(struct show *w, uint64_t done, size_t n, double asked, double now)
{
    struct play *p = w->p;

    tables_grow(w);
    p->waits_s[p->blocks] = now - asked;
    p->stalls_s[p->blocks++] = stall_take(w, done, now);
    p->bytes = done + n;
    pthread_mutex_lock(&p->lock);
    p->at = p->bytes;
    if (p->rate_bps && w->began_s <= 0 && p->bytes >= w->buffer) {
        w->began_s = now;
        w->lost_s = -(p->paused_s + (p->paused ? now - p->paused_at_s : 0));
    }
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

/* What has been read leaves the kernel, so much at a time; returns how far it has. */
static uint64_t pages_forget(const struct play *p, int fd, uint64_t forgotten)
{
    if (!p->forget || p->bytes < forgotten + FORGET)
        return forgotten;
    if (posix_fadvise(fd, (off_t)(p->off + forgotten), (off_t)(p->bytes - forgotten),
                      POSIX_FADV_DONTNEED))
        scenario_fail("does not leave the kernel's cache", p->path);
    return p->bytes;
}

static void *play_run(void *arg)
{
    struct play *p = arg;
    size_t block = p->block ? p->block : BLOCK;
    struct show w = {.p = p, .buffer = p->buffer > 2 * block ? p->buffer : 2 * block};
    uint8_t *buf = malloc(block);
    uint64_t forgotten = 0;
    double start = now_s();
    int fd = open_or_fail(p->path);

    if (!buf)
        scenario_fail("no memory", "a play");
    for (uint64_t done = 0; !p->len || done < p->len;) {
        size_t want = p->len && p->len - done < block ? (size_t)(p->len - done) : block;
        if (!turn_await(&w, done, want))
            break;
        double asked = now_s();
        size_t n = read_whole(fd, buf, p->off + done, want, p->seed);
        double now = now_s();
        if (n == 0)
            break;
        if (done == 0)
            p->first_s = now - start;
        block_note(&w, done, n, asked, now);
        forgotten = pages_forget(p, fd, forgotten);
        p->elapsed_s = now - start;
        done += n;
    }
    close(fd);
    free(buf);
    pthread_mutex_lock(&p->lock);
    p->ended = true;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* --- its owner --------------------------------------------------------------------------------- */

void play_start(struct play *p)
{
    pthread_condattr_t a;

    pthread_condattr_init(&a);
    pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->changed, &a);
    pthread_condattr_destroy(&a);
    int err = pthread_create(&p->thread, NULL, play_run, p);
    if (err)
        scenario_fail(strerror(err), "a play");
}

void play_stop(struct play *p)
{
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

void play_pause(struct play *p)
{
    pthread_mutex_lock(&p->lock);
    if (!p->paused)
        p->paused_at_s = now_s();
    p->paused = true;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

void play_resume(struct play *p)
{
    pthread_mutex_lock(&p->lock);
    if (p->paused)
        p->paused_s += now_s() - p->paused_at_s;
    p->paused = false;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

uint64_t play_position(struct play *p)
{
    pthread_mutex_lock(&p->lock);
    uint64_t at = p->at;
    pthread_mutex_unlock(&p->lock);
    return at;
}

void play_await(struct play *p, uint64_t bytes)
{
    pthread_mutex_lock(&p->lock);
    while (p->at < bytes && !p->ended)
        pthread_cond_wait(&p->changed, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

void play_join(struct play *p)
{
    pthread_join(p->thread, NULL);
}

void play_free(struct play *p)
{
    free(p->waits_s);
    free(p->stalls_s);
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->changed);
    *p = (struct play){0};
}
