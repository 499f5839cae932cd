#include "bench/scenario_set.h"

#include "tests/lib/spool.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SETS_MOST 8
#define CHUNK     ((size_t)1 << 20)

static char left_behind[SETS_MOST][64];
static pid_t owner; /* a child of ours leaves its parent's sets alone */

__attribute__((format(printf, 1, 2))) static void run(const char *fmt, ...)
{
    char *cmd = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&cmd, fmt, ap) < 0)
        scenario_fail("no memory", fmt);
    va_end(ap);
    if (system(cmd) != 0)
        scenario_fail("failed", cmd);
    free(cmd);
}

static void folders_clean(void)
{
    if (getpid() != owner)
        return;
    for (unsigned i = 0; i < SETS_MOST; i++)
        if (*left_behind[i])
            run("rm -rf '%s'", left_behind[i]);
    memset(left_behind, 0, sizeof(left_behind));
}

static void folder_make(struct set *t)
{
    unsigned i = 0;

    *t = (struct set){.folder = "/tmp/nzbfs-set-XXXXXX"};
    if (!owner)
        atexit(folders_clean);
    owner = getpid();
    while (i < SETS_MOST && *left_behind[i])
        i++;
    if (i == SETS_MOST)
        scenario_fail("too many at once", "sets");
    if (!mkdtemp(t->folder))
        scenario_fail(strerror(errno), t->folder);
    memcpy(left_behind[i], t->folder, sizeof(t->folder));
    run("mkdir '%s/set' && echo '" SET_PASSWORD "' >'%s/passwords'", t->folder, t->folder);
}

static void film_write(const struct set *t, uint64_t size, uint64_t seed)
{
    char path[128];
    uint8_t *some = malloc(CHUNK);

    snprintf(path, sizeof(path), "%s/" SET_FILM, t->folder);
    FILE *f = fopen(path, "w");
    if (!f || !some)
        scenario_fail("cannot write", path);
    for (uint64_t off = 0; off < size; off += CHUNK) {
        size_t n = size - off < CHUNK ? (size_t)(size - off) : CHUNK;
        spool_bytes(seed, off, some, n);
        if (fwrite(some, 1, n, f) != n)
            scenario_fail("cannot write", path);
    }
    if (fclose(f))
        scenario_fail("cannot write", path);
    free(some);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Those of random names come in an order that says nothing. */
static void posts_find(struct set *t)
{
    char path[96];

    snprintf(path, sizeof(path), "%s/set", t->folder);
    DIR *d = opendir(path);
    if (!d)
        scenario_fail(strerror(errno), path);
    for (struct dirent *e; (e = readdir(d));) {
        if (*e->d_name == '.')
            continue;
        if (t->nposts == SET_POSTS ||
            asprintf(&t->paths[t->nposts++], "%s/%s", path, e->d_name) < 0)
            scenario_fail("too many files", path);
    }
    closedir(d);
    qsort(t->paths, t->nposts, sizeof(char *), by_name);
}

bool set_7z(void)
{
    return system("command -v 7z >/dev/null") == 0;
}

void set_film(struct set *t, uint64_t size, uint64_t seed)
{
    folder_make(t);
    film_write(t, size, seed);
    run("mv '%s/" SET_FILM "' '%s/set'", t->folder, t->folder);
    posts_find(t);
}

void set_rar(struct set *t, const struct scenario_run *r, uint64_t size, uint64_t seed,
             const char *options)
{
    const char *slash = strrchr(r->newsd, '/');

    folder_make(t);
    film_write(t, size, seed);
    run("'%.*s/nzbfs-setmaker' %s --seed %llu --root '%s' '%s/set' '%s/" SET_FILM "' >/dev/null",
        slash ? (int)(slash - r->newsd) : 1, slash ? r->newsd : ".", options,
        (unsigned long long)seed, t->folder, t->folder, t->folder);
    run("rm '%s/" SET_FILM "'", t->folder);
    posts_find(t);
}

void set_sevenz(struct set *t, uint64_t size, uint64_t seed, const char *options)
{
    folder_make(t);
    film_write(t, size, seed);
    run("cd '%s' && 7z a -bd -mx=0 %s set/set.7z " SET_FILM " >/dev/null </dev/null", t->folder,
        options);
    run("rm '%s/" SET_FILM "'", t->folder);
    posts_find(t);
}

void set_free(struct set *t)
{
    for (unsigned i = 0; i < t->nposts; i++)
        free(t->paths[i]);
    run("rm -rf '%s'", t->folder);
    for (unsigned i = 0; i < SETS_MOST; i++)
        if (!strcmp(left_behind[i], t->folder))
            *left_behind[i] = '\0';
    *t = (struct set){0};
}
