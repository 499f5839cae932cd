#include "bench/scenario_report.h"

#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIGURES_MOST 128
#define BOUNDS_MOST  3
#define LINES_MOST   16
#define LINE_ROOM    240

struct bound {
    enum scenario_of of;
    bool least;
    double value;
};

struct figure {
    char name[96], unit[16];
    double *samples;
    size_t n, room;
    struct bound bounds[BOUNDS_MOST];
    unsigned nbounds;
};

struct lines {
    char text[LINES_MOST][LINE_ROOM];
    unsigned n;
};

struct scenario_report {
    const struct scenario *scenario;
    struct figure figures[FIGURES_MOST];
    unsigned nfigures;
    struct lines settings, notes;
};

struct scenario_report *scenario_report_new(const struct scenario *s)
{
    struct scenario_report *p = calloc(1, sizeof(*p));

    if (!p)
        scenario_fail("no memory", s->name);
    p->scenario = s;
    return p;
}

void scenario_report_free(struct scenario_report *p)
{
    for (unsigned i = 0; p && i < p->nfigures; i++)
        free(p->figures[i].samples);
    free(p);
}

/* --- what is told ------------------------------------------------------------------------------ */

__attribute__((format(printf, 2, 0))) static void line_add(struct lines *l, const char *fmt,
                                                           va_list ap)
{
    if (l->n == LINES_MOST)
        scenario_fail("too many lines", fmt);
    vsnprintf(l->text[l->n++], LINE_ROOM, fmt, ap);
}

void scenario_settings(struct scenario_run *r, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    line_add(&r->report->settings, fmt, ap);
    va_end(ap);
}

void scenario_note(struct scenario_run *r, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    line_add(&r->report->notes, fmt, ap);
    va_end(ap);
}

static struct figure *figure_find(struct scenario_report *p, const char *name)
{
    for (unsigned i = 0; i < p->nfigures; i++)
        if (strcmp(p->figures[i].name, name) == 0)
            return &p->figures[i];
    return NULL;
}

static struct figure *figure_get(struct scenario_report *p, const char *name)
{
    struct figure *f = figure_find(p, name);

    if (f)
        return f;
    if (p->nfigures == FIGURES_MOST || strlen(name) >= sizeof(f->name))
        scenario_fail("too many figures, or too long a name", name);
    f = &p->figures[p->nfigures++];
    snprintf(f->name, sizeof(f->name), "%s", name);
    return f;
}

void scenario_add(struct scenario_run *r, const char *figure, const char *unit, double value)
{
    struct figure *f = figure_get(r->report, figure);

    snprintf(f->unit, sizeof(f->unit), "%s", unit);
    if (f->n == f->room) {
        f->room = f->room ? 2 * f->room : 16;
        f->samples = realloc(f->samples, f->room * sizeof(*f->samples));
        if (!f->samples)
            scenario_fail("no memory", figure);
    }
    f->samples[f->n++] = value;
}

static void bound_add(struct scenario_run *r, const char *figure, struct bound b)
{
    struct figure *f = figure_get(r->report, figure);

    if (f->nbounds == BOUNDS_MOST)
        scenario_fail("too many bounds", figure);
    f->bounds[f->nbounds++] = b;
}

void scenario_most(struct scenario_run *r, const char *figure, enum scenario_of of, double bound)
{
    bound_add(r, figure, (struct bound){.of = of, .value = bound});
}

void scenario_least(struct scenario_run *r, const char *figure, enum scenario_of of, double bound)
{
    bound_add(r, figure, (struct bound){.of = of, .least = true, .value = bound});
}

/* --- what it comes to -------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

/* Between the two samples next to it, as a median of an even number is. */
static double percentile(const struct figure *f, double p)
{
    if (f->n == 0)
        return NAN;
    double *v = malloc(f->n * sizeof(*v));
    if (!v)
        scenario_fail("no memory", f->name);
    memcpy(v, f->samples, f->n * sizeof(*v));
    qsort(v, f->n, sizeof(*v), by_value);
    double at = p / 100 * (double)(f->n - 1), below = floor(at);
    size_t i = (size_t)below, next = i + 1 < f->n ? i + 1 : i;
    double out = v[i] + (v[next] - v[i]) * (at - below);
    free(v);
    return out;
}

double scenario_percentile(const struct scenario_run *r, const char *figure, double p)
{
    const struct figure *f = figure_find(r->report, figure);

    return f ? percentile(f, p) : NAN;
}

double scenario_median(const struct scenario_run *r, const char *figure)
{
    return scenario_percentile(r, figure, 50);
}

static double judged(const struct figure *f, const struct bound *b)
{
    switch (b->of) {
    case SCENARIO_MEDIAN:
        return percentile(f, 50);
    case SCENARIO_P99:
        return percentile(f, b->least ? 1 : 99);
    case SCENARIO_EACH:
        return percentile(f, b->least ? 0 : 100);
    }
    return NAN;
}

/* False as well where there is nothing to judge: NAN is neither at most nor at least anything. */
static bool is_met(const struct figure *f, const struct bound *b)
{
    double v = judged(f, b);

    return b->least ? v >= b->value : v <= b->value;
}

static const char *of_name(enum scenario_of of)
{
    switch (of) {
    case SCENARIO_MEDIAN:
        return "median";
    case SCENARIO_P99:
        return "p99";
    case SCENARIO_EACH:
        return "each";
    }
    return "";
}

/* --- on paper ---------------------------------------------------------------------------------- */

/* Four digits that count, whatever the size. */
static const char *cell(char room[24], double v)
{
    double size = fabs(v);
    int digits = size >= 1000 || size == floor(size) ? 0 : size >= 100 ? 1 : size >= 10 ? 2 : 3;

    if (isnan(v))
        snprintf(room, 24, "-");
    else
        snprintf(room, 24, "%.*f", digits, v);
    return room;
}

static void row_print(const struct figure *f)
{
    char a[24], b[24], c[24], d[24];

    printf("  %-58s %-7s %9s %9s %9s %5zu", f->name, f->unit, cell(a, percentile(f, 50)),
           cell(b, percentile(f, 0)), cell(c, percentile(f, 100)), f->n);
    for (unsigned i = 0; i < f->nbounds; i++) {
        const struct bound *o = &f->bounds[i];
        printf("%s %s %s %s: %s", i ? ";" : " ", of_name(o->of),
               o->least ? ">=" : "<=", cell(d, o->value), is_met(f, o) ? "met" : "MISSED");
    }
    printf("\n");
}

static unsigned missed_count(const struct scenario_report *p)
{
    unsigned missed = 0;

    for (unsigned i = 0; i < p->nfigures; i++)
        for (unsigned k = 0; k < p->figures[i].nbounds; k++)
            missed += !is_met(&p->figures[i], &p->figures[i].bounds[k]);
    return missed;
}

static void table_print(const struct scenario_report *p, unsigned rounds)
{
    printf("\n%s: %s (rounds: %u)\n", p->scenario->name, p->scenario->title, rounds);
    for (unsigned i = 0; i < p->settings.n; i++)
        printf("  %s\n", p->settings.text[i]);
    printf("  %-58s %-7s %9s %9s %9s %5s  %s\n", "", "unit", "median", "least", "most", "n",
           "bound");
    for (unsigned i = 0; i < p->nfigures; i++)
        row_print(&p->figures[i]);
    for (unsigned i = 0; i < p->notes.n; i++)
        printf("  %s\n", p->notes.text[i]);
    fflush(stdout);
}

static json_t *lines_json(const struct lines *l)
{
    json_t *out = json_array();

    for (unsigned i = 0; i < l->n; i++)
        json_array_append_new(out, json_string(l->text[i]));
    return out;
}

static json_t *real(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

static json_t *figure_json(const struct figure *f)
{
    json_t *bounds = json_array();

    for (unsigned i = 0; i < f->nbounds; i++) {
        const struct bound *b = &f->bounds[i];
        json_array_append_new(bounds, json_pack("{s:s, s:s, s:f, s:b}", "of", of_name(b->of), "is",
                                                b->least ? "at least" : "at most", "value",
                                                b->value, "met", is_met(f, b)));
    }
    return json_pack("{s:s, s:s, s:I, s:o, s:o, s:o, s:o, s:o}", "name", f->name, "unit", f->unit,
                     "samples", (json_int_t)f->n, "median", real(percentile(f, 50)), "least",
                     real(percentile(f, 0)), "most", real(percentile(f, 100)), "p99",
                     real(percentile(f, 99)), "bounds", bounds);
}

static void json_print(const struct scenario_report *p, unsigned rounds)
{
    json_t *figures = json_array();

    for (unsigned i = 0; i < p->nfigures; i++)
        json_array_append_new(figures, figure_json(&p->figures[i]));
    json_t *all = json_pack("{s:s, s:s, s:s, s:i, s:o, s:o, s:o, s:i}", "bench", "player",
                            "scenario", p->scenario->name, "title", p->scenario->title, "rounds",
                            (int)rounds, "settings", lines_json(&p->settings), "figures", figures,
                            "notes", lines_json(&p->notes), "missed", (int)missed_count(p));
    char *text = all ? json_dumps(all, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
    if (!text)
        scenario_fail("no memory for JSON", p->scenario->name);
    printf("%s\n", text);
    fflush(stdout);
    free(text);
    json_decref(all);
}

unsigned scenario_report_print(const struct scenario_report *p, unsigned rounds, bool json)
{
    if (json)
        json_print(p, rounds);
    else
        table_print(p, rounds);
    return missed_count(p);
}
