/* The NZB of what is in the spool. Posted articles are not in it: whoever posts them writes his own. */
#include "tests/lib/spool_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Up to here a file's articles are encoded to tell their exact size, which is wanted again when they are
 * fetched. Above it the size is estimated: the NZB of a file of 50 GB must not take 50 GB. */
#define EXACT_UP_TO (UINT64_C(64) << 20)

/* Length of the UTF-8 sequence at `s`, or 0: there is none. */
static unsigned utf8_len(const unsigned char *s)
{
    unsigned n = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : (s[0] & 0xf0) == 0xe0 ? 3 : 0;
    if (s[0] >= 0xf0 && s[0] < 0xf5)
        n = 4;
    for (unsigned i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    bool overlong =
        (n == 3 && s[0] == 0xe0 && s[1] < 0xa0) || (n == 4 && s[0] == 0xf0 && s[1] < 0x90);
    bool surrogate = n == 3 && s[0] == 0xed && s[1] >= 0xa0;
    bool nonchar = n == 3 && s[0] == 0xef && s[1] == 0xbf && s[2] >= 0xbe;
    bool beyond = n == 4 && s[0] == 0xf4 && s[1] >= 0x90;
    return overlong || surrogate || nonchar || beyond ? 0 : n;
}

/* XML text. A byte that is not UTF-8 is taken for Latin-1; what XML cannot hold becomes a question mark. */
static void text_put(FILE *out, const char *text)
{
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        unsigned n = utf8_len(s);
        if (n == 0)
            fprintf(out, "&#%u;", *s);
        else if (n > 1)
            fwrite(s, 1, n, out);
        else if (*s == '<' || *s == '>' || *s == '&' || *s == '"')
            fputs(*s == '<' ? "&lt;" : *s == '>' ? "&gt;" : *s == '&' ? "&amp;" : "&quot;", out);
        else
            fputc(*s >= 0x20 || *s == '\t' ? *s : '?', out);
        s += n ? n : 1;
    }
}

/* Of 256 byte values four are escaped, and each line costs two bytes more. */
static uint64_t bytes_estimated(const struct spool_made *f, uint32_t n)
{
    uint64_t len = spool_part_len(f, n), chars = len + len / 64;
    return chars + (chars / f->line + 1) * 2 + 120 + strlen(f->name);
}

/* What posters write there: the body with its yEnc lines, without headers and terminator. 0: no memory. */
static uint64_t bytes_of(struct spool *s, const struct spool_made *f, uint32_t n)
{
    if (f->size > EXACT_UP_TO)
        return bytes_estimated(f, n);
    const struct spool_article *a = spool_find(s, f->items[n - 1].message_id);
    return a ? a->len - a->head - 3 : 0;
}

static bool file_put(FILE *out, struct spool *s, const struct spool_made *f)
{
    char *subject = spool_subject(f, 1);
    if (!subject)
        return false;
    fputs("  <file poster=\"", out);
    text_put(out, SPOOL_POSTER);
    fprintf(out, "\" date=\"%" PRIu64 "\" subject=\"", f->posted_s);
    text_put(out, subject);
    free(subject);
    fputs("\">\n    <groups>\n      <group>" SPOOL_GROUP
          "</group>\n    </groups>\n    <segments>\n",
          out);
    for (uint32_t n = 1; n <= f->nparts; n++) {
        uint64_t bytes = bytes_of(s, f, n);
        if (bytes == 0)
            return false;
        fprintf(out, "      <segment bytes=\"%" PRIu64 "\" number=\"%" PRIu32 "\">", bytes, n);
        text_put(out, f->items[n - 1].message_id);
        fputs("</segment>\n", out);
    }
    fputs("    </segments>\n  </file>\n", out);
    return true;
}

char *spool_nzb(struct spool *s, int file, size_t *len)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
          "<!DOCTYPE nzb PUBLIC \"-//newzBin//DTD NZB 1.1//EN\" "
          "\"http://www.newzbin.com/DTD/nzb/nzb-1.1.dtd\">\n"
          "<nzb xmlns=\"http://www.newzbin.com/DTD/2003/nzb\">\n",
          out);
    bool good = true;
    for (int i = 0; good && i < s->nfiles; i++)
        if (file < 0 || i == file)
            good = file_put(out, s, s->files[i]);
    fputs("</nzb>\n", out);
    good = !ferror(out) && good;
    if (fclose(out) != 0 || !good) {
        free(text);
        return NULL;
    }
    if (len)
        *len = size;
    return text;
}
