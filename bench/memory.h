/**
 * memory — free memory that is really there.
 */
#ifndef BENCH_MEMORY_H
#define BENCH_MEMORY_H

#include <stdint.h>

/** Before something that is to be measured needs about so many bytes of memory, its own and the kernel's pages
 *  of files together: have so many, and half as many beside, touched and given back, so that none of it is touched for the
 *  first time in a while. Never more than half of what is free. */
void memory_warm(uint64_t bytes);

#endif
