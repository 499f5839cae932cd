/**
 * progress — how far it is, on standard error: a bar on a terminal, else a line now and then when it
 * takes longer than a second.
 *
 * Time      Comes in as an argument, in microseconds.
 * Threads   The owner's.
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    bool terminal, shown; /* shown: a bar stands on the line */
    uint64_t start_us, next_us;
    uint64_t window_us, window_bytes; /* where the rate is measured from */
    double rate;                      /* bytes a second, smoothed */
};

void progress_start(struct progress *p, bool terminal, uint64_t now_us);

/** `fetched` bytes in this run, `done` of `total` on disk. Says something when it is time. */
void progress_tick(struct progress *p, uint64_t now_us, uint64_t fetched, uint64_t done,
                   uint64_t total);

/** Take the bar away, to print a line in its place. */
void progress_clear(struct progress *p);

/** "3.2 GiB", "17 B". */
const char *progress_size(uint64_t n, char out[16]);

/** "1:02:03", "0:07". */
const char *progress_time(uint64_t s, char out[16]);

#endif
