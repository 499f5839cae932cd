/* seeker — players that seek: many threads read files of a mount at random places and compare every byte
 * with the files they were made from.
 *
 *     mount_seeker MOUNT SOURCE THREADS READS SECONDS
 *
 * Each thread makes so many reads of 4 KiB to 1 MiB, some in sequence and some not. An error is no failure
 * where it is EIO or ETIMEDOUT: servers may be in trouble. Failures, told on standard error and by status 1,
 * are a wrong byte, a wrong size, bytes behind the end, another errno, and a call that took longer than
 * SECONDS. Every twentieth call writes a dot, so that a script sees it go on; the sums come last. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MOST 64
#define FILES_MOST   256
#define READ_MOST    ((size_t)1 << 20)

static const char *mountpoint, *source;
static char *names[FILES_MOST];
static size_t nnames;
static unsigned long reads_each;
static double seconds_most;

static struct {
    pthread_mutex_t lock;
    unsigned long good, failed, wrong, all;
    double slowest;
} sums = {.lock = PTHREAD_MUTEX_INITIALIZER};

struct player {
    pthread_t thread;
    unsigned dice;
    unsigned long left;
    uint8_t *got, *right;
};

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static size_t dice(struct player *p, size_t below)
{
    size_t high = (size_t)rand_r(&p->dice) << 24;
    return (high ^ (size_t)rand_r(&p->dice)) % below;
}

static void wrong(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void wrong(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    pthread_mutex_lock(&sums.lock);
    sums.wrong++;
    vfprintf(stderr, fmt, ap);
    pthread_mutex_unlock(&sums.lock);
    va_end(ap);
}

/* A call on `name` is over: what it returned, and when it began. */
static void call_count(const char *name, ssize_t rc, int err, double began_s)
{
    double took = now_s() - began_s;
    if (rc < 0 && err != EIO && err != ETIMEDOUT)
        wrong("%s: %s\n", name, strerror(err));
    if (took > seconds_most)
        wrong("%s: a call took %.1f s\n", name, took);
    pthread_mutex_lock(&sums.lock);
    sums.good += rc >= 0;
    sums.failed += rc < 0;
    sums.slowest = took > sums.slowest ? took : sums.slowest;
    if (++sums.all % 20 == 0) {
        putchar('.');
        fflush(stdout);
    }
    pthread_mutex_unlock(&sums.lock);
}

static ssize_t read_compare(struct player *p, const char *name, int fd, int right_fd, size_t len,
                            off_t off)
{
    double began = now_s();
    ssize_t n = pread(fd, p->got, len, off);
    call_count(name, n, errno, began);
    if (n < 0)
        return 0;
    ssize_t all = pread(right_fd, p->right, len, off);
    if (n > all || memcmp(p->got, p->right, (size_t)n) != 0)
        wrong("%s: wrong bytes among %zd from %lld\n", name, n, (long long)off);
    return n;
}

/* One file, opened, read at some places, and closed. */
static void file_play(struct player *p, const char *name, int fd, int right_fd)
{
    struct stat st, right;
    if (fstat(right_fd, &right) || fstat(fd, &st) || st.st_size != right.st_size) {
        wrong("%s: wrong size\n", name);
        p->left--;
        return;
    }
    if (dice(p, 2))
        posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED); /* what the kernel has is no test of ours */
    bool seeks = dice(p, 2);
    size_t size = (size_t)right.st_size, off = dice(p, size);
    for (size_t k = 1 + dice(p, 12); k && p->left; k--, p->left--) {
        size_t len = 4096 + dice(p, dice(p, 2) ? READ_MOST - 4096 : 65536);
        off += (size_t)read_compare(p, name, fd, right_fd, len, (off_t)off);
        if (seeks || off >= size)
            off = dice(p, size);
    }
}

static int open_in(const char *dir, const char *name)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return open(path, O_RDONLY | O_CLOEXEC);
}

static void *player_main(void *arg)
{
    struct player *p = arg;
    p->left = reads_each;
    while (p->left) {
        const char *name = names[dice(p, nnames)];
        double began = now_s();
        int fd = open_in(mountpoint, name);
        call_count(name, fd, errno, began);
        if (fd < 0) {
            p->left--;
            continue;
        }
        int right_fd = open_in(source, name);
        file_play(p, name, fd, right_fd);
        close(right_fd);
        close(fd);
    }
    return NULL;
}

static int names_find(void)
{
    DIR *d = opendir(source);
    if (!d)
        return -1;
    for (struct dirent *e; (e = readdir(d)) && nnames < FILES_MOST;)
        if (e->d_name[0] != '.' && (names[nnames] = strdup(e->d_name)))
            nnames++;
    closedir(d);
    return nnames ? 0 : -1;
}

int main(int argc, char **argv)
{
    static struct player players[THREADS_MOST];
    unsigned threads = argc == 6 ? (unsigned)atoi(argv[3]) : 0;
    if (!threads || threads > THREADS_MOST) {
        fprintf(stderr, "usage: mount_seeker MOUNT SOURCE THREADS READS SECONDS\n");
        return 2;
    }
    mountpoint = argv[1];
    source = argv[2];
    reads_each = strtoul(argv[4], NULL, 10);
    seconds_most = atof(argv[5]);
    if (names_find()) {
        fprintf(stderr, "%s: no files\n", source);
        return 2;
    }
    for (unsigned k = 0; k < threads; k++) {
        players[k] =
            (struct player){.dice = k + 1, .got = malloc(READ_MOST), .right = malloc(READ_MOST)};
        if (!players[k].got || !players[k].right ||
            pthread_create(&players[k].thread, NULL, player_main, &players[k]))
            return 2;
    }
    for (unsigned k = 0; k < threads; k++) {
        pthread_join(players[k].thread, NULL);
        free(players[k].got);
        free(players[k].right);
    }
    for (size_t k = 0; k < nnames; k++)
        free(names[k]);
    printf("\n%lu good, %lu errors, %lu wrong, the slowest took %.2f s\n", sums.good, sums.failed,
           sums.wrong, sums.slowest);
    return sums.wrong ? 1 : 0;
}
