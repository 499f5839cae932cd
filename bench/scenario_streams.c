/* B4 — four films at once, each at its own pace: nobody's picture stops.
 * B5 — one film, two readers of it: a player and whoever looks at another place of it, or at the same. */
#include "bench/scenario.h"
#include "bench/scenario_play.h"
#include "bench/scenario_stage.h"

#include <stdio.h>

#define RATE_BPS     4000000
#define BUFFER       ((uint64_t)2 << 20) /* half a second */
#define STREAMS_MOST 4

/* What the reads of some plays came to. */
static void plays_tell(struct scenario_run *r, const char *who, struct play *plays, unsigned n)
{
    char first[96], stall[96], late[96], wait[96];

    snprintf(first, sizeof(first), "%s: first 128 KiB", who);
    snprintf(late, sizeof(late), "%s: deadlines missed", who);
    snprintf(stall, sizeof(stall), "%s: longest stall", who);
    snprintf(wait, sizeof(wait), "%s: each read", who);
    for (unsigned i = 0; i < n; i++) {
        scenario_add(r, first, "ms", plays[i].first_s * 1e3);
        scenario_add(r, late, "", (double)plays[i].late);
        scenario_add(r, stall, "ms", plays[i].stall_worst_s * 1e3);
        for (size_t k = 0; k < plays[i].blocks; k++)
            scenario_add(r, wait, "ms", plays[i].waits_s[k] * 1e3);
        play_free(&plays[i]);
    }
}

static void plays_run(struct play *plays, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        play_start(&plays[i]);
    for (unsigned i = 0; i < n; i++)
        play_join(&plays[i]);
}

static const struct stage_server server = {
    .latency_ms = 30, .jitter_ms = 20, .rate_bps = 5000000, .connections = 20};

static uint64_t seconds(const struct scenario_run *r)
{
    return r->quick ? 4 : 10;
}

/* --- B4 ---------------------------------------------------------------------------------------- */

static void four_run(struct scenario_run *r)
{
    uint64_t size = seconds(r) * RATE_BPS;
    const struct stage_options o = {.servers = {server}, .files = STREAMS_MOST, .file_size = size};
    struct stage_counts before, after;
    struct stage s;
    char words[200];

    stage_open(&s, r, &o);
    scenario_settings(r, "%s; %u players at 4 MB/s with %.1f MB ahead, %llu s",
                      stage_words(&s, words), STREAMS_MOST, (double)BUFFER / 1e6,
                      (unsigned long long)seconds(r));
    for (unsigned i = 0; i < r->rounds; i++) {
        struct play plays[STREAMS_MOST] = {0};
        stage_mount(&s, NULL);
        stage_count(&s, 0, &before);
        for (unsigned k = 0; k < STREAMS_MOST; k++) {
            plays[k] = (struct play){.rate_bps = RATE_BPS, .buffer = BUFFER, .seed = k + 1};
            stage_path(&s, k, plays[k].path);
        }
        plays_run(plays, STREAMS_MOST);
        plays_tell(r, "four players", plays, STREAMS_MOST);
        stage_settle(&s, 50);
        stage_count(&s, 0, &after);
        struct stage_counts c = stage_since(&before, &after);
        uint64_t articles = (size + STAGE_ARTICLE - 1) / STAGE_ARTICLE * STREAMS_MOST;
        scenario_add(r, "requests per article", "", (double)c.articles / (double)articles);
        stage_unmount(&s);
    }
    stage_close(&s);
    scenario_most(r, "four players: deadlines missed", SCENARIO_EACH, 0);
    scenario_most(r, "requests per article", SCENARIO_EACH, 1);
}

const struct scenario scenario_four = {"B4", "four players at 4 MB/s", four_run};

/* --- B5 ---------------------------------------------------------------------------------------- */

/* Each round has a file of its own, of which nobody has asked for anything. */
static void two_round(struct scenario_run *r, struct stage *s, bool apart, unsigned file,
                      uint64_t len)
{
    unsigned each = (unsigned)((len + STAGE_ARTICLE - 1) / STAGE_ARTICLE);
    const char *who = apart ? "two places" : "the same place";
    struct play plays[2] = {0};
    char again[96], ahead[96];

    stage_mount(s, NULL);
    for (unsigned k = 0; k < 2; k++) {
        plays[k] =
            (struct play){.rate_bps = RATE_BPS, .buffer = BUFFER, .len = len, .seed = file + 1u};
        plays[k].off = apart && k ? 2 * len : 0;
        stage_path(s, file, plays[k].path);
    }
    plays_run(plays, 2);
    plays_tell(r, who, plays, 2);
    stage_settle(s, 50);
    struct stage_asked asked = stage_asked(s, file, 0, 4 * each);
    snprintf(again, sizeof(again), "%s: articles asked for again", who);
    snprintf(ahead, sizeof(ahead), "%s: read ahead when the readers ended", who);
    scenario_add(r, again, "", asked.again);
    scenario_add(r, ahead, "", (double)asked.once - (apart ? 2 * each : each));
    stage_unmount(s);
}

static void two_run(struct scenario_run *r)
{
    uint64_t len = seconds(r) / 2 * RATE_BPS;
    const struct stage_options o = {
        .servers = {server}, .files = 2 * r->rounds, .file_size = 4 * len};
    struct stage s;
    char words[200];

    stage_open(&s, r, &o);
    scenario_settings(
        r, "%s; two handles on one file, each read at 4 MB/s with %.1f MB ahead, %llu s",
        stage_words(&s, words), (double)BUFFER / 1e6, (unsigned long long)(seconds(r) / 2));
    for (unsigned i = 0; i < r->rounds; i++) {
        two_round(r, &s, true, 2 * i, len);
        two_round(r, &s, false, 2 * i + 1, len);
    }
    stage_close(&s);
    scenario_most(r, "two places: deadlines missed", SCENARIO_EACH, 0);
    scenario_most(r, "the same place: deadlines missed", SCENARIO_EACH, 0);
    scenario_most(r, "two places: articles asked for again", SCENARIO_EACH, 0);
    scenario_most(r, "the same place: articles asked for again", SCENARIO_EACH, 0);
}

const struct scenario scenario_two = {"B5", "two handles on one file", two_run};
