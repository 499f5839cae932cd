/**
 * streams — the open files of a mount and why their reads waited: as JSON, and as a page for people.
 *
 * Source    nzbfs(1), OPEN FILES IN JSON, says what each member means.
 */
#ifndef CLI_STREAMS_H
#define CLI_STREAMS_H

#include "cli/status_print.h"
#include "fs/fs.h"

/** More open files than this are counted, not told: first those that have a read under way. */
#define STREAMS_MOST 200

/** Members "streams" and "untold" into `answer`. 0 or -ENOMEM. */
int streams_put(struct fs *fs, json_t *answer);

/** The same of `n` of them. */
int streams_list_put(const struct fs_stream *all, size_t n, json_t *answer);

/** On standard output. Members that are not there count as 0. */
void streams_print(const json_t *answer, const struct status_look *look);

#endif
