/* B12: from one connection to a hundred. One reader copies a file; the news servers give each connection a rate of
 * its own after some latency, or as much as goes. What stands in the way at many connections is a window that is
 * too small for what is on its way, and whatever is done per connection and not per byte. */
#include "bench/child.h"
#include "bench/scenario.h"
#include "bench/scenario_play.h"
#include "bench/scenario_stage.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Articles of a hundred connections, four asked for on each, are 300 MB; what is on the wire at once is 75 MB and
 * the latency's worth. */
#define OPTIONS    "readahead=128M"
#define CACHE      ((uint64_t)512 << 20)

#define LATENCY_MS 30u
#define RATE       5000000u
#define FILE_SIZE  ((uint64_t)1200 * 1000 * 1000)

/* Above this share of all cores at work, the machine is what is measured. */
#define BUSY_MOST  0.9

static const unsigned all_counts[] = {1, 2, 5, 10, 15, 20, 30, 50, 75, 100};
static const unsigned quick_counts[] = {1, 15, 100};

struct variant {
    const char *name;
    bool tls, paced;
};

static const struct variant variants[] = {
    {"plain, 30 ms", false, true},
    {"TLS, 30 ms", true, true},
    {"plain, no latency", false, false},
    {"TLS, no latency", true, false},
};

struct counts {
    const unsigned *n;
    size_t len;
};

/* --- how much of the machine was at work --------------------------------------------------------- */

struct cores {
    double all, idle;
};

static struct cores cores_now(void)
{
    unsigned long long v[8] = {0};
    struct cores c = {0, 0};
    FILE *f = fopen("/proc/stat", "re");

    if (!f || fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &v[0], &v[1], &v[2], &v[3],
                     &v[4], &v[5], &v[6], &v[7]) != 8)
        scenario_fail("no figures of the machine's load", "/proc/stat");
    fclose(f);
    for (size_t i = 0; i < 8; i++)
        c.all += (double)v[i];
    c.idle = (double)(v[3] + v[4]);
    return c;
}

static double cores_busy(struct cores then)
{
    struct cores now = cores_now();

    return now.all > then.all ? 1 - (now.idle - then.idle) / (now.all - then.all) : 0;
}

/* --- one measurement ----------------------------------------------------------------------------- */

/* The configuration as the stage wrote it, and a pool of `n` connections; `size` is the stage's. */
static void pool_limit(const struct stage *s, off_t size, unsigned n)
{
    if (truncate(s->config, size))
        scenario_fail("cannot be cut to what it was", s->config);
    FILE *f = fopen(s->config, "ae");
    if (!f || fprintf(f, "\n[pool]\nconnections = %u\n", n) < 0 || fclose(f))
        scenario_fail("cannot be written", s->config);
}

/* Bytes a second of a copy of `bytes`, the first `skip` of which pay for connecting. */
static double throughput(struct stage *s, uint64_t bytes, uint64_t skip, double *busy)
{
    struct play p = {.len = bytes, .block = (size_t)1 << 20};

    stage_mount(s, OPTIONS);
    stage_path(s, 0, p.path);
    play_start(&p);
    play_await(&p, skip);
    struct cores then = cores_now();
    double start = now_s();
    uint64_t at = play_position(&p);
    play_join(&p);
    double rate = (double)(p.bytes - at) / (now_s() - start);
    *busy = cores_busy(then);
    play_free(&p);
    stage_unmount(s);
    return rate;
}

static const char *figure_name(const struct variant *v, unsigned n, const char *what,
                               char room[static 96])
{
    snprintf(room, 96, "%s: %u connection%s%s", v->name, n, n == 1 ? "" : "s", what);
    return room;
}

static void measure(struct scenario_run *r, const struct variant *v, struct stage *s, off_t size,
                    unsigned n)
{
    double seconds = r->quick ? 2 : 3, busy;
    uint64_t second = v->paced ? (uint64_t)RATE * n : FILE_SIZE / 12;
    uint64_t bytes = v->paced ? (uint64_t)((double)second * seconds) : FILE_SIZE;
    char name[96];

    pool_limit(s, size, n);
    double rate = throughput(s, bytes < FILE_SIZE ? bytes : FILE_SIZE, second, &busy);
    scenario_add(r, figure_name(v, n, "", name), "MB/s", rate / 1e6);
    if (!v->paced)
        return;
    if (n == 1)
        return;
    double one = scenario_median(r, figure_name(v, 1, "", name));
    if (busy <= BUSY_MOST)
        scenario_add(r, figure_name(v, n, ", of as many times one", name), "",
                     rate / 1e6 / one / n);
    else
        scenario_note(r, "%s, %u connections: the machine was full (%.0f %%)", v->name, n,
                      busy * 100);
}

/* --- verdicts ------------------------------------------------------------------------------------ */

static void judge_paced(struct scenario_run *r, const struct variant *v, const struct counts *c)
{
    char name[96];

    for (size_t i = 1; i < c->len; i++) {
        figure_name(v, c->n[i], ", of as many times one", name);
        if (!isnan(scenario_median(r, name)))
            scenario_least(r, name, SCENARIO_MEDIAN, 0.95);
    }
}

/* From 15 connections on, a median beside the best of those before it; and the last beside the best of all. */
static void judge_free(struct scenario_run *r, const struct variant *v, const struct counts *c)
{
    double before = 0, best = 0, least = INFINITY, last = 0;
    char name[96];

    for (size_t i = 0; i < c->len; i++) {
        last = scenario_median(r, figure_name(v, c->n[i], "", name));
        if (c->n[i] >= 15) {
            if (before > 0 && last / before < least)
                least = last / before;
            before = last > before ? last : before;
        }
        best = last > best ? last : best;
    }
    snprintf(name, sizeof(name), "%s: from 15 on, of the best before", v->name);
    scenario_add(r, name, "", least);
    scenario_least(r, name, SCENARIO_EACH, 0.97);
    snprintf(name, sizeof(name), "%s: 100, of the best", v->name);
    scenario_add(r, name, "", last / best);
    scenario_least(r, name, SCENARIO_EACH, 0.97);
}

static void variant_run(struct scenario_run *r, const struct variant *v, const struct counts *c)
{
    struct stage_options o = {.servers = {{.connections = 100, .tls = v->tls}},
                              .files = 1,
                              .file_size = FILE_SIZE,
                              .cache_bytes = CACHE};
    struct stage s;
    struct stat st;
    char words[200];

    if (v->paced) {
        o.servers[0].latency_ms = LATENCY_MS;
        o.servers[0].rate_bps = RATE;
    }
    stage_open(&s, r, &o);
    scenario_settings(r, "%s; %s; a cache of %u MiB", stage_words(&s, words), OPTIONS,
                      (unsigned)(CACHE >> 20));
    if (stat(s.config, &st))
        scenario_fail("has no size", s.config);
    for (unsigned round = 0; round < r->rounds; round++)
        for (size_t i = 0; i < c->len; i++)
            measure(r, v, &s, st.st_size, c->n[i]);
    stage_close(&s);
    if (v->paced)
        judge_paced(r, v, c);
    else
        judge_free(r, v, c);
}

static void scale_run(struct scenario_run *r)
{
    struct counts c = {all_counts, sizeof(all_counts) / sizeof(*all_counts)};

    if (r->quick)
        c = (struct counts){quick_counts, sizeof(quick_counts) / sizeof(*quick_counts)};
    for (size_t i = 0; i < sizeof(variants) / sizeof(*variants); i++)
        variant_run(r, &variants[i], &c);
}

const struct scenario scenario_scale = {
    .name = "B12", .title = "one to a hundred connections", .run = scale_run};
