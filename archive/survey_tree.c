/* survey_tree — safe and unique paths; posted files by themselves; what became of each.
 *
 * One table has every path in use, with what is there: a directory, a file, or a counter of numbers that were given
 * out. As in nzb/unique.c a counter belongs to the candidate with the widest number, so that names which
 * differ only where the number goes share it and no candidate is tried twice. */
#include "archive/survey_internal.h"

#include "base/hash.h"
#include "nzb/name.h"

#include <limits.h>
#include <stdlib.h>

#define PATH_MOST  4096u
#define DEPTH_MOST 64u

/* Directories that are made for what stands in them: a short name could ask for as many as it is deep. */
#define DIRS_MOST  100000u

enum there { FREE, IS_FILE, IS_DIR, COUNTER };

struct slot {
    const char *path;
    enum there there;
    unsigned next; /* COUNTER: the number to try */
    unsigned dir;  /* COUNTER: likewise for a directory, which may be there already */
};

struct tree {
    struct arena *arena; /* of paths that stay, and of counters */
    struct slot *slots;
    size_t mask, used;
    uint32_t dirs; /* made by walk() */
};

/* A path being built. */
struct path {
    char s[PATH_MOST + NZB_NAME_MAX + 2];
    size_t len;
};

/* ---- the table ---- */

static struct slot *slot_of(struct tree *t, const char *path, bool counter)
{
    size_t i = (size_t)hash_bytes(path, strlen(path)) & t->mask;

    while (t->slots[i].there != FREE &&
           ((t->slots[i].there == COUNTER) != counter || strcmp(t->slots[i].path, path) != 0))
        i = (i + 1) & t->mask;
    return &t->slots[i];
}

static bool tree_grow(struct tree *t)
{
    struct slot *old = t->slots;
    size_t n = old ? t->mask + 1 : 0;

    if (old && 2 * (t->used + 2) < n)
        return true;
    struct slot *more = calloc(n ? 2 * n : 256, sizeof(*more));
    if (!more)
        return false;
    t->slots = more;
    t->mask = (n ? 2 * n : 256) - 1;
    for (size_t i = 0; i < n; i++)
        if (old[i].there != FREE)
            *slot_of(t, old[i].path, old[i].there == COUNTER) = old[i];
    free(old);
    return true;
}

static enum there there_is(struct tree *t, const char *path)
{
    return slot_of(t, path, false)->there;
}

static struct slot *tree_put(struct tree *t, const char *path, size_t len, enum there there)
{
    if (!tree_grow(t))
        return NULL;
    struct slot *s = slot_of(t, path, there == COUNTER);
    if (s->there == FREE) {
        s->path = arena_strndup(t->arena, path, len);
        if (!s->path)
            return NULL;
        s->there = there;
        s->next = s->dir = 2;
        t->used++;
    }
    return s;
}

/* ---- components ---- */

/* The last component of `p`, from `at` on, is replaced by the next one of its kind that is free, or, with `dir`,
 * that is a directory. */
static int number(struct tree *t, struct path *p, size_t at, bool dir)
{
    char name[NZB_NAME_MAX + 1];

    memcpy(name, p->s + at, p->len - at + 1);
    p->len = at + nzb_name_nth(name, UINT_MAX, p->s + at);
    struct slot *counter = tree_put(t, p->s, p->len, COUNTER);
    if (!counter)
        return -ENOMEM;
    unsigned *next = dir ? &counter->dir : &counter->next;
    for (unsigned n = *next;; n++) {
        p->len = at + nzb_name_nth(name, n, p->s + at);
        enum there there = there_is(t, p->s);
        if (there == FREE || (dir && there == IS_DIR)) {
            *next = n + !dir;
            return 0;
        }
    }
}

/* Add a component; false: the path gets too long. */
static bool append(struct path *p, const char *name, size_t len)
{
    char safe[NZB_NAME_MAX + 1];
    size_t n = nzb_name_safe(name, len, safe);

    if (p->len + 1 + n > PATH_MOST)
        return false;
    if (p->len)
        p->s[p->len++] = '/';
    memcpy(p->s + p->len, safe, n + 1);
    p->len += n;
    return true;
}

/* "", ".", ".." and, at the beginning, "C:" are no names. */
static bool is_name(const char *s, size_t len, bool first)
{
    if (!len || (len == 1 && *s == '.') || (len == 2 && !memcmp(s, "..", 2)))
        return false;
    return !(first && len == 2 && s[1] == ':');
}

static const char *last_name(const char *raw)
{
    const char *slash = strrchr(raw, '/');
    return slash && slash[1] ? slash + 1 : raw;
}

/* The directory `p` is there, or made; false with no error: there are too many. */
static bool dir_make(struct tree *t, const struct path *p, int *e)
{
    if (there_is(t, p->s) == IS_DIR)
        return true;
    if (t->dirs >= DIRS_MOST)
        return false;
    t->dirs++;
    *e = tree_put(t, p->s, p->len, IS_DIR) ? 0 : -ENOMEM;
    return !*e;
}

/* Where `raw` is to stand: its directories are made. What is too deep or too long, or needs one directory too many,
 * stands at the top. */
static int walk(struct tree *t, const char *raw, struct path *p)
{
    unsigned depth = 0;
    size_t at = 0;
    int e = 0;

    p->len = 0;
    p->s[0] = '\0';
    for (const char *s = raw; *s;) {
        size_t len = strcspn(s, "/");
        const char *name = s;
        s += len + (s[len] == '/');
        if (!is_name(name, len, !p->len))
            continue;
        bool fits = true;
        if (p->len) { /* what stands there is a directory of this one */
            if (there_is(t, p->s) == IS_FILE)
                e = number(t, p, at, true);
            fits = !e && dir_make(t, p, &e);
            if (e)
                return e;
        }
        at = p->len ? p->len + 1 : 0;
        if (!fits || ++depth > DEPTH_MOST || !append(p, name, len)) {
            const char *last = last_name(raw);
            p->len = 0;
            append(p, last, strcspn(last, "/"));
            return 0;
        }
    }
    if (!p->len)
        append(p, "", 0);
    return 0;
}

/* A path for a file (or, with `dir`, a directory; *again: it is there already). NULL: no memory. */
static const char *place(struct tree *t, const char *raw, bool dir, bool *again)
{
    static _Thread_local struct path p;

    *again = false;
    if (walk(t, raw, &p))
        return NULL;
    enum there there = there_is(t, p.s);
    if (dir && there == IS_DIR) {
        *again = true;
    } else if (there != FREE) {
        const char *slash = strrchr(p.s, '/');
        if (number(t, &p, slash ? (size_t)(slash - p.s) + 1 : 0, dir))
            return NULL;
        *again = there_is(t, p.s) != FREE;
    }
    struct slot *s = tree_put(t, p.s, p.len, dir ? IS_DIR : IS_FILE);
    return s ? s->path : NULL;
}

/* ---- entries ---- */

static bool is_main(const struct archive_entry *e)
{
    return !e->hidden && !e->dir && e->post == SURVEY_NONE && !names_aside(e->path);
}

/* Up to the extension. */
static size_t stem_len(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const char *dot = strrchr(name, '.');
    return dot && dot != name ? (size_t)(dot - path) : strlen(path);
}

/* The largest of what archives hold, where all that matters is called like it; NULL: it is not. */
static const struct archive_entry *only_film(const struct archive_survey *sv)
{
    const struct archive_entry *film = NULL;

    for (uint32_t i = 0; i < sv->nentries; i++)
        if (is_main(&sv->entries[i]) && (!film || sv->entries[i].size > film->size))
            film = &sv->entries[i];
    if (!film)
        return NULL;
    size_t stem = stem_len(film->path);
    for (uint32_t i = 0; i < sv->nentries; i++) {
        const char *path = sv->entries[i].path;
        if (is_main(&sv->entries[i]) &&
            (strncmp(path, film->path, stem) != 0 || (path[stem] && path[stem] != '.')))
            return NULL;
    }
    for (uint32_t i = 0; i < sv->nposts; i++) /* something else stands beside it */
        if (!sv->files[i].used && !names_aside(sv->files[i].name))
            return NULL;
    return film;
}

/* A film whose name in its archive says nothing, with what belongs to it, is called as the NZB is. */
static int name_by_title(struct archive_survey *sv)
{
    const struct archive_entry *film = only_film(sv);
    const char *title = sv->o->title, *slash = film ? strrchr(film->path, '/') : NULL;
    size_t n = title ? strnlen(title, NZB_NAME_MAX) : 0;
    size_t dir = slash ? (size_t)(slash - film->path) + 1 : 0;

    if (!film || !n || !names_obfuscated(film->path + dir) || names_obfuscated(title))
        return 0;
    size_t stem = stem_len(film->path);
    for (uint32_t i = 0; i < sv->nentries; i++) {
        struct archive_entry *e = &sv->entries[i];
        if (!is_main(e))
            continue;
        size_t rest = strlen(e->path + stem);
        char *path = arena_alloc(&sv->arena, dir + n + rest + 1, 1);
        if (!path)
            return -ENOMEM;
        memcpy(path, e->path, dir);
        for (size_t k = 0; k < n; k++)
            path[dir + k] = title[k] == '/' ? '_' : title[k];
        memcpy(path + dir + n, e->path + stem, rest);
        e->path = path;
    }
    return 0;
}

/* Those that are only there to be read from do not take anybody's name. */
static int place_entries(struct archive_survey *sv, struct tree *t, bool hidden)
{
    struct tree apart = {.arena = t->arena};
    int e = 0;

    for (uint32_t i = 0; !e && i < sv->nentries; i++) {
        struct archive_entry *entry = &sv->entries[i];
        bool again;
        if (entry->hidden != hidden || entry->post != SURVEY_NONE)
            continue;
        struct tree *in = hidden ? &apart : t;
        if (!tree_grow(in))
            return -ENOMEM;
        entry->path = place(in, entry->path, entry->dir, &again);
        if (!entry->path) {
            e = -ENOMEM;
            break;
        }
        entry->hidden |= entry->dir && again;
        entry->aside = !entry->dir && names_aside(entry->path);
    }
    free(apart.slots);
    return e;
}

/* ---- posted files ---- */

/* What a posted file is called by itself: its best name, or the NZB's where that says nothing. */
static const char *post_name(const struct archive_survey *sv, const struct survey_file *f,
                             char out[NZB_NAME_MAX + 1])
{
    const char *title = sv->o->title, *ext = strrchr(f->name, '.');
    char longer[2 * NZB_NAME_MAX + 2];
    size_t n = title ? strnlen(title, NZB_NAME_MAX) : 0;

    if (!n || !f->unclear || !f->read || !names_obfuscated(f->name) ||
        names_part(f->name).scheme != NAMES_NONE || names_aside(f->name))
        return f->name;
    memcpy(longer, title, n);
    longer[n] = '\0';
    if (ext && strlen(ext) <= 8)
        memcpy(longer + n, ext, strlen(ext) + 1);
    nzb_name_safe(longer, strlen(longer), out);
    return out;
}

static int place_posts(struct archive_survey *sv, struct tree *t, struct archive_fate *fates)
{
    struct tree names = {.arena = t->arena}; /* best names, also of volumes that are not shown */
    char buf[NZB_NAME_MAX + 1];
    int e = 0;

    for (uint32_t i = 0; !e && i < sv->nposts; i++) {
        const struct survey_file *f = &sv->files[i];
        bool again;
        const char *name = post_name(sv, f, buf);
        fates[i] = (struct archive_fate){.set = f->set, .shown = !f->used, .why = f->why};
        fates[i].name = tree_grow(&names) ? place(&names, name, false, &again) : NULL;
        e = fates[i].name ? 0 : -ENOMEM;
        if (e || f->used)
            continue;
        struct archive_entry *entry = survey_entry_add(sv);
        if (!entry) {
            e = -ENOMEM;
            break;
        }
        entry->post = i;
        entry->path = place(t, name, false, &again);
        entry->aside = entry->path && names_aside(entry->path);
        e = entry->path ? 0 : -ENOMEM;
    }
    free(names.slots);
    return e;
}

int survey_tree(struct archive_survey *sv)
{
    struct tree t = {.arena = &sv->arena};
    struct archive_fate *fates = arena_array(&sv->arena, struct archive_fate, sv->nposts + 1u);
    int e = fates && tree_grow(&t) ? 0 : -ENOMEM;

    if (!e)
        e = name_by_title(sv);
    if (!e)
        e = place_entries(sv, &t, false);
    if (!e)
        e = place_entries(sv, &t, true);
    if (!e)
        e = place_posts(sv, &t, fates);
    sv->layout.posts = fates;
    free(t.slots);
    return e;
}
