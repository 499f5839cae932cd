/**
 * build — an NZB while it is being put together, from what a parser finds in it.
 *
 * Shape     build_file(), then build_group() and build_segment() in any order, then build_file_end();
 *           build_meta() in between; at the end build_finish(). Everything given is copied.
 * Memory    What stays is in the NZB's arena. What grows is on the heap until build_fini().
 * Errors    0 or -ENOMEM. Oddities are mended and counted as warnings.
 */
#ifndef NZB_BUILD_H
#define NZB_BUILD_H

#include "nzb/intern.h"
#include "nzb/nzb.h"

#include <stdbool.h>

struct build_segment {
    const char *message_id;
    uint32_t number, bytes;
    uint32_t order;
};

struct build {
    struct nzb *z;
    struct intern strings;
    struct nzb_file *files;
    struct nzb_meta *metas;
    size_t files_cap, metas_cap, metas_n, files_n;

    /* the file under way */
    struct nzb_file file;
    struct build_segment *segments;
    size_t segments_n, segments_cap;
    const char **groups;
    size_t groups_n, groups_cap;
    uint32_t last_number;
    bool from_zero; /* its segments count from 0 */
};

/** A text as the NZB has it: not terminated. */
struct build_text {
    const char *s;
    size_t len;
};

int build_init(struct build *b, size_t memory_most);
void build_fini(struct build *b);

int build_file(struct build *b, struct build_text subject, struct build_text poster,
               struct build_text date);
int build_group(struct build *b, struct build_text name);
int build_segment(struct build *b, struct build_text message_id, struct build_text number,
                  struct build_text bytes);
int build_file_end(struct build *b);
int build_meta(struct build *b, struct build_text type, struct build_text value);

/** All files are in. The NZB is the caller's; `b` needs only build_fini(). */
int build_finish(struct build *b, struct nzb **out);

#endif
