/**
 * mounts — running mounts, asked by a command: which one a path means, and what to say where none answers.
 *
 * Waiting   Bounded, as control_ask(). A mount that hangs is not touched: its path is only text here, unless
 *           nothing is known by that text.
 * Errors    Printed, one line each.
 */
#ifndef CLI_MOUNTS_H
#define CLI_MOUNTS_H

#include "control/control.h"

/** What to do with one mount's answer (lent). CLI_OK or CLI_FAILED. */
typedef int mounts_each(void *arg, const char *mountpoint, json_t *answer);

/** Ask the mount at `path`, as somebody typed it, or where that is NULL all of this user's. CLI_OK where
 *  every one answered and `each` was content; CLI_FAILED also where there is none. */
int mounts_ask(const char *path, const json_t *ask, mounts_each *each, void *arg);

#endif
