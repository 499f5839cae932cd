#define LOG_TAG "nzbfs"
#include "cli/live.h"

#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void live_init(struct live *l, struct compose *world, const struct mount_options *options)
{
    *l = (struct live){.world = world, .options = options};
    pthread_mutex_init(&l->lock, NULL);
}

static void settings_drop(char **settings, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        free(settings[i]);
}

void live_fini(struct live *l)
{
    settings_drop(l->settings, l->nsettings);
    pthread_mutex_destroy(&l->lock);
}

/* --- reading ----------------------------------------------------------------------------------- */

static int config_read(const struct live *l, char *const *settings, unsigned n, struct config **out,
                       char *err, size_t errlen)
{
    const char *list[LIVE_SETTINGS];

    for (unsigned i = 0; i < n; i++)
        list[i] = settings[i];
    int rc = config_load_with(l->options->config, list, n, out, err, errlen);
    if (rc < 0)
        return rc;
    rc = mount_options_apply(l->options, *out, err, errlen);
    if (rc < 0) {
        config_free(*out);
        *out = NULL;
    }
    return rc;
}

int live_first(struct live *l, struct config **out, char *err, size_t errlen)
{
    return config_read(l, NULL, 0, out, err, errlen);
}

/* Lock held. Take over the file with these settings on top; they are taken where that succeeds. */
static int adopt(struct live *l, char **settings, unsigned n, struct live_read *out, char *err,
                 size_t errlen)
{
    struct config *cfg;
    int rc = config_read(l, settings, n, &cfg, err, errlen);

    if (rc == 0)
        rc = compose_reconfigure(l->world, cfg, err, errlen);
    if (rc < 0)
        return rc;
    *out = (struct live_read){.providers = l->world->cfg->nproviders,
                              .connections = l->world->cfg->pool.connections,
                              .settings = n};
    memcpy(l->settings, settings, n * sizeof(*settings));
    l->nsettings = n;
    return 0;
}

/* --- reload ------------------------------------------------------------------------------------ */

int live_reload(struct live *l, struct live_read *out, char *err, size_t errlen)
{
    char *before[LIVE_SETTINGS], *none[1] = {NULL};

    pthread_mutex_lock(&l->lock);
    unsigned n = l->nsettings;
    memcpy(before, l->settings, sizeof(before));
    int rc = adopt(l, none, 0, out, err, errlen);
    pthread_mutex_unlock(&l->lock);
    if (rc < 0) {
        log_error("%s; the configuration in use stays", err);
        return rc;
    }
    settings_drop(before, n);
    out->dropped = n;
    log_info("configuration read again: %u providers, %u connections", out->providers,
             out->connections);
    return 0;
}

/* --- set --------------------------------------------------------------------------------------- */

/* "pool.rate =1M" sets what "pool.rate=2M" does. */
static bool is_same_key(const char *a, const char *b)
{
    for (;;) {
        a += strspn(a, " ");
        b += strspn(b, " ");
        if (*a != *b)
            return false;
        if (*a == '=' || !*a)
            return true;
        a++;
        b++;
    }
}

static bool is_among(const char *setting, const char *const *list, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (is_same_key(setting, list[i]))
            return true;
    return false;
}

/* `now` is what is set and not replaced, and copies of the new ones behind it, from `kept` on; of those with
 * the same key, the last. */
static int settings_merge(const struct live *l, const char *const *settings, unsigned n,
                          char *now[LIVE_SETTINGS], unsigned *kept, unsigned *count)
{
    *kept = *count = 0;
    for (unsigned i = 0; i < l->nsettings; i++)
        if (!is_among(l->settings[i], settings, n))
            now[(*kept)++] = l->settings[i];
    *count = *kept;
    for (unsigned i = 0; i < n; i++) {
        if (is_among(settings[i], settings + i + 1, n - i - 1))
            continue;
        if (*count == LIVE_SETTINGS)
            return -E2BIG;
        if (!(now[*count] = strdup(settings[i])))
            return -ENOMEM;
        ++*count;
    }
    return 0;
}

/* An earlier setting may be what no longer fits: of a provider that has gone from the file, for one. */
static void earlier_blame(char *const *kept, unsigned n, char *err, size_t errlen)
{
    size_t len = strlen(err);

    for (unsigned i = 0; i < n; i++) {
        size_t key = strcspn(kept[i], "= ");
        if (strncmp(err, kept[i], key) == 0 && strchr(":= ", err[key])) {
            snprintf(err + len, errlen - len,
                     "; that was set before: set it anew, or nzbfs reload drops all that is set");
            return;
        }
    }
}

/* Those of `before` that are not among the first `kept` of `now`, which has them in the same order. */
static void replaced_drop(char *const *before, unsigned n, char *const *now, unsigned kept)
{
    for (unsigned i = 0, k = 0; i < n; i++) {
        if (k < kept && before[i] == now[k])
            k++;
        else
            free(before[i]);
    }
}

int live_set(struct live *l, const char *const *settings, unsigned n, struct live_read *out,
             char *err, size_t errlen)
{
    char *before[LIVE_SETTINGS], *now[LIVE_SETTINGS];
    unsigned kept, count;

    pthread_mutex_lock(&l->lock);
    unsigned nbefore = l->nsettings;
    memcpy(before, l->settings, sizeof(before));
    int rc = settings_merge(l, settings, n, now, &kept, &count);
    if (rc == -E2BIG)
        snprintf(err, errlen, "more than %d settings; write them in the file", LIVE_SETTINGS);
    else if (rc < 0)
        snprintf(err, errlen, "out of memory");
    else if ((rc = adopt(l, now, count, out, err, errlen)) < 0)
        earlier_blame(now, kept, err, errlen);
    pthread_mutex_unlock(&l->lock);
    if (rc < 0) {
        settings_drop(now + kept, count - kept);
        log_warn("set: %s; nothing has changed", err);
        return rc;
    }
    replaced_drop(before, nbefore, now, kept);
    for (unsigned i = 0; i < n; i++)
        log_info("set for now: %s", settings[i]);
    return 0;
}

int live_look(struct live *l, int (*look)(void *arg, const struct config *cfg), void *arg)
{
    pthread_mutex_lock(&l->lock);
    int rc = look(arg, l->world->cfg);
    pthread_mutex_unlock(&l->lock);
    return rc;
}

int live_settings(struct live *l, char *out[LIVE_SETTINGS])
{
    unsigned n = 0;

    pthread_mutex_lock(&l->lock);
    while (n < l->nsettings && (out[n] = strdup(l->settings[n])) != NULL)
        n++;
    bool all = n == l->nsettings;
    pthread_mutex_unlock(&l->lock);
    if (all)
        return (int)n;
    settings_drop(out, n);
    return -ENOMEM;
}
