#include "base/utf8.h"
#include "cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* --- text from outside ------------------------------------------------------------------------- */

void cli_text_print(FILE *to, const char *s)
{
    while (*s) {
        size_t n = utf8_plain(s);
        if (n)
            fwrite(s, 1, n, to);
        else
            fprintf(to, "\\x%02x", (unsigned char)*s);
        s += n ? n : 1;
    }
}

/* --- lines ------------------------------------------------------------------------------------- */

__attribute__((format(printf, 1, 0))) static void line_print(const char *fmt, va_list ap)
{
    char line[CLI_ERROR_MAX + 256];

    vsnprintf(line, sizeof(line), fmt, ap);
    flockfile(stderr);
    fputs("nzbfs: ", stderr);
    cli_text_print(stderr, line);
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
