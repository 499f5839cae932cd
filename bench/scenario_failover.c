/* B7: the provider that a film comes from dies in mid-stream, and the next tier takes over: by resets and refusals,
 * or by saying nothing any more, which is noticed when [timeouts] stall has passed. */
#include "bench/child.h"
#include "bench/scenario.h"
#include "bench/scenario_play.h"
#include "bench/scenario_stage.h"

#include <stdio.h>

#define SPEED      4000000u
#define RATE       2000000u
#define LATENCY_MS 30u
#define STALL_S    2

/* What an article takes when its connection is there. */
#define ARTICLE_MS (LATENCY_MS + (double)STAGE_ARTICLE * 1.04 / RATE * 1e3)

struct death {
    const char *name, *kill, *revive;
    double notice_ms; /* what may pass before it is known */
};

static const struct death deaths[] = {
    {"it resets and refuses", "down", "up", 0},
    {"it falls silent", "silent", "loud", STALL_S * 1e3},
};

static void ask(const struct stage *s, const char *line)
{
    char answer[256];

    stage_ask(s, 0, line, answer, sizeof(answer));
}

static void failover_round(struct scenario_run *r, struct stage *s, const struct death *d,
                           uint64_t size)
{
    struct stage_counts then[2], now[2];
    struct play p = {.rate_bps = SPEED, .seed = 1};
    char figure[96];

    stage_mount(s, "readahead=32M");
    for (unsigned i = 0; i < 2; i++)
        stage_count(s, i, &then[i]);
    stage_path(s, 0, p.path);
    play_start(&p);
    play_await(&p, size / 8);
    ask(s, d->kill);
    play_join(&p);
    stage_settle(s, 200);
    for (unsigned i = 0; i < 2; i++)
        stage_count(s, i, &now[i]);
    ask(s, d->revive);
    snprintf(figure, sizeof(figure), "%s: worst stall", d->name);
    scenario_add(r, figure, "ms", p.stall_worst_s * 1e3);
    snprintf(figure, sizeof(figure), "%s: stalls together", d->name);
    scenario_add(r, figure, "ms", p.stall_total_s * 1e3);
    snprintf(figure, sizeof(figure), "%s: asked for in all, per article", d->name);
    scenario_add(r, figure, "",
                 (double)(stage_since(&then[0], &now[0]).articles +
                          stage_since(&then[1], &now[1]).articles) *
                     STAGE_ARTICLE / (double)size);
    play_free(&p);
    stage_unmount(s);
}

static void failover_run(struct scenario_run *r)
{
    const uint64_t size = (uint64_t)64 * 1000000; /* twice the window */
    struct stage_options o = {
        .servers = {{.latency_ms = LATENCY_MS, .rate_bps = RATE, .connections = 10},
                    {.latency_ms = LATENCY_MS, .rate_bps = RATE, .connections = 10, .tier = 1}},
        .nservers = 2,
        .files = 1,
        .file_size = size,
        .config = "[timeouts]\nstall = 2\nconnect = 2\n"};
    struct stage s;
    char words[200], figure[96];

    stage_open(&s, r, &o);
    scenario_settings(r, "%s, and as much on tier 1; stall = %d; 4 MB/s, nothing buffered",
                      stage_words(&s, words), STALL_S);
    for (unsigned i = 0; i < r->rounds; i++)
        for (size_t d = 0; d < 2; d++)
            failover_round(r, &s, &deaths[d], size);
    stage_close(&s);
    for (size_t d = 0; d < 2; d++) {
        snprintf(figure, sizeof(figure), "%s: worst stall", deaths[d].name);
        /* Connecting and logging in is four round trips, the article one and its bytes. */
        scenario_most(r, figure, SCENARIO_EACH,
                      deaths[d].notice_ms + 4 * LATENCY_MS + 2 * ARTICLE_MS);
        snprintf(figure, sizeof(figure), "%s: asked for in all, per article", deaths[d].name);
        /* What was on its way on ten connections, four on each, is asked for again. */
        scenario_most(r, figure, SCENARIO_EACH, 1 + 41.0 * STAGE_ARTICLE / (double)size);
    }
}

const struct scenario scenario_failover = {
    .name = "B7", .title = "a provider dies in mid-stream", .run = failover_run};
