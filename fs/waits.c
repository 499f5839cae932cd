/* waits — what the reads of one open file waited for, and how fast it is read.
 *
 *     reader   ▒▒▒▒▒▒▒▒▒▒            ▒▒▒▒▒▒▒        ▒▒▒▒
 *     read A             ├──waits──┤        ├hit┤ …
 *     read B               ├─────waits────┤
 *     charged            └──────A──┘└──B──┘
 *
 * The kernel sends several reads of one file at a time. A moment in which two of them wait is charged once, to the one
 * that ends first; so what is charged is time in which something was lacking, and adds up to no more than has gone by.
 * The longest waits are each read's own. Time in which no read is out is the reader's.
 *
 * A read that is answered at once is taken to have needed no time: it costs no look at the clock. */
#include "fs/internal.h"

#include <errno.h>
#include <string.h>

#define SECOND UINT64_C(1000000)

static void wait_add(struct fs_wait *w, uint64_t us, uint64_t longest_us)
{
    w->count++;
    w->us += us;
    if (longest_us > w->longest_us)
        w->longest_us = longest_us;
}

/* --- rate -------------------------------------------------------------------------------------- */

static void rate_turn(struct fs_tally *t, uint64_t second)
{
    if (second - t->second >= FS_RATE_SECONDS)
        memset(t->bytes, 0, sizeof(t->bytes));
    else
        for (uint64_t s = t->second + 1; s <= second; s++)
            t->bytes[s % FS_RATE_SECONDS] = 0;
    t->second = second;
}

static void rate_add(struct fs_tally *t, uint64_t now_us, size_t n)
{
    uint64_t second = now_us / SECOND;
    if (second > t->second)
        rate_turn(t, second);
    t->bytes[t->second % FS_RATE_SECONDS] += n;
    t->sum.bytes += n;
}

uint64_t fs_tally_rate(struct fs_tally *t, uint64_t now_us)
{
    uint64_t second = now_us / SECOND, sum = 0;
    uint64_t from_us = second >= FS_RATE_SECONDS ? (second - FS_RATE_SECONDS + 1) * SECOND : 0;
    if (second > t->second)
        rate_turn(t, second);
    for (unsigned k = 0; k < FS_RATE_SECONDS; k++)
        sum += t->bytes[k];
    if (from_us < t->opened_us)
        from_us = t->opened_us;
    uint64_t us = now_us > from_us ? now_us - from_us : 0;
    if (us < SECOND) /* a burst at the beginning is no rate */
        us = SECOND;
    return sum <= UINT64_MAX / SECOND ? sum * SECOND / us : 0;
}

/* --- waits ------------------------------------------------------------------------------------- */

/* More providers than there is room for share the last place, which then has no name. */
static void provider_add(struct fs_waits *w, const char *name, enum cache_stage stage, uint64_t us)
{
    unsigned k = 0;
    while (k < w->nproviders && w->providers[k].name != name)
        k++;
    if (k == FS_WAIT_PROVIDERS)
        w->providers[--k].name = NULL;
    else if (k == w->nproviders)
        w->providers[w->nproviders++] = (struct fs_provider_wait){.name = name};
    *(stage == CACHE_WAITS_ANSWER ? &w->providers[k].answer_us : &w->providers[k].bytes_us) += us;
}

static void spans_charge(struct fs_tally *t, const struct cache_waits *w)
{
    uint64_t own[CACHE_STAGES] = {0}, charged[CACHE_STAGES] = {0}, all = 0, at = w->since_us;
    for (unsigned k = 0; k < w->n; k++) {
        const struct cache_span *s = &w->spans[k];
        uint64_t from = at > t->charged_us ? at : t->charged_us;
        uint64_t us = s->until_us > from ? s->until_us - from : 0;
        own[s->stage] += s->until_us - at;
        charged[s->stage] += us;
        all += us;
        if (us && s->provider)
            provider_add(&t->sum, s->provider, s->stage, us);
        at = s->until_us;
    }
    for (unsigned k = 0; k < CACHE_STAGES; k++)
        if (own[k])
            wait_add(&t->sum.stages[k], charged[k], own[k]);
    wait_add(&t->sum.all, all, at - w->since_us);
    if (at > t->charged_us)
        t->charged_us = at;
}

void fs_tally_begin(struct fs_tally *t, uint64_t now_us)
{
    if (!t->out++ && t->answered_us && now_us > t->answered_us)
        wait_add(&t->sum.reader, now_us - t->answered_us, now_us - t->answered_us);
    t->asked_us = now_us;
}

void fs_tally_end(struct fs_tally *t, uint64_t asked_us, const struct cache_waits *w, int err,
                  size_t n)
{
    uint64_t now_us = asked_us;
    if (w->since_us) {
        spans_charge(t, w);
        now_us = w->n ? w->spans[w->n - 1].until_us : w->since_us;
    }
    t->out--;
    if (now_us > t->answered_us)
        t->answered_us = now_us;
    t->sum.reads++;
    if (err)
        t->sum.errors += err != EINTR;
    else
        rate_add(t, now_us, n);
}

void fs_waits_add(struct fs_waits *to, const struct fs_waits *w)
{
    struct {
        struct fs_wait *to;
        const struct fs_wait *from;
    } all[CACHE_STAGES + 2] = {{&to->all, &w->all}, {&to->reader, &w->reader}};
    for (unsigned k = 0; k < CACHE_STAGES; k++) {
        all[k + 2].to = &to->stages[k];
        all[k + 2].from = &w->stages[k];
    }
    for (unsigned k = 0; k < CACHE_STAGES + 2; k++) {
        all[k].to->count += all[k].from->count;
        all[k].to->us += all[k].from->us;
        if (all[k].from->longest_us > all[k].to->longest_us)
            all[k].to->longest_us = all[k].from->longest_us;
    }
    for (unsigned k = 0; k < w->nproviders; k++) {
        provider_add(to, w->providers[k].name, CACHE_WAITS_ANSWER, w->providers[k].answer_us);
        provider_add(to, w->providers[k].name, CACHE_WAITS_BYTES, w->providers[k].bytes_us);
    }
    to->reads += w->reads;
    to->bytes += w->bytes;
    to->errors += w->errors;
}
