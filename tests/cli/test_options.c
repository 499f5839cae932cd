#include "cli/options.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>

static char err[256];

static struct mount_options taken(const char *arg)
{
    struct mount_options o = {0};

    ck_assert_msg(mount_options_add(&o, arg, err, sizeof(err)) == 0, "refused: %s", err);
    return o;
}

START_TEST(keys_of_mount_are_kept_in_order_and_set)
{
    struct mount_options o = taken("umask=022,allow_other,umask=077");
    struct config c = {0};

    ck_assert_uint_eq(o.nkeys, 3);
    ck_assert_int_eq(mount_options_apply(&o, &c, err, sizeof(err)), 0);
    ck_assert_uint_eq(c.mount.umask, 077);
    ck_assert(c.mount.allow_other);
    mount_options_fini(&o);
}
END_TEST

START_TEST(what_fstab_hands_on_for_others_is_ignored)
{
    struct mount_options o = taken(
        "rw,ro,noauto,user,users,nofail,_netdev,x-systemd.automount,X-foo=1,dev,nodev,suid,nosuid,"
        "exec,noexec,atime,noatime,auto,comment=hello,defaults,,relatime");

    ck_assert_uint_eq(o.nkeys, 0);
    ck_assert_ptr_null(o.config);
    ck_assert(!o.nonempty);
    mount_options_fini(&o);
}
END_TEST

START_TEST(commas_in_a_file_name_are_escaped)
{
    struct mount_options o = taken("config=/a\\,b\\\\c,nonempty,trace=/x,trace=/y\\,z");

    ck_assert_str_eq(o.config, "/a,b\\c");
    ck_assert_str_eq(o.trace, "/y,z"); /* the last one holds */
    ck_assert(o.nonempty);
    mount_options_fini(&o);
}
END_TEST

START_TEST(an_unknown_option_is_an_error)
{
    struct mount_options o = taken("alow_other");
    struct config c = {0};

    ck_assert_int_eq(mount_options_apply(&o, &c, err, sizeof(err)), -EINVAL);
    ck_assert_str_eq(err, "unknown mount option 'alow_other'; nzbfs(1) lists them");
    mount_options_fini(&o);
}
END_TEST

START_TEST(a_bad_value_says_why)
{
    struct mount_options o = taken("umask=9");
    struct config c = {0};

    ck_assert_int_eq(mount_options_apply(&o, &c, err, sizeof(err)), -EINVAL);
    ck_assert_str_eq(err, "-o umask = '9' is not an octal mask such as 022");
    mount_options_fini(&o);
    o = (struct mount_options){0};
    ck_assert_int_eq(mount_options_add(&o, "config=", err, sizeof(err)), -EINVAL);
    ck_assert_str_eq(err, "-o config needs a file: -o config=FILE");
    ck_assert_int_eq(mount_options_add(&o, "trace", err, sizeof(err)), -EINVAL);
    ck_assert_str_eq(err, "-o trace needs a file: -o trace=FILE");
    mount_options_fini(&o);
}
END_TEST

START_TEST(there_is_an_end_to_options)
{
    struct mount_options o = {0};

    for (int i = 0; i < MOUNT_OPTIONS; i++)
        ck_assert_int_eq(mount_options_add(&o, "allow_other", err, sizeof(err)), 0);
    ck_assert_int_eq(mount_options_add(&o, "allow_other", err, sizeof(err)), -EINVAL);
    ck_assert_str_eq(err, "more than 64 mount options");
    mount_options_fini(&o);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cli/options");
    TCase *t = tcase_create("options");
    SRunner *r = srunner_create(s);

    suite_add_tcase(s, t);
    tcase_add_test(t, keys_of_mount_are_kept_in_order_and_set);
    tcase_add_test(t, what_fstab_hands_on_for_others_is_ignored);
    tcase_add_test(t, commas_in_a_file_name_are_escaped);
    tcase_add_test(t, an_unknown_option_is_an_error);
    tcase_add_test(t, a_bad_value_says_why);
    tcase_add_test(t, there_is_an_end_to_options);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
