/**
 * verbs — what a mount does for `nzbfs status`, `reload` and `set`: the verbs of its control socket.
 *
 * Verbs     {"verb": "status"} — see figures.h, and who it is: "mountpoint", "source", "pid", "version",
 *           "uptime_s", "settings" in force.
 *           {"verb": "streams"} — see streams.h, and "mountpoint", "pid".
 *           {"verb": "reload"} — "providers", "connections", "dropped" (settings).
 *           {"verb": "set", "settings": ["pool.rate=10M", …]} — "providers", "connections", "settings".
 * Threads   They run on the control thread.
 */
#ifndef CLI_VERBS_H
#define CLI_VERBS_H

#include "cli/live.h"
#include "control/control.h"

struct verbs {
    const struct compose *world;
    struct live *live;
    const char *mountpoint, *source;
    uint64_t started_us;
};

/** For control_start(), with a `struct verbs` for its argument, lent until control_stop(). */
extern const struct control_verb verbs_table[];

#endif
