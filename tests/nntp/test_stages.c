/* Where a fetch is, as the pool tells it: of whom it is asked, and when nobody is asked any more. */
#include "tests/nntp/rig.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What moved() said, one after the other; by one thread at a time. */
static char story[4096];
static size_t told;
static const char *names[2]; /* of the providers */

static void on_moved(struct segment_fetch *f, enum segment_stage stage, const char *provider)
{
    (void)f;
    ck_assert_int_eq(stage == SEGMENT_SENT, provider != NULL);
    told += (size_t)snprintf(story + told, sizeof(story) - told, "%s%s", told ? " " : "",
                             !provider                         ? "-"
                             : strcmp(provider, names[0]) == 0 ? "first"
                             : strcmp(provider, names[1]) == 0 ? "second"
                                                               : "stranger");
    ck_assert_uint_lt(told, sizeof(story));
}

/* Part 1, of two providers, of which the first has the fault. */
static void fetch_told(enum newsd_fault fault, unsigned times)
{
    struct segment_fetch_ops ops;
    struct fetch t;
    struct rig r;

    told = 0;
    rig_init(&r, 1);
    rig_server(&r, &(struct newsd_config){0});
    rig_server(&r, &(struct newsd_config){0});
    names[0] = r.cfg.providers[0].name;
    names[1] = r.cfg.providers[1].name;
    r.cfg.providers[1].tier = 1;
    newsd_fault(r.servers[0], spool_message_id(r.spool, r.file, 1), fault, times);
    rig_start(&r);
    fetch_init(&t, &r, 1);
    ops = *t.f.ops;
    ops.moved = on_moved;
    t.f.ops = &ops;
    fetch_start(&t, &r);
    ck_assert_int_eq(fetch_wait(&t), SEGMENT_DONE);
    fetch_check(&t, 1);
    fetch_fini(&t);
    rig_fini(&r);
}

START_TEST(a_fetch_is_sent_once_where_all_is_well)
{
    fetch_told(NEWSD_NONE, 0);
    ck_assert_str_eq(story, "first");
}
END_TEST

START_TEST(between_two_providers_it_is_in_the_queue)
{
    static const enum newsd_fault faults[] = {NEWSD_430, NEWSD_BAD_CRC, NEWSD_SHORT};

    fetch_told(faults[_i], 0);
    ck_assert_str_eq(story, "first - second");
}
END_TEST

START_TEST(a_connection_that_ends_gives_its_fetch_back_to_the_queue)
{
    static const enum newsd_fault faults[] = {NEWSD_CLOSE_MID, NEWSD_RESET_MID, NEWSD_400};

    fetch_told(faults[_i], 0);
    ck_assert_msg(strncmp(story, "first - ", 8) == 0, "%s", story);
    size_t n = strlen(story);
    ck_assert_msg(n > 9 && strcmp(story + n - 9, " - second") == 0, "%s", story);
    ck_assert_ptr_null(strstr(story, "- -"));
    ck_assert_ptr_null(strstr(story, "first first"));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("nntp/stages");
    TCase *t = tcase_create("stages");

    tcase_set_timeout(t, 60);
    tcase_add_test(t, a_fetch_is_sent_once_where_all_is_well);
    tcase_add_loop_test(t, between_two_providers_it_is_in_the_queue, 0, 3);
    tcase_add_loop_test(t, a_connection_that_ends_gives_its_fetch_back_to_the_queue, 0, 3);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
