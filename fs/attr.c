/* attr — what stat(2) tells of a node, as far as it is known. */
#include "fs/view.h"

#include "base/hash.h"

#include <string.h>

const char *fs_node_name(const struct fs_node *n)
{
    return n->name;
}

bool fs_node_is_dir(const struct fs_node *n)
{
    return !n->file && !n->content;
}

const struct nzb_file *fs_node_posted(const struct fs_node *n)
{
    return n->file ? n->file->posted : NULL;
}

mode_t fs_node_mode(const struct fs *fs, const struct fs_node *n)
{
    bool dir = fs_node_is_dir(n);
    mode_t bits = (dir ? 0555u : 0444u) & ~fs->mount.umask & 0777u;
    return (dir ? S_IFDIR : S_IFREG) | bits;
}

bool fs_node_stat(struct fs *fs, const struct fs_node *n, struct stat *st)
{
    bool dir = fs_node_is_dir(n);
    uint64_t size = n->file ? n->file->size : n->content ? n->content->size : 0;
    *st = (struct stat){
        .st_ino = n->ino,
        .st_mode = fs_node_mode(fs, n),
        .st_nlink = 1,
        .st_uid = fs->uid,
        .st_gid = fs->gid,
        .st_blksize = 4096,
    };
    /* 1, as of directories of other filesystems that do not count: what is not known yet may have some. */
    if (dir && !n->view) {
        pthread_rwlock_rdlock(&fs->tree.lock);
        st->st_nlink = 2 + n->ndirs;
        pthread_rwlock_unlock(&fs->tree.lock);
    }
    if (size != FS_SIZE_UNKNOWN) {
        st->st_size = (off_t)size;
        st->st_blocks = (blkcnt_t)(size / 512 + (size % 512 != 0));
    }
    st->st_mtim.tv_sec = (time_t)(dir ? n->newest_s : n->mtime_s);
    st->st_mtim.tv_nsec = n->mtime_ns;
    st->st_ctim = st->st_atim = st->st_mtim;
    return size != FS_SIZE_UNKNOWN;
}

static void health_add(const struct fs_file *f, struct fs_health *out)
{
    const struct nzb_file *posted = f->posted;
    out->segments += posted->nsegments;
    out->parts += posted->parts;
    out->missing += f->missing;
    if (posted->parts > posted->nsegments)
        out->missing += posted->parts - posted->nsegments;
    out->zeroed += f->zeroed;
}

/* Of the posted files that it is in, each once. */
static void content_health(struct fs_content *c, struct fs_health *out)
{
    uint32_t entry, post, before = UINT32_MAX;
    uint64_t off, len;
    bool computed;
    struct fs_layout *l = fs_content_layout(c, &entry);
    for (uint64_t pos = 0; l && pos < c->size; pos += len) {
        const struct fs_node *n = fs_layout_place(l, entry, pos, &post, &off, &len, &computed);
        if (!n || !len)
            break;
        if (post != before)
            health_add(n->file, out);
        before = post;
    }
    fs_layout_put(l);
}

void fs_node_health(const struct fs_node *n, struct fs_health *out)
{
    *out = (struct fs_health){0};
    if (n->file)
        health_add(n->file, out);
    if (n->content)
        content_health(n->content, out);
}

/* Two posts of one name and size are not the same file. */
static uint64_t posted_identity(uint64_t id, const struct nzb_file *p)
{
    for (uint32_t i = 0; i < p->nsegments; i++)
        id = hash_bytes_keyed(p->segments[i].message_id, strlen(p->segments[i].message_id), id,
                              p->segments[i].number);
    return id;
}

uint64_t fs_node_identity(const struct fs_node *n)
{
    if (n->file)
        return posted_identity(n->file->posted->nsegments, n->file->posted);
    uint64_t id = 0;
    const struct fs_view *v = n->content ? n->content->view : NULL;
    for (uint32_t i = 0; v && i < v->nposts; i++)
        id = posted_identity(id, v->posts[i]->file->posted);
    return hash_bytes_keyed(n->name, strlen(n->name), id, 1);
}

uint64_t fs_node_dated(const struct fs_node *n)
{
    return n->file ? n->file->posted->posted_s : n->mtime_s > 0 ? (uint64_t)n->mtime_s : 0;
}

uint64_t fs_node_guess(const struct fs_node *n)
{
    return n->file ? n->file->posted->bytes / 100 * 97 : n->content ? n->content->size : 0;
}

bool fs_node_crc32(const struct fs_node *n, uint32_t *crc)
{
    uint32_t i;
    struct fs_layout *l = n->content ? fs_content_layout(n->content, &i) : NULL;
    const struct archive_entry *e = l ? &l->found->entries[i] : NULL;
    bool told = e && e->sum_kind == ARCHIVE_SUM_CRC32;
    if (told)
        *crc = (uint32_t)e->sum[0] | (uint32_t)e->sum[1] << 8 | (uint32_t)e->sum[2] << 16 |
               (uint32_t)e->sum[3] << 24;
    fs_layout_put(l);
    return told;
}
