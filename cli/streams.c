#include "cli/streams.h"

#include "control/control.h"

#include <errno.h>
#include <stdlib.h>

#define PATH_ROOM 400 /* of a path that is told; an answer has a bound */

static const char *const stage_names[CACHE_STAGES] = {[CACHE_WAITS_MEMORY] = "memory",
                                                      [CACHE_WAITS_CONNECTION] = "connection",
                                                      [CACHE_WAITS_ANSWER] = "answer",
                                                      [CACHE_WAITS_BYTES] = "payload"};

/* `value` is taken. Once out of memory, it stays so: the caller looks once, at the end. */
static void put(json_t *o, const char *name, json_t *value, bool *good)
{
    if (json_object_set_new(o, name, value) < 0)
        *good = false;
}

static void put_number(json_t *o, const char *name, uint64_t n, bool *good)
{
    put(o, name, json_integer((json_int_t)n), good);
}

static void put_wait(json_t *o, const char *name, const struct fs_wait *w, bool *good)
{
    json_t *wait = json_object();

    put_number(wait, "count", w->count, good);
    put_number(wait, "us", w->us, good);
    put_number(wait, "longest_us", w->longest_us, good);
    put(o, name, wait, good);
}

static json_t *waits_of(const struct fs_waits *w, bool *good)
{
    json_t *o = json_object(), *providers = json_array();

    put_wait(o, "all", &w->all, good);
    for (unsigned k = 0; k < CACHE_STAGES; k++)
        put_wait(o, stage_names[k], &w->stages[k], good);
    put_wait(o, "reader", &w->reader, good);
    for (unsigned k = 0; k < w->nproviders; k++) {
        const struct fs_provider_wait *p = &w->providers[k];
        json_t *one = json_object();
        put(one, "name", p->name ? control_string(p->name) : json_null(), good);
        put_number(one, "answer_us", p->answer_us, good);
        put_number(one, "payload_us", p->bytes_us, good);
        if (json_array_append_new(providers, one) < 0)
            *good = false;
    }
    put(o, "providers", providers, good);
    return o;
}

/* What it is about now: a read that waits, one that is on its way, or the reader's own doings. */
static json_t *now_of(const struct fs_stream *s, bool *good)
{
    json_t *o = json_object();

    put(o, "what",
        s->waiting ? json_string(stage_names[s->stage]) : json_string(s->out ? "reply" : "reader"),
        good);
    put(o, "provider", s->waiting && s->provider ? control_string(s->provider) : json_null(), good);
    put_number(o, "us", s->now_us, good);
    return o;
}

static json_t *stream_of(const struct fs_stream *s, bool *good)
{
    json_t *o = json_object();
    char path[PATH_ROOM];

    fs_node_path(s->file, path, sizeof(path));
    put(o, "file", control_string(path), good);
    put_number(o, "number", s->number, good);
    put_number(o, "pid", s->pid > 0 ? (uint64_t)s->pid : 0, good);
    put(o, "comm", control_string(s->comm), good);
    put_number(o, "age_s", s->age_us / 1000000, good);
    put(o, "scan", json_boolean(s->scan), good);
    put_number(o, "position", s->pos, good);
    put_number(o, "rate", s->rate_bps, good);
    put_number(o, "ready", s->ready, good);
    put_number(o, "coming", s->coming, good);
    put_number(o, "reads", s->waits.reads, good);
    put_number(o, "bytes", s->waits.bytes, good);
    put_number(o, "errors", s->waits.errors, good);
    put(o, "now", now_of(s, good), good);
    put(o, "waits", waits_of(&s->waits, good), good);
    return o;
}

int streams_list_put(const struct fs_stream *all, size_t n, json_t *answer)
{
    json_t *list = json_array();
    size_t busy = 0, told = 0, idle;
    bool good = list != NULL;

    for (size_t k = 0; k < n; k++)
        busy += all[k].out > 0;
    idle = busy < STREAMS_MOST ? STREAMS_MOST - busy : 0;
    for (size_t k = 0; k < n && told < STREAMS_MOST; k++) {
        if (!all[k].out && !idle)
            continue;
        idle -= !all[k].out;
        told++;
        if (json_array_append_new(list, stream_of(&all[k], &good)) < 0)
            good = false;
    }
    put(answer, "streams", list, &good);
    put_number(answer, "untold", n - told, &good);
    return good ? 0 : -ENOMEM;
}

int streams_put(struct fs *fs, json_t *answer)
{
    struct fs_stream *all;
    size_t n;

    int r = fs_streams(fs, &all, &n);
    if (r < 0)
        return r;
    r = streams_list_put(all, n, answer);
    free(all);
    return r;
}
