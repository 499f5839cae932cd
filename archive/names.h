/**
 * names — what a posted file's name says: which set and volume it is of, and whether it says anything at all.
 *
 * Pure.
 */
#ifndef ARCHIVE_NAMES_H
#define ARCHIVE_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum names_scheme {
    NAMES_NONE,
    NAMES_RAR_PART, /* x.part01.rar: volume 1 …, of any width */
    NAMES_RAR_OLD,  /* x.rar, x.r00 … x.r99, x.s00 …: volume 0, 1, … */
    NAMES_7Z,       /* x.7z, or x.7z.001 … */
    NAMES_ZIP,      /* x.zip, or x.zip.001 … */
    NAMES_SPLIT,    /* x.001, x.002 … */
    NAMES_PAR2,     /* x.par2, x.vol03+04.par2: the number of blocks is `volume` */
};

struct names_part {
    enum names_scheme scheme;
    size_t base;     /* length of what the set's names have in common, from the name's beginning */
    uint32_t volume; /* from 0 */
    /** 2 to 99, as in "x (2).part01.rar": so another file of that name is told apart in a list of unique ones. Not in
     *  `base`; 0: none. */
    uint32_t copy;
    bool zero; /* its number is 0, so that others of its set are one later than they say */
};

struct names_part names_part(const char *name);

/** Does the name say nothing to a person: hexadecimal or random letters? What is in doubt is not. Of a name with
 *  an extension only what stands before it counts. */
bool names_obfuscated(const char *name);

/** The extension (with its dot) that these first bytes deserve: ".mkv", ".mp4", ".rar", ".7z", ".zip", ".par2",
 *  ".avi", ".ts", ".m2ts", ".iso"? …; NULL: cannot be told. */
const char *names_magic(const uint8_t *head, size_t len);

/** Is `name`'s extension one that a file beginning so may have? True where nothing can be told. */
bool names_magic_fits(const char *name, const uint8_t *head, size_t len);

/** A sample, an nfo, a PAR2 file, a picture, a checksum file: not what the NZB is about. */
bool names_aside(const char *name);

/** {{password}} in an NZB's name: where it begins in `name`, and how long it is. False: none. Also "name password=…". */
bool names_password(const char *name, const char **password, size_t *len);

/** Takes the password, and what marks it, out of `name`. Returns what is left of its length; a name that is nothing else
 *  stays empty. */
size_t names_public(char *name);

#endif
