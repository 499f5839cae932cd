/* response — a server that says anything at all.
 *
 * The first byte chooses how the conversation starts, the rest is what the server says: once as a whole
 * and once in small pieces, with our commands between them. The talker stops at an operation that is
 * reported twice or out of order and at a connection that ends twice; a sanitizer at a byte read beyond
 * what was received. */
#include "base/log.h"
#include "tests/nntp/talker.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void line_try(const uint8_t *data, size_t size)
{
    struct nntp_response r;

    if (!nntp_response_parse((const char *)data, size, &r))
        return;
    if (r.code < 100 || r.code > 599 || r.len > size - 3)
        abort();
    (void)nntp_response_greeting(&r);
    (void)nntp_response_login(&r);
    for (int v = SEGMENT_BODY; v <= SEGMENT_HEAD; v++)
        (void)nntp_response_meaning((enum segment_verb)v, &r);
}

static void converse(struct talker *t, uint8_t how, const uint8_t *data, size_t size, size_t piece)
{
    static const enum segment_verb verbs[] = {SEGMENT_BODY, SEGMENT_STAT, SEGMENT_HEAD,
                                              SEGMENT_BODY};

    talker_init(t, how & 1 ? "me" : NULL, how & 2 ? "secret" : NULL);
    if (how & 4)
        talker_hears(t, "200 hello\r\n");
    for (size_t at = 0; at < size && !t->c.dead; at += piece) {
        while (t->c.up && t->nops < 4)
            talker_start(t, verbs[(t->nops + (how >> 3)) % 4], "a@b", how & 64 ? "alt.x" : NULL);
        talker_hears_n(t, data + at, size - at < piece ? size - at : piece);
        (void)talker_says(t);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct talker t;

    if (!size)
        return 0;
    log_set_level(LOG_AT_ERROR);
    line_try(data + 1, size - 1);
    converse(&t, data[0], data + 1, size - 1, size);
    talker_fini(&t);
    converse(&t, data[0], data + 1, size - 1, 1 + data[0] % 13);
    unsigned reported = t.nreported;
    talker_fini(&t);
    if (reported > 4)
        abort();
    return 0;
}
