#include "tests/lib/fault_source.h"

#include "tests/lib/scripted_article.h"
#include "tests/lib/scripted_source.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

struct fault_thread {
    pthread_t id;
    struct fault_source *source;
    uint64_t dice;
};

struct fault_source {
    struct fault_config cfg;
    struct scripted_source *script;
    unsigned nthreads;
    struct fault_thread threads[];
};

static unsigned roll(struct fault_thread *t)
{
    t->dice ^= t->dice << 13;
    t->dice ^= t->dice >> 7;
    t->dice ^= t->dice << 17;
    return (unsigned)((t->dice >> 20) % 1000);
}

/** Attempts that come to nothing. False: it ended already. */
static bool bad_attempts(struct fault_thread *t, struct segment_fetch *f)
{
    struct scripted_source *script = t->source->script;
    struct scripted_article a;
    struct segment_info info;
    int rc = 0;

    if (!scripted_article_parse(f->want.message_id, &a))
        return true;
    info = scripted_article_info(&a);
    if (roll(t) < t->source->cfg.lying) {
        info.len = info.len * 3 / 2 + 1;
        rc = scripted_source_begin(script, f, &info);
    } else if (roll(t) < t->source->cfg.spoilt) {
        rc = scripted_source_begin(script, f, &info);
        if (rc == 0)
            scripted_source_bring(script, f, info.len / 2);
    }
    if (rc != -ENOSPC)
        return true;
    scripted_source_end(script, f, SEGMENT_NOSPACE);
    return false;
}

static void serve(struct fault_thread *t, struct segment_fetch *f)
{
    const struct fault_config *cfg = &t->source->cfg;
    struct scripted_source *script = t->source->script;

    if (scripted_source_look(script, f).withdrawn)
        scripted_source_end(script, f, SEGMENT_CANCELLED);
    else if (!bad_attempts(t, f))
        return;
    else if (roll(t) < cfg->missing)
        scripted_source_end(script, f, SEGMENT_MISSING);
    else if (roll(t) < cfg->corrupt)
        scripted_source_end(script, f, SEGMENT_CORRUPT);
    else if (roll(t) < cfg->failed)
        scripted_source_end(script, f, SEGMENT_FAILED);
    else if (roll(t) < cfg->timeout && scripted_source_look(script, f).deadline_us > 0)
        scripted_source_end(script, f, SEGMENT_TIMEOUT);
    else
        (void)scripted_source_play(script, f);
}

static void *run(void *arg)
{
    struct fault_thread *t = arg;
    struct segment_fetch *f;

    while ((f = scripted_source_claim(t->source->script)))
        serve(t, f);
    return NULL;
}

struct fault_source *fault_source_start(const struct fault_config *cfg)
{
    struct fault_source *s = calloc(1, sizeof(*s) + cfg->threads * sizeof(s->threads[0]));

    if (!s)
        return NULL;
    s->cfg = *cfg;
    s->script = scripted_source_new();
    if (!s->script) {
        free(s);
        return NULL;
    }
    while (s->nthreads < cfg->threads) {
        struct fault_thread *t = &s->threads[s->nthreads];

        *t =
            (struct fault_thread){.source = s, .dice = (cfg->seed + s->nthreads + 1) * 2654435761u};
        if (pthread_create(&t->id, NULL, run, t) != 0) {
            fault_source_stop(s);
            return NULL;
        }
        s->nthreads++;
    }
    return s;
}

void fault_source_stop(struct fault_source *s)
{
    if (!s)
        return;
    scripted_source_close(s->script);
    for (unsigned k = 0; k < s->nthreads; k++)
        pthread_join(s->threads[k].id, NULL);
    scripted_source_free(s->script);
    free(s);
}

struct source *fault_source_source(struct fault_source *s)
{
    return scripted_source_source(s->script);
}
