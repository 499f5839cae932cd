#include "archive/keys.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

static const uint8_t salt16[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
static const uint8_t salt8[8] = {0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17};

static struct archive_keys *keys_of(const char *password)
{
    struct archive_keys *k = archive_keys_new(&password, 1);
    ck_assert_ptr_nonnull(k);
    return k;
}

static void expect_hex(const uint8_t *bytes, size_t n, const char *hex)
{
    char text[200];

    for (size_t i = 0; i < n; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    ck_assert_str_eq(text, hex);
}

/* The expected values are those of Python's hashlib. */

static void expect_rar5(const char *password, unsigned log2_rounds, const char *key_hex,
                        const char *hash_hex, const char *check_hex)
{
    struct archive_keys *k = keys_of(password);
    uint8_t key[32], hash_key[32], check[8];

    ck_assert(archive_keys_rar5(k, 0, salt16, log2_rounds, key, hash_key, check));
    expect_hex(key, 32, key_hex);
    expect_hex(hash_key, 32, hash_hex);
    expect_hex(check, 8, check_hex);
    archive_keys_free(k);
}

START_TEST(rar5_keys_are_pbkdf2s)
{
    expect_rar5("secret", 15, "c09d9b5d456695eb9c14662f3cc78dcdcaafcc763759417091badbff57d79e78",
                "be465b0a084d1e2613fa9726d73430c2428042eb3a078974a734db867a9aa83b",
                "7b9b18e896dfb6d7");
}
END_TEST

START_TEST(rar5_takes_one_round_and_a_password_longer_than_a_block)
{
    char password[73];

    memset(password, 'p', 70);
    memcpy(password + 70, "\xc3\xbc", 3);
    expect_rar5(password, 0, "9c2db00a6c14ec101e6fa8a190c40677d1272f027005f29b7b1ad9a852dda750",
                "6ab2c1e51f48a9fafb702eb6f269147f4bbf221da593dc8d839f5ea57ff41f48",
                "6c7a0af69d78483c");
}
END_TEST

static void expect_rar4(const char *password, const uint8_t *salt, const char *key_hex,
                        const char *iv_hex)
{
    struct archive_keys *k = keys_of(password);
    uint8_t key[16], iv[16];

    ck_assert(archive_keys_rar4(k, 0, salt, key, iv));
    expect_hex(key, 16, key_hex);
    expect_hex(iv, 16, iv_hex);
    archive_keys_free(k);
}

START_TEST(rar4_keys_are_sha1s_of_the_password_in_utf16)
{
    expect_rar4("secret", salt8, "213642c728515190950fdeca2e8ec665",
                "6ec0fe06a2036776dae35c21b992c454");
    expect_rar4("secret", NULL, "5ed5386d4f34a94c10b0e46a4b9be66e",
                "c1650ef375d38658e713dc1f71ebc42f");
    expect_rar4("p\xc3\xa4ssw\xc3\xb6rd\xf0\x9d\x84\x9e", salt8, "20f9b4264b033b167965e41a7c49b33c",
                "ce98557658c653b3e6aeb538650745c4");
}
END_TEST

/* RAR 3 spoilt its buffer while hashing it; from 29 characters on that is part of the format. */
START_TEST(rar4_keys_of_long_passwords_are_the_spoilt_ones)
{
    char password[101];

    expect_rar4("abcdefghijklmnopqrstuvwxyz0123456789ABCD", salt8,
                "6514cc264dcb8c4738db37a15dfe9649", "dbe859702b395834a942fb6064995bc8");
    memset(password, 'x', 100);
    password[100] = '\0';
    expect_rar4(password, salt8, "0588250d2c829c5057d45f1b9747ab0b",
                "e68bdaa02360a64b6609ae4530dae3c8");
}
END_TEST

static void expect_7z(const char *password, size_t salt_len, unsigned log2_rounds,
                      const char *key_hex)
{
    struct archive_keys *k = keys_of(password);
    uint8_t key[32];

    ck_assert(archive_keys_7z(k, 0, salt16, salt_len, log2_rounds, key));
    expect_hex(key, 32, key_hex);
    archive_keys_free(k);
}

START_TEST(sevenz_keys_are_sha256s_of_salt_password_and_counter)
{
    expect_7z("secret", 0, 19, "6511f1507a3c2a982ae6def4f65818ed6cf242651aca19d15cebc6a67ae2891d");
    expect_7z("p\xc3\xa4ss", 16, 10,
              "c0d5682309c94e56334ad510b6e1225cc07650d3c595255d48e3331022369e9c");
}
END_TEST

START_TEST(sevenz_without_rounds_is_salt_and_password_themselves)
{
    expect_7z("ab", 3, 0x3f, "0001026100620000000000000000000000000000000000000000000000000000");
    expect_7z("abcdefghijklmnopqrst", 4, 0x3f,
              "00010203610062006300640065006600670068006900"
              "6a006b006c006d006e00");
}
END_TEST

START_TEST(too_much_work_is_refused)
{
    struct archive_keys *k = keys_of("secret");
    uint8_t key[32], hash_key[32], check[8], salt[100] = {0};

    ck_assert(!archive_keys_rar5(k, 0, salt16, ARCHIVE_KDF_LOG2_MAX + 1, key, hash_key, check));
    ck_assert(!archive_keys_rar5(k, 0, salt16, 255, key, hash_key, check));
    ck_assert(!archive_keys_7z(k, 0, salt16, 16, ARCHIVE_KDF_LOG2_MAX + 1, key));
    ck_assert(!archive_keys_7z(k, 0, salt16, 16, 62, key));
    ck_assert(!archive_keys_7z(k, 0, salt, sizeof(salt), 1, key));
    ck_assert(!archive_keys_rar4(k, 1, salt8, key, key + 16)); /* there is no second password */
    archive_keys_free(k);
}
END_TEST

/* Many asks for one salt cost one derivation, also when two passwords take turns. */
START_TEST(what_was_derived_once_is_kept)
{
    const char *const passwords[] = {"one", "two"};
    struct archive_keys *k = archive_keys_new(passwords, 2);
    uint8_t key[2][32], again[32], hash_key[32], check[8];

    ck_assert_uint_eq(archive_keys_count(k), 2);
    for (unsigned i = 0; i < 2; i++)
        ck_assert(archive_keys_rar5(k, i, salt16, 12, key[i], hash_key, check));
    ck_assert_mem_ne(key[0], key[1], 32);
    for (unsigned i = 0; i < 100000; i++) {
        ck_assert(archive_keys_rar5(k, i % 2, salt16, 12, again, hash_key, check));
        ck_assert_mem_eq(again, key[i % 2], 32);
    }
    archive_keys_free(k);
}
END_TEST

/* 2^24 rounds for each of many salts would take hours; here the limit is lower, so that it takes no seconds either. */
START_TEST(many_salts_of_much_work_come_to_an_end)
{
    struct archive_keys *k = keys_of("x");
    uint8_t salt[2], key[32], first[32];
    unsigned done = 0;

    archive_keys_limit(k, (UINT64_C(1) << 20) + 2);
    for (unsigned i = 0; i < 10000; i++) {
        salt[0] = (uint8_t)i;
        salt[1] = (uint8_t)(i >> 8);
        done += archive_keys_7z(k, 0, salt, sizeof(salt), i ? 18 : 1, key);
        if (!i)
            memcpy(first, key, sizeof(first));
    }
    ck_assert_uint_eq(done, 5);
    memset(salt, 0, sizeof(salt)); /* it costs nothing to be told again */
    ck_assert(archive_keys_7z(k, 0, salt, sizeof(salt), 1, key));
    ck_assert_mem_eq(key, first, sizeof(key));
    archive_keys_free(k);
    k = keys_of("x"); /* what it is without being told */
    ck_assert(archive_keys_7z(k, 0, salt, sizeof(salt), 1, key));
    archive_keys_limit(k, 0);
    ck_assert(archive_keys_7z(k, 0, salt, sizeof(salt), 1, key));
    ck_assert(!archive_keys_7z(k, 0, salt, sizeof(salt), 2, key));
    archive_keys_free(k);
}
END_TEST

START_TEST(the_password_that_worked_is_tried_first)
{
    const char *const passwords[] = {"one", "two", ""};
    struct archive_keys *k = archive_keys_new(passwords, 3);

    ck_assert_uint_eq(archive_keys_first(k), 0);
    archive_keys_worked(k, 2);
    ck_assert_uint_eq(archive_keys_first(k), 2);
    archive_keys_worked(k, 3);
    ck_assert_uint_eq(archive_keys_first(k), 2);
    archive_keys_free(k);
    archive_keys_free(NULL);
    k = archive_keys_new(NULL, 0);
    ck_assert_uint_eq(archive_keys_count(k), 0);
    archive_keys_free(k);
}
END_TEST

START_TEST(who_is_told_to_stop_derives_nothing)
{
    const char *password = "one";
    struct archive_keys *k = archive_keys_new(&password, 1);
    atomic_bool stop = false;
    uint8_t salt[16] = {1}, key[32], hash_key[32], check[8], iv[16];

    archive_keys_stop(k, &stop);
    ck_assert(archive_keys_rar5(k, 0, salt, 4, key, hash_key, check));
    atomic_store(&stop, true);
    salt[0] = 2;
    ck_assert(!archive_keys_rar5(k, 0, salt, 4, key, hash_key, check));
    ck_assert(!archive_keys_rar4(k, 0, salt, key, iv));
    ck_assert(!archive_keys_7z(k, 0, salt, 16, 4, key));
    atomic_store(&stop, false);
    ck_assert(archive_keys_rar5(k, 0, salt, 4, key, hash_key, check));
    archive_keys_free(k);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("archive/keys");
    TCase *t = tcase_create("keys");

    tcase_add_test(t, rar5_keys_are_pbkdf2s);
    tcase_add_test(t, rar5_takes_one_round_and_a_password_longer_than_a_block);
    tcase_add_test(t, rar4_keys_are_sha1s_of_the_password_in_utf16);
    tcase_add_test(t, rar4_keys_of_long_passwords_are_the_spoilt_ones);
    tcase_add_test(t, sevenz_keys_are_sha256s_of_salt_password_and_counter);
    tcase_add_test(t, sevenz_without_rounds_is_salt_and_password_themselves);
    tcase_add_test(t, too_much_work_is_refused);
    tcase_add_test(t, what_was_derived_once_is_kept);
    tcase_add_test(t, many_salts_of_much_work_come_to_an_end);
    tcase_add_test(t, the_password_that_worked_is_tried_first);
    tcase_add_test(t, who_is_told_to_stop_derives_nothing);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
