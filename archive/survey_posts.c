/* survey_posts — the best name of each posted file.
 *
 * Most NZBs name their files well, and then no article is read for it. What is unclear, by a random name or one
 * without volume and extension, has its first article read, all of them at once; that brings the yEnc name,
 * the magic bytes, and the hash by which a PAR2 file knows it. */
#include "archive/survey_internal.h"

#include "archive/par2.h"
#include "base/cursor.h"
#include "nzb/name.h"

#include <openssl/evp.h>
#include <stdlib.h>

/* PAR2 files that are read: one knows all files of its set, but there may be a set for each file. */
#define PAR2_TRIES 32u
#define PAR2_MOST  ((uint64_t)4 << 20) /* bytes of one */
#define PAR2_FIRST ((size_t)65536)     /* of it asked for ahead */

struct naming {
    struct archive_survey *sv;
    uint8_t *head;
    uint8_t (*md5)[16]; /* of each post's first 16 KiB */
    uint32_t *par2;     /* posts that may be PAR2 files, the smallest first */
    uint32_t npar2;
    struct par2 found;
};

/* ---- which names are good ---- */

bool survey_has_extension(const char *name)
{
    const char *dot = strrchr(name, '.');
    size_t n = dot ? strlen(dot + 1) : 0;
    bool letter = false;

    for (size_t i = 0; i < n; i++) {
        char c = (char)(dot[1 + i] | 32);
        letter |= c >= 'a' && c <= 'z';
        if (!(c >= 'a' && c <= 'z') && !(dot[1 + i] >= '0' && dot[1 + i] <= '9'))
            return false;
    }
    return dot != name && n >= 1 && n <= 6 && letter;
}

/* A file by itself tells by its name and extension; a volume by its place in a set that is whole. A heap of single
 * volumes with random names is a set that somebody took apart. */
static int find_unclear(struct archive_survey *sv)
{
    struct survey_group *groups;
    uint32_t ngroups, *order;
    int e = survey_groups(sv->files, sv->nposts, &groups, &ngroups, &order);

    if (e)
        return e;
    for (uint32_t i = 0; i < sv->nposts; i++) {
        struct survey_file *f = &sv->files[i];
        if (names_part(f->name).scheme == NAMES_NONE)
            f->unclear = names_obfuscated(f->name) || !survey_has_extension(f->name);
    }
    for (uint32_t g = 0; g < ngroups; g++) {
        const struct survey_group *group = &groups[g];
        bool lone = group->n == 1 && sv->nposts > 1;
        if (group->whole && !lone)
            continue;
        for (uint32_t k = 0; k < group->n; k++) {
            struct survey_file *f = &sv->files[group->index[k]];
            /* One name for many files says which of them belong together, and no more. */
            f->unclear = names_obfuscated(f->name) || (lone && group->many);
        }
    }
    free(groups);
    free(order);
    return 0;
}

/* ---- heads ---- */

static uint64_t vint(struct cursor *c)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 63; shift += 7) {
        uint8_t b = cursor_u8(c);
        v |= (uint64_t)(b & 0x7fu) << shift;
        if (!(b & 0x80))
            return v;
    }
    c->bad = true;
    return 0;
}

/* What a RAR archive's main header says, where it is not encrypted; whether that is sound the reader finds out. */
static bool is_single(const uint8_t *head, size_t len, bool rar5)
{
    struct cursor c = cursor_of(head, len);

    cursor_skip(&c, rar5 ? 12 : 9);
    if (!rar5)
        return cursor_u8(&c) == 0x73 && !(cursor_u16(&c) & 1) && !c.bad;
    vint(&c);
    if (vint(&c) != 1)
        return false;
    if (vint(&c) & 1)
        vint(&c);
    return !(vint(&c) & 1) && !c.bad;
}

int survey_file_head(struct survey_file *f, uint8_t *head, size_t *len)
{
    *len = 0;
    while (*len < SURVEY_HEAD) {
        ssize_t n = archive_bytes_read(f->bytes, *len, head + *len, SURVEY_HEAD - *len);
        if (survey_stops(n))
            return (int)n;
        if (n <= 0)
            break;
        *len += (size_t)n;
    }
    f->read = *len > 0;
    f->magic = f->read ? names_magic(head, *len) : NULL;
    f->rar5 = *len > 6 && head[6] == 1; /* Rar! 1a 07 01 00; before that it was Rar! 1a 07 00 */
    f->single = f->magic && !strcmp(f->magic, ".rar") && is_single(head, *len, f->rar5);
    return 0;
}

static bool is_par2_name(const struct survey_file *f)
{
    return names_part(f->name).scheme == NAMES_PAR2;
}

/* Magic and hash of what is unclear. */
static int read_heads(struct naming *t)
{
    struct archive_survey *sv = t->sv;

    for (uint32_t i = 0; i < sv->nposts; i++)
        if (sv->files[i].unclear)
            archive_bytes_want(sv->files[i].bytes, 0, SURVEY_HEAD);
    for (uint32_t i = 0; i < sv->nposts; i++) {
        struct survey_file *f = &sv->files[i];
        size_t len;
        if (!f->unclear)
            continue;
        int e = survey_file_head(f, t->head, &len);
        if (e)
            return e;
        if (!EVP_Digest(t->head, len, t->md5[i], NULL, EVP_md5(), NULL))
            return -ENOMEM;
    }
    return 0;
}

/* ---- PAR2 ---- */

static _Thread_local const struct survey_file *by_guess_files;

static int by_guess(const void *a, const void *b)
{
    uint32_t i = *(const uint32_t *)a, k = *(const uint32_t *)b;
    uint64_t x = by_guess_files[i].guess, y = by_guess_files[k].guess;
    return x != y ? (x < y ? -1 : 1) : i < k ? -1 : i > k;
}

static void par2_gather(struct naming *t)
{
    struct archive_survey *sv = t->sv;

    t->npar2 = 0;
    for (uint32_t i = 0; i < sv->nposts; i++) {
        const struct survey_file *f = &sv->files[i];
        if (f->unclear ? f->magic && !strcmp(f->magic, ".par2") : is_par2_name(f))
            t->par2[t->npar2++] = i;
    }
    by_guess_files = sv->files;
    qsort(t->par2, t->npar2, sizeof(*t->par2), by_guess);
}

static const struct par2_file *described(struct naming *t, uint32_t i)
{
    const struct survey_file *f = &t->sv->files[i];
    uint64_t size = 0;

    if (!f->unclear || !f->read || !t->found.nfiles || archive_bytes_size(f->bytes, &size))
        return NULL;
    return par2_match(&t->found, t->md5[i], size);
}

/* Is there a file left that a PAR2 file could name? */
static bool any_nameless(struct naming *t)
{
    for (uint32_t i = 0; i < t->sv->nposts; i++) {
        const struct survey_file *f = &t->sv->files[i];
        bool par2 = f->magic && !strcmp(f->magic, ".par2");
        if (f->unclear && f->read && !par2 && !described(t, i))
            return true;
    }
    return false;
}

static int read_par2(struct naming *t)
{
    par2_gather(t);
    for (uint32_t k = 0; k < t->npar2 && k < PAR2_TRIES && any_nameless(t); k++) {
        uint32_t before = t->found.nfiles;
        int e = par2_read(t->sv->files[t->par2[k]].bytes, PAR2_MOST, &t->sv->arena, &t->found);
        if (e)
            return e;
        if (k && t->found.nfiles == before) /* another volume of what is known */
            break;
    }
    return 0;
}

/* ---- the best one ---- */

static bool ends_with(const char *name, const char *ext)
{
    size_t n = strlen(name), k = strlen(ext);
    return n > k && !strcasecmp(name + n - k, ext);
}

const char *survey_name_mend(struct arena *a, const char *name, const uint8_t *head, size_t len)
{
    char safe[NZB_NAME_MAX + 1], longer[NZB_NAME_MAX + 16];
    size_t n = nzb_name_safe(name, strlen(name), safe);
    const char *magic = names_magic(head, len);

    if (!magic || names_magic_fits(safe, head, len) || ends_with(safe, magic))
        return arena_strndup(a, safe, n);
    memcpy(longer, safe, n);
    memcpy(longer + n, magic, strlen(magic) + 1);
    n = nzb_name_safe(longer, n + strlen(magic), safe);
    return arena_strndup(a, safe, n);
}

/* Of several the first that says something; of those that do not, one that says which volume it is. */
static const char *choose(const char *const names[3])
{
    for (unsigned k = 0; k < 3; k++)
        if (*names[k] && !names_obfuscated(names[k]))
            return names[k];
    for (unsigned k = 0; k < 3; k++)
        if (*names[k] && names_part(names[k]).scheme != NAMES_NONE)
            return names[k];
    return *names[0] ? names[0] : names[2];
}

static int name_one(struct naming *t, uint32_t i)
{
    struct survey_file *f = &t->sv->files[i];
    const struct archive_post *p = &t->sv->posts[i];
    const struct par2_file *told = described(t, i);
    const char *yenc = p->yenc_name ? p->yenc_name(p) : "";
    const char *const names[3] = {told ? told->name : "", yenc ? yenc : "", p->name};
    size_t len = 0;

    if (!f->read)
        return 0;
    int e = survey_file_head(f, t->head, &len);
    if (e)
        return e;
    f->name = survey_name_mend(&t->sv->arena, choose(names), t->head, len);
    return f->name ? 0 : -ENOMEM;
}

static int name_unclear(struct naming *t)
{
    struct archive_survey *sv = t->sv;
    int e = 0;

    for (uint32_t i = 0; i < sv->nposts; i++) /* their articles come along with the heads */
        if (is_par2_name(&sv->files[i]) && !sv->files[i].unclear) {
            par2_gather(t);
            archive_bytes_want(sv->files[t->par2[0]].bytes, 0, PAR2_FIRST);
            break;
        }
    e = read_heads(t);
    if (!e)
        e = read_par2(t);
    for (uint32_t i = 0; !e && i < sv->nposts; i++)
        if (sv->files[i].unclear)
            e = name_one(t, i);
    return e;
}

int survey_posts_name(struct archive_survey *sv)
{
    struct naming t = {.sv = sv};
    bool any = false;
    int e = find_unclear(sv);

    for (uint32_t i = 0; i < sv->nposts; i++)
        any |= sv->files[i].unclear;
    if (e || !any)
        return e;
    t.head = malloc(SURVEY_HEAD);
    t.md5 = calloc(sv->nposts, sizeof(*t.md5));
    t.par2 = calloc(sv->nposts, sizeof(*t.par2));
    e = t.head && t.md5 && t.par2 ? name_unclear(&t) : -ENOMEM;
    free(t.head);
    free(t.md5);
    free(t.par2);
    return e;
}
