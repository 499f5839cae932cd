/**
 * zipmaker — ZIP archives of stored files, in forms that programs which write them leave to chance.
 *
 * Source    APPNOTE 6.3: local headers §4.3.7, data descriptors §4.3.9, central directory §4.3.12, ZIP64 §4.3.14.
 * Errors    As in made.h.
 */
#ifndef TESTS_LIB_ZIPMAKER_H
#define TESTS_LIB_ZIPMAKER_H

#include "tests/lib/made.h"

struct zipmaker_options {
    const char *base;    /* NULL: "set" */
    uint64_t seed;       /* of what gaps hold */
    bool zip64;          /* though nothing needs it */
    bool descriptors;    /* sizes and checksum behind the data, none in the local header */
    bool cp437;          /* names in that code page, where they fit; else UTF-8 with its flag */
    bool unicode_path;   /* CP437 names, or '_', with an Info-ZIP Unicode path beside them */
    bool precise_times;  /* NTFS times; else Unix times too, beside DOS ones */
    bool dos_times;      /* DOS times only */
    bool no_sum;         /* wrong checksums: archives of many GB without reading them */
    const char *comment; /* of the archive */
    bool comments;       /* of members */
    size_t
        prefix; /* bytes of something else before the archive, by which all offsets are too small */
    size_t gap; /* between members */
    bool local_name_differs; /* the local header has another name than the directory */
};

/** One volume, BASE.zip; made_cut() splits it. */
struct made *zipmaker_make(const struct zipmaker_options *o, const struct made_file *files,
                           uint32_t nfiles);

#endif
