#include "cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 1, 0))) static void line_print(const char *fmt, va_list ap)
{
    char line[CLI_ERROR_MAX + 256];

    vsnprintf(line, sizeof(line), fmt, ap);
    flockfile(stderr);
    fputs("nzbfs: ", stderr);
    for (const char *p = line; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (c < 0x20 || c == 0x7f)
            fprintf(stderr, "\\x%02x", c);
        else
            putc(c, stderr);
    }
    putc('\n', stderr);
    funlockfile(stderr);
}

void cli_error(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    line_print(fmt, ap);
    va_end(ap);
}

int cli_usage(const char *command, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    line_print(fmt, ap);
    va_end(ap);
    fprintf(stderr, "Try: nzbfs %s%s--help\n", command ? command : "", command ? " " : "");
    return CLI_USAGE;
}

int cli_bad_option(const char *command, int argc, char **argv)
{
    /* getopt has no name for a bad long option but the argument it came from. */
    const char *arg = optind > 0 && optind <= argc ? argv[optind - 1] : "";

    if (optopt && strncmp(arg, "--", 2) != 0)
        return cli_usage(command, "unknown option -%c, or one without its argument", optopt);
    return cli_usage(command, "unknown option %s, or one without its argument", arg);
}

int cli_help(const char *help)
{
    fputs(help, stdout);
    return cli_flush(CLI_OK);
}

int cli_flush(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    if (errno != EPIPE)
        cli_error("cannot write to standard output: %s", strerror(errno));
    return CLI_FAILED;
}
