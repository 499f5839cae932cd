/* attr — what stat(2) tells of a node, as far as it is known. */
#include "fs/internal.h"

const char *fs_node_name(const struct fs_node *n)
{
    return n->name;
}

bool fs_node_is_dir(const struct fs_node *n)
{
    return !n->file;
}

const struct nzb_file *fs_node_posted(const struct fs_node *n)
{
    return n->file ? n->file->posted : NULL;
}

mode_t fs_node_mode(const struct fs *fs, const struct fs_node *n)
{
    mode_t bits = (n->file ? 0444u : 0555u) & ~fs->mount.umask & 0777u;
    return (n->file ? S_IFREG : S_IFDIR) | bits;
}

bool fs_node_stat(struct fs *fs, const struct fs_node *n, struct stat *st)
{
    uint64_t size = n->file ? n->file->size : 0;
    *st = (struct stat){
        .st_ino = n->ino,
        .st_mode = fs_node_mode(fs, n),
        .st_nlink = 1,
        .st_uid = fs->uid,
        .st_gid = fs->gid,
        .st_blksize = 4096,
    };
    if (!n->file) {
        pthread_rwlock_rdlock(&fs->tree.lock);
        st->st_nlink = 2 + n->ndirs;
        pthread_rwlock_unlock(&fs->tree.lock);
    }
    if (size != FS_SIZE_UNKNOWN) {
        st->st_size = (off_t)size;
        st->st_blocks = (blkcnt_t)(size / 512 + (size % 512 != 0));
    }
    st->st_mtim.tv_sec = (time_t)(n->file ? n->mtime_s : n->newest_s);
    st->st_ctim = st->st_atim = st->st_mtim;
    return size != FS_SIZE_UNKNOWN;
}

void fs_node_health(const struct fs_node *n, struct fs_health *out)
{
    *out = (struct fs_health){0};
    if (!n->file)
        return;
    const struct nzb_file *posted = n->file->posted;
    out->segments = posted->nsegments;
    out->parts = posted->parts;
    out->missing = n->file->missing;
    if (posted->parts > posted->nsegments)
        out->missing += posted->parts - posted->nsegments;
    out->zeroed = n->file->zeroed;
}
