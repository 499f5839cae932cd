#include "base/hash.h"

#include <pthread.h>
#include <string.h>
#include <sys/random.h>

static uint64_t process_key[2];
static pthread_once_t key_once = PTHREAD_ONCE_INIT;

static void key_draw(void)
{
    /* Without entropy the table is merely predictable: not worth refusing to start for. */
    if (getrandom(process_key, sizeof(process_key), 0) != (ssize_t)sizeof(process_key))
        process_key[0] = (uint64_t)(uintptr_t)&process_key;
}

static inline uint64_t rotl(uint64_t x, unsigned b)
{
    return (x << b) | (x >> (64 - b));
}

struct sip {
    uint64_t v0, v1, v2, v3;
};

static inline void sip_round(struct sip *s)
{
    s->v0 += s->v1;
    s->v1 = rotl(s->v1, 13) ^ s->v0;
    s->v0 = rotl(s->v0, 32);
    s->v2 += s->v3;
    s->v3 = rotl(s->v3, 16) ^ s->v2;
    s->v0 += s->v3;
    s->v3 = rotl(s->v3, 21) ^ s->v0;
    s->v2 += s->v1;
    s->v1 = rotl(s->v1, 17) ^ s->v2;
    s->v2 = rotl(s->v2, 32);
}

uint64_t hash_bytes_keyed(const void *p, size_t len, uint64_t k0, uint64_t k1)
{
    struct sip s = {k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du, k0 ^ 0x6c7967656e657261u,
                    k1 ^ 0x7465646279746573u};
    const unsigned char *b = p;
    uint64_t m;

    for (size_t left = len; left >= 8; left -= 8, b += 8) {
        memcpy(&m, b, 8);
        s.v3 ^= m;
        sip_round(&s);
        s.v0 ^= m;
    }
    m = (uint64_t)len << 56;
    for (size_t i = 0; i < len % 8; i++)
        m |= (uint64_t)b[i] << (8 * i);
    s.v3 ^= m;
    sip_round(&s);
    s.v0 ^= m;
    s.v2 ^= 0xff;
    sip_round(&s);
    sip_round(&s);
    sip_round(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

uint64_t hash_bytes(const void *p, size_t len)
{
    pthread_once(&key_once, key_draw);
    return hash_bytes_keyed(p, len, process_key[0], process_key[1]);
}
