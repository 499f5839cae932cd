#include "base/clock.h"
#include "base/list.h"
#include "cli/cli.h"
#include "cli/compose.h"
#include "cli/get_file.h"
#include "cli/progress.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char help[] =
    "usage: nzbfs get [-p] [-c FILE] [-d DIR] SOURCE [PATH...]\n"
    "\n"
    "Fetch the files of SOURCE, or those that the PATHs name, into DIR. Every article is verified.\n"
    "A file is NAME.part until all of it is there; when interrupted, or where something was\n"
    "missing, the same command goes on from what is there, after checking it.\n"
    "\n"
    "  -d, -o, --directory DIR   where to put them; made if it lacks (default: .)\n"
    "  -p, --posted              what was posted, whatever is in it\n"
    "  -q, --quiet               no progress, errors only\n"
    "  -c, --config FILE         read FILE in place of the user's or the system's nzbfs.conf\n";

/* The network's threads complete reads in any order and must not wait for a disk, so they only put
 * them on a list; this thread writes.
 *
 *     fill: ask for sizes and pieces, until `most` are out
 *     wait for completions ─▶ write, note in the journal, finish files ─▶ fill …
 */
struct get {
    struct compose world;
    struct get_file *files;
    size_t nfiles, room;
    size_t before; /* files that were named before the present argument */
    size_t asked;  /* files whose size has been asked for */
    size_t active; /* of these, not over yet */
    size_t first;  /* all before it are over */
    unsigned out, most;
    int target_fd;
    uint64_t fetched, there; /* bytes: in this run; from earlier ones */
    uint64_t moved_us;       /* when something arrived last */
    struct progress progress;
    bool quiet, failed;
    struct list reads; /* every read that is out */

    pthread_mutex_t lock; /* leaf */
    pthread_cond_t changed;
    struct list done; /* under lock */
};

#define ACTIVE_FILES 16
#define SIZE_ONLY    UINT32_MAX
#define A_DAY_US     ((uint64_t)86400 * 1000000)
#define LACKING_TOLD 10 /* ranges of one file that are named */

struct piece {
    struct list link; /* on `done` */
    struct list all;  /* on `reads` */
    struct get *g;
    struct get_file *file;
    struct fs_read *read;
    uint32_t i;
};

static volatile sig_atomic_t interrupted;
static volatile bool stop;

static void on_signal(int sig)
{
    interrupted = sig;
    stop = true;
}

/* --- reads ------------------------------------------------------------------------------------- */

static void read_done(struct fs_read *r)
{
    struct piece *p = r->arg;

    pthread_mutex_lock(&p->g->lock);
    list_add_tail(&p->g->done, &p->link);
    pthread_cond_signal(&p->g->changed);
    pthread_mutex_unlock(&p->g->lock);
}

/* Ask for piece `i`, or for the size. */
static int read_ask(struct get *g, struct get_file *f, uint32_t i)
{
    struct piece *p = malloc(sizeof(*p));
    struct fs_read *r = p ? fs_read_new(g->world.fs, f->node) : NULL;

    if (!r) {
        free(p);
        cli_error("%s: out of memory", f->path);
        return -ENOMEM;
    }
    *p = (struct piece){.g = g, .file = f, .read = r, .i = i};
    list_init(&p->link);
    list_add_tail(&g->reads, &p->all);
    r->class = TRAFFIC_QUEUE;
    /* On a slow line the last of many takes long, and that is no fault: stalled() watches instead. */
    r->deadline_us = clock_now_us() + A_DAY_US;
    if (i != SIZE_ONLY) {
        r->off = (uint64_t)i * JOURNAL_PIECE;
        r->len = journal_piece_len(&f->journal, i);
    }
    r->done = read_done;
    r->arg = p;
    f->out++;
    g->out++;
    if (fs_read_start(r))
        read_done(r);
    return 0;
}

static void file_over(struct get *g, struct get_file *f)
{
    if (f->failed)
        g->failed = true;
    get_file_fini(f);
    g->active--;
}

/* Everything that was asked of the file has ended. */
static void file_end(struct get *g, struct get_file *f)
{
    char size[16];

    progress_clear(&g->progress);
    if (!f->failed && f->lacking) {
        cli_error("%s: %u of %u pieces could not be had; %s.part keeps the rest, the same command "
                  "tries again",
                  f->path, f->lacking, f->journal.npieces, f->path);
        f->failed = true;
    } else if (!f->failed && !stop && get_file_finish(f) < 0) {
        f->failed = true;
    } else if (!f->failed && !stop && !g->quiet) {
        fprintf(stderr, "%s: %s\n", f->path, progress_size(f->size, size));
    }
    file_over(g, f);
}

static bool all_asked(const struct get_file *f)
{
    return f->failed || (f->sized && f->next >= f->journal.npieces);
}

/* Ask for as much as may be out. */
static void fill(struct get *g)
{
    for (size_t k = g->first; k < g->asked && g->out < g->most && !stop; k++) {
        struct get_file *f = &g->files[k];
        while (f->fd >= 0 && !f->failed && f->next < f->journal.npieces && g->out < g->most) {
            uint32_t i = f->next++;
            if (!journal_has(&f->journal, i) && read_ask(g, f, i) < 0)
                f->failed = true;
        }
    }
    /* Sizes of the next files while these go on, so that many small ones are not one round trip
     * after another. */
    while (g->asked < g->nfiles && g->active < ACTIVE_FILES && g->out < g->most && !stop) {
        struct get_file *f = &g->files[g->asked++];
        g->active++;
        if (read_ask(g, f, SIZE_ONLY) < 0) {
            f->failed = true;
            file_over(g, f);
        }
    }
    while (g->first < g->asked && g->files[g->first].fd < 0 && all_asked(&g->files[g->first]) &&
           !g->files[g->first].out)
        g->first++;
}

/* --- completions ------------------------------------------------------------------------------- */

static void size_arrived(struct get *g, struct get_file *f, const struct fs_read *r)
{
    char size[16];

    if (r->err) {
        if (!stop) {
            progress_clear(&g->progress);
            cli_error("%s: its size cannot be told: %s", f->path, strerror(r->err));
        }
        f->failed = true;
        return;
    }
    int rc = get_file_open(f, g->target_fd, r->size, &stop);
    g->moved_us = clock_now_us();
    if (rc < 0)
        f->failed = true;
    g->there += f->there ? f->size : f->resumed;
    if (f->there && !g->quiet) {
        progress_clear(&g->progress);
        fprintf(stderr, "%s: there already (%s)\n", f->path, progress_size(f->size, size));
    }
}

static void piece_arrived(struct get *g, struct get_file *f, const struct piece *p)
{
    const struct fs_read *r = p->read;
    uint32_t len = journal_piece_len(&f->journal, p->i);

    if (f->failed || stop)
        return;
    if (r->err || r->n != len) {
        progress_clear(&g->progress);
        if (f->lacking++ < LACKING_TOLD)
            cli_error("%s: bytes %llu to %llu: %s%s", f->path, (unsigned long long)r->off,
                      (unsigned long long)r->off + len, strerror(r->err ? r->err : EIO),
                      f->lacking == LACKING_TOLD ? "; further ones are only counted" : "");
        return;
    }
    if (get_file_put(f, p->i, r->iov, r->niov) < 0)
        f->failed = true;
    else
        g->fetched += len;
}

static void take(struct get *g, struct piece *p)
{
    struct get_file *f = p->file;

    f->out--;
    g->out--;
    list_del(&p->all);
    g->moved_us = clock_now_us();
    if (p->i == SIZE_ONLY)
        size_arrived(g, f, p->read);
    else
        piece_arrived(g, f, p);
    fs_read_end(p->read);
    free(p);
    /* What the journal has need not be asked for: without this, a file of which nothing lacks would
     * never end. */
    while (f->fd >= 0 && f->next < f->journal.npieces && journal_has(&f->journal, f->next))
        f->next++;
    if (f->out)
        return;
    if (f->there)
        file_over(g, f);
    else if (f->failed || stop || all_asked(f))
        file_end(g, f);
}

/* Wait a moment for completions and take all there are. */
static void completions_take(struct get *g)
{
    struct timespec until;
    struct list now;

    list_init(&now);
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += 100000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_mutex_lock(&g->lock);
    if (list_is_empty(&g->done))
        pthread_cond_timedwait(&g->changed, &g->lock, &until);
    list_splice(&now, &g->done);
    pthread_mutex_unlock(&g->lock);
    for (struct list *l; (l = list_pop(&now)) != NULL;)
        take(g, container_of(l, struct piece, link));
}

static void cancel_all(struct get *g)
{
    list_for_each(l, &g->reads) fs_read_cancel(container_of(l, struct piece, all)->read);
}

/* Nothing has arrived for as long as a read through the mount would wait. */
static bool stalled(const struct get *g)
{
    return clock_now_us() - g->moved_us > (uint64_t)g->world.cfg->mount.read_timeout_s * 1000000;
}

/* What is to be fetched in all: exact where the size is known. */
static uint64_t total(const struct get *g)
{
    uint64_t sum = 0;

    for (size_t k = 0; k < g->nfiles; k++) {
        const struct get_file *f = &g->files[k];
        sum += f->sized ? f->size : fs_node_guess(f->node);
    }
    return sum;
}

static void run(struct get *g)
{
    bool cancelled = false;

    g->moved_us = clock_now_us();
    fill(g);
    while (g->out) {
        completions_take(g);
        fill(g);
        if (!cancelled && stalled(g)) {
            progress_clear(&g->progress);
            cli_error("nothing has arrived for %u s; giving up (nzbfs config check shows the "
                      "providers)",
                      g->world.cfg->mount.read_timeout_s);
            g->failed = true;
            stop = true;
        }
        if (stop && !cancelled) {
            cancelled = true;
            cancel_all(g);
        }
        if (!g->quiet && !stop)
            progress_tick(&g->progress, clock_now_us(), g->fetched, g->there + g->fetched,
                          total(g));
    }
    progress_clear(&g->progress);
}

/* --- what to fetch ----------------------------------------------------------------------------- */

static int file_add(struct get *g, struct fs_node *n, const char *path)
{
    if (g->nfiles == g->room) {
        size_t room = g->room ? g->room * 2 : 16;
        struct get_file *more = reallocarray(g->files, room, sizeof(*more));
        if (!more)
            return -ENOMEM;
        g->files = more;
        g->room = room;
    }
    /* One walk of the tree meets nothing twice, so only what earlier arguments named is looked at. */
    for (size_t k = 0; k < g->before; k++)
        if (g->files[k].node == n)
            return 0; /* named twice */
    return get_file_init(&g->files[g->nfiles++], n, strdup(path));
}

/* Until it is known what is in `dir`, or somebody has had enough. 0 or -errno. */
static int dir_look(struct get *g, struct fs_node *dir)
{
    struct timespec moment;
    struct piece p = {.g = g, .read = fs_read_new(g->world.fs, dir)};
    bool cancelled = false;

    if (!p.read)
        return -ENOMEM;
    list_init(&p.link);
    p.read->done = read_done;
    p.read->arg = &p;
    if (fs_read_start(p.read))
        read_done(p.read);
    pthread_mutex_lock(&g->lock);
    while (list_is_empty(&g->done)) {
        clock_gettime(CLOCK_MONOTONIC, &moment);
        moment.tv_nsec += 100000000;
        moment.tv_sec += moment.tv_nsec / 1000000000;
        moment.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&g->changed, &g->lock, &moment);
        if (stop && !cancelled) {
            cancelled = true;
            fs_read_cancel(p.read);
        }
    }
    list_del(&p.link);
    pthread_mutex_unlock(&g->lock);
    int err = -p.read->err;
    fs_read_end(p.read);
    return err;
}

static int tree_add(struct get *g, struct fs_node *n, const char *path)
{
    uint64_t pos = 0;
    char *below;
    int rc = 0;

    if (!fs_node_is_dir(n))
        return file_add(g, n, path);
    rc = dir_look(g, n);
    if (rc == -EINTR || rc == -ENOMEM)
        return rc;
    if (rc < 0) {
        cli_error("%s: what is in it cannot be found out: %s", *path ? path : "the NZB",
                  strerror(-rc));
        g->failed = true;
        return 0;
    }
    for (struct fs_node *c; rc == 0 && (c = fs_next(g->world.fs, n, &pos)) != NULL;) {
        if (asprintf(&below, "%s%s%s", path, *path ? "/" : "", fs_node_name(c)) < 0)
            return -ENOMEM;
        rc = tree_add(g, c, below);
        free(below);
    }
    return rc;
}

/* `path` as a person types it ("/a//b/"), without what is not needed. */
static void path_tidy(char *path)
{
    char *out = path;

    for (const char *p = path; *p; p++)
        if (*p != '/' || (out > path && out[-1] != '/'))
            *out++ = *p;
    if (out > path && out[-1] == '/')
        out--;
    *out = '\0';
}

static int selection_add(struct get *g, char **paths, int n)
{
    if (n == 0)
        return tree_add(g, fs_root(g->world.fs), "");
    for (int i = 0; i < n; i++) {
        path_tidy(paths[i]);
        struct fs_node *node = cli_find(g->world.fs, paths[i]);
        if (!node)
            return -ENOENT;
        g->before = g->nfiles;
        int rc = tree_add(g, node, paths[i]);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* --- the command ------------------------------------------------------------------------------- */

/* They are for this thread alone: block them before others start and inherit that, catch them then. */
static void signals_hold(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void signals_catch(void)
{
    struct sigaction sa = {.sa_handler = on_signal};
    sigset_t set;

    sigemptyset(&sa.sa_mask);
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    sigaction(SIGHUP, &sa, NULL);
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static int target_open(const char *dir)
{
    if (mkdir(dir, 0777) < 0 && errno != EEXIST) {
        cli_error("%s: cannot be made: %s", dir, strerror(errno));
        return -1;
    }
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        cli_error("%s: %s", dir, strerror(errno));
    return fd;
}

/* Sockets want to be kept busy while pieces are written; the cache must hold what is out, of which
 * each piece may touch two articles. */
static unsigned reads_at_once(const struct config *c)
{
    uint64_t room = c->cache_memory / ((uint64_t)4 << 20);
    unsigned n = 2 * c->pool.connections;

    n = n < 4 ? 4 : n > 128 ? 128 : n;
    return room < n ? (unsigned)room : n;
}

static int get(struct get *g, char **paths, int npaths)
{
    char size[16], rate[16];
    uint64_t start = clock_now_us();

    signals_catch();
    int rc = selection_add(g, paths, npaths);
    if (rc == -ENOMEM)
        cli_error("out of memory");
    if (rc < 0)
        return interrupted ? 128 + interrupted : CLI_FAILED;
    g->most = reads_at_once(g->world.cfg);
    progress_start(&g->progress, isatty(STDERR_FILENO), start);
    run(g);
    if (interrupted) {
        cli_error("interrupted; the same command goes on from here");
        return 128 + interrupted;
    }
    if (!g->quiet && !g->failed) {
        uint64_t us = clock_now_us() - start;
        fprintf(stderr, "%zu file%s, %s fetched, %s/s\n", g->nfiles, g->nfiles == 1 ? "" : "s",
                progress_size(g->fetched, size),
                progress_size((uint64_t)((double)g->fetched * 1e6 / (double)(us ? us : 1)), rate));
    }
    return g->failed ? CLI_FAILED : CLI_OK;
}

static void get_fini(struct get *g)
{
    for (size_t k = 0; k < g->nfiles; k++) {
        get_file_fini(&g->files[k]);
        free(g->files[k].path);
    }
    free(g->files);
    if (g->target_fd >= 0)
        close(g->target_fd);
    pthread_cond_destroy(&g->changed);
    pthread_mutex_destroy(&g->lock);
}

static void get_init(struct get *g)
{
    pthread_condattr_t attr;

    *g = (struct get){.target_fd = -1, .lock = PTHREAD_MUTEX_INITIALIZER};
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&g->changed, &attr);
    pthread_condattr_destroy(&attr);
    list_init(&g->done);
    list_init(&g->reads);
}

int cmd_get(int argc, char **argv)
{
    static const struct option longs[] = {{"directory", required_argument, NULL, 'd'},
                                          {"posted", no_argument, NULL, 'p'},
                                          {"quiet", no_argument, NULL, 'q'},
                                          {"config", required_argument, NULL, 'c'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    const char *config = NULL, *dir = ".";
    bool quiet = false, posted = false;
    struct get g;
    int opt;

    while ((opt = getopt_long(argc, argv, ":d:o:pqc:h", longs, NULL)) != -1) {
        switch (opt) {
        case 'd':
        case 'o':
            dir = optarg;
            break;
        case 'p':
            posted = true;
            break;
        case 'q':
            quiet = true;
            break;
        case 'c':
            config = optarg;
            break;
        case 'h':
            return cli_help(help);
        default:
            return cli_bad_option("get", argc, argv);
        }
    }
    if (optind == argc)
        return cli_usage("get", "get needs a SOURCE");
    get_init(&g);
    g.quiet = quiet;
    signals_hold();
    int status = compose_for_command(&g.world, config, argv[optind], posted);
    if (status == CLI_OK) {
        g.target_fd = target_open(dir);
        status = g.target_fd < 0 ? CLI_FAILED : get(&g, argv + optind + 1, argc - optind - 1);
        compose_stop(&g.world);
    }
    get_fini(&g);
    return status;
}
