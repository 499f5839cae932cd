/* tree — inodes: names to nodes by one hash table over all directories, numbers to nodes by an array.
 *
 * Nodes are never freed before the tree, so a pointer to one needs no count and FORGET changes nothing.
 * A directory's children stand in an array in order of arrival: a place in it is a directory offset that
 * stays good whatever is added behind it. */
#define LOG_TAG "fs.tree"
#include "fs/internal.h"

#include "base/hash.h"
#include "nzb/name.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static uint64_t name_hash(const struct fs_node *dir, const char *name, size_t len)
{
    return hash_bytes(name, len) ^ (dir->ino * 0x9e3779b97f4a7c15u);
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
        if (n == t->root)
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

/* Under the tree's lock. On failure the tree is as it was. */
static struct fs_node *node_add(struct fs_tree *t, struct fs_node *dir, const char *name,
                                const struct fs_origin *origin)
{
    if (nodes_reserve(t) || (dir && children_reserve(dir)))
        return NULL;
    struct fs_node *n = arena_new(&t->arena, struct fs_node);
    if (!n)
        return NULL;
    n->ino = t->nnodes + 1;
    n->parent = dir ? dir : n;
    n->origin = origin;
    n->name = dir ? name_free(t, dir, name) : "";
    if (!n->name)
        return NULL;
    t->nodes[t->nnodes++] = n;
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

static void newest_set(struct fs_node *dir, uint64_t when_s)
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
    n->mtime_s = posted->posted_s ? posted->posted_s : o->when_s;
    newest_set(dir, n->mtime_s);
    return 0;
}

static struct fs_node *dir_add(struct fs_tree *t, const char *name, const struct fs_origin *o)
{
    char safe[NZB_NAME_MAX + 1];
    size_t len = strlen(name);
    if (len > 3 && !strcasecmp(name + len - 3, ".gz"))
        len -= 3;
    if (len > 4 && !strncasecmp(name + len - 4, ".nzb", 4))
        len -= 4;
    nzb_name_safe(name, len, safe);
    struct fs_node *dir = node_add(t, t->root, safe, o);
    if (dir)
        t->root->ndirs++;
    return dir;
}

static int origin_add(struct fs_tree *t, const char *dir, const struct fs_origin *o)
{
    struct fs_node *at = dir ? dir_add(t, dir, o) : t->root;
    if (!at)
        return -ENOMEM;
    if (!o->nzb->nfiles)
        newest_set(at, o->when_s);
    for (size_t i = 0; i < o->nzb->nfiles; i++)
        if (file_add(t, at, o, &o->nzb->files[i]))
            return -ENOMEM;
    return 0;
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
    o->path = arena_strndup(&t->arena, path, strlen(path));
    if (o->path)
        err = origin_add(t, dir, o);
out:
    pthread_rwlock_unlock(&t->lock);
    return err;
}

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
        if (t->nodes[i]->file)
            fs_file_fini(t->nodes[i]->file);
        free(t->nodes[i]->children);
    }
    for (struct list *l; (l = list_pop(&t->origins));)
        nzb_free(container_of(l, struct fs_origin, link)->nzb);
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
        if (fs->tree.nodes[i]->file)
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
            n = n->file ? NULL : child_find(&fs->tree, n, path, len);
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
