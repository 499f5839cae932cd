#include "tests/control/rig.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define AT "/mnt/film"

static json_t *ask_for(const char *verb)
{
    json_t *ask = json_pack("{s:s}", "verb", verb);

    ck_assert_ptr_nonnull(ask);
    return ask;
}

static void path_of(const char *mountpoint, char out[CONTROL_PATH_MOST])
{
    struct sockaddr_un at;

    ck_assert_int_eq(control_address(rig_dir, mountpoint, &at, rig_err, sizeof(rig_err)), 0);
    memcpy(out, at.sun_path, CONTROL_PATH_MOST);
}

/* --- answers ----------------------------------------------------------------------------------- */

START_TEST(a_verb_is_answered)
{
    struct control *c = rig_serve(AT, RIG_LONG_MS);
    json_t *ask = json_pack("{s:s, s:[i, s]}", "verb", "echo", "args", 7, "\xc3\xa9"), *answer;

    ck_assert_int_eq(control_ask(AT, ask, &answer, rig_err, sizeof(rig_err)), 0);
    ck_assert(json_equal(json_object_get(answer, "ask"), ask));
    json_decref(answer);
    json_decref(ask);
    control_stop(c);
}
END_TEST

START_TEST(hello_says_who_it_is)
{
    struct control *c = rig_serve("/mnt/\xff odd", RIG_LONG_MS);
    json_t *ask = ask_for("hello"), *answer;

    ck_assert_int_eq(control_ask("/mnt/\xff odd", ask, &answer, rig_err, sizeof(rig_err)), 0);
    ck_assert_str_eq(json_string_value(json_object_get(answer, "mountpoint")),
                     "/mnt/\xef\xbf\xbd odd");
    ck_assert_str_eq(json_string_value(json_object_get(answer, "name")), "mnt+%ff%20odd");
    ck_assert_int_eq(json_integer_value(json_object_get(answer, "pid")), getpid());
    json_decref(answer);
    json_decref(ask);
    control_stop(c);
}
END_TEST

START_TEST(a_verb_that_fails_says_why_and_nothing_else)
{
    struct control *c = rig_serve(AT, RIG_LONG_MS);
    json_t *ask = ask_for("fail"), *answer;

    rig_expect_refusal(AT, "{\"verb\":\"fail\"}", "a word \xef\xbf\xbd why");
    rig_expect_refusal(AT, "{\"verb\":\"mute\"}", strerror(EIO));
    ck_assert_int_eq(control_ask(AT, ask, &answer, rig_err, sizeof(rig_err)), -EREMOTEIO);
    ck_assert_ptr_null(answer);
    ck_assert_str_eq(rig_err, AT ": a word \xef\xbf\xbd why");
    json_decref(ask);
    control_stop(c);
}
END_TEST

START_TEST(an_answer_too_long_for_a_line_is_refused)
{
    struct control *c = rig_serve(AT, RIG_LONG_MS);

    rig_expect_refusal(AT, "{\"verb\":\"big\",\"n\":1048576}", "too long");
    json_t *ask = json_pack("{s:s, s:i}", "verb", "big", "n", 1000000), *answer;
    ck_assert_int_eq(control_ask(AT, ask, &answer, rig_err, sizeof(rig_err)), 0);
    ck_assert_uint_eq(json_string_length(json_object_get(answer, "text")), 1000000);
    json_decref(answer);
    json_decref(ask);
    control_stop(c);
}
END_TEST

static long fails_in; /* that many of jansson's allocations succeed yet */

static void *alloc_or_fail(size_t n)
{
    return fails_in-- > 0 ? malloc(n) : NULL;
}

START_TEST(without_memory_the_answer_is_none_or_a_whole_one)
{
    static const char line[] = "{\"verb\":\"echo\",\"a\":[1,\"two\",{\"three\":null}]}";
    static char at[] = AT;
    struct control c = {.mountpoint = at, .verbs = rig_verbs, .arg = &rig_counts};
    bool ok = false;

    json_set_alloc_funcs(alloc_or_fail, free);
    for (long n = 0; n < 500 && !ok; n++) {
        size_t len = 0;
        fails_in = n;
        char *out = control_answer(&c, line, sizeof(line) - 1, &len);
        fails_in = 100000;
        if (!out)
            continue;
        ck_assert_int_eq(out[len - 1], '\n');
        json_t *answer = json_loadb(out, len, 0, NULL);
        ck_assert(json_is_boolean(json_object_get(answer, "ok")));
        ok = json_is_true(json_object_get(answer, "ok"));
        if (ok)
            ck_assert_uint_eq(json_object_size(json_object_get(answer, "ask")), 2);
        json_decref(answer);
        free(out);
    }
    json_set_alloc_funcs(malloc, free);
    ck_assert(ok);
}
END_TEST

/* --- who means ill ----------------------------------------------------------------------------- */

START_TEST(what_is_no_request_gets_a_word_why)
{
    struct control *c = rig_serve(AT, RIG_LONG_MS);
    char deep[8000];

    rig_expect_refusal(AT, "", "JSON");
    rig_expect_refusal(AT, "hello", "JSON");
    rig_expect_refusal(AT, "{\"verb\":\"echo\"", "JSON");
    rig_expect_refusal(AT, "{\"verb\":\"echo\",\"verb\":\"fail\"}", "JSON");
    rig_expect_refusal(AT, "{\"verb\":\"ech\\u0000o\"}", "JSON");
    rig_expect_refusal(AT, "{\"verb\":\"\xff\"}", "JSON");
    rig_expect_refusal(AT, "[]", "not a request");
    rig_expect_refusal(AT, "{}", "not a request");
    rig_expect_refusal(AT, "{\"verb\":7}", "not a request");
    rig_expect_refusal(AT, "{\"verb\":\"\"}", "unknown verb ''");
    rig_expect_refusal(AT, "{\"verb\":\"echoo\"}", "unknown verb 'echoo'");
    memset(deep, '[', sizeof(deep) - 1);
    deep[sizeof(deep) - 1] = '\0';
    rig_expect_refusal(AT, deep, "JSON");
    ck_assert_uint_eq(atomic_load(&rig_counts.echoes), 0);
    rig_expect_alive(AT);
    control_stop(c);
}
END_TEST

/* `len` bytes before the line end. */
static json_t *long_line(size_t len)
{
    char *line = malloc(len + 1);
    int fd = rig_connect(AT);
    int n = snprintf(line, len, "{\"verb\":\"echo\"}");

    memset(line + n, ' ', len - (size_t)n);
    line[len] = '\n';
    rig_send(fd, line, len + 1);
    free(line);
    return rig_answer(fd);
}

START_TEST(a_line_may_have_its_length_and_not_a_byte_more)
{
    struct control *c = rig_serve(AT, RIG_LONG_MS);

    json_t *answer = long_line(CONTROL_LINE_MOST - 1);
    ck_assert(json_is_true(json_object_get(answer, "ok")));
    json_decref(answer);
    answer = long_line(CONTROL_LINE_MOST);
    ck_assert(json_is_false(json_object_get(answer, "ok")));
    json_decref(answer);
    answer = long_line(CONTROL_LINE_MOST * 8);
    ck_assert_str_eq(json_string_value(json_object_get(answer, "error")), "the line is too long");
    json_decref(answer);
    rig_expect_alive(AT);
    control_stop(c);
}
END_TEST

START_TEST(a_request_may_come_byte_by_byte)
{
    struct control *c = rig_serve(AT, RIG_LONG_MS);
    static const char line[] = "{\"verb\":\"echo\"}\n and then some";
    int fd = rig_connect(AT);

    for (size_t i = 0; i < sizeof(line) - 1; i++)
        rig_send(fd, line + i, 1);
    json_t *answer = rig_answer(fd);
    ck_assert(json_is_true(json_object_get(answer, "ok")));
    json_decref(answer);
    control_stop(c);
}
END_TEST

START_TEST(who_leaves_in_the_middle_harms_nobody)
{
    struct control *c = rig_serve(AT, RIG_LONG_MS);

    for (unsigned i = 0; i < 100; i++) {
        int fd = rig_connect(AT);
        if (i % 3 == 1)
            rig_send(fd, "{\"verb\":", 8);
        if (i % 3 == 2)
            rig_send(fd, "{\"verb\":\"big\",\"n\":900000}\n", 26);
        close(fd);
    }
    rig_expect_alive(AT);
    control_stop(c);
}
END_TEST

START_TEST(who_says_nothing_is_hung_up_on)
{
    struct control *c = rig_serve(AT, RIG_PATIENCE_MS);
    int silent = rig_connect(AT), half = rig_connect(AT);

    rig_send(half, "{\"verb\":\"echo\"", 14);
    ck_assert_ptr_null(rig_answer(silent));
    ck_assert_ptr_null(rig_answer(half));
    control_stop(c);
}
END_TEST

/* Until the server has closed, with nothing of what it sent taken. */
static void await_hangup(int fd)
{
    struct pollfd p = {.fd = fd};

    ck_assert_int_eq(poll(&p, 1, RIG_LONG_MS), 1);
    ck_assert(p.revents & POLLHUP);
    close(fd);
}

START_TEST(who_never_reads_its_answer_is_hung_up_on)
{
    struct control *c = rig_serve(AT, RIG_PATIENCE_MS);
    int fd = rig_connect(AT);

    rig_send(fd, "{\"verb\":\"big\",\"n\":1000000}\n", 27);
    await_hangup(fd);
    rig_expect_alive(AT);
    control_stop(c);
}
END_TEST

START_TEST(a_crowd_of_silent_ones_only_delays_the_next)
{
    struct control *c = rig_serve(AT, RIG_PATIENCE_MS);
    int fds[CONTROL_PEERS_MOST * 2];

    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
        fds[i] = rig_connect(AT);
    rig_expect_alive(AT);
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
        close(fds[i]);
    control_stop(c);
}
END_TEST

static void *ask_often(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 50; i++)
        rig_expect_alive(AT);
    return NULL;
}

START_TEST(many_may_ask_at_once_and_verbs_run_one_at_a_time)
{
    struct control *c = rig_serve(AT, RIG_LONG_MS);
    pthread_t threads[6];

    for (size_t i = 0; i < 6; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, ask_often, NULL), 0);
    for (size_t i = 0; i < 6; i++)
        pthread_join(threads[i], NULL);
    control_stop(c);
    ck_assert_uint_eq(rig_counts.plain, 300);
}
END_TEST

START_TEST(another_user_is_refused_even_past_the_directory)
{
    if (geteuid() != 0)
        return; /* only root can become somebody else */
    struct control *c = rig_serve(AT, RIG_LONG_MS);
    char path[CONTROL_PATH_MOST];

    /* The server is root's: to it, nobody is another. */
    path_of(AT, path);
    ck_assert_int_eq(chmod(path, 0666), 0);
    ck_assert_int_eq(chmod(rig_dir, 0711), 0);
    *strrchr(rig_dir, '/') = '\0';
    ck_assert_int_eq(chmod(rig_dir, 0711), 0);
    rig_dir[strlen(rig_dir)] = '/';
    pid_t child = fork();
    if (child == 0) {
        char line[512] = "";
        if (setgid(65534) < 0 || setuid(65534) < 0)
            _exit(3);
        int fd = rig_connect(AT);
        rig_send(fd, "{\"verb\":\"echo\"}\n", 16);
        ssize_t n = recv(fd, line, sizeof(line) - 1, MSG_WAITALL);
        _exit(n > 0 && strstr(line, "belongs to another user") ? 0 : 1);
    }
    int status = -1;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    ck_assert_uint_eq(atomic_load(&rig_counts.echoes), 0);
    ck_assert_int_eq(chmod(rig_dir, 0700), 0);
    rig_expect_alive(AT);
    control_stop(c);
}
END_TEST

/* --- the socket -------------------------------------------------------------------------------- */

START_TEST(the_socket_is_its_owners_and_goes_with_the_server)
{
    mode_t before = umask(0);
    struct control *c = rig_serve(AT, RIG_LONG_MS);
    char path[CONTROL_PATH_MOST];
    struct stat st;

    umask(before);
    path_of(AT, path);
    ck_assert_int_eq(lstat(path, &st), 0);
    ck_assert(S_ISSOCK(st.st_mode));
    ck_assert_uint_eq(st.st_mode & 07777, 0600);
    int fd = rig_connect(AT);
    control_stop(c);
    ck_assert_ptr_null(rig_answer(fd));
    ck_assert_int_lt(lstat(path, &st), 0);
    control_stop(NULL);
}
END_TEST

/* A socket with a name and nobody behind it, as kill -9 leaves one. */
static void stale_make(const char *mountpoint)
{
    struct sockaddr_un at;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    mkdir(rig_dir, 0700);
    ck_assert_int_eq(control_address(rig_dir, mountpoint, &at, rig_err, sizeof(rig_err)), 0);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
    ck_assert_int_eq(listen(fd, 1), 0);
    close(fd);
}

START_TEST(a_socket_that_nobody_listens_on_is_replaced)
{
    stale_make(AT);
    struct control *c = rig_serve(AT, RIG_LONG_MS);
    rig_expect_alive(AT);
    control_stop(c);
}
END_TEST

START_TEST(a_living_servers_socket_is_not_stolen)
{
    struct control *c = rig_serve(AT, RIG_LONG_MS), *other = NULL;

    int rc = control_start_patient(AT, rig_verbs, &rig_counts, RIG_LONG_MS, 1, &other, rig_err,
                                   sizeof(rig_err));
    ck_assert_int_eq(rc, -EADDRINUSE);
    ck_assert_ptr_null(other);
    rig_expect_alive(AT);
    control_stop(c);
}
END_TEST

START_TEST(what_is_no_socket_stays)
{
    char path[CONTROL_PATH_MOST];
    struct control *c = NULL;

    ck_assert_int_eq(mkdir(rig_dir, 0700), 0);
    path_of(AT, path);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    ck_assert_int_ge(fd, 0);
    close(fd);
    ck_assert_int_eq(control_start(AT, rig_verbs, &rig_counts, &c, rig_err, sizeof(rig_err)),
                     -EEXIST);
    ck_assert_ptr_nonnull(strstr(rig_err, "in the way"));
    ck_assert_int_eq(access(path, F_OK), 0);
}
END_TEST

static void *start_when_free(void *arg)
{
    struct control **out = arg;
    char err[512];

    if (control_start_patient(AT, rig_verbs, &rig_counts, RIG_LONG_MS, RIG_LONG_MS, out, err,
                              sizeof(err)) < 0)
        *out = NULL;
    return NULL;
}

START_TEST(a_server_that_ends_hands_its_place_over)
{
    for (unsigned i = 0; i < 20; i++) {
        struct control *c = rig_serve(AT, RIG_LONG_MS), *next = NULL;
        pthread_t thread;
        ck_assert_int_eq(pthread_create(&thread, NULL, start_when_free, &next), 0);
        control_stop(c);
        pthread_join(thread, NULL);
        ck_assert_ptr_nonnull(next);
        rig_expect_alive(AT);
        control_stop(next);
    }
}
END_TEST

START_TEST(a_socket_that_took_the_place_of_a_removed_one_stays)
{
    struct control *c = rig_serve(AT, RIG_LONG_MS);
    char path[CONTROL_PATH_MOST];

    path_of(AT, path);
    ck_assert_int_eq(unlink(path), 0);
    struct control *next = rig_serve(AT, RIG_LONG_MS);
    control_stop(c);
    rig_expect_alive(AT);
    control_stop(next);
}
END_TEST

START_TEST(a_lock_that_is_never_given_back_is_told)
{
    struct control *c = NULL;
    char dir[CONTROL_PATH_MOST];

    int fd = control_dir_open(0, true, dir, rig_err, sizeof(rig_err));
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(flock(fd, LOCK_EX), 0);
    ck_assert_int_eq(control_start(AT, rig_verbs, &rig_counts, &c, rig_err, sizeof(rig_err)),
                     -EWOULDBLOCK);
    ck_assert_ptr_nonnull(strstr(rig_err, "cannot be locked"));
    close(fd);
    c = rig_serve(AT, RIG_LONG_MS);
    control_stop(c);
}
END_TEST

static void *compete(void *arg)
{
    struct control *c = NULL;
    char err[512];
    (void)arg;

    for (unsigned i = 0; i < 20; i++) {
        int rc =
            control_start_patient(AT, rig_verbs, &rig_counts, RIG_LONG_MS, 0, &c, err, sizeof(err));
        ck_assert_msg(rc == 0 || rc == -EADDRINUSE, "%s", err);
        if (rc == 0) {
            /* Whoever has the place is who answers. */
            rig_expect_alive(AT);
            control_stop(c);
        }
    }
    return NULL;
}

START_TEST(of_many_that_start_at_one_place_one_has_it)
{
    pthread_t threads[4];

    stale_make(AT);
    for (size_t i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, compete, NULL), 0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("control/server");
    TCase *t = tcase_create("server");

    tcase_add_checked_fixture(t, rig_setup, rig_teardown);
    tcase_add_test(t, a_verb_is_answered);
    tcase_add_test(t, hello_says_who_it_is);
    tcase_add_test(t, a_verb_that_fails_says_why_and_nothing_else);
    tcase_add_test(t, an_answer_too_long_for_a_line_is_refused);
    tcase_add_test(t, without_memory_the_answer_is_none_or_a_whole_one);
    tcase_add_test(t, what_is_no_request_gets_a_word_why);
    tcase_add_test(t, a_line_may_have_its_length_and_not_a_byte_more);
    tcase_add_test(t, a_request_may_come_byte_by_byte);
    tcase_add_test(t, who_leaves_in_the_middle_harms_nobody);
    tcase_add_test(t, who_says_nothing_is_hung_up_on);
    tcase_add_test(t, who_never_reads_its_answer_is_hung_up_on);
    tcase_add_test(t, a_crowd_of_silent_ones_only_delays_the_next);
    tcase_add_test(t, many_may_ask_at_once_and_verbs_run_one_at_a_time);
    tcase_add_test(t, another_user_is_refused_even_past_the_directory);
    tcase_add_test(t, the_socket_is_its_owners_and_goes_with_the_server);
    tcase_add_test(t, a_socket_that_nobody_listens_on_is_replaced);
    tcase_add_test(t, a_living_servers_socket_is_not_stolen);
    tcase_add_test(t, what_is_no_socket_stays);
    tcase_add_test(t, a_server_that_ends_hands_its_place_over);
    tcase_add_test(t, a_socket_that_took_the_place_of_a_removed_one_stays);
    tcase_add_test(t, a_lock_that_is_never_given_back_is_told);
    tcase_add_test(t, of_many_that_start_at_one_place_one_has_it);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
