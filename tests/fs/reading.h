/**
 * reading — one file and the reads of it: what the tests of the read engine stand on.
 *
 * Shape     setup() and teardown() around each test; one that wants another file calls teardown() and
 *           rig_of(). Nothing is served unless the test serves it, and time stands still at fake_now_us.
 */
#ifndef TESTS_FS_READING_H
#define TESTS_FS_READING_H

#include "tests/fs/rig.h"

#include <check.h>

#define SEED 7
#define PART 10000u

extern const struct rig_file uniform; /* what setup() makes: ten parts, the last one short */
extern const struct rig_file uneven;  /* ten parts of all sizes */

extern struct rig *rig;
extern struct fs_node *film; /* the file */
extern uint64_t fake_now_us;
uint64_t fake_now(void);

void rig_of(const struct rig_file *f, struct config_mount mount, size_t budget);
void setup(void);
void teardown(void);

/** A read of the file that is still to be started; `ends` counts its done(). */
struct fs_read *reading(uint64_t off, uint32_t len);
extern unsigned ends;

/** Start it, serve what it asks for, and see it over. */
struct fs_read *read_over(struct fs_read *r);

/** What became of it; these end it. */
void expect_bytes(struct fs_read *r, uint64_t off, size_t len);
void expect_error(struct fs_read *r, int err);

/** As stat tells it; UINT64_MAX: not known. */
uint64_t size_now(void);

/** main() of a suite with this case, between setup() and teardown(). */
int reading_main(Suite *s, TCase *t);

#endif
