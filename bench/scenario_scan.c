/* B11: somebody looks at files, and nobody watches them: ffprobe at films with their index behind the frames, and a
 * media server at all it has while a player plays. It costs the articles that hold what was read, and the player
 * does not notice. */
#include "bench/child.h"
#include "bench/scenario.h"
#include "bench/scenario_media.h"
#include "bench/scenario_play.h"
#include "bench/scenario_stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPEED      4000000u
#define RATE       2000000u
#define LATENCY_MS 30u
#define FILES_MOST 200u
#define AT_ONCE    4u

/* What one article takes. */
#define ARTICLE_MS (LATENCY_MS + (double)STAGE_ARTICLE * 1.04 / RATE * 1e3)

/* A player has settled behind so many blocks of 128 KiB. */
#define SETTLED    64u

struct film {
    const char *name;
    char path[256];
    struct media_need need;
};

struct scan {
    struct scenario_run *run;
    struct film films[3]; /* the two that are probed alone, and the one of the library */
    unsigned files;
    char (*library)[256];
    const char **paths; /* of all of them, for the stage */
};

static const char *on_mount(const struct stage *s, const char *path, char room[static 512])
{
    snprintf(room, 512, "%s/%s", s->mountpoint, strrchr(path, '/') + 1);
    return room;
}

static pid_t probe_start(const char *path)
{
    const char *argv[] = {"ffprobe", "-v", "error", "-show_format", "-show_streams", path, NULL};

    return child_spawn("/dev/null", argv);
}

static void probe_end(pid_t pid)
{
    if (child_end(pid, 0, NULL))
        scenario_fail("it does not know the film", "ffprobe");
}

/* Articles of all files but the generated one, which has a tag of its own. */
static uint64_t looked_at(const struct stage *s)
{
    char text[8192];
    json_error_t why;

    stage_ask(s, 0, "tags", text, sizeof(text));
    json_t *j = json_loads(text, 0, &why);
    if (!j)
        scenario_fail(why.text, "tags");
    uint64_t all =
        (uint64_t)json_integer_value(json_object_get(json_object_get(j, "all"), "commands"));
    uint64_t player =
        (uint64_t)json_integer_value(json_object_get(json_object_get(j, "z"), "commands"));
    json_decref(j);
    return all - player;
}

/* --- one file ---------------------------------------------------------------------------------------- */

static void probe_alone(struct scan *c, struct stage *s, const struct film *f)
{
    char path[512], figure[96];

    stage_mount(s, NULL);
    uint64_t before = looked_at(s);
    double start = now_s();
    probe_end(probe_start(on_mount(s, f->path, path)));
    double took = now_s() - start;
    stage_settle(s, 300);
    snprintf(figure, sizeof(figure), "ffprobe, %s: articles", f->name);
    scenario_add(c->run, figure, "", (double)(looked_at(s) - before));
    snprintf(figure, sizeof(figure), "ffprobe, %s: time", f->name);
    scenario_add(c->run, figure, "ms", took * 1e3);
    stage_unmount(s);
}

/* --- a library --------------------------------------------------------------------------------------- */

static void library_look(const struct scan *c, const struct stage *s)
{
    pid_t pids[AT_ONCE];
    char path[512];

    for (unsigned i = 0; i < c->files + AT_ONCE; i++) {
        if (i >= AT_ONCE && i - AT_ONCE < c->files)
            probe_end(pids[i % AT_ONCE]);
        if (i < c->files)
            pids[i % AT_ONCE] = probe_start(on_mount(s, c->library[i], path));
    }
}

static double worst_wait_ms(const struct play *p)
{
    double worst = 0;

    for (size_t i = SETTLED; i < p->blocks; i++)
        worst = p->waits_s[i] > worst ? p->waits_s[i] : worst;
    return worst * 1e3;
}

/* Returns the player's worst wait. */
static double play_beside(struct scan *c, struct stage *s, bool scanned)
{
    struct play p = {.rate_bps = SPEED, .seed = 1};

    stage_mount(s, NULL);
    stage_path(s, 0, p.path);
    play_start(&p);
    play_await(&p, (uint64_t)SETTLED * 131072);
    uint64_t before = looked_at(s);
    double start = now_s();
    if (scanned)
        library_look(c, s);
    else
        play_sleep(c->run->quick ? 4 : 10);
    double took = now_s() - start;
    play_stop(&p);
    play_join(&p);
    stage_settle(s, 300);
    double worst = worst_wait_ms(&p);
    if (scanned) {
        scenario_add(c->run, "scan: articles a file", "",
                     (double)(looked_at(s) - before) / (double)c->files);
        scenario_add(c->run, "scan: time a file", "ms", took * 1e3 / c->files);
        scenario_add(c->run, "scan: player's stalls together", "ms", p.stall_total_s * 1e3);
    }
    play_free(&p);
    stage_unmount(s);
    return worst;
}

static void library_round(struct scan *c, struct stage *s)
{
    double alone = play_beside(c, s, false), beside = play_beside(c, s, true);

    scenario_add(c->run, "player's worst wait, alone", "ms", alone);
    scenario_add(c->run, "player's worst wait, beside the scan", "ms", beside);
    scenario_add(c->run, "player's worst wait, by how much longer", "ms", beside - alone);
}

/* --- the scenario ------------------------------------------------------------------------------------ */

static void films_make(struct scan *c)
{
    static const char *const names[] = {"long.mkv", "long.mp4", "short.mkv"};
    static const char *const words[] = {"MKV with cues", "MP4, index last", "the library's"};
    char name[32];

    c->library = calloc(c->files, sizeof(*c->library));
    c->paths = calloc(c->files + 3, sizeof(*c->paths));
    if (!c->library || !c->paths)
        scenario_fail("no memory", "films");
    for (unsigned i = 0; i < 3; i++) {
        struct film *f = &c->films[i];
        f->name = words[i];
        media_film(names[i], i == 2 ? 8 : 40, f->path);
        f->need = media_look(f->path, STAGE_ARTICLE);
        scenario_note(c->run, "%s: ffprobe reads %.2f MB in %u runs, of %u articles", f->name,
                      (double)f->need.bytes / 1e6, f->need.runs, f->need.articles);
        if (i < 2)
            c->paths[i] = f->path;
    }
    for (unsigned i = 0; i < c->files; i++) {
        snprintf(name, sizeof(name), "scan%03u.mkv", i);
        c->paths[2 + i] = media_again(c->films[2].path, name, c->library[i]);
    }
}

static double most_articles(const struct film *f)
{
    return f->need.articles + f->need.runs;
}

static void bounds_say(struct scan *c)
{
    scenario_most(c->run, "ffprobe, MKV with cues: articles", SCENARIO_EACH,
                  most_articles(&c->films[0]));
    scenario_most(c->run, "ffprobe, MP4, index last: articles", SCENARIO_EACH,
                  most_articles(&c->films[1]));
    scenario_most(c->run, "scan: articles a file", SCENARIO_EACH, most_articles(&c->films[2]));
    /* Or it was not they that were counted. */
    scenario_least(c->run, "scan: articles a file", SCENARIO_EACH, 1);
    scenario_most(c->run, "player's worst wait, by how much longer", SCENARIO_MEDIAN, ARTICLE_MS);
}

static void scan_run(struct scenario_run *r)
{
    static const char *const tag[] = {"--tag", "file000.bin:z", NULL};
    struct scan c = {.run = r, .files = r->quick ? FILES_MOST / 5 : FILES_MOST};
    struct stage s;
    const char *missing;
    char words[200];

    if (!media_can(&missing)) {
        scenario_note(r, "left out: there is no %s here", missing);
        return;
    }
    films_make(&c);
    struct stage_options o = {
        .servers = {{.latency_ms = LATENCY_MS, .rate_bps = RATE, .arguments = tag}},
        .files = 1,
        .file_size = (uint64_t)400 * 1000000,
        .paths = c.paths};
    stage_open(&s, r, &o);
    scenario_settings(r, "%s; %u files looked at by ffprobe, %u at once; a player of 4 MB/s",
                      stage_words(&s, words), c.files, AT_ONCE);
    for (unsigned i = 0; i < r->rounds; i++) {
        probe_alone(&c, &s, &c.films[0]);
        probe_alone(&c, &s, &c.films[1]);
        library_round(&c, &s);
    }
    stage_close(&s);
    bounds_say(&c);
    free(c.library);
    free(c.paths);
}

const struct scenario scenario_scan = {
    .name = "B11", .title = "a media server looks at its library", .run = scan_run};
