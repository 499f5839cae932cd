/* A part of a file as an article on the wire: headers, empty line, =ybegin … =yend, dot. */
#include "tests/lib/spool_internal.h"
#include "tests/lib/yencode.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>

/* All that is not payload, besides name and subject: headers and yEnc lines with room to spare. */
#define FRAME_ROOM 1024

struct text {
    uint8_t *at, *end;
};

__attribute__((format(printf, 2, 3))) static void text_add(struct text *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf((char *)t->at, (size_t)(t->end - t->at), fmt, ap);
    va_end(ap);
    if (n > 0 && n < t->end - t->at)
        t->at += n;
}

char *spool_subject(const struct spool_made *f, uint32_t n)
{
    char *subject = NULL;
    if (f->subject)
        return strdup(f->subject);
    if (asprintf(&subject, "\"%s\" yEnc (%" PRIu32 "/%" PRIu32 ") %" PRIu64, f->name, n, f->nparts,
                 f->size) < 0)
        return NULL;
    return subject;
}

static void headers_add(struct text *t, const struct spool_made *f, const char *subject,
                        const char *message_id)
{
    char date[64] = "";
    time_t when = (time_t)f->posted_s;
    struct tm tm;
    if (gmtime_r(&when, &tm))
        strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S +0000", &tm);
    text_add(t, "Path: news.example!not-for-mail\r\n");
    text_add(t, "From: %s\r\n", SPOOL_POSTER);
    text_add(t, "Newsgroups: %s\r\n", SPOOL_GROUP);
    text_add(t, "Subject: %s\r\n", subject);
    text_add(t, "Date: %s\r\n", date);
    text_add(t, "Message-ID: <%s>\r\n\r\n", message_id);
}

/* A single part says so by having no =ypart; so does an empty file, which has no first byte to name. */
static bool is_single(const struct spool_made *f)
{
    return f->single || f->size == 0;
}

static void begin_add(struct text *t, const struct spool_made *f, uint32_t n)
{
    if (is_single(f)) {
        text_add(t, "=ybegin line=%u size=%" PRIu64 " name=%s\r\n", f->line, f->size, f->name);
        return;
    }
    text_add(t, "=ybegin part=%" PRIu32, n);
    if (!f->no_total && !f->nserv_quirks)
        text_add(t, " total=%" PRIu32, f->nparts);
    text_add(t, " line=%u size=%" PRIu64 " name=%s\r\n", f->line, f->size, f->name);
    uint64_t begin = spool_part_begin(f, n);
    text_add(t, "=ypart begin=%" PRIu64 " end=%" PRIu64 "\r\n", begin + 1,
             begin + spool_part_len(f, n));
}

static void end_add(struct text *t, const struct spool_made *f, uint32_t n, uint32_t crc)
{
    text_add(t, "=yend size=%" PRIu32, spool_part_len(f, n));
    if (!is_single(f))
        text_add(t, " part=%" PRIu32, f->nserv_quirks ? 0 : n);
    if (!f->no_crc)
        text_add(t, " %s=%08" PRIx32, is_single(f) ? "crc32" : "pcrc32", crc);
    text_add(t, "\r\n.\r\n");
}

/* The part's bytes: in place, or generated into *made. */
static const uint8_t *payload_get(const struct spool_made *f, uint32_t n, uint8_t **made)
{
    uint64_t begin = spool_part_begin(f, n);
    uint32_t len = spool_part_len(f, n);
    *made = NULL;
    if (f->data)
        return f->data + begin;
    *made = malloc((size_t)len + 1);
    if (*made)
        spool_bytes(f->seed, begin, *made, len);
    return *made;
}

static struct spool_article *article_fill(const struct spool_made *f, uint32_t n,
                                          const char *message_id, const char *subject,
                                          const uint8_t *data)
{
    uint32_t len = spool_part_len(f, n);
    size_t frame = FRAME_ROOM + strlen(f->name) + strlen(subject);
    struct spool_article *a = calloc(1, sizeof(*a));
    uint8_t *bytes = malloc(frame + yencode_bound(len, f->line));
    if (!a || !bytes) {
        free(a);
        free(bytes);
        return NULL;
    }
    struct text t = {bytes, bytes + frame};
    headers_add(&t, f, subject, message_id);
    a->head = (size_t)(t.at - bytes);
    begin_add(&t, f, n);
    size_t left = (size_t)(t.end - t.at);
    t.at += yencode_lines(data, len, f->line, t.at);
    t.end = t.at + left;
    end_add(&t, f, n, (uint32_t)crc32_z(crc32_z(0, NULL, 0), data, len));
    a->len = (size_t)(t.at - bytes);
    /* Encoding has room for the worst case; give back what it did not need. */
    uint8_t *fit = realloc(bytes, a->len);
    a->bytes = fit ? fit : bytes;
    a->message_id = message_id;
    return a;
}

struct spool_article *spool_article_make(const struct spool_made *f, uint32_t n,
                                         const char *message_id)
{
    uint8_t *made;
    char *subject = spool_subject(f, n);
    const uint8_t *data = payload_get(f, n, &made);
    struct spool_article *a = NULL;
    if (subject && data)
        a = article_fill(f, n, message_id, subject, data);
    free(made);
    free(subject);
    return a;
}

void spool_article_free(struct spool_article *a)
{
    if (!a)
        return;
    free((void *)(uintptr_t)a->bytes);
    free(a);
}
