/* Who asks for what at the same time, and answers that wait in the middle until they are told to go on.
 *
 * Sums and peaks are counted as it happens. What there is *now* is found by walking the connections when
 * somebody asks, so that it cannot go wrong by a count that was forgotten; and the counts must agree. */
#include "tests/lib/newsd_internal.h"

#include "base/clock.h"

#include <assert.h>
#include <ctype.h>

unsigned newsd_tag_index(char letter)
{
    int c = tolower((unsigned char)letter);
    return c >= 'a' && c <= 'z' ? (unsigned)(c - 'a') : NEWSD_TAGS - 1;
}

/* ---- as it happens ---- */

void newsd_tag_asked(struct newsd_conn *c, const char *message_id, struct newsd_answer *a)
{
    unsigned i = newsd_tag_index(message_id[0]);
    c->tag = (uint8_t)(i + 1);
    struct newsd_tag *t = &c->d->tags[i];
    t->commands++;
    if (!a)
        return;
    a->tag = c->tag;
    if (c->tagged[i]++ == 0 && c->counted && ++t->on > t->on_peak)
        t->on_peak = t->on;
}

void newsd_tag_left(struct newsd_conn *c, const struct newsd_answer *a)
{
    if (a->tag && --c->tagged[a->tag - 1] == 0 && c->counted)
        c->d->tags[a->tag - 1].on--;
}

void newsd_tag_uncount(struct newsd_conn *c)
{
    for (unsigned i = 0; i < NEWSD_TAGS; i++)
        c->d->tags[i].on -= c->tagged[i] > 0;
}

void newsd_tag_reset_peaks(struct newsd *d)
{
    for (unsigned i = 0; i < NEWSD_TAGS; i++)
        d->tags[i].on_peak = d->tags[i].on;
}

static size_t middle(const struct newsd_answer *a)
{
    return a->len / 2;
}

/* Once it is past the middle it is late to hold it. What breaks off before that does so. */
static bool is_to_hold(const struct newsd *d, const struct newsd_answer *a)
{
    return d->holding && a->tag && !a->passes && a->sent <= middle(a) && a->stop > middle(a);
}

size_t newsd_tag_stop(const struct newsd *d, const struct newsd_answer *a)
{
    return is_to_hold(d, a) ? middle(a) : a->stop;
}

bool newsd_tag_sent(struct newsd_conn *c, struct newsd_answer *a, size_t n)
{
    struct newsd *d = c->d;
    if (!a->tag)
        return false;
    struct newsd_tag *t = &d->tags[a->tag - 1];
    t->bytes += n;
    if (is_to_hold(d, a) && a->sent == middle(a)) {
        a->held_no = ++d->held_no;
        c->held = true;
        return true;
    }
    t->answered += a->sent == a->len;
    return false;
}

void newsd_tag_refused(struct newsd *d)
{
    d->stats.refused++;
    d->refusals[d->nrefusals++ % NEWSD_REFUSALS] = clock_now_us();
}

/* ---- held ---- */

static struct newsd_answer *first_of(struct newsd_conn *c)
{
    return container_of(c->answers.next, struct newsd_answer, link);
}

/* `c` may be gone afterwards. */
static void let_go(struct newsd_conn *c)
{
    first_of(c)->passes = true;
    c->held = false;
    newsd_conn_run(c);
}

static void do_hold(struct newsd *d, void *arg)
{
    d->holding = *(bool *)arg;
    list_for_each_safe(it, &d->conns)
    {
        struct newsd_conn *c = container_of(it, struct newsd_conn, link);
        if (!d->holding && c->held)
            let_go(c);
    }
}

void newsd_hold(struct newsd *d, bool hold)
{
    newsd_call(d, do_hold, &hold);
}

struct release_arg {
    char tag;
    unsigned n, found;
};

/* The one that has waited longest, of those held up to number `last`. */
static struct newsd_conn *longest(struct newsd *d, char tag, uint64_t last)
{
    struct newsd_conn *best = NULL;
    list_for_each(it, &d->conns)
    {
        struct newsd_conn *c = container_of(it, struct newsd_conn, link);
        if (!c->held || first_of(c)->held_no > last)
            continue;
        if (tag && first_of(c)->tag != newsd_tag_index(tag) + 1)
            continue;
        if (!best || first_of(c)->held_no < first_of(best)->held_no)
            best = c;
    }
    return best;
}

static void do_release(struct newsd *d, void *arg)
{
    struct release_arg *r = arg;
    struct newsd_conn *c;
    /* What comes to be held by this, behind what is let go, is not meant. */
    uint64_t last = d->held_no;
    while (r->found < r->n && (c = longest(d, r->tag, last))) {
        let_go(c);
        r->found++;
    }
}

unsigned newsd_release(struct newsd *d, char tag, unsigned n)
{
    struct release_arg r = {.tag = tag, .n = n};
    newsd_call(d, do_release, &r);
    return r.found;
}

/* ---- figures ---- */

static void conn_count(const struct newsd_conn *c, struct newsd_tags *out)
{
    struct newsd_tag *next = NULL; /* whose command is to be answered next */
    unsigned row = 0;
    if (c->counted && c->tag)
        out->of[c->tag - 1].connections++;
    list_for_each(it, &c->answers)
    {
        const struct newsd_answer *a = container_of(it, struct newsd_answer, link);
        if (!a->tag)
            continue;
        struct newsd_tag *t = &out->of[a->tag - 1];
        t->in_flight++;
        t->carrying += !next && c->counted;
        t->held += !next && c->held;
        next = next ? next : t;
        row++;
    }
    if (next && c->counted) {
        next->pipelined += row > 1;
        next->deep += row > 2;
    }
    for (unsigned i = 0; c->counted && i < NEWSD_TAGS; i++)
        out->of[i].on += c->tagged[i] > 0;
}

static void do_tags(struct newsd *d, void *arg)
{
    struct newsd_tags *out = arg;
    *out = (struct newsd_tags){.connections = d->stats.connections,
                               .peak = d->stats.connections_peak,
                               .accepted = d->stats.accepted,
                               .refused = d->stats.refused};
    for (unsigned i = 0; i < NEWSD_TAGS; i++) {
        out->of[i] = d->tags[i];
        out->of[i].on = 0;
    }
    list_for_each(it, &d->conns) conn_count(container_of(it, struct newsd_conn, link), out);
    for (unsigned i = 0; i < NEWSD_TAGS; i++) {
        const struct newsd_tag *t = &out->of[i];
        assert(t->on == d->tags[i].on);
        out->all.on += t->on;
        out->all.pipelined += t->pipelined;
        out->all.deep += t->deep;
        out->all.connections += t->connections;
        out->all.carrying += t->carrying;
        out->all.in_flight += t->in_flight;
        out->all.held += t->held;
        out->all.commands += t->commands;
        out->all.answered += t->answered;
        out->all.bytes += t->bytes;
    }
}

void newsd_tags(struct newsd *d, struct newsd_tags *out)
{
    newsd_call(d, do_tags, out);
}

struct refusals_arg {
    uint64_t *times_us;
    size_t room, n;
};

static void do_refusals(struct newsd *d, void *arg)
{
    struct refusals_arg *r = arg;
    uint64_t kept = d->nrefusals < NEWSD_REFUSALS ? d->nrefusals : NEWSD_REFUSALS;
    r->n = kept < r->room ? (size_t)kept : r->room;
    for (size_t i = 0; i < r->n; i++)
        r->times_us[i] = d->refusals[(d->nrefusals - r->n + i) % NEWSD_REFUSALS];
}

size_t newsd_refusals(struct newsd *d, uint64_t *times_us, size_t room)
{
    struct refusals_arg r = {.times_us = times_us, .room = room};
    newsd_call(d, do_refusals, &r);
    return r.n;
}
