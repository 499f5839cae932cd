/* config_shares — what the classes are guaranteed and may have, out of what was written and what was not.
 *
 *   1. Bursts, as written or by default; a default makes room for a written guarantee.
 *   2. Guarantees as written: each at most its burst, all together at most the pool, or the line that goes
 *      too far is refused.
 *   3. The others have their defaults, or where these do not fit share what is left in proportion.
 *   4. Percentages are rounded down, but not to nothing: while something is left, a class that has a
 *      percentage and got nothing has one connection. Streaming comes first.
 *
 * So three written percentages whose sum is at most 100 fit every pool, and no partial wish is refused that
 * could be completed. */
#include "base/config_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What a class gets where the user says nothing. Streaming is what people watch; a health check
 * can wait, and never takes more than a quarter. */
static const struct config_class_draft defaults[TRAFFIC_CLASSES] = {
    [TRAFFIC_QUEUE] = {.guaranteed = {30, true}, .burst = {100, true}},
    [TRAFFIC_HEALTH] = {.guaranteed = {10, true}, .burst = {25, true}},
    [TRAFFIC_STREAMING] = {.guaranteed = {40, true}, .burst = {100, true}},
};

/* Of what streaming brings; one straggler in fifty articles is a bad evening. */
#define HEDGE_PERMILLE 30u

/* Who is the last to lose. */
static const enum traffic_class first_to_last[TRAFFIC_CLASSES] = {TRAFFIC_STREAMING, TRAFFIC_QUEUE,
                                                                  TRAFFIC_HEALTH};

/* The resolution under way. */
struct sharing {
    struct config_class *out;
    const struct config_class_draft *draft;
    const struct config_class_lines *lines;
    unsigned total, left; /* of the pool; not guaranteed to anyone yet */
    unsigned *line;
    char *err;
    size_t errlen;
};

const char *config_class_name(enum traffic_class class)
{
    switch (class) {
    case TRAFFIC_QUEUE:
        return "queue";
    case TRAFFIC_HEALTH:
        return "health";
    case TRAFFIC_STREAMING:
        return "streaming";
    }
    return "unknown";
}

static unsigned share_of(struct config_share s, unsigned total)
{
    return s.percent ? (unsigned)((uint64_t)s.n * total / 100) : s.n;
}

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* As it was written, and how many that is: "5", "50% (5)". */
struct share_text {
    char s[40];
};

static struct share_text text_of(struct config_share s, unsigned total)
{
    struct share_text t;

    if (s.percent)
        snprintf(t.s, sizeof(t.s), "%u%% (%u)", s.n, share_of(s, total));
    else
        snprintf(t.s, sizeof(t.s), "%u", s.n);
    return t;
}

/* --- bursts ------------------------------------------------------------------------------------ */

static int burst_written(const struct sharing *s, enum traffic_class k)
{
    struct config_share b = s->draft[k].burst;

    *s->line = s->lines[k].burst;
    if (b.n == 0) {
        snprintf(s->err, s->errlen,
                 "burst = 0 in [class %s] would never let it have a connection; write at least 1",
                 config_class_name(k));
        return -EINVAL;
    }
    if (!b.percent && b.n > s->total) {
        snprintf(s->err, s->errlen,
                 "burst = %u in [class %s] is more than the pool's %u connections; write at most "
                 "%u, or 100%%",
                 b.n, config_class_name(k), s->total, s->total);
        return -EINVAL;
    }
    return 0;
}

static int burst_resolve(const struct sharing *s, enum traffic_class k)
{
    unsigned *out = &s->out[k].burst;

    if (s->lines[k].burst && burst_written(s, k) < 0)
        return -EINVAL;
    *out = share_of(s->lines[k].burst ? s->draft[k].burst : defaults[k].burst, s->total);
    if (!s->lines[k].burst && s->lines[k].guaranteed) {
        unsigned g = least(s->total, share_of(s->draft[k].guaranteed, s->total));
        *out = *out > g ? *out : g;
    }
    if (!*out)
        *out = 1;
    return 0;
}

/* --- guarantees -------------------------------------------------------------------------------- */

/* Classes whose guarantee is written, in the order of the lines, so that the line blamed is the one that
 * went too far. */
static unsigned by_line(const struct sharing *s, enum traffic_class out[TRAFFIC_CLASSES])
{
    unsigned n = 0;

    for (unsigned k = 0; k < TRAFFIC_CLASSES; k++) {
        if (!s->lines[k].guaranteed)
            continue;
        unsigned i = n++;
        for (; i > 0 && s->lines[out[i - 1]].guaranteed > s->lines[k].guaranteed; i--)
            out[i] = out[i - 1];
        out[i] = (enum traffic_class)k;
    }
    return n;
}

static int above_burst(const struct sharing *s, enum traffic_class k)
{
    struct config_share g = s->draft[k].guaranteed, b = s->draft[k].burst;
    /* Of two percentages the sizes are compared, whatever a small pool makes of them. */
    bool more = s->lines[k].burst && g.percent && b.percent
                    ? g.n > b.n
                    : share_of(g, s->total) > s->out[k].burst;

    if (!more)
        return 0;
    if (!s->lines[k].burst) /* its default is all that is guaranteed, or the pool */
        snprintf(s->err, s->errlen,
                 "guaranteed = %u in [class %s] is more than the pool's %u connections; write at "
                 "most that",
                 g.n, config_class_name(k), s->total);
    else
        snprintf(s->err, s->errlen,
                 "guaranteed = %s in [class %s] is more than its burst of %s; write at most that, "
                 "or a higher burst",
                 text_of(g, s->total).s, config_class_name(k), text_of(b, s->total).s);
    return -EINVAL;
}

/* The first `n` of `order` have taken theirs, and this one is too much. */
static int above_left(const struct sharing *s, const enum traffic_class *order, unsigned n,
                      unsigned percent)
{
    enum traffic_class k = order[n];
    char others[120] = "";

    for (unsigned i = 0; i < n; i++) {
        size_t len = strlen(others);
        snprintf(others + len, sizeof(others) - len, "%s%s %s", i ? " and " : "",
                 config_class_name(order[i]), text_of(s->draft[order[i]].guaranteed, s->total).s);
    }
    if (percent > 100)
        snprintf(s->err, s->errlen,
                 "guaranteed = %u%% in [class %s] together with %s makes %u%%; write at most %u%%",
                 s->draft[k].guaranteed.n, config_class_name(k), others, percent,
                 100 - (percent - s->draft[k].guaranteed.n));
    else
        snprintf(s->err, s->errlen,
                 "guaranteed = %s in [class %s] is more than %s leave of the pool's %u "
                 "connections; write at most %u",
                 text_of(s->draft[k].guaranteed, s->total).s, config_class_name(k), others,
                 s->total, s->left);
    return -EINVAL;
}

static int written_resolve(struct sharing *s)
{
    enum traffic_class order[TRAFFIC_CLASSES];
    unsigned n = by_line(s, order), percent = 0;

    for (unsigned i = 0; i < n; i++) {
        enum traffic_class k = order[i];
        struct config_share g = s->draft[k].guaranteed;
        *s->line = s->lines[k].guaranteed;
        percent += g.percent ? g.n : 0;
        if (above_burst(s, k) < 0)
            return -EINVAL;
        if ((g.percent && percent > 100) || share_of(g, s->total) > s->left)
            return above_left(s, order, i, g.percent ? percent : 0);
        s->out[k].guaranteed = share_of(g, s->total);
        s->left -= s->out[k].guaranteed;
    }
    return 0;
}

static void others_resolve(struct sharing *s)
{
    unsigned left = s->left;
    uint64_t wanted = 0;

    for (unsigned k = 0; k < TRAFFIC_CLASSES; k++) {
        if (s->lines[k].guaranteed)
            continue;
        s->out[k].guaranteed = least(share_of(defaults[k].guaranteed, s->total), s->out[k].burst);
        wanted += s->out[k].guaranteed;
    }
    for (unsigned k = 0; k < TRAFFIC_CLASSES; k++) {
        if (s->lines[k].guaranteed)
            continue;
        if (wanted > left)
            s->out[k].guaranteed = (unsigned)((uint64_t)s->out[k].guaranteed * left / wanted);
        s->left -= s->out[k].guaranteed;
    }
}

static void not_to_nothing(struct sharing *s)
{
    for (unsigned i = 0; i < TRAFFIC_CLASSES && s->left; i++) {
        enum traffic_class k = first_to_last[i];
        struct config_share g =
            s->lines[k].guaranteed ? s->draft[k].guaranteed : defaults[k].guaranteed;
        if (g.percent && g.n && !s->out[k].guaranteed) {
            s->out[k].guaranteed = 1;
            s->left--;
        }
    }
}

int config_shares_resolve(struct config *c, const struct config_class_draft *draft,
                          const struct config_class_lines *lines, unsigned *line, char *err,
                          size_t errlen)
{
    struct sharing s = {.out = c->classes,
                        .draft = draft,
                        .lines = lines,
                        .total = c->pool.connections,
                        .left = c->pool.connections,
                        .line = line,
                        .err = err,
                        .errlen = errlen};

    for (unsigned k = 0; k < TRAFFIC_CLASSES; k++)
        if (burst_resolve(&s, (enum traffic_class)k) < 0)
            return -EINVAL;
    if (written_resolve(&s) < 0)
        return -EINVAL;
    others_resolve(&s);
    not_to_nothing(&s);
    for (unsigned k = 0; k < TRAFFIC_CLASSES; k++) {
        struct config_class *out = &c->classes[k];
        out->weight = lines[k].weight ? draft[k].weight : out->guaranteed ? out->guaranteed : 1;
        out->per_stream = draft[k].per_stream;
        out->hedge = lines[k].hedge           ? draft[k].hedge.n * 10
                     : k == TRAFFIC_STREAMING ? HEDGE_PERMILLE
                                              : 0;
    }
    return 0;
}

/* --- what comes of them ------------------------------------------------------------------------ */

/* Connections of the lowest tier: all that serves what is not missing there. */
static unsigned ordinary(const struct config *c)
{
    unsigned tier = UINT32_MAX, sum = 0;

    for (unsigned i = 0; i < c->nproviders; i++)
        tier = least(tier, c->providers[i].tier);
    for (unsigned i = 0; i < c->nproviders; i++)
        sum += c->providers[i].tier == tier ? c->providers[i].connections : 0;
    return sum;
}

/* Whose turn is it, at so many leases each? The scheduler's rule: relative deficits, then n/weight. */
static bool before(const struct config_class *a, unsigned na, const struct config_class *b,
                   unsigned nb)
{
    bool below_a = na < a->guaranteed, below_b = nb < b->guaranteed;

    if (below_a != below_b)
        return below_a;
    if (below_a)
        return (uint64_t)(a->guaranteed - na) * b->guaranteed >
               (uint64_t)(b->guaranteed - nb) * a->guaranteed;
    return (uint64_t)na * b->weight < (uint64_t)nb * a->weight;
}

void config_shares_when(const struct config *c, const bool busy[TRAFFIC_CLASSES],
                        unsigned out[TRAFFIC_CLASSES])
{
    unsigned slots = least(c->pool.connections, ordinary(c));

    memset(out, 0, TRAFFIC_CLASSES * sizeof(out[0]));
    for (unsigned leased = 0; leased < slots; leased++) {
        int best = -1;
        for (int k = TRAFFIC_CLASSES - 1; k >= 0; k--) {
            const struct config_class *cl = &c->classes[k];
            bool may = busy[k] && out[k] < cl->burst &&
                       (out[k] < cl->guaranteed || c->pool.connections - leased > c->pool.reserve);
            if (may && (best < 0 || before(cl, out[k], &c->classes[best], out[best])))
                best = k;
        }
        if (best < 0)
            return;
        out[best]++;
    }
}
