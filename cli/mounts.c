#include "cli/mounts.h"

#include "cli/cli.h"

#include <errno.h>
#include <limits.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- paths as text ----------------------------------------------------------------------------- */

/* The path from the root, without empty parts and "."; NULL: no memory, or it has "..", which only the
 * kernel can resolve. */
static char *path_plain(const char *path)
{
    char cwd[PATH_MAX] = "";
    char *whole = NULL;

    if (path[0] != '/' && !getcwd(cwd, sizeof(cwd)))
        return NULL;
    if (asprintf(&whole, "%s/%s", cwd, path) < 0)
        return NULL;
    char *to = whole;
    for (const char *p = whole; *p;) {
        p += strspn(p, "/");
        size_t n = strcspn(p, "/");
        if (n == 2 && strncmp(p, "..", 2) == 0) {
            free(whole);
            return NULL;
        }
        if (n && !(n == 1 && *p == '.')) {
            *to++ = '/';
            memmove(to, p, n);
            to += n;
        }
        p += n;
    }
    if (to == whole)
        *to++ = '/';
    *to = '\0';
    return whole;
}

/* The same with what leads to its last part resolved, so that the mount itself is not looked at. */
static char *path_by_parent(const char *plain)
{
    char parent[PATH_MAX], real[PATH_MAX], *out = NULL;
    const char *last = strrchr(plain, '/');

    if ((size_t)(last - plain) >= sizeof(parent) || !last[1])
        return NULL;
    memcpy(parent, plain, (size_t)(last - plain));
    parent[last - plain] = '\0';
    if (!realpath(*parent ? parent : "/", real) ||
        asprintf(&out, "%s%s", strcmp(real, "/") == 0 ? "" : real, last) < 0)
        return NULL;
    return out;
}

/* --- what is mounted there --------------------------------------------------------------------- */

/* Why nothing of ours answers at `path`. */
static void absence_explain(const char *path)
{
    FILE *table = setmntent("/proc/self/mounts", "re");
    struct mntent *m, entry;
    char text[4 * PATH_MAX], type[64] = "";
    unsigned long uid = 0;

    while (table && (m = getmntent_r(table, &entry, text, (int)sizeof(text)))) {
        if (strcmp(m->mnt_dir, path) != 0)
            continue;
        const char *user = hasmntopt(m, "user_id");
        snprintf(type, sizeof(type), "%s", m->mnt_type); /* the last one covers those before */
        uid = user && (user = strchr(user, '=')) ? strtoul(user + 1, NULL, 10) : 0;
    }
    if (table)
        endmntent(table);
    if (!*type)
        cli_error("%s: nothing is mounted there; nzbfs status shows what this user has mounted",
                  path);
    else if (strcmp(type, "fuse.nzbfs") != 0)
        cli_error("%s: not a mount of nzbfs (%s); nzbfs status shows those", path, type);
    else if (uid != geteuid())
        cli_error("%s: uid %lu mounted it; ask as that user", path, uid);
    else
        cli_error(
            "%s: the mount takes no questions: it is dead (then fusermount3 -u it), or could not make "
            "its control socket (then its log says why)",
            path);
}

/* --- asking ------------------------------------------------------------------------------------ */

/* `mountpoint`'s answer to `each`. -ENOENT: nothing there, and nothing said. */
static int one_ask(const char *mountpoint, const json_t *ask, mounts_each *each, void *arg)
{
    char err[CLI_ERROR_MAX];
    json_t *answer;
    int rc = control_ask(mountpoint, ask, &answer, err, sizeof(err));

    if (rc == -ENOENT)
        return rc;
    if (rc < 0) {
        cli_error("%s", err);
        return CLI_FAILED;
    }
    int status = each(arg, mountpoint, answer);
    json_decref(answer);
    return status;
}

static int path_ask(const char *path, const json_t *ask, mounts_each *each, void *arg)
{
    char *plain = path_plain(path), *near = plain ? path_by_parent(plain) : NULL, *real = NULL;
    int rc = plain ? one_ask(plain, ask, each, arg) : -ENOENT;

    if (rc == -ENOENT && near && strcmp(near, plain) != 0)
        rc = one_ask(near, ask, each, arg);
    if (rc == -ENOENT && (real = realpath(path, NULL)) && !(near && strcmp(real, near) == 0))
        rc = one_ask(real, ask, each, arg);
    if (rc == -ENOENT) {
        absence_explain(real ? real : near ? near : plain ? plain : path);
        rc = CLI_FAILED;
    }
    free(real);
    free(near);
    free(plain);
    return rc;
}

struct round {
    const json_t *ask;
    mounts_each *each;
    void *arg;
    unsigned n;
    int status;
};

static bool round_one(void *arg, const char *mountpoint)
{
    struct round *r = arg;
    int rc = one_ask(mountpoint, r->ask, r->each, r->arg);

    if (rc == -ENOENT)
        return true; /* it has ended since it said hello */
    r->n++;
    if (rc != CLI_OK)
        r->status = CLI_FAILED;
    return true;
}

int mounts_ask(const char *path, const json_t *ask, mounts_each *each, void *arg)
{
    struct round r = {.ask = ask, .each = each, .arg = arg, .status = CLI_OK};
    char err[CLI_ERROR_MAX];

    if (path)
        return path_ask(path, ask, each, arg);
    if (control_each(round_one, &r, err, sizeof(err)) < 0) {
        cli_error("%s", err);
        return CLI_FAILED;
    }
    if (!r.n) {
        cli_error("this user has nothing mounted; nzbfs mount does that");
        return CLI_FAILED;
    }
    return r.status;
}
