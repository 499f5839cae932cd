#include "cli/verbs.h"

#include "base/clock.h"
#include "cli/figures.h"
#include "cli/streams.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool put(json_t *o, const char *name, json_t *value)
{
    return json_object_set_new(o, name, value) == 0;
}

static bool put_number(json_t *o, const char *name, uint64_t value)
{
    return put(o, name, json_integer((json_int_t)value));
}

/* --- status ------------------------------------------------------------------------------------ */

static json_t *settings_list(struct live *l)
{
    char *settings[LIVE_SETTINGS];
    json_t *list = json_array();
    int n = live_settings(l, settings);
    bool good = n >= 0;

    for (int i = 0; i < n; i++) {
        good = json_array_append_new(list, control_string(settings[i])) == 0 && good;
        free(settings[i]);
    }
    if (good)
        return list;
    json_decref(list);
    return NULL;
}

static int status(void *arg, const json_t *ask, json_t *answer, char *err, size_t errlen)
{
    const struct verbs *v = arg;
    uint64_t uptime_us = clock_now_us() - v->started_us;
    (void)ask, (void)err, (void)errlen;

    bool good = put(answer, "mountpoint", control_string(v->mountpoint)) &&
                put(answer, "source", control_string(v->source)) &&
                put_number(answer, "pid", (uint64_t)getpid()) &&
                put(answer, "version", json_string(NZBFS_VERSION)) &&
                put_number(answer, "uptime_s", uptime_us / 1000000) &&
                put(answer, "settings", settings_list(v->live));
    int rc = good ? figures_put(v->world, answer) : -ENOMEM;
    return rc < 0 ? rc : live_look(v->live, figures_limits_put, answer);
}

static int streams(void *arg, const json_t *ask, json_t *answer, char *err, size_t errlen)
{
    const struct verbs *v = arg;
    (void)ask, (void)err, (void)errlen;

    bool good = put(answer, "mountpoint", control_string(v->mountpoint)) &&
                put_number(answer, "pid", (uint64_t)getpid());
    return good ? streams_put(v->world->fs, answer) : -ENOMEM;
}

/* --- reload and set ---------------------------------------------------------------------------- */

static int read_tell(const struct live_read *r, json_t *answer)
{
    bool good = put_number(answer, "providers", r->providers) &&
                put_number(answer, "connections", r->connections) &&
                put_number(answer, "settings", r->settings) &&
                put_number(answer, "dropped", r->dropped);

    return good ? 0 : -ENOMEM;
}

static int reload(void *arg, const json_t *ask, json_t *answer, char *err, size_t errlen)
{
    const struct verbs *v = arg;
    struct live_read r;
    (void)ask;

    int rc = live_reload(v->live, &r, err, errlen);
    return rc < 0 ? rc : read_tell(&r, answer);
}

static int set(void *arg, const json_t *ask, json_t *answer, char *err, size_t errlen)
{
    const struct verbs *v = arg;
    const char *settings[LIVE_SETTINGS];
    const json_t *list = json_object_get(ask, "settings");
    size_t n = json_array_size(list);
    struct live_read r;

    if (n == 0 || n > LIVE_SETTINGS) {
        snprintf(err, errlen, "set: between 1 and %d settings are asked for", LIVE_SETTINGS);
        return -EINVAL;
    }
    for (size_t i = 0; i < n; i++)
        if (!(settings[i] = json_string_value(json_array_get(list, i)))) {
            snprintf(err, errlen, "set: a setting is a string, KEY=VALUE");
            return -EINVAL;
        }
    int rc = live_set(v->live, settings, (unsigned)n, &r, err, errlen);
    return rc < 0 ? rc : read_tell(&r, answer);
}

const struct control_verb verbs_table[] = {
    {"status", status}, {"streams", streams}, {"reload", reload}, {"set", set}, {NULL, NULL}};
