/**
 * nzbfs — mount NZB files: Usenet articles become files that are fetched as they are read.
 *
 * The tree, in the order of the program:
 *
 * - cli/ (the program: arguments, composition)
 *     - main.c (this file: the subcommands)
 *     - cmd_mount.c, cmd_ls.c, cmd_cat.c, cmd_get.c, cmd_config.c (one each)
 *     - cmd_status.c, cmd_reload.c, cmd_set.c (what is asked of a running mount, by mounts.c)
 *     - compose.c (the one place that puts config, pool, cache and tree together)
 *     - sources.c (an NZB, or a directory of them, into the tree)
 *     - live.c (its configuration while it runs), verbs.c, figures.c (its answers)
 *     - status_print.c, table.c (figures for people)
 *     - options.c (-o), daemon.c (leaving the terminal), print.c (errors and help)
 *     - get_file.c, journal.c, progress.c (a file being fetched, what of it is there, how far it is)
 * - nzb/ (NZB files)
 *     - nzb.c (SAX into one arena), name.c (subjects to safe names)
 *     - segmap.c (which segment holds a byte)
 * - fs/ (the tree of files, reading, and the FUSE mount over them)
 * - control/ (questions to a running mount over a Unix socket: server.c, client.c)
 * - cache/ (blocks of articles in bounded memory, one fetch per segment)
 *     - policy.c (which block to give up)
 * - qos/ (the scheduler: which operation goes next, on which connection; pure)
 *     - stream.c (how far ahead of a reader to fetch)
 *     - trace.c, trace_read.c, replay.c (its facts and orders as text, and qos-replay over it)
 * - nntp/ (connections, loops, TLS, the protocol; the pool as a source of segments)
 *     - trace.c (the scheduler's record on its way to a file)
 *     - article.c, yenc*.c (an answer on its way in: unstuffing, yEnc, CRC, in one pass)
 * - base/ (what all share: config, log, clock, arena, hash, list, and `struct source`)
 * - tests/ (a suite per folder; lib/ has the fake news server; mount/ the end-to-end scripts)
 * - bench/ (figures), packaging/ (demo, test, sample configuration), man/
 *
 * ARCHITECTURE.md follows one read through all of it.
 */
#include "cli/cli.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static const char help[] =
    "usage: nzbfs COMMAND [ARGUMENTS]\n"
    "\n"
    "  mount SOURCE MOUNTPOINT    show the files of an NZB, or of a directory of NZBs\n"
    "  ls SOURCE [PATH]           list them without a mount\n"
    "  cat SOURCE PATH            write one to standard output\n"
    "  get SOURCE [PATH...]       fetch them into a directory\n"
    "  config check               say what is in the configuration, or what is wrong with it\n"
    "\n"
    "  status [MOUNTPOINT]        what running mounts do, and who holds which connections\n"
    "  reload [MOUNTPOINT]        have them read their configuration again\n"
    "  set MOUNTPOINT KEY=VALUE   change shares, limits and rates for now\n"
    "\n"
    "  nzbfs COMMAND --help       more about one of them\n"
    "  nzbfs --version\n"
    "\n"
    "nzbfs SOURCE MOUNTPOINT [-o ...] is the same as nzbfs mount, for mount(8) and fstab(5).\n";

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"mount", cmd_mount},   {"ls", cmd_ls},         {"cat", cmd_cat},       {"get", cmd_get},
    {"config", cmd_config}, {"status", cmd_status}, {"reload", cmd_reload}, {"set", cmd_set},
};

int main(int argc, char **argv)
{
    /* A peer that closes while we write is an error code, not the end of the process. */
    signal(SIGPIPE, SIG_IGN);

    if (argc < 2)
        return cli_usage(NULL, "a command is missing");
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0)
        return cli_help(help);
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
        return cli_help("nzbfs " NZBFS_VERSION "\n");
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    /* mount(8) calls: nzbfs SOURCE MOUNTPOINT -o OPTIONS. A lone word is a mistyped command. */
    if (argv[1][0] == '-' || argc > 2)
        return cmd_mount(argc, argv);
    return cli_usage(NULL, "unknown command '%s'", argv[1]);
}
