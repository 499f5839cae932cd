/* B3 — a person drags the slider: bytes of a place where nobody has been, while the old place is still being
 * read ahead for.
 *
 *     read on until 20 articles are under way ── pread 64 KiB far away ── wait until all is quiet ── again
 *
 * A place within an article cannot come before the article's beginning, so that what is bounded is what a
 * seek takes beyond the time on the wire of the article up to its last wanted byte. What was asked for ahead
 * of the old place and never read is waste: at most what the connections were at.
 */
#include "bench/scenario.h"
#include "bench/scenario_play.h"
#include "bench/scenario_stage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ROUND_TRIP_MS 50
#define RATE_BPS      2000000
#define FIRST         ((size_t)64 << 10)
#define STEP          ((size_t)512 << 10)
#define UNDER_WAY     20
#define SITES         8
#define SITE_ARTICLES                                                                              \
    56 /* more than a window: no site has been read ahead for from the one before */
#define SITE_BYTES ((uint64_t)SITE_ARTICLES * STAGE_ARTICLE)
#define AHEAD_MOST 32 /* articles: no window is larger, and READ_MOST and this are within a site */
#define READ_MOST  ((uint64_t)14 * STAGE_ARTICLE)
#define TRIPS      2
#define SLACK_MS   10.0

/* Sites out of order, each once; within one, places all over an article. */
static uint64_t site_place(unsigned i)
{
    uint64_t site = (uint64_t)(i * 5 + 3) % SITES;

    /* Not the first article: it is there since the file was opened. */
    return site * SITE_BYTES + STAGE_ARTICLE + (uint64_t)(i * 211 % 640) * 1024;
}

struct seeker {
    struct scenario_run *r;
    struct stage *s;
    unsigned file; /* each round has its own: nobody has asked for its articles */
    int fd;
    uint64_t off;  /* where it reads on */
    uint64_t here; /* where this site was entered */
    char seek[96], wait[96], waste[96], ahead[96], under[96];
};

/* Read on, in sequence, until so many articles are under way; how many there were at last. */
static uint64_t read_on(struct seeker *k)
{
    struct stage_counts c;

    for (;;) {
        play_at(k->fd, k->off, STEP, k->file + 1);
        k->off += STEP;
        stage_count(k->s, 0, &c);
        if (c.in_flight >= UNDER_WAY || k->off - k->here > READ_MOST)
            return c.in_flight;
    }
}

/* The article behind the one that holds the last byte before `off`. */
static unsigned article_behind(uint64_t off)
{
    return (unsigned)((off - 1) / STAGE_ARTICLE) + 1;
}

static void seek_once(struct seeker *k, uint64_t to)
{
    uint64_t under_way = read_on(k), inside = to % STAGE_ARTICLE;
    unsigned old = article_behind(k->off), new = article_behind(to + FIRST);
    double took = play_at(k->fd, to, FIRST, k->file + 1);

    stage_settle(k->s, 100);
    struct stage_asked left = stage_asked(k->s, k->file, old, old + AHEAD_MOST);
    struct stage_asked ahead = stage_asked(k->s, k->file, new, new + AHEAD_MOST);
    scenario_add(k->r, k->seek, "ms", (took - stage_wire_s(k->s, inside + FIRST)) * 1e3);
    scenario_add(k->r, k->wait, "ms", took * 1e3);
    scenario_add(k->r, k->under, "", (double)under_way);
    scenario_add(k->r, k->waste, "", left.once + left.again);
    scenario_add(k->r, k->ahead, "", ahead.once);
    k->here = to;
    k->off = to + FIRST;
}

static void round_run(struct seeker *k)
{
    char path[256];
    unsigned n = k->r->quick ? 3 : SITES - 1;

    stage_mount(k->s, "early=yes");
    k->fd = open(stage_path(k->s, k->file, path), O_RDONLY | O_CLOEXEC);
    if (k->fd < 0)
        scenario_fail(strerror(errno), path);
    k->here = k->off = site_place(0);
    for (unsigned i = 1; i <= n; i++)
        seek_once(k, site_place(i));
    close(k->fd);
    stage_unmount(k->s);
}

/* `bounded` is where the pool has connections to spare beside what is read ahead. */
static void kind_run(struct scenario_run *r, unsigned connections, bool bounded)
{
    const struct stage_options o = {
        .servers = {{.latency_ms = ROUND_TRIP_MS,
                     .rate_bps = RATE_BPS,
                     .connections = connections}},
        .files = r->rounds,
        .file_size = SITES * SITE_BYTES,
    };
    struct stage s;
    struct seeker k = {.r = r, .s = &s};
    char words[200];

    snprintf(k.seek, sizeof(k.seek), "seek, beyond the wire, %u connections", connections);
    snprintf(k.wait, sizeof(k.wait), "seek until 64 KiB are there, %u connections", connections);
    snprintf(k.waste, sizeof(k.waste), "asked for at the old place, not read, %u connections",
             connections);
    snprintf(k.ahead, sizeof(k.ahead), "read ahead at the new place, %u connections", connections);
    snprintf(k.under, sizeof(k.under), "articles under way at the seek, %u connections",
             connections);
    stage_open(&s, r, &o);
    scenario_settings(r, "%s", stage_words(&s, words));
    for (; k.file < r->rounds; k.file++)
        round_run(&k);
    stage_close(&s);
    if (bounded) {
        scenario_most(r, k.seek, SCENARIO_MEDIAN, TRIPS * ROUND_TRIP_MS + SLACK_MS);
        scenario_least(r, k.under, SCENARIO_MEDIAN, UNDER_WAY);
    }
    scenario_most(r, k.waste, SCENARIO_EACH, connections);
}

static void seek_run(struct scenario_run *r)
{
    kind_run(r, 30, true);
    kind_run(r, 20, false);
    scenario_note(r,
                  "bounded where connections are free beside what is read ahead: 2 round trips and "
                  "10 ms; with 20 all are taken, and a seek waits for one of them");
}

const struct scenario scenario_seek = {"B3", "a seek while articles are read ahead elsewhere",
                                       seek_run};
