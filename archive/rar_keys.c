/* rar_keys — which password, and the key that it gives with a salt. */
#include "archive/rar.h"

#include "archive/cipher.h"
#include "archive/keys.h"

#include <openssl/crypto.h>

/* Rounds of RAR 5's hashing that one set may cost, all salts and passwords together: some seconds. What WinRAR writes
 * takes 2^15 of them for a salt, or RAR 4's way, whose rounds cost a quarter. */
#define WORK_MOST  ((uint64_t)1 << 24)
#define WORK_LEAST ((uint64_t)1 << 15)
#define WORK_RAR4  ((uint64_t)1 << 16)

bool rar_crypt_same(const struct rar_crypt *a, const struct rar_crypt *b)
{
    return a->version == b->version && a->log2 == b->log2 && a->salted == b->salted &&
           a->checked == b->checked && a->tweaked == b->tweaked && a->unknown == b->unknown &&
           !memcmp(a->salt, b->salt, sizeof(a->salt)) && !memcmp(a->iv, b->iv, sizeof(a->iv)) &&
           !memcmp(a->check, b->check, sizeof(a->check));
}

static const struct rar_key *key_known(const struct rar_reader *r, const struct rar_crypt *c,
                                       unsigned i)
{
    for (const struct rar_key *k = r->known; k; k = k->next)
        if (k->password == i && k->version == c->version && k->log2 == c->log2 &&
            k->salted == c->salted && !memcmp(k->salt, c->salt, sizeof(k->salt)))
            return k;
    return NULL;
}

static bool work_allowed(struct rar_reader *r, const struct rar_crypt *c)
{
    uint64_t work = c->version == 4 ? WORK_RAR4 : (uint64_t)1 << c->log2;
    r->work += work > WORK_LEAST ? work : WORK_LEAST;
    return r->work <= WORK_MOST;
}

int rar_key_get(struct rar_reader *r, const struct rar_crypt *c, unsigned i,
                const struct rar_key **k, enum archive_why *why)
{
    uint8_t hash_key[32];
    *why = ARCHIVE_OK;
    *k = key_known(r, c, i);
    if (*k)
        return 0;
    if (c->unknown || c->log2 > ARCHIVE_KDF_LOG2_MAX)
        *why = ARCHIVE_CIPHER;
    else if (!r->keys)
        *why = ARCHIVE_BAD_PASSWORD;
    else if (!work_allowed(r, c))
        *why = ARCHIVE_TOO_MUCH;
    if (*why)
        return 0;
    struct rar_key *n = arena_new(r->arena, struct rar_key);
    if (!n)
        return -ENOMEM;
    *n = (struct rar_key){
        .version = c->version, .log2 = c->log2, .salted = c->salted, .password = i};
    memcpy(n->salt, c->salt, sizeof(n->salt));
    bool done = c->version == 5
                    ? archive_keys_rar5(r->keys, i, c->salt, c->log2, n->key, hash_key, n->check)
                    : archive_keys_rar4(r->keys, i, c->salted ? c->salt : NULL, n->key, n->iv);
    OPENSSL_cleanse(hash_key, sizeof(hash_key));
    if (!done) { /* all the work that passwords may cost was done: for other sets */
        *why = ARCHIVE_TOO_MUCH;
        return 0;
    }
    n->next = r->known;
    r->known = n;
    *k = n;
    return 0;
}

unsigned rar_key_turn(const struct rar_reader *r, unsigned turn)
{
    unsigned first = archive_keys_first(r->keys);
    if (r->header_opened)
        first = r->header_password;
    return turn == 0 ? first : turn <= first ? turn - 1 : turn;
}

/* Nothing can be derived: any known key for the salt is the one that opened it before. */
static const struct rar_key *key_opened(const struct rar_reader *r, const struct rar_crypt *c)
{
    return r->header_opened ? key_known(r, c, r->header_password) : NULL;
}

int rar_key_pick(struct rar_reader *r, const struct rar_crypt *c, const struct rar_key **k,
                 enum archive_why *why)
{
    *why = ARCHIVE_BAD_PASSWORD;
    *k = NULL;
    if (!r->keys) {
        *k = key_opened(r, c);
        return 0;
    }
    unsigned n = archive_keys_count(r->keys);
    if (n == 0)
        *why = ARCHIVE_NO_PASSWORD;
    for (unsigned turn = 0; turn < n; turn++) {
        int e = rar_key_get(r, c, rar_key_turn(r, turn), k, why);
        if (e || !*k)
            return e;
        if (!c->checked)
            return 0;
        if (!CRYPTO_memcmp((*k)->check, c->check, sizeof(c->check))) {
            archive_keys_worked(r->keys, (*k)->password);
            return 0;
        }
        *k = NULL;
        *why = ARCHIVE_BAD_PASSWORD;
    }
    return 0;
}

/* What is in the arena is the reader's own, and const only to others. */
static void mark_header(struct rar_reader *r, const struct rar_key *k)
{
    for (struct rar_key *i = r->known; i; i = i->next)
        if (i == k)
            i->header = true;
}

void rar_key_worked(struct rar_reader *r, const struct rar_key *k)
{
    if (!r->keys || k->header)
        return;
    r->header_opened = true;
    r->header_password = k->password;
    mark_header(r, k);
    archive_keys_worked(r->keys, k->password);
}

void rar_keys_wipe(struct rar_reader *r, bool headers)
{
    struct rar_key *keep = NULL;
    for (struct rar_key *k = r->known, *next; k; k = next) {
        next = k->next;
        if (k->header && !headers) {
            k->next = keep;
            keep = k;
        } else {
            OPENSSL_cleanse(k, sizeof(*k));
        }
    }
    r->known = keep;
}

int rar_key_open(const struct rar_key *k, const uint8_t iv[16], uint8_t *text, size_t len)
{
    struct archive_cipher c = {.kind = k->version == 5 ? ARCHIVE_AES256_CBC : ARCHIVE_AES128_CBC};
    memcpy(c.key, k->key, sizeof(c.key));
    memcpy(c.iv, k->version == 5 ? iv : k->iv, sizeof(c.iv));
    struct archive_decipher *d = archive_decipher_new(&c);
    OPENSSL_cleanse(&c, sizeof(c));
    bool done = d && archive_decipher(d, 0, text, len);
    archive_decipher_free(d);
    return done ? 0 : -ENOMEM;
}
