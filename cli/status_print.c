#include "cli/status_print.h"

#include "cli/cli.h"
#include "cli/progress.h"
#include "cli/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned long long ull;

static ull number(const json_t *o, const char *name)
{
    json_int_t n = json_integer_value(json_object_get(o, name));

    return n > 0 ? (ull)n : 0;
}

static unsigned small(const json_t *o, const char *name)
{
    ull n = number(o, name);

    return n < 1000000 ? (unsigned)n : 1000000;
}

/* From another process. */
static void text_print(const char *s)
{
    cli_text_print(stdout, s ? s : "");
}

/* --- units ------------------------------------------------------------------------------------- */

const char *status_span(unsigned long long us, char out[16])
{
    double ms = (double)us / 1000;

    if (ms < 9.95)
        snprintf(out, 16, "%.1f ms", ms);
    else if (ms < 999.5)
        snprintf(out, 16, "%.0f ms", ms);
    else if (ms < 9950)
        snprintf(out, 16, "%.1f s", ms / 1000);
    else
        snprintf(out, 16, "%.0f s", ms < 1e9 ? ms / 1000 : 1e6);
    return out;
}

const char *status_age(unsigned long long s, char out[24])
{
    if (s < 120)
        snprintf(out, 24, "%llu s", s);
    else if (s < 7200)
        snprintf(out, 24, "%llu min", s / 60);
    else if (s < 2 * 86400)
        snprintf(out, 24, "%llu h %llu min", s / 3600, s / 60 % 60);
    else
        snprintf(out, 24, "%llu d %llu h", s / 86400 % 100000, s / 3600 % 24);
    return out;
}

/* A figure of a histogram, or a dash where it is empty. */
static void span_cell(struct table *t, const json_t *histogram, const char *which)
{
    char text[16];

    if (!number(histogram, "count"))
        table_cell(t, TABLE_PLAIN, "-");
    else
        table_cell(t, TABLE_PLAIN, "%s", status_span(number(histogram, which), text));
}

static void size_cell(struct table *t, ull bytes)
{
    char text[16];

    table_cell(t, TABLE_PLAIN, "%s", progress_size(bytes, text));
}

/* Figures that ought to be 0 stand out where they are not. */
static void bad_cell(struct table *t, ull n)
{
    table_cell(t, n ? TABLE_YELLOW : TABLE_PLAIN, "%llu", n);
}

/* --- classes ----------------------------------------------------------------------------------- */

/* A part of `cells`, rounded to the nearest one; nothing that is more than 0 is nowhere. */
static unsigned scaled(unsigned n, unsigned total, unsigned cells)
{
    unsigned at = (unsigned)(((ull)n * cells * 2 + total) / (2 * (ull)total));

    return at > cells ? cells : n && !at ? 1 : at;
}

const char *status_bar(unsigned leased, unsigned guaranteed, unsigned burst, unsigned total,
                       char *out, size_t room)
{
    enum { CELLS = 20 };
    char *p = out;

    if (!total || room < CELLS + 4) {
        snprintf(out, room, "-");
        return out;
    }
    unsigned l = scaled(leased, total, CELLS), g = scaled(guaranteed, total, CELLS),
             b = scaled(burst, total, CELLS);
    *p++ = '[';
    for (unsigned i = 0; i < CELLS; i++) {
        if (i == g)
            *p++ = ':';
        *p++ = i < l ? '#' : i < g ? '=' : i < b ? '-' : ' ';
    }
    if (g == CELLS)
        *p++ = ':';
    *p++ = ']';
    *p = '\0';
    return out;
}

static void classes_print(const json_t *status, const struct status_look *look)
{
    static const char *const heads[] = {" ",       "leased", "guaranteed", "burst",
                                        "waiting", " ",      "done",       "missing",
                                        "failed",  "data",   "waits",      "99 %"};
    static const struct {
        const char *name, *title;
    } classes[] = {
        {"queue", "Queue"}, {"health", "HealthCheck"}, {"streaming", "BufferedStreaming"}};
    const json_t *all = json_object_get(status, "classes");
    unsigned total = small(status, "total");
    struct table t;
    char bar[32];

    table_init(&t, heads, sizeof(heads) / sizeof(heads[0]), 1u | 1u << 5);
    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        const json_t *k = json_object_get(all, classes[i].name), *wait = json_object_get(k, "wait");
        unsigned leased = small(k, "leased"), guaranteed = small(k, "guaranteed");
        table_row(&t);
        table_cell(&t, TABLE_PLAIN, "%s", classes[i].title);
        table_cell(&t, TABLE_BOLD, "%u", leased);
        table_cell(&t, TABLE_PLAIN, "%u", guaranteed);
        table_cell(&t, TABLE_PLAIN, "%u", small(k, "burst"));
        table_cell(&t, TABLE_PLAIN, "%llu", number(k, "waiting"));
        table_cell(&t, leased > guaranteed ? TABLE_YELLOW : TABLE_GREEN, "%s",
                   status_bar(leased, guaranteed, small(k, "burst"), total, bar, sizeof(bar)));
        table_cell(&t, TABLE_PLAIN, "%llu", number(k, "done"));
        bad_cell(&t, number(k, "missing"));
        bad_cell(&t, number(k, "failed") + number(k, "corrupt") + number(k, "timeout"));
        size_cell(&t, number(k, "bytes"));
        span_cell(&t, wait, "p50_us");
        span_cell(&t, wait, "p99_us");
    }
    table_print(&t, 2, look->room, look->colours);
}

/* --- providers --------------------------------------------------------------------------------- */

static enum table_colour state_words(const json_t *p, char *out, size_t room)
{
    const json_t *retry = json_object_get(p, "retry_in_s");
    unsigned limit = small(p, "limit"), ceiling = small(p, "ceiling");
    char age[24];

    if (json_is_true(json_object_get(p, "gone"))) {
        snprintf(out, room, "taken out");
        return TABLE_PLAIN;
    }
    if (json_is_true(json_object_get(p, "down"))) {
        if (json_is_integer(retry) && number(p, "retry_in_s"))
            snprintf(out, room, "down, tried again in %s",
                     status_age(number(p, "retry_in_s"), age));
        else
            snprintf(out, room, "down, tried again when needed");
        return TABLE_RED;
    }
    if (ceiling < limit) {
        snprintf(out, room, "bears %u of %u", ceiling, limit);
        return TABLE_YELLOW;
    }
    snprintf(out, room, "%s", number(p, "sockets") ? "up" : "at rest");
    return number(p, "sockets") ? TABLE_GREEN : TABLE_PLAIN;
}

static void state_cell(struct table *t, const json_t *p)
{
    char state[TABLE_CELL - 24], rate[24] = "", size[16];
    enum table_colour colour = state_words(p, state, sizeof(state));

    if (number(p, "rate"))
        snprintf(rate, sizeof(rate), ", rate %s/s", progress_size(number(p, "rate"), size));
    table_cell(t, colour, "%s%s", state, rate);
}

static void provider_row(struct table *t, const char *name, const json_t *p)
{
    const json_t *answer = json_object_get(p, "answer");

    table_row(t);
    table_cell(t, TABLE_PLAIN, "%.32s", name);
    table_cell(t, TABLE_BOLD, "%llu", number(p, "leased"));
    table_cell(t, TABLE_PLAIN, "%llu", number(p, "sockets"));
    table_cell(t, TABLE_PLAIN, "%llu", number(p, "ceiling"));
    table_cell(t, TABLE_PLAIN, "%llu", number(p, "limit"));
    table_cell(t, TABLE_PLAIN, "%llu", number(p, "ok"));
    table_cell(t, TABLE_PLAIN, "%llu", number(p, "missing"));
    bad_cell(t, number(p, "corrupt"));
    bad_cell(t, number(p, "broken") + number(p, "refused"));
    size_cell(t, number(p, "bytes_wire"));
    span_cell(t, answer, "p50_us");
    state_cell(t, p);
}

/* What a server said at last, where there is one that is out of reach. */
static void reason_print(const char *name, const json_t *p)
{
    const char *reason = json_string_value(json_object_get(p, "reason"));

    if (!reason || !json_is_true(json_object_get(p, "down")))
        return;
    printf("  ");
    cli_text_print(stdout, name);
    printf(" is down: ");
    cli_text_print(stdout, reason);
    printf("\n");
}

static void providers_print(const json_t *status, const struct status_look *look)
{
    static const char *const heads[] = {"provider", "leased", "sockets", "ceiling",
                                        "limit",    "ok",     "missing", "damaged",
                                        "broken",   "data",   "article", "state"};
    struct table t;
    const char *name;
    json_t *p, *all = json_object_get(status, "providers");

    table_init(&t, heads, sizeof(heads) / sizeof(heads[0]), 1u | 1u << 11);
    json_object_foreach(all, name, p)
    {
        /* One that was taken out is of interest while it still has connections. */
        if (!json_is_true(json_object_get(p, "gone")) || number(p, "sockets"))
            provider_row(&t, name, p);
    }
    table_print(&t, 2, look->room, look->colours);
    json_object_foreach(all, name, p) reason_print(name, p);
}

/* --- the page ---------------------------------------------------------------------------------- */

static void head_print(const json_t *status)
{
    char age[24];
    const char *version = json_string_value(json_object_get(status, "version"));

    text_print(json_string_value(json_object_get(status, "mountpoint")));
    printf(" shows ");
    text_print(json_string_value(json_object_get(status, "source")));
    printf("\n  up %s, pid %llu, nzbfs ", status_age(number(status, "uptime_s"), age),
           number(status, "pid"));
    text_print(version ? version : "of another version");
    printf("; %llu of %llu connections leased", number(status, "leased_total"),
           number(status, "total"));
    if (number(status, "reserve"))
        printf(", %llu in reserve", number(status, "reserve"));
    if (number(status, "rate"))
        printf(", rate %s/s", progress_size(number(status, "rate"), age));
    putchar('\n');
}

static void settings_print(const json_t *status)
{
    const json_t *list = json_object_get(status, "settings");

    if (!json_array_size(list))
        return;
    printf("  set for now:");
    for (size_t i = 0; i < json_array_size(list); i++) {
        putchar(' ');
        text_print(json_string_value(json_array_get(list, i)));
    }
    printf(" (nzbfs reload ends that)\n");
}

/* Nothing where nothing was late. */
static void hedges_print(const json_t *hedges)
{
    ull n = number(hedges, "started");
    char vain[16];

    if (!n)
        return;
    printf("  %llu late, asked for twice: %llu came first from there, %s came in vain\n", n,
           number(hedges, "won"), progress_size(number(hedges, "bytes_lost"), vain));
}

static void foot_print(const json_t *status)
{
    const json_t *cache = json_object_get(status, "cache"), *fs = json_object_get(status, "fs");
    ull hits = number(cache, "hits") + number(cache, "joins"),
        asked = hits + number(cache, "misses");
    char a[16], b[16], c[16];

    printf("  cache %s of %s, %llu %% found there\n", progress_size(number(cache, "used"), a),
           progress_size(number(cache, "budget"), b), asked ? hits * 100 / asked : 0);
    printf("  files %llu open, %llu reads of %s, %llu blocked now, %llu failed\n",
           number(fs, "open_handles"), number(fs, "reads"),
           progress_size(number(fs, "read_bytes"), c), number(fs, "blocked"),
           number(fs, "errors") + number(fs, "timeouts"));
    hedges_print(json_object_get(status, "hedges"));
}

void status_print(const json_t *status, const struct status_look *look)
{
    head_print(status);
    settings_print(status);
    putchar('\n');
    classes_print(status, look);
    putchar('\n');
    providers_print(status, look);
    putchar('\n');
    foot_print(status);
}
