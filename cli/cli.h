/**
 * cli — the program: subcommands, and the one place that puts the parts together.
 *
 * Exit      0: done. 1: failed, with one line on standard error. 2: wrong usage.
 * Errors    One line: what failed, on what, what to do.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define CLI_OK        0
#define CLI_FAILED    1
#define CLI_USAGE     2

#define CLI_ERROR_MAX 1024 /* room for an error line */

/** A subcommand: argv[0] is its name. Returns the exit status. */
int cmd_mount(int argc, char **argv);
int cmd_ls(int argc, char **argv);
int cmd_cat(int argc, char **argv);
int cmd_get(int argc, char **argv);
int cmd_config(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_reload(int argc, char **argv);
int cmd_set(int argc, char **argv);

/** Print what came from outside; bytes of characters that are not plain are shown as \xNN. */
void cli_text_print(FILE *to, const char *s);

/** "nzbfs: …" and a line end on standard error, as cli_text_print(). */
void cli_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** The same, with where to read more; returns CLI_USAGE. */
int cli_usage(const char *command, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** What getopt_long returned, when it is not an option of the command: ':' or '?'. Returns CLI_USAGE. */
int cli_bad_option(const char *command, int argc, char **argv);

/** Print `help` on standard output; CLI_OK, or CLI_FAILED where that cannot be written to. */
int cli_help(const char *help);

/** Flush standard output: what could not be written is an error, said once. */
int cli_flush(int status);

#endif
