/* The pool against a well-behaved server: what is asked for arrives, once, and everything ends. */
#include "tests/nntp/rig.h"

#include <check.h>
#include <stdlib.h>

START_TEST(a_segment_arrives_whole)
{
    struct rig r;
    rig_init(&r, 3);
    rig_server(&r, &(struct newsd_config){0});
    rig_start(&r);
    for (uint32_t n = 1; n <= 3; n++)
        ck_assert_int_eq(fetch_part(&r, n), SEGMENT_DONE);
    rig_fini(&r);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("nntp/pool");
    TCase *t = tcase_create("well-behaved");
    tcase_add_test(t, a_segment_arrives_whole);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    SRunner *sr = srunner_create(suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
