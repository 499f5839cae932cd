#include "tests/fs/rig.h"

#include "base/list.h"
#include "tests/lib/scripted_article.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RULES 64

struct rule {
    uint64_t seed;
    uint32_t part;
    enum rig_rule rule;
};

struct rig {
    struct scripted_source *src;
    struct cache *cache;
    struct fs *fs;
    pthread_t server;
    bool served;
    const struct rig_file *files;
    unsigned nfiles;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct rule rules[RULES];
    unsigned nrules;
    struct segment_fetch *held[256];
    unsigned nheld;
    bool releasing;
};

/* --- the NZB ----------------------------------------------------------------------------------- */

static uint32_t parts_of(const struct rig_file *f)
{
    return f->part_sizes ? f->nparts : (uint32_t)((f->size + f->part_size - 1) / f->part_size);
}

/* Part `n`, from 1. */
static struct scripted_article article_of(const struct rig_file *f, uint32_t n)
{
    struct scripted_article a = {.seed = f->seed, .file_size = f->size, .part = n};
    if (!f->part_sizes) {
        a.begin = (uint64_t)(n - 1) * f->part_size;
        a.len = f->size - a.begin < f->part_size ? (uint32_t)(f->size - a.begin) : f->part_size;
        return a;
    }
    for (uint32_t k = 0; k + 1 < n; k++)
        a.begin += f->part_sizes[k];
    a.len = f->part_sizes[n - 1];
    return a;
}

char *rig_nzb(const struct rig_file *files, unsigned nfiles, size_t *len)
{
    char *text, id[SCRIPTED_ID];
    FILE *out = open_memstream(&text, len);
    fputs("<?xml version=\"1.0\"?><nzb xmlns=\"http://www.newzbin.com/DTD/2003/nzb\">\n"
          "<head><meta type=\"password\">secret</meta></head>\n",
          out);
    for (unsigned k = 0; k < nfiles; k++) {
        uint32_t parts = parts_of(&files[k]);
        fprintf(out,
                "<file poster=\"me &lt;me@example.net&gt;\" date=\"1600000000\" subject=\"a test "
                "&quot;%s&quot; yEnc (1/%" PRIu32 ")\"><groups><group>alt.test</group>"
                "<group>alt.other</group></groups><segments>\n",
                files[k].name, parts);
        for (uint32_t n = 1; n <= parts; n++) {
            struct scripted_article a = article_of(&files[k], n);
            scripted_article_id(&a, id);
            if (n != files[k].gap)
                fprintf(out, "<segment bytes=\"%" PRIu32 "\" number=\"%" PRIu32 "\">%s</segment>\n",
                        a.len + a.len / 50 + 200, n, id);
        }
        fputs("</segments></file>\n", out);
    }
    fputs("</nzb>\n", out);
    fclose(out);
    return text;
}

/* --- serving ----------------------------------------------------------------------------------- */

static enum rig_rule rule_of(struct rig *r, const struct scripted_article *a)
{
    enum rig_rule rule = RIG_HONEST;
    pthread_mutex_lock(&r->lock);
    for (unsigned k = 0; k < r->nrules; k++)
        if (r->rules[k].seed == a->seed && (!r->rules[k].part || r->rules[k].part == a->part))
            rule = r->rules[k].rule;
    if (rule == RIG_HOLD && r->releasing)
        rule = RIG_HONEST;
    pthread_mutex_unlock(&r->lock);
    return rule;
}

/* An article that says it is another: its bytes stay what they are. */
static void serve_lie(struct rig *r, struct segment_fetch *f, const struct scripted_article *a,
                      enum rig_rule rule)
{
    struct segment_info lie = scripted_article_info(a);
    lie.begin += lie.len;
    lie.part++;
    if (rule == RIG_LIE_SIZE)
        lie.file_size += 12345;
    int err = scripted_source_begin(r->src, f, &lie);
    if (!err) {
        uint64_t at = a->begin, left = lie.len;
        for (unsigned k = 0; k < f->ndst && left; k++) {
            size_t n = f->dst[k].iov_len < left ? f->dst[k].iov_len : (size_t)left;
            scripted_bytes(a->seed, at, f->dst[k].iov_base, n);
            at += n;
            left -= n;
        }
        scripted_source_end(r->src, f, SEGMENT_DONE);
    } else if (err == -EBADMSG && rule == RIG_LIE_ONCE) {
        scripted_source_play(r->src, f);
    } else {
        scripted_source_end(r->src, f, err == -ECANCELED ? SEGMENT_CANCELLED : SEGMENT_CORRUPT);
    }
}

static void end_as(struct rig *r, struct segment_fetch *f, enum segment_result how)
{
    bool withdrawn = scripted_source_look(r->src, f).withdrawn;
    scripted_source_end(r->src, f, withdrawn ? SEGMENT_CANCELLED : how);
}

static void hold(struct rig *r, struct segment_fetch *f)
{
    pthread_mutex_lock(&r->lock);
    if (r->nheld == sizeof(r->held) / sizeof(r->held[0]))
        abort();
    r->held[r->nheld++] = f;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

static void serve(struct rig *r, struct segment_fetch *f)
{
    struct scripted_article a;
    if (!scripted_article_parse(f->want.message_id, &a))
        abort();
    switch (rule_of(r, &a)) {
    case RIG_HONEST:
        scripted_source_play(r->src, f);
        break;
    case RIG_MISSING:
        end_as(r, f, SEGMENT_MISSING);
        break;
    case RIG_CORRUPT:
        end_as(r, f, SEGMENT_CORRUPT);
        break;
    case RIG_FAILED:
        end_as(r, f, SEGMENT_FAILED);
        break;
    case RIG_TIMEOUT:
        end_as(r, f, SEGMENT_TIMEOUT);
        break;
    case RIG_HOLD:
        hold(r, f);
        break;
    case RIG_LIE_ONCE:
    case RIG_LIE:
    case RIG_LIE_SIZE:
        serve_lie(r, f, &a, rule_of(r, &a));
        break;
    }
}

static void *server_main(void *arg)
{
    struct rig *r = arg;
    for (struct segment_fetch *f; (f = scripted_source_claim(r->src));)
        serve(r, f);
    return NULL;
}

bool rig_serve_one(struct rig *r)
{
    for (unsigned n = 0;; n++) {
        struct segment_fetch *f = scripted_source_nth(r->src, n);
        bool is_held = false;
        pthread_mutex_lock(&r->lock);
        for (unsigned k = 0; k < r->nheld; k++)
            is_held |= r->held[k] == f;
        pthread_mutex_unlock(&r->lock);
        if (!f)
            return false;
        if (is_held)
            continue;
        serve(r, f);
        return true;
    }
}

unsigned rig_serve_all(struct rig *r)
{
    unsigned n = 0;
    while (rig_serve_one(r))
        n++;
    return n;
}

void rig_release(struct rig *r)
{
    pthread_mutex_lock(&r->lock);
    r->releasing = true;
    while (r->nheld) {
        struct segment_fetch *f = r->held[--r->nheld];
        pthread_mutex_unlock(&r->lock);
        scripted_source_play(r->src, f);
        pthread_mutex_lock(&r->lock);
    }
    pthread_mutex_unlock(&r->lock);
}

void rig_wait_held(struct rig *r, unsigned n)
{
    pthread_mutex_lock(&r->lock);
    while (r->nheld < n)
        pthread_cond_wait(&r->changed, &r->lock);
    pthread_mutex_unlock(&r->lock);
}

void rig_rule(struct rig *r, uint64_t seed, uint32_t part, enum rig_rule rule)
{
    pthread_mutex_lock(&r->lock);
    if (r->nrules == RULES)
        abort();
    r->rules[r->nrules++] = (struct rule){seed, part, rule};
    if (rule == RIG_HOLD)
        r->releasing = false;
    pthread_mutex_unlock(&r->lock);
}

/* --- life -------------------------------------------------------------------------------------- */

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "rig: %s\n", what);
    abort();
}

struct rig *rig_new(const struct rig_config *cfg)
{
    struct rig *r = calloc(1, sizeof(*r));
    struct cache_config cc = {.budget = cfg->budget ? cfg->budget : (size_t)16 << 20};
    struct fs_options o = {.mount = cfg->mount, .source = "/nzbs/test.nzb", .now_us = cfg->now_us};
    char err[200] = "";
    struct nzb *z = NULL;
    size_t len;

    must(r != NULL, "no memory");
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->changed, NULL);
    r->served = cfg->served;
    r->src = scripted_source_new();
    cc.now_us = cfg->now_us;
    r->cache = cache_new(&cc, scripted_source_source(r->src));
    must(r->cache != NULL, "no cache");
    if (!o.mount.read_timeout_s)
        o.mount.read_timeout_s = 60;
    must(fs_new(&o, r->cache, &r->fs) == 0, "no fs");

    char *text = rig_nzb(cfg->files, cfg->nfiles, &len);
    must(nzb_parse(text, len, "test.nzb", &z, err, sizeof(err)) == 0, err);
    free(text);
    must(fs_add_nzb(r->fs, cfg->dir, z, "/nzbs/test.nzb", 1700000000) == 0, "fs_add_nzb");
    if (r->served)
        must(pthread_create(&r->server, NULL, server_main, r) == 0, "no thread");
    return r;
}

void rig_free(struct rig *r)
{
    /* What was cancelled while it was held ends now; readahead nobody waits for is served. */
    rig_release(r);
    if (!r->served)
        rig_serve_all(r);
    fs_free(r->fs);
    scripted_source_close(r->src);
    if (r->served)
        pthread_join(r->server, NULL);
    cache_free(r->cache);
    scripted_source_free(r->src);
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

struct fs *rig_fs(struct rig *r)
{
    return r->fs;
}

struct fs_node *rig_node(struct rig *r, const char *path)
{
    struct fs_node *n = fs_find(r->fs, path);
    must(n != NULL, path);
    return n;
}

struct cache *rig_cache(struct rig *r)
{
    return r->cache;
}

struct scripted_source *rig_source(struct rig *r)
{
    return r->src;
}

uint64_t rig_asked(struct rig *r)
{
    return scripted_source_total(r->src);
}
