/* B6 — a film plays while imports and health checks hold every connection that they may.
 *
 * The process is the bench's own (scenario_load.h): pool, cache and tree as `nzbfs mount` puts them together,
 * and a generator that always wants more of both classes than there are connections. The same process without
 * the generator is what it is held against.
 */
#include "bench/child.h"
#include "bench/scenario.h"
#include "bench/scenario_load.h"
#include "bench/scenario_play.h"
#include "bench/scenario_stage.h"

#include <stdio.h>

#define ROUND_TRIP_MS 50
#define RATE_BPS      2000000
#define CONNECTIONS   20
#define PLAY_BPS      4000000
#define BUFFER        ((uint64_t)4 << 20) /* a second */
#define PROBE         ((size_t)64 << 10)
#define PROBES        6
#define WANTED        64 /* of each class, at any moment */
#define BURST_LEAST                                                                                \
    (CONNECTIONS - 3) /* else they did not hold what they may, and nothing was shown */

#define CLASSES                                                                                    \
    "[class streaming]\nguaranteed = 6\nburst = 20\n[class queue]\nguaranteed = 8\nburst = 20\n"   \
    "[class health]\nguaranteed = 6\nburst = 20\n"

/* File 0 is played, 1 imported, 2 checked; the rest are opened once each. */
static const char *const tags[] = {"--tag", "file001.bin:q", "--tag", "file002.bin:h", NULL};

static double article_s(const struct stage *s)
{
    return ROUND_TRIP_MS * 1e-3 + stage_wire_s(s, STAGE_ARTICLE);
}

/* What else the process is at. */
struct company {
    const char *who;
    unsigned queue, health;
};

static const struct company companies[] = {
    {"alone", 0, 0},
    {"imports and checks", WANTED, WANTED},
    {"imports only", WANTED, 0},
};
#define NCOMPANIES (sizeof(companies) / sizeof(*companies))

/* How many connections those two hold, at a moment. */
static void held_tell(struct scenario_run *r, struct stage *s, const char *who)
{
    char text[8192], figure[96];
    json_error_t why;

    stage_ask(s, 0, "tags", text, sizeof(text));
    json_t *all = json_loads(text, 0, &why);
    json_int_t q = json_integer_value(json_object_get(json_object_get(all, "q"), "on")),
               h = json_integer_value(json_object_get(json_object_get(all, "h"), "on"));
    json_decref(all);
    snprintf(figure, sizeof(figure), "connections that they are on, %s", who);
    scenario_add(r, figure, "", (double)(q + h));
}

static void probes_run(struct scenario_run *r, struct stage *s, const struct company *c)
{
    char path[256], figure[96];

    play_once(stage_path(s, 3, path), 0, PROBE, 4); /* connections are there from here on */
    snprintf(figure, sizeof(figure), "first 64 KiB, %s", c->who);
    for (unsigned i = 1; i <= PROBES; i++) {
        play_sleep(0.2);
        if (c->queue)
            held_tell(r, s, c->who);
        double took = play_once(stage_path(s, 3 + i, path), 0, PROBE, 3 + i + 1);
        scenario_add(r, figure, "ms", took * 1e3);
    }
}

static void play_run(struct scenario_run *r, struct stage *s, const char *who)
{
    struct play p = {.rate_bps = PLAY_BPS, .buffer = BUFFER, .seed = 1};
    char late[96], stall[96], wait[96];

    snprintf(late, sizeof(late), "deadlines missed, %s", who);
    snprintf(stall, sizeof(stall), "longest stall, %s", who);
    snprintf(wait, sizeof(wait), "each read of the player, %s", who);
    stage_path(s, 0, p.path);
    play_start(&p);
    play_join(&p);
    scenario_add(r, late, "", (double)p.late);
    scenario_add(r, stall, "ms", p.stall_worst_s * 1e3);
    for (size_t i = 0; i < p.blocks; i++)
        scenario_add(r, wait, "ms", p.waits_s[i] * 1e3);
    play_free(&p);
}

static void round_run(struct scenario_run *r, struct stage *s, const struct company *c)
{
    struct scenario_load load = {
        .stage = s, .queue_file = 1, .health_file = 2, .queue = c->queue, .health = c->health};

    stage_adopt(s, child_fork(scenario_load_serve, &load));
    probes_run(r, s, c);
    play_run(r, s, c->who);
    stage_unmount(s);
}

static void busy_run(struct scenario_run *r)
{
    const struct stage_options o = {
        .servers = {{.latency_ms = ROUND_TRIP_MS,
                     .rate_bps = RATE_BPS,
                     .connections = CONNECTIONS,
                     .arguments = tags}},
        .files = 4 + PROBES,
        .file_size = (r->quick ? 5u : 15u) * PLAY_BPS,
        .classes = CLASSES,
    };
    struct stage s;
    char words[200];

    stage_open(&s, r, &o);
    scenario_settings(r, "%s; a player at 4 MB/s with %.1f MB ahead", stage_words(&s, words),
                      (double)BUFFER / 1e6);
    scenario_settings(r,
                      "guaranteed streaming 6, queue 8, health 6, burst 20 each; %u BODY of queue "
                      "and %u STAT of health wanted at any moment",
                      WANTED, WANTED);
    for (unsigned i = 0; i < r->rounds; i++)
        for (unsigned k = 0; k < NCOMPANIES; k++)
            round_run(r, &s, &companies[k]);
    double bound = scenario_median(r, "first 64 KiB, alone") + 1.3e3 * article_s(&s);
    scenario_most(r, "deadlines missed, imports and checks", SCENARIO_EACH, 0);
    scenario_most(r, "deadlines missed, imports only", SCENARIO_EACH, 0);
    scenario_most(r, "first 64 KiB, imports and checks", SCENARIO_EACH, bound);
    scenario_most(r, "first 64 KiB, imports only", SCENARIO_EACH, bound);
    scenario_least(r, "connections that they are on, imports only", SCENARIO_MEDIAN, BURST_LEAST);
    scenario_note(r, "an article takes %.0f ms; first bytes: at most 1.3 of these later than alone",
                  article_s(&s) * 1e3);
    stage_close(&s);
}

const struct scenario scenario_busy = {"B6", "a player while imports and checks hold what they may",
                                       busy_run};
