/* scenario — the program: bench_player [options] [SCENARIO...]. */
#include "bench/scenario.h"

#include "bench/scenario_report.h"

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ROUNDS_MOST 100

/* In the order they run. */
static const struct scenario *const scenarios[] = {
    &scenario_first,      &scenario_steady, &scenario_seek,      &scenario_four,
    &scenario_two,        &scenario_busy,   &scenario_failover,  &scenario_pause,
    &scenario_skip,       &scenario_reopen, &scenario_scan,      &scenario_scale,
    &scenario_scale_free, &scenario_hedge,  &scenario_encrypted, &scenario_hidden,
    &scenario_memory,
};
#define NSCENARIOS (sizeof(scenarios) / sizeof(*scenarios))

_Noreturn void scenario_fail(const char *what, const char *on)
{
    fprintf(stderr, "bench: %s: %s\n", on, what);
    exit(1);
}

static void usage(FILE *to)
{
    fputs(
        "usage: bench_player [--rounds N] [--quick] [--json] [--nzbget PATH] --nzbfs PATH\n"
        "                    --newsd PATH [SCENARIO...]\n"
        "What a person in front of a player meets, measured through mounts fed by loopback servers.\n"
        "Exits with 1 when a bound is missed.\n\n",
        to);
    for (size_t i = 0; i < NSCENARIOS; i++)
        fprintf(to, "  %-4s %s\n", scenarios[i]->name, scenarios[i]->title);
}

/* From where we stand; the mount stands elsewhere. */
static const char *program(const char *path, char room[PATH_MAX])
{
    if (!realpath(path, room))
        scenario_fail("there is no such program", path);
    return room;
}

static unsigned rounds_read(const char *text)
{
    char *end;
    unsigned long v = strtoul(text, &end, 10);

    if (!*text || *end || v == 0 || v > ROUNDS_MOST)
        scenario_fail("a number from 1 to 100 is expected", text);
    return (unsigned)v;
}

struct asked {
    struct scenario_run run;
    char nzbfs[PATH_MAX], newsd[PATH_MAX], nzbget[PATH_MAX];
    bool json;
    char **names; /* of scenarios; none: all */
    int nnames;
};

static bool options_read(int argc, char **argv, struct asked *a)
{
    static const struct option known[] = {
        {"rounds", 1, NULL, 'r'}, {"quick", 0, NULL, 'q'}, {"json", 0, NULL, 'j'},
        {"nzbfs", 1, NULL, 'n'},  {"newsd", 1, NULL, 'N'}, {"nzbget", 1, NULL, 'g'},
        {"help", 0, NULL, 'h'},   {NULL, 0, NULL, 0},
    };
    int c;

    while ((c = getopt_long(argc, argv, "h", known, NULL)) != -1) {
        switch (c) {
        case 'r':
            a->run.rounds = rounds_read(optarg);
            break;
        case 'q':
            a->run.quick = true;
            break;
        case 'j':
            a->json = true;
            break;
        case 'n':
            a->run.nzbfs = program(optarg, a->nzbfs);
            break;
        case 'N':
            a->run.newsd = program(optarg, a->newsd);
            break;
        case 'g':
            a->run.nzbget = program(optarg, a->nzbget);
            break;
        case 'h':
            usage(stdout);
            exit(0);
        default:
            return false;
        }
    }
    a->names = argv + optind;
    a->nnames = argc - optind;
    return a->run.nzbfs && a->run.newsd;
}

static bool is_known(const char *name)
{
    for (size_t i = 0; i < NSCENARIOS; i++)
        if (strcasecmp(scenarios[i]->name, name) == 0)
            return true;
    return false;
}

static bool is_asked(const struct asked *a, const char *name)
{
    for (int i = 0; i < a->nnames; i++)
        if (strcasecmp(a->names[i], name) == 0)
            return true;
    return a->nnames == 0;
}

int main(int argc, char **argv)
{
    struct asked a = {.run = {.rounds = 3}};
    unsigned missed = 0;

    if (!options_read(argc, argv, &a)) {
        usage(stderr);
        return 2;
    }
    for (int i = 0; i < a.nnames; i++)
        if (!is_known(a.names[i])) {
            fprintf(stderr, "bench: there is no scenario %s\n", a.names[i]);
            return 2;
        }
    if (a.run.quick)
        a.run.rounds = 1;
    for (size_t i = 0; i < NSCENARIOS; i++) {
        if (!is_asked(&a, scenarios[i]->name))
            continue;
        a.run.report = scenario_report_new(scenarios[i]);
        scenarios[i]->run(&a.run);
        missed += scenario_report_print(a.run.report, a.run.rounds, a.json);
        scenario_report_free(a.run.report);
    }
    if (missed && !a.json)
        printf("\n%u bounds missed\n", missed);
    return missed ? 1 : 0;
}
