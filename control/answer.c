/* A line in, a line out: which verb it is, and what it says. */
#include "control/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- text -------------------------------------------------------------------------------------- */

/* How many bytes at `s` are one character of UTF-8 (RFC 3629 §4); 0: they are none. */
static size_t utf8_one(const unsigned char *s)
{
    unsigned char c = s[0];
    size_t n = c < 0x80 ? 1 : c >= 0xc2 && c < 0xe0 ? 2 : c >= 0xe0 && c < 0xf0 ? 3 : 4;

    if ((c >= 0x80 && c < 0xc2) || c > 0xf4)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80) /* the terminating NUL is none either */
            return 0;
    if ((c == 0xe0 && s[1] < 0xa0) || (c == 0xed && s[1] > 0x9f) || (c == 0xf0 && s[1] < 0x90) ||
        (c == 0xf4 && s[1] > 0x8f))
        return 0;
    return n;
}

json_t *control_string(const char *bytes)
{
    size_t len = strlen(bytes), n = 0;
    char *out = malloc(len * 3 + 1);

    if (!out)
        return NULL;
    for (const char *p = bytes; *p;) {
        size_t one = utf8_one((const unsigned char *)p);
        memcpy(out + n, one ? p : "\xef\xbf\xbd", one ? one : 3);
        n += one ? one : 3;
        p += one ? one : 1;
    }
    json_t *s = json_stringn(out, n);
    free(out);
    return s;
}

/* `answer` is taken. */
static char *line_make(json_t *answer, size_t *outlen)
{
    char *line = answer ? json_dumps(answer, JSON_COMPACT) : NULL;

    json_decref(answer);
    if (!line)
        return NULL;
    *outlen = strlen(line) + 1; /* the line end goes where the NUL is */
    if (*outlen > CONTROL_LINE_MOST) {
        free(line);
        return control_refusal("the answer is too long for the control socket", outlen);
    }
    line[*outlen - 1] = '\n';
    return line;
}

char *control_refusal(const char *why, size_t *outlen)
{
    json_t *text = control_string(why);

    return line_make(json_pack("{s:b, s:o}", "ok", 0, "error", text), outlen);
}

/* --- verbs ------------------------------------------------------------------------------------- */

static int hello(const struct control *c, json_t *answer)
{
    char *name = control_name_encode(c->mountpoint);
    bool good = name &&
                json_object_set_new(answer, "mountpoint", control_string(c->mountpoint)) == 0 &&
                json_object_set_new(answer, "name", json_string(name)) == 0 &&
                json_object_set_new(answer, "pid", json_integer(getpid())) == 0;

    free(name);
    return good ? 0 : -ENOMEM;
}

static const struct control_verb *verb_find(const struct control *c, const char *name)
{
    for (const struct control_verb *v = c->verbs; v->name; v++)
        if (strcmp(v->name, name) == 0)
            return v;
    return NULL;
}

static int verb_run(const struct control *c, const json_t *ask, json_t *answer, char *err)
{
    const char *name = json_string_value(json_object_get(ask, "verb"));

    if (!name) {
        snprintf(err, CONTROL_WHY_MOST, "not a request: an object with \"verb\" is asked for");
        return -EBADMSG;
    }
    if (strcmp(name, "hello") == 0)
        return hello(c, answer);
    const struct control_verb *v = verb_find(c, name);
    if (!v) {
        snprintf(err, CONTROL_WHY_MOST,
                 "unknown verb '%.64s'; the mount is served by another version of nzbfs", name);
        return -ENOSYS;
    }
    return v->run(c->arg, ask, answer, err, CONTROL_WHY_MOST);
}

char *control_answer(const struct control *c, const char *line, size_t len, size_t *outlen)
{
    json_error_t where;
    json_t *ask = json_loadb(line, len, JSON_REJECT_DUPLICATES, &where);
    json_t *answer = json_pack("{s:b}", "ok", 1);
    char err[CONTROL_WHY_MOST] = "";
    int rc = -ENOMEM;

    if (!ask) {
        snprintf(err, sizeof(err), "not a line of JSON: %.160s", where.text);
        rc = -EBADMSG;
    } else if (answer) {
        rc = verb_run(c, ask, answer, err);
    }
    json_decref(ask);
    if (rc == 0)
        return line_make(answer, outlen);
    json_decref(answer);
    return control_refusal(err[0] ? err : strerror(-rc), outlen);
}
