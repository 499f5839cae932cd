#include "archive/cipher.h"

#include <check.h>
#include <openssl/evp.h>
#include <stdlib.h>

#define LEN ((size_t)65536)

static uint8_t plain[LEN], text[LEN];

static uint32_t dice_state = 1;

static uint32_t dice(void)
{
    dice_state = dice_state * 1664525u + 1013904223u;
    return dice_state >> 8;
}

/* A stream of LEN bytes under `kind`, in `plain` and `text`. */
static struct archive_cipher make(enum archive_cipher_kind kind)
{
    struct archive_cipher c = {.kind = kind};
    int n = 0;

    for (size_t i = 0; i < LEN; i++)
        plain[i] = (uint8_t)dice();
    for (unsigned i = 0; i < 32; i++)
        c.key[i] = (uint8_t)dice();
    for (unsigned i = 0; i < 16; i++)
        c.iv[i] = (uint8_t)dice();
    EVP_CIPHER_CTX *e = EVP_CIPHER_CTX_new();
    ck_assert_int_eq(
        EVP_EncryptInit_ex(e, kind == ARCHIVE_AES128_CBC ? EVP_aes_128_cbc() : EVP_aes_256_cbc(),
                           NULL, c.key, c.iv),
        1);
    EVP_CIPHER_CTX_set_padding(e, 0);
    ck_assert_int_eq(EVP_EncryptUpdate(e, text, &n, plain, (int)LEN), 1);
    ck_assert_int_eq(n, (int)LEN);
    EVP_CIPHER_CTX_free(e);
    return c;
}

static void expect_anywhere(enum archive_cipher_kind kind)
{
    struct archive_cipher c = make(kind);
    struct archive_decipher *d = archive_decipher_new(&c);
    uint8_t *copy = malloc(LEN);

    ck_assert(d && copy);
    for (unsigned i = 0; i < 3000; i++) {
        uint64_t off = dice() % LEN, len = 1 + dice() % (i % 3 ? 50 : 9000), from, need;
        if (len > LEN - off)
            len = LEN - off;
        archive_cipher_span(off, len, &from, &need);
        ck_assert(from % 16 == 0 && need % 16 == 0 && from <= off && from + need >= off + len &&
                  from + need <= LEN && need <= len + 47);
        memcpy(copy, text + from, need);
        ck_assert(archive_decipher(d, from, copy, need));
        ck_assert_mem_eq(copy + (off - from), plain + off, len);
    }
    free(copy);
    archive_decipher_free(d);
}

START_TEST(any_stretch_is_deciphered_by_itself)
{
    expect_anywhere(ARCHIVE_AES128_CBC);
    expect_anywhere(ARCHIVE_AES256_CBC);
}
END_TEST

START_TEST(a_span_begins_a_block_earlier_except_at_the_start)
{
    uint64_t from, need;

    archive_cipher_span(0, 1, &from, &need);
    ck_assert(from == 0 && need == 16);
    archive_cipher_span(15, 2, &from, &need);
    ck_assert(from == 0 && need == 32);
    archive_cipher_span(16, 16, &from, &need);
    ck_assert(from == 0 && need == 32);
    archive_cipher_span(40, 8, &from, &need);
    ck_assert(from == 16 && need == 32);
    archive_cipher_span(1000, 0, &from, &need);
    ck_assert(need == 0);
    archive_cipher_span(UINT64_MAX - 3, 10, &from, &need);
    ck_assert(from <= UINT64_MAX - 3 && from + need > from && need < 64);
}
END_TEST

START_TEST(what_is_not_in_blocks_is_refused)
{
    struct archive_cipher c = make(ARCHIVE_AES256_CBC);
    struct archive_decipher *d = archive_decipher_new(&c);

    ck_assert(!archive_decipher(d, 8, text, 32));
    ck_assert(!archive_decipher(d, 16, text, 31));
    ck_assert(archive_decipher(d, 16, text, 0));
    ck_assert(archive_decipher(d, 32, text, 16));
    archive_decipher_free(d);
    archive_decipher_free(NULL);
}
END_TEST

START_TEST(plain_has_no_decipher)
{
    struct archive_cipher c = {.kind = ARCHIVE_PLAIN};
    ck_assert_ptr_null(archive_decipher_new(&c));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("archive/cipher");
    TCase *t = tcase_create("cipher");

    tcase_add_test(t, any_stretch_is_deciphered_by_itself);
    tcase_add_test(t, a_span_begins_a_block_earlier_except_at_the_start);
    tcase_add_test(t, what_is_not_in_blocks_is_refused);
    tcase_add_test(t, plain_has_no_decipher);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
