#define LOG_TAG "config"
#include "base/config.h"

#include "base/config_internal.h"
#include "base/log.h"

#include <ini.h>

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* inih splits lines into sections, keys and values. What it would cut short or skip silently (long
 * lines, long or empty sections, NUL bytes) is refused by the reader that hands it the lines, which
 * also counts them. */

#define LINE_MOST 4096

/* --- errors ------------------------------------------------------------------------------------ */

/* Settings are told from the file's lines by their number. */
static void where(const struct config_draft *d, unsigned line, char *out, size_t len)
{
    if (line >= CONFIG_SETTING && d->shown)
        snprintf(out, len, "%.*s", d->shown, d->settings[line - CONFIG_SETTING]);
    else if (line >= CONFIG_SETTING)
        snprintf(out, len, "a setting");
    else if (line)
        snprintf(out, len, "%s:%u", d->file, line);
    else
        snprintf(out, len, "%s", d->file);
}

int config_fail(struct config_draft *d, unsigned line, const char *fmt, ...)
{
    char what[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    where(d, line, d->err, d->errlen);
    size_t n = strlen(d->err);
    snprintf(d->err + n, d->errlen - n, ": %s", what);
    n += strlen(d->err + n);
    /* The line was right without them, perhaps. */
    for (unsigned i = 0; d->settled && line < CONFIG_SETTING && i < d->nsettings; i++) {
        snprintf(d->err + n, d->errlen - n, "%s%s", i ? ", " : "; given with ", d->settings[i]);
        n += strlen(d->err + n);
    }
    if (d->rc == 0)
        d->rc = -EINVAL;
    return d->rc;
}

/* --- sections ---------------------------------------------------------------------------------- */

static void *provider_add(struct config_draft *d, const char *name)
{
    struct config *c = d->c;

    if (!*name || strlen(name) > CONFIG_NAME_MOST ||
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") !=
            strlen(name)) {
        config_fail(
            d, d->line,
            "a provider needs a name of letters, digits, '-', '_' and '.': [provider main]");
        return NULL;
    }
    if (c->nproviders == CONFIG_PROVIDERS) {
        config_fail(d, d->line, "more than %d providers", CONFIG_PROVIDERS);
        return NULL;
    }
    struct config_provider *p = &c->providers[c->nproviders];
    *p = (struct config_provider){.name = strdup(name),
                                  .tls = true,
                                  .verify = true,
                                  .weight = 1,
                                  .connections = 10,
                                  .pipelining = 4};
    if (!p->name) {
        d->rc = -ENOMEM;
        config_fail(d, d->line, "out of memory");
        return NULL;
    }
    c->nproviders++;
    return p;
}

static void *class_find(struct config_draft *d, const char *name)
{
    for (unsigned k = 0; k < TRAFFIC_CLASSES; k++)
        if (strcmp(name, config_class_name((enum traffic_class)k)) == 0)
            return &d->classes[k];
    config_fail(d, d->line,
                "unknown class '%.64s'; it is [class streaming], [class queue] or [class health]",
                name);
    return NULL;
}

int config_section_open(struct config_draft *d, const char *title)
{
    const struct config_section *s = NULL;
    size_t word = strcspn(title, " \t");
    const char *name = title + word + strspn(title + word, " \t");
    struct config_instance in = {.line = d->line};

    for (size_t i = 0; i < CONFIG_SECTIONS; i++)
        if (strlen(config_sections[i].word) == word &&
            memcmp(title, config_sections[i].word, word) == 0)
            s = &config_sections[i];
    if (!s || (s->kind == CONFIG_PLAIN && *name))
        return config_fail(d, d->line,
                           "unknown section [%.64s]; there are [provider NAME], [pool], "
                           "[class NAME], [cache], [mount] and [timeouts]",
                           title);
    if (strlen(name) > CONFIG_NAME_MOST)
        return config_fail(d, d->line, "the name in [%s …] is longer than %d bytes", s->word,
                           CONFIG_NAME_MOST);
    snprintf(in.title, sizeof(in.title), *name ? "%s %s" : "%s", s->word, name);
    for (unsigned i = 0; i < d->ninstances; i++)
        if (strcmp(d->instances[i].title, in.title) == 0)
            return config_fail(d, d->line, "[%s] stands on line %u already; put its keys together",
                               in.title, d->instances[i].line);
    in.section = s;
    in.base = s->kind == CONFIG_PROVIDER ? provider_add(d, name)
              : s->kind == CONFIG_CLASS  ? class_find(d, name)
                                         : (void *)d->c;
    if (!in.base)
        return d->rc;
    assert(d->ninstances < CONFIG_INSTANCES);
    d->now = &d->instances[d->ninstances++];
    *d->now = in;
    return 0;
}

int config_key_set(struct config_draft *d, const char *name, const char *value)
{
    const struct config_key *keys = d->now->section->keys;
    char why[400];
    unsigned i = 0;

    while (keys[i].name && strcmp(keys[i].name, name) != 0)
        i++;
    if (!keys[i].name)
        return config_key_unknown(d, name);
    for (unsigned j = 0; keys[j].name && d->line < CONFIG_SETTING; j++)
        if (d->now->lines[j] && keys[j].at == keys[i].at)
            return config_fail(d, d->line, "'%s' in [%s]: %s stands on line %u already", name,
                               d->now->title, i == j ? "it" : keys[j].name, d->now->lines[j]);
    d->now->lines[i] = d->line;
    int rc = config_value_set(&keys[i], value, d->dir, d->now->base, why, sizeof(why));
    if (rc < 0) {
        d->rc = rc;
        config_fail(d, d->line, "%s", rc == -ENOMEM ? "out of memory" : why);
    }
    explicit_bzero(why, sizeof(why));
    return rc;
}

static unsigned line_of(const struct config_instance *in, const char *key)
{
    for (unsigned i = 0; in->section->keys[i].name; i++)
        if (strcmp(in->section->keys[i].name, key) == 0)
            return in->lines[i];
    return 0;
}

/* inih's handler: non-zero is success. The section it names may be cut short; d->now is not. */
static int key_seen(void *user, const char *section, const char *name, const char *value)
{
    struct config_draft *d = user;

    (void)section;
    if (d->rc < 0)
        return 0;
    if (!d->now)
        return config_fail(d, d->line,
                           "'%.64s' stands before any section; begin with [provider main]",
                           name) == 0;
    return config_key_set(d, name, value) == 0;
}

/* inih's reader: one line of the text a call. At the end (or the first error) inih's buffer, which
 * may have held a password, is wiped. */
static char *line_read(char *str, int num, void *stream)
{
    struct config_draft *d = stream;
    size_t room = (size_t)num;

    if (d->rc < 0 || d->text == d->end) {
        explicit_bzero(str, room);
        return NULL;
    }
    const char *nl = memchr(d->text, '\n', (size_t)(d->end - d->text));
    size_t len = (size_t)((nl ? nl : d->end) - d->text);
    d->line++;
    if (len + 3 > room)
        config_fail(d, d->line, "the line is longer than %zu bytes", room - 3);
    else if (memchr(d->text, '\0', len))
        config_fail(d, d->line, "the line holds a NUL byte; save the file as UTF-8 text");
    if (d->rc < 0) {
        explicit_bzero(str, room);
        return NULL;
    }
    memcpy(str, d->text, len);
    str[len] = '\n';
    str[len + 1] = '\0';
    d->text += len + (nl != NULL);

    const char *p = str + strspn(str, " \t");
    const char *close = *p == '[' ? strchr(p, ']') : NULL;
    if (close) {
        char title[LINE_MOST];
        size_t n = (size_t)(close - p - 1);
        memcpy(title, p + 1, n);
        title[n] = '\0';
        const char *rest = close + 1 + strspn(close + 1, " \t\r\n");
        if (*rest && *rest != '#' && *rest != ';')
            config_fail(d, d->line,
                        "there is something behind [%.64s]; keys go on lines of their own", title);
        else
            config_section_open(d, title);
    }
    return str;
}

/* --- the whole --------------------------------------------------------------------------------- */

static void inih_set_up(void)
{
    ini_allow_inline_comments = false;
    ini_allow_multiline = false;
    ini_allow_no_value = false;
    ini_allow_realloc = false;
    ini_stop_on_first_error = true;
    ini_use_stack = false;
    ini_initial_alloc = ini_max_line = LINE_MOST;
}

static int provider_finish(struct config_draft *d, const struct config_instance *in)
{
    struct config_provider *p = in->base;

    if (!p->host)
        return config_fail(d, in->line, "[%s] has no host; write host = news.example.net",
                           in->title);
    if (p->password && !p->username)
        return config_fail(d, in->line, "[%s] has a password but no username; write username = …",
                           in->title);
    if (p->username && !p->password)
        return config_fail(
            d, line_of(in, "username"),
            "[%s] has a username but no password; write password = … or password_file = …",
            in->title);
    if (!p->port)
        p->port = p->tls ? 563 : 119;
    if (!p->tls && p->password)
        log_warn("[%s] sends its password unencrypted; tls = yes protects it", in->title);
    return 0;
}

static int pool_finish(struct config_draft *d)
{
    struct config *c = d->c;
    unsigned sum = 0, line = 0;

    for (unsigned i = 0; i < c->nproviders; i++)
        sum += c->providers[i].connections;
    if (!c->pool.connections || c->pool.connections > sum)
        c->pool.connections = sum;
    for (unsigned i = 0; i < d->ninstances; i++)
        if (d->instances[i].section->kind == CONFIG_PLAIN &&
            strcmp(d->instances[i].title, "pool") == 0)
            line = line_of(&d->instances[i], "reserve");
    if (c->pool.reserve >= c->pool.connections)
        return config_fail(
            d, line, "reserve = %u leaves nothing of the pool's %u connections; write at most %u",
            c->pool.reserve, c->pool.connections, c->pool.connections - 1);
    return 0;
}

/* A cap above the burst is harmless, and the burst may be what a setting has lowered for a while. */
static void caps_warn(const struct config_draft *d, const struct config_class_lines *lines)
{
    for (unsigned k = 0; k < TRAFFIC_CLASSES; k++) {
        const struct config_class *c = &d->c->classes[k];
        char at[512];
        if (c->per_stream <= c->burst)
            continue;
        where(d, lines[k].per_stream, at, sizeof(at));
        log_warn("%s: per_stream = %u in [class %s] caps nothing, since its burst is %u", at,
                 c->per_stream, config_class_name((enum traffic_class)k), c->burst);
    }
}

/* Nobody is blocked on what queue and health ask for. */
static int hedges_check(struct config_draft *d, const struct config_class_lines *lines)
{
    for (unsigned k = 0; k < TRAFFIC_CLASSES; k++) {
        const struct config_share *h = &d->classes[k].hedge;
        if (!lines[k].hedge || !h->n)
            continue;
        if (!h->percent)
            return config_fail(d, lines[k].hedge, "hedge = %u is no share; write 0%% to 100%%",
                               h->n);
        if (k != TRAFFIC_STREAMING)
            return config_fail(d, lines[k].hedge,
                               "hedge is for [class streaming]: nobody waits for what %s asks for",
                               config_class_name((enum traffic_class)k));
    }
    return 0;
}

static int draft_finish(struct config_draft *d)
{
    struct config_class_lines lines[TRAFFIC_CLASSES] = {0};
    char why[400];
    unsigned line = 0;

    if (!d->c->nproviders)
        return config_fail(
            d, 0,
            "there is no provider; write [provider main] with host, username, password and "
            "connections");
    for (unsigned i = 0; i < d->ninstances; i++) {
        const struct config_instance *in = &d->instances[i];
        if (in->section->kind == CONFIG_PROVIDER && provider_finish(d, in) < 0)
            return d->rc;
        if (in->section->kind == CONFIG_CLASS)
            lines[(struct config_class_draft *)in->base - d->classes] = (struct config_class_lines){
                .guaranteed = line_of(in, "guaranteed"),
                .burst = line_of(in, "burst"),
                .weight = line_of(in, "weight"),
                .per_stream = line_of(in, "per_stream"),
                .hedge = line_of(in, "hedge"),
            };
    }
    if (pool_finish(d) < 0)
        return d->rc;
    if (config_shares_resolve(d->c, d->classes, lines, &line, why, sizeof(why)) < 0)
        return config_fail(d, line, "%s", why);
    if (hedges_check(d, lines) < 0)
        return d->rc;
    caps_warn(d, lines);
    return 0;
}

static struct config *defaults_new(void)
{
    struct config *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->pool.warm = 4;
    c->cache_memory = (uint64_t)256 << 20;
    c->cache_disk_size = (uint64_t)20 << 30;
    c->mount = (struct config_mount){.uid = -1,
                                     .gid = -1,
                                     .umask = 022,
                                     .default_permissions = true,
                                     .early = true,
                                     .view = CONFIG_VIEW_CONTENTS,
                                     .read_timeout_s = 60,
                                     .readahead = (uint64_t)128 << 20};
    c->mount.scanners = strdup("default");
    if (!c->mount.scanners) {
        free(c);
        return NULL;
    }
    c->timeouts =
        (struct config_timeouts){.connect_s = 10, .stall_s = 15, .idle_s = 60, .probe_s = 30};
    return c;
}

/* The folder of `name`, for paths relative to it; NULL: no memory. */
static char *dir_of(const char *name)
{
    const char *slash = strrchr(name, '/');

    return slash ? strndup(name, slash > name ? (size_t)(slash - name) : 1) : strdup("");
}

/* The file's lines into the draft. */
static void lines_take(struct config_draft *d, size_t len)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, inih_set_up);
    if (len >= 3 && memcmp(d->text, "\xef\xbb\xbf", 3) == 0) /* a byte order mark */
        d->text += 3;
    int bad = ini_parse_stream(line_read, d, key_seen, d);
    if (d->rc == 0 && bad == -2) {
        d->rc = -ENOMEM;
        config_fail(d, 0, "out of memory");
    } else if (d->rc == 0 && bad != 0) {
        config_fail(d, (unsigned)bad,
                    "neither [section] nor key = value nor a comment that begins with '#'");
    }
}

int config_parse_with(const char *text, size_t len, const char *name, const char *const *settings,
                      unsigned n, struct config **out, char *err, size_t errlen)
{
    struct config_draft d = {.c = defaults_new(),
                             .text = text,
                             .end = text + len,
                             .file = name,
                             .dir = dir_of(name),
                             .settings = settings,
                             .nsettings = n,
                             .err = err,
                             .errlen = errlen};

    if (!d.c || !d.dir) {
        snprintf(err, errlen, "%s: out of memory", name);
        d.rc = -ENOMEM;
    }
    if (d.rc == 0)
        lines_take(&d, len);
    if (d.rc == 0)
        config_settings_take(&d);
    d.settled = true;
    if (d.rc == 0)
        draft_finish(&d);
    free(d.dir);
    if (d.rc < 0) {
        config_free(d.c);
        return d.rc;
    }
    *out = d.c;
    return 0;
}

int config_parse(const char *text, size_t len, const char *name, struct config **out, char *err,
                 size_t errlen)
{
    return config_parse_with(text, len, name, NULL, 0, out, err, errlen);
}

void config_free(struct config *c)
{
    if (!c)
        return;
    for (unsigned i = 0; i < c->nproviders; i++) {
        struct config_provider *p = &c->providers[i];
        free(p->name);
        free(p->host);
        free(p->username);
        config_secret_free(p->password);
        free(p->ca_file);
    }
    free(c->cache_disk);
    free(c->mount.hide);
    config_secret_free(c->mount.passwords);
    free(c->mount.scanners);
    free(c);
}
