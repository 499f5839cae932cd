#define LOG_TAG "nntp.talk"
#include "base/clock.h"
#include "nntp/conn.h"

#include <assert.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

/* Answers come in the order of the commands, so the answer at hand belongs to the first exchange that is
 * SENT. One that must be repeated (after 480: log in first) goes back to WAITING; from then on nothing is
 * sent until whatever was sent behind it is answered too, so the order holds:
 *
 *     exchanges   A waiting   B sent   C sent   D waiting      holding: B and C are awaited,
 *                 └ again                                      then A, D go out
 *
 * An exchange is reported when it is ANSWERED and first in line. */

/* An article is below 64 MiB decoded; a block that outgrows this has no end. */
#define TEXT_MOST ((uint64_t)160 << 20)

/* --- words ------------------------------------------------------------------------------------------ */

#define WORDS     (NNTP_LINE_MOST + 16)

/* Some servers repeat in their answers what they were told, the password too. */
static void secret_mask(const struct nntp_conn *c, char *text)
{
    const char *secret = c->site->password;
    size_t n = secret ? strlen(secret) : 0;

    for (char *at = n ? strstr(text, secret) : NULL; at; at = strstr(at, secret)) {
        *at++ = '*';
        memmove(at, at + n - 1, strlen(at + n - 1) + 1);
    }
}

/* An answer as a person may read it. */
static const char *words(const struct nntp_conn *c, const struct nntp_response *r, char buf[WORDS])
{
    snprintf(buf, WORDS, "%d %.*s", r->code, (int)r->len, r->text);
    secret_mask(c, buf);
    return buf;
}

/* The connection ends because of what the server said. */
static void end_by(struct nntp_conn *c, enum qos_gone why, bool seen, const char *before,
                   const struct nntp_response *r, const char *behind)
{
    char buf[WORDS];

    nntp_conn_end(c, why, seen, "%s%s%s", before, words(c, r, buf), behind);
}

/* --- out -------------------------------------------------------------------------------------------- */

static void say(struct nntp_conn *c, const char *verb, const char *open, const char *arg,
                const char *close)
{
    int n = snprintf(c->out + c->nout, sizeof(c->out) - c->nout, "%s%s%s%s\r\n", verb, open, arg,
                     close);

    assert(n > 0 && (size_t)n < sizeof(c->out) - c->nout);
    c->nout += (size_t)n;
}

static bool out_has_room(const struct nntp_conn *c)
{
    return sizeof(c->out) - c->nout > 528;
}

static void gate_send(struct nntp_conn *c, enum nntp_gate gate, const char *arg)
{
    assert(!c->nsent && c->gate == GATE_NONE);
    /* Each gate waits for the answer to the last, so there is room, unless the answers came first. */
    if (!out_has_room(c)) {
        nntp_conn_end(c, c->up ? QOS_GONE_BROKEN : QOS_GONE_REFUSED, false,
                      "answers before it is asked");
        return;
    }
    c->gate = gate;
    c->wanted = GATE_NONE;
    switch (gate) {
    case GATE_USER:
        say(c, "AUTHINFO USER", " ", arg, "");
        c->secret = true;
        break;
    case GATE_PASS:
        say(c, "AUTHINFO PASS", " ", arg, "");
        c->secret = true;
        break;
    case GATE_MODE:
        say(c, "MODE READER", "", "", "");
        break;
    case GATE_GROUP:
        say(c, "GROUP", " ", arg, "");
        break;
    case GATE_NONE:
        break;
    }
}

static void command_send(struct nntp_conn *c, struct nntp_exchange *x)
{
    static const char *const verbs[] = {
        [SEGMENT_BODY] = "BODY", [SEGMENT_STAT] = "STAT", [SEGMENT_HEAD] = "HEAD"};
    const char *verb = verbs[x->verb];

    if (x->verb == SEGMENT_BODY && atomic_load_explicit(&c->site->no_body, memory_order_relaxed))
        x->tried |= EXCHANGE_WHOLE;
    if (x->tried & EXCHANGE_WHOLE)
        verb = "ARTICLE";
    say(c, verb, " <", x->f->want.message_id, ">");
    x->state = EXCHANGE_SENT;
    x->bytes = 0;
    x->alone = !c->nsent;
    c->nsent++;
}

/* Some servers look an article up only inside the current group. */
static bool lacks_group(const struct nntp_conn *c, const struct nntp_exchange *x)
{
    const char *g = x->f->want.group;

    return g && atomic_load_explicit(&c->site->need_group, memory_order_relaxed) &&
           !(x->tried & EXCHANGE_NO_GROUP) && nntp_group_is_safe(g) && strcmp(c->group, g) != 0;
}

void nntp_talk_send(struct nntp_conn *c)
{
    if (!c->up || c->state != CONN_READY || c->gate)
        return;
    if ((c->wanted || c->holding) && c->nsent)
        return;
    if (c->wanted) {
        gate_send(c, c->wanted, c->site->username ? c->site->username : "");
        return;
    }
    c->holding = false;
    list_for_each(e, &c->exchanges)
    {
        struct nntp_exchange *x = container_of(e, struct nntp_exchange, link);
        if (x->state != EXCHANGE_WAITING)
            continue;
        if (lacks_group(c, x)) {
            if (!c->nsent)
                gate_send(c, GATE_GROUP, x->f->want.group);
            return;
        }
        if (!out_has_room(c))
            return;
        command_send(c, x);
    }
}

void nntp_talk_quit(struct nntp_conn *c)
{
    if (out_has_room(c))
        say(c, "QUIT", "", "", "");
}

/* --- exchanges -------------------------------------------------------------------------------------- */

static struct nntp_exchange *first_in(struct nntp_conn *c, int state)
{
    list_for_each(e, &c->exchanges)
    {
        struct nntp_exchange *x = container_of(e, struct nntp_exchange, link);
        if ((int)x->state == state)
            return x;
    }
    return NULL;
}

static void report(struct nntp_conn *c)
{
    while (!list_is_empty(&c->exchanges)) {
        struct nntp_exchange *x = container_of(c->exchanges.next, struct nntp_exchange, link);
        if (x->state != EXCHANGE_ANSWERED)
            return;
        list_del(&x->link);
        c->hooks->done(c, x);
    }
}

static void progress(struct nntp_conn *c)
{
    c->progress_us = clock_now_us();
    c->crumbs = 0;
}

static void finish(struct nntp_conn *c, struct nntp_exchange *x, enum qos_outcome how)
{
    if (x->state == EXCHANGE_SENT)
        c->nsent--;
    x->state = EXCHANGE_ANSWERED;
    x->outcome = how;
    c->answered++;
    c->from_idle = false;
    progress(c);
    report(c);
}

static void put_back(struct nntp_conn *c, struct nntp_exchange *x)
{
    if (x->state == EXCHANGE_SENT)
        c->nsent--;
    x->state = EXCHANGE_WAITING;
    c->holding = true;
    progress(c);
}

/* What the server said is no answer at all. */
static void garbage(struct nntp_conn *c, const char *line, size_t len)
{
    char buf[WORDS];

    snprintf(buf, sizeof(buf), "%.*s", (int)len, line);
    secret_mask(c, buf);
    if (c->up)
        nntp_conn_end(c, QOS_GONE_BROKEN, false, "answered without sense: %.100s", buf);
    else
        nntp_conn_end(c, QOS_GONE_REFUSED, false, "this is no news server: it says %.100s", buf);
}

void nntp_talk_hung_up(struct nntp_conn *c, const char *how)
{
    struct nntp_exchange *x = first_in(c, EXCHANGE_SENT);

    if (c->state == CONN_QUIT)
        nntp_conn_end(c, QOS_GONE_CLOSED, true, "closed");
    else if (!c->up)
        nntp_conn_end(c, QOS_GONE_REFUSED, true, "%s before it was ready", how);
    else if (list_is_empty(&c->exchanges) ? c->answered > 0 : c->from_idle && (!x || !x->bytes))
        nntp_conn_end(c, QOS_GONE_STALE, true, "%s while it was idle", how);
    else
        nntp_conn_end(c, QOS_GONE_BROKEN, true, "%s in the middle", how);
}

/* --- greeting and gates ----------------------------------------------------------------------------- */

/* What is still to be said before commands can be taken? */
static void introduce(struct nntp_conn *c)
{
    struct nntp_site *s = c->site;

    if (s->username && !c->logged_in) {
        gate_send(c, GATE_USER, s->username);
    } else if (atomic_load(&s->need_mode_reader) && !c->mode_done) {
        gate_send(c, GATE_MODE, "");
    } else {
        c->state = CONN_READY;
        c->up = true;
        c->hooks->up(c);
    }
}

static void gate_passed(struct nntp_conn *c)
{
    progress(c);
    if (!c->up)
        introduce(c);
}

static void answer_greeting(struct nntp_conn *c, const struct nntp_response *r)
{
    switch (nntp_response_greeting(r)) {
    case NNTP_WELCOME:
        c->state = CONN_LOGIN;
        introduce(c);
        return;
    case NNTP_FULL:
        end_by(c, QOS_GONE_LIMIT, true, "", r, "");
        return;
    case NNTP_CLOSED:
        end_by(c, QOS_GONE_REFUSED, false, "", r, "");
        return;
    }
}

/* Old transit servers know AUTHINFO only after MODE READER. */
static void login_unknown(struct nntp_conn *c, const struct nntp_response *r)
{
    if (!c->mode_done && !atomic_load(&c->site->no_mode_reader))
        gate_send(c, GATE_MODE, "");
    else
        end_by(c, QOS_GONE_LOGIN, false, "login: ", r, "");
}

static void answer_login(struct nntp_conn *c, enum nntp_gate gate, const struct nntp_response *r)
{
    switch (nntp_response_login(r)) {
    case NNTP_LOGIN_OK:
        c->logged_in = true;
        gate_passed(c);
        return;
    case NNTP_LOGIN_MORE:
        if (gate == GATE_PASS)
            break;
        if (c->site->password)
            gate_send(c, GATE_PASS, c->site->password);
        else
            nntp_conn_end(c, QOS_GONE_LOGIN, false, "login: a password is wanted, none is set");
        return;
    case NNTP_LOGIN_FULL:
        end_by(c, QOS_GONE_LIMIT, true, "login: ", r, "");
        return;
    case NNTP_LOGIN_REFUSED:
        end_by(c, QOS_GONE_LOGIN, false, "login: ", r, "; check username and password");
        return;
    case NNTP_LOGIN_UNKNOWN:
        login_unknown(c, r);
        return;
    case NNTP_LOGIN_CLOSED:
        end_by(c, c->up ? QOS_GONE_BROKEN : QOS_GONE_REFUSED, true, "login: ", r, "");
        return;
    case NNTP_LOGIN_SENSELESS:
        break;
    }
    nntp_conn_end(c, c->up ? QOS_GONE_BROKEN : QOS_GONE_REFUSED, false,
                  "login: answered without sense: %d", r->code);
}

static void answer_mode(struct nntp_conn *c, const struct nntp_response *r)
{
    bool first = !c->mode_tried;

    c->mode_done = c->mode_tried = true;
    if (r->code == 200 || r->code == 201) {
        atomic_store(&c->site->need_mode_reader, true);
    } else if (r->code == 480 && first && c->site->username && !c->logged_in) {
        c->mode_done = false; /* once more, when we are somebody */
        gate_send(c, GATE_USER, c->site->username);
        return;
    } else if (r->code == 400 || r->code == 502) {
        end_by(c, nntp_response_names_limit(r) ? QOS_GONE_LIMIT : QOS_GONE_REFUSED, true,
               "MODE READER: ", r, "");
        return;
    } else {
        atomic_store(&c->site->no_mode_reader, true);
    }
    gate_passed(c);
}

/* The group was for the first exchange that waits. */
static void answer_group(struct nntp_conn *c, const struct nntp_response *r)
{
    struct nntp_exchange *x = first_in(c, EXCHANGE_WAITING);

    if (!x) /* it is there: nothing was sent since, and nothing is reported while it waits */
        return;
    if (r->code == 211) {
        snprintf(c->group, sizeof(c->group), "%s", x->f->want.group);
        gate_passed(c);
        return;
    }
    x->tried |= EXCHANGE_TRIED_GROUP | EXCHANGE_NO_GROUP;
    switch (nntp_response_meaning(SEGMENT_STAT, r)) {
    case NNTP_ABSENT:
        finish(c, x, QOS_NOT_HERE);
        return;
    case NNTP_CROWDED:
        end_by(c, QOS_GONE_LIMIT, true, "GROUP: ", r, "");
        return;
    case NNTP_CLOSING:
        end_by(c, c->from_idle ? QOS_GONE_STALE : QOS_GONE_BROKEN, true, "GROUP: ", r, "");
        return;
    case NNTP_NEED_LOGIN:
        if (c->site->username && !(x->tried & EXCHANGE_TRIED_LOGIN)) {
            x->tried = EXCHANGE_TRIED_LOGIN;
            c->wanted = GATE_USER;
        }
        return; /* without the group the command itself will be refused, and that is handled */
    case NNTP_TEXT:
    case NNTP_PRESENT:
    case NNTP_SENSELESS:
        end_by(c, QOS_GONE_BROKEN, false, "GROUP: answered without sense: ", r, "");
        return;
    case NNTP_NEED_GROUP:
    case NNTP_UNKNOWN:
    case NNTP_REFUSAL:
        return; /* likewise */
    }
}

static void answer_gate(struct nntp_conn *c, const struct nntp_response *r)
{
    enum nntp_gate gate = c->gate;

    c->gate = GATE_NONE;
    switch (gate) {
    case GATE_USER:
    case GATE_PASS:
        answer_login(c, gate, r);
        return;
    case GATE_MODE:
        answer_mode(c, r);
        return;
    case GATE_GROUP:
        answer_group(c, r);
        return;
    case GATE_NONE:
        return;
    }
}

/* --- answers to commands ---------------------------------------------------------------------------- */

static void need_login(struct nntp_conn *c, struct nntp_exchange *x, const struct nntp_response *r)
{
    if (!c->site->username) {
        end_by(c, QOS_GONE_LOGIN, false, "", r, "; set username and password");
    } else if (x->tried & EXCHANGE_TRIED_LOGIN) {
        end_by(c, QOS_GONE_LOGIN, false, "", r, ", after a login that was accepted");
    } else {
        x->tried |= EXCHANGE_TRIED_LOGIN;
        c->wanted = GATE_USER;
        put_back(c, x);
    }
}

static void need_group(struct nntp_conn *c, struct nntp_exchange *x)
{
    const char *g = x->f->want.group;

    if (!g || !nntp_group_is_safe(g) || (x->tried & EXCHANGE_TRIED_GROUP)) {
        nntp_site_gripe(c->site, NNTP_GRIPE_DECLINED, "wants a group selected for <%s>%s",
                        x->f->want.message_id,
                        g ? ", and does not take it" : ", the NZB names none");
        finish(c, x, QOS_DECLINED);
        return;
    }
    /* It may have forgotten a group we think is selected: it is told once more, then it is believed. */
    if (strcmp(c->group, g) == 0)
        x->tried |= EXCHANGE_TRIED_GROUP;
    c->group[0] = '\0';
    atomic_store(&c->site->need_group, true);
    put_back(c, x);
}

static void declined_say(struct nntp_conn *c, const struct nntp_exchange *x,
                         const struct nntp_response *r)
{
    char buf[WORDS];

    nntp_site_gripe(c->site, NNTP_GRIPE_DECLINED, "<%s>: %s", x->f->want.message_id,
                    words(c, r, buf));
}

static void unknown(struct nntp_conn *c, struct nntp_exchange *x, const struct nntp_response *r)
{
    struct nntp_site *s = c->site;

    if (!c->mode_done && !atomic_load(&s->proven) && !atomic_load(&s->no_mode_reader)) {
        c->wanted = GATE_MODE;
        put_back(c, x);
    } else if (x->verb == SEGMENT_STAT) {
        atomic_store(&s->no_stat, true);
        x->verb = SEGMENT_HEAD;
        put_back(c, x);
    } else if (x->verb == SEGMENT_BODY && !(x->tried & EXCHANGE_WHOLE) &&
               !atomic_load(&s->proven)) {
        x->tried |= EXCHANGE_WHOLE;
        put_back(c, x);
    } else {
        declined_say(c, x, r);
        finish(c, x, QOS_DECLINED);
    }
}

/* "222 0 <id>": where the server names an article, is it another one? One whose answers have got out of
 * step would otherwise fill one file with another's bytes, whose size and CRC are all right. Servers that
 * never yet named what they were asked for may write there what they like. */
static bool names_another(const struct nntp_conn *c, const struct nntp_exchange *x,
                          const struct nntp_response *r)
{
    const char *id = x->f->want.message_id;
    const char *open = memchr(r->text, '<', r->len);
    size_t left = open ? (size_t)(r->text + r->len - open) - 1 : 0, n = strlen(id);

    if (left < 1 || !memchr(open, '>', left + 1))
        return false;
    if (left > n && memcmp(open + 1, id, n) == 0 && open[1 + n] == '>') {
        atomic_store_explicit(&c->site->echoes, true, memory_order_relaxed);
        return false;
    }
    return atomic_load_explicit(&c->site->echoes, memory_order_relaxed);
}

static void answer_command(struct nntp_conn *c, struct nntp_exchange *x,
                           const struct nntp_response *r)
{
    enum nntp_meaning m = nntp_response_meaning(x->verb, r);

    if ((m == NNTP_TEXT || m == NNTP_PRESENT) && names_another(c, x, r)) {
        end_by(c, QOS_GONE_BROKEN, false, "answered for another article: ", r, "");
        return;
    }
    if (m == NNTP_TEXT || m == NNTP_ABSENT)
        atomic_store_explicit(&c->site->proven, true, memory_order_relaxed);
    if (m == NNTP_TEXT && x->tried & EXCHANGE_WHOLE)
        atomic_store_explicit(&c->site->no_body, true, memory_order_relaxed);
    switch (m) {
    case NNTP_TEXT:
        article_start(&c->article);
        c->text = x;
        c->veto = QOS_OK;
        if (x->alone && c->hooks->begun)
            c->hooks->begun(c, x);
        return;
    case NNTP_PRESENT:
        finish(c, x, QOS_OK);
        return;
    case NNTP_ABSENT:
        finish(c, x, QOS_NOT_HERE);
        return;
    case NNTP_NEED_GROUP:
        need_group(c, x);
        return;
    case NNTP_NEED_LOGIN:
        need_login(c, x, r);
        return;
    case NNTP_UNKNOWN:
        unknown(c, x, r);
        return;
    case NNTP_REFUSAL:
        declined_say(c, x, r);
        finish(c, x, QOS_DECLINED);
        return;
    case NNTP_CROWDED:
        end_by(c, QOS_GONE_LIMIT, true, "", r, "");
        return;
    case NNTP_CLOSING:
        end_by(c, c->from_idle ? QOS_GONE_STALE : QOS_GONE_BROKEN, true, "", r, "");
        return;
    case NNTP_SENSELESS:
        end_by(c, QOS_GONE_BROKEN, false, "answered without sense: ", r, "");
        return;
    }
}

/* --- in --------------------------------------------------------------------------------------------- */

static void answer(struct nntp_conn *c, const char *line, size_t len)
{
    struct nntp_response r;

    if (c->state == CONN_QUIT)
        return;
    if (!nntp_response_parse(line, len, &r)) {
        garbage(c, line, len);
        return;
    }
    if (c->state == CONN_GREETING) {
        answer_greeting(c, &r);
    } else if (c->gate) {
        answer_gate(c, &r);
    } else {
        struct nntp_exchange *x = first_in(c, EXCHANGE_SENT);
        if (!x) /* "400 idle for too long" and the like */
            end_by(c, c->answered ? QOS_GONE_STALE : QOS_GONE_BROKEN, true, "", &r, "");
        else
            answer_command(c, x, &r);
    }
}

/* Takes bytes up to the end of a line; returns how many. */
static size_t line_feed(struct nntp_conn *c, const uint8_t *p, size_t len)
{
    const uint8_t *nl = memchr(p, '\n', len);
    size_t n = nl ? (size_t)(nl - p) + 1 : len;
    struct nntp_exchange *x = first_in(c, EXCHANGE_SENT);

    if (x && !c->gate)
        x->bytes += n;
    if (n > sizeof(c->line) - c->nline) {
        nntp_conn_end(c, c->up ? QOS_GONE_BROKEN : QOS_GONE_REFUSED, false,
                      "answered with a line that does not end");
        return n;
    }
    memcpy(c->line + c->nline, p, n);
    c->nline += n;
    if (!nl)
        return n;
    size_t end = c->nline - 1;
    if (end && c->line[end - 1] == '\r')
        end--;
    c->nline = 0;
    answer(c, c->line, end);
    return n;
}

static void text_begin(struct nntp_conn *c, struct nntp_exchange *x)
{
    struct segment_fetch *f = x->f;

    if (x->verb != SEGMENT_BODY) {
        article_skip(&c->article);
        return;
    }
    switch (f->ops->begin(f, article_info(&c->article))) {
    case 0:
        article_dst(&c->article, f->dst, f->ndst);
        return;
    case -ENOSPC:
        c->veto = QOS_NO_ROOM;
        break;
    default:
        c->veto = QOS_SPOILT;
    }
    article_skip(&c->article);
}

static enum qos_outcome text_outcome(struct nntp_conn *c, const struct nntp_exchange *x)
{
    enum article_verdict v = article_verdict(&c->article);

    if (x->verb != SEGMENT_BODY)
        return QOS_OK;
    switch (v) {
    case ARTICLE_OK:
        return QOS_OK;
    case ARTICLE_UUENCODE:
        nntp_site_gripe(c->site, NNTP_GRIPE_SPOILT, "<%s> is uuencoded, only yEnc is read",
                        x->f->want.message_id);
        return QOS_SPOILT;
    case ARTICLE_NO_YENC:
    case ARTICLE_DAMAGED:
    case ARTICLE_BAD_CRC:
        nntp_site_gripe(c->site, NNTP_GRIPE_SPOILT, "<%s>: %s", x->f->want.message_id,
                        article_verdict_name(v));
        return QOS_SPOILT;
    case ARTICLE_SKIPPED:
        if (c->veto == QOS_SPOILT)
            nntp_site_gripe(c->site, NNTP_GRIPE_SPOILT, "<%s> is not the part that was asked for",
                            x->f->want.message_id);
        return c->veto;
    }
    return QOS_SPOILT;
}

static size_t text_feed(struct nntp_conn *c, const uint8_t *p, size_t len)
{
    struct nntp_exchange *x = c->text;
    size_t used = 0;

    enum article_event e = article_feed(&c->article, p, len, &used);
    x->bytes += used;
    switch (e) {
    case ARTICLE_MORE:
        if (x->bytes > TEXT_MOST)
            nntp_conn_end(c, QOS_GONE_BROKEN, false, "<%s> does not end", x->f->want.message_id);
        else if (x->f->ops->progress && article_payload(&c->article))
            x->f->ops->progress(x->f, (uint32_t)article_payload(&c->article));
        break;
    case ARTICLE_BEGIN:
        text_begin(c, x);
        break;
    case ARTICLE_END:
        c->text = NULL;
        if (x->verb == SEGMENT_BODY)
            atomic_fetch_add_explicit(&c->counters->payload, article_payload(&c->article),
                                      memory_order_relaxed);
        finish(c, x, text_outcome(c, x));
        break;
    }
    return used;
}

bool nntp_talk_has(const struct nntp_conn *c, const struct nntp_exchange *x,
                   const struct segment_info **info, size_t *n)
{
    *info = NULL;
    *n = 0;
    if (x->state == EXCHANGE_ANSWERED || c->dead)
        return false;
    if (c->text != x)
        return true;
    if (article_is_refused(&c->article))
        return false;
    if (article_is_begun(&c->article)) {
        *info = article_info(&c->article);
        *n = article_payload(&c->article);
    }
    return true;
}

void nntp_talk_disown(struct nntp_conn *c, struct nntp_exchange *x, struct segment_fetch *f)
{
    assert(nntp_loop_is_mine(c->loop));
    x->f = f;
    if (c->text != x)
        return;
    c->veto = QOS_NO_ROOM;
    article_skip(&c->article);
}

void nntp_talk_feed(struct nntp_conn *c, const uint8_t *p, size_t len)
{
    /* A server that trickles has stalled as well: only so many bytes count as progress. */
    static const uint64_t crumbs_most = 4096;

    c->crumbs += len;
    if (c->crumbs >= crumbs_most)
        progress(c);
    while (len && !c->dead) {
        size_t n = c->text ? text_feed(c, p, len) : line_feed(c, p, len);
        p += n;
        len -= n;
    }
}
