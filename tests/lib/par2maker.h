/**
 * par2maker — PAR2 files about the volumes of a set: names and checksums are right, recovery data recovers nothing.
 *
 * Source    Parity Volume Set Specification 2.0.
 * Errors    As in made.h.
 */
#ifndef TESTS_LIB_PAR2MAKER_H
#define TESTS_LIB_PAR2MAKER_H

#include "tests/lib/made.h"

struct par2maker_options {
    const char *base; /* NULL: "set" */
    uint64_t slice;   /* bytes, a multiple of 4; 0: 100,000 */
    uint32_t
        recovery; /* so many files with recovery slices besides the index: 1, 2, 4 … of them in each */
    const char *const *names; /* of the volumes; NULL: as they are called now */
    bool broken; /* a description with a wrong name stands first, whose checksum is wrong */
    uint64_t seed;
};

/** The PAR2 files of what is made, as volumes: BASE.par2, BASE.vol0+1.par2 … Every one has all descriptions. */
struct made *par2maker_make(const struct par2maker_options *o, const struct made *of);

#endif
