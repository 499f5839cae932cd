/**
 * dice — seeded random numbers, the same on every machine.
 *
 * Source    Steele, Lea, Flood: "Fast splittable pseudorandom number generators" (SplitMix64), 2014.
 */
#ifndef TESTS_QOS_DICE_H
#define TESTS_QOS_DICE_H

#include <stdbool.h>
#include <stdint.h>

struct dice {
    uint64_t state;
};

static inline void dice_init(struct dice *d, uint64_t seed)
{
    d->state = seed * 0x2545f4914f6cdd1du + 1;
}

static inline uint64_t dice_next(struct dice *d)
{
    uint64_t z = d->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/** Below `n`; 0 when `n` is. */
static inline unsigned dice_below(struct dice *d, unsigned n)
{
    return n ? (unsigned)(dice_next(d) % n) : 0;
}

static inline bool dice_chance(struct dice *d, unsigned permille)
{
    return dice_below(d, 1000) < permille;
}

#endif
