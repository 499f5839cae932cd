/* control — a client of a mount that says anything at all, and files of any name among the sockets.
 *
 * Whatever comes, the answer is one line, an object with "ok"; what a name was decoded to has
 * a name that says the same. */
#include "control/internal.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int echo(void *arg, const json_t *ask, json_t *answer, char *err, size_t errlen)
{
    (void)arg, (void)err, (void)errlen;
    return json_object_set_new(answer, "ask", json_deep_copy(ask));
}

static void line_try(const char *line, size_t len)
{
    static const struct control_verb verbs[] = {{"echo", echo}, {NULL, NULL}};
    static char mountpoint[] = "/mnt/film";
    struct control c = {.mountpoint = mountpoint, .verbs = verbs};
    size_t n = 0;
    char *out = control_answer(&c, line, len, &n);

    if (!out || !n || n > CONTROL_LINE_MOST || memchr(out, '\n', n) != out + n - 1)
        abort();
    json_t *answer = json_loadb(out, n, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_boolean(json_object_get(answer, "ok")))
        abort();
    json_decref(answer);
    free(out);
}

static void text_try(const char *text)
{
    struct sockaddr_un at;
    char err[256];
    json_t *s = control_string(text);

    if (!s)
        abort();
    json_decref(s);
    char *path = control_name_decode(text), *name = path ? control_name_encode(path) : NULL;
    char *again = name ? control_name_decode(name) : NULL;
    if (path && (!again || strcmp(again, path) != 0))
        abort();
    if (control_address("/run/nzbfs", text, &at, err, sizeof(err)) < 0)
        abort();
    free(again);
    free(name);
    free(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    if (!text)
        abort();
    memcpy(text, data, size);
    text[size] = '\0';
    line_try((const char *)data, size);
    text_try(text);
    free(text);
    return 0;
}
