/**
 * newsd_script — what a server does, changed by lines of text; for shell tests and benchmarks.
 *
 *     fault WHAT KIND [TIMES]   WHAT: a message-id, file/NAME/PART, file/NAME (all parts) or all;
 *                               KIND: none 430 close-mid reset-mid stall-mid stall-first bad-crc
 *                               wrong-bytes bad-part short no-yend garbage garbage-code 403 400 uuencode; TIMES 0: for ever
 *     clear                     no faults any more
 *     down · up                 refuse connections · as before
 *     silent · loud             accept and say nothing · as before
 *     stall · unstall           from now on articles stop in the middle · all of them go on
 *     drop                      close every connection
 *     limit N                   connections, 0: any number
 *     latency MS
 *     hold                      articles stop in the middle, STAT and HEAD in the line, and wait
 *     release                   all of them go on, and none stops any more
 *     release N [TAG]           N of those that wait go on, the longest waiting first; "N" that did
 *     greeting CODE             200, 201; 400 and 502 refuse everyone
 *     logins refuse|accept      whatever the password · as before
 *     peak                      the most connections at once, and count anew
 *     tags                      JSON: who asks for what, by the first letter of message-ids
 *     refusals                  JSON: when connections were refused, in microseconds
 *     stats                     one line of JSON
 *     asked WHAT                how often a message-id or file/NAME/PART was asked for
 *
 * Threads   Any, one at a time.
 */
#ifndef TESTS_LIB_NEWSD_SCRIPT_H
#define TESTS_LIB_NEWSD_SCRIPT_H

#include "tests/lib/newsd.h"

#include <stddef.h>

struct spool;

/** Do what `line` says. The answer, one line without its end, is in out[room]: "ok", what was asked for,
 *  or "error: …" and -EINVAL. */
int newsd_script_run(struct newsd *d, struct spool *s, const char *line, char *out, size_t room);

/** The counters as one line of JSON, without its end. */
void newsd_script_stats(struct newsd *d, char *out, size_t room);

/** newsd_tags() as one line of JSON, without its end: a member for each letter that was asked for, "-" for
 *  none, "all", and the totals. Nearly 4 KB when all letters are used; what does not fit is left out. */
void newsd_script_tags(struct newsd *d, char *out, size_t room);

/** A number with K, M or G (powers of 1024) behind it or not. -EINVAL: not one, or above `most`. */
int newsd_script_number(const char *text, uint64_t most, uint64_t *out);

#endif
