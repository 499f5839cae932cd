#include "bench/scenario_media.h"

#include "bench/child.h"
#include "bench/scenario.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARTICLES_MOST 4096

static char folder[64];

static void folder_clean(void)
{
    char cmd[128];

    snprintf(cmd, sizeof(cmd), "rm -rf '%s'", folder);
    if (system(cmd) != 0)
        fprintf(stderr, "bench: %s may be left behind\n", folder);
}

static const char *path_make(const char *name, char *room)
{
    if (!*folder) {
        snprintf(folder, sizeof(folder), "/tmp/nzbfs-bench-media-XXXXXX");
        if (!mkdtemp(folder))
            scenario_fail(strerror(errno), folder);
        atexit(folder_clean);
    }
    snprintf(room, 256, "%s/%s", folder, name);
    return room;
}

bool media_can(const char **missing)
{
    static const char *const needed[] = {"ffmpeg", "ffprobe", "strace"};
    char cmd[64];

    for (size_t i = 0; i < sizeof(needed) / sizeof(*needed); i++) {
        *missing = needed[i];
        snprintf(cmd, sizeof(cmd), "command -v %s >/dev/null", needed[i]);
        if (system(cmd) != 0)
            return false;
    }
    return true;
}

const char *media_film(const char *name, unsigned seconds, char *room)
{
    char picture[96], sound[64];

    snprintf(picture, sizeof(picture), "testsrc2=size=640x360:rate=25:duration=%u", seconds);
    snprintf(sound, sizeof(sound), "sine=frequency=440:duration=%u", seconds);
    const char *argv[] = {
        "ffmpeg", "-nostdin", "-v",    "error", "-f",   "lavfi", "-i",
        picture,  "-f",       "lavfi", "-i",    sound,  "-c:v",  "mpeg4",
        "-q:v",   "1",        "-g",    "25",    "-c:a", "aac",   path_make(name, room),
        NULL};
    if (child_end(child_spawn(NULL, argv), 0, NULL))
        scenario_fail("ffmpeg cannot make it", room);
    return room;
}

const char *media_again(const char *film, const char *name, char *room)
{
    if (link(film, path_make(name, room)))
        scenario_fail(strerror(errno), room);
    return room;
}

/* --- what strace says ------------------------------------------------------------------------------ */

/* The one file that is watched, while it is open. */
struct watched {
    const char *path;
    uint32_t article;
    int fd; /* -1: not open */
    uint64_t at, end;
    bool seen[ARTICLES_MOST];
    struct media_need need;
};

static void bytes_read(struct watched *w, uint64_t off, uint64_t n)
{
    if (!n)
        return;
    if (off != w->end || !w->need.runs)
        w->need.runs++;
    w->end = off + n;
    w->need.bytes += n;
    for (uint64_t i = off / w->article; i <= (off + n - 1) / w->article; i++) {
        if (i >= ARTICLES_MOST)
            scenario_fail("too large a film", w->path);
        w->need.articles += !w->seen[i];
        w->seen[i] = true;
    }
}

/* "PID call(FD, …) = RESULT" */
static void line_read(struct watched *w, const char *line)
{
    const char *call = line + strspn(line, "0123456789 "), *open = strchr(call, '(');
    const char *result = strrchr(line, '=');

    if (!open || !result)
        return;
    long long value = strtoll(result + 1, NULL, 10);
    long fd = strtol(open + 1, NULL, 10);
    if (strncmp(call, "openat(", 7) == 0) {
        if (strstr(call, w->path) && value >= 0)
            *w = (struct watched){.path = w->path, .article = w->article, .fd = (int)value};
    } else if (w->fd < 0 || fd != w->fd || value < 0) {
        return;
    } else if (strncmp(call, "lseek(", 6) == 0) {
        w->at = (uint64_t)value;
    } else if (strncmp(call, "read(", 5) == 0) {
        bytes_read(w, w->at, (uint64_t)value);
        w->at += (uint64_t)value;
    } else if (strncmp(call, "close(", 6) == 0) {
        w->fd = -1;
    }
}

struct media_need media_look(const char *path, uint32_t article)
{
    struct watched w = {.path = path, .article = article, .fd = -1};
    char trace[256], line[1024];
    const char *argv[] = {"strace",
                          "-f",
                          "-o",
                          path_make("trace", trace),
                          "-e",
                          "trace=openat,lseek,read,close",
                          "-s",
                          "0",
                          "ffprobe",
                          "-v",
                          "error",
                          "-show_format",
                          "-show_streams",
                          path,
                          NULL};

    if (child_end(child_spawn("/dev/null", argv), 0, NULL))
        scenario_fail("strace or ffprobe fails", path);
    FILE *f = fopen(trace, "re");
    if (!f)
        scenario_fail(strerror(errno), trace);
    while (fgets(line, sizeof(line), f))
        line_read(&w, line);
    fclose(f);
    unlink(trace);
    if (!w.need.articles)
        scenario_fail("ffprobe reads nothing", path);
    return w.need;
}
