/* share — what part of the daemon's CPU goes into the scheduler and its lock while it streams.
 *
 * perf samples the daemon with its call chains while files are read through the mount. A sample is charged to
 * the innermost function of the program itself on its chain: what libc and the kernel do for it (the futex of a
 * lock, a timer being set, a page being made) is its doing, while the cache's work inside a callback is the
 * cache's. Functions are told apart by the source file in the program's debug information.
 *
 *     qos/                   the scheduler
 *     nntp/orders.c, pool.c  facts in, orders out: what is done under its lock
 *     pthread_mutex_…, futex anywhere below these: the lock
 *
 * Exit status 1: together they take LIMIT or more. 77: perf cannot be had here, so nothing was measured.
 */

#include "bench/child.h"
#include "bench/reader.h"
#include "bench/scene.h"
#include "nzb/nzb.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIMIT       0.02
#define SKIPPED     77
#define ROUNDS_MOST 50
#define FRAMES_MOST 64
#define NAMES_MOST  4096u

enum part { SCHEDULER, ORDERS, LOCK, CALLS, INBOX, OTHER, PARTS };

static const char *const part_names[PARTS] = {
    "scheduler (qos/)",
    "orders (nntp/orders.c, pool.c)",
    "the lock",
    "libc and kernel on their behalf",
    "beside it: loops' inboxes, wake-ups",
    "everything else",
};

enum room { ROOM_OTHER, ROOM_QOS, ROOM_ORDERS, ROOM_INBOX };

/* A function of the program that is of interest. Two static ones may have one name. */
struct function {
    char name[96];
    unsigned long long at;
    enum room room;
};

struct share {
    struct function functions[NAMES_MOST];
    unsigned nfunctions;
    uint64_t samples[PARTS], all;
    double cpu;
    uint64_t articles;
};

struct options {
    struct scene_options scene;
    unsigned rounds;
    bool parallel, json;
    const char *nzbfs;
};

static _Noreturn void skip(const char *why)
{
    fprintf(stderr, "bench: share is not measured: %s\n", why);
    exit(SKIPPED);
}

/* --- the program's functions ------------------------------------------------------------------- */

static enum room room_of(const char *file, const char *name)
{
    if (strstr(file, "/qos/"))
        return strstr(file, "/qos/stream.c") ? ROOM_OTHER : ROOM_QOS; /* windows, not the pool */
    if (strstr(file, "/nntp/orders.c") || strstr(file, "/nntp/pool.c") ||
        strstr(file, "/nntp/rates.c"))
        return ROOM_ORDERS;
    if (strcmp(name, "nntp_loop_post") == 0 || strcmp(name, "nntp_loop_settle") == 0 ||
        strcmp(name, "inbox_is_empty") == 0 || strcmp(name, "on_wake") == 0)
        return ROOM_INBOX;
    return ROOM_OTHER;
}

static void functions_read(struct share *s, const char *nzbfs)
{
    char cmd[4200], line[8192], name[96], type;
    unsigned long long at;
    int end;
    unsigned found = 0;

    snprintf(cmd, sizeof(cmd), "nm -l --defined-only '%s'", nzbfs);
    FILE *f = popen(cmd, "re");
    if (!f)
        skip("nm cannot be run");
    while (fgets(line, sizeof(line), f)) {
        if (sscanf(line, "%llx %c %95s%n", &at, &type, name, &end) != 3 || !strchr("tT", type))
            continue;
        enum room room = room_of(line + end, name);
        found += room == ROOM_QOS;
        if (s->nfunctions == NAMES_MOST)
            skip("the program has too many functions");
        struct function *fn = &s->functions[s->nfunctions++];
        *fn = (struct function){.at = at, .room = room};
        memcpy(fn->name, name, sizeof(name));
    }
    if (pclose(f) || !found)
        skip("nm finds no scheduler in the program (it needs debug information)");
}

/* By name, and where several have it by address. */
static enum room function_room(const struct share *s, const char *name, unsigned long long start)
{
    enum room room = ROOM_OTHER;

    for (unsigned i = 0; i < s->nfunctions; i++) {
        const struct function *f = &s->functions[i];
        if (strcmp(f->name, name) != 0)
            continue;
        room = f->room;
        if (f->at == start)
            return room;
    }
    return room;
}

/* --- samples ----------------------------------------------------------------------------------- */

struct frame {
    unsigned long long ip, off;
    char name[96];
    bool ours;
};

static bool frame_read(const char *line, const char *nzbfs, struct frame *f)
{
    const char *dso = strrchr(line, '(');

    *f = (struct frame){0};
    if (sscanf(line, " %llx %95[^+ \n]+%llx", &f->ip, f->name, &f->off) < 2)
        return false;
    f->ours = dso && strncmp(dso + 1, nzbfs, strlen(nzbfs)) == 0;
    return true;
}

static enum part part_of(const struct share *s, const struct frame *f, unsigned n)
{
    bool lock = false;
    unsigned i = 0;

    for (; i < n && !f[i].ours; i++)
        lock |= strstr(f[i].name, "mutex") || strstr(f[i].name, "futex") ||
                strstr(f[i].name, "lll_lock");
    if (i == n)
        return OTHER;
    switch (function_room(s, f[i].name, f[i].ip - f[i].off)) {
    case ROOM_QOS:
        return i ? CALLS : SCHEDULER;
    case ROOM_ORDERS:
        return !i ? ORDERS : lock ? LOCK : CALLS;
    case ROOM_INBOX:
        return INBOX;
    case ROOM_OTHER:
        break;
    }
    return OTHER;
}

static void samples_read(struct share *s, const char *data, const char *nzbfs)
{
    char cmd[512], line[4096];
    struct frame frames[FRAMES_MOST];
    unsigned n = 0;

    snprintf(cmd, sizeof(cmd), "perf script -i '%s' --no-inline -F ip,sym,symoff,dso 2>/dev/null",
             data);
    FILE *f = popen(cmd, "re");
    if (!f)
        skip("perf cannot be run");
    while (fgets(line, sizeof(line), f)) {
        if (n < FRAMES_MOST && frame_read(line, nzbfs, &frames[n])) {
            n++;
        } else if (line[strspn(line, " \t\n")] == '\0' && n) {
            s->samples[part_of(s, frames, n)]++;
            s->all++;
            n = 0;
        }
    }
    if (pclose(f))
        skip("perf script fails");
}

/* --- one round --------------------------------------------------------------------------------- */

/* perf is attached, and says so, before anything is read. */
struct sampler {
    pid_t pid;
    char data[128], control[128], answer[128];
    int control_fd, answer_fd;
};

static void sampler_say(struct sampler *p, const char *word)
{
    char answer[16] = "";
    size_t len = strlen(word);

    if (write(p->control_fd, word, len) != (ssize_t)len ||
        read(p->answer_fd, answer, sizeof(answer) - 1) <= 0 || strncmp(answer, "ack", 3) != 0)
        skip("perf cannot attach to the daemon");
}

static void sampler_start(struct sampler *p, const struct scene *s, pid_t pid)
{
    char number[16], fifos[300];

    snprintf(p->data, sizeof(p->data), "%s/perf.data", s->folder);
    snprintf(p->control, sizeof(p->control), "%s/perf.control", s->folder);
    snprintf(p->answer, sizeof(p->answer), "%s/perf.answer", s->folder);
    snprintf(number, sizeof(number), "%d", (int)pid);
    snprintf(fifos, sizeof(fifos), "--control=fifo:%s,%s", p->control, p->answer);
    if (mkfifo(p->control, 0600) || mkfifo(p->answer, 0600))
        skip(strerror(errno));
    p->control_fd = open(p->control, O_RDWR | O_CLOEXEC);
    p->answer_fd = open(p->answer, O_RDWR | O_CLOEXEC);
    if (p->control_fd < 0 || p->answer_fd < 0)
        skip(strerror(errno));
    const char *argv[] = {"perf", "record", "-q",  "-e",           "cpu-clock",  "-F", "1999",
                          "-D",   "-1",     fifos, "--call-graph", "dwarf,4096", "-p", number,
                          "-o",   p->data,  NULL};
    p->pid = child_spawn(s->log, argv);
    /* Both ends of the answers are ours: without perf there would be no end of waiting for one. */
    for (unsigned i = 0; i < 500; i++) {
        int status;
        if (access(p->data, F_OK) == 0)
            break;
        if (waitpid(p->pid, &status, WNOHANG) == p->pid || i == 499)
            skip("perf is not there, or may not sample (kernel.perf_event_paranoid)");
        usleep(10000);
    }
    sampler_say(p, "enable\n");
}

static void sampler_stop(struct sampler *p)
{
    sampler_say(p, "disable\n");
    child_end(p->pid, SIGINT, NULL);
    close(p->control_fd);
    close(p->answer_fd);
    unlink(p->control);
    unlink(p->answer);
}

static void round_run(struct share *sh, const struct options *o, const struct scene *s)
{
    struct sampler p;
    double first;
    pid_t pid = scene_mount(s, o->nzbfs, NULL);

    sampler_start(&p, s, pid);
    double cpu = child_cpu(pid);
    uint64_t asked = scene_articles(s);
    uint64_t bytes = reader_all(s, o->parallel, &first);
    sh->cpu += child_cpu(pid) - cpu;
    sh->articles += scene_articles(s) - asked;
    sampler_stop(&p);
    scene_unmount(s, pid);
    if (bytes != s->bytes)
        fprintf(stderr, "bench: read %llu of %llu bytes\n", (unsigned long long)bytes,
                (unsigned long long)s->bytes);
    samples_read(sh, p.data, o->nzbfs);
    unlink(p.data);
}

/* --- the table --------------------------------------------------------------------------------- */

static int report(const struct options *o, const struct scene *s, const struct share *sh)
{
    double n = (double)sh->all, counts = 0;

    if (!sh->all || !sh->articles)
        skip("perf took no samples");
    for (unsigned i = SCHEDULER; i <= CALLS; i++)
        counts += (double)sh->samples[i];
    double part = counts / n, us = part * sh->cpu * 1e6 / (double)sh->articles;
    if (o->json) {
        printf("{\"bench\":\"share\",\"tls\":%s,\"connections\":%u,\"files\":%zu,\"latency_ms\":%u,"
               "\"samples\":%llu,\"scheduler\":%.5f,\"orders\":%.5f,\"lock\":%.5f,\"calls\":%.5f,"
               "\"inbox\":%.5f,\"share\":%.5f,\"us_per_article\":%.2f}\n",
               o->scene.tls ? "true" : "false", o->scene.connections, s->nzb->nfiles,
               o->scene.latency_ms, (unsigned long long)sh->all, (double)sh->samples[SCHEDULER] / n,
               (double)sh->samples[ORDERS] / n, (double)sh->samples[LOCK] / n,
               (double)sh->samples[CALLS] / n, (double)sh->samples[INBOX] / n, part, us);
        return part < LIMIT ? 0 : 1;
    }
    printf("\nshare: %.2f GB in %zu file(s)%s, %s, %u connections, latency %u ms, %u round(s)\n",
           (double)s->bytes / 1e9, s->nzb->nfiles, o->parallel ? " at once" : "",
           o->scene.tls ? "TLS" : "plain", o->scene.connections, o->scene.latency_ms, o->rounds);
    for (unsigned i = 0; i < OTHER; i++)
        printf("  %-36s %6.2f %%\n", part_names[i], 100 * (double)sh->samples[i] / n);
    printf("  %s: the scheduler and its lock take %.2f %% of the daemon's CPU, bound %.0f %% "
           "(%.1f us an article; %llu samples)\n",
           part < LIMIT ? "pass" : "FAIL", 100 * part, 100 * LIMIT, us,
           (unsigned long long)sh->all);
    return part < LIMIT ? 0 : 1;
}

static void usage(FILE *to)
{
    fputs("usage: bench_share [--size MB] [--files N] [--connections N] [--rounds N] [--tls]\n"
          "                   [--latency MS] [--json] --nzbfs PATH --newsd PATH\n"
          "Reads generated files through a mount, all at once, while perf samples the daemon.\n",
          to);
}

static unsigned number(const char *arg)
{
    char *end;
    unsigned long v = strtoul(arg, &end, 10);

    if (!*arg || *end || v > 1000000000) {
        fprintf(stderr, "bench: '%s' is not a number\n", arg);
        exit(2);
    }
    return (unsigned)v;
}

static void options_read(int argc, char **argv, struct options *o)
{
    static const struct option known[] = {
        {"size", 1, NULL, 's'},   {"files", 1, NULL, 'f'}, {"connections", 1, NULL, 'c'},
        {"rounds", 1, NULL, 'r'}, {"tls", 0, NULL, 't'},   {"latency", 1, NULL, 'l'},
        {"json", 0, NULL, 'j'},   {"nzbfs", 1, NULL, 'n'}, {"newsd", 1, NULL, 'N'},
        {"help", 0, NULL, 'h'},   {NULL, 0, NULL, 0},
    };
    int c;

    while ((c = getopt_long(argc, argv, "h", known, NULL)) != -1) {
        switch (c) {
        case 's':
            o->scene.megabytes = number(optarg);
            break;
        case 'f':
            o->scene.files = number(optarg);
            break;
        case 'c':
            o->scene.connections = number(optarg);
            break;
        case 'r':
            o->rounds = number(optarg);
            break;
        case 't':
            o->scene.tls = true;
            break;
        case 'l':
            o->scene.latency_ms = number(optarg);
            break;
        case 'j':
            o->json = true;
            break;
        case 'n':
            o->nzbfs = optarg;
            break;
        case 'N':
            o->scene.newsd = optarg;
            break;
        case 'h':
            usage(stdout);
            exit(0);
        default:
            usage(stderr);
            exit(2);
        }
    }
    if (!o->nzbfs || !o->scene.newsd || optind != argc || !o->rounds || o->rounds > ROUNDS_MOST ||
        !o->scene.connections || !o->scene.files || !o->scene.megabytes) {
        usage(stderr);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    static struct share share;
    struct options o = {.scene = {.megabytes = 1000,
                                  .files = 1,
                                  .connections = 100,
                                  .cache_bytes = (uint64_t)256 << 20},
                        .rounds = 5,
                        .parallel = true};
    struct scene scene;

    options_read(argc, argv, &o);
    char *program = realpath(o.nzbfs, NULL); /* as perf names it */
    if (!program) {
        perror(o.nzbfs);
        return 1;
    }
    o.nzbfs = program;
    functions_read(&share, o.nzbfs);
    scene_open(&scene, &o.scene);
    /* The server encodes each article the first time. */
    double first;
    pid_t pid = scene_mount(&scene, o.nzbfs, NULL);
    reader_all(&scene, o.parallel, &first);
    scene_unmount(&scene, pid);
    for (unsigned i = 0; i < o.rounds; i++)
        round_run(&share, &o, &scene);
    int status = report(&o, &scene, &share);
    scene_close(&scene);
    free(program);
    return status;
}
