#include "base/config_internal.h"

#include <errno.h>
#include <stdio.h>

/* What a class gets where the user says nothing. Streaming is what people watch; a health check
 * can wait, and never takes more than a quarter. */
static const struct config_class_draft defaults[TRAFFIC_CLASSES] = {
    [TRAFFIC_QUEUE] = {.guaranteed = {30, true}, .burst = {100, true}},
    [TRAFFIC_HEALTH] = {.guaranteed = {10, true}, .burst = {25, true}},
    [TRAFFIC_STREAMING] = {.guaranteed = {40, true}, .burst = {100, true}},
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

/* b_c: what was written must fit in the pool; the default makes room for what was written as
 * guaranteed. At least one, or the class could never do anything. */
static int burst_resolve(struct config_class *out, enum traffic_class k, unsigned total,
                         const struct config_class_draft *draft,
                         const struct config_class_lines *lines, char *err, size_t errlen)
{
    out->burst = share_of(lines->burst ? draft->burst : defaults[k].burst, total);
    if (!lines->burst && lines->guaranteed && out->burst < share_of(draft->guaranteed, total))
        out->burst = least(total, share_of(draft->guaranteed, total));
    if (!out->burst && (!lines->burst || draft->burst.percent))
        out->burst = 1;
    if (out->burst >= 1 && out->burst <= total)
        return 0;
    snprintf(err, errlen,
             "burst = %u in [class %s] does not lie between 1 and the pool's %u connections",
             out->burst, config_class_name(k), total);
    return -EINVAL;
}

/* g_c as written: at most its burst, and all of them together at most the pool. */
static int guaranteed_resolve(struct config_class *out, enum traffic_class k, unsigned total,
                              unsigned *left, const struct config_class_draft *draft, char *err,
                              size_t errlen)
{
    out->guaranteed = share_of(draft->guaranteed, total);
    if (out->guaranteed > out->burst) {
        snprintf(err, errlen,
                 "guaranteed = %u in [class %s] is more than its burst of %u; write at most that",
                 out->guaranteed, config_class_name(k), out->burst);
        return -EINVAL;
    }
    if (out->guaranteed > *left) {
        snprintf(err, errlen,
                 "guaranteed = %u in [class %s] brings the classes' sum above the pool's %u "
                 "connections; at most %u are left",
                 out->guaranteed, config_class_name(k), total, *left);
        return -EINVAL;
    }
    *left -= out->guaranteed;
    return 0;
}

int config_shares_resolve(struct config *c, const struct config_class_draft *draft,
                          const struct config_class_lines *lines, unsigned *line, char *err,
                          size_t errlen)
{
    /* Streaming first: where the defaults have to share what is left, it is the last to lose. */
    static const enum traffic_class order[] = {TRAFFIC_STREAMING, TRAFFIC_QUEUE, TRAFFIC_HEALTH};
    unsigned total = c->pool.connections, left = total;
    unsigned by_line[TRAFFIC_CLASSES];
    unsigned n = 0;

    for (unsigned k = 0; k < TRAFFIC_CLASSES; k++) {
        *line = lines[k].burst;
        if (burst_resolve(&c->classes[k], (enum traffic_class)k, total, &draft[k], &lines[k], err,
                          errlen) < 0)
            return -EINVAL;
    }
    /* In the order they were written, so that the line blamed is the one that went too far. */
    for (unsigned k = 0; k < TRAFFIC_CLASSES; k++) {
        if (!lines[k].guaranteed)
            continue;
        unsigned i = n++;
        for (; i > 0 && lines[by_line[i - 1]].guaranteed > lines[k].guaranteed; i--)
            by_line[i] = by_line[i - 1];
        by_line[i] = k;
    }
    for (unsigned i = 0; i < n; i++) {
        unsigned k = by_line[i];
        *line = lines[k].guaranteed;
        if (guaranteed_resolve(&c->classes[k], (enum traffic_class)k, total, &left, &draft[k], err,
                               errlen) < 0)
            return -EINVAL;
    }
    for (unsigned i = 0; i < TRAFFIC_CLASSES; i++) {
        unsigned k = order[i];
        struct config_class *out = &c->classes[k];
        if (!lines[k].guaranteed) {
            out->guaranteed =
                least(least(share_of(defaults[k].guaranteed, total), out->burst), left);
            left -= out->guaranteed;
        }
        out->weight = lines[k].weight ? draft[k].weight : out->guaranteed ? out->guaranteed : 1;
        out->per_stream = draft[k].per_stream;
    }
    return 0;
}
