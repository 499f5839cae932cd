#define LOG_TAG "nzbfs"
#include "base/log.h"
#include "cli/compose.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool is_nzb_name(const char *name)
{
    static const char *const ends[] = {".nzb", ".nzb.gz"};
    size_t len = strlen(name);

    for (size_t i = 0; i < 2; i++) {
        size_t n = strlen(ends[i]);
        if (len > n && strcasecmp(name + len - n, ends[i]) == 0)
            return name[0] != '.';
    }
    return false;
}

static int one_load(struct fs *fs, const char *dir, const char *path, const struct stat *st,
                    char *err, size_t errlen)
{
    struct nzb *z;
    int rc = nzb_load(path, &z, err, errlen);

    if (rc < 0)
        return rc;
    if (z->warnings)
        log_info("%s: %u oddities mended", path, z->warnings);
    rc = fs_add_nzb(fs, dir, z, path, st->st_mtime > 0 ? (uint64_t)st->st_mtime : 0);
    if (rc < 0)
        snprintf(err, errlen, "%s: %s", path, strerror(-rc));
    return rc;
}

static int nzb_filter(const struct dirent *e)
{
    return is_nzb_name(e->d_name);
}

/* In the order of names, so that "film (2)" is the same film at every start. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int directory_load(struct fs *fs, const char *dir, char *err, size_t errlen)
{
    struct dirent **names = NULL;
    int n = scandir(dir, &names, nzb_filter, by_name);
    int good = 0, rc = 0;
    char *path = NULL;
    struct stat st;

    if (n < 0) {
        rc = -errno;
        snprintf(err, errlen, "%s: %s", dir, strerror(-rc));
        return rc;
    }
    for (int i = 0; i < n; i++) {
        if (rc != -ENOMEM && asprintf(&path, "%s/%s", dir, names[i]->d_name) >= 0) {
            rc = stat(path, &st) < 0 ? -errno : !S_ISREG(st.st_mode) ? -EINVAL : 0;
            if (rc < 0)
                snprintf(err, errlen, "%s: %s", path,
                         rc == -EINVAL ? "not a regular file" : strerror(-rc));
            else
                rc = one_load(fs, names[i]->d_name, path, &st, err, errlen);
            free(path);
            if (rc == 0)
                good++;
            else if (rc != -ENOMEM)
                log_warn("%s; skipped", err);
        } else {
            rc = -ENOMEM;
        }
        free(names[i]);
    }
    free(names);
    if (rc == -ENOMEM) {
        snprintf(err, errlen, "%s: out of memory", dir);
        return rc;
    }
    if (good)
        return 0;
    snprintf(err, errlen,
             n ? "%s: none of its NZB files can be read" : "%s: it holds no .nzb or .nzb.gz file",
             dir);
    return n ? -EINVAL : -ENOENT;
}

int sources_load(struct fs *fs, const char *source, char *err, size_t errlen)
{
    struct stat st;

    if (stat(source, &st) < 0) {
        int rc = -errno;
        snprintf(err, errlen, "%s: %s", source, strerror(-rc));
        return rc;
    }
    if (S_ISDIR(st.st_mode))
        return directory_load(fs, source, err, errlen);
    if (!S_ISREG(st.st_mode)) {
        snprintf(err, errlen, "%s: neither an NZB file nor a directory of them", source);
        return -EINVAL;
    }
    return one_load(fs, NULL, source, &st, err, errlen);
}
