/* Memory: a hundred open streams, and the same again and again. What the program has resident is its cache's budget
 * and little beside, and no round leaves anything behind. */
#include "bench/child.h"
#include "bench/scenario.h"
#include "bench/scenario_play.h"
#include "bench/scenario_stage.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define STREAMS   100u
#define CACHE     ((uint64_t)256 << 20)
#define FILE_SIZE ((uint64_t)12 * 1000000)
#define SPEED     4000000u
#define MIB       1048576.0

static void kernel_forgets(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED))
        scenario_fail("does not leave the kernel's cache", path);
    close(fd);
}

/* Every file at once, each at its player's pace: a third of it, and another third from a jump on. */
static void streams_round(struct stage *s)
{
    struct play *p = calloc(STREAMS, sizeof(*p));

    if (!p)
        scenario_fail("no memory", "plays");
    for (unsigned half = 0; half < 2; half++) {
        for (unsigned i = 0; i < STREAMS; i++) {
            p[i] = (struct play){.off = half * FILE_SIZE / 2,
                                 .len = FILE_SIZE / 3,
                                 .rate_bps = SPEED,
                                 .seed = i + 1};
            stage_path(s, i, p[i].path);
            play_start(&p[i]);
        }
        for (unsigned i = 0; i < STREAMS; i++) {
            play_join(&p[i]);
            play_free(&p[i]);
        }
    }
    for (unsigned i = 0; i < STREAMS; i++)
        kernel_forgets(stage_path(s, i, p[i].path));
    free(p);
}

static void memory_run(struct scenario_run *r)
{
    /* At least so many, or "after many" says nothing. */
    unsigned rounds = r->quick ? 3 : 4 + 2 * r->rounds;
    struct stage_options o = {.servers = {{.latency_ms = 30, .connections = 50, .tls = true}},
                              .files = STREAMS,
                              .file_size = FILE_SIZE,
                              .cache_bytes = CACHE};
    struct stage s;
    char words[200];
    double settled = 0;

    stage_open(&s, r, &o);
    scenario_settings(r, "%s; %u players of 4 MB/s, each with a jump, a cache of %u MiB; %u rounds",
                      stage_words(&s, words), STREAMS, (unsigned)(CACHE >> 20), rounds);
    stage_mount(&s, NULL);
    scenario_add(r, "resident before the first read", "MiB", (double)child_rss(s.mount) / MIB);
    for (unsigned i = 0; i < rounds; i++) {
        streams_round(&s);
        stage_settle(&s, 300);
        double now = (double)child_rss(s.mount) / MIB;
        scenario_add(r, "resident after a round", "MiB", now);
        if (i == 1)
            settled = now;
    }
    scenario_add(r, "grown since the second round", "MiB",
                 (double)child_rss(s.mount) / MIB - settled);
    scenario_add(r, "most resident ever", "MiB", (double)child_rss_peak(s.mount) / MIB);
    stage_close(&s);
    scenario_most(r, "most resident ever", SCENARIO_EACH, (double)CACHE / MIB + 64);
    scenario_most(r, "grown since the second round", SCENARIO_EACH, 8);
}

const struct scenario scenario_memory = {
    .name = "MEM", .title = "a hundred streams, and what stays of them", .run = memory_run};
