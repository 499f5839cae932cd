/**
 * scene — a loopback news server with generated files, a configuration and a mountpoint, in a temporary
 * folder that scene_close() removes.
 *
 * Errors    Said on stderr; the bench exits 1 and leaves nothing behind.
 */
#ifndef BENCH_SCENE_H
#define BENCH_SCENE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct nzb;

struct scene_options {
    const char *newsd; /* path of nzbfs-newsd */
    unsigned megabytes, files, connections;
    unsigned latency_ms;
    uint64_t rate_bps; /* per connection; 0: none */
    uint64_t cache_bytes;
    bool tls;
};

struct scene {
    char folder[64], mountpoint[96], config[96], nzb_path[96], control[96], log[96], ca_file[256];
    char host[64];
    uint16_t port;
    struct nzb *nzb;
    uint64_t bytes; /* of all files together */
    pid_t newsd;
};

void scene_open(struct scene *s, const struct scene_options *o);
void scene_close(struct scene *s);

/** BODY and ARTICLE commands the server has seen. */
uint64_t scene_articles(const struct scene *s);

/** `nzbfs mount -f -o mount_options` (NULL: none) on the scene's NZB; returns once it answers. */
pid_t scene_mount(const struct scene *s, const char *nzbfs, const char *mount_options);

/** Wait until something is mounted, or exit when `pid` ends first. Raises the kernel's read-ahead as fs/ does. */
void scene_await_mount(const struct scene *s, pid_t pid);

/** Unmount, and wait for `pid` to end by that. */
void scene_unmount(const struct scene *s, pid_t pid);

#endif
