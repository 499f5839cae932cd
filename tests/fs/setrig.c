#include "tests/fs/setrig.h"

#include "tests/lib/scripted_source.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RULES   64
#define HELD    512
#define THREADS 4
#define VOLUMES 1024
#define PARTS   1024

struct rule {
    uint32_t volume, part;
    enum setrig_rule rule;
    bool spent;
};

struct setrig {
    const struct made *made;
    uint32_t part_size;
    struct scripted_source *src;
    struct cache *cache;
    struct fs *fs;
    pthread_t threads[THREADS];
    unsigned nthreads;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct rule rules[RULES];
    unsigned nrules;
    struct segment_fetch *held[HELD];
    unsigned nheld;
    bool releasing;
    uint64_t asked[VOLUMES];
    bool parts_asked[VOLUMES][PARTS];
};

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "setrig: %s\n", what);
    abort();
}

/* --- the NZB ----------------------------------------------------------------------------------- */

static char *nzb_text(const struct setrig_config *cfg, uint32_t part_size, size_t *len)
{
    char *text;
    FILE *out = open_memstream(&text, len);
    fputs("<?xml version=\"1.0\"?><nzb xmlns=\"http://www.newzbin.com/DTD/2003/nzb\">\n", out);
    if (cfg->password)
        fprintf(out, "<head><meta type=\"password\">%s</meta></head>\n", cfg->password);
    for (uint32_t v = 0; v < cfg->made->nvolumes; v++) {
        const struct made_volume *volume = &cfg->made->volumes[v];
        uint64_t parts = (volume->size + part_size - 1) / part_size;
        fprintf(out,
                "<file poster=\"me\" date=\"1600000000\" subject=\"a test &quot;%s&quot; yEnc "
                "(1/%" PRIu64 ")\"><groups><group>alt.test</group></groups><segments>\n",
                volume->name, parts);
        for (uint64_t p = 0; p < parts; p++)
            fprintf(out,
                    "<segment bytes=\"%u\" number=\"%" PRIu64 "\">v%" PRIu32 ".%" PRIu64
                    "@set</segment>\n",
                    part_size + part_size / 40, p + 1, v, p + 1);
        fputs("</segments></file>\n", out);
    }
    fputs("</nzb>\n", out);
    fclose(out);
    return text;
}

/* --- serving ----------------------------------------------------------------------------------- */

static struct segment_info info_of(const struct setrig *r, uint32_t v, uint32_t part)
{
    const struct made_volume *volume = &r->made->volumes[v];
    struct segment_info i = {.file_size = volume->size,
                             .begin = (uint64_t)(part - 1) * r->part_size,
                             .part = part,
                             .name = volume->name};
    uint64_t left = volume->size - i.begin;
    i.len = left < r->part_size ? (uint32_t)left : r->part_size;
    return i;
}

static void ended(struct setrig *r, struct segment_fetch *f, enum segment_result how)
{
    bool withdrawn = scripted_source_look(r->src, f).withdrawn;
    scripted_source_end(r->src, f, withdrawn ? SEGMENT_CANCELLED : how);
}

/* One attempt: of the right bytes or of others. */
static void play(struct setrig *r, struct segment_fetch *f, uint32_t v, uint32_t part, bool lies)
{
    struct segment_info i = info_of(r, v, part);
    int err = scripted_source_begin(r->src, f, &i);
    uint64_t at = i.begin, left = i.len;
    for (unsigned k = 0; !err && k < f->ndst && left; k++) {
        size_t n = f->dst[k].iov_len < left ? f->dst[k].iov_len : (size_t)left;
        made_read(r->made, v, at, f->dst[k].iov_base, n);
        for (size_t b = 0; lies && b < n; b++)
            ((uint8_t *)f->dst[k].iov_base)[b] ^= 0x55;
        at += n;
        left -= n;
    }
    if (!err && f->ops->progress)
        f->ops->progress(f, i.len);
    ended(r, f,
          err == -ENOSPC      ? SEGMENT_NOSPACE
          : err == -ECANCELED ? SEGMENT_CANCELLED
          : err || lies       ? SEGMENT_CORRUPT
                              : SEGMENT_DONE);
}

/* Under the lock. */
static enum setrig_rule rule_of(struct setrig *r, uint32_t v, uint32_t part)
{
    for (unsigned k = r->nrules; k-- > 0;) {
        struct rule *rule = &r->rules[k];
        if ((rule->volume != UINT32_MAX && rule->volume != v) ||
            (rule->part && rule->part != part) || rule->spent)
            continue;
        rule->spent = rule->rule == SETRIG_LIE;
        return rule->rule == SETRIG_HOLD && r->releasing ? SETRIG_HONEST : rule->rule;
    }
    return SETRIG_HONEST;
}

static void serve(struct setrig *r, struct segment_fetch *f, bool was_held)
{
    uint32_t v, part;
    must(sscanf(f->want.message_id, "v%" SCNu32 ".%" SCNu32 "@set", &v, &part) == 2, "an id");
    pthread_mutex_lock(&r->lock);
    enum setrig_rule rule = was_held ? SETRIG_HONEST : rule_of(r, v, part);
    if (!was_held && v < VOLUMES) {
        r->asked[v]++;
        r->parts_asked[v][part % PARTS] = true;
    }
    if (rule == SETRIG_HOLD) {
        must(r->nheld < HELD, "too much is held");
        r->held[r->nheld++] = f;
        pthread_cond_broadcast(&r->changed);
    }
    pthread_mutex_unlock(&r->lock);
    switch (rule) {
    case SETRIG_HONEST:
    case SETRIG_LIE:
        play(r, f, v, part, rule == SETRIG_LIE);
        break;
    case SETRIG_MISSING:
        ended(r, f, SEGMENT_MISSING);
        break;
    case SETRIG_FAILED:
        ended(r, f, SEGMENT_FAILED);
        break;
    case SETRIG_HOLD:
        break;
    }
}

static void *server_main(void *arg)
{
    struct setrig *r = arg;
    for (struct segment_fetch *f; (f = scripted_source_claim(r->src));) {
        serve(r, f, false);
        pthread_mutex_lock(&r->lock);
        pthread_cond_broadcast(&r->changed);
        pthread_mutex_unlock(&r->lock);
    }
    return NULL;
}

void setrig_rule(struct setrig *r, uint32_t volume, uint32_t part, enum setrig_rule rule)
{
    pthread_mutex_lock(&r->lock);
    must(r->nrules < RULES, "too many rules");
    r->rules[r->nrules++] = (struct rule){.volume = volume, .part = part, .rule = rule};
    if (rule == SETRIG_HOLD)
        r->releasing = false;
    pthread_mutex_unlock(&r->lock);
}

void setrig_honest(struct setrig *r)
{
    pthread_mutex_lock(&r->lock);
    r->nrules = 0;
    pthread_mutex_unlock(&r->lock);
}

void setrig_release(struct setrig *r)
{
    pthread_mutex_lock(&r->lock);
    r->releasing = true;
    while (r->nheld) {
        struct segment_fetch *f = r->held[--r->nheld];
        pthread_mutex_unlock(&r->lock);
        serve(r, f, true);
        pthread_mutex_lock(&r->lock);
    }
    pthread_mutex_unlock(&r->lock);
}

void setrig_wait_held(struct setrig *r, unsigned n)
{
    pthread_mutex_lock(&r->lock);
    while (r->nheld < n)
        pthread_cond_wait(&r->changed, &r->lock);
    pthread_mutex_unlock(&r->lock);
}

void setrig_settle(struct setrig *r)
{
    pthread_mutex_lock(&r->lock);
    while (scripted_source_out(r->src) > r->nheld)
        pthread_cond_wait(&r->changed, &r->lock);
    pthread_mutex_unlock(&r->lock);
}

uint64_t setrig_asked(struct setrig *r, uint32_t volume)
{
    uint64_t sum = 0;
    pthread_mutex_lock(&r->lock);
    for (uint32_t v = 0; v < VOLUMES; v++)
        if (volume == UINT32_MAX || volume == v)
            sum += r->asked[v];
    pthread_mutex_unlock(&r->lock);
    return sum;
}

bool setrig_was_asked(struct setrig *r, uint32_t volume, uint32_t part)
{
    pthread_mutex_lock(&r->lock);
    bool was = r->parts_asked[volume % VOLUMES][part % PARTS];
    pthread_mutex_unlock(&r->lock);
    return was;
}

/* --- life -------------------------------------------------------------------------------------- */

struct setrig *setrig_new(const struct setrig_config *cfg)
{
    struct setrig *r = calloc(1, sizeof(*r));
    struct cache_config cc = {.budget = cfg->budget ? cfg->budget : (size_t)16 << 20};
    struct fs_options o = {.mount = cfg->mount, .source = "/nzbs/set.nzb", .now_us = cfg->now_us};
    char err[200] = "";
    struct nzb *z = NULL;
    size_t len;

    must(r != NULL, "no memory");
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->changed, NULL);
    r->made = cfg->made;
    r->part_size = cfg->part_size ? cfg->part_size : 20000;
    r->src = scripted_source_new();
    cc.now_us = cfg->now_us;
    r->cache = cache_new(&cc, scripted_source_source(r->src));
    must(r->cache != NULL, "no cache");
    if (!o.mount.read_timeout_s)
        o.mount.read_timeout_s = 60;
    if (o.mount.view == CONFIG_VIEW_RAW)
        o.mount.view = CONFIG_VIEW_CONTENTS;
    must(fs_new(&o, r->cache, &r->fs) == 0, "no fs");
    char *text = nzb_text(cfg, r->part_size, &len);
    must(nzb_parse(text, len, "set.nzb", &z, err, sizeof(err)) == 0, err);
    free(text);
    must(fs_add_nzb(r->fs, cfg->dir, z, "/nzbs/set.nzb", 1700000000) == 0, "fs_add_nzb");
    unsigned n = cfg->threads ? cfg->threads : 2;
    must(n <= THREADS, "too many threads");
    for (; r->nthreads < n; r->nthreads++)
        must(!pthread_create(&r->threads[r->nthreads], NULL, server_main, r), "no thread");
    return r;
}

static void *end_main(void *arg)
{
    fs_free(arg);
    return NULL;
}

void setrig_free(struct setrig *r)
{
    pthread_t end;
    must(!pthread_create(&end, NULL, end_main, r->fs), "no thread");
    setrig_release(r);
    pthread_join(end, NULL);
    scripted_source_close(r->src);
    for (unsigned k = 0; k < r->nthreads; k++)
        pthread_join(r->threads[k], NULL);
    cache_free(r->cache);
    scripted_source_free(r->src);
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

struct fs *setrig_fs(struct setrig *r)
{
    return r->fs;
}

struct cache *setrig_cache(struct setrig *r)
{
    return r->cache;
}

struct fs_node *setrig_node(struct setrig *r, const char *path, int *err)
{
    return fs_find_wait(r->fs, path, err);
}

bool setrig_match(const struct made *m, uint32_t file, uint64_t off, const void *p, size_t len)
{
    uint8_t *want = malloc(len + 1);
    must(want != NULL, "no memory");
    made_content(&m->files[file], off, want, len);
    bool same = !memcmp(want, p, len);
    free(want);
    return same;
}
