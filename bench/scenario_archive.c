/* A4 — what an encrypted set costs: the film by itself, in stored RAR 5 volumes, in encrypted ones and in an encrypted 7z
 * archive, each from beginning to end as fast as it goes. CPU is the daemon's alone, a GB, from when the archive is open: keys
 * are derived once.
 *
 * A8 — from `nzbfs mount` on a hundred RAR 5 volumes of random names in a random order to the first bytes of the film in
 * them; and the same for another such set of the mount, once the first was looked at. All first articles are to be
 * seen, since nothing else tells what is what: a hundred over twenty connections. Nothing less would bring them sooner: five
 * of them one after the other are on each connection's wire. */
#include "bench/child.h"
#include "bench/memory.h"
#include "bench/scenario.h"
#include "bench/scenario_play.h"
#include "bench/scenario_set.h"
#include "bench/scenario_stage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define GB          1e9

/* --- A4 ---------------------------------------------------------------------------------------- */

#define VOLUME      "50M"
#define COST_MOST   2.0
#define WARM_BESIDE ((uint64_t)512 << 20)

static const char posted[] = "the film as posted";

static double set_cost(struct scenario_run *r, struct stage *s, uint64_t size, const char *what)
{
    struct play p = {.block = (size_t)1 << 20, .forget = true, .seed = 1};
    char figure[96];

    memory_warm(size / 2 + WARM_BESIDE);
    stage_mount(s, NULL);
    snprintf(p.path, sizeof(p.path), "%s/" SET_FILM, s->mountpoint);
    double cpu = child_cpu(s->mount);
    play_once(p.path, 0, 1, 0);
    stage_settle(s, 100);
    snprintf(figure, sizeof(figure), "%s, to open it", what);
    scenario_add(r, figure, "s CPU", child_cpu(s->mount) - cpu);
    cpu = child_cpu(s->mount);
    play_start(&p);
    play_join(&p);
    cpu = child_cpu(s->mount) - cpu;
    if (p.bytes != size)
        scenario_fail("read too little", p.path);
    snprintf(figure, sizeof(figure), "%s, throughput", what);
    scenario_add(r, figure, "MB/s", (double)size / 1e6 / p.elapsed_s);
    scenario_add(r, what, "s CPU/GB", cpu * GB / (double)size);
    play_free(&p);
    stage_unmount(s);
    return cpu * GB / (double)size;
}

static void kind_run(struct scenario_run *r, struct set *t, uint64_t size, const char *what)
{
    char over[96], config[128];
    const struct stage_options o = {
        .servers = {{.connections = 20}}, .paths = (const char *const *)t->paths, .config = config};
    struct stage s;

    snprintf(config, sizeof(config), "[mount]\npasswords = %s/passwords\n", t->folder);
    stage_open(&s, r, &o);
    for (unsigned i = 0; i < r->rounds; i++)
        set_cost(r, &s, size, what);
    stage_close(&s);
    set_free(t);
    double plain = scenario_median(r, posted);
    if (what == posted)
        return;
    snprintf(over, sizeof(over), "%s, over the film as posted", what);
    scenario_add(r, over, "", scenario_median(r, what) / plain);
    scenario_most(r, over, SCENARIO_EACH, COST_MOST);
}

static void encrypted_run(struct scenario_run *r)
{
    uint64_t size = r->quick ? 120000000 : 480000000;
    struct set t;

    scenario_settings(r, "plain, 20 connections, no limits; %.2f GB, one file after the other",
                      (double)size / GB);
    set_film(&t, size, 1);
    kind_run(r, &t, size, posted);
    set_rar(&t, r, size, 1, "--volume-size " VOLUME);
    kind_run(r, &t, size, "RAR 5");
    set_rar(&t, r, size, 1, "--volume-size " VOLUME " --password " SET_PASSWORD);
    kind_run(r, &t, size, "RAR 5, encrypted");
    if (!set_7z()) {
        scenario_note(r, "there is no 7z here: not compared");
        return;
    }
    set_sevenz(&t, size, 1, "-p" SET_PASSWORD " -mhe=on");
    kind_run(r, &t, size, "7z, encrypted");
}

const struct scenario scenario_encrypted = {"A4", "what encrypted sets cost", encrypted_run};

/* --- A8 ---------------------------------------------------------------------------------------- */

#define ROUND_TRIP_MS 50
#define RATE_BPS      5000000
#define VOLUMES       100
#define VOLUME_SIZE   1600000 /* three articles */
#define FIRST         ((size_t)64 << 10)
#define COLD_TRIPS    10
#define SECOND_TRIPS  6
#define WIRE_ARTICLES 6

/* The posts of the server, from one NZB, in two: the first `n` and the rest. */
static void nzb_split(struct stage *s, unsigned n, char folder[96])
{
    static const char file[] = "  <file ";
    char *text = NULL, path[160];
    size_t room = 0;

    FILE *f = fopen(s->nzb_path, "r");
    if (!f || getdelim(&text, &room, '\0', f) < 0)
        scenario_fail(strerror(errno), s->nzb_path);
    fclose(f);
    const char *head = strstr(text, file), *cut = head, *end = strstr(text, "</nzb>");
    for (unsigned i = 0; cut && i < n; i++)
        cut = strstr(cut + 1, file);
    if (!cut || !end)
        scenario_fail("is not what was expected", s->nzb_path);
    snprintf(folder, 96, "%s/nzbs", s->folder);
    if (mkdir(folder, 0700))
        scenario_fail(strerror(errno), folder);
    for (unsigned i = 0; i < 2; i++) {
        const char *from = i ? cut : head, *to = i ? end : cut;
        snprintf(path, sizeof(path), "%s/%s.nzb", folder, i ? "two" : "one");
        if (!(f = fopen(path, "w")))
            scenario_fail(strerror(errno), path);
        fprintf(f, "%.*s%.*s</nzb>\n", (int)(head - text), text, (int)(to - from), from);
        if (fclose(f))
            scenario_fail(strerror(errno), path);
    }
    free(text);
}

static void film_open(struct scenario_run *r, struct stage *s, const char *path, unsigned seed,
                      double began_s, const char *what)
{
    struct stage_counts before, after;
    char figure[96];

    stage_count(s, 0, &before);
    play_once(path, 0, FIRST, seed);
    double took = now_s() - began_s;
    scenario_add(r, what, "ms", took * 1e3);
    stage_settle(s, 100);
    stage_count(s, 0, &after);
    struct stage_counts c = stage_since(&before, &after);
    snprintf(figure, sizeof(figure), "%s, articles in all", what);
    scenario_add(r, figure, "", (double)c.articles);
}

static double sum_ms(const struct stage *s, unsigned trips)
{
    return trips * ROUND_TRIP_MS + stage_wire_s(s, WIRE_ARTICLES * STAGE_ARTICLE) * 1e3;
}

/* A hundred articles on twenty connections, one right behind the other. */
static double least_ms(const struct stage *s, unsigned trips)
{
    return trips * ROUND_TRIP_MS + stage_wire_s(s, VOLUMES / 20 * STAGE_ARTICLE) * 1e3;
}

/* With PAR2 files, which give the names back: an index and a recovery file. */
static void hidden_kind(struct scenario_run *r, bool par2)
{
    char options[128], words[200], folder[96], path[256], cold[96], second[96];
    const char *paths[2 * SET_POSTS + 1];
    struct set sets[2];
    unsigned n = 0;
    struct stage s;

    snprintf(cold, sizeof(cold), "from starting nzbfs to 64 KiB of the film%s",
             par2 ? ", with PAR2" : "");
    snprintf(second, sizeof(second), "another set of the mount%s", par2 ? ", with PAR2" : "");
    snprintf(options, sizeof(options), "--volume-size %u --obfuscate --shuffle%s", VOLUME_SIZE,
             par2 ? " --par2 1" : "");
    for (unsigned i = 0; i < 2; i++) {
        set_rar(&sets[i], r, (uint64_t)(VOLUME_SIZE - 200) * VOLUMES, i + 1, options);
        if (sets[i].nposts != VOLUMES + (par2 ? 2 : 0))
            scenario_fail("another number of posts", sets[i].folder);
        for (unsigned k = 0; k < sets[i].nposts; k++)
            paths[n++] = sets[i].paths[k];
    }
    paths[n] = NULL;
    const struct stage_options o = {.servers = {{.latency_ms = ROUND_TRIP_MS,
                                                 .rate_bps = RATE_BPS,
                                                 .connections = 20,
                                                 .login = true}},
                                    .paths = paths};
    stage_open(&s, r, &o);
    if (!par2)
        scenario_settings(r, "%s; %u RAR 5 volumes of three articles, random names and order",
                          stage_words(&s, words), VOLUMES);
    nzb_split(&s, sets[0].nposts, folder);
    memcpy(s.nzb_path, folder, sizeof(folder));
    for (unsigned i = 0; i < r->rounds; i++) {
        double began = now_s();
        stage_mount(&s, NULL);
        snprintf(path, sizeof(path), "%s/one/" SET_FILM, s.mountpoint);
        film_open(r, &s, path, 1, began, cold);
        snprintf(path, sizeof(path), "%s/two/" SET_FILM, s.mountpoint);
        film_open(r, &s, path, 2, now_s(), second);
        stage_unmount(&s);
    }
    scenario_most(r, cold, SCENARIO_MEDIAN, sum_ms(&s, COLD_TRIPS));
    scenario_most(r, second, SCENARIO_MEDIAN, sum_ms(&s, SECOND_TRIPS));
    if (par2)
        scenario_note(r,
                      "bounds: %u round trips (%u from a warm mount) and %u articles of %.0f ms on "
                      "the wire; a hundred articles at their best: %.0f and %.0f ms",
                      COLD_TRIPS, SECOND_TRIPS, WIRE_ARTICLES,
                      stage_wire_s(&s, STAGE_ARTICLE) * 1e3, least_ms(&s, 4), least_ms(&s, 1));
    stage_close(&s);
    for (unsigned i = 0; i < 2; i++)
        set_free(&sets[i]);
}

static void hidden_run(struct scenario_run *r)
{
    hidden_kind(r, false);
    hidden_kind(r, true);
}

const struct scenario scenario_hidden = {"A8", "a film in a hundred volumes that say nothing",
                                         hidden_run};
