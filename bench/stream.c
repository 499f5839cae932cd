/* stream — what it costs to read a file through the mount, beside the least it could cost.
 *
 * In each round, one after the other on the same server and NZB: the bare client (floor_client), the file
 * of memory behind FUSE (floor_fuse), and nzbfs. Rounds are interleaved because the machine's speed drifts;
 * the table shows medians, and the verdict is a ratio within the run.
 */

#include "bench/child.h"
#include "bench/floors.h"
#include "bench/memory.h"
#include "bench/reader.h"
#include "bench/scene.h"
#include "nzb/nzb.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROUNDS_MOST 50
#define GB          1e9
#define WARM_BESIDE ((uint64_t)512 << 20) /* what sockets and processes need */

struct figures {
    double client_cpu, fuse_cpu, daemon_cpu; /* seconds a GB */
    double client_mbs, fuse_mbs, daemon_mbs;
    double ratio; /* daemon_cpu / (client_cpu + fuse_cpu) of one round */
    double first_ms;
    double rss_peak, rss_over; /* MiB; over the cache budget */
    double articles;           /* asked of the server, per article of the file */
};

struct options {
    struct scene_options scene;
    unsigned rounds, files;
    bool direct_io, parallel, json;
    const char *nzbfs;
    const char *mount_options; /* for nzbfs */
};

/* --- the three contestants --------------------------------------------------------------------- */

static int client_child(void *arg)
{
    return floor_client_run(arg) ? 0 : 1;
}

static void client_round(const struct options *o, const struct scene *s, struct figures *f)
{
    struct floor_client c = {.host = s->host,
                             .port = s->port,
                             .ca_file = o->scene.tls ? s->ca_file : NULL,
                             .connections = o->scene.connections,
                             .depth = 4,
                             .nzb = s->nzb};
    memory_warm(WARM_BESIDE);
    double start = now_s(), cpu;

    if (child_end(child_fork(client_child, &c), 0, &cpu)) {
        fprintf(stderr, "bench: the bare client failed\n");
        exit(1);
    }
    f->client_cpu = cpu * GB / (double)s->bytes;
    f->client_mbs = (double)s->bytes / 1e6 / (now_s() - start);
}

struct fuse_child {
    const char *mountpoint;
    uint64_t size;
    bool direct_io;
};

static int fuse_child(void *arg)
{
    const struct fuse_child *c = arg;

    return floor_fuse_run(c->mountpoint, c->size, c->direct_io);
}

static void fuse_round(const struct options *o, const struct scene *s, struct figures *f)
{
    struct fuse_child c = {s->mountpoint, s->bytes, o->direct_io};
    char path[4096];
    memory_warm(2 * s->bytes + WARM_BESIDE); /* the file, and the reader's pages of it */
    pid_t pid = child_fork(fuse_child, &c);

    snprintf(path, sizeof(path), "%s/file", s->mountpoint);
    scene_await_mount(s, pid);
    double cpu = child_cpu(pid), start = now_s();
    uint64_t bytes = reader_file(path, NULL);
    f->fuse_mbs = (double)bytes / 1e6 / (now_s() - start);
    f->fuse_cpu = (child_cpu(pid) - cpu) * GB / (double)bytes;
    scene_unmount(s, pid);
}

static void daemon_round(const struct options *o, const struct scene *s, struct figures *f)
{
    uint64_t asked = scene_articles(s);
    memory_warm(s->bytes + o->scene.cache_bytes + WARM_BESIDE);
    pid_t pid = scene_mount(s, o->nzbfs, o->mount_options);
    double cpu = child_cpu(pid), start = now_s(), first = 0;
    uint64_t bytes = reader_all(s, o->parallel, &first);

    f->daemon_mbs = (double)bytes / 1e6 / (now_s() - start);
    f->daemon_cpu = (child_cpu(pid) - cpu) * GB / (double)bytes;
    f->first_ms = first * 1e3;
    f->rss_peak = (double)child_rss_peak(pid) / 1048576.0;
    f->rss_over = f->rss_peak - (double)o->scene.cache_bytes / 1048576.0;
    f->articles = (double)(scene_articles(s) - asked) / (double)s->nzb->nsegments;
    if (bytes != s->bytes)
        fprintf(stderr, "bench: read %llu of %llu bytes\n", (unsigned long long)bytes,
                (unsigned long long)s->bytes);
    scene_unmount(s, pid);
}

/* --- the table --------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static double median(const struct figures *f, unsigned n, size_t offset)
{
    double v[ROUNDS_MOST];

    for (unsigned i = 0; i < n; i++)
        memcpy(&v[i], (const char *)&f[i] + offset, sizeof(v[i]));
    qsort(v, n, sizeof(*v), by_value);
    return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

#define MEDIAN(member) median(f, o->rounds, offsetof(struct figures, member))

static void report(const struct options *o, const struct scene *s, const struct figures *f)
{
    double ratio = MEDIAN(ratio);

    if (o->json) {
        printf(
            "{\"bench\":\"stream\",\"tls\":%s,\"connections\":%u,\"bytes\":%llu,\"rounds\":%u,"
            "\"client_cpu_s_per_gb\":%.4f,\"fuse_cpu_s_per_gb\":%.4f,\"daemon_cpu_s_per_gb\":%.4f,"
            "\"ratio\":%.3f,\"mb_per_s\":%.0f,\"first_byte_ms\":%.2f,\"rss_peak_mib\":%.1f,"
            "\"rss_over_cache_mib\":%.1f,\"articles_per_article\":%.4f}\n",
            o->scene.tls ? "true" : "false", o->scene.connections, (unsigned long long)s->bytes,
            o->rounds, MEDIAN(client_cpu), MEDIAN(fuse_cpu), MEDIAN(daemon_cpu), ratio,
            MEDIAN(daemon_mbs), MEDIAN(first_ms), MEDIAN(rss_peak), MEDIAN(rss_over),
            MEDIAN(articles));
        return;
    }
    printf(
        "\nstream: %.2f GB in %zu file(s)%s, %s, %u connections, latency %u ms, %s, median of %u\n",
        (double)s->bytes / GB, s->nzb->nfiles, o->parallel ? " at once" : "",
        o->scene.tls ? "TLS" : "plain", o->scene.connections, o->scene.latency_ms,
        o->direct_io ? "direct_io" : "page cache", o->rounds);
    printf("  %-34s %10s %10s\n", "", "CPU s/GB", "MB/s");
    printf("  %-34s %10.3f %10.0f\n", "bare client (receive+decode+CRC)", MEDIAN(client_cpu),
           MEDIAN(client_mbs));
    printf("  %-34s %10.3f %10.0f\n", "file of memory behind FUSE", MEDIAN(fuse_cpu),
           MEDIAN(fuse_mbs));
    printf("  %-34s %10.3f %10.0f\n", "nzbfs", MEDIAN(daemon_cpu), MEDIAN(daemon_mbs));
    printf("  nzbfs / (sum of both floors)       %10.2f\n", ratio);
    printf("  first 64 KiB %.1f ms; peak RSS %.1f MiB, %+.1f over the cache's %.0f MiB; "
           "%.3f requests per article\n",
           MEDIAN(first_ms), MEDIAN(rss_peak), MEDIAN(rss_over),
           (double)o->scene.cache_bytes / 1048576.0, MEDIAN(articles));
}

static void usage(FILE *to)
{
    fputs(
        "usage: bench_stream [--size MB] [--files N] [--connections N] [--rounds N] [--tls]\n"
        "                    [--latency MS] [--rate BYTES/s] [--cache MIB] [--direct-io]\n"
        "                    [--parallel] [--mount-options OPTS] [--json]\n"
        "                    --nzbfs PATH --newsd PATH\n"
        "Reads generated files through a mount fed by a loopback server, and prints what that took\n"
        "beside two floors measured in the same run.\n",
        to);
}

static unsigned number(const char *arg)
{
    char *end;
    unsigned long v = strtoul(arg, &end, 10);

    if (!*arg || *end || v > 1000000000) {
        fprintf(stderr, "bench: '%s' is not a number\n", arg);
        exit(2);
    }
    return (unsigned)v;
}

static void options_read(int argc, char **argv, struct options *o)
{
    static const struct option known[] = {
        {"size", 1, NULL, 's'},   {"files", 1, NULL, 'f'},    {"connections", 1, NULL, 'c'},
        {"rounds", 1, NULL, 'r'}, {"tls", 0, NULL, 't'},      {"latency", 1, NULL, 'l'},
        {"rate", 1, NULL, 'R'},   {"cache", 1, NULL, 'm'},    {"direct-io", 0, NULL, 'd'},
        {"json", 0, NULL, 'j'},   {"parallel", 0, NULL, 'p'}, {"mount-options", 1, NULL, 'o'},
        {"nzbfs", 1, NULL, 'n'},  {"newsd", 1, NULL, 'N'},    {"help", 0, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int c;

    while ((c = getopt_long(argc, argv, "h", known, NULL)) != -1) {
        switch (c) {
        case 's':
            o->scene.megabytes = number(optarg);
            break;
        case 'f':
            o->scene.files = number(optarg);
            break;
        case 'c':
            o->scene.connections = number(optarg);
            break;
        case 'r':
            o->rounds = number(optarg);
            break;
        case 't':
            o->scene.tls = true;
            break;
        case 'l':
            o->scene.latency_ms = number(optarg);
            break;
        case 'R':
            o->scene.rate_bps = number(optarg);
            break;
        case 'm':
            o->scene.cache_bytes = (uint64_t)number(optarg) << 20;
            break;
        case 'd':
            o->direct_io = true; /* the floor does the same */
            o->mount_options = "direct_io";
            break;
        case 'p':
            o->parallel = true;
            break;
        case 'o':
            o->mount_options = optarg;
            break;
        case 'j':
            o->json = true;
            break;
        case 'n':
            o->nzbfs = optarg;
            break;
        case 'N':
            o->scene.newsd = optarg;
            break;
        case 'h':
            usage(stdout);
            exit(0);
        default:
            usage(stderr);
            exit(2);
        }
    }
    if (!o->nzbfs || !o->scene.newsd || optind != argc || !o->rounds || o->rounds > ROUNDS_MOST ||
        !o->scene.connections || !o->scene.files || !o->scene.megabytes) {
        usage(stderr);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    struct options o = {.scene = {.megabytes = 1000,
                                  .files = 1,
                                  .connections = 20,
                                  .cache_bytes = (uint64_t)256 << 20},
                        .rounds = 3};
    struct figures figures[ROUNDS_MOST] = {0}, warm = {0};
    struct scene scene;

    options_read(argc, argv, &o);
    scene_open(&scene, &o.scene);
    client_round(&o, &scene, &warm); /* the server encodes each article the first time */
    for (unsigned i = 0; i < o.rounds; i++) {
        client_round(&o, &scene, &figures[i]);
        fuse_round(&o, &scene, &figures[i]);
        daemon_round(&o, &scene, &figures[i]);
        figures[i].ratio = figures[i].daemon_cpu / (figures[i].client_cpu + figures[i].fuse_cpu);
    }
    report(&o, &scene, figures);
    scene_close(&scene);
    return 0;
}
