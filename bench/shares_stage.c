/* News servers in this process, a pool before them, and articles whose message-ids begin as told. */
#include "bench/shares.h"

#include "base/clock.h"
#include "nntp/crc32.h"
#include "tests/lib/yencode.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LINE 128u

static struct samples late;

void pause_us(uint64_t us)
{
    struct timespec t = {.tv_sec = (time_t)(us / 1000000), .tv_nsec = (long)(us % 1000000) * 1000};
    uint64_t until = clock_now_us() + us;

    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &t, &t) == EINTR)
        ;
    uint64_t now = clock_now_us();
    samples_add(&late, now > until ? (double)(now - until) : 0);
}

double pause_late_us(double *worst)
{
    double us = samples_percentile(&late, 99);

    *worst = samples_percentile(&late, 100);
    samples_fini(&late);
    return us;
}

uint64_t stage_dice(struct stage *s, uint64_t most)
{
    s->dice = s->dice * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (s->dice >> 33) % most;
}

/* --- setting up ------------------------------------------------------------------------------------- */

void stage_init(struct stage *s, const struct pace *pace)
{
    memset(s, 0, sizeof(*s));
    s->pace = *pace;
    s->dice = 7;
    s->spool = spool_new();
    if (!s->spool)
        shares_die("no memory");
    s->cfg.timeouts =
        (struct config_timeouts){.connect_s = 5, .stall_s = 20, .idle_s = 60, .probe_s = 2};
    s->cfg.threads = 2;
}

unsigned stage_server_at(struct stage *s, unsigned connections, const struct pace *pace)
{
    static char names[STAGE_SERVERS][8] = {"a", "b"};
    static char host[] = "127.0.0.1";
    unsigned i = s->nservers++;
    const struct newsd_config server = {.latency_us = pace->latency_us,
                                        .jitter_us = pace->jitter_us,
                                        .rate_bps = pace->rate_bps,
                                        .seed = i + 1};

    s->servers[i] = newsd_start(&server, s->spool);
    if (!s->servers[i])
        shares_die("a news server does not start");
    s->cfg.providers[i] = (struct config_provider){.name = names[i],
                                                   .host = host,
                                                   .port = newsd_port(s->servers[i]),
                                                   .connections = connections,
                                                   .pipelining = 4,
                                                   .weight = 1,
                                                   .verify = true};
    s->cfg.nproviders = s->nservers;
    s->cfg.pool.connections += connections;
    return i;
}

unsigned stage_server(struct stage *s, unsigned connections)
{
    return stage_server_at(s, connections, &s->pace);
}

void stage_class(struct stage *s, enum traffic_class class, unsigned guaranteed, unsigned burst)
{
    s->cfg.classes[class] =
        (struct config_class){.guaranteed = guaranteed, .burst = burst, .weight = guaranteed};
}

void stage_start_cold(struct stage *s)
{
    char err[256];

    if (nntp_pool_start(&s->cfg, NULL, &s->pool, err, sizeof(err)))
        shares_die("the pool does not start: %s", err);
    s->source = nntp_pool_source(s->pool);
}

void stage_resize(struct stage *s)
{
    char err[256];

    if (nntp_pool_resize(s->pool, &s->cfg, err, sizeof(err)))
        shares_die("the pool does not take another size: %s", err);
}

void stage_fini(struct stage *s)
{
    nntp_pool_stop(s->pool);
    for (unsigned i = 0; i < s->nservers; i++)
        newsd_stop(s->servers[i]);
    spool_free(s->spool);
}

/* --- warm, and alone -------------------------------------------------------------------------------- */

static bool is_open(struct stage *s, const void *arg)
{
    struct nntp_pool_stats st;
    unsigned sockets = 0;

    (void)arg;
    stage_stats(s, &st);
    for (unsigned i = 0; i < st.qos.nproviders; i++)
        sockets += st.qos.providers[i].idle;
    return sockets == s->cfg.pool.connections;
}

/* The class that may hold everything. */
static enum traffic_class widest(const struct stage *s)
{
    enum traffic_class best = TRAFFIC_QUEUE;

    for (unsigned c = 0; c < TRAFFIC_CLASSES; c++) {
        if (s->cfg.classes[c].burst > s->cfg.classes[best].burst)
            best = (enum traffic_class)c;
    }
    return best;
}

void stage_start(struct stage *s)
{
    unsigned total = s->cfg.pool.connections, side = total / 4 ? total / 4 : 1;
    struct load l;

    stage_start_cold(s);
    load_init(&l, s, widest(s), 'w', total, s->pace.payload);
    load_once(&l, 0, total);
    if (!load_wait(&l, 60000000) || !stage_await(s, is_open, NULL, 20000000))
        shares_die("not all of %u connections opened", total);
    l.timing = true;
    side = side < 12 ? side : 12;
    while (l.took.n < 6 + 2 * side) {
        load_once(&l, 0, side);
        if (!load_wait(&l, 60000000))
            shares_die("an article does not come");
    }
    s->article_us = samples_percentile(&l.took, 50);
    load_fini(&l);
}

/* --- articles --------------------------------------------------------------------------------------- */

static size_t article_write(char *out, const char *id, const uint8_t *data, uint32_t len)
{
    size_t n = (size_t)sprintf(out,
                               "Message-ID: <%s>\r\nSubject: bench\r\n\r\n"
                               "=ybegin line=%u size=%u name=bench.bin\r\n",
                               id, LINE, len);

    n += yencode_lines(data, len, LINE, (uint8_t *)out + n);
    n += (size_t)sprintf(out + n, "=yend size=%u crc32=%08x\r\n.\r\n", len,
                         crc32_update(0, data, len));
    return n;
}

void stage_article(struct stage *s, char tag, unsigned i, uint32_t payload, char id[48])
{
    snprintf(id, 48, "%c%05u.%u@shares.example", tag, i, payload);
    if (spool_has(s->spool, id))
        return;
    uint8_t *data = malloc(payload);
    char *wire = malloc(yencode_bound(payload, LINE) + 512);
    if (!data || !wire)
        shares_die("no memory");
    spool_bytes(i + 1, 0, data, payload);
    int r = spool_post(s->spool, wire, article_write(wire, id, data, payload));
    if (r)
        shares_die("an article is not taken: %s", strerror(-r));
    free(data);
    free(wire);
}

/* --- looking ---------------------------------------------------------------------------------------- */

void stage_stats(struct stage *s, struct nntp_pool_stats *out)
{
    nntp_pool_stats(s->pool, out);
}

unsigned stage_leased(struct stage *s, enum traffic_class class)
{
    struct nntp_pool_stats st;

    stage_stats(s, &st);
    return st.qos.classes[class].leased;
}

unsigned stage_connections(struct stage *s, unsigned i)
{
    struct newsd_stats st;

    newsd_stats(s->servers[i], &st);
    return st.connections;
}

bool stage_await(struct stage *s, bool (*is)(struct stage *s, const void *arg), const void *arg,
                 uint64_t limit_us)
{
    uint64_t until = clock_now_us() + limit_us;

    while (!is(s, arg)) {
        if (clock_now_us() >= until)
            return false;
        pause_us(1000);
    }
    return true;
}

bool stage_has_leases(struct stage *s, const void *leases)
{
    const struct leases *want = leases;

    return stage_leased(s, want->class) == want->n;
}
