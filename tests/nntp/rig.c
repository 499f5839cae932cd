#include "tests/nntp/rig.h"
#include "base/clock.h"
#include "base/log.h"

#include <check.h>
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What takes longer than this has most likely gone wrong. */
#define PATIENCE_US 20000000u

static char names[CONFIG_PROVIDERS][8];

void rig_init(struct rig *r, uint32_t parts)
{
    memset(r, 0, sizeof(*r));
    if (getenv("NZBFS_TEST_LOG"))
        log_set_level(LOG_AT_DEBUG);
    else
        log_set_level(LOG_AT_ERROR);
    r->parts = parts;
    r->spool = spool_new();
    ck_assert_ptr_nonnull(r->spool);
    /* The last part is shorter. */
    struct spool_file f = {.name = "some file.bin",
                           .seed = RIG_SEED,
                           .size = (uint64_t)RIG_PART * parts - RIG_PART / 3,
                           .part_size = RIG_PART};
    r->file = spool_add(r->spool, &f);
    ck_assert_int_ge(r->file, 0);
    r->cfg.timeouts =
        (struct config_timeouts){.connect_s = 5, .stall_s = 5, .idle_s = 60, .probe_s = 30};
    r->cfg.threads = 2;
}

uint64_t rig_seed_of(char tag)
{
    return 1000 + (uint64_t)(unsigned char)tag;
}

static void tag_name(char name[16], char tag)
{
    snprintf(name, 16, "tag-%c.bin", tag);
}

void rig_file(struct rig *r, char tag, uint32_t parts)
{
    char name[16];
    tag_name(name, tag);
    struct spool_file f = {.name = name,
                           .seed = rig_seed_of(tag),
                           .size = (uint64_t)RIG_TAG_PART * parts,
                           .part_size = RIG_TAG_PART,
                           .tag = tag};
    ck_assert_int_ge(spool_add(r->spool, &f), 0);
    r->tag_parts = parts;
}

int rig_file_of(const struct rig *r, char tag)
{
    char name[16];
    tag_name(name, tag);
    int file = spool_file_named(r->spool, name);
    ck_assert_int_ge(file, 0);
    return file;
}

struct config_provider *rig_provider(struct rig *r, const char *host, unsigned port)
{
    static char hosts[CONFIG_PROVIDERS][64];
    unsigned i = r->cfg.nproviders++;
    struct config_provider *p = &r->cfg.providers[i];

    snprintf(names[i], sizeof(names[i]), "p%u", i);
    snprintf(hosts[i], sizeof(hosts[i]), "%s", host);
    *p = (struct config_provider){.name = names[i],
                                  .host = hosts[i],
                                  .port = port,
                                  .connections = 4,
                                  .pipelining = 4,
                                  .weight = 1,
                                  .verify = true};
    return p;
}

unsigned rig_server(struct rig *r, const struct newsd_config *cfg)
{
    unsigned i = r->nservers++;

    r->servers[i] = newsd_start(cfg, r->spool);
    ck_assert_ptr_nonnull(r->servers[i]);
    struct config_provider *p =
        rig_provider(r, cfg->ipv6 ? "::1" : "127.0.0.1", newsd_port(r->servers[i]));
    p->tls = cfg->tls;
    /* Checked all the way, against the authority the server made for itself. */
    static char ca[CONFIG_PROVIDERS][512];
    if (cfg->tls) {
        snprintf(ca[r->cfg.nproviders - 1], sizeof(ca[0]), "%s", newsd_ca_file(r->servers[i]));
        p->ca_file = ca[r->cfg.nproviders - 1];
    }
    return i;
}

void rig_start(struct rig *r)
{
    unsigned sum = 0;

    for (unsigned i = 0; i < r->cfg.nproviders; i++)
        sum += r->cfg.providers[i].connections;
    if (!r->cfg.pool.connections)
        r->cfg.pool.connections = sum;
    for (unsigned i = 0; i < TRAFFIC_CLASSES; i++)
        if (!r->cfg.classes[i].burst)
            r->cfg.classes[i].burst = r->cfg.pool.connections;
    if (!r->cfg.classes[TRAFFIC_STREAMING].guaranteed)
        r->cfg.classes[TRAFFIC_STREAMING].guaranteed = 1;
    int e = nntp_pool_start(&r->cfg, r->trace, &r->pool, r->err, sizeof(r->err));
    ck_assert_msg(e == 0, "%s", r->err);
    r->source = nntp_pool_source(r->pool);
}

static void server_tell(struct rig *r, unsigned i, const struct qos_provider_stats *p)
{
    struct newsd_tags t;
    newsd_tags(r->servers[i], &t);
    fprintf(stderr,
            "  server %u: connections %u carrying %u in flight %u held %u, commands %llu answered "
            "%llu, accepted %llu refused %llu\n",
            i, t.connections, t.all.carrying, t.all.in_flight, t.all.held,
            (unsigned long long)t.all.commands, (unsigned long long)t.all.answered,
            (unsigned long long)t.accepted, (unsigned long long)t.refused);
    fprintf(stderr,
            "  its pool: limit %u ceiling %u sockets %u leased %u idle %u opening %u closing %u "
            "lingering %u%s, started %llu broken %llu refused %llu\n",
            p->limit, p->ceiling, p->sockets, p->leased, p->idle, p->opening, p->closing,
            p->lingering, p->down ? " down" : "", (unsigned long long)p->started,
            (unsigned long long)p->broken, (unsigned long long)p->refused);
    for (unsigned k = 0; k < NEWSD_TAGS; k++)
        if (t.of[k].commands)
            fprintf(stderr, "    %c: carrying %u held %u commands %llu answered %llu\n",
                    (int)('a' + k), t.of[k].carrying, t.of[k].held,
                    (unsigned long long)t.of[k].commands, (unsigned long long)t.of[k].answered);
}

static void tell(struct rig *r, const char *what)
{
    struct nntp_pool_stats s;
    nntp_pool_stats(r->pool, &s);
    fprintf(stderr, "still %s:\n", what);
    for (unsigned i = 0; i < r->nservers && i < s.qos.nproviders; i++)
        server_tell(r, i, &s.qos.providers[i]);
    for (unsigned c = 0; c < TRAFFIC_CLASSES; c++)
        fprintf(stderr, "  class %u: leased %u waiting %u\n", c, s.qos.classes[c].leased,
                s.qos.classes[c].waiting);
}

void rig_wait(struct rig *r, struct rig_wait *w, const char *what)
{
    uint64_t now = clock_now_us();
    if (!w->since_us)
        w->since_us = now;
    if (!w->told && now - w->since_us > PATIENCE_US) {
        tell(r, what);
        w->told = true;
    }
    sched_yield();
}

void rig_fini(struct rig *r)
{
    nntp_pool_stop(r->pool);
    for (unsigned i = 0; i < r->nservers; i++)
        newsd_stop(r->servers[i]);
    spool_free(r->spool);
}

static int on_begin(struct segment_fetch *f, const struct segment_info *info)
{
    struct fetch *t = (struct fetch *)(void *)((char *)f - offsetof(struct fetch, f));

    pthread_mutex_lock(&t->lock);
    t->begins++;
    t->info = *info;
    t->info.name = NULL;
    int veto = t->veto;
    pthread_mutex_unlock(&t->lock);
    if (veto)
        return veto;
    if (t->strict && info->begin != t->at)
        return -EBADMSG;
    if (info->len > t->cap)
        return -ENOSPC;
    t->iov = (struct iovec){.iov_base = t->room, .iov_len = t->cap};
    f->dst = &t->iov;
    f->ndst = 1;
    return 0;
}

static atomic_uint ended;

static void on_done(struct segment_fetch *f, enum segment_result result)
{
    struct fetch *t = (struct fetch *)(void *)((char *)f - offsetof(struct fetch, f));

    if (t->next)
        source_fetch(t->chain, &t->next->f);
    pthread_mutex_lock(&t->lock);
    ck_assert_msg(!t->over, "done() ran twice");
    t->over = true;
    t->result = result;
    t->order = atomic_fetch_add(&ended, 1);
    pthread_cond_signal(&t->ended);
    pthread_mutex_unlock(&t->lock);
}

static const struct segment_fetch_ops ops = {.begin = on_begin, .done = on_done};

void fetch_init_id(struct fetch *t, const char *message_id)
{
    memset(t, 0, sizeof(*t));
    t->cap = RIG_PART;
    t->room = malloc(t->cap);
    ck_assert_ptr_nonnull(t->room);
    memset(t->room, 0xee, t->cap);
    t->f.ops = &ops;
    t->f.want = (struct segment_want){.message_id = message_id,
                                      .group = "alt.binaries.test",
                                      .stream = 1,
                                      .bytes = RIG_PART,
                                      .class = TRAFFIC_STREAMING};
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->ended, NULL);
}

void fetch_init(struct fetch *t, struct rig *r, uint32_t part)
{
    fetch_init_id(t, spool_message_id(r->spool, r->file, part));
    t->strict = true;
    t->at = (uint64_t)RIG_PART * (part - 1);
}

void fetch_start(struct fetch *t, struct rig *r)
{
    source_fetch(r->source, &t->f);
}

enum segment_result fetch_wait(struct fetch *t)
{
    pthread_mutex_lock(&t->lock);
    while (!t->over)
        pthread_cond_wait(&t->ended, &t->lock);
    pthread_mutex_unlock(&t->lock);
    return t->result;
}

bool fetch_is_over(struct fetch *t)
{
    pthread_mutex_lock(&t->lock);
    bool over = t->over;
    pthread_mutex_unlock(&t->lock);
    return over;
}

void fetch_fini(struct fetch *t)
{
    free(t->room);
    pthread_cond_destroy(&t->ended);
    pthread_mutex_destroy(&t->lock);
}

void fetch_check(struct fetch *t, uint32_t part)
{
    uint8_t right[RIG_PART];

    ck_assert_uint_eq(t->info.begin, (uint64_t)RIG_PART * (part - 1));
    ck_assert_uint_gt(t->info.len, 0);
    ck_assert_uint_le(t->info.len, RIG_PART);
    spool_bytes(RIG_SEED, t->info.begin, right, t->info.len);
    ck_assert_msg(memcmp(right, t->room, t->info.len) == 0, "part %u: wrong bytes", part);
}

enum segment_result fetch_part(struct rig *r, uint32_t part)
{
    struct fetch t;

    fetch_init(&t, r, part);
    fetch_start(&t, r);
    enum segment_result result = fetch_wait(&t);
    if (result == SEGMENT_DONE)
        fetch_check(&t, part);
    fetch_fini(&t);
    return result;
}
