#include "cli/daemon.h"

#include "base/log.h"
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int ready_fd = -1;

__attribute__((noreturn)) static void parent_wait(int fd, pid_t child)
{
    char byte;
    ssize_t n;
    int status = 0;

    while ((n = read(fd, &byte, 1)) < 0 && errno == EINTR)
        ;
    if (n == 1)
        _exit(CLI_OK);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFSIGNALED(status)) {
        cli_error("the mount's process was ended by signal %d (%s) before it was ready",
                  WTERMSIG(status), strsignal(WTERMSIG(status)));
        _exit(CLI_FAILED);
    }
    _exit(WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : CLI_FAILED);
}

int daemon_fork(void)
{
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    pid_t child = fork();
    if (child < 0) {
        int rc = -errno;
        close(fds[0]);
        close(fds[1]);
        return rc;
    }
    if (child > 0) {
        close(fds[1]);
        parent_wait(fds[0], child);
    }
    close(fds[0]);
    ready_fd = fds[1];
    return 0;
}

void daemon_ready(void)
{
    if (ready_fd < 0)
        return;
    log_to_syslog("nzbfs");
    setsid();
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null >= 0) {
        for (int fd = 0; fd <= 2; fd++)
            dup2(null, fd);
        close(null);
    }
    /* Last, so that whoever waited for the parent finds the terminal free. When the parent has been
     * killed meanwhile the mount goes on: it was asked for. */
    if (write(ready_fd, "", 1) < 0 && errno != EPIPE)
        log_write(LOG_AT_WARN, "nzbfs", "cannot tell the parent that the mount is ready: %s",
                  strerror(errno));
    close(ready_fd);
    ready_fd = -1;
}
