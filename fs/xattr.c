/* xattr — user.nzbfs.*: what the NZB says of a file, and what is known to be wrong with it.
 *
 * The password of an NZB is not among them. */
#include "fs/view.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define PREFIX    "user.nzbfs."
#define VALUE_MAX 65536 /* what the kernel takes */

/* Bytes that go to the caller as far as they fit, and are counted all. */
struct out {
    char *to;
    size_t cap, len;
};

static void put(struct out *o, const char *s, size_t len)
{
    if (o->len < o->cap)
        memcpy(o->to + o->len, s, len < o->cap - o->len ? len : o->cap - o->len);
    o->len += len;
}

static void put_string(struct out *o, const char *s)
{
    put(o, s, strlen(s));
}

static void put_number(struct out *o, uint64_t n)
{
    char s[24];
    put(o, s, (size_t)snprintf(s, sizeof(s), "%" PRIu64, n));
}

/* Each fills in the value and returns true, or there is none. */

static bool message_count(const struct fs_node *n, struct out *o)
{
    if (!n->file)
        return false;
    put_number(o, n->file->posted->nsegments);
    return true;
}

static bool parts(const struct fs_node *n, struct out *o)
{
    if (!n->file)
        return false;
    put_number(o, n->file->posted->parts);
    return true;
}

static bool groups(const struct fs_node *n, struct out *o)
{
    if (!n->file)
        return false;
    const struct nzb_file *posted = n->file->posted;
    for (uint32_t i = 0; i < posted->ngroups; i++) {
        put(o, ",", i ? 1 : 0);
        put_string(o, posted->groups[i]);
    }
    return posted->ngroups > 0;
}

static bool poster(const struct fs_node *n, struct out *o)
{
    if (!n->file)
        return false;
    put_string(o, n->file->posted->poster);
    return *n->file->posted->poster != '\0';
}

static bool subject(const struct fs_node *n, struct out *o)
{
    if (!n->file)
        return false;
    put_string(o, n->file->posted->subject);
    return true;
}

static bool date(const struct fs_node *n, struct out *o)
{
    if (!n->file)
        return false;
    struct tm tm;
    char s[48];
    time_t when = (time_t)n->file->posted->posted_s;
    if (!when || !gmtime_r(&when, &tm))
        return false;
    put(o, s, strftime(s, sizeof(s), "%Y-%m-%dT%H:%M:%SZ", &tm));
    return true;
}

static bool missing(const struct fs_node *n, struct out *o)
{
    struct fs_health h;
    fs_node_health(n, &h);
    put_number(o, h.missing);
    return true;
}

static bool disowned(const struct fs_node *n, struct out *o)
{
    if (!n->file)
        return false;
    uint32_t segments = fs_file_disowned(n->file);
    put_number(o, segments);
    return segments != 0;
}

static bool zeroed(const struct fs_node *n, struct out *o)
{
    if (!n->file)
        return false;
    uint64_t bytes = n->file->zeroed;
    put_number(o, bytes);
    return bytes != 0;
}

static void set_tell(const struct archive_found *s, struct out *o)
{
    if (o->len)
        put_string(o, "; ");
    put_string(o, s->format ? s->format : "archive");
    put_string(o, " ");
    put_string(o, s->name);
    if (s->why == ARCHIVE_OK)
        return;
    put_string(o, ": ");
    put_string(o, archive_why_text(s->why));
}

static void content_tell(struct fs_content *c, struct out *o)
{
    uint32_t i;
    struct fs_layout *l = fs_content_layout(c, &i);
    const struct archive_layout *found = l ? l->found : NULL;
    if (found && found->entries[i].set < found->nsets)
        set_tell(&found->sets[found->entries[i].set], o);
    fs_layout_put(l);
}

static void post_tell(const struct fs_layout *l, const struct fs_file *f, struct out *o)
{
    uint32_t i = 0;
    while (i < l->view->nposts && l->view->posts[i]->file != f)
        i++;
    if (i == l->view->nposts || l->found->posts[i].why == ARCHIVE_OK)
        return;
    const struct archive_fate *fate = &l->found->posts[i];
    if (fate->set < l->found->nsets) {
        put_string(o, l->found->sets[fate->set].name);
        put_string(o, ": ");
    }
    put_string(o, archive_why_text(fate->why));
}

static bool source(const struct fs_node *n, struct out *o)
{
    if (n->origin)
        put_string(o, n->origin->path);
    return n->origin != NULL;
}

/* What archive a file is in; or what is wrong with the archive that a posted file is of; of the NZB's directory: what is
 * wrong with any. */
static bool archive(const struct fs_node *n, struct out *o)
{
    struct fs_view *v = n->content ? n->content->view : n->file ? n->file->view : n->view;
    struct fs_layout *l = v ? fs_view_layout(v) : NULL;
    size_t before = o->len;
    if (l && n->content)
        content_tell(n->content, o);
    else if (l && n->file)
        post_tell(l, n->file, o);
    for (uint32_t i = 0; l && n->view && i < l->found->nsets; i++)
        if (l->found->sets[i].why != ARCHIVE_OK)
            set_tell(&l->found->sets[i], o);
    fs_layout_put(l);
    return o->len != before;
}

static void put_wait(struct out *o, const char *name, const struct fs_wait *w)
{
    const struct {
        const char *what;
        uint64_t n;
    } all[] = {{"_count=", w->count}, {"_us=", w->us}, {"_longest_us=", w->longest_us}};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        put_string(o, name);
        put_string(o, all[i].what);
        put_number(o, all[i].n);
        put(o, "\n", 1);
    }
}

static void put_pair(struct out *o, const char *name, const char *of, uint64_t n)
{
    put_string(o, name);
    put_string(o, of);
    put(o, "=", 1);
    put_number(o, n);
    put(o, "\n", 1);
}

/* Of the moment, and of open files only; so it is no part of what a file is and is not listed, or who copies a file
 * with its attributes would copy it. */
static bool waits(struct fs *fs, const struct fs_node *n, struct out *o)
{
    struct fs_waits w;
    if (fs_node_is_dir(n) || !fs_node_waits(fs, n, &w))
        return false;
    put_pair(o, "reads", "", w.reads);
    put_pair(o, "bytes", "", w.bytes);
    put_pair(o, "errors", "", w.errors);
    put_wait(o, "waited", &w.all);
    put_wait(o, "memory", &w.stages[CACHE_WAITS_MEMORY]);
    put_wait(o, "connection", &w.stages[CACHE_WAITS_CONNECTION]);
    put_wait(o, "answer", &w.stages[CACHE_WAITS_ANSWER]);
    put_wait(o, "payload", &w.stages[CACHE_WAITS_BYTES]);
    put_wait(o, "reader", &w.reader);
    for (unsigned k = 0; k < w.nproviders; k++) {
        const struct fs_provider_wait *p = &w.providers[k];
        put_pair(o, "answer_us.", p->name ? p->name : "", p->answer_us);
        put_pair(o, "payload_us.", p->name ? p->name : "", p->bytes_us);
    }
    return true;
}

static const struct xattr {
    const char *name;
    bool of_dirs; /* as well as of files */
    bool (*value)(const struct fs_node *n, struct out *o);
} xattrs[] = {
    {PREFIX "source", true, source},      {PREFIX "message_count", false, message_count},
    {PREFIX "parts", false, parts},       {PREFIX "groups", false, groups},
    {PREFIX "poster", false, poster},     {PREFIX "date", false, date},
    {PREFIX "subject", false, subject},   {PREFIX "missing", false, missing},
    {PREFIX "archive", true, archive},    {PREFIX "zeroed", false, zeroed},
    {PREFIX "disowned", false, disowned},
};

#define NXATTRS (sizeof(xattrs) / sizeof(xattrs[0]))

static bool has_value(const struct xattr *x, const struct fs_node *n, struct out *o)
{
    return (!fs_node_is_dir(n) || x->of_dirs) && x->value(n, o);
}

static int result(const struct out *o)
{
    size_t len = o->len < VALUE_MAX ? o->len : VALUE_MAX;
    return o->cap && len > o->cap ? -ERANGE : (int)len;
}

int fs_xattr_get(struct fs *fs, const struct fs_node *n, const char *name, char *out, size_t cap)
{
    struct out o = {.to = out, .cap = cap};
    if (n == fs->tree.root && !strcmp(name, PREFIX "source")) {
        put_string(&o, fs->source);
        return result(&o);
    }
    if (!strcmp(name, PREFIX "waits"))
        return waits(fs, n, &o) ? result(&o) : -ENODATA;
    for (size_t i = 0; i < NXATTRS; i++)
        if (!strcmp(xattrs[i].name, name))
            return has_value(&xattrs[i], n, &o) ? result(&o) : -ENODATA;
    return -ENODATA;
}

int fs_xattr_list(struct fs *fs, const struct fs_node *n, char *out, size_t cap)
{
    struct out o = {.to = out, .cap = cap};
    for (size_t i = 0; i < NXATTRS; i++) {
        struct out nothing = {0};
        bool there =
            n == fs->tree.root ? xattrs[i].value == source : has_value(&xattrs[i], n, &nothing);
        if (there)
            put(&o, xattrs[i].name, strlen(xattrs[i].name) + 1);
    }
    return result(&o);
}
