/* cipher — AES in CBC, from any block on. */
#include "archive/cipher.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>

#define BLOCK    ((size_t)16)

/* EVP counts in int. */
#define ONE_CALL ((size_t)1 << 30)

struct archive_decipher {
    EVP_CIPHER_CTX *ctx; /* has the key */
    uint8_t iv[16];
};

void archive_cipher_span(uint64_t off, uint64_t len, uint64_t *from, uint64_t *need)
{
    uint64_t begin = off & ~(uint64_t)15, end;

    if (__builtin_add_overflow(off, len, &end) || end > UINT64_MAX - 15)
        end = UINT64_MAX & ~(uint64_t)15;
    else
        end = (end + 15) & ~(uint64_t)15;
    if (begin)
        begin -= 16;
    *from = begin;
    *need = len ? end - begin : 0;
}

static const EVP_CIPHER *cipher_of(enum archive_cipher_kind kind)
{
    switch (kind) {
    case ARCHIVE_PLAIN:
        return NULL;
    case ARCHIVE_AES128_CBC:
        return EVP_aes_128_cbc();
    case ARCHIVE_AES256_CBC:
        return EVP_aes_256_cbc();
    }
    return NULL;
}

struct archive_decipher *archive_decipher_new(const struct archive_cipher *c)
{
    const EVP_CIPHER *cipher = cipher_of(c->kind);
    struct archive_decipher *d = cipher ? calloc(1, sizeof(*d)) : NULL;

    if (!d)
        return NULL;
    memcpy(d->iv, c->iv, sizeof(d->iv));
    d->ctx = EVP_CIPHER_CTX_new();
    if (!d->ctx || !EVP_DecryptInit_ex(d->ctx, cipher, NULL, c->key, c->iv) ||
        !EVP_CIPHER_CTX_set_padding(d->ctx, 0)) {
        archive_decipher_free(d);
        return NULL;
    }
    return d;
}

void archive_decipher_free(struct archive_decipher *d)
{
    if (!d)
        return;
    EVP_CIPHER_CTX_free(d->ctx); /* wipes the key */
    OPENSSL_cleanse(d->iv, sizeof(d->iv));
    free(d);
}

bool archive_decipher(struct archive_decipher *d, uint64_t from, uint8_t *text, size_t len)
{
    uint8_t iv[16];

    if (from % BLOCK || len % BLOCK)
        return false;
    if (!len)
        return true;
    memcpy(iv, from ? text : d->iv, BLOCK);
    if (from)
        text += BLOCK, len -= BLOCK;
    if (!EVP_DecryptInit_ex(d->ctx, NULL, NULL, NULL, iv))
        return false;
    while (len) {
        int n = (int)(len < ONE_CALL ? len : ONE_CALL), out = 0;
        if (!EVP_DecryptUpdate(d->ctx, text, &out, text, n) || out != n)
            return false;
        text += n, len -= (size_t)n;
    }
    return true;
}
