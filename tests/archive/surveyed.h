/**
 * surveyed — an NZB whose posts are made, surveyed, with a count of the articles that it took.
 *
 * Shape     surveyed_add() posts, surveyed_run(), then look. Articles are stretches of 700,000 bytes.
 * Errors    What the test did not expect fails the test.
 */
#ifndef TESTS_ARCHIVE_SURVEYED_H
#define TESTS_ARCHIVE_SURVEYED_H

#include "archive/survey.h"
#include "tests/lib/made.h"

#define SURVEYED_POSTS   512u
#define SURVEYED_ARTICLE 700000u

struct surveyed_post {
    struct archive_bytes b;
    struct archive_post post;
    struct surveyed *in;
    const struct made *made;
    uint32_t volume;
    uint64_t size;
    const char *yenc;
    int err;        /* reading says so */
    uint64_t *seen; /* a bit an article */
    bool told;      /* its yEnc name is known: something was read */
};

struct surveyed {
    struct surveyed_post posts[SURVEYED_POSTS];
    struct archive_post list[SURVEYED_POSTS];
    uint32_t n;
    struct archive_options o;
    struct archive_layout *l;
    unsigned articles; /* read or asked for, each once */
    unsigned late;     /* of those, read without having been asked for */
    unsigned before;   /* asked for before the first was read */
    bool reading;
};

/** All volumes of `m` (lent) as posts. Names are theirs. */
void surveyed_add(struct surveyed *s, const struct made *m);
/** The post of that NZB name. */
struct surveyed_post *surveyed_post(struct surveyed *s, const char *name);
void surveyed_run(struct surveyed *s);
int surveyed_try(struct surveyed *s);
void surveyed_free(struct surveyed *s);

/** The entry of that path that is shown; NULL: none. */
const struct archive_entry *surveyed_entry(const struct surveyed *s, const char *path);
/** How many entries are shown. */
unsigned surveyed_shown(const struct surveyed *s);
/** There is that entry, and it holds what `f` does. */
void surveyed_expect(struct surveyed *s, const char *path, const struct made_file *f);
/** Does what was reckoned of all posts hold? */
bool surveyed_reckoned_well(struct surveyed *s);

#endif
