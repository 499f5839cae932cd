#include "bench/reader.h"
#include "bench/child.h"
#include "bench/scene.h"
#include "nzb/nzb.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define BLOCK ((size_t)1 << 20)
#define FIRST ((size_t)64 << 10)

static _Noreturn void fail(const char *on)
{
    perror(on);
    exit(1);
}

uint64_t reader_file(const char *path, double *first_s)
{
    double start = now_s();
    uint8_t *buf = malloc(BLOCK);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    uint64_t total = 0;
    ssize_t n;

    if (fd < 0 || !buf)
        fail(path);
    while ((n = read(fd, buf, total ? BLOCK : FIRST)) > 0) {
        if (total == 0 && first_s)
            *first_s = now_s() - start;
        total += (uint64_t)n;
    }
    if (n < 0)
        fail(path);
    close(fd);
    free(buf);
    return total;
}

/* One file of the mount. */
struct reader {
    pthread_t thread;
    char path[4096];
    uint64_t bytes;
    double first_s;
};

static void *reader_run(void *arg)
{
    struct reader *r = arg;

    r->bytes = reader_file(r->path, &r->first_s);
    return NULL;
}

uint64_t reader_all(const struct scene *s, bool parallel, double *first_s)
{
    struct reader *readers = calloc(s->nzb->nfiles, sizeof(*readers));
    uint64_t bytes = 0;

    if (!readers)
        fail("readers");
    for (size_t i = 0; i < s->nzb->nfiles; i++) {
        struct reader *r = &readers[i];
        snprintf(r->path, sizeof(r->path), "%s/%s", s->mountpoint, s->nzb->files[i].name);
        if (pthread_create(&r->thread, NULL, reader_run, r))
            fail("thread");
        if (!parallel)
            pthread_join(r->thread, NULL);
    }
    for (size_t i = 0; i < s->nzb->nfiles; i++) {
        if (parallel)
            pthread_join(readers[i].thread, NULL);
        bytes += readers[i].bytes;
    }
    *first_s = readers[0].first_s;
    free(readers);
    return bytes;
}
