/**
 * floors — the least that a stream through a mount can cost, measured by the same build.
 *
 * Shape     Each runs in a process of its own (bench/child.h) and does one thing only: receive,
 *           decode, check and discard; or answer FUSE reads from memory. What nzbfs needs beyond their
 *           sum is what scheduling, caching and handing over cost.
 */
#ifndef BENCH_FLOORS_H
#define BENCH_FLOORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nzb;

struct floor_client {
    const char *host;
    uint16_t port;
    const char *ca_file; /* NULL: plain */
    unsigned connections;
    unsigned depth; /* commands in flight on each */
    const struct nzb *nzb;
};

/** Fetch every segment once, decode it with its CRC into a scratch buffer, forget it. Returns the payload
 *  bytes; 0 after an error, which is said on stderr. */
uint64_t floor_client_run(const struct floor_client *f);

/** Serve one file "file" of `size` bytes of memory at `mountpoint` until it is unmounted. */
int floor_fuse_run(const char *mountpoint, uint64_t size, bool direct_io);

/** The kernel's readahead as nzbfs sets it, once the file of memory is mounted. */
void floor_fuse_raise(const char *mountpoint);

#endif
