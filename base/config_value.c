#define LOG_TAG "config"
#include "base/config_internal.h"

#include "base/log.h"
#include "base/overflow.h"
#include "base/words.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A password longer than this is a mistake: a wrong file was named. NNTP lines end at 512 bytes
 * (RFC 3977 §3.1). */
#define SECRET_MAX    400
#define PASSWORDS_MAX 65536

/* A list of names, in bytes: far more than anybody writes by hand. */
#define WORDS_MAX     4096

/* Comments at the end of a line are part of the value (a password may hold '#' and ';'), which
 * surprises people: say so wherever such a value is refused. */
static const char *comment_hint(const char *value)
{
    return strstr(value, " #") || strstr(value, " ;") || strstr(value, "\t#") ||
                   strstr(value, "\t;")
               ? " (a comment needs a line of its own)"
               : "";
}

void config_secret_free(char *s)
{
    if (s)
        explicit_bzero(s, strlen(s));
    free(s);
}

static int text_set(char **at, const char *value)
{
    char *copy = strdup(value);

    if (!copy)
        return -ENOMEM;
    config_secret_free(*at);
    *at = copy;
    return 0;
}

/* --- numbers ----------------------------------------------------------------------------------- */

/* Digits of `base` only: no sign, no blank, no 0x. False on overflow as well. */
static bool digits_read(const char *s, unsigned base, const char **end, uint64_t *out)
{
    uint64_t n = 0;

    *end = s;
    for (; *s >= '0' && *s < (char)('0' + base); s++)
        if (!mul_u64(n, base, &n) || !add_u64(n, (uint64_t)(*s - '0'), &n))
            return false;
    if (s == *end)
        return false;
    *end = s;
    *out = n;
    return true;
}

static int number_read(const struct config_key *k, const char *value, uint64_t *out, char *err,
                       size_t errlen)
{
    const char *end;

    if (digits_read(value, 10, &end, out) && !*end && *out >= k->min && *out <= k->max)
        return 0;
    snprintf(err, errlen, "%s = '%s' is not a number from %llu to %llu%s", k->name, value,
             (unsigned long long)k->min, (unsigned long long)k->max, comment_hint(value));
    return -EINVAL;
}

static int octal_read(const struct config_key *k, const char *value, unsigned *out, char *err,
                      size_t errlen)
{
    const char *end;
    uint64_t n;

    if (digits_read(value, 8, &end, &n) && !*end && n <= k->max) {
        *out = (unsigned)n;
        return 0;
    }
    snprintf(err, errlen, "%s = '%s' is not an octal mask such as 022%s", k->name, value,
             comment_hint(value));
    return -EINVAL;
}

static int id_read(const struct config_key *k, const char *value, long *out, char *err,
                   size_t errlen)
{
    const char *end;
    uint64_t n;

    if (!*value) {
        *out = -1;
        return 0;
    }
    if (digits_read(value, 10, &end, &n) && !*end && n <= k->max) {
        *out = (long)n;
        return 0;
    }
    snprintf(err, errlen, "%s = '%s' is not a number; id -%c NAME tells it%s", k->name, value,
             k->name[0], comment_hint(value));
    return -EINVAL;
}

/* 64M, 2G, 1048576: powers of 1024. */
static int size_read(const struct config_key *k, const char *value, uint64_t *out, char *err,
                     size_t errlen)
{
    static const char units[] = "KMGT";
    const char *end, *unit;
    uint64_t n;
    bool fits = digits_read(value, 10, &end, &n);

    if (fits && *end && (unit = strchr(units, *end & ~0x20)) && *unit && !end[1]) {
        fits = mul_u64(n, (uint64_t)1 << (10 * (unit - units + 1)), &n);
        end++;
    }
    if (!fits || *end) {
        snprintf(err, errlen, "%s = '%s' is not a size; write bytes, or such as 64K, 256M or 2G%s",
                 k->name, value, comment_hint(value));
        return -EINVAL;
    }
    if (n < k->min || n > k->max) {
        bool low = n < k->min;
        snprintf(err, errlen, "%s = %s is too %s; the %s is %lluM", k->name, value,
                 low ? "small" : "large", low ? "least" : "most",
                 (unsigned long long)((low ? k->min : k->max) >> 20));
        return -EINVAL;
    }
    *out = n;
    return 0;
}

static int share_read(const struct config_key *k, const char *value, struct config_share *out,
                      char *err, size_t errlen)
{
    const char *end;
    uint64_t n;
    bool fits = digits_read(value, 10, &end, &n);
    bool percent = fits && end[0] == '%';

    if (percent && !end[1] && n > 100) {
        snprintf(err, errlen, "%s = %s is more than the whole pool; write at most 100%%", k->name,
                 value);
        return -EINVAL;
    }
    if (!fits || end[percent] || n > (percent ? 100 : k->max)) {
        snprintf(err, errlen,
                 "%s = '%s' is neither a number of connections nor a share such as 40%%%s", k->name,
                 value, comment_hint(value));
        return -EINVAL;
    }
    *out = (struct config_share){.n = (unsigned)n, .percent = percent};
    return 0;
}

static int flag_read(const struct config_key *k, const char *value, bool *out, char *err,
                     size_t errlen)
{
    static const char *const words[2][4] = {{"no", "false", "off", "0"},
                                            {"yes", "true", "on", "1"}};

    for (unsigned v = 0; v < 2; v++)
        for (unsigned i = 0; i < 4; i++)
            if (strcasecmp(value, words[v][i]) == 0) {
                *out = v != 0;
                return 0;
            }
    snprintf(err, errlen, "%s = '%s' is neither yes nor no%s", k->name, value, comment_hint(value));
    return -EINVAL;
}

/* --- words ------------------------------------------------------------------------------------- */

/* The index of `value` among `n` words, or -EINVAL with the words named. */
static int word_read(const struct config_key *k, const char *value, const char *const *words, int n,
                     char *err, size_t errlen)
{
    char list[64] = "";

    for (int i = 0; i < n; i++) {
        if (strcmp(value, words[i]) == 0)
            return i;
        strncat(list, i == 0 ? "" : i == n - 1 ? " or " : ", ", sizeof(list) - strlen(list) - 1);
        strncat(list, words[i], sizeof(list) - strlen(list) - 1);
    }
    snprintf(err, errlen, "%s = '%s' is not one of %s%s", k->name, value, list,
             comment_hint(value));
    return -EINVAL;
}

static int host_set(const struct config_key *k, const char *value, char **at, char *err,
                    size_t errlen)
{
    char host[256];
    const char *colon = strchr(value, ':');
    size_t len = strlen(value);

    if (!len || len >= sizeof(host) || strpbrk(value, " \t/@") || strcmp(value, "[]") == 0) {
        snprintf(err, errlen,
                 "%s = '%s' is not a host; write a name or an address, such as "
                 "news.example.net%s",
                 k->name, value, comment_hint(value));
        return -EINVAL;
    }
    if (colon && !strchr(colon + 1, ':')) {
        snprintf(err, errlen, "%s = '%s' holds a port; give it a line of its own: port = %s",
                 k->name, value, colon + 1);
        return -EINVAL;
    }
    memcpy(host, value, len + 1);
    if (host[0] == '[' && host[len - 1] == ']') { /* [::1], as in a URL */
        host[len - 1] = '\0';
        memmove(host, host + 1, len - 1);
    }
    return text_set(at, host);
}

/* `value`, or where it is relative, `dir`/`value`. */
static int path_resolve(const char *value, const char *dir, char **out)
{
    if (value[0] == '/' || !dir || !*dir)
        *out = strdup(value);
    else if (asprintf(out, "%s/%s", dir, value) < 0)
        *out = NULL;
    return *out ? 0 : -ENOMEM;
}

static int path_set(const char *value, const char *dir, char **at)
{
    char *path = NULL;

    if (*value && path_resolve(value, dir, &path) < 0)
        return -ENOMEM;
    free(*at);
    *at = path;
    return 0;
}

/* --- secrets ----------------------------------------------------------------------------------- */

/* At most `most` bytes of `path` in buf[most + 1], or one more to tell that there are; *have is how many. */
static int secret_load(const char *path, char *buf, size_t most, size_t *have, char *err,
                       size_t errlen)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

    if (fd < 0 || fstat(fd, &st) < 0) {
        int rc = -errno;
        snprintf(err, errlen, "cannot read the password in %s: %s", path, strerror(-rc));
        if (fd >= 0)
            close(fd);
        return rc;
    }
    if (st.st_mode & S_IROTH)
        log_warn("%s holds a password and everyone may read it: chmod o-r it", path);
    *have = 0;
    ssize_t n;
    while ((n = read(fd, buf + *have, most + 1 - *have)) > 0)
        *have += (size_t)n;
    int rc = n < 0 ? -errno : 0;
    close(fd);
    if (rc < 0)
        snprintf(err, errlen, "cannot read the password in %s: %s", path, strerror(-rc));
    return rc;
}

/* The only line of `path` in buf[SECRET_MAX + 2]. */
static int secret_read(const char *path, char *buf, char *err, size_t errlen)
{
    size_t have;
    int rc = secret_load(path, buf, SECRET_MAX, &have, err, errlen);
    if (rc < 0)
        return rc;
    buf[have] = '\0';
    if (have && buf[have - 1] == '\n')
        buf[--have] = '\0';
    if (have && buf[have - 1] == '\r')
        buf[--have] = '\0';
    if (!have || have > SECRET_MAX || strlen(buf) != have || strpbrk(buf, "\r\n")) {
        snprintf(err, errlen, "%s does not hold one line with a password of at most %d bytes", path,
                 SECRET_MAX);
        return -EINVAL;
    }
    return 0;
}

static int secret_set(const struct config_key *k, const char *value, const char *dir, char **at,
                      char *err, size_t errlen)
{
    char buf[SECRET_MAX + 2];
    char *path = NULL;

    if (!*value) {
        snprintf(err, errlen, "%s is empty; name the file that holds the password", k->name);
        return -EINVAL;
    }
    if (k->kind == CONFIG_CREDENTIAL) {
        dir = getenv("CREDENTIALS_DIRECTORY");
        if (!dir || strchr(value, '/')) {
            snprintf(err, errlen,
                     dir ? "credential = '%s' is not a name, it has a slash"
                         : "credential = %s needs $CREDENTIALS_DIRECTORY, which systemd "
                           "sets for a unit with LoadCredential=",
                     value);
            return -EINVAL;
        }
    }
    if (path_resolve(value, dir, &path) < 0)
        return -ENOMEM;
    int rc = secret_read(path, buf, err, errlen);
    free(path);
    if (rc == 0)
        rc = text_set(at, buf);
    explicit_bzero(buf, sizeof(buf));
    return rc;
}

/* Lines without their ends, each followed by one '\n'; in place. False: one of them holds a NUL. */
static bool lines_clean(char *text, size_t *len)
{
    size_t to = 0;
    if (memchr(text, '\0', *len))
        return false;
    for (size_t at = 0, next; at < *len; at = next + 1) {
        const char *end = memchr(text + at, '\n', *len - at);
        next = end ? (size_t)(end - text) : *len;
        size_t n = next - at;
        if (n && text[at + n - 1] == '\r')
            n--;
        memmove(text + to, text + at, n);
        to += n;
        if (n)
            text[to++] = '\n';
    }
    *len = to;
    return true;
}

/* Passwords of archives. A line may be any bytes, so there are no comments in it. */
static int passwords_set(const char *value, const char *dir, char **at, char *err, size_t errlen)
{
    size_t have = 0;
    char *path = NULL;
    char *text = NULL;

    config_secret_free(*at);
    *at = NULL;
    if (!*value)
        return 0;
    int rc = path_resolve(value, dir, &path);
    if (rc == 0)
        text = calloc(1, PASSWORDS_MAX + 2);
    if (rc < 0 || !text) {
        free(path);
        return -ENOMEM;
    }
    rc = secret_load(path, text, PASSWORDS_MAX, &have, err, errlen);
    if (rc == 0 && (have > PASSWORDS_MAX || !lines_clean(text, &have))) {
        snprintf(err, errlen, "%s is no list of passwords, one a line and at most %d bytes", path,
                 PASSWORDS_MAX);
        rc = -EINVAL;
    }
    text[have <= PASSWORDS_MAX ? have : 0] = '\0';
    if (rc == 0 && *text)
        rc = text_set(at, text);
    explicit_bzero(text, PASSWORDS_MAX + 2);
    free(text);
    free(path);
    return rc;
}

static int password_set(const struct config_key *k, const char *value, char **at, char *err,
                        size_t errlen)
{
    size_t len = strlen(value);

    if (!len || len > SECRET_MAX) {
        snprintf(err, errlen,
                 len ? "%s is longer than %d bytes"
                     : "%s is empty; leave the line out where no login is needed",
                 k->name, SECRET_MAX);
        return -EINVAL;
    }
    if (*comment_hint(value))
        log_warn("a %s holds a blank and then '#' or ';', taken as part of it%s", k->name,
                 comment_hint(value));
    return text_set(at, value);
}

static int name_set(const struct config_key *k, const char *value, char **at, char *err,
                    size_t errlen)
{
    if (!*value || strlen(value) > SECRET_MAX || strpbrk(value, " \t")) {
        snprintf(err, errlen, "%s = '%s' is empty, too long or holds a blank%s", k->name, value,
                 comment_hint(value));
        return -EINVAL;
    }
    return text_set(at, value);
}

static int words_set(const struct config_key *k, const char *value, char **at, char *err,
                     size_t errlen)
{
    const char *rest = value, *bad;
    size_t len, n = 0;

    while (words_next(&rest, &len, &bad))
        n++;
    if (bad || strlen(value) > WORDS_MAX) {
        snprintf(err, errlen, "%s: %s; separate names with blanks, and quote one that holds any%s",
                 k->name, bad ? bad : "the list is too long", comment_hint(value));
        return -EINVAL;
    }
    if (n)
        return text_set(at, value);
    free(*at);
    *at = NULL;
    return 0;
}

int config_value_set(const struct config_key *k, const char *value, const char *dir, void *base,
                     char *err, size_t errlen)
{
    static const char *const views[] = {"raw", "contents", "both"};
    static const char *const missing[] = {"error", "zeros"};
    void *at = (char *)base + k->at;
    uint64_t n;
    int rc;

    switch (k->kind) {
    case CONFIG_TEXT:
        return name_set(k, value, at, err, errlen);
    case CONFIG_HOST:
        return host_set(k, value, at, err, errlen);
    case CONFIG_PATH:
        return path_set(value, dir, at);
    case CONFIG_PASSWORD:
        return password_set(k, value, at, err, errlen);
    case CONFIG_PASSWORD_FILE:
    case CONFIG_CREDENTIAL:
        return secret_set(k, value, dir, at, err, errlen);
    case CONFIG_NUMBER:
        rc = number_read(k, value, &n, err, errlen);
        if (rc == 0)
            *(unsigned *)at = (unsigned)n;
        return rc;
    case CONFIG_OCTAL:
        return octal_read(k, value, at, err, errlen);
    case CONFIG_ID:
        return id_read(k, value, at, err, errlen);
    case CONFIG_FLAG:
        return flag_read(k, value, at, err, errlen);
    case CONFIG_SIZE:
        return size_read(k, value, at, err, errlen);
    case CONFIG_SHARE:
        return share_read(k, value, at, err, errlen);
    case CONFIG_VIEW:
        rc = word_read(k, value, views, 3, err, errlen);
        if (rc >= 0)
            *(enum config_view *)at = (enum config_view)rc;
        return rc < 0 ? rc : 0;
    case CONFIG_MISSING:
        rc = word_read(k, value, missing, 2, err, errlen);
        if (rc >= 0)
            *(bool *)at = rc == 1;
        return rc < 0 ? rc : 0;
    case CONFIG_PASSWORDS:
        return passwords_set(value, dir, at, err, errlen);
    case CONFIG_WORDS:
        return words_set(k, value, at, err, errlen);
    }
    return -EINVAL;
}
