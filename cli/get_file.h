/**
 * get_file — one file on its way to disk: NAME.part and its journal, and NAME when all of it is there.
 *
 * Shape     opened when the size is known; then pieces in any order; then finished. What is kept after
 *           a failure is NAME.part with its journal, so that the next run fetches only what lacks.
 * Threads   The owner's.
 * Errors    Said by cli_error() where they occur; the functions return 0 or -errno.
 */
#ifndef CLI_GET_FILE_H
#define CLI_GET_FILE_H

#include "cli/journal.h"
#include "fs/fs.h"

struct get_file {
    struct fs_node *node;
    char *path; /* below the target directory: for messages */
    int dir_fd; /* the directory it goes to; -1: not open */
    int fd;     /* of NAME.part; -1: not open */
    struct journal journal;
    uint32_t next;    /* the first piece not asked for yet */
    unsigned out;     /* reads under way */
    uint32_t lacking; /* pieces that could not be had */
    bool sized, there, failed;
    uint64_t size;
    uint64_t resumed; /* bytes that were on disk already */
};

/** `path` is taken; its last part is the name, what stands before it is made below `target_fd`. */
int get_file_init(struct get_file *f, struct fs_node *node, char *path);

/** The size is known: make or open NAME.part, and check what an earlier run left. Sets `there` when NAME
 *  itself is complete already. */
int get_file_open(struct get_file *f, int target_fd, uint64_t size, const volatile bool *stop);

/** Write piece `i`, `n` bytes from `iov`, and note it. */
int get_file_put(struct get_file *f, uint32_t i, const struct iovec *iov, unsigned niov);

/** Every piece is there: make it durable and give it its name. */
int get_file_finish(struct get_file *f);

/** Close; nothing on disk changes. */
void get_file_fini(struct get_file *f);

#endif
