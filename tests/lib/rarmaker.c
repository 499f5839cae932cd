#include "tests/lib/rarmaker_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void rarmaker_random(struct rarmaker *r, void *out, size_t len)
{
    made_generate(r->o->seed ^ 0x5a17, r->dice, out, len);
    r->dice += (len + 7) / 8 * 8;
}

bool rarmaker_is_encrypted(const struct rarmaker *r, uint32_t file)
{
    const struct made_file *f = &r->m->files[file];
    return r->o->password && !f->plain && !f->dir && !f->link && f->len > 0;
}

struct rarmaker_key *rarmaker_key_of(struct rarmaker *r, uint32_t file)
{
    struct rarmaker_key *k = &r->keys[file], *same = NULL;
    if (k->known)
        return k;
    for (uint32_t i = 0; !r->o->salt_each && i <= r->m->nfiles; i++)
        if (r->keys[i].known)
            same = &r->keys[i];
    if (same)
        *k = *same;
    else {
        rarmaker_random(r, k->salt, r->format->salt_len);
        r->format->key(r->o, k);
    }
    if (r->o->version != 4)
        rarmaker_random(r, k->iv, sizeof(k->iv));
    k->known = true;
    return k;
}

static uint64_t volume_room(const struct rarmaker *r)
{
    uint32_t v = r->m->nvolumes - 1;
    uint64_t size = v < r->o->nvolume_sizes ? r->o->volume_sizes[v] : r->o->volume_size;
    if (size == 0)
        return UINT64_MAX;
    uint64_t used = r->m->volumes[v].size;
    return used < size ? size - used : 0;
}

static void volume_end(struct rarmaker *r, bool more)
{
    struct made_buf b = {0};
    r->format->tail(r, more, false, &b);
    made_put(r->m, b.p, b.len);
    made_buf_fini(&b);
}

static void volume_begin(struct rarmaker *r)
{
    if (made_volume_add(r->m) == 0 && r->o->sfx > 0) {
        struct made_buf b = {0};
        made_buf_text(&b, "MZ");
        made_buf_fill(&b, r->o->seed + 77, r->o->sfx - 2);
        made_put(r->m, b.p, b.len);
        made_buf_fini(&b);
    }
    r->format->begin(r);
}

static size_t header_len(struct rarmaker *r, struct rarmaker_part p)
{
    struct made_buf b = {0};
    uint64_t dice = r->dice;
    p.dry = true;
    r->format->header(r, &p, &b);
    r->dice = dice;
    size_t n = b.len;
    made_buf_fini(&b);
    return n;
}

static size_t tail_len(struct rarmaker *r)
{
    struct made_buf b = {0};
    uint64_t dice = r->dice;
    r->format->tail(r, true, true, &b);
    r->dice = dice;
    size_t n = b.len;
    made_buf_fini(&b);
    return n;
}

static void part_put(struct rarmaker *r, const struct rarmaker_part *p)
{
    struct made_buf b = {0};
    r->format->header(r, p, &b);
    made_put(r->m, b.p, b.len);
    made_buf_fini(&b);
    made_put_file(r->m, p->file, p->at, p->len);
}

/* As much of the file as the volume takes; returns that, and says by *full that the next volume must come first. */
static uint64_t part_add(struct rarmaker *r, uint32_t file, uint64_t at, uint64_t total, bool fresh,
                         bool *full)
{
    struct rarmaker_part p = {.file = file, .at = at, .len = total - at, .before = at > 0};
    uint64_t room = volume_room(r);
    size_t tail = tail_len(r), head = header_len(r, p);
    *full = false;
    if (room == UINT64_MAX || (head + tail <= room && p.len <= room - head - tail)) {
        part_put(r, &p);
        return p.len;
    }
    p.len = p.room = room;
    p.after = true;
    head = header_len(r, p);
    *full = true;
    /* A volume that is too small for anything gets a byte nevertheless. */
    if (room <= head + tail && !fresh)
        return 0;
    uint64_t most = room > head + tail ? room - head - tail : 1;
    p.len = most < total - at ? most : total - at;
    p.after = p.len < total - at;
    part_put(r, &p);
    *full = p.after;
    return p.len;
}

static void file_add(struct rarmaker *r, uint32_t file)
{
    const struct made_file *f = &r->m->files[file];
    bool empty = f->dir || f->link;
    if (rarmaker_is_encrypted(r, file)) {
        struct rarmaker_key *k = rarmaker_key_of(r, file);
        made_encrypt(r->m, file, r->format->bits, k->key, k->iv);
    }
    uint64_t total = empty ? 0 : made_stream_len(r->m, file), at = 0;
    bool fresh = false, full;
    do {
        uint64_t n = part_add(r, file, at, total, fresh, &full);
        at += n;
        fresh = full;
        if (full) {
            volume_end(r, true);
            volume_begin(r);
        }
    } while (full);
}

static void service_add(struct rarmaker *r)
{
    struct made_buf b = {0};
    r->format->service(r, &b);
    if (volume_room(r) > b.len + tail_len(r))
        made_put(r->m, b.p, b.len);
    made_buf_fini(&b);
}

static void names_give(struct rarmaker *r)
{
    const char *base = r->o->base ? r->o->base : "set";
    uint32_t n = r->m->nvolumes;
    bool single = r->o->volume_size == 0 && r->o->nvolume_sizes == 0;
    unsigned width = r->o->width, digits = 1;
    for (uint32_t k = n; k >= 10; k /= 10)
        digits++;
    for (uint32_t v = 0; v < n; v++) {
        if (v == 0 && (single || r->o->naming == RARMAKER_OLD))
            made_volume_name(r->m, v, "%s.rar", base);
        else if (r->o->naming == RARMAKER_OLD)
            made_volume_name(r->m, v, "%s.%c%02" PRIu32, base, (char)('r' + (v - 1) / 100),
                             (v - 1) % 100);
        else
            made_volume_name(r->m, v, "%s.part%0*" PRIu32 ".rar", base,
                             (int)(width ? width : digits), v + 1);
    }
    if (r->o->naming == RARMAKER_RANDOM)
        made_obfuscate(r->m, r->o->seed);
}

struct made *rarmaker_make(const struct rarmaker_options *o, const struct made_file *files,
                           uint32_t nfiles)
{
    struct rarmaker r = {.o = o, .m = made_new(files, nfiles)};
    r.format = o->version == 4 ? &rarmaker_4 : &rarmaker_5;
    r.keys = calloc((size_t)nfiles + 1, sizeof(*r.keys));
    if (!r.keys)
        made_die("no memory");
    volume_begin(&r);
    for (uint32_t i = 0; i < nfiles; i++) {
        file_add(&r, i);
        if (o->service)
            service_add(&r);
    }
    volume_end(&r, false);
    names_give(&r);
    free(r.keys);
    return r.m;
}
