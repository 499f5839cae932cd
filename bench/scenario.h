/**
 * scenario — what a person in front of a player meets, measured through a real mount.
 *
 * Shape     bench_player runs scenarios, one after the other. Each is a file scenario_NAME.c with one
 *           `const struct scenario`, named in the table of scenario.c; it opens its own stage
 *           (scenario_stage.h: news servers and a mount), reads (scenario_play.h), adds samples to
 *           figures and says their bounds. The framework prints medians, least and most, and judges.
 * Figures   Known by their text, in the order of their first sample: scenario_add() as often as
 *           there are samples, then scenario_most() or scenario_least(). A figure may have several bounds.
 * Verdict   A bound that is missed, or that has no samples, makes the exit status 1. Figures without a
 *           bound are told.
 * Threads   A run belongs to the thread that runs the scenario.
 * Errors    What is no figure (a server that does not start, a read that fails) is said on stderr by
 *           scenario_fail(), and the bench exits 1 with nothing left behind.
 */
#ifndef BENCH_SCENARIO_H
#define BENCH_SCENARIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct scenario_report;

struct scenario_run {
    const char *nzbfs, *newsd; /* absolute paths */
    const char *nzbget;        /* NULL: it is not here */
    unsigned rounds;           /* how often a scenario repeats itself; 1 with --quick */
    bool quick;                /* as short as still says something */
    struct scenario_report *report;
};

struct scenario {
    const char *name;  /* "B1" */
    const char *title; /* what happens, in a line */
    void (*run)(struct scenario_run *r);
};

/** What the servers are like and the player does: a line above the table. Several make several lines. */
__attribute__((format(printf, 2, 3))) void scenario_settings(struct scenario_run *r,
                                                             const char *fmt, ...);

/** A line below the table: what explains a figure, or was left out and why. */
__attribute__((format(printf, 2, 3))) void scenario_note(struct scenario_run *r, const char *fmt,
                                                         ...);

/** One sample of `figure` (copied, as `unit` is). */
void scenario_add(struct scenario_run *r, const char *figure, const char *unit, double value);

enum scenario_of { SCENARIO_MEDIAN, SCENARIO_P99, SCENARIO_EACH };

/** The median, the 99th percentile or each sample is to be at most (least) `bound`. */
void scenario_most(struct scenario_run *r, const char *figure, enum scenario_of of, double bound);
void scenario_least(struct scenario_run *r, const char *figure, enum scenario_of of, double bound);

/** Of the samples so far; `p` from 0 to 100. NAN when there are none. */
double scenario_percentile(const struct scenario_run *r, const char *figure, double p);
double scenario_median(const struct scenario_run *r, const char *figure);

/** "bench: ON: WHAT" on stderr; cleans up by atexit. */
_Noreturn void scenario_fail(const char *what, const char *on);

extern const struct scenario scenario_first;      /* B1 */
extern const struct scenario scenario_steady;     /* B2 */
extern const struct scenario scenario_seek;       /* B3 */
extern const struct scenario scenario_four;       /* B4 */
extern const struct scenario scenario_two;        /* B5 */
extern const struct scenario scenario_busy;       /* B6 */
extern const struct scenario scenario_failover;   /* B7 */
extern const struct scenario scenario_pause;      /* B8 */
extern const struct scenario scenario_skip;       /* B9 */
extern const struct scenario scenario_reopen;     /* B10 */
extern const struct scenario scenario_scan;       /* B11 */
extern const struct scenario scenario_scale;      /* B12 */
extern const struct scenario scenario_scale_free; /* B12F */
extern const struct scenario scenario_hedge;      /* B13 */
extern const struct scenario scenario_encrypted;  /* A4 */
extern const struct scenario scenario_hidden;     /* A8 */
extern const struct scenario scenario_memory;     /* MEM */

#endif
