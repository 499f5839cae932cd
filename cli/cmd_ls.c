#include "cli/cli.h"
#include "cli/compose.h"

#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char help[] =
    "usage: nzbfs ls [-l] [-v] [-p] [-c FILE] SOURCE [PATH]\n"
    "\n"
    "List the files of SOURCE, or of the directory PATH in it, as the mount would show them: what is in\n"
    "archives, which costs a few articles. Without a configuration, or with -p, what was posted is listed,\n"
    "and nothing fetched.\n"
    "\n"
    "  -l, --long          sizes and dates too; an exact size costs an article of each posted file\n"
    "  -v, --verbose       what archive a file is in, or why an archive is shown as it was posted\n"
    "  -p, --posted        what was posted, whatever is in it\n"
    "  -c, --config FILE   read FILE in place of the user's or the system's nzbfs.conf\n";

/* --- sizes ------------------------------------------------------------------------------------- */

/* Sizes are asked for many at a time, or a long listing would be one round trip after another, and
 * printed in order as they come. */
#define AT_ONCE 64

struct listing {
    struct fs *fs;
    bool verbose;
    pthread_mutex_t lock; /* leaf; `over` of the entries */
    pthread_cond_t changed;
};

struct entry {
    struct listing *l;
    struct fs_node *node;
    struct fs_read *read;
    bool over;
};

static void size_done(struct fs_read *r)
{
    struct entry *e = r->arg;

    pthread_mutex_lock(&e->l->lock);
    e->over = true;
    pthread_cond_signal(&e->l->changed);
    pthread_mutex_unlock(&e->l->lock);
}

static void size_ask(struct entry *e)
{
    if (fs_node_is_dir(e->node))
        return;
    e->read = fs_read_new(e->l->fs, e->node);
    if (!e->read)
        return;
    e->read->class = TRAFFIC_QUEUE;
    e->read->done = size_done;
    e->read->arg = e;
    if (fs_read_start(e->read))
        size_done(e->read);
}

/* The errno, and the size where that is 0. */
static int size_wait(struct entry *e, uint64_t *size)
{
    if (!e->read)
        return ENOMEM;
    pthread_mutex_lock(&e->l->lock);
    while (!e->over)
        pthread_cond_wait(&e->l->changed, &e->l->lock);
    pthread_mutex_unlock(&e->l->lock);
    int err = e->read->err;
    *size = e->read->size;
    fs_read_end(e->read);
    e->read = NULL;
    return err;
}

/* --- lines ------------------------------------------------------------------------------------- */

/* Its name and, with -v, what is to be said about it. */
static void name_print(const struct listing *l, const struct fs_node *n)
{
    char note[4096];
    int len = l->verbose ? fs_xattr_get(l->fs, n, "user.nzbfs.archive", note, sizeof(note)) : -1;

    printf("%s%s", fs_node_name(n), fs_node_is_dir(n) ? "/" : "");
    if (len > 0)
        printf("  [%.*s]", len, note);
    putchar('\n');
}

static int long_print(struct entry *e)
{
    char date[32] = "-";
    uint64_t size = 0;
    struct stat st;
    struct tm tm;
    int err = 0;

    fs_node_stat(e->l->fs, e->node, &st);
    if (st.st_mtime > 0 && localtime_r(&st.st_mtime, &tm))
        strftime(date, sizeof(date), "%Y-%m-%d %H:%M", &tm);
    if (fs_node_is_dir(e->node)) {
        printf("%15s  %16s  ", "-", date);
    } else if ((err = size_wait(e, &size)) == 0) {
        printf("%15llu  %16s  ", (unsigned long long)size, date);
    } else {
        printf("%15s  %16s  ", "?", date);
    }
    name_print(e->l, e->node);
    if (err)
        cli_error("%s: its size cannot be told: %s", fs_node_name(e->node), strerror(err));
    return err ? CLI_FAILED : CLI_OK;
}

static int entries_print(struct entry *entries, size_t n, bool with_sizes)
{
    int status = CLI_OK;
    size_t asked = 0;

    for (size_t i = 0; i < n; i++) {
        if (!with_sizes) {
            name_print(entries[i].l, entries[i].node);
            continue;
        }
        for (; asked < n && asked < i + AT_ONCE; asked++)
            size_ask(&entries[asked]);
        if (long_print(&entries[i]) != CLI_OK)
            status = CLI_FAILED;
    }
    return status;
}

/* The children of `dir`, or `dir` itself where it is a file. NULL: no memory. */
static struct entry *entries_collect(struct listing *l, struct fs_node *dir, size_t *n)
{
    size_t room = 16;
    struct entry *list = calloc(room, sizeof(*list));
    uint64_t pos = 0;

    *n = 0;
    if (!list)
        return NULL;
    if (!fs_node_is_dir(dir)) {
        list[(*n)++] = (struct entry){.l = l, .node = dir};
        return list;
    }
    for (struct fs_node *c; (c = fs_next(l->fs, dir, &pos)) != NULL;) {
        if (*n == room) {
            struct entry *more = reallocarray(list, room *= 2, sizeof(*list));
            if (!more) {
                free(list);
                return NULL;
            }
            list = more;
        }
        list[(*n)++] = (struct entry){.l = l, .node = c};
    }
    return list;
}

static int list(struct fs *fs, const char *path, bool with_sizes, bool verbose)
{
    struct listing l = {.fs = fs,
                        .verbose = verbose,
                        .lock = PTHREAD_MUTEX_INITIALIZER,
                        .changed = PTHREAD_COND_INITIALIZER};
    struct fs_node *dir = cli_find(fs, path);
    size_t n;

    if (!dir)
        return CLI_FAILED;
    int rc = fs_node_is_dir(dir) ? fs_dir_wait(fs, dir) : 0;
    if (rc < 0) {
        cli_error("%s: what is in it cannot be found out: %s; nzbfs ls -p lists what was posted",
                  *path ? path : "the NZB", strerror(-rc));
        return CLI_FAILED;
    }
    struct entry *entries = entries_collect(&l, dir, &n);
    if (!entries) {
        cli_error("out of memory");
        return CLI_FAILED;
    }
    int status = cli_flush(entries_print(entries, n, with_sizes));
    free(entries);
    return status;
}

/* Names need no configuration, so where there is none they are what was posted. */
static int ls_start(struct compose *w, const char *config, const char *source, bool with_sizes,
                    bool posted)
{
    struct config *cfg;
    char err[CLI_ERROR_MAX];
    int rc = config_load(config, &cfg, err, sizeof(err));

    if (rc == 0)
        config_free(cfg);
    if (!with_sizes && (posted || (rc == -ENOENT && !config)))
        return compose_names(w, source);
    return compose_for_command(w, config, source, posted);
}

int cmd_ls(int argc, char **argv)
{
    static const struct option longs[] = {
        {"long", no_argument, NULL, 'l'},   {"verbose", no_argument, NULL, 'v'},
        {"posted", no_argument, NULL, 'p'}, {"config", required_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},   {0}};
    const char *config = NULL;
    bool with_sizes = false, verbose = false, posted = false;
    struct compose w;
    int opt;

    while ((opt = getopt_long(argc, argv, ":lvpc:h", longs, NULL)) != -1) {
        switch (opt) {
        case 'l':
            with_sizes = true;
            break;
        case 'v':
            verbose = true;
            break;
        case 'p':
            posted = true;
            break;
        case 'c':
            config = optarg;
            break;
        case 'h':
            return cli_help(help);
        default:
            return cli_bad_option("ls", argc, argv);
        }
    }
    if (argc - optind < 1 || argc - optind > 2)
        return cli_usage("ls", "ls needs a SOURCE and at most one PATH");
    int started = ls_start(&w, config, argv[optind], with_sizes, posted);
    if (started != CLI_OK)
        return CLI_FAILED;
    int status = list(w.fs, argc - optind == 2 ? argv[optind + 1] : "", with_sizes, verbose);
    compose_stop(&w);
    return status;
}
