/**
 * child — a process whose cost is measured.
 *
 * Units     CPU in seconds of user and system time together; memory in bytes.
 */
#ifndef BENCH_CHILD_H
#define BENCH_CHILD_H

#include <stdint.h>
#include <sys/types.h>

/** Start a program; its standard output and error go to `log` (NULL: ours). Exits the bench when it
 *  cannot. The child dies with us. */
pid_t child_spawn(const char *log, const char *const argv[]);

/** Run `fn(arg)` in a child of our own; its return value is the exit status. */
pid_t child_fork(int (*fn)(void *arg), void *arg);

/** CPU time so far of a live child. */
double child_cpu(pid_t pid);

/** The most memory it ever had resident, and how much now. */
uint64_t child_rss_peak(pid_t pid);
uint64_t child_rss(pid_t pid);

/** Send `sig` (0: none) and wait. Returns the exit status, or 128 + signal; *cpu (may be NULL) is the total. */
int child_end(pid_t pid, int sig, double *cpu);

double now_s(void);

#endif
