/* config_keys — what may stand in which section, and what was probably meant by what may not. */
#include "base/config_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MOST_CONNS     1000

#define OF_PROVIDER(m) offsetof(struct config_provider, m)
#define OF_CLASS(m)    offsetof(struct config_class_draft, m)
#define OF_CONFIG(m)   offsetof(struct config, m)

static const struct config_key provider_keys[] = {
    {"host", OF_PROVIDER(host), 0, 0, CONFIG_HOST},
    {"port", OF_PROVIDER(port), 1, 65535, CONFIG_NUMBER},
    {"tls", OF_PROVIDER(tls), 0, 0, CONFIG_FLAG},
    {"verify", OF_PROVIDER(verify), 0, 0, CONFIG_FLAG},
    {"ca_file", OF_PROVIDER(ca_file), 0, 0, CONFIG_PATH},
    {"username", OF_PROVIDER(username), 0, 0, CONFIG_TEXT},
    {"password", OF_PROVIDER(password), 0, 0, CONFIG_PASSWORD},
    {"password_file", OF_PROVIDER(password), 0, 0, CONFIG_PASSWORD_FILE},
    {"credential", OF_PROVIDER(password), 0, 0, CONFIG_CREDENTIAL},
    {"connections", OF_PROVIDER(connections), 1, MOST_CONNS, CONFIG_NUMBER},
    {"tier", OF_PROVIDER(tier), 0, 99, CONFIG_NUMBER},
    {"weight", OF_PROVIDER(weight), 1, 1000, CONFIG_NUMBER},
    {"retention_days", OF_PROVIDER(retention_days), 0, 36500, CONFIG_NUMBER},
    {"pipelining", OF_PROVIDER(pipelining), 1, 100, CONFIG_NUMBER},
    {"rate", OF_PROVIDER(rate_bps), 0, (uint64_t)1 << 50, CONFIG_SIZE},
    {0},
};

static const struct config_key pool_keys[] = {
    {"connections", OF_CONFIG(pool.connections), 0, CONFIG_PROVIDERS *MOST_CONNS, CONFIG_NUMBER},
    {"reserve", OF_CONFIG(pool.reserve), 0, CONFIG_PROVIDERS *MOST_CONNS, CONFIG_NUMBER},
    {"warm", OF_CONFIG(pool.warm), 0, CONFIG_PROVIDERS *MOST_CONNS, CONFIG_NUMBER},
    {"rate", OF_CONFIG(pool.rate_bps), 0, (uint64_t)1 << 50, CONFIG_SIZE},
    {"threads", OF_CONFIG(threads), 0, 4, CONFIG_NUMBER},
    {0},
};

static const struct config_key class_keys[] = {
    {"guaranteed", OF_CLASS(guaranteed), 0, CONFIG_PROVIDERS *MOST_CONNS, CONFIG_SHARE},
    {"burst", OF_CLASS(burst), 0, CONFIG_PROVIDERS *MOST_CONNS, CONFIG_SHARE},
    {"weight", OF_CLASS(weight), 1, 1000000, CONFIG_NUMBER},
    {"per_stream", OF_CLASS(per_stream), 0, CONFIG_PROVIDERS *MOST_CONNS, CONFIG_NUMBER},
    {"hedge", OF_CLASS(hedge), 0, 100, CONFIG_SHARE},
    {0},
};

static const struct config_key cache_keys[] = {
    {"memory", OF_CONFIG(cache_memory), (uint64_t)16 << 20, (uint64_t)1 << 42, CONFIG_SIZE},
    {"disk", OF_CONFIG(cache_disk), 0, 0, CONFIG_PATH},
    {"disk_size", OF_CONFIG(cache_disk_size), (uint64_t)64 << 20, (uint64_t)1 << 50, CONFIG_SIZE},
    {0},
};

static const struct config_key mount_keys[] = {
    {"uid", OF_CONFIG(mount.uid), 0, UINT32_MAX - 1, CONFIG_ID},
    {"gid", OF_CONFIG(mount.gid), 0, UINT32_MAX - 1, CONFIG_ID},
    {"umask", OF_CONFIG(mount.umask), 0, 0777, CONFIG_OCTAL},
    {"allow_other", OF_CONFIG(mount.allow_other), 0, 0, CONFIG_FLAG},
    {"default_permissions", OF_CONFIG(mount.default_permissions), 0, 0, CONFIG_FLAG},
    {"direct_io", OF_CONFIG(mount.direct_io), 0, 0, CONFIG_FLAG},
    {"early", OF_CONFIG(mount.early), 0, 0, CONFIG_FLAG},
    {"view", OF_CONFIG(mount.view), 0, 0, CONFIG_VIEW},
    {"missing", OF_CONFIG(mount.missing_zeros), 0, 0, CONFIG_MISSING},
    {"read_timeout", OF_CONFIG(mount.read_timeout_s), 1, 3600, CONFIG_NUMBER},
    {"readahead", OF_CONFIG(mount.readahead), 0, (uint64_t)1 << 40, CONFIG_SIZE},
    {"hide", OF_CONFIG(mount.hide), 0, 0, CONFIG_WORDS},
    {"passwords", OF_CONFIG(mount.passwords), 0, 0, CONFIG_PASSWORDS},
    {"scanners", OF_CONFIG(mount.scanners), 0, 0, CONFIG_WORDS},
    {0},
};

static const struct config_key timeout_keys[] = {
    {"connect", OF_CONFIG(timeouts.connect_s), 1, 600, CONFIG_NUMBER},
    {"stall", OF_CONFIG(timeouts.stall_s), 1, 600, CONFIG_NUMBER},
    {"idle", OF_CONFIG(timeouts.idle_s), 1, 86400, CONFIG_NUMBER},
    {"probe", OF_CONFIG(timeouts.probe_s), 1, 3600, CONFIG_NUMBER},
    {0},
};

const struct config_section config_sections[CONFIG_SECTIONS] = {
    {"provider", CONFIG_PROVIDER, provider_keys},
    {"class", CONFIG_CLASS, class_keys},
    {"pool", CONFIG_PLAIN, pool_keys},
    {"cache", CONFIG_PLAIN, cache_keys},
    {"mount", CONFIG_PLAIN, mount_keys},
    {"timeouts", CONFIG_PLAIN, timeout_keys},
};

/* How many letters must be put in, taken out or changed to make `a` of `b`. */
static size_t distance(const char *a, const char *b)
{
    size_t row[32], len = strlen(b);

    if (len >= sizeof(row) / sizeof(row[0]) || strlen(a) > 2 * len + 2)
        return SIZE_MAX;
    for (size_t j = 0; j <= len; j++)
        row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 1; j <= len; j++) {
            size_t best = diagonal + (a[i] != b[j - 1]);
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[len];
}

int config_key_unknown(struct config_draft *d, const char *name)
{
    const char *close = NULL;
    size_t best = strlen(name) / 2 < 3 ? strlen(name) / 2 : 3;

    for (const struct config_key *k = d->now->section->keys; k->name; k++) {
        size_t n = distance(name, k->name);
        if (n <= best) {
            best = n;
            close = k->name;
        }
    }
    if (close)
        return config_fail(d, d->line, "unknown key '%.64s' in [%s]; did you mean '%s'?", name,
                           d->now->title, close);
    for (size_t i = 0; i < CONFIG_SECTIONS; i++)
        for (const struct config_key *k = config_sections[i].keys; k->name; k++)
            if (strcmp(name, k->name) == 0)
                return config_fail(d, d->line, "unknown key '%s' in [%s]; it belongs in [%s%s]",
                                   name, d->now->title, config_sections[i].word,
                                   config_sections[i].kind == CONFIG_PLAIN ? "" : " NAME");
    return config_fail(d, d->line, "unknown key '%.64s' in [%s]; nzbfs.conf(5) lists them", name,
                       d->now->title);
}

int config_mount_set(struct config *c, const char *key, const char *value, char *err, size_t errlen)
{
    for (const struct config_key *k = mount_keys; k->name; k++) {
        if (strcmp(k->name, key) != 0)
            continue;
        if (!value && k->kind != CONFIG_FLAG) {
            snprintf(err, errlen, "%s needs a value: %s=…", key, key);
            return -EINVAL;
        }
        return config_value_set(k, value ? value : "yes", NULL, c, err, errlen);
    }
    snprintf(err, errlen, "no such key: %s", key);
    return -ENOENT;
}
