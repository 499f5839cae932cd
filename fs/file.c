/* file — one posted file: its map from bytes to segments, its size, and what is known to be lost. */
#define LOG_TAG "fs.file"
#include "fs/view.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* One line in so long, however many segments are lost: a dead file has thousands. */
#define LOST_PERIOD_US (UINT64_C(10) * 1000000)

static void describe(const struct cache_file *c, uint32_t i, struct segment_want *out)
{
    const void *f = (const char *)c - offsetof(struct fs_file, cache);
    const struct nzb_file *posted = ((const struct fs_file *)f)->posted;
    out->message_id = posted->segments[i].message_id;
    out->group = posted->ngroups ? posted->groups[0] : NULL;
    out->posted_s = posted->posted_s;
    out->bytes = posted->segments[i].bytes;
}

/* The name that the poster gave it: of the first article that has one. Only who looks for contents cares. */
static void name_note(struct fs_file *f, const char *name)
{
    char *none = NULL;
    if (!f->view || !name || !*name || atomic_load_explicit(&f->yenc_name, memory_order_relaxed))
        return;
    char *own = strdup(name);
    if (own && !atomic_compare_exchange_strong(&f->yenc_name, &none, own))
        free(own);
}

static int check(struct cache_file *c, uint32_t i, const struct segment_info *info)
{
    struct fs_file *f = container_of(c, struct fs_file, cache);
    name_note(f, info->name);
    pthread_mutex_lock(&f->lock);
    enum segmap_verdict v = segmap_check(f->map, i, info);
    pthread_mutex_unlock(&f->lock);
    if (v == SEGMAP_PLAUSIBLE)
        return 0;
    log_debug(
        "%s: segment %" PRIu32 " says it is bytes %" PRIu64 "+%" PRIu32 " of %" PRIu64 ": refused",
        f->posted->name, f->posted->segments[i].number, info->begin, info->len, info->file_size);
    return -EBADMSG;
}

/* Under the lock. False: no memory for the bits. */
static bool bit_set(const struct fs_file *f, uint8_t **bits, uint32_t i)
{
    if (!*bits)
        *bits = calloc((size_t)f->posted->nsegments / 8 + 1, 1);
    if (*bits)
        (*bits)[i / 8] |= (uint8_t)(1u << (i & 7));
    return *bits != NULL;
}

static bool bit_has(const uint8_t *bits, uint32_t i)
{
    return bits && bits[i / 8] >> (i & 7) & 1;
}

bool fs_file_lied(const struct fs_file *f, uint32_t i)
{
    return bit_has(f->lied, i);
}

bool fs_file_may_early(const struct fs_file *f, uint32_t i)
{
    return !f->wary && !bit_has(f->doubted, i);
}

static void doubted(struct cache_file *c, uint32_t i)
{
    struct fs_file *f = container_of(c, struct fs_file, cache);
    pthread_mutex_lock(&f->lock);
    if (!bit_set(f, &f->doubted, i))
        f->wary = true;
    pthread_mutex_unlock(&f->lock);
}

uint32_t fs_file_disowned(struct fs_file *f)
{
    pthread_mutex_lock(&f->lock);
    uint32_t n = f->disowned;
    pthread_mutex_unlock(&f->lock);
    return n;
}

/* Nothing that an unproven article has said may be answered any more by who has looked at it until now. */
static void disowned(struct cache_file *c, uint32_t i, uint64_t begin, uint64_t end, bool lied)
{
    static struct log_gate gate;
    struct fs_file *f = container_of(c, struct fs_file, cache);
    pthread_mutex_lock(&f->lock);
    bool told = f->told != FS_SIZE_UNKNOWN;
    f->told = FS_SIZE_UNKNOWN;
    f->revoked++;
    f->disowned += begin < end;
    f->wary |= lied;
    if (lied)
        bit_set(f, &f->lied, i); /* without memory it is only lost until it is asked for again */
    pthread_mutex_unlock(&f->lock);
    if (told || begin < end)
        fs_disown_add(f->disown, f, begin, end);
    if (f->view)
        fs_view_disown(f->view, f, begin, end, lied);
    if (lied)
        fs_file_failed(f, i, SEGMENT_CORRUPT);
    if (begin >= end)
        return;
    uint64_t count = log_gate_pass(&gate, clock_now_us(), LOST_PERIOD_US);
    if (count)
        log_warn("%s: segment %" PRIu32
                 ": bytes were given out before its article ended, and %s (%" PRIu64
                 " such segments so far)",
                 f->posted->name, f->posted->segments[i].number,
                 lied ? "they were wrong: it cannot be read any more"
                      : "it never came to a sound end: they are fetched again when they are wanted",
                 count);
}

static void proven(struct cache_file *c, uint32_t i, const struct segment_info *info)
{
    struct fs_file *f = container_of(c, struct fs_file, cache);
    struct fs *fs = container_of(f->disown, struct fs, disown);
    uint64_t grown;
    if (!fs_file_learn(f, i, info, &grown)) /* what others proved meanwhile denies it */
        fs_disown_add(f->disown, f, info->begin, info->begin + info->len);
    if (grown)
        atomic_fetch_add(&fs->known_bytes, grown);
}

static const struct cache_file_ops file_ops = {
    .describe = describe,
    .check = check,
    .disowned = disowned,
    .proven = proven,
    .doubted = doubted,
};

int fs_file_init(struct fs_file *f, const struct nzb_file *posted, struct fs_disown *d)
{
    static _Atomic uint64_t ids;
    f->cache = (struct cache_file){.id = atomic_fetch_add(&ids, 1) + 1, .ops = &file_ops};
    f->posted = posted;
    f->disown = d;
    f->size = f->told = FS_SIZE_UNKNOWN;
    return -pthread_mutex_init(&f->lock, NULL);
}

void fs_file_fini(struct fs_file *f)
{
    segmap_free(f->map);
    free(f->numbers);
    free(f->lost);
    free(f->lied);
    free(f->doubted);
    free(f->zeros);
    free(f->yenc_name);
    pthread_mutex_destroy(&f->lock);
}

int fs_file_load(struct fs_file *f)
{
    const struct nzb_file *posted = f->posted;
    int err = 0;
    pthread_mutex_lock(&f->lock);
    if (f->map)
        goto out;
    err = -ENOMEM;
    uint32_t n = posted->nsegments;
    f->numbers = calloc((size_t)n + 1, sizeof(*f->numbers));
    f->lost = calloc((size_t)n / 8 + 1, 1);
    if (f->numbers && f->lost) {
        for (uint32_t i = 0; i < n; i++)
            f->numbers[i] = posted->segments[i].number;
        f->map = segmap_new(f->numbers, n, posted->parts);
    }
    if (f->map) {
        err = 0;
        goto out;
    }
    free(f->numbers);
    free(f->lost);
    f->numbers = NULL;
    f->lost = NULL;
out:
    pthread_mutex_unlock(&f->lock);
    return err;
}

static void lost_log(const struct fs_file *f, uint32_t i, enum segment_result how)
{
    static struct log_gate gate;
    uint64_t count = log_gate_pass(&gate, clock_now_us(), LOST_PERIOD_US);
    if (count)
        log_warn("%s: segment %" PRIu32 " is %s: what it holds cannot be read (%" PRIu64
                 " lost so far)",
                 f->posted->name, f->posted->segments[i].number, segment_result_name(how), count);
}

/* Under the lock. */
static void lost_set(struct fs_file *f, uint32_t i, bool lost)
{
    uint8_t bit = (uint8_t)(1u << (i & 7));
    if (((f->lost[i / 8] & bit) != 0) == lost)
        return;
    f->lost[i / 8] ^= bit;
    f->missing += lost ? 1 : UINT32_MAX;
}

/* Servers that lie would otherwise write a line for each file and turn. */
static void resized_log(const struct fs_file *f, uint64_t size, uint64_t thought)
{
    static struct log_gate gate;
    uint64_t count = log_gate_pass(&gate, clock_now_us(), LOST_PERIOD_US);
    if (count)
        log_warn("%s: is %" PRIu64 " bytes long, not %" PRIu64 " as was thought (%" PRIu64
                 " sizes corrected so far)",
                 f->posted->name, size, thought, count);
}

bool fs_file_learn(struct fs_file *f, uint32_t i, const struct segment_info *info, uint64_t *grown)
{
    uint64_t size, thought = FS_SIZE_UNKNOWN;
    *grown = 0;
    pthread_mutex_lock(&f->lock);
    bool fits = segmap_learn(f->map, i, info) == SEGMAP_PLAUSIBLE;
    if (fits)
        lost_set(f, i, false);
    if (segmap_size(f->map, &size) && size != f->size) {
        thought = f->size;
        bool had = thought != FS_SIZE_UNKNOWN;
        *grown = size - (had ? thought : 0);
        f->resized |= had;
        f->size = size;
    }
    size = f->size;
    bool untrue = size != FS_SIZE_UNKNOWN && f->told != FS_SIZE_UNKNOWN && f->told != size;
    if (untrue)
        thought = f->told;
    if (size != FS_SIZE_UNKNOWN)
        f->told = FS_SIZE_UNKNOWN;
    pthread_mutex_unlock(&f->lock);
    if (untrue)
        fs_disown_add(f->disown, f, 0, 0);
    if (thought != FS_SIZE_UNKNOWN)
        resized_log(f, size, thought);
    return fits;
}

bool fs_file_tell(struct fs_file *f, uint64_t size, uint32_t revoked)
{
    pthread_mutex_lock(&f->lock);
    bool proven = f->size != FS_SIZE_UNKNOWN, tells = size != FS_SIZE_UNKNOWN;
    bool may = f->revoked == revoked && (!tells || !proven || f->size == size);
    bool other = may && tells && !proven && f->told != FS_SIZE_UNKNOWN && f->told != size;
    if (may && tells && !proven)
        f->told = size;
    pthread_mutex_unlock(&f->lock);
    if (other)
        fs_disown_add(f->disown, f, 0, 0);
    return may;
}

void fs_file_failed(struct fs_file *f, uint32_t i, enum segment_result how)
{
    if (how != SEGMENT_MISSING && how != SEGMENT_CORRUPT) {
        log_debug("%s: segment %" PRIu32 ": %s", f->posted->name, f->posted->segments[i].number,
                  segment_result_name(how));
        return;
    }
    pthread_mutex_lock(&f->lock);
    uint32_t before = f->missing;
    lost_set(f, i, true);
    bool fresh = f->missing != before;
    pthread_mutex_unlock(&f->lock);
    if (fresh)
        lost_log(f, i, how);
}

/* How long after its deadline a stall is remembered: the kernel asks again at once. And how long such a second
 * request waits at least: long enough to be answered if the server has just come back. A request that was cut
 * short does not renew the stall, so whoever keeps asking gets a full wait again soon. */
#define STALL_US      (UINT64_C(1000) * 1000)
#define STALL_WAIT_US (UINT64_C(100) * 1000)

/* The kernel's readahead of one stretch fails piece by piece. */
#define STALL_NEAR    ((uint64_t)1 << 20)

static bool is_near(const struct fs_range *a, uint64_t begin, uint64_t end)
{
    return begin <= (a->end > UINT64_MAX - STALL_NEAR ? UINT64_MAX : a->end + STALL_NEAR) &&
           a->begin <= (end > UINT64_MAX - STALL_NEAR ? UINT64_MAX : end + STALL_NEAR);
}

void fs_file_stalled(struct fs_file *f, uint64_t now_us, uint64_t begin, uint64_t end,
                     uint64_t deadline_us)
{
    uint64_t until = (deadline_us > now_us ? deadline_us : now_us) + STALL_US;
    pthread_mutex_lock(&f->lock);
    if (now_us >= f->stalled_until || !is_near(&f->stalled, begin, end)) {
        f->stalled = (struct fs_range){begin, end};
        f->stalled_deadline = deadline_us;
        f->stalled_until = until;
    }
    f->stalled.begin = begin < f->stalled.begin ? begin : f->stalled.begin;
    f->stalled.end = end > f->stalled.end ? end : f->stalled.end;
    if (until > f->stalled_until)
        f->stalled_until = until;
    pthread_mutex_unlock(&f->lock);
}

uint64_t fs_file_deadline(struct fs_file *f, uint64_t now_us, uint64_t begin, uint64_t end,
                          uint64_t deadline_us)
{
    if (now_us >= f->stalled_until)
        return deadline_us;
    pthread_mutex_lock(&f->lock);
    bool same = begin < f->stalled.end && end > f->stalled.begin;
    uint64_t sooner = now_us + STALL_WAIT_US;
    if (sooner < f->stalled_deadline)
        sooner = f->stalled_deadline;
    pthread_mutex_unlock(&f->lock);
    return same && deadline_us > sooner ? sooner : deadline_us;
}

/* Under the lock: the first range that ends at or behind `off`. */
static size_t zeros_search(const struct fs_file *f, uint64_t off)
{
    size_t lo = 0, hi = f->nzeros;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (f->zeros[mid].end < off)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static bool zeros_reserve(struct fs_file *f)
{
    if (f->nzeros < f->zeros_cap)
        return true;
    size_t cap = f->zeros_cap ? f->zeros_cap * 2 : 8;
    struct fs_range *fresh = reallocarray(f->zeros, cap, sizeof(*fresh));
    if (!fresh)
        return false;
    f->zeros = fresh;
    f->zeros_cap = cap;
    return true;
}

int fs_file_zeroed(struct fs_file *f, uint64_t begin, uint64_t end, uint64_t *fresh)
{
    struct fs_range all = {begin, end};
    uint64_t had = 0;
    pthread_mutex_lock(&f->lock);
    if (!zeros_reserve(f)) {
        pthread_mutex_unlock(&f->lock);
        return -ENOMEM;
    }
    /* Ranges [at, to) touch the new one and melt into it. */
    size_t at = zeros_search(f, begin), to = at;
    for (; to < f->nzeros && f->zeros[to].begin <= end; to++) {
        had += f->zeros[to].end - f->zeros[to].begin;
        all.begin = all.begin < f->zeros[to].begin ? all.begin : f->zeros[to].begin;
        all.end = all.end > f->zeros[to].end ? all.end : f->zeros[to].end;
    }
    memmove(&f->zeros[at + 1], &f->zeros[to], (f->nzeros - to) * sizeof(all));
    f->zeros[at] = all;
    f->nzeros = f->nzeros - (to - at) + 1;
    *fresh = all.end - all.begin - had;
    f->zeroed += *fresh;
    pthread_mutex_unlock(&f->lock);
    return 0;
}
