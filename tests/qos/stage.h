/**
 * stage — a scheduler, and beside it the model that watches it; both are told the same story.
 *
 * Shape     stage_do() brings time up to the step, serving every qos_wake() on the way, tells the fact, takes
 *           all orders, and lets the model look. It stops at the first broken promise: `wrong`.
 * Errors    `m.wrong` begins with the promise that is broken: "I3: …", "rule 2: …", "figures: …".
 */
#ifndef TESTS_QOS_STAGE_H
#define TESTS_QOS_STAGE_H

#include "tests/qos/model.h"
#include "tests/qos/story.h"

#define STAGE_OPS     240 /* live at a time; beyond it a submission is skipped */
#define STAGE_STREAMS 12

struct stage {
    struct qos *q;
    struct model m;
    qos_time now;
    uint64_t facts, wakes;
    unsigned check_every; /* facts between two qos_check(); 0: never */
    unsigned names[MODEL_OPS];
    unsigned nth[MODEL_CONNS];      /* of its provider's connections */
    unsigned opened[QOS_PROVIDERS]; /* so far */
    /* of whoever makes the story up as it goes: each order as it comes, `joins` behind another */
    void (*order)(void *arg, const struct qos_order *o, bool joins);
    void *arg;
};

void stage_init(struct stage *s, const struct qos_config *cfg);
void stage_fini(struct stage *s);

/** False once something is wrong. `cfg` for a STEP_RESIZE. */
bool stage_do(struct stage *s, const struct step *st, const struct qos_config *cfg);

/** Time goes to `now` and nothing else happens. */
bool stage_wake(struct stage *s, qos_time now);

/** From now on every connection works and every answer is good: whatever there is must come to its end, and
 *  after qos_shut() every socket, too. */
bool stage_settle(struct stage *s);

/** All of it, settled. Something wrong: true, the report in `wrong`, and how many steps it took. */
bool stage_play(const struct story *story, char *wrong, size_t len, size_t *steps, uint64_t *hash);

/** Where the model keeps it, or MODEL_OPS, MODEL_CONNS. */
unsigned stage_op(const struct stage *s, unsigned name);
unsigned stage_conn(const struct stage *s, unsigned provider, unsigned nth);

#endif
