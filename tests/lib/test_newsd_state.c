/* What holds for the whole server: limits, outages, time, and control by lines of text. */
#include "tests/lib/newsd_script.h"
#include "tests/lib/test_newsd.h"

#include "base/clock.h"

#include <errno.h>
#include <string.h>

/* ---- limits ---- */

START_TEST(one_connection_too_many_is_refused)
{
    struct client a, b, c;
    serve(&(struct newsd_config){.max_connections = 2});
    hello(&a);
    hello(&b);
    client_open(&c);
    expect(&c, "502 ");
    ck_assert_int_eq(byte_get(&c), EOF);
    client_close(&c);
    client_close(&b);
    hello(&b); /* the place of one that is closed is free at once */
    struct newsd_stats s = stats();
    ck_assert_uint_eq(s.refused, 1);
    ck_assert_uint_eq(s.accepted, 4);
    ck_assert_uint_eq(s.connections, 2);
    ck_assert_uint_eq(s.connections_peak, 2);
    newsd_set_limit(server, 3);
    hello(&c);
    client_close(&a);
    client_close(&b);
    client_close(&c);
}
END_TEST

START_TEST(replacing_a_connection_is_never_one_too_many)
{
    struct client c[4];
    serve(&(struct newsd_config){.max_connections = 4});
    for (int i = 0; i < 4; i++)
        hello(&c[i]);
    for (int i = 0; i < 200; i++) {
        say(&c[i % 4], "QUIT\r\n");
        client_close(&c[i % 4]);
        hello(&c[i % 4]);
    }
    ck_assert_uint_eq(stats().refused, 0);
    ck_assert_uint_eq(stats().connections_peak, 4);
    for (int i = 0; i < 4; i++)
        client_close(&c[i]);
}
END_TEST

START_TEST(the_limit_may_be_told_at_login)
{
    struct client a, b;
    serve(&(struct newsd_config){
        .max_connections = 1, .limit_code = 481, .username = "u", .password = "p"});
    hello(&a);
    say(&a, "AUTHINFO USER u\r\nAUTHINFO PASS p\r\n");
    expect(&a, "381 ");
    expect(&a, "281 ");
    hello(&b);
    say(&b, "AUTHINFO USER u\r\nAUTHINFO PASS p\r\n");
    expect(&b, "381 ");
    expect(&b, "481 too many");
    client_close(&a);
    client_close(&b);
}
END_TEST

START_TEST(everyone_can_be_refused)
{
    struct client c;
    serve(&(struct newsd_config){.greeting = 400});
    client_open(&c);
    expect(&c, "400 ");
    ck_assert_int_eq(byte_get(&c), EOF);
    client_close(&c);
}
END_TEST

/* ---- the whole server ---- */

START_TEST(a_server_that_is_down_keeps_its_port)
{
    struct client c;
    bool was_reset;
    serve(&(struct newsd_config){0});
    hello(&c);
    newsd_down(server, true);
    drain(&c, &was_reset);
    ck_assert(was_reset);
    client_close(&c);
    ck_assert_int_eq(connect_to(newsd_port(server)), -ECONNREFUSED);
    struct newsd *other = newsd_start(&(struct newsd_config){0}, spool);
    ck_assert_uint_ne(newsd_port(other), newsd_port(server));
    newsd_stop(other);
    newsd_down(server, true);
    newsd_down(server, false);
    newsd_down(server, false);
    hello(&c);
    client_close(&c);
}
END_TEST

START_TEST(a_silent_server_answers_when_it_is_over)
{
    struct client old, new;
    serve(&(struct newsd_config){0});
    hello(&old);
    uint64_t before = stats().bytes_sent;
    newsd_silent(server, true);
    ask(&old, "STAT", id(1));
    client_open(&new);
    while (stats().accepted < 2)
        ;
    ck_assert_uint_eq(stats().bytes_sent, before);
    newsd_silent(server, false);
    expect(&old, "223 ");
    expect(&new, "200 ");
    newsd_silent(server, true);
    client_close(&old);
    while (stats().connections > 1)
        ;
    client_close(&new);
}
END_TEST

START_TEST(dropped_connections_end_in_good_order)
{
    struct client a, b;
    serve(&(struct newsd_config){0});
    hello(&a);
    hello(&b);
    newsd_drop_all(server);
    ck_assert_uint_eq(stats().connections, 0);
    ck_assert_int_eq(byte_get(&a), EOF);
    ck_assert_int_eq(byte_get(&b), EOF);
    client_close(&a);
    client_close(&b);
}
END_TEST

START_TEST(idle_connections_are_closed)
{
    struct client c;
    serve(&(struct newsd_config){.idle_close_ms = 20});
    hello(&c);
    ck_assert_int_eq(byte_get(&c), EOF);
    client_close(&c);
}
END_TEST

/* ---- time: only that it takes at least as long as it must, and far less than one by one ---- */

START_TEST(latency_is_paid_once_for_pipelined_commands)
{
    enum { N = 200 };
    struct client c;
    serve(&(struct newsd_config){0});
    hello(&c);
    newsd_set_latency(server, 50000);
    uint64_t start = clock_now_us();
    for (int i = 0; i < N; i++)
        say(&c, "DATE\r\n");
    for (int i = 0; i < N; i++)
        expect(&c, "111 ");
    uint64_t took = clock_now_us() - start;
    ck_assert_uint_ge(took, 50000);
    ck_assert_uint_lt(took, N * 50000 / 2);
    client_close(&c);
}
END_TEST

START_TEST(a_rate_holds_for_each_connection)
{
    struct client c;
    serve(&(struct newsd_config){.rate_bps = 200000, .jitter_us = 100, .straggler_permille = 1});
    hello(&c);
    uint64_t start = clock_now_us();
    ask(&c, "BODY", id(1));
    expect_body(&c, 1);
    /* 20,000 bytes, of which what was saved up in 20 ms goes at once. */
    ck_assert_uint_ge(clock_now_us() - start, 60000);
    client_close(&c);
}
END_TEST

/* ---- by lines of text ---- */

static const char *order(const char *line)
{
    static char answer[2048];
    int err = newsd_script_run(server, spool, line, answer, sizeof(answer));
    ck_assert_int_eq(err, strncmp(answer, "error: ", 7) == 0 ? -EINVAL : 0);
    return answer;
}

START_TEST(lines_of_text_change_what_it_does)
{
    struct client c;
    char line[300];
    serve(&(struct newsd_config){0});
    hello(&c);
    ck_assert_str_eq(order("fault file/f.bin/2 430 1"), "ok");
    ask(&c, "BODY", id(2));
    ask(&c, "BODY", id(2));
    expect(&c, "430 ");
    expect_body(&c, 2);
    ck_assert_str_eq(order("asked file/f.bin/2"), "2");
    ck_assert_str_eq(order("asked file/f.bin"), "2");
    ck_assert_str_eq(order(" fault  file/f.bin   403 "), "ok");
    snprintf(line, sizeof(line), "fault %s none", id(3));
    ck_assert_str_eq(order(line), "ok");
    ask(&c, "BODY", id(1));
    ask(&c, "BODY", id(3));
    expect(&c, "403 ");
    expect_body(&c, 3);
    ck_assert_str_eq(order("clear"), "ok");
    ask(&c, "BODY", id(1));
    expect_body(&c, 1);
    ck_assert_ptr_nonnull(strstr(order("stats"), "\"body\":5,\"article\":0,"));
    ck_assert_str_eq(order("down"), "ok");
    ck_assert_int_eq(connect_to(newsd_port(server)), -ECONNREFUSED);
    ck_assert_str_eq(order("up"), "ok");
    client_close(&c);
    hello(&c);
    ck_assert_str_eq(order("drop"), "ok");
    ck_assert_int_eq(byte_get(&c), EOF);
    client_close(&c);
}
END_TEST

START_TEST(lines_that_mean_nothing_are_errors)
{
    static const char *bad[] = {
        "",
        "hello",
        "fault",
        "fault all",
        "fault all what",
        "fault all 430 x",
        "fault all 430 1 2",
        "fault nowhere 430",
        "fault file/none/1 430",
        "fault file/f.bin/0 430",
        "fault file/f.bin/4 430",
        "fault file/f.bin/-1 430",
        "fault file/ 430",
        "limit",
        "limit -1",
        "limit 99999999999999999999",
        "limit 1x",
        "latency 5s",
        "down now",
        "asked",
        "a b c d e f",
    };
    serve(&(struct newsd_config){0});
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        ck_assert_msg(strncmp(order(bad[i]), "error: ", 7) == 0, "taken: %s", bad[i]);
}
END_TEST

START_TEST(numbers_have_bounds_and_units)
{
    uint64_t n;
    ck_assert_int_eq(newsd_script_number("12", 12, &n), 0);
    ck_assert_uint_eq(n, 12);
    ck_assert_int_eq(newsd_script_number("3M", UINT64_MAX, &n), 0);
    ck_assert_uint_eq(n, 3u << 20);
    ck_assert_int_eq(newsd_script_number("13", 12, &n), -EINVAL);
    ck_assert_int_eq(newsd_script_number("1K", 1023, &n), -EINVAL);
    ck_assert_int_eq(newsd_script_number("1K", 1024, &n), 0);
    ck_assert_int_eq(newsd_script_number("99999999999G", UINT64_MAX, &n), -EINVAL);
    ck_assert_int_eq(newsd_script_number("1KK", UINT64_MAX, &n), -EINVAL);
    ck_assert_int_eq(newsd_script_number(" 1", UINT64_MAX, &n), -EINVAL);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        one_connection_too_many_is_refused,
        replacing_a_connection_is_never_one_too_many,
        the_limit_may_be_told_at_login,
        everyone_can_be_refused,
        a_server_that_is_down_keeps_its_port,
        a_silent_server_answers_when_it_is_over,
        dropped_connections_end_in_good_order,
        idle_connections_are_closed,
        latency_is_paid_once_for_pipelined_commands,
        a_rate_holds_for_each_connection,
        lines_of_text_change_what_it_does,
        lines_that_mean_nothing_are_errors,
        numbers_have_bounds_and_units,
    };
    return run("lib/newsd_state", tests, sizeof(tests) / sizeof(*tests));
}
