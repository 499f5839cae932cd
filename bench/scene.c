#include "bench/scene.h"
#include "bench/child.h"
#include "nzb/nzb.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_S   120.0
#define ARGS_MOST    64
#define READAHEAD_KB 1024

/* Only one at a time: what an early exit has to clean up. */
static struct scene *current;

static void scene_clean(void)
{
    struct scene *s = current;
    char cmd[256];

    if (!s)
        return;
    current = NULL;
    if (s->newsd > 0)
        child_end(s->newsd, SIGTERM, NULL);
    snprintf(cmd, sizeof(cmd), "fusermount3 -u -q '%s' 2>/dev/null; rm -rf '%s'", s->mountpoint,
             s->folder);
    if (system(cmd) != 0)
        fprintf(stderr, "bench: %s may be left behind\n", s->folder);
}

static _Noreturn void fail(const char *what, const char *on)
{
    fprintf(stderr, "bench: %s: %s\n", on, what);
    exit(1); /* scene_clean() runs by atexit */
}

static void pause_a_little(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

static bool has_ended(pid_t pid)
{
    siginfo_t info = {0};

    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid;
}

/* "host=… port=… ca=…", written whole once the server accepts. */
static void ready_await(struct scene *s, const char *path)
{
    unsigned port = 0;
    char line[512] = "";

    for (double start = now_s();; pause_a_little()) {
        FILE *f = fopen(path, "r");
        if (f) {
            if (!fgets(line, sizeof(line), f))
                line[0] = '\0';
            fclose(f);
            if (sscanf(line, "host=%63s port=%u ca=%255s", s->host, &port, s->ca_file) >= 2)
                break;
        }
        if (has_ended(s->newsd))
            fail("the news server ended", s->log);
        if (now_s() - start > PATIENCE_S)
            fail("the news server does not get ready", s->log);
    }
    s->port = (uint16_t)port;
}

static void server_start(struct scene *s, const struct scene_options *o)
{
    char ready[128], latency[32], rate[32], generate[256][96];
    const char *argv[ARGS_MOST + 2 * 256];
    unsigned n = 0;

    snprintf(ready, sizeof(ready), "%s/ready", s->folder);
    snprintf(latency, sizeof(latency), "%u", o->latency_ms);
    snprintf(rate, sizeof(rate), "%llu", (unsigned long long)o->rate_bps);
    const char *fixed[] = {o->newsd,    "--ready-file", ready,       "--nzb", s->nzb_path,
                           "--control", s->control,     "--latency", latency};
    memcpy(argv, fixed, sizeof(fixed));
    n = sizeof(fixed) / sizeof(*fixed);
    if (o->rate_bps) {
        argv[n++] = "--rate";
        argv[n++] = rate;
    }
    if (o->tls)
        argv[n++] = "--tls";
    if (o->files > 256)
        fail("at most 256 files", "--files");
    uint64_t each = (uint64_t)o->megabytes * 1000000 / o->files;
    for (unsigned i = 0; i < o->files; i++) {
        snprintf(generate[i], sizeof(generate[i]), "file%03u.bin:%llu:%u", i,
                 (unsigned long long)each, i + 1);
        argv[n++] = "--generate";
        argv[n++] = generate[i];
    }
    argv[n] = NULL;
    s->bytes = each * o->files;
    s->newsd = child_spawn(s->log, argv);
    ready_await(s, ready);
}

static void config_write(const struct scene *s, const struct scene_options *o)
{
    FILE *f = fopen(s->config, "w");

    if (!f)
        fail(strerror(errno), s->config);
    fprintf(f, "[provider bench]\nhost = %s\nport = %u\ntls = %s\n", s->host, s->port,
            o->tls ? "yes" : "no");
    if (o->tls)
        fprintf(f, "ca_file = %s\n", s->ca_file);
    fprintf(f,
            "connections = %u\n[class streaming]\nguaranteed = 100%%\nburst = 100%%\n"
            "[class queue]\nguaranteed = 0\n[class health]\nguaranteed = 0\n"
            "[cache]\nmemory = %llu\n",
            o->connections, (unsigned long long)o->cache_bytes);
    if (fclose(f))
        fail(strerror(errno), s->config);
}

void scene_open(struct scene *s, const struct scene_options *o)
{
    char err[512];

    *s = (struct scene){.folder = "/tmp/nzbfs-bench-XXXXXX"};
    if (!mkdtemp(s->folder))
        fail(strerror(errno), s->folder);
    snprintf(s->mountpoint, sizeof(s->mountpoint), "%s/mnt", s->folder);
    snprintf(s->config, sizeof(s->config), "%s/nzbfs.conf", s->folder);
    snprintf(s->nzb_path, sizeof(s->nzb_path), "%s/bench.nzb", s->folder);
    snprintf(s->control, sizeof(s->control), "%s/control", s->folder);
    snprintf(s->log, sizeof(s->log), "%s/log", s->folder);
    current = s;
    atexit(scene_clean);
    if (mkdir(s->mountpoint, 0700))
        fail(strerror(errno), s->mountpoint);
    server_start(s, o);
    config_write(s, o);
    if (nzb_load(s->nzb_path, &s->nzb, err, sizeof(err)))
        fail(err, "NZB");
}

void scene_close(struct scene *s)
{
    nzb_free(s->nzb);
    scene_clean();
}

/* --- the server's counters --------------------------------------------------------------------- */

uint64_t scene_articles(const struct scene *s)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    char answer[4096] = "";
    size_t len = 0;
    ssize_t n;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(at.sun_path, sizeof(at.sun_path), "%s", s->control);
    if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof(at)) || write(fd, "stats\n", 6) != 6)
        fail(strerror(errno), s->control);
    while (!strchr(answer, '\n') && len < sizeof(answer) - 1 &&
           (n = read(fd, answer + len, sizeof(answer) - 1 - len)) > 0)
        len += (size_t)n;
    close(fd);
    const char *body = strstr(answer, "\"body\":"), *article = strstr(answer, "\"article\":");
    if (!body || !article)
        fail("no counters in the server's answer", s->control);
    return strtoull(body + 7, NULL, 10) + strtoull(article + 10, NULL, 10);
}

/* --- mounts ------------------------------------------------------------------------------------ */

static void readahead_raise(dev_t dev)
{
    char path[96];

    snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/read_ahead_kb", major(dev), minor(dev));
    FILE *f = fopen(path, "w");
    if (!f)
        return; /* not root: then fs/ could not either */
    fprintf(f, "%d", READAHEAD_KB);
    fclose(f);
}

void scene_await_mount(const struct scene *s, pid_t pid)
{
    struct stat above, at;

    if (stat(s->folder, &above))
        fail(strerror(errno), s->folder);
    for (double start = now_s();; pause_a_little()) {
        if (stat(s->mountpoint, &at) == 0 && at.st_dev != above.st_dev)
            break;
        if (has_ended(pid))
            fail("the mount ended before it answered", s->log);
        if (now_s() - start > PATIENCE_S)
            fail("the mount does not answer", s->log);
    }
    readahead_raise(at.st_dev);
}

pid_t scene_mount(const struct scene *s, const char *nzbfs, const char *mount_options)
{
    char options[512];

    snprintf(options, sizeof(options), "config=%s%s%s", s->config, mount_options ? "," : "",
             mount_options ? mount_options : "");
    const char *argv[] = {nzbfs, "mount", "-f", "-o", options, s->nzb_path, s->mountpoint, NULL};
    pid_t pid = child_spawn(s->log, argv);
    scene_await_mount(s, pid);
    return pid;
}

void scene_unmount(const struct scene *s, pid_t pid)
{
    char cmd[256];

    snprintf(cmd, sizeof(cmd), "fusermount3 -u '%s'", s->mountpoint);
    if (system(cmd) != 0)
        fail("cannot unmount", s->mountpoint);
    if (child_end(pid, 0, NULL))
        fail("it did not end well", s->log);
}
