/* B1 — the first bytes of a file that nobody has read: what a person waits for after pressing play.
 *
 * A round trip of 50 ms and 2 MB/s a connection, so that an article takes 375 ms and its end is nothing to wait
 * for. "Warm" is another file of the same mount, whose connections exist; "cold" a mount that has none.
 * Connecting on loopback takes no round trip of its own. With TLS the server is told to answer the handshake three
 * round trips late, which stand for TCP's, TLS's and the greeting's behind it (a greeting that is due meanwhile goes
 * out at once); plain, the greeting takes one. The login takes two.
 */
#include "bench/scenario.h"
#include "bench/scenario_play.h"
#include "bench/scenario_stage.h"

#include <stdio.h>

#define ROUND_TRIP_MS 50
#define RATE_BPS      2000000
#define FIRST         ((size_t)64 << 10)
#define FILE_SIZE     30000000
#define FILES         24
#define WARM_READS    8 /* each of another file, in each round */

#define WARM_TRIPS    2
#define COLD_TRIPS    6
#define SLACK_S       0.010

static double bound_ms(const struct stage *s, unsigned trips)
{
    return (trips * ROUND_TRIP_MS * 1e-3 + stage_wire_s(s, FIRST) + SLACK_S) * 1e3;
}

/* What one read asked of the server besides its article tells where round trips went. */
static void cold_read(struct scenario_run *r, struct stage *s, const char *figure)
{
    struct stage_counts before, after;
    char path[256];

    stage_count(s, 0, &before);
    double took = play_once(stage_path(s, 0, path), 0, FIRST, 1);
    scenario_add(r, figure, "ms", took * 1e3);
    stage_settle(s, 50);
    stage_count(s, 0, &after);
    struct stage_counts c = stage_since(&before, &after);
    scenario_add(r, "articles asked for by one open and read", "", (double)c.articles);
    scenario_add(r, "connections opened by it", "", (double)c.accepted);
}

static void warm_reads(struct scenario_run *r, struct stage *s, const char *figure)
{
    unsigned n = r->quick ? 2 : WARM_READS;

    for (unsigned i = 1; i <= n; i++) {
        char path[256];
        play_sleep(0.1); /* a person is no machine */
        double took = play_once(stage_path(s, i, path), 0, FIRST, i + 1);
        scenario_add(r, figure, "ms", took * 1e3);
        stage_settle(s, 50);
    }
}

static void kind_run(struct scenario_run *r, bool tls)
{
    const struct stage_options o = {
        .servers = {{.latency_ms = ROUND_TRIP_MS,
                     .handshake_ms = tls ? 3 * ROUND_TRIP_MS : 0,
                     .rate_bps = RATE_BPS,
                     .tls = tls,
                     .login = true}},
        .files = FILES,
        .file_size = FILE_SIZE,
    };
    struct stage s;
    char words[200], cold[64], warm[64];

    snprintf(cold, sizeof(cold), "first 64 KiB, %s, no connection yet", tls ? "TLS" : "plain");
    snprintf(warm, sizeof(warm), "first 64 KiB, %s, warm connections", tls ? "TLS" : "plain");
    stage_open(&s, r, &o);
    scenario_settings(r, "%s", stage_words(&s, words));
    for (unsigned i = 0; i < r->rounds; i++) {
        stage_mount(&s, "early=yes");
        cold_read(r, &s, cold);
        warm_reads(r, &s, warm);
        stage_unmount(&s);
    }
    scenario_most(r, warm, SCENARIO_MEDIAN, bound_ms(&s, WARM_TRIPS));
    scenario_most(r, cold, SCENARIO_MEDIAN, bound_ms(&s, COLD_TRIPS));
    stage_close(&s);
}

static void first_run(struct scenario_run *r)
{
    kind_run(r, false);
    kind_run(r, true);
    scenario_note(r,
                  "bounds: 2 round trips (6 where there is no connection) + %.0f ms on the wire "
                  "+ 10 ms",
                  (double)FIRST * 1.032 / RATE_BPS * 1e3);
}

const struct scenario scenario_first = {"B1", "the first bytes of a cold file", first_run};
