/**
 * scenario_set — films packed as posters pack them, for a stage to serve.
 *
 * Shape     A film is a file of bytes that spool_bytes() tells. It is packed into a folder of its own, whose files are
 *           what a stage's `paths` wants. RAR by nzbfs-setmaker (which is found beside nzbfs-newsd), 7z by 7z.
 * Errors    scenario_fail().
 */
#ifndef BENCH_SCENARIO_SET_H
#define BENCH_SCENARIO_SET_H

#include "bench/scenario.h"

#include <stdbool.h>
#include <stdint.h>

#define SET_FILM     "film.mkv"
#define SET_PASSWORD "secret"
#define SET_POSTS    512

struct set {
    /* The film's, the set's, and of a file `passwords`; it goes when the bench ends, or with set_free(). */
    char folder[64];
    char *paths[SET_POSTS + 1];
    unsigned nposts;
};

/** Whether there is a 7z. */
bool set_7z(void);

/** The film as it is, to be posted. */
void set_film(struct set *t, uint64_t size, uint64_t seed);

/** It in RAR volumes; `options` are more of nzbfs-setmaker's. */
void set_rar(struct set *t, const struct scenario_run *r, uint64_t size, uint64_t seed,
             const char *options);

/** It in a 7z archive, stored; `options` are more of 7z's. */
void set_sevenz(struct set *t, uint64_t size, uint64_t seed, const char *options);

void set_free(struct set *t);

#endif
