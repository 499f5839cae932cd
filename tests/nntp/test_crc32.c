/* CRC-32: both bodies against the definition, and joining against doing it in one. */

#include "nntp/crc32.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static uint8_t data[70000];

static void setup(void)
{
    uint64_t s = 0x13198a2e03707344u;
    for (size_t i = 0; i < sizeof(data); i++) {
        s ^= s << 13;
        s ^= s >> 7;
        s ^= s << 17;
        data[i] = (uint8_t)s;
    }
}

/* Bit by bit. */
static uint32_t plain(uint32_t crc, const uint8_t *p, size_t len)
{
    crc = ~crc;
    for (; len; p++, len--) {
        crc ^= *p;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0xedb88320u : crc >> 1;
    }
    return ~crc;
}

START_TEST(it_is_the_crc_that_everybody_uses)
{
    ck_assert_uint_eq(crc32_update(0, "123456789", 9), 0xcbf43926u);
    ck_assert_uint_eq(crc32_update(0, "", 0), 0);
    ck_assert_uint_eq(crc32_best()(0, "123456789", 9), 0xcbf43926u);
}
END_TEST

START_TEST(both_bodies_follow_the_definition_at_every_length_and_alignment)
{
    for (size_t len = 0; len < 1400; len++) {
        const uint8_t *p = data + len % 67;
        uint32_t start = len % 3 ? (uint32_t)(len * 0x9e3779b9u) : 0, want = plain(start, p, len);
        ck_assert_uint_eq(crc32_update(start, p, len), want);
        if (crc32_has_vpclmul())
            ck_assert_uint_eq(crc32_update_vpclmul(start, p, len), want);
    }
    for (size_t len = 5000; len < sizeof(data); len += 4111) {
        uint32_t want = plain(1, data, len);
        ck_assert_uint_eq(crc32_update(1, data, len), want);
        if (crc32_has_vpclmul())
            ck_assert_uint_eq(crc32_update_vpclmul(1, data, len), want);
    }
}
END_TEST

START_TEST(it_can_be_carried_on_from_any_place)
{
    crc32_fn *crc = crc32_best();
    uint32_t want = plain(0, data, 3000);
    for (size_t cut = 0; cut <= 3000; cut++)
        ck_assert_uint_eq(crc(crc(0, data, cut), data + cut, 3000 - cut), want);
}
END_TEST

START_TEST(joined_crcs_are_the_crc_of_the_whole)
{
    uint32_t want = plain(0, data, sizeof(data));
    for (size_t cut = 0; cut <= sizeof(data); cut += 499) {
        uint32_t a = crc32_update(0, data, cut);
        uint32_t b = crc32_update(0, data + cut, sizeof(data) - cut);
        ck_assert_uint_eq(crc32_combine(a, b, sizeof(data) - cut), want);
    }
    ck_assert_uint_eq(crc32_combine(want, 0, 0), want);
    ck_assert_uint_eq(crc32_combine(0, want, sizeof(data)), want);
}
END_TEST

/* 2^33 zero bytes behind x: doubling the length thirty-three times by joining zeros to zeros. */
START_TEST(joining_holds_beyond_four_gigabytes)
{
    uint32_t zeros = crc32_update(0, "\0", 1);
    for (int n = 0; n < 33; n++)
        zeros = crc32_join(zeros, zeros, UINT64_C(1) << n);
    uint32_t x = crc32_update(0, "x", 1), joined = crc32_join(x, zeros, UINT64_C(1) << 33);
    for (int n = 0; n < 2; n++) {
        uint32_t half = crc32_update(0, "\0", 1);
        for (int k = 0; k < 32; k++)
            half = crc32_join(half, half, UINT64_C(1) << k);
        x = crc32_join(x, half, UINT64_C(1) << 32);
    }
    ck_assert_uint_eq(x, joined);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("nntp/crc32");
    TCase *tc = tcase_create("crc32");
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, it_is_the_crc_that_everybody_uses);
    tcase_add_test(tc, both_bodies_follow_the_definition_at_every_length_and_alignment);
    tcase_add_test(tc, it_can_be_carried_on_from_any_place);
    tcase_add_test(tc, joined_crcs_are_the_crc_of_the_whole);
    tcase_add_test(tc, joining_holds_beyond_four_gigabytes);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
