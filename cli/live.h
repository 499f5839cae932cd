/**
 * live — a mount's configuration while it runs: read again, or changed for a while.
 *
 *     SIGHUP ───────────▶ live_reload ──┐
 *     nzbfs reload ─────▶ live_reload ──┼──▶ the file + settings + mount options ──▶ compose_reconfigure
 *     nzbfs set K=V… ───▶ live_set ─────┘
 *
 * Settings  "pool.rate=10M" (config_load_with) on top of the file, one for each key, until live_reload() drops
 *           them or the mount ends.
 * Threads   Any. Its lock lets one of these happen at a time, and is held while the file is read: whoever
 *           waits for it wants the same thing.
 */
#ifndef CLI_LIVE_H
#define CLI_LIVE_H

#include "cli/compose.h"
#include "cli/options.h"

#include <pthread.h>

#define LIVE_SETTINGS 256

struct live {
    /* fixed after live_init() */
    struct compose *world;
    const struct mount_options *options;
    /* under lock */
    pthread_mutex_t lock; /* before the pool's; nobody else takes it */
    char *settings[LIVE_SETTINGS];
    unsigned nsettings;
};

/** What was read. */
struct live_read {
    unsigned providers, connections, settings; /* in force now */
    unsigned dropped;                          /* settings that were, until now */
};

/** Both are lent until live_fini(). */
void live_init(struct live *l, struct compose *world, const struct mount_options *options);
void live_fini(struct live *l);

/** The configuration as the mount starts with it. */
int live_first(struct live *l, struct config **out, char *err, size_t errlen);

/** Read the file again; settings are dropped. 0, or -errno with one line in err[errlen] and nothing has
 *  changed. What was done is logged. */
int live_reload(struct live *l, struct live_read *out, char *err, size_t errlen);

/** Lay `n` settings on top (copied), in place of earlier ones of the same keys. Likewise. */
int live_set(struct live *l, const char *const *settings, unsigned n, struct live_read *out,
             char *err, size_t errlen);

/** What `look` says of the configuration in force, which is lent to it. It must not wait, nor come back here. */
int live_look(struct live *l, int (*look)(void *arg, const struct config *cfg), void *arg);

/** Copies of the settings in force, the caller's to free: how many, or -ENOMEM. */
int live_settings(struct live *l, char *out[LIVE_SETTINGS]);

#endif
