#define LOG_TAG "config"
#include "base/config.h"

#include "base/config_internal.h"
#include "base/log.h"

#include <ini.h>

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* inih splits lines into sections, keys and values. What it would cut short or skip silently (long
 * lines, long or empty sections, NUL bytes) is refused by the reader that hands it the lines, which
 * also counts them. */

#define LINE_MOST      4096
#define FILE_MOST      ((size_t)1 << 20)
#define NAME_MOST      63 /* of a provider */
#define INSTANCES      (CONFIG_PROVIDERS + 8)
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
    {"rate", OF_CONFIG(pool.rate_bps), 0, (uint64_t)1 << 50, CONFIG_SIZE},
    {"threads", OF_CONFIG(threads), 0, 4, CONFIG_NUMBER},
    {0},
};

static const struct config_key class_keys[] = {
    {"guaranteed", OF_CLASS(guaranteed), 0, CONFIG_PROVIDERS *MOST_CONNS, CONFIG_SHARE},
    {"burst", OF_CLASS(burst), 0, CONFIG_PROVIDERS *MOST_CONNS, CONFIG_SHARE},
    {"weight", OF_CLASS(weight), 1, 1000000, CONFIG_NUMBER},
    {"per_stream", OF_CLASS(per_stream), 0, CONFIG_PROVIDERS *MOST_CONNS, CONFIG_NUMBER},
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
    {"view", OF_CONFIG(mount.view), 0, 0, CONFIG_VIEW},
    {"missing", OF_CONFIG(mount.missing_zeros), 0, 0, CONFIG_MISSING},
    {"read_timeout", OF_CONFIG(mount.read_timeout_s), 1, 3600, CONFIG_NUMBER},
    {"readahead", OF_CONFIG(mount.readahead), 0, (uint64_t)1 << 40, CONFIG_SIZE},
    {0},
};

static const struct config_key timeout_keys[] = {
    {"connect", OF_CONFIG(timeouts.connect_s), 1, 600, CONFIG_NUMBER},
    {"stall", OF_CONFIG(timeouts.stall_s), 1, 600, CONFIG_NUMBER},
    {"idle", OF_CONFIG(timeouts.idle_s), 1, 86400, CONFIG_NUMBER},
    {"probe", OF_CONFIG(timeouts.probe_s), 1, 3600, CONFIG_NUMBER},
    {0},
};

enum section_kind { PROVIDER, CLASS, PLAIN };

static const struct section {
    const char *word;
    enum section_kind kind;
    const struct config_key *keys;
} sections[] = {
    {"provider", PROVIDER, provider_keys},
    {"class", CLASS, class_keys},
    {"pool", PLAIN, pool_keys},
    {"cache", PLAIN, cache_keys},
    {"mount", PLAIN, mount_keys},
    {"timeouts", PLAIN, timeout_keys},
};
#define SECTIONS (sizeof(sections) / sizeof(sections[0]))

/* One section as it stands in the file. */
struct instance {
    const struct section *section;
    char title[NAME_MOST + 16]; /* what stands between [ and ] */
    void *base;
    unsigned line;
    unsigned lines[CONFIG_KEYS]; /* of its keys; 0: not written */
};

struct draft {
    struct config *c;
    struct config_class_draft classes[TRAFFIC_CLASSES];
    struct instance instances[INSTANCES];
    unsigned ninstances;
    struct instance *now;
    const char *text, *end;
    const char *file;
    char *dir;
    unsigned line;
    int rc;
    char *err;
    size_t errlen;
};

/* --- errors ------------------------------------------------------------------------------------ */

__attribute__((format(printf, 3, 4))) static int fail(struct draft *d, unsigned line,
                                                      const char *fmt, ...)
{
    char what[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    if (line)
        snprintf(d->err, d->errlen, "%s:%u: %s", d->file, line, what);
    else
        snprintf(d->err, d->errlen, "%s: %s", d->file, what);
    if (d->rc == 0)
        d->rc = -EINVAL;
    return d->rc;
}

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

static int unknown_key(struct draft *d, const char *name)
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
        return fail(d, d->line, "unknown key '%.64s' in [%s]; did you mean '%s'?", name,
                    d->now->title, close);
    for (size_t i = 0; i < SECTIONS; i++)
        for (const struct config_key *k = sections[i].keys; k->name; k++)
            if (strcmp(name, k->name) == 0)
                return fail(d, d->line, "unknown key '%s' in [%s]; it belongs in [%s%s]", name,
                            d->now->title, sections[i].word,
                            sections[i].kind == PLAIN ? "" : " NAME");
    return fail(d, d->line, "unknown key '%.64s' in [%s]; nzbfs.conf(5) lists them", name,
                d->now->title);
}

/* --- sections ---------------------------------------------------------------------------------- */

static void *provider_add(struct draft *d, const char *name)
{
    struct config *c = d->c;

    if (!*name || strlen(name) > NAME_MOST ||
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") !=
            strlen(name)) {
        fail(d, d->line,
             "a provider needs a name of letters, digits, '-', '_' and '.': [provider main]");
        return NULL;
    }
    if (c->nproviders == CONFIG_PROVIDERS) {
        fail(d, d->line, "more than %d providers", CONFIG_PROVIDERS);
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
        fail(d, d->line, "out of memory");
        return NULL;
    }
    c->nproviders++;
    return p;
}

static void *class_find(struct draft *d, const char *name)
{
    for (unsigned k = 0; k < TRAFFIC_CLASSES; k++)
        if (strcmp(name, config_class_name((enum traffic_class)k)) == 0)
            return &d->classes[k];
    fail(d, d->line,
         "unknown class '%.64s'; it is [class streaming], [class queue] or [class health]", name);
    return NULL;
}

/* `title` is what stands between the brackets. */
static int section_open(struct draft *d, char *title)
{
    const struct section *s = NULL;
    size_t word = strcspn(title, " \t");
    const char *name = title + word + strspn(title + word, " \t");
    struct instance in = {.line = d->line};

    for (size_t i = 0; i < SECTIONS; i++)
        if (strlen(sections[i].word) == word && memcmp(title, sections[i].word, word) == 0)
            s = &sections[i];
    if (!s || (s->kind == PLAIN && *name))
        return fail(d, d->line,
                    "unknown section [%.64s]; there are [provider NAME], [pool], "
                    "[class NAME], [cache], [mount] and [timeouts]",
                    title);
    if (strlen(name) > NAME_MOST)
        return fail(d, d->line, "the name in [%s …] is longer than %d bytes", s->word, NAME_MOST);
    snprintf(in.title, sizeof(in.title), *name ? "%s %s" : "%s", s->word, name);
    for (unsigned i = 0; i < d->ninstances; i++)
        if (strcmp(d->instances[i].title, in.title) == 0)
            return fail(d, d->line, "[%s] stands on line %u already; put its keys together",
                        in.title, d->instances[i].line);
    in.section = s;
    in.base = s->kind == PROVIDER ? provider_add(d, name)
              : s->kind == CLASS  ? class_find(d, name)
                                  : (void *)d->c;
    if (!in.base)
        return d->rc;
    assert(d->ninstances < INSTANCES);
    d->now = &d->instances[d->ninstances++];
    *d->now = in;
    return 0;
}

static unsigned line_of(const struct instance *in, const char *key)
{
    for (unsigned i = 0; in->section->keys[i].name; i++)
        if (strcmp(in->section->keys[i].name, key) == 0)
            return in->lines[i];
    return 0;
}

/* inih's handler: non-zero is success. The section it names may be cut short; d->now is not. */
static int key_seen(void *user, const char *section, const char *name, const char *value)
{
    struct draft *d = user;
    char why[400];

    (void)section;
    if (d->rc < 0)
        return 0;
    if (!d->now)
        return fail(d, d->line, "'%.64s' stands before any section; begin with [provider main]",
                    name) == 0;
    const struct config_key *keys = d->now->section->keys;
    unsigned i = 0;
    while (keys[i].name && strcmp(keys[i].name, name) != 0)
        i++;
    if (!keys[i].name)
        return unknown_key(d, name) == 0;
    for (unsigned j = 0; keys[j].name; j++)
        if (d->now->lines[j] && keys[j].at == keys[i].at)
            return fail(d, d->line, "'%s' in [%s]: %s stands on line %u already", name,
                        d->now->title, i == j ? "it" : keys[j].name, d->now->lines[j]) == 0;
    d->now->lines[i] = d->line;
    int rc = config_value_set(&keys[i], value, d->dir, d->now->base, why, sizeof(why));
    if (rc < 0) {
        d->rc = rc;
        fail(d, d->line, "%s", rc == -ENOMEM ? "out of memory" : why);
    }
    explicit_bzero(why, sizeof(why));
    return rc == 0;
}

/* inih's reader: one line of the text a call. At the end (or the first error) inih's buffer, which
 * may have held a password, is wiped. */
static char *line_read(char *str, int num, void *stream)
{
    struct draft *d = stream;
    size_t room = (size_t)num;

    if (d->rc < 0 || d->text == d->end) {
        explicit_bzero(str, room);
        return NULL;
    }
    const char *nl = memchr(d->text, '\n', (size_t)(d->end - d->text));
    size_t len = (size_t)((nl ? nl : d->end) - d->text);
    d->line++;
    if (len + 3 > room)
        fail(d, d->line, "the line is longer than %zu bytes", room - 3);
    else if (memchr(d->text, '\0', len))
        fail(d, d->line, "the line holds a NUL byte; save the file as UTF-8 text");
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
            fail(d, d->line, "there is something behind [%.64s]; keys go on lines of their own",
                 title);
        else
            section_open(d, title);
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

static int provider_finish(struct draft *d, const struct instance *in)
{
    struct config_provider *p = in->base;

    if (!p->host)
        return fail(d, in->line, "[%s] has no host; write host = news.example.net", in->title);
    if (p->password && !p->username)
        return fail(d, in->line, "[%s] has a password but no username; write username = …",
                    in->title);
    if (p->username && !p->password)
        return fail(d, line_of(in, "username"),
                    "[%s] has a username but no password; write password = … or password_file = …",
                    in->title);
    if (!p->port)
        p->port = p->tls ? 563 : 119;
    if (!p->tls && p->password)
        log_warn("[%s] sends its password unencrypted; tls = yes protects it", in->title);
    return 0;
}

static int pool_finish(struct draft *d)
{
    struct config *c = d->c;
    unsigned sum = 0, line = 0;

    for (unsigned i = 0; i < c->nproviders; i++)
        sum += c->providers[i].connections;
    if (!c->pool.connections || c->pool.connections > sum)
        c->pool.connections = sum;
    for (unsigned i = 0; i < d->ninstances; i++)
        if (d->instances[i].section->keys == pool_keys)
            line = line_of(&d->instances[i], "reserve");
    if (c->pool.reserve >= c->pool.connections)
        return fail(d, line,
                    "reserve = %u leaves nothing of the pool's %u connections; write at most %u",
                    c->pool.reserve, c->pool.connections, c->pool.connections - 1);
    return 0;
}

static int draft_finish(struct draft *d)
{
    struct config_class_lines lines[TRAFFIC_CLASSES] = {0};
    char why[400];
    unsigned line = 0;

    if (!d->c->nproviders)
        return fail(d, 0,
                    "there is no provider; write [provider main] with host, username, password and "
                    "connections");
    for (unsigned i = 0; i < d->ninstances; i++) {
        const struct instance *in = &d->instances[i];
        if (in->section->kind == PROVIDER && provider_finish(d, in) < 0)
            return d->rc;
        if (in->section->kind == CLASS)
            lines[(struct config_class_draft *)in->base - d->classes] = (struct config_class_lines){
                .guaranteed = line_of(in, "guaranteed"),
                .burst = line_of(in, "burst"),
                .weight = line_of(in, "weight"),
            };
    }
    if (pool_finish(d) < 0)
        return d->rc;
    if (config_shares_resolve(d->c, d->classes, lines, &line, why, sizeof(why)) < 0)
        return fail(d, line, "%s", why);
    return 0;
}

static struct config *defaults_new(void)
{
    struct config *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->cache_memory = (uint64_t)256 << 20;
    c->cache_disk_size = (uint64_t)20 << 30;
    c->mount = (struct config_mount){.uid = -1,
                                     .gid = -1,
                                     .umask = 022,
                                     .default_permissions = true,
                                     .view = CONFIG_VIEW_CONTENTS,
                                     .read_timeout_s = 60,
                                     .readahead = (uint64_t)32 << 20};
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

int config_parse(const char *text, size_t len, const char *name, struct config **out, char *err,
                 size_t errlen)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct draft d = {.c = defaults_new(),
                      .text = text,
                      .end = text + len,
                      .file = name,
                      .dir = dir_of(name),
                      .err = err,
                      .errlen = errlen};

    pthread_once(&once, inih_set_up);
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) /* a byte order mark */
        d.text += 3;
    if (!d.c || !d.dir) {
        snprintf(err, errlen, "%s: out of memory", name);
        d.rc = -ENOMEM;
        goto err0;
    }
    int bad = ini_parse_stream(line_read, &d, key_seen, &d);
    if (d.rc == 0 && bad == -2) {
        d.rc = -ENOMEM;
        fail(&d, 0, "out of memory");
    } else if (d.rc == 0 && bad != 0) {
        fail(&d, (unsigned)bad,
             "neither [section] nor key = value nor a comment that begins with '#'");
    }
    if (d.rc == 0)
        draft_finish(&d);
    if (d.rc < 0)
        goto err0;
    free(d.dir);
    *out = d.c;
    return 0;

err0:
    config_free(d.c);
    free(d.dir);
    return d.rc;
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
    free(c);
}

/* --- files ------------------------------------------------------------------------------------- */

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

static int file_load(const char *path, struct config **out, char *err, size_t errlen)
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
    rc = config_parse(text, len, path, out, err, errlen);
    explicit_bzero(text, len);
    free(text);
    if (rc == 0 && has_password(*out) && (st.st_mode & S_IROTH))
        log_warn("%s: everyone may read it, and it holds a password: chmod o-r it", path);
    return rc;
}

int config_load(const char *path, struct config **out, char *err, size_t errlen)
{
    const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    char own[4096] = "";

    if (path)
        return file_load(path, out, err, errlen);
    if (xdg && xdg[0] == '/')
        snprintf(own, sizeof(own), "%s/nzbfs/nzbfs.conf", xdg);
    else if (home && home[0] == '/')
        snprintf(own, sizeof(own), "%s/.config/nzbfs/nzbfs.conf", home);
    if (own[0] && access(own, F_OK) == 0)
        return file_load(own, out, err, errlen);
    if (access("/etc/nzbfs.conf", F_OK) == 0)
        return file_load("/etc/nzbfs.conf", out, err, errlen);
    snprintf(err, errlen,
             "no configuration: write %s%s/etc/nzbfs.conf (nzbfs.conf(5) shows how), or "
             "name a file with -c",
             own, own[0] ? " or " : "");
    return -ENOENT;
}
