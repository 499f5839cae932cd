/* What the files of control/ share: where sockets are (path.c), lines (answer.c), the server's parts. */
#ifndef CONTROL_INTERNAL_H
#define CONTROL_INTERNAL_H

#include "base/list.h"
#include "control/control.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <pthread.h>
#include <sys/types.h>
#include <sys/un.h>

#define CONTROL_WHY_MOST 1024 /* room for what went wrong, in a line */

/* --- path.c ------------------------------------------------------------------------------------ */

#define CONTROL_DIRS     3

/** Open the `nth` directory of those that DIR may be (0: where a mount makes its socket), made first where `make`
 *  says so, and verify that it is ours alone. Its path goes to dir[CONTROL_PATH_MOST]. The descriptor is
 *  the caller's; its flock() is held around every change to which sockets there are. -ERANGE: there are not
 *  that many. -ENOENT, or another -errno with one line in err. */
int control_dir_open(unsigned nth, bool make, char *dir, char *err, size_t errlen);

/** "/mnt/my film" is "mnt+my%20film": each mountpoint has one name, and each name one mountpoint. The
 *  caller's to free; NULL: no memory. */
char *control_name_encode(const char *mountpoint);

/** The mountpoint again; NULL: not a name, or no memory. */
char *control_name_decode(const char *name);

/** The address of the socket of `mountpoint` in `dir`. -ENAMETOOLONG: `dir` leaves no room. */
int control_address(const char *dir, const char *mountpoint, struct sockaddr_un *out, char *err,
                    size_t errlen);

/** A socket connected to `at`, within `patience_ms`; 0: at once. -ECONNREFUSED and -ENOENT: nobody
 *  listens. -ETIMEDOUT: somebody does, and does not come to it. Another -errno. */
int control_connect(const struct sockaddr_un *at, unsigned patience_ms);

/* --- answer.c ---------------------------------------------------------------------------------- */

/** What to send for the line `line` of `len` bytes: a line of *outlen bytes, the caller's to free, or NULL
 *  where there is no memory even for a refusal. */
char *control_answer(const struct control *c, const char *line, size_t len, size_t *outlen);

/** The line that says no. */
char *control_refusal(const char *why, size_t *outlen);

/* --- peer.c ------------------------------------------------------------------------------------ */

/** Clients that are listened to at once; others wait until one has gone. */
#define CONTROL_PEERS_MOST 16

/** One client. The control thread's. */
struct control_peer {
    struct control *control;
    struct list link;
    struct event ev;
    uint64_t deadline_us;
    char *in; /* what came, `len` of `room` bytes, with no line end among the first `scanned` */
    size_t len, room, scanned;
    char *out; /* NULL: still listening */
    size_t outlen, sent;
    int fd;
};

/** Take `fd` over, also on failure. */
int control_peer_new(struct control *c, int fd);

/** Hang up. */
void control_peer_free(struct control_peer *p);

/* --- server.c ---------------------------------------------------------------------------------- */

struct control {
    /* fixed after control_start() */
    char *mountpoint;
    const struct control_verb *verbs;
    void *arg;
    unsigned patience_ms;
    struct sockaddr_un at;
    dev_t dev; /* of the socket's name */
    ino_t ino;
    pthread_t thread;
    int fd, wake_fd;
    /* the control thread */
    struct event_base *base;
    struct event accept_ev, wake_ev, rest_ev;
    struct list peers;
    unsigned npeers;
};

/** control_start() with another patience than CONTROL_PATIENCE_S, and another wait for a server that ends. */
int control_start_patient(const char *mountpoint, const struct control_verb *verbs, void *arg,
                          unsigned patience_ms, unsigned handover_ms, struct control **out,
                          char *err, size_t errlen);

/** A client has gone: there is room for another. */
void control_peer_gone(struct control *c);

/* --- client.c ---------------------------------------------------------------------------------- */

int control_ask_patient(const char *mountpoint, const json_t *ask, unsigned patience_ms,
                        json_t **answer, char *err, size_t errlen);

#endif
