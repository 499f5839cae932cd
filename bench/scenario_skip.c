/* B9: somebody skips forward through a film, some seconds at a time. What is read ahead is used, and what a skip
 * leaves behind is little. */
#include "bench/child.h"
#include "bench/scenario.h"
#include "bench/scenario_play.h"
#include "bench/scenario_stage.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define LATENCY_MS 30u
#define RATE       2000000u
#define LOOK       ((size_t)1 << 20)
#define BLOCK      ((size_t)64 << 10)

/* Two round trips, and a machine's millisecond here and there. */
#define FIRST_MS   (2 * LATENCY_MS + 10)

/* Watch LOOK bytes from `off` on, and say how long the first of them took beyond what their article is on the wire
 * until they have come. */
static double look(int fd, uint64_t off)
{
    double wire = (double)(off % STAGE_ARTICLE + BLOCK) * 1.04 / RATE;
    double first = play_at(fd, off, BLOCK, 1) - wire;

    for (size_t at = BLOCK; at < LOOK; at += BLOCK)
        play_at(fd, off + at, BLOCK, 1);
    return first > 0 ? first : 0;
}

static void skip_round(struct scenario_run *r, struct stage *s, unsigned skips, uint64_t step,
                       const char *name)
{
    struct stage_counts before, after;
    char path[256], figure[96];
    uint64_t spanned = LOOK * 4 + skips * step;

    stage_mount(s, "early=yes,readahead=32M");
    int fd = open(stage_path(s, 0, path), O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        scenario_fail("cannot be opened", path);
    stage_count(s, 0, &before);
    for (uint64_t at = 0; at < LOOK * 4; at += LOOK)
        look(fd, at);
    snprintf(figure, sizeof(figure), "%s: first 64 KiB, beyond the wire", name);
    for (unsigned i = 1; i <= skips; i++)
        scenario_add(r, figure, "ms", look(fd, LOOK * 3 + i * step) * 1e3);
    close(fd);
    stage_settle(s, 300);
    stage_count(s, 0, &after);
    double fetched = (double)stage_since(&before, &after).articles * STAGE_ARTICLE;
    snprintf(figure, sizeof(figure), "%s: fetched, of what was passed", name);
    scenario_add(r, figure, "", fetched / (double)spanned);
    snprintf(figure, sizeof(figure), "%s: fetched, of what was read", name);
    scenario_add(r, figure, "", fetched / (double)((skips + 4) * LOOK));
    stage_unmount(s);
}

static void skip_run(struct scenario_run *r)
{
    unsigned skips = r->quick ? 8 : 25;
    struct stage_options o = {.servers = {{.latency_ms = LATENCY_MS, .rate_bps = RATE}},
                              .files = 1,
                              .file_size = (uint64_t)320 * 1000000};
    struct stage s;
    char words[200];

    stage_open(&s, r, &o);
    scenario_settings(r, "%s; 4 MiB read, then 1 MiB after each of %u skips of 3 or 12 MB",
                      stage_words(&s, words), skips);
    for (unsigned i = 0; i < r->rounds; i++) {
        skip_round(r, &s, skips, 3000000, "3 MB");
        skip_round(r, &s, skips, 12000000, "12 MB");
    }
    stage_close(&s);
    scenario_most(r, "3 MB: first 64 KiB, beyond the wire", SCENARIO_MEDIAN, FIRST_MS);
    scenario_most(r, "12 MB: first 64 KiB, beyond the wire", SCENARIO_MEDIAN, FIRST_MS);
    /* Nothing twice, and beyond the end no more than the window and an article at each end. */
    for (size_t i = 0; i < 2; i++)
        scenario_most(
            r, i ? "12 MB: fetched, of what was passed" : "3 MB: fetched, of what was passed",
            SCENARIO_EACH,
            1 + (double)(((uint64_t)33 << 20) + 2 * STAGE_ARTICLE) /
                    (double)(LOOK * 4 + skips * (i ? 12 : 3) * (uint64_t)1000000));
}

const struct scenario scenario_skip = {.name = "B9", .title = "forward skips", .run = skip_run};
