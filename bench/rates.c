/* rates — do the limits hold, and what do they cost.
 *
 * More is asked for than may flow, and after a second of warming up what flows is counted over a window: by the
 * pool (bytes received from the sockets, TLS's own among them) and by the servers (bytes sent, without TLS's own;
 * they run ahead of what was received by what the sockets hold, so that count may be off by one article for each
 * connection, which go in step). The window leaves out the burst that a bucket has saved up at the start (100 ms worth,
 * at least 64 KiB): a limit is there for hours. "With burst" is everything since the start, over the time since
 * then, and must not be above the limit by more than that burst.
 *
 * Scenes
 *   limits  global and per provider, plain and TLS, at several rates and numbers of connections: within 2 %
 *   fair    connections under one limit get the same: Jain's index at least 0.99
 *   low     one connection at 100 KB/s: how often the loops wake
 *   free    a limit far above what flows, beside none: interleaved rounds, ratio of medians
 *
 * Exit status 1: a bound is broken. 2: it could not be measured.
 */

#include "base/log.h"
#include "bench/rates_flow.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WARM_S      1.0
#define TOLERANCE   0.02
#define ARTICLE     750000u
#define FAR_ABOVE   UINT64_C(100000000000) /* bytes a second */
#define FREE_LEAST  0.95
#define FAIR_LEAST  0.99
#define LOW_BPS     100000u
#define LOW_WAKES   50.0
#define ROUNDS_MOST 50

struct options {
    double seconds;
    unsigned rounds;
    bool json;
};

static unsigned broken; /* bounds */

static const char *verdict(bool good)
{
    broken += !good;
    return good ? "pass" : "FAIL";
}

static const char *word(bool yes)
{
    return yes ? "true" : "false";
}

/* Small enough that each connection ends many in a window, so that what is under way hardly counts; and under
 * TLS not so small that its own bytes do, which the limit counts and the server does not. */
static uint32_t article_for(uint64_t bps, unsigned connections, bool tls)
{
    uint64_t part = bps / connections / 20, least = tls ? 8000 : 2000;

    if (part < least)
        return (uint32_t)least;
    return part < ARTICLE ? (uint32_t)part : ARTICLE;
}

/* Until what opening the connections took has been paid for: under TLS some 6 KB each. */
static double warm_for(const struct flow_options *o, uint64_t bps)
{
    return WARM_S + (o->tls ? 6000.0 * o->connections / (double)bps : 0);
}

static void window(struct flow *f, double warm, double seconds, uint64_t global,
                   struct flow_sample s[3])
{
    flow_start(f, global);
    flow_sample(f, &s[0]);
    for (unsigned i = 1; i < 3; i++) {
        flow_await(s[0].at_s + warm + (i == 2 ? seconds : 0));
        flow_sample(f, &s[i]);
    }
    flow_stop(f);
}

/* --- limits ------------------------------------------------------------------------------------ */

/* One limit and what went through it. */
static void limit_report(const struct options *o, const struct flow_options *fo, const char *what,
                         uint64_t bps, const struct flow_sample s[3], int provider)
{
    double rate = (double)bps, seconds = s[2].at_s - s[1].at_s;
    const struct flow_sample *a = &s[0], *b = &s[1], *c = &s[2];
    bool all = provider < 0;
    uint64_t start = all ? a->all_received : a->received[provider];
    uint64_t got0 = all ? b->all_received : b->received[provider];
    uint64_t got1 = all ? c->all_received : c->received[provider];
    uint64_t sent = all ? c->all_sent - b->all_sent : c->sent[provider] - b->sent[provider];
    double held = (double)(got1 - got0) / seconds / rate;
    double served = (double)sent / seconds / rate;
    double whole = (double)(got1 - start) / (c->at_s - a->at_s) / rate;
    double wakes = (double)(c->wakes - b->wakes) / seconds;
    double burst = rate / 10 > 65536 ? rate / 10 : 65536;
    double ahead = (double)fo->connections * fo->part / seconds / rate;
    bool good = held > 1 - TOLERANCE && held < 1 + TOLERANCE && served > 1 - TOLERANCE - ahead &&
                served < 1 + TOLERANCE + ahead && c->broken == 0 &&
                (whole - 1 - TOLERANCE) * rate * (c->at_s - a->at_s) < burst;
    const char *says = verdict(good);

    if (o->json)
        printf("{\"bench\":\"rates\",\"scene\":\"limits\",\"limit\":\"%s\",\"bps\":%llu,"
               "\"connections\":%u,\"tls\":%s,\"received\":%.4f,\"sent\":%.4f,\"with_burst\":%.4f,"
               "\"wakes_per_s\":%.0f,\"cpu\":%.4f,\"broken\":%llu,\"good\":%s}\n",
               what, (unsigned long long)bps, fo->connections, word(fo->tls), held, served, whole,
               wakes, (c->cpu_s - b->cpu_s) / seconds, (unsigned long long)c->broken, word(good));
    else
        printf("  %-9s %6.2f MB/s %4u %-5s %8.2f %% %8.2f %% %8.2f %% %8.0f %7.1f %% %6llu  %s\n",
               what, rate / 1e6, fo->connections, fo->tls ? "TLS" : "plain", 100 * held,
               100 * served, 100 * whole, wakes, 100 * (c->cpu_s - b->cpu_s) / seconds,
               (unsigned long long)c->broken, says);
    fflush(stdout);
}

static void limits_run(const struct options *o)
{
    static const uint64_t rates[] = {1000000, 20000000, 200000000};
    static const unsigned connections[] = {1, 15, 100};
    struct flow_sample s[3];
    struct flow f;

    if (!o->json)
        printf("\nlimits: of the limit over %.1f s, after %.0f s; bound 2 %%\n"
               "  %-9s %11s %4s %-5s %10s %10s %10s %8s %9s %6s\n",
               o->seconds, WARM_S, "limit", "", "conn", "", "received", "sent", "with burst",
               "wakes/s", "CPU", "broken");
    for (unsigned i = 0; i < 18; i++) {
        uint64_t bps = rates[i / 6];
        struct flow_options fo = {.providers = 1,
                                  .connections = connections[i / 2 % 3],
                                  .pipelining = 2,
                                  .tls = i % 2,
                                  .part = article_for(bps, connections[i / 2 % 3], i % 2)};
        flow_open(&f, &fo);
        window(&f, warm_for(&fo, bps), o->seconds, bps, s);
        flow_close(&f);
        limit_report(o, &fo, "global", bps, s, -1);

        /* A quarter and three quarters, each with that many connections. */
        fo.providers = 2;
        fo.provider_bps[0] = bps / 4;
        fo.provider_bps[1] = bps - bps / 4;
        fo.part = article_for(bps / 4, fo.connections, fo.tls);
        flow_open(&f, &fo);
        window(&f, warm_for(&fo, bps / 4), o->seconds, 0, s);
        flow_close(&f);
        limit_report(o, &fo, "provider", fo.provider_bps[0], s, 0);
        limit_report(o, &fo, "provider", fo.provider_bps[1], s, 1);
    }
}

/* --- fair -------------------------------------------------------------------------------------- */

static void fair_run(const struct options *o)
{
    static const uint64_t rates[] = {1000000, 20000000};

    if (!o->json)
        printf("\nfair: 15 connections under one limit; Jain's index of their bytes over %.1f s\n",
               o->seconds);
    for (unsigned i = 0; i < 2; i++) {
        struct flow_options fo = {.providers = 15,
                                  .connections = 1,
                                  .pipelining = 1,
                                  .part = article_for(rates[i], 15, false)};
        struct flow_sample s[3];
        struct flow f;
        double sum = 0, squares = 0, least = 0;
        flow_open(&f, &fo);
        window(&f, WARM_S, o->seconds, rates[i], s);
        flow_close(&f);
        for (unsigned p = 0; p < fo.providers; p++) {
            double v = (double)(s[2].received[p] - s[1].received[p]);
            sum += v;
            squares += v * v;
            least = !p || v < least ? v : least;
        }
        double jain = squares > 0 ? sum * sum / (fo.providers * squares) : 0;
        const char *says = verdict(jain >= FAIR_LEAST);
        if (o->json)
            printf("{\"bench\":\"rates\",\"scene\":\"fair\",\"bps\":%llu,\"jain\":%.4f,"
                   "\"least_over_mean\":%.3f,\"good\":%s}\n",
                   (unsigned long long)rates[i], jain, sum > 0 ? least * fo.providers / sum : 0,
                   word(jain >= FAIR_LEAST));
        else
            printf("  %6.2f MB/s: %.4f, the least %.2f of the mean, bound %.2f  %s\n",
                   (double)rates[i] / 1e6, jain, sum > 0 ? least * fo.providers / sum : 0,
                   FAIR_LEAST, says);
    }
}

/* --- low --------------------------------------------------------------------------------------- */

static void low_run(const struct options *o)
{
    struct flow_options fo = {
        .providers = 1, .connections = 1, .pipelining = 1, .part = article_for(LOW_BPS, 1, false)};
    struct flow_sample s[3];
    struct flow f;

    flow_open(&f, &fo);
    window(&f, WARM_S, o->seconds, LOW_BPS, s);
    flow_close(&f);
    double wakes = (double)(s[2].wakes - s[1].wakes) / (s[2].at_s - s[1].at_s);
    const char *says = verdict(wakes <= LOW_WAKES);
    if (o->json)
        printf("{\"bench\":\"rates\",\"scene\":\"low\",\"bps\":%u,\"wakes_per_s\":%.1f,\"good\":%s}"
               "\n",
               LOW_BPS, wakes, word(wakes <= LOW_WAKES));
    else
        printf("\nlow: one connection at %.0f KB/s: the loops wake %.1f times a second, bound %.0f"
               "  %s\n",
               LOW_BPS / 1e3, wakes, LOW_WAKES, says);
}

/* --- free -------------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static double median(double *v, unsigned n)
{
    qsort(v, n, sizeof(*v), by_value);
    return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

static void free_round(struct flow *f, uint64_t bps, double *mbs, double *cpu)
{
    struct flow_sample s[3];

    window(f, WARM_S, 1, bps, s);
    double bytes = (double)(s[2].all_received - s[1].all_received);
    *mbs = bytes / (s[2].at_s - s[1].at_s) / 1e6;
    *cpu = (s[2].cpu_s - s[1].cpu_s) / bytes * 1e9;
}

static void free_run(const struct options *o)
{
    struct flow_options fo = {.providers = 1, .connections = 100, .pipelining = 4, .part = ARTICLE};
    double mbs[2][ROUNDS_MOST], cpu[2][ROUNDS_MOST];
    struct flow f;

    flow_open(&f, &fo);
    for (unsigned i = 0; i < 2 * o->rounds; i++) {
        unsigned limited = (i + i / 2) % 2; /* a b, b a, a b, … */
        free_round(&f, limited ? FAR_ABOVE : 0, &mbs[limited][i / 2], &cpu[limited][i / 2]);
    }
    flow_close(&f);
    double with = median(mbs[1], o->rounds), without = median(mbs[0], o->rounds);
    double cpu_with = median(cpu[1], o->rounds), cpu_without = median(cpu[0], o->rounds);
    bool good = with >= FREE_LEAST * without;
    const char *says = verdict(good);
    if (o->json)
        printf(
            "{\"bench\":\"rates\",\"scene\":\"free\",\"mb_per_s\":%.0f,\"mb_per_s_limited\":%.0f,"
            "\"ratio\":%.3f,\"cpu_s_per_gb\":%.4f,\"cpu_s_per_gb_limited\":%.4f,\"good\":%s}\n",
            without, with, with / without, cpu_without, cpu_with, word(good));
    else
        printf("\nfree: 100 connections, plain, medians of %u rounds of 1 s\n"
               "  no limit           %6.0f MB/s, loops %.3f CPU s/GB\n"
               "  limit far above it %6.0f MB/s, loops %.3f CPU s/GB\n"
               "  ratio %.3f, bound %.2f; of the CPU %.3f  %s\n",
               o->rounds, without, cpu_without, with, cpu_with, with / without, FREE_LEAST,
               cpu_with / cpu_without, says);
}

/* --- the program ------------------------------------------------------------------------------- */

static const struct scene_entry {
    const char *name;
    void (*run)(const struct options *o);
} scenes[] = {{"limits", limits_run}, {"fair", fair_run}, {"low", low_run}, {"free", free_run}};

static void usage(FILE *to)
{
    fputs("usage: bench_rates [--seconds N] [--rounds N] [--json] [limits|fair|low|free]…\n"
          "Rate limits on real sockets. --seconds: the window (10); --rounds: of 'free' (9).\n",
          to);
}

static unsigned number(const char *arg, unsigned most)
{
    char *end;
    unsigned long v = strtoul(arg, &end, 10);

    if (!*arg || *end || !v || v > most) {
        fprintf(stderr, "bench: '%s' is not a number from 1 to %u\n", arg, most);
        exit(2);
    }
    return (unsigned)v;
}

static void options_read(int argc, char **argv, struct options *o)
{
    static const struct option known[] = {
        {"seconds", 1, NULL, 's'}, {"rounds", 1, NULL, 'r'}, {"json", 0, NULL, 'j'},
        {"help", 0, NULL, 'h'},    {NULL, 0, NULL, 0},
    };
    int c;

    while ((c = getopt_long(argc, argv, "h", known, NULL)) != -1) {
        switch (c) {
        case 's':
            o->seconds = number(optarg, 3600);
            break;
        case 'r':
            o->rounds = number(optarg, ROUNDS_MOST);
            break;
        case 'j':
            o->json = true;
            break;
        case 'h':
            usage(stdout);
            exit(0);
        default:
            usage(stderr);
            exit(2);
        }
    }
}

static bool scene_is_wanted(const char *name, int argc, char **argv)
{
    for (int i = optind; i < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return true;
    return optind == argc;
}

int main(int argc, char **argv)
{
    struct options o = {.seconds = 10, .rounds = 9};
    const size_t n = sizeof(scenes) / sizeof(*scenes);

    options_read(argc, argv, &o);
    log_set_level(LOG_AT_WARN);
    for (int i = optind; i < argc; i++) {
        size_t k = 0;
        while (k < n && strcmp(scenes[k].name, argv[i]) != 0)
            k++;
        if (k == n) {
            usage(stderr);
            return 2;
        }
    }
    for (size_t k = 0; k < n; k++)
        if (scene_is_wanted(scenes[k].name, argc, argv))
            scenes[k].run(&o);
    return broken ? 1 : 0;
}
