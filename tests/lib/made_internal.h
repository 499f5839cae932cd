/** made, for makers: how one is filled in. */
#ifndef TESTS_LIB_MADE_INTERNAL_H
#define TESTS_LIB_MADE_INTERNAL_H

#include "tests/lib/made.h"

/** Bytes being put together. Zeroed to begin with. */
struct made_buf {
    uint8_t *p;
    size_t len, room;
};

void made_buf_put(struct made_buf *b, const void *data, size_t len);
void made_buf_le(struct made_buf *b, uint64_t v, unsigned n);
void made_buf_text(struct made_buf *b, const char *s);
/** Of `width` bytes at least, padded the way the format allows. */
void made_buf_vint(struct made_buf *b, uint64_t v, unsigned width);
void made_buf_fill(struct made_buf *b, uint64_t seed, size_t len);
void made_buf_fini(struct made_buf *b);

unsigned made_vint_width(uint64_t v);

/** Ends the process. */
_Noreturn void made_die(const char *what);

struct made *made_new(const struct made_file *files, uint32_t n);
/** The new volume's index. */
uint32_t made_volume_add(struct made *m);
/** To the last volume: a copy of these bytes. */
void made_put(struct made *m, const void *bytes, size_t len);
/** To the last volume: [at, at+len) of the file's stream. The truth is noted. */
void made_put_file(struct made *m, uint32_t file, uint64_t at, uint64_t len);
void made_volume_name(struct made *m, uint32_t volume, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/** CRC-32 of [at, at+len) of a file's stream, or of what it shows. */
uint32_t made_stream_crc(const struct made *m, uint32_t file, uint64_t at, uint64_t len);
uint32_t made_file_crc(const struct made *m, uint32_t file);
/** Of all that the last volume has so far. */
uint32_t made_volume_crc(const struct made *m);

/** The stream's length: the file's, or, encrypted, padded to 16. */
uint64_t made_stream_len(const struct made *m, uint32_t file);

/** Encrypt a file (AES in CBC; `bits` 128 or 256): from now on its stream is that text. */
void made_encrypt(struct made *m, uint32_t file, unsigned bits, const uint8_t *key,
                  const uint8_t *iv);
/** `len` bytes, a multiple of 16, in place. */
void made_cbc(unsigned bits, const uint8_t *key, const uint8_t *iv, uint8_t *text, size_t len);

#endif
