/** rig — a runtime directory of the test's own, a server with some verbs, and raw clients. */
#ifndef TESTS_CONTROL_RIG_H
#define TESTS_CONTROL_RIG_H

#include "control/internal.h"

#include <stdatomic.h>

#define RIG_PATIENCE_MS 100   /* of a server that is to lose it */
#define RIG_LONG_MS     60000 /* as good as for ever */

extern char rig_dir[64]; /* what NZBFS_RUNTIME_DIR says */
extern char rig_err[512];

/** A fixture: an empty directory for rig_dir to be made in, and all of it removed. */
void rig_setup(void);
void rig_teardown(void);

/** What verbs of the rig count. */
struct rig_counts {
    unsigned plain; /* touched by verbs only: they run one at a time */
    atomic_uint echoes;
};
extern struct rig_counts rig_counts;

/** Verbs: echo (what is asked comes back as "ask"), fail (-EINVAL with words), mute (an error without words),
 *  big ("n" bytes of text). */
extern const struct control_verb rig_verbs[];

/** A server that must start. */
struct control *rig_serve(const char *mountpoint, unsigned patience_ms);

/** A raw client of `mountpoint`'s socket. */
int rig_connect(const char *mountpoint);

/** Send all of it, as far as the server wants it. */
void rig_send(int fd, const char *bytes, size_t len);

/** What comes until the server hangs up, as JSON, or NULL where that is none; fd is closed. */
json_t *rig_answer(int fd);

/** Send the line, expect ok: false with `words` in "error". */
void rig_expect_refusal(const char *mountpoint, const char *line, const char *words);

/** The mount at `mountpoint` answers an echo. */
void rig_expect_alive(const char *mountpoint);

#endif
