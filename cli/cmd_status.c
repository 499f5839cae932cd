#include "cli/cli.h"
#include "cli/mounts.h"
#include "cli/status_print.h"
#include "cli/streams.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const char help[] =
    "usage: nzbfs status [--streams] [--json] [MOUNTPOINT]\n"
    "\n"
    "Show what the mount at MOUNTPOINT, or every mount of this user, does: which class and which\n"
    "provider has how many connections, what waits, and what has come so far.\n"
    "\n"
    "  -s, --streams the open files instead: who reads them, what each waits for now, and has waited for\n"
    "  -j, --json    for programs: one object a mount, one a line; nzbfs(1) names the members\n";

struct status_job {
    struct status_look look;
    bool json, streams;
    unsigned shown;
};

/* On a terminal that has them, unless the user wants none (NO_COLOR). */
static bool colours_wanted(void)
{
    const char *none = getenv("NO_COLOR"), *term = getenv("TERM");

    return isatty(STDOUT_FILENO) && !(none && *none) && term && strcmp(term, "dumb") != 0;
}

/* A terminal that does not tell has room for all: it wraps lines. */
static unsigned terminal_room(void)
{
    struct winsize w;

    return isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 ? w.ws_col : 0;
}

static int status_show(void *arg, const char *mountpoint, json_t *answer)
{
    struct status_job *job = arg;

    json_object_del(answer, "ok");
    if (!job->json) {
        if (job->shown++)
            putchar('\n');
        if (job->streams)
            streams_print(answer, &job->look);
        else
            status_print(answer, &job->look);
        return CLI_OK;
    }
    char *line = json_dumps(answer, JSON_COMPACT);
    if (!line) {
        cli_error("%s: out of memory", mountpoint);
        return CLI_FAILED;
    }
    puts(line);
    free(line);
    return CLI_OK;
}

int cmd_status(int argc, char **argv)
{
    static const struct option longs[] = {{"json", no_argument, NULL, 'j'},
                                          {"streams", no_argument, NULL, 's'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    struct status_job job = {.look = {.room = terminal_room(), .colours = colours_wanted()}};
    int opt;

    while ((opt = getopt_long(argc, argv, ":jsh", longs, NULL)) != -1) {
        if (opt == 'h')
            return cli_help(help);
        if (opt != 'j' && opt != 's')
            return cli_bad_option("status", argc, argv);
        job.json |= opt == 'j';
        job.streams |= opt == 's';
    }
    if (argc - optind > 1)
        return cli_usage("status", "status takes one MOUNTPOINT, or none for all");
    json_t *ask = json_pack("{s:s}", "verb", job.streams ? "streams" : "status");
    if (!ask) {
        cli_error("out of memory");
        return CLI_FAILED;
    }
    int status = mounts_ask(argv[optind], ask, status_show, &job);
    json_decref(ask);
    return cli_flush(status);
}
