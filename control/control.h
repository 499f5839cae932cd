/**
 * control — questions and commands to a running mount, over a Unix socket that only its owner can reach.
 *
 *     DIR/NAME.sock, DIR = $XDG_RUNTIME_DIR/nzbfs, for root /run/nzbfs; without XDG_RUNTIME_DIR
 *     /tmp/nzbfs-UID. $NZBFS_RUNTIME_DIR, where set, is DIR itself. DIR is made with mode 0700, and
 *     refused where it is somebody else's. NAME is the mountpoint with '+' for '/'; one that is too long
 *     for a socket's address is its end behind a hash. A mount may have had another environment (cron, a
 *     service) than who asks: of a user who is not root, they are looked for in all places that DIR may be,
 *     /run/user/UID/nzbfs among them.
 *
 * Protocol  The client sends one line, a JSON object: {"verb": "status", …}. The server answers one line, an
 *           object: {"ok": true, …} or {"ok": false, "error": "what failed, on what, and what to do"}, and
 *           closes. A line is at most CONTROL_LINE_MOST bytes. Who has not sent a whole line after
 *           CONTROL_PATIENCE_S, or has not read its answer then, is hung up on. Strings are UTF-8; bytes
 *           that are none stand as U+FFFD (control_string).
 * Verbs     Those of the caller, and "hello", which tells "mountpoint", its "name" here, and "pid".
 * Access    Directory 0700, socket 0600, and the peer's uid (SO_PEERCRED) is ours or root's.
 * Threads   The server has one, with an event loop of its own, on which verbs run: one at a time.
 * Errors    0, or -errno with one line in err[errlen].
 */
#ifndef CONTROL_CONTROL_H
#define CONTROL_CONTROL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define CONTROL_LINE_MOST  ((size_t)1 << 20)
#define CONTROL_PATIENCE_S 10
#define CONTROL_HANDOVER_S 2
#define CONTROL_PATH_MOST  108 /* of sockaddr_un */

/* --- the server's side ------------------------------------------------------------------------- */

struct control;

/** One verb. Runs on the control thread; may take locks and read files, and must not wait for the network.
 *  `ask` is lent. The answer's members go into `answer`. 0, or -errno with one line in err[errlen]. */
struct control_verb {
    const char *name;
    int (*run)(void *arg, const json_t *ask, json_t *answer, char *err, size_t errlen);
};

/** Listen for `mountpoint` (absolute; copied). `verbs` (ended by a NULL name) and `arg` are lent until
 *  control_stop(). A socket that nobody listens on any more is replaced. -EADDRINUSE: somebody does, and
 *  has not ended within CONTROL_HANDOVER_S: a mount that was just unmounted takes a moment. */
int control_start(const char *mountpoint, const struct control_verb *verbs, void *arg,
                  struct control **out, char *err, size_t errlen);

/** Hangs up, removes the socket, joins the thread. NULL: nothing. */
void control_stop(struct control *c);

/* --- the client's side ------------------------------------------------------------------------- */

/** All running mounts of this user, in the order of their names: `each` gets the mountpoint of one after the
 *  other until it says false. Sockets that nobody listens on are removed. A mount that does not answer
 *  is passed over; -ETIMEDOUT, or what else its error was, is returned once all others were told. */
int control_each(bool (*each)(void *arg, const char *mountpoint), void *arg, char *err,
                 size_t errlen);

/** Ask the mount at `mountpoint` (absolute). *answer is the caller's (json_decref). -ENOENT: nothing is
 *  mounted there by this user; -EREMOTEIO: the mount said no, with its words in err; -ETIMEDOUT: it does
 *  not answer; -EACCES: the directory is somebody else's. */
int control_ask(const char *mountpoint, const json_t *ask, json_t **answer, char *err,
                size_t errlen);

/* --- both -------------------------------------------------------------------------------------- */

/** A string of any bytes: those that are not UTF-8 become U+FFFD each. NULL: no memory. */
json_t *control_string(const char *bytes);

#endif
