/* B13: articles that come ten times slower than the others, one in fifty. Who plays at 4 MB/s waits for them, unless
 * what is late is asked for a second time. The same film twice: without, and with it. */
#include "bench/scenario.h"
#include "bench/scenario_play.h"
#include "bench/scenario_stage.h"

#include "nzb/nzb.h"

#include <stdio.h>

#define SPEED 4000000u

static void play(struct scenario_run *r, struct stage *s, const char *stalls, const char *extra)
{
    struct stage_counts before, after;
    struct play p = {.rate_bps = SPEED, .block = STAGE_ARTICLE, .buffer = SPEED / 2, .seed = 1};

    stage_count(s, STAGE_ALL, &before);
    stage_mount(s, "readahead=4M");
    stage_path(s, 0, p.path);
    play_start(&p);
    play_join(&p);
    for (size_t i = 0; i < p.blocks; i++)
        scenario_add(r, stalls, "ms", p.stalls_s[i] * 1e3);
    stage_settle(s, 200);
    stage_count(s, STAGE_ALL, &after);
    double articles = (double)stage_since(&before, &after).articles;
    scenario_add(r, extra, "%", 100 * (articles / (double)s->nzb->nsegments - 1));
    play_free(&p);
    stage_unmount(s);
}

static void hedge_stage(struct scenario_run *r, const char *classes, const char *stalls,
                        const char *extra)
{
    struct stage_options o = {
        .servers = {{.latency_ms = 30, .rate_bps = 2000000, .straggler_permille = 20}},
        .files = 1,
        .file_size = (uint64_t)(r->quick ? 60 : 200) * 1000000,
        .classes = classes};
    struct stage s;
    char words[200];

    stage_open(&s, r, &o);
    scenario_settings(r, "%s; 4 MB/s, half a second buffered, readahead=4M, %s",
                      stage_words(&s, words), stalls);
    play(r, &s, stalls, extra);
    stage_close(&s);
}

static void hedge_run(struct scenario_run *r)
{
    static const char shares[] =
        "[class queue]\nguaranteed = 0\n[class health]\nguaranteed = 0\n"
        "[class streaming]\nguaranteed = 100%%\nburst = 100%%\nhedge = %u%%\n";
    char without[256], with[256];

    snprintf(without, sizeof(without), shares, 0u);
    snprintf(with, sizeof(with), shares, 3u);
    hedge_stage(r, without, "stall per article, without", "asked for twice, without");
    hedge_stage(r, with, "stall per article, hedge = 3%", "asked for twice, hedge = 3%");
    double before = scenario_percentile(r, "stall per article, without", 99);
    double after = scenario_percentile(r, "stall per article, hedge = 3%", 99);
    scenario_add(r, "99 % of stalls, times shorter", "", before / (after > 1 ? after : 1));
    scenario_least(r, "99 % of stalls, times shorter", SCENARIO_MEDIAN, 4);
    /* Four articles are let through in any case: of the short film more than 3 %. */
    scenario_most(r, "asked for twice, hedge = 3%", SCENARIO_EACH, r->quick ? 6 : 3);
}

const struct scenario scenario_hedge = {
    .name = "B13", .title = "a player, and one article in fifty is late", .run = hedge_run};
