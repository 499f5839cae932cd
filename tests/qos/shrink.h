/**
 * shrink — makes a story that goes wrong short.
 *
 * Shape     Steps are taken out, in chunks and then one by one, as long as what is left goes wrong in the
 *           same way: breaks the same promise. Then what is left is made plainer: times earlier, values
 *           zero, the configuration smaller. Each try is played from the start.
 * Source    Zeller, Hildebrandt: "Simplifying and isolating failure-inducing input" (ddmin), 2002.
 */
#ifndef TESTS_QOS_SHRINK_H
#define TESTS_QOS_SHRINK_H

#include "tests/qos/story.h"

/** Shrinks `s`, which breaks the promise that `wrong` names before its colon, for at most so many seconds of
 *  processor time. How many tries that took, or 0: it does not go wrong that way, and is as it was. `now` is
 *  what is wrong with the short one. */
size_t shrink(struct story *s, const char *wrong, double seconds, char *now, size_t len);

#endif
