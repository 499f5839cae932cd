/* loop — the workers that take requests from the kernel.
 *
 * Like libfuse's own loop but for two things: the number of threads is fixed and small, since none of them
 * ever waits for anything; and it can be stopped from anywhere, a signal handler included, without
 * cancelling threads. A worker reads until there is nothing left, then sleeps in epoll until the kernel
 * has a request (and wakes one worker for it, not all) or the fs is to stop. */
#define LOG_TAG "fs.loop"
#include "fs/mount.h"

#include "base/log.h"
#include "base/thread.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define WORKERS_MOST  64

/* How far the kernel reads ahead: one request of the largest size, where its default of 128 KiB would make
 * eight of it. */
#define READ_AHEAD_KB 1024

/* When the mount is to end: so often in a row may requests not be taken before the kernel is told to let go of them,
 * and how long to wait between further tries. */
#define FAULTS_MOST   100
#define FAULT_WAIT_MS 100

/* Only root may, so it is a gift and not a need. */
static void read_ahead_raise(struct fs_mount *m)
{
    struct statx sx;
    char path[96];
    /* DONT_SYNC: asking the mount itself from a worker is no good idea. */
    if (statx(AT_FDCWD, m->point, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_INO, &sx)) {
        log_debug("%s: %s: the kernel's readahead stays as it is", m->point, strerror(errno));
        return;
    }
    m->connection = sx.stx_dev_minor;
    snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/read_ahead_kb", sx.stx_dev_major,
             sx.stx_dev_minor);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || dprintf(fd, "%d\n", READ_AHEAD_KB) < 0)
        log_debug("%s: %s: the kernel's readahead stays as it is", path, strerror(errno));
    if (fd >= 0)
        close(fd);
}

static void tell_ready(struct fs_mount *m)
{
    if (!m->greeted || atomic_exchange(&m->told, true))
        return;
    read_ahead_raise(m);
    if (m->on_ready)
        m->on_ready(m->arg);
}

static int epoll_open(const struct fs_mount *m)
{
    int ep = epoll_create1(EPOLL_CLOEXEC);
    if (ep < 0)
        return -errno;
    struct epoll_event stop = {.events = EPOLLIN, .data.fd = m->fs->stop_fd};
    struct epoll_event fuse = {.events = EPOLLIN | EPOLLEXCLUSIVE,
                               .data.fd = fuse_session_fd(m->se)};
    if (epoll_ctl(ep, EPOLL_CTL_ADD, stop.data.fd, &stop) ||
        epoll_ctl(ep, EPOLL_CTL_ADD, fuse.data.fd, &fuse)) {
        int err = -errno;
        close(ep);
        return err;
    }
    return ep;
}

/* Take requests until there is none. 0; 1 when it is over; -errno. */
static int drain(struct fs_mount *m, struct fuse_buf *buf)
{
    for (;;) {
        int n = fuse_session_receive_buf(m->se, buf);
        if (n == -EINTR)
            continue;
        if (n == -EAGAIN)
            return 0;
        if (n <= 0 || fuse_session_exited(m->se))
            return n < 0 ? n : 1;
        fuse_session_process_buf(m->se, buf);
        if (!m->told)
            tell_ready(m);
        if (atomic_load(&m->fs->stopped))
            return 1;
    }
}

static int work(struct fs_mount *m, int ep)
{
    struct fuse_buf buf = {.mem = NULL};
    int end;
    while (!(end = drain(m, &buf))) {
        struct epoll_event e;
        int n = epoll_wait(ep, &e, 1, -1);
        if (n < 0 && errno != EINTR) {
            end = -errno;
            break;
        }
        if (n > 0 && e.data.fd == m->fs->stop_fd)
            break;
    }
    free(buf.mem);
    return end < 0 ? end : 0;
}

static void *worker_main(void *arg)
{
    struct fs_mount *m = arg;
    int ep = epoll_open(m);
    int err = ep < 0 ? ep : work(m, ep);
    if (err) {
        log_error("%s: taking requests from the kernel: %s: unmounting", m->point, strerror(-err));
        m->broken = err;
    }
    if (ep >= 0)
        close(ep);
    fs_stop(m->fs); /* one ends, all end */
    return NULL;
}

static int workers_start(struct fs_mount *m, pthread_t *threads, unsigned *n)
{
    int err = 0;
    for (*n = 0; *n < m->threads && *n < WORKERS_MOST && !err; *n += !err)
        err = thread_start(&threads[*n], worker_main, m);
    if (!err)
        return 0;
    fs_stop(m->fs);
    return err;
}

int fs_mount_serve(struct fs_mount *m)
{
    pthread_t threads[WORKERS_MOST];
    unsigned n;
    int fd = fuse_session_fd(m->se);
    if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK))
        return -errno;
    int err = workers_start(m, threads, &n);
    for (unsigned i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    return err ? err : m->broken;
}

/* Every request that is out, taken or not, ends with ECONNABORTED. Who has mounted may do the first, root the second. */
static void kernel_lets_go(const struct fs_mount *m)
{
    char path[64];
    snprintf(path, sizeof(path), "/sys/fs/fuse/connections/%u/abort", m->connection);
    int fd = m->connection ? open(path, O_WRONLY | O_CLOEXEC) : -1;
    bool done = fd >= 0 && write(fd, "1", 1) == 1;
    if (fd >= 0)
        close(fd);
    if (done || !umount2(m->point, MNT_FORCE))
        return;
    log_error(
        "%s: requests cannot be taken from the kernel any more, nor can it be made to let go of them: as root, "
        "echo 1 >%s",
        m->point, path);
}

void fs_mount_linger(struct fs_mount *m, int over_fd)
{
    unsigned faults = 0;
    struct fuse_buf buf = {.mem = NULL};
    struct pollfd fds[2] = {{.fd = over_fd, .events = POLLIN},
                            {.fd = fuse_session_fd(m->se), .events = POLLIN}};
    for (;;) {
        if (poll(fds, 2, -1) < 0)
            continue; /* EINTR */
        if (fds[0].revents)
            break;
        int n = fuse_session_receive_buf(m->se, &buf);
        if (n == -EINTR || n == -EAGAIN)
            continue;
        faults = n < 0 ? faults + 1 : 0;
        if (n > 0)
            fuse_session_process_buf(m->se, &buf);
        else if (!n)
            fds[1].fd = -1; /* unmounted: the kernel has let go of all requests */
        if (faults == FAULTS_MOST)
            kernel_lets_go(m);
        if (faults >= FAULTS_MOST)
            poll(NULL, 0, FAULT_WAIT_MS);
    }
    free(buf.mem);
}
