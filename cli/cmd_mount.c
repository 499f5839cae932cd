#define LOG_TAG "nzbfs"
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "cli/cli.h"
#include "cli/compose.h"
#include "cli/daemon.h"
#include "cli/live.h"
#include "cli/options.h"
#include "cli/verbs.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
    "usage: nzbfs mount SOURCE MOUNTPOINT [-f] [-d] [-c FILE] [-o OPTION[,OPTION...]]\n"
    "\n"
    "Show the files of SOURCE, an .nzb or .nzb.gz file or a directory of them, at MOUNTPOINT.\n"
    "Returns once the mount answers. End it with: fusermount3 -u MOUNTPOINT\n"
    "\n"
    "  -f, --foreground    stay in the foreground and log to standard error\n"
    "  -d, --debug         the same, with debug lines\n"
    "  -c, --config FILE   read FILE in place of the user's or the system's nzbfs.conf\n"
    "  -o OPTION           any key of [mount] in nzbfs.conf(5), such as allow_other or umask=077;\n"
    "                      config=FILE; nonempty; trace=FILE, a record of what is sent when and why\n"
    "\n"
    "A line in /etc/fstab: /srv/film.nzb /mnt/film fuse.nzbfs config=/etc/nzbfs.conf,noauto 0 0\n";

struct mount_job {
    struct mount_options options;
    struct compose world;
    struct live live;
    struct verbs verbs;
    const char *source, *mountpoint;
    bool foreground, debug;
    pthread_t signals;
};

/* --- arguments --------------------------------------------------------------------------------- */

/* What must still mean the same after chdir("/"). NULL: no memory. */
static char *path_absolute(const char *path)
{
    char cwd[PATH_MAX], *out = NULL;

    if (path[0] == '/')
        return strdup(path);
    if (!getcwd(cwd, sizeof(cwd)) || asprintf(&out, "%s/%s", cwd, path) < 0)
        return NULL;
    return out;
}

/* CLI_OK, or the status to exit with; so too after --help, with *helped. */
static int arguments_read(struct mount_job *j, int argc, char **argv, bool *helped)
{
    static const struct option longs[] = {{"foreground", no_argument, NULL, 'f'},
                                          {"debug", no_argument, NULL, 'd'},
                                          {"config", required_argument, NULL, 'c'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    struct config scratch = {0};
    char err[CLI_ERROR_MAX];
    int opt;

    while ((opt = getopt_long(argc, argv, ":fdc:o:h", longs, NULL)) != -1) {
        switch (opt) {
        case 'd':
            j->debug = true;
            j->foreground = true;
            break;
        case 'f':
            j->foreground = true;
            break;
        case 'c':
            free(j->options.config);
            j->options.config = strdup(optarg);
            if (!j->options.config)
                return cli_usage("mount", "out of memory");
            break;
        case 'o':
            if (mount_options_add(&j->options, optarg, err, sizeof(err)) < 0)
                return cli_usage("mount", "%s", err);
            break;
        case 'h':
            *helped = true;
            return cli_help(help);
        default:
            return cli_bad_option("mount", argc, argv);
        }
    }
    if (argc - optind != 2)
        return cli_usage("mount", argc - optind < 2 ? "mount needs a SOURCE and a MOUNTPOINT"
                                                    : "mount takes one SOURCE and one MOUNTPOINT");
    /* A mistyped option is told before anything starts. */
    if (mount_options_apply(&j->options, &scratch, err, sizeof(err)) < 0)
        return cli_usage("mount", "%s", err);
    j->source = argv[optind];
    j->mountpoint = argv[optind + 1];
    return CLI_OK;
}

/* --- signals ----------------------------------------------------------------------------------- */

/* All threads have these blocked; the one below takes them, so that no handler interrupts anything.
 * SIGUSR1 is ours, to end it. */
static void signals_fill(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGHUP);
    sigaddset(set, SIGUSR1);
}

static void *signals_take(void *arg)
{
    struct mount_job *j = arg;
    struct live_read read;
    char err[CLI_ERROR_MAX];
    sigset_t set;
    int sig;

    signals_fill(&set);
    for (;;) {
        if (sigwait(&set, &sig) != 0)
            continue;
        if (sig == SIGUSR1)
            return NULL;
        if (sig == SIGHUP) {
            live_reload(&j->live, &read, err, sizeof(err)); /* logs how it went */
        } else {
            log_info("%s: unmounting", strsignal(sig));
            fs_stop(j->world.fs);
        }
    }
}

/* --- the mount --------------------------------------------------------------------------------- */

static void mount_ready(void *arg)
{
    const struct mount_job *j = arg;

    daemon_ready();
    log_info("%s is mounted on %s", j->source, j->mountpoint);
}

/* A mount that cannot be asked is a mount all the same. NULL: it is one. */
static struct control *control_begin(struct mount_job *j)
{
    struct control *c = NULL;
    char err[CLI_ERROR_MAX];

    j->verbs = (struct verbs){.world = &j->world,
                              .live = &j->live,
                              .mountpoint = j->mountpoint,
                              .source = j->source,
                              .started_us = clock_now_us()};
    if (control_start(j->mountpoint, verbs_table, &j->verbs, &c, err, sizeof(err)) < 0)
        log_warn("%s; nzbfs status, reload and set will not reach this mount", err);
    return c;
}

/* Runs in the process that serves. */
static int serve(struct mount_job *j)
{
    struct fs_mount_options options = {
        .nonempty = j->options.nonempty, .on_ready = mount_ready, .arg = j};
    struct config *cfg;
    char err[CLI_ERROR_MAX];
    sigset_t set;
    int rc;

    signals_fill(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    live_init(&j->live, &j->world, &j->options);
    if (live_first(&j->live, &cfg, err, sizeof(err)) < 0)
        goto err0;
    if (compose_start(&j->world, cfg, j->source, j->options.trace, err, sizeof(err)) < 0)
        goto err0;
    if (fs_mount(j->world.fs, j->mountpoint, &options, err, sizeof(err)) < 0)
        goto err1;
    rc = thread_start(&j->signals, signals_take, j);
    if (rc < 0) {
        snprintf(err, sizeof(err), "cannot start a thread: %s", strerror(-rc));
        goto err2;
    }
    struct control *control = control_begin(j);
    rc = fs_loop(j->world.fs);
    /* First of all, so that who mounts here again finds the place free. */
    control_stop(control);
    if (rc < 0)
        log_error("%s: the mount broke: %s", j->mountpoint, strerror(-rc));
    else
        log_info("%s is unmounted", j->mountpoint);
    pthread_kill(j->signals, SIGUSR1);
    pthread_join(j->signals, NULL);
    fs_unmount(j->world.fs);
    compose_stop(&j->world);
    live_fini(&j->live);
    return rc < 0 ? CLI_FAILED : CLI_OK;

err2:
    fs_unmount(j->world.fs);
err1:
    compose_stop(&j->world);
err0:
    live_fini(&j->live);
    cli_error("%s", err);
    return CLI_FAILED;
}

/* An option's file, likewise; NULL stays NULL. */
static int option_settle(char **path)
{
    char *absolute = *path ? path_absolute(*path) : NULL;

    if (!*path)
        return CLI_OK;
    if (!absolute) {
        cli_error("%s: %s", *path, strerror(errno));
        return CLI_FAILED;
    }
    free(*path);
    *path = absolute;
    return CLI_OK;
}

/* Make paths mean the same from "/", where a daemon must stand so as not to hold a directory busy.
 * What it sets is the caller's to free. */
static int paths_settle(struct mount_job *j, char **source, char **mountpoint)
{
    *mountpoint = realpath(j->mountpoint, NULL);
    if (!*mountpoint) {
        cli_error(errno == ENOTCONN ? "%s: %s; a dead mount is there: fusermount3 -u it first"
                                    : "%s: %s; the mountpoint must be a directory that exists",
                  j->mountpoint, strerror(errno));
        return CLI_FAILED;
    }
    *source = realpath(j->source, NULL);
    if (!*source) {
        cli_error("%s: %s", j->source, strerror(errno));
        return CLI_FAILED;
    }
    j->mountpoint = *mountpoint;
    j->source = *source;
    int status = option_settle(&j->options.config);
    return status == CLI_OK ? option_settle(&j->options.trace) : status;
}

/* glibc would set 64 MiB of addresses aside for each thread. What is large is the cache's, and what is read needs few
 * allocations, so two arenas do for all. Where it cannot be set nothing but addresses is lost. */
static void arenas_bound(void)
{
    if (!mallopt(M_ARENA_MAX, 2))
        log_debug("the number of malloc's arenas cannot be set");
}

int cmd_mount(int argc, char **argv)
{
    char *source = NULL, *mountpoint = NULL;
    struct mount_job j = {0};
    bool helped = false;
    int rc;
    int status = arguments_read(&j, argc, argv, &helped);

    if (status != CLI_OK || helped)
        goto out;
    status = paths_settle(&j, &source, &mountpoint);
    if (status != CLI_OK)
        goto out;
    if (j.debug)
        log_set_level(LOG_AT_DEBUG);
    arenas_bound();
    if (!j.foreground && (rc = daemon_fork()) < 0) {
        cli_error("cannot start a process for the mount: %s (-f does without)", strerror(-rc));
        status = CLI_FAILED;
        goto out;
    }
    if (!j.foreground && chdir("/") < 0)
        log_warn("cannot leave the current directory: %s", strerror(errno));
    status = serve(&j);

out:
    free(mountpoint);
    free(source);
    mount_options_fini(&j.options);
    return status;
}
