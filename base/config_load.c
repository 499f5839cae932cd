#define LOG_TAG "config"
#include "base/config_internal.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MOST ((size_t)1 << 20)

/* All of fd in *out, malloc'd; the caller wipes it. */
static int file_read(int fd, char **out, size_t *len)
{
    char *buf = malloc(FILE_MOST + 1);
    size_t have = 0;
    ssize_t n;

    if (!buf)
        return -ENOMEM;
    while ((n = read(fd, buf + have, FILE_MOST + 1 - have)) > 0)
        have += (size_t)n;
    if (n < 0 || have > FILE_MOST) {
        int rc = n < 0 ? -errno : -EFBIG;
        explicit_bzero(buf, have);
        free(buf);
        return rc;
    }
    *out = buf;
    *len = have;
    return 0;
}

static bool has_password(const struct config *c)
{
    for (unsigned i = 0; i < c->nproviders; i++)
        if (c->providers[i].password)
            return true;
    return false;
}

static int file_load(const char *path, const char *const *settings, unsigned n, struct config **out,
                     char *err, size_t errlen)
{
    struct stat st;
    char *text = NULL;
    size_t len = 0;
    int rc = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

    if (fd < 0 || fstat(fd, &st) < 0)
        rc = -errno;
    else
        rc = file_read(fd, &text, &len);
    if (fd >= 0)
        close(fd);
    if (rc < 0) {
        snprintf(err, errlen, "%s: %s", path, strerror(-rc));
        return rc;
    }
    rc = config_parse_with(text, len, path, settings, n, out, err, errlen);
    explicit_bzero(text, len);
    free(text);
    if (rc == 0 && has_password(*out) && (st.st_mode & S_IROTH))
        log_warn("%s: everyone may read it, and it holds a password: chmod o-r it", path);
    return rc;
}

int config_load_with(const char *path, const char *const *settings, unsigned n, struct config **out,
                     char *err, size_t errlen)
{
    const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    char own[4096] = "";

    if (path)
        return file_load(path, settings, n, out, err, errlen);
    if (xdg && xdg[0] == '/')
        snprintf(own, sizeof(own), "%s/nzbfs/nzbfs.conf", xdg);
    else if (home && home[0] == '/')
        snprintf(own, sizeof(own), "%s/.config/nzbfs/nzbfs.conf", home);
    if (own[0] && access(own, F_OK) == 0)
        return file_load(own, settings, n, out, err, errlen);
    if (access("/etc/nzbfs.conf", F_OK) == 0)
        return file_load("/etc/nzbfs.conf", settings, n, out, err, errlen);
    snprintf(err, errlen,
             "no configuration: write %s%s/etc/nzbfs.conf (nzbfs.conf(5) shows how), or "
             "name a file with -c",
             own, own[0] ? " or " : "");
    return -ENOENT;
}

int config_load(const char *path, struct config **out, char *err, size_t errlen)
{
    return config_load_with(path, NULL, 0, out, err, errlen);
}
