#include "cli/journal.h"

#include <zlib.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC "nzbfs-get-1"

uint32_t journal_piece_len(const struct journal *j, uint32_t i)
{
    uint64_t left = j->size - (uint64_t)i * JOURNAL_PIECE;

    return left < JOURNAL_PIECE ? (uint32_t)left : JOURNAL_PIECE;
}

bool journal_has(const struct journal *j, uint32_t i)
{
    return j->good[i];
}

static int line_append(int fd, const char *line, size_t len)
{
    ssize_t n;

    while ((n = write(fd, line, len)) < 0 && errno == EINTR)
        ;
    if (n < 0)
        return -errno;
    return (size_t)n == len ? 0 : -ENOSPC;
}

static int begin(struct journal *j)
{
    char line[96];
    int n = snprintf(line, sizeof(line), MAGIC " %llu %016llx\n", (unsigned long long)j->size,
                     (unsigned long long)j->id);

    if (ftruncate(j->fd, 0) < 0)
        return -errno;
    return line_append(j->fd, line, (size_t)n);
}

/* 0: it is of this file. -ENODATA: it is empty. -ESTALE: it is of another. -EEXIST: it is no journal. */
static int first_line_check(const struct journal *j, FILE *f)
{
    char line[96], want[96];

    if (!fgets(line, sizeof(line), f))
        return -ENODATA;
    if (strncmp(line, MAGIC " ", strlen(MAGIC " ")) != 0)
        return -EEXIST;
    snprintf(want, sizeof(want), MAGIC " %llu %016llx\n", (unsigned long long)j->size,
             (unsigned long long)j->id);
    return strcmp(line, want) == 0 ? 0 : -ESTALE;
}

/* A stream of its own over the journal, from the start. */
static FILE *reader_open(const struct journal *j)
{
    int fd = dup(j->fd);
    FILE *f = fd >= 0 ? fdopen(fd, "r") : NULL;

    if (!f && fd >= 0)
        close(fd);
    if (f)
        rewind(f);
    return f;
}

int journal_open(struct journal *j, const char *path, uint64_t size, uint64_t id, bool fresh)
{
    int rc;

    if (size / JOURNAL_PIECE >= UINT32_MAX)
        return -EFBIG;
    *j = (struct journal){
        .size = size, .id = id, .npieces = (uint32_t)((size + JOURNAL_PIECE - 1) / JOURNAL_PIECE)};
    j->fd = -1;
    j->good = calloc((size_t)j->npieces + 1, 1);
    j->crcs = calloc((size_t)j->npieces + 1, sizeof(*j->crcs));
    if (!j->good || !j->crcs) {
        journal_close(j);
        return -ENOMEM;
    }
    j->fd = open(path, O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | (fresh ? O_CREAT : 0), 0666);
    rc = j->fd >= 0 ? 0 : errno == ENOENT ? -ENODATA : -errno;
    if (rc == 0) {
        FILE *f = reader_open(j);
        rc = f ? first_line_check(j, f) : -errno;
        if (f)
            fclose(f);
    }
    if (fresh && j->fd >= 0 && (rc == 0 || rc == -ENODATA || rc == -ESTALE))
        rc = begin(j);
    if (rc < 0)
        journal_close(j);
    return rc;
}

/* 1: right. 0: not. -errno. */
static int piece_check(const struct journal *j, int part_fd, uint32_t i, uint32_t crc, uint8_t *buf)
{
    uint32_t len = journal_piece_len(j, i), have = 0;

    while (have < len) {
        ssize_t n =
            pread(part_fd, buf + have, len - have, (off_t)((uint64_t)i * JOURNAL_PIECE + have));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return 0;
        have += (uint32_t)n;
    }
    return (uint32_t)crc32(0, buf, len) == crc;
}

static void good_set(struct journal *j, uint32_t i, uint32_t crc)
{
    if (!j->good[i])
        j->ngood += j->good[i] = 1;
    j->crcs[i] = crc;
}

int journal_verify(struct journal *j, int part_fd, const volatile bool *stop)
{
    char line[64];
    FILE *f = reader_open(j);
    uint8_t *buf = malloc(JOURNAL_PIECE);
    int rc = f && buf ? first_line_check(j, f) : -ENOMEM;

    while (rc == 0 && fgets(line, sizeof(line), f)) {
        unsigned long i, crc;
        char *end, *last;
        if (*stop) {
            rc = -EINTR;
            break;
        }
        i = strtoul(line, &end, 10);
        crc = strtoul(end, &last, 16);
        /* A line that was cut short by a crash is no line. */
        if (end == line || last == end || *last != '\n' || i >= j->npieces || crc > UINT32_MAX)
            continue;
        int ok = piece_check(j, part_fd, (uint32_t)i, (uint32_t)crc, buf);
        if (ok < 0)
            rc = ok;
        else if (ok)
            good_set(j, (uint32_t)i, (uint32_t)crc);
    }
    if (f)
        fclose(f);
    free(buf);
    /* Behind a line that was cut short a new one would be lost with it: give that one its end. */
    return rc < 0 ? rc : line_append(j->fd, "\n", 1);
}

int journal_add(struct journal *j, uint32_t i, uint32_t crc)
{
    char line[32];
    int n = snprintf(line, sizeof(line), "%lu %08lx\n", (unsigned long)i, (unsigned long)crc);
    int rc = line_append(j->fd, line, (size_t)n);

    if (rc == 0)
        good_set(j, i, crc);
    return rc;
}

uint32_t journal_crc(const struct journal *j)
{
    uLong crc = 0;

    for (uint32_t i = 0; i < j->npieces; i++)
        crc = crc32_combine(crc, j->crcs[i], (z_off_t)journal_piece_len(j, i));
    return (uint32_t)crc;
}

void journal_close(struct journal *j)
{
    if (j->fd >= 0)
        close(j->fd);
    free(j->good);
    free(j->crcs);
    *j = (struct journal){.fd = -1};
}
