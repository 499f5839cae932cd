/* survey — the order of things, and what is asked of a layout afterwards.
 *
 *     posts ── named ──▶ sets ── opened ──▶ entries ── those that are archives ──▶ sets … ──▶ paths
 */
#include "archive/survey_internal.h"

#include <openssl/crypto.h>
#include <stdlib.h>

#define MEMORY_LEAST ((size_t)64 << 20)
#define MEMORY_POST  ((size_t)4 << 10)

/* Entries that are looked at for being archives themselves. */
#define NESTED_MOST  10000u

struct archive_entry *survey_entry_add(struct archive_survey *sv)
{
    if (sv->nentries == sv->entries_cap) {
        uint32_t cap = sv->entries_cap ? sv->entries_cap * 2 : 64;
        struct archive_entry *more = calloc(cap, sizeof(*more));
        if (!more)
            return NULL;
        if (sv->nentries)
            memcpy(more, sv->entries, sv->nentries * sizeof(*more));
        if (sv->entries) /* keys are in it */
            OPENSSL_cleanse(sv->entries, sv->nentries * sizeof(*more));
        free(sv->entries);
        sv->entries = more;
        sv->entries_cap = cap;
    }
    struct archive_entry *e = &sv->entries[sv->nentries++];
    *e = (struct archive_entry){.mtime_s = INT64_MIN, .set = SURVEY_NONE, .post = SURVEY_NONE};
    return e;
}

/* ---- archives in archives ---- */

static bool may_be_archive(const struct archive_entry *e)
{
    enum names_scheme scheme = names_part(e->path).scheme;
    return !e->dir && !e->hidden && e->size && scheme != NAMES_NONE && scheme != NAMES_PAR2;
}

/* Entries from `first` on. */
static int open_nested(struct archive_survey *sv, uint32_t first)
{
    uint32_t n = 0, end = sv->nentries;
    struct survey_file *files;
    struct survey_entry_bytes *bytes;
    int e = -ENOMEM;

    for (uint32_t i = first; i < end; i++)
        n += may_be_archive(&sv->entries[i]);
    if (!n || n > NESTED_MOST)
        return 0;
    files = calloc(n, sizeof(*files));
    bytes = calloc(n, sizeof(*bytes));
    n = 0;
    for (uint32_t i = first; files && bytes && i < end; i++) {
        if (!may_be_archive(&sv->entries[i]))
            continue;
        bytes[n] = (struct survey_entry_bytes){{&survey_entry_ops}, sv, i};
        files[n] = (struct survey_file){.bytes = &bytes[n].b,
                                        .name = sv->entries[i].path,
                                        .guess = sv->entries[i].size,
                                        .from = i,
                                        .set = SURVEY_NONE};
        n++;
    }
    if (files && bytes) {
        sv->nested = true;
        e = survey_sets_open(sv, files, n);
    }
    /* The reader's volumes are used for what was reckoned, and here nothing is. */
    free(files);
    free(bytes);
    return e;
}

/* ---- the whole ---- */

static bool begin(struct archive_survey *sv)
{
    const struct archive_options *o = sv->o;

    sv->memory = o->memory ? o->memory : MEMORY_LEAST + MEMORY_POST * sv->nposts;
    sv->keys = archive_keys_new(o->passwords, o->npasswords);
    if (sv->keys)
        archive_keys_stop(sv->keys, o->stop);
    sv->files = calloc((size_t)sv->nposts + 1, sizeof(*sv->files));
    sv->places = calloc((size_t)sv->nposts + 1, sizeof(*sv->places));
    if (!sv->keys || !sv->files || !sv->places)
        return false;
    for (uint32_t i = 0; i < sv->nposts; i++) {
        sv->files[i] = (struct survey_file){.bytes = sv->posts[i].bytes,
                                            .name = sv->posts[i].name,
                                            .guess = sv->posts[i].guess,
                                            .from = i,
                                            .set = SURVEY_NONE};
        sv->places[i].set = SURVEY_NONE;
    }
    return true;
}

static int layout_fill(struct archive_survey *sv)
{
    struct archive_layout *l = &sv->layout;
    struct archive_found *sets = arena_array(&sv->arena, struct archive_found, sv->nsets + 1u);

    if (!sets)
        return -ENOMEM;
    for (uint32_t i = 0; i < sv->nsets; i++) {
        const struct survey_set *set = sv->sets[i];
        sets[i] = (struct archive_found){.format = set->s.format ? set->s.format : "archive",
                                         .name = set->name,
                                         .why = set->why,
                                         .nvolumes = set->opened ? set->nplaced : set->s.nvolumes};
        for (uint32_t v = 0; set->s.volumes && v < set->nplaced; v++)
            sets[i].nreckoned += !set->s.volumes[v].read;
    }
    l->sets = sets;
    l->nsets = sv->nsets;
    l->entries = sv->entries;
    l->nentries = sv->nentries;
    l->nposts = sv->nposts;
    l->priv = sv;
    return 0;
}

static int run(struct archive_survey *sv)
{
    int e = begin(sv) ? survey_posts_name(sv) : -ENOMEM;

    if (!e)
        e = survey_sets_open(sv, sv->files, sv->nposts);
    for (uint32_t depth = 0, first = 0; !e && depth < SURVEY_DEPTH; depth++) {
        uint32_t next = sv->nentries;
        e = open_nested(sv, first);
        first = next;
    }
    if (!e)
        e = survey_tree(sv);
    if (!e)
        e = layout_fill(sv);
    /* What is asked of a layout takes no password, and it may live for months. */
    for (uint32_t i = 0; !e && i < sv->nsets; i++)
        sv->sets[i]->s.keys = NULL;
    archive_keys_free(sv->keys);
    sv->keys = NULL;
    return e;
}

static void survey_free(struct archive_survey *sv)
{
    if (!sv)
        return;
    for (uint32_t i = 0; i < sv->nsets; i++) {
        struct survey_set *set = sv->sets[i];
        arena_wipe(
            &set->arena); /* of keys: its members', and those the reader checks volumes with */
        arena_fini(&set->arena);
        free(set);
    }
    if (sv->entries)
        OPENSSL_cleanse(sv->entries, sv->nentries * sizeof(*sv->entries));
    free(sv->entries);
    free(sv->sets);
    free(sv->files);
    free(sv->places);
    archive_keys_free(sv->keys);
    arena_fini(&sv->arena);
    free(sv);
}

int archive_survey(const struct archive_post *posts, uint32_t n, const struct archive_options *o,
                   struct archive_layout **out)
{
    bool thorough = o->thorough;

    *out = NULL;
    for (;;) {
        struct archive_survey *sv = calloc(1, sizeof(*sv));
        if (!sv)
            return -ENOMEM;
        sv->o = o;
        sv->posts = posts;
        sv->nposts = n;
        sv->thorough = thorough;
        int e = run(sv);
        if (!e && o->stop && atomic_load(o->stop)) /* what it has found lacks what was given up */
            e = -EINTR;
        if (!e && sv->surprised && !thorough) {
            survey_free(sv);
            thorough = true;
            continue;
        }
        sv->o = NULL;
        if (e)
            survey_free(sv);
        else
            *out = &sv->layout;
        return e;
    }
}

void archive_layout_free(struct archive_layout *l)
{
    if (l)
        survey_free(l->priv);
}

/* ---- what was reckoned ---- */

static const struct archive_volume *reckoned(const struct archive_layout *l, uint32_t post,
                                             const struct survey_set **set, uint32_t *volume)
{
    const struct archive_survey *sv = l->priv;
    const struct survey_place *p = post < sv->nposts ? &sv->places[post] : NULL;

    if (!p || p->set == SURVEY_NONE)
        return NULL;
    *set = sv->sets[p->set];
    *volume = p->volume;
    return &(*set)->s.volumes[p->volume];
}

uint64_t archive_volume_head(const struct archive_layout *l, uint32_t post)
{
    const struct survey_set *set;
    uint32_t v;
    const struct archive_volume *vol = reckoned(l, post, &set, &v);

    return vol ? vol->head : 0;
}

bool archive_volume_size(const struct archive_layout *l, uint32_t post, uint64_t *size)
{
    const struct survey_set *set;
    uint32_t v;
    const struct archive_volume *vol = reckoned(l, post, &set, &v);

    if (!vol || !vol->size || (set->format && set->format->check))
        return false;
    *size = vol->size;
    return true;
}

bool archive_volume_is(const struct archive_layout *l, uint32_t post, const uint8_t *head,
                       size_t len)
{
    const struct survey_set *set;
    uint32_t v;
    const struct archive_volume *vol = reckoned(l, post, &set, &v);

    if (!vol || !vol->head || !set->format || !set->format->check)
        return true;
    return len >= vol->head && set->format->check(&set->s, v, head, len);
}
