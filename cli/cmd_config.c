#include "base/config.h"
#include "base/log.h"
#include "cli/cli.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const char help[] =
    "usage: nzbfs config check [-c FILE]\n"
    "\n"
    "Print the configuration as nzbfs understands it, defaults filled in and secrets left out,\n"
    "or the line that is wrong with it.\n"
    "\n"
    "  -c, --config FILE   read FILE in place of the user's or the system's nzbfs.conf\n";

static const char *yes(bool b)
{
    return b ? "yes" : "no";
}

static void text_print(const char *key, const char *value)
{
    if (value)
        printf("%s = %s\n", key, value);
}

static void size_print(const char *key, uint64_t n)
{
    static const char *const units[] = {"", "K", "M", "G", "T"};
    unsigned u = 0;

    for (; n && n % 1024 == 0 && u < 4; u++)
        n /= 1024;
    printf("%s = %llu%s\n", key, (unsigned long long)n, units[u]);
}

static void id_print(const char *key, long id)
{
    if (id < 0)
        printf("%s =\n", key);
    else
        printf("%s = %ld\n", key, id);
}

static void provider_print(const struct config_provider *p)
{
    printf("[provider %s]\n", p->name);
    text_print("host", p->host);
    printf("port = %u\ntls = %s\nverify = %s\n", p->port, yes(p->tls), yes(p->verify));
    text_print("ca_file", p->ca_file);
    text_print("username", p->username);
    text_print("password", p->password ? "***" : NULL);
    printf("connections = %u\ntier = %u\nweight = %u\nretention_days = %u\npipelining = %u\n",
           p->connections, p->tier, p->weight, p->retention_days, p->pipelining);
    size_print("rate", p->rate_bps);
    putchar('\n');
}

static void class_print(const char *name, const struct config_class *k)
{
    printf("[class %s]\nguaranteed = %u\nburst = %u\nweight = %u\nper_stream = %u\n\n", name,
           k->guaranteed, k->burst, k->weight, k->per_stream);
}

static void mount_print(const struct config_mount *m)
{
    static const char *const views[] = {"contents", "raw", "both"};

    printf("[mount]\n");
    id_print("uid", m->uid);
    id_print("gid", m->gid);
    printf("umask = %03o\nallow_other = %s\ndefault_permissions = %s\ndirect_io = %s\n", m->umask,
           yes(m->allow_other), yes(m->default_permissions), yes(m->direct_io));
    printf("view = %s\nmissing = %s\nread_timeout = %u\n", views[m->view],
           m->missing_zeros ? "zeros" : "error", m->read_timeout_s);
    size_print("readahead", m->readahead);
    putchar('\n');
}

static void config_print(const struct config *c)
{
    for (unsigned i = 0; i < c->nproviders; i++)
        provider_print(&c->providers[i]);
    printf("[pool]\nconnections = %u\nreserve = %u\n", c->pool.connections, c->pool.reserve);
    size_print("rate", c->pool.rate_bps);
    printf("threads = %u\n\n", c->threads);
    class_print("streaming", &c->classes[TRAFFIC_STREAMING]);
    class_print("queue", &c->classes[TRAFFIC_QUEUE]);
    class_print("health", &c->classes[TRAFFIC_HEALTH]);
    printf("[cache]\n");
    size_print("memory", c->cache_memory);
    printf("disk =%s%s\n", c->cache_disk ? " " : "", c->cache_disk ? c->cache_disk : "");
    size_print("disk_size", c->cache_disk_size);
    putchar('\n');
    mount_print(&c->mount);
    printf("[timeouts]\nconnect = %u\nstall = %u\nidle = %u\nprobe = %u\n", c->timeouts.connect_s,
           c->timeouts.stall_s, c->timeouts.idle_s, c->timeouts.probe_s);
}

int cmd_config(int argc, char **argv)
{
    static const struct option longs[] = {
        {"config", required_argument, NULL, 'c'}, {"help", no_argument, NULL, 'h'}, {0}};
    const char *path = NULL;
    struct config *c;
    char err[CLI_ERROR_MAX];
    int opt;

    while ((opt = getopt_long(argc, argv, ":c:h", longs, NULL)) != -1) {
        if (opt == 'h')
            return cli_help(help);
        if (opt != 'c')
            return cli_bad_option("config", argc, argv);
        path = optarg;
    }
    if (argc - optind != 1 || strcmp(argv[optind], "check") != 0)
        return cli_usage("config", "config has one verb: check");
    if (config_load(path, &c, err, sizeof(err)) < 0) {
        cli_error("%s", err);
        return CLI_FAILED;
    }
    config_print(c);
    config_free(c);
    return cli_flush(CLI_OK);
}
