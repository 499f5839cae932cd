#include "tests/control/rig.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

char rig_dir[64];
char rig_err[512];
struct rig_counts rig_counts;
static char above[] = "/tmp/nzbfs-control.XXXXXX";

void rig_setup(void)
{
    strcpy(above + sizeof(above) - 7, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(above));
    snprintf(rig_dir, sizeof(rig_dir), "%s/run", above);
    setenv("NZBFS_RUNTIME_DIR", rig_dir, 1);
    rig_err[0] = '\0';
    rig_counts.plain = 0;
    atomic_store(&rig_counts.echoes, 0);
}

static void dir_remove(const char *dir)
{
    DIR *d = opendir(dir);
    char path[512];

    for (struct dirent *e; d && (e = readdir(d));) {
        snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
        if (e->d_name[0] != '.')
            unlink(path);
    }
    if (d)
        closedir(d);
    if (rmdir(dir) < 0)
        unlink(dir);
}

void rig_teardown(void)
{
    dir_remove(rig_dir);
    dir_remove(above);
}

/* --- verbs ------------------------------------------------------------------------------------- */

static int echo(void *arg, const json_t *ask, json_t *answer, char *err, size_t errlen)
{
    (void)err, (void)errlen;
    ck_assert_ptr_eq(arg, &rig_counts);
    rig_counts.plain++;
    atomic_fetch_add(&rig_counts.echoes, 1);
    return json_object_set_new(answer, "ask", json_deep_copy(ask)) == 0 ? 0 : -ENOMEM;
}

static int refuse(void *arg, const json_t *ask, json_t *answer, char *err, size_t errlen)
{
    (void)arg, (void)ask;
    snprintf(err, errlen, "a word \xff why");
    json_object_set_new(answer, "half", json_true());
    return -EINVAL;
}

static int mute(void *arg, const json_t *ask, json_t *answer, char *err, size_t errlen)
{
    (void)arg, (void)ask, (void)answer, (void)err, (void)errlen;
    return -EIO;
}

static int big(void *arg, const json_t *ask, json_t *answer, char *err, size_t errlen)
{
    size_t n = (size_t)json_integer_value(json_object_get(ask, "n"));
    char *text = calloc(1, n + 1);
    (void)arg, (void)err, (void)errlen;

    memset(text, 'x', n);
    int rc = json_object_set_new(answer, "text", json_string(text));
    free(text);
    return rc;
}

const struct control_verb rig_verbs[] = {
    {"echo", echo}, {"fail", refuse}, {"mute", mute}, {"big", big}, {NULL, NULL}};

struct control *rig_serve(const char *mountpoint, unsigned patience_ms)
{
    struct control *c;

    int rc = control_start_patient(mountpoint, rig_verbs, &rig_counts, patience_ms, 0, &c, rig_err,
                                   sizeof(rig_err));
    ck_assert_msg(rc == 0, "does not start: %s", rig_err);
    return c;
}

/* --- raw clients ------------------------------------------------------------------------------- */

int rig_connect(const char *mountpoint)
{
    struct sockaddr_un at;

    ck_assert_int_eq(control_address(rig_dir, mountpoint, &at, rig_err, sizeof(rig_err)), 0);
    int fd = control_connect(&at, RIG_LONG_MS);
    ck_assert_msg(fd >= 0, "cannot connect: %s", strerror(-fd));
    return fd;
}

void rig_send(int fd, const char *bytes, size_t len)
{
    while (len) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
        if (n < 0)
            return; /* it has heard enough */
        bytes += n;
        len -= (size_t)n;
    }
}

json_t *rig_answer(int fd)
{
    size_t room = CONTROL_LINE_MOST * 2, len = 0;
    char *line = malloc(room);
    ssize_t n;

    while ((n = recv(fd, line + len, room - len, 0)) > 0)
        len += (size_t)n;
    close(fd);
    /* One line, and nothing behind it. */
    ck_assert(len == 0 || memchr(line, '\n', len) == line + len - 1);
    json_t *answer = json_loadb(line, len, 0, NULL);
    free(line);
    return answer;
}

void rig_expect_refusal(const char *mountpoint, const char *line, const char *words)
{
    int fd = rig_connect(mountpoint);

    rig_send(fd, line, strlen(line));
    rig_send(fd, "\n", 1);
    json_t *answer = rig_answer(fd);
    ck_assert_msg(answer != NULL, "no answer to: %.60s", line);
    const char *said = json_string_value(json_object_get(answer, "error"));
    ck_assert(json_is_false(json_object_get(answer, "ok")));
    ck_assert_uint_eq(json_object_size(answer), 2);
    ck_assert_msg(said && strstr(said, words), "to %.60s it said: %s", line, said);
    json_decref(answer);
}

void rig_expect_alive(const char *mountpoint)
{
    json_t *ask = json_pack("{s:s}", "verb", "echo"), *answer;

    int rc = control_ask(mountpoint, ask, &answer, rig_err, sizeof(rig_err));
    ck_assert_msg(rc == 0, "it is not well: %s", rig_err);
    json_decref(answer);
    json_decref(ask);
}
