/* rar_set — volumes in order, read as little as can be.
 *
 * Where names told the order, a member that goes on over many volumes is looked at three times:
 *
 *     volume    i          i+1         i+2 … j-1        j
 *             [ … A ▷]  [▷ A A A ▷]  [▷ A A A ▷] …  [▷ A │ B …]
 *               read     the pattern    reckoned       read
 *
 * The second, which A fills, is the pattern for the rest. A's size tells in which volume j it must end and with how
 * many bytes. If j's header says exactly that, those in between can hardly be other than the pattern; that each really
 * is, its first bytes show when they are streamed (rar_set_check). In any other case all headers are read, at once. */
#include "archive/rar.h"

#include <stdlib.h>

/** What a reckoned volume must begin with. */
struct expect {
    const struct rar_part *of; /* the pattern; NULL: nothing was reckoned */
    uint64_t data, packed;
};

struct rar_priv {
    struct expect *expect; /* one for each volume */
    struct rar_key *known;
    uint64_t first; /* number of the first volume */
    unsigned header_password;
    bool header_opened;
};

/* While it is read. */
struct reading {
    struct archive_set *s;
    struct rar_reader r;
    struct rar_chain chain;
    struct rar_volume *v;      /* in the caller's order */
    struct rar_volume **order; /* the placed ones first */
    struct rar_priv *priv;
    uint32_t n, nplaced;
    uint32_t reckoned;
    bool clear; /* no other order would do */
};

static uint64_t padded(uint64_t len)
{
    return (len + 15) & ~(uint64_t)15;
}

/* ---- few headers ---- */

static unsigned number_len(uint64_t v)
{
    unsigned n = 1;
    while (v >>= 7)
        n++;
    return n;
}

/* By how much volume `number`'s data begins later than the pattern's: RAR 5's main header holds the number, and
 * higher ones take more bytes. */
static uint64_t growth(const struct rar_volume *pattern, uint64_t number)
{
    unsigned len = number_len(number);
    if (!pattern->number_len || len <= pattern->number_len)
        return 0;
    uint64_t more = len - pattern->number_len;
    if (!pattern->headers)
        return more;
    return padded(pattern->main_len + more) - padded(pattern->main_len);
}

static unsigned header_keys(const struct rar_reader *r)
{
    unsigned n = 0;
    for (const struct rar_key *k = r->known; k; k = k->next)
        n += k->header;
    return n;
}

/* Volume i is what it should be, going by its place among the names. */
static bool agrees(const struct reading *t, uint32_t i, uint32_t before)
{
    const struct rar_volume *v = &t->v[i], *first = &t->v[0];
    if (v->why || v->version != first->version || !v->headers != !first->headers)
        return false;
    if (v->numbered != first->numbered || (v->numbered && v->number != first->number + i))
        return false;
    return i == 0 || rar_volume_continues(&t->v[before], v);
}

/* One part fills it that comes from the volume before and goes on in the next. */
static bool is_pattern(const struct rar_volume *v)
{
    const struct rar_part *p = v->parts;
    return p && p == v->last && p->before && p->after && !p->why && !p->link;
}

/* Reckon volumes from i+1 on by the pattern i. The one in which the member must end in *end, with *rest bytes. False: all
 * headers are to be read. */
static bool find_end(struct reading *t, uint32_t i, uint32_t *end, uint64_t *rest)
{
    const struct rar_volume *pattern = &t->v[i];
    uint64_t stream, have;
    *end = i + 1;
    *rest = UINT64_MAX;
    const struct rar_part *open = rar_chain_open(&t->chain, &stream, &have);
    if (!open || i + 1 >= t->n)
        return true;
    if (open->compressed) { /* of no use; that it ends with the last one is all that matters */
        *end = t->n - 1;
        return true;
    }
    if (stream == UINT64_MAX || have >= stream)
        return false;
    *rest = stream - have;
    for (; *end < t->n; ++*end) {
        uint64_t less = growth(pattern, t->v[0].number + *end);
        uint64_t len = pattern->parts->packed > less ? pattern->parts->packed - less : 0;
        if (*rest <= len)
            return true;
        *rest -= len;
    }
    return false;
}

static int reckon(struct reading *t, uint32_t i, uint32_t end)
{
    const struct rar_volume *pattern = &t->v[i];
    const struct rar_part *p = pattern->parts;
    for (uint32_t k = i + 1; k < end && !p->compressed; k++) {
        uint64_t more = growth(pattern, t->v[0].number + k);
        struct expect x = {.of = p, .data = p->data + more, .packed = p->packed - more};
        int e = rar_chain_reckoned(&t->chain, k, x.data, x.packed);
        if (e)
            return e;
        t->priv->expect[k] = x;
        t->reckoned++;
    }
    return 0;
}

/* A volume of the walk: read, chained. False in *fine: not what the names and the others let expect. */
static int step(struct reading *t, uint32_t i, uint32_t before, uint64_t rest, bool *fine)
{
    struct rar_volume *v = &t->v[i];
    int e = rar_volume_read(&t->r, v);
    *fine = !e && agrees(t, i, before);
    if (*fine && rest != UINT64_MAX)
        *fine = !v->parts->after && v->parts->packed == rest;
    return e || !*fine ? e : rar_chain_volume(&t->chain, i, v);
}

/* True in *fine: everything was told by few. */
static int walk(struct reading *t, bool *fine)
{
    uint64_t rest = UINT64_MAX;
    uint32_t last = 0;
    for (uint32_t i = 0; i < t->n;) {
        unsigned keys = header_keys(&t->r);
        int e = step(t, i, last, rest, fine);
        if (e || !*fine)
            return e;
        last = i++;
        rest = UINT64_MAX;
        if (!is_pattern(&t->v[last]))
            continue;
        /* Salts of its own: the others have theirs too, and checking must not have to derive keys. */
        if (keys != header_keys(&t->r))
            *fine = false;
        else
            *fine = find_end(t, last, &i, &rest);
        if (!*fine)
            return 0;
        if ((e = reckon(t, last, i)))
            return e;
    }
    return 0;
}

static int read_few(struct reading *t, bool *fine)
{
    rar_volume_want(&t->v[0]);
    if (t->n > 1)
        rar_volume_want(&t->v[1]);
    if (t->n > 2)
        rar_volume_want(&t->v[t->n - 1]);
    return walk(t, fine);
}

/* ---- all headers ---- */

/* In rounds: each announces all it will read, then reads. */
static int read_heads(struct reading *t, bool tails)
{
    bool more;
    do {
        more = false;
        for (uint32_t i = 0; i < t->n; i++) {
            enum rar_state s = t->v[i].state;
            if (s < RAR_SETTLED || (tails && s == RAR_SETTLED)) {
                rar_volume_want(&t->v[i]);
                more = true;
            }
        }
        for (uint32_t i = 0; i < t->n && more; i++) {
            int e = rar_volume_go(&t->r, &t->v[i], tails);
            if (e)
                return e;
        }
    } while (more);
    return 0;
}

/* A volume that tells no number is the first, unless it continues something. */
static void doubt_numbers(struct reading *t)
{
    for (uint32_t i = 0; i < t->n; i++) {
        struct rar_volume *v = &t->v[i];
        if (v->version == 5 && !v->number_len && v->parts && v->parts->before)
            v->numbered = false;
    }
}

/* What has another version than the first that has one, or headers otherwise encrypted, is of another set. */
static bool is_stranger(const struct reading *t, const struct rar_volume *v)
{
    for (uint32_t i = 0; i < t->n; i++)
        if (t->v[i].parts)
            return v->parts && (v->version != t->v[i].version || !v->headers != !t->v[i].headers);
    return false;
}

/* Names told the order, and no header contradicts them. */
static bool names_agree(const struct reading *t)
{
    const struct rar_volume *first = NULL;
    for (uint32_t i = 0; i < t->n; i++) {
        const struct rar_volume *v = &t->v[i];
        if (is_stranger(t, v))
            return false;
        if (v->numbered && !first)
            first = v;
        if (v->numbered && v->number - first->number != i - first->caller)
            return false;
    }
    return t->s->ordered;
}

static void place_all(struct reading *t)
{
    for (uint32_t i = 0; i < t->n; i++) {
        t->order[i] = &t->v[i];
        t->v[i].placed = true;
    }
    t->nplaced = t->n;
    t->clear = true;
}

static void place_by_headers(struct reading *t)
{
    uint32_t at = 0, end = t->n;
    for (uint32_t i = 0; i < t->n; i++) {
        t->v[i].placed = false;
        if (is_stranger(t, &t->v[i]))
            t->order[--end] = &t->v[i];
        else
            t->order[at++] = &t->v[i];
    }
    t->clear = rar_order_volumes(t->order, at, &t->nplaced);
}

static int chain_all(struct reading *t)
{
    t->chain = (struct rar_chain){.r = &t->r};
    const struct rar_volume *last = NULL;
    for (uint32_t i = 0; i < t->nplaced; i++) {
        const struct rar_volume *v = t->order[i];
        if (last && v->numbered && last->numbered && v->number != last->number + 1)
            rar_chain_gap(&t->chain, ARCHIVE_VOLUME_LACKS);
        int e = rar_chain_volume(&t->chain, i, v);
        if (e)
            return e;
        last = v;
    }
    if (!t->clear)
        rar_chain_gap(&t->chain, ARCHIVE_UNKNOWN);
    return 0;
}

static bool any_numbered(const struct reading *t)
{
    for (uint32_t i = 0; i < t->n; i++)
        if (t->v[i].numbered)
            return true;
    return false;
}

static int read_all(struct reading *t)
{
    int e = read_heads(t, false);
    if (e)
        return e;
    doubt_numbers(t);
    bool tails = !t->s->ordered && t->n > 1 && !any_numbered(t);
    if (tails && (e = read_heads(t, true)))
        return e;
    if (names_agree(t))
        place_all(t);
    else
        place_by_headers(t);
    if ((e = chain_all(t)) || tails || !(t->chain.broken || t->chain.open) || any_numbered(t))
        return e;
    /* Names do not give whole members: RAR 4 has numbers at its volumes' ends. */
    if ((e = read_heads(t, true)) || !any_numbered(t))
        return e;
    place_by_headers(t);
    return chain_all(t);
}

/* ---- what comes of it ---- */

static bool put_volumes(struct reading *t)
{
    struct archive_volume *old = calloc(t->n, sizeof(*old));
    if (!old)
        return false;
    memcpy(old, t->s->volumes, t->n * sizeof(*old));
    for (uint32_t i = 0; i < t->n; i++) {
        const struct rar_volume *v = t->order[i];
        struct archive_volume *out = &t->s->volumes[i];
        *out = old[v->caller];
        out->read = v->state != RAR_UNREAD;
        out->head = t->priv->expect[i].of ? t->priv->expect[i].data : 0;
        out->left = !v->placed;
    }
    free(old);
    return true;
}

static enum archive_why set_why(const struct reading *t)
{
    enum archive_why left = ARCHIVE_OK;
    for (uint32_t i = 0; i < t->n; i++) {
        const struct rar_volume *v = t->order[i];
        if (v->why)
            return v->why;
        if (!v->placed)
            left = t->clear ? ARCHIVE_VOLUME_LACKS : ARCHIVE_UNKNOWN;
    }
    if (!left && !t->s->nmembers)
        left = ARCHIVE_UNKNOWN; /* nothing but links, or nothing at all */
    return left;
}

static int finish(struct reading *t)
{
    struct archive_set *s = t->s;
    int e = rar_chain_finish(&t->chain, s);
    if (e || !put_volumes(t))
        return e ? e : -ENOMEM;
    s->why = set_why(t);
    s->format = t->order[0]->version == 5 ? "RAR 5" : "RAR 4";
    rar_keys_wipe(&t->r, t->reckoned == 0);
    t->priv->known = t->r.known;
    t->priv->first = t->v[0].number;
    t->priv->header_password = t->r.header_password;
    t->priv->header_opened = t->r.header_opened;
    s->priv = t->priv;
    return 0;
}

static int read_begin(struct reading *t)
{
    struct archive_set *s = t->s;
    t->priv = arena_new(s->arena, struct rar_priv);
    t->v = calloc(t->n, sizeof(*t->v));
    t->order = calloc(t->n, sizeof(struct rar_volume *));
    if (!t->priv || !t->v || !t->order)
        return -ENOMEM;
    t->priv->expect = arena_array(s->arena, struct expect, t->n);
    if (!t->priv->expect)
        return -ENOMEM;
    for (uint32_t i = 0; i < t->n; i++)
        t->v[i] = (struct rar_volume){.bytes = s->volumes[i].bytes, .caller = i};
    return 0;
}

int rar_set_read(struct archive_set *s)
{
    struct reading t = {.s = s, .n = s->nvolumes};
    bool fine = false;
    s->members = NULL;
    s->nmembers = 0;
    s->priv = NULL;
    s->format = "RAR";
    s->why = t.n == 0 ? ARCHIVE_UNKNOWN : t.n > ARCHIVE_VOLUMES ? ARCHIVE_TOO_MUCH : ARCHIVE_OK;
    if (s->why)
        return 0;
    t.r = (struct rar_reader){.arena = s->arena, .keys = s->keys};
    t.chain = (struct rar_chain){.r = &t.r};
    int e = read_begin(&t);
    if (!e && s->ordered && !s->thorough)
        e = read_few(&t, &fine);
    if (!e && fine) {
        place_all(&t);
    } else if (!e) {
        memset(t.priv->expect, 0, t.n * sizeof(*t.priv->expect));
        t.reckoned = 0;
        e = read_all(&t);
    }
    if (!e)
        e = finish(&t);
    if (e)
        rar_keys_wipe(&t.r, true);
    rar_window_free(&t.r.win);
    free(t.v);
    free(t.order);
    return e;
}

/* ---- a reckoned volume ---- */

static bool part_fits(const struct rar_part *p, const struct expect *x)
{
    return p->before && p->after && !p->why && !p->link && p->data == x->data &&
           p->packed == x->packed && rar_part_same(p, x->of) &&
           (!p->crypt || rar_crypt_same(p->crypt, x->of->crypt));
}

bool rar_set_check(const struct archive_set *s, uint32_t v, const uint8_t *head, size_t len)
{
    const struct rar_priv *priv = s->priv;
    if (!priv || v >= s->nvolumes || !priv->expect[v].of)
        return true;
    if (len < priv->expect[v].data)
        return false;
    struct arena scratch = {.limit = 4 * ARCHIVE_HEADER};
    struct archive_memory m = {
        .b = {&archive_memory_ops}, .data = head, .have = len, .size = UINT64_MAX};
    struct rar_reader r = {.arena = &scratch,
                           .known = priv->known,
                           .header_password = priv->header_password,
                           .header_opened = priv->header_opened};
    struct rar_volume x = {.bytes = &m.b};
    bool fits = !rar_volume_read(&r, &x) && !x.why && x.parts && x.parts == x.last &&
                (!x.numbered || x.number == priv->first + v) &&
                part_fits(x.parts, &priv->expect[v]);
    rar_window_free(&r.win);
    arena_fini(&scratch);
    return fits;
}
