/* B10: a file is closed in mid-stream and opened again. Closing leaves nothing running; opening again costs nothing
 * for what was read, whether the kernel still has it or the cache does. */
#include "bench/child.h"
#include "bench/scenario.h"
#include "bench/scenario_play.h"
#include "bench/scenario_stage.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define CONNECTIONS 20u
#define LATENCY_MS  30u
#define READ        ((uint64_t)16 * 1000000)
#define BLOCK       ((size_t)64 << 10)
#define REOPENS     5u

static void kernel_forgets(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED))
        scenario_fail("does not leave the kernel's cache", path);
    close(fd);
}

/* How much comes after a close, beyond what was asked by then. */
static void close_measure(struct scenario_run *r, struct stage *s, const char *path)
{
    struct stage_counts closed, quiet, still;
    struct play p = {.len = READ, .seed = 1};

    snprintf(p.path, sizeof(p.path), "%s", path);
    play_start(&p);
    play_join(&p);
    stage_count(s, 0, &closed);
    play_free(&p);
    stage_settle(s, 300);
    stage_count(s, 0, &quiet);
    scenario_add(r, "asked for after the close", "articles",
                 (double)stage_since(&closed, &quiet).articles);
    scenario_add(r, "came after the close", "MB", (double)stage_since(&closed, &quiet).bytes / 1e6);
    play_sleep(r->quick ? 0.5 : 2);
    stage_count(s, 0, &still);
    scenario_add(r, "asked for once it was quiet", "articles",
                 (double)stage_since(&quiet, &still).articles);
}

static void reopen_measure(struct scenario_run *r, struct stage *s, const char *path)
{
    struct stage_counts before, after;

    stage_count(s, 0, &before);
    for (unsigned i = 0; i < REOPENS; i++)
        scenario_add(r, "first 64 KiB, the kernel has them", "ms",
                     play_once(path, 0, BLOCK, 1) * 1e3);
    for (unsigned i = 0; i < REOPENS; i++) {
        kernel_forgets(path);
        scenario_add(r, "first 64 KiB, the cache has them", "ms",
                     play_once(path, 0, BLOCK, 1) * 1e3);
    }
    for (unsigned i = 0; i < REOPENS; i++)
        scenario_add(r, "64 KiB where it was closed", "ms",
                     play_once(path, READ - BLOCK, BLOCK, 1) * 1e3);
    stage_settle(s, 300);
    stage_count(s, 0, &after);
    scenario_add(r, "asked for when opened again", "articles",
                 (double)stage_since(&before, &after).articles);
}

static void reopen_run(struct scenario_run *r)
{
    struct stage_options o = {
        .servers = {{.latency_ms = LATENCY_MS, .rate_bps = 2000000, .connections = CONNECTIONS}},
        .files = 1,
        .file_size = (uint64_t)80 * 1000000};
    struct stage s;
    char words[200], path[256];

    stage_open(&s, r, &o);
    scenario_settings(r, "%s; 16 of 80 MB read, closed, opened again %u times each way",
                      stage_words(&s, words), REOPENS);
    for (unsigned i = 0; i < r->rounds; i++) {
        stage_mount(&s, NULL);
        stage_path(&s, 0, path);
        close_measure(r, &s, path);
        reopen_measure(r, &s, path);
        stage_unmount(&s);
    }
    stage_close(&s);
    /* One for each connection may have left while the file was being closed. */
    scenario_most(r, "asked for after the close", SCENARIO_EACH, CONNECTIONS);
    scenario_most(r, "came after the close", SCENARIO_EACH,
                  CONNECTIONS * STAGE_ARTICLE * 1.04 / 1e6);
    scenario_most(r, "asked for once it was quiet", SCENARIO_EACH, 0);
    scenario_most(r, "asked for when opened again", SCENARIO_EACH, 0);
    scenario_most(r, "first 64 KiB, the kernel has them", SCENARIO_MEDIAN, 5);
    scenario_most(r, "first 64 KiB, the cache has them", SCENARIO_MEDIAN, 5);
}

const struct scenario scenario_reopen = {
    .name = "B10", .title = "a file is closed and opened again", .run = reopen_run};
