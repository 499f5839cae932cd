/* article — the phases of an answer:
 *
 *     BEFORE ──=ybegin part=──▶ PART ──=ypart──▶ DATA ◀──other──▶ KEYWORD ──=yend──▶ AFTER ──.──▶ ENDED
 *       └────=ybegin──────────────────────────────▲                  damage, skip ────▲
 *
 * "." alone ends the block in every phase. Damage is noted and leads to AFTER, which only looks for that
 * line, so that the connection stays in step with its answers. */

#include "nntp/article.h"
#include "nntp/article_line.h"
#include "nntp/crc32.h"

#include <assert.h>
#include <string.h>

/* Payload is decoded in pieces of this size and each runs through the CRC while it is in the cache next
 * to the core. */
#define PIECE ((size_t)16 << 10)

const char *article_verdict_name(enum article_verdict v)
{
    switch (v) {
    case ARTICLE_OK:
        return "ok";
    case ARTICLE_NO_YENC:
        return "no yEnc data";
    case ARTICLE_UUENCODE:
        return "uuencoded, which is not supported";
    case ARTICLE_DAMAGED:
        return "damaged";
    case ARTICLE_BAD_CRC:
        return "wrong CRC";
    case ARTICLE_SKIPPED:
        return "skipped";
    }
    return "unknown";
}

void article_start(struct article *a)
{
    a->kernel = yenc_kernel();
    a->phase = ARTICLE_BEFORE;
    a->state = YENC_LINE_START;
    a->dst_set = a->announced = a->uuencode = a->damaged = a->skipped = a->finished = false;
    a->wire = 0;
    a->info = (struct segment_info){.name = a->name};
    a->dst = NULL;
    a->ndst = 0;
    a->filled = a->payload = 0;
    a->crc = 0;
    a->part_crc = a->file_crc = (struct article_told){.is = false};
    a->name[0] = '\0';
    line_clear(&a->line);
}

/* From where `state` says; an escape means nothing any more. */
static void read_to_end(struct article *a)
{
    a->phase = ARTICLE_AFTER;
    if (a->state == YENC_ESCAPE || a->state == YENC_START_ESCAPE ||
        a->state == YENC_START_DOT_ESCAPE)
        a->state = YENC_IN_LINE;
}

static void damage(struct article *a)
{
    a->damaged = true;
    read_to_end(a);
}

static enum article_event begin(struct article *a)
{
    a->phase = ARTICLE_DATA;
    return ARTICLE_BEGIN;
}

/* A value that need not be there, but must be a number if it is. */
static bool number_or_none(const char *value, uint32_t *out)
{
    uint64_t n = 0;
    if (value && !keyword_number(value, UINT32_MAX, &n))
        return false;
    *out = (uint32_t)n;
    return true;
}

static enum article_event take_ybegin(struct article *a, char *text)
{
    struct keywords k;
    struct segment_info *i = &a->info;
    keywords_parse(&k, text);
    a->announced = true;
    if (k.name) {
        size_t n = strnlen(k.name, sizeof(a->name) - 1);
        memcpy(a->name, k.name, n);
        a->name[n] = '\0';
    }
    if ((line_is_cut(&a->line) && !k.name) || !k.size ||
        !keyword_number(k.size, INT64_MAX, &i->file_size) || !number_or_none(k.part, &i->part) ||
        !number_or_none(k.total, &i->total)) {
        damage(a);
        return ARTICLE_MORE;
    }
    if (k.part) {
        a->phase = ARTICLE_PART;
        return ARTICLE_MORE;
    }
    if (i->file_size > ARTICLE_PART_MOST) {
        damage(a);
        return ARTICLE_MORE;
    }
    i->len = (uint32_t)i->file_size;
    return begin(a);
}

/* =ypart counts bytes from 1, and its end is the last byte's number. */
static bool ypart_range(const struct article *a, char *text, uint64_t *first, uint32_t *len)
{
    struct keywords k;
    uint64_t b, e;
    keywords_parse(&k, text);
    if (line_is_cut(&a->line) || !k.begin || !k.end || !keyword_number(k.begin, INT64_MAX, &b) ||
        !keyword_number(k.end, INT64_MAX, &e))
        return false;
    if (b < 1 || e < b || e > a->info.file_size || e - b >= ARTICLE_PART_MOST)
        return false;
    *first = b - 1;
    *len = (uint32_t)(e - b + 1);
    return true;
}

/* The values after `keyword`, or NULL when the line is another. */
static char *line_after(char *text, const char *keyword)
{
    size_t n = strlen(keyword);
    if (strncmp(text, keyword, n) != 0)
        return NULL;
    return text[n] == '\0' || text[n] == ' ' || text[n] == '\t' ? text + n : NULL;
}

static bool take_crc(const char *value, struct article_told *told)
{
    if (!value || *value == '\0')
        return true;
    told->is = keyword_crc(value, &told->crc);
    return told->is;
}

/* part= is not compared: there are servers that say 0. */
static void take_yend(struct article *a, char *text)
{
    struct keywords k;
    uint64_t size = a->payload;
    keywords_parse(&k, text);
    bool sound = !line_is_cut(&a->line) && (!k.size || keyword_number(k.size, INT64_MAX, &size)) &&
                 take_crc(k.pcrc32, &a->part_crc) && take_crc(k.crc32, &a->file_crc);
    if (!sound || size != a->payload || a->payload != a->info.len) {
        damage(a);
        return;
    }
    a->finished = true;
    read_to_end(a);
}

/* Unknown keyword lines are passed over. A =ypart that =ybegin did not announce is harmless when it
 * says what is known anyway; another =ybegin means that this block has lost its end. */
static void take_keyword(struct article *a, char *text)
{
    char *values;
    uint64_t first;
    uint32_t len;
    a->phase = ARTICLE_DATA;
    if ((values = line_after(text, "=yend")))
        take_yend(a, values);
    else if (line_after(text, "=ybegin"))
        damage(a);
    else if ((values = line_after(text, "=ypart")) &&
             (!ypart_range(a, values, &first, &len) || first != a->info.begin ||
              len != a->info.len))
        damage(a);
}

static enum article_event take_line(struct article *a)
{
    char *text = line_text(&a->line), *values;
    enum article_event ev = ARTICLE_MORE;

    assert(a->phase == ARTICLE_BEFORE || a->phase == ARTICLE_PART || a->phase == ARTICLE_KEYWORD);
    switch (a->phase) {
    case ARTICLE_BEFORE:
        if ((values = line_after(text, "=ybegin")))
            ev = take_ybegin(a, values);
        else if (line_is_uuencode(text))
            a->uuencode = true;
        break;
    case ARTICLE_PART:
        values = line_after(text, "=ypart");
        if (values && ypart_range(a, values, &a->info.begin, &a->info.len))
            ev = begin(a);
        else
            damage(a);
        break;
    case ARTICLE_KEYWORD:
        take_keyword(a, text);
        break;
    case ARTICLE_DATA:
    case ARTICLE_AFTER:
    case ARTICLE_ENDED:
        break; /* no lines there */
    }
    line_clear(&a->line);
    return ev;
}

static enum article_event feed_line(struct article *a, const uint8_t *in, size_t len, size_t *used)
{
    switch (line_feed(&a->line, in, len, used)) {
    case LINE_MORE:
        return ARTICLE_MORE;
    case LINE_WHOLE:
        return take_line(a);
    case LINE_END:
        a->phase = ARTICLE_ENDED;
        return ARTICLE_END;
    }
    return ARTICLE_MORE;
}

/* The next room for payload, no longer than a piece; 0 where there is none. */
static size_t room(struct article *a, uint8_t **at)
{
    static uint8_t nowhere;
    *at = &nowhere;
    while (a->ndst > 0 && a->filled == a->dst->iov_len) {
        a->dst++;
        a->ndst--;
        a->filled = 0;
    }
    if (a->ndst == 0)
        return 0;
    *at = (uint8_t *)a->dst->iov_base + a->filled;
    size_t n = a->dst->iov_len - a->filled, wanted = a->info.len - a->payload;
    n = n < wanted ? n : wanted;
    return n < PIECE ? n : PIECE;
}

static enum article_event feed_data(struct article *a, const uint8_t *in, size_t len, size_t *used)
{
    uint8_t *at;
    size_t cap = room(a, &at);
    struct yenc_result r = a->kernel->decode(&a->state, in, len, at, cap);
    *used = r.used;
    if (r.written > 0) {
        a->crc = a->kernel->crc(a->crc, at, r.written);
        a->filled += r.written;
        a->payload += r.written;
    }
    switch (r.stop) {
    case YENC_INPUT:
        break;
    case YENC_ROOM:
        if (cap == 0)
            damage(a);
        break;
    case YENC_KEYWORD:
        a->phase = ARTICLE_KEYWORD;
        line_set(&a->line, "=y");
        break;
    case YENC_END:
        a->phase = ARTICLE_ENDED;
        return ARTICLE_END;
    }
    return ARTICLE_MORE;
}

static enum yenc_state after_byte(enum yenc_state s, uint8_t c)
{
    if (c == '\r')
        return s == YENC_START_DOT ? YENC_START_DOT_CR : YENC_CR;
    if (c == '\n' && s == YENC_CR)
        return YENC_LINE_START;
    return c == '.' && s == YENC_LINE_START ? YENC_START_DOT : YENC_IN_LINE;
}

static enum article_event feed_rest(struct article *a, const uint8_t *in, size_t len, size_t *used)
{
    for (size_t i = 0; i < len; i++) {
        if (a->state == YENC_IN_LINE) {
            const uint8_t *cr = memchr(in + i, '\r', len - i);
            if (!cr)
                break;
            i = (size_t)(cr - in);
        }
        if (in[i] == '\n' && (a->state == YENC_START_DOT || a->state == YENC_START_DOT_CR)) {
            *used = i + 1;
            a->phase = ARTICLE_ENDED;
            return ARTICLE_END;
        }
        a->state = after_byte(a->state, in[i]);
    }
    *used = len;
    return ARTICLE_MORE;
}

enum article_event article_feed(struct article *a, const uint8_t *in, size_t len, size_t *used)
{
    enum article_event ev = a->phase == ARTICLE_ENDED ? ARTICLE_END : ARTICLE_MORE;
    size_t at = 0;
    while (ev == ARTICLE_MORE && at < len) {
        size_t n = 0;
        if (a->phase == ARTICLE_DATA)
            ev = feed_data(a, in + at, len - at, &n);
        else if (a->phase == ARTICLE_AFTER)
            ev = feed_rest(a, in + at, len - at, &n);
        else
            ev = feed_line(a, in + at, len - at, &n);
        at += n;
    }
    *used = at;
    a->wire += at;
    return ev;
}

const struct segment_info *article_info(const struct article *a)
{
    return &a->info;
}

void article_dst(struct article *a, const struct iovec *dst, unsigned ndst)
{
    a->dst = dst;
    a->ndst = ndst;
    a->dst_set = true;
}

void article_skip(struct article *a)
{
    a->skipped = true;
    if (a->phase == ARTICLE_ENDED || a->phase == ARTICLE_AFTER)
        return;
    if (a->phase != ARTICLE_DATA)
        a->state = line_state(&a->line);
    read_to_end(a);
}

bool article_is_begun(const struct article *a)
{
    return a->dst_set;
}

bool article_is_refused(const struct article *a)
{
    return a->skipped || (a->damaged && !a->dst_set);
}

enum article_verdict article_verdict(const struct article *a)
{
    if (a->skipped)
        return ARTICLE_SKIPPED;
    if (a->damaged)
        return ARTICLE_DAMAGED;
    if (!a->announced)
        return a->uuencode ? ARTICLE_UUENCODE : ARTICLE_NO_YENC;
    if (!a->finished)
        return ARTICLE_DAMAGED;
    const struct article_told *told = &a->part_crc;
    if (!told->is && a->info.begin == 0 && a->info.len == a->info.file_size)
        told = &a->file_crc;
    return told->is && told->crc != a->crc ? ARTICLE_BAD_CRC : ARTICLE_OK;
}

size_t article_payload(const struct article *a)
{
    return a->payload;
}

uint32_t article_crc(const struct article *a)
{
    return a->crc;
}

bool article_file_crc(const struct article *a, uint32_t *crc)
{
    if (a->file_crc.is)
        *crc = a->file_crc.crc;
    return a->file_crc.is;
}

uint64_t article_wire(const struct article *a)
{
    return a->wire;
}
