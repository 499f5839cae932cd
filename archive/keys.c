/* keys — three ways to make a password cost time, and what came of it kept. */
#include "archive/keys.h"

#include "base/utf8.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>

/* Results that are kept: volumes of one set share salts, sets do not. */
#define KEPT        256u

/* Rounds that one object derives in all, some ten seconds of one core: a hostile header may ask for 2^24 of them
 * for each of its salts. A RAR 4 set takes 2^18 for a salt, so this is some 1,000 salts. A round of RAR 5 hashes
 * four blocks and counts four times. */
#define WORK_MOST   (UINT64_C(1) << 28)

#define SALT_MOST   64u

#define STOP_ROUNDS 4096u           /* between two looks at whether to stop */
#define BATCH       ((size_t)16384) /* bytes hashed with one call */
#define RAR4_ROUNDS (UINT32_C(1) << 18)
#define RAR4_IV     (RAR4_ROUNDS / 16) /* a byte of the IV each so many rounds */
#define SHA1_BLOCK  64u

enum kind { RAR5 = 1, RAR4, SEVENZ };

struct password {
    char *utf8;
    uint8_t *utf16; /* little-endian, no terminator */
    size_t len, len16;
};

/* What was asked for, and the answer. */
struct derived {
    enum kind kind;
    unsigned password, log2;
    size_t salt_len;
    uint8_t salt[SALT_MOST];
    uint8_t value[72]; /* RAR 5: key, hash key, check; RAR 4: key, IV; 7z: key */
    const atomic_bool *stop;
};

struct archive_keys {
    unsigned n, first;
    struct password *passwords;
    uint64_t work, limit; /* rounds so far, and at most */
    const atomic_bool *stop;
    unsigned nkept, next;
    struct derived kept[KEPT];
};

/* ---- passwords ---- */

/* RAR 4 and 7z hash UTF-16. What is not UTF-8 is taken for Windows-1252, as names are. */
static bool password_widen(struct password *p)
{
    p->utf16 = malloc(2 * p->len + 4);
    if (!p->utf16)
        return false;
    for (size_t i = 0; i < p->len;) {
        uint32_t cp, units[2] = {0, 0};
        size_t step = utf8_decode((const unsigned char *)p->utf8 + i, p->len - i, &cp);
        if (!step) {
            cp = utf8_of_cp1252((unsigned char)p->utf8[i]);
            step = 1;
        }
        i += step;
        units[0] = cp < 0x10000 ? cp : 0xd800 + ((cp - 0x10000) >> 10);
        units[1] = cp < 0x10000 ? 0 : 0xdc00 + ((cp - 0x10000) & 0x3ff);
        for (unsigned k = 0; k < 2 && units[k]; k++) {
            p->utf16[p->len16++] = (uint8_t)units[k];
            p->utf16[p->len16++] = (uint8_t)(units[k] >> 8);
        }
    }
    return true;
}

struct archive_keys *archive_keys_new(const char *const *passwords, unsigned n)
{
    struct archive_keys *k = calloc(1, sizeof(*k));

    if (!k)
        return NULL;
    k->limit = WORK_MOST;
    k->passwords = calloc(n ? n : 1, sizeof(*k->passwords));
    if (!k->passwords)
        goto err;
    for (unsigned i = 0; i < n; i++) {
        struct password *p = &k->passwords[k->n++];
        p->utf8 = strdup(passwords[i]);
        if (!p->utf8)
            goto err;
        p->len = strlen(p->utf8);
        if (!password_widen(p))
            goto err;
    }
    return k;

err:
    archive_keys_free(k);
    return NULL;
}

void archive_keys_free(struct archive_keys *k)
{
    if (!k)
        return;
    for (unsigned i = 0; i < k->n; i++) {
        struct password *p = &k->passwords[i];
        if (p->utf8)
            OPENSSL_cleanse(p->utf8, p->len);
        if (p->utf16)
            OPENSSL_cleanse(p->utf16, p->len16);
        free(p->utf8);
        free(p->utf16);
    }
    free(k->passwords);
    OPENSSL_cleanse(k, sizeof(*k));
    free(k);
}

void archive_keys_limit(struct archive_keys *k, uint64_t rounds)
{
    k->limit = rounds;
}

void archive_keys_stop(struct archive_keys *k, const atomic_bool *stop)
{
    k->stop = stop;
}

static bool is_stopped(const struct derived *d)
{
    return d->stop && atomic_load_explicit(d->stop, memory_order_relaxed);
}

unsigned archive_keys_count(const struct archive_keys *k)
{
    return k->n;
}

unsigned archive_keys_first(const struct archive_keys *k)
{
    return k->first;
}

void archive_keys_worked(struct archive_keys *k, unsigned i)
{
    if (i < k->n)
        k->first = i;
}

/* ---- RAR 5 ---- */

#define HMAC_BLOCK 64u

/* HMAC-SHA256 (RFC 2104) whose two beginnings are hashed once: a round is two copies and two blocks. */
struct hmac {
    EVP_MD_CTX *inner, *outer, *run;
};

static bool hmac_begin(EVP_MD_CTX *c, const uint8_t key[HMAC_BLOCK], uint8_t pad)
{
    uint8_t block[HMAC_BLOCK];

    for (unsigned i = 0; i < HMAC_BLOCK; i++)
        block[i] = key[i] ^ pad;
    bool ok = EVP_DigestInit_ex(c, EVP_sha256(), NULL) && EVP_DigestUpdate(c, block, HMAC_BLOCK);
    OPENSSL_cleanse(block, sizeof(block));
    return ok;
}

static bool hmac_init(struct hmac *h, const struct password *p)
{
    uint8_t key[HMAC_BLOCK] = {0};
    bool ok;

    h->inner = EVP_MD_CTX_new();
    h->outer = EVP_MD_CTX_new();
    h->run = EVP_MD_CTX_new();
    ok = h->inner && h->outer && h->run;
    if (ok && p->len > HMAC_BLOCK)
        ok = EVP_Digest(p->utf8, p->len, key, NULL, EVP_sha256(), NULL);
    else if (ok)
        memcpy(key, p->utf8, p->len);
    ok = ok && hmac_begin(h->inner, key, 0x36) && hmac_begin(h->outer, key, 0x5c);
    OPENSSL_cleanse(key, sizeof(key));
    return ok;
}

static void hmac_fini(struct hmac *h)
{
    EVP_MD_CTX_free(h->inner);
    EVP_MD_CTX_free(h->outer);
    EVP_MD_CTX_free(h->run);
}

static bool hmac_of(struct hmac *h, const uint8_t *data, size_t len, uint8_t out[32])
{
    return EVP_MD_CTX_copy_ex(h->run, h->inner) && EVP_DigestUpdate(h->run, data, len) &&
           EVP_DigestFinal_ex(h->run, out, NULL) && EVP_MD_CTX_copy_ex(h->run, h->outer) &&
           EVP_DigestUpdate(h->run, out, 32) && EVP_DigestFinal_ex(h->run, out, NULL);
}

/* PBKDF2 of one block, looked at three times: after 2^log2 rounds, 16 later and again 16 later. */
static bool rar5_rounds(struct hmac *h, const struct derived *d, uint8_t sums[96])
{
    uint8_t seed[SALT_MOST + 4], u[32], x[32];
    uint32_t rounds = UINT32_C(1) << d->log2;
    bool ok;

    memcpy(seed, d->salt, d->salt_len);
    memcpy(seed + d->salt_len, "\0\0\0\1", 4);
    ok = hmac_of(h, seed, d->salt_len + 4, u);
    memcpy(x, u, sizeof(x));
    for (uint32_t i = 1; ok && i <= rounds + 32; i++) {
        if (i == rounds || i == rounds + 16 || i == rounds + 32)
            memcpy(sums + 2 * (i - rounds), x, sizeof(x));
        ok = hmac_of(h, u, sizeof(u), u) && (i % STOP_ROUNDS || !is_stopped(d));
        for (unsigned b = 0; b < 32; b++)
            x[b] ^= u[b];
    }
    OPENSSL_cleanse(u, sizeof(u));
    OPENSSL_cleanse(x, sizeof(x));
    return ok;
}

static bool rar5_derive(const struct password *p, struct derived *d)
{
    uint8_t sums[96];
    struct hmac h;
    bool ok = hmac_init(&h, p) && rar5_rounds(&h, d, sums);

    if (ok) {
        memcpy(d->value, sums, 64);
        memset(d->value + 64, 0, 8);
        for (unsigned i = 0; i < 32; i++)
            d->value[64 + i % 8] ^= sums[64 + i];
    }
    OPENSSL_cleanse(sums, sizeof(sums));
    hmac_fini(&h);
    return ok;
}

/* ---- RAR 4 ---- */

struct rar4 {
    EVP_MD_CTX *sha, *peek;
    uint8_t *raw; /* password and salt: what each round hashes before its number */
    size_t len;
    size_t at; /* bytes hashed, modulo SHA1_BLOCK */
};

static uint32_t rotate(uint32_t v)
{
    return v << 1 | v >> 31;
}

/* RAR 3's SHA-1 left its working words in the caller's buffer, in blocks that it hashed in place, and the next
 * round hashed those. It shows where password and salt exceed a block: 29 characters. To derive what RAR did
 * the buffer has to be spoilt likewise: by the last 16 of the 80 words, little-endian. */
static void rar4_spoil(uint8_t *block)
{
    uint32_t w[16];

    for (unsigned t = 0; t < 16; t++)
        w[t] = (uint32_t)block[4 * t] << 24 | (uint32_t)block[4 * t + 1] << 16 |
               (uint32_t)block[4 * t + 2] << 8 | block[4 * t + 3];
    for (unsigned t = 16; t < 80; t++)
        w[t % 16] = rotate(w[(t + 13) % 16] ^ w[(t + 8) % 16] ^ w[(t + 2) % 16] ^ w[t % 16]);
    for (unsigned t = 0; t < 16; t++)
        for (unsigned b = 0; b < 4; b++)
            block[4 * t + b] = (uint8_t)(w[t] >> (8 * b));
    OPENSSL_cleanse(w, sizeof(w));
}

static bool rar4_round(struct rar4 *r, uint32_t i)
{
    uint8_t number[3] = {(uint8_t)i, (uint8_t)(i >> 8), (uint8_t)(i >> 16)};

    if (!EVP_DigestUpdate(r->sha, r->raw, r->len) || !EVP_DigestUpdate(r->sha, number, 3))
        return false;
    if (r->at + r->len >= SHA1_BLOCK)
        for (size_t k = SHA1_BLOCK - r->at; k + SHA1_BLOCK <= r->len; k += SHA1_BLOCK)
            rar4_spoil(r->raw + k);
    r->at = (r->at + r->len + 3) % SHA1_BLOCK;
    return true;
}

/* Rounds [i, to), many with one call where the buffer stays as it is. */
static bool rar4_rounds(struct rar4 *r, uint32_t i, uint32_t to, uint8_t *batch)
{
    if (r->len >= SHA1_BLOCK) {
        bool ok = true;
        for (; ok && i < to; i++)
            ok = rar4_round(r, i);
        return ok;
    }
    while (i < to) {
        size_t n = 0;
        for (; i < to && n + r->len + 3 <= BATCH; i++) {
            memcpy(batch + n, r->raw, r->len);
            n += r->len;
            for (unsigned b = 0; b < 3; b++)
                batch[n++] = (uint8_t)(i >> (8 * b));
        }
        if (!EVP_DigestUpdate(r->sha, batch, n))
            return false;
        r->at = (r->at + n) % SHA1_BLOCK;
    }
    return true;
}

static bool rar4_hash(struct rar4 *r, uint8_t *batch, uint8_t key[16], uint8_t iv[16])
{
    uint8_t sum[20];
    unsigned n = sizeof(sum);
    bool ok = EVP_DigestInit_ex(r->sha, EVP_sha1(), NULL);

    for (uint32_t i = 0; ok && i < RAR4_ROUNDS; i += RAR4_IV) {
        ok = rar4_round(r, i) && EVP_MD_CTX_copy_ex(r->peek, r->sha) &&
             EVP_DigestFinal_ex(r->peek, sum, &n) && rar4_rounds(r, i + 1, i + RAR4_IV, batch);
        iv[i / RAR4_IV] = sum[19];
    }
    ok = ok && EVP_DigestFinal_ex(r->sha, sum, &n);
    for (unsigned i = 0; i < 16; i++) /* words are big-endian in SHA-1, little-endian in RAR */
        key[i] = sum[i / 4 * 4 + 3 - i % 4];
    OPENSSL_cleanse(sum, sizeof(sum));
    return ok;
}

static bool rar4_derive(const struct password *p, struct derived *d)
{
    struct rar4 r = {.sha = EVP_MD_CTX_new(), .peek = EVP_MD_CTX_new()};
    uint8_t *batch = malloc(BATCH);
    bool ok = false;

    r.len = p->len16 + d->salt_len;
    r.raw = malloc(r.len ? r.len : 1);
    if (r.sha && r.peek && r.raw && batch) {
        memcpy(r.raw, p->utf16, p->len16);
        memcpy(r.raw + p->len16, d->salt, d->salt_len);
        ok = rar4_hash(&r, batch, d->value, d->value + 16);
    }
    if (r.raw)
        OPENSSL_cleanse(r.raw, r.len);
    if (batch)
        OPENSSL_cleanse(batch, BATCH);
    free(r.raw);
    free(batch);
    EVP_MD_CTX_free(r.peek);
    EVP_MD_CTX_free(r.sha);
    return ok;
}

/* ---- 7z ---- */

/* The degenerate form: no hashing at all. */
static void sevenz_plain(const struct password *p, struct derived *d)
{
    size_t n = d->salt_len < 32 ? d->salt_len : 32;
    size_t more = p->len16 < 32 - n ? p->len16 : 32 - n;

    memset(d->value, 0, 32);
    memcpy(d->value, d->salt, n);
    memcpy(d->value + n, p->utf16, more);
}

static bool sevenz_hash(EVP_MD_CTX *sha, const struct password *p, struct derived *d,
                        uint8_t *batch, size_t room)
{
    uint64_t i = 0, rounds = UINT64_C(1) << d->log2;
    size_t one = d->salt_len + p->len16 + 8;
    bool ok = EVP_DigestInit_ex(sha, EVP_sha256(), NULL);
    unsigned len = 32;

    while (ok && i < rounds) {
        size_t n = 0;
        for (; i < rounds && n + one <= room; i++) {
            memcpy(batch + n, d->salt, d->salt_len);
            n += d->salt_len;
            memcpy(batch + n, p->utf16, p->len16);
            n += p->len16;
            for (unsigned b = 0; b < 8; b++)
                batch[n++] = (uint8_t)(i >> (8 * b));
        }
        ok = EVP_DigestUpdate(sha, batch, n) && !is_stopped(d);
    }
    return ok && EVP_DigestFinal_ex(sha, d->value, &len);
}

static bool sevenz_derive(const struct password *p, struct derived *d)
{
    if (d->log2 == 0x3f) {
        sevenz_plain(p, d);
        return true;
    }
    size_t room = BATCH + SALT_MOST + p->len16 + 8;
    EVP_MD_CTX *sha = EVP_MD_CTX_new();
    uint8_t *batch = malloc(room);
    bool ok = sha && batch && sevenz_hash(sha, p, d, batch, room);
    if (batch)
        OPENSSL_cleanse(batch, room);
    free(batch);
    EVP_MD_CTX_free(sha);
    return ok;
}

/* ---- kept ---- */

static const struct derived *kept_find(const struct archive_keys *k, const struct derived *want)
{
    for (unsigned i = 0; i < k->nkept; i++) {
        const struct derived *d = &k->kept[i];
        if (d->kind == want->kind && d->password == want->password && d->log2 == want->log2 &&
            d->salt_len == want->salt_len && !memcmp(d->salt, want->salt, d->salt_len))
            return d;
    }
    return NULL;
}

/* `d`, which says what is wanted, with its value. */
static bool derive(struct archive_keys *k, struct derived *d, const uint8_t *salt, size_t salt_len)
{
    uint64_t work = d->log2 == 0x3f ? 1 : (uint64_t)(d->kind == RAR5 ? 4 : 1) << d->log2;
    bool ok = false;

    if (d->password >= k->n || salt_len > SALT_MOST)
        return false;
    d->salt_len = salt_len;
    if (salt_len)
        memcpy(d->salt, salt, salt_len);
    const struct derived *old = kept_find(k, d);
    if (old) {
        *d = *old;
        return true;
    }
    d->stop = k->stop;
    if (is_stopped(d) || work > k->limit || k->work > k->limit - work)
        return false;
    k->work += work;
    switch (d->kind) {
    case RAR5:
        ok = rar5_derive(&k->passwords[d->password], d);
        break;
    case RAR4:
        ok = rar4_derive(&k->passwords[d->password], d);
        break;
    case SEVENZ:
        ok = sevenz_derive(&k->passwords[d->password], d);
        break;
    }
    if (ok) {
        k->kept[k->next] = *d;
        k->next = (k->next + 1) % KEPT;
        k->nkept += k->nkept < KEPT;
    }
    return ok;
}

bool archive_keys_rar5(struct archive_keys *k, unsigned i, const uint8_t salt[16],
                       unsigned log2_rounds, uint8_t key[32], uint8_t hash_key[32],
                       uint8_t check[8])
{
    struct derived d = {.kind = RAR5, .password = i, .log2 = log2_rounds};
    bool ok = log2_rounds <= ARCHIVE_KDF_LOG2_MAX && derive(k, &d, salt, 16);

    if (ok) {
        memcpy(key, d.value, 32);
        memcpy(hash_key, d.value + 32, 32);
        memcpy(check, d.value + 64, 8);
    }
    OPENSSL_cleanse(&d, sizeof(d));
    return ok;
}

bool archive_keys_rar4(struct archive_keys *k, unsigned i, const uint8_t salt[8], uint8_t key[16],
                       uint8_t iv[16])
{
    struct derived d = {.kind = RAR4, .password = i, .log2 = 18};
    bool ok = derive(k, &d, salt, salt ? 8 : 0);

    if (ok) {
        memcpy(key, d.value, 16);
        memcpy(iv, d.value + 16, 16);
    }
    OPENSSL_cleanse(&d, sizeof(d));
    return ok;
}

bool archive_keys_7z(struct archive_keys *k, unsigned i, const uint8_t *salt, size_t salt_len,
                     unsigned log2_rounds, uint8_t key[32])
{
    struct derived d = {.kind = SEVENZ, .password = i, .log2 = log2_rounds};
    bool ok = (log2_rounds <= ARCHIVE_KDF_LOG2_MAX || log2_rounds == 0x3f) &&
              derive(k, &d, salt, salt_len);

    if (ok)
        memcpy(key, d.value, 32);
    OPENSSL_cleanse(&d, sizeof(d));
    return ok;
}
