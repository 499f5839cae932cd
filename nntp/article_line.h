/** article_line — an article's text: lines gathered from pieces, and the yEnc keyword lines among them.
 *
 * Source    RFC 3977 §3.1.1; yEnc 1.3. */
#ifndef NNTP_ARTICLE_LINE_H
#define NNTP_ARTICLE_LINE_H

#include "nntp/article.h"

enum line_event {
    LINE_MORE,  /* all input was used */
    LINE_WHOLE, /* line_text() is a line, without CR LF and stuffing */
    LINE_END,   /* it was "." alone */
};

/** Ready for a new line. */
void line_clear(struct article_line *l);

/** Ready for a line that began with `start`, already taken. */
void line_set(struct article_line *l, const char *start);

/** Take bytes until a line is whole. After WHOLE, line_clear() before the next. */
enum line_event line_feed(struct article_line *l, const uint8_t *in, size_t len, size_t *used);

/** After WHOLE: NUL-terminated, the caller may write to it; cut to what fits. */
char *line_text(struct article_line *l);

/** After WHOLE: it was longer than that. */
bool line_is_cut(const struct article_line *l);

/** Where the next byte stands, in the decoder's words. */
enum yenc_state line_state(const struct article_line *l);

/** Some values of a keyword line: NULL where it is not there. They lie in `text`, which is cut up. */
struct keywords {
    const char *size, *part, *total, *begin, *end, *pcrc32, *crc32, *name;
};

/** `text` is what follows "=ybegin", "=ypart" or "=yend". A name goes to the end of the line; elsewhere
 *  a keyword said twice counts the first time. */
void keywords_parse(struct keywords *k, char *text);

/** Digits and nothing else, and no more than `most`. */
bool keyword_number(const char *value, uint64_t most, uint64_t *out);

/** Hex digits and nothing else; of more than eight the last eight count. */
bool keyword_crc(const char *value, uint32_t *out);

/** "begin 644 name": the first line of a uuencoded file. */
bool line_is_uuencode(const char *text);

#endif
