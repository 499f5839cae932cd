#include "cli/streams.h"

#include "cli/cli.h"
#include "cli/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*  film.mkv
 *    reader   mpv (4711), at 512 MiB, 4.1 MiB/s
 *    ahead    12.0 MiB ready, 6.0 MiB coming
 *    now      waits for main's bytes, for 1.2 s
 *    waited   3.4 s in 14 of 812 reads, 0.9 s at most: 3.0 s for a connection, 0.4 s for main's first byte
 *    itself   took 96 s between reads, 2.1 s at most
 */

typedef unsigned long long ull;

static ull number(const json_t *o, const char *name)
{
    json_int_t n = json_integer_value(json_object_get(o, name));

    return n > 0 ? (ull)n : 0;
}

/* From another process, and in it from an NZB or a configuration. */
static void text_print(const json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));

    cli_text_print(stdout, s ? s : "");
}

static void label(const char *text, const struct status_look *look)
{
    printf(look->colours ? "    \033[1m%-8s\033[0m " : "    %-8s ", text);
}

/* --- what it is waited for --------------------------------------------------------------------- */

/* "for main's first byte"; without a provider "for a first byte". */
static void what_print(const char *what, const char *provider)
{
    const char *noun = strcmp(what, "answer") == 0    ? "first byte"
                       : strcmp(what, "payload") == 0 ? "bytes"
                                                      : NULL;

    if (!noun) {
        printf("for %s", strcmp(what, "memory") == 0 ? "room in the cache" : "a connection");
        return;
    }
    printf("for ");
    if (provider) {
        cli_text_print(stdout, provider);
        printf("'s %s", noun);
    } else {
        printf("%s", strcmp(what, "answer") == 0 ? "a first byte" : "bytes");
    }
}

static void now_print(const json_t *stream)
{
    const json_t *now = json_object_get(stream, "now");
    const char *what = json_string_value(json_object_get(now, "what"));
    char span[16];

    status_span(number(now, "us"), span);
    if (!what || strcmp(what, "reply") == 0) {
        printf("is being answered\n");
    } else if (strcmp(what, "reader") == 0) {
        if (number(stream, "reads"))
            printf("nothing is asked for, for %s\n", span);
        else
            printf("nothing was asked for yet\n");
    } else {
        printf("waits ");
        what_print(what, json_string_value(json_object_get(now, "provider")));
        printf(", for %s\n", span);
    }
}

/* --- what it has waited for ---------------------------------------------------------------------- */

struct part {
    const char *what, *provider;
    ull us;
};

#define PARTS (4 + 2 * FS_WAIT_PROVIDERS)

static int more_first(const void *a, const void *b)
{
    const struct part *x = a, *y = b;

    return (x->us < y->us) - (x->us > y->us);
}

/* A stage's time by provider, and what is left of it. */
static unsigned parts_of(const json_t *waits, const char *what, const char *member,
                         struct part *parts, unsigned n)
{
    ull left = number(json_object_get(waits, what), "us");
    const json_t *p, *providers = json_object_get(waits, "providers");
    size_t i;

    json_array_foreach(providers, i, p)
    {
        const char *name = json_string_value(json_object_get(p, "name"));
        ull us = member ? number(p, member) : 0;
        if (!name || us > left || n >= PARTS)
            continue;
        left -= us;
        parts[n++] = (struct part){what, name, us};
    }
    parts[n++] = (struct part){what, NULL, left};
    return n;
}

static void parts_print(const json_t *waits)
{
    struct part parts[PARTS + 4];
    const char *between = ": ";
    char span[16];
    unsigned n = 0;

    n = parts_of(waits, "memory", NULL, parts, n);
    n = parts_of(waits, "connection", NULL, parts, n);
    n = parts_of(waits, "answer", "answer_us", parts, n);
    n = parts_of(waits, "payload", "payload_us", parts, n);
    qsort(parts, n, sizeof(parts[0]), more_first);
    for (unsigned k = 0; k < n && parts[k].us; k++) {
        printf("%s%s ", between, status_span(parts[k].us, span));
        what_print(parts[k].what, parts[k].provider);
        between = ", ";
    }
}

static void waited_print(const json_t *stream, const struct status_look *look)
{
    const json_t *waits = json_object_get(stream, "waits"), *all = json_object_get(waits, "all"),
                 *reader = json_object_get(waits, "reader");
    char span[16], most[16];

    label("waited", look);
    if (!number(all, "count")) {
        printf("never, in %llu reads\n", number(stream, "reads"));
    } else {
        printf("%s in %llu of %llu reads, %s at most", status_span(number(all, "us"), span),
               number(all, "count"), number(stream, "reads"),
               status_span(number(all, "longest_us"), most));
        parts_print(waits);
        putchar('\n');
    }
    if (!number(reader, "count"))
        return;
    label("itself", look);
    printf("took %s between reads, %s at most\n", status_span(number(reader, "us"), span),
           status_span(number(reader, "longest_us"), most));
}

/* --- the page ------------------------------------------------------------------------------------ */

static void reader_print(const json_t *stream)
{
    const char *comm = json_string_value(json_object_get(stream, "comm"));
    char at[16], rate[16];

    if (comm && *comm)
        text_print(stream, "comm");
    else
        printf("somebody");
    if (number(stream, "pid"))
        printf(" (%llu)", number(stream, "pid"));
    printf(", at %s, %s/s", progress_size(number(stream, "position"), at),
           progress_size(number(stream, "rate"), rate));
    if (json_is_true(json_object_get(stream, "scan")))
        printf(", only looks around");
    if (number(stream, "errors"))
        printf(", %llu reads failed", number(stream, "errors"));
    putchar('\n');
}

static void stream_print(const json_t *stream, const struct status_look *look)
{
    char ready[16], coming[16];

    printf("  ");
    text_print(stream, "file");
    putchar('\n');
    label("reader", look);
    reader_print(stream);
    label("ahead", look);
    printf("%s ready, %s coming\n", progress_size(number(stream, "ready"), ready),
           progress_size(number(stream, "coming"), coming));
    label("now", look);
    now_print(stream);
    waited_print(stream, look);
}

void streams_print(const json_t *answer, const struct status_look *look)
{
    const json_t *stream, *list = json_object_get(answer, "streams");
    ull n = json_array_size(list), untold = number(answer, "untold");
    size_t i;

    text_print(answer, "mountpoint");
    printf(" has %llu open file%s\n", n + untold, n + untold == 1 ? "" : "s");
    json_array_foreach(list, i, stream)
    {
        putchar('\n');
        stream_print(stream, look);
    }
    if (untold)
        printf("\n  and %llu more\n", untold);
}
