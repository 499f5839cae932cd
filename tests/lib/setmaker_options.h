/** setmaker_options — the command line of nzbfs-setmaker, checked. Strings are argv's. */
#ifndef TESTS_LIB_SETMAKER_OPTIONS_H
#define TESTS_LIB_SETMAKER_OPTIONS_H

#include "tests/lib/par2maker.h"
#include "tests/lib/rarmaker.h"
#include "tests/lib/zipmaker.h"

#include <stdio.h>

#define SETMAKER_SIZES    4096
#define SETMAKER_GENERATE 1024

struct setmaker_generate {
    char *name; /* malloc'd */
    uint64_t size, seed;
};

struct setmaker_options {
    struct rarmaker_options rar;
    struct zipmaker_options zip;
    struct par2maker_options par2;
    enum { SETMAKER_RAR, SETMAKER_ZIP, SETMAKER_FILES } format;
    uint64_t sizes[SETMAKER_SIZES];
    uint64_t cut; /* 0: not */
    bool make_par2;
    bool obfuscate, shuffle;
    const char *compressed, *plain, *unknown; /* a member's name */
    const char *root;  /* members' names are relative to it; NULL: their last component */
    const char *truth; /* a directory: what members hold is written there too */
    struct setmaker_generate generate[SETMAKER_GENERATE];
    unsigned ngenerate;
    const char *to;
    char **files; /* what is left of argv */
    int nfiles;
};

enum setmaker_options_result { SETMAKER_OPTIONS_RUN, SETMAKER_OPTIONS_HELP, SETMAKER_OPTIONS_BAD };

/** BAD: the reason is on stderr. `o` is zeroed first, and freed by setmaker_options_fini() in any case. */
enum setmaker_options_result setmaker_options_parse(struct setmaker_options *o, int argc,
                                                    char **argv);
void setmaker_options_fini(struct setmaker_options *o);
void setmaker_options_help(FILE *out);

#endif
