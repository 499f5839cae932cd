/* reads — what all reads have in common: which engine answers one, and that they are counted. */
#include "fs/read.h"
#include "fs/view.h"

struct fs_read fs_read_defaults(const struct fs *fs, struct fs_node *file, uint64_t now_us)
{
    return (struct fs_read){
        .file = file,
        .class = TRAFFIC_STREAMING,
        .urgency = URGENCY_DEMAND,
        .deadline_us = now_us + (uint64_t)fs->mount.read_timeout_s * 1000000,
    };
}

void fs_read_born(struct fs *fs)
{
    pthread_mutex_lock(&fs->idle);
    fs->live_reads++;
    pthread_mutex_unlock(&fs->idle);
}

void fs_read_gone(struct fs *fs)
{
    pthread_mutex_lock(&fs->idle);
    if (!--fs->live_reads)
        pthread_cond_broadcast(&fs->idle_cond);
    pthread_mutex_unlock(&fs->idle);
}

struct fs_read *fs_read_new(struct fs *fs, struct fs_node *file)
{
    return file->file      ? fs_posted_read_new(fs, file)
           : file->content ? fs_content_read_new(fs, file)
                           : fs_view_read_new(fs, file);
}

bool fs_read_start(struct fs_read *r)
{
    return r->ops->start(r);
}

void fs_read_cancel(struct fs_read *r)
{
    r->ops->cancel(r);
}

void fs_read_end(struct fs_read *r)
{
    if (r)
        r->ops->end(r);
}
