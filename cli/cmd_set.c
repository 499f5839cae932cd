#include "cli/cli.h"
#include "cli/mounts.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const char help[] =
    "usage: nzbfs set MOUNTPOINT KEY=VALUE...\n"
    "\n"
    "Change what the mount at MOUNTPOINT runs with, until it ends or nzbfs reload. All of the\n"
    "settings are taken, together with the configuration file as it is now, or none.\n"
    "\n"
    "  pool.KEY               connections, reserve, rate\n"
    "  class.CLASS.KEY        guaranteed, burst, weight, per_stream, of queue, health or streaming;\n"
    "                         hedge, of streaming\n"
    "  provider.NAME.KEY      connections, tier, weight, retention_days, pipelining, rate\n"
    "  timeouts.KEY           connect, stall, idle, probe\n"
    "\n"
    "for example: nzbfs set /mnt/film pool.rate=10M class.streaming.burst=60%\n";

/* The arguments from `first` on; NULL: no memory. */
static json_t *request_make(char **argv, int first, int argc)
{
    json_t *list = json_array();

    for (int i = first; i < argc; i++)
        if (json_array_append_new(list, control_string(argv[i])) < 0) {
            json_decref(list);
            return NULL;
        }
    return json_pack("{s:s, s:o}", "verb", "set", "settings", list);
}

static int set_tell(void *arg, const char *mountpoint, json_t *answer)
{
    unsigned n = (unsigned)json_integer_value(json_object_get(answer, "settings"));
    (void)arg;

    cli_text_print(stdout, mountpoint);
    printf(": done; %u setting%s in force until the mount ends or nzbfs reload\n", n,
           n == 1 ? "" : "s");
    return CLI_OK;
}

int cmd_set(int argc, char **argv)
{
    static const struct option longs[] = {{"help", no_argument, NULL, 'h'}, {0}};
    int opt;

    while ((opt = getopt_long(argc, argv, ":h", longs, NULL)) != -1) {
        if (opt == 'h')
            return cli_help(help);
        return cli_bad_option("set", argc, argv);
    }
    if (argc - optind < 2)
        return cli_usage("set", "set needs a MOUNTPOINT and at least one KEY=VALUE");
    for (int i = optind + 1; i < argc; i++)
        if (!strchr(argv[i], '='))
            return cli_usage("set", "'%s' is not KEY=VALUE", argv[i]);
    json_t *ask = request_make(argv, optind + 1, argc);
    if (!ask) {
        cli_error("out of memory");
        return CLI_FAILED;
    }
    int status = mounts_ask(argv[optind], ask, set_tell, NULL);
    json_decref(ask);
    return cli_flush(status);
}
