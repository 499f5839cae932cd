/** unique — files of one name are told apart: "film.mkv", "film (2).mkv". */
#ifndef NZB_UNIQUE_H
#define NZB_UNIQUE_H

#include "nzb/nzb.h"

/** Give each of files[n], whose names are safe, a name of its own. The first of a name keeps it, and so
 *  does every name that is itself the first of its kind. Linear in n, whatever the names are. New names
 *  are the arena's. 0 or -ENOMEM. */
int nzb_unique_names(struct nzb_file *files, size_t n, struct arena *arena, unsigned *renamed);

#endif
