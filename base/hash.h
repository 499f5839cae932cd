/**
 * hash — SipHash-1-3 of bytes, with a key drawn once per process.
 *
 * Names and message-ids come from strangers: a fixed hash would let them choose collisions and make
 * every table a list.
 *
 * Threads   Any.
 * Source    "SipHash: a fast short-input PRF", Aumasson and Bernstein, 2012.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t hash_bytes(const void *p, size_t len);

/** The same with a key of the caller's: equal on every run. For tests and stored tables. */
uint64_t hash_bytes_keyed(const void *p, size_t len, uint64_t k0, uint64_t k1);

#endif
