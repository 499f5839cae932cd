#include "cli/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What mount(8) and fstab hand on that is for others, or true anyway of a read-only mount (rw is what
 * mount(8) says where nobody said ro). */
static bool is_generic(const char *key)
{
    static const char *const words[] = {
        "ro",         "rw",       "auto",       "noauto",      "user",
        "nouser",     "users",    "owner",      "group",       "nofail",
        "_netdev",    "defaults", "dev",        "nodev",       "suid",
        "nosuid",     "exec",     "noexec",     "atime",       "noatime",
        "diratime",   "relatime", "norelatime", "strictatime", "nostrictatime",
        "nodiratime", "lazytime", "nolazytime", "async",       "sync",
        "dirsync",    "comment",  "subtype",    "fsname",      "silent",
        "loud",
    };

    if (strncmp(key, "x-", 2) == 0 || strncmp(key, "X-", 2) == 0)
        return true;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcmp(key, words[i]) == 0)
            return true;
    return false;
}

/* An option whose value is a file; the last one holds. */
static int file_take(char **at, const char *key, const char *value, char *err, size_t errlen)
{
    if (!value || !*value) {
        snprintf(err, errlen, "-o %s needs a file: -o %s=FILE", key, key);
        return -EINVAL;
    }
    free(*at);
    *at = strdup(value);
    return *at ? 0 : -ENOMEM;
}

/* One option; `word` is ours to cut. */
static int option_take(struct mount_options *o, char *word, char *err, size_t errlen)
{
    char *value = strchr(word, '=');

    if (value)
        *value++ = '\0';
    if (!*word || is_generic(word))
        return 0;
    if (strcmp(word, "nonempty") == 0) {
        o->nonempty = true;
        return 0;
    }
    if (strcmp(word, "config") == 0)
        return file_take(&o->config, word, value, err, errlen);
    if (strcmp(word, "trace") == 0)
        return file_take(&o->trace, word, value, err, errlen);
    if (o->nkeys == MOUNT_OPTIONS) {
        snprintf(err, errlen, "more than %d mount options", MOUNT_OPTIONS);
        return -EINVAL;
    }
    char *key = strdup(word), *copy = value ? strdup(value) : NULL;
    if (!key || (value && !copy)) {
        free(key);
        free(copy);
        return -ENOMEM;
    }
    o->keys[o->nkeys].key = key;
    o->keys[o->nkeys++].value = copy;
    return 0;
}

int mount_options_add(struct mount_options *o, const char *arg, char *err, size_t errlen)
{
    char *word = malloc(strlen(arg) + 1);
    size_t n = 0;
    int rc = word ? 0 : -ENOMEM;

    for (const char *p = arg; rc == 0; p++) {
        if (*p == '\\' && p[1]) {
            word[n++] = *++p;
        } else if (*p && *p != ',') {
            word[n++] = *p;
        } else {
            word[n] = '\0';
            n = 0;
            rc = option_take(o, word, err, errlen);
            if (!*p)
                break;
        }
    }
    free(word);
    if (rc == -ENOMEM)
        snprintf(err, errlen, "out of memory");
    return rc;
}

int mount_options_apply(const struct mount_options *o, struct config *c, char *err, size_t errlen)
{
    char why[512];

    for (unsigned i = 0; i < o->nkeys; i++) {
        int rc = config_mount_set(c, o->keys[i].key, o->keys[i].value, why, sizeof(why));
        if (rc == -ENOENT)
            snprintf(err, errlen, "unknown mount option '%s'; nzbfs(1) lists them", o->keys[i].key);
        else if (rc < 0)
            snprintf(err, errlen, "-o %s", why);
        if (rc < 0)
            return rc == -ENOENT ? -EINVAL : rc;
    }
    return 0;
}

void mount_options_fini(struct mount_options *o)
{
    for (unsigned i = 0; i < o->nkeys; i++) {
        free(o->keys[i].key);
        free(o->keys[i].value);
    }
    free(o->config);
    free(o->trace);
    *o = (struct mount_options){0};
}
