#include "nzb/nzb.h"
#include "nzb/inflate.h"
#include "nzb/parse.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READ_SIZE ((size_t)64 << 10)

static int complain(char *err, size_t errlen, const char *name, const char *reason, int status)
{
    snprintf(err, errlen, "%s: %s", name, reason);
    return status;
}

static int take(void *arg, const void *bytes, size_t len)
{
    return parse_feed(arg, bytes, len);
}

/* The end of the input, or `status` that ended it before. */
static int conclude(struct parse *p, struct inflate *z, int status, const char *name,
                    struct nzb **out, char *err, size_t errlen)
{
    if (!status)
        status = inflate_finish(z);
    if (!status)
        status = parse_finish(p, out);
    if (status && inflate_error(z))
        return complain(err, errlen, name, inflate_error(z), status);
    if (status && !*parse_error(p))
        return complain(err, errlen, name, strerror(-status), status);
    if (status)
        snprintf(err, errlen, "%s", parse_error(p));
    return status;
}

static int read_all(int fd, struct inflate *z, const char *path, char *err, size_t errlen,
                    int *status)
{
    unsigned char *buf = malloc(READ_SIZE);
    ssize_t n = 0;

    if (!buf)
        return complain(err, errlen, path, strerror(ENOMEM), -ENOMEM);
    while (!*status) {
        n = read(fd, buf, READ_SIZE);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        *status = inflate_feed(z, buf, (size_t)n);
    }
    int saved = n < 0 ? -errno : 0;
    free(buf);
    return saved ? complain(err, errlen, path, strerror(-saved), saved) : 0;
}

int nzb_load(const char *path, struct nzb **out, char *err, size_t errlen)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), r, status = 0;

    if (fd < 0) {
        r = -errno;
        return complain(err, errlen, path, strerror(-r), r);
    }
    struct parse *p = parse_new(path);
    struct inflate *z = p ? inflate_new(take, p) : NULL;
    if (!z) {
        r = complain(err, errlen, path, strerror(ENOMEM), -ENOMEM);
    } else {
        r = read_all(fd, z, path, err, errlen, &status);
        if (!r)
            r = conclude(p, z, status, path, out, err, errlen);
    }
    inflate_free(z);
    parse_free(p);
    close(fd);
    return r;
}

int nzb_parse(const void *data, size_t len, const char *name, struct nzb **out, char *err,
              size_t errlen)
{
    struct parse *p = parse_new(name);
    struct inflate *z = p ? inflate_new(take, p) : NULL;
    int r;

    if (!z)
        r = complain(err, errlen, name, strerror(ENOMEM), -ENOMEM);
    else
        r = conclude(p, z, inflate_feed(z, data, len), name, out, err, errlen);
    inflate_free(z);
    parse_free(p);
    return r;
}

void nzb_free(struct nzb *z)
{
    if (!z)
        return;
    arena_fini(&z->arena);
    free(z);
}

const char *nzb_meta(const struct nzb *z, const char *type)
{
    for (size_t i = 0; i < z->nmetas; i++)
        if (!strcmp(z->metas[i].type, type))
            return z->metas[i].value;
    return NULL;
}
