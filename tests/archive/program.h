/**
 * program — archives made by the programs that people make them with, in a directory of the test's own.
 *
 * Errors    A test that needs a program which is not there says so and passes by.
 */
#ifndef TESTS_ARCHIVE_PROGRAM_H
#define TESTS_ARCHIVE_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Is `name` in PATH? Says so on stderr where not. */
bool program_is_there(const char *name);

/** Fixtures: a new directory, gone to; and gone again. */
void program_dir_make(void);
void program_dir_remove(void);

/** `len` bytes that do not compress, always the same ones for one `seed`, malloced. */
uint8_t *program_bytes(size_t len, uint32_t seed);

/** A file with them in the directory, made with its own directories; its modification time is `mtime`. */
void program_file(const char *path, const void *data, size_t len, int64_t mtime);

/** Run a command line of the shell there; it has to end well. */
__attribute__((format(printf, 1, 2))) void program_run(const char *fmt, ...);

/** A file of the directory, malloced. */
uint8_t *program_slurp(const char *path, size_t *len);

#endif
