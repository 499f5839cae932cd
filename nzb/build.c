#include "nzb/build.h"
#include "nzb/name.h"
#include "nzb/unique.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A part has some 700 KiB, a file rarely more than 200,000 of them. What is beyond is a mistake. */
#define NUMBER_MOST ((uint32_t)1 << 24)
#define BYTES_MOST  ((uint32_t)64 << 20)
#define DATE_MOST   UINT64_C(253402300799) /* the end of the year 9999 */

/* A number that the NZB did not give yields to one that it gave. */
#define GUESSED     ((uint32_t)1 << 31)

/* ---- helpers ---- */

/* The array, or a larger one in its place, with room for element `n`. NULL: no memory, and the array
 * is as it was. */
static void *with_room(void *array, size_t *cap, size_t n, size_t size)
{
    if (n < *cap)
        return array;
    size_t more = *cap ? 2 * *cap : 16;
    void *bigger = reallocarray(array, more, size);
    if (bigger)
        *cap = more;
    return bigger;
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static struct build_text trim(struct build_text t)
{
    while (t.len && is_blank(t.s[0]))
        t.s++, t.len--;
    while (t.len && is_blank(t.s[t.len - 1]))
        t.len--;
    return t;
}

/* A decimal number, all of it, up to `most`. */
static bool number_of(struct build_text t, uint64_t most, uint64_t *value)
{
    t = trim(t);
    *value = 0;
    for (size_t i = 0; i < t.len; i++) {
        if (t.s[i] < '0' || t.s[i] > '9')
            return false;
        *value = *value * 10 + (uint64_t)(t.s[i] - '0');
        if (*value > most)
            return false;
    }
    return t.len > 0;
}

static void warn(struct build *b)
{
    b->z->warnings++;
}

int build_init(struct build *b, size_t memory_most)
{
    *b = (struct build){.z = calloc(1, sizeof(*b->z))};
    if (!b->z)
        return -ENOMEM;
    b->z->arena.limit = memory_most;
    b->strings.arena = &b->z->arena;
    return 0;
}

void build_fini(struct build *b)
{
    nzb_free(b->z);
    intern_fini(&b->strings);
    free(b->files);
    free(b->metas);
    free(b->segments);
    free(b->groups);
    *b = (struct build){0};
}

/* ---- a file ---- */

int build_file(struct build *b, struct build_text subject, struct build_text poster,
               struct build_text date)
{
    b->file = (struct nzb_file){
        .subject = arena_strndup(&b->z->arena, subject.s, subject.len),
        .poster = intern_get(&b->strings, poster.len ? poster.s : "", poster.len),
    };
    if (!number_of(date, DATE_MOST, &b->file.posted_s))
        b->file.posted_s = 0;
    b->segments_n = b->groups_n = 0;
    b->last_number = 0;
    b->from_zero = false;
    return b->file.subject && b->file.poster ? 0 : -ENOMEM;
}

int build_group(struct build *b, struct build_text name)
{
    name = trim(name);
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.s[i];
        if (c <= ' ' || c == 0x7f) { /* it would become part of a command */
            warn(b);
            return 0;
        }
    }
    if (!name.len || name.len > NZB_GROUP_MAX) {
        warn(b);
        return 0;
    }
    const char **groups = with_room(b->groups, &b->groups_cap, b->groups_n, sizeof(*b->groups));
    if (!groups)
        return -ENOMEM;
    b->groups = groups;
    groups[b->groups_n] = intern_get(&b->strings, name.s, name.len);
    if (!groups[b->groups_n])
        return -ENOMEM;
    b->groups_n++;
    return 0;
}

/* Without < >, and nothing that could end the command line it will stand in or the id itself. */
static bool message_id_of(struct build_text t, struct build_text *id)
{
    t = trim(t);
    if (t.len && t.s[0] == '<')
        t.s++, t.len--;
    if (t.len && t.s[t.len - 1] == '>')
        t.len--;
    *id = t;
    if (!t.len || t.len > NZB_MESSAGE_ID_MAX || memmem(t.s, t.len, "\xef\xbf\xbd", 3))
        return false;
    for (size_t i = 0; i < t.len; i++) {
        unsigned char c = (unsigned char)t.s[i];
        if (c < ' ' || c == 0x7f || c == '<' || c == '>')
            return false;
    }
    return true;
}

int build_segment(struct build *b, struct build_text message_id, struct build_text number,
                  struct build_text bytes)
{
    struct build_segment s = {.order = (uint32_t)b->segments_n};
    struct build_text id;
    uint64_t n;
    bool told = number_of(number, NUMBER_MOST, &n);

    if (!told) {
        warn(b);
        n = b->last_number + 1;
        s.order |= GUESSED;
    }
    b->last_number = s.number = (uint32_t)n;
    if (!message_id_of(message_id, &id) || b->segments_n >= NUMBER_MOST) {
        warn(b);
        return 0;
    }
    b->from_zero |= told && n == 0;
    if (number_of(bytes, BYTES_MOST, &n))
        s.bytes = (uint32_t)n;
    else
        warn(b);
    struct build_segment *all = with_room(b->segments, &b->segments_cap, b->segments_n, sizeof(s));
    if (!all)
        return -ENOMEM;
    b->segments = all;
    s.message_id = arena_strndup(&b->z->arena, id.s, id.len);
    if (!s.message_id)
        return -ENOMEM;
    all[b->segments_n++] = s;
    return 0;
}

static int by_number(const void *a, const void *b)
{
    const struct build_segment *x = a, *y = b;

    if (x->number != y->number)
        return x->number < y->number ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

static void sort_segments(struct build *b)
{
    bool sorted = true;

    for (size_t i = 1; i < b->segments_n && sorted; i++)
        sorted = by_number(&b->segments[i - 1], &b->segments[i]) < 0;
    if (!sorted)
        qsort(b->segments, b->segments_n, sizeof(*b->segments), by_number);
}

/* In order of number, the first of each number, counted from 1. */
static int keep_segments(struct build *b)
{
    size_t n = 0;

    sort_segments(b);
    for (size_t i = 0; i < b->segments_n; i++) {
        if (n && b->segments[i].number == b->segments[n - 1].number)
            warn(b);
        else
            b->segments[n++] = b->segments[i];
    }
    struct nzb_segment *kept = arena_array(&b->z->arena, struct nzb_segment, n);
    if (!kept)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        kept[i] = (struct nzb_segment){
            .message_id = b->segments[i].message_id,
            .number = b->segments[i].number + b->from_zero,
            .bytes = b->segments[i].bytes,
        };
        b->file.bytes += kept[i].bytes;
    }
    b->file.segments = kept;
    b->file.nsegments = (uint32_t)n;
    b->z->nsegments += n;
    if (b->from_zero)
        warn(b);
    return 0;
}

/* Most files of an NZB stand in the same groups: they share the list. */
static int keep_groups(struct build *b)
{
    const struct nzb_file *before = b->files_n ? &b->files[b->files_n - 1] : NULL;
    size_t size = b->groups_n * sizeof(*b->groups);

    b->file.ngroups = (uint32_t)b->groups_n;
    if (before && before->ngroups == b->groups_n &&
        (!size || !memcmp(before->groups, b->groups, size))) {
        b->file.groups = before->groups;
        return 0;
    }
    const char **list = arena_array(&b->z->arena, const char *, b->groups_n + 1);
    if (!list)
        return -ENOMEM;
    if (size)
        memcpy(list, b->groups, size);
    b->file.groups = list;
    return 0;
}

static int name_file(struct build *b)
{
    char name[4 * NZB_NAME_MAX], safe[NZB_NAME_MAX + 1];
    const char *subject = b->file.subject;
    size_t most = strlen(subject) + 1, len;
    char *raw = most > sizeof(name) ? malloc(most) : name;

    if (!raw)
        return -ENOMEM;
    len = nzb_name_from_subject(subject, raw, most);
    len = nzb_name_safe(raw, len, safe);
    if (raw != name)
        free(raw);
    b->file.name = arena_strndup(&b->z->arena, safe, len);
    return b->file.name ? 0 : -ENOMEM;
}

int build_file_end(struct build *b)
{
    int r;

    if (!b->segments_n) { /* nothing could ever be read of it */
        warn(b);
        return 0;
    }
    struct nzb_file *files = with_room(b->files, &b->files_cap, b->files_n, sizeof(*files));
    if (!files)
        return -ENOMEM;
    b->files = files;
    if ((r = keep_segments(b)) || (r = keep_groups(b)) || (r = name_file(b)))
        return r;
    uint32_t highest = b->file.segments[b->file.nsegments - 1].number;
    b->file.parts = nzb_name_parts(b->file.subject);
    if (b->file.parts < highest)
        b->file.parts = highest;
    if (b->file.nsegments < highest)
        warn(b);
    files[b->files_n++] = b->file;
    return 0;
}

/* ---- the rest ---- */

int build_meta(struct build *b, struct build_text type, struct build_text value)
{
    struct nzb_meta m;

    type = trim(type);
    value = trim(value);
    if (!type.len) {
        warn(b);
        return 0;
    }
    struct nzb_meta *metas = with_room(b->metas, &b->metas_cap, b->metas_n, sizeof(m));
    if (!metas)
        return -ENOMEM;
    b->metas = metas;
    char *lower = arena_strndup(&b->z->arena, type.s, type.len);
    m.value = arena_strndup(&b->z->arena, value.s, value.len);
    if (!lower || !m.value)
        return -ENOMEM;
    for (char *c = lower; *c; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c | 0x20);
    m.type = lower;
    metas[b->metas_n++] = m;
    return 0;
}

int build_finish(struct build *b, struct nzb **out)
{
    struct nzb *z = b->z;
    struct nzb_file *files = arena_array(&z->arena, struct nzb_file, b->files_n);
    struct nzb_meta *metas = arena_array(&z->arena, struct nzb_meta, b->metas_n + 1);

    if (!files || !metas)
        return -ENOMEM;
    memcpy(files, b->files, b->files_n * sizeof(*files));
    if (b->metas_n)
        memcpy(metas, b->metas, b->metas_n * sizeof(*metas));
    int r = nzb_unique_names(files, b->files_n, &z->arena, &z->warnings);
    if (r)
        return r;
    z->files = files;
    z->nfiles = b->files_n;
    z->metas = metas;
    z->nmetas = b->metas_n;
    b->z = NULL;
    *out = z;
    return 0;
}
