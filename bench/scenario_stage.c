#include "bench/scenario_stage.h"

#include "bench/child.h"
#include "bench/scenario_play.h"
#include "nzb/nzb.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_S  120.0
#define STEP_S      0.002
#define CONNECTIONS 20
#define CACHE_BYTES ((uint64_t)256 << 20)
#define ANSWER_ROOM 8192
#define STATUS_ROOM ((size_t)1 << 20)

#define CLASSES                                                                                    \
    "[class streaming]\nguaranteed = 100%\nburst = 100%\n[class queue]\nguaranteed = 0\n"          \
    "[class health]\nguaranteed = 0\n"

/* Only one at a time: what an early exit has to clean up. */
static struct stage *current;
static pid_t owner; /* a child of ours that fails leaves its parent's stage alone */

static void stage_clean(void)
{
    struct stage *s = current;
    char cmd[256];

    if (!s || getpid() != owner)
        return;
    current = NULL;
    if (s->mount > 0) {
        snprintf(cmd, sizeof(cmd), "fusermount3 -uz '%s'", s->mountpoint);
        if (system(cmd) != 0)
            fprintf(stderr, "bench: cannot unmount %s\n", s->mountpoint);
        child_end(s->mount, SIGTERM, NULL);
    }
    for (unsigned i = 0; i < s->options.nservers; i++)
        if (s->servers[i].pid > 0)
            child_end(s->servers[i].pid, SIGTERM, NULL);
    snprintf(cmd, sizeof(cmd), "rm -rf '%s'", s->folder);
    if (system(cmd) != 0)
        fprintf(stderr, "bench: %s may be left behind\n", s->folder);
}

static bool has_ended(pid_t pid)
{
    siginfo_t info = {0};

    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid;
}

/* The end of the log tells why; then the folder goes. */
static _Noreturn void fail_with_log(const struct stage *s, const char *what)
{
    char cmd[160];

    snprintf(cmd, sizeof(cmd), "tail -n 20 '%s' >&2", s->log);
    if (system(cmd) != 0)
        fprintf(stderr, "bench: no log\n");
    scenario_fail(what, s->log);
}

/* --- servers ----------------------------------------------------------------------------------- */

/* A growing argv whose strings are all ours. */
struct arguments {
    char **v;
    size_t n, room;
};

__attribute__((format(printf, 2, 3))) static void argument(struct arguments *a, const char *fmt,
                                                           ...)
{
    va_list ap;

    if (a->n + 2 > a->room) {
        a->room = a->room ? 2 * a->room : 64;
        a->v = realloc(a->v, a->room * sizeof(*a->v));
    }
    va_start(ap, fmt);
    if (!a->v || vasprintf(&a->v[a->n], fmt, ap) < 0)
        scenario_fail("no memory", fmt);
    va_end(ap);
    a->v[++a->n] = NULL;
}

static void number(struct arguments *a, const char *name, uint64_t value)
{
    if (!value)
        return;
    argument(a, "%s", name);
    argument(a, "%llu", (unsigned long long)value);
}

static void arguments_free(struct arguments *a)
{
    for (size_t i = 0; i < a->n; i++)
        free(a->v[i]);
    free(a->v);
}

static void files_name(const struct stage *s, struct arguments *a)
{
    const struct stage_options *o = &s->options;

    for (unsigned i = 0; i < o->files; i++) {
        argument(a, "--generate");
        argument(a, "file%03u.bin:%llu:%u", i, (unsigned long long)o->file_size, i + 1);
    }
    for (const char *const *p = o->paths; p && *p; p++)
        argument(a, "%s", *p);
}

/* The first server writes the NZB: all of them have the same articles. */
static void server_start(struct stage *s, unsigned i)
{
    const struct stage_server *o = &s->options.servers[i];
    struct stage_place *place = &s->servers[i];
    struct arguments a = {0};

    snprintf(place->ready, sizeof(place->ready), "%s/ready%u", s->folder, i);
    snprintf(place->control, sizeof(place->control), "%s/control%u", s->folder, i);
    argument(&a, "%s", s->run->newsd);
    argument(&a, "--encode-first");
    argument(&a, "--ready-file");
    argument(&a, "%s", place->ready);
    argument(&a, "--control");
    argument(&a, "%s", place->control);
    if (i == 0) {
        argument(&a, "--nzb");
        argument(&a, "%s", s->nzb_path);
    }
    number(&a, "--latency", o->latency_ms);
    number(&a, "--jitter", o->jitter_ms);
    number(&a, "--handshake", o->handshake_ms);
    number(&a, "--rate", o->rate_bps);
    number(&a, "--stragglers", o->straggler_permille);
    if (o->tls)
        argument(&a, "--tls");
    if (o->login) {
        argument(&a, "--user");
        argument(&a, "bench");
        argument(&a, "--password");
        argument(&a, "secret");
    }
    for (const char *const *p = o->arguments; p && *p; p++)
        argument(&a, "%s", *p);
    files_name(s, &a);
    place->pid = child_spawn(s->log, (const char *const *)a.v);
    arguments_free(&a);
}

/* "host=… port=… ca=…", written whole once the server accepts. */
static void server_await(struct stage *s, unsigned i)
{
    struct stage_place *place = &s->servers[i];
    char line[512] = "";

    for (double start = now_s();; play_sleep(STEP_S)) {
        FILE *f = fopen(place->ready, "r");
        if (f) {
            if (!fgets(line, sizeof(line), f))
                line[0] = '\0';
            fclose(f);
            if (sscanf(line, "host=%63s port=%u ca=%255s", place->host, &place->port,
                       place->ca_file) >= 2)
                return;
        }
        if (has_ended(place->pid))
            fail_with_log(s, "a news server ended");
        if (now_s() - start > PATIENCE_S)
            fail_with_log(s, "a news server does not get ready");
    }
}

static void config_write(const struct stage *s)
{
    const struct stage_options *o = &s->options;
    FILE *f = fopen(s->config, "w");

    if (!f)
        scenario_fail(strerror(errno), s->config);
    for (unsigned i = 0; i < o->nservers; i++) {
        const struct stage_server *v = &o->servers[i];
        fprintf(f, "[provider bench%u]\nhost = %s\nport = %u\ntls = %s\ntier = %u\n", i,
                s->servers[i].host, s->servers[i].port, v->tls ? "yes" : "no", v->tier);
        fprintf(f, "connections = %u\n", v->connections);
        if (v->tls)
            fprintf(f, "ca_file = %s\n", s->servers[i].ca_file);
        if (v->login)
            fprintf(f, "username = bench\npassword = secret\n");
    }
    fprintf(f, "[cache]\nmemory = %llu\n%s\n%s\n", (unsigned long long)o->cache_bytes,
            o->classes ? o->classes : CLASSES, o->config ? o->config : "");
    if (fclose(f))
        scenario_fail(strerror(errno), s->config);
}

/* --- the stage --------------------------------------------------------------------------------- */

static void defaults_fill(struct stage_options *o)
{
    if (!o->nservers)
        o->nservers = 1;
    if (o->nservers > STAGE_SERVERS)
        scenario_fail("too many servers", "stage");
    if (!o->cache_bytes)
        o->cache_bytes = CACHE_BYTES;
    for (unsigned i = 0; i < o->nservers; i++)
        if (!o->servers[i].connections)
            o->servers[i].connections = CONNECTIONS;
}

void stage_open(struct stage *s, const struct scenario_run *r, const struct stage_options *o)
{
    static bool registered;
    char run[96], err[512];

    *s = (struct stage){.run = r, .options = *o, .folder = "/tmp/nzbfs-bench-XXXXXX"};
    defaults_fill(&s->options);
    if (!mkdtemp(s->folder))
        scenario_fail(strerror(errno), s->folder);
    snprintf(s->mountpoint, sizeof(s->mountpoint), "%s/mnt", s->folder);
    snprintf(s->config, sizeof(s->config), "%s/nzbfs.conf", s->folder);
    snprintf(s->nzb_path, sizeof(s->nzb_path), "%s/bench.nzb", s->folder);
    snprintf(s->log, sizeof(s->log), "%s/log", s->folder);
    snprintf(run, sizeof(run), "%s/run", s->folder);
    setenv("NZBFS_RUNTIME_DIR", run, 1); /* its control socket goes with the folder */
    current = s;
    owner = getpid();
    if (!registered)
        atexit(stage_clean);
    registered = true;
    if (mkdir(s->mountpoint, 0700))
        scenario_fail(strerror(errno), s->mountpoint);
    for (unsigned i = 0; i < s->options.nservers; i++)
        server_start(s, i);
    for (unsigned i = 0; i < s->options.nservers; i++)
        server_await(s, i);
    config_write(s);
    if (nzb_load(s->nzb_path, &s->nzb, err, sizeof(err)))
        scenario_fail(err, "NZB");
}

void stage_close(struct stage *s)
{
    if (s->mount)
        stage_unmount(s);
    nzb_free(s->nzb);
    s->nzb = NULL;
    stage_clean();
}

const char *stage_path(const struct stage *s, unsigned i, char *room)
{
    snprintf(room, 256, "%s/file%03u.bin", s->mountpoint, i);
    return room;
}

/* --- mounts ------------------------------------------------------------------------------------ */

void stage_adopt(struct stage *s, pid_t pid)
{
    struct stat above, at;

    s->mount = pid;
    if (stat(s->folder, &above))
        scenario_fail(strerror(errno), s->folder);
    for (double start = now_s();; play_sleep(STEP_S)) {
        if (stat(s->mountpoint, &at) == 0 && at.st_dev != above.st_dev)
            return;
        if (has_ended(pid))
            fail_with_log(s, "the mount ended before it answered");
        if (now_s() - start > PATIENCE_S)
            fail_with_log(s, "the mount does not answer");
    }
}

void stage_mount(struct stage *s, const char *options)
{
    char all[512];

    snprintf(all, sizeof(all), "config=%s%s%s", s->config, options ? "," : "",
             options ? options : "");
    const char *argv[] = {s->run->nzbfs, "mount",     "-f",          "-o",
                          all,           s->nzb_path, s->mountpoint, NULL};
    stage_adopt(s, child_spawn(s->log, argv));
}

void stage_unmount(struct stage *s)
{
    char cmd[256];

    snprintf(cmd, sizeof(cmd), "fusermount3 -u '%s'", s->mountpoint);
    if (system(cmd) != 0)
        scenario_fail("cannot unmount", s->mountpoint);
    pid_t pid = s->mount;
    s->mount = 0;
    if (child_end(pid, 0, NULL))
        fail_with_log(s, "the mount did not end well");
}

json_t *stage_status(const struct stage *s)
{
    char cmd[1024];
    json_error_t why;

    snprintf(cmd, sizeof(cmd), "'%s' status --json '%s'", s->run->nzbfs, s->mountpoint);
    FILE *f = popen(cmd, "re");
    char *text = malloc(STATUS_ROOM);
    if (!f || !text)
        scenario_fail(strerror(errno), "nzbfs status");
    size_t n = fread(text, 1, STATUS_ROOM, f);
    if (pclose(f) != 0)
        fail_with_log(s, "nzbfs status failed");
    json_t *out = json_loadb(text, n, 0, &why);
    free(text);
    if (!out)
        scenario_fail(why.text, "nzbfs status --json");
    return out;
}

/* --- the servers' counters --------------------------------------------------------------------- */

void stage_ask(const struct stage *s, unsigned i, const char *line, char *out, size_t room)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    size_t len = 0;
    ssize_t n;

    snprintf(at.sun_path, sizeof(at.sun_path), "%s", s->servers[i].control);
    if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof(at)) || dprintf(fd, "%s\n", line) < 0)
        scenario_fail(strerror(errno), s->servers[i].control);
    out[0] = '\0';
    while (!strchr(out, '\n') && len < room - 1 && (n = read(fd, out + len, room - 1 - len)) > 0) {
        len += (size_t)n;
        out[len] = '\0';
    }
    close(fd);
    char *end = strchr(out, '\n');
    if (!end || strncmp(out, "error", 5) == 0)
        scenario_fail(*out ? out : "no answer", line);
    *end = '\0';
}

static json_t *ask_json(const struct stage *s, unsigned i, const char *line)
{
    char text[ANSWER_ROOM];
    json_error_t why;

    stage_ask(s, i, line, text, sizeof(text));
    json_t *out = json_loads(text, 0, &why);
    if (!out)
        scenario_fail(why.text, line);
    return out;
}

static uint64_t member(const json_t *j, const char *name)
{
    const json_t *v = json_object_get(j, name);

    if (!json_is_integer(v))
        scenario_fail("the server does not count it", name);
    return (uint64_t)json_integer_value(v);
}

static void count_one(const struct stage *s, unsigned i, struct stage_counts *c)
{
    json_t *j = ask_json(s, i, "stats"), *tags = ask_json(s, i, "tags");

    c->articles += member(j, "body") + member(j, "article");
    c->stat += member(j, "stat");
    c->commands += member(j, "commands");
    c->missing += member(j, "missing");
    c->accepted += member(j, "accepted");
    c->logins += member(j, "logins");
    c->resumed_tls += member(j, "resumed_tls");
    c->refused += member(j, "refused");
    c->bytes += member(j, "bytes_sent");
    c->connections += member(j, "connections");
    c->in_flight += member(json_object_get(tags, "all"), "in_flight");
    json_decref(tags);
    json_decref(j);
}

void stage_count(const struct stage *s, unsigned i, struct stage_counts *out)
{
    *out = (struct stage_counts){0};
    for (unsigned k = 0; k < s->options.nservers; k++)
        if (i == STAGE_ALL || i == k)
            count_one(s, k, out);
}

struct stage_counts stage_since(const struct stage_counts *then, const struct stage_counts *now)
{
    struct stage_counts d = *now;

    d.articles -= then->articles;
    d.stat -= then->stat;
    d.commands -= then->commands;
    d.missing -= then->missing;
    d.accepted -= then->accepted;
    d.logins -= then->logins;
    d.resumed_tls -= then->resumed_tls;
    d.refused -= then->refused;
    d.bytes -= then->bytes;
    return d;
}

struct stage_asked stage_asked(const struct stage *s, unsigned file, unsigned from, unsigned to)
{
    struct stage_asked out = {0};
    unsigned end = s->nzb->files[file].nsegments;

    for (unsigned i = from; i < to && i < end; i++) {
        unsigned long n = 0;
        for (unsigned k = 0; k < s->options.nservers; k++) {
            char line[64], text[64];
            snprintf(line, sizeof(line), "asked file/file%03u.bin/%u", file, i + 1);
            stage_ask(s, k, line, text, sizeof(text));
            n += strtoul(text, NULL, 10);
        }
        out.once += n > 0;
        out.again += n > 1 ? (unsigned)n - 1 : 0;
    }
    return out;
}

void stage_settle(const struct stage *s, unsigned quiet_ms)
{
    struct stage_counts last, c;
    double start = now_s(), since = start;

    stage_count(s, STAGE_ALL, &last);
    while (now_s() - since < quiet_ms * 1e-3 || last.in_flight) {
        play_sleep(STEP_S);
        stage_count(s, STAGE_ALL, &c);
        if (c.articles != last.articles || c.in_flight)
            since = now_s();
        last = c;
        if (since - start > PATIENCE_S)
            fail_with_log(s, "the servers are never quiet");
    }
}

/* --- words ------------------------------------------------------------------------------------- */

/* 128 payload bytes a line and its end; one in 64 or so is escaped. */
#define WIRE_OVER_PAYLOAD 1.032

double stage_wire_s(const struct stage *s, uint64_t bytes)
{
    uint64_t rate = s->options.servers[0].rate_bps;

    return rate ? (double)bytes * WIRE_OVER_PAYLOAD / (double)rate : 0;
}

const char *stage_words(const struct stage *s, char *room)
{
    const struct stage_server *o = &s->options.servers[0];
    int n = snprintf(room, 200, "%s, %u connections, %u ms round trip", o->tls ? "TLS" : "plain",
                     o->connections, o->latency_ms);

    if (o->jitter_ms)
        n += snprintf(room + n, 200 - (size_t)n, " and up to %u more", o->jitter_ms);
    if (o->rate_bps)
        n += snprintf(room + n, 200 - (size_t)n, ", %.1f MB/s a connection",
                      (double)o->rate_bps / 1e6);
    if (o->straggler_permille)
        n += snprintf(room + n, 200 - (size_t)n, ", %.1f %% of articles ten times slower",
                      o->straggler_permille / 10.0);
    if (o->login)
        snprintf(room + n, 200 - (size_t)n, ", login");
    return room;
}
