#include "archive/joined.h"
#include "tests/archive/opened.h"

#include <check.h>
#include <stdlib.h>

static uint8_t data[1000];
static struct opened o;
static struct archive_joined j;

static void setup(void)
{
    for (size_t k = 0; k < sizeof(data); k++)
        data[k] = (uint8_t)(k * 7 + k / 256);
}

static void teardown(void)
{
    opened_fini(&o);
}

START_TEST(volumes_read_as_one)
{
    uint8_t got[1000];
    opened_cut(&o, &archive_7z, data, 100, 0);
    opened_add(&o, data + 100, 0); /* an empty one between */
    opened_add(&o, data + 100, 7);
    opened_add(&o, data + 107, 893);
    o.set.thorough = true;
    ck_assert_int_eq(archive_joined_init(&j, &o.set), 0);
    ck_assert_uint_eq(j.size, 1000);
    for (size_t off = 0; off <= 1000; off += 3) {
        ck_assert_int_eq(archive_bytes_exact(&j.b, off, got, 1000 - off), 0);
        ck_assert_mem_eq(got, data + off, 1000 - off);
        ck_assert_int_eq(archive_bytes_exact(&j.b, off, got, 1001 - off), -ENODATA);
    }
    ck_assert_int_eq(archive_bytes_read(&j.b, UINT64_MAX, got, 1), 0);
}
END_TEST

START_TEST(pieces_of_every_range_are_that_range)
{
    opened_cut(&o, &archive_7z, data, 200, 17);
    o.set.thorough = true;
    ck_assert_int_eq(archive_joined_init(&j, &o.set), 0);
    for (uint64_t off = 0; off <= 200; off++) {
        for (uint64_t len = 0; len <= 200 - off; len++) {
            const struct archive_piece *p;
            uint32_t n;
            uint64_t at = off;
            ck_assert_int_eq(archive_joined_pieces(&j, &o.arena, off, len, &p, &n), 0);
            for (uint32_t k = 0; k < n; k++) {
                ck_assert_uint_eq(p[k].volume * UINT64_C(17) + p[k].off, at);
                ck_assert(p[k].len > 0 && p[k].off + p[k].len <= 17 && !p[k].computed);
                at += p[k].len;
            }
            ck_assert_uint_eq(at, off + len);
        }
    }
}
END_TEST

START_TEST(a_range_past_the_end_has_no_pieces)
{
    const struct archive_piece *p;
    uint32_t n;
    opened_cut(&o, &archive_7z, data, 200, 17);
    ck_assert_int_eq(archive_joined_init(&j, &o.set), 0);
    ck_assert_int_eq(archive_joined_pieces(&j, &o.arena, 201, 0, &p, &n), -EINVAL);
    ck_assert_int_eq(archive_joined_pieces(&j, &o.arena, 200, 1, &p, &n), -EINVAL);
    ck_assert_int_eq(archive_joined_pieces(&j, &o.arena, 1, UINT64_MAX, &p, &n), -EINVAL);
    ck_assert_int_eq(archive_joined_pieces(&j, &o.arena, 200, 0, &p, &n), 0);
    ck_assert_uint_eq(n, 0);
}
END_TEST

START_TEST(sizes_between_are_reckoned_unless_the_nzb_says_they_are_odd)
{
    opened_cut(&o, &archive_7z, data, 1000, 100);
    o.volumes[4].guess = 50;
    ck_assert_int_eq(archive_joined_init(&j, &o.set), 0);
    for (uint32_t v = 0; v < 10; v++) {
        bool asked = v == 0 || v == 4 || v == 9;
        ck_assert(o.volumes[v].read == asked && o.bodies[v].sized == asked);
        ck_assert_uint_eq(o.volumes[v].size, 100);
    }
    ck_assert_uint_eq(j.size, 1000);
    ck_assert_int_eq(archive_joined_measure(&j), 1);
    ck_assert_int_eq(archive_joined_measure(&j), 0);
    ck_assert(o.bodies[5].sized);
}
END_TEST

START_TEST(a_read_finds_out_that_a_volume_is_not_what_was_reckoned)
{
    uint8_t b;
    opened_cut(&o, &archive_7z, data, 100, 0);
    opened_add(&o, data + 100, 101);
    opened_add(&o, data + 201, 100);
    opened_add(&o, data + 301, 50);
    ck_assert_int_eq(archive_joined_init(&j, &o.set), 0);
    ck_assert_uint_eq(j.size, 350);
    ck_assert_int_eq(archive_bytes_exact(&j.b, 99, &b, 1), 0);
    ck_assert_int_eq(archive_bytes_exact(&j.b, 100, &b, 1), -ESTALE);
    ck_assert_int_eq(archive_joined_measure(&j), 1);
    ck_assert_uint_eq(j.size, 351);
    ck_assert_int_eq(archive_bytes_exact(&j.b, 350, &b, 1), 0);
    ck_assert_uint_eq(b, data[350]);
}
END_TEST

START_TEST(errors_and_sums_that_do_not_fit_are_passed_on)
{
    opened_cut(&o, &archive_7z, data, 1000, 100);
    o.bodies[9].error = -EIO;
    ck_assert_int_eq(archive_joined_init(&j, &o.set), -EIO);
    o.bodies[9].error = -EINTR;
    ck_assert_int_eq(archive_joined_init(&j, &o.set), -EINTR);
    o.bodies[9].error = 0;
    o.bodies[0].size = UINT64_MAX - 5;
    ck_assert_int_eq(archive_joined_init(&j, &o.set), -EOVERFLOW);
    o.bodies[0].size = 100;
}
END_TEST

int main(void)
{
    Suite *s = suite_create("archive/joined");
    TCase *t = tcase_create("joined");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, volumes_read_as_one);
    tcase_add_test(t, pieces_of_every_range_are_that_range);
    tcase_add_test(t, a_range_past_the_end_has_no_pieces);
    tcase_add_test(t, sizes_between_are_reckoned_unless_the_nzb_says_they_are_odd);
    tcase_add_test(t, a_read_finds_out_that_a_volume_is_not_what_was_reckoned);
    tcase_add_test(t, errors_and_sums_that_do_not_fit_are_passed_on);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
