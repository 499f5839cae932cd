/* Samples, and the report: a table for people as it goes, or JSON at the end. */
#include "bench/shares.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void shares_die(const char *fmt, ...)
{
    va_list ap;

    fflush(stdout);
    fputs("bench_shares: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    exit(2);
}

/* --- samples ---------------------------------------------------------------------------------------- */

void samples_add(struct samples *s, double v)
{
    if (s->n == s->room) {
        unsigned room = s->room ? s->room * 2 : 256;
        double *more = realloc(s->v, room * sizeof(*more));
        if (!more)
            shares_die("no memory");
        s->v = more;
        s->room = room;
    }
    s->v[s->n++] = v;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* The nearest rank, so that the 99th of fewer than a hundred is the worst. */
double samples_percentile(struct samples *s, double p)
{
    if (!s->n)
        return 0;
    qsort(s->v, s->n, sizeof(*s->v), by_value);
    double rank = ceil(p / 100 * s->n);
    unsigned i = rank < 1 ? 0 : (unsigned)rank - 1;
    return s->v[i < s->n ? i : s->n - 1];
}

void samples_fini(struct samples *s)
{
    free(s->v);
    *s = (struct samples){0};
}

/* --- the report ------------------------------------------------------------------------------------- */

struct report {
    bool json;
    unsigned scenes, lines, missed; /* lines: of this scene */
};

/* JSON is written as it comes: what has been measured is there even if a later scene breaks off. */
struct report *report_new(bool json)
{
    struct report *r = calloc(1, sizeof(*r));

    if (!r)
        shares_die("no memory");
    r->json = json;
    if (json)
        printf("{\"scenes\":[");
    return r;
}

static void json_text(const char *s)
{
    putchar('"');
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            putchar('\\');
        putchar(*s);
    }
    putchar('"');
}

void report_scene(struct report *r, const char *name, const char *fmt, ...)
{
    char text[1024];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (r->json) {
        printf("%s\n{\"scene\":\"%s\",\"settings\":", r->scenes ? "]}," : "", name);
        json_text(text);
        printf(",\"lines\":[");
    } else {
        printf("%s%s: %s\n", r->scenes ? "\n" : "", name, text);
    }
    r->scenes++;
    r->lines = 0;
    fflush(stdout);
}

static void line_json(struct report *r, const char *text, double value, const char *unit,
                      enum bound kind, double bound, bool ok)
{
    printf("%s\n {\"what\":", r->lines ? "," : "");
    json_text(text);
    printf(",\"value\":%.4f,\"unit\":\"%s\"", value, unit);
    if (kind != BOUND_NONE)
        printf(",\"%s\":%.4f,\"ok\":%s", kind == BOUND_MOST ? "most" : "least", bound,
               ok ? "true" : "false");
    putchar('}');
}

static void line_table(const char *text, double value, const char *unit, enum bound kind,
                       double bound, bool ok)
{
    char limit[40] = "";

    if (kind != BOUND_NONE)
        snprintf(limit, sizeof(limit), "%s %.6g", kind == BOUND_MOST ? "<=" : ">=", bound);
    printf("  %-76s %9.5g %-9s %-12s %s\n", text, value, unit, limit,
           kind == BOUND_NONE ? ""
           : ok               ? "ok"
                              : "MISSED");
}

void report_line(struct report *r, double value, const char *unit, enum bound kind, double bound,
                 const char *fmt, ...)
{
    char text[256];
    va_list ap;
    /* What is not a number holds no bound. */
    bool ok = kind == BOUND_NONE || (kind == BOUND_MOST ? value <= bound : value >= bound);

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (r->json)
        line_json(r, text, value, unit, kind, bound, ok);
    else
        line_table(text, value, unit, kind, bound, ok);
    r->lines++;
    r->missed += !ok;
    fflush(stdout);
}

bool report_free(struct report *r)
{
    bool ok = r->missed == 0;

    if (r->json)
        printf("%s],\"missed\":%u}\n", r->scenes ? "]}" : "", r->missed);
    else
        printf("\n%s: %u bounds missed\n", ok ? "ok" : "FAILED", r->missed);
    free(r);
    return ok;
}
