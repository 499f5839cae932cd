/**
 * figures — what a mount has and had, as JSON: the answer to "status".
 *
 * Shape     One nntp_pool_stats() snapshot, so that all sums agree; cache and fs tell of their own moment.
 * Source    nzbfs(1), STATUS, says what each member means.
 */
#ifndef CLI_FIGURES_H
#define CLI_FIGURES_H

#include "cli/compose.h"

#include <jansson.h>

/** Members "total" to "fs" into `answer`. 0 or -ENOMEM. */
int figures_put(const struct compose *w, json_t *answer);

/** What is configured and not counted, into the members that figures_put() made: "rate" of the pool and of its
 *  providers, "per_stream" of classes. 0 or -ENOMEM. For live_look(), with the answer. */
int figures_limits_put(void *answer, const struct config *cfg);

#endif
