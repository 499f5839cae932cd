/** config_internal — what the config*.c share. */
#ifndef BASE_CONFIG_INTERNAL_H
#define BASE_CONFIG_INTERNAL_H

#include "base/config.h"

#define CONFIG_KEYS      16 /* more than any section has */
#define CONFIG_SECTIONS  6
#define CONFIG_INSTANCES (CONFIG_PROVIDERS + 8)
#define CONFIG_NAME_MOST 63         /* of a provider */
#define CONFIG_SETTING   (1u << 30) /* a line's number from here on is a setting's */

/** How the text behind "=" is read, and what is written at the key's place. */
enum config_kind {
    CONFIG_TEXT,          /* char *; no blanks */
    CONFIG_HOST,          /* char *; a name or an address */
    CONFIG_PATH,          /* char *; relative to the configuration's folder; empty: NULL */
    CONFIG_PASSWORD,      /* char *; anything but nothing */
    CONFIG_PASSWORD_FILE, /* char *; the password out of the file named */
    CONFIG_CREDENTIAL,    /* char *; likewise out of $CREDENTIALS_DIRECTORY/NAME */
    CONFIG_NUMBER,        /* unsigned */
    CONFIG_OCTAL,         /* unsigned */
    CONFIG_ID,            /* long; empty: -1 */
    CONFIG_FLAG,          /* bool */
    CONFIG_SIZE,          /* uint64_t */
    CONFIG_SHARE,         /* struct config_share */
    CONFIG_VIEW,          /* enum config_view */
    CONFIG_MISSING,       /* bool: zeros */
    CONFIG_PASSWORDS,     /* char *; the lines of the file named, without empty ones; empty: NULL */
    CONFIG_WORDS,         /* char *; as base/words.h has it; empty: NULL */
};

struct config_key {
    const char *name;
    size_t at; /* in the section's struct */
    uint64_t min, max;
    enum config_kind kind;
};

enum config_section_kind { CONFIG_PROVIDER, CONFIG_CLASS, CONFIG_PLAIN };

struct config_section {
    const char *word;
    enum config_section_kind kind;
    const struct config_key *keys; /* the last one has no name */
};

extern const struct config_section config_sections[CONFIG_SECTIONS];

/** Connections, or percent of the pool, which is known only at the end. */
struct config_share {
    unsigned n;
    bool percent;
};

struct config_class_draft {
    struct config_share guaranteed, burst, hedge;
    unsigned weight, per_stream;
};

/** The lines the shares were written on, for messages; 0: not written. */
struct config_class_lines {
    unsigned guaranteed, burst, weight, per_stream, hedge;
};

/** One section as it stands in the file. */
struct config_instance {
    const struct config_section *section;
    char title[CONFIG_NAME_MOST + 17]; /* what stands between [ and ] */
    void *base;                        /* where its keys are written */
    unsigned line;
    unsigned lines[CONFIG_KEYS]; /* of its keys; 0: not written */
};

/** A configuration being read. */
struct config_draft {
    struct config *c;
    struct config_class_draft classes[TRAFFIC_CLASSES];
    struct config_instance instances[CONFIG_INSTANCES];
    unsigned ninstances;
    struct config_instance *now;
    const char *text, *end;
    const char *file;
    char *dir;
    unsigned line;
    const char *const *settings;
    unsigned nsettings;
    int shown;    /* bytes of the setting on `line` that messages may show */
    bool settled; /* all is read; what is wrong from now on is wrong in sum */
    int rc;
    char *err;
    size_t errlen;
};

/** The message for `line` (0: the whole file). Returns d->rc, which is an error now. */
int config_fail(struct config_draft *d, unsigned line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/** The section [title] begins on d->line: d->now is its instance. */
int config_section_open(struct config_draft *d, const char *title);

/** One key of d->now. What a setting says replaces what the file said. */
int config_key_set(struct config_draft *d, const char *name, const char *value);

/** Fails, with the key that was probably meant, or the section it belongs in. */
int config_key_unknown(struct config_draft *d, const char *name);

/** Lay d->settings on top of the file. */
int config_settings_take(struct config_draft *d);

/** Read `value` for `k` into `base`. Paths are relative to `dir`. 0, or -errno with what is wrong and
 *  what would be right (without file and line) in err. */
int config_value_set(const struct config_key *k, const char *value, const char *dir, void *base,
                     char *err, size_t errlen);

/** Turn drafts into connections of `c`, whose pool.connections is resolved. -EINVAL with *line. */
int config_shares_resolve(struct config *c, const struct config_class_draft *draft,
                          const struct config_class_lines *lines, unsigned *line, char *err,
                          size_t errlen);

const char *config_class_name(enum traffic_class class);

/** Free a string that was a secret. */
void config_secret_free(char *s);

#endif
