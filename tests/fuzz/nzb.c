/* Any bytes as an NZB: refused with a line, or mounted with what nzb.h promises. */

#include "nzb/nzb.h"
#include "nzb/name.h"
#include "base/utf8.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int holds)
{
    if (!holds)
        abort();
}

static void check_name(const char *name)
{
    size_t len = strlen(name), step;

    must(len > 0 && len <= NZB_NAME_MAX && strcmp(name, ".") && strcmp(name, ".."));
    for (size_t i = 0; i < len; i += step) {
        uint32_t cp;
        step = utf8_decode((const unsigned char *)name + i, len - i, &cp);
        must(step > 0 && cp >= 0x20 && cp != '/' && (cp < 0x7f || cp > 0x9f));
    }
}

static void check_file(const struct nzb_file *f)
{
    check_name(f->name);
    must(f->nsegments > 0 && f->subject && f->poster);
    must(f->parts >= f->segments[f->nsegments - 1].number);
    for (uint32_t i = 0; i < f->nsegments; i++) {
        const struct nzb_segment *s = &f->segments[i];
        size_t len = strlen(s->message_id);
        must(len > 0 && len <= NZB_MESSAGE_ID_MAX && !strpbrk(s->message_id, "\r\n\t<>"));
        must(s->number > (i ? s[-1].number : 0));
    }
    for (uint32_t i = 0; i < f->ngroups; i++)
        must(*f->groups[i] && !strpbrk(f->groups[i], "\r\n\t "));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nzb *z = NULL;
    char err[256] = "";
    int r = nzb_parse(data, size, "f.nzb", &z, err, sizeof(err));

    if (r) {
        must(!z && !strncmp(err, "f.nzb:", 6));
        return 0;
    }
    must(z->nfiles > 0);
    for (size_t i = 0; i < z->nfiles; i++) {
        check_file(&z->files[i]);
        for (size_t k = 0; k < i && i < 64; k++)
            must(strcmp(z->files[i].name, z->files[k].name) != 0);
    }
    nzb_free(z);
    return 0;
}
