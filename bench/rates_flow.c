#include "bench/rates_flow.h"
#include "base/list.h"
#include "bench/child.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PARTS 64u /* of the file they all come from */

struct flow_item {
    struct segment_fetch f;
    struct iovec iov;
    struct flow *flow;
};

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "bench: %s\n", what);
    exit(2);
}

/* --- demand ------------------------------------------------------------------------------------ */

static int on_begin(struct segment_fetch *f, const struct segment_info *info)
{
    struct flow_item *it = container_of(f, struct flow_item, f);

    if (info->len > it->iov.iov_len)
        return -ENOSPC; /* not one of ours */
    f->dst = &it->iov;
    f->ndst = 1;
    return 0;
}

static void on_done(struct segment_fetch *f, enum segment_result result)
{
    struct flow_item *it = container_of(f, struct flow_item, f);
    struct flow *flow = it->flow;

    pthread_mutex_lock(&flow->lock);
    bool again = !flow->stopping;
    flow->failed += again && result != SEGMENT_DONE;
    pthread_mutex_unlock(&flow->lock);
    if (again)
        source_fetch(nntp_pool_source(flow->pool), f);
}

static const struct segment_fetch_ops ops = {.begin = on_begin, .done = on_done};

static void items_make(struct flow *f)
{
    f->nitems = f->o.providers * f->o.connections * (f->o.pipelining + 1);
    f->items = calloc(f->nitems, sizeof(*f->items));
    if (!f->items)
        die("no memory");
    for (unsigned i = 0; i < f->nitems; i++) {
        struct flow_item *it = &f->items[i];
        it->flow = f;
        it->iov = (struct iovec){.iov_base = malloc(f->o.part), .iov_len = f->o.part};
        if (!it->iov.iov_base)
            die("no memory");
        it->f.ops = &ops;
        it->f.want =
            (struct segment_want){.message_id = spool_message_id(f->spool, 0, 1 + i % PARTS),
                                  .stream = i,
                                  .bytes = f->o.part,
                                  .class = TRAFFIC_STREAMING};
    }
}

/* --- servers and pools ------------------------------------------------------------------------- */

static void spool_make(struct flow *f)
{
    struct spool_file file = {.name = "rates.bin",
                              .seed = 1,
                              .size = (uint64_t)f->o.part * PARTS,
                              .part_size = f->o.part};

    f->spool = spool_new();
    if (!f->spool || spool_add(f->spool, &file) || spool_encode_all(f->spool))
        die("no memory for the articles");
}

static void provider_make(struct flow *f, unsigned i)
{
    static char names[FLOW_PROVIDERS][16], host[] = "127.0.0.1", ca[FLOW_PROVIDERS][512];
    struct newsd_config server = {.tls = f->o.tls, .seed = i};

    f->servers[i] = newsd_start(&server, f->spool);
    if (!f->servers[i])
        die("a news server does not start");
    snprintf(names[i], sizeof(names[i]), "p%u", i);
    if (f->o.tls)
        snprintf(ca[i], sizeof(ca[i]), "%s", newsd_ca_file(f->servers[i]));
    f->cfg.providers[i] = (struct config_provider){.name = names[i],
                                                   .host = host,
                                                   .port = newsd_port(f->servers[i]),
                                                   .ca_file = f->o.tls ? ca[i] : NULL,
                                                   .connections = f->o.connections,
                                                   .pipelining = f->o.pipelining,
                                                   .weight = 1,
                                                   .rate_bps = f->o.provider_bps[i],
                                                   .tls = f->o.tls,
                                                   .verify = true};
}

void flow_open(struct flow *f, const struct flow_options *o)
{
    unsigned all = o->providers * o->connections;

    *f = (struct flow){.o = *o};
    spool_make(f);
    for (unsigned i = 0; i < o->providers; i++)
        provider_make(f, i);
    f->cfg.nproviders = o->providers;
    f->cfg.pool.connections = all;
    for (unsigned c = 0; c < TRAFFIC_CLASSES; c++)
        f->cfg.classes[c].burst = all;
    f->cfg.classes[TRAFFIC_STREAMING].guaranteed = all;
    f->cfg.timeouts =
        (struct config_timeouts){.connect_s = 10, .stall_s = 15, .idle_s = 60, .probe_s = 30};
    pthread_mutex_init(&f->lock, NULL);
    items_make(f);
}

void flow_close(struct flow *f)
{
    for (unsigned i = 0; i < f->o.providers; i++)
        newsd_stop(f->servers[i]);
    for (unsigned i = 0; i < f->nitems; i++)
        free(f->items[i].iov.iov_base);
    free(f->items);
    spool_free(f->spool);
    pthread_mutex_destroy(&f->lock);
}

void flow_start(struct flow *f, uint64_t rate_bps)
{
    char err[256];

    f->cfg.pool.rate_bps = rate_bps;
    f->stopping = false;
    if (nntp_pool_start(&f->cfg, NULL, &f->pool, err, sizeof(err)))
        die(err);
    for (unsigned i = 0; i < f->nitems; i++)
        source_fetch(nntp_pool_source(f->pool), &f->items[i].f);
}

void flow_stop(struct flow *f)
{
    pthread_mutex_lock(&f->lock);
    f->stopping = true;
    pthread_mutex_unlock(&f->lock);
    nntp_pool_stop(f->pool); /* every fetch has ended */
    f->pool = NULL;
}

/* --- figures ----------------------------------------------------------------------------------- */

void flow_await(double s)
{
    struct timespec t = {.tv_sec = (time_t)s, .tv_nsec = (long)((s - (double)(time_t)s) * 1e9)};

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL))
        ;
}

static bool line_read(const char *task, const char *file, char *line, size_t len)
{
    char path[300];

    snprintf(path, sizeof(path), "/proc/self/task/%s/%s", task, file);
    FILE *f = fopen(path, "r");
    bool got = f && fgets(line, (int)len, f);
    if (f)
        fclose(f);
    return got;
}

static uint64_t switches_of(const char *task)
{
    char path[300], line[256];
    unsigned long long n = 0;

    snprintf(path, sizeof(path), "/proc/self/task/%s/status", task);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof(line), f))
        sscanf(line, "voluntary_ctxt_switches: %llu", &n);
    if (f)
        fclose(f);
    return n;
}

/* The pool's loops are known by their threads' names. */
static void loops_sample(struct flow_sample *out)
{
    DIR *d = opendir("/proc/self/task");

    for (struct dirent *e; d && (e = readdir(d));) {
        char line[256];
        unsigned long long ns;
        if (!line_read(e->d_name, "comm", line, sizeof(line)) || strncmp(line, "nzbfs-net", 9) != 0)
            continue;
        out->wakes += switches_of(e->d_name);
        if (line_read(e->d_name, "schedstat", line, sizeof(line)) && sscanf(line, "%llu", &ns) == 1)
            out->cpu_s += (double)ns * 1e-9;
    }
    if (d)
        closedir(d);
}

void flow_sample(struct flow *f, struct flow_sample *out)
{
    static struct nntp_pool_stats pool;

    *out = (struct flow_sample){0};
    loops_sample(out);
    nntp_pool_stats(f->pool, &pool);
    out->at_s = now_s();
    pthread_mutex_lock(&f->lock);
    out->broken = f->failed;
    pthread_mutex_unlock(&f->lock);
    for (unsigned i = 0; i < f->o.providers; i++) {
        struct newsd_stats server;
        newsd_stats(f->servers[i], &server);
        out->sent[i] = server.bytes_sent;
        out->received[i] = pool.providers[i].bytes_wire;
        out->broken += pool.qos.providers[i].broken + pool.qos.providers[i].refused;
        out->all_sent += out->sent[i];
        out->all_received += out->received[i];
    }
}
