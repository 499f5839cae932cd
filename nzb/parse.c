#include "nzb/parse.h"
#include "nzb/build.h"
#include "nzb/markup.h"

#include <libxml/parser.h>
#include <libxml/parserInternals.h>

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* bytes ─▶ markup ─▶ libxml2, pushed to, as SAX ─▶ build
 *
 * libxml2 runs in recovery: a slip inside of one element costs that element and not the NZB. What may
 * not be missing is the end of the root element: without it the file was cut off, and an NZB that lacks
 * its rest is refused. No entity exists (markup leaves out the DOCTYPE), nothing is ever loaded, and
 * libxml2's own limits (10 MB of text in one node, no XML_PARSE_HUGE) stay in force. */

#define DEPTH_MOST  64
#define TEXT_MOST   ((size_t)64 << 10) /* of an element that we read */

/* A segment takes some 80 bytes of ours, so this is six million of them, or four terabytes of posts. A small
 * .nzb.gz that unpacks to more is meant to hurt. */
#define MEMORY_MOST ((size_t)512 << 20)

enum element { OTHER, SEGMENT, GROUP, META };

struct parse {
    const char *name;
    xmlParserCtxtPtr xml;
    struct build build;
    int status;
    unsigned depth;
    unsigned file_depth; /* of the <file> we are in; 0: in none */
    unsigned text_depth; /* of the element whose text is read; 0: none */
    enum element element;
    bool root_closed;
    bool damaged; /* something in the present element could not be read */
    bool too_long;
    unsigned long file_line, mistakes;
    size_t text_len;
    struct build_text type, number, bytes; /* attributes of the present element, in `kept` */
    char *subject, *poster;                /* room for attributes that had to be unescaped */
    char first_mistake[256];
    char error[512];
    char kept[512];
    char text[TEXT_MOST];
    struct markup markup;
};

/* ---- errors ---- */

/* One fact, one line: what libxml2 quotes from the file may hold anything. */
static void tidy(char *s)
{
    size_t n = strlen(s);

    while (n && (s[n - 1] == '\n' || s[n - 1] == ' '))
        s[--n] = '\0';
    for (; *s; s++)
        if ((unsigned char)*s < ' ' || *s == 0x7f)
            *s = '?';
}

__attribute__((format(printf, 4, 5))) static int fail(struct parse *p, int status,
                                                      unsigned long line, const char *fmt, ...)
{
    char reason[320];
    va_list ap;

    if (p->status)
        return p->status;
    va_start(ap, fmt);
    vsnprintf(reason, sizeof(reason), fmt, ap);
    va_end(ap);
    tidy(reason);
    if (line)
        snprintf(p->error, sizeof(p->error), "%s:%lu: %s", p->name, line, reason);
    else
        snprintf(p->error, sizeof(p->error), "%s: %s", p->name, reason);
    p->status = status;
    if (p->xml)
        xmlStopParser(p->xml);
    return status;
}

static unsigned long line_now(const struct parse *p)
{
    return p->xml->input && p->xml->input->line > 0 ? (unsigned long)p->xml->input->line : 1;
}

static void built(struct parse *p, int r)
{
    if (r)
        fail(p, r, line_now(p), "%s",
             r == -ENOMEM ? "too large for the memory there is" : strerror(-r));
}

static void on_error(void *arg, xmlErrorPtr e)
{
    struct parse *p = arg;

    if (p->root_closed || p->status) /* what follows the end of the NZB does no harm */
        return;
    p->damaged = true;
    if (p->mistakes++)
        return;
    snprintf(p->first_mistake, sizeof(p->first_mistake), "%s:%d: %s", p->name, e->line,
             e->message ? e->message : "not well-formed");
    tidy(p->first_mistake);
}

/* ---- elements ---- */

/* The SAX2 attribute array: name, prefix, URI, value, end of value. */
static struct build_text attribute(const xmlChar **a, int n, const char *name)
{
    for (int i = 0; i < n; i++, a += 5)
        if (!strcasecmp((const char *)a[0], name))
            return (struct build_text){(const char *)a[3], (size_t)(a[4] - a[3])};
    return (struct build_text){"", 0};
}

/* libxml2 hands out every '&' of an attribute as "&#38;", for it replaces no entities here. Copied to
 * *room, the caller's to free, where there is one. */
static struct build_text unescaped(struct parse *p, struct build_text t, char **room)
{
    const char *amp = memmem(t.s, t.len, "&#38;", 5);

    if (!amp)
        return t;
    char *to = realloc(*room, t.len);
    if (!to) {
        built(p, -ENOMEM);
        return (struct build_text){"", 0};
    }
    *room = to;
    size_t n = 0;
    for (const char *s = t.s, *end = t.s + t.len; s < end; n++) {
        to[n] = *s;
        s += end - s >= 5 && !memcmp(s, "&#38;", 5) ? 5 : 1;
    }
    return (struct build_text){to, n};
}

/* The same, kept until the element ends. What does not fit is no number and no type. */
static struct build_text keep(struct parse *p, size_t *used, struct build_text t)
{
    if (t.len > sizeof(p->kept) - *used)
        return (struct build_text){"", 0};
    char *to = p->kept + *used;
    if (t.len)
        memcpy(to, t.s, t.len);
    *used += t.len;
    return (struct build_text){to, t.len};
}

static void read_text(struct parse *p, enum element e, const xmlChar **a, int n)
{
    size_t used = 0;

    p->element = e;
    p->text_depth = p->depth;
    p->text_len = 0;
    p->too_long = false;
    if (e == SEGMENT) {
        p->number = keep(p, &used, attribute(a, n, "number"));
        p->bytes = keep(p, &used, attribute(a, n, "bytes"));
    } else if (e == META) {
        p->type = keep(p, &used, attribute(a, n, "type"));
    }
}

static void on_start(void *arg, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri,
                     int nns, const xmlChar **ns, int nattr, int ndefault, const xmlChar **attrs)
{
    struct parse *p = arg;
    const char *s = (const char *)name;

    (void)prefix, (void)uri, (void)nns, (void)ns, (void)ndefault;
    if (p->status)
        return;
    if (++p->depth == 1 && strcasecmp(s, "nzb")) {
        fail(p, -EINVAL, line_now(p), "not an NZB: its root element is <%.60s>", s);
        return;
    }
    if (p->depth > DEPTH_MOST) {
        fail(p, -EINVAL, line_now(p), "elements are nested more than %d deep", DEPTH_MOST);
        return;
    }
    if (p->text_depth)
        return;
    if (!p->file_depth && p->depth > 1 && !strcasecmp(s, "file")) {
        p->file_depth = p->depth;
        p->file_line = line_now(p);
        built(p,
              build_file(&p->build, unescaped(p, attribute(attrs, nattr, "subject"), &p->subject),
                         unescaped(p, attribute(attrs, nattr, "poster"), &p->poster),
                         attribute(attrs, nattr, "date")));
    } else if (p->file_depth && !strcasecmp(s, "segment")) {
        p->damaged = false;
        read_text(p, SEGMENT, attrs, nattr);
    } else if (p->file_depth && !strcasecmp(s, "group")) {
        p->damaged = false;
        read_text(p, GROUP, attrs, nattr);
    } else if (!p->file_depth && !strcasecmp(s, "meta")) {
        p->damaged = false;
        read_text(p, META, attrs, nattr);
    }
}

static void on_text(void *arg, const xmlChar *s, int len)
{
    struct parse *p = arg;
    size_t n = (size_t)len;

    if (p->status || !p->text_depth || p->depth != p->text_depth)
        return;
    if (n > TEXT_MOST - p->text_len) {
        p->too_long = true;
        return;
    }
    memcpy(p->text + p->text_len, s, n);
    p->text_len += n;
}

static void text_end(struct parse *p)
{
    struct build_text text = {p->text, p->text_len};

    p->text_depth = 0;
    if (p->damaged || p->too_long) { /* half an id is another article's id */
        p->build.z->warnings++;
        return;
    }
    switch (p->element) {
    case SEGMENT:
        built(p, build_segment(&p->build, text, p->number, p->bytes));
        break;
    case GROUP:
        built(p, build_group(&p->build, text));
        break;
    case META:
        built(p, build_meta(&p->build, p->type, text));
        break;
    case OTHER:
        break;
    }
}

static void on_end(void *arg, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri)
{
    struct parse *p = arg;

    (void)name, (void)prefix, (void)uri;
    if (p->status || !p->depth)
        return;
    if (p->depth == p->text_depth) {
        text_end(p);
    } else if (p->depth == p->file_depth) {
        p->file_depth = 0;
        built(p, build_file_end(&p->build));
    }
    if (--p->depth == 0)
        p->root_closed = true;
}

/* ---- the pipe ---- */

static int push(void *arg, const char *utf8, size_t len)
{
    struct parse *p = arg;

    xmlParseChunk(p->xml, utf8, (int)len, 0); /* what it makes of it, the callbacks tell */
    return p->status;
}

static void library_start(void)
{
    xmlInitParser();
}

struct parse *parse_new(const char *name)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    xmlSAXHandler sax = {
        .initialized = XML_SAX2_MAGIC,
        .startElementNs = on_start,
        .endElementNs = on_end,
        .characters = on_text,
        .ignorableWhitespace = on_text,
        .cdataBlock = on_text,
        .serror = on_error,
    };

    pthread_once(&once, library_start);
    struct parse *p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    p->name = name;
    p->markup.emit = push;
    p->markup.arg = p;
    if (build_init(&p->build, MEMORY_MOST))
        goto err0;
    p->xml = xmlCreatePushParserCtxt(&sax, p, NULL, 0, NULL);
    if (!p->xml)
        goto err1;
    xmlCtxtUseOptions(p->xml, XML_PARSE_RECOVER | XML_PARSE_NONET | XML_PARSE_IGNORE_ENC);
    return p;

err1:
    build_fini(&p->build);
err0:
    free(p);
    return NULL;
}

void parse_free(struct parse *p)
{
    if (!p)
        return;
    xmlFreeDoc(p->xml->myDoc);
    xmlFreeParserCtxt(p->xml);
    build_fini(&p->build);
    free(p->subject);
    free(p->poster);
    free(p);
}

const char *parse_error(const struct parse *p)
{
    return p->error;
}

static int passed(struct parse *p, int r)
{
    return r && !p->status ? fail(p, r, p->markup.line, "%s", p->markup.reason) : p->status;
}

int parse_feed(struct parse *p, const void *bytes, size_t len)
{
    return p->status ? p->status : passed(p, markup_feed(&p->markup, bytes, len));
}

static int check_end(struct parse *p)
{
    unsigned long line = p->markup.line;

    if (p->status)
        return p->status;
    if (p->root_closed)
        return 0;
    if (p->mistakes) { /* whatever is missing at the end, this is where it began */
        snprintf(p->error, sizeof(p->error), "%s", p->first_mistake);
        return p->status = -EINVAL;
    }
    if (!p->depth)
        return fail(p, -EINVAL, line, "empty: there is no <nzb> in it");
    if (p->file_depth)
        return fail(p, -EINVAL, line, "cut off inside the <file> of line %lu", p->file_line);
    return fail(p, -EINVAL, line, "cut off before </nzb>");
}

int parse_finish(struct parse *p, struct nzb **out)
{
    int r;

    if (passed(p, p->status ? 0 : markup_finish(&p->markup)))
        return p->status;
    if (check_end(p))
        return p->status;
    p->root_closed = true;
    xmlParseChunk(p->xml, "", 0, 1);
    if (!p->build.files_n)
        return fail(p, -EINVAL, p->markup.line,
                    p->file_line ? "no segments: nothing of it can be fetched" : "no files in it");
    p->build.z->warnings += (unsigned)(p->mistakes + p->markup.mended);
    r = build_finish(&p->build, out);
    return r ? fail(p, r, 0, "too large for the memory there is") : 0;
}
