#include "base/hash.h"

#include <check.h>
#include <string.h>

/* The state written out once more, with the rounds as the paper has them (1 and 3), byte by byte. */
static uint64_t rotate(uint64_t x, int b)
{
    return (x << b) | (x >> (64 - b));
}

static void rounds(uint64_t v[4], int n)
{
    while (n--) {
        v[0] += v[1];
        v[2] += v[3];
        v[1] = rotate(v[1], 13);
        v[3] = rotate(v[3], 16);
        v[1] ^= v[0];
        v[3] ^= v[2];
        v[0] = rotate(v[0], 32);
        v[2] += v[1];
        v[0] += v[3];
        v[1] = rotate(v[1], 17);
        v[3] = rotate(v[3], 21);
        v[1] ^= v[2];
        v[3] ^= v[0];
        v[2] = rotate(v[2], 32);
    }
}

static uint64_t siphash13(const unsigned char *p, size_t len, uint64_t k0, uint64_t k1)
{
    uint64_t v[4] = {k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du, k0 ^ 0x6c7967656e657261u,
                     k1 ^ 0x7465646279746573u};
    uint64_t m = 0;

    for (size_t i = 0; i < len; i++) {
        m |= (uint64_t)p[i] << (8 * (i % 8));
        if (i % 8 == 7) {
            v[3] ^= m;
            rounds(v, 1);
            v[0] ^= m;
            m = 0;
        }
    }
    m |= (uint64_t)len << 56;
    v[3] ^= m;
    rounds(v, 1);
    v[0] ^= m;
    v[2] ^= 0xff;
    rounds(v, 3);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

START_TEST(every_length_gives_what_the_paper_says)
{
    unsigned char text[300];

    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (unsigned char)(i * 37);
    for (size_t len = 0; len <= sizeof(text); len++)
        ck_assert_uint_eq(hash_bytes_keyed(text, len, 0x0706050403020100, 0x0f0e0d0c0b0a0908),
                          siphash13(text, len, 0x0706050403020100, 0x0f0e0d0c0b0a0908));
}
END_TEST

START_TEST(the_key_matters_and_the_process_keeps_its_own)
{
    ck_assert_uint_ne(hash_bytes_keyed("a", 1, 1, 2), hash_bytes_keyed("a", 1, 2, 1));
    ck_assert_uint_eq(hash_bytes("name", 4), hash_bytes("name", 4));
    ck_assert_uint_ne(hash_bytes("name", 4), hash_bytes("nam", 3));
}
END_TEST

START_TEST(alignment_does_not_matter)
{
    char room[64];

    for (size_t at = 0; at < 8; at++) {
        memcpy(room + at, "seventeen letters", 17);
        ck_assert_uint_eq(hash_bytes_keyed(room + at, 17, 5, 6),
                          hash_bytes_keyed("seventeen letters", 17, 5, 6));
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("base/hash");
    TCase *t = tcase_create("hash");
    SRunner *r = srunner_create(s);

    suite_add_tcase(s, t);
    tcase_add_test(t, every_length_gives_what_the_paper_says);
    tcase_add_test(t, the_key_matters_and_the_process_keeps_its_own);
    tcase_add_test(t, alignment_does_not_matter);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
