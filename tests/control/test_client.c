#include "tests/control/rig.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define AT "/mnt/film"

/* --- servers that are none ---------------------------------------------------------------------- */

struct impostor {
    pthread_t thread;
    int fd;
    void (*act)(int client);
};

static void *impostor_run(void *arg)
{
    struct impostor *i = arg;
    int client = accept(i->fd, NULL, NULL);

    if (client >= 0) {
        i->act(client);
        close(client);
    }
    return NULL;
}

/* Listens at AT and does that to the first who comes. */
static void impostor_start(struct impostor *i, void (*act)(int client))
{
    struct sockaddr_un at;

    mkdir(rig_dir, 0700);
    ck_assert_int_eq(control_address(rig_dir, AT, &at, rig_err, sizeof(rig_err)), 0);
    i->act = act;
    i->fd = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(i->fd, (const struct sockaddr *)&at, sizeof(at)), 0);
    ck_assert_int_eq(listen(i->fd, 4), 0);
    ck_assert_int_eq(pthread_create(&i->thread, NULL, impostor_run, i), 0);
}

static void impostor_end(struct impostor *i)
{
    pthread_join(i->thread, NULL);
    close(i->fd);
}

static int ask(unsigned patience_ms)
{
    json_t *question = json_pack("{s:s}", "verb", "echo"), *answer = NULL;

    int rc = control_ask_patient(AT, question, patience_ms, &answer, rig_err, sizeof(rig_err));
    ck_assert((rc == 0) == (answer != NULL));
    json_decref(answer);
    json_decref(question);
    return rc;
}

static void expect(void (*act)(int client), int rc, const char *words)
{
    struct impostor i;

    impostor_start(&i, act);
    ck_assert_int_eq(ask(rc == -ETIMEDOUT ? RIG_PATIENCE_MS : RIG_LONG_MS), rc);
    ck_assert_msg(strstr(rig_err, words), "said: %s", rig_err);
    impostor_end(&i);
}

static void say(int fd, const char *bytes)
{
    char line[256];

    ck_assert_int_gt(recv(fd, line, sizeof(line), 0), 0);
    rig_send(fd, bytes, strlen(bytes));
}

/* Until the client gives up. */
static void wait_out(int fd)
{
    char line[256];

    while (recv(fd, line, sizeof(line), 0) > 0)
        ;
}

static void nothing(int fd)
{
    wait_out(fd);
}

static void half(int fd)
{
    say(fd, "{\"ok\":tr");
    wait_out(fd);
}

static void hang_up(int fd)
{
    (void)fd;
}

static void cut_off(int fd)
{
    say(fd, "{\"ok\":true");
}

static void garbage(int fd)
{
    say(fd, "220 welcome\n");
}

static void list(int fd)
{
    say(fd, "[true]\n");
}

static void no_reason(int fd)
{
    say(fd, "{\"ok\":false}\n");
}

static void endless(int fd)
{
    char *much = malloc(CONTROL_LINE_MOST * 3 + 1);

    memset(much, ' ', CONTROL_LINE_MOST * 3);
    much[CONTROL_LINE_MOST * 3] = '\0';
    say(fd, much);
    free(much);
}

START_TEST(a_server_that_does_not_answer_is_given_up)
{
    expect(nothing, -ETIMEDOUT, "does not answer");
}
END_TEST

START_TEST(half_an_answer_is_none)
{
    expect(half, -ETIMEDOUT, "does not answer");
}
END_TEST

START_TEST(a_server_that_hangs_up_is_told)
{
    expect(hang_up, -EPROTO, "ended");
}
END_TEST

START_TEST(an_answer_that_is_cut_off_is_none)
{
    expect(cut_off, -EPROTO, "ended");
}
END_TEST

START_TEST(what_is_not_json_is_no_answer)
{
    expect(garbage, -EPROTO, "no nzbfs");
}
END_TEST

START_TEST(an_answer_that_does_not_say_ok_is_a_no)
{
    expect(list, -EREMOTEIO, "and not why");
}
END_TEST

START_TEST(a_no_without_a_reason_is_a_no)
{
    expect(no_reason, -EREMOTEIO, "and not why");
}
END_TEST

START_TEST(an_endless_line_is_not_read_to_its_end)
{
    expect(endless, -EPROTO, "no nzbfs");
}
END_TEST

/* --- nobody ------------------------------------------------------------------------------------ */

static void stale_make(const char *mountpoint)
{
    struct sockaddr_un at;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    mkdir(rig_dir, 0700);
    ck_assert_int_eq(control_address(rig_dir, mountpoint, &at, rig_err, sizeof(rig_err)), 0);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
    close(fd);
}

START_TEST(where_nothing_is_mounted_is_told)
{
    ck_assert_int_eq(ask(RIG_LONG_MS), -ENOENT); /* not even the directory */
    ck_assert_ptr_nonnull(strstr(rig_err, "nothing is mounted"));
    ck_assert_int_eq(mkdir(rig_dir, 0700), 0);
    ck_assert_int_eq(ask(RIG_LONG_MS), -ENOENT);
    stale_make(AT);
    ck_assert_int_eq(ask(RIG_LONG_MS), -ENOENT);
    ck_assert_int_eq(chmod(rig_dir, 0755), 0);
    ck_assert_int_eq(ask(RIG_LONG_MS), -EACCES);
}
END_TEST

/* --- all of them ------------------------------------------------------------------------------- */

struct seen {
    unsigned n, most;
    char paths[8][64];
};

static bool see(void *arg, const char *mountpoint)
{
    struct seen *s = arg;

    ck_assert_uint_lt(s->n, 8);
    snprintf(s->paths[s->n++], sizeof(s->paths[0]), "%s", mountpoint);
    return s->n < s->most;
}

START_TEST(all_mounts_are_told_in_order_and_stale_ones_removed)
{
    struct seen s = {.most = 8};
    char path[128];
    struct stat st;

    struct control *b = rig_serve("/mnt/b", RIG_LONG_MS),
                   *a = rig_serve("/mnt/\xff\n", RIG_LONG_MS),
                   *c = rig_serve("/mnt/c", RIG_LONG_MS);
    stale_make("/mnt/a");
    snprintf(path, sizeof(path), "%s/file.sock", rig_dir);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    ck_assert_int_ge(fd, 0);
    close(fd);
    ck_assert_int_eq(control_each(see, &s, rig_err, sizeof(rig_err)), 0);
    ck_assert_uint_eq(s.n, 3);
    ck_assert_str_eq(s.paths[0], "/mnt/\xff\n");
    ck_assert_str_eq(s.paths[1], "/mnt/b");
    ck_assert_str_eq(s.paths[2], "/mnt/c");
    ck_assert_int_eq(lstat(path, &st), 0); /* not a socket: not ours to remove */
    snprintf(path, sizeof(path), "%s/mnt+a.sock", rig_dir);
    ck_assert_int_lt(lstat(path, &st), 0);
    control_stop(a);
    control_stop(b);
    control_stop(c);
}
END_TEST

START_TEST(it_ends_where_somebody_has_seen_enough)
{
    struct seen s = {.most = 1};
    struct control *a = rig_serve("/mnt/a", RIG_LONG_MS), *b = rig_serve("/mnt/b", RIG_LONG_MS);

    ck_assert_int_eq(control_each(see, &s, rig_err, sizeof(rig_err)), 0);
    ck_assert_uint_eq(s.n, 1);
    control_stop(a);
    control_stop(b);
}
END_TEST

START_TEST(one_that_does_not_answer_does_not_hide_the_others)
{
    struct seen s = {.most = 8};
    struct impostor i;
    struct control *z = rig_serve("/mnt/z", RIG_LONG_MS);

    impostor_start(&i, hang_up);
    ck_assert_int_eq(control_each(see, &s, rig_err, sizeof(rig_err)), -EPROTO);
    ck_assert_ptr_nonnull(strstr(rig_err, "/mnt/film: the mount ended"));
    ck_assert_uint_eq(s.n, 1);
    impostor_end(&i);
    control_stop(z);
}
END_TEST

/* The environments of a session and of what cron starts. Runs as `uid`, in a process of its own. */
static int strangers_meet(unsigned uid)
{
    struct seen s = {.most = 8};
    json_t *hello = json_pack("{s:s}", "verb", "hello"), *answer = NULL;
    char tmp[32];

    snprintf(tmp, sizeof(tmp), "/tmp/nzbfs-%u", uid);
    if (setgid(uid) < 0 || setuid(uid) < 0)
        return 2;
    unsetenv("NZBFS_RUNTIME_DIR");
    unsetenv("XDG_RUNTIME_DIR");
    struct control *c = rig_serve(AT, RIG_LONG_MS);
    setenv("XDG_RUNTIME_DIR", "/nowhere", 1);
    bool found = control_ask(AT, hello, &answer, rig_err, sizeof(rig_err)) == 0 &&
                 control_each(see, &s, rig_err, sizeof(rig_err)) == 0 && s.n == 1;
    json_decref(answer);
    bool absent = control_ask("/mnt/other", hello, &answer, rig_err, sizeof(rig_err)) == -ENOENT;
    control_stop(c);
    json_decref(hello);
    if (rmdir(tmp) < 0)
        return 3;
    return found && absent ? 0 : 1;
}

START_TEST(a_mount_that_was_made_in_another_environment_is_found)
{
    if (geteuid() != 0)
        return; /* only root can become a user whose directory nobody has made */
    unsigned uid = 70000 + (unsigned)getpid() % 60000;
    pid_t child = fork();
    if (child == 0)
        _exit(strangers_meet(uid));
    int status = -1;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(a_question_that_is_too_long_is_not_sent)
{
    struct control *c = rig_serve(AT, RIG_LONG_MS);
    char *much = malloc(CONTROL_LINE_MOST + 1);
    json_t *answer;

    memset(much, 'x', CONTROL_LINE_MOST);
    much[CONTROL_LINE_MOST] = '\0';
    json_t *q = json_pack("{s:s, s:s}", "verb", "echo", "text", much);
    free(much);
    ck_assert_int_eq(control_ask(AT, q, &answer, rig_err, sizeof(rig_err)), -EMSGSIZE);
    ck_assert_ptr_nonnull(strstr(rig_err, "more than a mount takes at once"));
    json_decref(q);
    rig_expect_alive(AT);
    control_stop(c);
}
END_TEST

START_TEST(without_a_directory_there_are_none)
{
    struct seen s = {.most = 8};

    ck_assert_int_eq(control_each(see, &s, rig_err, sizeof(rig_err)), 0);
    ck_assert_uint_eq(s.n, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("control/client");
    TCase *t = tcase_create("client");

    tcase_add_checked_fixture(t, rig_setup, rig_teardown);
    tcase_add_test(t, a_server_that_does_not_answer_is_given_up);
    tcase_add_test(t, half_an_answer_is_none);
    tcase_add_test(t, a_server_that_hangs_up_is_told);
    tcase_add_test(t, an_answer_that_is_cut_off_is_none);
    tcase_add_test(t, what_is_not_json_is_no_answer);
    tcase_add_test(t, an_answer_that_does_not_say_ok_is_a_no);
    tcase_add_test(t, a_no_without_a_reason_is_a_no);
    tcase_add_test(t, an_endless_line_is_not_read_to_its_end);
    tcase_add_test(t, where_nothing_is_mounted_is_told);
    tcase_add_test(t, all_mounts_are_told_in_order_and_stale_ones_removed);
    tcase_add_test(t, it_ends_where_somebody_has_seen_enough);
    tcase_add_test(t, one_that_does_not_answer_does_not_hide_the_others);
    tcase_add_test(t, a_mount_that_was_made_in_another_environment_is_found);
    tcase_add_test(t, a_question_that_is_too_long_is_not_sent);
    tcase_add_test(t, without_a_directory_there_are_none);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
