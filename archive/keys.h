/**
 * keys — passwords, and what is derived from them.
 *
 * Deriving a key costs 0.01 to 0.3 s on purpose, so a result is kept for its salt: a hundred volumes with one
 * salt cost one derivation.
 *
 * Threads   The owner's.
 * Secrets   Passwords are copied and wiped, keys wiped, by archive_keys_free(). Nothing of them is logged.
 */
#ifndef ARCHIVE_KEYS_H
#define ARCHIVE_KEYS_H

#include "archive/format.h"

#include <stdatomic.h>

struct archive_keys;

/** `passwords` (copied, in the order in which to try them; UTF-8). NULL: no memory. */
struct archive_keys *archive_keys_new(const char *const *passwords, unsigned n);
void archive_keys_free(struct archive_keys *k);

unsigned archive_keys_count(const struct archive_keys *k);

/** Rounds that it derives in all, in place of what would be some ten seconds of one core. */
void archive_keys_limit(struct archive_keys *k, uint64_t rounds);

/** Once *stop (lent; NULL: never) is true, nothing is derived any more, and what is being derived is given up. */
void archive_keys_stop(struct archive_keys *k, const atomic_bool *stop);

/** The most work that a header may ask for: 2^24 rounds. */
#define ARCHIVE_KDF_LOG2_MAX 24u

/* Each derives for password number `i` (below archive_keys_count()). False: the work asked for is beyond the
 * limit, or no memory. */

/** RAR 5: PBKDF2-HMAC-SHA256. `key` 32 bytes; `hash_key` for tweaked checksums; `check` 8 bytes, as the
 *  header has them. */
bool archive_keys_rar5(struct archive_keys *k, unsigned i, const uint8_t salt[16],
                       unsigned log2_rounds, uint8_t key[32], uint8_t hash_key[32],
                       uint8_t check[8]);

/** RAR 3 and 4: 262,144 rounds of SHA-1 over the password in UTF-16 and the salt (NULL: none). */
bool archive_keys_rar4(struct archive_keys *k, unsigned i, const uint8_t salt[8], uint8_t key[16],
                       uint8_t iv[16]);

/** 7z: 2^log2 rounds of SHA-256 over salt, password in UTF-16 and a counter; 0x3f: none. */
bool archive_keys_7z(struct archive_keys *k, unsigned i, const uint8_t *salt, size_t salt_len,
                     unsigned log2_rounds, uint8_t key[32]);

/** Which password opened something last: try it first next time. */
unsigned archive_keys_first(const struct archive_keys *k);
void archive_keys_worked(struct archive_keys *k, unsigned i);

#endif
