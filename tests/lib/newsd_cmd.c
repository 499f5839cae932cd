/* What each command is answered. RFC 3977, RFC 4643. */
#include "tests/lib/newsd_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* RFC 3977 §3.6: with < and >. */
#define ID_MAX 250

static void say(struct newsd_conn *c, const char *line)
{
    newsd_conn_answer(c, newsd_answer_new("%s", line));
}

static void say_and_close(struct newsd_conn *c, const char *line)
{
    struct newsd_answer *a = newsd_answer_new("%s", line);
    if (a)
        a->then = THEN_CLOSE;
    c->ending = true;
    newsd_conn_answer(c, a);
}

/* ---- session ---- */

static void cmd_capabilities(struct newsd_conn *c, char *arg)
{
    static const char reader[] = "READER\r\n", mode[] = "MODE-READER\r\n",
                      login[] = "AUTHINFO USER\r\n.\r\n", end[] = ".\r\n";
    (void)arg;
    bool transit = c->d->cfg.need_mode_reader && !c->reader;
    struct newsd_answer *a =
        newsd_answer_new("101 capabilities\r\nVERSION 2\r\nIMPLEMENTATION newsd%s",
                         c->d->cfg.greeting == 200 ? "\r\nPOST" : "");
    if (a) {
        newsd_answer_add(a, transit ? mode : reader,
                         transit ? sizeof(mode) - 1 : sizeof(reader) - 1);
        if (c->logged_in)
            newsd_answer_add(a, end, sizeof(end) - 1);
        else
            newsd_answer_add(a, login, sizeof(login) - 1);
    }
    newsd_conn_answer(c, a);
}

static void cmd_mode(struct newsd_conn *c, char *arg)
{
    if (strcasecmp(arg, "READER") != 0) {
        say(c, "501 unknown mode");
        return;
    }
    c->reader = true;
    say(c, c->d->cfg.greeting == 200 ? "200 posting allowed" : "201 no posting");
}

static void cmd_date(struct newsd_conn *c, char *arg)
{
    char text[32] = "";
    time_t now = time(NULL);
    struct tm tm;
    (void)arg;
    if (gmtime_r(&now, &tm))
        strftime(text, sizeof(text), "%Y%m%d%H%M%S", &tm);
    newsd_conn_answer(c, newsd_answer_new("111 %s", text));
}

static void cmd_quit(struct newsd_conn *c, char *arg)
{
    (void)arg;
    say_and_close(c, "205 goodbye");
}

/* ---- login ---- */

/* Logged-in connections, for a limit that is told at login. */
static bool logins_are_full(const struct newsd *d)
{
    unsigned n = 0;
    if (!d->cfg.max_connections || (d->cfg.limit_code != 481 && d->cfg.limit_code != 482))
        return false;
    list_for_each(it, &d->conns)
    {
        const struct newsd_conn *c = container_of(it, struct newsd_conn, link);
        n += c->counted && c->logged_in;
    }
    return n >= d->cfg.max_connections;
}

static void login_user(struct newsd_conn *c, const char *name)
{
    c->user_said = !c->d->cfg.username || strcmp(name, c->d->cfg.username) == 0;
    say(c, "381 password required");
}

static void login_pass(struct newsd_conn *c, const char *password)
{
    bool good = !c->d->no_logins && c->user_said &&
                (!c->d->cfg.username || strcmp(password, c->d->cfg.password) == 0);
    if (good && logins_are_full(c->d)) {
        newsd_tag_refused(c->d);
        newsd_conn_answer(
            c, newsd_answer_new("%u too many connections for this account", c->d->cfg.limit_code));
        return;
    }
    if (!good) {
        say(c, "481 authentication failed");
        return;
    }
    c->logged_in = true;
    c->d->stats.logins++;
    say(c, "281 welcome");
}

static void cmd_authinfo(struct newsd_conn *c, char *arg)
{
    char *value = arg + strcspn(arg, " \t");
    if (*value)
        *value++ = '\0';
    value += strspn(value, " \t");
    if (!*value)
        say(c, "501 syntax: AUTHINFO USER name, AUTHINFO PASS password");
    else if (c->logged_in && c->d->cfg.username)
        say(c, "502 already authenticated");
    else if (strcasecmp(arg, "USER") == 0)
        login_user(c, value);
    else if (strcasecmp(arg, "PASS") == 0)
        login_pass(c, value);
    else
        say(c, "501 unknown AUTHINFO");
}

/* ---- articles ---- */

static void cmd_group(struct newsd_conn *c, char *arg)
{
    c->d->stats.group++;
    if (strncmp(arg, "alt.", 4) != 0) {
        say(c, *arg ? "411 no such group" : "501 syntax: GROUP name");
        return;
    }
    c->in_group = true;
    newsd_conn_answer(c, newsd_answer_new("211 0 0 0 %s", arg));
}

enum verb { VERB_ARTICLE, VERB_BODY, VERB_HEAD, VERB_STAT };

/* The message-id in `arg`, without < >; NULL: answered already. */
static const char *id_of(struct newsd_conn *c, char *arg)
{
    size_t len = strlen(arg);
    if (c->d->cfg.need_group && !c->in_group) {
        say(c, "412 no newsgroup selected");
        return NULL;
    }
    if (arg[0] != '<') {
        bool number = arg[0] == '\0' || strspn(arg, "0123456789") == len;
        say(c, !number       ? "501 syntax: <message-id>"
               : c->in_group ? "423 no article of that number"
                             : "412 no newsgroup selected");
        return NULL;
    }
    if (len < 3 || len > ID_MAX || strchr(arg, '>') != arg + len - 1) {
        say(c, "501 not a message-id");
        return NULL;
    }
    arg[len - 1] = '\0';
    return arg + 1;
}

static void article_say(struct newsd_conn *c, const char *id, struct newsd_answer *a)
{
    newsd_tag_asked(c, id, a);
    newsd_conn_answer(c, a);
}

static void missing_say(struct newsd_conn *c, const char *id)
{
    article_say(c, id, newsd_fault_answer(c->d, NEWSD_430, "", NULL, 0));
}

/* ARTICLE and BODY. */
static void payload_say(struct newsd_conn *c, enum verb verb, const char *id)
{
    struct newsd *d = c->d;
    char line[NEWSD_LINE_MAX];
    newsd_rule_asked(d, id);
    enum newsd_fault fault = newsd_rule_take(d, id, true);
    const struct spool_article *art = fault == NEWSD_430 ? NULL : spool_find(d->spool, id);
    if (!art) {
        missing_say(c, id);
        return;
    }
    bool body = verb == VERB_BODY;
    unsigned code = body == d->cfg.swap_codes ? 220 : 222;
    snprintf(line, sizeof(line), "%u%s 0 <%s>", code, d->cfg.swap_codes ? "," : "", id);
    size_t skip = body ? art->head : 0;
    struct newsd_answer *a = newsd_fault_answer(d, fault, line, art->bytes + skip, art->len - skip);
    if (a && d->cfg.straggler_permille)
        a->straggles = newsd_dice(d) % 1000 < d->cfg.straggler_permille;
    article_say(c, id, a);
}

static void head_say(struct newsd_conn *c, enum verb verb, const char *id)
{
    static const char dot[] = ".\r\n";
    struct newsd *d = c->d;
    char line[NEWSD_LINE_MAX];
    enum newsd_fault fault = newsd_rule_take(d, id, false);
    if (fault == NEWSD_430 || !spool_has(d->spool, id)) {
        missing_say(c, id);
        return;
    }
    snprintf(line, sizeof(line), "%u 0 <%s>", verb == VERB_STAT ? 223 : 221, id);
    struct newsd_answer *a = newsd_fault_answer(d, fault, line, NULL, 0);
    if (a && verb == VERB_HEAD && fault == NEWSD_NONE) {
        const struct spool_article *art = spool_find(d->spool, id);
        if (art) {
            newsd_answer_add(a, art->bytes, art->head - 2); /* without the empty line */
            newsd_answer_add(a, dot, sizeof(dot) - 1);
        }
    }
    article_say(c, id, a);
}

static void cmd_article(struct newsd_conn *c, char *arg)
{
    c->d->stats.article++;
    const char *id = id_of(c, arg);
    if (id)
        payload_say(c, VERB_ARTICLE, id);
}

static void cmd_body(struct newsd_conn *c, char *arg)
{
    c->d->stats.body++;
    const char *id = id_of(c, arg);
    if (id)
        payload_say(c, VERB_BODY, id);
}

static void cmd_head(struct newsd_conn *c, char *arg)
{
    c->d->stats.head++;
    const char *id = id_of(c, arg);
    if (id)
        head_say(c, VERB_HEAD, id);
}

static void cmd_stat(struct newsd_conn *c, char *arg)
{
    c->d->stats.stat++;
    const char *id = id_of(c, arg);
    if (id)
        head_say(c, VERB_STAT, id);
}

/* ---- posting ---- */

static void cmd_post(struct newsd_conn *c, char *arg)
{
    (void)arg;
    if (c->d->cfg.greeting != 200) {
        say(c, "440 posting not allowed");
        return;
    }
    c->posting = true;
    c->post_len = 0;
    say(c, "340 send the article");
}

/* Whether the headers of the article name a Message-ID. */
static bool has_id(const uint8_t *wire, size_t len)
{
    static const char name[] = "Message-ID:";
    const uint8_t *end = memmem(wire, len, "\r\n\r\n", 4);
    for (const uint8_t *p = wire; end && p < end;) {
        if ((size_t)(end - p) > sizeof(name) &&
            strncasecmp((const char *)p, name, sizeof(name) - 1) == 0)
            return true;
        const uint8_t *nl = memchr(p, '\n', (size_t)(end - p));
        p = nl ? nl + 1 : end;
    }
    return false;
}

/* An article without a Message-ID is given one, as a server does (RFC 5537 §3.5). */
static int post_with_id(struct newsd *d, const uint8_t *wire, size_t len, char *id, size_t room)
{
    snprintf(id, room, "post%" PRIu64 ".%016" PRIx64 "@newsd.example", ++d->posts, newsd_dice(d));
    char *whole = malloc(len + room + 32);
    if (!whole)
        return -ENOMEM;
    size_t n = (size_t)sprintf(whole, "Message-ID: <%s>\r\n", id);
    memcpy(whole + n, wire, len);
    int err = spool_post(d->spool, whole, n + len);
    free(whole);
    return err;
}

void newsd_cmd_post(struct newsd_conn *c, const uint8_t *wire, size_t len)
{
    char id[80] = "";
    int err = has_id(wire, len) ? spool_post(c->d->spool, wire, len)
                                : post_with_id(c->d, wire, len, id, sizeof(id));
    if (err == 0 && id[0])
        newsd_conn_answer(c, newsd_answer_new("240 article received <%s>", id));
    else
        say(c, err == 0         ? "240 article received"
               : err == -EEXIST ? "441 an article of that Message-ID is here"
               : err == -ENOMEM ? "441 no memory"
                                : "441 not an article");
}

/* ---- the table ---- */

/* When a command is known at all. */
enum need { ALWAYS = 0, LOGIN = 1, READER = 2, MORE = 4 };

static const struct command {
    const char *name;
    void (*run)(struct newsd_conn *c, char *arg);
    unsigned need; /* MORE: unknown where only_basics is set */
} commands[] = {
    {"BODY", cmd_body, LOGIN | READER},
    {"ARTICLE", cmd_article, LOGIN | READER},
    {"STAT", cmd_stat, LOGIN | READER | MORE},
    {"HEAD", cmd_head, LOGIN | READER | MORE},
    {"GROUP", cmd_group, LOGIN | READER | MORE},
    {"POST", cmd_post, LOGIN | READER | MORE},
    {"DATE", cmd_date, MORE},
    {"MODE", cmd_mode, MORE},
    {"CAPABILITIES", cmd_capabilities, MORE},
    {"AUTHINFO", cmd_authinfo, ALWAYS},
    {"QUIT", cmd_quit, ALWAYS},
};

static bool is_known(const struct newsd_conn *c, const struct command *cmd)
{
    if ((cmd->need & MORE) && c->d->cfg.only_basics)
        return false;
    return !(cmd->need & READER) || !c->d->cfg.need_mode_reader || c->reader;
}

void newsd_cmd_run(struct newsd_conn *c, char *line)
{
    char *arg = line + strcspn(line, " \t");
    if (*arg)
        *arg++ = '\0';
    arg += strspn(arg, " \t");
    size_t len = strlen(arg);
    while (len > 0 && (arg[len - 1] == ' ' || arg[len - 1] == '\t'))
        arg[--len] = '\0';
    for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
        const struct command *cmd = &commands[i];
        if (strcasecmp(line, cmd->name) != 0 || !is_known(c, cmd))
            continue;
        if ((cmd->need & LOGIN) && !c->logged_in)
            say(c, "480 authentication required");
        else
            cmd->run(c, arg);
        return;
    }
    say(c, "500 unknown command");
}
