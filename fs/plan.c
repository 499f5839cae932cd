/* plan — from a byte range to blocks, and from blocks to bytes.
 *
 * A healthy file needs two rounds at its very first read (which tells the size) and one ever after. An
 * uneven one needs a few more to find the place. Nothing is taken out of a block before its article has
 * been held against the map and the map still puts it where the plan did.
 *
 * The map learns from articles that have come to a sound end, and from no others. Of one that is still coming an
 * early read may take bytes where the map expects that article to be. Before the size is known it goes by what the
 * article that is to tell it says (the *claim*): that the file is so long, and where its parts may be. Even then
 * bytes are taken out of an article that says itself that it has them, in a file of that length. Who needs an
 * article's last byte waits for its proof; so does, from then on, a read that finds an unproven article to say
 * something else than was expected, or that does not get it. */
#define LOG_TAG "fs.read"
#include "fs/read.h"

#include <errno.h>
#include <string.h>

/* What may be spent on segments that cannot be had, or that lie, while the map is being learnt: one for a
 * missing one, two where no answer was to be got at all. */
#define LOST_MOST 4

static const char zeros[64 << 10];

/* --- plan -------------------------------------------------------------------------------------- */

/* Who reads on and on has what it reads fetched ahead, and can have it proven; it is who has just begun, or
 * jumped, that waits for each byte. */
#define EARLY_RUN ((uint64_t)1 << 20)

/* Segment `i`, of which `early` bytes will do where the reader takes unproven ones; 0: all of it, proven. */
static int want_add(struct read *r, uint32_t i, uint32_t early)
{
    if (!r->pub.early || r->strict || r->run > EARLY_RUN || !fs_file_may_early(r->file, i))
        early = 0;
    for (unsigned k = 0; k < r->nwants; k++) {
        struct cache_want *w = &r->wants[k];
        if (w->i != i)
            continue;
        w->early = early && w->early && early < w->early ? w->early : w->early ? early : 0;
        w->header = false;
        return (int)k;
    }
    r->wants[r->nwants] = (struct cache_want){.i = i, .early = early};
    return (int)r->nwants++;
}

/* What segment `i` says of itself will do, likewise. */
static int want_header(struct read *r, uint32_t i)
{
    int k = want_add(r, i, 1);
    r->wants[k].header = r->wants[k].early > 0;
    return k;
}

static bool is_proven(const struct cache_want *w)
{
    return w->there == w->info.len;
}

/* Under the file's lock: a first learner may ask again for what an earlier one had to do without. False:
 * it is one already. */
static bool learner_enter(struct read *r)
{
    if (r->learner)
        return false;
    r->learner = true;
    if (!r->file->learners++)
        segmap_forget_lost(r->file->map);
    return true;
}

void read_learner_leave(struct read *r)
{
    if (!r->learner)
        return;
    r->learner = false;
    pthread_mutex_lock(&r->file->lock);
    r->file->learners--;
    pthread_mutex_unlock(&r->file->lock);
}

/* Under the file's lock: where byte `pos` is. A read that has to learn, or meets a hole, looks again as a
 * learner: what was out of reach for an earlier one may be there now. */
static struct segmap_at place_find(struct read *r, uint64_t pos)
{
    struct segmap_at at = segmap_find(r->file->map, pos);
    bool known = at.place == SEGMAP_HERE || at.place == SEGMAP_EOF;
    return known || !learner_enter(r) ? at : segmap_find(r->file->map, pos);
}

static void piece_add(struct read *r, const struct segmap_at *at, uint64_t pos)
{
    uint64_t end = at->end < r->end ? at->end : r->end;
    bool lied = at->place == SEGMAP_HERE && fs_file_lied(r->file, at->i);
    r->pieces[r->npieces++] = (struct read_piece){
        .begin = pos,
        .end = end,
        .from = at->begin,
        .to = at->end,
        .lied = lied,
        .want = at->place == SEGMAP_HERE && !lied ? want_add(r, at->i, (uint32_t)(end - at->begin))
                                                  : -1,
    };
}

static uint64_t end_of(const struct read *r, uint64_t size)
{
    uint64_t off = r->pub.off;
    return off >= size ? off : r->pub.len < size - off ? off + r->pub.len : size;
}

/* Where byte `pos` is if the claim is true. False: that does not tell it. */
static bool claim_find(const struct read *r, uint64_t pos, struct segmap_at *at)
{
    const struct segment_info *c = &r->claim;
    *at = (struct segmap_at){SEGMAP_HERE, r->claim_i, c->begin, c->begin + c->len, false};
    if (pos >= at->begin && pos < at->end)
        return true;
    const struct nzb_file *posted = r->file->posted;
    struct segmap *m = segmap_new(r->file->numbers, posted->nsegments, posted->parts);
    bool known = m && segmap_learn(m, r->claim_i, c) == SEGMAP_PLAUSIBLE;
    if (known)
        *at = segmap_find(m, pos);
    segmap_free(m);
    return known && at->place == SEGMAP_HERE;
}

/* Under the file's lock, while the size is not known: by the claim. A read that goes beyond one segment needs a
 * last byte, and with that a proof; the next segment can be on its way meanwhile. */
static enum plan plan_claimed(struct read *r)
{
    struct segmap_at at;
    uint64_t end = end_of(r, r->claim.file_size);
    if (!r->pub.len)
        return PLAN_TAKE;
    bool here = r->pos < end && claim_find(r, r->pos, &at);
    if (here && end < at.end) {
        r->end = end;
        piece_add(r, &at, r->pos);
        return r->nwants ? PLAN_FETCH : PLAN_TAKE;
    }
    r->claimed = false;
    r->asked = want_add(r, r->claim_i, 0);
    if (here && at.i != r->claim_i)
        want_header(r, at.i);
    if (here && end > at.end && at.i + 1 < r->file->posted->nsegments && at.i + 1 != r->claim_i)
        want_header(r, at.i + 1);
    return PLAN_FETCH;
}

/* Under the file's lock. *drop: what is held of the asked segment is in doubt. */
static enum plan plan_pieces(struct read *r, bool *drop)
{
    uint64_t size, pos = 0;
    bool sized = segmap_size(r->file->map, &size);
    if (!sized && r->claimed)
        return plan_claimed(r);
    r->claimed = false;
    r->revoked = r->file->revoked;
    if (sized) {
        r->end = end_of(r, size);
        pos = r->pos;
    }
    while (!sized || (pos < r->end && r->npieces < r->width)) {
        struct segmap_at at = place_find(r, pos);
        if (at.place == SEGMAP_ASK || at.place == SEGMAP_DOUBT) {
            *drop = at.place == SEGMAP_DOUBT;
            r->asked = sized ? want_add(r, at.i, 0) : want_header(r, at.i);
            return PLAN_FETCH;
        }
        if (!sized || at.place == SEGMAP_EOF || at.begin > pos || at.end <= pos)
            return PLAN_FAIL;
        piece_add(r, &at, pos);
        pos = at.end;
    }
    return r->nwants ? PLAN_FETCH : PLAN_TAKE;
}

enum plan read_plan(struct read *r)
{
    bool drop = false;
    r->nwants = r->npieces = 0;
    r->asked = -1;
    pthread_mutex_lock(&r->file->lock);
    enum plan p = plan_pieces(r, &drop);
    pthread_mutex_unlock(&r->file->lock);
    if (drop)
        cache_drop(r->fs->cache, &r->file->cache, r->wants[r->asked].i);
    return p;
}

bool read_may_tell(struct read *r)
{
    bool loose = r->claimed;
    for (unsigned k = 0; k < r->npieces && !loose; k++) {
        const struct cache_want *w = r->pieces[k].want < 0 ? NULL : &r->wants[r->pieces[k].want];
        loose = w && w->result == SEGMENT_DONE && !is_proven(w);
    }
    return !loose ||
           fs_file_tell(r->file, r->claimed ? r->claim.file_size : FS_SIZE_UNKNOWN, r->revoked);
}

/* Does the map still say what the pieces say? Of a claim: still nothing. */
static bool plan_stands(struct read *r)
{
    uint64_t size;
    pthread_mutex_lock(&r->file->lock);
    if (r->claimed) {
        bool sized = segmap_size(r->file->map, &size);
        pthread_mutex_unlock(&r->file->lock);
        return !sized;
    }
    bool stands = true;
    for (unsigned k = 0; k < r->npieces && stands; k++) {
        const struct read_piece *p = &r->pieces[k];
        struct segmap_at at = segmap_find(r->file->map, p->begin);
        bool here = at.place == SEGMAP_HERE && p->want >= 0 && at.i == r->wants[p->want].i;
        bool hole = p->want < 0 && (at.place == SEGMAP_HOLE || p->lied);
        stands = (here || hole) && at.begin == p->from && at.end == p->to;
    }
    pthread_mutex_unlock(&r->file->lock);
    return stands;
}

/* --- learn ------------------------------------------------------------------------------------- */

/* Go round a segment that is to be learnt: or the map would ask for it for ever. */
static void go_round(struct read *r, uint32_t i)
{
    pthread_mutex_lock(&r->file->lock);
    segmap_lost(r->file->map, i);
    pthread_mutex_unlock(&r->file->lock);
}

/* The segment to learn from cannot be had: go on without it? 0 or an errno. */
static int asked_lost(struct read *r, const struct cache_want *w)
{
    switch (w->result) {
    case SEGMENT_TIMEOUT:
        return ETIMEDOUT;
    case SEGMENT_MISSING:
    case SEGMENT_CORRUPT:
    case SEGMENT_NOSPACE: /* larger than the cache: several that are so together were narrowed before */
        r->lost += 1;
        break;
    case SEGMENT_FAILED:
        r->lost += 2;
        break;
    case SEGMENT_DONE:
    case SEGMENT_CANCELLED:
        return EIO;
    }
    go_round(r, w->i);
    return r->lost < LOST_MOST ? 0 : EIO;
}

static void learn_done(struct read *r, const struct cache_want *w, bool *wrong)
{
    uint64_t grown;
    if (!fs_file_learn(r->file, w->i, &w->info, &grown)) {
        *wrong = true;
        cache_drop(r->fs->cache, &r->file->cache, w->i);
    }
    if (grown)
        atomic_fetch_add(&r->fs->known_bytes, grown);
}

/* Want `k` is there, unproven: is it what the plan expects? */
static bool fits_plan(const struct read *r, unsigned k)
{
    const struct cache_want *w = &r->wants[k];
    if (w->info.file_size != (r->claimed ? r->claim.file_size : r->file->size))
        return false;
    for (unsigned p = 0; p < r->npieces; p++)
        if (r->pieces[p].want == (int)k &&
            (w->info.begin != r->pieces[p].from || w->info.begin + w->info.len != r->pieces[p].to))
            return false;
    return true;
}

/* The article that is to tell the size has told it, and is still coming. Nothing proven says yet where it ends: it
 * is not believed to be longer than what was posted, as the NZB counts that. So the last byte of a first segment
 * can be given early only by a lie that stays between both, some two in a hundred bytes. */
static void claim_take(struct read *r, const struct cache_want *w)
{
    uint64_t bytes = r->file->posted->segments[w->i].bytes;
    if (bytes && w->info.len > bytes) {
        r->strict = true;
        return;
    }
    r->claimed = true;
    r->claim = w->info;
    r->claim_i = w->i;
}

/* A block that does not hold what its piece wants can only be an old one, from before the map knew better. */
static void drop_misplaced(struct read *r, bool *wrong)
{
    for (unsigned k = 0; k < r->npieces; k++) {
        const struct read_piece *p = &r->pieces[k];
        const struct cache_want *w = p->want < 0 ? NULL : &r->wants[p->want];
        if (!w || w->result != SEGMENT_DONE ||
            (w->info.begin <= p->begin && w->info.begin + w->info.len >= p->end))
            continue;
        *wrong = true;
        cache_drop(r->fs->cache, &r->file->cache, w->i);
    }
}

/* Was a block answered early for less than its piece wants, its place being another than was thought? */
static bool is_short(const struct read *r)
{
    for (unsigned k = 0; k < r->npieces; k++) {
        const struct read_piece *p = &r->pieces[k];
        const struct cache_want *w = p->want < 0 ? NULL : &r->wants[p->want];
        if (w && w->result == SEGMENT_DONE && p->end > w->info.begin + w->there)
            return true;
    }
    return false;
}

int read_learn(struct read *r, bool *again)
{
    bool wrong = false, odd = false;
    int err = 0;
    for (unsigned k = 0; k < r->nwants; k++) {
        const struct cache_want *w = &r->wants[k];
        if (w->result == SEGMENT_DONE && is_proven(w)) {
            learn_done(r, w, &wrong);
            continue;
        }
        if (w->result == SEGMENT_DONE) {
            if ((int)k == r->asked)
                claim_take(r, w);
            else
                odd |= !fits_plan(r, k);
            continue;
        }
        fs_file_failed(r->file, w->i, w->result);
        if ((int)k == r->asked)
            err = asked_lost(r, w);
        else
            odd |= r->claimed;
    }
    if (odd) {
        r->strict = true;
        r->claimed = false;
    }
    r->sound = !odd && plan_stands(r);
    if (r->sound)
        drop_misplaced(r, &wrong);
    r->sound &= !wrong && !is_short(r);
    *again = r->asked >= 0 || !r->sound;
    if (wrong && ++r->lost >= LOST_MOST) {
        err = EIO;
        if (r->asked >= 0)
            go_round(r, r->wants[r->asked].i);
    }
    return err;
}

/* --- take -------------------------------------------------------------------------------------- */

/* The bytes of a piece that nobody has, as the user wishes them. 0 or an errno. */
static int take_zeros(struct read *r, const struct read_piece *p)
{
    uint64_t fresh, left = p->end - p->begin;
    if (fs_file_zeroed(r->file, p->begin, p->end, &fresh))
        return ENOMEM;
    atomic_fetch_add(&r->fs->zeroed, fresh);
    while (left && r->niov < READ_IOVS) {
        size_t len = left < sizeof(zeros) ? (size_t)left : sizeof(zeros);
        r->iov[r->niov++] = (struct iovec){.iov_base = (void *)(uintptr_t)zeros, .iov_len = len};
        left -= len;
    }
    return left ? EIO : 0;
}

static int take_block(struct read *r, const struct read_piece *p, const struct cache_want *w)
{
    size_t len = (size_t)(p->end - p->begin), got = 0;
    unsigned n = cache_block_iov(w->block, (uint32_t)(p->begin - w->info.begin), (uint32_t)len,
                                 &r->iov[r->niov], (unsigned)READ_IOVS - r->niov);
    for (unsigned k = 0; k < n; k++)
        got += r->iov[r->niov + k].iov_len;
    r->niov += n;
    return got == len ? 0 : EIO;
}

static int take_piece(struct read *r, const struct read_piece *p)
{
    const struct cache_want *w = p->want < 0 ? NULL : &r->wants[p->want];
    if (w && w->result == SEGMENT_DONE)
        return take_block(r, p, w);
    if (p->lied)
        return EIO;
    if (r->fs->mount.missing_zeros && (!w || w->result == SEGMENT_MISSING))
        return take_zeros(r, p);
    return w && w->result == SEGMENT_TIMEOUT ? ETIMEDOUT : EIO;
}

int read_take(struct read *r)
{
    for (unsigned k = 0; k < r->npieces; k++) {
        unsigned before = r->niov;
        int err = take_piece(r, &r->pieces[k]);
        if (err) {
            r->niov = before;
            return err;
        }
        r->pos = r->pieces[k].end;
    }
    return 0;
}
