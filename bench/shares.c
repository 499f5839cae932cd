/* shares — do the shares hold on real sockets, in real time?
 *
 *     bench_shares [--quick] [--json] [SCENE…]
 *
 * News servers and a pool in one process, over loopback: servers that give each connection so little that an
 * article takes a known time, hundreds of connections that cost next to no CPU, and figures that are ratios
 * to what an article takes alone. The scenes are in shares_*.c. */
#include "bench/shares.h"

#include "base/clock.h"
#include "base/log.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static const struct scene_entry {
    const char *name;
    void (*run)(struct scenes *x);
    const char *what;
} scenes[] = {
    {"worked", scene_worked, "the worked example, held against the servers' count every 10 ms"},
    {"reclaim", scene_reclaim, "how soon a guaranteed claim is served from burst leases"},
    {"reader", scene_reader, "a blocked reader while others hold every connection"},
    {"ceiling", scene_ceiling, "a server that bears less than is configured"},
    {"dying", scene_dying, "a server that dies and returns, and resizes, under load"},
    {"fair", scene_fair, "equal streams, and streams with a cap"},
    {"cancel", scene_cancel, "what is withdrawn from a nearly stuck server"},
};
#define NSCENES (sizeof(scenes) / sizeof(*scenes))

static void usage(FILE *out)
{
    fputs("usage: bench_shares [--quick] [--json] [SCENE...]\n", out);
    for (size_t i = 0; i < NSCENES; i++)
        fprintf(out, "  %-8s %s\n", scenes[i].name, scenes[i].what);
    fputs("Without a scene: all. Exit status 1 when a bound is missed.\n", out);
}

static bool is_wanted(const char *name, char **names, int n)
{
    bool wanted = n == 0;

    for (int i = 0; i < n; i++)
        wanted |= strcmp(names[i], name) == 0;
    return wanted;
}

static bool is_scene(const char *name)
{
    for (size_t i = 0; i < NSCENES; i++) {
        if (strcmp(scenes[i].name, name) == 0)
            return true;
    }
    return false;
}

/* Both ends of every connection are here. */
static void raise_files(void)
{
    struct rlimit r;

    if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
        r.rlim_cur = r.rlim_max;
        setrlimit(RLIMIT_NOFILE, &r);
    }
}

int main(int argc, char **argv)
{
    static const struct option longs[] = {{"quick", no_argument, NULL, 'q'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    struct scenes x = {0};
    bool json = false;
    int c;

    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        if (c == 'h') {
            usage(stdout);
            return 0;
        }
        if (c != 'q' && c != 'j') {
            usage(stderr);
            return 2;
        }
        x.quick |= c == 'q';
        json |= c == 'j';
    }
    for (int i = optind; i < argc; i++) {
        if (!is_scene(argv[i])) {
            fprintf(stderr, "bench_shares: there is no scene %s\n", argv[i]);
            usage(stderr);
            return 2;
        }
    }
    raise_files();
    log_set_level(LOG_AT_ERROR);
    x.report = report_new(json);
    for (size_t i = 0; i < NSCENES; i++) {
        if (!is_wanted(scenes[i].name, argv + optind, argc - optind))
            continue;
        uint64_t start = clock_now_us();
        scenes[i].run(&x);
        double worst, late = pause_late_us(&worst);
        report_line(
            x.report, late / 1e3, "ms", BOUND_NONE, 0,
            "machine: how late the bench's own sleeps ended, p99 (worst %.0f; scene: %.0f s)",
            worst / 1e3, (double)(clock_now_us() - start) / 1e6);
    }
    return report_free(x.report) ? 0 : 1;
}
