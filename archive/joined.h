/**
 * joined — what the readers of formats that are cut anywhere share besides archive_joined of format.h.
 *
 * Sizes     To join volumes their sizes must be known, and a size costs an article. So where names told the order
 *           only the first's and the last's are asked for, and of those in between each that the NZB says to be
 *           odd; the others are reckoned to be as long as the first (archive_volume.read is false). The reader then
 *           compares the sum with what the archive says of itself; where that differs, archive_joined_measure().
 *           A read that touches a reckoned volume asks for its size as well, since its article comes anyway.
 */
#ifndef ARCHIVE_JOINED_H
#define ARCHIVE_JOINED_H

#include "archive/format.h"

/** Ask every volume whose size was reckoned. 0: none was; 1: `j` is right now; or -errno. */
int archive_joined_measure(struct archive_joined *j);

/** Put the volumes right whose order names did not tell: the one that begins with the archive first, the shortest last.
 *  False in *told: that leaves it open. 0, -EINTR, -ETIMEDOUT. */
int archive_joined_order(struct archive_set *s, bool (*is)(const uint8_t *head, size_t len),
                         bool *told);

/** Is this an error that ends the reading of a set (-EINTR, -ETIMEDOUT, -ENOMEM), and no reason? */
bool archive_is_stop(int err);

/** A reading that ended with `err`: what to return, and the reason in s->why. */
int archive_joined_failed(struct archive_set *s, int err);

#endif
