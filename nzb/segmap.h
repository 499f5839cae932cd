/**
 * segmap — which segment holds a byte of a file.
 *
 * An NZB does not say how many decoded bytes a segment brings; only the articles do (=ybegin size=,
 * =ypart begin= end=). Nearly all posts are uniform: every part but the last has one size, so the first
 * article gives the whole map. Some are not, and some articles lie. So the map starts as a guess, every
 * article that arrives is held against it, and a byte is only ever served out of a part whose place is
 * *trusted*.
 *
 * Trusted   A part that sits on the uniform grid; or one that abuts a trusted neighbour or the file's
 *           start or end; or two adjacent parts that abut one another.
 * Shape     Pure. Segments are indices 0 … n-1 in order of number; `numbers` tells gaps.
 * Memory    Half a byte a segment; once the file is not uniform, 16 bytes a learnt segment besides.
 * Threads   The owner serialises (fs holds the file's lock).
 */
#ifndef NZB_SEGMAP_H
#define NZB_SEGMAP_H

#include "base/source.h"

#include <stdbool.h>
#include <stdint.h>

struct segmap;

/** `numbers[i]` is the number of segment i, from 1 and ascending (lent for the map's life); `parts` as
 *  in nzb_file, to guess by. NULL: no memory. */
struct segmap *segmap_new(const uint32_t *numbers, uint32_t n, uint32_t parts);
void segmap_free(struct segmap *m);

/** The exact size, once any article has told it. */
bool segmap_size(const struct segmap *m, uint64_t *size);

enum segmap_verdict {
    SEGMAP_PLAUSIBLE, /* fits what is known */
    SEGMAP_WRONG,     /* contradicts what is trusted: it cannot be this segment's article */
};

/** Would segment `i` saying `info` fit? Changes nothing. */
enum segmap_verdict segmap_check(const struct segmap *m, uint32_t i,
                                 const struct segment_info *info);

/** Segment `i` said `info`. WRONG: as segmap_check(), or no memory; nothing has changed. */
enum segmap_verdict segmap_learn(struct segmap *m, uint32_t i, const struct segment_info *info);

enum segmap_place {
    SEGMAP_HERE, /* segment `i` holds the byte; [begin, end) is trusted, or predicted by the grid: then
                     it is to be fetched and learnt, and the question asked again */
    SEGMAP_ASK,  /* not known: learn segment `i` first, then ask again */
    SEGMAP_HOLE, /* no segment that can be had holds it; [begin, end) is the hole. A lost segment is
                     part of one */
    SEGMAP_DOUBT, /* segment `i` claims a place that its neighbours deny: drop what was read of it and
                     learn it afresh; segmap_check() now refuses the old claim. Said again
                     until it is learnt or lost */
    SEGMAP_EOF,   /* at or behind the end */
};

struct segmap_at {
    enum segmap_place place;
    uint32_t i;          /* HERE, ASK and DOUBT */
    uint64_t begin, end; /* HERE, HOLE and EOF */
    bool learnt;         /* HERE: the article itself has said so */
};

/** Where is byte `off`? Before the size is known: ASK for the first (or, where that cannot be had and
 *  was marked lost, the last, then any other) segment; a HOLE up to UINT64_MAX when all are lost.
 *
 *  A caller that answers each ASK, each HERE that is not learnt and each DOUBT by segmap_learn() or,
 *  where no article could be had that segmap_learn() takes, by segmap_lost(), gets to a learnt HERE, a
 *  HOLE or EOF after a bounded number of steps: one article for a part of an even file, about
 *  10 + 2·log2(n) at worst for an uneven one. */
struct segmap_at segmap_find(struct segmap *m, uint64_t off);

/** Segment `i` cannot be had now: do not ask for it, go round it. segmap_forget_lost() takes that back
 *  for all. What has been learnt of it stays. */
void segmap_lost(struct segmap *m, uint32_t i);
void segmap_forget_lost(struct segmap *m);

#endif
