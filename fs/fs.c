/* fs — the whole: its beginning, its end, its figures. */
#define LOG_TAG "fs"
#include "fs/internal.h"

#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void passwords_free(struct fs *fs)
{
    for (unsigned k = 0; k < fs->npasswords; k++) {
        explicit_bzero(fs->passwords[k], strlen(fs->passwords[k]));
        free(fs->passwords[k]);
    }
    free(fs->passwords);
}

/* The strings of the configuration, which may be another one soon. */
static int strings_copy(struct fs *fs, const struct config_mount *m)
{
    size_t lines = 0;
    fs->mount.scanners = fs->mount.hide = fs->mount.passwords = NULL;
    fs->hide = m->hide ? strdup(m->hide) : NULL;
    if (m->hide && !fs->hide)
        return -ENOMEM;
    for (const char *p = m->passwords; p && *p; p++)
        lines += *p == '\n';
    fs->passwords = calloc(lines + 1, sizeof(char *));
    if (!fs->passwords)
        return -ENOMEM;
    for (const char *p = m->passwords; p && *p; p = strchrnul(p, '\n') + 1) {
        char *one = strndup(p, (size_t)(strchrnul(p, '\n') - p));
        if (!one)
            return -ENOMEM;
        fs->passwords[fs->npasswords++] = one;
    }
    return 0;
}

int fs_new(const struct fs_options *o, struct cache *c, struct fs **out)
{
    struct cache_stats cs;
    struct fs *fs = calloc(1, sizeof(*fs));
    if (!fs)
        return -ENOMEM;
    cache_stats(c, &cs);
    fs->mount = o->mount;
    fs->cache = c;
    fs->now_us = o->now_us ? o->now_us : clock_now_us;
    fs->ahead_most = cs.budget / 2;
    fs->uid = o->mount.uid < 0 ? getuid() : (uid_t)o->mount.uid;
    fs->gid = o->mount.gid < 0 ? getgid() : (gid_t)o->mount.gid;
    pthread_mutex_init(&fs->idle, NULL);
    pthread_cond_init(&fs->idle_cond, NULL);
    pthread_mutex_init(&fs->open_lock, NULL);
    list_init(&fs->open);
    fs_disown_init(&fs->disown);
    fs_surveyors_init(&fs->surveyors);

    int err = -ENOMEM;
    fs->source = strdup(o->source ? o->source : "nzbfs");
    if (!fs->source)
        goto err1;
    fs->scan = fs_scan_new(o->mount.scanners);
    if (!fs->scan || strings_copy(fs, &o->mount))
        goto err3;
    fs->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fs->stop_fd < 0) {
        err = -errno;
        goto err3;
    }
    err = fs_tree_init(&fs->tree);
    if (err)
        goto err4;
    fs->watch.timed = !o->now_us;
    err = fs_watch_start(&fs->watch, fs);
    if (err)
        goto err5;
    *out = fs;
    return 0;

err5:
    fs_tree_fini(&fs->tree);
err4:
    close(fs->stop_fd);
err3:
    fs_scan_free(fs->scan);
    free(fs->hide);
    passwords_free(fs);
    free(fs->source);
err1:
    fs_surveyors_fini(&fs->surveyors);
    fs_disown_fini(&fs->disown);
    pthread_mutex_destroy(&fs->open_lock);
    pthread_cond_destroy(&fs->idle_cond);
    pthread_mutex_destroy(&fs->idle);
    free(fs);
    return err;
}

static void forget(struct fs *fs, struct fs_file *f)
{
    if (f->map) /* else the cache has never heard of it */
        cache_forget(fs->cache, &f->cache);
}

void fs_quiet(struct fs *fs)
{
    fs_watch_cancel_all(&fs->watch);
    fs_surveyors_stop(&fs->surveyors);
}

void fs_free(struct fs *fs)
{
    if (!fs)
        return;
    fs_quiet(fs);
    pthread_mutex_lock(&fs->idle);
    while (fs->live_reads)
        pthread_cond_wait(&fs->idle_cond, &fs->idle);
    pthread_mutex_unlock(&fs->idle);
    fs_watch_stop(&fs->watch);
    fs_surveyors_fini(&fs->surveyors);
    fs_tree_files(fs, forget);
    fs_tree_fini(&fs->tree);
    close(fs->stop_fd);
    fs_disown_fini(&fs->disown);
    pthread_mutex_destroy(&fs->open_lock);
    pthread_cond_destroy(&fs->idle_cond);
    pthread_mutex_destroy(&fs->idle);
    fs_scan_free(fs->scan);
    free(fs->hide);
    passwords_free(fs);
    free(fs->source);
    free(fs);
}

void fs_stats(struct fs *fs, struct fs_stats *out)
{
    *out = (struct fs_stats){.reads = fs->reads,
                             .read_bytes = fs->read_bytes,
                             .waited = fs->waited,
                             .errors = fs->errors,
                             .timeouts = fs->timeouts,
                             .interrupts = fs->interrupts,
                             .zeroed_bytes = fs->zeroed,
                             .surprises = fs->surprises,
                             .nodes = fs_tree_count(fs),
                             .open_handles = fs->handles,
                             .ahead_bytes = fs->ahead_bytes};
    pthread_mutex_lock(&fs->watch.lock);
    out->blocked = fs->watch.nblocked;
    pthread_mutex_unlock(&fs->watch.lock);
}
