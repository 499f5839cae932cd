/* Counting by tag, answers held in the middle, refusals: what other tests prove limits and shares with. */
#include "tests/lib/newsd_script.h"
#include "tests/lib/test_newsd.h"

#include "base/clock.h"

#include <errno.h>
#include <string.h>

/* The file of every test has ids of its own form; these have a letter each. */
static const char *tagged(char tag)
{
    char name[] = "x.bin";
    name[0] = tag;
    int n = spool_file_named(spool, name);
    if (n < 0)
        n = spool_add(
            spool,
            &(struct spool_file){
                .name = name, .seed = (uint64_t)tag, .size = 9000, .part_size = 9000, .tag = tag});
    ck_assert_int_ge(n, 0);
    return spool_message_id(spool, n, 1);
}

static struct newsd_tags tags(void)
{
    struct newsd_tags t;
    newsd_tags(server, &t);
    return t;
}

static struct newsd_tag of(char letter)
{
    return tags().of[newsd_tag_index(letter)];
}

static void commands_wait(uint64_t n)
{
    while (tags().all.commands < n)
        ;
}

static void held_wait(unsigned n)
{
    while (tags().all.held < n)
        ;
}

static void expect_article(struct client *c, const char *message_id)
{
    const struct spool_article *a = spool_find(spool, message_id);
    expect(c, "222 0 <");
    expect_bytes(c, a->bytes + a->head, a->len - a->head);
}

START_TEST(message_ids_begin_with_the_letter_they_are_given)
{
    ck_assert_int_eq(tagged('q')[0], 'q');
    ck_assert_int_eq(tagged('S')[0], 'S');
    ck_assert_int_eq(
        spool_add(spool, &(struct spool_file){.name = "no", .seed = 1, .size = 1, .tag = '1'}),
        -22);
}
END_TEST

START_TEST(commands_and_connections_are_counted_by_their_letter)
{
    struct client a, b;
    const char *q = tagged('q'), *h = tagged('H');
    serve(&(struct newsd_config){0});
    hello(&a);
    hello(&b);
    ask(&a, "BODY", q);
    expect_article(&a, q);
    ask(&b, "STAT", h);
    expect(&b, "223 ");
    ask(&b, "STAT", "hnowhere@example");
    expect(&b, "430 ");
    ask(&b, "HEAD", "2@example");
    expect(&b, "430 ");
    say(&b, "STAT nothing\r\n");
    expect(&b, "501 ");
    ask(&b, "BODY", h);
    expect_article(&b, h);
    struct newsd_tags t = tags();
    ck_assert_uint_eq(of('q').commands, 1);
    ck_assert_uint_eq(of('Q').answered, 1);
    ck_assert_uint_gt(of('q').bytes, 9000);
    ck_assert_uint_eq(of('h').commands, 3);
    ck_assert_uint_eq(of('h').answered, 3);
    ck_assert_uint_eq(of('2').commands, 1);
    ck_assert_uint_eq(of('q').connections, 1);
    ck_assert_uint_eq(of('h').connections, 1);
    ck_assert_uint_eq(of('2').connections, 0); /* its last command was another */
    ck_assert_uint_eq(t.all.connections, 2);
    ck_assert_uint_eq(t.all.in_flight, 0);
    ck_assert_uint_eq(t.all.commands, 5);
    ck_assert_uint_eq(t.connections, 2);
    client_close(&a);
    while (tags().connections > 1)
        ;
    ck_assert_uint_eq(of('q').connections, 0);
    client_close(&b);
}
END_TEST

START_TEST(a_held_article_stops_in_the_middle_and_what_is_behind_it_waits)
{
    struct client c;
    const char *q = tagged('q'), *s = tagged('s');
    serve(&(struct newsd_config){0});
    newsd_hold(server, true);
    hello(&c);
    ask(&c, "BODY", q);
    ask(&c, "STAT", s);
    ask(&c, "BODY", s);
    commands_wait(3);
    held_wait(1);
    struct newsd_tags t = tags();
    ck_assert_uint_eq(t.of[newsd_tag_index('q')].carrying, 1);
    ck_assert_uint_eq(t.of[newsd_tag_index('q')].connections, 0);
    ck_assert_uint_eq(t.of[newsd_tag_index('q')].in_flight, 1);
    ck_assert_uint_eq(t.of[newsd_tag_index('q')].held, 1);
    ck_assert_uint_eq(t.of[newsd_tag_index('s')].connections, 1);
    ck_assert_uint_eq(t.of[newsd_tag_index('s')].in_flight, 2);
    ck_assert_uint_eq(t.of[newsd_tag_index('s')].carrying, 0);
    ck_assert_uint_eq(t.of[newsd_tag_index('s')].on, 1);
    ck_assert_uint_eq(t.of[newsd_tag_index('q')].pipelined, 1);
    ck_assert_uint_eq(t.of[newsd_tag_index('q')].deep, 1);
    ck_assert_uint_eq(t.of[newsd_tag_index('s')].pipelined, 0);
    ck_assert_uint_eq(t.of[newsd_tag_index('s')].held, 0);
    ck_assert_uint_eq(t.all.answered, 0);
    /* Half of it has come and not a byte more is sent, whoever asks how often. */
    uint64_t bytes = t.all.bytes, len = spool_find(spool, q)->len - spool_find(spool, q)->head;
    ck_assert_uint_gt(bytes, len / 3);
    ck_assert_uint_lt(bytes, len * 2 / 3);
    for (int i = 0; i < 100; i++)
        ck_assert_uint_eq(tags().all.bytes, bytes);
    ck_assert_uint_eq(newsd_release(server, 's', 5), 0);
    ck_assert_uint_eq(newsd_release(server, 'q', 5), 1);
    expect_article(&c, q);
    held_wait(1); /* the STAT is next, in the middle of its line */
    ck_assert_uint_eq(of('s').held, 1);
    ck_assert_uint_eq(of('s').answered, 0);
    ck_assert_uint_eq(newsd_release(server, 0, 1), 1);
    expect(&c, "223 ");
    held_wait(1);
    newsd_hold(server, false);
    expect_article(&c, s);
    ask(&c, "BODY", q);
    expect_article(&c, q);
    ck_assert_uint_eq(tags().all.held, 0);
    client_close(&c);
}
END_TEST

START_TEST(those_that_waited_longest_go_on_first)
{
    struct client c[4];
    const char *q = tagged('q'), *s = tagged('s');
    serve(&(struct newsd_config){0});
    newsd_hold(server, true);
    for (unsigned i = 0; i < 4; i++) {
        hello(&c[i]);
        ask(&c[i], "BODY", i == 1 ? s : q);
        ask(&c[i], "BODY", q);
        held_wait(i + 1);
    }
    ck_assert_uint_eq(newsd_release(server, 'q', 2), 2);
    expect_article(&c[0], q);
    expect_article(&c[2], q);
    held_wait(4); /* what stood behind them is held in its turn, and is the last to go on */
    ck_assert_uint_eq(newsd_release(server, 0, 2), 2);
    expect_article(&c[1], s);
    expect_article(&c[3], q);
    held_wait(4);
    ck_assert_uint_eq(newsd_release(server, 0, 100), 4);
    for (unsigned i = 0; i < 4; i++) {
        expect_article(&c[i], q);
        client_close(&c[i]);
    }
}
END_TEST

START_TEST(a_client_that_leaves_while_it_is_held_is_counted_no_more)
{
    struct client c;
    const char *q = tagged('q');
    serve(&(struct newsd_config){0});
    newsd_hold(server, true);
    hello(&c);
    ask(&c, "BODY", q);
    held_wait(1);
    client_close(&c);
    while (tags().connections)
        ;
    while (tags().all.in_flight)
        ;
    ck_assert_uint_eq(of('q').connections, 0);
    ck_assert_uint_eq(of('q').held, 0);
    ck_assert_uint_eq(of('q').on, 0);
    ck_assert_uint_eq(of('q').on_peak, 1);
    ck_assert_uint_eq(of('q').commands, 1);
    ck_assert_uint_eq(of('q').answered, 0);
    newsd_reset_peak(server);
    ck_assert_uint_eq(of('q').on_peak, 0);
}
END_TEST

START_TEST(faults_before_the_middle_happen_and_others_when_it_goes_on)
{
    struct client c;
    bool was_reset;
    const char *q = tagged('q');
    serve(&(struct newsd_config){0});
    newsd_hold(server, true);
    newsd_fault(server, q, NEWSD_CLOSE_MID, 1);
    newsd_fault(server, q, NEWSD_400, 1);
    hello(&c);
    ask(&c, "BODY", q);
    ck_assert_uint_gt(drain(&c, &was_reset), 1000);
    client_close(&c);
    hello(&c);
    ask(&c, "BODY", q);
    held_wait(1);
    ck_assert_uint_eq(newsd_release(server, 'q', 1), 1);
    expect(&c, "400 ");
    ck_assert_int_eq(byte_get(&c), EOF);
    client_close(&c);
}
END_TEST

START_TEST(the_times_of_refusals_are_kept_in_order)
{
    struct client a, b;
    uint64_t times[8], before = clock_now_us();
    serve(&(struct newsd_config){.max_connections = 1});
    ck_assert_uint_eq(newsd_refusals(server, times, 8), 0);
    hello(&a);
    for (int i = 0; i < 3; i++) {
        client_open(&b);
        expect(&b, "502 ");
        client_close(&b);
    }
    ck_assert_uint_eq(newsd_refusals(server, times, 8), 3);
    ck_assert_uint_ge(times[0], before);
    ck_assert_uint_ge(times[1], times[0]);
    ck_assert_uint_ge(times[2], times[1]);
    ck_assert_uint_le(times[2], clock_now_us());
    uint64_t last[2];
    ck_assert_uint_eq(newsd_refusals(server, last, 2), 2);
    ck_assert_uint_eq(last[1], times[2]);
    client_close(&a);
}
END_TEST

START_TEST(the_peak_can_be_counted_anew)
{
    struct client a, b;
    serve(&(struct newsd_config){0});
    hello(&a);
    hello(&b);
    client_close(&b);
    while (tags().connections > 1)
        ;
    ck_assert_uint_eq(newsd_reset_peak(server), 2);
    ck_assert_uint_eq(tags().peak, 1);
    hello(&b);
    ck_assert_uint_eq(tags().peak, 2);
    client_close(&a);
    client_close(&b);
}
END_TEST

START_TEST(greeting_and_logins_can_change_while_it_runs)
{
    struct client c;
    serve(&(struct newsd_config){.username = "u", .password = "p"});
    newsd_set_greeting(server, 502);
    client_open(&c);
    expect(&c, "502 ");
    client_close(&c);
    newsd_set_greeting(server, 200);
    newsd_refuse_logins(server, true);
    hello(&c);
    say(&c, "AUTHINFO USER u\r\nAUTHINFO PASS p\r\n");
    expect(&c, "381 ");
    expect(&c, "481 ");
    newsd_refuse_logins(server, false);
    say(&c, "AUTHINFO USER u\r\nAUTHINFO PASS p\r\n");
    expect(&c, "381 ");
    expect(&c, "281 ");
    client_close(&c);
}
END_TEST

static const char *order(const char *line)
{
    static char answer[8192];
    newsd_script_run(server, spool, line, answer, sizeof(answer));
    return answer;
}

START_TEST(lines_of_text_do_the_same)
{
    struct client c;
    const char *q = tagged('q');
    serve(&(struct newsd_config){0});
    ck_assert_str_eq(order("hold"), "ok");
    hello(&c);
    ask(&c, "BODY", q);
    held_wait(1);
    const char *text = order("tags");
    ck_assert_ptr_nonnull(strstr(
        text,
        "{\"q\":{\"connections\":1,\"carrying\":1,\"on\":1,\"on_peak\":1,\"in_flight\":1,\"held\":1,\"commands\":1,"));
    ck_assert_ptr_nonnull(
        strstr(text, "\"connections\":1,\"peak\":1,\"accepted\":1,\"refused\":0}"));
    ck_assert_str_eq(order("release 9 s"), "0");
    ck_assert_str_eq(order("release 9 q"), "1");
    expect_article(&c, q);
    ask(&c, "BODY", q);
    ck_assert_str_eq(order("release"), "ok");
    expect_article(&c, q);
    ck_assert_str_eq(order("peak"), "1");
    ck_assert_str_eq(order("refusals"), "[]");
    ck_assert_str_eq(order("greeting 502"), "ok");
    ck_assert_str_eq(order("greeting 200"), "ok");
    ck_assert_str_eq(order("logins refuse"), "ok");
    ck_assert_str_eq(order("logins accept"), "ok");
    static const char *const bad[] = {"hold on", "release x", "release 1 qq", "greeting 300",
                                      "logins",  "tags q",    "peak 1",       "refusals all"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        ck_assert_msg(strncmp(order(bad[i]), "error: ", 7) == 0, "taken: %s", bad[i]);
    client_close(&c);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        message_ids_begin_with_the_letter_they_are_given,
        commands_and_connections_are_counted_by_their_letter,
        a_held_article_stops_in_the_middle_and_what_is_behind_it_waits,
        those_that_waited_longest_go_on_first,
        a_client_that_leaves_while_it_is_held_is_counted_no_more,
        faults_before_the_middle_happen_and_others_when_it_goes_on,
        the_times_of_refusals_are_kept_in_order,
        the_peak_can_be_counted_anew,
        greeting_and_logins_can_change_while_it_runs,
        lines_of_text_do_the_same,
    };
    return run("lib/newsd_tag", tests, sizeof(tests) / sizeof(*tests));
}
