/* nzbfs-newsd: the news server of the tests as a program. It loads files, writes their NZB and serves them
 * until it is told to stop; meanwhile lines on a socket or on standard input change what it does. */
#include "tests/lib/newsd.h"
#include "tests/lib/newsd_options.h"
#include "tests/lib/newsd_script.h"
#include "tests/lib/spool.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define TALKERS_MAX 16
#define LINE_ROOM   8192

/* Someone who sends control lines: standard input, or a peer of the socket. */
struct talker {
    int in, out;
    size_t len;
    char line[LINE_ROOM];
};

struct program {
    struct newsd_options o;
    struct spool *spool;
    struct newsd *server;
    int signals, control; /* -1: none */
    struct talker talkers[TALKERS_MAX];
    unsigned ntalkers;
};

__attribute__((format(printf, 1, 2))) static int fail(const char *fmt, ...)
{
    va_list ap;
    fputs("nzbfs-newsd: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    return -1;
}

/* ---- what is served ---- */

/* Sizes from half of what --part-size says up to that, until the file is full. They depend on --seed and
 * the file's place alone, so that two servers told the same cut alike. NULL: no memory. */
static uint32_t *sizes_make(const struct newsd_options *o, int number, uint64_t size, uint32_t *n)
{
    uint32_t most = o->part_size ? o->part_size : 750000, least = most - most / 2;
    uint32_t *sizes = calloc(size / least + 1, sizeof(*sizes));
    *n = 0;
    while (sizes && size > 0) {
        uint64_t word;
        spool_bytes(o->cfg.seed + (uint64_t)number, (uint64_t)*n * sizeof(word), &word,
                    sizeof(word));
        uint32_t len = least + (uint32_t)(word % (most - least + 1));
        sizes[*n] = size < len ? (uint32_t)size : len;
        size -= sizes[(*n)++];
    }
    return sizes;
}

static int file_add(struct program *p, struct spool_file *f)
{
    struct stat st;
    uint32_t *sizes = NULL, n = 0;
    f->tag = newsd_options_tag(&p->o, f->name);
    uint64_t size = f->size;
    if (f->path && stat(f->path, &st) < 0)
        return -errno;
    if (f->path)
        size = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
    f->part_size = p->o.part_size;
    if (p->o.uneven && size > 0) {
        sizes = sizes_make(&p->o, spool_files(p->spool), size, &n);
        if (!sizes)
            return -ENOMEM;
        f->part_sizes = sizes;
        f->nparts = n;
    }
    int err = spool_add(p->spool, f);
    free(sizes);
    return err;
}

static int files_load(struct program *p)
{
    const struct newsd_options *o = &p->o;
    for (int i = 0; i < o->nfiles; i++) {
        const char *slash = strrchr(o->files[i], '/');
        struct spool_file f = {.name = slash ? slash + 1 : o->files[i], .path = o->files[i]};
        int err = file_add(p, &f);
        if (err < 0)
            return fail("%s: %s", o->files[i],
                        err == -EINVAL ? "not a regular file" : strerror(-err));
    }
    for (unsigned i = 0; i < o->ngenerate; i++) {
        const struct newsd_generate *g = &o->generate[i];
        struct spool_file f = {.name = g->name, .size = g->size, .seed = g->seed};
        int err = file_add(p, &f);
        if (err < 0)
            return fail("%s: %s", g->name, strerror(-err));
    }
    if (spool_files(p->spool) == 0 && o->cfg.greeting != 200)
        return fail("nothing to serve: name a FILE, or --generate or --post (--help tells more)");
    if (o->encode_first && spool_encode_all(p->spool))
        return fail("no memory for all articles");
    return 0;
}

/* Whole or not at all: whoever waits for the file never reads half of it. */
static int file_put(const char *path, const char *text, size_t len)
{
    char *part = NULL;
    if (asprintf(&part, "%s.%ld", path, (long)getpid()) < 0)
        return fail("no memory");
    FILE *f = fopen(part, "w");
    bool good = f && fwrite(text, 1, len, f) == len;
    if (f && fclose(f) != 0)
        good = false;
    if (!good || rename(part, path) < 0) {
        fail("%s: %s", path, strerror(errno));
        if (f)
            unlink(part);
        free(part);
        return -1;
    }
    free(part);
    return 0;
}

static int nzb_write(struct program *p)
{
    size_t len;
    if (!p->o.nzb)
        return 0;
    char *text = spool_nzb(p->spool, -1, &len);
    int err = text ? file_put(p->o.nzb, text, len) : fail("no memory for the NZB");
    free(text);
    return err;
}

/* ---- what goes wrong from the start ---- */

static void every(struct program *p, uint64_t n, enum newsd_fault fault)
{
    for (int i = 0; n > 0 && i < spool_files(p->spool); i++)
        for (uint64_t part = n; part <= spool_parts(p->spool, i); part += n)
            newsd_fault(p->server, spool_message_id(p->spool, i, (uint32_t)part), fault, 0);
}

static int faults_set(struct program *p)
{
    char line[LINE_ROOM], answer[LINE_ROOM];
    every(p, p->o.bad_crc_every, NEWSD_BAD_CRC);
    every(p, p->o.missing_every, NEWSD_430);
    for (unsigned i = 0; i < p->o.nfaults; i++) {
        const char *colon = strrchr(p->o.faults[i], ':');
        if (!colon)
            return fail("--fault %s: WHAT:KIND is expected", p->o.faults[i]);
        snprintf(line, sizeof(line), "fault %.*s %s", (int)(colon - p->o.faults[i]), p->o.faults[i],
                 colon + 1);
        if (newsd_script_run(p->server, p->spool, line, answer, sizeof(answer)))
            return fail("--fault %s: %s", p->o.faults[i], answer + strlen("error: "));
    }
    return 0;
}

/* ---- control ---- */

static int control_open(struct program *p)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    const char *path = p->o.control;
    if (!path)
        return 0;
    if (strcmp(path, "-") == 0) {
        p->talkers[p->ntalkers++] = (struct talker){.in = STDIN_FILENO, .out = STDOUT_FILENO};
        return 0;
    }
    if (strlen(path) >= sizeof(a.sun_path))
        return fail("--control %s: the path is too long for a socket", path);
    memcpy(a.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
        fail("--control %s: %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return -1; /* the path is somebody else's and stays */
    }
    p->control = fd;
    return listen(fd, TALKERS_MAX) == 0 ? 0 : fail("--control %s: %s", path, strerror(errno));
}

static void talker_drop(struct program *p, unsigned i)
{
    if (p->talkers[i].in != STDIN_FILENO)
        close(p->talkers[i].in);
    p->talkers[i] = p->talkers[--p->ntalkers];
}

static void talker_accept(struct program *p)
{
    int fd = accept4(p->control, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return;
    if (p->ntalkers == TALKERS_MAX) {
        close(fd);
        return;
    }
    p->talkers[p->ntalkers++] = (struct talker){.in = fd, .out = fd};
}

static bool line_answer(struct program *p, const struct talker *t, const char *line)
{
    char answer[LINE_ROOM + 128];
    newsd_script_run(p->server, p->spool, line, answer, sizeof(answer) - 1);
    size_t len = strlen(answer);
    answer[len++] = '\n';
    return write(t->out, answer, len) == (ssize_t)len;
}

/* False: it has gone, or sent a line without end. */
static bool talker_hear(struct program *p, struct talker *t)
{
    ssize_t n = read(t->in, t->line + t->len, sizeof(t->line) - t->len);
    if (n <= 0)
        return n < 0 && errno == EINTR;
    t->len += (size_t)n;
    char *nl;
    while ((nl = memchr(t->line, '\n', t->len))) {
        *nl = '\0';
        if (!line_answer(p, t, t->line))
            return false;
        size_t used = (size_t)(nl + 1 - t->line);
        t->len -= used;
        memmove(t->line, nl + 1, t->len);
    }
    return t->len < sizeof(t->line);
}

/* ---- running ---- */

/* False: it was a signal to stop. */
static bool signal_take(struct program *p)
{
    struct signalfd_siginfo info;
    char text[LINE_ROOM];
    if (read(p->signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return true;
    if (info.ssi_signo != SIGUSR1)
        return false;
    newsd_script_stats(p->server, text, sizeof(text));
    fprintf(stderr, "%s\n", text);
    return true;
}

static int serve(struct program *p)
{
    for (;;) {
        struct pollfd fds[TALKERS_MAX + 2] = {{.fd = p->signals, .events = POLLIN},
                                              {.fd = p->control, .events = POLLIN}};
        unsigned n = p->ntalkers;
        for (unsigned i = 0; i < n; i++)
            fds[i + 2] = (struct pollfd){.fd = p->talkers[i].in, .events = POLLIN};
        if (poll(fds, n + 2, -1) < 0) {
            if (errno == EINTR)
                continue;
            return fail("poll: %s", strerror(errno));
        }
        if (fds[0].revents && !signal_take(p))
            return 0;
        for (unsigned i = n; i-- > 0;)
            if (fds[i + 2].revents && !talker_hear(p, &p->talkers[i]))
                talker_drop(p, i);
        if (fds[1].revents)
            talker_accept(p);
    }
}

static int ready_say(struct program *p)
{
    const char *ca = newsd_ca_file(p->server), *host = p->o.cfg.ipv6 ? "::1" : "127.0.0.1";
    unsigned port = newsd_port(p->server);
    char line[LINE_ROOM];
    int n = snprintf(line, sizeof(line), "host=%s port=%u ca=%s\n", host, port, ca ? ca : "");
    if (p->o.ready_file && file_put(p->o.ready_file, line, (size_t)n))
        return -1;
    printf("nzbfs-newsd: serving %d files on %s port %u%s%s, until SIGTERM\n",
           spool_files(p->spool), host, port, ca ? ", TLS by the CA in " : "", ca ? ca : "");
    return fflush(stdout) == 0 ? 0 : fail("standard output: %s", strerror(errno));
}

/* Before any thread starts, so that all of them leave these signals to signalfd. */
static int signals_take(struct program *p)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    if (p->o.exit_with_parent)
        prctl(PR_SET_PDEATHSIG, SIGTERM);
    p->signals = signalfd(-1, &set, SFD_CLOEXEC);
    return p->signals >= 0 ? 0 : fail("signalfd: %s", strerror(errno));
}

static int run(struct program *p)
{
    char text[LINE_ROOM];
    p->spool = spool_new();
    if (!p->spool)
        return fail("no memory");
    if (signals_take(p) || files_load(p) || nzb_write(p))
        return -1;
    p->server = newsd_start(&p->o.cfg, p->spool);
    if (!p->server || faults_set(p) || control_open(p) || ready_say(p))
        return -1;
    int err = serve(p);
    if (p->o.stats) {
        newsd_script_stats(p->server, text, sizeof(text) - 1);
        size_t len = strlen(text);
        text[len++] = '\n';
        err = file_put(p->o.stats, text, len) || err ? -1 : 0;
    }
    return err;
}

int main(int argc, char **argv)
{
    static struct program p = {.signals = -1, .control = -1};
    enum newsd_options_result asked = newsd_options_parse(&p.o, argc, argv);
    int err = 0;
    if (asked == NEWSD_OPTIONS_HELP)
        newsd_options_help(stdout);
    else
        err = asked == NEWSD_OPTIONS_RUN ? run(&p) : -2;
    while (p.ntalkers > 0)
        talker_drop(&p, p.ntalkers - 1);
    if (p.control >= 0) {
        close(p.control);
        unlink(p.o.control);
    }
    newsd_stop(p.server);
    spool_free(p.spool);
    newsd_options_fini(&p.o);
    return err == -2 ? 2 : err ? 1 : 0;
}
