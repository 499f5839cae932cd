#include "cli/figures.h"

#include "control/control.h"

#include <errno.h>
#include <stdlib.h>

#define US_LEAST 16u /* bucket 0 of a histogram: below it */
#define SECOND   1000000u

struct number {
    const char *name;
    uint64_t value;
};

/* `value` is taken. Once out of memory, it stays so: the caller looks once, at the end. */
static void put(json_t *o, const char *name, json_t *value, bool *good)
{
    if (json_object_set_new(o, name, value) < 0)
        *good = false;
}

static void numbers_put(json_t *o, const struct number *list, size_t n, bool *good)
{
    for (size_t i = 0; i < n; i++)
        put(o, list[i].name, json_integer((json_int_t)list[i].value), good);
}

#define PUT(o, good, ...)                                                                          \
    numbers_put((o), (const struct number[]){__VA_ARGS__},                                         \
                sizeof((const struct number[]){__VA_ARGS__}) / sizeof(struct number), (good))

/* --- histograms -------------------------------------------------------------------------------- */

static json_t *bound(unsigned bucket)
{
    return json_integer((json_int_t)US_LEAST << bucket);
}

/* The upper end of the bucket that the `percent`-th of a hundred is in; null where there are none. */
static json_t *percentile(const uint64_t *h, uint64_t count, unsigned percent)
{
    uint64_t rank = count / 100 * percent + (count % 100 * percent + 99) / 100, seen = 0;

    if (!count)
        return json_null();
    for (unsigned i = 0; i < QOS_HIST; i++)
        if ((seen += h[i]) >= rank)
            return bound(i);
    return bound(QOS_HIST - 1);
}

static json_t *histogram(const uint64_t *h, bool *good)
{
    json_t *o = json_object(), *buckets = json_array();
    uint64_t count = 0;

    for (unsigned i = 0; i < QOS_HIST; i++) {
        count += h[i];
        if (json_array_append_new(buckets, json_integer((json_int_t)h[i])) < 0)
            *good = false;
    }
    PUT(o, good, {"count", count});
    put(o, "p50_us", percentile(h, count, 50), good);
    put(o, "p90_us", percentile(h, count, 90), good);
    put(o, "p99_us", percentile(h, count, 99), good);
    put(o, "max_us", percentile(h, count, 100), good);
    put(o, "buckets", buckets, good);
    return o;
}

/* --- classes and providers --------------------------------------------------------------------- */

static const char *const class_names[TRAFFIC_CLASSES] = {
    [TRAFFIC_QUEUE] = "queue", [TRAFFIC_HEALTH] = "health", [TRAFFIC_STREAMING] = "streaming"};
static const enum traffic_class class_order[TRAFFIC_CLASSES] = {TRAFFIC_QUEUE, TRAFFIC_HEALTH,
                                                                TRAFFIC_STREAMING};

static json_t *class_figures(const struct qos_class_stats *k, bool *good)
{
    json_t *o = json_object();

    PUT(o, good, {"guaranteed", k->guaranteed}, {"burst", k->burst}, {"weight", k->weight},
        {"leased", k->leased}, {"waiting", k->waiting}, {"granted_guarantee", k->granted_guarantee},
        {"granted_burst", k->granted_burst}, {"done", k->done}, {"missing", k->missing},
        {"corrupt", k->corrupt}, {"failed", k->failed}, {"timeout", k->timeout},
        {"cancelled", k->cancelled}, {"cut", k->cut}, {"hedged", k->hedged},
        {"refused", k->refused}, {"broken", k->broken}, {"bytes", k->bytes});
    put(o, "wait", histogram(k->wait, good), good);
    put(o, "reclaim", histogram(k->reclaim, good), good);
    return o;
}

static json_t *share_figures(const struct qos_share_stats *s, bool *good)
{
    json_t *o = json_object();

    PUT(o, good, {"leased", s->leased}, {"started", s->started}, {"done", s->done},
        {"missing", s->missing}, {"corrupt", s->corrupt}, {"broken", s->broken},
        {"bytes", s->bytes});
    return o;
}

/* Whole seconds from now, the one begun counted; null: nothing waits for a moment. */
static json_t *retry_in(const struct qos_provider_stats *p, uint64_t now_us)
{
    if (!p->down || p->retry_at == UINT64_MAX)
        return json_null();
    if (p->retry_at <= now_us)
        return json_integer(0);
    return json_integer((json_int_t)((p->retry_at - now_us + SECOND - 1) / SECOND));
}

static json_t *provider_figures(const struct nntp_pool_stats *s, unsigned k, bool *good)
{
    const struct qos_provider_stats *p = &s->qos.providers[k];
    json_t *o = json_object(), *classes = json_object();

    PUT(o, good, {"limit", p->limit}, {"ceiling", p->ceiling}, {"sockets", p->sockets},
        {"leased", p->leased}, {"idle", p->idle}, {"opening", p->opening}, {"closing", p->closing},
        {"lingering", p->lingering});
    put(o, "gone", json_boolean(s->providers[k].gone), good);
    put(o, "down", json_boolean(p->down), good);
    put(o, "reason",
        p->down && *s->providers[k].why ? json_string(s->providers[k].why) : json_null(), good);
    put(o, "retry_in_s", retry_in(p, s->now_us), good);
    PUT(o, good, {"opened", p->opened}, {"refused", p->refused}, {"started", p->started},
        {"ok", p->ok}, {"missing", p->not_here}, {"corrupt", p->spoilt}, {"broken", p->broken},
        {"bytes", p->bytes}, {"bytes_wire", s->providers[k].bytes_wire},
        {"bytes_payload", s->providers[k].bytes_payload});
    put(o, "open", histogram(p->open, good), good);
    put(o, "answer", histogram(p->answer, good), good);
    for (unsigned i = 0; i < TRAFFIC_CLASSES; i++)
        put(classes, class_names[class_order[i]], share_figures(&p->classes[class_order[i]], good),
            good);
    put(o, "classes", classes, good);
    return o;
}

static void pool_put(const struct nntp_pool_stats *s, json_t *answer, bool *good)
{
    json_t *classes = json_object(), *providers = json_object();

    PUT(answer, good, {"total", s->qos.total}, {"reserve", s->qos.reserve},
        {"leased_total", s->qos.leased_total});
    for (unsigned i = 0; i < TRAFFIC_CLASSES; i++)
        put(classes, class_names[class_order[i]],
            class_figures(&s->qos.classes[class_order[i]], good), good);
    put(answer, "classes", classes, good);
    for (unsigned k = 0; k < s->qos.nproviders; k++)
        put(providers, s->providers[k].name, provider_figures(s, k, good), good);
    put(answer, "providers", providers, good);
    json_t *hedges = json_object();
    PUT(hedges, good, {"started", s->hedged.started}, {"won", s->hedged.won},
        {"lost", s->hedged.lost}, {"bytes_lost", s->hedged.bytes_lost});
    put(answer, "hedges", hedges, good);
}

/* --- the rest ---------------------------------------------------------------------------------- */

static json_t *cache_figures(struct cache *c, bool *good)
{
    json_t *o = json_object();
    struct cache_stats s;

    cache_stats(c, &s);
    PUT(o, good, {"budget", s.budget}, {"used", s.used}, {"used_peak", s.used_peak},
        {"blocks", s.blocks}, {"pinned", s.pinned}, {"fetching", s.fetching},
        {"waiting_reads", s.waiting_reads}, {"hits", s.hits}, {"misses", s.misses},
        {"joins", s.joins}, {"evictions", s.evictions}, {"ahead_started", s.ahead_started},
        {"ahead_refused", s.ahead_refused}, {"failed", s.failed});
    return o;
}

static json_t *fs_figures(struct fs *fs, bool *good)
{
    json_t *o = json_object();
    struct fs_stats s;

    fs_stats(fs, &s);
    PUT(o, good, {"reads", s.reads}, {"read_bytes", s.read_bytes}, {"waited", s.waited},
        {"errors", s.errors}, {"timeouts", s.timeouts}, {"interrupts", s.interrupts},
        {"zeroed_bytes", s.zeroed_bytes}, {"surprises", s.surprises}, {"nodes", s.nodes},
        {"open_handles", s.open_handles}, {"blocked", s.blocked}, {"ahead_bytes", s.ahead_bytes});
    return o;
}

int figures_put(const struct compose *w, json_t *answer)
{
    struct nntp_pool_stats *s = malloc(sizeof(*s));
    bool good = true;

    if (!s)
        return -ENOMEM;
    nntp_pool_stats(w->pool, s);
    pool_put(s, answer, &good);
    free(s);
    put(answer, "cache", cache_figures(w->cache, &good), &good);
    put(answer, "fs", fs_figures(w->fs, &good), &good);
    return good ? 0 : -ENOMEM;
}

int figures_limits_put(void *answer, const struct config *cfg)
{
    const json_t *classes = json_object_get(answer, "classes"),
                 *providers = json_object_get(answer, "providers");
    bool good = true;

    PUT(answer, &good, {"rate", cfg->pool.rate_bps});
    for (unsigned i = 0; i < TRAFFIC_CLASSES; i++)
        PUT(json_object_get(classes, class_names[i]), &good,
            {"per_stream", cfg->classes[i].per_stream});
    for (unsigned i = 0; i < cfg->nproviders; i++) {
        json_t *p = json_object_get(providers, cfg->providers[i].name);
        if (p) /* the figures are older by a moment, and it may be newer */
            PUT(p, &good, {"rate", cfg->providers[i].rate_bps});
    }
    return good ? 0 : -ENOMEM;
}
