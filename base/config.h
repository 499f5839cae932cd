/**
 * config — what the user wrote in nzbfs.conf, checked and with defaults filled in.
 *
 * Shape     A plain value. Loaded once, read by whoever needs it, replaced whole on SIGHUP.
 * Errors    One line: "FILE:LINE: what is wrong and what would be right". An unknown key or section
 *           is an error. Nothing is left allocated after one.
 * Memory    Strings belong to the config; passwords are wiped by config_free().
 * Source    nzbfs.conf(5); the names are fixed.
 */
#ifndef BASE_CONFIG_H
#define BASE_CONFIG_H

#include "base/source.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_PROVIDERS 32

struct config_provider {
    char *name; /* of the section [provider NAME] */
    char *host;
    char *username; /* NULL: no AUTHINFO unless the server demands it */
    char *password;
    char *ca_file; /* NULL: the system's */
    unsigned port; /* 563 with tls, 119 without, unless set */
    unsigned connections;
    unsigned tier;
    unsigned weight;
    unsigned retention_days; /* 0: unknown, never skipped */
    unsigned pipelining;     /* commands in flight per connection, at most */
    uint64_t rate_bps;       /* 0: unlimited */
    bool tls;
    bool verify;
};

struct config_class {
    unsigned guaranteed, burst, weight; /* connections; percentages are resolved */
    unsigned per_stream;                /* 0: no cap */
    unsigned hedge; /* permille of what it brings that is asked for twice, at most */
};

struct config_pool {
    unsigned connections; /* resolved: min(set, sum of the providers') */
    unsigned reserve;
    unsigned warm; /* kept open while files are; 0: none */
    uint64_t rate_bps;
};

enum config_view { CONFIG_VIEW_RAW, CONFIG_VIEW_CONTENTS, CONFIG_VIEW_BOTH };

struct config_mount {
    long uid, gid; /* -1: the mounting user */
    unsigned umask;
    bool allow_other;
    bool default_permissions;
    bool direct_io;
    bool early; /* answer a read while its article is still coming; unless said otherwise */
    bool missing_zeros;
    enum config_view view;
    unsigned read_timeout_s;
    uint64_t readahead; /* bytes a sequential reader is kept ahead, at most */
    char *
        hide; /* names that are not shown, as fnmatch(3) has them and base/words.h parts them; NULL */
    char *passwords; /* of archives, one a line; NULL: none. Secret */
    char *scanners;  /* programs that only look around, as fs/scan.h has it; NULL: none */
};

struct config_timeouts {
    unsigned connect_s, stall_s, idle_s;
    unsigned probe_s; /* between attempts to open more than a provider was found to bear */
};

struct config {
    struct config_provider providers[CONFIG_PROVIDERS];
    unsigned nproviders;
    struct config_pool pool;
    struct config_class classes[TRAFFIC_CLASSES];
    uint64_t cache_memory;
    char *cache_disk; /* NULL: no disk tier */
    uint64_t cache_disk_size;
    struct config_mount mount;
    struct config_timeouts timeouts;
    unsigned threads; /* network loops; 0: chosen at start */
};

/** The file named, or where NULL the first that exists of $XDG_CONFIG_HOME/nzbfs/nzbfs.conf (or
 *  ~/.config/…) and /etc/nzbfs.conf. 0, or -errno with one line in err[errlen]. */
int config_load(const char *path, struct config **out, char *err, size_t errlen);

/** config_load() with settings on top of the file, each "SECTION.KEY=VALUE": "pool.rate=10M",
 *  "class.streaming.burst=60%", "provider.main.connections=20", "timeouts.stall=5". The result is that of
 *  the file with those lines changed, or added where they are not written; of two for one key the later
 *  one counts. What is changed in place only: [pool] but for its threads, [class …], [timeouts], and of a
 *  provider that the file has connections, tier, weight, retention_days, pipelining and rate. The
 *  file itself must parse; whether the shares fit is looked at once, with the settings. Messages
 *  begin with the setting at fault ("pool.rate=fast: …"), without its value where that may be secret. */
int config_load_with(const char *path, const char *const *settings, unsigned n, struct config **out,
                     char *err, size_t errlen);

/** The same two from memory; `name` stands for the file in messages. */
int config_parse(const char *text, size_t len, const char *name, struct config **out, char *err,
                 size_t errlen);
int config_parse_with(const char *text, size_t len, const char *name, const char *const *settings,
                      unsigned n, struct config **out, char *err, size_t errlen);

/** How many connections each class comes to hold while the `busy` ones want all they may have, the others
 *  nothing, and the providers of the lowest tier have every article and all their connections. */
void config_shares_when(const struct config *c, const bool busy[TRAFFIC_CLASSES],
                        unsigned out[TRAFFIC_CLASSES]);

/** Set one [mount] key as -o does ("umask", "022"); `value` NULL for a bare flag.
 *  -ENOENT: no such key. -EINVAL: a bad value; err says why. */
int config_mount_set(struct config *c, const char *key, const char *value, char *err,
                     size_t errlen);

void config_free(struct config *c);

#endif
