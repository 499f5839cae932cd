/* config_set — settings laid on top of the file, for what a running mount may change. */
#include "base/config_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SETTING_MOST 200
#define KEY_MOST     32

/* A setting in its parts: SECTION[.NAME].KEY=VALUE. A provider's name may hold dots; no key does. */
struct setting {
    char title[CONFIG_NAME_MOST + 17]; /* as the file has it: "pool", "provider main" */
    char key[KEY_MOST];
    char value[SETTING_MOST + 1];
};

/* --- what may be set --------------------------------------------------------------------------- */

static bool is_word(const char *word, const char *const *list)
{
    while (*list && strcmp(word, *list) != 0)
        list++;
    return *list != NULL;
}

/* Why `key` of this section is not for setting; NULL: it is, or there is no such key. */
static const char *not_in_place(const char *section, const char *key)
{
    static const char *const plain[] = {"connections", "tier", "weight", "retention_days",
                                        "pipelining",  "rate", NULL};

    if (strcmp(section, "cache") == 0 || strcmp(section, "mount") == 0)
        return "it takes effect when something is mounted; write it in the file and mount again";
    if (strcmp(section, "pool") == 0 && strcmp(key, "threads") == 0)
        return "network threads start with the mount; write it in the file and mount again";
    if (strcmp(section, "provider") != 0 || is_word(key, plain))
        return NULL;
    return "it says who is asked, and who is trusted with what, and that is the file's alone to "
           "say; change it there and send SIGHUP";
}

static bool key_exists(const struct config_section *s, const char *key)
{
    for (const struct config_key *k = s->keys; k->name; k++)
        if (strcmp(k->name, key) == 0)
            return true;
    return false;
}

/* --- one setting ------------------------------------------------------------------------------- */

static bool is_printable(const char *s)
{
    for (; *s; s++)
        if (*s < ' ' || *s > '~')
            return false;
    return true;
}

/* Without blanks at its ends, as the file's keys and values are read. */
static bool copy_trimmed(const char *from, const char *to, char *out, size_t room)
{
    while (from < to && *from == ' ')
        from++;
    while (to > from && to[-1] == ' ')
        to--;
    size_t len = (size_t)(to - from);
    if (len >= room)
        return false;
    memcpy(out, from, len);
    out[len] = '\0';
    return true;
}

static int split(struct config_draft *d, const char *text, struct setting *out)
{
    const char *eq = strchr(text, '=');
    const char *last = eq ? memrchr(text, '.', (size_t)(eq - text)) : NULL;

    if (!last || !copy_trimmed(text, last, out->title, sizeof(out->title)) ||
        strchr(out->title, ' ') || !copy_trimmed(last + 1, eq, out->key, sizeof(out->key)) ||
        !copy_trimmed(eq + 1, text + strlen(text), out->value, sizeof(out->value)))
        return config_fail(d, d->line,
                           "this is not SECTION.KEY=VALUE, such as pool.rate=10M, "
                           "class.streaming.burst=60%% or provider.main.connections=20");
    char *dot = strchr(out->title, '.'); /* between the word and the name */
    if (dot)
        *dot = ' ';
    return 0;
}

/* The sections that the file has are there; of the others only providers cannot be made up. */
static int section_find(struct config_draft *d, const char *title)
{
    char names[200] = "";

    for (unsigned i = 0; i < d->ninstances; i++) {
        if (strcmp(d->instances[i].title, title) == 0) {
            d->now = &d->instances[i];
            return 0;
        }
        if (d->instances[i].section->kind == CONFIG_PROVIDER) {
            size_t n = strlen(names);
            snprintf(names + n, sizeof(names) - n, "%s%s", n ? ", " : "",
                     d->instances[i].title + strlen("provider "));
        }
    }
    if (strcmp(title, "provider") == 0)
        return config_fail(d, d->line, "which provider? write provider.NAME.KEY=VALUE; there is %s",
                           *names ? names : "none");
    if (strcmp(title, "class") == 0)
        return config_fail(d, d->line,
                           "which class? write class.streaming.KEY=VALUE, class.queue… or "
                           "class.health…");
    if (strncmp(title, "provider ", 9) == 0)
        return config_fail(d, d->line, "there is no [%s] in %s; there is %s", title, d->file,
                           *names ? names : "none");
    return config_section_open(d, title);
}

static int setting_take(struct config_draft *d, const char *text)
{
    struct setting s;

    /* What may be a secret is not shown: nothing behind "=" until the key is known to hold none. */
    d->shown = (int)strcspn(text, "= ");
    if (strlen(text) > SETTING_MOST || !is_printable(text)) {
        d->shown = 0;
        return config_fail(d, d->line, "more than %d characters, or one that cannot be printed",
                           SETTING_MOST);
    }
    if (split(d, text, &s) < 0 || section_find(d, s.title) < 0)
        return d->rc;
    if (key_exists(d->now->section, s.key)) {
        const char *why = not_in_place(d->now->section->word, s.key);
        if (why)
            return config_fail(d, d->line, "'%s' in [%s] cannot be set in place: %s", s.key,
                               d->now->title, why);
        d->shown = SETTING_MOST;
    }
    return config_key_set(d, s.key, s.value);
}

int config_settings_take(struct config_draft *d)
{
    for (unsigned i = 0; i < d->nsettings && d->rc == 0; i++) {
        d->line = CONFIG_SETTING + i;
        setting_take(d, d->settings[i]);
    }
    return d->rc;
}
