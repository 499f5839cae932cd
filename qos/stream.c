#include "qos/stream.h"

#include <stdbool.h>

/* The window opens with this much once a run has shown itself to be one, and doubles with each read that
 * goes on. */
#define WINDOW_FIRST (UINT64_C(1) << 20)

/* Kernels send the reads of their own readahead in parallel: what lies this close to where the run goes
 * on, before or behind, belongs to it. */
#define NEAR         (UINT64_C(512) << 10)

void qos_stream_init(struct qos_stream *s, uint64_t most)
{
    *s = (struct qos_stream){.most = most};
}

static uint64_t plus(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static bool belongs(const struct qos_stream *s, uint64_t off, uint64_t end)
{
    return s->run && off <= plus(s->next, NEAR) && plus(end, NEAR) >= s->next;
}

void qos_stream_read(struct qos_stream *s, uint64_t off, uint64_t len, uint64_t *from, uint64_t *to)
{
    uint64_t end = plus(off, len);
    *from = *to = end;
    if (!len)
        return;
    if (!belongs(s, off, end)) {
        s->next = s->ahead = end;
        s->run = len;
        s->window = 0;
        return;
    }
    s->run = plus(s->run, len);
    if (end > s->next) {
        s->next = end;
        s->window = s->window ? plus(s->window, s->window) : WINDOW_FIRST;
        if (s->window > s->most)
            s->window = s->most;
    }
    if (s->ahead < s->next)
        s->ahead = s->next;
    *from = *to = s->ahead;
    uint64_t until = plus(s->next, s->window);
    if (until > s->ahead)
        *to = s->ahead = until;
}
