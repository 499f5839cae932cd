#include "cli/streams.h"

#include "fs/internal.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *page;
static size_t page_len;

/* What streams_print() prints of `answer`, which is let go of; the caller's to free. */
static char *printed(json_t *answer)
{
    FILE *before = stdout;

    fflush(stdout);
    stdout = open_memstream(&page, &page_len);
    ck_assert_ptr_nonnull(stdout);
    streams_print(answer, &(struct status_look){.room = 0});
    fclose(stdout);
    stdout = before;
    json_decref(answer);
    return page;
}

static void expect_has(const char *text, const char *words)
{
    ck_assert_msg(strstr(text, words) != NULL, "\"%s\" is not in:\n%s", words, text);
}

static struct fs_node root = {.name = ""};
static struct fs_node film = {.name = "film.mkv", .parent = &root};

static struct fs_stream stream_of_film(void)
{
    root.parent = &root;
    return (struct fs_stream){.number = 1, .file = &film, .pid = 4711, .comm = "mpv"};
}

static json_t *told(const struct fs_stream *all, size_t n)
{
    json_t *answer = json_pack("{s:s}", "mountpoint", "/mnt/film");

    ck_assert_int_eq(streams_list_put(all, n, answer), 0);
    return answer;
}

START_TEST(the_waits_of_a_file_are_told_in_words_the_largest_first)
{
    struct fs_stream s = stream_of_film();

    s.pos = (uint64_t)512 << 20;
    s.rate_bps = 4300000;
    s.ready = 12 << 20;
    s.coming = 6 << 20;
    s.out = 1;
    s.waiting = true;
    s.stage = CACHE_WAITS_BYTES;
    s.provider = "main";
    s.now_us = 1200000;
    s.waits = (struct fs_waits){.reads = 812, .all = {14, 1300000, 900000}, .nproviders = 2};
    s.waits.stages[CACHE_WAITS_CONNECTION] = (struct fs_wait){3, 900000, 800000};
    s.waits.stages[CACHE_WAITS_ANSWER] = (struct fs_wait){9, 250000, 90000};
    s.waits.stages[CACHE_WAITS_BYTES] = (struct fs_wait){2, 150000, 90000};
    s.waits.providers[0] = (struct fs_provider_wait){"main", 200000, 150000};
    s.waits.providers[1] = (struct fs_provider_wait){NULL, 50000, 0};
    s.waits.reader = (struct fs_wait){800, 96000000, 2100000};
    char *text = printed(told(&s, 1));
    ck_assert_str_eq(
        text,
        "/mnt/film has 1 open file\n"
        "\n"
        "  film.mkv\n"
        "    reader   mpv (4711), at 512 MiB, 4.1 MiB/s\n"
        "    ahead    12.0 MiB ready, 6.0 MiB coming\n"
        "    now      waits for main's bytes, for 1.2 s\n"
        "    waited   1.3 s in 14 of 812 reads, 900 ms at most: 900 ms for a connection, 200 ms for "
        "main's first byte, 150 ms for main's bytes, 50 ms for a first byte\n"
        "    itself   took 96 s between reads, 2.1 s at most\n");
    free(text);
}
END_TEST

START_TEST(a_file_that_never_waited_says_so)
{
    struct fs_stream s = stream_of_film();

    s.waits.reads = 7;
    s.now_us = 5000;
    char *text = printed(told(&s, 1));
    expect_has(text, "now      nothing is asked for, for 5.0 ms\n");
    expect_has(text, "waited   never, in 7 reads\n");
    ck_assert_ptr_null(strstr(text, "itself"));
    free(text);
}
END_TEST

START_TEST(names_that_would_move_a_terminal_are_shown_as_bytes)
{
    struct fs_node bad = {.name = "a\033[2Jb", .parent = &root};
    struct fs_stream s = stream_of_film();

    s.file = &bad;
    memcpy(s.comm, "x\033\377y", 5);
    s.out = 1;
    s.waiting = true;
    s.stage = CACHE_WAITS_ANSWER;
    s.provider = "p\033c";
    char *text = printed(told(&s, 1));
    ck_assert_ptr_null(strchr(text, '\033'));
    expect_has(text, "a\\x1b[2Jb");
    expect_has(text, "waits for p\\x1bc's first byte");
    free(text);
}
END_TEST

START_TEST(of_very_many_files_those_with_a_read_out_are_told_first)
{
    enum { MANY = 3 * STREAMS_MOST };
    struct fs_stream *all = calloc(MANY, sizeof(*all));

    for (unsigned k = 0; k < MANY; k++) {
        all[k] = stream_of_film();
        all[k].number = k + 1;
        all[k].out = k >= MANY - 150;
    }
    json_t *answer = told(all, MANY), *list = json_object_get(answer, "streams");
    ck_assert_uint_eq(json_array_size(list), STREAMS_MOST);
    for (unsigned k = 0; k < STREAMS_MOST; k++)
        ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(list, k), "number")),
                         k < STREAMS_MOST - 150 ? k + 1 : MANY - STREAMS_MOST + k + 1);
    free(all);
    char *text = printed(answer);
    expect_has(text, "has 600 open files\n");
    expect_has(text, "\n  and 400 more\n");
    free(text);
}
END_TEST

START_TEST(the_longest_answer_fits_in_a_line_of_the_socket)
{
    char name[256], comm[16], provider[64];
    struct fs_stream *all = calloc(STREAMS_MOST, sizeof(*all));
    struct fs_node dir = {.name = name, .parent = &root}, file = {.name = name, .parent = &dir};

    memset(name, 1, sizeof(name) - 1); /* JSON writes six characters for one */
    memset(comm, 1, sizeof(comm) - 1);
    memset(provider, 'p', sizeof(provider) - 1);
    name[255] = comm[15] = provider[63] = '\0';
    for (unsigned k = 0; k < STREAMS_MOST; k++) {
        uint64_t most = INT64_MAX;
        struct fs_wait w = {most, most, most};
        all[k] = stream_of_film();
        all[k] =
            (struct fs_stream){.number = most,
                               .file = &file,
                               .pid = INT32_MAX,
                               .out = 1,
                               .age_us = most,
                               .pos = most,
                               .rate_bps = most,
                               .ready = most,
                               .coming = most,
                               .waiting = true,
                               .provider = provider,
                               .now_us = most,
                               .waits = {most, most, most, w, {w, w, w, w}, w, .nproviders = 8}};
        memcpy(all[k].comm, comm, sizeof(comm));
        for (unsigned i = 0; i < FS_WAIT_PROVIDERS; i++)
            all[k].waits.providers[i] = (struct fs_provider_wait){provider, most, most};
    }
    json_t *answer = told(all, STREAMS_MOST);
    char *line = json_dumps(answer, JSON_COMPACT);
    ck_assert_ptr_nonnull(line);
    ck_assert_uint_lt(strlen(line) + 1000, 1 << 20);
    free(line);
    json_decref(answer);
    free(all);
}
END_TEST

START_TEST(an_answer_of_another_version_is_printed_as_far_as_it_goes)
{
    char *text = printed(json_pack("{s:[{}, {s:{s:s}}, i]}", "streams", "now", "what", "magic", 3));
    expect_has(text, "has 3 open files\n");
    expect_has(text, "somebody, at 0 B, 0 B/s");
    free(text);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cli/streams");
    TCase *t = tcase_create("streams");

    tcase_add_test(t, the_waits_of_a_file_are_told_in_words_the_largest_first);
    tcase_add_test(t, a_file_that_never_waited_says_so);
    tcase_add_test(t, names_that_would_move_a_terminal_are_shown_as_bytes);
    tcase_add_test(t, of_very_many_files_those_with_a_read_out_are_told_first);
    tcase_add_test(t, the_longest_answer_fits_in_a_line_of_the_socket);
    tcase_add_test(t, an_answer_of_another_version_is_printed_as_far_as_it_goes);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
