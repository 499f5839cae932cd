/* B2 — from beginning to end as fast as it goes: what a gigabyte costs.
 *
 * In each round, one after the other on the same server and NZB: the bare client and the file of memory
 * (floors.h), `nzbfs mount`, and nzbget; then as many bytes in sixteen files that are read at once.
 * CPU is the serving process's alone. nzbget runs as a server with SkipWrite=yes: it receives, decodes and checks each
 * article and writes nothing, and is given the NZB when it has started; counted is from there until the last
 * article is out.
 */
#include "bench/child.h"
#include "bench/floors.h"
#include "bench/memory.h"
#include "bench/scenario.h"
#include "bench/scenario_play.h"
#include "bench/scenario_stage.h"
#include "nzb/nzb.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define CONNECTIONS 20
#define STREAMS     16
#define GB          1e9
#define PATIENCE_S  120.0
#define WARM_BESIDE ((uint64_t)768 << 20) /* caches, sockets and processes */

/* --- the floors -------------------------------------------------------------------------------- */

static int client_child(void *arg)
{
    return floor_client_run(arg) ? 0 : 1;
}

static double client_cost(struct stage *s, double bytes)
{
    struct floor_client c = {.host = s->servers[0].host,
                             .port = (uint16_t)s->servers[0].port,
                             .connections = CONNECTIONS,
                             .depth = 4,
                             .nzb = s->nzb};
    double cpu;

    memory_warm(WARM_BESIDE);
    if (child_end(child_fork(client_child, &c), 0, &cpu))
        scenario_fail("failed", "the bare client");
    return cpu * GB / bytes;
}

struct memory_file {
    const char *mountpoint;
    uint64_t size;
};

static int memory_child(void *arg)
{
    const struct memory_file *m = arg;

    return floor_fuse_run(m->mountpoint, m->size, false);
}

static double memory_cost(struct stage *s, double bytes)
{
    struct memory_file m = {s->mountpoint, (uint64_t)bytes};
    struct play p = {.block = (size_t)1 << 20};
    memory_warm(2 * m.size + WARM_BESIDE); /* the file, and the reader's pages of it */
    pid_t pid = child_fork(memory_child, &m);

    stage_adopt(s, pid);
    floor_fuse_raise(s->mountpoint);
    snprintf(p.path, sizeof(p.path), "%s/file", s->mountpoint);
    double cpu = child_cpu(pid);
    play_start(&p);
    play_join(&p);
    cpu = child_cpu(pid) - cpu;
    stage_unmount(s);
    if (p.bytes != m.size)
        scenario_fail("read too little", "the file of memory");
    play_free(&p);
    return cpu * GB / bytes;
}

/* --- nzbfs ------------------------------------------------------------------------------------- */

static double mount_cost(struct scenario_run *r, struct stage *s, double bytes, const char *rate)
{
    struct play *plays = calloc(s->options.files, sizeof(*plays));
    struct stage_counts before, after;

    if (!plays)
        scenario_fail("no memory", "plays");
    memory_warm((uint64_t)bytes + WARM_BESIDE);
    stage_mount(s, NULL);
    stage_count(s, 0, &before);
    double cpu = child_cpu(s->mount), start = now_s();
    for (unsigned i = 0; i < s->options.files; i++) {
        plays[i] = (struct play){.block = (size_t)1 << 20, .seed = i + 1};
        stage_path(s, i, plays[i].path);
        play_start(&plays[i]);
    }
    for (unsigned i = 0; i < s->options.files; i++) {
        play_join(&plays[i]);
        play_free(&plays[i]);
    }
    cpu = child_cpu(s->mount) - cpu;
    scenario_add(r, rate, "MB/s", bytes / 1e6 / (now_s() - start));
    stage_count(s, 0, &after);
    scenario_add(r, "requests per article", "",
                 (double)(after.articles - before.articles) / (double)s->nzb->nsegments);
    stage_unmount(s);
    free(plays);
    return cpu * GB / bytes;
}

/* --- nzbget ------------------------------------------------------------------------------------ */

/* A file that it reads: the command line of a process is no place for a list of twenty. */
static void nzbget_configure(const struct stage *s, const char *path, unsigned control)
{
    FILE *f = fopen(path, "w");

    if (!f)
        scenario_fail("cannot write", path);
    fprintf(f,
            "MainDir=%s/nzbget\nControlIP=127.0.0.1\nControlPort=%u\nControlUsername=\n"
            "ControlPassword=\nOutputMode=log\nWriteLog=none\nDetailTarget=none\nInfoTarget=none\n"
            "Server1.Active=yes\nServer1.Level=0\nServer1.Host=%s\nServer1.Port=%u\n"
            "Server1.Connections=%u\nServer1.Encryption=no\nServer1.JoinGroup=no\n"
            "SkipWrite=yes\nCrcCheck=yes\nParCheck=manual\nUnpack=no\nDirectRename=no\n"
            "DupeCheck=no\nFlushQueue=no\nContinuePartial=no\nHealthCheck=none\n",
            s->folder, control, s->servers[0].host, s->servers[0].port, CONNECTIONS);
    if (fclose(f))
        scenario_fail("cannot write", path);
}

static bool nzbget_tell(const struct stage *s, const char *config, const char *what)
{
    char cmd[512];

    snprintf(cmd, sizeof(cmd), "'%s' -c '%s' %s >>'%s' 2>&1", s->run->nzbget, config, what, s->log);
    return system(cmd) == 0;
}

/* Until the server has sent all of it; false when that takes too long. */
static bool articles_await(const struct stage *s, uint64_t until)
{
    struct stage_counts c;

    for (double start = now_s(); now_s() - start < PATIENCE_S; play_sleep(0.01)) {
        stage_count(s, 0, &c);
        if (c.articles >= until && !c.in_flight)
            return true;
    }
    return false;
}

static bool nzbget_cost(struct scenario_run *r, struct stage *s, double bytes, double *cost)
{
    char config[128], folder[128], append[160];
    unsigned control =
        s->servers[0].port > 40000 ? s->servers[0].port - 20000u : s->servers[0].port + 20000u;
    struct stage_counts before;
    bool ok = false;

    snprintf(config, sizeof(config), "%s/nzbget.conf", s->folder);
    snprintf(folder, sizeof(folder), "%s/nzbget", s->folder);
    snprintf(append, sizeof(append), "-A '%s'", s->nzb_path);
    mkdir(folder, 0700); /* there since the round before, or not */
    nzbget_configure(s, config, control);
    const char *argv[] = {r->nzbget, "-c", config, "-s", NULL};
    memory_warm(WARM_BESIDE);
    pid_t pid = child_spawn(s->log, argv);
    stage_count(s, 0, &before);
    for (double start = now_s(); now_s() - start < 10 && !nzbget_tell(s, config, "-L S");)
        play_sleep(0.1);
    double cpu = child_cpu(pid), start = now_s();
    if (nzbget_tell(s, config, append) && articles_await(s, before.articles + s->nzb->nsegments)) {
        play_sleep(0.2); /* the last of them are decoded */
        *cost = (child_cpu(pid) - cpu) * GB / bytes;
        scenario_add(r, "nzbget's throughput", "MB/s", bytes / 1e6 / (now_s() - start));
        ok = true;
    }
    child_end(pid, SIGTERM, NULL);
    return ok;
}

/* --- together ---------------------------------------------------------------------------------- */

static void round_run(struct scenario_run *r, struct stage *one, double bytes)
{
    double client = client_cost(one, bytes), memory = memory_cost(one, bytes), nzbget;
    double nzbfs = mount_cost(r, one, bytes, "nzbfs, throughput");

    scenario_add(r, "bare client", "s/GB", client);
    scenario_add(r, "file of memory", "s/GB", memory);
    scenario_add(r, "nzbfs", "s/GB", nzbfs);
    scenario_add(r, "nzbfs over both floors", "", nzbfs / (client + memory));
    if (!r->nzbget)
        return;
    if (!nzbget_cost(r, one, bytes, &nzbget)) {
        scenario_note(r, "nzbget did not get all articles: not compared");
        return;
    }
    scenario_add(r, "nzbget, SkipWrite=yes", "s/GB", nzbget);
    scenario_add(r, "nzbfs over nzbget", "", nzbfs / nzbget);
}

static void one_run(struct scenario_run *r, uint64_t size)
{
    const struct stage_options o = {
        .servers = {{.connections = CONNECTIONS}}, .files = 1, .file_size = size};
    struct stage s;
    char words[200];

    stage_open(&s, r, &o);
    scenario_settings(r, "%s, no limits; %.1f GB", stage_words(&s, words), (double)size / GB);
    for (unsigned i = 0; i < r->rounds; i++)
        round_run(r, &s, (double)size);
    stage_close(&s);
}

/* As many bytes, in sixteen files at once. */
static void many_run(struct scenario_run *r, uint64_t size)
{
    const struct stage_options o = {
        .servers = {{.connections = CONNECTIONS}}, .files = STREAMS, .file_size = size / STREAMS};
    double bytes = (double)(size / STREAMS * STREAMS), one = scenario_median(r, "nzbfs");
    struct stage s;

    stage_open(&s, r, &o);
    for (unsigned i = 0; i < r->rounds; i++) {
        double cost = mount_cost(r, &s, bytes, "nzbfs, 16 files at once, throughput");
        scenario_add(r, "nzbfs, 16 files at once", "s/GB", cost);
        scenario_add(r, "16 files at once over one", "", cost / one);
    }
    stage_close(&s);
}

static void steady_run(struct scenario_run *r)
{
    uint64_t size = r->quick ? 240000000 : 960000000;

    one_run(r, size);
    many_run(r, size);
    scenario_most(r, "nzbfs over both floors", SCENARIO_MEDIAN, 1.2);
    scenario_most(r, "16 files at once over one", SCENARIO_MEDIAN, 1.15);
    scenario_most(r, "requests per article", SCENARIO_EACH, 1);
    if (r->nzbget)
        scenario_most(r, "nzbfs over nzbget", SCENARIO_MEDIAN, 1);
    else
        scenario_note(r, "nzbget is not here: not compared");
}

const struct scenario scenario_steady = {"B2", "a file from beginning to end, as fast as it goes",
                                         steady_run};
