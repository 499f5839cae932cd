/**
 * story — what happens to a scheduler, step by step, as a person can read it, edit it and play it again.
 *
 * Names     Operations are called by a number of the story's own (#7). A connection is called by its
 *           provider and how many had been opened there before it (p0.0 is provider 0's first), because
 *           the scheduler and not the story makes it.
 * Total     A step that names nothing that is there does nothing. So every part of a story is a story:
 *           that is what lets shrink.h take steps out.
 * Text      One line a step: seconds, a word, then values in a fixed order or as KEY=VALUE. The first line
 *           is `start` and the configuration. `#` begins a comment.
 * Memory    A story owns its steps and configurations.
 */
#ifndef TESTS_QOS_STORY_H
#define TESTS_QOS_STORY_H

#include "qos/qos.h"

#include <stdio.h>

enum step_kind {
    STEP_PASS,    /* nothing but time */
    STEP_SUBMIT,  /* op, want */
    STEP_PROMOTE, /* op, urgency, deadline */
    STEP_CANCEL,  /* op */
    STEP_READY,   /* conn */
    STEP_GONE,    /* conn, why, seen, dice */
    STEP_BEGUN,   /* conn: the answer to what is first in flight there begins */
    STEP_ANSWER,  /* conn: what is first in flight there; how, bytes */
    STEP_RESIZE,  /* config */
    STEP_WARM,    /* want.class, n, deadline: until then */
    STEP_STRAY,   /* late facts about handles that name nothing: dice */
};

struct step {
    enum step_kind kind;
    qos_time at;
    unsigned op;
    unsigned provider, nth; /* the connection */
    struct qos_want want;
    enum urgency urgency;
    qos_time deadline;
    unsigned n;
    enum qos_gone why;
    enum qos_outcome how;
    bool seen;
    uint32_t dice;
    uint64_t bytes;
    unsigned config; /* of story.configs */
};

struct story {
    struct qos_config *configs; /* the first is what it starts with */
    unsigned nconfigs, configs_room;
    struct step *steps;
    size_t n, room;
};

void story_init(struct story *s, const struct qos_config *cfg);
void story_fini(struct story *s);
/** Both copied. `cfg` goes with a STEP_RESIZE, else NULL. */
void story_add(struct story *s, const struct step *step, const struct qos_config *cfg);
/** `to` is not initialised. */
void story_copy(struct story *to, const struct story *from);

void story_write(const struct story *s, FILE *f);
/** 0, or -1 and `err` says which line is wrong. `s` is not initialised, and is afterwards on success. */
int story_read(struct story *s, FILE *f, char *err, size_t errlen);

#endif
