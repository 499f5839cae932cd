/**
 * scenario_media — small films, and what a look at one needs to read.
 *
 * Shape     ffmpeg makes them in a folder of their own, which goes when the bench ends. strace tells which
 *           bytes ffprobe reads of one on a disk.
 * Errors    scenario_fail().
 */
#ifndef BENCH_SCENARIO_MEDIA_H
#define BENCH_SCENARIO_MEDIA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Whether there are ffmpeg, ffprobe and strace; else why not is in *missing. */
bool media_can(const char **missing);

/** So many seconds of film: Matroska with its cues, or MP4 with its index, behind the frames. The path is in
 *  room[256]; returned. */
const char *media_film(const char *name, unsigned seconds, char *room);

/** Another name for the same film. */
const char *media_again(const char *film, const char *name, char *room);

/** ffprobe reads a file on a disk: in how many stretches, and of how many articles of `article` bytes. */
struct media_need {
    unsigned runs, articles;
    uint64_t bytes;
};
struct media_need media_look(const char *path, uint32_t article);

#endif
