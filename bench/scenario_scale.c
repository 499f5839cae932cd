/* B12: from one connection to a hundred. One reader copies a file; the news servers give each connection a rate of
 * its own after some latency, or as much as goes. What stands in the way at many connections is a window that is
 * too small for what is on its way, and whatever is done per connection and not per byte. */
#include "bench/child.h"
#include "bench/memory.h"
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
#define OPTIONS     "readahead=128M"
#define CACHE       ((uint64_t)512 << 20)

#define LATENCY_MS  30u
#define RATE        5000000u
#define PACED_SIZE  ((uint64_t)2500 * 1000 * 1000) /* a hundred connections, five seconds */
#define FREE_SIZE   ((uint64_t)1200 * 1000 * 1000)

/* Above this share of all cores at work, the machine is what is measured. */
#define BUSY_MOST   0.9

/* A copy as fast as it goes takes less than a second, and the machine's part in it varies: more of them. */
#define FREE_ROUNDS 3u

static const unsigned all_counts[] = {1, 2, 5, 10, 15, 20, 30, 50, 75, 100};
static const unsigned quick_counts[] = {1, 15, 50, 100};

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

static double connections_leased(const struct stage *s)
{
    json_t *status = stage_status(s);
    double n = (double)json_integer_value(json_object_get(status, "leased_total"));

    json_decref(status);
    return n;
}

struct speed {
    double rate;   /* bytes a second */
    double busy;   /* the share of all cores that was at work */
    double leased; /* connections, in the middle of it */
    double cpu;    /* of the mount's, seconds a byte */
    double server; /* the news server's likewise */
};

/* A copy of `bytes`: the first `skip` of them pay for connecting, and at the last there is not enough to do for
 * all connections. Where articles come in step the reader goes on in steps, so what is between is to be long. */
static struct speed copy_measure(struct stage *s, uint64_t bytes, uint64_t skip)
{
    struct play p = {.len = bytes, .block = (size_t)1 << 20, .forget = true};

    memory_warm(CACHE + ((uint64_t)512 << 20));
    stage_mount(s, OPTIONS);
    stage_path(s, 0, p.path);
    play_start(&p);
    play_await(&p, skip);
    struct cores then = cores_now();
    double start = now_s();
    double cpu = child_cpu(s->mount), server = child_cpu(s->servers[0].pid);
    uint64_t at = play_position(&p);
    play_await(&p, skip + (bytes - skip) / 2);
    struct speed out = {.leased = connections_leased(s)};
    play_await(&p, bytes - skip / 3);
    uint64_t passed = play_position(&p) - at;
    out.rate = (double)passed / (now_s() - start);
    out.cpu = (child_cpu(s->mount) - cpu) / (double)passed;
    out.server = (child_cpu(s->servers[0].pid) - server) / (double)passed;
    out.busy = cores_busy(then);
    play_join(&p);
    play_free(&p);
    stage_unmount(s);
    return out;
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
    uint64_t second = v->paced ? (uint64_t)RATE * n : FREE_SIZE / 12;
    uint64_t bytes = v->paced ? second * (r->quick ? 3 : 5) : FREE_SIZE;
    char name[96];

    pool_limit(s, size, n);
    struct speed is = copy_measure(s, bytes, second);
    scenario_add(r, figure_name(v, n, "", name), "MB/s", is.rate / 1e6);
    if (!v->paced) {
        scenario_add(r, figure_name(v, n, ", CPU", name), "s/GB", is.cpu * 1e9);
        scenario_add(r, figure_name(v, n, ", the news server's", name), "s/GB", is.server * 1e9);
    }
    if (!v->paced || n == 1)
        return;
    scenario_add(r, figure_name(v, n, ", busy in mid-copy", name), "", is.leased);
    double one = scenario_median(r, figure_name(v, 1, "", name));
    if (is.busy <= BUSY_MOST)
        scenario_add(r, figure_name(v, n, ", of as many times one", name), "",
                     is.rate / 1e6 / one / n);
}

/* --- verdicts ------------------------------------------------------------------------------------ */

static void judge_paced(struct scenario_run *r, const struct variant *v, const struct counts *c)
{
    char name[96];

    unsigned full = 0;

    for (size_t i = 1; i < c->len; i++) {
        figure_name(v, c->n[i], ", of as many times one", name);
        if (!isnan(scenario_median(r, name)))
            scenario_least(r, name, SCENARIO_MEDIAN, 0.95);
        else if (!full)
            full = c->n[i];
    }
    if (full)
        scenario_note(r, "%s: from %u connections on the machine was full, and not all are judged",
                      v->name, full);
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
                              .file_size = v->paced ? PACED_SIZE : FREE_SIZE,
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
    unsigned rounds = v->paced || r->quick ? r->rounds : FREE_ROUNDS * r->rounds;
    for (unsigned round = 0; round < rounds; round++)
        for (size_t i = 0; i < c->len; i++)
            measure(r, v, &s, st.st_size, c->n[i]);
    stage_close(&s);
    if (v->paced)
        judge_paced(r, v, c);
    else
        judge_free(r, v, c);
}

static void scale_run(struct scenario_run *r, bool paced)
{
    struct counts c = {all_counts, sizeof(all_counts) / sizeof(*all_counts)};

    if (r->quick)
        c = (struct counts){quick_counts, sizeof(quick_counts) / sizeof(*quick_counts)};
    for (size_t i = 0; i < sizeof(variants) / sizeof(*variants); i++)
        if (variants[i].paced == paced)
            variant_run(r, &variants[i], &c);
}

static void paced_run(struct scenario_run *r)
{
    scale_run(r, true);
}

static void free_run(struct scenario_run *r)
{
    scale_run(r, false);
}

const struct scenario scenario_scale = {
    .name = "B12", .title = "one to a hundred connections", .run = paced_run};
const struct scenario scenario_scale_free = {
    .name = "B12F", .title = "the same, as fast as it goes", .run = free_run};
