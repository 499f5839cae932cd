/* survey_sets — which files are volumes of one archive. */
#include "archive/survey_internal.h"

#include <stdlib.h>
#include <strings.h>

/* Times that the heap of RAR volumes without an order is gone through, each finding one set, and headers
 * read in all: somebody may post a thousand archives of random names. */
#define POOL_PASSES  1000u
#define POOL_HEADERS 200000u

/* What is asked for ahead of a reader: headers and, of the last volume, no more than that it comes. */
#define AHEAD_FIRST  ((size_t)16384)
#define AHEAD_OTHER  ((size_t)4096)

/* ---- groups ---- */

struct key {
    const char *name;
    struct names_part part;
    uint32_t index;
    uint64_t guess;
    bool chosen;
};

static int compare(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

static int by_base(const struct key *a, const struct key *b)
{
    size_t n = a->part.base < b->part.base ? a->part.base : b->part.base;
    int c = strncasecmp(a->name, b->name, n);

    if (a->part.scheme != b->part.scheme)
        return a->part.scheme < b->part.scheme ? -1 : 1;
    return c ? c : compare(a->part.base, b->part.base);
}

static int by_key(const void *pa, const void *pb)
{
    const struct key *a = pa, *b = pb;
    int c = by_base(a, b);

    if (!c)
        c = compare(a->part.copy, b->part.copy);
    if (!c)
        c = compare(a->part.volume, b->part.volume);
    return c ? c : compare(a->index, b->index);
}

/* A ZIP split into x.z01, x.z02 … ends with x.zip. */
static void zip_rotate(struct key *keys, uint32_t n)
{
    size_t len = strlen(keys[0].name);

    if (keys[0].part.scheme != NAMES_ZIP || n < 2 || len < 4 ||
        strcasecmp(keys[0].name + len - 4, ".zip") != 0 || keys[1].part.volume == 0)
        return;
    struct key zip = keys[0];
    memmove(keys, keys + 1, (n - 1) * sizeof(*keys));
    keys[n - 1] = zip;
    for (uint32_t i = 0; i < n; i++)
        keys[i].part.volume = keys[i].part.volume ? keys[i].part.volume - 1 : n - 1;
}

/* Numbered from the first on, each once? */
static bool is_whole(const struct key *keys, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (keys[i].part.volume != i)
            return false;
    return true;
}

/* ---- volumes that are there twice ----
 *
 * What was posted again is in the NZB under the same name: "x (2).part05.rar". A whole second set is one; a few volumes
 * more are spares for those that the first set has. */

/* Spares are at most this share of a set. */
#define SPARES_SHARE 4u

/* Of two files that are one volume, the better one: as long as the others, by the NZB, or the first. */
static bool is_better(const struct key *a, const struct key *b, uint64_t usual)
{
    if (!usual)
        return a->guess > b->guess + b->guess / 32;
    uint64_t x = a->guess > usual ? a->guess - usual : usual - a->guess;
    uint64_t y = b->guess > usual ? b->guess - usual : usual - b->guess;
    return x + usual / 32 < y;
}

/* One of each volume to the front, in order; how many. `room` is for n. */
static uint32_t choose(struct key *keys, uint32_t n, struct key *room)
{
    uint64_t usual = keys[n / 2].guess;
    uint32_t last = keys[n - 1].part.volume, once = 0, spares = 0;

    for (uint32_t i = 0, to; i < n; i = to) {
        uint32_t best = i;
        once++;
        for (to = i + 1; to < n && keys[to].part.volume == keys[i].part.volume; to++)
            if (is_better(&keys[to], &keys[best], keys[i].part.volume == last ? 0 : usual))
                best = to;
        keys[best].chosen = true;
    }
    memcpy(room, keys, n * sizeof(*keys));
    for (uint32_t i = 0, out = 0; i < n; i++) {
        struct key *to = room[i].chosen ? &keys[out++] : &keys[once + spares++];
        *to = room[i];
        to->chosen = false;
    }
    return once;
}

/* Is a copy of something of `most` volumes an archive of its own? A single unnumbered one may well be. */
static bool stands_alone(const struct key *keys, uint32_t n, uint32_t most)
{
    bool numbered = keys[0].part.scheme != NAMES_RAR_OLD && keys[0].part.scheme != NAMES_ZIP &&
                    keys[0].part.scheme != NAMES_7Z;

    return is_whole(keys, n) && (n > most / SPARES_SHARE || (n == 1 && !numbered));
}

/* The copies of one base, sorted, that do not stand alone go with the first of them. */
static void copies_merge(struct key *keys, uint32_t n)
{
    uint32_t first = keys[0].part.copy, most = 0;
    bool merged = false;

    if (first) /* then these are their names */
        return;
    while (most < n && keys[most].part.copy == first)
        most++;
    for (uint32_t i = most, to; i < n; i = to) {
        uint32_t copy = keys[i].part.copy;
        for (to = i + 1; to < n && keys[to].part.copy == copy;)
            to++;
        if (stands_alone(keys + i, to - i, most))
            continue;
        for (uint32_t k = i; k < to; k++)
            keys[k].part.copy = first;
        merged = true;
    }
    if (merged)
        qsort(keys, n, sizeof(*keys), by_key);
}

/* Some say 0 where others say 1. */
static void zero_heed(struct key *keys, uint32_t n)
{
    bool zero = false;

    for (uint32_t i = 0; i < n; i++)
        zero |= keys[i].part.zero;
    for (uint32_t i = 0; zero && i < n; i++)
        keys[i].part.volume += !keys[i].part.zero;
    if (zero)
        qsort(keys, n, sizeof(*keys), by_key);
}

/* ---- groups made ---- */

struct making {
    struct survey_group *groups;
    uint32_t ngroups, *order;
    struct key *room;
};

static void group_add(struct making *m, const struct key *keys, uint32_t n, bool spare)
{
    m->groups[m->ngroups++] = (struct survey_group){.index = m->order,
                                                    .n = n,
                                                    .scheme = keys[0].part.scheme,
                                                    .base = keys[0].part.base,
                                                    .whole = is_whole(keys, n) && !spare,
                                                    .spare = spare};
    for (uint32_t i = 0; i < n; i++)
        *m->order++ = keys[i].index;
}

/* Of what is cut anywhere so many sets of one name are told apart. */
#define COPIES_MOST 64u

/* All of one base and copy. Where most volumes are there more than once headers have to tell which belong together;
 * what is cut anywhere has none, and is taken in the order in which it was posted. */
static void group_make(struct making *m, struct key *keys, uint32_t n)
{
    enum names_scheme scheme = keys[0].part.scheme;
    bool rar = scheme == NAMES_RAR_PART || scheme == NAMES_RAR_OLD;

    zip_rotate(keys, n);
    if (!keys[n - 1].part.volume) { /* archives of one volume each */
        for (uint32_t i = 0; i < n; i++)
            group_add(m, keys + i, 1, false);
        return;
    }
    for (unsigned copies = 1; n; copies++) {
        uint32_t once = choose(keys, n, m->room), spares = n - once;
        bool few = spares <= once / SPARES_SHARE && is_whole(keys, once);
        if (!spares || few || (!rar && !is_whole(keys, once)) || copies == COPIES_MOST) {
            group_add(m, keys, once, false);
            if (spares)
                group_add(m, keys + once, spares, few);
            return;
        }
        if (rar) {
            qsort(keys, n, sizeof(*keys), by_key);
            group_add(m, keys, n, false);
            return;
        }
        group_add(m, keys, once, false);
        keys += once;
        n = spares;
    }
}

/* All of one base. */
static void base_make(struct making *m, struct key *keys, uint32_t n)
{
    uint32_t first = m->ngroups;

    zero_heed(keys, n);
    copies_merge(keys, n);
    for (uint32_t i = 0, to; i < n; i = to) {
        for (to = i + 1; to < n && keys[to].part.copy == keys[i].part.copy;)
            to++;
        group_make(m, keys + i, to - i);
    }
    for (uint32_t g = first; g < m->ngroups; g++)
        m->groups[g].many = m->ngroups > first + 1;
}

int survey_groups(const struct survey_file *files, uint32_t n, struct survey_group **groups,
                  uint32_t *ngroups, uint32_t **order)
{
    struct key *keys = calloc(2 * ((size_t)n + 1), sizeof(*keys)),
               *room = keys ? keys + n + 1 : NULL;
    uint32_t nkeys = 0;

    *groups = calloc((size_t)n + 1, sizeof(**groups));
    *order = calloc((size_t)n + 1, sizeof(**order));
    *ngroups = 0;
    if (!keys || !*groups || !*order) {
        free(keys);
        free(*groups);
        free(*order);
        *groups = NULL;
        *order = NULL;
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < n; i++) {
        struct names_part p = names_part(files[i].name);
        if (p.scheme != NAMES_NONE && p.scheme != NAMES_PAR2)
            keys[nkeys++] =
                (struct key){.name = files[i].name, .part = p, .index = i, .guess = files[i].guess};
    }
    qsort(keys, nkeys, sizeof(*keys), by_key);
    struct making m = {*groups, 0, *order, room};
    for (uint32_t i = 0, to; i < nkeys; i = to) {
        for (to = i + 1; to < nkeys && !by_base(&keys[i], &keys[to]);)
            to++;
        base_make(&m, keys + i, to - i);
    }
    *ngroups = m.ngroups;
    free(keys);
    return 0;
}

/* ---- which format ---- */

static const struct archive_format *format_named(enum names_scheme scheme)
{
    switch (scheme) {
    case NAMES_RAR_PART:
    case NAMES_RAR_OLD:
        return &archive_rar;
    case NAMES_7Z:
        return &archive_7z;
    case NAMES_ZIP:
        return &archive_zip;
    case NAMES_SPLIT:
    case NAMES_PAR2:
    case NAMES_NONE:
        return NULL;
    }
    return NULL;
}

static const struct archive_format *format_magic(const char *magic)
{
    if (!magic)
        return NULL;
    if (!strcmp(magic, ".rar"))
        return &archive_rar;
    if (!strcmp(magic, ".7z"))
        return &archive_7z;
    return strcmp(magic, ".zip") ? NULL : &archive_zip;
}

static bool is_rar(const struct survey_file *f)
{
    return f->magic && !strcmp(f->magic, ".rar");
}

/* ---- one group ---- */

static void want_ahead(const struct survey_file *files, const struct survey_group *g)
{
    const struct survey_file *first = &files[g->index[0]];

    archive_bytes_want(first->bytes, 0, AHEAD_FIRST);
    if (g->n > 1)
        archive_bytes_want(files[g->index[g->n - 1]].bytes, 0, AHEAD_OTHER);
    if (g->n > 2 && (g->scheme == NAMES_RAR_PART || g->scheme == NAMES_RAR_OLD))
        archive_bytes_want(files[g->index[1]].bytes, 0, AHEAD_OTHER);
}

/* What its volumes hold by their first one's beginning, which any reader needs in any case. */
static int magic_read(struct survey_file *f)
{
    uint8_t *head = f->read ? NULL : malloc(SURVEY_HEAD);
    size_t len;

    if (f->read)
        return 0;
    if (!head)
        return -ENOMEM;
    int e = survey_file_head(f, head, &len);
    free(head);
    return e;
}

static int group_open(struct archive_survey *sv, struct survey_file *files, struct survey_group *g)
{
    struct survey_file *first = &files[g->index[0]];
    const struct archive_format *format = format_named(g->scheme), *magic;
    const char *name = first->name;
    uint32_t left = 0;
    bool cut = format != &archive_rar; /* anywhere: all of them are needed */

    if (g->scheme == NAMES_SPLIT && g->n == 1)
        return 0;
    if (cut && !g->whole)
        return survey_refuse(sv, files, g->index, g->n, name, g->base, ARCHIVE_VOLUME_LACKS);
    int e = magic_read(first);
    if (e)
        return e;
    magic = format_magic(first->magic);
    if (cut && magic == &archive_rar && g->n > 1) { /* a RAR archive in pieces, or RAR volumes? */
        e = magic_read(&files[g->index[1]]);
        if (e)
            return e;
        magic = is_rar(&files[g->index[1]]) ? magic : NULL;
        format = NULL;
    }
    if (magic)
        format = magic;
    else if (g->n == 1 && first->magic)
        return 0; /* something else under a wrong name */
    e = survey_open(sv, files, g->index, g->n, format, g->whole, name, g->base, &left);
    for (uint32_t pass = 0; !e && left && left < g->n && pass < POOL_PASSES; pass++) {
        uint32_t n = left;
        e = survey_open(sv, files, g->index, n, format, false, name, g->base, &left);
        if (left >= n)
            break;
    }
    return e;
}

/* Where the set is whole nobody needs them. */
static void spares_settle(struct archive_survey *sv, struct survey_file *files,
                          const struct survey_group *of, const struct survey_group *spares)
{
    for (uint32_t k = 0; k < of->n; k++)
        if (!files[of->index[k]].used)
            return;
    for (uint32_t k = 0; of->n && k < spares->n; k++) {
        struct survey_file *f = &files[spares->index[k]];
        f->set = files[of->index[0]].set;
        f->used = true;
        if (sv->nested)
            sv->entries[f->from].hidden = true;
    }
}

/* ---- the heap ---- */

/* RAR volumes whose names tell no order. Their headers do; what they do not put into one set is tried again. */
static int pool_open(struct archive_survey *sv, struct survey_file *files, uint32_t nfiles,
                     bool rar5)
{
    uint32_t *index = calloc((size_t)nfiles + 1, sizeof(*index)), n = 0, headers = 0;
    const char *name = sv->o->title ? sv->o->title : "";
    int e = index ? 0 : -ENOMEM;

    for (uint32_t i = 0; !e && i < nfiles; i++) {
        uint32_t left;
        if (!files[i].pooled || files[i].rar5 != rar5)
            continue;
        index[n++] = i;
        if (files[i].single) /* an archive by itself, which need not be tried with the others */
            e = survey_open(sv, files, &index[--n], 1, &archive_rar, true, name, strlen(name),
                            &left);
    }
    for (uint32_t pass = 0; !e && n && pass < POOL_PASSES; pass++) {
        uint32_t left = 0;
        headers += n;
        e = survey_open(sv, files, index, n, &archive_rar, n == 1, name, strlen(name), &left);
        if (e || left >= n || headers > POOL_HEADERS)
            break;
        n = left;
    }
    free(index);
    return e;
}

/* A RAR volume whose name had nothing to say, and that is no part of a whole set. */
static bool is_loose(const struct survey_file *files, const struct survey_group *g, uint32_t n)
{
    bool loose = !g->whole || (g->n == 1 && n > 1);

    for (uint32_t k = 0; loose && k < g->n; k++)
        loose = files[g->index[k]].unclear && is_rar(&files[g->index[k]]);
    return loose;
}

int survey_sets_open(struct archive_survey *sv, struct survey_file *files, uint32_t n)
{
    struct survey_group *groups;
    uint32_t ngroups, *order;
    int e = survey_groups(files, n, &groups, &ngroups, &order);

    if (e)
        return e;
    for (uint32_t i = 0; i < n; i++)
        files[i].pooled =
            files[i].unclear && is_rar(&files[i]) && names_part(files[i].name).scheme == NAMES_NONE;
    for (uint32_t g = 0; g < ngroups; g++) {
        if (groups[g].spare)
            continue;
        if (is_loose(files, &groups[g], n)) {
            for (uint32_t k = 0; k < groups[g].n; k++)
                files[groups[g].index[k]].pooled = true;
            groups[g].n = 0;
        } else if (groups[g].scheme != NAMES_SPLIT || groups[g].n > 1) {
            want_ahead(files, &groups[g]);
        }
    }
    for (uint32_t g = 0; !e && g < ngroups; g++) {
        if (groups[g].spare)
            spares_settle(sv, files, &groups[g - 1], &groups[g]);
        else if (groups[g].n)
            e = group_open(sv, files, &groups[g]);
    }
    if (!e)
        e = pool_open(sv, files, n, true);
    if (!e)
        e = pool_open(sv, files, n, false);
    free(groups);
    free(order);
    return e;
}
