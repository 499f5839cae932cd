/**
 * mounted — a rig whose files are mounted: what the tests of the mount stand on.
 *
 * Shape     One mount at a time, on `point`; up() and down() around what a test does. Its clock stands
 *           still: no deadline passes by itself, the tests say when (fs_expire).
 * Threads   path() may be called by any, each has its own.
 */
#ifndef TESTS_FS_MOUNTED_H
#define TESTS_FS_MOUNTED_H

#include "tests/fs/rig.h"

#include <check.h>

#define MOUNTED_FILES 3

extern const struct rig_file files[MOUNTED_FILES]; /* one.bin, two.bin, three.bin: seeds 1, 2, 3 */
extern char point[];
extern struct rig *rig; /* from up() to down() */

uint64_t no_time(void);

void up(void);
void up_mount(struct config_mount mount); /* umask, readahead and owner are set here */
void up_with(const struct rig_config *cfg);

/** Stop, unmount and free; gone() when something else has ended the loop, or will. */
void down(void);
void gone(void);

/** The loop ends with this. */
void gone_with(int err);

/** Unmount from outside, as umount(8) does or fusermount3(1). False: refused, or nothing is mounted. */
bool detach(bool lazily);

/** Of a name in the mount; good until this thread's next call. */
const char *path(const char *name);

int open_file(const char *name);
void expect_read(int fd, uint64_t seed, uint64_t off, size_t len);
void expect_read_error(int fd, uint64_t off, int err);

/** main() of a suite: its exit status, 77 where nothing can be mounted. */
int mounted_main(Suite *s);

#endif
