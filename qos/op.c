#include "qos/internal.h"

#include <errno.h>

static bool due_before(const struct heap_node *a, const struct heap_node *b)
{
    const struct op *x = container_of((struct heap_node *)(uintptr_t)a, struct op, due);
    const struct op *y = container_of((struct heap_node *)(uintptr_t)b, struct op, due);
    if (x->want.deadline != y->want.deadline)
        return x->want.deadline < y->want.deadline;
    return x < y;
}

void qos_ops_init(struct qos *q)
{
    heap_init(&q->deadlines, due_before);
    list_init(&q->ended);
    list_init(&q->free_ops);
    list_init(&q->blocked);
    list_init(&q->twins);
}

qos_op qos_op_handle(const struct qos *q, const struct op *op)
{
    return (uint64_t)op->gen << 32 | ((uint64_t)(op - q->ops) + 1);
}

struct op *qos_op_find(struct qos *q, qos_op handle)
{
    uint64_t index = handle & UINT32_MAX;
    if (!index || index > q->limits.ops)
        return NULL;
    struct op *op = &q->ops[index - 1];
    bool live = op->state == OP_WAITING || op->state == OP_FLYING;
    return live && op->gen == handle >> 32 ? op : NULL;
}

void qos_op_end(struct qos *q, struct op *op, enum qos_verdict verdict)
{
    q->classes[op->want.class].ends[verdict]++;
    op->state = OP_ENDED;
    op->verdict = verdict;
    qos_stream_put(q, op->stream);
    op->stream = NULL;
    list_add_tail(&q->ended, &op->link);
}

/* What went wrong somewhere and may be there after all is never called missing or corrupt. */
static enum qos_verdict verdict_of(const struct qos *q, const struct op *op)
{
    uint32_t active = qos_providers_active(q);
    if (op->failed & active)
        return QOS_FAILED;
    return op->spoilt & active ? QOS_CORRUPT : QOS_MISSING;
}

uint32_t qos_op_excluded(const struct op *op)
{
    return op->not_here | op->spoilt | op->failed | op->too_old;
}

static bool has_nowhere_to_go(const struct qos *q, const struct op *op)
{
    return !(qos_providers_active(q) & ~qos_op_excluded(op));
}

void qos_op_wait(struct qos *q, struct op *op, bool head)
{
    if (op->twin) /* one attempt is all that there is of it */
        qos_op_end(q, op, op->cancelled || q->shut ? QOS_CANCELLED : op->verdict);
    else if (op->cancelled || q->shut)
        qos_op_end(q, op, QOS_CANCELLED);
    else if (has_nowhere_to_go(q, op))
        qos_op_end(q, op, verdict_of(q, op));
    else if (op->want.deadline && op->want.deadline <= q->now)
        qos_op_end(q, op, QOS_TIMEOUT);
    else
        qos_queue_put(q, op, head);
}

void qos_op_broke_off(struct qos *q, struct op *op, unsigned provider)
{
    uint64_t *tries = &op->tries[provider / 16];
    unsigned shift = provider % 16 * 4;
    *tries += UINT64_C(1) << shift;
    op->shun |= 1u << provider;
    if ((*tries >> shift & 15) >= q->cfg.attempts)
        op->failed |= 1u << provider;
}

static uint32_t too_old(const struct qos *q, const struct qos_want *w)
{
    uint32_t set = 0;
    for (unsigned i = 0; i < q->cfg.nproviders; i++) {
        uint64_t kept = q->providers[i].cfg.retention_us;
        if (kept && w->age > kept)
            set |= 1u << i;
    }
    return set;
}

int qos_op_make(struct qos *q, const struct qos_want *want, struct op **out)
{
    if (list_is_empty(&q->free_ops) && q->ops_used == q->limits.ops)
        return -ENOSPC;
    struct stream *s = qos_stream_find(q, want->class, want->stream);
    if (!s)
        return -ENOSPC;
    struct list *used = list_pop(&q->free_ops);
    struct op *op = used ? container_of(used, struct op, link) : &q->ops[q->ops_used++];
    uint32_t gen = op->gen + 1;
    *op = (struct op){.want = *want, .stream = s, .since = q->now, .gen = gen, .state = OP_WAITING};
    list_init(&op->link);
    list_init(&op->blocked);
    op->too_old = too_old(q, want);
    qos_stream_get(s);
    *out = op;
    return 0;
}

int qos_op_new(struct qos *q, const struct qos_want *want, qos_op *out)
{
    struct op *op;
    int r = qos_op_make(q, want, &op);
    if (r)
        return r;
    q->classes[want->class].asked = true;
    q->classes[want->class].asked_at = q->now;
    *out = qos_op_handle(q, op);
    qos_op_wait(q, op, false);
    return 0;
}

void qos_op_withdraw(struct qos *q, struct op *op)
{
    if (op->twin)
        list_del(&op->link);
    else
        qos_queue_take(q, op);
}

bool qos_op_end_next(struct qos *q, struct qos_order *out)
{
    struct list *l = list_pop(&q->ended);
    if (!l)
        return false;
    struct op *op = container_of(l, struct op, link);
    *out = (struct qos_order){.kind = QOS_END,
                              .op = qos_op_handle(q, op),
                              .cookie = op->want.cookie,
                              .verdict = op->verdict};
    op->state = OP_FREE;
    list_add(&q->free_ops, &op->link);
    return true;
}

void qos_op_reconsider(struct qos *q, struct op *op)
{
    op->too_old = too_old(q, &op->want);
    if (op->state != OP_WAITING)
        return;
    if (op->flow->lane->excluded == qos_op_excluded(op) && !has_nowhere_to_go(q, op))
        return;
    qos_queue_take(q, op);
    qos_op_wait(q, op, false);
}

void qos_deadlines_pass(struct qos *q)
{
    while (q->deadlines.top) {
        struct op *op = container_of(q->deadlines.top, struct op, due);
        if (op->want.deadline > q->now)
            return;
        qos_queue_take(q, op);
        qos_op_end(q, op, QOS_TIMEOUT);
    }
}
