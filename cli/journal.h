/**
 * journal — which pieces of a file being fetched are on disk, and what their bytes are.
 *
 * Shape     A text file beside the .part file: a first line that names the file, then a line a piece,
 *           "INDEX CRC-32", appended when the piece has been written. Nothing is believed because it
 *           stands there: at the next start each piece is read again and held against its CRC, so a
 *           crash between the two writes, or a disk that lies, costs a piece and no more.
 * Threads   The owner's.
 */
#ifndef CLI_JOURNAL_H
#define CLI_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

/** Pieces are of this size, but for the last. */
#define JOURNAL_PIECE ((uint32_t)1 << 20)

struct journal {
    int fd;
    uint64_t size, id; /* of the file; id tells files of one name and size apart */
    uint32_t npieces, ngood;
    uint8_t *good;  /* a byte a piece */
    uint32_t *crcs; /* of each good piece */
};

/** Open or make the journal at `path`. `fresh`: the .part file has just been made, so what an old journal
 *  says is worth nothing. 0. -ESTALE: it is of another file. -ENODATA: there was none, so that what is in
 *  the .part file is not ours. -EEXIST: it is no journal. -errno. */
int journal_open(struct journal *j, const char *path, uint64_t size, uint64_t id, bool fresh);

/** Mark as good the pieces of `part_fd` that the journal has and whose bytes are right. `stop`, when it
 *  becomes true, ends it early: -EINTR. */
int journal_verify(struct journal *j, int part_fd, const volatile bool *stop);

/** Piece `i` is written and its bytes are these. 0 or -errno. */
int journal_add(struct journal *j, uint32_t i, uint32_t crc);

bool journal_has(const struct journal *j, uint32_t i);

/** The CRC-32 of the whole, once all pieces are good. */
uint32_t journal_crc(const struct journal *j);

/** Bytes of piece `i`. */
uint32_t journal_piece_len(const struct journal *j, uint32_t i);

void journal_close(struct journal *j);

#endif
