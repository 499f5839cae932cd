#include "nntp/response.h"

#include <string.h>

#define MESSAGE_ID_MOST 497
#define GROUP_MOST      497

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_letter(char c)
{
    return lower(c) >= 'a' && lower(c) <= 'z';
}

bool nntp_response_parse(const char *line, size_t len, struct nntp_response *r)
{
    if (len < 3 || line[0] < '1' || line[0] > '5' || !is_digit(line[1]) || !is_digit(line[2]))
        return false;
    if (len > 3 && (is_digit(line[3]) || is_letter(line[3])))
        return false;
    r->code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
    size_t at = 3;
    while (at < len && (line[at] == ' ' || line[at] == '\t' || line[at] == ','))
        at++;
    r->text = line + at;
    r->len = len - at;
    return true;
}

static bool text_has(const struct nntp_response *r, const char *word)
{
    size_t n = strlen(word);

    for (size_t i = 0; i + n <= r->len; i++) {
        size_t k = 0;
        while (k < n && lower(r->text[i + k]) == word[k])
            k++;
        if (k == n)
            return true;
    }
    return false;
}

/* Providers word it freely: "Too many connections", "max connections reached", "connection limit
 * exceeded", "Exceeded maximum number of simultaneous sessions", "too many IPs". */
bool nntp_response_names_limit(const struct nntp_response *r)
{
    static const char *const words[] = {"too many", "connection", "limit",      "maximum",
                                        "exceed",   "simultan",   "concurrent", "session"};

    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        if (text_has(r, words[i]))
            return true;
    return false;
}

enum nntp_greeting nntp_response_greeting(const struct nntp_response *r)
{
    switch (r->code) {
    case 200:
    case 201:
        return NNTP_WELCOME;
    case 502: /* before any command it can only be about the connection itself */
        return NNTP_FULL;
    case 400:
        return nntp_response_names_limit(r) ? NNTP_FULL : NNTP_CLOSED;
    default:
        return NNTP_CLOSED;
    }
}

enum nntp_login nntp_response_login(const struct nntp_response *r)
{
    switch (r->code) {
    case 281:
    case 250: /* before RFC 4643 */
        return NNTP_LOGIN_OK;
    case 381:
        return NNTP_LOGIN_MORE;
    case 481:
    case 482:
    case 452:
    case 502:
        return nntp_response_names_limit(r) ? NNTP_LOGIN_FULL : NNTP_LOGIN_REFUSED;
    case 400:
        return nntp_response_names_limit(r) ? NNTP_LOGIN_FULL : NNTP_LOGIN_CLOSED;
    case 401: /* "MODE-READER": a capability is wanted first (RFC 3977 §3.2.1) */
    case 500:
    case 501:
    case 503:
    case 480:
        return NNTP_LOGIN_UNKNOWN;
    default:
        return NNTP_LOGIN_SENSELESS;
    }
}

/* 220, 221 and 222 all bring text, and some servers mix them up; 223 never does, and is an answer to
 * STAT alone. */
static enum nntp_meaning success_meaning(enum segment_verb verb, int code)
{
    switch (code) {
    case 220:
    case 221:
    case 222:
        return NNTP_TEXT;
    case 223:
        return verb == SEGMENT_STAT ? NNTP_PRESENT : NNTP_SENSELESS;
    case 205:
        return NNTP_CLOSING;
    default:
        return NNTP_SENSELESS;
    }
}

enum nntp_meaning nntp_response_meaning(enum segment_verb verb, const struct nntp_response *r)
{
    if (r->code < 400)
        return success_meaning(verb, r->code);
    switch (r->code) {
    case 400:
        return nntp_response_names_limit(r) ? NNTP_CROWDED : NNTP_CLOSING;
    case 411:
    case 420:
    case 423:
    case 430:
    case 451: /* taken down: not in the RFC, but in use */
        return NNTP_ABSENT;
    case 412:
        return NNTP_NEED_GROUP;
    case 450:
    case 480:
        return NNTP_NEED_LOGIN;
    case 401: /* as innd says it to a reader: "401 MODE-READER" */
    case 500:
        return NNTP_UNKNOWN;
    case 502:
        return nntp_response_names_limit(r) ? NNTP_CROWDED : NNTP_REFUSAL;
    default:
        return NNTP_REFUSAL;
    }
}

bool nntp_message_id_is_safe(const char *id)
{
    size_t n = 0;

    for (; id[n]; n++) {
        unsigned char c = (unsigned char)id[n];
        if (c < 0x20 || c == 0x7f || n >= MESSAGE_ID_MOST)
            return false;
    }
    return n > 0;
}

bool nntp_group_is_safe(const char *group)
{
    size_t n = 0;

    for (; group[n]; n++) {
        unsigned char c = (unsigned char)group[n];
        if (c <= 0x20 || c == 0x7f || n >= GROUP_MOST)
            return false;
    }
    return n > 0;
}
