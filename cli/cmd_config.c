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
    "and what its shares mean: who has how many connections when. Or the line that is wrong\n"
    "with it.\n"
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

static void class_print(const char *name, const struct config_class *k, bool hedges)
{
    printf("[class %s]\nguaranteed = %u\nburst = %u\nweight = %u\nper_stream = %u\n", name,
           k->guaranteed, k->burst, k->weight, k->per_stream);
    if (hedges) /* 0% too: it is not what stands in its place when nothing is written */
        printf("hedge = %u%%\n", k->hedge / 10);
    putchar('\n');
}

static void mount_print(const struct config_mount *m)
{
    static const char *const views[] = {"raw", "contents", "both"};

    printf("[mount]\n");
    id_print("uid", m->uid);
    id_print("gid", m->gid);
    printf("umask = %03o\nallow_other = %s\ndefault_permissions = %s\ndirect_io = %s\nearly = %s\n",
           m->umask, yes(m->allow_other), yes(m->default_permissions), yes(m->direct_io),
           yes(m->early));
    printf("view = %s\nmissing = %s\nread_timeout = %u\n", views[m->view],
           m->missing_zeros ? "zeros" : "error", m->read_timeout_s);
    size_print("readahead", m->readahead);
    printf("hide =%s%s\n", m->hide ? " " : "", m->hide ? m->hide : "");
    printf("passwords =%s\n", m->passwords ? " ***" : "");
    printf("scanners =%s%s\n", m->scanners ? " " : "", m->scanners ? m->scanners : "");
    putchar('\n');
}

static void config_print(const struct config *c)
{
    for (unsigned i = 0; i < c->nproviders; i++)
        provider_print(&c->providers[i]);
    printf("[pool]\nconnections = %u\nreserve = %u\nwarm = %u\n", c->pool.connections,
           c->pool.reserve, c->pool.warm);
    size_print("rate", c->pool.rate_bps);
    printf("threads = %u\n\n", c->threads);
    class_print("streaming", &c->classes[TRAFFIC_STREAMING], true);
    class_print("queue", &c->classes[TRAFFIC_QUEUE], false);
    class_print("health", &c->classes[TRAFFIC_HEALTH], false);
    printf("[cache]\n");
    size_print("memory", c->cache_memory);
    printf("disk =%s%s\n", c->cache_disk ? " " : "", c->cache_disk ? c->cache_disk : "");
    size_print("disk_size", c->cache_disk_size);
    putchar('\n');
    mount_print(&c->mount);
    printf("[timeouts]\nconnect = %u\nstall = %u\nidle = %u\nprobe = %u\n", c->timeouts.connect_s,
           c->timeouts.stall_s, c->timeouts.idle_s, c->timeouts.probe_s);
}

/* --- what the shares mean ---------------------------------------------------------------------- */

static const enum traffic_class classes[] = {TRAFFIC_QUEUE, TRAFFIC_HEALTH, TRAFFIC_STREAMING};
static const char *const class_words[TRAFFIC_CLASSES] = {
    [TRAFFIC_QUEUE] = "queue", [TRAFFIC_HEALTH] = "health", [TRAFFIC_STREAMING] = "streaming"};
static const char *const people_words[TRAFFIC_CLASSES] = {[TRAFFIC_QUEUE] = "Queue",
                                                          [TRAFFIC_HEALTH] = "HealthCheck",
                                                          [TRAFFIC_STREAMING] =
                                                              "BufferedStreaming"};

/* "Queue 85, HealthCheck 60" */
static void leases_print(const struct config *c, const bool busy[TRAFFIC_CLASSES])
{
    unsigned n[TRAFFIC_CLASSES];
    const char *between = "";

    config_shares_when(c, busy, n);
    for (unsigned i = 0; i < TRAFFIC_CLASSES; i++)
        if (busy[classes[i]]) {
            printf("%s%s %u", between, people_words[classes[i]], n[classes[i]]);
            between = ", ";
        }
}

static void pair_print(const struct config *c, enum traffic_class a, enum traffic_class b)
{
    bool busy[TRAFFIC_CLASSES] = {false};

    busy[a] = busy[b] = true;
    printf("# While %s and %s are: ", people_words[a], people_words[b]);
    leases_print(c, busy);
    printf(".\n");
}

static void sentences_print(const struct config *c)
{
    const bool all[TRAFFIC_CLASSES] = {true, true, true};

    printf("# While all three are busy: ");
    leases_print(c, all);
    printf(".\n");
    pair_print(c, TRAFFIC_QUEUE, TRAFFIC_HEALTH);
    pair_print(c, TRAFFIC_QUEUE, TRAFFIC_STREAMING);
    pair_print(c, TRAFFIC_HEALTH, TRAFFIC_STREAMING);
    for (unsigned i = 0; i < TRAFFIC_CLASSES; i++) {
        bool alone[TRAFFIC_CLASSES] = {false};
        unsigned n[TRAFFIC_CLASSES];
        alone[classes[i]] = true;
        config_shares_when(c, alone, n);
        printf("%s%s alone%s %u", i ? ", " : "# ", people_words[classes[i]], i ? "" : " may use",
               n[classes[i]]);
    }
    printf(".\n");
}

/* What the numbers do not say by themselves. */
static void remarks_print(const struct config *c)
{
    unsigned lowest = c->providers[0].tier, ordinary = 0, sum = 0;

    for (unsigned i = 0; i < c->nproviders; i++)
        lowest = c->providers[i].tier < lowest ? c->providers[i].tier : lowest;
    for (unsigned i = 0; i < c->nproviders; i++) {
        sum += c->providers[i].connections;
        ordinary += c->providers[i].tier == lowest ? c->providers[i].connections : 0;
    }
    if (sum > c->pool.connections)
        printf("# The providers have %u connections; at most %u are used at once.\n", sum,
               c->pool.connections);
    if (ordinary < sum)
        printf("# Of them, %u are at providers of a higher tier and serve only what tier %u lacks: "
               "the\n# figures are those of the other %u.\n",
               sum - ordinary, lowest, ordinary);
    if (c->pool.reserve)
        printf("# The last %u free ones go only to a class below its guarantee.\n",
               c->pool.reserve);
    for (unsigned i = 0; i < TRAFFIC_CLASSES; i++) {
        const struct config_class *k = &c->classes[classes[i]];
        if (!k->guaranteed)
            printf(
                "# %s is guaranteed none: it has its part of what the others' guarantees leave.\n",
                people_words[classes[i]]);
        if (k->per_stream && k->per_stream <= k->burst)
            printf("# One %s of %s holds at most %u.\n",
                   classes[i] == TRAFFIC_STREAMING ? "open file" : "job", people_words[classes[i]],
                   k->per_stream);
    }
}

static void shares_print(const struct config *c)
{
    printf("\n# What the shares of the %u connections mean:\n#\n"
           "#   class      guaranteed  burst  weight\n",
           c->pool.connections);
    for (unsigned i = 0; i < TRAFFIC_CLASSES; i++) {
        const struct config_class *k = &c->classes[classes[i]];
        printf("#   %-9s  %10u  %5u  %6u\n", class_words[classes[i]], k->guaranteed, k->burst,
               k->weight);
    }
    printf("#\n");
    sentences_print(c);
    remarks_print(c);
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
    shares_print(c);
    config_free(c);
    return cli_flush(CLI_OK);
}
