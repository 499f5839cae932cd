#define LOG_TAG "nzbfs"
#include "cli/compose.h"

#include "base/log.h"
#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* Sockets are files: make room for the pool, where the system lets us. */
static void files_allow(const struct config *cfg)
{
    struct rlimit lim;
    rlim_t want = 256;

    for (unsigned i = 0; i < cfg->nproviders; i++)
        want += cfg->providers[i].connections;
    if (getrlimit(RLIMIT_NOFILE, &lim) < 0 || lim.rlim_cur >= want)
        return;
    lim.rlim_cur = lim.rlim_max < want ? lim.rlim_max : want;
    if (setrlimit(RLIMIT_NOFILE, &lim) < 0 || lim.rlim_cur < want)
        log_warn("%llu connections are configured, and only %llu files may be open (ulimit -n)",
                 (unsigned long long)want - 256, (unsigned long long)lim.rlim_cur);
}

static void unsupported_tell(const struct config *cfg)
{
    if (cfg->cache_disk)
        log_warn("[cache] disk is set: this version caches in memory only");
    if (!cfg->mount.default_permissions)
        log_warn("[mount] default_permissions = no: owner and mode are checked all the same");
}

int compose_start(struct compose *w, struct config *cfg, const char *source, const char *trace,
                  char *err, size_t errlen)
{
    struct cache_config cache = {.budget = (size_t)cfg->cache_memory};
    struct fs_options options = {.mount = cfg->mount, .source = source};
    int rc = -ENOMEM;

    *w = (struct compose){.cfg = cfg};
    files_allow(cfg);
    unsupported_tell(cfg);
    rc = nntp_pool_start(cfg, trace, &w->pool, err, errlen);
    if (rc < 0)
        goto err0;
    w->cache = cache_new(&cache, nntp_pool_source(w->pool));
    rc = w->cache ? fs_new(&options, w->cache, &w->fs) : -ENOMEM;
    if (rc < 0) {
        snprintf(err, errlen, "cannot start: %s", strerror(-rc));
        goto err0;
    }
    rc = sources_load(w->fs, source, err, errlen);
    if (rc < 0)
        goto err0;
    return 0;

err0:
    compose_stop(w);
    return rc;
}

int compose_reconfigure(struct compose *w, struct config *cfg, char *err, size_t errlen)
{
    files_allow(cfg);
    int rc = nntp_pool_resize(w->pool, cfg, err, errlen);
    if (rc < 0) {
        config_free(cfg);
        return rc;
    }
    config_free(w->cfg);
    w->cfg = cfg;
    return 0;
}

/* --- only the names ---------------------------------------------------------------------------- */

#define NAMES_MEMORY ((size_t)1 << 20) /* never touched */

/* Who only looks at names starts no read. */
static void nowhere_fetch(struct source *s, struct segment_fetch *f)
{
    (void)s, (void)f;
    abort();
}

static void nowhere_promote(struct source *s, struct segment_fetch *f, enum urgency u,
                            uint64_t deadline_us)
{
    (void)s, (void)f, (void)u, (void)deadline_us;
}

static void nowhere_cancel(struct source *s, struct segment_fetch *f)
{
    (void)s, (void)f;
}

int compose_names(struct compose *w, const char *source)
{
    static const struct source_ops ops = {
        .fetch = nowhere_fetch, .promote = nowhere_promote, .cancel = nowhere_cancel};
    static struct source nowhere = {&ops};
    struct cache_config cache = {.budget = NAMES_MEMORY};
    struct fs_options options = {.mount = {.uid = -1, .gid = -1, .view = CONFIG_VIEW_RAW},
                                 .source = source};
    char err[CLI_ERROR_MAX];

    log_set_level(LOG_AT_WARN);
    *w = (struct compose){.cache = cache_new(&cache, &nowhere)};
    int rc = w->cache ? fs_new(&options, w->cache, &w->fs) : -ENOMEM;
    if (rc < 0)
        snprintf(err, sizeof(err), "cannot start: %s", strerror(-rc));
    else
        rc = sources_load(w->fs, source, err, sizeof(err));
    if (rc == 0)
        return CLI_OK;
    compose_stop(w);
    cli_error("%s", err);
    return CLI_FAILED;
}

/* --- the end ----------------------------------------------------------------------------------- */

void compose_stop(struct compose *w)
{
    if (w->fs)
        fs_quiet(w->fs); /* surveys ask the pool until they have ended */
    if (w->pool)
        nntp_pool_stop(w->pool);
    if (w->fs)
        fs_free(w->fs);
    if (w->cache)
        cache_free(w->cache);
    config_free(w->cfg);
    *w = (struct compose){0};
}

int compose_for_command(struct compose *w, const char *config, const char *source, bool posted)
{
    struct config *cfg;
    char err[CLI_ERROR_MAX];

    /* What is up or down matters to a mount that lives for weeks; here it would be noise. */
    log_set_level(LOG_AT_WARN);
    int rc = config_load(config, &cfg, err, sizeof(err));
    if (rc == 0 && posted)
        cfg->mount.view = CONFIG_VIEW_RAW;
    if (rc == 0 && compose_start(w, cfg, source, NULL, err, sizeof(err)) == 0)
        return CLI_OK;
    cli_error("%s", err);
    return CLI_FAILED;
}

struct fs_node *cli_find(struct fs *fs, const char *path)
{
    int err;
    struct fs_node *n = fs_find_wait(fs, path, &err);

    if (!n && err)
        cli_error("%s: what is in its NZB cannot be found out: %s", path, strerror(err));
    else if (!n)
        cli_error("%s: no such file or directory; nzbfs ls without a path shows what there is",
                  path);
    return n;
}
