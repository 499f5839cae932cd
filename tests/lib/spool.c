#include "tests/lib/spool_internal.h"
#include "tests/lib/yencode.h"

#include "base/hash.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* A tag + "part4294967295of4294967295." + 22 characters + "@news.example" + NUL */
#define ID_ROOM 72

/* ---- generated content ---- */

/* splitmix64's output function: a word for each counter value, so that any offset can be had at once. */
static uint64_t word_at(uint64_t seed, uint64_t index)
{
    uint64_t z = seed * 0xd1342543de82ef95u + (index + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void spool_bytes(uint64_t seed, uint64_t off, void *out, size_t len)
{
    uint8_t *o = out;
    while (len > 0) {
        uint64_t w = word_at(seed, off / 8);
        size_t skip = (size_t)(off % 8), n = 8 - skip;
        if (n > len)
            n = len;
        /* Little-endian whatever the machine, so that files are the same everywhere. */
        uint8_t b[8];
        for (unsigned i = 0; i < 8; i++)
            b[i] = (uint8_t)(w >> (8 * i));
        memcpy(o, b + skip, n);
        o += n;
        off += n;
        len -= n;
    }
}

/* ---- the table ---- */

static size_t slot_of(const struct spool *s, const char *id)
{
    size_t i = (size_t)hash_bytes(id, strlen(id)) & (s->nslots - 1);
    while (s->table[i] && strcmp(s->table[i]->message_id, id) != 0)
        i = (i + 1) & (s->nslots - 1);
    return i;
}

static int table_grow(struct spool *s)
{
    struct spool_item **old = s->table;
    size_t nold = s->nslots;
    struct spool_item **table = calloc(nold ? nold * 2 : 1024, sizeof(struct spool_item *));
    if (!table)
        return -ENOMEM;
    s->table = table;
    s->nslots = nold ? nold * 2 : 1024;
    for (size_t i = 0; i < nold; i++)
        if (old[i])
            s->table[slot_of(s, old[i]->message_id)] = old[i];
    free(old);
    return 0;
}

int spool_table_add(struct spool *s, struct spool_item *it)
{
    if (s->nitems * 2 >= s->nslots) {
        int err = table_grow(s);
        if (err)
            return err;
    }
    size_t i = slot_of(s, it->message_id);
    if (s->table[i])
        return -EEXIST;
    s->table[i] = it;
    s->nitems++;
    return 0;
}

/* ---- files ---- */

uint64_t spool_part_begin(const struct spool_made *f, uint32_t n)
{
    return f->begins ? f->begins[n - 1] : (uint64_t)f->part_size * (n - 1);
}

uint32_t spool_part_len(const struct spool_made *f, uint32_t n)
{
    uint64_t begin = spool_part_begin(f, n);
    uint64_t end = n < f->nparts ? spool_part_begin(f, n + 1) : f->size;
    return (uint32_t)(end - begin);
}

static void made_free(struct spool_made *f)
{
    if (!f)
        return;
    for (uint32_t i = 0; f->items && i < f->nparts; i++)
        spool_article_free(atomic_load(&f->items[i].ready));
    if (f->map)
        munmap(f->map, (size_t)f->size);
    free(f->items);
    free(f->ids);
    free(f->begins);
    free(f->subject);
    free(f->name);
    free(f);
}

/* Headers and =ybegin are lines: what would end one is replaced. */
static char *line_dup(const char *s)
{
    char *copy = strdup(s);
    for (char *c = copy; c && *c; c++)
        if (*c == '\r' || *c == '\n')
            *c = '_';
    return copy;
}

static int made_map(struct spool_made *f, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    struct stat st;
    int err = fstat(fd, &st) < 0 ? -errno : S_ISREG(st.st_mode) ? 0 : -EINVAL;
    if (!err && st.st_size > 0) {
        f->size = (uint64_t)st.st_size;
        f->map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (f->map == MAP_FAILED) {
            err = -errno;
            f->map = NULL;
        }
    }
    close(fd);
    f->data = f->map ? f->map : (const void *)"";
    return err;
}

static int cut_uneven(struct spool_made *f, const uint32_t *sizes, uint32_t n)
{
    f->begins = calloc((size_t)n + 1, sizeof(*f->begins));
    if (!f->begins)
        return -ENOMEM;
    for (uint32_t i = 0; i < n; i++)
        f->begins[i + 1] = f->begins[i] + sizes[i];
    f->nparts = n;
    return n > 0 && f->begins[n] == f->size ? 0 : -EINVAL;
}

static int cut_even(struct spool_made *f)
{
    if (f->single && f->size > UINT32_MAX)
        return -EFBIG;
    if (f->single)
        f->part_size = f->size > 0 ? (uint32_t)f->size : 1;
    uint64_t n = f->size / f->part_size + (f->size % f->part_size != 0);
    if (n > UINT32_MAX)
        return -EFBIG;
    f->nparts = n > 0 ? (uint32_t)n : 1;
    return 0;
}

/* Message-ids look as posters make them. They depend on the file and its place in the spool and on
 * nothing else: two spools filled alike are two servers with the same articles. */
static int ids_make(struct spool_made *f, int number, char tag)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    f->items = calloc(f->nparts, sizeof(*f->items));
    f->ids = malloc((size_t)f->nparts * ID_ROOM);
    if (!f->items || !f->ids)
        return -ENOMEM;
    uint64_t key = hash_bytes_keyed(f->name, strlen(f->name), f->seed, (uint64_t)number);
    for (uint32_t i = 0; i < f->nparts; i++) {
        char *id = f->ids + (size_t)i * ID_ROOM, random[23] = "";
        for (unsigned c = 0; c < 22; c++)
            random[c] = alphabet[word_at(key, (uint64_t)i * 22 + c) % 62];
        size_t n = 0;
        if (tag)
            id[n++] = tag;
        snprintf(id + n, ID_ROOM - n, "part%" PRIu32 "of%" PRIu32 ".%s@news.example", i + 1,
                 f->nparts, random);
        f->items[i].message_id = id;
        f->items[i].made = f;
        f->items[i].part = i + 1;
    }
    return 0;
}

static int made_new(const struct spool_file *in, int number, struct spool_made **out)
{
    struct spool_made *f = calloc(1, sizeof(*f));
    *out = f;
    if (!f)
        return -ENOMEM;
    f->data = in->data;
    f->seed = in->seed;
    f->size = in->size;
    f->posted_s = in->posted_s ? in->posted_s : SPOOL_POSTED_S;
    f->part_size = in->part_size ? in->part_size : SPOOL_PART_SIZE;
    f->line = in->line ? in->line : 128;
    f->single = in->single;
    f->no_total = in->no_total;
    f->no_crc = in->no_crc;
    f->nserv_quirks = in->nserv_quirks;
    f->name = line_dup(in->name);
    f->subject = in->subject ? line_dup(in->subject) : NULL;
    if (!f->name || (in->subject && !f->subject))
        return -ENOMEM;
    int err = in->data || !in->path ? 0 : made_map(f, in->path);
    if (!err)
        err = in->part_sizes ? cut_uneven(f, in->part_sizes, in->nparts) : cut_even(f);
    return err ? err : ids_make(f, number, in->tag);
}

int spool_add(struct spool *s, const struct spool_file *in)
{
    if (!in->name || in->line > YENCODE_LINE_MAX || (in->single && in->part_sizes))
        return -EINVAL;
    if (in->tag && !isalpha((unsigned char)in->tag))
        return -EINVAL;
    struct spool_made *f;
    struct spool_made **files = realloc(s->files, ((size_t)s->nfiles + 1) * sizeof(*files));
    if (!files)
        return -ENOMEM;
    s->files = files;
    int err = made_new(in, s->nfiles, &f);
    if (err) {
        made_free(f);
        return err;
    }
    /* From here on the table may point into it, so it stays even if not all of it gets in. */
    s->files[s->nfiles] = f;
    pthread_mutex_lock(&s->lock);
    for (uint32_t i = 0; !err && i < f->nparts; i++)
        err = spool_table_add(s, &f->items[i]);
    pthread_mutex_unlock(&s->lock);
    s->nfiles++;
    return err ? err : s->nfiles - 1;
}

int spool_files(const struct spool *s)
{
    return s->nfiles;
}

int spool_file_named(const struct spool *s, const char *name)
{
    for (int i = 0; i < s->nfiles; i++)
        if (strcmp(s->files[i]->name, name) == 0)
            return i;
    return -ENOENT;
}

uint32_t spool_parts(const struct spool *s, int file)
{
    assert(file >= 0 && file < s->nfiles);
    return s->files[file]->nparts;
}

const char *spool_message_id(const struct spool *s, int file, uint32_t n)
{
    assert(file >= 0 && file < s->nfiles && n >= 1 && n <= s->files[file]->nparts);
    return s->files[file]->items[n - 1].message_id;
}

/* ---- articles ---- */

static const struct spool_article *item_ready(struct spool_item *it)
{
    struct spool_article *a = atomic_load(&it->ready);
    if (a)
        return a;
    struct spool_article *mine = spool_article_make(it->made, it->part, it->message_id);
    if (!mine || atomic_compare_exchange_strong(&it->ready, &a, mine))
        return mine;
    spool_article_free(mine);
    return a;
}

bool spool_has(struct spool *s, const char *message_id)
{
    pthread_mutex_lock(&s->lock);
    bool has = s->nslots && s->table[slot_of(s, message_id)];
    pthread_mutex_unlock(&s->lock);
    return has;
}

const struct spool_article *spool_find(struct spool *s, const char *message_id)
{
    pthread_mutex_lock(&s->lock);
    struct spool_item *it = s->nslots ? s->table[slot_of(s, message_id)] : NULL;
    pthread_mutex_unlock(&s->lock);
    return it ? item_ready(it) : NULL;
}

int spool_encode_all(struct spool *s)
{
    for (int i = 0; i < s->nfiles; i++)
        for (uint32_t n = 0; n < s->files[i]->nparts; n++)
            if (!item_ready(&s->files[i]->items[n]))
                return -ENOMEM;
    return 0;
}

struct spool *spool_new(void)
{
    struct spool *s = calloc(1, sizeof(*s));
    if (s)
        pthread_mutex_init(&s->lock, NULL);
    return s;
}

void spool_free(struct spool *s)
{
    if (!s)
        return;
    for (int i = 0; i < s->nfiles; i++)
        made_free(s->files[i]);
    for (size_t i = 0; i < s->nposted; i++) {
        spool_article_free(atomic_load(&s->posted[i]->ready));
        free(s->posted[i]);
    }
    free(s->posted);
    free(s->files);
    free(s->table);
    pthread_mutex_destroy(&s->lock);
    free(s);
}
