#include "tests/qos/model.h"

/* Every snapshot, at rest: each figure is what the model counted, and each sum is the sum of its parts. */

static uint64_t total_of(const uint64_t hist[QOS_HIST])
{
    uint64_t n = 0;
    for (unsigned i = 0; i < QOS_HIST; i++)
        n += hist[i];
    return n;
}

static void same(struct model *m, const char *what, unsigned of, uint64_t said, uint64_t is)
{
    if (said != is)
        model_fault(m, "figures: %s %u: said %llu, is %llu", what, of, (unsigned long long)said,
                    (unsigned long long)is);
}

static void check_shares(struct model *m, unsigned p)
{
    const struct qos_provider_stats *s = &m->stats.providers[p];
    struct qos_share_stats sum = {0};
    for (unsigned c = 0; c < TRAFFIC_CLASSES; c++) {
        const struct qos_share_stats *k = &s->classes[c];
        sum.leased += k->leased;
        sum.started += k->started;
        sum.done += k->done;
        sum.missing += k->missing;
        sum.corrupt += k->corrupt;
        sum.broken += k->broken;
        sum.bytes += k->bytes;
        same(m, "started at provider", p, k->started, m->counts.started[c][p]);
        same(m, "done at provider", p, k->done, m->counts.ok[c][p]);
        same(m, "missing at provider", p, k->missing, m->counts.not_here[c][p]);
        same(m, "corrupt at provider", p, k->corrupt, m->counts.spoilt[c][p]);
        same(m, "bytes at provider", p, k->bytes, m->counts.bytes[c][p]);
    }
    same(m, "leases of the classes at provider", p, sum.leased, s->leased);
    same(m, "sum of started at provider", p, s->started, sum.started);
    same(m, "sum of done at provider", p, s->ok, sum.done);
    same(m, "sum of missing at provider", p, s->not_here, sum.missing);
    same(m, "sum of corrupt at provider", p, s->spoilt, sum.corrupt);
    same(m, "sum of broken at provider", p, s->broken, sum.broken);
    same(m, "sum of bytes at provider", p, s->bytes, sum.bytes);
}

static void check_provider(struct model *m, unsigned p)
{
    const struct qos_provider_stats *s = &m->stats.providers[p];
    unsigned opening = 0, idle = 0, busy = 0, closing = 0, lingering = 0;
    for (unsigned i = 0; i < m->nconns; i++) {
        const struct model_conn *c = &m->conns[i];
        if (c->provider != p)
            continue;
        opening += c->state == MODEL_OPENING;
        idle += c->state == MODEL_READY && !c->n;
        busy += c->state == MODEL_READY && c->n;
        closing += c->state == MODEL_CLOSING;
    }
    for (unsigned i = 0; i < m->nlingers; i++)
        lingering += m->lingers[i].provider == p;
    unsigned sockets = opening + idle + busy + closing + lingering;
    if (s->sockets != sockets)
        model_fault(m, "I1: provider %u is said to have %u sockets and has %u", p, s->sockets,
                    sockets);
    same(m, "leased at provider", p, s->leased, opening + busy);
    same(m, "opening at provider", p, s->opening, opening);
    same(m, "idle at provider", p, s->idle, idle);
    same(m, "closing at provider", p, s->closing, closing);
    same(m, "lingering at provider", p, s->lingering, lingering);
    same(m, "limit of provider", p, s->limit, m->cfg.providers[p].connections);
    same(m, "opened at provider", p, s->opened, m->counts.ready[p]);
    same(m, "opening times of provider", p, total_of(s->open), s->opened);
    same(m, "answer times of provider", p, total_of(s->answer), m->counts.bodies[p]);
    check_shares(m, p);
}

static void check_class(struct model *m, unsigned c)
{
    const struct qos_class_stats *s = &m->stats.classes[c];
    const uint64_t *ends = m->counts.ends[c];
    uint64_t leased = 0, bytes = 0, broken = 0;
    for (unsigned p = 0; p < m->stats.nproviders; p++) {
        const struct qos_share_stats *k = &m->stats.providers[p].classes[c];
        leased += k->leased;
        bytes += k->bytes;
        broken += k->broken;
    }
    if (s->leased != m->leased[c])
        model_fault(m, "I2: class %u is said to lease %u and leases %u", c, s->leased,
                    m->leased[c]);
    same(m, "leases over all providers of class", c, leased, s->leased);
    same(m, "bytes of class", c, s->bytes, bytes);
    same(m, "broken of class", c, s->broken, broken);
    if (s->waiting != m->waiting[c])
        model_fault(m, "I7: %u operations of class %u are said to wait; %u do", s->waiting, c,
                    m->waiting[c]);
    same(m, "leases granted to class", c, s->granted_guarantee + s->granted_burst,
         m->counts.leases[c]);
    same(m, "leases granted on guarantee to class", c, s->granted_guarantee,
         m->counts.guaranteed[c]);
    same(m, "waiting times of class", c, total_of(s->wait), m->counts.first_starts[c]);
    same(m, "reclaim times of class", c, total_of(s->reclaim), s->granted_guarantee);
    same(m, "twins of class", c, s->hedged, m->counts.hedged[c]);
    same(m, "cut connections of class", c, s->cut, m->counts.cuts[c]);
    same(m, "done of class", c, s->done, ends[QOS_DONE]);
    same(m, "missing of class", c, s->missing, ends[QOS_MISSING]);
    same(m, "corrupt of class", c, s->corrupt, ends[QOS_CORRUPT]);
    same(m, "failed of class", c, s->failed, ends[QOS_FAILED] + ends[QOS_REJECTED]);
    same(m, "timeout of class", c, s->timeout, ends[QOS_TIMEOUT]);
    same(m, "cancelled of class", c, s->cancelled, ends[QOS_CANCELLED]);
}

void model_figures(struct model *m)
{
    unsigned by_class = 0, by_provider = 0;
    uint64_t refused_classes = 0, refused_providers = 0;
    for (unsigned c = 0; c < TRAFFIC_CLASSES; c++) {
        check_class(m, c);
        by_class += m->stats.classes[c].leased;
        refused_classes += m->stats.classes[c].refused;
    }
    for (unsigned p = 0; p < m->cfg.nproviders; p++) {
        check_provider(m, p);
        by_provider += m->stats.providers[p].leased;
        refused_providers += m->stats.providers[p].refused;
    }
    if (by_class != m->stats.leased_total || by_provider != m->stats.leased_total)
        model_fault(m, "I2: leases are %u by class, %u by provider, %u in all", by_class,
                    by_provider, m->stats.leased_total);
    same(m, "refused in all, by class", 0, refused_classes, refused_providers);
    same(m, "total", 0, m->stats.total, m->total);
}
