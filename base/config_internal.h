/** config_internal — what config.c, config_value.c and config_shares.c share. */
#ifndef BASE_CONFIG_INTERNAL_H
#define BASE_CONFIG_INTERNAL_H

#include "base/config.h"

#define CONFIG_KEYS 16 /* more than any section has */

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
};

struct config_key {
    const char *name;
    size_t at; /* in the section's struct */
    uint64_t min, max;
    enum config_kind kind;
};

/** Connections, or percent of the pool, which is known only at the end. */
struct config_share {
    unsigned n;
    bool percent;
};

struct config_class_draft {
    struct config_share guaranteed, burst;
    unsigned weight, per_stream;
};

/** The lines the shares were written on, for messages; 0: not written. */
struct config_class_lines {
    unsigned guaranteed, burst, weight;
};

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
