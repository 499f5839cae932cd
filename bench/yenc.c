/* bench/yenc — how fast each decoder kernel is, beside memcpy, in decoded bytes a second.
 *
 * hot         32 KiB of payload, decoded again and again: source and destination stay in the caches
 *             next to the core
 * cold        96 MiB of payload in 128-character lines from a source and to a destination that are both
 *             more than the last cache holds; output in 32 KiB rooms, as the block cache gives them
 * +crc        the same, each 16 KiB run through the CRC as soon as it is decoded
 * articles    as much in articles of 750,000 bytes through article_feed(), 256 KiB at a time: keyword
 *             lines, decoder and CRC, as a connection does it
 *
 * Time is this thread's on the CPU: what other processes get is not counted, though what they do to
 * caches and memory is. The runs of all kernels are interleaved, so that this falls on all of them; the
 * best and the median of the rounds are printed. All kernels must give the same bytes, or the exit status
 * is not 0. */

#include "nntp/yenc.h"
#include "nntp/article.h"
#include "nntp/crc32.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LINE      128
#define ARTICLE   750000
#define HOT       ((size_t)32 << 10)
#define COLD      ((size_t)96 << 20)
#define CHUNK     ((size_t)32 << 10) /* rooms */
#define PIECE     ((size_t)16 << 10) /* decoded, then CRC'd */
#define FEED      ((size_t)256 << 10)
#define ROUNDS    64
#define HOT_TURNS 1500

enum mode { HOT_DECODE, HOT_CRC, COLD_DECODE, COLD_CRC, COLD_ARTICLES, MODES };

static const char *const mode_names[MODES] = {"hot decode", "hot +crc", "cold decode", "cold +crc",
                                              "cold articles"};

/* Encoded lines, and what they hold. */
struct text {
    uint8_t *bytes;
    size_t len, payload;
};

struct stage {
    struct text hot, cold, articles;
    uint8_t *out;
    uint32_t crc_hot, crc_cold; /* of the payload; known from before it was encoded */
};

static uint64_t dice_state = 0x452821e638d01377u;

static uint64_t dice(void)
{
    dice_state ^= dice_state << 13;
    dice_state ^= dice_state >> 7;
    dice_state ^= dice_state << 17;
    return dice_state;
}

static uint64_t cpu_now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void *must_alloc(size_t len)
{
    void *p = aligned_alloc(64, (len + 63) / 64 * 64);
    if (!p) {
        fprintf(stderr, "yenc: no memory for %zu bytes\n", len);
        exit(2);
    }
    return p;
}

/* Lines of `len` random bytes; the CRC goes on from *crc. */
static void encode(struct text *t, size_t len, uint32_t *crc)
{
    uint8_t *p = t->bytes + t->len;
    unsigned column = 0;
    for (size_t i = 0; i < len; i++) {
        uint8_t raw = (uint8_t)(dice() >> 24), c = (uint8_t)(raw + 42);
        *crc = crc32_update(*crc, &raw, 1);
        if (c == 0 || c == '\n' || c == '\r' || c == '=') {
            *p++ = '=';
            c = (uint8_t)(c + 64);
            column++;
        } else if (c == '.' && column == 0) {
            *p++ = '.';
        }
        *p++ = c;
        if (++column >= LINE || i + 1 == len) {
            *p++ = '\r';
            *p++ = '\n';
            column = 0;
        }
    }
    t->len = (size_t)(p - t->bytes);
    t->payload += len;
}

static void add_line(struct text *t, const char *line)
{
    size_t n = strlen(line);
    memcpy(t->bytes + t->len, line, n);
    t->len += n;
}

/* Whole articles, as many as the cold text would fill. */
static void make_articles(struct text *t)
{
    size_t parts = COLD / ARTICLE;
    char line[200];
    for (size_t part = 1; part <= parts; part++) {
        uint32_t crc = 0;
        snprintf(line, sizeof(line),
                 "=ybegin part=%zu total=%zu line=%d size=%zu name=film.mkv\r\n", part, parts, LINE,
                 parts * ARTICLE);
        add_line(t, line);
        snprintf(line, sizeof(line), "=ypart begin=%zu end=%zu\r\n", (part - 1) * ARTICLE + 1,
                 part * ARTICLE);
        add_line(t, line);
        encode(t, ARTICLE, &crc);
        snprintf(line, sizeof(line), "=yend size=%d part=%zu pcrc32=%08x\r\n.\r\n", ARTICLE, part,
                 crc);
        add_line(t, line);
    }
}

static void stage_init(struct stage *st)
{
    const size_t most = COLD + COLD / 8;
    st->hot.bytes = must_alloc(2 * HOT + 1024);
    st->cold.bytes = must_alloc(most);
    st->articles.bytes = must_alloc(most);
    st->out = must_alloc(COLD);
    memset(st->out, 1, COLD); /* no page faults while measuring */
    encode(&st->hot, HOT, &st->crc_hot);
    encode(&st->cold, COLD, &st->crc_cold);
    make_articles(&st->articles);
}

static void stage_fini(struct stage *st)
{
    free(st->hot.bytes);
    free(st->cold.bytes);
    free(st->articles.bytes);
    free(st->out);
}

/* All of `t` to `out`, in rooms of `room`. Returns the payload's CRC, or 0 without `crc`. */
static uint32_t decode(const struct yenc_kernel *k, const struct text *t, uint8_t *out, size_t room,
                       crc32_fn *crc)
{
    enum yenc_state state = YENC_LINE_START;
    size_t in = 0, done = 0;
    uint32_t sum = 0;
    while (in < t->len) {
        size_t to_chunk = CHUNK - done % CHUNK, cap = t->payload - done;
        cap = cap < to_chunk ? cap : to_chunk;
        cap = cap < room ? cap : room;
        struct yenc_result r = k->decode(&state, t->bytes + in, t->len - in, out + done, cap);
        if (crc)
            sum = crc(sum, out + done, r.written);
        in += r.used;
        done += r.written;
        if (r.used == 0 && r.written == 0)
            return 0;
    }
    return done == t->payload ? sum : 0;
}

/* False when an article is not what it says. */
static bool feed_articles(const struct yenc_kernel *k, const struct text *t, uint8_t *out)
{
    static struct article a;
    struct iovec dst[ARTICLE / CHUNK + 1];
    size_t at = 0, done = 0;
    article_start(&a);
    a.kernel = k;
    while (at < t->len) {
        size_t used = 0, n = t->len - at < FEED ? t->len - at : FEED;
        enum article_event ev = article_feed(&a, t->bytes + at, n, &used);
        at += used;
        if (ev == ARTICLE_BEGIN) {
            for (size_t i = 0; i < sizeof(dst) / sizeof(dst[0]); i++)
                dst[i] = (struct iovec){out + done + i * CHUNK, CHUNK};
            dst[ARTICLE / CHUNK].iov_len = ARTICLE % CHUNK;
            article_dst(&a, dst, ARTICLE / CHUNK + 1);
            done += ARTICLE;
        } else if (ev == ARTICLE_END) {
            if (article_verdict(&a) != ARTICLE_OK)
                return false;
            article_start(&a);
            a.kernel = k;
        }
    }
    return done == t->payload;
}

/* One measurement: GB/s, or -1 when the bytes are wrong. */
static double measure(struct stage *st, const struct yenc_kernel *k, enum mode mode)
{
    bool hot = mode == HOT_DECODE || mode == HOT_CRC, sound = true;
    bool with_crc = mode == HOT_CRC || mode == COLD_CRC;
    const struct text *t = hot ? &st->hot : &st->cold;
    unsigned turns = hot ? HOT_TURNS : 1;
    uint64_t start = cpu_now_us();
    if (mode == COLD_ARTICLES) {
        t = &st->articles;
        sound = feed_articles(k, t, st->out);
    } else {
        for (unsigned i = 0; i < turns; i++) {
            uint32_t crc =
                decode(k, t, st->out, with_crc ? PIECE : CHUNK, with_crc ? k->crc : NULL);
            sound = sound && (!with_crc || crc == (hot ? st->crc_hot : st->crc_cold));
        }
    }
    uint64_t took = cpu_now_us() - start;
    if (mode == HOT_DECODE || mode == COLD_DECODE)
        sound = crc32_update(0, st->out, t->payload) == (hot ? st->crc_hot : st->crc_cold);
    return sound ? (double)t->payload * turns / 1e3 / (double)(took ? took : 1) : -1;
}

static double measure_memcpy(struct stage *st, bool hot)
{
    size_t len = hot ? HOT : COLD;
    unsigned turns = hot ? HOT_TURNS : 1;
    uint64_t start = cpu_now_us();
    for (unsigned i = 0; i < turns; i++) {
        memcpy(st->out, hot ? st->hot.bytes : st->cold.bytes, len);
        __asm__ volatile("" : : "r"(st->out) : "memory");
    }
    uint64_t took = cpu_now_us() - start;
    return (double)len * turns / 1e3 / (double)(took ? took : 1);
}

static double measure_crc(struct stage *st, crc32_fn *crc)
{
    volatile uint32_t sum = 0;
    uint64_t start = cpu_now_us();
    for (unsigned i = 0; i < HOT_TURNS; i++)
        sum = crc(sum, st->out, PIECE);
    uint64_t took = cpu_now_us() - start;
    return (double)PIECE * HOT_TURNS / 1e3 / (double)(took ? took : 1);
}

/* The rounds of one thing measured. */
struct series {
    double values[ROUNDS];
    unsigned n;
};

static int ascending(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void series_add(struct series *s, double value)
{
    s->values[s->n++] = value;
}

static double series_best(struct series *s)
{
    qsort(s->values, s->n, sizeof(s->values[0]), ascending);
    return s->values[s->n - 1];
}

static double series_median(struct series *s)
{
    qsort(s->values, s->n, sizeof(s->values[0]), ascending);
    return s->values[s->n / 2];
}

#define KERNELS_MOST 8

struct results {
    struct series kernel[KERNELS_MOST][MODES], copy_hot, copy_cold, crc_plain, crc_best;
};

static bool run(struct stage *st, struct results *res, unsigned rounds)
{
    size_t n;
    bool agree = true;
    const struct yenc_kernel *k = yenc_kernels(&n);
    for (unsigned round = 0; round < rounds; round++) {
        series_add(&res->copy_hot, measure_memcpy(st, true));
        series_add(&res->copy_cold, measure_memcpy(st, false));
        series_add(&res->crc_plain, measure_crc(st, crc32_update));
        series_add(&res->crc_best, measure_crc(st, crc32_best()));
        for (size_t i = 0; i < n && i < KERNELS_MOST; i++)
            for (enum mode mode = HOT_DECODE; k[i].usable && mode < MODES; mode++) {
                double gbps = measure(st, &k[i], mode);
                if (gbps < 0) {
                    fprintf(stderr, "yenc: %s, %s: wrong bytes\n", k[i].name, mode_names[mode]);
                    agree = false;
                }
                series_add(&res->kernel[i][mode], gbps);
            }
    }
    return agree;
}

static void print_table(struct results *res, unsigned rounds)
{
    size_t n;
    const struct yenc_kernel *k = yenc_kernels(&n);
    double hot = series_median(&res->copy_hot), cold = series_median(&res->copy_cold);
    printf("GB of payload per CPU second, best (median) of %u interleaved rounds\n", rounds);
    printf("%-10s", "");
    for (enum mode mode = HOT_DECODE; mode < MODES; mode++)
        printf(" %16s", mode_names[mode]);
    printf("   of cold memcpy\n");
    for (size_t i = 0; i < n && i < KERNELS_MOST; i++) {
        printf("%-10s", k[i].name);
        if (!k[i].usable) {
            printf(" not on this CPU\n");
            continue;
        }
        for (enum mode mode = HOT_DECODE; mode < MODES; mode++)
            printf(" %7.2f (%6.2f)", series_best(&res->kernel[i][mode]),
                   series_median(&res->kernel[i][mode]));
        printf("   %.2f\n", series_median(&res->kernel[i][COLD_CRC]) / cold);
    }
    printf("memcpy: hot %.2f (%.2f), cold %.2f (%.2f)\n", series_best(&res->copy_hot), hot,
           series_best(&res->copy_cold), cold);
    printf("crc-32: libdeflate %.2f (%.2f), the one used %.2f (%.2f)\n",
           series_best(&res->crc_plain), series_median(&res->crc_plain),
           series_best(&res->crc_best), series_median(&res->crc_best));
}

static void print_series(const char *name, struct series *s, const char *end)
{
    printf("\"%s\": {\"best\": %.3f, \"median\": %.3f}%s", name, series_best(s), series_median(s),
           end);
}

static void print_json(struct results *res, unsigned rounds, bool agree)
{
    size_t n;
    const struct yenc_kernel *k = yenc_kernels(&n);
    printf("{\"unit\": \"GB per CPU second\", \"rounds\": %u, \"agree\": %s, \"kernels\": {",
           rounds, agree ? "true" : "false");
    for (size_t i = 0, shown = 0; i < n && i < KERNELS_MOST; i++) {
        if (!k[i].usable)
            continue;
        printf("%s\"%s\": {", shown++ ? ", " : "", k[i].name);
        for (enum mode mode = HOT_DECODE; mode < MODES; mode++)
            print_series(mode_names[mode], &res->kernel[i][mode], mode + 1 < MODES ? ", " : "}");
    }
    printf("}, ");
    print_series("memcpy hot", &res->copy_hot, ", ");
    print_series("memcpy cold", &res->copy_cold, ", ");
    print_series("crc libdeflate", &res->crc_plain, ", ");
    print_series("crc used", &res->crc_best, "}\n");
}

static const char usage[] =
    "usage: yenc [--rounds N] [--json]\n"
    "Measure the yEnc decoder's kernels beside memcpy: hot and cold, with and without CRC.\n"
    "  -r, --rounds N  1 to 64; unless given 9\n"
    "  -j, --json      one JSON object in place of the table\n"
    "  -h, --help      this text\n"
    "Exits with 1 when a kernel's bytes are wrong.\n";

int main(int argc, char **argv)
{
    static const struct option options[] = {{"rounds", required_argument, NULL, 'r'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    static struct stage st;
    static struct results res;
    unsigned long rounds = 9;
    bool json = false;
    for (int o; (o = getopt_long(argc, argv, "r:jh", options, NULL)) != -1;) {
        if (o == 'h') {
            fputs(usage, stdout);
            return 0;
        }
        json |= o == 'j';
        if (o == 'r')
            rounds = strtoul(optarg, NULL, 10);
        if (o == '?' || rounds < 1 || rounds > ROUNDS) {
            fputs(usage, stderr);
            return 2;
        }
    }
    stage_init(&st);
    bool agree = run(&st, &res, (unsigned)rounds);
    if (json)
        print_json(&res, (unsigned)rounds, agree);
    else
        print_table(&res, (unsigned)rounds);
    stage_fini(&st);
    return agree ? 0 : 1;
}
