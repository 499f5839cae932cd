/* B8: a player is paused. What is on its way may come; then nothing is fetched until it goes on, and nothing that is
 * there is fetched again. */
#include "bench/child.h"
#include "bench/scenario.h"
#include "bench/scenario_play.h"
#include "bench/scenario_stage.h"

#include "nzb/nzb.h"

#include <stdio.h>

#define SPEED     4000000u
#define READAHEAD ((uint64_t)32 << 20)
/* The kernel reads ahead too, and what is asked for is whole articles. */
#define BESIDE    (((uint64_t)2 << 20) + 2 * STAGE_ARTICLE)

/* yEnc, its lines and headers. */
#define ENCODED   1.04

static double payload(uint64_t bytes)
{
    return (double)bytes / ENCODED;
}

static void pause_round(struct scenario_run *r, struct stage *s, uint64_t size)
{
    struct stage_counts begun, paused, quiet, still, done;
    struct play p = {.rate_bps = SPEED, .buffer = SPEED, .seed = 1};

    stage_count(s, 0, &begun);
    stage_mount(s, "readahead=32M");
    stage_path(s, 0, p.path);
    play_start(&p);
    play_await(&p, size / 4);
    play_pause(&p);
    stage_count(s, 0, &paused);
    stage_settle(s, 500);
    stage_count(s, 0, &quiet);
    double ahead = payload(stage_since(&begun, &quiet).bytes) - (double)play_position(&p);
    scenario_add(r, "fetched since the pause began", "MB",
                 payload(stage_since(&paused, &quiet).bytes) / 1e6);
    scenario_add(r, "ahead of the reader, all quiet", "MB", ahead / 1e6);
    play_sleep(r->quick ? 1 : 3);
    stage_count(s, 0, &still);
    scenario_add(r, "fetched as the pause goes on", "articles",
                 (double)stage_since(&quiet, &still).articles);
    play_resume(&p);
    play_join(&p);
    stage_settle(s, 200);
    stage_count(s, 0, &done);
    scenario_add(r, "worst stall after the pause", "ms", p.stall_worst_s * 1e3);
    scenario_add(r, "asked for in all, per article", "",
                 (double)stage_since(&begun, &done).articles / (double)s->nzb->nsegments);
    play_free(&p);
    stage_unmount(s);
}

static void pause_run(struct scenario_run *r)
{
    const uint64_t size = (uint64_t)72 * 1000000; /* twice the window */
    struct stage_options o = {
        .servers = {{.latency_ms = 30, .rate_bps = 2000000}}, .files = 1, .file_size = size};
    struct stage s;
    char words[200];

    stage_open(&s, r, &o);
    scenario_settings(r, "%s; 4 MB/s, a second buffered, paused at a quarter of %u MB",
                      stage_words(&s, words), (unsigned)(size / 1000000));
    for (unsigned i = 0; i < r->rounds; i++)
        pause_round(r, &s, size);
    stage_close(&s);
    scenario_most(r, "ahead of the reader, all quiet", SCENARIO_EACH,
                  (double)(READAHEAD + BESIDE) / 1e6);
    scenario_most(r, "fetched as the pause goes on", SCENARIO_EACH, 0);
    scenario_most(r, "asked for in all, per article", SCENARIO_EACH, 1);
}

const struct scenario scenario_pause = {
    .name = "B8", .title = "a player pauses and goes on", .run = pause_run};
