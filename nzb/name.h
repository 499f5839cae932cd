/** name — file names out of subjects, and made safe to stand in a directory. */
#ifndef NZB_NAME_H
#define NZB_NAME_H

#include <stddef.h>
#include <stdint.h>

#define NZB_NAME_MAX 255

/** The file name that a subject speaks of: the quoted one, else the last word that looks like a file
 *  name, else all of it. Writes at most cap bytes with the NUL and returns the length; not yet safe. */
size_t nzb_name_from_subject(const char *subject, char *out, size_t cap);

/** How many parts the subject speaks of: m of its last "(n/m)". 0: it does not say. */
uint32_t nzb_name_parts(const char *subject);

/** Make `in` one safe path component in out[NZB_NAME_MAX + 1]: valid UTF-8 (other bytes are taken for
 *  Windows-1252); '/', NUL, controls and marks that turn the writing direction replaced by '_'; no
 *  blanks at its ends; not empty, "." or ".."; over-long ones cut on a UTF-8 boundary with the extension
 *  kept. Returns the length. */
size_t nzb_name_safe(const char *in, size_t len, char *out);

/** The `n`th (from 2) name after `name` for a second file of one name: "film (2).mkv". Safe as above. */
size_t nzb_name_nth(const char *name, unsigned n, char *out);

#endif
