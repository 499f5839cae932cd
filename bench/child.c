#include "bench/child.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void die(const char *what)
{
    perror(what);
    exit(1);
}

double now_s(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static pid_t fork_or_die(void)
{
    fflush(stdout);
    fflush(stderr);
    pid_t pid = fork();
    if (pid < 0)
        die("fork");
    if (pid == 0)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    return pid;
}

pid_t child_spawn(const char *log, const char *const argv[])
{
    pid_t pid = fork_or_die();

    if (pid)
        return pid;
    if (log) {
        int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
        if (fd < 0)
            die(log);
        dup2(fd, STDOUT_FILENO);
        dup2(fd, STDERR_FILENO);
        close(fd);
    }
    execvp(argv[0],
           (char *const *)(uintptr_t)argv); /* execvp() changes nothing; its type predates const */
    perror(argv[0]);
    _exit(127);
}

pid_t child_fork(int (*fn)(void *arg), void *arg)
{
    pid_t pid = fork_or_die();

    if (pid == 0)
        _exit(fn(arg));
    return pid;
}

double child_cpu(pid_t pid)
{
    clockid_t clock;
    struct timespec ts;

    if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &ts))
        return 0;
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static uint64_t status_kib(pid_t pid, const char *key)
{
    char path[64], line[256];
    unsigned long long kib = 0;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    FILE *f = fopen(path, "r");
    if (!f)
        return 0;
    while (fgets(line, sizeof(line), f))
        if (strncmp(line, key, strlen(key)) == 0)
            kib = strtoull(line + strlen(key), NULL, 10);
    fclose(f);
    return (uint64_t)kib << 10;
}

uint64_t child_rss_peak(pid_t pid)
{
    return status_kib(pid, "VmHWM:");
}

uint64_t child_rss(pid_t pid)
{
    return status_kib(pid, "VmRSS:");
}

int child_end(pid_t pid, int sig, double *cpu)
{
    int status = 0;
    struct rusage u;

    if (sig)
        kill(pid, sig);
    if (wait4(pid, &status, 0, &u) != pid)
        die("wait4");
    if (cpu)
        *cpu = (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
               (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
