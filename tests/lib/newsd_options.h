/** newsd_options — the command line of nzbfs-newsd, checked. Strings are argv's. */
#ifndef TESTS_LIB_NEWSD_OPTIONS_H
#define TESTS_LIB_NEWSD_OPTIONS_H

#include "tests/lib/newsd.h"

#include <stdio.h>

struct newsd_generate {
    char *name; /* malloc'd */
    uint64_t size, seed;
};

struct newsd_options {
    struct newsd_config cfg;
    uint32_t part_size;
    const char *ready_file, *nzb, *stats, *control;
    uint64_t missing_every, bad_crc_every;
    bool exit_with_parent, encode_first, uneven;
    const char **faults; /* WHAT:KIND */
    unsigned nfaults;
    const char **tags; /* NAME:LETTER */
    unsigned ntags;
    struct newsd_generate *generate;
    unsigned ngenerate;
    char **files; /* what is left of argv */
    int nfiles;
};

enum newsd_options_result { NEWSD_OPTIONS_RUN, NEWSD_OPTIONS_HELP, NEWSD_OPTIONS_BAD };

/** BAD: the reason is on stderr. `o` is zeroed first, and freed by newsd_options_fini() in any case. */
enum newsd_options_result newsd_options_parse(struct newsd_options *o, int argc, char **argv);
void newsd_options_fini(struct newsd_options *o);
void newsd_options_help(FILE *out);

/** The letter that --tag gives the file of that name; 0: none. */
char newsd_options_tag(const struct newsd_options *o, const char *name);

#endif
