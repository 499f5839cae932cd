/**
 * scripted_source — a source that does nothing but what the test tells it to.
 *
 * Shape     Fetches queue up. The test lets one begin, bring bytes and end, in any order and with any
 *           result. What a fetch brings follows from its message-id (tests/lib/scripted_article.h).
 * Threads   Any; begin() and done() run on the thread that calls scripted_source_begin, _end or _play. One
 *           fetch is driven by one thread at a time.
 */
#ifndef TESTS_LIB_SCRIPTED_SOURCE_H
#define TESTS_LIB_SCRIPTED_SOURCE_H

#include "base/source.h"

#include <stdbool.h>

struct scripted_source;

struct scripted_source *scripted_source_new(void);

/** No fetch may be out. */
void scripted_source_free(struct scripted_source *s);

struct source *scripted_source_source(struct scripted_source *s);

/** How many fetches are out now; how many there ever were. */
unsigned scripted_source_out(struct scripted_source *s);
uint64_t scripted_source_total(struct scripted_source *s);

/** The `n`th of those out, the oldest being 0; or the one for an article. NULL: none. */
struct segment_fetch *scripted_source_nth(struct scripted_source *s, unsigned n);
struct segment_fetch *scripted_source_find(struct scripted_source *s, const char *message_id);

/** Wait for a fetch that nobody has claimed and claim it; NULL once scripted_source_close() was called
 *  and none is left. For threads that serve. */
struct segment_fetch *scripted_source_claim(struct scripted_source *s);
void scripted_source_close(struct scripted_source *s);

struct scripted_fetch {
    bool begun;     /* begin() said 0 */
    bool withdrawn; /* cancelled before anything was sent: can only end CANCELLED now */
    unsigned promotes, cancels;
    enum urgency urgency; /* as promoted */
    uint64_t deadline_us; /* likewise */
    uint64_t brought;
};

struct scripted_fetch scripted_source_look(struct scripted_source *s,
                                           const struct segment_fetch *f);

/** It is asked of `provider`, or back in the queue where that is NULL. */
void scripted_source_move(struct segment_fetch *f, const char *provider);

/** Its article says `info` (NULL: what its message-id says). Returns what begin() returned. */
int scripted_source_begin(struct scripted_source *s, struct segment_fetch *f,
                          const struct segment_info *info);

/** The next `len` bytes of payload are put in place (fewer at the end). After begin. */
void scripted_source_bring(struct scripted_source *s, struct segment_fetch *f, size_t len);

/** What it brings from now on is not what its message-id says. */
void scripted_source_spoil(struct scripted_source *s, struct segment_fetch *f, bool spoils);

void scripted_source_end(struct scripted_source *s, struct segment_fetch *f, enum segment_result r);

/** Begin, bring all and end as an honest source would; CANCELLED where withdrawn. Returns the result. */
enum segment_result scripted_source_play(struct scripted_source *s, struct segment_fetch *f);

#endif
