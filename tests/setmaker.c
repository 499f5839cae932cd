/* nzbfs-setmaker: archives of stored files as posters make them, for tests, benchmarks and for people who have no
 * program that writes RAR. What it writes to a directory nzbfs-newsd can serve as articles. */
#include "tests/lib/made.h"
#include "tests/lib/setmaker_options.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK      ((size_t)1 << 20)
#define NAMES_SEED 0x0bf5ca7e

struct program {
    struct setmaker_options o;
    struct made_file *files;
    uint32_t nfiles;
};

static int fail(const char *what, const char *why)
{
    fprintf(stderr, "nzbfs-setmaker: %s: %s\n", what, why);
    return -1;
}

/* ---- members ---- */

static struct made_file *file_add(struct program *p)
{
    struct made_file *f = reallocarray(p->files, p->nfiles + 1, sizeof(*f));
    if (!f)
        return NULL;
    p->files = f;
    f[p->nfiles] = (struct made_file){0};
    return &f[p->nfiles++];
}

/* Mapped until the process ends. */
static int content_map(struct made_file *f, const char *path, uint64_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail(path, strerror(errno));
    f->len = size;
    void *map = size ? mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
    close(fd);
    if (map == MAP_FAILED)
        return fail(path, strerror(errno));
    f->data = size ? map : "";
    return 0;
}

static const char *name_in(const struct setmaker_options *o, const char *path)
{
    size_t n = o->root ? strlen(o->root) : 0;
    if (o->root && strncmp(path, o->root, n) == 0 && path[n] == '/')
        return path + n + 1;
    const char *slash = strrchr(path, '/');
    return o->root || !slash ? path : slash + 1;
}

static bool is_named(const char *name, const char *wanted)
{
    return wanted && strcmp(name, wanted) == 0;
}

static void marks_set(const struct setmaker_options *o, struct made_file *f)
{
    f->compressed = is_named(f->name, o->compressed);
    f->plain = is_named(f->name, o->plain);
    f->unknown_size = is_named(f->name, o->unknown);
}

static int path_add(struct program *p, const char *path, const struct stat *st)
{
    if (!S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode))
        return fail(path, "neither a file nor a directory");
    if (S_ISDIR(st->st_mode) && (!p->o.root || strcmp(path, p->o.root) == 0))
        return 0;
    struct made_file *f = file_add(p);
    char *name = f ? strdup(name_in(&p->o, path)) : NULL;
    if (!name)
        return fail(path, "no memory");
    f->name = name;
    f->dir = S_ISDIR(st->st_mode);
    f->mtime_s = st->st_mtim.tv_sec;
    f->mtime_ns = (uint32_t)st->st_mtim.tv_nsec;
    marks_set(&p->o, f);
    return f->dir ? 0 : content_map(f, path, (uint64_t)st->st_size);
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static int tree_add(struct program *p, char *path)
{
    char *paths[] = {path, NULL};
    FTS *t = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
    int err = t ? 0 : fail(path, strerror(errno));
    for (FTSENT *e; !err && (e = fts_read(t));) {
        if (e->fts_info == FTS_ERR || e->fts_info == FTS_NS || e->fts_info == FTS_DNR)
            err = fail(e->fts_path, strerror(e->fts_errno));
        else if (e->fts_info != FTS_DP)
            err = path_add(p, e->fts_path, e->fts_statp);
    }
    if (t)
        fts_close(t);
    return err;
}

static int members_collect(struct program *p)
{
    for (int i = 0; i < p->o.nfiles; i++)
        if (tree_add(p, p->o.files[i]))
            return -1;
    for (unsigned i = 0; i < p->o.ngenerate; i++) {
        const struct setmaker_generate *g = &p->o.generate[i];
        struct made_file *f = file_add(p);
        char *name = f ? strdup(g->name) : NULL;
        if (!name)
            return fail(g->name, "no memory");
        *f = (struct made_file){.name = name,
                                .len = g->size,
                                .seed = g->seed,
                                .mtime_s = 1700000000 + (int64_t)i,
                                .mtime_ns = 123456700};
        marks_set(&p->o, f);
    }
    return p->nfiles ? 0 : fail("nothing to pack", "name a FILE, or --generate");
}

/* ---- what is written ---- */

/* Every directory on the way to `path`. */
static int parents_make(const char *path)
{
    char part[PATH_MAX];
    for (const char *s = strchr(path + 1, '/'); s; s = strchr(s + 1, '/')) {
        snprintf(part, sizeof(part), "%.*s", (int)(s - path), path);
        if (mkdir(part, 0777) && errno != EEXIST)
            return fail(part, strerror(errno));
    }
    return 0;
}

static FILE *file_open(const char *dir, const char *name)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = parents_make(path) ? NULL : fopen(path, "w");
    if (!f)
        fail(path, strerror(errno));
    return f;
}

static int file_close(FILE *f, const char *name)
{
    bool good = !ferror(f);
    if (fclose(f) != 0)
        good = false;
    return good ? 0 : fail(name, "cannot be written");
}

static int volumes_write(const struct program *p, const struct made *m)
{
    uint8_t *some = malloc(CHUNK);
    int err = some ? 0 : fail("volumes", "no memory");
    for (uint32_t v = 0; !err && v < m->nvolumes; v++) {
        FILE *f = file_open(p->o.to, m->volumes[v].name);
        if (!f) {
            err = -1;
            break;
        }
        size_t n;
        for (uint64_t off = 0; (n = made_read(m, v, off, some, CHUNK)) > 0; off += n)
            fwrite(some, 1, n, f);
        err = file_close(f, m->volumes[v].name);
        printf("%s %" PRIu64 "\n", m->volumes[v].name, m->volumes[v].size);
    }
    free(some);
    return err;
}

static int member_write(const struct program *p, const struct made_file *m, uint8_t *some)
{
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT},
                                {.tv_sec = m->mtime_s, .tv_nsec = m->mtime_ns}};
    FILE *f = file_open(p->o.truth, m->name);
    if (!f)
        return -1;
    for (uint64_t off = 0; off < m->len; off += CHUNK) {
        size_t n = m->len - off < CHUNK ? (size_t)(m->len - off) : CHUNK;
        made_content(m, off, some, n);
        fwrite(some, 1, n, f);
    }
    if (fflush(f) || futimens(fileno(f), times))
        fail(m->name, strerror(errno));
    return file_close(f, m->name);
}

static int truth_write(const struct program *p)
{
    uint8_t *some = malloc(CHUNK);
    int err = some ? 0 : fail("truth", "no memory");
    for (uint32_t i = 0; !err && p->o.truth && i < p->nfiles; i++)
        if (!p->files[i].dir)
            err = member_write(p, &p->files[i], some);
    free(some);
    return err;
}

/* ---- making ---- */

/* The volumes, called as posters would call them before they hide it. */
static struct made *set_make(const struct program *p)
{
    switch (p->o.format) {
    case SETMAKER_RAR:
        return rarmaker_make(&p->o.rar, p->files, p->nfiles);
    case SETMAKER_ZIP:
        return zipmaker_make(&p->o.zip, p->files, p->nfiles);
    case SETMAKER_FILES:
        return made_plain(p->files, p->nfiles);
    }
    return NULL;
}

static int run(struct program *p)
{
    struct made *par2 = NULL;
    if (members_collect(p))
        return -1;
    struct made *m = set_make(p);
    if (p->o.cut)
        made_cut(m, p->o.cut);
    if (p->o.make_par2)
        par2 = par2maker_make(&p->o.par2, m);
    if (p->o.obfuscate) {
        made_obfuscate(m, p->o.rar.seed + NAMES_SEED);
        if (par2)
            made_obfuscate(par2, p->o.rar.seed + NAMES_SEED + 1);
    }
    if (p->o.shuffle)
        made_shuffle(m, p->o.rar.seed);
    int err = volumes_write(p, m);
    if (!err && par2)
        err = volumes_write(p, par2);
    if (!err)
        err = truth_write(p);
    made_free(par2);
    made_free(m);
    return err;
}

int main(int argc, char **argv)
{
    static struct program p;
    enum setmaker_options_result asked = setmaker_options_parse(&p.o, argc, argv);
    int err = 0;
    if (asked == SETMAKER_OPTIONS_HELP)
        setmaker_options_help(stdout);
    else
        err = asked == SETMAKER_OPTIONS_RUN ? run(&p) : -2;
    for (uint32_t i = 0; i < p.nfiles; i++)
        free((void *)(uintptr_t)p.files[i].name);
    free(p.files);
    setmaker_options_fini(&p.o);
    return err == -2 ? 2 : err ? 1 : 0;
}
