/**
 * reader — reads files of a mount from beginning to end, in blocks of 1 MiB.
 *
 * Errors    Said on stderr; the bench exits 1.
 */
#ifndef BENCH_READER_H
#define BENCH_READER_H

#include <stdbool.h>
#include <stdint.h>

struct scene;

/** All of `path`: bytes, and in *first_s (may be NULL) when the first 64 KiB had come. */
uint64_t reader_file(const char *path, double *first_s);

/** All files of the scene's mount, one after the other or at once; *first_s is the first file's. */
uint64_t reader_all(const struct scene *s, bool parallel, double *first_s);

#endif
