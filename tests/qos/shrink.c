#include "tests/qos/shrink.h"

#include "tests/qos/stage.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

struct shrinker {
    struct story *best;
    char promise[32];
    char wrong[512]; /* of the best */
    clock_t until;
    size_t tries;
};

/** "3.5 s: I3: class …" names I3. */
static bool names(const char *wrong, const char *promise)
{
    const char *at = strstr(wrong, " s: ");
    at = at ? at + 4 : wrong;
    size_t n = strlen(promise);
    return !strncmp(at, promise, n) && at[n] == ':';
}

static bool time_is_up(const struct shrinker *h)
{
    return clock() > h->until;
}

/** Does it break the promise, too? Then it is the best from now on, up to the step where it does. Frees it. */
static bool try_it(struct shrinker *h, struct story *s)
{
    char wrong[512];
    size_t steps = 0;
    h->tries++;
    bool good = stage_play(s, wrong, sizeof(wrong), &steps, NULL) && names(wrong, h->promise);
    if (good) {
        story_fini(h->best);
        *h->best = *s;
        h->best->n = steps;
        memcpy(h->wrong, wrong, sizeof(wrong));
    } else {
        story_fini(s);
    }
    return good;
}

static bool without(struct shrinker *h, size_t from, size_t n)
{
    struct story s;
    story_copy(&s, h->best);
    memmove(&s.steps[from], &s.steps[from + n], (s.n - from - n) * sizeof(s.steps[0]));
    s.n -= n;
    return try_it(h, &s);
}

/** Chunks of half, a quarter, … one step; from the end, where what matters least to the rest stands. */
static bool fewer_steps(struct shrinker *h)
{
    bool any = false;
    for (size_t chunk = (h->best->n + 1) / 2; chunk; chunk /= 2) {
        size_t end = h->best->n;
        while (end && !time_is_up(h)) {
            size_t n = chunk < end ? chunk : end;
            any |= without(h, end - n, n);
            end -= n;
            end = end < h->best->n ? end : h->best->n;
        }
    }
    return any;
}

/* --- plainer ----------------------------------------------------------------------------------- */

static bool plainer(struct shrinker *h, size_t i, struct step to)
{
    struct story s;
    if (!memcmp(&h->best->steps[i], &to, sizeof(to)))
        return false;
    story_copy(&s, h->best);
    s.steps[i] = to;
    return try_it(h, &s);
}

/** The step and all after it come sooner: at once after the one before, or by half the time. */
static void sooner(struct shrinker *h, size_t i)
{
    qos_time before = i ? h->best->steps[i - 1].at : 0, gap = h->best->steps[i].at - before;
    for (qos_time cut = gap; cut; cut /= 2) {
        struct story s;
        story_copy(&s, h->best);
        for (size_t k = i; k < s.n; k++) {
            s.steps[k].at -= cut;
            if (s.steps[k].deadline > cut)
                s.steps[k].deadline -= cut;
            if (s.steps[k].want.deadline > cut)
                s.steps[k].want.deadline -= cut;
        }
        if (try_it(h, &s) || cut < gap / 8 || time_is_up(h))
            return;
    }
}

static void plainer_step(struct shrinker *h, size_t i)
{
#define TRY(field, value)                                                                          \
    do {                                                                                           \
        struct step to = h->best->steps[i];                                                        \
        to.field = value;                                                                          \
        plainer(h, i, to);                                                                         \
        if (i >= h->best->n || time_is_up(h))                                                      \
            return;                                                                                \
    } while (0)
    TRY(want.age, 0);
    TRY(want.deadline, 0);
    TRY(want.bytes, 0);
    TRY(want.stream, 0);
    TRY(want.verb, SEGMENT_BODY);
    TRY(want.urgency, URGENCY_DEMAND);
    TRY(deadline, 0);
    TRY(dice, 0);
    TRY(seen, true);
    TRY(bytes, 0);
    TRY(how, QOS_OK);
#undef TRY
    sooner(h, i);
}

static bool plainer_config(struct shrinker *h, unsigned i, const struct qos_config *to)
{
    struct story s;
    if (!memcmp(&h->best->configs[i], to, sizeof(*to)))
        return false;
    story_copy(&s, h->best);
    s.configs[i] = *to;
    return try_it(h, &s);
}

static void plainer_numbers(struct shrinker *h, unsigned i)
{
#define TRY(field, value)                                                                          \
    do {                                                                                           \
        struct qos_config to = h->best->configs[i];                                                \
        to.field = value;                                                                          \
        plainer_config(h, i, &to);                                                                 \
        if (i >= h->best->nconfigs || time_is_up(h))                                               \
            return;                                                                                \
    } while (0)
    TRY(total, 0);
    TRY(reserve, 0);
    TRY(rate_bps, 0);
    TRY(attempts, 0);
    TRY(backoff_us, 0);
    TRY(backoff_max_us, 0);
    TRY(probe_us, 0);
    TRY(linger_us, 0);
    TRY(idle_us, 0);
    for (unsigned c = 0; c < TRAFFIC_CLASSES; c++) {
        TRY(classes[c].per_stream, 0);
        TRY(classes[c].weight, 0);
        TRY(classes[c].guaranteed, 0);
        for (unsigned n = h->best->configs[i].classes[c].burst; n > 1; n /= 2)
            TRY(classes[c].burst, n / 2);
    }
    for (unsigned p = 0; p < h->best->configs[i].nproviders; p++) {
        TRY(providers[p].tier, 0);
        TRY(providers[p].weight, 0);
        TRY(providers[p].retention_us, 0);
        TRY(providers[p].rate_bps, 0);
        TRY(providers[p].pipelining, 0);
        for (unsigned n = h->best->configs[i].providers[p].connections; n > 1; n /= 2)
            TRY(providers[p].connections, n / 2);
    }
    for (unsigned n = h->best->configs[i].nproviders - 1; n > 0; n--)
        TRY(nproviders, n);
#undef TRY
}

/** Configurations that no step names any more go. */
static void drop_configs(struct story *s)
{
    unsigned kept = 1;
    for (size_t i = 0; i < s->n; i++) {
        if (s->steps[i].kind != STEP_RESIZE)
            continue;
        s->configs[kept] = s->configs[s->steps[i].config]; /* they are named in order, each once */
        s->steps[i].config = kept++;
    }
    s->nconfigs = kept;
}

size_t shrink(struct story *s, const char *wrong, double seconds, char *now, size_t len)
{
    struct shrinker h = {.best = s, .until = clock() + (clock_t)(seconds * CLOCKS_PER_SEC)};
    size_t n = strcspn(wrong, ":");
    snprintf(h.promise, sizeof(h.promise), "%.*s", (int)n, wrong);
    struct story same;
    story_copy(&same, s);
    if (!try_it(&h, &same))
        return 0;
    size_t before = SIZE_MAX;
    while (h.best->n < before && !time_is_up(&h)) {
        before = h.best->n;
        while (fewer_steps(&h) && !time_is_up(&h))
            ;
        drop_configs(h.best);
        for (unsigned i = 0; i < h.best->nconfigs && !time_is_up(&h); i++)
            plainer_numbers(&h, i);
        for (size_t i = 0; i < h.best->n && !time_is_up(&h); i++)
            plainer_step(&h, i);
    }
    snprintf(now, len, "%s", h.wrong);
    return h.tries;
}
