#include "cli/cli.h"
#include "cli/mounts.h"

#include <getopt.h>
#include <stdio.h>

static const char help[] =
    "usage: nzbfs reload [MOUNTPOINT]\n"
    "\n"
    "Have the mount at MOUNTPOINT, or every mount of this user, read its configuration again, and\n"
    "say what came of it: the same as SIGHUP, with an answer. Reads under way go on. What nzbfs set\n"
    "has changed is as the file says again. Where there is a mistake in the file, nothing changes.\n";

static unsigned number(const json_t *o, const char *name)
{
    return (unsigned)json_integer_value(json_object_get(o, name));
}

static int reload_tell(void *arg, const char *mountpoint, json_t *answer)
{
    unsigned providers = number(answer, "providers"), connections = number(answer, "connections"),
             dropped = number(answer, "dropped");
    (void)arg;

    cli_text_print(stdout, mountpoint);
    printf(": configuration read again: %u provider%s, %u connection%s", providers,
           providers == 1 ? "" : "s", connections, connections == 1 ? "" : "s");
    if (dropped)
        printf("; %u setting%s dropped", dropped, dropped == 1 ? "" : "s");
    putchar('\n');
    return CLI_OK;
}

int cmd_reload(int argc, char **argv)
{
    static const struct option longs[] = {{"help", no_argument, NULL, 'h'}, {0}};
    int opt;

    while ((opt = getopt_long(argc, argv, ":h", longs, NULL)) != -1) {
        if (opt == 'h')
            return cli_help(help);
        return cli_bad_option("reload", argc, argv);
    }
    if (argc - optind > 1)
        return cli_usage("reload", "reload takes one MOUNTPOINT, or none for all");
    json_t *ask = json_pack("{s:s}", "verb", "reload");
    if (!ask) {
        cli_error("out of memory");
        return CLI_FAILED;
    }
    int status = mounts_ask(argv[optind], ask, reload_tell, NULL);
    json_decref(ask);
    return cli_flush(status);
}
