/** clock — microseconds since some moment that does not move (CLOCK_MONOTONIC). */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

uint64_t clock_now_us(void);

#endif
