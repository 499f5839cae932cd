/* tree — inodes: names to nodes by one hash table over all directories, numbers to nodes by an array.
 *
 * Nodes are never freed before the tree, so a pointer to one needs no count and FORGET changes nothing.
 * A directory's children stand in an array in order of arrival: a place in it is a directory offset that
 * stays good whatever is added behind it. */
#define LOG_TAG "fs.tree"
#include "fs/internal.h"

#include "archive/names.h"
#include "base/hash.h"
#include "base/words.h"
#include "fs/view.h"
#include "nzb/name.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Where what was posted is shown beside what is in it. */
#define POSTED_DIR ".posted"

/* Where what an NZB is not about is shown: out of the way of media servers, too. */
#define ASIDE_DIR  ".extra"

static uint64_t name_hash(const struct fs_node *dir, const char *name, size_t len)
{
    uint64_t hash = hash_bytes(name, len) ^ (dir->ino * 0x9e3779b97f4a7c15u);
    return hash ? hash : 1; /* 0: in no directory */
}

/* Under the tree's lock. `len` bytes of name, so that a path needs no copy. */
static struct fs_node *child_find(const struct fs_tree *t, const struct fs_node *dir,
                                  const char *name, size_t len)
{
    uint64_t hash = name_hash(dir, name, len);
    for (struct fs_node *n = t->buckets[hash & (t->nbuckets - 1)]; n; n = n->chain)
        if (n->hash == hash && n->parent == dir && !strncmp(n->name, name, len) && !n->name[len])
            return n;
    return NULL;
}

static int buckets_grow(struct fs_tree *t)
{
    size_t count = t->nbuckets ? t->nbuckets * 2 : 64;
    struct fs_node **fresh = calloc(count, sizeof(*fresh));
    if (!fresh)
        return -ENOMEM;
    for (size_t i = 0; i < t->nnodes; i++) {
        struct fs_node *n = t->nodes[i];
        if (n == t->root || !n->hash)
            continue;
        n->chain = fresh[n->hash & (count - 1)];
        fresh[n->hash & (count - 1)] = n;
    }
    free(t->buckets);
    t->buckets = fresh;
    t->nbuckets = count;
    return 0;
}

/* Room for one more number. */
static int nodes_reserve(struct fs_tree *t)
{
    if (t->nnodes == t->nodes_cap) {
        size_t cap = t->nodes_cap ? t->nodes_cap * 2 : 64;
        struct fs_node **fresh = reallocarray(t->nodes, cap, sizeof(struct fs_node *));
        if (!fresh)
            return -ENOMEM;
        t->nodes = fresh;
        t->nodes_cap = cap;
    }
    return t->nnodes < t->nbuckets ? 0 : buckets_grow(t);
}

static int children_reserve(struct fs_node *dir)
{
    if (dir->nchildren < dir->cap)
        return 0;
    uint32_t cap = dir->cap ? dir->cap * 2 : 8;
    struct fs_node **fresh = reallocarray(dir->children, cap, sizeof(struct fs_node *));
    if (!fresh)
        return -ENOMEM;
    dir->children = fresh;
    dir->cap = cap;
    return 0;
}

/* A name that `dir` does not have yet: `name` itself or the first numbered one that is free. */
static char *name_free(struct fs_tree *t, const struct fs_node *dir, const char *name)
{
    char numbered[NZB_NAME_MAX + 1];
    const char *pick = name;
    for (unsigned nth = 2; child_find(t, dir, pick, strlen(pick)); nth++) {
        nzb_name_nth(name, nth, numbered);
        pick = numbered;
    }
    return arena_strndup(&t->arena, pick, strlen(pick));
}

/* Under the tree's lock: a node that has a number and a parent, and is in no directory. */
static struct fs_node *node_make(struct fs_tree *t, struct fs_node *parent, char *name,
                                 const struct fs_origin *origin)
{
    struct fs_node *n = nodes_reserve(t) || !name ? NULL : arena_new(&t->arena, struct fs_node);
    if (!n)
        return NULL;
    n->ino = t->nnodes + 1;
    n->parent = parent ? parent : n;
    n->origin = origin;
    n->name = name;
    t->nodes[t->nnodes++] = n;
    return n;
}

/* Under the tree's lock. On failure the tree is as it was. */
static struct fs_node *node_add(struct fs_tree *t, struct fs_node *dir, const char *name,
                                const struct fs_origin *origin)
{
    if (dir && children_reserve(dir))
        return NULL;
    struct fs_node *n =
        node_make(t, dir, dir ? name_free(t, dir, name) : arena_strndup(&t->arena, "", 0), origin);
    if (!n)
        return NULL;
    if (!dir) {
        t->root = n;
        return n;
    }
    n->hash = name_hash(dir, n->name, strlen(n->name));
    n->chain = t->buckets[n->hash & (t->nbuckets - 1)];
    t->buckets[n->hash & (t->nbuckets - 1)] = n;
    dir->children[dir->nchildren++] = n;
    return n;
}

static void newest_set(struct fs_node *dir, int64_t when_s)
{
    for (;; dir = dir->parent) {
        if (dir->newest_s < when_s)
            dir->newest_s = when_s;
        if (dir == dir->parent)
            return;
    }
}

static int file_add(struct fs_tree *t, struct fs_node *dir, const struct fs_origin *o,
                    const struct nzb_file *posted)
{
    struct fs_file *f = arena_new(&t->arena, struct fs_file);
    if (!f || fs_file_init(f, posted, &container_of(t, struct fs, tree)->disown))
        return -ENOMEM;
    struct fs_node *n = node_add(t, dir, posted->name, o);
    if (!n) {
        fs_file_fini(f);
        return -ENOMEM;
    }
    n->file = f;
    f->ino = n->ino;
    n->mtime_s = (int64_t)(posted->posted_s ? posted->posted_s : o->when_s);
    newest_set(dir, n->mtime_s);
    return 0;
}

void fs_tree_title(const char *name, char *safe)
{
    size_t len = strlen(name);
    if (len > 3 && !strcasecmp(name + len - 3, ".gz"))
        len -= 3;
    if (len > 4 && !strncasecmp(name + len - 4, ".nzb", 4))
        len -= 4;
    char *own = strndup(name, len);
    if (own)
        len = names_public(own);
    nzb_name_safe(own ? own : name, own ? len : 0, safe);
    free(own);
}

static struct fs_node *dir_add(struct fs_tree *t, const char *name, const struct fs_origin *o)
{
    char safe[NZB_NAME_MAX + 1];
    fs_tree_title(name, safe);
    struct fs_node *dir = node_add(t, t->root, safe, o);
    if (dir)
        t->root->ndirs++;
    return dir;
}

static int origin_add(struct fs *fs, const char *dir, const struct fs_origin *o)
{
    struct fs_tree *t = &fs->tree;
    struct fs_node *at = dir ? dir_add(t, dir, o) : t->root;
    if (!at)
        return -ENOMEM;
    if (!o->nzb->nfiles)
        newest_set(at, (int64_t)o->when_s);
    struct fs_node *posted = at;
    bool contents = fs->mount.view != CONFIG_VIEW_RAW && !at->view && !at->nchildren;
    bool shown = fs->mount.view == CONFIG_VIEW_BOTH;
    if (contents) {
        posted =
            shown ? node_add(t, at, POSTED_DIR, o)
                  : node_make(t, at, arena_strndup(&t->arena, POSTED_DIR, strlen(POSTED_DIR)), o);
        if (!posted)
            return -ENOMEM;
        at->ndirs += shown;
    }
    for (size_t i = 0; i < o->nzb->nfiles; i++)
        if (file_add(t, posted, o, &o->nzb->files[i]))
            return -ENOMEM;
    if (!contents)
        return 0;
    at->view = fs_view_new(fs, o, at, posted, shown);
    return at->view ? 0 : -ENOMEM;
}

/* Where it came from, and apart from that the password in its name. False: no memory. */
static bool path_note(struct fs_tree *t, struct fs_origin *o, const char *path)
{
    const char *slash = strrchr(path, '/'), *at;
    size_t len;
    bool secret = names_password(slash ? slash + 1 : path, &at, &len);
    o->path = arena_strndup(&t->arena, path, strlen(path));
    if (!o->path || !secret)
        return o->path;
    o->password = arena_strndup(&t->arena, at, len);
    memset(o->path + (at - path), '*', len);
    return o->password;
}

int fs_add_nzb(struct fs *fs, const char *dir, struct nzb *z, const char *path, uint64_t when_s)
{
    struct fs_tree *t = &fs->tree;
    pthread_rwlock_wrlock(&t->lock);
    int err = -ENOMEM;
    struct fs_origin *o = arena_new(&t->arena, struct fs_origin);
    if (!o) {
        nzb_free(z);
        goto out;
    }
    *o = (struct fs_origin){.nzb = z, .when_s = when_s};
    list_add_tail(&t->origins, &o->link);
    if (path_note(t, o, path))
        err = origin_add(fs, dir, o);
out:
    pthread_rwlock_unlock(&t->lock);
    return err;
}

/* --- what was found in an NZB ------------------------------------------------------------------- */

/* Do the patterns say that what is called so is not shown? */
static bool name_hidden(const char *patterns, const char *name)
{
    char one[NZB_NAME_MAX + 1];
    const char *word, *bad;
    for (size_t len; patterns && (word = words_next(&patterns, &len, &bad));) {
        if (len >= sizeof(one))
            continue;
        memcpy(one, word, len);
        one[len] = '\0';
        if (!fnmatch(one, name, FNM_CASEFOLD))
            return true;
    }
    return false;
}

/* Is it, or a directory that it is in? */
static bool is_hidden(const char *patterns, const char *path)
{
    char name[NZB_NAME_MAX + 1];
    bool hidden = false;
    while (patterns && *path && !hidden) {
        size_t len = strcspn(path, "/"), most = len < sizeof(name) ? len : sizeof(name) - 1;
        memcpy(name, path, most);
        name[most] = '\0';
        hidden = name_hidden(patterns, name);
        path += len + (path[len] == '/');
    }
    return hidden;
}

/* Under the lock: the directory called so in `dir`, found or made; or, where a file of that name is in the way, the
 * first numbered one that is a directory or free. NULL: no memory. */
static struct fs_node *subdir(struct fs_tree *t, struct fs_node *dir, const char *name, size_t len)
{
    char pick[NZB_NAME_MAX + 1], first[NZB_NAME_MAX + 1];
    if (len > NZB_NAME_MAX) /* components are safe */
        return NULL;
    memcpy(first, name, len);
    first[len] = '\0';
    memcpy(pick, first, len + 1);
    struct fs_node *n;
    for (unsigned nth = 2; (n = child_find(t, dir, pick, strlen(pick))); nth++) {
        if (fs_node_is_dir(n))
            return n;
        nzb_name_nth(first, nth, pick);
    }
    n = node_add(t, dir, pick, dir->origin);
    if (n)
        dir->ndirs++;
    return n;
}

/* Under the lock: the directory that `path` is in; *name is the rest. */
static struct fs_node *path_walk(struct fs_tree *t, struct fs_node *dir, const char *path,
                                 const char **name)
{
    for (const char *slash; dir && (slash = strchr(path, '/')); path = slash + 1)
        dir = subdir(t, dir, path, (size_t)(slash - path));
    *name = path;
    return dir;
}

/* Under the lock: is there a node already that shows `e`, at its place? */
static struct fs_node *place_find(struct fs_view *v, struct fs_node *dir, const char *name,
                                  const struct archive_entry *e)
{
    struct fs_node *n = child_find(&v->fs->tree, dir, name, strlen(name));
    if (!n || e->dir)
        return n && fs_node_is_dir(n) ? n : NULL;
    if (e->post != UINT32_MAX)
        return n->file == v->posts[e->post]->file ? n : NULL;
    return n->content && n->content->view == v ? n : NULL;
}

/* Under the lock: what `n` shows. */
static bool node_fill(struct fs_view *v, struct fs_node *n, const struct archive_entry *e)
{
    const struct fs_node *post = e->post != UINT32_MAX ? v->posts[e->post] : NULL;
    n->mtime_s = post ? post->mtime_s : v->posted->newest_s;
    if (!post && e->mtime_s != INT64_MIN) {
        n->mtime_s = e->mtime_s;
        n->mtime_ns = e->mtime_ns;
    }
    if (post) {
        n->alias = arena_new(&v->fs->tree.arena, struct fs_disowned);
        if (!n->alias)
            return false;
        n->file = post->file;
        if (!v->shown)
            n->file->ino = n->ino;
        return true;
    }
    n->content = arena_new(&v->fs->tree.arena, struct fs_content);
    if (n->content)
        *n->content = (struct fs_content){.view = v, .node = n};
    return n->content;
}

/* Under the lock: a later survey has found something more, which the kernel may have heard is not there. */
static void dir_disown(struct fs_view *v, struct fs_node *dir)
{
    if (!dir->alias)
        dir->alias = arena_new(&v->fs->tree.arena, struct fs_disowned);
    if (dir->alias)
        fs_disown_ino(&v->fs->disown, dir->alias, dir->ino, 0, UINT64_MAX);
}

/* Under the lock. */
static struct fs_node *place(struct fs_view *v, const struct archive_entry *e, bool main)
{
    struct fs_tree *t = &v->fs->tree;
    struct fs_node *dir = v->dir;
    const char *name = strrchr(e->path, '/');
    name = name ? name + 1 : e->path;
    bool shown = !e->hidden && !is_hidden(v->fs->hide, e->path);
    if (!shown) {
        struct fs_node *n =
            node_make(t, v->posted, arena_strndup(&t->arena, name, strlen(name)), v->origin);
        return n && (e->dir || node_fill(v, n, e)) ? n : NULL;
    }
    if (e->aside && main && e->post != UINT32_MAX) /* what is in an archive has its place there */
        dir = subdir(t, dir, ASIDE_DIR, strlen(ASIDE_DIR));
    dir = dir ? path_walk(t, dir, e->path, &name) : NULL;
    if (!dir)
        return NULL;
    struct fs_node *n = place_find(v, dir, name, e);
    if (n)
        return n;
    n = node_add(t, dir, name, v->origin);
    if (n && v->layout)
        dir_disown(v, dir);
    if (n && e->dir) {
        dir->ndirs++;
        n->newest_s = e->mtime_s != INT64_MIN ? e->mtime_s : v->posted->newest_s;
        return n;
    }
    if (!n || !node_fill(v, n, e))
        return NULL;
    newest_set(dir, n->mtime_s);
    return n;
}

struct fs_node *fs_tree_place(struct fs_view *v, const struct archive_entry *e, bool main)
{
    struct fs_tree *t = &v->fs->tree;
    pthread_rwlock_wrlock(&t->lock);
    struct fs_node *n = place(v, e, main);
    pthread_rwlock_unlock(&t->lock);
    return n;
}

/* --- the whole ---------------------------------------------------------------------------------- */

int fs_tree_init(struct fs_tree *t)
{
    int err = pthread_rwlock_init(&t->lock, NULL);
    if (err)
        return -err;
    list_init(&t->origins);
    if (node_add(t, NULL, "", NULL))
        return 0;
    fs_tree_fini(t);
    return -ENOMEM;
}

void fs_tree_fini(struct fs_tree *t)
{
    for (size_t i = 0; i < t->nnodes; i++) {
        if (t->nodes[i]->content) /* layouts before the views that they refer to */
            fs_layout_put(t->nodes[i]->content->layout);
    }
    for (size_t i = 0; i < t->nnodes; i++)
        fs_view_free(t->nodes[i]->view);
    for (size_t i = 0; i < t->nnodes; i++) {
        if (t->nodes[i]->file && !t->nodes[i]->alias)
            fs_file_fini(t->nodes[i]->file);
        free(t->nodes[i]->children);
    }
    for (struct list *l; (l = list_pop(&t->origins));) {
        struct fs_origin *o = container_of(l, struct fs_origin, link);
        if (o->password)
            explicit_bzero(o->password, strlen(o->password));
        nzb_free(o->nzb);
    }
    free(t->nodes);
    free(t->buckets);
    arena_fini(&t->arena);
    pthread_rwlock_destroy(&t->lock);
}

struct fs_node *fs_tree_node(struct fs *fs, uint64_t ino)
{
    pthread_rwlock_rdlock(&fs->tree.lock);
    struct fs_node *n = ino && ino <= fs->tree.nnodes ? fs->tree.nodes[ino - 1] : NULL;
    pthread_rwlock_unlock(&fs->tree.lock);
    return n;
}

uint64_t fs_tree_count(struct fs *fs)
{
    pthread_rwlock_rdlock(&fs->tree.lock);
    uint64_t count = fs->tree.nnodes;
    pthread_rwlock_unlock(&fs->tree.lock);
    return count;
}

void fs_tree_files(struct fs *fs, void (*each)(struct fs *fs, struct fs_file *f))
{
    for (size_t i = 0; i < fs->tree.nnodes; i++)
        if (fs->tree.nodes[i]->file && !fs->tree.nodes[i]->alias)
            each(fs, fs->tree.nodes[i]->file);
}

struct fs_node *fs_root(struct fs *fs)
{
    return fs->tree.root;
}

struct fs_node *fs_lookup(struct fs *fs, const struct fs_node *dir, const char *name)
{
    pthread_rwlock_rdlock(&fs->tree.lock);
    struct fs_node *n = child_find(&fs->tree, dir, name, strlen(name));
    pthread_rwlock_unlock(&fs->tree.lock);
    return n;
}

struct fs_node *fs_find(struct fs *fs, const char *path)
{
    pthread_rwlock_rdlock(&fs->tree.lock);
    struct fs_node *n = fs->tree.root;
    for (const char *end; n && *path; path = end) {
        end = strchrnul(path, '/');
        size_t len = (size_t)(end - path);
        if (len && !(len == 1 && *path == '.'))
            n = fs_node_is_dir(n) ? child_find(&fs->tree, n, path, len) : NULL;
        while (*end == '/')
            end++;
    }
    pthread_rwlock_unlock(&fs->tree.lock);
    return n;
}

struct fs_node *fs_next(struct fs *fs, const struct fs_node *dir, uint64_t *pos)
{
    pthread_rwlock_rdlock(&fs->tree.lock);
    struct fs_node *n = *pos < dir->nchildren ? dir->children[*pos] : NULL;
    pthread_rwlock_unlock(&fs->tree.lock);
    *pos += n != NULL;
    return n;
}

bool fs_dir_is_known(const struct fs_node *dir)
{
    struct fs_view *v = dir->view;
    if (!v)
        return true;
    pthread_mutex_lock(&v->lock);
    bool known = v->layout;
    pthread_mutex_unlock(&v->lock);
    return known;
}

struct fs_node *fs_find_wait(struct fs *fs, const char *path, int *err)
{
    struct fs_node *n = fs->tree.root;
    for (const char *end; n && *path; path = end) {
        end = strchrnul(path, '/');
        size_t len = (size_t)(end - path);
        *err = len && fs_node_is_dir(n) ? -fs_dir_wait(fs, n) : 0;
        if (*err)
            return NULL;
        pthread_rwlock_rdlock(&fs->tree.lock);
        if (len && !(len == 1 && *path == '.'))
            n = fs_node_is_dir(n) ? child_find(&fs->tree, n, path, len) : NULL;
        pthread_rwlock_unlock(&fs->tree.lock);
        while (*end == '/')
            end++;
    }
    *err = 0;
    return n;
}
