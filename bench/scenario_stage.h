/**
 * scenario_stage — news servers that behave as stated, generated or given files, and a mount, in a temporary
 * folder that is removed whatever happens.
 *
 * Shape     One stage at a time. stage_open() starts the servers; stage_mount() and stage_unmount() as often
 *           as a scenario likes: a new mount knows nothing, neither does the kernel of it.
 * Servers   All serve the same articles. Each is a process (nzbfs-newsd), so that its cost is its own.
 * Files     Generated ones are named file000.bin, file001.bin, …; byte x of file i is told by
 *           spool_bytes(i + 1, x, …). Given ones keep their names.
 * Errors    scenario_fail().
 */
#ifndef BENCH_SCENARIO_STAGE_H
#define BENCH_SCENARIO_STAGE_H

#include "bench/scenario.h"

#include <jansson.h>
#include <sys/types.h>

#define STAGE_SERVERS 4
#define STAGE_ARTICLE 750000u /* decoded bytes of an article, unless told otherwise */

struct nzb;

struct stage_server {
    unsigned latency_ms, jitter_ms; /* before each answer, the greeting too; 0 to jitter_ms more */
    unsigned handshake_ms;          /* before TLS's */
    uint64_t rate_bps;              /* a connection; 0: none */
    unsigned straggler_permille;    /* of articles at a tenth of the rate */
    unsigned connections;           /* what the mount's configuration says; 0: 20 */
    unsigned tier;
    bool tls, login;
    const char *const *arguments; /* more of nzbfs-newsd's, up to NULL; or NULL */
};

struct stage_options {
    struct stage_server servers[STAGE_SERVERS];
    unsigned nservers;        /* 0: one */
    unsigned files;           /* generated */
    uint64_t file_size;       /* of each */
    const char *const *paths; /* given files, up to NULL; or NULL */
    uint64_t cache_bytes;     /* 0: 256 MiB */
    const char *classes;      /* [class …] sections; NULL: streaming has everything */
    const char *config;       /* more sections at the end; or NULL */
};

struct stage_place {
    char host[64], ready[128], control[104], ca_file[256];
    unsigned port;
    pid_t pid;
};

struct stage {
    const struct scenario_run *run;
    struct stage_options options;
    char folder[64], mountpoint[96], config[96], nzb_path[96], log[96];
    struct stage_place servers[STAGE_SERVERS];
    struct nzb *nzb;
    pid_t mount; /* 0: not mounted */
};

/** `o` is copied; its strings are lent until stage_close(). */
void stage_open(struct stage *s, const struct scenario_run *r, const struct stage_options *o);

/** Unmounts where it is mounted. */
void stage_close(struct stage *s);

/** `nzbfs mount -f -o options` (NULL: none); returns once it answers. */
void stage_mount(struct stage *s, const char *options);
/** The same with what another process of ours mounts; it is taken: stage_unmount() waits for it. */
void stage_adopt(struct stage *s, pid_t pid);
/** Unmount, and wait for the process to end well by that. */
void stage_unmount(struct stage *s);

/** Where generated file `i` is, in room[256]; returned. */
const char *stage_path(const struct stage *s, unsigned i, char *room);

/** Send server `i` a control line (tests/lib/newsd_script.h); its answer is in out[room]. */
void stage_ask(const struct stage *s, unsigned i, const char *line, char *out, size_t room);

/** What servers have counted, since they started. */
struct stage_counts {
    uint64_t articles; /* BODY and ARTICLE */
    uint64_t stat, commands, missing;
    uint64_t accepted, logins, resumed_tls, refused;
    uint64_t bytes;
    uint64_t connections, in_flight; /* now */
};
#define STAGE_ALL STAGE_SERVERS
/** Of server `i`, or of all together. */
void stage_count(const struct stage *s, unsigned i, struct stage_counts *out);
/** What was counted between two of them; connections and in_flight are the later ones. */
struct stage_counts stage_since(const struct stage_counts *then, const struct stage_counts *now);

/** Of generated file `file`'s articles `from` up to before `to` (counted from 0; none are behind the end): how many were asked for at all
 *  servers together, and how many times beyond the first. */
struct stage_asked {
    unsigned once, again;
};
struct stage_asked stage_asked(const struct stage *s, unsigned file, unsigned from, unsigned to);

/** Wait until no article is on its way and none has been asked for in `quiet_ms`. */
void stage_settle(const struct stage *s, unsigned quiet_ms);

/** `nzbfs status --json` of the mount; json_decref() it. */
json_t *stage_status(const struct stage *s);

/** How long `bytes` of payload are on the wire of server 0, in seconds; encoding adds about 3 %. */
double stage_wire_s(const struct stage *s, uint64_t bytes);

/** What server 0 is like, in words, for scenario_settings(): in room[200]; returned. */
const char *stage_words(const struct stage *s, char *room);

#endif
