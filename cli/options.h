/** options — what -o says, and what of it fstab only passes through. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "base/config.h"

#include <stdbool.h>
#include <stddef.h>

#define MOUNT_OPTIONS 64

struct mount_options {
    char *config; /* config=FILE, or -c; NULL: the user's */
    char *trace;  /* trace=FILE; NULL: none */
    bool nonempty;
    /* keys of [mount], in order; they override the file's, also when that is read again */
    struct {
        char *key, *value; /* value NULL: a bare flag */
    } keys[MOUNT_OPTIONS];
    unsigned nkeys;
};

/** Take in one -o argument: "a,b=c". A comma in a value is written "\,". 0, or -EINVAL, -ENOMEM with the
 *  reason in err. Whether keys of [mount] exist is told by mount_options_apply(). */
int mount_options_add(struct mount_options *o, const char *arg, char *err, size_t errlen);

/** Set the keys. An unknown one, or a bad value: -EINVAL, with the reason. */
int mount_options_apply(const struct mount_options *o, struct config *c, char *err, size_t errlen);

void mount_options_fini(struct mount_options *o);

#endif
