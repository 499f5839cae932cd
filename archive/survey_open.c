/* survey_open — an archive opened, and its members made entries. */
#define LOG_TAG "archive.survey"
#include "archive/survey_internal.h"

#include "archive/joined.h"

#include "base/log.h"
#include "base/overflow.h"

#include <openssl/crypto.h>
#include <stdlib.h>

/* ---- sets ---- */

static struct survey_set *set_add(struct archive_survey *sv, const char *name, size_t name_len)
{
    if (sv->nsets == sv->sets_cap) {
        uint32_t cap = sv->sets_cap ? 2 * sv->sets_cap : 16;
        struct survey_set **more = reallocarray(sv->sets, cap, sizeof(struct survey_set *));
        if (!more)
            return NULL;
        sv->sets = more;
        sv->sets_cap = cap;
    }
    struct survey_set *set = calloc(1, sizeof(*set));
    if (!set)
        return NULL;
    set->name = arena_strndup(&sv->arena, name, name_len);
    if (!set->name) {
        free(set);
        return NULL;
    }
    set->nested = sv->nested;
    sv->sets[sv->nsets++] = set;
    return set;
}

/* What a set whose reading failed leaves behind: nothing but why. */
static void set_clear(struct survey_set *set, enum archive_why why)
{
    arena_wipe(&set->arena);
    arena_fini(&set->arena);
    set->s.members = NULL;
    set->s.nmembers = 0;
    set->s.priv = NULL;
    set->s.volumes = NULL;
    set->why = why;
}

static bool volumes_make(struct survey_set *set, const struct survey_file *files,
                         const uint32_t *index, uint32_t n)
{
    set->s.nvolumes = n;
    set->s.volumes = arena_array(&set->arena, struct archive_volume, n);
    if (!set->s.volumes)
        return false;
    for (uint32_t i = 0; i < n; i++)
        set->s.volumes[i] = (struct archive_volume){
            .bytes = files[index[i]].bytes, .post = index[i], .guess = files[index[i]].guess};
    return true;
}

/* ---- one file in pieces ---- */

/* "film.001" is called "film", but by what it begins with it is film.mkv. */
static const char *joined_name(struct arena *a, const char *name, const char *magic)
{
    size_t n = strlen(name), more = magic ? strlen(magic) : 0;

    if (!more || survey_has_extension(name))
        return name;
    char *out = arena_alloc(a, n + more + 1, 1);
    if (out) {
        memcpy(out, name, n);
        memcpy(out + n, magic, more);
    }
    return out;
}

static int joined_read(struct archive_set *s, const char *name)
{
    struct archive_joined j;
    struct archive_member *m = arena_new(s->arena, struct archive_member);

    s->format = "split";
    if (!m)
        return -ENOMEM;
    int e = archive_joined_init(&j, s);
    if (!e) /* nothing else tells whether sizes that were reckoned add up */
        e = archive_joined_measure(&j);
    if (survey_stops(e))
        return e;
    if (e == 1)
        e = 0;
    if (e) {
        s->why = ARCHIVE_UNREADABLE;
        return 0;
    }
    *m = (struct archive_member){.path = name, .size = j.size, .mtime_s = INT64_MIN};
    s->members = m;
    s->nmembers = 1;
    return archive_joined_pieces(&j, s->arena, 0, j.size, &m->pieces, &m->npieces);
}

/* ---- members ---- */

/* Do its pieces lie in volumes that were placed, and hold all that it needs? */
static bool member_sound(const struct survey_set *set, const struct archive_member *m)
{
    uint64_t sum = 0, need;

    if (!add_u64(m->skip, m->size, &need) || need > INT64_MAX)
        return false;
    for (uint32_t k = 0; k < m->npieces; k++)
        if (m->pieces[k].volume >= set->nplaced || !add_u64(sum, m->pieces[k].len, &sum))
            return false;
    if (m->cipher.kind != ARCHIVE_PLAIN)
        need = (need + 15) & ~(uint64_t)15;
    return sum >= need;
}

/* A piece of a volume that is an entry itself: where that has its bytes. With out NULL they are only counted. */
static uint32_t piece_extents(const struct archive_survey *sv, const struct survey_set *set,
                              const struct survey_file *files, const struct archive_piece *p,
                              uint64_t at, struct archive_extent *out, uint32_t most)
{
    const struct survey_file *f = &files[set->s.volumes[p->volume].post];

    if (!p->len)
        return 0;
    if (set->nested && sv->entries[f->from].cipher.kind == ARCHIVE_PLAIN)
        return survey_entry_extents(&sv->entries[f->from], p->off, p->len, at, out, most);
    if (most)
        *out = (struct archive_extent){.at = at,
                                       .off = p->off,
                                       .len = p->len,
                                       .from = f->from,
                                       .entry = set->nested,
                                       .computed = p->computed};
    return 1;
}

static int extents_make(struct archive_survey *sv, struct survey_set *set,
                        const struct survey_file *files, const struct archive_member *m,
                        struct archive_entry *e)
{
    uint64_t at = 0;
    uint32_t n = 0, filled = 0;

    for (uint32_t k = 0; k < m->npieces; k++)
        n += piece_extents(sv, set, files, &m->pieces[k], 0, NULL, 0);
    struct archive_extent *x = arena_array(&set->arena, struct archive_extent, n);
    if (!x)
        return -ENOMEM;
    for (uint32_t k = 0; k < m->npieces; k++) {
        filled += piece_extents(sv, set, files, &m->pieces[k], at, x + filled, n - filled);
        at += m->pieces[k].len;
    }
    e->extents = x;
    e->nextents = n;
    return 0;
}

/* Members of an archive in an archive stand where that stood. */
static const char *path_within(struct archive_survey *sv, struct survey_set *set,
                               const struct survey_file *first, const char *path)
{
    const char *slash = sv->nested ? strrchr(first->name, '/') : NULL;
    size_t dir = slash ? (size_t)(slash - first->name) + 1 : 0, len = strlen(path);

    if (!dir)
        return path;
    char *out = arena_alloc(&set->arena, dir + len + 1, 1);
    if (out) {
        memcpy(out, first->name, dir);
        memcpy(out + dir, path, len);
    }
    return out;
}

static int member_add(struct archive_survey *sv, struct survey_set *set,
                      const struct survey_file *files, const struct archive_member *m)
{
    const struct survey_file *first = &files[set->s.volumes[0].post];
    struct archive_entry made = {.size = m->dir ? 0 : m->size,
                                 .skip = m->dir ? 0 : m->skip,
                                 .mtime_s = m->mtime_s,
                                 .mtime_ns = m->mtime_ns,
                                 .set = sv->nsets - 1,
                                 .post = SURVEY_NONE,
                                 .cipher = m->cipher,
                                 .sum_kind = m->sum_kind,
                                 .dir = m->dir};
    int e = m->dir ? 0 : extents_make(sv, set, files, m, &made);

    memcpy(made.sum, m->sum, sizeof(made.sum));
    made.path = path_within(sv, set, first, m->path ? m->path : "");
    if (e || !made.path)
        return -ENOMEM;
    struct archive_entry *entry = survey_entry_add(sv);
    if (!entry)
        return -ENOMEM;
    *entry = made;
    return 0;
}

/* Which volumes hold something that is shown; true where all of it is. */
static int members_take(struct archive_survey *sv, struct survey_set *set,
                        struct survey_file *files)
{
    const struct archive_set *s = &set->s;
    uint32_t good = 0;

    for (uint32_t i = 0; i < s->nmembers; i++) {
        const struct archive_member *m = &s->members[i];
        enum archive_why why = m->why;
        if (!why && !m->dir && !member_sound(set, m))
            why = ARCHIVE_DAMAGED;
        if (why) {
            set->why = set->why ? set->why : why;
            continue;
        }
        int e = member_add(sv, set, files, m);
        if (e)
            return e;
        good += !m->dir;
        for (uint32_t k = 0; !m->dir && k < m->npieces; k++)
            files[s->volumes[m->pieces[k].volume].post].used = true;
    }
    set->opened = good || (s->nmembers && !set->why);
    return 0;
}

/* ---- the whole ---- */

static void volumes_settle(struct archive_survey *sv, struct survey_set *set,
                           struct survey_file *files)
{
    uint32_t number = sv->nsets - 1;

    for (uint32_t v = 0; v < set->s.nvolumes; v++) {
        const struct archive_volume *vol = &set->s.volumes[v];
        struct survey_file *f = &files[vol->post];
        f->set = number;
        if (set->opened && !set->why && v < set->nplaced)
            f->used = true;
        f->why = f->used ? ARCHIVE_OK : set->why;
        if (f->used && !set->nested && !vol->read)
            sv->places[f->from] = (struct survey_place){.set = number, .volume = v};
        if (f->used && set->nested)
            sv->entries[f->from].hidden = true;
    }
}

static void set_log(const struct survey_set *set)
{
    if (set->why)
        log_debug("%s: %s: %s%s", set->name, set->s.format ? set->s.format : "archive",
                  archive_why_text(set->why),
                  set->opened ? "; the rest of it is shown" : "; it is shown as it was posted");
    else
        log_debug("%s: %s of %u volumes, %u members", set->name, set->s.format, set->s.nvolumes,
                  set->s.nmembers);
}

/* Entries and all else that a set had brought when memory ended. */
static void set_undo(struct archive_survey *sv, struct survey_set *set, struct survey_file *files,
                     const uint32_t *index, uint32_t n, uint32_t nentries)
{
    for (uint32_t i = nentries; i < sv->nentries; i++)
        OPENSSL_cleanse(&sv->entries[i].cipher, sizeof(sv->entries[i].cipher));
    sv->nentries = nentries;
    set->nplaced = 0;
    set->opened = false;
    set_clear(set, ARCHIVE_TOO_MUCH);
    for (uint32_t i = 0; i < n; i++) {
        files[index[i]].used = false;
        files[index[i]].set = sv->nsets - 1;
        files[index[i]].why = ARCHIVE_TOO_MUCH;
    }
}

static int set_read(struct archive_survey *sv, struct survey_set *set, struct survey_file *files,
                    const uint32_t *index, uint32_t n, bool ordered)
{
    struct archive_set *s = &set->s;

    set->arena.limit = sv->memory;
    *s = (struct archive_set){.ordered = ordered,
                              .thorough = sv->thorough || sv->nested,
                              .keys = sv->keys,
                              .arena = &set->arena};
    if (!volumes_make(set, files, index, n))
        return -ENOMEM;
    const char *name =
        set->format ? "" : joined_name(&set->arena, set->name, files[index[0]].magic);
    if (!name)
        return -ENOMEM;
    int e = set->format ? set->format->read(s) : joined_read(s, name);
    if (e)
        return e;
    while (set->nplaced < n && !s->volumes[set->nplaced].left)
        set->nplaced++;
    if (!s->nmembers || !set->nplaced || set->nplaced == n)
        set->why = s->why; /* else it is about those that are left, which are tried by themselves */
    e = members_take(sv, set, files);
    if (!e && !set->opened && !set->why)
        set->why = s->why ? s->why : ARCHIVE_DAMAGED;
    return e;
}

int survey_open(struct archive_survey *sv, struct survey_file *files, uint32_t *index, uint32_t n,
                const struct archive_format *format, bool ordered, const char *name,
                size_t name_len, uint32_t *left)
{
    struct survey_set *set = set_add(sv, name, name_len);
    uint32_t nentries = sv->nentries;

    *left = 0;
    if (!set)
        return -ENOMEM;
    set->format = format;
    int e = set_read(sv, set, files, index, n, ordered);
    if (e == -ENOMEM) { /* of the set's arena, most likely: what there is without it may still do */
        set_undo(sv, set, files, index, n, nentries);
        set_log(set);
        return 0;
    }
    if (e)
        return e;
    sv->memory -= set->arena.total < sv->memory ? set->arena.total : sv->memory - 1;
    volumes_settle(sv, set, files);
    set_log(set);
    uint32_t rest = set->opened ? set->nplaced : n;
    for (uint32_t v = rest; v < n; v++)
        index[(*left)++] = set->s.volumes[v].post;
    return 0;
}

int survey_refuse(struct archive_survey *sv, struct survey_file *files, const uint32_t *index,
                  uint32_t n, const char *name, size_t name_len, enum archive_why why)
{
    struct survey_set *set = set_add(sv, name, name_len);

    if (!set)
        return -ENOMEM;
    set->why = why;
    set->s.nvolumes = n;
    for (uint32_t i = 0; i < n; i++) {
        files[index[i]].set = sv->nsets - 1;
        files[index[i]].why = why;
    }
    set_log(set);
    return 0;
}
